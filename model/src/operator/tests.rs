//! Dialogues with the operator, driven by hand.

mod acting;
mod crashes;
mod kafka;
mod kafka_widening;
mod resetting;
mod rewinds;
mod waiting;
mod widening;

use super::*;
use crate::deployment::{Order, Target};
use crate::kafka::protocol::{Request, Response};
use crate::machine::{After, RequestId, TimerEffect};
use crate::record::{NodeId, TopicId};
use crate::report::{DeployedTarget, Report};

const SWITCH_CENTRE: NodeId = NodeId(1);
const DEPLOYMENT: NodeId = NodeId(2);
const REDIS: NodeId = NodeId(3);
const CORGI: [NodeId; 2] = [NodeId(10), NodeId(11)];
const STANDBY: NodeId = NodeId(12);
const NAME_SERVICE: NodeId = NodeId(4);
const KAFKA: [NodeId; 2] = [NodeId(20), NodeId(21)];
const WORKERS: [NodeId; 2] = [NodeId(30), NodeId(31)];
const BACK: NodeId = NodeId(35);
const PRODUCERS: [NodeId; 2] = [NodeId(40), NodeId(41)];
const INSTANCES: [NodeId; 2] = [NodeId(50), NodeId(51)];
const BILLING: GroupId = GroupId(0);
const MIRROR: GroupId = GroupId(9);

fn wiring() -> Wiring {
    Wiring {
        topics: vec![TopicWiring { name: "payments".to_owned(), source_partitions: 2, target_partitions: 2 }],
        groups: vec![GroupWiring {
            name: "billing".to_owned(),
            topics: vec![TopicId(0)],
            new_clients: INSTANCES.to_vec(),
        }],
        mirror_group: MIRROR,
        switch_centre: SWITCH_CENTRE,
        deployment: DEPLOYMENT,
        corgi_brokers: CORGI.to_vec(),
        corgi_sets: 2,
        standby: vec![vec![STANDBY]],
        name_service: NAME_SERVICE,
        kafka_brokers: KAFKA.to_vec(),
        mirror_workers: WORKERS.to_vec(),
        reverse_mirror_workers: vec![BACK],
        producers: PRODUCERS.to_vec(),
        redis: Some(REDIS),
    }
}

/// A plan of one phase, from its lines as a file has them.
fn plan(lines: &str) -> Plan {
    let text = format!("[[phases]]\nname = \"only\"\nsteps = [{lines}]");
    toml::from_str(&text).unwrap()
}

/// The operator, his time and his timers.
struct Dialogue {
    operator: Operator,
    now: Time,
    incarnation: u32,
    timers: Vec<(Time, Timer)>,
    effects: Effects,
    sent: Vec<(NodeId, Message)>,
    calls: Vec<(crate::rewind::Address, Message)>,
    events: Vec<Event>,
}

impl Dialogue {
    fn of(plan: Plan) -> Dialogue {
        let operator = Operator::new(Settings::default(), plan, wiring());
        let mut dialogue = Dialogue {
            operator,
            now: Time::ZERO,
            incarnation: 0,
            timers: Vec::new(),
            effects: Effects::default(),
            sent: Vec::new(),
            calls: Vec::new(),
            events: Vec::new(),
        };
        dialogue.start();
        dialogue
    }

    fn start(&mut self) {
        self.incarnation += 1;
        self.input(Input::Start { incarnation: self.incarnation });
    }

    fn crash(&mut self) {
        self.operator.crash();
        self.timers.clear();
        self.sent.clear();
        self.calls.clear();
    }

    fn input(&mut self, input: Input) {
        self.operator.step(Now::exact(self.now), input, &mut self.effects);
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.timers {
            match effect {
                TimerEffect::Set(timer, after) => {
                    let (After::Exactly(span) | After::Between(span, _)) = after;
                    self.timers.retain(|(_, set)| *set != timer);
                    self.timers.push((self.now + span, timer));
                }
                TimerEffect::Cancel(timer) => self.timers.retain(|(_, set)| *set != timer),
            }
        }
        self.sent.extend(effects.sends);
        self.calls.extend(effects.calls);
        self.events.extend(effects.events);
    }

    fn hear(&mut self, from: NodeId, message: Message) {
        self.input(Input::Message { from, message });
    }

    /// Let time pass, and let the timers run out that are due by then.
    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some((at, timer)) = self.timers.iter().copied().min().filter(|(at, _)| *at <= until) {
            self.timers.retain(|(_, set)| *set != timer);
            self.now = at;
            self.input(Input::Timer(timer));
        }
        self.now = until;
    }

    /// What was sent since it was last looked at.
    fn sent(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.sent)
    }

    /// The orders sent since it was last looked at.
    fn orders(&mut self) -> Vec<(u64, Target, Order)> {
        let order = |(_, message)| match message {
            Message::Deployment(message) => match *message {
                deployment::Message::Order { number, target, order } => Some((number, target, order)),
                _ => None,
            },
            _ => None,
        };
        self.sent().into_iter().filter_map(order).collect()
    }

    /// The changes sent since it was last looked at.
    fn changes(&mut self) -> Vec<(u64, Vec<switch::Change>)> {
        let change = |(_, message)| match message {
            Message::Switch(message) => match *message {
                switch::Message::Change { number, changes } => Some((number, changes)),
                _ => None,
            },
            _ => None,
        };
        self.sent().into_iter().filter_map(change).collect()
    }

    /// The nodes asked for a report since it was last looked at.
    fn asked(&mut self) -> Vec<(NodeId, RequestId)> {
        let asked = |(to, message)| match message {
            Message::ReportRequest(id) => Some((to, id)),
            _ => None,
        };
        self.sent().into_iter().filter_map(asked).collect()
    }

    /// The Kafka requests sent since it was last looked at.
    fn requests(&mut self) -> Vec<(NodeId, RequestId, Request)> {
        let request = |(to, message)| match message {
            Message::KafkaRequest(id, request) => Some((to, id, *request)),
            _ => None,
        };
        self.sent().into_iter().filter_map(request).collect()
    }

    /// Answer every question for a report that is open; nodes for which there is no answer stay silent.
    fn report(&mut self, answer: impl Fn(NodeId) -> Option<Report>) {
        for (node, id) in self.asked() {
            if let Some(report) = answer(node) {
                self.hear(node, Message::Report(id, Box::new(report)));
            }
        }
    }

    fn kafka_answers(&mut self, from: NodeId, id: RequestId, response: Response) {
        self.hear(from, Message::KafkaResponse(id, Box::new(response)));
    }

    fn accept(&mut self, number: u64) {
        self.hear(DEPLOYMENT, Message::Deployment(Box::new(deployment::Message::Accepted { number })));
    }

    fn changed(&mut self, number: u64) {
        let message = switch::Message::Changed { number, version: number };
        self.hear(SWITCH_CENTRE, Message::Switch(Box::new(message)));
    }

    /// Confirm whatever is ordered or changed, one a second, up to the moment when a gate is reached or the plan ends.
    fn confirm_all(&mut self) {
        for _ in 0..20 {
            self.pass(Span::secs(1));
            match self.operator.durable.given {
                Some(Given::Order(number)) => self.accept(number),
                Some(Given::Change(number)) => self.changed(number),
                None => return,
            }
        }
    }

    fn opened(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::GateOpened { .. }))
    }

    fn why(&self) -> String {
        let now = Now::exact(self.now);
        self.operator.judgement(now).err().unwrap_or_default()
    }
}

fn deployment_report(old_running: u32, new_ready: u32) -> Report {
    let targets = [Target::Group(BILLING), Target::Mirror];
    let deployed = |target| DeployedTarget { target, old_running, new_ready, new_expected: 2 };
    Report::Deployment { targets: targets.map(deployed).to_vec() }
}
