//! What Kafka's brokers and its controller tell each other. Clients never see these.

use serde::Serialize;

/// A message between Kafka's own nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Internal {
    /// A broker is alive.
    BrokerHeartbeat,
}

impl Internal {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Internal::BrokerHeartbeat => "broker-heartbeat",
        }
    }
}
