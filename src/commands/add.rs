//! `minuted add`: recordings are checked, copied into a folder and queued.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{CommandFailure, absolute_path, parse_answer, print, say_without_daemon};
use crate::{
    beneath::{Dir, open_below},
    cli, clock,
    config::{Folder, Settings},
    control::{
        Arrival, Caller, ControlRequest, ExplainContext, Refusal, RunningStatus, StatusReport,
        explain_job,
    },
    delivery, exit,
    job::{JobState, Stage, WaitReason},
    progress::Unit,
    runtime::LiveConfig,
    services::accepted_extensions,
    store::{DeliveryState, JobId, JobView},
    text::{one_line, printable, printable_path},
    watch,
};

/// How often progress is looked at.
const EVERY: Duration = Duration::from_millis(300);

/// Bytes of notes that are shown: several times those of a meeting of a day.
const NOTES_BYTES_MAX: u64 = 16 << 20;

pub(super) async fn run(
    settings: &Settings,
    caller: &Caller,
    arguments: cli::Add,
) -> Result<ExitCode, CommandFailure> {
    let folder = find_folder(settings, &arguments.folder)?.clone();
    if arguments.wait && !caller.is_daemon() {
        let refusal = Refusal::new("no daemon runs, so there is nothing to wait for");
        return Err(refusal
            .hint("start it (minuted run, or systemctl start minuted); or leave out --wait")
            .into());
    }
    let files: Vec<PathBuf> = arguments.files.iter().map(|file| absolute_path(file)).collect();
    let checked = files.clone();
    let place = folder.clone();
    let live = LiveConfig::build(
        std::sync::Arc::new(settings.clone()),
        &tokio_util::task::TaskTracker::new(),
        None,
    )?;
    let handle = live.services.get(&folder.service);
    let accepts = handle
        .map_or_else(Vec::new, |handle| accepted_extensions(&folder, handle.service.as_ref()));
    let copied = tokio::task::spawn_blocking(move || check_and_copy(&place, &accepts, &checked));
    let copied = copied.await.context("failed to copy the recordings")??;
    let mut jobs = Vec::new();
    for (source, path) in files.iter().zip(copied) {
        let answer = caller
            .ask(ControlRequest::Take { folder: folder.name.clone(), path: path.clone() })
            .await?;
        let id: JobId = parse_answer(answer.get("id").cloned().unwrap_or_default())?;
        if !arguments.output.json {
            print::message(&format!("{}: queued as job {id}", printable_path(source)));
        }
        jobs.push((source.clone(), id));
    }
    say_without_daemon(caller);
    if arguments.wait {
        return wait_for_jobs(caller, &folder, jobs, arguments.output.json).await;
    }
    if arguments.output.json {
        let list: Vec<Value> = jobs
            .iter()
            .map(|(source, id)| json!({ "file": printable_path(source), "id": id }))
            .collect();
        print::json(&json!(list))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn find_folder<'a>(settings: &'a Settings, name: &str) -> Result<&'a Folder, Refusal> {
    settings.folders.iter().find(|folder| folder.name == name).ok_or_else(|| {
        let known: Vec<&str> = settings.folders.iter().map(|folder| folder.name.as_str()).collect();
        Refusal::new(format!("there is no folder `{name}`"))
            .hint(format!("the folders are: {}", known.join(", ")))
    })
}

/// Checks every file before the first one is copied; returns where each lies in the folder.
fn check_and_copy(
    folder: &Folder,
    accepts: &[String],
    files: &[PathBuf],
) -> anyhow::Result<Vec<PathBuf>> {
    let mut wrong = Vec::new();
    for file in files {
        if let Err(error) = check_recording(folder, accepts, file) {
            wrong.push(format!("{}: {error:#}", printable_path(file)));
        }
    }
    if !wrong.is_empty() {
        return Err(anyhow!(
            "nothing is queued, because not every file can be:\n  {}",
            wrong.join("\n  ")
        ));
    }
    files.iter().map(|file| copy_into_folder(folder, file)).collect()
}

/// Reads the whole file as a recording of the folder, where it lies.
fn check_recording(folder: &Folder, accepts: &[String], file: &Path) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(anyhow!("it does not name a file"));
    };
    let here = Folder { path: parent.to_owned(), ..folder.clone() };
    let settled = watch::settle_now(&here, accepts, name.into(), &|_, _| None, &|_| false)?;
    match settled.content {
        Some(_) if settled.stamp.size > 0 => Ok(()),
        Some(_) => Err(anyhow!("it is empty")),
        None => Err(anyhow!(
            "the service does not take this kind of file; it takes: {}",
            accepts.join(" ")
        )),
    }
}

fn copy_into_folder(folder: &Folder, file: &Path) -> anyhow::Result<PathBuf> {
    let context =
        || format!("failed to copy `{}` into folder `{}`", printable_path(file), folder.name);
    let real = std::fs::canonicalize(file)?;
    if real.starts_with(std::fs::canonicalize(&folder.path)?) {
        return Ok(file.to_owned());
    }
    copy_as_arrival(folder, file).with_context(context)
}

/// Copies bytes and time: the time may be all that tells when the meeting was.
fn copy_as_arrival(folder: &Folder, file: &Path) -> io::Result<PathBuf> {
    let parent = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = file.file_name().unwrap_or_default();
    let mut source = Dir::open(parent)?.open_file(Path::new(name))?;
    let modified = source.metadata()?.modified()?;
    let mut arrival = Arrival::begin(folder)?;
    io::copy(&mut source, arrival.file())?;
    arrival.file().set_modified(modified)?;
    arrival.place(folder, name)
}

async fn wait_for_jobs(
    caller: &Caller,
    folder: &Folder,
    jobs: Vec<(PathBuf, JobId)>,
    as_json: bool,
) -> Result<ExitCode, CommandFailure> {
    let mut bars = Bars::new(&jobs);
    let mut done: BTreeMap<JobId, JobView> = BTreeMap::new();
    while done.len()
        < jobs.iter().map(|(_, id)| id).collect::<std::collections::BTreeSet<_>>().len()
    {
        let status: StatusReport = parse_answer(caller.ask(ControlRequest::Status).await?)?;
        for (_, id) in &jobs {
            if done.contains_key(id) {
                continue;
            }
            let job: JobView = parse_answer(
                caller.ask(ControlRequest::Job { job: crate::control::JobName::Id(*id) }).await?,
            )?;
            bars.show_progress(&job, &status);
            let delivers =
                job.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Due);
            if job.state.is_over() && !delivers {
                bars.show_end(&job);
                done.insert(*id, job);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
    let failed = done.values().any(|job| !matches!(job.state, JobState::Done | JobState::Skipped));
    if as_json {
        print::json(&json!(done.values().collect::<Vec<_>>()))?;
    } else {
        jobs.iter().try_for_each(|(source, id)| print_notes(folder, source, &done[id]))?;
    }
    Ok(ExitCode::from(if failed { exit::FAILURE } else { exit::OK }))
}

/// Prints the notes of one file.
fn print_notes(folder: &Folder, source: &Path, job: &JobView) -> Result<(), CommandFailure> {
    print::line(&format!("== {}", printable_path(source)))?;
    let (answer, hint) =
        explain_job(job, ExplainContext { daemon: true, is_gone: false, now: clock::now() });
    print::line(&printable(&answer))?;
    if let Some(hint) = hint {
        print::message(&format!("hint: {}", printable(&hint)));
    }
    if let Some(notes) =
        job.notes.iter().find(|notes| Path::new(notes).extension() == Some(OsStr::new("md")))
    {
        match read_notes(folder, Path::new(notes), job) {
            Ok(text) => print::document(&text)?,
            Err(error) => print::message(&format!("the notes cannot be read from here: {error}")),
        }
    }
    Ok(())
}

/// Reads the notes of a job where the folder has its notes. Others may write there: no link is followed, and what does not
/// name the job is not shown.
fn read_notes(folder: &Folder, notes: &Path, job: &JobView) -> io::Result<String> {
    let roots = folder.notes_dir.iter().chain([&folder.path]);
    let opened = roots.map(|root| open_below(root, notes)).find_map(io::Result::transpose);
    let file = opened.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
    let mut text = Vec::new();
    file.take(NOTES_BYTES_MAX).read_to_end(&mut text)?;
    let key = delivery::key_of(&text).map(|key| key.to_string());
    if key.is_none() || key != job.key {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file there does not hold the notes of this job",
        ));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Progress for a person: bars on a terminal, a line for each step elsewhere.
struct Bars {
    watched: bool,
    by_job: BTreeMap<JobId, ProgressBar>,
    told: BTreeMap<JobId, String>,
}

impl Bars {
    fn new(jobs: &[(PathBuf, JobId)]) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:24} {wide_bar} {msg:24}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |(source, id): &(PathBuf, JobId)| {
            let name = printable_path(Path::new(source.file_name().unwrap_or_default()));
            let bar = all
                .add(ProgressBar::new(100))
                .with_style(style.clone())
                .with_prefix(one_line(&name, 24));
            (*id, bar)
        };
        Self {
            watched: print::is_watched(),
            by_job: jobs.iter().map(bar).collect(),
            told: BTreeMap::new(),
        }
    }

    fn show_progress(&mut self, job: &JobView, status: &StatusReport) {
        let running = status.running.iter().find(|running| running.id == job.id);
        let word = describe_step(job, running);
        if self.watched {
            if let Some(bar) = self.by_job.get(&job.id) {
                bar.set_position(estimate_percent(job, running));
                let left = running
                    .and_then(|running| running.ends)
                    .map(|at| format!(", {} left", print::format_time_left(at)));
                bar.set_message(format!("{word}{}", left.unwrap_or_default()));
            }
        } else if self.told.get(&job.id) != Some(&word) {
            print::message(&format!("job {}: {word}", job.id));
            self.told.insert(job.id, word);
        }
    }

    fn show_end(&mut self, job: &JobView) {
        match self.by_job.get(&job.id) {
            Some(bar) if self.watched => bar.finish_with_message(job.state.as_str()),
            Some(_) | None
                if self.told.get(&job.id).is_some_and(|word| word == job.state.as_str()) => {}
            Some(_) | None => print::message(&format!("job {}: {}", job.id, job.state)),
        }
    }
}

fn describe_step(job: &JobView, running: Option<&RunningStatus>) -> String {
    let under_way = running.filter(|running| running.sent < running.total);
    match (job.stage, job.waits_for) {
        (_, Some(WaitReason::Analysis)) => "the service works on it".into(),
        (_, Some(WaitReason::SignIn)) => {
            let cure = job.hold.as_ref().and_then(|hold| hold.cure.as_deref());
            format!("waits for you: {}", cure.unwrap_or("minuted login"))
        }
        (_, Some(waits)) => format!("waits: {waits}; minuted status"),
        (Some(Stage::Upload), None)
            if under_way.is_some_and(|running| running.unit != Unit::Bytes) =>
        {
            "transcribes".into()
        }
        (Some(Stage::Upload), None) if under_way.is_some() => "uploads".into(),
        (Some(stage), None) => stage.to_string(),
        (None, None) => job.state.to_string(),
    }
}

/// A rough share of the way: the upload is the part that can be counted; who transcribes at once does all the
/// work in it.
fn estimate_percent(job: &JobView, running: Option<&RunningStatus>) -> u64 {
    let (sent, total) = running.map_or((0, 0), |running| (running.sent, running.total));
    let share = running.map_or(55, |running| if running.unit == Unit::Bytes { 55 } else { 90 });
    match job.stage {
        Some(Stage::Create) => 2,
        Some(Stage::Upload) if total > 0 => 5 + sent.saturating_mul(share) / total,
        Some(Stage::Upload) => 5,
        Some(Stage::Analyse) => 60,
        Some(Stage::Deliver) => 95,
        None => 100,
    }
}
