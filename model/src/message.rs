//! Everything that travels between nodes.

use crate::kafka::internal::Internal;
use crate::machine::RequestId;
use crate::{corgi, deployment, kafka, redis, report, rewind, switch};
use serde::Serialize;

/// One message on the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Message {
    /// A Kafka client asks a broker.
    KafkaRequest(RequestId, Box<kafka::protocol::Request>),
    /// A broker answers a Kafka client.
    KafkaResponse(RequestId, Box<kafka::protocol::Response>),
    /// Kafka's brokers and controller among themselves.
    KafkaInternal(Box<Internal>),
    /// A Corgi client, broker, name service or on-call asks another.
    CorgiRequest(RequestId, Box<corgi::protocol::Request>),
    /// The answer to it.
    CorgiResponse(RequestId, Box<corgi::protocol::Response>),
    /// To and from the switch centre.
    Switch(Box<switch::Message>),
    /// The operator asks a node how it stands.
    ReportRequest(RequestId),
    /// A node tells the operator how it stands.
    Report(RequestId, Box<report::Report>),
    /// To and from the deployment.
    Deployment(Box<deployment::Message>),
    /// To and from Redis.
    Redis(Box<redis::Message>),
    /// Between the operator's tool and a consumer that is to go back.
    Rewind(Box<rewind::Message>),
}

impl Message {
    /// What kind of message it is, for traces: the word to search for.
    pub fn name(&self) -> &'static str {
        match self {
            Message::KafkaRequest(_, request) => request.name(),
            Message::KafkaResponse(_, response) => response.name(),
            Message::KafkaInternal(internal) => internal.name(),
            Message::CorgiRequest(_, request) => request.name(),
            Message::CorgiResponse(_, response) => response.name(),
            Message::Switch(message) => message.name(),
            Message::ReportRequest(_) => "report-request",
            Message::Report(..) => "report",
            Message::Deployment(message) => message.name(),
            Message::Redis(message) => message.name(),
            Message::Rewind(message) => message.name(),
        }
    }
}
