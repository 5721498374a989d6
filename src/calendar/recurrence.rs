//! The starts of a series within a window, without walking through years before it.

use calcard::{
    common::{PartialDateTime, timezone::Tz},
    icalendar::{
        ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarEntry, ICalendarFrequency,
        ICalendarProperty, ICalendarRecurrenceRule, ICalendarValue,
    },
};
use jiff::{Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::{
    event::EventTime,
    zone::{EventZone, local_time, naive_seconds},
};

/// Occurrences of one series that are walked through: a daily meeting of fifty years has fewer.
const STARTS_MAX: usize = 20_000;

/// Times on one day that a series may have.
const TIMES_OF_DAY_MAX: usize = 24;

/// Steps of all series of one calendar that are walked through for one recording. The densest calendars of large
/// companies need some ten thousand; more than this many take a second.
const STEPS_MAX: usize = 1_000_000;

/// Steps of a rule that finds nothing, as the 30th of February: its reader gives up after so many.
const STEPS_OF_NOTHING: usize = 100_000;

/// The steps that are left for one recording.
#[derive(Debug)]
pub(super) struct StepBudget(usize);

impl StepBudget {
    pub(super) fn new() -> Self {
        Self(STEPS_MAX)
    }
}

/// The rule of a series is one that is not followed: it repeats too often, or costs too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepeatsTooOften;

/// Returns the local starts of a series from a day before `from` to a day after `to`.
pub(super) fn list_starts(
    start: &EventTime,
    rule: &ICalendarRecurrenceRule,
    from: DateTime,
    to: DateTime,
    budget: &mut StepBudget,
) -> Result<Vec<DateTime>, RepeatsTooOften> {
    refuse_dense(rule)?;
    let from = from.checked_sub(1.day()).unwrap_or(DateTime::MIN);
    let to = to.checked_add(1.day()).unwrap_or(DateTime::MAX);
    let last = last_start(start, rule).map_or(to, |last| last.min(to));
    if start.local > last || last < from {
        return Ok(Vec::new());
    }
    let is_searching = !(rule.bymonth.is_empty()
        && rule.bymonthday.is_empty()
        && rule.byyearday.is_empty()
        && rule.byweekno.is_empty()
        && rule.bysetpos.is_empty());
    if budget.0 < if is_searching { STEPS_OF_NOTHING } else { STARTS_MAX } {
        return Err(RepeatsTooOften);
    }
    let first = skip_ahead(start.local, rule, from);
    let bounded = if rule.count.is_some() { None } else { Some(last) };
    let starts = expand(first, rule, bounded);
    let steps = if starts.is_empty() && is_searching { STEPS_OF_NOTHING } else { starts.len() + 1 };
    budget.0 = budget.0.saturating_sub(steps);
    if starts.len() >= STARTS_MAX && starts.last().is_none_or(|last| *last < to) {
        return Err(RepeatsTooOften);
    }
    Ok(starts.into_iter().filter(|start| (from..=last).contains(start)).collect())
}

/// Refuses rules that are no meeting's: each hour or oftener.
fn refuse_dense(rule: &ICalendarRecurrenceRule) -> Result<(), RepeatsTooOften> {
    let times = [&rule.byhour, &rule.byminute, &rule.bysecond]
        .iter()
        .map(|times| times.len().max(1))
        .try_fold(1_usize, usize::checked_mul);
    let lists = rule.byday.len()
        + rule.bymonthday.len()
        + rule.byyearday.len()
        + rule.byweekno.len()
        + rule.bymonth.len()
        + rule.bysetpos.len();
    let is_dense = match rule.freq {
        ICalendarFrequency::Secondly
        | ICalendarFrequency::Minutely
        | ICalendarFrequency::Hourly => true,
        ICalendarFrequency::Daily
        | ICalendarFrequency::Weekly
        | ICalendarFrequency::Monthly
        | ICalendarFrequency::Yearly => false,
    };
    if is_dense || lists > 1_000 || times.is_none_or(|times| times > TIMES_OF_DAY_MAX) {
        return Err(RepeatsTooOften);
    }
    Ok(())
}

/// Returns the last start that `UNTIL` allows, in the zone of the series. It is inclusive; of a day it is the day's end.
fn last_start(start: &EventTime, rule: &ICalendarRecurrenceRule) -> Option<DateTime> {
    let until = rule.until.as_ref()?;
    let local = local_time(until)?;
    if until.hour.is_none() {
        return Some(local.date().at(23, 59, 59, 0));
    }
    if until.tz_hour.is_none() {
        return Some(local);
    }
    let moment = TimeZone::UTC.to_timestamp(local).ok()?;
    start.zone.to_local(moment)
}

/// Returns an equal beginning of a series nearer to `from`: days and weeks can be skipped by whole intervals, unless the
/// occurrences are counted.
fn skip_ahead(start: DateTime, rule: &ICalendarRecurrenceRule, from: DateTime) -> DateTime {
    let days = match rule.freq {
        ICalendarFrequency::Daily => 1,
        ICalendarFrequency::Weekly => 7,
        ICalendarFrequency::Monthly
        | ICalendarFrequency::Yearly
        | ICalendarFrequency::Hourly
        | ICalendarFrequency::Minutely
        | ICalendarFrequency::Secondly => return start,
    };
    let step = days * i64::from(rule.interval.unwrap_or(1).max(1));
    let Ok(gap) = from.date().since(start.date()) else { return start };
    let intervals = i64::from(gap.get_days()) / step - 1;
    if rule.count.is_some() || intervals <= 0 {
        return start;
    }
    start.checked_add((intervals * step).days()).unwrap_or(start)
}

/// Returns the starts of a rule, by the clock of its zone, up to `until` or [`STARTS_MAX`].
fn expand(
    start: DateTime,
    rule: &ICalendarRecurrenceRule,
    until: Option<DateTime>,
) -> Vec<DateTime> {
    let value =
        |local: DateTime| Some(PartialDateTime::from_naive_timestamp(naive_seconds(local)?));
    let Some(begin) = value(start) else { return Vec::new() };
    // `UNTIL` is inclusive to the second, and so is the reader's.
    let rule = ICalendarRecurrenceRule { until: until.and_then(value), ..rule.clone() };
    let event = ICalendarComponent {
        component_type: ICalendarComponentType::VEvent,
        entries: vec![
            ICalendarEntry::new(ICalendarProperty::Dtstart)
                .with_value(ICalendarValue::PartialDateTime(Box::new(begin))),
            ICalendarEntry::new(ICalendarProperty::Rrule)
                .with_value(ICalendarValue::RecurrenceRule(Box::new(rule))),
        ],
        component_ids: Vec::new(),
    };
    let expanded =
        ICalendar { components: vec![event] }.expand_dates(Tz::Floating, STARTS_MAX).events;
    let local = |seconds: i64| {
        Timestamp::from_second(seconds).ok().map(|naive| TimeZone::UTC.to_datetime(naive))
    };
    expanded
        .into_iter()
        .filter_map(|event| local(event.start.naive_local().and_utc().timestamp()))
        .collect()
}

/// Returns the local time of a moment where a series takes place.
pub(super) fn local_of(zone: &EventZone, moment: Timestamp) -> DateTime {
    zone.to_local(moment).unwrap_or_else(|| TimeZone::UTC.to_datetime(moment))
}
