//! The outside world: the services and the mail server.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::{CheckFindings, CommandFailure, Finding, koldan};
use crate::{
    commands::parse_answer,
    config::{NotesBy, Settings},
    control::{Answer, Caller, ConfigTrial, ControlRequest, Difference, try_mail},
    runtime::LiveConfig,
    services::CallError,
    text::{ShellCommand, error_chain, one_line},
};

/// Answers of minuted itself: the daemon's, or this command's where none runs.
pub(super) struct Asked {
    caller: Caller,
    /// The configuration that is checked: it need not be the one in force.
    text: String,
    /// Its relation to the one in force; `None` without a daemon, or where the daemon cannot say it.
    difference: Option<Difference>,
}

impl Asked {
    /// Returns these answers where a daemon gives them.
    pub(super) fn daemon(&self) -> Option<&Self> {
        self.difference.as_ref().map(|_| self)
    }

    /// Returns whether the daemon runs with the configuration that is checked.
    pub(super) fn is_in_force(&self) -> bool {
        self.difference.as_ref().is_some_and(|difference| difference.is_in_force)
    }

    /// Asks a question that has nothing to do with a configuration.
    pub(super) async fn ask(&self, request: ControlRequest) -> Answer {
        self.caller.ask(request).await
    }

    /// Has something of the configuration tried.
    pub(super) async fn attempt(&self, settings: &Settings, what: ConfigTrial) -> Answer {
        let file = settings.file.clone();
        self.caller.ask(ControlRequest::Try { file, config: self.text.clone(), what }).await
    }

    /// Returns what is said of the daemon.
    fn told(&self) -> Finding {
        match &self.difference {
            None => Finding::note(
                "daemon",
                "it does not run; start it: minuted run, or systemctl start minuted",
            ),
            Some(difference) if difference.is_in_force => Finding::ok("daemon", "it runs"),
            Some(difference) => {
                let Difference { file, read, .. } = difference;
                let since = read.strftime("%F %H:%M:%SZ");
                let message = format!(
                    "it runs with {file} as that was read at {since}; this configuration, which is what is tried here, \
                     comes into force with: systemctl reload minuted (--user for your own)"
                );
                Finding::note("daemon", message)
            }
        }
    }
}

/// Finds out who answers. `text` is the configuration that is checked. `None` where nobody does, or nobody ran yet.
pub(super) async fn find_answerer(
    settings: &Arc<Settings>,
    text: String,
    findings: &mut CheckFindings,
) -> Result<Option<Asked>, CommandFailure> {
    if !settings.state_dir.exists() {
        // The daemon or `login` makes it; a check leaves no trace.
        return Ok(None);
    }
    let caller = match Caller::connect(Arc::clone(settings)).await {
        Ok(caller) => caller,
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "see the line above".to_owned());
            findings.add(Finding::error("services", one_line(&error_chain(&error), 300), hint))?;
            return Ok(None);
        }
    };
    let mut asked = Asked { caller, text, difference: None };
    if asked.caller.is_daemon() {
        match asked.attempt(settings, ConfigTrial::Difference).await {
            Ok(answer) => asked.difference = Some(parse_answer(answer)?),
            Err(refusal) => {
                let hint = refusal
                    .hint
                    .unwrap_or_else(|| "restart it: systemctl restart minuted".to_owned());
                findings.add(Finding::error("daemon", refusal.message, hint))?;
                return Ok(None);
            }
        }
    }
    Ok(Some(asked))
}

/// Asks each service who is signed in, by the daemon where one runs: tokens have one owner.
pub(super) async fn check_services(
    settings: &Arc<Settings>,
    asked: Option<&Asked>,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    if let Some(asked) = asked {
        for (name, service) in &settings.services {
            check_service(settings, name, asked, findings).await?;
            if let Some(notes) = &service.notes {
                let answer = asked.attempt(settings, ConfigTrial::Writer(name.clone())).await;
                let answer = answer.map_err(|refusal| refusal.message);
                let answer =
                    answer.map(|answer| answer["answer"].as_str().unwrap_or_default().to_owned());
                findings.add(describe_writer(name, notes, answer))?;
            }
        }
        return findings.add(asked.told());
    }
    if settings.state_dir.exists() {
        // What nobody could be asked about is told already.
        return Ok(());
    }
    for (name, service) in &settings.services {
        if service.kind.abilities().signs_in {
            findings.add(Finding::error(
                format!("service {name}"),
                "nobody has signed in",
                login_command(name),
            ))?;
            check_reachable(settings, name, findings).await?;
        } else {
            ask(settings, name, findings).await?;
        }
    }
    findings.add(Finding::note(
        "daemon",
        "it does not run; start it: minuted run, or systemctl start minuted",
    ))
}

async fn check_service(
    settings: &Arc<Settings>,
    name: &str,
    asked: &Asked,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let subject = format!("service {name}");
    let refusal = match asked.attempt(settings, ConfigTrial::Service(name.to_owned())).await {
        Ok(answer) => {
            let base_url = answer["base_url"].as_str().unwrap_or_default();
            let profile = &answer["profile"];
            koldan::describe_profile(settings, name, profile)
                .into_iter()
                .try_for_each(|finding| findings.add(finding))?;
            return findings.add(working_service(settings, name, base_url, profile));
        }
        Err(refusal) => refusal,
    };
    let is_signed_out = refusal.hint.as_deref() == Some(&login_command(name));
    let hint = refusal.hint.unwrap_or_else(|| "check base_url and the network".to_owned());
    // The subject names the service already.
    let message =
        refusal.message.split_once("`: ").map_or(&*refusal.message, |(_, message)| message);
    findings.add(Finding::error(subject, message, hint.trim_end_matches("; minuted check")))?;
    // Whoever is to sign in should know first whether there is somebody to answer.
    if is_signed_out { check_reachable(settings, name, findings).await } else { Ok(()) }
}

/// Asks a service at which nobody signs in, in this process.
async fn ask(
    settings: &Arc<Settings>,
    name: &str,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let live = LiveConfig::build(Arc::clone(settings), &TaskTracker::new(), None)?;
    let Some(handle) = live.services.get(name) else { return Ok(()) };
    let found = match handle.service.read_profile().await {
        Ok(profile) => {
            koldan::describe_profile(settings, name, &profile)
                .into_iter()
                .try_for_each(|finding| findings.add(finding))?;
            working_service(settings, name, &handle.settings.kind.place(), &profile)
        }
        Err(error) => {
            let kind = &handle.settings.kind;
            let hint = match error {
                CallError::SignedOut { .. } => kind.sign_in_cure(name),
                CallError::Forbidden { .. }
                | CallError::Refused { .. }
                | CallError::Unavailable { .. }
                | CallError::File(_) => kind.absence_cure().to_owned(),
            };
            Finding::error(format!("service {name}"), one_line(&error_chain(&error), 300), hint)
        }
    };
    findings.add(found)?;
    let Some(notes) = &handle.settings.notes else { return Ok(()) };
    let answer = handle.service.try_writer().await.map(Option::unwrap_or_default);
    findings.add(describe_writer(
        name,
        notes,
        answer.map_err(|error| one_line(&error_chain(&error), 300)),
    ))
}

/// Tells what the model that writes the notes of a service answered to one sentence.
fn describe_writer(name: &str, notes: &NotesBy, answer: Result<String, String>) -> Finding {
    let subject = format!("service {name}, notes");
    let model = notes.openai.notes_model.as_deref().unwrap_or_default();
    let place = notes.place();
    match answer {
        Ok(answer) => {
            let what = format!(
                "`{}` at {place} writes them with {model}; asked for a sentence it answered: {answer}",
                notes.name
            );
            Finding::ok(subject, what)
        }
        Err(message) => {
            let hint = format!(
                "start that server, or check base_url and notes_model of [services.{}]",
                notes.name
            );
            Finding::error(subject, message, hint)
        }
    }
}

/// Tells of a service that answers; of one that lists its models, which of those it is asked for it does not list.
fn working_service(settings: &Settings, name: &str, place: &str, profile: &Value) -> Finding {
    let subject = format!("service {name}");
    if settings.services.get(name).is_none_or(|service| service.kind.abilities().signs_in) {
        return Finding::ok(subject, format!("{place} answers and the sign-in works"));
    }
    let Some(models) = profile.get("models") else {
        return Finding::ok(subject, format!("{place}: it works"));
    };
    let list = |value: &Value| {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str()).take(SHOWN_MAX).collect::<Vec<_>>().join(", ")
    };
    let models = list(models);
    let unlisted = list(&profile["unlisted"]);
    let missing = list(&profile["not_downloaded"]);
    if models.is_empty() {
        return Finding::note(subject, format!("{place} answers, and does not tell its models"));
    }
    if !missing.is_empty() {
        let others = if unlisted.is_empty() {
            String::new()
        } else {
            format!(", and does not list {unlisted}")
        };
        let hint = format!(
            "download it at the server, or name another one in [services.{name}]; it lists {models}"
        );
        return Finding::warning(
            subject,
            format!("{place} answers, but has not downloaded {missing}{others}"),
            hint,
        );
    }
    if unlisted.is_empty() {
        return Finding::ok(subject, format!("{place} answers and has the models"));
    }
    let hint = format!(
        "name one that it lists in [services.{name}], unless recordings get their notes all the same"
    );
    Finding::warning(
        subject,
        format!("{place} answers, but does not list {unlisted}; it lists {models}"),
        hint,
    )
}

/// Models that are shown: clouds have hundreds.
const SHOWN_MAX: usize = 40;

/// Asks whether a service is there at all.
async fn check_reachable(
    settings: &Arc<Settings>,
    name: &str,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let live = LiveConfig::build(Arc::clone(settings), &TaskTracker::new(), None)?;
    let Some(handle) = live.services.get(name) else { return Ok(()) };
    let Some(account) = &handle.account else { return Ok(()) };
    let subject = format!("service {name}");
    let base_url = handle.settings.kind.place();
    findings.add(match account.check_reachable().await {
        Ok(()) => Finding::ok(subject, format!("{base_url} answers")),
        Err(error) => {
            let message =
                format!("{base_url} cannot be reached: {}", one_line(&error_chain(&error), 300));
            Finding::error(subject, message, "check base_url and the network")
        }
    })
}

fn login_command(service: &str) -> String {
    ShellCommand::new("minuted login").add_word(service).into()
}

/// Signs in at the mail server, and sends one mail if asked to. The daemon does it where one runs: the password may be a
/// credential that only its unit sees.
pub(super) async fn check_mail(
    settings: &Settings,
    daemon: Option<&Asked>,
    address: Option<&str>,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let Some(email) = &settings.email else {
        let hint = "add an [email] table; config.example.toml shows it";
        let missing = address.map(|_| Finding::error("mail", "no mail is configured", hint));
        return missing.into_iter().try_for_each(|finding| findings.add(finding));
    };
    let server = format!("mail by {}:{}", email.smtp.host, email.smtp.port);
    for (subject, to) in
        std::iter::once((server, None)).chain(address.map(|to| ("test mail".to_owned(), Some(to))))
    {
        let tried = match daemon {
            Some(daemon) => {
                daemon.attempt(settings, ConfigTrial::Mail(to.map(str::to_owned))).await
            }
            None => try_mail(email, to).await,
        };
        findings.add(match tried {
            Ok(answer) => Finding::ok(subject, answer["message"].as_str().unwrap_or_default()),
            Err(refusal) => {
                Finding::error(subject, refusal.message, refusal.hint.unwrap_or_default())
            }
        })?;
    }
    Ok(())
}
