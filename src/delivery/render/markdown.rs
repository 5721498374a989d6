//! Service Markdown, kept and made safe: nothing in it can run, hide, or break out of its section.

mod active;

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::text::{strip_controls, strip_to_line};

/// Returns the dialect that notes are read in: what services write and what viewers commonly know.
pub(in crate::delivery) fn parser_options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Returns a service's Markdown as the content of a section: safe, without a leading heading that only repeats
/// `heading`, and with its own headings at level `floor` or deeper. It ends without a line end.
pub(in crate::delivery) fn section_content(markdown: &str, heading: &str, floor: usize) -> String {
    let safe = make_safe(&active::without_templates(&strip_controls(markdown)));
    let fitted = fit_headings(without_leading_heading(&safe, heading), floor);
    fence_closed(fitted.trim_matches('\n').trim_end())
}

/// Returns whether a link may point there: `http`, `https` and `mailto`; without a scheme as `relative` says.
pub(in crate::delivery) fn is_safe_target(target: &str, relative: bool) -> bool {
    // Browsers skip white space and control characters inside a scheme.
    let target: String = target.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    // `//host/x` and `\\host\x`: a viewer asks that host, and Windows signs in there. A single backslash may be what is left
    // of two, for a viewer that takes the target as it is written.
    if target.starts_with('\\') || target.starts_with("//") || target.starts_with("/\\") {
        return false;
    }
    match target.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        Some(_) | None => relative,
    }
}

/// Returns whether the source of a link or a definition has a target that begins with a backslash as it is written: some
/// viewers take it so, and find a path to a host where Markdown finds one of the file.
fn has_backslashed_target(source: &str) -> bool {
    let targets = ["](", "]:"].into_iter().flat_map(|begin| source.match_indices(begin));
    targets.map(|(at, begin)| &source[at + begin.len()..]).any(|target| {
        target
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '<' | '>'))
            .starts_with('\\')
    })
}

/// A stretch of the text and what replaces it.
type Edit = (Range<usize>, Cow<'static, str>);

/// Returns the text with all edits, which are in order and do not overlap. In one pass: a hostile text may need a
/// million of them.
fn apply_edits(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + 4 * edits.len());
    let mut done = 0;
    for (range, replacement) in edits {
        out.push_str(&text[done..range.start]);
        out.push_str(replacement);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Neutralising one thing may uncover another that it had swallowed; text that needs more rounds than this was made to.
const ROUNDS_MAX: usize = 16;

fn make_safe(markdown: &str) -> String {
    let mut text = markdown.to_owned();
    for _ in 0..ROUNDS_MAX {
        let edits = find_dangers(&text);
        if edits.is_empty() {
            return text;
        }
        text = apply_edits(&text, &edits);
    }
    text.replace('<', "&lt;").replace('[', "&#91;")
}

/// Finds the edits that disarm raw HTML, links that run something and images, in order, none twice.
///
/// An image becomes a link: a viewer that fetches it would tell its server who reads.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, not ours: what is not named is harmless"
)]
fn find_dangers(text: &str) -> Vec<Edit> {
    let mut code: Vec<Range<usize>> = Vec::new();
    let mut edits: Vec<Edit> = Vec::new();
    let events = Parser::new_ext(text, parser_options()).into_offset_iter();
    for (_, definition) in events.reference_definitions().iter() {
        let is_backslashed = has_backslashed_target(&text[definition.span.clone()]);
        if is_backslashed || !is_safe_target(&definition.dest, true) {
            edits.extend(bracket_in(text, &definition.span));
        }
    }
    for (event, range) in events {
        match event {
            Event::Code(inside) => {
                edits.extend(active::break_inline(text, &range, &inside));
                code.push(range);
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                if let CodeBlockKind::Fenced(info) = &kind {
                    edits.extend(active::break_fence(text, &range, info));
                }
                code.push(range);
            }
            Event::Start(Tag::Link { link_type: LinkType::Autolink | LinkType::Email, .. }) => {}
            Event::Start(Tag::Link { dest_url, .. })
                if !is_safe_target(&dest_url, true)
                    || has_backslashed_target(&text[range.clone()]) =>
            {
                edits.extend(bracket_in(text, &range));
            }
            Event::Start(Tag::Image { .. }) => {
                edits.push((range.start..range.start + 1, "".into()));
            }
            _ => {}
        }
    }
    edits.extend(find_tags(text, &code));
    edits.extend(active::break_marks(text, |at| in_ranges(&code, at)));
    edits.sort_by_key(|(range, _)| range.start);
    edits.dedup_by_key(|(range, _)| range.start);
    edits
}

/// The edit that makes the first bracket of a link a plain character.
fn bracket_in(text: &str, range: &Range<usize>) -> Option<Edit> {
    let at = range.start + text[range.clone()].find('[')?;
    Some((at..at, "\\".into()))
}

/// Returns whether a place lies in one of these ranges, which are in order.
fn in_ranges(ranges: &[Range<usize>], at: usize) -> bool {
    let before = ranges.partition_point(|range| range.start <= at);
    before > 0 && at < ranges[before - 1].end
}

/// Finds the edits that make each `<` outside code that begins a tag a plain character. `code` is
/// in order.
fn find_tags(text: &str, code: &[Range<usize>]) -> Vec<Edit> {
    let begins = |at: usize| {
        text.as_bytes()
            .get(at + 1)
            .is_some_and(|next| next.is_ascii_alphabetic() || b"/!?\\".contains(next))
    };
    text.match_indices('<')
        .map(|(at, _)| at)
        .filter(|at| begins(*at) && !in_ranges(code, *at) && !is_safe_autolink(&text[at + 1..]))
        .map(|at| (at..at + 1, "&lt;".into()))
        .collect()
}

/// Returns whether what follows a `<` is an address or a web link up to its `>`, and nothing else.
fn is_safe_autolink(rest: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "><\"'`\\".contains(c);
    let Some(end) = rest.find(ends).filter(|end| rest[*end..].starts_with('>')) else {
        return false;
    };
    let inside = &rest[..end];
    let is_address = inside.split_once('@').is_some_and(|(local, domain)| {
        let plain = |part: &str, more: &[u8]| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        plain(local, b".+_-") && plain(domain, b".-")
    });
    is_address || ["http://", "https://", "mailto:"].iter().any(|scheme| inside.starts_with(scheme))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, not ours: what is not named is not shown"
)]
fn without_leading_heading<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let mut events = Parser::new_ext(markdown, parser_options()).into_offset_iter();
    let Some((Event::Start(Tag::Heading { .. }), range)) = events.next() else { return markdown };
    let mut shown = String::new();
    for (event, _) in
        events.take_while(|(event, _)| !matches!(event, Event::End(TagEnd::Heading(_))))
    {
        match event {
            Event::Text(text) | Event::Code(text) => shown.push_str(&text),
            Event::SoftBreak | Event::HardBreak => shown.push(' '),
            _ => {}
        }
    }
    let same = strip_to_line(&shown).to_lowercase() == strip_to_line(heading).to_lowercase();
    if same { &markdown[range.end..] } else { markdown }
}

/// Moves all headings down together until the highest is at `floor`.
fn fit_headings(markdown: &str, floor: usize) -> String {
    let headings: Vec<(usize, Range<usize>)> = Parser::new_ext(markdown, parser_options())
        .into_offset_iter()
        .filter_map(|(event, range)| {
            if let Event::Start(Tag::Heading { level, .. }) = event {
                Some((level as usize, range))
            } else {
                None
            }
        })
        .collect();
    let highest = headings.iter().map(|(level, _)| *level).min().unwrap_or(floor);
    let by = floor.saturating_sub(highest);
    if by == 0 {
        return markdown.to_owned();
    }
    let moved = |(level, range): (usize, Range<usize>)| {
        let heading = moved_heading(&markdown[range.clone()], (level + by).min(DEEPEST));
        (range, heading.into())
    };
    apply_edits(markdown, &headings.into_iter().map(moved).collect::<Vec<_>>())
}

/// Markdown has no headings below this.
const DEEPEST: usize = 6;

fn moved_heading(source: &str, level: usize) -> String {
    let marks = "#".repeat(level);
    let trimmed = source.trim_start();
    if trimmed.starts_with('#') {
        return format!("{marks}{}", trimmed.trim_start_matches('#'));
    }
    // Underlined: the last line is the underline. A heading of several lines may run through a quote; it stays.
    let mut lines = trimmed.trim_end().lines();
    match (lines.next(), lines.next(), lines.next()) {
        (Some(text), Some(_), None) => format!("{marks} {text}\n"),
        _ => source.to_owned(),
    }
}

/// Closes a code block that the text leaves open, so that it does not swallow what follows.
fn fence_closed(markdown: &str) -> String {
    const PROBE: &str = "\n\nprobe";
    let mut text = markdown.to_owned();
    let probed = format!("{markdown}{PROBE}");
    let open =
        Parser::new_ext(&probed, parser_options()).into_offset_iter().find(|(event, range)| {
            let fenced = matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))));
            fenced && range.end > markdown.len() + 2
        });
    if let Some((_, range)) = open {
        let fence = probed[range.start..].trim_start();
        let mark = fence.chars().next().unwrap_or('`');
        let length = fence.chars().take_while(|character| *character == mark).count();
        write!(text, "\n{}", mark.to_string().repeat(length))
            .expect("a String takes what is written");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::escape_markdown;

    fn note(markdown: &str) -> String {
        section_content(markdown, "Weekly", 2)
    }

    #[test]
    fn raw_html_becomes_text_and_code_stays_code() {
        insta::assert_snapshot!(note(concat!(
            "A <script>alert(1)</script> and <b onclick=x>bold</b>, 1 < 2, <!-- hidden -->\n\n",
            "Keep `<script>` and <https://example.com/a?b> and <ann@example.com>, not <javascript:alert(1)>.\n\n",
            "```html\n<script>\n```\n\n<iframe src=x\n",
        )), @"
        A &lt;script>alert(1)&lt;/script> and &lt;b onclick=x>bold&lt;/b>, 1 < 2, &lt;!-- hidden -->

        Keep `<script>` and <https://example.com/a?b> and <ann@example.com>, not &lt;javascript:alert(1)>.

        ```html
        <script>
        ```

        &lt;iframe src=x
        ");
    }

    #[test]
    fn links_that_run_something_are_no_links_any_more() {
        for link in [
            "[a](javascript:alert(1))",
            "[a](JAVASCRIPT:alert(1))",
            "[a](java&Tab;script:alert(1))",
            "[a](javascript&colon;alert(1))",
            "[a](&#x6a;avascript:alert(1))",
            "[a](<vbscript:x>)",
            "![a](data:image/svg+xml;base64,AAAA)",
            "[a][r]\n\n[r]: javascript:alert(1)",
            "[![a](data:x)](javascript:x)",
            "[a [b](javascript:x)](javascript:y)",
            "\\\\[a](javascript:x)",
        ] {
            let html = super::super::html::html_fragment(&note(link));
            assert!(!html.contains("href"), "{link} became {html}");
            assert!(!has_danger(&note(link)), "{link} became {}", note(link));
        }
        assert_eq!(
            note("[a](https://example.com) [b](#here)"),
            "[a](https://example.com) [b](#here)"
        );
    }

    #[test]
    fn an_image_becomes_a_link_so_that_nothing_is_fetched() {
        assert_eq!(
            note("![pixel](https://example.com/p.gif) !"),
            "[pixel](https://example.com/p.gif) !"
        );
        assert_eq!(
            note("![a][r] `![b](c)`\n\n[r]: //example.com/p.gif"),
            "[a][r] `![b](c)`\n\n\\[r]: //example.com/p.gif"
        );
        for image in
            ["!![a](b)", "[![a](b)](c)", "![a ![b](c)](d)", &format!("{}[a](b)", "!".repeat(40))]
        {
            assert!(!has_danger(&note(image)), "{image} became {}", note(image));
        }
    }

    #[test]
    fn html_that_hides_behind_other_html_is_found_too() {
        let shown = note("<a title=\"`\"> `<script>alert(1)</script>` x");
        assert!(!has_danger(&shown), "{shown}");
    }

    #[test]
    fn headings_stay_below_the_title_and_a_repeated_title_goes() {
        assert_eq!(note("# weekly\n\n# One\n\n## Two\ntext"), "## One\n\n### Two\ntext");
        assert_eq!(note("Title\n===\n\nSub\n---\n\nx"), "## Title\n\n### Sub\n\nx");
        assert_eq!(note("## Already\n\n### fine"), "## Already\n\n### fine");
        assert_eq!(note("###### deep\n\n# top"), "###### deep\n\n## top");
        assert_eq!(section_content("## Key points\n\n- one", "Key points", 3), "- one");
        assert_eq!(note("```\n# not a heading\n```"), "```\n# not a heading\n```");
    }

    #[test]
    fn an_open_code_block_does_not_swallow_what_follows() {
        assert_eq!(note("text\n\n````rust\ncode"), "text\n\n````rust\ncode\n````");
        assert_eq!(note("~~~\ncode\n~~~"), "~~~\ncode\n~~~");
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum, not ours: what is not named is harmless"
    )]
    fn has_danger(markdown: &str) -> bool {
        Parser::new_ext(markdown, parser_options()).any(|event| match event {
            Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. }) => true,
            Event::Start(Tag::Link { dest_url, .. }) => !is_safe_target(&dest_url, true),
            _ => false,
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum, not ours: what is not named has no text"
    )]
    fn shown(markdown: &str) -> String {
        let text = |event| match event {
            Event::Text(text) | Event::Code(text) => text.into_string(),
            _ => String::new(),
        };
        Parser::new_ext(markdown, parser_options()).map(text).collect()
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_service_can_write_markdown_that_runs(
            pieces in proptest::collection::vec(prop::sample::select(vec![
                "<", ">", "script", "<a href=\"", "\"", "`", "``", "```\n", "~~~\n", "\n", "\n\n", "    ", "- ", "> ", "[", "]",
                "(", ")", "](", "![", "javascript:", "data:x", "x", " ", "\\", "<!--", "-->", "&lt;", "[r]: ", "\t", "|", "<b>",
                "&Tab;", "#", "===", "---", "https://a.b", "@", "</", "*", "'", "=",
            ]), 0..40)
        ) {
            let made = note(&pieces.concat());
            prop_assert!(!has_danger(&made), "{}", made);
            let html = super::super::html::html_fragment(&made);
            prop_assert!(!html.contains("<script") && !html.contains("<a href=\"javascript"), "{}", html);
        }

        #[test]
        fn what_follows_a_section_is_never_swallowed(
            pieces in proptest::collection::vec(prop::sample::select(vec![
                "`", "```\n", "~~~\n", "~~~~", "\n", "\n\n", "    ", "- ", "> ", "<!--", "<pre>\n", "x", " ", "1. ", "```rust\n", "\t",
            ]), 0..30)
        ) {
            let made = format!("{}\n\n## After\n", note(&pieces.concat()));
            let last = Parser::new_ext(&made, parser_options()).filter(|event| matches!(event, Event::Start(Tag::Heading { .. }))).count();
            prop_assert!(last >= 1, "{}", made);
        }

        #[test]
        fn escaped_text_is_shown_as_it_was(text in "[ -~äß\n]{0,60}") {
            let text = format!("x{text}x");
            prop_assert_eq!(shown(&format!("# {}", escape_markdown(&text))), strip_to_line(&text));
            prop_assert_eq!(shown(&escape_markdown(&text)), strip_to_line(&text));
        }
    }
}
