//! The dead man's switch: a monitor that raises the alarm when it hears nothing (healthchecks.io's protocol).

use std::{path::Path, time::Duration};

use url::Url;

use super::address::read_address_file;
use crate::{
    config::Ping,
    effect::Effect,
    http::{Hook, HookCall},
    text::one_line,
};

/// The time that the monitor may take: less than the interval of the calls.
const LIMIT: Duration = Duration::from_secs(20);

/// Characters of a report; healthchecks.io keeps 100 kB.
const REPORT_CHARS_MAX: usize = 4000;

/// The state that the monitor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beat {
    /// All is well.
    Fine,
    /// Something needs a person.
    Attention(Vec<String>),
}

/// The monitor.
#[derive(Debug)]
pub(crate) struct Monitor<'p>(pub(crate) &'p Ping);

impl Monitor<'_> {
    /// Calls the monitor once; returns its host and the status of its answer.
    ///
    /// # Errors
    /// Why it was not told, without the address.
    pub(crate) async fn call(&self, beat: &Beat) -> Result<String, String> {
        let address = address_of(&self.0.url_file, self.0.insecure, beat)?;
        let hook = Hook::new(address, LIMIT).map_err(|error| error.to_string())?;
        let body = match beat {
            Beat::Fine => String::new(),
            Beat::Attention(lines) => report(lines),
        };
        let call = HookCall {
            content_type: "text/plain; charset=utf-8",
            headers: Vec::new(),
            body: body.into_bytes(),
        };
        let origin = hook.origin();
        let answer = Effect::Ping.during_async(hook.post(call)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.is_success() {
            Ok(origin)
        } else {
            Err(format!("`{origin}` answered {}", answer.status))
        }
    }
}

/// Checks that the address of the monitor can be read; returns its origin. Calls nobody.
///
/// # Errors
/// What is wrong, with the cure.
pub(crate) fn check_ping(ping: &Ping) -> Result<String, crate::hint::Hinted> {
    let address = read_address_file(&ping.url_file, ping.insecure)?;
    Ok(address.origin().ascii_serialization())
}

fn address_of(file: &Path, insecure: bool, beat: &Beat) -> Result<Url, String> {
    let address = read_address_file(file, insecure).map_err(|error| error.to_string())?;
    Ok(match beat {
        Beat::Fine => address,
        Beat::Attention(_) => failing(&address),
    })
}

/// Returns the address that raises the alarm: `/fail` behind the path, before the query (`?create=1`).
fn failing(address: &Url) -> Url {
    let mut address = address.clone();
    let path = format!("{}/fail", address.path().trim_end_matches('/'));
    address.set_path(&path);
    address
}

fn report(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = one_line(line, 300);
        if text.chars().count() + line.chars().count() > REPORT_CHARS_MAX {
            text.push_str("… and more\n");
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_stands_behind_the_path() {
        let failing = |text: &str| failing(&text.parse().expect("a URL")).to_string();
        assert_eq!(failing("https://hc.example/ping/uuid"), "https://hc.example/ping/uuid/fail");
        assert_eq!(failing("https://hc.example/k/slug/"), "https://hc.example/k/slug/fail");
        assert_eq!(
            failing("https://hc.example/k/slug?create=1"),
            "https://hc.example/k/slug/fail?create=1"
        );
    }

    #[test]
    fn a_report_is_bounded_and_has_a_line_for_each() {
        let lines: Vec<String> = (0..1000).map(|n| format!("service {n}\nis down")).collect();
        let report = report(&lines);
        assert!(report.starts_with("service 0 is down\nservice 1 is down\n"), "{report}");
        assert!(report.len() < 5000 && report.ends_with("… and more\n"));
    }
}
