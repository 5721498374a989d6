//! Calendars as vendors write them, and as nobody should.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;

use super::{
    matching::{DropReason, EventChoice, RecordedFile, RecordingSpan, choose_event, is_split_part},
    occurrences::{CalendarExcerpt, TimeWindow, is_calendar, list_occurrences},
};
use crate::job::{CalendarAnswer, NoEventReason};

const GOOGLE: &[u8] = include_bytes!("../../fuzz/seeds/calendars/google.ics");
const EXCHANGE: &[u8] = include_bytes!("../../fuzz/seeds/calendars/exchange.ics");
const NEXTCLOUD: &[u8] = include_bytes!("../../fuzz/seeds/calendars/nextcloud.ics");
const APPLE: &[u8] = include_bytes!("../../fuzz/seeds/calendars/apple.ics");

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn window(from: &str, to: &str) -> TimeWindow {
    TimeWindow { from: at(from), to: at(to) }
}

fn excerpt(bytes: &[u8], from: &str, to: &str) -> CalendarExcerpt {
    list_occurrences(&[bytes], window(from, to), &TimeZone::UTC)
}

/// The starts and titles of a calendar's events.
fn shown(bytes: &[u8], from: &str, to: &str) -> String {
    let lines = excerpt(bytes, from, to).occurrences;
    let line = |found: &super::occurrences::Occurrence| {
        format!("{}/{} {}", found.start, found.end.strftime("%H:%M"), found.facts.title)
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A calendar of one event with two people; `lines` are the others of it.
fn event(lines: &str) -> String {
    let body = lines.trim().replace('\n', "\r\n");
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n{body}\r\nORGANIZER:mailto:ann@example.com\r\n\
         ATTENDEE:mailto:bo@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

fn starts(lines: &str, from: &str, to: &str) -> Vec<String> {
    let text = event(lines);
    let found = excerpt(text.as_bytes(), from, to).occurrences;
    found.iter().map(|found| found.start.to_string()).collect()
}

fn recording(start: &str, minutes: i64) -> RecordingSpan {
    RecordingSpan {
        start: at(start),
        length: Some(SignedDuration::from_mins(minutes)),
        is_certain: true,
        name: "talk".into(),
    }
}

fn choose(bytes: &[u8], recording: &RecordingSpan) -> EventChoice {
    choose_event(recording, &list_occurrences(&[bytes], recording.window(), &TimeZone::UTC), &[])
}

fn title_of(choice: &EventChoice) -> Result<&str, NoEventReason> {
    match &choice.answer {
        CalendarAnswer::Taken { event } => Ok(&event.title),
        CalendarAnswer::None { reason } => Err(*reason),
        CalendarAnswer::Unreadable { error } => panic!("{error}"),
    }
}

fn people_of(choice: &EventChoice) -> Vec<String> {
    match &choice.answer {
        CalendarAnswer::Taken { event } => {
            let people = event.attendees.iter();
            people.map(|person| format!("{} <{}>", person.name, person.email)).collect()
        }
        CalendarAnswer::None { reason } => panic!("{reason:?}"),
        CalendarAnswer::Unreadable { error } => panic!("{error}"),
    }
}

#[test]
fn a_calendar_of_google_has_its_series_with_what_was_taken_out_and_moved() {
    insta::assert_snapshot!(shown(GOOGLE, "2026-10-19T00:00:00Z", "2026-12-31T00:00:00Z"), @r"
    2026-10-19T08:00:00Z/08:30 Weekly sales
    2026-10-26T09:00:00Z/09:30 Weekly sales
    2026-11-02T09:00:00Z/09:30 Weekly sales
    2026-11-16T09:00:00Z/09:30 Weekly sales
    2026-11-24T13:00:00Z/14:00 Weekly sales (moved)
    2026-11-29T23:00:00Z/23:00 Ann is on leave
    2026-11-30T09:00:00Z/09:30 Weekly sales
    2026-12-07T09:00:00Z/09:30 Weekly sales
    2026-12-14T09:00:00Z/09:30 Weekly sales
    2026-12-21T09:00:00Z/09:30 Weekly sales
    2026-12-28T09:00:00Z/09:30 Weekly sales
    ");
    let choice = choose(GOOGLE, &recording("2026-11-30T09:02:00Z", 27));
    assert_eq!(title_of(&choice), Ok("Weekly sales"));
    assert_eq!(
        people_of(&choice),
        ["Ann Lee <ann@example.com>", "bo@example.com <bo@example.com>"],
        "the room is no person"
    );
}

#[test]
fn a_calendar_of_exchange_has_windows_zones_lists_of_exceptions_and_replacements_named_in_utc() {
    insta::assert_snapshot!(shown(EXCHANGE, "2026-10-01T00:00:00Z", "2026-12-31T00:00:00Z"), @r"
    2026-10-05T07:00:00Z/08:00 Board
    2026-10-12T07:00:00Z/08:00 Board
    2026-11-02T08:00:00Z/09:00 Board
    2026-11-09T14:00:00Z/16:00 Board: budget
    2026-11-16T08:00:00Z/09:00 Board
    2026-11-23T08:00:00Z/09:00 Board
    2026-11-29T23:00:00Z/23:00 Conference
    2026-11-30T08:00:00Z/09:00 Board
    ");
    let choice = choose(EXCHANGE, &recording("2026-11-30T08:00:00Z", 55));
    assert_eq!(title_of(&choice), Ok("Board"), "until is inclusive");
    assert_eq!(
        people_of(&choice),
        ["Ann Lee <Ann@example.com>", "Stone, Bo <bo@example.com>"],
        "without who declined and without the room"
    );
    assert_eq!(
        choice.dropped.iter().map(|event| (&*event.title, event.reason)).collect::<Vec<_>>(),
        [("(private)", DropReason::Private)]
    );
}

#[test]
fn a_calendar_of_nextcloud_defines_its_zones_last_and_escapes_its_titles() {
    let choice = choose(NEXTCLOUD, &recording("2026-11-30T10:01:00Z", 44));
    assert_eq!(title_of(&choice), Ok("Plan, review; and next steps"));
    assert_eq!(
        people_of(&choice),
        ["Ann Lee <ann@example.com>", "Bo Stone <bo@example.com>"],
        "a group is not named"
    );
    assert_eq!(choice.dropped.len(), 1);
    assert_eq!(choice.dropped[0].reason, DropReason::Cancelled);
}

#[test]
fn a_calendar_of_apple_names_people_by_their_address_beside_a_directory_entry() {
    insta::assert_snapshot!(shown(APPLE, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), @r"
    2026-11-02T14:15:00Z/14:30 Stand-up
    2026-11-03T14:15:00Z/14:30 Stand-up
    2026-11-04T12:00:00Z/12:15 Stand-up, floating
    2026-11-05T14:15:00Z/14:30 Stand-up
    2026-11-06T14:15:00Z/14:30 Stand-up
    ");
    let choice = choose(APPLE, &recording("2026-11-05T14:15:00Z", 14));
    assert_eq!(people_of(&choice), ["Ann Lee <ann@example.com>", "Bo Stone <bo@example.com>"]);
}

#[test]
fn an_exception_in_another_zone_takes_out_the_same_moment() {
    let series =
        "DTSTART;TZID=America/New_York:20261102T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4\n";
    for exception in [
        "EXDATE;TZID=Europe/Berlin:20261103T150000",
        "EXDATE:20261103T140000Z",
        "EXDATE;VALUE=DATE:20261103",
        "EXDATE;TZID=Eastern Standard Time:20261103T090000",
    ] {
        let found =
            starts(&format!("{series}{exception}"), "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z");
        assert_eq!(
            found,
            ["2026-11-02T14:00:00Z", "2026-11-04T14:00:00Z", "2026-11-05T14:00:00Z"],
            "{exception}"
        );
    }
}

#[test]
fn until_is_inclusive_in_utc_in_local_time_and_as_a_day() {
    let series = "DTSTART;TZID=Europe/Berlin:20261102T090000\nDURATION:PT1H\n";
    for (until, count) in [
        ("20261104T080000Z", 3),
        ("20261104T075959Z", 2),
        ("20261104T090000", 3),
        ("20261104", 3),
        ("20261103", 2),
        // In the zone of the series it is still the fourth.
        ("20261104T225959Z", 3),
    ] {
        let found = starts(
            &format!("{series}RRULE:FREQ=DAILY;UNTIL={until}"),
            "2026-11-01T00:00:00Z",
            "2026-11-30T00:00:00Z",
        );
        assert_eq!(found.len(), count, "{until} {found:?}");
    }
}

#[test]
fn a_series_keeps_its_local_time_when_the_clocks_are_set() {
    let series = "DTSTART;TZID=Europe/Berlin:20260301T023000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY";
    assert_eq!(
        starts(series, "2026-03-22T00:00:00Z", "2026-04-06T00:00:00Z"),
        ["2026-03-22T01:30:00Z", "2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z"],
        "at half past two on the day that has no such time"
    );
    assert_eq!(
        starts(series, "2026-10-18T00:00:00Z", "2026-11-02T00:00:00Z"),
        ["2026-10-18T00:30:00Z", "2026-10-25T00:30:00Z", "2026-11-01T01:30:00Z"],
        "the first of the two on the day that has it twice"
    );
}

#[test]
fn a_floating_time_is_of_the_zone_that_its_calendar_names_else_of_this_machine() {
    let single = "DTSTART:20261130T100000\nDTEND:20261130T110000";
    let berlin = event(single).replace("VERSION:2.0", "X-WR-TIMEZONE:Europe/Berlin");
    let found = excerpt(berlin.as_bytes(), "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z");
    assert_eq!(found.occurrences[0].start, at("2026-11-30T09:00:00Z"));
    let machine = TimeZone::fixed(jiff::tz::offset(5));
    let found = list_occurrences(
        &[event(single)],
        window("2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
        &machine,
    );
    assert_eq!(found.occurrences[0].start, at("2026-11-30T05:00:00Z"));
}

#[test]
fn an_occurrence_that_was_moved_out_of_the_window_is_gone_and_one_that_was_moved_in_is_there() {
    let text = event(
        "DTSTART:20261102T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nSUMMARY:Daily\n\
         END:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20261104T090000Z\nDTSTART:20261110T170000Z\nDURATION:PT1H\n\
         SUMMARY:Moved",
    );
    let found = |from: &str, to: &str| shown(text.as_bytes(), from, to);
    assert_eq!(found("2026-11-04T08:00:00Z", "2026-11-04T18:00:00Z"), "");
    assert_eq!(
        found("2026-11-10T16:00:00Z", "2026-11-10T18:00:00Z"),
        "2026-11-10T17:00:00Z/18:00 Moved"
    );
    // Another series has an occurrence at the same moment: it is another event.
    let other = text.replace("UID:1\r\nRECURRENCE", "UID:2\r\nRECURRENCE");
    assert_eq!(
        shown(other.as_bytes(), "2026-11-04T08:00:00Z", "2026-11-04T18:00:00Z"),
        "2026-11-04T09:00:00Z/10:00 Daily"
    );
}

#[test]
fn the_latest_version_of_an_event_counts_wherever_it_stands_in_the_file() {
    let version = |sequence: u32, start: &str| {
        event(&format!("SEQUENCE:{sequence}\nSUMMARY:{sequence}\nDTSTART:{start}\nDURATION:PT1H"))
    };
    let (old, new) = (version(1, "20261130T090000Z"), version(2, "20261130T150000Z"));
    for files in [[&old, &new], [&new, &old]] {
        let files: Vec<&[u8]> = files.iter().map(|file| file.as_bytes()).collect();
        let found = list_occurrences(
            &files,
            window("2026-11-30T08:00:00Z", "2026-11-30T11:00:00Z"),
            &TimeZone::UTC,
        );
        assert_eq!(found.occurrences.len(), 0, "it was moved to the afternoon");
        let found = list_occurrences(
            &files,
            window("2026-11-30T14:00:00Z", "2026-11-30T17:00:00Z"),
            &TimeZone::UTC,
        );
        assert_eq!(found.occurrences[0].facts.title, "2");
    }
}

#[test]
fn one_occurrence_that_was_cancelled_is_not_considered() {
    let text = event(
        "DTSTART:20261102T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nSUMMARY:Daily\nORGANIZER:mailto:ann@example.com\n\
         ATTENDEE:mailto:bo@example.com\nEND:VEVENT\nBEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20261104T090000Z\n\
         DTSTART:20261104T090000Z\nDURATION:PT1H\nSTATUS:CANCELLED",
    );
    let choice = choose(text.as_bytes(), &recording("2026-11-04T09:00:00Z", 60));
    assert_eq!(title_of(&choice), Err(NoEventReason::NothingNear));
    assert_eq!(choice.dropped[0].reason, DropReason::Cancelled);
    assert_eq!(
        title_of(&choose(text.as_bytes(), &recording("2026-11-05T09:00:00Z", 60))),
        Ok("Daily")
    );
}

#[test]
fn an_event_in_a_zone_that_nobody_knows_is_named_and_never_taken() {
    let text = event("DTSTART;TZID=Middle Earth:20261130T090000\nDURATION:PT1H\nSUMMARY:Council");
    let found = excerpt(text.as_bytes(), "2026-11-30T12:00:00Z", "2026-11-30T13:00:00Z");
    assert_eq!(found.occurrences, []);
    assert_eq!(found.unreadable[0].title, "Council");
    let far = excerpt(text.as_bytes(), "2026-12-30T12:00:00Z", "2026-12-30T13:00:00Z");
    assert_eq!(far.unreadable, []);
}

#[test]
fn a_series_that_repeats_too_often_or_never_is_not_followed() {
    for rule in [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=HOURLY;INTERVAL=2",
        "FREQ=DAILY;BYHOUR=0,1,2,3,4;BYMINUTE=0,10,20,30,40,50",
        "FREQ=DAILY;COUNT=4294967295;INTERVAL=1",
    ] {
        let text =
            event(&format!("DTSTART:19500102T090000Z\nDURATION:PT1H\nRRULE:{rule}\nSUMMARY:Often"));
        let found = excerpt(text.as_bytes(), "2026-11-30T09:00:00Z", "2026-11-30T10:00:00Z");
        assert_eq!((found.occurrences.len(), found.unreadable.len()), (0, 1), "{rule}");
    }
    for rule in
        ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31;INTERVAL=65535"]
    {
        let found = starts(
            &format!("DTSTART:20200102T090000Z\nDURATION:PT1H\nRRULE:{rule}"),
            "2026-11-30T09:00:00Z",
            "2026-11-30T10:00:00Z",
        );
        assert_eq!(found, Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn a_series_that_began_long_ago_is_followed_at_once() {
    for (rule, is_found) in [
        ("FREQ=DAILY", true),
        ("FREQ=DAILY;INTERVAL=2", true),
        ("FREQ=DAILY;INTERVAL=7", true),
        ("FREQ=WEEKLY;BYDAY=MO,WE", true),
        ("FREQ=WEEKLY;INTERVAL=2", true),
        ("FREQ=MONTHLY;BYDAY=-1MO", true),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", false),
        ("FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=30", true),
        ("FREQ=DAILY;COUNT=5", false),
    ] {
        // Both are Mondays, an even number of weeks apart.
        let found = starts(
            &format!("DTSTART:20100104T090000Z\nDURATION:PT1H\nRRULE:{rule}"),
            "2026-11-30T09:00:00Z",
            "2026-11-30T10:00:00Z",
        );
        assert_eq!(found.len(), usize::from(is_found), "{rule} {found:?}");
    }
}

#[test]
fn a_hostile_calendar_is_bounded_in_time_and_memory() {
    let series = "BEGIN:VEVENT\nUID:{}\nDTSTART:20000101T090000Z\nDURATION:PT1H\n\
        RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\nEND:VEVENT\n";
    let never: String =
        (0..2_000).map(|number| series.replace("{}", &number.to_string())).collect();
    let single =
        "BEGIN:VEVENT\nUID:{}\nDTSTART:20261130T090000Z\nDTEND:20261130T100000Z\nEND:VEVENT\n";
    let many: String =
        (0..100_000).map(|number| single.replace("{}", &number.to_string())).collect();
    let nested = "BEGIN:VEVENT\nBEGIN:VTIMEZONE\n".repeat(200_000);
    let exceptions = format!(
        "BEGIN:VEVENT\nUID:1\nDTSTART:20000101T090000Z\nRRULE:FREQ=DAILY\n{}END:VEVENT\n",
        "EXDATE:20261130T090000Z\n".repeat(100_000)
    );
    let line = format!("BEGIN:VEVENT\nSUMMARY:{}\n", "x".repeat(7 << 20));
    for (name, text) in [
        ("never", never),
        ("many", many),
        ("nested", nested),
        ("exceptions", exceptions),
        ("line", line),
    ] {
        let found = excerpt(text.as_bytes(), "2026-11-30T09:00:00Z", "2026-11-30T10:00:00Z");
        let choice = choose_event(&recording("2026-11-30T09:00:00Z", 60), &found, &[]);
        assert!(title_of(&choice).is_err(), "{name}");
        assert!(choice.candidates.len() <= 5, "{name}");
    }
}

#[test]
fn a_title_from_outside_is_one_line_that_can_be_shown() {
    for (title, expected) in [
        (r"Sales\r\n\n# Heading\nBcc: eve@example.com", "Sales # Heading Bcc: eve@example.com"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("\u{202e}gnp.exe \u{200b}x", r"gnp.exe \u{200b}x"),
        ("bell \u{7} and \u{1b}[31mred", "bell and [31mred"),
        ("[a](javascript:alert(1)) `x` **y**", "[a](javascript:alert(1)) `x` **y**"),
    ] {
        let text = event(&format!("DTSTART:20261130T090000Z\nDURATION:PT1H\nSUMMARY:{title}"));
        let choice = choose(text.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
        let found = title_of(&choice).expect("taken");
        assert_eq!(found, expected, "{title:?}");
        assert!(!found.contains(char::is_control));
    }
    let long =
        event(&format!("DTSTART:20261130T090000Z\nDURATION:PT1H\nSUMMARY:{}", "x".repeat(9_000)));
    let choice = choose(long.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
    assert!(title_of(&choice).expect("taken").chars().count() <= 200);
}

#[test]
fn addresses_that_are_none_name_nobody_and_ten_thousand_people_are_no_meeting() {
    let people = "ATTENDEE:mailto:\nATTENDEE:mailto:not an address\nATTENDEE:urn:uuid:1\nATTENDEE:tel:+15550100\n\
        ATTENDEE:mailto:eve@example.com%0d%0aBcc:x@example.com\nATTENDEE;CN=\"A\u{202e}B\":mailto:cy@example.com";
    let text = event(&format!("DTSTART:20261130T090000Z\nDURATION:PT1H\nSUMMARY:x\n{people}"));
    let choice = choose(text.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
    assert_eq!(
        people_of(&choice),
        [
            "ann@example.com <ann@example.com>",
            "cy@example.com <cy@example.com>",
            "bo@example.com <bo@example.com>"
        ]
    );
    let crowd: String = (0..10_000)
        .flat_map(|number| ["ATTENDEE:mailto:".to_owned(), format!("p{number}@example.com\n")])
        .collect();
    let text = event(&format!("DTSTART:20261130T090000Z\nDURATION:PT1H\nSUMMARY:x\n{crowd}"));
    let choice = choose(text.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
    assert_eq!(choice.dropped[0].reason, DropReason::TooManyPeople);
}

#[test]
fn events_that_are_no_meetings_are_not_considered() {
    for (lines, reason) in [
        ("STATUS:CANCELLED\nDURATION:PT1H", DropReason::Cancelled),
        ("CLASS:PRIVATE\nDURATION:PT1H", DropReason::Private),
        ("CLASS:CONFIDENTIAL\nDURATION:PT1H", DropReason::Private),
        ("CLASS:X-SECRET\nDURATION:PT1H", DropReason::Private),
        ("TRANSP:TRANSPARENT\nDURATION:PT1H", DropReason::Transparent),
        ("X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDURATION:PT1H", DropReason::AllDay),
        ("DTEND:20261130T090000Z", DropReason::ZeroLength),
        ("", DropReason::ZeroLength),
        ("DTEND:20261130T080000Z", DropReason::ZeroLength),
    ] {
        let text = event(&format!("SUMMARY:x\nDTSTART:20261130T090000Z\n{lines}"));
        let choice = choose(text.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
        assert_eq!(
            choice.dropped.iter().map(|event| event.reason).collect::<Vec<_>>(),
            [reason],
            "{lines}"
        );
        assert_eq!(title_of(&choice), Err(NoEventReason::NothingNear), "{lines}");
    }
    let alone = event("DTSTART:20261130T090000Z\nDURATION:PT1H")
        .replace("ATTENDEE:mailto:bo@", "ATTENDEE:mailto:ANN@");
    let choice = choose(alone.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
    assert_eq!(choice.dropped[0].reason, DropReason::NobodyElse);
    let groups = event("DTSTART:20261130T090000Z\nDURATION:PT1H")
        .replace("ORGANIZER:", "ATTENDEE;CUTYPE=GROUP:")
        .replace("ATTENDEE:", "ATTENDEE;CUTYPE=GROUP:");
    let choice = choose(groups.as_bytes(), &recording("2026-11-30T09:00:00Z", 60));
    assert_eq!(choice.dropped[0].reason, DropReason::NobodyElse, "who they are is not known");
}

#[test]
fn an_event_is_declined_by_its_owner_or_by_all_of_the_folders_people_who_are_invited() {
    let answers = |ann: &str, bo: &str| {
        format!(
            "BEGIN:VCALENDAR\nX-WR-CALNAME:Team\nBEGIN:VEVENT\nUID:1\nDTSTART:20261130T090000Z\nDURATION:PT1H\n\
             ATTENDEE;PARTSTAT={ann}:mailto:ann@example.com\nATTENDEE;PARTSTAT={bo}:mailto:bo@example.com\n\
             ATTENDEE:mailto:cy@example.com\nATTENDEE:mailto:di@example.com\nEND:VEVENT\nEND:VCALENDAR\n"
        )
    };
    let choose = |text: &str, people: &[&str]| {
        let recording = recording("2026-11-30T09:00:00Z", 60);
        let found = list_occurrences(&[text.as_bytes()], recording.window(), &TimeZone::UTC);
        let people: Vec<String> = people.iter().map(|person| (*person).to_owned()).collect();
        choose_event(&recording, &found, &people).dropped.first().map(|event| event.reason)
    };
    let both = ["Ann@Example.com", "bo@example.com"];
    assert_eq!(choose(&answers("DECLINED", "ACCEPTED"), &both), None, "Bo was there");
    assert_eq!(choose(&answers("DECLINED", "DECLINED"), &both), Some(DropReason::Declined));
    assert_eq!(choose(&answers("DECLINED", "ACCEPTED"), &both[..1]), Some(DropReason::Declined));
    assert_eq!(choose(&answers("DECLINED", "ACCEPTED"), &[]), None);
    let own = answers("DECLINED", "ACCEPTED").replace("CALNAME:Team", "CALNAME:ann@example.com");
    assert_eq!(choose(&own, &[]), Some(DropReason::Declined));
    let own = answers("ACCEPTED", "DECLINED").replace("CALNAME:Team", "CALNAME:ann@example.com");
    assert_eq!(choose(&own, &both[1..]), None, "it is Ann's calendar");
}

/// A calendar of events from one time to another on one day.
fn day(events: &[(&str, &str, &str)]) -> String {
    let event = |(title, from, to): &(&str, &str, &str)| {
        format!(
            "BEGIN:VEVENT\nUID:{title}\nSUMMARY:{title}\nDTSTART:20261130T{from}00Z\nDTEND:20261130T{to}00Z\n\
             ORGANIZER:mailto:ann@example.com\nATTENDEE:mailto:bo@example.com\nEND:VEVENT\n"
        )
    };
    format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", events.iter().map(event).collect::<String>())
}

#[test]
fn the_event_that_fits_clearly_is_taken_and_in_doubt_none() {
    let events = day(&[("early", "0900", "1000"), ("late", "1000", "1100")]);
    let twice = day(&[("one", "0900", "1000"), ("two", "0900", "1000")]);
    let long = day(&[("day", "0800", "1800")]);
    for (calendar, start, minutes, expected) in [
        (&events, "2026-11-30T09:00:00Z", 60, Ok("early")),
        (&events, "2026-11-30T08:55:00Z", 70, Ok("early")),
        (&events, "2026-11-30T10:03:00Z", 50, Ok("late")),
        (&events, "2026-11-30T09:00:00Z", 30, Ok("early")),
        (&events, "2026-11-30T09:00:00Z", 29, Err(NoEventReason::TooLittleOverlap)),
        (&events, "2026-11-30T09:00:00Z", 120, Err(NoEventReason::SeveralFit)),
        (&events, "2026-11-30T09:30:00Z", 60, Err(NoEventReason::TooLittleOverlap)),
        (&events, "2026-11-30T12:00:00Z", 60, Err(NoEventReason::NothingNear)),
        // It ended before the event began.
        (&events, "2026-11-30T08:50:00Z", 5, Err(NoEventReason::TooLittleOverlap)),
        (&events, "2026-11-30T08:30:00Z", 5, Err(NoEventReason::NothingNear)),
        (&twice, "2026-11-30T09:00:00Z", 60, Err(NoEventReason::SeveralFit)),
        (&long, "2026-11-30T09:00:00Z", 60, Err(NoEventReason::TooLittleOverlap)),
    ] {
        let choice = choose(calendar.as_bytes(), &recording(start, minutes));
        assert_eq!(title_of(&choice), expected, "{start} {minutes}");
    }
}

#[test]
fn candidates_are_listed_by_overlap_then_by_start_then_by_the_words_of_the_files_name() {
    let events = day(&[
        ("Budget talk", "0900", "1000"),
        ("Sales talk", "0900", "1000"),
        ("Late", "0930", "1030"),
        ("Later", "1000", "1100"),
    ]);
    let named =
        RecordingSpan { name: "2026-11-30 sales".into(), ..recording("2026-11-30T09:00:00Z", 60) };
    let choice = choose(events.as_bytes(), &named);
    let shown: Vec<_> =
        choice.candidates.iter().map(|event| (&*event.title, event.overlap_percent)).collect();
    assert_eq!(shown, [("Sales talk", 100), ("Budget talk", 100), ("Late", 33), ("Later", 0)]);
}

#[test]
fn a_recording_whose_start_is_not_certain_needs_an_event_that_fits_closely() {
    let events = day(&[("early", "0900", "1000")]);
    let uncertain =
        |minutes| RecordingSpan { is_certain: false, ..recording("2026-11-30T09:00:00Z", minutes) };
    assert_eq!(title_of(&choose(events.as_bytes(), &uncertain(55))), Ok("early"));
    assert_eq!(
        title_of(&choose(events.as_bytes(), &uncertain(40))),
        Err(NoEventReason::UncertainStart)
    );
    let endless = RecordingSpan { length: None, ..recording("2026-11-30T09:00:00Z", 60) };
    assert_eq!(title_of(&choose(events.as_bytes(), &endless)), Err(NoEventReason::UnknownLength));
}

#[test]
fn the_span_of_a_recording_is_its_own_and_certain_only_where_its_start_is_known() {
    let span = |path: &str, recorded: &str, written: &str, told: Option<&str>| {
        let written_ns = i64::try_from(at(written).as_nanosecond()).expect("in range");
        let length = Some(std::time::Duration::from_secs(1800));
        let file = RecordedFile { path: path.as_ref(), recorded: at(recorded), written_ns, length };
        let span = RecordingSpan::of_file(&file, told.map(at), &TimeZone::UTC);
        (span.start.to_string(), span.is_certain)
    };
    let (ten, end) = ("2026-11-30T10:00:00Z", "2026-11-30T10:30:00Z");
    assert_eq!(span("talk.wav", ten, end, None), (ten.to_owned(), true));
    assert_eq!(
        span("talk.wav", end, end, None),
        (ten.to_owned(), false),
        "it was written until then"
    );
    assert_eq!(span("talk.wav", end, end, Some(ten)), (ten.to_owned(), true), "a sidecar knows it");
    let midnight = "2026-11-30T00:00:00Z";
    assert_eq!(span("talk.wav", midnight, end, None), (midnight.to_owned(), false), "it is a day");
    assert_eq!(span("a/talk part 2.wav", ten, end, None), (ten.to_owned(), false));
}

#[test]
fn a_name_tells_of_a_part_of_a_longer_recording() {
    for name in ["talk part 2", "talk-part02", "Talk (1 of 3)", "talk_pt1", "Sitzung Teil 2"] {
        assert!(is_split_part(name), "{name}");
    }
    for name in
        ["talk", "Part of the plan", "party 2", "2026-11-30 talk", "one of 3", "department 3"]
    {
        assert!(!is_split_part(name), "{name}");
    }
}

#[test]
fn what_is_no_calendar_is_told_from_one() {
    for bytes in [GOOGLE, EXCHANGE, NEXTCLOUD, APPLE, "\u{feff}begin:vcalendar\n".as_bytes()] {
        assert!(is_calendar(bytes));
    }
    for bytes in [&b""[..], b"<html>", b"BEGIN:VCARD\r\n", &[0xff, 0xfe, 0]] {
        assert!(!is_calendar(bytes));
    }
}

proptest! {
    #![proptest_config(crate::budget::cases(256))]

    #[test]
    fn no_bytes_are_too_strange(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        vendor in 0_usize..4, cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [GOOGLE, EXCHANGE, NEXTCLOUD, APPLE][vendor].to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let recording = recording("2026-11-30T09:00:00Z", 60);
        let found = list_occurrences(&[&bytes], recording.window(), &TimeZone::UTC);
        let choice = choose_event(&recording, &found, &[]);
        if let CalendarAnswer::Taken { event } = &choice.answer {
            prop_assert!(event.attendees.len() >= 2 && !event.title.contains(char::is_control));
        }
    }
}
