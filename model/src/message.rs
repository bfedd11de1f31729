//! Everything that travels between nodes.

use crate::corgi::protocol::{Request as CorgiRequest, Response as CorgiResponse};
use crate::kafka::internal::Internal;
use crate::kafka::protocol::{Request as KafkaRequest, Response as KafkaResponse};
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

    /// Whether a broker needs its disk for it: to append what is in it, or to read what it asks for.
    pub fn needs_disk(&self) -> bool {
        match self {
            Message::KafkaRequest(_, request) => {
                matches!(**request, KafkaRequest::Produce { .. } | KafkaRequest::Fetch { .. })
            }
            Message::KafkaInternal(internal) => {
                matches!(**internal, Internal::ReplicaFetch(_) | Internal::ReplicaFetchAnswer(_))
            }
            Message::CorgiRequest(_, request) => matches!(
                **request,
                CorgiRequest::Send { .. } | CorgiRequest::Pull { .. } | CorgiRequest::Append { .. }
            ),
            _ => false,
        }
    }

    /// Whether it answers a send or a commit: what a client may time out for although it was done.
    pub fn is_acknowledgement(&self) -> bool {
        match self {
            Message::KafkaResponse(_, response) => {
                matches!(**response, KafkaResponse::Produce { .. } | KafkaResponse::OffsetCommit { .. })
            }
            Message::CorgiResponse(_, response) => {
                matches!(**response, CorgiResponse::Send { .. } | CorgiResponse::Commit)
            }
            _ => false,
        }
    }

    /// Whether it asks a broker for records.
    pub fn is_fetch(&self) -> bool {
        match self {
            Message::KafkaRequest(_, request) => matches!(**request, KafkaRequest::Fetch { .. }),
            Message::CorgiRequest(_, request) => matches!(**request, CorgiRequest::Pull { .. }),
            _ => false,
        }
    }

    /// The same fetch, asking for as little as it may; any other message as it is. A broker that answers it answers less than it
    /// could: as it may at any time.
    pub fn shortened(&self) -> Message {
        let mut short = self.clone();
        match &mut short {
            Message::KafkaRequest(_, request) => {
                if let KafkaRequest::Fetch { max_bytes, .. } = &mut **request {
                    *max_bytes = 1;
                }
            }
            Message::CorgiRequest(_, request) => {
                if let CorgiRequest::Pull { max_records, .. } = &mut **request {
                    *max_records = 1;
                }
            }
            _ => {}
        }
        short
    }
}
