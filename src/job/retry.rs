//! The time of the next attempt of a job that failed by its own fault.

use std::time::Duration;

/// The retry policy for failures of a recording's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Failures in all before a job is failed.
    pub attempts: u32,
    /// The first delay.
    pub delay: Duration,
    /// The longest delay.
    pub delay_max: Duration,
}

/// Each delay is so many times the one before: 1 min, 5 min, 25 min span a passing fault in three tries.
const GROWTH: u32 = 5;

impl Policy {
    /// Returns the delay after the `failures`-th failure (1 is the first), or `None` when that was the last one.
    ///
    /// `jitter` lies in 0..1 and spreads the delay over 80 % to 120 % of its length.
    #[must_use]
    pub(crate) fn delay_after(&self, failures: u32, jitter: f64) -> Option<Duration> {
        (failures < self.attempts)
            .then(|| backoff_delay(self.delay, self.delay_max, failures, jitter))
    }
}

/// Returns the delay after the `failures`-th failure in a row: `delay`, growing fivefold up to `delay_max`, with jitter.
#[must_use]
pub(crate) fn backoff_delay(
    delay: Duration,
    delay_max: Duration,
    failures: u32,
    jitter: f64,
) -> Duration {
    let factor = GROWTH.saturating_pow(failures.saturating_sub(1));
    let plain = delay.saturating_mul(factor).min(delay_max);
    plain.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn attempts_are_never_exceeded_and_delays_grow_within_their_bounds(
            attempts in 1_u32..=100, delay_ms in 10_u64..86_400_000, more_ms in 0_u64..86_400_000, jitter in -1.0_f64..2.0,
        ) {
            let (delay, delay_max) = (Duration::from_millis(delay_ms), Duration::from_millis(delay_ms + more_ms));
            let policy = Policy { attempts, delay, delay_max };
            let mut failures = 0;
            let mut before = Duration::ZERO;
            while let Some(wait) = policy.delay_after(failures + 1, jitter) {
                failures += 1;
                prop_assert!(wait >= before && wait >= delay.mul_f64(0.79) && wait <= delay_max.mul_f64(1.21), "{:?}", wait);
                before = wait;
            }
            prop_assert_eq!(failures + 1, attempts);
        }
    }

    const POLICY: Policy =
        Policy { attempts: 3, delay: Duration::from_secs(60), delay_max: Duration::from_secs(900) };

    #[test]
    fn three_attempts_mean_three_failures_in_all() {
        assert_eq!(POLICY.delay_after(1, 0.5), Some(Duration::from_secs(60)));
        assert_eq!(POLICY.delay_after(2, 0.5), Some(Duration::from_secs(300)));
        assert_eq!(POLICY.delay_after(3, 0.5), None);
    }

    #[test]
    fn a_delay_never_passes_its_maximum_by_more_than_the_jitter() {
        for failures in 1..100 {
            let delay = backoff_delay(POLICY.delay, POLICY.delay_max, failures, 1.0);
            assert!(delay <= POLICY.delay_max.mul_f64(1.2), "{delay:?}");
        }
    }
}
