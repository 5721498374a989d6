//! The lines of an iCalendar file: unfolded, bounded, and of a few properties alone.
//!
//! Nothing else is ever parsed: neither the text of an event nor its links, its attachments or its alarms.
//! That bounds memory by the size of the file, however it is nested.

use std::borrow::Cow;

/// Bytes of one property after unfolding. An attendee with a long name and an address has some hundreds.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one component that are parsed: 500 attendees and some hundred exceptions of a series fit in.
const BLOCK_BYTES_MAX: usize = 512 * 1024;

/// Properties of an event that are read.
const EVENT_PROPERTIES: &[&str] = &[
    "ATTENDEE",
    "CLASS",
    "DTEND",
    "DTSTART",
    "DURATION",
    "EXDATE",
    "ORGANIZER",
    "RDATE",
    "RECURRENCE-ID",
    "RRULE",
    "SEQUENCE",
    "STATUS",
    "SUMMARY",
    "TRANSP",
    "UID",
    "X-MICROSOFT-CDO-ALLDAYEVENT",
];

/// Properties of a time zone and its two halves that are read.
const ZONE_PROPERTIES: &[&str] = &[
    "DTSTART",
    "RRULE",
    "TZID",
    "TZOFFSETFROM",
    "TZOFFSETTO",
    "X-LIC-LOCATION",
    "X-MICROSOFT-CDO-TZID",
];

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CalendarBlock {
    /// A `VEVENT`, as text that can be parsed by itself.
    Event(String),
    /// A `VTIMEZONE`, likewise.
    Zone(String),
    /// A property of the calendar: its name in capitals, and its value.
    Property(String, String),
}

/// Reads a file part by part.
#[derive(Debug)]
pub(super) struct CalendarBlocks<'a> {
    lines: LogicalLines<'a>,
}

impl<'a> CalendarBlocks<'a> {
    /// Returns the parts of a file.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { lines: LogicalLines { rest: bytes } }
    }

    /// Reads the rest of a component.
    fn read_component(&mut self, name: &str, kept: &[&str], keeps_nested: bool) -> String {
        let mut text = format!("BEGIN:{name}\r\n");
        let mut depth = 0_usize;
        for line in self.lines.by_ref() {
            let property = property_name(&line);
            let is_kept = match property.as_str() {
                "BEGIN" => {
                    depth += 1;
                    keeps_nested && depth == 1
                }
                "END" if depth == 0 => break,
                "END" => {
                    depth -= 1;
                    keeps_nested && depth == 0
                }
                other => (depth == 0 || keeps_nested && depth == 1) && kept.contains(&other),
            };
            if is_kept && text.len() + line.len() < BLOCK_BYTES_MAX {
                text.push_str(&String::from_utf8_lossy(&line));
                text.push_str("\r\n");
            }
        }
        text.push_str("END:");
        text.push_str(name);
        text.push_str("\r\n");
        text
    }
}

impl Iterator for CalendarBlocks<'_> {
    type Item = CalendarBlock;

    fn next(&mut self) -> Option<CalendarBlock> {
        loop {
            let line = self.lines.next()?;
            let name = property_name(&line);
            let value = || {
                let text = String::from_utf8_lossy(&line);
                text.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
            };
            if name != "BEGIN" {
                return Some(CalendarBlock::Property(name, value()));
            }
            match value().to_ascii_uppercase().as_str() {
                "VEVENT" => {
                    return Some(CalendarBlock::Event(self.read_component(
                        "VEVENT",
                        EVENT_PROPERTIES,
                        false,
                    )));
                }
                "VTIMEZONE" => {
                    return Some(CalendarBlock::Zone(self.read_component(
                        "VTIMEZONE",
                        ZONE_PROPERTIES,
                        true,
                    )));
                }
                "VCALENDAR" => {}
                other => {
                    // Tasks, journals and free times: their properties are not the calendar's.
                    let other = other.to_owned();
                    drop(self.read_component(&other, &[], false));
                }
            }
        }
    }
}

/// Returns the name of a property, in capitals.
fn property_name(line: &[u8]) -> String {
    let end = line.iter().position(|byte| matches!(byte, b':' | b';')).unwrap_or(line.len());
    String::from_utf8_lossy(&line[..end.min(64)])
        .trim_matches(['\u{feff}', ' '])
        .to_ascii_uppercase()
}

/// The unfolded lines of a file; one that is too long is left out.
#[derive(Debug)]
struct LogicalLines<'a> {
    rest: &'a [u8],
}

impl<'a> LogicalLines<'a> {
    /// Returns the next line as it stands in the file.
    fn physical(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn is_continued(&self) -> bool {
        matches!(self.rest.first(), Some(b' ' | b'\t'))
    }
}

impl<'a> Iterator for LogicalLines<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        loop {
            let mut line = Cow::Borrowed(self.physical()?);
            let mut is_too_long = line.len() > LINE_BYTES_MAX;
            while self.is_continued() {
                let Some(more) = self.physical() else { break };
                is_too_long |= line.len() + more.len() > LINE_BYTES_MAX;
                if !is_too_long {
                    line.to_mut().extend_from_slice(&more[1..]);
                }
            }
            if !is_too_long {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_before_their_letters_are_decoded() {
        let text = "BEGIN:VEVENT\r\nSUMMARY:Caf\u{e9} and a long ti\r\n tle\r\nEND:VEVENT\r\n";
        let mut bytes = text.as_bytes().to_vec();
        // Some programs fold between the two bytes of a letter.
        let middle = text.find('\u{e9}').expect("there") + 1;
        bytes.splice(middle..middle, *b"\r\n\t");
        assert_eq!(
            CalendarBlocks::new(&bytes).collect::<Vec<_>>(),
            [CalendarBlock::Event(
                "BEGIN:VEVENT\r\nSUMMARY:Caf\u{e9} and a long title\r\nEND:VEVENT\r\n".into()
            )]
        );
    }

    #[test]
    fn neither_the_text_of_an_event_nor_its_links_nor_what_lies_within_it_is_parsed() {
        let text = "BEGIN:VCALENDAR\nX-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT\nDESCRIPTION:dial 123\n\
            URL:https://x.example\nLOCATION:x\nCONFERENCE:tel:1\nUID:1\nBEGIN:VALARM\nSUMMARY:not its title\n\
            BEGIN:X\nUID:2\nEND:X\nEND:VALARM\nSUMMARY:Talk\nEND:VEVENT\nEND:VCALENDAR\n";
        let kept: Vec<CalendarBlock> = CalendarBlocks::new(text.as_bytes())
            .filter(|block| !matches!(block, CalendarBlock::Property(name, _) if name == "END"))
            .collect();
        assert_eq!(
            kept,
            [
                CalendarBlock::Property("X-WR-TIMEZONE".into(), "Europe/Berlin".into()),
                CalendarBlock::Event(
                    "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Talk\r\nEND:VEVENT\r\n".into()
                ),
            ]
        );
    }

    #[test]
    fn a_huge_line_is_left_out_and_deep_nesting_costs_nothing() {
        let huge = "A".repeat(4 << 20);
        let text = format!(
            "BEGIN:VEVENT\nSUMMARY:{huge}\nUID:1\n{}END:VEVENT\n",
            "BEGIN:X\n".repeat(200_000)
        );
        let blocks: Vec<CalendarBlock> = CalendarBlocks::new(text.as_bytes()).collect();
        assert_eq!(
            blocks,
            [CalendarBlock::Event("BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n".into())]
        );
    }

    #[test]
    fn a_component_takes_so_many_bytes_and_no_more() {
        let people = "ATTENDEE:mailto:ann@example.com\n".repeat(50_000);
        let text = format!("BEGIN:VEVENT\n{people}END:VEVENT\n");
        let Some(CalendarBlock::Event(event)) = CalendarBlocks::new(text.as_bytes()).next() else {
            panic!("no event")
        };
        assert!(event.len() <= BLOCK_BYTES_MAX + 64, "{}", event.len());
        assert!(event.ends_with("END:VEVENT\r\n"));
    }
}
