//! Trials of a configuration before it is in force: by the daemon, which alone may see the
//! credentials of its unit.

use std::{path::Path, sync::Arc};

use serde_json::json;
use tokio_util::task::TaskTracker;

use super::{
    Answer, ConfigTrial, ControlService, Difference, Refusal, service::to_value, try_calendar,
    try_mail, try_notifier,
};
use crate::{
    config::{Environment, Settings, parse},
    runtime::LiveConfig,
    text::{error_chain, one_line, printable_path},
};

impl ControlService {
    pub(super) async fn try_configuration(
        &self,
        file: &Path,
        config: &str,
        what: ConfigTrial,
    ) -> Answer {
        let live = self.live_settings();
        let settings = parse(config, file, Environment::get()).map_err(|error| {
            let message = one_line(&error.render(false), 500);
            Refusal::new(format!("the daemon cannot read this configuration: {message}"))
        })?;
        match what {
            ConfigTrial::Difference => to_value(&Difference {
                is_in_force: is_alike(&settings, &live.settings),
                file: printable_path(&live.settings.file),
                read: live.read,
            }),
            ConfigTrial::Service(name) => {
                // An unchanged service is the daemon's own, because its sign-in has one owner.
                let tried = LiveConfig::build(Arc::new(settings), &TaskTracker::new(), Some(&live));
                let tried =
                    tried.map_err(|error| Refusal::new(one_line(&format!("{error:#}"), 500)))?;
                let handle = Self::service_of(&tried, Some(&name))?;
                let is_own = live.services.get(&name).is_some_and(|own| Arc::ptr_eq(own, &handle));
                self.profile_of(&handle, is_own).await
            }
            ConfigTrial::Writer(name) => {
                let tried = LiveConfig::build(Arc::new(settings), &TaskTracker::new(), Some(&live));
                let tried =
                    tried.map_err(|error| Refusal::new(one_line(&format!("{error:#}"), 500)))?;
                let handle = Self::service_of(&tried, Some(&name))?;
                let answered = handle.service.try_writer().await;
                let answer =
                    answered.map_err(|error| Refusal::new(one_line(&error_chain(&error), 500)))?;
                Ok(json!({ "answer": answer }))
            }
            ConfigTrial::Calendar(name) => {
                match settings.calendars.iter().find(|calendar| calendar.name == name) {
                    Some(calendar) => try_calendar(calendar).await,
                    None => Err(Refusal::unknown(format!("there is no calendar `{name}`"))),
                }
            }
            ConfigTrial::Notifier(name) => try_notifier(&settings, Some(&name)).await,
            ConfigTrial::Ping => try_notifier(&settings, None).await,
            ConfigTrial::Mail(to) => match &settings.email {
                Some(email) => try_mail(email, to.as_deref()).await,
                None => Err(Refusal::new("no mail is configured")
                    .hint("add an [email] table; config.example.toml shows it")),
            },
        }
    }
}

/// Returns whether two configurations are equal, but for the place of their files.
fn is_alike(one: &Settings, other: &Settings) -> bool {
    let one = Settings { file: other.file.clone(), ..one.clone() };
    one == *other
}
