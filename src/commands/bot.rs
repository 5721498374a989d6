//! `minuted bot`: bots that sit in meetings.

use std::process::ExitCode;

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use serde_json::json;
use url::Url;

use super::{CommandFailure, print, vendor::Vendor};
use crate::{
    cli, clock,
    config::Settings,
    control::Refusal,
    sources::meetingbaas::{Bot, BotCallError, BotJoin},
    text::{one_line, printable},
};

/// The command that lists the bots.
const LOOK: &str = "minuted bot list shows the bots that there are";

pub(super) async fn run(
    settings: &Settings,
    command: cli::BotCommand,
) -> Result<ExitCode, CommandFailure> {
    match command {
        cli::BotCommand::Join(arguments) => join_meeting(settings, &arguments).await?,
        cli::BotCommand::List(arguments) => list_bots(settings, &arguments).await?,
        cli::BotCommand::Leave(arguments) => {
            let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
            let left = vendor.baas.recall_bot(&arguments.bot).await;
            left.map_err(|error| {
                vendor.undone_request(&error, "the bot may have been called back", LOOK)
            })?;
            print_outcome(&arguments, "leaves")?;
        }
        cli::BotCommand::Retranscribe(arguments) => {
            let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
            match vendor.baas.request_transcription(&arguments.bot).await {
                Ok(()) => print_outcome(
                    &arguments,
                    "is transcribed again; what was said is read when it is fetched",
                )?,
                Err(BotCallError::Lacks(what)) => return Err(Refusal::new(what).into()),
                Err(BotCallError::Call(error)) => {
                    return Err(vendor.undone_request(&error, "it may be transcribed again", LOOK));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn join_meeting(
    settings: &Settings,
    arguments: &cli::BotJoinArgs,
) -> Result<(), CommandFailure> {
    let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
    let meeting_url = parse_meeting_address(&arguments.url)?;
    let at = arguments
        .at
        .as_deref()
        .map(|at| parse_future_time(at, clock::now(), &TimeZone::system()))
        .transpose()?;
    let name = arguments.sent.name.as_str();
    let transcribe = arguments.sent.transcribe;
    let sent =
        vendor.baas.send_bot(&BotJoin { meeting_url: &meeting_url, at, name, transcribe }).await;
    let bot =
        sent.map_err(|error| vendor.undone_request(&error, "a bot may have been sent", LOOK))?;
    if arguments.of.output.json {
        let source = &vendor.source.name;
        print::json(
            &json!({ "bot": bot, "source": source, "meeting_url": meeting_url.as_str(), "at": at }),
        )?;
    } else {
        let when = at.map(|at| format!(" at {}", format_minute(at))).unwrap_or_default();
        print::line(&printable(&format!(
            "bot {bot} joins {}{when}",
            one_line(meeting_url.as_str(), 200)
        )))?;
    }
    Ok(())
}

async fn list_bots(settings: &Settings, arguments: &cli::OfSource) -> Result<(), CommandFailure> {
    let vendor = Vendor::named(settings, arguments.source.as_deref())?;
    let bots =
        vendor.baas.list_bots().await.map_err(|error| vendor.unanswered_question(&error, LOOK))?;
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

/// Tells what becomes of a bot.
fn print_outcome(arguments: &cli::OneBot, what: &str) -> Result<(), CommandFailure> {
    let message = format!("bot {} {what}", one_line(&arguments.bot, 80));
    if arguments.of.output.json {
        print::json(&json!({ "bot": arguments.bot, "message": message }))?;
    } else {
        print::line(&printable(&message))?;
    }
    Ok(())
}

/// Returns a time to the minute.
pub(super) fn format_minute(at: Timestamp) -> String {
    at.strftime("%F %H:%MZ").to_string()
}

/// Reads the address of a meeting.
fn parse_meeting_address(text: &str) -> Result<Url, Refusal> {
    let url = Url::parse(text.trim()).ok().filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| {
        let message = format!("`{}` is not the address of a meeting", one_line(text, 80));
        Refusal::new(message).hint("copy the whole link of the invitation, beginning with https://")
    })
}

/// Reads a time to come: of the day, of a date, or with its zone.
fn parse_future_time(text: &str, now: Timestamp, here: &TimeZone) -> Result<Timestamp, Refusal> {
    let text = text.trim();
    let local = |at: civil::DateTime| at.to_zoned(here.clone()).ok().map(|at| at.timestamp());
    let of_day = |time: civil::Time| {
        let today = now.to_zoned(here.clone()).date();
        let at = local(today.to_datetime(time)).filter(|at| *at > now);
        at.or_else(|| local(today.checked_add(1.day()).ok()?.to_datetime(time)))
    };
    let read = text.parse::<Timestamp>().ok();
    let read = read.or_else(|| local(text.parse().ok()?));
    let read = read.or_else(|| of_day(text.parse().ok()?));
    let shown = one_line(text, 80);
    match read {
        Some(at) if at > now => Ok(at),
        Some(_) => Err(Refusal::new(format!("`{shown}` is over"))
            .hint("write a time to come, or no --at for now")),
        None => {
            let hint = "write \"14:30\", \"2026-11-22 14:30\" or \"2026-11-22T14:30:00Z\"";
            Err(Refusal::new(format!("`{shown}` is not a time")).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_the_clock_here_shows_it_and_never_lies_in_the_past() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let here = TimeZone::fixed(jiff::tz::offset(2));
        let at = |text: &str| {
            parse_future_time(text, now, &here)
                .map(|at| at.to_string())
                .map_err(|refusal| refusal.message)
        };
        assert_eq!(at("15:30").as_deref(), Ok("2026-11-22T13:30:00Z"));
        assert_eq!(at("13:30").as_deref(), Ok("2026-11-23T11:30:00Z"), "tomorrow");
        assert_eq!(at("2026-11-24 09:00").as_deref(), Ok("2026-11-24T07:00:00Z"));
        assert_eq!(at("2026-11-24T09:00:00Z").as_deref(), Ok("2026-11-24T09:00:00Z"));
        assert_eq!(at("2026-11-22T11:59:00Z"), Err("`2026-11-22T11:59:00Z` is over".into()));
        for text in ["", "soon", "25:00", "2026-13-01 09:00", "tomorrow"] {
            assert_eq!(at(text), Err(format!("`{text}` is not a time")));
        }
    }

    #[test]
    fn a_meeting_has_the_address_of_an_invitation() {
        assert!(parse_meeting_address(" https://meet.example/abc?x=1 ").is_ok());
        for text in
            ["", "meet.example/abc", "http://meet.example/abc", "file:///etc/passwd", "https://"]
        {
            assert!(parse_meeting_address(text).is_err(), "{text}");
        }
    }
}
