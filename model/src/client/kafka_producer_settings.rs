//! The settings of Kafka's producer library, as a case file gives them. Defaults are those of Java's client 3.9.

use crate::kafka::protocol::Acks;
use crate::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// How Kafka's producer batches, retries and gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// `acks`: none, leader or all.
    pub acks: Acks,
    /// `enable.idempotence`. Left out, it is on unless another setting is in its way, which switches it off
    /// without a word (observed row 1): acks other than all, no retries, more than five requests in flight.
    pub idempotence: Option<bool>,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `linger.ms`: how long a batch that is not full waits for more records.
    pub linger: Span,
    /// `batch.size`: a batch of one partition is full at so many bytes.
    pub batch_size: Bytes,
    /// `buffer.memory`: what unfinished batches may take up, each at least `batch-size`.
    pub buffer_memory: Bytes,
    /// `max.block.ms`: how long a send waits for memory or for metadata before it is refused.
    pub max_block: Span,
    /// `delivery.timeout.ms`: counts from the creation of the batch (observed row 3).
    pub delivery_timeout: Span,
    /// `request.timeout.ms`: what a frozen leader costs (observed row 3).
    pub request_timeout: Span,
    /// `retry.backoff.ms`: the first wait before a retry; it doubles, and is drawn between 80 % and 120 %.
    pub retry_backoff: Span,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Span,
    /// `retries`.
    pub retries: u32,
    /// `metadata.max.age.ms`: how long a new partition may go unnoticed (observed row 8).
    pub metadata_max_age: Span,
    /// `max.request.size`: a larger record is refused without a request (observed row 5).
    pub max_request_size: Bytes,
    /// `transaction.timeout.ms`: after which the coordinator aborts an open transaction.
    pub transaction_timeout: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            acks: Acks::All,
            idempotence: None,
            max_in_flight: 5,
            linger: Span::ZERO,
            batch_size: Bytes(16_384),
            buffer_memory: Bytes(33_554_432),
            max_block: Span::secs(60),
            delivery_timeout: Span::secs(120),
            request_timeout: Span::secs(30),
            retry_backoff: Span::millis(100),
            retry_backoff_max: Span::millis(1_000),
            retries: i32::MAX.unsigned_abs(),
            metadata_max_age: Span::secs(300),
            max_request_size: Bytes(1_048_576),
            transaction_timeout: Span::secs(60),
        }
    }
}

impl Settings {
    /// Whether the producer is idempotent in effect.
    pub fn idempotent(&self) -> bool {
        self.idempotence.unwrap_or_else(|| self.idempotence_conflict().is_none())
    }

    /// What forbids idempotence, if anything.
    fn idempotence_conflict(&self) -> Option<&'static str> {
        if self.acks != Acks::All {
            return Some("acks must be \"all\"");
        }
        if self.retries == 0 {
            return Some("retries must be above 0");
        }
        (self.max_in_flight > 5).then_some("max-in-flight must be at most 5")
    }

    /// What Java's constructor would throw (observed row 1).
    ///
    /// # Errors
    /// One sentence that names the setting in conflict.
    pub fn validate(&self) -> Result<(), String> {
        if let (Some(true), Some(conflict)) = (self.idempotence, self.idempotence_conflict()) {
            return Err(format!("idempotence is set, therefore {conflict}"));
        }
        if self.max_in_flight == 0 {
            return Err("max-in-flight must be at least 1".to_owned());
        }
        if self.delivery_timeout < self.linger + self.request_timeout {
            return Err("delivery-timeout must be at least linger plus request-timeout".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observed row 1.
    #[test]
    fn a_conflicting_setting_switches_idempotence_off_without_a_word() {
        assert!(Settings::default().idempotent());
        assert!(!Settings { acks: Acks::Leader, ..Settings::default() }.idempotent());
        assert!(!Settings { acks: Acks::None, ..Settings::default() }.idempotent());
        assert!(!Settings { retries: 0, ..Settings::default() }.idempotent());
        let six = Settings { max_in_flight: 6, ..Settings::default() };
        assert!(!six.idempotent() && six.validate().is_ok());
    }

    /// Observed row 1.
    #[test]
    fn the_same_conflict_is_an_error_where_idempotence_was_asked_for() {
        let six = Settings { max_in_flight: 6, idempotence: Some(true), ..Settings::default() };
        assert!(six.validate().is_err());
        let hasty = Settings { delivery_timeout: Span::secs(10), ..Settings::default() };
        assert!(hasty.validate().is_err());
        assert_eq!(Settings::default().validate(), Ok(()));
    }
}
