//! What lies outside this machine: the services and the mail server.

use std::sync::Arc;

use super::Finding;
use crate::{
    config::Settings,
    control::{Caller, Request, try_mail},
    text::one_line,
    worker::chain,
};

/// Asks each service who is signed in, by the daemon where one runs: tokens have one owner.
pub(super) async fn services(settings: &Arc<Settings>) -> (Vec<Finding>, Option<Caller>) {
    if !settings.state_dir.exists() {
        // The daemon or `login` makes it; a check leaves no trace.
        let signed_out = |name: &String| Finding::error(format!("service {name}"), "nobody has signed in", login(name));
        return (settings.services.keys().map(signed_out).chain([daemon(false)]).collect(), None);
    }
    let caller = match Caller::connect(Arc::clone(settings)).await {
        Ok(caller) => caller,
        Err(error) => {
            let told = chain(&error);
            let (message, hint) = told.split_once("\nhint: ").unwrap_or((&told, "see the line above"));
            return (vec![Finding::error("services", one_line(message, 300), hint)], None);
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
    (findings, Some(caller))
}

fn login(service: &str) -> String {
    format!("minuted login {service}")
}

fn daemon(runs: bool) -> Finding {
    let running = if runs { "it runs" } else { "it does not run; start it: minuted run, or systemctl start minuted" };
    Finding::ok("daemon", running)
}

/// Signs in at the mail server, and sends one mail if asked to. The daemon does it where one runs: the password may be a
/// credential that only its unit sees.
pub(super) async fn mail(settings: &Settings, caller: Option<&Caller>, address: Option<&str>) -> Vec<Finding> {
    let Some(email) = &settings.email else {
        let hint = "add an [email] table; config.example.toml shows it";
        return address.map(|_| Finding::error("mail", "no mail is configured", hint)).into_iter().collect();
    };
    let mut findings = Vec::new();
    let server = format!("mail by {}:{}", email.smtp.host, email.smtp.port);
    for (subject, to) in std::iter::once((server, None)).chain(address.map(|to| ("test mail".to_owned(), Some(to)))) {
        let tried = match caller.filter(|caller| caller.is_daemon()) {
            Some(daemon) => daemon.ask(Request::TryMail { to: to.map(str::to_owned) }).await,
            None => try_mail(email, to).await,
        };
        findings.push(match tried {
            Ok(answer) => Finding::ok(subject, answer["message"].as_str().unwrap_or_default()),
            Err(refusal) => Finding::error(subject, refusal.message, refusal.hint.unwrap_or_default()),
        });
    }
    findings
}
