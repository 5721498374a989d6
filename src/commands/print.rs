//! The only code that writes to standard output and standard error.

mod list;

use std::io::{self, IsTerminal as _, Write as _};

use jiff::Timestamp;
use serde_json::Value;

pub(super) use list::{Column, List};

use crate::{
    cli::Output,
    clock,
    clock::elapsed,
    config::Environment,
    text::{format_duration, printable, printable_json},
};

/// Columns where the terminal does not tell.
const WIDTH: u16 = 80;

/// Prints a line of data. A reader that has gone away is no failure.
pub(super) fn line(text: &str) -> io::Result<()> {
    forgive_closed_pipe(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints text as it is.
pub(super) fn raw(text: &str) -> io::Result<()> {
    forgive_closed_pipe(io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints a text of many lines from outside, none of which a terminal obeys, between empty lines.
pub(super) fn document(text: &str) -> io::Result<()> {
    line("")?;
    text.lines().try_for_each(|shown| line(&printable(shown)))?;
    line("")
}

/// Prints JSON, indented on a terminal. What a terminal would obey is escaped, so that it means the same.
pub(super) fn json(value: &Value) -> io::Result<()> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    line(&printable_json(&text?))
}

/// Prints an answer whose `message` says what was done: that alone, or all of it as JSON.
pub(super) fn outcome(answer: &Value, output: &Output) -> io::Result<()> {
    if output.json {
        return json(answer);
    }
    match answer.get("message").and_then(Value::as_str) {
        Some(message) => line(&printable(message)),
        None => Ok(()),
    }
}

/// Says something to the person. When nobody can hear it there is nobody to tell.
pub(super) fn message(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Shows a question, behind which the person types.
pub(super) fn prompt(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(write!(stderr, "{text} ").and_then(|()| stderr.flush()));
}

fn forgive_closed_pipe(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Returns whether standard error shows colours.
pub(super) fn stderr_has_colour(environment: &Environment) -> bool {
    io::stderr().is_terminal() && !environment.no_color
}

/// Returns whether a person sees standard output, for what is drawn over.
pub(super) fn is_shown() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether a person sees standard error, for progress bars.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Returns the columns of the terminal.
pub(super) fn terminal_width() -> u16 {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| size.ws_col).filter(|columns| *columns >= 40).unwrap_or(WIDTH)
}

/// Returns a size for people: `3.4 MB`.
pub(super) fn format_size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// Returns a length of time as a clock shows it: `4:05`, `1:02:03`.
pub(super) fn format_clock(seconds: u64) -> String {
    let hours = seconds / 3600;
    let minutes = seconds / 60 % 60;
    let seconds = seconds % 60;
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Returns how long ago a time is, for people: `5m`, `3h`, `2d`.
pub(super) fn format_age(at: Timestamp) -> String {
    format_duration(elapsed(at, clock::now()))
}

/// Returns how far in the future a time is.
pub(super) fn format_time_left(at: Timestamp) -> String {
    format_duration(elapsed(clock::now(), at))
}
