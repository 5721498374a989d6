//! The stages of a job, one file each, written against [`NotesService`] and the queue.
//!
//! A stage commits its intent before an effect and its result before the next one. It makes one attempt; what did not
//! work comes back as a [`Setback`], which the worker records.

pub(crate) mod analyse;
pub(crate) mod cancel;
pub(crate) mod convert;
pub(crate) mod create;
pub(crate) mod details;
pub(crate) mod event;
pub(crate) mod extracted;
pub(crate) mod sidecar;
mod title;
pub(crate) mod upload;

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};

use self::convert::Converter;
use crate::{
    beneath::{Dir, Stamp},
    calendar::CalendarShelf,
    clock,
    config::{self, Folder},
    delivery::find_notes,
    job::{Bound, Content, Setback, Stage, Suspect},
    open_files::OpenFiles,
    services::{CallError, FileFault, NotesService, breaker::Call, health::ServiceFault},
    store::{Job, Store, StoreError},
};

/// The context of a stage.
#[derive(Debug, Clone)]
pub(crate) struct StageContext {
    /// The queue.
    pub queue: Store,
    /// The job's service.
    pub service: Arc<dyn NotesService>,
    /// The settings of that service.
    pub service_settings: config::Service,
    /// The job's folder.
    pub folder: Arc<Folder>,
    /// The calendar of that folder, where it has one.
    pub calendar: Option<config::CalendarSettings>,
    /// The calendars that were read.
    pub calendars: Arc<CalendarShelf>,
    /// The longest delay between two attempts.
    pub delay_max: Duration,
    /// Makes of a recording what its service takes.
    pub converter: Converter,
    /// The programs that have files open for writing.
    pub open_files: Arc<OpenFiles>,
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Self::Queue(error.into())
    }
}

/// Returns what a failed call means where the service's own faults and sign-in are concerned; what it refused is left
/// to `refused`, because its meaning depends on the call.
async fn call_setback(
    service: &dyn NotesService,
    stage: Stage,
    error: CallError,
    refused: impl FnOnce(u16, anyhow::Error) -> Setback,
) -> Setback {
    match error {
        CallError::Unavailable { after, suspect, .. } => {
            Setback::Unavailable { after, suspect, error: error.into() }
        }
        CallError::SignedOut { .. } => fault_setback(ServiceFault::SignedOut, error.into()),
        // It is the service's matter where a cheap read is forbidden too, else the recording's own.
        CallError::Forbidden { .. } => {
            match service
                .read_profile_for(call_of_stage(stage))
                .await
                .as_ref()
                .err()
                .and_then(ServiceFault::of_error)
            {
                Some(fault) => fault_setback(fault, error.into()),
                None => Setback::Own { from: stage, error: error.into() },
            }
        }
        CallError::Refused { status, .. } => {
            confirm_refusal(service, stage, error, |error| refused(status, error)).await
        }
        CallError::File(ref fault) => match fault {
            FileFault::Changed => Setback::FileChanged { error: error.into() },
            FileFault::Unreadable(_) => Setback::FileLost { error: error.into() },
            FileFault::NoSound => Setback::NoSound,
            FileFault::TooLong(max) => Setback::Beyond(Bound::Long { length: None, max: *max }),
            FileFault::Unfit(_) => Setback::GiveUp { error: error.into() },
            FileFault::Failed(_) => Setback::Own { from: stage, error: error.into() },
            FileFault::Lacking(_) => Setback::Lacking { error: error.into() },
        },
    }
}

/// A refusal is what `refused` makes of it only where a cheap read goes through: a service that refuses that, too, is set
/// up wrongly, whatever the status.
async fn confirm_refusal(
    service: &dyn NotesService,
    stage: Stage,
    error: CallError,
    refused: impl FnOnce(anyhow::Error) -> Setback,
) -> Setback {
    let read = match service.read_profile_for(call_of_stage(stage)).await {
        Ok(_) | Err(CallError::File(_)) => return refused(error.into()),
        Err(read) => read,
    };
    let error = anyhow::Error::from(error);
    match ServiceFault::of_error(&read) {
        Some(fault @ (ServiceFault::SignedOut | ServiceFault::Forbidden)) => {
            fault_setback(fault, error)
        }
        down @ (Some(ServiceFault::Down { .. }) | None) => {
            let error = error.context(format!("nor does a cheap read work ({read})"));
            fault_setback(down.unwrap_or(ServiceFault::Down { after: None }), error)
        }
    }
}

/// Returns the call that a stage stands and falls with.
pub(crate) fn call_of_stage(stage: Stage) -> Call {
    match stage {
        Stage::Create => Call::Create,
        Stage::Upload => Call::Upload,
        Stage::Analyse | Stage::Deliver => Call::Request,
    }
}

/// Returns what a fault of the service means for a job.
fn fault_setback(fault: ServiceFault, error: anyhow::Error) -> Setback {
    match fault {
        ServiceFault::Down { after } => {
            Setback::Unavailable { after, suspect: Suspect::Service, error }
        }
        ServiceFault::SignedOut => Setback::ServiceRefused { signed_out: true, error },
        ServiceFault::Forbidden => Setback::ServiceRefused { signed_out: false, error },
    }
}

/// Opens the job's recording, if it still is the one whose content was hashed.
async fn open_recording(folder: &Folder, job: &Job) -> Result<File, Setback> {
    let root = folder.path.clone();
    let path = job.path.clone();
    let stamp = job.stamp;
    let opened =
        await_answer(tokio::task::spawn_blocking(move || open_unchanged(&root, &path, stamp)))
            .await;
    opened.and_then(|opened| opened.map_err(|error| Setback::FileLost { error }))
}

/// Opens the recording as [`open_recording`] does, unless a program has it open for writing.
async fn open_closed_recording(context: &StageContext, job: &Job) -> Result<File, Setback> {
    let file = open_recording(&context.folder, job).await?;
    let open_files = Arc::clone(&context.open_files);
    let root = context.folder.path.clone();
    let path = job.path.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let root = Dir::open(&root).ok()?;
        open_files.in_use_now(&root, &path, clock::now())
    });
    match await_answer(asked).await? {
        Some(in_use) => Err(Setback::FileLost { error: anyhow!("{in_use}") }),
        None => Ok(file),
    }
}

/// A folder that does not answer for so long is given up for now: its job holds up no other.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Waits for a look at a folder's files.
async fn await_answer<T>(look: tokio::task::JoinHandle<T>) -> Result<T, Setback> {
    let error = match tokio::time::timeout(ANSWER_MAX, look).await {
        Ok(Ok(seen)) => return Ok(seen),
        Ok(Err(error)) => anyhow!(error).context("failed to look at the recording"),
        Err(_) => anyhow!("the file system of the folder does not answer"),
    };
    Err(Setback::FileLost { error })
}

/// Returns where whole notes with this job's key lie already, if they do.
///
/// # Errors
/// [`Setback::FileLost`] when that cannot be known now.
async fn existing_notes(folder: &Arc<Folder>, job: &Job) -> Result<Option<String>, Setback> {
    let folder = Arc::clone(folder);
    let job = job.clone();
    await_answer(tokio::task::spawn_blocking(move || find_notes(&folder, &job))).await
}

/// Reads a recording once more: somebody may have changed it and put its time back.
async fn confirm_content(context: &StageContext, job: &Job) -> Result<(), Setback> {
    let file = open_recording(&context.folder, job).await?;
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok::<_, std::io::Error>(Content::from_hash(&hasher.finalize()))
    });
    let lost = |error: anyhow::Error| Setback::FileLost { error };
    let found =
        hashed.await.map_err(|error| lost(error.into()))?.map_err(|error| lost(error.into()))?;
    let changed =
        || Setback::FileChanged { error: anyhow!("the recording changed after it was queued") };
    if found == job.file_content { Ok(()) } else { Err(changed()) }
}

fn open_unchanged(root: &Path, path: &Path, stamp: Stamp) -> anyhow::Result<File> {
    let root = Dir::open(root).context("the folder cannot be opened")?;
    let file = root.open_file(path).context("the recording cannot be opened")?;
    let found = Stamp::of(&file).context("the recording cannot be read")?;
    if found == stamp {
        Ok(file)
    } else {
        Err(anyhow!("the recording changed after it was queued"))
    }
}
