//! The sandbox of the system service: does it open what the configuration writes to?

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Finding;
use crate::{config::Settings, dropin, text::printable_path};

/// The directories where systemd looks for units and drop-ins; the first hides a file of the same name.
const PLACES: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
];

const UNIT: &str = "minuted.service";

/// Returns the texts of the unit and of its drop-ins, where the system service is what runs or will run: `pid` is that of
/// the daemon.
pub(super) fn read_installed_unit(settings: &Settings, pid: Option<u32>) -> Option<Vec<String>> {
    let is_service = match pid {
        Some(pid) => is_system_service(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?),
        None => settings.file.starts_with("/etc"),
    };
    if is_service { read_unit_texts(Path::new("/")) } else { None }
}

/// Returns whether the process of these control groups is the system's unit, not that of a person.
fn is_system_service(cgroups: &str) -> bool {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut units = paths.filter(|path| path.ends_with(&format!("/{UNIT}")));
    units.any(|path| !path.contains("/user@"))
}

/// Compares the directories that are written to with those that the unit and its drop-ins open.
pub(super) fn compare_directories(settings: &Settings, units: &[String]) -> Finding {
    let missing = dropin::unopened(settings, units);
    if missing.is_empty() {
        return Finding::ok("unit", format!("{UNIT} opens everything that is written to"));
    }
    let missing: Vec<String> = missing
        .into_iter()
        .map(|(what, path)| format!("{what} ({})", printable_path(&path)))
        .collect();
    let message =
        format!("{UNIT} does not open {}: the service can write nothing there", missing.join(", "));
    let cure = "minuted systemd-drop-in | sudo tee /etc/systemd/system/minuted.service.d/folders.conf\n\
                sudo systemctl daemon-reload && sudo systemctl restart minuted";
    Finding::error("unit", message, cure)
}

/// Returns the texts of the unit and of its drop-ins in the order in which systemd reads them; `None` where no unit is
/// installed.
fn read_unit_texts(root: &Path) -> Option<Vec<String>> {
    let places = PLACES.map(|place| root.join(place));
    let unit = places.iter().find_map(|place| fs::read_to_string(place.join(UNIT)).ok())?;
    let mut drop_ins: Vec<PathBuf> = Vec::new();
    for place in &places {
        let entries = fs::read_dir(place.join(format!("{UNIT}.d"))).into_iter().flatten().flatten();
        let files = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "conf"));
        for file in files {
            if !drop_ins.iter().any(|other| other.file_name() == file.file_name()) {
                drop_ins.push(file);
            }
        }
    }
    drop_ins.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    let drop_ins = drop_ins.iter().filter_map(|file| fs::read_to_string(file).ok());
    Some([unit].into_iter().chain(drop_ins).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn compared(settings: &Settings, root: &Path) -> Option<Finding> {
        read_unit_texts(root).map(|units| compare_directories(settings, &units))
    }

    #[test]
    fn only_the_unit_of_the_system_is_compared() {
        assert!(is_system_service("0::/system.slice/minuted.service\n"));
        assert!(is_system_service(
            "1:name=systemd:/docker/4f/system.slice/minuted.service\n0::/\n"
        ));
        assert!(!is_system_service(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/minuted.service\n"
        ));
        assert!(!is_system_service("0::/user.slice/user-1000.slice/session-3.scope\n"));
    }

    #[test]
    fn a_folder_that_the_drop_ins_lack_is_an_error_with_its_cure() {
        let root = tempfile::tempdir().expect("a directory");
        let text = "[[folder]]\npath = \"/srv/a\"\n[[folder]]\npath = \"/srv/b\"\n";
        let settings = parse(text, Path::new("/etc/minuted/config.toml"), &Environment::default())
            .expect("right");
        assert_eq!(compared(&settings, root.path()), None, "no unit is installed");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write(
            "usr/lib/systemd/system/minuted.service",
            include_str!("../../../systemd/minuted.service"),
        );
        write(
            "etc/systemd/system/minuted.service.d/folders.conf",
            "[Service]\nReadWritePaths=\"-/srv/a\"\n",
        );
        write(
            "usr/lib/systemd/system/minuted.service.d/folders.conf",
            "[Service]\nReadWritePaths=\"-/srv/b\"\n",
        );
        let found = compared(&settings, root.path()).expect("found");
        insta::assert_snapshot!(found.message, @"minuted.service does not open folder `b` (/srv/b): the service can write nothing there");
        write("etc/systemd/system/minuted.service.d/more.conf", "[Service]\nReadWritePaths=/srv\n");
        let found = compared(&settings, root.path()).expect("found");
        assert_eq!(found.level, super::super::Level::Ok);
    }
}
