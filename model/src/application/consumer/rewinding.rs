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
}

/// A command that is carried out and not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Open {
    from: NodeId,
    rewind: u64,
    to: Registration,
    partitions: Vec<TopicPartition>,
}

impl Rewinds {
    /// A partition was assigned anew: it is read from the committed offset.
    pub(super) fn forget(&mut self, partition: TopicPartition) {
        self.done.remove(&partition);
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
        let (Some(registry), Some(Library::Kafka(_))) = (self.setup.registry, &self.volatile.library) else {
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
        let own = self.registration(registry);
        let is_mine = (command.to.group, command.to.instance) == (own.group, own.instance);
        let refusal = if self.settings.rewind.check_instance && !is_mine {
            Some(Refusal::OtherInstance)
        } else if self.volatile.stage != Stage::Reading
            || !matches!(self.volatile.library, Some(Library::Kafka(_)))
        {
            Some(Refusal::NotReading)
        } else {
            None
        };
        if let Some(because) = refusal {
            let (rewind, group, meant) = (command.rewind, own.group, command.to.instance);
            effects.record(Event::RewindRefused { rewind, group, meant, because });
            return answer(from, command.rewind, command.to, Err(because), effects);
        }
        let partitions = self.go_back(now, &command, effects);
        let open = Open { from, rewind: command.rewind, to: command.to, partitions };
        self.volatile.rewinds.open.retain(|earlier| (earlier.rewind, earlier.to) != (open.rewind, open.to));
        self.volatile.rewinds.open.push(open);
        self.answer_commands(effects);
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
            (&mut self.volatile.library, self.volatile.tracks.get_mut(&partition))
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
        let Some(library) = &mut self.volatile.library else { return };
        let consumer = library.consumer();
        let is_settled = is_repeated && consumer.watched_commit_is_acknowledged(partition);
        if self.settings.rewind.commit && !is_settled {
            consumer.watch_commit(partition);
            self.commit_again(now, partition, effects);
        }
    }

    /// Answer the commands of which everything is known that will be known. A partition that was taken away meanwhile is not confirmed.
    pub(super) fn answer_commands(&mut self, effects: &mut Effects) {
        if self.volatile.rewinds.open.is_empty() {
            return;
        }
        let commits = self.settings.rewind.commit;
        let open = std::mem::take(&mut self.volatile.rewinds.open);
        for mut command in open {
            let rewinds = &self.volatile.rewinds;
            command.partitions.retain(|at| rewinds.done.get(at) == Some(&command.rewind));
            let is_confirmed = |at: &TopicPartition| match &self.volatile.library {
                Some(Library::Kafka(kafka)) => !commits || kafka.watched_commit_is_acknowledged(*at),
                _ => false,
            };
            if command.partitions.iter().all(is_confirmed) {
                answer(command.from, command.rewind, command.to, Ok(command.partitions), effects);
            } else {
                self.volatile.rewinds.open.push(command);
            }
        }
    }
}

fn answer(
    to: NodeId,
    rewind: u64,
    meant: Registration,
    outcome: Result<Vec<TopicPartition>, Refusal>,
    effects: &mut Effects,
) {
    let answer = Message::Answer(Answer { rewind, to: meant, outcome });
    effects.send(to, message::Message::Rewind(Box::new(answer)));
}
