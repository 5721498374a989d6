//! What lies outside this machine: the services and the mail server.

use std::sync::Arc;

use super::Finding;
use crate::{
    config::Settings,
    control::{Caller, Request},
    deliver::{MailError, Mailer, recipient},
    text::one_line,
    worker::chain,
};

/// Asks each service who is signed in, by the daemon where one runs: tokens have one owner.
pub(super) async fn services(settings: &Arc<Settings>) -> Vec<Finding> {
    if !settings.state_dir.exists() {
        // The daemon or `login` makes it; a check leaves no trace.
        let signed_out = |name: &String| Finding::error(format!("service {name}"), "nobody has signed in", login(name));
        return settings.services.keys().map(signed_out).chain([daemon(false)]).collect();
    }
    let caller = match Caller::connect(Arc::clone(settings)).await {
        Ok(caller) => caller,
        Err(error) => {
            let told = chain(&error);
            let (message, hint) = told.split_once("\nhint: ").unwrap_or((&told, "see the line above"));
            return vec![Finding::error("services", one_line(message, 300), hint)];
        }
    };
    let mut findings = Vec::new();
    for (name, service) in &settings.services {
        let subject = format!("service {name}");
        findings.push(match caller.ask(Request::Whoami { service: Some(name.clone()) }).await {
            Ok(_) => Finding::ok(subject, format!("{} answers and the sign-in works", service.base_url)),
            Err(refusal) => {
                let hint = refusal.hint.unwrap_or_else(|| "check base_url and the network".to_owned());
                // The subject names the service already.
                let message = refusal.message.split_once("`: ").map_or(&*refusal.message, |(_, message)| message);
                Finding::error(subject, message, hint.trim_end_matches("; minuted check"))
            }
        });
    }
    findings.push(daemon(caller.is_daemon()));
    findings
}

fn login(service: &str) -> String {
    format!("minuted login {service}")
}

fn daemon(runs: bool) -> Finding {
    let running = if runs { "it runs" } else { "it does not run; start it: minuted run, or systemctl start minuted" };
    Finding::ok("daemon", running)
}

/// Signs in at the mail server, and sends one mail if asked to.
pub(super) async fn mail(settings: &Settings, address: Option<&str>) -> Vec<Finding> {
    let Some(email) = &settings.email else {
        let hint = "add an [email] table; config.example.toml shows it";
        return address.map(|_| Finding::error("mail", "no mail is configured", hint)).into_iter().collect();
    };
    let subject = format!("mail by {}:{}", email.smtp.host, email.smtp.port);
    let mailer = Mailer::new(email);
    let mut findings = vec![match mailer.verify().await {
        Ok(()) => Finding::ok(subject.clone(), "the server takes mail from minuted"),
        Err(error) => failed(&subject, &error),
    }];
    if let Some(address) = address {
        findings.push(match recipient("", address) {
            None => Finding::error("test mail", format!("`{address}` is not an address"), "write name@example.com"),
            Some(to) => match mailer.send_test(&to).await {
                Ok(()) => Finding::ok("test mail", format!("sent to {address}")),
                Err(error) => failed("test mail", &error),
            },
        });
    }
    findings
}

fn failed(subject: &str, error: &MailError) -> Finding {
    let hint = match error {
        MailError::Later { .. } => "check [email] smtp: host, port, tls; and that the server runs",
        MailError::Setup { .. } => "check [email] smtp: tls, username and password_file",
        MailError::Refused { .. } => "the server refuses the address: check `from` and the recipient",
        MailError::NotAllowed => "add the address to email.allow",
    };
    Finding::error(subject, one_line(&error.to_string(), 300), hint)
}
