//! Notes that another service writes (`notes = "NAME"`), and what is left of what its model says.

use std::{fs, fs::Permissions, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::support::{
    house::{House, until, until_told},
    meetingbaas::{Baas, Bot},
    openai::{Call, Fault, Manner, OpenAi, Shape, transcription},
};

/// A house whose recordings one server hears and another one writes about.
struct Pair {
    house: House,
    ears: OpenAi,
    pen: OpenAi,
}

impl Pair {
    fn new(shape: Shape, service_keys: &str, folder_keys: &str) -> Self {
        let pair = Self { house: House::new(), ears: OpenAi::start(), pen: OpenAi::start() };
        pair.pen.state().shape = shape;
        pair.pen.state().models = Some(vec!["writer:latest".to_owned()]);
        pair.ears.state().transcription = transcription(&[
            "Good morning.",
            "We decided to ship the new list on Friday.",
            "Bo will write to the forty customers.",
            "Who pays for the stamps?",
        ]);
        pair.configure(service_keys, "", folder_keys);
        pair
    }

    fn configure(&self, service_keys: &str, pen_keys: &str, folder_keys: &str) {
        let text = format!(
            "state_dir = \"{}\"\n[retry]\ndelay = \"50ms\"\ndelay_max = \"200ms\"\n[log]\nlevel = \"debug\"\n\
             [services.ears]\nkind = \"openai\"\nbase_url = \"{}\"\nnotes = \"pen\"\n{service_keys}\n\
             [services.pen]\nkind = \"openai\"\nbase_url = \"{}\"\nnotes_model = \"writer:latest\"\n{pen_keys}\n\
             [[folder]]\nname = \"sales\"\npath = \"{}\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
             backlog = \"process\"\n{folder_keys}\n",
            self.house.state_dir().display(),
            self.ears.base_url(),
            self.pen.base_url(),
            self.house.folder().display(),
        );
        fs::write(self.house.config(), text).expect("written");
    }

    fn notes(&self, name: &str) -> String {
        let job = self.house.wait_for(name, "done");
        fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written")
    }

    /// What is sent where, so far: recordings to one, questions to the other.
    fn sent(&self) -> (usize, usize) {
        assert_eq!(self.pen.state().sent.len(), 0, "no recording ever goes to the one that writes");
        assert!(!self.pen.state().calls.contains(&Call::Transcribe));
        assert_eq!(self.ears.state().asked.len(), 0);
        (self.ears.state().sent.len(), self.pen.state().asked.len())
    }
}

const QUICK: &str = "poll = { first = \"10ms\", every = \"50ms\" }";

#[test]
fn one_service_hears_and_another_writes_with_a_quote_under_each_item() {
    for shape in [Shape::Ollama, Shape::Llama] {
        let pair = Pair::new(shape, QUICK, "formats = [\"md\", \"json\"]");
        let _daemon = pair.house.start();
        pair.house.drop_recording("talk.wav");
        let notes = pair.notes("talk.wav");
        assert!(notes.contains("\nservice: ears\nnotes_by: \"pen writer:latest\"\n"), "{notes}");
        for part in [
            "## Summary\n\n- We decided to ship the new list on Friday.",
            "## Decisions\n\n- We decided to ship the new list on Friday.\n  > [00:00:02] We decided to ship",
            "## Action items\n\n- [ ] **Bo**: Bo will write to the forty customers.\n  > [00:00:04] Bo will",
            "## Open questions\n\n- Who pays for the stamps?\n  > [00:00:06] Who pays",
            "## Transcript",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert!(!notes.contains("(check)") && !notes.contains("\n> "), "{notes}");
        assert_eq!(pair.sent(), (1, 1));
        let json = fs::read_to_string(pair.house.path("talk.notes.json")).expect("written");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["notes_by"], "pen writer:latest");
        let note = json["analyses"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|part| part["type"] == "meeting note");
        let items = note.expect("a note")["items"].as_array().expect("items").clone();
        let lines: Vec<_> =
            items.iter().map(|item| (item["kind"].as_str(), item["lines"].clone())).collect();
        assert_eq!(
            lines,
            [
                (Some("decision"), json!([2])),
                (Some("action"), json!([3])),
                (Some("question"), json!([4])),
            ]
        );
        let asked = pair.pen.state().asked[0].body.clone();
        assert_eq!(
            (asked["temperature"].as_f64(), asked["max_tokens"].as_u64()),
            (Some(0.2), Some(2048))
        );
        assert_eq!(asked["response_format"]["json_schema"]["schema"]["required"][0], "actions");
    }
}

#[test]
fn what_a_server_refuses_of_a_question_is_left_out_from_then_on() {
    for (field, status) in [("response_format", 400), ("temperature", 422), ("max_tokens", 404)] {
        let pair = Pair::new(Shape::Both, QUICK, "");
        pair.pen.state().refuses_fields = vec![(field, status)];
        let _daemon = pair.house.start();
        for name in ["first.wav", "second.wav"] {
            pair.house.drop_recording(name);
            assert!(pair.notes(name).contains("> [00:00:02] We decided"), "{field}");
            assert_eq!(pair.house.job(name)["attempts"], 0);
        }
        let state = pair.pen.state();
        let fields = ["response_format", "temperature", "max_tokens"];
        for asked in &state.asked {
            let missing: Vec<_> =
                fields.iter().filter(|field| asked.body.get(field).is_none()).collect();
            assert_eq!(missing, [&field], "only what is refused is left out");
        }
        let chats = state.calls.iter().filter(|call| **call == Call::Chat).count();
        assert!((3..=5).contains(&chats) && state.asked.len() == 2, "{field}: {chats} calls");
    }
}

#[test]
fn what_nobody_said_is_dropped_and_counted_or_marked() {
    for (manner, there, not_there) in [
        (
            Manner::WrongLines,
            &[
                "> 6 items that the model named are not in the transcript",
                "> the model named no decision, task or open question that the transcript holds",
                "## Transcript",
            ][..],
            &["## Decisions", "## Action items", "## Summary"][..],
        ),
        (
            Manner::Invents,
            &[
                "> 1 item that the model named is not in the transcript",
                "- [ ] Bo will write to the forty customers.\n",
                "- Who pays for the stamps? at 17:45 (check)\n",
            ],
            &["marketing", "Bullock", "17:00"],
        ),
        (Manner::Loops, &["## Action items"], &["we ship it", "## Decisions"]),
        (
            Manner::Prose,
            &["- We decided to ship the new list on Friday.\n  > [00:00:02]"],
            &["Anything else"],
        ),
        (
            Manner::CutOff,
            &[
                "> the model's answer was cut off at its limit",
                "- We decided to ship the new list on Friday.\n  > ",
            ],
            &["## Summary"],
        ),
        (
            Manner::Markdown,
            &["nothing in them was compared with what was said", "we raise all prices"],
            &["(check)"],
        ),
        (Manner::Reasons, &["- We decided to ship the new list on Friday.\n  > "], &["Well"]),
    ] {
        let pair = Pair::new(Shape::Both, QUICK, "");
        pair.pen.state().manner = manner;
        if manner == Manner::Markdown {
            let said = "## Decisions\n\n- we raise all prices";
            pair.pen.state().says =
                Some(json!({"message": {"content": said}, "finish_reason": "stop"}));
        }
        let _daemon = pair.house.start();
        pair.house.drop_recording("talk.wav");
        let notes = pair.notes("talk.wav");
        let (above, _) = notes.split_once("## Transcript").expect("a transcript");
        for part in there {
            assert!(notes.contains(part), "{manner:?}: {part}: {notes}");
        }
        for part in not_there {
            assert!(!above.contains(part), "{manner:?}: {part}: {notes}");
        }
        assert_eq!(pair.house.job("talk.wav")["attempts"], 0);
    }
}

#[test]
fn while_the_writer_is_down_recordings_are_transcribed_and_their_notes_wait() {
    let pair = Pair::new(Shape::Ollama, QUICK, "");
    let broken = || Fault::Status(503, json!({"error": {"message": "loading"}}).to_string());
    pair.pen.fail_always(Call::Chat, broken());
    pair.pen.fail_always(Call::Models, broken());
    let _daemon = pair.house.start();
    for name in ["one.wav", "two.wav"] {
        pair.house.drop_recording(name);
    }
    let is_waiting = |name: &str| {
        let job = pair.house.job_if(name)?;
        (job["waits_for"] == "service" && job["stage"] == "analyse" && job["attempts"] == 0)
            .then_some(())
    };
    for name in ["one.wav", "two.wav"] {
        until_told(|| format!("{name} waits: {:#?}", pair.house.job_if(name)), || is_waiting(name));
    }
    let status = pair.house.status();
    assert!(
        status["holds"].to_string().contains("service `pen`, which writes the notes"),
        "{status:#}"
    );
    assert_eq!(pair.sent(), (2, 0));
    pair.pen.clear_faults();
    for name in ["one.wav", "two.wav"] {
        assert!(pair.notes(name).contains("## Decisions"));
    }
    assert_eq!(pair.sent(), (2, 2), "no recording is sent twice");
    until("the hold is over", || (pair.house.status()["holds"] == json!([])).then_some(()));
}

#[test]
fn a_writer_that_stays_down_is_done_without_where_the_config_says_so() {
    let poll =
        "poll = { first = \"10ms\", every = \"50ms\", timeout = \"100ms\", patience = \"300ms\" }";
    let pair = Pair::new(Shape::Ollama, &format!("notes_else = \"extract\"\n{poll}"), "");
    pair.pen.fail_always(Call::Chat, Fault::Status(503, "{}".to_owned()));
    pair.pen.fail_always(Call::Models, Fault::Status(503, "{}".to_owned()));
    let _daemon = pair.house.start();
    pair.house.drop_recording("talk.wav");
    let notes = pair.notes("talk.wav");
    assert!(notes.contains("which writes the notes, did not work for"), "{notes}");
    assert!(
        notes.contains("utomatic extract") && notes.contains("\nnotes_by: extraction\n"),
        "{notes}"
    );
    assert_eq!((pair.sent(), pair.house.job("talk.wav")["attempts"].clone()), ((1, 0), json!(0)));
}

#[test]
fn a_refused_key_of_the_writer_holds_its_notes_alone_and_names_the_cure() {
    let pair = Pair::new(Shape::Both, "", "");
    pair.configure(QUICK, "api_key_file = \"key\"", "");
    let key = pair.house.dir.path().join("key");
    let give_key = |text: &str| {
        fs::write(&key, text).expect("written");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("set");
    };
    give_key("sk-canary-old");
    pair.pen.state().key = Some("sk-new".to_owned());
    let _daemon = pair.house.start();
    for name in ["one.wav", "two.wav"] {
        pair.house.drop_recording(name);
    }
    until("both are heard", || (pair.sent().0 == 2).then_some(()));
    until_told(
        || format!("the cure: {:#}", pair.house.status()),
        || {
            let holds = pair.house.status()["holds"].to_string();
            assert!(!holds.contains("canary"), "{holds}");
            (holds.contains("which writes the notes, refuses its key")
                && holds.contains("put a key"))
            .then_some(())
        },
    );
    give_key("sk-new");
    for name in ["one.wav", "two.wav"] {
        assert!(pair.notes(name).contains("## Decisions"));
        assert_eq!(pair.house.job(name)["attempts"], 0);
    }
}

#[test]
fn a_check_tries_both_halves_and_shows_what_the_model_said() {
    let pair = Pair::new(Shape::Ollama, "", "");
    pair.pen.state().says =
        Some(json!({"message": {"content": "I am\nready."}, "finish_reason": "stop"}));
    let check = || String::from_utf8_lossy(&pair.house.run(&["check"]).stdout).into_owned();
    fs::remove_dir_all(pair.house.state_dir()).expect("removed");
    let told = check();
    assert!(
        told.contains("service ears, notes") && told.contains("it answered: I am ready."),
        "{told}"
    );
    assert!(told.contains("the notes of other services; it is sent no recording"), "{told}");
    assert!(!told.contains("has no effect"), "{told}");
    pair.configure("daily_limit = \"1h\"", "daily_limit = \"1h\"", "");
    let limited = check();
    assert!(limited.contains("note     service pen, daily_limit: has no effect"), "{limited}");
    assert!(!limited.contains("service ears, daily_limit"), "{limited}");
    pair.configure("", "", "");
    assert!(
        !told.contains("does not list"),
        "the one that writes needs no model that transcribes: {told}"
    );
    let _daemon = pair.house.start();
    assert!(check().contains("it answered: I am ready."));
    pair.pen.fail_always(Call::Chat, Fault::Status(503, "{}".to_owned()));
    let told = check();
    assert!(
        told.contains("service `pen`, which writes the notes") && told.contains("[services.pen]"),
        "{told}"
    );
    assert_eq!(pair.sent().0, 0);
}

#[test]
fn an_instruction_keeps_its_form_and_the_checked_items_follow() {
    let pair = Pair::new(Shape::Llama, QUICK, "instruction = \"Tell it as a story.\"");
    let _daemon = pair.house.start();
    pair.house.drop_recording("talk.wav");
    let notes = pair.notes("talk.wav");
    let story = notes
        .find("- from \\[0:00:00\\]")
        .or_else(|| notes.find("- from [0:00:00]"))
        .expect("the story");
    assert!(notes.find("## Decisions").expect("decisions") > story, "{notes}");
    assert!(notes.contains("> the text by the folder's instruction was not compared"), "{notes}");
    let asked = pair.pen.state().asked.clone();
    assert!(asked.iter().any(|asked| asked.system.ends_with("Tell it as a story.")));
    assert!(
        asked
            .iter()
            .filter(|asked| asked.is_for_items())
            .all(|asked| !asked.system.contains("summary"))
    );
}

#[test]
fn the_text_of_a_sources_own_transcript_goes_to_the_writer_of_the_folders_service() {
    let pair = Pair::new(Shape::Ollama, QUICK, "transcript = \"reuse\"");
    let baas = Baas::start();
    baas.give_key(pair.house.dir.path());
    let keys = "name = \"calls\"\nevery = \"200ms\"\nsince = \"2020-01-01\"";
    let config = fs::read_to_string(pair.house.config()).expect("written");
    fs::write(pair.house.config(), format!("{config}\n{}", baas.source("v2", "sales", keys)))
        .expect("written");
    let id = baas.add(Bot::ended("one"));
    let _daemon = pair.house.start();
    let row = |job: &Value| {
        let rows = pair.house.source_rows()?;
        let row = rows.into_iter().find(|row| row["id"] == *id && row["job"] != *job)?;
        (row["job_state"] == "done").then_some(row)
    };
    let told = || format!("it is done; the log:\n{}", pair.house.log());
    let first = until_told(told, || row(&Value::Null));
    let name =
        first["path"].as_str().and_then(|path| path.rsplit('/').next()).expect("a file").to_owned();
    let notes = pair.notes(&name);
    assert!(notes.contains("service: calls\nnotes_by: \"pen writer:latest\""), "{notes}");
    assert!(notes.contains("> [00:00:02] **Bo Chen:** We decided to ship on Friday."), "{notes}");
    assert_eq!(pair.sent(), (0, 1), "the text goes to one, the recording to nobody");
    let job = pair.house.job(&name)["id"].to_string();
    assert!(pair.house.run(&["redo", &job]).status.success());
    until_told(told, || row(&first["job"]));
    assert_eq!(pair.sent(), (0, 2), "other notes of the same transcript");
}
