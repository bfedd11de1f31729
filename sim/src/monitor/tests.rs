//! The monitor over histories written by hand.

use super::*;
use cutover_model::history::{EndReason, Setback};
use cutover_model::incident::RareBranch;
use cutover_model::record::TopicPartition;
use cutover_model::units::Span;

const PLAN: &str = "[[plan.phases]]\nname = 'dual-write'\nsteps = [{ do = 'start-mirror' }]\n\
    [[plan.phases]]\nname = 'cut-write'\nsteps = [{ do = 'switch-write', to = 'kafka' }]\n";

fn case(more: &str) -> Case {
    let text = format!(
        "name = 'test'\n[[topics]]\nname = 'orders'\npartitions = 2\n[[topics]]\nname = 'payments'\npartitions = 2\n\
         [[groups]]\nname = 'billing'\ntopics = ['orders', 'payments']\ninstances = 1\n\
         [[groups]]\nname = 'search'\ntopics = ['orders']\ninstances = 1\n{more}"
    );
    Case::from_text("test.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// A monitor that is told events at moments.
struct Scene {
    monitor: Monitor,
    layout: Layout,
    at: Time,
}

impl Scene {
    fn new(more: &str) -> Scene {
        let case = case(more);
        let (layout, subject) = (Layout::of(&case), case.subject());
        Scene { monitor: Monitor::new(&case, &subject), layout, at: Time::ZERO }
    }

    fn node(&mut self, millis: u64, node: NodeId, event: Event) -> &mut Scene {
        self.at += Span::millis(millis);
        self.monitor.observe(&Entry { at: self.at, node, event });
        self
    }

    /// So many milliseconds after the event before.
    fn event(&mut self, millis: u64, event: Event) -> &mut Scene {
        self.node(millis, NodeId(0), event)
    }

    fn phase(&mut self, millis: u64, phase: u32) -> &mut Scene {
        self.event(millis, Event::PhaseBegun { phase, name: String::new() })
    }

    fn send(&mut self, millis: u64, sequence: u32, topic: u16) -> &mut Scene {
        let id = RecordId { producer: 0, sequence };
        let record = Record { id, topic: TopicId(topic), bytes: 100, ..Record::default() };
        self.event(millis, Event::Invoked { record })
    }

    fn acknowledge(&mut self, millis: u64, sequence: u32, queue: Queue) -> &mut Scene {
        let record = RecordId { producer: 0, sequence };
        self.event(
            millis,
            Event::Acknowledged { record, queue, partition: TopicPartition::default(), offset: 0 },
        )
    }

    fn process(&mut self, millis: u64, sequence: u32, group: u16) -> &mut Scene {
        let (record, source) = (RecordId { producer: 0, sequence }, TopicPartition::default());
        self.event(millis, Event::Processed { group: GroupId(group), record, source })
    }

    fn measures(&self) -> Measures {
        self.monitor.clone().finish().0
    }
}

fn record(sequence: u32) -> RecordId {
    RecordId { producer: 0, sequence }
}

#[test]
fn a_record_counts_for_the_phase_and_the_topic_in_which_it_was_sent() {
    let mut scene = Scene::new(PLAN);
    scene.send(10, 0, 1).phase(5, 1).acknowledge(20, 0, Queue::Corgi).process(100, 0, 0);
    scene.send(0, 1, 0).acknowledge(3, 1, Queue::Corgi).event(0, Event::PlanCompleted).process(7, 1, 1);
    let measures = scene.measures();
    let [before, first, second, after] = &measures.phases[..] else { panic!("two phases and the two ends") };
    assert_eq!(before.production[1].latency.longest(), Some(Span::millis(25)));
    assert_eq!((before.production[1].sent, before.production[0].sent), (1, 0));
    assert_eq!(before.processing[2].end_to_end.longest(), Some(Span::millis(125)));
    assert_eq!(first.production[0].latency.longest(), Some(Span::millis(3)));
    let places: Vec<(u16, u16)> = first.processing.iter().map(|it| (it.topic.0, it.group.0)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0)], "by topic, and within it by group");
    assert_eq!(first.processing[1].end_to_end.longest(), Some(Span::millis(10)));
    assert_eq!(first.processing[0].unprocessed, 1, "billing has not processed it");
    assert_eq!((second.all_production().sent, after.all_production().sent), (0, 0));
    assert_eq!(measures.part(Part::During).all_processing().end_to_end.count(), 1);
}

#[test]
fn every_record_has_one_fate_and_an_acknowledgement_is_worth_more_than_a_refusal() {
    let mut scene = Scene::new(PLAN);
    for sequence in 0..5 {
        scene.send(1, sequence, 0);
    }
    scene.event(1, Event::Refused { record: record(0) }).event(1, Event::Indeterminate { record: record(1) });
    scene.acknowledge(1, 2, Queue::Corgi).acknowledge(1, 2, Queue::Kafka);
    scene.event(1, Event::Refused { record: record(3) }).acknowledge(1, 3, Queue::Kafka);
    scene.event(1, Event::Refused { record: record(2) });
    let of = scene.measures().phases[0].all_production();
    let fates = (of.sent, of.acknowledged, of.refused, of.indeterminate, of.unanswered());
    assert_eq!(fates, (5, 2, 1, 1, 1));
    assert_eq!(of.latency.count(), 2, "the first acknowledgement counts");
}

#[test]
fn of_a_record_the_first_processing_of_each_group_counts() {
    let mut scene = Scene::new(PLAN);
    scene.send(0, 0, 0).process(4, 0, 0).acknowledge(1, 0, Queue::Corgi).process(5, 0, 0).process(0, 0, 1);
    scene.process(0, 7, 0);
    let of = scene.measures().phases[0].clone();
    let longest: Vec<_> = of.processing.iter().map(|it| it.end_to_end.longest()).collect();
    assert_eq!(longest, [Some(Span::millis(4)), Some(Span::millis(10)), None]);
    assert_eq!(of.all_processing().unprocessed, 0);
}

#[test]
fn processes_cost_while_they_run_and_for_the_phase_in_which_they_do() {
    let mut scene = Scene::new(PLAN);
    let (corgi, kafka, mirror) =
        (scene.layout.corgi[0].clone(), scene.layout.kafka[0], scene.layout.mirror[0]);
    for node in [corgi[0], corgi[1], kafka, scene.layout.producers[0]] {
        scene.node(0, node, Event::Started { incarnation: 1 });
    }
    scene.phase(1_000, 1).node(200, mirror, Event::Started { incarnation: 1 });
    scene.node(300, corgi[1], Event::Stopped { orderly: false }).event(500, Event::PlanCompleted);
    scene.event(2_000, Event::Ended { because: EndReason::Drained });
    let measures = scene.measures();
    let up = |phase: usize| {
        let cost = measures.phases[phase].cost;
        [cost.simulated, cost.corgi.brokers_up, cost.kafka.brokers_up, cost.mirror_up].map(Span::as_millis)
    };
    assert_eq!([up(0), up(1)], [[1_000, 2_000, 1_000, 0], [1_000, 1_500, 1_000, 800]]);
    assert_eq!([up(2), up(3)], [[0; 4], [2_000, 2_000, 2_000, 2_000]]);
}

#[test]
fn bytes_are_counted_where_they_are_stored_and_each_time_they_are_sent() {
    let mut scene = Scene::new(PLAN);
    let source = TopicPartition::default();
    let delivered = |queue| Event::Delivered {
        group: GroupId(0),
        record: record(0),
        source,
        queue,
        partition: source,
        offset: 0,
        copied_from: -1,
    };
    let copied =
        Event::Copied { record: record(0), source, source_offset: 0, target: source, target_offset: 0 };
    scene.send(0, 0, 0).acknowledge(1, 0, Queue::Corgi).event(1, delivered(Queue::Corgi)).event(1, copied);
    scene.event(1, delivered(Queue::Kafka)).event(0, delivered(Queue::Kafka));
    let mirror = scene.layout.mirror[0];
    let put_back = Event::PutBack { partition: source, records: vec![record(0)], because: Setback::NoAnswer };
    scene.node(0, mirror, put_back.clone());
    let producer = scene.layout.producers[0];
    scene.phase(0, 1).node(0, producer, put_back).acknowledge(0, 0, Queue::Kafka);
    let measures = scene.measures();
    let of = |queue: QueueCost| {
        [
            queue.stored_bytes,
            queue.produced_bytes,
            queue.mirrored_bytes,
            queue.replicated_bytes,
            queue.consumed_bytes,
        ]
    };
    let (before, during) = (measures.phases[0].cost, measures.phases[1].cost);
    assert_eq!(of(before.corgi), [300, 100, 100, 200, 100]);
    assert_eq!(of(before.kafka), [300, 0, 200, 200, 200]);
    assert_eq!(of(during.kafka), [300, 200, 0, 200, 0]);
    assert_eq!((before.acknowledged_bytes, during.acknowledged_bytes), (100, 0), "the first time");
    assert_eq!(before.corgi.sent_bytes(), 500);
}

#[test]
fn what_one_broker_keeps_is_not_replicated() {
    let mut scene = Scene::new("[kafka]\nbrokers = 1\nreplication-factor = 1\nmin-insync-replicas = 1\n");
    scene.send(0, 0, 0).acknowledge(1, 0, Queue::Kafka);
    let cost = scene.measures().phases[0].cost.kafka;
    assert_eq!((cost.stored_bytes, cost.replicated_bytes), (100, 0));
}

#[test]
fn without_a_plan_all_of_the_run_is_before_it() {
    let mut scene = Scene::new("");
    scene.send(0, 0, 0).acknowledge(1, 0, Queue::Corgi);
    scene.event(1, Event::Ended { because: EndReason::Drained });
    let measures = scene.measures();
    assert_eq!(measures.phases.len(), 1);
    assert_eq!(measures.part(Part::Before), measures.phases[0]);
    assert_eq!(measures.part(Part::After), PhaseMeasures::default());
}

#[test]
fn measures_add_up_in_any_order() {
    let one = |millis: u64| {
        let mut scene = Scene::new(PLAN);
        scene.send(millis, 0, 0).acknowledge(millis, 0, Queue::Corgi).process(millis, 0, 0).phase(5, 1);
        scene.send(0, 1, 1).event(1, Event::Refused { record: record(1) });
        scene.measures()
    };
    let sum = |order: [u64; 3]| {
        let mut sum = Measures::default();
        order.iter().for_each(|millis| sum.add(&one(*millis)));
        sum
    };
    let measures = sum([1, 40, 900]);
    assert_eq!(measures, sum([900, 1, 40]));
    assert_eq!((measures.runs, measures.phases[0].all_production().sent), (3, 3));
    assert_eq!(measures.phases[1].production[1].refused, 3);
    assert_eq!(measures.phases[0].all_production().latency.longest(), Some(Span::millis(900)));
}

const FAULTS: &str = "[faults.draw]\ncount = 2\nstart = '20s'\nend = '9m'\nkinds = [\
    { kind = 'crash', targets = ['corgi-master', 'mirror'], least = '5s', most = '20s' },\
    { kind = 'pause', targets = ['producer'], weight = 0, least = '5s', most = '20s' },\
    { kind = 'cut', targets = ['mirror'], to = 'kafka-broker', least = '5s', most = '20s' },\
    { kind = 'slow-link', targets = ['everybody'], latency = '1s', least = '5s', most = '20s' }]\n\
    [[faults.list]]\nkind = 'restart'\ntarget = 'name-service'\nat = '1m'\nduration = '5s'\n";

fn begun(kind: &str, struck: &[NodeId]) -> Event {
    let (kind, struck) = (kind.to_owned(), struck.to_vec());
    Event::FaultBegun { fault: 0, kind, target: String::new(), struck, figure: String::new() }
}

#[test]
fn every_fault_that_may_strike_has_its_zero_in_every_phase() {
    let scene = Scene::new(&format!("{PLAN}{FAULTS}"));
    let (_, coverage) = scene.monitor.finish();
    assert_eq!(coverage.phases(), ["before-the-plan", "dual-write", "cut-write", "after-the-plan"]);
    let first: Vec<_> = coverage.cells().take_while(|cell| cell.phase == "before-the-plan").collect();
    let named: Vec<_> = first.iter().map(|cell| (cell.fault, cell.component)).collect();
    let expected = [
        ("crash", "corgi-broker"),
        ("crash", "mirror"),
        ("restart", "name-service"),
        ("cut", "kafka-broker"),
        ("cut", "mirror"),
        ("slow-link", "everybody"),
    ];
    assert_eq!(named, expected);
    assert_eq!(coverage.cells().count(), 4 * expected.len());
    assert!(coverage.cells().all(|cell| cell.times == 0));
}

#[test]
fn a_fault_counts_once_for_each_kind_of_node_that_it_struck() {
    let mut scene = Scene::new(&format!("{PLAN}{FAULTS}"));
    let (kafka, mirror) = (scene.layout.kafka.clone(), scene.layout.mirror[0]);
    scene.event(0, begun("cut", &[kafka[0], kafka[1], mirror])).phase(1, 2);
    scene
        .event(1, begun("slow-link", &[]))
        .event(1, begun("crash", &[mirror]))
        .event(1, begun("crash", &[mirror]));
    let (_, mut coverage) = scene.monitor.finish();
    let struck = |coverage: &Coverage| {
        let cells = coverage.zeroes_first().into_iter().filter(|cell| cell.times > 0);
        cells.map(|cell| format!("{} {} {} {}", cell.phase, cell.fault, cell.component, cell.times)).collect()
    };
    let told: Vec<String> = struck(&coverage);
    let expected = [
        "before-the-plan cut kafka-broker 1",
        "before-the-plan cut mirror 1",
        "cut-write slow-link everybody 1",
        "cut-write crash mirror 2",
    ];
    assert_eq!(told, expected, "the rarest first");
    let other = coverage.clone();
    coverage.add(&other);
    assert_eq!(struck(&coverage)[3], "cut-write crash mirror 4");
    let mut empty = Coverage::default();
    empty.add(&other);
    assert_eq!(empty, other);
}

#[test]
fn what_never_struck_comes_first_where_it_could_have_and_last_where_nothing_could() {
    let mut scene = Scene::new(&format!("{PLAN}{FAULTS}"));
    let mirror = scene.layout.mirror[0];
    // The mirror runs from half a minute on, and not yet in the phase before; the faults begin after twenty seconds.
    scene.phase(15_000, 1).node(15_000, mirror, Event::Started { incarnation: 1 }).phase(60_000, 2);
    scene.event(1_000, Event::Ended { because: EndReason::Drained });
    let (_, coverage) = scene.monitor.finish();
    let possible = |fault: &str, component: &str| -> Vec<u64> {
        let row = coverage.cells().filter(|cell| cell.fault == fault && cell.component == component);
        row.map(|cell| cell.possible).collect()
    };
    assert_eq!(possible("crash", "mirror"), [0, 1, 0, 0], "the last phase was too short");
    assert_eq!(possible("crash", "corgi-broker"), [0, 0, 0, 0], "no broker ran");
    assert_eq!(possible("slow-link", "everybody"), [0, 1, 0, 0]);
    let cells = coverage.zeroes_first();
    assert!(cells[0].is_missed() && !cells[cells.len() - 1].is_missed());
}

#[test]
fn a_fault_of_one_phase_could_have_struck_in_that_phase_alone() {
    let listed = "[[faults.list]]\nphase = \"cut-write\"\nduration = \"5s\"\nkind = \"crash\"\ntarget = \"mirror-0\"\n";
    let mut scene = Scene::new(&format!("{PLAN}{listed}"));
    let mirror = scene.layout.mirror[0];
    scene.phase(15_000, 1).node(15_000, mirror, Event::Started { incarnation: 1 }).phase(60_000, 2);
    scene.event(120_000, Event::Ended { because: EndReason::Drained });
    let (_, coverage) = scene.monitor.finish();
    let possible: Vec<u64> = coverage.cells().map(|cell| cell.possible).collect();
    assert_eq!(possible, [0, 0, 1, 0]);
}

#[test]
fn a_rare_branch_could_have_been_taken_by_who_acknowledged_something() {
    let mut scene = Scene::new(&format!("{PLAN}[faults.rare]\n"));
    let corgi = scene.layout.corgi[0][0];
    scene.node(0, corgi, Event::Started { incarnation: 1 }).send(10, 0, 0).acknowledge(10, 0, Queue::Corgi);
    scene.node(10_000, corgi, Event::Rare { branch: RareBranch::LateAcknowledgement }).phase(10, 1);
    let (_, coverage) = scene.monitor.finish();
    let cell = |branch: &str, component: &str| {
        let mut cells = coverage.cells();
        let cell = cells.find(|cell| cell.fault == branch && cell.component == component);
        cell.map(|cell| (cell.times, cell.possible))
    };
    assert_eq!(cell("late-acknowledgement", "corgi-broker"), Some((1, 1)));
    assert_eq!(cell("spurious-time-out", "corgi-broker"), Some((0, 1)));
    assert_eq!(
        cell("spurious-time-out", "kafka-broker"),
        Some((0, 0)),
        "no broker of Kafka acknowledged anything"
    );
}
