//! One `VEVENT`: what a rule here needs of it, and nothing else.

use std::{collections::BTreeSet, sync::Arc};

use calcard::icalendar::{
    ICalendar, ICalendarClassification, ICalendarComponent, ICalendarDuration, ICalendarEntry,
    ICalendarParameterName, ICalendarParameterValue, ICalendarParticipationRole,
    ICalendarParticipationStatus, ICalendarPeriod, ICalendarProperty, ICalendarRecurrenceRule,
    ICalendarStatus, ICalendarTransparency, ICalendarUserTypes, ICalendarValue,
};
use jiff::{SignedDuration, Timestamp, civil::DateTime};

use super::zone::{EventZone, ZoneTable, local_time};
use crate::text::{one_line, strip_to_line};

/// People of one event that are read: one more than may be named.
pub(super) const PEOPLE_READ_MAX: usize = 501;

/// Characters of a title.
const TITLE_MAX: usize = 200;

/// Exceptions of one series that are read: a daily meeting of ten years that never took place.
const EXCEPTIONS_MAX: usize = 4_000;

/// The longest time that a length may state.
const LENGTH_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Somebody or something that was invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invited {
    /// The name, as the calendar has it.
    pub(crate) name: Option<String>,
    /// The address, as the calendar has it.
    pub(crate) email: String,
    /// Its kind.
    pub(crate) kind: InvitedKind,
    /// True if the invitation was declined.
    pub(crate) has_declined: bool,
}

/// The kind of somebody or something that was invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvitedKind {
    /// A person.
    Person,
    /// A group, whose members are not known.
    Group,
    /// A room, a device, or somebody who is only informed.
    Other,
}

/// A mark of an event because of which it is no meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventMark {
    /// It is private or confidential.
    Private,
    /// It was cancelled.
    Cancelled,
    /// Its time is free.
    Transparent,
    /// It has days and no times.
    AllDay,
}

/// The facts of an event that all its occurrences share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventFacts {
    /// Its name in the calendar.
    pub(crate) uid: String,
    /// Its title, on one line.
    pub(crate) title: String,
    /// The people and things that were invited, the organiser first.
    pub(crate) people: Vec<Invited>,
    /// Its marks.
    pub(crate) marks: BTreeSet<EventMark>,
}

impl EventFacts {
    /// Returns whether it is marked so.
    pub(super) fn has_mark(&self, mark: EventMark) -> bool {
        self.marks.contains(&mark)
    }

    /// Returns the title for a list; a private one is not shown.
    pub(super) fn shown_title(&self) -> String {
        if self.has_mark(EventMark::Private) { "(private)".to_owned() } else { self.title.clone() }
    }
}

/// A time as the file has it.
#[derive(Debug, Clone)]
pub(super) struct EventTime {
    /// The local time.
    pub(super) local: DateTime,
    /// Its zone.
    pub(super) zone: EventZone,
    /// True if it is a day.
    pub(super) is_day: bool,
}

impl EventTime {
    /// Returns the moment.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.zone.to_moment(self.local)
    }
}

/// A `VEVENT` as it is read.
#[derive(Debug)]
pub(super) struct RawEvent {
    pub(super) facts: Arc<EventFacts>,
    pub(super) sequence: i64,
    pub(super) start: EventTime,
    pub(super) length: SignedDuration,
    pub(super) rule: Option<Box<ICalendarRecurrenceRule>>,
    pub(super) more_starts: Vec<EventTime>,
    pub(super) exceptions: Vec<EventTime>,
    /// The occurrence of a series that this one replaces.
    pub(super) replaces: Option<EventTime>,
}

/// The reason why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventFault {
    /// Nothing can be said of it.
    Malformed,
    /// Its zone is not known.
    UnknownZone {
        /// The title.
        title: String,
        /// The name of the zone.
        zone: String,
        /// The time, as if it were of UTC.
        about: Timestamp,
    },
}

impl RawEvent {
    /// Reads the text of one `VEVENT`.
    pub(super) fn parse(text: &str, zones: &ZoneTable) -> Result<Self, EventFault> {
        let parsed = ICalendar::parse(text).map_err(|_| EventFault::Malformed)?;
        let event = parsed.components.into_iter().next().ok_or(EventFault::Malformed)?;
        let mut facts = read_facts(&event);
        let start = event.property(&ICalendarProperty::Dtstart).ok_or(EventFault::Malformed)?;
        let start = read_time(start, zones).map_err(|fault| fault.with_title(&facts))?;
        let length = read_length(&event, &start, zones);
        if start.is_day {
            facts.marks.insert(EventMark::AllDay);
        }
        let replaces = match event.property(&ICalendarProperty::RecurrenceId) {
            Some(entry) => Some(read_time(entry, zones).map_err(|fault| fault.with_title(&facts))?),
            None => None,
        };
        let rule = event.property(&ICalendarProperty::Rrule).and_then(|entry| entry.values.first());
        let rule = match rule {
            Some(ICalendarValue::RecurrenceRule(rule)) => Some(rule.clone()),
            // A rule that cannot be read is no single event: which of its days are meant is not known.
            Some(_) => return Err(EventFault::Malformed),
            None => None,
        };
        let sequence = event.property(&ICalendarProperty::Sequence);
        let sequence = sequence.and_then(|entry| entry.values.first()?.as_integer()).unwrap_or(0);
        Ok(Self {
            more_starts: read_times(&event, &ICalendarProperty::Rdate, zones),
            exceptions: read_times(&event, &ICalendarProperty::Exdate, zones),
            facts: Arc::new(facts),
            sequence,
            start,
            length,
            rule,
            replaces,
        })
    }
}

impl EventFault {
    fn with_title(self, facts: &EventFacts) -> Self {
        match self {
            Self::UnknownZone { zone, about, .. } => {
                Self::UnknownZone { title: facts.shown_title(), zone, about }
            }
            Self::Malformed => Self::Malformed,
        }
    }
}

fn read_facts(event: &ICalendarComponent) -> EventFacts {
    let value = |property: &ICalendarProperty| event.property(property)?.values.first();
    let text = |property: &ICalendarProperty| value(property).and_then(ICalendarValue::as_text);
    EventFacts {
        uid: text(&ICalendarProperty::Uid).unwrap_or_default().to_owned(),
        title: one_line(
            &strip_to_line(text(&ICalendarProperty::Summary).unwrap_or_default()),
            TITLE_MAX,
        ),
        people: read_people(event),
        marks: read_marks(event),
    }
}

fn read_marks(event: &ICalendarComponent) -> BTreeSet<EventMark> {
    let value = |property: &ICalendarProperty| event.property(property)?.values.first();
    // What is not known is private, as the standard says (RFC 5545, 3.8.1.3).
    let is_private = value(&ICalendarProperty::Class).is_some_and(|class| {
        !matches!(class, ICalendarValue::Classification(ICalendarClassification::Public))
    });
    let is_cancelled = matches!(
        value(&ICalendarProperty::Status),
        Some(ICalendarValue::Status(ICalendarStatus::Cancelled))
    );
    let is_transparent = matches!(
        value(&ICalendarProperty::Transp),
        Some(ICalendarValue::Transparency(ICalendarTransparency::Transparent))
    );
    let is_all_day = event.entries.iter().any(|entry| {
        let is_mark = matches!(&entry.name, ICalendarProperty::Other(name)
            if name.eq_ignore_ascii_case("X-MICROSOFT-CDO-ALLDAYEVENT"));
        let text = entry.values.first().and_then(ICalendarValue::as_text);
        is_mark && text.is_some_and(|text| text.eq_ignore_ascii_case("TRUE"))
    });
    [
        (is_private, EventMark::Private),
        (is_cancelled, EventMark::Cancelled),
        (is_transparent, EventMark::Transparent),
        (is_all_day, EventMark::AllDay),
    ]
    .into_iter()
    .filter_map(|(is_so, mark)| is_so.then_some(mark))
    .collect()
}

/// Returns the organiser and those who were invited.
fn read_people(event: &ICalendarComponent) -> Vec<Invited> {
    let organizer = event.properties(&ICalendarProperty::Organizer).take(1);
    let attendees = event.properties(&ICalendarProperty::Attendee);
    let mut people: Vec<Invited> = Vec::new();
    // The organiser is often among the attendees, and there with an answer.
    let answers: Vec<Invited> = attendees.filter_map(read_invited).take(PEOPLE_READ_MAX).collect();
    people.extend(organizer.filter_map(read_invited).filter(|organizer| {
        !answers.iter().any(|person| person.email.eq_ignore_ascii_case(&organizer.email))
    }));
    people.extend(answers);
    people
}

fn read_invited(entry: &ICalendarEntry) -> Option<Invited> {
    let parameter = |name: &ICalendarParameterName| entry.parameter(name);
    let text =
        |name: &ICalendarParameterName| parameter(name).and_then(ICalendarParameterValue::as_text);
    // Some servers name an entry of a directory, and the address beside it.
    let address = text(&ICalendarParameterName::Email)
        .or_else(|| entry.values.first().and_then(ICalendarValue::as_text))?;
    let address = address.trim();
    let scheme = address.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    let email = scheme.map_or(address, |scheme| &address[scheme.len()..]);
    let kind = match (
        parameter(&ICalendarParameterName::Cutype),
        parameter(&ICalendarParameterName::Role),
    ) {
        (_, Some(ICalendarParameterValue::Role(ICalendarParticipationRole::NonParticipant))) => {
            InvitedKind::Other
        }
        (Some(ICalendarParameterValue::Cutype(kind)), _) => match kind {
            ICalendarUserTypes::Individual | ICalendarUserTypes::Unknown => InvitedKind::Person,
            ICalendarUserTypes::Group => InvitedKind::Group,
            ICalendarUserTypes::Resource | ICalendarUserTypes::Room => InvitedKind::Other,
        },
        (_, _) => InvitedKind::Person,
    };
    Some(Invited {
        name: text(&ICalendarParameterName::Cn).map(str::to_owned),
        email: email.to_owned(),
        kind,
        has_declined: matches!(
            parameter(&ICalendarParameterName::Partstat),
            Some(ICalendarParameterValue::Partstat(ICalendarParticipationStatus::Declined))
        ),
    })
}

/// Returns the first time of a property.
fn read_time(entry: &ICalendarEntry, zones: &ZoneTable) -> Result<EventTime, EventFault> {
    let value = entry.values.first().ok_or(EventFault::Malformed)?;
    value_time(value, entry.tz_id(), zones)
}

/// Returns the times of a list; those that make no sense are left out.
fn read_times(
    event: &ICalendarComponent,
    property: &ICalendarProperty,
    zones: &ZoneTable,
) -> Vec<EventTime> {
    let times = event.properties(property).flat_map(|entry| {
        entry.values.iter().filter_map(|value| value_time(value, entry.tz_id(), zones).ok())
    });
    times.take(EXCEPTIONS_MAX).collect()
}

fn value_time(
    value: &ICalendarValue,
    zone: Option<&str>,
    zones: &ZoneTable,
) -> Result<EventTime, EventFault> {
    let value = if let ICalendarValue::PartialDateTime(value) = value {
        value.as_ref()
    } else if let ICalendarValue::Period(
        ICalendarPeriod::Range { start, .. } | ICalendarPeriod::Duration { start, .. },
    ) = value
    {
        start
    } else {
        return Err(EventFault::Malformed);
    };
    let local = local_time(value).ok_or(EventFault::Malformed)?;
    if value.hour.is_none() {
        return Ok(EventTime { local, zone: zones.floating.clone(), is_day: true });
    }
    if let Some(hours) = value.tz_hour {
        // `Z`, and the offset that some programs write in its place.
        let minutes = i64::from(hours) * 60 + i64::from(value.tz_minute.unwrap_or(0));
        let east = if value.tz_minus { -minutes } else { minutes };
        let local = local
            .checked_sub(SignedDuration::from_mins(east))
            .map_err(|_| EventFault::Malformed)?;
        let zone = EventZone::Known(calcard::common::timezone::Tz::UTC);
        return Ok(EventTime { local, zone, is_day: false });
    }
    let zone = match zone {
        None => zones.floating.clone(),
        Some(name) => zones.find(name).ok_or_else(|| EventFault::UnknownZone {
            title: String::new(),
            zone: one_line(&strip_to_line(name), 80),
            about: jiff::tz::TimeZone::UTC.to_timestamp(local).unwrap_or_default(),
        })?,
    };
    Ok(EventTime { local, zone, is_day: false })
}

/// Returns how long an event is; zero where it does not say so, or ends before it begins.
fn read_length(event: &ICalendarComponent, start: &EventTime, zones: &ZoneTable) -> SignedDuration {
    let stated =
        event.property(&ICalendarProperty::Duration).and_then(|entry| entry.values.first());
    let length = match (event.property(&ICalendarProperty::Dtend), stated) {
        (Some(entry), _) => {
            let end = read_time(entry, zones).ok().and_then(|end| end.moment());
            end.zip(start.moment()).map(|(end, start)| end.duration_since(start))
        }
        (None, Some(ICalendarValue::Duration(stated))) => Some(duration(stated)),
        (None, _) if start.is_day => Some(SignedDuration::from_hours(24)),
        (None, _) => None,
    };
    length.unwrap_or_default().clamp(SignedDuration::ZERO, LENGTH_MAX)
}

fn duration(stated: &ICalendarDuration) -> SignedDuration {
    let days = i64::from(stated.weeks) * 7 + i64::from(stated.days);
    let seconds = days * 86_400
        + i64::from(stated.hours) * 3600
        + i64::from(stated.minutes) * 60
        + i64::from(stated.seconds);
    SignedDuration::from_secs(if stated.neg { 0 } else { seconds })
}
