//! The question about the page: nothing listens unasked.

use super::{
    answers::Interview,
    document::InitAnswers,
    questions::{InitQuestion, parse_yes, refuse},
};
use crate::{commands::CommandFailure, text::printable_path};

impl Interview<'_> {
    pub(super) fn ask_page(&self, answers: &mut InitAnswers) -> Result<(), CommandFailure> {
        let is_wanted = self.arguments.page;
        if self.setup.existing.is_some() {
            if is_wanted {
                let file = printable_path(&self.setup.file);
                return Err(refuse(&format!(
                    "`{file}` exists, and only a folder is added to it: write [http] into it yourself"
                )));
            }
            return Ok(());
        }
        let question = InitQuestion {
            option: "--page",
            text: "Do you want a page in the browser, on this machine alone?",
            offered: Some("no"),
        };
        let given = is_wanted.then_some("yes");
        answers.has_page = self.questions.decide(question, given, parse_yes)?;
        Ok(())
    }
}
