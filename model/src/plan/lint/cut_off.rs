//! Producers who write where nobody reads, and from where nobody brings it to those who read elsewhere: by a mirror that
//! stops, or by a switch.

use super::bookkeeping::{Bookkeeping, Objection};
use super::{Names, Severity};
use crate::record::Queue;
use crate::switch::WriteTo;

impl Bookkeeping {
    /// A mirror that stops while what is written in its source has readers on the other side: nobody brings it to them.
    pub(super) fn cuts_off(&self, source: Queue, names: &Names) -> Option<Objection> {
        let (written, other, gate) = match source {
            Queue::Corgi => (WriteTo::Corgi, Queue::Kafka, "mirror-drained"),
            Queue::Kafka => (WriteTo::Kafka, Queue::Corgi, "reverse-mirror-drained"),
        };
        let readers = self.readers(other, names);
        // Who holds everything back writes nothing until then, and may be switched meanwhile.
        if self.writes != written || self.all_held || readers.is_empty() {
            return None;
        }
        let mirror = if source == Queue::Corgi { "the mirror" } else { "the reverse mirror" };
        Some((
            Severity::Warning,
            format!(
                "{mirror} stops while producers write to {} and {} read from {}: what is written from then on comes to none of them",
                source.name(),
                readers.join(", "),
                other.name()
            ),
            format!(
                "Write {{ do = \"switch-write\", to = \"{other}\" }} and {{ wait = {{ for = \"{gate}\" }} }} before it"
            ),
        ))
    }

    /// Producers write to one queue from here on, some group reads from the other, and what brings it there does not run.
    pub(super) fn writes_past(&self, to: WriteTo, names: &Names) -> Option<Objection> {
        let (written, other, copies, mirror, start) = match to {
            WriteTo::Corgi => (Queue::Corgi, Queue::Kafka, self.mirror_runs, "the mirror", "start-mirror"),
            WriteTo::Kafka => (
                Queue::Kafka,
                Queue::Corgi,
                self.reverse_mirror_runs,
                "the reverse mirror",
                "start-reverse-mirror",
            ),
            WriteTo::Both => return None,
        };
        let readers = self.readers(other, names);
        if copies || readers.is_empty() {
            return None;
        }
        Some((
            Severity::Warning,
            format!(
                "producers write to {} from here on while {} read from {} and {mirror} does not run: as long as that is so, what is written does not come to them",
                written.name(),
                readers.join(", "),
                other.name()
            ),
            format!(
                "Switch their reads to {} before it, or write {{ do = \"{start}\" }} before it",
                written.name()
            ),
        ))
    }
}
