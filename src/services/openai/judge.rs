//! Whose failure it is that a recording was not taken: the recording's, the set-up's or the server's.
//!
//! A status seldom tells: an unknown model and a damaged file are both 400 here and 422 there, and many servers answer 500
//! to what is no audio. So the server is sent a second of sound that minuted made itself, at most once an hour: where it is
//! refused likewise, all recordings would be; where it is taken, this one was refused for its own sake. Nothing is guessed
//! from the words of an answer.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{OpenAi, transcribe::Untranscribed};
use crate::{
    job::Suspect,
    services::{
        CallError, FileFault, answers, sound,
        trial::{Finding, Trials},
    },
};

/// How long the server may take for the second of sound: it may have to load its model first.
const SOUND_LIMIT: Duration = Duration::from_secs(300);

/// What is said of a recording that alone is not taken.
const NOT_THIS_FILE: &str = "the server answers, but not to this file: it takes other sound";

/// What became of the second of sound.
enum Sound {
    Taken,
    /// Refused as the recording was; what the server said.
    Refused(String),
    /// Nobody could tell.
    Failed(CallError),
}

impl OpenAi {
    /// The server took a recording.
    pub(super) fn took(&self, meeting: &str) {
        self.trials().took(meeting, Instant::now());
    }

    /// Returns what the failure to take a recording means, after a look at what else the server takes.
    pub(super) async fn judge(&self, meeting: &str, language: Option<String>, failed: Untranscribed) -> CallError {
        let Untranscribed { error, is_lost } = failed;
        if !is_open_to_question(&error) {
            return answers::of_recording(error);
        }
        let finding = self.trials().failed(meeting, is_lost, Instant::now());
        match finding {
            // What it took a while ago proves nothing of a server that is not there now.
            Finding::Recording => match self.models().await {
                Ok(_) => of_this_file(error),
                Err(down @ (CallError::Unavailable { .. } | CallError::SignedOut { .. })) => down,
                Err(CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_)) => {
                    self.undecided(error).await
                }
            },
            Finding::Ask => self.compare(language, error).await,
            Finding::SetUp => self.of_the_set_up(error, None).await,
            Finding::Unknown => self.undecided(error).await,
        }
    }

    /// Sends the second of sound, and returns what its fate says of the recording's.
    async fn compare(&self, language: Option<String>, error: CallError) -> CallError {
        match self.try_sound(language).await {
            Sound::Taken => {
                self.trials().took_sound(Instant::now());
                of_this_file(error)
            }
            Sound::Refused(said) if is_refusal(&error) => {
                self.trials().refused_sound(Instant::now());
                self.of_the_set_up(error, Some(&said)).await
            }
            Sound::Failed(down @ (CallError::SignedOut { .. } | CallError::Unavailable { .. })) => match error {
                CallError::Unavailable { message, after, uncertain, .. } => {
                    CallError::Unavailable { message, after, uncertain, suspect: Suspect::Service }
                }
                CallError::SignedOut { .. }
                | CallError::Forbidden { .. }
                | CallError::Refused { .. }
                | CallError::File(_) => down,
            },
            // Nobody can tell: not the recording's yet.
            Sound::Refused(_) | Sound::Failed(_) => self.undecided(error).await,
        }
    }

    async fn try_sound(&self, language: Option<String>) -> Sound {
        let upload = match sound::upload(language) {
            Ok(upload) => upload,
            Err(error) => {
                return Sound::Failed(CallError::File(FileFault::Unreadable(error.to_string())));
            }
        };
        tracing::debug!("service `{}` is sent a second of sound, to compare", self.name);
        // The shape may be what is refused: the server may be another one by now.
        let trying = tokio::time::timeout(SOUND_LIMIT, self.transcribe_as(&upload, None));
        let tried = trying.await.unwrap_or_else(|_| {
            let message = format!("no answer to a second of sound within {SOUND_LIMIT:?}");
            Err(CallError::service_alone(message).into())
        });
        match tried.map_err(|failed| failed.error) {
            Ok(_) => Sound::Taken,
            Err(CallError::Refused { status, message }) => Sound::Refused(format!("{status}: {message}")),
            Err(CallError::Forbidden { message }) => Sound::Refused(format!("403: {message}")),
            Err(error @ (CallError::SignedOut { .. } | CallError::Unavailable { .. } | CallError::File(_))) => {
                Sound::Failed(error)
            }
        }
    }

    /// Returns the error of a server that takes no sound at all.
    async fn of_the_set_up(&self, error: CallError, said: Option<&str>) -> CallError {
        let likewise = said.map(|said| format!(" ({said})")).unwrap_or_default();
        match error {
            CallError::Forbidden { message } => self.refused_key(403, &message).await,
            CallError::Refused { status, message } => CallError::service_alone(format!(
                "the service answered {status}: {message}; a second of sound that minuted made is refused \
                 likewise{likewise}; check model, api_key_file and base_url of [services.{}]",
                self.name
            )),
            other @ (CallError::Unavailable { .. } | CallError::SignedOut { .. } | CallError::File(_)) => other,
        }
    }

    /// Returns the error where nothing can be compared now: it is not held against the recording yet.
    async fn undecided(&self, error: CallError) -> CallError {
        match error {
            CallError::Forbidden { message } => self.refused_key(403, &message).await,
            CallError::Refused { status, message } => CallError::Unavailable {
                message: format!(
                    "the service answered {status}: {message}; whether it takes other sound is not known yet"
                ),
                after: None,
                uncertain: false,
                suspect: Suspect::Either,
            },
            other @ (CallError::Unavailable { .. } | CallError::SignedOut { .. } | CallError::File(_)) => other,
        }
    }

    fn trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a failure may be the recording's, the set-up's or the server's.
fn is_open_to_question(error: &CallError) -> bool {
    match error {
        CallError::Unavailable { suspect, after, .. } => *suspect == Suspect::Either && after.is_none(),
        // Too large, and of a kind that it does not take: those tell.
        CallError::Refused { status, .. } => !matches!(status, 413 | 415),
        CallError::Forbidden { .. } => true,
        CallError::SignedOut { .. } | CallError::File(_) => false,
    }
}

fn is_refusal(error: &CallError) -> bool {
    match error {
        CallError::Refused { .. } | CallError::Forbidden { .. } => true,
        CallError::Unavailable { .. } | CallError::SignedOut { .. } | CallError::File(_) => false,
    }
}

/// Returns the error of a recording that alone is not taken.
fn of_this_file(error: CallError) -> CallError {
    let told = match answers::of_recording(error) {
        CallError::File(FileFault::Failed(told)) => told,
        CallError::Forbidden { message } => format!("was refused by the service (403): {message}"),
        CallError::Unavailable { message, .. } => format!("could not be transcribed: {message}"),
        other @ (CallError::SignedOut { .. } | CallError::Refused { .. } | CallError::File(_)) => return other,
    };
    CallError::File(FileFault::Failed(format!("{told}; {NOT_THIS_FILE}")))
}
