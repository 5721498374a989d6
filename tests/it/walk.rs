//! A random walk: recordings come and are moved about, services fail, minuted is killed again and again; in the end there
//! is exactly one of everything.
//!
//! `MINUTED_TEST_SEED=N` walks the walk of one seed again; its steps are the same, their moments nearly so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    thread,
    time::{Duration, UNIX_EPOCH},
};

use mail_parser::MessageParser;
use minuted::testing::effect::Effect;
use serde_json::Value;

use crate::support::{
    budget::budget,
    chance::{Chance, seeds},
    house::{Daemon, House, recording, until_told},
    paxs::{Call, Fault, Options},
    smtp::Step,
};

/// How much there is in one walk.
#[derive(Debug, Clone, Copy)]
struct Length {
    recordings: usize,
    kills: u32,
}

const QUICK: Length = Length { recordings: 16, kills: 8 };
const LONG: Length = Length { recordings: 200, kills: 100 };

/// Walks at once: they wait more than they work.
const AT_ONCE: usize = 2;

/// The folders, and what is special about each.
const FOLDERS: [(&str, &str); 3] = [
    ("sales", ""),
    ("mailed", "deliver = [\"beside\", \"email\"]\n"),
    ("moved", "on_success = \"move\"\nmove_to = \"done\"\n"),
];

/// The kinds of files that are dropped.
const KINDS: [&str; 5] = ["wav", "mp3", "m4a", "flac", "opus"];

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Each call fails once at most for a recording: no failure may count.
    Gusts,
    /// The service comes and goes as it likes. What fails for one recording while it works for another counts, as it
    /// should; `retry` then takes it to its end.
    Storms,
}

#[test]
fn whatever_happens_when_there_is_one_of_everything_in_the_end() {
    let walks = seeds(1)
        .into_iter()
        .flat_map(|seed| [(seed, Weather::Gusts, QUICK), (seed, Weather::Storms, QUICK)]);
    // The long walks: one more for each ten of the budget.
    let long = seeds(budget(1) / 10).into_iter().filter(|_| budget(1) >= 10);
    let long = long.flat_map(|seed| {
        [(seed + 1000, Weather::Gusts, LONG), (seed + 1000, Weather::Storms, LONG)]
    });
    let walks: Vec<_> = walks.chain(long).collect();
    for some in walks.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let walks: Vec<_> = some.iter().map(|walk| scope.spawn(|| walk_once(*walk))).collect();
            let ended: Vec<_> = walks.into_iter().map(thread::ScopedJoinHandle::join).collect();
            assert!(
                ended.iter().all(Result::is_ok),
                "a walk went wrong; its seed and its steps are above"
            );
        });
    }
}

fn walk_once((seed, weather, length): (u64, Weather, Length)) {
    let mut walk = Walk::begin(seed, weather);
    while walk.drops < length.recordings || walk.kills < length.kills {
        walk.step(length);
    }
    walk.calm();
    walk.settle();
    walk.check();
}

/// A file that was dropped and has not been taken away since.
#[derive(Debug, Clone)]
struct File {
    folder: &'static str,
    /// Relative to the folder.
    name: String,
    /// The name of the [`recording`] that it is.
    content: String,
    /// Renamed or touched: where it lies in the end, in a folder that moves, depends on the moment.
    is_unsteady: bool,
}

/// A file of which only a part is there.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    rest: Vec<u8>,
}

struct Walk {
    house: House,
    daemon: Option<Daemon>,
    chance: Chance,
    seed: u64,
    weather: Weather,
    drops: usize,
    kills: u32,
    lost_mails: usize,
    files: Vec<File>,
    unfinished: Vec<Unfinished>,
    steps: Vec<String>,
}

/// A walk that fails tells how to walk it again.
#[expect(clippy::print_stderr, reason = "it belongs to the words of the failure")]
impl Drop for Walk {
    fn drop(&mut self) {
        if thread::panicking() {
            let last = self.steps.len().saturating_sub(40);
            eprintln!("MINUTED_TEST_SEED={} ({:?}); the last steps:", self.seed, self.weather);
            eprintln!("{}", self.steps[last..].join("\n"));
        }
    }
}

impl Walk {
    fn begin(seed: u64, weather: Weather) -> Self {
        let house = House::with(Options {
            auto_approve: true,
            transcription_time: Duration::from_millis(120),
            note_time: Duration::from_millis(60),
            ..Options::default()
        });
        let more: Vec<String> =
            FOLDERS[1..].iter().map(|(name, keys)| folder_table(&house, name, keys)).collect();
        let workers = "[workers]\nuploads = 2\nrequests_per_second = 1000\n";
        house.configure_all("", "", &format!("{workers}{}", more.concat()));
        // A slow machine is no fault of the service.
        house.edit_config(|text| {
            text.replace("request_timeout = \"5s\"", "request_timeout = \"60s\"")
        });
        let mut walk = Self {
            house,
            daemon: None,
            chance: Chance::of(seed),
            seed,
            weather,
            drops: 0,
            kills: 0,
            lost_mails: 0,
            files: Vec::new(),
            unfinished: Vec::new(),
            steps: Vec::new(),
        };
        walk.restart(None);
        walk
    }

    fn say(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    fn step(&mut self, length: Length) {
        self.notice_death();
        match self.chance.below(12) {
            0..=3 if self.drops < length.recordings => self.drop_one(),
            4 => self.finish_one(),
            5 => self.copy_one(),
            6 => self.rename_one(),
            7 => self.touch_one(),
            8 => self.trouble_service(),
            9 => self.trouble_mail(),
            10 if self.kills < length.kills => self.kill(),
            _ => self.pause(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a kill has to come at any moment, so there must be moments"
    )]
    fn pause(&mut self) {
        thread::sleep(Duration::from_millis(self.chance.below(80) as u64));
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.house.dir.path().join(folder).join(name)
    }

    /// A recording comes in one of the ways in which recordings come.
    fn drop_one(&mut self) {
        let (folder, _) = self.chance.pick(&FOLDERS);
        let kind = self.chance.pick(&KINDS);
        let again =
            self.files.iter().find(|file| file.folder != folder && file.name.ends_with(kind));
        // Now and then what another folder has: that is a meeting of its own here.
        let known = again.map(|file| file.content.clone()).filter(|_| self.chance.once_in(4));
        let known = known.filter(|known| {
            !self.files.iter().any(|file| file.folder == folder && file.content == *known)
        });
        let stem = format!("r{:03}x", self.drops);
        let below = if self.chance.once_in(4) { "2026/11/" } else { "" };
        let name = format!("{below}{stem}.{kind}");
        let content = known.unwrap_or_else(|| name.clone());
        if self.weather == Weather::Gusts {
            self.plant_gust(&stem);
        }
        let path = self.path(folder, &name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        let bytes = recording(&content);
        let manner = match self.chance.below(4) {
            0 => {
                let outside = self.path("", &format!("{stem}.outside"));
                fs::write(&outside, &bytes).expect("written");
                fs::rename(&outside, &path).expect("renamed");
                "renamed in"
            }
            1 => {
                let partial = path.with_extension(format!("{kind}.part"));
                fs::write(&partial, &bytes).expect("written");
                fs::rename(&partial, &path).expect("renamed");
                "renamed from .part"
            }
            2 if kind == "wav" => {
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                fs::write(&path, first).expect("written");
                self.unfinished.push(Unfinished { path, rest: rest.to_vec() });
                "begun"
            }
            _ => {
                fs::write(&path, &bytes).expect("written");
                "written"
            }
        };
        self.say(format!("drop {folder}/{name} ({content}), {manner}"));
        self.files.push(File { folder, name, content, is_unsteady: false });
        self.drops += 1;
    }

    /// A recorder writes its last bytes.
    fn finish_one(&mut self) {
        if let Some(Unfinished { path, rest }) = self.unfinished.pop() {
            let mut file = fs::File::options().append(true).open(&path).expect("there");
            std::io::Write::write_all(&mut file, &rest).expect("written");
            self.say(format!("finish {}", path.display()));
        }
    }

    /// One of the files that are whole and still lie where they were dropped.
    fn any_file(&mut self) -> Option<usize> {
        let here: Vec<usize> = (0..self.files.len())
            .filter(|at| {
                let path = self.path(self.files[*at].folder, &self.files[*at].name);
                path.exists() && !self.unfinished.iter().any(|unfinished| unfinished.path == path)
            })
            .collect();
        (!here.is_empty()).then(|| self.chance.pick(&here))
    }

    fn copy_one(&mut self) {
        let Some(at) = self.any_file() else { return };
        let file = self.files[at].clone();
        let name = file.name.replace('.', &format!(" copy {}.", self.steps.len()));
        // It may be moved away at this very moment: then there is no copy.
        if fs::copy(self.path(file.folder, &file.name), self.path(file.folder, &name)).is_ok() {
            self.say(format!("copy {}/{} to {name}", file.folder, file.name));
            self.files.push(File { name, is_unsteady: true, ..file });
            self.unsteady(at);
        }
    }

    fn rename_one(&mut self) {
        let Some(at) = self.any_file() else { return };
        let file = self.files[at].clone();
        let name = file.name.replace('.', &format!(" renamed {}.", self.steps.len()));
        if fs::rename(self.path(file.folder, &file.name), self.path(file.folder, &name)).is_ok() {
            self.say(format!("rename {}/{} to {name}", file.folder, file.name));
            self.files[at].name = name;
            self.unsteady(at);
        }
    }

    fn touch_one(&mut self) {
        let Some(at) = self.any_file() else { return };
        let path = self.path(self.files[at].folder, &self.files[at].name);
        let when = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + self.steps.len() as u64 * 10);
        let touched =
            fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(when));
        if touched.is_ok() {
            self.say(format!("touch {}", path.display()));
            self.unsteady(at);
        }
    }

    /// From now on it depends on the moment where the files of this content end, in a folder that moves.
    fn unsteady(&mut self, at: usize) {
        let (folder, content) = (self.files[at].folder, self.files[at].content.clone());
        for file in
            self.files.iter_mut().filter(|file| file.folder == folder && file.content == content)
        {
            file.is_unsteady = true;
        }
    }

    /// One call fails once for the recording that comes next.
    fn plant_gust(&mut self, stem: &str) {
        let call = self.chance.pick(&[Call::CreateSession, Call::Upload, Call::Analysis]);
        let fault = self.any_fault();
        if self.chance.once_in(2) {
            self.house.standin.fail_matching(call, stem, fault.clone(), Some(1));
            self.say(format!("{call:?} of {stem} meets {fault:?}"));
        }
    }

    fn any_fault(&mut self) -> Fault {
        self.chance.pick(&[
            Fault::Status(500),
            Fault::Status(503),
            Fault::StatusWith { status: 429, retry_after: Some("1".into()), body: String::new() },
            Fault::EarlyStatus(503),
            Fault::ResetBefore,
            Fault::ResetMidBody,
            Fault::Html,
            Fault::LoseAnswer,
            Fault::LateStatus(502),
            Fault::Empty,
            Fault::Truncated,
            Fault::Slow { bytes_per_second: 1 << 17 },
        ])
    }

    fn trouble_service(&mut self) {
        if self.chance.once_in(3) {
            self.house.standin.expire_access_tokens();
            return self.say("the access tokens end");
        }
        if self.weather == Weather::Gusts {
            return;
        }
        match self.chance.below(4) {
            0 => {
                self.house.standin.down(true);
                self.say("the service is down");
            }
            1 => {
                let calls = [
                    Call::CreateSession,
                    Call::Upload,
                    Call::Analysis,
                    Call::ListSessions,
                    Call::Profile,
                ];
                let (call, fault) = (self.chance.pick(&calls), self.any_fault());
                self.say(format!("the next {call:?} meets {fault:?}"));
                self.house.standin.fail_next(call, fault);
            }
            _ => {
                self.house.standin.down(false);
                self.house.standin.clear_faults();
                self.say("the service works");
            }
        }
    }

    fn trouble_mail(&mut self) {
        match self.chance.below(4) {
            0 => {
                self.house.smtp.down(true);
                self.say("the mail server is down");
            }
            1 => {
                self.house.smtp.fail_next(451);
                self.say("the mail server is busy once");
            }
            2 => {
                self.house.smtp.lose_next_answer_at(Step::Content);
                self.lost_mails += 1;
                self.say("the mail server loses an answer");
            }
            _ => {
                self.house.smtp.down(false);
                self.say("the mail server works");
            }
        }
    }

    /// Kills it now, and half of the times lets the next one die at an effect.
    fn kill(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.kills += 1;
        let point = self.chance.once_in(2).then(|| {
            let effect = self.chance.pick(Effect::ALL);
            format!(
                "{effect:?}:{}:{}",
                self.chance.pick(&["before", "after"]),
                1 + self.chance.below(3)
            )
        });
        self.say(format!("kill; the next one dies at {point:?}"));
        self.restart(point.as_deref());
    }

    fn restart(&mut self, point: Option<&str>) {
        let environment: Vec<_> = point.map(|point| ("MINUTED_DIE", point)).into_iter().collect();
        self.daemon = Some(self.house.spawn(&environment));
    }

    /// A daemon that died at its point is started again.
    fn notice_death(&mut self) {
        if self.daemon.as_mut().is_some_and(Daemon::was_killed) {
            self.kills += 1;
            self.say("it died there");
            self.restart(None);
        }
    }

    /// Everything works from now on.
    fn calm(&mut self) {
        while !self.unfinished.is_empty() {
            self.finish_one();
        }
        self.house.standin.down(false);
        self.house.standin.clear_faults();
        self.house.smtp.down(false);
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.say("calm");
        self.restart(None);
    }

    /// What there must be: one job for each content in each folder.
    fn expected(&self) -> BTreeSet<(&'static str, String)> {
        self.files.iter().map(|file| (file.folder, hash(&recording(&file.content)))).collect()
    }

    /// Waits until nothing happens any more.
    fn settle(&mut self) {
        let expected = i64::try_from(self.expected().len()).expect("few");
        let (house, weather) = (&self.house, self.weather);
        let what = || format!("{expected} jobs are done; there are {:?}", states(house));
        until_told(what, || {
            if house.tally("SELECT count(*) FROM hold WHERE reason = 'signed_out'")? > 0 {
                // The pair died with the process after the service had given it: only a person can help.
                house.sign_in();
            }
            if weather == Weather::Storms
                && house.tally("SELECT count(*) FROM job WHERE state = 'failed'")? > 0
            {
                house.run(&["retry", "--failed"]);
            }
            let settling =
                house.tally("SELECT count(*) FROM sighting WHERE verdict = 'settling'")?;
            (house.tally("SELECT count(*) FROM job WHERE state = 'done'")? == expected
                && settling == 0)
                .then_some(())
        });
        // What was moved about last has been seen, too.
        house.scan();
        house.assert_at_rest();
    }

    fn check(&self) {
        self.check_jobs();
        self.check_meetings();
        self.check_files();
        self.check_mails();
        for (path, _) in self.found() {
            let output = self.house.run(&["why", path.to_str().expect("UTF-8")]);
            assert!(
                output.status.success() && !output.stdout.is_empty(),
                "why {}: {output:?}",
                path.display()
            );
        }
        assert_eq!(self.house.smtp.faults(), Vec::<String>::new());
        // Only a pair that died with the process after the service had given it is asked for again.
        assert!(self.house.standin.snapshot().families_revoked <= self.kills.into());
    }

    fn check_jobs(&self) {
        let jobs: Vec<Value> =
            self.house.jobs().into_iter().filter(|job| job["state"] != "skipped").collect();
        let found: BTreeSet<(String, String)> = jobs
            .iter()
            .map(|job| {
                (
                    job["folder"].as_str().expect("a name").to_owned(),
                    job["hash"].as_str().expect("one").to_owned(),
                )
            })
            .collect();
        let expected: BTreeSet<_> =
            self.expected().into_iter().map(|(folder, hash)| (folder.to_owned(), hash)).collect();
        assert_eq!(found, expected);
        assert_eq!(jobs.len(), expected.len(), "one job for each content in each folder");
        for job in jobs {
            assert_eq!((&job["state"], &job["partial"]), (&"done".into(), &false.into()), "{job}");
            assert!(
                self.weather == Weather::Storms || job["attempts"] == 0,
                "nothing counts: {job}"
            );
        }
    }

    /// The marker of each job that must be, with the hash of its recording.
    fn keys(&self) -> BTreeMap<String, String> {
        self.expected()
            .into_iter()
            .map(|(folder, hash)| (format!("{hash}.{folder}.1"), hash))
            .collect()
    }

    fn check_meetings(&self) {
        let meetings = self.house.standin.snapshot().meetings;
        let made: Vec<(String, String)> = meetings
            .iter()
            .map(|meeting| {
                let marker = meeting
                    .description
                    .lines()
                    .last()
                    .and_then(|line| line.strip_prefix("minuted:"));
                let sent = meeting.recording.as_ref().expect("a recording");
                (marker.expect("a marker").to_owned(), format!("b3-{}", &sent.blake3[..32]))
            })
            .collect();
        let keys: BTreeMap<String, String> = made.iter().cloned().collect();
        assert_eq!(keys, self.keys(), "each meeting has its marker and the bytes of its recording");
        assert_eq!(made.len(), keys.len(), "one meeting for each job");
    }

    /// Every file in the folders, with its bytes.
    fn found(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut waiting: Vec<PathBuf> =
            FOLDERS.iter().map(|(folder, _)| self.path(folder, "")).collect();
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).expect("listed").flatten() {
                if entry.path().is_dir() {
                    waiting.push(entry.path());
                } else {
                    found.insert(entry.path(), fs::read(entry.path()).expect("read"));
                }
            }
        }
        found
    }

    fn check_files(&self) {
        let (notes, recordings): (BTreeMap<_, _>, BTreeMap<_, _>) = self
            .found()
            .into_iter()
            .partition(|(path, _)| path.extension().is_some_and(|kind| kind == "md"));
        let keys: Vec<String> = notes.values().map(|text| key_of(text)).collect();
        let mut expected: Vec<String> = self.keys().into_keys().collect();
        let mut once = keys.clone();
        once.sort();
        expected.sort();
        assert_eq!(once, expected, "one set of notes for each job: {:?}", notes.keys());
        assert_eq!(recordings.len(), self.files.len(), "{:?}", recordings.keys());
        for file in &self.files {
            let here = self.path(file.folder, &file.name);
            let moved = self.path(file.folder, "done").join(&file.name);
            let is_moved = file.folder == "moved" && (!file.is_unsteady || !here.exists());
            let bytes = recordings.get(if is_moved { &moved } else { &here });
            assert_eq!(
                bytes,
                Some(&recording(&file.content)),
                "{file:?} in {:?}",
                recordings.keys()
            );
        }
    }

    fn check_mails(&self) {
        let mails: Vec<_> = self
            .house
            .smtp
            .received()
            .into_iter()
            .filter(|mail| mail.to != ["it@example.com"])
            .collect();
        let mut ids: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for mail in &mails {
            let message = MessageParser::default().parse(&mail.raw).expect("a mail");
            let id = message.message_id().expect("an id").to_owned();
            *ids.entry(mail.to.join(" ")).or_default().entry(id).or_default() += 1;
        }
        let jobs = self.expected().iter().filter(|(folder, _)| *folder == "mailed").count();
        let readers = if jobs > 0 { vec!["ann@example.com", "bo@example.com"] } else { Vec::new() };
        assert_eq!(ids.keys().collect::<Vec<_>>(), readers);
        for (reader, ids) in &ids {
            assert_eq!(ids.len(), jobs, "one Message-ID for each job: {reader}");
        }
        let twice = mails.len() - jobs * readers.len();
        // Two mails are under way at once.
        let unavoidable = usize::try_from(self.kills).expect("few") * 2 + self.lost_mails;
        assert!(twice <= unavoidable, "{twice} mails came twice");
    }
}

fn folder_table(house: &House, name: &str, keys: &str) -> String {
    let path = house.dir.path().join(name);
    fs::create_dir_all(&path).expect("made");
    format!(
        "[[folder]]\nname = \"{name}\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}, \
         {{ name = \"Bo Chen\", email = \"bo@example.com\" }}]\n{keys}",
        path.display()
    )
}

/// A content as a job's key names it.
fn hash(bytes: &[u8]) -> String {
    format!("b3-{}", &blake3::hash(bytes).to_hex()[..32])
}

/// The key in the front matter of notes.
fn key_of(notes: &[u8]) -> String {
    let text = String::from_utf8_lossy(notes);
    let key = text.lines().find_map(|line| line.strip_prefix("minuted: "));
    key.unwrap_or_else(|| panic!("a foreign file: {text}")).to_owned()
}

fn states(house: &House) -> Option<Vec<(String, i64)>> {
    house.rows(
        "SELECT state || ' ' || coalesce(waits_for, '') || ' ' || coalesce(stage, ''), count(*) FROM job GROUP BY 1",
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
