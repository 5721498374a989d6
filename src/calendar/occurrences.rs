//! The events of a calendar that take place within a window of time, series included.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{
    event::{EventFacts, EventFault, RawEvent},
    lines::{CalendarBlock, CalendarBlocks},
    recurrence::{StepBudget, list_starts, local_of},
    zone::{ZoneTable, naive_seconds},
};

/// Events that cannot be read and are named.
const UNREADABLE_MAX: usize = 20;

/// The offsets of the world's zones lie within so much of UTC.
const ZONES_SPAN: SignedDuration = SignedDuration::from_hours(15);

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeWindow {
    /// The first moment.
    pub(crate) from: Timestamp,
    /// The last moment.
    pub(crate) to: Timestamp,
}

impl TimeWindow {
    /// Returns whether something from `start` to `end` lies in it or reaches into it.
    fn meets(self, start: Timestamp, end: Timestamp) -> bool {
        start <= self.to && end >= self.from
    }

    fn widened(self, by: SignedDuration) -> Self {
        let from = self.from.checked_sub(by).unwrap_or(Timestamp::MIN);
        let to = self.to.checked_add(by).unwrap_or(Timestamp::MAX);
        Self { from, to }
    }
}

/// An event at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The start.
    pub(crate) start: Timestamp,
    /// The end.
    pub(crate) end: Timestamp,
    /// The facts.
    pub(crate) facts: Arc<EventFacts>,
}

/// An event that cannot be read, and near to which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadableEvent {
    /// Its title.
    pub(crate) title: String,
    /// The reason.
    pub(crate) reason: UnreadableReason,
}

/// The reason why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnreadableReason {
    /// Its time zone is not known: the name.
    UnknownZone(String),
    /// Its rule repeats too often to be followed.
    RepeatsTooOften,
}

/// The part of a calendar that is near a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CalendarExcerpt {
    /// The events in the window, by their start.
    pub(crate) occurrences: Vec<Occurrence>,
    /// The events that may be in it but cannot be read.
    pub(crate) unreadable: Vec<UnreadableEvent>,
    /// The address of the person whose calendar it is, where it says so.
    pub(crate) owner: Option<String>,
    /// The number of events in the file, a series being one.
    pub(crate) events: usize,
    /// The number of those to which at least two people are invited.
    pub(crate) meetings: usize,
}

/// Returns the events of the files of a calendar that take place in a window. `machine` is the zone of times that name
/// none.
#[must_use]
pub(crate) fn list_occurrences(
    files: &[impl AsRef<[u8]>],
    window: TimeWindow,
    machine: &TimeZone,
) -> CalendarExcerpt {
    let mut reading = CalendarReading::new(window);
    for file in files {
        reading.read_file(file.as_ref(), machine);
    }
    reading.finish()
}

/// Returns whether bytes look like an iCalendar file.
#[must_use]
pub(crate) fn is_calendar(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    text.get(..15).is_some_and(|head| head.eq_ignore_ascii_case(b"BEGIN:VCALENDAR"))
}

/// The name of one occurrence: that of its event and the start that its series gives it.
type OccurrenceName = (String, Timestamp);

/// A calendar that is being read.
struct CalendarReading {
    window: TimeWindow,
    excerpt: CalendarExcerpt,
    budget: StepBudget,
    series: Vec<RawEvent>,
    /// Events that take place once, by their name: the latest version of each, with its facts where it lies in the window.
    single: HashMap<String, (i64, Option<Occurrence>)>,
    unnamed: Vec<Occurrence>,
    /// Occurrences that replace one of a series, with the version of each.
    replaced: HashMap<OccurrenceName, (i64, Option<Occurrence>)>,
    /// Days of a series of which the occurrence is replaced, where the file names only the day.
    replaced_days: HashSet<(String, Date)>,
}

impl CalendarReading {
    fn new(window: TimeWindow) -> Self {
        Self {
            window,
            excerpt: CalendarExcerpt::default(),
            budget: StepBudget::new(),
            series: Vec::new(),
            single: HashMap::new(),
            unnamed: Vec::new(),
            replaced: HashMap::new(),
            replaced_days: HashSet::new(),
        }
    }

    fn read_file(&mut self, bytes: &[u8], machine: &TimeZone) {
        let mut zones = ZoneTable::new(machine);
        for block in CalendarBlocks::new(bytes) {
            match block {
                CalendarBlock::Zone(text) => zones.define(&text),
                CalendarBlock::Property(name, value) if name == "X-WR-TIMEZONE" => {
                    zones.set_floating(&value);
                }
                // Google calls a person's own calendar by the address.
                CalendarBlock::Property(name, value)
                    if name == "X-WR-CALNAME" && value.contains('@') =>
                {
                    self.excerpt.owner = Some(value);
                }
                CalendarBlock::Property(..) | CalendarBlock::Event(_) => {}
            }
        }
        for block in CalendarBlocks::new(bytes) {
            match block {
                CalendarBlock::Event(text) => self.read_event(&text, &zones),
                CalendarBlock::Zone(_) | CalendarBlock::Property(..) => {}
            }
        }
    }

    fn read_event(&mut self, text: &str, zones: &ZoneTable) {
        self.excerpt.events += 1;
        let event = match RawEvent::parse(text, zones) {
            Ok(event) => event,
            Err(EventFault::Malformed) => return,
            Err(EventFault::UnknownZone { title, zone, about }) => {
                if self.window.widened(ZONES_SPAN).meets(about, about) {
                    self.note_unreadable(title, UnreadableReason::UnknownZone(zone));
                }
                return;
            }
        };
        self.excerpt.meetings += usize::from(event.facts.people.len() >= 2);
        if event.replaces.is_some() {
            self.read_replacement(&event);
        } else if event.rule.is_some() || !event.more_starts.is_empty() {
            self.series.push(event);
        } else if let Some(occurrence) =
            event.start.moment().and_then(|start| occurrence_at(&event, start))
        {
            self.read_single(event.sequence, occurrence);
        }
    }

    fn read_single(&mut self, sequence: i64, occurrence: Occurrence) {
        let uid = occurrence.facts.uid.clone();
        if uid.is_empty() {
            if self.window.meets(occurrence.start, occurrence.end) {
                self.unnamed.push(occurrence);
            }
            return;
        }
        // An older version may lie in the window from which the newer one was moved away.
        match self.single.get(&uid) {
            Some((known, _)) if *known > sequence => {}
            Some(_) | None => {
                let near = self.keep_near(occurrence);
                self.single.insert(uid, (sequence, near));
            }
        }
    }

    fn keep_near(&self, occurrence: Occurrence) -> Option<Occurrence> {
        Some(occurrence).filter(|found| self.window.meets(found.start, found.end))
    }

    fn read_replacement(&mut self, event: &RawEvent) {
        let Some(named) = &event.replaces else { return };
        let Some(at) = named.moment() else { return };
        let Some(start) = event.start.moment() else { return };
        let Some(occurrence) = occurrence_at(event, start) else { return };
        let uid = event.facts.uid.clone();
        if named.is_day {
            self.replaced_days.insert((uid.clone(), named.local.date()));
        }
        match self.replaced.get(&(uid.clone(), at)) {
            Some((known, _)) if *known > event.sequence => {}
            Some(_) | None => {
                let near = self.keep_near(occurrence);
                self.replaced.insert((uid, at), (event.sequence, near));
            }
        }
    }

    fn finish(mut self) -> CalendarExcerpt {
        let mut latest: HashMap<String, i64> = HashMap::new();
        for event in &self.series {
            let known = latest.entry(event.facts.uid.clone()).or_insert(event.sequence);
            *known = (*known).max(event.sequence);
        }
        let mut found = std::mem::take(&mut self.unnamed);
        for event in std::mem::take(&mut self.series) {
            if event.facts.uid.is_empty() || latest.get(&event.facts.uid) == Some(&event.sequence) {
                found.extend(self.expand_series(&event));
            }
        }
        found.extend(self.replaced.into_values().filter_map(|(_, occurrence)| occurrence));
        found.extend(self.single.into_values().filter_map(|(_, occurrence)| occurrence));
        found.sort_by(|one, other| {
            (one.start, one.end, &one.facts.uid, &one.facts.title).cmp(&(
                other.start,
                other.end,
                &other.facts.uid,
                &other.facts.title,
            ))
        });
        // A directory may hold the same event twice.
        found.dedup_by(|one, other| {
            one.start == other.start
                && !one.facts.uid.is_empty()
                && one.facts.uid == other.facts.uid
        });
        CalendarExcerpt { occurrences: found, ..self.excerpt }
    }

    /// Returns the occurrences of a series in the window, but for those that were taken out or replaced.
    fn expand_series(&mut self, event: &RawEvent) -> Vec<Occurrence> {
        let uid = &event.facts.uid;
        let zone = &event.start.zone;
        let earliest = self.window.from.checked_sub(event.length).unwrap_or(Timestamp::MIN);
        let (from, to) = (local_of(zone, earliest), local_of(zone, self.window.to));
        let starts = match &event.rule {
            Some(rule) => list_starts(&event.start, rule, from, to, &mut self.budget),
            None => Ok(vec![event.start.local]),
        };
        let Ok(starts) = starts else {
            let title = event.facts.shown_title();
            self.note_unreadable(title, UnreadableReason::RepeatsTooOften);
            return Vec::new();
        };
        let exceptions: HashSet<Timestamp> = event
            .exceptions
            .iter()
            .filter(|time| !time.is_day)
            .filter_map(super::event::EventTime::moment)
            .collect();
        let days: HashSet<Date> = event
            .exceptions
            .iter()
            .filter(|time| time.is_day)
            .map(|time| time.local.date())
            .collect();
        let by_rule = starts.into_iter().filter_map(|local| Some((local, zone.to_moment(local)?)));
        let by_list = event.more_starts.iter().filter_map(|time| {
            let moment = time.moment()?;
            Some((local_of(zone, moment), moment))
        });
        let mut seen = HashSet::new();
        by_rule
            .chain(by_list)
            .filter(|(local, moment)| {
                let is_replaced = self.replaced.contains_key(&(uid.clone(), *moment))
                    || self.replaced_days.contains(&(uid.clone(), local.date()));
                let is_taken_out = exceptions.contains(moment) || days.contains(&local.date());
                naive_seconds(*local).is_some()
                    && !is_replaced
                    && !is_taken_out
                    && seen.insert(*moment)
            })
            .filter_map(|(_, start)| occurrence_at(event, start))
            .filter(|occurrence| self.window.meets(occurrence.start, occurrence.end))
            .collect()
    }

    fn note_unreadable(&mut self, title: String, reason: UnreadableReason) {
        if self.excerpt.unreadable.len() < UNREADABLE_MAX {
            self.excerpt.unreadable.push(UnreadableEvent { title, reason });
        }
    }
}

fn occurrence_at(event: &RawEvent, start: Timestamp) -> Option<Occurrence> {
    let end = start.checked_add(event.length).ok()?;
    Some(Occurrence { start, end, facts: Arc::clone(&event.facts) })
}
