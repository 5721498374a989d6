//! The receiver of webhooks: whether its port can be had, and what to enter at the vendor.

use std::net::{SocketAddr, TcpListener, TcpStream};

use super::Finding;
use crate::{
    config::{Settings, Source, SourceApi, read_secret},
    webhook::webhook_path,
};

/// The time within which a port of this machine must answer.
const CONNECT_MAX: std::time::Duration = std::time::Duration::from_secs(3);

/// Tries the port and tells the addresses; nothing where no webhooks are taken. `is_in_force` says of a daemon that
/// runs whether it does so with these settings, and so listens. Blocks.
pub(super) fn check_webhook(settings: &Settings, is_in_force: Option<bool>) -> Vec<Finding> {
    let Some(webhook) = &settings.webhook else {
        let Some(http) = &settings.http else { return Vec::new() };
        // The page's port takes calls unasked: a source without a secret is simply asked now and then.
        let sources = settings.sources.iter();
        let sources = sources
            .filter(|source| source.api == SourceApi::V1 || source.webhook_secret_file.is_some());
        return sources.flat_map(|source| describe_webhooks(source, http.listen)).collect();
    };
    let mut findings = vec![try_port(webhook.listen, is_in_force)];
    if settings.sources.is_empty() {
        let hint = "add a [[source]], or remove [webhook]";
        findings.push(Finding::warning(
            "webhook",
            "there is no source that a webhook could be for",
            hint,
        ));
    }
    findings.extend(
        settings.sources.iter().flat_map(|source| describe_webhooks(source, webhook.listen)),
    );
    findings
}

fn try_port(listen: SocketAddr, is_in_force: Option<bool>) -> Finding {
    if is_in_force == Some(true) {
        return match TcpStream::connect_timeout(&listen, CONNECT_MAX) {
            Ok(_) => Finding::ok(
                "webhook",
                format!("{listen} is listened at, as it should be while the daemon runs"),
            ),
            Err(error) => {
                let hint = "see the log; after a change of the config: systemctl reload minuted";
                Finding::error(
                    "webhook",
                    format!("nobody listens at {listen} although the daemon runs: {error}"),
                    hint,
                )
            }
        };
    }
    match TcpListener::bind(listen) {
        Ok(_) => Finding::ok("webhook", format!("{listen} is free")),
        Err(error)
            if is_in_force == Some(false) && error.kind() == std::io::ErrorKind::AddrInUse =>
        {
            let message = format!(
                "{listen} is in use: by the daemon as it runs now, or by another program (ss -ltnp)"
            );
            Finding::note("webhook", message)
        }
        Err(error) => {
            let hint = "write another port, or see who has it: ss -ltnp";
            Finding::error("webhook", format!("cannot listen at {listen}: {error}"), hint)
        }
    }
}

/// Adds the findings about the webhooks of one source.
fn describe_webhooks(source: &Source, listen: SocketAddr) -> Vec<Finding> {
    let subject = format!("webhook {}", source.name);
    let path = webhook_path(&source.name);
    let enter = format!(
        "enter https://YOUR-HOST{path} at the vendor, and have your proxy pass it on to http://{listen}{path}"
    );
    let mut findings = vec![Finding::note(&subject, enter)];
    match (source.api, &source.webhook_secret_file) {
        (SourceApi::V1, _) => {}
        (SourceApi::V2, None) => {
            let hint = "add webhook_secret_file = \"…\" to the source: the secret (`whsec_…`) that the vendor shows";
            findings.push(Finding::error(
                &subject,
                "version 2 signs its webhooks, and the secret is not known",
                hint,
            ));
        }
        (SourceApi::V2, Some(file)) => {
            if let Err(error) = read_secret(file) {
                let hint = "put the secret (`whsec_…`) that the vendor shows there, readable for minuted alone";
                findings.push(Finding::error(&subject, error.to_string(), hint));
            }
        }
    }
    findings
}
