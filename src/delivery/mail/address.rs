//! The addresses that may get mail, and the `Message-ID` of a mail. Pure.

use lettre::message::Mailbox;

use crate::{
    config::Allow,
    job::Key,
    text::{is_bidi, strip_to_line},
};

/// Returns whether `address` may get notes.
///
/// Domains are compared whole and without regard to case; nothing is decoded, so that a domain in other letters is
/// another domain. A local part that is quoted, or that could be read as a route through another server (`@ % !`), only
/// passes where its whole address is listed.
#[must_use]
pub(crate) fn is_allowed(allow: &[Allow], address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = is_plain(local) && is_domain(domain);
    allow.iter().any(|entry| match entry {
        Allow::Anyone => plain,
        Allow::Domain(allowed) => plain && domain.eq_ignore_ascii_case(allowed),
        Allow::Address(allowed) => address.eq_ignore_ascii_case(allowed) && !has_breaks(address),
    })
}

/// Returns where mail to a person goes; an empty `name` is none. `None` for what is not an address.
#[must_use]
pub(crate) fn recipient_mailbox(name: &str, address: &str) -> Option<Mailbox> {
    let name = Some(strip_to_line(name)).filter(|name| !name.is_empty());
    Some(Mailbox::new(name, address.trim().parse().ok()?))
}

/// A local part of letters, digits and the marks that carry no meaning for a mail server.
fn is_plain(local: &str) -> bool {
    let unusual =
        |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"#$&'*+-/=?^_`{|}~.".contains(c);
    !local.is_empty() && !has_breaks(local) && !local.contains(unusual)
}

fn is_domain(domain: &str) -> bool {
    let unusual = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-.".contains(c);
    !domain.is_empty() && !has_breaks(domain) && !domain.contains(unusual)
}

fn has_breaks(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || c.is_whitespace() || is_bidi(c))
}

/// Returns the `Message-ID` of the notes of a job for one recipient, in angle brackets.
///
/// The same for each try, so that a mail that is sent twice, because its answer was lost, is one mail to the reader.
/// `version` counts the notes of a job that were written anew.
#[must_use]
pub fn message_id(key: &Key, version: u32, recipient: &str, from: &Mailbox) -> String {
    let parts = [key.to_string(), version.to_string(), recipient.to_ascii_lowercase()];
    format!("<{}.{version}@{}>", hash_of(&parts), host_of(from))
}

/// Returns the `Message-ID` of a digest: of its text and its reader, so that the same digest is the same mail.
pub(super) fn digest_id(text: &str, recipient: &str, from: &Mailbox) -> String {
    let parts = ["digest".to_owned(), text.to_owned(), recipient.to_ascii_lowercase()];
    format!("<{}@{}>", hash_of(&parts), host_of(from))
}

/// Hex digits of a hash in a `Message-ID`: 128 bits.
const HASH_HEX: usize = 32;

fn hash_of(parts: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..HASH_HEX].to_owned()
}

/// The sender's domain in ASCII; a `Message-ID` knows no other letters.
fn host_of(from: &Mailbox) -> String {
    url::Host::parse(from.email.domain())
        .map_or_else(|_| "minuted.invalid".to_owned(), |host| host.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::Content;

    fn key() -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation: 1,
        }
    }

    fn from(text: &str) -> Mailbox {
        text.parse().expect("a mailbox")
    }

    #[test]
    fn a_domain_lets_in_exactly_its_own_addresses() {
        let allow = [Allow::Domain("example.com".into())];
        for address in ["ann@example.com", "ANN@Example.COM", "a.b+c@example.com"] {
            assert!(is_allowed(&allow, address), "{address}");
        }
        for address in [
            "ann@notexample.com",
            "ann@sub.example.com",
            "ann@example.com.evil.org",
            "ann@evil.org@example.com",
            "\"ann@evil.org\"@example.com",
            "ann%evil.org@example.com",
            "evil.org!ann@example.com",
            "ann@example.com.",
            "ann@exаmple.com",
            "ann@example.com\r\nbcc",
            "ann @example.com",
            "@example.com",
            "example.com",
            "",
        ] {
            assert!(!is_allowed(&allow, address), "{address}");
        }
    }

    #[test]
    fn no_look_alike_of_an_address_is_let_in() {
        let allow =
            [Allow::Domain("example.com".into()), Allow::Address("boss@partner.org".into())];
        let let_in = ["ann@EXAMPLE.COM", "boss@PARTNER.org", "ann+x@example.com"];
        let refused = [
            "ann@e\u{445}ample.com",
            "ann\u{ff20}example.com",
            "ann@example\u{ff0e}com",
            "ann@example\u{3002}com",
            "ann@exam\u{200b}ple.com",
            "boss@partner.or\u{1d4f0}",
            "\u{212a}ann@partner.org",
            "boss@\u{212a}partner.org",
            "bo\u{17f}s@partner.org",
            "ann@example.com(comment)",
            "ann(comment)@example.com",
            "ann@(comment)example.com",
            "eve@evil.org,ann@example.com",
            "eve@evil.org;ann@example.com",
            "<eve@evil.org>ann@example.com",
            "@evil.org:ann@example.com",
            "ann@example.com\0",
            "ann\0@example.com",
            "ann@[192.0.2.1]",
            "ann@[example.com]",
            "ann@xn--example.com",
            "boss+x@partner.org",
            "boss@sub.partner.org",
            "\"boss\"@partner.org",
            "boss@partner.org.",
            "boss@partner.org\r\nRCPT TO:<eve@evil.org>",
        ];
        for address in let_in {
            assert!(is_allowed(&allow, address), "{address:?}");
        }
        for address in refused {
            assert!(!is_allowed(&allow, address), "{address:?}");
        }
    }

    #[test]
    fn nobody_is_allowed_by_default_and_an_odd_address_only_when_listed() {
        assert!(!is_allowed(&[], "ann@example.com"));
        let odd = "\"ann\"@bücher.example";
        assert!(!is_allowed(&[Allow::Anyone], odd));
        assert!(is_allowed(&[Allow::Address(odd.into())], odd));
        assert!(is_allowed(&[Allow::Anyone], "ann@bücher.example"));
        assert!(!is_allowed(
            &[Allow::Domain("bücher.example".into())],
            "ann@xn--bcher-kva.example"
        ));
    }

    #[test]
    fn a_recipient_is_an_address_with_a_name_on_one_line() {
        let ann = recipient_mailbox("Ann\r\nBcc: all@example.com", " ann@example.com")
            .expect("a recipient");
        assert_eq!(ann.name.as_deref(), Some("Ann Bcc: all@example.com"));
        assert_eq!(recipient_mailbox(" ", "ann@example.com").expect("a recipient").name, None);
        for address in [
            "ann",
            "ann@",
            "a\r\nb@example.com",
            "Ann <ann@example.com>",
            "a@example.com, b@example.com",
        ] {
            assert_eq!(recipient_mailbox("Ann", address), None, "{address}");
        }
    }

    #[test]
    fn a_message_id_is_stable_and_different_for_all_else() {
        let (key, sender) = (key(), from("Minutes <minutes@bücher.example>"));
        let id = message_id(&key, 1, "Ann@example.com", &sender);
        assert_eq!(id, message_id(&key, 1, "ann@example.com", &sender));
        assert_ne!(id, message_id(&key, 2, "ann@example.com", &sender));
        assert_ne!(id, message_id(&key, 1, "bo@example.com", &sender));
        assert!(id.is_ascii() && id.ends_with("@xn--bcher-kva.example>"), "{id}");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_address_outside_the_domain_is_let_in(address in ".{0,30}(@|example|\\.com|evil|\"|\r\n|%){0,6}.{0,10}") {
            let allow = [Allow::Domain("example.com".into())];
            if is_allowed(&allow, &address) {
                prop_assert!(address.to_ascii_lowercase().ends_with("@example.com"));
                prop_assert_eq!(address.matches('@').count(), 1);
            }
        }

        #[test]
        fn a_whole_domain_in_any_case_is_let_in(local in "[a-z0-9]{1,8}", domain in "[a-zA-Z]{1,8}\\.[a-zA-Z]{2,4}") {
            let allow = [Allow::Domain(domain.to_ascii_lowercase())];
            let (address, below) = (format!("{local}@{domain}"), format!("{local}@x{domain}"));
            prop_assert!(is_allowed(&allow, &address));
            prop_assert!(!is_allowed(&allow, &below));
        }
    }
}
