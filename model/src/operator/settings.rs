//! The settings of the operator, as a case file gives them. No system stands behind the figures: they are a careful
//! human's with a dashboard (assumed), the request time-out apart.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// How the operator works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How often he asks for reports while he waits at a gate; he asks for none at other times.
    pub report_interval: Span,
    /// How long he takes from one step to the next: at least, and at most.
    pub act_delay: [Span; 2],
    /// How long he waits for an answer of Kafka's before he asks another broker (`request.timeout.ms` of Kafka's
    /// admin client: 30 s).
    pub request_timeout: Span,
    /// How often he repeats an order or a change that was not confirmed, and tries again what Kafka refused.
    pub retry: Span,
    /// For how long a command to go back is good, by his clock when he sends it and that of the instance when it takes it; `0s`:
    /// for ever. He does not go on while one that could still be obeyed is under way.
    pub command_validity: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            report_interval: Span::secs(5),
            act_delay: [Span::secs(1), Span::secs(5)],
            request_timeout: Span::secs(30),
            retry: Span::secs(3),
            command_validity: Span::secs(10),
        }
    }
}

impl Settings {
    /// Whether the settings make sense together: what recurs must take time, or the run would not get on.
    ///
    /// # Errors
    /// One sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let recurring = [
            ("report-interval", self.report_interval),
            ("request-timeout", self.request_timeout),
            ("retry", self.retry),
        ];
        if let Some((name, _)) = recurring.iter().find(|(_, span)| *span == Span::ZERO) {
            return Err(format!("{name} must be more than nothing"));
        }
        let [least, most] = self.act_delay;
        if least > most {
            return Err("act-delay names the longer duration first: write the shorter one first".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_not_get_on_are_refused() {
        assert_eq!(Settings::default().validate(), Ok(()));
        assert!(Settings { report_interval: Span::ZERO, ..Settings::default() }.validate().is_err());
        assert!(Settings { retry: Span::ZERO, ..Settings::default() }.validate().is_err());
        let hasty = Settings { act_delay: [Span::ZERO, Span::ZERO], ..Settings::default() };
        assert_eq!(hasty.validate(), Ok(()));
        assert!(Settings { act_delay: [Span::secs(5), Span::secs(1)], ..hasty }.validate().is_err());
    }

    #[test]
    fn settings_read_as_they_are_written() {
        let read: Settings =
            toml::from_str("report-interval = \"2s\"\nact-delay = [\"1s\", \"9s\"]").unwrap();
        assert_eq!((read.report_interval, read.act_delay), (Span::secs(2), [Span::secs(1), Span::secs(9)]));
        assert_eq!(read.retry, Settings::default().retry);
        assert!(toml::from_str::<Settings>("report-intervall = \"2s\"").is_err());
    }
}
