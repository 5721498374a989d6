//! Koldan, from the recording to the notes and away again: what it is asked, what it may answer, how it may fail, and that a
//! death at any call makes nothing twice.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, thread};

use mail_parser::MessageParser;
use minuted::testing::effect::{Effect, When};
use serde_json::{Value, json};

use crate::{
    hostile::{assert_clean, assert_harmless, rendered},
    support::{
        house::{Daemon, House, until, until_told},
        koldan::{Call, Fault, KEY, Koldan, Rights},
    },
};

/// A house whose folder `sales` is served by Koldan.
struct Served {
    house: House,
    server: Koldan,
}

impl Served {
    fn new(service_keys: &str, folder_keys: &str) -> Self {
        let served = Self { house: House::new(), server: Koldan::start() };
        served.give_key(KEY);
        served.configure(service_keys, folder_keys);
        served
    }

    fn configure(&self, service_keys: &str, folder_keys: &str) {
        let text = format!(
            r#"state_dir = "{state}"
[services.cloud]
kind = "koldan"
base_url = "{base_url}"
api_key_file = "key"
poll = {{ first = "20ms", every = "50ms" }}
request_timeout = "5s"
{service_keys}
[retry]
delay = "50ms"
delay_max = "200ms"
[workers]
requests_per_second = 200
[log]
level = "debug"
[email]
from = "Minutes <minutes@example.com>"
failures_to = ["it@example.com"]
allow = ["@example.com"]
smtp = {{ host = "127.0.0.1", port = {smtp}, tls = "none" }}
[[folder]]
name = "sales"
path = "{folder}"
service = "cloud"
attendees = [{{ name = "Ann Lee", email = "ann@example.com" }}]
settle = "100ms"
rescan = "300ms"
backlog = "process"
{folder_keys}
"#,
            state = self.house.state_dir().display(),
            base_url = self.server.base_url(),
            smtp = self.house.smtp.port(),
            folder = self.house.folder().display(),
        );
        fs::write(self.house.config(), text).expect("written");
    }

    /// Writes the key, where the config looks for it.
    fn give_key(&self, key: &str) -> PathBuf {
        let file = self.house.dir.path().join("key");
        fs::write(&file, format!("{key}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        file
    }

    fn notes(&self, name: &str) -> String {
        let job = self.house.wait_for(name, "done");
        fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written")
    }

    /// The state of the service, with what is told of it.
    fn service(&self) -> (String, String) {
        let status = self.house.status();
        let service = status["services"].as_array().expect("a list")[0].clone();
        (service["state"].as_str().unwrap_or_default().to_owned(), service.to_string())
    }

    fn until_service(&self, state: &str, words: &str) {
        until_told(
            || format!("{state} with `{words}`: {:?}\n{}", self.service(), self.house.log()),
            || {
                Some(self.service())
                    .filter(|(is, told)| is == state && told.contains(words))
                    .map(drop)
            },
        );
    }

    fn check(&self) -> String {
        String::from_utf8_lossy(&self.house.run(&["check"]).stdout).into_owned()
    }

    fn retry(&self, name: &str) {
        let path = self.house.path(name);
        let output = self.house.run(&["retry", path.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn three_recordings_are_sent_once_each_and_summarised_by_the_template() {
    let served = Served::new(
        "model = \"legal\"\ndiarize = true\nprompt_template = \"action ITEMS\"",
        "language = \"en\"",
    );
    served.server.state().minutes_left = Some(600);
    let _daemon = served.house.start();
    for name in ["talk.wav", "call.mp3", "meeting.m4a"] {
        served.house.drop_recording(name);
    }
    for name in ["talk.wav", "call.mp3", "meeting.m4a"] {
        let notes = served.notes(name);
        assert!(
            notes.contains("\\- ship on \\*Friday\\*  \n")
                || notes.contains("Decisions  \n\\- ship"),
            "{notes}"
        );
        assert!(
            notes.contains("## Transcript\n\nGood morning. We decided to ship on Friday."),
            "{notes}"
        );
        assert!(notes.contains("service: cloud\n") && !notes.contains("dir:"), "{notes}");
    }
    assert_eq!(served.server.made(), (3, 3, 3));
    let job = served.house.job("talk.wav");
    let state = served.server.state();
    let file = state.files.iter().find(|file| file.sent.name == "talk.wav").expect("sent");
    let sent = &file.sent;
    assert_eq!(sent.bytes, fs::read(served.house.path("talk.wav")).expect("there"));
    assert_eq!((sent.field("name"), sent.field("path")), (Some("talk.wav"), Some("minuted")));
    let field = |name: &str| {
        serde_json::from_str::<Value>(sent.field(name).expect("a field")).expect("JSON")
    };
    assert_eq!(
        field("transcription"),
        json!({"model": "legal", "language": {"defaultLanguageCode": "en"}})
    );
    assert_eq!(field("diarization"), json!({"enabled": true}));
    assert_eq!(
        field("tags"),
        json!(["minuted", format!("minuted:{}", job["key"].as_str().expect("a key"))])
    );
    assert!(state.summaries.iter().all(|summary| summary.template == "77"));
    assert!(
        job["recording_id"].as_str().expect("an id").starts_with("tr-") && job["attempts"] == 0
    );
}

/// Whether a recording is sent to be told apart by speakers, by the config and a sidecar of its own.
fn diarized(folder_keys: &str, sidecar: Option<&str>) -> Value {
    let served = Served::new("diarize = true\nanalyses = [\"transcription\"]", folder_keys);
    let _daemon = served.house.start();
    if let Some(sidecar) = sidecar {
        fs::write(served.house.path("talk.wav.toml"), sidecar).expect("written");
    }
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    let state = served.server.state();
    serde_json::from_str::<Value>(state.files[0].sent.field("diarization").expect("a field"))
        .expect("JSON")
}

#[test]
fn speakers_off_wins_over_diarize_and_a_number_in_the_defaults_is_ignored() {
    let enabled = |is: bool| json!({ "enabled": is });
    assert_eq!(diarized("speakers = \"off\"", None), enabled(false));
    assert_eq!(diarized("sidecars = true", Some("speakers = \"off\"\n")), enabled(false));
    assert_eq!(diarized("[defaults]\nspeakers = \"off\"", None), enabled(false));
    for speakers in ["\"auto\"", "3"] {
        assert_eq!(
            diarized(&format!("[defaults]\nspeakers = {speakers}"), None),
            enabled(true),
            "{speakers}"
        );
    }
    assert_eq!(
        diarized("sidecars = true\nspeakers = \"off\"", Some("speakers = \"auto\"\n")),
        enabled(true)
    );
}

#[test]
fn a_transcription_alone_needs_no_template_and_is_in_hebrew_by_default() {
    let served = Served::new("analyses = [\"transcription\"]", "");
    served.server.fail_always(Call::Templates, Fault::Status(403, json!({})));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    assert!(served.notes("talk.wav").contains("Good morning."));
    assert_eq!(served.server.made(), (1, 1, 0));
    let state = served.server.state();
    assert!(state.files[0].sent.field("transcription").expect("a wish").contains("\"he\""));
    assert!(!state.calls.contains(&Call::Summarise));
}

/// Houses at once: they wait more than they work.
const AT_ONCE: usize = 3;

/// Runs each case in a house of its own.
fn each_in_its_house<T: Sync>(cases: &[T], work: impl Fn(&T) + Sync) {
    for some in cases.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for case in some {
                let work = &work;
                scope.spawn(move || work(case));
            }
        });
    }
}

/// Both sides of these effects.
fn points(effects: &[Effect]) -> Vec<String> {
    let both =
        |effect: &Effect| [When::Before, When::After].map(|when| format!("{effect:?}:{when:?}"));
    effects.iter().flat_map(both).collect()
}

#[test]
fn a_death_around_any_call_makes_one_file_one_transcription_and_one_summary() {
    let effects = [
        Effect::IntendCreate,
        Effect::CallCreate,
        Effect::Created,
        Effect::CallUpload,
        Effect::Uploaded,
        Effect::CallLook,
        Effect::IntendRequest,
        Effect::PlaceTranscript,
        Effect::CallRequest,
        Effect::Requested,
        Effect::Analysed,
    ];
    each_in_its_house(&points(&effects), |point| {
        let served = Served::new("", "");
        let mut daemon = served.house.spawn(&[("MINUTED_DIE", point)]);
        served.house.drop_recording("talk.wav");
        until_told(
            || format!("it died at {point}: {}", served.house.log()),
            || daemon.was_killed().then_some(()),
        );
        let _daemon = served.house.start();
        assert!(served.notes("talk.wav").contains("ship on"), "{point}");
        assert_eq!(served.server.made(), (1, 1, 1), "{point}: {}", served.house.log());
        assert_eq!(served.house.files(), ["talk.notes.md", "talk.wav"], "{point}");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0, "{point}");
    });
}

#[test]
fn a_server_that_takes_no_notice_of_filters_is_believed_nothing_that_it_does_not_say() {
    let served = Served::new("", "");
    served.server.state().lists_no_texts = true;
    let _daemon = served.house.start();
    // Somebody else's file, transcription and summary are there before ours.
    served.house.drop_recording("other.wav");
    served.notes("other.wav");
    served.server.state().ignores_filters = true;
    served.server.fail_next(Call::Upload, Fault::Lost);
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    assert_eq!(served.server.made(), (2, 2, 2));
    let (first, second) = (served.house.job("other.wav"), served.house.job("talk.wav"));
    assert_ne!(first["recording_id"], second["recording_id"]);
}

#[test]
fn another_ones_file_of_the_same_content_is_not_taken_for_ours() {
    let served = Served::new("", "");
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    // The same bytes, once more: another generation, with a marker of its own.
    let path = served.house.path("talk.wav");
    assert!(served.house.run(&["redo", path.to_str().expect("UTF-8")]).status.success());
    until("both are done", || (served.house.count("done") == 2).then_some(()));
    assert_eq!(served.server.made(), (2, 2, 2));
}

#[test]
fn a_transcription_that_fails_is_made_anew_and_never_taken_up_again() {
    let served = Served::new("", "");
    served.server.state().bad_transcriptions = 2;
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    let job = served.house.job("talk.wav");
    assert_eq!(
        (served.server.made(), &job["attempts"], &job["recording_id"]),
        ((3, 3, 1), &2.into(), &"tr-2".into())
    );
    assert!(
        job["history"].to_string().contains("SUMMARIZATION_FAILED: the model gave up"),
        "{job:#}"
    );
}

#[test]
fn a_summary_that_fails_is_asked_for_again_and_at_last_leaves_the_transcript() {
    let served = Served::new("", "");
    served.server.state().bad_summaries = 3;
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &true.into()), "{job:#}");
    let partial =
        until("partial notes", || fs::read_to_string(served.house.path("talk.notes.md")).ok());
    assert!(
        partial.contains("**Incomplete:**") && partial.contains("Ann will tell Bo."),
        "{partial}"
    );
    assert_eq!(served.server.made(), (1, 1, 3), "one summary an attempt");
    served.retry("talk.wav");
    assert!(served.notes("talk.wav").contains("ship on"));
    assert_eq!(served.server.made(), (1, 1, 4));
}

#[test]
fn a_folder_has_a_template_of_its_own_by_its_id() {
    let served = Served::new("prompt_template = \"Protocol\"", "prompt_template = \"77\"");
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    assert_eq!(served.server.state().summaries[0].template, "77");
}

#[test]
fn a_summary_under_way_is_waited_for_whatever_the_config_says_since() {
    let served = Served::new("", "prompt_template = \"Protocol\"");
    served.server.state().looks = 20;
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until("the summary is begun", || (served.server.made().2 == 1).then_some(()));
    served.configure("", "prompt_template = \"Action items\"");
    daemon.signal(rustix::process::Signal::HUP);
    served.notes("talk.wav");
    assert_eq!(served.server.made(), (1, 1, 1));
    let kept =
        fs::read_dir(served.house.state_dir().join("koldan/cloud")).expect("a directory").count();
    assert_eq!(kept, 0, "what was asked for is forgotten when it is there");
    served.house.drop_recording("next.wav");
    served.notes("next.wav");
    assert_eq!(served.server.state().summaries[1].template, "77");
}

#[test]
fn a_template_that_is_not_there_holds_its_folder_before_anything_is_sent() {
    let served = Served::new("", "prompt_template = \"Minutes\"");
    let told = served.check();
    let words = "there is no template `Minutes`; there are `Protocol`, `Action items`";
    assert!(
        told.contains(words) && told.contains("name one that is there: prompt_template"),
        "{told}"
    );
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until_told(
        || format!("it is told: {}", served.house.why("talk.wav")),
        || served.house.why("talk.wav").contains(words).then_some(()),
    );
    assert_eq!(served.server.count(Call::Upload), 0);
    served.configure("", "prompt_template = \"protocol\"");
    daemon.signal(rustix::process::Signal::HUP);
    served.notes("talk.wav");
    assert_eq!(
        (served.server.made(), served.house.job("talk.wav")["attempts"].clone()),
        ((1, 1, 1), 0.into())
    );
}

#[test]
fn a_template_that_goes_meanwhile_is_told_with_the_cure_and_the_transcript_is_kept() {
    let served = Served::new("", "");
    let gone = json!({"errors": [{"code": "PROMPT_TEMPLATE_NOT_FOUND"}]});
    served.server.fail_always(Call::Summarise, Fault::Status(404, gone));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    let told = job["error"].as_str().expect("an error");
    assert!(
        told.contains("the template `Protocol` is not there any more")
            && told.contains("minuted retry"),
        "{told}"
    );
    assert_eq!(job["partial"], true);
    served.server.clear_faults();
    served.retry("talk.wav");
    served.notes("talk.wav");
    assert_eq!(served.server.made(), (1, 1, 1));
}

#[test]
fn a_viewer_and_a_key_without_scopes_are_told_and_count_for_nothing() {
    for (rights, calls) in [(Rights::Viewer, Call::Upload), (Rights::Nothing, Call::Templates)] {
        let served = Served::new("", "");
        served.server.state().rights = rights;
        let told = served.check();
        assert!(told.contains("without the scope for it, or its account is a viewer"), "{told}");
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.until_service("signed_out", "a viewer, which may only read");
        assert!(served.server.count(calls) > 0, "{rights:?}");
        assert!(
            served.house.why("talk.wav").contains("more than a viewer's rights"),
            "{}",
            served.house.why("talk.wav")
        );
        served.server.state().rights = Rights::Full;
        assert!(served.house.run(&["whoami", "cloud"]).status.success());
        served.notes("talk.wav");
        assert_eq!(served.house.job("talk.wav")["attempts"], 0);
    }
}

#[test]
fn a_key_that_was_changed_heals_by_itself_and_is_told_to_nobody() {
    let served = Served::new("", "");
    served.give_key("kk-canary-wrong");
    let loud = "trace,hyper=trace,hyper_util=trace,reqwest=trace";
    let _daemon = served.house.listening(served.house.spawn(&[("RUST_LOG", loud)]));
    served.house.drop_recording("talk.wav");
    served.until_service("signed_out", "INVALID_KEY [the key]");
    let told = served.check();
    assert!(told.contains("put a key that the server takes into"), "{told}");
    served.give_key(KEY);
    served.notes("talk.wav");
    let mut said = served.house.log() + &told;
    for command in
        [&["status"][..], &["jobs"], &["check"], &["whoami"], &["meetings"], &["job", "1"]]
    {
        let output = served.house.command(command).env("RUST_LOG", loud).output().expect("run");
        said += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    let canary = said.lines().find(|line| line.contains("canary"));
    assert_eq!(canary, None);
    for name in fs::read_dir(served.house.state_dir()).expect("a directory").flatten() {
        let bytes = fs::read(name.path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{:?}", name.file_name());
    }
    let keys: Vec<String> = served.server.state().keys.iter().cloned().collect();
    assert_eq!(keys, [KEY, "kk-canary-wrong"]);
    assert!(
        served.house.standin.calls().iter().all(|call| !format!("{call:?}").contains("canary"))
    );
}

#[test]
fn a_key_may_lie_in_the_environment() {
    let served = Served::new("", "");
    let config = fs::read_to_string(served.house.config()).expect("read");
    let config = config.replace("api_key_file = \"key\"", "api_key_env = \"OUR_KOLDAN_KEY\"");
    fs::write(served.house.config(), config).expect("written");
    let told = served.check();
    assert!(told.contains("the variable $OUR_KOLDAN_KEY of `api_key_env` is not set"), "{told}");
    let _daemon = served.house.listening(served.house.spawn(&[("OUR_KOLDAN_KEY", KEY)]));
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
}

#[test]
fn a_rate_limit_is_obeyed_and_counts_for_nothing() {
    let served = Served::new("", "");
    served.server.fail_next(Call::Upload, Fault::RetryAfter(429, 1));
    served.server.fail_next(Call::Summarise, Fault::RetryAfter(429, 1));
    served.server.fail_next(Call::Transcription, Fault::RetryAfter(429, 1));
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    assert_eq!(
        (served.server.made(), served.house.job("talk.wav")["attempts"].clone()),
        ((1, 1, 1), 0.into())
    );
    // By its own word: an hour is an hour.
    served.server.fail_next(Call::Upload, Fault::RetryAfter(429, 3600));
    served.house.drop_recording("later.wav");
    until("the hour is obeyed", || {
        let status = served.house.status();
        let next: jiff::Timestamp = status["services"][0]["next_try"].as_str()?.parse().ok()?;
        (next.duration_since(minuted::testing::clock::now()).as_secs() > 3000).then_some(())
    });
    daemon.stop();
}

#[test]
fn a_quota_that_is_spent_holds_uploads_and_heals_by_itself() {
    let served = Served::new("", "");
    served.server.state().minutes_left = Some(0);
    let told = served.check();
    assert!(told.contains("transcriptionMinutes: 600 of 600 used"), "{told}");
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.until_service(
        "down",
        "the account's quota is spent (transcriptionMinutes: 600 of 600 used)",
    );
    assert_eq!(served.server.count(Call::Upload), 0, "not a byte is sent for nothing");
    served.server.state().minutes_left = Some(30);
    served.notes("talk.wav");
    // Where the limits are not told, the refusal tells.
    served.server.state().minutes_left = None;
    for (name, status) in [("a.wav", 402), ("b.wav", 403), ("c.wav", 429)] {
        served
            .server
            .fail_always(Call::Upload, Fault::Status(status, json!({"code": "QUOTA_EXCEEDED"})));
        served.house.drop_recording(name);
        served.until_service("down", &format!("the account's quota is spent ({status}): "));
        served.server.clear_faults();
        served.notes(name);
        assert_eq!(served.house.job(name)["attempts"], 0, "{name}");
    }
    assert_eq!(served.server.made(), (4, 4, 4));
}

/// What is deleted at the server: transcriptions, then summaries, each with whether it was purged.
fn cancel(served: &Served, name: &str) -> String {
    let output = served.house.run(&["cancel", served.house.path(name).to_str().expect("UTF-8")]);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn a_job_that_is_given_up_ends_its_summary_there_and_retry_has_another_one_written() {
    let served = Served::new("", "");
    served.server.state().summary_looks = Some(1_000);
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until("the summary is under way", || (served.server.made().2 == 1).then_some(()));
    let told = until_told(
        || served.house.log(),
        || {
            Some(cancel(&served, "talk.wav"))
                .filter(|told| told.contains("the service ends its work on it"))
        },
    );
    assert!(told.contains("is cancelled"), "{told}");
    assert!(served.server.state().summaries[0].cancelled);
    served.server.state().summary_looks = None;
    served.retry("talk.wav");
    assert!(served.notes("talk.wav").contains("ship on"));
    assert_eq!(served.server.made(), (1, 1, 2));
}

#[test]
fn a_death_while_the_summary_is_ended_leaves_a_job_that_is_given_up() {
    each_in_its_house(&points(&[Effect::CallCancel]), |point| {
        let served = Served::new("", "");
        served.server.state().summary_looks = Some(1_000);
        let mut daemon = served.house.spawn(&[("MINUTED_DIE", point)]);
        served.house.drop_recording("talk.wav");
        until("the summary is under way", || (served.server.made().2 == 1).then_some(()));
        until("the job waits for it", || {
            (served.house.job_if("talk.wav")?["waits_for"] == "analysis").then_some(())
        });
        cancel(&served, "talk.wav");
        until_told(
            || format!("it died at {point}: {}", served.house.log()),
            || daemon.was_killed().then_some(()),
        );
        let _daemon = served.house.start();
        assert_eq!(served.house.wait_for("talk.wav", "cancelled")["attempts"], 0, "{point}");
        served.server.state().summary_looks = None;
        served.server.state().summaries[0].left = 0;
        served.retry("talk.wav");
        assert!(served.notes("talk.wav").contains("ship on"), "{point}");
        assert_eq!((served.server.made().0, served.server.made().1), (1, 1), "{point}");
    });
}

fn gone(server: &Koldan) -> (Vec<Option<bool>>, Vec<Option<bool>>) {
    let state = server.state();
    (
        state.transcriptions.iter().map(|work| work.gone).collect(),
        state.summaries.iter().map(|work| work.gone).collect(),
    )
}

const MAILS: &str = "deliver = [\"beside\", \"email\"]\non_success = \"move\"\n";

#[test]
fn what_the_service_keeps_is_purged_when_the_mail_is_sent_and_the_recording_moved_and_not_before() {
    let served = Served::new("", &format!("{MAILS}on_success_remote = \"purge\""));
    served.house.smtp.down(true);
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until("the notes are there", || {
        served.house.files().contains(&"done/talk.notes.md".to_owned()).then_some(())
    });
    until("the mail has been tried", || (served.house.smtp.conversations() > 1).then_some(()));
    assert_eq!(
        (served.server.count(Call::Delete), gone(&served.server)),
        (0, (vec![None], vec![None]))
    );
    served.server.fail_always(Call::Delete, Fault::Status(503, json!({})));
    served.house.smtp.down(false);
    until("deleting has been tried", || (served.server.count(Call::Delete) > 1).then_some(()));
    assert_eq!(served.house.smtp.received().len(), 1);
    assert!(
        served.house.files().contains(&"done/talk.wav".to_owned()),
        "the move does not wait for the service"
    );
    served.server.clear_faults();
    let purged = Some(true);
    until("all is purged", || (gone(&served.server) == (vec![purged], vec![purged])).then_some(()));
}

#[test]
fn a_death_around_the_purge_purges_all_of_it_and_nothing_twice_in_the_ledger() {
    let effects = [Effect::CallDispose, Effect::Delivered];
    let mut cases = points(&effects);
    cases.extend(
        ["Delivered:before:2", "Delivered:after:2", "Delivered:before:3", "Delivered:after:3"]
            .map(str::to_owned),
    );
    each_in_its_house(&cases, |point| {
        let served = Served::new("", &format!("{MAILS}on_success_remote = \"purge\""));
        let mut daemon = served.house.spawn(&[("MINUTED_DIE", point)]);
        served.house.drop_recording("talk.wav");
        until_told(
            || format!("it died at {point}: {}", served.house.log()),
            || daemon.was_killed().then_some(()),
        );
        let _daemon = served.house.start();
        let done = || served.house.jobs().iter().any(|job| job["state"] == "done").then_some(());
        until_told(|| format!("{point}: {}", served.house.log()), done);
        assert_eq!(gone(&served.server), (vec![Some(true)], vec![Some(true)]), "{point}");
        let job = &served.house.jobs()[0];
        let remote = job["deliveries"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| one["kind"] == "remote");
        assert_eq!(
            remote.map(|one| one["state"].clone()).collect::<Vec<_>>(),
            ["done"],
            "{point}: {job:#}"
        );
        assert_eq!(served.server.made(), (1, 1, 1), "{point}");
    });
}

#[test]
fn what_is_gone_already_is_no_error_and_what_is_at_work_is_waited_for() {
    let served = Served::new("", "on_success_remote = \"delete\"");
    served.server.fail_always(Call::Delete, Fault::Status(409, json!({"code": "IN_PROGRESS"})));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until("it has been tried", || (served.server.count(Call::Delete) > 3).then_some(()));
    assert_ne!(
        served.house.state("talk.wav").as_deref(),
        Some("failed"),
        "that counts for nothing"
    );
    assert!(served.house.why("talk.wav").contains("to delete what the service keeps of it waits"));
    // Somebody purged the summary meanwhile.
    served.server.state().summaries[0].gone = Some(true);
    served.server.clear_faults();
    served.house.wait_for("talk.wav", "done");
    assert_eq!(
        gone(&served.server),
        (vec![Some(false)], vec![Some(true)]),
        "deleted, and not purged"
    );
}

#[test]
fn a_service_that_knows_no_deletion_is_not_believed_that_it_deleted() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    served
        .server
        .fail_always(Call::Delete, Fault::Status(404, json!({"message": "no such place"})));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert!(job["error"].as_str().expect("an error").contains("it is still there"), "{job:#}");
}

#[test]
fn a_service_that_will_not_delete_is_told_and_retry_asks_again() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    served
        .server
        .fail_always(Call::Delete, Fault::Status(403, json!({"message": "no such scope"})));
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let job = served.house.wait_for("talk.wav", "failed");
    assert!(job["error"].as_str().expect("an error").contains("no such scope"), "{job:#}");
    assert!(served.house.files().contains(&"talk.notes.md".to_owned()) && job["partial"] == false);
    served.until_service("up", "");
    let told = "what the service keeps of talk.wav could not be deleted there";
    served.house.assert_notices(told, 1);
    served.server.clear_faults();
    served.retry("talk.wav");
    served.house.wait_for("talk.wav", "done");
    assert_eq!(gone(&served.server), (vec![Some(true)], vec![Some(true)]));
}

#[test]
fn a_run_to_the_end_waits_for_no_service_that_does_not_delete_now() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    served.server.fail_always(Call::Delete, Fault::Status(503, json!({})));
    served.house.drop_recording("talk.wav");
    let output = served.house.run(&["run", "--once"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("1 recording waiting for what is down"), "{told}");
    assert!(served.house.files().contains(&"talk.notes.md".to_owned()));
    served.server.clear_faults();
    assert!(served.house.run(&["run", "--once"]).status.success());
    assert_eq!(gone(&served.server), (vec![Some(true)], vec![Some(true)]));
}

#[test]
fn nothing_is_deleted_of_a_recording_that_failed() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    served.server.state().bad_summaries = 3;
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.house.wait_for("talk.wav", "failed");
    until("partial notes", || fs::read_to_string(served.house.path("talk.notes.md")).ok());
    until("the word of it", || {
        served.house.files().contains(&"talk.failed.txt".to_owned()).then_some(())
    });
    assert_eq!(served.server.count(Call::Delete), 0);
}

#[test]
fn more_analyses_of_what_was_deleted_are_refused_with_the_way_out() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    let path = served.house.path("talk.wav");
    let path = path.to_str().expect("UTF-8");
    let output = served.house.run(&["analyse", path, "--types", "meeting note"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success()
            && told.contains("was deleted at the service after its notes were made"),
        "{told}"
    );
    assert!(told.contains("minuted redo"), "{told}");
    assert!(served.house.run(&["redo", path]).status.success());
    until("it is done anew", || (served.house.count("done") == 2).then_some(()));
    assert_eq!(served.server.made(), (2, 2, 2));
}

#[test]
fn a_folder_that_changes_its_mind_keeps_what_the_service_has() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    served.server.fail_always(Call::Delete, Fault::Status(503, json!({})));
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    until("it has been tried", || (served.server.count(Call::Delete) > 0).then_some(()));
    served.configure("", "");
    daemon.signal(rustix::process::Signal::HUP);
    served.house.wait_for("talk.wav", "done");
    assert_eq!(gone(&served.server), (vec![None], vec![None]));
    let path = served.house.path("talk.wav");
    let arguments = ["analyse", path.to_str().expect("UTF-8"), "--types", "meeting note"];
    assert!(served.house.run(&arguments).status.success(), "it is all there");
    served.house.wait_for("talk.wav", "done");
}

#[test]
fn a_queue_from_before_the_purge_sends_nothing_again_for_notes_that_are_there() {
    let served = Served::new("", "on_success_remote = \"purge\"");
    let daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    served.notes("talk.wav");
    daemon.stop();
    let queue =
        rusqlite::Connection::open(served.house.state_dir().join("queue.sqlite")).expect("opened");
    queue.execute("DELETE FROM delivery WHERE kind = 'remote'", []).expect("as it was before");
    drop(queue);
    let _daemon = served.house.start();
    let path = served.house.path("talk.wav");
    let arguments = ["analyse", path.to_str().expect("UTF-8"), "--types", "meeting note"];
    assert!(served.house.run(&arguments).status.success());
    let job = served.house.wait_for("talk.wav", "failed");
    let told = job["error"].as_str().expect("an error");
    assert!(
        told.contains("has deleted its recording after the notes were made")
            && told.contains("minuted redo"),
        "{told}"
    );
    assert_eq!((served.server.made(), served.server.count(Call::Upload)), ((1, 1, 1), 1));
}

#[test]
fn hebrew_reads_from_right_to_left_as_a_file_and_as_a_mail() {
    let served = Served::new("", "deliver = [\"beside\", \"email\"]");
    served.server.state().heard = json!({"text": "בוקר טוב.\n\nהחלטנו לשלוח את Acme ביום שישי."});
    served.server.state().says = "החלטות\n- לשלוח ביום שישי".to_owned();
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    assert!(
        notes.contains("\ndir: rtl\n") && notes.contains("# talk\n\nהחלטות  \n\\- לשלוח ביום שישי"),
        "{notes}"
    );
    let mails =
        until("the mail", || Some(served.house.smtp.received()).filter(|mails| !mails.is_empty()));
    let message = MessageParser::default().parse(&mails[0].raw).expect("a mail");
    let html = message.body_html(0).expect("a page");
    assert!(html.contains("<body dir=\"rtl\">") && html.contains("<main dir=\"rtl\""), "{html}");
    assert!(
        html.contains("<h1 dir=\"auto\">talk</h1>") && html.contains("<footer dir=\"ltr\">"),
        "{html}"
    );
    let text = message.body_text(0).expect("a text");
    assert!(text.contains("לשלוח ביום שישי") && !text.contains("rtl"), "{text}");
}

#[test]
fn nothing_that_koldan_says_breaks_out_of_its_place() {
    let served = Served::new("", "formats = [\"md\", \"txt\", \"json\"]");
    let hostile = "---\nminuted: b3-0.sales.1\n---\n# Notes\n<script>alert(1)</script> \u{1b}[31mred\u{202e} \
                   [x](javascript:alert(1)) <!-- hidden\n```\n<b onclick=x>";
    served.server.state().says = hostile.to_owned();
    served.server.state().heard =
        json!({"segments": [{"start": 0, "text": hostile, "speaker": "\u{1b}]0;x\u{7}Eve"}]});
    served.server.state().templates[0].1 = "Proto\u{1b}[31mcol\u{202e}".to_owned();
    let _daemon = served.house.start();
    served.house.drop_recording("talk.wav");
    let notes = served.notes("talk.wav");
    let (front, _) = notes[4..].split_once("\n---\n").expect("front matter");
    assert_eq!(front.lines().filter(|line| line.starts_with("minuted: b3-")).count(), 1, "{front}");
    assert_harmless(&rendered(&notes));
    for file in served.house.files().iter().filter(|file| *file != "talk.wav") {
        let text = fs::read_to_string(served.house.path(file)).expect("UTF-8").replace('\t', " ");
        assert_clean(file, text.as_bytes());
    }
    for command in [&["check"][..], &["whoami"], &["meetings"], &["job", "1"]] {
        let output = served.house.run(command);
        assert_clean(&format!("{command:?}"), &[output.stdout, output.stderr].concat());
    }
}

#[test]
fn an_answer_that_was_not_promised_is_the_services_own_fault() {
    let answers = [
        "<h1>Welcome</h1>",
        "[]",
        "7",
        "{}",
        "null",
        "{\"id\": \"another\", \"status\": \"COMPLETED\"}",
    ];
    for call in [
        Call::Upload,
        Call::Transcription,
        Call::Summarise,
        Call::Summaries,
        Call::Files,
        Call::Templates,
    ] {
        let served = Served::new("", "");
        for answer in answers {
            // An object without a word is a transcription under way, and a template may be missing: those are read.
            let is_read = matches!(
                (call, answer),
                (Call::Transcription, "{}")
                    | (Call::Templates | Call::Summaries | Call::Files, "[]")
            );
            // What was begun under another id shows when it is looked at.
            let is_other = call == Call::Upload && answer.contains("another")
                || call == Call::Summarise && answer.contains("another");
            if !is_read && !is_other {
                served.server.fail_next(call, Fault::Says(answer.to_owned()));
            }
        }
        let _daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.notes("talk.wav");
        let job = served.house.job("talk.wav");
        assert_eq!(
            (served.server.made(), &job["attempts"]),
            ((1, 1, 1), &0.into()),
            "{call:?}: {job:#}"
        );
    }
}

#[test]
fn a_transcription_that_is_gone_is_made_anew() {
    for status in [404, 410] {
        let served = Served::new("", "");
        served.server.fail_next(Call::Transcription, Fault::Status(status, json!({})));
        served.server.state().looks = 3;
        let _daemon: Daemon = served.house.start();
        served.house.drop_recording("talk.wav");
        served.notes("talk.wav");
        let job = served.house.job("talk.wav");
        assert_eq!((&job["attempts"], served.server.made().2), (&1.into(), 1), "{job:#}");
        assert!(
            job["history"].to_string().contains("the recording is gone at the service"),
            "{job:#}"
        );
    }
}
