//! What was not understood is not passed off as what was said: another language, noise, the silence of servers.

use std::fs;

use mail_parser::MessageParser;
use serde_json::{Value, json};

use crate::support::{
    engine::{lines, model, request, say, transcribe},
    house::House,
    openai::{Call, OpenAi},
    sound::{program, readings, runs, wav},
};

/// A minute of German, with a decision and a task.
const GERMAN: &str = "Guten Morgen zusammen. Wir beginnen mit dem Bericht der Abteilung Einkauf. Letzte Woche haben wir die \
                      neuen Angebote für die Maschinen in der Halle zwei bekommen. Wir haben beschlossen, zwei neue Stellen \
                      auszuschreiben. Herr Müller schreibt bis Freitag eine Übersicht der Kosten. Gibt es dazu Fragen?";

const ENGLISH: &str = "Good morning everybody. We start with the report of the purchasing department. Last week we received \
                       the new offers for the machines. We decided to advertise two new positions. Are there any questions?";

const REMARK: &str = "this does not sound like English, which is all this engine understands";

/// A house whose engine hears and, with `pen`, whose server writes; its notes lie beside the recording and are mailed.
fn house(pen: Option<&OpenAi>) -> House {
    let house = House::new();
    let pen = pen.map_or(String::new(), |pen| {
        let base_url = pen.base_url();
        format!(
            "notes = \"pen\"\n[services.pen]\nkind = \"openai\"\nbase_url = \"{base_url}\"\nnotes_model = \"writer\"\n"
        )
    });
    let text = format!(
        "state_dir = \"{}\"\n[email]\nfrom = \"Minutes <minutes@example.com>\"\nsmtp = {{ host = \"127.0.0.1\", port = \
         {}, tls = \"none\" }}\nallow = [\"@example.com\"]\n\
         [services.local]\nkind = \"ondevice\"\n{pen}[[folder]]\nname = \"sales\"\nservice = \"local\"\n\
         path = \"{}\"\nformats = [\"md\", \"json\"]\ndeliver = [\"beside\", \"email\"]\nemail_to = [\"Ann Lee <ann@example.com>\"]\n\
         settle = \"100ms\"\nrescan = \"300ms\"\nbacklog = \"process\"\n",
        house.state_dir().display(),
        house.smtp.port(),
        house.folder().display(),
    );
    fs::write(house.config(), text).expect("written");
    house
}

/// Has a voice say a text into the folder.
fn drop_speech(house: &House, voice: &str, text: &str, name: &str) -> Option<()> {
    let made = house.dir.path().join(name);
    say(voice, text, &made)?;
    fs::rename(made, house.path(name)).expect("dropped");
    Some(())
}

fn notes_of(house: &House, name: &str) -> (String, Value) {
    house.wait_for(&format!("{name}.wav"), "done");
    let notes = fs::read_to_string(house.path(&format!("{name}.notes.md"))).expect("written");
    let json = fs::read_to_string(house.path(&format!("{name}.notes.json"))).expect("written");
    (notes, serde_json::from_str(&json).expect("JSON"))
}

/// The segments of the transcription.
fn segments(json: &Value) -> Vec<Value> {
    let parts = json["analyses"].as_array().expect("a list");
    let part = parts.iter().find(|part| part["type"] == "transcription").expect("a transcription");
    part["segments"].as_array().expect("a list").clone()
}

#[test]
fn another_language_is_remarked_on_and_nothing_is_made_of_its_words() {
    if model().is_none() {
        return;
    }
    let house = house(None);
    let daemon = house.start();
    let Some(()) = drop_speech(&house, "de", GERMAN, "german.wav") else { return };
    drop_speech(&house, "en-us", ENGLISH, "english.wav").expect("the same program");

    let (notes, json) = notes_of(&house, "german");
    let (above, transcript) = notes.split_once("## Transcript").expect("a transcript");
    assert!(
        above.contains(&format!("# german\n\n> {REMARK}"))
            && above.contains("minuted engine install FILE"),
        "{notes}"
    );
    assert!(
        above.ends_with(
            "*This does not sound like English: no summary, decisions, actions or questions were looked \
                             for.*\n\n"
        ),
        "{notes}"
    );
    assert!(!above.contains("##") && !notes.contains("notes_by"), "{notes}");
    assert!(
        !transcript.contains("unclear") && transcript.split_whitespace().count() > 20,
        "its words stay: {notes}"
    );
    let confidences: Vec<f64> =
        segments(&json).iter().filter_map(|segment| segment["confidence"].as_f64()).collect();
    assert!(
        !confidences.is_empty()
            && confidences.iter().all(|confidence| (0.0..0.6).contains(confidence)),
        "{json}"
    );
    let why = house.why("german.wav");
    assert!(
        why.contains(REMARK) && why.contains("set `language`") && why.contains("redo"),
        "{why}"
    );

    let (notes, json) = notes_of(&house, "english");
    assert!(
        !notes.contains("does not sound")
            && !notes.contains("unclear")
            && notes.contains("## Decisions"),
        "{notes}"
    );
    let confidences: Vec<f64> =
        segments(&json).iter().filter_map(|segment| segment["confidence"].as_f64()).collect();
    assert!(confidences.len() == segments(&json).len(), "{json}");
    assert!(
        confidences.iter().all(|confidence| (0.5..=1.0).contains(confidence)),
        "{confidences:?}"
    );

    for mail in house.smtp.received() {
        let mail = MessageParser::default().parse(&mail.raw).expect("a mail").into_owned();
        let is_german = mail.subject().expect("a subject").contains("german");
        let [text, page] = [mail.body_text(0), mail.body_html(0)]
            .map(|body| body.expect("a body").replace('\n', " "));
        assert_eq!(
            (text.contains("does not sound like English"), page.contains("sound like English")),
            (is_german, is_german)
        );
    }
    assert_eq!(house.smtp.received().len(), 2);
    assert!(daemon.stop().success());
}

#[test]
fn no_model_writes_about_words_that_nobody_said() {
    if model().is_none() {
        return;
    }
    let pen = OpenAi::start();
    let house = house(Some(&pen));
    let _daemon = house.start();
    let Some(()) = drop_speech(&house, "de", GERMAN, "german.wav") else { return };
    let (notes, json) = notes_of(&house, "german");
    assert!(
        notes.contains(REMARK) && notes.contains("*This does not sound like English: no summary"),
        "{notes}"
    );
    assert!(!notes.contains("- [ ]") && json["notes_by"] == Value::Null, "{notes}");
    assert!(!pen.state().calls.contains(&Call::Chat), "the model is not asked");
}

#[test]
fn a_sentence_that_was_not_understood_is_unclear_and_those_around_it_stay_also_after_a_kill() {
    let (Some(model), Some((sound, _)), Some(sox)) = (model(), readings(), program("sox")) else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    let file = |name: &str| state.path().join(name);
    fs::write(file("clear.wav"), wav(16_000, 1, &sound)).expect("written");
    let polish = "Dzień dobry państwu. Zaczynamy od sprawozdania działu zakupów.";
    let Some(()) = say("pl", polish, &file("spoken.wav")) else { return };
    // Without its dither, which is another one each time.
    for command in
        ["-D spoken.wav -r 16000 strange.wav pad 0.5 0.5", "-D clear.wav strange.wav both.wav"]
    {
        let named = |part: &str| {
            if part.contains(".wav") { file(part).into_os_string() } else { part.into() }
        };
        assert!(runs(&sox, command.split(' ').map(named)), "sox writes it");
    }
    let asked = request(model, state.path());
    let transcript = transcribe(asked.clone(), &file("both.wav")).expect("transcribed");
    let texts: Vec<&str> =
        transcript.segments.iter().map(|segment| segment.text.as_str()).collect();
    let unclear = texts.iter().filter(|text| **text == "[unclear]").count();
    assert!(unclear == 1 && texts.last() == Some(&"[unclear]") && texts.len() > 4, "{texts:?}");
    assert!(!transcript.is_foreign && transcript.remarks.is_empty(), "{transcript:?}");
    assert!(
        transcript.segments.iter().all(|segment| segment.confidence.is_some()),
        "{transcript:?}"
    );

    let whole = lines(&asked);
    let torn = whole[..whole.len() - 3].join("\n") + "\n";
    fs::write(asked.pieces.join("pieces.jsonl"), torn).expect("written");
    assert_eq!(transcribe(asked.clone(), &file("both.wav")).expect("transcribed"), transcript);
    assert_eq!(lines(&asked), whole);

    // An earlier version knew no confidence: what it left behind is made again.
    let earlier = whole.join("\n").replace("\"engine\":3", "\"engine\":2") + "\n";
    fs::write(asked.pieces.join("pieces.jsonl"), earlier).expect("written");
    assert_eq!(transcribe(asked.clone(), &file("both.wav")).expect("transcribed"), transcript);
    assert_eq!(lines(&asked), whole);
}

#[test]
fn the_silence_of_a_server_is_not_taken_for_words_and_its_confidence_is_shown() {
    let house = House::new();
    let server = OpenAi::start();
    let segment = |at: u32, text: &str, no_speech: f64, mean: f64| json!({"start": at, "end": at + 2, "text": text, "no_speech_prob": no_speech, "avg_logprob": mean});
    server.state().transcription = json!({"text": "all of it", "segments": [
        segment(0, " Thank you for watching.", 0.8, -0.3),
        segment(2, " We decided to ship the list on Friday.", 0.02, -0.105),
        segment(4, " [BLANK_AUDIO]", 0.1, -0.3),
        segment(6, " I think that the weather is the weather.", 0.7, -1.3),
    ]});
    let text = format!(
        "state_dir = \"{}\"\n[services.home]\nkind = \"openai\"\nbase_url = \"{}\"\npoll = {{ first = \"10ms\", every = \
         \"50ms\" }}\n[[folder]]\nname = \"sales\"\npath = \"{}\"\nformats = [\"md\", \"json\"]\nsettle = \"100ms\"\n\
         rescan = \"300ms\"\nbacklog = \"process\"\n",
        house.state_dir().display(),
        server.base_url(),
        house.folder().display(),
    );
    fs::write(house.config(), text).expect("written");
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let (notes, json) = notes_of(&house, "talk");
    let segments = segments(&json);
    assert_eq!(segments.len(), 1, "{json}");
    assert_eq!((&segments[0]["confidence"], &segments[0]["start"]), (&json!(0.9), &json!(2.0)));
    assert!(
        notes.contains("ship the list")
            && !notes.contains("watching")
            && !notes.contains("weather"),
        "{notes}"
    );
}

#[cfg(feature = "whisper")]
#[test]
fn whisper_tells_how_sure_it_is_of_each_piece() {
    use minuted::testing::engine::{recogniser::Choice, run::Request};

    use crate::support::engine::{no_model, whisper_model};

    let (Some(model), Some((sound, _))) = (whisper_model(), readings()) else { return };
    let state = tempfile::tempdir().expect("a directory");
    let recording = state.path().join("reading.wav");
    fs::write(&recording, wav(16_000, 1, &sound[..16_000 * 8])).expect("written");
    let recogniser = Choice::Whisper {
        model,
        language: Some("en".to_owned()),
        english: None,
        prompt: String::new(),
    };
    let asked = Request { recogniser, memory_mib: 1300, ..request(no_model(), state.path()) };
    let transcript = transcribe(asked, &recording).expect("transcribed");
    let confidences: Vec<f64> =
        transcript.segments.iter().filter_map(|segment| segment.confidence).collect();
    assert!(
        !confidences.is_empty() && confidences.len() == transcript.segments.len(),
        "{transcript:?}"
    );
    assert!(
        confidences.iter().all(|confidence| (0.5..=1.0).contains(confidence)),
        "{confidences:?}"
    );
}
