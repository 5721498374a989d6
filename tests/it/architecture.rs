//! Who may know whom, and what no file may hold: the rules of the source tree, read from the source itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use minuted::testing::effect::Effect;
use proc_macro2::{TokenStream, TokenTree};

/// Each module with those below it that it may know, top to bottom. A module knows [`BASE`] besides, and itself.
const TABLE: &[(&str, &str)] = &[
    ("main", ""),
    ("testing", "watch sources delivery services engine http store job config"), // for `tests/it` alone
    ("fuzzing", "control watch delivery services calendar engine verify job config"), // for tests and `fuzz/` alone
    (
        "commands",
        "memory cli daemon web webhook control watch worker pipeline sources delivery runtime services engine http store logging \
         dropin service_manager signals confine job config",
    ),
    ("cli", "job config"),
    (
        "daemon",
        "web webhook control watch worker pipeline sources delivery runtime services http store logging service_manager \
         signals last_words job config",
    ),
    ("web", "webhook control delivery store job config"),
    ("webhook", "sources config"),
    (
        "control",
        "watch worker pipeline sources delivery runtime services calendar store last_words job config",
    ),
    ("watch", "store last_words job config"),
    ("worker", "pipeline delivery runtime services store job config"),
    ("pipeline", "delivery services calendar engine extract store job config"),
    ("sources", "delivery services http store job config"),
    ("delivery", "runtime services engine http store job config"),
    ("runtime", "services calendar store job config"),
    ("services", "engine http verify job config"),
    ("calendar", "http job config"),
    ("engine", "confine job config"),
    ("http", "config"),
    ("store", "last_words job config"),
    ("verify", "extract job config"),
    ("extract", "job config"),
    ("logging", "config"),
    ("dropin", "config"),
    ("service_manager", ""),
    ("signals", ""),
    ("last_words", ""),
    ("job", "config"),
    ("memory", ""),
    ("confine", ""),
    ("config", ""),
    ("access", "text"),
    ("open_files", "beneath clock text"),
    ("drafts", "beneath"),
    ("beneath", "text"),
    ("certificate", ""),
    ("clock", ""),
    ("effect", ""),
    ("exit", ""),
    ("hint", ""),
    ("media_types", ""),
    ("progress", ""),
    ("tcp_listener", ""),
    ("text", ""),
    ("words", ""),
];

/// What anything above may know. They know nobody.
const BASE: [&str; 14] = [
    "access",
    "beneath",
    "certificate",
    "clock",
    "drafts",
    "effect",
    "exit",
    "hint",
    "media_types",
    "open_files",
    "progress",
    "tcp_listener",
    "text",
    "words",
];

/// The crates that stand for an outside world, with the modules or directories that may know it.
const WORLDS: &[(&str, &str)] = &[
    ("aws_lc_rs", "delivery engine services webhook"),
    ("axum", "web"),
    ("calcard", "calendar"),
    ("clap", "main commands cli"),
    ("earshot", "engine"),
    ("hyper", "web webhook"),
    ("hyper_util", "web webhook"),
    ("kodama", "engine"),
    ("landlock", "confine"),
    ("lettre", "delivery config"), // config: for the types of an address
    ("libc", "confine"),
    ("maud", "web"),
    ("minijinja", "delivery"),
    ("notify", "watch"),
    ("ort", "engine"),
    ("prometheus_client", "web control store"),
    ("pulldown_cmark", "delivery"),
    ("realfft", "engine"),
    ("reqwest", "http"),
    ("rusqlite", "store/sqlite"),
    ("sd_notify", "service_manager"),
    ("seccompiler", "confine"),
    ("signal_hook", "signals"),
    ("symphonia", "engine"),
    ("tracing_appender", "logging"),
    ("tracing_subscriber", "logging"),
    ("whisper_rs", "engine"),
    ("zip", "engine"),
];

/// The functions of `std::env` that read or change variables; only `config` does.
const ENVIRONMENT: [&str; 7] =
    ["home_dir", "remove_var", "set_var", "var", "var_os", "vars", "vars_os"];

/// The longest a file may be before its tests, in lines.
const LINES_MAX: usize = 500;

#[test]
fn every_module_has_a_row_and_every_row_a_module() {
    let rows: BTreeSet<&str> = TABLE.iter().map(|(module, _)| *module).collect();
    let modules: BTreeSet<&str> =
        sources().iter().map(Source::module).filter(|module| *module != "lib").collect();
    let without_row: Vec<_> = modules.difference(&rows).collect();
    let without_module: Vec<_> = rows.difference(&modules).collect();
    assert!(
        without_row.is_empty() && without_module.is_empty(),
        "{without_row:?} {without_module:?}"
    );
}

#[test]
fn the_table_itself_points_down() {
    for (at, (module, knows)) in TABLE.iter().enumerate() {
        for known in knows.split_whitespace() {
            assert!(
                TABLE[at + 1..].iter().any(|(below, _)| *below == known),
                "`{module}` is not above `{known}`"
            );
        }
    }
}

#[test]
fn modules_know_only_those_below() {
    let faults = faults(|source| {
        let allowed = |known: &str| {
            let row = TABLE
                .iter()
                .find(|(module, _)| *module == source.module())
                .map_or("", |(_, knows)| knows);
            let base = BASE.contains(&known) && !BASE.contains(&source.module());
            known == source.module() || base || row.split_whitespace().any(|name| name == known)
        };
        let known = if source.module() == "lib" { Vec::new() } else { source.known() };
        known
            .into_iter()
            .filter(|known| !allowed(known))
            .map(|known| format!("knows `{known}`"))
            .collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn each_outside_world_has_one_door() {
    let faults = faults(|source| {
        let foreign = |doors: &str| {
            !doors
                .split_whitespace()
                .any(|door| source.path.starts_with(door) || door == source.module())
        };
        let worlds = WORLDS
            .iter()
            .filter(|(world, modules)| foreign(modules) && names_crate(&source.tokens, world));
        let mut found: Vec<_> = worlds.map(|(world, _)| format!("uses {world}")).collect();
        if source.module() != "config" && touches_environment(&source.tokens) {
            found.push("uses the environment".to_owned());
        }
        found
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn what_is_pure_does_no_input_or_output_and_waits_for_nothing() {
    let faults = faults(|source| {
        let impure = ["async", "tokio", "fs", "net", "process", "thread", "Instant", "SystemTime"];
        let named = source.tokens.iter().filter(|token| impure.contains(&token.as_str()));
        named
            .filter(|_| ["extract", "job", "verify"].contains(&source.module()))
            .map(|token| format!("names `{token}`"))
            .collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nothing_is_left_undone_or_unexplained() {
    let faults = faults(|source| {
        let phrases: [&[&str]; 3] =
            [&["todo", "!"], &["unimplemented", "!"], &[".", "unwrap", "("]];
        let found = phrases.into_iter().filter(|phrase| holds(&source.tokens, phrase));
        found.map(|phrase| format!("holds `{}`", phrase.concat())).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_test_is_switched_off() {
    let switched_off = |file: &PathBuf| holds(&tokens(&read(file)), &["#", "[", "ignore"]);
    let files: Vec<_> =
        ["src", "tests"].iter().flat_map(|tree| rust_files(&root().join(tree))).collect();
    assert_eq!(
        files.iter().filter(|file| switched_off(file)).collect::<Vec<_>>(),
        Vec::<&PathBuf>::new()
    );
}

#[test]
fn no_file_is_long_before_its_tests() {
    let faults = faults(|source| {
        let lines = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        (lines > LINES_MAX).then(|| format!("has {lines} lines")).into_iter().collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nothing_lasting_is_done_without_the_name_of_an_effect() {
    let mut unnamed = Vec::new();
    let mut unused: BTreeSet<_> =
        UNNAMED.iter().map(|(file, function, _)| (*file, *function)).collect();
    for source in sources() {
        let path = source.path.to_str().expect("UTF-8");
        for (name, body) in functions(&source.tokens) {
            let lasting: Vec<_> =
                LASTING.iter().filter(|phrase| holds(body, &words(phrase))).collect();
            let is_pair =
                holds(body, &[".", "before", "(", ")"]) && holds(body, &[".", "after", "(", ")"]);
            let named = is_pair
                || holds(body, &[".", "during", "("])
                || holds(body, &[".", "during_async", "("]);
            let excused =
                UNNAMED.iter().any(|(file, function, _)| *file == path && *function == name);
            if !lasting.is_empty() && !named && !excused {
                unnamed.push(format!("src/{path}: `{name}` does {lasting:?} without an Effect"));
            }
            if !lasting.is_empty() && !named {
                unused.retain(|row| *row != (path, name.as_str()));
            }
        }
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
    assert!(unused.is_empty(), "rows that excuse nothing: {unused:?}");
}

#[test]
fn each_effect_is_one_place_in_the_source() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| source.module() != "effect") {
        for (function, body) in functions(&source.tokens) {
            let names: BTreeSet<&String> = occurrences(body, "Effect")
                .filter_map(|rest| rest.get(3).filter(|_| rest[1..3].iter().eq([":", ":"])))
                .collect();
            for name in names {
                let place = format!("{}: {function}", source.path.display());
                places.entry(name.clone()).or_default().push(place);
            }
        }
    }
    for effect in Effect::ALL {
        let name = format!("{effect:?}");
        let found = places.remove(&name).unwrap_or_default();
        // A mail is a mail, to whomever.
        let expected = if *effect == Effect::Mail { 2 } else { 1 };
        assert_eq!(found.len(), expected, "{name}: {found:?}");
    }
}

/// What outlives the process, as it is written in the source: transactions, files, calls that change something, mails.
const LASTING: &[&str] = &[
    ". transaction (",
    ". transaction_with_behavior (",
    ". unchecked_transaction (",
    ". savepoint (",
    "Transaction : : begin_write (",
    "writer . call (",
    "Backup : : new (",
    "fs : : write (",
    "fs : : rename (",
    "fs : : copy (",
    "fs : : hard_link (",
    "fs : : remove_file (",
    "fs : : remove_dir (",
    "fs : : remove_dir_all (",
    "fs : : create_dir (",
    "fs : : create_dir_all (",
    "fs : : set_permissions (",
    "DirBuilder : : new (",
    "OpenOptions : : new (",
    "File : : options (",
    "File : : create (",
    ". tempfile_in (",
    ". persist ( &",
    ". persist_noclobber (",
    "mkdirat (",
    "renameat (",
    "renameat_with (",
    "unlinkat (",
    ". create_new (",
    ". rename_new (",
    ". rename_over (",
    ". unlink (",
    ". descend_or_make (",
    "UnixListener : : bind (",
    "Request : : post (",
    "Request : : delete (",
    "hook . post (",
    "connection . message (",
];

/// Functions that do such a thing under no name of their own: where, which, and why that is right.
const UNNAMED: &[(&str, &str, &str)] = &[
    ("beneath.rs", "descend_or_make", "the door itself: its callers name what they do"),
    ("beneath.rs", "rename_new", "the door itself"),
    ("beneath.rs", "rename_claimed", "the door itself"),
    ("beneath.rs", "rename_over", "the door itself"),
    ("beneath.rs", "unlink", "the door itself"),
    ("commands/demo.rs", "demo_settings", "a demonstration in a directory of its own"),
    ("commands/demo.rs", "run", "a demonstration in a directory of its own"),
    ("commands/demo.rs", "run_demo", "a demonstration in a directory of its own"),
    ("control/arrival.rs", "begin", "a temporary file, which the next sweep takes"),
    ("control/arrival.rs", "drop", "takes a temporary file back"),
    ("drafts.rs", "create_draft", "a file without its name, which goes when it is dropped"),
    ("control/secret_file.rs", "remove_drafts", "what a crash left before `SaveSecret`"),
    ("commands/init/place.rs", "make_config_directory", "an empty directory"),
    ("commands/init/place.rs", "make_directory", "an empty directory"),
    ("commands/init/place.rs", "remove_leftovers", "temporary files go"),
    ("control/server.rs", "remove_socket", "part of `Listen` and of `Hush`"),
    ("delivery/files/expire.rs", "delete_file", "part of `DeleteExpired`"),
    ("delivery/files/finish.rs", "delete_sidecar", "part of `Dispose` and of `DeleteExpired`"),
    ("delivery/files/finish.rs", "dispose_of", "part of `Dispose`"),
    (
        "delivery/files/paths.rs",
        "open_notes_directory",
        "an empty directory, made again where it is missing",
    ),
    ("delivery/files/relocate.rs", "remove_original", "part of `Dispose`"),
    ("delivery/files/relocate.rs", "move_away", "part of `Dispose`"),
    ("delivery/files/temporary.rs", "drop", "a temporary file goes"),
    ("delivery/files/temporary.rs", "create_in", "a temporary file, which the next sweep takes"),
    ("delivery/files/temporary.rs", "rename_new", "part of `PlaceFile` and of `Dispose`"),
    ("delivery/files/temporary.rs", "rename_over", "part of `ReplaceFile`"),
    ("delivery/files/temporary.rs", "remove_leftovers", "temporary files go"),
    ("delivery/notifications/ntfy.rs", "send_ntfy", "part of `Notify`"),
    ("delivery/notifications/webhook.rs", "send_webhook", "part of `Notify`"),
    (
        "delivery/mail/conversation.rs",
        "send_message",
        "part of the mailer's `send_mail`, which is given the effect",
    ),
    (
        "engine/model/install.rs",
        "create_base",
        "empty directories, made again where they are missing",
    ),
    ("engine/model/install.rs", "lock_base", "an empty file"),
    ("engine/model/install.rs", "remove_leftovers", "temporary directories go"),
    (
        "engine/model/unpack.rs",
        "unpack_file",
        "into a temporary directory, which the next sweep takes",
    ),
    ("engine/model/unpack.rs", "unpack_files", "a temporary directory, which the next sweep takes"),
    ("engine/pieces.rs", "forget_empty", "an empty file goes"),
    (
        "engine/voices/prints.rs",
        "forget_prints",
        "voice prints go; the next look takes what is left",
    ),
    ("engine/voices/prints.rs", "open", "an empty file, in a directory that is there"),
    ("last_words.rs", "clear", "marks that are charged, or that charge nobody"),
    ("logging/files.rs", "make_directory", "nothing depends on a log"),
    ("logging/files.rs", "open", "nothing depends on a log"),
    ("logging/files.rs", "remove_old", "nothing depends on a log"),
    (
        "pipeline/convert.rs",
        "draft",
        "a temporary file, which goes with its `Draft`, or at the next start",
    ),
    ("store/backup.rs", "draft", "a temporary file, which the next copy takes away"),
    ("store/lock.rs", "try_acquire", "an empty directory and an empty file"),
    ("store/sqlite/copy.rs", "copy", "into the temporary file of a copy"),
    ("store/sqlite/file.rs", "has_no_room", "a trial that leaves nothing"),
    ("store/sqlite/mod.rs", "make_private", "part of `Make`"),
    ("services/koldan/dispose.rs", "cancel_summaries", "part of `CallCancel`"),
    ("services/koldan/dispose.rs", "delete_item", "part of `CallDispose`"),
    ("services/koldan/session.rs", "may_write", "it asks for nothing, and nothing is made"),
    ("services/koldan/summary.rs", "begin_summary", "part of `CallRequest`"),
    ("services/koldan/upload.rs", "send_recording", "part of `CallUpload`"),
    ("services/openai/chat.rs", "ask_once", "part of `CallRequest`"),
    ("services/openai/session.rs", "prove_key", "it asks for nothing, and nothing is made"),
    ("services/openai/transcribe.rs", "send_upload", "part of `CallUpload`"),
    ("services/paxs/calls.rs", "create_meeting", "part of `CallCreate`"),
    ("services/paxs/calls.rs", "request_analyses", "part of `CallRequest`"),
    ("services/paxs/tokens.rs", "load_sign_in", "it only reads"),
    ("services/paxs/tokens.rs", "remove_drafts", "temporary files go"),
    ("services/paxs/tokens.rs", "try_lock", "an empty file"),
    ("services/paxs/upload.rs", "send_once", "part of `CallUpload`"),
    ("services/saled/notes.rs", "ask_chat", "part of `CallRequest`"),
    ("services/saled/notes.rs", "submit_summary", "part of `CallRequest`"),
    ("services/saled/transcribe.rs", "send_recording", "part of `CallUpload`"),
    ("sources/meetingbaas/bots1.rs", "send_bot_v1", "part of `SendBot`"),
    ("sources/meetingbaas/bots1.rs", "recall_bot_v1", "part of `RecallBot`"),
    ("sources/meetingbaas/bots1.rs", "request_transcription_v1", "part of `Retranscribe`"),
    ("sources/meetingbaas/bots1.rs", "schedule_bot_v1", "part of `ScheduleBot`"),
    ("sources/meetingbaas/bots1.rs", "unschedule_bot_v1", "part of `UnscheduleBot`"),
    ("sources/meetingbaas/bots2.rs", "send_bot_v2", "part of `SendBot`"),
    ("sources/meetingbaas/bots2.rs", "recall_bot_v2", "part of `RecallBot`"),
    ("sources/meetingbaas/bots2.rs", "schedule_bot_v2", "part of `ScheduleBot`"),
    ("sources/meetingbaas/bots2.rs", "unschedule_bot_v2", "part of `UnscheduleBot`"),
    ("sources/meetingbaas/v1.rs", "delete_recording_v1", "its caller names it"),
    ("sources/meetingbaas/v2.rs", "delete_recording_v2", "its caller names it"),
];

fn words(phrase: &str) -> Vec<&str> {
    phrase.split(' ').collect()
}

/// The functions of a file, with the tokens of their bodies.
fn functions(tokens: &[String]) -> Vec<(String, &[String])> {
    let mut found = Vec::new();
    for at in (0..tokens.len().saturating_sub(1))
        .filter(|at| tokens[*at] == "fn" && tokens[at + 1] != "(")
    {
        if let Some(open) = body(tokens, at) {
            found.push((tokens[at + 1].clone(), &tokens[open..end_of_item(tokens, open)]));
        }
    }
    found
}

/// Where the body of a function begins; `None` for one that is only declared.
fn body(tokens: &[String], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "{" if depth == 0 => return Some(at),
            ";" if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// One file below `src/` that is not itself a test.
pub(crate) struct Source {
    /// Relative to `src/`.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Without comments, literals and tests.
    tokens: Vec<String>,
}

impl Source {
    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        let first =
            self.path.iter().next().and_then(|name| name.to_str()).expect("a UTF-8 path below src");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many `super::` lead from it to the root of the crate.
    fn depth(&self) -> usize {
        let stem = self.path.file_stem().expect("a file has a name");
        self.path.components().count() - usize::from(stem == "mod")
    }

    /// The top-level modules that it names.
    fn known(&self) -> Vec<String> {
        let mut known = known_by_path(&self.tokens, "crate", 1);
        known.extend(known_by_path(&self.tokens, "super", self.depth()));
        if self.module() == "main" {
            known.extend(known_by_path(&self.tokens, env!("CARGO_PKG_NAME"), 1));
        }
        known
    }
}

/// The names that follow `times` or more of `start::`, also those in braces.
fn known_by_path(tokens: &[String], start: &str, times: usize) -> Vec<String> {
    let mut known = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut starts = 0;
        while tokens[at..].iter().take(3).eq([start, ":", ":"]) {
            starts += 1;
            at += 3;
        }
        if starts >= times && starts > 0 {
            known.extend(heads(&tokens[at..]));
        }
        at += 1;
    }
    known
}

/// The first names of a path, or of each path of a group in braces.
fn heads(tokens: &[String]) -> Vec<String> {
    if tokens.first().is_none_or(|token| token != "{") {
        return tokens.first().cloned().into_iter().collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for pair in tokens.windows(2) {
        match pair[0].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && ["{", ","].contains(&pair[0].as_str()) && pair[1] != "}" {
            names.push(pair[1].clone());
        }
    }
    names
}

fn names_crate(tokens: &[String], name: &str) -> bool {
    (0..tokens.len()).filter(|at| tokens[*at] == name).any(|at| {
        let before = if at == 0 { "" } else { tokens[at - 1].as_str() };
        let path = tokens[at + 1..].iter().take(2).eq([":", ":"]);
        before == "use" || (path && before != ":")
    })
}

fn touches_environment(tokens: &[String]) -> bool {
    known_by_path(tokens, "env", 1).iter().any(|name| ENVIRONMENT.contains(&name.as_str()))
}

fn holds(tokens: &[String], phrase: &[&str]) -> bool {
    occurrences(tokens, phrase[0]).any(|rest| rest.iter().take(phrase.len()).eq(phrase))
}

/// The rest of the tokens from each one that equals `first`.
fn occurrences<'a>(tokens: &'a [String], first: &str) -> impl Iterator<Item = &'a [String]> {
    (0..tokens.len()).filter(move |at| tokens[*at] == first).map(|at| &tokens[at..])
}

fn faults(find: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let told = |source: &Source| {
        let path = source.path.display().to_string();
        find(source).into_iter().map(move |fault| format!("src/{path} {fault}")).collect::<Vec<_>>()
    };
    sources().iter().flat_map(told).collect()
}

/// Every file of `src/` but those that a `#[cfg(test)] mod …;` brings in; read once for all tests.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_sources);
    &SOURCES
}

fn read_sources() -> Vec<Source> {
    let src = root().join("src");
    let mut tests = Vec::new();
    let mut sources = Vec::new();
    for file in rust_files(&src) {
        let text = read(&file);
        let all = tokens(&text);
        tests.extend(test_modules(&all).into_iter().map(|name| home_of_children(&file).join(name)));
        let path = file.strip_prefix(&src).expect("a file of src").to_owned();
        sources.push(Source { path, text, tokens: without_tests(&all) });
    }
    sources.retain(|source| {
        !tests.iter().any(|test| src.join(&source.path).with_extension("").starts_with(test))
    });
    sources
}

/// The directory in which the modules lie that `file` declares.
fn home_of_children(file: &Path) -> PathBuf {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a UTF-8 name");
    if ["mod", "lib", "main"].contains(&stem) {
        file.parent().expect("a file lies somewhere").to_owned()
    } else {
        file.with_extension("")
    }
}

const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// The names of `#[cfg(test)] mod name;`.
fn test_modules(tokens: &[String]) -> Vec<String> {
    let declarations = tokens.windows(CFG_TEST.len() + 3).filter(|window| {
        window[..CFG_TEST.len()].iter().eq(&CFG_TEST)
            && window[CFG_TEST.len()] == "mod"
            && window[CFG_TEST.len() + 2] == ";"
    });
    declarations.map(|window| window[CFG_TEST.len() + 1].clone()).collect()
}

/// Drops each item under `#[cfg(test)]`: up to its semicolon, or to the end of its first braces.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(CFG_TEST.len()).eq(&CFG_TEST) {
            at = end_of_item(tokens, at + CFG_TEST.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token == "}" || token == ";") {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens of a file: names, single punctuation characters and brackets. Literals are an empty token.
fn tokens(text: &str) -> Vec<String> {
    let stream: TokenStream = text.parse().expect("the compiler has read it too");
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, flat: &mut Vec<String>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                flat.push(open.to_owned());
                flatten(group.stream(), flat);
                flat.push(close.to_owned());
            }
            TokenTree::Ident(name) => flat.push(name.to_string()),
            TokenTree::Punct(punct) => flat.push(punct.as_char().to_string()),
            TokenTree::Literal(_) => flat.push(String::new()),
        }
    }
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the source tree");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let of = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    paths
        .into_iter()
        .flat_map(of)
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a file of the source tree")
}

/// What the rules see of a file; a rule that sees nothing would never fail.
mod eyes {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.to_owned(), tokens: without_tests(&tokens(text)) }
    }

    #[test]
    fn imports_are_seen_in_all_their_forms_and_comments_strings_and_tests_are_not() {
        let text = r#"
            //! crate::comment
            use crate::{alpha, beta::{self, Inner}, gamma as other};
            use std::{fmt, io};
            fn f() -> crate::delta::Result { println!("crate::string", crate::epsilon::x()) }
            #[cfg(test)]
            mod tests { use crate::hidden; }
            #[cfg(test)] use crate::hidden_too;
            pub(crate) use super::super::{zeta, eta::Deep};
            use super::sibling;
        "#;
        assert_eq!(
            source("services/paxs/mod.rs", text).known(),
            ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
        );
        assert_eq!(
            source("main.rs", "fn main() { minuted::commands::run() }").known(),
            ["commands"]
        );
        assert_eq!(source("watch/scan.rs", "use super::super::worker;").known(), ["worker"]);
        assert_eq!(source("watch.rs", "use super::worker;").known(), ["worker"]);
    }

    #[test]
    fn crates_and_the_environment_are_seen_wherever_they_are_named() {
        assert!(names_crate(&tokens("use {std::io, axum::Router};"), "axum"));
        assert!(names_crate(&tokens("use notify;"), "notify"));
        assert!(!names_crate(
            &tokens("self.notify.notify(); crate::notify::x(); // notify::x"),
            "notify"
        ));
        assert!(touches_environment(&tokens("let x = std::env::var_os(\"A\");")));
        assert!(touches_environment(&tokens("use std::env::{args, var};")));
        assert!(!touches_environment(&tokens("std::env::args(); env!(\"A\");")));
    }

    #[test]
    fn a_file_that_only_tests_bring_in_is_known_as_such() {
        assert_eq!(
            test_modules(&tokens("mod a; #[cfg(test)] mod b; #[cfg(test)] mod c {}")),
            ["b"]
        );
        assert_eq!(home_of_children(Path::new("src/a/mod.rs")), Path::new("src/a"));
        assert_eq!(home_of_children(Path::new("src/a.rs")), Path::new("src/a"));
    }
}
