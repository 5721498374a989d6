//! The reasons why a mail is not sent, and the party at fault.

use std::{error::Error as _, io, time::Duration};

use lettre::transport::smtp;

use crate::{certificate, text::one_line};

/// The reason why a mail was not sent, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The server or the way to it is down, busy or slow, or it takes nothing for this recipient now: later, without end.
    #[error("{message}")]
    Later {
        /// The error, for a person.
        message: String,
        /// True if the server makes this recipient alone wait: it accepts mail for others.
        is_alone: bool,
    },
    /// The server does not want minuted, or minuted is not set up for it: an operator must act, and until then it is
    /// tried later all the same.
    #[error("{message}")]
    Setup {
        /// The error and the cure, for a person.
        message: String,
    },
    /// The server takes no mail of this size.
    #[error("{message}")]
    TooLarge {
        /// The answer of the server, or the size that it takes.
        message: String,
    },
    /// The server will never take this mail for this recipient.
    #[error("{message}")]
    Refused {
        /// The answer of the server.
        message: String,
        /// Its three digits, when it was the server that refused.
        code: Option<u16>,
        /// True if it was refused for its content, which only a comparison with other mails can
        /// tell from a fault of the set-up: see [`super::Mailer::compare_refusal`].
        is_content: bool,
    },
    /// The configuration does not allow mail to this recipient.
    #[error("`email.allow` does not permit the address")]
    NotAllowed,
}

/// The longest message in characters: a server may answer with a page.
const MESSAGE_CHARS: usize = 400;

/// The key that names the server, in the words of a cure.
const HOST_KEY: &str = "`host` of [email] smtp";

/// A step of the conversation at which a server may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailStep {
    /// To connect, the greeting, EHLO, STARTTLS and the sign-in: what comes before any mail.
    Conversation,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, and the answer to the mail itself.
    Content,
}

/// The codes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusalCodes {
    code: u16,
    /// Subject and detail of the enhanced code (RFC 3463), where the server has those: the 7 and 1 of `5.7.1`.
    detail: Option<(u16, u16)>,
}

/// The party that has to change something for a mail to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The server, by and by.
    Server,
    /// The person who configured mail.
    Setup,
    /// The mail is too large.
    Size,
    /// The recipient, or the set-up where other recipients are refused as well.
    Recipient,
    /// The content of the mail, or the configuration where other mails are refused as well.
    Content,
}

/// Codes that ask for a sign-in or refuse one (RFC 4954 § 6), at whatever step.
const SIGN_IN: [u16; 4] = [530, 534, 535, 538];

/// Details of enhanced codes that blame the set-up at whatever step: a sender's address that is none or cannot be reached
/// (RFC 3463 § 3.2), a sign-in that is missing, refused, weak or not encrypted (RFC 5248).
const SETUP_DETAILS: [(u16, u16); 6] = [(1, 7), (1, 8), (7, 8), (7, 9), (7, 11), (7, 14)];

/// Details that say that the mail is too large, for the system or for the recipient.
const SIZE_DETAILS: [(u16, u16); 2] = [(3, 4), (2, 3)];

/// The code of a mail that is too large (RFC 1870 § 6.1), and of a mailbox that is full.
const TOO_MUCH: u16 = 552;

/// The server is about to close the connection, at whatever step.
const CLOSING: u16 = 421;

/// Returns who is to blame for a refusal, as far as its step and its codes tell. Words decide nothing.
fn blame_for(step: MailStep, reply: RefusalCodes) -> Blame {
    let is_one_of =
        |details: &[(u16, u16)]| reply.detail.is_some_and(|detail| details.contains(&detail));
    if reply.code < 500 {
        let is_about_recipient = step == MailStep::Recipient && reply.code != CLOSING;
        return if is_about_recipient { Blame::Recipient } else { Blame::Server };
    }
    if SIGN_IN.contains(&reply.code) || is_one_of(&SETUP_DETAILS) || step == MailStep::Conversation
    {
        return Blame::Setup;
    }
    if is_one_of(&SIZE_DETAILS)
        || reply.code == TOO_MUCH && reply.detail.is_none_or(|detail| detail == (0, 0))
    {
        return Blame::Size;
    }
    match step {
        MailStep::Conversation | MailStep::Sender => Blame::Setup,
        MailStep::Recipient => Blame::Recipient,
        MailStep::Content => Blame::Content,
    }
}

/// A step that did not succeed, before it is known whose fault that is.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    kind: FaultKind,
}

#[derive(Debug, Clone, Copy)]
enum FaultKind {
    /// The network failed, the server is busy, or its answer cannot be parsed.
    Passing,
    /// The two sides do not fit together: no STARTTLS, no common way to sign in.
    Mismatch,
    /// The server said no.
    Refused(RefusalCodes),
}

impl Fault {
    /// Returns the fault of a step of a conversation with `host`, from lettre's error.
    pub(super) fn from_smtp(host: &str, error: &smtp::Error) -> Self {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        let kind = match error.status() {
            Some(code) => FaultKind::Refused(RefusalCodes {
                code: code.into(),
                detail: enhanced_code(&cause),
            }),
            None if error.is_client() => FaultKind::Mismatch,
            None => FaultKind::Passing,
        };
        let message = match (error.status(), error.source()) {
            (Some(code), Some(cause)) => {
                format!("the mail server `{host}` answered {code}: {cause}")
            }
            (None, _) if error.is_client() && error.to_string().contains("STARTTLS") => {
                format!(
                    "the mail server `{host}` offers no STARTTLS on this port: `port` or `tls` of [email] smtp is wrong"
                )
            }
            (None, _) if speaks_no_tls(error) => format!(
                "the mail server `{host}` does not speak TLS on this port: `port` or `tls` of [email] smtp is wrong \
                 (465 wants tls = \"tls\", 587 tls = \"starttls\")"
            ),
            (Some(_) | None, _) => {
                let text = without_repetition(&error.to_string());
                let cure = certificate::cure(&text, HOST_KEY)
                    .map(|cure| format!("; {cure}"))
                    .unwrap_or_default();
                format!("the mail server `{host}`: {text}{cure}")
            }
        };
        Self { message, kind }
    }

    /// Returns the fault of a server that cannot be connected to.
    pub(super) fn of_network(host: &str, error: &io::Error) -> Self {
        Self {
            message: format!("the mail server `{host}`: Connection error: {error}"),
            kind: FaultKind::Passing,
        }
    }

    /// Returns the fault of a step that took longer than it may.
    pub(super) fn of_silence(host: &str, limit: Duration) -> Self {
        let message =
            format!("the mail server `{host}` did not answer within {} s", limit.as_secs_f32());
        Self { message, kind: FaultKind::Passing }
    }

    /// Removes what the server may have repeated of a sign-in: the password, plain or in the base64
    /// of AUTH.
    pub(super) fn redact_credentials(mut self, username: &str, password: &str) -> Self {
        let plain = format!("\0{username}\0{password}");
        for secret in [
            encode_base64(plain.as_bytes()),
            encode_base64(password.as_bytes()),
            password.to_owned(),
        ] {
            if !secret.is_empty() {
                self.message = self.message.replace(&secret, "…");
            }
        }
        self
    }

    /// Returns whether only a comparison with other recipients tells whose fault it is.
    pub(super) fn is_about_recipient(&self) -> bool {
        matches!(self.kind, FaultKind::Refused(reply) if blame_for(MailStep::Recipient, reply) == Blame::Recipient)
    }

    /// Returns whether the server was not trusted: it speaks TLS.
    pub(super) fn is_about_certificate(&self) -> bool {
        self.message.contains("invalid peer certificate")
    }

    /// Returns the error of a step before any mail: it concerns every mail.
    pub(super) fn of_server(self) -> MailError {
        self.at_step(MailStep::Conversation)
    }

    /// Returns the error of a recipient while every other one that was tried is refused, too: no
    /// recipient is blamed.
    pub(super) fn of_everyone(self) -> MailError {
        let is_passing = matches!(self.kind, FaultKind::Refused(RefusalCodes { code: ..500, .. }));
        let message =
            format!("{}; so it is with every recipient that was tried", self.short_message());
        if is_passing {
            MailError::Later { message, is_alone: false }
        } else {
            MailError::Setup { message }
        }
    }

    /// Returns the error of a step of this mail.
    pub(super) fn at_step(self, step: MailStep) -> MailError {
        let message = self.short_message();
        let reply = match self.kind {
            FaultKind::Passing => return MailError::Later { message, is_alone: false },
            FaultKind::Mismatch => return MailError::Setup { message },
            FaultKind::Refused(reply) => reply,
        };
        match blame_for(step, reply) {
            Blame::Server => MailError::Later { message, is_alone: false },
            Blame::Setup => MailError::Setup { message },
            Blame::Size => MailError::TooLarge { message },
            Blame::Recipient if reply.code < 500 => MailError::Later { message, is_alone: true },
            Blame::Recipient => {
                MailError::Refused { message, code: Some(reply.code), is_content: false }
            }
            Blame::Content => {
                MailError::Refused { message, code: Some(reply.code), is_content: true }
            }
        }
    }

    fn short_message(&self) -> String {
        one_line(&self.message, MESSAGE_CHARS)
    }
}

/// Returns subject and detail of the enhanced code that an answer begins with.
fn enhanced_code(answer: &str) -> Option<(u16, u16)> {
    let mut parts = answer.split_whitespace().next()?.split('.');
    let class = parts.next()?;
    let detail = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_none() && ["4", "5"].contains(&class)).then_some(detail)
}

/// Removes a repetition of lettre: `Connection error: Connection error: …`.
fn without_repetition(text: &str) -> String {
    let mut parts: Vec<&str> = text.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

/// Returns whether the answer to a TLS greeting was not TLS, by the words of rustls.
fn speaks_no_tls(error: &smtp::Error) -> bool {
    error.to_string().contains("InvalidContentType")
        || error.source().is_some_and(|cause| cause.to_string().contains("InvalidContentType"))
}

/// Returns the base64 of `bytes`, to recognise secrets in an answer; lettre encodes what is sent.
fn encode_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend(
            (0..=chunk.len()).map(|place| char::from(ALPHABET[bits >> (18 - 6 * place) & 63])),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_sign_in_is_not_shown() {
        let fault = |message: &str| Fault {
            message: message.into(),
            kind: FaultKind::Refused(RefusalCodes { code: 535, detail: None }),
        };
        let shown = |message| {
            fault(message).redact_credentials("minutes", "pass word").of_server().to_string()
        };
        assert_eq!(
            shown("no `AUTH PLAIN AG1pbnV0ZXMAcGFzcyB3b3Jk` here"),
            "no `AUTH PLAIN …` here"
        );
        assert_eq!(shown("cGFzcyB3b3Jk, pass word"), "…, …");
        let other = "see https://support.example.com/mail/?p=BadCredentials";
        assert_eq!(shown(other), other);
    }

    #[test]
    fn base64_is_what_the_standard_says() {
        // RFC 4648 § 10, without the padding.
        for (plain, encoded) in
            [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("", "")]
        {
            assert_eq!(encode_base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn an_enhanced_code_is_read_where_it_stands_and_nowhere_else() {
        assert_eq!(enhanced_code("5.7.1 no\nmore"), Some((7, 1)));
        assert_eq!(enhanced_code("4.3.2"), Some((3, 2)));
        for other in
            ["", "no", "5.7", "5.7.1.2 no", "2.1.5 fine", "192.0.2.1 is listed", "no 5.7.1"]
        {
            assert_eq!(enhanced_code(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_said_twice_in_a_row_is_said_once() {
        let fault = "Connection error: Connection error: invalid peer certificate: UnknownIssuer";
        assert_eq!(
            without_repetition(fault),
            "Connection error: invalid peer certificate: UnknownIssuer"
        );
        assert_eq!(without_repetition("a: b: a"), "a: b: a");
    }
}
