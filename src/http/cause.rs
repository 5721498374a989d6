//! A transport error on one line: what failed and why, without the address it was sent to.

use std::error::Error;

use crate::text;

/// How much of a chain of causes is shown, in characters.
const CAUSE_CHARS_MAX: usize = 300;

/// Returns the causes of `error` from the outermost to the innermost, each said once.
///
/// The URL is taken out first: its query may hold what is nobody's business.
pub(super) fn one_line(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said: Vec<String> = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    // reqwest's own words name the phase, which the caller says better, unless there is nothing else.
    if said.len() > 1 {
        said.remove(0);
    }
    let said = said.join(": ");
    let cure = cure(&said).map(|cure| format!("; {cure}")).unwrap_or_default();
    text::one_line(&said, CAUSE_CHARS_MAX) + &cure
}

/// Returns what a person can do about a server that TLS does not let through, in the order of what is told of it.
fn cure(cause: &str) -> Option<&'static str> {
    /// What rustls says, and the cure.
    const CURES: [(&str, &str); 5] = [
        ("not valid for name", "check base_url: the server has a certificate for another name"),
        ("certificate expired", "check the clock of this machine, then ask whoever runs the server"),
        ("certificate not valid yet", "check the clock of this machine, then ask whoever runs the server"),
        (
            "invalid peer certificate",
            "if the server is your own, install its CA certificate on this machine, or name it in SSL_CERT_FILE",
        ),
        ("corrupt message", "the server does not speak TLS: should base_url begin with http://?"),
    ];
    CURES.iter().find(|(said, _)| cause.contains(said)).map(|(_, cure)| *cure)
}
