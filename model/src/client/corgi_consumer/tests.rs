//! Dialogues with the library of one consumer.

use super::*;
use crate::corgi::wiring::Topic;

const MASTER: NodeId = NodeId(1);
const NAME_SERVICE: NodeId = NodeId(2);
const MYSELF: NodeId = NodeId(10);
const OTHER: NodeId = NodeId(11);

/// The library of an ordered group's instance, beside a master that answers when the test does.
struct Dialogue {
    library: CorgiConsumer,
    effects: Effects,
}

impl Dialogue {
    /// It knows the way and that it is alone: the lease of both partitions is asked for.
    fn new() -> Dialogue {
        let membership =
            Membership { node: MYSELF, topics: vec![TopicId(0)], ordered: true, ..Membership::default() };
        let library = CorgiConsumer::new(Settings::default(), NAME_SERVICE, membership);
        let mut dialogue = Dialogue { library, effects: Effects::default() };
        dialogue.library.start(Now::exact(Time::ZERO), 1, &mut dialogue.effects);
        let (id, _) = dialogue.asked();
        let topics = vec![Topic::spread(TopicId(0), 2, 1)];
        dialogue.answer(NAME_SERVICE, id, Response::Route { masters: vec![Some((MASTER, 1))], topics });
        let (id, _) = dialogue.asked();
        dialogue.answer(MASTER, id, Response::Heartbeat { members: Some(members(&[MYSELF])) });
        dialogue
    }

    /// The one question that was put.
    fn asked(&mut self) -> (RequestId, Request) {
        match &std::mem::take(&mut self.effects.sends)[..] {
            [(_, Message::CorgiRequest(id, request))] => (*id, (**request).clone()),
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self, from: NodeId, message: Message) {
        let input = Input::Message { from, message };
        self.library.step(Now::exact(Time::ZERO), &input, &mut self.effects);
    }

    fn answer(&mut self, from: NodeId, id: RequestId, response: Response) {
        self.hear(from, Message::CorgiResponse(id, Box::new(response)));
    }

    /// The master tells who the members are.
    fn members(&mut self, nodes: &[NodeId]) {
        let request = Request::Members { group: GroupId(0), members: Some(members(nodes)) };
        self.hear(MASTER, Message::CorgiRequest(RequestId::default(), Box::new(request)));
    }
}

fn members(nodes: &[NodeId]) -> Vec<Instance> {
    nodes.iter().map(|node| Instance { node: *node, incarnation: 1 }).collect()
}

fn both() -> Vec<TopicPartition> {
    vec![TopicPartition::new(0, 0), TopicPartition::new(0, 1)]
}

#[test]
fn a_lease_that_comes_for_what_is_somebody_elses_by_then_is_given_back_at_once() {
    let mut dialogue = Dialogue::new();
    let (lock, request) = dialogue.asked();
    assert_eq!(
        request,
        Request::Lock { group: GroupId(0), partitions: both().into_iter().map(|it| (it, false)).collect() }
    );
    dialogue.members(&[MYSELF, OTHER]);
    dialogue.answer(MASTER, lock, Response::Lock { granted: both() });
    let sends = std::mem::take(&mut dialogue.effects.sends);
    let unlocked = sends.iter().find_map(|(_, message)| match message {
        Message::CorgiRequest(id, request) => match &**request {
            Request::Unlock { partitions, .. } => Some((*id, partitions.clone())),
            _ => None,
        },
        _ => None,
    });
    let (unlock, partitions) = unlocked.expect("nobody else would give it back");
    assert_eq!(partitions, [(both()[1], None)]);
    // Not before that is confirmed may it be asked for again.
    dialogue.members(&[MYSELF]);
    assert!(!dialogue.library.volatile.shares.contains(both()[1]));
    dialogue.answer(MASTER, unlock, Response::Unlock);
    assert!(dialogue.library.volatile.shares.contains(both()[1]));
}

#[test]
fn a_lease_that_is_wanted_again_when_it_comes_is_kept() {
    let mut dialogue = Dialogue::new();
    let (lock, _) = dialogue.asked();
    dialogue.members(&[MYSELF, OTHER]);
    dialogue.members(&[MYSELF]);
    dialogue.answer(MASTER, lock, Response::Lock { granted: both() });
    let gives_back = |(_, message): &(NodeId, Message)| matches!(message, Message::CorgiRequest(_, request) if matches!(**request, Request::Unlock { .. }));
    assert!(!dialogue.effects.sends.iter().any(gives_back), "{:?}", dialogue.effects.sends);
    assert!(both().into_iter().all(|partition| dialogue.library.believes(Time::ZERO, partition)));
}
