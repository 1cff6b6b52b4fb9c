//! The limit on PodResources calls: a token bucket, as the kubelet has one for all clients together.

use tokio::time::Instant;

/// How many calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second in the long run.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// What is left of the rate.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
    calls: Calls,
}

/// Calls so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// Let through.
    pub answered: u64,
    /// Beyond the rate.
    pub refused: u64,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            rate,
            tokens: f64::from(rate.burst),
            filled: now,
            calls: Calls::default(),
        }
    }

    pub(crate) fn calls(&self) -> Calls {
        self.calls
    }

    /// Takes one call out; false when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64()
            * f64::from(self.rate.per_second);
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.burst));
        self.filled = now;
        if self.tokens < 1.0 {
            self.calls.refused += 1;
            return false;
        }
        self.calls.answered += 1;
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_then_one_per_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::full(
            Rate {
                per_second: 100,
                burst: 10,
            },
            start,
        );
        assert_eq!((0..20).filter(|_| bucket.take(start)).count(), 10);
        let later = start + Duration::from_millis(25);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 2);
        let much_later = later + Duration::from_mins(1);
        assert_eq!((0..20).filter(|_| bucket.take(much_later)).count(), 10);
        let calls = Calls {
            answered: 22,
            refused: 38,
        };
        assert_eq!(bucket.calls(), calls);
    }
}
