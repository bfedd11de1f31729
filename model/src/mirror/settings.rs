//! The settings of the mirror's workers, as a case file gives them. "mirror 6a" and the like name a row of what real
//! mirrors were seen to do.

use crate::client::{corgi_consumer_settings, kafka_producer_settings};
use crate::kafka::protocol::Acks;
use crate::mirror::PartitionMap;
use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// When a source offset counts as copied.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Commit {
    /// As soon as the record was handed to the producer: what a crash finds in flight is lost.
    BeforeAcknowledgement,
    /// When the target has acknowledged the record and all before it: what a crash finds uncommitted comes twice.
    #[default]
    AfterAcknowledgement,
    /// In the target's own transaction, together with the records: readers of committed data see each record once.
    Atomic,
}

/// What a worker does with a record that the producer gives up.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum OnFailure {
    /// Send it again, for ever; those of the partition's later records that the producer does not have yet wait behind it, while
    /// those that it has may land before it (java-client 3: a hole, then later records): with a delivery time-out this
    /// gives up order. A record that was given up without knowing whether it is in the log may then be in it twice.
    Retry,
    /// Go on without it: the committed offset moves over it (mirror 3c, 5b).
    Skip,
    /// Exit without committing (`abort.on.send.failure=true`, mirror 3b, 5a).
    #[default]
    Stop,
}

/// Which transactional id a worker's transactions have.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TransactionalIdScheme {
    /// One a source partition: whoever takes the partition over fences its former owner.
    #[default]
    PerPartition,
    /// One a worker: a former owner is not fenced by the new one, so that both copies may stand.
    PerWorker,
}

/// What a worker does first when it takes a source partition over in the atomic mode.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Takeover {
    /// Fence the former owner, which aborts its open transaction, then read the position (as Kafka Streams does).
    #[default]
    FenceFirst,
    /// Wait until no transaction with offsets is open, if need be until a dead owner's times out, then fence and read
    /// (mirror 10c).
    ReadFirst,
}

/// The settings, each with the default of the real system. Of the atomic mode `takeover` and `transaction-interval` have those of
/// Kafka Streams, the shape that a mirror written by hand has; MirrorMaker 2 reads first and commits after each poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How many workers there are, each a process of its own.
    pub workers: u16,
    /// When a source offset counts as copied.
    pub commit: Commit,
    /// How often source offsets are committed to Corgi. MirrorMaker 1's `offset.commit.interval.ms` and MirrorMaker 2's
    /// `offset.flush.interval.ms` are both a minute, and a shorter one is easily set in vain (mirror 2b, 9f).
    pub commit_interval: Span,
    /// How the target partition is chosen. `same` is MirrorMaker 2 (mirror 9a) and what the published account needs;
    /// `hash` is MirrorMaker 1 with keys (mirror 1a), `scattered` without (mirror 1d).
    pub partition_map: PartitionMap,
    /// With the map `scattered`: how many records of a topic go to one partition before the next is chosen. The real
    /// client goes by bytes, about one batch of 16 KiB (java-client 8).
    pub scatter_after: u32,
    /// How many records a worker has taken from Corgi without the target's acknowledgement. The real bound is the
    /// producer's `buffer.memory` of 32 MiB (mirror 6c): so many records of 1 KiB.
    pub in_flight: u32,
    /// What happens with a record that the producer gives up. With the producer's own default, which never gives up for
    /// lack of time, only refused records come to it (mirror 3a).
    pub on_failure: OnFailure,
    /// With `on-failure = "retry"`: how long a worker waits before it sends again (assumed).
    pub retry_after: Span,
    /// After which a supervisor starts a worker again that has exited by itself; without it nobody does (mirror 14a).
    pub restart_delay: Option<Span>,
    /// Whether copies keep the time of their creation (mirror 1a, 9a); else they get the worker's wall clock.
    pub carry_create_time: bool,
    /// Whether a worker that gives partitions back in good order waits until everything in flight is acknowledged
    /// (mirror 6a; earlier versions did not, KAFKA-4521). The atomic mode always ends its transactions first.
    pub flush_on_revoke: bool,
    /// In the atomic mode: which transactional id is used.
    pub transactional_id: TransactionalIdScheme,
    /// In the atomic mode: what is done first at a takeover.
    pub takeover: Takeover,
    /// In the atomic mode: how long a transaction stays open for further records (Kafka Streams' `commit.interval.ms`
    /// for exactly-once; MirrorMaker 2 commits after each poll, which may hold a single record).
    pub transaction_interval: Span,
    /// In the atomic mode: after which the target aborts an open transaction of a silent worker
    /// (`transaction.timeout.ms`, mirror 10c).
    pub transaction_timeout: Span,
    /// In the atomic mode: how many records a worker's open transactions have together at most; then they are committed at
    /// once, and the rest goes into the next. MirrorMaker 2 makes each poll of 500 records a transaction
    /// (`transaction.boundary=poll`, `max.poll.records`); what a quota does not let through within `transaction-timeout` is
    /// aborted and begun again for ever, as a task of MirrorMaker 2 would fail at it.
    pub transaction_records: u32,
    /// In the atomic mode: how much goes into one batch (`batch.size`).
    pub batch_size: Bytes,
    /// In the atomic mode: after which an unanswered request is sent again (`request.timeout.ms`).
    pub request_timeout: Span,
    /// In the atomic mode: how long after an error a request is sent again; doubles with each error up to ten times as
    /// much (`retry.backoff.ms` and `retry.backoff.max.ms`).
    pub retry_backoff: Span,
    /// Its workers' Corgi consumer.
    pub corgi: corgi_consumer_settings::Settings,
    /// Its workers' Kafka producer. By default as the real mirrors set it: one request in flight, and a send never
    /// fails by time (mirror 3a, 4a, 9d). A case that sets one of its keys takes the others from a plain producer. The atomic
    /// mode has a producer of its own, with one batch in flight to a partition whatever `max-in-flight` says, and goes by
    /// `max-request-size`, `delivery-timeout` and `metadata-max-age` alone.
    pub kafka: kafka_producer_settings::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: 2,
            commit: Commit::default(),
            commit_interval: Span::secs(60),
            partition_map: PartitionMap::default(),
            scatter_after: 16,
            in_flight: 32_768,
            on_failure: OnFailure::default(),
            retry_after: Span::secs(1),
            restart_delay: None,
            carry_create_time: true,
            flush_on_revoke: true,
            transactional_id: TransactionalIdScheme::default(),
            takeover: Takeover::default(),
            transaction_interval: Span::millis(100),
            transaction_timeout: Span::secs(60),
            transaction_records: 500,
            batch_size: Bytes(16_384),
            request_timeout: Span::secs(30),
            retry_backoff: Span::millis(100),
            corgi: Default::default(),
            kafka: kafka_producer_settings::Settings {
                max_in_flight: 1,
                delivery_timeout: Span::millis(2_147_483_647),
                ..Default::default()
            },
        }
    }
}

impl Settings {
    /// How many records a worker may have taken from the source without the target's acknowledgement.
    pub(super) fn most_unacknowledged(&self) -> usize {
        let most = match self.commit {
            Commit::Atomic => self.in_flight.min(self.transaction_records),
            _ => self.in_flight,
        };
        most as usize
    }

    /// What Kafka's producer or its broker would refuse of the atomic mode's settings, given the broker's
    /// `transaction.max.timeout.ms`, and what Kafka Streams refuses: a transaction that times out before its time to be committed.
    ///
    /// # Errors
    /// One sentence that names the settings in conflict.
    pub fn validate(&self, transaction_max_timeout: Span) -> Result<(), String> {
        if self.commit == Commit::Atomic && self.transaction_timeout > transaction_max_timeout {
            return Err(format!(
                "transaction-timeout is {}, and Kafka's transaction-max-timeout of {transaction_max_timeout} refuses more",
                self.transaction_timeout
            ));
        }
        if self.commit == Commit::Atomic && self.transaction_interval >= self.transaction_timeout {
            return Err(format!(
                "transaction-interval is {}, and must be below the transaction-timeout of {}, after which Kafka aborts what is \
                 not committed",
                self.transaction_interval, self.transaction_timeout
            ));
        }
        Ok(())
    }

    /// The same of the producer's settings: a transactional producer is idempotent, and therefore waits for all replicas.
    ///
    /// # Errors
    /// One sentence that names the setting in conflict.
    pub fn validate_kafka(&self) -> Result<(), String> {
        if self.commit != Commit::Atomic {
            return self.kafka.validate();
        }
        if self.kafka.acks != Acks::All {
            return Err("acks must be \"all\" for a mirror with commit = \"atomic\"".to_owned());
        }
        if self.kafka.idempotence == Some(false) {
            return Err("idempotence must not be off for a mirror with commit = \"atomic\"".to_owned());
        }
        if self.kafka.delivery_timeout < self.request_timeout {
            return Err("delivery-timeout must be at least the request-timeout under [mirror]".to_owned());
        }
        Ok(())
    }

    /// The keys that only the atomic mode goes by, each with what to do about it.
    pub const ATOMIC_ALONE: [(&'static str, &'static str); 8] = [
        ("transactional-id", "write commit = \"atomic\" under [mirror], or remove it"),
        ("takeover", "write commit = \"atomic\" under [mirror], or remove it"),
        ("transaction-interval", "write commit = \"atomic\" under [mirror], or remove it"),
        ("transaction-timeout", "write commit = \"atomic\" under [mirror], or remove it"),
        ("transaction-records", "write commit = \"atomic\" under [mirror], or remove it"),
        ("batch-size", "write batch-size under [mirror.kafka]"),
        ("request-timeout", "write request-timeout under [mirror.kafka]"),
        ("retry-backoff", "write retry-backoff under [mirror.kafka]"),
    ];

    /// The keys of the producer that the atomic mode does not go by, each with what it goes by instead, if by anything.
    pub const NOT_ATOMIC: [(&'static str, &'static str); 9] = [
        ("transaction-timeout", "write transaction-timeout under [mirror]"),
        ("batch-size", "write batch-size under [mirror]"),
        ("request-timeout", "write request-timeout under [mirror]"),
        ("retry-backoff", "write retry-backoff under [mirror]"),
        ("retry-backoff-max", "remove it: the longest wait is ten times retry-backoff under [mirror]"),
        ("linger", "remove it: transaction-interval under [mirror] is how long records are gathered"),
        ("buffer-memory", "remove it: transaction-records under [mirror] bounds what is not committed"),
        ("max-block", "remove it: a record waits as long as it takes to learn who leads"),
        ("retries", "remove it: a request is made again until delivery-timeout is over"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_people_write_them_and_nothing_else_is_taken() {
        let text =
            r#"{"commit": "atomic", "partition-map": "hash", "on-failure": "skip", "restart-delay": "10s"}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.commit, Commit::Atomic);
        assert_eq!(settings.partition_map, PartitionMap::Hash);
        assert_eq!(settings.on_failure, OnFailure::Skip);
        assert_eq!(settings.restart_delay, Some(Span::secs(10)));
        assert_eq!(settings.commit_interval, Span::secs(60));
        let again = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&again).unwrap(), settings);
        assert!(serde_json::from_str::<Settings>(r#"{"comit": "atomic"}"#).is_err());
    }
}
