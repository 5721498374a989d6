//! A transport error on one line: what failed and why, without the address it was sent to.

use std::error::Error;

use crate::{certificate, text};

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

/// Returns what a person can do about a server that TLS does not let through.
fn cure(cause: &str) -> Option<String> {
    let in_the_clear = || "the server does not speak TLS: should base_url begin with http://?".to_owned();
    certificate::cure(cause, "base_url").or_else(|| cause.contains("corrupt message").then(in_the_clear))
}
