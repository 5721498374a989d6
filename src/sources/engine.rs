//! The loop of one source: what ended is listed, fetched into its folder once for ever, and deleted at the vendor where
//! that is wanted.
//!
//! Level-triggered as all loops of minuted: the table `fetched` says what there is to do, a nudge only when to look.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Source,
    draft::{self, FileDigest},
    handle::{Nudge, SourceView, SourcesHandle},
    meetingbaas,
};
use crate::{
    clock,
    config::{self, Folder},
    http::{BuildError, CallLimits, Elsewhere},
    job::{HoldReason, retry::backoff_delay},
    services::{CallError, health::ServiceFault, source_transcripts::SourceTranscriber},
    store::{Hold, Later, Scope, SourceState, Store, StoreError},
    text::{format_count, one_line},
};

/// A queue that cannot be written for now (its disk is full) is tried again after so long.
const QUEUE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The reasons of holds that end when the vendor answers as it should.
const VENDOR_HOLDS: [HoldReason; 3] =
    [HoldReason::Down, HoldReason::SignedOut, HoldReason::Forbidden];

/// A check by the daemon: `None` when a file may be placed in the folder now, else the reason.
pub(crate) type FolderReady = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Everything that the engine of one source needs.
#[derive(Clone)]
pub(crate) struct SourceContext {
    /// The vendor.
    pub source: Arc<dyn Source>,
    /// Its settings.
    pub settings: config::Source,
    /// The retry policy.
    pub retry: config::Retry,
    /// The folder that its recordings go to.
    pub folder: Arc<Folder>,
    /// The extensions that the folder's service takes.
    pub accepts: Vec<String>,
    /// The state directory.
    pub state_dir: std::path::PathBuf,
    /// The time for which vendors' transcripts are kept, for a `redo`.
    pub history: Duration,
    /// The queue.
    pub queue: Store,
    /// The check that a file may be placed now.
    pub ready: FolderReady,
}

impl fmt::Debug for SourceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceContext")
            .field("source", &self.source)
            .field("settings", &self.settings)
            .field("folder", &self.folder.name)
            .finish_non_exhaustive()
    }
}

/// The engine of one source.
#[derive(Debug)]
pub(crate) struct SourceEngine {
    pub(super) parts: SourceContext,
    pub(super) store: Elsewhere,
    pub(super) transcripts: SourceTranscriber,
    pub(super) nudge: Arc<Nudge>,
    handle: SourcesHandle,
    /// Failures of the vendor in a row.
    failures: u32,
    /// Until when the vendor is left alone.
    back_off_until: Option<Instant>,
    /// The time of the last complete listing.
    listed_at: Option<Instant>,
    /// Recordings that came to something, and how many of them there had been when each failed by the vendor's fault:
    /// one that fails so while others do not has itself to blame.
    pub(super) done: u64,
    pub(super) blamed: HashMap<String, u64>,
}

/// The reason why a round of a source ended early.
#[derive(Debug)]
pub(super) enum SourceFailure {
    /// The vendor, or the way there.
    Vendor(CallError),
    /// The folder takes no file. `told`: the operator is notified; else the folder's own hold says it.
    Folder { why: String, told: bool },
    /// The queue.
    Queue(StoreError),
}

impl From<StoreError> for SourceFailure {
    fn from(error: StoreError) -> Self {
        Self::Queue(error)
    }
}

impl From<CallError> for SourceFailure {
    fn from(error: CallError) -> Self {
        Self::Vendor(error)
    }
}

impl SourceEngine {
    /// Returns the engine of a source, known to `handle` from now on.
    ///
    /// # Errors
    /// When the HTTP client for the vendor's store cannot be built.
    pub(crate) fn new(parts: SourceContext, handle: &SourcesHandle) -> Result<Self, BuildError> {
        // An answer of the store begins at once; only standing still is limited.
        let limits = CallLimits::new(Duration::from_secs(60));
        let store = Elsewhere::new(&parts.settings.base_url, limits)?;
        let transcripts = SourceTranscriber::new(&parts.settings.name, &parts.state_dir);
        let nudge = handle.register(&parts.settings.name);
        let handle = handle.clone();
        let failures = 0;
        let back_off_until = None;
        let listed_at = None;
        let done = 0;
        let blamed = HashMap::new();
        Ok(Self {
            parts,
            store,
            transcripts,
            nudge,
            handle,
            failures,
            back_off_until,
            listed_at,
            done,
            blamed,
        })
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.parts.settings.name
    }

    /// Runs until `stop`. A download that is under way then is abandoned: it begins anew later.
    ///
    /// # Errors
    /// When the queue fails in a way that only a restart can mend.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let nudge = Arc::clone(&self.nudge);
        self.remove_unfinished_files().await;
        let ended = loop {
            let wait = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                wait = self.run_round() => match wait {
                    Ok(wait) => wait,
                    Err(error) => break Err(error),
                },
            };
            self.update_view(|view| view.next = clock::now().checked_add(wait).ok());
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                () = nudge.woken() => self.listed_at = None,
                () = tokio::time::sleep(wait) => {}
            }
            self.update_view(|view| view.next = None);
        };
        self.handle.unregister(self.name(), &self.nudge);
        ended
    }

    /// Fetches one recording now, whatever its row says. For a command without a daemon.
    ///
    /// # Errors
    /// When the queue fails.
    pub(crate) async fn fetch_recording(&mut self, id: &str) -> Result<(), StoreError> {
        let fetched = async {
            self.load_watermark().await?;
            self.settle_placing().await?;
            match self.parts.queue.sources().find(self.name(), id).await? {
                Some(row) if row.placing.is_none() => self.fetch_when_available(&row).await,
                Some(_) | None => Ok(()),
            }
        };
        let fetched = fetched.await;
        self.record_round(fetched.map(|()| None)).await.map(drop)
    }

    /// Does all there is to do; returns how long to wait for more.
    async fn run_round(&mut self) -> Result<Duration, StoreError> {
        if let Some(left) =
            self.back_off_until.map(|until| until.saturating_duration_since(Instant::now()))
            && !left.is_zero()
        {
            return Ok(left);
        }
        let worked = self.do_due_work().await;
        self.record_round(worked).await
    }

    async fn do_due_work(&mut self) -> Result<Option<Timestamp>, SourceFailure> {
        let met = self.load_watermark().await?;
        self.settle_placing().await?;
        let named = self.nudge.take_named();
        if self.listed_at.is_none_or(|walked| walked.elapsed() >= self.parts.settings.every) {
            let walked = self.list_recordings(met).await;
            if walked.is_err() {
                // What was named is not forgotten because the list could not be read.
                for id in &named {
                    self.nudge.name_recording(id);
                }
            }
            walked?;
            self.listed_at = Some(Instant::now());
        }
        let now = clock::now();
        let unknown = self
            .parts
            .queue
            .sources()
            .hasten(self.name(), named.into_iter().collect(), now)
            .await?;
        for id in unknown {
            self.look_up_named(&id, met).await?;
        }
        let fetched = self.fetch_due().await;
        let next_deletion = self.delete_finished().await?;
        fetched?;
        let next = self.parts.queue.sources().next_due(self.name(), clock::now()).await?;
        Ok(next.into_iter().chain(next_deletion).min())
    }

    /// Records how the work ended, and returns how long to wait.
    async fn record_round(
        &mut self,
        worked: Result<Option<Timestamp>, SourceFailure>,
    ) -> Result<Duration, StoreError> {
        let ended = match worked {
            Ok(next) => self.record_success(next).await,
            Err(SourceFailure::Vendor(error)) => self.record_vendor_failure(error).await,
            Err(SourceFailure::Folder { why, told }) => self.hold_for_folder(&why, told).await,
            Err(SourceFailure::Queue(error)) => Err(error),
        };
        match ended {
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                tracing::debug!("source `{}` waits for the queue: {error}", self.name());
                Ok(QUEUE_RETRY_AFTER)
            }
            Ok(wait) => Ok(wait),
        }
    }

    async fn record_success(&mut self, next: Option<Timestamp>) -> Result<Duration, StoreError> {
        self.record_vendor_answer().await?;
        let queue = &self.parts.queue;
        if queue.holds().release(Scope::Source, self.name(), &[HoldReason::Folder]).await? {
            tracing::info!(
                "source `{}` places recordings in folder `{}` again",
                self.name(),
                self.parts.folder.name
            );
        }
        let is_idle =
            queue.sources().count_failing(self.name(), self.parts.retry.attempts).await? == 0;
        self.update_view(|view| view.idle = is_idle);
        let every = self.parts.settings.every;
        let walk =
            self.listed_at.map_or(Duration::ZERO, |walked| every.saturating_sub(walked.elapsed()));
        let due = next.map(|next| clock::elapsed(clock::now(), next));
        Ok(due.into_iter().chain([walk]).min().unwrap_or(every))
    }

    /// The vendor works, and the folder does not: minuted keeps trying.
    async fn hold_for_folder(&mut self, why: &str, told: bool) -> Result<Duration, StoreError> {
        self.record_vendor_answer().await?;
        self.hold_source(
            HoldReason::Folder,
            why,
            told.then_some("its recordings wait, and minuted keeps trying"),
        )
        .await?;
        Ok(self.parts.settings.every.min(self.parts.retry.delay_max))
    }

    async fn record_vendor_answer(&mut self) -> Result<(), StoreError> {
        (self.failures, self.back_off_until) = (0, None);
        self.release_vendor_holds().await
    }

    /// Records that the vendor answers as it should.
    pub(super) async fn release_vendor_holds(&self) -> Result<(), StoreError> {
        if self.parts.queue.holds().release(Scope::Source, self.name(), &VENDOR_HOLDS).await? {
            tracing::info!("source `{}` works again", self.name());
        }
        Ok(())
    }

    /// The vendor is left alone for as long as it asks, or longer and longer; the operator is told once.
    async fn record_vendor_failure(&mut self, error: CallError) -> Result<Duration, StoreError> {
        self.failures = self.failures.saturating_add(1);
        let retry = self.parts.retry;
        let wait = backoff_delay(retry.delay, retry.delay_max, self.failures, clock::jitter());
        let fault = ServiceFault::of_error(&error).unwrap_or(ServiceFault::Down { after: None });
        let (asked, cure) = match fault {
            ServiceFault::Down { after } => (after, None),
            ServiceFault::SignedOut | ServiceFault::Forbidden => {
                (None, meetingbaas::suggest_cure(&self.parts.settings, &error))
            }
        };
        let reason = fault.hold_reason();
        let cure = cure.unwrap_or_else(|| "minuted keeps trying; nothing is lost".to_owned());
        let wait = asked.map_or(wait, |asked| asked.max(wait));
        self.back_off_until = Some(Instant::now() + wait);
        let why = one_line(&error.to_string(), 500);
        // One thing at a time is wrong with a vendor: the last that it said.
        let others: Vec<_> = VENDOR_HOLDS.into_iter().filter(|other| *other != reason).collect();
        self.parts.queue.holds().release(Scope::Source, self.name(), &others).await?;
        self.hold_source(reason, &why, Some(&cure)).await?;
        Ok(wait)
    }

    /// Records that something holds the source; says it once, and tells the operator where there is a cure to tell.
    async fn hold_source(
        &self,
        reason: HoldReason,
        why: &str,
        cure: Option<&str>,
    ) -> Result<(), StoreError> {
        let name = self.name().to_owned();
        let told = cure.map(|cure| format!("source `{name}`: {why}\n{cure}"));
        let said = format!(
            "source `{name}` waits: {why}{}",
            cure.map(|cure| format!("; {cure}")).unwrap_or_default()
        );
        let detail = why.to_owned();
        let since = clock::now();
        let hold = Hold { scope: Scope::Source, name, reason, detail, since };
        if self.parts.queue.holds().add(hold, told).await? {
            tracing::warn!("{}", one_line(&said, 1000));
        }
        Ok(())
    }

    async fn load_watermark(&self) -> Result<SourceState, StoreError> {
        let (met, is_new) =
            self.parts.queue.sources().find_or_add(self.name(), clock::now()).await?;
        if is_new && self.parts.settings.since.is_none() {
            tracing::warn!(
                "source `{}` is new: recordings that ended before now are left alone; vendors keep them for \
                 3 to 30 days, so set `since` soon if you want older ones",
                self.name()
            );
        }
        Ok(met)
    }

    /// Fetches all that is due, the oldest first. What is wrong with the folder ends it: the next one would fare alike.
    async fn fetch_due(&mut self) -> Result<(), SourceFailure> {
        // What comes due meanwhile has its turn after the list and the deletions.
        let begun = clock::now();
        while let Some(row) = self.parts.queue.sources().next(self.name(), begun).await? {
            if let Some(why) = (self.parts.ready)() {
                return Err(SourceFailure::Folder { why, told: false });
            }
            self.fetch_when_available(&row).await?;
        }
        Ok(())
    }

    /// Finishes what was being placed when the process ended: a file that is there whole, or that the folder knows
    /// (it may have been moved by now), is placed; any other is fetched again.
    async fn settle_placing(&mut self) -> Result<(), SourceFailure> {
        for row in self.parts.queue.sources().list_placing(self.name()).await? {
            let Some(spot) = row.placing else { continue };
            let now = clock::now();
            if self.parts.queue.sources().has_content(spot.clone()).await? {
                self.parts.queue.sources().record_placed(self.name(), &row.id, now).await?;
                continue;
            }
            if (self.parts.ready)().is_some() {
                continue;
            }
            let there =
                draft::digest_of_file(self.parts.folder.path.clone(), spot.path.clone()).await;
            let sum = FileDigest { content: spot.content, size: spot.size };
            if spot.folder == self.parts.folder.id && there.is_ok_and(|there| there == Some(sum)) {
                self.parts.queue.sources().record_placed(self.name(), &row.id, now).await?;
            } else {
                self.parts
                    .queue
                    .sources()
                    .retry_later(self.name(), &row.id, now, Later::Uncounted(None), now)
                    .await?;
            }
        }
        Ok(())
    }

    async fn remove_unfinished_files(&self) {
        match draft::remove_temporaries(self.parts.folder.path.clone()).await {
            Ok(0) => {}
            Ok(swept) => {
                tracing::debug!(
                    "{} of an earlier start removed",
                    format_count(swept as u64, "unfinished file")
                );
            }
            Err(error) => {
                tracing::debug!("folder `{}` cannot be swept now: {error}", self.parts.folder.name);
            }
        }
    }

    pub(super) fn update_view(&self, change: impl FnOnce(&mut SourceView)) {
        self.nudge.view.send_modify(change);
    }
}
