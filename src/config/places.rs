//! Directories that must keep apart: what one writes is never what another takes.
//!
//! Compared by their names alone, without asking the disk: a config is also checked where the
//! folders are not.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    folders::RawFolder,
    words::in_backticks,
};

/// Refuses folders inside one another, and the state or foreign notes inside folders.
pub(super) fn check_places(
    folders: &[RawFolder<'_>],
    state_dir: &Path,
    state_span: Option<&Span>,
    diagnostics: &Diagnostics,
) {
    let placed: Vec<(&RawFolder<'_>, &Spanned<PathBuf>)> =
        folders.iter().filter_map(|folder| Some((folder, folder.path.as_ref()?))).collect();
    for (index, (folder, path)) in placed.iter().enumerate() {
        for (earlier, earlier_path) in &placed[..index] {
            refuse_overlap((folder, path), (earlier, earlier_path), diagnostics);
        }
        refuse_state(folder, path, state_dir, state_span, diagnostics);
    }
    for folder in folders {
        let others = placed.iter().filter(|(other, _)| !std::ptr::eq(*other, folder));
        refuse_notes(folder, others.copied(), state_dir, diagnostics);
    }
}

type Placed<'a> = (&'a RawFolder<'a>, &'a Spanned<PathBuf>);

fn refuse_overlap(
    (folder, path): Placed<'_>,
    (earlier, earlier_path): Placed<'_>,
    diagnostics: &Diagnostics,
) {
    let inner = path.get_ref();
    let outer = earlier_path.get_ref();
    let how = if inner == outer {
        "is the directory of"
    } else if inner.starts_with(outer) {
        "lies inside"
    } else if outer.starts_with(inner) {
        "holds"
    } else {
        return;
    };
    let what = format!("{} {how} {}", folder.message_title(), earlier.message_title());
    let help = "a recording belongs to one folder: choose directories beside each other";
    diagnostics.add(
        Diagnostic::at_span(path.span(), what, help)
            .with_second_place(earlier_path.span(), "the other folder"),
    );
}

fn refuse_state(
    folder: &RawFolder<'_>,
    path: &Spanned<PathBuf>,
    state_dir: &Path,
    state_span: Option<&Span>,
    diagnostics: &Diagnostics,
) {
    let how = if state_dir.starts_with(path.get_ref()) {
        "holds"
    } else if path.get_ref().starts_with(state_dir) {
        "lies inside"
    } else {
        return;
    };
    let what = format!(
        "{} {how} the state directory {}",
        folder.message_title(),
        in_backticks(&state_dir.to_string_lossy())
    );
    let help = "the queue and the tokens lie there: write another `path`, or another `state_dir`";
    let diagnostic = Diagnostic::at_span(path.span(), what, help);
    diagnostics.add(match state_span {
        Some(span) => diagnostic.with_second_place(span.clone(), "the state directory"),
        None => diagnostic,
    });
}

fn refuse_notes<'a>(
    folder: &RawFolder<'_>,
    mut others: impl Iterator<Item = Placed<'a>>,
    state_dir: &Path,
    diagnostics: &Diagnostics,
) {
    let Some(notes_dir) = &folder.keys.notes_dir else { return };
    if notes_dir.get_ref().starts_with(state_dir) {
        let what =
            format!("the notes of {} would lie in the state directory", folder.message_title());
        diagnostics.add_at(notes_dir.span(), what, "write another `notes_dir`");
    }
    if let Some((other, path)) =
        others.find(|(_, path)| notes_dir.get_ref().starts_with(path.get_ref()))
    {
        let what = format!(
            "the notes of {} would lie in {}",
            folder.message_title(),
            other.message_title()
        );
        let help = "write a `notes_dir` outside of the other folders";
        diagnostics.add(
            Diagnostic::at_span(notes_dir.span(), what, help)
                .with_second_place(path.span(), "the other folder"),
        );
    }
}
