//! The engine as a test runs it: the real binary as its child, and the model where it is installed.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use minuted::testing::{
    engine::{
        model::{Model, VoiceModels},
        recogniser::Choice,
        run::{EngineError, Request, Transcript, run},
    },
    progress::Progress,
};

use super::sound::{program, runs};

/// Returns the installed model, or says that the test is skipped; with `MINUTED_REQUIRE_ENGINE` it fails instead.
pub(crate) fn model() -> Option<Model> {
    let found = places().iter().find_map(|place| model_in(place));
    if found.is_none() {
        assert!(
            variable("MINUTED_REQUIRE_ENGINE").is_none(),
            "the engine is required: minuted engine install"
        );
        // Written past the capture of a test that passes: who runs the tests without a model is to see it.
        let said = "skipped: the engine's model is not installed (cargo run -- engine install, or $MINUTED_TEST_MODEL)\n";
        io::stderr().write_all(said.as_bytes()).expect("written");
    }
    found
}

/// Returns the installed models of voices, or says that the test is skipped; with `MINUTED_REQUIRE_ENGINE` it fails
/// instead.
pub(crate) fn voice_models() -> Option<VoiceModels> {
    let runtime = model()?.runtime;
    let [segmentation, embedding] =
        ["segmentation.ort", "embedding.ort"].map(|name| runtime.with_file_name(name));
    if segmentation.exists() && embedding.exists() {
        return Some(VoiceModels { segmentation, embedding, runtime });
    }
    assert!(
        variable("MINUTED_REQUIRE_ENGINE").is_none(),
        "the models of voices are required: minuted engine install"
    );
    let said = "skipped: the models of voices are not installed (cargo run -- engine install completes the engine)\n";
    io::stderr().write_all(said.as_bytes()).expect("written");
    None
}

/// Returns a real model of whisper, or says that the test is skipped.
#[cfg(feature = "whisper")]
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub(crate) fn whisper_model() -> Option<PathBuf> {
    let found = variable("MINUTED_TEST_WHISPER");
    if found.is_none() {
        eprintln!(
            "SKIPPED: there is no model of whisper ($MINUTED_TEST_WHISPER: a ggml file of many languages)"
        );
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "where the model of this machine is, its owner says")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$MINUTED_TEST_MODEL`, else the installations of whoever runs the tests.
fn places() -> Vec<PathBuf> {
    let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    let installed = data.and_then(|data| fs::read_dir(data.join("minuted")).ok());
    let installed = installed.into_iter().flatten().flatten().map(|entry| entry.path());
    variable("MINUTED_TEST_MODEL").into_iter().chain(installed).collect()
}

fn model_in(directory: &Path) -> Option<Model> {
    let names: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    let named = |part: &str| {
        let is_it = |path: &&PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
        };
        names.iter().find(is_it).cloned()
    };
    Some(Model {
        encoder: named("encoder")?,
        decoder: named("decoder")?,
        tokenizer: named("tokenizer")?,
        runtime: named("libonnxruntime")?,
    })
}

/// A model that is not there.
pub(crate) fn no_model() -> Model {
    let nowhere = || PathBuf::from("/nowhere/model");
    Model { encoder: nowhere(), decoder: nowhere(), tokenizer: nowhere(), runtime: nowhere() }
}

/// Asks for a transcript of what lies in `state`.
pub(crate) fn request(model: Model, state: &Path) -> Request {
    Request {
        voices: None,
        recogniser: Choice::Moonshine(model),
        pieces: state.join("engine/job"),
        content: "content".to_owned(),
        threads: 1,
        memory_mib: 512,
        duration: None,
        length_max: None,
        ffmpeg: program("ffmpeg"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_minuted")),
        harm: None,
    }
}

/// Has a voice of `espeak-ng` say a text into a file, or says that the test is skipped; with `MINUTED_REQUIRE_ENGINE` it
/// fails instead.
pub(crate) fn say(voice: &str, text: &str, to: &Path) -> Option<()> {
    let espeak = program("espeak-ng");
    assert!(
        espeak.is_some() || variable("MINUTED_REQUIRE_ENGINE").is_none(),
        "espeak-ng is required"
    );
    // At full volume its resampled sound leaves the range, which a build for tests does not forgive.
    let arguments = ["-a", "60", "-v", voice, "-w", to.to_str().expect("UTF-8"), text];
    assert!(runs(&espeak?, arguments), "espeak-ng writes it");
    Some(())
}

/// Runs it to its end.
pub(crate) fn transcribe(request: Request, recording: &Path) -> Result<Transcript, EngineError> {
    let recording = File::open(recording).expect("opened");
    block_on(run(request, recording, Arc::default()))
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// The lines of the pieces on disk.
pub(crate) fn lines(request: &Request) -> Vec<String> {
    let text = fs::read_to_string(request.pieces.join("pieces.jsonl")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// How far it is.
pub(crate) fn progress() -> Arc<Progress> {
    Arc::default()
}
