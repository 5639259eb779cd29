//! Moments in requests: RFC 3339 text or epoch seconds.

use super::invalid;
use crate::error::ApiError;
use serde::Deserialize;
use trailbox_clock::Micros;

/// A moment as a request may write it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Moment {
    Seconds(f64),
    Text(String),
}

impl Moment {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is meant")]
    pub(super) fn micros(&self) -> Result<Micros, ApiError> {
        match self {
            Self::Seconds(seconds) => Ok(Micros((seconds * 1e6).round() as i64)),
            Self::Text(text) => Micros::parse_rfc3339(text).map_err(|err| invalid(err.to_string())),
        }
    }
}

/// Start and end of a request, in order.
pub(super) fn range(
    start: Option<&Moment>,
    end: Option<&Moment>,
) -> Result<(Option<Micros>, Option<Micros>), ApiError> {
    let start = start.map(Moment::micros).transpose()?;
    let end = end.map(Moment::micros).transpose()?;
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        return Err(invalid("`start` is after `end`"));
    }
    Ok((start, end))
}
