//! Answers: who says yes or no to what, and whether another agrees with a proposal.

use super::{
    cues::CuePhrases,
    fragments::is_noise,
    talk::{TalkSentences, begins_with},
    words::Word,
};
use std::sync::LazyLock;

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
        && !begins_with(
            words,
            &[
                "no problem",
                "no objection",
                "no worries",
                "nope fine",
                "no fine",
                "no that is fine",
            ],
        )
}

/// The strength of the assent that a proposal needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assent {
    /// "Okay" is enough: the proposal asks for it, or says what will be done.
    Any,
    /// A yes of its own: "okay" only says that a suggestion was heard.
    Plain,
}

/// Turns of other people within which an assent belongs to a proposal: people answer at once.
const TURNS_MAX: usize = 3;

/// Sentences within which it does, whoever says them: a turn may have many.
const SENTENCES_MAX: usize = 8;

/// Sentences within which it does where no speaker is known.
const SENTENCES_UNKNOWN_MAX: usize = 2;

/// Words from which a sentence of another person that agrees with nothing has changed the subject.
const OTHER_WORDS_MIN: usize = 8;

/// Returns the sentence with which another person agrees with the one at `at`.
///
/// Where no speaker is known, any sentence that agrees counts as another's.
pub(super) fn find_assent(talk: &TalkSentences, at: usize, wanted: Assent) -> Option<usize> {
    let proposal = &talk.all[at];
    let known = proposal.speaker.is_some();
    let count = if known { SENTENCES_MAX } else { SENTENCES_UNKNOWN_MAX };
    for (place, next) in talk.all.iter().enumerate().skip(at + 1).take(count) {
        if talk.turns[place] > talk.turns[at] + TURNS_MAX {
            return None;
        }
        if known && !next.is_by_another(proposal) {
            continue;
        }
        if is_assent(&next.words, wanted) && !next.ends_with_question() {
            return (!is_challenged(talk, place)).then_some(place);
        }
        let objects = says_no(&next.words) || is_doubt(&next.words);
        if objects || (next.words.len() >= OTHER_WORDS_MIN && !is_noise(&next.words)) {
            return None;
        }
    }
    None
}

/// Returns the sentence with which another person has agreed shortly before the one at `at`, where
/// that draws the conclusion: "Yeah, good idea." "Okay, so we'll take the small one."
pub(super) fn assent_before(talk: &TalkSentences, at: usize) -> Option<usize> {
    let conclusion = &talk.all[at];
    let concludes = begins_with_okay(&conclusion.words[..conclusion.words.len().min(1)])
        || conclusion
            .words
            .first()
            .is_some_and(|word| word.is_any(&["so", "right", "then", "good"]));
    if !concludes || conclusion.speaker.is_none() {
        return None;
    }
    let from = at.saturating_sub(SENTENCES_MAX);
    (from..at).rev().take_while(|place| talk.turns[*place] + TURNS_MAX >= talk.turns[at]).find(
        |place| {
            let before = &talk.all[*place];
            before.is_by_another(conclusion)
                && is_assent(&before.words, Assent::Plain)
                && !before.ends_with_question()
        },
    )
}

/// Returns whether an assent goes on as a question or as an objection: "Okay. Why is that?"
fn is_challenged(talk: &TalkSentences, at: usize) -> bool {
    let own = talk.all.get(at + 1).filter(|_| talk.turns.get(at + 1) == Some(&talk.turns[at]));
    own.is_some_and(|next| {
        begins_with(&next.words, &["why", "how", "but", "what", "if"])
            || says_no(&next.words)
            || is_doubt(&next.words)
    })
}

fn is_doubt(words: &[Word]) -> bool {
    begins_with(
        words,
        &["if", "maybe", "but", "why", "i do not know", "it depends", "that depends", "not"],
    )
}

fn is_assent(words: &[Word], wanted: Assent) -> bool {
    static GLAD_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(GLAD, &[]));
    let doubted =
        words.iter().take(8).any(|word| word.is_any(&["but", "not", "if", "except", "although"]));
    let okay = begins_with_okay(words) && wanted == Assent::Any;
    !doubted && (okay || begins_with(words, &AGREES) || GLAD_ONES.is_in(words))
}

/// Returns whether a sentence is "okay", with little behind it.
fn begins_with_okay(words: &[Word]) -> bool {
    const OKAY_WORDS_MAX: usize = 4;
    let spoken = words.iter().filter(|word| !word.is_any(&["um", "uh", "oh", "well", "so"]));
    words.len() <= OKAY_WORDS_MAX
        && spoken.clone().next().is_some_and(|word| word.is_any(&["okay", "kay", "alright"]))
}

/// Beginnings of a sentence that agrees. "Right" and "mm-hmm" only say that somebody listens.
const AGREES: [&str; 26] = [
    "yes",
    "yeah",
    "yep",
    "yup",
    "aye",
    "sure",
    "of course",
    "certainly",
    "absolutely",
    "definitely",
    "exactly",
    "agreed",
    "i agree",
    "fine",
    "perfect",
    "great",
    "good",
    "same",
    "same here",
    "works for me",
    "that works",
    "sounds good",
    "sounds fine",
    "makes sense",
    "that makes sense",
    "no objection",
];

const GLAD: &str = "
    good|great|nice|brilliant|excellent idea|plan|point
    that is|sounds|would|will be? very|really|quite? good|fine|great|perfect|nice
    i|we all? agree with
    we are all? all? set|agreed|happy|fine
    i second that
    happy|fine|okay with that|it|this
    i am all? in|for it|that?";

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    /// Returns the sentence that agrees with the first one, where each is another person's turn.
    fn agreed(lines: &[(&str, &str)], wanted: Assent) -> Option<usize> {
        let segments: Vec<Segment> = lines
            .iter()
            .map(|(speaker, text)| Segment {
                speaker: Some((*speaker).to_owned()).filter(|name| !name.is_empty()),
                text: (*text).to_owned(),
                ..Segment::default()
            })
            .collect();
        find_assent(&TalkSentences::new(split_sentences(&segments)), 0, wanted)
    }

    #[test]
    fn another_speaker_agrees_within_three_turns() {
        let first = ("Ann", "We will buy the small press.");
        assert_eq!(agreed(&[first, ("Bo", "Yeah, good idea.")], Assent::Plain), Some(1));
        assert_eq!(
            agreed(&[first, ("Bo", "Mm-hmm."), ("Cy", "That sounds good.")], Assent::Plain),
            Some(2)
        );
        assert_eq!(
            agreed(&[first, ("Ann", "It is cheap."), ("Bo", "Sure.")], Assent::Plain),
            Some(2)
        );
        let late = [first, ("Bo", "Hm."), ("Cy", "Hm."), ("Bo", "Hm."), ("Cy", "Yes.")];
        assert_eq!(agreed(&late, Assent::Any), None);
    }

    #[test]
    fn okay_is_enough_only_where_any_assent_is() {
        let lines = [("Ann", "We will buy the small press."), ("Bo", "Okay.")];
        assert_eq!(agreed(&lines, Assent::Any), Some(1));
        assert_eq!(agreed(&lines, Assent::Plain), None);
    }

    #[test]
    fn nobody_agrees_with_himself_or_with_a_doubt() {
        let first = ("Ann", "We will buy the small press.");
        assert_eq!(agreed(&[first, ("Ann", "Yes.")], Assent::Any), None);
        for answer in [
            "No, wait.",
            "If we can.",
            "Yeah, but not now.",
            "Okay. Why is that?",
            "Mm-hmm.",
            "Sure?",
        ] {
            assert_eq!(agreed(&[first, ("Bo", answer)], Assent::Any), None, "{answer}");
        }
        let changed = [
            first,
            ("Bo", "The door of the old shed was open again this morning."),
            ("Cy", "Yes."),
        ];
        assert_eq!(agreed(&changed, Assent::Any), None);
    }

    #[test]
    fn a_conclusion_follows_its_assent() {
        let conclusion = |last: &str| {
            let lines =
                [("Ann", "The small press is cheap."), ("Bo", "Yeah, good idea."), ("Ann", last)];
            let segments: Vec<Segment> = lines
                .iter()
                .map(|(speaker, text)| Segment {
                    speaker: Some((*speaker).to_owned()),
                    text: (*text).to_owned(),
                    ..Segment::default()
                })
                .collect();
            assent_before(&TalkSentences::new(split_sentences(&segments)), 2)
        };
        assert_eq!(conclusion("Okay, so we'll buy the small press."), Some(1));
        assert_eq!(conclusion("We'll buy the small press."), None);
    }

    #[test]
    fn without_speakers_the_next_sentences_count() {
        let lines = [("", "We will buy the small press."), ("", "Hm."), ("", "Sure.")];
        assert_eq!(agreed(&lines, Assent::Plain), Some(2));
    }
}
