//! An error with a hint: the message says what is wrong, the hint what to do about it.
//!
//! Error types with few causes have a method `hint`; [`Hinted`] carries a hint through `anyhow`.

/// A message and the hint that is printed below it.
#[derive(Debug, thiserror::Error)]
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
