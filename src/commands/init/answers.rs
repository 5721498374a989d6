//! From the options and the person to the answers. Each is tried by the reader of configurations
//! as it comes.

use std::path::{Path, PathBuf};

use super::{
    document::{FolderAnswers, InitAnswers, MailAnswer, OpenaiAnswers, ServiceAnswer},
    people::split_people,
    questions::{InitQuestion, Questions, parse_yes, refuse},
    setup::{Audience, InitSetup},
};
use crate::{
    cli::{InitArgs, InitMail, InitService, NotesGoTo},
    commands::{CommandFailure, absolute_path, print},
    config::{Environment, is_loopback},
    text::{printable, printable_path},
};

/// The folder of a server, where none is named.
const SERVER_FOLDER: &str = "/srv/recordings";

/// The folder in a person's home, where none is named.
const OWN_FOLDER: &str = "Recordings";

/// The language that stands for "find out, or none".
const ANY_LANGUAGE: &str = "auto";

/// The port on which mail servers speak TLS from the first byte (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// Bytes of the name of a folder.
const NAME_BYTES_MAX: usize = 64;

/// The questions of one set-up.
pub(super) struct Interview<'a> {
    pub(super) questions: Questions,
    pub(super) setup: &'a InitSetup,
    pub(super) arguments: &'a InitArgs,
    pub(super) env: &'a Environment,
}

impl Interview<'_> {
    /// Returns the directory of the folder and its name, where that of the directory is no name.
    pub(super) fn ask_folder(&self) -> Result<(String, Option<String>), CommandFailure> {
        let offered = match self.setup.audience {
            Audience::Server => Some(PathBuf::from(SERVER_FOLDER)),
            Audience::Person => self.env.home.as_ref().map(|home| home.join(OWN_FOLDER)),
        };
        let question = InitQuestion {
            option: "--folder",
            text: "Which folder holds the recordings?",
            offered: offered.as_deref().and_then(Path::to_str),
        };
        let given = match &self.arguments.folder.folder {
            None => None,
            Some(path) => Some(path.to_str().ok_or_else(|| refuse("`--folder`: it is not UTF-8"))?),
        };
        self.questions.decide(question, given, |typed| {
            let path = self.expand_path(typed)?;
            if Path::new(&path).symlink_metadata().is_ok() && !Path::new(&path).is_dir() {
                return Err("a file is in the way: name a directory".to_owned());
            }
            if self.is_watched(&path) {
                return Ok((path, None));
            }
            let name = self.choose_name(&path);
            self.setup.try_path(name.clone(), &path)?;
            Ok((path, name))
        })
    }

    /// Returns whether the configuration has the folder already.
    pub(super) fn is_watched(&self, path: &str) -> bool {
        let existing = self.setup.existing.as_ref();
        let clean: PathBuf = Path::new(path).components().collect();
        existing.is_some_and(|config| config.settings.folders.iter().any(|one| one.path == clean))
    }

    /// Returns the answers to everything else.
    pub(super) fn ask_rest(
        &self,
        path: String,
        name: Option<String>,
    ) -> Result<InitAnswers, CommandFailure> {
        self.refuse_new_tables()?;
        let folder = FolderAnswers { name, path, is_beside: true, ..FolderAnswers::default() };
        let mut answers = InitAnswers {
            state_dir: self.setup.state_dir(),
            service: ServiceAnswer::Ondevice,
            mail: None,
            has_page: false,
            folder,
        };
        self.ask_service(&mut answers)?;
        self.ask_people(&mut answers)?;
        self.ask_language(&mut answers)?;
        self.ask_destination(&mut answers)?;
        self.ask_mail(&mut answers)?;
        self.ask_page(&mut answers)?;
        self.try_answers(&answers).map_err(|mistake| refuse(&mistake))?;
        Ok(answers)
    }

    fn try_answers(&self, answers: &InitAnswers) -> Result<(), String> {
        self.setup.try_answers(answers).map(drop)
    }

    fn ask_service(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let given = self.arguments.service.service.as_deref();
        if let Some(existing) = &self.setup.existing {
            let services = &existing.settings.services;
            let offered = existing.settings.folders.first().map(|folder| folder.service.as_str());
            let names: Vec<&str> = services.keys().map(String::as_str).collect();
            let text = format!(
                "Which service of the configuration makes the notes? ({})",
                names.join(", ")
            );
            let question = InitQuestion { option: "--service", text: &text, offered };
            if services.len() > 1 || given.is_some() {
                answers.folder.service =
                    Some(self.questions.decide(
                        question,
                        given,
                        |name| match services.get(name) {
                            Some(service) => Ok(service.name.clone()),
                            None => Err(format!(
                                "the configuration has no service `{name}`, only: {}",
                                names.join(", ")
                            )),
                        },
                    )?);
            }
            return Ok(());
        }
        let question = InitQuestion {
            option: "--service",
            text: "What makes the notes? ondevice (an engine on this machine), openai (a server of \
                   your own with OpenAI's API), paxs (the service PAXS)",
            offered: Some("ondevice"),
        };
        let kind = self.questions.decide(question, given, |kind| match kind {
            "ondevice" | "openai" | "paxs" => Ok(kind.to_owned()),
            _other => Err("type ondevice, openai or paxs".to_owned()),
        })?;
        self.refuse_foreign_options(&kind)?;
        answers.service = match kind.as_str() {
            "openai" => ServiceAnswer::Openai(self.ask_openai(answers)?),
            "paxs" => ServiceAnswer::Paxs { base_url: self.arguments.service.base_url.clone() },
            _ondevice => ServiceAnswer::Ondevice,
        };
        answers.folder.service = Some(answers.service.name().to_owned());
        Ok(())
    }

    /// Refuses options about tables that an existing configuration has, or has not.
    fn refuse_new_tables(&self) -> Result<(), CommandFailure> {
        let InitService { base_url, model, notes_model, key_file, .. } = &self.arguments.service;
        let InitMail { smtp, smtp_tls, smtp_user, smtp_password_file, mail_from } =
            &self.arguments.mail;
        let service = [base_url, model, notes_model, key_file];
        let mail = [smtp, smtp_tls, smtp_user, smtp_password_file, mail_from];
        let is_given = service.into_iter().chain(mail).any(Option::is_some);
        if self.setup.existing.is_some() && is_given {
            let file = printable_path(&self.setup.file);
            return Err(refuse(&format!(
                "`{file}` exists, and only a folder is added to it: write services and mail into \
                 it yourself"
            )));
        }
        Ok(())
    }

    /// Refuses options about a service that is not chosen.
    fn refuse_foreign_options(&self, kind: &str) -> Result<(), CommandFailure> {
        let InitService { base_url, model, notes_model, key_file, .. } = &self.arguments.service;
        let options = [
            ("--base-url", base_url.is_some(), kind != "ondevice"),
            ("--model", model.is_some(), kind == "openai"),
            ("--notes-model", notes_model.is_some(), kind == "openai"),
            ("--key-file", key_file.is_some(), kind == "openai"),
        ];
        match options.iter().find(|(_, is_given, is_known)| *is_given && !is_known) {
            Some((option, ..)) => {
                Err(refuse(&format!("`{option}` means nothing to the service `{kind}`")))
            }
            None => Ok(()),
        }
    }

    fn ask_openai(&self, answers: &InitAnswers) -> Result<OpenaiAnswers, CommandFailure> {
        let given = &self.arguments.service;
        let with = |server: &OpenaiAnswers| {
            let service = ServiceAnswer::Openai(server.clone());
            self.try_answers(&InitAnswers { service, ..answers.clone() })
        };
        let mut server = self.ask_base_url(given, &with)?;
        let question = InitQuestion {
            option: "--key-file",
            text: "Which file holds the server's key? Enter, if it asks for none.",
            offered: Some(""),
        };
        server.key_file = self.questions.decide(question, given.key_file.as_deref(), |typed| {
            let key_file = self.read_key_path(typed);
            with(&OpenaiAnswers { key_file: key_file.clone(), ..server.clone() })?;
            Ok(key_file)
        })?;
        let question = InitQuestion {
            option: "--model",
            text: "Which model of it transcribes?",
            offered: Some("whisper-1"),
        };
        server.model = self.questions.decide(question, given.model.as_deref(), |typed| {
            let model = Some(typed.to_owned());
            with(&OpenaiAnswers { model: model.clone(), ..server.clone() })?;
            Ok(model)
        })?;
        let question = InitQuestion {
            option: "--notes-model",
            text: "Which model of it writes the notes? Enter, to have minuted extract them.",
            offered: Some(""),
        };
        let notes_model = given.notes_model.as_deref();
        server.notes_model = self.questions.decide(question, notes_model, |typed| {
            let notes_model = Some(typed.to_owned()).filter(|typed| !typed.is_empty());
            with(&OpenaiAnswers { notes_model: notes_model.clone(), ..server.clone() })?;
            Ok(notes_model)
        })?;
        Ok(server)
    }

    /// Returns the address of the server; http to another machine only with a second yes.
    fn ask_base_url(
        &self,
        given: &InitService,
        with: &impl Fn(&OpenaiAnswers) -> Result<(), String>,
    ) -> Result<OpenaiAnswers, CommandFailure> {
        let at = |url: &str, is_insecure| OpenaiAnswers {
            base_url: url.to_owned(),
            is_insecure,
            ..OpenaiAnswers::default()
        };
        let question = InitQuestion {
            option: "--base-url",
            text: "Where is the server? (such as http://127.0.0.1:8000)",
            offered: None,
        };
        let is_typed = given.base_url.is_none() && self.questions == Questions::Asked;
        loop {
            let url = self.questions.decide(question, given.base_url.as_deref(), |url| {
                let is_insecure = given.insecure || is_typed && url.starts_with("http:");
                with(&at(url, is_insecure)).map(|()| url.to_owned())
            })?;
            if with(&at(&url, false)).is_ok() {
                return Ok(at(&url, false));
            }
            let question = InitQuestion {
                option: "--insecure",
                text: "Anybody in the network on the way could read recordings and the key. Is it \
                       a network that you trust?",
                offered: Some("no"),
            };
            if given.insecure || self.questions.decide(question, None, parse_yes)? {
                return Ok(at(&url, true));
            }
        }
    }

    fn ask_people(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let question = InitQuestion {
            option: "--attendee",
            text: "Who is at the meetings? (Ann Lee <ann@example.com>, Bo <bo@example.com>; Enter, \
                   if that varies)",
            offered: Some(""),
        };
        let given = &self.arguments.folder.attendees;
        let given = (!given.is_empty()).then(|| given.join(", "));
        let folder = self.questions.decide(question, given.as_deref(), |typed| {
            let (people, words) = split_people(typed);
            let folder = FolderAnswers { people, words, ..answers.folder.clone() };
            self.try_answers(&InitAnswers { folder: folder.clone(), ..answers.clone() })?;
            Ok(folder)
        })?;
        for word in &folder.words {
            let word = printable(word);
            print::message(&format!(
                "`{word}` has no address: a word to expect in the recordings, not an attendee"
            ));
        }
        answers.folder = folder;
        Ok(())
    }

    fn ask_language(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let question = InitQuestion {
            option: "--language",
            text: "Which language is spoken? (auto, or a code such as en or de)",
            offered: Some(ANY_LANGUAGE),
        };
        let given = self.arguments.folder.language.as_deref();
        answers.folder.language = self.questions.decide(question, given, |typed| {
            let language = Some(typed.to_owned()).filter(|typed| typed != ANY_LANGUAGE);
            let folder = FolderAnswers { language: language.clone(), ..answers.folder.clone() };
            self.try_answers(&InitAnswers { folder, ..answers.clone() })?;
            Ok(language)
        })?;
        Ok(())
    }

    fn ask_destination(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let options = &self.arguments.folder;
        let given = match options.notes {
            Some(NotesGoTo::Beside) => Some("beside"),
            Some(NotesGoTo::Mail) => Some("mail"),
            Some(NotesGoTo::Both) => Some("both"),
            None if options.notes_dir.is_some() => Some("beside"),
            None => self.arguments.mail.smtp.is_some().then_some("both"),
        };
        let question = InitQuestion {
            option: "--notes",
            text: "Where do the notes go? beside (the recording), mail (to the attendees), both, or \
                   the path of another directory",
            offered: Some("beside"),
        };
        let mut folder = self.questions.decide(question, given, |typed| {
            let mut folder = answers.folder.clone();
            folder.is_mailed = typed == "mail" || typed == "both";
            folder.is_beside = typed != "mail";
            if typed.starts_with(['/', '~']) {
                folder.notes_dir = Some(self.expand_path(typed)?);
                self.try_answers(&InitAnswers { folder: folder.clone(), ..answers.clone() })?;
            } else if !["beside", "mail", "both"].contains(&typed) {
                return Err("type beside, mail, both, or a path that begins with `/`".to_owned());
            }
            if folder.is_mailed && folder.people.is_empty() {
                return Err("there is nobody to mail to: no attendee has an address".to_owned());
            }
            Ok(folder)
        })?;
        if let Some(notes_dir) = &options.notes_dir {
            let mistake = |mistake: String| refuse(&format!("`--notes-dir`: {mistake}"));
            let text = notes_dir.to_str().ok_or_else(|| mistake("it is not UTF-8".to_owned()))?;
            folder.notes_dir = Some(self.expand_path(text).map_err(mistake)?);
        }
        answers.folder = folder;
        Ok(())
    }

    fn ask_mail(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let InitMail { smtp, smtp_tls, smtp_user, smtp_password_file, mail_from } =
            &self.arguments.mail;
        if self.setup.existing.is_some() {
            return Ok(());
        }
        if !answers.folder.is_mailed && smtp.is_none() {
            let options = [smtp_tls, smtp_user, smtp_password_file, mail_from];
            return if options.iter().any(|option| option.is_some()) {
                Err(refuse("an option about mail without `--smtp`"))
            } else {
                Ok(())
            };
        }
        let people = &answers.folder.people;
        let mut mail = MailAnswer {
            from: "minutes@example.com".to_owned(),
            tls: smtp_tls.clone(),
            is_insecure: self.arguments.service.insecure && smtp_tls.as_deref() == Some("none"),
            allow: people.iter().map(|person| person.email.clone()).collect(),
            ..MailAnswer::default()
        };
        let with = |mail: &MailAnswer| {
            self.try_answers(&InitAnswers { mail: Some(mail.clone()), ..answers.clone() })
        };
        let question = InitQuestion {
            option: "--smtp",
            text: "What is the mail server? (smtp.example.com, and :PORT if it is not the usual one)",
            offered: None,
        };
        mail = self.questions.decide(question, smtp.as_deref(), |typed| {
            let mail = with_host(&mail, typed);
            with(&mail)?;
            Ok(mail)
        })?;
        let question = InitQuestion {
            option: "--mail-from",
            text: "Who is the sender? (Minutes <minutes@example.com>)",
            offered: None,
        };
        mail.from = self.questions.decide(question, mail_from.as_deref(), |typed| {
            with(&MailAnswer { from: typed.to_owned(), ..mail.clone() })?;
            Ok(typed.to_owned())
        })?;
        let question = InitQuestion {
            option: "--smtp-user",
            text: "What is your account there? Enter, if it asks for none.",
            offered: smtp_password_file.is_none().then_some(""),
        };
        let user =
            self.questions.decide(question, smtp_user.as_deref(), |typed| Ok(typed.to_owned()))?;
        if !user.is_empty() {
            let question = InitQuestion {
                option: "--smtp-password-file",
                text: "Which file holds its password?",
                offered: Some("smtp-password"),
            };
            let given = smtp_password_file.as_deref();
            mail.account = self.questions.decide(question, given, |typed| {
                let file = self.read_secret_path(typed).ok_or("name a file")?;
                let account = Some((user.clone(), file));
                with(&MailAnswer { account: account.clone(), ..mail.clone() })?;
                Ok(account)
            })?;
        }
        answers.mail = Some(mail);
        Ok(())
    }

    /// Returns the absolute path that a person means.
    fn expand_path(&self, typed: &str) -> Result<String, String> {
        let home = self.env.home.as_ref();
        let path = match (typed.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ if typed.is_empty() => return Err("type a path".to_owned()),
            _ => absolute_path(Path::new(typed)),
        };
        path.to_str().map(str::to_owned).ok_or_else(|| "it is not UTF-8".to_owned())
    }

    /// Returns the file of a secret as the configuration has it: a name alone lies beside it, or
    /// among the credentials of the service.
    fn read_secret_path(&self, typed: &str) -> Option<String> {
        match (typed.strip_prefix("~/"), &self.env.home) {
            (Some(rest), Some(home)) => home.join(rest).to_str().map(str::to_owned),
            _ => Some(typed.to_owned()).filter(|typed| !typed.is_empty()),
        }
    }

    /// Returns the file of a server's key. On a server a name alone lies beside the configuration:
    /// the unit has no credential for it.
    fn read_key_path(&self, typed: &str) -> Option<String> {
        let file = self.read_secret_path(typed)?;
        match self.setup.audience {
            Audience::Person => Some(file),
            Audience::Server => self.setup.file.with_file_name(file).to_str().map(str::to_owned),
        }
    }

    /// Returns a name for a folder whose directory has none that is fit for one, or one that is
    /// taken.
    fn choose_name(&self, path: &str) -> Option<String> {
        let directory = Path::new(path).file_name()?.to_str()?;
        let is_fit = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-');
        let clean: String =
            directory.chars().map(|letter| if is_fit(letter) { letter } else { '-' }).collect();
        let clean = clean.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        let clean = clean.trim_end_matches('-');
        let clean = if clean.is_empty() { "recordings" } else { clean };
        let folders = self.setup.existing.iter().flat_map(|existing| &existing.settings.folders);
        let taken: Vec<&str> =
            folders.flat_map(|folder| [folder.name.as_str(), folder.id.as_str()]).collect();
        let numbered = (2..).map(|number| cut_name(clean, &format!("-{number}")));
        let name = std::iter::once(cut_name(clean, ""))
            .chain(numbered)
            .find(|name| !taken.contains(&name.as_str()))?;
        (name != directory).then_some(name)
    }
}

/// Returns the start of a name with this end, as long as names may be.
fn cut_name(name: &str, end: &str) -> String {
    let room = name.floor_char_boundary(NAME_BYTES_MAX - end.len());
    format!("{}{end}", &name[..room])
}

/// Returns the mail with a server as `HOST` or `HOST:PORT`, and the protection that this implies.
fn with_host(mail: &MailAnswer, typed: &str) -> MailAnswer {
    let port =
        typed.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) = match port.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => (host, Some(port)),
        None => (typed, None),
    };
    let implied = match port {
        Some(SUBMISSIONS) => Some("tls"),
        _ => is_loopback(host).then_some("none"),
    };
    let tls = mail.tls.clone().or_else(|| implied.map(str::to_owned));
    MailAnswer { host: host.to_owned(), port, tls, ..mail.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_a_host_and_perhaps_a_port() {
        let read = |typed| {
            let mail = with_host(&MailAnswer::default(), typed);
            (mail.host, mail.port, mail.tls)
        };
        assert_eq!(read("smtp.example.com"), ("smtp.example.com".into(), None, None));
        assert_eq!(
            read("smtp.example.com:465"),
            ("smtp.example.com".into(), Some(465), Some("tls".into()))
        );
        assert_eq!(read("[::1]:25"), ("[::1]".into(), Some(25), Some("none".into())));
        assert_eq!(read("::1"), ("::1".into(), None, Some("none".into())));
    }

    #[test]
    fn a_name_is_cut_between_letters() {
        assert_eq!(cut_name("sales", "-2"), "sales-2");
        assert_eq!(cut_name(&"é".repeat(40), "-2"), format!("{}-2", "é".repeat(31)));
    }
}
