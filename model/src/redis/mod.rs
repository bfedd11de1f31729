//! Redis as the NewClients and the operator use it: a small store of keys with a time to live, in which each consumer
//! says where it can be reached.
//!
//! Left out: every command but those three, replicas and sentinels, eviction for want of memory, and the time that a
//! load from disk takes.

pub mod server;
pub mod settings;
mod snapshots;
#[cfg(test)]
mod tests;

pub use server::Redis;
pub use settings::{Persistence, SavePoint, Settings};

use crate::machine::RequestId;
use crate::record::GroupId;
use crate::rewind::{InstanceId, Registration};
use crate::units::Span;
use serde::Serialize;

/// A key: `rewind:GROUP:INSTANCE`. Each life of a process has a key of its own, so that what a crashed one left stands
/// beside what its successor writes, until its time to live is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Key {
    /// The group.
    pub group: GroupId,
    /// The instance.
    pub instance: InstanceId,
}

/// A message to or from Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Message {
    /// A client asks.
    Request(RequestId, Request),
    /// Redis answers.
    Response(RequestId, Response),
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Request {
    /// `SET key value PX time-to-live`.
    Set {
        /// The key.
        key: Key,
        /// Its value.
        value: Registration,
        /// The key is gone after so long, by Redis's own clock, unless it is set again.
        time_to_live: Span,
    },
    /// `DEL key`.
    Delete {
        /// The key.
        key: Key,
    },
    /// `SCAN MATCH rewind:GROUP:*`, and `GET` of what it finds: as one, since the keys of a group are few.
    Scan {
        /// The group.
        group: GroupId,
    },
}

/// What Redis answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Response {
    /// `OK`.
    Done,
    /// What the scan found, by key.
    Found(Vec<Registration>),
    /// `MISCONF`: nothing is written as long as the store could not go to disk.
    Refused,
}

impl Message {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Request(_, Request::Set { .. }) => "redis-set",
            Message::Request(_, Request::Delete { .. }) => "redis-delete",
            Message::Request(_, Request::Scan { .. }) => "redis-scan",
            Message::Response(_, Response::Done) => "redis-done",
            Message::Response(_, Response::Found(_)) => "redis-found",
            Message::Response(_, Response::Refused) => "redis-refused",
        }
    }
}
