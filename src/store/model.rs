//! The queue against a model of it in vectors: whatever is asked of it, in whatever order, and wherever the power goes.
//!
//! Each operation is carried out by the queue on its real file and by the model; then both hold the same. A crash copies
//! the file and its log as they lie there and goes on with the copy: nothing that returned may be missing. A power cut
//! cuts the log anywhere: what is left is what the queue was after one of the operations, never something in between.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, date},
};
use proptest::{collection::vec, prelude::*};

use super::{
    Analysed, DailyLimits, Delivery, DeliveryKind, Endings, FILE, Failure, Hold, Job, JobId, Lane,
    NewDelivery, PostDelivery, RemoteCleanup, Scope, Settled, Store, StoreError,
};
use crate::{
    beneath::Stamp,
    budget::budget,
    config::{Analysis, MeetingType},
    job::{
        Content, DetailsSource, EventKind, Findings, HoldReason, Key, Plan, Report, Segment, Sound,
        Stage, State, Status,
    },
};

/// Cases at the default budget; each has up to [`STEPS`] operations.
const CASES: u32 = 64;
const STEPS: usize = 40;

const FOLDER: &str = "sales";

/// What is asked. The numbers choose among what there is at that moment.
#[derive(Debug, Clone)]
enum Step {
    /// A settled file: its path, its content, and its stamp.
    Take(u8, u8, u8),
    /// A file is gone.
    Gone(u8),
    /// A worker takes a job.
    Claim,
    /// The next local day, or the one before by a clock that is set back.
    Day(bool),
    /// A worker records what became of its stage.
    Work(u8, u8),
    /// A delivery is made, waits, fails or is withheld.
    Deliver(u8, u8),
    Cancel(u8),
    Retry(u8),
    Redo(u8),
    Reanalyse(u8),
    /// A person names the speaker of a transcript, or takes the name away.
    Name(u8, u8),
    Hold(u8),
    Release(u8),
    WakeFiles,
    CancelLost,
    NoticesSent,
    Prune,
    MarkRestored,
    Checkpoint,
    /// The process dies: what is on disk is opened again.
    Crash,
    /// The power goes: the log is cut there, in thousandths.
    PowerCut(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 0..4_u8, 0..2_u8).prop_map(|(path, content, stamp)| Step::Take(path, content, stamp)),
        2 => (0..4_u8).prop_map(Step::Gone),
        6 => Just(Step::Claim),
        2 => any::<bool>().prop_map(Step::Day),
        12 => (any::<u8>(), any::<u8>()).prop_map(|(hand, what)| Step::Work(hand, what)),
        8 => (any::<u8>(), any::<u8>()).prop_map(|(which, what)| Step::Deliver(which, what)),
        4 => any::<u8>().prop_map(Step::Cancel),
        6 => any::<u8>().prop_map(Step::Retry),
        1 => any::<u8>().prop_map(Step::Redo),
        4 => any::<u8>().prop_map(Step::Reanalyse),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(which, what)| Step::Name(which, what)),
        1 => (0..3_u8).prop_map(Step::Hold),
        1 => (0..3_u8).prop_map(Step::Release),
        1 => Just(Step::WakeFiles),
        1 => Just(Step::CancelLost),
        1 => Just(Step::NoticesSent),
        1 => Just(Step::Prune),
        1 => Just(Step::MarkRestored),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Crash),
        2 => (0..1000_u16).prop_map(Step::PowerCut),
    ]
}

/// How a recording gets to its deliveries; a case begins somewhere on the way, because chance alone seldom gets far.
const WAY: [Step; 5] =
    [Step::Take(0, 0, 0), Step::Claim, Step::Work(0, 2), Step::Work(0, 1), Step::Work(0, 5)];

/// A job, without what follows from the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    id: i64,
    content: String,
    generation: i64,
    path: String,
    stamp: i64,
    state: String,
    stage: Option<String>,
    waits_for: Option<String>,
    due: Option<i64>,
    attempts: i64,
    remote: String,
    version: i64,
    partial: bool,
    mail_held: bool,
    /// When it changed last.
    updated: i64,
    /// The names of its speakers, as JSON.
    names: Option<String>,
    /// Its attempt has begun.
    begun: bool,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owed {
    job: i64,
    version: i64,
    kind: String,
    target: String,
    state: String,
    attempts: i64,
    /// It was not made after all.
    kept: bool,
    /// A file was written.
    written: bool,
}

/// A file that was seen: path, stamp and job.
type Seen = (String, i64, Option<i64>);

/// Everything that the queue must remember.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct World {
    jobs: Vec<Row>,
    owed: Vec<Owed>,
    seen: Vec<Seen>,
    /// A content that was done, and its generation.
    finished: BTreeSet<(String, i64)>,
    /// The requests: job, analysis, and whether it was answered.
    asked: BTreeSet<(i64, String, bool)>,
    holds: BTreeSet<String>,
    notices: Vec<bool>,
    /// Analyses that the plan of a job wants.
    wanted: BTreeSet<(i64, String)>,
    /// Analyses whose results are there.
    reported: BTreeSet<(i64, String)>,
    /// Contents of forgotten jobs whose meeting is remembered, with their generation.
    evidence: BTreeSet<(String, i64)>,
    /// The recordings that were begun: day, job and milliseconds.
    begun: BTreeSet<(String, i64, i64)>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

/// Whether two contents have the same sound: the last two of the four do, the others have no name by their sound.
fn sound_alike(one: &str, other: &str) -> bool {
    let named = [2_u8, 3].map(|content| Content::from_hash(&blake3::hash(&[content])));
    [one, other].iter().all(|content| named.iter().any(|named| named.as_str() == *content))
}

/// The daily limit of the folder.
const LIMIT_MS: i64 = 10_000;

/// The length of a content's recording: 3, 6, 9 and 12 seconds, of which the last is longer than the limit of a day.
fn audio_of(content: &str) -> i64 {
    let named = |number: &u8| Content::from_hash(&blake3::hash(&[*number])).as_str() == content;
    i64::from((0..4_u8).find(named).expect("a content") + 1) * 3_000
}

fn milliseconds(second: i64) -> i64 {
    at(second).as_millisecond()
}

impl World {
    /// Reads it from the file itself.
    fn read(dir: &Path) -> Self {
        let file = rusqlite::Connection::open(dir.join(FILE)).expect("opened");
        let jobs = rows(
            &file,
            "SELECT id, content, generation, path, mtime_ns, state, stage, waits_for, due_ms, attempts, remote, \
             version, partial, mail_held, updated_ms, speaker_names, is_begun FROM job ORDER BY id",
            |row| {
                Ok(Row {
                    id: row.get(0)?,
                    content: row.get(1)?,
                    generation: row.get(2)?,
                    path: String::from_utf8(row.get(3)?).expect("UTF-8"),
                    stamp: row.get(4)?,
                    state: row.get(5)?,
                    stage: row.get(6)?,
                    waits_for: row.get(7)?,
                    due: row.get(8)?,
                    attempts: row.get(9)?,
                    remote: row.get(10)?,
                    version: row.get(11)?,
                    partial: row.get(12)?,
                    mail_held: row.get(13)?,
                    updated: row.get(14)?,
                    names: row.get(15)?,
                    begun: row.get(16)?,
                })
            },
        );
        let owed = rows(
            &file,
            "SELECT job_id, version, kind, target, state, attempts, state = 'done' AND error IS NOT NULL, \
             digest IS NOT NULL FROM delivery ORDER BY job_id, version, kind, target",
            |row| {
                Ok(Owed {
                    job: row.get(0)?,
                    version: row.get(1)?,
                    kind: row.get(2)?,
                    target: row.get(3)?,
                    state: row.get(4)?,
                    attempts: row.get(5)?,
                    kept: row.get(6)?,
                    written: row.get(7)?,
                })
            },
        );
        let seen =
            rows(&file, "SELECT path, mtime_ns, job_id FROM sighting ORDER BY path", |row| {
                Ok((String::from_utf8(row.get(0)?).expect("UTF-8"), row.get(1)?, row.get(2)?))
            });
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let wish = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let triple = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let triple_of_day = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Self {
            jobs,
            owed,
            seen,
            finished: rows(&file, "SELECT content, generation FROM finished", pair)
                .into_iter()
                .collect(),
            asked: rows(&file, "SELECT job_id, analysis, answered FROM request", triple)
                .into_iter()
                .collect(),
            holds: rows(&file, "SELECT name FROM hold", |row| row.get(0)).into_iter().collect(),
            notices: rows(&file, "SELECT sent_ms IS NOT NULL FROM notice ORDER BY id", |row| {
                row.get(0)
            }),
            wanted: rows(
                &file,
                "SELECT job.id, value FROM job, json_each(plan, '$.analyses')",
                wish,
            )
            .into_iter()
            .collect(),
            reported: rows(&file, "SELECT job_id, analysis FROM report", wish)
                .into_iter()
                .collect(),
            begun: rows(&file, "SELECT day, job_id, audio_ms FROM begun", triple_of_day)
                .into_iter()
                .collect(),
            evidence: rows(&file, "SELECT key FROM evidence", |row| row.get::<_, String>(0))
                .into_iter()
                .map(|key| key.parse::<Key>().expect("a key"))
                .map(|key| (key.content.as_str().to_owned(), i64::from(key.generation)))
                .collect(),
        }
    }

    fn job(&mut self, id: i64) -> &mut Row {
        self.jobs.iter_mut().find(|job| job.id == id).expect("it is there")
    }

    fn sort(&mut self) {
        self.owed.sort_by(|a, b| {
            (a.job, a.version, &a.kind, &a.target).cmp(&(b.job, b.version, &b.kind, &b.target))
        });
        self.seen.sort();
    }

    /// Whatever happens: a job that delivers has something to deliver, and nothing else has mails on their way.
    fn assert_sound(&self) {
        for job in &self.jobs {
            let mut owed =
                self.owed.iter().filter(|owed| owed.job == job.id && owed.state == "due");
            if job.stage.as_deref() == Some("deliver") {
                assert!(owed.next().is_some(), "nothing will ever finish {job:?}: {:?}", self.owed);
            }
            if job.state == "done" {
                let finished = self.finished.iter().any(|(content, _)| *content == job.content);
                assert!(finished, "{job:?} is not remembered");
            }
        }
    }
}

fn rows<T>(
    file: &rusqlite::Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = file.prepare(sql).expect("prepared");
    statement.query_map([], read).expect("asked").collect::<Result<_, _>>().expect("read")
}

/// What the model does. Each function is one operation of the queue, told in vectors.
impl World {
    fn next_id(&self, least: i64) -> i64 {
        self.jobs.iter().map(|job| job.id + 1).max().unwrap_or(1).max(least)
    }

    fn move_to(
        &mut self,
        id: i64,
        state: &str,
        stage: Option<&str>,
        waits_for: Option<&str>,
        due: Option<i64>,
        now: i64,
    ) {
        let job = self.job(id);
        state.clone_into(&mut job.state);
        job.stage = stage.map(str::to_owned);
        job.waits_for = waits_for.map(str::to_owned);
        job.due = due;
        job.updated = now;
    }

    fn take(&mut self, path: &str, content: &str, stamp: i64, least: i64, now: i64) -> i64 {
        let known = self.jobs.iter().filter(|job| job.content == content && job.state != "skipped");
        let known = known.max_by_key(|job| job.generation).cloned();
        let is_done = self.finished.iter().any(|(done, _)| done == content);
        let is_told = is_done || self.evidence.iter().any(|(told, _)| told == content);
        let known = known.or_else(|| self.known_by_sound(content).filter(|_| !is_told));
        let id = match known {
            None if is_done
                || !is_told && self.finished.iter().any(|(done, _)| sound_alike(done, content)) =>
            {
                self.skip(path, content, stamp, least, now)
            }
            None => {
                let before = self
                    .evidence
                    .iter()
                    .filter(|(known, _)| known == content)
                    .map(|(_, last)| *last)
                    .max();
                let id =
                    self.insert(path, content, before.unwrap_or(1), "ready", stamp, least, now);
                self.job(id).mail_held = before.is_some();
                id
            }
            Some(job) if job.waits_for.as_deref() == Some("file") => {
                self.place(job.id, path, stamp);
                self.move_to(job.id, "ready", job.stage.as_deref(), None, Some(now), now);
                job.id
            }
            Some(job)
                if ["failed", "cancelled"].contains(&job.state.as_str())
                    && !self.seen.contains(&(path.to_owned(), stamp, Some(job.id))) =>
            {
                self.place(job.id, path, stamp);
                self.resume(job.id, false, now);
                job.id
            }
            Some(job) if job.path == path => {
                if job.state != "done" {
                    self.place(job.id, path, stamp);
                }
                job.id
            }
            Some(_) => self.skip(path, content, stamp, least, now),
        };
        let superseded: Vec<i64> = self
            .jobs
            .iter()
            .filter(|job| job.path == path && job.id != id && job.state != "running")
            .filter(|job| ["create", "upload"].contains(&job.stage.as_deref().unwrap_or_default()))
            .map(|job| job.id)
            .collect();
        for other in superseded {
            self.move_to(other, "cancelled", None, None, None, now);
        }
        self.seen.retain(|(seen, ..)| seen != path);
        self.seen.push((path.to_owned(), stamp, Some(id)));
        id
    }

    /// The job with the sound of a content, one that failed or was cancelled only where there is no other.
    fn known_by_sound(&self, content: &str) -> Option<Row> {
        let alike = self
            .jobs
            .iter()
            .filter(|job| sound_alike(&job.content, content) && job.state != "skipped");
        alike
            .max_by_key(|job| (!["failed", "cancelled"].contains(&job.state.as_str()), job.id))
            .cloned()
    }

    fn place(&mut self, id: i64, path: &str, stamp: i64) {
        let job = self.job(id);
        path.clone_into(&mut job.path);
        job.stamp = stamp;
    }

    #[expect(clippy::too_many_arguments, reason = "a row of that many columns")]
    fn insert(
        &mut self,
        path: &str,
        content: &str,
        generation: i64,
        state: &str,
        stamp: i64,
        least: i64,
        now: i64,
    ) -> i64 {
        let ready = state == "ready";
        let id = self.next_id(least);
        self.jobs.push(Row {
            id,
            content: content.to_owned(),
            generation,
            path: path.to_owned(),
            stamp,
            state: state.to_owned(),
            stage: ready.then(|| "create".to_owned()),
            waits_for: None,
            due: ready.then_some(now),
            attempts: 0,
            remote: "nothing".to_owned(),
            version: 0,
            partial: false,
            mail_held: false,
            names: None,
            begun: false,
            updated: now,
        });
        id
    }

    fn skip(&mut self, path: &str, content: &str, stamp: i64, least: i64, now: i64) -> i64 {
        let there = self
            .jobs
            .iter()
            .find(|job| job.state == "skipped" && job.path == path && job.content == content);
        let id = match there {
            Some(job) => job.id,
            None => self.insert(path, content, 1, "skipped", stamp, least, now),
        };
        let job = self.job(id);
        (job.stamp, job.updated) = (stamp, now);
        id
    }

    fn gone(&mut self, path: &str, now: i64) {
        self.seen.retain(|(seen, ..)| seen != path);
        let lost: Vec<Row> = self
            .jobs
            .iter()
            .filter(|job| job.path == path && job.stage.is_some())
            .cloned()
            .collect();
        for job in lost {
            let stage = job.stage.clone().expect("filtered");
            let waits = job.state == "ready" || job.waits_for.as_deref() == Some("retry");
            if !self.adopt_copy(job.id, &job.content)
                && waits
                && ["create", "upload"].contains(&stage.as_str())
            {
                self.move_to(job.id, "waiting", Some(&stage), Some("file"), None, now);
            }
        }
    }

    /// A copy that still lies there takes the place of the file; which one, where there are several, is the queue's
    /// choice, and the model looks which it was.
    fn adopt_copy(&mut self, id: i64, content: &str) -> bool {
        let mut copies = self.jobs.iter().filter(|job| {
            job.state == "skipped" && self.seen.iter().any(|(_, _, seen)| *seen == Some(job.id))
        });
        let copy = copies.clone().find(|job| job.content == content);
        let copy = copy.or_else(|| copies.find(|job| sound_alike(&job.content, content)));
        let Some(copy) = copy.cloned() else { return false };
        for seen in self.seen.iter_mut().filter(|(_, _, seen)| *seen == Some(copy.id)) {
            seen.2 = Some(id);
        }
        self.remove_jobs(&[copy.id]);
        self.place(id, &copy.path, copy.stamp);
        true
    }

    /// Removes jobs with all that is recorded of them.
    fn remove_jobs(&mut self, ids: &[i64]) {
        self.jobs.retain(|job| !ids.contains(&job.id));
        self.owed.retain(|owed| !ids.contains(&owed.job));
        self.asked.retain(|(job, ..)| !ids.contains(job));
        self.wanted.retain(|(job, _)| !ids.contains(job));
        self.reported.retain(|(job, _)| !ids.contains(job));
    }

    /// The day's usage: that of days to come counts on it, and of those before only the last is kept.
    fn turn_to_day(&mut self, today: Date) {
        let day = today.to_string();
        let before = (today - 1.day()).to_string();
        let later: Vec<_> = self.begun.iter().filter(|(other, ..)| *other > day).cloned().collect();
        for (_, job, ms) in later {
            if !self.begun.iter().any(|(other, known, _)| (other, known) == (&day, &job)) {
                self.begun.insert((day.clone(), job, ms));
            }
        }
        self.begun.retain(|(other, ..)| *other <= day && *other >= before);
    }

    fn claim(&mut self, today: Date, now: i64) -> Option<i64> {
        self.turn_to_day(today);
        let day = today.to_string();
        let used: Vec<_> = self.begun.iter().filter(|(begun, ..)| *begun == day).collect();
        let sum: i64 = used.iter().map(|(_, _, ms)| ms).sum();
        let fits = |job: &&Row| {
            let sends = ["create", "upload"].contains(&job.stage.as_deref().unwrap_or_default());
            !sends
                || job.begun
                || used.is_empty()
                || used.iter().any(|(_, begun, _)| *begun == job.id)
                || sum + audio_of(&job.content) <= LIMIT_MS
        };
        let ready = self.jobs.iter().filter(|job| job.due.is_some_and(|due| due <= now));
        let ready = ready.filter(|job| job.stage.as_deref() != Some("deliver")).filter(fits);
        let next = ready.min_by_key(|job| (job.due, job.id)).cloned()?;
        self.move_to(next.id, "running", next.stage.as_deref(), None, None, now);
        if next.stage.as_deref() != Some("analyse") && !next.begun {
            self.job(next.id).begun = true;
            if !self.begun.iter().any(|(begun, job, _)| (begun, *job) == (&day, next.id)) {
                self.begun.insert((day, next.id, audio_of(&next.content)));
            }
        }
        Some(next.id)
    }

    /// A job goes on from what exists, with its attempts before it.
    fn resume(&mut self, id: i64, release: bool, now: i64) {
        let job = self.job(id).clone();
        for owed in self.owed.iter_mut().filter(|owed| owed.job == id) {
            let once = ["failure", "dispose", "remote"].contains(&owed.kind.as_str());
            match owed.state.as_str() {
                "due" | "failed" if once => "cancelled".clone_into(&mut owed.state),
                "due" | "failed" | "cancelled" | "withheld"
                    if !once && owed.version == job.version =>
                {
                    "due".clone_into(&mut owed.state);
                    owed.attempts = 0;
                }
                "held" if release && !once && owed.version == job.version => {
                    "due".clone_into(&mut owed.state);
                    owed.attempts = 0;
                }
                _ => {}
            }
        }
        let current = |owed: &&Owed| owed.job == id && owed.version == job.version;
        let delivers = self
            .owed
            .iter()
            .filter(current)
            .any(|owed| ["notes", "mail"].contains(&owed.kind.as_str()))
            && self
                .wanted
                .iter()
                .filter(|(job, _)| *job == id)
                .all(|wanted| self.reported.contains(wanted));
        let from = match (&job.stage, job.remote.as_str()) {
            (Some(stage), _) => stage.clone(),
            (None, "nothing" | "creating") => "create".to_owned(),
            (None, "meeting") => "upload".to_owned(),
            (None, _) if delivers && !job.partial => "deliver".to_owned(),
            (None, _) => "analyse".to_owned(),
        };
        self.job(id).attempts = 0;
        self.job(id).begun = false;
        self.move_to(id, "ready", Some(&from), None, Some(now), now);
    }

    /// Takes back what the service has, as far as the next attempt makes it anew.
    fn back_to(&mut self, id: i64, from: Stage) {
        let job = self.job(id).clone();
        if from == Stage::Create {
            self.evidence.remove(&(job.content, job.generation));
        }
        let job = self.job(id);
        match (from, job.remote.as_str()) {
            (Stage::Create, remote) if remote != "creating" => {
                "nothing".clone_into(&mut job.remote);
            }
            (Stage::Upload, "uploaded") => "meeting".clone_into(&mut job.remote),
            (Stage::Create | Stage::Upload | Stage::Analyse | Stage::Deliver, _) => {}
        }
    }

    fn owe(&mut self, id: i64, deliveries: &[NewDelivery]) {
        let version = self.job(id).version;
        for new in deliveries {
            self.owed.push(Owed {
                job: id,
                version,
                kind: new.kind.as_str().to_owned(),
                target: new.target.clone(),
                state: if new.held { "held" } else { "due" }.to_owned(),
                attempts: 0,
                kept: false,
                written: false,
            });
        }
        let job = self.job(id).clone();
        let told = self.owed.iter().any(|owed| owed.job == id && owed.kind == "failure")
            || self.evidence.contains(&(job.content, job.generation));
        if told && !deliveries.iter().any(|new| new.kind == DeliveryKind::Failure) {
            let kind = "clear".to_owned();
            let state = "due".to_owned();
            self.owed.push(Owed {
                job: id,
                version,
                kind,
                target: String::new(),
                state,
                attempts: 0,
                kept: false,
                written: false,
            });
        }
    }

    /// Moves a job that delivers on when nothing is due any more.
    fn settle(&mut self, id: i64, endings: Endings, now: i64) {
        let job = self.job(id).clone();
        let mine: Vec<&Owed> = self.owed.iter().filter(|owed| owed.job == id).collect();
        if job.stage.as_deref() != Some("deliver") || mine.iter().any(|owed| owed.state == "due") {
            return;
        }
        let current = |owed: &&&Owed| owed.version == job.version;
        let failed = mine.iter().filter(current).any(|owed| owed.state == "failed");
        let begun = |kind: &str| {
            mine.iter().filter(current).any(|owed| owed.kind == kind && owed.state != "cancelled")
        };
        let held = mine.iter().any(|owed| owed.state == "held");
        let is_delivered =
            |owed: &&Owed| ["notes", "mail"].contains(&owed.kind.as_str()) && owed.state == "done";
        let has_readers = mine.iter().any(is_delivered);
        let all = [
            ("dispose", endings.recording.map(PostDelivery::as_str)),
            ("remote", endings.remote.map(RemoteCleanup::as_str)),
        ];
        let next = all
            .into_iter()
            .filter_map(|(kind, what)| Some((kind, what?)))
            .find(|(kind, _)| !begun(kind));
        if failed {
            self.move_to(id, "failed", None, None, None, now);
        } else if let Some((kind, what)) = next.filter(|_| !held && has_readers) {
            let kind = kind.to_owned();
            let target = what.to_owned();
            let version = job.version;
            let state = "due".to_owned();
            // One that was given up comes anew in its own row.
            self.owed.retain(|owed| (owed.job, owed.version) != (id, version) || owed.kind != kind);
            self.owed.push(Owed {
                job: id,
                version,
                kind,
                target,
                state,
                attempts: 0,
                kept: false,
                written: false,
            });
        } else {
            self.move_to(id, "done", None, None, None, now);
            self.finish(id);
        }
    }

    /// The plan that a meeting is made with.
    fn plan(&mut self, id: i64) {
        self.wanted.retain(|(job, _)| *job != id);
        self.wanted
            .extend(plan().analyses.iter().map(|analysis| (id, analysis.as_str().to_owned())));
    }

    fn report(&mut self, id: i64) {
        self.reported.insert((id, report().analysis.as_str().to_owned()));
    }

    fn finish(&mut self, id: i64) {
        let content = self.job(id).content.clone();
        let generation = self.job(id).generation;
        let before = self
            .finished
            .iter()
            .find(|(done, _)| *done == content)
            .map_or(0, |(_, before)| *before);
        self.finished.retain(|(done, _)| *done != content);
        self.finished.insert((content, generation.max(before)));
    }
}

/// A queue, its model, and what the model was after each operation.
struct Bench {
    dir: tempfile::TempDir,
    queue: Store,
    world: World,
    /// What the world was after each operation since the log was begun.
    before: Vec<World>,
    /// Jobs in the hands of workers, as those know them.
    hands: Vec<Job>,
    /// Numbers of jobs are never used again.
    least: i64,
    now: i64,
    /// The local day.
    day: Date,
}

fn plan() -> Plan {
    Plan {
        service: "paxs".into(),
        title: "Talk".into(),
        attendees: Vec::new(),
        analyses: vec![Analysis::Transcription],
        instruction: None,
        language: None,
        speakers: crate::config::Speakers::Auto,
        meeting_type: MeetingType::Group,
        silent: false,
        details_source: DetailsSource::default(),
        calendar: None,
    }
}

fn report() -> Report {
    Report {
        analysis: Analysis::Transcription,
        status: Status::Completed,
        id: None,
        findings: Findings {
            segments: vec![Segment { speaker: Some("Speaker 1".into()), ..Segment::default() }],
            ..Findings::default()
        },
        error: None,
        raw: "{}".into(),
    }
}

fn new(kind: DeliveryKind, target: &str) -> NewDelivery {
    NewDelivery { kind, target: target.into(), held: false }
}

/// What comes after all other deliveries: each ending in every other case, both in every fourth.
fn endings(what: u8) -> Endings {
    Endings {
        recording: what.is_multiple_of(2).then_some(PostDelivery::Move),
        remote: (what / 2).is_multiple_of(2).then_some(RemoteCleanup::Purge),
        delete_after: None,
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Store::open(dir.path()).expect("opened");
        let world = World::default();
        let before = vec![world.clone()];
        let day = date(2026, 11, 30);
        Self { dir, queue, before, world, hands: Vec::new(), least: 1, now: 0, day }
    }

    fn now(&self) -> Timestamp {
        at(self.now)
    }

    fn now_ms(&self) -> i64 {
        milliseconds(self.now)
    }

    async fn step(&mut self, step: &Step) {
        self.now += 1;
        match step {
            Step::Take(path, content, stamp) => self.take(*path, *content, *stamp).await,
            Step::Gone(path) => {
                let path = format!("{path}.wav");
                self.queue
                    .files()
                    .record_missing(FOLDER, vec![path.clone().into()], self.now())
                    .await
                    .expect("recorded");
                self.world.gone(&path, self.now_ms());
            }
            Step::Claim => self.claim().await,
            Step::Day(true) => self.day += 1.day(),
            Step::Day(false) => self.day -= 1.day(),
            Step::Work(hand, what) => self.work(*hand, *what).await,
            Step::Deliver(which, what) => self.deliver(*which, *what).await,
            Step::Cancel(which) => self.cancel(*which).await,
            Step::Retry(which) => self.retry(*which).await,
            Step::Redo(which) => self.redo(*which).await,
            Step::Reanalyse(which) => self.reanalyse(*which).await,
            Step::Name(which, what) => self.name(*which, *what).await,
            Step::Hold(name) => self.hold(*name).await,
            Step::Release(name) => {
                let name = format!("service {name}");
                let was = self
                    .queue
                    .holds()
                    .release(Scope::Service, &name, &[HoldReason::Down])
                    .await
                    .expect("released");
                assert_eq!(was, self.world.holds.remove(&name));
            }
            Step::WakeFiles => self.wake_files().await,
            Step::CancelLost => self.cancel_lost().await,
            Step::NoticesSent => {
                self.queue.holds().mark_notices_sent(i64::MAX, self.now()).await.expect("recorded");
                self.world.notices.fill(true);
            }
            Step::Prune => self.prune().await,
            Step::MarkRestored => self.mark_restored().await,
            Step::Checkpoint => {
                self.queue.checkpoint().await.expect("made");
                self.before.clear();
            }
            Step::Crash => self.crash().await,
            Step::PowerCut(thousandths) => self.power_cut(*thousandths),
        }
        self.settle_idle().await;
        self.world.sort();
        self.least = self.world.next_id(self.least);
        assert_eq!(World::read(self.dir.path()), self.world, "after {step:?}");
        self.world.assert_sound();
        self.before.push(self.world.clone());
    }

    /// What the daemon does now and then.
    async fn settle_idle(&mut self) {
        for (job, _) in self.queue.deliveries().list_idle().await.expect("read") {
            self.world.sort();
            self.before.push(self.world.clone());
            self.queue
                .deliveries()
                .settle_job(job, Endings::default(), self.now())
                .await
                .expect("settled");
            let now = self.now_ms();
            self.world.settle(job.0, Endings::default(), now);
        }
    }

    async fn take(&mut self, path: u8, content: u8, stamp: u8) {
        let path = format!("{path}.wav");
        let content = Content::from_hash(&blake3::hash(&[content]));
        let settled = Settled {
            folder: FOLDER.into(),
            path: path.clone().into(),
            stamp: Stamp { size: 5, mtime_ns: stamp.into(), inode: 1 },
            content: Some(content.clone()),
            sound: sound_alike(content.as_str(), content.as_str())
                .then(|| Sound::from_hash(&blake3::hash(b"sound"))),
            recorded: at(0),
            backlog: false,
            unplayable: None,
            length_max: None,
            length: Some(Duration::from_millis(audio_of(content.as_str()).unsigned_abs())),
        };
        let taken =
            self.queue.files().take(vec![settled], String::new(), self.now()).await.expect("taken");
        let least = self.least;
        let now = self.now_ms();
        let expected = self.world.take(&path, content.as_str(), stamp.into(), least, now);
        assert_eq!(taken[0].job.0, expected);
    }

    /// Asks for jobs of the folder, which has a daily limit.
    fn request(&self, stages: Vec<Stage>) -> super::ClaimRequest {
        let limits = DailyLimits {
            day: self.day,
            service: "paxs".to_owned(),
            folder_max: Some(Duration::from_millis(LIMIT_MS.unsigned_abs())),
            service_max: None,
        };
        super::ClaimRequest {
            limits: Some(limits),
            ..super::ClaimRequest::of_folder(FOLDER, stages)
        }
    }

    async fn claim(&mut self) {
        let stages = vec![Stage::Create, Stage::Upload, Stage::Analyse];
        let claimed =
            self.queue.jobs().claim(self.request(stages), self.now()).await.expect("claimed");
        let expected = self.world.claim(self.day, self.now_ms());
        assert_eq!(claimed.as_ref().map(|job| job.id.0), expected);
        self.hands.extend(claimed);
    }

    /// A worker, which may be behind the times, records what became of its job.
    async fn work(&mut self, hand: u8, what: u8) {
        // Jobs in analysis are in everybody's hands.
        let waiting: Vec<i64> = self
            .world
            .jobs
            .iter()
            .filter(|job| job.waits_for.as_deref() == Some("analysis"))
            .map(|job| job.id)
            .collect();
        for id in waiting {
            if !self.hands.iter().any(|job| job.id.0 == id) {
                self.hands.extend(self.queue.jobs().find(JobId(id)).await.expect("read"));
            }
        }
        if self.hands.is_empty() {
            return;
        }
        let job = self.hands.remove(usize::from(hand) % self.hands.len());
        let row = self.world.jobs.iter().find(|row| row.id == job.id.0).cloned();
        let (stage, waits_for) = match &job.state {
            State::Running { stage } => (*stage, None),
            State::Waiting { stage, .. } => (*stage, Some("analysis")),
            State::Ready { .. }
            | State::Done
            | State::Failed
            | State::Skipped
            | State::Cancelled => {
                unreachable!("nobody works on {job:?}")
            }
        };
        let current = row.as_ref().is_some_and(|row| {
            row.state == job.state.shown_state().as_str()
                && row.stage.as_deref() == Some(stage.as_str())
                && row.waits_for.as_deref() == waits_for
        });
        let done = match (stage, waits_for) {
            (Stage::Create, _) => self.create(&job, what, current).await,
            (Stage::Upload, _) => self.upload(&job, what, current).await,
            (Stage::Analyse, None) => self.take_up(&job, what, current).await,
            (Stage::Analyse, Some(_)) => self.look(&job, what, current).await,
            (Stage::Deliver, _) => unreachable!("nobody claims a delivery"),
        };
        match done {
            Ok(()) => assert!(current, "{job:?} was changed meanwhile"),
            Err(StoreError::Moved { job: moved }) => {
                assert!(!current && moved == job.id, "{job:?} was not changed");
                return;
            }
            Err(error) => panic!("{error:?} for {job:?}"),
        }
        if let Some(job) = self.queue.jobs().find(job.id).await.expect("read")
            && matches!(job.state, State::Running { .. })
        {
            self.hands.push(job);
        }
    }

    async fn create(&mut self, job: &Job, what: u8, current: bool) -> Result<(), StoreError> {
        let id = job.id.0;
        let now = self.now();
        let ms = self.now_ms();
        match what % 7 {
            0 => {
                self.queue.stages().intend_create(job, &plan(), now).await?;
                let row = self.world.job(id);
                "creating".clone_into(&mut row.remote);
                row.updated = ms;
                self.world.plan(id);
            }
            1 => {
                self.queue.stages().abort_create(job).await?;
                let row = self.world.job(id);
                if row.remote == "creating" {
                    "nothing".clone_into(&mut row.remote);
                    self.world.wanted.retain(|(job, _)| *job != id);
                }
            }
            2 | 3 => {
                self.queue
                    .stages()
                    .record_meeting(job, &plan(), "m", EventKind::MeetingCreated, now)
                    .await?;
                "meeting".clone_into(&mut self.world.job(id).remote);
                self.world.plan(id);
                self.world.move_to(id, "running", Some("upload"), None, None, ms);
            }
            4 => {
                self.queue.stages().record_existing_notes(job, "here", now).await?;
                self.world.move_to(id, "done", None, None, None, ms);
                self.world.finish(id);
            }
            other => return self.set_back(job, &[Stage::Create], other + what / 7, current).await,
        }
        Ok(())
    }

    async fn upload(&mut self, job: &Job, what: u8, current: bool) -> Result<(), StoreError> {
        let id = job.id.0;
        let now = self.now();
        let ms = self.now_ms();
        if !what.is_multiple_of(3) {
            self.queue.stages().record_upload(job, "r", EventKind::RecordingUploaded, now).await?;
            "uploaded".clone_into(&mut self.world.job(id).remote);
            self.world.asked.retain(|(job, ..)| *job != id);
            self.world.move_to(id, "waiting", Some("analyse"), Some("analysis"), None, ms);
            return Ok(());
        }
        self.set_back(job, &[Stage::Create, Stage::Upload], what / 3, current).await
    }

    /// A failure that counts or not; a file that is gone.
    async fn set_back(
        &mut self,
        job: &Job,
        from: &[Stage],
        what: u8,
        current: bool,
    ) -> Result<(), StoreError> {
        let id = job.id.0;
        let now = self.now();
        let ms = self.now_ms();
        let from = from[usize::from(what) / 5 % from.len()];
        match what % 5 {
            4 => {
                self.queue.stages().skip(job, super::SkipReason::NoSound, now).await?;
                self.world.move_to(id, "skipped", None, None, None, ms);
                self.world.job(id).version += 1;
                self.world.owe(id, &[]);
            }
            0 => {
                self.queue.stages().retry_later(job, from, now, "failed", now).await?;
                self.world.back_to(id, from);
                self.world.job(id).attempts += 1;
                self.world.job(id).begun = false;
                self.world.move_to(id, "waiting", Some(from.as_str()), Some("retry"), Some(ms), ms);
            }
            1 => self.fail(job, from, false).await?,
            2 if matches!(job.state, State::Running { .. }) => {
                self.queue.stages().snooze(job, now, None, now).await?;
                let stage = job.state.stage().expect("it runs");
                self.world.move_to(id, "ready", Some(stage.as_str()), None, Some(ms), ms);
            }
            _ if matches!(job.state, State::Running { stage: Stage::Create | Stage::Upload }) => {
                // A copy is looked for first, whoever has the job.
                let stage = job.state.stage().expect("it runs");
                self.queue.stages().lose_file(job, "gone", now).await?;
                if what.is_multiple_of(2) {
                    // Its bytes changed behind its stamp.
                    self.queue.files().reconsider_file(job).await?;
                }
                let moved = self.world.job(id).stamp != job.stamp.mtime_ns;
                let content = job.key.content.as_str().to_owned();
                let path = self.world.job(id).path.clone();
                let other = |(seen, _, by): &Seen| *seen == path && by.is_some_and(|by| by != id);
                let superseded = self.world.seen.iter().any(other);
                if current && (self.world.adopt_copy(id, &content) || moved) {
                    self.world.move_to(id, "ready", Some(stage.as_str()), None, Some(ms), ms);
                } else if current && superseded {
                    self.world.move_to(id, "cancelled", None, None, None, ms);
                } else if current {
                    self.world.move_to(id, "waiting", Some(stage.as_str()), Some("file"), None, ms);
                }
                if what.is_multiple_of(2) {
                    let path = job.path.to_string_lossy();
                    let stamp = job.stamp.mtime_ns;
                    self.world
                        .seen
                        .retain(|(seen, at, by)| *seen != path || *at != stamp || *by != Some(id));
                }
            }
            _ => self.fail(job, from, true).await?,
        }
        Ok(())
    }

    async fn fail(&mut self, job: &Job, from: Stage, partial: bool) -> Result<(), StoreError> {
        let mut deliveries = vec![new(DeliveryKind::Failure, "")];
        deliveries.extend(partial.then(|| new(DeliveryKind::Notes, "md")));
        let failure = Failure {
            error: "failed".into(),
            from,
            reports: if partial { vec![report()] } else { Vec::new() },
            deliveries: deliveries.clone(),
            notice: "failed".into(),
        };
        self.queue.stages().fail(job, failure, self.now()).await?;
        let id = job.id.0;
        let ms = self.now_ms();
        self.world.move_to(id, "failed", None, None, None, ms);
        self.world.back_to(id, from);
        let row = self.world.job(id);
        (row.version, row.partial, row.attempts) = (row.version + 1, partial, row.attempts + 1);
        row.begun = false;
        if partial {
            self.world.report(id);
        }
        self.world.owe(id, &deliveries);
        self.world.notices.push(false);
        Ok(())
    }

    /// A claimed job goes on with its analysis.
    async fn take_up(&mut self, job: &Job, what: u8, current: bool) -> Result<(), StoreError> {
        match what % 3 {
            0 => self.ask(job, what / 3).await,
            1 => {
                self.queue.stages().await_results(job, self.now()).await?;
                let ms = self.now_ms();
                self.world.move_to(
                    job.id.0,
                    "waiting",
                    Some("analyse"),
                    Some("analysis"),
                    None,
                    ms,
                );
                Ok(())
            }
            _ => self.set_back(job, &[Stage::Upload, Stage::Analyse], what / 3, current).await,
        }
    }

    async fn ask(&mut self, job: &Job, what: u8) -> Result<(), StoreError> {
        let id = job.id.0;
        let now = self.now();
        let ms = self.now_ms();
        let analysis = [Analysis::KeyPoints, Analysis::MeetingNote][usize::from(what / 3 % 2)];
        let entry = |answered| (id, analysis.as_str().to_owned(), answered);
        match what % 3 {
            0 => {
                self.queue.stages().intend_request(job, vec![(analysis, Vec::new())], now).await?;
                self.world.asked.remove(&entry(true));
                self.world.asked.insert(entry(false));
            }
            1 => self.queue.stages().abort_request(job, vec![analysis]).await?,
            _ => {
                self.queue.stages().record_request(job, vec![analysis], now).await?;
                if self.world.asked.remove(&entry(false)) {
                    self.world.asked.insert(entry(true));
                }
                self.world.move_to(id, "waiting", Some("analyse"), Some("analysis"), None, ms);
            }
        }
        Ok(())
    }

    async fn look(&mut self, job: &Job, what: u8, current: bool) -> Result<(), StoreError> {
        match what % 4 {
            0 => self.ask(job, what / 4).await,
            1 | 2 => self.analysed(job, what / 4).await,
            _ if what / 4 % 4 == 2 => self.ask(job, what / 16).await,
            _ => self.set_back(job, &[Stage::Upload, Stage::Analyse], what / 4, current).await,
        }
    }

    async fn analysed(&mut self, job: &Job, what: u8) -> Result<(), StoreError> {
        let held = job.mail_held;
        let mail = NewDelivery { held, ..new(DeliveryKind::Mail, "ann@example.com") };
        let all = [new(DeliveryKind::Notes, "md"), mail];
        let deliveries = all[usize::from(what % 3 / 2)..].to_vec();
        let deliveries = if what.is_multiple_of(7) { Vec::new() } else { deliveries };
        let endings = endings(what);
        let analysed =
            Analysed { reports: vec![report()], deliveries: deliveries.clone(), endings };
        self.queue.stages().record_results(job, analysed, self.now()).await?;
        let id = job.id.0;
        let ms = self.now_ms();
        self.world.move_to(id, "ready", Some("deliver"), None, Some(0), ms);
        let row = self.world.job(id);
        (row.version, row.partial) = (row.version + 1, false);
        self.world.report(id);
        self.world.owe(id, &deliveries);
        self.world.settle(id, endings, ms);
        Ok(())
    }

    async fn deliver(&mut self, which: u8, what: u8) {
        let now = self.now();
        let mut due: Vec<Delivery> = Vec::new();
        for lane in Lane::ALL {
            due.extend(self.queue.deliveries().list_due(lane, now, 99).await.expect("read"));
        }
        let expected = self.world.owed.iter().filter(|owed| owed.state == "due").count();
        assert_eq!(due.len(), expected);
        if due.is_empty() {
            return;
        }
        let delivery = due.swap_remove(usize::from(which) % due.len());
        let endings = endings(what / 5);
        let mut is_written = false;
        let (state, tried) = match what % 5 {
            4 if delivery.kind == DeliveryKind::Mail => {
                self.queue
                    .deliveries()
                    .withhold(&delivery, "not allowed", endings, now)
                    .await
                    .expect("recorded");
                ("withheld", 0)
            }
            0 => {
                self.queue
                    .deliveries()
                    .retry_later(&delivery, now, "later", now)
                    .await
                    .expect("recorded");
                ("due", 1)
            }
            1 => {
                let failed = self
                    .queue
                    .deliveries()
                    .record_failure(&delivery, "failed", "failed".into(), endings, now)
                    .await;
                failed.expect("recorded");
                self.world.notices.push(false);
                ("failed", 1)
            }
            _ => {
                // Without a place it is as if a person had deleted the file; the failure has one, so that it is cleared.
                let writes = match delivery.kind {
                    DeliveryKind::Failure => true,
                    DeliveryKind::Notes => what < 128,
                    DeliveryKind::Mail
                    | DeliveryKind::Clear
                    | DeliveryKind::Dispose
                    | DeliveryKind::Remote => false,
                };
                let written = writes.then(|| super::Written {
                    base: "/".into(),
                    path: "talk.txt".into(),
                    digest: "x".into(),
                });
                is_written = written.is_some();
                self.queue
                    .deliveries()
                    .record_done(&delivery, written, endings, now)
                    .await
                    .expect("recorded");
                ("done", 0)
            }
        };
        let owed = self.world.owed.iter_mut().find(|owed| {
            (owed.job, owed.version) == (delivery.job.0, delivery.version.into())
                && (owed.kind.as_str(), &owed.target) == (delivery.kind.as_str(), &delivery.target)
        });
        let owed = owed.expect("it is owed");
        state.clone_into(&mut owed.state);
        owed.kept =
            state == "done" && delivery.kind == DeliveryKind::Remote && endings.remote.is_none();
        owed.attempts += tried;
        owed.written |= is_written;
        if state != "due" {
            let now = self.now_ms();
            self.world.settle(delivery.job.0, endings, now);
        }
        // Whoever is behind the times changes nothing.
        if state != "due" {
            let late =
                self.queue.deliveries().record_done(&delivery, None, Endings::default(), now).await;
            assert!(matches!(late, Err(StoreError::Moved { .. })), "{late:?}");
        }
    }

    /// One of the jobs, skipped files included.
    fn any(&self, which: u8) -> Option<Row> {
        let jobs = &self.world.jobs;
        (!jobs.is_empty()).then(|| jobs[usize::from(which) % jobs.len()].clone())
    }

    async fn cancel(&mut self, which: u8) {
        let Some(row) = self.any(which) else { return };
        let done = self.queue.jobs().cancel(JobId(row.id), self.now()).await.is_ok();
        let allowed = !["done", "skipped", "cancelled"].contains(&row.state.as_str());
        assert_eq!(done, allowed, "{row:?}");
        if allowed {
            let ms = self.now_ms();
            self.world.move_to(row.id, "cancelled", None, None, None, ms);
            for owed in
                self.world.owed.iter_mut().filter(|owed| owed.job == row.id && owed.state == "due")
            {
                "cancelled".clone_into(&mut owed.state);
            }
        }
    }

    async fn retry(&mut self, which: u8) {
        let Some(row) = self.any(which) else { return };
        let done = self.queue.jobs().retry(JobId(row.id), self.now()).await.is_ok();
        if row.state == "done" {
            let mut released = 0;
            let all = self.world.owed.clone();
            let is_latest = |owed: &Owed| {
                let later = |other: &&Owed| {
                    (other.job, &other.kind, &other.target) == (owed.job, &owed.kind, &owed.target)
                };
                !all.iter().filter(later).any(|other| other.version > owed.version)
            };
            let waits = |owed: &&mut Owed| {
                owed.job == row.id
                    && (owed.state == "held" || owed.state == "withheld" && is_latest(owed))
            };
            for owed in self.world.owed.iter_mut().filter(waits) {
                "due".clone_into(&mut owed.state);
                released += 1;
            }
            assert_eq!(done, released > 0, "{row:?}");
            if released > 0 {
                self.world.job(row.id).mail_held = false;
                let ms = self.now_ms();
                self.world.move_to(row.id, "ready", Some("deliver"), None, Some(ms), ms);
            }
            return;
        }
        let allowed = ["failed", "cancelled", "ready"].contains(&row.state.as_str())
            || ["retry", "file"].contains(&row.waits_for.as_deref().unwrap_or_default());
        assert_eq!(done, allowed, "{row:?}");
        if allowed {
            self.world.job(row.id).mail_held = false;
            let ms = self.now_ms();
            self.world.resume(row.id, true, ms);
        }
    }

    async fn redo(&mut self, which: u8) {
        let Some(row) = self.any(which) else { return };
        let made = self.queue.jobs().redo(JobId(row.id), 0, self.now()).await.ok();
        let latest = self
            .world
            .jobs
            .iter()
            .filter(|job| job.content == row.content && job.state != "skipped");
        let latest = latest.max_by_key(|job| job.generation).cloned();
        let is_over = |row: &Row| row.stage.is_none();
        let allowed = is_over(&row) && latest.as_ref().is_none_or(is_over);
        assert_eq!(made.is_some(), allowed, "{row:?}");
        if let Some(made) = made {
            let told = self.world.finished.iter().chain(&self.world.evidence);
            let told = told
                .filter(|(content, _)| *content == row.content)
                .map(|(_, generation)| *generation);
            let generation =
                told.chain(latest.map(|latest| latest.generation)).fold(row.generation, i64::max)
                    + 1;
            let least = self.least;
            let ms = self.now_ms();
            let id = self.world.insert(
                &row.path,
                &row.content,
                generation,
                "ready",
                row.stamp,
                least,
                ms,
            );
            assert_eq!(made.0, id);
            for seen in self.world.seen.iter_mut().filter(|(_, _, seen)| *seen == Some(row.id)) {
                seen.2 = Some(id);
            }
        }
    }

    async fn reanalyse(&mut self, which: u8) {
        let Some(row) = self.any(which) else { return };
        let analyses = vec![Analysis::KeyPoints];
        let done =
            self.queue.jobs().reanalyse(JobId(row.id), analyses, false, self.now()).await.is_ok();
        let is_deleted = self.world.owed.iter().any(|owed| {
            owed.job == row.id && owed.kind == "remote" && owed.state == "done" && !owed.kept
        });
        let allowed = row.state == "done" && row.remote == "uploaded" && !is_deleted;
        assert_eq!(done, allowed, "{row:?}");
        if allowed {
            let ms = self.now_ms();
            self.world.job(row.id).attempts = 0;
            self.world.wanted.insert((row.id, Analysis::KeyPoints.as_str().to_owned()));
            self.world.move_to(row.id, "ready", Some("analyse"), None, Some(ms), ms);
        }
    }

    async fn name(&mut self, which: u8, what: u8) {
        let Some(row) = self.any(which) else { return };
        let name = ["Ann", "Bo", ""][usize::from(what) % 3];
        let assignment = vec![format!("Speaker 1={name}")];
        let given =
            self.queue.jobs().name_speakers(JobId(row.id), assignment, self.now()).await.ok();
        let notes = |owed: &&Owed| owed.job == row.id && owed.kind == "notes";
        let mine: Vec<Owed> = self.world.owed.iter().filter(notes).cloned().collect();
        let names = (!name.is_empty()).then(|| format!("{{\"Speaker 1\":\"{name}\"}}"));
        let was_written =
            |new: &Owed| mine.iter().any(|owed| owed.target == new.target && owed.written);
        let is_written_first = mine.iter().any(|owed| owed.state == "due" && !was_written(owed));
        let has_labels = self.world.reported.iter().any(|(job, _)| *job == row.id);
        let allowed = has_labels && (names == row.names || !is_written_first);
        assert_eq!(given.is_some(), allowed, "{row:?}");
        if !allowed || names == row.names {
            return;
        }
        self.world.job(row.id).names = names;
        for owed in
            self.world.owed.iter_mut().filter(|owed| owed.job == row.id && owed.kind == "notes")
        {
            let due = owed.state == "due"
                || owed.written && ["done", "failed"].contains(&owed.state.as_str());
            let is_newer =
                |other: &&Owed| other.target == owed.target && other.version > owed.version;
            if due
                && !mine.iter().filter(is_newer).any(|newer| newer.written || newer.state == "due")
            {
                "due".clone_into(&mut owed.state);
                owed.attempts = 0;
            }
        }
        if row.state == "done" && mine.iter().any(|owed| owed.written) {
            let ms = self.now_ms();
            self.world.move_to(row.id, "ready", Some("deliver"), None, Some(ms), ms);
        }
    }

    async fn hold(&mut self, name: u8) {
        let name = format!("service {name}");
        let scope = Scope::Service;
        let reason = HoldReason::Down;
        let detail = String::new();
        let hold = Hold { scope, name: name.clone(), reason, detail, since: self.now() };
        let is_new = self.queue.holds().add(hold, Some("down".into())).await.expect("held");
        assert_eq!(is_new, self.world.holds.insert(name));
        self.world.notices.extend(is_new.then_some(false));
    }

    async fn wake_files(&mut self) {
        let woken =
            self.queue.folders().wake_files(FOLDER, self.now(), self.now()).await.expect("ran");
        let there = |job: &&Row| {
            self.world.seen.iter().any(|(path, _, seen)| *path == job.path && *seen == Some(job.id))
        };
        let waiting = self
            .world
            .jobs
            .iter()
            .filter(|job| job.waits_for.as_deref() == Some("file"))
            .filter(there);
        let waiting: Vec<Row> = waiting.cloned().collect();
        assert_eq!(woken, waiting.len());
        let ms = self.now_ms();
        for job in waiting {
            self.world.move_to(job.id, "ready", job.stage.as_deref(), None, Some(ms), ms);
        }
    }

    async fn cancel_lost(&mut self) {
        let cancelled =
            self.queue.folders().cancel_lost(FOLDER, self.now(), self.now()).await.expect("ran");
        let gone = |job: &&Row| {
            let own = |(path, _, by): &Seen| *path == job.path && by.is_none_or(|by| by == job.id);
            !self.world.seen.iter().any(own)
        };
        let waiting = self
            .world
            .jobs
            .iter()
            .filter(|job| job.waits_for.as_deref() == Some("file"))
            .filter(gone);
        let waiting: Vec<i64> = waiting.map(|job| job.id).collect();
        assert_eq!(cancelled, waiting.len());
        let ms = self.now_ms();
        for id in waiting {
            self.world.move_to(id, "cancelled", None, None, None, ms);
        }
    }

    async fn prune(&mut self) {
        let pruned = self.queue.maintenance().prune(self.now()).await.expect("ran");
        let owes = |job: &Row| {
            self.world
                .owed
                .iter()
                .any(|owed| owed.job == job.id && ["due", "held"].contains(&owed.state.as_str()))
        };
        let over = self.world.jobs.iter().filter(|job| job.stage.is_none());
        let over: Vec<i64> =
            over.filter(|job| job.state == "cancelled" || !owes(job)).map(|job| job.id).collect();
        assert_eq!(pruned, over.len());
        for job in self.world.jobs.iter().filter(|job| over.contains(&job.id)) {
            let unfinished = ["failed", "cancelled"].contains(&job.state.as_str());
            if unfinished && ["meeting", "uploaded"].contains(&job.remote.as_str()) {
                self.world.evidence.insert((job.content.clone(), job.generation));
            }
        }
        self.world.remove_jobs(&over);
        self.world.notices.retain(|sent| !sent);
        for seen in &mut self.world.seen {
            seen.2 = seen.2.filter(|id| !over.contains(id));
        }
    }

    async fn mark_restored(&mut self) {
        self.queue.maintenance().mark_restored(self.now()).await.expect("recorded");
        let ms = self.now_ms();
        for job in self.world.jobs.iter_mut().filter(|job| job.stage.is_some()) {
            (job.mail_held, job.updated) = (true, ms);
        }
        for owed in
            self.world.owed.iter_mut().filter(|owed| owed.state == "due" && owed.kind == "mail")
        {
            "held".clone_into(&mut owed.state);
        }
        let jobs: Vec<i64> = self.world.jobs.iter().map(|job| job.id).collect();
        for id in jobs {
            self.world.settle(id, Endings::default(), ms);
        }
    }

    /// The file and its log as they lie there, elsewhere; what SQLite makes of the log's index it makes anew.
    fn copy(&self, cut: Option<u16>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::copy(self.dir.path().join(FILE), dir.path().join(FILE)).expect("copied");
        let log = format!("{FILE}-wal");
        let mut bytes = fs::read(self.dir.path().join(&log)).unwrap_or_default();
        if let Some(thousandths) = cut {
            bytes.truncate(bytes.len() * usize::from(thousandths) / 1000);
        }
        fs::write(dir.path().join(log), bytes).expect("written");
        dir
    }

    async fn crash(&mut self) {
        self.dir = self.copy(None);
        self.queue = Store::open(self.dir.path()).expect("opened");
        self.hands.clear();
        assert_eq!(World::read(self.dir.path()), self.world, "what has returned is on disk");
        let recovered = self
            .queue
            .jobs()
            .recover(Vec::new(), Timestamp::MAX, self.now())
            .await
            .expect("recovered");
        let ms = self.now_ms();
        let running: Vec<Row> =
            self.world.jobs.iter().filter(|job| job.state == "running").cloned().collect();
        assert_eq!(recovered, running.len());
        for job in running {
            self.world.move_to(job.id, "ready", job.stage.as_deref(), None, Some(ms), ms);
        }
    }

    /// What is left after a power cut is what was there after one of the operations.
    fn power_cut(&self, thousandths: u16) {
        let dir = self.copy(Some(thousandths));
        let queue = Store::open(dir.path()).expect("a log that was cut is no damage");
        let left = World::read(dir.path());
        let known = self.before.contains(&left);
        assert!(known, "cut at {thousandths}/1000 there is what never was: {left:#?}");
        drop(queue);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: budget(CASES), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_queue_remembers_what_it_returned_and_nothing_in_between(
        begun in 0..=WAY.len(),
        steps in vec(step(), 1..STEPS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut bench = Bench::new();
            for step in WAY[..begun].iter().chain(&steps) {
                bench.step(step).await;
            }
        });
    }
}
