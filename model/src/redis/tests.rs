use super::*;
use crate::incident::{DiskLoss, Incident};
use crate::machine::{Effects, Input, Machine, Now, Process, TimerEffect};
use crate::message;
use crate::record::NodeId;
use crate::rewind::Address;
use crate::units::Time;

const CLIENT: NodeId = NodeId(7);

fn registration(node: u32, incarnation: u32) -> Registration {
    let node = NodeId(node);
    let instance = InstanceId { node, incarnation };
    Registration { group: GroupId(0), address: Address::own(node), instance }
}

struct Bench {
    redis: Redis,
    now: Time,
    skew: Span,
}

impl Bench {
    fn new(persistence: Persistence) -> Bench {
        Bench::of(Settings { persistence, ..Settings::default() })
    }

    fn of(settings: Settings) -> Bench {
        let mut bench = Bench { redis: Redis::new(settings), now: Time(1_000_000), skew: Span::ZERO };
        bench.step(Input::Start { incarnation: 1 });
        bench
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        let now = Now { elapsed: self.now, wall: self.now + self.skew };
        self.redis.step(now, input, &mut effects);
        effects
    }

    fn ask(&mut self, request: Request) -> Response {
        let message = Message::Request(RequestId::default(), request);
        let message = message::Message::Redis(Box::new(message));
        let effects = self.step(Input::Message { from: CLIENT, message });
        for timer in effects.timers {
            if let TimerEffect::Set(timer, _) = timer {
                assert_eq!(timer, snapshots::SAVE);
            }
        }
        match &effects.sends[..] {
            [(CLIENT, message::Message::Redis(message))] => match &**message {
                Message::Response(_, response) => response.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, value: Registration, seconds: u64) {
        let key = Key { group: value.group, instance: value.instance };
        let request = Request::Set { key, value, time_to_live: Span::secs(seconds) };
        assert_eq!(self.ask(request), Response::Done);
    }

    fn found(&mut self) -> Vec<Registration> {
        match self.ask(Request::Scan { group: GroupId(0) }) {
            Response::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }

    fn crash(&mut self) {
        self.redis.crash();
        self.step(Input::Start { incarnation: 2 });
    }
}

#[test]
fn a_key_is_gone_after_its_time_by_the_servers_clock_unless_it_is_set_again() {
    let mut bench = Bench::new(Persistence::None);
    bench.set(registration(1, 1), 30);
    bench.set(registration(2, 1), 30);
    bench.now += Span::secs(20);
    bench.set(registration(2, 1), 30);
    assert_eq!(bench.found().len(), 2);
    bench.now += Span::secs(10);
    assert_eq!(bench.found(), [registration(2, 1)]);
    bench.skew = Span::secs(20);
    assert!(bench.found().is_empty());
}

#[test]
fn each_life_has_a_key_of_its_own_and_only_its_group_is_scanned() {
    let mut bench = Bench::new(Persistence::None);
    bench.set(registration(1, 1), 30);
    bench.set(registration(1, 2), 30);
    bench.set(Registration { group: GroupId(1), ..registration(3, 1) }, 30);
    assert_eq!(bench.found(), [registration(1, 1), registration(1, 2)]);
    let key = Key { group: GroupId(0), instance: registration(1, 1).instance };
    assert_eq!(bench.ask(Request::Delete { key }), Response::Done);
    assert_eq!(bench.ask(Request::Delete { key }), Response::Done);
    assert_eq!(bench.found(), [registration(1, 2)]);
}

#[test]
fn without_persistence_a_restart_forgets_everything() {
    let mut bench = Bench::new(Persistence::None);
    bench.set(registration(1, 1), 30);
    bench.step(Input::Terminate);
    bench.crash();
    assert!(bench.found().is_empty());
}

#[test]
fn a_crash_finds_the_last_snapshot_and_a_stop_in_good_order_everything() {
    let mut bench = Bench::new(Persistence::Snapshot);
    for life in 1..=100 {
        bench.set(registration(1, life), 3_600);
    }
    bench.now += Span::secs(300);
    bench.step(Input::Timer(snapshots::SAVE));
    bench.set(registration(2, 1), 3_600);
    bench.crash();
    assert_eq!(bench.found().len(), 100);
    bench.set(registration(2, 1), 3_600);
    bench.step(Input::Terminate);
    bench.crash();
    assert_eq!(bench.found().len(), 101);
    bench.now += Span::secs(3_600);
    bench.crash();
    assert!(bench.found().is_empty());
}

#[test]
fn a_snapshot_is_due_at_the_first_point_that_has_its_writes() {
    let settings = Settings::default();
    let mut effects = Effects::default();
    let mut unsaved = snapshots::Unsaved::since(Time::ZERO);
    for _ in 0..99 {
        assert!(!unsaved.wrote(&settings, Time(5), &mut effects));
    }
    let due = |effects: &Effects| effects.timers.clone();
    let hour = Span::secs(3_600).saturating_sub(Span(5));
    assert_eq!(due(&effects), [TimerEffect::Set(snapshots::SAVE, crate::machine::After::Exactly(hour))]);
    effects.clear();
    assert!(!unsaved.wrote(&settings, Time(5), &mut effects));
    let minutes = Span::secs(300).saturating_sub(Span(5));
    assert_eq!(due(&effects), [TimerEffect::Set(snapshots::SAVE, crate::machine::After::Exactly(minutes))]);
    assert!(unsaved.wrote(&settings, Time::ZERO + Span::secs(300), &mut effects));
}

#[test]
fn a_file_that_is_appended_to_loses_what_was_not_forced_to_disk() {
    let mut bench = Bench::new(Persistence::AppendOnly);
    bench.set(registration(1, 1), 30);
    bench.now += Span::secs(1);
    bench.step(Input::Timer(snapshots::SAVE));
    bench.set(registration(2, 1), 30);
    bench.crash();
    assert_eq!(bench.found(), [registration(1, 1)]);
}

impl Bench {
    fn sets(&mut self, value: Registration) -> Response {
        let key = Key { group: value.group, instance: value.instance };
        self.ask(Request::Set { key, value, time_to_live: Span::secs(900) })
    }

    fn saves(&mut self, after: Span) -> Effects {
        self.now += after;
        self.step(Input::Timer(snapshots::SAVE))
    }
}

#[test]
fn a_snapshot_that_fails_stops_the_writes_until_one_succeeds() {
    let mut bench = Bench::new(Persistence::Snapshot);
    bench.step(Input::Incident(Incident::DiskFilled));
    for incarnation in 1..=100 {
        assert_eq!(bench.sets(registration(1, incarnation)), Response::Done, "no snapshot was tried yet");
    }
    let effects = bench.saves(Span::secs(300));
    assert!(matches!(effects.timers[..], [TimerEffect::Set(snapshots::SAVE, _)]), "{:?}", effects.timers);
    assert_eq!(bench.sets(registration(2, 1)), Response::Refused);
    assert_eq!(bench.found().len(), 100, "it can be read");
    assert!(bench.step(Input::Terminate).processes.is_empty(), "it cannot save, and so goes on");
    bench.saves(Span::secs(5));
    assert_eq!(bench.sets(registration(2, 1)), Response::Refused);
    bench.step(Input::Incident(Incident::DiskFreed));
    assert_eq!(bench.sets(registration(2, 1)), Response::Refused, "until the next attempt");
    bench.saves(Span::secs(5));
    assert_eq!(bench.sets(registration(2, 1)), Response::Done);
    bench.crash();
    assert_eq!(bench.found().len(), 100);
}

#[test]
fn writes_go_on_in_memory_where_nobody_minds_that_a_snapshot_failed() {
    let mut bench = Bench::of(Settings { stop_writes_on_save_error: false, ..Settings::default() });
    bench.step(Input::Incident(Incident::DiskFilled));
    bench.set(registration(1, 1), 900);
    bench.saves(Span::secs(3_600));
    assert_eq!(bench.sets(registration(2, 1)), Response::Done);
    bench.crash();
    assert!(bench.found().is_empty());
    let mut bench = Bench::new(Persistence::None);
    bench.step(Input::Incident(Incident::DiskFilled));
    assert_eq!(
        (bench.sets(registration(1, 1)), bench.sets(registration(1, 2))),
        (Response::Done, Response::Done)
    );
}

#[test]
fn an_appended_file_that_cannot_be_written_stops_the_writes_behind_the_first() {
    let mut bench = Bench::new(Persistence::AppendOnly);
    bench.step(Input::Incident(Incident::DiskFilled));
    assert_eq!(bench.sets(registration(1, 1)), Response::Done);
    assert_eq!(bench.sets(registration(2, 1)), Response::Refused);
    bench.step(Input::Incident(Incident::DiskFreed));
    bench.saves(Span::secs(1));
    assert_eq!(bench.sets(registration(2, 1)), Response::Done);
    bench.crash();
    assert_eq!(bench.found(), [registration(1, 1)]);
}

#[test]
fn redis_exits_where_each_write_must_be_on_disk_and_cannot() {
    let persistence = Persistence::AppendOnly;
    let mut bench =
        Bench::of(Settings { persistence, append_sync_interval: Span::ZERO, ..Settings::default() });
    bench.step(Input::Incident(Incident::DiskFilled));
    let value = registration(1, 1);
    let key = Key { group: value.group, instance: value.instance };
    let request = Request::Set { key, value, time_to_live: Span::secs(9) };
    let message = Message::Request(RequestId::default(), request);
    let message = message::Message::Redis(Box::new(message));
    assert_eq!(bench.step(Input::Message { from: CLIENT, message }).processes, [Process::Exit]);
}

#[test]
fn a_lost_disk_loads_nothing_and_a_lost_tail_what_was_forced_to_it() {
    for (loss, found) in [(DiskLoss::UnsyncedTail, 1), (DiskLoss::Everything, 0)] {
        let mut bench = Bench::new(Persistence::AppendOnly);
        bench.set(registration(1, 1), 900);
        bench.saves(Span::secs(1));
        bench.set(registration(2, 1), 900);
        bench.redis.crash();
        bench.redis.lose(Now::exact(Time::ZERO), loss);
        bench.step(Input::Start { incarnation: 2 });
        assert_eq!(bench.found().len(), found, "{loss:?}");
    }
}
