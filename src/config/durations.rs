//! Durations as people write them: `5s`, `2m 30s`, `180d`.
//!
//! Always with a unit: a bare number means seconds to one reader and minutes to the next. No months
//! and no years: they have no fixed length.

use std::{fmt::Write as _, time::Duration};

use super::{diagnostic::ValueError, words::in_backticks};

/// The units with their milliseconds, the largest first.
const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The range of a duration.
#[derive(Debug, Clone, Copy)]
pub(super) struct DurationBounds {
    /// The least.
    pub(super) min: Duration,
    /// The most.
    pub(super) max: Duration,
    /// Allows 0 as well.
    pub(super) or_zero: bool,
}

impl DurationBounds {
    /// From `min` to `max`, both in milliseconds.
    pub(super) const fn from_ms(min: u64, max: u64) -> Self {
        Self { min: Duration::from_millis(min), max: Duration::from_millis(max), or_zero: false }
    }

    /// Allows 0 as well.
    pub(super) const fn or_zero(self) -> Self {
        Self { or_zero: true, ..self }
    }

    /// Returns the duration that `text` says, when it lies within.
    pub(super) fn parse(self, text: &str) -> Result<Duration, ValueError> {
        let duration = if text.trim() == "0" { Duration::ZERO } else { parse_duration(text)? };
        let within =
            (self.min..=self.max).contains(&duration) || (self.or_zero && duration.is_zero());
        if within { Ok(duration) } else { Err(self.out_of_range(text)) }
    }

    fn out_of_range(self, text: &str) -> ValueError {
        let zero = if self.or_zero { ", or 0" } else { "" };
        let help = format!(
            "write from \"{}\" to \"{}\"{zero}",
            spell_duration(self.min),
            spell_duration(self.max)
        );
        ValueError::new(format!("{} is out of range", in_backticks(text)), help)
    }
}

fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let bare = text.trim();
    if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::new(
            format!("{} has no unit", in_backticks(text)),
            format!("write \"{bare}s\" for seconds"),
        ));
    }
    let help = "write numbers and units, as in \"2m 30s\"; units are ms, s, m, h, d and w";
    sum_milliseconds(bare)
        .map(Duration::from_millis)
        .ok_or_else(|| ValueError::new(format!("{} is not a duration", in_backticks(text)), help))
}

/// Returns the sum of the parts; `None` for what is not such a sum, or is too large.
fn sum_milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: Option<u64> = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, unit_ms) = UNITS.iter().find(|(unit, _)| *unit == &after[..letters])?;
        sum = Some(sum.unwrap_or(0).checked_add(number.checked_mul(*unit_ms)?)?);
        rest = after[letters..].trim_start();
    }
    sum
}

/// Returns a duration as the config file has it: `2m 30s`.
pub(crate) fn spell_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks are read, and never written: "180d" stays "180d".
    for (unit, unit_ms) in UNITS.into_iter().skip(1).filter(|(_, unit_ms)| *unit_ms > 0) {
        let count = rest_ms / unit_ms;
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            write!(text, "{space}{count}{unit}").expect("a String takes what is written");
        }
        rest_ms %= unit_ms;
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANY: DurationBounds = DurationBounds::from_ms(0, u64::MAX);

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases = [
            ("5s", 5),
            ("2m 30s", 150),
            ("2m30s", 150),
            ("180d", 15_552_000),
            ("1 h", 3_600),
            ("1w", 604_800),
        ];
        for (text, seconds) in cases {
            assert_eq!(ANY.parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(ANY.parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_what_to_write() {
        for text in [
            "",
            "s",
            "5",
            "5 6",
            "-5s",
            "1.5h",
            "5 parsecs",
            "1M",
            "99999999999999999999s",
            "9999999999999999w",
        ] {
            assert!(ANY.parse(text).is_err(), "{text}");
        }
        assert_eq!(ANY.parse("30").expect_err("bare").help, "write \"30s\" for seconds");
        let bounds = DurationBounds::from_ms(1_000, 90_000);
        assert_eq!(bounds.parse("2h").expect_err("long").help, "write from \"1s\" to \"1m 30s\"");
        assert!(bounds.parse("0").is_err() && bounds.parse("0s").is_err());
        assert_eq!(bounds.or_zero().parse("0"), Ok(Duration::ZERO));
        assert_eq!(bounds.or_zero().parse("0s"), Ok(Duration::ZERO));
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn a_spelled_duration_reads_back(ms in 0_u64..10_000_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(ANY.parse(&spell_duration(duration)), Ok(duration));
        }
    }
}
