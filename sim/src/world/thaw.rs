//! Processes that stand still, and what they find when they run on.

use super::World;
use super::node::Waiting;
use cutover_model::machine::{Input, Machine};
use cutover_model::record::NodeId;

/// Into a connection that its peer has closed one can write once: the peer's host answers with a reset, and who writes again is
/// told that the connection is gone.
const WRITES_BEFORE_RESET: u32 = 2;

/// A connection that was closed while the process stood still, and of which it has not read that yet.
struct Closed {
    peer: NodeId,
    writes: u32,
}

impl Closed {
    fn is_reset(&self) -> bool {
        self.writes >= WRITES_BEFORE_RESET
    }
}

impl<M: Machine> World<M> {
    /// Stop a process from running on, without its end; inputs wait for it.
    pub fn pause(&mut self, node: NodeId) {
        self.node_mut(node).pauses += 1;
    }

    /// Let a paused process run on: what waited for it comes at once, in the order in which it came.
    pub fn resume(&mut self, node: NodeId) {
        let slot = self.node_mut(node);
        if slot.pauses == 0 {
            return;
        }
        slot.pauses -= 1;
        if slot.pauses == 0 {
            let backlog = std::mem::take(&mut slot.backlog);
            self.read_backlog(node, backlog);
        }
    }

    /// What a peer had sent before its connection closed lies in the socket's buffer and is read, but only until the process has
    /// written into that connection twice: what it has not read by then is gone with the connection. So a frozen slave that
    /// confirms each piece of the log takes two pieces from a master that died (rocketmq e1), and a frozen broker that answers each
    /// request serves two of a producer that is gone (java-client 7).
    fn read_backlog(&mut self, node: NodeId, backlog: Vec<Waiting>) {
        let closing = |waiting: &Waiting| match waiting {
            Waiting::Input(Input::Disconnected(peer)) => Some(Closed { peer: *peer, writes: 0 }),
            _ => None,
        };
        let mut closed: Vec<Closed> = backlog.iter().filter_map(closing).collect();
        for waiting in backlog {
            let input = match waiting {
                Waiting::Timer(number) => {
                    self.read(node, Waiting::Timer(number), &mut closed);
                    continue;
                }
                Waiting::Input(input) => input,
            };
            let is_reset = match &input {
                Input::Message { from, .. } => {
                    closed.iter().find(|closed| closed.peer == *from).is_some_and(Closed::is_reset)
                }
                Input::Disconnected(peer) => {
                    let place = closed.iter().position(|closed| closed.peer == *peer);
                    place.is_some_and(|place| closed.remove(place).is_reset())
                }
                _ => false,
            };
            if !is_reset {
                self.read(node, Waiting::Input(input), &mut closed);
            }
        }
    }

    /// The process takes one thing that waited for it, and writes what it writes. Where that meets a reset it hears of it.
    fn read(&mut self, node: NodeId, waiting: Waiting, closed: &mut [Closed]) {
        let slot = &mut self.nodes[node.0 as usize];
        let input = match waiting {
            _ if !slot.running => return,
            // It was stopped again by what it did itself.
            waiting if slot.pauses > 0 => return slot.backlog.push(waiting),
            Waiting::Input(input) => input,
            Waiting::Timer(number) => match slot.take_timer(number) {
                Some(timer) => Input::Timer(timer),
                None => return,
            },
        };
        self.step_machine(node, input);
        let mut reset = Vec::new();
        for (to, _) in &self.effects.sends {
            if let Some(closed) = closed.iter_mut().find(|closed| closed.peer == *to) {
                closed.writes += 1;
                if closed.writes == WRITES_BEFORE_RESET {
                    reset.push(*to);
                }
            }
        }
        self.carry_out_effects(node);
        for peer in reset {
            self.read(node, Waiting::Input(Input::Disconnected(peer)), closed);
        }
    }
}
