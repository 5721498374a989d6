//! What a person is told when something holds a recording: the cause, whether it heals by itself, when it is tried next,
//! and what to type.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Stdio,
};

use rustix::process::Signal;

use crate::support::{
    house::{Daemon, House, recording, until, until_told},
    paxs::{Call, Fault},
};

/// Both streams of a command, with what differs from run to run taken out.
fn told(house: &House, arguments: &[&str]) -> String {
    let output = house.run(arguments);
    let text = [output.stdout, output.stderr].concat();
    settled(house, &String::from_utf8(text).expect("UTF-8"))
}

fn settled(house: &House, text: &str) -> String {
    let dir = house.dir.path().to_str().expect("UTF-8");
    let base = house.standin.base_url();
    let text = text.replace(dir, "/house").replace(base.trim_end_matches('/'), "http://paxs");
    let text = text.replace(&format!("127.0.0.1:{}", house.smtp.port()), "127.0.0.1:25");
    let words = text.split_inclusive([' ', '\n']).scan("", |before, word| {
        let is_span = matches!(*before, "in " | "for " | "waited " | "until ")
            && word.starts_with(|c: char| c.is_ascii_digit());
        let shown = if is_span {
            word.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-:.".contains(c))
        } else {
            word
        };
        *before = word;
        Some(if is_span { format!("…{shown}") } else { shown.to_owned() })
    });
    words.collect()
}

fn why(house: &House, name: &str) -> String {
    told(house, &["why", house.path(name).to_str().expect("UTF-8")])
}

/// Waits until `why` says this of a recording; returns all that it says.
fn until_why(house: &House, name: &str, needle: &str) -> String {
    until_told(
        || format!("why {name} says `{needle}`, not: {}", why(house, name)),
        || Some(why(house, name)).filter(|told| told.contains(needle)),
    )
}

/// A house whose next try is far enough away to be seen.
fn patient() -> House {
    let house = House::new();
    house.edit_config(|text| {
        text.replace(
            "delay = \"50ms\"\ndelay_max = \"200ms\"",
            "delay = \"1h\"\ndelay_max = \"1h\"",
        )
    });
    house
}

/// Puts a row into the queue of a house in which no daemon runs.
fn plant_hold(house: &House, scope: &str, name: &str, reason: &str, detail: &str) {
    let queue =
        rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("a queue");
    let sql = "INSERT OR REPLACE INTO hold (scope, name, reason, detail, since_ms) VALUES (?1, ?2, ?3, ?4, 0)";
    queue.execute(sql, [scope, name, reason, detail]).expect("written");
}

#[test]
fn why_tells_what_the_service_said_and_when_it_is_asked_again() {
    let house = patient();
    let _daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    house.drop_recording("talk.mp3");
    let told = until_why(&house, "talk.mp3", "next try in");
    insta::assert_snapshot!(told, @r"
    /house/sales/talk.mp3: job 2 waits for the service `paxs`, which is down: the service failed (503): a planted fault; it resumes without help, next try in …
    ");
    let job = house.job("talk.mp3");
    assert!(job["error"].as_str().is_some_and(|error| error.contains("503")), "{job:#}");
    assert_eq!(
        (&job["hold"]["reason"], &job["hold"]["heals"]),
        (&"down".into(), &true.into()),
        "{job:#}"
    );
    assert!(job["due"].is_string() && job["hold"]["next_try"].is_string(), "{job:#}");
}

#[test]
fn why_tells_what_holds_a_folder_and_the_command_that_lets_it_go_on() {
    let house = House::new();
    let _daemon = house.start();
    house.run(&["pause", "sales"]);
    house.drop_recording("talk.mp3");
    let paused = until_why(&house, "talk.mp3", "job 1 waits");
    house.run(&["resume", "sales"]);
    house.wait_for("talk.mp3", "done");
    house.standin.fail_always(Call::CreateSession, Fault::Status(422));
    house.drop_recording("other.mp3");
    let refused = until_why(&house, "other.mp3", "which the service refuses");
    insta::assert_snapshot!(format!("{paused}{refused}"), @r"
    /house/sales/talk.mp3: job 1 waits for its folder `sales`, which is paused: a person paused it
    hint: minuted resume sales
    /house/sales/other.mp3: job 2 waits for its folder `sales`, which the service refuses: the service refused it (422): a planted fault; check its attendees and the service's base_url, then reload (systemctl reload minuted); minuted tries again every hour
    ");
}

#[test]
fn a_service_that_forbids_is_told_with_its_cure() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.fail_always(Call::CreateSession, Fault::Status(403));
    house.standin.fail_always(Call::Profile, Fault::Status(403));
    house.drop_recording("talk.mp3");
    insta::assert_snapshot!(until_why(&house, "talk.mp3", "forbids"), @r"
    /house/sales/talk.mp3: job 2 waits for the service `paxs`, which forbids it: the service forbids it (403): a planted fault; check the account's rights at the service, then: minuted login paxs; minuted tries again every hour
    hint: minuted login paxs
    ");
}

#[test]
fn a_slow_analysis_says_how_long_it_is_waited_for_and_a_failed_look_why() {
    let house = patient();
    house.configure_poll(r#"timeout = "200ms", patience = "2h""#);
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("talk.mp3");
    let slow = until_why(&house, "talk.mp3", "longer than usual");
    house.standin.fail_always(Call::Analysis, Fault::Status(500));
    let down = until_why(&house, "talk.mp3", "does not work now");
    insta::assert_snapshot!(format!("{slow}{down}"), @r"
    /house/sales/talk.mp3: job 1 waits for the analysis of the service, asked for … ago: that is longer than usual; it is waited for … more, then it counts as an attempt
    /house/sales/talk.mp3: job 1 waits for the analysis of the service, asked for … ago: that is longer than usual; it is waited for … more, then it counts as an attempt; service `paxs` does not work now: the service failed (500): a planted fault; it resumes without help, next try in …
    ");
    let job = house.job("talk.mp3");
    assert_eq!(
        (&job["waits_for"], &job["awaiting"]["slow"]),
        (&"analysis".into(), &true.into()),
        "{job:#}"
    );
}

#[test]
fn a_mail_that_waits_or_is_refused_hides_no_notes() {
    let house = patient();
    let to_ann = "deliver = [\"beside\", \"email\"]\nemail_to = [\"Ann Lee <ann@example.com>\"]";
    house.configure_all("", to_ann, "");
    house.edit_config(|text| {
        text.replace(
            "delay = \"50ms\"\ndelay_max = \"200ms\"",
            "delay = \"1h\"\ndelay_max = \"1h\"",
        )
    });
    house.smtp.down(true);
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    let waits = until_why(&house, "talk.mp3", "talk.notes.md; the mail to ann@example.com waits");
    let cause = house.job("talk.mp3")["error"].as_str().expect("a cause").to_owned();
    let waits = waits.replace(&cause, "(the cause)");
    house.smtp.down(false);
    house.smtp.refuse_recipient("ann@example.com", 550);
    assert!(house.run(&["retry", "1"]).status.success());
    let refused = until_why(&house, "talk.mp3", "was refused");
    insta::assert_snapshot!(format!("{waits}{refused}"), @r"
    /house/sales/talk.mp3: job 1 has its results: its notes are /house/sales/talk.notes.md; the mail to ann@example.com waits: (the cause); it resumes without help, next try in …
    /house/sales/talk.mp3: job 1 is not delivered whole: its notes are /house/sales/talk.notes.md; the mail to ann@example.com was refused: the mail server `127.0.0.1` answered 550: no such person
    hint: minuted retry 1 sends it again; minuted job 1 shows its history
    ");
    let job = told(&house, &["job", "1"]);
    assert!(!job.contains("minuted job 1"), "a command does not send a person to itself: {job}");
    assert_eq!(daemon.stop().code(), Some(0));
    plant_hold(&house, "service", "smtp", "down", "connection refused");
    let status = told(&house, &["status"]);
    assert!(status.contains("\nmail by 127.0.0.1 is down: connection refused\n"), "{status}");
}

#[test]
fn a_full_disk_of_notes_is_told_at_its_folder_alone() {
    let house = House::new();
    house.run(&["pause", "sales"]);
    plant_hold(&house, "folder", "sales", "full", "no space left in `/srv/notes`");
    insta::assert_snapshot!(told(&house, &["status"]), @r"
    no daemon runs: nothing is watched (minuted run, or systemctl start minuted)
    service paxs (http://paxs) is not asked, signed in until …

    FOLDER  SETTLING  READY  WORKING  DONE  FAILED  WATCH
    sales   0         0      0        0     0       -
    folder sales: no space left in `/srv/notes`; free some space; it resumes without help; paused: a person paused it; minuted resume sales
    ");
    house.drop_recording("talk.mp3");
    let talk = house.path("talk.mp3");
    house.run(&["add", talk.to_str().expect("UTF-8"), "--folder", "sales"]);
    house.run(&["resume", "sales"]);
    insta::assert_snapshot!(why(&house, "talk.mp3"), @r"
    /house/sales/talk.mp3: job 1 waits for room on the disk: no space left in `/srv/notes`; it resumes without help
    hint: no daemon runs: nothing goes on until `minuted run` (or systemctl start minuted); free some space
    ");
    assert_eq!(house.job("talk.mp3")["waits_for"], "disk");
}

#[test]
fn a_dead_daemon_does_not_look_alive() {
    let house = House::new();
    let daemon = house.start();
    house.standin.fail_always(Call::Upload, Fault::Hang);
    house.drop_recording("talk.mp3");
    until_why(&house, "talk.mp3", "is being worked on: upload");
    daemon.kill();
    house.drop_recording("new.mp3");
    let told = format!(
        "{}{}{}",
        why(&house, "talk.mp3"),
        why(&house, "new.mp3"),
        told(&house, &["status"])
    );
    insta::assert_snapshot!(told, @r"
    /house/sales/talk.mp3: job 1 was being worked on (upload) when minuted ended; it goes on from there
    hint: no daemon runs: nothing goes on until `minuted run` (or systemctl start minuted)
    /house/sales/new.mp3: not seen yet as it is now; the first scan after the next start will
    hint: no daemon runs: nothing goes on until `minuted run` (or systemctl start minuted)
    no daemon runs: nothing is watched (minuted run, or systemctl start minuted)
    service paxs (http://paxs) is not asked, signed in until …

    FOLDER  SETTLING  READY  WORKING  DONE  FAILED  WATCH
    sales   0         0      1        0     0       -
    ");
}

#[test]
fn a_file_that_settled_when_minuted_died_was_seen() {
    let house = House::new();
    house.configure("settle = \"6s\"");
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    until_why(&house, "talk.mp3", "it is settling");
    until("it is written down", || {
        house.tally("SELECT count(*) FROM sighting").filter(|seen| *seen == 1)
    });
    daemon.kill();
    let told = why(&house, "talk.mp3");
    assert!(told.contains("it was settling when minuted last ran: first seen "), "{told}");
    assert!(told.contains("hint: no daemon runs"), "{told}");
}

#[test]
fn notes_that_are_there_are_shown_and_those_that_are_not_are_not() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    fs::write(house.path("copy.mp3"), recording("talk.mp3")).expect("written");
    house.wait_for("copy.mp3", "skipped");
    let copy = why(&house, "copy.mp3");
    // A new queue finds the notes that are there.
    assert_eq!(daemon.stop().code(), Some(0));
    for name in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"] {
        drop(fs::remove_file(house.state_dir().join(name)));
    }
    fs::remove_file(house.path("copy.mp3")).expect("removed");
    let _daemon = house.start();
    house.wait_for("talk.mp3", "done");
    let restored = why(&house, "talk.mp3");
    fs::remove_file(house.path("talk.notes.md")).expect("removed");
    insta::assert_snapshot!(format!("{copy}{restored}{}", why(&house, "talk.mp3")), @r"
    /house/sales/copy.mp3: it was skipped: its content is done already, as job 1 (`/house/sales/talk.mp3`): the notes are /house/sales/talk.notes.md
    hint: minuted redo 2 makes a new meeting and new notes of it all the same
    /house/sales/talk.mp3: job 1 is done: its notes are /house/sales/talk.notes.md
    /house/sales/talk.mp3: job 1 is done: its notes are not there any more: /house/sales/talk.notes.md
    hint: minuted redo 1 makes a new meeting and new notes
    ");
}

#[test]
fn add_of_a_copy_waits_and_prints_the_notes_that_are_there_once() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let copy = house.dir.path().join("copy.mp3");
    fs::write(&copy, recording("talk.mp3")).expect("written");
    let said = told(&house, &["add", copy.to_str().expect("UTF-8"), "--folder", "sales", "--wait"]);
    assert!(said.contains("\nrecording: talk.mp3\n"), "{said}");
    let new = house.dir.path().join("new.mp3");
    fs::write(&new, recording("new.mp3")).expect("written");
    let said = told(&house, &["add", new.to_str().expect("UTF-8"), "--folder", "sales", "--wait"]);
    assert_eq!(said.matches(": done\n").count(), 1, "{said}");
}

#[test]
fn a_backlog_that_was_skipped_says_how_it_is_taken_in_after_all() {
    let house = House::new();
    house.configure(r#"backlog = "skip""#);
    house.drop_recording("old.mp3");
    let _daemon = house.start();
    let skipped = until_why(&house, "old.mp3", "left alone");
    let none = told(&house, &["backlog", "sales", "process"]);
    insta::assert_snapshot!(format!("{skipped}{none}"), @r"
    /house/sales/old.mp3: it was there before minuted and is left alone, as was decided
    hint: minuted add '/house/sales/old.mp3' --folder sales queues it anyway
    0 recordings of folder `sales` are queued; one that was skipped: minuted add FILE --folder sales
    ");
    let old = house.path("old.mp3");
    assert!(
        house.run(&["add", old.to_str().expect("UTF-8"), "--folder", "sales"]).status.success()
    );
    house.wait_for("old.mp3", "done");
}

#[test]
fn a_job_whose_folder_left_the_configuration_says_so() {
    let house = House::new();
    house.run(&["pause", "sales"]);
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "waiting");
    house.edit_config(|text| {
        text.replace("name = \"sales\"", "name = \"other\"").replace("/sales\"", "/other\"")
    });
    fs::create_dir_all(house.dir.path().join("other")).expect("made");
    daemon.signal(Signal::HUP);
    until("it is reloaded", || (house.status()["folders"][0]["name"] == "other").then_some(()));
    let reloaded = format!(
        "{}{}",
        why(&house, "talk.mp3"),
        told(&house, &["job", "1"]).lines().next().expect("a line")
    );
    insta::assert_snapshot!(reloaded, @r"
    /house/sales/talk.mp3: it lies in no watched folder; a file of this name was: job 1 waits for its folder: folder `sales` is not in the configuration any more
    hint: put the folder with the id `sales` back into the configuration, then systemctl reload minuted
    job 1 waits for its folder: folder `sales` is not in the configuration any more
    ");
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(why(&house, "talk.mp3").contains("job 1 waits"), "{}", why(&house, "talk.mp3"));
}

#[test]
fn a_file_that_is_gone_says_when_its_job_is_cancelled() {
    let house = patient();
    house.standin.fail_always(Call::Upload, Fault::Status(503));
    let _daemon = house.start();
    let talk = house.drop_recording("talk.mp3");
    until_why(&house, "talk.mp3", "which is down");
    fs::remove_file(talk).expect("removed");
    let gone = until_why(&house, "talk.mp3", "waits for its file");
    insta::assert_snapshot!(gone, @r"
    /house/sales/talk.mp3: job 1 waits for its file; it goes on when the file is there, can be read and nobody writes to it, and is cancelled when the file is gone for …; the file is not there any more
    ");
}

#[test]
fn meetings_of_a_wrong_base_url_say_what_to_check() {
    let house = House::new();
    house.standin.fail_always(Call::ListSessions, Fault::Status(404));
    house.standin.fail_always(Call::Profile, Fault::Status(404));
    for command in ["meetings", "whoami"] {
        let said = told(&house, &[command]);
        assert!(said.contains("hint: check base_url of service `paxs`"), "{said}");
    }
    house.json(&["logout"]);
}

#[test]
fn a_state_directory_that_is_a_file_is_told_as_such() {
    let house = House::new();
    fs::remove_dir_all(house.state_dir()).expect("removed");
    fs::write(house.state_dir(), "").expect("written");
    insta::assert_snapshot!(told(&house, &["status"]), @r"
    minuted: the state directory `/house/state` is not a directory
    hint: move that file away, or set state_dir to a directory
    ");
}

#[test]
fn a_socket_that_is_gone_is_not_looked_for_by_the_same_command() {
    let house = House::new();
    let _daemon = house.start();
    // It answers: the socket is ready, and not only there.
    assert!(house.run(&["status"]).status.success());
    fs::remove_file(house.state_dir().join("control.sock")).expect("removed");
    insta::assert_snapshot!(told(&house, &["status"]), @r"
    minuted: a minuted uses the state directory `/house/state`, but its socket `control.sock` is not there
    hint: if it is the daemon, restart it: systemctl restart minuted, or end it and start `minuted run` again; another command ends by itself
    ");
}

/// Signals a daemon to go on when the test is over, so that it can be ended.
struct Stopped<'d>(&'d Daemon);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

#[test]
fn a_daemon_that_is_stuck_is_told_of_while_it_is_waited_for() {
    let house = House::new();
    let daemon = house.start();
    daemon.signal(Signal::STOP);
    let stopped = Stopped(&daemon);
    let mut child = house
        .command(&["status"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("read");
    let pid = daemon.pid();
    assert_eq!(line, format!("the daemon (pid {pid}) does not answer yet; waiting 55s more\n"));
    drop(stopped);
    assert!(child.wait().expect("ended").success());
}

#[test]
fn another_user_is_told_whose_minuted_it_is() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can act as another user");
        return;
    }
    let house = House::new();
    let _daemon = house.start();
    fs::set_permissions(house.dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    fs::set_permissions(house.config(), fs::Permissions::from_mode(0o644)).expect("opened");
    let output = house.command(&["status"]).uid(65_534).gid(65_534).output().expect("run");
    let said =
        String::from_utf8_lossy(&output.stderr).replace(env!("CARGO_BIN_EXE_minuted"), "minuted");
    insta::assert_snapshot!(settled(&house, &said), @r"
    minuted: you may not ask this minuted: it belongs to user root
    hint: sudo -u root minuted --config /house/config.toml status
    ");
}
