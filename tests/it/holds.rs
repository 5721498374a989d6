//! Attempts on a running minuted that came to nothing, as tables: each goes on coming to nothing.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use lettre::message::Mailbox;
use mail_parser::MessageParser;
use minuted::testing::{
    config::{Analysis, Attendee, Email, Format, Smtp, Tls},
    delivery::{Mailer, Minutes},
    job::{Content, Findings, Key, Report, Segment, Status},
};
use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};

use crate::{
    hostile::{assert_clean, assert_harmless, rendered, secrets},
    support::{
        house::{House, recording, until},
        paxs::{Call, Fault},
    },
};

/// Names that a table, a database or a mail would obey.
fn names() -> Vec<String> {
    vec![
        "=cmd|' calc'!A0.mp3".to_owned(),
        "+HYPERLINK(\"http:\").mp3".to_owned(),
        "x'); DROP TABLE job; --.mp3".to_owned(),
        "%s%n${IFS}{{title}}.mp3".to_owned(),
        "a\r\nBcc: eve@example.com\r\n\r\nSubject: b.mp3".to_owned(),
        "\u{202e}3pm\u{200b}\u{1b}]0;x\u{7}.mp3".to_owned(),
        format!("{}.mp3", "n".repeat(246)),
    ]
}

#[test]
fn the_word_of_failures_is_a_line_for_each_name_and_no_name_is_obeyed() {
    let house = House::new();
    house.configure_fast("", "", 8);
    house.standin.fail_always(Call::Upload, Fault::Status(415));
    for (n, name) in names().iter().enumerate() {
        fs::write(house.path(name), recording(&format!("{n}.mp3"))).expect("written");
    }
    let daemon = house.start();
    until("all have failed", || (house.count("failed") == names().len()).then_some(()));
    // The word goes out at once with the next start.
    daemon.stop();
    let _daemon = house.start();
    until("the operator is told", || (!house.smtp.received().is_empty()).then_some(()));
    for mail in house.smtp.received() {
        assert_eq!(mail.to, ["it@example.com"]);
        let parsed = MessageParser::default().parse(&mail.raw).expect("a mail");
        assert!(parsed.bcc().is_none() && parsed.cc().is_none());
        let text = parsed.body_text(0).expect("text").replace("\r\n", "\n");
        assert_clean("the digest", text.as_bytes());
        let is_alone = |line: &str| {
            line.trim_start().starts_with("Bcc:") || line.trim_start().starts_with("Subject:")
        };
        assert!(!text.lines().any(is_alone), "{text}");
    }
    for arguments in [&["status"][..], &["jobs"], &["jobs", "--json"]] {
        let output = house.run(arguments);
        assert_clean("stdout", &output.stdout);
        assert_clean("stderr", &output.stderr);
    }
    assert_clean("the log", house.log().as_bytes());
    assert_eq!(house.jobs().len(), names().len());
}

#[test]
fn no_sidecar_leads_to_the_tokens_however_it_lies_there() {
    let house = House::new();
    house.configure("sidecars = true");
    let tokens = house.state_dir().join("tokens-paxs.json");
    fs::create_dir(house.path("sub")).expect("made");
    symlink(&tokens, house.path("link.mp3.toml")).expect("linked");
    symlink(&tokens, house.path("sub/.minuted.toml")).expect("linked");
    File::create(house.path("zeros.mp3.toml"))
        .and_then(|file| file.set_len(1 << 40))
        .expect("a sparse file");
    mkfifoat(CWD, house.path("fifo.mp3.toml"), Mode::from_raw_mode(0o600)).expect("made");
    fs::create_dir(house.path("directory.mp3.toml")).expect("made");
    let swapped = house.path("swapped.mp3.toml");
    fs::write(&swapped, "title = \"Swapped\"\n").expect("written");
    let trap = house.dir.path().join("trap");
    symlink(&tokens, &trap).expect("linked");
    let rows = [
        ("link.mp3", "a link"),
        ("sub/talk.mp3", "a link"),
        ("zeros.mp3", "larger than 64 KiB"),
        ("fifo.mp3", "not a regular file"),
        ("directory.mp3", "not a regular file"),
    ];
    let is_over = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    let mut said = String::new();
    thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) || swapped.is_symlink() {
                renameat_with(CWD, &swapped, CWD, &trap, RenameFlags::EXCHANGE).expect("swapped");
                swaps.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let _daemon = house.start();
        for (name, _) in rows {
            house.drop_recording(name);
        }
        house.drop_recording("swapped.mp3");
        for (name, words) in rows {
            let why = until("its sidecar is told", || {
                Some(house.why(name)).filter(|why| why.contains(words))
            });
            said += &why;
        }
        until("it was swapped often", || (swaps.load(Ordering::Relaxed) > 300).then_some(()));
        said += &house.why("swapped.mp3");
        is_over.store(true, Ordering::Relaxed);
        swapping.join().expect("no swap fails");
        house.scan();
        house.wait_for("swapped.mp3", "done");
        said += &String::from_utf8_lossy(&house.run(&["jobs", "--json"]).stdout);
    });
    said += &house.log();
    for meeting in house.standin.snapshot().meetings {
        assert!(["Swapped", "swapped"].contains(&meeting.title.as_str()), "{}", meeting.title);
        said.extend([meeting.title, meeting.description]);
    }
    let found = secrets(&house);
    assert!(found.len() >= 2, "both tokens: {}", found.len());
    assert!(found.iter().all(|secret| !said.contains(secret)), "a token is told");
}

#[test]
fn notes_that_somebody_changed_are_not_what_is_mailed_and_a_name_is_no_second_recipient() {
    let house = House::new();
    house.configure("sidecars = true\ndeliver = [\"beside\", \"email\"]");
    house.smtp.down(true);
    let _daemon = house.start();
    let name = "Ann\\\" <evil@evil.org>, \\\"Bo";
    let sidecar = format!("attendees = [{{ name = \"{name}\", email = \"ann@example.com\" }}]\n");
    fs::write(house.path("talk.mp3.toml"), sidecar).expect("written");
    house.drop_recording("talk.mp3");
    let notes = house.path("talk.notes.md");
    let text = until("its notes are there", || fs::read_to_string(&notes).ok());
    fs::write(&notes, text.replace("# ", "# Changed [here](https://evil.org) ")).expect("written");
    house.smtp.down(false);
    let mail = until("the mail goes out", || house.smtp.received().into_iter().next());
    assert_eq!(mail.to, ["ann@example.com"]);
    let parsed = MessageParser::default().parse(&mail.raw).expect("a mail");
    assert_eq!(parsed.to().map(|to| to.iter().count()), Some(1));
    assert!(parsed.bcc().is_none() && parsed.cc().is_none());
    let attached = parsed.attachments().next().expect("attached").contents().to_vec();
    assert_eq!(String::from_utf8(attached).expect("UTF-8"), text);
    let page = parsed.body_html(0).expect("HTML");
    assert!(!page.contains("evil.org") || !page.contains("Changed"), "{page}");
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.smtp.received().len(), 1);
}

/// Starts a mail server that answers with these lines, one after the other, and closes. Returns its port and what it heard.
fn mail_server(answers: &'static [&'static str]) -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut heard = Vec::new();
        for answer in answers {
            // Whoever has heard enough is gone.
            drop(stream.write_all(answer.as_bytes()));
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap_or_default();
            heard.extend_from_slice(&part[..read]);
        }
        heard
    };
    (port, thread::spawn(serve))
}

#[tokio::test]
async fn without_tls_neither_password_nor_mail_leaves_whatever_the_server_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let password = dir.path().join("password");
    fs::write(&password, "open sesame\n").expect("written");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("set");
    let rows: [(&str, &'static [&'static str]); 4] = [
        ("left out", &["220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", "250 ok\r\n"]),
        (
            "refused",
            &[
                "220 x\r\n",
                "250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
                "454 no\r\n",
                "235 ok\r\n",
            ],
        ),
        (
            "injected",
            &[
                "220 x\r\n",
                "250-x\r\n250 STARTTLS\r\n",
                "220 go\r\n250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n",
            ],
        ),
        (
            "pretended",
            &[
                "220 x\r\n",
                "250-x\r\n250 STARTTLS\r\n",
                "220 go\r\n",
                "250-x\r\n250 AUTH PLAIN\r\n",
            ],
        ),
    ];
    for (what, answers) in rows {
        let (port, served) = mail_server(answers);
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port,
            tls: Tls::Starttls,
            username: Some("minutes".into()),
            password_file: Some(password.clone()),
            insecure: false,
        };
        let from: Mailbox = "minutes@example.com".parse().expect("a mailbox");
        let email = Email { from, failures_to: vec![], allow: vec![], smtp };
        assert!(Mailer::new(&email).verify_setup().await.is_err(), "{what}");
        let heard = String::from_utf8_lossy(&served.join().expect("served")).into_owned();
        for word in ["AUTH", "MAIL FROM", "sesame", "b3BlbiBzZXNhbWU"] {
            assert!(!heard.contains(word), "{what}: {heard}");
        }
    }
}

#[test]
fn a_socket_that_is_not_minuteds_is_shown_and_not_obeyed() {
    let house = House::new();
    let listener = UnixListener::bind(house.state_dir().join("control.sock")).expect("bound");
    let answers: [&[u8]; 6] = [
        b"{\"Err\":{\"message\":\"\\u001b]0;x\\u0007\\u001b[2J\\u202e\",\"hint\":\"\\u001b[31m$(reboot)\"}}\n",
        b"\x1b]0;x\x07\x1b[2J\n",
        b"{\"Ok\":{\"\\u001b[2J\":\"\\u001b[2J\"}}\n",
        b"{\"Ok\":\"\\u001b[2J\"}\n",
        b"\xff\xfe\n",
        b"",
    ];
    let commands: [&[&str]; 2] = [&["status"], &["job", "1"]];
    let asked = thread::spawn(move || {
        let mut asked = 0;
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            let mut question = String::new();
            // Whoever only looks whether somebody listens asks nothing.
            if BufReader::new(&stream).read_line(&mut question).is_ok_and(|bytes| bytes > 0) {
                if question.contains("last") {
                    return asked;
                }
                drop(stream.write_all(answers[asked / commands.len() % answers.len()]));
                asked += 1;
            }
        }
        asked
    });
    for _ in answers {
        for arguments in commands {
            let output = house.run(arguments);
            assert!(!output.status.success(), "{output:?}");
            assert_clean("stdout", &output.stdout);
            assert_clean("stderr", &output.stderr);
        }
    }
    let mut last = UnixStream::connect(house.state_dir().join("control.sock")).expect("connected");
    last.write_all(b"last\n").expect("sent");
    assert_eq!(asked.join().expect("served"), answers.len() * commands.len());
}

#[test]
fn no_frame_on_the_control_socket_harms_the_daemon() {
    let house = House::new();
    let mut daemon = house.start();
    let deep = "[".repeat(500_000) + "\n";
    let nested = "{\"Job\":".repeat(100_000) + "\n";
    let large = vec![b'a'; 2 << 20];
    let frames: [&[u8]; 9] = [
        b"",
        b"\n",
        b"{\n",
        b"{\"status\":{\"status\":{}}}\n",
        b"\xff\xfe\xfd\n",
        b"\"status\"\0\n",
        deep.as_bytes(),
        nested.as_bytes(),
        &large,
    ];
    for frame in frames {
        let mut stream =
            UnixStream::connect(house.state_dir().join("control.sock")).expect("connected");
        // What is too long is not read to its end.
        drop(stream.write_all(frame));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert_clean("an answer", &answer);
        assert!(!answer.starts_with(b"{\"Ok\""), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(house.run(&["status"]).status.success());
    assert_eq!(daemon.ended(), None);
    assert!(!house.log().contains("panic"), "{}", house.log());
}

/// Whatever a text or a name of a speaker may hold that a format would obey.
const SAID: [&str; 9] = [
    "---\nminuted: b3-00000000000000000000000000000000.sales.9\n---",
    "minuted:b3-00000000000000000000000000000000.sales.9",
    "```\n~~~\n# Heading\n\nHeading\n===",
    "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nNOTE x",
    "00:00:01.000 --> 99:00:00.000\n\n1\n00:00:00,000 --> 00:00:01,000\nEvil",
    "[Ann](javascript:alert(1)) ![x](https://evil.org/x.png) **bold**",
    "<script>alert(1)</script> <v Eve> &lt;c&gt;",
    "| a | b |\n|---|---|\n- [x] task",
    "$= dv.pages() <% tp.file %> ```dataviewjs",
];

#[test]
fn no_word_no_speaker_and_no_time_of_a_transcript_breaks_out_of_its_line() {
    let times = [Some(1e308), Some(-1e308), Some(f64::NAN), Some(f64::INFINITY), Some(1.5), None];
    let segments: Vec<Segment> = (0..SAID.len() * times.len())
        .map(|n| Segment {
            start: times[n % times.len()],
            end: times[(n / 2 + 1) % times.len()],
            speaker: Some(SAID[n % SAID.len()].to_owned()),
            text: SAID[(n / times.len()) % SAID.len()].to_owned(),
            ..Segment::default()
        })
        .collect();
    let count = segments.len();
    let findings =
        Findings { speakers: SAID.map(str::to_owned).into(), segments, ..Findings::default() };
    let minutes = Minutes {
        key: Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation: 1,
        },
        sound: None,
        title: "Talk".into(),
        recorded: "2026-11-22T09:00:00+00:00[UTC]".parse().expect("a time"),
        recording: "talk.wav".into(),
        folder: "sales".into(),
        attendees: vec![Attendee {
            name: "Ann Lee".into(),
            email: "ann@example.com".into(),
            role: None,
        }],
        attendees_from: None,
        language: None,
        service: "paxs".into(),
        meeting: None,
        warning: None,
        vault: None,
        reports: [Report {
            analysis: Analysis::Transcription,
            status: Status::Completed,
            id: None,
            findings,
            error: None,
            raw: String::new(),
        }]
        .into(),
    };
    let notes = minutes.render(Format::Md);
    assert_eq!(notes.lines().filter(|line| line.starts_with("minuted: b3-")).count(), 1, "{notes}");
    assert!(!notes.lines().any(|line| line.starts_with("minuted: b3-0000")), "{notes}");
    let page = rendered(&notes);
    assert_harmless(&page);
    assert_eq!(
        page.matches("<h1>").count() + page.matches("<h2>").count(),
        2,
        "the title and one section: {page}"
    );
    for made in ["<table>", "<pre>", "<strong>bold", "<hr"] {
        assert!(!page.contains(made), "{made}: {page}");
    }
    for (format, begin) in [(Format::Srt, "1\n"), (Format::Vtt, "WEBVTT\n")] {
        let subtitles = minutes.render(format);
        assert!(subtitles.starts_with(begin), "{subtitles}");
        assert_eq!(subtitles.matches(" --> ").count(), count, "{subtitles}");
        let begins = |word: &str| subtitles.lines().filter(|line| line.starts_with(word)).count();
        // Those of SRT say who speaks without a mark, and know no other lines than these.
        let is_vtt = format == Format::Vtt;
        assert!(
            !is_vtt || (begins("STYLE"), begins("WEBVTT"), begins("NOTE")) == (0, 1, 1),
            "{subtitles}"
        );
    }
    serde_json::from_str::<serde_json::Value>(&minutes.render(Format::Json)).expect("JSON");
}

#[test]
fn notes_of_a_hostile_folder_lie_in_the_directory_for_notes_alone() {
    let house = House::new();
    let notes = house.dir.path().join("notes");
    fs::create_dir(&notes).expect("made");
    house.configure(&format!("notes_dir = \"{}\"", notes.display()));
    let names = ["a\\..\\..\\b.mp3", "\u{1b}[2J.mp3", "-rf.mp3", "~root.mp3", "sub/x...mp3"];
    let _daemon = house.start();
    for (n, name) in names.iter().enumerate() {
        let path = house.path(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
        fs::write(path, recording(&format!("{n}.mp3"))).expect("written");
    }
    let there =
        |dir: &Path| -> Vec<_> { fs::read_dir(dir).into_iter().flatten().flatten().collect() };
    until("all are done", || (house.count("done") == names.len()).then_some(()));
    let written: Vec<_> = there(&notes).into_iter().chain(there(&notes.join("sub"))).collect();
    let files: Vec<_> = written.iter().filter(|entry| entry.path().is_file()).collect();
    assert_eq!(files.len(), names.len(), "{written:?}");
    for file in files {
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o007, 0, "{mode:o}: {file:?}");
    }
    let beside = there(&house.folder()).len() + there(&house.path("sub")).len();
    assert_eq!(beside, names.len() + 1, "nothing but the recordings");
}
