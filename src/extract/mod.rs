//! Notes without a language model, as quotes from a transcript.
//!
//! No sentence is made up, all are quoted: a summary, the decisions, the actions with owner and
//! day, the questions that stayed open. A rule may overlook something; it can not invent anything.
//! What is looked for must be said in so many words, so that an action which nobody took on is
//! found as seldom as possible; one that is overlooked is still in the transcript.
//!
//! | file | task |
//! |---|---|
//! | `sentences.rs`, `words.rs` | segments → sentences → words, contractions taken apart |
//! | `language.rs` | English or not; without English only a summary |
//! | `cues.rs` | phrases, the language of all rules below |
//! | `talk.rs` | facts of the whole talk: do people talk with each other, who says yes or no |
//! | `decisions.rs`, `questions.rs` | those two |
//! | `tasks.rs`, `actions.rs` | a task in a sentence; whose it is, who took it on |
//! | `people.rs`, `due.rs` | names as they are spoken; dates as they are spoken |
//! | `rank.rs`, `topics.rs` | the summary, the topics and the title |
//! | `reading.rs` | the days that a text names, for others |
//! | `markdown.rs` | the section of the notes |
//!
//! Pure and deterministic: the same transcript gives the same bytes. How good it is, on meetings
//! that are labelled by hand, is measured by `meetings.rs` on `tests/meetings/`.

mod actions;
mod cues;
mod decisions;
mod due;
mod language;
mod markdown;
#[cfg(test)]
mod meetings;
mod people;
#[cfg(test)]
mod properties;
mod questions;
mod rank;
mod reading;
mod sentences;
mod talk;
mod tasks;
mod topics;
mod words;

use std::collections::HashSet;

use jiff::{Zoned, civil::Date};

pub(crate) use self::reading::named_days;
use self::{people::People, sentences::Sentence, talk::TalkSentences};
use crate::{config::Attendee, job::Segment};

/// A transcript, and the known facts of its meeting.
#[derive(Debug, Clone)]
pub(crate) struct Talk<'a> {
    /// The segments of the transcript, in order.
    pub segments: &'a [Segment],
    /// The attendees: their names find owners.
    pub attendees: &'a [Attendee],
    /// The time of the recording, in the zone of the speakers: "tomorrow" is the day after its
    /// date.
    pub recorded: Zoned,
}

/// The extract of a transcript. Every quote is verbatim.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extract {
    /// The kind of speech in the transcript.
    pub speech: Speech,
    /// The name or the subject of the talk, on one line; `None` when it gives none.
    pub title: Option<String>,
    /// The sentences that say most, in order; at most 12.
    pub summary: Vec<Quote>,
    /// The decisions; at most 30.
    pub decisions: Vec<Quote>,
    /// The action items; at most 30.
    pub actions: Vec<Action>,
    /// The open questions; at most 30.
    pub questions: Vec<Quote>,
    /// The topics: 3 to 8 short phrases, or none.
    pub topics: Vec<String>,
}

/// The kind of speech that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// None.
    None,
    /// English.
    English,
    /// Another language: no rule reads it, there is a summary at most.
    Other,
}

/// A quote from the transcript.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quote {
    /// The time in seconds from the start of the recording.
    pub at: Option<f64>,
    /// The speaker, if known.
    pub speaker: Option<String>,
    /// The words, on one line; at most 300 characters, cut at a word with an ellipsis.
    pub text: String,
}

/// An action item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Action {
    /// The quote that states it.
    pub quote: Quote,
    /// The owner: an attendee's full name, else the name that was spoken or the speaker's.
    pub owner: Option<String>,
    /// The day by which it is due.
    pub due: Option<Date>,
}

/// The longest quote, in characters: about 25 seconds of speech.
const QUOTE_CHARS_MAX: usize = 300;

/// Sentences of a summary at most: a longer one is not read.
const SUMMARY_MAX: usize = 12;
const EACH_MAX: usize = 30;

/// Returns the extract of a transcript.
#[must_use]
pub(crate) fn extract(talk: &Talk<'_>) -> Extract {
    let sentences = sentences::split_sentences(talk.segments);
    if sentences.iter().all(|sentence| sentence.words.is_empty()) {
        return empty_extract(Speech::None);
    }
    if language::is_english(&sentences) { extract_english(talk, sentences) } else { extract_other(&sentences) }
}

fn empty_extract(speech: Speech) -> Extract {
    Extract {
        speech,
        title: None,
        summary: Vec::new(),
        decisions: Vec::new(),
        actions: Vec::new(),
        questions: Vec::new(),
        topics: Vec::new(),
    }
}

fn extract_other(sentences: &[Sentence]) -> Extract {
    let summary = rank::summary_sentences(sentences, false, SUMMARY_MAX, &|_| false);
    Extract { summary: quote_each(sentences, &summary), ..empty_extract(Speech::Other) }
}

fn extract_english(talk: &Talk<'_>, sentences: Vec<Sentence>) -> Extract {
    let people = People::new(talk.attendees, &sentences);
    let sentences = TalkSentences::new(sentences);
    let all = &sentences.all;
    let actions: Vec<_> =
        actions::find_actions(&sentences, &people, talk.recorded.date()).into_iter().take(EACH_MAX).collect();
    let in_actions: HashSet<usize> = actions.iter().flat_map(|action| action.first..=action.last).collect();
    let others = (0..all.len()).filter(|at| !in_actions.contains(at));
    let decisions: Vec<usize> =
        others.clone().filter(|at| decisions::is_decision(&sentences, *at)).take(EACH_MAX).collect();
    let questions: Vec<usize> = others
        .filter(|at| !tasks::asks_for_task(&all[*at].words, &people))
        .filter(|at| questions::is_open_question(&sentences, *at))
        .take(EACH_MAX)
        .collect();
    let summary = rank::summary_sentences(all, true, SUMMARY_MAX, &|at| {
        in_actions.contains(&at) || decisions.contains(&at) || questions.contains(&at)
    });
    Extract {
        speech: Speech::English,
        title: topics::find_title(all, &people),
        summary: quote_each(all, &summary),
        decisions: quote_each(all, &decisions),
        questions: quote_each(all, &questions),
        topics: topics::find_topics(all, &people),
        actions: actions
            .into_iter()
            .map(|found| Action {
                quote: quote_sentences(all, found.first, found.last),
                owner: found.owner,
                due: found.due,
            })
            .collect(),
    }
}

/// Quotes the sentences at these places, each by itself.
fn quote_each(sentences: &[Sentence], places: &[usize]) -> Vec<Quote> {
    places.iter().map(|at| quote_sentences(sentences, *at, *at)).collect()
}

/// Quotes some sentences in a row.
fn quote_sentences(sentences: &[Sentence], first: usize, last: usize) -> Quote {
    let texts: Vec<&str> = sentences[first..=last].iter().map(|sentence| sentence.text.as_str()).collect();
    let first = &sentences[first];
    Quote { at: first.at, speaker: first.speaker.clone(), text: cut_quote(&texts.join(" ")) }
}

/// Cuts a text to the longest quote, at a word where there is one.
fn cut_quote(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(QUOTE_CHARS_MAX) else { return text.to_owned() };
    let (limit, _) = text[..end].char_indices().next_back().unwrap_or_default();
    let kept = text[..limit].rsplit_once(' ').map_or(&text[..limit], |(kept, _)| kept);
    format!("{}…", kept.trim_end_matches([',', ';', ':', '-', '–']))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::{civil::date, tz::TimeZone};

    use super::*;

    fn said(start: f64, end: f64, text: &str) -> Segment {
        Segment { start: Some(start), end: Some(end), speaker: None, text: text.to_owned() }
    }

    fn of(segments: &[Segment]) -> Extract {
        let attendee = |name: &str| Attendee { name: name.to_owned(), email: "x@example.com".to_owned(), role: None };
        let attendees = [attendee("Ann Lee"), attendee("Bo Chen")];
        let recorded = date(2026, 11, 18).at(9, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        extract(&Talk { segments, attendees: &attendees, recorded })
    }

    #[test]
    fn an_extract_reads_like_this() {
        let found = of(&[
            said(0.0, 4.0, "Hello everyone, this is the weekly *budget* meeting."),
            said(5.0, 9.0, "The printer in the office needs a new drum and the drum is expensive."),
            said(10.0, 12.0, "So we decided to buy a new printer."),
            said(13.0, 14.0, "Okay."),
            said(15.0, 19.0, "Bo, can you ask for three <offers> by next Friday?"),
            said(20.0, 21.0, "Sure."),
            said(22.0, 25.0, "Do we know whether the old one can be sold?"),
            said(26.0, 27.0, "No idea."),
        ]);
        assert_eq!(found.title.as_deref(), Some("Weekly *budget* meeting"));
        insta::assert_snapshot!(found.markdown(), @r"
        *Automatic extract, no language model: every line is a quote from the transcript.*

        ## Summary

        - [00:00:05] The printer in the office needs a new drum and the drum is expensive.

        ## Decisions

        - [00:00:10] So we decided to buy a new printer.

        ## Action items

        - [00:00:15] **Bo Chen**: Bo, can you ask for three \<offers> by next Friday? (due 2026-11-27)

        ## Open questions

        - [00:00:22] Do we know whether the old one can be sold?
        ");
    }

    #[test]
    fn silence_and_noise_are_no_speech() {
        for segments in [vec![], vec![said(0.0, 1.0, " \n"), said(1.0, 2.0, "…")]] {
            assert_eq!(of(&segments).markdown(), "No speech was found in this recording.");
        }
    }

    #[test]
    fn another_language_gives_a_summary_and_says_so() {
        let found = of(&[
            said(0.0, 5.0, "Wir haben gestern beschlossen, dass die Lieferung erst im Januar kommt."),
            said(6.0, 9.0, "Die Lieferung kommt aus Hamburg und wird im Januar vom Lager in Kiel abgeholt."),
        ]);
        assert_eq!(found.speech, Speech::Other);
        assert!(found.decisions.is_empty() && found.actions.is_empty() && found.topics.is_empty());
        insta::assert_snapshot!(found.markdown(), @"
        *Automatic extract, no language model: every line is a quote from the transcript. Not English: no decisions or actions were looked for.*

        ## Summary

        - [00:00:00] Wir haben gestern beschlossen, dass die Lieferung erst im Januar kommt.
        - [00:00:06] Die Lieferung kommt aus Hamburg und wird im Januar vom Lager in Kiel abgeholt.
        ");
    }

    /// Returns the extract of a sentence that is spoken in a conversation.
    fn in_conversation(text: &str) -> Extract {
        let fillers = ["Hello.", "Hi Bo.", "Fine.", "Right.", "The weather is nice over here."];
        let fillers =
            (0_u8..).zip(fillers).map(|(at, filler)| said(f64::from(at) * 3.0, f64::from(at) * 3.0 + 1.0, filler));
        let sentence = [said(40.0, 45.0, text), said(46.0, 47.0, "Mm.")];
        of(&fillers.chain(sentence).collect::<Vec<_>>())
    }

    #[test]
    fn what_only_sounds_like_a_task_is_none() {
        for text in [
            "I'll be right back.",
            "I'll start with the numbers.",
            "I would send it if I had it.",
            "I'd call them but I have no number.",
            "We'll see what they say.",
            "If nobody objects, I'll never hear the end of it.",
            "If they ask me I'll send it.",
            "He said he will send it by Friday.",
            "Bo told me that he would write to them.",
            "I sent the report last week.",
            "Ann will be on holiday until Monday.",
            "Can you hear me now?",
            "Can you see my screen?",
            "Could you say that again, please?",
            "Would you like some coffee?",
            "I'll give you an example.",
            "Let me share my screen.",
            "Let me think about it.",
            "I'll tell you a story about Bo.",
            "I can't send it before Friday.",
            "I won't call them.",
            "You can find it in the folder.",
            "I'll have the soup.",
            "I'll take your word for it.",
            "That's what I will send when I know more.",
            "Maybe I'll call him tomorrow.",
            "I might send it tomorrow.",
            "Bo should have called the bank.",
            "Did Ann send the report by Friday?",
            "Will Bo send the report by Friday?",
            "I'll get to that in a minute.",
            "Please go ahead.",
            "Please don't worry.",
            "I need to think.",
            "I have to say I like it.",
            "I have to go now.",
            "We need to talk.",
            "The train will leave tomorrow.",
            "I will always remember that day.",
            "I'll call it a success.",
            "I'll ask you a question now.",
        ] {
            let found = in_conversation(text).actions;
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_task_has_its_owner_and_its_day() {
        for (text, owner, due) in [
            ("Bo, can you send me the figures by Friday?", "Bo Chen", "2026-11-20"),
            ("Can you send me the figures by Friday, Bo?", "Bo Chen", "2026-11-20"),
            ("Beau will write to them tomorrow.", "Bo Chen", "2026-11-19"),
            ("Bo'll write to them.", "Bo Chen", ""),
            ("Chen is going to book the room.", "Bo Chen", ""),
            ("Anne, please sign it by the end of the month.", "Ann Lee", "2026-11-30"),
            ("Ann Lee needs to check the contract before the third of December.", "Ann Lee", "2026-12-03"),
            ("Action item for Ann, order new chairs.", "Ann Lee", ""),
            ("I'll send it in two weeks.", "", "2026-12-02"),
            ("The report needs to be done by next Tuesday.", "", "2026-11-24"),
            ("Somebody has to call the landlord.", "", ""),
            ("The next step is to write the offer.", "", ""),
            ("Let me find out and get back to you tomorrow.", "", "2026-11-19"),
            ("Could you please send us the slides?", "", ""),
            ("So tomorrow I'll call the bank.", "", "2026-11-19"),
            ("I have a question, but first, Bo, would you mind closing the ticket today?", "Bo Chen", "2026-11-18"),
        ] {
            let found = in_conversation(text).actions;
            let [action] = found.as_slice() else { panic!("{text}: {found:?}") };
            let day = action.due.map(|day| day.to_string()).unwrap_or_default();
            assert_eq!((action.owner.as_deref().unwrap_or_default(), day.as_str()), (owner, due), "{text}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_decision_is_none() {
        for text in [
            "We haven't decided yet.",
            "Should we decide that today?",
            "We have to decide by Friday.",
            "Once we have decided that, we can go on.",
            "If we decided to buy it, we would be broke.",
            "Nothing is decided.",
            "They decided to sell the house.",
            "He decided to leave.",
            "Let's get started.",
            "Let's move on to the next point.",
            "Let's take a break.",
            "Let's call it a day.",
            "Let's see.",
            "We'll see about that.",
            "We'll take questions at the end.",
            "It is not approved.",
            "Was it approved?",
            "Do you think the budget is approved?",
            "The decision is still open.",
            "I agree.",
            "I don't think we agreed on that.",
            "Last year we decided to stay.",
            "When is it decided?",
            "I would go with the second one.",
            "That is what it is.",
            "We could keep it.",
            "Maybe we'll keep it.",
            "So we have three offers.",
            "We won't be long.",
        ] {
            let found = in_conversation(text).decisions;
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_said_as_a_decision_is_one() {
        for text in [
            "We decided to keep the old one.",
            "Okay, let's go with the blue one.",
            "It was agreed that the office closes at five.",
            "We'll ship without it.",
            "The decision is to wait.",
            "We are not going to renew the lease.",
            "The budget is approved.",
            "We settled on Lisbon.",
            "So we keep the name.",
            "We'll stick with the current supplier.",
            "From now on the door stays locked.",
            "We've agreed on forty euros.",
            "The green one it is.",
        ] {
            let found = in_conversation(text).decisions;
            assert_eq!(found.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_long_quote_is_cut_at_a_word() {
        let cut = cut_quote(&"word ".repeat(100));
        assert!(cut.ends_with("word…") && cut.chars().count() <= QUOTE_CHARS_MAX, "{cut}");
        assert_eq!(super::cut_quote(&"é".repeat(301)).chars().count(), QUOTE_CHARS_MAX);
    }

    /// Not a limit, a figure:
    /// `cargo test --release --lib extract::tests::five_hours -- --nocapture` prints the time.
    #[test]
    fn five_hours_of_speech_are_read_in_one_go() {
        let segments = long(60_000);
        let begin = Instant::now();
        let found = of(&segments);
        println!("60,000 words in {} sentences: {:?}", segments.len(), begin.elapsed());
        assert_eq!((found.summary.len(), found.actions.len()), (SUMMARY_MAX, EACH_MAX));
    }

    /// Sentences of words that come as often as words do, with a task now and then.
    fn long(words: usize) -> Vec<Segment> {
        let mut chance = 1_u64;
        let mut next = |below: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % below
        };
        let grammar = ["the", "and", "we", "to", "of", "is", "that", "it", "you", "have", "for", "this"];
        let mut segments = Vec::new();
        let mut count = 0_usize;
        while count < words {
            let begin = f64::from(u32::try_from(count).unwrap()) * 0.3;
            let length = 4 + next(20);
            // The lower its number, the more often a word comes.
            let one = |next: &mut dyn FnMut(u64) -> u64| {
                if next(2) == 0 {
                    return grammar[usize::try_from(next(12)).unwrap()].to_owned();
                }
                let far = next(4_000) + 1;
                next(far).to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect::<String>() + "ab"
            };
            let mut text: Vec<String> = (0..length).map(|_| one(&mut next)).collect();
            if next(40) == 0 {
                text = vec!["Bo, can you send the offer by Friday".to_owned()];
            }
            count += text.len();
            segments.push(said(begin, begin + 3.0, &format!("{}.", text.join(" "))));
        }
        segments
    }
}
