//! Whatever is lost, repeated or crashes, in the end the processes are as the last order says.

use super::*;
use crate::deployment::RollOrder;
use crate::record::GroupId;
use proptest::prelude::*;

const OPERATOR: NodeId = NodeId(0);
const TARGET: Target = Target::Group(GroupId(0));
const PAIRS: u32 = 2;

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Order(Order),
    /// A message to the deployment arrives, is lost, or arrives and stays to arrive again.
    Arrive,
    Lose,
    Repeat,
    Wake,
    CrashDeployment,
    CrashProcess(u32),
    /// A process that crashed is started again by its host.
    Restart(u32),
    /// From now on that process does not obey when it is asked to stop.
    Hang(u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    let roll = prop_oneof![Just(RollOrder::StartFirst), Just(RollOrder::StopFirst)];
    let order = (0..3, roll).prop_map(|(kind, roll)| match kind {
        0 => Order::Roll(roll),
        1 => Order::RollBack(roll),
        _ => Order::Stop,
    });
    let process = 1..=2 * PAIRS;
    prop_oneof![
        2 => order.prop_map(Happening::Order),
        8 => Just(Happening::Arrive),
        2 => Just(Happening::Lose),
        1 => Just(Happening::Repeat),
        6 => Just(Happening::Wake),
        1 => Just(Happening::CrashDeployment),
        1 => process.clone().prop_map(Happening::CrashProcess),
        2 => process.clone().prop_map(Happening::Restart),
        1 => process.prop_map(Happening::Hang),
    ]
}

struct Hosts {
    rolling: Rolling,
    at: Time,
    incarnation: u32,
    running: BTreeSet<NodeId>,
    hanging: BTreeSet<NodeId>,
    to_deployment: Vec<Input>,
    orders: u64,
    last: Option<Order>,
}

impl Hosts {
    fn new() -> Hosts {
        let old: Vec<NodeId> = (1..=PAIRS).map(NodeId).collect();
        let new = (PAIRS + 1..=2 * PAIRS).map(NodeId).collect();
        let fleet = Fleet { target: TARGET, old: old.clone(), new };
        let mut hosts = Hosts {
            rolling: Rolling::new(Settings::default(), vec![fleet]),
            at: Time::ZERO,
            incarnation: 1,
            running: old.into_iter().collect(),
            hanging: BTreeSet::new(),
            to_deployment: Vec::new(),
            orders: 0,
            last: None,
        };
        hosts.step(Input::Start { incarnation: 1 });
        hosts
    }

    fn say(&mut self, from: NodeId, message: Message) {
        self.to_deployment.push(Input::Message { from, message: deployment(message) });
    }

    fn begin(&mut self, node: NodeId) {
        if self.running.insert(node) {
            self.hanging.remove(&node);
            self.say(node, Message::Ready);
        }
    }

    fn end(&mut self, node: NodeId) {
        if self.running.remove(&node) {
            self.to_deployment.push(Input::Disconnected(node));
        }
    }

    fn step(&mut self, input: Input) {
        let mut effects = Effects::default();
        self.rolling.step(Now::exact(self.at), input, &mut effects);
        for (to, message) in effects.sends {
            if to == OPERATOR {
                continue;
            }
            let message::Message::ReportRequest(_) = message else { panic!("only probes, not {message:?}") };
            match self.running.contains(&to) {
                true => self.say(to, Message::Ready),
                false => self.to_deployment.push(Input::Disconnected(to)),
            }
        }
        for process in effects.processes {
            match process {
                Process::Start(node) => self.begin(node),
                Process::Terminate(node) if self.running.contains(&node) && !self.hanging.contains(&node) => {
                    self.say(node, Message::Exiting);
                    self.end(node);
                }
                Process::Terminate(_) => {}
                Process::Kill(node) => self.end(node),
                Process::Exit | Process::Halt | Process::Disconnect(_) => {
                    panic!("nobody asked the deployment to stop")
                }
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Order(order) => {
                self.orders += 1;
                self.last = Some(order);
                let message = deployment(Message::Order { number: self.orders, target: TARGET, order });
                self.step(Input::Message { from: OPERATOR, message });
            }
            Happening::Arrive | Happening::Lose | Happening::Repeat if self.to_deployment.is_empty() => {}
            Happening::Arrive => {
                let input = self.to_deployment.remove(0);
                self.step(input);
            }
            Happening::Lose => drop(self.to_deployment.remove(0)),
            Happening::Repeat => {
                let input = self.to_deployment[0].clone();
                self.step(input);
            }
            Happening::Wake => {
                self.at += Span::secs(2);
                self.step(Input::Timer(WAKE));
            }
            Happening::CrashDeployment => {
                self.rolling.crash();
                self.incarnation += 1;
                self.step(Input::Start { incarnation: self.incarnation });
            }
            Happening::CrashProcess(node) => self.end(NodeId(node)),
            Happening::Restart(node) => self.restart(NodeId(node)),
            Happening::Hang(node) => {
                self.hanging.insert(NodeId(node));
            }
        }
    }

    fn restart(&mut self, node: NodeId) {
        if self.rolling.should_run(node) {
            self.begin(node);
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_the_processes_are_as_the_last_order_says(
        happenings in proptest::collection::vec(happening(), 0..80),
    ) {
        let mut hosts = Hosts::new();
        for happening in happenings {
            hosts.happen(happening);
        }
        for _ in 0..200 {
            (1..=2 * PAIRS).for_each(|node| hosts.restart(NodeId(node)));
            while !hosts.to_deployment.is_empty() {
                hosts.happen(Happening::Arrive);
            }
            hosts.happen(Happening::Wake);
        }
        let is_expected = |node: &u32| match hosts.last {
            None | Some(Order::RollBack(_)) => *node <= PAIRS,
            Some(Order::Roll(_)) => *node > PAIRS,
            Some(Order::Stop) => false,
        };
        let expected: BTreeSet<NodeId> = (1..=2 * PAIRS).filter(is_expected).map(NodeId).collect();
        prop_assert_eq!(&hosts.running, &expected);
        let Report::Deployment { targets } = hosts.rolling.report() else { panic!("a deployment's report") };
        let is_new = |node: &&NodeId| node.0 > PAIRS;
        let new_running = hosts.running.iter().filter(is_new).count() as u32;
        prop_assert_eq!(targets[0].new_ready, new_running);
        prop_assert_eq!(targets[0].old_running, hosts.running.len() as u32 - new_running);
    }
}
