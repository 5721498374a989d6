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
use minuted::testing::effect::{Effect, When};
use serde_json::Value;

use crate::support::{
    budget::budget,
    chance::Chance,
    house::{Daemon, House, last_midnight, recording, until, until_told},
    paxs::{Analysis, Call, Fault, Meeting, Options},
};

/// Houses at once: they wait more than they work.
const AT_ONCE: usize = 4;

/// The recording of every scenario.
const NAME: &str = "talk.wav";

/// A way through minuted that passes some of the effects for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// The main job with all that can be configured, and one result that fails once.
    Main,
    /// A recording that fails for good, is retried by a person and analysed once more.
    Failing,
    /// A recording whose notes are made anew with one more analysis.
    More,
    /// A recording whose speaker is named, and whose notes are written again.
    Named,
    /// A recording that fails for good, and the operator is told.
    Told,
    /// A recording that is touched while it is sent.
    Touched,
    /// A service and a mail server that are busy, and one that refuses a recipient.
    Refused,
    /// Three recordings of which a day takes two.
    Limited,
    /// A service that loses the answers to what it did, and refuses a request.
    Lost,
    /// Notes that another host made meanwhile.
    Elsewhere,
    /// A recording that killed the process before.
    Poisoned,
    /// A job that delivers although nothing is due.
    Idle,
    /// A job that a crash has interrupted.
    Interrupted,
    /// A sign-in that the service has revoked.
    Revoked,
    /// A daemon that dies at each start, one point after the other.
    Starting,
    /// A daemon that dies at each stop.
    Stopping,
    /// A job that waits for its file, while the daemon dies at each start.
    Waiting,
    /// Commands that die, one after the other, while no daemon runs.
    Commands,
    /// The engine has no part in this house: its child dies in `engine.rs`, its service in `ondevice.rs`, the installation of
    /// its model in `src/engine/model/tests.rs`. What converts recordings dies in `convert.rs`, what is deleted at a
    /// service in `koldan.rs`.
    Engine,
    /// No bot is sent from this house: the commands that do it die in `meetingbaas.rs`.
    Bots,
    /// No source either: its death is in `sources.rs`.
    Sources,
    /// No recording is deleted later: the deaths around that are in `retention.rs`.
    Expired,
    /// No folder here has a calendar: the deaths around it are in `calendar.rs`.
    Calendars,
    /// Nobody is told in this house: what notifiers are told dies in `notifications.rs`.
    Notified,
    /// The house has its configuration, and nobody looks at a page: the command that writes one dies in `init.rs`, the page
    /// in `page.rs`.
    Visitors,
}

/// The scenario that passes each effect for sure. A new effect needs its place here.
const SCENARIOS: &[(Scenario, &[Effect])] = &[
    (
        Scenario::Main,
        &[
            Effect::See,
            Effect::Gone,
            Effect::Take,
            Effect::Meet,
            Effect::Claim,
            Effect::IntendCreate,
            Effect::CountCreation,
            Effect::Created,
            Effect::Uploaded,
            Effect::IntendRequest,
            Effect::Requested,
            Effect::Analysed,
            Effect::RetryLater,
            Effect::Delivered,
            Effect::Hold,
            Effect::Parse,
            Effect::Parsed,
            Effect::Release,
            Effect::CallTokens,
            Effect::CallCreate,
            Effect::CallUpload,
            Effect::CallLook,
            Effect::CallRequest,
            Effect::SaveTokens,
            Effect::PlaceFile,
            Effect::Dispose,
            Effect::Mail,
        ],
    ),
    (Scenario::Failing, &[Effect::Await, Effect::Fail, Effect::Retry, Effect::ClearFile]),
    (Scenario::More, &[Effect::Reanalyse, Effect::ReplaceFile]),
    (Scenario::Named, &[Effect::NameSpeakers, Effect::IntendRewrite]),
    (Scenario::Told, &[Effect::Digest, Effect::NoticesSent]),
    (Scenario::Touched, &[Effect::LoseFile]),
    (
        Scenario::Refused,
        &[
            Effect::Uncreate,
            Effect::Snooze,
            Effect::DeliverLater,
            Effect::DeliveryFailed,
            Effect::TellHold,
        ],
    ),
    (Scenario::Limited, &[Effect::ReportLimit]),
    (Scenario::Lost, &[Effect::CallFind, Effect::CallAttachments, Effect::Unrequested]),
    (Scenario::Elsewhere, &[Effect::AlreadyDone]),
    (Scenario::Poisoned, &[Effect::Charge]),
    (Scenario::Interrupted, &[Effect::Recover]),
    (Scenario::Idle, &[Effect::Settle, Effect::WakeJobs, Effect::WakeDeliveries]),
    (Scenario::Revoked, &[Effect::StrikeOut]),
    (
        Scenario::Starting,
        &[
            Effect::Make,
            Effect::Migrate,
            Effect::FollowClock,
            Effect::Alive,
            Effect::Prune,
            Effect::MarkRestored,
            Effect::Remember,
            Effect::CallMarkers,
            Effect::TakeMarkers,
            Effect::TakeNotes,
            Effect::KeepFormer,
            Effect::Reconsider,
            Effect::Mark,
            Effect::Listen,
        ],
    ),
    (Scenario::Stopping, &[Effect::Checkpoint, Effect::Hush]),
    (Scenario::Waiting, &[Effect::WakeFiles, Effect::CancelLost]),
    (
        Scenario::Engine,
        &[
            Effect::BeginPieces,
            Effect::KeepPieces,
            Effect::PlaceTranscript,
            Effect::CallCancel,
            Effect::CallDispose,
            Effect::ForgetTranscript,
            Effect::PlaceConverted,
            Effect::ForgetConverted,
            Effect::RetireModel,
            Effect::PlaceModel,
            Effect::PlaceWhisperModel,
            Effect::RetireWhisperModel,
        ],
    ),
    (
        Scenario::Bots,
        &[
            Effect::SendBot,
            Effect::RecallBot,
            Effect::Retranscribe,
            Effect::ScheduleBot,
            Effect::UnscheduleBot,
        ],
    ),
    (
        Scenario::Sources,
        &[
            Effect::MeetSource,
            Effect::WalkSource,
            Effect::FindRecordings,
            Effect::WantRecording,
            Effect::HastenRecordings,
            Effect::FetchLater,
            Effect::FetchFailed,
            Effect::IntendPlace,
            Effect::PlaceFetched,
            Effect::IntendDeletion,
            Effect::RecordDeletion,
            Effect::PlaceRecording,
            Effect::CallDeletion,
        ],
    ),
    (
        Scenario::Expired,
        &[
            Effect::ScheduleDeletions,
            Effect::PutOffDeletion,
            Effect::RecordExpired,
            Effect::DeleteExpired,
        ],
    ),
    (Scenario::Calendars, &[Effect::ReadCalendar]),
    (
        Scenario::Notified,
        &[
            Effect::NotificationSent,
            Effect::NotifyLater,
            Effect::NotificationFailed,
            Effect::StopNotifier,
            Effect::EndNotifications,
            Effect::Notify,
            Effect::Ping,
        ],
    ),
    (Scenario::Visitors, &[Effect::SaveSecret, Effect::PlaceConfiguration]),
    (
        Scenario::Commands,
        &[
            Effect::Redo,
            Effect::Cancel,
            Effect::DecideBacklog,
            Effect::ForgetTokens,
            Effect::Backup,
            Effect::Add,
            Effect::TryOut,
        ],
    ),
];

fn scenario(effect: Effect) -> Scenario {
    let row = SCENARIOS.iter().find(|(_, effects)| effects.contains(&effect));
    row.unwrap_or_else(|| panic!("{effect:?} has no scenario")).0
}

#[test]
fn every_effect_has_one_scenario() {
    for effect in Effect::ALL {
        let rows = SCENARIOS.iter().filter(|(_, effects)| effects.contains(effect));
        assert_eq!(rows.count(), 1, "{effect:?}");
    }
}

/// Effects that happen more than once on the way, and which further times are worth dying at.
const AGAIN: [(Effect, u32); 13] = [
    (Effect::Claim, 2),
    (Effect::Release, 2),
    (Effect::IntendRequest, 2),
    (Effect::CallRequest, 2),
    (Effect::CallRequest, 3),
    (Effect::Requested, 2),
    (Effect::CallLook, 2),
    (Effect::PlaceFile, 2),
    (Effect::Mail, 2),
    (Effect::Delivered, 2),
    (Effect::Delivered, 3),
    (Effect::Delivered, 4),
    (Effect::Delivered, 5),
];

/// What happens once speakers are named and the notes are written again, and how often it happened before.
const NAMED: [(Effect, u32); 5] = [
    (Effect::IntendRewrite, 2),
    (Effect::ReplaceFile, 1),
    (Effect::ReplaceFile, 2),
    // Two files and two mails were delivered before.
    (Effect::Delivered, 5),
    (Effect::Delivered, 6),
];

/// Pairs of deaths that are tried: one on the way, one while that is made good.
const PAIRS: u32 = 6;

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

    /// Both sides of an effect.
    fn around(effect: Effect, nth: u32) -> [Self; 2] {
        [When::Before, When::After].map(|when| Self { effect, when, nth })
    }
}

/// The effects of the scenarios in which each death has a house of its own.
fn with_a_house_each() -> impl Iterator<Item = Effect> {
    let chained = [
        Scenario::Starting,
        Scenario::Stopping,
        Scenario::Waiting,
        Scenario::Commands,
        Scenario::Engine,
        Scenario::Bots,
        Scenario::Sources,
        Scenario::Expired,
        Scenario::Calendars,
        Scenario::Notified,
        Scenario::Visitors,
    ];
    Effect::ALL.iter().copied().filter(move |effect| !chained.contains(&scenario(*effect)))
}

/// Both sides of every effect of a scenario that dies again and again in one house, in the order of the registry.
fn chain(wanted: Scenario) -> impl Iterator<Item = Point> {
    let effects = Effect::ALL.iter().copied().filter(move |effect| scenario(*effect) == wanted);
    effects.flat_map(|effect| Point::around(effect, 1))
}

#[test]
fn whichever_effect_a_crash_meets_there_is_one_meeting_and_one_set_of_notes() {
    survive(with_a_house_each().flat_map(|effect| Point::around(effect, 1)), die_at);
}

#[test]
fn an_effect_that_comes_again_survives_a_crash_as_the_first_does() {
    survive(AGAIN.into_iter().flat_map(|(effect, nth)| Point::around(effect, nth)), die_at);
}

#[test]
fn whatever_a_crash_meets_while_notes_get_names_they_are_the_old_or_the_new_ones() {
    survive(NAMED.into_iter().flat_map(|(effect, nth)| Point::around(effect, nth)), named);
}

#[test]
fn a_crash_while_another_is_made_good_changes_nothing() {
    let mut chance = Chance::seeded();
    let main: Vec<Effect> =
        with_a_house_each().filter(|effect| scenario(*effect) == Scenario::Main).collect();
    // A sign-in that died with the process needs a person: that is another story.
    let first: Vec<Effect> =
        main.iter().copied().filter(|effect| !is_about_tokens(*effect)).collect();
    let second: Vec<Effect> =
        first.iter().copied().chain(chain(Scenario::Starting).map(|point| point.effect)).collect();
    let pairs: Vec<[Point; 2]> = (0..budget(PAIRS))
        .map(|_| {
            [chance.pick(&first), chance.pick(&second)]
                .map(|effect| chance.pick(&Point::around(effect, 1)))
        })
        .collect();
    survive(pairs, die_twice);
}

fn is_about_tokens(effect: Effect) -> bool {
    matches!(effect, Effect::CallTokens | Effect::SaveTokens)
}

/// Dies at each of these; tells of all that went wrong together.
fn survive<T: Send + Copy + std::fmt::Debug>(
    points: impl IntoIterator<Item = T>,
    die: impl Fn(T) + Sync,
) {
    let points: Vec<T> = points.into_iter().collect();
    let points = Mutex::new(points.into_iter());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = { points.lock().expect("held for a moment").next() } {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| die(point))) {
                        let told = format!("{point:?}: {}", said(panic.as_ref()));
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
        Scenario::More => more(point),
        Scenario::Named => named(point),
        Scenario::Told => told(point),
        Scenario::Touched => touched(point),
        Scenario::Refused => refused(point),
        Scenario::Limited => limited(point),
        Scenario::Lost => lost(point),
        Scenario::Elsewhere => elsewhere(point),
        Scenario::Poisoned => poisoned(point),
        Scenario::Idle => idle(point),
        Scenario::Interrupted => interrupted(point),
        Scenario::Revoked => revoked(point),
        Scenario::Starting
        | Scenario::Stopping
        | Scenario::Waiting
        | Scenario::Commands
        | Scenario::Engine
        | Scenario::Bots
        | Scenario::Sources
        | Scenario::Expired
        | Scenario::Calendars
        | Scenario::Notified
        | Scenario::Visitors => unreachable!("these die in a chain, or elsewhere"),
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
        Self { house, daemon: armed(house, point), died: false }
    }

    /// Dies by another's hand, and is started again to die at a point.
    fn again(&mut self, point: Point) {
        self.daemon.signal(rustix::process::Signal::KILL);
        until("it is dead", || self.daemon.was_killed().then_some(()));
        self.daemon = armed(self.house, point);
        self.died = false;
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
        self.until(&format!("the job is {state}"), |house| {
            (state_now(house)? == state).then_some(())
        });
        self.until("it is shown", |house| the_job(house).filter(|job| job["state"] == state))
    }

    /// Asks the daemon for something until `done` says that it happened: the answer may have died with the daemon.
    fn ask(&mut self, arguments: &[&str], done: impl Fn(&House) -> bool) {
        self.until("it is asked for", |house| {
            (done(house) || house.run(arguments).status.success()).then_some(())
        });
    }
}

/// Starts a daemon that dies at a point.
fn armed(house: &House, point: Point) -> Daemon {
    house.spawn(&[("MINUTED_DIE", &point.spec()), ("WATCHDOG_USEC", "60000000")])
}

/// Starts a daemon that dies at a point, and waits until it has.
fn die_once(house: &House, point: Point) {
    let mut daemon = armed(house, point);
    let what = || format!("{} is reached; the log:\n{}", point.spec(), house.log());
    until_told(what, || daemon.was_killed().then_some(()));
}

/// The state of the one job, without asking a daemon.
fn state_now(house: &House) -> Option<String> {
    house.rows("SELECT state FROM job", |row| row.get(0))?.pop()
}

/// The one job, with its history; `None` before there is one.
fn the_job(house: &House) -> Option<Value> {
    let jobs = house.jobs_if()?;
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
    for notes in expected
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|found| found == "md"))
    {
        let text = fs::read_to_string(house.path(notes)).expect("read");
        assert!(text.contains(&key) && text.contains("# "), "{text}");
    }
}

/// How many mails each recipient of the notes got; all of one recipient carry one Message-ID.
fn mails(house: &House) -> BTreeMap<String, usize> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in house.smtp.received().iter().filter(|mail| mail.to != ["it@example.com"]) {
        let message = MessageParser::default().parse(&mail.raw).expect("a mail");
        ids.entry(mail.to.join(" "))
            .or_default()
            .push(message.message_id().expect("an id").to_owned());
    }
    for (to, ids) in &mut ids {
        let sent = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{to} got {sent} mails with several ids");
        ids.resize(sent, String::new());
    }
    ids.into_iter().map(|(to, ids)| (to, ids.len())).collect()
}

/// The main job: everything that can be configured, and one result that fails once.
fn main_house() -> House {
    let house = House::with(quick());
    house.configure_all(
        "instruction = \"Short.\"\nanalyses = [\"transcription\", \"meeting note\", \"key_points\"]",
        "deliver = [\"beside\", \"email\"]\nformats = [\"md\", \"txt\"]\non_success = \"move\"\nmove_to = \"done\"",
        "",
    );
    house.standin.fail_analyses(Analysis::KeyPoints, 1);
    house
}

fn main_job(point: Point) {
    let house = main_house();
    if is_about_tokens(point.effect) {
        house.standin.expire_access_tokens();
    }
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal.until_dead();
    if point.is(Effect::SaveTokens, When::Before) || point.is(Effect::CallTokens, When::After) {
        // The service has taken the refresh token and its successor died with the process: nobody can help but a person.
        mortal.until("a person is asked for", |house| {
            house.log().contains("sign in: minuted login paxs").then_some(())
        });
        house.sign_in();
    }
    let mails_max = mortal.assert_main(1, &[point]);
    assert!(mails_max <= 2, "a crash costs one mail more at most");
}

/// One death on the way, one while it is made good, and a third start.
fn die_twice([first, second]: [Point; 2]) {
    let house = main_house();
    let mut mortal = Mortal::start(&house, first);
    house.drop_recording(NAME);
    let what = || format!("{} is reached; the log:\n{}", first.spec(), house.log());
    until_told(what, || mortal.daemon.was_killed().then_some(()));
    mortal.daemon = armed(&house, second);
    // What was done before the first death is not always done again.
    let what = || format!("dead again, or done; the log:\n{}", house.log());
    until_told(what, || (mortal.daemon.was_killed() || state_now(&house)? == "done").then_some(()));
    mortal.daemon = house.spawn(&[]);
    mortal.died = true;
    mortal.assert_main(1, &[first, second]);
}

impl Mortal<'_> {
    /// Waits for the main job and sees that there is one of everything; returns the most mails that one reader got.
    fn assert_main(&mut self, attempts: u32, points: &[Point]) -> usize {
        let house = self.house;
        self.until("the recording is moved", |house| {
            house.path("done/talk.wav").exists().then_some(())
        });
        let job = self.wait_for("done");
        house.assert_at_rest();
        assert_eq!(
            job["attempts"], attempts,
            "only the one failure of the service's result counts"
        );
        the_meeting(house, &job, 1);
        assert_files(
            house,
            &job,
            &["done/talk.notes.md", "done/talk.transcript.txt", "done/talk.wav"],
        );
        assert_eq!(fs::read(house.path("done/talk.wav")).expect("moved"), recording(NAME));
        let asked = |wanted| {
            house.standin.snapshot().requested.iter().filter(|one| one.analyses == [wanted]).count()
        };
        assert_eq!((asked(Analysis::MeetingNote), asked(Analysis::KeyPoints)), (1, 2));
        assert_mails(house, points)
    }
}

/// One mail each; where the process died between the mail server's word and the commit a second one is unavoidable.
fn assert_mails(house: &House, points: &[Point]) -> usize {
    let mails = mails(house);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["ann@example.com", "bo@example.com"]);
    let at_least_once = |point: &&Point| {
        matches!(point.effect, Effect::Mail | Effect::Delivered | Effect::PlaceFile)
    };
    let deaths = points.iter().filter(at_least_once).count();
    for (to, count) in &mails {
        assert!(*count <= 1 + deaths, "{to} got {count}");
    }
    mails.values().copied().max().unwrap_or_default()
}

fn failing(point: Point) {
    let house = House::with(quick());
    house.standin.fail_transcriptions(3);
    let mut mortal = Mortal::start(&house, point);
    let path = house.drop_recording(NAME);
    let path = path.to_str().expect("UTF-8");
    mortal
        .until("the failure is told", |house| house.path("talk.failed.txt").exists().then_some(()));
    let job = mortal.wait_for("failed");
    assert_eq!(job["attempts"], 3);
    mortal.ask(&["retry", path], |house| the_job(house).is_some_and(|job| job["attempts"] == 0));
    mortal.until("the word of the failure is gone", |house| {
        (house.path("talk.notes.md").exists() && !house.path("talk.failed.txt").exists())
            .then_some(())
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
    house.assert_at_rest();
    assert_eq!(events(&house, "a person asked to retry"), 1);
    the_meeting(&house, &job, 4);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

/// How often something stands in the history of a job; 0 while nobody can tell.
fn events(house: &House, path: &str, wanted: &str) -> usize {
    let Some(job) = house.job_of(Path::new(path)) else { return 0 };
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
    mortal.until("it is being sent", |house| {
        (house.standin.running(Call::Upload) == 1).then_some(())
    });
    let file = fs::File::options().write(true).open(&path).expect("opened");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).expect("touched");
    drop(file);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.mp3", "talk.notes.md"]);
}

fn limited(point: Point) {
    let house = House::with(quick());
    // Noon: the day does not end while this runs.
    house.set_time(last_midnight() + 12 * 3600);
    house.configure("daily_limit = \"1s\"");
    let mut mortal = Mortal::start(&house, point);
    let count = |house: &House, sql: &str| house.tally(sql);
    let done = "SELECT count(*) FROM job WHERE state = 'done'";
    // Each has 0.4 s.
    house.drop_recording(NAME);
    house.drop_recording("more.wav");
    mortal.until("the first two are done", |house| (count(house, done)? == 2).then_some(()));
    house.drop_recording("other.wav");
    mortal.until_dead();
    let notices = "SELECT count(*) FROM notice WHERE text LIKE '%daily limit%'";
    mortal.until("the operator is told", |house| (count(house, notices)? > 0).then_some(()));
    // The one that was started after the death may not listen yet.
    mortal.ask(&["scan"], |_| false);
    assert_eq!(count(&house, notices), Some(1), "once");
    assert_eq!(count(&house, "SELECT count(*) FROM begun"), Some(2));
    house.configure("");
    mortal.daemon = house.spawn(&[]);
    mortal.until("all are done", |house| (count(house, done)? == 3).then_some(()));
    house.assert_at_rest();
    assert_eq!(house.standin.snapshot().meetings.len(), 3);
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
    house.assert_at_rest();
    the_meeting(&house, &job, 1);
    assert_eq!(
        job["attempts"], 0,
        "neither a busy service nor a refused mail is the recording's failure"
    );
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
    let key =
        mortal.until("it is taken in", |house| Some(the_job(house)?["key"].as_str()?.to_owned()));
    fs::write(
        house.path("talk.notes.md"),
        format!("---\ntitle: Talk\nminuted: {key}\n---\n# Talk\n"),
    )
    .expect("written");
    mortal.until_dead();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(house.standin.snapshot().meetings.len(), 0, "the notes are there: nothing is made");
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

fn poisoned(point: Point) {
    let house = House::with(quick());
    let mut first = house.spawn(&[("MINUTED_DIE", "Parse:After")]);
    house.drop_recording(NAME);
    until_told(|| house.log(), || first.was_killed().then_some(()));
    let mut mortal = Mortal::start(&house, point);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    assert_eq!(
        house
            .log()
            .matches("died while it looked into `talk.wav` (folder `sales`): 1 of 3")
            .count(),
        1
    );
    assert_eq!(house.log().matches("2 of 3").count(), 0, "one death is charged once");
}

fn interrupted(point: Point) {
    let house = House::with(quick());
    let mut first = house.spawn(&[("MINUTED_DIE", "IntendCreate:Before")]);
    house.drop_recording(NAME);
    until_told(|| house.log(), || first.was_killed().then_some(()));
    let mut mortal = Mortal::start(&house, point);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

/// A job that delivers although nothing is due any more: what it owed was held.
fn idle(point: Point) {
    let house = House::with(quick());
    house.configure("deliver = [\"beside\", \"email\"]");
    house.smtp.down(true);
    let daemon = house.start();
    house.drop_recording(NAME);
    let delivered = "SELECT count(*) FROM delivery WHERE kind = 'notes' AND state = 'done'";
    until_told(|| house.log(), || (house.tally(delivered)? == 1).then_some(()));
    daemon.kill();
    let queue = rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
    queue
        .execute("UPDATE delivery SET state = 'held', due_ms = NULL WHERE kind = 'mail'", [])
        .expect("written");
    let holds = "INSERT INTO hold VALUES ('service', 'paxs', 'down', '', 0), ('folder', 'sales', 'absent', '', 0)";
    queue.execute(holds, []).expect("written");
    drop(queue);
    let mut mortal = Mortal::start(&house, point);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    assert_eq!(mails(&house).len(), 0, "held mails wait for a person");
}

fn more(point: Point) {
    let house = House::with(quick());
    let mut mortal = Mortal::start(&house, point);
    let path = house.drop_recording(NAME);
    let path = path.to_str().expect("UTF-8");
    mortal.wait_for("done");
    mortal.ask(&["analyse", path, "--types", "key_points"], |house| {
        events(house, path, "a person asked for more analyses") == 1
    });
    mortal.until_dead();
    let job = mortal.until("it is analysed again", |house| {
        let job = the_job(house).filter(|job| job["state"] == "done")?;
        (events(house, path, "analysed") == 2).then_some(job)
    });
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    assert!(
        fs::read_to_string(house.path("talk.notes.md")).expect("there").contains("## Key points")
    );
}

fn named(point: Point) {
    let house = House::with(quick());
    house.configure("deliver = [\"beside\", \"email\"]\nformats = [\"md\", \"txt\"]");
    let mut mortal = Mortal::start(&house, point);
    let path = house.drop_recording(NAME);
    let path = path.to_str().expect("UTF-8");
    mortal.wait_for("done");
    let calls = house.standin.snapshot().requested.len();
    let named = "a person named its speakers: Ann Lee is Zoe Ito";
    mortal.ask(&["speakers", path, "Ann Lee=Zoe Ito"], |house| events(house, path, named) == 1);
    mortal.until("the notes have the name", |house| {
        let texts = ["talk.notes.md", "talk.transcript.txt"].map(|name| {
            let text = fs::read_to_string(house.path(name)).expect("old or new, there are notes");
            assert!(text.contains("arrived whole."), "{text}");
            let (is_old, is_new) = (
                text.contains("Ann Lee** [") || text.contains("] Ann Lee:"),
                text.contains("Zoe Ito"),
            );
            assert!(is_old != is_new, "{text}");
            is_new
        });
        (texts == [true, true] && state_now(house)? == "done").then_some(())
    });
    mortal.until_dead();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(events(&house, path, named), 1);
    assert_eq!(house.standin.snapshot().requested.len(), calls);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", "talk.transcript.txt", NAME]);
    let mails = mails(&house);
    assert!(mails.values().all(|count| *count == 1), "nothing is mailed again: {mails:?}");
}

fn told(point: Point) {
    let house = House::with(quick());
    house.standin.fail_transcriptions(3);
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal
        .until("the failure is told", |house| house.path("talk.failed.txt").exists().then_some(()));
    if !mortal.died {
        // What is to be told is told every 20 s, and at the start.
        mortal.again(point);
    }
    mortal.until_dead();
    let digests = |house: &House| {
        house.smtp.received().into_iter().filter(|mail| mail.to == ["it@example.com"])
    };
    mortal.until("it is recorded", |house| {
        (house.tally("SELECT count(*) FROM notice WHERE sent_ms IS NULL")? == 0).then_some(())
    });
    let job = mortal.wait_for("failed");
    house.assert_at_rest();
    the_meeting(&house, &job, 3);
    assert_files(&house, &job, &["talk.failed.txt", NAME]);
    let mut ids: Vec<String> = digests(&house).map(|mail| id_of(&mail.raw)).collect();
    let sent = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), 1, "one digest, whatever the death");
    assert!(sent <= if point.is(Effect::Digest, When::Before) { 1 } else { 2 }, "{sent} digests");
}

fn id_of(raw: &[u8]) -> String {
    MessageParser::default().parse(raw).expect("a mail").message_id().expect("an id").to_owned()
}

fn lost(point: Point) {
    let house = House::with(quick());
    house.configure_all("analyses = [\"transcription\", \"meeting note\", \"key_points\"]", "", "");
    house.standin.fail_next(Call::CreateSession, Fault::LoseAnswer);
    house.standin.fail_next(Call::Upload, Fault::LoseAnswer);
    house.standin.fail_next(Call::RequestAnalysis, Fault::Status(429));
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal.until_dead();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0, "a lost answer is nobody's failure");
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
    assert_eq!(house.standin.snapshot().count(Call::CreateSession), 1);
}

fn revoked(point: Point) {
    let house = House::with(quick());
    house.standin.revoke_all();
    let mut mortal = Mortal::start(&house, point);
    house.drop_recording(NAME);
    mortal.until_dead();
    mortal.until("a person is asked for", |house| {
        house.log().contains("sign in: minuted login paxs").then_some(())
    });
    house.sign_in();
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0);
    the_meeting(&house, &job, 1);
    assert_files(&house, &job, &["talk.notes.md", NAME]);
}

/// The one recording is taken to its notes by a daemon that nothing happens to.
fn finish(house: &House) {
    let mut mortal = Mortal { house, daemon: house.spawn(&[]), died: true };
    let job = mortal.wait_for("done");
    house.assert_at_rest();
    assert_eq!(job["attempts"], 0);
    the_meeting(house, &job, 1);
    assert_files(house, &job, &["talk.notes.md", NAME]);
}

#[test]
fn a_daemon_that_dies_at_every_step_of_its_start_starts_in_the_end() {
    let house = House::with(quick());
    house.drop_recording(NAME);
    assert!(!house.state_dir().join("queue.sqlite").exists(), "the first start makes it");
    for point in chain(Scenario::Starting) {
        if point.effect == Effect::MarkRestored || point.effect == Effect::TakeNotes {
            // Only a queue that is not the one of the mark takes these steps.
            let mark = house.state_dir().join("mark");
            fs::write(mark, "another").expect("written");
        }
        if matches!(point.effect, Effect::CallMarkers | Effect::TakeMarkers) {
            fs::write(house.state_dir().join("mark"), "another").expect("written");
        }
        die_once(&house, point);
    }
    finish(&house);
}

#[test]
fn a_daemon_that_dies_while_it_stops_has_lost_nothing() {
    let house = House::with(quick());
    house.drop_recording(NAME);
    let watching = || house.log().matches("watches").count();
    for point in chain(Scenario::Stopping) {
        // The daemons before it have said so too.
        let before = watching();
        let mut daemon = armed(&house, point);
        until("it watches", || (watching() > before).then_some(()));
        until("it answers", || house.run(&["status"]).status.success().then_some(()));
        daemon.signal(rustix::process::Signal::TERM);
        let what = || format!("{} is reached; the log:\n{}", point.spec(), house.log());
        until_told(what, || daemon.ended().is_some().then_some(()));
        assert!(daemon.was_killed(), "{}", point.spec());
    }
    finish(&house);
}

#[test]
fn a_job_that_waits_for_its_file_outlives_deaths_and_goes_on_when_it_is_back() {
    let house = House::with(quick());
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    let path = house.drop_recording(NAME);
    let daemon = house.spawn(&[]);
    until("it is taken in", || state_now(&house));
    fs::remove_file(&path).expect("removed");
    let waits = || house.tally("SELECT count(*) FROM job WHERE waits_for = 'file'");
    until("it waits for its file", || (waits()? == 1).then_some(()));
    daemon.kill();
    for point in chain(Scenario::Waiting) {
        die_once(&house, point);
        assert_eq!(waits(), Some(1), "{}", point.spec());
    }
    house.standin.clear_faults();
    house.drop_recording(NAME);
    finish(&house);
}

#[test]
fn a_crash_while_the_mark_is_renewed_holds_no_mail() {
    let points =
        [(Effect::Mark, 1), (Effect::Mark, 2), (Effect::Remember, 1), (Effect::Remember, 2)];
    survive(points.into_iter().flat_map(|(effect, nth)| Point::around(effect, nth)), |point| {
        let house = main_house();
        let mut daemon =
            armed(&house, Point { effect: Effect::Analysed, when: When::After, nth: 1 });
        house.drop_recording(NAME);
        until("the mails are due", || daemon.was_killed().then_some(()));
        die_once(&house, point);
        let mut mortal = Mortal { house: &house, daemon: house.spawn(&[]), died: true };
        mortal.assert_main(1, &[]);
    });
}

/// Runs a command that dies at a point, and says whether it did; no daemon runs.
fn command_dies(house: &House, point: Point, arguments: &[&str]) -> bool {
    let output = house.command(arguments).env("MINUTED_DIE", point.spec()).output().expect("run");
    std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9)
}

#[test]
fn a_command_that_dies_has_done_what_it_does_once_or_not_at_all() {
    let house = House::with(quick());
    // Cancelled and done anew before anything is at the service: one meeting in the end.
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    let path = house.drop_recording(NAME);
    let path = path.to_str().expect("UTF-8");
    let daemon = house.spawn(&[]);
    until("it is taken in", || state_now(&house));
    daemon.kill();
    let copy = house.dir.path().join("copies/queue.sqlite");
    fs::create_dir_all(copy.parent().expect("a parent")).expect("made");
    let other = house.dir.path().join("other.mp3");
    fs::write(&other, recording("other.mp3")).expect("written");
    let (copy, other) = (copy.to_str().expect("UTF-8"), other.to_str().expect("UTF-8"));
    // Each command, and how often what it does is seen to have happened.
    let commands: [(Effect, &[&str], Option<&str>); 7] = [
        (
            Effect::Cancel,
            &["cancel", path],
            Some("SELECT count(*) FROM job WHERE state = 'cancelled'"),
        ),
        (Effect::Redo, &["redo", path], Some("SELECT count(*) FROM job WHERE generation = 2")),
        (Effect::DecideBacklog, &["backlog", "sales", "process"], None),
        (Effect::ForgetTokens, &["logout"], None),
        (Effect::Backup, &["backup", copy], None),
        (Effect::Add, &["add", other, "--folder", "sales"], None),
        (Effect::TryOut, &["check"], None),
    ];
    for point in chain(Scenario::Commands) {
        let (_, arguments, sql) = commands
            .into_iter()
            .find(|(effect, ..)| *effect == point.effect)
            .expect("each has its command");
        assert!(command_dies(&house, point, arguments), "{}", point.spec());
        if point.effect == Effect::TryOut {
            assert_eq!(temporary(&house), 1, "what the check before it has left is swept");
        }
        if let Some(sql) = sql {
            let done = i64::from(point.when == When::After);
            assert_eq!(house.tally(sql), Some(done), "{}", point.spec());
        }
    }
    assert!(Path::new(copy).exists(), "the second try of the copy had its name");
    house.sign_in();
    house.standin.clear_faults();
    let _daemon = house.spawn(&[]);
    until("both are done", || {
        (house.tally("SELECT count(*) FROM job WHERE state = 'done'")? == 2).then_some(())
    });
    house.assert_at_rest();
    let mut keys: Vec<String> =
        house.standin.snapshot().meetings.into_iter().map(|one| one.description).collect();
    keys.sort();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(house.files(), ["other.mp3", "other.notes.md", "talk.notes.md", NAME]);
    assert_eq!(temporary(&house), 0, "what a check has left is swept by the first notes");
}

/// How many files on their way to a name lie in the folder.
fn temporary(house: &House) -> usize {
    let names =
        fs::read_dir(house.folder()).expect("there").map(|entry| entry.expect("read").file_name());
    names.filter(|name| minuted::testing::delivery::is_temporary(name)).count()
}
