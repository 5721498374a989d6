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
    render::Minutes,
};
use crate::{
    config::{Folder, Format, Target},
    job::Report,
    open_files::OpenFiles,
    runtime::Runtime,
    services::accepted_extensions,
    store::{Delivery, DeliveryKind, FolderRoot, Job, StoreError},
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
        let plan = self.job.plan.as_ref();
        Minutes {
            key: self.job.key.clone(),
            sound: self.job.sound.clone(),
            title: plan.map_or_else(|| self.recording_name(), |plan| plan.title.clone()),
            recorded: self.job.date().to_zoned(TimeZone::system()),
            recording: self.recording_name(),
            folder: self.folder.name.clone(),
            attendees: plan.map(|plan| plan.attendees.clone()).unwrap_or_default(),
            attendees_from: plan.and_then(|plan| plan.details_source.attendees_from.clone()),
            language: plan.and_then(|plan| plan.language.clone()),
            service: plan.map(|plan| plan.service.clone()).unwrap_or_default(),
            meeting: self.job.remote.meeting_id().map(str::to_owned),
            warning: self.job.partial.then(|| {
                let error = self.job.error.as_deref().unwrap_or("the service did not finish");
                format!(
                    "these notes lack what failed: {error}. `minuted retry {}` tries again.",
                    self.job.id
                )
            }),
            reports: Arc::clone(&self.reports),
        }
    }

    /// Returns the recording's file name, fit to be shown.
    #[must_use]
    pub(super) fn recording_name(&self) -> String {
        printable_path(Path::new(self.job.path.file_name().unwrap_or_default()))
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

/// Gathers the context of a delivery; `None` when its job or its folder is gone.
pub(super) async fn gather_context(
    runtime: &Runtime,
    delivery: &Delivery,
) -> Result<Option<DeliveryContext>, StoreError> {
    let Some(job) = runtime.queue.jobs().find(delivery.job).await? else { return Ok(None) };
    let reports = match delivery.kind {
        DeliveryKind::Notes | DeliveryKind::Mail => {
            let mut reports = runtime.queue.stages().read_results(job.id).await?;
            let remarks =
                job.plan.iter().flat_map(|plan| plan.details_source.remarks.iter().cloned());
            if let Some(report) = reports.first_mut() {
                report.findings.remarks.extend(remarks);
            }
            job.speaker_names.apply(&mut reports);
            reports.into()
        }
        DeliveryKind::Failure
        | DeliveryKind::Clear
        | DeliveryKind::Dispose
        | DeliveryKind::Remote => Arc::default(),
    };
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
