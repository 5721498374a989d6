//! Fetching one recording: its availability, the download, its place in the folder.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    Availability, Recording, RemoteFile, SourceEngine,
    draft::{self, FileDigest, FileDraft},
    engine::SourceFailure,
    names::file_names,
};
use crate::{
    access::is_full,
    clock,
    config::Transcript,
    http::{Download, FetchError, Fetched},
    job::{Details, Segment, retry::backoff_delay},
    progress::Progress,
    services::{CallError, answers},
    store::{FetchedFile, Fetching, Intent, Later, Placing},
    text::{ShellCommand, one_line, printable_path},
};

/// The largest file that is fetched: a day of high-quality video stays below it. Bytes.
const SIZE_MAX: u64 = 32 << 30;

/// A recording that is not there yet is looked at again after so long, whatever `every` says.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// A recording that failed too often is tried again after so long at the most: the vendor may mend its files.
const SLOW_RETRY_MAX: Duration = Duration::from_secs(6 * 3600);

/// No vendor keeps recordings for longer than 30 days: what could not be had until then never can.
const RETENTION_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// A transcript may come after the audio. So long after the end of its meeting a recording that could be made of one
/// waits for it.
const TRANSCRIPT_WAIT_MAX: Duration = Duration::from_secs(10 * 60);

/// The reason why a file was not fetched, by what happens next.
enum FetchFailure {
    /// A failure of this file: cut off, expired, empty, or a page in its place.
    Own(String),
    /// A failure of the vendor's store or of the network; other files would fail, too.
    Store(CallError),
    /// A failure of the folder.
    Folder(io::Error),
}

impl SourceEngine {
    /// Looks at a recording, and fetches it where that can be done.
    pub(super) async fn fetch_when_available(
        &mut self,
        row: &Fetching,
    ) -> Result<(), SourceFailure> {
        match self.parts.source.get_recording(&row.id).await {
            Ok(recording) => match recording.availability.clone() {
                Availability::NotYet => {
                    self.postpone_fetch(
                        row,
                        "its meeting goes on, or the vendor works on its files",
                    )
                    .await
                }
                Availability::Lost(why) => self.record_lost(row, &why, &recording.details).await,
                Availability::Ready(files) => self.fetch_file(row, recording, files).await,
            },
            Err(CallError::Refused { status: 404 | 410, message })
                if row.wanted || row.attempts > 0 =>
            {
                let why = format!("the vendor knows no such recording: {message}");
                self.record_lost(row, &why, &Details::default()).await
            }
            Err(error @ (CallError::Refused { .. } | CallError::File(_))) => {
                self.count_failure(row, &error.to_string()).await
            }
            Err(error) => self.record_store_failure(row, error).await,
        }
    }

    async fn postpone_fetch(&mut self, row: &Fetching, why: &str) -> Result<(), SourceFailure> {
        let now = clock::now();
        if is_past_retention(row, now) {
            return self
                .record_lost(
                    row,
                    &format!("{why}, still, 31 days after its end"),
                    &Details::default(),
                )
                .await;
        }
        self.done += 1;
        let due = now
            .saturating_add(self.parts.settings.every.min(LOOK_AGAIN_AFTER))
            .unwrap_or(Timestamp::MAX);
        let later = Later::Uncounted(Some(why.to_owned()));
        Ok(self.parts.queue.sources().retry_later(self.name(), &row.id, due, later, now).await?)
    }

    /// Records that the recording cannot be had; the operator is notified once.
    async fn record_lost(
        &mut self,
        row: &Fetching,
        why: &str,
        details: &Details,
    ) -> Result<(), SourceFailure> {
        self.done += 1;
        let why = one_line(why, 500);
        let title = details
            .title
            .as_deref()
            .map(|title| format!(" (`{}`)", one_line(title, 100)))
            .unwrap_or_default();
        let name = self.name().to_owned();
        let id = &row.id;
        let told = format!("recording `{id}`{title} of source `{name}` cannot be had: {why}");
        let fetch = ShellCommand::new("minuted source fetch")
            .add_word(id)
            .add_words("--source")
            .add_word(&name);
        tracing::error!("{told}; {fetch}");
        let notice = format!("{told}\n{fetch} tries once more");
        Ok(self
            .parts
            .queue
            .sources()
            .record_failure(&name, id, (&why, details), notice, clock::now())
            .await?)
    }

    /// Counts a failure of the recording's own. It is told when it has failed as often as a job may, and tried on,
    /// seldom, for as long as a vendor may keep it.
    async fn count_failure(&mut self, row: &Fetching, error: &str) -> Result<(), SourceFailure> {
        let now = clock::now();
        let retry = self.parts.retry;
        let error = one_line(error, 500);
        if is_past_retention(row, now) {
            return self.record_lost(row, &error, &Details::default()).await;
        }
        self.done += 1;
        let failures = row.attempts.saturating_add(1);
        let slowest = if failures < retry.attempts {
            retry.delay_max
        } else {
            SLOW_RETRY_MAX.max(retry.delay_max)
        };
        let wait = backoff_delay(retry.delay, slowest, failures, clock::jitter());
        let name = self.name().to_owned();
        let id = &row.id;
        let notice = (failures == retry.attempts).then(|| {
            let list = ShellCommand::new("minuted source list").add_word(&name);
            format!("recording `{id}` of source `{name}` cannot be fetched, and is tried on: {error}\n{list}")
        });
        tracing::warn!(
            "recording `{id}` of source `{name}`: try {failures} failed: {error}; next in {wait:?}"
        );
        let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        Ok(self
            .parts
            .queue
            .sources()
            .retry_later(&name, id, due, Later::Counted { error, notice }, now)
            .await?)
    }

    /// A failure of the vendor's own holds the source, and this recording goes behind the others. It is the recording's
    /// own when others came to something between two such failures of it.
    async fn record_store_failure(
        &mut self,
        row: &Fetching,
        error: CallError,
    ) -> Result<(), SourceFailure> {
        if self.blamed.get(&row.id).is_some_and(|done| *done < self.done) {
            self.blamed.insert(row.id.clone(), self.done + 1);
            return self.count_failure(row, &error.to_string()).await;
        }
        // Those of now alone are of use.
        if self.blamed.len() > 1000 {
            self.blamed.clear();
        }
        self.blamed.insert(row.id.clone(), self.done);
        let now = clock::now();
        let why = one_line(&error.to_string(), 500);
        // The source as a whole waits. Its next round has to ask for this recording again: a round that asks for nothing
        // would end the hold.
        self.parts
            .queue
            .sources()
            .retry_later(self.name(), &row.id, now, Later::Uncounted(Some(why)), now)
            .await?;
        Err(SourceFailure::Vendor(error))
    }

    /// Fetches the file of a recording, and places it with all that travels with it.
    async fn fetch_file(
        &mut self,
        row: &Fetching,
        recording: Recording,
        files: Vec<RemoteFile>,
    ) -> Result<(), SourceFailure> {
        if let Some(why) = (self.parts.ready)() {
            return Err(SourceFailure::Folder { why, told: false });
        }
        let Some(file) = self.choose_file(&files, row.attempts) else {
            return self.record_lost(row, "the vendor has no file of it", &recording.details).await;
        };
        let said = self.usable_transcript(&recording);
        let now = clock::now();
        let ended = recording.ended.unwrap_or(row.ended);
        if said.is_none()
            && self.reuses_transcript()
            && clock::elapsed(ended, now) < TRANSCRIPT_WAIT_MAX
            && !row.wanted
        {
            return self.postpone_fetch(row, "its transcript may still come").await;
        }
        let mut details = recording.details;
        // Without a begin its end is closer than the time at which it was fetched.
        details.date = details.date.or(recording.ended);
        let names = file_names(&row.id, &details, ended, file.extension);
        if let Some(why) = self.refusal_by_globs(&names[0]) {
            return self.record_lost(row, &why, &details).await;
        }
        tracing::info!("recording `{}` of source `{}` is being fetched", row.id, self.name());
        let progress = Arc::<Progress>::default();
        self.update_view(|view| view.fetching = Some((row.id.clone(), now, Arc::clone(&progress))));
        let downloaded = self.download(&file, &progress).await;
        self.update_view(|view| view.fetching = None);
        let (draft, sum) = match downloaded {
            Ok(downloaded) => downloaded,
            Err(FetchFailure::Own(error)) => return self.count_failure(row, &error).await,
            Err(FetchFailure::Store(error)) => return self.record_store_failure(row, error).await,
            Err(FetchFailure::Folder(error)) => return Err(self.folder_failure(&error)),
        };
        let reuse = said.is_some();
        if let Some(said) = said
            && let Err(error) = self
                .transcripts
                .place_transcript(&sum.content, &self.parts.folder.id, sum.size, said)
                .await
        {
            return Err(SourceFailure::Folder {
                why: one_line(&error.to_string(), 500),
                told: true,
            });
        }
        self.place_file(row, draft, sum, &names, (details, recording.ended, reuse)).await
    }

    /// Gives a file that was fetched its name: the intent first, then the name, then the word that it has it.
    async fn place_file(
        &mut self,
        row: &Fetching,
        mut draft: FileDraft,
        sum: FileDigest,
        names: &[String],
        (details, ended, reuse): (Details, Option<Timestamp>, bool),
    ) -> Result<(), SourceFailure> {
        let folder = &self.parts.folder;
        let source = self.name().to_owned();
        for name in names {
            let path = PathBuf::from(name);
            let folder_id = folder.id.clone();
            let spot = FetchedFile {
                folder: folder_id,
                path: path.clone(),
                content: sum.content.clone(),
                size: sum.size,
            };
            let intent = Intent { file: spot, details: details.clone(), ended, reuse };
            if self
                .parts
                .queue
                .sources()
                .intend_place(&source, &row.id, intent, clock::now())
                .await?
                == Placing::Known
            {
                tracing::info!(
                    "recording `{}` of source `{source}`: folder `{}` has it already",
                    row.id,
                    folder.name
                );
                self.done += 1;
                return Ok(());
            }
            match draft.rename_to(name).await {
                Ok(()) => return self.record_placed(row, name).await,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let there = draft::digest_of_file(folder.path.clone(), path).await;
                    if there.is_ok_and(|there| there.as_ref() == Some(&sum)) {
                        return self.record_placed(row, name).await;
                    }
                }
                Err(error) => return Err(self.folder_failure(&error)),
            }
        }
        let now = clock::now();
        self.parts
            .queue
            .sources()
            .retry_later(&source, &row.id, now, Later::Uncounted(None), now)
            .await?;
        self.count_failure(row, "files of other content have its names in the folder").await
    }

    async fn record_placed(&mut self, row: &Fetching, name: &str) -> Result<(), SourceFailure> {
        self.done += 1;
        self.parts.queue.sources().record_placed(self.name(), &row.id, clock::now()).await?;
        let place = printable_path(&self.parts.folder.path.join(name));
        tracing::info!("recording `{}` of source `{}` lies at {place}", row.id, self.name());
        Ok(())
    }

    /// Chooses among files of a recording: what the folder's service takes, the best first; the next one each time one
    /// could not be had.
    fn choose_file(&self, files: &[RemoteFile], attempts: u32) -> Option<RemoteFile> {
        let is_taken =
            |file: &&RemoteFile| self.parts.accepts.iter().any(|taken| taken == file.extension);
        let taken: Vec<&RemoteFile> = files.iter().filter(is_taken).collect();
        let all = if taken.is_empty() { files.iter().collect() } else { taken };
        let at = usize::try_from(attempts).unwrap_or(0).checked_rem(all.len())?;
        all.get(at).map(|file| (*file).clone())
    }

    fn reuses_transcript(&self) -> bool {
        self.parts.folder.transcript == Transcript::Reuse
    }

    /// The vendor's transcript, where it is taken and says something.
    fn usable_transcript(&self, recording: &Recording) -> Option<Vec<Segment>> {
        let said = recording.transcript.clone().filter(|_| self.reuses_transcript())?;
        said.iter().any(|segment| !segment.text.trim().is_empty()).then_some(said)
    }

    /// Returns why the folder's globs refuse a file of this name; `None` when they accept it.
    fn refusal_by_globs(&self, name: &str) -> Option<String> {
        let folder = &self.parts.folder;
        let shown = one_line(name, 200);
        if folder.exclude.set.is_match(name) {
            return Some(format!("`exclude` of folder `{}` matches `{shown}`", folder.name));
        }
        let is_included = folder.include.set.is_match(name);
        (!is_included)
            .then(|| format!("no glob of `include` of folder `{}` matches `{shown}`", folder.name))
    }

    async fn download(
        &self,
        file: &RemoteFile,
        progress: &Progress,
    ) -> Result<(FileDraft, FileDigest), FetchFailure> {
        if self.store.address(file.url.as_str()).is_none() {
            return Err(FetchFailure::Own(
                "its address is not one that is fetched: it is not https".into(),
            ));
        }
        let unreached = |error: FetchError| match error {
            // Its neighbours lie at other addresses.
            FetchError::Address(why) => FetchFailure::Own(why),
            FetchError::Transport(error) if error.begun => FetchFailure::Own(error.message),
            FetchError::Transport(error) => FetchFailure::Store(error.into()),
        };
        match self.store.fetch(&file.url).await.map_err(unreached)? {
            Fetched::File(download) => self.receive_file(download, progress).await,
            Fetched::Refused(answer) => {
                let status = answer.status;
                let said = answers::error_message(&answer);
                match answers::check_status(answer) {
                    // A store signs nobody in: its 401 and 403 are of this address, which may have expired.
                    Err(error @ CallError::Unavailable { .. }) if !(300..400).contains(&status) => {
                        Err(FetchFailure::Store(error))
                    }
                    Ok(_) | Err(_) => Err(FetchFailure::Own(format!(
                        "the vendor's store answered {status}: {said}"
                    ))),
                }
            }
        }
    }

    async fn receive_file(
        &self,
        mut download: Download,
        progress: &Progress,
    ) -> Result<(FileDraft, FileDigest), FetchFailure> {
        if let Some(kind) = download.content_type.clone().filter(|kind| is_page(kind)) {
            return Err(FetchFailure::Own(format!(
                "the vendor's store gave a page (`{kind}`), and no recording"
            )));
        }
        if download.length.is_some_and(|length| length > SIZE_MAX) {
            return Err(FetchFailure::Own(format!("it is larger than {SIZE_MAX} bytes")));
        }
        // It may take long: meanwhile nobody should think that the source does not work.
        if let Err(error) = self.release_vendor_holds().await {
            tracing::debug!("failed to record that source `{}` works: {error}", self.name());
        }
        progress.start(download.length.unwrap_or(0));
        let folder = &self.parts.folder;
        let mut draft = FileDraft::create(folder.path.clone(), folder.file_mode, download.length);
        let mut size = 0_u64;
        while let Some(piece) =
            download.piece().await.map_err(|error| FetchFailure::Own(error.message))?
        {
            size += piece.len() as u64;
            if size > SIZE_MAX {
                return Err(FetchFailure::Own(format!("it is larger than {SIZE_MAX} bytes")));
            }
            progress.add(piece.len() as u64);
            draft.write(piece).await.map_err(FetchFailure::Folder)?;
        }
        if let Some(length) = download.length.filter(|length| *length != size) {
            return Err(FetchFailure::Own(format!(
                "{size} bytes came, and {length} were promised"
            )));
        }
        if size == 0 {
            return Err(FetchFailure::Own("it is empty".into()));
        }
        let sum = draft.finish().await.map_err(FetchFailure::Folder)?;
        Ok((draft, sum))
    }

    fn folder_failure(&self, error: &io::Error) -> SourceFailure {
        let folder = &self.parts.folder;
        let why = if is_full(error) || error.kind() == io::ErrorKind::StorageFull {
            format!("no room in folder `{}` for a recording; free some space", folder.name)
        } else {
            format!("nothing can be written in folder `{}`: {error}; minuted check", folder.name)
        };
        SourceFailure::Folder { why, told: true }
    }
}

/// Returns whether a recording is older than any vendor keeps one.
fn is_past_retention(row: &Fetching, now: Timestamp) -> bool {
    now.duration_since(row.ended) > RETENTION_MAX
}

/// Returns whether a content type is that of a page or an error message, not of a recording.
fn is_page(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["text/", "application/json", "application/xml"].iter().any(|page| kind.starts_with(page))
}
