//! The models of the on-device engine: that of `minuted engine install`, and those that a person named for whisper.

use super::Finding;
use crate::{
    commands::engine::NO_VOICES,
    config::{Environment, Kind, Recogniser, Settings, WhisperModel},
    engine::{
        model::{InstallError, Installation, Package, Places},
        whisper::{self, installed::NoWhisperModel},
    },
    text::printable_path,
};

/// The cure of a model that is missing or damaged.
const INSTALL: &str = "minuted engine install";

/// Looks at the models. Where no service needs that of minuted's own, only a damaged one is told of.
pub(super) fn check_models(settings: &Settings, env: &Environment) -> Vec<Finding> {
    let recognisers =
        || settings.services.values().filter_map(|service| recogniser_of(&service.kind));
    let is_needed =
        recognisers().any(|recogniser| !matches!(recogniser, Recogniser::Whisper { .. }));
    let places = Places::of(Some(settings), env);
    let own = match Package::here() {
        Ok(package) => check_package(package, &places, is_needed),
        Err(error) => is_needed.then(|| unsupported_machine(&error)),
    };
    let named =
        settings.services.values().filter_map(|service| match recogniser_of(&service.kind)? {
            Recogniser::Moonshine => None,
            Recogniser::Auto { model } => Recogniser::HAS_WHISPER
                .then(|| check_languages(&service.name, model.as_ref(), settings, &places)),
            Recogniser::Whisper { model } => {
                Some(check_whisper_model(&service.name, model.as_ref(), settings, &places))
            }
        });
    own.into_iter().chain(named).collect()
}

/// Returns what turns sound into words here, for services that do.
fn recogniser_of(kind: &Kind) -> Option<&Recogniser> {
    if let Kind::Ondevice(ondevice) = kind { Some(&ondevice.recogniser) } else { None }
}

/// Looks at the model of whisper that the service `name` loads, with the eyes of its folders.
fn check_whisper_model(
    name: &str,
    model: Option<&WhisperModel>,
    settings: &Settings,
    places: &Places,
) -> Finding {
    let subject = format!("engine of `{name}`");
    let weights = match whisper::installed::choose_model(places, model) {
        Ok(weights) => weights,
        Err(error) => return Finding::error(subject, error.to_string(), error.hint()),
    };
    let shown = printable_path(&weights.path);
    let mut folders = settings.folders.iter().filter(|folder| folder.service == name);
    match folders.find_map(|folder| weights.understands(folder.language.as_deref()).err()) {
        Some(reason) => {
            let (what, cure) = reason.split_once(": ").unwrap_or((&reason, "name another model"));
            Finding::error(subject, what, cure)
        }
        None => Finding::ok(
            subject,
            format!("{} by whisper, with the model {shown}", weights.languages()),
        ),
    }
}

/// Looks at the languages that a service with `engine = "auto"` understands.
fn check_languages(
    name: &str,
    model: Option<&WhisperModel>,
    settings: &Settings,
    places: &Places,
) -> Finding {
    let subject = format!("engine of `{name}`");
    let error = match whisper::installed::choose_model(places, model) {
        Ok(weights) => {
            let shown = printable_path(&weights.path);
            let languages = weights.languages();
            return Finding::ok(
                subject,
                format!("English by moonshine, {languages} by whisper with the model {shown}"),
            );
        }
        Err(error) => error,
    };
    let is_needed = settings.folders.iter().any(|folder| {
        folder.service == name
            && folder.language.as_deref().is_some_and(|language| language != "en")
    });
    if is_needed || model.is_some() {
        Finding::error(subject, error.to_string(), error.hint())
    } else if let NoWhisperModel::Processor(_) = error {
        Finding::note(subject, format!("English alone: {error}"))
    } else {
        Finding::ok(
            subject,
            "English; for other languages a model of whisper can be installed".to_owned(),
        )
    }
}

fn unsupported_machine(error: &InstallError) -> Finding {
    let hint = error.hint().unwrap_or_else(|| "configure another service".to_owned());
    Finding::error("engine", error.to_string(), hint)
}

fn check_package(package: &Package, places: &Places, is_needed: bool) -> Option<Finding> {
    let Some(dir) = places.dir_of(package) else {
        return is_needed.then(|| Finding::error("engine", "its model is not installed", INSTALL));
    };
    let found = Installation::inspect(package, &dir);
    let shown = printable_path(&dir);
    if found.is_intact() {
        let message =
            format!("{} {} for English is installed in {shown}", package.model, package.version);
        return is_needed.then(|| Finding::ok("engine", message));
    }
    if found.is_usable(package) {
        let message = format!("its model is installed in {shown}; {NO_VOICES}");
        return is_needed.then(|| Finding::warning("engine", message, INSTALL));
    }
    let message = format!("its model in {shown} is damaged");
    Some(if is_needed {
        Finding::error("engine", message, INSTALL)
    } else {
        Finding::warning("engine", message, INSTALL)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Level;

    #[test]
    fn a_model_that_nobody_needs_is_told_of_only_where_it_is_damaged() {
        let home = tempfile::tempdir().expect("a directory");
        let env = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
        let (package, places) = (Package::of("x86_64").expect("pinned"), Places::of(None, &env));
        assert_eq!(check_package(package, &places, false), None);
        let needed = check_package(package, &places, true).expect("it is needed");
        assert_eq!((needed.level, needed.hint.as_deref()), (Level::Error, Some(INSTALL)));

        std::fs::create_dir_all(places.target(package).expect("a place")).expect("made");
        let level =
            |is_needed| check_package(package, &places, is_needed).expect("it lies there").level;
        assert_eq!((level(false), level(true)), (Level::Warning, Level::Error));
    }
}
