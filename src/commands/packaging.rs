//! `minuted completions` and `minuted man`, for packagers.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Arg, Command, CommandFactory as _};

use super::{CommandFailure, print};
use crate::cli::Cli;

/// The end of the manual page, after the commands.
const AFTER: &str = ".SH \"EXIT STATUS\"\n.TP\n0\nit did what it should\n.TP\n1\nit failed, or a recording failed under \
    \\fBadd \\-\\-wait\\fR or \\fBrun \\-\\-once\\fR\n.TP\n2\nthe command line makes no sense\n.TP\n78\nthe configuration \
    is wrong, or the queue is damaged or newer: a person has to act\n.SH FILES\n.TP\n/etc/minuted/config.toml, ~/.config/minuted/config.toml\nthe configuration; \
    config.example.toml explains every key\n.TP\n/var/lib/minuted, ~/.local/state/minuted\nthe queue, the sign\\-in and \
    the socket\n.TP\n~/.local/share/minuted, or model in the directory above\nthe model of the on\\-device engine\n";

pub(super) fn print_completions(shell: clap_complete::Shell) -> Result<ExitCode, CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "minuted", &mut script);
    print::raw(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one page for all commands, so that no option needs a page that is not installed.
pub(super) fn print_manual() -> Result<ExitCode, CommandFailure> {
    let mut program = Cli::command();
    program.build();
    let page = clap_mangen::Man::new(program.clone());
    let mut head = Vec::new();
    page.render_title(&mut head)?;
    page.render_name_section(&mut head)?;
    page.render_synopsis_section(&mut head)?;
    page.render_options_section(&mut head)?;
    let commands = program
        .get_subcommands()
        .filter(|command| command.get_name() != "help" && !command.is_hide_set());
    let commands: String = commands
        .flat_map(with_inner)
        .map(|(name, command)| manual_section(&name, command))
        .collect();
    print::raw(&format!("{}.SH COMMANDS\n{commands}{AFTER}", String::from_utf8_lossy(&head)))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the commands that a person can type: the command itself, or those within it, each with its whole name.
fn with_inner(command: &Command) -> Vec<(String, &Command)> {
    let name = command.get_name();
    if !command.has_subcommands() {
        return vec![(name.to_owned(), command)];
    }
    let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
    inner.map(|inner| (format!("{name} {}", inner.get_name()), inner)).collect()
}

/// Returns a command's part of the page.
fn manual_section(name: &str, command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(".SS \"{}\"\n{}\n", escape_roff(name), escape_roff(&about));
    // What every command has stands at the top of the page.
    let own = |argument: &&Arg| {
        !argument.is_global_set() && !matches!(argument.get_id().as_str(), "help" | "version")
    };
    for argument in command.get_arguments().filter(own) {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        write!(
            text,
            ".TP\n\\fB{}\\fR\n{}\n",
            escape_roff(&argument.to_string()),
            escape_roff(&help)
        )
        .expect("a String takes what is written");
    }
    text
}

fn escape_roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}
