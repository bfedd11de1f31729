//! The human on call, who does Corgi's failover by hand: he watches the masters, and when one is gone for everybody
//! and not only for him, he promotes a slave.
//!
//! He works from what he is told, repeats everything until it is answered, and keeps notes of what he has begun. He
//! never gives up a failover that has begun to fence, since the slaves obey the old master no more.

mod failover;

use crate::corgi::protocol::{Epoch, Length, Refusal, Request, Response, Status};
use crate::corgi::{Settings, Wiring};
use crate::incident::{DiskLoss, Incident};
use crate::machine::{Effects, Input, Machine, Now, Process, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::record::NodeId;
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const WATCH: Timer = Timer::new("corgi-on-call/watch", 0);

/// The human on call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnCall {
    settings: Settings,
    wiring: Wiring,
    durable: Durable,
    volatile: Volatile,
}

/// His notes, which survive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// By the number of the broker set.
    sets: Vec<Notes>,
}

/// What he has noted of a broker set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Notes {
    master: NodeId,
    epoch: Epoch,
    /// How far the master's log went, as it last told him.
    length: Length,
    /// The failover that he has begun and whose new master has not confirmed yet.
    failover: Option<Failover>,
    /// Who has still to be told of the new master.
    to_tell: BTreeSet<NodeId>,
}

/// A failover under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Failover {
    epoch: Epoch,
    /// The brokers' final lengths, as they report them.
    lengths: BTreeMap<NodeId, Length>,
    chosen: Option<NodeId>,
    /// From when on he goes on without who has not answered.
    patient_until: Time,
}

/// What he forgets when he falls asleep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    ids: RequestIds,
    sets: Vec<Watch>,
}

/// What he sees of a broker set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Watch {
    /// The question to the master that is not answered yet, and when he first asked without an answer.
    looking: Option<(RequestId, Time)>,
    unreachable_since: Option<Time>,
    /// What the brokers said of themselves, and when.
    statuses: BTreeMap<NodeId, (Time, Status)>,
    /// The master that the name service lists and how long it has been silent, and when that was said.
    seen: Option<(Time, Option<(NodeId, Span)>)>,
    /// The last order to each broker.
    orders: BTreeMap<NodeId, RequestId>,
    /// Somebody has told him to make another broker the master.
    wanted: bool,
}

impl OnCall {
    /// The human on call for that Corgi.
    pub fn new(settings: Settings, wiring: Wiring) -> OnCall {
        let notes = |brokers: &Vec<NodeId>| Notes {
            master: brokers.first().copied().unwrap_or_default(),
            epoch: 1,
            length: Length::default(),
            failover: None,
            to_tell: BTreeSet::new(),
        };
        let durable = Durable { sets: wiring.sets.iter().map(notes).collect() };
        let mut on_call = OnCall { settings, wiring, durable, volatile: Volatile::default() };
        on_call.crash();
        on_call
    }

    fn ask(&mut self, node: NodeId, request: Request, effects: &mut Effects) -> RequestId {
        let id = self.volatile.ids.next_id();
        effects.send(node, Message::CorgiRequest(id, Box::new(request)));
        id
    }

    fn order(&mut self, set: usize, node: NodeId, request: Request, effects: &mut Effects) {
        let id = self.ask(node, request, effects);
        self.volatile.sets[set].orders.insert(node, id);
    }

    /// The brokers of a set that are not its noted master.
    fn slaves(&self, set: usize) -> Vec<NodeId> {
        let master = self.durable.sets[set].master;
        self.wiring.sets[set].iter().copied().filter(|node| *node != master).collect()
    }

    fn watch(&mut self, now: Time, effects: &mut Effects) {
        for set in 0..self.durable.sets.len() {
            self.tell(set, effects);
            if self.durable.sets[set].failover.is_some() {
                self.pursue(now, set, effects);
                continue;
            }
            self.look(now, set, effects);
            if self.is_gone(now, set) {
                self.begin(now, set, effects);
            }
        }
        effects.set_timer(WATCH, self.settings.on_call.watch_interval);
    }

    /// Looks at the master, and where it does not answer, also asks those who should hear it.
    fn look(&mut self, now: Time, set: usize, effects: &mut Effects) {
        let wait = self.settings.on_call.answer_wait;
        let watch = &mut self.volatile.sets[set];
        let unanswered = watch.looking.filter(|(_, at)| now.since(*at) >= wait);
        if let Some((_, asked_at)) = unanswered {
            watch.unreachable_since.get_or_insert(asked_at);
        }
        let suspicious = watch.unreachable_since.is_some();
        let wanted = watch.wanted;
        let id = self.ask(self.durable.sets[set].master, Request::Status, effects);
        self.volatile.sets[set].looking = Some((id, now));
        if suspicious || wanted {
            for slave in self.slaves(set) {
                self.ask(slave, Request::Status, effects);
            }
        }
        if suspicious {
            self.ask(self.wiring.name_service, Request::Seen { set: set as u16 }, effects);
        }
    }

    /// Whether a master is gone for everybody: he has not reached it for long, and lately both slaves and the name
    /// service have said that they do not hear it either. His own broken link alone never makes a failover. When his patience is
    /// over, one slave's word is enough, if nobody says otherwise.
    fn is_gone(&self, now: Time, set: usize) -> bool {
        let settings = &self.settings.on_call;
        let watch = &self.volatile.sets[set];
        let Some(since) = watch.unreachable_since else { return false };
        if now.since(since) < settings.detection {
            return false;
        }
        let out_of_patience = self.is_out_of_patience(now, set);
        let words = self.slaves(set).into_iter().filter_map(|slave| self.lately(now, set, slave));
        let slaves_miss_it: Vec<bool> =
            words.map(|status| !status.master && status.master_silent_for >= settings.silence).collect();
        let all_answer = slaves_miss_it.len() == self.slaves(set).len();
        let listed = watch.seen.filter(|(at, _)| self.is_fresh(now, *at)).map(|(_, master)| master);
        let service_misses_it =
            listed.map(|master| master.is_none_or(|(_, silent)| silent >= settings.silence));
        (all_answer || out_of_patience && !slaves_miss_it.is_empty())
            && slaves_miss_it.iter().all(|misses| *misses)
            && service_misses_it.unwrap_or(out_of_patience)
    }

    /// Whether he has waited in vain for so long that he would decide without those who do not answer.
    fn is_out_of_patience(&self, now: Time, set: usize) -> bool {
        let settings = &self.settings.on_call;
        let waited = self.volatile.sets[set].unreachable_since.map(|since| now.since(since));
        waited
            .zip(settings.patience)
            .is_some_and(|(waited, patience)| waited >= settings.detection + patience)
    }

    fn is_fresh(&self, now: Time, at: Time) -> bool {
        now.since(at) <= self.settings.on_call.watch_interval * 2
    }

    /// What a broker lately said of itself.
    fn lately(&self, now: Time, set: usize, node: NodeId) -> Option<&Status> {
        let said = self.volatile.sets[set].statuses.get(&node);
        said.filter(|(at, _)| self.is_fresh(now, *at)).map(|(_, status)| status)
    }

    /// Somebody orders that another broker be the master of a set. He begins once both slaves have answered him: with
    /// one of them away, the set would stand still until it is back.
    fn fail_over(&mut self, now: Time, set: usize, effects: &mut Effects) {
        let under_way = self.durable.sets.get(set).is_none_or(|notes| notes.failover.is_some());
        if !under_way {
            self.volatile.sets[set].wanted = true;
            self.look(now, set, effects);
        }
    }

    /// Whether he was told to move a set to another master, and can.
    fn may_move(&self, now: Time, set: usize) -> bool {
        let watch = &self.volatile.sets[set];
        let lately = |at: Time| now.since(at) <= self.settings.on_call.answer_wait;
        watch.wanted
            && self.slaves(set).iter().all(|slave| {
                let said = watch.statuses.get(slave).filter(|(at, _)| lately(*at));
                said.is_some_and(|(_, status)| !status.master && status.epoch == self.durable.sets[set].epoch)
            })
    }

    fn status(
        &mut self,
        now: Time,
        (set, node): (usize, NodeId),
        (id, status): (RequestId, Status),
        effects: &mut Effects,
    ) {
        let watch = &mut self.volatile.sets[set];
        watch.statuses.insert(node, (now, status));
        let notes = &mut self.durable.sets[set];
        if notes.failover.is_some() {
            // With a fence only what he is told after it counts.
            if !self.settings.on_call.fence {
                self.told_length(now, (set, node), status.length, effects);
            }
            return;
        }
        if node == notes.master {
            let asked_last = watch.looking.is_some_and(|(looking, _)| looking == id);
            // It is back before he decided: he stands down.
            watch.looking = None;
            watch.unreachable_since = None;
            notes.length = status.length;
            if asked_last && !status.master {
                // It says of itself that it is no master any more: its disk lost something. There is nothing to wait for.
                self.begin(now, set, effects);
            }
        } else if status.master && status.epoch > notes.epoch {
            notes.master = node;
            notes.epoch = status.epoch;
            notes.length = status.length;
            *watch = Watch::default();
        } else if self.may_move(now, set) {
            self.begin(now, set, effects);
        }
    }

    fn response(
        &mut self,
        now: Time,
        from: NodeId,
        id: RequestId,
        response: &Response,
        effects: &mut Effects,
    ) {
        if !self.volatile.ids.issued(id) {
            return;
        }
        if let Response::Seen { set, master } = response {
            if let Some(watch) = self.volatile.sets.get_mut(usize::from(*set)) {
                watch.seen = Some((now, *master));
            }
            return;
        }
        let Some(set) = self.wiring.sets.iter().position(|brokers| brokers.contains(&from)) else { return };
        let ordered = self.volatile.sets[set].orders.get(&from) == Some(&id);
        match response {
            Response::Status(status) => self.status(now, (set, from), (id, *status), effects),
            Response::Done { epoch, length } if ordered => {
                self.done(now, (set, from), (*epoch, *length), effects);
            }
            Response::Refused(Refusal::Stale(epoch)) if ordered => self.outdated(now, (set, from), *epoch),
            _ => {}
        }
    }

    fn disconnected(&mut self, now: Time, node: NodeId) {
        for (notes, watch) in self.durable.sets.iter().zip(&mut self.volatile.sets) {
            if notes.master == node {
                watch.looking = None;
                watch.unreachable_since.get_or_insert(now);
            }
        }
    }
}

impl Machine for OnCall {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let now = now.elapsed;
        match input {
            Input::Start { incarnation } => {
                self.volatile.ids = RequestIds::new(incarnation, 0);
                effects.set_timer(WATCH, self.settings.on_call.watch_interval);
            }
            Input::Message { from, message: Message::CorgiResponse(id, response) } => {
                self.response(now, from, id, &response, effects);
            }
            Input::Timer(WATCH) => self.watch(now, effects),
            Input::Disconnected(node) => self.disconnected(now, node),
            Input::Terminate => effects.processes.push(Process::Exit),
            Input::Incident(Incident::FailOver { set }) => self.fail_over(now, usize::from(set), effects),
            Input::Message { .. } | Input::Timer(_) | Input::Incident(_) => {}
            Input::Placed(_) | Input::Unreachable(_) => {}
        }
    }

    fn crash(&mut self) {
        self.volatile =
            Volatile { ids: RequestIds::default(), sets: vec![Watch::default(); self.durable.sets.len()] };
    }

    /// His notes are on no disk.
    fn lose(&mut self, _now: Now, _loss: DiskLoss) {}
}
