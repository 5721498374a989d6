//! The protocol of the daemon and its child: one request as JSON in an argument, answers as lines
//! of JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{model::VoiceModels, recogniser::Choice};
use crate::config::Speakers;

/// Bytes of a line of the child at most: a few hundred are usual.
pub(crate) const LINE_MAX: u64 = 64 * 1024;

/// The work of the child on the recording that is its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Work {
    /// The recogniser that turns sound into words.
    pub recogniser: Choice,
    /// The way to tell voices apart; `None` makes a transcript without speakers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voices: Option<VoiceWork>,
    /// The directory of the finished pieces; made when it is not there.
    pub pieces: PathBuf,
    /// The identity of this recording: pieces of another are thrown away.
    pub content: String,
    /// Threads of the model.
    pub threads: usize,
    /// MiB of memory that the child may ask for.
    pub memory_mib: u64,
    /// The length of the recording in milliseconds, for a container that does not give it.
    pub duration_ms: Option<u64>,
    /// Maximum length of the recording, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max_ms: Option<u64>,
    /// The path of ffmpeg, if it is installed.
    pub ffmpeg: Option<PathBuf>,
    /// The process id of the parent; the child ends when it is not that one any more.
    pub parent: u32,
    /// For tests: the effect at which the child comes to harm, see [`crate::effect`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<String>,
}

/// Voices to be told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoiceWork {
    /// The models.
    pub models: VoiceModels,
    /// The number of speakers, as far as it is known.
    pub speakers: Speakers,
}

/// A line of the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChildLine {
    /// The model is being loaded: who dies now dies of it, and not of the recording. Progress ends
    /// it.
    Loading,
    /// The progress so far.
    Progress {
        /// Milliseconds of sound that are done.
        done_ms: u64,
        /// Milliseconds in all; 0 when unknown.
        total_ms: u64,
        /// Milliseconds for which a processor was busy with it.
        busy_ms: u64,
    },
    /// All pieces are on disk. The last line.
    Done {
        /// The number of pieces with words.
        segments: u64,
        /// Remarks for the reader of the transcript.
        remarks: Vec<String>,
    },
    /// The work failed. The last line.
    Failed {
        /// The kind of failure.
        kind: FailureKind,
        /// The reason.
        error: String,
    },
}

/// The kind of a failure, by whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The recording cannot be decoded.
    Undecodable,
    /// There is no sound in it.
    NoSound,
    /// The recording could be decoded with ffmpeg.
    NeedsFfmpeg,
    /// The model is missing, damaged, or does not work.
    Model,
    /// The recording cannot be read, or the pieces cannot be written.
    Disk,
    /// The memory that it may have does not suffice.
    Memory,
    /// The machine or the service had no memory left for its ffmpeg.
    NoMemory,
    /// The model does not know the language that is spoken.
    Language,
    /// The recording is longer than allowed.
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_both_sides_expect() {
        let failed = ChildLine::Failed {
            kind: FailureKind::NeedsFfmpeg,
            error: "needs ffmpeg for AMR".to_owned(),
        };
        let lines = [
            ChildLine::Progress { done_ms: 5, total_ms: 0, busy_ms: 7 },
            ChildLine::Done { segments: 1, remarks: vec!["x".to_owned()] },
            failed,
        ];
        let text: Vec<_> =
            lines.iter().map(|line| serde_json::to_string(line).expect("JSON")).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        {"progress":{"done_ms":5,"total_ms":0,"busy_ms":7}}
        {"done":{"segments":1,"remarks":["x"]}}
        {"failed":{"kind":"needs_ffmpeg","error":"needs ffmpeg for AMR"}}
        "#);
        let again: Vec<ChildLine> =
            text.iter().map(|line| serde_json::from_str(line).expect("a line")).collect();
        assert_eq!(again, lines);
    }
}
