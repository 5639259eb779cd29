//! How many calls were seen, per account and Region, journalled each second.
//!
//! The count is taken apart from the recording of the call: it is what the
//! records are reconciled with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use trailbox_identity::Trust;

/// The labels of [`Trusted`], strongest first.
pub(crate) const TRUSTS: [&str; 4] = ["verified", "upstream", "claimed", "none"];

/// Recorded calls since the start, by how far their caller is proved.
#[derive(Debug, Default)]
pub(crate) struct Trusted([AtomicU64; 4]);

impl Trusted {
    /// Counts one call.
    pub(crate) fn count(&self, trust: Trust) {
        let place = match trust {
            Trust::Verified => 0,
            Trust::Upstream => 1,
            Trust::Claimed => 2,
            Trust::None => 3,
        };
        metrics::counter!(crate::observe::CALLS, "trust" => TRUSTS[place]).increment(1);
        self.0[place].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts in the order of [`TRUSTS`], separated by spaces.
    pub(crate) fn text(&self) -> String {
        let counts = self.0.each_ref().map(|count| count.load(Ordering::Relaxed).to_string());
        counts.join(" ")
    }
}

/// Calls seen since the last [`Seen::take`], by account and Region.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<BTreeMap<(String, String), u64>>);

impl Seen {
    /// What was counted; counting starts anew.
    pub(crate) fn take(&self) -> BTreeMap<(String, String), u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins to count one call, whose account may become known later.
    pub(crate) fn arrival(&self, account: &str, region: &str) -> SeenCall<'_> {
        metrics::counter!(crate::observe::SEEN).increment(1);
        SeenCall { seen: self, account: account.to_owned(), region: region.to_owned() }
    }
}

/// One call, counted when this is dropped, whatever happened to the call.
#[derive(Debug)]
pub(crate) struct SeenCall<'a> {
    seen: &'a Seen,
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Drop for SeenCall<'_> {
    fn drop(&mut self) {
        let key = (std::mem::take(&mut self.account), std::mem::take(&mut self.region));
        let mut counts = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(key).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Trusted};
    use trailbox_identity::Trust;

    #[test]
    fn calls_are_counted_by_how_far_their_caller_is_proved() {
        let trusted = Trusted::default();
        for trust in [Trust::Verified, Trust::None, Trust::Claimed, Trust::Verified] {
            trusted.count(trust);
        }
        assert_eq!(trusted.text(), "2 0 1 1");
    }

    #[test]
    fn a_call_counts_once_under_the_account_it_ended_with() {
        let seen = Seen::default();
        let mut call = seen.arrival("000000000000", "us-east-1");
        call.account = "111122223333".into();
        drop(call);
        drop(seen.arrival("111122223333", "us-east-1"));
        let counts = seen.take();
        assert_eq!(counts[&("111122223333".into(), "us-east-1".into())], 2);
        assert_eq!(counts.len(), 1);
        assert!(seen.take().is_empty());
    }
}
