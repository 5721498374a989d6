//! Daily limits, bounds of length, and what is shown of hours before anything is sent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::Signal;

use crate::{
    ondevice,
    support::{
        engine::model,
        house::{Daemon, House, last_midnight, recording, until},
        paxs::{Call, Fault},
    },
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A WAV of 8 kHz and 8 bit, of so many seconds; each phase has a content of its own.
fn sound(seconds: u32, phase: u32) -> Vec<u8> {
    let bytes = seconds * 8000;
    let format =
        [&[16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0][..], b"data"]
            .concat();
    let head =
        [b"RIFF", &(36 + bytes).to_le_bytes()[..], b"WAVEfmt ", &format, &bytes.to_le_bytes()]
            .concat();
    let samples = (0..bytes).map(|n| u8::try_from((n + phase) * 7 % 251).expect("a byte"));
    head.into_iter().chain(samples).collect()
}

fn drop_sound(house: &House, name: &str, seconds: u32) {
    let phase = name.bytes().map(u32::from).sum();
    fs::write(house.path(name), sound(seconds, phase)).expect("written");
}

/// Sets the clock to noon; returns the midnight before.
fn begin_at_noon(house: &House) -> i64 {
    let midnight = last_midnight();
    house.set_time(midnight + 12 * HOUR);
    midnight
}

/// Waits until a recording waits for the next day.
fn wait_for_budget(house: &House, name: &str) {
    let job = until("it waits for the next day", || {
        house.job_if(name).filter(|job| job["waits_for"] == "budget")
    });
    assert_eq!(job["state"], "waiting", "{job}");
}

/// Milliseconds that were begun, and how many recordings.
fn begun(house: &House) -> (i64, i64) {
    let tally = |sql| house.tally(sql).expect("counted");
    (tally("SELECT coalesce(sum(audio_ms), 0) FROM begun"), tally("SELECT count(*) FROM begun"))
}

fn notices(house: &House) -> i64 {
    house.tally("SELECT count(*) FROM notice WHERE text LIKE '%daily limit%'").expect("counted")
}

fn reload(house: &House, daemon: &Daemon) {
    let read = house.log().matches("read again and in force").count();
    daemon.signal(Signal::HUP);
    until("the configuration is read again", || {
        (house.log().matches("read again and in force").count() > read).then_some(())
    });
}

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_daily_limit_holds_the_second_recording_until_midnight_through_a_restart() {
    let house = House::new();
    house.configure("daily_limit = \"3s\"");
    let midnight = begin_at_noon(&house);
    let daemon = house.start();
    drop_sound(&house, "a.wav", 2);
    house.wait_for("a.wav", "done");
    drop_sound(&house, "b.wav", 2);
    wait_for_budget(&house, "b.wav");
    let next = jiff::Timestamp::from_second(midnight + DAY).expect("in range");
    let until_when = next.strftime("%F %H:%M").to_string();
    let why = house.why("b.wav");
    for part in [
        "waits for the next day: the daily limit of folder `sales` is 3s, 2s were begun today, and this recording has 2s",
        &format!("it goes on from {until_when} in its turn"),
        "hint: raise `daily_limit` of folder `sales`, then systemctl reload minuted",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    for command in [&["status"][..], &["check"]] {
        let shown = text(&house.run(command));
        assert!(shown.contains(&format!("1 recording waits until {until_when}")), "{shown}");
        assert!(shown.contains("raise `daily_limit` of folder `sales`"), "{shown}");
    }
    let holds = house.status()["holds"].clone();
    assert_eq!((&holds[0]["reason"], &holds[0]["scope"]), (&"budget".into(), &"folder".into()));
    assert!(house.job("b.wav")["due"].as_str().is_some_and(|due| due.ends_with("T00:00:00Z")));
    assert_eq!((notices(&house), begun(&house)), (1, (2000, 1)));
    assert!(daemon.stop().success());

    let daemon = house.start();
    house.scan();
    wait_for_budget(&house, "b.wav");
    assert_eq!((notices(&house), begun(&house)), (1, (2000, 1)), "a restart changes nothing");
    // One that still fits goes on, and so does what is dropped into no limited folder.
    drop_sound(&house, "c.wav", 1);
    house.wait_for("c.wav", "done");
    wait_for_budget(&house, "b.wav");
    // The day ends while it runs.
    house.set_time(midnight + DAY + 60);
    house.wait_for("b.wav", "done");
    assert!(house.log().contains("used up its daily limit of 3s"), "{}", house.log());
    assert!(daemon.stop().success());
    house.assert_at_rest();
}

#[test]
fn a_kill_around_the_claim_neither_forgets_nor_doubles_what_was_begun() {
    let rows =
        [("Claim:Before", 0), ("Claim:After", 1), ("Created:After", 1), ("Uploaded:Before", 1)];
    for (point, counted) in rows {
        let house = House::new();
        house.configure("daily_limit = \"3s\"");
        begin_at_noon(&house);
        let first = house.dir.path().join("a.wav");
        fs::write(&first, sound(2, 3)).expect("written");
        let added = house.run(&["add", first.to_str().expect("UTF-8"), "--folder", "sales"]);
        assert!(added.status.success(), "{}", text(&added));
        // The first claim of the daemon finds it.
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        until("it dies", || daemon.was_killed().then_some(()));
        assert_eq!(begun(&house), (2000 * counted, counted), "{point}");
        let _daemon = house.start();
        house.wait_for("a.wav", "done");
        assert_eq!(begun(&house), (2000, 1), "{point}");
        drop_sound(&house, "b.wav", 2);
        wait_for_budget(&house, "b.wav");
    }
}

#[test]
fn a_recording_longer_than_the_limit_runs_alone_as_the_first_of_its_day() {
    let house = House::new();
    house.configure("daily_limit = \"3s\"");
    let midnight = begin_at_noon(&house);
    let daemon = house.start();
    drop_sound(&house, "short.wav", 1);
    house.wait_for("short.wav", "done");
    drop_sound(&house, "long.wav", 9);
    wait_for_budget(&house, "long.wav");
    drop_sound(&house, "later.wav", 3);
    wait_for_budget(&house, "later.wav");
    assert!(daemon.stop().success());
    house.set_time(midnight + DAY + HOUR);
    let daemon = house.start();
    house.wait_for("long.wav", "done");
    wait_for_budget(&house, "later.wav");
    assert_eq!(notices(&house), 2, "one a day");
    assert!(daemon.stop().success());
    house.set_time(midnight + 2 * DAY + HOUR);
    let _daemon = house.start();
    house.wait_for("later.wav", "done");
}

#[test]
fn a_raised_limit_lets_what_waits_go_at_once_and_nothing_else_does() {
    let house = House::new();
    house.configure("daily_limit = \"3s\"");
    begin_at_noon(&house);
    let daemon = house.start();
    drop_sound(&house, "a.wav", 2);
    house.wait_for("a.wav", "done");
    drop_sound(&house, "b.wav", 2);
    wait_for_budget(&house, "b.wav");
    let other = house.dir.path().join("other.wav");
    fs::write(&other, sound(2, 9)).expect("written");
    let other = other.to_str().expect("UTF-8");
    for command in [&["retry", "2"][..], &["redo", "1"], &["add", other, "--folder", "sales"]] {
        let output = house.run(command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
    house.scan();
    until("all wait", || (house.count("waiting") == 3).then_some(()));
    assert_eq!(begun(&house), (2000, 1), "no command goes round it");
    assert!(house.jobs().iter().skip(1).all(|job| job["waits_for"] == "budget"));
    house.configure("daily_limit = \"8s\"");
    reload(&house, &daemon);
    until("all are done", || (house.count("done") == 4).then_some(()));
    assert_eq!(begun(&house), (8000, 4));
}

#[test]
fn the_limit_of_a_service_holds_for_all_its_folders_and_a_failed_attempt_counts_once() {
    let house = House::new();
    let board = house.dir.path().join("board");
    fs::create_dir(&board).expect("made");
    let folder = format!(
        "[[folder]]\nname = \"board\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]\n",
        board.display()
    );
    house.configure_all("daily_limit = \"4s\"", "", &folder);
    begin_at_noon(&house);
    house.standin.fail_next(Call::Upload, Fault::Status(415));
    let _daemon = house.start();
    drop_sound(&house, "a.wav", 3);
    house.wait_for("a.wav", "done");
    assert!(house.job("a.wav")["attempts"].as_u64() >= Some(1), "{}", house.job("a.wav"));
    assert_eq!(begun(&house), (3000, 1), "two attempts on one day");
    let path = board.join("b.wav");
    fs::write(&path, sound(2, 1)).expect("written");
    wait_for_budget(&house, path.to_str().expect("UTF-8"));
    let shown = text(&house.run(&["status"]));
    assert!(
        shown.contains("is at its daily limit: the daily limit of service `paxs` is 4s"),
        "{shown}"
    );
    let shown = text(&house.run(&["check"]));
    assert!(shown.contains("raise `daily_limit` in [services.paxs]"), "{shown}");
}

#[test]
fn the_day_is_that_of_the_zone_of_the_machine_and_a_clock_set_back_gives_no_second_one() {
    let house = House::new();
    house.configure("daily_limit = \"3s\"");
    let midnight = begin_at_noon(&house);
    let start = |zone: &str| house.listening(house.spawn(&[("TZ", zone)]));
    // Noon in UTC is a minute before midnight there, and a minute after it in the zone behind it.
    let daemon = start("XXX-11:59");
    drop_sound(&house, "a.wav", 2);
    house.wait_for("a.wav", "done");
    drop_sound(&house, "b.wav", 2);
    wait_for_budget(&house, "b.wav");
    assert!(daemon.stop().success());
    house.set_time(midnight + 12 * HOUR - DAY);
    let daemon = start("XXX-11:59");
    house.scan();
    wait_for_budget(&house, "b.wav");
    assert!(daemon.stop().success());
    // The midnight that was shown: what was begun before the clock was set does not count on the next day, too.
    house.set_time(midnight + 12 * HOUR - DAY + 120);
    let _daemon = start("XXX-11:59");
    house.wait_for("b.wav", "done");
}

#[test]
fn a_run_that_ends_leaves_what_waits_for_the_next_day_and_that_is_no_failure() {
    let house = House::new();
    house.configure("daily_limit = \"3s\"");
    begin_at_noon(&house);
    drop_sound(&house, "a.wav", 2);
    drop_sound(&house, "b.wav", 2);
    let output = house.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("1 recording waiting for the next day"), "{shown}");
    assert_eq!(house.count("done"), 1);
}

#[test]
fn too_short_and_too_long_are_skipped_and_a_length_that_is_not_known_is_neither() {
    let house = House::new();
    house.configure("min_duration = \"2s\"\nmax_duration = \"5s\"\ndaily_limit = \"3s\"");
    begin_at_noon(&house);
    let _daemon = house.start();
    drop_sound(&house, "short.wav", 1);
    drop_sound(&house, "long.wav", 6);
    let skip_reason = |name: &str| {
        house.wait_for(name, "skipped")["error"].as_str().expect("a reason").to_owned()
    };
    let bounds = "and its folder takes";
    assert_eq!(
        skip_reason("short.wav"),
        format!("it is 1s long, {bounds} recordings from 2s on (`min_duration`)")
    );
    assert_eq!(
        skip_reason("long.wav"),
        format!("it is 6s long, {bounds} up to 5s (`max_duration`)")
    );
    // A fraction of a second of MP3: its header does not say so, and it counts as the shortest that is taken.
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert_eq!(begun(&house), (2000, 1));
}

#[test]
fn a_length_that_nothing_states_ends_at_the_bound_while_it_is_transcribed() {
    if model().is_none() {
        return;
    }
    let house = ondevice::house("max_duration = \"5s\"\nspeakers = \"off\"");
    let meeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/design-review.mp3");
    fs::copy(meeting, house.path("talk.mp3")).expect("copied");
    let _daemon = house.start();
    let reason =
        house.wait_for("talk.mp3", "skipped")["error"].as_str().expect("a reason").to_owned();
    assert_eq!(reason, "it is longer than 5s, and its folder takes no more (`max_duration`)");
    assert_eq!(house.files(), ["talk.mp3"], "it has no notes");
}

#[test]
fn a_dry_run_and_the_backlog_show_hours_and_what_the_service_takes_for_them() {
    let house = House::new();
    let old = |name: &str| -> PathBuf { house.dir.path().join("local").join(name) };
    fs::create_dir(house.dir.path().join("local")).expect("made");
    let folder = |backlog: &str| {
        format!(
            "[services.local]\nkind = \"ondevice\"\n[[folder]]\nname = \"local\"\npath = \"{}\"\nservice = \"local\"\n\
             max_duration = \"1h\"\n{backlog}\n",
            old("").display()
        )
    };
    house.configure_all("", "", &folder("backlog = \"ask\""));
    drop_sound(&house, "talk.wav", 100);
    fs::write(house.path("talk.mp3"), recording("talk.mp3")).expect("written");
    for number in 0..21 {
        fs::write(old(&format!("{number}.wav")), sound(200, number)).expect("written");
    }
    let found = house.json(&["scan", "--dry-run"]);
    let file = |name: &str| {
        let of_name = |file: &&serde_json::Value| file["path"] == name;
        found.as_array().expect("a list").iter().find(of_name).expect("it is there").clone()
    };
    let talk = file("talk.wav");
    assert_eq!((talk["seconds"].as_f64(), talk["estimated"].as_bool()), (Some(100.0), Some(false)));
    assert_eq!((talk["calls"].as_u64(), talk["work_seconds"].as_f64()), (Some(1), None));
    assert_eq!(file("talk.mp3")["estimated"], true);
    let local = file("7.wav");
    let work = local["work_seconds"].as_f64().expect("it is measured");
    assert!((work - 200.0 * (0.037 + 228.0 / 3600.0)).abs() < 0.01, "{work}");
    assert_eq!((local["calls"].as_u64(), local["service"].as_str()), (Some(0), Some("local")));
    let shown = text(&house.run(&["scan", "--dry-run"]));
    for part in [
        "folder local: 21 recordings of 1h 10m in all; about 7m 1s of one processor of this machine",
        "folder sales: 2 recordings of 1m 4",
        "(1 estimated from size and bit rate); 2 recordings sent to service paxs",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    let _daemon = house.start();
    until("they wait for a decision", || {
        (house.status()["folders"][1]["backlog"] == 21).then_some(())
    });
    let found = house.json(&["backlog", "local"]);
    let seconds = found.as_array().expect("a list").iter().map(|file| file["seconds"].as_f64());
    assert_eq!(seconds.sum::<Option<f64>>(), Some(4200.0));
    let shown = text(&house.run(&["backlog", "local"]));
    assert!(shown.contains("folder local: 21 recordings of 1h 10m in all; about 7m 1s"), "{shown}");
    let shown = text(&house.run(&["backlog", "sales"]));
    assert!(shown.contains("no recording of folder `sales` waits for a decision"), "{shown}");
    house.configure_all("", "", &folder("backlog = \"skip\""));
    assert!(house.run(&["backlog", "local", "skip"]).status.success());
    assert_eq!(house.json(&["backlog", "local"]), serde_json::json!([]));
    assert!(!Path::new(&old("0.notes.md")).exists());
}
