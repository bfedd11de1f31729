//! What a group was delivered of one partition of Kafka, and what is still to be delivered again: since it was asked for, and
//! since somebody went back.

use crate::history::Entry;
use crate::record::{NodeId, Offset, RecordId};
use crate::rewind::InstanceId;
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// A moment of the run, and the phase in which it was.
pub(super) type When = (Time, u32);

/// What a group was delivered of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Log {
    pub(super) read: BTreeMap<Offset, RecordId>,
    /// The instances that have read without a break.
    pub(super) readers: Vec<Reader>,
    pub(super) owed: Vec<Owed>,
    pub(super) passes: Vec<Pass>,
    /// The rewinds that the operator takes for done here.
    pub(super) told: Vec<Told>,
}

/// How far an instance has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reader {
    pub(super) node: NodeId,
    /// Its last position.
    pub(super) own: Offset,
    /// The log was cut or led anew since: it may have lost what it stood at.
    pub(super) is_shaken: bool,
}

/// What a rewind owes in a partition from the moment when it was asked for, whoever goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Owed {
    pub(super) rewind: u64,
    /// Where the operator goes back to.
    pub(super) to: Offset,
    /// How many positions there were from there on.
    pub(super) required: u64,
    /// How many lay before it, and were sent after the moment that was asked for.
    pub(super) early: u64,
    /// Those that have not come since.
    pub(super) missing: BTreeMap<Offset, RecordId>,
}

/// That the operator takes a partition for rewound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    pub(super) rewind: u64,
    pub(super) when: When,
    /// Whether nobody had told him: he went on all the same.
    pub(super) untold: bool,
}

/// One going back in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pass {
    pub(super) rewind: u64,
    /// Who went back.
    node: NodeId,
    pub(super) meant: InstanceId,
    /// How many positions were to come again.
    pub(super) required: u64,
    /// Those that have not.
    pub(super) missing: BTreeMap<Offset, RecordId>,
    /// Those that were passed over: when, in which phase, and by which record.
    pub(super) passed_over: BTreeMap<Offset, (Time, u32, RecordId)>,
    /// Those that came, but behind later ones.
    pub(super) late: Vec<(RecordId, (Time, u32, RecordId))>,
    /// What the operator was told, or took for told.
    pub(super) confirmed: Option<Told>,
}

impl Log {
    /// What the group was delivered from that offset on.
    pub(super) fn read_from(&self, to: Offset) -> impl Iterator<Item = (Offset, RecordId)> + '_ {
        self.read.range(to..).map(|(at, record)| (*at, *record))
    }

    /// An instance goes on from there.
    pub(super) fn goes_on(&mut self, node: NodeId, own: Offset) {
        match self.readers.iter_mut().find(|reader| reader.node == node) {
            Some(reader) => *reader = Reader { node, own, is_shaken: false },
            None => self.readers.push(Reader { node, own, is_shaken: false }),
        }
    }

    /// Something is delivered. Returns whether an instance has stepped back of itself.
    pub(super) fn deliver(&mut self, entry: &Entry, offset: Offset, record: RecordId, phase: u32) -> bool {
        let reader = self.readers.iter().find(|reader| reader.node == entry.node).copied();
        for pass in &mut self.passes {
            pass.take(entry, offset, record, reader.map(|reader| reader.own), phase);
        }
        for owed in &mut self.owed {
            owed.missing.remove(&offset);
        }
        self.read.insert(offset, record);
        self.goes_on(entry.node, offset);
        reader.is_some_and(|reader| offset <= reader.own && !reader.is_shaken)
    }

    /// The operator takes a rewind for done here. What is confirmed is the pass of whom he was told, or else the last one: who
    /// went back before may have handed his position on.
    pub(super) fn take_for_done(&mut self, told: Told, by: Option<InstanceId>) {
        self.told.push(told);
        let of_rewind = |pass: &Pass| pass.rewind == told.rewind;
        let of_whom = self.passes.iter().rposition(|pass| of_rewind(pass) && Some(pass.meant) == by);
        let place = of_whom.or_else(|| self.passes.iter().rposition(of_rewind));
        if let Some(pass) = place.and_then(|place| self.passes.get_mut(place)) {
            pass.confirmed.get_or_insert(told);
        }
    }

    /// The log ends there under its new leader: what stood beyond is lost, and with it perhaps what somebody stood at.
    pub(super) fn end_at(&mut self, end: Offset) {
        self.read.split_off(&end);
        for missing in self.passes.iter_mut().map(|pass| &mut pass.missing) {
            missing.split_off(&end);
        }
        for owed in &mut self.owed {
            owed.missing.split_off(&end);
        }
        self.readers.iter_mut().for_each(|reader| reader.is_shaken = true);
    }

    /// How much was to be delivered again for the rewinds that are done.
    pub(super) fn required(&self) -> u64 {
        let of_pass: u64 = self.confirmed().map(|(pass, _)| pass.required).sum();
        let of_ask = self.owed_and_told().map(|(owed, told)| {
            let went_back = self.confirmed().any(|(pass, _)| pass.rewind == told.rewind);
            owed.early + if went_back { 0 } else { owed.required }
        });
        of_pass + of_ask.sum::<u64>()
    }

    /// The passes that were confirmed.
    pub(super) fn confirmed(&self) -> impl Iterator<Item = (&Pass, Told)> {
        self.passes.iter().filter_map(|pass| Some((pass, pass.confirmed?)))
    }

    /// What was asked for and is taken for done.
    fn owed_and_told(&self) -> impl Iterator<Item = (&Owed, Told)> {
        self.owed.iter().filter_map(|owed| {
            let told = self.told.iter().find(|told| told.rewind == owed.rewind)?;
            Some((owed, *told))
        })
    }

    /// What has not come since it was asked for, and is no confirmed pass's business.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = (&Owed, Told, Offset, RecordId)> {
        self.owed_and_told().flat_map(move |(owed, told)| {
            let is_of_pass = move |offset: &Offset| {
                self.confirmed()
                    .any(|(pass, _)| pass.rewind == owed.rewind && pass.missing.contains_key(offset))
            };
            let missing = owed.missing.iter().filter(move |(offset, _)| !is_of_pass(offset));
            missing.map(move |(offset, record)| (owed, told, *offset, *record))
        })
    }
}

impl Pass {
    pub(super) fn new(
        rewind: u64,
        node: NodeId,
        meant: InstanceId,
        missing: BTreeMap<Offset, RecordId>,
    ) -> Pass {
        Pass {
            rewind,
            node,
            meant,
            required: missing.len() as u64,
            missing,
            passed_over: BTreeMap::new(),
            late: Vec::new(),
            confirmed: None,
        }
    }

    /// The group was delivered something of the partition, by an instance that had read up to `own`.
    fn take(&mut self, entry: &Entry, offset: Offset, record: RecordId, own: Option<Offset>, phase: u32) {
        let Some((&first, _)) = self.missing.first_key_value() else { return };
        if offset < first {
            return;
        }
        let goes_on = |own: Offset| own >= first && self.missing.range(own + 1..offset).next().is_none();
        // It passes over nothing, and what it is delivered has come all the same.
        let is_beside = offset > first && entry.node != self.node && own.is_some_and(goes_on);
        let by = (entry.at, phase, record);
        for passed in self.missing.range(first..offset).map(|(passed, _)| *passed).filter(|_| !is_beside) {
            self.passed_over.entry(passed).or_insert(by);
        }
        if let Some(record) = self.missing.remove(&offset)
            && let Some(over) = self.passed_over.remove(&offset)
        {
            self.late.push((record, over));
        }
    }
}
