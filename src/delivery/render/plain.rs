//! Markdown as plain text for a mail: what a person would have typed.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::markdown::parser_options;

/// Returns `markdown` as plain text without markup.
pub(in crate::delivery) fn plain_text(markdown: &str) -> String {
    let mut page = PlainPage::default();
    for event in Parser::new_ext(markdown, parser_options()) {
        page.handle_event(event);
    }
    format!("{}\n", page.out.trim_end())
}

/// Quotes and lists are shown nested as deeply as this. Markdown nests with two bytes, and each line would begin with
/// the marks of all levels: 100 KB of `- - - …` became 5 GB.
const DEPTH_SHOWN: usize = 16;

/// The text so far and where in it the reader is.
#[derive(Default)]
struct PlainPage {
    out: String,
    /// The open lists: the next number of each, `None` in a list with bullets.
    lists: Vec<Option<u64>>,
    quotes: usize,
    /// The start of the text of each open link, and its target.
    links: Vec<(usize, String)>,
    /// The start of the open heading, and its underline.
    heading: Option<(usize, char)>,
}

impl PlainPage {
    fn handle_event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::End(tag) => self.close_tag(tag),
            Event::Text(text)
            | Event::Code(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.write_text(&text),
            Event::SoftBreak => self.write_text(" "),
            Event::HardBreak => self.write_text("\n"),
            Event::Rule => {
                self.begin_block();
                self.out.push_str("----");
            }
            Event::TaskListMarker(done) => self.out.push_str(if done { "[x] " } else { "[ ] " }),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum, not ours: what is not named is no text of its own"
    )]
    fn open(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.begin_block();
                self.heading =
                    Some((self.out.len(), if level == HeadingLevel::H1 { '=' } else { '-' }));
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.begin_block();
                }
                self.lists.push(first);
            }
            Tag::Item => self.begin_item(),
            Tag::BlockQuote(_) => {
                self.begin_block();
                self.quotes += 1;
                self.out.push_str("> ");
            }
            Tag::Paragraph => self.begin_paragraph(),
            Tag::CodeBlock(_) | Tag::Table(_) | Tag::HtmlBlock => self.begin_block(),
            Tag::TableRow => self.begin_line(),
            Tag::TableCell if !self.out.ends_with('\n') => self.out.push_str("  "),
            Tag::Link { dest_url, .. } => self.links.push((self.out.len(), dest_url.into_string())),
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum, not ours: what is not named is no text of its own"
    )]
    fn close_tag(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                if let Some((start, underline)) = self.heading.take() {
                    let width = self.out[start..].chars().count();
                    self.out.push('\n');
                    self.out.extend(std::iter::repeat_n(underline, width));
                }
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::BlockQuote(_) => self.quotes = self.quotes.saturating_sub(1),
            TagEnd::Link => {
                if let Some((start, target)) = self.links.pop()
                    && self
                        .out
                        .get(start..)
                        .is_some_and(|shown| shown != target.trim_start_matches("mailto:"))
                {
                    self.write_text(&format!(" ({target})"));
                }
            }
            _ => {}
        }
    }

    /// Writes text; each line of a quote keeps its mark.
    fn write_text(&mut self, text: &str) {
        let mark = self.quote_marks();
        self.out.push_str(&text.replace('\n', &format!("\n{mark}")));
    }

    fn quote_marks(&self) -> String {
        "> ".repeat(self.quotes.min(DEPTH_SHOWN))
    }

    /// Begins a block after an empty line.
    fn begin_block(&mut self) {
        if !self.out.is_empty() {
            self.out.truncate(self.out.trim_end().len());
            self.out.push_str("\n\n");
        }
    }

    fn begin_line(&mut self) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn begin_item(&mut self) {
        self.begin_line();
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(DEPTH_SHOWN));
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}.", *number - 1)
            }
            Some(None) | None => "-".to_owned(),
        };
        self.out.extend([indent.as_str(), &mark, " "]);
    }

    fn begin_paragraph(&mut self) {
        let begun =
            self.out.ends_with("- ") || self.out.ends_with(". ") || self.out.ends_with("> ");
        if !begun {
            self.begin_block();
            let mark = self.quote_marks();
            self.out.push_str(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_nested_without_end_does_not_grow_without_end() {
        let quotes = format!("{} a{}", ">".repeat(5_000), "\\\nb".repeat(5_000));
        for nested in ["- ".repeat(5_000) + "a", quotes] {
            let shown = plain_text(&nested);
            assert!(
                shown.len() < 64 * nested.len(),
                "{} bytes became {}",
                nested.len(),
                shown.len()
            );
        }
    }

    #[test]
    fn notes_read_like_a_letter() {
        let shown = plain_text(concat!(
            "# Weekly\n\n> **Incomplete:** no sentiment\n\nA \\*star\\* and a [page](https://example.com).\nNext line.\n\n",
            "## Decisions\n\n- one\n- two\n  1. first\n  2. second\n- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n",
            "```\ncode <b>\n```\n\n<ann@example.com>\n",
        ));
        insta::assert_snapshot!(shown, @"
        Weekly
        ======

        > Incomplete: no sentiment

        A *star* and a page (https://example.com). Next line.

        Decisions
        ---------

        - one
        - two
          1. first
          2. second
        - [x] done

        a  b
        1  2

        code <b>

        ann@example.com
        ");
    }
}
