//! `minuted speakers JOB`: who speaks, and names for them.

use std::process::ExitCode;

use super::{
    CommandFailure, job_name, parse_answer,
    print::{self, Column, List},
    say_without_daemon,
};
use crate::{
    cli,
    control::{Caller, ControlRequest, SpeakersAnswer},
    text::{one_line, printable},
};

/// Characters of a label or name in the list.
const NAME_MAX: usize = 40;

pub(super) async fn run(
    caller: &Caller,
    arguments: cli::SpeakersArgs,
) -> Result<ExitCode, CommandFailure> {
    let lists = arguments.names.is_empty();
    let request =
        ControlRequest::Speakers { job: job_name(&arguments.job), names: arguments.names };
    let answer = caller.ask(request).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer: SpeakersAnswer = parse_answer(answer)?;
    if lists {
        show_speakers(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(message) = &answer.message {
        print::line(&printable(message))?;
    }
    for path in &answer.edited {
        print::message(&format!(
            "{} was edited and stays as it is; the notes with the names come beside it, with a number in their name",
            printable(path)
        ));
    }
    say_without_daemon(caller);
    Ok(ExitCode::SUCCESS)
}

fn show_speakers(answer: &SpeakersAnswer) -> std::io::Result<()> {
    let columns = [Column::Whole("speaker"), Column::Whole("name"), Column::Whole("speaks")];
    let mut list = List::new(columns, "first words");
    for speaker in &answer.speakers {
        let seconds = speaker
            .seconds
            .map(|seconds| std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let cells = [
            one_line(&speaker.label, NAME_MAX),
            one_line(speaker.name.as_deref().unwrap_or("-"), NAME_MAX),
            seconds.map_or_else(|| "-".to_owned(), |time| print::format_clock(time.as_secs())),
        ];
        list.add(cells, printable(&speaker.first).into_owned());
    }
    list.show()
}
