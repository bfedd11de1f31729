//! The world's own account of what is left to do, so that a run ends when everything is done. It judges nothing:
//! the checkers have books of their own.

use cutover_model::history::{Entry, Event};
use cutover_model::record::{RecordId, TopicId};

/// What is known of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    topic: TopicId,
    invoked: bool,
    acknowledged: bool,
    settled: bool,
    /// A bit a group that has processed it.
    processed: u64,
}

/// The account of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// By producer and sequence.
    accounts: Vec<Vec<Account>>,
    /// By topic, a bit a group that reads it.
    readers: Vec<u64>,
    planned: u64,
    invoked: u64,
    settled: u64,
    /// Pairs of an acknowledged record and a group that has not processed it.
    unprocessed: u64,
    plan_completed: bool,
    workload_ended: bool,
    /// Whether a group was ever rewound: what it is delivered then is still to come when all is processed.
    rewound: bool,
}

impl Ledger {
    /// An account for producers that will send so many records each, and topics that are read by these groups.
    ///
    /// # Panics
    /// If a group's number is above 63: a case has at most 64 groups.
    pub fn new(records: &[usize], readers: &[Vec<u16>], has_plan: bool) -> Ledger {
        let mask = |groups: &Vec<u16>| {
            groups.iter().fold(0, |mask, group| {
                assert!(*group < 64, "a case has at most 64 groups");
                mask | 1 << group
            })
        };
        Ledger {
            accounts: records.iter().map(|count| vec![Account::default(); *count]).collect(),
            readers: readers.iter().map(mask).collect(),
            planned: records.iter().map(|count| *count as u64).sum(),
            invoked: 0,
            settled: 0,
            unprocessed: 0,
            plan_completed: !has_plan,
            workload_ended: false,
            rewound: false,
        }
    }

    /// How many records were sent so far.
    pub fn invoked(&self) -> u64 {
        self.invoked
    }

    /// Whether every record has been sent and its sender knows, or has given up to know, what became of it; true once.
    pub fn workload_has_just_ended(&mut self) -> bool {
        let ended = self.settled == self.planned && !self.workload_ended;
        self.workload_ended |= ended;
        ended
    }

    /// Whether nothing is left to do.
    pub fn is_drained(&self) -> bool {
        self.plan_completed && self.settled == self.planned && self.unprocessed == 0
    }

    /// Whether that entry shows that a replay is going on, so that the run is not to end yet.
    pub fn is_of_a_replay(&self, entry: &Entry) -> bool {
        self.rewound && matches!(entry.event, Event::Delivered { .. } | Event::Sought { .. })
    }

    /// Take an entry of the history.
    pub fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Invoked { record } => {
                let account = &mut self.accounts[record.id.producer as usize][record.id.sequence as usize];
                self.invoked += u64::from(!account.invoked);
                account.invoked = true;
                account.topic = record.topic;
            }
            Event::Acknowledged { record, .. } => self.acknowledge(*record),
            Event::Refused { record } | Event::Indeterminate { record } => self.settle(*record),
            Event::Processed { group, record, .. } => self.process(*record, 1 << group.0),
            Event::PlanCompleted => self.plan_completed = true,
            Event::Sought { .. } => self.rewound = true,
            _ => {}
        }
    }

    fn account(&mut self, record: RecordId) -> &mut Account {
        &mut self.accounts[record.producer as usize][record.sequence as usize]
    }

    fn settle(&mut self, record: RecordId) {
        let account = self.account(record);
        let first = !account.settled;
        account.settled = true;
        self.settled += u64::from(first);
    }

    fn acknowledge(&mut self, record: RecordId) {
        self.settle(record);
        let account = *self.account(record);
        if !account.acknowledged {
            self.account(record).acknowledged = true;
            let missing = self.readers[usize::from(account.topic.0)] & !account.processed;
            self.unprocessed += u64::from(missing.count_ones());
        }
    }

    fn process(&mut self, record: RecordId, group: u64) {
        let account = self.account(record);
        let first = account.processed & group == 0;
        account.processed |= group;
        if first && account.acknowledged {
            self.unprocessed -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_model::record::{GroupId, NodeId, Queue, Record, TopicPartition};
    use cutover_model::units::Time;

    fn entry(event: Event) -> Entry {
        Entry { at: Time(0), node: NodeId(0), event }
    }

    #[test]
    fn it_is_drained_when_every_group_has_processed_every_acknowledged_record() {
        let mut ledger = Ledger::new(&[2], &[vec![0, 1]], false);
        let first = RecordId { producer: 0, sequence: 0 };
        let second = RecordId { producer: 0, sequence: 1 };
        let partition = TopicPartition::default();
        let processed =
            |record, group| entry(Event::Processed { group: GroupId(group), record, source: partition });
        let invoked = |id| entry(Event::Invoked { record: Record { id, ..Record::default() } });
        ledger.observe(&invoked(first));
        ledger.observe(&invoked(second));
        ledger.observe(&processed(first, 1));
        let acknowledged = Event::Acknowledged { record: first, queue: Queue::Corgi, partition, offset: 0 };
        ledger.observe(&entry(acknowledged));
        assert!(!ledger.workload_has_just_ended());
        ledger.observe(&entry(Event::Indeterminate { record: second }));
        assert!(ledger.workload_has_just_ended());
        assert!(!ledger.workload_has_just_ended());
        assert!(!ledger.is_drained());
        ledger.observe(&processed(first, 0));
        ledger.observe(&processed(first, 0));
        assert!(ledger.is_drained());
        assert_eq!(ledger.invoked(), 2);
    }
}
