//! Action items: the task, its owner and its day.

use std::{collections::HashSet, sync::LazyLock};

use jiff::civil::Date;

use super::{
    answers::{Assent, find_assent, says_no, says_yes},
    cues::CuePhrases,
    due::find_due,
    fragments::{breaks_off, content_words, is_fragment},
    people::People,
    procedure::is_procedure,
    sentences::Sentence,
    talk::TalkSentences,
    tasks::{
        NO_ASSIGNMENTS, SpokenTask, TaskManner, find_tasks, is_adverb, is_bare, is_tasking,
        seeks_somebody,
    },
    undertakings::find_undertaking,
    words::{Word, is_stop},
};

/// An action while the talk is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundAction {
    /// The sentences of its quote: one, or two where the second takes on what the first asks for.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) owner: Option<String>,
    pub(super) due: Option<Date>,
}

/// Sentences that an answer looks back for its request: people answer at once.
const ANSWERS_BACK: usize = 2;

/// Returns the actions of a talk, in order.
pub(super) fn find_actions(talk: &TalkSentences, people: &People, today: Date) -> Vec<FoundAction> {
    let mut found: Vec<FoundAction> = Vec::new();
    for (at, sentence) in talk.all.iter().enumerate() {
        let owner = owner_of_speaker(sentence, people);
        if is_bare(&sentence.words) {
            take_on(talk, at, owner, today, &mut found);
            continue;
        }
        if talk.speeches
            && let Some(undertaking) = find_undertaking(talk, at)
        {
            let due = find_due(&sentence.words, undertaking.start, today);
            let owner = owner.filter(|_| undertaking.own);
            let is_again = found.iter().any(|earlier| {
                earlier.owner == owner
                    && shares_most(&talk.all[earlier.first].words, &sentence.words)
            });
            if !is_again {
                found.push(FoundAction { first: at, last: at, owner, due });
            }
            continue;
        }
        for task in find_tasks(&sentence.words, people) {
            let due = find_due(&sentence.words, task.start, today);
            if !is_accepted(talk, at, &task, due) {
                continue;
            }
            let answered = answered_request(talk, at, &task, &found)
                .filter(|_| task.manner != TaskManner::Named);
            if let Some(earlier) =
                answered.filter(|earlier| is_same(&talk.all[found[*earlier].first], sentence))
            {
                found[earlier].due = found[earlier].due.or(due);
                found[earlier].owner = found[earlier].owner.take().or(owner.clone());
                continue;
            }
            let of_request = answered.and_then(|earlier| found[earlier].owner.clone());
            let owner = owner_of(talk, at, &task, owner.clone().or(of_request), people);
            let due = due.or_else(|| due_behind(talk, at, today));
            found.push(FoundAction { first: at, last: at, owner, due });
        }
    }
    found
}

/// Returns whether two undertakings are the same: the shorter one's content is most of it in the
/// longer one.
fn shares_most(one: &[Word], other: &[Word]) -> bool {
    let one = content_words(one);
    let other = content_words(other);
    3 * one.intersection(&other).count() >= 2 * one.len().min(other.len())
}

/// Returns the owner of a task. `speaker` is the person who says it, if known.
fn owner_of(
    talk: &TalkSentences,
    at: usize,
    task: &SpokenTask,
    speaker: Option<String>,
    people: &People,
) -> Option<String> {
    let own = talk.all[at].words[task.start].is_any(&["i", "let"]);
    match task.manner {
        TaskManner::Promise | TaskManner::Need => speaker,
        TaskManner::Offer if own => speaker,
        TaskManner::Offer | TaskManner::Assigned | TaskManner::Duty | TaskManner::Named => {
            task.named.clone()
        }
        TaskManner::Request => task.named.clone().or_else(|| likely_answerer(talk, at, people)),
    }
}

fn owner_of_speaker(sentence: &Sentence, people: &People) -> Option<String> {
    let label = sentence.speaker.as_deref()?;
    Some(people.speaker_name(label).unwrap_or_else(|| label.to_owned()))
}

/// Returns whether a task counts in this talk.
fn is_accepted(talk: &TalkSentences, at: usize, task: &SpokenTask, due: Option<Date>) -> bool {
    let sentence = &talk.all[at];
    let alone = !talk.conversation;
    let refused =
        talk.all.get(at + 1).is_some_and(|next| says_no(&next.words) && !next.ends_with_question());
    let asks = sentence.ends_with_question();
    let counts = match task.manner {
        TaskManner::Promise => !asks && (!alone || due.is_some()) && !is_quoted(sentence, task),
        TaskManner::Offer => {
            !asks
                && talk.conversation
                && (due.is_some() || is_for_later(&sentence.words) || is_joint(talk, at, task))
        }
        TaskManner::Assigned => !asks && assigns(talk, at, task),
        TaskManner::Need | TaskManner::Duty => !asks,
        TaskManner::Request => !refused && (!alone || due.is_some() || task.named.is_some()),
        TaskManner::Named => !refused,
    };
    counts && !breaks_off(sentence) && outlives_meeting(talk, at, task, due)
}

/// Returns whether "we need to …" or "I can …" is a task: another person agrees.
fn is_joint(talk: &TalkSentences, at: usize, task: &SpokenTask) -> bool {
    let words = &talk.all[at].words[task.start..];
    let [subject, verb, ..] = words else { return false };
    let needed = subject.norm == "we" && verb.is_any(&["need", "have", "must", "should"]);
    let offered = subject.norm == "i" && verb.norm == "can";
    (needed || offered)
        && !is_fragment(&talk.all[at])
        && find_assent(talk, at, Assent::Plain).is_some()
}

/// The last part of a talk, in which tasks are given out.
const CLOSING_PART: usize = 5;

/// Returns whether "you will …" gives out a task: for later, or near the end in a progressive form.
fn assigns(talk: &TalkSentences, at: usize, task: &SpokenTask) -> bool {
    let closing = CLOSING_PART * (talk.all.len() - at) <= talk.all.len();
    let words = &talk.all[at].words;
    let verb = &words[task.end - 1];
    let is_assigned = is_for_later(words) || (closing && is_tasking(&verb.norm));
    talk.conversation && is_assigned && !verb.is_any(&NO_ASSIGNMENTS) && !is_fragment(&talk.all[at])
}

/// Returns whether a sentence speaks of the time after the meeting.
fn is_for_later(words: &[Word]) -> bool {
    static LATER_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(LATER, &[]));
    LATER_ONES.is_in(words)
}

/// Phrases that speak of the time after the meeting.
const LATER: &str = "
    for|before|until|till|by the|our|your next meeting|session|time
    for|before|until|till|by next time
    after the|this meeting";

/// Returns whether a task is left when the meeting is over: it has a day, or a thing to work on and
/// nothing to do with the meeting itself. Among speeches only a day of a named person counts.
fn outlives_meeting(talk: &TalkSentences, at: usize, task: &SpokenTask, due: Option<Date>) -> bool {
    let words = &talk.all[at].words;
    if talk.speeches {
        return due.is_some() && task.named.is_some();
    }
    let is_plain =
        !matches!(task.manner, TaskManner::Named | TaskManner::Duty) && task.named.is_none();
    due.is_some() || ((!is_plain || has_object(words, task)) && !is_procedure(&words[task.start..]))
}

/// Returns whether a task names in its clause what it is about, beside "it" and "that".
fn has_object(words: &[Word], task: &SpokenTask) -> bool {
    let rest = &words[task.end.min(words.len())..];
    let clause = rest.iter().position(|word| word.breaks).map_or(rest.len(), |at| at + 1);
    rest[..clause].iter().any(|word| !is_stop(&word.norm) && !is_adverb(&word.norm))
}

/// Returns whether a task stands between quotation marks: somebody else's words, or an example.
fn is_quoted(sentence: &Sentence, task: &SpokenTask) -> bool {
    let before = &sentence.text[..sentence.words[task.start].range.start];
    let straight = before.matches('"').count() % 2 == 1;
    straight || before.matches('“').count() > before.matches('”').count()
}

/// Gives the task or the question shortly before to the speaker of "I'll do that".
fn take_on(
    talk: &TalkSentences,
    at: usize,
    owner: Option<String>,
    today: Date,
    found: &mut Vec<FoundAction>,
) {
    let from = at.saturating_sub(ANSWERS_BACK);
    let due = find_due(&talk.all[at].words, 0, today);
    if let Some(action) = found.iter_mut().rev().find(|action| action.last >= from) {
        action.due = action.due.or(due);
        let by_another = talk.all[at].is_by_another(&talk.all[action.first]);
        action.owner = action.owner.take().or(owner.filter(|_| by_another));
        return;
    }
    let asked = (from..at).rev().find(|earlier| seeks_somebody(&talk.all[*earlier].words));
    if let Some(first) = asked {
        let due = find_due(&talk.all[first].words, 0, today).or(due);
        found.push(FoundAction { first, last: at, owner, due });
    }
}

/// Returns the request that this sentence answers.
fn answered_request(
    talk: &TalkSentences,
    at: usize,
    task: &SpokenTask,
    found: &[FoundAction],
) -> Option<usize> {
    let (number, last) = found.iter().enumerate().next_back()?;
    let near = last.last < at && at - last.last <= ANSWERS_BACK;
    let by_same =
        talk.all[at].speaker.is_some() && talk.all[at].speaker == talk.all[last.first].speaker;
    let has_agreed = says_yes(&talk.all[at].words)
        || (last.last + 1..at).any(|between| says_yes(&talk.all[between].words));
    (near && !by_same && has_agreed && task.manner == TaskManner::Promise).then_some(number)
}

/// Returns whether an answer adds nothing to its request: "I'll send them by Friday".
fn is_same(request: &Sentence, answer: &Sentence) -> bool {
    let asked: HashSet<&str> = request.words.iter().map(|word| word.norm.as_str()).collect();
    answer.words.iter().all(|word| is_stop(&word.norm) || asked.contains(word.norm.as_str()))
}

/// Returns the person who answers a request: the next speaker who says yes, or the only other one
/// of two.
fn likely_answerer(talk: &TalkSentences, at: usize, people: &People) -> Option<String> {
    let sentence = &talk.all[at];
    let next = talk
        .sentences_after(at, ANSWERS_BACK, f64::INFINITY)
        .map(|(_, next)| next)
        .find(|next| next.is_by_another(sentence));
    let yes = next.filter(|next| says_yes(&next.words));
    yes.or_else(|| next.filter(|_| talk.speaker_count() == 2))
        .and_then(|next| owner_of_speaker(next, people))
}

/// Returns a date that is added in the next sentence: "By Friday, please."
fn due_behind(talk: &TalkSentences, at: usize, today: Date) -> Option<Date> {
    const ADDED_WORDS_MAX: usize = 6;
    let next = talk.all.get(at + 1).filter(|next| next.words.len() <= ADDED_WORDS_MAX)?;
    let leads =
        next.words.iter().take(3).any(|word| word.is_any(&["by", "before", "until", "till"]));
    if leads { find_due(&next.words, 0, today) } else { None }
}
