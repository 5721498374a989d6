//! The settings in force and what is built from them; replaced as a whole by a reload.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    config::{self, Folder, Kind, Retry, Settings},
    services::{Connection, NotesService, connect, health::ServiceHealth, paxs::PaxsService},
};

/// The settings in force, and what is built from them.
#[derive(Debug)]
pub(crate) struct LiveConfig {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The time since which they are in force.
    pub read: jiff::Timestamp,
    /// The services by name.
    pub services: BTreeMap<String, Arc<ServiceHandle>>,
    /// The transcripts that sources give, by the source's name: each the service of the jobs that reuse them.
    pub source_transcripts: BTreeMap<String, Arc<ServiceHandle>>,
    /// The folders by id; also those that left the configuration with work under way: jobs that are past their upload
    /// finish with the last settings.
    pub folders: BTreeMap<String, Arc<Folder>>,
}

impl LiveConfig {
    /// Builds what the settings ask for. What `before` has and what did not change is kept: a service's health, its
    /// sign-in in memory, its pace.
    ///
    /// # Errors
    /// When a service's client cannot be built.
    pub(crate) fn build(
        settings: Arc<Settings>,
        tasks: &TaskTracker,
        before: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let mut services = BTreeMap::new();
        for (name, service) in &settings.services {
            let kept = before.filter(|before| {
                before.settings.retry == settings.retry
                    && before.settings.workers == settings.workers
            });
            let kept = kept
                .and_then(|before| before.services.get(name))
                .filter(|handle| handle.settings == *service);
            let former = before.and_then(|before| before.services.get(name));
            let handle = match kept {
                Some(handle) => Arc::clone(handle),
                None => Arc::new(ServiceHandle::build(service, &settings, tasks)?),
            };
            if let Some(former) = former.filter(|former| !Arc::ptr_eq(former, &handle)) {
                handle.health.keep_refused_sign_in(&former.health);
            }
            services.insert(name.clone(), handle);
        }
        let mut source_transcripts = BTreeMap::new();
        for source in &settings.sources {
            let service = settings.transcripts_of(source);
            let kept = before.and_then(|before| before.source_transcripts.get(&source.name));
            let handle = if let Some(handle) = kept.filter(|handle| handle.settings == service) {
                Arc::clone(handle)
            } else {
                Arc::new(ServiceHandle::build(&service, &settings, tasks)?)
            };
            source_transcripts.insert(source.name.clone(), handle);
        }
        let folders = settings
            .folders
            .iter()
            .map(|folder| (folder.id.clone(), Arc::new(folder.clone())))
            .collect();
        Ok(Self { settings, read: crate::clock::now(), services, source_transcripts, folders })
    }

    /// Returns the service of this name as jobs know it: a configured one, or the transcripts of a source.
    #[must_use]
    pub(crate) fn service_for_job(&self, name: &str) -> Option<&Arc<ServiceHandle>> {
        self.services.get(name).or_else(|| self.source_transcripts.get(name))
    }

    /// Returns all that serves jobs.
    pub(crate) fn services_and_sources(&self) -> impl Iterator<Item = &Arc<ServiceHandle>> {
        self.services.values().chain(self.source_transcripts.values())
    }

    /// Adds folders that are not configured any more but have work under way.
    #[must_use]
    pub(crate) fn with_former(mut self, former: BTreeMap<String, Arc<Folder>>) -> Self {
        for (id, folder) in former {
            self.folders.entry(id).or_insert(folder);
        }
        self
    }
}

/// A service with its settings and its health.
#[derive(Debug)]
pub(crate) struct ServiceHandle {
    /// The service.
    pub service: Arc<dyn NotesService>,
    /// Its settings.
    pub settings: config::Service,
    /// Its sign-in, where a person signs in.
    pub account: Option<PaxsService>,
    /// Counts the recordings in its hands, where it has slots of its own.
    pub slots: Option<Arc<Semaphore>>,
    /// Counts the results that it is asked for, which it makes while it is asked; as many as it has slots.
    pub asks: Option<Arc<Semaphore>>,
    /// Its health.
    pub health: ServiceHealth,
}

impl ServiceHandle {
    fn build(
        service: &config::Service,
        settings: &Settings,
        tasks: &TaskTracker,
    ) -> anyhow::Result<Self> {
        let Connection { service: connected, account } = connect(service, settings, tasks)
            .with_context(|| format!("failed to set up the service `{}`", service.name))?;
        Ok(Self::new(connected, account, service.clone(), settings.retry))
    }

    /// Returns a service of which nothing bad is known.
    pub(crate) fn new(
        service: Arc<dyn NotesService>,
        account: Option<PaxsService>,
        settings: config::Service,
        retry: Retry,
    ) -> Self {
        let health = ServiceHealth::new(retry);
        let slots = settings.at_once.map(|at_once| Arc::new(Semaphore::new(at_once)));
        let abilities = settings.abilities();
        // One whose results come later only begins them when it is asked.
        let waits = abilities.notes == config::Notes::WhenAsked && abilities.transcribes_at_once;
        let asks = waits.then(|| Arc::new(Semaphore::new(settings.at_once.unwrap_or(1))));
        Self { service, settings, account, slots, asks, health }
    }

    /// Returns whether a recording in its hands may be interrupted and goes on later from what is finished: on this
    /// machine. An upload would begin anew, and so would what a server works on.
    pub(crate) fn can_resume(&self) -> bool {
        matches!(self.settings.kind, Kind::Ondevice(_))
    }
}
