//! Whether a gate is open, by what the operator was told and by nothing else. A report that is missing or too old keeps
//! it shut: nobody's silence is taken for consent.

use crate::deployment::Target;
use crate::operator::acts::Notes;
use crate::operator::admin::{Admin, Reader};
use crate::operator::reports::{Reports, Told};
use crate::operator::wiring::Wiring;
use crate::plan::Gate;
use crate::record::{GroupId, NodeId, Offset, Queue, TopicPartition};
use crate::report::{Delayed, DeployedTarget, Report};
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What a gate is judged by.
pub(super) struct Judge<'a> {
    pub(super) wiring: &'a Wiring,
    pub(super) reports: &'a Reports,
    pub(super) admin: &'a Admin,
    pub(super) notes: &'a Notes,
    pub(super) now: Time,
    /// When the gate was reached.
    pub(super) reached_at: Time,
    /// A report that was asked for before that counts as none.
    pub(super) since: Time,
}

/// Open, or why not.
type Judgement = Result<(), String>;

/// A figure out of a report: the figure, and when the report was asked for.
type Dated = (Offset, Time);

/// How far a partition's reader is behind.
struct Behind {
    partition: TopicPartition,
    records: u64,
    asked_at: Time,
}

/// Whom the operator must ask to judge a gate.
pub(super) fn witnesses(gate: &Gate, wiring: &Wiring, notes: &Notes) -> Vec<NodeId> {
    match gate {
        Gate::Elapsed { .. } => Vec::new(),
        Gate::MirrorReady | Gate::Upgraded { .. } | Gate::OldStopped { .. } => vec![wiring.deployment],
        Gate::MirrorLag { .. } | Gate::MirrorDrained => {
            notes.corgi_brokers(wiring).chain(wiring.mirror_workers.iter().copied()).collect()
        }
        Gate::ReverseMirrorLag { .. } | Gate::ReverseMirrorDrained => wiring.reverse_mirror_workers.clone(),
        Gate::GroupLag { group, .. } => match notes.queue_of(wiring.group(group).0) {
            Queue::Kafka => Vec::new(),
            Queue::Corgi => notes.corgi_brokers(wiring).collect(),
        },
        Gate::Paused { group } | Gate::Reading { group, .. } => wiring.group(group).1.new_clients.clone(),
        Gate::Held | Gate::Writing { .. } => wiring.producers.clone(),
        Gate::OnlyMirrorReads | Gate::NobodyReads | Gate::NoDelayed => notes.corgi_brokers(wiring).collect(),
    }
}

/// Whose figures must be asked of Kafka itself, if the gate needs any.
pub(super) fn figures_of(gate: &Gate, wiring: &Wiring, notes: &Notes) -> Option<Reader> {
    match gate {
        Gate::ReverseMirrorLag { .. } | Gate::ReverseMirrorDrained => Some(Reader::ReverseMirror),
        Gate::GroupLag { group, .. } => {
            let (id, _) = wiring.group(group);
            (notes.queue_of(id) == Queue::Kafka).then_some(Reader::Group(id))
        }
        _ => None,
    }
}

impl Judge<'_> {
    /// Whether that gate is open.
    pub(super) fn judge(&self, gate: &Gate) -> Judgement {
        match gate {
            Gate::Elapsed { span } => self.elapsed(*span),
            Gate::MirrorReady => {
                self.all_new_ready(Target::Mirror, "the mirror", self.wiring.mirror_workers.len())
            }
            Gate::MirrorLag { at_most } => self.mirror_lag(*at_most),
            Gate::MirrorDrained => self.mirror_lag(0),
            Gate::ReverseMirrorLag { at_most } => self.reverse_mirror_lag(*at_most),
            Gate::ReverseMirrorDrained => self.reverse_mirror_lag(0),
            Gate::GroupLag { group, at_most } => self.group_lag(group, *at_most),
            Gate::Upgraded { group } => {
                let (id, wiring) = self.wiring.group(group);
                self.all_new_ready(Target::Group(id), group, wiring.new_clients.len())
            }
            Gate::OldStopped { group } => {
                let (deployed, asked_at) = self.deployed(Target::Group(self.wiring.group(group).0), group)?;
                shut(deployed.old_running > 0, || {
                    format!(
                        "{} OldClients of {group} still run ({})",
                        deployed.old_running,
                        self.age(asked_at)
                    )
                })
            }
            Gate::Paused { group } => {
                self.every_instance(group, |paused, _| (!paused).then(|| "is not paused".to_owned()))
            }
            Gate::Reading { group, from } => self.every_instance(group, |_, reading| {
                (reading != *from).then(|| format!("reads from {reading}"))
            }),
            Gate::Held => self.every_producer(|report| match report {
                Report::Producer { held: true, .. } => None,
                Report::Producer { in_flight, .. } => {
                    Some(format!("does not hold ({in_flight} sends in flight)"))
                }
                _ => Some("does not report as a producer".to_owned()),
            }),
            Gate::Writing { to } => self.every_producer(|report| match report {
                Report::Producer { write, .. } if write == to => None,
                Report::Producer { write, .. } => Some(format!("writes to {write}")),
                _ => Some("does not report as a producer".to_owned()),
            }),
            Gate::OnlyMirrorReads => self.no_reader(false),
            Gate::NobodyReads => self.no_reader(true),
            Gate::NoDelayed => self.no_delayed(),
        }
    }

    fn age(&self, asked_at: Time) -> String {
        let age = self.now.since(asked_at);
        // A dashboard's ages are read in seconds.
        format!("report {} s old", age.as_millis() / 1_000)
    }

    fn told(&self, node: NodeId) -> Option<&Told> {
        self.reports.of(node, self.since)
    }

    fn elapsed(&self, span: Span) -> Judgement {
        let passed = self.now.since(self.reached_at);
        shut(passed < span, || format!("{} s of {span} have passed", passed.as_millis() / 1_000))
    }

    fn deployed(&self, target: Target, name: &str) -> Result<(DeployedTarget, Time), String> {
        let told = self.told(self.wiring.deployment).ok_or("the deployment has no report that counts")?;
        let Report::Deployment { targets } = &told.report else {
            return Err("the deployment's report is no deployment's".to_owned());
        };
        let deployed = targets.iter().find(|deployed| deployed.target == target);
        let deployed = deployed.ok_or_else(|| format!("the deployment's report does not list {name}"))?;
        Ok((*deployed, told.asked_at))
    }

    fn all_new_ready(&self, target: Target, name: &str, known: usize) -> Judgement {
        let (deployed, asked_at) = self.deployed(target, name)?;
        // The address book's count stands beside the deployment's: whoever has lost its list must not open a gate.
        let expected = deployed.new_expected.max(known as u32);
        shut(deployed.new_ready < expected, || {
            format!(
                "{} of {expected} new processes of {name} are ready ({})",
                deployed.new_ready,
                self.age(asked_at)
            )
        })
    }

    /// Every NewClient instance reports, and `objection` (given paused, reading) has nothing against it.
    fn every_instance(&self, group: &str, objection: impl Fn(bool, Queue) -> Option<String>) -> Judgement {
        let (_, wiring) = self.wiring.group(group);
        for (place, node) in wiring.new_clients.iter().enumerate() {
            let instance = format!("instance {} of {group}", place + 1);
            let told = self.told(*node).ok_or_else(|| format!("{instance} has no report that counts"))?;
            let objection = match told.report {
                Report::Consumer { new_client: true, paused, reading, .. } => objection(paused, reading),
                _ => Some("does not run the NewClient".to_owned()),
            };
            if let Some(objection) = objection {
                return Err(format!("{instance} {objection} ({})", self.age(told.asked_at)));
            }
        }
        Ok(())
    }

    fn every_producer(&self, objection: impl Fn(&Report) -> Option<String>) -> Judgement {
        for (place, node) in self.wiring.producers.iter().enumerate() {
            let told = self.told(*node);
            let told = told.ok_or_else(|| format!("producer {} has no report that counts", place + 1))?;
            if let Some(objection) = objection(&told.report) {
                return Err(format!("producer {} {objection} ({})", place + 1, self.age(told.asked_at)));
            }
        }
        Ok(())
    }

    /// Whom to believe about each source partition: of several that say they are its master (there are two after a
    /// split), the one whose report was asked for last, and of those the one who answered last.
    fn masters(&self) -> BTreeMap<TopicPartition, (Offset, NodeId, &Told)> {
        let mut masters: BTreeMap<TopicPartition, (Offset, NodeId, &Told)> = BTreeMap::new();
        for node in self.notes.corgi_brokers(self.wiring) {
            let Some(told) = self.told(node) else { continue };
            let Report::Corgi { master: true, ends, .. } = &told.report else { continue };
            for (partition, end) in ends {
                let newer = masters.get(partition).is_none_or(|(_, _, known)| {
                    (told.asked_at, told.told_at) > (known.asked_at, known.told_at)
                });
                if newer {
                    masters.insert(*partition, (*end, node, told));
                }
            }
        }
        masters
    }

    /// How far each partition was copied: the furthest of all these workers'.
    fn copied(&self, workers: &[NodeId]) -> BTreeMap<TopicPartition, Dated> {
        let mut furthest: BTreeMap<TopicPartition, Dated> = BTreeMap::new();
        for told in workers.iter().filter_map(|node| self.told(*node)) {
            let Report::Mirror { copied, .. } = &told.report else { continue };
            for (partition, offset) in copied {
                let known = furthest.entry(*partition).or_insert((*offset, told.asked_at));
                if *offset > known.0 {
                    *known = (*offset, told.asked_at);
                }
            }
        }
        furthest
    }

    fn mirror_lag(&self, at_most: u64) -> Judgement {
        self.added_sets_report()?;
        let masters = self.masters();
        let copied = self.copied(&self.wiring.mirror_workers);
        let mut behind = Vec::new();
        for partition in self.sources(&masters) {
            let end = self.end_of(partition, &masters)?;
            let copied = match copied.get(&partition) {
                Some(copied) => *copied,
                // Of a partition that is empty there is nothing to copy, and nothing to report.
                None if end.0 == 0 => end,
                None => return Err(format!("no mirror worker reports on {}", self.wiring.say(partition))),
            };
            behind.push(Behind::between(partition, end, copied));
        }
        self.within("the mirror", behind, at_most)
    }

    /// How far the reverse mirror is behind the ends that Kafka tells.
    fn reverse_mirror_lag(&self, at_most: u64) -> Judgement {
        let copied = self.copied(&self.wiring.reverse_mirror_workers);
        let mut behind = Vec::new();
        for partition in self.admin.all_partitions(self.wiring) {
            let say = || self.wiring.say(partition);
            let end = self.admin.latest(partition, self.since);
            let end = end.ok_or_else(|| format!("Kafka has not told the end of {}", say()))?;
            let copied = match copied.get(&partition) {
                Some(copied) => *copied,
                None if end.0 == 0 => end,
                None => return Err(format!("no worker of the reverse mirror reports on {}", say())),
            };
            behind.push(Behind::between(partition, end, copied));
        }
        self.within("the reverse mirror", behind, at_most)
    }

    /// Each broker set that was added has a master who reports: of what lies on it the address book says nothing.
    fn added_sets_report(&self) -> Judgement {
        let reports = |node: &NodeId| {
            let told = self.told(*node);
            told.is_some_and(|told| matches!(told.report, Report::Corgi { master: true, .. }))
        };
        match self.notes.added(self.wiring).find(|(_, brokers)| !brokers.iter().any(reports)) {
            Some((set, _)) => Err(format!("no master of Corgi's broker set {set} reports")),
            None => Ok(()),
        }
    }

    /// The source partitions: those of the address book, of which none may be missing, and what the masters report
    /// besides (a topic may have been widened), without those that he has had taken out of use. What no master knows of is on no dashboard (e17).
    fn sources(
        &self,
        masters: &BTreeMap<TopicPartition, (Offset, NodeId, &Told)>,
    ) -> BTreeSet<TopicPartition> {
        let all = self.wiring.sources().chain(masters.keys().copied());
        all.filter(|partition| self.notes.reads(*partition)).collect()
    }

    fn end_of(
        &self,
        partition: TopicPartition,
        masters: &BTreeMap<TopicPartition, (Offset, NodeId, &Told)>,
    ) -> Result<Dated, String> {
        let master = masters.get(&partition);
        let (end, _, told) =
            master.ok_or_else(|| format!("no Corgi master reports on {}", self.wiring.say(partition)))?;
        Ok((*end, told.asked_at))
    }

    fn group_lag(&self, name: &str, at_most: u64) -> Judgement {
        let (group, wiring) = self.wiring.group(name);
        let mut behind = Vec::new();
        if self.notes.queue_of(group) == Queue::Kafka {
            let committed = self.admin.committed(group, self.since);
            let (committed, asked_at) =
                committed.ok_or_else(|| format!("Kafka has not told what {name} has committed"))?;
            for partition in self.admin.partitions_of(wiring, self.wiring) {
                let end = self.admin.latest(partition, self.since);
                let end = end
                    .ok_or_else(|| format!("Kafka has not told the end of {}", self.wiring.say(partition)))?;
                let offset =
                    committed.iter().find(|(of, _)| *of == partition).map_or(0, |(_, offset)| *offset);
                behind.push(Behind::between(partition, end, (offset, *asked_at)));
            }
        } else {
            self.added_sets_report()?;
            let masters = self.masters();
            let of_group = |partition: &TopicPartition| wiring.topics.contains(&partition.topic);
            for partition in self.sources(&masters).into_iter().filter(of_group) {
                let end = self.end_of(partition, &masters)?;
                let offset =
                    masters.get(&partition).map_or(0, |(_, _, told)| committed(told, group, partition));
                behind.push(Behind::between(partition, end, (offset, end.1)));
            }
        }
        self.within(name, behind, at_most)
    }

    fn within(&self, reader: &str, behind: Vec<Behind>, at_most: u64) -> Judgement {
        let total: u64 = behind.iter().map(|partition| partition.records).sum();
        let worst = behind.into_iter().max_by_key(|partition| partition.records);
        shut(total > at_most, || {
            let worst = worst.expect("where records are behind, a partition is");
            let of = if total > worst.records { format!(", {total} in all") } else { String::new() };
            format!(
                "{reader} is {} records behind on {} ({}){of}",
                worst.records,
                self.wiring.say(worst.partition),
                self.age(worst.asked_at)
            )
        })
    }

    /// Nobody reads from Corgi, by its masters; the mirror may, unless it is `included`.
    fn no_reader(&self, included: bool) -> Judgement {
        self.added_sets_report()?;
        let masters = self.masters();
        for partition in self.sources(&masters) {
            self.end_of(partition, &masters)?;
        }
        for node in self.notes.corgi_brokers(self.wiring) {
            let Some((_, _, told)) = masters.values().find(|(_, master, _)| *master == node) else {
                continue;
            };
            let Report::Corgi { members, .. } = &told.report else { continue };
            for (group, count) in members {
                if *count > 0 && (included || *group != self.wiring.mirror_group) {
                    let name = self.reader(*group);
                    return Err(format!(
                        "{count} members of {name} read from Corgi ({})",
                        self.age(told.asked_at)
                    ));
                }
            }
        }
        Ok(())
    }

    /// No master keeps a record back.
    fn no_delayed(&self) -> Judgement {
        self.added_sets_report()?;
        let masters = self.masters();
        for partition in self.sources(&masters) {
            self.end_of(partition, &masters)?;
        }
        for (_, _, told) in masters.values() {
            if let Report::Corgi { delayed: Delayed(records), .. } = &told.report
                && *records > 0
            {
                let age = self.age(told.asked_at);
                return Err(format!(
                    "a Corgi master keeps {records} records back until they are due ({age})"
                ));
            }
        }
        Ok(())
    }

    fn reader(&self, group: GroupId) -> &str {
        if group == self.wiring.mirror_group {
            return "the mirror";
        }
        self.wiring.groups.get(usize::from(group.0)).map_or("an unknown group", |wiring| &wiring.name)
    }
}

impl Behind {
    fn between(partition: TopicPartition, end: Dated, reached: Dated) -> Behind {
        // Nothing reached (-1) is as far behind as the log is long. The older of the two reports dates the figure.
        let records = end.0.saturating_sub(reached.0.max(0)).max(0) as u64;
        Behind { partition, records, asked_at: end.1.min(reached.1) }
    }
}

/// What a group has committed of a partition, by its master's report; 0 where nothing.
fn committed(told: &Told, group: GroupId, partition: TopicPartition) -> Offset {
    let Report::Corgi { committed, .. } = &told.report else { return 0 };
    let entry = committed.iter().find(|(of, at, _)| *of == group && *at == partition);
    entry.map_or(0, |(_, _, offset)| *offset)
}

fn shut(shut: bool, because: impl FnOnce() -> String) -> Judgement {
    if shut { Err(because()) } else { Ok(()) }
}
