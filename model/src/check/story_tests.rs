use super::{StoryLine, story};
use crate::check::scene::{A, B, BILLING, C, MIRROR, OPERATOR, Scene, subject};
use crate::check::{
    AtLeastOnce, BoundedReplay, Ground, Judgement, Order, Progress, Storing, Subject, ZeroDowntime, describe,
    samples,
};
use crate::client::corgi_producer_settings::Accept;
use crate::corgi::settings::Replication;
use crate::history::{EndReason, Entry, Event};
use crate::plan::Act;
use crate::record::{NodeId, Queue, TopicPartition};
use crate::units::{Span, Time};

fn told(scene: &Scene, judgement: &Judgement, at_most: usize) -> Vec<StoryLine> {
    story(&scene.entries, &subject(), &judgement.findings[0], at_most)
}

fn texts(lines: &[StoryLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn an_overtaking_is_told_by_the_two_records_and_the_switch_between_them() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).wait(Span::secs(60)).phase(3).send((0, 1), 1);
    scene.act(Act::SwitchWrite { to: crate::switch::WriteTo::Kafka });
    scene.invoke((0, 2)).acknowledge((0, 2), Queue::Kafka, 0).copy((0, 1), 1, 1);
    scene.deliver(A, (0, 2), Queue::Kafka, 0).process(A, (0, 2));
    scene.deliver_copy(A, (0, 1), Queue::Kafka, 1, 1).process(A, (0, 1)).drained();
    let lines = told(&scene, &scene.judged(Order::new), 20);
    let texts = texts(&lines);
    for expected in [
        "the operator begins cut-write",
        "producer-0 sends p0#1 (key 0) to orders/0",
        "Corgi acknowledges p0#1 to producer-0: orders/0 offset 1",
        "the operator switches the producers to write to Kafka",
        "producer-0 sends p0#2 (key 0) to orders/0",
        "mirror-1 has copied p0#1 from Corgi orders/0 offset 1 to Kafka orders/0 offset 1",
        "billing-1 (billing) is delivered p0#2 of orders/0 from Kafka orders/0 offset 0",
        "billing-1 (billing) is delivered p0#1 of orders/0 from Kafka orders/0 offset 1, a copy of Corgi offset 1",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("p0#0")));
    assert!(lines.is_sorted_by_key(|line| line.at));
    assert!(lines[1..].iter().all(|line| line.phase == "cut-write"));
}

#[test]
fn a_loss_is_told_with_the_commit_that_passed_it() {
    let mut scene = Scene::new();
    scene.phase(1).sends(3).copy((0, 0), 0, 0).copy((0, 2), 2, 1);
    let source = scene.partition;
    for offset in 1..4 {
        scene.event(MIRROR, Event::MirrorCommitted { source, offset });
    }
    scene.read_copy(A, (0, 0), 0, 0).read_copy(A, (0, 2), 1, 2).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let commits: Vec<_> = texts(&lines).into_iter().filter(|text| text.contains("commits")).collect();
    assert_eq!(commits, ["mirror-1 commits Corgi orders/0 offset 2 for the mirror"]);
    assert!(texts(&lines).contains(&"the run ends: drained"));
}

#[test]
fn an_offset_that_two_masters_gave_out_is_told_by_what_was_read_there() {
    let mut scene = Scene::new();
    scene.phase(1).sends(2).copy((0, 0), 0, 0).invoke((1, 0)).copy((1, 0), 1, 1);
    let source = scene.partition;
    scene.event(MIRROR, Event::MirrorCommitted { source, offset: 2 });
    scene.read_copy(A, (0, 0), 0, 0).read_copy(A, (1, 0), 1, 1).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let expected = "mirror-1 has copied p1#0 from Corgi orders/0 offset 1 to Kafka orders/0 offset 1: in another \
                    master's log p0#1 was acknowledged there";
    assert!(texts(&lines).contains(&expected), "{lines:#?}");
}

#[test]
fn a_reverse_mirror_that_begins_too_late_is_told_by_the_first_that_it_brings() {
    let mut scene = Scene::new();
    scene.phase(1).invoke((0, 0)).acknowledge((0, 0), Queue::Kafka, 0).act(Act::StartReverseMirror);
    scene.invoke((0, 1)).acknowledge((0, 1), Queue::Kafka, 1);
    let (source, target) = (scene.partition, scene.partition);
    let record = crate::record::RecordId { producer: 0, sequence: 1 };
    scene.event(MIRROR, Event::CopiedBack { record, source, source_offset: 1, target, target_offset: 0 });
    scene.read(A, (0, 1), 0).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let texts = texts(&lines);
    assert!(
        texts.iter().any(|text| text.ends_with(": it began there, behind p0#0 at offset 0")),
        "{texts:#?}"
    );
    assert!(texts.contains(&"the operator starts the reverse mirror"), "{texts:#?}");
}

#[test]
fn a_stuck_plan_is_told_by_its_last_wait() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).phase(2).act(Act::StartMirror);
    for because in ["no report yet", "the report is too old"] {
        let (gate, because) = ("mirror-drained".to_owned(), because.to_owned());
        scene.event(OPERATOR, Event::GateWaiting { phase: 2, step: 1, gate, because }).wait(Span::secs(60));
    }
    scene.quiet().wait(Span::secs(400)).end(EndReason::TimeBudget);
    let lines = told(&scene, &scene.judged(Progress::new), 1);
    assert_eq!(
        texts(&lines),
        ["the operator waits at line 1 of cut-read for mirror-drained: the report is too old"]
    );
}

#[test]
fn a_story_is_cut_to_the_most_telling_lines() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 2]);
    for fault in 0..30 {
        scene.event(
            A,
            Event::FaultBegun {
                fault,
                kind: "delay".to_owned(),
                target: "billing-1".to_owned(),
                struck: vec![A],
                figure: String::new(),
            },
        );
    }
    scene.reads(A, &[1]).drained();
    let judgement = scene.judged(Order::new);
    assert_eq!((judgement.findings[0].ground, judgement.findings[0].group), (Ground::Session, Some(BILLING)));
    let lines = told(&scene, &judgement, 12);
    assert_eq!(lines.len(), 12);
    let own = texts(&lines).iter().filter(|text| text.contains("p0#")).count();
    assert_eq!(own, 8);
}

#[test]
fn every_event_has_a_line_of_its_own() {
    for event in samples::events() {
        samples::known(&event);
        let entry = Entry { at: Time::ZERO, node: NodeId(1), event };
        let line = describe(&entry, &subject());
        assert!(!line.contains("did something") && !line.contains('{') && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_loss_in_kafka_is_told_by_who_was_in_sync_who_led_with_which_log_and_what_was_cut_off() {
    let mut scene = Scene::new();
    let (partition, broker) = (scene.partition, NodeId(0));
    let fault = |fault, struck| Event::FaultBegun {
        fault,
        kind: "crash".to_owned(),
        target: "corgi-1".to_owned(),
        struck: vec![struck],
        figure: String::new(),
    };
    let ended = |fault| Event::FaultEnded { fault, kind: "crash".to_owned(), target: "corgi-1".to_owned() };
    scene.phase(1).event(B, fault(0, B)).event(broker, fault(1, broker));
    scene.event(OPERATOR, Event::InSyncChanged { partition, in_sync: vec![A, B], unclean: false });
    scene.wait(Span::secs(60)).invoke((0, 0)).acknowledge((0, 0), Queue::Kafka, 5);
    scene.event(broker, ended(1));
    scene.event(OPERATOR, Event::InSyncChanged { partition, in_sync: vec![broker], unclean: true });
    scene.event(broker, Event::LeadershipTaken { partition, epoch: 3, end: 5 });
    scene.event(A, Event::Truncated { queue: Queue::Kafka, partition, from: 8, to: 5 }).drained();
    let judgement = scene.judged(AtLeastOnce::new);
    let lines = told(&scene, &judgement, 20);
    let texts = texts(&lines);
    for expected in [
        "fault 1 begins: corgi-1 crashes",
        "in sync for orders/0 in Kafka: billing-1, billing-2",
        "Kafka acknowledges p0#0 to producer-0: orders/0 offset 5",
        "an unclean election makes corgi-1 the leader of orders/0 in Kafka: it was not in sync, and what it lacks is lost",
        "corgi-1 begins to lead orders/0 in Kafka (epoch 3); its log ends at offset 5: without p0#0, which was \
         acknowledged at offset 5",
        "the log of orders/0 in Kafka at billing-1 loses offsets 5 to 7, and with them p0#0, which stood at offset 5",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.starts_with("fault 0")), "it struck nobody who had to do with it");
}

#[test]
fn what_an_acknowledgement_is_worth_is_said_where_it_is_not_worth_the_most() {
    let mut scene = Scene::new();
    scene.phase(1).invoke((0, 0)).acknowledge((0, 0), Queue::Kafka, 5);
    let (partition, records) = (scene.partition, vec![crate::check::scene::id((0, 0))]);
    let because = crate::history::Setback::NoAnswer;
    scene.event(NodeId(6), Event::PutBack { partition, records, because }).drained();
    let judgement = scene.judged(AtLeastOnce::new);
    let producer = crate::check::Sending { acks: crate::kafka::protocol::Acks::Leader, idempotent: false };
    let subject = crate::check::Subject { producer, ..subject() };
    let lines = story(&scene.entries, &subject, &judgement.findings[0], 20);
    for expected in [
        "Kafka acknowledges p0#0 to producer-0: orders/0 offset 5 (acks = leader: one broker's word alone)",
        "producer-0 will send p0#0 to orders/0 in Kafka again: no answer came; not idempotent, so nothing keeps \
         their order",
    ] {
        assert!(texts(&lines).contains(&expected), "{expected}\n{:#?}", texts(&lines));
    }
}

#[test]
fn what_corgis_acknowledgement_is_worth_is_said_where_no_slave_need_have_the_record() {
    let mut scene = Scene::new();
    scene.phase(1).send((0, 0), 5).drained();
    let judgement = scene.judged(AtLeastOnce::new);
    let sentence = |replication, accept| {
        let corgi = Storing { replication, accept, accept_back: Accept::OkOnly };
        let lines = story(&scene.entries, &Subject { corgi, ..subject() }, &judgement.findings[0], 20);
        let said = lines.into_iter().find(|line| line.text.contains("acknowledges")).expect("it was sent");
        said.text.split_once("offset 5").map(|(_, worth)| worth.to_owned()).unwrap_or_default()
    };
    let none = " (replication = none: the master's word alone)";
    let any = " (accept = any-status: maybe the master's word alone)";
    assert_eq!(sentence(Replication::None, Accept::AnyStatus), none);
    assert_eq!(sentence(Replication::Both, Accept::AnyStatus), any);
    assert_eq!(sentence(Replication::One, Accept::OkOnly), "");
}

#[test]
fn a_loss_is_told_with_the_death_of_the_worker_that_had_committed_beyond_it() {
    let mut scene = Scene::new();
    scene.phase(1).sends(2);
    let source = scene.partition;
    scene.event(MIRROR, Event::MirrorCommitted { source, offset: 1 }).wait(Span::secs(12));
    scene.event(MIRROR, Event::Stopped { orderly: false }).wait(Span::secs(30));
    scene.event(MIRROR, Event::Stopped { orderly: false });
    scene.copy((0, 1), 1, 0).read_copy(A, (0, 1), 0, 1).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let deaths = texts(&lines).into_iter().filter(|text| *text == "mirror-1 dies").count();
    assert_eq!(deaths, 1, "{:#?}", texts(&lines));
}

#[test]
fn a_loss_in_corgi_is_told_until_the_last_log_has_cut_the_record_off() {
    let mut scene = Scene::new();
    scene.phase(1).sends(3);
    let partition = scene.partition;
    let cut = |from| Event::Truncated { queue: Queue::Corgi, partition, from, to: 1 };
    scene.leads(C, Queue::Corgi, 1).event(B, cut(3)).wait(Span::secs(20));
    scene.event(A, cut(2)).wait(Span::secs(20));
    scene.event(A, Event::LeadershipTaken { partition, epoch: 3, end: 1 });
    scene.event(A, Event::Stopped { orderly: true }).wait(Span::secs(60));
    scene.event(MIRROR, Event::MirrorCommitted { source: partition, offset: 9 });
    scene.event(MIRROR, Event::Stopped { orderly: false }).drained();
    let mut judgement = scene.judged(AtLeastOnce::new);
    judgement.findings.retain(|finding| finding.records.contains(&crate::check::scene::id((0, 1))));
    let lines = told(&scene, &judgement, 20);
    let texts = texts(&lines);
    let cuts = texts.iter().filter(|text| text.contains("p0#1, which stood at offset 1")).count();
    assert_eq!(cuts, 2, "{texts:#?}");
    for noise in ["dies", "begins to lead", "commits"] {
        assert!(!texts.iter().any(|text| text.contains(noise)), "{noise}: {texts:#?}");
    }
}

/// Corgi has two broker sets: `A` and `B` are the first, and the second is the mirror in that part.
fn with_corgi_sets() -> Subject {
    Subject { corgi_sets: vec![vec![A, B], vec![MIRROR]], ..subject() }
}

fn fault(fault: u32, kind: &str, struck: &[NodeId]) -> Event {
    Event::FaultBegun {
        fault,
        kind: kind.to_owned(),
        target: format!("target-{fault}"),
        struck: struck.to_vec(),
        figure: String::new(),
    }
}

fn over(fault: u32, kind: &str) -> Event {
    Event::FaultEnded { fault, kind: kind.to_owned(), target: format!("target-{fault}") }
}

#[test]
fn a_loss_in_corgi_reaches_back_to_the_last_change_of_leadership_and_the_faults_that_led_to_it() {
    let mut scene = Scene::new();
    let partition = scene.partition;
    let led =
        |leader, epoch| Event::LeaderChanged { queue: Queue::Corgi, partition, leader: Some(leader), epoch };
    scene.event(A, fault(0, "crash", &[A])).wait(Span::secs(5)).event(A, over(0, "crash"));
    scene.wait(Span::secs(90)).event(A, led(A, 2)).wait(Span::secs(90));
    scene.event(A, fault(1, "pause", &[A])).event(MIRROR, fault(2, "pause", &[MIRROR]));
    scene.wait(Span::secs(30)).event(B, led(B, 3)).wait(Span::secs(20));
    scene.event(A, over(1, "pause")).wait(Span::secs(20)).phase(1).sends(1);
    scene.event(B, Event::Truncated { queue: Queue::Corgi, partition, from: 3, to: 0 }).drained();
    let judgement = scene.judged_of(AtLeastOnce::new, with_corgi_sets());
    let lines = story(&scene.entries, &with_corgi_sets(), &judgement.findings[0], 20);
    let texts = texts(&lines);
    for expected in [
        "fault 1 begins: target-1 stands still",
        "corgi-0 (orders/0 in Corgi and others) is led by billing-2 (epoch 3)",
        "fault 1 ends: target-1 goes on; billing-2 has become master meanwhile",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    for noise in ["fault 0", "fault 2", "epoch 2"] {
        assert!(!texts.iter().any(|text| text.contains(noise)), "{noise}: {texts:#?}");
    }
}

#[test]
fn a_write_gap_is_told_with_the_partitions_that_are_told_no_more_and_without_kafka_until_it_is_written_to() {
    let mut scene = Scene::new();
    let partition = scene.partition;
    let (broker, topic) = (NodeId(0), partition.topic);
    let tells = |partitions| Event::Widened { queue: Queue::Corgi, topic, partitions };
    let led = |queue, leader| Event::LeaderChanged { queue, partition, leader: Some(leader), epoch: 2 };
    scene.phase(1).event(OPERATOR, tells(12)).invoke((0, 0)).wait(Span::secs(20));
    scene.event(broker, fault(0, "crash", &[broker])).event(OPERATOR, led(Queue::Kafka, broker));
    scene
        .event(broker, Event::LeadershipTaken { partition, epoch: 2, end: 0 })
        .event(broker, over(0, "crash"));
    scene.event(A, fault(1, "crash", &[A])).wait(Span::secs(30));
    scene.event(B, led(Queue::Corgi, B)).event(OPERATOR, tells(8)).wait(Span::secs(300));
    let (to, hold) = (crate::switch::WriteTo::Kafka, crate::switch::Hold::Nothing);
    scene.event(NodeId(6), Event::Writing { to, hold });
    scene.event(broker, Event::LeadershipTaken { partition, epoch: 3, end: 0 });
    scene.acknowledge((0, 0), Queue::Kafka, 0).read_copy(A, (0, 0), 0, -1).drained();
    let judgement = scene.judged_of(ZeroDowntime::new, with_corgi_sets());
    let gap = judgement.findings.iter().find(|finding| finding.ground == Ground::WriteUnavailable);
    let lines = story(&scene.entries, &with_corgi_sets(), gap.expect("nobody could write"), 20);
    let texts = texts(&lines);
    for expected in [
        "fault 1 begins: target-1 crashes",
        "corgi-0 (orders/0 in Corgi and others) is led by billing-2 (epoch 2)",
        "operator tells from now on that topic orders has 8 partitions in Corgi, which had 12 until then",
        "corgi-1 begins to lead orders/0 in Kafka (epoch 3); its log ends at offset 0",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    for noise in ["fault 0", "led by corgi-1", "in Kafka (epoch 2)"] {
        assert!(!texts.iter().any(|text| text.contains(noise)), "{noise}: {texts:#?}");
    }
}

#[test]
fn a_loss_behind_an_old_commit_is_told_with_it_and_with_what_the_disk_lost() {
    let mut scene = Scene::new();
    let source = scene.partition;
    let commits = |offset| Event::MirrorCommitted { source, offset };
    scene.event(MIRROR, commits(20)).event(MIRROR, commits(137)).wait(Span::secs(10));
    scene.event(A, fault(0, "disk-loss", &[A])).wait(Span::secs(10));
    let lost = |partition| (TopicPartition::new(1, partition), 5, 0);
    let partitions = vec![lost(0), lost(1), lost(2), (source, 138, 0)];
    scene.event(A, Event::DiskLost { queue: Queue::Corgi, partitions }).event(A, over(0, "disk-loss"));
    scene.event(B, Event::Truncated { queue: Queue::Corgi, partition: source, from: 138, to: 0 });
    scene.wait(Span::secs(40)).event(MIRROR, fault(1, "crash", &[MIRROR]));
    scene.event(MIRROR, Event::Stopped { orderly: false }).wait(Span::secs(12)).phase(1).send((0, 1), 39);
    let mirrors = crate::record::GroupId(2);
    let granted = Event::Granted { group: mirrors, queue: Queue::Corgi, partitions: vec![source] };
    scene.wait(Span::secs(80)).event(MIRROR, granted).drained();
    let judgement = scene.judged_of(AtLeastOnce::new, with_corgi_sets());
    let lines = story(&scene.entries, &with_corgi_sets(), &judgement.findings[0], 20);
    let texts = texts(&lines);
    for expected in [
        "mirror-1 commits Corgi orders/0 offset 137 for the mirror: beyond p0#1, which will stand at offset 39",
        "fault 0 begins: target-0 dies, and its disk with it",
        "fault 1 begins: target-1 crashes",
        "the log of orders/0 in Corgi at billing-2 loses offsets 0 to 137",
        "mirror-1 (the mirror) is granted orders/0 in Corgi",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    let named = |text: &&str| text.contains("(offsets 0 to 137 of orders/0 among them)");
    assert_eq!(texts.iter().filter(|text| named(text)).count(), 1, "{texts:#?}");
    assert!(!texts.iter().any(|text| text.contains("offset 20")), "{texts:#?}");
}

#[test]
fn what_held_a_send_back_is_told_before_what_came_later() {
    let mut scene = Scene::new();
    let hold = || Act::Hold { topics: Vec::new(), partitions: Vec::new() };
    scene.phase(1).invoke((0, 0)).act(hold()).wait(Span::secs(20)).act(Act::Release);
    scene.acknowledge((0, 0), Queue::Kafka, 0);
    for _ in 0..15 {
        scene.wait(Span::secs(1)).act(hold()).act(Act::Release);
    }
    for _ in 0..6 {
        scene.read_copy(A, (0, 0), 0, -1);
    }
    scene.drained();
    let objectives = crate::check::Objectives { duplicates_per_group: 2, ..subject().objectives };
    let judgement = scene.judged_of(BoundedReplay::new, Subject { objectives, ..subject() });
    let finding = judgement.findings.iter().find(|finding| finding.ground == Ground::OverReplayed);
    let lines = story(&scene.entries, &subject(), finding.expect("replayed too often"), 12);
    let texts = texts(&lines);
    let sent = texts.iter().position(|text| text.contains("sends p0#0")).expect("the send");
    assert!(texts[sent + 1].contains("hold their sends back"), "{texts:#?}");
    assert!(texts[sent + 2].contains("send again"), "{texts:#?}");
}

#[test]
fn a_story_blames_no_log_that_lost_what_stood_there_before_but_the_reader_that_went_on_from_beyond() {
    let mut scene = Scene::new();
    let partition = scene.partition;
    scene.sends(3).reads(A, &[0, 1, 2]).leads(B, Queue::Corgi, 1).send((1, 0), 1);
    scene.event(A, Event::Truncated { queue: Queue::Corgi, partition, from: 3, to: 1 });
    scene.send((1, 1), 3).read(A, (1, 1), 3).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let texts = texts(&lines);
    for part in [
        "offset 2: it stands beyond offset 1 from now on",
        "orders/0 ends there at offset 1, and p1#0 will stand at offset 1",
        "offset 3: it goes on beyond offset 1, where p1#0 stands",
    ] {
        assert!(texts.iter().any(|text| text.ends_with(part)), "{part}: {texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("loses offsets")), "{texts:#?}");
}

#[test]
fn a_disk_that_dies_after_the_record_was_stored_is_told() {
    let mut scene = Scene::new();
    let queue = Queue::Kafka;
    scene.leads(B, queue, 0).invoke((0, 0)).acknowledge((0, 0), queue, 0).wait(Span::secs(60));
    scene.event(B, fault(0, "disk-loss", &[B])).event(B, Event::Stopped { orderly: false });
    let partitions = vec![(scene.partition, 1, 0)];
    scene.event(B, Event::Started { incarnation: 2 }).event(B, Event::DiskLost { queue, partitions });
    scene.leads(B, queue, 0).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let texts = texts(&lines);
    for part in ["dies, and its disk with it", "and with them p0#0, which stood at offset 0", "without p0#0"]
    {
        assert!(texts.iter().any(|text| text.contains(part)), "{part}: {texts:#?}");
    }
}

#[test]
fn what_the_plan_added_is_told_by_the_record_that_waited_and_by_nothing_before_it() {
    let waits = |seconds| {
        let mut scene = Scene::new();
        scene.send((0, 0), 0).reads(A, &[0]).phase(1).act(Act::StartMirror).wait(Span::secs(200)).phase(3);
        let hold = Act::Hold { topics: Vec::new(), partitions: Vec::new() };
        scene.act(hold).invoke((0, 1)).wait(Span::secs(seconds)).act(Act::Release);
        scene.acknowledge((0, 1), Queue::Corgi, 1).reads(A, &[1]).wait(Span::secs(100)).act(Act::StopMirror);
        scene.drained();
        scene
    };
    let (with, without) = (waits(100).judged(ZeroDowntime::new), waits(30).judged(ZeroDowntime::new));
    let compared = crate::check::compare(&with, &without, &subject().objectives);
    let lines = told(&waits(100), &compared, 20);
    let texts = texts(&lines);
    for expected in [
        "the operator begins cut-write",
        "the operator has the producers hold their sends back (every topic)",
        "producer-0 sends p0#1 (key 0) to orders/0",
        "the operator lets the producers send again",
        "Corgi acknowledges p0#1 to producer-0: orders/0 offset 1",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("mirror") || text.contains("dual-write")), "{texts:#?}");
}

#[test]
fn a_wrong_clock_is_told_with_by_how_much() {
    let event = |kind: &str| Event::FaultBegun {
        fault: 0,
        kind: kind.to_owned(),
        target: "mirror-0".to_owned(),
        struck: vec![A],
        figure: "5m behind".to_owned(),
    };
    let text = |kind| describe(&Entry { at: Time::ZERO, node: A, event: event(kind) }, &subject());
    assert_eq!(text("clock-skew"), "fault 0 begins: the clock of mirror-0 is 5m behind");
    assert_eq!(text("clock-jump"), "fault 0 begins: the clock of mirror-0 jumps and is 5m behind");
}
