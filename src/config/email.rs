//! `[email]`: how mail is sent, and to whom it may be.

use std::path::PathBuf;

use lettre::{Address, message::Mailbox};
use toml::Spanned;

use super::{
    diagnostic::ValueError,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values::{self, is_loopback},
    words::in_backticks,
};

table_keys! {
    /// Settings of mail.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Email from EmailKeys {
        /// The sender.
        from: Mailbox = read_text(values::parse_mailbox),
            required "write from = \"Minutes <minutes@example.com>\"";
        /// Recipients of the failure digest; exempt from `allow`.
        failures_to: Vec<Mailbox> = read_list(values::parse_mailbox), default Vec::new();
        /// Addresses and domains that notes may be sent to.
        allow: Vec<Allow> = read_list(parse_allow), default Vec::new();
        /// The server.
        smtp: Smtp = read_smtp(), required "write smtp = { host = \"smtp.example.com\" }";
    }
}

/// Entry of the allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// `"*"`: anyone.
    Anyone,
    /// `"@example.com"`: exactly that domain, lower case, without the `@`.
    Domain(String),
    /// An address, lower case.
    Address(String),
}

const TLS: &[(&str, Tls)] = &[("starttls", Tls::Starttls), ("tls", Tls::Tls), ("none", Tls::None)];

table_keys! {
    /// The mail server.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Smtp from SmtpKeys {
        /// Its name; the certificate must carry it.
        host: String = read_text(values::parse_host), required "write host = \"smtp.example.com\"";
        + port: u16 = read_number(1..=u32::from(u16::MAX));
        /// Protection of the connection.
        tls: Tls = read_word(TLS), default Tls::Starttls;
        /// The account, when the server asks for one.
        username: String = read_text(values::parse_line);
        /// File with its password; read at each connection, so that it may be changed.
        password_file: PathBuf = read_file();
        /// Permits `tls = "none"` to a host that is not loopback.
        insecure: bool = read_flag(), default false;
    } and {
        /// Its port.
        port: u16,
    }
}

/// The protection of an SMTP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Begins in the clear, then must upgrade.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None; for loopback.
    None,
}

impl Email {
    /// Returns whether notes may be mailed to this address.
    #[must_use]
    pub fn permits(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.allow.iter().any(|allowed| match allowed {
            Allow::Anyone => true,
            Allow::Domain(allowed) => allowed == domain,
            Allow::Address(allowed) => *allowed == address,
        })
    }
}

/// Reads `[email]`; `None` where there is none or it has mistakes.
pub(super) fn read_email(root: &Table<'_>) -> Option<Email> {
    root.read_keys::<EmailKeys>("email")?.into_inner().into_settings()
}

impl Table<'_> {
    /// Returns the mail server of a table below.
    fn read_smtp(&self, key: &'static str) -> Option<Spanned<Smtp>> {
        self.find_item(key)?;
        let table = self.read_table(key, SmtpKeys::KNOWN);
        let mut keys = SmtpKeys::from_table(&table);
        refuse_clear_text(&keys, &table);
        require_both_or_none(&table);
        let tls = keys.tls.as_ref().map_or(Tls::Starttls, |tls| *tls.get_ref());
        let port = keys.port.take().map_or_else(|| usual_port(tls), Spanned::into_inner);
        Some(Spanned::new(table.span(), keys.into_settings(port)?))
    }
}

fn refuse_clear_text(keys: &SmtpKeys, table: &Table<'_>) {
    let (Some(tls), Some(host)) = (&keys.tls, &keys.host) else { return };
    let is_insecure = keys.insecure.as_ref().is_some_and(|insecure| *insecure.get_ref());
    if *tls.get_ref() == Tls::None && !is_insecure && !is_loopback(host.get_ref()) {
        let what = "`tls = \"none\"` would send notes and the password in the clear";
        let help = "write tls = \"starttls\" or tls = \"tls\"; where the network is trusted, add insecure = true";
        table.diagnostics().add_at(tls.span(), what, help);
    }
}

fn require_both_or_none(table: &Table<'_>) {
    let halves = [("username", "password_file"), ("password_file", "username")];
    for (here, missing) in halves {
        if let Some(span) = table.key_span(here).filter(|_| !table.is_present(missing)) {
            let help = match missing {
                "username" => {
                    "add username = \"…\", or remove both for a server that asks for none"
                }
                _file => {
                    "add password_file = \"smtp-password\", or remove both for a server that asks for none"
                }
            };
            table.diagnostics().add_at(span, format!("`{here}` without `{missing}`"), help);
        }
    }
}

/// The ports of RFC 6409 (submission), RFC 8314 (submissions) and RFC 5321.
fn usual_port(tls: Tls) -> u16 {
    match tls {
        Tls::Starttls => 587,
        Tls::Tls => 465,
        Tls::None => 25,
    }
}

/// An entry of the allow list.
fn parse_allow(text: &str) -> Result<Allow, ValueError> {
    let help = "write \"@example.com\", \"ann@example.com\" or \"*\"";
    let refused = |what: &str| ValueError::new(format!("{} {what}", in_backticks(text)), help);
    if text == "*" {
        return Ok(Allow::Anyone);
    }
    if text.contains('*') {
        return Err(refused("is a pattern, and `*` stands only alone"));
    }
    if let Some(domain) = text.strip_prefix('@') {
        let is_domain = Address::new("a", domain).is_ok();
        return if is_domain {
            Ok(Allow::Domain(domain.to_lowercase()))
        } else {
            Err(refused("is not a domain"))
        };
    }
    match text.parse::<Address>() {
        Ok(address) => Ok(Allow::Address(address.to_string().to_lowercase())),
        Err(_) if Address::new("a", text).is_ok() => Err(ValueError::new(
            format!("{} is not an address", in_backticks(text)),
            format!("write \"@{text}\" for the domain"),
        )),
        Err(_) => Err(refused("is not an address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allow_list_takes_domains_addresses_and_anyone() {
        assert_eq!(parse_allow("*"), Ok(Allow::Anyone));
        assert_eq!(parse_allow("@Example.COM"), Ok(Allow::Domain("example.com".into())));
        assert_eq!(parse_allow("Ann@Example.com"), Ok(Allow::Address("ann@example.com".into())));
        assert_eq!(
            parse_allow("example.com").expect_err("no @").help,
            "write \"@example.com\" for the domain"
        );
        for text in ["", "@", "*@example.com", "@*.example.com", "ann@"] {
            assert!(parse_allow(text).is_err(), "{text}");
        }
    }
}
