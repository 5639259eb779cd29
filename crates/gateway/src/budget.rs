//! The budget of callers nobody vouches for.
//!
//! Each call becomes a record, and anybody can make calls: without a bound a
//! stranger could fill the journal and so stop everybody else.

use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// A token bucket: `rate` calls a second, `burst` at once.
#[derive(Debug)]
pub(crate) struct Budget {
    rate: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    filled_at: Instant,
}

impl Budget {
    /// A full bucket. A `rate` of 0 is no limit.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        let state = State { tokens: burst, filled_at: Instant::now() };
        Self { rate: f64::from(rate), burst, state: Mutex::new(state) }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        if self.rate == 0.0 {
            return true;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.duration_since(state.filled_at).as_secs_f64() * self.rate;
        state.tokens = (state.tokens + gained).min(self.burst);
        state.filled_at = now;
        if state.tokens < 1.0 {
            return false;
        }
        state.tokens -= 1.0;
        true
    }

    /// Gives one back: the caller turned out to be vouched for.
    pub(crate) fn give_back(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens = (state.tokens + 1.0).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_burst_is_spent_once_and_refills_at_the_rate() {
        let budget = Budget::new(10, 3);
        let start = Instant::now() + Duration::from_secs(1);
        assert_eq!((0..5).filter(|_| budget.take_at(start)).count(), 3);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..5).filter(|_| budget.take_at(later)).count(), 2);
        budget.give_back();
        assert!(budget.take_at(later));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let budget = Budget::new(0, 0);
        assert!((0..1000).all(|_| budget.take()));
    }
}
