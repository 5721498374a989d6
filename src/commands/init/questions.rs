//! The questions: asked at a terminal, or answered by options and by what would be offered.

use std::io;

use crate::{
    commands::{CommandFailure, print},
    control::Refusal,
    text::printable,
};

/// A question.
#[derive(Debug, Clone, Copy)]
pub(super) struct InitQuestion<'a> {
    /// The option that answers it, too.
    pub(super) option: &'static str,
    pub(super) text: &'a str,
    /// The answer of a person who types nothing; `None` where there is no sensible one.
    pub(super) offered: Option<&'a str>,
}

/// The way to the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Questions {
    /// A person is asked.
    Asked,
    /// What would be offered is taken.
    Offered,
}

impl Questions {
    /// Returns the answer that the option gives, else what the person types, else what is offered.
    /// A person is asked again while `read` returns a mistake.
    ///
    /// # Errors
    /// [`CommandFailure::Usage`] where there is no answer, or a mistake in one that was not typed.
    pub(super) fn decide<T>(
        self,
        question: InitQuestion<'_>,
        given: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, CommandFailure> {
        let InitQuestion { option, offered, .. } = question;
        if let Some(given) = given {
            return read(given).map_err(|mistake| refuse(&format!("`{option}`: {mistake}")));
        }
        if self == Self::Offered {
            let Some(offered) = offered else {
                return Err(refuse(&format!("`{option}` is missing")));
            };
            return read(offered).map_err(|mistake| refuse(&format!("{mistake}: add `{option}`")));
        }
        loop {
            match read(&ask(question)?) {
                Ok(answer) => return Ok(answer),
                Err(mistake) => print::message(&printable(&mistake)),
            }
        }
    }

    /// Returns the answer to a question of yes or no; yes is offered.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub(super) fn confirm(self, text: &str) -> Result<bool, CommandFailure> {
        let question = InitQuestion { option: "--yes", text, offered: Some("yes") };
        self.decide(question, None, parse_yes)
    }
}

/// Reads yes or no.
pub(super) fn parse_yes(answer: &str) -> Result<bool, String> {
    match answer.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _other => Err("type yes or no".to_owned()),
    }
}

/// Returns the error of a command line that does not say enough, or says something wrong.
pub(super) fn refuse(message: &str) -> CommandFailure {
    CommandFailure::Usage(
        Refusal::new(message).hint("minuted init --help lists the options and what they take"),
    )
}

fn ask(question: InitQuestion<'_>) -> Result<String, CommandFailure> {
    print::prompt(&match question.offered.filter(|offered| !offered.is_empty()) {
        Some(offered) => format!("{} [{}]", question.text, printable(offered)),
        None => question.text.to_owned(),
    });
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(0) => {
            print::message("");
            Err(Refusal::new("stopped at a question: nothing was changed").into())
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            print::message("this is not UTF-8: type it again");
            ask(question)
        }
        Err(error) => Err(error.into()),
        Ok(_) => {
            let typed = line.trim();
            Ok(match question.offered.filter(|_| typed.is_empty()) {
                Some(offered) => offered.to_owned(),
                None => typed.to_owned(),
            })
        }
    }
}
