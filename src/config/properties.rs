//! What holds for every configuration, for any bytes. Panics where it does not; the tests and
//! `fuzz/` feed it.

use std::path::{Component, Path};

use super::{Environment, Folder, OnSuccess, Settings, durations, kinds::Kind, parse, values};

const FILE: &str = "/etc/minuted/config.toml";

/// A configuration is refused with a cure for each mistake and nothing that a terminal obeys, or it
/// makes settings that keep every promise of the reader. Returns them.
pub(crate) fn config(bytes: &[u8]) -> Option<Settings> {
    let text = std::str::from_utf8(bytes).ok()?;
    let env = Environment { home: Some("/home/ann".into()), ..Environment::default() };
    match parse(text, Path::new(FILE), &env) {
        Ok(settings) => {
            keeps_its_promises(&settings);
            Some(settings)
        }
        Err(error) => {
            let told = error.render(false);
            assert!(!told.chars().any(|c| crate::text::is_unprintable(c) && c != '\n'), "{told:?}");
            let mistakes = told.matches("\nerror: ").count();
            let cures = told.matches("= help: ").count();
            assert!((1..=50).contains(&mistakes) && cures >= mistakes, "{told}");
            let places = told.matches(&format!("--> {FILE}")).count();
            assert!(places >= mistakes, "{mistakes} mistakes, {places} places: {told}");
            assert!(told.len() <= 64 * 1024, "{} bytes", told.len());
            None
        }
    }
}

fn keeps_its_promises(settings: &Settings) {
    assert!(settings.state_dir.is_absolute());
    assert!(settings.retry.delay <= settings.retry.delay_max && settings.retry.attempts > 0);
    for duration in [settings.history, settings.retry.delay, settings.retry.delay_max] {
        let spelled = durations::spell_duration(duration);
        let read = durations::DurationBounds::from_ms(0, u64::MAX)
            .parse(&spelled)
            .expect("a duration reads back");
        assert_eq!(read, duration, "{spelled}");
    }
    for service in settings.services.values() {
        match &service.kind {
            Kind::Paxs(paxs) => {
                assert!(
                    values::parse_origin(paxs.base_url.as_str(), true).is_ok(),
                    "{}",
                    paxs.base_url
                );
            }
            Kind::Openai(openai) => {
                assert_eq!(
                    values::parse_base_url(openai.base_url.as_str(), true).as_ref(),
                    Ok(&openai.base_url)
                );
            }
            Kind::Saled(saled) => {
                assert_eq!(
                    values::parse_url_before_api(saled.base_url.as_str(), true).as_ref(),
                    Ok(&saled.base_url)
                );
            }
            Kind::Koldan(koldan) => assert!(koldan.base_url.host_str().is_some(), "{koldan:?}"),
            Kind::Ondevice(_) | Kind::SourceTranscript => {}
        }
    }
    for (at, folder) in settings.folders.iter().enumerate() {
        folder_keeps(folder);
        let others = settings.folders[..at].iter();
        others.for_each(|other| {
            assert!(
                other.name != folder.name && other.id != folder.id && other.path != folder.path
            );
        });
    }
}

fn folder_keeps(folder: &Folder) {
    let clean = |path: &Path| {
        path.components().all(|part| !matches!(part, Component::ParentDir | Component::CurDir))
    };
    assert!(folder.path.is_absolute() && clean(&folder.path), "{folder:?}");
    assert!(
        folder.notes_dir.as_deref().is_none_or(|dir| dir.is_absolute() && clean(dir)),
        "{folder:?}"
    );
    match &folder.on_success {
        OnSuccess::Move(to) => {
            assert!(to.is_relative() && clean(to) && !to.as_os_str().is_empty(), "{folder:?}");
        }
        OnSuccess::Keep | OnSuccess::Delete => {}
    }
    assert!(!folder.deliver.is_empty(), "{folder:?}");
    assert_eq!(folder.file_mode & !0o666, 0);
    let own = folder.notes_name.replacen("{stem}", "", 1);
    assert!(
        !own.contains(['/', '{', '}']) && own.len() <= values::NOTES_NAME_BYTES_MAX,
        "{}",
        folder.notes_name
    );
}
