//! A service that refuses, breaks or is slow: what counts, what waits, what is told, and that it heals.

use std::{fs, net::TcpListener, thread, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use minuted::testing::clock;
use rustix::process::Signal;

use crate::support::{
    budget::budget,
    house::{House, until},
    paxs::{Call, Fault},
    services::{Row, Street},
};

/// Every way in which a call goes wrong by the service's own fault.
fn troubles() -> Vec<Fault> {
    let in_a_second = rfc2822::to_string(
        &(clock::now() + Duration::from_secs(1)).to_zoned(jiff::tz::TimeZone::UTC),
    );
    let after = |status, value: &str| Fault::StatusWith {
        status,
        retry_after: Some(value.into()),
        body: "busy".into(),
    };
    let mut troubles = [408, 425, 429, 500, 502, 503, 504].map(Fault::Status).to_vec();
    troubles.extend([after(429, "1"), after(503, &in_a_second.expect("a date"))]);
    troubles.extend([
        Fault::Html,
        Fault::Empty,
        Fault::Truncated,
        Fault::Nested(100_000),
        Fault::Redirect("http://127.0.0.1:9/".into()),
        Fault::ResetBefore,
        Fault::ResetMidBody,
        Fault::EarlyStatus(503),
        Fault::Hang,
        Fault::LoseAnswer,
        Fault::HoldAnswer,
        Fault::Endless,
    ]);
    troubles
}

/// Lets each trouble meet one recording once at `call`; all must be done in the end, and nothing may have counted.
fn every_trouble_at(call: Call, folder_keys: &str) -> House {
    let (house, mut troubles) = (House::new(), troubles());
    // A server may take two minutes to answer an upload; the limits on that are proven beside the code, in small.
    troubles
        .retain(|fault| call != Call::Upload || !matches!(fault, Fault::Hang | Fault::HoldAnswer));
    house.configure_fast("", folder_keys, 4);
    house.edit_config(|text| {
        let text = text.replace(r#"request_timeout = "5s""#, r#"request_timeout = "2s""#);
        text.replace(r#"delay = "50ms""#, r#"delay = "20ms""#)
            .replace(r#"delay_max = "200ms""#, r#"delay_max = "50ms""#)
    });
    for (number, fault) in troubles.iter().enumerate() {
        house.drop_recording(&format!("f{number:02}.mp3"));
        house.standin.fail_matching(call, &format!("f{number:02}"), fault.clone(), Some(1));
    }
    let daemon = house.start();
    let jobs = house.wait_for_all(troubles.len(), "done");
    assert!(jobs.iter().all(|job| job["attempts"] == 0), "{jobs:#?}");
    for (number, fault) in troubles.iter().enumerate() {
        let events = house.events(&format!("f{number:02}.mp3"));
        assert!(!events.iter().any(|event| event == "failed"), "{fault:?}: {events:?}");
    }
    assert_eq!(
        house.standin.snapshot().meetings.len(),
        troubles.len(),
        "one recording, one meeting"
    );
    assert_eq!(house.wait_for_service("up")["detail"], serde_json::Value::Null);
    assert!(house.notices("does not work") >= 1 && house.notices("failed:") == 0);
    assert_eq!(house.notices("does not work"), house.logged("WARN", "does not work"));
    drop(daemon);
    house
}

#[test]
fn no_trouble_of_the_service_at_create_counts_or_makes_a_second_meeting() {
    let house = every_trouble_at(Call::CreateSession, "");
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 1));
}

#[test]
fn no_trouble_of_the_service_at_upload_counts_or_loses_a_recording() {
    let house = every_trouble_at(Call::Upload, "");
    // What arrived although its answer was lost is found, not sent again.
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 1));
}

#[test]
fn no_trouble_of_the_service_at_a_look_counts_or_uploads_again() {
    let house = every_trouble_at(Call::Analysis, "");
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 1));
}

#[test]
fn no_trouble_of_the_service_at_a_request_counts_or_asks_twice() {
    let keys = r#"analyses = ["transcription", "meeting note", "key_points"]"#;
    let house = every_trouble_at(Call::RequestAnalysis, keys);
    let snapshot = house.standin.snapshot();
    assert!(snapshot.meetings.iter().all(|meeting| meeting.uploads == 1));
    assert_eq!(snapshot.requested.len(), snapshot.meetings.len(), "each was asked for once");
}

#[test]
fn a_service_that_is_down_is_told_once_probed_one_at_a_time_and_heals() {
    let house = House::new();
    house.configure_fast("", "", 3);
    let daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    for number in 0..30 {
        house.drop_recording(&format!("r{number}.mp3"));
    }
    house.wait_for_service("down");
    until("all are taken in, several probes", || {
        let taken = house.jobs().len() == 31;
        (taken && house.standin.snapshot().count(Call::CreateSession) > 8).then_some(())
    });
    let waiting = house.json(&["jobs", "--state", "waiting"]);
    assert!(
        waiting
            .as_array()
            .expect("a list")
            .iter()
            .all(|job| job["waits_for"] == "service" && job["attempts"] == 0)
    );
    let refused = house
        .standin
        .calls()
        .iter()
        .filter(|call| call.call == Call::CreateSession && call.faulted)
        .count();
    let cheap = house.standin.snapshot().count(Call::Profile);
    assert!(
        cheap + 3 >= refused as u64,
        "only what was under way came without a cheap read: {cheap} for {refused}"
    );
    house.assert_reported_once("does not work");
    // Down altogether: not even the dear call is made any more.
    house.standin.down(true);
    until("a cheap read fails", || house.log().contains("is still down").then_some(()));
    let before = house.standin.snapshot().count(Call::CreateSession);
    until("several cheap reads fail", || (house.logged("", "is still down") > 3).then_some(()));
    assert!(house.standin.snapshot().count(Call::CreateSession) <= before + 1);
    house.standin.clear_faults();
    house.standin.down(false);
    house.wait_for_all(31, "done");
    let snapshot = house.standin.snapshot();
    assert!(snapshot.uploads_at_once_max <= 3, "{}", snapshot.uploads_at_once_max);
    assert!(
        snapshot.meetings.len() == 31
            && snapshot.meetings.iter().all(|meeting| meeting.uploads == 1)
    );
    house.assert_notices("does not work", 1);
    house.assert_logged("", "works again", 1);
    assert_eq!(house.service()["state"], "up");
    drop(daemon);
}

#[test]
fn refused_connections_wait_and_heal_before_the_meeting_and_during_the_analysis() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let _daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.refuse_connections(true);
    house.drop_recording("talk.mp3");
    house.wait_for_service("down");
    house.wait_until_waits("talk.mp3", "service");
    house.standin.stall_analysis(true);
    house.standin.refuse_connections(false);
    house.wait_until_waits("talk.mp3", "analysis");
    house.wait_for_service("up");
    house.standin.refuse_connections(true);
    house.wait_for_service("down");
    house.standin.stall_analysis(false);
    house.standin.refuse_connections(false);
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    assert_eq!(house.standin.snapshot().meetings[1].uploads, 1);
}

#[test]
fn retry_after_is_obeyed_in_seconds_and_as_a_date() {
    let house = House::new();
    let date = (clock::now() + Duration::from_secs(1800)).to_zoned(jiff::tz::TimeZone::UTC);
    let values = ["1800".to_owned(), rfc2822::to_string(&date).expect("a date")];
    for (call, value) in [Call::Upload, Call::CreateSession].into_iter().zip(values) {
        let later =
            Fault::StatusWith { status: 429, retry_after: Some(value), body: "later".to_owned() };
        house.standin.fail_next(call, later);
        // A daemon for each: what one was asked for holds the next recording too.
        let _daemon = house.start();
        let name = format!("{call:?}.mp3");
        house.drop_recording(&name);
        let job = house.wait_until_waits(&name, "service");
        let time = |field: &str| {
            job[field].as_str().expect("a time").parse::<Timestamp>().expect("a time")
        };
        assert!(time("due").duration_since(time("created")).as_secs() > 1700, "{job:#}");
        assert_eq!(job["attempts"], 0);
        house.run(&["cancel", house.path(&name).to_str().expect("UTF-8")]);
    }
}

#[test]
fn a_recording_that_always_breaks_the_upload_fails_by_itself_and_holds_no_other() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let _daemon = house.start();
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(500), None);
    house.drop_recording("bad.mp3");
    house.wait_for_service("down");
    let mut good = 0;
    while house.state("bad.mp3").as_deref() != Some("failed") {
        let name = format!("good{good}.mp3");
        house.drop_recording(&name);
        assert_eq!(house.wait_for(&name, "done")["attempts"], 0);
        good += 1;
        assert!(good < 40, "the bad recording never failed; the log:\n{}", house.log());
    }
    assert_eq!(house.job("bad.mp3")["attempts"], 3);
    assert_eq!(
        house.events("bad.mp3").iter().filter(|event| event.starts_with("failed")).count(),
        3
    );
    house.wait_for_service("up");
    until("the failure is told beside it", || house.path("bad.failed.txt").exists().then_some(()));
}

#[test]
fn a_refused_meeting_holds_its_folder_alone_until_a_reload() {
    let house = House::new();
    let ops = house.dir.path().join("ops");
    fs::create_dir(&ops).expect("made");
    let folder = format!(
        "[[folder]]\nname = \"ops\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         attendees = [{{ name = \"Bo Chen\", email = \"bo@example.com\" }}]\n",
        ops.display()
    );
    house.configure_all("", "", &folder);
    let daemon = house.start();
    for (round, status) in [400, 404, 405, 422].into_iter().enumerate() {
        house.standin.fail_matching(Call::CreateSession, "sales", Fault::Status(status), None);
        let (first, second) = (format!("sales-{status}a.mp3"), format!("sales-{status}b.mp3"));
        house.drop_recording(&first);
        house.wait_until_waits(&first, "folder");
        house.drop_recording(&second);
        house.wait_until_waits(&second, "folder");
        let holds = house.status()["holds"].clone();
        assert_eq!(
            (&holds[0]["reason"], &holds[0]["name"]),
            (&"refused".into(), &"sales".into()),
            "{holds:#}"
        );
        house.assert_notices("refuses meetings of folder", round + 1);
        let ops_name = format!("ops-{status}.mp3");
        fs::write(ops.join(&ops_name), crate::support::house::recording(&ops_name))
            .expect("written");
        until("the other folder goes on", || {
            ops.join(format!("ops-{status}.notes.md")).exists().then_some(())
        });
        house.standin.clear_faults();
        daemon.signal(Signal::HUP);
        for name in [first, second] {
            assert_eq!(house.wait_for(&name, "done")["attempts"], 0);
        }
        assert_eq!(house.status()["holds"], serde_json::json!([]));
    }
    assert_eq!(house.notices("failed:"), 0);
}

#[test]
fn a_refused_upload_is_the_recordings_own_and_fails_after_three() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let daemon = house.start();
    let faults = [
        Fault::Status(400),
        Fault::Status(413),
        Fault::EarlyStatus(413),
        Fault::Status(415),
        Fault::Status(422),
    ];
    for (number, fault) in faults.iter().enumerate() {
        house.standin.fail_matching(Call::Upload, &format!("r{number}"), fault.clone(), None);
        house.drop_recording(&format!("r{number}.mp3"));
    }
    let jobs = house.wait_for_all(faults.len(), "failed");
    for (number, job) in jobs.iter().enumerate() {
        assert_eq!(job["attempts"], 3, "{job:#}");
        let said = until("it is said beside", || {
            fs::read_to_string(house.path(&format!("r{number}.failed.txt"))).ok()
        });
        assert!(
            said.contains("minuted") && !house.path(&format!("r{number}.notes.md")).exists(),
            "{said}"
        );
    }
    assert_eq!(house.standin.snapshot().count(Call::Upload), 3 * faults.len() as u64);
    house.assert_notices("failed:", faults.len());
    assert_eq!(house.notices("does not work"), 0);
    // The digest goes out at the latest with the next start, and once.
    assert_eq!(daemon.stop().code(), Some(0));
    let daemon = house.start();
    until("the operator is told", || (!house.smtp.received().is_empty()).then_some(()));
    assert_eq!(daemon.stop().code(), Some(0));
    let _daemon = house.start();
    house.drop_recording("fine.mp3");
    house.wait_for("fine.mp3", "done");
    assert_eq!(
        (house.smtp.received().len(), &house.smtp.received()[0].to),
        (1, &vec!["it@example.com".to_owned()])
    );
}

#[test]
fn a_forbidden_call_is_the_recordings_own_where_a_cheap_read_is_allowed() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_matching(Call::Upload, "secret", Fault::Status(403), None);
    house.drop_recording("secret.mp3");
    house.drop_recording("fine.mp3");
    assert_eq!(house.wait_for("secret.mp3", "failed")["attempts"], 3);
    assert_eq!(house.wait_for("fine.mp3", "done")["attempts"], 0);
    assert_eq!(house.service()["state"], "up");
}

#[test]
fn an_account_that_may_nothing_waits_for_a_person_and_is_told_once() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("first.mp3");
    house.wait_for("first.mp3", "done");
    house.standin.fail_always(Call::CreateSession, Fault::Status(403));
    house.standin.fail_always(Call::Profile, Fault::Status(403));
    let names = ["a.mp3", "b.mp3", "c.mp3"];
    for name in names {
        house.drop_recording(name);
    }
    let service = house.wait_for_service("forbidden");
    assert!(
        service["detail"].as_str().is_some_and(|detail| detail.contains("rights")),
        "{service:#}"
    );
    for name in names {
        assert_eq!(house.wait_until_waits(name, "service")["attempts"], 0);
    }
    house.assert_reported_once("waits for a person");
    house.standin.clear_faults();
    house.sign_in();
    for name in names {
        assert_eq!(house.wait_for(name, "done")["attempts"], 0);
    }
}

#[test]
fn a_meeting_that_vanished_is_made_anew() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("looked.mp3");
    let before = house.wait_until_waits("looked.mp3", "analysis");
    assert!(house.standin.vanish(before["meeting_id"].as_str().expect("an id")));
    house.standin.fail_always(Call::Upload, Fault::Status(503));
    house.drop_recording("sent.mp3");
    let meeting = |name: &str| house.job(name)["meeting_id"].as_str().map(str::to_owned);
    until("it has a meeting and no recording", || {
        house.state("sent.mp3")?;
        meeting("sent.mp3").filter(|id| house.standin.vanish(id))
    });
    house.standin.clear_faults();
    house.standin.stall_analysis(false);
    for name in ["looked.mp3", "sent.mp3"] {
        assert_eq!(house.wait_for(name, "done")["attempts"], 1);
        assert_eq!(
            house.events(name).iter().filter(|event| *event == "created the meeting").count(),
            2
        );
    }
    assert_ne!(meeting("looked.mp3").as_deref(), before["meeting_id"].as_str());
    assert_eq!(house.standin.snapshot().meetings.len(), 2);
}

#[test]
fn a_service_that_stays_at_processing_is_slow_and_not_broken() {
    let house = House::new();
    house.configure_poll(r#"timeout = "200ms""#);
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("talk.mp3");
    let status = until("it is slow", || Some(house.status()).filter(|status| status["slow"] == 1));
    assert_eq!(
        (&status["services"][0]["state"], &status["waiting_for_analysis"]),
        (&"up".into(), &1.into())
    );
    assert!(String::from_utf8_lossy(&house.run(&["status"]).stdout).contains("longer than usual"));
    house.standin.stall_analysis(false);
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    assert_eq!(house.standin.snapshot().count(Call::Upload), 1);
    assert_eq!(house.notices(""), 0);
}

#[test]
fn at_the_end_of_patience_an_attempt_is_spent_on_the_same_meeting() {
    for more in
        [r#"timeout = "200ms", patience = "0s""#, r#"timeout = "100ms", patience = "300ms""#]
    {
        let house = House::new();
        house.configure_poll(more);
        let _daemon = house.start();
        house.standin.stall_analysis(true);
        house.drop_recording("talk.mp3");
        let job = house.wait_for("talk.mp3", "failed");
        assert_eq!(job["attempts"], 3);
        assert!(job["error"].as_str().is_some_and(|error| error.contains("in time")), "{job:#}");
        let meetings = house.standin.snapshot().meetings;
        assert_eq!((meetings.len(), meetings[0].uploads), (1, 3));
    }
}

#[test]
fn the_pace_of_requests_is_kept() {
    let house = House::new();
    house.configure_all("", "", "[workers]\nuploads = 8\nrequests_per_second = 20\n");
    house.standin.stall_analysis(true);
    let _daemon = house.start();
    for number in 0..8 {
        house.drop_recording(&format!("r{number}.mp3"));
    }
    // Eight recordings want 160 looks a second.
    let enough = || house.standin.snapshot().count(Call::Analysis) > 40;
    until("many looks", || enough().then_some(()));
    let calls = house.standin.calls();
    let calls: Vec<_> = calls.iter().skip_while(|call| call.call != Call::CreateSession).collect();
    let span = calls[calls.len() - 1].at.duration_since(calls[0].at).as_millis();
    let allowed = 20 * span / 1000 + 5;
    assert!(calls.len() as i128 <= allowed, "{} calls where {allowed} are allowed", calls.len());
}

/// What a fault that lasts comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// The service is down: nothing counts, it is told once, and told once that it works again.
    Down,
    /// The recording's own: counts, three times, and then it has failed; told once.
    Own,
    /// The folder waits: nothing counts, told once.
    Folder,
    /// The service waits for a person: nothing counts, told once. It may have looked as if it were down before.
    Person,
    /// To nothing.
    Nothing,
}

/// Every fault there is, with whether the work is done all the same; a redirection points to `trap`.
fn every_fault(trap: &str) -> Vec<(Fault, bool)> {
    let after = |status, value: &str| Fault::StatusWith {
        status,
        retry_after: Some(value.into()),
        body: "busy".into(),
    };
    let date = rfc2822::to_string(
        &(clock::now() + Duration::from_secs(1)).to_zoned(jiff::tz::TimeZone::UTC),
    );
    let statuses = [
        400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 425, 429, 500, 501, 502, 503, 504,
        520,
    ];
    let mut before: Vec<_> = statuses.map(Fault::Status).into();
    before.extend([after(429, "1"), after(503, &date.expect("a date")), after(429, "soon")]);
    before.extend(
        [301, 302, 303, 308].map(|status| Fault::Moved { status, to: format!("{trap}/there") }),
    );
    before.extend([
        Fault::Redirect(trap.to_owned()),
        Fault::Html,
        Fault::ResetBefore,
        Fault::ResetMidBody,
        Fault::EarlyStatus(503),
        Fault::Hang,
    ]);
    let after = [
        Fault::LoseAnswer,
        Fault::ResetAfter,
        Fault::HoldAnswer,
        Fault::LateStatus(502),
        Fault::Empty,
        Fault::Truncated,
        Fault::Nested(500_000),
        Fault::Endless,
        Fault::Drip,
    ];
    before
        .into_iter()
        .map(|fault| (fault, false))
        .chain(after.into_iter().map(|fault| (fault, true)))
        .collect()
}

/// The rule of DESIGN § 8 for one call.
fn comes(call: Call, fault: &Fault, done: bool) -> Comes {
    // The documents do not say what a request is answered: nothing at all is as good as anything.
    if *fault == Fault::Empty && call == Call::RequestAnalysis {
        return Comes::Nothing;
    }
    // A refresh token is spent once: what was given for it is lost.
    if call == Call::Token && done {
        return Comes::Person;
    }
    let Fault::Status(status) = *fault else { return Comes::Down };
    match (call, status) {
        (_, 408 | 425 | 429 | 500..) => Comes::Down,
        (Call::Token, _) | (_, 401) | (Call::Profile, 403) => Comes::Person,
        // It answers: the probe goes through.
        (Call::Profile, _) => Comes::Down,
        (Call::CreateSession, 400 | 404 | 405 | 422) => Comes::Folder,
        (Call::ListSessions, status) if status != 403 => Comes::Down,
        (_, _) => Comes::Own,
    }
}

/// What must go wrong first so that this call is made at all.
fn lead_to(row: &Row, call: Call) {
    match call {
        Call::ListSessions => row.standin.fail_next(Call::CreateSession, Fault::LoseAnswer),
        Call::GetSession => row.standin.fail_next(Call::Upload, Fault::LoseAnswer),
        Call::Profile => row.standin.fail_next(Call::CreateSession, Fault::Status(503)),
        Call::Token => row.standin.expire_access_tokens(),
        Call::CreateSession | Call::Upload | Call::Analysis | Call::RequestAnalysis => {}
        Call::Authorize | Call::Poll | Call::Unknown => panic!("no part of a recording's way"),
    }
}

fn is_known(call: Call, fault: &Fault) -> bool {
    match call {
        // A server may take two minutes to answer an upload; the limits on that are proven beside the code, in small.
        Call::Upload => !matches!(fault, Fault::Hang | Fault::HoldAnswer),
        // A meeting that vanished is made anew: proven below.
        Call::GetSession => !matches!(fault, Fault::Status(404) | Fault::ResetMidBody),
        // Nothing can break in the middle of a body that is not there.
        Call::ListSessions | Call::Profile | Call::Analysis => *fault != Fault::ResetMidBody,
        Call::CreateSession | Call::RequestAnalysis | Call::Token => true,
        Call::Authorize | Call::Poll | Call::Unknown => false,
    }
}

/// Lets every fault last at `call`, each at a service of its own, until it has come to what it must come to; then all
/// heal.
fn every_fault_at(call: Call, trap: &str) {
    // A quarter by default, another one for each call, so that every fault is met; the whole table with a budget of 4.
    let share = (budget(1) < 4).then_some(call as usize % 4);
    let table = every_fault(trap).into_iter().enumerate();
    let table = table
        .filter(|(number, _)| share.is_none_or(|share| number % 4 == share))
        .map(|(_, row)| row);
    let table: Vec<_> = table.filter(|(fault, _)| is_known(call, fault)).collect();
    let keys = if call == Call::RequestAnalysis {
        r#"analyses = ["transcription", "meeting note", "key_points"]"#
    } else {
        ""
    };
    let street = Street::of(table.len(), keys);
    let expected: Vec<_> = table.iter().map(|(fault, done)| comes(call, fault, *done)).collect();
    for (row, (fault, done)) in street.rows.iter().zip(&table) {
        lead_to(row, call);
        // A refresh whose answer is lost again and again never hears that its token is spent.
        if comes(call, fault, *done) == Comes::Person && *done {
            row.standin.fail_next(call, fault.clone());
        } else {
            row.plant(call, fault);
        }
        street.drop_into(row);
    }
    street.until_all(
        &format!("{call:?}: each fault comes to what it must"),
        |number, row, job, service| {
            let again = row.faulted(call) >= 2 || job["state"] == "done";
            match expected[number] {
                Comes::Down => {
                    again
                        && street.house.notices(&format!("service `{}` does not work", row.name))
                            > 0
                }
                Comes::Own => job["state"] == "failed",
                Comes::Folder => job["waits_for"] == "folder",
                Comes::Person => {
                    matches!(service["state"].as_str(), Some("signed_out" | "forbidden"))
                }
                Comes::Nothing => job["state"] == "done",
            }
        },
    );
    for (row, expected) in street.rows.iter().zip(&expected) {
        row.standin.clear_faults();
        if *expected == Comes::Person {
            let login = street.house.run(&["login", &row.name]);
            assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
        }
    }
    street.daemon.as_ref().expect("it runs").signal(Signal::HUP);
    street.until_all(&format!("{call:?}: all heal"), |number, _, job, service| {
        job["state"] == if expected[number] == Comes::Own { "failed" } else { "done" }
            && service["state"] == "up"
    });
    for ((row, (fault, _)), expected) in street.rows.iter().zip(&table).zip(&expected) {
        assert_row(&street, row, &format!("{call:?} {fault:?}"), *expected);
    }
}

/// What counted, and what a person was told, each once.
fn assert_row(street: &Street, row: &Row, what: &str, expected: Comes) {
    let (house, name) = (&street.house, &row.name);
    let (down, person) =
        (format!("service `{name}` does not work"), format!("service `{name}` waits for a person"));
    let folder = format!("the service refuses meetings of folder `{name}`");
    let attempts = if expected == Comes::Own { 3 } else { 0 };
    let job = street.job(row);
    assert_eq!(job["attempts"], attempts, "{what}: {job:#}");
    house.assert_notices(&format!("{name}.mp3 failed:"), attempts / 3);
    house.assert_reported(&person, usize::from(expected == Comes::Person));
    house.assert_reported(&folder, usize::from(expected == Comes::Folder));
    match expected {
        Comes::Down => {
            house.assert_reported(&down, 1);
            house.assert_logged("INFO", &format!("service `{name}` works again"), 1);
        }
        // A service that is lost on the way to its sign-in may look down first, once.
        Comes::Person | Comes::Own => house.assert_reported(&down, house.notices(&down).min(1)),
        Comes::Folder | Comes::Nothing => house.assert_reported(&down, 0),
    }
    if expected != Comes::Own {
        let meetings = row.standin.snapshot().meetings;
        assert_eq!(
            (meetings.len(), meetings[0].uploads),
            (1, 1),
            "{what}: one recording, one meeting, one upload"
        );
    }
}

#[test]
fn every_fault_at_every_call_counts_waits_and_is_told_as_it_must() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    trap.set_nonblocking(true).expect("set");
    let place = format!("http://{}", trap.local_addr().expect("bound"));
    let calls = [
        Call::CreateSession,
        Call::ListSessions,
        Call::GetSession,
        Call::Upload,
        Call::Analysis,
        Call::RequestAnalysis,
        Call::Token,
        Call::Profile,
    ];
    thread::scope(|scope| {
        for call in calls {
            let place = &place;
            scope.spawn(move || every_fault_at(call, place));
        }
    });
    assert!(trap.accept().is_err(), "a redirection was followed");
}

#[test]
fn a_name_that_no_server_has_any_more_waits_and_is_told_once() {
    let house = House::new();
    house.edit_config(|text| text.replace(&house.standin.base_url(), "https://minuted.invalid"));
    house.plant_tokens("paxs", "https://minuted.invalid", ["a", "r"], Duration::from_secs(3600));
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    let service = house.wait_for_service("down");
    let detail = service["detail"].as_str().expect("a reason");
    assert!(detail.contains("`https://minuted.invalid`"), "{service:#}");
    assert_eq!(house.wait_until_waits("talk.mp3", "service")["attempts"], 0);
    until("several tries", || (house.logged("", "cannot be read yet") >= 3).then_some(()));
    house.assert_reported_once("does not work");
    // The name is there again, as the same server: nothing was lost.
    daemon.stop();
    house.edit_config(|text| text.replace("https://minuted.invalid", &house.standin.base_url()));
    let _daemon = house.start();
    house.sign_in();
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
}
