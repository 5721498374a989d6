//! The extensions of recordings that a service takes, as they are or converted.

use super::NotesService;
use crate::{
    config::{Convert, Folder},
    engine::audio::convert::Form,
    media_types,
};

/// Returns the extensions that a folder takes: those of its service, and those that are converted for it.
#[must_use]
pub(crate) fn accepted_extensions(folder: &Folder, service: &dyn NotesService) -> Vec<String> {
    let own = service.accepted_extensions().iter().copied();
    let more = if folder.convert == Convert::Ffmpeg {
        convertible_extensions(service)
    } else {
        Vec::new()
    };
    own.chain(more).map(str::to_owned).collect()
}

/// Returns the extensions that a service does not take and that may be converted for it.
#[must_use]
pub(crate) fn convertible_extensions(service: &dyn NotesService) -> Vec<&'static str> {
    let may = media_types::convertible()
        .filter(|extension| !service.accepted_extensions().contains(extension));
    if conversion_form(service).is_some() { may.collect() } else { Vec::new() }
}

/// Returns the form that a service is given what it does not take in, with the type that it wants for it.
pub(crate) fn conversion_form(service: &dyn NotesService) -> Option<(Form, &'static str)> {
    let mut forms = Form::ALL.into_iter();
    let form = forms.find(|form| service.accepted_extensions().contains(&form.extension()))?;
    Some((form, service.mime_type(form.extension())))
}
