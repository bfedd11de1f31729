//! Losses of records that stand in no partition, or in one that nobody told of: not due yet, or not confirmed.

use super::tests::{judged, lost};
use crate::check::Verdict;
use crate::check::scene::{A, B, Scene, id};
use crate::history::{EndReason, Event};
use crate::plan::Act;
use crate::record::{NodeId, Queue, Record, TopicPartition};
use crate::units::Span;

/// A record that Corgi is to keep back for a minute, acknowledged.
fn sends_delayed(scene: &mut Scene, record: (u32, u32)) {
    let TopicPartition { topic, partition: source } = scene.partition;
    let delay = Span::secs(60);
    let sent = Record { id: id(record), topic, source, copied_from: -1, delay, ..Record::default() };
    scene.event(NodeId(10), Event::Invoked { record: sent }).acknowledge(record, Queue::Corgi, 0);
}

#[test]
fn a_delayed_record_that_a_log_lost_is_lost_when_it_would_have_been_due_and_was_not() {
    let ended = |waited: Span, due: bool| {
        let mut scene = Scene::new();
        sends_delayed(&mut scene, (0, 0));
        scene.event(B, Event::DelayedLost { records: vec![id((0, 0))] });
        if due {
            let (record, partition) = (id((0, 0)), scene.partition);
            scene.event(A, Event::Due { record, partition, offset: 0 });
        }
        scene.quiet().wait(waited).end(EndReason::TimeBudget);
        scene
    };
    let (place, summary) = lost(&ended(Span::secs(200), false));
    assert_eq!(place, ["lost_before_it_was_due_records"]);
    assert!(summary.contains("kept it back until it was due, and lost it at"), "{summary}");
    assert_eq!(judged(&ended(Span::secs(100), false)).verdict, Verdict::Unknown, "another may have it");
    assert_eq!(judged(&ended(Span::secs(200), true)).verdict, Verdict::Unknown, "another had it");
}

#[test]
fn what_a_broker_that_leads_no_more_stores_as_due_is_not_where_the_record_stands() {
    let mut scene = Scene::new();
    let (record, partition) = (id((0, 0)), scene.partition);
    sends_delayed(&mut scene, (0, 0));
    scene.leads(B, Queue::Corgi, 0).event(B, Event::Due { record, partition, offset: 0 });
    scene.event(A, Event::Due { record, partition, offset: 7 });
    scene.event(A, Event::Truncated { queue: Queue::Corgi, partition, from: 8, to: 0 });
    scene.act(Act::StopCorgi).drained();
    let (place, summary) = lost(&scene);
    assert_eq!(place, ["lost_left_in_corgi_records"]);
    assert!(summary.contains("orders/0 at offset 0"), "{summary}");
}

#[test]
fn what_nobody_was_to_confirm_is_lost_when_the_group_has_gone_beyond_it() {
    let ended = |read_on: bool| {
        let mut scene = Scene::new();
        for record in [(0, 0), (0, 1)] {
            scene.invoke(record).acknowledge(record, Queue::Kafka, -1);
        }
        if read_on {
            scene.read_copy(A, (0, 1), 0, -1);
        }
        scene.quiet().end(EndReason::TimeBudget);
        scene
    };
    let (place, summary) = lost(&ended(true));
    assert_eq!(place, ["lost_unconfirmed_records"]);
    assert!(summary.contains("acks = none: no broker confirmed it"), "{summary}");
    assert_eq!(judged(&ended(false)).verdict, Verdict::Unknown);
}
