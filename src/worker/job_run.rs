//! The run of one claimed job, from stage to stage until it waits, ends or meets a setback.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Worker, activity::WorkerTurn, slots::TURN};
use crate::{
    clock,
    config::Folder,
    job::{HoldReason, Remote, Setback, Stage, State},
    pipeline::{StageContext, analyse, call_of_stage, create, upload},
    progress::Progress,
    runtime::ServiceHandle,
    services::{
        breaker::Call,
        health::{CallOutcome, ProbeRead},
    },
    store::{Job, JobId, Scope},
};

/// Interval between looks at an upload whose bytes are all sent while the worker stops: a fraction of the drain.
const ANSWERED_EVERY: Duration = Duration::from_millis(100);

/// Interval between readings of the processor time of a job whose slot is wanted.
const TURN_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// A job in the hands of a worker.
pub(super) struct JobRun {
    pub(super) worker: Arc<Worker>,
    pub(super) handle: Arc<ServiceHandle>,
    pub(super) folder: Arc<Folder>,
    pub(super) progress: Arc<Progress>,
    /// Its turn at the slot, which ends when another folder waits.
    pub(super) turn: Arc<WorkerTurn>,
    /// Cancelled when a person gives the job up.
    pub(super) cancel: CancellationToken,
    /// The call that this job probes.
    pub(super) probe: Option<Call>,
}

impl JobRun {
    pub(super) async fn run(&self, mut job: Job) {
        if let Some(call) = self.probe
            && !self.may_probe(&job, call).await
        {
            return;
        }
        let id = job.id;
        let mut fresh = false;
        while let State::Running { stage } = job.state {
            self.worker.activity.set_stage(job.id, stage);
            let mut call = call_of_stage(stage);
            let stepped = tokio::select! {
                stepped = self.run_stage(&mut job, stage, fresh, &mut call) => stepped,
                () = self.until_interrupted(stage) => {
                    self.put_back(&job).await;
                    return;
                }
                () = self.until_turn_is_over(id, stage) => {
                    self.make_room(&job).await;
                    return;
                }
                () = self.cancel.cancelled() => return,
            };
            // A meeting that was known before may have its recording already.
            fresh = stage == Stage::Create && matches!(stepped, Ok(true));
            match stepped {
                Ok(true) => self.worker.record_success(&self.handle, &job, call).await,
                Ok(false) => {}
                Err(setback) => {
                    self.worker.forget_recognised(id);
                    self.worker
                        .handle_setback(&self.handle, &self.folder, &job, call, setback)
                        .await;
                    return;
                }
            }
        }
    }

    /// Returns whether the probe may be made: the cheap read before it must succeed.
    async fn may_probe(&self, job: &Job, call: Call) -> bool {
        let setback = match self
            .handle
            .health
            .read_before_probe(self.handle.service.as_ref(), job.id.0, call)
            .await
        {
            ProbeRead::Answered => return true,
            ProbeRead::Refused => {
                self.handle.health.report(job.id.0, call, CallOutcome::Untold);
                return true;
            }
            ProbeRead::Down { until, .. } => Setback::Snooze { until },
            ProbeRead::NeedsPerson { signed_out, error } => {
                Setback::ServiceRefused { signed_out, error: error.into() }
            }
        };
        self.worker.handle_setback(&self.handle, &self.folder, job, call, setback).await;
        false
    }

    /// Runs one stage; returns whether its call was made. `call` is the call at hand.
    async fn run_stage(
        &self,
        job: &mut Job,
        stage: Stage,
        fresh: bool,
        call: &mut Call,
    ) -> Result<bool, Setback> {
        let context = self.worker.context(&self.handle, &self.folder);
        match stage {
            Stage::Create => self.create_meeting(&context, job).await,
            Stage::Upload => self.upload_recording(&context, job, fresh).await,
            Stage::Analyse => self.resume_analysis(&context, job, call).await,
            Stage::Deliver => Ok(false),
        }
    }

    async fn create_meeting(&self, context: &StageContext, job: &mut Job) -> Result<bool, Setback> {
        let worker = &self.worker;
        match create::run(context, job).await? {
            create::CreateOutcome::NotesExist(notes) => {
                worker
                    .runtime
                    .persist_commit(|| {
                        context.queue.stages().record_existing_notes(job, &notes, clock::now())
                    })
                    .await?;
                tracing::info!(job.id = job.id.0, "job {}: its notes exist already", job.id);
                job.state = State::Done;
                Ok(false)
            }
            create::CreateOutcome::Meeting { id, how, plan, called } => {
                job.state = worker
                    .runtime
                    .persist_commit(|| {
                        context.queue.stages().record_meeting(job, &plan, &id, how, clock::now())
                    })
                    .await?;
                job.plan = Some(*plan);
                job.remote = Remote::Meeting { meeting: id };
                worker
                    .runtime
                    .end_hold(Scope::Folder, &self.folder.id, &[HoldReason::Refused])
                    .await;
                tracing::info!(job.id = job.id.0, stage = %Stage::Create, "job {}: {}", job.id, how.in_words(""));
                Ok(called)
            }
        }
    }

    async fn upload_recording(
        &self,
        context: &StageContext,
        job: &mut Job,
        fresh: bool,
    ) -> Result<bool, Setback> {
        let begun = tokio::time::Instant::now();
        let uploaded = upload::run(context, job, fresh, Arc::clone(&self.progress)).await?;
        let recording = &uploaded.recording;
        let how = uploaded.how;
        job.state = self
            .worker
            .runtime
            .persist_commit(|| {
                context.queue.stages().record_upload(job, recording, how, clock::now())
            })
            .await?;
        self.worker.forget_recognised(job.id);
        self.worker.runtime.polls.add_job(
            job.id,
            &job.key.folder,
            context.service_settings.poll.first,
        );
        context.converter.forget(&job.key).await;
        let elapsed_ms = begun.elapsed().as_millis();
        tracing::info!(job.id = job.id.0, stage = %Stage::Upload, elapsed_ms, "job {}: {}", job.id, how.in_words(""));
        Ok(true)
    }

    async fn resume_analysis(
        &self,
        context: &StageContext,
        job: &mut Job,
        call: &mut Call,
    ) -> Result<bool, Setback> {
        *call = Call::Look;
        let wanted = analyse::resume_analysis(context, job).await?;
        self.worker.record_success(&self.handle, job, Call::Look).await;
        *call = Call::Request;
        let asked: Vec<_> = wanted.iter().map(|(analysis, _)| *analysis).collect();
        if !wanted.is_empty() {
            analyse::request_analyses(context, job, wanted).await?;
        }
        let state = if asked.is_empty() {
            self.worker
                .runtime
                .persist_commit(|| context.queue.stages().await_results(job, clock::now()))
                .await?
        } else {
            self.worker
                .runtime
                .persist_commit(|| {
                    context.queue.stages().record_request(job, asked.clone(), clock::now())
                })
                .await?
        };
        job.state = state;
        self.worker.runtime.polls.add_job(
            job.id,
            &job.key.folder,
            context.service_settings.poll.first,
        );
        tracing::info!(job.id = job.id.0, stage = %Stage::Analyse, "job {}: waits for the service again", job.id);
        Ok(!asked.is_empty())
    }

    /// Ends when the worker stops and this stage need not be waited for: an upload with bytes left begins anew later.
    async fn until_interrupted(&self, stage: Stage) {
        self.worker.runtime.stop.cancelled().await;
        if stage != Stage::Upload {
            std::future::pending::<()>().await;
        }
        // With all bytes sent the answer is at hand, unless it is the beginning of more work.
        while self.progress.is_complete() {
            tokio::time::sleep(ANSWERED_EVERY).await;
        }
    }

    /// Ends when the job has had its turn at its slot, and a folder waits that has none.
    ///
    /// A turn is processor time behind what was heard before: however long it takes to come there again, each turn
    /// brings the job further.
    async fn until_turn_is_over(&self, job: JobId, stage: Stage) {
        if stage != Stage::Upload || !self.handle.can_resume() {
            std::future::pending::<()>().await;
        }
        self.progress.mark(self.worker.recognised_before(job));
        loop {
            self.turn.until_wanted().await;
            while self.turn.is_wanted() {
                if self.progress.busy() >= TURN {
                    return;
                }
                tokio::time::sleep(TURN_LOOKED_AT_EVERY).await;
            }
        }
    }

    /// Puts the job back, so that a job of another folder has its slot. It goes on from its last finished piece.
    async fn make_room(&self, job: &Job) {
        let now = clock::now();
        self.worker.note_recognised(job.id, self.progress.read().0);
        match self.worker.runtime.queue.stages().snooze(job, now, None, now).await {
            Ok(_) => {
                tracing::info!(
                    job.id = job.id.0,
                    "job {}: makes room for another folder and continues later",
                    job.id
                );
            }
            Err(error) => {
                self.worker.runtime.queue_failed("put a job back that makes room", &error);
            }
        }
    }

    async fn put_back(&self, job: &Job) {
        let now = clock::now();
        match self.worker.runtime.queue.stages().snooze(job, now, None, now).await {
            Ok(_) => {
                tracing::info!(
                    job.id = job.id.0,
                    "job {}: the upload is interrupted and starts again later",
                    job.id
                );
            }
            Err(error) => self.worker.runtime.queue_failed("put an interrupted job back", &error),
        }
    }
}
