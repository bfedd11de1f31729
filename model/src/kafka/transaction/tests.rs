//! Dialogues with a transaction's coordinator.

use crate::kafka::harness::World;
use crate::kafka::protocol::{
    Acks, Body, CoordinatorKey, ErrorCode, FetchPartition, Isolation, ProducerId, ProducerStamp, Request,
    Response, TransactionalId,
};
use crate::kafka::{Settings, Version};
use crate::record::{Offset, TopicPartition};
use crate::units::Span;

const ID: TransactionalId = TransactionalId(0);
const AT: TopicPartition = TopicPartition::new(0, 0);

fn coordinator(world: &mut World) -> u32 {
    match world.ask(1, Request::FindCoordinator { key: CoordinatorKey::Transaction(ID) }) {
        Response::FindCoordinator { coordinator: Some((broker, _)), .. } => broker.0,
        other => panic!("{other:?}"),
    }
}

fn begin(world: &mut World, node: u32, timeout: Span) -> Result<(ProducerId, i16), ErrorCode> {
    let request =
        Request::InitProducerId { transaction: Some(ID), transaction_timeout: timeout, current: None };
    match world.ask(node, request) {
        Response::InitProducerId { producer: Some(producer), .. } => Ok(producer),
        Response::InitProducerId { error, .. } => Err(error),
        other => panic!("{other:?}"),
    }
}

fn add(world: &mut World, node: u32, producer: (ProducerId, i16)) -> ErrorCode {
    let request = Request::AddPartitionsToTxn { transaction: ID, producer, partitions: vec![AT] };
    match world.ask(node, request) {
        Response::AddPartitionsToTxn { partitions } => partitions[0].1,
        other => panic!("{other:?}"),
    }
}

fn produce(world: &mut World, (id, epoch): (ProducerId, i16), base_sequence: i32) -> (ErrorCode, Offset) {
    let stamp = ProducerStamp { id, epoch, base_sequence, transactional: true };
    let batches = vec![world.batch(0, 1, Some(stamp))];
    let request =
        Request::Produce { acks: Acks::All, timeout: Span::secs(1), transaction: Some(ID), batches };
    match world.ask(1, request) {
        Response::Produce { partitions, .. } => (partitions[0].1, partitions[0].2),
        other => panic!("{other:?}"),
    }
}

fn end(world: &mut World, node: u32, producer: (ProducerId, i16), commit: bool) -> ErrorCode {
    match world.ask(node, Request::EndTxn { transaction: ID, producer, commit }) {
        Response::EndTxn { error } => error,
        other => panic!("{other:?}"),
    }
}

/// What a reader of committed data sees: records, markers, and the aborted transactions that it is told of.
fn committed(world: &mut World) -> (usize, usize, usize) {
    let asked = FetchPartition {
        partition: AT,
        offset: 0,
        leader_epoch: -1,
        last_fetched_epoch: -1,
        max_bytes: 1 << 20,
    };
    let request = Request::Fetch {
        isolation: Isolation::ReadCommitted,
        max_wait: Span::ZERO,
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions: vec![asked],
    };
    match world.ask(1, request) {
        Response::Fetch { partitions, .. } => {
            let markers = partitions[0]
                .records
                .iter()
                .filter(|record| matches!(record.body, Body::Marker { .. }))
                .count();
            (partitions[0].records.len() - markers, markers, partitions[0].aborted.len())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_are_visible_to_readers_of_committed_data_after_the_commit() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world);
    let producer = begin(&mut world, node, Span::secs(60)).expect("nobody has this id");
    assert_eq!(produce(&mut world, producer, 0), (ErrorCode::InvalidTxnState, -1), "it was not added");
    assert_eq!(add(&mut world, node, producer), ErrorCode::None);
    assert_eq!(produce(&mut world, producer, 0), (ErrorCode::None, 0));
    world.run_for(Span::millis(200));
    assert_eq!(committed(&mut world), (0, 0, 0));
    assert_eq!(end(&mut world, node, producer, true), ErrorCode::None);
    world.run_for(Span::secs(1));
    assert_eq!(committed(&mut world), (1, 1, 0));
}

#[test]
fn a_successor_aborts_what_its_predecessor_left_open_and_fences_it() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world);
    let first = begin(&mut world, node, Span::secs(60)).expect("nobody has this id");
    assert_eq!(add(&mut world, node, first), ErrorCode::None);
    assert_eq!(produce(&mut world, first, 0), (ErrorCode::None, 0));
    assert_eq!(begin(&mut world, node, Span::secs(60)), Err(ErrorCode::ConcurrentTransactions));
    world.run_for(Span::secs(1));
    assert_eq!(begin(&mut world, node, Span::secs(60)), Ok((first.0, 2)));
    assert_eq!(end(&mut world, node, first, true), ErrorCode::ProducerFenced);
    assert_eq!(produce(&mut world, first, 1).0, ErrorCode::InvalidProducerEpoch);
    assert_eq!(committed(&mut world), (1, 1, 1), "the reader leaves the aborted out");
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world);
    let producer = begin(&mut world, node, Span::secs(2)).expect("nobody has this id");
    assert_eq!(add(&mut world, node, producer), ErrorCode::None);
    assert_eq!(produce(&mut world, producer, 0), (ErrorCode::None, 0));
    world.run_for(Span::secs(15));
    assert_eq!(committed(&mut world).2, 1);
    assert_eq!(end(&mut world, node, producer, true), ErrorCode::ProducerFenced);
}

fn expiring() -> Settings {
    Settings {
        transactional_id_expiration: Span::secs(20),
        transactional_id_expiration_check: Span::secs(5),
        ..World::quick()
    }
}

#[test]
fn an_id_that_nobody_uses_is_forgotten_and_its_producer_has_to_ask_anew() {
    let mut world = World::new(expiring(), 1);
    let node = coordinator(&mut world);
    let first = begin(&mut world, node, Span::secs(60)).expect("nobody has this id");
    world.run_for(Span::secs(15));
    assert_eq!(begin(&mut world, node, Span::secs(60)), Ok((first.0, 1)), "not yet");
    world.run_for(Span::secs(30));
    assert_eq!(add(&mut world, node, (first.0, 1)), ErrorCode::InvalidProducerIdMapping);
    let second = begin(&mut world, node, Span::secs(60)).expect("nobody has this id any more");
    assert!(second.0 != first.0 && second.1 == 0, "{second:?}");
}

#[test]
fn a_forgotten_id_is_not_there_for_the_next_coordinator_and_an_open_transaction_is() {
    let mut world = World::new(expiring(), 1);
    let node = coordinator(&mut world);
    let first = begin(&mut world, node, Span::secs(60)).expect("nobody has this id");
    world.run_for(Span::secs(40));
    let second = begin(&mut world, node, Span::secs(600)).expect("nobody has this id any more");
    assert_eq!(add(&mut world, node, second), ErrorCode::None);
    world.run_for(Span::secs(40));
    world.kill(node);
    world.run_for(Span::secs(5));
    let next = node % 3 + 1;
    let request = Request::FindCoordinator { key: CoordinatorKey::Transaction(ID) };
    let Response::FindCoordinator { coordinator: Some((next, _)), .. } = world.ask(next, request) else {
        panic!("no coordinator");
    };
    assert_eq!(add(&mut world, next.0, first), ErrorCode::InvalidProducerIdMapping);
    assert_eq!(end(&mut world, next.0, second, true), ErrorCode::None);
}

fn resumed(version: Version) -> Result<(ProducerId, i16), ErrorCode> {
    let mut world = World::new(Settings { version, ..World::quick() }, 1);
    let node = coordinator(&mut world);
    let producer = begin(&mut world, node, Span::secs(2)).expect("nobody has this id");
    assert_eq!(add(&mut world, node, producer), ErrorCode::None);
    world.run_for(Span::secs(15));
    let timeout = Span::secs(2);
    let request = Request::InitProducerId {
        transaction: Some(ID),
        transaction_timeout: timeout,
        current: Some(producer),
    };
    match world.ask(node, request) {
        Response::InitProducerId { producer: Some(producer), .. } => Ok(producer),
        Response::InitProducerId { error, .. } => Err(error),
        other => panic!("{other:?}"),
    }
}

/// Recorded: `open-transaction-times-out`, in both versions.
#[test]
fn after_a_time_out_a_producer_goes_on_in_4_1_and_is_fenced_in_3_9() {
    assert_eq!(resumed(Version::V3_9), Err(ErrorCode::ProducerFenced));
    assert_eq!(resumed(Version::V4_1).map(|(_, epoch)| epoch), Ok(1));
}
