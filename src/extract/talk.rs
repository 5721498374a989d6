//! Facts of a whole talk that the rules need: answers, and whether people talk with each other at
//! all.

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
    speakers: usize,
}

/// A sentence of so few words is an answer or a call.
const SHORT_WORDS: usize = 5;

/// Of the sentences of a conversation at least so many are short. Meetings have a fifth and more,
/// lectures hardly any.
const SHORT_SHARE_MIN: f64 = 0.12;

/// Of the sentences of a transcript with punctuation at least so many end with a mark.
const MARKED_SHARE_MIN: f64 = 0.5;

impl TalkSentences {
    pub(super) fn new(all: Vec<Sentence>) -> Self {
        let short = all.iter().filter(|sentence| sentence.words.len() <= SHORT_WORDS).count();
        let marked = all.iter().filter(|sentence| sentence.text.ends_with(['.', '?', '!', '…', '"', '”'])).count();
        let speakers: HashSet<&str> = all.iter().filter_map(|sentence| sentence.speaker.as_deref()).collect();
        let speakers = speakers.len();
        let conversation = speakers > 1 || share_of(short, all.len()) >= SHORT_SHARE_MIN;
        let punctuated = share_of(marked, all.len()) >= MARKED_SHARE_MIN;
        Self { all, conversation, punctuated, speakers }
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
        following
            .take_while(move |(_, sentence)| end.zip(sentence.at).is_none_or(|(end, begin)| begin - end <= seconds))
    }
}

/// Returns whether a sentence begins with one of these, behind "well", "oh" and their like.
pub(super) fn begins_with(words: &[Word], starts: &[&str]) -> bool {
    const LEADERS: [&str; 11] = ["well", "oh", "um", "uh", "so", "and", "okay", "hmm", "ah", "then", "but"];
    let skipped = words.iter().take_while(|word| word.is_any(&LEADERS)).count();
    let rest = &words[skipped..];
    starts.iter().any(|start| {
        let mut words = rest.iter();
        start.split(' ').all(|want| words.next().is_some_and(|word| word.norm == want))
    })
}

/// Returns whether a sentence agrees with the one before.
pub(super) fn says_yes(words: &[Word]) -> bool {
    const YES: [&str; 24] = [
        "yes",
        "yeah",
        "yep",
        "sure",
        "of course",
        "certainly",
        "will do",
        "right",
        "i will",
        "i can",
        "absolutely",
        "happy to",
        "no problem",
        "fine",
        "works for me",
        "agreed",
        "on it",
        "consider it done",
        "i would be happy",
        "done",
        "great",
        "good",
        "perfect",
        "that works",
    ];
    begins_with(words, &YES) && !words.iter().take(6).any(|word| word.is_any(&["but", "not"]))
}

/// Returns whether a sentence contradicts the one before.
pub(super) fn says_no(words: &[Word]) -> bool {
    const NO: [&str; 17] = [
        "no",
        "nope",
        "i can not",
        "i do not think",
        "i would not",
        "hang on",
        "wait",
        "hold on",
        "not so fast",
        "i am not sure",
        "sorry",
        "not really",
        "i disagree",
        "absolutely not",
        "no way",
        "i am against",
        "we can not",
    ];
    begins_with(words, &NO)
        && !begins_with(words, &["no problem", "no objection", "no worries", "nope fine", "no fine", "no that is fine"])
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
    const FAR: [&str; 12] =
        ["if", "unless", "said", "says", "told", "asked", "imagine", "suppose", "wrote", "whether", "goes", "replied"];
    let before = &words[..start];
    let clause = before.iter().rposition(|word| word.breaks).map_or(0, |at| at + 1);
    !has_marker(before, 0, &FAR) && !has_marker(before, clause, &UNREAL)
}

/// Returns whether one of the markers stands at `from` or after it, and not in "you said".
fn has_marker(words: &[Word], from: usize, markers: &[&str]) -> bool {
    (from..words.len()).any(|at| {
        // "You said you need it, so please send it" reports nothing.
        let reports_nothing = words[at].norm == "said" && at > 0 && words[at - 1].is_any(&["i", "you", "we"]);
        words[at].is_any(markers) && !reports_nothing
    })
}

/// Returns whether a sentence is about a time that is over.
pub(super) fn is_of_old(words: &[Word]) -> bool {
    let last = words.windows(2).any(|pair| {
        pair[0].norm == "last"
            && pair[1].is_any(&[
                "year", "week", "month", "time", "summer", "spring", "winter", "autumn", "fall", "quarter", "night",
            ])
    });
    let then = words.iter().any(|word| word.is_any(&["ago", "yesterday", "originally", "formerly"]));
    let named = words.windows(3).any(|three| {
        let is_past_century = three.iter().any(|word| word.is_any(&["nineteen", "century"]));
        is_past_century
            || (three[0].norm == "in" && three[1].norm == "two" && three[2].norm == "thousand")
            || (three[0].norm == "back" && three[1].norm == "then")
    });
    last || then || named
}
