//! Dialogues with the coordinator of a small cluster: rebalances, sessions, commits.

use crate::kafka::harness::World;
use crate::kafka::protocol::{
    AssignmentProtocol, CommitPartition, CoordinatorKey, ErrorCode, MemberId, ProtocolType, Request,
    Response, Subscription,
};
use crate::record::{GroupId, TopicPartition};
use crate::units::Span;

const GROUP: GroupId = GroupId(0);

fn coordinator(world: &mut World, asked: u32) -> u32 {
    match world.ask(asked, Request::FindCoordinator { key: CoordinatorKey::Group(GROUP) }) {
        Response::FindCoordinator { coordinator: Some((broker, _)), .. } => broker.0,
        other => panic!("{other:?}"),
    }
}

fn join(member: MemberId) -> Request {
    Request::JoinGroup {
        group: GROUP,
        member,
        instance: None,
        session_timeout: Span::secs(3),
        rebalance_timeout: Span::secs(5),
        protocol_type: ProtocolType::Consumer,
        may_skip_assignment: false,
        protocols: vec![(AssignmentProtocol::Range, Subscription::default())],
    }
}

fn joined(response: Response) -> (ErrorCode, i32, MemberId, usize) {
    match response {
        Response::JoinGroup { error, generation, member, members, .. } => {
            (error, generation, member, members.len())
        }
        other => panic!("{other:?}"),
    }
}

fn sync(world: &mut World, node: u32, generation: i32, member: MemberId) -> ErrorCode {
    let request = Request::SyncGroup {
        group: GROUP,
        generation,
        member,
        instance: None,
        protocol: None,
        assignments: Vec::new(),
    };
    match world.ask(node, request) {
        Response::SyncGroup { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

fn beat(world: &mut World, node: u32, generation: i32, member: MemberId) -> ErrorCode {
    match world.ask(node, Request::Heartbeat { group: GROUP, generation, member, instance: None }) {
        Response::Heartbeat { error } => error,
        other => panic!("{other:?}"),
    }
}

fn commit(world: &mut World, node: u32, generation: i32, member: MemberId, offset: i64) -> ErrorCode {
    let partition = TopicPartition::new(0, 0);
    let offsets = vec![CommitPartition { partition, offset, leader_epoch: -1, metadata_bytes: 0 }];
    let request = Request::OffsetCommit { group: GROUP, generation, member, instance: None, offsets };
    match world.ask(node, request) {
        Response::OffsetCommit { partitions } => partitions[0].1,
        other => panic!("{other:?}"),
    }
}

fn committed(world: &mut World, node: u32) -> i64 {
    let partitions = vec![TopicPartition::new(0, 0)];
    match world.ask(node, Request::OffsetFetch { group: GROUP, partitions, require_stable: false }) {
        Response::OffsetFetch { partitions, .. } => partitions[0].2,
        other => panic!("{other:?}"),
    }
}

/// A member that has joined alone and synced: its id.
fn alone(world: &mut World, node: u32) -> MemberId {
    let (error, _, member, _) = joined(world.ask(node, join(MemberId::NONE)));
    assert_eq!(error, ErrorCode::MemberIdRequired);
    assert_eq!(joined(world.ask(node, join(member))), (ErrorCode::None, 1, member, 1));
    assert_eq!(sync(world, node, 1, member), ErrorCode::None);
    member
}

#[test]
fn an_offset_can_be_prepared_for_an_empty_group_only() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    assert_eq!(commit(&mut world, node, -1, MemberId::NONE, 41), ErrorCode::None);
    assert_eq!(committed(&mut world, node), 41);
    let member = alone(&mut world, node);
    assert_eq!(commit(&mut world, node, -1, MemberId::NONE, 5), ErrorCode::UnknownMemberId);
    assert_eq!(commit(&mut world, node, 1, member, 42), ErrorCode::None);
    assert_eq!(commit(&mut world, node, 0, member, 5), ErrorCode::IllegalGeneration);
    assert_eq!(committed(&mut world, node), 42);
}

#[test]
fn a_newcomer_starts_a_rebalance_and_the_absent_is_dropped_after_the_rebalance_time() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    let first = alone(&mut world, node);
    let (_, _, second, _) = joined(world.ask(node, join(MemberId::NONE)));
    assert_eq!(beat(&mut world, node, 1, first), ErrorCode::None);
    let waiting = world.send(node, join(second));
    world.run_for(Span::millis(10));
    assert_eq!(beat(&mut world, node, 1, first), ErrorCode::RebalanceInProgress);
    for _ in 0..5 {
        world.run_for(Span::secs(1));
        beat(&mut world, node, 1, first);
    }
    world.run_for(Span::millis(100));
    let answer = world.answer(waiting).expect("the rebalance time is over");
    assert_eq!(joined(answer), (ErrorCode::None, 2, second, 1));
    assert_eq!(beat(&mut world, node, 1, first), ErrorCode::UnknownMemberId);
}

#[test]
fn the_next_coordinator_has_the_group_as_it_was_synced() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    let member = alone(&mut world, node);
    assert_eq!(commit(&mut world, node, 1, member, 7), ErrorCode::None);
    world.kill(node);
    world.run_for(Span::secs(4));
    let other = if node == 1 { 2 } else { 1 };
    let next = coordinator(&mut world, other);
    assert_ne!(next, node);
    assert_eq!(beat(&mut world, next, 1, member), ErrorCode::None);
    assert_eq!(committed(&mut world, next), 7);
    assert_eq!(commit(&mut world, next, 1, member, 8), ErrorCode::None);
}

#[test]
fn a_silent_member_is_dropped_and_the_next_generation_counts_the_emptiness() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    let member = alone(&mut world, node);
    world.run_for(Span::millis(3_100));
    assert_eq!(beat(&mut world, node, 1, member), ErrorCode::UnknownMemberId);
    let (_, _, member, _) = joined(world.ask(node, join(MemberId::NONE)));
    assert_eq!(joined(world.ask(node, join(member))), (ErrorCode::None, 3, member, 1));
}

#[test]
fn a_broker_that_does_not_coordinate_says_so() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    let other = if node == 1 { 2 } else { 1 };
    assert_eq!(commit(&mut world, other, -1, MemberId::NONE, 41), ErrorCode::NotCoordinator);
}

#[test]
fn a_sync_for_another_protocol_is_refused() {
    let mut world = World::new(World::quick(), 1);
    let node = coordinator(&mut world, 1);
    let (_, _, member, _) = joined(world.ask(node, join(MemberId::NONE)));
    assert_eq!(joined(world.ask(node, join(member))), (ErrorCode::None, 1, member, 1));
    for (kind, protocol, expected) in [
        (ProtocolType::Consumer, AssignmentProtocol::Sticky, ErrorCode::InconsistentGroupProtocol),
        (ProtocolType::Other(1), AssignmentProtocol::Range, ErrorCode::InconsistentGroupProtocol),
        (ProtocolType::Consumer, AssignmentProtocol::Range, ErrorCode::None),
    ] {
        let request = Request::SyncGroup {
            group: GROUP,
            generation: 1,
            member,
            instance: None,
            protocol: Some((kind, protocol)),
            assignments: Vec::new(),
        };
        let Response::SyncGroup { error, .. } = world.ask(node, request) else { panic!() };
        assert_eq!(error, expected, "{kind:?} {protocol:?}");
    }
}
