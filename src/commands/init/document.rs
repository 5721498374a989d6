//! The text of a configuration: answers to TOML, with the comments that matter.
//!
//! Every text from outside becomes a TOML string by the crate that reads it, too, so that no name
//! and no path ends its string. The result is read back before it is put anywhere.

use std::fmt::Write as _;

use toml::Value;

/// The answers to all questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InitAnswers {
    /// The state directory, where the place of the configuration does not imply it.
    pub(super) state_dir: Option<String>,
    pub(super) service: ServiceAnswer,
    pub(super) mail: Option<MailAnswer>,
    /// There is a page in the browser.
    pub(super) has_page: bool,
    pub(super) folder: FolderAnswers,
}

/// The answers about what makes the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServiceAnswer {
    /// minuted's own engine.
    Ondevice,
    /// A server with OpenAI's API.
    Openai(OpenaiAnswers),
    /// PAXS, by default where it is for everybody.
    Paxs { base_url: Option<String> },
}

impl ServiceAnswer {
    /// Returns the name of its table, which is that of its kind.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ondevice => "ondevice",
            Self::Openai(_) => "openai",
            Self::Paxs { .. } => "paxs",
        }
    }
}

/// The answers about a server with OpenAI's API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OpenaiAnswers {
    pub(super) base_url: String,
    pub(super) is_insecure: bool,
    pub(super) key_file: Option<String>,
    pub(super) model: Option<String>,
    pub(super) notes_model: Option<String>,
}

/// The answers about the mail server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MailAnswer {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) tls: Option<String>,
    pub(super) is_insecure: bool,
    pub(super) from: String,
    /// The account and the file with its password.
    pub(super) account: Option<(String, String)>,
    /// Who may get notes.
    pub(super) allow: Vec<String>,
}

/// The answers about the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FolderAnswers {
    /// Its name, where that of its directory is not fit for one.
    pub(super) name: Option<String>,
    pub(super) path: String,
    /// The name of its service; `None` takes the only one.
    pub(super) service: Option<String>,
    pub(super) people: Vec<Person>,
    /// Names of people without an address.
    pub(super) words: Vec<String>,
    pub(super) language: Option<String>,
    /// Notes are mailed.
    pub(super) is_mailed: bool,
    /// Notes lie beside the recording, or in another directory.
    pub(super) is_beside: bool,
    pub(super) notes_dir: Option<String>,
}

/// A person with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
}

/// Returns a whole configuration.
pub(super) fn write_document(answers: &InitAnswers) -> String {
    let mut text = String::from(
        "# The configuration of minuted, written by `minuted init`. config.example.toml explains every key.\n\
         # `minuted check` tries it; `systemctl reload minuted` (--user for your own) reads it again.\n",
    );
    if let Some(state_dir) = &answers.state_dir {
        text.push_str("\n# The queue, the sign-ins and the socket.\n");
        write_key(&mut text, "state_dir", state_dir);
    }
    write_service(&mut text, &answers.service);
    if let Some(mail) = &answers.mail {
        write_mail(&mut text, mail);
    }
    if answers.has_page {
        text.push_str(
            "\n# The page in the browser, for this machine alone. `minuted page` prints its link.\n\
             [http]\nlisten = \"127.0.0.1:8765\"\n",
        );
    }
    text.push('\n');
    text.push_str(&write_folder(&answers.folder));
    text
}

/// Returns the table of a folder, which may stand at the end of any configuration.
pub(super) fn write_folder(folder: &FolderAnswers) -> String {
    let mut text = String::from("# A watched folder, with its sub-folders.\n[[folder]]\n");
    write_optional(&mut text, "name", folder.name.as_deref());
    write_key(&mut text, "path", &folder.path);
    write_optional(&mut text, "service", folder.service.as_deref());
    if !folder.people.is_empty() {
        text.push_str("# Who is at its meetings.\nattendees = [\n");
        for Person { name, email } in &folder.people {
            let name = quote(name);
            let email = quote(email);
            write_line(&mut text, &format!("  {{ name = {name}, email = {email} }},"));
        }
        text.push_str("]\n");
    }
    if !folder.words.is_empty() {
        text.push_str("# Names and words to expect in the recordings.\n");
        write_list(&mut text, "vocabulary", &folder.words);
    }
    if let Some(language) = &folder.language {
        text.push_str("# The language that is spoken.\n");
        write_key(&mut text, "language", language);
    }
    let place = match &folder.notes_dir {
        Some(_) => "in `notes_dir`, which mirrors the sub-folders",
        None => "beside the recording",
    };
    let (destination, deliver) = match (folder.is_beside, folder.is_mailed) {
        (_, false) => (place.to_owned(), "[\"beside\"]"),
        (true, true) => {
            (format!("{place}, and by mail to the attendees"), "[\"beside\", \"email\"]")
        }
        (false, true) => ("by mail to the attendees".to_owned(), "[\"email\"]"),
    };
    write_line(&mut text, &format!("# Where the notes go: {destination}."));
    write_line(&mut text, &format!("deliver = {deliver}"));
    write_optional(&mut text, "notes_dir", folder.notes_dir.as_deref());
    text
}

fn write_service(text: &mut String, service: &ServiceAnswer) {
    text.push_str(match service {
        ServiceAnswer::Ondevice => {
            "\n# minuted's own engine makes the notes: nothing leaves this machine.\n\
             [services.ondevice]\nkind = \"ondevice\"\n"
        }
        ServiceAnswer::Openai(_) => {
            "\n# A server with OpenAI's API gets the recordings.\n[services.openai]\nkind = \"openai\"\n"
        }
        ServiceAnswer::Paxs { .. } => {
            "\n# PAXS gets the recordings. `minuted login` signs in.\n[services.paxs]\nkind = \"paxs\"\n"
        }
    });
    match service {
        ServiceAnswer::Ondevice => {}
        ServiceAnswer::Paxs { base_url } => {
            write_optional(text, "base_url", base_url.as_deref());
        }
        ServiceAnswer::Openai(server) => {
            write_key(text, "base_url", &server.base_url);
            if server.is_insecure {
                text.push_str("# Anybody in that network can read the recordings and the key.\n");
                text.push_str("insecure = true\n");
            }
            if let Some(file) = &server.key_file {
                text.push_str("# The file with the key, which nobody else may read.\n");
                write_key(text, "api_key_file", file);
            }
            if let Some(model) = &server.model {
                text.push_str("# The model that transcribes.\n");
                write_key(text, "model", model);
            }
            text.push_str("# The model that writes the notes. Without it minuted extracts them.\n");
            match &server.notes_model {
                Some(model) => write_key(text, "notes_model", model),
                None => text.push_str("#notes_model = \"qwen3:8b\"\n"),
            }
        }
    }
}

fn write_mail(text: &mut String, mail: &MailAnswer) {
    text.push_str("\n[email]\n");
    write_key(text, "from", &mail.from);
    text.push_str(
        "# Who may get notes: \"ann@example.com\", or \"@example.com\" for a whole domain.\n",
    );
    write_list(text, "allow", &mail.allow);
    text.push_str(
        "# Who is told of failures.\n#failures_to = [\"it@example.com\"]\n\n[email.smtp]\n",
    );
    write_key(text, "host", &mail.host);
    if let Some(port) = mail.port {
        write_line(text, &format!("port = {port}"));
    }
    write_optional(text, "tls", mail.tls.as_deref());
    if mail.is_insecure {
        text.push_str(
            "# Anybody in that network can read the mails and the password.\ninsecure = true\n",
        );
    }
    if let Some((username, password_file)) = &mail.account {
        write_key(text, "username", username);
        text.push_str("# The file with the password, which nobody else may read.\n");
        write_key(text, "password_file", password_file);
    }
}

fn write_optional(text: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        write_key(text, key, value);
    }
}

fn write_key(text: &mut String, key: &str, value: &str) {
    write_line(text, &format!("{key} = {}", quote(value)));
}

fn write_list(text: &mut String, key: &str, values: &[String]) {
    let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
    write_line(text, &format!("{key} = [{}]", values.join(", ")));
}

fn write_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes what is written");
}

/// Returns a text as a TOML string.
fn quote(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{Environment, parse};

    fn folder(path: &str) -> FolderAnswers {
        FolderAnswers { path: path.to_owned(), is_beside: true, ..FolderAnswers::default() }
    }

    /// Answers that hold one text wherever a text may stand.
    fn answers_full_of(text: &str) -> InitAnswers {
        let some = || Some(text.to_owned());
        InitAnswers {
            state_dir: some(),
            service: ServiceAnswer::Openai(OpenaiAnswers {
                base_url: text.to_owned(),
                is_insecure: true,
                key_file: some(),
                model: some(),
                notes_model: some(),
            }),
            mail: Some(MailAnswer {
                host: text.to_owned(),
                port: Some(25),
                tls: some(),
                is_insecure: true,
                from: text.to_owned(),
                account: Some((text.to_owned(), text.to_owned())),
                allow: vec![text.to_owned(), text.to_owned()],
            }),
            has_page: true,
            folder: FolderAnswers {
                name: some(),
                path: text.to_owned(),
                service: some(),
                people: vec![Person { name: text.to_owned(), email: text.to_owned() }],
                words: vec![text.to_owned()],
                language: some(),
                is_mailed: true,
                is_beside: true,
                notes_dir: some(),
            },
        }
    }

    /// Collects every string of a document but those that `init` writes itself.
    fn collect_texts(value: &Value, found: &mut Vec<String>) {
        if let Some(table) = value.as_table() {
            for (key, value) in table {
                if !["kind", "deliver", "listen"].contains(&key.as_str()) {
                    collect_texts(value, found);
                }
            }
        } else if let Some(list) = value.as_array() {
            for value in list {
                collect_texts(value, found);
            }
        } else {
            found.extend(value.as_str().map(str::to_owned));
        }
    }

    fn rude_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[\"'\\\\\\]\\[=#{}.,\n\r\t a]{0,12}",
            prop::sample::select(vec![
                "\"\"\"",
                "'''",
                "]]\n[[folder]]\npath = \"/etc\"",
                "a\"\nstate_dir = \"/etc",
                "\\",
                "\u{7f}\u{0}\u{85}",
            ])
            .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_text_reads_back_as_itself_wherever_it_stands(text in rude_text()) {
            let document = write_document(&answers_full_of(&text));
            let read = document.parse::<toml::Table>();
            let read = Value::Table(read.map_err(|error| TestCaseError::fail(error.to_string()))?);
            let mut found = Vec::new();
            collect_texts(&read, &mut found);
            prop_assert_eq!(found.len(), 20);
            prop_assert!(found.iter().all(|found| *found == text), "{:?}", found);
        }

        #[test]
        fn any_folder_and_person_are_read_as_they_are_or_refused(
            last in rude_text(), name in rude_text(),
        ) {
            let path = format!("/srv/{last}");
            let people = vec![Person { name: name.clone(), email: "ann@example.com".to_owned() }];
            let folder = FolderAnswers { name: Some("sales".to_owned()), people, ..folder(&path) };
            let answers = InitAnswers {
                state_dir: None, service: ServiceAnswer::Ondevice, mail: None, has_page: true, folder,
            };
            let file = Path::new("/etc/minuted/config.toml");
            if let Ok(settings) = parse(&write_document(&answers), file, &Environment::default()) {
                prop_assert_eq!(settings.folders.len(), 1);
                let clean: std::path::PathBuf = Path::new(&path).components().collect();
                prop_assert_eq!(&settings.folders[0].path, &clean);
                prop_assert_eq!(settings.folders[0].attendees[0].name.as_str(), name.trim());
            }
        }
    }
}
