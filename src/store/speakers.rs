//! Names for the speakers of a job, and its notes that are written again because of them.

use jiff::Timestamp;

use super::{
    CommandError, Deliveries, Delivery, Job, JobId, Jobs, StoreError, Written,
    deliveries::update_one,
    history::log,
    jobs::load,
    row::to_json,
    sql::{Row, Transaction, params},
    transition::transition,
};
use crate::{
    config::Analysis,
    effect::Effect,
    job::{Event, EventKind, Findings, NamingError, State},
    text::{ShellCommand, one_line},
};

/// Characters of a label or name that are shown in a refusal.
const SHOWN_MAX: usize = 120;

/// Labels that a refusal lists: more speakers than this are no meeting.
const LISTED_MAX: usize = 40;

/// Texts of one file that are remembered as intended, the newest: so many crashes in a row, each between the file and its
/// record and with other names before the next, are no accident.
const INTENDED_MAX: usize = 64;

/// Names that were given to speakers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenNames {
    /// The labels, each with its name now.
    pub names: Vec<(String, Option<String>)>,
    /// True where any of them is another than before.
    pub is_new: bool,
    /// True where notes lie there as files, which are written again.
    pub rewrites: bool,
}

/// A file of notes as minuted left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenNotes {
    /// The file.
    pub written: Written,
    /// BLAKE3 of each text that was about to replace it.
    pub intended: Vec<String>,
}

impl Jobs<'_> {
    /// Names speakers of a job by assignments such as `Speaker 2=Ann Lee`; its notes that lie there are written again.
    /// Nothing else is delivered again.
    pub async fn name_speakers(
        self,
        id: JobId,
        assignments: Vec<String>,
        now: Timestamp,
    ) -> Result<GivenNames, CommandError> {
        self.0
            .write(Effect::NameSpeakers, move |tx| {
                let Some(job) = load(tx, id)? else {
                    return Err(StoreError::NoSuchJob { job: id });
                };
                let labels =
                    transcript_of(tx, id)?.map(|found| found.speaker_labels()).unwrap_or_default();
                let mut names = job.speaker_names.clone();
                let mut given = Vec::new();
                for text in &assignments {
                    match names.assign(text, &labels) {
                        Ok(one) => given.push(one),
                        Err(error) => return Ok(Err(refusal(id, &error, &labels))),
                    }
                }
                let is_new = names != job.speaker_names;
                if !is_new {
                    return Ok(Ok(GivenNames { names: given, is_new, rewrites: false }));
                }
                if is_written_first(tx, id)? {
                    let why = "has notes that are being written".to_owned();
                    let hint = Some(format!(
                        "minuted job {id} shows when they are there; name its speakers then"
                    ));
                    return Ok(Err(CommandError::Refused { job: id, why, hint }));
                }
                let json = (!names.is_empty()).then(|| to_json(&names));
                tx.execute("UPDATE job SET speaker_names = ?2 WHERE id = ?1", params![id, json])?;
                log(
                    tx,
                    id,
                    None,
                    EventKind::SpeakersNamed.with_detail(&in_words(&given)),
                    None,
                    now,
                )?;
                let rewrites = rewrite_notes(tx, &job, now)?;
                Ok(Ok(GivenNames { names: given, is_new, rewrites }))
            })
            .await?
    }

    /// Returns the files of notes of a job as they were written last.
    pub async fn list_written_notes(self, id: JobId) -> Result<Vec<WrittenNotes>, StoreError> {
        self.0
            .read(move |tx| {
                tx.query_rows(
                    "SELECT base, path, digest, intended FROM delivery AS d WHERE job_id = ?1 AND kind = 'notes' \
                     AND digest IS NOT NULL AND version = (SELECT max(version) FROM delivery WHERE job_id = ?1 \
                     AND kind = 'notes' AND target = d.target AND digest IS NOT NULL) ORDER BY id",
                    params![id],
                    read_written,
                )
            })
            .await
    }
}

impl Deliveries<'_> {
    /// Records what is about to replace a file of notes, beside what earlier tries were about to.
    pub async fn intend_rewrite(self, delivery: &Delivery, digest: &str) -> Result<(), StoreError> {
        let delivery = delivery.clone();
        let mut intended = delivery.intended.clone();
        intended.push(digest.to_owned());
        let intended = intended[intended.len().saturating_sub(INTENDED_MAX)..].join(" ");
        self.0
            .write(Effect::IntendRewrite, move |tx| {
                let sql = "UPDATE delivery SET intended = ?2 WHERE id = ?1 AND state IN ('due', 'cancelled') \
                     AND since_ms = ?3";
                update_one(tx, &delivery, sql, params![delivery.id, intended, delivery.since])
            })
            .await
    }
}

/// Returns the transcript of a job, where there is one.
fn transcript_of(tx: &Transaction<'_>, id: JobId) -> Result<Option<Findings>, StoreError> {
    let sql = "SELECT findings FROM report WHERE job_id = ?1 AND analysis = ?2";
    tx.find_value(sql, params![id, Analysis::Transcription])
}

/// Returns whether a file of notes is about to be written that was never written before. What a crash leaves of that is
/// recognised by its content alone, which the names would change.
fn is_written_first(tx: &Transaction<'_>, id: JobId) -> Result<bool, StoreError> {
    tx.exists(
        "SELECT 1 FROM delivery AS new WHERE job_id = ?1 AND kind = 'notes' AND state = 'due' AND NOT EXISTS \
         (SELECT 1 FROM delivery WHERE job_id = new.job_id AND kind = 'notes' AND target = new.target \
         AND digest IS NOT NULL)",
        params![id],
    )
}

/// Makes the notes of a job due again that lie there; returns whether there are any. A delivery that is being made at this
/// moment is made once more: its time is another one now, by which its end is told.
fn rewrite_notes(tx: &Transaction<'_>, job: &Job, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind = 'notes' AND digest IS NOT NULL";
    let is_written = tx.exists(sql, params![job.id])?;
    tx.execute(
        "UPDATE delivery SET state = 'due', due_ms = ?2, attempts = 0, error = NULL, \
         since_ms = CASE WHEN since_ms < ?2 THEN ?2 ELSE since_ms + 1 END \
         WHERE job_id = ?1 AND kind = 'notes' AND (state = 'due' OR state IN ('done', 'failed') AND digest IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM delivery AS later WHERE later.job_id = delivery.job_id AND later.kind = 'notes' \
         AND later.target = delivery.target AND later.version > delivery.version \
         AND (later.digest IS NOT NULL OR later.state = 'due'))",
        params![job.id, now],
    )?;
    if job.state == State::Done && is_written {
        transition(tx, job.id, &job.state, &Event::Redeliver { due: now }, now)?;
    }
    Ok(is_written)
}

fn read_written(row: &Row<'_>) -> Result<WrittenNotes, StoreError> {
    let written =
        Written { base: row.get("base")?, path: row.get("path")?, digest: row.get("digest")? };
    Ok(WrittenNotes { written, intended: read_intended(row)? })
}

/// Reads the texts that were about to replace a file.
pub(super) fn read_intended(row: &Row<'_>) -> Result<Vec<String>, StoreError> {
    let digests: Option<String> = row.get("intended")?;
    Ok(digests.iter().flat_map(|digests| digests.split(' ')).map(str::to_owned).collect())
}

/// Returns the names as the history shows them.
fn in_words(names: &[(String, Option<String>)]) -> String {
    let one = |(label, name): &(String, Option<String>)| match name {
        Some(name) => format!("{label} is {name}"),
        None => format!("{label} has no name"),
    };
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn refusal(job: JobId, error: &NamingError, labels: &[String]) -> CommandError {
    let shown = |text: &str| one_line(text, SHOWN_MAX);
    let first = labels.first().map_or("Speaker 1", String::as_str);
    let (why, hint) = match error {
        _ if labels.is_empty() => (
            "has no transcript with speakers".to_owned(),
            format!(
                "minuted job {job} shows where it is; a transcript has speakers where its service tells them apart"
            ),
        ),
        NamingError::NotAnAssignment => {
            let example = ShellCommand::new("minuted speakers").add_word(job.to_string());
            (
                "takes a name as LABEL=NAME".to_owned(),
                example.add_word(format!("{first}=Ann Lee")).to_string(),
            )
        }
        NamingError::UnknownSpeaker(label) => {
            let mut listed: Vec<String> =
                labels.iter().take(LISTED_MAX).map(|label| shown(label)).collect();
            if labels.len() > LISTED_MAX {
                listed.push("…".to_owned());
            }
            (
                format!("has no speaker `{}`", shown(label)),
                format!("its speakers are: {}", listed.join(", ")),
            )
        }
        NamingError::Unfit(name) => (
            format!("cannot call a speaker `{}`", shown(name)),
            "write a name of one line and at most 256 bytes, without characters that nobody sees"
                .to_owned(),
        ),
    };
    CommandError::Refused { job, why, hint: Some(hint) }
}
