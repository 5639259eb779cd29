//! A token bucket per account and Region.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use trailbox_clock::Micros;

/// Most buckets held; full ones are forgotten beyond that.
const BUCKETS_MAX: usize = 10_000;

/// Lets `per_second` calls pass per account and Region, that many at once.
#[derive(Debug)]
pub(crate) struct Throttle {
    per_second: u32,
    buckets: Mutex<HashMap<(String, String), Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Calls that may pass now, in millionths.
    left: i64,
    at: Micros,
}

impl Throttle {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Whether one more call may pass now.
    pub(crate) fn admit(&self, account: &str, region: &str, now: Micros) -> bool {
        const CALL: i64 = 1_000_000;
        let full = i64::from(self.per_second) * CALL;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if BUCKETS_MAX <= buckets.len() {
            buckets.retain(|_, bucket| now.0 - bucket.at.0 < CALL);
        }
        let key = (account.to_owned(), region.to_owned());
        let bucket = buckets.entry(key).or_insert(Bucket { left: full, at: now });
        let passed = (now.0 - bucket.at.0).clamp(0, CALL);
        bucket.left = (bucket.left + passed * i64::from(self.per_second)).min(full);
        bucket.at = now;
        let admitted = CALL <= bucket.left;
        if admitted {
            bucket.left -= CALL;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::Throttle;
    use trailbox_clock::Micros;

    #[test]
    fn two_a_second_pass_and_accounts_do_not_share() {
        let throttle = Throttle::new(2);
        let admit = |account, at| throttle.admit(account, "us-east-1", Micros(at));
        assert_eq!([0, 1, 2].map(|at| admit("1", at)), [true, true, false]);
        assert!(admit("2", 3));
        assert!(!admit("1", 400_000));
        assert!(admit("1", 600_000));
        assert!(!admit("1", 600_001));
        assert!(!admit("1", -5), "a clock that jumps back gives nothing away");
    }
}
