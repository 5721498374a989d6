//! `kind = "koldan"`: Koldan of Dixilang, in its cloud or in the house.

use std::{collections::BTreeMap, path::PathBuf};

use url::Url;

use super::abilities::{Abilities, Notes, ServiceProfile, SpeakersKey, key_cure};
use crate::config::{
    analysis::Analysis,
    diagnostic::ValueError,
    folder::Folder,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
};

table_keys! {
    /// Settings of a Koldan.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Koldan from KoldanKeys {
        /// The part of every call's address before `/api/v1`.
        base_url: Url = read_url(parse_base_url),
            default Url::parse("https://koldan.dixilang.com").expect("a constant URL");
        + insecure: bool = read_flag();
        + api_key_file: PathBuf = read_file();
        + api_key_env: String = read_text(parse_variable_name);
        /// The model that transcribes.
        model: String = read_text(values::parse_line), default "general".to_owned();
        /// Distinguishes speakers.
        diarize: bool = read_flag(), default false;
        /// The template of the summary, by its name or its id; without one the only one that is
        /// assigned is taken.
        prompt_template: String = read_text(values::parse_line);
    } and {
        /// Place of the key; read at each start of work, so that it may be changed.
        api_key: ApiKey,
        /// The folders, by id, whose notes have a summary, each with the template in force there.
        folders: BTreeMap<String, Option<String>>,
    }
}

/// Place of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKey {
    /// In this file. Absolute.
    File(PathBuf),
    /// In this variable of the environment.
    Variable(String),
}

impl Koldan {
    /// Returns the template for a folder: its own, else the service's.
    #[must_use]
    pub fn template(&self, folder: &str) -> Option<&str> {
        self.folders.get(folder).unwrap_or(&self.prompt_template).as_deref()
    }

    /// Adds the template of a folder of this service.
    pub(super) fn add_folder(&mut self, folder: &Folder) {
        if folder.analyses.contains(&Analysis::MeetingNote) {
            let template = folder.prompt_template.clone().or_else(|| self.prompt_template.clone());
            self.folders.insert(folder.id.clone(), template);
        }
    }
}

impl ServiceProfile for Koldan {
    fn config_word(&self) -> &'static str {
        "koldan"
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            needs_attendees: false,
            follows_instruction: false,
            notes: Notes::WhenAsked,
            analyses: &[Analysis::MeetingNote, Analysis::Transcription],
            signs_in: false,
            transcribes_at_once: false,
            at_once: None,
            speakers: self.diarize,
            speakers_key: SpeakersKey::Switch,
            progress: false,
            cancels: true,
            deletes: true,
        }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn instruction_cure(&self) -> &'static str {
        "remove it: the template says what Koldan writes (prompt_template)"
    }

    fn folder_cure(&self) -> &'static str {
        "name a template that is there (prompt_template), then reload (systemctl reload minuted)"
    }

    fn sign_in_cure(&self, _name: &str) -> String {
        let rights = "a key needs its scopes, and an account more than a viewer's rights, both granted at Koldan";
        match &self.api_key {
            ApiKey::File(file) => format!("{}; {rights}", key_cure(file)),
            ApiKey::Variable(name) => {
                format!(
                    "put a key that the server takes into ${name}, and start minuted again; {rights}"
                )
            }
        }
    }
}

/// Reads the keys of a Koldan.
pub(super) fn read_koldan(table: &Table<'_>) -> Option<Koldan> {
    let mut keys = KoldanKeys::from_table(table);
    require_one_key(table);
    let file = keys.api_key_file.take().map(|file| ApiKey::File(file.into_inner()));
    let variable = keys.api_key_env.take().map(|name| ApiKey::Variable(name.into_inner()));
    keys.into_settings(file.or(variable)?, BTreeMap::new())
}

/// Reads a base address; those in the documents begin with `/api/v1`, which many write with it.
fn parse_base_url(text: &str, insecure: bool) -> Result<Url, ValueError> {
    let mut url = values::parse_base_url(text, insecure)?;
    let path = url.path().strip_suffix("/api").map(str::to_owned);
    if let Some(path) = path {
        url.set_path(&path);
    }
    Ok(url)
}

fn require_one_key(table: &Table<'_>) {
    if !table.is_present("api_key_env") {
        table.require_key(
            "api_key_file",
            "write api_key_file = \"…\", the file with the key, or api_key_env = \"KOLDAN_API_KEY\"",
        );
    } else if let Some(span) =
        table.key_span("api_key_env").filter(|_| table.has_key("api_key_file"))
    {
        let what = "`api_key_env` besides `api_key_file`";
        table.diagnostics().add_at(span, what, "remove one of the two: the key has one place");
    }
}

/// The name of a variable of the environment.
fn parse_variable_name(text: &str) -> Result<String, ValueError> {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_word && (1..=100).contains(&text.len()) && !text.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(text.to_owned());
    }
    // It may be the key itself, which is not repeated.
    let help = "write the name of a variable, never the key: api_key_env = \"KOLDAN_API_KEY\"";
    Err(ValueError::new("not the name of a variable of the environment", help))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, Kind, OnSuccessRemote, Settings, parse};

    fn read(service: &str, folder: &str) -> Result<Settings, String> {
        let text = format!(
            "state_dir = \"/var/lib/minuted\"\n[services.cloud]\nkind = \"koldan\"\n{service}\n[[folder]]\n\
             name = \"sales\"\npath = \"/srv/sales\"\nservice = \"cloud\"\n{folder}\n"
        );
        let read = parse(&text, Path::new("/etc/minuted/config.toml"), &Environment::default());
        read.map_err(|error| error.to_string())
    }

    fn koldan(settings: &Settings) -> &Koldan {
        let Kind::Koldan(koldan) = &settings.services["cloud"].kind else { panic!("{settings:?}") };
        koldan
    }

    #[test]
    fn it_needs_its_key_alone() {
        let settings = read("api_key_file = \"koldan-key\"", "").expect("sound");
        let told = koldan(&settings);
        assert_eq!(told.base_url.as_str(), "https://koldan.dixilang.com/");
        assert_eq!(
            (told.model.as_str(), told.diarize, told.template("sales")),
            ("general", false, None)
        );
        assert_eq!(told.api_key, ApiKey::File("/etc/minuted/koldan-key".into()));
        assert_eq!(settings.folders[0].on_success_remote, OnSuccessRemote::Keep);
        let settings = read(
            "api_key_env = \"KOLDAN_API_KEY\"\nbase_url = \"http://localhost:8193/koldan/api/v1/\"",
            "",
        );
        let settings = settings.expect("sound");
        assert_eq!(koldan(&settings).api_key, ApiKey::Variable("KOLDAN_API_KEY".into()));
        assert_eq!(koldan(&settings).base_url.as_str(), "http://localhost:8193/koldan");
    }

    #[test]
    fn the_template_of_a_folder_goes_before_the_services() {
        let service = "api_key_file = \"key\"\nprompt_template = \"Protocol\"";
        let settings = read(service, "prompt_template = \"77\"\non_success_remote = \"purge\"")
            .expect("sound");
        assert_eq!(koldan(&settings).template("sales"), Some("77"));
        assert_eq!(koldan(&settings).template("gone"), Some("Protocol"));
        assert_eq!(settings.folders[0].on_success_remote, OnSuccessRemote::Purge);
        let settings = read(service, "analyses = [\"transcription\"]").expect("sound");
        assert!(koldan(&settings).folders.is_empty(), "no summary, no template");
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_cure() {
        for (service, folder, told) in [
            ("", "", "`api_key_file` is missing"),
            ("api_key = \"kk-canary\"", "", "a key in the config file is not kept secret"),
            ("api_key_env = \"kk-canary\"", "", "never the key"),
            ("api_key_env = \"A\"\napi_key_file = \"b\"", "", "the key has one place"),
            ("api_key_file = \"b\"\nbase_url = \"http://koldan.example\"", "", "in the clear"),
            (
                "api_key_file = \"b\"\ninstruction = \"x\"",
                "",
                "a service of kind `koldan` has no `instruction`",
            ),
            ("api_key_file = \"b\"", "instruction = \"x\"", "the template says what Koldan writes"),
            ("api_key_file = \"b\"", "analyses = [\"sentiment\"]", "gives no `sentiment`"),
            ("api_key_file = \"b\"", "on_success_remote = \"purged\"", "did you mean"),
        ] {
            let error = read(service, folder).expect_err("a mistake");
            assert!(error.contains(told) && !error.contains("canary"), "{error}");
        }
        let local = "[services.local]\nkind = \"ondevice\"\n[[folder]]\npath = \"/srv/sales\"\n";
        for (key, told) in [
            ("prompt_template = \"x\"", "a service of kind `ondevice` knows no templates"),
            ("on_success_remote = \"delete\"", "a service of kind `ondevice` deletes nothing"),
        ] {
            let error = parse(
                &format!("{local}{key}\n"),
                Path::new("/etc/minuted/c.toml"),
                &Environment::default(),
            );
            let error = error.expect_err("a mistake").to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
