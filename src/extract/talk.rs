//! Facts of a whole talk that the rules need: turns, speeches, and whether people talk with each
//! other at all.

use std::collections::HashSet;

use super::{language::share_of, sentences::Sentence, words::Word};

/// The sentences of a talk, with facts about all of them.
#[derive(Debug)]
pub(super) struct TalkSentences {
    pub(super) all: Vec<Sentence>,
    /// True when people talk with each other. A lecture and a story say "we will" and "let us" and
    /// mean nothing by it.
    pub(super) conversation: bool,
    /// True when the transcript has full stops and question marks: then a sentence without one asks
    /// nothing.
    pub(super) punctuated: bool,
    /// True when people give speeches: many speak, or each at length. Then "we will" and "let us"
    /// are figures of speech.
    pub(super) speeches: bool,
    /// The number of the turn of each sentence. Where no speaker is known, each is a turn.
    pub(super) turns: Vec<usize>,
    speakers: usize,
}

/// A sentence of so few words is an answer or a call.
const SHORT_WORDS: usize = 5;

/// Of the sentences of a conversation at least so many are short. Meetings have a fifth and more,
/// lectures hardly any.
const SHORT_SHARE_MIN: f64 = 0.12;

/// Of the sentences of a transcript with punctuation at least so many end with a mark.
const MARKED_SHARE_MIN: f64 = 0.5;

/// The most people of a working meeting: more of them speak one after another.
const SPEAKERS_MAX: usize = 12;

/// The words of the median turn of a working meeting at most. Meetings have 5 to 20, interviews 30.
const TURN_WORDS_MAX: usize = 40;

/// Of the sentences of speeches at least so many speak to a chair; in a working meeting nobody does.
const CHAIR_SHARE_MIN: f64 = 0.02;

/// Sentences that speak to a chair, below which it is by chance.
const CHAIR_MIN: usize = 5;

/// Returns whether people speak to a chair, as in a parliament.
fn has_chair(all: &[Sentence]) -> bool {
    let count = all.iter().filter(|sentence| speaks_to_chair(&sentence.words)).count();
    count >= CHAIR_MIN && share_of(count, all.len()) >= CHAIR_SHARE_MIN
}

fn speaks_to_chair(words: &[Word]) -> bool {
    words.windows(2).any(|pair| {
        pair[0].is_any(&["mr", "mister", "madam", "madame"])
            && pair[1].is_any(&["chair", "chairman", "speaker", "president"])
    })
}

impl TalkSentences {
    pub(super) fn new(all: Vec<Sentence>) -> Self {
        let short = all.iter().filter(|sentence| sentence.words.len() <= SHORT_WORDS).count();
        let marked = all
            .iter()
            .filter(|sentence| sentence.text.ends_with(['.', '?', '!', '…', '"', '”']))
            .count();
        let speakers: HashSet<&str> =
            all.iter().filter_map(|sentence| sentence.speaker.as_deref()).collect();
        let speakers = speakers.len();
        let conversation = speakers > 1 || share_of(short, all.len()) >= SHORT_SHARE_MIN;
        let punctuated = share_of(marked, all.len()) >= MARKED_SHARE_MIN;
        let turns = number_turns(&all);
        let is_long = speakers > 1 && median_turn(&all, &turns) > TURN_WORDS_MAX;
        let speeches = is_long || speakers > SPEAKERS_MAX || has_chair(&all);
        Self { all, conversation, punctuated, speeches, turns, speakers }
    }

    /// Returns how many speak, 0 when that is not known.
    pub(super) fn speaker_count(&self) -> usize {
        self.speakers
    }

    /// Returns up to `count` sentences that follow, as long as they begin within `seconds` of the
    /// end of that one.
    pub(super) fn sentences_after(
        &self,
        at: usize,
        count: usize,
        seconds: f64,
    ) -> impl Iterator<Item = (usize, &Sentence)> {
        let end = self.all[at].until;
        let following = self.all.iter().enumerate().skip(at + 1).take(count);
        following.take_while(move |(_, sentence)| {
            end.zip(sentence.at).is_none_or(|(end, begin)| begin - end <= seconds)
        })
    }
}

/// Returns the number of the turn of each sentence.
fn number_turns(all: &[Sentence]) -> Vec<usize> {
    let mut turn = 0;
    let mut turns = Vec::with_capacity(all.len());
    for (at, sentence) in all.iter().enumerate() {
        let goes_on =
            at > 0 && sentence.speaker.is_some() && sentence.speaker == all[at - 1].speaker;
        turn += usize::from(at > 0 && !goes_on);
        turns.push(turn);
    }
    turns
}

/// Returns the words of the median turn.
fn median_turn(all: &[Sentence], turns: &[usize]) -> usize {
    let mut lengths = vec![0; turns.last().map_or(0, |last| last + 1)];
    for (sentence, turn) in all.iter().zip(turns) {
        lengths[*turn] += sentence.words.len();
    }
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or_default()
}

/// Returns whether a sentence begins with one of these, behind "well", "oh" and their like.
pub(super) fn begins_with(words: &[Word], starts: &[&str]) -> bool {
    const LEADERS: [&str; 12] =
        ["well", "oh", "um", "uh", "so", "and", "okay", "hmm", "ah", "then", "but", "mm"];
    let skipped = words.iter().take_while(|word| word.is_any(&LEADERS)).count();
    let rest = &words[skipped..];
    starts.iter().any(|start| {
        let mut words = rest.iter();
        start.split(' ').all(|want| words.next().is_some_and(|word| word.norm == want))
    })
}

/// Words that make what follows them in a clause a thought, a report or a condition.
const UNREAL: [&str; 58] = [
    "if",
    "unless",
    "whether",
    "when",
    "whenever",
    "once",
    "until",
    "till",
    "before",
    "after",
    "while",
    "would",
    "could",
    "might",
    "may",
    "should",
    "maybe",
    "perhaps",
    "probably",
    "suppose",
    "imagine",
    "hope",
    "hoping",
    "wish",
    "said",
    "says",
    "saying",
    "told",
    "tells",
    "asked",
    "asks",
    "promised",
    "thought",
    "wrote",
    "claimed",
    "what",
    "which",
    "who",
    "how",
    "why",
    "where",
    "because",
    "nobody",
    "nothing",
    "not",
    "never",
    "hardly",
    "had",
    "wonder",
    "wondering",
    "supposed",
    "wanted",
    "although",
    "though",
    "since",
    "ever",
    "yet",
    "neither",
];

/// Returns whether the clause at `start` is meant: no condition, no report, no negation before it.
///
/// A condition or a report reaches over commas, the rest only to the end of its clause.
pub(super) fn is_meant(words: &[Word], start: usize) -> bool {
    const FAR: [&str; 12] = [
        "if", "unless", "said", "says", "told", "asked", "imagine", "suppose", "wrote", "whether",
        "goes", "replied",
    ];
    let before = &words[..start];
    let clause = before.iter().rposition(|word| word.breaks).map_or(0, |at| at + 1);
    // "If it rains we stay, so let's take a tent": a conclusion stands by itself.
    let concluded =
        (1..before.len()).rev().find(|at| before[*at].norm == "so" && before[at - 1].breaks);
    !has_marker(before, concluded.unwrap_or(0), &FAR) && !has_marker(before, clause, &UNREAL)
}

/// Returns whether one of the markers stands at `from` or after it, and not in "you said".
fn has_marker(words: &[Word], from: usize, markers: &[&str]) -> bool {
    (from..words.len()).any(|at| {
        // "You said you need it, so please send it" reports nothing.
        let before = words[from.min(at)..at].iter().rev().find(|word| word.norm != "have");
        let reports_nothing =
            words[at].norm == "said" && before.is_some_and(|word| word.is_any(&["i", "you", "we"]));
        words[at].is_any(markers) && !reports_nothing
    })
}

/// Returns whether a sentence is about a time that is over.
pub(super) fn is_of_old(words: &[Word]) -> bool {
    let last = words.windows(2).any(|pair| {
        pair[0].norm == "last"
            && pair[1].is_any(&[
                "year", "week", "month", "time", "summer", "spring", "winter", "autumn", "fall",
                "quarter", "night",
            ])
    });
    let then =
        words.iter().any(|word| word.is_any(&["ago", "yesterday", "originally", "formerly"]));
    let named = words.windows(3).any(|three| {
        let is_past_century = three.iter().any(|word| word.is_any(&["nineteen", "century"]));
        is_past_century
            || (three[0].norm == "in" && three[1].norm == "two" && three[2].norm == "thousand")
            || (three[0].norm == "back" && three[1].norm == "then")
    });
    last || then || named
}

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    fn talk(lines: &[(String, String)]) -> TalkSentences {
        let segments: Vec<Segment> = lines
            .iter()
            .map(|(speaker, text)| Segment {
                speaker: Some(speaker.clone()).filter(|name| !name.is_empty()),
                text: text.clone(),
                ..Segment::default()
            })
            .collect();
        TalkSentences::new(split_sentences(&segments))
    }

    /// Returns a talk of so many people, each with the same words.
    fn round(people: usize, words: &str) -> TalkSentences {
        talk(
            &(0..people)
                .map(|number| (format!("Voice {number}"), words.to_owned()))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn many_speakers_and_long_turns_are_speeches() {
        let long = "The shed has a door and a window. ".repeat(6);
        assert!(!round(12, "The shed has a door.").speeches);
        assert!(round(13, "The shed has a door.").speeches);
        assert!(round(3, &long).speeches);
        assert!(!round(1, &long).speeches, "one person dictates");
    }

    #[test]
    fn people_who_speak_to_a_chair_give_speeches() {
        let lines = vec![(String::new(), "Mr. Chair, the shed has a door.".to_owned()); 6];
        assert!(talk(&lines).speeches);
        assert!(!talk(&lines[..4]).speeches);
    }

    #[test]
    fn a_condition_reaches_over_commas_but_not_over_a_conclusion() {
        let meant = |text: &str| {
            let words = super::super::words::split_words(text);
            let start = words.iter().position(|word| word.norm == "paint").unwrap_or_default();
            is_meant(&words, start)
        };
        assert!(!meant("If it rains, paint the door"));
        assert!(meant("If it rains the door gets wet, so paint it"));
    }

    #[test]
    fn sentences_of_one_speaker_in_a_row_are_a_turn() {
        let lines = [("Ann", "Yes. No."), ("Bo", "Yes."), ("Bo", "No."), ("Ann", "Yes.")];
        let lines: Vec<_> =
            lines.map(|(speaker, text)| (speaker.to_owned(), text.to_owned())).into();
        assert_eq!(talk(&lines).turns, [0, 0, 1, 1, 2]);
    }
}
