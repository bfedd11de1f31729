//! What the benches measure against, and the cases that they run.

pub mod bare;
pub mod endpoint;

use cutover_model::machine::Machine;
use cutover_model::record::NodeId;
use cutover_model::units::Span;
use cutover_sim::case::Case;
use cutover_sim::random::Streams;
use cutover_sim::world::{Latency, Network, Node, World};
use snmalloc_rs::SnMalloc;
use std::path::Path;

/// The allocator of the command, so that what is measured here is what it does.
#[global_allocator]
static ALLOCATOR: SnMalloc = SnMalloc;

/// A shipped case.
///
/// # Panics
/// If it does not load: the shipped cases do.
pub fn shipped(name: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    Case::load(&path).expect("the shipped case loads")
}

/// A world of these processes, a millisecond between any two of them. Those of `first` are started in that order, and have a
/// second to find each other.
pub fn in_one_room<M: Machine>(processes: Vec<M>, first: &[u32]) -> World<M> {
    let streams = Streams::new(1);
    let latency = Latency { least: Span::millis(1), most: Span::millis(1) };
    let network = Network::new(vec![0; processes.len()], vec![vec![latency]], streams.stream("network"));
    let nodes = processes.into_iter().zip(0..);
    let nodes = nodes.map(|(process, number)| Node::new(process, streams.stream_of("node", number)));
    let mut world = World::new(nodes.collect(), network);
    first.iter().for_each(|node| world.start(NodeId(*node)));
    while world.now().as_millis() < 1_000 && world.step() {}
    world
}
