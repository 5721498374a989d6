//! Cancellation at the service of a job that a person has cancelled.

use crate::{
    effect::Effect,
    services::{CallError, NotesService},
    store::Job,
};

/// Asks the service to end its work on a job; does nothing where it has no recording of it.
///
/// # Errors
/// The error of the service. It may go on then, and nothing depends on it.
pub(crate) async fn cancel_remotely(
    service: &dyn NotesService,
    job: &Job,
) -> Result<(), CallError> {
    let (Some(meeting), Some(recording)) = (job.remote.meeting_id(), job.remote.recording_id())
    else {
        return Ok(());
    };
    Effect::CallCancel.during_async(service.cancel_analyses(meeting, recording)).await
}
