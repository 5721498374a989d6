//! Every command as a person and a script meet it, while the daemon runs and when it does not.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    house::{House, recording, until},
    paxs::{Call, Fault},
};

/// What a command came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("run");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts that it failed with this code, this message and, on a line of its own, this cure.
    #[track_caller]
    fn refused(&self, code: i32, message: &str, hint: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert!(self.err.starts_with("minuted: ") && self.err.contains(message), "{self:?}");
        let cured = self.err.lines().any(|line| line.starts_with("hint: ") && line.contains(hint));
        assert!(cured, "no hint with `{hint}`: {self:?}");
    }

    /// Asserts that it succeeded and printed this.
    #[track_caller]
    fn prints(&self, text: &str) {
        assert!(self.code == Some(0) && self.out.contains(text), "no `{text}`: {self:?}");
    }
}

fn say(house: &House, arguments: &[&str]) -> Said {
    Said::of(&mut house.command(arguments))
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// The house's configuration with a second folder.
fn with_folder(house: &House, name: &str, keys: &str) -> String {
    let path = house.dir.path().join(name);
    fs::create_dir_all(&path).expect("made");
    let path = shown(&path);
    let people = "attendees = [ { name = \"Ann Lee\", email = \"ann@example.com\" } ]";
    house.configure_all(
        "",
        "exclude = [\"draft*\"]",
        &format!(
            "[[folder]]\nname = \"{name}\"\npath = \"{path}\"\nservice = \"paxs\"\n{people}\n{keys}"
        ),
    );
    path
}

/// A recording outside every folder.
fn outside(house: &House, name: &str) -> String {
    let path = house.dir.path().join(name);
    fs::write(&path, recording(name)).expect("written");
    shown(&path)
}

#[test]
fn why_answers_for_every_kind_of_file() {
    let house = House::new();
    let slow = with_folder(&house, "slow", "settle = \"1h\"\nbacklog = \"process\"");
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(415), None);
    fs::write(house.path("a copy.wav"), recording("done.wav")).expect("written");
    let daemon = house.start();
    house.wait_for("a copy.wav", "done");
    let files = ["done.wav", "bad.wav", "talk.ogg"].map(|name| shown(&house.drop_recording(name)));
    fs::write(format!("{slow}/talk.wav"), recording("talk.wav")).expect("written");
    for name in ["notes.txt", "talk.wav.part", ".hidden.wav", "draft.wav", "empty.wav"] {
        fs::write(house.path(name), "").expect("written");
    }
    for (name, state) in [("done.wav", "skipped"), ("bad.wav", "failed"), ("talk.ogg", "skipped")] {
        house.wait_for(name, state);
    }
    let settling = format!("{slow}/talk.wav");
    until("it settles", || say(&house, &["why", &settling]).out.contains("settling").then_some(()));
    let answers = [
        (shown(&house.path("a copy.wav")), "job 1 is done: its notes are", None),
        (
            files[0].clone(),
            "it was skipped: its content is done already, as job 1",
            Some("minuted redo "),
        ),
        (files[1].clone(), "failed after 3 attempts: ", Some("minuted retry")),
        (files[2].clone(), "does not take this kind of file; it takes: mp3 wav", None),
        (settling, "it is settling: unchanged since", None),
        (shown(&house.path("notes.txt")), "not an audio or video file", None),
        (shown(&house.path("talk.wav.part")), "a temporary or foreign name (`.part`)", None),
        (shown(&house.path(".hidden.wav")), "it begins with a dot", None),
        (shown(&house.path("draft.wav")), "`exclude` names it: `draft*`", None),
        (shown(&house.path("empty.wav")), "it is empty", None),
        (shown(&house.path("none.wav")), "there is no such file", None),
        (shown(&house.folder()), "it is a directory", None),
        (shown(&house.config()), "it lies in no watched folder", Some("the folders are: ")),
    ];
    for (file, answer, hint) in &answers {
        let said = say(&house, &["why", file]);
        said.prints(answer);
        assert!(said.out.starts_with(&format!("{file}: ")), "{said:?}");
        assert!(
            hint.is_none_or(|hint| said.err.starts_with("hint: ") && said.err.contains(hint)),
            "{said:?}"
        );
        let json = house.json(&["why", file]);
        assert!(json["answer"].as_str().expect("an answer").contains(answer), "{json}");
    }
    assert_eq!(daemon.stop().code(), Some(0));
    say(&house, &["why", &answers[0].0]).prints(answers[0].1);
    let unseen = say(&house, &["why", &answers[4].0]);
    assert!(
        unseen.err.contains("no daemon runs"),
        "what waits says why it does not go on: {unseen:?}"
    );
}

#[test]
fn a_backlog_waits_for_its_decision_and_why_says_so() {
    let house = House::new();
    let old = with_folder(&house, "old", "settle = \"100ms\"\nrescan = \"300ms\"");
    for number in 0..25 {
        fs::write(format!("{old}/{number:02}.wav"), recording(&format!("{number}.wav")))
            .expect("written");
    }
    let daemon = house.start();
    let waits = || house.json(&["status"])["folders"][1]["backlog"].as_u64();
    until("it has met the folder", || (waits() == Some(25)).then_some(()));
    say(&house, &["why", &format!("{old}/07.wav")])
        .prints("`minuted backlog old process` or `skip`");
    say(&house, &["status"])
        .prints("folder old: 25 recordings from before minuted; minuted backlog old process|skip");
    say(&house, &["backlog", "nope", "skip"]).refused(
        1,
        "there is no folder `nope`",
        "the folders are: sales, old",
    );
    say(&house, &["backlog", "old", "skip"]).prints("25 recordings of folder `old` are left alone");
    say(&house, &["why", &format!("{old}/07.wav")]).prints("left alone, as was decided");
    assert_eq!(daemon.stop().code(), Some(0));
    say(&house, &["backlog", "old", "process"]).prints("0 recordings of folder `old` are queued");
}

/// The fields of a job in JSON, as DESIGN § 6 has them.
const JOB_FIELDS: [&str; 21] = [
    "attempts",
    "created",
    "deliveries",
    "due",
    "error",
    "folder",
    "hash",
    "id",
    "key",
    "meeting_id",
    "notes",
    "partial",
    "path",
    "recording_id",
    "service",
    "size",
    "stage",
    "state",
    "title",
    "updated",
    "waits_for",
];

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Other tests ask the daemon itself, which is quicker than a process for each look.
#[test]
fn what_commands_print_as_json_is_what_the_daemon_answers() {
    let house = House::new();
    let _daemon = house.start();
    let path = shown(&house.drop_recording("talk.wav"));
    house.wait_for("talk.wav", "done");
    until("status is that", || (house.json(&["status"]) == house.status()).then_some(()));
    assert_eq!(house.json(&["jobs"]), Value::from(house.jobs()));
    assert_eq!(house.json(&["job", &path]), house.job("talk.wav"));
    assert_eq!(house.json(&["source", "list"]), Value::from(house.source_rows().expect("a list")));
    let why = say(&house, &["why", &path]);
    assert_eq!(format!("{}{}", why.out, why.err), house.why("talk.wav"));
}

#[test]
fn a_job_in_json_has_exactly_the_documented_fields() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    let list = house.json(&["jobs"]);
    assert_eq!(fields(&list[0]), JOB_FIELDS);
    let job = house.job("talk.wav");
    let mut with_history = JOB_FIELDS.to_vec();
    with_history.push("history");
    with_history.sort_unstable();
    assert_eq!(fields(&job), with_history);
    assert_eq!(fields(&job["deliveries"][0]), ["attempts", "error", "kind", "state", "target"]);
    assert_eq!(fields(&job["history"][0]), ["at", "error", "event", "kind", "stage"]);
    for time in [&job["created"], &job["updated"], &job["history"][0]["at"]] {
        let text = time.as_str().expect("a time");
        assert!(
            text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
            "RFC 3339, UTC: {text}"
        );
    }
    assert_eq!(job["notes"][0], shown(&house.path("talk.notes.md")));
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(house.json(&["jobs"]), list, "the same without a daemon");
}

#[test]
fn a_job_is_named_by_number_key_or_file_and_jobs_are_told_apart() {
    let house = House::new();
    let _slow = with_folder(&house, "other", "");
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(413), None);
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.drop_recording("bad.wav");
    let (done, failed) = (house.wait_for("talk.wav", "done"), house.wait_for("bad.wav", "failed"));
    let names =
        [done["id"].to_string(), format!("#{}", done["id"]), shown(&house.path("talk.wav"))];
    let by_key = house.json(&["job", done["key"].as_str().expect("a key")]);
    assert!(names.iter().all(|name| house.json(&["job", name]) == by_key));
    let mut daemon = Some(daemon);
    for runs in [true, false] {
        if !runs {
            assert_eq!(daemon.take().expect("runs").stop().code(), Some(0));
        }
        let of = |arguments: &[&str]| house.json(arguments).as_array().expect("a list").len();
        assert_eq!(of(&["jobs", "--state", "done"]), 1);
        assert_eq!(house.json(&["jobs", "--state", "failed"])[0]["id"], failed["id"]);
        assert_eq!(
            (of(&["jobs", "--folder", "sales"]), of(&["jobs", "--folder", "other"])),
            (2, 0)
        );
        say(&house, &["job", &failed["id"].to_string()])
            .prints("upload   failed for the last time: ");
        let none = say(&house, &["jobs", "--state", "cancelled"]);
        assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (Some(0), "", "no jobs\n"));
        say(&house, &["job", "99"]).refused(1, "there is no job 99", "minuted jobs");
        say(&house, &["job", "/nowhere.wav"]).refused(
            1,
            "there is no job of `/nowhere.wav`",
            "minuted why",
        );
        say(&house, &["jobs", "--folder", "x"]).refused(
            1,
            "there is no folder `x`",
            "the folders are: sales, other",
        );
    }
    assert_eq!(say(&house, &["jobs", "--state", "odd"]).code, Some(2));
}

#[test]
fn what_a_job_does_not_take_is_refused_with_what_would_do() {
    let house = House::new();
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(413), None);
    house.standin.stall_analysis(true);
    let daemon = house.start();
    house.drop_recording("slow.wav");
    let slow = until("it is analysed", || {
        (house.state("slow.wav")? == "waiting").then(|| house.job("slow.wav")["id"].to_string())
    });
    for command in ["retry", "redo"] {
        say(&house, &[command, &slow]).refused(
            1,
            &format!("job {slow} "),
            &format!("minuted cancel {slow}"),
        );
    }
    say(&house, &["analyse", &slow, "--types", "sentiment"]).refused(
        1,
        "is waiting",
        "minuted job",
    );
    say(&house, &["analyse", &slow, "--types", "mood"]).refused(
        1,
        "`mood` is not an analysis",
        "key_points, sentiment",
    );
    say(&house, &["cancel", &slow]).prints(&format!("job {slow} is cancelled"));
    say(&house, &["cancel", &slow]).refused(
        1,
        "is cancelled already",
        &format!("minuted retry {slow}"),
    );
    house.standin.stall_analysis(false);
    say(&house, &["retry", &slow]).prints(&format!("job {slow} goes on with analyse"));
    house.wait_for("slow.wav", "done");
    for command in ["retry", "cancel"] {
        say(&house, &[command, &slow]).refused(1, "is done", &format!("minuted redo {slow}"));
    }
    fs::write(house.path("copy.wav"), recording("slow.wav")).expect("written");
    let copy = house.wait_for("copy.wav", "skipped")["id"].to_string();
    say(&house, &["retry", &copy]).refused(1, "was skipped", "minuted why");
    house.drop_recording("bad.wav");
    let bad = house.wait_for("bad.wav", "failed")["id"].to_string();
    house.standin.clear_faults();
    assert_eq!(daemon.stop().code(), Some(0));

    let retried = say(&house, &["retry", "--failed"]);
    retried.prints("1 job is retried");
    assert!(retried.err.contains("no daemon runs"), "{retried:?}");
    let redone = say(&house, &["redo", &slow]);
    redone.prints(&format!("job {slow} is redone as job "));
    say(&house, &["redo", &slow]).refused(1, "is being redone already", "minuted job");
    assert_eq!(say(&house, &["retry", &bad, "98", "99"]).err.matches("there is no job").count(), 2);
    let _daemon = house.start();
    house.wait_for("bad.wav", "done");
    house.wait_for("slow.wav", "done");
    assert_eq!(
        house.standin.snapshot().meetings.len(),
        3,
        "the redone one has a meeting of its own"
    );
}

#[test]
fn add_checks_all_files_before_it_copies_one() {
    let house = House::new();
    let _daemon = house.start();
    let (good, text) = (outside(&house, "good.wav"), shown(&house.config()));
    let missing = shown(&house.dir.path().join("missing.wav"));
    let empty = shown(&house.dir.path().join("empty.wav"));
    fs::write(&empty, "").expect("written");
    let said = say(&house, &["add", &good, &text, &missing, &empty, "--folder", "sales"]);
    assert_eq!((said.code, said.out.as_str(), house.files()), (Some(1), "", vec![]), "{said:?}");
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines[0], "minuted: nothing is queued, because not every file can be:");
    assert!(
        lines.len() == 4 && [&text, &missing, &empty].iter().all(|file| said.err.contains(*file)),
        "{said:?}"
    );
    say(&house, &["add", &good, "--folder", "x"]).refused(
        1,
        "there is no folder `x`",
        "the folders are: sales",
    );
    assert_eq!(say(&house, &["add", "--folder", "sales"]).code, Some(2));
}

#[test]
fn add_waits_and_prints_the_notes_of_each_file_and_1_when_one_failed() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    // Another recording of a name that is taken, and one that lies in the folder already.
    let other = house.dir.path().join("talk.wav");
    fs::write(&other, recording("other.wav")).expect("written");
    let (other, good) = (shown(&other), outside(&house, "good.mp3"));
    let said = say(
        &house,
        &["add", &other, &good, &shown(&house.path("talk.wav")), "--folder", "sales", "--wait"],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let headings: Vec<&str> = said.out.lines().filter(|line| line.starts_with("== ")).collect();
    assert_eq!(
        headings,
        [
            format!("== {other}"),
            format!("== {good}"),
            format!("== {}", shown(&house.path("talk.wav")))
        ]
    );
    assert_eq!(said.out.matches("\n---\ntitle: ").count(), 3, "{said:?}");
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{said:?}");
    assert!(house.files().contains(&"talk.2.wav".to_owned()), "{:?}", house.files());

    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(413), None);
    let said = say(&house, &["add", &outside(&house, "bad.wav"), "--folder", "sales", "--wait"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("failed after 3 attempts") && said.err.contains("hint: minuted retry"),
        "{said:?}"
    );
    let json = say(
        &house,
        &["add", &outside(&house, "more.wav"), "--folder", "sales", "--wait", "--json"],
    );
    let jobs: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(
        (jobs[0]["state"].as_str(), jobs.as_array().map(Vec::len)),
        (Some("done"), Some(1)),
        "{json:?}"
    );
}

#[test]
fn add_without_a_daemon_queues_and_says_so() {
    let house = House::new();
    let file = outside(&house, "talk.wav");
    let wait = say(&house, &["add", &file, "--folder", "sales", "--wait"]);
    wait.refused(1, "no daemon runs, so there is nothing to wait for", "leave out --wait");
    assert_eq!(house.files(), Vec::<String>::new());
    let said = say(&house, &["add", &file, "--folder", "sales"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("queued as job 1") && said.err.contains("no daemon runs: it goes on"),
        "{said:?}"
    );
    assert_eq!(house.state("talk.wav").as_deref(), Some("ready"));
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
    assert_eq!(house.json(&["jobs"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_folder_is_paused_and_resumed_with_and_without_a_daemon() {
    let house = House::new();
    say(&house, &["pause", "sales"]).prints("folder `sales` is paused: nothing new is begun there");
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "waiting");
    assert_eq!(job["waits_for"], "folder", "{job}");
    say(&house, &["status"])
        .prints("folder sales: paused: a person paused it; minuted resume sales");
    say(&house, &["pause", "sales"]).prints("is paused already");
    say(&house, &["resume", "x"]).refused(1, "there is no folder `x`", "the folders are: sales");
    say(&house, &["resume", "sales"]).prints("folder `sales` goes on");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
    say(&house, &["resume", "sales"]).prints("was not paused");
}

#[test]
fn the_account_commands_say_who_is_signed_in_and_what_to_do_when_nobody_is() {
    let house = House::new();
    for runs in [false, true] {
        let daemon = runs.then(|| house.start());
        say(&house, &["whoami"]).prints("signed in at paxs (http://127.0.0.1:");
        assert_eq!(fields(&house.json(&["whoami"])), ["base_url", "profile", "service"]);
        say(&house, &["whoami", "x"]).refused(
            1,
            "there is no service `x`",
            "the services are: paxs",
        );
        say(&house, &["logout", "paxs"]).prints("signed out of `paxs`");
        say(&house, &["logout"]).prints("was not signed in at `paxs`");
        say(&house, &["whoami"]).refused(1, "not signed in", "minuted login paxs");
        say(&house, &["meetings"]).refused(1, "not signed in", "minuted login paxs");
        say(&house, &["status"]).prints("is signed out: ");
        say(&house, &["login", "x"]).refused(
            1,
            "there is no service `x`",
            "the services are: paxs",
        );
        say(&house, &["login"]).prints("signed in at `paxs`");
        drop(daemon);
    }
}

#[test]
fn meetings_lists_what_the_service_has_and_shows_one() {
    let house = House::new();
    for runs in [false, true] {
        let daemon = runs.then(|| house.start());
        if runs {
            house.drop_recording("talk.wav");
            house.wait_for("talk.wav", "done");
            let id = house.job("talk.wav")["meeting_id"].as_str().expect("an id").to_owned();
            say(&house, &["meetings"]).prints(&id);
            say(&house, &["meetings", &id]).prints("title: talk\n");
            assert_eq!(house.json(&["meetings"])[0]["id"], id);
            let empty = say(&house, &["meetings", "--page", "2"]);
            assert_eq!(
                (empty.out.as_str(), empty.err.as_str()),
                ("", "no meetings on this page\n")
            );
        } else {
            assert_eq!(say(&house, &["meetings"]).err, "the service has no meetings\n");
        }
        say(&house, &["meetings", "none"]).refused(
            1,
            "the service has no meeting `none`",
            "minuted meetings",
        );
        assert_eq!(say(&house, &["meetings", "--page", "0"]).code, Some(2));
        drop(daemon);
    }
    house.standin.down(true);
    say(&house, &["meetings"]).refused(
        1,
        "service `paxs`: ",
        "check base_url, the network and the service",
    );
}

#[test]
fn a_backup_is_made_while_the_daemon_runs_and_serves_another_minuted() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    let copy = shown(&house.dir.path().join("copy.db"));
    say(&house, &["backup", &copy]).prints("the queue is copied to ");
    let again = say(&house, &["backup", &copy]);
    again.refused(1, "it exists", "name a file that does not exist");
    let nowhere = say(&house, &["backup", "/nowhere/copy.db"]);
    assert!(
        nowhere.code == Some(1) && nowhere.err.contains("failed to copy the queue"),
        "{nowhere:?}"
    );
    assert_eq!(daemon.stop().code(), Some(0));
    say(&house, &["backup", &shown(&house.dir.path().join("second.db"))])
        .prints("the queue is copied to ");

    let other = House::new();
    fs::remove_file(other.state_dir().join("queue.sqlite")).ok();
    fs::copy(&copy, other.state_dir().join("queue.sqlite")).expect("copied");
    let _daemon = other.start();
    let restored = other.json(&["job", "1"]);
    assert_eq!((&restored["key"], &restored["state"]), (&job["key"], &"done".into()), "{restored}");
    fs::write(other.path("again.wav"), recording("talk.wav")).expect("written");
    other.wait_for("again.wav", "skipped");
    assert_eq!(other.standin.snapshot().meetings.len(), 0);
}

#[test]
fn check_finds_what_is_wrong_and_says_what_to_do() {
    let house = House::new();
    let fine = say(&house, &["check"]);
    fine.prints("ok       folder sales: notes can be written in ");
    assert!(
        fine.out
            .lines()
            .all(|line| line.starts_with("ok ") || line.starts_with("note     daemon: ")),
        "{fine:?}"
    );
    assert_eq!((house.files(), house.smtp.received().len()), (vec![], 0), "without a trace");
    say(&house, &["check", "--mail", "bo@elsewhere.test"])
        .prints("test mail: sent to bo@elsewhere.test");
    assert_eq!(house.smtp.received()[0].to, ["bo@elsewhere.test"]);
    let daemon = house.start();
    say(&house, &["check"]).prints("ok       daemon: it runs");

    house.smtp.down(true);
    say(&house, &["logout"]).prints("signed out");
    assert_eq!(daemon.stop().code(), Some(0));
    fs::remove_dir(house.folder()).expect("removed");
    let said = say(&house, &["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let cures = [
        ("folder sales: ", "mkdir -p '"),
        ("service paxs: not signed in", "minuted login paxs"),
        ("mail by 127.0.0.1:", "check [email] smtp: host, port, tls"),
    ];
    for (subject, cure) in cures {
        let mut lines =
            said.out.lines().skip_while(|line| !line.starts_with(&format!("ERROR    {subject}")));
        assert!(
            lines
                .nth(1)
                .is_some_and(|hint| hint.trim_start().starts_with("hint: ") && hint.contains(cure)),
            "{said:?}"
        );
    }
    let json = say(&house, &["check", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json.code, Some(1));
    assert!(
        findings.iter().all(|finding| fields(finding) == ["hint", "level", "message", "subject"]),
        "{json:?}"
    );
    assert_eq!(
        findings.iter().filter(|finding| finding["level"] == "error").count(),
        3,
        "{json:?}"
    );
}

#[test]
fn check_leaves_no_trace_where_minuted_never_ran() {
    let house = House::new();
    fs::remove_dir_all(house.state_dir()).expect("removed");
    let said = say(&house, &["check"]);
    assert!(
        said.out.contains("is made at the first start") && said.out.contains("minuted login paxs"),
        "{said:?}"
    );
    assert!(!house.state_dir().exists());
}

#[test]
fn scan_takes_what_is_new_and_a_dry_run_only_says_so() {
    let house = House::new();
    house.drop_recording("talk.wav");
    house.drop_recording("clip.mov");
    fs::write(house.path("notes.txt"), "x").expect("written");
    say(&house, &["scan"]).refused(1, "no daemon runs", "minuted run --once");
    let found = house.json(&["scan", "--dry-run"]);
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    let words = [
        "calls",
        "estimated",
        "folder",
        "path",
        "seconds",
        "service",
        "size",
        "why",
        "work_seconds",
    ];
    assert_eq!(fields(&found[0]), words);
    say(&house, &["scan", "--dry-run"]).prints("talk.wav");
    assert_eq!(house.json(&["jobs"]).as_array().map(Vec::len), Some(0));
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
    say(&house, &["scan"]).prints("scanned 1 folder");
    until("all is known", || {
        say(&house, &["scan", "--dry-run"]).err.contains("nothing new").then_some(())
    });
}

#[test]
fn lists_in_a_pipe_are_plain_and_fit_into_80_columns() {
    let house = House::new();
    with_folder(&house, "north-and-south-and-east-and-west", "backlog = \"process\"");
    let daemon = house.start();
    let long = "Quarterly review of everything that happened in the north with Ann Lee and Bo Chen";
    for number in 0..2 {
        house.drop_recording(&format!("{long} {number}.wav"));
    }
    house.drop_recording("bell\u{7} and \u{1b}[31mred\u{202e}.ogg");
    house.wait_for(&format!("{long} 1.wav"), "done");
    house.wait_for(&format!("{long} 0.wav"), "done");
    assert_eq!(daemon.stop().code(), Some(0));
    house.drop_recording(&format!("{long} 2.wav"));
    for arguments in [&["status"][..], &["jobs"], &["meetings"], &["scan", "--dry-run"]] {
        let said = say(&house, arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
        for line in said.out.lines() {
            assert!(
                line.chars().count() <= 80 && line == line.trim_end(),
                "{arguments:?}: {line:?}"
            );
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
    let jobs = say(&house, &["jobs"]).out;
    assert_eq!(jobs.lines().count(), 4, "a line for each job, however long its name:\n{jobs}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let house = House::new();
    house.drop_recording("talk.wav");
    say(&house, &["add", &shown(&house.path("talk.wav")), "--folder", "sales"]);
    for arguments in [
        &["man"][..],
        &["completions", "bash"],
        &["jobs"],
        &["status", "--json"],
        &["check"],
        &["--help"],
    ] {
        let mut child = house
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        drop(child.stdout.take());
        let mut told = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut told).expect("read");
        assert_eq!(
            (child.wait().expect("ended").code(), told.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

/// Starts a command and gives its lines.
fn follow(house: &House, arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = house.command(arguments).stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    (child, lines)
}

#[test]
fn status_is_watched_until_interrupted_and_keeps_no_daemon_from_starting() {
    let house = House::new();
    let (mut child, mut lines) = follow(&house, &["status", "--watch", "--json"]);
    let runs = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["daemon"].as_bool();
    assert_eq!(runs(&lines.next().expect("a line")), Some(false));
    let daemon = house.start();
    assert!(lines.by_ref().any(|line| runs(&line) == Some(true)));
    daemon.kill();
    assert!(lines.by_ref().any(|line| runs(&line) == Some(false)), "it outlives the daemon");
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, Signal::INT).expect("it runs");
    let ended = child.wait().expect("ended");
    assert!(ended.signal() == Some(2) || ended.code() == Some(0), "{ended:?}");
    let (mut child, lines) = follow(&house, &["status", "--watch"]);
    let seen: Vec<String> = lines.take(8).collect();
    assert!(
        seen.iter().all(|line| !line.contains('\u{1b}')),
        "no escape sequences in a pipe: {seen:?}"
    );
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn a_sign_in_that_waits_for_a_person_keeps_no_daemon_from_starting() {
    let house = House::new();
    say(&house, &["logout"]).prints("signed out");
    house.standin.change(|options| options.auto_approve = false);
    let (mut child, mut lines) = follow(&house, &["login"]);
    let link = lines.next().expect("a link");
    let (_, state) = link.split_once("state=").expect("a state");
    let daemon = house.start();
    house.standin.approve(state.split('&').next().expect("a state"));
    assert_eq!(lines.next().as_deref(), Some("signed in at `paxs`"));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn run_once_works_until_nothing_is_left_and_tells_of_failures_by_its_code() {
    let house = House::new();
    house.drop_recording("talk.wav");
    assert_eq!(say(&house, &["run", "--once"]).code, Some(0));
    assert!(house.path("talk.notes.md").exists());
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(413), None);
    house.drop_recording("bad.wav");
    let said = say(&house, &["run", "--once"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("minuted: 1 recording failed") && said.err.contains("\nhint: "),
        "{said:?}"
    );
    assert_eq!(
        say(&house, &["run", "--once"]).code,
        Some(0),
        "what failed before is not this run's failure"
    );
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let house = House::new();
    let _daemon = house.start();
    let second = say(&house, &["run"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another minuted uses the state directory"), "{second:?}");
    assert!(second.err.contains("\nhint: "), "{second:?}");
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
}

#[test]
fn root_does_not_touch_the_state_directory_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = House::new();
    let nobody = Some(65_534);
    std::os::unix::fs::chown(house.state_dir(), nobody, nobody).expect("given away");
    let before: Vec<_> =
        fs::read_dir(house.state_dir()).expect("listed").flatten().map(|e| e.file_name()).collect();
    for arguments in [&["status"][..], &["jobs"], &["login"], &["pause", "sales"], &["run"]] {
        let said = say(&house, arguments);
        said.refused(1, "belongs to another user (nobody, uid 65534)", "sudo -u nobody ");
        assert!(
            said.err.contains(&format!(
                " --config {} {}",
                shown(&house.config()),
                arguments.join(" ")
            )),
            "{said:?}"
        );
    }
    let check = say(&house, &["check"]);
    assert!(
        check.code == Some(1) && check.out.contains("sudo -u nobody minuted check"),
        "{check:?}"
    );
    let after: Vec<_> =
        fs::read_dir(house.state_dir()).expect("listed").flatten().map(|e| e.file_name()).collect();
    assert_eq!(after, before);
}

#[test]
fn the_exit_code_tells_usage_from_configuration_from_failure() {
    let house = House::new();
    for arguments in [&[][..], &["nonsense"], &["why"], &["retry"], &["backlog", "sales", "maybe"]]
    {
        assert_eq!(say(&house, arguments).code, Some(2), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(say(&house, arguments).code, Some(0), "{arguments:?}");
    }
    house.configure("setle = \"1s\"");
    for command in ["status", "run", "check", "systemd-drop-in"] {
        let said = say(&house, &[command]);
        assert_eq!(said.code, Some(78), "{said:?}");
        assert!(said.err.contains("setle") && said.err.contains("settle"), "{said:?}");
    }
    fs::remove_file(house.config()).expect("removed");
    assert_eq!(say(&house, &["status"]).code, Some(78));
}

#[test]
fn packagers_get_completions_a_manual_page_and_a_drop_in() {
    let house = House::new();
    for shell in ["bash", "zsh", "fish"] {
        say(&house, &["completions", shell]).prints("systemd-drop-in");
    }
    let man = say(&house, &["man"]);
    man.prints(".TH minuted 1");
    for words in
        [".SS \"systemd\\-drop\\-in\"", "\\-\\-dry\\-run", "\\-\\-wait", ".SH \"EXIT STATUS\""]
    {
        man.prints(words);
    }
    say(&house, &["systemd-drop-in"]).prints(&shown(&house.folder()));
}

#[test]
fn the_demo_makes_three_notes_without_an_account() {
    if crate::support::engine::model().is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_minuted"));
    command.args(["demo", "--dir", &shown(dir.path())]).env_remove("RUST_LOG").stdin(Stdio::null());
    let said = Said::of(&mut command);
    for words in ["The notes lie beside the recordings", "## Action items", "is being transcribed"]
    {
        said.prints(words);
    }
    three_notes(&said, dir.path());
}

#[test]
fn without_a_way_to_the_model_the_demo_says_so_and_uses_the_transcripts_that_ship_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_minuted"));
    command
        .args(["demo", "--dir", &shown(dir.path())])
        .env_clear()
        .env("HOME", dir.path())
        .env("PATH", dir.path())
        .stdin(Stdio::null());
    let said = Said::of(&mut command);
    let says_so: Vec<&str> =
        said.out.lines().filter(|line| line.contains("The engine cannot be had here")).collect();
    assert!(
        matches!(says_so[..], [line] if line.contains("transcripts that ship with the demo")),
        "{said:?}"
    );
    three_notes(&said, dir.path());
    for (name, words) in [
        ("weekly-sales", "**Cy Diaz** [00:00:16] I think customers want to know early."),
        (
            "design-review",
            "**Bo Chen** [00:00:12] Blue was easier to read than green in every test.",
        ),
        ("standup", "**Ann Lee** [00:00:06] I fixed the two bugs in the upload."),
    ] {
        let notes = fs::read_to_string(dir.path().join(format!("recordings/{name}.notes.md")))
            .expect("written");
        assert!(notes.contains(words) && notes.contains("## Action items"), "{notes}");
    }
}

fn three_notes(said: &Said, dir: &Path) {
    assert_eq!(said.out.matches(": done: ").count(), 3, "{said:?}");
    for name in ["weekly-sales", "design-review", "standup"] {
        let notes =
            fs::read_to_string(dir.join(format!("recordings/{name}.notes.md"))).expect("written");
        assert!(notes.starts_with("---\ntitle: "), "{notes}");
    }
}
