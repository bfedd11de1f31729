//! The settings of the reverse mirror's workers, as a case file gives them: those of the mirror's that have a meaning the other
//! way round. Corgi knows no transactions, so that nothing is copied back atomically.

use super::settings::{Commit, OnFailure, Settings};
use crate::client::kafka_consumer_settings::AutoOffsetReset;
use crate::client::{corgi_producer_settings, kafka_consumer_settings};
use crate::mirror::PartitionMap;
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// When an offset of Kafka counts as copied back.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ReverseCommit {
    /// As soon as the record was handed to the producer: what a crash finds in flight is lost to Corgi.
    BeforeAcknowledgement,
    /// When Corgi has acknowledged the record and all before it: what a crash finds uncommitted comes twice.
    #[default]
    AfterAcknowledgement,
}

/// The settings, with the defaults of the mirror where both have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReverseSettings {
    /// How many workers there are, each a process of its own.
    pub workers: u16,
    /// When an offset of Kafka counts as copied back.
    pub commit: ReverseCommit,
    /// How often offsets are committed to Kafka.
    pub commit_interval: Span,
    /// How the partition of Corgi is chosen: `same` is the number of Kafka's partition, modulo Corgi's count.
    pub partition_map: PartitionMap,
    /// With the map `scattered`: how many records of a topic go to one partition before the next is chosen.
    pub scatter_after: u32,
    /// How many records a worker has taken from Kafka without Corgi's acknowledgement.
    pub in_flight: u32,
    /// What happens with a record that the producer gives up.
    pub on_failure: OnFailure,
    /// With `on-failure = "retry"`: how long a worker waits before it sends again (assumed).
    pub retry_after: Span,
    /// After which a supervisor starts a worker again that has exited by itself; without it nobody does.
    pub restart_delay: Option<Span>,
    /// Whether copies keep the time of their creation; else they get the worker's wall clock.
    pub carry_create_time: bool,
    /// Whether a worker that gives partitions back in good order waits until everything in flight is acknowledged.
    pub flush_on_revoke: bool,
    /// Whether each of the two mirrors leaves alone what the other one brought, by the header that every copy bears. Without it a
    /// record goes round and round as long as both run: the topics have the same names in both queues (mirror 16,
    /// apache/kafka#10652).
    pub origin_header: bool,
    /// Its workers' Kafka consumer. By default it begins at the beginning, so that it does not matter when the reverse mirror is
    /// started; a case that sets one of its keys takes the others from a plain consumer.
    pub kafka: kafka_consumer_settings::Settings,
    /// Its workers' Corgi producer. By default a send never fails by time, as with the mirror's: a failover takes longer than an
    /// application's patience. A case that sets one of its keys takes the others from a plain producer.
    pub corgi: corgi_producer_settings::Settings,
}

impl Default for ReverseSettings {
    fn default() -> ReverseSettings {
        let mirror = Settings::default();
        ReverseSettings {
            workers: mirror.workers,
            commit: ReverseCommit::default(),
            commit_interval: mirror.commit_interval,
            partition_map: mirror.partition_map,
            scatter_after: mirror.scatter_after,
            in_flight: mirror.in_flight,
            on_failure: mirror.on_failure,
            retry_after: mirror.retry_after,
            restart_delay: mirror.restart_delay,
            carry_create_time: mirror.carry_create_time,
            flush_on_revoke: mirror.flush_on_revoke,
            origin_header: true,
            kafka: kafka_consumer_settings::Settings {
                auto_offset_reset: AutoOffsetReset::Earliest,
                ..Default::default()
            },
            corgi: corgi_producer_settings::Settings { delivery_timeout: Span::ZERO, ..Default::default() },
        }
    }
}

impl ReverseSettings {
    /// What a worker goes by. What only the other direction knows has its default and is not looked at.
    pub fn of_worker(&self) -> Settings {
        Settings {
            workers: self.workers,
            commit: match self.commit {
                ReverseCommit::BeforeAcknowledgement => Commit::BeforeAcknowledgement,
                ReverseCommit::AfterAcknowledgement => Commit::AfterAcknowledgement,
            },
            commit_interval: self.commit_interval,
            partition_map: self.partition_map,
            scatter_after: self.scatter_after,
            in_flight: self.in_flight,
            on_failure: self.on_failure,
            retry_after: self.retry_after,
            restart_delay: self.restart_delay,
            carry_create_time: self.carry_create_time,
            flush_on_revoke: self.flush_on_revoke,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_people_write_them_and_nothing_is_copied_back_atomically() {
        let text = r#"{"commit": "before-acknowledgement", "origin-header": false, "workers": 3}"#;
        let settings: ReverseSettings = serde_json::from_str(text).unwrap();
        assert!(!settings.origin_header);
        assert_eq!(settings.kafka.auto_offset_reset, AutoOffsetReset::Earliest);
        let worker = settings.of_worker();
        assert_eq!((worker.workers, worker.commit), (3, Commit::BeforeAcknowledgement));
        let again = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<ReverseSettings>(&again).unwrap(), settings);
        let refused = serde_json::from_str::<ReverseSettings>(r#"{"commit": "atomic"}"#);
        assert!(refused.unwrap_err().to_string().contains("after-acknowledgement"));
    }
}
