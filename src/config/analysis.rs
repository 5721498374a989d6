//! The analyses that a service can be asked for.

/// A result of a service, in the words of the config.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Analysis {
    /// The words that were said, with speakers and times.
    #[serde(rename = "transcription")]
    Transcription,
    /// The minutes as Markdown.
    #[serde(rename = "meeting note")]
    MeetingNote,
    /// The key points.
    #[serde(rename = "key_points")]
    KeyPoints,
    /// The mood of the meeting.
    #[serde(rename = "sentiment")]
    Sentiment,
}

impl Analysis {
    /// All analyses, in the order in which they stand in notes.
    pub const ALL: [Self; 4] =
        [Self::MeetingNote, Self::KeyPoints, Self::Sentiment, Self::Transcription];

    /// The analyses that notes are made of by default.
    pub(super) const USUAL: [Self; 2] = [Self::Transcription, Self::MeetingNote];

    /// Returns the word used in the config, in the queue and by PAXS.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcription => "transcription",
            Self::MeetingNote => "meeting note",
            Self::KeyPoints => "key_points",
            Self::Sentiment => "sentiment",
        }
    }

    /// Returns the analysis of that word; `_`, `-` and a space between words are the same.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Self::ALL.into_iter().find(|analysis| analysis.as_str().replace(' ', "_") == word)
    }
}
