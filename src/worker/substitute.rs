//! Notes that do without their writer (`notes_else = "extract"`).

use std::sync::Arc;

use super::Worker;
use crate::{
    clock::{self, elapsed},
    config::{Folder, NotesElse},
    job::Remote,
    pipeline::{analyse, extracted::add_substitute_note},
    runtime::ServiceHandle,
    services::breaker::Call,
    store::Job,
    text::format_duration,
};

impl Worker {
    /// Completes a job with an extracted note where the service that writes its notes has been down
    /// for longer than the patience, and the config allows it. Returns whether it did.
    pub(super) async fn complete_without_writer(
        &self,
        handle: &ServiceHandle,
        folder: &Arc<Folder>,
        job: &Job,
        call: Call,
    ) -> bool {
        let Some(notes) =
            handle.settings.notes.as_ref().filter(|notes| notes.otherwise == NotesElse::Extract)
        else {
            return false;
        };
        let Some(plan) = &job.plan else { return false };
        let Remote::Uploaded { since, .. } = &job.remote else { return false };
        let patience = analyse::deadline(&handle.settings.poll);
        let is_over = elapsed(*since, clock::now()) >= patience;
        if call != Call::Request || !is_over || handle.health.held_until(Call::Request).is_none() {
            return false;
        }
        let Ok(mut reports) = analyse::completed_reports(&self.context(handle, folder), job).await
        else {
            return false;
        };
        let remark = format!(
            "service `{}`, which writes the notes, did not work for {}: minuted extracted these notes without it",
            notes.name,
            format_duration(patience)
        );
        tracing::warn!(job.id = job.id.0, "job {}: {remark}", job.id);
        add_substitute_note(plan, job.date(), remark, &mut reports);
        self.complete_job(handle, folder, job, plan, reports).await;
        true
    }
}
