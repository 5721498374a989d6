//! The arguments of `minuted init`: each question that it asks has its option.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `init`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct InitArgs {
    /// Ask nothing: take these options, and what would be offered for the others
    #[arg(long)]
    pub yes: bool,
    /// Set up a minuted of your own: ~/.config/minuted/config.toml
    #[arg(long, conflicts_with = "server")]
    pub user: bool,
    /// Set up the service of a server, as root: /etc/minuted/config.toml
    #[arg(long)]
    pub server: bool,
    #[command(flatten)]
    /// The folder.
    pub folder: InitFolder,
    #[command(flatten)]
    /// The service.
    pub service: InitService,
    #[command(flatten)]
    /// The mail.
    pub mail: InitMail,
    /// Have a page in the browser, at 127.0.0.1:8765
    #[arg(long)]
    pub page: bool,
    /// Do not install the model of the engine
    #[arg(long)]
    pub no_engine: bool,
}

/// The options of `init` about the folder.
#[derive(Debug, Args)]
pub(crate) struct InitFolder {
    /// The folder of the recordings; made if it is absent [default: ~/Recordings, /srv/recordings]
    #[arg(long, value_name = "PATH")]
    pub folder: Option<PathBuf>,
    /// Who is at its meetings: "Ann Lee <ann@example.com>"; a name alone is a word to expect
    #[arg(long = "attendee", value_name = "PERSON")]
    pub attendees: Vec<String>,
    /// The language that is spoken: auto, en, de …
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,
    /// Where notes go [default: beside; both with --smtp]
    #[arg(long, value_name = "WHERE")]
    pub notes: Option<NotesGoTo>,
    /// Another directory than the recording's for the notes
    #[arg(long, value_name = "PATH")]
    pub notes_dir: Option<PathBuf>,
}

/// Where notes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotesGoTo {
    /// Beside the recording
    Beside,
    /// To the attendees, by mail
    Mail,
    /// Both
    Both,
}

/// The options of `init` about the service.
#[derive(Debug, Args)]
pub(crate) struct InitService {
    /// What makes the notes: ondevice, openai or paxs; where a configuration exists, a service of it
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// The address of the server, for openai and paxs
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// The model that transcribes, for openai [default: whisper-1]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The model that writes the notes, for openai; without it minuted extracts them
    #[arg(long, value_name = "NAME")]
    pub notes_model: Option<String>,
    /// The file with the server's key, for openai
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<String>,
    /// Let http, or mail without TLS, through to another machine: in a network that you trust
    #[arg(long)]
    pub insecure: bool,
}

/// The options of `init` about mail.
#[derive(Debug, Args)]
pub(crate) struct InitMail {
    /// The mail server, and its port if it is not the usual one
    #[arg(long, value_name = "HOST[:PORT]")]
    pub smtp: Option<String>,
    /// How the conversation with it is protected: starttls, tls or none
    #[arg(long, value_name = "TLS")]
    pub smtp_tls: Option<String>,
    /// The account there, where it asks for one
    #[arg(long, value_name = "NAME")]
    pub smtp_user: Option<String>,
    /// The file with the password of that account
    #[arg(long, value_name = "FILE")]
    pub smtp_password_file: Option<String>,
    /// The sender: "Minutes <minutes@example.com>"
    #[arg(long, value_name = "ADDRESS")]
    pub mail_from: Option<String>,
}
