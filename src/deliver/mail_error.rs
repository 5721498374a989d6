//! Whose fault it is when a mail is not sent.

use std::{error::Error as _, time::Duration};

use lettre::transport::smtp;

use crate::text::one_line;

/// Why a mail was not sent, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The server or the way to it is down, busy or slow: later, without end.
    #[error("{message}")]
    Later {
        /// What happened.
        message: String,
    },
    /// The server does not want minuted, or minuted is not set up for it: an operator must act, and until then it is
    /// tried later all the same.
    #[error("{message}")]
    Setup {
        /// What happened, and the cure.
        message: String,
    },
    /// The server will never take this mail for this recipient.
    #[error("{message}")]
    Refused {
        /// What the server said.
        message: String,
        /// Its three digits, when it was the server that refused.
        code: Option<u16>,
    },
    /// The configuration does not allow mail to this recipient.
    #[error("`email.allow` does not permit the address")]
    NotAllowed,
}

/// The longest message in characters: a server may answer with a page.
const MESSAGE_CHARS: usize = 400;

/// A step that did not succeed, before it is known whose fault that is.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    kind: FaultKind,
}

#[derive(Debug, Clone, Copy)]
enum FaultKind {
    /// The network, the server's mood, an answer that is none.
    Passing,
    /// The two sides do not fit together: no STARTTLS, no common way to sign in.
    Mismatch,
    /// The server said no, for good.
    Permanent(u16),
}

impl Fault {
    /// What lettre says of a step of a conversation with `host`.
    pub(super) fn of(host: &str, error: &smtp::Error) -> Self {
        let kind = match error.status() {
            Some(code) if error.is_permanent() => FaultKind::Permanent(code.into()),
            None if error.is_client() => FaultKind::Mismatch,
            Some(_) | None => FaultKind::Passing,
        };
        let message = match (error.status(), error.source()) {
            (Some(code), Some(said)) => format!("the mail server `{host}` answered {code}: {said}"),
            (None, _) if error.is_client() && error.to_string().contains("STARTTLS") => {
                format!(
                    "the mail server `{host}` offers no STARTTLS on this port: `port` or `tls` of [email] smtp is wrong"
                )
            }
            (None, _) if speaks_no_tls(error) => format!(
                "the mail server `{host}` does not speak TLS on this port: `port` or `tls` of [email] smtp is wrong \
                 (465 wants tls = \"tls\", 587 tls = \"starttls\")"
            ),
            (Some(_) | None, _) => format!("the mail server `{host}`: {error}"),
        };
        Self { message, kind }
    }

    /// A step that took longer than it may.
    pub(super) fn of_silence(host: &str, limit: Duration) -> Self {
        let message = format!("the mail server `{host}` did not answer within {} s", limit.as_secs_f32());
        Self { message, kind: FaultKind::Passing }
    }

    /// Takes out what the server may have repeated of a sign-in: the password, plain or in the base64 of AUTH.
    pub(super) fn without(mut self, username: &str, password: &str) -> Self {
        let plain = format!("\0{username}\0{password}");
        for secret in [base64(plain.as_bytes()), base64(password.as_bytes()), password.to_owned()] {
            if !secret.is_empty() {
                self.message = self.message.replace(&secret, "…");
            }
        }
        self
    }

    /// At the greeting, the sign-in and the sender: it concerns every mail.
    pub(super) fn of_server(self) -> MailError {
        match self.kind {
            FaultKind::Passing => MailError::Later { message: self.shown() },
            FaultKind::Mismatch | FaultKind::Permanent(_) => MailError::Setup { message: self.shown() },
        }
    }

    /// At the recipient and the content: it concerns this mail, but for the codes that ask for a sign-in (RFC 4954).
    pub(super) fn of_mail(self) -> MailError {
        match self.kind {
            FaultKind::Passing => MailError::Later { message: self.shown() },
            FaultKind::Mismatch | FaultKind::Permanent(530 | 534 | 535 | 538) => {
                MailError::Setup { message: self.shown() }
            }
            FaultKind::Permanent(code) => MailError::Refused { message: self.shown(), code: Some(code) },
        }
    }

    fn shown(&self) -> String {
        one_line(&self.message, MESSAGE_CHARS)
    }
}

/// Whether what answered a TLS greeting was no TLS at all: the words of rustls.
fn speaks_no_tls(error: &smtp::Error) -> bool {
    error.to_string().contains("InvalidContentType")
        || error.source().is_some_and(|cause| cause.to_string().contains("InvalidContentType"))
}

/// Only to recognise what must not be shown; what is sent, lettre encodes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=chunk.len()).map(|place| char::from(ALPHABET[bits >> (18 - 6 * place) & 63])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_sign_in_is_not_shown() {
        let said = |message: &str| Fault { message: message.into(), kind: FaultKind::Permanent(535) };
        let shown = |message| said(message).without("minutes", "pass word").of_server().to_string();
        assert_eq!(shown("no `AUTH PLAIN AG1pbnV0ZXMAcGFzcyB3b3Jk` here"), "no `AUTH PLAIN …` here");
        assert_eq!(shown("cGFzcyB3b3Jk, pass word"), "…, …");
        let other = "see https://support.example.com/mail/?p=BadCredentials";
        assert_eq!(shown(other), other);
    }

    #[test]
    fn base64_is_what_the_standard_says() {
        // RFC 4648 § 10, without the padding.
        for (plain, encoded) in [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("", "")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
