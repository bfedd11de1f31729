use super::Order;
use crate::check::scene::{A, B, BILLING, SEARCH, Scene, grounds, id, subject, value};
use crate::check::tables::ByRecord;
use crate::check::{Ground, Judgement, Verdict};
use crate::history::{EndReason, Entry, Event};
use crate::record::{Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn judged(scene: &Scene) -> Judgement {
    scene.judged(Order::new)
}

#[test]
fn the_order_of_sending_is_held() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 1, 2, 3]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert!(judgement.exercised && judgement.findings.is_empty());
}

#[test]
fn a_record_behind_a_later_one_of_its_producer_is_a_session_finding() {
    let mut scene = Scene::new();
    scene.sends(4).phase(2).reads(A, &[0, 2, 1, 3]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Violated);
    assert_eq!(grounds(&judgement), [(Ground::Session, id((0, 1)))]);
    let finding = &judgement.findings[0];
    assert_eq!(finding.records, [id((0, 1)), id((0, 2))]);
    assert_eq!((finding.phase, finding.group), (2, Some(BILLING)));
    assert!(finding.summary.contains("billing was first delivered p0#1 of orders/0 behind p0#2"));
}

#[test]
fn a_record_behind_one_sent_after_its_acknowledgement_is_a_real_time_finding() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).send((1, 0), 1);
    scene.read(A, (1, 0), 1).read(A, (0, 0), 0).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::RealTime, id((0, 0)))]);
}

#[test]
fn concurrent_sends_may_come_in_either_order() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).invoke((1, 0));
    scene.acknowledge((0, 0), Queue::Corgi, 1).acknowledge((1, 0), Queue::Corgi, 0);
    scene.read(A, (1, 0), 0).read(A, (0, 0), 1).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

/// Its place is where it became visible, behind what was acknowledged then; nobody can be sure to be behind it.
#[test]
fn a_delayed_record_belongs_where_it_became_visible() {
    let delayed = |scene: &mut Scene| {
        scene.invoke((0, 0));
        if let Some(Entry { event: Event::Invoked { record }, .. }) = scene.entries.last_mut() {
            record.delay = Span::secs(9);
        }
        scene.acknowledge((0, 0), Queue::Corgi, 0);
    };
    let due = |scene: &mut Scene| {
        let partition = TopicPartition::default();
        scene.event(A, Event::Due { record: id((0, 0)), partition, offset: 1 });
    };
    let mut behind_later_sends = Scene::new();
    delayed(&mut behind_later_sends);
    behind_later_sends.send((0, 1), 0);
    due(&mut behind_later_sends);
    behind_later_sends.send((1, 0), 2).read(A, (0, 1), 0).read(A, (1, 0), 2).read(A, (0, 0), 1).drained();
    assert_eq!(judged(&behind_later_sends).verdict, Verdict::Held);
    let mut before_its_time = Scene::new();
    delayed(&mut before_its_time);
    before_its_time.send((1, 0), 0);
    due(&mut before_its_time);
    before_its_time.read(A, (0, 0), 1).read(A, (1, 0), 0).drained();
    assert_eq!(grounds(&judged(&before_its_time)), [(Ground::RealTime, id((1, 0)))]);
}

#[test]
fn what_happens_at_one_moment_is_concurrent() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).invoke((1, 0)).acknowledge((1, 0), Queue::Corgi, 1);
    let acknowledged_at = scene.entries[1].at;
    scene.entries[2].at = acknowledged_at;
    scene.read(A, (1, 0), 1).read(A, (0, 0), 0).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_replay_is_no_reordering() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 1, 2]).reads(B, &[0, 1, 2, 3]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_replay_does_not_hide_a_first_delivery_that_comes_too_late() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 2]).reads(B, &[0, 1, 2, 3]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Session, id((0, 1)))]);
}

#[test]
fn a_rebalance_excuses_nothing() {
    let mut scene = Scene::new();
    let partitions = vec![scene.partition];
    scene.sends(3).reads(A, &[0, 2]);
    scene.event(
        A,
        Event::Revoked { group: BILLING, queue: Queue::Corgi, partitions: partitions.clone(), orderly: true },
    );
    scene.event(B, Event::Granted { group: BILLING, queue: Queue::Corgi, partitions });
    scene.reads(B, &[1]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn an_indeterminate_record_that_comes_late_is_a_session_finding() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).event(A, Event::Indeterminate { record: id((0, 0)) }).send((0, 1), 0);
    scene.read(A, (0, 1), 0).read(A, (0, 0), 1).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Session, id((0, 0)))]);
}

#[test]
fn an_indeterminate_record_of_another_producer_has_no_real_time_order() {
    let mut scene = Scene::new();
    scene.invoke((1, 0)).event(A, Event::Indeterminate { record: id((1, 0)) }).send((0, 0), 0);
    scene.read(A, (0, 0), 0).read(A, (1, 0), 1).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_record_that_never_comes_is_no_matter_of_order() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 2]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn an_acknowledgement_that_comes_after_the_delivery_gives_no_real_time_order() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).send((1, 0), 1).read(A, (1, 0), 1).read(A, (0, 0), 0);
    scene.acknowledge((0, 0), Queue::Corgi, 0).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn an_unordered_group_is_not_judged() {
    let mut scene = Scene::new();
    scene.with(SEARCH, TopicPartition::new(1, 0)).sends(3).reads(A, &[2, 1, 0]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, judgement.exercised), (Verdict::Unknown, false));
}

#[test]
fn other_partitions_have_their_own_order() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).with(BILLING, TopicPartition::new(0, 1)).send((0, 1), 0).send((0, 2), 1);
    scene.read(A, (0, 1), 0).read(A, (0, 2), 1);
    scene.with(BILLING, TopicPartition::new(0, 0)).read(A, (0, 0), 0).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_ground_that_is_not_promised_is_only_counted() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).send((1, 0), 1).read(A, (1, 0), 1).read(A, (0, 0), 0).drained();
    let mut subject = subject();
    subject.objectives.order = vec![Ground::Session];
    let judgement = scene.judged_of(Order::new, subject);
    assert_eq!((judgement.verdict, judgement.findings_total), (Verdict::Held, 0));
    assert_eq!(value(&judgement, "reordered_by_real_time_records"), 1);
}

#[test]
fn a_run_without_its_end_is_unknown_unless_something_was_found() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1]);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    scene.end(EndReason::StepBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[1, 0]);
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn many_late_records_are_one_finding_with_their_number() {
    let mut scene = Scene::new();
    scene.sends(40).reads(A, &[39]).reads(A, &(0..39).collect::<Vec<_>>()).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.findings.len(), judgement.findings_total), (1, 39));
    assert_eq!((judgement.findings[0].weight, judgement.findings[0].records.len()), (39, 20));
}

/// What the reference knows of a send.
#[derive(Clone, Copy, Default)]
struct Known {
    invoked: Option<(usize, Time)>,
    acknowledged: Option<Time>,
}

/// The definition, word by word: of all pairs of first deliveries of a partition, the later one must not have been
/// sent before.
fn reference(entries: &[Entry]) -> BTreeSet<(Ground, RecordId)> {
    let mut known = ByRecord::<Known>::default();
    let mut first: Vec<(RecordId, TopicPartition)> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        match &entry.event {
            Event::Invoked { record } => known.at(record.id).invoked = Some((number, entry.at)),
            Event::Acknowledged { record, .. } => {
                known.at(*record).acknowledged.get_or_insert(entry.at);
            }
            Event::Delivered { record, source, .. } if !first.iter().any(|(other, _)| other == record) => {
                first.push((*record, *source));
            }
            _ => {}
        }
    }
    let mut wrong = BTreeSet::new();
    for (place, (late, partition)) in first.iter().enumerate() {
        let earlier = first[..place].iter().filter(|(_, other)| other == partition);
        let a = known.get(*late).copied().unwrap_or_default();
        let (mut session, mut real_time) = (false, false);
        for (early, _) in earlier {
            let b = known.get(*early).copied().unwrap_or_default();
            let (Some((a_number, _)), Some((b_number, b_invoked))) = (a.invoked, b.invoked) else { continue };
            session |= late.producer == early.producer && a_number < b_number;
            real_time |= a.acknowledged.is_some_and(|acknowledged| acknowledged < b_invoked);
        }
        if session {
            wrong.insert((Ground::Session, *late));
        } else if real_time {
            wrong.insert((Ground::RealTime, *late));
        }
    }
    wrong
}

/// A random history: each record is sent and perhaps acknowledged; records are delivered in a random order.
fn histories() -> impl Strategy<Value = Vec<Entry>> {
    let act = (0_u8..4, 0_u32..3, 0_u32..6, 0_u16..2, 0_u64..2);
    proptest::collection::vec(act, 1..80).prop_map(|acts| {
        let mut scene = Scene::new();
        let mut sent: Vec<Vec<(u16, bool)>> = vec![Vec::new(); 3];
        for (kind, producer, choice, partition, wait) in acts {
            scene.now = Time(scene.now.0 + wait * 500);
            let records = &mut sent[producer as usize];
            if kind == 0 || records.is_empty() {
                let sequence = records.len() as u32;
                records.push((partition, false));
                scene.with(BILLING, TopicPartition::new(0, partition)).invoke((producer, sequence));
            } else {
                let sequence = choice % records.len() as u32;
                let (partition, acknowledged) = &mut records[sequence as usize];
                scene.with(BILLING, TopicPartition::new(0, *partition));
                if kind == 1 && !*acknowledged {
                    *acknowledged = true;
                    scene.acknowledge((producer, sequence), Queue::Corgi, i64::from(sequence));
                } else {
                    scene.deliver(A, (producer, sequence), Queue::Corgi, i64::from(sequence));
                }
            }
            // Half of the entries share a moment with the one before.
            scene.now = scene.now - Span::millis(wait);
        }
        let mut latest = Time::ZERO;
        for entry in &mut scene.entries {
            latest = latest.max(entry.at);
            entry.at = latest;
        }
        scene.entries
    })
}

proptest! {
    #[test]
    fn the_online_checker_agrees_with_the_definition(entries in histories()) {
        let scene = Scene { entries: entries.clone(), ..Scene::new() };
        let judgement = judged(&scene);
        let expected = reference(&entries);
        let count = |ground| expected.iter().filter(|(on, _)| *on == ground).count() as u64;
        prop_assert_eq!(value(&judgement, "reordered_by_session_records"), count(Ground::Session));
        prop_assert_eq!(value(&judgement, "reordered_by_real_time_records"), count(Ground::RealTime));
        prop_assert_eq!(judgement.findings_total, expected.len() as u64);
        for (ground, first) in grounds(&judgement) {
            prop_assert!(expected.contains(&(ground, first)));
        }
    }
}

#[test]
fn what_a_moved_key_overtakes_is_a_figure_and_no_finding() {
    let history = |scene: &mut Scene| {
        scene.with(BILLING, TopicPartition::new(0, 0)).send((0, 0), 0).send((0, 1), 1);
        scene.with(BILLING, TopicPartition::new(0, 3)).send((0, 2), 0).read(A, (0, 2), 0);
        scene.with(BILLING, TopicPartition::new(0, 0)).read(B, (0, 0), 0).read(B, (0, 1), 1).drained();
    };
    let mut scene = Scene::new();
    history(&mut scene);
    let widened = crate::check::Subject { widens: true, ..subject() };
    let judgement = scene.judged_of(Order::new, widened);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "overtaken_by_a_moved_key_records"), 2);
    let plain = judged(&scene);
    assert!(plain.figures.iter().all(|figure| figure.name != "overtaken_by_a_moved_key_records"));
}
