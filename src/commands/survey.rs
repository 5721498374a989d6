//! Files that are not taken in, as `minuted scan --dry-run` and `minuted backlog` show them: each with its length, and each
//! folder with its hours and what its service takes for them.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use serde_json::Value;

use super::{
    CommandFailure, parse_answer,
    print::{self, Column, List},
};
use crate::{
    control::SurveyedFile,
    text::{format_audio, format_count, one_line, printable},
};

/// The sums of a folder.
#[derive(Debug, Default)]
struct FolderTotal {
    service: String,
    recordings: u64,
    estimated: u64,
    audio: Duration,
    /// Processor time; `None` once it is not known of a recording.
    work: Option<Duration>,
    calls: u64,
}

/// Shows files; `none` is said where there are none.
pub(super) fn show(found: Value, is_json: bool, none: &str) -> Result<ExitCode, CommandFailure> {
    if is_json {
        print::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let files: Vec<SurveyedFile> = parse_answer(found)?;
    if files.is_empty() {
        print::message(none);
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        Column::Short("folder", 8),
        Column::Whole("size"),
        Column::Whole("length"),
        Column::Short("what happens", 12),
    ];
    let mut list = List::new(columns, "file");
    for file in &files {
        let length = length_of(file).map_or_else(
            || "-".to_owned(),
            |length| {
                let about = if file.estimated { "~" } else { "" };
                format!("{about}{}", format_audio(length))
            },
        );
        let folder = one_line(&file.folder, 16);
        let size = print::format_size(file.size);
        list.add([folder, size, length, one_line(&file.why, 40)], file.path.clone());
    }
    list.show()?;
    for (folder, total) in add_up(&files) {
        print::line(&printable(&describe_total(folder, &total)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn length_of(file: &SurveyedFile) -> Option<Duration> {
    file.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// Adds up the recordings of each folder.
fn add_up(files: &[SurveyedFile]) -> BTreeMap<&str, FolderTotal> {
    let mut totals: BTreeMap<&str, FolderTotal> = BTreeMap::new();
    for (file, length) in files.iter().filter_map(|file| Some((file, length_of(file)?))) {
        let total = totals.entry(&file.folder).or_insert_with(|| FolderTotal {
            service: file.service.clone(),
            work: Some(Duration::ZERO),
            ..FolderTotal::default()
        });
        let work = file.work_seconds.and_then(|work| Duration::try_from_secs_f64(work).ok());
        total.recordings += 1;
        total.estimated += u64::from(file.estimated);
        total.audio += length;
        total.work = total.work.zip(work).map(|(before, work)| before + work);
        total.calls += file.calls;
    }
    totals
}

fn describe_total(folder: &str, total: &FolderTotal) -> String {
    let estimated = match total.estimated {
        0 => String::new(),
        estimated => format!(" ({estimated} estimated from size and bit rate)"),
    };
    let work = total
        .work
        .map(|work| format!("; about {} of one processor of this machine", format_audio(work)));
    let calls = (total.calls > 0).then(|| {
        format!("; {} sent to service {}", format_count(total.calls, "recording"), total.service)
    });
    format!(
        "folder {folder}: {} of {} in all{estimated}{}{}",
        format_count(total.recordings, "recording"),
        format_audio(total.audio),
        work.unwrap_or_default(),
        calls.unwrap_or_default()
    )
}
