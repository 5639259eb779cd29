//! Moments: microseconds of UTC, and who may say which one it is now.

use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A moment: microseconds since 1970-01-01T00:00:00Z. Negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

/// A text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseMomentError {
    /// The text as given, cut to 64 characters.
    pub text: String,
}

impl std::fmt::Display for ParseMomentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not a moment; write it like 2026-11-22T17:30:00Z", self.text)
    }
}

impl std::error::Error for ParseMomentError {}

impl Micros {
    /// The moment `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`: whole seconds, as CloudTrail writes `eventTime`.
    #[must_use]
    pub fn to_event_time(self) -> String {
        let shape = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        self.date_time().format(shape).unwrap_or_default()
    }

    /// `YYYYMMDDTHHMMSSZ`: the form of `X-Amz-Date`.
    #[must_use]
    pub fn to_amz_date(self) -> String {
        let shape = format_description!("[year][month][day]T[hour][minute][second]Z");
        self.date_time().format(shape).unwrap_or_default()
    }

    /// Reads RFC 3339, with or without a fraction.
    ///
    /// # Errors
    ///
    /// When `text` is anything else.
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseMomentError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(Self::from_date_time)
            .map_err(|_| ParseMomentError { text: text.chars().take(64).collect() })
    }

    /// Reads `YYYYMMDDTHHMMSSZ`, the form of `X-Amz-Date`.
    ///
    /// # Errors
    ///
    /// When `text` is anything else.
    pub fn parse_amz_date(text: &str) -> Result<Self, ParseMomentError> {
        let shape = format_description!("[year][month][day]T[hour][minute][second]Z");
        time::PrimitiveDateTime::parse(text, shape)
            .map(|moment| Self::from_date_time(moment.assume_utc()))
            .map_err(|_| ParseMomentError { text: text.chars().take(64).collect() })
    }

    /// The same moment as a calendar date; the epoch when it is out of range.
    #[must_use]
    pub fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The moment of a calendar date.
    #[must_use]
    pub fn from_date_time(moment: OffsetDateTime) -> Self {
        Self(i64::try_from(moment.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
    }

    /// This moment `micros` later, or earlier when negative.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// Says what time it is.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// The present moment. May jump in either direction: never order by it.
    fn now(&self) -> Micros;
}

/// A clock that stands still until it is told.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Micros) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the hands by `micros`, backwards when negative.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, ManualClock, Micros};

    #[test]
    fn event_times_are_whole_seconds_of_utc() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (1_688_989_364_999_999, "2023-07-10T11:42:44Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (micros, want) in cases {
            assert_eq!(Micros(micros).to_event_time(), want, "{micros} µs");
        }
    }

    #[test]
    fn both_written_forms_are_read_back() {
        let moment = Micros::from_seconds(1_688_989_364);
        assert_eq!(Micros::parse_rfc3339(&moment.to_event_time()), Ok(moment));
        assert_eq!(Micros::parse_amz_date(&moment.to_amz_date()), Ok(moment));
        assert!(Micros::parse_amz_date("20230710").is_err());
        assert!(Micros::parse_rfc3339("yesterday").is_err());
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Micros(5));
        assert_eq!(clock.now(), Micros(5));
        clock.advance(-2);
        assert_eq!(clock.now(), Micros(3));
    }
}
