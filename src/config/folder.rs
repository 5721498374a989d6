//! A watched folder: the keys of `[[folder]]` and `[defaults]`, and the settings in force that they
//! make.

use std::{path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use toml::Spanned;

use super::{
    analysis::Analysis,
    attendee::Attendee,
    diagnostic::ValueError,
    durations::DurationBounds,
    globs::{Globs, parse_glob},
    reader::Table,
    sizes,
    speakers::Speakers,
    table_keys::table_keys,
    values,
    words::{in_backticks, suggest_word},
};

/// Name of the service where none is configured: minuted's own engine.
pub(super) const ON_THIS_MACHINE: &str = "ondevice";

/// Range of `settle`: ten milliseconds are for tests, and a day is longer than any copy takes.
const SETTLE: DurationBounds = DurationBounds::from_ms(10, 86_400_000);
/// Range of `rescan`: a tenth of a second is for tests, and a daily scan still finds files that
/// events missed.
const RESCAN: DurationBounds = DurationBounds::from_ms(100, 86_400_000);
/// The shortest recording that is taken; a longer bound would skip whole meetings.
const MIN_DURATION: DurationBounds = DurationBounds::from_ms(0, 3_600_000);
/// The longest recording that is taken: 1,000 hours are the latest time that is believed of
/// anything.
const MAX_DURATION: DurationBounds = DurationBounds::from_ms(1_000, 3_600_000_000);
/// Audio of a day: a second is for tests, and several machines at once hear no more than 1,000 hours
/// a day.
pub(super) const DAILY_LIMIT: DurationBounds =
    DurationBounds::from_ms(1_000, 3_600_000_000).or_zero();

/// How long a recording is kept: below an hour it is `on_success = "delete"`, and ten years are longer than records are
/// kept by law in most trades.
const DELETE_RECORDING_AFTER: DurationBounds = DurationBounds::from_ms(3_600_000, 315_576_000_000);

const WATCH: &[(&str, Watch)] =
    &[("auto", Watch::Auto), ("native", Watch::Native), ("poll", Watch::Poll)];
const BACKLOG: &[(&str, Backlog)] =
    &[("process", Backlog::Process), ("skip", Backlog::Skip), ("ask", Backlog::Ask)];
const CONVERT: &[(&str, Convert)] = &[("no", Convert::No), ("ffmpeg", Convert::Ffmpeg)];
const LINKS: &[(&str, Links)] = &[("off", Links::Off), ("obsidian", Links::Obsidian)];
const DELIVER: &[(&str, Target)] = &[("beside", Target::Beside), ("email", Target::Email)];
const FORMATS: &[(&str, Format)] = &[
    ("md", Format::Md),
    ("txt", Format::Txt),
    ("srt", Format::Srt),
    ("vtt", Format::Vtt),
    ("json", Format::Json),
];
const TRANSCRIPT: &[(&str, Transcript)] =
    &[("make", Transcript::Make), ("reuse", Transcript::Reuse)];
const ON_SUCCESS_REMOTE: &[(&str, OnSuccessRemote)] = &[
    ("keep", OnSuccessRemote::Keep),
    ("delete", OnSuccessRemote::Delete),
    ("purge", OnSuccessRemote::Purge),
];

table_keys! {
    /// A watched folder.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Folder from FolderKeys {
        /// People at its meetings. Never empty for a service that needs them, unless a sidecar or a
        /// source may name them.
        attendees: Vec<Attendee> = read_attendees(), default Vec::new();
        /// The name of the calendar that has its meetings; `None` for none.
        calendar: String = read_text(values::parse_name);
        /// The name of its service.
        service: String = read_text(values::parse_name), default ON_THIS_MACHINE.to_owned();
        /// The instruction, from the folder, else from the service.
        instruction: Option<String> = read_text(values::parse_instruction), default None;
        /// The template of its notes, by name or id, where its service has templates; `None` takes
        /// the service's.
        prompt_template: String = read_text(values::parse_line);
        /// The analyses, from the folder, else from the service.
        analyses: Vec<Analysis> = read_distinct(values::parse_analysis),
            default Analysis::USUAL.to_vec();
        /// The language spoken, ISO 639-1, where a service wants to know.
        language: String = read_text(values::parse_language);
        /// Words to expect in its recordings, besides the attendees' names.
        vocabulary: Vec<String> = read_distinct(parse_expected_word), default Vec::new();
        /// The number of speakers of a transcript, where its service tells them apart.
        speakers: Speakers = read_speakers(), default Speakers::Auto;
        /// Watches sub-folders, too.
        recursive: bool = read_flag(), default true;
        /// Globs on the relative path that are taken.
        include: Globs = read_includes(), default Globs::of_everything();
        /// Globs on the relative path that are not, besides the built-in names.
        exclude: Globs = read_globs(), default Globs::of_nothing();
        /// Method of detecting changes.
        watch: Watch = read_word(WATCH), default Watch::Auto;
        /// Time that a file must be quiet, if configured; [`Self::settle_time`] has the default.
        settle: Duration = read_duration(SETTLE);
        /// Interval of full scans, if configured; [`Self::rescan_interval`] has the default.
        rescan: Duration = read_duration(RESCAN);
        /// Treatment of files that are there at the first scan of the folder.
        backlog: Backlog = read_word(BACKLOG), default Backlog::Ask;
        /// Treatment of recordings in formats that the service does not take.
        convert: Convert = read_word(CONVERT), default Convert::No;
        /// The template of a meeting's title: `{stem} {folder} {date} {time} {parent}`.
        title: String = read_text(values::parse_title), default "{stem}".to_owned();
        /// Destinations of notes.
        deliver: Vec<Target> = read_words(DELIVER), default vec![Target::Beside];
        /// Directory for the notes instead of beside the recording: the folder's tree is mirrored
        /// there. Absolute.
        notes_dir: PathBuf = read_text(values::parse_absolute_path);
        /// The name of notes, without the extension: `{stem}.notes`.
        notes_name: String = read_text(values::parse_notes_name), default "{stem}.notes".to_owned();
        /// Links to people in the notes.
        links: Links = read_word(LINKS), default Links::Off;
        /// Tags of the notes, besides the folder's name, where they have links.
        tags: Vec<String> = read_distinct(values::parse_tag), default Vec::new();
        /// Recipients of notes by mail.
        email_to: Recipients = read_recipients(), default Recipients::Attendees;
        /// The forms of the notes beside, besides Markdown.
        formats: Vec<Format> = read_words(FORMATS), default vec![Format::Md];
        /// Treatment of a recording after its notes are delivered.
        on_success: OnSuccess = read_on_success(), default OnSuccess::Keep;
        + move_to: PathBuf = read_text(values::parse_path_below);
        /// Time after the success of a recording at which it is deleted, wherever it lies then.
        delete_recording_after: Duration = read_duration(DELETE_RECORDING_AFTER);
        /// Origin of the transcript of a recording that a source has fetched.
        transcript: Transcript = read_word(TRANSCRIPT), default Transcript::Make;
        /// Treatment of the service's copy after the notes are delivered.
        on_success_remote: OnSuccessRemote = read_word(ON_SUCCESS_REMOTE),
            default OnSuccessRemote::Keep;
        /// The permissions of what minuted writes, less its umask.
        file_mode: u32 = read_text(values::parse_file_mode), default 0o660;
        /// Reads sidecars: files that override title, date, attendees, instruction and language.
        sidecars: bool = read_flag(), default false;
    } and {
        /// Name in messages, logs and commands.
        name: String,
        /// Its part of the job key; by default its name.
        id: String,
        /// The directory. Absolute.
        path: PathBuf,
        /// Bounds on length and size of its recordings.
        limits: Limits,
    }
}

table_keys! {
    /// Bounds on the recordings of a folder. One that is too long, too short or too large is
    /// skipped, with the reason; one beyond the daily limit waits for the next day.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Limits from LimitKeys {
        /// The shortest that is taken, where the length is known.
        min_duration: Duration = read_duration(MIN_DURATION), default Duration::ZERO;
        /// The longest that is taken. Nobody records for longer than a day.
        max_duration: Duration = read_duration(MAX_DURATION), default Duration::from_secs(86_400);
        /// The most bytes: eight hours of video as cameras write it.
        max_size: u64 = read_text(sizes::parse_size), default 64 << 30;
        /// Audio that is begun on one day; zero for no limit.
        daily_limit: Duration = read_duration(DAILY_LIMIT), default Duration::ZERO;
    }
}

/// Bytes of a word to expect: a name of a product, a term of a few words.
const EXPECTED_WORD_BYTES_MAX: usize = 80;

/// Reads a word to expect.
fn parse_expected_word(text: &str) -> Result<String, ValueError> {
    let word = values::parse_line(text)?;
    if word.len() > EXPECTED_WORD_BYTES_MAX {
        let help =
            format!("write a word or a short name, of at most {EXPECTED_WORD_BYTES_MAX} bytes");
        return Err(ValueError::new(
            format!("{} is too long for `vocabulary`", in_backticks(&word)),
            help,
        ));
    }
    Ok(word)
}

impl Default for Limits {
    fn default() -> Self {
        LimitKeys::default().into_settings().expect("no key is required")
    }
}

impl Folder {
    /// Time that a file must be quiet by default where the kernel sends events.
    const SETTLE: Duration = Duration::from_secs(30);
    /// Time that a file must be quiet by default on polled mounts: their servers write late.
    const SETTLE_POLLED: Duration = Duration::from_secs(120);
    /// Interval of full scans by default where the kernel sends events.
    pub const RESCAN: Duration = Duration::from_secs(60);
    /// Interval of full scans by default on polled mounts, where each scan crosses the network.
    const RESCAN_POLLED: Duration = Duration::from_secs(300);

    /// Returns the time that a file must be quiet; by default it depends on whether the mount is
    /// polled.
    #[must_use]
    pub fn settle_time(&self, is_polled: bool) -> Duration {
        self.settle.unwrap_or(if is_polled { Self::SETTLE_POLLED } else { Self::SETTLE })
    }

    /// Returns the interval of full scans; by default it depends on whether the mount is polled.
    #[must_use]
    pub fn rescan_interval(&self, is_polled: bool) -> Duration {
        self.rescan.unwrap_or(if is_polled { Self::RESCAN_POLLED } else { Self::RESCAN })
    }
}

impl Table<'_> {
    /// Returns what happens to a recording: one that moves goes to `done` where there is no
    /// `move_to`.
    fn read_on_success(&self, key: &'static str) -> Option<Spanned<OnSuccess>> {
        let to_done = OnSuccess::Move(PathBuf::from("done"));
        self.read_word(
            key,
            &[("keep", OnSuccess::Keep), ("move", to_done), ("delete", OnSuccess::Delete)],
        )
    }

    /// Returns the patterns of a list, which must not be empty.
    fn read_includes(&self, key: &'static str) -> Option<Spanned<Globs>> {
        let globs = self.read_globs(key)?;
        if self.find_item(key).is_some_and(|item| item.is_empty_list()) {
            let help = "write include = [\"*\"] for everything";
            self.diagnostics().add_at(
                globs.span(),
                "`include` is empty: no file would be taken",
                help,
            );
        }
        Some(globs)
    }

    /// Returns the patterns of a list.
    fn read_globs(&self, key: &'static str) -> Option<Spanned<Globs>> {
        let patterns = self.read_list(key, parse_glob)?;
        let span = patterns.span();
        match Globs::new(patterns.into_inner()) {
            Ok(globs) => Some(Spanned::new(span, globs)),
            Err(error) => {
                self.diagnostics().add_error(span, error);
                None
            }
        }
    }

    /// Returns `attendees`, or a list of addresses.
    fn read_recipients(&self, key: &'static str) -> Option<Spanned<Recipients>> {
        let item = self.find_item(key)?;
        if item.is_list() {
            let list = self.read_distinct(key, values::parse_mailbox)?;
            return Some(Spanned::new(list.span(), Recipients::List(list.into_inner())));
        }
        item.read_text(|text| match text {
            "attendees" => Ok(Recipients::Attendees),
            _address if values::parse_mailbox(text).is_ok() => Err(ValueError::new(
                "one address, where a list is expected",
                format!("write {key} = [\"{text}\"]"),
            )),
            _other => {
                let help = suggest_word(text, ["attendees"], || {
                    "write \"attendees\", or a list of addresses: [\"ann@example.com\"]".to_owned()
                });
                Err(ValueError::new(
                    format!(
                        "{} is neither `attendees` nor a list of addresses",
                        in_backticks(text)
                    ),
                    help,
                ))
            }
        })
    }
}

/// Method of detecting changes in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Events where the file system has them, else polling.
    Auto,
    /// Events.
    Native,
    /// Polling.
    Poll,
}

/// Treatment of files that are there at the first scan of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Takes them like any other recording.
    Process,
    /// Remembers them and leaves them alone.
    Skip,
    /// Up to 20 are taken; more wait for `minuted backlog`.
    Ask,
}

/// Destination of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Files beside the recording, or in `notes_dir`.
    Beside,
    /// Mail.
    Email,
}

/// Links to people in the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// None: names are text.
    Off,
    /// Links to pages of a vault, as Obsidian has them: `[[Ann Lee]]`.
    Obsidian,
}

/// Recipients of notes by mail.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipients {
    /// The attendees of the job.
    Attendees,
    /// These.
    List(Vec<Mailbox>),
}

/// A form of the notes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Markdown with front matter: `talk.notes.md`.
    Md,
    /// The transcript as text: `talk.transcript.txt`.
    Txt,
    /// The transcript as `SubRip`: `talk.transcript.srt`.
    Srt,
    /// The transcript as `WebVTT`: `talk.transcript.vtt`.
    Vtt,
    /// Everything, for programs: `talk.notes.json`.
    Json,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Md, Self::Txt, Self::Srt, Self::Vtt, Self::Json];

    /// Returns the word used in the config, in the queue and as the file's extension.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md => "md",
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }
}

/// Treatment of a recording after its notes are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnSuccess {
    /// Keeps it.
    Keep,
    /// Moves it to this directory below the folder, with its notes. Relative, never scanned.
    Move(PathBuf),
    /// Deletes it.
    Delete,
}

/// Origin of the transcript of a recording that a source has fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// The folder's service makes it.
    Make,
    /// The source's own is taken, where it has one: nothing is sent anywhere.
    Reuse,
}

/// Treatment of the service's copy of a recording after its notes are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSuccessRemote {
    /// Keeps it.
    Keep,
    /// Deletes it, as the service understands that: it may keep it for a while.
    Delete,
    /// Deletes it for good.
    Purge,
}

/// Treatment of recordings in formats that the service does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// Skips them.
    No,
    /// Converts them, if ffmpeg can read them.
    Ffmpeg,
}
