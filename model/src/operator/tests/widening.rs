//! A widening: every broker is told until it has confirmed.

use super::*;
use crate::corgi::protocol as corgi;
use crate::corgi::wiring::Topic;

/// What the brokers were told since it was last looked at.
fn told(dialogue: &mut Dialogue) -> Vec<(NodeId, RequestId, Topic)> {
    let told = |(to, message)| match message {
        Message::CorgiRequest(id, request) => match *request {
            corgi::Request::Widen { topic } => Some((to, id, topic)),
            _ => None,
        },
        _ => None,
    };
    dialogue.sent().into_iter().filter_map(told).collect()
}

fn confirm(dialogue: &mut Dialogue, from: NodeId, id: RequestId, partitions: u16) {
    let response = corgi::Response::Widened { topic: TopicId(0), partitions };
    dialogue.hear(from, Message::CorgiResponse(id, Box::new(response)));
}

#[test]
fn a_widening_is_done_when_every_broker_has_confirmed_it() {
    let mut dialogue = Dialogue::of(plan("{ do = \"widen\", topic = \"payments\", partitions = 5 }"));
    dialogue.pass(Span::secs(1));
    let asked = told(&mut dialogue);
    assert_eq!(asked.iter().map(|(to, ..)| *to).collect::<Vec<_>>(), CORGI);
    assert!(asked.iter().all(|(.., topic)| *topic == Topic { topic: TopicId(0), sets: vec![0, 1, 0, 1, 0] }));
    confirm(&mut dialogue, asked[0].0, asked[0].1, 5);
    confirm(&mut dialogue, asked[0].0, asked[0].1, 5);
    assert!(!dialogue.operator.is_complete());
    dialogue.pass(Span::secs(3));
    let again = told(&mut dialogue);
    assert_eq!(
        again.iter().map(|(to, ..)| *to).collect::<Vec<_>>(),
        CORGI[1..],
        "who has confirmed is left alone"
    );
    for (to, id, _) in &again {
        confirm(&mut dialogue, *to, *id, 4);
    }
    dialogue.pass(Span::secs(1));
    assert!(!dialogue.operator.is_complete(), "four are not five");
    for (to, id, _) in again {
        confirm(&mut dialogue, to, id, 5);
    }
    dialogue.pass(Span::secs(1));
    assert!(dialogue.operator.is_complete());
}

#[test]
fn a_broker_that_is_silent_is_told_every_minute_and_a_crash_forgets_who_confirmed() {
    let mut dialogue = Dialogue::of(plan("{ do = \"widen\", topic = \"payments\", partitions = 5 }"));
    dialogue.pass(Span::secs(1));
    let (to, id, _) = told(&mut dialogue).remove(0);
    confirm(&mut dialogue, to, id, 5);
    dialogue.pass(Span::secs(65));
    let missing = format!("{} brokers of Corgi have not confirmed it", CORGI.len() - 1);
    let waiting = |event: &Event| matches!(event, Event::GateWaiting { because, .. } if *because == missing);
    assert!(dialogue.events.iter().any(waiting), "{:?}", dialogue.events);
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    assert_eq!(told(&mut dialogue).len(), CORGI.len());
}
