//! What holds for every answer of a model, for any bytes. Panics where it does not; the tests and
//! `fuzz/` feed it.

use jiff::civil::date;

use super::{Meeting, NumberedLines, check_proposals, parse_proposals};
use crate::{
    config::Attendee,
    job::{Item, Segment},
};

/// The transcript that every answer is checked against.
const SAID: [(&str, &str); 8] = [
    ("Ann Lee", "Good morning, let us begin with the price list."),
    ("Bo Chen", "I would like to send the new price list on the first of December."),
    ("Ann Lee", "Agreed, we send it on the first of December."),
    ("Ann Lee", "Bo, can you write to the customers by Friday?"),
    ("Bo Chen", "Yes, I will write to all forty customers."),
    ("Carla Ruiz", "What do we do about the old printer in the office?"),
    ("Ann Lee", "I do not know, we will see next time."),
    ("Carla Ruiz", "Then we are done for today."),
];

/// An answer gives items that are on one line, have a quote of the transcript and name nobody who is
/// not in it; no answer takes more than a bounded number of items. Returns the items.
pub(crate) fn answer(bytes: &[u8]) -> Vec<Item> {
    let text = String::from_utf8_lossy(bytes);
    let Some(proposals) = parse_proposals(&text) else { return Vec::new() };
    let segments: Vec<Segment> = SAID
        .iter()
        .zip(0_u8..)
        .map(|((speaker, text), at)| Segment {
            start: Some(f64::from(at) * 5.0),
            end: None,
            speaker: Some((*speaker).to_owned()),
            text: (*text).to_owned(),
            ..Segment::default()
        })
        .collect();
    let lines = NumberedLines::from_segments(&segments);
    let attendee =
        Attendee { name: "Dev Patel".to_owned(), email: "dev@example.com".to_owned(), role: None };
    let meeting = Meeting { lines: &lines, attendees: &[attendee], today: date(2026, 11, 23) };
    let checked = check_proposals(&[proposals], &meeting);
    assert!(
        checked.items.len() <= 120 && checked.summary.len() <= 20 && checked.dropped <= 400,
        "{checked:?}"
    );
    for item in &checked.items {
        assert!(SAID.iter().any(|(_, text)| text.contains(&item.quote.text)), "{item:?}");
        assert!(
            item.lines.iter().all(|line| (1..=SAID.len()).contains(line)) && !item.lines.is_empty(),
            "{item:?}"
        );
        assert!(!item.text.is_empty() && !item.text.contains(['\n', '\r']), "{item:?}");
    }
    checked.items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_pieces_of_an_answer_are_read(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", "\"", ",", ":", "\\", "\n", " ", "null", "3", "99999999999999999999", "-1", "1e9",
                "\"decisions\"", "\"actions\"", "\"questions\"", "\"summary\"", "\"text\"", "\"lines\"", "\"owner\"",
                "\"due\"", "\"send the price list on the first of December\"", "\"Bo\"", "\"2026-12-01\"", "```json",
                "\u{202e}", "\"Friday\"", "{\"text\": \"write to the customers\", \"lines\": [4], \"owner\": \"Bo\"}",
            ]), 0..60)
        ) {
            answer(pieces.concat().as_bytes());
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            answer(&bytes);
            answer(&[b"{\"decisions\": [".as_slice(), &bytes].concat());
        }

        #[test]
        fn an_answer_that_is_cut_anywhere_gives_no_other_items(cut in 0_usize..400) {
            let whole = r#"{"decisions": [{"text": "The price list goes out on the first of December", "lines": [2, 3]}],
                "actions": [{"text": "Write to the customers", "lines": [4, 5], "owner": "Bo", "due": "Friday"}],
                "questions": [{"text": "What happens to the old printer in the office?", "lines": [6]}], "summary": []}"#;
            let items = answer(whole.as_bytes());
            prop_assert_eq!(items.len(), 3);
            let part = answer(&whole.as_bytes()[..cut.min(whole.len())]);
            for item in part {
                // Owner and due time may be what is missing.
                prop_assert!(items.iter().any(|other| other.text == item.text && other.quote == item.quote), "{:?}", item);
            }
        }
    }

    #[test]
    fn owners_and_days_are_those_that_were_spoken() {
        let whole = r#"{"actions": [{"text": "Write to the customers", "lines": [4, 5], "owner": "Bo", "due": "Friday"},
            {"text": "Write to the customers again", "lines": [5], "owner": "Zoe", "due": "2027-01-01"}]}"#;
        let items = answer(whole.as_bytes());
        assert_eq!(
            (items[0].owner.as_deref(), items[0].due.as_deref()),
            (Some("Bo"), Some("2026-11-27"))
        );
        assert_eq!((&items[1].owner, &items[1].due), (&None, &None));
    }
}
