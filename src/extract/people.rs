//! Who is meant by a spoken name: attendees by first name, last name, short forms and how a name sounds.

use super::{sentences::Sentence, words::Word};
use crate::{config::Attendee, text};

/// Everyone whom a talk may name.
#[derive(Debug)]
pub(super) struct People {
    people: Vec<Person>,
    /// Names by which somebody who is not on the list is spoken to, lower case.
    addressed: Vec<String>,
}

#[derive(Debug)]
struct Person {
    name: String,
    /// The parts of the name, lower case, the first name first.
    parts: Vec<String>,
    /// How the first name sounds.
    sound: String,
}

/// The most people that are kept apart: a folder lists its attendees, a service its speakers.
const PEOPLE_MAX: usize = 200;

/// Words that sound or begin like a name and are none where they begin a sentence.
const NEVER_NAMES: [&str; 48] = [
    "i",
    "you",
    "we",
    "he",
    "she",
    "it",
    "they",
    "this",
    "that",
    "there",
    "what",
    "who",
    "which",
    "how",
    "when",
    "where",
    "why",
    "and",
    "but",
    "so",
    "then",
    "now",
    "also",
    "or",
    "if",
    "be",
    "by",
    "bye",
    "buy",
    "boy",
    "no",
    "yes",
    "yeah",
    "okay",
    "well",
    "sure",
    "right",
    "please",
    "the",
    "a",
    "an",
    "someone",
    "somebody",
    "everybody",
    "everyone",
    "anyone",
    "nobody",
    "people",
];

impl People {
    /// Takes the attendees, the speakers, and those who are spoken to by name.
    pub(super) fn of(attendees: &[Attendee], sentences: &[Sentence]) -> Self {
        let mut people: Vec<Person> = Vec::new();
        let speakers = sentences.iter().filter_map(|sentence| sentence.speaker.as_deref());
        for name in attendees.iter().map(|attendee| attendee.name.as_str()).chain(speakers) {
            let name = text::line(name);
            let known = people
                .iter()
                .any(|person| person.name == name || person.parts.iter().any(|part| *part == name.to_lowercase()));
            if !known && !is_label(&name) && people.len() < PEOPLE_MAX {
                people.extend(Person::new(name));
            }
        }
        let addressed = addressed(sentences);
        Self { people, addressed }
    }

    /// Returns the full name of the one that a speaker's label means.
    pub(super) fn speaker(&self, label: &str) -> Option<String> {
        let lower = label.to_lowercase();
        let found = self.people.iter().find(|person| person.name == label || person.parts.contains(&lower));
        found.map(|person| person.name.clone())
    }

    /// Returns who is meant by a word, if it is a name.
    pub(super) fn named(&self, word: &Word) -> Option<String> {
        let norm = word.norm.strip_suffix("'s").unwrap_or(&word.norm);
        if NEVER_NAMES.contains(&norm) {
            return None;
        }
        let exact: Vec<_> = self.people.iter().filter(|person| person.parts.iter().any(|part| part == norm)).collect();
        match exact.as_slice() {
            // A name that is also a word (Will, Mark, Grace) is one where it has a capital.
            [one] if word.capital || !super::words::is_stop(norm) => return Some(one.name.clone()),
            // Two of them: the name as it was spoken.
            [_, _, ..] if word.capital => return Some(capitalised(norm)),
            _ => {}
        }
        if !word.capital {
            return None;
        }
        self.like(norm).or_else(|| self.addressed.iter().any(|name| name == norm).then(|| capitalised(norm)))
    }

    /// The only one whose first name begins, is spelled or sounds like that.
    fn like(&self, norm: &str) -> Option<String> {
        if super::words::is_stop(norm) {
            return None;
        }
        let sound = sound(norm);
        let alike = |person: &&Person| {
            let first = &person.parts[0];
            let short =
                norm.len() >= 3 && first.len() >= 3 && (first.starts_with(norm) || norm.starts_with(first.as_str()));
            let near = first.len() >= 5 && norm.len() >= 4 && strsim::osa_distance(first, norm) <= 1;
            short || near || person.sound == sound
        };
        let mut found = self.people.iter().filter(alike);
        found.next().filter(|_| found.next().is_none()).map(|person| person.name.clone())
    }
}

impl Person {
    fn new(name: String) -> Option<Self> {
        let bare = |part: &str| part.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let parts: Vec<String> =
            name.split([' ', '.', '_']).map(bare).filter(|part| part.chars().count() > 1).collect();
        let first = parts.first()?;
        Some(Self { sound: sound(first), name, parts })
    }
}

/// Whether a speaker has a number instead of a name: `Speaker 2`, `SPEAKER_00`.
fn is_label(name: &str) -> bool {
    let lower = name.to_lowercase();
    let kinds = ["speaker", "spk", "unknown", "channel", "participant", "person", "voice"];
    name.is_empty() || kinds.iter().any(|kind| lower.starts_with(kind)) || !name.chars().any(char::is_alphabetic)
}

/// The most names that are kept of those who are not on any list.
const ADDRESSED_MAX: usize = 100;

/// The names by which somebody is spoken to: "Priya, can you", "thanks, Priya".
fn addressed(sentences: &[Sentence]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sentence in sentences {
        for (at, word) in sentence.words.iter().enumerate() {
            let next = sentence.words.get(at + 1);
            let asked =
                word.breaks && next.is_some_and(|next| next.is_any(&["can", "could", "would", "please", "you"]));
            let before = at.checked_sub(1).map(|before| &sentence.words[before]);
            let greeted =
                before.is_some_and(|before| before.is_any(&["thanks", "hi", "hey", "hello", "morning"])) && word.breaks;
            let name = word.capital && !NEVER_NAMES.contains(&word.norm.as_str()) && !super::words::is_stop(&word.norm);
            if (asked || greeted) && name && names.len() < ADDRESSED_MAX && !names.contains(&word.norm) {
                names.push(word.norm.clone());
            }
        }
    }
    names
}

fn capitalised(norm: &str) -> String {
    let mut rest = norm.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// Returns how a name sounds, roughly: the consonants, and the vowel at its begin and its end. Recognised speech writes
/// Beau for Bo, Anne for Ann, Shawn for Sean, Martha for Marta.
fn sound(name: &str) -> String {
    let mut letters = name.to_lowercase().replace("sch", "s");
    for (written, heard) in [
        ("ph", "f"),
        ("th", "t"),
        ("sh", "s"),
        ("ck", "k"),
        ("gh", ""),
        ("kn", "n"),
        ("wr", "r"),
        ("dg", "j"),
        ("eau", "o"),
        ("ough", "o"),
        ("oh", "o"),
        ("ow", "o"),
        ("oe", "o"),
        ("ah", "a"),
        ("aw", "o"),
        ("ey", "i"),
        ("ie", "i"),
        ("ee", "i"),
        ("ea", "i"),
        ("ay", "e"),
        ("ai", "e"),
        ("ce", "se"),
        ("ci", "si"),
        ("cy", "si"),
        ("ge", "je"),
        ("gi", "ji"),
        ("c", "k"),
        ("q", "k"),
        ("z", "s"),
        ("x", "ks"),
        ("y", "i"),
    ] {
        letters = letters.replace(written, heard);
    }
    let letters: Vec<char> = letters.chars().collect();
    let is_vowel = |letter: char| "aeiou".contains(letter);
    // An e at the end is silent, unless it is all there is.
    let end = if letters.len() > 2 && letters.ends_with(&['e']) { letters.len() - 1 } else { letters.len() };
    let mut sound = String::new();
    for (at, letter) in letters[..end].iter().enumerate() {
        let outer = at == 0 || at + 1 == end;
        if (!is_vowel(*letter) || outer) && !sound.ends_with(*letter) {
            sound.push(*letter);
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};

    fn people() -> People {
        let people = ["Ann Lee", "Bo Chen", "Benjamin Moor", "Sean Murphy", "Marta Silva", "Will Hart"];
        let attendee = |name: &&str| Attendee { name: (*name).to_owned(), email: String::new(), role: None };
        People::of(&people.iter().map(attendee).collect::<Vec<_>>(), &[])
    }

    fn meant(word: &str) -> Option<String> {
        people().named(&words(word)[0])
    }

    #[test]
    fn a_name_is_known_by_its_parts_its_short_form_and_its_sound() {
        for (spoken, name) in [
            ("Ann", "Ann Lee"),
            ("bo", "Bo Chen"),
            ("Chen", "Bo Chen"),
            ("Beau", "Bo Chen"),
            ("Anne", "Ann Lee"),
            ("Ben", "Benjamin Moor"),
            ("Shawn", "Sean Murphy"),
            ("Martha", "Marta Silva"),
            ("Will", "Will Hart"),
            ("Bo's", "Bo Chen"),
        ] {
            assert_eq!(meant(spoken).as_deref(), Some(name), "{spoken}");
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        for spoken in ["will", "But", "By", "Buy", "Bob", "Anton", "And", "Someone", "ben", "Be"] {
            assert_eq!(meant(spoken), None, "{spoken}");
        }
    }

    #[test]
    fn of_two_with_one_name_the_spoken_name_is_kept() {
        let two =
            ["Ann Lee", "Ann Park"].map(|name| Attendee { name: name.to_owned(), email: String::new(), role: None });
        assert_eq!(People::of(&two, &[]).named(&words("Ann")[0]).as_deref(), Some("Ann"));
    }
}
