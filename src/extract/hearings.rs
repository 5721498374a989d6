//! Questions of a hearing: among speeches, what is asked for in so many words and not given.

use std::{collections::HashSet, sync::LazyLock};

use super::{
    cues::{CuePhrases, WordClass},
    fragments::{breaks_off, count_content},
    procedure::is_procedure,
    sentences::Sentence,
    talk::TalkSentences,
    words::Word,
};

/// A kind of question that has a plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// "How many …", "when …": a number, a date.
    Figure,
    /// "Will the minister …", "has the board …": yes or no.
    Word,
}

fn is_office(norm: &str) -> bool {
    static OFFICES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "minister government department ministry board council agency committee company bank \
         party secretary authority commission office member chairman president director they he \
         she premier commissioner police"
            .split_whitespace()
            .collect()
    });
    OFFICES.contains(norm)
}

fn is_figure(norm: &str) -> bool {
    static FIGURES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "share percentage number value average amount total cost price sum rate date timeline proportion"
            .split_whitespace()
            .collect()
    });
    FIGURES.contains(norm)
}

const CLASSES: [WordClass; 3] = [("office", is_office), ("figure", is_figure), ("any", |_| true)];

/// Questions after a number or a date.
const FIGURE_DEMANDS: &str = "
    how many|much|long|often|quickly|soon
    when will|is|are|does|do|did|can|was|were|would|exactly
    exactly when
    what is the|a|its|their current|total|estimated|actual|exact? current|total|estimated|actual|average? @figure
    what @figure
    give|tell|provide us|me|them a|the @figure
    give|provide us|me @any? @any? @any? a|the @figure
    who ordered|owns|signed|approved";

/// Questions after a yes or a no, put to somebody who answers for an office.
const WORD_DEMANDS: &str = "
    will|would|has|have|did|does|do|can|could the|this|our|your prime|foreign|finance|health? @office
    will|would|has|have|did they|he|she
    yes or no
    can|could you confirm
    was|is this|that|it a|an|true|correct|right";

/// Phrases that ask for an opinion: any answer is one.
const OPINIONS: &str = "
    you think|feel|believe|see|say
    your view|views|opinion|sense|experience|thoughts|assessment|take
    how much|far of? a|an";

/// Answers that say that there is none.
const REFUSALS: &str = "
    do|does|did not have that|this|the|those information|figures|figure|numbers|number|data|answer
    do|does not know
    do not comment
    not going|able|prepared|in to|a @any? release|say|share|give|disclose|comment|position
    can not @any? confirm|give|say|answer|comment|disclose|speak
    difficult|hard|too|early to early? to? give|say|answer
    happy|glad|pleased to provide|reply|get|write|follow
    get|come|report back to
    will|shall @any? look into";

/// Sentences of an answer, where no speaker is known.
const ANSWER_SENTENCES: usize = 4;

/// Turns between a question and its answer: the chair gives the word.
const TURNS_BETWEEN: usize = 1;

/// Words of a turn in which a chair gives the word at most.
const CHAIR_WORDS_MAX: usize = 14;

/// Content words of a question at least.
const CONTENT_MIN: usize = 2;

/// Returns whether the question at `at` demands something that its answer does not give.
pub(super) fn is_evaded(talk: &TalkSentences, at: usize) -> bool {
    let sentence = &talk.all[at];
    let unfit = breaks_off(sentence) || count_content(&sentence.words) < CONTENT_MIN;
    if !talk.speeches || unfit || !closes_turn(talk, at) {
        return false;
    }
    let Some(answer) = answer_to(talk, at) else { return false };
    match demand_of(&sentence.words) {
        Some(Demand::Figure) => is_refused(answer) || !answer.iter().any(gives_figure),
        Some(Demand::Word) => is_refused(answer) || !gives_word(answer),
        None => false,
    }
}

/// Sentences behind a question with which its turn may end: behind more of them it was a figure of
/// speech.
const REST_MAX: usize = 2;

/// Returns whether the sentence at `at` is near the end of its turn.
fn closes_turn(talk: &TalkSentences, at: usize) -> bool {
    talk.turns.get(at + REST_MAX + 1) != Some(&talk.turns[at])
}

fn demand_of(words: &[Word]) -> Option<Demand> {
    static FIGURE_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(FIGURE_DEMANDS, &CLASSES));
    static OPINION_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(OPINIONS, &CLASSES));
    static WORD_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(WORD_DEMANDS, &CLASSES));
    if OPINION_ONES.is_in(words) {
        return None;
    }
    if FIGURE_ONES.is_in(words) {
        return Some(Demand::Figure);
    }
    // "Why has the minister …?" asks for more than a word.
    let hit = WORD_ONES.find_hits(words).next()?;
    let open = words[..hit.start].iter().any(|word| word.is_any(&OPEN_WORDS));
    // "Could the minister tell us what …?" does so too; "… tell us if …?" does not.
    let behind = &words[hit.end..];
    let asks_to_tell = behind.iter().any(|word| word.is_any(&TELLING))
        && !behind.iter().any(|word| word.is_any(&["if", "whether"]));
    (!open && !asks_to_tell).then_some(Demand::Word)
}

/// Words of questions that a yes does not answer.
const OPEN_WORDS: [&str; 6] = ["why", "what", "how", "where", "which", "who"];
/// Verbs of requests for a statement or an opinion.
const TELLING: [&str; 7] =
    ["tell", "explain", "outline", "describe", "elaborate", "think", "believe"];

/// Returns the sentences of the turn that answers, where another person has one.
fn answer_to(talk: &TalkSentences, at: usize) -> Option<&[Sentence]> {
    let asker = &talk.all[at];
    if asker.speaker.is_none() {
        let rest = talk.all[at + 1..].iter().take(ANSWER_SENTENCES);
        let count = rest.take_while(|sentence| !sentence.ends_with_question()).count();
        return talk.all.get(at + 1..=at + count).filter(|answer| !answer.is_empty());
    }
    let next = talk.turns[at] + 1;
    for turn in next..=next + TURNS_BETWEEN {
        let first = talk.turns.partition_point(|number| *number < turn);
        let last = talk.turns.partition_point(|number| *number <= turn);
        let sentences = &talk.all[first..last];
        let by_another = sentences.first()?.is_by_another(asker);
        let words: usize = sentences.iter().map(|sentence| sentence.words.len()).sum();
        let of_chair = words <= CHAIR_WORDS_MAX
            && sentences.iter().any(|sentence| is_procedure(&sentence.words));
        if !by_another {
            return None;
        }
        if !of_chair {
            return Some(sentences);
        }
    }
    None
}

fn is_refused(answer: &[Sentence]) -> bool {
    static REFUSAL_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(REFUSALS, &CLASSES));
    answer.iter().any(|sentence| REFUSAL_ONES.is_in(&sentence.words))
}

/// Returns whether a sentence holds a number or a time.
fn gives_figure(sentence: &Sentence) -> bool {
    static TIMES: LazyLock<HashSet<&str>> =
        LazyLock::new(|| SPOKEN_FIGURES.split_whitespace().collect());
    sentence.words.iter().any(|word| {
        word.norm.chars().any(|character| character.is_ascii_digit())
            || TIMES.contains(word.norm.as_str())
    })
}

/// Numbers and times as they are spoken. Not "one", which is more often a thing.
const SPOKEN_FIGURES: &str = "none zero nobody never two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty \
    hundred thousand million billion half third quarter tomorrow today tonight yesterday shortly soon monday tuesday wednesday thursday \
    friday january february march april june july august september october november december days weeks months spring summer autumn winter";

/// Words at the begin of an answer within which it says yes or no.
const ANSWER_WORDS: usize = 30;

/// Returns whether an answer begins with a yes or a no, in any form.
fn gives_word(answer: &[Sentence]) -> bool {
    let words = answer.iter().flat_map(|sentence| &sentence.words).take(ANSWER_WORDS);
    words.into_iter().any(|word| {
        word.is_any(&[
            "yes",
            "no",
            "not",
            "never",
            "correct",
            "indeed",
            "absolutely",
            "agree",
            "agreed",
            "none",
            "true",
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    /// Returns whether a question is evaded by an answer, in a hearing of many words.
    fn evaded(question: &str, answer: &str) -> bool {
        let long = "The bridges of this country are the work of many hands. ".repeat(5);
        let lines =
            [("Ann", question), ("Bo", answer), ("Ann", &long), ("Bo", &long), ("Ann", &long)];
        let segments: Vec<Segment> = lines
            .iter()
            .map(|(speaker, text)| Segment {
                speaker: Some((*speaker).to_owned()),
                text: (*text).to_owned(),
                ..Segment::default()
            })
            .collect();
        is_evaded(&TalkSentences::new(split_sentences(&segments)), 0)
    }

    #[test]
    fn a_demand_that_is_not_met_stays_open() {
        let praise = "I thank the member. We are proud of every bridge in this country.";
        for question in [
            "How many bridges did the council repair?",
            "When will the bridge of the village open?",
            "Will the minister repair the bridge of the village?",
            "Has the government signed a contract for the bridge?",
        ] {
            assert!(evaded(question, praise), "{question}");
        }
        assert!(evaded(
            "How much did the new bridge cost?",
            "I do not have that information for the 3 bridges."
        ));
        assert!(evaded(
            "Will the minister open the bridge?",
            "I would be happy to reply in writing, not now."
        ));
    }

    #[test]
    fn a_demand_that_is_met_does_not() {
        for (question, answer) in [
            ("How many bridges did the council repair?", "The council has repaired 14 bridges."),
            ("When will the bridge of the village open?", "It will open in September."),
            ("Will the minister repair the bridge of the village?", "Yes, of course."),
            ("Has the government signed a contract?", "The government has not signed anything."),
            ("How much do you think a bridge matters to people?", "It matters to everybody."),
            ("What do you think of the bridge of the village?", "It is a work of beauty."),
        ] {
            assert!(!evaded(question, answer), "{question}");
        }
    }
}
