//! An answer as it came, read up to its cap.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};

use crate::{clock, text};

/// A service that asks to be left alone for longer is asked again after this: a mistaken header
/// must not park recordings for a week.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Characters of a header that are shown: more is no use in a message.
const HEADER_CHARS_MAX: usize = 200;

/// The answer of a service.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The time by the clock of the service.
    pub date: Option<Timestamp>,
    /// The pause that the service asked for; at most an hour.
    pub retry_after: Option<Duration>,
    /// The address that it points to, printable and without a query.
    pub location: Option<String>,
    /// The type that it gives for the body, printable.
    pub content_type: Option<String>,
    /// The body, whole.
    pub body: Bytes,
}

impl Answer {
    /// Returns whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn new(status: u16, headers: &HeaderMap, body: Bytes) -> Self {
        let date = printable_header(headers, DATE).and_then(|date| http_date(&date));
        // A date to wait for is of that clock, too: it gives a span, so the time here does not
        // matter.
        let now = date.unwrap_or_else(clock::now);
        Self {
            status,
            date,
            retry_after: printable_header(headers, RETRY_AFTER)
                .and_then(|value| retry_after(&value, now)),
            location: printable_header(headers, LOCATION).map(|value| without_query(&value)),
            content_type: printable_header(headers, CONTENT_TYPE),
            body,
        }
    }
}

fn printable_header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
    Some(text::one_line(&value, HEADER_CHARS_MAX))
}

fn without_query(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Reads a `Retry-After` header: seconds, or a date (RFC 9110, 10.2.3). Another value is ignored.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if let Ok(seconds) = value.parse::<f64>() {
        // `min` would turn NaN into the maximum.
        let seconds = Some(seconds).filter(|seconds| seconds.is_finite())?;
        Duration::try_from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())).ok()?
    } else {
        Duration::try_from(http_date(value)?.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn http_date(value: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::cases;

    /// The date so many seconds from now, as the header has it.
    fn dated(seconds: i64) -> String {
        (now() + jiff::SignedDuration::from_secs(seconds))
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }

    proptest! {
            #![proptest_config(cases(256))]

            #[test]
            fn no_header_parks_recordings_for_longer_than_an_hour(
                value in prop_oneof![
                    any::<String>(),
                    "[-+ ]{0,2}[0-9]{0,24}(\\.[0-9]{1,3})?(e[+-]?[0-9]{1,4})?",
    (-3_000_000_000_i64..6_000_000_000).prop_map(dated),
                    any::<f64>().prop_map(|number| number.to_string()),
                ]
            ) {
                let wait = retry_after(&value, now());
                prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX), "{:?}", wait);
            }

            #[test]
            fn seconds_and_dates_within_the_hour_are_obeyed_exactly(seconds in 0_i64..=3600) {
                let wait = Some(Duration::from_secs(seconds.unsigned_abs()));
                prop_assert_eq!(retry_after(&seconds.to_string(), now()), wait);
                prop_assert_eq!(retry_after(&dated(seconds), now()), wait);
            }

            #[test]
            fn what_is_shown_of_a_header_is_one_short_line(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
                let Ok(value) = reqwest::header::HeaderValue::from_bytes(&bytes) else { return Ok(()) };
                let headers = [LOCATION, CONTENT_TYPE, RETRY_AFTER].map(|name| (name, value.clone())).into_iter().collect();
                let answer = Answer::new(302, &headers, Bytes::new());
                for shown in [answer.location, answer.content_type].into_iter().flatten() {
                    prop_assert!(shown.chars().count() <= HEADER_CHARS_MAX && !shown.contains(text::is_unprintable));
                }
            }
        }

    fn now() -> Timestamp {
        "2026-11-22T08:00:00Z".parse().expect("a time")
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(retry_after(" 120 ", now()), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 22 Nov 2026 08:01:30 GMT", now()),
            Some(Duration::from_secs(90))
        );
    }

    #[test]
    fn retry_after_is_never_longer_than_an_hour_nor_negative() {
        assert_eq!(retry_after("999999999999999999999999", now()), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("Sun, 22 Nov 2099 08:01:30 GMT", now()), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("Sun, 22 Nov 2020 08:01:30 GMT", now()), Some(Duration::ZERO));
        assert_eq!(retry_after("-5", now()), None);
        assert_eq!(retry_after("NaN", now()), None);
        assert_eq!(retry_after("soon", now()), None);
    }

    #[test]
    fn a_date_is_read_by_the_clock_of_who_says_it() {
        let wait = |date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, "Sun, 22 Nov 2020 08:01:30 GMT".parse().expect("a value"));
            date.and_then(|date| headers.insert(DATE, date.parse().expect("a value")));
            Answer::new(503, &headers, Bytes::new()).retry_after
        };
        assert_eq!(wait(Some("Sun, 22 Nov 2020 08:00:00 GMT")), Some(Duration::from_secs(90)));
        assert_eq!(
            wait(Some("today")),
            Some(Duration::ZERO),
            "by our own clock, which is years ahead"
        );
        assert_eq!(wait(None), Some(Duration::ZERO));
    }

    #[test]
    fn a_location_is_shown_without_its_query() {
        assert_eq!(without_query("https://a.example/login?token=x#y"), "https://a.example/login");
    }
}
