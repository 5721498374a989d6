//! Explanation of a job for a person: where it is, what it waits for, whether that ends by itself,
//! and what to type.

use jiff::Timestamp;

use super::calendar::describe_match;
use crate::{
    clock::{elapsed, local_minute},
    job::{HoldReason, JobState, Stage, WaitReason},
    store::{
        DeliveryKind, DeliveryState, DeliveryView, HeldBy, JobView, LOST_AFTER, RetentionOutcome,
    },
    text::{ShellCommand, format_count, format_duration, one_line},
};

/// The facts of an explanation besides the job itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExplainContext {
    /// True where a daemon runs.
    pub daemon: bool,
    /// True where its file is missing.
    pub is_gone: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Mails that are named one by one.
const MAILS_MAX: usize = 5;

/// Explains where a job is, and what a person can do.
#[must_use]
pub(crate) fn explain_job(job: &JobView, context: ExplainContext) -> (String, Option<String>) {
    let id = job.id;
    let gone = if context.is_gone { "; the file is not there any more" } else { "" };
    let error = job.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let (answer, hint) = match job.state {
        JobState::Done => explain_done(job),
        JobState::Failed => explain_failed(job),
        JobState::Skipped => return (format!("it was skipped{error}"), skipped_hint(job)),
        JobState::Cancelled => (
            format!("job {id} was cancelled"),
            Some(format!("minuted retry {id} takes it up again")),
        ),
        JobState::Ready | JobState::Waiting if job.stage == Some(Stage::Deliver) => {
            explain_delivery(job, context.now)
        }
        JobState::Waiting => explain_waiting(job, context.now),
        JobState::Running if context.daemon => (
            format!("job {id} is being worked on: {}", stage_word(job)),
            Some("minuted status shows progress".into()),
        ),
        JobState::Running => (
            format!(
                "job {id} was being worked on ({}) when minuted ended; it goes on from there",
                stage_word(job)
            ),
            None,
        ),
        JobState::Ready => (format!("job {id} is next in the queue: {}", stage_word(job)), None),
    };
    let names = describe_names(job);
    let event = describe_match(job);
    (format!("{answer}{gone}{names}{event}{}", describe_notifications(job)), hint)
}

/// Describes the names that a person gave to the speakers.
fn describe_names(job: &JobView) -> String {
    let names: Vec<String> = job
        .speaker_names
        .iter()
        .map(|(label, name)| one_line(&format!("{label} is {name}"), REMARK_MAX))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; speakers were named: {}", names.join(", "))
    }
}

fn stage_word(job: &JobView) -> &str {
    job.stage.map_or("", Stage::as_str)
}

/// Characters that are shown of a remark.
const REMARK_MAX: usize = 300;

fn explain_done(job: &JobView) -> (String, Option<String>) {
    let id = job.id;
    let mut parts: Vec<String> = describe_notes(job).into_iter().collect();
    parts.extend(job.remarks.iter().map(|remark| one_line(remark, REMARK_MAX)));
    let held =
        job.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Held).count();
    if held > 0 {
        let are = if held == 1 { "is" } else { "are" };
        parts.push(format!(
            "{} {are} held, so that nobody gets it twice",
            format_count(held as u64, "mail")
        ));
    }
    parts.extend(withheld_mails(job));
    parts.extend(describe_retention(job));
    let hint = if held > 0 {
        Some(format!("minuted retry {id} sends what is held"))
    } else if job.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Withheld) {
        Some(format!(
            "add the address or its domain to `allow` in [email]; minuted retry {id} sends it then"
        ))
    } else if job.notifications.iter().any(|one| one.state == DeliveryState::Failed) {
        Some(format!("minuted retry {id} sends the notifications again"))
    } else if job.notes_missing.is_empty() {
        None
    } else {
        Some(format!("minuted redo {id} makes a new meeting and new notes"))
    };
    let colon = if parts.is_empty() { "" } else { ": " };
    (format!("job {id} is done{colon}{}", parts.join("; ")), hint)
}

/// Describes what becomes of the recording, where its folder deletes it after a time.
fn describe_retention(job: &JobView) -> Option<String> {
    let retention = job.retention.as_ref()?;
    let minute = |at: Option<Timestamp>| at.map(local_minute).unwrap_or_default();
    Some(match (retention.outcome, &retention.reason) {
        (Some(RetentionOutcome::Deleted), _) => {
            format!("its recording was deleted on {}: its time was over", minute(retention.ended))
        }
        (Some(RetentionOutcome::Changed), _) => {
            "its recording is not deleted: it changed since its notes were made".to_owned()
        }
        (Some(RetentionOutcome::Gone), _) => {
            "its recording was not there any more when its time was over".to_owned()
        }
        (None, Some(reason)) => {
            format!(
                "its recording stays although its time is over: {}",
                one_line(reason, REMARK_MAX)
            )
        }
        (None, None) => format!("its recording will be deleted on {}", minute(retention.delete_at)),
    })
}

/// Describes the mails of a done job's latest notes that the configuration does not allow.
fn withheld_mails(job: &JobView) -> Vec<String> {
    let mails: Vec<_> =
        job.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::Mail).collect();
    let latest = (0..mails.len())
        .filter(|at| !mails[at + 1..].iter().any(|later| later.target == mails[*at].target))
        .map(|at| mails[at]);
    let withheld = latest.filter(|mail| mail.state == DeliveryState::Withheld);
    let withheld: Vec<String> = withheld.map(describe_mail).collect();
    let more = withheld.len().saturating_sub(MAILS_MAX);
    let mut parts: Vec<String> = withheld.into_iter().take(MAILS_MAX).collect();
    if more > 0 {
        parts.push(format!("and {} more", format_count(more as u64, "mail")));
    }
    parts
}

/// Describes where the notes of a job are; `None` where it has none.
fn describe_notes(job: &JobView) -> Option<String> {
    let there: Vec<&str> = job
        .notes
        .iter()
        .filter(|notes| !job.notes_missing.contains(notes))
        .map(String::as_str)
        .collect();
    let mut parts = Vec::new();
    if !there.is_empty() {
        parts.push(format!("its notes are {}", there.join(", ")));
    }
    if !job.notes_missing.is_empty() {
        parts.push(format!("its notes are not there any more: {}", job.notes_missing.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Describes the notifications of a job that were not passed on, the latest of each notifier.
fn describe_notifications(job: &JobView) -> String {
    let all = &job.notifications;
    let latest = (0..all.len())
        .filter(|at| !all[at + 1..].iter().any(|later| later.target == all[*at].target))
        .map(|at| &all[at]);
    let described = latest.filter_map(|one| {
        let error = one.error.as_deref()?;
        let name = &one.target;
        match one.state {
            DeliveryState::Due => Some(format!("; notifier {name} is told later: {error}")),
            DeliveryState::Failed => Some(format!("; notifier {name} was not told: {error}")),
            DeliveryState::Done
            | DeliveryState::Held
            | DeliveryState::Cancelled
            | DeliveryState::Withheld => None,
        }
    });
    described.collect::<Vec<_>>().concat()
}

fn explain_failed(job: &JobView) -> (String, Option<String>) {
    let id = job.id;
    let undelivered = open_deliveries(job);
    if job.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Failed) {
        let parts =
            describe_notes(job).into_iter().chain(undelivered).collect::<Vec<_>>().join("; ");
        let ends = if job.deliveries.iter().any(|delivery| {
            delivery.state == DeliveryState::Failed && delivery.kind == DeliveryKind::Mail
        }) {
            "sends it again"
        } else {
            "tries it again"
        };
        let retry = ShellCommand::new("minuted retry").add_word(id.to_string());
        return (
            format!("job {id} is not delivered whole: {parts}"),
            Some(format!("{retry} {ends}")),
        );
    }
    let error = job.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let after = match job.attempts {
        0 => String::new(),
        attempts => format!(" after {}", format_count(attempts.into(), "attempt")),
    };
    let partial = describe_notes(job).map(|notes| format!("; {notes}")).unwrap_or_default();
    (
        format!("job {id} failed{after}{error}{partial}"),
        Some(format!("minuted retry {id} goes on from what exists")),
    )
}

fn skipped_hint(job: &JobView) -> Option<String> {
    if job.is_beyond {
        let id = job.id;
        return Some(format!(
            "change that key in the folder, or the file; minuted retry {id} then looks at it again"
        ));
    }
    let of_another = job.hash.is_some();
    of_another.then(|| {
        format!("minuted redo {} makes a new meeting and new notes of it all the same", job.id)
    })
}

/// Explains a job whose results are there: where the notes are, and what is still to be delivered.
fn explain_delivery(job: &JobView, now: Timestamp) -> (String, Option<String>) {
    let mut parts: Vec<String> =
        describe_notes(job).into_iter().chain(open_deliveries(job)).collect();
    let hold = job.hold.as_ref();
    let tried = job
        .deliveries
        .iter()
        .any(|delivery| delivery.state == DeliveryState::Due && delivery.error.is_some());
    match hold {
        Some(hold) if !tried => {
            parts.push(format!("it waits: {}{}", hold.detail, describe_end(hold, job.due, now)));
        }
        Some(_) | None if tried => {
            parts.push(format!("it resumes without help{}", next_try(job.due, now)));
        }
        Some(_) | None => {}
    }
    (
        format!("job {} has its results: {}", job.id, parts.join("; ")),
        hold.and_then(|hold| hold.cure.clone()),
    )
}

/// Describes the open deliveries, one by one.
fn open_deliveries(job: &JobView) -> Vec<String> {
    let open = job.deliveries.iter().filter(|delivery| delivery.state != DeliveryState::Done);
    let (mails, files): (Vec<_>, Vec<_>) =
        open.partition(|delivery| delivery.kind == DeliveryKind::Mail);
    let mut parts: Vec<String> =
        files.iter().filter_map(|delivery| describe_file(delivery)).collect();
    parts.extend(mails.iter().take(MAILS_MAX).map(|delivery| describe_mail(delivery)));
    if mails.len() > MAILS_MAX {
        parts.push(format!("and {} more", format_count((mails.len() - MAILS_MAX) as u64, "mail")));
    }
    parts
}

fn describe_file(delivery: &DeliveryView) -> Option<String> {
    let what = match delivery.kind {
        DeliveryKind::Notes => format!("the file of its notes ({})", delivery.target),
        DeliveryKind::Failure => "the file about its failure".to_owned(),
        DeliveryKind::Dispose => format!("to {} the recording", delivery.target),
        DeliveryKind::Remote => format!("to {} what the service keeps of it", delivery.target),
        DeliveryKind::Clear | DeliveryKind::Mail => return None,
    };
    Some(match (delivery.state, &delivery.error) {
        (DeliveryState::Failed, Some(error)) => format!("{what} failed: {error}"),
        (_, Some(error)) => format!("{what} waits: {error}"),
        (_, None) => format!("{what} is in progress"),
    })
}

fn describe_mail(delivery: &DeliveryView) -> String {
    let to = &delivery.target;
    match (delivery.state, &delivery.error) {
        (DeliveryState::Held, _) => format!("the mail to {to} is held"),
        (DeliveryState::Withheld, Some(reason)) => {
            format!("the mail to {to} is withheld: {reason}")
        }
        (DeliveryState::Failed, Some(error)) => format!("the mail to {to} was refused: {error}"),
        (_, Some(error)) => format!("the mail to {to} waits: {error}"),
        (_, None) => format!("the mail to {to} is being sent"),
    }
}

fn explain_waiting(job: &JobView, now: Timestamp) -> (String, Option<String>) {
    let id = job.id;
    if job.waits_for == Some(WaitReason::Analysis) {
        return (
            format!("job {id} waits for {}", describe_analysis(job, now)),
            job.hold.as_ref().and_then(|hold| hold.cure.clone()),
        );
    }
    let error = job.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    if let Some(hold) = &job.hold {
        let answer = format!(
            "job {id} waits for {}: {}{}",
            describe_blocker(job, hold),
            hold.detail,
            describe_end(hold, job.due, now)
        );
        return (answer, hold.cure.clone());
    }
    match job.waits_for {
        Some(WaitReason::Retry) => (
            format!(
                "job {id} waits for its next attempt{}; attempt {} failed{error}",
                next_try(job.due, now),
                job.attempts
            ),
            Some(format!("minuted retry {id} does it at once")),
        ),
        Some(WaitReason::File) if job.has_invalid_metadata => (
            format!("job {id} waits{error}; it resumes soon after that is mended"),
            Some(format!("minuted retry {id} tries it at once")),
        ),
        Some(WaitReason::File) => {
            let lost = format_duration(LOST_AFTER);
            let answer = format!(
                "job {id} waits for its file{error}; it goes on when the file is there, can be read and nobody writes to it, \
                 and is cancelled when the file is gone for {lost}"
            );
            (answer, None)
        }
        Some(_) | None => (
            format!(
                "job {id} waits for the service; it resumes without help{}{error}",
                next_try(job.due, now)
            ),
            None,
        ),
    }
}

/// Describes the held thing that a job waits for.
fn describe_blocker(job: &JobView, hold: &HeldBy) -> String {
    let service = job.service.as_deref().unwrap_or_default();
    match (job.waits_for, hold.reason) {
        (Some(WaitReason::SignIn), _) => format!("a person to sign in at `{service}`"),
        (Some(WaitReason::Service), HoldReason::Down) => {
            format!("the service `{service}`, which is down")
        }
        (Some(WaitReason::Service), HoldReason::Forbidden) => {
            format!("the service `{service}`, which forbids it")
        }
        (Some(WaitReason::Service), _) => format!("the service `{service}`"),
        (Some(WaitReason::Disk), _) => "room on the disk".to_owned(),
        (Some(WaitReason::Budget), _) => "the next day".to_owned(),
        (_, HoldReason::NotConfigured) => "its folder".to_owned(),
        (_, HoldReason::Refused) => {
            format!("its folder `{}`, which the service refuses", job.folder)
        }
        (_, HoldReason::Paused) => format!("its folder `{}`, which is paused", job.folder),
        (_, _) => format!("its folder `{}`", job.folder),
    }
}

/// Describes the end of a hold: by itself or not, and the next try.
fn describe_end(hold: &HeldBy, due: Option<Timestamp>, now: Timestamp) -> String {
    if matches!(hold.reason, HoldReason::Refused | HoldReason::Forbidden) {
        "; minuted tries again every hour".to_owned()
    } else if let Some(next) = hold.next_try.filter(|_| hold.reason == HoldReason::Budget) {
        format!("; it goes on from {} in its turn", local_minute(next))
    } else if hold.heals {
        format!("; it resumes without help{}", next_try(hold.next_try.or(due), now))
    } else {
        String::new()
    }
}

/// Describes the time of the next try, where that is known and ahead.
pub(super) fn next_try(at: Option<Timestamp>, now: Timestamp) -> String {
    let ahead = at.filter(|at| *at > now);
    ahead
        .map(|at| format!(", next try in {}", format_duration(elapsed(now, at))))
        .unwrap_or_default()
}

fn describe_analysis(job: &JobView, now: Timestamp) -> String {
    let mut text = "the analysis of the service".to_owned();
    if let Some(awaiting) = &job.awaiting {
        text = format!("{text}, asked for {} ago", format_duration(elapsed(awaiting.since, now)));
        if awaiting.slow {
            let left = format_duration(elapsed(now, awaiting.until));
            text = format!(
                "{text}: that is longer than usual; it is waited for {left} more, then it counts as an attempt"
            );
        }
    }
    if let Some(error) = job.error.as_deref().filter(|_| job.attempts > 0) {
        text = format!("{text}; attempt {} failed: {error}", job.attempts);
    }
    if let Some(hold) = &job.hold {
        let service = job.service.as_deref().unwrap_or_default();
        text = format!(
            "{text}; service `{service}` does not work now: {}{}",
            hold.detail,
            describe_end(hold, None, now)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-22T09:00:00Z";

    /// A job of `sales` with these fields.
    fn job(fields: &Value) -> JobView {
        let mut job = json!({
            "id": 1, "key": null, "folder": "sales", "path": "/srv/sales/talk.wav", "title": null, "service": "paxs",
            "state": "waiting", "waits_for": null, "stage": null, "attempts": 0, "due": null, "error": null,
            "partial": false, "meeting_id": null, "recording_id": null, "hash": null, "size": 1, "notes": [],
            "deliveries": [], "created": NOW, "updated": NOW
        });
        let all = job.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        serde_json::from_value(job).expect("a job")
    }

    #[test]
    fn remarks_of_the_notes_are_part_of_the_answer() {
        let fields = json!({ "state": "done", "notes": ["/srv/sales/talk.notes.md"], "remarks": ["the end is missing"] });
        assert_eq!(
            explained(true, &fields),
            "job 1 is done: its notes are /srv/sales/talk.notes.md; the end is missing"
        );
    }

    fn explained(daemon: bool, fields: &Value) -> String {
        let context = ExplainContext { daemon, is_gone: false, now: NOW.parse().expect("a time") };
        let (answer, hint) = explain_job(&job(fields), context);
        hint.map_or_else(|| answer.clone(), |hint| format!("{answer}\n  hint: {hint}"))
    }

    fn delivery(kind: &str, target: &str, state: &str, error: Option<&str>) -> Value {
        json!({ "kind": kind, "target": target, "state": state, "attempts": 1, "error": error })
    }

    fn hold(reason: &str, detail: &str, next_try: Option<&str>) -> Value {
        json!({ "reason": reason, "detail": detail, "since": NOW, "heals": true, "next_try": next_try, "cure": null })
    }

    #[test]
    fn a_wait_says_its_cause_whether_it_heals_and_when_it_is_tried_next() {
        let soon = "2026-11-22T09:05:00Z";
        let shown = [
            json!({ "waits_for": "retry", "stage": "upload", "attempts": 1, "due": soon, "error": "refused (413)" }),
            json!({ "waits_for": "service", "stage": "create", "hold": hold("down", "no route", Some(soon)) }),
            json!({ "waits_for": "service", "stage": "create", "hold": hold("reading", "its list is read", None) }),
            json!({ "waits_for": "folder", "stage": "create", "hold": hold("absent", "`/srv/sales` is not there", None) }),
            json!({ "waits_for": "disk", "stage": "create", "hold": hold("full", "no room in `/var`", None) }),
            json!({
                "waits_for": "analysis", "stage": "analyse", "attempts": 1, "error": "model overloaded",
                "awaiting": { "since": "2026-11-22T08:58:00Z", "slow": false, "until": "2026-11-23T08:58:00Z" }
            }),
            json!({ "state": "ready", "stage": "upload" }),
        ];
        let shown = shown.map(|fields| explained(true, &fields));
        insta::assert_snapshot!(shown.join("\n"), @r"
        job 1 waits for its next attempt, next try in 5m; attempt 1 failed: refused (413)
          hint: minuted retry 1 does it at once
        job 1 waits for the service `paxs`, which is down: no route; it resumes without help, next try in 5m
        job 1 waits for the service `paxs`: its list is read; it resumes without help
        job 1 waits for its folder `sales`: `/srv/sales` is not there; it resumes without help
        job 1 waits for room on the disk: no room in `/var`; it resumes without help
        job 1 waits for the analysis of the service, asked for 2m ago; attempt 1 failed: model overloaded
        job 1 is next in the queue: upload
        ");
    }

    #[test]
    fn notes_that_are_there_are_told_before_what_is_missing() {
        let notes = json!(["/srv/sales/talk.notes.md"]);
        let written = delivery("notes", "md", "done", None);
        let of = |state: &str, mail: Value| {
            let stage = (state == "ready").then_some("deliver");
            json!({ "state": state, "stage": stage, "notes": notes, "deliveries": [written, mail] })
        };
        let shown = [
            of("ready", delivery("mail", "ann@example.com", "due", None)),
            of("ready", delivery("mail", "ann@example.com", "due", Some("connection refused"))),
            of("failed", delivery("mail", "ann@example.com", "failed", Some("no such person"))),
            of("done", delivery("mail", "ann@example.com", "held", None)),
            of(
                "done",
                delivery(
                    "mail",
                    "guest@elsewhere.test",
                    "withheld",
                    Some("`email.allow` does not permit it"),
                ),
            ),
            json!({ "state": "failed", "error": "nothing can play it" }),
            json!({
                "state": "waiting", "waits_for": "folder", "stage": "deliver", "due": "2026-11-22T09:00:30Z",
                "deliveries": [delivery("notes", "md", "due", Some("no permission to write in `/srv/sales`"))]
            }),
        ];
        let shown = shown.map(|fields| explained(true, &fields));
        insta::assert_snapshot!(shown.join("\n"), @r"
        job 1 has its results: its notes are /srv/sales/talk.notes.md; the mail to ann@example.com is being sent
        job 1 has its results: its notes are /srv/sales/talk.notes.md; the mail to ann@example.com waits: connection refused; it resumes without help
        job 1 is not delivered whole: its notes are /srv/sales/talk.notes.md; the mail to ann@example.com was refused: no such person
          hint: minuted retry 1 sends it again
        job 1 is done: its notes are /srv/sales/talk.notes.md; 1 mail is held, so that nobody gets it twice
          hint: minuted retry 1 sends what is held
        job 1 is done: its notes are /srv/sales/talk.notes.md; the mail to guest@elsewhere.test is withheld: `email.allow` does not permit it
          hint: add the address or its domain to `allow` in [email]; minuted retry 1 sends it then
        job 1 failed: nothing can play it
          hint: minuted retry 1 goes on from what exists
        job 1 has its results: the file of its notes (md) waits: no permission to write in `/srv/sales`; it resumes without help, next try in 30s
        ");
    }
}
