//! The processor time that a recording takes on this machine, for a forecast.
//!
//! Measured by `benches/engine.sh` with Moonshine on one thread of a small server of 2026; another
//! processor differs by its speed, and silence takes less.

use std::time::Duration;

/// Processor time for the words, per time of speech: the factor that the benchmark prints for an
/// hour.
const WORDS: f64 = 0.037;

/// Processor time for telling the voices apart, per time of speech: 228 s for an hour of four
/// readers.
const VOICES: f64 = 228.0 / 3600.0;

/// Returns about how much processor time speech of this length takes, with or without its voices
/// told apart.
#[must_use]
pub(crate) fn processor_time(speech: Duration, with_voices: bool) -> Duration {
    let factor = if with_voices { WORDS + VOICES } else { WORDS };
    Duration::try_from_secs_f64(speech.as_secs_f64() * factor).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_takes_two_minutes_and_six_with_its_voices() {
        let hour = Duration::from_secs(3600);
        let minutes =
            [false, true].map(|with_voices| processor_time(hour, with_voices).as_secs() / 60);
        assert_eq!(minutes, [2, 6], "as docs/services.md has it");
    }
}
