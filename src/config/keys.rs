//! Every key of the config file, table by table: the one list that reading, suggestions and the example are checked
//! against.

/// The top of the file.
pub(super) const ROOT: &[&str] = &[
    "state_dir",
    "history",
    "services",
    "retry",
    "workers",
    "email",
    "log",
    "defaults",
    "folder",
    "source",
    "webhook",
];
/// `[services.NAME]`: what every kind has, then what some have.
pub(super) const SERVICE: &[&str] = &[
    "kind",
    "analyses",
    "instruction",
    "poll",
    "request_timeout",
    "at_once",
    "base_url",
    "insecure",
    "meeting_type",
    "api_key_file",
    "api_key_env",
    "engine",
    "model",
    "notes_model",
    "diarize",
    "prompt_template",
    "context",
    "threads",
    "diarize",
    "video",
    "summary_model",
    "summary_format",
    "max_length",
    "chat_model",
];
/// `poll = { … }`.
pub(super) const POLL: &[&str] = &["first", "every", "timeout", "patience"];
/// `[retry]`.
pub(super) const RETRY: &[&str] = &["attempts", "delay", "delay_max"];
/// `[workers]`.
pub(super) const WORKERS: &[&str] = &["uploads", "requests_per_second"];
/// `[email]`.
pub(super) const EMAIL: &[&str] = &["from", "failures_to", "allow", "smtp"];
/// `smtp = { … }`.
pub(super) const SMTP: &[&str] = &["host", "port", "tls", "username", "password_file", "insecure"];
/// `[webhook]`.
pub(super) const WEBHOOK: &[&str] = &["listen"];
/// `[log]`.
pub(super) const LOG: &[&str] = &["level", "format", "dir", "keep"];
/// `[[folder]]`: what only a folder may hold, then [`DEFAULTS`].
pub(super) const FOLDER: &[&str] = &[
    "name",
    "id",
    "path",
    "attendees",
    "service",
    "instruction",
    "prompt_template",
    "analyses",
    "language",
    "recursive",
    "include",
    "exclude",
    "watch",
    "settle",
    "rescan",
    "backlog",
    "convert",
    "title",
    "deliver",
    "notes_dir",
    "notes_name",
    "email_to",
    "formats",
    "on_success",
    "move_to",
    "transcript",
    "on_success_remote",
    "file_mode",
    "sidecars",
    "min_duration",
    "max_duration",
    "max_size",
];
/// `[defaults]`.
pub(super) const DEFAULTS: &[&str] = FOLDER.split_at(3).1;
/// `[[source]]`: what others have too, then [`SOURCE_ALONE`].
pub(super) const SOURCE: &[&str] = &[
    "kind",
    "name",
    "base_url",
    "insecure",
    "api_key_file",
    "api",
    "into",
    "every",
    "since",
    "delete_after",
    "webhook_secret_file",
];
/// The keys that only a source may hold.
const SOURCE_ALONE: &[&str] = SOURCE.split_at(5).1;
/// An entry of `attendees`.
pub(super) const ATTENDEE: &[&str] = &["name", "email", "role"];
/// A sidecar of a recording or of a directory.
pub(super) const SIDECAR: &[&str] = &["title", "date", "attendees", "instruction", "language"];

/// A key that is refused, what is wrong with it, and the cure.
type Refused = (&'static str, &'static str, &'static str);

const REFUSED_IN_SOURCE: &[Refused] = &[
    (
        "api_key",
        "a key in the config file is not kept secret",
        "put it into a file that only minuted may read, and name that: api_key_file = \"…\"",
    ),
    (
        "webhook_secret",
        "a secret in the config file is not kept secret",
        "put it into a file that only minuted may read, and name that: webhook_secret_file = \"…\"",
    ),
];

const REFUSED_IN_SMTP: &[Refused] = &[(
    "password",
    "a password in the config file is not kept secret",
    "put it into a file that only minuted may read, and name that: password_file = \"…\"",
)];

const REFUSED_IN_SERVICE: &[Refused] = &[
    refused_secret("token"),
    (
        "api_key",
        "a key in the config file is not kept secret",
        "put it into a file that only minuted may read, and name that: api_key_file = \"…\"",
    ),
    refused_secret("password"),
];

const fn refused_secret(key: &'static str) -> Refused {
    (key, "a secret in the config file is not kept secret", "remove it, then sign in with `minuted login`")
}

/// Returns the keys that the table with these known keys refuses by more than "unknown".
pub(super) fn refused_in(known: &'static [&'static str]) -> &'static [Refused] {
    if known == SOURCE {
        REFUSED_IN_SOURCE
    } else if known == SMTP {
        REFUSED_IN_SMTP
    } else if known == SERVICE {
        REFUSED_IN_SERVICE
    } else {
        &[]
    }
}

/// Returns the table in which a key that is unknown in `here` would be known, when that is just one.
pub(super) fn home_of(key: &str, here: &[&str]) -> Option<&'static str> {
    const HOMES: [(&[&str], &str); 11] = [
        (ROOT, "the top of the file, before the first `[table]`"),
        (FOLDER, "`[[folder]]`"),
        (SOURCE_ALONE, "`[[source]]`"),
        (SERVICE, "`[services.NAME]`"),
        (POLL, "`poll = { … }` of a service"),
        (RETRY, "`[retry]`"),
        (WORKERS, "`[workers]`"),
        (EMAIL, "`[email]`"),
        (SMTP, "`smtp = { … }` of `[email]`"),
        (WEBHOOK, "`[webhook]`"),
        (LOG, "`[log]`"),
    ];
    let mut homes = HOMES.iter().filter(|(keys, _)| *keys != here && keys.contains(&key));
    let (_, home) = homes.next()?;
    homes.next().is_none().then_some(*home)
}
