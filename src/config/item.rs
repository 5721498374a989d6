//! A value of a parsed TOML document, with its key and its place.

use std::borrow::Cow;

use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::{Diagnostics, Span, ValueError},
    words::fit_for_message,
};

/// A value of the file and its key.
pub(super) struct Item<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: &'a Spanned<DeValue<'a>>,
    /// The text of the whole file.
    pub(super) source: &'a str,
    /// The list that a mistake in the value is added to.
    pub(super) diagnostics: &'a Diagnostics,
}

impl<'a> Item<'a> {
    /// Returns the place of the value.
    pub(super) fn span(&self) -> Span {
        self.value.span()
    }

    /// Returns whether the value is a list.
    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Returns whether the value is a list of nothing.
    pub(super) fn is_empty_list(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|array| array.is_empty())
    }

    /// Returns the text that `parse` takes.
    pub(super) fn read_text<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        let DeValue::String(text) = self.value.get_ref() else {
            let holds_more = self.value.get_ref().is_array() || self.value.get_ref().is_table();
            let help = format!("write it in quotes: \"{}\"", self.source_text());
            return self.note_wrong_type(
                "a text",
                if holds_more { "write one text in quotes".to_owned() } else { help },
            );
        };
        match parse(text) {
            Ok(value) => Some(Spanned::new(self.span(), value)),
            Err(error) => self.note_error(error),
        }
    }

    /// Returns the values of a list.
    pub(super) fn list_elements(&self) -> Option<Vec<Item<'a>>> {
        let Some(array) = self.value.get_ref().as_array() else {
            let help = match self.value.get_ref().is_table() {
                true if self.key == "folder" => "write `[[folder]]`, with two brackets".to_owned(),
                true => format!("write `{} = [{{ … }}]`", self.key),
                false => format!("write `{} = [{}]`", self.key, self.source_text()),
            };
            return self.note_wrong_type("a list", help);
        };
        Some(array.iter().map(|value| self.with_value(value, self.key.clone())).collect())
    }

    /// Returns another value of the same file.
    pub(super) fn with_value(
        &self,
        value: &'a Spanned<DeValue<'a>>,
        key: Cow<'a, str>,
    ) -> Item<'a> {
        Item { key, value, source: self.source, diagnostics: self.diagnostics }
    }

    /// Adds a mistake in the value; it then reads as absent.
    pub(super) fn note_error<T>(&self, error: ValueError) -> Option<T> {
        self.diagnostics.add_error(self.span(), error);
        None
    }

    /// Adds the mistake that the value is of another type; it then reads as absent.
    pub(super) fn note_wrong_type<T>(&self, expected: &str, help: String) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.note_error(ValueError::new(
            format!("`{}` must be {expected}, not {found}", self.key),
            help,
        ))
    }

    /// Returns the value as the file has it, fit for a message.
    pub(super) fn source_text(&self) -> String {
        if let DeValue::Integer(integer) = self.value.get_ref()
            && integer.radix() == 8
        {
            // `0o660` without quotes is `"0660"` with them.
            return format!("0{}", fit_for_message(integer.as_str()));
        }
        fit_for_message(self.source.get(self.span()).unwrap_or_default())
    }
}
