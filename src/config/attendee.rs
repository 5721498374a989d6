//! The people of a meeting, as the config, a sidecar, a calendar or a source names them.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{
    diagnostic::{Diagnostic, Span, ValueError},
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
    words::in_backticks,
};

/// The end of the addresses of rooms and devices in a Google calendar: no person reads mail there.
const ROOMS: &str = "@resource.calendar.google.com";

/// The cure for an attendee without a name or an address.
const EXAMPLE: &str = "write { name = \"Ann Lee\", email = \"ann@example.com\" }";

table_keys! {
    /// A person of a meeting.
    #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub struct Attendee from AttendeeKeys {
        /// The name as shown.
        name: String = read_text(values::parse_line), required EXAMPLE;
        /// The address.
        email: String = read_text(parse_address), required EXAMPLE;
        /// The service's word for what they do there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: String = read_text(values::parse_line);
    }
}

fn parse_address(text: &str) -> Result<String, ValueError> {
    values::parse_address(text).map(|address| address.to_string())
}

impl Table<'_> {
    /// Returns the people of a list: those without a mistake. `None` where all of them have one.
    pub(super) fn read_attendees(&self, key: &'static str) -> Option<Spanned<Vec<Attendee>>> {
        let tables = self.read_tables(key, "in an attendee", AttendeeKeys::KNOWN)?;
        let span = tables.span();
        let is_empty = tables.get_ref().is_empty();
        let mut seen = BTreeMap::new();
        let mut people = Vec::new();
        for table in tables.into_inner().into_iter().flatten() {
            let keys = AttendeeKeys::from_table(&table);
            if let Some(email) = &keys.email {
                self.refuse_twice(email, &mut seen);
            }
            people.extend(keys.into_settings());
        }
        (is_empty || !people.is_empty()).then(|| Spanned::new(span, people))
    }

    fn refuse_twice(&self, email: &Spanned<String>, seen: &mut BTreeMap<String, Span>) {
        if let Some(first) = seen.insert(email.get_ref().to_lowercase(), email.span()) {
            let what = format!("{} attends twice", in_backticks(email.get_ref()));
            self.diagnostics().add(
                Diagnostic::at_span(email.span(), what, "remove one of the two")
                    .with_second_place(first, "first here"),
            );
        }
    }
}

impl Attendee {
    /// Returns a person that somebody outside names; `None` for one without an address that mail
    /// can go to, and for a room. A name that cannot be shown as it is gives way to the address.
    #[must_use]
    pub fn from_outside(name: Option<&str>, email: &str, role: Option<&str>) -> Option<Self> {
        let email = values::parse_address(email.trim()).ok()?.to_string();
        if email.to_lowercase().ends_with(ROOMS) {
            return None;
        }
        let name = name.and_then(parse_visible_line).unwrap_or_else(|| email.clone());
        Some(Self { name, role: role.and_then(parse_visible_line), email })
    }
}

/// Returns a name or another text from outside that fits on one line and is seen as it is; `None` for any other.
#[must_use]
pub(crate) fn parse_visible_line(text: &str) -> Option<String> {
    values::parse_line(text).ok().filter(|line| !line.contains(crate::text::is_unprintable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_an_address_is_a_person_and_a_name_that_breaks_a_line_is_none() {
        let person = |name, email| {
            Attendee::from_outside(name, email, None).map(|person| (person.name, person.email))
        };
        assert_eq!(
            person(Some(" Ann Lee "), "ann@example.com"),
            Some(("Ann Lee".into(), "ann@example.com".into()))
        );
        for name in [None, Some(""), Some("Ann\r\nBcc: eve@example.com"), Some("\u{202e}nnA")] {
            assert_eq!(
                person(name, "ann@example.com"),
                Some(("ann@example.com".into(), "ann@example.com".into()))
            );
        }
        for email in
            ["", "ann", "ann@example.com\nx", "a, b@c.d", "c_18@resource.calendar.google.com"]
        {
            assert_eq!(person(Some("Ann"), email), None, "{email}");
        }
    }
}
