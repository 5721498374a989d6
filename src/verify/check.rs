//! Proposals → items: what is not in the lines that it cites is dropped, what is doubtful is marked.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{
    evidence::{Evidence, is_asked},
    lines::NumberedLines,
    proposals::{Proposal, Proposals},
    words::{ContentWords, digit_numbers, has_negation, is_empty_word, lower_words, time_words},
};
use crate::{
    config::Attendee,
    extract::named_days,
    job::{Item, ItemKind, ItemQuote},
    text,
};

/// The least share of an item's words that must be spoken in the lines it cites, and two around
/// each. Items that models invented had 0 to 0.27, so this has room above them.
const SHARE_MIN: f64 = 0.35;

/// The share above which an item is not marked. True ones had 0.60 and more, a misread one 0.54.
const SHARE_PLAIN: f64 = 0.60;

/// Items of one kind that are kept: more is not read.
const EACH_MAX: usize = 40;

/// Sentences of a summary that are kept.
const SUMMARY_MAX: usize = 20;

/// Characters of a quote: about 25 seconds of speech.
const QUOTE_CHARS_MAX: usize = 300;

/// Words in a row that a text repeats where it is a loop, and how often.
const LOOP_WORDS: usize = 3;
const LOOP_TIMES: usize = 3;

/// Owners who are nobody in particular.
const EVERYBODY: [&str; 12] = [
    "all",
    "everyone",
    "everybody",
    "team",
    "the team",
    "we",
    "us",
    "group",
    "the group",
    "participants",
    "someone",
    "i",
];

/// A meeting of which items are proposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meeting<'a> {
    /// Its transcript.
    pub(crate) lines: &'a NumberedLines,
    /// Its attendees: they may own actions.
    pub(crate) attendees: &'a [Attendee],
    /// The day of the recording: "tomorrow" is the day after it.
    pub(crate) today: Date,
}

/// A sentence of the summary that is in the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummaryPoint {
    /// The sentence.
    pub(crate) text: String,
    /// True where a reader should compare it with the transcript.
    pub(crate) check: bool,
    /// The numbers of the lines that say it.
    pub(crate) lines: Vec<usize>,
}

/// What is left of proposals.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Checked {
    /// The items, in the order of the transcript within each kind.
    pub(crate) items: Vec<Item>,
    /// The sentences of the summary.
    pub(crate) summary: Vec<SummaryPoint>,
    /// Proposals that are not in the transcript.
    pub(crate) dropped: usize,
}

/// The verdict on a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Plain,
    Doubtful,
    NotThere,
}

/// Checks proposals against a meeting. A text that is a loop or stands there already is left out
/// without being counted.
pub(crate) fn check_proposals(proposals: &[Proposals], meeting: &Meeting<'_>) -> Checked {
    let mut checked = Checked::default();
    let mut seen = BTreeSet::new();
    for (kind, proposal) in proposals.iter().flat_map(|proposals| &proposals.items) {
        if is_loop(&proposal.text) || !seen.insert((*kind as u8, normalised(&proposal.text))) {
            continue;
        }
        match check_item(*kind, proposal, meeting) {
            Some(item)
                if count_of(&checked.items, *kind) < EACH_MAX
                    && !says_the_same(&checked.items, &item) =>
            {
                checked.items.push(item);
            }
            Some(_) => {}
            None => checked.dropped += 1,
        }
    }
    for proposal in proposals.iter().flat_map(|proposals| &proposals.summary) {
        if is_loop(&proposal.text) || !seen.insert((u8::MAX, normalised(&proposal.text))) {
            continue;
        }
        match check_summary_point(proposal, meeting) {
            Some(point) if checked.summary.len() < SUMMARY_MAX => checked.summary.push(point),
            Some(_) => {}
            None => checked.dropped += 1,
        }
    }
    checked.items.sort_by_key(|item| (item.kind as u8, item.lines.first().copied()));
    checked
}

fn count_of(items: &[Item], kind: ItemKind) -> usize {
    items.iter().filter(|item| item.kind == kind).count()
}

/// Returns whether an item of this kind cites the same lines and says mostly the same: parts of a
/// long transcript overlap in nothing, but models repeat themselves.
fn says_the_same(items: &[Item], item: &Item) -> bool {
    let words = ContentWords::from_text(&item.text);
    items.iter().any(|other| {
        let common = words.count_in(&ContentWords::from_text(&other.text));
        other.kind == item.kind && other.lines == item.lines && common * 4 >= words.len() * 3
    })
}

fn check_item(kind: ItemKind, proposal: &Proposal, meeting: &Meeting<'_>) -> Option<Item> {
    let evidence = Evidence::collect(meeting.lines, &proposal.lines, meeting.today)?;
    let mut is_doubtful = match judge(&proposal.text, &evidence, meeting) {
        Verdict::Plain => false,
        Verdict::Doubtful => true,
        Verdict::NotThere => return None,
    };
    let line = evidence.best_line(&ContentWords::from_text(&proposal.text));
    is_doubtful |=
        kind != ItemKind::Question && has_negation(&line.text) != has_negation(&proposal.text);
    is_doubtful |= kind == ItemKind::Question && !is_asked(&proposal.text) && !evidence.is_asked();
    let is_action = kind == ItemKind::Action;
    let (owner, is_owner_sure) = match proposal.owner.as_deref().filter(|_| is_action) {
        Some(owner) => find_owners(owner, &evidence, meeting),
        None => (None, true),
    };
    is_doubtful |= !is_owner_sure;
    let due = proposal
        .due
        .as_deref()
        .filter(|_| is_action)
        .and_then(|due| find_due(due, &evidence, meeting.today));
    let mut lines: Vec<usize> = evidence.cited.iter().map(|line| line.segment + 1).collect();
    lines.dedup();
    let text = cut_text(&line.text);
    let quote = ItemQuote { at: line.at, speaker: line.speaker.clone(), text };
    Some(Item { kind, text: proposal.text.clone(), owner, due, check: is_doubtful, quote, lines })
}

fn check_summary_point(proposal: &Proposal, meeting: &Meeting<'_>) -> Option<SummaryPoint> {
    let evidence = Evidence::collect(meeting.lines, &proposal.lines, meeting.today)?;
    let check = match judge(&proposal.text, &evidence, meeting) {
        Verdict::Plain => false,
        Verdict::Doubtful => true,
        Verdict::NotThere => return None,
    };
    Some(SummaryPoint { text: proposal.text.clone(), check, lines: proposal.lines.clone() })
}

/// Judges a text by its words, its numbers, its words of time and its names.
fn judge(text: &str, evidence: &Evidence<'_>, meeting: &Meeting<'_>) -> Verdict {
    let share = evidence.share_of(&ContentWords::from_text(text));
    if share < SHARE_MIN {
        return Verdict::NotThere;
    }
    let days = iso_days(text);
    let are_days_spoken = days.iter().all(|day| evidence.has_day(*day));
    let bare = if are_days_spoken { without_iso_days(text) } else { text.to_owned() };
    let is_spoken = are_days_spoken
        && digit_numbers(&bare).iter().all(|number| evidence.has_number(number))
        && time_words(&bare).iter().all(|word| evidence.has_time(word))
        && names_in(text)
            .iter()
            .all(|name| evidence.has_word(name) || is_known_person(name, meeting));
    if share >= SHARE_PLAIN && is_spoken { Verdict::Plain } else { Verdict::Doubtful }
}

/// Returns the dates in a text that are written as 2026-12-04.
fn iso_days(text: &str) -> Vec<Date> {
    let pieces = text.split(|c: char| !(c.is_ascii_digit() || c == '-'));
    pieces.filter(|piece| piece.len() == 10).filter_map(|piece| piece.parse().ok()).collect()
}

fn without_iso_days(text: &str) -> String {
    iso_days(text).iter().fold(text.to_owned(), |text, day| text.replace(&day.to_string(), ""))
}

/// Returns the words of a text that are written as names, in lower case: with a capital, and not at
/// the beginning of a sentence, but for one that does something there ("Carl will …").
fn names_in(text: &str) -> Vec<String> {
    const VERBS: [&str; 8] = ["will", "to", "should", "shall", "must", "needs", "has", "is"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_first = at == 0 || words[at - 1].ends_with(['.', ':', '!', '?']);
        let acts = words.get(at + 1).is_some_and(|next| VERBS.contains(next));
        let lower = lower_words(bare);
        let is_name = bare.starts_with(char::is_uppercase) && (!is_first || acts);
        names.extend(lower.into_iter().filter(|word| is_name && !is_empty_word(word)));
    }
    names
}

fn is_known_person(name: &str, meeting: &Meeting<'_>) -> bool {
    let has = |text: &str| lower_words(text).iter().any(|part| part == name);
    meeting.attendees.iter().any(|attendee| has(&attendee.name))
        || meeting.lines.speakers().any(has)
}

/// Returns the owners that may be shown, and whether all that are shown speak or are named in the
/// lines. A person who is neither there nor an attendee nor a speaker is left out.
fn find_owners(
    written: &str,
    evidence: &Evidence<'_>,
    meeting: &Meeting<'_>,
) -> (Option<String>, bool) {
    let mut owners: Vec<String> = Vec::new();
    let mut is_sure = true;
    for part in written.replace(" and ", ",").split([',', '&', '/', ';']).map(str::trim) {
        if part.is_empty() || EVERYBODY.contains(&part.to_lowercase().as_str()) {
            continue;
        }
        if let Some((owner, is_there)) = find_owner(part, evidence, meeting)
            && !owners.contains(&owner)
        {
            is_sure &= is_there;
            owners.push(owner);
        }
    }
    ((!owners.is_empty()).then(|| owners.join(", ")), is_sure)
}

/// Returns the name of an owner, and whether the person speaks or is named in the lines.
fn find_owner(
    written: &str,
    evidence: &Evidence<'_>,
    meeting: &Meeting<'_>,
) -> Option<(String, bool)> {
    let words = lower_words(written);
    if words.is_empty() {
        return None;
    }
    let is_spoken = words.iter().all(|word| evidence.has_word(word));
    let is_same = |name: &str| text::strip_to_line(name).to_lowercase() == written.to_lowercase();
    let attendees = || meeting.attendees.iter().map(|attendee| attendee.name.as_str());
    let mut matching = attendees().filter(|name| {
        let parts = lower_words(name);
        words.iter().all(|word| parts.contains(word))
    });
    let exact = attendees().find(|name| is_same(name));
    let only = matching.next().filter(|_| matching.next().is_none());
    if let Some(name) = exact.or(only) {
        let is_named = lower_words(name).iter().any(|part| evidence.has_word(part));
        return Some((text::strip_to_line(name), is_named || evidence.has_speaker(name)));
    }
    if let Some(label) = meeting.lines.speakers().find(|label| is_same(label)) {
        return Some((label.to_owned(), evidence.has_speaker(label) || is_spoken));
    }
    (is_spoken && !words.iter().all(|word| is_empty_word(word))).then(|| (written.to_owned(), true))
}

/// Returns a due time that is spoken: as a date where it is one, else in the words that were said.
fn find_due(written: &str, evidence: &Evidence<'_>, today: Date) -> Option<String> {
    if let [day] = iso_days(written).as_slice() {
        return evidence.has_day(*day).then(|| day.to_string());
    }
    let is_spoken = lower_words(written).iter().all(|word| {
        let digits = digit_numbers(word);
        let is_number =
            !digits.is_empty() && digits.iter().all(|number| evidence.has_number(number));
        is_number || evidence.has_word(word) || (is_empty_word(word) && digits.is_empty())
    });
    let day = named_days(written, today).into_iter().find(|day| evidence.has_day(*day));
    match day {
        Some(day) if is_spoken => Some(day.to_string()),
        Some(_) => None,
        None => {
            let says_something = lower_words(written).iter().any(|word| !is_empty_word(word));
            (is_spoken && says_something).then(|| written.to_owned())
        }
    }
}

/// Cuts a text to the longest quote, at a word where there is one.
fn cut_text(words: &str) -> String {
    let Some((end, _)) = words.char_indices().nth(QUOTE_CHARS_MAX) else { return words.to_owned() };
    let kept = words[..end].rsplit_once(' ').map_or(&words[..end], |(kept, _)| kept);
    format!("{kept}…")
}

/// Returns whether a text says the same words again and again.
fn is_loop(text: &str) -> bool {
    let words = lower_words(text);
    let mut seen: Vec<&[String]> = words.windows(LOOP_WORDS).collect();
    seen.sort_unstable();
    seen.chunk_by(|a, b| a == b).any(|same| same.len() >= LOOP_TIMES)
}

fn normalised(text: &str) -> String {
    lower_words(text).join(" ")
}
