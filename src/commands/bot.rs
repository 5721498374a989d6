//! `minuted bot`: bots that sit in meetings.

use std::process::ExitCode;

use serde_json::json;

use super::{CommandFailure, print};
use crate::{
    cli,
    config::Settings,
    control::{BotOrder, VendorAccount, format_minute},
    sources::meetingbaas::Bot,
    text::{one_line, printable},
};

pub(super) async fn run(
    settings: &Settings,
    command: cli::BotCommand,
) -> Result<ExitCode, CommandFailure> {
    match command {
        cli::BotCommand::Join(arguments) => {
            let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
            let order = BotOrder {
                url: &arguments.url,
                at: arguments.at.as_deref(),
                name: Some(&arguments.sent.name),
                transcribe: arguments.sent.transcribe,
            };
            print::outcome(&account.send_bot(&order).await?, &arguments.of.output)?;
        }
        cli::BotCommand::List(arguments) => list_bots(settings, &arguments).await?,
        cli::BotCommand::Leave(arguments) => {
            let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
            print::outcome(&account.recall_bot(&arguments.bot).await?, &arguments.of.output)?;
        }
        cli::BotCommand::Retranscribe(arguments) => {
            let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
            print::outcome(&account.retranscribe(&arguments.bot).await?, &arguments.of.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_bots(settings: &Settings, arguments: &cli::OfSource) -> Result<(), CommandFailure> {
    let bots = VendorAccount::find(settings, arguments.source.as_deref())?.list_bots().await?;
    if arguments.output.json {
        return Ok(print::json(&json!(bots))?);
    }
    if bots.is_empty() {
        print::message("the account has no bots");
        return Ok(());
    }
    for bot in &bots {
        let at = bot.at.map(format_minute).unwrap_or_default();
        print::line(
            printable(&format!("{}  {at}  {}", bot.id, one_line(&bot.status, 40))).trim_end(),
        )?;
        print::line(&printable(&format!("    {}", describe_bot(bot))))?;
    }
    Ok(())
}

/// Returns where a bot is, and why it failed.
fn describe_bot(bot: &Bot) -> String {
    let parts = [&bot.name, &bot.meeting_url, &bot.error];
    let parts: Vec<_> = parts.into_iter().flatten().map(|part| one_line(part, 200)).collect();
    parts.join("  ")
}
