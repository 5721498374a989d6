//! Decisions, actions and open questions, each with the words that say it.

use super::{
    notes::add_part,
    vault::{Vault, person_markdown},
};
use crate::{
    job::{Item, ItemKind},
    text::{escape_markdown, escape_start, format_clock},
};

/// The sections, in their order.
const SECTIONS: [(ItemKind, &str); 3] = [
    (ItemKind::Decision, "Decisions"),
    (ItemKind::Action, "Action items"),
    (ItemKind::Question, "Open questions"),
];

/// Writes the sections of items; one without an item is left out.
pub(super) fn write_items(out: &mut String, items: &[Item], vault: Option<&Vault>) {
    for (kind, heading) in SECTIONS {
        let lines: Vec<String> = items
            .iter()
            .filter(|item| item.kind == kind)
            .map(|item| item_lines(item, vault))
            .collect();
        if !lines.is_empty() {
            add_part(out, &format!("## {heading}"));
            add_part(out, &lines.join("\n"));
        }
    }
}

/// Returns an item with its quote below it.
fn item_lines(item: &Item, vault: Option<&Vault>) -> String {
    let mut words = Vec::new();
    if item.kind == ItemKind::Action {
        words.push("[ ]".to_owned());
        words.extend(
            item.owner.as_deref().map(|owner| format!("**{}**:", person_markdown(owner, vault))),
        );
    }
    words.push(escape_start(&escape_markdown(&item.text)));
    words.extend(item.due.as_deref().map(|due| format!("(due {})", escape_markdown(due))));
    words.extend(item.check.then(|| "(check)".to_owned()));
    let time = item.quote.at.and_then(format_clock).map(|time| format!("[{time}]"));
    let speaker =
        item.quote.speaker.as_deref().map(|name| format!("**{}:**", person_markdown(name, vault)));
    let said = if time.is_none() && speaker.is_none() {
        escape_start(&escape_markdown(&item.quote.text))
    } else {
        escape_markdown(&item.quote.text)
    };
    let quote: Vec<String> = [time, speaker, Some(said)].into_iter().flatten().collect();
    format!("- {}\n  > {}", words.join(" "), quote.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ItemQuote;

    fn item(kind: ItemKind, text: &str) -> Item {
        let quote = ItemQuote {
            at: Some(842.0),
            speaker: Some("Speaker 2".into()),
            text: "agreed, <b>we</b> send it".into(),
        };
        Item {
            kind,
            text: text.into(),
            owner: None,
            due: None,
            check: false,
            quote,
            lines: vec![3],
        }
    }

    #[test]
    fn each_item_has_its_quote_and_what_is_doubtful_says_so() {
        let action = Item {
            owner: Some("Ann *Lee*".into()),
            due: Some("2026-12-04".into()),
            ..item(ItemKind::Action, "write to the customers")
        };
        let question = Item { check: true, ..item(ItemKind::Question, "1. Who pays?") };
        let bare = ItemQuote { at: None, speaker: None, text: "# no time".into() };
        let untimed = Item { quote: bare, ..item(ItemKind::Decision, "<script> goes") };
        let mut out = "# Talk".to_owned();
        write_items(
            &mut out,
            &[item(ItemKind::Decision, "The list goes out."), untimed, action, question],
            None,
        );
        insta::assert_snapshot!(out, @r"
        # Talk

        ## Decisions

        - The list goes out.
          > [00:14:02] **Speaker 2:** agreed, \<b>we\</b> send it
        - \<script> goes
          > \# no time

        ## Action items

        - [ ] **Ann \*Lee\***: write to the customers (due 2026-12-04)
          > [00:14:02] **Speaker 2:** agreed, \<b>we\</b> send it

        ## Open questions

        - 1\. Who pays? (check)
          > [00:14:02] **Speaker 2:** agreed, \<b>we\</b> send it
        ");
    }
}
