//! Results are looked for, and asked for again when they failed.
//!
//! [`decide`] is the whole rule, and pure: what is wanted, what was asked, what the service shows, and what to do next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use anyhow::anyhow;
use jiff::Timestamp;

use super::{StageContext, call_setback, existing_notes};
use crate::{
    clock::{self, elapsed},
    config::{Analysis, Notes, OnSuccessRemote, Poll},
    effect::Effect,
    job::{Plan, Remote, Report, Setback, Stage, Status},
    services::{AnalysisRequest, CallError, bounded::oversize_error},
    store::{Job, ResultRequest, WantedResults},
    text,
};

/// The analyses that were requested, besides those that the upload starts by itself.
pub(crate) type AskedAnalyses = BTreeMap<Analysis, ResultRequest>;

/// The outcome of a look at the results.
#[derive(Debug, PartialEq)]
pub(crate) enum PollOutcome {
    /// Nothing new: poll again later.
    Pending,
    /// Ask for these first; each with the fingerprints of the reports that then do not count.
    Ask(WantedResults),
    /// Everything wanted is there.
    Complete(Vec<Report>),
    /// An analysis failed: the job goes on from an earlier stage, and an attempt is spent.
    Failed {
        /// The stage to go on from.
        from: Stage,
        /// The message of the service.
        error: String,
        /// The analyses that completed.
        complete: Vec<Report>,
    },
}

/// A request whose answer was lost shows up within the time of so many looks, or is made again: 30 s by the documents'
/// interval. A guess: nothing is documented.
const REQUEST_LOOKS: u32 = 6;

/// Characters of a service's reason for a failure that are shown.
const REASON_CHARS_MAX: usize = 500;

/// The longest interval between two looks at a service that is slow.
const SLOW_EVERY: Duration = Duration::from_secs(120);

/// Looks at the results of a job once.
pub(crate) async fn poll_results(
    context: &StageContext,
    job: &Job,
) -> Result<PollOutcome, Setback> {
    let (plan, reports, late) = read_results(context, job).await?;
    let asked = context.queue.stages().list_requests(job.id).await?;
    Ok(decide(plan, upload_begins(context), &asked, reports, late, visible_until(context)))
}

/// Takes the analysis of a job up again: returns what failed or is new, to be asked for before all is waited for.
pub(crate) async fn resume_analysis(
    context: &StageContext,
    job: &Job,
) -> Result<WantedResults, Setback> {
    let (plan, reports, late) = read_results(context, job).await?;
    let asked = context.queue.stages().list_requests(job.id).await?;
    Ok(analyses_to_repeat(
        plan,
        upload_begins(context),
        &asked,
        reports,
        late,
        visible_until(context),
    ))
}

/// Looks once at what did complete, whatever else did not; nothing before there is a recording at the service.
pub(crate) async fn completed_reports(
    context: &StageContext,
    job: &Job,
) -> Result<Vec<Report>, Setback> {
    let Remote::Uploaded { .. } = job.remote else { return Ok(Vec::new()) };
    let (plan, reports, _) = read_results(context, job).await?;
    let asked = context.queue.stages().list_requests(job.id).await?;
    Ok(complete_reports(plan, &current_reports(&asked, reports, visible_until(context))))
}

/// Returns the time up to which a request has had so many looks that what came of it shows.
fn visible_until(context: &StageContext) -> Timestamp {
    let shows = clock::now().saturating_sub(context.service_settings.poll.every * REQUEST_LOOKS);
    shows.unwrap_or(Timestamp::MIN)
}

/// Reads the results; says too whether patience is at its end.
async fn read_results<'a>(
    context: &StageContext,
    job: &'a Job,
) -> Result<(&'a Plan, Vec<Report>, bool), Setback> {
    let (meeting, recording, since) = uploaded_recording(job)?;
    let late = elapsed(since, clock::now()) >= deadline(&context.service_settings.poll);
    match Effect::CallLook.during_async(context.service.read_reports(meeting, recording)).await {
        Ok(reports) => {
            if let Some(excess) = reports.iter().find_map(|report| oversize_error(&report.findings))
            {
                let error = anyhow!("the service answered in an unexpected form: {excess}");
                return Err(Setback::Own { from: Stage::Analyse, error });
            }
            Ok((job_plan(job)?, reports, late))
        }
        Err(CallError::Refused { status: 404, .. }) => {
            Err(missing_recording(context, job, meeting).await)
        }
        Err(error) => Err(analysis_setback(context, error).await),
    }
}

/// Asks for results: the intent is on disk before the call.
pub(crate) async fn request_analyses(
    context: &StageContext,
    job: &Job,
    wanted: WantedResults,
) -> Result<(), Setback> {
    let (meeting, recording, _) = uploaded_recording(job)?;
    let plan = job_plan(job)?;
    let analyses: Vec<Analysis> = wanted.iter().map(|(analysis, _)| *analysis).collect();
    context.queue.stages().intend_request(job, wanted, clock::now()).await?;
    // The instruction is the note's alone: it would colour the others.
    let (notes, others): (Vec<_>, Vec<_>) =
        analyses.into_iter().partition(|analysis| *analysis == Analysis::MeetingNote);
    for analyses in [others, notes].iter().filter(|analyses| !analyses.is_empty()) {
        let noted = analyses.contains(&Analysis::MeetingNote);
        let request = AnalysisRequest {
            meeting,
            recording,
            analyses,
            instruction: plan.instruction.as_deref().filter(|_| noted),
            meeting_type: plan.meeting_type,
            title: &plan.title,
            recorded: job.date(),
            attendees: &plan.attendees,
        };
        if let Err(error) =
            Effect::CallRequest.during_async(context.service.request_analyses(&request)).await
        {
            if error.is_certain() {
                context.queue.stages().abort_request(job, request.analyses.to_vec()).await?;
            }
            return Err(analysis_setback(context, error).await);
        }
    }
    Ok(())
}

/// Returns how long to wait before look number `looks` (0 is the first after the upload).
#[must_use]
pub(crate) fn poll_interval(poll: &Poll, looks: u32, waited: Duration) -> Duration {
    if looks == 0 {
        return poll.first;
    }
    let Some(over) = waited.checked_sub(poll.timeout) else { return poll.every };
    // Doubling each time means: wait about as long again as it has been slow.
    over.clamp(poll.every, SLOW_EVERY.max(poll.every))
}

/// Returns whether the service is slow by its own documents.
#[must_use]
pub(crate) fn is_slow(poll: &Poll, since: Timestamp, now: Timestamp) -> bool {
    elapsed(since, now) >= poll.timeout
}

/// Returns how long results are waited for before an attempt is spent.
#[must_use]
pub(crate) fn deadline(poll: &Poll) -> Duration {
    poll.timeout.max(poll.patience)
}

/// Decides what a job does next, given all reports that the service shows. `late` says that patience is at its end; what
/// was asked for up to `visible` and is not shown did not arrive, and what has failed and still stands there unchanged has
/// failed again.
#[must_use]
pub(crate) fn decide(
    plan: &Plan,
    begins: UploadBegins,
    asked: &AskedAnalyses,
    reports: Vec<Report>,
    late: bool,
    visible: Timestamp,
) -> PollOutcome {
    let old = OldReports::from_requests(asked, &reports);
    let current = current_reports(asked, reports, visible);
    let status = |analysis| current.get(&analysis).map(|report| report.status);
    let complete = || complete_reports(plan, &current);
    match status(Analysis::Transcription) {
        Some(Status::Failed) => {
            let error = failure_message("transcription", current.get(&Analysis::Transcription));
            return PollOutcome::Failed { from: Stage::Upload, error, complete: complete() };
        }
        Some(Status::Completed) => {}
        Some(Status::Pending | Status::Processing) | None if late => {
            let error = "the service did not finish the transcription in time".to_owned();
            return PollOutcome::Failed { from: Stage::Upload, error, complete: complete() };
        }
        Some(Status::Pending | Status::Processing) | None => return PollOutcome::Pending,
    }
    let ask = to_ask(plan, begins, asked, &current, &old, visible);
    if !ask.is_empty() {
        return PollOutcome::Ask(ask);
    }
    let wanted = || plan.analyses.iter().copied().filter(|analysis| begins.expects(*analysis));
    let open: Vec<Analysis> = wanted()
        .filter(|analysis| !matches!(status(*analysis), Some(Status::Completed | Status::Failed)))
        .collect();
    if let Some(first) = open.first() {
        if !late {
            return PollOutcome::Pending;
        }
        let error = format!("the service did not finish the {} in time", first.as_str());
        return PollOutcome::Failed { from: Stage::Analyse, error, complete: complete() };
    }
    match wanted().find(|analysis| status(*analysis) == Some(Status::Failed)) {
        Some(failed) => PollOutcome::Failed {
            from: Stage::Analyse,
            error: failure_message(failed.as_str(), current.get(&failed)),
            complete: complete(),
        },
        None => PollOutcome::Complete(complete()),
    }
}

/// Returns what is asked again after an attempt was spent, or anew when a person wants more: what failed, what nobody
/// asked for yet and, with `late`, what never came; each with what does not count then.
#[must_use]
pub(crate) fn analyses_to_repeat(
    plan: &Plan,
    begins: UploadBegins,
    asked: &AskedAnalyses,
    reports: Vec<Report>,
    late: bool,
    visible: Timestamp,
) -> WantedResults {
    let old = OldReports::from_requests(asked, &reports);
    let current = current_reports(asked, reports, visible);
    let stands = |analysis: Analysis| current.get(&analysis).map(|report| report.status);
    if stands(Analysis::Transcription) != Some(Status::Completed) {
        return Vec::new();
    }
    let wanted = |analysis: Analysis| match stands(analysis) {
        Some(Status::Completed) => false,
        Some(Status::Failed) => true,
        Some(Status::Pending | Status::Processing) => late,
        None => late || !(asked.contains_key(&analysis) || begins.by_itself(analysis)),
    };
    let analyses = plan.analyses.iter().copied().filter(|analysis| begins.expects(*analysis));
    let analyses = analyses.filter(|analysis| *analysis != Analysis::Transcription);
    analyses
        .filter(|analysis| wanted(*analysis))
        .map(|analysis| (analysis, old.of_analysis(analysis)))
        .collect()
}

/// The analyses that the upload starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadBegins {
    /// The transcription and the automatic note.
    WithNote,
    /// The transcription alone: the note is asked for like any other result.
    Transcription,
    /// The transcription alone: the service writes no note, which is extracted when the results are recorded.
    WithoutNote,
}

impl UploadBegins {
    /// Returns whether the service gives this result at all.
    fn expects(self, analysis: Analysis) -> bool {
        self != Self::WithoutNote || analysis != Analysis::MeetingNote
    }

    fn by_itself(self, analysis: Analysis) -> bool {
        match analysis {
            Analysis::Transcription => true,
            Analysis::MeetingNote => self == Self::WithNote,
            Analysis::KeyPoints | Analysis::Sentiment => false,
        }
    }
}

fn upload_begins(context: &StageContext) -> UploadBegins {
    match context.service_settings.abilities().notes {
        Notes::WithUpload => UploadBegins::WithNote,
        Notes::Extracted => UploadBegins::WithoutNote,
        Notes::WhenAsked => UploadBegins::Transcription,
    }
}

/// Returns the analyses to request besides those that the upload starts: a note with an instruction once the automatic
/// one is terminal, and the extra analyses once the transcription stands.
fn to_ask(
    plan: &Plan,
    begins: UploadBegins,
    asked: &AskedAnalyses,
    current: &HashMap<Analysis, Report>,
    old: &OldReports,
    visible: Timestamp,
) -> WantedResults {
    let mut ask = Vec::new();
    for analysis in plan.analyses.iter().copied().filter(|analysis| begins.expects(*analysis)) {
        let report = current.get(&analysis);
        let terminal =
            report.filter(|report| matches!(report.status, Status::Completed | Status::Failed));
        let wanted = match asked.get(&analysis) {
            // An answer that was lost: whether the request arrived shows in the list, after a moment.
            Some(asked) => !asked.answered && report.is_none() && asked.at <= visible,
            None if !begins.by_itself(analysis) => report.is_none(),
            None => {
                analysis == Analysis::MeetingNote
                    && plan.instruction.is_some()
                    && terminal.is_some()
            }
        };
        if wanted {
            ask.push((analysis, old.of_analysis(analysis)));
        }
    }
    ask
}

/// What does not count once an analysis is asked for: all that did not count before, because a service may list what
/// failed for ever, and all that is there now.
struct OldReports(BTreeMap<Analysis, BTreeSet<String>>);

impl OldReports {
    fn from_requests(asked: &AskedAnalyses, reports: &[Report]) -> Self {
        let before = asked
            .iter()
            .flat_map(|(analysis, asked)| asked.before.iter().map(|one| (*analysis, one.clone())));
        let shown = reports.iter().map(|report| (report.analysis, report.fingerprint()));
        let mut old: BTreeMap<Analysis, BTreeSet<String>> = BTreeMap::new();
        for (analysis, fingerprint) in before.chain(shown) {
            old.entry(analysis).or_default().insert(fingerprint);
        }
        Self(old)
    }

    fn of_analysis(&self, analysis: Analysis) -> Vec<String> {
        self.0.get(&analysis).into_iter().flatten().cloned().collect()
    }
}

/// Chooses the report of each analysis that counts: never one that was there before a request, then the one that is
/// furthest, because a service may list a failed one beside its successor. Where none other came up to `visible`, a failed
/// one of before is the answer: the service made it fail again in its place, with the same id and in the same words.
fn current_reports(
    asked: &AskedAnalyses,
    reports: Vec<Report>,
    visible: Timestamp,
) -> HashMap<Analysis, Report> {
    let rank = |status| match status {
        Status::Failed => 0,
        Status::Pending => 1,
        Status::Processing => 2,
        Status::Completed => 3,
    };
    let mut current: HashMap<Analysis, Report> = HashMap::new();
    let mut failed_again: HashMap<Analysis, Report> = HashMap::new();
    for report in reports {
        let request = asked.get(&report.analysis);
        if let Some(request) = request.filter(|asked| asked.before.contains(&report.fingerprint()))
        {
            if report.status == Status::Failed && request.answered && request.at < visible {
                failed_again.insert(report.analysis, report);
            }
            continue;
        }
        let better = current
            .get(&report.analysis)
            .is_none_or(|there| rank(report.status) >= rank(there.status));
        if better {
            current.insert(report.analysis, report);
        }
    }
    for (analysis, report) in failed_again {
        current.entry(analysis).or_insert(report);
    }
    current
}

fn complete_reports(plan: &Plan, current: &HashMap<Analysis, Report>) -> Vec<Report> {
    Analysis::ALL
        .into_iter()
        .filter(|analysis| plan.analyses.contains(analysis) || *analysis == Analysis::Transcription)
        .filter_map(|analysis| current.get(&analysis))
        .filter(|report| report.status == Status::Completed)
        .cloned()
        .collect()
}

fn failure_message(what: &str, report: Option<&Report>) -> String {
    let reason = report.and_then(|report| report.error.as_deref()).unwrap_or("it gave no reason");
    format!(
        "the service failed to make the {what}: {}",
        text::printable_answer(reason, REASON_CHARS_MAX)
    )
}

fn uploaded_recording(job: &Job) -> Result<(&str, &str, Timestamp), Setback> {
    match &job.remote {
        Remote::Uploaded { meeting, recording, since } => Ok((meeting, recording, *since)),
        Remote::Nothing | Remote::Creating { .. } | Remote::Meeting { .. } => {
            Err(Setback::GiveUp {
                error: anyhow!("a bug: analysis of a job without a recording at the service"),
            })
        }
    }
}

fn job_plan(job: &Job) -> Result<&Plan, Setback> {
    job.plan.as_ref().ok_or_else(|| Setback::GiveUp {
        error: anyhow!("a bug: analysis of a job without a plan"),
    })
}

/// A 404 on a look: the meeting is gone, or only the recording. Where the folder has the service delete what it keeps, and
/// the notes are there, that is what happened: nothing is sent again for notes that were made.
async fn missing_recording(context: &StageContext, job: &Job, meeting: &str) -> Setback {
    if context.folder.on_success_remote != OnSuccessRemote::Keep {
        match existing_notes(&context.folder, job).await {
            Ok(None) => {}
            Ok(Some(notes)) => {
                let told = "the service has deleted its recording after the notes were made (on_success_remote)";
                let error = anyhow!(
                    "{told}: {notes}; minuted redo {} sends it again and makes new notes",
                    job.id
                );
                return Setback::GiveUp { error };
            }
            Err(setback) => return setback,
        }
    }
    match context.service.read_meeting(meeting).await {
        Err(CallError::Refused { status: 404, .. }) => Setback::Own {
            from: Stage::Create,
            error: anyhow!("the meeting is gone at the service (404)"),
        },
        Err(error) => analysis_setback(context, error).await,
        Ok(_) => Setback::Own {
            from: Stage::Upload,
            error: anyhow!("the recording is gone at the service (404)"),
        },
    }
}

async fn analysis_setback(context: &StageContext, error: CallError) -> Setback {
    call_setback(context.service.as_ref(), Stage::Analyse, error, |_, error| Setback::Own {
        from: Stage::Analyse,
        error,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::MeetingType,
        job::{DetailsSource, Findings},
    };

    fn plan(analyses: &[Analysis], instruction: Option<&str>) -> Plan {
        Plan {
            service: "paxs".into(),
            title: "Talk".into(),
            attendees: Vec::new(),
            analyses: analyses.to_vec(),
            instruction: instruction.map(Into::into),
            language: None,
            speakers: crate::config::Speakers::Auto,
            meeting_type: MeetingType::Group,
            silent: false,
            details_source: DetailsSource::default(),
            calendar: None,
        }
    }

    fn report(analysis: Analysis, status: Status, raw: &str) -> Report {
        Report {
            analysis,
            status,
            id: None,
            findings: Findings::default(),
            error: None,
            raw: raw.into(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).expect("in range")
    }

    fn look(plan: &Plan, asked: &AskedAnalyses, reports: &[Report]) -> PollOutcome {
        decide(plan, UploadBegins::WithNote, asked, reports.to_vec(), false, now())
    }

    const BOTH: [Analysis; 2] = [Analysis::Transcription, Analysis::MeetingNote];

    #[test]
    fn an_empty_list_is_not_yet() {
        assert_eq!(look(&plan(&BOTH, None), &AskedAnalyses::new(), &[]), PollOutcome::Pending);
    }

    #[test]
    fn a_note_that_the_service_does_not_write_is_neither_waited_for_nor_asked_for() {
        let plan = plan(&BOTH, None);
        let reports = vec![report(Analysis::Transcription, Status::Completed, "t")];
        for late in [false, true] {
            let looked = decide(
                &plan,
                UploadBegins::WithoutNote,
                &AskedAnalyses::new(),
                reports.clone(),
                late,
                now(),
            );
            assert_eq!(looked, PollOutcome::Complete(reports.clone()));
            assert_eq!(
                analyses_to_repeat(
                    &plan,
                    UploadBegins::WithoutNote,
                    &AskedAnalyses::new(),
                    reports.clone(),
                    late,
                    now()
                ),
                []
            );
        }
    }

    #[test]
    fn the_automatic_note_is_taken_where_there_is_no_instruction() {
        let reports = [
            report(Analysis::Transcription, Status::Completed, "t"),
            report(Analysis::MeetingNote, Status::Completed, "n"),
        ];
        let PollOutcome::Complete(complete) =
            look(&plan(&BOTH, None), &AskedAnalyses::new(), &reports)
        else {
            panic!("not complete")
        };
        assert_eq!(complete.len(), 2);
        assert_eq!(complete[0].analysis, Analysis::MeetingNote);
    }

    #[test]
    fn a_failed_transcription_is_uploaded_again_and_a_failed_note_only_asked_for_again() {
        let failed = [report(Analysis::Transcription, Status::Failed, "t")];
        let look_at = |reports: &[Report]| look(&plan(&BOTH, None), &AskedAnalyses::new(), reports);
        assert!(matches!(look_at(&failed), PollOutcome::Failed { from: Stage::Upload, .. }));
        let failed = [
            report(Analysis::Transcription, Status::Completed, "t"),
            report(Analysis::MeetingNote, Status::Failed, "n"),
        ];
        let PollOutcome::Failed { from: Stage::Analyse, complete, .. } = look_at(&failed) else {
            panic!("not failed")
        };
        assert_eq!(complete.len(), 1);
        assert_eq!(
            analyses_to_repeat(
                &plan(&BOTH, None),
                UploadBegins::WithNote,
                &AskedAnalyses::new(),
                failed.to_vec(),
                false,
                now()
            )[0]
            .0,
            Analysis::MeetingNote
        );
    }

    #[test]
    fn a_note_with_an_instruction_is_asked_for_once_and_only_another_report_counts() {
        let plan = plan(&BOTH, Some("List decisions."));
        let automatic = report(Analysis::MeetingNote, Status::Completed, "automatic");
        let mut reports =
            vec![report(Analysis::Transcription, Status::Completed, "t"), automatic.clone()];
        let PollOutcome::Ask(ask) = look(&plan, &AskedAnalyses::new(), &reports) else {
            panic!("not asked")
        };
        assert_eq!(ask, vec![(Analysis::MeetingNote, vec![automatic.fingerprint()])]);
        let asked =
            ResultRequest { at: now(), answered: true, before: vec![automatic.fingerprint()] };
        let asked = AskedAnalyses::from([(Analysis::MeetingNote, asked)]);
        assert_eq!(look(&plan, &asked, &reports), PollOutcome::Pending);
        reports.push(report(Analysis::MeetingNote, Status::Completed, "with instruction"));
        let PollOutcome::Complete(complete) = look(&plan, &asked, &reports) else {
            panic!("not complete")
        };
        assert_eq!(complete[0].raw, "with instruction");
    }

    #[test]
    fn no_failure_of_before_is_taken_for_the_answer_however_often_it_was_asked_for() {
        let plan = plan(&BOTH, None);
        let mut reports = vec![report(Analysis::Transcription, Status::Completed, "t")];
        let mut asked = AskedAnalyses::new();
        for failure in ["first", "second", "third"] {
            reports.push(report(Analysis::MeetingNote, Status::Failed, failure));
            assert!(
                matches!(
                    look(&plan, &asked, &reports),
                    PollOutcome::Failed { from: Stage::Analyse, .. }
                ),
                "{failure}"
            );
            for (analysis, before) in analyses_to_repeat(
                &plan,
                UploadBegins::WithNote,
                &asked,
                reports.clone(),
                false,
                now(),
            ) {
                asked.insert(analysis, ResultRequest { at: now(), answered: true, before });
            }
            assert_eq!(look(&plan, &asked, &reports), PollOutcome::Pending, "{failure}");
            assert_eq!(
                analyses_to_repeat(
                    &plan,
                    UploadBegins::WithNote,
                    &asked,
                    reports.clone(),
                    false,
                    now()
                ),
                [],
                "it is asked for once after {failure}"
            );
        }
        reports.push(report(Analysis::MeetingNote, Status::Completed, "note"));
        assert!(matches!(look(&plan, &asked, &reports), PollOutcome::Complete(_)));
    }

    #[test]
    fn a_note_that_fails_again_in_its_place_and_in_the_same_words_counts_again() {
        let plan = plan(&BOTH, None);
        let transcript = report(Analysis::Transcription, Status::Completed, "t");
        let failed = report(Analysis::MeetingNote, Status::Failed, "the same words");
        let reports = vec![transcript.clone(), failed.clone()];
        let asked = |answered| {
            let asked = ResultRequest { at: now(), answered, before: vec![failed.fingerprint()] };
            AskedAnalyses::from([(Analysis::MeetingNote, asked)])
        };
        let look = |asked: &AskedAnalyses, reports: &[Report], seconds: i64| {
            let visible = Timestamp::from_second(1_000_000 + seconds).expect("in range");
            decide(&plan, UploadBegins::WithNote, asked, reports.to_vec(), false, visible)
        };
        assert_eq!(
            look(&asked(true), &reports, 0),
            PollOutcome::Pending,
            "the request may not show yet"
        );
        assert!(matches!(
            look(&asked(true), &reports, 1),
            PollOutcome::Failed { from: Stage::Analyse, .. }
        ));
        let wanted = analyses_to_repeat(
            &plan,
            UploadBegins::WithNote,
            &asked(true),
            reports.clone(),
            false,
            now() + Duration::from_secs(1),
        );
        assert_eq!(
            wanted,
            [(Analysis::MeetingNote, vec![failed.fingerprint()])],
            "and is asked for again"
        );
        assert!(
            matches!(look(&asked(false), &reports, 1), PollOutcome::Ask(_)),
            "one whose answer was lost did not arrive"
        );
        for status in [Status::Pending, Status::Processing] {
            let reports = [
                transcript.clone(),
                failed.clone(),
                report(Analysis::MeetingNote, status, "the next"),
            ];
            assert_eq!(
                look(&asked(true), &reports, 1),
                PollOutcome::Pending,
                "the service works on it"
            );
        }
        let reports = [
            transcript.clone(),
            failed.clone(),
            report(Analysis::MeetingNote, Status::Completed, "n"),
        ];
        assert!(matches!(look(&asked(true), &reports, 1), PollOutcome::Complete(_)));
        // What is no failure is never taken for the answer to a later request.
        let automatic = [
            transcript.clone(),
            report(Analysis::MeetingNote, Status::Completed, "the same words"),
        ];
        assert_eq!(look(&asked(true), &automatic, 1_000), PollOutcome::Pending);
    }

    #[test]
    fn a_note_that_waits_to_be_asked_for_is_asked_for_once_with_an_instruction_or_without() {
        for instruction in [None, Some("Short.")] {
            let plan = plan(&BOTH, instruction);
            let look = |asked: &AskedAnalyses, reports: &[Report]| {
                decide(&plan, UploadBegins::Transcription, asked, reports.to_vec(), true, now())
            };
            let mut reports = vec![report(Analysis::Transcription, Status::Completed, "t")];
            assert_eq!(
                look(&AskedAnalyses::new(), &reports),
                PollOutcome::Ask(vec![(Analysis::MeetingNote, vec![])])
            );
            let asked = ResultRequest { at: now(), answered: true, before: Vec::new() };
            let asked = AskedAnalyses::from([(Analysis::MeetingNote, asked)]);
            assert!(matches!(
                look(&asked, &reports),
                PollOutcome::Failed { from: Stage::Analyse, .. }
            ));
            reports.push(report(Analysis::MeetingNote, Status::Completed, "n"));
            assert!(matches!(look(&asked, &reports), PollOutcome::Complete(_)));
        }
    }

    #[test]
    fn extra_analyses_are_asked_for_once_after_the_transcription() {
        let plan = plan(&[Analysis::Transcription, Analysis::KeyPoints], None);
        assert_eq!(
            look(
                &plan,
                &AskedAnalyses::new(),
                &[report(Analysis::Transcription, Status::Processing, "t")]
            ),
            PollOutcome::Pending
        );
        let reports = [report(Analysis::Transcription, Status::Completed, "t")];
        assert_eq!(
            look(&plan, &AskedAnalyses::new(), &reports),
            PollOutcome::Ask(vec![(Analysis::KeyPoints, vec![])])
        );
        let asked = |answered, at| {
            AskedAnalyses::from([(
                Analysis::KeyPoints,
                ResultRequest { at, answered, before: Vec::new() },
            )])
        };
        assert_eq!(look(&plan, &asked(true, now()), &reports), PollOutcome::Pending);
        assert_eq!(
            look(&plan, &asked(false, now() + Duration::from_secs(1)), &reports),
            PollOutcome::Pending
        );
        assert!(matches!(look(&plan, &asked(false, now()), &reports), PollOutcome::Ask(_)));
    }

    #[test]
    fn a_slow_service_spends_an_attempt_only_when_patience_is_at_its_end() {
        let reports = vec![report(Analysis::Transcription, Status::Processing, "t")];
        let late = |late| {
            decide(
                &plan(&BOTH, None),
                UploadBegins::WithNote,
                &AskedAnalyses::new(),
                reports.clone(),
                late,
                now(),
            )
        };
        assert_eq!(late(false), PollOutcome::Pending);
        assert!(matches!(late(true), PollOutcome::Failed { from: Stage::Upload, .. }));
    }

    #[test]
    fn the_interval_doubles_after_the_timeout_up_to_two_minutes() {
        let poll = Poll {
            first: Duration::from_secs(4),
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(300),
            patience: Duration::from_secs(86_400),
        };
        let after = |seconds| poll_interval(&poll, 3, Duration::from_secs(seconds)).as_secs();
        assert_eq!(poll_interval(&poll, 0, Duration::ZERO), poll.first);
        assert_eq!(
            [after(10), after(300), after(310), after(340), after(9_000)],
            [5, 5, 10, 40, 120]
        );
    }
}
