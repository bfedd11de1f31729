//! The world with a toy machine: it answers a report request with an event, and beats a timer.

use super::*;
use crate::faults::{Domains, Tolerance};
use crate::random::Streams;
use cutover_model::hosts;
use cutover_model::incident::{DiskLoss, Incident};
use cutover_model::machine::{Now, RequestId, Timer};
use cutover_model::record::GroupId;
use cutover_model::rewind::{FIRST_PORT, HostId};

const BEAT: Timer = Timer::new("toy/beat", 0);
const ONCE: Timer = Timer::new("toy/once", 0);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Toy {
    other: Option<NodeId>,
    heard: u32,
    beats: u32,
    lost: u32,
    asked_to_stop: bool,
    /// Whether no incident can do anything to it.
    heedless: bool,
    met: Vec<Incident>,
    disks_lost: u32,
    /// Whether it answers each message.
    answers: bool,
    /// Whom it calls every second.
    calls: Option<Address>,
    placed: Option<Address>,
    unreachable: u32,
}

impl Machine for Toy {
    fn step(&mut self, _now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { .. } => effects.set_timer(BEAT, Span::secs(1)),
            Input::Timer(BEAT) => {
                self.beats += 1;
                effects.set_timer(BEAT, Span::secs(1));
                effects.set_timer(ONCE, Span::millis(500));
                effects.cancel_timer(ONCE);
                if let Some(address) = self.calls {
                    effects.call(address, Message::ReportRequest(RequestId::default()));
                }
                if let Some(other) = self.other {
                    effects.send(other, Message::ReportRequest(RequestId::default()));
                }
            }
            Input::Timer(_) => panic!("the timer was cancelled"),
            Input::Message { from, message } => {
                self.heard += 1;
                if self.answers {
                    effects.send(from, message);
                }
            }
            Input::Disconnected(_) => self.lost += 1,
            Input::Terminate => {
                self.asked_to_stop = true;
                effects.processes.push(Process::Exit);
            }
            Input::Incident(incident) => self.met.push(incident),
            Input::Placed(address) => self.placed = Some(address),
            Input::Unreachable(_) => self.unreachable += 1,
        }
    }

    fn crash(&mut self) {
        self.heard = 0;
    }

    fn lose(&mut self, _now: Now, _loss: cutover_model::incident::DiskLoss) {
        self.disks_lost += 1;
    }

    fn heeds(&self, _incident: &Incident) -> bool {
        !self.heedless
    }
}

impl Toy {
    fn sending_to(other: u32) -> Toy {
        Toy { other: Some(NodeId(other)), ..Toy::default() }
    }
}

/// Two nodes that send to each other every second, started.
fn world() -> World<Toy> {
    let streams = Streams::new(1);
    let latency = Latency { least: Span::millis(1), most: Span::millis(5) };
    let network = Network::new(vec![0, 0], vec![vec![latency]], streams.stream("network"));
    let toys = [Toy::sending_to(1), Toy::sending_to(0)];
    let nodes =
        toys.into_iter().zip(0..).map(|(toy, number)| Node::new(toy, streams.stream_of("node", number)));
    let mut world = World::new(nodes.collect(), network);
    world.start(NodeId(0));
    world.start(NodeId(1));
    world
}

fn run_until<M: Machine>(world: &mut World<M>, until: Time) {
    while world.step_before(until + Span::micros(1)) {}
}

fn fault(strike: Strike, secs: u64) -> ReadyFault {
    ReadyFault {
        kind: "fault".into(),
        target: "toy".into(),
        figure: String::new(),
        duration: Span::secs(secs),
        strikes: vec![Staged::whole(strike, Span::secs(secs))],
        meant: None,
        domains: Domains::All,
        tolerance: None,
    }
}

fn at(secs: u64) -> Time {
    Time::ZERO + Span::secs(secs)
}

mod overlaps;

#[test]
fn equal_worlds_step_to_equal_worlds() {
    let mut one = world();
    run_until(&mut one, at(5));
    let mut other = one.clone();
    assert_eq!(one, other);
    run_until(&mut one, Time(10_500_000));
    assert_ne!(one, other);
    run_until(&mut other, Time(10_500_000));
    assert_eq!(one, other);
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.nodes()[0].machine.heard, 10);
}

#[test]
fn a_crash_loses_the_volatile_state_and_is_heard_at_once() {
    let mut world = world();
    world.add_fault(at(3) + Span::millis(500), fault(Strike::Crash(Struck::Node(NodeId(1)), None), 4));
    run_until(&mut world, at(4));
    assert_eq!(world.nodes()[0].machine.lost, 1, "the connection broke");
    run_until(&mut world, at(7));
    assert_eq!(world.nodes()[0].machine.lost, 4, "and each later message was refused");
    run_until(&mut world, at(11));
    assert_eq!(world.nodes()[1].incarnation, 2);
    assert_eq!((world.nodes()[1].machine.heard, world.nodes()[1].machine.beats), (3, 6));
}

#[test]
fn a_paused_process_hears_everything_late_and_nobody_is_told() {
    let mut world = world();
    world.add_fault(at(2) + Span::millis(500), fault(Strike::Pause(Struck::Node(NodeId(1))), 4));
    run_until(&mut world, at(6));
    assert_eq!(world.nodes()[1].machine.heard, 2);
    assert_eq!(world.nodes()[0].machine.lost, 0);
    run_until(&mut world, at(7));
    assert_eq!(world.nodes()[1].machine.heard, 6);
}

#[test]
fn a_one_way_cut_lets_the_other_way_pass() {
    let mut world = world();
    let side = |node| Side::One(Struck::Node(NodeId(node)));
    let cut = Strike::Network { from: side(0), to: side(1), impairment: Impairment::Cut };
    world.add_fault(Time(0), fault(cut, 3));
    run_until(&mut world, Time(2_500_000));
    assert_eq!((world.nodes()[0].machine.heard, world.nodes()[1].machine.heard), (2, 0));
    run_until(&mut world, Time(3_500_000));
    assert_eq!((world.nodes()[0].machine.heard, world.nodes()[1].machine.heard), (3, 1));
}

#[test]
fn a_skewed_clock_is_wrong_for_the_faults_duration_only() {
    let mut world = world();
    world.add_fault(at(1), fault(Strike::Skew(Struck::Node(NodeId(0)), -250), 2));
    run_until(&mut world, at(2));
    assert_eq!(world.nodes()[0].now(at(2)).wall, Time(1_999_750));
    assert_eq!(world.nodes()[0].now(at(2)).elapsed, at(2));
    run_until(&mut world, at(4));
    assert_eq!(world.nodes()[0].now(at(4)).wall, at(4));
}

#[test]
fn a_process_that_ends_of_itself_is_started_by_its_supervisor_only_if_it_is_meant_to_run() {
    let mut world = world();
    world.node_mut(NodeId(0)).restart_after = Some(Span::secs(1));
    world.input(NodeId(0), Input::Terminate);
    run_until(&mut world, at(2));
    assert_eq!(world.nodes()[0].incarnation, 2, "nobody had asked it to stop");
    world.process(NodeId(1), Process::Terminate(NodeId(0)));
    run_until(&mut world, at(9));
    assert_eq!((world.nodes()[0].incarnation, world.nodes()[0].running), (2, false));
}

#[test]
fn nobody_starts_a_process_that_gave_up_without_a_supervisor_not_even_when_all_faults_are_over() {
    let mut world = world();
    world.input(NodeId(0), Input::Terminate);
    world.add_fault(at(1), fault(Strike::Crash(Struck::Node(NodeId(0)), None), 1));
    world.add_fault(at(1), fault(Strike::Crash(Struck::Node(NodeId(1)), None), 60));
    run_until(&mut world, at(3));
    world.heal();
    run_until(&mut world, at(9));
    let lives = [0, 1].map(|node: usize| (world.nodes()[node].incarnation, world.nodes()[node].running));
    assert_eq!(lives, [(1, false), (2, true)]);
    world.start(NodeId(0));
    assert!(world.nodes()[0].running, "somebody ordered it to start");
}

#[test]
fn a_closed_connection_is_told_to_the_other_side_alone_and_the_next_message_opens_another() {
    let mut world = world();
    run_until(&mut world, Time(1_500_000));
    world.process(NodeId(0), Process::Disconnect(NodeId(1)));
    assert!(world.nodes().iter().all(|node| node.connected().is_empty()));
    run_until(&mut world, Time(1_900_000));
    assert_eq!([0, 1].map(|node: usize| world.nodes()[node].machine.lost), [0, 1]);
    run_until(&mut world, at(3));
    assert!(world.nodes().iter().all(|node| node.running && node.connected().len() == 1));
}

/// One node sends every second to another that stands still, dies, and has been back for three seconds when that runs on.
fn thawed(answers: bool) -> Toy {
    let mut world = world();
    world.node_mut(NodeId(1)).machine = Toy { answers, ..Toy::default() };
    run_until(&mut world, Time(500_000));
    world.pause(NodeId(1));
    run_until(&mut world, Time(5_500_000));
    world.end(NodeId(0), false);
    run_until(&mut world, at(10));
    world.pass_to(at(10));
    world.start(NodeId(0));
    run_until(&mut world, Time(13_500_000));
    assert_eq!((world.nodes()[1].machine.heard, world.nodes()[1].machine.lost), (0, 0));
    world.resume(NodeId(1));
    world.nodes()[1].machine.clone()
}

#[test]
fn what_a_peer_sent_before_its_end_is_read_after_a_thaw_until_two_answers_have_met_a_reset() {
    // Three messages came over the new connection.
    assert_eq!((thawed(false).heard, thawed(false).lost), (5 + 3, 1), "who writes nothing reads all");
    assert_eq!((thawed(true).heard, thawed(true).lost), (2 + 3, 1), "e1: 2 of 20");
}

#[test]
fn healing_ends_every_fault() {
    let mut world = world();
    world.add_fault(at(1), fault(Strike::Crash(Struck::Node(NodeId(0)), None), 100));
    world.add_fault(at(1), fault(Strike::Pause(Struck::Node(NodeId(1))), 100));
    run_until(&mut world, at(2));
    world.heal();
    assert!(world.nodes().iter().all(|node| node.running && node.pauses == 0));
    assert_eq!(world.faults_begun().len(), 2);
}

#[test]
fn a_thousand_nodes_run_like_two() {
    let streams = Streams::new(1);
    let latency = Latency { least: Span::millis(1), most: Span::millis(5) };
    let network = Network::new(vec![0; 1000], vec![vec![latency]], streams.stream("network"));
    let nodes = (0..1000).map(|node| {
        Node::new(Toy::sending_to((node + 7) % 1000), streams.stream_of("node", u64::from(node)))
    });
    let mut world = World::new(nodes.collect(), network);
    (0..1000).for_each(|node| world.start(NodeId(node)));
    run_until(&mut world, at(3));
    assert!(world.nodes().iter().all(|node| node.machine.heard >= 2));
}

#[test]
fn a_role_is_resolved_when_the_fault_strikes() {
    let mut world = world();
    let members = vec![NodeId(0), NodeId(1)];
    world.set_circles(vec![Circle { members, leader: NodeId(0) }]);
    world.add_fault(at(2), fault(Strike::Pause(Struck::Leader(0)), 1));
    world.add_fault(at(4), fault(Strike::Restart(Struck::Follower(0)), 1));
    run_until(&mut world, at(1));
    let (queue, partition) = (Default::default(), Default::default());
    world.write(NodeId(1), Event::LeaderChanged { queue, partition, leader: Some(NodeId(1)), epoch: 2 });
    run_until(&mut world, at(2));
    assert_eq!((world.nodes()[0].pauses, world.nodes()[1].pauses), (0, 1));
    run_until(&mut world, at(6));
    assert_eq!((world.nodes()[0].incarnation, world.nodes()[1].incarnation), (2, 1));
}

#[test]
fn a_fault_that_finds_nothing_to_strike_does_not_count() {
    let mut world = world();
    world.end(NodeId(1), false);
    world.add_fault(at(2), fault(Strike::Pause(Struck::Node(NodeId(1))), 1));
    run_until(&mut world, at(5));
    assert_eq!(world.faults_begun().len(), 0);
}

#[test]
fn a_host_that_dies_takes_its_machine_s_disk_along_and_a_process_that_dies_does_not() {
    for (loss, disks_lost) in [(None, 0), (Some(DiskLoss::Everything), 1)] {
        let mut world = world();
        world.add_fault(at(2), fault(Strike::Crash(Struck::Node(NodeId(1)), loss), 1));
        run_until(&mut world, at(5));
        assert_eq!(world.nodes()[1].machine.disks_lost, disks_lost);
    }
}

#[test]
fn an_incident_that_lasts_is_told_again_to_a_process_that_starts_meanwhile() {
    let mut world = world();
    let strike = Strike::Incident(Struck::Node(NodeId(1)), Incident::DiskFilled, Some(Incident::DiskFreed));
    world.add_fault(at(2), fault(strike, 4));
    world.add_fault(at(3), fault(Strike::Crash(Struck::Node(NodeId(1)), None), 1));
    run_until(&mut world, at(9));
    let met = &world.nodes()[1].machine.met;
    assert_eq!(met, &[Incident::DiskFilled, Incident::DiskFilled, Incident::DiskFreed]);
}

#[test]
fn the_strikes_of_a_fault_come_and_go_in_their_own_time() {
    let mut world = world();
    let turn = |node, after| Staged {
        after: Span::secs(after),
        lasting: Span::secs(1),
        strike: Strike::Pause(Struck::Node(NodeId(node))),
    };
    let fault = ReadyFault {
        strikes: vec![turn(0, 0), turn(1, 2)],
        ..fault(Strike::Pause(Struck::Node(NodeId(0))), 4)
    };
    world.add_fault(at(1), fault);
    let pauses = |world: &World<Toy>| [world.nodes()[0].pauses, world.nodes()[1].pauses];
    for (until, expected) in [(1_500, [1, 0]), (2_500, [0, 0]), (3_500, [0, 1]), (4_500, [0, 0])] {
        run_until(&mut world, Time(until * 1_000));
        assert_eq!(pauses(&world), expected, "at {until} ms");
    }
    assert_eq!(world.faults_begun().len(), 1);
}

#[test]
fn a_fault_that_asks_gives_way_where_another_has_not_settled_or_its_window_is_over() {
    let asking = |end| Some(Tolerance { settle: Span::secs(10), start: at(0), end: at(end) });
    let mut world = world();
    for (moment, tolerance) in
        [(1, asking(100)), (5, asking(100)), (6, None), (20, asking(20)), (25, asking(100))]
    {
        let pause = fault(Strike::Pause(Struck::Node(NodeId(0))), 1);
        world.add_fault(at(moment), ReadyFault { tolerance, ..pause });
    }
    run_until(&mut world, at(30));
    let begun: Vec<u32> = world.faults_begun().iter().map(|(number, _)| *number).collect();
    assert_eq!(begun, [0, 2, 4]);
}

#[test]
fn a_fault_waits_for_a_step_of_the_plan() {
    let mut world = world();
    let pause = || fault(Strike::Pause(Struck::Node(NodeId(0))), 1);
    world.add_fault_at(Moment::Step("cut-read".to_owned(), 2), Span::secs(1), pause());
    world.add_fault_at(Moment::Step("cut-write".to_owned(), 2), Span::secs(1), pause());
    let waited = Event::GateOpened { phase: 1, step: 2, waited: Span::ZERO };
    world.write(NodeId(0), waited.clone());
    world.write(NodeId(0), Event::PhaseBegun { phase: 1, name: "cut-read".to_owned() });
    world.write(NodeId(0), waited.clone());
    world.write(NodeId(0), waited);
    run_until(&mut world, at(9));
    assert_eq!(world.faults_begun(), [(0, at(1))]);
}

#[test]
fn a_jump_of_the_clock_lasts_until_everything_is_healed() {
    let mut world = world();
    world.add_fault(at(1), fault(Strike::Jump(Struck::Node(NodeId(0)), 700), 1));
    run_until(&mut world, at(5));
    assert_eq!(world.nodes()[0].now(at(5)).wall, at(5) + Span::micros(700));
    world.heal();
    assert_eq!(world.nodes()[0].now(at(5)).wall, at(5));
}

#[test]
fn a_slow_disk_keeps_the_order_of_what_needs_it_and_lets_the_rest_pass() {
    let fetch = || {
        let partitions = Vec::new();
        let request = cutover_model::corgi::protocol::Request::Offsets { group: GroupId(0), partitions };
        Message::CorgiRequest(RequestId::default(), Box::new(request))
    };
    let pull = || {
        let request = cutover_model::corgi::protocol::Request::Pull {
            group: GroupId(0),
            partition: Default::default(),
            offset: 0,
            max_records: 1,
        };
        Message::CorgiRequest(RequestId::default(), Box::new(request))
    };
    let mut world = world();
    world.add_fault(Time(1), fault(Strike::SlowDisk(Struck::Node(NodeId(1)), Span::secs(4)), 5));
    run_until(&mut world, Time(10));
    (0..3).for_each(|_| world.send(NodeId(0), NodeId(1), pull()));
    world.send(NodeId(0), NodeId(1), fetch());
    run_until(&mut world, Time(900_000));
    assert_eq!(world.nodes()[1].machine.heard, 1, "what needs no disk has passed");
    run_until(&mut world, Time(4_900_000));
    // Four beats of the other node beside them.
    assert_eq!(world.nodes()[1].machine.heard, 1 + 3 + 4);
}

#[test]
fn a_process_that_stops_for_longer_than_its_restart_takes_is_started_when_it_has_stopped() {
    let mut world = world();
    world.add_fault(at(1), fault(Strike::Pause(Struck::Node(NodeId(1))), 6));
    world.add_fault(at(2), fault(Strike::Restart(Struck::Node(NodeId(1))), 2));
    run_until(&mut world, at(9));
    assert_eq!((world.nodes()[1].incarnation, world.nodes()[1].running), (2, true));
}

/// Node 0 calls the address at which node 1 listens; node 2 is on the same host.
fn calling() -> (World<Toy>, Address) {
    let streams = Streams::new(1);
    let latency = Latency { least: Span::millis(1), most: Span::millis(5) };
    let network = Network::new(vec![0, 0, 0], vec![vec![latency]], streams.stream("network"));
    let address = Address { host: HostId(0), port: FIRST_PORT };
    let toys = [Toy { calls: Some(address), ..Toy::default() }, Toy::default(), Toy::default()];
    let nodes =
        toys.into_iter().zip(0..).map(|(toy, number)| Node::new(toy, streams.stream_of("node", number)));
    let mut world = World::new(nodes.collect(), network);
    let settings = hosts::Settings { count: Some(1), ..hosts::Settings::default() };
    world.set_hosts(Hosts::new(settings, &[vec![NodeId(1), NodeId(2)]]), true);
    world.start(NodeId(0));
    world.start(NodeId(1));
    (world, address)
}

#[test]
fn a_call_reaches_whoever_has_the_address_when_it_comes() {
    let (mut world, address) = calling();
    run_until(&mut world, at(2) + Span::millis(500));
    assert_eq!((world.nodes()[1].machine.placed, world.nodes()[1].machine.heard), (Some(address), 2));
    world.end(NodeId(1), false);
    run_until(&mut world, at(3) + Span::millis(500));
    assert_eq!(
        world.nodes()[0].machine.unreachable,
        2,
        "the connection broke, and the next call was refused"
    );
    world.start(NodeId(2));
    world.start(NodeId(1));
    run_until(&mut world, at(5) + Span::millis(500));
    assert_eq!((world.nodes()[2].machine.heard, world.nodes()[1].machine.heard), (2, 0));
    let placed = world.nodes()[1].machine.placed.map(|address| address.port);
    assert_eq!((world.nodes()[2].machine.placed, placed), (Some(address), Some(FIRST_PORT + 1)));
    let listening = world.history().iter().filter_map(|entry| match entry.event {
        Event::Listening { port, before, .. } => Some((entry.node, port, before)),
        _ => None,
    });
    let (first, second) = (FIRST_PORT, FIRST_PORT + 1);
    let told = [(NodeId(1), first, None), (NodeId(2), first, Some(NodeId(1))), (NodeId(1), second, None)];
    assert_eq!(listening.collect::<Vec<_>>(), told);
}

#[test]
fn a_cut_between_two_nodes_swallows_their_calls() {
    let (mut world, _) = calling();
    let side = |node| Side::Nodes(NodeSet::one(NodeId(node)));
    let strike = Strike::Network { from: side(0), to: side(1), impairment: Impairment::Cut };
    world.add_fault(at(1) + Span::millis(500), fault(strike, 2));
    run_until(&mut world, at(4) + Span::millis(500));
    assert_eq!((world.nodes()[1].machine.heard, world.nodes()[0].machine.unreachable), (2, 0));
}
