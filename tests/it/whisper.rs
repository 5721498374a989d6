//! whisper, in a build that has it: the real binary as a child, with a model that loads and knows no word; with a real one
//! where `$MINUTED_TEST_WHISPER` names it (a ggml file of many languages).

use std::{
    fs,
    path::{Path, PathBuf},
};

use minuted::testing::engine::{
    recogniser::Choice,
    run::{EngineError, Request},
};

use crate::support::{
    engine::{lines, model as minutes_model, no_model, request, transcribe, whisper_model},
    house::{House, until},
    sound::{program, readings, runs, wav, word_errors, words_of},
    whisper::empty_model,
};

/// MiB that the child may ask for.
const MEMORY_MIB: u64 = 1300;

/// Tokens of a model of many languages, and of one of English alone.
const MANY: i32 = 51_865;
const ENGLISH: i32 = 51_864;

fn kept(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).expect("written");
    path
}

fn asked(model: &Path, language: Option<&str>, state: &Path) -> Request {
    let recogniser = Choice::Whisper {
        model: model.to_owned(),
        language: language.map(str::to_owned),
        english: None,
        prompt: String::new(),
    };
    Request { recogniser, memory_mib: MEMORY_MIB, ..request(no_model(), state) }
}

/// The first words of a recording that ships: whisper takes its time in a build for tests.
fn spoken(directory: &Path) -> PathBuf {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/standup.wav"))
        .expect("it ships");
    let sound = whole.windows(4).position(|word| word == b"data").expect("a WAV") + 8;
    let (head, size) = (&whole[..sound - 4], 8_000 * 4_u32);
    let mut bytes = [head, &size.to_le_bytes(), &whole[sound..][..size as usize]].concat();
    let riff = u32::try_from(bytes.len() - 8).expect("a short recording");
    bytes[4..8].copy_from_slice(&riff.to_le_bytes());
    kept(directory, "spoken.wav", &bytes)
}

#[test]
fn a_model_is_loaded_and_run_and_its_pieces_are_its_own() {
    let state = tempfile::tempdir().expect("a directory");
    let model = kept(state.path(), "ggml-empty.bin", &empty_model(MANY));
    let german = asked(&model, Some("de"), state.path());
    let transcript = transcribe(german.clone(), &spoken(state.path())).expect("transcribed");
    assert!(transcript.duration.as_secs() > 3, "{transcript:?}");
    let first = lines(&german);
    assert!(first.len() > 1 && first[0].contains("\"model\":\"whisper de "), "{first:?}");

    let prompt = "Ann Lee, Kubernetes".to_owned();
    let recogniser = Choice::Whisper {
        model: model.clone(),
        language: Some("de".to_owned()),
        english: None,
        prompt,
    };
    let words = Request { recogniser, ..german.clone() };
    transcribe(words.clone(), &spoken(state.path())).expect("transcribed");
    assert_ne!(lines(&words)[0], first[0], "words to expect: other pieces");
}

#[test]
fn a_language_that_is_not_given_is_detected_once_and_kept_with_the_pieces() {
    let state = tempfile::tempdir().expect("a directory");
    let model = kept(state.path(), "ggml-empty.bin", &empty_model(MANY));
    let any = asked(&model, None, state.path());
    let transcript = transcribe(any.clone(), &spoken(state.path())).expect("transcribed");
    let detected = transcript.language.clone().expect("some language");
    let first = lines(&any);
    assert!(first[0].contains(&format!("\"model\":\"whisper {detected} ")), "{:?}", first[0]);
    assert!(first[0].ends_with(&format!("\"language\":\"{detected}\"}}}}")), "{:?}", first[0]);
    // Another run takes the language from the pieces, whatever it would detect itself.
    let other = first[0].replace(&format!("\"language\":\"{detected}\""), "\"language\":\"cy\"");
    let other = other.replace(&format!("whisper {detected} "), "whisper cy ");
    fs::write(any.pieces.join("pieces.jsonl"), format!("{other}\n{}\n", first[1]))
        .expect("written");
    let transcript = transcribe(any.clone(), &spoken(state.path())).expect("transcribed");
    assert_eq!((transcript.language.as_deref(), &lines(&any)[0]), (Some("cy"), &other));
    let german = transcribe(asked(&model, Some("de"), state.path()), &spoken(state.path()))
        .expect("transcribed");
    assert_eq!(german.language, None, "it was given");
}

#[test]
fn nothing_is_detected_where_nobody_speaks() {
    let state = tempfile::tempdir().expect("a directory");
    let model = kept(state.path(), "ggml-empty.bin", &empty_model(MANY));
    let silence = kept(state.path(), "silence.wav", &wav(16_000, 1, &vec![0; 48_000]));
    let transcript = transcribe(asked(&model, None, state.path()), &silence).expect("transcribed");
    assert_eq!((transcript.language, transcript.segments), (None, Vec::new()));
}

#[test]
fn english_that_whisper_detects_is_recognised_by_moonshine_also_after_a_kill() {
    let (Some(model), Some(english), Some((sound, words))) =
        (whisper_model(), minutes_model(), readings())
    else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    let recording = kept(state.path(), "reading.wav", &wav(16_000, 1, &sound));
    let recogniser =
        Choice::Whisper { model, language: None, english: Some(english), prompt: String::new() };
    let any = Request { recogniser, ..asked(Path::new("/nowhere"), None, state.path()) };
    let transcript = transcribe(any.clone(), &recording).expect("transcribed");
    assert_eq!(transcript.language.as_deref(), Some("en"));
    let whole = lines(&any);
    assert!(whole[0].contains("\"model\":\"moonshine "), "{:?}", whole[0]);
    let heard = transcript
        .segments
        .iter()
        .map(|segment| segment.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    assert!(word_errors(&words, &words_of(&heard)) * 100 <= words.len() * 8, "{heard}");
    for left in 1..whole.len() {
        fs::write(any.pieces.join("pieces.jsonl"), whole[..left].join("\n") + "\n")
            .expect("written");
        assert_eq!(transcribe(any.clone(), &recording).expect("transcribed"), transcript);
        assert_eq!(lines(&any), whole, "after a kill behind line {left}");
    }
}

#[test]
fn a_file_that_is_no_model_and_a_language_that_it_does_not_know_are_refused() {
    let state = tempfile::tempdir().expect("a directory");
    let mut torn = empty_model(MANY);
    torn.extend([7; 64]);
    for (name, bytes) in [("text.bin", b"hello".to_vec()), ("torn.bin", torn)] {
        let model = kept(state.path(), name, &bytes);
        let refused = transcribe(asked(&model, None, state.path()), &spoken(state.path()))
            .expect_err("refused");
        assert!(matches!(refused, EngineError::Model { .. }), "{name}: {refused}");
    }
    let missing = transcribe(
        asked(Path::new("/nowhere/ggml.bin"), None, state.path()),
        &spoken(state.path()),
    );
    assert!(matches!(missing, Err(EngineError::Model { .. })), "{missing:?}");
    for (tokens, language) in [(ENGLISH, "de"), (MANY, "xx")] {
        let model = kept(state.path(), "model.bin", &empty_model(tokens));
        let refused =
            transcribe(asked(&model, Some(language), state.path()), &spoken(state.path()))
                .expect_err("refused");
        assert!(matches!(refused, EngineError::Language { .. }), "{refused}");
    }
}

/// A house whose service is whisper with this model.
fn house(model: &Path, language: &str) -> House {
    let house = House::new();
    let text = format!(
        "state_dir = \"{}\"\n[services.local]\nkind = \"ondevice\"\nengine = \"whisper\"\nmodel = \"{}\"\n[[folder]]\n\
         name = \"sales\"\npath = \"{}\"\nlanguage = \"{language}\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\n[retry]\ndelay = \"50ms\"\ndelay_max = \"200ms\"\n",
        house.state_dir().display(),
        model.display(),
        house.folder().display()
    );
    fs::write(house.config(), text).expect("written");
    house
}

#[test]
fn without_its_model_the_service_waits_check_names_it_and_it_heals_when_it_is_there() {
    let models = tempfile::tempdir().expect("a directory");
    let model = models.path().join("ggml-empty.bin");
    let house = house(&model, "de");
    let daemon = house.start();
    fs::copy(spoken(models.path()), house.path("standup.wav")).expect("written");
    until("it waits for the service", || {
        let job = house.job_if("standup.wav")?;
        (job["waits_for"] == "service").then_some(())
    });
    assert!(house.why("standup.wav").contains("ggml-empty.bin"), "{}", house.why("standup.wav"));
    let found = String::from_utf8_lossy(&house.run(&["check"]).stdout).into_owned();
    assert!(found.contains("engine of `local`") && found.contains("cannot be used"), "{found}");
    fs::write(&model, empty_model(MANY)).expect("written");
    let job = house.wait_for("standup.wav", "done");
    assert_eq!(job["attempts"], 0, "{job}");
    assert!(daemon.stop().success());
}

#[test]
fn a_reading_and_another_language_are_understood_by_a_real_model() {
    let (Some(model), Some((sound, words))) = (whisper_model(), readings()) else { return };
    let state = tempfile::tempdir().expect("a directory");
    let recording = kept(state.path(), "reading.wav", &wav(16_000, 1, &sound));
    let text = |language: Option<&str>, recording: &Path| {
        let transcript =
            transcribe(asked(&model, language, state.path()), recording).expect("transcribed");
        transcript.segments.into_iter().map(|segment| segment.text).collect::<Vec<_>>().join(" ")
    };
    for language in [Some("en"), None] {
        let heard = text(language, &recording);
        let wrong = word_errors(&words, &words_of(&heard));
        assert!(wrong * 100 <= words.len() * 8, "{wrong} of {} words wrong: {heard}", words.len());
    }
    let Some(espeak) = program("espeak-ng") else { return };
    let german = state.path().join("german.wav");
    let said = "Guten Morgen. Wir treffen uns am Montag um neun Uhr im großen Büro in Berlin.";
    assert!(runs(
        &espeak,
        ["-v".as_ref(), "de".as_ref(), "-w".as_ref(), german.as_os_str(), said.as_ref()]
    ));
    let heard = text(Some("de"), &german).to_lowercase();
    // The smaller models understand little of what a machine says; that it is German they hear.
    assert!(heard.contains("guten morgen") && heard.contains("berlin"), "{heard}");
}
