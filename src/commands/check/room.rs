//! The memory that the service may use: is there room for what this configuration may start?

use std::{fs, path::Path};

use super::{Finding, confinement::has_children};
use crate::{
    config::{Environment, Kind, Recogniser, Settings, WhisperModel},
    dropin::assignments,
    engine::{ffmpeg_child::FFMPEG_MEMORY_MIB, model::Places, run::MEMORY_MIB, whisper},
};

/// MiB for the daemon itself: it uses some 25, and holds no more than the largest answer of a service besides.
const DAEMON_MIB: u64 = 256;

/// MiB between what is needed, where the kernel begins to slow the service down, and where it ends a process.
const MARGIN_MIB: u64 = 512;

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// Compares what the children of this configuration may ask for with the limit of the service: that of the daemon's
/// process `pid` where it runs, else that of `units`, the texts of the unit and its drop-ins.
pub(super) fn memory_room(
    settings: &Settings,
    pid: Option<u32>,
    units: Option<&[String]>,
) -> Option<Finding> {
    if !has_children(settings) {
        return None;
    }
    let limit_mib = match pid {
        Some(pid) => {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
            limit_of_groups(&groups, Path::new("/sys/fs/cgroup"))?
        }
        None => limit_of_units(units?)?,
    } / MIB;
    Some(compare_memory(needed_mib(settings), limit_mib))
}

fn compare_memory(needed_mib: u64, limit_mib: u64) -> Finding {
    let subject = "memory";
    if needed_mib <= limit_mib {
        let message = format!(
            "the service may use {limit_mib} MiB; ffmpeg and the largest model need at most {needed_mib}"
        );
        return Finding::ok(subject, message);
    }
    let message = format!(
        "the service may use {limit_mib} MiB, and ffmpeg and the largest model may need {needed_mib}: long recordings may be \
         ended and tried again and again"
    );
    let most = needed_mib + MARGIN_MIB;
    let cure = format!(
        "systemctl edit minuted (with --user for the service of a person)\n[Service]\nMemoryHigh={needed_mib}M\nMemoryMax={most}M"
    );
    Finding::warning(subject, message, cure)
}

/// Returns MiB for the daemon, one ffmpeg, and as many of the largest recogniser as work at once.
fn needed_mib(settings: &Settings) -> u64 {
    let places = Places::of(Some(settings), Environment::get());
    let whisper_mib = |model: &Option<WhisperModel>| {
        whisper::installed::choose_model(&places, model.as_ref())
            .ok()
            .map(|weights| weights.memory_mib())
    };
    let recogniser = settings.services.values().filter_map(|service| {
        let Kind::Ondevice(ondevice) = &service.kind else { return None };
        let one = match &ondevice.recogniser {
            // One that cannot be read is told of elsewhere.
            Recogniser::Whisper { model } => whisper_mib(model)?,
            Recogniser::Auto { model } if Recogniser::HAS_WHISPER => {
                whisper_mib(model).unwrap_or_default().max(MEMORY_MIB)
            }
            Recogniser::Auto { .. } | Recogniser::Moonshine => MEMORY_MIB,
        };
        Some(one.saturating_mul(u64::try_from(service.at_once.unwrap_or(1)).unwrap_or(1)))
    });
    DAEMON_MIB + FFMPEG_MEMORY_MIB + recogniser.max().unwrap_or(0)
}

/// Returns the lowest limit of control groups, in bytes, as the kernel lists them for a process; `None` where there is
/// none that is lower than any memory.
fn limit_of_groups(groups: &str, root: &Path) -> Option<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, Some(path)) = (fields.next().unwrap_or_default(), fields.next()) else {
            continue;
        };
        let (root, names): (_, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            controllers if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        // The limits of those above hold, too.
        for dir in Path::new(path.trim_start_matches('/')).ancestors() {
            let texts =
                names.iter().filter_map(|name| fs::read_to_string(root.join(dir).join(name)).ok());
            limits.extend(texts.filter_map(|text| text.trim().parse::<u64>().ok()));
        }
    }
    // Without a limit the older control groups show the largest number that they know.
    limits.into_iter().filter(|limit| *limit < u64::MAX >> 2).min()
}

/// Returns the limit of a unit, in bytes; `None` where it has none, or one by the machine's size.
fn limit_of_units(units: &[String]) -> Option<u64> {
    let all: Vec<_> = units.iter().flat_map(|unit| assignments(unit)).collect();
    let last = |key: &str| {
        all.iter()
            .rev()
            .find(|(found, _)| found == key)
            .and_then(|(_, value)| parse_unit_size(value))
    };
    [last("MemoryMax"), last("MemoryHigh")].into_iter().flatten().min()
}

/// Returns bytes of a size as units have them: a number, with K, M, G or T by 1024.
fn parse_unit_size(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['K', 'M', 'G', 'T']);
    let factor = match &value[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::check::Level,
        config::{Environment, parse},
    };

    fn settings(text: &str) -> Settings {
        parse(text, Path::new("/etc/minuted/config.toml"), &Environment::default()).expect("right")
    }

    #[test]
    fn the_units_have_room_for_the_model_that_is_installed() {
        let usual = settings("[[folder]]\npath = \"/srv/a\"\nservice = \"ondevice\"\n");
        for unit in [
            include_str!("../../../systemd/minuted.service"),
            include_str!("../../../systemd/user/minuted.service"),
        ] {
            let found = memory_room(&usual, None, Some(&[unit.to_owned()])).expect("compared");
            assert_eq!(found.level, Level::Ok, "{}", found.message);
        }
        assert_eq!(memory_room(&usual, None, None), None, "no service is installed");
    }

    #[test]
    fn what_has_no_room_is_told_with_the_limits_that_give_it() {
        let text = "[services.many]\nkind = \"ondevice\"\nat_once = 4\n[[folder]]\npath = \"/srv/a\"\nservice = \"many\"\n";
        let unit = "[Service]\nMemoryMax=1T\nMemoryMax=3G\nMemoryHigh=2560M\n".to_owned();
        let found = memory_room(&settings(text), None, Some(&[unit])).expect("compared");
        insta::assert_snapshot!(format!("{:?}: {}\n{}", found.level, found.message, found.hint.unwrap_or_default()), @"
        Warning: the service may use 2560 MiB, and ffmpeg and the largest model may need 3328: long recordings may be ended and tried again and again
        systemctl edit minuted (with --user for the service of a person)
        [Service]
        MemoryHigh=3328M
        MemoryMax=3840M
        ");
    }

    #[test]
    fn the_lowest_limit_above_a_process_holds() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("system.slice/minuted.service/memory.max", "max\n");
        write("system.slice/minuted.service/memory.high", "2000\n");
        write("system.slice/memory.max", "1000\n");
        write("memory/docker/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |groups: &str| limit_of_groups(groups, root.path());
        assert_eq!(limit("0::/system.slice/minuted.service\n"), Some(1000));
        assert_eq!(limit("4:memory:/docker\n0::/\n"), None);
        write("memory/docker/memory.limit_in_bytes", "700\n");
        assert_eq!(limit("4:cpu,memory:/docker\n"), Some(700));
    }

    #[test]
    fn sizes_of_units_are_read() {
        let sizes = ["3G", "2560M", "7", "50%", "infinity", "", "3X"].map(parse_unit_size);
        assert_eq!(sizes, [Some(3 << 30), Some(2560 << 20), Some(7), None, None, None, None]);
    }
}
