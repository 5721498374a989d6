//! `notes = "NAME"`: the service of kind `openai` whose chat model writes the notes of another one.

use std::{collections::BTreeMap, time::Duration};

use toml::Spanned;

use super::{
    diagnostic::{Diagnostics, ValueError},
    kinds::{Kind, Openai},
    reader::Table,
    services::{Poll, Service},
    words::{fit_for_message, in_backticks, join_alternatives, suggest_word},
};

/// The words of `notes_else`.
pub(super) const NOTES_ELSE: &[(&str, NotesElse)] =
    &[("wait", NotesElse::Wait), ("extract", NotesElse::Extract)];

/// The keys by which a service writes its notes itself.
const OWN_MODELS: [&str; 3] = ["notes_model", "summary_model", "chat_model"];

/// What becomes of notes whose writer stays down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotesElse {
    /// They wait for it.
    Wait,
    /// After `poll.patience` minuted extracts them.
    Extract,
}

/// The service that writes the notes of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct NotesBy {
    /// The name of its table in the config.
    pub name: String,
    /// Its settings, with a model for notes.
    pub openai: Openai,
    /// The limit of one of its small calls.
    pub request_timeout: Duration,
    /// Its schedule, of which the patience limits an answer of the model.
    pub poll: Poll,
    /// What becomes of the notes where it stays down.
    pub otherwise: NotesElse,
}

impl NotesBy {
    /// Returns its location, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        Kind::Openai(self.openai.clone()).place()
    }

    /// Returns the cure for a refused key.
    #[must_use]
    pub fn sign_in_cure(&self) -> String {
        Kind::Openai(self.openai.clone()).sign_in_cure(&self.name)
    }
}

/// The `notes` of a service as the file has it.
pub(super) struct WrittenNotes {
    /// The service whose notes they are.
    pub(super) of: String,
    /// The name of the service that writes them.
    pub(super) by: Spanned<String>,
    /// The value of `notes_else`.
    pub(super) otherwise: NotesElse,
}

/// Refuses a service with two writers of its notes, and `notes_else` without `notes`.
pub(super) fn refuse_two_writers(table: &Table<'_>) {
    let own = OWN_MODELS.into_iter().find(|key| table.is_present(key));
    if let (Some(span), Some(own)) = (table.key_span("notes"), own) {
        let what = format!("`notes` besides `{own}`");
        table.diagnostics().add_at(span, what, "remove one of the two: the notes have one writer");
    }
    if let Some(span) = table.key_span("notes_else").filter(|_| !table.is_present("notes")) {
        let help = "add notes = \"…\", the service that writes the notes, or remove it";
        table.diagnostics().add_at(span, "`notes_else` without `notes`", help);
    }
}

/// Connects each service with the one that writes its notes.
pub(super) fn connect_writers(
    services: &mut BTreeMap<String, Service>,
    names: &[String],
    written: Vec<WrittenNotes>,
    diagnostics: &Diagnostics,
) {
    for notes in written {
        match find_writer(services, names, &notes) {
            Ok(Some(by)) => {
                if let Some(service) = services.get_mut(&notes.of) {
                    service.notes = Some(by);
                }
            }
            // Its own mistakes are reported already.
            Ok(None) => {}
            Err(error) => diagnostics.add_error(notes.by.span(), error),
        }
    }
}

fn find_writer(
    services: &BTreeMap<String, Service>,
    names: &[String],
    notes: &WrittenNotes,
) -> Result<Option<NotesBy>, ValueError> {
    let name = notes.by.get_ref();
    if *name == notes.of {
        let help = "write notes_model = \"…\" where it writes them itself, or name another service";
        return Err(ValueError::new("`notes` names the service that it stands in", help));
    }
    if !names.contains(name) {
        return Err(unknown_service(name, names.iter().map(String::as_str)));
    }
    let Some(service) = services.get(name) else { return Ok(None) };
    let Kind::Openai(openai) = &service.kind else {
        let what = format!(
            "{} is of kind `{}`, which writes no notes for others",
            in_backticks(name),
            service.kind.as_str()
        );
        return Err(ValueError::new(what, "name a service of kind `openai`"));
    };
    if openai.notes_model.is_none() {
        let what = format!("{} has no `notes_model`", in_backticks(name));
        let help = format!(
            "add notes_model = \"…\" to [services.{}]: the model that writes",
            fit_for_message(name)
        );
        return Err(ValueError::new(what, help));
    }
    let openai = openai.clone();
    let request_timeout = service.request_timeout;
    let otherwise = notes.otherwise;
    Ok(Some(NotesBy { name: name.clone(), openai, request_timeout, poll: service.poll, otherwise }))
}

/// Returns the error of a name that no service has.
pub(super) fn unknown_service<'n>(
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> ValueError {
    let help = suggest_word(name, names.clone(), || {
        format!(
            "write {}, or add a table [services.{}]",
            join_alternatives(names),
            fit_for_message(name)
        )
    });
    ValueError::new(format!("unknown service {}", in_backticks(name)), help)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Analysis, Environment, Notes, Settings, parse};

    const OLLAMA: &str = "[services.ollama]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:11434\"\n\
                          notes_model = \"qwen3:8b\"\n";

    fn read(tables: &str, folder: &str) -> Result<Settings, String> {
        let text =
            format!("{tables}[[folder]]\nname = \"sales\"\npath = \"/srv/sales\"\n{folder}\n");
        let read = parse(&text, Path::new("/etc/minuted/config.toml"), &Environment::default());
        read.map_err(|error| error.render(false))
    }

    fn local(keys: &str) -> String {
        format!("[services.local]\nkind = \"ondevice\"\n{keys}\n{OLLAMA}")
    }

    #[test]
    fn a_service_that_only_writes_is_sent_no_recording_and_a_folder_need_not_say_so() {
        let settings = read(
            &local("notes = \"ollama\"\nanalyses = [\"key_points\"]"),
            "instruction = \"Short.\"",
        );
        let settings = settings.expect("sound");
        assert_eq!(settings.folders[0].service, "local");
        let service = &settings.services["local"];
        let notes = service.notes.as_ref().expect("a writer");
        assert_eq!((notes.name.as_str(), notes.otherwise), ("ollama", NotesElse::Wait));
        let abilities = service.abilities();
        assert!(
            abilities.follows_instruction
                && abilities.notes == Notes::WhenAsked
                && abilities.progress
        );
        assert!(abilities.analyses.contains(&Analysis::KeyPoints));
        let transcribes = |settings: &Settings| {
            let Kind::Openai(openai) = &settings.services["ollama"].kind else {
                panic!("{settings:?}")
            };
            openai.transcribes
        };
        assert!(!transcribes(&settings));
        let named =
            read(&local("notes = \"ollama\"\nnotes_else = \"extract\""), "service = \"ollama\"");
        assert!(transcribes(&named.expect("sound")), "a folder sends its recordings there");
    }

    #[test]
    fn a_sources_own_transcript_has_the_writer_of_its_folder() {
        let source =
            "[[source]]\nkind = \"meetingbaas\"\napi_key_file = \"key\"\ninto = \"sales\"\n";
        let tables = local("notes = \"ollama\"\npoll = { patience = \"1h\" }");
        let settings = read(&tables, &format!("transcript = \"reuse\"\n{source}")).expect("sound");
        let given = settings.transcripts_of(&settings.sources[0]);
        assert_eq!(given.notes, settings.services["local"].notes);
        assert_eq!(given.poll.patience, Duration::from_secs(3600));
        assert_eq!(given.abilities().notes, Notes::WhenAsked);
        let settings = read(&local(""), &format!("service = \"local\"\n{source}")).expect("sound");
        assert_eq!(
            settings.transcripts_of(&settings.sources[0]).abilities().notes,
            Notes::Extracted
        );
    }

    #[test]
    fn what_cannot_write_notes_is_refused_with_its_line_and_its_cure() {
        let saled = |keys: &str| format!("[services.local]\nkind = \"saled\"\n{keys}\n{OLLAMA}");
        let paxs = format!("[services.local]\nkind = \"paxs\"\nnotes = \"ollama\"\n{OLLAMA}");
        let mute = OLLAMA.replace("notes_model = \"qwen3:8b\"\n", "");
        let mute = format!("[services.local]\nkind = \"ondevice\"\nnotes = \"ollama\"\n{mute}");
        for (tables, told, cure, line) in [
            (local("notes = \"olama\""), "unknown service `olama`", "did you mean `ollama`?", 3),
            (
                local("notes = \"local\""),
                "names the service that it stands in",
                "name another service",
                3,
            ),
            (mute, "`ollama` has no `notes_model`", "to [services.ollama]", 3),
            (
                saled("notes = \"ollama\"\nchat_model = \"m\""),
                "`notes` besides `chat_model`",
                "one writer",
                3,
            ),
            (
                saled("notes = \"ollama\"\nsummary_model = \"m\""),
                "`notes` besides `summary_model`",
                "one writer",
                3,
            ),
            (
                format!("{OLLAMA}notes = \"local\"\n[services.local]\nkind = \"saled\"\n"),
                "`notes` besides `notes_model`",
                "one writer",
                5,
            ),
            (local("notes_else = \"extract\""), "`notes_else` without `notes`", "add notes = ", 3),
            (
                local("notes = \"ollama\"\nnotes_else = \"extrct\""),
                "unknown word `extrct`",
                "did you mean `extract`?",
                4,
            ),
            (paxs, "a service of kind `paxs` has no `notes`", "remove it", 3),
        ] {
            let error = read(&tables, "service = \"local\"").expect_err("a mistake");
            let place = format!("config.toml:{line}:");
            assert!(
                error.contains(told) && error.contains(cure) && error.contains(&place),
                "{told}: {error}"
            );
        }
        let other = format!(
            "[services.local]\nkind = \"ondevice\"\nnotes = \"other\"\n[services.other]\nkind = \"saled\"\n{OLLAMA}"
        );
        let error = read(&other, "service = \"local\"").expect_err("a mistake");
        assert!(
            error.contains("`other` is of kind `saled`, which writes no notes for others"),
            "{error}"
        );
    }
}
