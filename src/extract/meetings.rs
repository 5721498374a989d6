//! How good it is: precision and recall on the meetings of `tests/meetings/`, which are labelled by hand.
//!
//! Half of them are held out: their labels were written before the rules and no rule was written for them. Each half has
//! floors of its own. `cargo test --lib extract::meetings -- --nocapture` prints the figures; `MINUTED_MEETING=name`
//! prints what is found in one of them and what differs from its labels, `all` does it for those that are not held out.

use std::{collections::BTreeMap, fs, path::Path};

use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;

use super::{Extract, Talk, extract};
use crate::{config::Attendee, job::Segment};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meeting {
    manner: String,
    held_out: bool,
    recorded: toml::value::Datetime,
    attendees: Vec<String>,
    said: Vec<Said>,
}

/// A segment with what is to be found in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    from: f64,
    to: f64,
    by: Option<String>,
    text: String,
    #[serde(default)]
    decisions: Vec<String>,
    #[serde(default)]
    actions: Vec<Task>,
    #[serde(default)]
    questions: Vec<String>,
    /// What a reader might or might not list: neither right nor wrong.
    #[serde(default)]
    either: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    quote: String,
    owner: Option<String>,
    due: Option<toml::value::Datetime>,
}

/// What was found of what was there.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }

    fn precision(self) -> f64 {
        super::language::share(self.right, self.right + self.wrong)
    }

    fn recall(self) -> f64 {
        super::language::share(self.right, self.right + self.missed)
    }
}

type Scores = BTreeMap<&'static str, Score>;

fn meetings() -> Vec<(String, Meeting)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/meetings");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (
            name,
            toml::from_str(&fs::read_to_string(path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    };
    paths.iter().map(|path| read(path)).collect()
}

/// What is found, also where speech recognition knows neither speakers nor punctuation (`bare`).
fn found(meeting: &Meeting, bare: bool) -> Extract {
    let text = |text: &str| if bare { text.replace([',', '.', '?', '!', ':', ';'], "") } else { text.to_owned() };
    let segment = |said: &Said| Segment {
        start: Some(said.from),
        end: Some(said.to),
        speaker: said.by.clone().filter(|_| !bare),
        text: text(&said.text),
    };
    let segments: Vec<Segment> = meeting.said.iter().map(segment).collect();
    let attendee = |name: &String| Attendee { name: name.clone(), email: "x@example.com".to_owned(), role: None };
    let attendees: Vec<Attendee> = meeting.attendees.iter().map(attendee).collect();
    let recorded = date(&meeting.recorded).at(9, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    extract(&Talk { segments: &segments, attendees: &attendees, recorded })
}

fn date(date: &toml::value::Datetime) -> Date {
    date.to_string().parse().unwrap()
}

/// Whether a quote and a label mean the same words.
fn same(quote: &str, label: &str) -> bool {
    let bare = |text: &str| text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != ' ', "");
    let (quote, label) = (bare(quote), bare(label));
    quote.contains(&label) || label.contains(&quote)
}

fn score(quotes: &[&str], labels: &[&str], either: &[&str], story: &mut Vec<String>, kind: &str) -> Score {
    let mut score = Score::default();
    for quote in quotes {
        if labels.iter().any(|label| same(quote, label)) {
            score.right += 1;
        } else if !either.iter().any(|label| same(quote, label)) {
            score.wrong += 1;
            story.push(format!("{kind}: wrong: {quote}"));
        }
    }
    for label in labels.iter().filter(|label| !quotes.iter().any(|quote| same(quote, label))) {
        score.missed += 1;
        story.push(format!("{kind}: missed: {label}"));
    }
    score
}

/// Owners and days, of the actions that were found: what is given and is right, wrong, or is missing.
fn attributes<T: PartialEq + std::fmt::Debug>(
    pairs: &[(Option<T>, Option<T>)],
    story: &mut Vec<String>,
    kind: &str,
) -> Score {
    let mut score = Score::default();
    for (found, label) in pairs {
        match (found, label) {
            (Some(found), Some(label)) if found == label => score.right += 1,
            (None, None) => {}
            (found, label) => {
                score.wrong += usize::from(found.is_some());
                score.missed += usize::from(label.is_some());
                story.push(format!("{kind}: {found:?} instead of {label:?}"));
            }
        }
    }
    score
}

fn judge(meeting: &Meeting, extract: &Extract, story: &mut Vec<String>) -> Scores {
    let either: Vec<&str> = meeting.said.iter().flat_map(|said| &said.either).map(String::as_str).collect();
    let labelled =
        |pick: fn(&Said) -> &Vec<String>| meeting.said.iter().flat_map(pick).map(String::as_str).collect::<Vec<_>>();
    let tasks: Vec<&Task> = meeting.said.iter().flat_map(|said| &said.actions).collect();
    let decisions: Vec<&str> = extract.decisions.iter().map(|quote| quote.text.as_str()).collect();
    let questions: Vec<&str> = extract.questions.iter().map(|quote| quote.text.as_str()).collect();
    let actions: Vec<&str> = extract.actions.iter().map(|action| action.quote.text.as_str()).collect();
    let labels: Vec<&str> = tasks.iter().map(|task| task.quote.as_str()).collect();
    let pairs: Vec<_> = extract
        .actions
        .iter()
        .filter_map(|action| {
            tasks.iter().find(|task| same(&action.quote.text, &task.quote)).map(|task| (action, *task))
        })
        .collect();
    let owners: Vec<_> = pairs.iter().map(|(action, task)| (action.owner.clone(), task.owner.clone())).collect();
    let days: Vec<_> = pairs.iter().map(|(action, task)| (action.due, task.due.as_ref().map(date))).collect();
    BTreeMap::from([
        ("decisions", score(&decisions, &labelled(|said| &said.decisions), &either, story, "decision")),
        ("actions", score(&actions, &labels, &either, story, "action")),
        ("questions", score(&questions, &labelled(|said| &said.questions), &either, story, "question")),
        ("owners", attributes(&owners, story, "owner")),
        ("days", attributes(&days, story, "day")),
    ])
}

/// What each class reaches at least, precision and recall: of the meetings the rules were tried on, of the held out.
const FLOORS: [(&str, bool, f64, f64); 10] = [
    ("actions", false, 0.95, 0.95),
    ("days", false, 0.95, 0.95),
    ("decisions", false, 0.95, 0.95),
    ("owners", false, 0.95, 0.95),
    ("questions", false, 0.9, 0.9),
    ("actions", true, 0.95, 0.9),
    ("days", true, 0.95, 0.9),
    ("decisions", true, 0.9, 0.8),
    ("owners", true, 0.9, 0.9),
    ("questions", true, 0.8, 0.6),
];

/// The same where the transcript has neither speakers nor punctuation: what matters is that little is wrong.
const BARE_PRECISION_MIN: [(&str, f64); 2] = [("actions", 0.9), ("decisions", 0.85)];

#[test]
fn what_is_found_in_labelled_meetings_is_right_and_most_of_what_is_there() {
    let halves = measured(false);
    for (class, held_out, precision, recall) in FLOORS {
        let score = halves[&held_out][class];
        assert!(score.precision() >= precision && score.recall() >= recall, "{class}, held out: {held_out}: {score:?}");
    }
}

#[test]
fn without_speakers_and_punctuation_little_is_wrong() {
    let halves = measured(true);
    for (class, precision) in BARE_PRECISION_MIN {
        for scores in halves.values() {
            assert!(scores[class].precision() >= precision, "{class}: {:?}", scores[class]);
        }
    }
}

#[test]
fn a_lecture_and_a_story_hold_no_decision_and_no_task() {
    for (name, meeting) in meetings().iter().filter(|(name, _)| ["lecture", "radio"].contains(&name.as_str())) {
        for bare in [false, true] {
            let extract = found(meeting, bare);
            let sizes = [extract.decisions.len(), extract.actions.len(), extract.questions.len()];
            assert_eq!(sizes, [0, 0, 0], "{name}: {}", extract.markdown());
            assert!(!extract.summary.is_empty() && !extract.topics.is_empty(), "{name}");
        }
    }
}

/// The scores of both halves, held out or not; printed.
fn measured(bare: bool) -> BTreeMap<bool, Scores> {
    #[expect(clippy::disallowed_methods, reason = "the test's own variable, not minuted's")]
    let shown = std::env::var("MINUTED_MEETING").unwrap_or_default();
    let mut halves: BTreeMap<bool, Scores> = BTreeMap::new();
    for (name, meeting) in meetings() {
        let extract = found(&meeting, bare);
        let mut story = Vec::new();
        let scores = judge(&meeting, &extract, &mut story);
        if name == shown || (shown == "all" && !meeting.held_out) {
            let (title, story) = (&extract.title, story.join("\n"));
            println!("\n==== {name} ({}): {title:?}\n{}\n\n{story}", meeting.manner, extract.markdown());
        }
        for (class, score) in scores {
            halves.entry(meeting.held_out).or_default().entry(class).or_default().add(score);
        }
    }
    for (held_out, scores) in &halves {
        for (class, score) in scores {
            print(*held_out, bare, class, *score);
        }
    }
    halves
}

fn print(held_out: bool, bare: bool, class: &str, score: Score) {
    let half = if held_out { "held out" } else { "tried on" };
    let how = if bare { ", bare words" } else { "" };
    let Score { right, wrong, missed } = score;
    let (precision, recall) = (score.precision(), score.recall());
    println!(
        "{half}{how}: {class}: precision {precision:.2}, recall {recall:.2} ({right} right, {wrong} wrong, {missed} missed)"
    );
}
