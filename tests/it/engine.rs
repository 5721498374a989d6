//! The engine as a whole: the real binary as a child, the real model, real speech.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use minuted::testing::{
    effect::{Effect, When},
    engine::run::{EngineError, Transcript, run, this_program},
};

use crate::support::{
    engine::{block_on, lines, model, no_model, progress, request, transcribe},
    sound::{program, readings, runs, tone, wav, word_errors, words_of},
};

/// Words of a hundred that may be wrong.
const WRONG_MAX: usize = 5;

/// Samples of the first reading, with the silence behind it; the second has 3 s.
const FIRST_READING: usize = 113_616 + 8_000;

fn kept(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).expect("written");
    path
}

fn text(transcript: &Transcript) -> String {
    transcript.segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Fails when more than so many words of a hundred are wrong.
fn assert_understood(said: &[String], transcript: &Transcript, wrong_max: usize) {
    let wrong = word_errors(said, &words_of(&text(transcript)));
    assert!(
        wrong * 100 <= said.len() * wrong_max,
        "{wrong} of {} words wrong: {}",
        said.len(),
        text(transcript)
    );
}

#[test]
fn a_reading_is_understood_and_a_kill_in_the_middle_changes_nothing() {
    let (Some(model), Some((sound, words))) = (model(), readings()) else { return };
    let state = tempfile::tempdir().expect("a directory");
    let recording = kept(state.path(), "reading.wav", &wav(16_000, 1, &sound));
    let asked = request(model, state.path());
    let told = progress();
    let opened = || File::open(&recording).expect("opened");

    let whole = block_on(run(asked.clone(), opened(), told.clone())).expect("transcribed");
    assert_understood(&words, &whole, WRONG_MAX);
    assert!(
        whole.duration.abs_diff(Duration::from_millis(sound.len() as u64 / 16))
            < Duration::from_millis(100)
    );
    assert!(
        whole.segments.is_sorted_by_key(|segment| segment.start.expect("a time").to_bits()),
        "in order"
    );
    assert!(
        whole
            .segments
            .iter()
            .all(|segment| segment.end > segment.start && segment.speaker.is_none())
    );
    assert!(told.read().1 > 20_000, "{:?}", told.read());
    let all = lines(&asked);

    // A finished recording is not read again: what it was may be gone.
    let again = transcribe(asked.clone(), Path::new("/dev/null"));
    assert!(again.is_err(), "it must at least be a recording");
    let again = transcribe(asked.clone(), &recording).expect("transcribed");
    assert_eq!(again, whole);
    assert_eq!(lines(&asked), all);

    fs::remove_dir_all(&asked.pieces).expect("forgotten");
    block_on(async {
        let killed = run(asked.clone(), opened(), progress());
        let two_pieces = async {
            while lines(&asked).len() < 3 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            done = killed => panic!("it should not end: {done:?}"),
            () = two_pieces => {}
        }
    });
    let before = lines(&asked);
    assert!(before.len() < all.len(), "it was killed in the middle: {before:?}");
    let resumed = transcribe(asked.clone(), &recording).expect("transcribed");
    assert_eq!(resumed, whole);
    assert_eq!(lines(&asked), all, "every piece once");
    assert!(all.starts_with(&before), "what was finished was kept as it was");
}

#[test]
fn whichever_of_its_effects_a_crash_meets_the_transcript_is_the_same() {
    let (Some(model), Some((sound, _))) = (model(), readings()) else { return };
    let state = tempfile::tempdir().expect("a directory");
    let recording =
        kept(state.path(), "reading.wav", &wav(16_000, 1, &sound[FIRST_READING..][..48_000]));
    let asked = request(model, state.path());
    let whole = transcribe(asked.clone(), &recording).expect("transcribed");
    for effect in [Effect::BeginPieces, Effect::KeepPieces] {
        for when in [When::Before, When::After] {
            fs::remove_dir_all(&asked.pieces).expect("forgotten");
            let mut dying = asked.clone();
            dying.harm = Some(format!("{effect:?}:{when:?}:1"));
            let died = transcribe(dying, &recording).expect_err("it died");
            assert_eq!(died.to_string(), "the engine died of it: signal 9", "{effect:?} {when:?}");
            assert!(matches!(died, EngineError::Crashed { .. }));
            assert_eq!(
                transcribe(asked.clone(), &recording).expect("transcribed"),
                whole,
                "{effect:?} {when:?}"
            );
        }
    }
}

#[test]
fn two_on_the_telephone_are_told_apart() {
    let (Some(model), Some((sound, words)), Some(sox)) = (model(), readings(), program("sox"))
    else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    // The first sentence is one's, the second and the third the other's.
    let turn = FIRST_READING;
    let left = |at: usize| if at < turn { sound[at] } else { 0 };
    let right = |at: usize| if at < turn { 0 } else { sound[at] };
    let frames: Vec<i16> = (0..turn * 2).flat_map(|at| [left(at), right(at)]).collect();
    let call = kept(state.path(), "call.wav", &wav(16_000, 2, &frames));
    let telephone = state.path().join("telephone.wav");
    assert!(
        runs(&sox, [call.as_os_str(), "-r".as_ref(), "8000".as_ref(), telephone.as_os_str()]),
        "sox writes it"
    );
    let transcript = transcribe(request(model, state.path()), &telephone).expect("transcribed");
    let of = |speaker: &str| {
        let theirs = transcript
            .segments
            .iter()
            .filter(|segment| segment.speaker.as_deref() == Some(speaker));
        words_of(&theirs.map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(" "))
    };
    assert!(word_errors(&words[..22], &of("Left")) <= 2, "{:?}", of("Left"));
    assert!(of("Right").starts_with(&words_of("he was not")), "{:?}", of("Right"));
}

#[test]
fn silence_noise_music_and_a_second_give_nothing_or_little() {
    let Some(model) = model() else { return };
    let state = tempfile::tempdir().expect("a directory");
    let silence = kept(state.path(), "silence.wav", &wav(8_000, 1, &vec![0; 8_000 * 20]));
    let transcript =
        transcribe(request(model.clone(), state.path()), &silence).expect("transcribed");
    assert_eq!((transcript.segments, transcript.duration), (Vec::new(), Duration::from_secs(20)));
    let Some(sox) = program("sox") else { return };
    for (what, words_max) in [("pinknoise gain -12", 0), ("pluck C3", 8)] {
        let path = state.path().join("sound.wav");
        let arguments =
            ["-n", "-r", "16000", "-b", "16", path.to_str().expect("UTF-8"), "synth", "10"];
        assert!(runs(&sox, arguments.into_iter().chain(what.split(' '))), "sox writes {what}");
        let mut asked = request(model.clone(), state.path());
        what.clone_into(&mut asked.content);
        let transcript = transcribe(asked, &path).expect("transcribed");
        assert!(words_of(&text(&transcript)).len() <= words_max, "{what}: {}", text(&transcript));
    }
    let Some((sound, _)) = readings() else { return };
    let second = kept(state.path(), "second.wav", &wav(16_000, 1, &sound[8_000..24_000]));
    let transcript = transcribe(request(model, state.path()), &second).expect("transcribed");
    assert!(transcript.segments.len() <= 1);
}

#[test]
fn what_needs_ffmpeg_is_heard_with_it_and_waits_without() {
    let (Some(model), Some((sound, _)), Some(ffmpeg)) = (model(), readings(), program("ffmpeg"))
    else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    let source = kept(state.path(), "reading.wav", &wav(16_000, 1, &sound[..16_000 * 7]));
    for name in ["reading.opus", "reading.avi"] {
        let path = state.path().join(name);
        let arguments =
            ["-v", "error", "-i", source.to_str().expect("UTF-8"), path.to_str().expect("UTF-8")];
        assert!(runs(&ffmpeg, arguments), "ffmpeg writes it");
        let mut asked = request(model.clone(), state.path());
        name.clone_into(&mut asked.content);
        let transcript = transcribe(asked.clone(), &path).expect("transcribed");
        assert!(
            text(&transcript).contains("prudently in his power"),
            "{name}: {}",
            text(&transcript)
        );
        assert_eq!(transcript.remarks, [""; 0]);
        asked.ffmpeg = None;
        let refused = transcribe(asked, &path).expect_err("refused");
        assert!(matches!(refused, EngineError::NeedsFfmpeg { .. }), "{refused}");
    }
}

#[test]
fn whose_fault_it_is_is_told() {
    let state = tempfile::tempdir().expect("a directory");
    let recording = kept(state.path(), "tone.wav", &wav(16_000, 1, &tone(16_000, 1)));
    let words = kept(state.path(), "words.opus", b"#EXTM3U\n/etc/passwd\n");

    let refused = transcribe(request(no_model(), state.path()), &words).expect_err("refused");
    assert!(matches!(refused, EngineError::Undecodable { .. }));
    insta::assert_snapshot!(refused, @"cannot be decoded: it is a text, not a recording");

    let refused = transcribe(request(no_model(), state.path()), &recording).expect_err("refused");
    assert!(matches!(refused, EngineError::Model { .. }), "{refused}");

    let mut asked = request(no_model(), state.path());
    asked.program = PathBuf::from("/nowhere/minuted");
    let refused = transcribe(asked, &recording).expect_err("refused");
    assert!(matches!(refused, EngineError::Start(_)), "{refused}");

    let Some(model) = model() else { return };
    let mut asked = request(model.clone(), state.path());
    asked.memory_mib = 24;
    let refused = transcribe(asked, &recording).expect_err("refused");
    // A limit in which not even the model has room is nobody's fault but its.
    assert!(matches!(refused, EngineError::Model { .. }), "{refused}");

    let mut asked = request(model, state.path());
    asked.pieces = recording.join("engine");
    let refused = transcribe(asked, &recording).expect_err("refused");
    assert!(matches!(refused, EngineError::Disk { .. }), "{refused}");
}

/// A program that stands in for the child.
fn stand_in(directory: &Path, script: &str) -> PathBuf {
    let path = kept(directory, "child", format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("made a program");
    path
}

#[test]
fn a_child_that_aborts_talks_nonsense_or_stands_still_harms_nobody() {
    let state = tempfile::tempdir().expect("a directory");
    let recording = kept(state.path(), "tone.wav", &wav(16_000, 1, &tone(16_000, 1)));
    let ends = |script: &str| {
        let mut asked = request(no_model(), state.path());
        asked.program = stand_in(state.path(), script);
        transcribe(asked, &recording).expect_err("no transcript")
    };
    insta::assert_snapshot!(ends("echo double free >&2; kill -ABRT $$"), @"the engine died of it: signal 6: double free");
    insta::assert_snapshot!(ends("exit 3"), @"the engine died of it: exit status: 3");
    insta::assert_snapshot!(ends("printf '{\"progress\":'; exit 0"), @"the engine died of it: exit status: 0");
    let loading = ends("echo '\"loading\"'; kill -SEGV $$");
    assert!(matches!(loading, EngineError::Model { .. }), "{loading}");
    insta::assert_snapshot!(loading, @"the engine died while it loaded its model: signal 11");
    let later = ends(
        "echo '\"loading\"'; echo '{\"progress\":{\"done_ms\":0,\"total_ms\":0,\"busy_ms\":0}}'; kill -SEGV $$",
    );
    insta::assert_snapshot!(later, @"the engine died of it: signal 11");
    assert!(matches!(ends("echo nonsense"), EngineError::Start(_)));
    assert!(
        matches!(ends("yes | tr -d '\\n'"), EngineError::Crashed { .. }),
        "a line without an end is cut off"
    );
    assert!(matches!(
        ends("echo '{\"done\":{\"segments\":1,\"remarks\":[]}}'"),
        EngineError::Disk { .. }
    ));

    let mut asked = request(no_model(), state.path());
    asked.program = stand_in(state.path(), "exec sleep 1000");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let opened = File::open(&recording).expect("opened");
    let still = runtime
        .expect("a runtime")
        .block_on(run(asked, opened, progress()))
        .expect_err("it stands still");
    insta::assert_snapshot!(still, @"the engine stood still for 10m");
}

#[test]
fn the_child_is_this_program_also_when_its_file_was_replaced() {
    assert_eq!(
        fs::read_link(this_program()).expect("a link"),
        std::env::current_exe().expect("a path")
    );
}
