//! `kill -9` at every named effect, then one meeting, one set of notes.

use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    thread,
    time::Duration,
};

use mail_parser::MessageParser;
use minuted::{
    effect::{Effect, When},
    standin::{Analysis, Call, Fault, Meeting, Options},
};
use serde_json::Value;

use crate::support::house::{Daemon, House, recording, until_told};

/// Houses at once: they wait more than they work.
const AT_ONCE: usize = 4;

/// The recording of every scenario.
const NAME: &str = "talk.wav";

/// A way through minuted that passes some of the effects for sure.
#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// The main job with all that can be configured, and one result that fails once.
    Main,
    /// A recording that fails for good, is retried by a person and analysed once more.
    Failing,
    /// A recording that is touched while it is sent.
    Touched,
    /// A service and a mail server that are busy, and one that refuses a recipient.
    Refused,
    /// Notes that another host made meanwhile.
    Elsewhere,
    /// A recording that killed the process before.
    Poisoned,
}

/// The scenario that passes an effect for sure. A new effect needs a row here.
fn scenario(effect: Effect) -> Scenario {
    match effect {
        Effect::See
        | Effect::Gone
        | Effect::Take
        | Effect::Meet
        | Effect::Claim
        | Effect::IntendCreate
        | Effect::Created
        | Effect::Uploaded
        | Effect::IntendRequest
        | Effect::Requested
        | Effect::Analysed
        | Effect::RetryLater
        | Effect::Delivered
        | Effect::Hold
        | Effect::Upkeep
        | Effect::Mark
        | Effect::Unmark
        | Effect::CallCreate
        | Effect::CallUpload
        | Effect::CallRequest
        | Effect::SaveTokens
        | Effect::PlaceFile
        | Effect::Dispose
        | Effect::Mail => Scenario::Main,
        Effect::Await | Effect::Fail | Effect::Command | Effect::ClearFile => Scenario::Failing,
        Effect::LoseFile => Scenario::Touched,
        Effect::Uncreate | Effect::Snooze | Effect::DeliverLater | Effect::DeliveryFailed => Scenario::Refused,
        Effect::AlreadyDone => Scenario::Elsewhere,
        Effect::Charge => Scenario::Poisoned,
    }
}

/// Effects that happen more than once on the way, and which further times are worth dying at.
const AGAIN: [(Effect, u32); 16] = [
    (Effect::Claim, 2),
    (Effect::Hold, 2),
    (Effect::Upkeep, 2),
    (Effect::Upkeep, 3),
    (Effect::Upkeep, 4),
    (Effect::Upkeep, 5),
    (Effect::IntendRequest, 2),
    (Effect::CallRequest, 2),
    (Effect::CallRequest, 3),
    (Effect::Requested, 2),
    (Effect::PlaceFile, 2),
    (Effect::Mail, 2),
    (Effect::Delivered, 2),
    (Effect::Delivered, 3),
    (Effect::Delivered, 4),
    (Effect::Delivered, 5),
];

/// Where the process dies.
#[derive(Debug, Clone, Copy)]
struct Point {
    effect: Effect,
    when: When,
    nth: u32,
}

impl Point {
    fn spec(self) -> String {
        format!("{:?}:{:?}:{}", self.effect, self.when, self.nth)
    }

    fn is(self, effect: Effect, when: When) -> bool {
        self.effect == effect && self.when == when
    }
}

#[test]
fn whichever_effect_a_crash_meets_there_is_one_meeting_and_one_set_of_notes() {
    survive(Effect::ALL.map(|effect| (effect, 1)));
}

#[test]
fn an_effect_that_comes_again_survives_a_crash_as_the_first_does() {
    survive(AGAIN);
}

/// Dies before and after each effect; tells of all that went wrong together.
fn survive(effects: impl IntoIterator<Item = (Effect, u32)>) {
    let points: Vec<Point> = effects
        .into_iter()
        .flat_map(|(effect, nth)| [When::Before, When::After].map(|when| Point { effect, when, nth }))
        .collect();
    let points = Mutex::new(points.into_iter());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = { points.lock().expect("held for a moment").next() } {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| die_at(point))) {
                        let told = format!("{}: {}", point.spec(), said(panic.as_ref()));
                        failed.lock().expect("held for a moment").push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("held for a moment");
    assert!(failed.is_empty(), "{} points:\n{}", failed.len(), failed.join("\n\n"));
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn die_at(point: Point) {
    match scenario(point.effect) {
        Scenario::Main => main_job(point),
        Scenario::Failing => failing(point),
        Scenario::Touched => touched(point),
        Scenario::Refused => refused(point),
        Scenario::Elsewhere => elsewhere(point),
        Scenario::Poisoned => poisoned(point),
    }
}

/// A daemon that dies at a point once, and is started again without it.
struct Mortal<'a> {
    house: &'a House,
    daemon: Daemon,
    died: bool,
}

impl<'a> Mortal<'a> {
    fn start(house: &'a House, point: Point) -> Self {
        Self { house, daemon: house.spawn(&[("MINUTED_DIE", &point.spec())]), died: false }
    }

    fn revive(&mut self) {
        if !self.died && self.daemon.was_killed() {
            self.died = true;
            self.daemon = self.house.spawn(&[]);
        }
    }

    /// Waits for a condition, through the death.
    fn until<T>(&mut self, what: &str, mut condition: impl FnMut(&House) -> Option<T>) -> T {
        let house = self.house;
        let what = || format!("{what}; the log:\n{}", house.log());
        until_told(what, || {
            self.revive();
            condition(house)
        })
    }

    fn until_dead(&mut self) {
        let house = self.house;
        until_told(
            || format!("the point is reached; the log:\n{}", house.log()),
            || {
                self.revive();
                self.died.then_some(())
            },
        );
    }

    /// Waits for the one job to be in a state.
    fn wait_for(&mut self, state: &str) -> Value {
        self.until(&format!("the job is {state}"), |house| the_job(house).filter(|job| job["state"] == state))
    }

    /// Asks the daemon for something until `done` says that it happened: the answer may have died with the daemon.
    fn ask(&mut self, arguments: &[&str], done: impl Fn(&House) -> bool) {
        self.until("it is asked for", |house| (done(house) || house.run(arguments).status.success()).then_some(()));
    }
}

/// The one job, with its history; `None` before there is one.
fn the_job(house: &House) -> Option<Value> {
    let output = house.run(&["jobs", "--json"]);
    let jobs: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
    assert!(jobs.len() <= 1, "more than one job: {jobs:?}");
    Some(jobs.first()?.clone())
}

fn quick() -> Options {
    Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(60),
        note_time: Duration::from_millis(30),
        ..Options::default()
    }
}

/// The one meeting, with the right marker and the right bytes, sent so many times.
fn the_meeting(house: &House, job: &Value, uploads: u32) -> Meeting {
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), 1, "{meetings:?}");
    let meeting = meetings.into_iter().next().expect("one");
    let marker = format!("minuted:{}", job["key"].as_str().expect("a key"));
    assert_eq!(meeting.description.lines().last(), Some(marker.as_str()));
    let sent = meeting.recording.as_ref().expect("a recording");
    assert_eq!(job["hash"], format!("b3-{}", &sent.blake3[..32]));
    assert_eq!(meeting.uploads, uploads);
    meeting
}

/// The files that lie there in the end, and whose notes are in Markdown: those of this job alone.
fn assert_files(house: &House, job: &Value, expected: &[&str]) {
    assert_eq!(house.files(), expected);
    let key = format!("minuted: {}", job["key"].as_str().expect("a key"));
    for notes in expected.iter().filter(|name| Path::new(name).extension().is_some_and(|found| found == "md")) {
        let text = fs::read_to_string(house.path(notes)).expect("read");
        assert!(text.contains(&key) && text.contains("# "), "{text}");
    }
}

/// How many mails each recipient of the notes got; all of one recipient carry one Message-ID.
fn mails(house: &House) -> BTreeMap<String, usize> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in house.smtp.received().iter().filter(|mail| mail.to != ["it@example.com"]) {
        let message = MessageParser::default().parse(&mail.raw).expect("a mail");
        ids.entry(mail.to.join(" ")).or_default().push(message.message_id().expect("an id").to_owned());
    }
    for (to, ids) in &mut ids {
        let sent = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{to} got {sent} mails with several ids");
        ids.resize(sent, String::new());
    }
    ids.into_iter().map(|(to, ids)| (to, ids.len())).collect()
}

fn main_job(point: Point) {
    let house = House::with(quick());
    house.configure_all(
        "instruction = \"Short.\"\nanalyses = [\"transcription\", \"meeting note\", \"key_points\"]",
        "deliver = [\"beside\", \"email\"]\nformats = [\"md\", \"txt\"]\non_success = \"move\"\nmove_to = \"done\"",
        "",
    );
    house.standin.fail_analyses(Analysis::KeyPoints, 1);
    if point.effect == Effect::SaveTokens {
        house.standin.expire_access_tokens();
    }
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal.until_dead();
    if point.is(Effect::SaveTokens, When::Before) {
        // The service has taken the refresh token and its successor died with the process: nobody can help but a person.
        mortal
            .until("a person is asked for", |house| house.log().contains("sign in: minuted login paxs").then_some(()));
        house.sign_in();
    }
    mortal.until("the recording is moved", |house| house.path("done/talk.wav").exists().then_some(()));
    let job = mortal.wait_for("done");
    assert_eq!(job["attempts"], 1, "only the one failure of the service's result counts");
    let meeting = the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["done/talk.notes.md", "done/talk.transcript.txt", "done/talk.wav"]);
    assert_eq!(fs::read(house.path("done/talk.wav")).expect("moved"), recording(NAME));
    let asked = |wanted| house.standin.snapshot().requested.iter().filter(|one| one.analyses == [wanted]).count();
    assert_eq!((asked(Analysis::MeetingNote), asked(Analysis::KeyPoints)), (1, 2), "{}", meeting.id);
    assert_mails(&house, point);
}

/// One mail each; where the process died between the mail server's word and the commit a second one is unavoidable.
fn assert_mails(house: &House, point: Point) {
    let mails = mails(house);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["ann@example.com", "bo@example.com"]);
    let at_least_once = matches!(point.effect, Effect::Mail | Effect::Delivered | Effect::PlaceFile);
    for (to, count) in mails {
        assert!(count == 1 || (at_least_once && count == 2), "{to} got {count}");
    }
}

fn failing(point: Point) {
    let house = House::with(quick());
    house.standin.fail_transcriptions(3);
    let mut mortal = Mortal::start(&house, point);
    let path = house.drop_recording(NAME);
    let path = path.to_str().expect("UTF-8");
    mortal.until("the failure is told", |house| house.path("talk.failed.txt").exists().then_some(()));
    let job = mortal.wait_for("failed");
    assert_eq!(job["attempts"], 3);
    mortal.ask(&["retry", path], |house| the_job(house).is_some_and(|job| job["attempts"] == 0));
    mortal.until("the word of the failure is gone", |house| {
        (house.path("talk.notes.md").exists() && !house.path("talk.failed.txt").exists()).then_some(())
    });
    mortal.wait_for("done");
    let events = |house: &House, wanted: &str| events(house, path, wanted);
    mortal.ask(&["analyse", path, "--types", "transcription"], |house| {
        events(house, "a person asked for more analyses") == 1
    });
    mortal.until_dead();
    let job = mortal.until("it is analysed again", |house| {
        let job = the_job(house).filter(|job| job["state"] == "done")?;
        (events(house, "analysed") == 2).then_some(job)
    });
    assert_eq!(events(&house, "a person asked to retry"), 1);
    the_meeting(&house, &job, 4);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

/// How often something stands in the history of a job; 0 while nobody can tell.
fn events(house: &House, path: &str, wanted: &str) -> usize {
    let output = house.run(&["job", path, "--json"]);
    let Ok(job) = serde_json::from_slice::<Value>(&output.stdout) else { return 0 };
    let history = job["history"].as_array().expect("a history");
    history.iter().filter(|event| event["event"] == wanted).count()
}

fn touched(point: Point) {
    let house = House::with(quick());
    house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 16 << 20 });
    let mut mortal = Mortal::start(&house, point);
    let mut bytes = recording("talk.mp3");
    bytes.resize(16 << 20, 0);
    let path = house.path("talk.mp3");
    fs::write(&path, &bytes).expect("written");
    mortal.until("it is being sent", |house| (house.standin.running(Call::Upload) == 1).then_some(()));
    let file = fs::File::options().write(true).open(&path).expect("opened");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).expect("touched");
    mortal.until_dead();
    let job = mortal.wait_for("done");
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.mp3", "talk.notes.md"]);
}

fn refused(point: Point) {
    let house = House::with(quick());
    house.configure("deliver = [\"beside\", \"email\"]");
    house.standin.fail_next(Call::CreateSession, Fault::Status(429));
    house.smtp.fail_next(451);
    house.smtp.refuse_recipient("bo@example.com", 550);
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal.until_dead();
    let job = mortal.wait_for("failed");
    the_meeting(&house, &job, 1);
    assert_eq!(job["attempts"], 0, "neither a busy service nor a refused mail is the recording's failure");
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    let mails = mails(&house);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["ann@example.com"]);
    assert!(mails["ann@example.com"] <= 2);
}

fn elsewhere(point: Point) {
    let house = House::with(quick());
    house.standin.fail_always(Call::CreateSession, Fault::Status(429));
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    let key = mortal.until("it is taken in", |house| Some(the_job(house)?["key"].as_str()?.to_owned()));
    fs::write(house.path("talk.notes.md"), format!("---\ntitle: Talk\nminuted: {key}\n---\n# Talk\n"))
        .expect("written");
    mortal.until_dead();
    let job = mortal.wait_for("done");
    assert_eq!(house.standin.snapshot().meetings.len(), 0, "the notes are there: nothing is made");
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

fn poisoned(point: Point) {
    let house = House::with(quick());
    let mut first = house.spawn(&[("MINUTED_DIE", "Mark:After")]);
    house.drop_recording(NAME);
    until_told(|| house.log(), || first.was_killed().then_some(()));
    let mut mortal = Mortal::start(&house, point);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    assert_eq!(house.log().matches("died while it looked into `talk.wav` (folder `sales`): 1 of 3").count(), 1);
    assert_eq!(house.log().matches("2 of 3").count(), 0, "one death is charged once");
}
