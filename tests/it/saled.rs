//! A SaLED, from the recording to the notes: what it is asked, what it forgets, how it may fail.

use std::fs;

use serde_json::{Value, json};

use crate::{
    hostile::{assert_clean, assert_harmless, rendered},
    support::{
        house::{Daemon, House, recording, until, until_told},
        saled::{Fault, Saled, Work, transcription},
    },
};

/// What has it sum up.
const SUMMED_UP: &str = "summary_model = \"writer\"";

/// The calls, as the server sees them.
const SEND: &str = "POST /api/transcribe";
const SUM_UP: &str = "POST /api/summary";
const CHAT: &str = "POST /api/chat";

/// A house whose folder `sales` is served by a SaLED.
pub(crate) struct Served {
    pub(crate) house: House,
    pub(crate) server: Saled,
}

impl Served {
    pub(crate) fn new(service_keys: &str, folder_keys: &str) -> Self {
        let served = Self { house: House::new(), server: Saled::start() };
        served.configure(service_keys, folder_keys);
        served
    }

    fn configure(&self, service_keys: &str, folder_keys: &str) {
        let text = format!(
            r#"state_dir = "{state}"
[retry]
delay = "50ms"
delay_max = "200ms"
[workers]
requests_per_second = 200
[log]
level = "debug"
[services.home]
kind = "saled"
base_url = "{base_url}"
request_timeout = "5s"
poll = {{ first = "10ms", every = "50ms" }}
{service_keys}
[[folder]]
name = "sales"
path = "{folder}"
settle = "100ms"
rescan = "300ms"
backlog = "process"
{folder_keys}
"#,
            state = self.house.state_dir().display(),
            base_url = self.server.base_url(),
            folder = self.house.folder().display(),
        );
        fs::write(self.house.config(), text).expect("written");
    }

    pub(crate) fn notes(&self, name: &str) -> String {
        let job = self.house.wait_for(name, "done");
        fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written")
    }

    /// How many recordings came, and how many summaries were asked for.
    fn asked(&self) -> (usize, usize) {
        let state = self.server.state();
        (state.sent.len(), state.summaries.len())
    }

    /// Waits until the server works on something and gets no further.
    fn wait_for_work(&self, work: Work) {
        let path = if work == Work::Summary {
            "GET /api/summary/status"
        } else {
            "GET /api/transcribe/status"
        };
        let before = self.server.count(path);
        until("it is asked how far it is", || (self.server.count(path) > before + 1).then_some(()));
    }

    fn service(&self) -> Value {
        self.house.status()["services"][0].clone()
    }

    /// Waits until the service is down, nothing having counted against the recording, and says so.
    fn wait_for_down(&self, name: &str, words: &str) {
        until_told(
            || {
                format!(
                    "{words}: {}\n{:#?}\n{}",
                    self.service(),
                    self.house.job_if(name),
                    self.house.log()
                )
            },
            || {
                (self.service()["state"] == "down" && self.service().to_string().contains(words))
                    .then_some(())
            },
        );
        assert_eq!(self.house.job(name)["attempts"], 0);
    }
}

#[test]
fn a_recording_is_sent_once_and_summed_up_once() {
    let served = Served::new(
        &format!("{SUMMED_UP}\nsummary_format = \"bullet_points\"\nmax_length = 300"),
        "language = \"en\"\nformats = [\"md\", \"srt\"]",
    );
    let _daemon = served.house.start();
    let path = served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    assert!(
        notes.contains("They ship on Friday.") && notes.contains("# Topics\n\n- Shipping"),
        "{notes}"
    );
    assert!(
        notes.contains("**Speaker 2**") && notes.contains("We decided to ship on Friday."),
        "{notes}"
    );
    let srt = fs::read_to_string(served.house.path("talk.transcript.srt")).expect("written");
    assert!(srt.contains("00:00:02,000 --> 00:00:04,000"), "{srt}");
    let job = served.house.job("talk.wav");
    let state = served.server.state();
    let [sent] = state.sent.as_slice() else { panic!("sent {} times", state.sent.len()) };
    assert_eq!(
        (sent.bytes.as_slice(), sent.mime.as_str()),
        (fs::read(path).expect("there").as_slice(), "audio/wav")
    );
    assert_eq!(sent.name, format!("{}.wav", job["key"].as_str().expect("a key")));
    let fields = ["model_name", "diarize", "language"].map(|name| sent.field(name));
    assert_eq!(fields, [Some("tiny.en"), Some("true"), Some("en")]);
    let [asked] = state.summaries.as_slice() else { panic!("{:?}", state.summaries) };
    assert_eq!(
        asked["transcript"][1],
        json!({"start": 2.0, "end": 4.0, "text": "We decided to ship on Friday."})
    );
    assert!(
        asked["full_text"]
            .as_str()
            .expect("a text")
            .starts_with("Speaker 1: Good morning.\nSpeaker 2: We")
    );
    assert_eq!(
        (&asked["model_name"], &asked["max_length"], &asked["format"]),
        (&json!("writer"), &json!(300), &json!("bullet_points"))
    );
    let posts: Vec<&String> = state.calls.iter().filter(|call| call.starts_with("POST")).collect();
    assert_eq!(
        posts,
        ["POST /api/transcribe/", "POST /api/summary/"],
        "nothing is sent to a place that redirects"
    );
    drop(state);
    let kept =
        fs::read_dir(served.house.state_dir().join("saled/home")).expect("a directory").count();
    assert_eq!(kept, 0, "what is in the queue is not kept besides");
}

/// Which value of `diarize` a recording is sent with, by the config and a sidecar of its own.
fn diarized(folder_keys: &str, sidecar: Option<&str>) -> String {
    let served = Served::new("diarize = true", folder_keys);
    let _daemon = served.house.start();
    if let Some(sidecar) = sidecar {
        fs::write(served.house.path("talk.wav.toml"), sidecar).expect("written");
    }
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    served.server.state().sent[0].field("diarize").expect("a field").to_owned()
}

#[test]
fn speakers_off_wins_over_diarize_and_what_the_server_cannot_keep_to_is_ignored_in_the_defaults() {
    assert_eq!(diarized("speakers = \"off\"", None), "false");
    assert_eq!(diarized("sidecars = true", Some("speakers = \"off\"\n")), "false");
    assert_eq!(diarized("[defaults]\nspeakers = \"off\"", None), "false");
    for speakers in ["\"auto\"", "3"] {
        assert_eq!(
            diarized(&format!("[defaults]\nspeakers = {speakers}"), None),
            "true",
            "{speakers}"
        );
    }
    assert_eq!(
        diarized("sidecars = true\nspeakers = \"off\"", Some("speakers = \"auto\"\n")),
        "true"
    );
}

#[test]
fn without_a_model_minuted_extracts_the_notes_and_silence_is_summed_up_by_nobody() {
    let served = Served::new("diarize = false", "");
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    assert!(
        notes.contains("utomatic extract") && notes.contains("We decided to ship on Friday."),
        "{notes}"
    );
    let fields = ["diarize", "language"]
        .map(|name| served.server.state().sent[0].field(name).map(str::to_owned));
    assert_eq!(fields, [Some("false".to_owned()), None]);
    assert_eq!((served.asked(), served.server.count(CHAT)), ((1, 0), 0));
    drop(daemon);
    served.configure(SUMMED_UP, "");
    served.server.state().transcription = transcription(&[]);
    let _daemon = served.house.start();
    served.house.drop_recording("silence.mp3");
    let notes = served.notes("silence.mp3");
    assert!(
        notes.contains("*Nothing was said.*")
            && notes.contains("nothing was said in this recording"),
        "{notes}"
    );
    assert_eq!(served.asked(), (2, 0));
}

#[test]
fn a_kill_at_any_effect_leaves_one_transcription_and_one_summary() {
    // What is kept: the id of the transcription, the transcript, the id of the summary, the note.
    let points = [
        "CallUpload:before",
        "PlaceTranscript:before:1",
        "PlaceTranscript:after:1",
        "PlaceTranscript:before:2",
        "PlaceTranscript:after:2",
        "CallUpload:after",
        "Uploaded:before",
        "Uploaded:after",
        "IntendRequest:after",
        "CallRequest:before",
        "PlaceTranscript:after:3",
        "PlaceTranscript:before:4",
        "PlaceTranscript:after:4",
        "CallRequest:after",
        "Analysed:before",
        "Analysed:after",
        "ForgetTranscript:before",
    ];
    for point in points {
        let served = Served::new(SUMMED_UP, "");
        let mut daemon = served.house.spawn(&[("MINUTED_DIE", point)]);
        served.house.drop_recording("talk.wav");
        until(point, || daemon.was_killed().then_some(()));
        let _daemon: Daemon = served.house.start();
        let notes = served.notes("talk.wav");
        assert!(notes.contains("They ship on Friday."), "{point}: {notes}");
        assert_eq!(served.asked(), (1, 1), "{point}");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0, "{point}");
        assert_eq!(served.house.files(), ["talk.notes.md", "talk.wav"], "{point}");
    }
}

#[test]
fn a_summary_whose_id_was_not_kept_is_made_again_for_the_server_has_no_list_of_them() {
    let served = Served::new(SUMMED_UP, "");
    let mut daemon = served.house.spawn(&[("MINUTED_DIE", "PlaceTranscript:before:3")]);
    served.house.drop_recording("talk.wav");
    until("it was killed", || daemon.was_killed().then_some(()));
    let _daemon = served.house.start();
    served.notes("talk.wav");
    assert_eq!(served.asked(), (1, 2));
}

#[test]
fn an_answer_that_is_lost_is_found_in_the_list_where_that_tells_names() {
    for (lists_names, sent) in [(true, 1), (false, 2)] {
        let served = Served::new("", "");
        served.server.state().lists_names = lists_names;
        served.server.fail_next(SEND, Fault::Lost);
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.notes("talk.wav");
        assert_eq!(served.asked().0, sent, "{lists_names}");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0);
    }
}

#[test]
fn a_lost_state_directory_finds_the_work_that_is_under_way() {
    let served = Served::new("", "");
    served.server.state().held = Some(Work::Transcription);
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.wait_for_work(Work::Transcription);
    daemon.kill();
    fs::remove_dir_all(served.house.state_dir()).expect("removed");
    served.server.state().held = None;
    let _daemon = served.house.start();
    served.notes("talk.wav");
    assert_eq!(served.asked().0, 1);
}

#[test]
fn a_server_that_restarts_is_given_what_it_forgot_and_nothing_counts() {
    for work in [Work::Transcription, Work::Summary] {
        let served = Served::new(SUMMED_UP, "");
        served.server.state().held = Some(work);
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.wait_for_work(work);
        served.server.restart();
        served.wait_for_work(work);
        let expected = if work == Work::Summary { (1, 2) } else { (2, 0) };
        until("it is submitted again", || (served.asked() == expected).then_some(()));
        // The second time in one go, the server is not well.
        served.server.restart();
        served.wait_for_down("talk.wav", "lost its jobs twice");
        served.server.state().held = None;
        served.notes("talk.wav");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0, "{work:?}");
        let (sent, summaries) = served.asked();
        assert!(if work == Work::Summary {
            sent == 1 && summaries >= 3
        } else {
            sent >= 3 && summaries == 1
        });
    }
}

#[test]
fn a_result_that_is_gone_when_it_is_fetched_was_forgotten() {
    let served = Served::new(SUMMED_UP, "");
    served.server.fail_next("GET /api/transcribe/result", Fault::Status(404, "Job not found"));
    served.server.fail_next("GET /api/summary/2", Fault::Status(404, "Summary not found"));
    served.server.fail_next("GET /api/summary/3", Fault::Status(404, "Summary not found"));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    assert_eq!(served.house.job("talk.wav")["attempts"], 0);
    assert_eq!(served.server.count("GET /api/transcribe/result"), 2);
}

#[test]
fn a_transcription_that_fails_three_times_is_the_recordings_own_and_retry_sends_it_again() {
    let served = Served::new("", "");
    served.server.state().fails =
        Some((Work::Transcription, "CUDA out\u{1b}[31m of memory".into()));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &false.into()), "{job:#}");
    assert!(
        job["error"]
            .as_str()
            .expect("told")
            .contains("could not be transcribed by the service: CUDA out\\u{1b}")
    );
    assert_eq!(served.asked().0, 3, "each attempt is a job of its own");
    until("the word of it", || served.house.path("talk.failed.txt").exists().then_some(()));
    served.server.state().fails = None;
    let path = served.house.path("talk.wav");
    assert!(served.house.run(&["retry", path.to_str().expect("UTF-8")]).status.success());
    served.notes("talk.wav");
    assert_eq!(served.asked().0, 4);
}

#[test]
fn what_is_refused_is_the_recordings_own() {
    let served = Served::new("", "");
    served.server.fail_always(SEND, Fault::Status(400, "File must be an audio file"));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert_eq!(job["attempts"], 3);
    assert!(
        job["error"].as_str().expect("told").contains("(400): File must be an audio file"),
        "{job:#}"
    );
    served.server.clear_faults();
    served.server.fail_always(SEND, Fault::Status(413, "too large"));
    served.house.drop_recording("long.wav");
    assert_eq!(served.house.wait_for("long.wav", "failed")["attempts"], 1);
}

/// What goes wrong with notes, and what is told of it.
const NO_NOTES: [(&str, Fault, &str); 4] = [
    (SUM_UP, Fault::Status(404, "Not Found"), "404: Not Found; check summary_model"),
    (SUM_UP, Fault::Status(500, "no such model"), "500: no such model; check summary_model"),
    (SUM_UP, Fault::Status(422, "max_length"), "422: max_length; check summary_model"),
    ("fails", Fault::Lost, "could not sum up: out of memory"),
];

#[test]
fn an_answer_that_is_refused_or_empty_is_an_attempt_and_the_next_one_begins_anew() {
    let served = Served::new(SUMMED_UP, "");
    served.server.fail_next("GET /api/transcribe/result/1", Fault::Status(400, "no result"));
    served.server.fail_next("GET /api/summary/3", Fault::Body("{\"summary\": \" \"}".into()));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    assert_eq!((served.asked(), &served.house.job("talk.wav")["attempts"]), ((2, 2), &json!(2)));
    let told = served.house.job("talk.wav")["history"].to_string();
    assert!(
        told.contains("its result was refused (400): no result")
            && told.contains("answered nothing"),
        "{told}"
    );
}

#[test]
fn a_summary_that_fails_leaves_the_transcript_and_retry_asks_for_the_summary_alone() {
    for (call, fault, words) in NO_NOTES {
        let served = Served::new(SUMMED_UP, "");
        if fault == Fault::Lost {
            served.server.state().fails = Some((Work::Summary, "out of memory".into()));
        } else {
            served.server.fail_always(call, fault);
        }
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        let job = served.house.wait_for("talk.wav", "failed");
        assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &true.into()), "{job:#}");
        assert!(job["error"].as_str().expect("told").contains(words), "{job:#}");
        let partial =
            until("partial notes", || fs::read_to_string(served.house.path("talk.notes.md")).ok());
        assert!(
            partial.contains("**Incomplete:**") && partial.contains("ship on Friday"),
            "{partial}"
        );
        assert_eq!(served.server.count(SUM_UP), 3);
        served.server.clear_faults();
        served.server.state().fails = None;
        let path = served.house.path("talk.wav");
        assert!(served.house.run(&["retry", path.to_str().expect("UTF-8")]).status.success());
        let notes = served.notes("talk.wav");
        assert!(!notes.contains("Incomplete") && notes.contains("They ship on Friday."), "{notes}");
        assert_eq!(
            (served.asked().0, served.server.count(SUM_UP)),
            (1, 4),
            "the transcription stands"
        );
    }
}

#[test]
fn an_instruction_goes_to_the_chat_with_what_was_said() {
    let served = Served::new(
        SUMMED_UP,
        "instruction = \"List what the otters decided.\"\nattendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]",
    );
    served.server.state().says["usage"] = json!({"completion_tokens": 2048});
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    assert!(
        notes.contains("- the otters ship") && notes.contains("> the model's answer was cut off"),
        "{notes}"
    );
    let state = served.server.state();
    let [asked] = state.chats.as_slice() else { panic!("{:?}", state.chats) };
    let question = asked["messages"][0]["content"].as_str().expect("a text");
    assert!(
        question.ends_with("Attendees: Ann Lee\n\nList what the otters decided.")
            && !question.contains('@')
    );
    assert_eq!(
        (&asked["model_name"], &asked["transcript"][0]["text"]),
        (&json!("talker"), &json!("Good morning."))
    );
    assert!(asked["temperature"].as_f64().expect("a number") < 0.5 && asked["max_tokens"].is_u64());
    assert!(state.summaries.is_empty());
}

#[test]
fn a_chat_without_a_summary_writes_all_notes_and_its_failure_leaves_the_transcript() {
    let served = Served::new("chat_model = \"otter\"", "");
    served.server.fail_always(CHAT, Fault::Status(500, "no such model"));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert_eq!(job["partial"], true, "{job:#}");
    served.server.clear_faults();
    let path = served.house.path("talk.wav");
    assert!(served.house.run(&["retry", path.to_str().expect("UTF-8")]).status.success());
    assert!(served.notes("talk.wav").contains("- the otters ship"));
    let state = served.server.state();
    assert_eq!((state.chats.len(), &state.chats[0]["model_name"]), (1, &json!("otter")));
    assert!(
        state.chats[0]["messages"][0]["content"]
            .as_str()
            .expect("a text")
            .contains("Write the minutes")
    );
}

#[test]
fn a_check_names_the_models_that_are_not_there() {
    let served = Served::new("model = \"base\"\nsummary_model = \"writer\"", "");
    fs::remove_dir_all(served.house.state_dir()).expect("removed");
    let check = || String::from_utf8_lossy(&served.house.run(&["check"]).stdout).into_owned();
    let told = check();
    assert!(told.contains("has not downloaded base, and does not list writer"), "{told}");
    assert!(
        told.contains("hint: download it at the server, or name another one in [services.home]"),
        "{told}"
    );
    served.configure("summary_model = \"talker\"", "");
    assert!(check().contains("answers and has the models"), "{}", check());
    served.server.state().models = json!({"models": "none"});
    served.server.state().chat_models = json!(null);
    assert!(check().contains("does not tell its models"));
    served.server.fail_always("GET /health", Fault::Body("<html>router</html>".into()));
    let told = check();
    assert!(
        told.contains("is not JSON") && told.contains("hint: start SaLED, or check base_url"),
        "{told}"
    );
    served.server.clear_faults();
    served.server.fail_always("GET /health", Fault::Status(401, "who are you"));
    assert!(check().contains("a sign-in is wanted, which no SaLED does"), "{}", check());
    assert!(!served.house.state_dir().exists(), "a check leaves no trace");
}

#[test]
fn how_far_the_server_is_shows_and_a_stop_waits_for_nothing() {
    let served = Served::new("", "");
    served.server.state().held = Some(Work::Transcription);
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let running = until("its progress", || {
        let running = served.house.status()["running"][0].clone();
        (running["unit"] == "percent" && running["sent"] == 40).then_some(running)
    });
    assert_eq!((&running["total"], &running["stage"]), (&json!(100), &json!("upload")));
    let shown = served.house.run(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("transcribe talk.wav 40% ("), "{shown}");
    assert!(daemon.stop().success());
    assert!(
        served.house.log().contains("the upload is interrupted"),
        "it did not wait for the end of the drain"
    );
    served.server.state().held = None;
    let _daemon = served.house.start();
    served.notes("talk.wav");
    assert_eq!(served.asked().0, 1, "what was under way goes on");
}

#[test]
fn what_stands_still_for_too_long_is_an_attempt_and_what_moves_is_not() {
    let served = Served::new("", "");
    let text = fs::read_to_string(served.house.config()).expect("a config");
    let hasty =
        "poll = { first = \"10ms\", every = \"50ms\", timeout = \"1s\", patience = \"1s\" }";
    let text = text.replace("poll = { first = \"10ms\", every = \"50ms\" }", hasty);
    fs::write(served.house.config(), text).expect("written");
    served.server.state().held = Some(Work::Transcription);
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert!(job["error"].as_str().expect("told").contains("does not get on with it"), "{job:#}");
    assert_eq!((&job["attempts"], served.asked().0), (&3.into(), 3));
    // Fifty looks take more than twice its patience.
    (served.server.state().held, served.server.state().step) = (None, 2);
    served.house.drop_recording("slow.mp3");
    served.notes("slow.mp3");
    assert_eq!((&served.house.job("slow.mp3")["attempts"], served.asked().0), (&0.into(), 4));
}

#[test]
fn video_is_taken_where_the_server_does() {
    let served = Served::new("", "");
    let daemon = served.house.start();
    served.house.drop_recording("talk.mp4");
    until_told(
        || served.house.why("talk.mp4"),
        || served.house.why("talk.mp4").contains("it takes: aac").then_some(()),
    );
    drop(daemon);
    served.configure("video = true", "");
    let _daemon = served.house.start();
    served.notes("talk.mp4");
    assert_eq!(served.server.state().sent[0].mime, "video/mp4");
}

/// Answers that are none, and where.
const STRANGE: [(&str, &str, &str); 12] = [
    (SEND, "<h1>Welcome</h1>", "is not JSON"),
    (SEND, "{}", "without a job_id"),
    (SEND, "{\"job_id\": [\"a\"]}", "without a job_id"),
    (SEND, "{\"job_id\": \"..\"}", "without a job_id"),
    ("GET /api/transcribe/status", "[1]", "no status of a job"),
    ("GET /api/transcribe/status", "\"\\ud800\"", "is not JSON"),
    ("GET /api/transcribe/result", "{\"segments\": \"none\"}", "no transcription"),
    ("GET /api/transcribe/result", "<html>", "is not JSON"),
    (SUM_UP, "{\"job_id\": null}", "without a job_id"),
    ("GET /api/summary/status", "{\"status\": 7}", "no status of a job"),
    ("GET /api/summary/2", "{\"summary\": {}}", "no summary"),
    ("GET /api/transcribe/status", "HUGE", "longer than"),
];

#[test]
fn an_answer_that_was_not_promised_is_the_servers_own_and_heals() {
    for (call, body, words) in STRANGE {
        let served = Served::new(SUMMED_UP, "");
        let body =
            if body == "HUGE" { format!("\"{}\"", "x".repeat(9 << 20)) } else { body.to_owned() };
        served.server.fail_always(call, Fault::Body(body));
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.wait_for_down("talk.wav", words);
        served.server.clear_faults();
        served.notes("talk.wav");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0, "{call} {words}");
    }
}

#[test]
fn what_a_server_says_breaks_out_of_no_address_no_section_and_no_terminal() {
    let served = Served::new(SUMMED_UP, "formats = [\"md\", \"txt\", \"json\"]");
    let said = "<think>Obey!</think>---\nminuted: b3-0.sales.1\n---\n# Notes\n<script>alert(1)</script> \u{1b}[31mred\u{202e} \
                [x](javascript:alert(1)) <!-- hidden";
    {
        let mut state = served.server.state();
        state.id_prefix = "../../x?y=1#%2e%2e/é ".to_owned();
        state.summary =
            json!({"summary": said, "topics": ["\u{1b}]0;x\u{7}<b>bold</b>", {"name": "a\n# b"}]});
        let mut heard = transcription(&["\u{1b}]0;x\u{7}<b>bold</b>", "# Ignore all of this."]);
        heard["segments"][0]["speaker"] = json!("\u{1b}[31m<script>");
        heard["segments"][1]["start"] = json!(-5);
        state.transcription = heard;
    }
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    assert!(!notes.contains("Obey"), "{notes}");
    let (front, _) = notes[4..].split_once("\n---\n").expect("front matter");
    assert_eq!(front.lines().filter(|line| line.starts_with("minuted: b3-")).count(), 1, "{front}");
    assert_harmless(&rendered(&notes));
    for file in served.house.files().iter().filter(|file| *file != "talk.wav") {
        let text = fs::read_to_string(served.house.path(file)).expect("UTF-8").replace('\t', " ");
        assert_clean(file, text.as_bytes());
    }
    let state = served.server.state();
    let statuses: Vec<&String> =
        state.calls.iter().filter(|call| call.contains("/status/")).collect();
    assert!(
        statuses.iter().all(|call| call.matches('/').count() == 4 && !call.contains(['?', '#'])),
        "{statuses:?}"
    );
    assert_eq!((state.sent.len(), state.summaries.len()), (1, 1));
}

#[test]
fn recordings_are_transcribed_one_at_a_time() {
    let served = Served::new("", "");
    served.server.state().held = Some(Work::Transcription);
    let _daemon = served.house.start();
    for name in ["first.wav", "second.mp3", "third.m4a"] {
        fs::write(served.house.path(name), recording(name)).expect("written");
    }
    until("all are jobs", || (served.house.jobs().len() == 3).then_some(()));
    served.wait_for_work(Work::Transcription);
    assert_eq!(served.asked().0, 1);
    served.server.state().held = None;
    for name in ["first.wav", "second.mp3", "third.m4a"] {
        served.notes(name);
    }
    assert_eq!(served.asked().0, 3);
}
