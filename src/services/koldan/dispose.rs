//! Deletion at Koldan once the notes are durable: the summaries of a transcription, then the
//! transcription itself; and cancelling the summaries of a cancelled job.
//!
//! The file itself stays: no document shows a call that deletes it. (unknown): whether it is
//! deleted with its transcription.

use super::{
    KoldanService,
    session::{SUMMARIES, summary_path, transcription_path},
    wire,
};
use crate::{
    config::OnSuccessRemote,
    http::Request,
    services::{CallError, answers, pacer::Priority},
};

impl KoldanService {
    /// Cancels the unfinished summaries of a recording; the documents show no such call for a
    /// transcription. One that has ended meanwhile (409) or is gone is no error.
    pub(super) async fn cancel_summaries(&self, recording: &str) -> Result<(), CallError> {
        for id in self.summaries_of(recording).await? {
            let [a, b, c, d, id] = summary_path(&id);
            let answer = self
                .call(Request::post(&[a, b, c, d, id, "cancel"]), Priority::High)
                .await
                .map_err(answers::mark_not_executed)?;
            if !matches!(answer.status, 404 | 409 | 410) {
                self.check_answer(answer).await?;
            }
        }
        Ok(())
    }

    /// Deletes all results of a recording. A result that is already gone is no error, so that the
    /// deletion may be repeated after any interruption.
    pub(super) async fn delete_all(
        &self,
        recording: &str,
        how: OnSuccessRemote,
    ) -> Result<(), CallError> {
        for id in self.summaries_of(recording).await? {
            self.delete_item(&summary_path(&id), how).await?;
        }
        self.delete_item(&transcription_path(recording), how).await
    }

    /// Returns the summaries that name this transcription, whoever requested them. One that names
    /// none, or another, is not ours to delete.
    async fn summaries_of(&self, recording: &str) -> Result<Vec<String>, CallError> {
        let listed = match self
            .read_list(&SUMMARIES, &[("transcriptionId", recording)], Priority::High)
            .await
        {
            Ok(listed) => listed,
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in listed {
            let Some(id) = wire::id_at(&entry, &["id", "summaryId", "uuid"]) else { continue };
            let mut transcription = wire::transcription_of(&entry);
            if transcription.is_none() {
                let request = Request::get(&summary_path(&id));
                let found = self.read_json_if_found(request, Priority::High).await?;
                transcription = found.as_ref().and_then(wire::transcription_of);
            }
            if transcription.as_deref() == Some(recording) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Checks that a thing which answered 404 to its deletion is gone: the status may also mean
    /// that there is no such call. (guess): transcriptions are deleted like summaries, which the
    /// documents show.
    async fn require_gone(&self, path: &[&str; 5]) -> Result<(), CallError> {
        if self.read_json_if_found(Request::get(path), Priority::High).await?.is_none() {
            return Ok(());
        }
        let message = "the service has no call to delete it: it is still there".to_owned();
        Err(CallError::Refused { status: 404, message })
    }

    /// Deletes or purges one transcription or summary.
    async fn delete_item(&self, path: &[&str; 5], how: OnSuccessRemote) -> Result<(), CallError> {
        let request = Request::delete(path);
        let request =
            if how == OnSuccessRemote::Purge { request.query("purge", "true") } else { request };
        let mut answer =
            self.call(request, Priority::High).await.map_err(answers::mark_not_executed)?;
        if answer.status == 405 && how == OnSuccessRemote::Purge {
            // The other form in the documents.
            let [a, b, c, d, id] = *path;
            answer = self
                .call(Request::post(&[a, b, c, d, id, "purge"]), Priority::High)
                .await
                .map_err(answers::mark_not_executed)?;
        }
        match answer.status {
            404 | 410 => self.require_gone(path).await,
            // A forbidden deletion says nothing about other calls.
            403 => Err(CallError::Forbidden {
                message: crate::services::answers::error_message(&answer),
            }),
            _other => self.check_answer(answer).await.map(drop).map_err(answers::mark_not_executed),
        }
    }
}
