use super::Suite;
use crate::check::scene::{A, B, BILLING, MIRROR, OPERATOR, PRODUCER, Scene, subject};
use crate::check::{Condition, Guarantee, Judgement, Outline, Subject, Verdict};
use crate::history::{EndReason, Event};
use crate::mirror::settings::Commit;
use crate::plan::{Act, Phase, Plan, Step};
use crate::record::{GroupId, NodeId, Queue, TopicPartition};
use crate::switch::{Hold, WriteTo};
use crate::units::Span;
use strum::IntoEnumIterator;

fn judged(scene: &Scene) -> Vec<Judgement> {
    let mut suite = Suite::new(subject());
    scene.entries.iter().for_each(|entry| suite.observe(entry));
    suite.judge()
}

fn reached(scene: &Scene) -> Vec<String> {
    let conditions = judged(scene).into_iter().flat_map(|judgement| judgement.conditions);
    conditions.filter(|condition| condition.reached).map(|condition| condition.name).collect()
}

#[test]
fn a_judgement_a_guarantee_in_their_order() {
    let mut scene = Scene::new();
    scene.sends(4).copies(4).reads(A, &[0, 1, 2]).reads_copies(B, &[1, 2, 3]).drained();
    let judgements = judged(&scene);
    let guarantees: Vec<_> = judgements.iter().map(|judgement| judgement.guarantee).collect();
    // Rewinds are judged only where the plan has one.
    let others = Guarantee::iter().filter(|guarantee| *guarantee != Guarantee::Rewind);
    assert_eq!(guarantees, others.collect::<Vec<_>>());
    assert!(judgements.iter().all(|judgement| judgement.verdict == Verdict::Held), "{judgements:#?}");
}

#[test]
fn where_the_plan_has_a_rewind_it_is_judged_last_and_with_its_conditions() {
    let suite = Suite::new(Subject { rewinds: true, ..subject() });
    let judgements = suite.judge();
    let guarantees: Vec<_> = judgements.iter().map(|judgement| judgement.guarantee).collect();
    assert_eq!(guarantees, Guarantee::iter().collect::<Vec<_>>());
    assert_eq!(judgements[6].conditions.len(), 6);
}

#[test]
fn an_empty_history_is_unknown_throughout() {
    assert!(judged(&Scene::new()).iter().all(|judgement| judgement.verdict == Verdict::Unknown));
}

#[test]
fn a_run_that_broke_off_is_unknown_throughout() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 1, 2]).reads(B, &[1, 2, 3]).quiet().end(EndReason::StepBudget);
    assert!(judged(&scene).iter().all(|judgement| judgement.verdict == Verdict::Unknown));
}

#[test]
fn every_run_has_the_same_conditions_and_they_show_what_was_not_reached() {
    let mut scene = Scene::new();
    let names = |scene: &Scene| -> Vec<String> {
        let conditions = judged(scene).into_iter().flat_map(|judgement| judgement.conditions);
        conditions.map(|condition: Condition| condition.name).collect()
    };
    let before = names(&scene);
    assert!(reached(&scene).is_empty());
    scene.phase(1).sends(4).reads(A, &[0]).reads(B, &[0]).drained();
    assert_eq!(names(&scene), before);
    let mut unique = before.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), before.len());
    assert!(before.contains(&"mirror-lagged-during-cut-write".to_owned()));
    assert_eq!(
        reached(&scene),
        [
            "record-redelivered-during-dual-write",
            "redelivery-happened",
            "instance-took-over-during-dual-write"
        ]
    );
}

#[test]
fn a_lag_of_the_mirror_counts_in_the_phase_in_which_it_shows() {
    let mut scene = Scene::new();
    scene.phase(1).send((0, 0), 0).phase(3).wait(Span::secs(2)).copy((0, 0), 0, 0);
    assert_eq!(reached(&scene), ["mirror-lagged-during-cut-write"]);
    let mut scene = Scene::new();
    scene.phase(1).send((0, 0), 0).copy((0, 0), 0, 0);
    assert!(reached(&scene).is_empty());
}

#[test]
fn a_direct_write_beside_a_lagging_mirror_is_seen() {
    let mut scene = Scene::new();
    scene.phase(3).send((0, 0), 0).invoke((0, 1)).acknowledge((0, 1), Queue::Kafka, 0);
    assert_eq!(reached(&scene), ["written-to-kafka-while-the-mirror-lagged"]);
}

#[test]
fn a_crash_counts_by_what_the_node_was_doing() {
    let mut scene = Scene::new();
    scene.phase(2).sends(2).deliver(A, (0, 0), Queue::Corgi, 0).event(A, Event::Stopped { orderly: false });
    scene.deliver(A, (0, 1), Queue::Corgi, 1).process(A, (0, 1)).event(A, Event::Stopped { orderly: false });
    scene.event(OPERATOR, Event::Stopped { orderly: false });
    let names = ["instance-crashed-while-processing-during-cut-read", "operator-crashed-during-cut-read"];
    assert_eq!(reached(&scene), names);
}

#[test]
fn a_hold_while_a_mirror_is_down_is_seen_from_either_side() {
    let producer = NodeId(PRODUCER);
    let hold = Event::Writing { to: WriteTo::Corgi, hold: Hold::Everything };
    let stop = Event::Stopped { orderly: true };
    for mirror_first in [true, false] {
        let mut scene = Scene::new();
        scene.phase(3).send((0, 0), 0).copy((0, 0), 0, 0);
        let pair = [(MIRROR, stop.clone()), (producer, hold.clone())];
        let order = if mirror_first { [0, 1] } else { [1, 0] };
        for place in order {
            scene.event(pair[place].0, pair[place].1.clone());
        }
        assert!(reached(&scene).contains(&"producer-held-while-a-mirror-was-down".to_owned()));
    }
    let mut scene = Scene::new();
    scene.phase(3).copy((0, 0), 0, 0).event(MIRROR, stop).event(MIRROR, Event::Started { incarnation: 2 });
    scene.event(producer, hold);
    assert!(!reached(&scene).contains(&"producer-held-while-a-mirror-was-down".to_owned()));
}

#[test]
fn a_rebalance_while_paused_is_seen() {
    let mut scene = Scene::new();
    let rebalanced = Event::Rebalanced { group: BILLING, generation: 2, members: 2 };
    scene.event(A, Event::Paused { group: BILLING, paused: true });
    scene.event(A, Event::Paused { group: BILLING, paused: false }).event(B, rebalanced.clone());
    assert!(reached(&scene).is_empty());
    scene.event(A, Event::Paused { group: BILLING, paused: true }).event(B, rebalanced);
    assert_eq!(reached(&scene), ["group-rebalanced-while-paused"]);
}

#[test]
fn a_worker_that_writes_behind_another_ones_grant_is_seen_and_one_that_holds_it_is_not() {
    let condition = "mirror-wrote-after-another-was-granted".to_owned();
    let granted = |queue| {
        // The mirror's group comes behind the two of the case.
        let partitions = vec![TopicPartition::new(0, 0)];
        Event::Granted { group: GroupId(2), queue, partitions }
    };
    let reaches = |first: NodeId, second: NodeId, queue| {
        let mut scene = Scene::new();
        scene.sends(4).event(first, granted(Queue::Corgi)).event(second, granted(queue));
        scene.copies(1).drained();
        reached(&scene).contains(&condition)
    };
    assert!(reaches(MIRROR, OPERATOR, Queue::Corgi));
    assert!(!reaches(OPERATOR, MIRROR, Queue::Corgi), "it is the holder");
    assert!(!reaches(MIRROR, OPERATOR, Queue::Kafka), "what another reads from Kafka is nobody's here");
}

#[test]
fn the_crash_of_a_master_counts_from_the_beginning_and_of_one_that_was_replaced_no_more() {
    let subject = Subject { corgi_sets: vec![vec![A, B]], ..subject() };
    let failed = |entries: &Scene| {
        let mut conditions = super::Conditions::new(std::sync::Arc::new(subject.clone()));
        entries.entries.iter().for_each(|entry| conditions.observe(entry, None));
        let reached = conditions.all().into_iter().filter(|condition| condition.reached);
        reached.filter(|it| it.name.starts_with("master-failed")).map(|it| it.name).collect::<Vec<_>>()
    };
    let crash = Event::Stopped { orderly: false };
    let mut first = Scene::new();
    first.phase(1).event(A, crash.clone());
    assert_eq!(failed(&first), ["master-failed-during-dual-write"]);
    let mut slave = Scene::new();
    slave.phase(1).event(B, crash.clone());
    assert_eq!(failed(&slave), Vec::<String>::new());
    let mut replaced = Scene::new();
    let (queue, partition) = (Queue::Corgi, replaced.partition);
    replaced.phase(1).event(B, Event::LeaderChanged { queue, partition, leader: Some(B), epoch: 2 });
    replaced.phase(2).event(A, crash.clone());
    assert_eq!(failed(&replaced), ["master-failed-during-dual-write"]);
    replaced.event(B, crash);
    assert_eq!(failed(&replaced), ["master-failed-during-dual-write", "master-failed-during-cut-read"]);
}

#[test]
fn what_the_plan_cannot_reach_is_told_from_what_no_run_reached() {
    let phase = |name: &str, acts: &[Act]| {
        let steps = acts.iter().cloned().map(Step::Act).collect();
        Phase { name: name.to_owned(), not_before: Span::ZERO, steps }
    };
    let hold = Act::Hold { topics: Vec::new(), partitions: Vec::new() };
    let plan = Plan {
        phases: vec![
            phase("dual-write", &[Act::StartMirror]),
            phase("cut-read", &[hold, Act::StopMirror]),
            phase("cut-write", &[Act::Release, Act::StopCorgi]),
        ],
    };
    let subject = Subject { outline: Some(Outline::of(&plan, Commit::AfterAcknowledgement)), ..subject() };
    let conditions = super::Conditions::new(std::sync::Arc::new(subject)).all();
    let possible = |name: &str| conditions.iter().find(|condition| condition.name == name).unwrap().possible;
    for name in [
        "mirror-lagged-during-dual-write",
        "mirror-crashed-during-cut-read",
        "producer-held-during-cut-read",
        // A producer may learn late that it goes on.
        "producer-held-during-cut-write",
        "master-failed-during-cut-write",
        "producer-held-while-a-mirror-was-down",
        "operator-crashed-during-cut-write",
    ] {
        assert!(possible(name), "{name}");
    }
    for name in [
        "producer-held-during-dual-write",
        "mirror-lagged-during-cut-write",
        "gate-waited-during-dual-write",
        "gate-timed-out",
        "group-rebalanced-while-paused",
        "group-crossed-to-kafka",
        "mirror-worker-was-fenced",
    ] {
        assert!(!possible(name), "{name}");
    }
}
