//! Orders and changes: numbered, repeated, confirmed; crashes in their midst.

use super::*;
use crate::deployment::RollOrder;
use crate::record::{Queue, TopicPartition};
use crate::switch::{Change, Hold, WriteTo};

#[test]
fn a_plan_of_acts_and_a_gate_is_executed_to_its_end() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"roll-out\", group = \"billing\" },
         { wait = { for = \"upgraded\", group = \"billing\" }, fresh = true },
         { do = \"switch-read\", group = \"billing\", to = \"kafka\" }",
    ));
    assert!(dialogue.orders().is_empty(), "a human takes his time");
    dialogue.pass(Span::secs(1));
    let roll = (1, Target::Group(BILLING), Order::Roll(RollOrder::StartFirst));
    assert_eq!(dialogue.orders(), [roll]);
    dialogue.accept(1);
    dialogue.pass(Span::secs(1));
    dialogue.report(|_| Some(deployment_report(2, 1)));
    assert!(!dialogue.opened());
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(deployment_report(0, 2)));
    assert!(dialogue.opened());
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.changes(), [(1, vec![Change::Read(BILLING, Queue::Kafka)])]);
    dialogue.changed(1);
    dialogue.pass(Span::secs(1));
    assert!(dialogue.operator.is_complete());
    let begun = Event::PhaseBegun { phase: 1, name: "only".to_owned() };
    assert_eq!(dialogue.events.first(), Some(&begun));
    assert_eq!(dialogue.events.last(), Some(&Event::PlanCompleted));
    assert!(dialogue.events.contains(&Event::GateOpened { phase: 1, step: 2, waited: Span::secs(5) }));
}

#[test]
fn an_order_is_repeated_with_its_number_until_it_is_accepted() {
    let mut dialogue = Dialogue::of(plan("{ do = \"start-mirror\" }, { do = \"stop-mirror\" }"));
    dialogue.pass(Span::secs(7));
    let numbers: Vec<u64> = dialogue.orders().into_iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers, [1, 1, 1], "at one, four and seven seconds");
    dialogue.accept(7);
    assert!(dialogue.events.iter().all(|event| !matches!(event, Event::StepDone { .. })), "another number");
    dialogue.accept(1);
    dialogue.accept(1);
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.orders(), [(2, Target::Mirror, Order::Stop)]);
    let done = dialogue.events.iter().filter(|event| matches!(event, Event::StepDone { .. })).count();
    assert_eq!(done, 1, "the second confirmation is a duplicate");
}

#[test]
fn an_order_that_nobody_accepts_is_told_every_minute() {
    let mut dialogue = Dialogue::of(plan("{ do = \"start-mirror\" }"));
    dialogue.pass(Span::secs(130));
    let told: Vec<&Event> =
        dialogue.events.iter().filter(|event| matches!(event, Event::GateWaiting { .. })).collect();
    assert_eq!(told.len(), 2);
    assert!(matches!(told[0], Event::GateWaiting { gate, because, .. }
        if gate == "start the mirror" && because == "the deployment has not accepted the order"));
}

#[test]
fn after_a_crash_an_act_under_way_is_done_again_with_its_number() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"pause\", group = \"billing\" }, { do = \"resume\", group = \"billing\" }",
    ));
    dialogue.pass(Span::secs(1));
    dialogue.crash();
    dialogue.now += Span::secs(30);
    dialogue.start();
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.changes(), [(1, vec![Change::Pause(BILLING)])]);
    dialogue.changed(1);
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.changes(), [(2, vec![Change::Resume(BILLING)])]);
    let begun = dialogue.events.iter().filter(|event| matches!(event, Event::PhaseBegun { .. })).count();
    assert_eq!(begun, 1);
}

#[test]
fn a_confirmation_that_comes_after_the_restart_counts() {
    let mut dialogue = Dialogue::of(plan("{ do = \"start-mirror\" }"));
    dialogue.pass(Span::secs(1));
    dialogue.crash();
    dialogue.start();
    dialogue.accept(1);
    dialogue.pass(Span::secs(2));
    assert!(dialogue.operator.is_complete());
    assert!(dialogue.orders().is_empty());
}

#[test]
fn orders_and_changes_are_counted_apart() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"start-mirror\" }, { do = \"switch-write\", to = \"both\" }, { do = \"stop-mirror\" }",
    ));
    dialogue.confirm_all();
    assert_eq!((dialogue.operator.durable.orders, dialogue.operator.durable.changes), (2, 1));
    assert!(dialogue.operator.is_complete());
}

#[test]
fn a_hold_covers_what_the_plan_names() {
    let hold = |topics: &[&str], partitions: &[u16]| {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        match errand(&Act::Hold { topics, partitions: partitions.to_vec() }, &wiring(), &Notes::default()) {
            Errand::Change(Change::Hold(hold)) => hold,
            other => panic!("a hold is a change of the switches, not {other:?}"),
        }
    };
    assert_eq!(hold(&[], &[]), Hold::Everything);
    assert_eq!(hold(&["payments"], &[]), Hold::Topics(vec![TopicId(0)]));
    assert_eq!(hold(&[], &[1]), Hold::Partitions(vec![TopicPartition::new(0, 1)]));
    assert_eq!(
        errand(&Act::Release, &wiring(), &Notes::default()),
        Errand::Change(Change::Hold(Hold::Nothing))
    );
    assert_eq!(
        errand(&Act::SwitchWrite { to: WriteTo::Kafka }, &wiring(), &Notes::default()),
        Errand::Change(Change::Write(WriteTo::Kafka))
    );
}

#[test]
fn a_phase_does_not_begin_before_its_time() {
    let mut plan = plan("{ do = \"start-mirror\" }");
    plan.phases[0].not_before = Span::secs(60);
    let mut dialogue = Dialogue::of(plan);
    dialogue.pass(Span::secs(59));
    assert!(dialogue.orders().is_empty() && dialogue.events.is_empty());
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.orders().len(), 1);
    assert!(matches!(dialogue.events.first(), Some(Event::PhaseBegun { phase: 1, .. })));
}

#[test]
fn a_plan_without_a_line_is_complete_at_once() {
    let mut dialogue = Dialogue::of(Plan::default());
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.events, [Event::PlanCompleted]);
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(60));
    assert_eq!(dialogue.events, [Event::PlanCompleted], "it is completed once");
}

#[test]
#[should_panic(expected = "names groups of its case only, and not `biling`")]
fn a_plan_with_an_unknown_group_is_not_executed() {
    let _ = Dialogue::of(plan("{ do = \"pause\", group = \"biling\" }"));
}

#[test]
fn he_stops_when_he_is_asked_to() {
    let mut operator = Operator::new(Settings::default(), Plan::default(), wiring());
    let mut effects = Effects::default();
    operator.step(Now::exact(Time::ZERO), Input::Terminate, &mut effects);
    assert_eq!(effects.processes, [Process::Exit]);
}
