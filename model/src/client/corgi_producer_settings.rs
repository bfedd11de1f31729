//! The settings of Corgi's producer library, as a case file gives them.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// The settings; observed values are RocketMQ's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How long an attempt waits for its answer (e1: it races the broker's own 3 s). Default 3s.
    pub send_timeout: Span,
    /// How often a failed send is tried again. Without it, until the delivery time-out (RocketMQ: 2, e2kill).
    pub retries: Option<u32>,
    /// After so long a send is given up, however many retries are left; `0s` for never. Default 2m.
    pub delivery_timeout: Span,
    /// How long it rests after the first failed attempt; twice as long after each further one. Default 100ms.
    pub retry_backoff: Span,
    /// How long it rests at most; less where another master is heard of. Default 5s.
    pub retry_backoff_max: Span,
    /// Which answers count as acknowledged. Default `ok-only`.
    pub accept: Accept,
    /// How many batches of one partition may be on their way at a time; with more than one a retry can be overtaken.
    /// Default 1.
    pub max_in_flight: u32,
    /// How many records a batch has at most. Default 32.
    pub batch_records: u32,
    /// How often the route is asked for (e2kill, e9). Default 30s.
    pub route_refresh: Span,
}

/// Which answers to a stored send count as acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// Every one, also those that say that the slaves do not have it: what most applications do (e1).
    AnyStatus,
    /// Only `ok`; after another the send is tried again, and so stored twice.
    #[default]
    OkOnly,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            send_timeout: Span::secs(3),
            retries: None,
            delivery_timeout: Span::secs(120),
            retry_backoff: Span::millis(100),
            retry_backoff_max: Span::secs(5),
            accept: Accept::OkOnly,
            max_in_flight: 1,
            batch_records: 32,
            route_refresh: Span::secs(30),
        }
    }
}
