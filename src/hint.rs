//! An error with a hint: the message says what is wrong, the hint what to do about it.
//!
//! Error types with few causes have a method `hint`; [`Hinted`] carries a hint through `anyhow`. A
//! message holds no hint of its own: the two meet in [`with_hint`] alone, where they are printed.

/// A message and the hint that is printed below it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

impl Hinted {
    /// Returns an error with this message and this hint.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// Returns the hint.
    #[must_use]
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

/// Returns a message and, on a line of its own, its hint.
#[must_use]
pub(crate) fn with_hint(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| message.to_owned(), |hint| format!("{message}\nhint: {hint}"))
}
