//! The Kafka tool: preparing offsets, and a group's lag in Kafka.

use super::*;
use crate::kafka::protocol::{BrokerId, CommitPartition, ErrorCode, MemberId, OffsetAt, PartitionMetadata};
use crate::record::{Offset, TopicPartition};

const ZERO: TopicPartition = TopicPartition::new(0, 0);
const ONE: TopicPartition = TopicPartition::new(0, 1);

/// Partition 0 is led by the first broker, partition 1 by the second, if they are led at all.
fn metadata(led: bool) -> Response {
    let partition = |partition, broker| PartitionMetadata {
        partition,
        error: if led { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
        leader: led.then_some(BrokerId(broker)),
        leader_epoch: 0,
        replicas: Vec::new(),
        isr: Vec::new(),
        offline: Vec::new(),
    };
    Response::Metadata {
        brokers: vec![(BrokerId(1), KAFKA[0]), (BrokerId(2), KAFKA[1])],
        unknown: Vec::new(),
        partitions: vec![partition(ZERO, 1), partition(ONE, 2)],
    }
}

/// So many partitions, all led by the first broker.
pub(super) fn metadata_of(count: u16) -> Response {
    let Response::Metadata { brokers, unknown, mut partitions } = metadata(true) else {
        panic!("metadata is metadata")
    };
    let first = partitions.remove(0);
    let numbered = |number| PartitionMetadata { partition: TopicPartition::new(0, number), ..first.clone() };
    Response::Metadata { brokers, unknown, partitions: (0..count).map(numbered).collect() }
}

/// A Kafka that answers as it should, but for what a test makes of it.
pub(super) struct Kafka {
    /// What a look-up by time finds in each partition.
    pub(super) by_time: [Offset; 2],
    /// What a commit is answered with.
    commit: ErrorCode,
    /// What `ListOffsets` is answered with.
    list: ErrorCode,
    led: bool,
    committed: [Offset; 2],
    asked_at: Vec<OffsetAt>,
    pub(super) commits: Vec<Vec<CommitPartition>>,
}

impl Kafka {
    pub(super) fn new() -> Kafka {
        Kafka {
            by_time: [30, 40],
            commit: ErrorCode::None,
            list: ErrorCode::None,
            led: true,
            committed: [-1, -1],
            asked_at: Vec::new(),
            commits: Vec::new(),
        }
    }

    fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Metadata { .. } => metadata(self.led),
            Request::ListOffsets { partitions, .. } => Response::ListOffsets {
                partitions: partitions.into_iter().map(|asked| self.list(asked)).collect(),
            },
            Request::FindCoordinator { .. } => Response::FindCoordinator {
                error: ErrorCode::None,
                coordinator: Some((BrokerId(2), KAFKA[1])),
            },
            Request::OffsetCommit { generation, member, offsets, .. } => {
                assert_eq!((generation, member), (-1, MemberId::NONE));
                if self.commit == ErrorCode::None {
                    offsets.iter().for_each(|offset| {
                        self.committed[usize::from(offset.partition.partition)] = offset.offset;
                    });
                }
                let partitions = offsets.iter().map(|offset| (offset.partition, self.commit)).collect();
                self.commits.push(offsets);
                Response::OffsetCommit { partitions }
            }
            Request::OffsetFetch { partitions, .. } => Response::OffsetFetch {
                error: ErrorCode::None,
                partitions: partitions
                    .into_iter()
                    .map(|asked| (asked, ErrorCode::None, self.committed[usize::from(asked.partition)], -1))
                    .collect(),
            },
            other => panic!("an operator does not ask {other:?}"),
        }
    }

    fn list(
        &mut self,
        (partition, _, at): (TopicPartition, i32, OffsetAt),
    ) -> (TopicPartition, ErrorCode, Offset, Option<Time>, i32) {
        self.asked_at.push(at);
        let offset = match at {
            OffsetAt::Earliest => 5,
            OffsetAt::Latest | OffsetAt::MaxTimestamp => 100,
            OffsetAt::Time(_) => self.by_time[usize::from(partition.partition)],
        };
        (partition, self.list, if self.list == ErrorCode::None { offset } else { -1 }, None, 0)
    }

    /// Answer all that the operator asks until he asks no more.
    pub(super) fn serve(&mut self, dialogue: &mut Dialogue) {
        loop {
            let requests = dialogue.requests();
            if requests.is_empty() {
                return;
            }
            for (broker, id, request) in requests {
                let response = self.answer(request);
                dialogue.kafka_answers(broker, id, response);
            }
        }
    }
}

fn preparing(from: &str) -> Dialogue {
    let mut dialogue =
        Dialogue::of(plan(&format!("{{ do = \"prepare-offsets\", group = \"billing\", from = {from} }}")));
    dialogue.pass(Span::secs(100));
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    dialogue
}

fn done(dialogue: &Dialogue) -> bool {
    dialogue.events.iter().any(|event| matches!(event, Event::StepDone { .. }))
}

#[test]
fn offsets_are_looked_up_by_time_committed_without_a_member_and_read_back() {
    let mut dialogue = preparing("{ ago = \"60s\" }");
    let mut kafka = Kafka::new();
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
    assert_eq!(kafka.asked_at, [OffsetAt::Time(Time::ZERO + Span::secs(41)); 2]);
    let entry =
        |partition, offset| CommitPartition { partition, offset, leader_epoch: -1, metadata_bytes: 0 };
    assert_eq!(kafka.commits, [vec![entry(ZERO, 30), entry(ONE, 40)]]);
}

#[test]
fn the_start_and_the_end_of_the_log_are_looked_up_as_such() {
    for (from, at, offset) in [("\"earliest\"", OffsetAt::Earliest, 5), ("\"latest\"", OffsetAt::Latest, 100)]
    {
        let mut dialogue = preparing(from);
        let mut kafka = Kafka::new();
        kafka.serve(&mut dialogue);
        assert!(done(&dialogue));
        assert_eq!(kafka.asked_at, [at; 2]);
        assert_eq!(kafka.committed, [offset; 2]);
    }
}

#[test]
fn where_no_record_is_so_young_the_end_is_taken() {
    let mut dialogue = preparing("{ ago = \"60s\" }");
    let mut kafka = Kafka { by_time: [30, -1], ..Kafka::new() };
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
    assert_eq!(kafka.committed, [30, 100]);
}

#[test]
fn while_the_group_lives_the_offsets_are_refused_and_tried_again() {
    let mut dialogue = preparing("{ ago = \"60s\" }");
    let mut kafka = Kafka { commit: ErrorCode::UnknownMemberId, ..Kafka::new() };
    kafka.serve(&mut dialogue);
    assert!(!done(&dialogue));
    let told = |dialogue: &Dialogue| {
        let refused = |event: &&Event| matches!(event, Event::GateWaiting { because, .. } if because.contains("UNKNOWN_MEMBER_ID"));
        dialogue.events.iter().filter(refused).count()
    };
    assert_eq!(told(&dialogue), 1, "the refusal is told at once");
    for _ in 0..3 {
        dialogue.pass(Span::secs(3));
        kafka.serve(&mut dialogue);
    }
    assert_eq!((kafka.commits.len(), told(&dialogue)), (4, 1));
    let last = kafka.asked_at.last().copied();
    assert_eq!(last, Some(OffsetAt::Time(Time::ZERO + Span::secs(50))), "a minute ago is another moment now");
    kafka.commit = ErrorCode::None;
    dialogue.pass(Span::secs(3));
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn a_moved_leader_or_coordinator_is_sought_again() {
    let mut dialogue = preparing("\"latest\"");
    let mut kafka = Kafka { list: ErrorCode::NotLeaderOrFollower, ..Kafka::new() };
    kafka.serve(&mut dialogue);
    kafka = Kafka { commit: ErrorCode::NotCoordinator, ..Kafka::new() };
    dialogue.pass(Span::secs(3));
    kafka.serve(&mut dialogue);
    assert!(!done(&dialogue));
    assert_eq!(kafka.commits.len(), 1);
    kafka.commit = ErrorCode::None;
    dialogue.pass(Span::secs(3));
    let names: Vec<&str> = dialogue.sent.iter().map(|(_, message)| message.name()).collect();
    assert_eq!(names, ["kafka-find-coordinator"]);
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn a_partition_without_a_leader_is_asked_for_again_after_a_rest() {
    let mut dialogue = preparing("\"latest\"");
    let mut kafka = Kafka { led: false, ..Kafka::new() };
    kafka.serve(&mut dialogue);
    assert!(dialogue.sent().is_empty());
    assert!(dialogue.events.iter().any(
        |event| matches!(event, Event::GateWaiting { because, .. } if because == "payments/0 has no leader")
    ));
    kafka.led = true;
    dialogue.pass(Span::secs(3));
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn a_broker_that_is_silent_or_gone_is_passed_over() {
    let mut dialogue = preparing("\"latest\"");
    assert_eq!(dialogue.requests().first().map(|(broker, ..)| *broker), Some(KAFKA[0]));
    dialogue.pass(Span::secs(27));
    assert!(dialogue.requests().is_empty(), "the request has not timed out");
    dialogue.pass(Span::secs(3));
    assert_eq!(dialogue.requests().first().map(|(broker, ..)| *broker), Some(KAFKA[1]));
    dialogue.input(Input::Disconnected(KAFKA[1]));
    dialogue.pass(Span::secs(3));
    assert_eq!(dialogue.sent.first().map(|(broker, _)| *broker), Some(KAFKA[0]));
    Kafka::new().serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn offsets_that_read_back_otherwise_are_prepared_again() {
    let mut dialogue = preparing("\"latest\"");
    let mut kafka = Kafka::new();
    for _ in 0..4 {
        for (broker, id, request) in dialogue.requests() {
            let response = kafka.answer(request);
            dialogue.kafka_answers(broker, id, response);
        }
    }
    kafka.committed = [0, 0];
    kafka.serve(&mut dialogue);
    assert!(!done(&dialogue));
    dialogue.pass(Span::secs(3));
    kafka.serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn a_crash_in_the_midst_begins_the_preparation_again() {
    let mut dialogue = preparing("\"latest\"");
    let stale = dialogue.requests();
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    for (broker, id, _) in stale {
        dialogue.kafka_answers(broker, id, metadata(true));
    }
    assert_eq!(dialogue.sent.len(), 1, "an answer to the earlier life moves nothing");
    Kafka::new().serve(&mut dialogue);
    assert!(done(&dialogue));
}

#[test]
fn a_group_that_reads_from_kafka_is_judged_by_kafkas_figures() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"roll-out\", group = \"billing\" }, { do = \"switch-read\", group = \"billing\", to = \"kafka\" },
         { wait = { for = \"group-lag\", group = \"billing\", at-most = 10 }, fresh = true }",
    ));
    dialogue.confirm_all();
    let mut kafka = Kafka { committed: [95, -1], ..Kafka::new() };
    assert_eq!(dialogue.why(), "Kafka has not told what billing has committed");
    kafka.serve(&mut dialogue);
    assert_eq!(dialogue.why(), "billing is 100 records behind on payments/1 (report 0 s old), 105 in all");
    kafka.committed = [95, 95];
    dialogue.pass(Span::secs(5));
    let names: Vec<&str> = dialogue.sent.iter().map(|(_, message)| message.name()).collect();
    assert_eq!(
        names,
        ["kafka-list-offsets", "kafka-list-offsets", "kafka-offset-fetch"],
        "he knows whom to ask"
    );
    kafka.serve(&mut dialogue);
    assert!(dialogue.opened());
}

#[test]
fn figures_that_kafka_does_not_tell_keep_the_gate_shut() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"roll-out\", group = \"billing\" }, { do = \"switch-read\", group = \"billing\", to = \"kafka\" },
         { wait = { for = \"group-lag\", group = \"billing\", at-most = 10 } }",
    ));
    dialogue.confirm_all();
    let mut kafka = Kafka { committed: [100, 100], list: ErrorCode::NotLeaderOrFollower, ..Kafka::new() };
    kafka.serve(&mut dialogue);
    assert_eq!(dialogue.why(), "Kafka has not told the end of payments/0");
    kafka.list = ErrorCode::None;
    dialogue.pass(Span::secs(5));
    kafka.serve(&mut dialogue);
    assert!(dialogue.opened());
}

/// The ends are Kafka's, and how far they were copied back its workers say.
#[test]
fn the_reverse_mirror_is_drained_when_its_workers_have_all_that_kafka_has() {
    for (gate, opens_at) in [
        ("{ for = \"reverse-mirror-drained\" }", 100),
        ("{ for = \"reverse-mirror-lag\", at-most = 30 }", 70),
    ] {
        let lines = format!("{{ do = \"start-reverse-mirror\" }}, {{ wait = {gate} }}");
        let mut dialogue = Dialogue::of(plan(&lines));
        dialogue.confirm_all();
        let mut kafka = Kafka::new();
        for copied in [opens_at - 1, opens_at] {
            assert!(!dialogue.opened());
            dialogue.pass(Span::secs(5));
            loop {
                let sent = dialogue.sent();
                if sent.is_empty() {
                    break;
                }
                for (to, message) in sent {
                    match message {
                        Message::KafkaRequest(id, request) => {
                            let response = kafka.answer(*request);
                            dialogue.kafka_answers(to, id, response);
                        }
                        Message::ReportRequest(id) => {
                            assert_eq!(to, BACK);
                            let copied = vec![(ZERO, 100), (ONE, copied)];
                            let report = Report::Mirror { copied, source_ends: Vec::new(), held: Vec::new() };
                            dialogue.hear(to, Message::Report(id, Box::new(report)));
                        }
                        _ => {}
                    }
                }
            }
        }
        assert!(dialogue.opened(), "{}", dialogue.why());
    }
}
