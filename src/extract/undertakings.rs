//! Undertakings: what somebody promises in a hearing, among speeches.
//!
//! There "we will" is a figure of speech. It is a task where it owes an answer, or names a time.

use std::sync::LazyLock;

use super::{
    cues::{CuePhrases, WordClass},
    fragments::{breaks_off, count_content},
    talk::{TalkSentences, is_meant},
    tasks::{is_adverb, is_task, is_tasking},
    words::Word,
};

fn is_asker(norm: &str) -> bool {
    [
        "member",
        "members",
        "committee",
        "colleague",
        "colleagues",
        "you",
        "house",
        "question",
        "questions",
        "information",
    ]
    .contains(&norm)
}

const CLASSES: [WordClass; 5] = [
    ("task", is_task),
    ("tasking", is_tasking),
    ("adv", is_adverb),
    ("asker", is_asker),
    ("any", |_| true),
];

/// Phrases that owe somebody an answer.
const ANSWERS: &str = "
    i|we will|shall @adv? look|inquire into
    i|we will|shall @adv? get|come|report|write|respond|reply back? to|with @any? @any? @asker
    i|we will|shall @adv? take that|this|the|your question|matter|issue|point|request|concern back|up|under|to
    i|we will|shall @adv? follow up
    i|we would|will be @adv? happy|glad|pleased|prepared|willing to @task
    i|we am|are @adv? happy|glad|pleased|prepared|willing to @task
    i|we @adv? undertake to
    i|we will|shall|can|could @adv? provide|send|table|share|submit|write @any? @any? @any? @asker
    has|have my|our commitment|word|undertaking to|that
    and i|we will do that|so";

/// Phrases in which a witness is asked to send something.
const REQUESTS: &str = "
    if you could|would|can @adv? send|write|provide|supply|share @any? @any? us|committee|note|information|figures
    can|could|would|will you please? @adv? send|write|provide|supply|submit @any? @any? us|committee|note|information|figures";

/// Phrases that promise something to be done; a time makes them undertakings.
const PROMISES: &str = "
    i|we will|shall @adv? @any? be @tasking
    i|we will|shall @adv? @task";

/// Phrases that name a time, however vague.
const TIMES: &str = "
    in|over|within the coming|next days|weeks|months
    in the days|weeks|months to come|ahead
    at|by the very? first|earliest opportunity|possible
    by next|the|this|end @any? spring|summer|fall|autumn|winter|end|month|week|year
    this|next spring|summer|fall|autumn|winter|week|month
    shortly
    before the end|summer|break";

/// Content words of an undertaking at least: "we will do so" says nothing.
const CONTENT_MIN: usize = 2;

/// An undertaking in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undertaking {
    /// The word with which it begins.
    pub(super) start: usize,
    /// True when the speaker undertakes it, false when somebody is asked to.
    pub(super) own: bool,
}

/// Returns the undertaking of the sentence at `at`.
pub(super) fn find_undertaking(talk: &TalkSentences, at: usize) -> Option<Undertaking> {
    static ANSWER_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(ANSWERS, &CLASSES));
    static REQUEST_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(REQUESTS, &CLASSES));
    static PROMISE_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(PROMISES, &CLASSES));
    static TIME_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(TIMES, &CLASSES));
    let sentence = &talk.all[at];
    let words = &sentence.words;
    if breaks_off(sentence) || count_content(words) < CONTENT_MIN {
        return None;
    }
    if let Some(hit) = REQUEST_ONES.find_hits(words).next() {
        return Some(Undertaking { start: hit.start, own: false });
    }
    if sentence.ends_with_question() {
        return None;
    }
    let first_meant = |phrases: &CuePhrases| {
        phrases.find_hits(words).find(|hit| is_meant(words, hit.start)).map(|hit| hit.start)
    };
    first_meant(&ANSWER_ONES)
        .or_else(|| {
            first_meant(&PROMISE_ONES)
                .filter(|start| TIME_ONES.is_in(&words[*start..]) || grants(words, *start))
        })
        .map(|start| Undertaking { start, own: true })
}

/// Returns whether a promise answers a demand: "Yes, I will …".
fn grants(words: &[Word], start: usize) -> bool {
    words[..start].iter().rev().take(2).any(|word| word.norm == "yes")
}

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    fn undertakes(text: &str) -> bool {
        let segment = Segment { text: text.to_owned(), ..Segment::default() };
        find_undertaking(&TalkSentences::new(split_sentences(&[segment])), 0).is_some()
    }

    #[test]
    fn what_owes_an_answer_or_names_a_time_is_undertaken() {
        for text in [
            "I will gladly look into the state of the bridge.",
            "I will take that question back to my office and answer it in writing.",
            "We would be happy to provide the list of bridges to the committee.",
            "We will be repairing the bridges in the weeks to come.",
            "Yes, I will repair the bridge of the village.",
            "The village has my commitment to repair the bridge.",
            "Could you send the committee a note on the bridges?",
            "If you could write to us about the bridges, that would help.",
        ] {
            assert!(undertakes(text), "{text}");
        }
    }

    #[test]
    fn figures_of_speech_are_not() {
        for text in [
            "We will make sure that every bridge is safe.",
            "We will always stand by the villages of this country.",
            "We will do so.",
            "Will you look into the state of the bridge?",
            "I will look into the state of the",
        ] {
            assert!(!undertakes(text), "{text}");
        }
    }
}
