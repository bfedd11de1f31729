//! Dialogues of the consumer with hand-written answers; rows are those of the observed Java client.

mod polling;

use super::*;
use crate::client::kafka_consumer_settings::AutoOffsetReset;
use crate::client::kafka_dialogue::{Asked, Dialogue, metadata, record};
use crate::kafka::protocol::{
    Assignment, AssignmentProtocol, Body, BrokerId, ErrorCode, FetchedPartition, FetchedRecord, Isolation,
    JoinedMember, OffsetAt, ProducerId, ProducerStamp, ProtocolType, Request, Subscription,
};
use crate::units::Span;

const P0: TopicPartition = TopicPartition::new(0, 0);
const P1: TopicPartition = TopicPartition::new(0, 1);
const ME: MemberId = MemberId(11);

fn earliest() -> Settings {
    Settings { auto_offset_reset: AutoOffsetReset::Earliest, ..Settings::default() }
}

fn cooperative() -> Settings {
    Settings { assignors: vec![AssignmentProtocol::CooperativeSticky], ..earliest() }
}

/// A consumer that knows its coordinator (node 3) and two partitions, led by nodes 1 and 2.
fn started(settings: Settings) -> Dialogue<KafkaConsumer> {
    started_on(settings, [1, 2])
}

/// The same with other leaders of the two partitions.
fn started_on(settings: Settings, leaders: [u32; 2]) -> Dialogue<KafkaConsumer> {
    let consumer = KafkaConsumer::new(settings, GroupId(0), vec![TopicId(0)], vec![NodeId(1)], 4);
    let mut dialogue = Dialogue::new(consumer);
    dialogue.call(|consumer, now, effects| consumer.start(now, 1, effects));
    dialogue.reply("metadata", metadata(&leaders.map(|leader| (leader, 0))));
    dialogue.reply("find-coordinator", found(3));
    dialogue
}

fn found(node: u32) -> Response {
    Response::FindCoordinator { error: ErrorCode::None, coordinator: Some((BrokerId(node), NodeId(node))) }
}

fn join_answer(error: ErrorCode, generation: i32, leader: MemberId) -> Response {
    let subscription = Subscription { topics: vec![TopicId(0)], ..Subscription::default() };
    let me = JoinedMember { member: ME, instance: None, subscription };
    let members = if leader == ME { vec![me] } else { vec![] };
    let protocol = Some(AssignmentProtocol::Range);
    Response::JoinGroup { error, generation, protocol, leader, member: ME, members, skip_assignment: false }
}

fn synced(partitions: &[TopicPartition]) -> Response {
    let assignment = Assignment { partitions: partitions.to_vec(), opaque: 0 };
    Response::SyncGroup { error: ErrorCode::None, assignment }
}

fn committed(offsets: &[(TopicPartition, Offset, i32)]) -> Response {
    let partitions = offsets
        .iter()
        .map(|(partition, offset, epoch)| (*partition, ErrorCode::None, *offset, *epoch))
        .collect();
    Response::OffsetFetch { error: ErrorCode::None, partitions }
}

/// Join as the given generation's follower and get these partitions, read from these offsets.
fn join(dialogue: &mut Dialogue<KafkaConsumer>, generation: i32, offsets: &[(TopicPartition, Offset)]) {
    dialogue.reply("join-group", join_answer(ErrorCode::None, generation, MemberId(99)));
    let partitions: Vec<_> = offsets.iter().map(|(partition, _)| *partition).collect();
    dialogue.reply("sync-group", synced(&partitions));
    let offsets: Vec<_> = offsets.iter().map(|(partition, offset)| (*partition, *offset, -1)).collect();
    dialogue.reply("offset-fetch", committed(&offsets));
}

fn member(settings: Settings, offsets: &[(TopicPartition, Offset)]) -> Dialogue<KafkaConsumer> {
    let mut dialogue = started(settings);
    join(&mut dialogue, 5, offsets);
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Granted(offsets.to_vec())));
    dialogue
}

fn fetched(partition: TopicPartition, offsets: std::ops::Range<Offset>) -> FetchedPartition {
    let records = offsets.map(|offset| FetchedRecord {
        offset,
        leader_epoch: 0,
        timestamp: Time::ZERO,
        stamp: None,
        body: Body::Record(record(u32::try_from(offset).unwrap())),
    });
    FetchedPartition {
        partition,
        error: ErrorCode::None,
        high_watermark: 100,
        last_stable: 100,
        log_start: 0,
        aborted: vec![],
        diverging: None,
        records: records.collect(),
    }
}

fn fetch_answer(partition: FetchedPartition) -> Response {
    Response::Fetch { partitions: vec![partition], throttle: Span::ZERO }
}

fn asked_offset(asked: &Asked) -> Vec<(TopicPartition, Offset)> {
    let Request::Fetch { partitions, .. } = &asked.request else { panic!("not a fetch") };
    partitions.iter().map(|fetch| (fetch.partition, fetch.offset)).collect()
}

fn take_fetch(dialogue: &mut Dialogue<KafkaConsumer>, node: u32) -> Asked {
    let place = dialogue
        .asked
        .iter()
        .position(|asked| asked.to == NodeId(node) && matches!(asked.request, Request::Fetch { .. }));
    dialogue.asked.remove(place.expect("a fetch to that node"))
}

fn receive(dialogue: &mut Dialogue<KafkaConsumer>) -> Option<Offset> {
    dialogue.call(|consumer, now, effects| consumer.receive(now, effects)).map(|received| received.offset)
}

fn commit(dialogue: &mut Dialogue<KafkaConsumer>, offset: Offset) {
    dialogue.call(|consumer, now, effects| consumer.commit(now, &[(P0, offset)], effects));
}

fn commit_answer(error: ErrorCode) -> Response {
    Response::OffsetCommit { partitions: vec![(P0, error)] }
}

fn beat(dialogue: &mut Dialogue<KafkaConsumer>, error: ErrorCode) {
    while !dialogue.names().contains(&"heartbeat") {
        dialogue.pass(Span::millis(500));
    }
    dialogue.reply("heartbeat", Response::Heartbeat { error });
}

#[test]
fn it_joins_twice_for_its_member_id_and_leads_the_assignment() {
    let mut dialogue = started(earliest());
    dialogue.reply("join-group", join_answer(ErrorCode::MemberIdRequired, -1, MemberId::NONE));
    let second = dialogue.take("join-group");
    assert!(matches!(second.request, Request::JoinGroup { member: ME, .. }));
    dialogue.answer(&second, join_answer(ErrorCode::None, 1, ME));
    let sync = dialogue.reply("sync-group", synced(&[P0, P1]));
    let Request::SyncGroup { assignments, .. } = sync else { panic!() };
    assert_eq!(assignments[0].1.partitions, [P0, P1]);
    dialogue.reply("offset-fetch", committed(&[(P0, 7, -1), (P1, -1, -1)]));
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Granted(vec![(P0, 7)])));
    let request = dialogue
        .reply("list-offsets", Response::ListOffsets { partitions: vec![(P1, ErrorCode::None, 3, None, 0)] });
    assert!(
        matches!(request, Request::ListOffsets { partitions, .. } if partitions == [(P1, 0, OffsetAt::Earliest)])
    );
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Granted(vec![(P1, 3)])));
    assert_eq!(dialogue.library.assignment(), [P0, P1]);
    assert_eq!(dialogue.names(), ["fetch", "fetch"]);
}

/// Row 11, eager: everything is revoked, and the join waits for the owner and its commits.
#[test]
fn an_eager_rebalance_waits_for_the_owner() {
    let mut dialogue = member(earliest(), &[(P0, 10), (P1, 20)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..12)));
    assert_eq!(receive(&mut dialogue), Some(10));
    beat(&mut dialogue, ErrorCode::RebalanceInProgress);
    assert_eq!(dialogue.library.assigned(), None, "the owner is within its poll");
    assert_eq!(receive(&mut dialogue), Some(11));
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Revoked(vec![P0, P1])));
    assert_eq!(receive(&mut dialogue), None);
    commit(&mut dialogue, 12);
    dialogue.call(|consumer, now, effects| consumer.release(now, effects));
    assert!(dialogue.library.committing() && !dialogue.names().contains(&"join-group"));
    dialogue.reply("offset-commit", commit_answer(ErrorCode::None));
    assert!(!dialogue.library.committing());
    join(&mut dialogue, 6, &[(P0, 12)]);
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Granted(vec![(P0, 12)])));
    assert_eq!(dialogue.library.assignment(), [P0]);
}

/// Row 14, eager: an uncommitted position does not survive a rebalance; a fetch from before it is dropped.
#[test]
fn an_eager_rebalance_goes_back_to_the_committed_offset() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..12)));
    while receive(&mut dialogue).is_some() {}
    let stale = take_fetch(&mut dialogue, 1);
    beat(&mut dialogue, ErrorCode::RebalanceInProgress);
    dialogue.library.assigned();
    dialogue.call(|consumer, now, effects| consumer.release(now, effects));
    join(&mut dialogue, 6, &[(P0, 10)]);
    dialogue.answer(&stale, fetch_answer(fetched(P0, 12..14)));
    assert_eq!(receive(&mut dialogue), None);
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 10)]);
}

/// Rows 11 and 12: a member that is none any more hands out the rest of its poll before it tells the loss.
#[test]
fn a_zombie_hands_out_the_rest_of_its_poll() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..13)));
    assert_eq!(receive(&mut dialogue), Some(10));
    commit(&mut dialogue, 11);
    dialogue.reply("offset-commit", commit_answer(ErrorCode::UnknownMemberId));
    assert!(!dialogue.library.committing());
    assert_eq!(dialogue.library.assigned(), None);
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(11), Some(12)]);
    commit(&mut dialogue, 13);
    assert!(!dialogue.library.committing(), "Java refuses it locally");
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Lost(vec![P0])));
    assert_eq!(receive(&mut dialogue), None);
    let joined = dialogue.take("join-group");
    assert!(matches!(joined.request, Request::JoinGroup { member: MemberId::NONE, .. }));
}

/// A generation that has passed keeps the member id.
#[test]
fn an_illegal_generation_loses_everything_and_keeps_the_id() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    beat(&mut dialogue, ErrorCode::IllegalGeneration);
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Lost(vec![P0])));
    assert_eq!(receive(&mut dialogue), None);
    assert!(matches!(dialogue.take("join-group").request, Request::JoinGroup { member: ME, .. }));
}

/// Row 11: a consumer whose heartbeats go unanswered does not stop by itself.
#[test]
fn it_goes_on_while_its_coordinator_is_silent() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    dialogue.pass(Span::secs(25));
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..12)));
    dialogue.pass(Span::secs(40));
    assert_eq!(dialogue.library.assigned(), None);
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(10), Some(11)]);
    assert!(dialogue.names().contains(&"find-coordinator"));
}

/// Row 12: an owner that is busy for longer than max.poll.interval leaves, although heartbeats went on.
#[test]
fn it_leaves_when_the_owner_is_busy_for_too_long() {
    let settings = Settings { max_poll_interval: Span::secs(2), ..earliest() };
    let mut dialogue = member(settings, &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..11)));
    assert_eq!(receive(&mut dialogue), Some(10));
    dialogue.pass(Span::millis(1_999));
    assert!(!dialogue.names().contains(&"leave-group"));
    dialogue.pass(Span::millis(1));
    dialogue.take("leave-group");
    commit(&mut dialogue, 11);
    assert!(!dialogue.library.committing());
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Lost(vec![P0])));
}

#[test]
fn an_idle_owner_is_not_busy() {
    let settings = Settings { max_poll_interval: Span::secs(2), ..earliest() };
    let mut dialogue = member(settings, &[(P0, 10)]);
    assert_eq!(receive(&mut dialogue), None);
    dialogue.pass(Span::secs(4));
    assert!(!dialogue.names().contains(&"leave-group"));
}

/// Row 20: commits are retried while the coordinator moves; the last one issued wins.
#[test]
fn commits_survive_a_new_coordinator_and_the_last_one_wins() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    commit(&mut dialogue, 40);
    commit(&mut dialogue, 20);
    dialogue.reply("offset-commit", commit_answer(ErrorCode::NotCoordinator));
    dialogue.reply("find-coordinator", found(2));
    dialogue.pass(Span::millis(120));
    let retried = dialogue.take("offset-commit");
    assert_eq!(retried.to, NodeId(2));
    let Request::OffsetCommit { offsets, generation: 5, member: ME, .. } = &retried.request else { panic!() };
    assert_eq!(offsets.iter().map(|commit| commit.offset).collect::<Vec<_>>(), [20]);
    dialogue.answer(&retried, commit_answer(ErrorCode::None));
    assert!(!dialogue.library.committing());
}

/// Commits carry the epoch of the record before them (row 15).
#[test]
fn a_commit_carries_the_epoch_of_the_last_record() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    let mut answer = fetched(P0, 10..12);
    answer.records[1].leader_epoch = 3;
    dialogue.answer(&fetch, fetch_answer(answer));
    while receive(&mut dialogue).is_some() {}
    for (offset, epoch) in [(11, 0), (12, 3)] {
        commit(&mut dialogue, offset);
        let Request::OffsetCommit { offsets, .. } =
            dialogue.reply("offset-commit", commit_answer(ErrorCode::None))
        else {
            panic!()
        };
        assert_eq!(offsets[0].leader_epoch, epoch);
    }
}

/// Java's consumer commits its position: a group that has read everything before a transaction's end has no lag.
#[test]
fn a_commit_of_everything_goes_over_the_markers_behind_it() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    let mut answer = fetched(P0, 10..13);
    answer.records[2].body = Body::Marker { commit: true };
    answer.records[2].leader_epoch = 2;
    dialogue.answer(&fetch, fetch_answer(answer));
    while receive(&mut dialogue).is_some() {}
    let committed = |dialogue: &mut Dialogue<KafkaConsumer>, offset| {
        commit(dialogue, offset);
        let Request::OffsetCommit { offsets, .. } =
            dialogue.reply("offset-commit", commit_answer(ErrorCode::None))
        else {
            panic!()
        };
        (offsets[0].offset, offsets[0].leader_epoch)
    };
    assert_eq!(committed(&mut dialogue, 11), (11, 0), "a record is not worked through");
    assert_eq!(committed(&mut dialogue, 12), (13, 2));
    let fetch = take_fetch(&mut dialogue, 1);
    let mut answer = fetched(P0, 13..14);
    answer.records[0].body = Body::Marker { commit: true };
    dialogue.answer(&fetch, fetch_answer(answer));
    assert_eq!(committed(&mut dialogue, 12).0, 14, "a marker that came later, at the next commit");
    dialogue.call(|consumer, now, effects| consumer.seek(now, P0, 40, effects));
    assert_eq!(committed(&mut dialogue, 12).0, 12, "a seek is no work");
}

/// Row 15: an offset out of range goes where the policy says; without one it stands still.
#[test]
fn an_offset_out_of_range_is_reset_or_stands_still() {
    for (policy, at) in [
        (AutoOffsetReset::Earliest, Some(OffsetAt::Earliest)),
        (AutoOffsetReset::Latest, Some(OffsetAt::Latest)),
        (AutoOffsetReset::None, None),
    ] {
        let settings = Settings { auto_offset_reset: policy, ..Settings::default() };
        let mut dialogue = member(settings, &[(P0, 500)]);
        let fetch = take_fetch(&mut dialogue, 1);
        let answer = FetchedPartition { error: ErrorCode::OffsetOutOfRange, ..fetched(P0, 0..0) };
        dialogue.answer(&fetch, fetch_answer(answer));
        let Some(at) = at else {
            assert_eq!(dialogue.library.failure(), Some(Failure::OutOfRange(P0, 500)));
            assert!(dialogue.call(|consumer, now, effects| consumer.seek(now, P0, 7, effects)));
            assert_eq!(dialogue.library.failure(), None);
            assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 7)]);
            continue;
        };
        let listed = Response::ListOffsets { partitions: vec![(P0, ErrorCode::None, 3, None, 0)] };
        let request = dialogue.reply("list-offsets", listed);
        assert!(matches!(request, Request::ListOffsets { partitions, .. } if partitions == [(P0, 0, at)]));
        assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 3)]);
    }
}

/// Row 15: a truncated log is noticed before the next fetch, and reading goes on at the diverging offset.
#[test]
fn truncation_goes_on_at_the_diverging_offset() {
    let mut dialogue = member(Settings::default(), &[(P0, 148)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 148..150)));
    while receive(&mut dialogue).is_some() {}
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.pass(Span::secs(1));
    let wrong = FetchedPartition { error: ErrorCode::NotLeaderOrFollower, ..fetched(P0, 0..0) };
    dialogue.answer(&fetch, fetch_answer(wrong));
    assert!(!dialogue.names().contains(&"fetch"), "it waits for the metadata");
    dialogue.reply("metadata", metadata(&[(2, 4), (2, 0)]));
    let checked = Response::OffsetForLeaderEpoch { partitions: vec![(P0, ErrorCode::None, 0, 100)] };
    let request = dialogue.reply("offset-for-leader-epoch", checked);
    assert_eq!(request, Request::OffsetForLeaderEpoch { partitions: vec![(P0, 4, 0)] });
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 2)), [(P0, 100)]);
}

/// Row 15: a committed offset with an epoch is checked before it is used.
#[test]
fn a_committed_epoch_is_checked() {
    let mut dialogue = started(Settings { auto_offset_reset: AutoOffsetReset::None, ..Settings::default() });
    dialogue.reply("join-group", join_answer(ErrorCode::None, 5, MemberId(99)));
    dialogue.reply("sync-group", synced(&[P0]));
    dialogue.reply("offset-fetch", committed(&[(P0, 150, 0)]));
    let checked = Response::OffsetForLeaderEpoch { partitions: vec![(P0, ErrorCode::None, 0, 100)] };
    dialogue.reply("offset-for-leader-epoch", checked);
    assert_eq!(dialogue.library.failure(), Some(Failure::Truncated(P0, 100)));
    assert_eq!(dialogue.library.assigned(), None);
}

#[test]
fn markers_and_aborted_records_are_skipped() {
    let settings = Settings { isolation: Isolation::ReadCommitted, ..earliest() };
    let mut dialogue = member(settings, &[(P0, 0)]);
    let stamp = |id| ProducerStamp { id: ProducerId(id), epoch: 0, base_sequence: 0, transactional: true };
    let mut answer = fetched(P0, 0..7);
    for (offset, producer) in [(0, 1), (1, 2), (2, 1), (3, 1), (4, 2), (5, 1), (6, 1)] {
        answer.records[offset].stamp = Some(stamp(producer));
    }
    answer.records[3].body = Body::Marker { commit: false };
    answer.records[6].body = Body::Marker { commit: true };
    answer.aborted = vec![(ProducerId(1), 0)];
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(answer));
    let seen: Vec<_> = std::iter::from_fn(|| receive(&mut dialogue)).collect();
    assert_eq!(seen, [1, 4, 5]);
    assert_eq!(dialogue.library.position(P0), Some(7), "past the marker");
    let fetch = take_fetch(&mut dialogue, 1);
    let mut answer = fetched(P0, 7..8);
    answer.records[0].body = Body::Marker { commit: true };
    dialogue.answer(&fetch, fetch_answer(answer));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 8)]);
}

#[test]
fn a_pause_hands_out_and_fetches_nothing_and_keeps_the_heart_beating() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.call(|consumer, now, effects| consumer.pause(now, effects));
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..12)));
    assert_eq!(receive(&mut dialogue), None);
    beat(&mut dialogue, ErrorCode::None);
    assert!(!dialogue.names().contains(&"fetch"));
    dialogue.call(|consumer, now, effects| consumer.resume(now, effects));
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(10), Some(11)]);
    take_fetch(&mut dialogue, 1);
}

#[test]
fn one_partition_can_be_read_alone() {
    let mut dialogue = member(earliest(), &[(P0, 10), (P1, 20)]);
    for (node, partition, from) in [(1, P0, 10), (2, P1, 20)] {
        let fetch = take_fetch(&mut dialogue, node);
        dialogue.answer(&fetch, fetch_answer(fetched(partition, from..from + 2)));
    }
    let mut from = |partition| {
        dialogue
            .call(|consumer, now, effects| consumer.receive_from(now, partition, effects))
            .map(|received| received.offset)
    };
    assert_eq!([from(P1), from(P1), from(P1), from(P0)], [Some(20), Some(21), None, Some(10)]);
}

/// A broker that dies costs its connection; the partition's new leader is read after the next metadata.
#[test]
fn a_dead_leader_is_replaced() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    dialogue.pass(Span::secs(1));
    dialogue.disconnect(NodeId(1));
    assert!(!dialogue.names().contains(&"fetch"));
    dialogue.reply("metadata", metadata(&[(2, 1), (2, 0)]));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 2)), [(P0, 10)]);
}

/// Rows 11 and 17: a close leaves the group, but not that of a static member.
#[test]
fn close_leaves_and_is_silent() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    dialogue.asked.clear();
    dialogue.call(|consumer, now, effects| consumer.close(now, effects));
    assert_eq!(dialogue.names(), ["leave-group"]);
    dialogue.asked.clear();
    dialogue.pass(Span::secs(400));
    assert!(dialogue.asked.is_empty());
}

/// Row 16: the leader asks for a rebalance when a topic grows.
#[test]
fn a_grown_topic_makes_its_leader_rebalance() {
    let mut dialogue = started(earliest());
    dialogue.reply("join-group", join_answer(ErrorCode::None, 1, ME));
    dialogue.reply("sync-group", synced(&[P0, P1]));
    dialogue.reply("offset-fetch", committed(&[(P0, 7, -1), (P1, 7, -1)]));
    dialogue.library.assigned();
    for _ in 0..100 {
        dialogue.asked.retain(|asked| !matches!(asked.request, Request::Fetch { .. }));
        if dialogue.names().contains(&"metadata") {
            break;
        }
        if dialogue.names().contains(&"heartbeat") {
            dialogue.reply("heartbeat", Response::Heartbeat { error: ErrorCode::None });
        }
        dialogue.pass(Span::secs(3));
    }
    dialogue.reply("metadata", metadata(&[(1, 0), (2, 0), (3, 0)]));
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Revoked(vec![P0, P1])));
}

/// Row 11: cooperative rebalances keep what is not moved, and take a second round for what is.
#[test]
fn a_cooperative_rebalance_revokes_only_what_moves() {
    let mut dialogue = member(cooperative(), &[(P0, 10), (P1, 20)]);
    beat(&mut dialogue, ErrorCode::RebalanceInProgress);
    assert_eq!(dialogue.library.assigned(), None);
    let joined = dialogue.take("join-group");
    let Request::JoinGroup { protocols, .. } = &joined.request else { panic!() };
    assert_eq!((protocols[0].1.owned.clone(), protocols[0].1.generation), (vec![P0, P1], 5));
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..11)));
    assert_eq!(receive(&mut dialogue), Some(10), "records flow on");
    commit(&mut dialogue, 11);
    assert!(!dialogue.library.committing(), "commits fail while the group rebalances");
    dialogue.answer(&joined, join_answer(ErrorCode::None, 6, MemberId(99)));
    dialogue.reply("sync-group", synced(&[P0]));
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Revoked(vec![P1])));
    commit(&mut dialogue, 11);
    dialogue.call(|consumer, now, effects| consumer.release(now, effects));
    dialogue.reply("offset-commit", commit_answer(ErrorCode::None));
    dialogue.reply("join-group", join_answer(ErrorCode::None, 7, MemberId(99)));
    dialogue.reply("sync-group", synced(&[P0]));
    assert_eq!(dialogue.library.assigned(), None);
    assert_eq!(dialogue.library.position(P0), Some(11));
}

/// Row 17: another instance with the same static id ends this one for good.
#[test]
fn a_fenced_instance_stands_still() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    beat(&mut dialogue, ErrorCode::FencedInstanceId);
    assert_eq!(dialogue.library.assigned(), Some(Assigned::Lost(vec![P0])));
    assert_eq!(dialogue.library.failure(), Some(Failure::FencedInstance));
    dialogue.asked.clear();
    assert_eq!(receive(&mut dialogue), None);
    assert!(!dialogue.names().contains(&"join-group"));
}

/// A frozen or lost coordinator: the join is repeated at the next one.
#[test]
fn a_lost_join_is_repeated_at_the_new_coordinator() {
    let mut dialogue = started(earliest());
    dialogue.pass(Span::secs(1));
    dialogue.disconnect(NodeId(3));
    dialogue.reply("find-coordinator", found(2));
    dialogue.pass(Span::millis(120));
    assert_eq!(dialogue.take("join-group").to, NodeId(2));
}

/// A broker sends batches whole, also where the position is inside one.
#[test]
fn records_before_the_position_are_dropped() {
    let mut dialogue = member(earliest(), &[(P0, 12)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, fetch_answer(fetched(P0, 10..14)));
    assert_eq!([receive(&mut dialogue), receive(&mut dialogue)], [Some(12), Some(13)]);
    assert_eq!(dialogue.library.position(P0), Some(14));
}

/// KIP-814: a static leader that is back in a stable group assigns nothing, but goes on to watch partition counts.
#[test]
fn a_leader_that_is_told_to_skip_the_assignment_sends_none() {
    let mut dialogue = started(earliest());
    let mut answer = join_answer(ErrorCode::None, 5, ME);
    if let Response::JoinGroup { skip_assignment, .. } = &mut answer {
        *skip_assignment = true;
    }
    dialogue.reply("join-group", answer);
    let request = dialogue.reply("sync-group", synced(&[P0]));
    let Request::SyncGroup { assignments, protocol, .. } = request else { panic!() };
    assert_eq!((assignments, protocol), (vec![], Some((ProtocolType::Consumer, AssignmentProtocol::Range))));
    assert!(dialogue.library.volatile.membership.counts.is_some());
}

/// KIP-219: a throttled consumer fetches nothing from that broker until the time is over, and heartbeats all the same.
#[test]
fn a_throttled_broker_is_asked_for_nothing_but_what_goes_to_the_coordinator() {
    let mut dialogue = member(earliest(), &[(P0, 10)]);
    let fetch = take_fetch(&mut dialogue, 1);
    dialogue.answer(&fetch, Response::Fetch { partitions: vec![], throttle: Span::secs(5) });
    beat(&mut dialogue, ErrorCode::None);
    dialogue.pass(Span::millis(1_500));
    assert!(!dialogue.names().contains(&"fetch"), "{:?}", dialogue.names());
    dialogue.pass(Span::secs(5));
    assert_eq!(asked_offset(&take_fetch(&mut dialogue, 1)), [(P0, 10)]);
}

#[test]
fn a_watched_commit_is_acknowledged_by_its_own_answer_and_not_by_an_earlier_ones() {
    let mut dialogue = member(earliest(), &[(P0, 0)]);
    commit(&mut dialogue, 20);
    assert!(dialogue.call(|consumer, now, effects| consumer.seek(now, P0, 3, effects)));
    dialogue.library.watch_commit(P0);
    commit(&mut dialogue, 3);
    dialogue.reply("offset-commit", commit_answer(ErrorCode::None));
    assert!(!dialogue.library.watched_commit_is_acknowledged(P0));
    // The last one issued wins: the offset goes back without complaint (row 14).
    let Request::OffsetCommit { offsets, .. } =
        dialogue.reply("offset-commit", commit_answer(ErrorCode::None))
    else {
        panic!("not a commit")
    };
    assert_eq!(offsets[0].offset, 3);
    assert!(dialogue.library.watched_commit_is_acknowledged(P0));
    dialogue.library.watch_commit(P0);
    assert!(!dialogue.library.watched_commit_is_acknowledged(P0));
}

#[test]
fn an_owner_that_asks_is_told_of_the_commits_that_were_taken_and_of_no_refused_ones() {
    let mut dialogue = member(earliest(), &[(P0, 0)]);
    commit(&mut dialogue, 20);
    dialogue.reply("offset-commit", commit_answer(ErrorCode::None));
    assert_eq!(dialogue.library.acknowledged_commit(), None, "nobody asked");
    dialogue.library.report_commits();
    commit(&mut dialogue, 21);
    assert_eq!(dialogue.library.acknowledged_commit(), None, "it is not answered");
    dialogue.reply("offset-commit", commit_answer(ErrorCode::None));
    assert_eq!(dialogue.library.acknowledged_commit(), Some((P0, 21)));
    commit(&mut dialogue, 22);
    dialogue.reply("offset-commit", commit_answer(ErrorCode::IllegalGeneration));
    assert_eq!(dialogue.library.acknowledged_commit(), None);
}
