//! Any schedule of faults that the systems tolerate leaves the service and the guarded plan whole. The schedules are
//! drawn here, by rules of their own: one fault at a time in each failure domain, and no longer than the standard case
//! lets its faults last. `PROPTEST_CASES` says how many; a failing one is shrunk, and told as a case file and its seed.

mod common;

use common::{findings, shipped, violated};
use cutover_model::units::Span;
use cutover_sim::build::Layout;
use cutover_sim::case::Case;
use cutover_sim::faults::settings::{Aim, Distribution, Drawn, Listed};
use cutover_sim::faults::{NodeKind, Nodes, Reach};
use cutover_sim::run::{self, Keep};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use std::collections::BTreeSet;

/// Not every wish fits: about a dozen faults come of so many.
const MOST_WISHES: usize = 24;

/// What is drawn of a fault, before it is known whether it fits beside the others: places among what the standard case
/// allows, and shares (in a thousand) of the spans that it leaves.
#[derive(Clone, Copy, Debug)]
struct Wish {
    kind: u32,
    target: u32,
    node: u32,
    other: u32,
    moment: u64,
    duration: u64,
    figure: u64,
    behind: bool,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let places = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    let shares = (0..=1_000u64, 0..=1_000u64, 0..=1_000u64);
    let wish = (places, shares, any::<bool>()).prop_map(|(places, shares, behind)| {
        let ((kind, target, node, other), (moment, duration, figure)) = (places, shares);
        Wish { kind, target, node, other, moment, duration, figure, behind }
    });
    proptest::collection::vec(wish, 0..=MOST_WISHES)
}

/// So many thousandths of the way.
fn between(least: Span, most: Span, share: u64) -> Span {
    let way = most.saturating_sub(least).as_millis();
    least + Span::millis(way * share / 1_000)
}

fn pick<T>(from: &[T], place: u32) -> &T {
    &from[place as usize % from.len()]
}

/// The fault that a wish comes to, by the bounds of the standard case.
fn granted(wish: Wish, distribution: &Distribution) -> (Listed, Span) {
    let kinds: Vec<&Drawn> = distribution.drawn(false).collect();
    let drawn = *pick(&kinds, wish.kind);
    let (start, end) = (drawn.start.unwrap_or(distribution.start), drawn.end.unwrap_or(distribution.end));
    let duration = between(drawn.least, drawn.most, wish.duration);
    let at = between(start, end.saturating_sub(duration), wish.moment);
    let share = |most: Span| between(Span::millis(1), most, wish.figure);
    let fault = Listed {
        at: Some(at),
        phase: None,
        step: None,
        after: Span::ZERO,
        duration,
        kind: drawn.kind,
        target: pick(&drawn.targets, wish.target).clone(),
        to: drawn.to.clone(),
        one_way: drawn.one_way,
        latency: drawn.latency.map(share),
        per_million: drawn.per_million.map(|most| (u64::from(most) * wish.figure / 1_000).max(1) as u32),
        skew: drawn.skew.map(share),
        behind: drawn.skew.is_some() && wish.behind,
        ahead: drawn.ahead,
        bytes: drawn.bytes,
        beyond: false,
    };
    (fault, drawn.settle.unwrap_or(distribution.settle))
}

/// What tolerates one fault at a time, in the words of this test: a queue, the mirror, a kind of application, those who
/// carry the migration out.
fn domain(aim: &Aim) -> &'static str {
    match aim {
        Aim::CorgiMaster | Aim::CorgiSlave => "corgi",
        Aim::Kind(NodeKind::CorgiBroker | NodeKind::NameService | NodeKind::OnCall) => "corgi",
        Aim::Kind(NodeKind::KafkaBroker | NodeKind::KafkaController) => "kafka",
        Aim::Kind(NodeKind::Mirror) => "mirror",
        Aim::Kind(NodeKind::Producer) => "producers",
        // The old and the new instances of a group are one group.
        Aim::Kind(NodeKind::OldConsumer | NodeKind::NewConsumer) => "consumers",
        Aim::Kind(NodeKind::SwitchCentre | NodeKind::Deployment | NodeKind::Operator | NodeKind::Redis) => {
            "control"
        }
        Aim::ReverseMirror | Aim::Everybody | Aim::Named(_) => {
            panic!("the standard case strikes kinds, roles and sites, not {aim:?}")
        }
    }
}

/// All of them: what a cut between two sites strikes.
const DOMAINS: [&str; 6] = ["corgi", "kafka", "mirror", "producers", "consumers", "control"];

fn domains(fault: &Listed) -> BTreeSet<&'static str> {
    if matches!(fault.target, Aim::Named(_)) {
        return BTreeSet::from(DOMAINS);
    }
    std::iter::once(&fault.target).chain(&fault.to).map(domain).collect()
}

/// The schedule of those wishes that fit: one after the other in each domain, with the time to settle between.
fn schedule(wishes: &[Wish], distribution: &Distribution, nodes: &Nodes) -> Vec<Listed> {
    let mut taken: Vec<(BTreeSet<&'static str>, Span, Span)> = Vec::new();
    let mut faults = Vec::new();
    for wish in wishes {
        let (fault, settle) = granted(*wish, distribution);
        let (from, domains) = (fault.at.expect("a schedule has moments"), domains(&fault));
        let until = from + fault.duration + settle;
        let free = taken
            .iter()
            .all(|(other, begin, end)| until <= *begin || from >= *end || other.is_disjoint(&domains));
        if free {
            taken.push((domains, from, until));
            let target = match fault.kind.reach() {
                Reach::Part => fault.target,
                Reach::Node | Reach::Links => single(nodes, fault.target, wish.node),
            };
            let to = fault.to.map(|to| single(nodes, to, wish.other));
            faults.push(Listed { target, to, ..fault });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// A single node of a kind, as the drawing of faults picks it: in a list the kind itself would mean its first node, or,
/// on links, all of them.
fn single(nodes: &Nodes, aim: Aim, place: u32) -> Aim {
    let Aim::Kind(kind) = aim else { return aim };
    let names: Vec<&String> = nodes.of_kind(kind).map(|node| &node.name).collect();
    if names.is_empty() { aim } else { Aim::from((*pick(&names, place)).clone()) }
}

/// The case under a schedule of its own instead of faults that its seed draws.
fn under(case: &Case, wishes: &[Wish]) -> Case {
    let distribution = case.faults.draw.as_ref().expect("the standard case draws its faults");
    let faults = schedule(wishes, distribution, &Layout::of(case).nodes);
    let mut case = case.clone();
    case.faults.draw = None;
    case.faults.list = faults;
    case
}

/// Nothing is violated, and the run comes to its end.
fn stays_whole(case: &Case, seed: u64) -> Result<(), TestCaseError> {
    let result = run::alone(case, seed, Keep::default());
    if violated(&result).is_empty() && result.failure.is_none() {
        return Ok(());
    }
    let file = case.to_toml().expect("a case can be written");
    let (failure, findings) = (&result.failure, findings(&result));
    let told = format!("failure: {failure:?}\n{findings}seed {seed} of this case:\n{file}");
    Err(TestCaseError::fail(told))
}

fn config() -> Config {
    // The default takes PROPTEST_CASES; what is kept of failures is the case file that is told, not a seed of proptest.
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config { failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    if asked { default } else { Config { cases: 24, ..default } }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_service_stays_whole_under_any_tolerated_schedule(wishes in wishes(), seed in 0..1_000_000u64) {
        stays_whole(&under(&shipped("baseline"), &wishes), seed)?;
    }

    #[test]
    fn the_guarded_plan_stays_whole_under_any_tolerated_schedule(wishes in wishes(), seed in 0..1_000_000u64) {
        stays_whole(&under(&shipped("article-guarded"), &wishes), seed)?;
    }

    /// What a failing example prints must replay: the schedule is well-formed, and saved and loaded it is the same case.
    #[test]
    fn any_schedule_is_a_case_that_can_be_saved(wishes in wishes()) {
        let case = under(&shipped("article-guarded"), &wishes);
        let saved = case.to_toml().expect("a case can be written");
        let again = Case::from_text("saved.toml", &saved);
        prop_assert_eq!(again.map_err(|error| format!("{error}\n{saved}")), Ok(case.clone()));
    }
}
