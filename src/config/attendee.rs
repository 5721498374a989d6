//! People that somebody outside names: a calendar, a sidecar.

use super::{settings::Attendee, values};

/// What the rooms and the devices of a Google calendar have for an address; nobody reads mail there.
const ROOMS: &str = "@resource.calendar.google.com";

impl Attendee {
    /// Returns a person that somebody outside names; `None` for one without an address that mail can go to, and for a
    /// room. A name that cannot be shown as it is gives way to the address.
    #[must_use]
    pub fn from_outside(name: Option<&str>, email: &str, role: Option<&str>) -> Option<Self> {
        let email = values::address(email.trim()).ok()?.to_string();
        if email.to_lowercase().ends_with(ROOMS) {
            return None;
        }
        let line = |text: &str| values::line(text).ok().filter(|line| !line.contains(crate::text::is_unprintable));
        Some(Self { name: name.and_then(line).unwrap_or_else(|| email.clone()), role: role.and_then(line), email })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_an_address_is_a_person_and_a_name_that_breaks_a_line_is_none() {
        let person = |name, email| Attendee::from_outside(name, email, None).map(|person| (person.name, person.email));
        assert_eq!(person(Some(" Ann Lee "), "ann@example.com"), Some(("Ann Lee".into(), "ann@example.com".into())));
        for name in [None, Some(""), Some("Ann\r\nBcc: eve@example.com"), Some("\u{202e}nnA")] {
            assert_eq!(person(name, "ann@example.com"), Some(("ann@example.com".into(), "ann@example.com".into())));
        }
        for email in ["", "ann", "ann@example.com\nx", "a, b@c.d", "c_18@resource.calendar.google.com"] {
            assert_eq!(person(Some("Ann"), email), None, "{email}");
        }
    }
}
