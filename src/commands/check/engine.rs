//! The model of the on-device engine.

use super::Finding;
use crate::{
    config::{Environment, Kind, Settings},
    engine::model::{Installation, Package, Places},
    text::printable_path,
};

/// What cures a model that is missing or damaged.
const INSTALL: &str = "minuted engine install";

/// Looks at the model. Where no service needs it, only a damaged one is told of.
pub(super) fn engine(settings: &Settings, env: &Environment) -> Option<Finding> {
    let is_needed = settings.services.values().any(|service| runs_here(&service.kind));
    let package = match Package::here() {
        Ok(package) => package,
        Err(error) => return is_needed.then(|| unsupported(&error.to_string())),
    };
    finding(package, &Places::of(Some(settings), env), is_needed)
}

/// Whether services of this kind need the model.
fn runs_here(kind: &Kind) -> bool {
    match kind {
        Kind::Ondevice(_) => true,
        Kind::Paxs(_) | Kind::Openai(_) => false,
    }
}

fn unsupported(message: &str) -> Finding {
    let (message, hint) = message.split_once("\nhint: ").unwrap_or((message, "configure another service"));
    Finding::error("engine", message, hint)
}

fn finding(package: &Package, places: &Places, is_needed: bool) -> Option<Finding> {
    let Some(dir) = places.dir_of(package) else {
        return is_needed.then(|| Finding::error("engine", "its model is not installed", INSTALL));
    };
    let (found, shown) = (Installation::inspect(package, &dir), printable_path(&dir));
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
        assert_eq!(finding(package, &places, false), None);
        let needed = finding(package, &places, true).expect("it is needed");
        assert_eq!((needed.level, needed.hint.as_deref()), (Level::Error, Some(INSTALL)));

        std::fs::create_dir_all(places.target(package).expect("a place")).expect("made");
        let level = |is_needed| finding(package, &places, is_needed).expect("it lies there").level;
        assert_eq!((level(false), level(true)), (Level::Warning, Level::Error));
    }
}
