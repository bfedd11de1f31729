//! Faults that meet: on one node at a time, on links that nobody uses, on who has nothing left to do.

use super::*;
use cutover_model::units::Bytes;

fn begun(world: &World<Toy>) -> Vec<u32> {
    world.faults_begun().iter().map(|(number, _)| *number).collect()
}

/// How the ends of a node's process are told, in their order.
fn ends(world: &World<Toy>, node: u32) -> Vec<bool> {
    let ends = world.history().iter().filter(|entry| entry.node == NodeId(node));
    let orderly = |entry: &Entry| match entry.event {
        Event::Stopped { orderly } => Some(orderly),
        _ => None,
    };
    ends.filter_map(orderly).collect()
}

fn struck(world: &World<Toy>) -> Vec<Vec<NodeId>> {
    let struck = |entry: &Entry| match &entry.event {
        Event::FaultBegun { struck, .. } => Some(struck.clone()),
        _ => None,
    };
    world.history().iter().filter_map(struck).collect()
}

fn nodes(nodes: &[u32]) -> Side {
    Side::Nodes(NodeSet::Some(nodes.iter().map(|node| NodeId(*node)).collect()))
}

fn cut(from: Side, to: Side) -> Strike {
    Strike::Network { from, to, impairment: Impairment::Cut }
}

#[test]
fn a_restart_is_a_stop_in_good_order_though_the_process_is_meant_to_run_and_a_halt_never_is() {
    let mut world = world();
    world.add_fault(at(1), fault(Strike::Restart(Struck::Node(NodeId(0))), 1));
    world.add_fault(at(4), fault(Strike::Crash(Struck::Node(NodeId(0)), None), 1));
    run_until(&mut world, at(6));
    assert_eq!(ends(&world, 0), [true, false]);
    world.ask_to_stop(NodeId(1));
    assert_eq!(ends(&world, 1), [true]);
    world.start(NodeId(1));
    world.process(NodeId(1), Process::Exit);
    assert_eq!(ends(&world, 1), [true, false], "nobody asked its next life");
    world.start(NodeId(1));
    world.node_mut(NodeId(1)).asked_to_stop = true;
    world.process(NodeId(1), Process::Halt);
    assert_eq!(ends(&world, 1), [true, false, false]);
}

#[test]
fn a_pause_ends_with_the_life_of_the_process_and_not_with_the_pause_of_the_next() {
    let mut world = world();
    let pause = || Strike::Pause(Struck::Node(NodeId(1)));
    world.add_fault(at(1), fault(pause(), 50));
    world.add_fault(at(10), fault(Strike::Crash(Struck::Node(NodeId(1)), None), 10));
    world.add_fault(at(30), fault(pause(), 60));
    for (until, pauses) in [(5, 1), (25, 0), (40, 1), (60, 1), (89, 1), (91, 0)] {
        run_until(&mut world, at(until));
        assert_eq!(world.nodes()[1].pauses, pauses, "at {until} s");
    }
}

#[test]
fn of_two_incidents_of_a_kind_the_end_of_one_is_not_the_end_of_both() {
    let full = || Strike::Incident(Struck::Node(NodeId(1)), Incident::DiskFilled, Some(Incident::DiskFreed));
    let mut world = world();
    world.add_fault(at(1), fault(full(), 20));
    world.add_fault(at(10), fault(full(), 60));
    run_until(&mut world, at(60));
    assert_eq!(world.nodes()[1].machine.met, [Incident::DiskFilled; 2]);
    run_until(&mut world, at(80));
    assert_eq!(world.nodes()[1].machine.met[2..], [Incident::DiskFreed]);
}

#[test]
fn a_lower_quota_that_ends_leaves_the_other_one_in_force() {
    let granted = |bytes| Incident::Quota { bytes_per_second: bytes };
    let quota =
        |bytes| Strike::Incident(Struck::Node(NodeId(1)), granted(Some(Bytes(bytes))), Some(granted(None)));
    let mut world = world();
    world.add_fault(at(1), fault(quota(10), 20));
    world.add_fault(at(2), fault(quota(5), 10));
    run_until(&mut world, at(30));
    let met: Vec<Incident> =
        [Some(10), Some(5), Some(10), None].map(|bytes| granted(bytes.map(Bytes))).into();
    assert_eq!(world.nodes()[1].machine.met, met);
}

#[test]
fn a_process_that_another_fault_keeps_down_is_not_started() {
    let mut world = world();
    // It is asked to stop while it stands still, and dies before it has stopped.
    world.add_fault(at(1), fault(Strike::Pause(Struck::Node(NodeId(1))), 3));
    world.add_fault(at(2), fault(Strike::Restart(Struck::Node(NodeId(1))), 8));
    world.add_fault(at(3), fault(Strike::Crash(Struck::Node(NodeId(1)), None), 30));
    run_until(&mut world, at(20));
    assert!(!world.nodes()[1].running);
    run_until(&mut world, at(34));
    assert!(world.nodes()[1].running && world.nodes()[1].incarnation == 2);
}

#[test]
fn a_link_of_which_an_end_does_not_run_and_one_to_itself_are_no_fault() {
    let mut world = world();
    world.add_fault(at(1), fault(cut(nodes(&[0]), nodes(&[0])), 1));
    world.add_fault(at(2), fault(cut(nodes(&[0]), nodes(&[0, 1])), 1));
    world.add_fault(at(4), fault(cut(nodes(&[0]), nodes(&[1])), 1));
    run_until(&mut world, at(6));
    world.end(NodeId(1), false);
    world.add_fault(at(7), fault(cut(nodes(&[0]), nodes(&[1])), 1));
    world.add_fault(at(8), fault(cut(nodes(&[1]), Side::Nodes(NodeSet::All)), 1));
    run_until(&mut world, at(10));
    assert_eq!(begun(&world), [1, 2]);
    assert_eq!(struck(&world), [vec![NodeId(0)], vec![NodeId(0), NodeId(1)]], "both, where they are as many");
}

#[test]
fn a_fault_is_counted_for_whom_it_is_meant_and_strikes_nobody_where_that_one_does_not_run() {
    let meant = |to: u32| ReadyFault {
        meant: Some(Struck::Node(NodeId(to))),
        ..fault(cut(nodes(&[0]), nodes(&[1])), 1)
    };
    let mut world = world();
    world.add_fault(at(1), meant(1));
    run_until(&mut world, at(3));
    world.end(NodeId(1), false);
    world.add_fault(at(4), meant(1));
    run_until(&mut world, at(6));
    assert_eq!(struck(&world), [vec![NodeId(1)]]);
}

#[test]
fn who_does_not_heed_an_incident_is_not_struck() {
    let strike = || Strike::Incident(Struck::Node(NodeId(1)), Incident::SwitchesFresh, None);
    let mut world = world();
    world.add_fault(at(1), fault(strike(), 1));
    run_until(&mut world, at(3));
    world.node_mut(NodeId(1)).machine.heedless = true;
    world.add_fault(at(4), fault(strike(), 1));
    run_until(&mut world, at(6));
    assert_eq!(begun(&world), [0]);
}
