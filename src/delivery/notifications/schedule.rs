//! The times of the tries of a notification.

use std::time::Duration;

/// Seconds from each failed try to the next one (Standard Webhooks 1.0, "Deliverability and reliability"). After the last
/// of them the notification is given up: three days after the event.
const DELAYS_S: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

/// The shortest pause for a receiver that says it is overloaded and names no time.
const OVERLOADED: Duration = Duration::from_secs(60);

/// Returns the delay after the `failures`-th failed try (1 is the first), or `None` when that was the last one. `jitter`
/// lies in 0..1 and spreads the delay over 90 % to 110 %.
#[must_use]
pub(super) fn delay_after(failures: u32, jitter: f64) -> Option<Duration> {
    let at = usize::try_from(failures.checked_sub(1)?).ok()?;
    let seconds = DELAYS_S.get(at)?;
    Some(Duration::from_secs(*seconds).mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0)))
}

/// Returns for how long nothing is sent to a receiver that gave this status and this `Retry-After`; `None` where only
/// the one notification waits.
#[must_use]
pub(super) fn pause_after(status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    let is_overloaded = matches!(status, 429 | 502 | 504);
    match retry_after {
        Some(pause) if is_overloaded => Some(pause.max(Duration::from_secs(1))),
        Some(pause) => Some(pause),
        None => is_overloaded.then_some(OVERLOADED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tries_are_those_of_the_specification_and_end() {
        let delays: Vec<u64> =
            (1..).map_while(|n| delay_after(n, 0.5)).map(|delay| delay.as_secs()).collect();
        assert_eq!(delays, DELAYS_S);
        assert_eq!(delay_after(10, 0.5), None);
        assert_eq!(delay_after(0, 0.5), None);
        for (jitter, seconds) in [(0.0, 270), (1.0, 330), (-7.0, 270), (7.0, 330)] {
            assert_eq!(delay_after(2, jitter).map(|delay| delay.as_secs()), Some(seconds));
        }
    }

    #[test]
    fn an_overloaded_receiver_is_left_alone_for_as_long_as_it_says() {
        let pause = |status, seconds: Option<u64>| {
            pause_after(status, seconds.map(Duration::from_secs)).map(|pause| pause.as_secs())
        };
        assert_eq!(pause(429, Some(7)), Some(7));
        assert_eq!(pause(429, Some(0)), Some(1));
        for status in [429, 502, 504] {
            assert_eq!(pause(status, None), Some(60), "{status}");
        }
        assert_eq!(pause(503, Some(9)), Some(9));
        for status in [400, 404, 500, 503] {
            assert_eq!(pause(status, None), None, "{status}");
        }
    }
}
