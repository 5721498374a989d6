//! Plain text as Markdown that looks the same: its paragraphs and lines are kept, and none of it
//! becomes markup. Pure.

use crate::text::{escape_markdown, strip_controls};

/// The end of a line inside a paragraph: the next line starts below it.
const HARD_BREAK: &str = "  \n";

/// Returns plain text as Markdown.
pub(super) fn to_markdown(text: &str) -> String {
    let text = strip_controls(text);
    let mut paragraphs: Vec<Vec<String>> = vec![Vec::new()];
    for line in text.lines() {
        let line = escape_line(line);
        match (line.is_empty(), paragraphs.last_mut()) {
            (false, Some(open)) => open.push(line),
            (true, Some(open)) if open.is_empty() => {}
            (_, Some(_) | None) => paragraphs.push(Vec::new()),
        }
    }
    let shown = paragraphs
        .into_iter()
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(HARD_BREAK));
    shown.collect::<Vec<_>>().join("\n\n")
}

/// Escapes the beginning of a line, so that it starts no list, quote, heading, rule or table.
fn escape_line(line: &str) -> String {
    let escaped = escape_markdown(line);
    if escaped.starts_with(['#', '>', '-', '+', '=', '|', ':']) {
        return format!("\\{escaped}");
    }
    let digits = escaped.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = escaped.split_at(digits);
    if digits > 0 && rest.starts_with(['.', ')']) { format!("{number}\\{rest}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    #[test]
    fn what_looks_like_markup_is_shown_as_it_is() {
        let text = "Summary\n=======\n# one *two*\n- three\n1. four\n\n\n> five\r\n| a | b |\n|:-|-|\n    code `x`\n<b>[x](y)</b>\n";
        insta::assert_snapshot!(to_markdown(text).replace("  \n", "··\n"), @r"
        Summary··
        \=======··
        \# one \*two\*··
        \- three··
        1\. four

        \> five··
        \| a | b |··
        \|:-|-|··
        code \`x\`··
        \<b>\[x\](y)\</b>
        ");
        assert_eq!(to_markdown(" \n\n"), "");
    }

    /// The text that Markdown shows, one line each; `None` where it shows anything but text.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's enum, not ours")]
    fn shown(markdown: &str) -> Option<String> {
        let mut out = String::new();
        for event in Parser::new_ext(
            markdown,
            Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
        ) {
            match event {
                Event::Text(text) => out.push_str(&text),
                Event::HardBreak => out.push('\n'),
                Event::Start(Tag::Paragraph) => {}
                Event::End(_) => out.push_str("\n\n"),
                _other => return None,
            }
        }
        Some(out)
    }

    proptest! {
        #![proptest_config(crate::budget::cases(512))]

        #[test]
        fn any_text_shows_itself_and_nothing_else(
            text in prop_oneof!["[a-z0-9#*_`~<>|=+:.()!&; \\-\\[\\]\\\\\n]{0,80}", "[\\PC\n]{0,60}"]
        ) {
            let bare = |text: &str| text.lines().map(crate::text::strip_to_line).filter(|line| !line.is_empty()).collect::<Vec<_>>();
            let shown = shown(&to_markdown(&text));
            prop_assert!(shown.is_some(), "{:?}", to_markdown(&text));
            prop_assert_eq!(bare(&shown.unwrap_or_default()), bare(&strip_controls(&text)), "{:?}", to_markdown(&text));
        }
    }
}
