//! The settings of Corgi's consumer library, as a case file gives them.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// The settings; observed values are RocketMQ's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How often commits are sent; at once when partitions are given back (e7: 5 s). Default 5s.
    pub commit_interval: Span,
    /// How many records of a partition are kept ready. Default 64.
    pub prefetch_records: u32,
    /// How many records a pull asks for. Default 32.
    pub pull_records: u32,
    /// How long a pull waits for its answer; more than the broker's `pull-wait`. Default 20s.
    pub pull_timeout: Span,
    /// How long every other request waits for its answer. Default 3s.
    pub request_timeout: Span,
    /// How long it rests after a failed request. Default 1s.
    pub retry_backoff: Span,
    /// How often it tells the masters that it lives and is told who else does (e6: 20 s). Default 20s.
    pub rebalance_interval: Span,
    /// How often it renews its leases and tries for those that it did not get (e6: 20 s). Default 20s.
    pub lease_renewal: Span,
    /// How long it believes in a lease after it asked for it; less than the broker's `lease`. Default 30s.
    pub lease_belief: Span,
    /// How often the route is asked for (e9). Default 30s.
    pub route_refresh: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            commit_interval: Span::secs(5),
            prefetch_records: 64,
            pull_records: 32,
            pull_timeout: Span::secs(20),
            request_timeout: Span::secs(3),
            retry_backoff: Span::secs(1),
            rebalance_interval: Span::secs(20),
            lease_renewal: Span::secs(20),
            lease_belief: Span::secs(30),
            route_refresh: Span::secs(30),
        }
    }
}
