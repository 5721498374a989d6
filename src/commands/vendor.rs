//! The account at a source, as commands use it: in their own process, straight at the vendor.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::CommandFailure;
use crate::{
    config::{self, Settings},
    control::Refusal,
    services::{CallError, pacer::Pacer},
    sources::meetingbaas::{MeetingBaas, suggest_cure},
    text::{error_chain, one_line},
};

/// The limit of one call.
const REQUEST: Duration = Duration::from_secs(30);

/// A source with its account.
pub(super) struct Vendor<'a> {
    pub(super) source: &'a config::Source,
    pub(super) baas: MeetingBaas,
}

impl<'a> Vendor<'a> {
    /// Opens the source of that name, or the only one.
    pub(super) fn named(
        settings: &'a Settings,
        name: Option<&str>,
    ) -> Result<Self, CommandFailure> {
        let names = || {
            settings
                .sources
                .iter()
                .map(|source| source.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = match name {
            Some(name) => settings.source(name),
            None => settings.sources.first().filter(|_| settings.sources.len() == 1),
        };
        if let Some(source) = found {
            return Self::of(settings, source);
        }
        let refusal = match (name, settings.sources.is_empty()) {
            (_, true) => {
                let hint = "add a [[source]] to the configuration; config.example.toml shows it";
                Refusal::new("no source is configured").hint(hint)
            }
            (None, false) => Refusal::new("there are several sources")
                .hint(format!("name one by --source: {}", names())),
            (Some(name), false) => {
                let message = format!("there is no source `{}`", one_line(name, 80));
                Refusal::new(message).hint(format!("there is {}", names()))
            }
        };
        Err(refusal.into())
    }

    /// Opens a source.
    pub(super) fn of(
        settings: &Settings,
        source: &'a config::Source,
    ) -> Result<Self, CommandFailure> {
        let pace = NonZeroU32::new(settings.workers.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let baas = MeetingBaas::new(source, REQUEST, Arc::new(Pacer::new(pace)));
        let baas =
            baas.with_context(|| format!("failed to set up the source `{}`", source.name))?;
        Ok(Self { source, baas })
    }

    /// Tells of a question that was not answered. `missing` is the cure where what was asked about is not there.
    pub(super) fn unanswered_question(&self, error: &CallError, missing: &str) -> CommandFailure {
        let refusal = self.refusal_of(error);
        match error {
            CallError::Refused { status: 404, .. } => refusal.hint(missing),
            CallError::SignedOut { .. }
            | CallError::Forbidden { .. }
            | CallError::Refused { .. }
            | CallError::Unavailable { .. }
            | CallError::File(_) => self.with_remedy(refusal, error),
        }
        .into()
    }

    /// Tells of something that was not done, or may have been: `done` says what, `look` how to see it.
    pub(super) fn undone_request(
        &self,
        error: &CallError,
        done: &str,
        look: &str,
    ) -> CommandFailure {
        if let CallError::Unavailable { message, uncertain: true, .. } = error {
            let source = &self.source.name;
            let message =
                format!("source `{source}`: {}; {done} all the same", one_line(message, 500));
            return Refusal::new(message).hint(format!("{look}, before you try again")).into();
        }
        self.unanswered_question(error, look)
    }

    fn refusal_of(&self, error: &CallError) -> Refusal {
        Refusal::new(format!(
            "source `{}`: {}",
            self.source.name,
            one_line(&error_chain(error), 500)
        ))
    }

    fn with_remedy(&self, refusal: Refusal, error: &CallError) -> Refusal {
        match suggest_cure(self.source, error) {
            Some(cure) => refusal.hint(cure),
            None => refusal,
        }
    }
}
