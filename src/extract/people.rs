//! The people that spoken names mean: attendees by first name, last name, short forms and sound.

use super::{sentences::Sentence, words::Word};
use crate::{config::Attendee, text};

/// Everyone that a talk may name.
#[derive(Debug)]
pub(super) struct People {
    people: Vec<KnownPerson>,
    /// Names of people who are spoken to and are not on the list, lower case.
    addressed: Vec<String>,
}

#[derive(Debug)]
struct KnownPerson {
    name: String,
    /// The parts of the name, lower case, the first name first.
    parts: Vec<String>,
    /// The sound of the first name.
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
    /// Collects the attendees, the speakers, and the people who are spoken to by name.
    pub(super) fn new(attendees: &[Attendee], sentences: &[Sentence]) -> Self {
        let mut people: Vec<KnownPerson> = Vec::new();
        let speakers = sentences.iter().filter_map(|sentence| sentence.speaker.as_deref());
        for name in attendees.iter().map(|attendee| attendee.name.as_str()).chain(speakers) {
            let name = text::strip_to_line(name);
            let known = people.iter().any(|person| {
                person.name == name || person.parts.iter().any(|part| *part == name.to_lowercase())
            });
            if !known && !is_label(&name) && people.len() < PEOPLE_MAX {
                people.extend(KnownPerson::new(name));
            }
        }
        let addressed = addressed_names(sentences);
        Self { people, addressed }
    }

    /// Returns the full name of the person that a speaker's label means.
    pub(super) fn speaker_name(&self, label: &str) -> Option<String> {
        let lower = label.to_lowercase();
        let found =
            self.people.iter().find(|person| person.name == label || person.parts.contains(&lower));
        found.map(|person| person.name.clone())
    }

    /// Returns the person that a word means, if it is a name.
    pub(super) fn person_named(&self, word: &Word) -> Option<String> {
        let norm = word.norm.strip_suffix("'s").unwrap_or(&word.norm);
        if NEVER_NAMES.contains(&norm) {
            return None;
        }
        let exact: Vec<_> = self
            .people
            .iter()
            .filter(|person| person.parts.iter().any(|part| part == norm))
            .collect();
        match exact.as_slice() {
            // A name that is also a word (Will, Mark, Grace) is one where it has a capital.
            [one] if word.capital || !super::words::is_stop(norm) => return Some(one.name.clone()),
            // Two of them: the name as it was spoken.
            [_, _, ..] if word.capital => return Some(capitalise_first(norm)),
            _ => {}
        }
        if !word.capital {
            return None;
        }
        self.closest_name(norm).or_else(|| {
            self.addressed.iter().any(|name| name == norm).then(|| capitalise_first(norm))
        })
    }

    /// Returns the only person whose first name begins, is spelled or sounds like that.
    fn closest_name(&self, norm: &str) -> Option<String> {
        if super::words::is_stop(norm) {
            return None;
        }
        let sound = name_sound(norm);
        let mut found = self.people.iter().filter(|person| {
            let first = &person.parts[0];
            let short = norm.len() >= 3
                && first.len() >= 3
                && (first.starts_with(norm) || norm.starts_with(first.as_str()));
            let near =
                first.len() >= 5 && norm.len() >= 4 && strsim::osa_distance(first, norm) <= 1;
            short || near || person.sound == sound
        });
        found.next().filter(|_| found.next().is_none()).map(|person| person.name.clone())
    }
}

impl KnownPerson {
    fn new(name: String) -> Option<Self> {
        let parts: Vec<String> = name
            .split([' ', '.', '_'])
            .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
            .filter(|part| part.chars().count() > 1)
            .collect();
        let first = parts.first()?;
        Some(Self { sound: name_sound(first), name, parts })
    }
}

/// Returns whether a speaker has a number instead of a name: `Speaker 2`, `SPEAKER_00`.
fn is_label(name: &str) -> bool {
    let lower = name.to_lowercase();
    let kinds = ["speaker", "spk", "unknown", "channel", "participant", "person", "voice"];
    name.is_empty()
        || kinds.iter().any(|kind| lower.starts_with(kind))
        || !name.chars().any(char::is_alphabetic)
}

/// The most names that are kept of people who are not on any list.
const ADDRESSED_MAX: usize = 100;

/// Returns the names by which people are spoken to: "Priya, can you", "thanks, Priya".
fn addressed_names(sentences: &[Sentence]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for sentence in sentences {
        for (at, word) in sentence.words.iter().enumerate() {
            let next = sentence.words.get(at + 1);
            let asked = word.breaks
                && next
                    .is_some_and(|next| next.is_any(&["can", "could", "would", "please", "you"]));
            let before = at.checked_sub(1).map(|before| &sentence.words[before]);
            let greeted = before
                .is_some_and(|before| before.is_any(&["thanks", "hi", "hey", "hello", "morning"]))
                && word.breaks;
            let name = word.capital
                && !NEVER_NAMES.contains(&word.norm.as_str())
                && !super::words::is_stop(&word.norm);
            if (asked || greeted)
                && name
                && names.len() < ADDRESSED_MAX
                && !names.contains(&word.norm)
            {
                names.push(word.norm.clone());
            }
        }
    }
    names
}

fn capitalise_first(norm: &str) -> String {
    let mut rest = norm.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// Returns how a name sounds, roughly: the consonants, and the vowel at its begin and its end.
/// Recognised speech writes Beau for Bo, Anne for Ann, Shawn for Sean, Martha for Marta.
fn name_sound(name: &str) -> String {
    let mut letters = name.to_lowercase().replace("sch", "s");
    for (written, spoken) in [
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
        letters = letters.replace(written, spoken);
    }
    let letters: Vec<char> = letters.chars().collect();
    // An e at the end is silent, unless it is all there is.
    let end = if letters.len() > 2 && letters.ends_with(&['e']) {
        letters.len() - 1
    } else {
        letters.len()
    };
    let mut sound = String::new();
    for (at, letter) in letters[..end].iter().enumerate() {
        let outer = at == 0 || at + 1 == end;
        if (!"aeiou".contains(*letter) || outer) && !sound.ends_with(*letter) {
            sound.push(*letter);
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::{super::words::split_words, *};

    fn people() -> People {
        let people =
            ["Ann Lee", "Bo Chen", "Benjamin Moor", "Sean Murphy", "Marta Silva", "Will Hart"];
        let attendee =
            |name: &&str| Attendee { name: (*name).to_owned(), email: String::new(), role: None };
        People::new(&people.iter().map(attendee).collect::<Vec<_>>(), &[])
    }

    fn meant(word: &str) -> Option<String> {
        people().person_named(&split_words(word)[0])
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
        let two = ["Ann Lee", "Ann Park"].map(|name| Attendee {
            name: name.to_owned(),
            email: String::new(),
            role: None,
        });
        assert_eq!(
            People::new(&two, &[]).person_named(&split_words("Ann")[0]).as_deref(),
            Some("Ann")
        );
    }
}
