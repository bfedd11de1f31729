use super::*;
use crate::client::{Assigned, SendOutcome};
use crate::history::Event;
use crate::machine::{RequestId, TimerEffect};
use crate::mirror::PartitionMap;
use crate::mirror::fakes::{FakeCorgi, FakeKafka, received};
use crate::mirror::settings::OnFailure;
use crate::record::{Offset, Queue, Record};
use crate::units::{Span, Time};

const P: TopicPartition = TopicPartition::new(0, 0);
const Q: TopicPartition = TopicPartition::new(0, 1);
const NOBODY: Input = Input::Disconnected(NodeId(99));

type Fake = Worker<FakeCorgi, FakeKafka>;

/// A worker that runs, with a hand to move its libraries.
struct Bench {
    worker: Fake,
    effects: Effects,
}

impl Bench {
    fn new(settings: Settings) -> Bench {
        Bench::going(settings, Direction::IntoKafka, false)
    }

    fn going(settings: Settings, direction: Direction, leaves_copies: bool) -> Bench {
        let topics = vec![MirroredTopic { topic: TopicId(0), target_partitions: 4 }];
        let wiring = Wiring {
            worker: 0,
            deployment: NodeId(1),
            brokers: vec![NodeId(2)],
            group: GroupId(7),
            topics,
            direction,
            leaves_copies,
        };
        let worker = Worker::new(settings, wiring, FakeCorgi::default(), FakeKafka::default());
        let mut bench = Bench { worker, effects: Effects::default() };
        bench.step(Input::Start { incarnation: 1 });
        bench
    }

    fn holding(settings: Settings, start: Offset) -> Bench {
        let mut bench = Bench::new(settings);
        bench.assign(Assigned::Granted(vec![(P, start), (Q, start)]));
        bench
    }

    fn step(&mut self, input: Input) {
        self.effects.clear();
        self.worker.step(Now::exact(Time(1)), input, &mut self.effects);
    }

    fn corgi(&mut self) -> &mut FakeCorgi {
        &mut self.worker.volatile.as_mut().unwrap().consumer
    }

    fn kafka(&mut self) -> &mut FakeKafka {
        &mut self.worker.volatile.as_mut().unwrap().producer
    }

    fn assign(&mut self, assigned: Assigned) {
        self.corgi().assigned.push_back(assigned);
        self.step(NOBODY);
    }

    fn receive(&mut self, partition: TopicPartition, offsets: std::ops::Range<Offset>) {
        self.corgi().records.extend(offsets.map(|offset| received(partition, offset)));
        self.step(NOBODY);
    }

    fn settle(&mut self, offset: Offset, outcome: SendOutcome) {
        self.kafka().settle(offset, outcome);
        self.step(NOBODY);
    }

    fn acknowledge(&mut self, offset: Offset) {
        self.settle(offset, SendOutcome::Acknowledged(P, 100 + offset));
    }

    fn exits(&self) -> bool {
        self.effects.processes.contains(&Process::Exit)
    }

    fn sets(&self, timer: Timer) -> Option<&TimerEffect> {
        self.effects.timers.iter().find(|effect| matches!(effect, TimerEffect::Set(set, _) if *set == timer))
    }
}

fn settings() -> Settings {
    Settings { partition_map: PartitionMap::Same, ..Settings::default() }
}

fn on_failure(on_failure: OnFailure) -> Settings {
    Settings { on_failure, ..settings() }
}

#[test]
fn a_worker_is_ready_when_it_starts() {
    let bench = Bench::new(settings());
    let ready = Message::Deployment(Box::new(deployment::Message::Ready));
    assert_eq!(bench.effects.sends, vec![(NodeId(1), ready)]);
}

#[test]
fn a_copy_keeps_the_record_and_says_where_it_comes_from() {
    let mut bench = Bench::holding(settings(), 5);
    bench.receive(Q, 5..6);
    let (_, target, record) = bench.kafka().sent[0];
    let original = received(Q, 5).record;
    assert_eq!(target, Q);
    assert_eq!(record, Record { copied_from: 5, ..original });
}

#[test]
fn only_acknowledged_offsets_are_committed_when_the_interval_is_over() {
    let mut bench = Bench::holding(settings(), 0);
    bench.receive(P, 0..3);
    assert_eq!(bench.sets(COMMIT), None);
    bench.acknowledge(1);
    assert!(bench.sets(COMMIT).is_some());
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, Vec::<Vec<_>>::new());
    bench.acknowledge(0);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, vec![vec![(P, 2)]]);
    assert_eq!(bench.effects.events, vec![Event::MirrorCommitted { source: P, offset: 2 }]);
}

#[test]
fn before_the_acknowledgement_everything_handed_over_is_committed() {
    let mut bench = Bench::holding(Settings { commit: Commit::BeforeAcknowledgement, ..settings() }, 0);
    bench.receive(P, 0..3);
    assert!(bench.sets(COMMIT).is_some());
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, vec![vec![(P, 3)]]);
}

#[test]
fn the_limit_in_flight_holds_receiving_back() {
    let mut bench = Bench::holding(Settings { in_flight: 2, ..settings() }, 0);
    bench.receive(P, 0..4);
    assert_eq!(bench.kafka().offsets(), vec![0, 1]);
    bench.acknowledge(0);
    assert_eq!(bench.kafka().offsets(), vec![1, 2]);
}

#[test]
fn an_orderly_rebalance_flushes_commits_and_then_releases() {
    let mut bench = Bench::holding(settings(), 0);
    bench.corgi().slow_commits = true;
    bench.receive(P, 0..2);
    bench.assign(Assigned::Revoked(vec![P]));
    bench.receive(Q, 0..1);
    assert_eq!(bench.kafka().offsets(), vec![0, 1], "nothing new while the rebalance waits");
    bench.acknowledge(0);
    assert_eq!(bench.corgi().releases, 0);
    bench.acknowledge(1);
    assert_eq!(bench.corgi().commits, vec![vec![(P, 2)]]);
    assert_eq!(bench.corgi().releases, 1);
    let revoked =
        Event::Revoked { group: GroupId(7), queue: Queue::Corgi, partitions: vec![P], orderly: true };
    assert!(bench.effects.events.contains(&revoked));
    assert_eq!(bench.kafka().offsets(), vec![0], "the other partition goes on");
    bench.corgi().answer();
    bench.step(NOBODY);
    assert_eq!(bench.effects.events, vec![Event::MirrorCommitted { source: P, offset: 2 }]);
}

#[test]
fn without_a_flush_what_is_in_flight_lands_after_the_release() {
    let mut bench = Bench::holding(Settings { flush_on_revoke: false, ..settings() }, 0);
    bench.receive(P, 0..2);
    bench.assign(Assigned::Revoked(vec![P]));
    assert_eq!(bench.corgi().releases, 1);
    assert_eq!(bench.kafka().offsets(), vec![0, 1]);
    bench.acknowledge(0);
    assert!(matches!(bench.effects.events[..], [Event::Copied { source_offset: 0, .. }]));
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, Vec::<Vec<_>>::new());
}

#[test]
fn what_a_zombie_has_in_flight_lands_and_is_never_committed() {
    let mut bench = Bench::holding(on_failure(OnFailure::Retry), 0);
    bench.receive(P, 0..3);
    bench.settle(2, SendOutcome::Indeterminate);
    bench.assign(Assigned::Lost(vec![P, Q]));
    bench.acknowledge(0);
    assert!(matches!(bench.effects.events[..], [Event::Copied { source_offset: 0, .. }]));
    bench.step(Input::Timer(RETRY));
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.kafka().offsets(), vec![1], "what waited to be sent again is dropped");
    assert_eq!(bench.corgi().commits, Vec::<Vec<_>>::new());
}

#[test]
fn each_commit_is_told_with_its_own_answer_also_when_its_partition_is_lost_by_then() {
    let mut bench = Bench::holding(settings(), 0);
    bench.corgi().slow_commits = true;
    bench.receive(P, 0..1);
    bench.receive(Q, 0..1);
    bench.acknowledge(0);
    bench.acknowledge(0);
    bench.step(Input::Timer(COMMIT));
    assert!(bench.corgi().committing && bench.effects.events.is_empty());
    bench.assign(Assigned::Lost(vec![P]));
    // Of the two, one master has answered; the other has refused, or is not heard of.
    bench.corgi().acknowledged.push_back((P, 1));
    bench.step(NOBODY);
    assert_eq!(bench.effects.events, vec![Event::MirrorCommitted { source: P, offset: 1 }]);
}

#[test]
fn a_revocation_that_is_overtaken_by_the_loss_ends() {
    let mut bench = Bench::holding(settings(), 0);
    bench.receive(P, 0..1);
    bench.assign(Assigned::Revoked(vec![P, Q]));
    bench.assign(Assigned::Lost(vec![P, Q]));
    bench.assign(Assigned::Granted(vec![(Q, 3)]));
    bench.receive(Q, 3..4);
    assert_eq!(bench.kafka().offsets(), vec![0, 3]);
}

#[test]
fn a_skipped_record_is_committed_over() {
    let mut bench = Bench::holding(on_failure(OnFailure::Skip), 0);
    bench.receive(P, 0..2);
    bench.settle(0, SendOutcome::Refused);
    assert!(matches!(bench.effects.events[..], [Event::Skipped { source_offset: 0, .. }]));
    bench.acknowledge(1);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, vec![vec![(P, 2)]]);
}

#[test]
fn a_record_that_is_sent_again_goes_before_its_later_ones_and_other_partitions_go_on() {
    let mut bench = Bench::holding(on_failure(OnFailure::Retry), 0);
    bench.receive(P, 0..3);
    bench.settle(1, SendOutcome::Indeterminate);
    assert!(bench.sets(RETRY).is_some());
    let failed =
        |event: &Event| matches!(event, Event::CopyFailed { from: Queue::Corgi, source_offset: 1, .. });
    assert!(bench.effects.events.iter().any(failed), "{:?}", bench.effects.events);
    bench.receive(P, 3..4);
    bench.receive(Q, 10..12);
    assert_eq!(bench.kafka().offsets(), vec![0, 2, 10, 11]);
    bench.settle(2, SendOutcome::Refused);
    bench.step(Input::Timer(RETRY));
    assert_eq!(bench.kafka().offsets(), vec![0, 10, 11], "the first is still in flight");
    bench.acknowledge(0);
    bench.step(Input::Timer(RETRY));
    assert_eq!(bench.kafka().offsets(), vec![10, 11, 1, 2, 3]);
}

#[test]
fn a_worker_that_stops_at_a_failure_commits_nothing() {
    let mut bench = Bench::holding(on_failure(OnFailure::Stop), 0);
    bench.receive(P, 0..2);
    bench.acknowledge(0);
    bench.settle(1, SendOutcome::TooLarge);
    assert!(bench.exits());
    assert!(matches!(bench.effects.events[..], [Event::StoppedAt { source_offset: 1, .. }]));
    assert_eq!(bench.effects.sends, vec![]);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.effects, Effects::default(), "a process that is gone does nothing");
}

#[test]
fn a_clean_stop_flushes_commits_leaves_and_exits() {
    let mut bench = Bench::holding(settings(), 0);
    bench.receive(P, 0..2);
    bench.step(Input::Terminate);
    bench.receive(P, 2..3);
    bench.acknowledge(0);
    assert!(!bench.exits());
    bench.corgi().slow_commits = true;
    bench.acknowledge(1);
    assert_eq!(bench.corgi().commits, vec![vec![(P, 2)]]);
    assert!(!bench.exits());
    bench.corgi().committing = false;
    bench.step(NOBODY);
    assert!(bench.exits());
    let exiting = Message::Deployment(Box::new(deployment::Message::Exiting));
    assert_eq!(bench.effects.sends, vec![(NodeId(1), exiting)]);
}

#[test]
fn a_report_tells_what_is_acknowledged_and_what_is_received() {
    let mut bench = Bench::holding(settings(), 4);
    bench.receive(P, 4..7);
    bench.acknowledge(4);
    let id = RequestId::default();
    bench.step(Input::Message { from: NodeId(3), message: Message::ReportRequest(id) });
    let report =
        Report::Mirror { copied: vec![(P, 5), (Q, 4)], source_ends: vec![(P, 7), (Q, 4)], held: vec![P, Q] };
    assert_eq!(bench.effects.sends, vec![(NodeId(3), Message::Report(id, Box::new(report)))]);
}

#[test]
fn without_the_carried_time_a_copy_is_created_by_the_worker() {
    let mut bench = Bench::holding(Settings { carry_create_time: false, ..settings() }, 0);
    bench.receive(P, 0..1);
    assert_eq!(bench.kafka().sent[0].2.created_at, Time(1));
}

/// Ten records; the target acknowledges all but two; a commit; a crash; a second life that copies to the end. The
/// source offsets that are in the target.
fn crash_at_commit(commit: Commit) -> Vec<Offset> {
    let mut bench = Bench::holding(Settings { commit, commit_interval: Span::secs(1), ..settings() }, 0);
    let mut log = Vec::new();
    bench.receive(P, 0..6);
    for offset in 0..3 {
        bench.acknowledge(offset);
        log.push(offset);
    }
    bench.step(Input::Timer(COMMIT));
    let committed = bench.corgi().commits.last().map_or(0, |offsets| offsets[0].1);
    // After the commit the target takes one more and acknowledges it; two are in the producer's buffer.
    bench.acknowledge(3);
    log.push(3);
    bench.worker.crash();
    bench.step(Input::Start { incarnation: 2 });
    bench.assign(Assigned::Granted(vec![(P, committed)]));
    bench.receive(P, committed..10);
    log.extend(bench.kafka().offsets());
    log
}

#[test]
fn a_crash_duplicates_after_the_acknowledgement_and_loses_before_it() {
    assert_eq!(crash_at_commit(Commit::AfterAcknowledgement), vec![0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(crash_at_commit(Commit::BeforeAcknowledgement), vec![0, 1, 2, 3, 6, 7, 8, 9]);
}

/// What may happen to a worker that commits after the acknowledgement.
#[derive(Clone, Debug)]
enum Happening {
    Receive(Offset),
    /// The producer's oldest record is acknowledged, or given up: written all the same, or not.
    Acknowledge,
    GiveUp {
        written: bool,
    },
    Commit,
    SendAgain,
    Crash,
    /// The lease is lost and comes back.
    Lose,
}

fn happening() -> impl proptest::strategy::Strategy<Value = Happening> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (1..5_i64).prop_map(Happening::Receive),
        8 => Just(Happening::Acknowledge),
        2 => any::<bool>().prop_map(|written| Happening::GiveUp { written }),
        2 => Just(Happening::Commit),
        2 => Just(Happening::SendAgain),
        1 => Just(Happening::Crash),
        1 => Just(Happening::Lose),
    ]
}

/// A worker, the source's end, what is committed there, and the target's log.
struct Copying {
    bench: Bench,
    lives: u32,
    end: Offset,
    committed: Offset,
    log: Vec<Offset>,
}

impl Copying {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Receive(count) => {
                self.bench.receive(P, self.end..self.end + count);
                self.end += count;
            }
            Happening::Acknowledge => self.settle(true, SendOutcome::Acknowledged(P, 0)),
            Happening::GiveUp { written } => self.settle(written, SendOutcome::Indeterminate),
            Happening::Commit => {
                self.bench.step(Input::Timer(COMMIT));
                let commits = std::mem::take(&mut self.bench.corgi().commits);
                self.committed = commits.last().map_or(self.committed, |offsets| offsets[0].1);
            }
            Happening::SendAgain => self.bench.step(Input::Timer(RETRY)),
            Happening::Crash => {
                self.lives += 1;
                self.bench.worker.crash();
                self.bench.step(Input::Start { incarnation: self.lives });
                self.grant();
            }
            Happening::Lose => {
                self.bench.corgi().records.clear();
                self.bench.assign(Assigned::Lost(vec![P]));
                self.grant();
            }
        }
    }

    fn grant(&mut self) {
        self.bench.assign(Assigned::Granted(vec![(P, self.committed)]));
        self.bench.receive(P, self.committed..self.end);
    }

    fn settle(&mut self, written: bool, outcome: SendOutcome) {
        let Some(offset) = self.bench.kafka().offsets().first().copied() else {
            return;
        };
        if written {
            self.log.push(offset);
        }
        self.bench.settle(offset, outcome);
    }
}

proptest::proptest! {
    #[test]
    fn after_the_acknowledgement_nothing_is_committed_that_the_target_does_not_have(
        happenings in proptest::collection::vec(happening(), 1..80),
        in_flight in 1..8_u32,
    ) {
        let settings = Settings { in_flight, ..on_failure(OnFailure::Retry) };
        let mut copying = Copying { bench: Bench::new(settings), lives: 1, end: 0, committed: 0, log: vec![] };
        copying.grant();
        for happening in happenings {
            copying.happen(happening);
            let has = |offset: Offset| copying.log.contains(&offset);
            proptest::prop_assert!((0..copying.committed).all(has), "{:?}", copying.log);
        }
        for _ in 0..3 {
            while !copying.bench.kafka().sent.is_empty() {
                copying.happen(Happening::Acknowledge);
            }
            copying.happen(Happening::SendAgain);
        }
        copying.happen(Happening::Commit);
        proptest::prop_assert_eq!(copying.committed, copying.end);
        proptest::prop_assert!((0..copying.end).all(|offset| copying.log.contains(&offset)));
    }
}

/// A worker of the reverse mirror that holds both partitions from their beginning.
fn going_back(settings: Settings) -> Bench {
    let mut bench = Bench::going(settings, Direction::BackIntoCorgi, true);
    bench.assign(Assigned::Granted(vec![(P, 0), (Q, 0)]));
    bench
}

/// A record that some mirror brought to where it is read.
fn brought(offset: Offset) -> Received {
    let mut brought = received(P, offset);
    brought.record.copied_from = 40 + offset;
    brought
}

#[test]
fn what_is_copied_back_is_the_same_record_and_is_due() {
    let mut bench = going_back(settings());
    let held = vec![P, Q];
    let granted = Event::Granted { group: GroupId(7), queue: Queue::Kafka, partitions: held };
    assert_eq!(bench.effects.events, vec![granted]);
    let mut delayed = received(Q, 0);
    delayed.record.delay = Span::secs(30);
    bench.corgi().records.push_back(delayed);
    bench.step(NOBODY);
    let (_, target, record) = bench.kafka().sent[0];
    assert_eq!((target, record), (Q, Record { copied_from: 0, ..received(Q, 0).record }));
    bench.settle(0, SendOutcome::Acknowledged(Q, 17));
    let record = record.id;
    let copied = Event::CopiedBack { record, source: Q, source_offset: 0, target: Q, target_offset: 17 };
    assert_eq!(bench.effects.events, vec![copied]);
}

#[test]
fn what_corgi_has_not_acknowledged_is_not_committed_and_comes_again_after_a_crash() {
    let mut bench = going_back(settings());
    bench.receive(P, 0..3);
    bench.acknowledge(0);
    bench.acknowledge(2);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, vec![vec![(P, 1)]]);
    assert_eq!(bench.effects.events, vec![Event::CommittedBack { source: P, offset: 1 }]);
    bench.worker.crash();
    bench.step(Input::Start { incarnation: 2 });
    bench.assign(Assigned::Granted(vec![(P, 1)]));
    bench.receive(P, 1..3);
    assert_eq!(bench.kafka().offsets(), vec![1, 2]);
}

#[test]
fn what_the_other_mirror_brought_is_left_alone_and_committed_over() {
    let mut bench = going_back(settings());
    bench.corgi().records.extend([brought(0), received(P, 1), brought(2)]);
    bench.step(NOBODY);
    assert_eq!(bench.kafka().offsets(), vec![1]);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits, vec![vec![(P, 1)]]);
    bench.acknowledge(1);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.corgi().commits[1], vec![(P, 3)]);
}

#[test]
fn without_the_header_each_direction_copies_what_the_other_one_brought() {
    for direction in [Direction::IntoKafka, Direction::BackIntoCorgi] {
        let mut bench = Bench::going(settings(), direction, false);
        bench.assign(Assigned::Granted(vec![(P, 0)]));
        bench.corgi().records.push_back(brought(0));
        bench.step(NOBODY);
        assert_eq!(bench.kafka().offsets(), vec![0]);
    }
}

#[test]
fn the_reverse_mirror_says_what_it_gives_up() {
    let given_up = |on_failure| {
        let mut bench = going_back(Settings { on_failure, ..settings() });
        bench.receive(P, 0..1);
        bench.settle(0, SendOutcome::TooLarge);
        (bench.effects.events.clone(), bench.exits())
    };
    let record = received(P, 0).record.id;
    let stopped = Event::StoppedBackAt { record, source: P, source_offset: 0 };
    assert_eq!(given_up(OnFailure::Stop), (vec![stopped], true));
    let skipped = Event::SkippedBack { record, source: P, source_offset: 0 };
    assert_eq!(given_up(OnFailure::Skip), (vec![skipped], false));
}
