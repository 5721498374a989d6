//! Notes for a vault of Obsidian: people as links, and the tags and aliases of the front matter. Pure.

use std::collections::BTreeSet;

use crate::{
    config::Attendee,
    job::SpeakerNames,
    text::{escape_markdown, strip_to_line},
};

/// The people and the tags of notes that lie in a vault.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vault {
    /// The tags of the folder, the folder's own name first.
    tags: Vec<String>,
    /// The names that become links: those of attendees, and those that a person gave to speakers. A label such as
    /// `Speaker 2` is nobody's name.
    people: BTreeSet<String>,
}

impl Vault {
    /// Makes the vault of a job's notes. `tags` are the folder's own, besides its name.
    pub(in crate::delivery) fn new(
        folder: &str,
        tags: &[String],
        attendees: &[Attendee],
        speakers: &SpeakerNames,
    ) -> Self {
        let mut all = vec![folder_tag(folder)];
        all.extend(tags.iter().filter(|tag| **tag != folder_tag(folder)).cloned());
        let people = attendees.iter().map(|person| person.name.as_str());
        let people = people.chain(speakers.iter().map(|(_, name)| name));
        Self { tags: all, people: people.map(strip_to_line).collect() }
    }

    /// Returns the tags.
    pub(super) fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// Returns the tag that a folder gives: its name. A tag has no dots and needs a character that is no digit.
fn folder_tag(folder: &str) -> String {
    let tag = strip_to_line(folder).replace('.', "-");
    if tag.bytes().all(|byte| byte.is_ascii_digit()) { format!("folder-{tag}") } else { tag }
}

/// Returns a name as Markdown: a link where the notes lie in a vault and the name is a person's, else text.
pub(super) fn person_markdown(name: &str, vault: Option<&Vault>) -> String {
    vault
        .filter(|vault| vault.people.contains(&strip_to_line(name)))
        .and_then(|_| wikilink(name))
        .unwrap_or_else(|| escape_markdown(name))
}

/// Returns the link to the page of a person; `None` for a name of which nothing remains. What would end the link, name
/// a part of a page or another directory, or be Markdown or the mark of a template, is no part of it.
pub(super) fn wikilink(name: &str) -> Option<String> {
    let is_kept = |c: char| !c.is_ascii_punctuation() || "'-.,()@".contains(c);
    let kept: String =
        strip_to_line(name).chars().map(|c| if is_kept(c) { c } else { ' ' }).collect();
    let page = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    // A page whose name begins with a dot is hidden.
    let page = page.trim_start_matches(['.', ' ']);
    page.contains(char::is_alphanumeric).then(|| format!("[[{page}]]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_link_and_nothing_else() {
        for (name, link) in [
            ("Ann Lee", Some("[[Ann Lee]]")),
            ("Zoë O'Neil-Ørsted, Jr.", Some("[[Zoë O'Neil-Ørsted, Jr.]]")),
            ("अनिल", Some("[[अनिल]]")),
            ("ann@example.com", Some("[[ann@example.com]]")),
            ("Ann]] <% tp %> [[../Bo|x#y^z", Some("[[Ann tp .. Bo x y z]]")),
            ("../../etc/passwd", Some("[[etc passwd]]")),
            ("![[secret]]", Some("[[secret]]")),
            ("`= 1`\n**b**{{x}}", Some("[[1 b x]]")),
            ("[]|#^", None),
            ("...", None),
            ("", None),
        ] {
            assert_eq!(wikilink(name).as_deref(), link, "{name}");
        }
    }

    #[test]
    fn only_people_who_are_known_by_name_are_linked() {
        let ann = Attendee { name: "Ann Lee".into(), email: "ann@example.com".into(), role: None };
        let mut speakers = SpeakerNames::default();
        speakers.assign("Speaker 2=Bo Chen", &["Speaker 2".to_owned()]).expect("a name");
        let vault = Vault::new("sales", &[], &[ann], &speakers);
        for (name, shown) in [
            ("Ann Lee", "[[Ann Lee]]"),
            ("Bo Chen", "[[Bo Chen]]"),
            ("Speaker 1", "Speaker 1"),
            ("[[Eve]]", r"\[\[Eve\]\]"),
        ] {
            assert_eq!(person_markdown(name, Some(&vault)), shown);
            assert_eq!(person_markdown(name, None), escape_markdown(name));
        }
    }

    #[test]
    fn the_tags_are_the_folder_and_its_own_each_once() {
        let tags = |folder| {
            let own = ["meeting".to_owned(), "sales".to_owned()];
            Vault::new(folder, &own, &[], &SpeakerNames::default()).tags
        };
        assert_eq!(tags("sales"), ["sales", "meeting"]);
        assert_eq!(tags("sales.eu"), ["sales-eu", "meeting", "sales"]);
        assert_eq!(tags("2026"), ["folder-2026", "meeting", "sales"]);
    }
}
