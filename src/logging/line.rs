//! The line of an event: a single one, with nothing in it that a terminal or a log reader obeys.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{DefaultFields, Format, Full, Json, JsonFields, Writer},
        time::FormatTime,
    },
    registry::LookupSpan,
};

use crate::{config::LogFormat, text};

/// The parts of a log line around its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The time: RFC 3339, UTC, milliseconds. JSON always has it.
    pub(super) time: bool,
    /// The level in colour. JSON never has it.
    pub(super) colour: bool,
    /// The priority in front, as sd-daemon(3) wants it.
    pub(super) journal: bool,
}

/// Returns a layer that writes each event to `writer` as one line.
pub(super) fn line_layer<S, W>(
    format: LogFormat,
    look: Look,
    writer: W,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Told of a failed write, tracing-subscriber prints to standard error, and panics when that is what failed.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => {
            layer.fmt_fields(DefaultFields::new()).event_format(TextLine::new(look)).boxed()
        }
        LogFormat::Json => {
            layer.fmt_fields(JsonFields::new()).event_format(JsonLine::new(look)).boxed()
        }
    }
}

/// A line for a person: time, level, text, fields.
struct TextLine {
    look: Look,
    plain: Format<Full, ()>,
    with_target: Format<Full, ()>,
}

impl TextLine {
    fn new(look: Look) -> Self {
        let with_target = tracing_subscriber::fmt::format().without_time().with_level(false);
        Self { look, plain: with_target.clone().with_target(false), with_target }
    }

    /// The module matters to who reads details, or wonders whose words these are.
    fn choose_format(&self, event: &Event<'_>) -> &Format<Full, ()> {
        let meta = event.metadata();
        let ours = meta.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        if ours && *meta.level() <= Level::INFO { &self.plain } else { &self.with_target }
    }
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut body = String::new();
        self.choose_format(event).format_event(ctx, Writer::new(&mut body), event)?;
        let level = event.metadata().level();
        if self.look.journal {
            write!(writer, "<{}>", syslog_priority(*level))?;
        }
        if self.look.time {
            write!(writer, "{:.3} ", crate::clock::now())?;
        }
        if self.look.colour {
            write!(writer, "\u{1b}[{}m{level:>5}\u{1b}[0m ", sgr_colour(*level))?;
        } else {
            write!(writer, "{level:>5} ")?;
        }
        writeln!(writer, "{}", text::printable(body.trim_end_matches('\n')))
    }
}

/// A line for a machine: one JSON object.
struct JsonLine {
    journal: bool,
    inner: Format<Json, Utc>,
}

impl JsonLine {
    fn new(look: Look) -> Self {
        let inner = tracing_subscriber::fmt::format()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_timer(Utc);
        Self { journal: look.journal, inner }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut body = String::new();
        self.inner.format_event(ctx, Writer::new(&mut body), event)?;
        if self.journal {
            write!(writer, "<{}>", syslog_priority(*event.metadata().level()))?;
        }
        // JSON itself escapes no more than C0. What else is unprintable can only stand in a string.
        for character in body.trim_end_matches('\n').chars() {
            if text::is_unprintable(character) {
                // JSON escapes what lies beyond U+FFFF as two.
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_char(character)?;
            }
        }
        writer.write_char('\n')
    }
}

/// The wall time of `clock`, as people and machines read it.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", crate::clock::now())
    }
}

/// Returns the priority of syslog(3) for who must act: 3 a person, 4 nobody now, 6 and 7 nobody.
fn syslog_priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Returns the colour of SGR (ECMA-48) for a level.
fn sgr_colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;

    const PLAIN: Look = Look { time: false, colour: false, journal: false };
    /// A line end, a colour, a right-to-left override, a C1 control sequence, a line separator.
    const HOSTILE: &str = "a\n\r ERROR forged\u{1b}[31m\u{202e}gpm\u{9b}2J\u{2028}.wav\u{7f}";

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, look: Look, log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = Registry::default().with(line_layer(format, look, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = memory.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    fn log_hostile() {
        let _span = tracing::info_span!("job", folder = %HOSTILE).entered();
        tracing::info!(name = HOSTILE, debug = ?HOSTILE, "uploaded `{HOSTILE}`");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line_and_has_no_power_over_the_terminal() {
        let line = logged(LogFormat::Text, PLAIN, log_hostile);
        assert!(!line.trim_end_matches('\n').chars().any(text::is_unprintable), "{line:?}");
        insta::assert_snapshot!(line, @r#" INFO job{folder=a\u{a}\u{d} ERROR forged\u{1b}[31m\u{202e}gpm\u{9b}2J\u{2028}.wav\u{7f}}: uploaded `a\u{a}\u{d} ERROR forged\x1b[31m\u{202e}gpm\u{9b}2J\u{2028}.wav\x7f` name="a\n\r ERROR forged\u{1b}[31m\u{202e}gpm\u{9b}2J\u{2028}.wav\u{7f}" debug="a\n\r ERROR forged\u{1b}[31m\u{202e}gpm\u{9b}2J\u{2028}.wav\u{7f}""#);
    }

    #[test]
    fn a_hostile_name_in_json_stays_itself_for_whoever_parses_it() {
        let line = logged(LogFormat::Json, PLAIN, log_hostile);
        assert!(!line.trim_end_matches('\n').chars().any(text::is_unprintable), "{line:?}");
        let object: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(object["name"], HOSTILE);
        assert_eq!(object["span"]["folder"], HOSTILE);
        assert_eq!(object["message"], format!("uploaded `{HOSTILE}`"));
        let time = object["timestamp"].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }

    #[test]
    fn the_journal_gets_the_priority_and_no_time() {
        let lines = logged(LogFormat::Text, Look { journal: true, ..PLAIN }, || {
            tracing::error!("sign in");
            tracing::warn!("again later");
            tracing::info!(job.id = 7, "done");
            tracing::debug!("asked");
            tracing::trace!("waited");
        });
        insta::assert_snapshot!(lines, @r"
        <3>ERROR sign in
        <4> WARN again later
        <6> INFO done job.id=7
        <7>DEBUG minuted::logging::line::tests: asked
        <7>TRACE minuted::logging::line::tests: waited
        ");
    }

    #[test]
    fn whose_words_they_are_is_said_where_they_are_not_ours() {
        let lines =
            logged(LogFormat::Text, PLAIN, || tracing::warn!(target: "hyper::client", "odd"));
        assert_eq!(lines, " WARN hyper::client: odd\n");
    }

    #[test]
    fn the_time_is_utc_and_only_the_level_is_coloured() {
        let line =
            logged(LogFormat::Text, Look { time: true, colour: true, journal: false }, || {
                tracing::error!("sign in");
            });
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "\u{1b}[31mERROR\u{1b}[0m sign in\n");
    }
}
