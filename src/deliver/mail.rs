//! Mail: one conversation with the server a mail, whose every step says whose fault a refusal is.

use std::{path::Path, time::Duration};

use lettre::{
    Address,
    message::{
        Mailbox, Message, MultiPart, SinglePart,
        header::{ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        self,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Noop, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use secrecy::{ExposeSecret as _, SecretString};

pub use super::mail_error::MailError;
use super::{
    address::{allowed, digest_id},
    letter::{self, Letter, Notice},
    mail_error::Fault,
};
use crate::{
    clock,
    config::{Email, SecretFileError, Smtp, Tls, read_secret},
    effect::Effect,
    text::one_line,
};

/// How long each step of a conversation may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To connect, to protect and to be greeted.
    pub connect: Duration,
    /// For the answer to one command.
    pub command: Duration,
    /// From the first byte of the mail to the server's word that it has it.
    pub message: Duration,
}

impl Default for Limits {
    /// RFC 5321 § 4.5.3.2 asks for 5 min a command, which was meant for the modems of 1989, and for 10 min after the
    /// last byte; the latter is kept, for to give up there means to send the mail twice.
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), command: Duration::from_secs(60), message: Duration::from_secs(600) }
    }
}

/// Sends mail by the settings it was made with. Holds no connection and no password.
#[derive(Debug, Clone)]
pub struct Mailer {
    email: Email,
    limits: Limits,
}

impl Mailer {
    /// Returns a mailer for these settings.
    #[must_use]
    pub fn new(email: &Email) -> Self {
        Self { email: email.clone(), limits: Limits::default() }
    }

    /// Returns the same mailer with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sends notes to one recipient, if `email.allow` lets them in.
    ///
    /// # Errors
    /// By what the caller does next; see [`MailError`]. After [`MailError::Later`] the server may have the mail all the
    /// same: the same letter, sent again, carries the same `Message-ID`.
    pub async fn send_notes(&self, to: &Mailbox, letter: &Letter) -> Result<(), MailError> {
        if !allowed(&self.email.allow, to.email.as_ref()) {
            return Err(MailError::NotAllowed);
        }
        let attachment = SinglePart::builder()
            .header(markdown_type())
            .header(ContentDisposition::attachment(&one_line(&letter.attachment, NAME_CHARS)))
            .header(ContentTransferEncoding::Base64)
            // As bytes: text would have its line ends changed, and the file is to be the file beside.
            .body(letter.markdown.clone().into_bytes());
        let body = MultiPart::mixed()
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
                    .singlepart(part(ContentType::TEXT_HTML, &letter.html)),
            )
            .singlepart(attachment);
        self.send(Effect::Mail, to, &letter.subject, &letter.message_id, body).await
    }

    /// Tells everyone in `failures_to` what needs attention, each in a mail of their own; `allow` does not apply.
    ///
    /// # Errors
    /// When nobody could be told: what the last of them met. One reader whose address is wrong does not keep the
    /// others from being told once.
    pub async fn send_digest(&self, notices: &[Notice]) -> Result<(), MailError> {
        let (subject, text) = letter::digest(notices);
        let mut outcome = Ok(());
        let mut told = false;
        for to in &self.email.failures_to {
            let id = digest_id(&text, to.email.as_ref(), &self.email.from);
            let body = MultiPart::mixed().singlepart(part(ContentType::TEXT_PLAIN, &text));
            match self.send(Effect::Digest, to, &subject, &id, body).await {
                Ok(()) => told = true,
                Err(error) => outcome = Err(error),
            }
        }
        match outcome {
            Err(error) if told => {
                tracing::warn!(%error, "failed to mail a digest to one of `failures_to`");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Sends a mail that says that mail works; for `check --mail`, whose caller names the address: `allow` does not
    /// apply.
    ///
    /// # Errors
    /// As [`Self::send_notes`].
    pub async fn send_test(&self, to: &Mailbox) -> Result<(), MailError> {
        let now = clock::now();
        let id = digest_id(&now.to_string(), to.email.as_ref(), &self.email.from);
        let text = "minuted can send mail from here. Nothing else is to be done.\n";
        let body = MultiPart::mixed().singlepart(part(ContentType::TEXT_PLAIN, text));
        self.send(Effect::Mail, to, "minuted: a test", &id, body).await
    }

    /// Connects, protects the conversation, signs in and leaves: everything short of a mail.
    ///
    /// # Errors
    /// [`MailError::Later`] or [`MailError::Setup`].
    pub async fn verify(&self) -> Result<(), MailError> {
        let mut connection = self.connect().await?;
        let answer = self.within(self.limits.command, connection.command(Noop)).await;
        self.leave(&mut connection).await;
        answer.map(drop).map_err(Fault::of_server)
    }

    async fn send(
        &self,
        effect: Effect,
        to: &Mailbox,
        subject: &str,
        id: &str,
        body: MultiPart,
    ) -> Result<(), MailError> {
        let (from, to) = (clean(&self.email.from)?, clean(to)?);
        let message = compose(&from, &to, subject, id, body)?;
        let mut connection = self.connect().await?;
        effect.before();
        let sent = self.hand_over(&mut connection, &from.email, &to.email, &message.formatted()).await;
        effect.after();
        self.leave(&mut connection).await;
        sent
    }

    /// The mail itself. A refused sender is the set-up's fault, a refused recipient or content this mail's.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<(), MailError> {
        let wide = [from, to].iter().any(|address| !address.to_string().is_ascii()) || !message.is_ascii();
        if wide && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let message = "the server takes no addresses outside ASCII (SMTPUTF8)".to_owned();
            return Err(MailError::Refused { message, code: None });
        }
        let options = if wide { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        let limit = self.limits.command;
        self.within(limit, connection.command(Mail::new(Some(from.clone()), options)))
            .await
            .map_err(Fault::of_server)?;
        self.within(limit, connection.command(Rcpt::new(to.clone(), Vec::new()))).await.map_err(Fault::of_mail)?;
        self.within(limit, connection.command(Data)).await.map_err(Fault::of_mail)?;
        let handed = self.within(self.limits.message, connection.message(message)).await;
        handed.map(drop).map_err(Fault::of_mail)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let smtp = &self.email.smtp;
        let credentials = match (&smtp.username, &smtp.password_file) {
            (Some(username), Some(file)) => Some((username.clone(), read_password(file)?)),
            (Some(_), None) | (None, Some(_) | None) => None,
        };
        let name = ClientId::default();
        let mut connection = self.greeted(smtp, &name).await?;
        if smtp.tls == Tls::Starttls {
            let upgrade = connection.starttls(tls_to(smtp)?, &name);
            self.within(self.limits.connect, upgrade).await.map_err(Fault::of_server)?;
        }
        if let Some((username, password)) = credentials {
            let signed_in = self.sign_in(&mut connection, username, &password).await;
            if signed_in.is_err() {
                self.leave(&mut connection).await;
            }
            signed_in?;
        }
        Ok(connection)
    }

    async fn greeted(&self, smtp: &Smtp, name: &ClientId) -> Result<AsyncSmtpConnection, MailError> {
        let tls = if smtp.tls == Tls::Tls { Some(tls_to(smtp)?) } else { None };
        let limit = self.limits.connect;
        let server = (smtp.host.trim_matches(['[', ']']), smtp.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(limit), name, tls, None);
        self.within(limit, connecting).await.map_err(Fault::of_server)
    }

    async fn sign_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        username: String,
        password: &SecretString,
    ) -> Result<(), MailError> {
        let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let answer = self.within(self.limits.command, connection.auth(&mechanisms, &credentials)).await;
        answer.map(drop).map_err(|fault| fault.without(&username, password.expose_secret()).of_server())
    }

    /// Says good-bye; a server that does not answer is left without.
    async fn leave(&self, connection: &mut AsyncSmtpConnection) {
        if tokio::time::timeout(self.limits.command.min(GOOD_BYE), connection.abort()).await.is_err() {
            tracing::debug!("the mail server did not answer QUIT");
        }
    }

    async fn within<T>(&self, limit: Duration, step: impl Future<Output = Result<T, smtp::Error>>) -> Result<T, Fault> {
        let host = &self.email.smtp.host;
        match tokio::time::timeout(limit, step).await {
            Ok(done) => done.map_err(|error| Fault::of(host, &error)),
            Err(_) => Err(Fault::of_silence(host, limit)),
        }
    }
}

/// Returns the mail between two mailboxes that are clean.
fn compose(from: &Mailbox, to: &Mailbox, subject: &str, id: &str, body: MultiPart) -> Result<Message, MailError> {
    Message::builder()
        .date(clock::now().into())
        .message_id(Some(id.to_owned()))
        .from(from.clone())
        .to(to.clone())
        .subject(one_line(subject, SUBJECT_CHARS))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            // RFC 3834: an out-of-office reply to it is not wanted.
            "auto-generated".to_owned(),
        ))
        .multipart(body)
        .map_err(|error| MailError::Refused { message: format!("the mail cannot be made: {error}"), code: None })
}

/// The head of the mail that the test button would send under this subject to this mailbox.
#[cfg(any(test, fuzzing))]
pub(super) fn head(to: &Mailbox, subject: &str) -> Option<String> {
    let (to, body) = (clean(to).ok()?, MultiPart::mixed().singlepart(part(ContentType::TEXT_PLAIN, "")));
    let message = compose(&to, &to, subject, "<id@example.com>", body).ok()?.formatted();
    let text = String::from_utf8_lossy(&message).into_owned();
    text.split_once("\r\n\r\n").map(|(head, _)| head.to_owned())
}

/// The longest good-bye; the mail is delivered by then.
const GOOD_BYE: Duration = Duration::from_secs(5);

/// The longest subject in characters.
const SUBJECT_CHARS: usize = 250;

/// The longest name of a person or of an attachment in characters.
const NAME_CHARS: usize = 250;

fn tls_to(smtp: &Smtp) -> Result<TlsParameters, MailError> {
    TlsParameters::new(smtp.host.clone()).map_err(|error| MailError::Setup {
        message: format!("TLS to `{}` cannot be set up: {error}", one_line(&smtp.host, NAME_CHARS)),
    })
}

/// A text part in base64: no line of it can be too long, begin with a dot or end in a bare line feed.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::Base64).body(text.replace("\r\n", "\n"))
}

fn markdown_type() -> ContentType {
    ContentType::parse("text/markdown; charset=utf-8").expect("a MIME type as RFC 7763 has it")
}

/// A mailbox that fits into a header: its name on one line, its domain in ASCII.
fn clean(mailbox: &Mailbox) -> Result<Mailbox, MailError> {
    let shown: &str = mailbox.email.as_ref();
    let refused = || MailError::Refused {
        message: format!("`{}` is not an address that mail can be sent to", one_line(shown, NAME_CHARS)),
        code: None,
    };
    if shown.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(refused());
    }
    let email = if mailbox.email.domain().is_ascii() {
        mailbox.email.clone()
    } else {
        let domain = url::Host::parse(mailbox.email.domain()).map_err(|_| refused())?;
        Address::new(mailbox.email.user(), domain.to_string()).map_err(|_| refused())?
    };
    let name = mailbox.name.as_deref().map(|name| one_line(name, NAME_CHARS)).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, email))
}

/// Reads the password anew at each connection, so that it may be changed under a running daemon.
fn read_password(path: &Path) -> Result<SecretString, MailError> {
    read_secret(path).map_err(|error| {
        let message = format!("the password file {error}");
        match error {
            SecretFileError::Unreadable { .. } => MailError::Later { message },
            SecretFileError::Open(_) => MailError::Setup { message },
        }
    })
}
