//! What befalls a broker from outside: a full disk, a lost one, a lower quota.

use super::{Broker, Context, Durable};
use crate::history::Event;
use crate::incident::{DiskLoss, Incident};
use crate::kafka::replica::Replica;
use crate::kafka::wiring::is_internal;
use crate::machine::Process;
use crate::partition_map::PartitionMap;
use crate::record::{Offset, Queue, TopicPartition};
use crate::units::Time;

impl Broker {
    pub(super) fn meet(&mut self, cx: &mut Context<'_>, incident: Incident) {
        match incident {
            // Its only log directory fails at the next write, be it the checkpoint of the high watermarks; a broker without a log
            // directory halts, and no start succeeds before there is room again (Kafka's `LogDirFailureChannel`, KIP-112).
            Incident::DiskFilled => cx.effects.processes.push(Process::Halt),
            Incident::Quota { bytes_per_second } => self.grant(bytes_per_second),
            _ => {}
        }
    }

    /// The disk loses something while the process is down. The controller's log is synced at each write; the replicas' logs are
    /// left to the operating system.
    pub(super) fn lose_disk(&mut self, now: Time, loss: DiskLoss) {
        let ends = |replicas: &PartitionMap<Replica>| -> Vec<(TopicPartition, Offset)> {
            replicas.iter().map(|(at, replica)| (at, replica.log.end())).collect()
        };
        let before = ends(&self.durable.replicas);
        let untold = std::mem::take(&mut self.durable.lost);
        match loss {
            DiskLoss::Everything => self.durable = Durable::default(),
            DiskLoss::UnsyncedTail => {
                for (_, replica) in self.durable.replicas.iter_mut() {
                    replica.lose_unsynced(now);
                }
            }
        }
        self.durable.lost = untold;
        for (at, end) in before {
            let left = self.durable.replicas.get(at).map_or(0, |replica| replica.log.end());
            if left < end && !is_internal(at.topic) {
                self.durable.lost.push((at, end, left));
            }
        }
    }

    /// Tells the history what the disk lost while the process was down.
    pub(super) fn report_loss(&mut self, cx: &mut Context<'_>) {
        let partitions = std::mem::take(&mut self.durable.lost);
        if !partitions.is_empty() {
            cx.effects.record(Event::DiskLost { queue: Queue::Kafka, partitions });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Input;
    use super::*;
    use crate::kafka::log::{Entry, Payload};
    use crate::kafka::protocol::BrokerId;
    use crate::kafka::replica::Replica;
    use crate::kafka::{Settings, Wiring};
    use crate::machine::{Effects, Machine, Now};
    use crate::record::{NodeId, Record, TopicPartition};
    use crate::units::Bytes;

    fn broker() -> Broker {
        let wiring =
            Wiring { controller: NodeId(0), brokers: vec![(BrokerId(1), NodeId(1))], topics: Vec::new() };
        let mut broker = Broker::new(Settings::default(), wiring, BrokerId(1));
        broker.step(Now::exact(Time::ZERO), Input::Start { incarnation: 1 }, &mut Effects::default());
        broker
    }

    #[test]
    fn a_full_disk_halts_a_broker_and_nothing_else_does() {
        for (incident, halts) in [(Incident::DiskFilled, true), (Incident::DiskFreed, false)] {
            let mut effects = Effects::default();
            broker().step(Now::exact(Time(1)), Input::Incident(incident), &mut effects);
            assert_eq!(effects.processes.contains(&Process::Halt), halts, "{incident}");
        }
    }

    #[test]
    fn what_the_cloud_grants_goes_before_the_settings_until_it_is_taken_back() {
        let mut broker = broker();
        let mut meet = |bytes_per_second| {
            let incident = Incident::Quota { bytes_per_second };
            broker.step(Now::exact(Time(1)), Input::Incident(incident), &mut Effects::default());
            broker.fetch_cap()
        };
        assert_eq!(meet(Some(Bytes(100))), 1_000);
        assert_eq!(meet(None), u64::MAX);
    }

    /// It was last asked for something when the record came; the system writes all the same.
    #[test]
    fn what_was_due_to_be_written_when_the_host_dies_is_on_the_disk() {
        let place = TopicPartition::new(0, 0);
        for (died, kept) in [(Time(29_000_000), 0), (Time(31_000_000), 1)] {
            let mut broker = broker();
            let mut replica = Replica::new(1);
            let payload = Payload::Record(Record::default());
            let entry = Entry { leader_epoch: 0, timestamp: Time(0), stamp: None, place: 0, payload };
            replica.push(entry, Time(1_000_000));
            broker.durable.replicas.insert(place, replica);
            broker.durable.last_seen = Time(1_000_000);
            broker.lose(Now::exact(died), DiskLoss::UnsyncedTail);
            assert_eq!(
                broker.durable.replicas.get(place).map(|replica| replica.log.end()),
                Some(kept),
                "{died}"
            );
        }
    }

    #[test]
    fn an_empty_disk_knows_nothing_of_the_cluster() {
        let mut broker = broker();
        assert!(broker.durable.last_seen == Time::ZERO);
        broker.durable.orderly = true;
        broker.lose(Now::exact(Time::ZERO), DiskLoss::Everything);
        assert_eq!(broker.durable, Durable::default());
    }
}
