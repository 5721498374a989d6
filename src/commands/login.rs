//! `minuted login`, `logout` and `whoami`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::{CommandFailure, act_and_print, print};
use crate::{
    cli,
    config::Settings,
    control::{Caller, ControlRequest, Refusal},
    runtime::LiveConfig,
    services::paxs::{Grant, LoginError},
    text::{error_chain, one_line, printable},
};

pub(super) async fn sign_in(
    settings: &Arc<Settings>,
    caller: Caller,
    arguments: cli::Login,
) -> Result<ExitCode, CommandFailure> {
    // Without a daemon the caller holds the state directory's lock. A daemon must be able to start while a person
    // looks for the browser.
    drop(caller);
    // The flow runs here, in front of the person; the code goes to whoever keeps the tokens.
    let live = LiveConfig::build(Arc::clone(settings), &TaskTracker::new(), None)
        .context("failed to set up the services")?;
    let service = match arguments.service {
        Some(name) => name,
        None if live.services.len() == 1 => {
            live.services.keys().next().cloned().unwrap_or_default()
        }
        None => return Err(several_services(&live).into()),
    };
    let handle = live.services.get(&service).ok_or_else(|| unknown_service(&live, &service))?;
    let Some(account) = &handle.account else {
        return Err(Refusal::new(format!("nobody signs in at `{service}`"))
            .hint("nothing is to do; minuted check")
            .into());
    };
    let grant = if let Some(port) = arguments.callback {
        let flow = account.callback_login(port).await.map_err(|error| refused_sign_in(&error))?;
        show_link(flow.link().as_str())?;
        flow.wait_for_grant().await
    } else {
        let flow = account.agent_login().map_err(|error| refused_sign_in(&error))?;
        show_link(flow.link().as_str())?;
        flow.wait_for_grant(say_unreachable).await
    };
    let (code, redirect_uri) = Grant::into_parts(grant.map_err(|error| refused_sign_in(&error))?);
    let caller = Caller::connect(Arc::clone(settings)).await?.with_delay_notice(print::message);
    act_and_print(&caller, ControlRequest::SignIn { service, code, redirect_uri }).await?;
    Ok(ExitCode::SUCCESS)
}

fn show_link(link: &str) -> Result<(), CommandFailure> {
    print::message("open this link in a browser, on any machine, and sign in:");
    print::line(link)?;
    print::message("waiting for you (5 min) …");
    Ok(())
}

fn say_unreachable(message: &str) {
    print::message(&format!(
        "the service does not answer yet: {}",
        printable(&one_line(message, 300))
    ));
    print::message(
        "hint: check base_url and the network (minuted check); it is asked on for 5 min",
    );
}

fn several_services(live: &LiveConfig) -> Refusal {
    Refusal::new("there are several services: name one").hint(service_names(live))
}

fn unknown_service(live: &LiveConfig, name: &str) -> Refusal {
    Refusal::new(format!("there is no service `{name}`")).hint(service_names(live))
}

fn service_names(live: &LiveConfig) -> String {
    let names: Vec<&str> = live.services.keys().map(String::as_str).collect();
    format!("the services are: {}", names.join(", "))
}

fn refused_sign_in(error: &LoginError) -> Refusal {
    Refusal::new(one_line(&error_chain(error), 500))
}

pub(super) async fn sign_out(
    caller: &Caller,
    arguments: cli::OfService,
) -> Result<ExitCode, CommandFailure> {
    let request = ControlRequest::SignOut { service: arguments.service };
    if arguments.output.json {
        print::json(&caller.ask(request).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    act_and_print(caller, request).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show_account(
    caller: &Caller,
    arguments: cli::OfService,
) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::Whoami { service: arguments.service }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let profile = answer.get("profile").cloned().unwrap_or_default();
    let field =
        |names: &[&str]| names.iter().find_map(|name| profile.get(name).and_then(Value::as_str));
    let who = field(&["email", "name", "displayName", "username", "id"]).unwrap_or("somebody");
    let service = answer.get("service").and_then(Value::as_str).unwrap_or_default();
    let base_url = answer.get("base_url").and_then(Value::as_str).unwrap_or_default();
    print::line(&printable(&format!(
        "signed in at {service} ({base_url}) as {}",
        one_line(who, 120)
    )))?;
    Ok(ExitCode::SUCCESS)
}
