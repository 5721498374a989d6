//! The speakers of a job: who they are, how long they speak, and the names that a person gives them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Answer, ControlService, JobName, Refusal, service::to_value};
use crate::{
    clock,
    config::Analysis,
    delivery::{NotesFileState, find_notes_state},
    job::{Findings, Segment, SpeakerNames},
    store::{GivenNames, JobId, StoreError, WrittenNotes},
    text::{one_line, printable_path, strip_to_line},
};

/// Characters of a sentence that are shown: enough to recognise who speaks.
const SENTENCE_MAX: usize = 120;

/// Characters of a label or name that a message shows.
const NAME_MAX: usize = 120;

/// The answer to `speakers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpeakersAnswer {
    /// The job.
    pub id: JobId,
    /// The speakers of its transcript, in the order of their first words.
    pub speakers: Vec<SpeakerView>,
    /// What was done, where names were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The files of notes that a person has edited: they stay as they are, and other files get the names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
}

/// A speaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpeakerView {
    /// The label in the transcript.
    pub label: String,
    /// The name that a person gave.
    pub name: Option<String>,
    /// How long the speaker speaks, in seconds; `None` where the transcript has no times.
    pub seconds: Option<f64>,
    /// The first sentence.
    pub first: String,
}

impl ControlService {
    /// Names speakers of a job by assignments such as `Speaker 2=Ann Lee`; without any it only lists them.
    pub(super) async fn name_speakers(&self, job: JobName, assignments: Vec<String>) -> Answer {
        let id = self.find_job(job).await?;
        let mut message = None;
        let mut edited = Vec::new();
        if !assignments.is_empty() {
            // The daemon begins to write as soon as names are stored.
            let edited_before = self.find_edited_notes(id).await?;
            let given = self.queue.jobs().name_speakers(id, assignments, clock::now()).await?;
            self.wake_daemon();
            message = Some(format!("job {id}: {}", describe_names(&given)));
            edited = if given.rewrites { edited_before } else { Vec::new() };
        }
        let job = self.queue.jobs().find(id).await?.ok_or(StoreError::NoSuchJob { job: id })?;
        let reports = self.queue.stages().read_results(id).await?;
        let transcript = reports.iter().find(|report| report.analysis == Analysis::Transcription);
        let speakers = transcript
            .map(|report| list_speakers(&report.findings, &job.speaker_names))
            .unwrap_or_default();
        if speakers.is_empty() {
            let hint = format!("minuted job {id} shows where it is");
            return Err(
                Refusal::new(format!("job {id} has no transcript with speakers")).hint(hint)
            );
        }
        to_value(&SpeakersAnswer { id, speakers, message, edited })
    }

    /// Returns the paths of the notes of a job that a person has edited. Where a directory cannot be looked at, nothing is
    /// known.
    async fn find_edited_notes(&self, id: JobId) -> Result<Vec<String>, Refusal> {
        let mut edited = Vec::new();
        // Twice where one is found: the daemon may have written between the two looks of the first time.
        for _ in 0..2 {
            let files = self.queue.jobs().list_written_notes(id).await?;
            let look = move || {
                files.into_iter().filter(is_edited).map(|notes| notes_path(&notes)).collect()
            };
            edited = tokio::task::spawn_blocking(look)
                .await
                .map_err(|error| Refusal::new(error.to_string()))?;
            if edited.is_empty() {
                break;
            }
        }
        Ok(edited)
    }
}

fn is_edited(notes: &WrittenNotes) -> bool {
    matches!(find_notes_state(&notes.written, &notes.intended), Ok(NotesFileState::Edited))
}

fn notes_path(notes: &WrittenNotes) -> String {
    printable_path(&notes.written.base.join(&notes.written.path))
}

fn describe_names(given: &GivenNames) -> String {
    let one = |(label, name): &(String, Option<String>)| {
        let label = one_line(label, NAME_MAX);
        match name {
            Some(name) => format!("{label} is {}", one_line(name, NAME_MAX)),
            None => format!("{label} has no name"),
        }
    };
    let names = given.names.iter().map(one).collect::<Vec<_>>().join(", ");
    let outcome = match (given.is_new, given.rewrites) {
        (false, _) => ", as before",
        (true, true) => "; its notes are written again, and nothing is mailed again",
        (true, false) => {
            "; no notes lie there as files, and those that are made from now on have the names"
        }
    };
    format!("{names}{outcome}")
}

fn list_speakers(found: &Findings, names: &SpeakerNames) -> Vec<SpeakerView> {
    let mut spoken: BTreeMap<String, Vec<&Segment>> = BTreeMap::new();
    for segment in &found.segments {
        if let Some(label) = &segment.speaker {
            spoken.entry(strip_to_line(label)).or_default().push(segment);
        }
    }
    let view = |label: String| {
        let segments = spoken.get(&label).map(Vec::as_slice).unwrap_or_default();
        let times =
            segments.iter().filter_map(|segment| Some((segment.end? - segment.start?).max(0.0)));
        // Tenths of a second: more digits would only look exact.
        let seconds = times.reduce(|sum, time| sum + time).map(|sum| (sum * 10.0).round() / 10.0);
        SpeakerView {
            name: names.name_of(&label).map(str::to_owned),
            seconds,
            first: first_sentence(segments),
            label,
        }
    };
    found.speaker_labels().into_iter().map(view).collect()
}

/// Returns the first sentence of somebody's segments, which may be cut within it.
fn first_sentence(segments: &[&Segment]) -> String {
    let mut said = String::new();
    for segment in segments {
        for piece in segment.text.split_inclusive(['.', '!', '?', '…', '。', '！', '？']) {
            said.push_str(piece);
            let is_whole = piece.ends_with(['.', '!', '?', '…', '。', '！', '？']);
            if (is_whole && said.contains(char::is_alphanumeric)) || said.len() > SENTENCE_MAX * 4 {
                return one_line(&said, SENTENCE_MAX);
            }
        }
        said.push(' ');
    }
    one_line(&said, SENTENCE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: f64, end: f64, speaker: &str, text: &str) -> Segment {
        Segment {
            start: Some(start),
            end: Some(end),
            speaker: Some(speaker.into()),
            text: text.into(),
            ..Segment::default()
        }
    }

    #[test]
    fn each_speaker_is_listed_once_with_its_time_and_a_whole_sentence() {
        let untimed =
            Segment { speaker: Some("C".into()), text: "… Well".into(), ..Segment::default() };
        let found = Findings {
            segments: vec![
                said(0.0, 1.5, "Speaker 1", "Good"),
                said(1.5, 2.0, "Speaker 2", "Hello."),
                said(3.0, 4.25, "Speaker 1", "morning, all. Shall we?"),
                said(9.0, 8.0, "Speaker 2", "Yes."),
                untimed,
            ],
            ..Findings::default()
        };
        let mut names = SpeakerNames::default();
        names.assign("Speaker 2=Ann", &found.speaker_labels()).expect("named");
        let shown: Vec<_> = list_speakers(&found, &names)
            .into_iter()
            .map(|one| (one.label, one.name, one.seconds, one.first))
            .collect();
        assert_eq!(
            shown,
            [
                ("Speaker 1".into(), None, Some(2.8), "Good morning, all.".into()),
                ("Speaker 2".into(), Some("Ann".into()), Some(0.5), "Hello.".into()),
                ("C".into(), None, None, "… Well".into()),
            ]
        );
    }
}
