//! Gates: what opens them, what keeps them shut, and what is done when they are given up.

use super::*;
use crate::incident::Incident;
use crate::record::{Offset, Queue, TopicPartition};
use crate::report::Delayed;
use crate::switch::{Change, WriteTo};

fn both(offset: Offset, other: Offset) -> Vec<(TopicPartition, Offset)> {
    vec![(TopicPartition::new(0, 0), offset), (TopicPartition::new(0, 1), other)]
}

fn corgi(master: bool, ends: (Offset, Offset)) -> Report {
    Report::Corgi {
        master,
        ends: both(ends.0, ends.1),
        committed: vec![(BILLING, TopicPartition::new(0, 0), 7)],
        members: vec![(BILLING, 0), (MIRROR, 2)],
        delayed: Delayed::default(),
    }
}

fn mirror(copied: Vec<(TopicPartition, Offset)>) -> Report {
    Report::Mirror { copied, source_ends: Vec::new(), held: Vec::new() }
}

fn consumer(new_client: bool, paused: bool, reading: Queue) -> Report {
    Report::Consumer { group: BILLING, new_client, switch_version: 1, reading, paused, assigned: 1 }
}

fn producer(write: WriteTo, held: bool) -> Report {
    Report::Producer { switch_version: 1, write, held, in_flight: u32::from(!held) }
}

/// A dialogue that has come to the gate of this plan.
fn at_gate(lines: &str) -> Dialogue {
    let mut dialogue = Dialogue::of(plan(lines));
    dialogue.confirm_all();
    assert_eq!(dialogue.operator.volatile.busy, Busy::Waiting, "the operator is at the gate");
    dialogue
}

#[test]
fn reports_are_asked_for_only_at_a_gate_and_only_of_those_whom_it_concerns() {
    let mut dialogue =
        Dialogue::of(plan("{ do = \"hold\" }, { wait = { for = \"held\" } }, { do = \"release\" }"));
    dialogue.pass(Span::secs(30));
    assert!(dialogue.asked().is_empty(), "the hold is not confirmed yet");
    dialogue.changed(1);
    dialogue.pass(Span::secs(11));
    let asked: Vec<NodeId> = dialogue.asked().into_iter().map(|(node, _)| node).collect();
    assert_eq!(asked, PRODUCERS.repeat(3), "at one, six and eleven seconds");
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(producer(WriteTo::Corgi, true)));
    assert!(dialogue.opened());
    dialogue.pass(Span::secs(60));
    assert!(dialogue.asked().is_empty());
}

#[test]
fn a_producer_without_a_report_or_with_a_send_in_flight_keeps_the_gate_shut() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" } }");
    dialogue.report(|node| (node == PRODUCERS[0]).then(|| producer(WriteTo::Corgi, true)));
    assert_eq!(dialogue.why(), "producer 2 has no report that counts");
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| Some(producer(WriteTo::Corgi, node == PRODUCERS[0])));
    assert_eq!(dialogue.why(), "producer 2 does not hold (1 sends in flight) (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(producer(WriteTo::Corgi, true)));
    assert!(dialogue.opened());
}

#[test]
fn a_report_that_is_too_old_counts_as_none() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" }, max-age = \"10s\" }");
    dialogue.report(|node| (node == PRODUCERS[0]).then(|| producer(WriteTo::Corgi, true)));
    dialogue.pass(Span::secs(15));
    dialogue.report(|node| (node == PRODUCERS[1]).then(|| producer(WriteTo::Corgi, true)));
    assert!(!dialogue.opened());
    assert_eq!(dialogue.why(), "producer 1 has no report that counts");
}

#[test]
fn a_report_is_as_old_as_its_question() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" }, max-age = \"10s\" }");
    let asked = dialogue.asked();
    dialogue.pass(Span::secs(11));
    for (node, id) in asked {
        dialogue.hear(node, Message::Report(id, Box::new(producer(WriteTo::Corgi, true))));
    }
    assert!(!dialogue.opened());
}

#[test]
fn a_late_answer_does_not_replace_a_newer_one() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" } }");
    let first = dialogue.asked();
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| Some(producer(WriteTo::Corgi, node == PRODUCERS[0])));
    for (node, id) in first {
        dialogue.hear(node, Message::Report(id, Box::new(producer(WriteTo::Corgi, true))));
    }
    assert!(!dialogue.opened());
}

#[test]
fn an_answer_to_an_earlier_life_is_none() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" } }");
    let asked = dialogue.asked();
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    for (node, id) in asked {
        dialogue.hear(node, Message::Report(id, Box::new(producer(WriteTo::Corgi, true))));
    }
    assert!(!dialogue.opened());
    dialogue.report(|_| Some(producer(WriteTo::Corgi, true)));
    assert!(dialogue.opened());
}

#[test]
fn without_fresh_a_report_from_before_the_last_step_opens_the_gate() {
    let lines = |fresh: bool| {
        format!(
            "{{ do = \"roll-out\", group = \"billing\" }}, {{ do = \"pause\", group = \"billing\" }},
             {{ wait = {{ for = \"paused\", group = \"billing\" }} }},
             {{ do = \"switch-read\", group = \"billing\", to = \"kafka\" }},
             {{ wait = {{ for = \"paused\", group = \"billing\" }}, fresh = {fresh} }},
             {{ do = \"resume\", group = \"billing\" }}"
        )
    };
    for fresh in [false, true] {
        let mut dialogue = at_gate(&lines(fresh));
        dialogue.report(|_| Some(consumer(true, true, Queue::Corgi)));
        dialogue.pass(Span::secs(1));
        dialogue.changed(2);
        dialogue.pass(Span::secs(1));
        let opened = dialogue.events.iter().filter(|event| matches!(event, Event::GateOpened { .. })).count();
        assert_eq!(opened, if fresh { 1 } else { 2 });
    }
}

#[test]
fn an_instance_that_still_runs_the_old_client_keeps_the_gate_shut() {
    let mut dialogue = at_gate(
        "{ do = \"roll-out\", group = \"billing\" }, { do = \"switch-read\", group = \"billing\", to = \"kafka\" },
         { wait = { for = \"reading\", group = \"billing\", from = \"kafka\" } }",
    );
    dialogue.report(|node| Some(consumer(node == INSTANCES[0], false, Queue::Kafka)));
    assert_eq!(dialogue.why(), "instance 2 of billing does not run the NewClient (report 0 s old)");
    dialogue.pass(Span::secs(5));
    let reading = |node| if node == INSTANCES[0] { Queue::Kafka } else { Queue::Corgi };
    dialogue.report(|node| Some(consumer(true, false, reading(node))));
    assert_eq!(dialogue.why(), "instance 2 of billing reads from corgi (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(consumer(true, false, Queue::Kafka)));
    assert!(dialogue.opened());
}

#[test]
fn the_mirror_is_drained_when_the_furthest_worker_has_copied_to_the_masters_end() {
    let mut dialogue = at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-drained\" } }");
    let copied = |node, offset| {
        if node == WORKERS[0] { both(10, 3) } else { vec![(TopicPartition::new(0, 1), offset)] }
    };
    let answer = |node, offset| match node {
        _ if node == CORGI[0] => Some(corgi(true, (10, 20))),
        _ if node == CORGI[1] => Some(corgi(false, (99, 99))),
        _ => Some(mirror(copied(node, offset))),
    };
    dialogue.report(|node| answer(node, 8));
    assert_eq!(dialogue.why(), "the mirror is 12 records behind on payments/1 (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| answer(node, 20));
    assert!(dialogue.opened(), "a slave's log does not count");
}

#[test]
fn a_partition_that_no_worker_or_no_master_reports_keeps_the_mirrors_gate_shut() {
    let mut dialogue =
        at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-lag\", at-most = 100 } }");
    dialogue.report(|node| (node == CORGI[0]).then(|| corgi(true, (0, 5))));
    assert_eq!(dialogue.why(), "no mirror worker reports on payments/1", "payments/0 is empty");
    dialogue.pass(Span::secs(40));
    dialogue.report(|node| Some(mirror(both(0, 5))).filter(|_| WORKERS.contains(&node)));
    assert_eq!(dialogue.why(), "no Corgi master reports on payments/0");
}

#[test]
fn a_partition_that_came_by_a_widening_must_be_copied_too() {
    let mut dialogue = at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-drained\" } }");
    let widened = |ends: Vec<(TopicPartition, Offset)>| Report::Corgi {
        master: true,
        ends: ends.into_iter().chain([(TopicPartition::new(0, 2), 4)]).collect(),
        committed: Vec::new(),
        members: Vec::new(),
        delayed: Delayed::default(),
    };
    dialogue.report(|node| Some(if node == CORGI[0] { widened(both(3, 3)) } else { mirror(both(3, 3)) }));
    assert_eq!(dialogue.why(), "no mirror worker reports on payments/2");
}

#[test]
fn of_two_masters_the_one_asked_last_is_believed() {
    let mut dialogue = at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-drained\" } }");
    // Before the split's other side answers, the first master alone has a report.
    dialogue.report(|node| (node == CORGI[0]).then(|| corgi(true, (50, 50))));
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| match node {
        _ if node == CORGI[0] => None,
        _ if node == CORGI[1] => Some(corgi(true, (10, 10))),
        _ => Some(mirror(both(10, 10))),
    });
    assert!(dialogue.opened(), "the report of the first master is the older one");
}

#[test]
fn of_two_masters_asked_at_the_same_time_the_one_who_answers_last_is_believed() {
    for last in CORGI {
        let mut dialogue =
            at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-lag\", at-most = 15 } }");
        let mut asked = dialogue.asked();
        asked.sort_by_key(|(node, _)| (WORKERS.contains(node), *node == last));
        for (node, id) in asked {
            let report = match node {
                _ if node == CORGI[0] => corgi(true, (10, 10)),
                _ if node == CORGI[1] => corgi(true, (20, 20)),
                _ => mirror(both(10, 10)),
            };
            dialogue.pass(Span::millis(1));
            dialogue.hear(node, Message::Report(id, Box::new(report)));
        }
        assert_eq!(dialogue.opened(), last == CORGI[0]);
    }
}

#[test]
fn a_group_lag_in_corgi_is_read_from_the_masters() {
    let mut dialogue = at_gate("{ wait = { for = \"group-lag\", group = \"billing\", at-most = 5 } }");
    dialogue.report(|_| Some(corgi(true, (12, 3))));
    assert_eq!(dialogue.why(), "billing is 5 records behind on payments/0 (report 0 s old), 8 in all");
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(corgi(true, (12, 0))));
    assert!(dialogue.opened());
}

#[test]
fn only_the_mirror_reads_when_no_master_counts_another_reader() {
    let mut dialogue = at_gate(
        "{ do = \"start-mirror\" }, { do = \"roll-out\", group = \"billing\" },
         { do = \"switch-read\", group = \"billing\", to = \"kafka\" }, { wait = { for = \"only-mirror-reads\" } }",
    );
    let with = |count| match corgi(true, (1, 1)) {
        Report::Corgi { master, ends, committed, .. } => {
            let members = vec![(BILLING, count), (MIRROR, 2)];
            Report::Corgi { master, ends, committed, members, delayed: Delayed::default() }
        }
        other => other,
    };
    dialogue.report(|node| (node == CORGI[0]).then(|| with(1)));
    assert_eq!(dialogue.why(), "1 members of billing read from Corgi (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| (node == CORGI[0]).then(|| with(0)));
    assert!(dialogue.opened());
}

#[test]
fn the_mirror_is_a_reader_too() {
    let mut dialogue = at_gate(
        "{ do = \"roll-out\", group = \"billing\" }, { do = \"switch-read\", group = \"billing\", to = \"kafka\" },
         { wait = { for = \"nobody-reads\" } }",
    );
    dialogue.report(|node| (node == CORGI[0]).then(|| corgi(true, (1, 1))));
    assert_eq!(dialogue.why(), "2 members of the mirror read from Corgi (report 0 s old)");
}

#[test]
fn the_deployment_tells_who_is_ready_and_who_still_runs() {
    let mut dialogue = at_gate(
        "{ do = \"roll-out\", group = \"billing\" }, { wait = { for = \"old-stopped\", group = \"billing\" } }",
    );
    dialogue.report(|_| Some(deployment_report(1, 2)));
    assert_eq!(dialogue.why(), "1 OldClients of billing still run (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|_| Some(deployment_report(0, 2)));
    assert!(dialogue.opened());
}

#[test]
fn a_deployment_that_forgot_whom_to_expect_opens_no_gate() {
    let mut dialogue = at_gate(
        "{ do = \"roll-out\", group = \"billing\" }, { wait = { for = \"upgraded\", group = \"billing\" } }",
    );
    let forgetful =
        DeployedTarget { target: Target::Group(BILLING), old_running: 0, new_ready: 0, new_expected: 0 };
    dialogue.report(|_| Some(Report::Deployment { targets: vec![forgetful] }));
    assert_eq!(dialogue.why(), "0 of 2 new processes of billing are ready (report 0 s old)");
}

#[test]
fn a_gate_that_times_out_does_otherwise_rests_and_goes_back() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"hold\" },
         { wait = { for = \"held\" }, timeout = \"20s\", otherwise = [{ do = \"release\" }], retry-after = \"1m\", back = 1 }",
    ));
    dialogue.confirm_all();
    dialogue.pass(Span::secs(19));
    assert!(!dialogue.events.contains(&Event::GateTimedOut { phase: 1, step: 2 }));
    dialogue.pass(Span::secs(1));
    assert!(dialogue.events.contains(&Event::GateTimedOut { phase: 1, step: 2 }));
    dialogue.sent();
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.changes(), [(2, vec![Change::Hold(switch::Hold::Nothing)])]);
    dialogue.changed(2);
    let released = Event::StepDone { phase: 1, step: 2, act: Act::Release };
    assert_eq!(dialogue.events.last(), Some(&released));
    dialogue.pass(Span::secs(60));
    assert!(dialogue.sent().is_empty(), "he rests");
    dialogue.pass(Span::secs(2));
    assert_eq!(dialogue.changes(), [(3, vec![Change::Hold(switch::Hold::Everything)])]);
    dialogue.changed(3);
    dialogue.pass(Span::secs(1));
    dialogue.report(|_| Some(producer(WriteTo::Corgi, true)));
    assert!(dialogue.events.contains(&Event::GateOpened { phase: 1, step: 2, waited: Span::ZERO }));
}

#[test]
fn a_crash_while_he_does_otherwise_or_rests_loses_nothing() {
    let mut dialogue = Dialogue::of(plan(
        "{ do = \"hold\" },
         { wait = { for = \"held\" }, timeout = \"20s\", otherwise = [{ do = \"release\" }], retry-after = \"1m\", back = 1 }",
    ));
    dialogue.confirm_all();
    dialogue.pass(Span::secs(22));
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(1));
    assert_eq!(dialogue.changes(), [(2, vec![Change::Hold(switch::Hold::Nothing)])]);
    dialogue.changed(2);
    dialogue.pass(Span::secs(5));
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(50));
    assert!(dialogue.sent().is_empty());
    dialogue.pass(Span::secs(10));
    assert_eq!(dialogue.changes().first(), Some(&(3, vec![Change::Hold(switch::Hold::Everything)])));
}

#[test]
fn a_time_out_counts_from_the_first_arrival_also_over_a_crash() {
    let mut dialogue = at_gate("{ do = \"hold\" }, { wait = { for = \"held\" }, timeout = \"30s\" }");
    dialogue.pass(Span::secs(20));
    dialogue.crash();
    dialogue.start();
    dialogue.pass(Span::secs(11));
    assert!(dialogue.events.contains(&Event::GateTimedOut { phase: 1, step: 2 }));
}

#[test]
fn a_gate_of_time_asks_nobody_and_opens_by_itself() {
    let mut dialogue = at_gate("{ wait = { for = \"elapsed\", span = \"5m\" } }");
    dialogue.pass(Span::secs(299));
    assert!(!dialogue.opened());
    dialogue.pass(Span::secs(1));
    assert!(dialogue.opened());
    assert!(dialogue.sent().is_empty());
    let told = |event: &&Event| matches!(event, Event::GateWaiting { .. });
    assert_eq!(dialogue.events.iter().filter(told).count(), 4);
}

#[test]
fn what_is_waited_for_is_told_every_minute_with_its_reason() {
    let mut dialogue = at_gate("{ do = \"start-mirror\" }, { wait = { for = \"mirror-ready\" } }");
    for _ in 0..12 {
        dialogue.report(|_| Some(deployment_report(0, 1)));
        dialogue.pass(Span::secs(5));
    }
    let expected = Event::GateWaiting {
        phase: 1,
        step: 2,
        gate: "the mirror's workers are ready".to_owned(),
        because: "1 of 2 new processes of the mirror are ready (report 5 s old)".to_owned(),
    };
    assert_eq!(dialogue.events.last(), Some(&expected));
}

#[test]
fn where_the_monitoring_stands_still_the_last_answer_grows_old_and_no_fresh_one_comes() {
    let line = "{ wait = { for = \"old-stopped\", group = \"billing\" }, fresh = true }";
    let mut dialogue = at_gate(line);
    dialogue.report(|_| Some(deployment_report(1, 2)));
    dialogue.pass(Span::secs(5));
    // What is on its way is not shown either.
    let (node, id) = dialogue.asked()[0];
    dialogue.input(Input::Incident(Incident::ReportsStale));
    dialogue.hear(node, Message::Report(id, Box::new(deployment_report(0, 2))));
    dialogue.pass(Span::secs(10));
    assert!(dialogue.asked().is_empty() && !dialogue.opened());
    assert_eq!(dialogue.why(), "1 OldClients of billing still run (report 15 s old)");
    dialogue.input(Input::Incident(Incident::ReportsFresh));
    dialogue.report(|_| Some(deployment_report(0, 2)));
    assert!(dialogue.opened());
}

#[test]
fn a_gate_that_is_not_fresh_opens_on_what_was_shown_last_as_long_as_it_is_young() {
    let wait = "{ wait = { for = \"upgraded\", group = \"billing\" } }";
    let lines = format!("{{ wait = {{ for = \"old-stopped\", group = \"billing\" }} }}, {wait}");
    let mut dialogue = at_gate(&lines);
    dialogue.report(|_| Some(deployment_report(0, 2)));
    dialogue.input(Input::Incident(Incident::ReportsStale));
    dialogue.pass(Span::secs(2));
    let opened = dialogue.events.iter().filter(|event| matches!(event, Event::GateOpened { .. })).count();
    assert_eq!(opened, 2);
}

#[test]
fn no_delayed_records_are_kept_back_when_every_master_says_so() {
    let mut dialogue = at_gate("{ wait = { for = \"no-delayed\" } }");
    let with = |records| match corgi(true, (3, 3)) {
        Report::Corgi { master, ends, committed, members, .. } => {
            Report::Corgi { master, ends, committed, members, delayed: Delayed(records) }
        }
        other => other,
    };
    dialogue.report(|node| (node == CORGI[0]).then(|| with(4)));
    assert_eq!(dialogue.why(), "a Corgi master keeps 4 records back until they are due (report 0 s old)");
    dialogue.pass(Span::secs(5));
    dialogue.report(|node| (node == CORGI[0]).then(|| with(0)));
    assert!(dialogue.opened());
}
