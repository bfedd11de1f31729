//! Which of the followed records a log lost, and which it only gave the offset of to others. Offsets are no identities: what
//! stood there in another leader's log is another record.

use super::Teller;
use crate::check::Ground;
use crate::check::cuts::{Cause, cuts_of};
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::units::Time;

/// The place of an event in a log, and its record.
fn place_of(event: &Event) -> Option<(Queue, TopicPartition, Offset, RecordId)> {
    match event {
        Event::Acknowledged { record, queue, partition, offset }
        | Event::Delivered { record, queue, partition, offset, .. } => {
            Some((*queue, *partition, *offset, *record))
        }
        Event::Due { record, partition, offset } => Some((Queue::Corgi, *partition, *offset, *record)),
        _ => None,
    }
}

impl Teller<'_> {
    pub(super) fn note_cuts(&mut self, history: &[Entry]) {
        for (queue, partition, cut) in history.iter().flat_map(cuts_of) {
            if self.stands_in(queue, partition) {
                self.cuts.entry((queue, partition)).or_default().push(cut);
            }
        }
    }

    /// Who stood where the followed records stand, and how long they are known to have stood there.
    pub(super) fn note_tenures(&mut self, history: &[Entry]) {
        for entry in history {
            let Some((queue, partition, offset, record)) = place_of(&entry.event) else { continue };
            let place = (queue, partition, offset);
            let Some((followed, _)) = self.positions.get(&place) else { continue };
            let sent = self.sent.get(followed).copied().unwrap_or_default();
            let tenure = self.tenures.entry(place).or_default();
            if *followed == record {
                // An acknowledgement may come from a log that has lost it meanwhile; a delivery shows it.
                if matches!(entry.event, Event::Delivered { .. }) {
                    tenure.known_until = entry.at;
                }
            } else if entry.at < sent {
                tenure.taken_over = true;
            }
        }
    }

    fn first_leader(&self, queue: Queue, partition: TopicPartition) -> Option<NodeId> {
        let set = self.corgi_set(partition).filter(|_| queue == Queue::Corgi)?;
        self.subject.corgi_sets.get(set)?.first().copied()
    }

    /// The followed records that the log of an entry's node loses with it, or begins to lead without: with their offsets, and since
    /// when they are known to stand there.
    pub(super) fn taken_by(&self, entry: &Entry) -> impl Iterator<Item = (RecordId, (Offset, Time))> {
        let mut taken = Vec::new();
        for (queue, partition, cut) in cuts_of(entry) {
            let Some(cuts) = self.cuts.get(&(queue, partition)) else { continue };
            let first = self.first_leader(queue, partition);
            for (record, (offset, since)) in self.standing((queue, partition), Offset::MIN..Offset::MAX) {
                if !cut.takes(offset) {
                    continue;
                }
                let sent = self.sent.get(&record).copied().unwrap_or(since);
                let tenure = self.tenures.get(&(queue, partition, offset)).copied().unwrap_or_default();
                let lost = cuts.lost_by(first, offset, since);
                // An acknowledgement that came late, or from one who led no more.
                let may_be = || {
                    let by = cuts.may_be_lost_by(first, offset, (sent, since));
                    by.is_some_and(|by| by.at <= cut.at) && !tenure.taken_over
                };
                let concerned = match cut.cause {
                    Cause::Leadership => lost.is_some_and(|_| since < cut.at),
                    Cause::Disk | Cause::Following => match lost {
                        Some(by) => since <= cut.at && by.at <= cut.at,
                        None => sent <= cut.at && tenure.known_until <= cut.at && may_be(),
                    },
                };
                if concerned {
                    taken.push((record, (offset, since)));
                }
            }
        }
        taken.into_iter()
    }

    /// Whether what an entry takes from a log has to do with the story: where a record is lost, only if it goes with it.
    pub(super) fn matters(&self, entry: &Entry) -> bool {
        self.finding.ground != Ground::Lost
            || self.positions.is_empty()
            || self.taken_by(entry).next().is_some()
    }

    /// Whether a log of Corgi's cuts a followed record off.
    pub(super) fn is_cut_off(&self, entry: &Entry) -> bool {
        matches!(&entry.event, Event::Truncated { queue: Queue::Corgi, .. })
            && self.taken_by(entry).next().is_some()
    }

    /// When a lost record was gone: nobody could bring it from then on, and what comes later has nothing to do with it. Of Corgi's
    /// logs the last that held it counts.
    pub(super) fn gone_at(&self, history: &[Entry]) -> Option<Time> {
        if self.finding.ground != Ground::Lost {
            return None;
        }
        let cut_off = history.iter().rfind(|entry| self.is_lost_in_corgi() && self.is_cut_off(entry));
        let lost = self.positions.iter().filter_map(|((queue, partition, offset), (_, since))| {
            let cuts = self.cuts.get(&(*queue, *partition))?;
            Some(cuts.lost_by(self.first_leader(*queue, *partition), *offset, *since)?.at)
        });
        cut_off.map(|entry| entry.at).into_iter().chain(lost).max()
    }

    /// Two masters gave the offset of a lost record out: what a reader found there, or what else was acknowledged there, who had
    /// become master before, and who called himself master beside him.
    pub(super) fn note_replaced(&mut self, history: &[Entry]) {
        if !self.is_lost_in_corgi() || self.gone_at(history).is_some() {
            return;
        }
        let replaces = |entry: &Entry, is_read: bool| {
            let (partition, offset, other) = self.found(entry, is_read)?;
            let (record, since) = self.positions.get(&(Queue::Corgi, partition, offset))?;
            let cuts = self.cuts.get(&(Queue::Corgi, partition));
            let again = || cuts.is_some_and(|cuts| cuts.gives_out_again(offset, *since, entry.at));
            (*record != other && (is_read || !again())).then_some((partition, *record))
        };
        let first = |is_read: bool| {
            let replaced = |(place, entry)| Some((place, replaces(entry, is_read)?));
            history.iter().enumerate().find_map(replaced)
        };
        let Some((place, (partition, record))) = first(true).or_else(|| first(false)) else { return };
        self.note_cause(place, 93);
        self.meanings.insert(place, format!(": in another master's log {record} was acknowledged there"));
        let changed = |entry: &Entry| match &entry.event {
            Event::LeaderChanged { queue: Queue::Corgi, partition: of, leader: Some(_), .. } => {
                self.corgi_set(*of) == self.corgi_set(partition)
            }
            _ => false,
        };
        let Some(change) = history[..place].iter().rposition(changed) else { return };
        self.note_change(history, change);
        let claims = |(_, entry): &(usize, &Entry)| match &entry.event {
            Event::LeasesAwaited { partition: of, .. } => self.corgi_set(*of) == self.corgi_set(partition),
            _ => false,
        };
        let claims: Vec<usize> =
            history[..place].iter().enumerate().skip(change).filter(claims).map(|(place, _)| place).collect();
        claims.into_iter().for_each(|place| self.note_cause(place, 88));
    }

    /// A record at its place in Corgi, where a reader of the story's finds it, or else where it is acknowledged.
    fn found(&self, entry: &Entry, is_read: bool) -> Option<(TopicPartition, Offset, RecordId)> {
        match &entry.event {
            Event::Copied { record, source, source_offset, .. } if is_read => {
                Some((*source, *source_offset, *record))
            }
            Event::Delivered { record, group, queue: Queue::Corgi, partition, offset, .. } if is_read => {
                (self.finding.group == Some(*group)).then_some((*partition, *offset, *record))
            }
            Event::Acknowledged { record, queue: Queue::Corgi, partition, offset } if !is_read => {
                Some((*partition, *offset, *record))
            }
            _ => None,
        }
    }

    /// A reverse mirror that began behind a lost record: the order to start it, and the first that it copied back.
    pub(super) fn note_late_way_back(&mut self, history: &[Entry]) {
        let only_in_kafka = !self.positions.keys().any(|(queue, ..)| *queue == Queue::Corgi);
        if self.finding.ground != Ground::Lost || !only_in_kafka {
            return;
        }
        let stands: Vec<_> =
            self.positions.iter().map(|((_, at, offset), (id, _))| (*at, *offset, *id)).collect();
        for (partition, lost, record) in stands {
            let copies = |entry: &Entry| match &entry.event {
                Event::CopiedBack { source, source_offset, .. } if *source == partition => {
                    Some(*source_offset)
                }
                _ => None,
            };
            let first = history.iter().enumerate().find_map(|(place, entry)| Some((place, copies(entry)?)));
            let Some((place, _)) = first.filter(|(_, began)| *began > lost) else { continue };
            self.note_cause(place, 93);
            self.meanings.insert(place, format!(": it began there, behind {record} at offset {lost}"));
            let starts =
                |entry: &Entry| matches!(entry.event, Event::StepDone { act: Act::StartReverseMirror, .. });
            if let Some(start) = history[..place].iter().rposition(starts) {
                self.note_cause(start, 92);
            }
        }
    }

    /// A new leader took a lost record at an offset that its reader had read beyond under the one before, and the reader went on
    /// from there: the last delivery before the change, that change, and the first delivery after it.
    pub(super) fn note_reader_beyond(&mut self, history: &[Entry]) {
        let Some(group) = self.finding.group.filter(|_| self.finding.ground == Ground::Lost) else { return };
        let positions: Vec<_> = self.positions.iter().map(|(place, known)| (*place, *known)).collect();
        for ((queue, partition, offset), (record, since)) in positions {
            let Some(cuts) = self.cuts.get(&(queue, partition)) else { continue };
            let Some(taken) = cuts.last_leadership(since).filter(|taken| taken.takes(offset)).copied() else {
                continue;
            };
            let read = |entry: &Entry| match &entry.event {
                Event::Delivered { group: of, queue: from, partition: at, offset, .. } => {
                    ((*of, *from, *at) == (group, queue, partition)).then_some(*offset)
                }
                _ => None,
            };
            let change = history.partition_point(|entry| entry.at <= taken.at);
            let before =
                history[..change].iter().rposition(|entry| read(entry).is_some_and(|at| at >= offset));
            let after = history[change..].iter().position(|entry| read(entry).is_some());
            let after = after.map(|place| change + place);
            let goes_on = after.and_then(|place| read(&history[place])).is_none_or(|at| at > offset);
            let (Some(before), true) = (before, goes_on) else { continue };
            self.note_cause(before, 93);
            self.meanings.insert(before, format!(": it stands beyond offset {offset} from now on"));
            let took = |entry: &Entry| {
                (entry.at, entry.node) == (taken.at, taken.node)
                    && matches!(entry.event, Event::MastershipTaken { .. } | Event::LeadershipTaken { .. })
                    && cuts_of(entry).iter().any(|(of, at, _)| (*of, *at) == (queue, partition))
            };
            if let Some(place) = history[..change].iter().rposition(took) {
                self.note_cause(place, 95);
                let (name, end) = (self.subject.partition_name(partition), taken.to);
                let meaning = format!(
                    ": {name} ends there at offset {end}, and {record} will stand at offset {offset}"
                );
                self.meanings.insert(place, meaning);
            }
            if let Some(after) = after {
                self.note_cause(after, 93);
                self.meanings
                    .insert(after, format!(": it goes on beyond offset {offset}, where {record} stands"));
            }
        }
    }
}
