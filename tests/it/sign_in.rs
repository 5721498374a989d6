//! The sign-in: asked for once, kept through rotation, crashes and lost answers, bound to its origin, for its owner alone.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use url::Url;

use crate::support::{
    budget::budget,
    house::{House, until},
    paxs::{Call, Fault, Options, Standin},
};

/// A house whose recordings take no time and whose access tokens live for so long.
fn house_with_tokens_of(access_ttl: Duration) -> House {
    House::with(Options {
        auto_approve: true,
        access_ttl,
        transcription_time: Duration::from_millis(80),
        note_time: Duration::from_millis(40),
        ..Options::default()
    })
}

fn sign_out(house: &House) {
    assert!(house.run(&["logout"]).status.success());
}

#[test]
fn without_a_sign_in_jobs_wait_and_a_login_heals_the_running_daemon() {
    let house = House::new();
    sign_out(&house);
    let _daemon = house.start();
    let names = ["a.mp3", "b.mp3", "c.mp3"];
    for name in names {
        house.drop_recording(name);
    }
    let service = house.wait_for_service("signed_out");
    assert!(
        service["detail"].as_str().is_some_and(|detail| detail.contains("minuted login paxs")),
        "{service:#}"
    );
    for name in names {
        house.wait_until_waits(name, "sign_in");
    }
    house.assert_reported_once("minuted login");
    house.sign_in();
    for name in names {
        assert_eq!(house.wait_for(name, "done")["attempts"], 0);
    }
    house.assert_reported_once("minuted login");
    assert_eq!(house.service()["state"], "up");
}

#[test]
fn tokens_that_rotate_under_eight_uploads_never_end_their_family() {
    let house = house_with_tokens_of(Duration::from_secs(2));
    house.configure_fast("", "", 8);
    let _daemon = house.start();
    house.standin.fail_always(Call::Upload, Fault::Slow { bytes_per_second: 2000 });
    for number in 0..24 {
        house.drop_recording(&format!("r{number}.mp3"));
    }
    let jobs = house.wait_for_all(24, "done");
    assert!(jobs.iter().all(|job| job["attempts"] == 0));
    let snapshot = house.standin.snapshot();
    assert_eq!(snapshot.families_revoked, 0);
    assert!(snapshot.refreshes >= 1 && snapshot.uploads_at_once_max > 1, "{snapshot:?}");
}

#[test]
fn sixteen_uploads_share_one_refresh_at_a_time_however_slow_it_is() {
    let house = house_with_tokens_of(Duration::from_secs(2));
    house.configure_fast("", "", 16);
    // Something over a second: more than half of a token's life is gone when it arrives.
    house.standin.fail_always(Call::Token, Fault::Slow { bytes_per_second: 300 });
    house.standin.fail_always(Call::Upload, Fault::Slow { bytes_per_second: 1000 });
    let _daemon = house.start();
    let recordings = 48;
    for number in 0..recordings {
        house.drop_recording(&format!("r{number}.mp3"));
    }
    let jobs = house.wait_for_all(recordings, "done");
    assert!(jobs.iter().all(|job| job["attempts"] == 0));
    let snapshot = house.standin.snapshot();
    assert_eq!(snapshot.families_revoked, 0);
    assert!(snapshot.refreshes >= 2 && snapshot.uploads_at_once_max > 8, "{snapshot:?}");
    assert_eq!(snapshot.count(Call::Token), snapshot.refreshes, "every refresh was used");
    assert!(
        snapshot.meetings.len() == recordings
            && snapshot.meetings.iter().all(|meeting| meeting.uploads == 1)
    );
    assert_eq!(house.notices(""), 0);
}

#[test]
fn processes_that_want_a_refresh_at_the_same_moment_never_use_a_token_twice() {
    let house = House::new();
    house.standin.fail_always(Call::Token, Fault::Slow { bytes_per_second: 1000 });
    for round in 1..=budget(2) {
        // A token that the service has forgotten, though it looks good here: whoever asks first finds out.
        house.standin.expire_access_tokens();
        let commands = [&["whoami"][..], &["meetings"], &["whoami"], &["check"]];
        let commands = commands.map(|arguments| {
            house.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        });
        let daemon = house.spawn(&[]);
        house.drop_recording(&format!("r{round}.mp3"));
        for command in commands {
            // One that finds the state directory in use may say so; none may hang.
            command.expect("started").wait().expect("ended");
        }
        let daemon = house.start_anew(daemon);
        assert_eq!(house.wait_for(&format!("r{round}.mp3"), "done")["attempts"], 0);
        let snapshot = house.standin.snapshot();
        assert_eq!((snapshot.families_revoked, snapshot.refreshes), (0, u64::from(round)));
        daemon.stop();
    }
}

#[test]
fn a_401_in_the_middle_is_one_refresh_and_the_call_again() {
    let house = House::new();
    house.configure_fast("", "", 4);
    let _daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.expire_access_tokens();
    let names = ["a.mp3", "b.mp3", "c.mp3", "d.mp3"];
    for name in names {
        house.drop_recording(name);
    }
    for name in names {
        assert_eq!(house.wait_for(name, "done")["attempts"], 0);
    }
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.refreshes, snapshot.families_revoked, snapshot.meetings.len()), (1, 0, 5));
    assert_eq!(house.notices(""), 0);
}

#[test]
fn a_revoked_sign_in_holds_every_job_and_is_told_once_until_a_login() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("waiting.mp3");
    house.wait_until_waits("waiting.mp3", "analysis");
    house.standin.revoke_all();
    house.wait_for_service("signed_out");
    let names = ["a.mp3", "b.mp3"];
    for name in names {
        house.drop_recording(name);
    }
    for name in names {
        house.wait_until_waits(name, "sign_in");
    }
    let calls = house.standin.calls().len();
    house.drop_recording("c.mp3");
    house.wait_until_waits("c.mp3", "sign_in");
    assert_eq!(house.standin.calls().len(), calls, "a service that is signed out is left alone");
    house.assert_reported_once("minuted login");
    house.standin.stall_analysis(false);
    house.sign_in();
    for name in ["waiting.mp3", "a.mp3", "b.mp3", "c.mp3"] {
        assert_eq!(house.wait_for(name, "done")["attempts"], 0);
    }
    house.assert_reported_once("minuted login");
}

#[test]
fn a_lost_answer_to_a_refresh_ends_in_one_clear_word_and_a_login_heals() {
    for fault in [Fault::LoseAnswer, Fault::Truncated] {
        let house = House::new();
        let _daemon = house.start();
        house.standin.expire_access_tokens();
        house.standin.fail_next(Call::Token, fault);
        house.drop_recording("talk.mp3");
        // The service has taken the refresh token; what it gave for it is lost for ever.
        house.wait_for_service("signed_out");
        house.wait_until_waits("talk.mp3", "sign_in");
        house.assert_reported_once("minuted login");
        house.sign_in();
        assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    }
}

#[test]
fn a_refresh_that_never_reached_the_service_is_made_again() {
    for fault in [Fault::Status(503), Fault::ResetBefore, Fault::Html] {
        let house = House::new();
        let _daemon = house.start();
        house.standin.expire_access_tokens();
        house.standin.fail_next(Call::Token, fault.clone());
        house.drop_recording("talk.mp3");
        assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0, "{fault:?}");
        let snapshot = house.standin.snapshot();
        assert_eq!((snapshot.refreshes, snapshot.families_revoked), (1, 0));
        assert_eq!(house.notices("minuted login"), 0);
    }
}

#[test]
fn kill_9_around_the_saving_of_tokens_never_makes_a_loop() {
    for (point, survives) in [("SaveTokens:before", false), ("SaveTokens:after", true)] {
        let house = House::new();
        house.standin.expire_access_tokens();
        house.drop_recording("talk.mp3");
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        until("it dies there", || daemon.was_killed().then_some(()));
        let _daemon = house.start();
        if survives {
            assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
            assert_eq!(house.standin.snapshot().families_revoked, 0);
        } else {
            let service = house.wait_for_service("signed_out");
            assert!(
                service["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains("minuted login paxs"))
            );
            house.wait_until_waits("talk.mp3", "sign_in");
            let tried = house.standin.snapshot().count(Call::Token);
            house.sign_in();
            assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
            assert_eq!(
                house.standin.snapshot().count(Call::Token),
                tried + 1,
                "only the login asked for tokens"
            );
        }
    }
}

/// A `minuted login` under way, and the link it shows.
fn login(house: &House, arguments: &[&str]) -> (Child, Url) {
    let mut command = house.command(&[&["login"], arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut link = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut link).expect("a link");
    (child, Url::parse(link.trim()).expect("a link"))
}

fn parameter(link: &Url, name: &str) -> String {
    link.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .expect("it is there")
}

/// What a browser does: sends a GET and reads the whole answer.
fn visit(url: &Url) -> String {
    let mut stream =
        TcpStream::connect(("127.0.0.1", url.port().expect("a port"))).expect("connected");
    let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

fn location(answer: &str) -> Url {
    let line = answer
        .lines()
        .find(|line| line.to_lowercase().starts_with("location:"))
        .expect("a redirect");
    Url::parse(line["location:".len()..].trim()).expect("an address")
}

#[test]
fn the_callback_flow_signs_in_and_takes_no_other_state() {
    let house = House::new();
    sign_out(&house);
    let (child, link) = login(&house, &["--callback"]);
    let redirect = location(&visit(&link));
    assert_eq!(redirect.host_str(), Some("localhost"));
    let mut forged = redirect.clone();
    forged.query_pairs_mut().clear().append_pair("code", "x").append_pair("state", "forged");
    assert!(!visit(&forged).starts_with("HTTP/1.1 200"), "a forged state is refused");
    assert!(visit(&redirect).contains("You are signed in"));
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
}

#[test]
fn a_denied_login_says_so_and_changes_nothing() {
    let house = House::new();
    sign_out(&house);
    house.standin.change(|options| options.auto_approve = false);
    let (polled, link) = login(&house, &[]);
    house.standin.deny(&parameter(&link, "state"));
    let (called, link) = login(&house, &["--callback"]);
    house.standin.deny(&parameter(&link, "state"));
    assert!(visit(&location(&visit(&link))).contains("refused"));
    for child in [polled, called] {
        let output = child.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("refused"), "{said}");
    }
    assert_eq!(house.service()["state"], "signed_out");
}

#[test]
fn tokens_are_for_their_owner_alone_and_never_shown() {
    let house = House::new();
    let file = house.state_dir().join("tokens-paxs.json");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&house.state_dir())), (0o600, 0o700));
    let daemon = house.start();
    house.standin.expire_access_tokens();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert_eq!(mode(&file), 0o600, "also after a refresh");
    let tokens: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).expect("there")).expect("JSON");
    for token in [&tokens["pair"]["access_token"], &tokens["pair"]["refresh_token"]] {
        assert!(!house.log().contains(token.as_str().expect("a token")));
    }
    // A file that others may read is not used.
    drop(daemon);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("changed");
    let said = house.run(&["whoami"]);
    assert!(!said.status.success());
    assert!(String::from_utf8_lossy(&said.stderr).contains("chmod 600"));
}

#[test]
fn tokens_never_go_to_another_origin() {
    let house = House::new();
    let other =
        Standin::start(Options { auto_approve: true, ..Options::default() }).expect("a free port");
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    house.edit_config(|text| text.replace(&house.standin.base_url(), &other.base_url()));
    daemon.signal(Signal::HUP);
    house.wait_for_service("signed_out");
    house.drop_recording("next.mp3");
    house.wait_until_waits("next.mp3", "sign_in");
    assert_eq!(other.calls().len(), 0, "nothing went there without a sign-in");
    house.sign_in();
    house.wait_for("next.mp3", "done");
    assert_eq!(other.snapshot().meetings.len(), 1);
}
