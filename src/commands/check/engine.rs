//! The models of the on-device engine: that of `minuted engine install`, and those that a person named for whisper.

use std::path::Path;

use super::Finding;
use crate::{
    config::{Environment, Kind, Recogniser, Settings},
    engine::{
        model::{InstallError, Installation, Package, Places},
        whisper,
    },
    text::printable_path,
};

/// The cure of a model that is missing or damaged.
const INSTALL: &str = "minuted engine install";

/// Looks at the models. Where no service needs that of minuted's own, only a damaged one is told of.
pub(super) fn check_models(settings: &Settings, env: &Environment) -> Vec<Finding> {
    let recognisers = || settings.services.values().filter_map(|service| recogniser_of(&service.kind));
    let is_needed = recognisers().any(|recogniser| *recogniser == Recogniser::Moonshine);
    let own = match Package::here() {
        Ok(package) => check_package(package, &Places::of(Some(settings), env), is_needed),
        Err(error) => is_needed.then(|| unsupported_machine(&error)),
    };
    let named = settings.services.values().filter_map(|service| match recogniser_of(&service.kind)? {
        Recogniser::Moonshine => None,
        Recogniser::Whisper { model } => Some(check_whisper_model(&service.name, model, settings)),
    });
    own.into_iter().chain(named).collect()
}

/// Returns what turns sound into words here, for services that do.
fn recogniser_of(kind: &Kind) -> Option<&Recogniser> {
    if let Kind::Ondevice(ondevice) = kind { Some(&ondevice.recogniser) } else { None }
}

/// Looks at the model of whisper that the service `name` loads, with the eyes of its folders.
fn check_whisper_model(name: &str, model: &Path, settings: &Settings) -> Finding {
    let subject = format!("engine of `{name}`");
    let shown = printable_path(model);
    let weights = match whisper::look(model) {
        Ok(weights) => weights,
        Err(error) => {
            let hint = format!("write the path of a ggml file of whisper.cpp to `model` in [services.{name}]");
            return Finding::error(subject, format!("its model {shown} cannot be used: {error}"), hint);
        }
    };
    let mut folders = settings.folders.iter().filter(|folder| folder.service == name);
    match folders.find_map(|folder| weights.understands(folder.language.as_deref()).err()) {
        Some(reason) => {
            let (what, cure) = reason.split_once(": ").unwrap_or((&reason, "name another model"));
            Finding::error(subject, what, cure)
        }
        None => Finding::ok(subject, format!("whisper, with the model {shown}")),
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
        let message = format!("{} {} is installed in {shown}", package.model, package.version);
        return is_needed.then(|| Finding::ok("engine", message));
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
        let level = |is_needed| check_package(package, &places, is_needed).expect("it lies there").level;
        assert_eq!((level(false), level(true)), (Level::Warning, Level::Error));
    }
}
