//! The settings of Kafka's consumer library, as a case file gives them. Defaults are those of Java's client 3.9.

use crate::kafka::protocol::{AssignmentProtocol, Isolation};
use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// Where a consumer goes on that has no valid offset (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoOffsetReset {
    /// At the log's start.
    Earliest,
    /// At the log's end: what was written before is skipped without a word (observed rows 15 and 16).
    #[default]
    Latest,
    /// Nowhere: the partition stands still until a seek.
    None,
}

/// How Kafka's consumer joins its group and reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// `auto.offset.reset`.
    pub auto_offset_reset: AutoOffsetReset,
    /// `session.timeout.ms`: after so much silence the coordinator gives the partitions to others.
    pub session_timeout: Span,
    /// `heartbeat.interval.ms`: how long a rebalance goes unnoticed.
    pub heartbeat_interval: Span,
    /// `max.poll.interval.ms`: an owner that is busy for longer leaves the group; also the rebalance time-out.
    pub max_poll_interval: Span,
    /// `max.poll.records`: so many records are handed out before a rebalance is told.
    pub max_poll_records: u32,
    /// `fetch.max.wait.ms`: how long a fetch waits for `fetch-min`.
    pub fetch_wait: Span,
    /// `fetch.min.bytes`.
    pub fetch_min: Bytes,
    /// `fetch.max.bytes`.
    pub fetch_max: Bytes,
    /// `max.partition.fetch.bytes`.
    pub fetch_partition_max: Bytes,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `partition.assignment.strategy`, the best first. Only cooperative-sticky alone makes rebalances cooperative.
    pub assignors: Vec<AssignmentProtocol>,
    /// `request.timeout.ms`: what a frozen broker costs (observed row 20); commits are retried for as long.
    pub request_timeout: Span,
    /// `metadata.max.age.ms`: how long a new partition may go unnoticed (observed row 16).
    pub metadata_max_age: Span,
    /// `retry.backoff.ms`.
    pub retry_backoff: Span,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            auto_offset_reset: AutoOffsetReset::Latest,
            session_timeout: Span::secs(45),
            heartbeat_interval: Span::secs(3),
            max_poll_interval: Span::secs(300),
            max_poll_records: 500,
            fetch_wait: Span::millis(500),
            fetch_min: Bytes(1),
            fetch_max: Bytes(52_428_800),
            fetch_partition_max: Bytes(1_048_576),
            isolation: Isolation::ReadUncommitted,
            assignors: vec![AssignmentProtocol::Range, AssignmentProtocol::CooperativeSticky],
            request_timeout: Span::secs(30),
            metadata_max_age: Span::secs(300),
            retry_backoff: Span::millis(100),
            retry_backoff_max: Span::millis(1_000),
        }
    }
}

impl Settings {
    /// Whether rebalances are cooperative: every assignor must be able to (observed row 10).
    pub fn cooperative(&self) -> bool {
        !self.assignors.is_empty()
            && self.assignors.iter().all(|assignor| *assignor == AssignmentProtocol::CooperativeSticky)
    }

    /// What Java's constructor would throw.
    ///
    /// # Errors
    /// One sentence that names the setting in conflict.
    pub fn validate(&self) -> Result<(), String> {
        if self.assignors.is_empty() {
            return Err("assignors must name at least one".to_owned());
        }
        if self.heartbeat_interval >= self.session_timeout {
            return Err("heartbeat-interval must be below session-timeout".to_owned());
        }
        if self.max_poll_records == 0 {
            return Err("max-poll-records must be at least 1".to_owned());
        }
        Ok(())
    }
}
