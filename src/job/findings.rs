//! The results of a service for one recording, in one shape for all services.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{config::Analysis, text::strip_to_line};

/// A result of a service, as last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The kind of result.
    pub analysis: Analysis,
    /// Its status.
    pub status: Status,
    /// The service's id of it, when it has one.
    pub id: Option<String>,
    /// Its text, once completed.
    pub findings: Findings,
    /// The error, in the service's words.
    pub error: Option<String>,
    /// The service's answer, unchanged.
    pub raw: String,
}

impl Report {
    /// Returns a hash of the report's id and raw text, which tells it from a later report of the
    /// same analysis.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(self.id.as_deref().unwrap_or_default().as_bytes())
            .update(b"\0")
            .update(self.raw.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Returns the words of a text; none where there are only marks of what was heard instead, such as `[BLANK_AUDIO]`,
/// `(music)`, `*applause*` or `♪`, or nothing but punctuation.
#[must_use]
pub(crate) fn spoken_words(text: &str) -> Option<&str> {
    /// The characters that open and close a mark.
    const MARKS: [(char, char); 8] = [
        ('[', ']'),
        ('(', ')'),
        ('<', '>'),
        ('*', '*'),
        ('♪', '♪'),
        ('♫', '♫'),
        ('【', '】'),
        ('（', '）'),
    ];
    /// Characters of a mark: a sentence in brackets is longer.
    const MARK_MAX: usize = 40;
    let text = text.trim();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let close = MARKS.iter().find(|(open, _)| *open == first).map(|(_, close)| *close);
        rest = match close.and_then(|close| after.split_once(close)) {
            Some((mark, after)) if mark.chars().count() <= MARK_MAX => after,
            _ if first.is_alphanumeric() => return Some(text),
            _ => after,
        };
    }
    None
}

/// Returns whether a text is what a recogniser of Whisper's kind makes of silence: by the probability
/// that nobody speaks and the mean logarithm of its tokens, as far as they are known.
///
/// The first rule and its limits are Whisper's own. Where it is sure of its words all the same, only
/// the credits of films are taken for silence, which it has learnt for it.
#[must_use]
pub(crate) fn is_silence(text: &str, no_speech: Option<f64>, mean_log: Option<f64>) -> bool {
    const NO_SPEECH_ABOVE: f64 = 0.6;
    const MEAN_LOG_BELOW: f64 = -1.0;
    let is_probable = no_speech.is_some_and(|probability| probability > NO_SPEECH_ABOVE);
    is_probable && (mean_log.is_some_and(|mean| mean < MEAN_LOG_BELOW) || is_credit(text))
}

/// Returns whether a text is one of the sentences at the end of films.
fn is_credit(text: &str) -> bool {
    /// Whole texts, letters alone.
    const WHOLE: [&str; 14] = [
        "thank you",
        "thank you very much",
        "thank you for watching",
        "thanks for watching",
        "thank you so much for watching",
        "please subscribe",
        "please subscribe to my channel",
        "vielen dank",
        "vielen dank fürs zuschauen",
        "merci davoir regardé cette vidéo",
        "gracias por ver el video",
        "bedankt voor het kijken",
        "ご視聴ありがとうございました",
        "谢谢观看",
    ];
    /// Begins of texts that name a translator or a station.
    const BEGINS: [&str; 6] = [
        "subtitles by",
        "untertitel der",
        "untertitel im auftrag",
        "untertitelung",
        "soustitres",
        "subtítulos",
    ];
    let letters: String =
        text.chars().filter(|letter| letter.is_alphanumeric() || letter.is_whitespace()).collect();
    let letters = letters.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    WHOLE.contains(&letters.as_str()) || BEGINS.iter().any(|begin| letters.starts_with(begin))
}

/// The status of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not begun.
    Pending,
    /// The service works on it.
    Processing,
    /// The result is complete.
    Completed,
    /// The service could not make it.
    Failed,
}

/// The content of a result. What a service does not give is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// A text in Markdown: the minutes, the key points.
    pub markdown: Option<String>,
    /// A summary in plain text or Markdown.
    pub summary: Option<String>,
    /// The speakers, in the order of the service.
    pub speakers: Vec<String>,
    /// The transcript, in order.
    pub segments: Vec<Segment>,
    /// The length of the recording in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The language that was recognised, in the words of who recognised it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// True where the words are not those that were spoken, but what a recogniser of English alone
    /// made of another language: no notes are made of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_foreign: bool,
    /// Remarks for the reader: the recording ended early, nothing was said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The decisions, actions and open questions that were checked against the transcript.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// The writer of the notes, where it is not the service itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes_by: Option<String>,
}

impl Findings {
    /// Returns the labels of the speakers of the transcript, each on one line, in the order of their first words.
    #[must_use]
    pub fn speaker_labels(&self) -> Vec<String> {
        let mut listed = BTreeSet::new();
        let labels = self
            .segments
            .iter()
            .filter_map(|segment| segment.speaker.as_deref())
            .map(strip_to_line);
        labels.filter(|label| !label.is_empty() && listed.insert(label.clone())).collect()
    }
}

/// A decision, an action or an open question, with the words that say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its kind.
    pub kind: ItemKind,
    /// The item, on one line.
    pub text: String,
    /// The owner of an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The time by which an action is due: a date, else the words that were spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// True where a reader should compare it with its quote.
    #[serde(default)]
    pub check: bool,
    /// The words that say it.
    pub quote: ItemQuote,
    /// The segments of the transcript that say it, counted from 1.
    pub lines: Vec<usize>,
}

/// The kind of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// A decision.
    Decision,
    /// A task that somebody has taken on or been given.
    Action,
    /// A question that stayed open.
    Question,
}

/// Words of the transcript under an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemQuote {
    /// Their time, in seconds from the start of the recording.
    pub at: Option<f64>,
    /// Their speaker, where the service names one.
    pub speaker: Option<String>,
    /// The words, on one line.
    pub text: String,
}

/// A stretch of speech by one speaker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Segment {
    /// Begin, in seconds from the start of the recording.
    pub start: Option<f64>,
    /// End, in seconds from the start of the recording.
    pub end: Option<f64>,
    /// The speaker, where the service names one.
    pub speaker: Option<String>,
    /// The words.
    pub text: String,
    /// The mean probability of the words by the recogniser that found them, 0 to 1, where it tells:
    /// the geometric mean over its tokens. Recognisers differ in how sure they are of themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// The text of a segment in place of words that the recogniser did not find but invent.
pub(crate) const UNCLEAR: &str = "[unclear]";

/// The note in place of one that would be made of words that nobody said, in Markdown.
pub(crate) const FOREIGN_NOTE: &str = "*This does not sound like English: no summary, decisions, actions or questions were looked for.*";

impl Segment {
    /// Returns whether its words were not understood.
    pub(crate) fn is_unclear(&self) -> bool {
        self.text == UNCLEAR
    }
}

/// Returns the confidence in thousandths for the mean of the natural logarithms of tokens'
/// probabilities; `None` where it is none.
pub(crate) fn confidence_from_log(mean: f64) -> Option<f64> {
    (mean <= 0.0).then(|| (mean.exp() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_whisper_makes_of_silence_is_no_speech_and_what_it_is_sure_of_is() {
        assert!(is_silence("So we agreed on Friday.", Some(0.61), Some(-1.01)), "its own rule");
        for (no_speech, mean) in [
            (Some(0.6), Some(-1.5)),
            (Some(0.9), Some(-1.0)),
            (None, Some(-2.0)),
            (Some(0.9), None),
        ] {
            assert!(
                !is_silence("So we agreed on Friday.", no_speech, mean),
                "{no_speech:?} {mean:?}"
            );
        }
        for credit in [
            " Thank you for watching!",
            "Thank you.",
            "Untertitel der Amara.org-Community",
            "Sous-titres réalisés par la communauté d'Amara.org",
            "Merci d'avoir regardé cette vidéo !",
            "ご視聴ありがとうございました。",
        ] {
            assert!(
                is_silence(credit, Some(0.8), Some(-0.2)) && is_silence(credit, Some(0.8), None),
                "{credit}"
            );
            assert!(
                !is_silence(credit, Some(0.3), Some(-0.2)) && !is_silence(credit, None, None),
                "{credit}"
            );
        }
        assert!(!is_silence("Thank you, Ann.", Some(0.9), Some(-0.2)));
    }

    #[test]
    fn what_was_heard_instead_of_words_is_no_speech() {
        let silence = [
            "",
            " ",
            "[BLANK_AUDIO]",
            "[ Silence ]",
            "(silence)",
            "[Music] [Music]",
            " [MUSIC PLAYING] ",
            "*Applaus*",
            "♪",
            "♪ ♪",
            "♪ la la ♪",
            ". . .",
            "…",
            "-",
            "*",
            "[no speech].",
            "<|nospeech|>",
            "【音乐】",
            "（笑）",
        ];
        for text in silence {
            assert_eq!(spoken_words(text), None, "{text}");
        }
        let speech = [
            "You",
            "(a) und (b)",
            "♪ la la",
            "[laughs] That was it.",
            "That was it. [laughs]",
            "3 < 5 and 7 > 6",
            "(So we agreed that the price list goes out on Friday.)",
            "早上好。",
        ];
        for text in speech {
            assert_eq!(spoken_words(text), Some(text), "{text}");
        }
    }
}
