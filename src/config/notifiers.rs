//! `[[notify]]`: who is told of what happens, and by which way.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use toml::Spanned;
use url::Url;

use super::{
    NotifyEvent, NotifyKind,
    diagnostic::{Diagnostic, Diagnostics, Span, ValueError},
    durations::DurationBounds,
    reader::{Table, TableKeys as _, parse_word},
    table_keys::table_keys,
    values,
    words::{in_backticks, join_alternatives, suggest_word, wrap_words},
};
use crate::hint::Hinted;

/// Most notifiers of one configuration: each event writes a row for each of them.
const NOTIFIERS_MAX: usize = 20;

/// Range of the time that a command may take. Standard Webhooks gives a receiver at most 30 s.
const TIMEOUT: DurationBounds = DurationBounds::from_ms(100, 600_000);

/// The public server of ntfy.
const NTFY: &str = "https://ntfy.sh";

/// Bytes of a topic that ntfy takes (`^[-_A-Za-z0-9]{1,64}$` in its source).
const TOPIC_BYTES_MAX: usize = 64;

const KINDS: &[(&str, NotifyKind)] = &[
    ("webhook", NotifyKind::Webhook),
    ("ntfy", NotifyKind::Ntfy),
    ("command", NotifyKind::Command),
];

const INCLUDES: &[(&str, ())] = &[("notes", ())];

table_keys! {
    /// The keys of a notifier, of whatever kind.
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct WrittenNotifier from NotifyKeys {
        + name: String = read_text(values::parse_name);
        + kind: NotifyKind = read_word(KINDS);
        /// The events that it is told of; all where they are absent.
        events: Vec<NotifyEvent> = read_distinct(parse_event), default NotifyEvent::ALL.to_vec();
        + folders: Vec<String> = read_distinct(accept_text);
        + include: () = read_word(INCLUDES);
        + url: Url = read_url(parse_address);
        + url_file: PathBuf = read_file();
        + insecure: bool = read_flag();
        + secret_file: PathBuf = read_file();
        + old_secret_file: PathBuf = read_file();
        + topic: String = read_text(parse_topic);
        + topic_file: PathBuf = read_file();
        + token_file: PathBuf = read_file();
        + path: PathBuf = read_text(values::parse_absolute_path);
        + network: bool = read_flag();
        + timeout: Duration = read_duration(TIMEOUT);
    }
}

/// A notifier: a place that is told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Notifier {
    /// Its name in messages, logs and commands.
    pub name: String,
    /// The events that it is told of.
    pub events: Vec<NotifyEvent>,
    /// The ids of the folders whose events it is told of; `None` for all. Events of services have no folder.
    pub folders: Option<Vec<String>>,
    /// True if the notes go along.
    pub includes_notes: bool,
    /// The way.
    pub way: NotifyWay,
}

impl Notifier {
    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> NotifyKind {
        match self.way {
            NotifyWay::Webhook(_) => NotifyKind::Webhook,
            NotifyWay::Ntfy(_) => NotifyKind::Ntfy,
            NotifyWay::Command(_) => NotifyKind::Command,
        }
    }
}

/// The way in which a notifier is told.
#[derive(Debug, Clone, PartialEq)]
pub enum NotifyWay {
    /// By a signed POST.
    Webhook(WebhookTarget),
    /// By a message on a topic.
    Ntfy(NtfyTarget),
    /// By a program.
    Command(HookCommand),
}

/// A receiver of webhooks.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookTarget {
    /// Its address.
    pub address: HookAddress,
    /// The file with the secret that signs; `None` sends unsigned, as chat services want it.
    pub secret_file: Option<PathBuf>,
    /// The file with the secret from before, while receivers change over.
    pub old_secret_file: Option<PathBuf>,
}

/// A topic of an ntfy server.
#[derive(Debug, Clone, PartialEq)]
pub struct NtfyTarget {
    /// The root of the server.
    pub server: Url,
    /// The topic.
    pub topic: NtfyTopic,
    /// The file with the access token.
    pub token_file: Option<PathBuf>,
}

/// The name of a topic, which on a public server is as good as a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NtfyTopic {
    /// In the configuration.
    Written(String),
    /// In a file.
    File(PathBuf),
}

/// A program that is run for each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// The program: a path, never a line of a shell.
    pub path: PathBuf,
    /// True if it may use the network.
    pub network: bool,
    /// The time that it may take.
    pub timeout: Duration,
}

/// The address of a receiver, which is often a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAddress {
    /// In the configuration.
    Written(Url),
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
        /// True if the address may be http to another machine.
        insecure: bool,
    },
}

/// Reads all notifiers; `None` in the place of one with a mistake. `folders` are the names and ids of those that are
/// configured, with or without mistakes.
pub(super) fn read_notifiers(
    root: &Table<'_>,
    folders: &[(String, String)],
    diagnostics: &Diagnostics,
) -> Vec<Option<Notifier>> {
    let Some(tables) = root.read_tables("notify", "in `[[notify]]`", NotifyKeys::KNOWN) else {
        return Vec::new();
    };
    if tables.get_ref().len() > NOTIFIERS_MAX {
        let count = tables.get_ref().len();
        let what = format!("{count} notifiers, and at most {NOTIFIERS_MAX} are told");
        diagnostics.add_at(tables.span(), what, "remove some");
    }
    let mut names = BTreeMap::new();
    let mut notifiers = Vec::new();
    for table in tables.into_inner().into_iter().take(NOTIFIERS_MAX) {
        notifiers.push(table.and_then(|table| read_notifier(&table, folders, &mut names)));
    }
    notifiers
}

fn read_notifier(
    table: &Table<'_>,
    folders: &[(String, String)],
    names: &mut BTreeMap<String, Span>,
) -> Option<Notifier> {
    table.require_key("name", "write name = \"…\": what it is called in messages and commands");
    table.require_key("kind", "write kind = \"webhook\", \"ntfy\" or \"command\"");
    let mut keys = NotifyKeys::from_table(table);
    let name = keys.name.take().and_then(|name| claim_name(table, name, names));
    let of_folders = match keys.folders.take() {
        Some(written) => Some(folder_ids(table, &written, folders)?),
        None => None,
    };
    let kind = keys.kind.take()?.into_inner();
    refuse_foreign_keys(table, kind);
    let includes_notes = keys.include.is_some();
    let way = match kind {
        NotifyKind::Webhook => NotifyWay::Webhook(read_webhook_target(table, &mut keys)?),
        NotifyKind::Ntfy => NotifyWay::Ntfy(read_ntfy_target(table, &mut keys)?),
        NotifyKind::Command => NotifyWay::Command(read_hook_command(table, &mut keys)?),
    };
    let events = keys.into_settings()?.events;
    Some(Notifier { name: name?, events, folders: of_folders, includes_notes, way })
}

/// Returns the name of a notifier, which no other one may have.
fn claim_name(
    table: &Table<'_>,
    name: Spanned<String>,
    names: &mut BTreeMap<String, Span>,
) -> Option<String> {
    let span = name.span();
    let name = name.into_inner();
    if let Some(first) = names.insert(name.clone(), span.clone()) {
        let what = format!("two notifiers are called {}", in_backticks(&name));
        let help = "write another name = \"…\" for one of them";
        table
            .diagnostics()
            .add(Diagnostic::at_span(span, what, help).with_second_place(first, "first here"));
        return None;
    }
    Some(name)
}

/// Returns the ids of folders that are named; `None` where one is unknown, which is noted.
fn folder_ids(
    table: &Table<'_>,
    written: &Spanned<Vec<String>>,
    folders: &[(String, String)],
) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    for name in written.get_ref() {
        if let Some((_, id)) = folders.iter().find(|(known, _)| known == name) {
            ids.push(id.clone());
            continue;
        }
        let known = folders.iter().map(|(name, _)| name.as_str());
        let help = suggest_word(name, known.clone(), || {
            format!("write {}", join_alternatives(known.take(10)))
        });
        let what = format!("there is no folder {}", in_backticks(name));
        table.diagnostics().add_at(written.span(), what, help);
        return None;
    }
    Some(ids)
}

/// Returns the keys that a kind has besides those of every notifier.
const fn own_keys(kind: NotifyKind) -> &'static [&'static str] {
    match kind {
        NotifyKind::Webhook => {
            &["url", "url_file", "insecure", "secret_file", "old_secret_file", "include"]
        }
        NotifyKind::Ntfy => &["url", "insecure", "topic", "topic_file", "token_file"],
        NotifyKind::Command => &["path", "network", "timeout", "include"],
    }
}

/// Notes each key that another kind has.
fn refuse_foreign_keys(table: &Table<'_>, kind: NotifyKind) {
    const OF_ALL: [&str; 4] = ["name", "kind", "events", "folders"];
    for key in NotifyKeys::KNOWN {
        let is_known = OF_ALL.contains(key) || own_keys(kind).contains(key);
        if let Some(span) = table.key_span(key).filter(|_| !is_known) {
            let help =
                format!("remove it; the keys of this kind are {}", wrap_words(own_keys(kind)));
            table.diagnostics().add_at(span, format!("`{key}` with kind = \"{kind}\""), help);
        }
    }
}

/// Notes a key that must be there once, by its own name or as a file; returns whether it is.
fn is_given_once(table: &Table<'_>, key: &'static str, file_key: &'static str) -> bool {
    match (table.key_span(key), table.key_span(file_key)) {
        (Some(_), Some(second)) => {
            let what = format!("`{key}` and `{file_key}` in one table");
            table.diagnostics().add_at(second, what, "remove one of them");
            false
        }
        (None, None) if !table.is_present(key) && !table.is_present(file_key) => {
            table.require_key(file_key, format!("write {file_key} = \"…\", or {key} = \"…\""));
            false
        }
        (Some(_) | None, Some(_) | None) => true,
    }
}

fn read_webhook_target(table: &Table<'_>, keys: &mut NotifyKeys) -> Option<WebhookTarget> {
    if let Some(span) =
        table.key_span("old_secret_file").filter(|_| !table.is_present("secret_file"))
    {
        let help = "write secret_file = \"…\": the file with the new secret";
        table.diagnostics().add_at(span, "`old_secret_file` without `secret_file`", help);
    }
    if !is_given_once(table, "url", "url_file") {
        return None;
    }
    let insecure = keys.insecure.take().is_some_and(Spanned::into_inner);
    let address = match (keys.url.take(), keys.url_file.take()) {
        (Some(url), _) => HookAddress::Written(url.into_inner()),
        (None, Some(file)) => HookAddress::File { file: file.into_inner(), insecure },
        (None, None) => return None,
    };
    Some(WebhookTarget {
        address,
        secret_file: keys.secret_file.take().map(Spanned::into_inner),
        old_secret_file: keys.old_secret_file.take().map(Spanned::into_inner),
    })
}

fn read_ntfy_target(table: &Table<'_>, keys: &mut NotifyKeys) -> Option<NtfyTarget> {
    if !is_given_once(table, "topic", "topic_file") {
        return None;
    }
    let topic = match (keys.topic.take(), keys.topic_file.take()) {
        (Some(topic), _) => NtfyTopic::Written(topic.into_inner()),
        (None, Some(file)) => NtfyTopic::File(file.into_inner()),
        (None, None) => return None,
    };
    let server = match keys.url.take() {
        Some(url) => url,
        None if table.is_present("url") => return None,
        None => Spanned::new(table.span(), NTFY.parse().expect("a constant address")),
    };
    if server.get_ref().path() != "/" || server.get_ref().query().is_some() {
        let help = format!(
            "write \"{}\", and the topic as `topic`",
            server.get_ref().origin().ascii_serialization()
        );
        table.diagnostics().add_at(server.span(), "more than the root of an ntfy server", help);
        return None;
    }
    let token_file = keys.token_file.take().map(Spanned::into_inner);
    Some(NtfyTarget { server: server.into_inner(), topic, token_file })
}

fn read_hook_command(table: &Table<'_>, keys: &mut NotifyKeys) -> Option<HookCommand> {
    table.require_key("path", "write path = \"/usr/local/bin/…\": the program, without arguments");
    Some(HookCommand {
        path: keys.path.take()?.into_inner(),
        network: keys.network.take().is_some_and(Spanned::into_inner),
        timeout: keys.timeout.take().map_or(Duration::from_secs(30), Spanned::into_inner),
    })
}

fn parse_event(text: &str) -> Result<NotifyEvent, ValueError> {
    let words: Vec<_> = NotifyEvent::ALL.iter().map(|event| (event.as_str(), *event)).collect();
    parse_word("events", text, &words)
}

/// Accepts any name of a folder: [`folder_ids`] looks it up.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a reader of a value may refuse it; this one does not"
)]
fn accept_text(text: &str) -> Result<String, ValueError> {
    Ok(text.to_owned())
}

/// The name of a topic as ntfy takes it.
pub(super) fn parse_topic(text: &str) -> Result<String, ValueError> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.is_empty() || text.len() > TOPIC_BYTES_MAX || !text.chars().all(is_fit) {
        let help = "write 1 to 64 letters and digits of ASCII, `-` and `_`";
        return Err(ValueError::new("not the name of a topic", help));
    }
    Ok(text.to_owned())
}

/// The address of a receiver. It may be a secret, so no message repeats it.
pub(super) fn parse_address(text: &str, insecure: bool) -> Result<Url, ValueError> {
    let help = "write \"https://\", the host and the path that the receiver shows";
    let wrong = |what: &str| ValueError::new(what, help);
    let url: Url = text.trim().parse().map_err(|_| wrong("the address is not a URL"))?;
    let host = url.host_str().ok_or_else(|| wrong("the address names no host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user name in the address, which is sent to nobody"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || values::is_loopback(host) => Ok(url),
        "http" => Err(ValueError::new(
            "the address would send notifications in the clear",
            "write \"https://\", or insecure = true for a network of your own",
        )),
        _other => Err(wrong("the address is not https")),
    }
}

/// Reads the address of a receiver from the text of a file.
///
/// # Errors
/// The mistake with its cure; neither repeats the text.
pub(crate) fn read_hook_address(text: &str, insecure: bool) -> Result<Url, Hinted> {
    parse_address(text, insecure).map_err(|error| Hinted::new(error.what, error.help))
}

/// Reads the name of a topic from the text of a file.
///
/// # Errors
/// The mistake with its cure; neither repeats the text.
pub(crate) fn read_topic_name(text: &str) -> Result<String, Hinted> {
    parse_topic(text.trim()).map_err(|error| Hinted::new(error.what, error.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_near_and_is_never_repeated() {
        for (text, insecure) in [
            ("https://hooks.example.com/s3cret?x=1", false),
            ("http://127.0.0.1:5678/webhook/x", false),
            ("http://localhost/x", false),
            ("http://nas.home/x", true),
        ] {
            assert!(parse_address(text, insecure).is_ok(), "{text}");
        }
        for text in [
            "",
            "s3cret",
            "http://nas.home/s3cret",
            "ftp://a.example/s3cret",
            "https://ann:s3cret@a.example/",
            "file:///s3cret",
        ] {
            let error = parse_address(text, false).expect_err(text);
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_topic_is_what_ntfy_takes() {
        for text in ["minuted", "a-b_C9", &"x".repeat(64)] {
            assert!(parse_topic(text).is_ok(), "{text}");
        }
        for text in ["", "a b", "a/b", "müll", "a.b", &"x".repeat(65)] {
            assert!(parse_topic(text).is_err(), "{text}");
        }
    }
}
