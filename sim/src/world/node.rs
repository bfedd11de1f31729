//! A node's slot in the world: its machine, whether its process runs, its timers, its clock, its connections.

use super::disk::Disk;
use crate::random::Stream;
use cutover_model::incident::Incident;
use cutover_model::machine::{Input, Machine, Now, Timer};
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;
use smallvec::SmallVec;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node<M> {
    /// What runs there.
    pub machine: M,
    /// Whether the process runs (a paused process runs).
    pub running: bool,
    /// Whether the process is meant to run: what a supervisor or the end of a fault starts again.
    pub wanted: bool,
    /// Counts the starts.
    pub incarnation: u32,
    /// How many pauses are in force.
    pub pauses: u32,
    /// After how long a supervisor starts a process that ended of itself; without it nobody does, until it is ordered to start.
    pub restart_after: Option<Span>,
    /// Whether it is started as soon as it has ended: it was to be back by now, and still stops.
    pub(super) start_when_ended: bool,
    /// Whether this life of the process was asked to stop: its end is in good order then, though it may be meant to run again.
    pub(super) asked_to_stop: bool,
    /// The wall clock's error in microseconds.
    pub skew_micros: i64,
    /// The part of it that a jump left behind.
    pub(super) jumped_micros: i64,
    /// How fast its disk is.
    pub(super) disk: Disk,
    /// What befell it and lasts.
    pub(super) incidents: Vec<Incident>,
    pub(super) backlog: Vec<Waiting>,
    /// A bit for each other node: whether there is a connection with it. Every message asks, and so they lie in place.
    connections: SmallVec<[u64; 2]>,
    pub(super) stream: Stream,
    /// In no order, few: a look at each beats what keeps them sorted.
    timers: Vec<(Timer, u64)>,
}

/// What waits for a paused process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Waiting {
    /// An input.
    Input(Input),
    /// A timer that has run out; it may still be cancelled by an input before it.
    Timer(u64),
}

/// Where the bit of a connection lies: its word's place, and the word with that bit alone.
fn connection(other: NodeId) -> (usize, u64) {
    ((other.0 / u64::BITS) as usize, 1 << (other.0 % u64::BITS))
}

impl<M: Machine> Node<M> {
    /// A node whose process does not run yet.
    pub fn new(machine: M, stream: Stream) -> Node<M> {
        Node {
            machine,
            running: false,
            wanted: false,
            incarnation: 0,
            pauses: 0,
            restart_after: None,
            start_when_ended: false,
            asked_to_stop: false,
            skew_micros: 0,
            jumped_micros: 0,
            disk: Disk::default(),
            incidents: Vec::new(),
            backlog: Vec::new(),
            connections: SmallVec::new(),
            stream,
            timers: Vec::new(),
        }
    }

    /// What the node's clocks say.
    pub fn now(&self, now: Time) -> Now {
        Now { elapsed: now, wall: Time(now.0.saturating_add_signed(self.skew_micros)) }
    }

    /// Set a timer under that number, which no other setting of a timer has.
    pub(super) fn set_timer(&mut self, timer: Timer, number: u64) {
        match self.place_of(timer) {
            Some(place) => self.timers[place].1 = number,
            None => self.timers.push((timer, number)),
        }
    }

    /// Cancel a timer, if it is set.
    pub(super) fn cancel_timer(&mut self, timer: Timer) {
        if let Some(place) = self.place_of(timer) {
            self.timers.swap_remove(place);
        }
    }

    fn place_of(&self, timer: Timer) -> Option<usize> {
        // Where the indices differ, nobody need read the names.
        self.timers.iter().position(|(set, _)| set.index == timer.index && set.name == timer.name)
    }

    /// Take the timer that was set under that number, unless it was cancelled or set anew.
    pub(super) fn take_timer(&mut self, number: u64) -> Option<Timer> {
        let place = self.timers.iter().position(|(_, set)| *set == number)?;
        Some(self.timers.swap_remove(place).0)
    }

    /// The process is gone, with its timers, its connections and what waited for it.
    pub(super) fn end(&mut self) {
        self.running = false;
        self.start_when_ended = false;
        self.asked_to_stop = false;
        self.pauses = 0;
        self.timers.clear();
        self.backlog.clear();
        self.connections.clear();
        self.machine.crash();
    }

    /// Forget an incident that is over. Returns the last of the same kind that lasts all the same.
    pub(super) fn forget(&mut self, incident: Incident) -> Option<Incident> {
        if let Some(place) = self.incidents.iter().position(|lasting| *lasting == incident) {
            self.incidents.remove(place);
        }
        let alike =
            |lasting: &&Incident| std::mem::discriminant(*lasting) == std::mem::discriminant(&incident);
        self.incidents.iter().rfind(alike).copied()
    }

    /// The wall clock jumps.
    pub(super) fn jump(&mut self, micros: i64) {
        self.skew_micros += micros;
        self.jumped_micros += micros;
    }

    /// Somebody puts right what jumped.
    pub(super) fn heal(&mut self) {
        self.skew_micros -= std::mem::take(&mut self.jumped_micros);
    }

    /// Note that there is no connection with that node any more, until the next message.
    pub(super) fn disconnect(&mut self, other: NodeId) {
        let (word, bit) = connection(other);
        if let Some(connections) = self.connections.get_mut(word) {
            *connections &= !bit;
        }
    }

    /// Note that there is a connection with that node.
    #[inline]
    pub(super) fn connect(&mut self, other: NodeId) {
        let (word, bit) = connection(other);
        if self.connections.len() <= word {
            self.connections.resize(word + 1, 0);
        }
        self.connections[word] |= bit;
    }

    /// The nodes with which there is a connection, in order.
    pub(super) fn connected(&self) -> Vec<NodeId> {
        let nodes = (0..).map(NodeId).take(self.connections.len() * u64::BITS as usize);
        let is_connected = |other: &NodeId| {
            let (word, bit) = connection(*other);
            self.connections[word] & bit != 0
        };
        nodes.filter(is_connected).collect()
    }
}
