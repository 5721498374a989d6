//! Daily limits: the audio that was begun on a day of this machine's time zone, and what may still
//! begin on it.
//!
//! A recording counts on the day on which a worker claims it to be sent or heard, with the length that
//! its intake found or estimated. It counts in the same commit, so that a crash neither forgets nor
//! doubles it. What was begun goes on on any day; another attempt counts again, once a day.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{Timestamp, civil::Date};

use super::{
    ClaimRequest, Job, JobId, JobView, Jobs, Scope, StoreError,
    holds::insert_notice,
    sql::{Transaction, params},
};
use crate::{effect::Effect, job::Stage};

/// Milliseconds of a job's recording. One from before lengths were recorded counts as if it had 128
/// kbit/s (16 bytes a millisecond), which is what recorders write most.
pub(super) const AUDIO_MS: &str = "coalesce(length_ms, size / 16)";

/// Room where nothing limits what begins.
pub(super) const ENDLESS: i64 = i64::MAX;

/// The daily limits that a claim keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyLimits {
    /// The day.
    pub day: Date,
    /// The name of the service that gets the recording.
    pub service: String,
    /// The most audio of the folder; `None` without a limit.
    pub folder_max: Option<Duration>,
    /// The most audio of the service; `None` without a limit.
    pub service_max: Option<Duration>,
}

impl DailyLimits {
    /// Returns whether there is a limit at all.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.folder_max.or(self.service_max).is_some()
    }
}

/// The number of recordings that could run, but for a daily limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitedJobs {
    /// By the limit of their folder.
    pub by_folder: u64,
    /// By that of their service alone.
    pub by_service: u64,
}

/// The recordings that were begun on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayUsage {
    jobs: BTreeSet<JobId>,
    by_folder: BTreeMap<String, Duration>,
    by_service: BTreeMap<String, Duration>,
}

impl DayUsage {
    /// Returns the audio that was begun; `None` where nothing was, so that even a recording longer
    /// than the limit may begin.
    #[must_use]
    pub fn used(&self, scope: Scope, name: &str) -> Option<Duration> {
        match scope {
            Scope::Folder => self.by_folder.get(name).copied(),
            Scope::Service => self.by_service.get(name).copied(),
            Scope::Disk | Scope::Source => None,
        }
    }

    /// Returns the limit for which a job that could run waits until the next day, as its claim
    /// decides it.
    #[must_use]
    pub fn find_reached(&self, job: &JobView, limits: &DailyLimits) -> Option<Scope> {
        let begins = matches!(job.stage, Some(Stage::Create | Stage::Upload));
        let audio = job.unbegun.filter(|_| begins && !self.jobs.contains(&job.id))?;
        let is_reached = |scope, name: &str, max: Option<Duration>| {
            let used = self.used(scope, name);
            max.zip(used).is_some_and(|(max, used)| used.saturating_add(audio) > max)
        };
        if is_reached(Scope::Folder, &job.folder, limits.folder_max) {
            return Some(Scope::Folder);
        }
        is_reached(Scope::Service, &limits.service, limits.service_max).then_some(Scope::Service)
    }
}

impl Jobs<'_> {
    /// Returns what was begun on a day.
    pub async fn read_usage(self, day: Date) -> Result<DayUsage, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT job_id, folder, service, max(audio_ms) AS audio_ms FROM begun WHERE day >= ?1 \
                           GROUP BY job_id, folder, service";
                let mut usage = DayUsage::default();
                let rows = tx.query_rows(sql, params![day.to_string()], |row| {
                    let audio: u64 = row.get("audio_ms")?;
                    let names: (String, String) = (row.get("folder")?, row.get("service")?);
                    Ok((row.get("job_id")?, names, Duration::from_millis(audio)))
                })?;
                for (job, (folder, service), audio) in rows {
                    usage.jobs.insert(job);
                    *usage.by_folder.entry(folder).or_default() += audio;
                    *usage.by_service.entry(service).or_default() += audio;
                }
                Ok(usage)
            })
            .await
    }

    /// Returns which limit keeps the next of the requested jobs waiting; `None` where one may run
    /// or none is due.
    pub async fn find_limited(
        self,
        request: ClaimRequest,
        now: Timestamp,
    ) -> Result<Option<Scope>, StoreError> {
        let Some(limits) = request.limits.clone() else { return Ok(None) };
        self.0
            .read(move |tx| {
                if request.find_due(tx, read_room(tx, &request.folder, &limits)?, now)?.is_some() {
                    return Ok(None);
                }
                let Some(job) = request.find_due(tx, ENDLESS, now)? else { return Ok(None) };
                let of_folder = room_of_folder(tx, &request.folder, &limits)?;
                let is_folder = job.audio_ms() > of_folder;
                Ok(Some(if is_folder { Scope::Folder } else { Scope::Service }))
            })
            .await
    }

    /// Counts the requested jobs that could run, but for a daily limit.
    pub async fn count_limited(
        self,
        request: ClaimRequest,
        now: Timestamp,
    ) -> Result<LimitedJobs, StoreError> {
        let Some(limits) = request.limits.clone() else { return Ok(LimitedJobs::default()) };
        self.0
            .read(move |tx| {
                let of_folder = room_of_folder(tx, &request.folder, &limits)?;
                let of_service = room_of_service(tx, &limits)?;
                let by_folder = request.count_beyond(tx, of_folder, now)?;
                let all = request.count_beyond(tx, of_folder.min(of_service), now)?;
                Ok(LimitedJobs { by_folder, by_service: all.saturating_sub(by_folder) })
            })
            .await
    }

    /// Records a notice about a daily limit that is used up, once a day for each value of the
    /// limit; returns whether it is new.
    pub async fn report_limit(
        self,
        day: Date,
        scope: Scope,
        name: &str,
        max: Duration,
        notice: String,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = (day.to_string(), name.to_owned(), milliseconds(max));
        let known = key.clone();
        let is_known = self.0.read(move |tx| {
            let (day, name, max) = known;
            let sql = "SELECT 1 FROM limit_reached WHERE day = ?1 AND scope = ?2 AND name = ?3 AND limit_ms = ?4";
            tx.exists(sql, params![day, scope, name, max])
        });
        if is_known.await? {
            return Ok(false);
        }
        self.0
            .write(Effect::ReportLimit, move |tx| {
                let (day, name, max) = key;
                let sql = "INSERT INTO limit_reached (day, scope, name, limit_ms) VALUES (?1, ?2, ?3, ?4) \
                           ON CONFLICT (day, scope, name, limit_ms) DO NOTHING";
                let is_new = tx.execute(sql, params![day, scope, name, max])? > 0;
                if is_new {
                    insert_notice(tx, &notice, now)?;
                }
                Ok(is_new)
            })
            .await
    }

    /// Returns the folder whose turn it is at a service of which nothing was begun on this day: the
    /// one with the first recording in line, where that is longer than the service's limit.
    ///
    /// Only the first of a day may be so long. Without this the turns of the folders could give its
    /// place to a shorter one each day.
    pub async fn find_oversize(
        self,
        limits: DailyLimits,
        folders: Vec<String>,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let Some(max) = limits.service_max else { return Ok(None) };
        self.0
            .read(move |tx| {
                if room_of_service(tx, &limits)? != ENDLESS {
                    return Ok(None);
                }
                let sql = format!(
                    "SELECT backlog, due_ms, id, {AUDIO_MS} AS audio_ms FROM job WHERE folder = ?1 \
                     AND stage IN ('create', 'upload') AND is_begun = 0 AND due_ms <= ?2 \
                     ORDER BY backlog, due_ms, id LIMIT 1"
                );
                let mut first: Option<((bool, i64, i64), i64, String)> = None;
                for folder in folders {
                    let found = tx.query_row(&sql, params![folder, now], |row| {
                        let place = (row.get("backlog")?, row.get("due_ms")?, row.get("id")?);
                        Ok((place, row.get("audio_ms")?, folder.clone()))
                    })?;
                    let before =
                        |found: &(_, _, _)| first.as_ref().is_none_or(|first| found.0 < first.0);
                    if let Some(found) = found.filter(before) {
                        first = Some(found);
                    }
                }
                Ok(first
                    .filter(|(_, audio_ms, _)| *audio_ms > milliseconds(max))
                    .map(|(_, _, folder)| folder))
            })
            .await
    }
}

/// Returns the milliseconds of audio that may still begin, in a folder and at its service.
pub(super) fn read_room(
    tx: &Transaction<'_>,
    folder: &str,
    limits: &DailyLimits,
) -> Result<i64, StoreError> {
    Ok(room_of_folder(tx, folder, limits)?.min(room_of_service(tx, limits)?))
}

fn room_of_folder(
    tx: &Transaction<'_>,
    folder: &str,
    limits: &DailyLimits,
) -> Result<i64, StoreError> {
    room(tx, "folder", folder, limits.day, limits.folder_max)
}

fn room_of_service(tx: &Transaction<'_>, limits: &DailyLimits) -> Result<i64, StoreError> {
    room(tx, "service", &limits.service, limits.day, limits.service_max)
}

/// Returns the room that is left below a limit. The first recording of a day has all of it, however
/// long it is.
fn room(
    tx: &Transaction<'_>,
    column: &str,
    name: &str,
    day: Date,
    max: Option<Duration>,
) -> Result<i64, StoreError> {
    let Some(max) = max else { return Ok(ENDLESS) };
    let sql = format!("SELECT sum(audio_ms) FROM begun WHERE day = ?1 AND {column} = ?2");
    let used: Option<i64> = tx.query_value(&sql, params![day.to_string(), name])?;
    Ok(used.map_or(ENDLESS, |used| (milliseconds(max) - used).max(0)))
}

/// Makes the usage that of a day: older days are forgotten, and what a clock that was set back has
/// left on days to come counts on this one. It was begun just now, and must not be waited for again
/// when those days come.
pub(super) fn turn_to_day(tx: &Transaction<'_>, day: Date) -> Result<(), StoreError> {
    let today = day.to_string();
    // The day before stays: a clock that is set back over midnight by a little finds it as it was.
    let before = day.yesterday().unwrap_or(day).to_string();
    let has_others =
        "SELECT 1 WHERE (SELECT max(day) FROM begun) > ?1 OR (SELECT min(day) FROM begun) < ?2";
    if !tx.exists(has_others, params![today, before])? {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO begun (day, job_id, folder, service, audio_ms) \
         SELECT ?1, job_id, folder, service, audio_ms FROM begun WHERE day > ?1 \
         ON CONFLICT (day, job_id) DO NOTHING",
        params![today],
    )?;
    tx.execute("DELETE FROM begun WHERE day > ?1 OR day < ?2", params![today, before])?;
    tx.execute("DELETE FROM limit_reached WHERE day < ?1", params![before]).map(drop)
}

/// Counts a recording that is about to be sent or heard, unless its attempt has begun before.
pub(super) fn begin(
    tx: &Transaction<'_>,
    id: JobId,
    limits: &DailyLimits,
) -> Result<(), StoreError> {
    let sql = "UPDATE job SET is_begun = 1 WHERE id = ?1 AND is_begun = 0 AND stage IN ('create', 'upload')";
    if tx.execute(sql, params![id])? == 0 {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO begun (day, job_id, folder, service, audio_ms) \
         SELECT ?2, id, folder, ?3, {AUDIO_MS} FROM job WHERE id = ?1 ON CONFLICT (day, job_id) DO NOTHING"
    );
    tx.execute(&sql, params![id, limits.day.to_string(), limits.service]).map(drop)
}

/// Returns a duration in whole milliseconds.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Job {
    /// Returns the milliseconds of its recording, as [`AUDIO_MS`] has them.
    fn audio_ms(&self) -> i64 {
        let by_size = || i64::try_from(self.stamp.size / 16).unwrap_or(i64::MAX);
        self.length.map_or_else(by_size, milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan as _, civil::date};

    use super::*;
    use crate::{
        beneath::Stamp,
        job::{Content, State},
        store::{JobFilter, Settled, Store},
    };

    const DAY: Date = date(2026, 11, 30);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("in range")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A queue whose folders all have one service.
    struct Desk {
        queue: Store,
        folder_max: Option<Duration>,
        service_max: Option<Duration>,
        _dir: tempfile::TempDir,
    }

    impl Desk {
        fn new(folder_max: Option<u64>, service_max: Option<u64>) -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let queue = Store::open(dir.path()).expect("opened");
            let [folder_max, service_max] = [folder_max, service_max].map(|max| max.map(seconds));
            Self { queue, folder_max, service_max, _dir: dir }
        }

        /// Takes a recording in, of so many seconds or of a length that nobody knows.
        async fn take(
            &self,
            folder: &str,
            name: &str,
            length: Option<u64>,
            backlog: bool,
        ) -> JobId {
            let settled = Settled {
                folder: folder.into(),
                path: name.into(),
                stamp: Stamp { size: 32_000, mtime_ns: 5, inode: 1 },
                content: Some(Content::from_hash(&blake3::hash(name.as_bytes()))),
                recorded: at(0),
                backlog,
                unplayable: None,
                length_max: None,
                length: length.map(seconds),
                sound: None,
            };
            let taken = self.queue.files().take(vec![settled], String::new(), at(1)).await;
            taken.expect("taken")[0].job
        }

        fn request(&self, folder: &str, day: Date) -> ClaimRequest {
            let limits = DailyLimits {
                day,
                service: "paxs".to_owned(),
                folder_max: self.folder_max,
                service_max: self.service_max,
            };
            ClaimRequest {
                folder: folder.to_owned(),
                stages: vec![Stage::Create, Stage::Upload, Stage::Analyse],
                except: None,
                filter: JobFilter::NotFromSources(Vec::new()),
                limits: Some(limits),
            }
        }

        async fn claim(&self, folder: &str, day: Date) -> Option<Job> {
            self.queue.jobs().claim(self.request(folder, day), at(10)).await.expect("claimed")
        }

        async fn limited(&self, folder: &str, day: Date) -> Option<Scope> {
            let request = self.request(folder, day);
            self.queue.jobs().find_limited(request, at(10)).await.expect("read")
        }

        /// The seconds that count on a day.
        async fn used(&self, day: Date) -> u64 {
            let usage = self.queue.jobs().read_usage(day).await.expect("read");
            usage.used(Scope::Service, "paxs").unwrap_or_default().as_secs()
        }

        /// The number of jobs whose views wait for the next day: as many as the claims of the folder leave.
        async fn views_wait(&self, folder: &str, day: Date) -> u64 {
            let usage = self.queue.jobs().read_usage(day).await.expect("read");
            let jobs = self.queue.jobs().list(Vec::new(), Some(folder.into())).await.expect("read");
            let request = self.request(folder, day);
            let limits = request.limits.clone().expect("they are there");
            let waiting = jobs.iter().filter(|job| usage.find_reached(job, &limits).is_some());
            let counted = self.queue.jobs().count_limited(request, at(10)).await.expect("read");
            let waiting = waiting.count() as u64;
            assert_eq!(waiting, counted.by_folder + counted.by_service);
            waiting
        }
    }

    #[tokio::test]
    async fn a_day_ends_at_its_limit_and_what_still_fits_goes_on() {
        let desk = Desk::new(Some(10), None);
        let first = desk.take("sales", "a.wav", Some(6), false).await;
        let second = desk.take("sales", "b.wav", Some(6), false).await;
        let small = desk.take("sales", "c.wav", Some(4), true).await;
        assert_eq!(desk.claim("sales", DAY).await.expect("a job").id, first);
        assert_eq!(desk.views_wait("sales", DAY).await, 1);
        assert_eq!(desk.claim("sales", DAY).await.expect("a job").id, small);
        assert_eq!(desk.claim("sales", DAY).await, None);
        assert_eq!(desk.limited("sales", DAY).await, Some(Scope::Folder));
        assert_eq!((desk.used(DAY).await, desk.views_wait("sales", DAY).await), (10, 1));
        let next = DAY + 1.day();
        assert_eq!(desk.limited("sales", next).await, None);
        assert_eq!(desk.claim("sales", next).await.expect("a job").id, second);
        assert_eq!(desk.used(next).await, 6);
    }

    #[tokio::test]
    async fn fresh_recordings_get_the_day_before_backlog() {
        let desk = Desk::new(Some(10), None);
        desk.take("sales", "old.wav", Some(8), true).await;
        let fresh = desk.take("sales", "fresh.wav", Some(8), false).await;
        assert_eq!(desk.claim("sales", DAY).await.expect("a job").id, fresh);
        assert_eq!(desk.claim("sales", DAY).await, None);
    }

    #[tokio::test]
    async fn one_that_is_longer_than_a_day_may_hold_runs_alone_as_the_first() {
        let desk = Desk::new(Some(10), None);
        let short = desk.take("sales", "short.wav", Some(1), false).await;
        let long = desk.take("sales", "long.wav", Some(60), false).await;
        assert_eq!(desk.claim("sales", DAY).await.expect("a job").id, short);
        assert_eq!(desk.claim("sales", DAY).await, None, "it is not the first");
        let next = DAY + 1.day();
        assert_eq!(desk.claim("sales", next).await.expect("a job").id, long);
        desk.take("sales", "other.wav", Some(1), false).await;
        assert_eq!(desk.claim("sales", next).await, None, "it is alone");
    }

    #[tokio::test]
    async fn the_limit_of_a_service_holds_for_its_folders_together_and_the_first_of_its_day_is_the_oldest()
     {
        let desk = Desk::new(None, Some(10));
        desk.take("board", "a.wav", Some(7), false).await;
        desk.take("sales", "b.wav", Some(7), false).await;
        assert!(desk.claim("board", DAY).await.is_some());
        assert_eq!(desk.claim("sales", DAY).await, None);
        assert_eq!(desk.limited("sales", DAY).await, Some(Scope::Service));
        let long = desk.take("sales", "long.wav", Some(60), true).await;
        let next = DAY + 1.day();
        let first = async |day| {
            let limits = desk.request("sales", day).limits.expect("they are there");
            let folders = ["board", "sales"].map(str::to_owned).to_vec();
            desk.queue.jobs().find_oversize(limits, folders, at(10)).await.expect("read")
        };
        assert_eq!(first(next).await, None, "a fresh one goes before it");
        assert!(desk.claim("sales", next).await.is_some());
        desk.take("board", "c.wav", Some(1), true).await;
        assert_eq!(first(next).await, None, "it would not be the first of this day");
        let third = next + 1.day();
        assert_eq!(first(third).await.as_deref(), Some("sales"));
        assert_eq!(desk.claim("sales", third).await.expect("a job").id, long);
    }

    #[tokio::test]
    async fn an_attempt_counts_once_a_day_what_goes_on_not_at_all_and_redo_again() {
        let desk = Desk::new(Some(10), None);
        let id = desk.take("sales", "a.wav", Some(8), false).await;
        let claimed = desk.claim("sales", DAY).await.expect("a job");
        // Interrupted, and gone on with after midnight.
        let stages = desk.queue.stages();
        stages.snooze(&claimed, at(2), None, at(3)).await.expect("put back");
        let next = DAY + 1.day();
        let claimed = desk.claim("sales", next).await.expect("it was begun");
        assert_eq!((desk.used(DAY).await, desk.used(next).await), (8, 0));
        // An attempt fails: another one counts on its day, once.
        for _ in 0..2 {
            let job = desk.queue.jobs().find(id).await.expect("read").expect("a job");
            stages.retry_later(&job, Stage::Create, at(4), "failed", at(4)).await.expect("failed");
            assert!(desk.claim("sales", next).await.is_some());
            assert_eq!(desk.used(next).await, 8);
        }
        desk.queue.jobs().cancel(claimed.id, at(5)).await.expect("cancelled");
        desk.queue.jobs().retry(id, at(6)).await.expect("retried");
        assert!(desk.claim("sales", next).await.is_some(), "a retry on the same day is free");
        desk.queue.jobs().cancel(id, at(7)).await.expect("cancelled");
        let redone = desk.queue.jobs().redo(id, 1, at(8)).await.expect("redone");
        assert_eq!(desk.claim("sales", next).await, None, "it counts again");
        let redone = desk.queue.jobs().find(redone).await.expect("read").expect("a job");
        assert!(matches!(redone.state, State::Ready { .. }) && redone.length == Some(seconds(8)));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_neither_gives_the_day_twice_nor_takes_the_next_one() {
        let desk = Desk::new(Some(10), None);
        for name in ["a.wav", "b.wav", "c.wav"] {
            desk.take("sales", name, Some(8), false).await;
        }
        let later = DAY + 3.days();
        assert!(desk.claim("sales", later).await.is_some());
        assert_eq!(desk.claim("sales", DAY).await, None, "that was just now");
        assert!(desk.claim("sales", DAY + 1.day()).await.is_some(), "as it was said");
        assert_eq!(desk.used(later).await, 0, "nothing is left for the day that was not");
    }

    #[tokio::test]
    async fn a_length_that_nobody_knows_counts_by_its_size() {
        let desk = Desk::new(Some(3), None);
        desk.take("sales", "a.wav", None, false).await;
        desk.take("sales", "b.wav", None, false).await;
        assert!(desk.claim("sales", DAY).await.is_some());
        assert_eq!(desk.used(DAY).await, 2, "32,000 bytes of 128 kbit/s");
        assert_eq!(desk.views_wait("sales", DAY).await, 1);
        assert_eq!(desk.claim("sales", DAY).await, None);
    }

    #[tokio::test]
    async fn without_a_limit_everything_runs_and_counts() {
        let desk = Desk::new(None, None);
        desk.take("sales", "a.wav", Some(100_000), false).await;
        desk.take("sales", "b.wav", Some(100_000), false).await;
        assert!(desk.claim("sales", DAY).await.is_some());
        assert!(desk.claim("sales", DAY).await.is_some());
        assert_eq!(desk.used(DAY).await, 200_000, "a limit that is set later on this day knows");
    }

    #[tokio::test]
    async fn a_limit_is_reported_once_a_day_and_again_when_it_is_another() {
        let desk = Desk::new(None, None);
        let report = async |day, max| {
            let jobs = desk.queue.jobs();
            let notice = "used up".to_owned();
            jobs.report_limit(day, Scope::Folder, "sales", seconds(max), notice, at(1)).await
        };
        let cases = [(DAY, 5, true), (DAY, 5, false), (DAY, 6, true), (DAY + 1.day(), 5, true)];
        for (day, max, is_new) in cases {
            assert_eq!(report(day, max).await.expect("recorded"), is_new, "{day} {max}");
        }
        let (notices, _) = desk.queue.holds().list_unsent_notices(9).await.expect("read");
        assert_eq!(notices.len(), 3);
    }
}
