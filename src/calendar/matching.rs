//! The choice of the event that a recording is of: one that fits clearly, or none. Pure.
//!
//! It is anchored on the start and the length of the recording itself, never on when that is processed. An event that was
//! attached by mistake names the wrong people, so that in doubt there is none.

use std::{collections::HashSet, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Time, tz::TimeZone};

use super::{
    event::{EventFacts, EventMark, Invited, InvitedKind, PEOPLE_READ_MAX},
    occurrences::{CalendarExcerpt, Occurrence, TimeWindow},
};
use crate::{
    config::Attendee,
    job::{CalendarAnswer, EventCandidate, EventSnapshot, NoEventReason},
    text::strip_accents,
};

/// An event may begin so long after the start of a recording that it does not overlap.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Candidates that are kept for `why`.
const CANDIDATES_MAX: usize = 5;

/// The least overlap of an event that is taken, in percent of the time that either of the two takes.
const OVERLAP_MIN: i128 = 50;

/// The least overlap where the start of the recording is not certain, or the recording is a part of a longer one.
const OVERLAP_MIN_UNCERTAIN: i128 = 80;

/// The factor by which the best must fit better than the next.
const LEAD_MIN: i128 = 2;

/// The recording that an event is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordingSpan {
    /// The start.
    pub(crate) start: Timestamp,
    /// The length; `None` where it is not known.
    pub(crate) length: Option<SignedDuration>,
    /// True if the start is that of the recording itself, and the recording is whole.
    pub(crate) is_certain: bool,
    /// The name of the file.
    pub(crate) name: String,
}

/// The facts of a file from which the span of its recording follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordedFile<'a> {
    /// Its path.
    pub(crate) path: &'a Path,
    /// The start, as far as the file has it.
    pub(crate) recorded: Timestamp,
    /// The time of the last write, in nanoseconds.
    pub(crate) written_ns: i64,
    /// The length, known or estimated.
    pub(crate) length: Option<Duration>,
}

impl RecordedFile<'_> {
    /// Returns the time at which the recording had ended at the latest.
    #[must_use]
    pub(crate) fn ended(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.written_ns))
            .map_or(now, |written| written.min(now))
    }
}

impl RecordingSpan {
    /// Returns the span of a recording. `told` is the date that a sidecar or a source gives, and `zone` that of this machine.
    ///
    /// A date from the time of the last write is that of the end, and a day without an hour is none.
    #[must_use]
    pub(crate) fn of_file(
        file: &RecordedFile<'_>,
        told: Option<Timestamp>,
        zone: &TimeZone,
    ) -> Self {
        let length = file.length.and_then(|length| SignedDuration::try_from(length).ok());
        let start = told.unwrap_or(file.recorded);
        let written = i128::from(file.written_ns) / 1_000_000;
        let is_of_last_write = told.is_none() && i128::from(start.as_millisecond()) == written;
        let is_of_day = zone.to_datetime(start).time() == Time::midnight();
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            start: if is_of_last_write {
                start.checked_sub(length.unwrap_or_default()).unwrap_or(start)
            } else {
                start
            },
            length,
            is_certain: !is_of_last_write && !is_of_day && !is_split_part(&stem),
            name: stem,
        }
    }

    fn end(&self) -> Timestamp {
        self.start.checked_add(self.length.unwrap_or_default()).unwrap_or(self.start)
    }

    /// Returns the time in which an event can be a candidate.
    #[must_use]
    pub(crate) fn window(&self) -> TimeWindow {
        let ahead = self.start.checked_add(AHEAD_MAX).unwrap_or(self.start);
        TimeWindow { from: self.start, to: self.end().max(ahead) }
    }
}

/// The choice among the events near a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventChoice {
    /// The event, or the reason why there is none.
    pub(crate) answer: CalendarAnswer,
    /// The events that could be meant, the best first.
    pub(crate) candidates: Vec<EventCandidate>,
    /// The events at that time that cannot.
    pub(crate) dropped: Vec<DroppedEvent>,
}

/// An event near a recording that is not considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DroppedEvent {
    /// The title, as far as it may be shown.
    pub(crate) title: String,
    /// The start.
    pub(crate) start: Timestamp,
    /// The reason.
    pub(crate) reason: DropReason,
}

/// The reason why an event is not considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// It was cancelled.
    Cancelled,
    /// The person whose calendar it is, or all of the folder's people who are invited, declined.
    Declined,
    /// It has days and no times.
    AllDay,
    /// It has no length.
    ZeroLength,
    /// Its time is marked as free.
    Transparent,
    /// It is marked as private or confidential.
    Private,
    /// Fewer than two people are invited and have not declined.
    NobodyElse,
    /// More people are invited than may be named.
    TooManyPeople,
}

impl DropReason {
    /// Returns the reason in words.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "it was cancelled",
            Self::Declined => "it was declined",
            Self::AllDay => "it is an all-day event",
            Self::ZeroLength => "it has no length",
            Self::Transparent => "its time is marked as free",
            Self::Private => "it is marked as private",
            Self::NobodyElse => "nobody else is invited",
            Self::TooManyPeople => "more than 500 people are invited",
        }
    }
}

/// Chooses the event of a recording. `folder_people` are the addresses of the folder's attendees.
#[must_use]
pub(crate) fn choose_event(
    recording: &RecordingSpan,
    excerpt: &CalendarExcerpt,
    folder_people: &[String],
) -> EventChoice {
    let mut dropped = Vec::new();
    let mut scored = Vec::new();
    for occurrence in &excerpt.occurrences {
        match reason_to_drop(occurrence, excerpt.owner.as_deref(), folder_people) {
            Some(reason) => dropped.push(DroppedEvent {
                title: occurrence.facts.shown_title(),
                start: occurrence.start,
                reason,
            }),
            None => scored.push(ScoredEvent::new(recording, occurrence)),
        }
    }
    scored.sort_by(|one, other| other.compare(one));
    let answer = match decide(recording, &scored) {
        Ok(best) => CalendarAnswer::Taken { event: snapshot(best.occurrence) },
        Err(reason) => CalendarAnswer::None { reason },
    };
    let candidates = scored.iter().take(CANDIDATES_MAX).map(ScoredEvent::candidate).collect();
    EventChoice { answer, candidates, dropped }
}

/// Returns the best, if it is clearly the one.
fn decide<'a>(
    recording: &RecordingSpan,
    scored: &'a [ScoredEvent<'a>],
) -> Result<&'a ScoredEvent<'a>, NoEventReason> {
    let best = scored.first().ok_or(NoEventReason::NothingNear)?;
    if recording.length.is_none_or(|length| length <= SignedDuration::ZERO) {
        return Err(NoEventReason::UnknownLength);
    }
    if !best.fits(OVERLAP_MIN) {
        return Err(NoEventReason::TooLittleOverlap);
    }
    if scored.get(1).is_some_and(|next| !best.leads(next)) {
        return Err(NoEventReason::SeveralFit);
    }
    if !recording.is_certain && !best.fits(OVERLAP_MIN_UNCERTAIN) {
        return Err(NoEventReason::UncertainStart);
    }
    Ok(best)
}

/// An event with its score.
struct ScoredEvent<'a> {
    occurrence: &'a Occurrence,
    /// Milliseconds that event and recording share.
    shared: i128,
    /// Milliseconds that either of them takes; never 0.
    either: i128,
    /// Milliseconds between the two starts.
    apart: i128,
    /// Words of the title that stand in the name of the file.
    words: usize,
}

impl<'a> ScoredEvent<'a> {
    fn new(recording: &RecordingSpan, occurrence: &'a Occurrence) -> Self {
        let span = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis().max(0);
        let end = recording.end();
        let shared = span(recording.start.max(occurrence.start), end.min(occurrence.end));
        let both = span(recording.start, end) + span(occurrence.start, occurrence.end);
        Self {
            occurrence,
            shared,
            either: (both - shared).max(1),
            apart: recording.start.duration_since(occurrence.start).as_millis().abs(),
            words: count_shared_words(&occurrence.facts.title, &recording.name),
        }
    }

    fn fits(&self, percent: i128) -> bool {
        self.shared * 100 >= self.either * percent
    }

    fn leads(&self, next: &Self) -> bool {
        self.shared * next.either >= LEAD_MIN * next.shared * self.either
    }

    /// Compares by overlap, then by the distance of the starts, then by words in the name.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        (self.shared * other.either)
            .cmp(&(other.shared * self.either))
            .then(other.apart.cmp(&self.apart))
            .then(self.words.cmp(&other.words))
    }

    fn candidate(&self) -> EventCandidate {
        EventCandidate {
            title: self.occurrence.facts.title.clone(),
            start: self.occurrence.start,
            end: self.occurrence.end,
            overlap_percent: u8::try_from(self.shared * 100 / self.either).unwrap_or(100),
        }
    }
}

/// Returns how many words of a title, of three letters at least, stand in the name of a file.
fn count_shared_words(title: &str, name: &str) -> usize {
    let words = |text: &str| -> Vec<String> {
        strip_accents(text)
            .to_lowercase()
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| word.chars().count() >= 3)
            .map(str::to_owned)
            .collect()
    };
    let of_name = words(name);
    words(title).iter().filter(|word| of_name.contains(word)).count()
}

fn reason_to_drop(
    occurrence: &Occurrence,
    owner: Option<&str>,
    folder_people: &[String],
) -> Option<DropReason> {
    let facts: &EventFacts = &occurrence.facts;
    let checks = [
        (facts.has_mark(EventMark::Private), DropReason::Private),
        (facts.has_mark(EventMark::Cancelled), DropReason::Cancelled),
        (is_declined(&facts.people, owner, folder_people), DropReason::Declined),
        (facts.has_mark(EventMark::AllDay), DropReason::AllDay),
        (occurrence.end <= occurrence.start, DropReason::ZeroLength),
        (facts.has_mark(EventMark::Transparent), DropReason::Transparent),
        (facts.people.len() >= PEOPLE_READ_MAX, DropReason::TooManyPeople),
        (!is_meeting(&facts.people), DropReason::NobodyElse),
    ];
    checks.into_iter().find(|(is_so, _)| *is_so).map(|(_, reason)| reason)
}

/// Returns whether the owner of the calendar declined, or everyone of the folder who was invited.
fn is_declined(people: &[Invited], owner: Option<&str>, folder_people: &[String]) -> bool {
    let is_owner =
        |person: &&Invited| owner.is_some_and(|owner| person.email.eq_ignore_ascii_case(owner));
    if let Some(owner) = people.iter().find(is_owner) {
        return owner.has_declined;
    }
    let of_folder = |person: &&Invited| {
        folder_people.iter().any(|known| known.eq_ignore_ascii_case(&person.email))
    };
    let mut invited = people.iter().filter(of_folder).peekable();
    invited.peek().is_some() && invited.all(|person| person.has_declined)
}

/// Returns whether at least two take part, a group counting as one, and one of them at least is a person with an address.
fn is_meeting(people: &[Invited]) -> bool {
    let present = || people.iter().filter(|person| !person.has_declined);
    let address = |person: &Invited| match person.kind {
        InvitedKind::Person => attendee(person).map(|attendee| attendee.email.to_lowercase()),
        InvitedKind::Group => Some(person.email.to_lowercase()),
        InvitedKind::Other => None,
    };
    let addresses: HashSet<String> = present().filter_map(address).collect();
    let mut persons = present().filter(|person| person.kind == InvitedKind::Person);
    addresses.len() >= 2 && persons.any(|person| attendee(person).is_some())
}

fn attendee(person: &Invited) -> Option<Attendee> {
    Attendee::from_outside(person.name.as_deref(), &person.email, None)
}

/// Returns what is kept of an event. A group is not named: who would read the notes there is not known.
fn snapshot(occurrence: &Occurrence) -> EventSnapshot {
    let people = occurrence.facts.people.iter();
    let named = people.filter(|person| !person.has_declined && person.kind == InvitedKind::Person);
    let mut seen = HashSet::new();
    EventSnapshot {
        title: occurrence.facts.title.clone(),
        start: occurrence.start,
        end: occurrence.end,
        attendees: named
            .filter_map(attendee)
            .filter(|person| seen.insert(person.email.to_lowercase()))
            .collect(),
    }
}

/// Returns whether the name of a file says that it is a part of a longer recording.
#[must_use]
pub(super) fn is_split_part(stem: &str) -> bool {
    let stem = stem.to_lowercase();
    let words: Vec<&str> = stem
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_number = |word: &str| {
        !word.is_empty() && word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    words.iter().enumerate().any(|(at, word)| {
        ["part", "pt", "teil", "partie", "parte", "deel"].iter().any(|part| {
            word.strip_prefix(part).is_some_and(is_number)
                || word == part && words.get(at + 1).is_some_and(|next| is_number(next))
        })
    }) || words
        .windows(3)
        .any(|three| is_number(three[0]) && three[1] == "of" && is_number(three[2]))
}
