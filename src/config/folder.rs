//! The settings of a folder, as they are in force.

use std::{path::PathBuf, time::Duration};

use lettre::message::Mailbox;

use super::settings::{Analysis, Attendee};

/// A watched folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// What it is called everywhere.
    pub name: String,
    /// Its part of the job key; by default its name.
    pub id: String,
    /// The directory. Absolute.
    pub path: PathBuf,
    /// Who is at its meetings. Never empty for a service that needs them, unless a sidecar or a source may tell.
    pub attendees: Vec<Attendee>,
    /// The name of its service.
    pub service: String,
    /// The analyses, from the folder, else from the service.
    pub analyses: Vec<Analysis>,
    /// The instruction, from the folder, else from the service.
    pub instruction: Option<String>,
    /// The template of its notes, by name or id, where its service has templates; `None` takes the service's.
    pub prompt_template: Option<String>,
    /// The language spoken, ISO 639-1, where a service wants to know.
    pub language: Option<String>,
    /// Whether sub-folders are watched too.
    pub recursive: bool,
    /// Globs on the relative path that are taken.
    pub include: Globs,
    /// Globs on the relative path that are not, besides the built-in names.
    pub exclude: Globs,
    /// How changes are learned of.
    pub watch: Watch,
    /// How long a file must be quiet; `None` is 30 s, on polled mounts 2 min.
    pub settle: Option<Duration>,
    /// How often everything is scanned; `None` is 1 min, on polled mounts 5 min.
    pub rescan: Option<Duration>,
    /// What happens to files that lie there when minuted first meets the folder.
    pub backlog: Backlog,
    /// What becomes of recordings that the service does not take.
    pub convert: Convert,
    /// The template of a meeting's title: `{stem} {folder} {date} {time} {parent}`.
    pub title: String,
    /// Where notes go.
    pub deliver: Vec<Target>,
    /// Where notes beside go instead: the folder's tree is mirrored there. Absolute.
    pub notes_dir: Option<PathBuf>,
    /// The name of notes, without the extension: `{stem}.notes`.
    pub notes_name: String,
    /// Who gets mail.
    pub email_to: Recipients,
    /// The forms of the notes beside, besides Markdown.
    pub formats: Vec<Format>,
    /// What happens to a recording whose notes are delivered.
    pub on_success: OnSuccess,
    /// Whether a transcript that a source has is taken.
    pub transcript: Transcript,
    /// What happens at the service to what it keeps of such a recording.
    pub on_success_remote: OnSuccessRemote,
    /// The permissions of what minuted writes, less its umask.
    pub file_mode: u32,
    /// Whether files beside its recordings may know better than the folder: who was there, title, date, instruction
    /// and language.
    pub sidecars: bool,
    /// How long and how large its recordings may be.
    pub limits: Limits,
}

/// How long and how large the recordings of a folder may be. What exceeds that is skipped, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The shortest that is taken, where the length is known.
    pub min_duration: Duration,
    /// The longest that is taken.
    pub max_duration: Duration,
    /// The most bytes.
    pub max_size: u64,
}

impl Default for Limits {
    /// Takes what anybody records: a day, and 64 GiB, which is eight hours of video as cameras write it.
    fn default() -> Self {
        Self { min_duration: Duration::ZERO, max_duration: Duration::from_secs(86_400), max_size: 64 << 30 }
    }
}

impl Folder {
    /// How long a file must be quiet where events come.
    pub const SETTLE: Duration = Duration::from_secs(30);
    /// How long a file must be quiet on polled mounts: their servers write late.
    pub const SETTLE_POLLED: Duration = Duration::from_secs(120);
    /// How often everything is scanned where events come.
    pub const RESCAN: Duration = Duration::from_secs(60);
    /// How often everything is scanned on polled mounts, where each look crosses the network.
    pub const RESCAN_POLLED: Duration = Duration::from_secs(300);
}

/// A set of globs together with their text.
#[derive(Clone)]
pub struct Globs {
    /// As written in the config.
    pub patterns: Vec<String>,
    /// Compiled.
    pub set: globset::GlobSet,
}

impl std::fmt::Debug for Globs {
    // The compiled set says the same in a thousand lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

/// How changes in a folder are learned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Events where the file system has them, else polling.
    Auto,
    /// Events.
    Native,
    /// Polling.
    Poll,
}

/// What happens to old files of a new folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// They are recordings like any other.
    Process,
    /// They are remembered and left alone.
    Skip,
    /// Up to 20 are taken; more wait for `minuted backlog`.
    Ask,
}

/// Where notes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Files beside the recording, or in `notes_dir`.
    Beside,
    /// Mail.
    Email,
}

/// Who gets mail.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipients {
    /// The attendees of the job.
    Attendees,
    /// These.
    List(Vec<Mailbox>),
}

/// A form of the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
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

/// What happens to a recording whose notes are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnSuccess {
    /// It stays.
    Keep,
    /// It moves to this directory below the folder, with its notes. Relative, never scanned.
    Move(PathBuf),
    /// It is deleted.
    Delete,
}

/// Where the transcript of a recording comes from that a source has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// The folder's service makes it.
    Make,
    /// The source's own is taken, where it has one: nothing is sent anywhere.
    Reuse,
}

/// What happens at the service to what it keeps of a recording whose notes are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSuccessRemote {
    /// It stays.
    Keep,
    /// It is deleted, as the service understands that: it may keep it for a while.
    Delete,
    /// It is deleted for good.
    Purge,
}

impl OnSuccessRemote {
    /// Returns the word used in the config and in the queue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Delete => "delete",
            Self::Purge => "purge",
        }
    }
}

/// What becomes of recordings that a folder's service does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// They are skipped.
    No,
    /// Those that ffmpeg can read are converted.
    Ffmpeg,
}
