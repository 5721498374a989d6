//! Recordings that a source brings: once for ever, whole or not at all, whatever the vendor, the store, the folder or a
//! crash does. The vendor is Meeting BaaS, in both versions.

use std::{fs, time::Duration};

use minuted::testing::effect::{Effect, When};
use serde_json::{Value, json};

use crate::support::{
    house::{Daemon, House, until, until_told},
    meetingbaas::{Baas, Bot, Call, Fault, Spoil, Twist},
    paxs::Call as Paxs,
    rows::each,
};

/// The versions, each with the extension of its audio.
const VERSIONS: [(&str, &str); 2] = [("v1", "wav"), ("v2", "flac")];

/// From when on recordings are fetched that the tests' bots have made.
const OLD: &str = "since = \"2020-01-01\"";

/// A house whose folder `sales` is filled by a source, `calls`.
struct Sourced {
    house: House,
    baas: Baas,
    api: &'static str,
}

impl Sourced {
    fn new((api, _): (&'static str, &str), folder_keys: &str, source_keys: &str) -> Self {
        let sourced = Self { house: House::new(), baas: Baas::start(), api };
        sourced.baas.give_key(sourced.house.dir.path());
        sourced.configure(folder_keys, source_keys);
        sourced
    }

    fn configure(&self, folder_keys: &str, source_keys: &str) {
        let keys = format!("name = \"calls\"\nevery = \"200ms\"\n{source_keys}");
        self.house.configure_all("", folder_keys, &self.baas.source(self.api, "sales", &keys));
    }

    fn list(&self) -> Vec<Value> {
        self.house.json(&["source", "list"]).as_array().expect("a list").clone()
    }

    /// The row of a recording, also while no command can ask.
    fn row(&self, id: &str) -> Option<Value> {
        self.house.source_rows()?.into_iter().find(|row| row["id"] == id)
    }

    fn until(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let told = || format!("{id} is {what}: {:?}; the log:\n{}", self.row(id), self.house.log());
        until_told(told, || self.row(id).filter(|row| is_so(row)))
    }

    /// Waits until the notes of a recording are done, and returns its row.
    fn until_done(&self, id: &str) -> Value {
        self.until(id, "done", |row| row["state"] == "placed" && row["job_state"] == "done")
    }

    /// Waits until the source is held for this reason, and returns why.
    fn until_held(&self, state: &str) -> String {
        let told = || format!("the source is {state}; the log:\n{}", self.house.log());
        until_told(told, || {
            let status = self.house.status();
            let source = &status["sources"][0];
            (source["state"] == state)
                .then(|| source["detail"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// Waits until the list was read `more` times from now on.
    fn until_listed(&self, more: usize) {
        let before = self.baas.count(Call::List);
        until("the list is read again", || {
            (self.baas.count(Call::List) >= before + more).then_some(())
        });
    }

    /// The files in the folder that are recordings.
    fn recordings(&self) -> Vec<String> {
        let is_recording =
            |name: &String| [".wav", ".flac", ".mp4"].iter().any(|end| name.ends_with(end));
        self.house.files().into_iter().filter(is_recording).collect()
    }

    /// Fails unless there is one file, one meeting and one set of notes for each of so many recordings, and the key
    /// stayed with the vendor.
    fn assert_one_of_everything(&self, recordings: usize) {
        let files = self.house.files();
        assert_eq!(self.recordings().len(), recordings, "{files:?}");
        assert_eq!(
            files.iter().filter(|name| name.ends_with(".notes.md")).count(),
            recordings,
            "{files:?}"
        );
        assert!(!files.iter().any(|name| name.starts_with(".minuted-")), "{files:?}");
        assert_eq!(self.house.jobs().len(), recordings, "{:?}", self.house.jobs());
        assert_eq!(self.house.standin.snapshot().count(Paxs::CreateSession), recordings as u64);
        self.baas.assert_the_key_stayed_home();
    }

    fn file(row: &Value) -> String {
        row["path"].as_str().and_then(|path| path.rsplit('/').next()).expect("a file").to_owned()
    }
}

#[test]
fn what_a_bot_recorded_comes_whole_and_leaves_notes() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", OLD);
        let calendar = sourced.baas.add_calendar("ann@example.com");
        let bot = Bot::ended("weekly");
        let guests = [("bo@example.com", Some("Bo Chen")), ("cy@example.com", None)];
        let event = sourced.baas.add_event(
            &calendar,
            "Weekly: sales",
            "weekly",
            bot.joined.expect("joined"),
            &guests,
        );
        let id = sourced.baas.add(Bot { event: Some(event), ..bot.clone() });
        let _daemon = sourced.house.start();
        let row = sourced.until_done(&id);
        let name = Sourced::file(&row);
        assert!(
            name.contains(" Weekly- sales ") && name.ends_with(&format!(".{}", version.1)),
            "{name}"
        );
        let recorded = Bot { id: id.clone(), ..bot }.recorded(version.1);
        assert!(
            fs::read(sourced.house.path(&name)).expect("there") == recorded,
            "it is what was recorded"
        );
        assert_eq!(
            (&row["title"], &row["error"], &row["source"]),
            (&"Weekly: sales".into(), &Value::Null, &"calls".into())
        );
        sourced.assert_one_of_everything(1);
        let notes = fs::read_to_string(
            sourced.house.path(&name.replace(&format!(".{}", version.1), ".notes.md")),
        );
        eprintln!("{}", notes.unwrap_or_default().chars().take(700).collect::<String>());
        let stem = name.trim_end_matches(&format!(".{}", version.1));
        let notes =
            fs::read_to_string(sourced.house.path(&format!("{stem}.notes.md"))).expect("written");
        let guests = ["title: \"Weekly: sales\"", "Bo Chen <bo@example.com>", "cy@example.com"];
        assert!(guests.iter().all(|told| notes.contains(told)), "{notes}");
        let why = sourced.house.why(&name);
        assert!(why.contains(&format!("source `calls` brought it (recording `{id}`)")), "{why}");
        let status = sourced.house.status();
        let source = &status["sources"][0];
        let told = [
            &source["name"],
            &source["into"],
            &source["state"],
            &source["placed"],
            &source["failed"],
        ];
        assert_eq!(
            told,
            [&Value::from("calls"), &"sales".into(), &"up".into(), &1.into(), &0.into()]
        );
    });
}

#[test]
fn what_was_fetched_once_is_never_fetched_again() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", OLD);
        let ids = ["one", "two", "three"].map(|name| sourced.baas.add(Bot::ended(name)));
        sourced.baas.state().page_max = 2;
        let daemon = sourced.house.start();
        let rows: Vec<_> = ids.iter().map(|id| sourced.until_done(id)).collect();
        sourced.assert_one_of_everything(3);
        let files: Vec<_> = rows.iter().map(Sourced::file).collect();
        fs::rename(sourced.house.path(&files[0]), sourced.house.path("renamed.wav"))
            .expect("renamed");
        fs::remove_file(sourced.house.path(&files[1])).expect("removed");
        let notes = rows[2]["job"]
            .as_i64()
            .map(|job| sourced.house.json(&["job", &job.to_string()])["notes"][0].clone());
        fs::remove_file(notes.expect("a job").as_str().expect("notes")).expect("removed");
        sourced.until_listed(4);
        assert!(daemon.stop().success());
        let _daemon = sourced.house.start();
        sourced.until_listed(6);
        assert_eq!(sourced.baas.downloads(version.1), 3);
        assert_eq!(sourced.house.standin.snapshot().count(Paxs::CreateSession), 3);
        assert!(sourced.list().iter().all(|row| row["state"] == "placed"));
        assert_eq!(sourced.recordings().len(), 2, "what a person removed stays away");
    });
}

#[test]
fn a_meeting_that_goes_on_is_waited_for_and_one_that_failed_is_told_once() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", OLD);
        let failed = sourced.baas.add(Bot::failed("nobody"));
        let sitting = sourced
            .baas
            .add(Bot::sitting("long", minuted::testing::clock::now() - Duration::from_secs(600)));
        let _daemon = sourced.house.start();
        let row = sourced.until(&failed, "failed", |row| row["state"] == "failed");
        assert!(row["error"].as_str().is_some_and(|error| !error.is_empty()), "{row}");
        sourced.until_listed(3);
        sourced.house.assert_notices(&format!("recording `{failed}`"), 1);
        assert!(sourced.row(&sitting).is_none_or(|row| row["state"] == "found"), "it goes on");
        sourced.baas.end(&sitting);
        sourced.until_done(&sitting);
        sourced.assert_one_of_everything(1);
        let output = sourced.house.run(&["source", "list"]);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(shown.contains("failed") && shown.contains("placed"), "{shown}");
    });
}

#[test]
fn what_ended_before_minuted_came_is_left_alone_and_can_be_fetched_all_the_same() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", "");
        let old = sourced.baas.add(Bot::ended("old"));
        let daemon = sourced.house.start();
        sourced.until_listed(3);
        assert_eq!(sourced.list(), Vec::<Value>::new());
        assert_eq!(sourced.house.logged("WARN", "vendors keep them for 3 to 30 days"), 1);
        let new = sourced
            .baas
            .add(Bot { ended: Some(minuted::testing::clock::now()), ..Bot::ended("new") });
        sourced.until_done(&new);
        let output = sourced.house.run(&["source", "fetch", &old]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("lies at"), "{said} {output:?}");
        sourced.until_done(&old);
        let again = sourced.house.run(&["source", "fetch", &old, "--source", "calls"]);
        assert!(
            !again.status.success()
                && String::from_utf8_lossy(&again.stderr).contains("was fetched already")
        );
        sourced.assert_one_of_everything(2);
        assert!(daemon.stop().success());
        let _daemon = sourced.house.start();
        sourced.until_listed(2);
        assert_eq!(sourced.list().len(), 2, "when minuted first met the source is remembered");
    });
}

#[test]
fn a_recording_is_fetched_without_a_daemon_and_its_notes_are_made_by_the_next() {
    let sourced = Sourced::new(VERSIONS[1], "", "");
    let id = sourced.baas.add(Bot::ended("old"));
    let refused = sourced.house.run(&["source", "fetch", &id]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("has not scanned folder"),
        "{refused:?}"
    );
    let daemon = sourced.house.start();
    sourced.until_listed(1);
    assert!(daemon.stop().success());
    let unknown = sourced.house.run(&["source", "fetch", "6b0c3f1e-ffff"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("knows no such recording"), "{said}");
    let output = sourced.house.run(&["source", "fetch", &id]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sourced.row(&id).expect("known")["state"], "placed");
    let once = sourced.house.run(&["run", "--once"]);
    assert!(once.status.success(), "{once:?}");
    sourced.assert_one_of_everything(1);
}

#[test]
fn one_run_fetches_what_there_is_and_makes_its_notes() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "rescan = \"1h\"", OLD);
        let ids = ["one", "two"].map(|name| sourced.baas.add(Bot::ended(name)));
        sourced.baas.spoil_next(Spoil::Cut(100));
        let once = sourced.house.run(&["run", "--once"]);
        let done: Vec<_> =
            ids.iter().map(|id| sourced.row(id).expect("known")["job_state"].clone()).collect();
        assert_eq!(done, ["done", "done"], "{}", String::from_utf8_lossy(&once.stderr));
        sourced.assert_one_of_everything(2);
        assert!(once.status.success(), "{once:?}");
        sourced.baas.state().sending_only = true;
        assert!(
            !sourced.house.run(&["run", "--once"]).status.success(),
            "a source that waits for a person"
        );
    });
}

/// What is wrong with a file for a while, and what is told of it.
const SPOILT: [(&str, &str); 7] = [
    ("404", "answered 404"),
    ("403", "answered 403"),
    ("cut", "no whole file"),
    ("longer", "no whole file"),
    ("page", "gave a page"),
    ("empty", "it is empty"),
    ("redirect", "answered 302"),
];

fn spoil(name: &str) -> Spoil {
    match name {
        "404" => Spoil::Status(404),
        "403" => Spoil::Status(403),
        "cut" => Spoil::Cut(50),
        "longer" => Spoil::Longer(7),
        "page" => Spoil::Page,
        "empty" => Spoil::Empty,
        "redirect" => Spoil::Redirect("http://127.0.0.1:1/elsewhere".to_owned()),
        _ => panic!("{name}"),
    }
}

#[test]
fn a_file_that_is_not_whole_is_no_file_and_counts_for_its_recording_alone() {
    each(SPOILT, |(name, told)| {
        // Version 1 gives the transcript with the recording: what is spoilt is the file.
        let sourced = Sourced::new(VERSIONS[0], "", OLD);
        sourced.baas.spoil_always(spoil(name));
        let id = sourced.baas.add(Bot { video: false, ..Bot::ended("one") });
        let daemon = sourced.house.start();
        let row = sourced.until(&id, "told", |row| row["attempts"].as_u64() >= Some(3));
        assert!(row["error"].as_str().is_some_and(|error| error.contains(told)), "{row}");
        assert_eq!(sourced.recordings(), Vec::<String>::new());
        assert_eq!(sourced.house.status()["sources"][0]["state"], "up", "the source goes on");
        sourced.house.assert_notices("cannot be fetched, and is tried on", 1);
        sourced.baas.clear_faults();
        let fetched = sourced.house.run(&["source", "fetch", &id]);
        assert!(fetched.status.success(), "{fetched:?}");
        sourced.until_done(&id);
        sourced.assert_one_of_everything(1);
        assert!(daemon.stop().success());
    });
}

#[test]
fn a_store_that_tells_no_length_gives_a_file_all_the_same() {
    let sourced = Sourced::new(VERSIONS[0], "", OLD);
    sourced.baas.spoil_next(Spoil::NoLength);
    let id = sourced.baas.add(Bot::ended("one"));
    let _daemon = sourced.house.start();
    sourced.until_done(&id);
    assert_eq!(sourced.row(&id).expect("known")["attempts"], 0);
    sourced.assert_one_of_everything(1);
}

/// What a vendor may answer, as which state of the source, in which words.
const TROUBLES: [(&str, &str, &str); 6] = [
    ("401", "signed_out", "401"),
    ("403", "forbidden", ""),
    ("429", "down", "429"),
    ("500", "down", "500"),
    ("page", "down", ""),
    ("lost", "down", "no answer"),
];

fn trouble(name: &str) -> Fault {
    let said = |status: u16| Fault::Status(status, r#"{"message":"not today"}"#.to_owned());
    match name {
        "page" => Fault::Page,
        "lost" => Fault::Lost,
        status => said(status.parse().expect("a status")),
    }
}

#[test]
fn a_vendor_that_does_not_work_holds_the_source_is_told_once_and_heals() {
    let rows = VERSIONS.into_iter().flat_map(|version| TROUBLES.map(|row| (version, row)));
    each(rows, |(version, (name, state, told))| {
        for call in [Call::List, Call::Recording] {
            let sourced = Sourced::new(version, "", OLD);
            sourced.baas.fail_always(call, trouble(name));
            let id = sourced.baas.add(Bot::ended("one"));
            let _daemon = sourced.house.start();
            let detail = sourced.until_held(state);
            assert!(detail.contains(told), "{call:?}: {detail}");
            let before = sourced.baas.count(call);
            until("it is tried again", || (sourced.baas.count(call) > before + 1).then_some(()));
            sourced.house.assert_notices("source `calls`: ", 1);
            sourced.baas.clear_faults();
            let row = sourced.until_done(&id);
            assert_eq!(row["attempts"], 0, "{call:?}: nothing counts for the recording");
            until("the source is up", || {
                (sourced.house.status()["sources"][0]["state"] == "up").then_some(())
            });
            sourced.assert_one_of_everything(1);
        }
    });
}

#[test]
fn a_vendor_that_asks_for_a_while_is_left_alone_for_it() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", OLD);
        sourced.baas.fail_next(Call::List, Fault::RetryAfter(429, 3));
        let id = sourced.baas.add(Bot::ended("one"));
        let begun = std::time::Instant::now();
        let _daemon = sourced.house.start();
        sourced.until_held("down");
        assert_eq!(sourced.baas.count(Call::List), 1);
        sourced.until_done(&id);
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    });
}

#[test]
fn one_recording_that_breaks_the_vendor_holds_up_no_other() {
    let sourced = Sourced::new(VERSIONS[0], "", OLD);
    let bad = sourced.baas.add(Bot { video: false, ..Bot::ended("bad") });
    sourced.baas.state().broken = Some(bad.clone());
    let _daemon = sourced.house.start();
    sourced.until_held("down");
    let good = ["good", "better"].map(|name| sourced.baas.add(Bot::ended(name)));
    for id in &good {
        sourced.until_done(id);
    }
    // Others came to something between its failures: now they count as its own, and hold nothing.
    sourced.until(&bad, "blamed itself", |row| row["attempts"].as_u64() > Some(0));
    let late = sourced.baas.add(Bot::ended("late"));
    sourced.until_done(&late);
    sourced.baas.state().broken = None;
    sourced.until_done(&bad);
    sourced.assert_one_of_everything(4);
}

#[test]
fn an_address_that_is_not_fetched_is_its_recordings_own_failure_and_holds_no_other() {
    let sourced = Sourced::new(VERSIONS[1], "", OLD);
    let bad = sourced.baas.add(Bot::ended("bad"));
    sourced.baas.state().twists = vec![Twist::Put("audio", json!("ftp://store.example/talk.flac"))];
    sourced.baas.state().twisted = Some(bad.clone());
    let _daemon = sourced.house.start();
    let row = sourced.until(&bad, "blamed itself", |row| row["attempts"].as_u64() > Some(0));
    assert!(row["error"].as_str().is_some_and(|error| error.contains("gives an address")), "{row}");
    let good = sourced.baas.add(Bot::ended("good"));
    sourced.until_done(&good);
    assert!(!sourced.house.log().contains("source `calls` waits"), "{}", sourced.house.log());
    sourced.baas.state().twists.clear();
    sourced.until_done(&bad);
}

#[test]
fn a_key_that_was_changed_heals_by_itself() {
    let sourced = Sourced::new(VERSIONS[1], "", OLD);
    let id = sourced.baas.add(Bot::ended("one"));
    sourced.baas.state().key = "mb-another".to_owned();
    let _daemon = sourced.house.start();
    sourced.until_held("signed_out");
    sourced.baas.give_key(sourced.house.dir.path());
    sourced.until_done(&id);
    let log = sourced.house.log();
    assert!(
        !log.contains("mb-another") && !log.contains(crate::support::meetingbaas::KEY),
        "{log}"
    );
}

#[test]
fn hostile_titles_name_plain_files_in_the_folder() {
    let titles = [
        "../../../etc/cron.d/x",
        ".hidden",
        "a\u{202e}b\u{1b}[31m\nc",
        "x/y\\z:*?\"<>|",
        "~$lock.part",
    ];
    let sourced = Sourced::new(VERSIONS[1], "", OLD);
    let ids =
        titles.map(|title| sourced.baas.add(Bot { name: title.to_owned(), ..Bot::ended(title) }));
    let _daemon = sourced.house.start();
    for id in &ids {
        sourced.until_done(id);
    }
    sourced.assert_one_of_everything(titles.len());
    let shown = sourced.house.run(&["source", "list"]);
    assert!(!String::from_utf8_lossy(&shown.stdout).contains(['\u{202e}', '\u{1b}']), "{shown:?}");
}

#[test]
fn a_folder_that_is_away_is_waited_for_and_nothing_is_fetched_meanwhile() {
    let sourced = Sourced::new(VERSIONS[1], "", OLD);
    let daemon = sourced.house.start();
    sourced.until_listed(1);
    let away = sourced.house.dir.path().join("away");
    fs::rename(sourced.house.folder(), &away).expect("moved");
    until("the folder is missed", || {
        sourced.house.status()["folders"][0]["trouble"].is_string().then_some(())
    });
    let id = sourced.baas.add(Bot::ended("one"));
    sourced.until_held("folder");
    assert_eq!(sourced.baas.downloads(".flac"), 0);
    fs::rename(&away, sourced.house.folder()).expect("back");
    sourced.until_done(&id);
    sourced.assert_one_of_everything(1);
    assert!(daemon.stop().success());
}

#[test]
fn a_vendors_transcript_makes_notes_and_nothing_is_sent_anywhere() {
    each(VERSIONS, |version| {
        let keys = "transcript = \"reuse\"\ninstruction = \"List all otters.\"\nanalyses = [\"transcription\", \"meeting note\", \"key_points\"]";
        let sourced = Sourced::new(version, keys, OLD);
        let id = sourced.baas.add(Bot::ended("one"));
        let mute =
            sourced.baas.add(Bot { said: Vec::new(), transcribed: false, ..Bot::ended("mute") });
        let daemon = sourced.house.start();
        let row = sourced.until_done(&id);
        assert_eq!(row["reuse"], true);
        let job = sourced.house.job(&Sourced::file(&row));
        assert_eq!(job["service"], "calls");
        let notes = fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written");
        assert!(
            notes.contains("service: calls") && notes.contains("We decided to ship on Friday."),
            "{notes}"
        );
        let other = sourced.until_done(&mute);
        assert_eq!(
            (&other["reuse"], sourced.house.job(&Sourced::file(&other))["service"].clone()),
            (&false.into(), "paxs".into())
        );
        assert_eq!(
            sourced.house.standin.snapshot().count(Paxs::CreateSession),
            1,
            "only the one without a transcript is sent"
        );
        let again = sourced.house.run(&["redo", &job["id"].to_string()]);
        assert!(again.status.success(), "{again:?}");
        sourced
            .until(&id, "done anew", |row| row["job"] != job["id"] && row["job_state"] == "done");
        assert_eq!(
            sourced.house.standin.snapshot().count(Paxs::CreateSession),
            1,
            "made anew from the same transcript"
        );
        assert!(daemon.stop().success());
        let _daemon = sourced.house.start();
        sourced.until_listed(2);
        assert_eq!(sourced.recordings().len(), 2);
    });
}

#[test]
fn the_vendors_copy_goes_when_the_notes_are_there_and_not_before() {
    each(VERSIONS, |version| {
        let sourced = Sourced::new(version, "", &format!("{OLD}\ndelete_after = true"));
        sourced.house.standin.stall_analysis(true);
        let ids: Vec<_> =
            (0..6).map(|number| sourced.baas.add(Bot::ended(&format!("bot {number}")))).collect();
        let mut daemon = sourced.house.start();
        for id in &ids {
            sourced.until(id, "placed", |row| row["state"] == "placed" && row["job"].is_number());
        }
        sourced.until_listed(3);
        assert_eq!(sourced.baas.count(Call::Delete), 0, "no notes yet");
        sourced.house.standin.stall_analysis(false);
        for id in &ids {
            sourced.until_done(id);
        }
        let deleted = || sourced.baas.state().bots.iter().filter(|bot| bot.deleted).count();
        until("five are deleted", || (deleted() == 5).then_some(()));
        // A stop between the vendor's answer and its record would have the sixth call be a repetition.
        let recorded = || {
            sourced
                .house
                .source_rows()
                .unwrap_or_default()
                .iter()
                .filter(|row| row["deletion"] == "done")
                .count()
        };
        until("five deletions are recorded", || (recorded() == 5).then_some(()));
        assert!(daemon.stop().success());
        daemon = sourced.house.start();
        sourced.until_listed(4);
        assert_eq!(
            (deleted(), sourced.baas.count(Call::Delete)),
            (5, 5),
            "five a minute, also over a restart"
        );
        assert!(daemon.stop().success());
        sourced.baas.state().deletes_window = Duration::ZERO;
        sourced.house.set_clock(70);
        daemon = sourced.house.start();
        until("all are deleted", || (deleted() == 6).then_some(()));
        for id in &ids {
            sourced.until(id, "deleted there", |row| row["deletion"] == "done");
        }
        assert_eq!(sourced.baas.count(Call::Delete), 6);
        sourced.assert_one_of_everything(6);
        assert!(daemon.stop().success());
    });
}

#[test]
fn a_recording_whose_notes_failed_keeps_its_copy() {
    let sourced = Sourced::new(VERSIONS[1], "", &format!("{OLD}\ndelete_after = true"));
    sourced.house.standin.fail_transcriptions(1000);
    let id = sourced.baas.add(Bot::ended("one"));
    let _daemon = sourced.house.start();
    sourced.until(&id, "failed", |row| row["job_state"] == "failed");
    sourced.until_listed(3);
    assert_eq!(sourced.baas.count(Call::Delete), 0);
}

#[test]
fn a_reload_brings_sources_in_and_out() {
    let sourced = Sourced::new(VERSIONS[1], "", OLD);
    sourced.house.configure("");
    let daemon = sourced.house.start();
    assert_eq!(sourced.house.status()["sources"], Value::Array(Vec::new()));
    let id = sourced.baas.add(Bot::ended("one"));
    sourced.configure("", OLD);
    daemon.signal(rustix::process::Signal::HUP);
    sourced.until_done(&id);
    sourced.baas.state().sending_only = true;
    sourced.until_held("forbidden");
    sourced.house.configure("");
    daemon.signal(rustix::process::Signal::HUP);
    until("the source is gone", || {
        let status = sourced.house.status();
        (status["sources"] == Value::Array(Vec::new())
            && status["holds"] == Value::Array(Vec::new()))
        .then_some(())
    });
    let before = sourced.baas.count(Call::List);
    sourced.house.scan();
    assert_eq!(sourced.baas.count(Call::List), before);
    assert!(daemon.stop().success());
}

#[test]
fn a_stop_abandons_a_download_and_the_next_start_makes_it_good() {
    let sourced = Sourced::new(VERSIONS[0], "", OLD);
    sourced.baas.spoil_next(Spoil::Slow(100, Duration::from_millis(300)));
    let id = sourced.baas.add(Bot::ended("one"));
    let daemon = sourced.house.start();
    until("it is being fetched", || {
        let status = sourced.house.status();
        (status["sources"][0]["fetching"]["id"] == id.as_str()).then_some(())
    });
    let begun = std::time::Instant::now();
    assert!(daemon.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let _daemon = sourced.house.start();
    let row = sourced.until_done(&id);
    assert_eq!(row["attempts"], 0);
    sourced.assert_one_of_everything(1);
}

/// The effects of a source, all of which the crash below passes.
const EFFECTS: [Effect; 12] = [
    Effect::MeetSource,
    Effect::WalkSource,
    Effect::FindRecordings,
    Effect::FetchLater,
    Effect::FetchFailed,
    Effect::IntendPlace,
    Effect::PlaceRecording,
    Effect::PlaceFetched,
    Effect::PlaceTranscript,
    Effect::IntendDeletion,
    Effect::CallDeletion,
    Effect::RecordDeletion,
];

#[test]
fn whichever_effect_of_a_source_a_crash_meets_there_is_one_of_everything() {
    let points = VERSIONS.into_iter().flat_map(|version| {
        EFFECTS
            .into_iter()
            .flat_map(move |effect| [When::Before, When::After].map(|when| (version, effect, when)))
    });
    each(points, |(version, effect, when)| {
        let sourced =
            Sourced::new(version, "transcript = \"reuse\"", &format!("{OLD}\ndelete_after = true"));
        let said = sourced.baas.add(Bot::ended("said"));
        let mute =
            sourced.baas.add(Bot { said: Vec::new(), transcribed: false, ..Bot::ended("mute") });
        let failed = sourced.baas.add(Bot::failed("nobody"));
        sourced.baas.fail_next(Call::Recording, Fault::Status(500, "{}".to_owned()));
        let mut daemon = sourced.house.spawn(&[("MINUTED_DIE", &format!("{effect:?}:{when:?}:1"))]);
        until_told(
            || format!("it dies; the log:\n{}", sourced.house.log()),
            || daemon.was_killed().then_some(()),
        );
        let daemon: Daemon = sourced.house.start();
        for id in [&said, &mute] {
            sourced.until(id, "deleted there", |row| {
                row["deletion"] == "done" && row["job_state"] == "done"
            });
        }
        sourced.until(&failed, "failed", |row| row["state"] == "failed");
        sourced.until_listed(2);
        assert_eq!(sourced.recordings().len(), 2, "{:?}", sourced.house.files());
        assert_eq!(sourced.house.jobs().len(), 2, "{:?}", sourced.house.jobs());
        assert_eq!(
            sourced.house.files().iter().filter(|name| name.ends_with(".notes.md")).count(),
            2
        );
        assert_eq!(sourced.house.standin.snapshot().count(Paxs::CreateSession), 1);
        sourced.house.assert_notices(&format!("recording `{failed}`"), 1);
        assert!(
            sourced
                .baas
                .state()
                .bots
                .iter()
                .filter(|bot| bot.failed.is_none())
                .all(|bot| bot.deleted)
        );
        sourced.baas.assert_the_key_stayed_home();
        assert!(daemon.stop().success());
        assert!(
            !sourced.house.files().iter().any(|name| name.starts_with(".minuted-")),
            "{:?}",
            sourced.house.files()
        );
    });
}

#[test]
fn a_command_that_dies_while_it_wants_a_recording_wants_it_once() {
    each([When::Before, When::After], |when| {
        let sourced = Sourced::new(VERSIONS[1], "", "");
        let id = sourced.baas.add(Bot::ended("old"));
        let daemon = sourced.house.start();
        sourced.until_listed(1);
        assert!(daemon.stop().success());
        let mut fetch = sourced.house.command(&["source", "fetch", &id]);
        let died =
            fetch.env("MINUTED_DIE", format!("WantRecording:{when:?}:1")).output().expect("run");
        assert!(!died.status.success());
        let _daemon = sourced.house.start();
        match when {
            When::After => drop(sourced.until_done(&id)),
            When::Before => {
                sourced.until_listed(2);
                assert_eq!(sourced.row(&id), None);
                assert!(sourced.house.run(&["source", "fetch", &id]).status.success());
                sourced.until_done(&id);
            }
        }
        sourced.assert_one_of_everything(1);
    });
}
