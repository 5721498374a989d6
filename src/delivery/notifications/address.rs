//! Addresses, topics and secrets of notifiers: read at each use, so that they may be changed, and never shown.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::signature::SigningKey;
use crate::{
    config::{
        HookAddress, HookCommand, Notifier, NotifyWay, NtfyTopic, WebhookTarget, read_hook_address,
        read_secret, read_topic_name,
    },
    hint::Hinted,
    text::printable_path,
};

/// Returns the address of a receiver.
pub(super) fn read_address(address: &HookAddress) -> Result<Url, Hinted> {
    match address {
        HookAddress::Written(url) => Ok(url.clone()),
        HookAddress::File { file, insecure } => read_address_file(file, *insecure),
    }
}

/// Returns the address that a file holds.
pub(super) fn read_address_file(file: &Path, insecure: bool) -> Result<Url, Hinted> {
    let text = read_secret_file(file)?;
    read_hook_address(text.expose_secret(), insecure)
        .map_err(|error| Hinted::new(format!("`{}`: {error}", printable_path(file)), error.hint()))
}

/// Returns the keys that sign, the new one first; none where nothing is signed.
pub(super) fn read_signing_keys(target: &WebhookTarget) -> Result<Vec<SigningKey>, Hinted> {
    let files = target.secret_file.iter().chain(&target.old_secret_file);
    let read = |file: &std::path::PathBuf| {
        let secret = read_secret_file(file)?;
        SigningKey::parse(&secret).ok_or_else(|| {
            let what = format!("`{}` is not a secret of webhooks", printable_path(file));
            Hinted::new(what, "write `whsec_` and 24 to 64 random bytes in base64 into it")
        })
    };
    files.map(read).collect()
}

/// Returns the name of a topic.
pub(super) fn read_topic(topic: &NtfyTopic) -> Result<String, Hinted> {
    match topic {
        NtfyTopic::Written(topic) => Ok(topic.clone()),
        NtfyTopic::File(file) => {
            let text = read_secret_file(file)?;
            read_topic_name(text.expose_secret()).map_err(|error| {
                Hinted::new(format!("`{}` is {error}", printable_path(file)), error.hint())
            })
        }
    }
}

/// Reads a file that holds a secret.
pub(super) fn read_secret_file(file: &Path) -> Result<SecretString, Hinted> {
    read_secret(file).map_err(|error| {
        Hinted::new(error.to_string(), "write it into that file, readable for minuted alone")
    })
}

/// Checks that a notifier can be used, without telling it anything: its secrets are there, its address parses, its
/// program can be run. Returns what was found, in words. Blocks.
///
/// # Errors
/// What is wrong, with the cure.
pub(crate) fn check_notifier(notifier: &Notifier) -> Result<String, Hinted> {
    match &notifier.way {
        NotifyWay::Webhook(target) => {
            let origin = read_address(&target.address)?.origin().ascii_serialization();
            let keys = read_signing_keys(target)?.len();
            let signed = match keys {
                0 => "not signed".to_owned(),
                keys => format!("signed with {}", crate::text::format_count(keys as u64, "secret")),
            };
            Ok(format!("webhooks to {origin}, {signed}"))
        }
        NotifyWay::Ntfy(target) => {
            read_topic(&target.topic)?;
            if let Some(file) = &target.token_file {
                read_secret_file(file)?;
            }
            Ok(format!("messages by {}", target.server.origin().ascii_serialization()))
        }
        NotifyWay::Command(command) => check_command(command),
    }
}

fn check_command(command: &HookCommand) -> Result<String, Hinted> {
    let shown = printable_path(&command.path);
    let file = std::fs::metadata(&command.path)
        .map_err(|error| Hinted::new(format!("`{shown}` is not there: {error}"), "check `path`"))?;
    let may_run = rustix::fs::access(&command.path, rustix::fs::Access::EXEC_OK).is_ok();
    if !file.is_file() || !may_run {
        let cure = crate::text::ShellCommand::new("chmod +x").add_word(&command.path);
        return Err(Hinted::new(
            format!("`{shown}` cannot be run by this user"),
            format!("run: {cure}"),
        ));
    }
    let network = if command.network { "with" } else { "without" };
    Ok(format!("runs {shown}, confined, {network} the network"))
}
