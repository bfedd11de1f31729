//! Offsets set in Corgi: every broker is told until each partition was set by a master.

use super::*;
use crate::corgi::protocol::{self as corgi, Refusal, ResetTo};
use crate::record::TopicPartition;

/// What the brokers were told since it was last looked at.
fn told(dialogue: &mut Dialogue) -> Vec<(NodeId, RequestId, ResetTo)> {
    let told = |(to, message)| match message {
        Message::CorgiRequest(id, request) => match *request {
            corgi::Request::ResetOffsets { group: BILLING, to: place, topics } => {
                assert_eq!(topics, [TopicId(0)]);
                Some((to, id, place))
            }
            _ => None,
        },
        _ => None,
    };
    dialogue.sent().into_iter().filter_map(told).collect()
}

fn answer(dialogue: &mut Dialogue, from: NodeId, id: RequestId, response: corgi::Response) {
    dialogue.hear(from, Message::CorgiResponse(id, Box::new(response)));
}

fn set(partitions: &[u16]) -> corgi::Response {
    let offset = |partition: &u16| (TopicPartition::new(0, *partition), 7);
    corgi::Response::OffsetsReset { offsets: partitions.iter().map(offset).collect() }
}

#[test]
fn it_is_done_when_masters_have_set_every_partition_by_the_time_that_was_fixed_at_first() {
    let lines = "{ do = \"reset-offsets\", group = \"billing\", from = { ago = \"1s\" } }";
    let mut dialogue = Dialogue::of(plan(lines));
    dialogue.pass(Span::secs(2));
    let asked = told(&mut dialogue);
    assert_eq!(asked.iter().map(|(to, ..)| *to).collect::<Vec<_>>(), CORGI);
    answer(&mut dialogue, asked[0].0, asked[0].1, set(&[1]));
    answer(&mut dialogue, asked[1].0, asked[1].1, corgi::Response::Refused(Refusal::NotMaster));
    assert!(!dialogue.operator.is_complete());
    dialogue.pass(Span::secs(3));
    let again = told(&mut dialogue);
    assert_eq!(again.iter().map(|(.., to)| *to).collect::<Vec<_>>(), [asked[0].2; 2], "the same moment");
    assert!(matches!(asked[0].2, ResetTo::CreatedAt(_)));
    dialogue.pass(Span::secs(60));
    let because = |event: &Event| match event {
        Event::GateWaiting { because, .. } => Some(because.clone()),
        _ => None,
    };
    let said = dialogue.events.iter().find_map(because);
    assert_eq!(said.as_deref(), Some("no Corgi master has confirmed it of payments/0"));
    answer(&mut dialogue, again[0].0, again[0].1, set(&[0]));
    assert!(dialogue.events.iter().any(|event| matches!(event, Event::StepDone { .. })));
}

#[test]
fn the_start_and_the_end_of_the_log_are_told_as_such() {
    for (from, to) in [("\"earliest\"", ResetTo::Earliest), ("\"latest\"", ResetTo::Latest)] {
        let lines = format!("{{ do = \"reset-offsets\", group = \"billing\", from = {from} }}");
        let mut dialogue = Dialogue::of(plan(&lines));
        dialogue.pass(Span::secs(1));
        assert!(told(&mut dialogue).iter().all(|(.., place)| *place == to));
    }
}
