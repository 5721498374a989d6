//! Answers of a service that is broken or an enemy: nothing runs, nothing breaks out, nothing is counted wrongly.

use std::{
    fs,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use crate::{
    hostile::{assert_clean, assert_harmless, rendered},
    hostile_folder::peak_kib,
    support::{
        budget::budget,
        house::{House, until},
        paxs::{Call, Fault, Options},
    },
};

fn field(pointer: &str, json: impl Into<String>) -> Fault {
    Fault::Field { pointer: pointer.to_owned(), json: json.into() }
}

/// The place of the content of the transcription and of the note in the stand-in's list of reports.
const TRANSCRIPTION: &str = "/0/report_content";
const NOTE: &str = "/1/report_content";

/// Lets the service say this in place of a content, in the documents' way: JSON in a JSON string.
fn say(house: &House, place: &str, content: &Value) {
    house
        .standin
        .fail_always(Call::Analysis, field(place, Value::from(content.to_string()).to_string()));
}

/// The texts of all headings.
fn headings(markdown: &str) -> Vec<String> {
    let (mut found, mut inside) = (Vec::new(), false);
    for event in Parser::new(markdown) {
        if let Event::Start(Tag::Heading { .. }) = event {
            found.push(String::new());
            inside = true;
        } else if let Event::End(TagEnd::Heading(_)) = event {
            inside = false;
        } else if let (Event::Text(text), true, Some(last)) = (&event, inside, found.last_mut()) {
            last.push_str(text);
        }
    }
    found
}

const CONTROLS: &str =
    "a\u{0}b\u{1b}[31mc\u{9b}2Jd\u{202e}e\u{2066}f\rg\u{7f}h\u{1b}]0;x\u{7}i\u{85}j\u{2028}k";

fn hostile_note() -> String {
    let links = [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&Tab;script:x",
        "java&#10;script:x",
        "javascript&colon;x",
        "&#106;avascript:x",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "<java\tscript:x>",
    ];
    let links = links.map(|link| format!("[link]({link}) ![image]({link})\n\n")).concat();
    format!(
        "---\nminuted: b3-00000000000000000000000000000000.sales.1\n---\n# Fake\nminuted: b3-0.sales.1\n===\n\n\
         <script>alert(1)</script> <b onclick=x> <img src=x onerror=x>\n\n{links}\
         ![pixel](https://tracker.example/p.gif?who=ann) <img src=\"https://tracker.example/q.gif\">\n\n\
         [ref][r] ![ref][r]\n\n[r]: javascript:alert(1)\n\n{CONTROLS}\n\n<!-- hidden\n\n~~~~html\n<script>\n"
    )
}

fn hostile_transcription() -> Value {
    let said = |text: &str| json!({"start": 1, "end": 2, "speaker": format!("<b>Eve</b> {CONTROLS}"), "text": text});
    json!({"transcription": {
        "summary": format!("```\n<script>never closed {CONTROLS}"),
        "speakers": [CONTROLS],
        "segments": [said(CONTROLS), said("--> 00:00:00,000 --> 99:99"), said("# heading\n---\nminuted: x"), said("<!--")],
    }})
}

#[test]
fn what_a_service_says_breaks_out_of_no_section_no_page_and_no_terminal() {
    let house = House::new();
    house.configure("formats = [\"md\", \"txt\", \"srt\", \"vtt\", \"json\"]\ndeliver = [\"beside\", \"email\"]");
    say(&house, NOTE, &json!({"markdown": hostile_note()}));
    // Each look meets one fault: the transcription's comes with every second one.
    house
        .standin
        .change(|options| options.reports_envelope = crate::support::paxs::Envelope::Array);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "done");
    house.standin.clear_faults();
    say(&house, TRANSCRIPTION, &hostile_transcription());
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
    for (name, sections) in
        [("talk", &["talk", "Transcript"][..]), ("other", &["other", "Summary", "Transcript"])]
    {
        let notes = fs::read_to_string(house.path(&format!("{name}.notes.md"))).expect("written");
        let (front, _) = notes[4..].split_once("\n---\n").expect("front matter");
        assert_eq!(
            front.lines().filter(|line| line.starts_with("minuted: b3-")).count(),
            1,
            "{front}"
        );
        assert_harmless(&rendered(&notes));
        let found = headings(notes.split_once("\n---\n").expect("front matter").1);
        assert!(
            sections.iter().all(|section| found.iter().any(|heading| heading == section)),
            "{found:?}\n{notes}"
        );
    }
    assert_eq!(job["key"], house.job("talk.mp3")["key"]);
    for file in house
        .files()
        .iter()
        .filter(|file| file.contains(".notes.") || file.contains(".transcript."))
    {
        let text = fs::read_to_string(house.path(file)).expect("UTF-8").replace('\t', " ");
        assert_clean(file, text.as_bytes());
    }
    for mail in house.smtp.received() {
        let parsed = mail_parser::MessageParser::default().parse(&mail.raw).expect("a mail");
        let html = parsed.body_html(0).expect("HTML");
        assert_harmless(&html);
        // What was a picture is a link: nothing is fetched before a person asks for it.
        let links: Vec<_> = html.split("href=\"").skip(1).collect();
        assert!(
            links.iter().all(|link| link.starts_with("https://tracker.example/p.gif?who=ann")),
            "{html}"
        );
        let text = parsed.body_text(0).expect("text").replace("\r\n", "\n").replace('\t', " ");
        assert_clean("the text", text.as_bytes());
    }
    assert_clean("the log", house.log().as_bytes());
}

#[test]
fn what_a_service_says_of_a_failure_is_shown_and_never_obeyed() {
    let house = House::new();
    let error =
        json!({"detail": format!("{CONTROLS} <script> `rm -rf` \n---\nBcc: x"), "title": CONTROLS})
            .to_string();
    let refusal = Fault::StatusWith { status: 413, retry_after: None, body: error };
    house.standin.fail_always(Call::Upload, refusal);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "failed");
    until("the operator is told", || (!house.smtp.received().is_empty()).then_some(()));
    for arguments in
        [&["jobs"][..], &["jobs", "--json"], &["job", "1"], &["job", "1", "--json"], &["status"]]
    {
        assert_clean("an answer", &house.run(arguments).stdout);
    }
    let recording = house.path("talk.mp3");
    assert_clean("why", &house.run(&["why", recording.to_str().expect("UTF-8")]).stdout);
    assert_clean("the log", house.log().as_bytes());
    assert_clean("beside", &fs::read(house.path("talk.failed.txt")).expect("written"));
    for mail in house.smtp.received() {
        let parsed = mail_parser::MessageParser::default().parse(&mail.raw).expect("a mail");
        assert_clean(
            "the digest",
            parsed.body_text(0).expect("text").replace("\r\n", "\n").as_bytes(),
        );
    }
}

#[test]
fn ids_of_any_characters_stay_one_step_of_one_path() {
    for id_end in ["/../../users/me?session_id=x&y#z%2f..%2f ü\"<b>\\;a=b:c@d%2e%2e", "/.."] {
        let house = House::with(Options {
            auto_approve: true,
            transcription_time: Duration::from_millis(40),
            note_time: Duration::from_millis(20),
            id_end: id_end.to_owned(),
            ..Options::default()
        });
        // The meeting is read, too: after a lost answer.
        house.standin.fail_next(Call::Upload, Fault::LoseAnswer);
        let daemon = house.start();
        house.drop_recording("talk.mp3");
        house.wait_for("talk.mp3", "done");
        drop(daemon);
        let snapshot = house.standin.snapshot();
        assert_eq!(
            (snapshot.count(Call::Unknown), snapshot.meetings.len(), snapshot.meetings[0].uploads),
            (0, 1, 1)
        );
        assert!(snapshot.count(Call::GetSession) > 0 && snapshot.count(Call::Analysis) > 0);
        for call in house.standin.calls() {
            let steps = call.path.split('/').count();
            assert!(
                call.path.starts_with("/api/") && !call.path.contains("/..") && steps <= 6,
                "{}",
                call.path
            );
        }
    }
}

/// What can stand in a field instead of what was promised. The last ones are no JSON at all.
const WRONG: [&str; 16] = [
    "null",
    "true",
    "[]",
    "{}",
    "[[[]]]",
    "-1",
    "1.5e300",
    "\"\"",
    "\"..\"",
    "\".\\t.\"",
    "\"\\u0000\\u001b[31m\"",
    "{\"id\":[],\"id\":{}}",
    "\"\\ud800\"",
    "1e400",
    "NaN",
    "\"never closed",
];

/// The fields of the answers of each call in the way of a recording.
const FIELDS: [(Call, &[&str]); 4] = [
    (
        Call::CreateSession,
        &["", "/id", "/title", "/description", "/attendees", "/attachments", "/created_at"],
    ),
    (Call::Upload, &["", "/id", "/name", "/size", "/mime_type", "/created_at"]),
    (
        Call::Analysis,
        &[
            "",
            "/0",
            "/0/id",
            "/0/analysis_type",
            "/0/status",
            "/0/report_content",
            "/0/created_at",
            "/1",
        ],
    ),
    (
        Call::Analysis,
        &["/1/id", "/1/analysis_type", "/1/status", "/1/report_content", "/1/created_at"],
    ),
];

#[test]
fn a_field_of_any_type_in_any_answer_makes_no_second_meeting_no_second_upload_and_counts_nothing() {
    let house = House::new();
    house.configure_fast("", "", 8);
    let every: Vec<_> = FIELDS
        .iter()
        .flat_map(|(call, fields)| fields.iter().map(move |field| (*call, *field)))
        .flat_map(|(call, field)| WRONG.iter().map(move |json| (call, field, *json)))
        // A number may be an id, and one of nothing: then the meeting is gone, which counts.
        .filter(|(call, field, json)| {
            *call == Call::Analysis || *field != "/id" || !["-1", "1.5e300"].contains(json)
        })
        .collect();
    // One in so many by default; all of them from a budget of that number on.
    let step = 13_usize.saturating_sub(budget(1) as usize - 1).max(1);
    let cases: Vec<_> = every.iter().step_by(step).enumerate().collect();
    for (n, (call, pointer, json)) in &cases {
        house.standin.fail_matching(*call, &format!("case-{n:03}"), field(pointer, *json), Some(1));
    }
    let _daemon = house.start();
    for (n, _) in &cases {
        house.drop_recording(&format!("case-{n:03}.mp3"));
    }
    house.wait_for_all(cases.len(), "done");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), cases.len(), "one meeting each");
    for (job, (n, case)) in house.jobs().iter().zip(&cases) {
        assert_eq!(
            (&job["attempts"], &job["partial"]),
            (&json!(0), &json!(false)),
            "{n} {case:?}: {job}"
        );
    }
    let twice: Vec<_> = meetings
        .iter()
        .filter(|meeting| meeting.uploads != 1)
        .map(|meeting| &meeting.title)
        .collect();
    assert_eq!(twice, Vec::<&String>::new(), "sent twice");
    assert_eq!(house.standin.snapshot().count(Call::Unknown), 0);
    assert!(!house.log().contains("panic"), "nothing panics");
}

#[test]
fn a_result_in_a_shape_that_nobody_knows_is_shown_as_it_came() {
    let house = House::new();
    say(
        &house,
        NOTE,
        &json!({"markdown": [{"topic": "<script>`Prices`", "owner": "Ann"}], "version": 7}),
    );
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let notes = fs::read_to_string(house.path("talk.notes.md")).expect("written");
    assert!(notes.contains("```json\n") && notes.contains("\"owner\": \"Ann\""), "{notes}");
    assert_harmless(&rendered(&notes));
}

#[test]
fn an_id_that_another_answer_contradicts_changes_nothing_of_what_is_remembered() {
    let house = House::new();
    let foreign =
        house.standin.plant_meeting("talk", "somebody else's", jiff::Timestamp::UNIX_EPOCH);
    house.standin.fail_always(Call::GetSession, field("/id", format!("\"{foreign}\"")));
    house.standin.fail_next(Call::Upload, Fault::LoseAnswer);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    until("it is not believed", || {
        let job = house.run(&["job", house.path("talk.mp3").to_str().expect("UTF-8")]);
        String::from_utf8_lossy(&job.stdout).contains("details of another meeting").then_some(())
    });
    house.standin.clear_faults();
    let job = house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!((meetings.len(), meetings[0].uploads, meetings[1].uploads), (2, 0, 1));
    assert_eq!(job["meeting_id"], meetings[1].id.as_str());
}

#[test]
fn two_meetings_with_our_marker_make_no_third_and_get_one_recording() {
    let house = House::new();
    let bytes = fs::read(house.drop_recording("talk.mp3")).expect("there");
    let marker = format!("minuted:b3-{}.sales.1", &blake3::hash(&bytes).to_hex()[..32]);
    for _ in 0..2 {
        house.standin.plant_meeting(
            "talk",
            &format!("Recording: talk.mp3\n\n{marker}"),
            jiff::Timestamp::UNIX_EPOCH,
        );
    }
    let _daemon = house.start();
    house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(
        (meetings.len(), meetings.iter().map(|meeting| meeting.uploads).sum::<u32>()),
        (2, 1)
    );
}

#[test]
fn an_address_in_an_answer_is_never_called() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}/steal", listener.local_addr().expect("bound"));
    let callers = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&callers);
    thread::spawn(move || {
        for _ in listener.incoming() {
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    let house = House::new();
    let links = [
        "upload_url",
        "url",
        "next",
        "href",
        "self",
        "api_endpoint",
        "download_url",
        "base_url",
        "callback",
    ];
    let links =
        Value::Object(links.iter().map(|name| ((*name).to_owned(), json!(address))).collect());
    for (call, pointer) in [
        (Call::CreateSession, "/attendees"),
        (Call::CreateSession, "/attachments"),
        (Call::ListSessions, "/count"),
        (Call::GetSession, "/attendees"),
        (Call::Upload, "/name"),
        (Call::Analysis, "/0/created_at"),
        (Call::Analysis, "/1/id"),
    ] {
        house.standin.fail_always(call, field(pointer, links.to_string()));
    }
    for call in
        [Call::ListSessions, Call::CreateSession, Call::Upload, Call::Analysis, Call::GetSession]
    {
        house.standin.fail_next(call, Fault::Redirect(address.clone()));
    }
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    house.run(&["meetings"]);
    assert_eq!(callers.load(Ordering::SeqCst), 0);
}

/// A transcription of so many segments, each with so many bytes of text.
fn talk(segments: usize, bytes: usize) -> Value {
    let text = "word ".repeat(bytes / 5 + 1);
    let segment = |n: usize| json!({"start": n, "end": n + 1, "speaker": format!("S{}", n / 7 % 3), "text": &text[..bytes]});
    json!({"transcription": {"segments": (0..segments).map(segment).collect::<Vec<_>>()}})
}

#[test]
fn megabytes_of_transcript_and_masses_of_segments_fit_into_a_bounded_memory() {
    // By a budget of 20: 8 MB in 200 segments, which is the bound, and 200,000 segments.
    let (megabytes, segments) = (budget(1).min(8) as usize, budget(10_000).min(200_000) as usize);
    for transcription in [talk(200, megabytes * 5_000), talk(segments, 2)] {
        let house = House::new();
        house.configure("formats = [\"md\", \"txt\", \"srt\", \"vtt\", \"json\"]\ndeliver = [\"beside\", \"email\"]");
        say(&house, TRANSCRIPTION, &transcription);
        let bytes = transcription.to_string().len() as u64;
        drop(transcription);
        let daemon = house.start();
        house.drop_recording("talk.mp3");
        house.wait_for("talk.mp3", "done");
        let notes = fs::metadata(house.path("talk.notes.md")).expect("written").len();
        // Five files and two mails are made of it, four of them at once, each with copies of its own.
        assert!(peak_kib(&daemon) < 64 * 1024 + bytes * 96 / 1024, "{} KiB", peak_kib(&daemon));
        say_peak(&format!(
            "{bytes} bytes of analyses, {notes} of notes: {} KiB at most",
            peak_kib(&daemon)
        ));
    }
}

#[test]
fn more_words_than_anyone_can_say_are_the_recordings_own_failure_and_are_not_worked_on() {
    let house = House::new();
    house.configure("formats = [\"md\", \"json\"]");
    let transcription = talk(200, 45_000);
    say(&house, TRANSCRIPTION, &transcription);
    let bytes = transcription.to_string().len() as u64;
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    let error = job["error"].as_str().expect("an error");
    assert!(error.contains("its transcript has too much text: more than 8 MiB"), "{error}");
    assert!(peak_kib(&daemon) < 64 * 1024 + bytes * 20 / 1024, "{} KiB", peak_kib(&daemon));
    house.standin.clear_faults();
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs the tests with a budget")]
fn say_peak(text: &str) {
    eprintln!("{text}");
}
