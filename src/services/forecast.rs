//! A forecast of what a service takes for a recording, where that is known.

use std::time::Duration;

use crate::{
    config::{ENGLISH, Folder, Kind, Recogniser, Service, Speakers},
    engine::effort::processor_time,
};

/// What a service takes for one recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Processor time on this machine; `None` where the work is done elsewhere, or nobody has measured it.
    pub work: Option<Duration>,
    /// Recordings that are sent to a server, which may count or bill each: one, or none on this machine.
    pub calls: u64,
}

/// Returns what the service of a folder takes for a recording of this length.
#[must_use]
pub(crate) fn forecast(service: &Service, folder: &Folder, length: Duration) -> Forecast {
    let Kind::Ondevice(ondevice) = &service.kind else { return Forecast { work: None, calls: 1 } };
    let is_english = folder.language.as_deref().is_none_or(|language| language == ENGLISH);
    let is_measured = match ondevice.recogniser {
        Recogniser::Moonshine => true,
        Recogniser::Auto { .. } => is_english,
        Recogniser::Whisper { .. } => false,
    };
    let work = is_measured.then(|| processor_time(length, folder.speakers != Speakers::Off));
    Forecast { work, calls: 0 }
}
