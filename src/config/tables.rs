//! The tables of the config file with their keys, from which suggestions are made.

use std::sync::LazyLock;

use super::{
    calendars::CalendarKeys,
    email::{EmailKeys, SmtpKeys},
    folders,
    http_server::HttpServerKeys,
    notifiers::NotifyKeys,
    ping::PingKeys,
    reader::{KnownTable, RefusedKey, TableKeys as _},
    services::{self, PollKeys},
    settings::{LogKeys, RetryKeys, WorkersKeys},
    sources::SourceKeys,
    webhook::WebhookKeys,
};

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
    "calendar",
    "webhook",
    "http",
    "notify",
    "ping",
];

/// Every table of the config file.
pub(super) static TABLES: LazyLock<[KnownTable; 16]> = LazyLock::new(|| {
    [
        describe_table(ROOT, "the top of the file, before the first `[table]`", &[]),
        describe_table(&folders::FOLDER, "`[[folder]]`", &[]),
        KnownTable { title: None, ..describe_table(&folders::DEFAULTS, "", &[]) },
        // What stands before `api` may stand in other tables, too.
        KnownTable {
            own_keys: SourceKeys::KNOWN.split_at(5).1,
            ..describe_table(SourceKeys::KNOWN, "`[[source]]`", REFUSED_IN_SOURCE)
        },
        // Its other keys stand in other tables, too.
        KnownTable {
            own_keys: &["url_file"],
            ..describe_table(CalendarKeys::KNOWN, "`[[calendar]]`", REFUSED_IN_CALENDAR)
        },
        describe_table(&services::SERVICE, "`[services.NAME]`", REFUSED_IN_SERVICE),
        describe_table(PollKeys::KNOWN, "`poll = { … }` of a service", &[]),
        describe_table(RetryKeys::KNOWN, "`[retry]`", &[]),
        describe_table(WorkersKeys::KNOWN, "`[workers]`", &[]),
        describe_table(EmailKeys::KNOWN, "`[email]`", &[]),
        describe_table(SmtpKeys::KNOWN, "`smtp = { … }` of `[email]`", REFUSED_IN_SMTP),
        describe_table(WebhookKeys::KNOWN, "`[webhook]`", &[]),
        describe_table(HttpServerKeys::KNOWN, "`[http]`", &[]),
        describe_table(LogKeys::KNOWN, "`[log]`", &[]),
        // What stands before `events` and behind may stand in other tables, too.
        KnownTable {
            own_keys: &["events", "include", "old_secret_file", "topic", "topic_file", "network"],
            ..describe_table(NotifyKeys::KNOWN, "`[[notify]]`", REFUSED_IN_NOTIFY)
        },
        KnownTable {
            own_keys: &[],
            ..describe_table(PingKeys::KNOWN, "`[ping]`", REFUSED_IN_PING)
        },
    ]
});

fn describe_table(
    keys: &'static [&'static str],
    title: &'static str,
    refused: &'static [RefusedKey],
) -> KnownTable {
    KnownTable { keys, own_keys: keys, title: Some(title), refused }
}

const REFUSED_IN_SOURCE: &[RefusedKey] = &[
    API_KEY,
    RefusedKey {
        key: "webhook_secret",
        what: "a secret in the config file is not kept secret",
        help: "put it into a file that only minuted may read, and name that: webhook_secret_file = \"…\"",
    },
];

const REFUSED_IN_CALENDAR: &[RefusedKey] = &[RefusedKey {
    key: "url",
    what: "the address of a calendar lets everyone read it, and the config file keeps no secret",
    help: "put it into a file that only minuted may read, and name that: url_file = \"…\"",
}];

const REFUSED_IN_NOTIFY: &[RefusedKey] = &[
    RefusedKey {
        key: "secret",
        what: "a secret in the config file is not kept secret",
        help: "put it into a file that only minuted may read, and name that: secret_file = \"…\"",
    },
    RefusedKey {
        key: "token",
        what: "a token in the config file is not kept secret",
        help: "put it into a file that only minuted may read, and name that: token_file = \"…\"",
    },
    RefusedKey {
        key: "command",
        what: "a command is a path, never a line of a shell",
        help: "write path = \"/usr/local/bin/…\": the program, without arguments",
    },
];

const REFUSED_IN_PING: &[RefusedKey] = &[RefusedKey {
    key: "url",
    what: "the address of a monitor is a secret",
    help: "put it into a file that only minuted may read, and name that: url_file = \"…\"",
}];

const REFUSED_IN_SMTP: &[RefusedKey] = &[RefusedKey {
    key: "password",
    what: "a password in the config file is not kept secret",
    help: "put it into a file that only minuted may read, and name that: password_file = \"…\"",
}];

const REFUSED_IN_SERVICE: &[RefusedKey] =
    &[refused_secret("token"), API_KEY, refused_secret("password")];

const API_KEY: RefusedKey = RefusedKey {
    key: "api_key",
    what: "a key in the config file is not kept secret",
    help: "put it into a file that only minuted may read, and name that: api_key_file = \"…\"",
};

const fn refused_secret(key: &'static str) -> RefusedKey {
    let what = "a secret in the config file is not kept secret";
    RefusedKey { key, what, help: "remove it, then sign in with `minuted login`" }
}
