//! Where the log goes: standard error, and daily files where the config names a directory.
//!
//! A line holds no control or bidirectional character whatever is logged, and one event is one line: a hostile file
//! name can neither forge a line nor speak to the terminal that shows it. Nobody's work waits for a log file.

mod files;
mod line;

use std::{
    any::Any,
    io::{self, IsTerminal as _, Write},
    panic::{self, PanicHookInfo},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::{LevelFilter, ParseError},
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

use self::{
    files::DailyFiles,
    line::{Look, line_layer},
};
use crate::{
    config::Log,
    text::{ShellCommand, printable_path},
};

/// Lines that wait for the log file's disk, about 2 MiB of them. When it stalls for longer, lines are dropped and
/// counted: a slow log must not slow the work.
const WAITING_LINES_MAX: usize = 8_192;

/// How often the count of dropped lines is reported, when there are any.
const DROPS_TOLD_EVERY: Duration = Duration::from_secs(3600);

/// Crates that log more than an operator wants below `warn`. A name covers what begins with it.
const NOISY: [&str; 6] = ["h2", "hyper", "lettre", "notify", "reqwest", "rustls"];

/// Logs each certificate that it refuses as an error, at each try; the failed call reports it once,
/// with the cure.
const REPEATING: &str = "rustls_platform_verifier";

/// The kind of standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stderr {
    /// A terminal: levels are coloured.
    pub terminal: bool,
    /// The journal: it adds the time itself, and reads each line's priority from a `<6>` before it.
    pub journal: bool,
}

impl Stderr {
    /// Returns what standard error is, given the value of `$JOURNAL_STREAM`.
    ///
    /// The variable is inherited by whatever a service starts, so it only counts when it names the very stream that
    /// standard error is (systemd.exec(5)).
    #[must_use]
    pub(crate) fn from_journal_stream(journal_stream: Option<&str>) -> Self {
        let journal = rustix::fs::fstat(io::stderr()).is_ok_and(|stat| {
            journal_stream == Some(format!("{}:{}", stat.st_dev, stat.st_ino).as_str())
        });
        Self { terminal: io::stderr().is_terminal(), journal }
    }
}

/// The reason why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggingError {
    /// The filter makes no sense; `origin` is where it was written.
    #[error("the filter `{filter}` of {origin} cannot be understood")]
    Filter {
        /// As it was written.
        filter: String,
        /// `log.level` or `$RUST_LOG`.
        origin: &'static str,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The directory of the log files cannot be made.
    #[error("failed to make the log directory `{}`", printable_path(path))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first log file cannot be opened.
    #[error("failed to open a log file in `{}`", printable_path(path))]
    File {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Logging was started before in this process.
    #[error("the log is already running")]
    Running(#[source] TryInitError),
}

impl LoggingError {
    /// Returns what to do about it.
    #[must_use]
    pub(crate) fn cure(&self) -> String {
        match self {
            Self::Filter { .. } => "write error, warn, info, debug or trace".to_owned(),
            Self::Directory { path, .. } => {
                let make =
                    ShellCommand::new("sudo install -d -m 0750 -o \"$(id -un)\"").add_path(path);
                format!("{make}; or leave `dir` out of [log]: stderr is enough")
            }
            Self::File { path, .. } => {
                format!(
                    "{}; or leave `dir` out of [log]: stderr is enough",
                    crate::access::setfacl_commands(path).join("; ")
                )
            }
            Self::Running(_) => "a bug: report it".to_owned(),
        }
    }
}

/// Starts the log of this process, and logs each panic as one error line from now on.
///
/// `rust_log` is the value of `$RUST_LOG`; unless empty it wins over the configured level.
///
/// # Errors
/// When the filter makes no sense, or the directory takes no files. Then nothing is logged yet.
pub(crate) fn start_logging(
    log: &Log,
    rust_log: Option<&str>,
    stderr: Stderr,
) -> Result<Guard, LoggingError> {
    let filter = build_filter(&log.level, rust_log)?;
    let look = Look {
        time: !stderr.journal,
        colour: stderr.terminal && !stderr.journal,
        journal: stderr.journal,
    };
    let mut layers = vec![line_layer(log.format, look, io::stderr)];
    let mut guard = Guard { drops: Drops::default(), _files: None };
    if let Some(directory) = &log.dir {
        let (writer, drops, files) = open_log_files(directory, log.keep)?;
        layers.push(line_layer(
            log.format,
            Look { time: true, colour: false, journal: false },
            writer,
        ));
        guard = Guard { drops, _files: Some(files) };
    }
    Registry::default().with(layers).with(filter).try_init().map_err(LoggingError::Running)?;
    panic::set_hook(Box::new(report_panic));
    Ok(guard)
}

/// Keeps the log running; dropped last, it writes what still waits.
#[derive(Debug)]
#[must_use = "without it the log files end"]
pub(crate) struct Guard {
    drops: Drops,
    _files: Option<WorkerGuard>,
}

impl Guard {
    /// Returns the count of the lines that did not reach the log files.
    pub(crate) fn dropped_lines(&self) -> Drops {
        self.drops.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drops.report_dropped();
    }
}

/// The count of the lines that did not reach the log files, and of those that were reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drops {
    crowded_out: Option<ErrorCounter>,
    unwritten: Arc<AtomicUsize>,
    reported: Arc<AtomicUsize>,
}

impl Drops {
    /// Returns the lines that were dropped since the start: crowded out, or refused by the disk.
    #[must_use]
    pub(crate) fn count_dropped(&self) -> usize {
        let crowded_out = self.crowded_out.as_ref().map_or(0, ErrorCounter::dropped_lines);
        crowded_out.saturating_add(self.unwritten.load(Ordering::Relaxed))
    }

    /// Logs one warning when lines were dropped since the last one.
    pub(crate) fn report_dropped(&self) {
        let count = self.count_dropped();
        let lines = count.saturating_sub(self.reported.swap(count, Ordering::Relaxed));
        if lines > 0 {
            tracing::warn!(
                lines,
                "{lines} log lines did not reach the log file; standard error has them"
            );
        }
    }

    /// Reports every hour, without end.
    pub(crate) async fn report_hourly(&self) {
        loop {
            tokio::time::sleep(DROPS_TOLD_EVERY).await;
            self.report_dropped();
        }
    }
}

/// Opens the daily files `minuted.YYYY-MM-DD.log` (UTC), keeping the `keep` newest.
fn open_log_files(
    directory: &Path,
    keep: usize,
) -> Result<(NonBlocking, Drops, WorkerGuard), LoggingError> {
    files::make_directory(directory)
        .map_err(|source| LoggingError::Directory { path: directory.to_owned(), source })?;
    let files = DailyFiles::open(directory, keep)
        .map_err(|source| LoggingError::File { path: directory.to_owned(), source })?;
    Ok(without_waiting(files))
}

/// Gives `writer` a thread of its own.
fn without_waiting(writer: impl Write + Send + 'static) -> (NonBlocking, Drops, WorkerGuard) {
    let unwritten = Arc::new(AtomicUsize::new(0));
    let counting = Counting { writer, failures: Arc::clone(&unwritten) };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES_MAX)
        .thread_name("minuted-log")
        .finish(counting);
    let drops =
        Drops { crowded_out: Some(writer.error_counter()), unwritten, reported: Arc::default() };
    (writer, drops, guard)
}

/// Counts the lines that a full or broken disk refused; the appender itself forgets them.
struct Counting<W> {
    writer: W,
    failures: Arc<AtomicUsize>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.writer.write_all(line).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Returns the filter in force: `$RUST_LOG` unless empty, else the configured level, noisy crates capped.
fn build_filter(level: &str, rust_log: Option<&str>) -> Result<EnvFilter, LoggingError> {
    let (filter, origin) = match rust_log.map(str::trim) {
        Some(asked) if !asked.is_empty() => (asked, "$RUST_LOG"),
        Some(_) | None => (level, "log.level"),
    };
    EnvFilter::builder().parse(cap_noisy_crates(filter)).map_err(|source| LoggingError::Filter {
        filter: crate::text::one_line(filter, 80),
        origin,
        source,
    })
}

/// Adds `warn` for each noisy crate that `filter` does not name, where its level for everything is more than that, and
/// `off` for the one that repeats itself.
fn cap_noisy_crates(filter: &str) -> String {
    let directives = || filter.split(',').map(str::trim);
    let is_named = |name: &str| directives().any(|directive| directive.starts_with(name));
    let Some(for_all) =
        directives().filter_map(|directive| directive.parse::<LevelFilter>().ok()).next_back()
    else {
        return filter.to_owned();
    };
    let noisy = NOISY.iter().filter(|noisy| for_all > LevelFilter::WARN && !is_named(noisy));
    let repeating = Some(REPEATING).filter(|name| for_all > LevelFilter::OFF && !is_named(name));
    let capped = noisy.fold(filter.to_owned(), |filter, noisy| format!("{filter},{noisy}=warn"));
    repeating.map_or(capped.clone(), |name| format!("{capped},{name}=off"))
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name(), "panic: {}", panic_text(info.payload()));
}

/// Returns the message of a panic, where it is text.
fn panic_text(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{alone, config::LogFormat};

    /// A file system that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _line: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn noisy_crates_are_capped_unless_they_are_asked_for_or_less_is_wanted() {
        assert_eq!(cap_noisy_crates("off"), "off");
        assert_eq!(cap_noisy_crates("warn"), "warn,rustls_platform_verifier=off");
        assert_eq!(
            cap_noisy_crates("warn,rustls_platform_verifier=error"),
            "warn,rustls_platform_verifier=error"
        );
        assert_eq!(cap_noisy_crates("minuted=trace"), "minuted=trace");
        assert_eq!(
            cap_noisy_crates("debug, hyper_util=trace"),
            "debug, hyper_util=trace,h2=warn,lettre=warn,notify=warn,reqwest=warn,rustls=warn,\
             rustls_platform_verifier=off"
        );
    }

    #[test]
    fn rust_log_wins_over_the_level_unless_it_is_empty() {
        let shown = |rust_log| build_filter("info", rust_log).expect("a filter").to_string();
        assert!(shown(None).contains("info"));
        assert!(shown(Some(" ")).contains("info"));
        assert_eq!(shown(Some("minuted=debug")), "minuted=debug");
    }

    #[test]
    fn a_bad_filter_is_told_with_its_origin() {
        let error = build_filter("info", Some("minuted=loud\u{1b}[2J")).expect_err("no filter");
        insta::assert_snapshot!(error, @r"the filter `minuted=loud\u{1b}[2J` of $RUST_LOG cannot be understood");
    }

    #[test]
    fn the_directory_is_made_closed_to_others_and_the_file_holds_what_was_logged() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("log");
        let (writer, drops, guard) = open_log_files(&directory, 14).expect("opened");
        let look = Look { time: true, colour: false, journal: false };
        let subscriber = Registry::default().with(line_layer(LogFormat::Text, look, writer));
        tracing::subscriber::with_default(subscriber, || tracing::info!("uploaded"));
        drop(guard);
        let mode = std::fs::metadata(&directory).expect("made").permissions().mode();
        assert_eq!(mode & 0o027, 0, "{mode:o}");
        let mut entries = std::fs::read_dir(&directory)
            .expect("read")
            .map(|entry| entry.expect("an entry").path());
        let file = entries.next().expect("a file");
        assert!(std::fs::read_to_string(file).expect("read").ends_with(" INFO uploaded\n"));
        assert_eq!((entries.next(), drops.count_dropped()), (None, 0));
    }

    #[test]
    fn only_so_many_files_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        for day in 1..=5 {
            std::fs::write(directory.path().join(format!("minuted.2020-01-0{day}.log")), "old")
                .expect("written");
        }
        std::fs::write(directory.path().join("another.log"), "not ours").expect("written");
        let (_writer, _drops, guard) = open_log_files(directory.path(), 3).expect("opened");
        drop(guard);
        assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 4);
        assert!(directory.path().join("another.log").exists());
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted() {
        let (mut writer, drops, guard) = without_waiting(Full);
        writer.write_all(b"one\n").expect("taken");
        writer.write_all(b"two\n").expect("taken");
        drop(guard);
        assert_eq!(drops.count_dropped(), 2);
        drops.report_dropped();
        assert_eq!(drops.reported.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_panic_is_told_with_its_own_words() {
        let panic = panic::catch_unwind(|| panic!("no {}", "queue")).expect_err("it panics");
        assert_eq!(panic_text(panic.as_ref()), "no queue");
        assert_eq!(panic_text(&7_u8), "(no text)");
    }

    #[test]
    fn a_journal_stream_of_another_process_is_not_ours() {
        assert!(!Stderr::from_journal_stream(Some("0:0")).journal);
        assert!(!Stderr::from_journal_stream(None).journal);
    }

    #[test]
    fn a_started_log_tells_a_panic_in_one_line_everywhere_and_starts_no_second_time() {
        if alone::is_child() {
            let directory = tempfile::tempdir().expect("a directory");
            let dir = directory.path().join("log");
            let log = Log {
                level: "info".to_owned(),
                format: LogFormat::Text,
                dir: Some(dir.clone()),
                keep: 2,
            };
            let stderr = Stderr { terminal: false, journal: true };
            let guard = start_logging(&log, None, stderr).expect("started");
            assert!(matches!(start_logging(&log, None, stderr), Err(LoggingError::Running(_))));
            std::thread::spawn(|| panic!("two\nlines")).join().expect_err("it panics");
            drop(guard);
            let file =
                std::fs::read_dir(dir).expect("read").next().expect("a file").expect("an entry");
            assert!(
                std::fs::read_to_string(file.path())
                    .expect("read")
                    .contains(" ERROR panic: two\\u{a}lines place=")
            );
            return;
        }
        let test = "a_started_log_tells_a_panic_in_one_line_everywhere_and_starts_no_second_time";
        let stderr = alone::pass(&format!("logging::tests::{test}"), &[]);
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("<3>ERROR panic: two\\u{a}lines place="),
            "{stderr}"
        );
    }
}
