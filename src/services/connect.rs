//! The composition: the service behind each kind of the config.

use std::{num::NonZeroU32, sync::Arc};

use tokio_util::task::TaskTracker;

use super::{
    NotesService,
    chat_service::ChatService,
    koldan::KoldanService,
    local_service::TranscriberService,
    ondevice::OnDeviceTranscriber,
    openai::{ChatWriter, OpenAiServer, OpenAiTranscriber},
    pacer::Pacer,
    paxs::PaxsService,
    result_cache::ResultCache,
    saled::SaledTranscriber,
    source_transcripts::SourceTranscriber,
    transcriber::NotesWriter,
};
use crate::{
    config::{self, Environment, Kind, NotesBy, Settings},
    http::BuildError,
};

/// A service of the config, ready for calls.
pub(crate) struct Connection {
    /// The service.
    pub(crate) service: Arc<dyn NotesService>,
    /// Its sign-in, where a person signs in.
    pub(crate) account: Option<PaxsService>,
}

impl<T: NotesService + 'static> From<T> for Connection {
    fn from(service: T) -> Self {
        Self { service: Arc::new(service), account: None }
    }
}

/// Returns the service of a table of the config. Work that must end by itself runs on `tasks`.
///
/// # Errors
/// When the HTTP client of the service cannot be built.
pub(crate) fn connect(
    service: &config::Service,
    settings: &Settings,
    tasks: &TaskTracker,
) -> Result<Connection, BuildError> {
    let pace = NonZeroU32::new(settings.workers.requests_per_second).unwrap_or(NonZeroU32::MIN);
    let pacer = Arc::new(Pacer::new(pace));
    let other = service.notes.as_ref().map(|notes| connect_writer(notes, pace)).transpose()?;
    let state_dir = &settings.state_dir;
    let cache = ResultCache::per_job(state_dir.join(service.kind.as_str()).join(&service.name));
    Ok(match &service.kind {
        Kind::Paxs(paxs) => {
            let paxs = PaxsService::new(service, paxs, state_dir, pacer, tasks.clone())?;
            Connection { service: Arc::new(paxs.clone()), account: Some(paxs) }
        }
        Kind::Koldan(koldan) => KoldanService::new(service, koldan, cache, pacer)?.into(),
        Kind::Saled(saled) => {
            let saled = Arc::new(SaledTranscriber::new(service, saled, pacer)?);
            let writer = other.unwrap_or_else(|| Arc::clone(&saled) as Arc<dyn NotesWriter>);
            TranscriberService::new(saled, Some(writer), cache).into()
        }
        Kind::Openai(openai) => {
            let server = OpenAiServer::new(
                &service.name,
                openai,
                service.request_timeout,
                service.poll,
                pacer,
            )?;
            let server = Arc::new(server);
            let writer = other.unwrap_or_else(|| Arc::new(ChatWriter::new(Arc::clone(&server))));
            TranscriberService::new(Arc::new(OpenAiTranscriber::new(server)), Some(writer), cache)
                .into()
        }
        Kind::Ondevice(ondevice) => {
            let engine =
                OnDeviceTranscriber::new(&service.name, ondevice, settings, Environment::get());
            // The engine of this machine is the same one in every table.
            let cache = ResultCache::per_job(state_dir.join("engine"));
            TranscriberService::new(Arc::new(engine), other, cache).into()
        }
        Kind::SourceTranscript => {
            SourceTranscriber::new(&service.name, state_dir).into_service(other).into()
        }
    })
}

/// Returns the writer of a service's notes that is a service of its own.
fn connect_writer(notes: &NotesBy, pace: NonZeroU32) -> Result<Arc<dyn NotesWriter>, BuildError> {
    let pacer = Arc::new(Pacer::new(pace));
    let server =
        OpenAiServer::new(&notes.name, &notes.openai, notes.request_timeout, notes.poll, pacer)?;
    Ok(Arc::new(ChatService::new(ChatWriter::new(Arc::new(server)), notes.clone())))
}
