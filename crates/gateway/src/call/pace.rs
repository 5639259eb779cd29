//! A least pace for bodies that are streamed: who drips is not served.

use crate::io::{Inbound, PeerError};
use std::time::Duration;
use tokio::time::Instant;

/// Time spent waiting after which the pace is looked at.
const WINDOW: Duration = Duration::from_mins(1);

/// How fast a body comes, by the time that was spent waiting for it: what the
/// upstream takes its time for is not the client's fault.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes per second; 0 is no limit.
    least: u32,
    waited: Duration,
    came: u64,
}

impl Pace {
    pub(super) fn new(least: u32) -> Self {
        Self { least, waited: Duration::ZERO, came: 0 }
    }

    /// Reads once, see [`Inbound::fill`].
    pub(super) async fn fill(
        &mut self,
        inbound: &mut Inbound,
        patience: Duration,
    ) -> Result<usize, PeerError> {
        if self.least == 0 {
            return inbound.fill(patience).await;
        }
        let started = Instant::now();
        let count = inbound.fill(patience).await?;
        self.note(started.elapsed(), count)?;
        Ok(count)
    }

    /// `count` bytes came after `waited`.
    fn note(&mut self, waited: Duration, count: usize) -> Result<(), PeerError> {
        self.waited += waited;
        self.came += count as u64;
        if self.waited < WINDOW {
            return Ok(());
        }
        // Over a longer wait the same pace is asked for.
        if self.came < self.waited.as_secs() * u64::from(self.least) {
            return Err(PeerError::Slow { least: self.least });
        }
        (self.waited, self.came) = (Duration::ZERO, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::io::PeerError;
    use std::time::Duration;

    /// `bytes` come each second, for `seconds`.
    fn drip(least: u32, bytes: usize, seconds: u32) -> Result<(), PeerError> {
        let mut pace = Pace::new(least);
        (0..seconds).try_for_each(|_| pace.note(Duration::from_secs(1), bytes))
    }

    #[test]
    fn a_body_that_drips_is_stopped_within_a_minute_and_no_other() {
        assert!(matches!(drip(128, 100, 60), Err(PeerError::Slow { least: 128 })));
        assert!(drip(128, 100, 59).is_ok());
        assert!(drip(128, 128, 600).is_ok());
        let mut pace = Pace::new(128);
        assert!(pace.note(Duration::from_secs(100), 128 * 99).is_err());
    }
}
