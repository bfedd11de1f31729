//! At-least-once: every acknowledged record is processed by every group of its topic; no refused record appears. Keeps
//! the ledger, in which each record has one fate, and says of a loss where it happened, as far as the history tells.
//!
//! A record that is missing is *lost* where the run drained; where its time ran out, only if the history shows that it
//! was passed over for good (otherwise it is *pending*, and the guarantee unknown); in a run that broke off, never.

use super::ledger::{Loss, Passed, ReadAt, Reader, Stored, Whereabouts};
use super::tables::{ByRecord, Hop, Place, Places, Readers, grown};
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Course, Figure, Ground, Guarantee, Judgement, Subject, Verdict};
use crate::history::{EndReason, Entry, Event};
use crate::record::{GroupId, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use strum::IntoEnumIterator;

/// The checker of at-least-once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AtLeastOnce {
    subject: Arc<Subject>,
    readers: Readers,
    course: Course,
    records: ByRecord<Account>,
    groups: Vec<ByRecord<Service>>,
    whereabouts: Whereabouts,
    phantoms: Tally,
}

/// What became of a send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Account {
    source: Option<TopicPartition>,
    acknowledged_at: Option<Time>,
    refused: bool,
    indeterminate: bool,
    /// The first delivery, to find phantoms of a refusal that comes later.
    delivered: Option<(Time, GroupId)>,
    duplicated: Option<Hop>,
    stored: Stored,
}

/// What a group did with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Service {
    places: Places,
    processed: bool,
}

/// The one fate of a record in the ledger, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// Acknowledged, and missing in a group for good.
    Lost,
    /// Refused, or never sent, and delivered all the same.
    Phantom,
    /// Not yet where it belongs when the run ended.
    Pending,
    /// Given up by its producer, and never seen.
    Vanished,
    /// Refused, and never seen.
    Refused,
    /// Where it belongs, at least once more than needed in some group.
    Duplicated,
    /// Where it belongs, once.
    Delivered,
}

/// What the ledger adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ledger {
    fates: BTreeMap<Fate, u64>,
    hops: BTreeMap<Hop, u64>,
    losses: BTreeMap<Loss, u64>,
    lost: Tally,
    acknowledged: u64,
    /// What is lost, and to which group.
    missing: Vec<(GroupId, RecordId)>,
    /// What was read in Corgi, asked for by the first loss of which it may be the reason.
    read_at: OnceCell<ReadAt>,
    /// What was found in the place of which lost record.
    instead: BTreeMap<RecordId, RecordId>,
}

impl AtLeastOnce {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> AtLeastOnce {
        AtLeastOnce {
            readers: Readers::new(&subject),
            whereabouts: Whereabouts::new(subject.clone()),
            subject,
            course: Course::default(),
            records: ByRecord::default(),
            groups: Vec::new(),
            phantoms: Tally::default(),
        }
    }

    fn delivered(&mut self, at: Time, group: GroupId, record: RecordId, place: Place) {
        let service = grown(&mut self.groups, usize::from(group.0)).at(record);
        let account = self.records.at(record);
        let hop = service.places.deliver(place, account.stored.copied && account.stored.copied_back);
        account.delivered.get_or_insert((at, group));
        account.duplicated = match (account.duplicated, hop) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        let phantom = account.acknowledged_at.is_none() && (account.refused || account.source.is_none());
        if phantom && hop.is_none() {
            self.phantom(at, group, record);
        }
    }

    fn refused(&mut self, record: RecordId) {
        let account = self.records.at(record);
        let newly = !std::mem::replace(&mut account.refused, true);
        if let Some((at, group)) = account.delivered
            && newly
            && account.acknowledged_at.is_none()
        {
            self.phantom(at, group, record);
        }
    }

    fn phantom(&mut self, at: Time, group: GroupId, record: RecordId) {
        let partition = self.records.get(record).and_then(|account| account.source);
        let phase = self.course.phase_at(at);
        let kind = Kind { ground: Ground::Phantom, phase, group: Some(group), partition, detail: 0 };
        self.phantoms.add(kind, at, &[record]);
    }

    /// Whether a record that is missing now is missing for good.
    fn for_good(&self, passed: &Passed) -> bool {
        match self.course.ended {
            Some(EndReason::Drained) => true,
            Some(EndReason::TimeBudget) => self.course.healed.is_some() && passed.for_good,
            Some(EndReason::StepBudget) | None => false,
        }
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for (id, account) in self.records.iter() {
            let Some(fate) = self.fate(id, account, &mut ledger) else { continue };
            *ledger.fates.entry(fate).or_default() += 1;
            ledger.acknowledged += u64::from(account.acknowledged_at.is_some());
            if let (Fate::Duplicated, Some(hop)) = (fate, account.duplicated) {
                *ledger.hops.entry(hop).or_default() += 1;
            }
        }
        ledger
    }

    fn fate(&self, id: RecordId, account: &Account, ledger: &mut Ledger) -> Option<Fate> {
        if account.acknowledged_at.is_some() {
            return Some(self.fate_of_acknowledged(id, account, ledger));
        }
        let seen = account.delivered.is_some();
        match (seen, account.source.is_some()) {
            (false, false) => None,
            (true, false) => Some(Fate::Phantom),
            (true, true) if account.refused => Some(Fate::Phantom),
            (true, true) if account.duplicated.is_some() => Some(Fate::Duplicated),
            (true, true) => Some(Fate::Delivered),
            (false, true) if account.refused => Some(Fate::Refused),
            (false, true) if account.indeterminate => Some(Fate::Vanished),
            (false, true) => Some(Fate::Pending),
        }
    }

    fn fate_of_acknowledged(&self, id: RecordId, account: &Account, ledger: &mut Ledger) -> Fate {
        let mut fate = if account.duplicated.is_some() { Fate::Duplicated } else { Fate::Delivered };
        let Some(source) = account.source else { return fate };
        let mut place_of_loss = None;
        for group in self.readers.of(source.topic) {
            let service = self.groups.get(usize::from(group.0)).and_then(|records| records.get(id));
            if service.is_some_and(|service| service.processed) {
                continue;
            }
            let delivered = service.is_some_and(|service| service.places.delivered());
            let mut passed = self.whereabouts.passed(*group, source, &account.stored, delivered);
            passed.for_good |= passed.loss == Loss::Unconfirmed && self.was_overtaken(*group, id, source);
            if !self.for_good(&passed) {
                fate = fate.min(Fate::Pending);
                continue;
            }
            let read_at = || ledger.read_at.get_or_init(|| self.read_at());
            if let Some(other) = self.whereabouts.instead(passed.loss, *group, id, &account.stored, read_at) {
                passed.loss = Loss::ReplacedInCorgi;
                ledger.instead.insert(id, other);
            }
            fate = Fate::Lost;
            ledger.missing.push((*group, id));
            place_of_loss.get_or_insert(passed.loss);
            let at = passed.at.or(account.acknowledged_at).unwrap_or_default();
            let phase = self.course.phase_at(at);
            let detail = passed.loss as u8;
            let (group, partition) = (Some(*group), Some(source));
            ledger.lost.add(Kind { ground: Ground::Lost, phase, group, partition, detail }, at, &[id]);
        }
        if let Some(loss) = place_of_loss {
            *ledger.losses.entry(loss).or_default() += 1;
        }
        fate
    }

    /// Whether a group has processed a later record of the same producer in the same partition.
    fn was_overtaken(&self, group: GroupId, record: RecordId, source: TopicPartition) -> bool {
        let Some(services) = self.groups.get(usize::from(group.0)) else { return false };
        let later = |(id, service): (RecordId, &Service)| {
            let is_later = id.producer == record.producer && id.sequence > record.sequence;
            is_later
                && service.processed
                && self.records.get(id).and_then(|account| account.source) == Some(source)
        };
        services.iter().any(later)
    }

    /// What the mirror and the groups read in Corgi, and where, and what else stands there.
    fn read_at(&self) -> ReadAt {
        let mut read_at = ReadAt::default();
        for (place, id) in self.whereabouts.copied() {
            read_at.found(Reader::Mirror, place, id);
        }
        for (id, account) in self.records.iter() {
            if let Some((place, since)) = account.stored.in_corgi() {
                read_at.stands(place, id, since);
            }
        }
        for (group, records) in (0..).map(GroupId).zip(&self.groups) {
            for (id, service) in records.iter() {
                for place in service.places.of(Queue::Corgi) {
                    read_at.found(Reader::Group(group), (place.partition, place.offset), id);
                }
            }
        }
        read_at
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered, ledger: &Ledger) -> String {
        let record = gathered.first();
        let group = self.subject.group_name(kind.group.unwrap_or_default());
        let phase = self.subject.phase_name(kind.phase);
        let more = gathered.and_more();
        let stands =
            kind.partition.map_or_else(String::new, |p| format!(" of {}", self.subject.partition_name(p)));
        if kind.ground == Ground::Phantom {
            let at = gathered.at;
            return format!(
                "{group} was delivered {record}{stands} at {at} during {phase}, although \
                 the producer was told that it is in no log{more}"
            );
        }
        let account = self.records.get(record);
        let acknowledged_at = account.and_then(|account| account.acknowledged_at).unwrap_or_default();
        let loss = Loss::iter().find(|loss| *loss as u8 == kind.detail).unwrap_or(Loss::LeftInCorgi);
        let explanation = account.map_or_else(String::new, |account| {
            let instead = ledger.instead.get(&record).copied();
            self.whereabouts.explain(loss, kind.group.unwrap_or_default(), &account.stored, instead)
        });
        format!(
            "{group} never processed {record}{stands}{more}, acknowledged at {acknowledged_at}: \
             {explanation} ({phase})"
        )
    }

    fn figures(&self, ledger: &Ledger) -> Vec<Figure> {
        let count = |fate| ledger.fates.get(&fate).copied().unwrap_or(0);
        let mut figures = vec![figure("acknowledged_records", ledger.acknowledged, "")];
        for fate in [
            Fate::Delivered,
            Fate::Duplicated,
            Fate::Lost,
            Fate::Pending,
            Fate::Phantom,
            Fate::Refused,
            Fate::Vanished,
        ] {
            figures.push(figure(format!("{fate}_records"), count(fate), ""));
        }
        for hop in Hop::iter() {
            let records = ledger.hops.get(&hop).copied().unwrap_or(0);
            figures.push(figure(format!("duplicated_by_{hop}_records"), records, ""));
        }
        for (loss, records) in &ledger.losses {
            figures.push(figure(format!("lost_{loss}_records"), *records, ""));
        }
        figures
    }
}

impl Checker for AtLeastOnce {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        self.whereabouts.observe(entry);
        match &entry.event {
            Event::Invoked { record } => {
                let account = self.records.at(record.id);
                account.source = Some(record.source_partition());
                account.stored.sent_at = entry.at;
                account.stored.delay = record.delay;
            }
            Event::Acknowledged { record, queue, partition, offset } => {
                let account = self.records.at(*record);
                account.acknowledged_at.get_or_insert(entry.at);
                // The acknowledgement of a delayed record names a place among those that wait.
                if *queue == Queue::Corgi && account.stored.delay > Span::ZERO {
                    account.stored.due_at = Some(entry.at + account.stored.delay);
                } else if *offset >= 0 {
                    account.stored.at(*queue, *partition, *offset, entry.at);
                } else {
                    account.stored.unconfirmed = true;
                }
            }
            Event::Due { record, partition, offset } => {
                let stored = &mut self.records.at(*record).stored;
                // Who leads no more stores what is due as well, and what it stores nobody reads.
                if stored.in_corgi().is_none() || self.whereabouts.leads_corgi(entry.node, *partition) {
                    stored.at(Queue::Corgi, *partition, *offset, entry.at);
                }
            }
            Event::DelayedLost { records } => {
                for record in records {
                    self.records.at(*record).stored.lost_undue_at = Some(entry.at);
                }
            }
            Event::Refused { record } => self.refused(*record),
            Event::Indeterminate { record } => self.records.at(*record).indeterminate = true,
            Event::Copied { record, source, source_offset, target, target_offset } => {
                let stored = &mut self.records.at(*record).stored;
                stored.at(Queue::Corgi, *source, *source_offset, entry.at);
                stored.at(Queue::Kafka, *target, *target_offset, entry.at);
                stored.copied = true;
            }
            Event::CopiedBack { record, source, source_offset, target, target_offset } => {
                let stored = &mut self.records.at(*record).stored;
                stored.at(Queue::Kafka, *source, *source_offset, entry.at);
                stored.at(Queue::Corgi, *target, *target_offset, entry.at);
                stored.copied_back = true;
            }
            Event::SkippedBack { record, .. } => {
                self.records.at(*record).stored.skipped_back_at = Some(entry.at);
            }
            Event::Skipped { record, .. } => self.records.at(*record).stored.skipped_at = Some(entry.at),
            Event::Delivered { group, record, queue, partition, offset, copied_from, .. } => {
                let (queue, partition, offset) = (*queue, *partition, *offset);
                let place = Place { queue, partition, offset, copied_from: *copied_from };
                self.delivered(entry.at, *group, *record, place);
            }
            Event::Processed { group, record, .. } => {
                grown(&mut self.groups, usize::from(group.0)).at(*record).processed = true;
            }
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        self.conclude().0
    }
}

impl AtLeastOnce {
    /// The judgement, and which records are lost for good to which groups: the ledger that tells both is made once.
    pub(super) fn conclude(&self) -> (Judgement, Vec<(GroupId, RecordId)>) {
        let ledger = self.ledger();
        let guarantee = Guarantee::AtLeastOnce;
        let summary = |kind: &Kind, gathered: &Gathered| self.summary(kind, gathered, &ledger);
        let mut findings = ledger.lost.findings(guarantee, summary);
        findings.extend(self.phantoms.findings(guarantee, summary));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
        findings.truncate(super::tally::FINDINGS_AT_MOST);
        let total = ledger.lost.total + self.phantoms.total;
        let figures = self.figures(&ledger);
        let exercised = ledger.acknowledged > 0;
        let mut judgement = judgement(guarantee, &self.course, exercised, figures, (findings, total));
        let acknowledged_and_pending = self.pending(&ledger);
        if judgement.verdict == Verdict::Held && acknowledged_and_pending {
            judgement.verdict = Verdict::Unknown;
        }
        (judgement, ledger.missing)
    }

    /// The records that a queue has no more, though they are known to have stood in it.
    pub(super) fn gone(&self) -> Vec<(Queue, RecordId)> {
        let of = |(id, account): (RecordId, &Account)| {
            let lost_from: Vec<Queue> = self.whereabouts.lost_from(&account.stored).collect();
            lost_from.into_iter().map(move |queue| (queue, id))
        };
        self.records.iter().flat_map(of).collect()
    }

    /// Whether records are still on their way.
    fn pending(&self, ledger: &Ledger) -> bool {
        ledger.fates.get(&Fate::Pending).is_some_and(|records| *records > 0)
    }
}

#[cfg(test)]
#[path = "at_least_once_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "at_least_once_unplaced_tests.rs"]
mod unplaced_tests;
