//! Exactly-once, held against whatever may happen between two workers and a target.

use super::bench::{BROKER, Bench, P, atomic};
use crate::client::Assigned;
use crate::kafka::protocol::ErrorCode;
use crate::machine::Input;
use crate::mirror::settings::{Settings, Takeover};
use crate::record::Offset;
use crate::units::Span;

/// What may happen between two workers and a target.
#[derive(Clone, Debug)]
enum Happening {
    Receive(Offset),
    Wait(usize, u64),
    Error(&'static str, ErrorCode),
    Swallow(&'static str),
    Unanswer(&'static str),
    Disconnect(usize),
    /// The other worker gets the partition; the former owner loses it, gives it back, or sleeps through it.
    HandOver(u8),
}

fn happening() -> impl proptest::strategy::Strategy<Value = Happening> {
    use proptest::prelude::*;
    let name = || {
        proptest::sample::select(vec![
            "kafka-find-coordinator",
            "kafka-init-producer-id",
            "kafka-offset-fetch",
            "kafka-add-partitions-to-txn",
            "kafka-metadata",
            "kafka-produce",
            "kafka-add-offsets-to-txn",
            "kafka-txn-offset-commit",
            "kafka-end-txn",
        ])
    };
    let error = proptest::sample::select(vec![
        ErrorCode::ConcurrentTransactions,
        ErrorCode::NotCoordinator,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::InvalidTxnState,
        ErrorCode::CoordinatorLoadInProgress,
    ]);
    prop_oneof![
        4 => (1..5_i64).prop_map(Happening::Receive),
        6 => (0..2_usize, 1..700_u64).prop_map(|(worker, millis)| Happening::Wait(worker, millis)),
        2 => (name(), error).prop_map(|(name, error)| Happening::Error(name, error)),
        1 => name().prop_map(Happening::Swallow),
        1 => name().prop_map(Happening::Unanswer),
        1 => (0..2_usize).prop_map(Happening::Disconnect),
        2 => (0..3_u8).prop_map(Happening::HandOver),
    ]
}

/// A bench with the owner of the one partition and the source's end.
struct Handovers {
    bench: Bench,
    owner: usize,
    end: Offset,
}

impl Handovers {
    fn happen(&mut self, happening: Happening) {
        let bench = &mut self.bench;
        match happening {
            Happening::Receive(count) => {
                bench.receive(self.owner, P, self.end..self.end + count);
                self.end += count;
            }
            Happening::Wait(worker, millis) => bench.wait(worker, Span::millis(millis)),
            Happening::Error(name, error) => bench.target.errors.push((name, error)),
            Happening::Swallow(name) => bench.target.swallowed.push(name),
            Happening::Unanswer(name) => bench.target.unanswered.push(name),
            Happening::Disconnect(worker) => bench.step(worker, Input::Disconnected(BROKER)),
            Happening::HandOver(kind) => self.hand_over(kind),
        }
    }

    fn hand_over(&mut self, kind: u8) {
        let former = self.owner;
        if kind < 2 {
            self.bench.corgi(former).records.clear();
            let assigned = if kind == 0 { Assigned::Lost(vec![P]) } else { Assigned::Revoked(vec![P]) };
            self.bench.assign(former, assigned);
        }
        self.owner = 1 - former;
        self.grant();
    }

    /// The owner is granted the partition from the start, and everything there is comes.
    fn grant(&mut self) {
        self.bench.corgi(self.owner).records.clear();
        self.bench.assign(self.owner, Assigned::Lost(vec![P]));
        self.bench.assign(self.owner, Assigned::Granted(vec![(P, 0)]));
        self.bench.receive(self.owner, P, 0..self.end);
    }

    fn come_to_rest(&mut self) {
        let target = &mut self.bench.target;
        target.errors.clear();
        target.swallowed.clear();
        target.unanswered.clear();
        for worker in [0, 1, 0, 1] {
            self.bench.wait_long(worker);
        }
        self.bench.target.time_out();
        // A worker that was fenced has joined anew and holds nothing: somebody is granted the partition in the end.
        self.grant();
        self.bench.wait_long(self.owner);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_happens_each_record_is_committed_once_and_in_order(
        happenings in proptest::collection::vec(happening(), 1..60),
        takeover in proptest::sample::select(vec![Takeover::FenceFirst, Takeover::ReadFirst]),
    ) {
        let settings = Settings { request_timeout: Span::millis(300), takeover, ..atomic() };
        let mut handovers = Handovers { bench: Bench::holding(&settings), owner: 0, end: 0 };
        for happening in happenings {
            handovers.happen(happening);
        }
        handovers.come_to_rest();
        let all: Vec<Offset> = (0..handovers.end).collect();
        proptest::prop_assert_eq!(handovers.bench.target.copied(), all);
    }
}
