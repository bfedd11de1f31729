//! Redis as a machine: keys with a time to live, which run out by its own clock, and what of them a restart finds again.

use super::settings::{Persistence, Settings};
use super::snapshots::{SAVE, Unsaved};
use super::{Key, Message, Request, Response};
use crate::incident::{DiskLoss, Incident};
use crate::machine::{Effects, Input, Machine, Now, Process};
use crate::message;
use crate::rewind::{InstanceId, Registration};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// The keys, each with its value and the moment of Redis's own clock at which it is gone.
pub(super) type Stored = BTreeMap<Key, (Registration, Time)>;

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redis {
    settings: Settings,
    durable: Durable,
    volatile: Volatile,
}

/// What is on disk: the last snapshot, or the file that is appended to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    stored: Stored,
}

/// What is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    stored: Stored,
    unsaved: Unsaved,
    /// Nothing can be written to the disk.
    disk_is_full: bool,
}

impl Redis {
    /// A server without a key.
    pub fn new(settings: Settings) -> Redis {
        Redis { settings, durable: Durable::default(), volatile: Volatile::default() }
    }

    fn answer(&mut self, request: Request, now: Now, effects: &mut Effects) -> Response {
        if self.refuses_writes() && !matches!(request, Request::Scan { .. }) {
            return Response::Refused;
        }
        match request {
            Request::Set { key, value, time_to_live } => {
                // Redis keeps the moment at which a key is gone, by its wall clock, and not the time that is left.
                self.volatile.stored.insert(key, (value, now.wall + time_to_live));
                self.wrote(now, effects);
                Response::Done
            }
            Request::Delete { key } => {
                if self.volatile.stored.remove(&key).is_some() {
                    self.wrote(now, effects);
                }
                Response::Done
            }
            Request::Scan { group } => {
                self.volatile.stored.retain(|_, (_, gone_at)| *gone_at > now.wall);
                let first = Key { group, instance: InstanceId::default() };
                let of_group = self.volatile.stored.range(first..).take_while(|(key, _)| key.group == group);
                Response::Found(of_group.map(|(_, (value, _))| *value).collect())
            }
        }
    }

    fn wrote(&mut self, now: Now, effects: &mut Effects) {
        let appends = self.settings.persistence == Persistence::AppendOnly;
        if appends && self.volatile.disk_is_full {
            return self.append_failed(now, effects);
        }
        if self.volatile.unsaved.wrote(&self.settings, now.elapsed, effects) {
            self.save(now, effects);
        }
    }

    /// The write is in memory and answered, if it need not be on disk for that: then the next is refused. Else there is no way
    /// back, and Redis exits.
    fn append_failed(&mut self, now: Now, effects: &mut Effects) {
        if self.settings.append_sync_interval == Span::ZERO {
            effects.processes.push(Process::Exit);
        } else {
            self.volatile.unsaved.failed(&self.settings, now.elapsed, effects);
        }
    }

    fn refuses_writes(&self) -> bool {
        let minds = match self.settings.persistence {
            Persistence::None => false,
            Persistence::Snapshot => self.settings.stop_writes_on_save_error,
            Persistence::AppendOnly => true,
        };
        minds && self.volatile.unsaved.has_failed()
    }

    fn save(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.disk_is_full {
            return self.volatile.unsaved.failed(&self.settings, now.elapsed, effects);
        }
        self.volatile.unsaved.written(now.elapsed, effects);
        self.durable.stored = self.volatile.stored.clone();
    }

    /// Load what is on disk. What ran out meanwhile is not there any more.
    fn load(&mut self, now: Now) {
        let mut stored = match self.settings.persistence {
            Persistence::None => Stored::new(),
            Persistence::Snapshot | Persistence::AppendOnly => self.durable.stored.clone(),
        };
        stored.retain(|_, (_, gone_at)| *gone_at > now.wall);
        self.volatile = Volatile { stored, unsaved: Unsaved::since(now.elapsed), disk_is_full: false };
    }

    /// A stop in good order writes a snapshot where there are points for one, and forces the file to disk. Where that fails,
    /// Redis goes on ("Error trying to save the DB, can't exit").
    fn stop(&mut self, now: Now, effects: &mut Effects) {
        let saves = match self.settings.persistence {
            Persistence::None => false,
            Persistence::Snapshot => !self.settings.save.is_empty(),
            Persistence::AppendOnly => true,
        };
        if saves {
            self.save(now, effects);
        }
        if !saves || !self.volatile.disk_is_full {
            effects.processes.push(Process::Exit);
        }
    }
}

impl Machine for Redis {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { .. } => self.load(now),
            Input::Message { from, message: message::Message::Redis(message) } => {
                if let Message::Request(id, request) = *message {
                    let response = self.answer(request, now, effects);
                    let message = Message::Response(id, response);
                    effects.send(from, message::Message::Redis(Box::new(message)));
                }
            }
            Input::Timer(SAVE) => self.save(now, effects),
            Input::Terminate => self.stop(now, effects),
            Input::Incident(Incident::DiskFilled) => self.volatile.disk_is_full = true,
            // The store is written at the next attempt.
            Input::Incident(Incident::DiskFreed) => self.volatile.disk_is_full = false,
            Input::Message { .. } | Input::Timer(_) | Input::Disconnected(_) | Input::Incident(_) => {}
            Input::Placed(_) | Input::Unreachable(_) => {}
        }
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, loss: DiskLoss) {
        match loss {
            // What is on disk was forced there: see `append-sync-interval`.
            DiskLoss::UnsyncedTail => {}
            DiskLoss::Everything => self.durable = Durable::default(),
        }
    }
}
