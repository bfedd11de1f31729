use super::*;
use crate::deployment::RollOrder;
use crate::machine::{After, TimerEffect};
use crate::record::GroupId;

const OPERATOR: NodeId = NodeId(1);
const OLD: [NodeId; 2] = [NodeId(10), NodeId(11)];
const NEW: [NodeId; 2] = [NodeId(20), NodeId(21)];
const GROUP: Target = Target::Group(GroupId(0));

struct Bench {
    rolling: Rolling,
    at: Time,
}

impl Bench {
    fn new() -> Bench {
        let fleet = Fleet { target: GROUP, old: OLD.to_vec(), new: NEW.to_vec() };
        let mut bench = Bench { rolling: Rolling::new(Settings::default(), vec![fleet]), at: Time::ZERO };
        bench.step(Input::Start { incarnation: 1 });
        bench
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        self.rolling.step(Now::exact(self.at), input, &mut effects);
        effects
    }

    fn hear(&mut self, from: NodeId, message: Message) -> Vec<Process> {
        self.step(Input::Message { from, message: deployment(message) }).processes
    }

    fn order(&mut self, number: u64, order: Order) -> Vec<Process> {
        self.hear(OPERATOR, Message::Order { number, target: GROUP, order })
    }

    /// That process says that it exits, and is gone.
    fn exits(&mut self, node: NodeId) -> Vec<Process> {
        assert_eq!(self.hear(node, Message::Exiting), vec![]);
        self.step(Input::Disconnected(node)).processes
    }

    fn wait(&mut self, span: Span) -> Vec<Process> {
        self.at += span;
        self.step(Input::Timer(WAKE)).processes
    }

    fn report(&self) -> (u32, u32, u32) {
        let Report::Deployment { targets } = self.rolling.report() else { panic!("a deployment's report") };
        (targets[0].old_running, targets[0].new_ready, targets[0].new_expected)
    }
}

#[test]
fn start_first_waits_for_the_new_one_and_rests_between_instances() {
    let mut bench = Bench::new();
    assert_eq!(bench.order(1, Order::Roll(RollOrder::StartFirst)), vec![Process::Start(NEW[0])]);
    assert_eq!(bench.wait(Span::secs(2)), vec![]);
    assert_eq!(bench.hear(NEW[0], Message::Ready), vec![Process::Terminate(OLD[0])]);
    assert_eq!(bench.report(), (2, 1, 2));
    assert_eq!(bench.wait(Span::secs(5)), vec![Process::Start(NEW[1])]);
    assert_eq!(bench.exits(OLD[0]), vec![]);
    assert_eq!(bench.hear(NEW[1], Message::Ready), vec![Process::Terminate(OLD[1])]);
    bench.step(Input::Disconnected(OLD[1]));
    assert_eq!(bench.report(), (0, 2, 2));
    assert!(OLD.iter().all(|node| !bench.rolling.should_run(*node)));
    assert!(NEW.iter().all(|node| bench.rolling.should_run(*node)));
}

#[test]
fn stop_first_waits_until_the_old_one_has_exited() {
    let mut bench = Bench::new();
    assert_eq!(bench.order(1, Order::Roll(RollOrder::StopFirst)), vec![Process::Terminate(OLD[0])]);
    assert_eq!(bench.wait(Span::secs(2)), vec![]);
    assert_eq!(bench.exits(OLD[0]), vec![Process::Start(NEW[0])]);
    assert_eq!(bench.hear(NEW[0], Message::Ready), vec![]);
    assert_eq!(bench.wait(Span::secs(5)), vec![Process::Terminate(OLD[1])]);
}

#[test]
fn a_process_that_does_not_stop_is_killed_and_its_end_is_learnt_from_the_connection() {
    let mut bench = Bench::new();
    bench.order(1, Order::Roll(RollOrder::StopFirst));
    assert_eq!(bench.wait(Span::secs(29)), vec![]);
    assert_eq!(bench.wait(Span::secs(1)), vec![Process::Kill(OLD[0])]);
    // Until it is gone, nothing follows.
    assert_eq!(bench.report().0, 2);
    let effects = bench.step(Input::Disconnected(OLD[0]));
    assert_eq!(effects.processes, vec![Process::Start(NEW[0])]);
}

#[test]
fn a_repeated_order_is_accepted_again_and_does_nothing() {
    let mut bench = Bench::new();
    bench.order(1, Order::Roll(RollOrder::StartFirst));
    bench.hear(NEW[0], Message::Ready);
    let order = Message::Order { number: 1, target: GROUP, order: Order::Roll(RollOrder::StartFirst) };
    let effects = bench.step(Input::Message { from: OPERATOR, message: deployment(order) });
    assert!(effects.processes.is_empty());
    assert_eq!(effects.sends, vec![(OPERATOR, deployment(Message::Accepted { number: 1 }))]);
}

#[test]
fn going_back_in_the_middle_replaces_only_what_was_replaced() {
    let mut bench = Bench::new();
    bench.order(1, Order::Roll(RollOrder::StartFirst));
    bench.hear(NEW[0], Message::Ready);
    bench.exits(OLD[0]);
    assert_eq!(bench.order(2, Order::RollBack(RollOrder::StartFirst)), vec![Process::Start(OLD[0])]);
    assert_eq!(bench.hear(OLD[0], Message::Ready), vec![Process::Terminate(NEW[0])]);
    bench.exits(NEW[0]);
    assert_eq!(bench.wait(Span::secs(5)), vec![]);
    assert_eq!(bench.report(), (2, 0, 2));
    let effects = bench.step(Input::Timer(WAKE));
    assert_eq!(effects.timers, vec![TimerEffect::Cancel(WAKE)]);
}

#[test]
fn stopping_asks_all_at_once_and_a_stray_process_is_stopped_again() {
    let mut bench = Bench::new();
    let asked: Vec<Process> = OLD.iter().map(|node| Process::Terminate(*node)).collect();
    assert_eq!(bench.order(1, Order::Stop), asked);
    OLD.iter().for_each(|node| assert!(bench.exits(*node).is_empty()));
    assert_eq!(bench.report(), (0, 0, 2));
    assert_eq!(bench.hear(OLD[1], Message::Ready), vec![Process::Terminate(OLD[1])]);
    assert_eq!(bench.report().0, 1);
}

#[test]
fn what_is_under_way_goes_on_after_a_crash_of_the_deployment() {
    let mut bench = Bench::new();
    bench.order(1, Order::Roll(RollOrder::StartFirst));
    bench.rolling.crash();
    let effects = bench.step(Input::Start { incarnation: 2 });
    assert_eq!(effects.timers, vec![TimerEffect::Set(WAKE, After::Exactly(Span::secs(2)))]);
    bench.at += Span::secs(2);
    let effects = bench.step(Input::Timer(WAKE));
    assert!(matches!(effects.sends[..], [(to, message::Message::ReportRequest(_))] if to == NEW[0]));
    assert_eq!(bench.hear(NEW[0], Message::Ready), vec![Process::Terminate(OLD[0])]);
}

#[test]
fn a_crashed_instance_is_not_ready_until_it_says_so_again() {
    let mut bench = Bench::new();
    bench.order(1, Order::Roll(RollOrder::StartFirst));
    bench.hear(NEW[0], Message::Ready);
    bench.step(Input::Disconnected(NEW[0]));
    assert_eq!(bench.report().1, 0);
    assert!(bench.rolling.should_run(NEW[0]));
    bench.hear(NEW[0], Message::Ready);
    assert_eq!(bench.report().1, 1);
}

#[test]
fn a_broker_set_that_stands_by_is_started_alone_and_stopped_with_the_rest_of_corgi() {
    let corgi = Fleet { target: Target::Corgi, old: OLD.to_vec(), new: NEW.to_vec() };
    let added = Fleet { target: Target::BrokerSet(2), old: Vec::new(), new: NEW.to_vec() };
    let rolling = Rolling::new(Settings::default(), vec![corgi, added]);
    assert!(rolling.should_run(OLD[0]) && !rolling.should_run(NEW[0]));
    let mut bench = Bench { rolling, at: Time::ZERO };
    let order = |bench: &mut Bench, number, target, order| {
        bench.hear(OPERATOR, Message::Order { number, target, order })
    };
    let roll = Order::Roll(RollOrder::StartFirst);
    assert_eq!(order(&mut bench, 1, Target::BrokerSet(2), roll), vec![Process::Start(NEW[0])]);
    assert!(bench.rolling.should_run(NEW[0]) && !bench.rolling.should_run(NEW[1]));
    let stopped = order(&mut bench, 2, Target::Corgi, Order::Stop);
    assert_eq!(stopped, [OLD[0], OLD[1], NEW[0]].map(Process::Terminate).to_vec());
    assert_eq!(bench.exits(NEW[0]), vec![], "it is not started again");
    assert!(!bench.rolling.should_run(NEW[0]));
}
