//! Due dates as they are spoken, counted from the day of the recording.

use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
};

use super::words::Word;

/// A date that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpokenDate {
    date: Date,
    start: usize,
    end: usize,
    /// True when it is counted from the day of the recording: "tomorrow", "in two weeks".
    relative: bool,
}

/// Returns whether a word binds the date behind it to a task: "by Friday", "due March 3".
fn is_bound(words: &[Word], start: usize) -> bool {
    words[start].is_any(&["next", "this", "coming"])
        || (start > 0 && words[start - 1].is_any(&["by", "before", "until", "till", "on", "due"]))
}

/// Returns whether a word makes what follows a report of something else: "employees who were …".
fn is_report(word: &Word) -> bool {
    word.is_any(&["who", "which", "whom", "whose", "because", "was", "were", "had", "been", "did"])
}

/// Returns the day by which a task is due that was stated on `today`. `from` is the word with which
/// the task begins.
///
/// Of several dates the one behind "by" or "before" counts, else the first one of the task, else
/// the last one before it. A date that is told of something else is none: the day of a calendar
/// needs a word that binds it to the task, and neither stands behind a report.
pub(super) fn find_due(words: &[Word], from: usize, today: Date) -> Option<Date> {
    let mut found = find_dates(words, today);
    found.retain(|found| found.relative || is_bound(words, found.start));
    found.retain(|found| !words[from.min(found.start)..found.start].iter().any(is_report));
    let mut of_task = found.iter().filter(|found| found.start >= from).peekable();
    let first = of_task.peek().copied();
    let limit = of_task.find(|found| {
        found.start > 0 && words[found.start - 1].is_any(&["by", "before", "until", "till"])
    });
    // "On Monday we saw it, and I'll …": a day before the task counts only at the begin of its own
    // clause.
    let leading = found.iter().rev().find(|found| {
        found.end <= from
            && !words[found.end - 1..from]
                .iter()
                .skip(1)
                .any(|word| word.is_any(&["we", "they", "he", "she", "was", "were", "had"]))
    });
    limit.or(first).or(leading).map(|found| found.date)
}

fn find_dates(words: &[Word], today: Date) -> Vec<SpokenDate> {
    let mut found: Vec<SpokenDate> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let date = read_date(&words[at..], today).filter(|_| !is_other(words, at));
        match date {
            Some((date, length)) => {
                let relative = RELATIVE.iter().any(|reader| reader(&words[at..], today).is_some());
                found.extend(date.map(|date| SpokenDate {
                    date,
                    start: at,
                    end: at + length,
                    relative,
                }));
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Returns whether the words before make another time of it: last Friday, every Friday, about
/// Friday.
fn is_other(words: &[Word], at: usize) -> bool {
    at > 0
        && words[at - 1].is_any(&[
            "last",
            "every",
            "each",
            "since",
            "about",
            "past",
            "previous",
            "than",
            "of",
            "from",
            "after",
            "yesterday",
        ])
}

/// Reads a date at the beginning of `words`: the date and how many words it takes; no date for a
/// time that is not one ("early next week"), so that nothing is read into its rest.
fn read_date(words: &[Word], today: Date) -> Option<(Option<Date>, usize)> {
    let read = RELATIVE.iter().chain(&CALENDAR).find_map(|reader| reader(words, today));
    read.filter(|(_, length)| {
        // "Friday's meeting" is a meeting.
        !words[length - 1].norm.ends_with("'s")
    })
}

type DateReading = Option<(Option<Date>, usize)>;
type DateReader = fn(&[Word], Date) -> DateReading;

/// The readers of times that are counted from the day of the recording, and of days of a calendar.
const RELATIVE: [DateReader; 4] = [vague_time, end_of, in_time, relative_day];
const CALENDAR: [DateReader; 3] = [weekday_date, month_and_day, day_of_month];

fn starts_with_phrase(words: &[Word], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase
        .split(' ')
        .all(|want| words.next().is_some_and(|word| want.split('|').any(|want| want == word.norm)))
}

/// Reads times without a certain day.
fn vague_time(words: &[Word], _: Date) -> DateReading {
    if starts_with_phrase(words, "early|mid|middle|sometime|beginning|start|later next|this|in|of")
    {
        let length = words.iter().take(5).take_while(|word| !word.breaks).count().min(4);
        return Some((None, length.max(2)));
    }
    None
}

/// "End of the week", "end of next month", "end of day tomorrow", "close of business".
fn end_of(words: &[Word], today: Date) -> DateReading {
    if starts_with_phrase(words, "eod") || starts_with_phrase(words, "cob") {
        return Some(after_day(words, 1, today));
    }
    if !(starts_with_phrase(words, "end|close of")) {
        return None;
    }
    let mut at = 2;
    at += usize::from(words.get(at).is_some_and(|word| word.is_any(&["the", "this"])));
    let next = words.get(at).is_some_and(|word| word.norm == "next");
    at += usize::from(next);
    let word = words.get(at)?;
    let (date, length) = match word.norm.as_str() {
        "day" | "business" | "today" => return Some(after_day(words, at + 1, today)),
        "week" => (friday_of_week(if next { week_later(today, 1)? } else { today }), at + 1),
        "month" => {
            let month =
                if next { today.first_of_month().checked_add(1.month()).ok()? } else { today };
            (Some(month.last_of_month()), at + 1)
        }
        "year" => (Date::new(today.year() + i16::from(next), 12, 31).ok(), at + 1),
        "tomorrow" => (today.tomorrow().ok(), at + 1),
        name => match (month_number(name), weekday_named(name)) {
            (Some(month), _) => (
                in_future(today, |year| Date::new(year, month, 1).ok().map(Date::last_of_month)),
                at + 1,
            ),
            (None, Some(day)) => (next_weekday(today, day), at + 1),
            (None, None) => return None,
        },
    };
    Some((date, length))
}

/// Returns the day behind "end of day", today when none is named.
fn after_day(words: &[Word], at: usize, today: Date) -> (Option<Date>, usize) {
    let skip = at + usize::from(words.get(at).is_some_and(|word| word.norm == "on"));
    let rest = words.get(skip..).unwrap_or_default();
    let named = relative_day(rest, today)
        .or_else(|| weekday_date(rest, today))
        .or_else(|| month_and_day(rest, today));
    named.map_or((Some(today), at), |(date, length)| (date, skip + length))
}

/// "In two weeks", "within ten days", "two weeks from now", "in an hour".
fn in_time(words: &[Word], today: Date) -> DateReading {
    let lead = usize::from(starts_with_phrase(words, "in|within"));
    let (amount, used) = small_number(&words[lead.min(words.len())..])?;
    let unit = words.get(lead + used)?;
    let mut length = lead + used + 1;
    if lead == 0 {
        let rest = words.get(length..).unwrap_or_default();
        length += if starts_with_phrase(rest, "from now|today") { 2 } else { return None };
    }
    let days = match unit.norm.trim_end_matches('s') {
        "hour" | "minute" => 0,
        "day" => amount,
        "week" => amount * 7,
        "month" => return Some((today.checked_add(amount.months()).ok(), length)),
        _ => return None,
    };
    Some((today.checked_add(days.days()).ok(), length))
}

/// Reads small numbers as they are spoken or written.
fn small_number(words: &[Word]) -> Option<(i64, usize)> {
    const NUMBERS: [&str; 13] = [
        "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let word = words.first()?;
    let couple = if starts_with_phrase(words, "a couple of") { Some((2, 3)) } else { None };
    if couple.is_some() {
        return couple;
    }
    let spoken = NUMBERS
        .iter()
        .position(|name| *name == word.norm)
        .and_then(|number| i64::try_from(number).ok());
    let number = spoken
        .or_else(|| word.norm.parse().ok().filter(|number| (1..=365).contains(number)))
        .or_else(|| word.is_any(&["a", "an"]).then_some(1));
    number.map(|number| (number, 1))
}

/// Days by their distance from today, and weeks.
fn relative_day(words: &[Word], today: Date) -> DateReading {
    let tomorrow = today.checked_add(1.day()).ok();
    let day_after = today.checked_add(2.days()).ok();
    let table: [(&str, Option<Date>, usize); 14] = [
        ("the day after tomorrow", day_after, 4),
        ("day after tomorrow", day_after, 3),
        ("tomorrow morning|afternoon|evening|night|noon", tomorrow, 2),
        ("tomorrow", tomorrow, 1),
        ("today", Some(today), 1),
        ("tonight", Some(today), 1),
        ("this morning|afternoon|evening", Some(today), 2),
        ("the week after next", week_later(today, 2).and_then(friday_of_week), 4),
        ("next week", week_later(today, 1).and_then(friday_of_week), 2),
        ("this week", friday_of_week(today), 2),
        ("the weekend", next_weekday(today, Weekday::Sunday), 2),
        ("this weekend", next_weekday(today, Weekday::Sunday), 2),
        ("noon tomorrow", tomorrow, 2),
        ("midnight", Some(today), 1),
    ];
    let found = table.into_iter().find(|(phrase, _, _)| starts_with_phrase(words, phrase));
    found.map(|(phrase, date, length)| {
        // "Next week Tuesday", "tomorrow Tuesday": the day says it better.
        let named = words
            .get(length)
            .and_then(|word| weekday_named(&word.norm))
            .filter(|_| phrase == "next week");
        let date =
            named.map_or(date, |day| week_later(today, 1).and_then(|date| in_week(date, day)));
        (date, length + usize::from(named.is_some()))
    })
}

/// "Friday", "next Tuesday", "Monday morning", "a week from Friday".
fn weekday_date(words: &[Word], today: Date) -> DateReading {
    let next = starts_with_phrase(words, "next");
    let lead = usize::from(next || starts_with_phrase(words, "this|coming"));
    let day = weekday_named(&words.get(lead)?.norm)?;
    let date = if next {
        week_later(today, 1).and_then(|date| in_week(date, day))
    } else {
        next_weekday(today, day)
    };
    let part = words
        .get(lead + 1)
        .is_some_and(|word| word.is_any(&["morning", "afternoon", "evening", "night", "noon"]));
    let late = words.get(lead + 1).is_some_and(|word| word.norm == "week");
    let date = if late { date.and_then(|date| week_later(date, 1)) } else { date };
    Some((date, lead + 1 + usize::from(part || late)))
}

/// "December 3rd", "December the third", "the third of December", "3 December", with or without a
/// year.
fn month_and_day(words: &[Word], today: Date) -> DateReading {
    let (month, day, mut length) =
        if let Some(month) = words.first().and_then(|word| month_number(&word.norm)) {
            let at = skip_word(words, 1, "the");
            let (day, used) = day_number(words.get(at..)?)?;
            (month, day, at + used)
        } else {
            let at = skip_word(words, 0, "the");
            let (day, used) = day_number(words.get(at..)?)?;
            let at = skip_word(words, at + used, "of");
            (month_number(&words.get(at)?.norm)?, day, at + 1)
        };
    let year = words
        .get(length)
        .and_then(|word| word.norm.parse().ok())
        .filter(|year| (2000..2200).contains(year));
    length += usize::from(year.is_some());
    let date = match year {
        Some(year) => Date::new(year, month, day).ok(),
        None => in_future(today, |year| Date::new(year, month, day).ok()),
    };
    Some((date, length))
}

/// Returns the place after `word`, where that stands at `at`.
fn skip_word(words: &[Word], at: usize, word: &str) -> usize {
    at + usize::from(words.get(at).is_some_and(|found| found.norm == word))
}

/// "The fifteenth", "the 3rd": the next day of that number. It needs the article and the ordinal.
fn day_of_month(words: &[Word], today: Date) -> DateReading {
    if !starts_with_phrase(words, "the") {
        return None;
    }
    let (day, used) = day_number(&words[1..])?;
    let last = &words[used];
    let ordinal = last.norm.ends_with("th")
        || last.norm.ends_with("st")
        || last.norm.ends_with("nd")
        || last.norm.ends_with("rd");
    let first_of = words.get(used + 1).is_some_and(|word| {
        word.is_any(&["of", "thing", "one", "time", "draft", "version", "item", "week"])
    });
    // "The second" is more often a second thing; only what ends its clause is a day.
    let small = day <= 10 && !last.breaks;
    if !ordinal || first_of || small {
        return None;
    }
    let this = today.first_of_month().with().day(day).build().ok().filter(|date| *date > today);
    let date = this.or_else(|| {
        today.first_of_month().checked_add(1.month()).ok()?.with().day(day).build().ok()
    });
    Some((date, 1 + used))
}

/// Reads a day of a month, spoken or written.
fn day_number(words: &[Word]) -> Option<(i8, usize)> {
    const SPOKEN: [&str; 20] = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    let unit = |word: &str| {
        SPOKEN.iter().position(|name| *name == word).and_then(|at| i8::try_from(at + 1).ok())
    };
    let word = words.first()?.norm.as_str();
    let tens = |word: &str| match word {
        "twenty" => Some(20),
        "thirty" => Some(30),
        _ => None,
    };
    let joined = word
        .split_once('-')
        .and_then(|(ten, one)| Some(tens(ten)? + unit(one).filter(|one| *one < 10)?));
    let apart = || Some(tens(word)? + unit(&words.get(1)?.norm).filter(|one| *one < 10)?);
    let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let suffix = &word[digits.len()..];
    let written = || {
        ["", "st", "nd", "rd", "th"].contains(&suffix).then(|| digits.parse::<i8>().ok()).flatten()
    };
    let one = |day: i8| (day, 1);
    let found =
        joined.map(one).or_else(|| apart().map(|day| (day, 2))).or_else(|| unit(word).map(one));
    let found =
        found.or_else(|| (word == "thirtieth").then_some((30, 1))).or_else(|| written().map(one));
    found.filter(|(day, _)| (1..=31).contains(day))
}

fn month_number(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    MONTHS.iter().position(|month| *month == name).and_then(|at| i8::try_from(at + 1).ok())
}

fn weekday_named(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

/// Returns the next such day after `today`.
fn next_weekday(today: Date, day: Weekday) -> Option<Date> {
    today.nth_weekday(1, day).ok()
}

fn week_later(date: Date, weeks: i64) -> Option<Date> {
    date.checked_add(weeks.weeks()).ok()
}

/// Returns the given day of the week of `date`; weeks begin on Monday.
fn in_week(date: Date, day: Weekday) -> Option<Date> {
    let by =
        i64::from(day.to_monday_zero_offset()) - i64::from(date.weekday().to_monday_zero_offset());
    date.checked_add(by.days()).ok()
}

/// Returns the last working day of the week of `date`; on a weekend that of the next one.
fn friday_of_week(date: Date) -> Option<Date> {
    in_week(date, Weekday::Friday)
        .filter(|friday| *friday >= date)
        .or_else(|| next_weekday(date, Weekday::Friday))
}

/// Returns the date of this year, or of the next one when it is past.
fn in_future(today: Date, of_year: impl Fn(i16) -> Option<Date>) -> Option<Date> {
    of_year(today.year())
        .filter(|date| *date >= today)
        .or_else(|| of_year(today.year().checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{super::words::split_words, *};

    /// Counted from Wednesday, 18 November 2026.
    fn by(text: &str) -> String {
        find_due(&split_words(text), 0, date(2026, 11, 18))
            .map(|date| date.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_spoken_date_is_counted_from_the_day_of_the_recording() {
        for (spoken, date) in [
            ("send it tomorrow", "2026-11-19"),
            ("by Friday", "2026-11-20"),
            ("by Wednesday", "2026-11-25"),
            ("by next Friday", "2026-11-27"),
            ("next Tuesday", "2026-11-24"),
            ("on Monday morning", "2026-11-23"),
            ("by the end of the week", "2026-11-20"),
            ("by the end of next week", "2026-11-27"),
            ("by end of month", "2026-11-30"),
            ("by the end of next month", "2026-12-31"),
            ("by the end of January", "2027-01-31"),
            ("in two weeks", "2026-12-02"),
            ("within 10 days", "2026-11-28"),
            ("two weeks from now", "2026-12-02"),
            ("on the third of December", "2026-12-03"),
            ("by December 3rd", "2026-12-03"),
            ("due December third", "2026-12-03"),
            ("before December the twenty first", "2026-12-21"),
            ("by the twenty-third of January", "2027-01-23"),
            ("on 4 March 2028", "2028-03-04"),
            ("by the fifteenth", "2026-12-15"),
            ("by the 27th", "2026-11-27"),
            ("by noon tomorrow", "2026-11-19"),
            ("tomorrow noon", "2026-11-19"),
            ("tonight", "2026-11-18"),
            ("by end of day", "2026-11-18"),
            ("by close of business on Thursday", "2026-11-19"),
            ("the day after tomorrow", "2026-11-20"),
            ("next week Tuesday", "2026-11-24"),
            ("this week", "2026-11-20"),
            ("over the weekend", "2026-11-22"),
            ("tell them about Friday by Thursday", "2026-11-19"),
            ("call the bank tomorrow before Friday", "2026-11-20"),
        ] {
            assert_eq!(by(spoken), date, "{spoken}");
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for spoken in [
            "in Q1",
            "last Friday",
            "every Monday",
            "since Tuesday",
            "for Friday's meeting",
            "early next week",
            "the first thing",
            "in the spring",
            "the second of the two",
            "soon",
            "two weeks ago",
            "three of them may help",
            "in an old box",
            "the 40th",
            "February 30th",
            "Friday is a holiday",
            "a plan prior to March 15",
            "people who were covered by the plan before Friday",
        ] {
            assert_eq!(by(spoken), "", "{spoken}");
        }
    }

    #[test]
    fn no_calendar_ends_in_a_panic() {
        for today in [Date::MIN, Date::MAX, Date::MAX.first_of_month()] {
            for text in [
                "tomorrow next week in 12 months end of next month end of the year by Friday next Monday the 31st",
                "December 3rd in ten weeks",
            ] {
                assert!(
                    find_due(&split_words(text), 0, today).is_none_or(|date| date <= Date::MAX)
                );
            }
        }
    }
}
