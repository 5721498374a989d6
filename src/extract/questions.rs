//! Open questions: those without an answer, and statements that something is not known.

use std::sync::LazyLock;

use super::{
    cues::CuePhrases,
    sentences::Sentence,
    talk::{TalkSentences, begins_with, says_yes},
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

/// Phrases that state by themselves that something is not known.
const OPEN: &str = "
    open question is|remains
    question is still|then
    i|we still? do not yet? really|quite|actually? know yet? whether|if|who|which|when|what|how|where|why
    i|we do not yet? know yet? is whether|if|who|which|when|what|how|where|why
    nobody|no one|nobody really? knows whether|if|who|which|when|what|how|where|why
    it|that is still|also|not|yet|completely|entirely? unclear|unknown|undecided
    it|that is not yet? clear|known|decided
    remains to be seen
    we|i still? need|have to find|figure out
    we|i still? need|have to clarify|decide|determine whether|if|who|which|when|what|how|where
    still|yet to be decided|determined|clarified|confirmed
    still unclear|undecided|open";

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

/// A silence behind a question after which it has got no answer, in seconds.
const SILENCE_SECONDS: f64 = 8.0;

/// Fewer words ask back, they open nothing: "why not?", "which ones?".
const WORDS_MIN: usize = 5;

/// A question of common words alone needs more of them: "are we still on for Thursday or does it
/// move?"
const PLAIN_WORDS_MIN: usize = 8;

/// Returns whether the sentence at `at` is a question that stays open. A request is none, and is
/// not asked about.
pub(super) fn is_open_question(talk: &TalkSentences, at: usize) -> bool {
    let sentence = &talk.all[at];
    is_stated_open(talk, sentence) || (is_question(talk, sentence) && stays_open(talk, at))
}

fn is_stated_open(talk: &TalkSentences, sentence: &Sentence) -> bool {
    static OPEN_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(OPEN, &[]));
    let words = &sentence.words;
    let is_reported = words.iter().any(|word| word.is_any(&["said", "told", "asked", "says", "would", "thought"]));
    !is_reported
        && !is_narrated(talk, words)
        && OPEN_ONES.find_hits(words).any(|hit| words.len() - hit.end >= 2 || hit.start >= 3)
}

/// Returns whether a sentence only narrates: in a story or a lecture much is not known and stays
/// so.
fn is_narrated(talk: &TalkSentences, words: &[Word]) -> bool {
    let own = words.iter().any(|word| word.is_any(&["i", "we", "our", "us", "my"]));
    !talk.conversation && !own && !words.iter().any(|word| word.is_any(&["unclear", "open", "still"]))
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
        "is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "should", "has", "have",
        "shall", "about", "exactly", "long", "many", "much", "happens", "if",
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
    const LEADERS: [&str; 10] = ["so", "and", "but", "okay", "um", "uh", "well", "then", "now", "oh"];
    let rest = &words[words.iter().take_while(|word| word.is_any(&LEADERS)).count()..];
    let [first, second, ..] = rest else { return false };
    let asks_for = first.is_any(&["who", "what", "when", "where", "why", "how", "which"]) && second.is_any(&AUXILIARY);
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
        if UNKNOWN_ONES.is_in(&answer.words) && !is_command(&answer.words) {
            return own;
        }
        if answer.words.len() >= ANSWER_WORDS_MIN || says_yes(&answer.words) {
            return false;
        }
    }
    false
}

/// Returns whether a sentence is nothing but "hmm" and the like.
fn is_noise(words: &[Word]) -> bool {
    words.iter().all(|word| word.is_any(&["hmm", "hm", "um", "uh", "well", "oh", "ah", "okay"]))
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
