//! Markdown as HTML for a mail: no raw HTML, no images, no link that runs something.

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};

use super::markdown::{is_safe_target, parser_options};

/// Returns `markdown` as an HTML fragment. Raw HTML is shown as text, images are their descriptions (a picture that is
/// fetched tells its server who reads), and only links to `http`, `https` and `mailto` stay links.
pub(in crate::delivery) fn html_fragment(markdown: &str) -> String {
    let mut kept: Vec<bool> = Vec::new();
    let events = Parser::new_ext(markdown, parser_options())
        .filter_map(|event| keep_harmless(event, &mut kept));
    let mut out = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

/// `kept` says of each open link whether its tag was written. Images and unsafe links lose the tag and keep the text.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, not ours: what is not named is harmless"
)]
fn keep_harmless<'a>(event: Event<'a>, kept: &mut Vec<bool>) -> Option<Event<'a>> {
    if let Event::Html(raw) | Event::InlineHtml(raw) = event {
        return Some(Event::Text(raw));
    }
    if let Event::TaskListMarker(is_done) = event {
        // A field of a form has no name that could be read out, and many mail programs leave it out.
        return Some(Event::Text(if is_done { "☑ " } else { "☐ " }.into()));
    }
    match &event {
        Event::Start(Tag::Link { dest_url, link_type, .. }) => {
            // An address in angle brackets has no scheme; the writer of the page gives it one.
            let safe = *link_type == LinkType::Email || is_safe_target(dest_url, false);
            kept.push(safe);
            safe.then_some(event)
        }
        Event::End(TagEnd::Link) => kept.pop().unwrap_or(false).then_some(event),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        _ => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_or_fetches_is_left() {
        let html = html_fragment(concat!(
            "<script>alert(1)</script>\n\n",
            "<img src=x onerror=alert(1)> **bold**\n\n",
            "[run](javascript:alert(1)) [Run](JaVa&Tab;script:x) [data](data:text/html,x) [here](#x)\n\n",
            "![pixel](https://tracker.example/p.gif) [page](https://example.com/?a=1&b=\"2) <ann@example.com>\n",
        ));
        insta::assert_snapshot!(html, @r#"
        &lt;script&gt;alert(1)&lt;/script&gt;
        <p>&lt;img src=x onerror=alert(1)&gt; <strong>bold</strong></p>
        <p>run Run data here</p>
        <p>pixel <a href="https://example.com/?a=1&amp;b=%222">page</a> <a href="mailto:ann@example.com">ann@example.com</a></p>
        "#);
    }
}
