//! The evidence for whose failure it is that a service refused a recording: the recording's, the
//! set-up's or the service's. Pure: the time is an argument.
//!
//! The evidence is kept in memory: after a restart or a change of the settings everything may be
//! different, and one more test tone is all that it costs to find out.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// Time between two test tones, which may cost money.
const EVERY: Duration = Duration::from_secs(3600);

/// Age up to which a success is still proof: the service works now.
const FRESH: Duration = Duration::from_secs(60);

/// Recordings whose failures are remembered. A forgotten one is compared again.
const FAILING_MAX: usize = 1024;

/// The evidence about a service, from the recordings and tones that it was sent.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// The last time that the tone was sent.
    sent: Option<Instant>,
    /// The last success: of a recording, or of the tone.
    taken: Option<Instant>,
    /// The last time that the tone was refused.
    refused: Option<Instant>,
    /// The first failure of each recording.
    failing: HashMap<String, Instant>,
}

/// The culprit of a refused recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrialFinding {
    /// The recording: the service accepts others.
    Recording,
    /// Open; the tone may be sent now to find out.
    Ask,
    /// The set-up: the tone was refused, and nothing was accepted since.
    SetUp,
    /// Unknown for now.
    Unknown,
}

impl Trials {
    /// Records the failure of a recording and returns its culprit. With [`TrialFinding::Ask`] the
    /// tone counts as sent. `is_lost` says that no answer came: the first time that may be the
    /// network's fault, and nothing is sent.
    pub(super) fn record_failure(
        &mut self,
        recording: &str,
        is_lost: bool,
        now: Instant,
    ) -> TrialFinding {
        if self.failing.len() >= FAILING_MAX
            && !self.failing.contains_key(recording)
            && let Some(oldest) =
                self.failing.iter().min_by_key(|(_, since)| **since).map(|(name, _)| name.clone())
        {
            self.failing.remove(&oldest);
        }
        let is_first = !self.failing.contains_key(recording);
        let since = *self.failing.entry(recording.to_owned()).or_insert(now);
        if is_lost && is_first {
            return TrialFinding::Unknown;
        }
        let is_overtaken =
            self.refused.is_some_and(|refused| self.taken.is_none_or(|taken| taken < refused));
        if self.taken.is_some_and(|at| now.duration_since(at) < EVERY && at >= since)
            && !is_overtaken
        {
            return TrialFinding::Recording;
        }
        if self.sent.is_none_or(|sent| now.duration_since(sent) >= EVERY) {
            self.sent = Some(now);
            return TrialFinding::Ask;
        }
        if is_overtaken {
            return TrialFinding::SetUp;
        }
        match self.taken {
            Some(taken) if now.duration_since(taken) < FRESH => TrialFinding::Recording,
            Some(_) | None => TrialFinding::Unknown,
        }
    }

    /// Records that the service accepted a recording.
    pub(super) fn record_success(&mut self, recording: &str, now: Instant) {
        self.failing.remove(recording);
        self.taken = Some(now);
    }

    /// Records that the service accepted the tone.
    pub(super) fn record_tone_taken(&mut self, now: Instant) {
        self.taken = Some(now);
    }

    /// Records that the service refused the tone.
    pub(super) fn record_tone_refused(&mut self, now: Instant) {
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
        assert_eq!(trials.record_failure("a", false, begun), TrialFinding::Ask);
        trials.record_tone_taken(later(begun, 1));
        assert_eq!(trials.record_failure("a", false, later(begun, 61)), TrialFinding::Recording);
        assert_eq!(trials.record_failure("a", false, later(begun, 3500)), TrialFinding::Recording);
        assert_eq!(
            trials.record_failure("a", false, later(begun, 3700)),
            TrialFinding::Ask,
            "much may have happened since"
        );
    }

    #[test]
    fn a_connection_that_is_lost_once_says_nothing_yet() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.record_failure("a", true, begun), TrialFinding::Unknown);
        assert_eq!(trials.record_failure("a", true, later(begun, 60)), TrialFinding::Ask);
        trials.record_success("b", later(begun, 61));
        assert_eq!(trials.record_failure("c", true, later(begun, 62)), TrialFinding::Unknown);
        assert_eq!(trials.record_failure("a", true, later(begun, 120)), TrialFinding::Recording);
    }

    #[test]
    fn what_was_taken_before_a_recording_began_to_fail_tells_little() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.record_failure("a", false, begun), TrialFinding::Ask);
        trials.record_tone_taken(later(begun, 1));
        assert_eq!(
            trials.record_failure("b", false, later(begun, 30)),
            TrialFinding::Recording,
            "a moment ago"
        );
        assert_eq!(
            trials.record_failure("c", false, later(begun, 600)),
            TrialFinding::Unknown,
            "the service may be down since"
        );
        trials.record_success("d", later(begun, 700));
        assert_eq!(trials.record_failure("c", false, later(begun, 800)), TrialFinding::Recording);
    }

    #[test]
    fn a_refused_sound_is_the_set_up_until_something_is_taken() {
        let (mut trials, begun) = (Trials::default(), Instant::now());
        assert_eq!(trials.record_failure("a", false, begun), TrialFinding::Ask);
        trials.record_tone_refused(later(begun, 1));
        assert_eq!(trials.record_failure("a", false, later(begun, 60)), TrialFinding::SetUp);
        assert_eq!(trials.record_failure("b", false, later(begun, 120)), TrialFinding::SetUp);
        trials.record_success("b", later(begun, 180));
        assert_eq!(trials.record_failure("a", false, later(begun, 240)), TrialFinding::Recording);
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
                match (what, trials.record_failure(&recording.to_string(), what == 1, now)) {
                    (_, TrialFinding::Ask) => {
                        prop_assert!(asked.is_none_or(|asked| now.duration_since(asked) >= EVERY));
                        asked = Some(now);
                        if what == 0 {
                            trials.record_tone_taken(now);
                            taken = Some(now);
                        } else {
                            trials.record_tone_refused(now);
                        }
                    }
                    (_, TrialFinding::Recording) => {
                        prop_assert!(taken.is_some_and(|taken| now.duration_since(taken) < EVERY));
                    }
                    (2, TrialFinding::SetUp | TrialFinding::Unknown) => {
                        trials.record_success(&recording.to_string(), now);
                        taken = Some(now);
                    }
                    (_, TrialFinding::SetUp | TrialFinding::Unknown) => {}
                }
            }
        }
    }
}
