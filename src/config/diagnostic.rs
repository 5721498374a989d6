//! Diagnostics: the mistakes of a config file, each with its place and its cure.

use std::{borrow::Cow, cell::RefCell, fmt, ops::Range, path::Path};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::text;

/// Mistakes that are shown in full; more are counted. A person mends a screenful at a time, and a
/// file of a megabyte may hold hundreds of thousands.
const SHOWN_MAX: usize = 50;

/// Columns of what is shown: longer source lines are cut around the mistake.
const COLUMNS: usize = 100;

/// The byte range of the file that a mistake is about.
pub(super) type Span = Range<usize>;

/// A mistake in a value, before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueError {
    /// The mistake: a lowercase fragment.
    pub(super) what: String,
    /// The cure: the text to write instead.
    pub(super) help: String,
}

impl ValueError {
    pub(super) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into() }
    }
}

/// A mistake at its place.
#[derive(Debug, Clone)]
pub(super) struct Diagnostic {
    span: Option<Span>,
    what: String,
    help: String,
    also: Option<(Span, &'static str)>,
}

impl Diagnostic {
    /// Returns a mistake in the text at `span`.
    pub(super) fn at_span(span: Span, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: Some(span), what: what.into(), help: help.into(), also: None }
    }

    /// Returns a mistake that has no place in the file, such as a missing table.
    pub(super) fn of_file(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: None, what: what.into(), help: help.into(), also: None }
    }

    /// Returns the mistake and its cure on one line, as a log has it.
    fn on_one_line(&self) -> String {
        let text = format!("{}; {}", self.what, self.help);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Points at a second place, such as the first of two equal names.
    pub(super) fn with_second_place(mut self, span: Span, label: &'static str) -> Self {
        self.also = Some((span, label));
        self
    }
}

/// The mistakes found so far; all readers share them, so that one reading finds every mistake.
#[derive(Debug, Default)]
pub(super) struct Diagnostics(RefCell<Vec<Diagnostic>>);

impl Diagnostics {
    /// Adds one.
    pub(super) fn add(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    /// Adds a mistake in the text at `span`, with its cure.
    pub(super) fn add_at(&self, span: Span, what: impl Into<String>, help: impl Into<String>) {
        self.add(Diagnostic::at_span(span, what, help));
    }

    /// Adds a mistake in the value at `span`.
    pub(super) fn add_error(&self, span: Span, error: ValueError) {
        self.add_at(span, error.what, error.help);
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Returns the mistakes in `source`, in the order of the file.
    pub(super) fn into_report(self, file: &Path, source: &str) -> DiagnosticReport {
        let mut diagnostics = self.0.into_inner();
        diagnostics.sort_by_key(|diagnostic| {
            diagnostic.span.as_ref().map_or(usize::MAX, |span| span.start)
        });
        // What stands in `[defaults]` is found wrong again for each folder.
        diagnostics.dedup_by(|a, b| a.span.is_some() && a.span == b.span && a.what == b.what);
        DiagnosticReport {
            file: text::printable_path(file),
            source: source.to_owned(),
            diagnostics,
        }
    }
}

/// The mistakes of a config file, ready to be shown.
pub(crate) struct DiagnosticReport {
    file: String,
    source: String,
    diagnostics: Vec<Diagnostic>,
}

impl DiagnosticReport {
    /// Returns the mistakes for a person, each with its place, its line and what to write instead.
    #[must_use]
    pub(crate) fn render(&self, colour: bool) -> String {
        let renderer =
            if colour { Renderer::styled() } else { Renderer::plain() }.term_width(COLUMNS);
        let source = PrintableSource::new(&self.source);
        let mut parts = vec![self.headline()];
        parts.extend(
            self.diagnostics
                .iter()
                .take(SHOWN_MAX)
                .map(|diagnostic| self.render_one(diagnostic, &source, &renderer)),
        );
        if let Some(more) = self.diagnostics.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            parts.push(format!("and {more} more"));
        }
        parts.join("\n\n")
    }

    /// Returns the mistakes for a log, each on a line of its own: where, and what.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let file = Path::new(&self.file)
            .file_name()
            .map_or(self.file.clone(), |name| name.to_string_lossy().into_owned());
        self.lines_of(file)
    }

    /// Returns each mistake with its cure, without its place: of a text that is not in a file yet.
    pub(crate) fn mistakes(&self) -> impl Iterator<Item = String> {
        self.diagnostics.iter().take(SHOWN_MAX).map(Diagnostic::on_one_line)
    }

    /// Returns the mistakes as [`Self::lines`], with the whole path of the file.
    pub(crate) fn lines_in_full(&self) -> impl Iterator<Item = String> {
        self.lines_of(self.file.clone())
    }

    fn lines_of(&self, file: String) -> impl Iterator<Item = String> {
        let more = self.diagnostics.len().saturating_sub(SHOWN_MAX);
        let shown =
            self.diagnostics.iter().take(SHOWN_MAX).map(move |diagnostic| match &diagnostic.span {
                Some(span) => {
                    let before = self.source.get(..span.start).unwrap_or_default();
                    format!(
                        "{file}:{}: {}",
                        1 + before.matches('\n').count(),
                        diagnostic.on_one_line()
                    )
                }
                None => format!("{file}: {}", diagnostic.on_one_line()),
            });
        shown.chain((more > 0).then(|| format!("and {more} more")))
    }

    fn headline(&self) -> String {
        match self.diagnostics.len() {
            1 => format!("the configuration `{}` has a mistake", self.file),
            count => format!("the configuration `{}` has {count} mistakes", self.file),
        }
    }

    fn render_one(
        &self,
        diagnostic: &Diagnostic,
        source: &PrintableSource<'_>,
        renderer: &Renderer,
    ) -> String {
        let title = Level::ERROR.primary_title(diagnostic.what.as_str());
        let group = match &diagnostic.span {
            Some(span) => title.element(self.snippet(span, diagnostic.also.as_ref(), source)),
            None => title.element(Origin::path(self.file.as_str())),
        };
        let report: &[Group<'_>] = &[group.element(Level::HELP.message(diagnostic.help.as_str()))];
        // The renderer pads to the width of the gutter, also where nothing follows.
        renderer.render(report).lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    fn snippet<'a>(
        &self,
        span: &Span,
        also: Option<&(Span, &'static str)>,
        source: &'a PrintableSource<'_>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let first = source.first_line_of(span);
        let second = also.map(|(span, label)| (source.first_line_of(span), *label));
        let ends = second.iter().map(|(span, _)| span).chain([&first]);
        let window = source.lines_around(
            ends.clone().map(|span| span.start).min(),
            ends.map(|span| span.end).max(),
        );
        let within = |span: Span| span.start - window.start..span.end - window.start;
        let second =
            second.map(|(span, label)| AnnotationKind::Context.span(within(span)).label(label));
        Snippet::source(&source.text[window.clone()])
            .line_start(1 + source.text[..window.start].matches('\n').count())
            .path(self.file.clone())
            .annotation(AnnotationKind::Primary.span(within(first)))
            .annotations(second)
    }
}

impl fmt::Debug for DiagnosticReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("file", &self.file)
            .field("mistakes", &self.diagnostics)
            .finish_non_exhaustive()
    }
}

/// The file as it is shown: with its control characters escaped, tabs and line ends aside.
struct PrintableSource<'a> {
    original: &'a str,
    text: Cow<'a, str>,
}

impl<'a> PrintableSource<'a> {
    fn new(original: &'a str) -> Self {
        Self { original, text: escape_controls(original) }
    }

    /// Returns where `span` stands in the shown text, cut at the end of its first line: a table is
    /// pointed at by its head.
    fn first_line_of(&self, span: &Span) -> Span {
        let start = self.original.floor_char_boundary(span.start);
        let end = self.original.floor_char_boundary(span.end).max(start);
        let line = self.original[start..end].split(['\r', '\n']).next().unwrap_or_default();
        self.shown_offset(start)..self.shown_offset(start + line.len())
    }

    /// Returns the range of the whole lines from `start` to `end`: the renderer reads its
    /// whole input.
    fn lines_around(&self, start: Option<usize>, end: Option<usize>) -> Span {
        let start = start.unwrap_or(0);
        let end = end.unwrap_or(0);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        line_start..self.text[end..].find('\n').map_or(self.text.len(), |at| end + at)
    }

    fn shown_offset(&self, original: usize) -> usize {
        let (before, after) = self.original.split_at(original);
        // Between the two halves of a line end: there the first is not shown.
        let before = if after.starts_with('\n') {
            before.strip_suffix('\r').unwrap_or(before)
        } else {
            before
        };
        escape_controls(before).len()
    }
}

fn escape_controls(source: &str) -> Cow<'_, str> {
    let lines = source.split_inclusive('\n').map(|line| {
        let (body, end) = match line.strip_suffix('\n') {
            Some(body) => (body.strip_suffix('\r').unwrap_or(body), "\n"),
            None => (line, ""),
        };
        body.split('\t').map(text::printable).collect::<Vec<_>>().join("\t") + end
    });
    let shown: String = lines.collect();
    if shown == source { Cow::Borrowed(source) } else { Cow::Owned(shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_log_is_one_line_however_long_its_list_is() {
        let diagnostics = Diagnostics::default();
        diagnostics.add(Diagnostic::at_span(
            0..1,
            "unknown key `x`",
            "known here: analyses,\nlanguage",
        ));
        diagnostics.add(Diagnostic::of_file("no folder", "add a\n  [[folder]]"));
        let report = diagnostics.into_report(Path::new("/c"), "x\n");
        let lines: Vec<String> = report.lines().collect();
        assert_eq!(
            lines,
            [
                "c:1: unknown key `x`; known here: analyses, language",
                "c: no folder; add a [[folder]]"
            ]
        );
    }

    #[test]
    fn control_characters_of_the_file_never_reach_the_screen_and_the_caret_stays_under_its_value() {
        let source = "name = \"\u{1b}[2J\u{202e}\u{9b}\" # \u{200b}\r\nkey = 1\r\n";
        let diagnostics = Diagnostics::default();
        let at = source.find("key").expect("there");
        diagnostics.add(Diagnostic::at_span(7..10, "first", "a"));
        diagnostics.add(Diagnostic::at_span(at..at + 3, "second", "b"));
        let shown = diagnostics.into_report(Path::new("/etc/a\u{7}.toml"), source).render(false);
        insta::assert_snapshot!(shown, @r#"
        the configuration `/etc/a\u{7}.toml` has 2 mistakes

        error: first
         --> /etc/a\u{7}.toml:1:8
          |
        1 | name = "\u{1b}[2J\u{202e}\u{9b}" # \u{200b}
          |        ^^^^^^^^
          |
          = help: a

        error: second
         --> /etc/a\u{7}.toml:2:1
          |
        2 | key = 1
          | ^^^
          |
          = help: b
        "#);
    }

    #[test]
    fn very_many_mistakes_are_counted_and_not_shown() {
        let diagnostics = Diagnostics::default();
        (0..1_000)
            .for_each(|at| diagnostics.add(Diagnostic::at_span(at..at + 1, "wrong", "right")));
        let shown = diagnostics.into_report(Path::new("/c"), &"x\n".repeat(1_000)).render(false);
        assert_eq!(shown.matches("error: wrong").count(), SHOWN_MAX);
        assert!(shown.ends_with("and 950 more"), "{shown}");
    }
}
