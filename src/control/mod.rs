//! Questions of commands, and their answers.
//!
//! While the daemon runs it answers over `control.sock` in the state directory: a line of JSON is
//! the question, a line the answer. Without a daemon a command takes the lock of the state
//! directory and answers itself, by the same code: there is one [`ControlService`], and one meaning
//! of every question.

mod account;
mod api_access;
mod arrival;
mod backup;
mod calendar;
mod client;
mod daily_limit;
mod explain;
mod held;
mod intake;
mod jobs;
mod mailing;
mod metrics;
mod notifier;
mod overview;
mod page;
mod page_access;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod secret_file;
mod server;
mod service;
mod source;
mod speakers;
mod status;
mod trial;
mod vendor;
mod why;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use account::PendingSignIn;
pub(crate) use api_access::ApiAccess;
pub(crate) use arrival::Arrival;
pub(crate) use calendar::{EventPreview, try_calendar};
pub(crate) use client::{Caller, ControlError};
pub(crate) use explain::{ExplainContext, explain_job};
pub(crate) use held::remedy_of_hold;
pub(crate) use intake::{SurveyedFile, unsupported};
pub(crate) use mailing::try_mail;
pub(crate) use metrics::MetricFacts;
pub(crate) use notifier::{NotifierStatus, NotifyTest, try_notifier};
pub(crate) use overview::{DayNumbers, FolderDetails, Overview, RecentNumbers, ServiceDetails};
pub(crate) use page::{ApiToken, JobFacts, PageLink};
pub(crate) use page_access::{PageAccess, SESSION_LIFE};
pub(crate) use server::serve;
pub(crate) use service::{ControlService, Folders};
pub(crate) use source::SourceStatus;
pub(crate) use speakers::{SpeakerView, SpeakersAnswer};
pub(crate) use status::{
    ConnectionState, FolderStatus, MailStatus, RunningStatus, ServiceStatus, StatusReport,
};
pub(crate) use vendor::{BotOrder, EventBotOrder, VendorAccount, format_minute};
pub(crate) use why::WhyAnswer;

use crate::{config::Analysis, job::JobState, store::JobId};

/// The name of the socket in the state directory.
pub(crate) const SOCKET: &str = "control.sock";

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub(crate) enum ControlRequest {
    /// Everything at a glance.
    Status,
    /// The queue.
    Jobs {
        /// Only this state.
        state: Option<JobState>,
        /// Only this folder, by name.
        folder: Option<String>,
    },
    /// Show a job with its history.
    Job {
        /// The job.
        job: JobName,
    },
    /// Explain where a file is.
    Why {
        /// The absolute path; its bytes, because they need not be UTF-8.
        #[serde(with = "path_bytes")]
        path: PathBuf,
    },
    /// Tell which event of its folder's calendar a recording would take.
    PreviewEvent {
        /// The absolute path.
        #[serde(with = "path_bytes")]
        path: PathBuf,
    },
    /// Reset the attempts of a job and continue it.
    Retry {
        /// The job.
        job: JobName,
    },
    /// Retry all jobs that failed.
    RetryFailed,
    /// Start the next generation of a job.
    Redo {
        /// The job.
        job: JobName,
    },
    /// Cancel a job.
    Cancel {
        /// The job.
        job: JobName,
    },
    /// Request more analyses of a job.
    Analyse {
        /// The job.
        job: JobName,
        /// The analyses.
        analyses: Vec<Analysis>,
        /// True where the new notes are mailed.
        mail: bool,
    },
    /// List the speakers of a job, and name them.
    Speakers {
        /// The job.
        job: JobName,
        /// Assignments such as `Speaker 2=Ann Lee`.
        names: Vec<String>,
    },
    /// A file was put into a folder whole: make a job of it now.
    Take {
        /// The folder, by name.
        folder: String,
        /// The absolute path.
        #[serde(with = "path_bytes")]
        path: PathBuf,
    },
    /// Scan the folders.
    Scan {
        /// Only list the files that would be taken in.
        dry_run: bool,
    },
    /// A model of the engine on this machine was installed: what waits for it goes on.
    ModelInstalled,
    /// Hold a folder.
    Pause {
        /// By name.
        folder: String,
    },
    /// Resume a folder.
    Resume {
        /// By name.
        folder: String,
    },
    /// List the files that were there before minuted and wait for a decision.
    ShowBacklog {
        /// By name.
        folder: String,
    },
    /// Decide about files that were there before minuted.
    Backlog {
        /// By name.
        folder: String,
        /// True where notes are made of them.
        process: bool,
    },
    /// Hand over a consistent copy of the queue: the answer holds its size in `bytes`, and the
    /// bytes follow it on the socket.
    CopyQueue,
    /// Test a part of a configuration, which may not be the one in force: only the daemon may see
    /// its credentials.
    Try {
        /// The file of the configuration.
        #[serde(with = "path_bytes")]
        file: PathBuf,
        /// Its text.
        config: String,
        /// The part to test.
        what: ConfigTrial,
    },
    /// Send a test to a notifier.
    TestNotifier {
        /// By name.
        notifier: String,
    },
    /// Show who is signed in.
    Whoami {
        /// The service; the only one when not named.
        service: Option<String>,
    },
    /// Finish a sign-in: the daemon exchanges the code and keeps the tokens.
    SignIn {
        /// The service.
        service: String,
        /// The code, which works once.
        code: String,
        /// The address that it was requested with.
        redirect_uri: String,
    },
    /// Make a link that opens the page once.
    Page {
        /// True where all sessions end first.
        new_token: bool,
    },
    /// Show the token of the API.
    ApiToken {
        /// True where another one is made first.
        new_token: bool,
    },
    /// Forget a sign-in.
    SignOut {
        /// The service; the only one when not named.
        service: Option<String>,
    },
    /// The service's list.
    Meetings {
        /// The service; the only one when not named.
        service: Option<String>,
        /// From 1.
        page: u32,
    },
    /// List the recordings of sources.
    SourceList {
        /// Only this source.
        source: Option<String>,
    },
    /// Fetch one recording of a source now.
    SourceFetch {
        /// The source; the only one when not named.
        source: Option<String>,
        /// The vendor's id.
        id: String,
    },
    /// The service's details of one meeting.
    Meeting {
        /// The service; the only one when not named.
        service: Option<String>,
        /// Its id there.
        id: String,
    },
}

impl ControlRequest {
    /// Returns whether the answer may take as long as a folder, a disk or a service takes.
    #[must_use]
    pub(crate) fn takes_long(&self) -> bool {
        match self {
            Self::Status
            | Self::Jobs { .. }
            | Self::Job { .. }
            | Self::Why { .. }
            | Self::Retry { .. }
            | Self::Redo { .. }
            | Self::Cancel { .. }
            | Self::Analyse { .. }
            | Self::Speakers { .. }
            | Self::ModelInstalled
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Page { .. }
            | Self::ApiToken { .. }
            | Self::SourceList { .. } => false,
            Self::RetryFailed
            | Self::PreviewEvent { .. }
            | Self::Take { .. }
            | Self::Scan { .. }
            | Self::Backlog { .. }
            | Self::ShowBacklog { .. }
            | Self::CopyQueue
            | Self::Try { .. }
            | Self::TestNotifier { .. }
            | Self::Whoami { .. }
            | Self::SignIn { .. }
            | Self::SignOut { .. }
            | Self::Meetings { .. }
            | Self::Meeting { .. }
            | Self::SourceFetch { .. } => true,
        }
    }

    /// Returns the name of the request for a log, without secrets.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Jobs { .. } => "jobs",
            Self::Job { .. } => "job",
            Self::Why { .. } => "why",
            Self::PreviewEvent { .. } => "calendar preview",
            Self::Retry { .. } | Self::RetryFailed => "retry",
            Self::Redo { .. } => "redo",
            Self::Cancel { .. } => "cancel",
            Self::Analyse { .. } => "analyse",
            Self::Speakers { .. } => "speakers",
            Self::Take { .. } => "add",
            Self::Scan { .. } => "scan",
            Self::ModelInstalled => "engine install",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Backlog { .. } | Self::ShowBacklog { .. } => "backlog",
            Self::Page { .. } | Self::ApiToken { .. } => "page",
            Self::CopyQueue => "backup",
            Self::Try { .. } => "check",
            Self::TestNotifier { .. } => "notify test",
            Self::Whoami { .. } => "whoami",
            Self::SignIn { .. } => "login",
            Self::SignOut { .. } => "logout",
            Self::Meetings { .. } | Self::Meeting { .. } => "meetings",
            Self::SourceList { .. } | Self::SourceFetch { .. } => "source",
        }
    }
}

/// A test of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConfigTrial {
    /// A comparison with the one in force.
    Difference,
    /// A service: its sign-in and its profile.
    Service(String),
    /// The model of another service that writes a service's notes: one sentence of it.
    Writer(String),
    /// A calendar: its events are counted.
    Calendar(String),
    /// The mail server: a sign-in; with an address, one mail there.
    Mail(Option<String>),
    /// A notifier, by name: its secrets and its program. Nothing is sent.
    Notifier(String),
    /// The address of the monitor. Nothing is sent.
    Ping,
}

/// The comparison of a configuration with the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// True where both are equal.
    pub is_in_force: bool,
    /// The file of the one in force.
    pub file: String,
    /// The time at which that was read.
    pub read: jiff::Timestamp,
}

/// A job as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobName {
    /// By its number.
    Id(JobId),
    /// By its key.
    Key(String),
    /// By its recording.
    File(#[serde(with = "path_bytes")] PathBuf),
}

/// The error of a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// The fault.
    pub message: String,
    /// The cure, where one is known.
    pub hint: Option<String>,
    /// True if there is no such job, folder, service or source as the question names.
    #[serde(default)]
    pub is_unknown: bool,
}

impl Refusal {
    /// Returns a refusal without a hint.
    #[must_use]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_unknown: false }
    }

    /// Returns the refusal of a question that names something unknown.
    #[must_use]
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self { is_unknown: true, ..Self::new(message) }
    }

    /// Adds the cure.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// An answer.
pub(crate) type Answer = Result<Value, Refusal>;

/// Paths as bytes, in hex where they are not UTF-8, so that JSON carries every name.
mod path_bytes {
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt as _, OsStringExt as _},
        path::{Path, PathBuf},
    };

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Wire {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match path.to_str() {
            Some(text) => Wire::Text(text.to_owned()),
            None => Wire::Bytes(path.as_os_str().as_bytes().to_vec()),
        };
        wire.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Text(text) => text.into(),
            Wire::Bytes(bytes) => OsString::from_vec(bytes).into(),
        })
    }
}
