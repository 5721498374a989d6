//! The consequences of a stage's outcome: an attempt, a wait, a hold, the end of the job.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::Worker;
use crate::{
    clock,
    config::Folder,
    delivery::plan::{deliveries_of_failure, deliveries_of_results, post_delivery_actions},
    job::{HoldReason, Plan, Remote, Report, Setback, Stage, State, Suspect, Wait, retry::Policy},
    pipeline::{analyse, extracted::add_extracted_note},
    runtime::ServiceHandle,
    services::{
        breaker::{Call, NOBODY, Verdict},
        health::{CallOutcome, ProbeRead},
    },
    store::{Analysed, DeferReason, Failure, Job, JobId, Scope, SkipReason},
    text::{ShellCommand, one_line, printable_path},
};

/// Characters of an error that are kept.
const ERROR_MAX: usize = 1000;

/// A failure of a service, or of a recording at it.
struct FailedCall {
    error: anyhow::Error,
    after: Option<Duration>,
    suspect: Suspect,
}

impl Worker {
    /// A call succeeded for a job: the service is up.
    pub(super) async fn record_success(&self, handle: &ServiceHandle, job: &Job, call: Call) {
        self.runtime.report_call(handle, job.id, call, CallOutcome::Succeeded).await;
    }

    /// The results of a job are there: had its request failed last, it has arrived all the same.
    pub(super) async fn record_arrival(&self, handle: &ServiceHandle, job: &Job) {
        if handle.health.last_failed(Call::Request) == Some(job.id.0) {
            self.runtime.report_call(handle, job.id, Call::Request, CallOutcome::Answered).await;
        }
    }

    /// Makes the cheap read for a call that no job wants: where it succeeds the service works again.
    pub(super) async fn probe_for_nobody(&self, handle: &ServiceHandle, call: Call) {
        match handle.health.read_before_probe(handle.service.as_ref(), NOBODY, call).await {
            ProbeRead::Answered => {
                self.runtime.report_call(handle, JobId(NOBODY), call, CallOutcome::Answered).await;
            }
            ProbeRead::NeedsPerson { signed_out, error } => {
                self.runtime.service_refused(handle, signed_out, &error.into()).await;
            }
            ProbeRead::Down { .. } | ProbeRead::Refused => {}
        }
        self.runtime.claims.notify_one();
    }

    /// Records why a stage did not finish.
    pub(super) async fn handle_setback(
        &self,
        handle: &ServiceHandle,
        folder: &Arc<Folder>,
        job: &Job,
        call: Call,
        setback: Setback,
    ) {
        let now = clock::now();
        if !matches!(setback, Setback::Unavailable { .. }) {
            // The service did answer, or was not asked: a probe of this job tells nothing more.
            handle.health.report(job.id.0, call, CallOutcome::Untold);
        }
        match setback {
            Setback::Snooze { until } => {
                if !self.complete_without_writer(handle, folder, job, call).await {
                    self.snooze_job(job, until, None).await;
                }
            }
            Setback::Own { from, error } => {
                self.runtime.report_call(handle, job.id, call, CallOutcome::Answered).await;
                self.count_failure(folder, job, from, &error, None).await;
            }
            Setback::Lacking { error } => {
                self.runtime.report_call(handle, job.id, call, CallOutcome::Answered).await;
                self.defer_job(job, DeferReason::Lacks(error_text(&error)), now).await;
            }
            Setback::CalendarUnreadable { error } => {
                self.defer_job(job, DeferReason::Lacks(error_text(&error)), now).await;
            }
            Setback::InvalidMetadata { error } => {
                self.defer_job(job, DeferReason::InvalidMetadata(error_text(&error)), now).await;
                self.invalid_metadata.notify_one();
            }
            Setback::Unavailable { error, after, suspect } => {
                self.judge_failure(handle, folder, job, call, FailedCall { error, after, suspect })
                    .await;
            }
            Setback::ServiceRefused { signed_out, error } => {
                self.runtime.service_refused(handle, signed_out, &error).await;
                self.snooze_job(job, now, None).await;
            }
            Setback::FolderRefused { error } => {
                self.runtime.report_call(handle, job.id, call, CallOutcome::Answered).await;
                self.hold_refused_folder(folder, &error).await;
                self.snooze_job(job, now, None).await;
            }
            Setback::FileLost { error } => self.record_lost_file(job, &error).await,
            Setback::FileChanged { error } => self.record_changed_file(job, &error).await,
            Setback::NoSound => {
                self.runtime.report_call(handle, job.id, call, CallOutcome::Answered).await;
                self.skip_job(folder, job, SkipReason::NoSound).await;
            }
            Setback::Beyond(bound) => {
                self.runtime.report_call(handle, job.id, call, CallOutcome::Answered).await;
                if let Remote::Meeting { meeting } = &job.remote {
                    // What was heard so far is of no use.
                    handle.service.forget_results(meeting).await;
                }
                self.skip_job(folder, job, SkipReason::Beyond(bound)).await;
            }
            Setback::GiveUp { error } => {
                let from = job.state.stage().unwrap_or(Stage::Create);
                self.fail_job(folder, job, from, &one_line(&format!("{error:#}"), ERROR_MAX), None)
                    .await;
            }
            Setback::Queue(error) => match error.downcast::<crate::store::StoreError>() {
                Ok(error) => {
                    self.runtime.queue_failed("record a result", &error);
                    if error.is_passing() {
                        // Nobody has the job any more: it goes on when the queue can be written.
                        self.snooze_job(job, now, None).await;
                    }
                }
                Err(error) => tracing::error!("failed to record a result: {error:#}"),
            },
        }
        self.tidy_converted().await;
    }

    /// Lets the breaker of a call judge a failure: it is the recording's, or the service is down.
    async fn judge_failure(
        &self,
        handle: &ServiceHandle,
        folder: &Arc<Folder>,
        job: &Job,
        call: Call,
        FailedCall { error, after, suspect }: FailedCall,
    ) {
        let verdict = self
            .runtime
            .report_call(handle, job.id, call, CallOutcome::Failed { suspect, after })
            .await;
        match verdict {
            None => {}
            Some(Verdict::Own) => {
                let from = job.state.stage().unwrap_or(Stage::Create);
                let error = error.context("the server answers, but not to this file");
                self.count_failure(folder, job, from, &error, None).await;
            }
            Some(Verdict::Service { until, first }) => {
                let error = one_line(&format!("{error:#}"), ERROR_MAX);
                if first {
                    self.runtime.service_down(handle, &error).await;
                }
                if self.complete_without_writer(handle, folder, job, call).await {
                    return;
                }
                self.snooze_job(job, until, Some(DeferReason::ServiceFailed(error))).await;
            }
        }
    }

    /// Lets one recording wait for something that it alone needs, and says so once.
    async fn defer_job(&self, job: &Job, because: DeferReason, now: Timestamp) {
        let (DeferReason::ServiceFailed(error)
        | DeferReason::Lacks(error)
        | DeferReason::InvalidMetadata(error)) = &because;
        if job.error.as_ref() != Some(error) {
            tracing::warn!(job.id = job.id.0, "job {} waits: {error}", job.id);
        }
        // A person who mends it need not say so: it is tried as often as a service that is down, at the slowest.
        let until = now.saturating_add(self.runtime.live().settings.retry.delay_max).unwrap_or(now);
        self.snooze_job(job, until, Some(because)).await;
    }

    /// Counts a failure of the job's own: it is tried again, or was tried often enough. `complete` is what did
    /// complete, where that is known.
    pub(super) async fn count_failure(
        &self,
        folder: &Arc<Folder>,
        job: &Job,
        from: Stage,
        error: &anyhow::Error,
        complete: Option<Vec<Report>>,
    ) {
        let error = one_line(&format!("{error:#}"), ERROR_MAX);
        let retry = self.runtime.live().settings.retry;
        let policy =
            Policy { attempts: retry.attempts, delay: retry.delay, delay_max: retry.delay_max };
        let Some(delay) = policy.delay_after(job.attempts + 1, clock::jitter()) else {
            self.fail_job(folder, job, from, &error, complete).await;
            return;
        };
        let now = clock::now();
        let due = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
        match self
            .runtime
            .persist_commit(|| self.runtime.queue.stages().retry_later(job, from, due, &error, now))
            .await
        {
            Ok(_) => {
                let attempt = job.attempts + 1;
                let shown = printable_path(&folder.path.join(&job.path));
                let wait = delay.as_secs();
                tracing::warn!(
                    job.id = job.id.0,
                    attempt,
                    "job {}: attempt {attempt} of {} failed: {shown}: {error}; the next one is in {wait} s",
                    job.id,
                    retry.attempts
                );
            }
            Err(error) => self.runtime.queue_failed("record a failure", &error),
        }
        self.runtime.claims.notify_one();
    }

    /// Looks once at what did complete of a job that failed otherwise; nothing where that cannot be told now: `retry`
    /// goes on from what exists.
    async fn find_completed(&self, folder: &Arc<Folder>, job: &Job) -> Vec<Report> {
        let live = self.runtime.live();
        let Some(handle) = job.plan.as_ref().and_then(|plan| live.service_for_job(&plan.service))
        else {
            return Vec::new();
        };
        let looked = analyse::completed_reports(&self.context(handle, folder), job).await;
        looked.unwrap_or_else(|setback| {
            // Not as `Debug`: that would resolve and print a backtrace.
            let error = setback
                .error()
                .map(|error| one_line(&format!("{error:#}"), ERROR_MAX))
                .unwrap_or_default();
            tracing::debug!(
                job.id = job.id.0,
                "job {}: its completed results cannot be read: {error}",
                job.id
            );
            Vec::new()
        })
    }

    /// Records the last failure, with what is delivered and told because of it.
    async fn fail_job(
        &self,
        folder: &Arc<Folder>,
        job: &Job,
        from: Stage,
        error: &str,
        complete: Option<Vec<Report>>,
    ) {
        let mut complete = match complete {
            Some(complete) => complete,
            None => self.find_completed(folder, job).await,
        };
        if let Some(plan) = &job.plan
            && let Some(handle) = self.runtime.live().service_for_job(&plan.service)
        {
            add_extracted_note(handle.settings.abilities().notes, plan, job.date(), &mut complete);
        }
        let path = folder.path.join(&job.path);
        let shown = printable_path(&path);
        let cure = format!(
            "{}; minuted retry {}",
            ShellCommand::new("minuted why").add_path(&path),
            job.id
        );
        let failure = || Failure {
            error: error.to_owned(),
            from,
            reports: complete.clone(),
            deliveries: deliveries_of_failure(folder, !complete.is_empty()),
            notice: format!("{shown} failed: {error}\n{cure}"),
        };
        match self
            .runtime
            .persist_commit(|| self.runtime.queue.stages().fail(job, failure(), clock::now()))
            .await
        {
            Ok(_) => {
                tracing::error!(
                    job.id = job.id.0,
                    "job {} failed: {shown}: {error}; {cure}",
                    job.id
                );
            }
            Err(error) => self.runtime.queue_failed("record the last failure", &error),
        }
        self.runtime.deliveries.notify_one();
    }

    /// Ends a job whose recording is not worked on after all: nothing is counted, delivered or reported.
    async fn skip_job(&self, folder: &Folder, job: &Job, reason: SkipReason) {
        match self
            .runtime
            .persist_commit(|| self.runtime.queue.stages().skip(job, reason.clone(), clock::now()))
            .await
        {
            Ok(_) => {
                let shown = printable_path(&folder.path.join(&job.path));
                tracing::info!(job.id = job.id.0, "job {} is skipped: {reason}: {shown}", job.id);
            }
            Err(error) => self.runtime.queue_failed("record that a recording is skipped", &error),
        }
        self.runtime.deliveries.notify_one();
    }

    /// Records the results of a job and what is delivered because of them.
    pub(super) async fn complete_job(
        &self,
        handle: &ServiceHandle,
        folder: &Arc<Folder>,
        job: &Job,
        plan: &Plan,
        mut reports: Vec<Report>,
    ) {
        add_extracted_note(handle.settings.abilities().notes, plan, job.date(), &mut reports);
        let analysed = || Analysed {
            reports: reports.clone(),
            deliveries: deliveries_of_results(folder, job, plan),
            endings: post_delivery_actions(folder),
        };
        match self
            .runtime
            .persist_commit(|| {
                self.runtime.queue.stages().record_results(job, analysed(), clock::now())
            })
            .await
        {
            Ok(_) => {
                tracing::info!(job.id = job.id.0, stage = %Stage::Analyse, "job {}: analysed", job.id);
                if let Remote::Uploaded { meeting, .. } = &job.remote {
                    handle.service.forget_results(meeting).await;
                }
                // A crash may have come between the upload and this.
                self.context(handle, folder).converter.forget(&job.key).await;
            }
            Err(error) => self.runtime.queue_failed("record the results", &error),
        }
        self.runtime.deliveries.notify_one();
    }

    async fn hold_refused_folder(&self, folder: &Folder, error: &anyhow::Error) {
        self.runtime.refused_folders().insert(folder.id.clone(), clock::now());
        let error = one_line(&format!("{error:#}"), ERROR_MAX);
        let live = self.runtime.live();
        let cure = live
            .services
            .get(&folder.service)
            .map_or("", |handle| handle.settings.kind.folder_cure());
        let message =
            format!("the service refuses meetings of folder `{}`: {error}\n{cure}", folder.name);
        self.runtime
            .record_hold(
                Scope::Folder,
                &folder.id,
                HoldReason::Refused,
                format!("{error}; {cure}"),
                message,
            )
            .await;
    }

    async fn record_lost_file(&self, job: &Job, error: &anyhow::Error) {
        let error = one_line(&format!("{error:#}"), ERROR_MAX);
        match self
            .runtime
            .persist_commit(|| self.runtime.queue.stages().lose_file(job, &error, clock::now()))
            .await
        {
            Ok(State::Waiting { .. }) => {
                // A file that somebody has open is asked about again and again; that it still has is no news.
                if job.error.as_deref() != Some(&*error) {
                    tracing::info!(job.id = job.id.0, "job {} waits for its file: {error}", job.id);
                }
            }
            Ok(State::Cancelled) => {
                tracing::info!(
                    job.id = job.id.0,
                    "job {} is cancelled: its file has other content now",
                    job.id
                );
            }
            Ok(_) => {
                tracing::info!(
                    job.id = job.id.0,
                    "job {} starts again with its file as it is now: {error}",
                    job.id
                );
            }
            Err(error) => self.runtime.queue_failed("record that a file is gone", &error),
        }
    }

    /// Has a file examined again whose bytes are not those that were taken in; its job waits for what it was.
    async fn record_changed_file(&self, job: &Job, error: &anyhow::Error) {
        self.record_lost_file(
            job,
            &anyhow::anyhow!(
                "{error:#}; it is examined again, and what it holds now gets a job of its own"
            ),
        )
        .await;
        match self.runtime.persist_commit(|| self.runtime.queue.files().reconsider_file(job)).await
        {
            Ok(0) => {}
            Ok(_) => self.reconsidered.add(&job.key.folder, &job.path),
            Err(error) => self.runtime.queue_failed("have a file examined again", &error),
        }
    }

    /// Puts a claimed job back until a time. A job that waits for its analysis has a timer instead.
    async fn snooze_job(&self, job: &Job, until: Timestamp, because: Option<DeferReason>) {
        if let State::Waiting { on: Wait::Analysis, .. } = job.state {
            return;
        }
        match self
            .runtime
            .persist_commit(|| {
                self.runtime.queue.stages().snooze(job, until, because.clone(), clock::now())
            })
            .await
        {
            Ok(_) => {}
            Err(error) => self.runtime.queue_failed("put a job back", &error),
        }
    }
}

/// An error as it is kept: on one line, with its causes.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    one_line(&format!("{error:#}"), ERROR_MAX)
}
