//! Open questions: those without an answer, and statements that something is not known.

use std::sync::LazyLock;

use super::{
    answers::says_yes,
    cues::CuePhrases,
    fragments::{breaks_off, content_words, count_content, is_fragment, is_noise},
    hearings::is_evaded,
    procedure::is_procedure,
    sentences::Sentence,
    talk::{TalkSentences, begins_with, is_meant},
    words::{Word, is_stop},
};

/// Phrases that leave a question open, in it or behind it.
const UNKNOWN: &str = "
    no idea|clue
    do|did not know|remember|recall
    not sure|certain
    not that i am aware|know
    nobody knows|checked|asked
    no one knows|checked|asked
    good question
    depends on|whether|if|how|who
    it|that depends
    have to see|check|look|ask|find
    will see
    would have to look|check|ask|think
    will|shall ask|check|find|clarify
    can not give|say|answer|tell|decide|remember
    could not say|tell
    let us think|come
    still open|waiting|unclear|unknown|looking
    not yet
    waiting for|on
    not decided
    a mystery
    to be seen|decided|confirmed
    find out
    beats me
    who knows
    your guess is
    difficult one
    hard to say
    need to ask|check|find|clarify";

/// Phrases that state by themselves that something is not known. "I don't know if" is a way to
/// hesitate; what only one person does not know counts where it is a fact.
const OPEN: &str = "
    open question is|remains
    question is still|then
    we still? do not yet? really|quite|actually? know yet? whether|if|who|which|when|what|how|where|why
    we are not yet? sure|certain yet? whether|if|who|which|when|what|how|where|why
    i do not really|actually? know how many|much|long|often|far
    i do not really|actually? know when|who
    i do not really|actually? know whether|if the|our|your|my|their|any|every|all
    i am not really|quite? sure|certain how many|much|long|often|far
    i|we do not yet know whether|if|who|which|when|what|how|where|why
    i|we do not know yet? is whether|if|who|which|when|what|how|where|why
    nobody|no one|nobody really? knows whether|if|who|which|when|what|how|where|why
    it|that is still|also|not|yet|completely|entirely? unclear|unknown|undecided
    it|that is not yet? clear|known|decided yet? whether|if|who|which|when|what|how|where|why
    remains to be seen
    we still need|have to find|figure out
    we|i need|have to find|figure out exactly? whether|if|who|which|when|how|where|why
    we|i still? need|have to clarify|decide|determine whether|if|who|which|when|what|how|where
    still|yet to be decided|determined|clarified|confirmed|discussed
    still unclear|undecided|open";

/// Phrases that put something off: what was said before stays open.
const PUT_OFF: &str = "
    something|question|issue which|that? we|you may|might? need|have|want|can|could|should|will to? discuss|decide|consider|clarify
    something|question|issue which|that? we|you may|might? need|have|want|can|could|should|will to? think|talk|look|come about|at|back
    we can|could|will|should discuss|decide|clarify that|this|it later|another|next|tomorrow
    needs|has|have to be discussed|clarified
    leave that|it|this open";

/// Beginnings of a question that wants no answer, or one that everybody knows.
const RHETORICAL: [&str; 41] = [
    "can you hear",
    "can everybody hear",
    "can everyone hear",
    "can anybody hear",
    "do you hear",
    "can you see",
    "can everybody see",
    "how are you",
    "how is it going",
    "how have you",
    "what is up",
    "are you there",
    "is everybody here",
    "is everyone here",
    "shall we start",
    "shall we begin",
    "shall we go",
    "shall we move",
    "you know what",
    "guess what",
    "you know",
    "right",
    "any questions",
    "any other business",
    "anything else",
    "what else",
    "who is next",
    "who wants to start",
    "who wants to go",
    "do you have a minute",
    "can i raise",
    "can i say",
    "can i ask",
    "may i",
    "is there any objection",
    "any objections",
    "are there any corrections",
    "all in favour",
    "did you know",
    "are you kidding",
    "what happens next",
];

/// The seconds and the sentences after a question in which an answer belongs to it.
const ANSWER_SECONDS: f64 = 20.0;
const ANSWER_SENTENCES: usize = 3;

/// Words from which a sentence is an answer, unless it says that the answer is not known.
const ANSWER_WORDS_MIN: usize = 7;

/// Words of an answer before it says that the answer is not known: behind more of them it speaks of
/// something else.
const UNKNOWN_WITHIN: usize = 8;

/// A silence behind a question after which it has got no answer, in seconds.
const SILENCE_SECONDS: f64 = 8.0;

/// Fewer words ask back, they open nothing: "why not?", "which ones?".
const WORDS_MIN: usize = 5;

/// A question of common words alone needs more of them: "are we still on for Thursday or does it
/// move?"
const PLAIN_WORDS_MIN: usize = 8;

/// A question that stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundQuestion {
    /// The sentences of its quote: one, or more where "that is something to discuss" leans on those
    /// before.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Returns the questions of a talk that stay open, in order, each once. `taken` tells of sentences
/// that are shown elsewhere or ask for a task.
pub(super) fn find_questions(
    talk: &TalkSentences,
    taken: &dyn Fn(usize) -> bool,
) -> Vec<FoundQuestion> {
    let mut found: Vec<FoundQuestion> = Vec::new();
    for at in (0..talk.all.len()).filter(|at| !taken(*at)) {
        let question = open_question(talk, at).filter(|question| {
            let again =
                found.iter().any(|earlier| is_asked_again(talk, earlier.last, question.last));
            found.last().is_none_or(|last| last.last < question.first) && !again
        });
        found.extend(question);
    }
    found
}

/// Returns the question that the sentence at `at` leaves open.
fn open_question(talk: &TalkSentences, at: usize) -> Option<FoundQuestion> {
    let sentence = &talk.all[at];
    let asked =
        is_question(talk, sentence) && !is_procedure(&sentence.words) && stays_open(talk, at);
    let evaded = (sentence.ends_with_question() || talk.speeches)
        && is_question(talk, sentence)
        && is_evaded(talk, at);
    if evaded || (!breaks_off(sentence) && (asked || is_stated_open(talk, sentence))) {
        return Some(FoundQuestion { first: at, last: at });
    }
    let first = is_put_off(talk, sentence).then(|| put_off_from(talk, at)).flatten()?;
    Some(FoundQuestion { first, last: at })
}

/// Two questions of one person are about the same when they share this part of the content words of
/// the shorter one.
const SAME_PART: usize = 3;

/// Returns whether a person has asked much the same before.
fn is_asked_again(talk: &TalkSentences, earlier: usize, later: usize) -> bool {
    let asker = &talk.all[later];
    let before = content_words(&talk.all[earlier].words);
    let again = content_words(&asker.words);
    let shared = again.intersection(&before).count();
    asker.speaker.is_some()
        && !asker.is_by_another(&talk.all[earlier])
        && shared > 0
        && SAME_PART * shared >= again.len().min(before.len())
}

/// Returns whether a sentence puts off what was said.
fn is_put_off(talk: &TalkSentences, sentence: &Sentence) -> bool {
    static PUT_OFF_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(PUT_OFF, &[]));
    talk.conversation
        && !talk.speeches
        && !breaks_off(sentence)
        && PUT_OFF_ONES.find_hits(&sentence.words).any(|hit| is_meant(&sentence.words, hit.start))
}

/// Content words of what is put off at least.
const CONTENT_MIN: usize = 2;

/// Sentences before "that is something to discuss" in which its meaning is.
const LEANS_BACK: usize = 3;

/// Returns the sentence with which the quote of something that is put off begins: itself where it
/// says enough, else the one of the same speaker before it that does.
fn put_off_from(talk: &TalkSentences, at: usize) -> Option<usize> {
    let before = (at.saturating_sub(LEANS_BACK)..=at).rev();
    let mut own = before.filter(|place| !talk.all[at].is_by_another(&talk.all[*place]));
    own.find(|place| {
        !is_fragment(&talk.all[*place]) && count_content(&talk.all[*place].words) >= CONTENT_MIN
    })
}

fn is_stated_open(talk: &TalkSentences, sentence: &Sentence) -> bool {
    static OPEN_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(OPEN, &[]));
    let words = &sentence.words;
    let is_reported = words
        .iter()
        .any(|word| word.is_any(&["said", "told", "asked", "says", "would", "thought"]));
    let goes_on = words.iter().any(|word| word.norm == "but")
        && words.first().is_some_and(|word| word.norm != "but");
    // "One question is still open" is said before the question.
    !is_reported
        && !goes_on
        && count_content(words) > 0
        && !is_narrated(talk, words)
        && OPEN_ONES.find_hits(words).any(|hit| {
            (words.len() - hit.end >= 2 || hit.start >= 3) && !is_restart(&words[hit.end..])
        })
}

/// Returns whether the speaker begins again here: "it's unclear whether, I mean, …".
fn is_restart(words: &[Word]) -> bool {
    begins_with(words, &["i mean", "you know", "i guess", "i think", "like", "well", "right"])
}

/// Returns whether a sentence only narrates: in a story or a lecture much is not known and stays
/// so.
fn is_narrated(talk: &TalkSentences, words: &[Word]) -> bool {
    let own = words.iter().any(|word| word.is_any(&["i", "we", "our", "us", "my"]));
    !talk.conversation
        && !own
        && !words.iter().any(|word| word.is_any(&["unclear", "open", "still"]))
}

fn is_question(talk: &TalkSentences, sentence: &Sentence) -> bool {
    let words = &sentence.words;
    let asked = if talk.punctuated {
        sentence.ends_with_question()
    } else {
        sentence.ends_with_question() || is_inverted(words)
    };
    let content = words.iter().any(|word| !is_stop(&word.norm)) || words.len() >= PLAIN_WORDS_MIN;
    asked && words.len() >= WORDS_MIN && content && !begins_with(words, &RHETORICAL)
}

/// Returns whether it begins as a question does: "who is", "do we", "can they".
fn is_inverted(words: &[Word]) -> bool {
    const AUXILIARY: [&str; 22] = [
        "is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "should",
        "has", "have", "shall", "about", "exactly", "long", "many", "much", "happens", "if",
    ];
    const SUBJECT: [&str; 22] = [
        "i",
        "you",
        "we",
        "they",
        "he",
        "she",
        "it",
        "that",
        "this",
        "there",
        "anybody",
        "anyone",
        "somebody",
        "someone",
        "everybody",
        "the",
        "our",
        "your",
        "these",
        "those",
        "any",
        "people",
    ];
    const LEADERS: [&str; 10] =
        ["so", "and", "but", "okay", "um", "uh", "well", "then", "now", "oh"];
    let rest = &words[words.iter().take_while(|word| word.is_any(&LEADERS)).count()..];
    let [first, second, ..] = rest else { return false };
    let asks_for = first.is_any(&["who", "what", "when", "where", "why", "how", "which"])
        && second.is_any(&AUXILIARY);
    let inverted = AUXILIARY[..15].contains(&first.norm.as_str()) && second.is_any(&SUBJECT);
    asks_for || inverted
}

fn stays_open(talk: &TalkSentences, at: usize) -> bool {
    static UNKNOWN_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(UNKNOWN, &[]));
    let mut answers = talk
        .sentences_after(at, ANSWER_SENTENCES, ANSWER_SECONDS)
        .filter(|(_, answer)| !is_noise(&answer.words))
        .peekable();
    if answers.peek().is_none() {
        return talk.conversation && falls_silent(talk, at);
    }
    let own = talk.conversation || talk.all[at].words.iter().any(|word| word.is_any(&["we", "i"]));
    for (_, answer) in answers.take_while(|(_, answer)| !is_question(talk, answer)) {
        let unknown = UNKNOWN_ONES.find_hits(&answer.words).any(|hit| hit.start <= UNKNOWN_WITHIN);
        if unknown && !is_command(&answer.words) {
            return own;
        }
        if answer.words.len() >= ANSWER_WORDS_MIN || says_yes(&answer.words) {
            return false;
        }
    }
    false
}

/// Returns whether a sentence is an order. "Let me check" is an answer to come; "don't know" in an
/// order is none.
fn is_command(words: &[Word]) -> bool {
    words.first().is_some_and(|word| word.is_any(&["please", "remember"]))
}

/// Returns whether the talk goes on much later, and not at its very end.
fn falls_silent(talk: &TalkSentences, at: usize) -> bool {
    let end = talk.all[at].until;
    let next = talk.all.get(at + 1).and_then(|next| next.at);
    end.zip(next).is_some_and(|(end, next)| next - end >= SILENCE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    /// Returns the texts of the questions that stay open, between two people in turns.
    fn open(lines: &[&str]) -> Vec<String> {
        let segments: Vec<Segment> = lines
            .iter()
            .zip(["Ann", "Bo"].iter().cycle())
            .map(|(text, speaker)| Segment {
                speaker: Some((*speaker).to_owned()),
                text: (*text).to_owned(),
                ..Segment::default()
            })
            .collect();
        let talk = TalkSentences::new(split_sentences(&segments));
        let texts = |found: FoundQuestion| {
            talk.all[found.first..=found.last]
                .iter()
                .map(|sentence| sentence.text.as_str())
                .collect::<Vec<_>>()
        };
        find_questions(&talk, &|_| false).into_iter().map(|found| texts(found).join(" ")).collect()
    }

    #[test]
    fn what_nobody_knows_is_open_and_hesitation_is_not() {
        for text in [
            "We don't know whether the shed has a key.",
            "I'm not sure how much the paint will cost.",
            "I don't know whether the gardeners have a key.",
            "It's still unclear who paints the door.",
        ] {
            assert_eq!(open(&[text, "Mm."]), [text], "{text}");
        }
        for text in [
            "I don't know if that's a problem for the shed.",
            "I don't know, the door is green.",
            "It's not clear whether, I mean, the door is green.",
            "We still need to find out whether the",
            "One question is still open.",
        ] {
            assert_eq!(open(&[text, "Mm."]), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn an_answer_that_knows_late_does_not_leave_a_question_open() {
        let question = "Do you want to paint the door or the window?";
        assert_eq!(open(&[question, "Well, I'm not sure."]), [question]);
        let answer =
            "A bit of both, the door first and then the window, and we need to find out the price.";
        assert_eq!(open(&[question, answer]), Vec::<String>::new());
    }

    #[test]
    fn what_is_put_off_is_quoted_with_what_it_is() {
        let lines = [
            "The door of the shed might be green or blue. That's something we can discuss.",
            "Okay.",
        ];
        assert_eq!(open(&lines), [lines[0]]);
    }

    #[test]
    fn a_question_that_is_asked_again_is_shown_once() {
        let question = "Who has the key of the garden shed?";
        assert_eq!(
            open(&[question, "No idea.", "Who has the key of the shed?", "No idea."]),
            [question]
        );
    }
}
