//! Property tests: they hold for any transcript.

use jiff::{Zoned, civil::DateTime, tz::TimeZone};

use super::{EACH_MAX, Extract, Quote, SUMMARY_MAX, Talk, extract, quotes::QUOTE_CHARS_MAX};
use crate::{config::Attendee, job::Segment, text};

/// Checks that an extract quotes the transcript with its times, is bounded, and is the same every
/// time. Returns the Markdown.
fn check_quotes(segments: &[Segment], attendees: &[Attendee]) -> String {
    let talk = Talk { segments, attendees, recorded: day() };
    let found = extract(&talk);
    let said = whole_transcript(segments);
    for quote in all_quotes(&found) {
        check_words(&quote.text, &said);
        let counted = quote.text.chars().filter(|character| *character != '…').count();
        assert!(counted <= QUOTE_CHARS_MAX, "{:?}", quote.text);
        let same =
            |segment: &Segment| segment.start.map(f64::to_bits) == quote.at.map(f64::to_bits);
        assert!(segments.iter().any(same), "{:?} is no time of a segment", quote.at);
    }
    let lengths = [found.decisions.len(), found.actions.len(), found.questions.len()];
    assert!(
        found.summary.len() <= SUMMARY_MAX && lengths.iter().all(|length| *length <= EACH_MAX),
        "{lengths:?}"
    );
    assert!(found.topics.is_empty() || (3..=8).contains(&found.topics.len()), "{:?}", found.topics);
    let markdown = found.markdown();
    assert_eq!(markdown, extract(&talk).markdown(), "the same every time");
    markdown
}

/// Checks that the words of a quote are in the transcript, in order; a mark stands for those that are
/// left out.
fn check_words(quote: &str, transcript: &str) {
    let mut rest = transcript;
    for part in quote.split('…').map(str::trim).filter(|part| !part.is_empty()) {
        let Some(at) = rest.find(part) else {
            panic!("{part:?} of {quote:?} is not in {transcript:?}")
        };
        rest = &rest[at + part.len()..];
    }
}

fn day() -> Zoned {
    DateTime::constant(2026, 11, 18, 9, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a day of our time")
}

/// The transcript as it is read: each segment on one line, the lines after each other.
fn whole_transcript(segments: &[Segment]) -> String {
    segments
        .iter()
        .map(|segment| text::strip_to_line(&segment.text))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn all_quotes(found: &Extract) -> impl Iterator<Item = &Quote> {
    let actions = found.actions.iter().map(|action| &action.quote);
    let decisions = found
        .decisions
        .iter()
        .flat_map(|decision| [&decision.quote].into_iter().chain(&decision.assent));
    found.summary.iter().chain(decisions).chain(&found.questions).chain(actions)
}

mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        let spoken = prop::sample::select(vec![
            "I",
            "I'll",
            "we",
            "decided",
            "send",
            "will",
            "Bo",
            "Bo,",
            "Ann",
            "can",
            "you",
            "please",
            "by",
            "Friday",
            "tomorrow",
            "the",
            "report.",
            "is",
            "what",
            "why?",
            "let's",
            "keep",
            "it",
            "No.",
            "Dr.",
            "U.S.",
            "3.5",
            "okay",
            "open",
            "question",
            "don't",
            "know",
            "whether",
            "and",
            "in",
            "two",
            "weeks",
            "next",
            "end",
            "of",
            "month",
            "31st",
            "December",
            "agreed",
            "?",
            "…",
            "...",
            "sure",
            "yes.",
            "I'll do that.",
            "somebody should",
            "this is the weekly meeting",
        ]);
        let hostile = prop::sample::select(vec![
            "<script>",
            "[x](javascript:y)",
            "![a](b)",
            "# h",
            "- a",
            "1.",
            "2)",
            "> q",
            "`",
            "```",
            "**",
            "_a_",
            "|",
            "\n",
            "\u{202e}",
            "&lt;",
            "[x]:",
            "~~~",
            "---",
            "===",
            "\\",
            "\u{0}",
            "…",
            "’",
            "会議。",
            "👩\u{200d}🚀",
            "a\u{300}",
            "\u{2028}",
            "https://a.b",
            "'s",
            "'",
            "n't",
            "'ll",
        ]);
        prop_oneof![6 => spoken.prop_map(str::to_owned), 2 => hostile.prop_map(str::to_owned), 1 => ".{0,12}"]
    }

    fn segment() -> impl Strategy<Value = Segment> {
        let time = prop_oneof![3 => (0.0..20_000.0).prop_map(Some), 1 => Just(None), 1 => prop::num::f64::ANY.prop_map(Some)];
        let speaker = prop_oneof![
            Just(None),
            word().prop_map(Some),
            Just(Some("Ann Lee".to_owned())),
            Just(Some("Speaker 1".to_owned()))
        ];
        let text = prop::collection::vec(word(), 0..30).prop_map(|words| words.join(" "));
        (time.clone(), time, speaker, text).prop_map(|(start, end, speaker, text)| Segment {
            start,
            end,
            speaker,
            text,
            ..Segment::default()
        })
    }

    fn attendee() -> impl Strategy<Value = Attendee> {
        let name = prop_oneof![Just("Ann Lee".to_owned()), Just("Bo Chen".to_owned()), word()];
        name.prop_map(|name| Attendee { name, email: "ann@example.com".to_owned(), role: None })
    }

    proptest! {
        #![proptest_config(crate::budget::cases(192))]

        #[test]
        fn every_quote_is_in_the_transcript_and_nothing_breaks_out(
            segments in prop::collection::vec(segment(), 0..24),
            attendees in prop::collection::vec(attendee(), 0..4),
        ) {
            check_harmless(&check_quotes(&segments, &attendees));
        }
    }

    /// The Markdown is our own headings, lists and emphasis, and text.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum, not ours: what is not named must not be there"
    )]
    fn check_harmless(markdown: &str) {
        const HEADINGS: [&str; 5] =
            ["Summary", "Decisions", "Action items", "Open questions", "Topics"];
        // The dialect in which notes are read.
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_FOOTNOTES;
        let mut heading = false;
        let mut section = String::new();
        for event in Parser::new_ext(markdown, options) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = true,
                Event::Text(text) if heading => {
                    assert!(HEADINGS.contains(&text.as_ref()), "{text} in {markdown:?}");
                    heading = false;
                    section = text.to_string();
                }
                Event::TaskListMarker(false) if section == "Action items" => {}
                Event::Start(Tag::BlockQuote(_)) | Event::SoftBreak if section == "Decisions" => {}
                Event::Start(
                    Tag::Paragraph | Tag::Item | Tag::List(None) | Tag::Emphasis | Tag::Strong,
                )
                | Event::End(_)
                | Event::Text(_) => {}
                other => panic!("{other:?} in {markdown:?}"),
            }
        }
        let hidden = |c: char| (c.is_control() && c != '\n') || text::is_bidi(c);
        assert!(!markdown.chars().any(hidden), "{markdown:?}");
    }
}
