//! One fault at a time, drawn at random: what a prudently run Corgi promises, and that each precaution is needed.

use super::harness::*;
use super::settings::{Promote, Replication};
use crate::client::corgi_producer_settings::Accept;
use crate::units::Span;

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    lost: usize,
    reordered: usize,
    overlaps: usize,
    unfinished: usize,
    diverged: bool,
    failovers: usize,
    faults: String,
}

impl Outcome {
    fn is_sound(&self) -> bool {
        self.lost + self.reordered + self.overlaps + self.unfinished == 0 && !self.diverged
    }
}

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn setup() -> Setup {
    Setup { until: at(900), consumers: 3, interval: Span::secs(1), ..Setup::default() }
}

fn run(seed: u64, setup: &Setup, noisy: bool) -> Outcome {
    let mut random = Random::new(seed + 1);
    let strikable = [BROKERS[0], BROKERS[1], BROKERS[2], ON_CALL, NAME_SERVICE, CONSUMERS[0], CONSUMERS[1]];
    let mut world = World::new(setup);
    if noisy {
        world.disturb(seed + 1);
    }
    let mut faults = format!("seed {seed}:");
    while world.now < setup.until {
        world.run(world.now + Span::millis(5_000 + random.below(60_000)));
        let master = BROKERS.iter().copied().find(|node| world.broker(*node).is_master());
        let any = strikable[random.below(strikable.len() as u64) as usize];
        // Every other fault strikes the master, where it hurts most.
        let node = master.filter(|_| random.below(2) == 0).unwrap_or(any);
        let peers: Vec<_> = world.nodes.keys().copied().filter(|peer| *peer != node).collect();
        let length = Span::millis(500 + random.below(59_500));
        let kind = ["crash", "pause", "cut", "isolate"][random.below(4) as usize];
        faults += &format!(" {} {kind} {} for {length};", world.now, node.0);
        match kind {
            "crash" => world.crash(node),
            "pause" => world.pause(node),
            "cut" => world.cut(node, peers[random.below(peers.len() as u64) as usize]),
            _ => peers.iter().for_each(|peer| world.cut(node, *peer)),
        }
        world.run(world.now + length);
        world.start(node);
        world.resume(node);
        peers.iter().for_each(|peer| world.heal(node, *peer));
        // The next fault strikes only after this one is mended: a failover under way is finished first.
        world.run(world.now + Span::secs(60));
    }
    world.run(setup.until + Span::secs(600));
    let finished = world.seen.acknowledged.len() + world.seen.given_up.len();
    let master = BROKERS.iter().find(|node| world.broker(**node).is_master());
    let log = world.broker(*master.expect("there is a master")).log();
    Outcome {
        lost: world.lost().len(),
        reordered: world.reordered().len(),
        overlaps: world.seen.overlaps.len(),
        unfinished: world.seen.sent.len() - finished,
        diverged: BROKERS.iter().any(|node| world.broker(*node).log() != log),
        failovers: world.seen.masters.len(),
        faults,
    }
}

/// How many of so many seeds end badly in that way.
fn count(seeds: u64, setup: &Setup, bad: impl Fn(&Outcome) -> bool) -> usize {
    (0..seeds).filter(|seed| bad(&run(*seed, setup, false))).count()
}

#[test]
fn nothing_is_lost_reordered_or_held_by_two() {
    let outcomes: Vec<Outcome> = (0..SEEDS).map(|seed| run(seed, &setup(), false)).collect();
    for outcome in &outcomes {
        assert!(outcome.is_sound(), "{outcome:?} {}", outcome.faults);
    }
    let failovers: usize = outcomes.iter().map(|outcome| outcome.failovers).sum();
    assert!(failovers as u64 > SEEDS, "{failovers} failovers in {SEEDS} runs prove little");
}

#[test]
fn lost_doubled_late_and_overtaken_messages_change_nothing() {
    for seed in 0..SEEDS / 2 {
        let outcome = run(seed, &setup(), true);
        assert!(outcome.is_sound(), "{outcome:?} {}", outcome.faults);
    }
}

#[test]
fn both_slaves_make_any_choice_of_the_next_master_a_good_one() {
    for promote in [Promote::First, Promote::Stalest] {
        let mut setup = setup();
        setup.settings.replication = Replication::Both;
        setup.settings.on_call.promote = promote;
        for seed in 0..SEEDS / 4 {
            let outcome = run(seed, &setup, false);
            assert!(outcome.is_sound(), "{outcome:?} {}", outcome.faults);
        }
    }
}

/// An instance is cut off from the master, which starts again and forgets whom it gave leases.
fn overlaps_after_a_restart(grace: Span) -> usize {
    let mut setup = Setup { interval: Span::millis(100), ..Setup::default() };
    setup.settings.lease_grace = grace;
    let mut world = World::new(&setup);
    world.run(at(62));
    world.cut(CONSUMERS[0], BROKERS[0]);
    world.crash(BROKERS[0]);
    world.run(at(64));
    world.start(BROKERS[0]);
    world.run(at(200));
    assert!(grace == Span::ZERO || world.lost().is_empty());
    world.seen.overlaps.len()
}

#[test]
fn without_the_grace_a_partition_can_have_two_holders() {
    assert!(overlaps_after_a_restart(Span::ZERO) > 0);
    assert_eq!(overlaps_after_a_restart(Span::secs(60)), 0);
}

#[test]
fn accepting_any_status_loses_records() {
    let mut setup = setup();
    setup.producer.accept = Accept::AnyStatus;
    assert!(count(SEEDS, &setup, |outcome| outcome.lost > 0) > 0);
}

/// Enough to meet every hazard above, few enough for every test run.
const SEEDS: u64 = 16;
