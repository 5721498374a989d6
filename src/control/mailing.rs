//! Questions about mail: the server accepts it from minuted, or not.

use serde_json::json;

use super::{Answer, Refusal};
use crate::{
    config::Email,
    delivery::{MailError, Mailer, recipient_mailbox},
    text::one_line,
};

/// Signs in at the mail server; with an address, sends one mail there.
///
/// # Errors
/// The [`Refusal`], with what to check.
pub(crate) async fn try_mail(email: &Email, to: Option<&str>) -> Answer {
    let mailer = Mailer::new(email);
    let Some(address) = to else {
        mailer.verify_setup().await.map_err(|error| refused_mail(email, &error))?;
        return Ok(json!({ "message": "the server takes mail from minuted" }));
    };
    let shown = one_line(address, 120);
    let mailbox = recipient_mailbox("", address).ok_or_else(|| {
        Refusal::new(format!("`{shown}` is not an address")).hint("write name@example.com")
    })?;
    mailer.send_test(&mailbox).await.map_err(|error| refused_mail(email, &error))?;
    Ok(json!({ "message": format!("sent to {shown}") }))
}

fn refused_mail(email: &Email, error: &MailError) -> Refusal {
    let missing = email.smtp.password_file.as_ref().is_some_and(|file| !file.exists());
    let hint = match error {
        MailError::Later { .. } | MailError::Setup { .. } if missing => {
            "write the password into that file (mode 0600); under systemd it is a credential that only the running \
             service sees: start it, then check again"
        }
        MailError::Later { .. } => "check [email] smtp: host, port, tls; and that the server runs",
        MailError::Setup { .. } => "check [email] smtp: tls, username and password_file",
        MailError::TooLarge { .. } => "the server takes only smaller mails: raise its limit",
        MailError::Refused { .. } => {
            "the server refuses the address: check `from` and the recipient"
        }
        MailError::NotAllowed => "add the address to email.allow",
    };
    Refusal::new(one_line(&error.to_string(), 300)).hint(hint)
}
