//! The context of a delivery: the job, its results and its folder, gathered once for each try.

use std::{
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::tz::TimeZone;

use super::{
    files::names::notes_name,
    mail::{Kept, Letter, LetterForm},
    render::{Minutes, Vault},
};
use crate::{
    config::{Folder, Format, Links, Target},
    job::Report,
    open_files::OpenFiles,
    runtime::Runtime,
    services::accepted_extensions,
    store::{Delivery, DeliveryKind, FolderRoot, Job, JobId, Store, StoreError},
    text::printable_path,
};

/// A job and its results, ready to be delivered.
#[derive(Debug, Clone)]
pub(super) struct DeliveryContext {
    /// The job.
    pub(super) job: Job,
    /// The results of the service, where notes are made of them.
    pub(super) reports: Arc<[Report]>,
    /// The folder, with its settings of now.
    pub(super) folder: Arc<Folder>,
    /// The folder's directory, as it was met.
    pub(super) root: Option<FolderRoot>,
    /// True if the recording lies in the folder, as far as the queue knows.
    pub(super) is_seen: bool,
    /// The extensions that mark a file as a recording, lower case.
    pub(super) extensions: Vec<String>,
    /// The programs that have files open for writing.
    pub(super) open_files: Arc<OpenFiles>,
}

impl DeliveryContext {
    /// Returns the document that all forms of the notes are made of.
    #[must_use]
    pub(super) fn build_minutes(&self) -> Minutes {
        let minutes = build_minutes(&self.job, &self.folder.name, Arc::clone(&self.reports));
        let vault = match self.folder.links {
            Links::Off => None,
            Links::Obsidian => Some(Vault::new(
                &self.folder.name,
                &self.folder.tags,
                &minutes.attendees,
                &self.job.speaker_names,
            )),
        };
        Minutes { vault, ..minutes }
    }

    /// Returns the recording's file name, fit to be shown.
    #[must_use]
    pub(super) fn recording_name(&self) -> String {
        recording_name(&self.job)
    }

    /// Returns the name of the notes in Markdown.
    #[must_use]
    pub(super) fn attachment_name(&self) -> OsString {
        notes_name(&self.job.path, &self.folder.notes_name, Format::Md, false)
    }

    /// Returns the mail with the notes, in a form; `id` is its `Message-ID`.
    #[must_use]
    pub(super) fn build_letter(&self, id: String, form: LetterForm) -> Letter {
        let kept = match &self.folder.notes_dir {
            _ if !self.folder.deliver.contains(&Target::Beside) => Kept::Nowhere,
            Some(_) => Kept::InItsDirectory,
            None => Kept::Beside,
        };
        Letter::in_form(&self.build_minutes(), id, &self.attachment_name(), form, kept)
    }
}

/// Returns the document that all forms of the notes of a job are made of.
fn build_minutes(job: &Job, folder: &str, reports: Arc<[Report]>) -> Minutes {
    let plan = job.plan.as_ref();
    Minutes {
        key: job.key.clone(),
        sound: job.sound.clone(),
        title: plan.map_or_else(|| recording_name(job), |plan| plan.title.clone()),
        recorded: job.date().to_zoned(TimeZone::system()),
        recording: recording_name(job),
        folder: folder.to_owned(),
        attendees: plan.map(|plan| plan.attendees.clone()).unwrap_or_default(),
        attendees_from: plan.and_then(|plan| plan.details_source.attendees_from.clone()),
        language: plan.and_then(|plan| plan.language.clone()),
        service: plan.map(|plan| plan.service.clone()).unwrap_or_default(),
        meeting: job.remote.meeting_id().map(str::to_owned),
        warning: job.partial.then(|| {
            let error = job.error.as_deref().unwrap_or("the service did not finish");
            format!(
                "these notes lack what failed: {error}. `minuted retry {}` tries again.",
                job.id
            )
        }),
        vault: None,
        reports,
    }
}

fn recording_name(job: &Job) -> String {
    printable_path(Path::new(job.path.file_name().unwrap_or_default()))
}

/// Returns the notes of a job as they would be written now; without results they have no sections.
///
/// # Errors
/// When the queue cannot be read.
pub(crate) async fn read_minutes(
    queue: &Store,
    job: &Job,
    folder: &str,
) -> Result<Minutes, StoreError> {
    Ok(build_minutes(job, folder, read_reports(queue, job).await?))
}

/// Returns the results of a job, with the remarks of its intake and the names of its speakers.
async fn read_reports(queue: &Store, job: &Job) -> Result<Arc<[Report]>, StoreError> {
    let mut reports = queue.stages().read_results(job.id).await?;
    let remarks = job.plan.iter().flat_map(|plan| plan.details_source.remarks.iter().cloned());
    if let Some(report) = reports.first_mut() {
        report.findings.remarks.extend(remarks);
    }
    job.speaker_names.apply(&mut reports);
    Ok(reports.into())
}

/// Gathers the context of a delivery; `None` when its job or its folder is gone.
pub(super) async fn gather_context(
    runtime: &Runtime,
    delivery: &Delivery,
) -> Result<Option<DeliveryContext>, StoreError> {
    let Some(mut context) = gather_recording(runtime, delivery.job).await? else { return Ok(None) };
    context.reports = match delivery.kind {
        DeliveryKind::Notes | DeliveryKind::Mail => {
            read_reports(&runtime.queue, &context.job).await?
        }
        DeliveryKind::Failure
        | DeliveryKind::Clear
        | DeliveryKind::Dispose
        | DeliveryKind::Remote => Arc::default(),
    };
    Ok(Some(context))
}

/// Gathers what is known of the recording of a job, without its results; `None` when the job or its folder is gone.
pub(super) async fn gather_recording(
    runtime: &Runtime,
    job: JobId,
) -> Result<Option<DeliveryContext>, StoreError> {
    let Some(job) = runtime.queue.jobs().find(job).await? else { return Ok(None) };
    let reports = Arc::default();
    let live = runtime.live();
    let Some(folder) = live.folders.get(&job.key.folder) else { return Ok(None) };
    let handle = live.services.get(&folder.service);
    let extensions =
        handle.map_or_else(Vec::new, |handle| accepted_extensions(folder, handle.service.as_ref()));
    let root = runtime.queue.folders().read_root(&folder.id).await?;
    let is_seen = runtime.queue.files().find(&folder.id, job.path.clone()).await?.is_some();
    let folder = Arc::clone(folder);
    let open_files = Arc::clone(&runtime.open_files);
    Ok(Some(DeliveryContext { job, reports, folder, root, is_seen, extensions, open_files }))
}

/// Renders one document after the other: it takes several times the memory of its text.
pub(super) fn one_at_a_time<T>(render: impl FnOnce() -> T) -> T {
    static RENDERING: Mutex<()> = Mutex::new(());
    let _alone = RENDERING.lock().unwrap_or_else(PoisonError::into_inner);
    render()
}
