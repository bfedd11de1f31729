//! Dialogues of the producer with hand-written answers; rows are those of the observed Java client.

use super::*;
use crate::client::kafka_dialogue::{Asked, Dialogue, metadata, record};
use crate::kafka::protocol::{Acks, ProduceBatch};
use crate::units::Span;

const P0: TopicPartition = TopicPartition::new(0, 0);

fn started(settings: Settings) -> Dialogue<KafkaProducer> {
    let idempotent = settings.idempotent();
    let mut dialogue = Dialogue::new(KafkaProducer::new(settings, vec![NodeId(1)], 7));
    dialogue.call(|producer, now, effects| producer.start(now, 1, effects));
    if idempotent {
        let producer = Some((ProducerId(40), 0));
        dialogue.reply("init-producer-id", Response::InitProducerId { error: ErrorCode::None, producer });
    }
    dialogue.call(|producer, now, effects| producer.learn(now, &[TopicId(0)], effects));
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0)]));
    dialogue.pass(Span::secs(1));
    dialogue
}

fn not_idempotent() -> Settings {
    Settings { idempotence: Some(false), ..Settings::default() }
}

fn send(dialogue: &mut Dialogue<KafkaProducer>, tokens: std::ops::Range<u32>) {
    for token in tokens {
        dialogue.call(|producer, now, effects| {
            producer.send(now, u64::from(token), P0, record(token), effects);
        });
    }
}

fn batch(asked: &Asked) -> ProduceBatch {
    let Request::Produce { batches, .. } = &asked.request else { panic!("not a produce request") };
    batches[0].clone()
}

fn ids(asked: &Asked) -> Vec<u32> {
    batch(asked).records.iter().map(|record| record.id.sequence).collect()
}

fn base_sequence(asked: &Asked) -> (i16, i32) {
    let stamp = batch(asked).stamp.expect("numbered");
    (stamp.epoch, stamp.base_sequence)
}

fn produced(error: ErrorCode, base: i64) -> Response {
    Response::Produce { partitions: vec![(P0, error, base, 0)], throttle: Span::ZERO }
}

fn outcomes(dialogue: &mut Dialogue<KafkaProducer>) -> Vec<(u64, SendOutcome)> {
    std::iter::from_fn(|| dialogue.library.outcome()).collect()
}

/// All produce requests that are unanswered, as the records they carry; they are acknowledged one by one.
fn drain(dialogue: &mut Dialogue<KafkaProducer>) -> Vec<Vec<u32>> {
    let mut order = Vec::new();
    let mut base = 0;
    while dialogue.names().contains(&"produce") {
        let asked = dialogue.take("produce");
        order.push(ids(&asked));
        dialogue.answer(&asked, produced(ErrorCode::None, base));
        base += i64::try_from(batch(&asked).records.len()).unwrap();
    }
    order
}

#[test]
fn five_requests_fly_and_the_rest_is_batched_in_order() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..8);
    assert_eq!(dialogue.names(), ["produce"; 5]);
    assert_eq!(dialogue.library.in_flight(), 8);
    assert_eq!(drain(&mut dialogue), [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5, 6, 7]]);
    let offsets: Vec<_> = (0..8).map(|at| (at, SendOutcome::Acknowledged(P0, at as i64))).collect();
    assert_eq!(outcomes(&mut dialogue), offsets);
    assert_eq!(dialogue.library.in_flight(), 0);
}

#[test]
fn linger_gathers_a_batch_and_a_full_batch_does_not_wait() {
    let settings =
        Settings { linger: Span::millis(50), batch_size: crate::units::Bytes(300), ..Settings::default() };
    let mut dialogue = started(settings);
    send(&mut dialogue, 0..2);
    assert!(dialogue.asked.is_empty());
    dialogue.pass(Span::millis(50));
    assert_eq!(ids(&dialogue.asked[0]), [0, 1]);
    send(&mut dialogue, 2..5);
    assert_eq!(ids(&dialogue.asked[1]), [2, 3, 4]);
}

/// Row 2: with idempotence a killed leader costs neither order nor duplicates; retried batches go one by one.
#[test]
fn a_broken_connection_keeps_the_order_with_idempotence() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..7);
    dialogue.disconnect(NodeId(1));
    dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    assert_eq!(dialogue.names(), ["produce"], "only the first unfinished batch is retried");
    assert_eq!(base_sequence(&dialogue.asked[0]), (0, 0));
    assert_eq!(drain(&mut dialogue), [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5, 6]]);
    assert!(
        outcomes(&mut dialogue).iter().all(|(_, outcome)| matches!(outcome, SendOutcome::Acknowledged(..)))
    );
}

/// Row 2: without idempotence the batches in flight come back reversed.
#[test]
fn a_broken_connection_reverses_the_order_without_idempotence() {
    let mut dialogue = started(not_idempotent());
    send(&mut dialogue, 0..7);
    dialogue.disconnect(NodeId(1));
    dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    assert_eq!(drain(&mut dialogue), [vec![4], vec![3], vec![2], vec![1], vec![0], vec![5, 6]]);
}

/// Row 2: one request in flight repeats a batch, but does not reorder.
#[test]
fn one_in_flight_keeps_the_order_without_idempotence() {
    let mut dialogue = started(Settings { max_in_flight: 1, ..not_idempotent() });
    send(&mut dialogue, 0..3);
    assert_eq!(dialogue.names(), ["produce"]);
    dialogue.disconnect(NodeId(1));
    dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    assert_eq!(drain(&mut dialogue), [vec![0], vec![1, 2]]);
}

/// Row 3: a frozen leader gives no sign; it costs the request time-out, and nothing fails.
#[test]
fn a_frozen_leader_costs_the_request_timeout() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..6);
    dialogue.pass(Span::secs(29));
    assert_eq!(dialogue.names(), ["produce"; 5]);
    let late = dialogue.take("produce");
    dialogue.asked.clear();
    dialogue.pass(Span::secs(1));
    dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    dialogue.answer(&late, produced(ErrorCode::None, 99));
    assert!(outcomes(&mut dialogue).is_empty(), "an answer to a request that was given up is ignored");
    assert_eq!(drain(&mut dialogue).concat(), [0, 1, 2, 3, 4, 5]);
}

/// Row 3: while the metadata still names the frozen leader, only a first exchange is tried on a new connection.
#[test]
fn nothing_is_sent_to_a_broken_node_before_it_answers() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    dialogue.asked.clear();
    dialogue.pass(Span::secs(30));
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0)]));
    dialogue.pass(Span::millis(130));
    let tried = dialogue.take("metadata");
    assert_eq!(tried.to, NodeId(1));
    assert!(!dialogue.names().contains(&"produce"));
    dialogue.answer(&tried, metadata(&[(1, 0), (2, 0)]));
    assert!(dialogue.names().contains(&"produce"));
}

/// Row 1/4: the back-off doubles from 100 ms, to at most 1 s.
#[test]
fn retriable_errors_back_off() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    for millis in [120, 240, 480, 960, 1_000, 1_000] {
        dialogue.reply("produce", produced(ErrorCode::NotEnoughReplicas, -1));
        dialogue.pass(Span::millis(millis - 1));
        assert!(!dialogue.names().contains(&"produce"));
        dialogue.pass(Span::millis(1));
    }
    dialogue.reply("produce", produced(ErrorCode::None, 3));
    assert_eq!(outcomes(&mut dialogue), [(0, SendOutcome::Acknowledged(P0, 3))]);
}

/// Row 3: the delivery time-out counts from the batch's creation; what was in flight may be written.
#[test]
fn expired_batches_are_indeterminate_in_flight_and_refused_before() {
    let settings = Settings {
        delivery_timeout: Span::millis(1_500),
        request_timeout: Span::millis(700),
        ..Settings::default()
    };
    let mut dialogue = started(settings);
    send(&mut dialogue, 0..6);
    dialogue.pass(Span::millis(1_500));
    let ended = outcomes(&mut dialogue);
    assert_eq!(ended.len(), 6);
    assert!(ended[..5].iter().all(|(_, outcome)| *outcome == SendOutcome::Indeterminate));
    assert_eq!(ended[5], (5, SendOutcome::Refused));
}

/// Row 3: after a batch expired in doubt, the epoch is bumped and sending goes on from sequence 0.
#[test]
fn the_epoch_is_bumped_after_an_expiry() {
    let settings = Settings {
        delivery_timeout: Span::millis(1_500),
        request_timeout: Span::millis(700),
        ..Settings::default()
    };
    let mut dialogue = started(settings);
    send(&mut dialogue, 0..2);
    dialogue.asked.clear();
    dialogue.pass(Span::millis(800));
    dialogue.asked.clear();
    dialogue.pass(Span::millis(700));
    assert_eq!(outcomes(&mut dialogue).len(), 2);
    send(&mut dialogue, 2..3);
    dialogue.pass(Span::millis(700));
    while dialogue.names().contains(&"metadata") {
        dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    }
    let asked = dialogue.take("produce");
    assert_eq!((ids(&asked), base_sequence(&asked)), (vec![2], (1, 0)));
}

/// The broker lost its producer state or saw a hole: the unfinished batches are numbered anew under the next epoch.
#[test]
fn a_hole_in_the_sequence_bumps_the_epoch_and_keeps_the_order() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    dialogue.reply("produce", produced(ErrorCode::None, 0));
    send(&mut dialogue, 1..3);
    dialogue.reply("produce", produced(ErrorCode::OutOfOrderSequenceNumber, -1));
    dialogue.reply("produce", produced(ErrorCode::OutOfOrderSequenceNumber, -1));
    dialogue.pass(Span::millis(120));
    let asked = dialogue.take("produce");
    assert_eq!((ids(&asked), base_sequence(&asked)), (vec![1], (1, 0)));
    dialogue.answer(&asked, produced(ErrorCode::None, 1));
    dialogue.pass(Span::millis(120));
    let asked = dialogue.take("produce");
    assert_eq!((ids(&asked), base_sequence(&asked)), (vec![2], (1, 1)));
}

#[test]
fn an_unknown_producer_id_bumps_the_epoch() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    dialogue.reply("produce", produced(ErrorCode::UnknownProducerId, -1));
    dialogue.pass(Span::millis(120));
    assert_eq!(base_sequence(&dialogue.asked[0]), (1, 0));
}

/// Row 5: a single record that the topic refuses is refused; the next one goes through.
#[test]
fn too_large_alone_is_refused() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    dialogue.reply("produce", produced(ErrorCode::MessageTooLarge, -1));
    assert_eq!(outcomes(&mut dialogue), [(0, SendOutcome::TooLarge)]);
    send(&mut dialogue, 1..2);
    assert_eq!(base_sequence(&dialogue.asked[0]), (1, 0));
}

/// Row 5: a batch of several that the topic refuses goes again at once, until it expires.
#[test]
fn too_large_together_is_sent_again_without_a_pause() {
    let settings = Settings { linger: Span::millis(5), ..Settings::default() };
    let mut dialogue = started(settings);
    send(&mut dialogue, 0..2);
    dialogue.pass(Span::millis(5));
    for _ in 0..50 {
        dialogue.reply("produce", produced(ErrorCode::MessageTooLarge, -1));
    }
    dialogue.pass(Span::secs(120));
    assert_eq!(outcomes(&mut dialogue).len(), 2);
}

/// Row 5: larger than max.request.size: refused without a request. Row 6: an unknown partition blocks for max.block.
#[test]
fn what_cannot_be_sent_is_refused() {
    let mut dialogue = started(Settings::default());
    let large = Record { bytes: 2_000_000, ..record(0) };
    dialogue.call(|producer, now, effects| producer.send(now, 0, P0, large, effects));
    assert_eq!(outcomes(&mut dialogue), [(0, SendOutcome::TooLarge)]);
    let fifth = TopicPartition::new(0, 5);
    dialogue.call(|producer, now, effects| producer.send(now, 1, fifth, record(1), effects));
    dialogue.pass(Span::secs(60));
    assert_eq!(outcomes(&mut dialogue), [(1, SendOutcome::Refused)]);
}

/// Row 6: sends block when the memory is full, and go in when a batch is done.
#[test]
fn full_memory_blocks_and_then_refuses() {
    let settings = Settings {
        buffer_memory: crate::units::Bytes(200),
        batch_size: crate::units::Bytes(100),
        max_block: Span::secs(1),
        ..Settings::default()
    };
    let mut dialogue = started(settings);
    send(&mut dialogue, 0..4);
    assert_eq!(dialogue.names(), ["produce"; 2]);
    dialogue.reply("produce", produced(ErrorCode::None, 0));
    assert_eq!(dialogue.names(), ["produce"; 2]);
    dialogue.pass(Span::secs(1));
    let acknowledged = (0, SendOutcome::Acknowledged(P0, 0));
    assert_eq!(outcomes(&mut dialogue), [acknowledged, (3, SendOutcome::Refused)]);
}

#[test]
fn without_acknowledgements_it_answers_itself() {
    let mut dialogue = started(Settings { acks: Acks::None, ..Settings::default() });
    send(&mut dialogue, 0..2);
    assert_eq!(outcomes(&mut dialogue).len(), 2);
    assert_eq!(dialogue.names(), ["produce"; 2]);
    // It hears that the connection broke all the same, and asks who leads now.
    dialogue.input(&Input::Disconnected(dialogue.asked[0].to));
    assert_eq!(dialogue.names(), ["produce", "produce", "metadata"]);
}

#[test]
fn answers_to_an_earlier_life_are_not_its_own() {
    let mut dialogue = started(Settings::default());
    send(&mut dialogue, 0..1);
    let old = dialogue.take("produce");
    dialogue.call(|producer, now, effects| producer.start(now, 2, effects));
    let message = Message::KafkaResponse(old.id, Box::new(produced(ErrorCode::None, 0)));
    let input = Input::Message { from: old.to, message };
    assert!(!dialogue.call(|producer, now, effects| producer.step(now, &input, effects)));
}

/// KIP-219: a throttled producer sends nothing to that broker until the time is over, and loses nothing by it.
#[test]
fn a_throttled_broker_is_sent_nothing_for_a_while() {
    let mut dialogue = started(Settings { max_in_flight: 1, ..Settings::default() });
    send(&mut dialogue, 0..2);
    let asked = dialogue.take("produce");
    let throttle = Span::secs(4);
    let partitions = vec![(P0, ErrorCode::None, 0, 0)];
    dialogue.answer(&asked, Response::Produce { partitions, throttle });
    assert_eq!(outcomes(&mut dialogue), [(0, SendOutcome::Acknowledged(P0, 0))]);
    dialogue.pass(Span::millis(3_900));
    assert!(dialogue.asked.is_empty(), "{:?}", dialogue.names());
    dialogue.pass(Span::millis(200));
    assert_eq!(ids(&dialogue.asked[0]), [1]);
}

/// Java's partitioner runs behind the wait for metadata; row 8: until the next refresh a topic is as wide as it was.
#[test]
fn a_route_goes_by_as_many_partitions_as_the_last_metadata_told() {
    let settings = Settings { metadata_max_age: Span::secs(60), ..not_idempotent() };
    let mut dialogue = Dialogue::new(KafkaProducer::new(settings, vec![NodeId(1)], 7));
    dialogue.call(|producer, now, effects| producer.start(now, 1, effects));
    let source = TopicPartition::new(0, 5);
    let route = Route { map: crate::mirror::PartitionMap::Same, source, counter: 0, at_first: 3 };
    let send = |dialogue: &mut Dialogue<KafkaProducer>, token: u32| {
        dialogue.call(|producer, now, effects| {
            producer.send_by(now, u64::from(token), route, record(token), effects);
        });
    };
    let target = |dialogue: &mut Dialogue<KafkaProducer>| {
        let asked = dialogue.take("produce");
        let partition = batch(&asked).partition;
        let partitions = vec![(partition, ErrorCode::None, 0, 0)];
        dialogue.answer(&asked, Response::Produce { partitions, throttle: Span::ZERO });
        partition.partition
    };
    send(&mut dialogue, 0);
    assert_eq!(dialogue.names(), ["metadata"], "nothing is sent by a count that nobody told");
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0)]));
    assert_eq!(target(&mut dialogue), 1, "of two");
    dialogue.pass(Span::secs(59));
    send(&mut dialogue, 1);
    assert_eq!(target(&mut dialogue), 1, "whatever has been done to the topic since");
    dialogue.pass(Span::secs(1));
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0), (3, 0), (1, 0)]));
    send(&mut dialogue, 2);
    assert_eq!(target(&mut dialogue), 1, "of four");
    dialogue.pass(Span::secs(60));
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0), (3, 0), (1, 0), (2, 0), (3, 0)]));
    send(&mut dialogue, 3);
    assert_eq!(target(&mut dialogue), 5, "of six");
}
