//! Topics of a talk: the phrases that come again, and a title made of them or of the introduction.

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use rust_stemmers::{Algorithm, Stemmer};

use super::{
    cues::CuePhrases,
    people::People,
    sentences::Sentence,
    words::{Word, is_stop},
};

/// The words of a topic at most.
const WORDS_MAX: usize = 3;

/// The most and the least topics that are shown; fewer than the least are left out.
const TOPICS_MAX: usize = 8;
const TOPICS_MIN: usize = 3;

/// A phrase that is looked at again and again is one; a word alone must come more often.
const TIMES_MIN: usize = 2;
const TIMES_ALONE_MIN: usize = 3;

/// A run of words that may name a thing.
#[derive(Debug, Default)]
struct TopicPhrase {
    times: usize,
    words: usize,
    /// The spellings and how often each occurs.
    written: BTreeMap<String, usize>,
}

/// Returns the topics, the weightiest first.
pub(super) fn find_topics(sentences: &[Sentence], people: &People) -> Vec<String> {
    weightiest_phrases(sentences, people)
        .into_iter()
        .take(TOPICS_MAX)
        .map(|(name, _)| name)
        .collect()
}

fn weightiest_phrases(sentences: &[Sentence], people: &People) -> Vec<(String, usize)> {
    let phrases = count_phrases(sentences, people);
    let mut order: Vec<(&String, &TopicPhrase)> = phrases
        .iter()
        .filter(|(_, phrase)| {
            phrase.times >= if phrase.words == 1 { TIMES_ALONE_MIN } else { TIMES_MIN }
        })
        .collect();
    // A longer phrase says more: two words weigh as if they came half as often again.
    order.sort_by(|a, b| {
        (b.1.times * (b.1.words + 1)).cmp(&(a.1.times * (a.1.words + 1))).then(a.0.cmp(b.0))
    });
    let mut chosen: Vec<(&str, String, usize)> = Vec::new();
    for (stems, phrase) in order {
        let is_shown = chosen.iter().any(|(other, _, _)| {
            other.split(' ').any(|stem| stems.split(' ').any(|own| own == stem))
        });
        if chosen.len() < TOPICS_MAX && !is_shown {
            chosen.push((stems, usual_spelling(phrase), phrase.times));
        }
    }
    if chosen.len() < TOPICS_MIN {
        return Vec::new();
    }
    chosen.into_iter().map(|(_, name, times)| (name, times)).collect()
}

/// Returns the most frequent spelling.
fn usual_spelling(phrase: &TopicPhrase) -> String {
    let most = phrase.written.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    most.map(|(written, _)| written.clone()).unwrap_or_default()
}

/// The most different phrases that are counted: a talk of 60,000 words has about 10,000.
const PHRASES_MAX: usize = 50_000;

fn count_phrases(sentences: &[Sentence], people: &People) -> BTreeMap<String, TopicPhrase> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut phrases: BTreeMap<String, TopicPhrase> = BTreeMap::new();
    for sentence in sentences {
        for run in noun_runs(&sentence.words, people) {
            for length in 1..=WORDS_MAX.min(run.len()) {
                for words in run.windows(length) {
                    let stems: Vec<_> =
                        words.iter().map(|word| stemmer.stem(&word.norm).into_owned()).collect();
                    let key = stems.join(" ");
                    if phrases.len() >= PHRASES_MAX && !phrases.contains_key(&key) {
                        continue;
                    }
                    let phrase = phrases.entry(key).or_default();
                    phrase.times += 1;
                    phrase.words = length;
                    let written: Vec<&str> = words.iter().map(|word| word.norm.as_str()).collect();
                    *phrase.written.entry(written.join(" ")).or_default() += 1;
                }
            }
        }
    }
    phrases
}

/// Returns the runs of words in a sentence that may name a thing: no grammar, no names, no numbers,
/// within a clause.
fn noun_runs<'a>(words: &'a [Word], people: &People) -> Vec<&'a [Word]> {
    let mut runs = Vec::new();
    let mut begin = 0;
    for (at, word) in words.iter().enumerate() {
        let fits = is_nounlike(&word.norm) && people.person_named(word).is_none();
        if !fits || word.breaks {
            let end = if fits { at + 1 } else { at };
            if end > begin {
                runs.push(&words[begin..end]);
            }
            begin = at + 1;
        }
    }
    if begin < words.len() {
        runs.push(&words[begin..]);
    }
    runs
}

fn is_nounlike(norm: &str) -> bool {
    let letters = norm.chars().all(|c| c.is_alphabetic() || c == '-') && norm.chars().count() > 2;
    letters && !is_stop(norm) && !norm.ends_with("ly") && !is_verb(norm)
}

/// Verbs and adjectives of meetings that come often and name nothing.
const VERBS: &str = "add added agree allowed answer approved arrive ask bought break broke broken brought build built buy care carries carry \
    change changed check checked choose closed closes coming confirm cost costs count covers cover cracked cut decide decided depends draft draw drop dropped \
    ends explain failed fall feel fell finish finished fit fix fixed follow forget forgot forward gives grew grow grows happen hear heard held \
    keeps knocked learn learned learnt lent let lets listen live looked lose lost love made manage meet meets met miss missed moved moves named needed \
    offer opened order ordered ought paid pay pays pick picked prefer prepare promised proposed propose pull push raise ran read reads record recorded refused \
    remember remembered remove renew replace reply report returned review reviewed rise rises ring rings sell sent settle share shared ship show showed shown sign signed \
    sit sits sleep slept speak spent spoke stand stands stay stays stood stopped suggest suggested surprised teach test tested thank thinks threw \
    till took travel treat tries turn turns understand update wait waited walk walked watch wear went wish wonder worry worth wrote write writes written clean cheap fair full \
    tall true whole wrong worse worst okay same different big small short long fast slow hot cold young old early late hard easy expensive simple fine green white black red blue \
    alone present apart anymore else";

fn is_verb(norm: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| VERBS.split_whitespace().collect());
    SET.contains(norm)
}

/// Phrases that introduce a talk; the title follows them.
const INTRODUCED: &str = "
    today's|our topic|subject is|today
    topic|subject of|for|today today|this|is? meeting|lecture|talk|session|call? is?
    we are here today? to discuss|about
    this meeting is about
    today we will? talk|speak about
    today we are going to talk|speak about
    welcome to our|the|this|today's
    this is the|our
    memo about|on";

/// Words for a meeting at the end of its name.
const KINDS: [&str; 16] = [
    "meeting",
    "call",
    "review",
    "standup",
    "stand-up",
    "retro",
    "retrospective",
    "workshop",
    "session",
    "lecture",
    "briefing",
    "interview",
    "sync",
    "seminar",
    "update",
    "conference",
];

/// The sentences in which a talk may be introduced, and the words of a title at most.
const INTRODUCTION: usize = 12;
const TITLE_WORDS_MAX: usize = 8;

/// Times that a topic must occur to make a title.
const TITLE_TIMES_MIN: usize = 8;

/// Returns a title, when the talk gives one.
pub(super) fn find_title(sentences: &[Sentence], people: &People) -> Option<String> {
    static INTRODUCED_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(INTRODUCED, &[]));
    let introduced = sentences.iter().take(INTRODUCTION).find_map(|sentence| {
        let hit = INTRODUCED_ONES.find_hits(&sentence.words).next()?;
        let meeting = sentence.words[hit.start].is_any(&["welcome", "this"])
            && sentence.words[hit.end - 1].norm != "about";
        named_behind(sentence, hit.end, meeting)
    });
    introduced.or_else(|| of_topics(sentences, people))
}

/// Returns the words behind an introduction, up to the end of the clause; of a meeting up to its
/// kind.
fn named_behind(sentence: &Sentence, from: usize, meeting: bool) -> Option<String> {
    let rest = sentence.words.get(from..)?;
    let length = if meeting {
        let kind = rest.iter().take(TITLE_WORDS_MAX).position(|word| word.is_any(&KINDS));
        kind.map(|at| at + 1).filter(|length| *length > 1)?
    } else {
        let end =
            rest.iter().position(|word| word.breaks || word.is_any(&["and", "but", "because"]))?;
        end + usize::from(rest[end].breaks)
    };
    if length == 0
        || length > TITLE_WORDS_MAX
        || rest[..length].iter().all(|word| is_stop(&word.norm))
    {
        return None;
    }
    Some(capitalise_first(&sentence.text[rest[0].range.start..rest[length - 1].range.end]))
}

/// Returns the two weightiest topics, where both occur often.
fn of_topics(sentences: &[Sentence], people: &People) -> Option<String> {
    let often: Vec<String> = weightiest_phrases(sentences, people)
        .into_iter()
        .filter(|(_, times)| *times >= TITLE_TIMES_MIN)
        .take(2)
        .map(|(name, _)| name)
        .collect();
    match often.as_slice() {
        [one, other] => Some(capitalise_first(&format!("{one} and {other}"))),
        _ => None,
    }
}

fn capitalise_first(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
