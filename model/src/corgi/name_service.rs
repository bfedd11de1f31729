//! Corgi's name service: tells clients where the masters are, by what the brokers report. It keeps nothing on disk.

use crate::corgi::protocol::{Epoch, Request, Response};
use crate::corgi::wiring::{Limits, Topic, set_of, take_wider};
use crate::corgi::{Settings, Wiring};
use crate::history::Event;
use crate::machine::{Effects, Input, Machine, Now, Process, RequestId, Timer};
use crate::message::Message;
use crate::record::{NodeId, Queue, TopicPartition};
use crate::units::Time;
use litemap::LiteMap;
use serde::Serialize;

const SCAN: Timer = Timer::new("corgi-name-service/scan", 0);

/// The name service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameService {
    settings: Settings,
    wiring: Wiring,
    durable: Durable,
    volatile: Volatile,
}

/// What survives a crash: nothing that it works with (assumed, after RocketMQ).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// The topics as the history was told of them last, so that one that is only heard of again is not told as news.
    recorded: Vec<Topic>,
}

/// What a crash takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    /// By the number of the broker set.
    sets: Vec<SetView>,
    /// The widened topics, as each broker told of them.
    shapes: LiteMap<NodeId, Vec<Topic>>,
    /// The topics as clients are told of them.
    topics: Vec<Topic>,
}

/// What is known of a broker set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct SetView {
    /// The master that is listed, and when it last reported.
    master: Option<(NodeId, Epoch, Time)>,
    /// The highest epoch that was ever reported.
    epoch: Epoch,
    /// The last master that was listed, by whose word the set's partitions are told: a set without a master keeps them.
    spokesman: Option<NodeId>,
}

impl NameService {
    /// The name service of that Corgi.
    pub fn new(settings: Settings, wiring: Wiring) -> NameService {
        let durable = Durable { recorded: wiring.topics.clone() };
        NameService { settings, wiring, durable, volatile: Volatile::default() }
    }

    /// A broker reports itself. With epochs an earlier epoch's master is not listed; without, the last report counts
    /// (e3).
    fn register(&mut self, now: Time, from: NodeId, (set, master, epoch): (u16, bool, Epoch)) -> Response {
        let Some(view) = self.volatile.sets.get_mut(usize::from(set)) else {
            return Response::Register { master: None };
        };
        if self.settings.epochs && epoch > view.epoch {
            // Whoever was master of an earlier epoch is none any more, even if its successor is not known yet.
            view.epoch = epoch;
            view.master = view.master.filter(|(node, ..)| *node == from && master);
        }
        let listed = view.master.is_some_and(|(node, ..)| node == from);
        if master && (!self.settings.epochs || epoch >= view.epoch) {
            view.master = Some((from, epoch, now));
            view.spokesman = Some(from);
        } else if listed {
            view.master = None;
        }
        Response::Register { master: view.master.map(|(node, epoch, _)| (node, epoch)) }
    }

    /// How many sets the clients are told of: a set that stands by, or was added and has no topic yet, is nothing to them (e9).
    fn sets_in_use(&self) -> usize {
        let standing = self.wiring.standing_sets();
        if standing == self.wiring.sets.len() {
            return standing;
        }
        let furthest = self.volatile.topics.iter().flat_map(|topic| &topic.sets).max();
        standing.max(furthest.map_or(0, |set| usize::from(*set) + 1))
    }

    fn answer(&mut self, now: Time, from: NodeId, request: &Request) -> Option<Response> {
        match request {
            Request::Route => {
                let masters = self.volatile.sets.iter().take(self.sets_in_use());
                let masters = masters.map(|view| view.master.map(|(node, epoch, _)| (node, epoch))).collect();
                Some(Response::Route { masters, topics: self.volatile.topics.clone() })
            }
            Request::Register { set, master, epoch } => {
                Some(self.register(now, from, (*set, *master, *epoch)))
            }
            Request::Seen { set } => {
                let master = self.volatile.sets.get(usize::from(*set)).and_then(|view| view.master);
                Some(Response::Seen {
                    set: *set,
                    master: master.map(|(node, _, heard)| (node, now.since(heard))),
                })
            }
            _ => None,
        }
    }

    /// A topic as the sets' last masters tell of it: up to the first new partition that its set does not know. The
    /// numbers run over all sets, unlike RocketMQ's, where each broker counts its own (assumed).
    fn told_of(&self, topic: &Topic) -> Topic {
        let none = Vec::new();
        let told = |set: u16| {
            let view = self.volatile.sets.get(usize::from(set));
            let spokesman = view.and_then(|view| view.spokesman);
            spokesman.and_then(|node| self.volatile.shapes.get(&node)).unwrap_or(&none)
        };
        let of_topic = |shape: &&Topic| shape.topic == topic.topic;
        let shapes = self.volatile.shapes.values().flat_map(|shapes| shapes.iter().find(of_topic));
        let Some(widest) = shapes.max_by_key(|shape| shape.sets.len()) else { return topic.clone() };
        let known = (0u16..).zip(&widest.sets).skip(topic.sets.len()).take_while(|(partition, set)| {
            let partition = TopicPartition { topic: topic.topic, partition: *partition };
            set_of(told(**set), partition) == Some(**set)
        });
        let all = topic.sets.iter().copied().chain(known.map(|(_, set)| *set));
        let limits = |set: u16| {
            let shape = told(set).iter().find(|shape| shape.topic == topic.topic);
            shape.map(|shape| shape.limits).unwrap_or_default()
        };
        // Each set has its own word on the partitions that lie on it.
        let all: Vec<u16> = all.collect();
        let read =
            (0u16..).zip(all.iter().copied()).take_while(|(partition, set)| limits(*set).reads(*partition));
        let sets: Vec<u16> = read.map(|(_, set)| set).collect();
        let write = (0u16..).zip(&sets).find(|(partition, set)| !limits(**set).writes(*partition));
        let limits = Limits {
            write: write.map(|(partition, _)| partition),
            read: (sets.len() < all.len()).then_some(sets.len() as u16),
        };
        Topic { topic: topic.topic, sets, limits }
    }

    /// The brokers told of widened topics, or another master speaks for a set: the clients may be told of other partitions.
    fn follow_shapes(&mut self, effects: &mut Effects) {
        if self.volatile.shapes.is_empty() {
            return;
        }
        let topics: Vec<Topic> = self.wiring.topics.iter().map(|topic| self.told_of(topic)).collect();
        // Until it has heard of every set it knows less than it did before its start, and its clients forget nothing.
        let knows_all =
            self.volatile.sets.iter().take(self.sets_in_use()).all(|view| view.spokesman.is_some());
        for (now, recorded) in topics.iter().zip(&mut self.durable.recorded) {
            if now.sets.len() != recorded.sets.len() && (knows_all || now.sets.len() > recorded.sets.len()) {
                let partitions = now.sets.len() as u16;
                effects.record(Event::Widened { queue: Queue::Corgi, topic: now.topic, partitions });
                recorded.sets.clone_from(&now.sets);
            }
            if now.limits.write.is_some() && now.writable() != recorded.writable() {
                effects.record(Event::Narrowed { topic: now.topic, partitions: now.writable() });
                recorded.limits = now.limits;
            }
        }
        self.volatile.topics = topics;
    }

    fn message(&mut self, now: Time, from: NodeId, id: RequestId, request: &Request, effects: &mut Effects) {
        if let Request::Shapes { topics } = request {
            let known = self.volatile.shapes.entry(from).or_default();
            take_wider(known, topics);
        }
        let response = self.answer(now, from, request);
        if matches!(request, Request::Shapes { .. } | Request::Register { .. }) {
            self.follow_shapes(effects);
        }
        if let Some(response) = response {
            effects.send(from, Message::CorgiResponse(id, Box::new(response)));
        }
    }

    fn scan(&mut self, now: Time, effects: &mut Effects) {
        let silence = self.settings.name_service.silence;
        for view in &mut self.volatile.sets {
            view.master = view.master.filter(|(_, _, heard)| now.since(*heard) < silence);
        }
        effects.set_timer(SCAN, self.settings.name_service.scan_interval);
    }
}

impl Machine for NameService {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let now = now.elapsed;
        match input {
            Input::Start { .. } => {
                self.volatile.sets = vec![SetView::default(); self.wiring.sets.len()];
                self.volatile.topics.clone_from(&self.wiring.topics);
                effects.set_timer(SCAN, self.settings.name_service.scan_interval);
            }
            Input::Message { from, message: Message::CorgiRequest(id, request) } => {
                self.message(now, from, id, &request, effects);
            }
            Input::Timer(SCAN) => self.scan(now, effects),
            // A broken connection drops a broker within 0.15 s (e2kill).
            Input::Disconnected(node) => {
                for view in &mut self.volatile.sets {
                    view.master = view.master.filter(|(master, ..)| *master != node);
                }
            }
            Input::Terminate => effects.processes.push(Process::Exit),
            Input::Message { .. } | Input::Timer(_) | Input::Incident(_) => {}
            Input::Placed(_) | Input::Unreachable(_) => {}
        }
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    /// It has nothing on a disk.
    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicId;
    use crate::units::Span;

    const OLD: NodeId = NodeId(10);
    const NEW: NodeId = NodeId(11);

    fn service(epochs: bool) -> NameService {
        let wiring = Wiring { sets: vec![vec![OLD, NEW]], ..Wiring::default() };
        let mut service = NameService::new(Settings { epochs, ..Settings::default() }, wiring);
        service.step(Now::exact(Time::ZERO), Input::Start { incarnation: 1 }, &mut Effects::default());
        service
    }

    fn register(
        service: &mut NameService,
        at: u64,
        node: NodeId,
        master: bool,
        epoch: Epoch,
    ) -> Option<NodeId> {
        let now = Time::ZERO + Span::secs(at);
        match service.register(now, node, (0, master, epoch)) {
            Response::Register { master } => master.map(|(node, _)| node),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_old_master_is_told_of_its_successor() {
        let mut service = service(true);
        assert_eq!(register(&mut service, 0, OLD, true, 1), Some(OLD));
        assert_eq!(register(&mut service, 1, NEW, true, 2), Some(NEW));
        assert_eq!(register(&mut service, 2, OLD, true, 1), Some(NEW));
    }

    #[test]
    fn without_epochs_the_last_to_report_is_listed() {
        let mut service = service(false);
        register(&mut service, 0, OLD, true, 1);
        assert_eq!(register(&mut service, 1, NEW, true, 2), Some(NEW));
        assert_eq!(register(&mut service, 2, OLD, true, 1), Some(OLD));
    }

    #[test]
    fn a_fenced_slave_ends_the_listing_of_the_old_master() {
        let mut service = service(true);
        register(&mut service, 0, OLD, true, 1);
        assert_eq!(register(&mut service, 1, NEW, false, 2), None);
        assert_eq!(register(&mut service, 2, OLD, true, 1), None);
    }

    #[test]
    fn a_dead_master_is_dropped_at_once_and_a_silent_one_after_two_minutes() {
        let mut service = service(true);
        register(&mut service, 0, OLD, true, 1);
        let scan = |service: &mut NameService, at| {
            let now = Now::exact(Time::ZERO + Span::secs(at));
            service.step(now, Input::Timer(SCAN), &mut Effects::default());
            service.volatile.sets[0].master.is_some()
        };
        assert!(scan(&mut service, 119));
        assert!(!scan(&mut service, 120));
        register(&mut service, 121, OLD, true, 1);
        service.step(Now::exact(Time(122_000_000)), Input::Disconnected(OLD), &mut Effects::default());
        assert_eq!(service.volatile.sets[0].master, None);
    }

    const OTHER: NodeId = NodeId(20);

    /// Tells the name service something, and returns how many partitions it tells clients of since.
    fn tell(service: &mut NameService, from: NodeId, request: Request) -> (usize, Vec<Event>) {
        let message = Message::CorgiRequest(RequestId::default(), Box::new(request));
        let mut effects = Effects::default();
        service.step(Now::exact(Time::ZERO), Input::Message { from, message }, &mut effects);
        (service.volatile.topics[0].sets.len(), effects.events)
    }

    fn widened(partitions: u16) -> Request {
        Request::Shapes { topics: vec![Topic::spread(TopicId(0), partitions, 2)] }
    }

    fn widened_event(partitions: u16) -> Vec<Event> {
        vec![Event::Widened { queue: Queue::Corgi, topic: TopicId(0), partitions }]
    }

    /// Two sets of two brokers, and a topic of two partitions.
    fn of_two_sets() -> NameService {
        let wiring = Wiring {
            sets: vec![vec![OLD, NEW], vec![OTHER]],
            topics: vec![Topic::spread(TopicId(0), 2, 2)],
            ..Wiring::default()
        };
        let mut service = NameService::new(Settings::default(), wiring);
        service.step(Now::exact(Time::ZERO), Input::Start { incarnation: 1 }, &mut Effects::default());
        tell(&mut service, OLD, Request::Register { set: 0, master: true, epoch: 1 });
        tell(&mut service, OTHER, Request::Register { set: 1, master: true, epoch: 1 });
        service
    }

    #[test]
    fn a_widened_topic_is_told_up_to_the_first_partition_that_its_set_does_not_know() {
        let mut service = of_two_sets();
        assert_eq!(tell(&mut service, NEW, widened(6)), (2, vec![]), "a slave has no say");
        assert_eq!(tell(&mut service, OLD, widened(6)), (3, widened_event(3)));
        assert_eq!(tell(&mut service, OTHER, widened(6)), (6, widened_event(6)));
        assert_eq!(tell(&mut service, OTHER, widened(6)), (6, vec![]));
        assert_eq!(tell(&mut service, OTHER, widened(4)), (6, vec![]), "an older shape");
    }

    #[test]
    fn a_new_master_that_does_not_know_hides_its_sets_new_partitions() {
        let mut service = of_two_sets();
        tell(&mut service, OLD, widened(6));
        tell(&mut service, OTHER, widened(6));
        service.step(Now::exact(Time::ZERO), Input::Disconnected(OLD), &mut Effects::default());
        assert_eq!(service.volatile.topics[0].sets.len(), 6, "a set without a master keeps them");
        let promoted = Request::Register { set: 0, master: true, epoch: 2 };
        assert_eq!(tell(&mut service, NEW, promoted), (2, widened_event(2)));
        assert_eq!(tell(&mut service, NEW, widened(6)), (6, widened_event(6)));
    }

    #[test]
    fn what_it_hears_again_after_a_restart_is_not_told_as_news() {
        let mut service = of_two_sets();
        tell(&mut service, OLD, widened(6));
        assert_eq!(tell(&mut service, OTHER, widened(6)), (6, widened_event(6)));
        service.crash();
        service.step(Now::exact(Time::ZERO), Input::Start { incarnation: 2 }, &mut Effects::default());
        assert_eq!(
            tell(&mut service, OLD, Request::Register { set: 0, master: true, epoch: 1 }),
            (2, vec![])
        );
        assert_eq!(tell(&mut service, OLD, widened(6)), (3, vec![]), "the other set is not heard yet");
        tell(&mut service, OTHER, widened(6));
        assert_eq!(
            tell(&mut service, OTHER, Request::Register { set: 1, master: true, epoch: 1 }),
            (6, vec![])
        );
        assert_eq!(tell(&mut service, OLD, widened(8)), (7, widened_event(7)), "and this is");
    }
}
