//! Patterns on the path of a file below its folder.

use super::{diagnostic::ValueError, words::in_backticks};

/// Bytes of one pattern. The compiled set grows with it.
const PATTERN_BYTES_MAX: usize = 1_024;

/// A set of globs together with their text.
#[derive(Clone)]
pub struct Globs {
    /// As written in the config.
    pub patterns: Vec<String>,
    /// Compiled.
    pub set: globset::GlobSet,
}

impl Globs {
    /// Returns the set that every path is in.
    pub(super) fn of_everything() -> Self {
        Self::new(vec!["*".to_owned()]).expect("a constant pattern")
    }

    /// Returns the set that no path is in.
    pub(super) fn of_nothing() -> Self {
        Self { patterns: Vec::new(), set: globset::GlobSet::empty() }
    }

    /// Returns the set of patterns that [`parse_glob`] has taken.
    pub(super) fn new(patterns: Vec<String>) -> Result<Self, ValueError> {
        let too_large = |error| {
            ValueError::new(
                format!("the patterns do not fit together: {error}"),
                "write fewer patterns",
            )
        };
        let mut set = globset::GlobSetBuilder::new();
        for pattern in &patterns {
            set.add(compile_glob(pattern).map_err(too_large)?);
        }
        Ok(Self { set: set.build().map_err(too_large)?, patterns })
    }
}

impl PartialEq for Globs {
    // The compiled set cannot be compared, and follows from the patterns.
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl std::fmt::Debug for Globs {
    // The compiled set says the same in a thousand lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

/// Reads one pattern on the path below a folder.
pub(super) fn parse_glob(text: &str) -> Result<String, ValueError> {
    let help = "write a pattern on the path below the folder, such as \"*.wav\" or \"meetings/*\"";
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        return Err(ValueError::new(format!("a pattern of {} bytes", text.len()), help));
    }
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(ValueError::new(
            format!("{} matches nothing below the folder", in_backticks(text)),
            help,
        ));
    }
    match compile_glob(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(ValueError::new(
            format!("{} is not a pattern: {}", in_backticks(text), error.kind()),
            help,
        )),
    }
}

fn compile_glob(text: &str) -> Result<globset::Glob, globset::Error> {
    // `*` crosses `/`: "*" takes a whole tree, and "*.wav" every WAV in it.
    globset::GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build()
}
