//! Walks a parsed TOML document key by key, so that one reading finds every mistake.
//!
//! A derived `Deserialize` stops at its first error; here a value that is wrong is noted with its
//! place, read as absent, and the reading goes on.

use std::{borrow::Cow, ops::RangeInclusive, path::PathBuf, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use url::Url;

use super::{
    diagnostic::{Diagnostics, Span, ValueError},
    durations::DurationBounds,
    item::Item,
    values,
    words::{did_you_mean, fit_for_message, in_backticks, join_alternatives, wrap_words},
};

/// State that all tables of one file share.
pub(super) struct FileContext<'a> {
    /// The text of the file, as messages show it.
    pub(super) source: &'a str,
    /// The directory that the relative paths in it start at.
    pub(super) directory: PathBuf,
    /// Every table that a file may hold, for a key that stands in the wrong one.
    pub(super) tables: &'static [KnownTable],
    /// The mistakes found so far.
    pub(super) diagnostics: Diagnostics,
}

/// A table that a file may hold.
pub(super) struct KnownTable {
    /// Its keys.
    pub(super) keys: &'static [&'static str],
    /// The keys among them by which it is recognised.
    pub(super) own_keys: &'static [&'static str],
    /// Title in messages; `None` for a table that is never suggested as the place of a key.
    pub(super) title: Option<&'static str>,
    /// The keys that it refuses by more than "unknown".
    pub(super) refused: &'static [RefusedKey],
}

/// A key that people write and that is refused.
pub(super) struct RefusedKey {
    pub(super) key: &'static str,
    /// The mistake.
    pub(super) what: &'static str,
    /// The cure.
    pub(super) help: &'static str,
}

/// The keys of a table as the file gives them.
pub(super) trait TableKeys: Sized {
    /// The names of the keys, in the order of the rows.
    const KNOWN: &'static [&'static str];

    /// Reads every key; one that is absent, or has a mistake, which is noted, is `None`.
    fn from_table(table: &Table<'_>) -> Self;

    /// Returns these keys, and those of `defaults` in place of the ones that are `None`.
    fn or_defaults(self, defaults: Self) -> Self;
}

/// A table of the file.
#[derive(Clone)]
pub(super) struct Table<'a> {
    /// Phrase for messages: "in `[[folder]]`".
    name: Cow<'static, str>,
    span: Span,
    /// `None` where the file has no such table: then every key is absent.
    entries: Option<&'a DeTable<'a>>,
    /// The keys it may hold; another one is never asked for.
    known: &'static [&'static str],
    /// The table is the whole file.
    is_root: bool,
    context: &'a FileContext<'a>,
}

impl<'a> Table<'a> {
    /// Returns the table of the whole document; `name` is its phrase for messages, `known` its
    /// keys.
    pub(super) fn of_document(
        document: &'a Spanned<DeTable<'a>>,
        name: &'static str,
        known: &'static [&'static str],
        context: &'a FileContext<'a>,
    ) -> Self {
        let entries = Some(document.get_ref());
        Self { name: name.into(), span: document.span(), entries, known, is_root: true, context }
            .check_keys()
    }

    /// Returns the list that mistakes are added to.
    pub(super) fn diagnostics(&self) -> &'a Diagnostics {
        &self.context.diagnostics
    }

    /// Returns its place: its head or its braces.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Returns the place of a key, with any value.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries?.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Returns whether the key is there, with any value.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Returns whether the key is there, perhaps misspelt: a misspelt key is not reported as
    /// missing, too.
    pub(super) fn is_present(&self, key: &str) -> bool {
        self.has_key(key)
            || self.unknown_keys().any(|unknown| {
                did_you_mean(unknown.get_ref(), self.known.iter().copied()) == Some(key)
            })
    }

    /// Adds the mistake that a required key is absent.
    pub(super) fn require_key(&self, key: &str, help: impl Into<String>) {
        // A table that is not one has its own mistake.
        if self.entries.is_some() && !self.is_present(key) {
            let what = format!("`{key}` is missing {}", self.name);
            self.diagnostics().add_at(self.span(), what, help);
        }
    }

    /// Returns a value, if it is there.
    pub(super) fn find_item(&self, key: &'static str) -> Option<Item<'a>> {
        debug_assert!(self.known.contains(&key), "`{key}` is no key {}", self.name);
        let value = self.entries?.get(key)?;
        Some(Item {
            key: Cow::Borrowed(key),
            value,
            source: self.context.source,
            diagnostics: self.diagnostics(),
        })
    }

    /// Returns a text that `parse` takes.
    pub(super) fn read_text<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<T>> {
        self.find_item(key)?.read_text(parse)
    }

    /// Returns a duration within `bounds`.
    pub(super) fn read_duration(
        &self,
        key: &'static str,
        bounds: DurationBounds,
    ) -> Option<Spanned<Duration>> {
        let item = self.find_item(key)?;
        if item.value.get_ref().is_integer() {
            let help = format!("write it with its unit: \"{}s\" for seconds", item.source_text());
            return item.note_wrong_type("a duration in quotes", help);
        }
        item.read_text(|text| bounds.parse(text))
    }

    /// Returns one of some words.
    pub(super) fn read_word<T: Clone>(
        &self,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        self.read_text(key, |text| parse_word(key, text, words))
    }

    /// Returns a list of words, each at most once.
    pub(super) fn read_words<T: Clone + PartialEq>(
        &self,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<Spanned<Vec<T>>> {
        self.read_distinct(key, |text| parse_word(key, text, words))
    }

    /// Returns the values of a list that is not empty, each at most once.
    pub(super) fn read_distinct<T: PartialEq>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<Vec<T>>> {
        let item = self.find_item(key)?;
        let elements = item.list_elements()?;
        if elements.is_empty() {
            return item.note_error(ValueError::new(
                format!("`{key}` is empty"),
                "write at least one, or remove the key",
            ));
        }
        let mut distinct: Vec<T> = Vec::new();
        for value in elements.into_iter().filter_map(|element| element.read_text(&parse)) {
            if distinct.contains(value.get_ref()) {
                let twice =
                    ValueError::new(format!("twice the same in `{key}`"), "remove one of them");
                self.diagnostics().add_error(value.span(), twice);
            } else {
                distinct.push(value.into_inner());
            }
        }
        Some(Spanned::new(item.span(), distinct))
    }

    /// Returns `true` or `false`.
    pub(super) fn read_flag(&self, key: &'static str) -> Option<Spanned<bool>> {
        let item = self.find_item(key)?;
        match item.value.get_ref().as_bool() {
            Some(flag) => Some(Spanned::new(item.span(), flag)),
            None => item.note_wrong_type(
                "true or false",
                format!("write `{key} = true` or `{key} = false`"),
            ),
        }
    }

    /// Returns a whole number within `range`.
    pub(super) fn read_number<N: TryFrom<u32>>(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<Spanned<N>> {
        let item = self.find_item(key)?;
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = item.value.get_ref() else {
            return item.note_wrong_type("a whole number", help);
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|n| range.contains(n));
        match number.and_then(|number| N::try_from(number).ok()) {
            Some(number) => Some(Spanned::new(item.span(), number)),
            None => item.note_error(ValueError::new(
                format!("{} is out of range for `{key}`", in_backticks(&integer.to_string())),
                help,
            )),
        }
    }

    /// Returns the whole path of a file; a relative one starts at the directory of secrets.
    pub(super) fn read_file(&self, key: &'static str) -> Option<Spanned<PathBuf>> {
        self.read_text(key, |text| {
            values::parse_file_path(text).map(|path| self.context.directory.join(path))
        })
    }

    /// Returns the address of a service that `parse` takes; that may be in the clear where
    /// `insecure` says so.
    pub(super) fn read_url(
        &self,
        key: &'static str,
        parse: fn(&str, bool) -> Result<Url, ValueError>,
    ) -> Option<Spanned<Url>> {
        let insecure = self.find_item("insecure").and_then(|item| item.value.get_ref().as_bool());
        self.read_text(key, |text| parse(text, insecure == Some(true)))
    }

    /// Returns the texts of a list that `parse` takes.
    pub(super) fn read_list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Spanned<Vec<T>>> {
        let item = self.find_item(key)?;
        let texts = item
            .list_elements()?
            .into_iter()
            .filter_map(|element| element.read_text(&parse))
            .map(Spanned::into_inner);
        Some(Spanned::new(item.span(), texts.collect()))
    }

    /// Returns the keys of a table below, if there is one.
    pub(super) fn read_keys<K: TableKeys>(&self, key: &'static str) -> Option<Spanned<K>> {
        let table = self.table_of(&self.find_item(key)?, self.name_below(key), K::KNOWN)?;
        Some(Spanned::new(table.span(), K::from_table(&table)))
    }

    /// Returns a table below; an empty one where there is none.
    pub(super) fn read_table(
        &self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Table<'a> {
        let name = self.name_below(key);
        let found = self.find_item(key).and_then(|item| self.table_of(&item, name.clone(), known));
        let span = self.span();
        found.unwrap_or(Table {
            name,
            span,
            entries: None,
            known,
            is_root: false,
            context: self.context,
        })
    }

    /// Returns the keys of a table below; where there is none, all of them are absent.
    pub(super) fn read_table_keys<K: TableKeys>(&self, key: &'static str) -> K {
        K::from_table(&self.read_table(key, K::KNOWN))
    }

    /// Returns the tables of a list below, and where the list stands.
    pub(super) fn read_tables(
        &self,
        key: &'static str,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Option<Spanned<Vec<Option<Table<'a>>>>> {
        let item = self.find_item(key)?;
        let tables = item
            .list_elements()?
            .iter()
            .map(|element| self.table_of(element, name.into(), known))
            .collect();
        Some(Spanned::new(item.span(), tables))
    }

    /// Returns the tables below by their names; none where there are none, `None` where there is
    /// something else.
    pub(super) fn read_named_tables(
        &self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Option<Vec<(Spanned<String>, Option<Table<'a>>)>> {
        let Some(item) = self.find_item(key) else { return Some(Vec::new()) };
        let DeValue::Table(entries) = item.value.get_ref() else {
            let help = format!("write a table with a name: [{key}.NAME]");
            return item.note_wrong_type("a table of tables", help);
        };
        let mut tables = Vec::new();
        for (name, value) in entries {
            let title = format!("in `[{key}.{}]`", fit_for_message(name.get_ref()));
            let table = self.table_of(
                &item.with_value(value, Cow::Borrowed(name.get_ref())),
                title.into(),
                known,
            );
            tables.push((Spanned::new(name.span(), name.get_ref().to_string()), table));
        }
        Some(tables)
    }

    /// Returns the table that a value is, with the keys it may hold.
    fn table_of(
        &self,
        item: &Item<'a>,
        name: Cow<'static, str>,
        known: &'static [&'static str],
    ) -> Option<Table<'a>> {
        let DeValue::Table(entries) = item.value.get_ref() else {
            let help = format!(
                "write a table, such as {{ {} = … }}",
                known.first().copied().unwrap_or_default()
            );
            return item.note_wrong_type("a table", help);
        };
        let span = item.span();
        let entries = Some(entries);
        Some(
            Table { name, span, entries, known, is_root: false, context: self.context }
                .check_keys(),
        )
    }

    fn name_below(&self, key: &str) -> Cow<'static, str> {
        if self.is_root { format!("in `[{key}]`").into() } else { format!("in `{key}`").into() }
    }

    /// Adds every unknown key to the mistakes, with the likely intended one.
    fn check_keys(self) -> Self {
        for key in self.unknown_keys() {
            let name: &str = key.get_ref();
            let here = self.context.tables.iter().find(|table| table.keys == self.known);
            let refused =
                here.and_then(|table| table.refused.iter().find(|refused| refused.key == name));
            let error = refused.map_or_else(
                || self.unknown_key(name),
                |refused| ValueError::new(refused.what, refused.help),
            );
            self.diagnostics().add_error(key.span(), error);
        }
        self
    }

    fn unknown_keys(&self) -> impl Iterator<Item = &'a Spanned<Cow<'a, str>>> {
        let keys = self.entries.into_iter().flat_map(DeTable::keys);
        keys.filter(|key| !self.known.contains(&key.get_ref().as_ref()))
    }

    /// Returns the table in which a key that is unknown here would be known, when that is just one.
    fn home_of(&self, key: &str) -> Option<&'static str> {
        let elsewhere = self.context.tables.iter().filter(|table| table.keys != self.known);
        let mut homes =
            elsewhere.filter(|table| table.own_keys.contains(&key)).filter_map(|table| table.title);
        let home = homes.next()?;
        homes.next().is_none().then_some(home)
    }

    fn unknown_key(&self, name: &str) -> ValueError {
        let what = format!("unknown key {} {}", in_backticks(name), self.name);
        let number = self.known.iter().find(|known| known.strip_suffix('s') == Some(name));
        let help = if let Some(plural) = number {
            format!("did you mean `{plural}`?")
        } else if let Some(home) = self.home_of(name) {
            format!("`{name}` belongs to {home}")
        } else if let Some(meant) = did_you_mean(name, self.known.iter().copied()) {
            format!("did you mean `{meant}`?")
        } else {
            format!("known here: {}", wrap_words(self.known))
        };
        ValueError::new(what, help)
    }
}

/// Returns the value of one of some words.
pub(super) fn parse_word<T: Clone>(
    key: &str,
    text: &str,
    words: &[(&str, T)],
) -> Result<T, ValueError> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(value.clone());
    }
    let all = words.iter().map(|(word, _)| *word);
    let help = match did_you_mean(text, all.clone()) {
        Some(meant) => format!("did you mean `{meant}`? it may be {}", join_alternatives(all)),
        None => format!("write {}", join_alternatives(all)),
    };
    Err(ValueError::new(format!("unknown word {} for `{key}`", in_backticks(text)), help))
}
