//! Sizes as people write them: `64GiB`, `500MB`. Always with a unit, so that nobody takes bytes for
//! megabytes.

use super::{diagnostic::ValueError, words::in_backticks};
use crate::text::{SIZES, format_size};

/// The least and the most that a bound of size may be: a few seconds of speech, and what no
/// recording has.
const MIN: u64 = 1 << 10;
const MAX: u64 = 1 << 40;

/// The units of thousands, besides those of 1,024.
const THOUSANDS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

/// Returns the bytes that `text` says.
pub(super) fn parse_size(text: &str) -> Result<u64, ValueError> {
    let bare = text.trim();
    let digits = bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len());
    let unit = bare[digits..].trim();
    let help = "write a whole number and a unit, as in \"64GiB\"; units are KiB, MiB, GiB, TiB, KB, MB, GB and TB";
    if digits == bare.len() && digits > 0 {
        return Err(ValueError::new(format!("{} has no unit", in_backticks(text)), help));
    }
    let known = SIZES.iter().chain(&THOUSANDS).find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let number = bare[..digits].parse::<u64>().ok();
    let bytes = number.zip(known).and_then(|(number, (_, unit))| number.checked_mul(*unit));
    let bytes = bytes
        .ok_or_else(|| ValueError::new(format!("{} is not a size", in_backticks(text)), help))?;
    if (MIN..=MAX).contains(&bytes) {
        return Ok(bytes);
    }
    let help = format!("write from \"{}\" to \"{}\"", format_size(MIN), format_size(MAX));
    Err(ValueError::new(format!("{} is out of range", in_backticks(text)), help))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("64GiB", 64 << 30),
            ("1TiB", 1 << 40),
            ("500 MB", 500_000_000),
            ("2kib", 2048),
            ("4096B", 4096),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_what_to_write() {
        for text in [
            "",
            "GiB",
            "64",
            "-1GiB",
            "1.5GiB",
            "64 parsecs",
            "99999999999999999999GiB",
            "99999999TiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("64").expect_err("bare").what.contains("has no unit"));
        assert_eq!(parse_size("2TiB").expect_err("large").help, "write from \"1KiB\" to \"1TiB\"");
        assert!(parse_size("1B").is_err());
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn a_shown_size_reads_back(exponent in 10_u32..=40) {
            prop_assert_eq!(parse_size(&format_size(1 << exponent)), Ok(1 << exponent));
        }
    }
}
