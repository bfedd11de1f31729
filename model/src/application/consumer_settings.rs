//! The settings of a consumer application, as a case file gives them. Applications are the service's own: the
//! defaults are those of a careful one.

pub use super::subscription::SubscriptionSettings;
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// A consumer application's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How many records an instance of an unordered group processes at once. An ordered group has one worker for
    /// each partition.
    pub workers: u32,
    /// How long a record takes: between the two, drawn for each record.
    pub processing: [Span; 2],
    /// What is committed.
    pub commit: CommitPolicy,
    /// How long after a record was processed its offset is committed, together with what else was processed by then;
    /// 0 commits after each record. Corgi's client gathers commits for an interval of its own after that.
    pub commit_interval: Span,
    /// How long after its last commit an instance commits the same offsets again: a commit that is not waited for may
    /// have been lost. (RocketMQ's clients and Kafka's auto commit do so at every interval.)
    pub commit_repeat: Span,
    /// Whether processing a record twice has the effect of once. It changes nothing that happens: a group whose application
    /// is not idempotent is harmed by its first duplicate, whatever `duplicates-per-group` of `[objectives]` allows.
    pub idempotent: bool,
    /// Whether the NewClient's pause lasts over a reassignment. Without it the pause belongs to the partitions that
    /// were assigned when it was asked for, as in Kafka's own client, and what a later
    /// assignment brings is consumed. Corgi's client pauses as a whole, and stays so.
    pub pause_survives_reassignment: bool,
    /// Whether a NewClient consumes from Corgi, not paused, before it has heard the switches.
    pub start_without_switches: bool,
    /// How long an instance goes on as before after it was asked to stop: one that dies late.
    pub stop_delay: Span,
    /// How long it waits for the answers to its last commits before it leaves a queue.
    pub close_timeout: Span,
    /// How a NewClient keeps in touch with the switch centre.
    pub switches: SubscriptionSettings,
    /// How a NewClient lets itself be rewound. It is used only where the case has a Redis.
    pub rewind: RewindSettings,
}

/// How a NewClient says in Redis where it is, and what it makes of a command to go back. The published account says
/// that each consumer reports its address to Redis and that `seek()` is called; the rest is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RewindSettings {
    /// How long what it said of itself stands in Redis if it is not said again.
    pub time_to_live: Span,
    /// How often it says it again.
    pub refresh: Span,
    /// Whether it refuses a command that is for another instance, or for an earlier life of its own.
    pub check_instance: bool,
    /// Whether it commits the offset that it goes back to, and confirms only when the commit is acknowledged. Without it
    /// the position lasts until the next rebalance (observed with Kafka's client, row 14).
    pub commit: bool,
}

impl Default for RewindSettings {
    fn default() -> RewindSettings {
        RewindSettings {
            time_to_live: Span::secs(30),
            refresh: Span::secs(10),
            check_instance: true,
            commit: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: 8,
            processing: [Span::millis(1), Span::millis(5)],
            commit: CommitPolicy::Processed,
            commit_interval: Span::secs(1),
            commit_repeat: Span::secs(30),
            idempotent: true,
            pause_survives_reassignment: true,
            start_without_switches: false,
            stop_delay: Span::ZERO,
            close_timeout: Span::secs(5),
            switches: SubscriptionSettings::default(),
            rewind: RewindSettings::default(),
        }
    }
}

/// What a consumer application commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitPolicy {
    /// Up to the first record that is not processed.
    Processed,
    /// Up to the last record that was handed to a worker, processed or not: what auto commit does when the work is
    /// done elsewhere. A crash then loses what was in process.
    Delivered,
}
