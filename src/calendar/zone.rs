//! Time zones of events: by their IANA name, by the name that Windows gives them, or by their own rules.

use std::collections::HashMap;

use calcard::{
    common::{PartialDateTime, timezone::Tz},
    icalendar::{
        ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty,
        ICalendarRecurrenceRule, ICalendarValue, ICalendarWeekday,
    },
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Steps back, in hours, to the offset that was in force before a clock was set: clocks are set by up to two hours, and
/// islands have skipped a whole day.
const STEPS_BACK: [i64; 2] = [3, 27];

/// A time zone of an event.
#[derive(Debug, Clone)]
pub(super) enum EventZone {
    /// One that the database of zones knows.
    Known(Tz),
    /// The machine's own, or one that its calendar defines.
    Rules(TimeZone),
}

impl EventZone {
    /// Returns the moment of a local time. A time that the clocks skip counts as before they were set, and of one that they
    /// show twice the first is meant (RFC 5545, 3.3.5).
    pub(super) fn to_moment(&self, local: DateTime) -> Option<Timestamp> {
        match self {
            Self::Rules(zone) => zone.to_timestamp(local).ok(),
            Self::Known(zone) => {
                let seconds = naive_seconds(local)?;
                let exact = resolve(*zone, seconds);
                let found = exact.or_else(|| {
                    STEPS_BACK.iter().find_map(|hours| {
                        let before = seconds - hours * 3600;
                        resolve(*zone, before).map(|moment| moment + hours * 3600)
                    })
                })?;
                Timestamp::from_second(found).ok()
            }
        }
    }

    /// Returns the local time at a moment.
    pub(super) fn to_local(&self, moment: Timestamp) -> Option<DateTime> {
        match self {
            Self::Rules(zone) => Some(zone.to_datetime(moment)),
            Self::Known(zone) => {
                let utc = PartialDateTime::from_utc_timestamp(moment.as_second())
                    .to_date_time_with_tz(Tz::UTC)?;
                let seconds = utc.with_timezone(zone).naive_local().and_utc().timestamp();
                let naive = Timestamp::from_second(seconds).ok()?;
                Some(TimeZone::UTC.to_datetime(naive))
            }
        }
    }
}

/// Returns the seconds of a local time, as if it were of UTC.
pub(super) fn naive_seconds(local: DateTime) -> Option<i64> {
    // What lies outside is a mistake, and a year of more than four digits has no form here.
    (1800..=2500).contains(&local.year()).then_some(())?;
    Some(TimeZone::UTC.to_timestamp(local).ok()?.as_second())
}

/// Returns the moment of a local time that the clocks show once.
fn resolve(zone: Tz, naive: i64) -> Option<i64> {
    let local = PartialDateTime::from_naive_timestamp(naive).to_date_time_with_tz(zone)?;
    Some(local.timestamp())
}

/// The zones of a file.
#[derive(Debug)]
pub(super) struct ZoneTable {
    defined: HashMap<String, EventZone>,
    /// The zone of times that name none.
    pub(super) floating: EventZone,
}

impl ZoneTable {
    /// Returns a table in which times without a zone are the machine's.
    pub(super) fn new(machine: &TimeZone) -> Self {
        Self { defined: HashMap::new(), floating: EventZone::Rules(machine.clone()) }
    }

    /// Takes the zone that the calendar names for times without one.
    pub(super) fn set_floating(&mut self, name: &str) {
        if let Ok(zone) = name.parse::<Tz>() {
            self.floating = EventZone::Known(zone);
        }
    }

    /// Adds the zone that the text of a `VTIMEZONE` defines.
    pub(super) fn define(&mut self, text: &str) {
        let Ok(parsed) = ICalendar::parse(text) else { return };
        let Some(zone) = parsed.components.first() else { return };
        let name = zone.property(&ICalendarProperty::Tzid).and_then(|entry| entry.values.first());
        let Some(name) = name.and_then(ICalendarValue::as_text) else { return };
        let found = match zone.timezone() {
            Some((_, known)) => Some(EventZone::Known(known)),
            None => zone_of_rules(&parsed.components).map(EventZone::Rules),
        };
        if let Some(found) = found {
            self.defined.insert(name.to_owned(), found);
        }
    }

    /// Returns the zone of that name.
    pub(super) fn find(&self, name: &str) -> Option<EventZone> {
        // A name that is known means the same everywhere; what a calendar defines under it may be out of date.
        let known = name.parse::<Tz>().ok().or_else(|| find_after_registry(name));
        known.map(EventZone::Known).or_else(|| self.defined.get(name).cloned())
    }
}

/// Returns the zone of a name behind that of a registry, as in `/freeassociation.sourceforge.net/Europe/Berlin`.
fn find_after_registry(name: &str) -> Option<Tz> {
    let mut rest = name.strip_prefix('/')?;
    while let Some((_, after)) = rest.split_once('/') {
        rest = after;
        if let Ok(zone) = rest.parse() {
            return Some(zone);
        }
    }
    None
}

/// One half of a zone's year.
#[derive(Debug, Clone)]
struct ZoneHalf {
    begins: DateTime,
    offset_seconds: i32,
    /// The day on which it begins each year, as `M3.5.0/02:00:00`; `None` where it began once.
    yearly: Option<String>,
}

/// Returns the zone that the latest rules of a definition make.
fn zone_of_rules(components: &[ICalendarComponent]) -> Option<TimeZone> {
    let latest = |kind: &ICalendarComponentType| {
        let halves = components.iter().filter(|component| component.component_type == *kind);
        halves.filter_map(read_half).max_by_key(|half| (half.yearly.is_some(), half.begins))
    };
    let standard = latest(&ICalendarComponentType::Standard)?;
    let summer = latest(&ICalendarComponentType::Daylight);
    let posix = match (&standard.yearly, summer) {
        (Some(winter), Some(ZoneHalf { offset_seconds, yearly: Some(summer), .. }))
            if offset_seconds != standard.offset_seconds =>
        {
            format!(
                "<S>{}<D>{},{summer},{winter}",
                posix_offset(standard.offset_seconds),
                posix_offset(offset_seconds)
            )
        }
        (_, _) => format!("<S>{}", posix_offset(standard.offset_seconds)),
    };
    // A name of a zone has three letters at least.
    TimeZone::posix(&posix.replace("<S>", "<STD>").replace("<D>", "<DST>")).ok()
}

fn read_half(half: &ICalendarComponent) -> Option<ZoneHalf> {
    let value = |property: &ICalendarProperty| half.property(property)?.values.first();
    let begins = value(&ICalendarProperty::Dtstart)?.as_partial_date_time()?;
    let begins = local_time(begins)?;
    let offset = value(&ICalendarProperty::Tzoffsetto)?.as_partial_date_time()?;
    let seconds = i32::from(offset.tz_hour?) * 3600 + i32::from(offset.tz_minute.unwrap_or(0)) * 60;
    let yearly = match value(&ICalendarProperty::Rrule) {
        Some(ICalendarValue::RecurrenceRule(rule)) => yearly_day(rule, begins),
        Some(_) | None => None,
    };
    let offset_seconds = if offset.tz_minus { -seconds } else { seconds };
    (seconds <= 18 * 3600).then_some(ZoneHalf { begins, offset_seconds, yearly })
}

/// Returns the yearly day of a rule such as "the last Sunday of October", in POSIX form.
fn yearly_day(rule: &ICalendarRecurrenceRule, begins: DateTime) -> Option<String> {
    let ([month], [day]) = (rule.bymonth.as_slice(), rule.byday.as_slice()) else { return None };
    let week = match day.ordwk? {
        -1 => 5,
        week @ 1..=4 => week,
        _ => return None,
    };
    let weekday = match day.weekday {
        ICalendarWeekday::Sunday => 0,
        ICalendarWeekday::Monday => 1,
        ICalendarWeekday::Tuesday => 2,
        ICalendarWeekday::Wednesday => 3,
        ICalendarWeekday::Thursday => 4,
        ICalendarWeekday::Friday => 5,
        ICalendarWeekday::Saturday => 6,
    };
    Some(format!("M{}.{week}.{weekday}/{}", month.month(), begins.strftime("%H:%M:%S")))
}

/// Returns an offset in POSIX form, which counts west of Greenwich.
fn posix_offset(seconds: i32) -> String {
    let sign = if seconds > 0 { "-" } else { "" };
    let west = seconds.abs();
    format!("{sign}{:02}:{:02}:{:02}", west / 3600, west % 3600 / 60, west % 60)
}

/// Returns the local time of a value, without its zone. A leap second is the second before it.
pub(super) fn local_time(value: &PartialDateTime) -> Option<DateTime> {
    let small = |part: Option<u8>| i8::try_from(part.unwrap_or(0)).ok();
    let year = i16::try_from(value.year?).ok()?;
    let (month, day) = (small(value.month)?, small(value.day)?);
    let (hour, minute) = (small(value.hour)?, small(value.minute)?);
    DateTime::new(year, month, day, hour, minute, small(value.second)?.min(59), 0).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn table() -> ZoneTable {
        ZoneTable::new(&TimeZone::UTC)
    }

    fn moment(zone: &EventZone, local: DateTime) -> String {
        zone.to_moment(local).expect("a moment").to_string()
    }

    #[test]
    fn zones_are_found_by_the_names_that_vendors_give_them() {
        for (name, expected) in [
            ("Europe/Berlin", "2026-07-01T07:00:00Z"),
            ("W. Europe Standard Time", "2026-07-01T07:00:00Z"),
            ("Eastern Standard Time", "2026-07-01T13:00:00Z"),
            (
                "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
                "2026-07-01T07:00:00Z",
            ),
            ("/freeassociation.sourceforge.net/Europe/Berlin", "2026-07-01T07:00:00Z"),
            ("Etc/UTC", "2026-07-01T09:00:00Z"),
        ] {
            let zone = table().find(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(moment(&zone, datetime(2026, 7, 1, 9, 0, 0, 0)), expected, "{name}");
        }
        for name in ["", "Middle Earth", "Europe/../Berlin", "/etc/passwd"] {
            assert!(table().find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_skip_counts_as_before_and_of_one_that_comes_twice_the_first_is_meant()
    {
        let berlin = table().find("Europe/Berlin").expect("a zone");
        // From 02:00 to 03:00 on 29 March; from 03:00 back to 02:00 on 25 October.
        assert_eq!(moment(&berlin, datetime(2026, 3, 29, 2, 30, 0, 0)), "2026-03-29T01:30:00Z");
        assert_eq!(moment(&berlin, datetime(2026, 10, 25, 2, 30, 0, 0)), "2026-10-25T00:30:00Z");
        let apia = table().find("Pacific/Apia").expect("a zone");
        // This day did not exist there.
        assert!(apia.to_moment(datetime(2011, 12, 30, 12, 0, 0, 0)).is_some());
    }

    #[test]
    fn local_times_come_back() {
        for name in ["Europe/Berlin", "W. Europe Standard Time", "America/New_York", "Asia/Kolkata"]
        {
            let zone = table().find(name).expect("a zone");
            let local = datetime(2026, 7, 1, 9, 30, 0, 0);
            assert_eq!(
                zone.to_local(zone.to_moment(local).expect("a moment")),
                Some(local),
                "{name}"
            );
        }
    }

    const CUSTOM: &str = "BEGIN:VTIMEZONE\r\nTZID:Customized Time Zone\r\n\
        BEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n\
        RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n\
        BEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
        RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n";

    #[test]
    fn a_zone_of_no_known_name_has_the_rules_that_its_calendar_defines() {
        let mut zones = table();
        zones.define(CUSTOM);
        let zone = zones.find("Customized Time Zone").expect("defined");
        assert_eq!(moment(&zone, datetime(2026, 7, 1, 9, 0, 0, 0)), "2026-07-01T07:00:00Z");
        assert_eq!(moment(&zone, datetime(2026, 12, 1, 9, 0, 0, 0)), "2026-12-01T08:00:00Z");
        assert_eq!(moment(&zone, datetime(2026, 3, 29, 2, 30, 0, 0)), "2026-03-29T01:30:00Z");
        zones.define(
            "BEGIN:VTIMEZONE\r\nTZID:India\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\n\
             TZOFFSETFROM:+0530\r\nTZOFFSETTO:+0530\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n",
        );
        let india = zones.find("India").expect("defined");
        assert_eq!(moment(&india, datetime(2026, 7, 1, 9, 0, 0, 0)), "2026-07-01T03:30:00Z");
    }

    #[test]
    fn a_definition_that_makes_no_sense_defines_nothing() {
        let mut zones = table();
        for text in [
            "",
            "BEGIN:VTIMEZONE\r\nEND:VTIMEZONE\r\n",
            "BEGIN:VTIMEZONE\r\nTZID:x\r\nBEGIN:STANDARD\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n",
            "BEGIN:VTIMEZONE\r\nTZID:x\r\nBEGIN:STANDARD\r\nDTSTART:99991399T999999\r\nTZOFFSETTO:+9999\r\nEND:STANDARD\r\n",
        ] {
            zones.define(text);
            assert!(zones.find("x").is_none(), "{text}");
        }
    }
}
