//! Rewinds: looking up, asking Redis, telling the instances, going by their answers.

use super::kafka::Kafka;
use super::*;
use crate::record::{Offset, TopicPartition};
use crate::redis;
use crate::rewind::{self, Address, Answer, Command, InstanceId, Refusal, Registration};

const ZERO: TopicPartition = TopicPartition::new(0, 0);
const ONE: TopicPartition = TopicPartition::new(0, 1);

fn registration(place: usize, incarnation: u32) -> Registration {
    let node = INSTANCES[place];
    let instance = InstanceId { node, incarnation };
    Registration { group: BILLING, address: Address::own(node), instance }
}

fn rewinding(keys: &str) -> Dialogue {
    let mut dialogue = Dialogue::of(plan(&format!("{{ do = \"rewind\", group = \"billing\", {keys} }}")));
    dialogue.pass(Span::secs(1));
    dialogue
}

/// Redis lists these; and the commands that follow.
fn list(dialogue: &mut Dialogue, found: &[Registration]) -> Vec<Command> {
    let scan = |(to, message): (NodeId, Message)| match message {
        Message::Redis(message) => match *message {
            redis::Message::Request(id, redis::Request::Scan { group: BILLING }) => Some((to, id)),
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    let (redis, id) = dialogue.sent().into_iter().filter_map(scan).next_back().expect("Redis is asked");
    assert_eq!(redis, REDIS);
    let response = redis::Message::Response(id, redis::Response::Found(found.to_vec()));
    dialogue.hear(REDIS, Message::Redis(Box::new(response)));
    commands(dialogue)
}

fn commands(dialogue: &mut Dialogue) -> Vec<Command> {
    let command = |(to, message): (Address, Message)| match message {
        Message::Rewind(message) => match *message {
            rewind::Message::Command(command) => {
                assert_eq!(command.to.address, to);
                Some(command)
            }
            rewind::Message::Answer(_) => None,
        },
        _ => None,
    };
    std::mem::take(&mut dialogue.calls).into_iter().filter_map(command).collect()
}

fn answer(dialogue: &mut Dialogue, to: Registration, outcome: Result<Vec<TopicPartition>, Refusal>) {
    answer_to(dialogue, 1, to, outcome);
}

/// The answer to one of the repetitions.
fn answer_to(
    dialogue: &mut Dialogue,
    attempt: u32,
    to: Registration,
    outcome: Result<Vec<TopicPartition>, Refusal>,
) {
    let answer = rewind::Message::Answer(Answer { rewind: 1, attempt, to, outcome });
    dialogue.hear(to.instance.node, Message::Rewind(Box::new(answer)));
}

fn is_done(dialogue: &Dialogue) -> bool {
    dialogue.events.iter().any(|event| matches!(event, Event::StepDone { .. }))
}

fn asked(dialogue: &Dialogue) -> Vec<(TopicPartition, Offset)> {
    let asked = dialogue.events.iter().find_map(|event| match event {
        Event::RewindAsked { offsets, .. } => Some(offsets.clone()),
        _ => None,
    });
    asked.unwrap_or_default()
}

#[test]
fn he_tells_all_whom_redis_lists_until_each_partition_is_confirmed() {
    let mut dialogue = rewinding("to = { offset = 7 }");
    assert_eq!(asked(&dialogue), [(ZERO, 7), (ONE, 7)]);
    let both = [registration(0, 1), registration(1, 1)];
    let commands = list(&mut dialogue, &both);
    assert_eq!(commands.iter().map(|command| command.to).collect::<Vec<_>>(), both);
    assert!(commands.iter().all(|command| command.offsets == [(ZERO, 7), (ONE, 7)]));
    answer(&mut dialogue, both[0], Ok(vec![ZERO]));
    answer(&mut dialogue, both[1], Ok(vec![]));
    assert!(!is_done(&dialogue));
    // By the next time the partition has an owner; what is confirmed is not told again.
    dialogue.pass(Span::secs(3));
    let commands = list(&mut dialogue, &both);
    assert!(commands.iter().all(|command| command.rewind == 1 && command.offsets == [(ONE, 7)]));
    assert!(commands.iter().all(|command| command.attempt == 2));
    answer_to(&mut dialogue, 2, both[1], Ok(vec![ONE]));
    answer_to(&mut dialogue, 2, both[0], Err(Refusal::NothingAssigned));
    assert!(is_done(&dialogue));
}

/// A command that is under way might be obeyed when its partition has moved, behind the back of who goes on.
#[test]
fn he_goes_on_when_nobody_can_obey_him_any_more() {
    let mut dialogue = rewinding("to = { offset = 7 }");
    let (answering, frozen) = (registration(0, 1), registration(1, 1));
    let commands = list(&mut dialogue, &[answering, frozen]);
    let until = commands[0].valid_until.expect("it is good for a while");
    answer(&mut dialogue, answering, Ok(vec![ZERO, ONE]));
    assert!(!is_done(&dialogue));
    dialogue.pass(until.since(dialogue.now) + Span::millis(1));
    assert!(is_done(&dialogue));
}

#[test]
fn what_came_too_late_or_twice_says_nothing_of_whom_it_was_for() {
    for refusal in [Refusal::Outdated, Refusal::Expired] {
        let mut dialogue = rewinding("to = { offset = 7 }, confirm = \"instances\"");
        list(&mut dialogue, &[registration(0, 1)]);
        answer(&mut dialogue, registration(0, 1), Err(refusal));
        assert!(!is_done(&dialogue));
        answer(&mut dialogue, registration(0, 1), Ok(vec![ZERO]));
        assert!(is_done(&dialogue));
    }
}

/// In a rebalance it has nothing, and is asked again until it has something. Who counts instances is content.
#[test]
fn an_instance_that_has_nothing_has_confirmed_nothing() {
    let mut dialogue = rewinding("instance = 1, to = { offset = 7 }");
    list(&mut dialogue, &[registration(1, 1)]);
    answer(&mut dialogue, registration(1, 1), Err(Refusal::NothingAssigned));
    assert!(!is_done(&dialogue));
    dialogue.pass(Span::secs(3));
    assert_eq!(list(&mut dialogue, &[registration(1, 1)]).len(), 1);
    answer_to(&mut dialogue, 2, registration(1, 1), Ok(vec![ONE]));
    assert!(is_done(&dialogue));
    let mut dialogue = rewinding("instance = 1, to = { offset = 7 }, confirm = \"instances\"");
    list(&mut dialogue, &[registration(1, 1)]);
    answer(&mut dialogue, registration(1, 1), Err(Refusal::NothingAssigned));
    assert!(is_done(&dialogue));
}

#[test]
fn stale_entries_refusals_and_an_empty_list_are_not_enough() {
    let mut dialogue = rewinding("partitions = [1], to = { offset = 7 }");
    assert_eq!(asked(&dialogue), [(ONE, 7)]);
    assert!(list(&mut dialogue, &[]).is_empty());
    dialogue.pass(Span::secs(3));
    let (stale, dead) = (registration(0, 1), registration(1, 1));
    assert_eq!(list(&mut dialogue, &[stale, dead]).len(), 2);
    answer(&mut dialogue, stale, Err(Refusal::OtherInstance));
    dialogue.input(Input::Unreachable(dead.address));
    assert!(!is_done(&dialogue));
    dialogue.pass(Span::secs(60));
    let said = dialogue.events.iter().any(|event| match event {
        Event::GateWaiting { because, .. } => because.contains("Redis does not answer"),
        _ => false,
    });
    assert!(said, "{:?}", dialogue.events);
}

fn said_last(dialogue: &Dialogue) -> String {
    let said = dialogue.events.iter().rev().find_map(|event| match event {
        Event::GateWaiting { because, .. } => Some(because.clone()),
        _ => None,
    });
    said.unwrap_or_default()
}

/// The same answers round by round, until he says why he waits.
fn rounds(dialogue: &mut Dialogue, listed: &[Registration], refuses: &[(usize, Refusal)]) -> String {
    for attempt in 1..30 {
        list(dialogue, listed);
        for (place, refusal) in refuses {
            answer_to(dialogue, attempt, listed[*place], Err(*refusal));
        }
        dialogue.pass(Span::secs(3));
    }
    assert!(!is_done(dialogue));
    said_last(dialogue)
}

#[test]
fn he_says_what_each_said_last_whom_redis_lists_and_whom_it_does_not_list() {
    let both = [registration(0, 1), registration(1, 1)];
    let mut dialogue = rewinding("to = { offset = 7 }");
    let said = rounds(&mut dialogue, &both, &[(1, Refusal::Expired)]);
    assert!(said.ends_with(": instance 0 has not answered, instance 1 last answered expired"), "{said}");
    // The owner of what is open is not listed: the other one's answer is not all that there is to say.
    let mut dialogue = rewinding("to = { offset = 7 }");
    let said = rounds(&mut dialogue, &both[..1], &[(0, Refusal::NothingAssigned)]);
    let expected = ": instance 0 last answered nothing-assigned, Redis does not list instance 1";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn a_refusal_is_forgotten_when_redis_answers_anew() {
    let both = [registration(0, 1), registration(1, 1)];
    let mut dialogue = rewinding("to = { offset = 7 }");
    list(&mut dialogue, &both);
    answer(&mut dialogue, both[0], Err(Refusal::NothingAssigned));
    answer(&mut dialogue, both[1], Err(Refusal::Expired));
    dialogue.pass(Span::secs(3));
    let said = rounds(&mut dialogue, &[], &[]);
    assert!(said.ends_with(": Redis lists nobody"), "{said}");
}

#[test]
fn who_is_content_with_those_who_answer_misses_nobody() {
    let mut dialogue = rewinding("to = { offset = 7 }, confirm = \"instances\"");
    let (answering, dead) = (registration(0, 1), registration(1, 1));
    list(&mut dialogue, &[answering, dead]);
    answer(&mut dialogue, answering, Ok(vec![ZERO]));
    assert!(!is_done(&dialogue));
    dialogue.input(Input::Unreachable(dead.address));
    assert!(is_done(&dialogue));
}

/// Two lives of one instance are listed: nobody is at the address of the first, and the second is still to answer.
#[test]
fn an_address_at_which_nobody_is_says_nothing_of_another() {
    let mut dialogue = rewinding("to = { offset = 7 }, confirm = \"instances\"");
    let gone = registration(0, 1);
    let mut moved = registration(0, 2);
    moved.address.port += 1;
    list(&mut dialogue, &[gone, moved]);
    dialogue.input(Input::Unreachable(gone.address));
    assert!(!is_done(&dialogue));
    answer(&mut dialogue, moved, Ok(vec![ZERO, ONE]));
    assert!(is_done(&dialogue));
}

/// Somebody else has the address by now, and says so: that is nobody's confirmation.
#[test]
fn whoever_has_a_reused_address_confirms_nothing_for_the_one_before_it() {
    let mut dialogue = rewinding("to = { offset = 7 }");
    let stale = registration(0, 1);
    assert_eq!(list(&mut dialogue, &[stale]).len(), 1);
    let refused = Answer { rewind: 1, attempt: 1, to: stale, outcome: Err(Refusal::OtherInstance) };
    dialogue.hear(INSTANCES[1], Message::Rewind(Box::new(rewind::Message::Answer(refused))));
    assert!(!is_done(&dialogue));
    dialogue.pass(Span::secs(3));
    let mut now = registration(0, 2);
    now.address.port += 1;
    list(&mut dialogue, &[stale, now]);
    answer_to(&mut dialogue, 2, now, Ok(vec![ZERO, ONE]));
    answer_to(&mut dialogue, 2, stale, Err(Refusal::OtherInstance));
    assert!(is_done(&dialogue));
}

#[test]
fn of_one_instance_each_entry_is_told_and_its_own_answer_counts() {
    let mut dialogue = rewinding("instance = 1, to = { offset = 7 }");
    let entries = [registration(0, 1), registration(1, 1), registration(1, 2)];
    let commands = list(&mut dialogue, &entries);
    assert_eq!(commands.iter().map(|command| command.to).collect::<Vec<_>>(), entries[1..]);
    answer(&mut dialogue, entries[1], Err(Refusal::OtherInstance));
    assert!(!is_done(&dialogue));
    answer(&mut dialogue, entries[2], Ok(vec![ONE]));
    assert!(is_done(&dialogue));
}

#[test]
fn a_moment_is_looked_up_in_kafka_once_also_over_a_crash() {
    let mut dialogue = rewinding("to = { ago = \"60s\" }");
    let mut kafka = Kafka::new();
    kafka.serve(&mut dialogue);
    assert_eq!(asked(&dialogue), [(ZERO, 30), (ONE, 40)]);
    assert!(kafka.commits.is_empty());
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    kafka.by_time = [50, 60];
    let commands = list(&mut dialogue, &[registration(0, 1)]);
    assert_eq!(commands[0].offsets, [(ZERO, 30), (ONE, 40)]);
    answer(&mut dialogue, registration(0, 1), Ok(vec![ZERO, ONE]));
    assert!(is_done(&dialogue));
}

#[test]
fn answers_to_an_earlier_rewind_and_late_lists_change_nothing() {
    let mut dialogue = rewinding("to = { offset = 7 }");
    list(&mut dialogue, &[registration(0, 1)]);
    let stale = Answer { rewind: 9, attempt: 1, to: registration(0, 1), outcome: Ok(vec![ZERO, ONE]) };
    dialogue.hear(INSTANCES[0], Message::Rewind(Box::new(rewind::Message::Answer(stale))));
    let late =
        redis::Message::Response(RequestId::default(), redis::Response::Found(vec![registration(1, 1)]));
    dialogue.hear(REDIS, Message::Redis(Box::new(late)));
    assert!(commands(&mut dialogue).is_empty());
    assert!(!is_done(&dialogue));
}
