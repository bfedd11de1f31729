//! Time and sizes as people write them ("90s", "4KiB") and as the models count them (microseconds, bytes).
//! Leaves out calendars and time zones: a run starts at zero.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

/// A moment of simulated time, in microseconds since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

/// A stretch of simulated time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Time {
    /// The start of the run.
    pub const ZERO: Time = Time(0);
    /// Later than every moment of a run.
    pub const NEVER: Time = Time(u64::MAX);

    /// The stretch from `earlier` to here, or nothing if `earlier` is later.
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Whole milliseconds since the start of the run.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
}

impl Span {
    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole microseconds.
    pub const fn micros(micros: u64) -> Span {
        Span(micros)
    }

    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(millis * 1_000)
    }

    /// A span of whole seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(secs * 1_000_000)
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// What is left after `other` is taken away, never below zero.
    pub fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Span;
    fn mul(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Time {
    /// Minutes, seconds and milliseconds: `02:05.250`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.as_millis();
        write!(formatter, "{:02}:{:02}.{:03}", millis / 60_000, millis / 1_000 % 60, millis % 1_000)
    }
}

impl fmt::Display for Span {
    /// As people write it: `90s` is `1m 30s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a millisecond the figure says nothing to a reader of seconds.
        let shown = if self.0 >= 1_000_000 { self.0 / 1_000 * 1_000 } else { self.0 };
        write!(formatter, "{}", humantime::format_duration(std::time::Duration::from_micros(shown)))
    }
}

/// Why a duration or a size could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration: write a number with a unit, such as \"250ms\", \"90s\" or \"2m\"")]
    Span(String),
    /// Not a size.
    #[error("`{0}` is not a size: write a number with a unit, such as \"512B\" or \"4KiB\"")]
    Bytes(String),
}

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Span, UnitError> {
        let error = || UnitError::Span(text.to_owned());
        let duration = humantime::parse_duration(text.trim()).map_err(|_| error())?;
        u64::try_from(duration.as_micros()).map(Span).map_err(|_| error())
    }
}

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Bytes, UnitError> {
        let error = || UnitError::Bytes(text.to_owned());
        // A bare number is refused: a reader should not have to guess its unit.
        if text.trim().ends_with(|last: char| last.is_ascii_digit()) {
            return Err(error());
        }
        text.trim().parse::<bytesize::ByteSize>().map(|size| Bytes(size.as_u64())).map_err(|_| error())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", bytesize::ByteSize(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exact = humantime::format_duration(std::time::Duration::from_micros(self.0));
        serializer.collect_str(&exact)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}B", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_people_write_them() {
        assert_eq!("90s".parse(), Ok(Span::secs(90)));
        assert_eq!("1m 30s".parse(), Ok(Span::secs(90)));
        assert_eq!("250ms".parse(), Ok(Span::millis(250)));
        assert_eq!("4KiB".parse(), Ok(Bytes(4096)));
        assert!("90".parse::<Span>().is_err());
        assert!("4096".parse::<Bytes>().is_err());
        assert!("-1s".parse::<Span>().is_err());
    }

    #[test]
    fn a_moment_prints_as_minutes_and_seconds() {
        assert_eq!(Time(125_250_000).to_string(), "02:05.250");
        assert_eq!(Span::secs(90).to_string(), "1m 30s");
    }
}
