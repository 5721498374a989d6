//! The culprit of a refused recording: the recording, the set-up or the server.
//!
//! A status is seldom enough: an unknown model and a damaged file are both 400 here and 422 there,
//! and many servers answer 500 to a file without audio. So the server is sent a test tone of one
//! second, at most once an hour. Where the tone is refused too, all recordings would be; where it
//! is accepted, the recording is at fault. Nothing is guessed from the words of an answer.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    OpenAiTranscriber,
    transcribe::{KnownForm, Untranscribed},
};
use crate::{
    job::Suspect,
    services::{
        CallError, FileFault, answers, sound,
        trial::{TrialFinding, Trials},
    },
};

/// Time limit of the tone: the server may have to load its model first.
const SOUND_LIMIT: Duration = Duration::from_secs(300);

/// The explanation for a recording that alone is refused.
const NOT_THIS_FILE: &str = "the server answers, but not to this file: it takes other sound";

/// The outcome of sending the tone.
enum ToneTrial {
    Taken,
    /// Refused like the recording, with the server's message.
    Refused(String),
    /// No verdict.
    Failed(CallError),
}

impl OpenAiTranscriber {
    /// Records that the server accepted a recording.
    pub(super) fn record_success(&self, meeting: &str) {
        self.lock_trials().record_success(meeting, Instant::now());
    }

    /// Returns the error of a failed recording, after comparing it with what else the server
    /// accepts.
    pub(super) async fn judge_failure(
        &self,
        meeting: &str,
        language: Option<String>,
        failed: Untranscribed,
    ) -> CallError {
        let Untranscribed { error, is_lost } = failed;
        if !is_open_to_question(&error) {
            return answers::blame_recording(error);
        }
        let finding = self.lock_trials().record_failure(meeting, is_lost, Instant::now());
        match finding {
            // An earlier success proves nothing about a server that is down now.
            TrialFinding::Recording => match self.server.list_models().await {
                Ok(_) => recording_error(error),
                Err(down @ (CallError::Unavailable { .. } | CallError::SignedOut { .. })) => down,
                Err(
                    CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_),
                ) => self.undecided_error(error).await,
            },
            TrialFinding::Ask => self.compare_with_tone(language, error).await,
            TrialFinding::SetUp => self.set_up_error(error, None).await,
            TrialFinding::Unknown => self.undecided_error(error).await,
        }
    }

    /// Sends the tone, and returns the error of the recording in the light of its outcome.
    async fn compare_with_tone(&self, language: Option<String>, error: CallError) -> CallError {
        match self.send_tone(language).await {
            ToneTrial::Taken => {
                self.lock_trials().record_tone_taken(Instant::now());
                recording_error(error)
            }
            ToneTrial::Refused(message) if is_refusal(&error) => {
                self.lock_trials().record_tone_refused(Instant::now());
                self.set_up_error(error, Some(&message)).await
            }
            ToneTrial::Failed(
                down @ (CallError::SignedOut { .. } | CallError::Unavailable { .. }),
            ) => match error {
                CallError::Unavailable { message, after, uncertain, .. } => {
                    CallError::Unavailable { message, after, uncertain, suspect: Suspect::Service }
                }
                CallError::SignedOut { .. }
                | CallError::Forbidden { .. }
                | CallError::Refused { .. }
                | CallError::File(_) => down,
            },
            // No verdict: the recording is not blamed yet.
            ToneTrial::Refused(_) | ToneTrial::Failed(_) => self.undecided_error(error).await,
        }
    }

    async fn send_tone(&self, language: Option<String>) -> ToneTrial {
        let upload = match sound::tone_upload(language) {
            Ok(upload) => upload,
            Err(error) => {
                return ToneTrial::Failed(CallError::File(FileFault::Unreadable(
                    error.to_string(),
                )));
            }
        };
        tracing::debug!("service `{}` gets a second of sound, to compare", self.server.name);
        // The response format may be what is refused: the server may have been replaced.
        let trying =
            tokio::time::timeout(SOUND_LIMIT, self.transcribe_as(&upload, KnownForm::default()));
        let tried = trying.await.unwrap_or_else(|_| {
            let message = format!("no answer to a second of sound within {SOUND_LIMIT:?}");
            Err(CallError::service_alone(message).into())
        });
        match tried.map_err(|failed| failed.error) {
            Ok(_) => ToneTrial::Taken,
            Err(CallError::Refused { status, message }) => {
                ToneTrial::Refused(format!("{status}: {message}"))
            }
            Err(CallError::Forbidden { message }) => ToneTrial::Refused(format!("403: {message}")),
            Err(
                error @ (CallError::SignedOut { .. }
                | CallError::Unavailable { .. }
                | CallError::File(_)),
            ) => ToneTrial::Failed(error),
        }
    }

    /// Returns the error of a server that accepts no sound at all.
    async fn set_up_error(&self, error: CallError, message: Option<&str>) -> CallError {
        let likewise = message.map(|message| format!(" ({message})")).unwrap_or_default();
        match error {
            CallError::Forbidden { message } => self.server.refused_key(403, &message).await,
            CallError::Refused { status, message } => CallError::service_alone(format!(
                "the service answered {status}: {message}; a second of sound that minuted made is refused \
                 likewise{likewise}; check model, api_key_file and base_url of [services.{}]",
                self.server.name
            )),
            other @ (CallError::Unavailable { .. }
            | CallError::SignedOut { .. }
            | CallError::File(_)) => other,
        }
    }

    /// Returns the error where no comparison is possible now: the recording is not blamed yet.
    async fn undecided_error(&self, error: CallError) -> CallError {
        match error {
            CallError::Forbidden { message } => self.server.refused_key(403, &message).await,
            CallError::Refused { status, message } => CallError::Unavailable {
                message: format!(
                    "the service answered {status}: {message}; whether it takes other sound is not known yet"
                ),
                after: None,
                uncertain: false,
                suspect: Suspect::Either,
            },
            other @ (CallError::Unavailable { .. }
            | CallError::SignedOut { .. }
            | CallError::File(_)) => other,
        }
    }

    fn lock_trials(&self) -> MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a failure may be that of the recording, the set-up or the server.
fn is_open_to_question(error: &CallError) -> bool {
    match error {
        CallError::Unavailable { suspect, after, .. } => {
            *suspect == Suspect::Either && after.is_none()
        }
        // Too large, and of an unsupported kind, are clear answers.
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

/// Returns the error of a recording that alone is refused.
fn recording_error(error: CallError) -> CallError {
    let message = match answers::blame_recording(error) {
        CallError::File(FileFault::Failed(message)) => message,
        CallError::Forbidden { message } => format!("was refused by the service (403): {message}"),
        CallError::Unavailable { message, .. } => format!("could not be transcribed: {message}"),
        other @ (CallError::SignedOut { .. } | CallError::Refused { .. } | CallError::File(_)) => {
            return other;
        }
    };
    CallError::File(FileFault::Failed(format!("{message}; {NOT_THIS_FILE}")))
}
