//! Notes without a language model, as quotes from a transcript.
//!
//! No sentence is made up, all are quoted: a summary, the decisions, the actions with owner and
//! day, the questions that stayed open. A rule may overlook something; it can not invent anything.
//! What is looked for must be said in so many words, and what is doubtful is left out: a proposal
//! that nobody agrees to, a sentence that breaks off, talk about the meeting itself. One that is
//! overlooked is still in the transcript.
//!
//! | file | task |
//! |---|---|
//! | `sentences.rs`, `words.rs` | segments → sentences → words, contractions taken apart |
//! | `language.rs` | English or not; without English only a summary |
//! | `cues.rs` | phrases, the language of all rules below |
//! | `talk.rs` | facts of the whole talk: turns, speeches, do people talk with each other |
//! | `answers.rs` | who says yes or no to what, and whether another person agrees |
//! | `fragments.rs` | speech that is not quoted: fillers, doubled words, what breaks off |
//! | `procedure.rs` | talk about the meeting itself, which settles nothing |
//! | `decisions.rs`, `proposals.rs` | decisions, and proposals that another person's yes makes one |
//! | `questions.rs`, `hearings.rs` | open questions; among speeches those that are evaded |
//! | `tasks.rs`, `roles.rs`, `actions.rs` | a task in a sentence, of a role; whose it is, who took it on |
//! | `undertakings.rs` | tasks among speeches: what owes an answer or names a time |
//! | `people.rs`, `due.rs` | names as they are spoken; dates as they are spoken |
//! | `rank.rs`, `topics.rs` | the summary, the topics and the title |
//! | `quotes.rs`, `markdown.rs` | the words as they are quoted; the section of the notes |
//! | `reading.rs` | the days that a text names, for others |
//!
//! Pure and deterministic: the same transcript gives the same bytes. How good it is, on meetings
//! that are labelled by hand, is measured by `meetings.rs` on `tests/meetings/`.

mod actions;
mod answers;
mod cues;
mod decisions;
mod due;
mod fragments;
mod hearings;
mod language;
mod markdown;
#[cfg(test)]
mod meetings;
mod people;
mod procedure;
#[cfg(test)]
mod properties;
mod proposals;
mod questions;
mod quotes;
mod rank;
mod reading;
mod roles;
mod sentences;
mod talk;
mod tasks;
mod topics;
mod undertakings;
mod words;

use std::collections::HashSet;

use jiff::{Zoned, civil::Date};

pub(crate) use self::reading::named_days;
use self::{
    people::People,
    quotes::{quote_each, quote_sentences, quote_speaker},
    sentences::Sentence,
    talk::TalkSentences,
};
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
    pub decisions: Vec<AgreedDecision>,
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
    /// Some, and no word of it was understood.
    Unclear,
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
    /// The words, on one line; at most 300 characters, cut at a word with an ellipsis. An ellipsis
    /// also stands for fillers and doubled words.
    pub text: String,
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgreedDecision {
    /// The quote that states or proposes it.
    pub quote: Quote,
    /// The quote in which another person agrees, where the decision needs it.
    pub assent: Option<Quote>,
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

/// Sentences of a summary at most: a longer one is not read.
const SUMMARY_MAX: usize = 12;
const EACH_MAX: usize = 30;

/// Returns the extract of a transcript.
#[must_use]
pub(crate) fn extract(talk: &Talk<'_>) -> Extract {
    let sentences = sentences::split_sentences(talk.segments);
    if sentences.iter().all(|sentence| sentence.words.is_empty()) {
        let is_unclear = talk.segments.iter().any(Segment::is_unclear);
        return empty_extract(if is_unclear { Speech::Unclear } else { Speech::None });
    }
    if language::is_english(&sentences) {
        extract_english(talk, sentences)
    } else {
        extract_other(&sentences)
    }
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
    let actions: Vec<_> = actions::find_actions(&sentences, &people, talk.recorded.date())
        .into_iter()
        .take(EACH_MAX)
        .collect();
    let in_actions: HashSet<usize> =
        actions.iter().flat_map(|action| action.first..=action.last).collect();
    let decisions: Vec<_> =
        decisions::find_decisions(&sentences, &in_actions).into_iter().take(EACH_MAX).collect();
    let decided: HashSet<usize> =
        decisions.iter().flat_map(|found| found.first..=found.last).collect();
    let is_taken = |at| in_actions.contains(&at) || decided.contains(&at);
    // Among speeches a request is a question.
    let questions: Vec<_> = questions::find_questions(&sentences, &|at| {
        is_taken(at) || (!sentences.speeches && tasks::asks_for_task(&all[at].words, &people))
    })
    .into_iter()
    .take(EACH_MAX)
    .collect();
    let asked: HashSet<usize> =
        questions.iter().flat_map(|found| found.first..=found.last).collect();
    let summary =
        rank::summary_sentences(all, true, SUMMARY_MAX, &|at| is_taken(at) || asked.contains(&at));
    Extract {
        speech: Speech::English,
        title: topics::find_title(all, &people),
        summary: quote_each(all, &summary),
        decisions: decisions
            .into_iter()
            .map(|found| AgreedDecision {
                quote: quote_speaker(all, found.first, found.last),
                assent: found.assent.map(|at| quote_sentences(all, at, at)),
            })
            .collect(),
        questions: questions
            .into_iter()
            .map(|found| quote_speaker(all, found.first, found.last))
            .collect(),
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::{civil::date, tz::TimeZone};

    use super::*;

    fn said(start: f64, end: f64, text: &str) -> Segment {
        Segment {
            start: Some(start),
            end: Some(end),
            speaker: None,
            text: text.to_owned(),
            ..Segment::default()
        }
    }

    fn of(segments: &[Segment]) -> Extract {
        let attendee = |name: &str| Attendee {
            name: name.to_owned(),
            email: "x@example.com".to_owned(),
            role: None,
        };
        let attendees = [attendee("Ann Lee"), attendee("Bo Chen")];
        let recorded = date(2026, 11, 18).at(9, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        extract(&Talk { segments, attendees: &attendees, recorded })
    }

    #[test]
    fn words_that_were_not_understood_are_no_sentence() {
        let unclear = |start: f64| said(start, start + 1.0, crate::job::UNCLEAR);
        let found =
            of(&[said(0.0, 1.0, "We decided to buy a new printer for the office."), unclear(1.1)]);
        assert_eq!((found.decisions.len(), found.markdown().contains("unclear")), (1, false));
        assert_eq!(of(&[unclear(0.0)]).markdown(), "No words were understood in this recording.");
        assert_eq!(of(&[]).markdown(), "No speech was found in this recording.");
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

        - [ ] [00:00:15] **Bo Chen**: Bo, can you ask for three \<offers> by next Friday? (due 2026-11-27)

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
            said(
                0.0,
                5.0,
                "Wir haben gestern beschlossen, dass die Lieferung erst im Januar kommt.",
            ),
            said(
                6.0,
                9.0,
                "Die Lieferung kommt aus Hamburg und wird im Januar vom Lager in Kiel abgeholt.",
            ),
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

    /// Returns the extract of a sentence that is spoken in a conversation and is not answered.
    fn in_conversation(text: &str) -> Extract {
        in_answered_conversation(text, "Mm.")
    }

    fn in_answered_conversation(text: &str, answer: &str) -> Extract {
        let fillers = ["Hello.", "Hi Bo.", "Fine.", "Right.", "The weather is nice over here."];
        let fillers = (0_u8..)
            .zip(fillers)
            .map(|(at, filler)| said(f64::from(at) * 3.0, f64::from(at) * 3.0 + 1.0, filler));
        let sentence = [said(40.0, 45.0, text), said(46.0, 47.0, answer)];
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
            "I'll check.",
            "You'll get an answer from the gardener.",
            "I will open our weekly meeting.",
            "I'll let you do your presentation.",
            "I'll move this one.",
            "I'll add it later, I guess.",
            "I will take this opportunity to thank the gardeners.",
            "She goes \"okay, I'll send the letter\" all day.",
            "Could you answer, please?",
            "Can you do one more round?",
            "Can you confirm that the door is open?",
            "Let me clarify that the people who were here before March 15 may stay.",
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
            (
                "Ann Lee needs to check the contract before the third of December.",
                "Ann Lee",
                "2026-12-03",
            ),
            ("Action item for Ann, order new chairs.", "Ann Lee", ""),
            ("I'll send it in two weeks.", "", "2026-12-02"),
            ("The report needs to be done by next Tuesday.", "", "2026-11-24"),
            ("Somebody has to call the landlord.", "", ""),
            ("The next step is to write the offer.", "", ""),
            ("Let me find out and get back to you tomorrow.", "", "2026-11-19"),
            ("Could you please send us the slides?", "", ""),
            ("So tomorrow I'll call the bank.", "", "2026-11-19"),
            ("I'll be putting the plans into the garden folder.", "", ""),
            (
                "For our Sales Manager, you're gonna be thinking about the prices.",
                "Sales Manager",
                "",
            ),
            ("And the garden designer to work on the paths.", "Garden Designer", ""),
            ("For the next meeting we need to check the price of the paint.", "", ""),
            ("For the next meeting you're going to be preparing the paint.", "", ""),
            ("I'll write to the people who were covered before March 15.", "", ""),
            (
                "I have a question, but first, Bo, would you mind closing the ticket today?",
                "Bo Chen",
                "2026-11-18",
            ),
        ] {
            let found = in_conversation(text).actions;
            let [action] = found.as_slice() else { panic!("{text}: {found:?}") };
            let day = action.due.map(|day| day.to_string()).unwrap_or_default();
            assert_eq!(
                (action.owner.as_deref().unwrap_or_default(), day.as_str()),
                (owner, due),
                "{text}"
            );
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
            "It was agreed that the office closes at five.",
            "The decision is to wait.",
            "The budget is approved.",
            "We settled on Lisbon.",
            "We're sticking with the current supplier.",
            "From now on the door stays locked.",
            "We've agreed on forty euros.",
            "The green one it is.",
            "Decision: the door stays locked.",
            "The company's decided that the old model goes.",
        ] {
            let found = in_conversation(text).decisions;
            assert_eq!(found.len(), 1, "{text}");
        }
    }

    #[test]
    fn what_somebody_only_proposes_needs_a_yes() {
        for text in [
            "Okay, let's go with the blue paint for the door.",
            "We'll ship the brochure without the map.",
            "We are not going to renew the lease of the garage.",
            "So we keep the name of the brochure.",
            "We'll stick with the present supplier.",
            "Shall we agree to paint the door blue?",
            "I suggest that we paint the door blue.",
        ] {
            let proposal = in_conversation(text).decisions;
            assert!(proposal.is_empty(), "{text}: {proposal:?}");
            let agreed = in_answered_conversation(text, "Yeah, good idea.").decisions;
            let [decision] = agreed.as_slice() else { panic!("{text}: {agreed:?}") };
            let assent = decision.assent.as_ref().map(|quote| quote.text.as_str());
            assert_eq!((decision.quote.text.as_str(), assent), (text, Some("Yeah, good idea.")));
        }
    }

    #[test]
    fn talk_about_the_meeting_and_broken_speech_settle_nothing() {
        for text in [
            "Let's move on to the next slide of the presentation.",
            "We're gonna have thirty minutes of working on the plans.",
            "We'll go now to Mr. Lee of the garden committee.",
            "Let's just go with the door of the",
            "Let's go.",
        ] {
            let found = in_answered_conversation(text, "Yeah, good idea.").decisions;
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn that_is_quoted_with_what_it_means() {
        let lines = [
            "Hello.",
            "Hi Bo.",
            "We paint the door blue and the window white.",
            "Shall we do that?",
            "Yes.",
        ];
        let speakers = ["Bo", "Ann", "Bo", "Bo", "Ann"];
        let segments: Vec<Segment> = lines
            .iter()
            .zip(speakers)
            .map(|(text, speaker)| Segment {
                speaker: Some(speaker.to_owned()),
                ..said(1.0, 2.0, text)
            })
            .collect();
        let quotes: Vec<String> =
            of(&segments).decisions.into_iter().map(|decision| decision.quote.text).collect();
        assert_eq!(quotes, ["We paint the door blue and the window white. Shall we do that?"]);
    }

    #[test]
    fn fillers_count_for_nothing_and_are_not_quoted() {
        let found =
            in_conversation("Um, so we uh we decided to to paint the door of the shed blue.")
                .decisions;
        assert_eq!(found[0].quote.text, "so … we decided … to paint the door of the shed blue.");
    }

    #[test]
    fn listening_and_address_are_no_topics() {
        let lines = "Mm-hmm. Mr. Chair, the paint is dry. Uh-huh. Madam Chair, the shed needs paint. Mm-hmm. The key of the shed \
            is lost. Yup. Mr. Chair, the paint of the shed and the key. Uh-huh. The key, 'cause the paint is wet.";
        let found = of(&[said(0.0, 60.0, lines)]);
        assert!(
            ["paint", "shed", "key"]
                .iter()
                .all(|topic| found.topics.contains(&(*topic).to_owned())),
            "{found:?}"
        );
        assert_eq!(found.topics.len(), 3, "{:?}", found.topics);
    }

    #[test]
    fn a_section_that_is_empty_says_so() {
        let notes = in_conversation("The shed has a door and a window.").markdown();
        for line in [
            "## Decisions\n\nNo decision was said in so many words.",
            "## Action items\n\nNo task was taken on in so many words.",
            "## Open questions\n\nNo question was left open in so many words.",
        ] {
            assert!(notes.contains(line), "{line}: {notes}");
        }
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
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % below
        };
        let grammar =
            ["the", "and", "we", "to", "of", "is", "that", "it", "you", "have", "for", "this"];
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
                next(far)
                    .to_string()
                    .bytes()
                    .map(|digit| char::from(digit - b'0' + b'k'))
                    .collect::<String>()
                    + "ab"
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
