//! The connections of a Kafka client: which requests are unanswered where, when each is given up, and which node
//! may be asked. As Java's `NetworkClient` (3.9) it gives up a whole connection when one request on it times out, and
//! waits between 50 ms and 1 s before it connects anew (observed rows 1 and 3).
//!
//! Left out: the socket set-up time-outs (a frozen kernel is not modelled), and name resolution.

use crate::kafka::protocol::Request;
use crate::machine::{Effects, Now, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::record::{NodeId, TopicId};
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;

/// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`: Java's defaults, which nobody changes.
const RECONNECT: (Span, Span) = (Span::millis(50), Span::millis(1_000));

/// The span of an exponential back-off with Java's jitter of ±20 %, cut at `most`.
pub(crate) fn backoff(base: Span, most: Span, attempts: u32) -> (Span, Span) {
    let doubled = Span(base.0.saturating_mul(1 << attempts.min(20)).min(most.0));
    (Span(doubled.0 / 10 * 8), Span((doubled.0 / 10 * 12).min(most.0)))
}

/// A timer that is set for the earliest of many moments and is let run out rather than set anew for each of them:
/// under load it costs one event a time-out instead of one a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alarm {
    timer: Timer,
    at: Option<Time>,
}

impl Alarm {
    pub(crate) fn new(name: &'static str) -> Alarm {
        Alarm { timer: Timer::new(name, 0), at: None }
    }

    /// Run out at that moment or earlier.
    pub(crate) fn wake_by(&mut self, now: Now, at: Time, effects: &mut Effects) {
        if self.at.is_none_or(|armed| at < armed) {
            self.at = Some(at);
            effects.set_timer(self.timer, at.since(now.elapsed));
        }
    }

    /// Whether this timer is the alarm's, which then has run out.
    pub(crate) fn ran_out(&mut self, timer: Timer) -> bool {
        let own = timer == self.timer;
        if own {
            self.at = None;
        }
        own
    }
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
enum LinkState {
    /// It answers, or was never tried.
    #[default]
    Ready,
    /// It broke, and is not tried before the back-off is over.
    BackingOff,
    /// It broke, and may be tried.
    Idle,
    /// It is being tried: nothing else is sent before the answer (Java: `ApiVersions` comes first).
    Trying,
    /// It works, and the broker said to send nothing for a while (KIP-219).
    Throttled,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Link {
    state: LinkState,
    unanswered: u32,
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Asked<P> {
    to: NodeId,
    /// None for the first exchange on a new connection.
    purpose: Option<P>,
    deadline: Time,
}

/// The names of the timers, which begin with the library's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TimerNames {
    pub(crate) request: &'static str,
    pub(crate) reconnect: &'static str,
    pub(crate) metadata: &'static str,
}

/// What an input means for the connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard<P> {
    /// Nothing for the owner: not ours, late, or only a connection that may be tried again.
    Nothing,
    /// The answer to that request.
    Answer(P),
    /// The connections to these nodes broke; these requests are lost, in the order in which they were sent.
    Broken(Vec<NodeId>, Vec<P>),
}

/// The connections of one client library; `P` is what a request was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Network<P> {
    ids: RequestIds,
    names: TimerNames,
    request_timeout: Span,
    asked: LiteMap<RequestId, Asked<P>>,
    links: LiteMap<NodeId, Link>,
    alarm: Alarm,
    turn: usize,
}

impl<P: Clone> Network<P> {
    pub(crate) fn new(names: TimerNames, request_timeout: Span, incarnation: u32, lane: u16) -> Network<P> {
        Network {
            ids: RequestIds::new(incarnation, lane),
            names,
            request_timeout,
            asked: LiteMap::new(),
            links: LiteMap::new(),
            alarm: Alarm::new(names.request),
            turn: incarnation as usize + usize::from(lane),
        }
    }

    /// Whether that id was handed out in this life: all other answers are some other library's.
    pub(crate) fn issued(&self, id: RequestId) -> bool {
        self.ids.issued(id)
    }

    /// Whether something may be sent to that node now.
    pub(crate) fn ready(&self, node: NodeId) -> bool {
        self.links.get(&node).is_none_or(|link| link.state == LinkState::Ready)
    }

    /// Whether a coordinator's node can be asked: Java has a connection of its own for it, which no quota throttles.
    pub(crate) fn reaches(&self, node: NodeId) -> bool {
        let works = |link: &Link| matches!(link.state, LinkState::Ready | LinkState::Throttled);
        self.links.get(&node).is_none_or(works)
    }

    /// An answer of that node said to send nothing for so long.
    pub(crate) fn throttle(&mut self, node: NodeId, span: Span, effects: &mut Effects) {
        if span > Span::ZERO {
            let link = self.links.entry(node).or_default();
            if matches!(link.state, LinkState::Ready | LinkState::Throttled) {
                link.state = LinkState::Throttled;
                effects.set_timer(Timer::new(self.names.reconnect, u64::from(node.0)), span);
            }
        }
    }

    /// The requests to that node that are unanswered.
    pub(crate) fn unanswered(&self, node: NodeId) -> u32 {
        self.links.get(&node).map_or(0, |link| link.unanswered)
    }

    /// Ask, and give the answer up after the request time-out.
    pub(crate) fn ask(&mut self, now: Now, to: NodeId, purpose: P, request: Request, effects: &mut Effects) {
        let timeout = self.request_timeout;
        self.ask_within(now, to, Some(purpose), request, timeout, effects);
    }

    /// Ask, and give the answer up after that span.
    pub(crate) fn ask_within(
        &mut self,
        now: Now,
        to: NodeId,
        purpose: Option<P>,
        request: Request,
        timeout: Span,
        effects: &mut Effects,
    ) {
        let id = self.ids.next_id();
        let deadline = now.elapsed + timeout;
        let link = self.links.entry(to).or_default();
        link.unanswered += 1;
        // Whatever goes first over a broken connection tells whether it works again.
        if link.state == LinkState::Idle {
            link.state = LinkState::Trying;
        }
        self.asked.insert(id, Asked { to, purpose, deadline });
        self.alarm.wake_by(now, deadline, effects);
        effects.send(to, Message::KafkaRequest(id, Box::new(request)));
    }

    /// Tell a node something whose answer does not matter: that the connection breaks is heard all the same.
    pub(crate) fn tell(&mut self, to: NodeId, request: Request, effects: &mut Effects) {
        let id = self.ids.next_id();
        self.links.entry(to).or_default();
        effects.send(to, Message::KafkaRequest(id, Box::new(request)));
    }

    /// Try a connection that broke, if its back-off is over.
    pub(crate) fn connect(&mut self, now: Now, node: NodeId, topics: &[TopicId], effects: &mut Effects) {
        let idle = self.links.get(&node).is_some_and(|link| link.state == LinkState::Idle);
        if idle {
            let timeout = self.request_timeout;
            let request = Request::Metadata { topics: topics.to_vec() };
            self.ask_within(now, node, None, request, timeout, effects);
        }
    }

    /// The node to ask something that any can answer: a working connection with the fewest unanswered requests, else
    /// one that may be tried (Java's `leastLoadedNode`). None while all are backing off or being tried.
    pub(crate) fn least_loaded(&mut self, nodes: &[NodeId]) -> Option<NodeId> {
        self.turn = self.turn.wrapping_add(1);
        let count = nodes.len().max(1);
        let in_turn = || (0..nodes.len()).map(|step| nodes[(self.turn + step) % count]);
        let working = in_turn().filter(|node| self.ready(*node)).min_by_key(|node| self.unanswered(*node));
        working.or_else(|| {
            in_turn().find(|node| self.links.get(node).is_some_and(|link| link.state == LinkState::Idle))
        })
    }

    /// An answer came from that node.
    pub(crate) fn answered(&mut self, from: NodeId, id: RequestId) -> Heard<P> {
        let Some(asked) = self.asked.remove(&id) else { return Heard::Nothing };
        let link = self.links.entry(asked.to).or_default();
        link.unanswered = link.unanswered.saturating_sub(1);
        if asked.to == from {
            link.failures = 0;
            if link.state != LinkState::Throttled {
                link.state = LinkState::Ready;
            }
        }
        asked.purpose.map_or(Heard::Nothing, Heard::Answer)
    }

    /// A timer ran out. Returns None if it is not one of the connections'.
    pub(crate) fn timer(&mut self, now: Now, timer: Timer, effects: &mut Effects) -> Option<Heard<P>> {
        if timer.name == self.names.reconnect {
            let waiting = self.links.iter_mut().find(|(node, _)| u64::from(node.0) == timer.index);
            match waiting.map(|(_, link)| &mut link.state) {
                Some(state @ LinkState::BackingOff) => *state = LinkState::Idle,
                Some(state @ LinkState::Throttled) => *state = LinkState::Ready,
                _ => {}
            }
            return Some(Heard::Nothing);
        }
        self.alarm.ran_out(timer).then(|| self.give_up_late(now, effects))
    }

    /// A time-out breaks the whole connection: all that is unanswered on it is lost (observed row 3).
    fn give_up_late(&mut self, now: Now, effects: &mut Effects) -> Heard<P> {
        let late = |asked: &&Asked<P>| asked.deadline <= now.elapsed;
        let mut nodes: Vec<NodeId> = self.asked.values().filter(late).map(|asked| asked.to).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let lost = nodes.iter().flat_map(|node| self.broken(*node, effects)).collect();
        if let Some(next) = self.asked.values().map(|asked| asked.deadline).min() {
            self.alarm.wake_by(now, next, effects);
        }
        if nodes.is_empty() { Heard::Nothing } else { Heard::Broken(nodes, lost) }
    }

    /// The connection to that node broke, or could not be made.
    pub(crate) fn disconnected(&mut self, node: NodeId, effects: &mut Effects) -> Heard<P> {
        if !self.links.contains_key(&node) {
            return Heard::Nothing;
        }
        let lost = self.broken(node, effects);
        Heard::Broken(vec![node], lost)
    }

    fn broken(&mut self, node: NodeId, effects: &mut Effects) -> Vec<P> {
        let ids: Vec<RequestId> =
            self.asked.iter().filter(|(_, asked)| asked.to == node).map(|(id, _)| *id).collect();
        let lost = ids.iter().filter_map(|id| self.asked.remove(id)?.purpose).collect();
        let link = self.links.entry(node).or_default();
        let (least, most) = backoff(RECONNECT.0, RECONNECT.1, link.failures);
        link.unanswered = 0;
        link.failures += 1;
        link.state = LinkState::BackingOff;
        effects.set_timer_between(Timer::new(self.names.reconnect, u64::from(node.0)), least, most);
        lost
    }
}
