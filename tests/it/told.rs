//! What an operator is told when something is wrong: once, of what it concerns alone, with the cure, until it is over.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    house::{House, may_mount, recording, until},
    paxs::{Call, Fault},
};

/// Adds the folder `two`, which delivers beside.
fn with_two(house: &House) {
    let path = house.dir.path().join("two");
    fs::create_dir_all(&path).expect("made");
    let keys = "service = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\nbacklog = \"process\"\n\
                attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]";
    house.configure_all(
        "",
        "",
        &format!("[[folder]]\nname = \"two\"\npath = \"{}\"\n{keys}", path.display()),
    );
}

/// Lets the first retry come so late that nothing is tried again while the test looks.
fn slowly(house: &House) {
    house.edit_config(|text| {
        text.replace(
            "delay = \"50ms\"\ndelay_max = \"200ms\"",
            "delay = \"1h\"\ndelay_max = \"2h\"",
        )
    });
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The words of the log's lines of this level that hold `needle`, without time and directory.
fn logged(house: &House, level: &str, needle: &str) -> String {
    let log = house.log().replace(&house.dir.path().display().to_string(), "DIR");
    let lines = log.lines().filter(|line| line.contains(level) && line.contains(needle));
    lines
        .filter_map(|line| line.split_once(level))
        .map(|(_, said)| said.trim())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_folder_whose_disk_is_full_stops_nobody_elses_work() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    with_two(&house);
    let daemon = house.start_among(r#"mount -t tmpfs -o size=64k none "$1""#);
    house.standin.stall_analysis(true);
    fs::write(daemon.sees(&house.path("talk.mp3")), recording("talk.mp3")).expect("written");
    until("it waits for its analysis", || {
        (house.standin.snapshot().count(Call::Upload) == 1).then_some(())
    });
    // It ends with the disk full, which is what it is for.
    drop(fs::write(daemon.sees(&house.path("filler")), vec![0; 128 * 1024]));
    house.standin.stall_analysis(false);
    until("its notes have no room", || (house.jobs()[0]["waits_for"] == "disk").then_some(()));
    let two = house.dir.path().join("two");
    fs::write(two.join("other.mp3"), recording("other.mp3")).expect("written");
    until("the other folder goes on", || two.join("other.notes.md").exists().then_some(()));
    let status = house.status();
    assert!(
        status["folders"][0]["trouble"]
            .as_str()
            .is_some_and(|told| told.starts_with("no space left in ")),
        "{status}"
    );
    assert_eq!(
        (&status["folders"][1]["trouble"], &status["disk_full"]),
        (&Value::Null, &false.into())
    );
}

#[test]
fn a_transcription_that_stands_is_delivered_although_the_last_failure_is_a_refusal() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_notes(1);
    house.standin.fail_always(Call::RequestAnalysis, Fault::Status(422));
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &true.into()), "{job}");
    until("what completed is delivered", || house.path("talk.notes.md").exists().then_some(()));
    let told = logged(&house, "ERROR", "failed:");
    assert!(told.contains("talk.mp3: ") && told.contains("minuted retry 1"), "{told}");
    house.standin.clear_faults();
    assert!(house.run(&["retry", "1"]).status.success());
    assert_eq!(house.wait_for("talk.mp3", "done")["partial"], false);
}

#[test]
fn a_service_that_is_down_stays_so_through_a_reload_and_a_restart() {
    let house = House::new();
    slowly(&house);
    let fault =
        Fault::StatusWith { status: 429, retry_after: Some("7200".into()), body: String::new() };
    house.standin.fail_always(Call::CreateSession, fault);
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    let before = house.wait_for_service("down");
    daemon.signal(Signal::HUP);
    until("it is read again", || (house.logged("INFO", "is read again") == 1).then_some(()));
    assert_eq!(
        (&house.service()["state"], &house.service()["next_try"]),
        (&"down".into(), &before["next_try"])
    );
    daemon.kill();
    house.standin.clear_faults();
    let daemon = house.spawn(&[]);
    let after = until("the daemon answers", || {
        let status = house.status();
        (status["daemon"] == true).then(|| status["services"][0].clone())
    });
    assert_eq!(
        (&after["state"], &after["next_try"]),
        (&"down".into(), &house.job("talk.mp3")["due"]),
        "{after}"
    );
    assert_eq!(
        (house.notices("does not work"), house.standin.snapshot().count(Call::CreateSession)),
        (1, 1)
    );
    // Another delay makes another breaker: what waited for the service is tried at once.
    house.edit_config(|text| text.replace("delay = \"1h\"", "delay = \"50ms\""));
    daemon.signal(Signal::HUP);
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.service()["state"], "up");
}

#[test]
fn a_mail_server_that_is_down_is_said_once_and_that_it_works_again_too() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    house.smtp.down(true);
    let _daemon = house.start();
    for name in ["one.mp3", "two.mp3", "three.mp3"] {
        house.drop_recording(name);
        until("its notes lie there", || {
            house.path(&name.replace("mp3", "notes.md")).exists().then_some(())
        });
    }
    until("every mail was tried", || {
        let jobs = house.jobs();
        let mails =
            jobs.iter().flat_map(|job| job["deliveries"].as_array().cloned().unwrap_or_default());
        let tried = mails
            .filter(|mail| mail["kind"] == "mail" && mail["attempts"].as_u64() > Some(0))
            .count();
        (tried == 6).then_some(())
    });
    house.assert_logged("WARN", "mail cannot be sent", 1);
    assert_eq!(house.notices("mail cannot be sent"), 0);
    let hold = &house.status()["holds"][0];
    assert_eq!(
        (&hold["scope"], &hold["name"], &hold["reason"]),
        (&"service".into(), &"smtp".into(), &"down".into())
    );
    house.smtp.down(false);
    house.wait_for_all(3, "done");
    assert_eq!(house.logged("INFO", "`smtp` works again"), 1);
    assert!(house.status()["holds"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_reload_that_is_refused_says_each_mistake_on_a_line() {
    let house = House::new();
    let daemon = house.start();
    house.edit_config(|text| {
        text.replace("[retry]\n", "[retry]\nfoo = 1\n")
            .replace("level = \"debug\"", "level = \"loud\"")
    });
    daemon.signal(Signal::HUP);
    until("it is refused", || (house.logged("ERROR", "is not taken") == 1).then_some(()));
    insta::assert_snapshot!(logged(&house, "ERROR", ""), @r"
    config.toml:9: unknown key `foo` in `[retry]`; known here: attempts, delay, delay_max
    config.toml:13: unknown word `loud` for `level`; write `error`, `warn`, `info`, `debug` or `trace`
    the new configuration is not taken, the old one stays in force; `minuted check` shows what is wrong
    ");
}

#[test]
fn check_tells_what_the_daemon_holds() {
    let house = House::new();
    slowly(&house);
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for_service("down");
    assert!(house.run(&["pause", "sales"]).status.success());
    let check = house.run(&["check"]);
    assert_eq!(check.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&check.stdout).into_owned();
    let held: Vec<&str> = shown.lines().skip_while(|line| !line.contains(", now: ")).collect();
    let cut = |line: &&str| {
        line.split(" for ").next().unwrap_or_default().split(", next in").next().map(str::to_owned)
    };
    insta::assert_snapshot!(held.iter().filter_map(cut).collect::<Vec<_>>().join("\n"), @r"
    warning  folder sales, now: paused
             hint: minuted resume sales
    ERROR    service paxs, now: down
             hint: minuted keeps trying
    ");
}

/// The findings of `check` about the state directory and who answers, without the directory of the
/// test.
fn findings_of_state(house: &House) -> String {
    let check = house.run(&["check"]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let shown = String::from_utf8_lossy(&check.stdout)
        .replace(&house.dir.path().display().to_string(), "DIR");
    let mut lines = shown.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.contains(" state directory: ") || line.contains(" services: ") {
            found.push(line.to_owned());
            found.extend(std::iter::from_fn(|| {
                lines.next_if(|line| line.starts_with(' ')).map(str::to_owned)
            }));
        }
    }
    found.join("\n")
}

#[test]
fn the_hint_about_an_open_or_locked_state_directory_stands_on_its_own_line() {
    let house = House::new();
    let failed = |command: &str| {
        said(&house.run(&[command])).1.replace(&house.dir.path().display().to_string(), "DIR")
    };
    for mode in [0o750, 0o705] {
        fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(mode)).expect("set");
        let shown = format!("{}\n{}", findings_of_state(&house), failed("status"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown.replace(&format!("{mode:04o}"), "MODE"), @r"
            ERROR    state directory: DIR/state is open to other users (mode MODE); it holds tokens
                     hint: chmod 0700 'DIR/state'
            ERROR    services: the state directory `DIR/state` is open to other users (mode MODE)
                     hint: chmod 0700 'DIR/state'
            minuted: the state directory `DIR/state` is open to other users (mode MODE)
            hint: chmod 0700 'DIR/state'
            ");
        }
    }
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o700)).expect("set");

    let lock = fs::File::create(house.state_dir().join("lock")).expect("opened");
    lock.try_lock().expect("nobody holds it");
    insta::assert_snapshot!(format!("{}\n{}", findings_of_state(&house), failed("run")), @r"
    ok       state directory: DIR/state
    ERROR    services: a minuted uses the state directory `DIR/state`, but its socket `control.sock` is not there
             hint: if it is the daemon, restart it: systemctl restart minuted, or end it and start `minuted run` again; another command ends by itself
    minuted: another minuted uses the state directory `DIR/state`
    hint: one minuted serves one state directory; minuted status asks the one that runs
    ");
}

#[test]
fn a_run_to_the_end_says_what_it_could_not_do() {
    let house = House::new();
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    house.drop_recording("talk.mp3");
    let down = said(&house.run(&["run", "--once"]));
    assert!(
        down.0 == Some(1) && down.1.contains("minuted: 1 recording waiting for what is down"),
        "{down:?}"
    );
    house.standin.clear_faults();
    house.edit_config(|text| text.replace("delay_max = \"200ms\"", "delay_max = \"1m\""));
    let up = said(&house.run(&["run", "--once"]));
    assert_eq!(up.0, Some(0), "{up:?}");
    fs::rename(house.folder(), house.dir.path().join("elsewhere")).expect("moved");
    let absent = said(&house.run(&["run", "--once"]));
    assert!(
        absent.0 == Some(1) && absent.1.contains("minuted: 1 folder not looked through"),
        "{absent:?}"
    );
}

#[test]
fn a_folder_that_is_absent_is_told_once_and_not_scanned() {
    let house = House::new();
    let daemon = house.start();
    house.scan();
    let elsewhere = house.dir.path().join("elsewhere");
    fs::rename(house.folder(), &elsewhere).expect("moved");
    let (code, error) = said(&house.run(&["scan"]));
    assert!(
        code == Some(1) && error.contains("scanned 0 folders; 1 folder cannot be scanned: "),
        "{error}"
    );
    fs::rename(elsewhere, house.folder()).expect("moved back");
    house.scan();
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(
        (
            house.logged("WARN", "folder `sales`"),
            house.logged("INFO", "folder `sales` is fine again")
        ),
        (1, 1)
    );
    assert_eq!(house.logged("", "well again"), 0);
}

#[test]
fn what_a_start_cannot_mend_ends_with_its_own_code_and_its_cure() {
    let house = House::new();
    let run = || said(&house.run(&["run"]));
    fs::write(house.state_dir().join("queue.sqlite"), "no queue at all".repeat(100))
        .expect("written");
    let (code, error) = run();
    assert!(code == Some(78) && error.contains("hint: the file is damaged"), "{code:?} {error}");
    house.edit_config(|text| text.replace("[log]", "[log]\ndir = \"/dev/null/log\""));
    let (code, error) = run();
    assert!(
        code == Some(1) && error.contains("hint: sudo install -d -m 0750 "),
        "{code:?} {error}"
    );
    let state = house.state_dir().display().to_string();
    house.edit_config(|text| {
        text.replace("\ndir = \"/dev/null/log\"", "").replace(&state, "/proc/nowhere/state")
    });
    for command in ["run", "status", "login"] {
        let (code, error) = said(&house.run(&[command]));
        assert!(
            code == Some(1) && error.contains("hint: sudo install -d -m 0700 "),
            "{command}: {code:?} {error}"
        );
    }
    assert_eq!(house.run(&["check"]).status.code(), Some(1));
}

#[test]
fn places_that_cannot_be_written_are_named_as_they_are() {
    let house = House::new();
    let nowhere = house.dir.path().join("nowhere/queue.copy");
    let (code, error) = said(&house.run(&["backup", nowhere.to_str().expect("UTF-8")]));
    let shown = error.replace(&house.dir.path().display().to_string(), "DIR");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(shown, @r"
    minuted: failed to copy the queue to `DIR/nowhere/queue.copy`: there is no directory `DIR/nowhere`
    hint: mkdir -p 'DIR/nowhere', or name a file in one that exists
    ");
    house.configure("on_success = \"move\"\nmove_to = \"done\"");
    fs::write(house.path("done"), "a file").expect("written");
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    let told = format!("the directory `{}` is not one", house.path("done").display());
    until("it says what is in the way", || house.log().contains(&told).then_some(()));
}

#[test]
fn a_sign_in_at_a_service_that_is_not_there_says_so_at_once() {
    let house = House::new();
    assert!(house.run(&["logout"]).status.success());
    house.standin.refuse_connections(true);
    let mut login = house
        .command(&["login"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(login.stderr.take().expect("a pipe")).lines();
    let told = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("the service does not answer yet: "));
    assert!(told.is_some());
    login.kill().and_then(|()| login.wait()).expect("ended");
    let check = house.run(&["check"]);
    let shown = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        shown.contains("cannot be reached: ") && shown.contains("hint: minuted login paxs"),
        "{shown}"
    );
}

#[test]
fn a_mail_server_that_speaks_another_tls_is_told_as_that() {
    let house = House::new();
    for (tls, told) in [
        ("starttls", "offers no STARTTLS on this port"),
        ("tls", "does not speak TLS on this port"),
    ] {
        house.configure("");
        house.edit_config(|text| text.replace("tls = \"none\"", &format!("tls = \"{tls}\"")));
        let check = house.run(&["check"]);
        let shown = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(check.status.code() == Some(1) && shown.contains(told), "{shown}");
    }
}
