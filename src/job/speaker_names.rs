//! The names that a person gave to the speakers of a transcript.
//!
//! They are kept beside the results and put in where notes are rendered, so that no service is asked again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Findings, Report, findings::Item};
use crate::{
    config::parse_visible_line,
    text::{escape_markdown, strip_to_line},
};

/// The names of the speakers of one job, by label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpeakerNames(BTreeMap<String, String>);

/// The cause for which a speaker gets no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamingError {
    /// No label and no name.
    NotAnAssignment,
    /// The transcript has no speaker of this label.
    UnknownSpeaker(String),
    /// The name is no visible line, or a very long one.
    Unfit(String),
}

impl SpeakerNames {
    /// Returns whether no speaker has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the name of a speaker, where a person gave one.
    #[must_use]
    pub fn name_of(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }

    /// Returns the names, by label.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, name)| (label.as_str(), name.as_str()))
    }

    /// Gives a speaker a name by an assignment such as `Speaker 2=Ann Lee`; one without a name takes the name away.
    /// `labels` are those of the transcript. Returns the label and its name now.
    ///
    /// # Errors
    /// [`NamingError`], and nothing is changed.
    pub fn assign(
        &mut self,
        text: &str,
        labels: &[String],
    ) -> Result<(String, Option<String>), NamingError> {
        let (label, name) = split_assignment(text, labels)?;
        if name.is_empty() {
            self.0.remove(&label);
            return Ok((label, None));
        }
        let name = parse_visible_line(name).ok_or_else(|| NamingError::Unfit(name.to_owned()))?;
        self.0.insert(label.clone(), name.clone());
        Ok((label, Some(name)))
    }

    /// Puts the names into results: into the segments, the owners and quotes of items, and texts that call a speaker by
    /// the label. What was said stays as it was said.
    pub fn apply(&self, reports: &mut [Report]) {
        for report in reports.iter_mut().filter(|_| !self.is_empty()) {
            self.apply_to_findings(&mut report.findings);
        }
    }

    fn apply_to_findings(&self, findings: &mut Findings) {
        for text in [&mut findings.markdown, &mut findings.summary].into_iter().flatten() {
            *text = self.name_in_text(text, escape_markdown);
        }
        findings.segments.iter_mut().for_each(|segment| self.name_speaker(&mut segment.speaker));
        findings.items.iter_mut().for_each(|item| self.apply_to_item(item));
        let mut listed = BTreeSet::new();
        findings.speakers = std::mem::take(&mut findings.speakers)
            .into_iter()
            .map(|label| self.name_of(&strip_to_line(&label)).map_or(label, str::to_owned))
            .filter(|name| listed.insert(name.clone()))
            .collect();
    }

    fn apply_to_item(&self, item: &mut Item) {
        item.text = self.name_in_text(&item.text, str::to_owned);
        self.name_speaker(&mut item.owner);
        self.name_speaker(&mut item.quote.speaker);
    }

    fn name_speaker(&self, speaker: &mut Option<String>) {
        if let Some(name) = speaker.as_deref().and_then(|label| self.name_of(&strip_to_line(label)))
        {
            *speaker = Some(name.to_owned());
        }
    }

    /// Returns a text in which labels are names; `escape` makes either fit for it. All are replaced in one pass: a name
    /// may be the label of another speaker.
    fn name_in_text(&self, text: &str, escape: fn(&str) -> String) -> String {
        let labels: Vec<(String, &str, bool)> = self
            .0
            .iter()
            .map(|(label, name)| (escape(label), name.as_str(), is_numbered(label)))
            .collect();
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let begins = !before.is_alphanumeric();
            let found = labels.iter().filter(|_| begins).find(|(label, _, is_numbered)| {
                rest.strip_prefix(label.as_str())
                    .is_some_and(|after| ends_label(after, *is_numbered))
            });
            let taken = if let Some((label, name, _)) = found {
                out.push_str(&escape(name));
                label.len()
            } else {
                out.push(first);
                first.len_utf8()
            };
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
        out
    }
}

/// Returns whether a label is a word with a number, such as `Speaker 2` or `SPEAKER_00`, which stands for a speaker
/// wherever it is written; `Left` and `A` are words of the language, too.
fn is_numbered(label: &str) -> bool {
    let letters = label.chars().take_while(|character| character.is_alphabetic()).count();
    letters >= 3 && label.ends_with(|character: char| character.is_ascii_digit())
}

/// Returns whether a label ends before `after`: it is no part of a longer word, and one without a number stands before
/// what the speaker says or does.
fn ends_label(after: &str, is_numbered: bool) -> bool {
    let is_whole = !after.starts_with(|next: char| next.is_alphanumeric());
    is_whole && (is_numbered || after.starts_with(':') || after.starts_with("**"))
}

/// Splits an assignment at the `=` behind a label of the transcript.
fn split_assignment<'a>(
    text: &'a str,
    labels: &[String],
) -> Result<(String, &'a str), NamingError> {
    let (begin, _) = text.split_once('=').ok_or(NamingError::NotAnAssignment)?;
    let splits =
        || text.match_indices('=').map(|(at, _)| (text[..at].trim(), text[at + 1..].trim()));
    let find = |is_label: &dyn Fn(&str, &str) -> bool| {
        splits().find_map(|(label, name)| {
            Some((labels.iter().find(|known| is_label(known, label))?.clone(), name))
        })
    };
    find(&|known, label| known == label)
        .or_else(|| find(&|known, label| known.to_lowercase() == label.to_lowercase()))
        .ok_or_else(|| NamingError::UnknownSpeaker(begin.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Analysis,
        job::{ItemKind, ItemQuote, Segment, Status},
    };

    fn labels() -> Vec<String> {
        ["Speaker 1", "Speaker 2", "Speaker 12", "Left", "a=b"].map(str::to_owned).to_vec()
    }

    fn named(assignments: &[&str]) -> SpeakerNames {
        let mut names = SpeakerNames::default();
        for text in assignments {
            names.assign(text, &labels()).expect("an assignment");
        }
        names
    }

    #[test]
    fn an_assignment_gives_a_name_or_takes_it_away() {
        let mut names = SpeakerNames::default();
        let mut assign = |text: &str| names.assign(text, &labels());
        assert_eq!(assign("Speaker 2=Ann Lee"), Ok(("Speaker 2".into(), Some("Ann Lee".into()))));
        assert_eq!(
            assign(" speaker 1 =  Bo = Chen "),
            Ok(("Speaker 1".into(), Some("Bo = Chen".into())))
        );
        assert_eq!(assign("a=b=Eve"), Ok(("a=b".into(), Some("Eve".into()))));
        assert_eq!(assign("Speaker 1="), Ok(("Speaker 1".into(), None)));
        assert_eq!(assign("Speaker 2"), Err(NamingError::NotAnAssignment));
        assert_eq!(assign("Speaker 3=Ann"), Err(NamingError::UnknownSpeaker("Speaker 3".into())));
        for name in ["A\nB", "\u{202e}nnA", "\u{200b}"] {
            assert_eq!(assign(&format!("Speaker 1={name}")), Err(NamingError::Unfit(name.into())));
        }
        assert!(assign(&format!("Speaker 1={}", "x".repeat(256))).is_ok());
        assert!(assign(&format!("Speaker 1={}", "x".repeat(257))).is_err());
        assert!(assign("Speaker 1=").is_ok());
        assert_eq!(names.iter().collect::<Vec<_>>(), [("Speaker 2", "Ann Lee"), ("a=b", "Eve")]);
    }

    #[test]
    fn labels_are_named_in_texts_as_whole_words_and_in_one_pass() {
        let names = named(&["Speaker 1=Speaker 2", "Speaker 2=Ann *Lee*", "Left=Bo"]);
        let text = "- [00:01] Speaker 1: yes\n- **Speaker 2**: no, Speaker 12 left; XSpeaker 2, Speaker 2's\n**Left**: on Left:";
        assert_eq!(
            names.name_in_text(text, escape_markdown),
            "- [00:01] Speaker 2: yes\n- **Ann \\*Lee\\***: no, Speaker 12 left; XSpeaker 2, Ann \\*Lee\\*'s\n**Bo**: on Bo:"
        );
        let sides = "Turn Left here; Left's";
        assert_eq!(names.name_in_text(sides, str::to_owned), sides);
    }

    #[test]
    fn what_was_said_stays_and_two_speakers_may_be_one_person() {
        let said = |speaker: &str| Segment {
            speaker: Some(speaker.into()),
            text: "Speaker 1 is loud.".into(),
            ..Segment::default()
        };
        let quote = ItemQuote {
            at: None,
            speaker: Some("Speaker 1".into()),
            text: "Speaker 1 is loud.".into(),
        };
        let item = Item {
            kind: ItemKind::Action,
            text: "Speaker 1 mends it".into(),
            owner: Some("Speaker 2".into()),
            due: None,
            check: false,
            quote,
            lines: vec![1],
        };
        let findings = Findings {
            speakers: vec!["Speaker 1".into(), "Speaker 12".into(), "Speaker 2".into()],
            segments: vec![said("Speaker 1"), said(" Speaker  2"), said("Speaker 12")],
            items: vec![item],
            ..Findings::default()
        };
        let mut reports = [Report {
            analysis: Analysis::Transcription,
            status: Status::Completed,
            id: None,
            findings,
            error: None,
            raw: String::new(),
        }];
        named(&["Speaker 1=Ann", "Speaker 2=Ann"]).apply(&mut reports);
        let found = &reports[0].findings;
        assert_eq!(found.speakers, ["Ann", "Speaker 12"]);
        let speakers: Vec<_> =
            found.segments.iter().filter_map(|segment| segment.speaker.as_deref()).collect();
        assert_eq!(speakers, ["Ann", "Ann", "Speaker 12"]);
        assert!(found.segments.iter().all(|segment| segment.text == "Speaker 1 is loud."));
        let item = &found.items[0];
        assert_eq!((item.text.as_str(), item.owner.as_deref()), ("Ann mends it", Some("Ann")));
        assert_eq!(
            (item.quote.speaker.as_deref(), item.quote.text.as_str()),
            (Some("Ann"), "Speaker 1 is loud.")
        );
    }
}
