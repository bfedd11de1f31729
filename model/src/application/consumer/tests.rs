use super::*;
use crate::application::consumer_settings::CommitPolicy;
use crate::application::scripted::{Asked, ScriptedConsumer};
use crate::application::timer_index;
use crate::client::{Assigned, Received};
use crate::deployment;
use crate::history::Event;
use crate::machine::{After, Process, RequestId, TimerEffect};
use crate::record::{Offset, Record, RecordId};
use crate::switch::{self, Switches};
use crate::units::{Span, Time};

const CENTRE: NodeId = NodeId(3);
const DEPLOYMENT: NodeId = NodeId(4);
const REDIS: NodeId = NodeId(5);
const OWN: NodeId = NodeId(6);
const GROUP: GroupId = GroupId(0);
const FIRST: TopicPartition = TopicPartition::new(0, 0);
const SECOND: TopicPartition = TopicPartition::new(0, 1);

mod rewinds;

struct Bench {
    application: ConsumerApplication<ScriptedConsumer, ScriptedConsumer>,
    version: u64,
    wall: Time,
    /// Counts the commands to go back.
    attempts: u32,
    last: Effects,
    events: Vec<Event>,
    processes: Vec<Process>,
}

impl Bench {
    fn new(settings: Settings, ordered: bool, new_client: bool) -> Bench {
        let switch_centre = new_client.then_some(CENTRE);
        let registry = new_client.then_some(Registry { redis: REDIS, node: OWN });
        let setup = ConsumerSetup { group: GROUP, ordered, switch_centre, deployment: DEPLOYMENT, registry };
        let library = ScriptedConsumer::default();
        let application = ConsumerApplication::new(settings, setup, library.clone(), library);
        let (events, processes) = (vec![], vec![]);
        let mut bench = Bench {
            application,
            version: 0,
            wall: Time::ZERO,
            attempts: 0,
            last: Effects::default(),
            events,
            processes,
        };
        bench.step(Input::Start { incarnation: 1 });
        bench
    }

    /// An OldClient of an ordered group that has both partitions from offset 0, and three records in each.
    fn ordered() -> Bench {
        let mut bench = Bench::new(Settings::default(), true, false);
        bench.grant(&[FIRST, SECOND]);
        bench.buffer(FIRST, 0..3);
        bench.buffer(SECOND, 0..3);
        bench
    }

    /// A NewClient that reads from Kafka.
    fn upgraded(settings: Settings, ordered: bool) -> Bench {
        let mut bench = Bench::new(settings, ordered, true);
        bench.push(Queue::Kafka, false);
        bench.grant(&[FIRST, SECOND]);
        bench
    }

    fn step(&mut self, input: Input) {
        let mut effects = Effects::default();
        self.application.step(Now { wall: self.wall, ..Now::exact(Time::ZERO) }, input, &mut effects);
        self.events.extend(effects.events.iter().cloned());
        self.processes.extend(effects.processes.iter().copied());
        self.last = effects;
    }

    fn poke(&mut self) {
        self.step(Input::Disconnected(NodeId(99)));
    }

    fn push(&mut self, queue: Queue, paused: bool) {
        self.version += 1;
        let paused = if paused { vec![GROUP] } else { vec![] };
        let read = vec![(GROUP, queue)];
        let switches = Switches { version: self.version, read, paused, ..Switches::default() };
        let message = Message::Switch(Box::new(switch::Message::Push(switches)));
        self.step(Input::Message { from: CENTRE, message });
    }

    fn opened(&mut self) -> &mut ScriptedConsumer {
        match self.application.volatile.opened.as_mut().unwrap() {
            Library::Corgi(library) | Library::Kafka(library) => library,
        }
    }

    fn tell(&mut self, change: Assigned) {
        self.opened().changes.push_back(change);
        self.poke();
    }

    fn grant(&mut self, partitions: &[TopicPartition]) {
        self.tell(Assigned::Granted(partitions.iter().map(|partition| (*partition, 0)).collect()));
    }

    fn buffer(&mut self, partition: TopicPartition, offsets: std::ops::Range<Offset>) {
        for offset in offsets {
            let sequence = u32::from(partition.partition) * 100 + u32::try_from(offset).unwrap();
            let id = RecordId { producer: 0, sequence };
            let record = Record { id, source: partition.partition, copied_from: -1, ..Record::default() };
            self.opened().buffered.push_back(Received { partition, offset, record });
        }
        self.poke();
    }

    fn finish(&mut self, worker: u64) {
        self.step(Input::Timer(Timer::new(PROCESS, worker)));
    }

    fn delivered(&self) -> Vec<(u16, Offset)> {
        let delivered = |event: &Event| match event {
            Event::Delivered { partition, offset, .. } => Some((partition.partition, *offset)),
            _ => None,
        };
        self.events.iter().filter_map(delivered).collect()
    }

    fn asked(&mut self, asked: &Asked) -> bool {
        self.opened().asked.contains(asked)
    }

    fn report(&mut self) -> (Queue, bool, u32) {
        let message = Message::ReportRequest(RequestId::default());
        self.step(Input::Message { from: NodeId(1), message });
        let [(NodeId(1), Message::Report(_, report))] = &self.last.sends[..] else { panic!("one report") };
        let Report::Consumer { reading, paused, assigned, .. } = **report else {
            panic!("a consumer's report")
        };
        (reading, paused, assigned)
    }

    fn said(&self, message: &deployment::Message) -> bool {
        self.last.sends.contains(&(DEPLOYMENT, Message::Deployment(Box::new(message.clone()))))
    }
}

#[test]
fn an_ordered_group_processes_one_record_of_each_partition_at_a_time() {
    let mut bench = Bench::ordered();
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0)]);
    bench.finish(timer_index(SECOND));
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0), (1, 1)]);
    bench.finish(timer_index(FIRST));
    assert_eq!(bench.delivered().last(), Some(&(0, 1)));
    assert!(!bench.asked(&Asked::Commit(vec![(FIRST, 1), (SECOND, 1)])));
    bench.step(Input::Timer(COMMIT));
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 1), (SECOND, 1)])));
}

#[test]
fn a_pool_commits_below_the_first_record_that_is_not_processed() {
    let settings = Settings { workers: 3, commit_interval: Span::ZERO, ..Settings::default() };
    let mut bench = Bench::upgraded(settings, false);
    bench.buffer(FIRST, 0..4);
    assert_eq!(bench.delivered(), vec![(0, 0), (0, 1), (0, 2)]);
    bench.finish(1);
    assert_eq!(bench.delivered().last(), Some(&(0, 3)));
    bench.finish(2);
    assert_eq!(bench.opened().asked, vec![Asked::Start(1)]);
    bench.finish(0);
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 3)])));
}

#[test]
fn committing_what_was_delivered_runs_ahead_of_the_work() {
    let settings = Settings { commit: CommitPolicy::Delivered, ..Settings::default() };
    let mut bench = Bench::upgraded(settings, false);
    bench.buffer(FIRST, 0..4);
    bench.step(Input::Timer(COMMIT));
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 4)])));
}

#[test]
fn what_is_revoked_is_finished_and_committed_before_it_is_released() {
    let mut bench = Bench::ordered();
    bench.tell(Assigned::Revoked(vec![FIRST]));
    assert!(!bench.asked(&Asked::Release));
    bench.finish(timer_index(SECOND));
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0), (1, 1)]);
    bench.finish(timer_index(FIRST));
    let expected = [Asked::Start(1), Asked::Commit(vec![(FIRST, 1)]), Asked::Release];
    assert_eq!(bench.opened().asked, expected);
    let revoked =
        Event::Revoked { group: GROUP, queue: Queue::Corgi, partitions: vec![FIRST], orderly: true };
    assert_eq!(bench.events.last(), Some(&revoked));
    assert_eq!(bench.report(), (Queue::Corgi, false, 1));
}

#[test]
fn an_unordered_group_does_not_wait_before_it_releases() {
    let mut bench = Bench::upgraded(Settings::default(), false);
    bench.buffer(FIRST, 0..2);
    bench.finish(0);
    bench.tell(Assigned::Revoked(vec![FIRST]));
    assert_eq!(bench.opened().asked[1..], [Asked::Commit(vec![(FIRST, 1)]), Asked::Release]);
    bench.finish(1);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.opened().asked.len(), 3);
}

#[test]
fn a_record_of_a_lost_partition_is_processed_and_not_committed() {
    let mut bench = Bench::ordered();
    bench.tell(Assigned::Lost(vec![FIRST, SECOND]));
    bench.finish(timer_index(FIRST));
    let processed = |event: &&Event| matches!(event, Event::Processed { .. });
    assert_eq!(bench.events.iter().filter(processed).count(), 1);
    bench.step(Input::Timer(COMMIT));
    assert_eq!(bench.opened().asked, vec![Asked::Start(1)]);
    // It comes back while the record from before is still in process: its worker is busy.
    bench.grant(&[SECOND]);
    bench.buffer(SECOND, 0..1);
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0)]);
    bench.finish(timer_index(SECOND));
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0), (1, 0)]);
}

#[test]
fn partitions_lost_before_their_release_are_not_released() {
    let mut bench = Bench::ordered();
    bench.tell(Assigned::Revoked(vec![FIRST, SECOND]));
    bench.tell(Assigned::Lost(vec![FIRST, SECOND]));
    bench.finish(timer_index(FIRST));
    bench.finish(timer_index(SECOND));
    assert_eq!(bench.opened().asked, vec![Asked::Start(1)]);
}

#[test]
fn a_new_client_consumes_nothing_before_it_has_heard_the_switches() {
    let mut bench = Bench::new(Settings::default(), true, true);
    assert!(bench.application.volatile.opened.is_none());
    assert!(!bench.said(&deployment::Message::Ready));
    bench.push(Queue::Kafka, false);
    assert!(bench.said(&deployment::Message::Ready));
    assert_eq!(bench.report(), (Queue::Kafka, false, 0));
    let settings = Settings { start_without_switches: true, ..Settings::default() };
    let mut bench = Bench::new(settings, true, true);
    assert!(bench.said(&deployment::Message::Ready));
    assert_eq!(bench.report(), (Queue::Corgi, false, 0));
}

#[test]
fn a_pause_is_reported_when_nothing_is_in_process_and_lasts_over_a_reassignment() {
    let mut bench = Bench::upgraded(Settings::default(), true);
    bench.buffer(FIRST, 0..3);
    bench.push(Queue::Kafka, true);
    assert_eq!(bench.report(), (Queue::Kafka, false, 2));
    bench.finish(timer_index(FIRST));
    assert_eq!(bench.report(), (Queue::Kafka, true, 2));
    assert_eq!(bench.events.last(), Some(&Event::Paused { group: GROUP, paused: true }));
    bench.tell(Assigned::Revoked(vec![FIRST, SECOND]));
    bench.grant(&[FIRST, SECOND]);
    bench.buffer(FIRST, 1..3);
    assert_eq!(bench.delivered(), vec![(0, 0)]);
    bench.push(Queue::Kafka, false);
    assert_eq!(bench.delivered(), vec![(0, 0), (0, 1)]);
    assert!(bench.asked(&Asked::Pause) && bench.asked(&Asked::Resume));
    assert!(bench.events.contains(&Event::Paused { group: GROUP, paused: false }));
}

#[test]
fn a_pause_that_belongs_to_the_assignment_is_lost_with_it() {
    let settings = Settings { pause_survives_reassignment: false, ..Settings::default() };
    let mut bench = Bench::new(settings, true, true);
    bench.push(Queue::Kafka, true);
    bench.grant(&[FIRST]);
    bench.buffer(FIRST, 0..1);
    assert_eq!(bench.delivered(), vec![]);
    bench.opened().assignments += 1;
    bench.grant(&[SECOND]);
    bench.buffer(SECOND, 0..1);
    assert_eq!(bench.delivered(), vec![(1, 0)]);
    bench.tell(Assigned::Revoked(vec![FIRST]));
    bench.opened().assignments += 1;
    bench.grant(&[FIRST]);
    bench.buffer(FIRST, 0..1);
    assert_eq!(bench.delivered(), vec![(1, 0), (0, 0)]);
}

#[test]
fn such_a_pause_lasts_over_an_assignment_that_comes_in_pieces() {
    let settings = Settings { pause_survives_reassignment: false, ..Settings::default() };
    let mut bench = Bench::new(settings, true, true);
    bench.push(Queue::Kafka, true);
    bench.opened().assignments = 1;
    for partition in [FIRST, SECOND] {
        bench.grant(&[partition]);
        bench.buffer(partition, 0..1);
    }
    assert_eq!((bench.delivered(), bench.asked(&Asked::Resume)), (vec![], false));
}

#[test]
fn a_read_switch_finishes_and_commits_the_old_queue_before_it_joins_the_new_one() {
    let mut bench = Bench::new(Settings::default(), true, true);
    bench.push(Queue::Corgi, false);
    bench.grant(&[FIRST]);
    bench.buffer(FIRST, 0..2);
    bench.push(Queue::Kafka, false);
    bench.opened().unanswered_commits = true;
    bench.finish(timer_index(FIRST));
    assert_eq!(bench.delivered(), vec![(0, 0)]);
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 1)])));
    assert_eq!(bench.report(), (Queue::Corgi, false, 1));
    bench.opened().unanswered_commits = false;
    bench.poke();
    assert_eq!(bench.report(), (Queue::Kafka, false, 0));
    // The second library of the process has a life of its own.
    assert_eq!(bench.opened().asked, vec![Asked::Start(1 << 20 | 1)]);
}

#[test]
fn asked_to_stop_it_finishes_commits_leaves_and_says_so() {
    let mut bench = Bench::ordered();
    bench.step(Input::Terminate);
    bench.finish(timer_index(FIRST));
    assert_eq!(bench.processes, vec![]);
    bench.opened().unanswered_commits = true;
    bench.finish(timer_index(SECOND));
    assert_eq!(bench.delivered(), vec![(0, 0), (1, 0)]);
    assert!(bench.asked(&Asked::Commit(vec![(FIRST, 1), (SECOND, 1)])));
    assert_eq!(bench.processes, vec![]);
    // No answer comes: it does not wait for ever.
    bench.step(Input::Timer(CLOSE));
    assert_eq!(bench.processes, vec![Process::Exit]);
    assert!(bench.said(&deployment::Message::Exiting));
}

#[test]
fn an_instance_that_dies_late_goes_on_as_before() {
    let settings = Settings { stop_delay: Span::secs(60), ..Settings::default() };
    let mut bench = Bench::new(settings, true, false);
    bench.grant(&[FIRST]);
    bench.step(Input::Terminate);
    assert_eq!(bench.last.timers, vec![TimerEffect::Set(STOP, After::Exactly(Span::secs(60)))]);
    bench.buffer(FIRST, 0..1);
    assert_eq!(bench.delivered(), vec![(0, 0)]);
    bench.step(Input::Timer(STOP));
    bench.finish(timer_index(FIRST));
    assert_eq!(bench.processes, vec![Process::Exit]);
}

#[test]
fn a_crash_forgets_what_was_in_process() {
    let mut bench = Bench::ordered();
    bench.application.crash();
    bench.step(Input::Start { incarnation: 2 });
    assert!(bench.application.volatile.tasks.is_empty());
    assert_eq!(bench.opened().asked, vec![Asked::Start(2)]);
    bench.finish(timer_index(FIRST));
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Processed { .. })));
}

#[test]
fn an_idle_instance_has_no_timer_but_the_long_one() {
    let mut bench = Bench::upgraded(Settings::default(), true);
    bench.step(Input::Timer(SUBSCRIBE));
    assert_eq!(bench.last.timers, vec![TimerEffect::Set(SUBSCRIBE, After::Exactly(Span::secs(30)))]);
    bench.poke();
    assert!(bench.last.timers.is_empty());
}

#[test]
fn a_probe_of_the_deployment_is_answered_with_ready() {
    let mut bench = Bench::new(Settings::default(), true, false);
    let message = Message::ReportRequest(RequestId::default());
    bench.step(Input::Message { from: DEPLOYMENT, message });
    assert!(bench.said(&deployment::Message::Ready));
}

#[test]
fn a_commit_that_may_be_lost_is_repeated() {
    let mut bench = Bench::ordered();
    bench.finish(timer_index(FIRST));
    bench.step(Input::Timer(COMMIT));
    assert!(bench.last.timers.contains(&TimerEffect::Set(COMMIT, After::Exactly(Span::secs(30)))));
    bench.step(Input::Timer(COMMIT));
    let commit = Asked::Commit(vec![(FIRST, 1)]);
    assert_eq!(bench.opened().asked, vec![Asked::Start(1), commit.clone(), commit]);
    assert!(bench.last.events.is_empty());
}

#[test]
fn what_is_revoked_meanwhile_is_released_together_with_what_is_finished_last() {
    let mut bench = Bench::ordered();
    bench.tell(Assigned::Revoked(vec![FIRST]));
    bench.tell(Assigned::Revoked(vec![SECOND]));
    bench.finish(timer_index(FIRST));
    assert!(!bench.asked(&Asked::Release));
    bench.finish(timer_index(SECOND));
    let expected = [Asked::Start(1), Asked::Commit(vec![(FIRST, 1), (SECOND, 1)]), Asked::Release];
    assert_eq!(bench.opened().asked, expected);
}

#[test]
fn a_revocation_of_nothing_is_released_too() {
    let mut bench = Bench::ordered();
    bench.tell(Assigned::Revoked(vec![]));
    assert!(bench.asked(&Asked::Release));
}
