//! How a NewClient can be rewound: it says in Redis where it is, takes the command, goes back in what it owns, and
//! confirms when that will outlast a rebalance.

use super::lifecycle::Stage;
use super::{ConsumerApplication, Library, Registry};
use crate::application::ConsumerLibrary;
use crate::history::Event;
use crate::machine::{Effects, Now, RequestIds, Timer};
use crate::message;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::redis::{self, Key};
use crate::rewind::{Address, Answer, Command, InstanceId, Message, Refusal, Registration};
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) const REGISTER: Timer = Timer::new("application/register", 0);

/// What an instance knows of its rewinds, in this life of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Rewinds {
    ids: RequestIds,
    /// The address that this process was given; without it the instance has its host to itself.
    address: Option<Address>,
    /// Whether it stands in Redis, as far as it knows.
    is_registered: bool,
    /// The rewind of each partition since it was assigned: a repeated command does not go back twice.
    done: BTreeMap<TopicPartition, u64>,
    /// The commands that are not answered.
    open: Vec<Open>,
    /// The last command that was taken: its rewind, and which repetition of it. What is not beyond it was overtaken.
    last: (u64, u32),
    /// To whom that command was addressed: as often as Redis lists this process's address. One more is a copy.
    addressed: Vec<InstanceId>,
}

/// A command that is carried out and not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Open {
    from: NodeId,
    command: Command,
    partitions: Vec<TopicPartition>,
}

impl Rewinds {
    /// A partition was assigned anew: it is read from the committed offset.
    pub(super) fn forget(&mut self, partition: TopicPartition) {
        self.done.remove(&partition);
    }

    /// Whether it took that command already, or a later one.
    fn is_outdated(&self, command: &Command) -> bool {
        let number = (command.rewind, command.attempt);
        number < self.last || number == self.last && self.addressed.contains(&command.to.instance)
    }

    fn take(&mut self, command: &Command) {
        let number = (command.rewind, command.attempt);
        if number != self.last {
            self.last = number;
            self.addressed.clear();
        }
        self.addressed.push(command.to.instance);
    }

    /// The process was given an address.
    pub(super) fn placed(&mut self, address: Address) {
        self.address = Some(address);
    }
}

impl<C: ConsumerLibrary, K: ConsumerLibrary> ConsumerApplication<C, K> {
    fn registration(&self, registry: Registry) -> Registration {
        let incarnation = self.volatile.incarnation;
        Registration {
            group: self.setup.group,
            address: self.volatile.rewinds.address.unwrap_or(Address::own(registry.node)),
            instance: InstanceId { node: registry.node, incarnation },
        }
    }

    fn tell_redis(&mut self, registry: Registry, request: redis::Request, effects: &mut Effects) {
        if self.volatile.rewinds.ids == RequestIds::default() {
            self.volatile.rewinds.ids = RequestIds::new(self.volatile.incarnation, 0);
        }
        let id = self.volatile.rewinds.ids.next_id();
        let message = redis::Message::Request(id, request);
        effects.send(registry.redis, message::Message::Redis(Box::new(message)));
    }

    /// Say in Redis where it is, as long as it reads from Kafka. A word that got lost is said again at the next turn.
    pub(super) fn register(&mut self, effects: &mut Effects) {
        let (Some(registry), Some(Library::Kafka(_))) = (self.setup.registry, &self.volatile.opened) else {
            return;
        };
        let value = self.registration(registry);
        let key = Key { group: value.group, instance: value.instance };
        let time_to_live = self.settings.rewind.time_to_live;
        self.tell_redis(registry, redis::Request::Set { key, value, time_to_live }, effects);
        self.volatile.rewinds.is_registered = true;
        effects.set_timer(REGISTER, self.settings.rewind.refresh);
    }

    /// It leaves in good order: nobody is to look for it.
    pub(super) fn deregister(&mut self, effects: &mut Effects) {
        let Some(registry) = self.setup.registry else { return };
        if std::mem::take(&mut self.volatile.rewinds.is_registered) {
            let Registration { group, instance, .. } = self.registration(registry);
            self.tell_redis(registry, redis::Request::Delete { key: Key { group, instance } }, effects);
            effects.cancel_timer(REGISTER);
        }
        self.volatile.rewinds.done.clear();
        self.volatile.rewinds.open.clear();
    }

    /// A command came to this process's address: for it, or for whoever had the address before.
    pub(super) fn take_command(&mut self, now: Now, from: NodeId, message: Message, effects: &mut Effects) {
        let (Some(registry), Message::Command(command)) = (self.setup.registry, message) else { return };
        let refusal = self.refuses(now, registry, &command);
        if let Some(because) = refusal {
            return self.refuse(from, &command, because, effects);
        }
        self.volatile.rewinds.take(&command);
        let partitions = self.go_back(now, &command, effects);
        // What an earlier repetition still waits for, this one waits for as well.
        let is_other = |open: &Open| (open.command.rewind, open.command.to) != (command.rewind, command.to);
        self.volatile.rewinds.open.retain(is_other);
        self.volatile.rewinds.open.push(Open { from, command, partitions });
        self.answer_commands(effects);
    }

    /// Why a command is not obeyed, if it is not.
    fn refuses(&self, now: Now, registry: Registry, command: &Command) -> Option<Refusal> {
        let own = self.registration(registry);
        let is_mine = (command.to.group, command.to.instance) == (own.group, own.instance);
        let reads_kafka = matches!(self.volatile.opened, Some(Library::Kafka(_)));
        if self.settings.rewind.check_instance && !is_mine {
            Some(Refusal::OtherInstance)
        } else if command.valid_until.is_some_and(|until| now.wall > until) {
            Some(Refusal::Expired)
        } else if self.volatile.rewinds.is_outdated(command) {
            Some(Refusal::Outdated)
        } else if self.volatile.stage != Stage::Reading || !reads_kafka {
            Some(Refusal::NotReading)
        } else {
            None
        }
    }

    fn refuse(&self, from: NodeId, command: &Command, because: Refusal, effects: &mut Effects) {
        let (rewind, group, meant) = (command.rewind, self.setup.group, command.to.instance);
        effects.record(Event::RewindRefused { rewind, group, meant, because });
        answer(from, command, Err(because), effects);
    }

    /// Go back in those partitions of a command that are assigned now. Returns them.
    fn go_back(&mut self, now: Now, command: &Command, effects: &mut Effects) -> Vec<TopicPartition> {
        let mut partitions = Vec::new();
        for (partition, offset) in &command.offsets {
            let is_owned = self.volatile.tracks.get(partition).is_some_and(|track| !track.is_revoked);
            if !is_owned {
                continue;
            }
            let is_repeated = self.volatile.rewinds.done.get(partition) == Some(&command.rewind);
            if is_repeated || self.go_back_in(now, command, (*partition, *offset), effects) {
                partitions.push(*partition);
                self.commit_for_good(now, *partition, is_repeated, effects);
            }
        }
        partitions
    }

    /// Seek, if the partition is farther on. Returns whether it is read from there.
    fn go_back_in(
        &mut self,
        now: Now,
        command: &Command,
        (partition, to): (TopicPartition, Offset),
        effects: &mut Effects,
    ) -> bool {
        let (Some(library), Some(track)) =
            (&mut self.volatile.opened, self.volatile.tracks.get_mut(&partition))
        else {
            return false;
        };
        let from = track.next();
        if to < from {
            if !library.consumer().seek(now, partition, to, effects) {
                return false;
            }
            track.go_back(to);
            let (rewind, group, meant) = (command.rewind, self.setup.group, command.to.instance);
            effects.record(Event::Sought { rewind, group, meant, partition, from, to });
        }
        self.volatile.rewinds.done.insert(partition, command.rewind);
        true
    }

    /// Commit where the partition stands now, and look out for the answer. A commit is dropped in a rebalance: the repeated
    /// command makes another.
    fn commit_for_good(
        &mut self,
        now: Now,
        partition: TopicPartition,
        is_repeated: bool,
        effects: &mut Effects,
    ) {
        let Some(library) = &mut self.volatile.opened else { return };
        let consumer = library.consumer();
        let is_settled = is_repeated && consumer.watched_commit_is_acknowledged(partition);
        if self.settings.rewind.commit && !is_settled {
            consumer.watch_commit(partition);
            self.commit_again(now, partition, effects);
        }
    }

    /// Answer the commands of which everything is known that will be known. A partition that was taken away meanwhile is not
    /// confirmed; and who has none of them, or none any more, says so: that he has done all that he could is no confirmation.
    pub(super) fn answer_commands(&mut self, effects: &mut Effects) {
        if self.volatile.rewinds.open.is_empty() {
            return;
        }
        let commits = self.settings.rewind.commit;
        let open = std::mem::take(&mut self.volatile.rewinds.open);
        for mut open in open {
            let rewinds = &self.volatile.rewinds;
            open.partitions.retain(|at| rewinds.done.get(at) == Some(&open.command.rewind));
            let is_confirmed = |at: &TopicPartition| match &self.volatile.opened {
                Some(Library::Kafka(kafka)) => !commits || kafka.watched_commit_is_acknowledged(*at),
                _ => false,
            };
            if open.partitions.is_empty() {
                self.refuse(open.from, &open.command, Refusal::NothingAssigned, effects);
            } else if open.partitions.iter().all(is_confirmed) {
                answer(open.from, &open.command, Ok(open.partitions), effects);
            } else {
                self.volatile.rewinds.open.push(open);
            }
        }
    }
}

fn answer(
    to: NodeId,
    command: &Command,
    outcome: Result<Vec<TopicPartition>, Refusal>,
    effects: &mut Effects,
) {
    let (rewind, attempt) = (command.rewind, command.attempt);
    let answer = Message::Answer(Answer { rewind, attempt, to: command.to, outcome });
    effects.send(to, message::Message::Rewind(Box::new(answer)));
}
