//! The drop-in that opens the sandbox of `minuted.service` for the folders of one configuration.
//!
//! The unit comes with a file system that is read-only but for its own directories, with empty homes and a `/tmp` of
//! its own. What else minuted must write is named here, and nothing else. The function is pure: a folder that is
//! missing, or hidden behind a link, is found by `minuted check`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    config::{CalendarLocation, NotifyWay, Settings},
    text,
};

/// What the unit owns already, by `StateDirectory=` and `LogsDirectory=`.
const OWN: [&str; 2] = ["/var/lib/minuted", "/var/log/minuted"];

/// Trees that the unit does not see, by `ProtectHome=` and `PrivateTmp=`: what is needed of them is bound in.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// Returns the drop-in for `settings`, with comments that say how to install it.
#[must_use]
pub(crate) fn drop_in(settings: &Settings) -> String {
    let mut unit = introduction(&settings.file);
    let mut named: Vec<PathBuf> = Vec::new();
    for (what, path) in writable(settings) {
        if !named.contains(&path) && !OWN.iter().any(|own| path.starts_with(own)) {
            writeln!(unit, "# {}\n{}", text::printable(&what), line(&path))
                .expect("a String takes what is written");
            named.push(path);
        }
    }
    for (what, path) in hidden_calendars(settings).into_iter().chain(hidden_programs(settings)) {
        if !named.iter().any(|opened| path.starts_with(opened)) {
            let line = assign("BindReadOnlyPaths", &path);
            writeln!(unit, "# {}\n{line}", text::printable(&what))
                .expect("a String takes what is written");
        }
    }
    unit
}

/// Returns the calendars of this machine that the unit does not see, with what each is.
fn hidden_calendars(settings: &Settings) -> Vec<(String, PathBuf)> {
    let paths = settings.calendars.iter().filter_map(|calendar| match &calendar.location {
        CalendarLocation::Path(path) => {
            Some((format!("calendar `{}`", calendar.name), path.clone()))
        }
        CalendarLocation::Address(_) => None,
    });
    paths.filter(|(_, path)| is_hidden(path)).collect()
}

fn is_hidden(path: &Path) -> bool {
    HIDDEN.iter().any(|hidden| path.starts_with(hidden))
}

/// Returns the directories of the programs that are told of events and that the unit does not see.
fn hidden_programs(settings: &Settings) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for notifier in &settings.notifiers {
        let NotifyWay::Command(command) = &notifier.way else { continue };
        let Some(directory) = command.path.parent() else { continue };
        let is_hidden = HIDDEN.iter().any(|hidden| directory.starts_with(hidden));
        if is_hidden && !found.iter().any(|(_, known)| known == directory) {
            found.push((format!("program of notifier `{}`", notifier.name), directory.to_owned()));
        }
    }
    found
}

/// Returns every directory that minuted writes to and the unit does not open, with what it is. `units` are the texts of
/// the unit and its drop-ins, in the order in which systemd reads them.
#[must_use]
pub(crate) fn unopened(settings: &Settings, units: &[String]) -> Vec<(String, PathBuf)> {
    let mut opened: Vec<PathBuf> = OWN.iter().map(PathBuf::from).collect();
    for key in ["ReadWritePaths", "BindPaths"] {
        let mut paths = Vec::new();
        for (_, value) in
            units.iter().flat_map(|unit| assignments(unit)).filter(|(found, _)| found == key)
        {
            // An empty value takes back what was assigned before.
            if value.is_empty() {
                paths.clear();
            }
            paths.extend(words(&value).iter().map(|word| seen_at(key, word)));
        }
        opened.extend(paths);
    }
    let mut missing = writable(settings);
    missing.retain(|(_, path)| !opened.iter().any(|opened| path.starts_with(opened)));
    missing
}

/// Returns the assignments of a unit file, those on several lines joined.
#[must_use]
pub(crate) fn assignments(unit: &str) -> Vec<(String, String)> {
    let joined = unit.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '[']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Returns the words of a value as systemd.syntax(7) has them: separated by spaces, which quotes and backslashes keep.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        let open = quote.is_some();
        match character {
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '"' | '\'' if quote == Some(character) => quote = None,
            '"' | '\'' if !open => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            '%' => {
                word.get_or_insert_default().push('%');
                if rest.as_str().starts_with('%') {
                    rest.next();
                }
            }
            character if character.is_whitespace() && !open => words.extend(word.take()),
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Returns the path at which the service sees what a word opens.
fn seen_at(key: &str, word: &str) -> PathBuf {
    let path = word.trim_start_matches(['-', '+']);
    let mut parts = path.split(':');
    let source = parts.next().unwrap_or_default();
    let target = parts.next().filter(|target| key == "BindPaths" && target.starts_with('/'));
    PathBuf::from(target.unwrap_or(if key == "BindPaths" { source } else { path }))
}

fn introduction(config: &Path) -> String {
    format!(
        "\
# What minuted.service may write, by {}. Install it, and again whenever folders change, with
#
#   sudo install -d /etc/systemd/system/minuted.service.d
#   minuted systemd-drop-in | sudo tee /etc/systemd/system/minuted.service.d/folders.conf
#   sudo systemctl daemon-reload
#   sudo systemctl restart minuted
#
# Because of the leading \"-\" a directory that is missing does not stop the service; one that is made later is seen
# after a restart.
[Service]
",
        text::printable_path(config)
    )
}

/// Returns every directory that minuted writes to, with what it is, in the order of the config.
fn writable(settings: &Settings) -> Vec<(String, PathBuf)> {
    let mut directories = vec![("state_dir".to_owned(), settings.state_dir.clone())];
    directories.extend(settings.log.dir.clone().map(|path| ("log.dir".to_owned(), path)));
    for folder in &settings.folders {
        directories.push((format!("folder `{}`", folder.name), folder.path.clone()));
        let notes_dir = folder.notes_dir.clone();
        directories.extend(notes_dir.map(|path| (format!("notes_dir of `{}`", folder.name), path)));
    }
    directories
}

fn line(path: &Path) -> String {
    assign(if is_hidden(path) { "BindPaths" } else { "ReadWritePaths" }, path)
}

/// Returns the line that opens a path by this key.
fn assign(key: &str, path: &Path) -> String {
    let Some(quoted) = quoted(path) else {
        return format!(
            "# cannot be written in a unit file, give it another name: `{}`",
            text::printable_path(path)
        );
    };
    format!("{key}={quoted}")
}

/// Returns the path with its `-` as one quoted word of a unit file, `None` where there is no such word.
///
/// Between quotes a backslash makes the next character itself, and nothing else is special but `%`, the sign of a
/// specifier (systemd.syntax(7), systemd.unit(5)). There is no escape for a line end in a list of paths.
fn quoted(path: &Path) -> Option<String> {
    let path = path.to_str().filter(|path| !path.chars().any(char::is_control))?;
    let mut word = String::from("\"-");
    for character in path.chars() {
        match character {
            '"' | '\\' => word.extend(['\\', character]),
            '%' => word.push_str("%%"),
            _ => word.push(character),
        }
    }
    word.push('"');
    Some(word)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    /// Reads a quoted word of a unit file as systemd.syntax(7) has it; `None` where it is not one whole word.
    fn unquoted(word: &str) -> Option<String> {
        let mut rest = word.strip_prefix('"')?.strip_suffix('"')?.chars();
        let mut text = String::new();
        while let Some(character) = rest.next() {
            match character {
                '"' => return None,
                '\\' => text.push(rest.next()?),
                '%' => text.push(rest.next().filter(|next| *next == '%')?),
                _ => text.push(character),
            }
        }
        Some(text)
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn a_path_is_one_word_of_the_unit_and_reads_back_or_is_not_written(path in "/(\\PC|[\"\\\\% \n\t]){0,40}") {
            let line = line(Path::new(&path));
            prop_assert!(!line.contains(char::is_control), "{:?}", line);
            match line.split_once('=').filter(|_| !line.starts_with('#')) {
                Some((_, word)) => {
                    prop_assert_eq!(unquoted(word), Some(format!("-{path}")));
                    prop_assert_eq!(words(word), [format!("-{path}")]);
                }
                None => prop_assert!(path.chars().any(char::is_control), "{:?}", path),
            }
        }
    }
    use crate::config::{
        Backlog, Convert, Folder, Format, Globs, Log, LogFormat, OnSuccess, Recipients, Retry,
        Target, Transcript, Watch, Workers,
    };

    fn folder(name: &str, path: &str, notes_dir: Option<&str>) -> Folder {
        let none = || Globs { patterns: Vec::new(), set: globset::GlobSet::empty() };
        Folder {
            name: name.to_owned(),
            id: name.to_owned(),
            path: path.into(),
            attendees: Vec::new(),
            calendar: None,
            service: "paxs".to_owned(),
            analyses: Vec::new(),
            instruction: None,
            language: None,
            vocabulary: Vec::new(),
            speakers: crate::config::Speakers::Auto,
            recursive: true,
            include: none(),
            exclude: none(),
            watch: Watch::Auto,
            settle: None,
            rescan: None,
            backlog: Backlog::Ask,
            convert: Convert::No,
            title: "{stem}".to_owned(),
            deliver: vec![Target::Beside],
            notes_dir: notes_dir.map(Into::into),
            notes_name: "{stem}.notes".to_owned(),
            links: crate::config::Links::Off,
            tags: Vec::new(),
            email_to: Recipients::Attendees,
            formats: vec![Format::Md],
            on_success: OnSuccess::Keep,
            delete_recording_after: None,
            transcript: Transcript::Make,
            on_success_remote: crate::config::OnSuccessRemote::Keep,
            prompt_template: None,
            file_mode: 0o660,
            sidecars: false,
            limits: crate::config::Limits::default(),
        }
    }

    fn settings(state_dir: &str, log_dir: Option<&str>, folders: Vec<Folder>) -> Settings {
        Settings {
            file: "/etc/minuted/config.toml".into(),
            state_dir: state_dir.into(),
            history: Duration::from_secs(1),
            services: BTreeMap::new(),
            retry: Retry {
                attempts: 3,
                delay: Duration::from_secs(60),
                delay_max: Duration::from_secs(900),
            },
            notifiers: Vec::new(),
            ping: None,
            workers: Workers { uploads: 2, requests_per_second: 10 },
            email: None,
            log: Log {
                level: "info".to_owned(),
                format: LogFormat::Text,
                dir: log_dir.map(Into::into),
                keep: 14,
            },
            folders,
            sources: Vec::new(),
            calendars: Vec::new(),
            webhook: None,
            http: None,
        }
    }

    #[test]
    fn everything_that_is_written_is_named_once_and_homes_are_bound() {
        let folders = vec![
            folder("sales", "/srv/recordings/sales", Some("/srv/notes")),
            folder("board", "/srv/recordings/board", Some("/srv/notes")),
            folder("ann", "/home/ann/Nextcloud/Meetings", None),
        ];
        insta::assert_snapshot!(drop_in(&settings("/data/minuted", Some("/data/log"), folders)), @r#"
        # What minuted.service may write, by /etc/minuted/config.toml. Install it, and again whenever folders change, with
        #
        #   sudo install -d /etc/systemd/system/minuted.service.d
        #   minuted systemd-drop-in | sudo tee /etc/systemd/system/minuted.service.d/folders.conf
        #   sudo systemctl daemon-reload
        #   sudo systemctl restart minuted
        #
        # Because of the leading "-" a directory that is missing does not stop the service; one that is made later is seen
        # after a restart.
        [Service]
        # state_dir
        ReadWritePaths="-/data/minuted"
        # log.dir
        ReadWritePaths="-/data/log"
        # folder `sales`
        ReadWritePaths="-/srv/recordings/sales"
        # notes_dir of `sales`
        ReadWritePaths="-/srv/notes"
        # folder `board`
        ReadWritePaths="-/srv/recordings/board"
        # folder `ann`
        BindPaths="-/home/ann/Nextcloud/Meetings"
        "#);
    }

    #[test]
    fn a_calendar_in_a_home_is_bound_to_be_read() {
        let calendar = |name: &str, path: &str| crate::config::CalendarSettings {
            name: name.to_owned(),
            location: CalendarLocation::Path(path.into()),
            every: Duration::from_secs(900),
        };
        let settings = Settings {
            calendars: vec![
                calendar("ann", "/home/ann/.calendars/work"),
                calendar("team", "/srv/calendars/team"),
                calendar("beside", "/home/bo/Meetings/work.ics"),
            ],
            ..settings("/var/lib/minuted", None, vec![folder("bo", "/home/bo/Meetings", None)])
        };
        let lines = drop_in(&settings);
        let bound = lines.lines().filter(|line| line.starts_with("Bind"));
        assert_eq!(
            bound.collect::<Vec<_>>(),
            [
                "BindPaths=\"-/home/bo/Meetings\"",
                "BindReadOnlyPaths=\"-/home/ann/.calendars/work\"",
            ]
        );
    }

    #[test]
    fn what_the_unit_does_not_open_is_found() {
        let of = |folders| settings("/var/lib/minuted", None, folders);
        let before = of(vec![folder("sales", "/srv/recordings/sales", Some("/srv/my notes"))]);
        let after = of(vec![
            folder("sales", "/srv/recordings/sales", Some("/srv/my notes")),
            folder("board", "/srv/recordings/board", None),
            folder("ann", "/home/ann/Meetings", None),
        ]);
        let unit = "[Service]\nProtectSystem=strict\n".to_owned();
        let missing = |settings: &Settings, units: &[String]| {
            unopened(settings, units)
                .into_iter()
                .map(|(what, _)| what)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let units = |drop_in: &str| [unit.clone(), drop_in.to_owned()];
        assert_eq!(missing(&before, &units(&drop_in(&before))), "");
        assert_eq!(missing(&after, &units(&drop_in(&before))), "folder `board`, folder `ann`");
        assert_eq!(missing(&after, &units(&drop_in(&after))), "");
        assert_eq!(missing(&before, &units("")), "folder `sales`, notes_dir of `sales`");
        // As people write them: several on a line, a tree above, a line that goes on, one that is taken back.
        let by_hand = "ReadWritePaths=/srv/recordings '/srv/my notes'\nBindPaths=/data/ann:/home/ann:rbind \\\n /x\n";
        assert_eq!(missing(&after, &units(by_hand)), "");
        assert_eq!(missing(&after, &units(&format!("{by_hand}BindPaths=\n"))), "folder `ann`");
    }

    #[test]
    fn what_the_unit_owns_is_not_named_again() {
        let text = drop_in(&settings("/var/lib/minuted", Some("/var/log/minuted"), Vec::new()));
        assert!(text.ends_with("[Service]\n"), "{text}");
    }

    /// The words were read back by systemd 252 (`systemd --user --test`) as the paths they stand for.
    #[test]
    fn a_path_survives_the_syntax_of_unit_files() {
        let quoted = |path| quoted(Path::new(path)).expect("it can be written");
        insta::assert_snapshot!(
            ["/srv/a b", "/srv/100%", "/srv/q\"q", "/srv/back\\slash\\", "/srv/übung 会議", "/srv/it's", "/srv/a:b"]
                .map(quoted)
                .join("\n"),
            @r#"
            "-/srv/a b"
            "-/srv/100%%"
            "-/srv/q\"q"
            "-/srv/back\\slash\\"
            "-/srv/übung 会議"
            "-/srv/it's"
            "-/srv/a:b"
            "#
        );
    }

    #[test]
    fn a_program_that_the_unit_does_not_see_is_bound_in_to_be_read() {
        use crate::config::{HookCommand, Notifier};
        let notifier = |name: &str, path: &str| Notifier {
            name: name.to_owned(),
            events: Vec::new(),
            folders: None,
            includes_notes: false,
            way: NotifyWay::Command(HookCommand {
                path: path.into(),
                network: false,
                timeout: Duration::from_secs(30),
            }),
        };
        let mut settings = settings("/var/lib/minuted", None, Vec::new());
        settings.notifiers =
            vec![notifier("a", "/home/ann/my hook/run"), notifier("b", "/usr/local/lib/m/run")];
        let unit = drop_in(&settings);
        let line = "# program of notifier `a`\nBindReadOnlyPaths=\"-/home/ann/my hook\"\n";
        assert!(unit.ends_with(line), "{unit}");
        assert!(!unit.contains("/usr/local"), "{unit}");
    }

    #[test]
    fn a_name_cannot_add_a_line_to_the_unit() {
        let hostile = folder("a\nExecStartPre=/bin/evil", "/srv/a\nExecStartPre=/bin/evil", None);
        let text = drop_in(&settings("/var/lib/minuted", None, vec![hostile]));
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, ["[Service]"]);
        assert!(text.contains("cannot be written in a unit file"), "{text}");
    }
}
