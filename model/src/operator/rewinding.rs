//! An online rewind: make out the offsets, ask Redis who is there, tell each of them, and go by what they answer. What
//! nobody has confirmed is told again to whoever Redis lists by then. The offsets are made out once: a repetition
//! goes back to the same place.

use crate::history::Event;
use crate::machine::{Effects, Now, RequestId};
use crate::message::Message;
use crate::operator::acts::{Errand, RewindErrand, errand};
use crate::operator::admin::{Desk, Goal};
use crate::operator::preparation::Preparation;
use crate::operator::wiring::Wiring;
use crate::operator::{AGAIN, Operator, Volatile};
use crate::plan::{Confirm, RewindTo};
use crate::record::{GroupId, NodeId, Offset, TopicPartition};
use crate::redis;
use crate::rewind::{self, Address, Command, InstanceId, Refusal, Registration};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far a rewind is: the operator's notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rewinding {
    /// His number of it.
    number: u64,
    /// The moment whose offsets are looked up, fixed when he began: by his own clock.
    moment: Option<Time>,
    /// The moment that the plan means. The history alone has it: he knows no time but his clock's.
    meant: Option<Time>,
    /// Where to, once that is made out.
    offsets: BTreeMap<TopicPartition, Offset>,
    /// The partitions that were confirmed.
    confirmed: BTreeSet<TopicPartition>,
    /// How often whom Redis listed was told.
    attempts: u32,
    /// Whose partitions are meant.
    of: (GroupId, Option<NodeId>),
    /// Whom Redis listed last.
    listed: Vec<InstanceId>,
    /// Whom it listed last, and has not answered.
    silent: Vec<Registration>,
    /// The commands that might still be obeyed.
    under_way: Vec<UnderWay>,
    /// Who has answered, or could not be reached.
    heard: BTreeSet<InstanceId>,
    /// What Redis was asked last; nothing once it has answered.
    asked: Option<RequestId>,
    /// Whether Redis owed an answer when it was asked again.
    redis_is_silent: bool,
    /// What whoever was told since Redis answered last said to it; who said nothing is not in it.
    said: BTreeMap<InstanceId, String>,
}

/// A command that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct UnderWay {
    to: Registration,
    attempt: u32,
    /// When it will have run out.
    until: Time,
}

impl Rewinding {
    fn new(number: u64, errand: &RewindErrand, now: Now) -> Rewinding {
        let (moment, meant) = match errand.to {
            RewindTo::Offset(_) => (None, None),
            RewindTo::At(moment) => (Some(Time::ZERO + moment), Some(Time::ZERO + moment)),
            RewindTo::Ago(span) => (Some(now.wall - span), Some(now.elapsed - span)),
        };
        Rewinding {
            number,
            moment,
            meant,
            offsets: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            attempts: 0,
            of: (errand.group, errand.instance),
            listed: Vec::new(),
            silent: Vec::new(),
            under_way: Vec::new(),
            heard: BTreeSet::new(),
            asked: None,
            redis_is_silent: false,
            said: BTreeMap::new(),
        }
    }

    /// Whether the offsets are made out.
    pub(super) fn knows_where_to(&self) -> bool {
        !self.offsets.is_empty()
    }

    /// Whom Redis listed has answered, and counts as heard or does not.
    fn answered(&mut self, by: InstanceId, is_heard: bool) {
        self.silent.retain(|listed| listed.instance != by);
        if is_heard {
            self.heard.insert(by);
        }
    }

    fn unconfirmed(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        let open = self.offsets.iter().filter(|(partition, _)| !self.confirmed.contains(partition));
        open.map(|(partition, offset)| (*partition, *offset))
    }

    /// Why it is not done.
    pub(super) fn because(&self, wiring: &Wiring) -> String {
        if self.redis_is_silent {
            return "Redis does not answer".to_owned();
        }
        let open: Vec<String> = self.unconfirmed().map(|(partition, _)| wiring.say(partition)).collect();
        let what = if open.is_empty() {
            "a command may still be obeyed".to_owned()
        } else {
            format!("no instance has confirmed {}", open.join(", "))
        };
        format!("{what}: {}", self.who_said_what(wiring))
    }

    /// What each said whom Redis lists, and whom it does not list of those who should be there.
    fn who_said_what(&self, wiring: &Wiring) -> String {
        let (group, meant) = self.of;
        let known = wiring.groups.get(usize::from(group.0)).map_or(&[][..], |group| &group.new_clients);
        let number = |node: NodeId| match known.iter().position(|known| *known == node) {
            Some(place) => place.to_string(),
            None => format!("at node {}", node.0),
        };
        let name = |by: &InstanceId| {
            let lives = self.listed.iter().filter(|listed| listed.node == by.node).count();
            let life = if lives > 1 { format!(" (life {})", by.incarnation) } else { String::new() };
            format!("instance {}{life}", number(by.node))
        };
        let mut parts: Vec<String> = Vec::new();
        for by in &self.listed {
            let said = match self.said.get(by) {
                Some(said) => format!("last {said}"),
                None if self.heard.contains(by) => "has answered before".to_owned(),
                None => "has not answered".to_owned(),
            };
            parts.push(format!("{} {said}", name(by)));
        }
        let is_listed = |node: &NodeId| self.listed.iter().any(|listed| listed.node == *node);
        let missing = known.iter().filter(|node| meant.is_none_or(|meant| meant == **node));
        let missing: Vec<String> =
            missing.filter(|node| !is_listed(node)).map(|node| number(*node)).collect();
        if self.listed.is_empty() {
            parts.push("Redis lists nobody".to_owned());
        } else if !missing.is_empty() {
            parts.push(format!("Redis does not list instance {}", missing.join(", ")));
        }
        parts.join(", ")
    }
}

impl Operator {
    /// Begin the rewind that is here, or go on with it.
    pub(super) fn rewind(&mut self, errand: &RewindErrand, now: Now, effects: &mut Effects) {
        if self.durable.rewinding.is_none() {
            self.durable.rewinds += 1;
            self.durable.rewinding = Some(Rewinding::new(self.durable.rewinds, errand, now));
        }
        let known = self.durable.rewinding.as_ref().is_some_and(Rewinding::knows_where_to);
        match (known, errand.to) {
            (true, _) if self.is_confirmed(errand) => self.rewound_if_confirmed(errand, now, effects),
            (true, _) => self.ask_redis(errand, effects),
            (false, RewindTo::Offset(offset)) => {
                let all = self
                    .volatile
                    .admin
                    .partitions_of(&self.wiring.groups[usize::from(errand.group.0)], &self.wiring);
                let offsets = all.into_iter().map(|partition| (partition, offset)).collect();
                self.begin_rewind(errand, offsets, effects);
            }
            (false, RewindTo::At(_) | RewindTo::Ago(_)) => self.look_up(errand, now, effects),
        }
    }

    fn look_up(&mut self, errand: &RewindErrand, now: Now, effects: &mut Effects) {
        let moment =
            self.durable.rewinding.as_ref().and_then(|rewinding| rewinding.moment).unwrap_or_default();
        let Volatile { admin, ids, .. } = &mut self.volatile;
        let mut desk = Desk { now, wiring: &self.wiring, ids, effects };
        match admin.goal {
            Goal::Prepare(_) => admin.try_again(self.settings.request_timeout, &mut desk),
            Goal::Idle | Goal::Figures(_) | Goal::Widen(_) => {
                admin.prepare(Preparation::look_up(errand.group, moment), &mut desk);
            }
        }
        // All may be known without a question.
        self.offsets_looked_up(now, effects);
    }

    /// Kafka told the offsets of the moment.
    pub(super) fn offsets_looked_up(&mut self, _now: Now, effects: &mut Effects) {
        let (Some(Errand::Rewind(errand)), Goal::Prepare(found)) = (
            self.act_here().map(|act| errand(act, &self.wiring, &self.durable.notes)),
            &self.volatile.admin.goal,
        ) else {
            return;
        };
        if found.done && found.only_looks_up() {
            let offsets = found.offsets().collect();
            self.volatile.admin.rest();
            self.begin_rewind(&errand, offsets, effects);
        }
    }

    fn begin_rewind(
        &mut self,
        errand: &RewindErrand,
        mut offsets: BTreeMap<TopicPartition, Offset>,
        effects: &mut Effects,
    ) {
        offsets.retain(|partition, _| errand.covers(*partition));
        let Some(rewinding) = &mut self.durable.rewinding else { return };
        rewinding.offsets = offsets;
        effects.record(Event::RewindAsked {
            rewind: rewinding.number,
            group: errand.group,
            offsets: rewinding.offsets.iter().map(|(partition, offset)| (*partition, *offset)).collect(),
            instance: errand.instance,
            moment: rewinding.meant,
        });
        self.ask_redis(errand, effects);
    }

    fn ask_redis(&mut self, errand: &RewindErrand, effects: &mut Effects) {
        let Some(rewinding) = &mut self.durable.rewinding else { return };
        let id = self.volatile.ids.next_id();
        rewinding.redis_is_silent = rewinding.asked.replace(id).is_some();
        let redis = self.wiring.redis.expect("a case with a rewind has a Redis");
        let request = redis::Message::Request(id, redis::Request::Scan { group: errand.group });
        effects.send(redis, Message::Redis(Box::new(request)));
    }

    /// Redis told who is there: each of them is told to go back.
    pub(super) fn redis_told(
        &mut self,
        from: NodeId,
        message: redis::Message,
        now: Now,
        effects: &mut Effects,
    ) {
        let redis::Message::Response(id, redis::Response::Found(found)) = message else { return };
        let Some(Errand::Rewind(errand)) =
            self.act_here().map(|act| errand(act, &self.wiring, &self.durable.notes))
        else {
            return;
        };
        let Some(rewinding) = &mut self.durable.rewinding else { return };
        if rewinding.asked != Some(id) || self.wiring.redis != Some(from) {
            return;
        }
        rewinding.asked = None;
        rewinding.redis_is_silent = false;
        let meant = |listed: &Registration| errand.instance.is_none_or(|node| listed.instance.node == node);
        rewinding.silent = found.into_iter().filter(meant).collect();
        rewinding.listed = rewinding.silent.iter().map(|listed| listed.instance).collect();
        rewinding.said.clear();
        if errand.confirm == Confirm::Instances {
            rewinding.silent.retain(|listed| !rewinding.heard.contains(&listed.instance));
        }
        let offsets: Vec<(TopicPartition, Offset)> = rewinding.unconfirmed().collect();
        rewinding.attempts += 1;
        let (rewind, attempt) = (rewinding.number, rewinding.attempts);
        let validity = self.settings.command_validity;
        let valid_until = (validity > Span::ZERO).then(|| now.wall + validity);
        rewinding.under_way.retain(|sent| sent.until > now.elapsed);
        for listed in &rewinding.silent {
            let command = Command { rewind, attempt, valid_until, to: *listed, offsets: offsets.clone() };
            let message = rewind::Message::Command(command);
            effects.call(listed.address, Message::Rewind(Box::new(message)));
            rewinding.under_way.push(UnderWay { to: *listed, attempt, until: now.elapsed + validity });
        }
        self.rewound_if_confirmed(&errand, now, effects);
    }

    /// Whoever has an address answered.
    pub(super) fn instance_told(&mut self, message: rewind::Message, now: Now, effects: &mut Effects) {
        let rewind::Message::Answer(answer) = message else { return };
        let Some(Errand::Rewind(errand)) =
            self.act_here().map(|act| errand(act, &self.wiring, &self.durable.notes))
        else {
            return;
        };
        let Some(rewinding) = &mut self.durable.rewinding else { return };
        if answer.rewind != rewinding.number {
            return;
        }
        let by = answer.to.instance;
        // Who has answered a repetition obeys none before it.
        rewinding.under_way.retain(|sent| sent.to != answer.to || sent.attempt > answer.attempt);
        match answer.outcome {
            Ok(partitions) => {
                for partition in partitions {
                    if rewinding.offsets.contains_key(&partition) && rewinding.confirmed.insert(partition) {
                        let (rewind, group) = (rewinding.number, errand.group);
                        effects.record(Event::Rewound { rewind, group, partition, by });
                    }
                }
                rewinding.said.insert(by, "confirmed what it has of them".to_owned());
                rewinding.answered(by, true);
            }
            Err(refusal) => {
                rewinding.said.insert(by, format!("answered {refusal}"));
                // One that came too late, or was overtaken, says nothing of whom it was for. Whoever else refuses is not whom
                // Redis had listed there, or has nothing: who counts instances misses nobody.
                if !matches!(refusal, Refusal::Outdated | Refusal::Expired) {
                    rewinding.answered(by, errand.confirm == Confirm::Instances);
                }
            }
        }
        self.rewound_if_confirmed(&errand, now, effects);
    }

    /// Nobody is at an address, or no more: of what was told there nothing is known.
    pub(super) fn address_unreachable(&mut self, gone: Address, now: Now, effects: &mut Effects) {
        let Some(Errand::Rewind(errand)) =
            self.act_here().map(|act| errand(act, &self.wiring, &self.durable.notes))
        else {
            return;
        };
        let Some(rewinding) = &mut self.durable.rewinding else { return };
        let before = (rewinding.silent.len(), rewinding.under_way.len());
        let there = rewinding.silent.iter().filter(|listed| listed.address == gone);
        let there: Vec<InstanceId> = there.map(|listed| listed.instance).collect();
        for by in &there {
            rewinding.said.insert(*by, "could not be reached".to_owned());
        }
        if errand.confirm == Confirm::Instances {
            rewinding.heard.extend(there);
        }
        rewinding.silent.retain(|listed| listed.address != gone);
        rewinding.under_way.retain(|sent| sent.to.address != gone);
        if (rewinding.silent.len(), rewinding.under_way.len()) != before {
            self.rewound_if_confirmed(&errand, now, effects);
        }
    }

    /// Whether what he waits for was confirmed.
    fn is_confirmed(&self, errand: &RewindErrand) -> bool {
        let Some(rewinding) = self.durable.rewinding.as_ref().filter(|it| it.knows_where_to()) else {
            return false;
        };
        match (errand.confirm, errand.instance) {
            (Confirm::Partitions, None) => rewinding.unconfirmed().next().is_none(),
            (Confirm::Partitions, Some(_)) => !rewinding.heard.is_empty(),
            (Confirm::Instances, _) => {
                rewinding.asked.is_none() && rewinding.silent.is_empty() && !rewinding.heard.is_empty()
            }
        }
    }

    /// Go on if it is done: who goes by the partitions does so when nobody can obey him any more, so that what is confirmed
    /// is not sought once more behind his back.
    fn rewound_if_confirmed(&mut self, errand: &RewindErrand, now: Now, effects: &mut Effects) {
        if !self.is_confirmed(errand) {
            return;
        }
        let Some(rewinding) = &self.durable.rewinding else { return };
        let under_way = rewinding.under_way.iter().map(|sent| sent.until).max();
        match under_way.filter(|until| *until > now.elapsed && errand.confirm == Confirm::Partitions) {
            Some(until) => effects.set_timer(AGAIN, until.since(now.elapsed)),
            None => self.act_done(effects),
        }
    }
}
