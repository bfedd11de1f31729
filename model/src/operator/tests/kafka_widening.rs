//! A widening in Kafka: one request, and what becomes of it when its answer is lost.

use super::kafka::metadata_of;
use super::*;
use crate::kafka::admin::{AdminRequest, AdminResponse};
use crate::kafka::protocol::ErrorCode;

const STEPS: &str = "{ do = \"widen\", topic = \"payments\", partitions = 5, in = \"kafka\" }";

fn widening() -> Dialogue {
    let mut dialogue = Dialogue::of(plan(STEPS));
    dialogue.pass(Span::secs(1));
    dialogue
}

fn answer(dialogue: &mut Dialogue, error: ErrorCode) -> NodeId {
    let (broker, id, request) = dialogue.requests().remove(0);
    let wanted = AdminRequest::CreatePartitions { topic: TopicId(0), count: 5, replicas: None };
    assert_eq!(request, Request::Admin(wanted));
    dialogue.kafka_answers(broker, id, Response::Admin(AdminResponse::Done { error }));
    broker
}

fn done(dialogue: &Dialogue) -> bool {
    dialogue.events.iter().any(|event| matches!(event, Event::StepDone { .. }))
}

#[test]
fn it_is_done_when_the_controller_has_taken_it() {
    let mut dialogue = widening();
    answer(&mut dialogue, ErrorCode::None);
    assert!(done(&dialogue));
    assert_eq!(dialogue.operator.durable.notes.targets.get(&TopicId(0)), Some(&5));
}

#[test]
fn a_second_try_that_is_refused_finds_the_count_there() {
    let mut dialogue = widening();
    assert_eq!(dialogue.requests().len(), 1);
    dialogue.pass(Span::secs(29));
    assert_eq!(dialogue.requests(), [], "a request is not repeated while it may be answered");
    dialogue.pass(Span::secs(3));
    assert_eq!(answer(&mut dialogue, ErrorCode::InvalidPartitions), KAFKA[1], "another broker is asked");
    let (broker, id, _) = dialogue.requests().remove(0);
    dialogue.kafka_answers(broker, id, metadata_of(2));
    assert!(!done(&dialogue), "a broker that has not heard of it yet");
    dialogue.pass(Span::secs(3));
    answer(&mut dialogue, ErrorCode::InvalidPartitions);
    let (broker, id, _) = dialogue.requests().remove(0);
    dialogue.kafka_answers(broker, id, metadata_of(5));
    assert!(done(&dialogue));
}

#[test]
fn a_refusal_is_told_and_tried_again_and_a_crash_begins_anew() {
    let mut dialogue = widening();
    answer(&mut dialogue, ErrorCode::RequestTimedOut);
    let told = |event: &Event| matches!(event, Event::GateWaiting { because, .. } if because.contains("REQUEST_TIMED_OUT"));
    assert!(dialogue.events.iter().any(told), "{:?}", dialogue.events);
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    answer(&mut dialogue, ErrorCode::None);
    assert!(done(&dialogue));
}

#[test]
fn offsets_that_are_prepared_behind_it_cover_the_new_partitions() {
    let steps = format!("{STEPS}, {{ do = \"prepare-offsets\", group = \"billing\", from = \"latest\" }}");
    let mut dialogue = Dialogue::of(plan(&steps));
    dialogue.pass(Span::secs(1));
    answer(&mut dialogue, ErrorCode::None);
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    let (broker, id, request) = dialogue.requests().remove(0);
    assert!(matches!(request, Request::Metadata { .. }), "{request:?}");
    dialogue.kafka_answers(broker, id, metadata_of(5));
    let listed: usize = dialogue
        .requests()
        .iter()
        .map(|(.., request)| match request {
            Request::ListOffsets { partitions, .. } => partitions.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(listed, 5);
}
