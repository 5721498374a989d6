//! A drop folder is hostile input: names, links, texts and answers reach nothing they should not.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{House, recording, until},
    paxs::{Call, Fault},
};

/// Names that mean harm to a terminal, a shell, a page, a header, or whoever takes names for text.
fn names() -> Vec<OsString> {
    let long = "ü".repeat(125) + "x.mp3";
    let names: [&[u8]; 27] = [
        b"new\nline.mp3",
        b"\x1b[31mred\x1b]0;title\x07\x1b]52;c;Zm9v\x07.mp3",
        b"quotes\"'`.mp3",
        b"<script src=x>.mp3",
        b"<img src=x onerror=alert(1)>.mp3",
        b"$(reboot) `reboot` ; reboot.mp3",
        b"a\r\nBcc: eve@example.com\r\n\r\nb.mp3",
        "abc\u{202e}3pm.exe.mp3".as_bytes(),
        "c1\u{9b}31m\u{85}zero\u{200b}width\u{feff}.mp3".as_bytes(),
        long.as_bytes(),
        b"\xff\xfe not utf-8 \xc3.mp3",
        b"--help.mp3",
        b"title: x\n---\nminuted: b3-0.sales.1.mp3",
        b" .mp3",
        b"-rf.mp3",
        b"--config=x.mp3",
        b"{stem}{{title}}{% raw %}.mp3",
        b"%s%n.mp3",
        b"a\\..\\..\\x.mp3",
        b"C:evil.mp3",
        b"C?evil.mp3",
        b"trailing. .mp3",
        b"talk.notes.md.mp3",
        b"talk.failed.txt.mp3",
        b"isolates\xe2\x81\xa6\xe2\x81\xa9 tag\xe2\x81\xae.mp3",
        "\u{80}\u{90}\u{9c}\u{9d}0;x\u{9c}.mp3".as_bytes(),
        b"minuted:b3-00000000000000000000000000000000.sales.1.mp3",
    ];
    names.map(|name| OsString::from_vec(name.to_vec())).into()
}

/// Fails when a terminal would obey anything in it.
pub(crate) fn assert_clean(what: &str, bytes: &[u8]) {
    let text =
        std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what} is not UTF-8: {error}"));
    let obeyed = |character: &char| {
        (character.is_control() && *character != '\n')
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let found = text.chars().find(obeyed);
    assert!(
        found.is_none(),
        "{what} holds {:?}: {}",
        found.unwrap_or_default(),
        text.escape_debug()
    );
}

fn drop_all(house: &House) -> Vec<OsString> {
    let names = names();
    for (n, name) in names.iter().enumerate() {
        fs::write(house.folder().join(name), recording(&format!("{n}.mp3"))).expect("written");
    }
    names
}

/// What a lenient viewer makes of notes: raw HTML is let through.
pub(crate) fn rendered(notes: &str) -> String {
    let body = notes.split_once("\n---\n").expect("front matter").1;
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(body));
    html
}

/// Fails when a page would run, fetch or link to anything.
pub(crate) fn assert_harmless(html: &str) {
    let lower = html.to_lowercase();
    for harm in ["<script", "<b ", "<img", "href=\"javascript", "href=\"data"] {
        assert!(!lower.contains(harm), "{harm}: {html}");
    }
}

#[test]
fn names_of_any_bytes_are_processed_and_shown_escaped() {
    let house = House::new();
    house.configure("formats = [\"md\", \"txt\", \"json\"]\ndeliver = [\"beside\", \"email\"]");
    let _daemon = house.start();
    let names = drop_all(&house);
    until("all is done", || (house.count("done") == names.len()).then_some(()));
    let commands = [&["why"][..], &["why", "--json"], &["job"], &["job", "--json"]];
    // Each name is asked for in some of these ways; by a budget in all of them.
    for (n, name) in names.iter().enumerate() {
        for command in commands.iter().cycle().skip(n).take(commands.len().min(budget(1) as usize))
        {
            let output =
                house.command(command).arg(house.folder().join(name)).output().expect("run");
            assert!(
                output.status.success(),
                "{name:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_clean("stdout", &output.stdout);
            assert_clean("stderr", &output.stderr);
        }
    }
    for arguments in
        [&["jobs"][..], &["jobs", "--json"], &["status"], &["meetings"], &["scan", "--dry-run"]]
    {
        let output = house.run(arguments);
        assert_clean("stdout", &output.stdout);
        assert_clean("stderr", &output.stderr);
    }
    assert_clean("the log", house.log().as_bytes());
    let shown = house.jobs().iter().map(|job| job["path"].to_string()).collect::<String>();
    assert!(
        shown.contains("\\\\xff\\\\xfe not utf-8") && shown.contains("\\\\u{202e}3pm"),
        "{shown}"
    );
}

#[test]
fn no_name_reaches_further_than_its_own_notes_its_meeting_and_its_mails() {
    let house = House::new();
    house.configure("formats = [\"md\", \"txt\", \"json\"]\ndeliver = [\"beside\", \"email\"]");
    let config = fs::read_to_string(house.config()).expect("there");
    fs::write(house.config(), config.replace("[log]", "[log]\nformat = \"json\""))
        .expect("written");
    let _daemon = house.start();
    let names = drop_all(&house);
    until("all is done", || (house.count("done") == names.len()).then_some(()));
    assert_clean("the log", house.log().as_bytes());
    for line in house.log().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
    let files: Vec<_> = fs::read_dir(house.folder()).expect("a directory").flatten().collect();
    assert_eq!(files.len(), names.len() * 4, "each has its notes in three formats");
    for file in files.iter().filter(|file| file.file_name().as_bytes().ends_with(b".notes.md")) {
        let notes = fs::read(file.path()).expect("there");
        assert_clean("notes", &notes);
        let text = String::from_utf8(notes).expect("UTF-8");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("minuted: b3-")).count(),
            1,
            "{text}"
        );
        assert_harmless(&rendered(&text));
    }
    for meeting in house.standin.snapshot().meetings {
        let sent = meeting.recording.expect("a recording").name;
        assert_clean("the name that is sent", sent.as_bytes());
        assert!(!sent.contains(['"', '\\', '/', '<']), "{sent}");
        assert_clean("the title", meeting.title.as_bytes());
    }
    let mails = house.smtp.received();
    let told = mails.iter().find(|mail| mail.to == ["it@example.com"]);
    assert_eq!(
        told.map(|mail| String::from_utf8_lossy(&mail.raw)),
        None,
        "nothing is for the operator to do"
    );
    assert_eq!((mails.len(), house.smtp.faults()), (names.len() * 2, Vec::new()));
    for mail in mails {
        assert!(
            ["ann@example.com", "bo@example.com"].contains(&mail.to[0].as_str())
                && mail.to.len() == 1
        );
        let parsed = mail_parser::MessageParser::default().parse(&mail.raw).expect("a mail");
        assert!(
            parsed.bcc().is_none() && parsed.cc().is_none(),
            "{}",
            String::from_utf8_lossy(&mail.raw)
        );
        assert_harmless(&parsed.body_html(0).expect("HTML"));
        assert_clean("the subject", parsed.subject().expect("a subject").as_bytes());
    }
}

#[test]
fn markdown_of_the_service_brings_no_script_and_no_link_to_one() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    let _daemon = house.start();
    // The stand-in repeats the title in its note as it is.
    let name = "[a](javascript:alert(1)) ![b](data:text;x) <javascript:alert(2)> <script>alert(3) <b onclick=x>.mp3";
    house.drop_recording(name);
    let job = house.wait_for(name, "done");
    let notes = fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written");
    assert_harmless(&rendered(&notes));
    let mails = house.smtp.received();
    let mail = mail_parser::MessageParser::default().parse(&mails[0].raw).expect("a mail");
    let html = mail.body_html(0).expect("HTML");
    assert_harmless(&html);
    assert!(html.contains("alert(3)"), "shown, not obeyed: {html}");
}

#[test]
fn links_and_special_files_are_never_followed() {
    let house = House::new();
    let outside = house.dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("secret.mp3"), recording("secret.mp3")).expect("written");
    symlink(outside.join("secret.mp3"), house.path("link.mp3")).expect("linked");
    symlink(&outside, house.path("linked")).expect("linked");
    fs::create_dir(house.path("directory.wav")).expect("made");
    assert!(Command::new("mkfifo").arg(house.path("pipe.wav")).status().expect("run").success());
    let _daemon = house.start();
    house.scan();
    house.drop_recording("directory.wav/talk.mp3");
    house.wait_for("directory.wav/talk.mp3", "done");
    assert_eq!((house.jobs().len(), house.standin.snapshot().meetings.len()), (1, 1));
    let why =
        ["link.mp3", "linked/secret.mp3", "linked", "pipe.wav", "directory.wav"].map(|name| {
            let why = house.why(name);
            format!("{name}: {}", why.split_once(": ").expect("an answer").1.trim_end())
        });
    insta::assert_snapshot!(why.join("\n"), @r"
    link.mp3: it is a link or a special file, and these are never opened
    linked/secret.mp3: the way to it goes through a link or what is no directory, and links are never followed
    linked: it is a link or a special file, and these are never opened
    pipe.wav: it is a link or a special file, and these are never opened
    directory.wav: it is a directory
    ");
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
}

#[test]
fn a_directory_that_becomes_a_link_is_neither_read_nor_written_through() {
    let house = House::new();
    let _daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("sub/talk.mp3");
    house.wait_for("sub/talk.mp3", "waiting");
    let outside = house.dir.path().join("outside");
    fs::rename(house.path("sub"), &outside).expect("moved");
    symlink(&outside, house.path("sub")).expect("linked");
    assert!(house.run(&["resume", "sales"]).status.success());
    until("it waits for its file", || (house.jobs()[0]["waits_for"] == "file").then_some(()));
    assert_eq!(house.standin.snapshot().count(Call::Upload), 0);
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
}

#[test]
fn a_notes_directory_that_becomes_a_link_gets_no_notes() {
    let house = House::new();
    house.standin.stall_analysis(true);
    let _daemon = house.start();
    house.drop_recording("sub/talk.mp3");
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    let outside = house.dir.path().join("outside");
    fs::rename(house.path("sub"), &outside).expect("moved");
    symlink(&outside, house.path("sub")).expect("linked");
    house.standin.stall_analysis(false);
    until("the notes wait", || {
        (house.jobs()[0]["deliveries"][0]["attempts"].as_u64() > Some(0)).then_some(())
    });
    assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
}

#[test]
fn a_name_for_notes_that_is_taken_is_left_as_it_is() {
    let house = House::new();
    let victim = house.dir.path().join("victim");
    fs::write(&victim, "precious").expect("written");
    symlink(&victim, house.path("a.notes.md")).expect("linked");
    symlink(house.dir.path().join("nowhere"), house.path("b.notes.md")).expect("linked");
    fs::create_dir(house.path("c.notes.md")).expect("made");
    fs::write(house.path("d.notes.md"), "somebody's own").expect("written");
    let _daemon = house.start();
    for name in ["a", "b", "c", "d"] {
        house.drop_recording(&format!("{name}.mp3"));
    }
    for name in ["a", "b", "c", "d"] {
        let job = house.wait_for(&format!("{name}.mp3"), "done");
        let notes = job["notes"][0].as_str().expect("notes").to_owned();
        assert!(notes.ends_with(&format!("{name}.notes.2.md")), "{notes}");
    }
    assert_eq!(fs::read_to_string(victim).expect("there"), "precious");
    assert!(!house.dir.path().join("nowhere").exists());
    assert_eq!(fs::read_to_string(house.path("d.notes.md")).expect("there"), "somebody's own");
}

fn refused(house: &House, arguments: &[&str]) -> String {
    let output = house.run(arguments);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert_clean("stderr", &output.stderr);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    text.replace(house.dir.path().to_str().expect("UTF-8"), "DIR")
}

#[test]
fn a_token_goes_to_no_host_in_the_clear() {
    let house = House::new();
    let config = fs::read_to_string(house.config()).expect("there");
    fs::write(house.config(), config.replace(&house.standin.base_url(), "http://dzd.paxs.ai"))
        .expect("written");
    insta::assert_snapshot!(refused(&house, &["run"]), @r#"
    the configuration `DIR/config.toml` has a mistake

    error: `http://dzd.paxs.ai` would send recordings and tokens in the clear
     --> DIR/config.toml:4:12
      |
    4 | base_url = "http://dzd.paxs.ai"
      |            ^^^^^^^^^^^^^^^^^^^^
      |
      = help: write "https://…"; http is for this machine, or for a network that is trusted: insecure = true
    "#);
}

#[test]
fn mistakes_in_the_configuration_are_told_together_with_line_and_cure() {
    let house = House::new();
    house.configure_all("", "atendees = []\nsettle = \"5 fortnights\"", "");
    let config = fs::read_to_string(house.config()).expect("there");
    fs::write(house.config(), config.replace("bo@example.com", "bo at example")).expect("written");
    insta::assert_snapshot!(refused(&house, &["check"]), @r#"
    the configuration `DIR/config.toml` has 3 mistakes

    error: `bo at example` is not a mail address
      --> DIR/config.toml:24:31
       |
    24 |   { name = "Bo Chen", email = "bo at example", role = "organizer" },
       |                               ^^^^^^^^^^^^^^^
       |
       = help: write an address such as "ann@example.com"

    error: unknown key `atendees` in `[[folder]]`
      --> DIR/config.toml:29:1
       |
    29 | atendees = []
       | ^^^^^^^^
       |
       = help: did you mean `attendees`?

    error: `5 fortnights` is not a duration
      --> DIR/config.toml:30:10
       |
    30 | settle = "5 fortnights"
       |          ^^^^^^^^^^^^^^
       |
       = help: write numbers and units, as in "2m 30s"; units are ms, s, m, h, d and w
    "#);
}

#[test]
fn what_a_config_holds_is_shown_without_being_obeyed() {
    let house = House::new();
    house.configure("settle = \"\u{9b}31m\u{202e}\"\n\"\\u001b]0;x\" = 1");
    refused(&house, &["check"]);
}

#[test]
fn what_is_written_can_neither_leave_its_place_nor_come_in_again() {
    let house = House::new();
    let path = house.folder();
    for keys in [
        "on_success = \"move\"\nmove_to = \"../elsewhere\"".to_owned(),
        "on_success = \"move\"\nmove_to = \"/elsewhere\"".to_owned(),
        "notes_name = \"../{stem}\"".to_owned(),
        "notes_name = \"a/{stem}\"".to_owned(),
        format!(
            "[[folder]]\nname = \"inner\"\npath = \"{}/inner\"\nservice = \"paxs\"",
            path.display()
        ),
    ] {
        house.configure(&keys);
        let told = refused(&house, &["run"]);
        assert!(told.contains("= help: "), "{told}");
    }
}

/// Everything in the state directory that opens the service.
pub(crate) fn secrets(house: &House) -> Vec<String> {
    fn strings(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.len() >= 16 && !text.contains(['/', ':']) => {
                found.push(text.clone());
            }
            Value::Array(list) => list.iter().for_each(|value| strings(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| strings(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    for file in fs::read_dir(house.state_dir()).expect("a directory").flatten() {
        if !file.file_name().as_bytes().starts_with(b"tokens-") {
            continue;
        }
        let text = fs::read_to_string(file.path()).expect("readable");
        strings(&serde_json::from_str(&text).unwrap_or_default(), &mut found);
    }
    found
}

#[test]
fn secrets_reach_no_log_no_answer_no_process_list_and_no_open_file() {
    let house = House::new();
    let mut found = secrets(&house);
    assert!(found.len() >= 2, "both tokens: {}", found.len());
    let daemon = house.listening(house.spawn(&[("RUST_LOG", "trace")]));
    house.standin.fail_next(Call::Upload, Fault::ResetMidBody);
    house.standin.fail_next(Call::CreateSession, Fault::Html);
    house.standin.fail_next(Call::Analysis, Fault::Redirect("http://127.0.0.1:9/".into()));
    house.drop_recording("a.mp3");
    house.wait_for("a.mp3", "done");
    house.standin.expire_access_tokens();
    house.drop_recording("b.mp3");
    house.wait_for("b.mp3", "done");
    found.extend(secrets(&house));
    house.standin.revoke_all();
    house.drop_recording("c.mp3");
    house.wait_until_waits("c.mp3", "sign_in");
    let mut said = house.log();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "the log is a detailed one");
    for arguments in [
        &["jobs", "--json"][..],
        &["status", "--json"],
        &["job", "1", "--json"],
        &["whoami", "--json"],
    ] {
        said += &String::from_utf8_lossy(&house.run(arguments).stdout);
    }
    for file in ["cmdline", "environ"] {
        said += &String::from_utf8_lossy(
            &fs::read(format!("/proc/{}/{file}", daemon.pid())).expect("it runs"),
        );
    }
    assert!(found.iter().all(|secret| !said.contains(secret)), "a secret is told");
    let open = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o077;
    assert_eq!(open(&house.state_dir()), 0);
    assert_eq!(open(&house.state_dir().join("tokens-paxs.json")), 0);
}
