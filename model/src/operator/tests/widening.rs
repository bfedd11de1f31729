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
    assert!(asked.iter().all(|(.., topic)| *topic == Topic::spread(TopicId(0), 5, 2)));
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

/// Who was asked which broker set's master it knows.
fn asked_for_masters(dialogue: &mut Dialogue) -> Vec<(NodeId, RequestId, u16)> {
    let asked = |(to, message)| match message {
        Message::CorgiRequest(id, request) => match *request {
            corgi::Request::Seen { set } => Some((to, id, set)),
            _ => None,
        },
        _ => None,
    };
    dialogue.sent().into_iter().filter_map(asked).collect()
}

#[test]
fn with_masters_alone_the_name_service_says_who_they_are_and_a_new_one_is_told_too() {
    let steps = "{ do = \"widen\", topic = \"payments\", partitions = 5, tell = \"masters\" }";
    let mut dialogue = Dialogue::of(plan(steps));
    dialogue.pass(Span::secs(1));
    let seen = |dialogue: &mut Dialogue, id, set, master| {
        let master = Some((master, Span::ZERO));
        let response = corgi::Response::Seen { set, master };
        dialogue.hear(NAME_SERVICE, Message::CorgiResponse(id, Box::new(response)));
    };
    let asked = asked_for_masters(&mut dialogue);
    assert_eq!(
        asked.iter().map(|(to, _, set)| (*to, *set)).collect::<Vec<_>>(),
        [(NAME_SERVICE, 0), (NAME_SERVICE, 1)]
    );
    seen(&mut dialogue, asked[0].1, 0, CORGI[0]);
    let (to, id, topic) = told(&mut dialogue).remove(0);
    assert_eq!((to, topic.sets.len()), (CORGI[0], 5));
    confirm(&mut dialogue, to, id, 5);
    assert!(!done(&dialogue), "the other set's master is not known");
    dialogue.pass(Span::secs(3));
    let asked = asked_for_masters(&mut dialogue);
    seen(&mut dialogue, asked[0].1, 0, CORGI[1]);
    seen(&mut dialogue, asked[1].1, 1, CORGI[0]);
    assert!(!done(&dialogue), "the first set has another master by now");
    let (to, id, _) = told(&mut dialogue).remove(0);
    assert_eq!(to, CORGI[1]);
    confirm(&mut dialogue, to, id, 5);
    assert!(done(&dialogue));
}

fn done(dialogue: &Dialogue) -> bool {
    dialogue
        .events
        .iter()
        .any(|event| matches!(event, Event::StepDone { act: crate::plan::Act::Widen { .. }, .. }))
}

#[test]
fn a_set_that_was_added_is_told_asked_and_may_have_the_new_partitions() {
    let steps = "{ do = \"add-broker-set\", set = 2 },
                 { do = \"widen\", topic = \"payments\", partitions = 4, on = 2 },
                 { do = \"widen\", topic = \"payments\", partitions = 7 },
                 { wait = { for = \"nobody-reads\" } }";
    let mut dialogue = Dialogue::of(plan(steps));
    dialogue.pass(Span::secs(1));
    let order = Order::Roll(crate::deployment::RollOrder::default());
    assert_eq!(dialogue.orders(), [(1, Target::BrokerSet(2), order)]);
    dialogue.accept(1);
    for sets in [vec![0, 1, 2, 2], vec![0, 1, 2, 2, 1, 2, 0]] {
        dialogue.pass(Span::secs(1));
        let asked = told(&mut dialogue);
        assert_eq!(asked.iter().map(|(to, ..)| *to).collect::<Vec<_>>(), [CORGI[0], CORGI[1], STANDBY]);
        for (to, id, topic) in asked {
            assert_eq!(topic.sets, sets);
            confirm(&mut dialogue, to, id, sets.len() as u16);
        }
    }
    dialogue.pass(Span::secs(1));
    let asked: Vec<NodeId> = dialogue
        .sent()
        .into_iter()
        .filter(|(_, message)| matches!(message, Message::ReportRequest(_)))
        .map(|(to, _)| to)
        .collect();
    assert_eq!(asked, [CORGI[0], CORGI[1], STANDBY]);
    dialogue.pass(Span::secs(5));
    let report = |master: bool, ends: Vec<(crate::record::TopicPartition, i64)>| Report::Corgi {
        master,
        ends,
        committed: vec![],
        members: vec![],
        delayed: crate::report::Delayed::default(),
    };
    let of_first =
        vec![(crate::record::TopicPartition::new(0, 0), 3), (crate::record::TopicPartition::new(0, 1), 3)];
    dialogue.report(|node| (node == CORGI[0]).then(|| report(true, of_first.clone())));
    assert!(!dialogue.operator.is_complete(), "the added set has said nothing");
    dialogue.pass(Span::secs(5));
    let ends = |node| if node == CORGI[0] { of_first.clone() } else { vec![] };
    dialogue.report(|node| Some(report(node != CORGI[1], ends(node))));
    dialogue.pass(Span::secs(1));
    assert!(dialogue.operator.is_complete());
}

#[test]
fn a_topic_is_narrowed_by_telling_every_broker_and_an_answer_to_the_act_before_is_none_to_it() {
    let steps = "{ do = \"narrow\", topic = \"payments\", partitions = 1, for = \"writing\" },
                 { do = \"narrow\", topic = \"payments\", partitions = 1, for = \"reading\" }";
    let mut dialogue = Dialogue::of(plan(steps));
    dialogue.pass(Span::secs(1));
    let first = told(&mut dialogue);
    assert!(first.iter().all(|(.., topic)| (topic.limits.write, topic.limits.read) == (Some(1), None)));
    for (to, id, _) in &first {
        confirm(&mut dialogue, *to, *id, 2);
    }
    dialogue.pass(Span::secs(1));
    let second = told(&mut dialogue);
    assert!(second.iter().all(|(.., topic)| (topic.limits.write, topic.limits.read) == (Some(1), Some(1))));
    for (to, id, _) in first {
        confirm(&mut dialogue, to, id, 2);
    }
    assert!(!dialogue.operator.is_complete());
    for (to, id, _) in second {
        confirm(&mut dialogue, to, id, 2);
    }
    dialogue.pass(Span::secs(1));
    assert!(dialogue.operator.is_complete());
}

/// Nobody reports on them any more.
#[test]
fn partitions_that_are_not_read_any_more_are_not_waited_for() {
    let steps = "{ do = \"narrow\", topic = \"payments\", partitions = 1, for = \"reading\" },
                 { wait = { for = \"no-delayed\" } }";
    let mut dialogue = Dialogue::of(plan(steps));
    dialogue.pass(Span::secs(1));
    for (to, id, _) in told(&mut dialogue) {
        confirm(&mut dialogue, to, id, 2);
    }
    dialogue.pass(Span::secs(6));
    dialogue.report(|_| {
        Some(Report::Corgi {
            master: true,
            ends: vec![(crate::record::TopicPartition::new(0, 0), 3)],
            committed: vec![],
            members: vec![],
            delayed: crate::report::Delayed::default(),
        })
    });
    dialogue.pass(Span::secs(1));
    assert!(dialogue.operator.is_complete());
}
