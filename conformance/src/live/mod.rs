//! A real Kafka on loopback (one controller, three brokers) and a player of scripts against it.
//!
//! Nothing here is deterministic or part of a test: it needs Java 17, Maven, processes, sockets and the wall clock.

mod brokers;
mod calls;
mod installation;
mod kafka;
mod names;
mod player;
mod processes;
mod wire;

pub use installation::{DEFAULT_VERSION, Installation};
pub use kafka::Kafka;
pub use player::LivePlayer;
pub use processes::kill_all_when_interrupted;

use serde_json::Value;
use thiserror::Error;

/// Why a script could not be played against the real Kafka, or what it did instead.
#[derive(Debug, Error)]
pub enum LiveError {
    /// A file, a process or a connection.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An answer that cannot be read, or a request that cannot be written.
    #[error("over the wire: {0}")]
    Wire(String),
    /// The script asks for what there is not.
    #[error("the script: {0}")]
    Script(String),
    /// No answer in the time that the recorder waits.
    #[error("no answer from {0}")]
    Silent(String),
    /// A repeated call never had the wanted fields.
    #[error("never {wanted}; last {last}")]
    Never {
        /// The fields.
        wanted: Box<Value>,
        /// The last answer.
        last: Box<Value>,
    },
    /// A call that should still wait has its answer.
    #[error("{0} was answered: {1}")]
    Answered(String, Value),
    /// Java, Maven, or a broker that does not come up.
    #[error("{0}")]
    Cluster(String),
}

/// A result of this module.
pub type Live<T> = Result<T, LiveError>;
