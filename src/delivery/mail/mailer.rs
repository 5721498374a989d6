//! The mailer: one conversation with the server for each mail, whose steps show whose fault a refusal is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lettre::{
    Address,
    message::{Mailbox, MultiPart, header::ContentType},
    transport::smtp::commands::{Data, Mail, Noop, Rcpt},
};

use super::{
    address::{digest_id, is_allowed},
    conversation::Conversation,
    letter::{self, DigestEntry, Letter},
    mail_error::{Fault, MailStep},
    message::{body_of, clean_mailbox, compose_message, text_part},
    refusals::{Comparison, Refusals},
};
pub use super::{conversation::MailLimits, mail_error::MailError};
use crate::{clock, config::Email, delivery::files::digest_of, effect::Effect};

/// Sends mail by the settings it was made with. Holds no connection and no password.
#[derive(Debug, Clone)]
pub struct Mailer {
    email: Email,
    limits: MailLimits,
    /// Earlier answers of the server, compared with a refusal to tell whose fault it is.
    seen: Arc<Mutex<ServerAnswers>>,
}

/// The answers of a server to mails so far.
#[derive(Debug, Default)]
struct ServerAnswers {
    /// The recipient that it took last.
    taken: Option<Address>,
    /// The mails that it refused for what is in them.
    refusals: Refusals,
}

/// Other recipients that are tried when one is refused: enough to compare with.
const COMPARED_MAX: usize = 3;

impl Mailer {
    /// Returns a mailer for these settings.
    #[must_use]
    pub fn new(email: &Email) -> Self {
        Self { email: email.clone(), limits: MailLimits::default(), seen: Arc::default() }
    }

    /// Returns the same mailer with other limits.
    #[must_use]
    pub fn with_limits(self, limits: MailLimits) -> Self {
        Self { limits, ..self }
    }

    /// Sends notes to one recipient, if `email.allow` lets them in.
    ///
    /// # Errors
    /// By what the caller does next; see [`MailError`]. After [`MailError::Later`] the server may have the mail all the
    /// same: the same letter, sent again, carries the same `Message-ID`.
    pub async fn send_notes(&self, to: &Mailbox, letter: &Letter) -> Result<(), MailError> {
        if !is_allowed(&self.email.allow, to.email.as_ref()) {
            return Err(MailError::NotAllowed);
        }
        let sent = self
            .send_mail(Effect::Mail, to, &letter.subject, &letter.message_id, body_of(letter))
            .await;
        if sent.is_ok() {
            self.lock_seen()
                .refusals
                .record_success(&digest_of(letter.markdown.as_bytes()), to.email.as_ref());
        }
        sent
    }

    /// Tells whether a mail that was refused with `code` for what is in it is at fault itself.
    #[must_use]
    pub fn compare_refusal(&self, to: &Mailbox, letter: &Letter, code: u16) -> Comparison {
        self.lock_seen().refusals.record_refusal(
            code,
            &digest_of(letter.markdown.as_bytes()),
            to.email.as_ref(),
        )
    }

    fn lock_seen(&self) -> MutexGuard<'_, ServerAnswers> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone in `failures_to` what needs attention, each in a mail of their own; `allow` does not apply.
    ///
    /// # Errors
    /// When nobody could be told: what the last of them met. One reader whose address is wrong does not keep the
    /// others from being told once.
    pub async fn send_digest(&self, notices: &[DigestEntry]) -> Result<(), MailError> {
        let (subject, text) = letter::render_digest(notices);
        let mut outcome = Ok(());
        let mut is_sent = false;
        for to in &self.email.failures_to {
            let id = digest_id(&text, to.email.as_ref(), &self.email.from);
            let body = MultiPart::mixed().singlepart(text_part(ContentType::TEXT_PLAIN, &text));
            match self.send_mail(Effect::Digest, to, &subject, &id, body).await {
                Ok(()) => is_sent = true,
                Err(error) => outcome = Err(error),
            }
        }
        match outcome {
            Err(error) if is_sent => {
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
        let body = MultiPart::mixed().singlepart(text_part(ContentType::TEXT_PLAIN, text));
        self.send_mail(Effect::Mail, to, "minuted: a test", &id, body).await
    }

    /// Connects, protects the conversation, signs in and leaves: everything short of a mail.
    ///
    /// # Errors
    /// [`MailError::Later`] or [`MailError::Setup`].
    pub async fn verify_setup(&self) -> Result<(), MailError> {
        let mut conversation = Conversation::open(&self.email.smtp, self.limits).await?;
        let answer = conversation.send_command(Noop).await;
        conversation.say_goodbye().await;
        answer.map(drop).map_err(Fault::of_server)
    }

    async fn send_mail(
        &self,
        effect: Effect,
        to: &Mailbox,
        subject: &str,
        id: &str,
        body: MultiPart,
    ) -> Result<(), MailError> {
        let from = clean_mailbox(&self.email.from)?;
        let to = clean_mailbox(to)?;
        let message = compose_message(&from, &to, subject, id, body)?;
        let mut conversation = Conversation::open(&self.email.smtp, self.limits).await?;
        let message = message.formatted();
        let sent = effect
            .during_async(self.hand_over(&mut conversation, &from.email, &to.email, &message))
            .await;
        conversation.say_goodbye().await;
        sent
    }

    /// The mail itself. A refused sender is the set-up's fault; a refused recipient or content is this mail's, unless
    /// others are refused as well.
    async fn hand_over(
        &self,
        conversation: &mut Conversation,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<(), MailError> {
        let options = conversation.mail_parameters(from, to, message)?;
        let sender = conversation.send_command(Mail::new(Some(from.clone()), options)).await;
        sender.map_err(|fault| fault.at_step(MailStep::Sender))?;
        if let Err(fault) = conversation.send_command(Rcpt::new(to.clone(), Vec::new())).await {
            if fault.is_about_recipient() && self.refuses_others(conversation, from, to).await {
                return Err(fault.of_everyone());
            }
            return Err(fault.at_step(MailStep::Recipient));
        }
        conversation.send_command(Data).await.map_err(|fault| fault.at_step(MailStep::Content))?;
        conversation
            .send_message(message)
            .await
            .map_err(|fault| fault.at_step(MailStep::Content))?;
        self.lock_seen().taken = Some(to.clone());
        Ok(())
    }

    /// Returns whether the server refuses every other recipient that it might take: the last that it took, the
    /// operators, the sender. They get no mail; the conversation ends here.
    async fn refuses_others(
        &self,
        conversation: &mut Conversation,
        from: &Address,
        to: &Address,
    ) -> bool {
        let taken = self.lock_seen().taken.clone();
        let operators =
            self.email.failures_to.iter().filter_map(|operator| clean_mailbox(operator).ok());
        let all =
            taken.into_iter().chain(operators.map(|operator| operator.email)).chain([from.clone()]);
        let mut others: Vec<Address> = Vec::new();
        for other in all.filter(|other| other != to && other.to_string().is_ascii()) {
            if !others.contains(&other) {
                others.push(other);
            }
        }
        let mut are_refused = false;
        for other in others.into_iter().take(COMPARED_MAX) {
            match conversation.send_command(Rcpt::new(other, Vec::new())).await {
                Ok(_) => return false,
                Err(fault) => are_refused |= fault.is_about_recipient(),
            }
        }
        are_refused
    }
}
