//! Mails: each is sent in the largest form that its server takes, and a refusal goes to whom it concerns.
//!
//! Only this module knows lettre.

mod address;
mod conversation;
mod letter;
mod limited;
mod mail_error;
mod mailer;
pub(super) mod message;
mod quoted;
mod refusals;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
pub(crate) use lettre::message::Mailbox as Recipient;

pub use address::message_id;
pub(crate) use address::recipient_mailbox;
pub use letter::DigestEntry;
pub(crate) use letter::Kept;
pub use letter::Letter;
pub use letter::LetterForm;
pub use mailer::{MailError, MailLimits, Mailer};
pub(crate) use refusals::Comparison;

use super::{
    context::{DeliveryContext, gather_context, one_at_a_time},
    outcome::{ERROR_MAX, give_up, record_delivered, try_later},
    plan::post_delivery_actions,
    runner::DeliveryRunner,
};
use crate::{
    clock,
    config::Folder,
    job::{HoldReason, State, retry::backoff_delay},
    runtime::Runtime,
    store::{Delivery, Lane, Scope, StoreError},
    text::{one_line, panic_message},
};

/// The name under which a mail server that is down is held.
pub(crate) const SMTP: &str = "smtp";

/// A mail server that is down is told of after this; a restart of one takes minutes.
const MAIL_PATIENCE: Duration = Duration::from_secs(3600);

/// Mails the notes of a job to one recipient.
pub(super) async fn deliver_mail(
    runner: &DeliveryRunner,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let runtime = &runner.runtime;
    let live = runtime.live();
    let (Some(context), Some(mailer), Some(email)) = (
        gather_context(runtime, delivery).await?,
        runner.current_mailer(&live.settings),
        &live.settings.email,
    ) else {
        return try_later(
            runtime,
            delivery,
            MAIL_PATIENCE,
            "mail is not set up in the configuration any more",
        )
        .await;
    };
    let folder = Arc::clone(&context.folder);
    let recording = context.recording_name();
    let name = context.job.plan.as_ref().and_then(|plan| {
        plan.attendees
            .iter()
            .find(|person| person.email.eq_ignore_ascii_case(&delivery.target))
            .map(|person| person.name.clone())
    });
    let Some(to) = recipient_mailbox(name.as_deref().unwrap_or_default(), &delivery.target) else {
        return give_up(runtime, delivery, &folder, &recording, "the address does not parse").await;
    };
    let id = message_id(&context.job.key, delivery.version, &delivery.target, &email.from);
    let context = Arc::new(context);
    let send = send_in_largest_form(&mailer, &context, &to, &id);
    let sent = match AssertUnwindSafe(send).catch_unwind().await {
        Ok(sent) => sent,
        Err(panic) => {
            let reason = format!("a bug: minuted panicked: {}", panic_message(panic.as_ref()));
            return give_up(runtime, delivery, &folder, &recording, &reason).await;
        }
    };
    let error = match sent {
        Ok(()) => {
            mail_works(runtime).await?;
            return record_delivered(runtime, delivery, &folder, None).await;
        }
        Err(error) => error,
    };
    let reason = one_line(&error.to_string(), ERROR_MAX);
    let retry = live.settings.retry;
    let wait = backoff_delay(retry.delay, retry.delay_max, delivery.attempts + 1, clock::jitter());
    match error {
        MailError::NotAllowed => withhold_mail(runtime, delivery, &folder).await,
        // Nothing is wrong with the server.
        MailError::Later { is_alone: true, .. } => {
            try_later(runtime, delivery, wait, &reason).await
        }
        MailError::Later { is_alone: false, .. } | MailError::Setup { .. } => {
            mail_down(runtime, &reason).await?;
            try_later(runtime, delivery, wait, &reason).await
        }
        MailError::TooLarge { .. } | MailError::Refused { .. } => {
            give_up(runtime, delivery, &folder, &recording, &reason).await
        }
    }
}

/// Sends notes in the largest form that the server takes. What is refused for its content and may be the set-up's fault
/// waits: see [`Mailer::compare_refusal`].
async fn send_in_largest_form(
    mailer: &Mailer,
    context: &Arc<DeliveryContext>,
    to: &Recipient,
    id: &str,
) -> Result<(), MailError> {
    let mut last = None;
    for form in LetterForm::ALL {
        let context = Arc::clone(context);
        let id = id.to_owned();
        let compose = move || one_at_a_time(|| context.build_letter(id, form));
        let letter = match tokio::task::spawn_blocking(compose).await {
            Ok(letter) => letter,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        match mailer.send_notes(to, &letter).await {
            Err(error @ MailError::TooLarge { .. }) => last = Some(error),
            Err(MailError::Refused { message, code: Some(code), is_content: true }) => {
                return Err(match mailer.compare_refusal(to, &letter, code) {
                    Comparison::Own => {
                        MailError::Refused { message, code: Some(code), is_content: true }
                    }
                    Comparison::Unclear => MailError::Later { message, is_alone: true },
                    Comparison::Everyone => MailError::Setup { message },
                });
            }
            sent => return sent,
        }
    }
    last.map_or(Ok(()), Err)
}

/// A recipient whom the operator's own rule keeps out gets no mail: nobody is alarmed, and `retry` sends it once the
/// rule permits.
async fn withhold_mail(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
) -> Result<(), StoreError> {
    let endings = post_delivery_actions(folder);
    let reason = MailError::NotAllowed.to_string();
    let state = runtime
        .persist_commit(|| {
            runtime.queue.deliveries().withhold(delivery, &reason, endings, clock::now())
        })
        .await?;
    tracing::info!(job.id = delivery.job.0, "a mail of job {} is withheld: {reason}", delivery.job);
    if state == Some(State::Done) {
        tracing::info!(job.id = delivery.job.0, "job {} is done", delivery.job);
    }
    Ok(())
}

/// Holds the mail server. The log says it at once, the operator is told when it has lasted.
async fn mail_down(runtime: &Runtime, error: &str) -> Result<(), StoreError> {
    let text = format!(
        "mail cannot be sent: {error}\nit is tried again until it works; minuted check --mail ADDRESS"
    );
    runtime
        .hold_with_notice(Scope::Service, SMTP, HoldReason::Down, error.to_owned(), &text, None)
        .await;
    let now = clock::now();
    let since = now.saturating_sub(MAIL_PATIENCE).unwrap_or(Timestamp::MIN);
    runtime
        .queue
        .holds()
        .notify_once(Scope::Service, SMTP, HoldReason::Down, since, text, now)
        .await
        .map(drop)
}

/// Ends the hold of the mail server, and lets all waiting mails be sent now.
pub(crate) async fn mail_works(runtime: &Runtime) -> Result<(), StoreError> {
    if runtime.end_hold(Scope::Service, SMTP, &[HoldReason::Down]).await {
        runtime.queue.deliveries().wake(Lane::Mails, None, clock::now()).await?;
        runtime.deliveries.notify_one();
    }
    Ok(())
}
