//! The machine contract: one input in, plain effects out.
//!
//! A machine knows the time it is told, its own settings and its own state, and nothing else. It has no random
//! numbers: where a real system jitters, it asks for a timer *between* two spans and the world draws.

use crate::history::Event;
use crate::in_place::put;
use crate::incident::{DiskLoss, Incident};
use crate::message::Message;
use crate::record::NodeId;
use crate::rewind::Address;
use crate::units::{Span, Time};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;

/// What a machine is told of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Now {
    /// Monotonic: for time-outs and leases. Counts simulated time, also while the process is paused.
    pub elapsed: Time,
    /// The node's wall clock, which may be skewed against the other nodes': for timestamps.
    pub wall: Time,
}

impl Now {
    /// The same moment on a node whose clock is right.
    pub fn exact(elapsed: Time) -> Now {
        Now { elapsed, wall: elapsed }
    }
}

/// One thing that happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Input {
    /// The process starts, for the first time or after a crash or a stop; only durable state is there.
    Start {
        /// Counts the starts of this node, from 1: its process id. Request ids carry it, so that an answer to an
        /// earlier life is not taken for one's own.
        incarnation: u32,
    },
    /// A message arrived.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// A timer that was set ran out.
    Timer(Timer),
    /// A connection to that node broke, or could not be made: its process is gone (a silent node gives no such
    /// sign). What was in flight to it is indeterminate.
    Disconnected(NodeId),
    /// The process is asked to stop (SIGTERM); it exits by [`Process::Exit`] when it has finished.
    Terminate,
    /// Something befell it from outside.
    Incident(Incident),
    /// The process that has just started was given this address, until it ends. Where no hosts are shared nobody is told: an
    /// instance has a host to itself ([`Address::own`]).
    Placed(Address),
    /// Nobody listens at an address that was called, or the process there is gone. What was in flight to it is
    /// indeterminate.
    Unreachable(Address),
}

/// A timer of one machine. Setting a timer with the same name and index replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Timer {
    /// What it is for, prefixed by its owner: `kafka-consumer/heartbeat`.
    pub name: &'static str,
    /// Which of them, where a machine has several of a name.
    pub index: u64,
}

impl Timer {
    /// The timer of that name with that index.
    pub const fn new(name: &'static str, index: u64) -> Timer {
        Timer { name, index }
    }
}

/// When a timer runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum After {
    /// After just this span.
    Exactly(Span),
    /// After a span that the world draws between the two, from the node's own stream.
    Between(Span, Span),
}

/// An effect on timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum TimerEffect {
    /// Set it, or set it anew.
    Set(Timer, After),
    /// Cancel it; nothing happens where it is not set.
    Cancel(Timer),
}

/// An effect on processes: what an operating system or a deployment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Process {
    /// Start that node's process if it is not running.
    Start(NodeId),
    /// Ask that node's process to stop.
    Terminate(NodeId),
    /// Kill that node's process.
    Kill(NodeId),
    /// This process ends of itself.
    Exit,
    /// This process cannot go on, and ends at once: nobody takes it for a stop in good order, whoever has asked for one.
    Halt,
    /// Close the connection with that node, whose process hears [`Input::Disconnected`]; this one hears nothing.
    Disconnect(NodeId),
}

/// What a step asks of the world, in order of kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// Messages to send.
    pub sends: Vec<(NodeId, Message)>,
    /// Messages to send to an address, whoever listens there by the time they come.
    pub calls: Vec<(Address, Message)>,
    /// Timers to set and to cancel.
    pub timers: Vec<TimerEffect>,
    /// What happened that a reader of the history should know.
    pub events: Vec<Event>,
    /// Processes to start and to stop.
    pub processes: Vec<Process>,
}

impl Effects {
    /// Send a message.
    #[inline]
    pub fn send(&mut self, to: NodeId, message: impl Into<Message>) {
        put(&mut self.sends, || (to, message.into()));
    }

    /// Send a message to an address.
    pub fn call(&mut self, to: Address, message: impl Into<Message>) {
        put(&mut self.calls, || (to, message.into()));
    }

    /// Set a timer to run out after just this span.
    pub fn set_timer(&mut self, timer: Timer, after: Span) {
        put(&mut self.timers, || TimerEffect::Set(timer, After::Exactly(after)));
    }

    /// Set a timer to run out after a span that the world draws between the two.
    pub fn set_timer_between(&mut self, timer: Timer, least: Span, most: Span) {
        put(&mut self.timers, || TimerEffect::Set(timer, After::Between(least, most)));
    }

    /// Cancel a timer.
    pub fn cancel_timer(&mut self, timer: Timer) {
        put(&mut self.timers, || TimerEffect::Cancel(timer));
    }

    /// Write an event into the history.
    #[inline]
    pub fn record(&mut self, event: Event) {
        put(&mut self.events, || event);
    }

    /// Forget everything, and keep the memory.
    pub fn clear(&mut self) {
        self.sends.clear();
        self.calls.clear();
        self.timers.clear();
        self.events.clear();
        self.processes.clear();
    }
}

/// A steppable model of one process.
pub trait Machine: Clone + std::fmt::Debug + Eq + Serialize {
    /// Take one input and say what is to be done.
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects);

    /// The process is gone: drop everything that does not survive it. The next input is [`Input::Start`].
    fn crash(&mut self);

    /// The host died, or its disk was replaced, at that moment, and the disk lost something: take it from what would survive. What was
    /// due to be on the disk by then is there, also where no input came since. Nothing changes for a machine that keeps nothing on a
    /// disk of its own, or keeps it where others look after it (a database, a human head).
    fn lose(&mut self, now: Now, loss: DiskLoss);

    /// Whether that incident can do anything to it as it stands now. A fault that finds nobody whom it could befall is no
    /// fault, and is not counted as one.
    fn heeds(&self, _incident: &Incident) -> bool {
        true
    }
}

/// Identifies a request among all those of a node. Its three numbers lie in one word: an id is copied with every message, and a
/// word is copied at once.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// The bits that count a library's requests.
const NUMBER_BITS: u32 = 24;
/// The bits that tell a process's libraries apart.
const LANE_BITS: u32 = 8;

impl RequestId {
    /// A request of that life of a process, of that library, with that number.
    ///
    /// # Panics
    /// If a process has more than 256 libraries, or one of them asked more than sixteen million times: a run's budget of events ends
    /// it long before.
    pub fn new(incarnation: u32, lane: u16, number: u32) -> RequestId {
        assert!(lane < 1 << LANE_BITS && number < 1 << NUMBER_BITS, "a request's numbers fit into a word");
        let of_process = u64::from(incarnation) << (LANE_BITS + NUMBER_BITS);
        RequestId(of_process | u64::from(lane) << NUMBER_BITS | u64::from(number))
    }

    /// The asking process's incarnation.
    pub fn incarnation(self) -> u32 {
        (self.0 >> (LANE_BITS + NUMBER_BITS)) as u32
    }

    /// Which client library of the process asks, where it has several.
    pub fn lane(self) -> u16 {
        (self.0 >> NUMBER_BITS) as u16 & ((1 << LANE_BITS) - 1)
    }

    /// The count of that library's requests.
    pub fn number(self) -> u32 {
        self.0 as u32 & ((1 << NUMBER_BITS) - 1)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RequestId({}.{}.{})", self.incarnation(), self.lane(), self.number())
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RequestId", 3)?;
        fields.serialize_field("incarnation", &self.incarnation())?;
        fields.serialize_field("lane", &self.lane())?;
        fields.serialize_field("number", &self.number())?;
        fields.end()
    }
}

/// Hands out request ids to one client library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestIds {
    last: RequestId,
}

impl RequestIds {
    /// The source of ids for that library in that life of the process.
    pub fn new(incarnation: u32, lane: u16) -> RequestIds {
        RequestIds { last: RequestId::new(incarnation, lane, 0) }
    }

    /// An id that was not handed out before.
    pub fn next_id(&mut self) -> RequestId {
        let RequestId(last) = self.last;
        self.last = RequestId(last + 1);
        assert!(self.last.number() > 0, "a library has asked too often for a word to tell");
        self.last
    }

    /// Whether an id came from here.
    pub fn issued(&self, id: RequestId) -> bool {
        let RequestId(last) = self.last;
        let of_this_library = id.0 >> NUMBER_BITS == last >> NUMBER_BITS;
        of_this_library && id <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_tells_its_three_numbers_and_is_ordered_by_them() {
        let ids = [(1, 0, 0), (1, 0, 7), (1, 255, 3), (2, 0, 1), (u32::MAX, 4, (1 << 24) - 1)];
        let packed = ids.map(|(incarnation, lane, number)| RequestId::new(incarnation, lane, number));
        assert_eq!(packed.map(|id| (id.incarnation(), id.lane(), id.number())), ids);
        assert!(packed.is_sorted());
    }

    #[test]
    fn ids_are_known_to_the_library_and_the_life_that_handed_them_out() {
        let mut ids = RequestIds::new(3, 1);
        let (first, second) = (ids.next_id(), ids.next_id());
        assert_eq!((first.number(), second.number()), (1, 2));
        assert!(ids.issued(first) && ids.issued(second));
        for other in [RequestId::new(3, 1, 3), RequestId::new(3, 0, 1), RequestId::new(2, 1, 1)] {
            assert!(!ids.issued(other), "{other:?}");
        }
    }

    #[test]
    #[should_panic(expected = "asked too often")]
    fn a_library_does_not_run_into_the_next_ones_numbers() {
        let mut ids = RequestIds { last: RequestId::new(1, 2, (1 << 24) - 1) };
        ids.next_id();
    }
}
