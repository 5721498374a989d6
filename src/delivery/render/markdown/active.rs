//! Active content that common viewers of Markdown run, fetch or fill in: blocks of queries, templates, macros.
//!
//! Each kind is broken in a way that a reader still sees what was written. The tests below are tables: a viewer that runs
//! something else gets a line there.

use std::{borrow::Cow, ops::Range};

use super::{Edit, is_safe_target};

/// Languages of code that no viewer runs: a block in any other is shown as text. Left out are those of queries (`dataview`,
/// `query`, `tasks`), of diagrams with links of their own (`mermaid`, `dot`), of pages (`js`, `tex`), and all in braces
/// (`{r}`, `{code-cell}`, `{=html}`).
const LANGUAGES: [&str; 39] = [
    "bash",
    "c",
    "cmake",
    "console",
    "cpp",
    "cs",
    "csharp",
    "csv",
    "diff",
    "dockerfile",
    "go",
    "html",
    "http",
    "ini",
    "java",
    "json",
    "kotlin",
    "log",
    "makefile",
    "markdown",
    "md",
    "patch",
    "php",
    "plain",
    "plaintext",
    "python",
    "ruby",
    "rust",
    "scala",
    "sh",
    "shell",
    "sql",
    "swift",
    "text",
    "toml",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// Beginnings of inline code that a viewer fills in: Dataview, R Markdown, Quarto.
const INLINE: [&str; 6] = ["=", "$=", "$ =", "dv", "r ", "{"];

/// Marks that are run wherever they stand, in code too: Templater, Jinja, Liquid, Hugo, Logseq. The second character is put off.
const TEMPLATES: [(&str, &str); 3] = [("<%", "< %"), ("{{", "{ {"), ("{%", "{ %")];

/// Marks outside code, with what breaks them: attributes of kramdown, of pandoc's spans and raw text, roles of `MyST`, embedded
/// notes of Obsidian.
const MARKS: [(&str, &str); 5] =
    [("{:", "{ :"), ("`{", "` {"), ("]{", "] {"), ("}`", "} `"), ("![[", "! [[")];

/// Beginnings of lines outside code that a viewer acts on: blocks of Org and Logseq, directives of
/// `MyST` and pandoc.
const LINES: [&str; 2] = ["#+", ":::"];

/// Returns the text without what is run wherever it stands.
pub(super) fn without_templates(text: &str) -> String {
    let mut text = text.to_owned();
    for (mark, broken) in TEMPLATES {
        // `{{{` holds the mark twice.
        while text.contains(mark) {
            text = text.replace(mark, broken);
        }
    }
    text
}

/// Returns the edit that shows a block of code as text, unless its language is one that no viewer
/// runs. What stands after the language may tell a viewer to run it.
pub(super) fn break_fence(text: &str, range: &Range<usize>, info: &str) -> Option<Edit> {
    if info.is_empty() || LANGUAGES.contains(&info.to_ascii_lowercase().as_str()) {
        return None;
    }
    let line = text[range.clone()].lines().next()?;
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let begin = line.len() - line.trim_start_matches(mark).len();
    let first = info.split_whitespace().next().unwrap_or_default();
    let is_known = LANGUAGES.contains(&first.to_ascii_lowercase().as_str());
    let shown = if is_known { first.to_owned() } else { "text".to_owned() };
    Some((range.start + begin..range.start + line.len(), shown.into()))
}

/// Returns the edit that keeps code in a line from being filled in.
pub(super) fn break_inline(text: &str, range: &Range<usize>, inside: &str) -> Option<Edit> {
    let inside = inside.trim_start();
    INLINE.iter().any(|begin| inside.starts_with(begin)).then(|| {
        let source = &text[range.clone()];
        let at = range.start + source.len() - source.trim_start_matches('`').len();
        (at..at, Cow::Borrowed("code: "))
    })
}

/// Returns the edits that break marks outside code.
pub(super) fn break_marks(text: &str, is_code: impl Fn(usize) -> bool) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (mark, broken) in MARKS {
        let found = text
            .match_indices(mark)
            .map(|(at, _)| at)
            .filter(|at| !is_code(*at) || !is_code(at + 1));
        edits.extend(found.map(|at| (at + 1..at + 1, broken[1..2].into())));
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at + line.len() - line.trim_start_matches([' ', '\t', '>', '-', '*']).len();
        if LINES.iter().any(|mark| text[begin..].starts_with(mark)) && !is_code(begin) {
            edits.push((begin..begin, "\\".into()));
        }
        at += line.len();
    }
    edits.extend(find_commands(text).filter(|at| !is_code(*at)).map(|at| (at..at, "\\".into())));
    edits.extend(wiki_links(text).filter(|at| !is_code(*at)).map(|at| (at..at, " ".into())));
    edits
}

/// The places between the brackets of wiki links that lead out of the notes: to a scheme (no note has a colon in its name),
/// or to a path from the root or of a host.
fn wiki_links(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices("[[").filter_map(|(begin, _)| {
        let rest = &text[begin..];
        let target = rest.trim_start_matches('[');
        let at = begin + rest.len() - target.len() - 1;
        let target = target.split(['\n', '|', ']']).next().unwrap_or_default().trim_start();
        let is_outside =
            target.contains(':') || target.starts_with('/') || !is_safe_target(target, true);
        is_outside.then_some(at)
    })
}

/// Finds the backslashes that begin a command of TeX, which pandoc runs in any text: `\input`.
/// Markdown itself escapes no letter, so that one more backslash shows the same.
fn find_commands(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let begins = |at: &usize| {
        let run = bytes[..=*at].iter().rev().take_while(|byte| **byte == b'\\').count();
        run % 2 == 1 && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
    };
    let places: Vec<usize> = text.match_indices('\\').map(|(at, _)| at).filter(begins).collect();
    places.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::section_content;

    fn note(markdown: &str) -> String {
        section_content(markdown, "Summary", 3)
    }

    #[test]
    fn what_a_viewer_would_run_is_shown_and_not_run() {
        for (written, shown) in [
            // Blocks.
            ("```dataviewjs\ndv.pages()\n```", "```text\ndv.pages()\n```"),
            ("```dataview\nLIST\n```", "```text\nLIST\n```"),
            ("~~~ dataviewjs\nx\n~~~", "~~~text\nx\n~~~"),
            ("````DataViewJS\nx\n````", "````text\nx\n````"),
            ("> ```dataviewjs\n> x\n> ```", "> ```text\n> x\n> ```"),
            ("- ```query\n  x\n  ```", "- ```text\n  x\n  ```"),
            ("```mermaid\nclick A \"javascript:x\"\n```", "```text\nclick A \"javascript:x\"\n```"),
            ("```{r}\nsystem('id')\n```", "```text\nsystem('id')\n```"),
            ("```{code-cell} python\nx\n```", "```text\nx\n```"),
            ("```{=html}\n<script>\n```", "```text\n<script>\n```"),
            ("```python {cmd=true}\nx\n```", "```python\nx\n```"),
            ("```js\nx\n```", "```text\nx\n```"),
            // Code in a line.
            ("`$= dv.pages()`", "`code: $= dv.pages()`"),
            ("`= this.file`", "`code: = this.file`"),
            ("`` =x ``", "``code:  =x ``"),
            ("`r system('id')`", "`code: r system('id')`"),
            ("`{python} x`", "`code: {python} x`"),
            // Templates, also in code.
            ("<% tp.system.prompt() %>", "< % tp.system.prompt() %>"),
            ("`<%* x %>`", "`< %* x %>`"),
            ("```\n<% x %>\n```", "```\n< % x %>\n```"),
            ("{{query x}} {{{x}}}", "{ {query x}} { { {x}}}"),
            ("{% include x %} {{< x >}}", "{ % include x %} { {< x >}}"),
            // Marks.
            ("x\n{: onclick=\"y\"}", "x\n{ : onclick=\"y\"}"),
            ("`<b>`{=html}", "`<b>` {=html}"),
            ("{eval}`1+1`", "{eval} `1+1`"),
            ("[x]{onclick=y}", "[x] {onclick=y}"),
            ("![[secret]]", "! [[secret]]"),
            // Lines.
            ("#+BEGIN_QUERY\nx", "\\#+BEGIN_QUERY\nx"),
            (":::{include} /etc/passwd\n:::", "\\:::{include} /etc/passwd\n\\:::"),
            ("\\input{/etc/passwd}", "\\\\input{/etc/passwd}"),
            // Targets.
            ("[x](\\\\\\\\host\\\\share)", "\\[x](\\\\\\\\host\\\\\\\\share)"),
            ("[x](//host/x)", "\\[x](//host/x)"),
            ("[x](/\\host/x)", "\\[x](/\\\\host/x)"),
            ("[x](\\\\host\\share)", ""),
            ("[x](\\host)", ""),
            ("[x](<\\\\\\host\\share>)", ""),
            ("[x]( \\/host/share)", ""),
            ("[x](&#92;&#92;host&#92;share)", ""),
            ("[x]: \\\\host\\share\n\n[x]", ""),
            ("<\\\\host\\share>", "&lt;\\\\host\\\\share>"),
            // Wiki links.
            ("[[file:///etc/passwd]]", "[ [file:///etc/passwd]]"),
            ("[[//host/share|x]]", "[ [//host/share|x]]"),
            ("[[\\\\host\\share]]", "[ [\\\\host\\\\share]]"),
            ("[[obsidian://open?vault=x]]", "[ [obsidian://open?vault=x]]"),
            ("a [[[/etc/passwd]]]", "a [[ [/etc/passwd]]]"),
            ("![[file:///x]]", "! [ [file:///x]]"),
        ] {
            if shown.is_empty() || written.starts_with("[x](") {
                assert!(note(written).starts_with("\\[x]"), "{written:?}: {:?}", note(written));
            } else {
                assert_eq!(note(written), shown, "{written:?}");
            }
            assert_eq!(note(&note(written)), note(written), "twice: {written:?}");
        }
    }

    #[test]
    fn what_no_viewer_runs_stays_as_it_is() {
        for written in [
            "```rust\nfn f() {}\n```",
            "```\nx = { y: [z]{1} }\n```",
            "`x = 1` and `y`",
            "a {b} c: 100 % of {x}",
            "a\\*b\\_c \\\\d",
            "`\\input`",
            "[x](https://example.com/a//b) [y](notes/a.md) [z](#a)",
            "C:\\\\ and #1 + 2",
            "[[Weekly sales]] [[notes/a|a]] [[#part]]",
            "`[[file:///x]]`",
            "[x](a\\_b) [y](a\\\\b)",
        ] {
            assert_eq!(note(written), written);
        }
    }
}
