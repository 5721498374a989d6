//! Attendees that know better than the folder: what stands beside a recording, in its sub-folder, or at its source.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::support::{
    house::{House, recording, until, until_told},
    paxs::{Call, Fault, Meeting},
};

/// A sidecar that names one person.
fn naming(name: &str) -> String {
    format!(
        "attendees = [{{ name = \"{name}\", email = \"{}@example.com\" }}]\n",
        name.to_lowercase()
    )
}

/// A house whose folder takes sidecars, with more keys of the folder.
fn house(folder_keys: &str) -> House {
    let house = House::new();
    house.configure(&format!("sidecars = true\n{folder_keys}"));
    // What goes on before that is not because of the next try.
    house.edit_config(|text| text.replace("delay_max = \"200ms\"", "delay_max = \"2h\""));
    house
}

/// Takes the folder's own attendees out.
fn without_attendees(house: &House) {
    house.edit_config(|text| {
        let (before, rest) = text.split_once("attendees = [\n").expect("attendees");
        let (_, after) = rest.split_once("]\n").expect("their end");
        format!("{before}{after}")
    });
}

fn write(house: &House, name: &str, text: &str) {
    let path = house.path(name);
    fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
    fs::write(path, text).expect("written");
}

/// The meeting of a recording at the service.
fn meeting(house: &House, name: &str) -> Meeting {
    let wanted = blake3::hash(&recording(name)).to_hex().to_string();
    let of =
        |meeting: &Meeting| meeting.recording.as_ref().is_some_and(|sent| sent.blake3 == wanted);
    house.standin.snapshot().meetings.into_iter().find(of).expect("a meeting")
}

fn emails(meeting: &Meeting) -> Vec<&str> {
    meeting.attendees.iter().map(|person| person.email.as_str()).collect()
}

fn notes(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("notes")
}

/// Waits until a recording waits for its sidecar, and returns what `why` says.
fn unclear(house: &House, name: &str) -> String {
    let what = || format!("{name} is unclear: {:?}; the log:\n{}", house.job_if(name), house.log());
    until_told(what, || {
        let job = house.job_if(name)?;
        (job["waits_for"] == "file" && job["error"].as_str()?.starts_with("it is not clear"))
            .then_some(())
    });
    house.why(name)
}

#[test]
fn what_a_sidecar_says_reaches_the_service_and_the_notes() {
    let house = house("instruction = \"List decisions.\"");
    let _daemon = house.start();
    let text =
        format!("title = \"Weekly\u{202e} sales\"\ndate = 2026-11-20T09:00:00Z\n{}", naming("Eve"));
    write(&house, "talk.mp3.toml", &text);
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "done");
    assert_eq!(
        (&job["title"], &job["attendees_from"]),
        (&"Weekly sales".into(), &"sidecar".into()),
        "{job}"
    );
    let meeting = meeting(&house, "talk.mp3");
    assert_eq!(
        (meeting.title.as_str(), emails(&meeting)),
        ("Weekly sales", vec!["eve@example.com"])
    );
    let notes = notes(&house, "talk.notes.md");
    let head: Vec<&str> = notes.lines().take(7).collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    ---
    title: "Weekly sales"
    date: 2026-11-20T09:00:00+00:00
    recording: talk.mp3
    folder: sales
    attendees: ["Eve <eve@example.com>"]
    attendees_from: sidecar
    "#);
    assert!(house.why("talk.mp3.toml").contains("it is the sidecar of `talk.mp3`"));
    assert!(house.path("talk.mp3.toml").exists(), "it stays where its recording stays");
}

#[test]
fn sidecars_are_off_where_the_folder_does_not_say_otherwise() {
    let house = House::new();
    let _daemon = house.start();
    write(&house, "sub/.minuted.toml", &naming("Mallory"));
    write(&house, "sub/talk.mp3.toml", "this is not even TOML");
    house.drop_recording("sub/talk.mp3");
    let job = house.wait_for("sub/talk.mp3", "done");
    assert_eq!(emails(&meeting(&house, "sub/talk.mp3")), ["ann@example.com", "bo@example.com"]);
    assert_eq!(job.get("attendees_from"), None);
    assert!(!notes(&house, "sub/talk.notes.md").contains("attendees_from"));
    let told = house.why("sub/talk.mp3.toml");
    assert!(told.contains("folder `sales` reads no sidecars without `sidecars = true`"), "{told}");
}

/// What a source knows of a recording, as it stands in the queue; no daemon may run.
fn known_by_source(house: &House, name: &str, details: &Value) {
    let queue =
        rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("a queue");
    let content = format!("b3-{}", &blake3::hash(&recording(name)).to_hex()[..32]);
    let sql = "INSERT INTO fetched (source, remote_id, state, ended_ms, details, folder, path, content, size, found_ms, updated_ms) \
               VALUES ('bots', ?1, 'placed', 0, ?2, 'sales', ?3, ?4, 1, 0, 0)";
    queue
        .execute(sql, rusqlite::params![name, details.to_string(), name.as_bytes(), content])
        .expect("written");
}

#[test]
fn the_order_is_folder_sub_folder_source_sidecar_key_by_key() {
    let house = house("");
    assert_eq!(house.start().stop().code(), Some(0));
    let person = json!([{ "name": "Sue", "email": "sue@example.com" }]);
    let of_source = json!({ "title": "From the source", "attendees": person });
    for name in ["a/b/source.mp3", "a/b/both.mp3", "named.mp3"] {
        known_by_source(&house, name, &of_source);
    }
    known_by_source(&house, "a/b/dated.mp3", &json!({ "date": "2026-11-19T10:00:00Z" }));
    write(&house, ".minuted.toml", &naming("Root"));
    write(&house, "a/.minuted.toml", &format!("title = \"Of a\"\n{}", naming("Outer")));
    write(&house, "a/b/.minuted.toml", "date = 2026-11-18T10:00:00Z\n");
    write(&house, "a/b/both.mp3.toml", &naming("Own"));
    write(&house, "a/b/nobody.mp3.toml", "date = 2026-11-20\n");
    let _daemon = house.start();
    let rows = [
        ("plain.mp3", "plain", "ann@example.com bo@example.com", Value::Null, None),
        ("named.mp3", "From the source", "sue@example.com", "bots".into(), None),
        ("a/outer.mp3", "Of a", "outer@example.com", "sub-folder".into(), None),
        (
            "a/b/inner.mp3",
            "Of a",
            "outer@example.com",
            "sub-folder".into(),
            Some("2026-11-18T10:00:00Z"),
        ),
        (
            "a/b/dated.mp3",
            "Of a",
            "outer@example.com",
            "sub-folder".into(),
            Some("2026-11-19T10:00:00Z"),
        ),
        (
            "a/b/source.mp3",
            "From the source",
            "sue@example.com",
            "bots".into(),
            Some("2026-11-18T10:00:00Z"),
        ),
        (
            "a/b/both.mp3",
            "From the source",
            "own@example.com",
            "sidecar".into(),
            Some("2026-11-18T10:00:00Z"),
        ),
        ("a/b/nobody.mp3", "Of a", "outer@example.com", "sub-folder".into(), None),
    ];
    for (name, ..) in &rows {
        house.drop_recording(name);
    }
    for (name, title, people, from, date) in rows {
        let job = house.wait_for(name, "done");
        let meeting = meeting(&house, name);
        assert_eq!(
            (meeting.title.as_str(), emails(&meeting).join(" ").as_str()),
            (title, people),
            "{name}"
        );
        assert_eq!(job["attendees_from"], from, "{name}");
        let notes = notes(&house, job["notes"][0].as_str().expect("a path"));
        if let Some(date) = date {
            assert!(
                notes.contains(&format!("\ndate: {}\n", date.replace('Z', "+00:00"))),
                "{name}: {notes}"
            );
        }
    }
}

#[test]
fn a_sidecar_with_a_mistake_keeps_its_recording_alone_waiting_until_it_is_mended() {
    let house = house("deliver = [\"beside\", \"email\"]");
    let _daemon = house.start();
    write(&house, "talk.mp3.toml", "title = \"Talk\"\natendees = []\n");
    house.drop_recording("talk.mp3");
    house.drop_recording("other.mp3");
    let told = unclear(&house, "talk.mp3");
    assert!(
        told.contains(
            "talk.mp3.toml:2: unknown key `atendees` in a sidecar; did you mean `attendees`?"
        ),
        "{told}"
    );
    assert!(
        told.contains("minuted retry 1 tries it at once")
            || told.contains("minuted retry 2 tries it at once"),
        "{told}"
    );
    assert!(
        house
            .why("talk.mp3.toml")
            .contains("until it is mended its recordings wait: talk.mp3.toml:2:")
    );
    house.wait_for("other.mp3", "done");
    // Still broken, in another way: what is told is of now.
    write(&house, "talk.mp3.toml", "language = \"Hebrew\"\n");
    until("the new mistake is told", || {
        house.why("talk.mp3").contains("`Hebrew` is not a language").then_some(())
    });
    assert_eq!(house.standin.snapshot().count(Call::CreateSession), 1, "only the other one");
    write(&house, "talk.mp3.toml", &naming("Eve"));
    let job = house.wait_for("talk.mp3", "done");
    assert_eq!((&job["attempts"], &job["error"]), (&0.into(), &Value::Null), "{job}");
    assert_eq!(emails(&meeting(&house, "talk.mp3")), ["eve@example.com"]);
    let to_talk: Vec<_> =
        house.smtp.received().into_iter().filter(|mail| mail.to == ["eve@example.com"]).collect();
    assert_eq!((to_talk.len(), house.smtp.received().len()), (1, 3));
}

#[test]
fn a_scan_or_a_retry_looks_at_a_mended_sidecar_at_once() {
    for command in [&["scan"][..], &["retry", "1"]] {
        let house = house("");
        let _daemon = house.start();
        write(&house, "talk.mp3.toml", "[");
        house.drop_recording("talk.mp3");
        unclear(&house, "talk.mp3");
        fs::remove_file(house.path("talk.mp3.toml")).expect("removed");
        assert!(house.run(command).status.success());
        house.wait_for("talk.mp3", "done");
    }
}

/// A recording, what a hostile person puts beside it, and what `why` says of that.
type Hostile = (&'static str, fn(&Path), &'static str);

fn hostile() -> Vec<Hostile> {
    fn text(path: &Path, text: &str) {
        fs::write(path, text).expect("written");
    }
    vec![
        (
            "link.mp3",
            |path| symlink("/etc/hostname", path).expect("linked"),
            "a link, and links are never followed",
        ),
        (
            "dangling.mp3",
            |path| symlink("nowhere", path).expect("linked"),
            "a link, and links are never followed",
        ),
        (
            "fifo.mp3",
            |path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made"),
            "not a regular file",
        ),
        ("directory.mp3", |path| fs::create_dir(path).expect("made"), "not a regular file"),
        ("large.mp3", |path| text(path, &"#\n".repeat(5 << 20)), "larger than 64 KiB"),
        ("deep.mp3", |path| text(path, &format!("title = {}", "[".repeat(60_000))), "not TOML"),
        (
            "dotted.mp3",
            |path| text(path, &format!("{}a = 1", "a.".repeat(30_000))),
            "dotted.mp3.toml",
        ),
        ("bidi.mp3", |path| text(path, "title = \"\\u202e\\u2066\"\n"), "nothing that can be seen"),
        (
            "crowd.mp3",
            |path| {
                let one = |n: u32| format!("{{name=\"A\",email=\"a{n}@b.c\"}}");
                text(
                    path,
                    &format!(
                        "attendees=[{}]",
                        (0..1_000_000).map(one).collect::<Vec<_>>().join(",")
                    ),
                );
            },
            "larger than 64 KiB",
        ),
        (
            "many.mp3",
            |path| {
                let one = |n: u32| format!("{{name=\"A\",email=\"a{n}@b.c\"}}");
                text(
                    path,
                    &format!("attendees=[{}]", (0..1_000).map(one).collect::<Vec<_>>().join(",")),
                );
            },
            "1000 attendees; name at most 500",
        ),
        (
            "keys.mp3",
            |path| text(path, "email_to = [\"eve@evil.org\"]\npath = \"/\"\n"),
            "unknown key `email_to`",
        ),
        ("header.mp3", |path| text(path, "title = \"a\\r\\nBcc: eve@evil.org\"\n"), "a line end"),
        ("bytes.mp3", |path| fs::write(path, b"\xff\xfe\x00").expect("written"), "not UTF-8"),
    ]
}

#[test]
fn no_sidecar_of_a_hostile_hand_is_taken_or_holds_up_others() {
    let house = house("");
    let mut daemon = house.start();
    for (name, make, _) in hostile() {
        make(&house.path(&format!("{name}.toml")));
        house.drop_recording(name);
    }
    house.drop_recording("good.mp3");
    house.wait_for("good.mp3", "done");
    for (name, _, expected) in hostile() {
        let told = unclear(&house, name);
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains('\u{202e}') && told.len() < 5_000, "{name}: {told}");
    }
    assert_eq!(house.standin.snapshot().count(Call::CreateSession), 1);
    assert_eq!(daemon.ended(), None);
    for (name, ..) in hostile() {
        let path = house.path(&format!("{name}.toml"));
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
        .expect("removed");
    }
    assert!(house.run(&["scan"]).status.success());
    for (name, ..) in hostile() {
        house.wait_for(name, "done");
        assert_eq!(emails(&meeting(&house, name)), ["ann@example.com", "bo@example.com"]);
    }
}

#[test]
fn a_stranger_in_a_sidecar_gets_no_mail_and_the_delivery_says_why() {
    let house = house("deliver = [\"beside\", \"email\"]");
    let _daemon = house.start();
    let sidecar = "attendees = [\n  { name = \"Eve\", email = \"eve@example.com\" },\n  \
                   { name = \"Mallory\", email = \"mallory@evil.org\" },\n  \
                   { name = \"Near\", email = \"near@sub.example.com\" },\n]\n";
    write(&house, "talk.mp3.toml", sidecar);
    house.drop_recording("talk.mp3");
    until_told(
        || house.log(),
        || {
            let job = house.job_if("talk.mp3")?;
            let open =
                job["deliveries"].as_array()?.iter().any(|delivery| delivery["state"] == "due");
            (!open && job["notes"].as_array()?.len() == 1 && job["stage"].is_null()).then_some(())
        },
    );
    let received = house.smtp.received();
    assert!(
        received.iter().all(|mail| mail.to == ["eve@example.com"] || mail.to == ["it@example.com"]),
        "{received:?}"
    );
    assert_eq!(received.iter().filter(|mail| mail.to == ["eve@example.com"]).count(), 1);
    let job = house.job("talk.mp3");
    for stranger in ["mallory@evil.org", "near@sub.example.com"] {
        let deliveries = job["deliveries"].as_array().expect("a ledger");
        let delivery =
            deliveries.iter().find(|delivery| delivery["target"] == stranger).expect("a delivery");
        assert_eq!(delivery["state"], "withheld", "{delivery}");
        assert!(
            delivery["error"].as_str().is_some_and(|error| error.contains("allow")),
            "{delivery}"
        );
    }
}

#[test]
fn a_sidecar_goes_where_its_recording_goes() {
    let house = house("on_success = \"move\"");
    let daemon = house.start();
    write(&house, "done/talk.mp3", "another recording");
    write(&house, "done/talk.2.mp3.toml", "# of somebody else\n");
    write(&house, "talk.mp3.toml", &naming("Eve"));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let expected = [
        "done/talk.2.mp3",
        "done/talk.2.mp3.2.toml",
        "done/talk.2.mp3.toml",
        "done/talk.mp3",
        "done/talk.notes.md",
    ];
    assert_eq!(house.files(), expected);
    assert_eq!(notes(&house, "done/talk.2.mp3.2.toml"), naming("Eve"));
    daemon.kill();
}

#[test]
fn a_sidecar_is_deleted_with_its_recording_unless_it_is_another_one_now() {
    for (change, left) in [
        (None, &["talk.notes.md"][..]),
        (Some(naming("Next")), &["talk.mp3.toml", "talk.notes.md"]),
    ] {
        let house = house("on_success = \"delete\"");
        let _daemon = house.start();
        house.standin.stall_analysis(true);
        write(&house, "talk.mp3.toml", &naming("Eve"));
        house.drop_recording("talk.mp3");
        until("it is uploaded", || {
            (house.standin.snapshot().count(Call::Upload) == 1).then_some(())
        });
        change.inspect(|text| write(&house, "talk.mp3.toml", text));
        house.standin.stall_analysis(false);
        house.wait_for("talk.mp3", "done");
        assert_eq!(house.files(), left);
        assert!(notes(&house, "talk.notes.md").contains("eve@example.com"));
    }
}

#[test]
fn a_death_while_the_recording_moves_leaves_one_of_both() {
    for (point, is_between) in
        [("Dispose:Before:1", false), ("Dispose:Before:1", true), ("Dispose:After:1", false)]
    {
        let house = house("on_success = \"move\"");
        write(&house, "talk.mp3.toml", &naming("Eve"));
        house.drop_recording("talk.mp3");
        let mut dying = house.spawn(&[("MINUTED_DIE", point)]);
        until_told(|| house.log(), || dying.was_killed().then_some(()));
        if is_between {
            // As a death would leave it after the first of the two moves.
            fs::create_dir_all(house.path("done")).expect("made");
            fs::rename(house.path("talk.mp3"), house.path("done/talk.mp3")).expect("moved");
        }
        let _daemon = house.start();
        house.wait_for("talk.mp3", "done");
        assert_eq!(
            house.files(),
            ["done/talk.mp3", "done/talk.mp3.toml", "done/talk.notes.md"],
            "{point}"
        );
    }
}

#[test]
fn a_sidecar_that_changes_around_a_death_does_not_change_what_was_begun() {
    for (point, expected) in [
        ("IntendCreate:Before:1", "next@example.com"),
        ("IntendCreate:After:1", "eve@example.com"),
        ("CallCreate:Before:1", "eve@example.com"),
        ("CallCreate:After:1", "eve@example.com"),
        ("Created:Before:1", "eve@example.com"),
        ("Created:After:1", "eve@example.com"),
    ] {
        let house = house("");
        write(&house, "talk.mp3.toml", &format!("title = \"Begun\"\n{}", naming("Eve")));
        house.drop_recording("talk.mp3");
        let mut dying = house.spawn(&[("MINUTED_DIE", point)]);
        until_told(|| house.log(), || dying.was_killed().then_some(()));
        write(&house, "talk.mp3.toml", &format!("title = \"Begun\"\n{}", naming("Next")));
        let _daemon = house.start();
        house.wait_for("talk.mp3", "done");
        assert_eq!(house.standin.snapshot().meetings.len(), 1, "{point}");
        assert_eq!(emails(&meeting(&house, "talk.mp3")), [expected], "{point}");
        assert!(notes(&house, "talk.notes.md").contains(expected), "{point}");
    }
}

#[test]
fn a_folder_without_attendees_waits_until_somebody_is_named() {
    let house = house("");
    without_attendees(&house);
    let _daemon = house.start();
    house.drop_recording("sub/talk.mp3");
    let told = unclear(&house, "sub/talk.mp3");
    let expected = "no attendees are named, and service `paxs` needs them; write attendees = [{ name = \"Ann Lee\", \
                    email = \"ann@example.com\" }] into `sub/talk.mp3.toml`";
    assert!(told.contains(expected), "{told}");
    write(&house, "sub/.minuted.toml", &naming("Eve"));
    house.wait_for("sub/talk.mp3", "done");
    assert_eq!(emails(&meeting(&house, "sub/talk.mp3")), ["eve@example.com"]);
}

#[test]
fn what_the_service_refuses_of_a_sidecar_holds_up_no_other_recording() {
    let house = house("");
    let _daemon = house.start();
    house.standin.fail_matching(Call::CreateSession, "Refused", Fault::Status(422), None);
    write(&house, "talk.mp3.toml", &format!("title = \"Refused\"\n{}", naming("Eve")));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "failed");
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
    assert_eq!(house.job("talk.mp3")["attempts"], 3);
}

#[test]
fn a_run_of_once_ends_although_a_sidecar_has_a_mistake() {
    let house = house("");
    write(&house, "talk.mp3.toml", "[");
    house.drop_recording("talk.mp3");
    house.drop_recording("other.mp3");
    let output = house.run(&["run", "--once"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("1 recording held until a person acts"), "{told}");
    assert_eq!(house.state("other.mp3").as_deref(), Some("done"));
}
