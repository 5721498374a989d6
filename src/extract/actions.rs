//! What is to be done, by whom and by when.

use std::collections::HashSet;

use jiff::civil::Date;

use super::{
    due::due,
    people::People,
    sentences::Sentence,
    talk::{Sentences, accepts, refuses},
    tasks::{Manner, Task, is_bare, seeks_somebody, tasks},
    words::is_stop,
};

/// An action while the talk is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The sentences of its quote: one, or two where the second takes on what the first asks for.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) owner: Option<String>,
    pub(super) due: Option<Date>,
}

/// How many sentences back an answer looks for what it answers.
const ANSWERS_BACK: usize = 2;

/// Returns the actions of a talk, in order.
pub(super) fn actions(talk: &Sentences, people: &People, today: Date) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (at, sentence) in talk.all.iter().enumerate() {
        let owner = owner_of_speaker(sentence, people);
        if is_bare(&sentence.words) {
            take_on(talk, at, owner, today, &mut found);
            continue;
        }
        for task in tasks(&sentence.words, people) {
            let due = due(&sentence.words, task.start, today);
            if !is_accepted(talk, at, &task, due) {
                continue;
            }
            let answered = answered(talk, at, &task, &found).filter(|_| task.manner != Manner::Named);
            if let Some(earlier) = answered.filter(|earlier| is_same(&talk.all[found[*earlier].first], sentence)) {
                found[earlier].due = found[earlier].due.or(due);
                found[earlier].owner = found[earlier].owner.take().or(owner.clone());
                continue;
            }
            let of_request = answered.and_then(|earlier| found[earlier].owner.clone());
            let owner = owner_of(talk, at, &task, owner.clone().or(of_request), people);
            let due = due.or_else(|| due_behind(talk, at, today));
            found.push(Found { first: at, last: at, owner, due });
        }
    }
    found
}

/// Whose a task is. `speaker` is who says it, as far as that is known.
fn owner_of(talk: &Sentences, at: usize, task: &Task, speaker: Option<String>, people: &People) -> Option<String> {
    let own = talk.all[at].words[task.start].is_any(&["i", "let"]);
    match task.manner {
        Manner::Promise | Manner::Need => speaker,
        Manner::Offer if own => speaker,
        Manner::Offer | Manner::Duty | Manner::Named => task.named.clone(),
        Manner::Request => task.named.clone().or_else(|| answerer(talk, at, people)),
    }
}

fn owner_of_speaker(sentence: &Sentence, people: &People) -> Option<String> {
    let label = sentence.speaker.as_deref()?;
    Some(people.speaker(label).unwrap_or_else(|| label.to_owned()))
}

/// Whether a task counts in this talk.
fn is_accepted(talk: &Sentences, at: usize, task: &Task, due: Option<Date>) -> bool {
    let sentence = &talk.all[at];
    let alone = !talk.conversation;
    let refused = talk.all.get(at + 1).is_some_and(|next| refuses(&next.words) && !next.asks());
    match task.manner {
        Manner::Promise => !sentence.asks() && (!alone || due.is_some()),
        Manner::Offer => !sentence.asks() && due.is_some() && talk.conversation,
        Manner::Need | Manner::Duty => !sentence.asks(),
        Manner::Request => !refused && (!alone || due.is_some() || task.named.is_some()),
        Manner::Named => !refused,
    }
}

/// "I'll do that": takes on the task or the question shortly before.
fn take_on(talk: &Sentences, at: usize, owner: Option<String>, today: Date, found: &mut Vec<Found>) {
    let from = at.saturating_sub(ANSWERS_BACK);
    let due = due(&talk.all[at].words, 0, today);
    if let Some(action) = found.iter_mut().rev().find(|action| action.last >= from) {
        action.due = action.due.or(due);
        let by_another = talk.all[at].is_by_another(&talk.all[action.first]);
        action.owner = action.owner.take().or(owner.filter(|_| by_another));
        return;
    }
    let asked = (from..at).rev().find(|earlier| seeks_somebody(&talk.all[*earlier].words));
    if let Some(first) = asked {
        let due = super::due::due(&talk.all[first].words, 0, today).or(due);
        found.push(Found { first, last: at, owner, due });
    }
}

/// The request to which this sentence is the answer.
fn answered(talk: &Sentences, at: usize, task: &Task, found: &[Found]) -> Option<usize> {
    let (number, last) = found.iter().enumerate().next_back()?;
    let near = last.last < at && at - last.last <= ANSWERS_BACK;
    let by_same = talk.all[at].speaker.is_some() && talk.all[at].speaker == talk.all[last.first].speaker;
    let said_yes = accepts(&talk.all[at].words) || (last.last + 1..at).any(|between| accepts(&talk.all[between].words));
    (near && !by_same && said_yes && task.manner == Manner::Promise).then_some(number)
}

/// Whether an answer says no more than what it answers: "I'll send them by Friday".
fn is_same(request: &Sentence, answer: &Sentence) -> bool {
    let asked: HashSet<&str> = request.words.iter().map(|word| word.norm.as_str()).collect();
    answer.words.iter().all(|word| is_stop(&word.norm) || asked.contains(word.norm.as_str()))
}

/// Who answers a request: the next speaker who says yes, or the only other one of two.
fn answerer(talk: &Sentences, at: usize, people: &People) -> Option<String> {
    let sentence = &talk.all[at];
    let next =
        talk.after(at, ANSWERS_BACK, f64::INFINITY).map(|(_, next)| next).find(|next| next.is_by_another(sentence));
    let yes = next.filter(|next| accepts(&next.words));
    yes.or_else(|| next.filter(|_| talk.speakers() == 2)).and_then(|next| owner_of_speaker(next, people))
}

/// A date that is added behind: "By Friday, please."
fn due_behind(talk: &Sentences, at: usize, today: Date) -> Option<Date> {
    const ADDED_WORDS_MAX: usize = 6;
    let next = talk.all.get(at + 1).filter(|next| next.words.len() <= ADDED_WORDS_MAX)?;
    let leads = next.words.iter().take(3).any(|word| word.is_any(&["by", "before", "until", "till"]));
    if leads { due(&next.words, 0, today) } else { None }
}
