//! The settings of Kafka's brokers and controller, as a case file gives them.

use super::version::Version;
use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// The settings of a Kafka cluster, each with the default of Kafka 3.9 unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Which Kafka it is: `"3.9"` or `"4.1"`. Clients are 3.9's in either case.
    pub version: Version,
    /// How many brokers there are; the controller is a node of its own.
    pub brokers: u32,
    /// On how many brokers each partition stands (`default.replication.factor`; three, as clouds sell it).
    pub replication_factor: u32,
    /// How many replicas in sync `acks=all` needs (`min.insync.replicas`; two, as clouds recommend; Kafka's own
    /// default is 1). Never more than a partition has replicas.
    pub min_insync_replicas: u32,
    /// Whether a replica that is not in sync may lead when no other lives (`unclean.leader.election.enable`).
    pub unclean_leader_election: bool,
    /// A broker is fenced after so much silence (`broker.session.timeout.ms`).
    pub broker_session: Span,
    /// How often a broker tells the controller that it lives (`broker.heartbeat.interval.ms`).
    pub broker_heartbeat: Span,
    /// A follower that has not caught up for so long leaves the ISR (`replica.lag.time.max.ms`).
    pub replica_lag_time_max: Span,
    /// How long a follower's fetch waits at the leader for records (`replica.fetch.wait.max.ms`).
    pub replica_fetch_wait: Span,
    /// How long a follower rests after a fetch failed (`replica.fetch.backoff.ms`).
    pub replica_fetch_backoff: Span,
    /// After so much silence a follower gives a fetch up and asks again (`replica.socket.timeout.ms`).
    pub replica_fetch_timeout: Span,
    /// How often the high watermarks are saved (`replica.high.watermark.checkpoint.interval.ms`).
    pub high_watermark_checkpoint: Span,
    /// How long a stopping broker waits for the controller to let it go before it stops all the same.
    pub controlled_shutdown_timeout: Span,
    /// A producer that is silent for so long is forgotten (`producer.id.expiration.ms`).
    pub producer_id_expiration: Span,
    /// How often silent producers are looked for (`producer.id.expiration.check.interval.ms`).
    pub producer_id_expiration_check: Span,
    /// The largest batch that a topic takes (`message.max.bytes`).
    pub message_max: Bytes,
    /// Records older than this are deleted (`log.retention.ms`).
    pub retention: Span,
    /// How often old records are looked for (`log.retention.check.interval.ms`).
    pub retention_check: Span,
    /// A log is cut into segments of this size; only whole segments are deleted (`log.segment.bytes`).
    pub segment: Bytes,
    /// In how many partitions groups and their offsets are kept (`offsets.topic.num.partitions`).
    pub offsets_partitions: u16,
    /// How long a commit waits for the replicas (`offsets.commit.timeout.ms`).
    pub offsets_commit_timeout: Span,
    /// Offsets of an empty group are kept for so long (`offsets.retention.minutes`).
    pub offsets_retention: Span,
    /// How often expired offsets and empty groups are looked for (`offsets.retention.check.interval.ms`).
    pub offsets_retention_check: Span,
    /// The longest metadata text that a commit may carry (`offset.metadata.max.bytes`).
    pub offset_metadata_max: Bytes,
    /// How long the first rebalance of an empty group waits for more members (`group.initial.rebalance.delay.ms`).
    pub group_initial_rebalance_delay: Span,
    /// The shortest session that a member may ask for (`group.min.session.timeout.ms`).
    pub group_min_session: Span,
    /// The longest session that a member may ask for (`group.max.session.timeout.ms`).
    pub group_max_session: Span,
    /// In how many partitions transactions are kept (`transaction.state.log.num.partitions`).
    pub transaction_partitions: u16,
    /// What clients may write and read, as clouds sell it: absent, they may as much as they can.
    pub quota: Quota,
    /// The longest transaction time-out that a producer may ask for (`transaction.max.timeout.ms`).
    pub transaction_max_timeout: Span,
    /// A transactional id that is not used for so long is forgotten (`transactional.id.expiration.ms`).
    pub transactional_id_expiration: Span,
    /// How often such ids are looked for (`transaction.remove.expired.transaction.cleanup.interval.ms`).
    pub transactional_id_expiration_check: Span,
    /// How often transactions that took too long are looked for
    /// (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
    pub transaction_timeout_check: Span,
}

/// `[kafka.quota]`: a bandwidth quota of the whole cluster, of which each broker has the same share. A broker over its
/// share answers, and tells the client to wait (KIP-219); nothing is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Quota {
    /// So much may be written in a second, each byte counted once for every replica (CKafka, 597/39874: the purchased bandwidth
    /// divided by the replicas is what producers can write). Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub produce: Option<Bytes>,
    /// So much may be read in a second by clients; what followers fetch does not count. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Bytes>,
}

impl Quota {
    /// A quota of nothing would stop the cluster for good.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        for (name, quota) in [("produce", self.produce), ("fetch", self.fetch)] {
            if quota == Some(Bytes(0)) {
                return Err(format!(
                    "{name} is 0 B a second: nothing would pass; without the key there is no limit"
                ));
            }
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            version: Version::V3_9,
            brokers: 3,
            replication_factor: 3,
            min_insync_replicas: 2,
            unclean_leader_election: false,
            broker_session: Span::secs(9),
            broker_heartbeat: Span::secs(2),
            replica_lag_time_max: Span::secs(30),
            replica_fetch_wait: Span::millis(500),
            replica_fetch_backoff: Span::secs(1),
            replica_fetch_timeout: Span::secs(30),
            high_watermark_checkpoint: Span::secs(5),
            controlled_shutdown_timeout: Span::secs(300),
            producer_id_expiration: Span::secs(86_400),
            producer_id_expiration_check: Span::secs(600),
            message_max: Bytes(1_048_588),
            retention: Span::secs(7 * 86_400),
            retention_check: Span::secs(300),
            segment: Bytes(1 << 30),
            offsets_partitions: 50,
            offsets_commit_timeout: Span::secs(5),
            offsets_retention: Span::secs(7 * 86_400),
            offsets_retention_check: Span::secs(600),
            offset_metadata_max: Bytes(4096),
            group_initial_rebalance_delay: Span::secs(3),
            group_min_session: Span::secs(6),
            group_max_session: Span::secs(1_800),
            transaction_partitions: 50,
            quota: Quota::default(),
            transaction_max_timeout: Span::secs(900),
            transactional_id_expiration: Span::secs(7 * 86_400),
            transactional_id_expiration_check: Span::secs(3_600),
            transaction_timeout_check: Span::secs(10),
        }
    }
}
