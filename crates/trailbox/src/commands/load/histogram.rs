//! Latencies in buckets of equal relative width: constant memory, 1.6 % error.
//!
//! Absent: anything but counting and asking. Start at [`Histogram::percentile`].

/// Buckets between one power of two and the next.
const STEPS: u64 = 64;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = 6;
/// Powers of two above the exact part: values up to 2^42 ns, more than an hour.
const OCTAVES: u64 = 36;

/// How often each latency was seen, in nanoseconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        let buckets = usize::try_from(STEPS * (OCTAVES + 1)).expect("a small constant");
        Self { counts: vec![0; buckets], total: 0, max: 0 }
    }

    /// Counts one latency; what is beyond the range counts as the longest.
    pub(super) fn record(&mut self, nanos: u64) {
        let last = self.counts.len() - 1;
        self.counts[bucket_of(nanos).min(last)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds what another has seen.
    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many latencies were counted.
    pub(super) fn len(&self) -> u64 {
        self.total
    }

    /// The latency, in nanoseconds, that `thousandths` of the calls did not exceed.
    pub(super) fn percentile(&self, thousandths: u64) -> u64 {
        let wanted = (u128::from(self.total) * u128::from(thousandths)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted {
                return upper_end(place as u64).min(self.max);
            }
        }
        self.max
    }
}

fn bucket_of(nanos: u64) -> usize {
    let octave = (64 - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    // `nanos >> octave` is below 2 * STEPS: the quotient fits any usize.
    let step = nanos >> octave;
    usize::try_from(u64::from(octave) * STEPS + step).unwrap_or(usize::MAX)
}

/// The largest value that falls into a bucket.
fn upper_end(place: u64) -> u64 {
    if place < 2 * STEPS {
        return place;
    }
    let octave = place / STEPS - 1;
    ((place - octave * STEPS + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket_of, upper_end};

    #[test]
    fn every_value_falls_into_a_bucket_that_ends_close_above_it() {
        for nanos in (0..2000).chain([4095, 4096, 4097, 1_000_000, 999_999_999, 1 << 40]) {
            let end = upper_end(bucket_of(nanos) as u64);
            assert!(nanos <= end, "{nanos} is above {end}");
            assert!(end - nanos <= nanos / 64, "{nanos} is far from {end}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut seen = Histogram::new();
        (1..=100).for_each(|value| seen.record(value));
        let mut more = Histogram::new();
        more.record(5_000_000_000);
        assert_eq!((seen.percentile(500), seen.percentile(990)), (50, 99));
        seen.add(&more);
        assert_eq!((seen.len(), seen.percentile(1000)), (101, 5_000_000_000));
        assert_eq!(Histogram::new().percentile(500), 0);
    }
}
