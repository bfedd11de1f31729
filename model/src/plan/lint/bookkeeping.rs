//! What a plan would have brought about by a line, by its own account: no faults, no delays, no truth.

use crate::plan::lint::ended::{Ended, State};
use crate::plan::lint::{Names, Severity, suggestion};
use crate::plan::{Act, Gate, Purpose};
use crate::record::Queue;
use crate::switch::WriteTo;
use std::collections::{BTreeMap, BTreeSet};

/// Phase, and step if any, both from 1.
pub(super) type Place = (usize, Option<usize>);

/// How bad it is, a message, and what to write instead.
pub(super) type Objection = (Severity, String, String);

/// A message and what to write instead.
type Complaint = (String, String);

/// The books at a line.
#[derive(Clone, Default)]
pub(super) struct Bookkeeping {
    /// Where the line stands.
    pub(super) place: Place,
    mirror_started: bool,
    pub(super) mirror_runs: bool,
    pub(super) reverse_mirror_runs: bool,
    corgi_stopped: bool,
    /// Groups that run the NewClient.
    rolled_out: BTreeSet<String>,
    paused: BTreeMap<String, Place>,
    /// Groups whose reads were switched at a time when nothing of theirs obeyed: where.
    switched_early: BTreeMap<String, Place>,
    switched: BTreeMap<String, Queue>,
    pub(super) writes: WriteTo,
    held: Option<Place>,
    /// Whether the hold covers every partition.
    pub(super) all_held: bool,
    /// Whether it was changed under that hold where producers write, or who copies what they write.
    pub(super) changed_under_hold: bool,
    /// The topics that were widened, and in which queue: to how many partitions.
    pub(super) widened: BTreeMap<(String, Queue), u16>,
    /// The broker sets that were added to Corgi.
    added: BTreeSet<u16>,
    /// The topics of Corgi that were narrowed, and for what: to how many partitions.
    narrowed: BTreeMap<(String, Purpose), u16>,
    /// What was so before, and is no more.
    ended: Ended,
}

impl Bookkeeping {
    /// Where a group reads: the NewClient where the switch says, the OldClient always from Corgi.
    fn reads_from(&self, group: &str) -> Queue {
        let switched = self.switched.get(group).copied().unwrap_or_default();
        if self.rolled_out.contains(group) { switched } else { Queue::Corgi }
    }

    pub(super) fn readers(&self, queue: Queue, names: &Names) -> Vec<String> {
        names.groups.iter().filter(|group| self.reads_from(group) == queue).cloned().collect()
    }

    /// Take an act into the books.
    pub(super) fn apply(&mut self, act: &Act) {
        self.note_the_end(act);
        match act {
            Act::StartMirror => (self.mirror_started, self.mirror_runs) = (true, true),
            Act::StopMirror => {
                self.mirror_runs = false;
                self.changed_under_hold |= self.all_held;
            }
            Act::StartReverseMirror => self.reverse_mirror_runs = true,
            Act::StopReverseMirror => {
                self.reverse_mirror_runs = false;
                self.changed_under_hold |= self.all_held;
            }
            Act::RollOut { group, .. } => {
                self.rolled_out.insert(group.clone());
                self.switched_early.remove(group);
            }
            Act::RollBack { group, .. } => {
                self.rolled_out.remove(group);
            }
            Act::PrepareOffsets { .. } | Act::ResetOffsets { .. } | Act::Rewind { .. } => {}
            Act::SwitchRead { group, to } => {
                self.switched.insert(group.clone(), *to);
                if !self.rolled_out.contains(group) {
                    self.switched_early.insert(group.clone(), self.place);
                }
            }
            Act::Pause { group } => {
                self.paused.entry(group.clone()).or_insert(self.place);
            }
            Act::Resume { group } => {
                self.paused.remove(group);
            }
            Act::SwitchWrite { to } => {
                self.changed_under_hold |= self.all_held && self.writes != *to;
                self.writes = *to;
            }
            Act::Hold { topics, partitions } => {
                self.held = self.held.or(Some(self.place));
                self.all_held |= topics.is_empty() && partitions.is_empty();
            }
            Act::Release => {
                (self.held, self.all_held, self.changed_under_hold) = (None, false, false);
            }
            Act::StopCorgi => self.corgi_stopped = true,
            Act::Narrow { topic, partitions, purpose } => {
                self.narrowed.insert((topic.clone(), *purpose), *partitions);
            }
            Act::AddBrokerSet { set } => {
                self.added.insert(*set);
            }
            Act::Widen { topic, partitions, site } => {
                self.widened.insert((topic.clone(), site.queue), *partitions);
            }
        }
    }

    /// Take into the books what an act brings to its end: a wait for it belongs before that act.
    fn note_the_end(&mut self, act: &Act) {
        let place = self.place;
        match act {
            Act::StopMirror if self.mirror_runs => self.ended.note(State::Mirror, act, place),
            Act::StopReverseMirror if self.reverse_mirror_runs => {
                self.ended.note(State::ReverseMirror, act, place);
            }
            Act::RollBack { group, .. } if self.rolled_out.contains(group) => {
                self.ended.note(State::Reading(group.clone(), self.reads_from(group)), act, place);
                self.ended.note(State::RolledOut(group.clone()), act, place);
            }
            Act::SwitchRead { group, to } if self.rolled_out.contains(group) => {
                let from = self.reads_from(group);
                if from != *to {
                    self.ended.note(State::Reading(group.clone(), from), act, place);
                }
            }
            Act::Resume { group } if self.paused.contains_key(group) => {
                self.ended.note(State::Paused(group.clone()), act, place);
            }
            Act::SwitchWrite { to } if self.writes != *to => {
                self.ended.note(State::Writing(self.writes), act, place);
            }
            Act::Release if self.held.is_some() => self.ended.note(State::Held, act, place),
            Act::StopCorgi if !self.corgi_stopped => self.ended.note(State::Corgi, act, place),
            _ => {}
        }
    }

    /// What speaks against doing this now, if anything.
    pub(super) fn objection(&self, act: &Act, names: &Names) -> Option<Objection> {
        let warning = |message: String, help: &str| Some((Severity::Warning, message, help.to_owned()));
        match act {
            Act::StopMirror if !self.mirror_runs => warning(
                "the mirror does not run here".to_owned(),
                &self.ended.or_leave_out(&State::Mirror, "start-mirror"),
            ),
            Act::StopMirror => self.cuts_off(Queue::Corgi, names),
            Act::StartMirror if self.mirror_runs => {
                warning("the mirror runs already".to_owned(), "Leave it out")
            }
            Act::StopReverseMirror if !self.reverse_mirror_runs => warning(
                "the reverse mirror does not run here".to_owned(),
                &self.ended.or_leave_out(&State::ReverseMirror, "start-reverse-mirror"),
            ),
            Act::StopReverseMirror => self.cuts_off(Queue::Kafka, names),
            Act::StartReverseMirror if self.reverse_mirror_runs => {
                warning("the reverse mirror runs already".to_owned(), "Leave it out")
            }
            Act::RollOut { group, .. } if self.rolled_out.contains(group) => {
                warning(format!("`{group}` is rolled out already"), "Leave it out")
            }
            Act::PrepareOffsets { group, .. } if self.reads_from(group) == Queue::Kafka => warning(
                format!(
                    "`{group}` reads from Kafka here: Kafka refuses the offsets of a group that has members"
                ),
                "Prepare the offsets before `switch-read`, as long as nobody of the group reads there",
            ),
            Act::ResetOffsets { group, .. }
                if !self.corgi_stopped && self.reads_from(group) == Queue::Corgi =>
            {
                warning(
                    format!(
                        "`{group}` reads from Corgi here: its instances commit over the offsets that are set"
                    ),
                    "Set the offsets before `switch-read`, as long as nobody of the group reads there",
                )
            }
            Act::RollBack { group, .. } if !self.rolled_out.contains(group) => warning(
                match self.ended.place(&State::RolledOut(group.clone())) {
                    Some(_) => format!("`{group}` was rolled back already"),
                    None => format!("`{group}` was not rolled out: there is nothing to go back from"),
                },
                &self.ended.or_leave_out(&State::RolledOut(group.clone()), "roll-out"),
            ),
            Act::Resume { group } if !self.paused.contains_key(group) => warning(
                format!("`{group}` is not paused here: to resume it changes nothing"),
                &self.ended.or_leave_out(&State::Paused(group.clone()), "pause"),
            ),
            Act::Release if self.held.is_none() => warning(
                "nothing is held here: to release changes nothing".to_owned(),
                &self.ended.or_leave_out(&State::Held, "hold"),
            ),
            Act::Release if self.changed_under_hold => self.writes_past(self.writes, names),
            Act::Rewind { group, .. } => self.cannot_rewind(group),
            Act::StopCorgi => self.corgi_in_use(names),
            Act::Widen { topic, partitions, site } if site.queue == Queue::Kafka || !self.corgi_stopped => {
                self.cannot_widen(topic, *partitions, site.queue, names)
                    .or_else(|| self.no_such_set(site.on, names))
                    .or_else(|| self.widens_under_way(topic, *partitions, site.queue, names))
            }
            Act::Narrow { topic, partitions, purpose } if !self.corgi_stopped => {
                self.cannot_narrow(topic, *partitions, *purpose, names)
            }
            Act::AddBrokerSet { set } if !self.corgi_stopped => self.cannot_add(*set, names),
            Act::StartMirror if !self.corgi_stopped => self.narrower_target(names),
            _ if self.corgi_stopped && needs_corgi(act) => Some((
                Severity::Error,
                "Corgi was stopped for good before this step".to_owned(),
                self.ended.or(&State::Corgi, "Do this", "Do this before `stop-corgi`"),
            )),
            // Who holds everything back writes nothing until it is released.
            Act::SwitchWrite { to } if self.writes != *to && !self.all_held => self.writes_past(*to, names),
            _ => None,
        }
    }

    /// How many partitions a topic has here, if there is such a topic.
    pub(super) fn count(&self, topic: &str, queue: Queue, names: &Names) -> Option<u16> {
        let of =
            |list: &[(String, u16)]| list.iter().find(|(name, _)| name == topic).map(|(_, count)| *count);
        let in_corgi = of(&names.topics)?;
        let at_first = match queue {
            Queue::Corgi => in_corgi,
            Queue::Kafka => of(&names.targets).unwrap_or(in_corgi),
        };
        Some(self.widened.get(&(topic.to_owned(), queue)).copied().unwrap_or(at_first))
    }

    /// Why a topic cannot be narrowed, or had better not be, if so.
    fn cannot_narrow(
        &self,
        topic: &str,
        partitions: u16,
        purpose: Purpose,
        names: &Names,
    ) -> Option<Objection> {
        let error = |message: String, help: String| Some((Severity::Error, message, help));
        let Some(count) = self.count(topic, Queue::Corgi, names) else {
            let known = names.topics.iter().map(|(name, _)| name.as_str());
            return error(format!("there is no topic `{topic}`"), suggestion(topic, known));
        };
        let used = |purpose| self.narrowed.get(&(topic.to_owned(), purpose)).copied().unwrap_or(count);
        if partitions == 0 || partitions >= used(purpose) {
            return error(
                format!(
                    "`{topic}` has {} partitions for {purpose} here: it is not narrowed to {partitions}",
                    used(purpose)
                ),
                format!("Write a count from 1 to {}", used(purpose).saturating_sub(1).max(1)),
            );
        }
        (purpose == Purpose::Reading && partitions < used(Purpose::Writing)).then(|| {
            (
                Severity::Warning,
                format!(
                    "`{topic}` is narrowed for reading while producers are told of {} partitions",
                    used(Purpose::Writing)
                ),
                "Narrow it for writing first, and for reading when everything is read".to_owned(),
            )
        })
    }

    /// Why the new partitions cannot be on that broker set, if so.
    fn no_such_set(&self, set: Option<u16>, names: &Names) -> Option<Objection> {
        let set = set.filter(|set| *set >= names.broker_sets && !self.added.contains(set))?;
        let error = |message: String, help: String| Some((Severity::Error, message, help));
        if set >= names.broker_sets + names.standby_sets {
            return error(format!("Corgi has no broker set {set}"), sets_there_are(names));
        }
        error(
            format!("the broker set {set} does not run here: nobody would ever confirm it"),
            format!("Write {{ do = \"add-broker-set\", set = {set} }} before it"),
        )
    }

    /// Why a broker set cannot be added, if so.
    fn cannot_add(&self, set: u16, names: &Names) -> Option<Objection> {
        if set >= names.broker_sets + names.standby_sets {
            Some((Severity::Error, format!("Corgi has no broker set {set}"), sets_there_are(names)))
        } else if set < names.broker_sets {
            Some((
                Severity::Error,
                format!("the broker set {set} runs from the beginning"),
                sets_there_are(names),
            ))
        } else if self.added.contains(&set) {
            let message = format!("the broker set {set} was added already");
            Some((Severity::Warning, message, "Leave it out".to_owned()))
        } else {
            None
        }
    }

    /// A rewind that nobody can carry out is never confirmed.
    fn cannot_rewind(&self, group: &str) -> Option<Objection> {
        let error = |message: String, help: String| Some((Severity::Error, message, help));
        if !self.rolled_out.contains(group) {
            return error(
                format!("`{group}` is not rolled out before this step: only the NewClient can go back"),
                self.ended.or(
                    &State::RolledOut(group.to_owned()),
                    "Go back",
                    &format!("Write {{ do = \"roll-out\", group = \"{group}\" }} before it"),
                ),
            );
        }
        if self.reads_from(group) == Queue::Corgi {
            return error(
                format!("`{group}` reads from Corgi here: only what is read from Kafka can go back"),
                self.ended.or(
                    &State::Reading(group.to_owned(), Queue::Kafka),
                    "Go back",
                    &format!(
                        "Write {{ do = \"switch-read\", group = \"{group}\", to = \"kafka\" }} before it"
                    ),
                ),
            );
        }
        None
    }

    /// A topic is there, and gets more partitions than it has.
    fn cannot_widen(&self, topic: &str, partitions: u16, queue: Queue, names: &Names) -> Option<Objection> {
        let error = |message: String, help: String| Some((Severity::Error, message, help));
        let Some(count) = self.count(topic, queue, names) else {
            let known = names.topics.iter().map(|(name, _)| name.as_str());
            return error(format!("there is no topic `{topic}`"), suggestion(topic, known));
        };
        let is_narrowed = self.narrowed.keys().any(|(name, _)| name == topic);
        if queue == Queue::Corgi && is_narrowed {
            return error(
                format!("`{topic}` was narrowed before: it is not made wider again"),
                "Leave one of the two out".to_owned(),
            );
        }
        if partitions > count {
            return None;
        }
        let there = if queue == Queue::Kafka { " in Kafka" } else { "" };
        if partitions == count {
            return Some((
                Severity::Warning,
                format!(
                    "`{topic}` has {count} partitions{there} here: to widen it to {partitions} gives it none more"
                ),
                "Leave it out, unless a failover may have hidden them (hazard 70)".to_owned(),
            ));
        }
        error(
            format!(
                "`{topic}` has {count} partitions{there} here: to widen it to {partitions} gives it none more"
            ),
            format!("Write partitions = {} or more: `widen` gives a topic none less", u32::from(count) + 1),
        )
    }

    fn corgi_in_use(&self, names: &Names) -> Option<Objection> {
        let readers = self.readers(Queue::Corgi, names);
        let mut uses = Vec::new();
        if self.writes != WriteTo::Kafka {
            uses.push(format!(
                "producers write to {}",
                if self.writes == WriteTo::Both { "both queues" } else { "it" }
            ));
        }
        if !readers.is_empty() {
            uses.push(format!("{} read from it", readers.join(", ")));
        }
        if self.mirror_runs {
            uses.push("the mirror runs".to_owned());
        }
        if self.reverse_mirror_runs {
            uses.push("the reverse mirror runs".to_owned());
        }
        (!uses.is_empty()).then(|| {
            (
                Severity::Warning,
                format!("Corgi is stopped for good while {}", uses.join(" and ")),
                "Switch its readers and writers to Kafka and stop the mirror first".to_owned(),
            )
        })
    }

    /// Why this gate can never open here, if so.
    pub(super) fn never_opens(&self, gate: &Gate, names: &Names) -> Option<Complaint> {
        match gate {
            Gate::Elapsed { .. } => None,
            Gate::MirrorReady | Gate::MirrorLag { .. } | Gate::MirrorDrained => self.without_mirror(gate),
            Gate::ReverseMirrorLag { .. } | Gate::ReverseMirrorDrained => {
                (!self.reverse_mirror_runs).then(|| {
                    complaint(
                        "the reverse mirror does not run here".to_owned(),
                        &self
                            .ended
                            .or_wait(&State::ReverseMirror, "Write `start-reverse-mirror` before this wait"),
                    )
                })
            }
            Gate::GroupLag { group, .. } => self.without_corgi(
                self.reads_from(group) == Queue::Corgi,
                "Corgi's masters, whom this wait asks, were stopped before it",
            ),
            Gate::Upgraded { group } | Gate::OldStopped { group } => self.without_roll_out(group),
            Gate::Paused { group } => self.without_roll_out(group).or_else(|| {
                (!self.paused.contains_key(group)).then(|| {
                    complaint(
                        format!("`{group}` is not paused here"),
                        &self.ended.or_wait(&State::Paused(group.clone()), "Write `pause` before this wait"),
                    )
                })
            }),
            Gate::Reading { group, from } => self.without_roll_out(group).or_else(|| {
                (self.reads_from(group) != *from).then(|| {
                    complaint(
                        format!("`{group}` reads from {} here", self.reads_from(group)),
                        &self.ended.or_wait(
                            &State::Reading(group.clone(), *from),
                            "Write `switch-read` before this wait",
                        ),
                    )
                })
            }),
            Gate::Held => self.held.is_none().then(|| {
                complaint(
                    "nothing is held here".to_owned(),
                    &self.ended.or_wait(&State::Held, "Write `hold` before this wait"),
                )
            }),
            Gate::Writing { to } => (self.writes != *to).then(|| {
                complaint(
                    format!("producers write to {} here", self.writes),
                    &self.ended.or_wait(&State::Writing(*to), "Write `switch-write` before this wait"),
                )
            }),
            Gate::OnlyMirrorReads | Gate::NobodyReads => self.with_readers(gate, names),
            Gate::NoDelayed => {
                self.without_corgi(true, "Corgi's masters, whom this wait asks, were stopped before it")
            }
        }
    }

    fn without_mirror(&self, gate: &Gate) -> Option<Complaint> {
        if !self.mirror_runs {
            let state = if self.mirror_started { "was stopped before" } else { "is not started before" };
            return Some(complaint(
                format!("the mirror {state} this wait"),
                &self.ended.or_wait(&State::Mirror, "Write `start-mirror` before it"),
            ));
        }
        self.without_corgi(
            *gate != Gate::MirrorReady,
            "Corgi's masters, whom this wait asks, were stopped before it",
        )
    }

    fn without_corgi(&self, asks_corgi: bool, message: &str) -> Option<Complaint> {
        (asks_corgi && self.corgi_stopped).then(|| {
            complaint(
                message.to_owned(),
                &self.ended.or_wait(&State::Corgi, "Write this wait before `stop-corgi`"),
            )
        })
    }

    fn without_roll_out(&self, group: &str) -> Option<Complaint> {
        (!self.rolled_out.contains(group)).then(|| {
            let rolled_out = State::RolledOut(group.to_owned());
            let state = match self.ended.place(&rolled_out) {
                Some(_) => "was rolled back",
                None => "is not rolled out",
            };
            complaint(
                format!("`{group}` {state} before this wait"),
                &self.ended.or_wait(
                    &rolled_out,
                    &format!("Write {{ do = \"roll-out\", group = \"{group}\" }} before it"),
                ),
            )
        })
    }

    fn with_readers(&self, gate: &Gate, names: &Names) -> Option<Complaint> {
        let readers = self.readers(Queue::Corgi, names);
        if !readers.is_empty() {
            let away = |group: &String| State::Reading(group.clone(), Queue::Kafka);
            // Where each of them read from Kafka before, the first that went back is the one to wait before.
            let switch = "Write `switch-read` to Kafka for each of them before this wait";
            let went_back: Option<Vec<_>> =
                readers.iter().map(|group| self.ended.place(&away(group)).zip(Some(away(group)))).collect();
            let first = went_back.and_then(|all| all.into_iter().min());
            return Some(complaint(
                format!("by the plan {} read from Corgi here", readers.join(", ")),
                &first.map_or(switch.to_owned(), |(_, state)| self.ended.or_wait(&state, switch)),
            ));
        }
        if *gate == Gate::NobodyReads && self.mirror_runs {
            return Some(complaint(
                "the mirror reads from Corgi here".to_owned(),
                "Write `stop-mirror` before this wait",
            ));
        }
        self.without_corgi(true, "Corgi's masters, whom this wait asks, were stopped before it")
    }

    /// What the plan's end leaves open: where it was opened, and what is wrong.
    pub(super) fn left_open(&self) -> Vec<(Place, String, String)> {
        let mut open = Vec::new();
        for (group, place) in &self.switched_early {
            open.push((
                *place,
                format!("the reads of `{group}` are switched, but it is never rolled out: the OldClient knows no switch"),
                format!("Write {{ do = \"roll-out\", group = \"{group}\" }} before it"),
            ));
        }
        for (group, place) in &self.paused {
            let help = format!("Write {{ do = \"resume\", group = \"{group}\" }} behind it");
            open.push((*place, format!("`{group}` is paused and never resumed"), help));
        }
        if let Some(place) = self.held {
            open.push((
                place,
                "the hold is never released: producers wait for ever".to_owned(),
                "Write { do = \"release\" } behind it".to_owned(),
            ));
        }
        open.sort();
        open
    }
}

fn complaint(message: String, help: &str) -> Complaint {
    (message, help.to_owned())
}

fn needs_corgi(act: &Act) -> bool {
    matches!(
        act,
        Act::StartMirror
            | Act::StartReverseMirror
            | Act::SwitchWrite { to: WriteTo::Corgi | WriteTo::Both }
            | Act::SwitchRead { to: Queue::Corgi, .. }
            | Act::RollBack { .. }
            | Act::Widen { .. }
            | Act::AddBrokerSet { .. }
            | Act::Narrow { .. }
            | Act::ResetOffsets { .. }
    )
}

fn sets_there_are(names: &Names) -> String {
    match names.standby_sets {
        0 => "None stands by: write `standby-sets = 1` under `[corgi]`".to_owned(),
        1 => format!("The one that stands by is set = {}", names.broker_sets),
        more => {
            format!("Those that stand by are set = {} to {}", names.broker_sets, names.broker_sets + more - 1)
        }
    }
}
