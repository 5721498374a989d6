//! What is deleted at Koldan once the notes are durable: the summaries of a transcription, then the transcription. And
//! what ends there when a job is given up.
//!
//! The file itself stays: no document tells of a call that deletes it. (unknown): whether it goes with its transcription.

use super::{
    Koldan,
    session::{SUMMARIES, summary, transcription},
    wire,
};
use crate::{
    config::OnSuccessRemote,
    http::Request,
    services::{CallError, answers, pacer::Priority},
};

impl Koldan {
    /// Ends the summaries of a recording that are under way: the documents show no such call for a transcription. One
    /// that has ended meanwhile (409) or is gone is as well.
    pub(super) async fn cancel_summaries(&self, recording: &str) -> Result<(), CallError> {
        for id in self.summaries_of(recording).await? {
            let [a, b, c, d, id] = summary(&id);
            let answer = self
                .call(Request::post(&[a, b, c, d, id, "cancel"]), Priority::High)
                .await
                .map_err(answers::mark_not_executed)?;
            if !matches!(answer.status, 404 | 409 | 410) {
                self.accepted(answer).await?;
            }
        }
        Ok(())
    }

    /// Deletes all that was made of a recording. What is gone already is no error, so that it may be done again after any
    /// interruption.
    pub(super) async fn delete_all(&self, recording: &str, how: OnSuccessRemote) -> Result<(), CallError> {
        for id in self.summaries_of(recording).await? {
            self.delete(&summary(&id), how).await?;
        }
        self.delete(&transcription(recording), how).await
    }

    /// The summaries that say that they are of this transcription, whoever had them made: what says nothing, or that of
    /// another, is not ours to delete.
    async fn summaries_of(&self, recording: &str) -> Result<Vec<String>, CallError> {
        let listed = match self.list(&SUMMARIES, &[("transcriptionId", recording)], Priority::High).await {
            Ok(listed) => listed,
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_of_it = |entry: &serde_json::Value| wire::transcription_of(entry).as_deref() == Some(recording);
        let mut ids = Vec::new();
        for entry in listed {
            let Some(id) = wire::id_at(&entry, &["id", "summaryId", "uuid"]) else { continue };
            let told = match wire::transcription_of(&entry) {
                Some(_) => is_of_it(&entry),
                None => {
                    self.json_if(Request::get(&summary(&id)), Priority::High).await?.is_some_and(|one| is_of_it(&one))
                }
            };
            if told {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// A 404 may say that there is no such thing any more, or no such call: what is still there was not deleted. (guess):
    /// that transcriptions are deleted as the documents show it of summaries.
    async fn require_gone(&self, path: &[&str; 5]) -> Result<(), CallError> {
        if self.json_if(Request::get(path), Priority::High).await?.is_none() {
            return Ok(());
        }
        let message = "it does not know how to delete it: it is still there".to_owned();
        Err(CallError::Refused { status: 404, message })
    }

    /// Deletes or purges one thing.
    async fn delete(&self, path: &[&str; 5], how: OnSuccessRemote) -> Result<(), CallError> {
        let request = Request::delete(path);
        let request = if how == OnSuccessRemote::Purge { request.query("purge", "true") } else { request };
        let mut answer = self.call(request, Priority::High).await.map_err(answers::mark_not_executed)?;
        if answer.status == 405 && how == OnSuccessRemote::Purge {
            // The other way that the documents show.
            let [a, b, c, d, id] = *path;
            answer = self
                .call(Request::post(&[a, b, c, d, id, "purge"]), Priority::High)
                .await
                .map_err(answers::mark_not_executed)?;
        }
        match answer.status {
            404 | 410 => self.require_gone(path).await,
            // That this call is forbidden is no matter of all the others.
            403 => Err(CallError::Forbidden { message: crate::services::answers::error_message(&answer) }),
            _other => self.accepted(answer).await.map(drop).map_err(answers::mark_not_executed),
        }
    }
}
