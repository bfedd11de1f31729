use super::*;
use crate::faults::{Kind, Node};
use crate::random::Streams;
use cutover_model::record::NodeId;
use cutover_model::units::Span;

fn case(faults: &str) -> Case {
    let text = format!(
        "name = 'test'\nduration = '10m'\n[[topics]]\nname = 'orders'\npartitions = 8\n[[groups]]\nname = 'billing'\n\
         topics = ['orders']\ninstances = 4\n[[plan.phases]]\nname = 'cut-read'\nsteps = [{{ do = 'start-mirror' }}]\n{faults}"
    );
    Case::from_text("test.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn nodes() -> Nodes {
    let mut nodes = Vec::new();
    let mut add = |name: &str, kind, part, domain: &str, count: u32| {
        for number in 0..count {
            let id = NodeId(nodes.len() as u32);
            nodes.push(Node {
                id,
                name: format!("{name}-{number}"),
                kind,
                part,
                domain: domain.to_owned(),
                spare: false,
            });
        }
    };
    add("corgi-0", NodeKind::CorgiBroker, 0, "corgi-0", 3);
    add("corgi-1", NodeKind::CorgiBroker, 1, "corgi-1", 3);
    add("kafka", NodeKind::KafkaBroker, 0, "kafka", 3);
    add("mirror", NodeKind::Mirror, 0, "mirror", 2);
    add("producer", NodeKind::Producer, 0, "producers", 4);
    add("billing-old", NodeKind::OldConsumer, 0, "billing", 4);
    Nodes(nodes)
}

const DISTRIBUTION: &str = "[faults.draw]\ncount = 12\nstart = '20s'\nend = '9m'\nsettle = '30s'\n\
    kinds = [{ kind = 'crash', targets = ['corgi-master', 'kafka-broker', 'producer'], weight = 3, least = '5s', most = '20s' },\
    { kind = 'pause', targets = ['old-consumer', 'mirror'], least = '2s', most = '30s', settle = '10s' },\
    { kind = 'cut', targets = ['mirror'], to = 'kafka-broker', least = '5s', most = '20s' },\
    { kind = 'clock-skew', targets = ['producer'], skew = '5s', least = '5s', most = '60s' }]";

fn moments(faults: &[Fault]) -> Vec<(Time, Time)> {
    let moment = |fault: &Fault| match fault.when {
        When::At(at) => Some((at, at + fault.duration)),
        When::InPhase { .. } | When::AtStep { .. } => None,
    };
    faults.iter().filter_map(moment).collect()
}

#[test]
fn every_seed_gets_all_its_faults_spread_over_the_window() {
    let case = case(DISTRIBUTION);
    for seed in 0..200 {
        let faults = draw(&case, &nodes(), &mut Streams::new(seed).stream("faults"));
        assert_eq!(faults.len(), 12);
        let moments = moments(&faults);
        assert!(moments.iter().all(|(at, end)| at.0 >= 20_000_000 && end.0 <= 540_000_000));
        // At least two in each third of the window.
        for third in 0..3 {
            let (from, until) = (20_000_000 + third * 173_333_333, 20_000_000 + (third + 1) * 173_333_333);
            assert!(moments.iter().filter(|(at, _)| at.0 >= from && at.0 < until).count() >= 2);
        }
    }
}

fn meetings(faults: &[Fault]) -> usize {
    let moments = moments(faults);
    let mut meetings = 0;
    for one in 0..faults.len() {
        for other in 0..one {
            let shared = faults[one].domains.meet(&faults[other].domains);
            // Every kind settles for at least 10 s.
            let apart = moments[one].0 >= moments[other].1 + Span::secs(10);
            meetings += usize::from(shared && !apart);
        }
    }
    meetings
}

#[test]
fn one_fault_at_a_time_in_a_failure_domain_unless_told_otherwise() {
    let (inside, beyond) =
        (case(DISTRIBUTION), case(&DISTRIBUTION.replace("settle = '30s'", "beyond = true")));
    let mut met = 0;
    for seed in 0..100 {
        let faults = draw(&inside, &nodes(), &mut Streams::new(seed).stream("faults"));
        assert_eq!(meetings(&faults), 0, "seed {seed}: {faults:#?}");
        met += meetings(&draw(&beyond, &nodes(), &mut Streams::new(seed).stream("faults")));
    }
    assert!(met > 0);
}

#[test]
fn a_window_that_is_too_full_gets_as_many_as_fit() {
    let case = case(
        "[faults.draw]\ncount = 50\nstart = '0s'\nend = '5m'\nsettle = '30s'\n\
         kinds = [{ kind = 'crash', targets = ['kafka-broker'], least = '30s', most = '30s' }]",
    );
    let faults = draw(&case, &nodes(), &mut Streams::new(1).stream("faults"));
    assert!((3..=5).contains(&faults.len()), "{}", faults.len());
}

#[test]
fn listed_faults_keep_their_times_and_phases() {
    let case = case(
        "[[faults.list]]\nphase = 'cut-read'\nafter = '2s'\nduration = '10s'\nkind = 'crash'\ntarget = 'corgi-master'\n\
         [[faults.list]]\nat = '1m'\nduration = '10s'\nkind = 'slow-link'\nlatency = '200ms'\ntarget = 'old'\nto = 'cloud'\n\
         [[faults.list]]\nat = '30s'\nduration = '10s'\nkind = 'restart'\ntarget = 'kafka-1'",
    );
    let faults = draw(&case, &nodes(), &mut Streams::new(1).stream("faults"));
    assert_eq!((faults[0].kind, faults[0].on.from), (Kind::Restart, Side::One(Target::Node(NodeId(7)))));
    let link = Link { from: Side::Site(1), to: Side::Site(0), one_way: false };
    assert_eq!(
        (faults[1].kind, faults[1].on, faults[1].figures.latency),
        (Kind::SlowLink, link, Span::millis(200))
    );
    assert_eq!(faults[2].when, When::InPhase { phase: "cut-read".to_owned(), after: Span::secs(2) });
    let master = Side::One(Target::Role(Role::CorgiMaster(0)));
    assert_eq!((faults[2].kind, faults[2].on.from), (Kind::Crash, master));
}

#[test]
fn a_fault_on_what_is_not_there_is_left_out() {
    let mut case =
        case("[[faults.list]]\nat = '1m'\nduration = '10s'\nkind = 'crash'\ntarget = 'producer-3'");
    assert_eq!(draw(&case, &nodes(), &mut Streams::new(1).stream("faults")).len(), 1);
    case.faults.list[0].target = Aim::Named("producer-9".to_owned());
    assert_eq!(draw(&case, &nodes(), &mut Streams::new(1).stream("faults")), []);
}

/// The standard service's nodes, in domains as large as the world makes them.
fn standard_nodes() -> Nodes {
    let mut nodes = Vec::new();
    let mut add = |kind: NodeKind, part: u16, domain: &str, count: u32| {
        for number in 0..count {
            let id = NodeId(nodes.len() as u32);
            nodes.push(Node {
                id,
                name: format!("{kind}-{part}-{number}"),
                kind,
                part,
                domain: domain.to_owned(),
                spare: false,
            });
        }
    };
    add(NodeKind::CorgiBroker, 0, "corgi", 3);
    add(NodeKind::CorgiBroker, 1, "corgi", 3);
    add(NodeKind::NameService, 0, "corgi", 1);
    add(NodeKind::OnCall, 0, "corgi", 1);
    add(NodeKind::KafkaBroker, 0, "kafka", 3);
    add(NodeKind::KafkaController, 0, "kafka", 1);
    add(NodeKind::SwitchCentre, 0, "control", 1);
    add(NodeKind::Deployment, 0, "control", 1);
    add(NodeKind::Operator, 0, "control", 1);
    add(NodeKind::Mirror, 0, "mirror", 2);
    add(NodeKind::Producer, 0, "producer", 4);
    add(NodeKind::Redis, 0, "redis", 1);
    for group in 0..3 {
        add(NodeKind::OldConsumer, group, &format!("group-{group}"), 4);
        add(NodeKind::NewConsumer, group, &format!("group-{group}"), 4);
        add(NodeKind::NewConsumer, group, &format!("group-{group}"), 1);
    }
    // The last of each group's NewClients stands by.
    for group in 0..3 {
        let of_group = |node: &&mut Node| node.kind == NodeKind::NewConsumer && node.part == group;
        nodes.iter_mut().rfind(of_group).expect("each group has NewClients").spare = true;
    }
    Nodes(nodes)
}

#[test]
fn the_standard_distribution_has_at_least_ten_faults_or_a_quiet_run_and_reaches_every_kind() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/baseline.toml");
    let case = Case::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let nodes = standard_nodes();
    let mut kinds = BTreeSet::new();
    let (mut last_minutes, mut quiet) = (0, 0);
    for seed in 0..500 {
        let faults = draw(&case, &nodes, &mut Streams::new(seed).stream("faults"));
        quiet += usize::from(faults.len() < 10);
        assert!(faults.len() >= 3, "seed {seed} has {} faults", faults.len());
        last_minutes += moments(&faults).iter().filter(|(at, _)| at.0 >= 360_000_000).count();
        kinds.extend(faults.iter().map(|fault| fault.kind.to_string()));
    }
    // Four of the thirteen strata lie behind the sixth minute: cut-write gets its share.
    assert!(last_minutes >= 1_200, "{last_minutes}");
    assert!((100..160).contains(&quiet), "{quiet} quiet runs");
    // An election of who is not in sync is no fault that the systems tolerate.
    let inside = <Kind as strum::IntoEnumIterator>::iter().filter(|kind| *kind != Kind::UncleanElection);
    assert_eq!(kinds, inside.map(|kind| kind.to_string()).collect());
}

#[test]
fn a_swarm_takes_other_kinds_for_another_seed_and_leaves_some_out() {
    let case = case(&DISTRIBUTION.replace("settle = '30s'", "settle = '0s'\nswarm = true"));
    let kinds = |seed| -> BTreeSet<Kind> {
        let faults = draw(&case, &nodes(), &mut Streams::new(seed).stream("faults"));
        faults.iter().map(|fault| fault.kind).collect()
    };
    let drawn: Vec<BTreeSet<Kind>> = (0..40).map(kinds).collect();
    assert!(drawn.iter().any(|kinds| kinds.len() == 1) && drawn.iter().any(|kinds| kinds.len() == 3));
    assert_eq!(drawn.iter().flatten().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn faults_are_aimed_at_every_phase_and_at_steps_and_ask_before_they_strike() {
    let aimed = "each-phase = 2\nat-steps = 3\nsettle = '30s'";
    let case = case(&DISTRIBUTION.replace("settle = '30s'", aimed));
    let faults = draw(&case, &nodes(), &mut Streams::new(5).stream("faults"));
    let count = |wanted: fn(&When) -> bool| faults.iter().filter(|fault| wanted(&fault.when)).count();
    assert_eq!(count(|when| matches!(when, When::At(_))), 12);
    assert_eq!(count(|when| matches!(when, When::InPhase { .. })), 2);
    assert_eq!(count(|when| matches!(when, When::AtStep { step: 1, .. })), 3);
    assert!(faults.iter().all(|fault| fault.tolerance.is_some()));
}

#[test]
fn a_count_of_none_spreads_no_fault_and_leaves_those_that_are_aimed() {
    let none = DISTRIBUTION.replace("count = 12", "count = 0");
    for swarm in ["false", "true"] {
        let none = none.replace("settle = '30s'", &format!("settle = '30s'\nswarm = {swarm}"));
        let quiet = case(&none);
        let aimed = case(&none.replace("settle = '30s'", "settle = '30s'\neach-phase = 2"));
        for seed in 0..40 {
            let drawn = |case| draw(case, &nodes(), &mut Streams::new(seed).stream("faults"));
            assert_eq!(drawn(&quiet), []);
            assert_eq!(drawn(&aimed).len(), 2);
        }
    }
}

#[test]
fn what_is_marked_beyond_is_drawn_beyond_the_tolerance_alone() {
    let marked = DISTRIBUTION.replace("skew = '5s',", "skew = '5s', beyond = true,");
    let drawn = |case: &Case| {
        let faults = (0..20).flat_map(|seed| draw(case, &nodes(), &mut Streams::new(seed).stream("faults")));
        faults.filter(|fault| fault.kind == Kind::ClockSkew).count()
    };
    let case = case(&marked);
    assert_eq!(drawn(&case), 0);
    let beyond = case.beyond_tolerance();
    assert!(drawn(&beyond) > 0);
    let faults = draw(&beyond, &nodes(), &mut Streams::new(1).stream("faults"));
    assert!(faults.iter().all(|fault| fault.tolerance.is_none()));
}

#[test]
fn what_a_case_adds_to_the_kinds_is_drawn_among_them() {
    let more = "more-kinds = [{ kind = 'slow-disk', targets = ['kafka-broker'], latency = '1s', least = '5s', most = '20s' }]";
    let with_more = case(&format!("{DISTRIBUTION}\n{more}"));
    let drawn: BTreeSet<Kind> = (0..20)
        .flat_map(|seed| draw(&with_more, &nodes(), &mut Streams::new(seed).stream("faults")))
        .map(|fault| fault.kind)
        .collect();
    assert_eq!(drawn, BTreeSet::from([Kind::Crash, Kind::Pause, Kind::Cut, Kind::ClockSkew, Kind::SlowDisk]));
}

#[test]
fn a_fault_of_the_list_that_is_beyond_strikes_only_where_the_case_goes_beyond() {
    let listed = "[[faults.list]]\nat = '1m'\nduration = '10s'\nkind = 'crash'\ntarget = 'kafka-1'\n";
    let case = case(&format!("{listed}beyond = true\n{listed}"));
    let places = |case: &Case| -> Vec<Option<usize>> {
        let faults = draw(case, &nodes(), &mut Streams::new(1).stream("faults"));
        faults.iter().map(|fault| fault.listed).collect()
    };
    assert_eq!(places(&case), [Some(1)], "the second keeps its place in the list");
    assert!(!case.is_beyond_tolerance());
    let beyond = case.beyond_tolerance();
    assert!(beyond.is_beyond_tolerance(), "though it draws nothing");
    assert_eq!(places(&beyond), [Some(0), Some(1)]);
}

#[test]
fn every_second_fault_of_a_phase_is_any_kind_on_any_of_its_targets_whatever_they_weigh() {
    let kinds = "kinds = [{ kind = 'crash', targets = ['kafka-broker'], weight = 1000000, least = '5s', most = '20s' },\
        { kind = 'pause', targets = ['mirror', 'producer'], least = '2s', most = '30s' }]";
    let header = "[faults.draw]\ncount = 0\neach-phase = 2\nswarm = true\nstart = '20s'\nend = '9m'";
    let case = case(&format!("{header}\n{kinds}"));
    let nodes = nodes();
    let (mut drawn, mut at_once) = ([0; 3], 0);
    for seed in 0..300 {
        let faults = draw(&case, &nodes, &mut Streams::new(seed).stream("faults"));
        assert_eq!(faults.len(), 2);
        let Side::One(Target::Node(node)) = faults[1].on.from else { panic!("{:?}", faults[1].on) };
        let target = [NodeKind::KafkaBroker, NodeKind::Mirror, NodeKind::Producer]
            .iter()
            .position(|kind| *kind == nodes.0[node.0 as usize].kind);
        drawn[target.expect("one of the three")] += 1;
        let When::InPhase { after, .. } = faults[1].when else { panic!("{:?}", faults[1].when) };
        at_once += usize::from(after <= Span::secs(2));
    }
    assert!(drawn.iter().all(|times| (70..130).contains(times)), "{drawn:?}");
    assert!((140..220).contains(&at_once), "{at_once}");
}
