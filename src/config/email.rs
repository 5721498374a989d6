//! `[email]`: how mail is sent, and to whom it may be.

use std::path::Path;

use toml::Spanned;

use super::{
    diagnostic::{Mistake, Mistakes},
    environment::Environment,
    keys,
    reader::Table,
    secret_file::beside,
    settings::{Allow, Email, Smtp, Tls, is_loopback},
    values,
};

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
pub(super) fn read(root: &Table<'_>, file: &Path, env: &Environment, mistakes: &Mistakes) -> Option<Email> {
    if !root.has("email") {
        return None;
    }
    let table = root.table("email", keys::EMAIL);
    table.require("from", "write from = \"Minutes <minutes@example.com>\"");
    table.require("smtp", "write smtp = { host = \"smtp.example.com\" }");
    let list = |list: Vec<_>| list.into_iter().map(Spanned::into_inner).collect();
    let from = table.text("from", values::mailbox);
    let failures_to = table.list("failures_to", values::mailbox).map(Spanned::into_inner).unwrap_or_default();
    let allow = table.list("allow", values::allow).map(Spanned::into_inner).unwrap_or_default();
    let smtp = if table.has("smtp") { smtp(&table.table("smtp", keys::SMTP), file, env, mistakes) } else { None };
    Some(Email {
        from: from?.into_inner(),
        failures_to: list(failures_to),
        allow: allow.into_iter().map(Spanned::into_inner).collect(),
        smtp: smtp?,
    })
}

fn smtp(table: &Table<'_>, file: &Path, env: &Environment, mistakes: &Mistakes) -> Option<Smtp> {
    const TLS: &[(&str, Tls)] = &[("starttls", Tls::Starttls), ("tls", Tls::Tls), ("none", Tls::None)];
    table.require("host", "write host = \"smtp.example.com\"");
    let host = table.text("host", values::host);
    let port = table.number("port", 1..=u32::from(u16::MAX)).and_then(|port| u16::try_from(port.into_inner()).ok());
    let tls_word = table.word("tls", TLS);
    let tls = tls_word.as_ref().map_or(Tls::Starttls, |word| *word.get_ref());
    let insecure = table.flag("insecure").is_some_and(Spanned::into_inner);
    let username = table.text("username", values::line);
    let password_file = table.text("password_file", values::file);
    if let (Some(word), Some(host)) = (tls_word, &host) {
        refuse_clear_text(&word, host.get_ref(), insecure, mistakes);
    }
    both_or_none(table, mistakes);
    Some(Smtp {
        host: host?.into_inner(),
        port: port.unwrap_or_else(|| usual_port(tls)),
        tls,
        username: username.map(Spanned::into_inner),
        password_file: password_file.map(|path| beside(path.into_inner(), file, env)),
        insecure,
    })
}

fn refuse_clear_text(tls: &Spanned<Tls>, host: &str, insecure: bool, mistakes: &Mistakes) {
    if *tls.get_ref() == Tls::None && !insecure && !is_loopback(host) {
        let what = "`tls = \"none\"` would send notes and the password in the clear";
        let help = "write tls = \"starttls\" or tls = \"tls\"; where the network is trusted, add insecure = true";
        mistakes.add(Mistake::at(tls.span(), what, help));
    }
}

fn both_or_none(table: &Table<'_>, mistakes: &Mistakes) {
    let halves = [("username", "password_file"), ("password_file", "username")];
    for (here, missing) in halves {
        if let Some(span) = table.key_span(here).filter(|_| !table.means(missing)) {
            let help = match missing {
                "username" => "add username = \"…\", or remove both for a server that asks for none",
                _file => "add password_file = \"smtp-password\", or remove both for a server that asks for none",
            };
            mistakes.add(Mistake::at(span, format!("`{here}` without `{missing}`"), help));
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
