//! The page on plans is held to what is read: each of its examples is one, each act and gate has its example.

use super::*;
use std::collections::BTreeSet;
use strum::VariantNames;

const PAGE: &str = include_str!("../../../docs/plans.md");

/// A page's blocks of TOML.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```toml" {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// A block of the page: a whole plan, or a phase's steps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    #[serde(default)]
    plan: Plan,
    #[serde(default)]
    steps: Vec<Step>,
}

fn read() -> Vec<Block> {
    let read = |block: &String| match toml::from_str(block) {
        Ok(block) => block,
        Err(error) => panic!("the page has a block that cannot be read: {error}\n{block}"),
    };
    blocks(PAGE).iter().map(read).collect()
}

#[test]
fn every_act_and_gate_has_an_example_on_the_page() {
    let steps: Vec<Step> = read().into_iter().flat_map(|block| block.steps).collect();
    let mut words = BTreeSet::new();
    for step in &steps {
        match step {
            Step::Act(act) => words.insert(act.word()),
            Step::Wait(wait) => words.insert(wait.wait.word()),
        };
    }
    let all: BTreeSet<&str> = Act::VARIANTS.iter().chain(Gate::VARIANTS).copied().collect();
    assert_eq!(words, all);
    for word in all {
        assert!(PAGE.contains(&format!("**`{word}`** ")), "{word} is not described");
    }
}

#[test]
fn the_whole_plan_on_the_page_has_no_problem() {
    let plan = read().into_iter().map(|block| block.plan).find(|plan| !plan.phases.is_empty()).unwrap();
    let names = Names {
        groups: vec!["billing".to_owned()],
        topics: vec![("payments".to_owned(), 4)],
        ..Names::default()
    };
    assert_eq!(plan.lint(&names), []);
}

#[test]
fn a_plan_that_is_written_reads_as_itself() {
    for block in read() {
        let phase = Phase { name: "only".to_owned(), not_before: Span::secs(3), steps: block.steps };
        let plan = Plan { phases: std::iter::once(phase).chain(block.plan.phases).collect() };
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        let written = toml::to_string(&plan).unwrap();
        assert_eq!(toml::from_str::<Plan>(&written).unwrap(), plan);
    }
}

#[test]
fn steps_are_said_in_words() {
    let said: Vec<String> = read().iter().flat_map(|block| &block.steps).map(Step::to_string).collect();
    for sentence in [
        "start the mirror",
        "roll billing out to the NewClient, stop-first",
        "prepare the offsets of billing in Kafka from 1m ago",
        "switch the reads of billing to kafka",
        "hold the sends to the source partitions 0, 1 of payments",
        "wait until the mirror has copied everything",
        "wait until all NewClients of billing read from kafka",
        "wait until 5m have passed",
    ] {
        assert!(said.iter().any(|line| line == sentence), "{sentence} is not among {said:#?}");
    }
}
