//! The settings of a producer application, as a case file gives them. Applications are the service's own: the
//! defaults are those of a careful one (an outbox, one record at a time in each source partition).

pub use super::subscription::SubscriptionSettings;
use crate::mirror::PartitionMap;
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// A producer application's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Whether records are kept in an outbox until they are acknowledged: after a crash the application sends again
    /// what was not, in order. Without one, what was open at the crash is given up as indeterminate.
    pub outbox: bool,
    /// What it does when the client library gives a record up.
    pub retry: Retry,
    /// With `retry = "block"`: whether a record that is refused for its size is given up all the same. Without it its source
    /// partition stands still for ever.
    pub give_up_too_large: bool,
    /// How long it waits before it sends the same record again.
    pub retry_backoff: Span,
    /// How many records of one source partition may be on their way at once. More than one gives up order when the
    /// first of them has to be sent again.
    pub max_outstanding: u32,
    /// How it chooses the partition when it writes to Kafka.
    pub selector: Selector,
    /// Which answers count when it writes to both queues.
    pub dual_ack: DualAck,
    /// Whether it writes to Corgi before it has heard the switches, rather than to hold its sends until then.
    pub start_without_switches: bool,
    /// How it keeps in touch with the switch centre.
    pub switches: SubscriptionSettings,
    /// How long it flushes when it is asked to stop; then it exits with what is left.
    pub flush_timeout: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            outbox: true,
            retry: Retry::Block,
            give_up_too_large: true,
            retry_backoff: Span::secs(1),
            max_outstanding: 1,
            selector: Selector::Mirror,
            dual_ack: DualAck::Both,
            start_without_switches: false,
            switches: SubscriptionSettings::default(),
            flush_timeout: Span::secs(20),
        }
    }
}

/// What a producer application does when the client library gives a record up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// It sends the same record again until it is acknowledged; later records of the source partition wait.
    Block,
    /// It gives the record up and goes on.
    Skip,
}

/// How a producer application chooses the partition in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// As the mirror maps it: what the NewClient does.
    Mirror,
    /// By murmur2 over Kafka's count: what a plain Kafka client does.
    Default,
}

impl Selector {
    /// The map by which it chooses, beside a mirror that has this one.
    pub fn map(self, mirror_map: PartitionMap) -> PartitionMap {
        match self {
            Selector::Mirror => mirror_map,
            Selector::Default => PartitionMap::Hash,
        }
    }
}

/// Which answers count when both queues are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DualAck {
    /// Both; the one that failed is sent again.
    Both,
    /// The first; the other is not looked after.
    First,
    /// Corgi's; Kafka's is not looked after.
    Corgi,
}
