//! A job that a person has given up: a service need not go on with it.

use crate::{
    effect::Effect,
    queue::Job,
    services::{CallError, NotesService},
};

/// Has the service end what it works on for a job; nothing where it has no recording of it.
///
/// # Errors
/// What the service says. It may go on then, and nothing depends on it.
pub async fn cancel_remotely(service: &dyn NotesService, job: &Job) -> Result<(), CallError> {
    let (Some(meeting), Some(recording)) = (job.remote.meeting(), job.remote.recording()) else { return Ok(()) };
    Effect::CallCancel.during_async(service.cancel_analyses(meeting, recording)).await
}
