//! A loss as half a sentence.

use super::{Log, Loss, Placed, Stored, Whereabouts};
use crate::check::cuts::Cause;
use crate::record::{GroupId, Offset, Queue, RecordId, TopicPartition};

impl Whereabouts {
    /// Half a sentence about a loss; `instead` is what was found in its place.
    pub(in crate::check) fn explain(
        &self,
        loss: Loss,
        group: GroupId,
        stored: &Stored,
        instead: Option<RecordId>,
    ) -> String {
        let place = |place: Option<Placed>| match place {
            Some(Placed { partition, offset, .. }) => {
                format!("{} at offset {offset}", self.subject.partition_name(partition))
            }
            None => "an unknown place".to_owned(),
        };
        let (corgi, kafka) = (place(stored.corgi), place(stored.kafka));
        match loss {
            Loss::InTheApplication => {
                "it was handed to an application, which never processed it, and it did not come again"
                    .to_owned()
            }
            Loss::TruncatedFromCorgi => {
                let by = self.lost_how(Queue::Corgi, stored);
                format!("Corgi's log of {corgi} lost its tail before it was copied or read{by}")
            }
            Loss::OnlyInKafka => {
                let back = self.way_back(stored);
                format!("it is in Kafka only ({kafka}), while the group reads from Corgi{back}")
            }
            Loss::NeverDue => "Corgi kept it back until it was due, and nobody was there any more".to_owned(),
            Loss::Unconfirmed => {
                "it was sent to Kafka with acks = none: no broker confirmed it, and it is in no log that anybody read"
                    .to_owned()
            }
            Loss::BeforeItWasDue => {
                let at = stored.lost_undue_at.unwrap_or_default();
                format!("Corgi kept it back until it was due, and lost it at {at}, before that")
            }
            Loss::DeletedFromCorgi => {
                format!(
                    "Corgi deleted {corgi} before it was copied or read, and its reader went on behind it"
                )
            }
            Loss::DeletedFromKafka => {
                format!("Kafka deleted {kafka} before it was read, and the group went on behind it")
            }
            Loss::SkippedByTheMirror => format!("the mirror gave it up and went on ({corgi} in Corgi)"),
            Loss::PassedByTheMirror => {
                format!("the mirror committed beyond {corgi} in Corgi, and no copy was acknowledged")
            }
            Loss::PassedInCorgi => {
                let copy = match stored.kafka {
                    None => "it was never copied".to_owned(),
                    Some(_) => format!("began in Kafka behind its copy ({kafka})"),
                };
                format!("the group went on beyond {corgi} in Corgi, and {copy}")
            }
            Loss::LeftInCorgi => format!("it was left in Corgi ({corgi}), never copied and never read"),
            Loss::TruncatedFromKafka => {
                format!("Kafka's log of {kafka} lost its tail{}", self.lost_how(Queue::Kafka, stored))
            }
            Loss::BeforeThePreparedOffset => {
                let began = stored.kafka.and_then(|placed| self.began_at(group, placed.partition));
                let began = began.map_or_else(String::new, |offset| format!(", which is {offset}"));
                format!("it is in Kafka ({kafka}), before the offset at which the group began to read{began}")
            }
            Loss::PassedInKafka => format!("it is in Kafka ({kafka}), and the group went on beyond it"),
            Loss::LeftInKafka => format!("it is in Kafka ({kafka}), and the group never came to it"),
            Loss::BehindTheReaderInCorgi => self.left_behind(Queue::Corgi, group, stored),
            Loss::BehindTheReaderInKafka => self.left_behind(Queue::Kafka, group, stored),
            Loss::ReplacedInCorgi => {
                let other = instead.map_or_else(|| "another record".to_owned(), |other| other.to_string());
                format!(
                    "Corgi gave {corgi} out twice, in the logs of two masters, and {other} is what was found there"
                )
            }
        }
    }

    /// Why nothing brings a record back into Corgi.
    fn way_back(&self, stored: &Stored) -> String {
        let log = stored.kafka.and_then(|placed| Some((placed.offset, self.kafka.get(placed.partition)?)));
        if stored.skipped_back_at.is_some() {
            return ", and the reverse mirror gave it up".to_owned();
        }
        match log {
            Some((offset, Log { copied_back_from: Some(began), .. })) if *began > offset => {
                format!(", and the reverse mirror began behind it, at offset {began}")
            }
            Some((offset, log)) if log.mirrored > offset => {
                ", and the reverse mirror committed beyond it with no copy acknowledged".to_owned()
            }
            _ if self.reverse_mirror_runs => String::new(),
            _ => ", and no reverse mirror brings it back".to_owned(),
        }
    }

    /// By whom a tail was lost, where the history shows it.
    fn lost_how(&self, queue: Queue, stored: &Stored) -> String {
        let may_be = || {
            let placed = stored.in_queue(queue)?;
            let first = self.first_leader(queue, placed.partition);
            let log = self.logs(queue).get(placed.partition)?;
            log.cuts.may_be_lost_by(first, placed.offset, (stored.sent_at, placed.at))
        };
        let Some(cut) = self.lost_by(queue, stored).or_else(may_be) else { return String::new() };
        let (node, at) = (self.subject.node_name(cut.node), cut.at);
        match cut.cause {
            Cause::Disk => format!(": the disk of {node} had lost it when that started at {at}"),
            Cause::Leadership => format!(": {node} led from {at} on, and did not have it"),
            Cause::Following => format!(": {node} led no more and gave it up at {at}, to follow another"),
        }
    }

    /// How a reader came to stand beyond what the log had not taken yet.
    fn left_behind(&self, queue: Queue, group: GroupId, stored: &Stored) -> String {
        let Some(Placed { partition, offset, at }) = stored.in_queue(queue).copied() else {
            return String::new();
        };
        let log = self.logs(queue).get(partition);
        let taken = log.and_then(|log| log.cuts.last_leadership(at));
        let position = log.and_then(|log| log.reach(group).beyond).map_or(offset, |beyond| beyond.position);
        let began = taken.map_or_else(String::new, |taken| {
            format!(
                "{} led with a log that ended at offset {}, and ",
                self.subject.node_name(taken.node),
                taken.to
            )
        });
        format!(
            "{began}took it at offset {offset} of {} in {}, while the group stood at offset {position} already and \
             went on from there",
            self.subject.partition_name(partition),
            queue.name()
        )
    }

    fn began_at(&self, group: GroupId, partition: TopicPartition) -> Option<Offset> {
        let reach = self.kafka.get(partition)?.groups.get(usize::from(group.0))?;
        Some(reach.lowest.map_or(reach.committed, |(lowest, _)| lowest))
    }
}
