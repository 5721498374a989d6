//! Whether a service that fails at a recording takes others: what tells a damaged recording from a service that is down,
//! or that is set up wrongly. Pure: the time is an argument.
//!
//! It is kept in memory: after a restart or a change of the settings everything may be different, and one second of sound
//! more is all that it costs to find out.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// A service is sent the second of sound no more often: it may have to be paid for.
const EVERY: Duration = Duration::from_secs(3600);

/// A recording that was taken so short a time ago tells of now.
const FRESH: Duration = Duration::from_secs(60);

/// Recordings whose failures are remembered. One that is forgotten is compared anew.
const FAILING_MAX: usize = 1024;

/// What is known of a service by what it was sent.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// When the second of sound was sent last.
    sent: Option<Instant>,
    /// When the service took something last: a recording, or the second of sound.
    taken: Option<Instant>,
    /// When it refused the second of sound last.
    refused: Option<Instant>,
    /// Since when each recording fails.
    failing: HashMap<String, Instant>,
}

/// Whose failure it is that a service did not take a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The recording's: the service takes others.
    Recording,
    /// The second of sound tells; it may be sent now.
    Ask,
    /// The set-up's: the second of sound was refused, and nothing was taken since.
    SetUp,
    /// It cannot be known now.
    Unknown,
}

impl Trials {
    /// A recording has failed: returns what is known of that. With [`Finding::Ask`] the second of sound counts as sent.
    /// `is_lost` says that no answer came: the first time that may be the network's doing, and nothing is asked.
    pub(super) fn failed(&mut self, recording: &str, is_lost: bool, now: Instant) -> Finding {
        if self.failing.len() >= FAILING_MAX
            && !self.failing.contains_key(recording)
            && let Some(oldest) = self.failing.iter().min_by_key(|(_, since)| **since).map(|(name, _)| name.clone())
        {
            self.failing.remove(&oldest);
        }
        let is_first = !self.failing.contains_key(recording);
        let since = *self.failing.entry(recording.to_owned()).or_insert(now);
        if is_lost && is_first {
            return Finding::Unknown;
        }
        let is_since = |at: Instant| now.duration_since(at) < EVERY && at >= since;
        let is_overtaken = self.refused.is_some_and(|refused| self.taken.is_none_or(|taken| taken < refused));
        if self.taken.is_some_and(is_since) && !is_overtaken {
            return Finding::Recording;
        }
        if self.sent.is_none_or(|sent| now.duration_since(sent) >= EVERY) {
            self.sent = Some(now);
            return Finding::Ask;
        }
        if is_overtaken {
            return Finding::SetUp;
        }
        match self.taken {
            Some(taken) if now.duration_since(taken) < FRESH => Finding::Recording,
            Some(_) | None => Finding::Unknown,
        }
    }

    /// The service took a recording.
    pub(super) fn took(&mut self, recording: &str, now: Instant) {
        self.failing.remove(recording);
        self.taken = Some(now);
    }

    /// The service took the second of sound.
    pub(super) fn took_sound(&mut self, now: Instant) {
        self.taken = Some(now);
    }

    /// The service refused the second of sound.
    pub(super) fn refused_sound(&mut self, now: Instant) {
        self.refused = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A time so many seconds after the first one.
    fn later(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    #[test]
    fn a_recording_that_was_compared_once_is_not_compared_again_within_the_hour() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.failed("a", false, begun), Finding::Ask);
        trials.took_sound(later(begun, 1));
        assert_eq!(trials.failed("a", false, later(begun, 61)), Finding::Recording);
        assert_eq!(trials.failed("a", false, later(begun, 3500)), Finding::Recording);
        assert_eq!(trials.failed("a", false, later(begun, 3700)), Finding::Ask, "much may have happened since");
    }

    #[test]
    fn a_connection_that_is_lost_once_says_nothing_yet() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.failed("a", true, begun), Finding::Unknown);
        assert_eq!(trials.failed("a", true, later(begun, 60)), Finding::Ask);
        trials.took("b", later(begun, 61));
        assert_eq!(trials.failed("c", true, later(begun, 62)), Finding::Unknown);
        assert_eq!(trials.failed("a", true, later(begun, 120)), Finding::Recording);
    }

    #[test]
    fn what_was_taken_before_a_recording_began_to_fail_tells_little() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.failed("a", false, begun), Finding::Ask);
        trials.took_sound(later(begun, 1));
        assert_eq!(trials.failed("b", false, later(begun, 30)), Finding::Recording, "a moment ago");
        assert_eq!(trials.failed("c", false, later(begun, 600)), Finding::Unknown, "the service may be down since");
        trials.took("d", later(begun, 700));
        assert_eq!(trials.failed("c", false, later(begun, 800)), Finding::Recording);
    }

    #[test]
    fn a_refused_sound_is_the_set_up_until_something_is_taken() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.failed("a", false, begun), Finding::Ask);
        trials.refused_sound(later(begun, 1));
        assert_eq!(trials.failed("a", false, later(begun, 60)), Finding::SetUp);
        assert_eq!(trials.failed("b", false, later(begun, 120)), Finding::SetUp);
        trials.took("b", later(begun, 180));
        assert_eq!(trials.failed("a", false, later(begun, 240)), Finding::Recording);
    }

    proptest! {
        #![proptest_config(crate::budget::cases(128))]

        #[test]
        fn the_sound_is_sent_at_most_once_an_hour_and_nothing_counts_where_nothing_was_taken(
            steps in prop::collection::vec((0_u64..1500, 0_u8..6, 0_u8..3), 1..100)
        ) {
            let (mut trials, mut now) = (Trials::default(), Instant::now());
            let (mut asked, mut taken): (Option<Instant>, Option<Instant>) = (None, None);
            for (wait, recording, what) in steps {
                now += Duration::from_secs(wait);
                match (what, trials.failed(&recording.to_string(), what == 1, now)) {
                    (_, Finding::Ask) => {
                        prop_assert!(asked.is_none_or(|asked| now.duration_since(asked) >= EVERY));
                        asked = Some(now);
                        if what == 0 {
                            trials.took_sound(now);
                            taken = Some(now);
                        } else {
                            trials.refused_sound(now);
                        }
                    }
                    (_, Finding::Recording) => {
                        prop_assert!(taken.is_some_and(|taken| now.duration_since(taken) < EVERY));
                    }
                    (2, Finding::SetUp | Finding::Unknown) => {
                        trials.took(&recording.to_string(), now);
                        taken = Some(now);
                    }
                    (_, Finding::SetUp | Finding::Unknown) => {}
                }
            }
        }
    }
}
