//! pip: the person's own, asked for the one package.
//!
//! It works in the temporary directory of the installation, its own temporary files included, so
//! that one sweep takes all that an end in the middle leaves. That directory is also where it is
//! started: `python3 -m pip` would otherwise run a `pip.py` that lies in any directory a
//! person happens to be in.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, Command},
};

use super::{
    InstallError, Package, Step,
    error::{download_command, wheel_hint},
};
use crate::text::one_line;

/// Interval at which the growing file is measured.
const EVERY: Duration = Duration::from_millis(200);

/// Bytes of the end of pip's output that are kept: one failure takes a tenth of it.
const OUTPUT_MAX: usize = 16 << 10;

/// Depth of pip's files below the temporary directory at most.
const DEPTH: u32 = 4;

/// The directory in which pip puts the wheel.
const WHEEL: &str = "wheel";

/// Characters of the end of pip's output that are shown.
const SHOWN_MAX: usize = 300;

/// The seconds that pip waits for the network to move, and how often it tries again.
const PATIENCE: [&str; 4] = ["--timeout", "30", "--retries", "2"];

/// Variables that a program started by minuted has no use for.
const OURS: [&str; 6] = [
    "CREDENTIALS_DIRECTORY",
    "MINUTED_CONFIG",
    "MINUTED_CLOCK",
    "MINUTED_DIE",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
];

/// Fetches the wheel into `dir`. When the future is dropped, pip is killed.
pub(super) async fn fetch_wheel(
    package: &Package,
    dir: &Path,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<PathBuf, InstallError> {
    tell(Step::Fetching);
    let mut child = start_pip(package, dir)?;
    let stderr = child.stderr.take().expect("it is piped");
    let ended = {
        let ended = wait_for_pip(&mut child, stderr);
        tokio::pin!(ended);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                ended = &mut ended => break ended,
                _ = ticks.tick() => tell(Step::Fetched { bytes: size_below(dir, DEPTH).min(package.wheel_size) }),
            }
        }
    };
    let (status, message) = ended.map_err(|source| InstallError::Io {
        what: "wait for",
        path: "python3".into(),
        source,
    })?;
    let brought = if status.success() { find_wheel(&dir.join(WHEEL)) } else { None };
    brought.ok_or_else(|| pip_failure(package, dir, status, &message))
}

fn start_pip(package: &Package, dir: &Path) -> Result<Child, InstallError> {
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    command.args(["--progress-bar", "off"]).args(PATIENCE).arg("-d").arg(dir.join(WHEEL));
    command.arg(format!("{}=={}", package.project, package.version));
    for name in OURS {
        command.env_remove(name);
    }
    command.env("TMPDIR", dir).current_dir(dir).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|source| {
        if source.kind() == ErrorKind::NotFound {
            InstallError::NoPython { elsewhere: wheel_hint(package) }
        } else {
            InstallError::Io { what: "start", path: "python3".into(), source }
        }
    })
}

/// Waits for the end, and keeps the end of the output.
async fn wait_for_pip(
    child: &mut Child,
    mut stderr: ChildStderr,
) -> std::io::Result<(ExitStatus, String)> {
    let mut message = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stderr.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        message.extend_from_slice(&chunk[..read]);
        message.drain(..message.len().saturating_sub(OUTPUT_MAX));
    }
    Ok((child.wait().await?, String::from_utf8_lossy(&message).into_owned()))
}

/// Returns the wheel that was fetched.
fn find_wheel(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "whl"))
}

/// Returns the bytes of all files below.
fn size_below(dir: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth > 0 => size_below(&entry.path(), depth - 1),
        Ok(found) if found.is_file() => found.len(),
        Ok(_) | Err(_) => 0,
    });
    sizes.sum()
}

/// Words of pip and of what is below it, the most specific first. Without a network it also says
/// that there is no such package, so that comes last.
const SYMPTOMS: [(&str, PipSymptom); 18] = [
    ("No module named pip", PipSymptom::NoPip),
    ("No space left on device", PipSymptom::Full),
    ("Disk quota exceeded", PipSymptom::Full),
    ("Tunnel connection failed", PipSymptom::Proxy),
    ("Cannot connect to proxy", PipSymptom::Proxy),
    ("ProxyError", PipSymptom::Proxy),
    ("Failed to establish a new connection", PipSymptom::Network),
    ("Failed to resolve", PipSymptom::Network),
    ("Name or service not known", PipSymptom::Network),
    ("Temporary failure in name resolution", PipSymptom::Network),
    ("timed out", PipSymptom::Network),
    ("Connection reset", PipSymptom::Network),
    ("Connection aborted", PipSymptom::Network),
    ("SSLError", PipSymptom::Network),
    ("CERTIFICATE_VERIFY_FAILED", PipSymptom::Network),
    ("Max retries exceeded", PipSymptom::Network),
    ("Could not find a version", PipSymptom::NotOffered),
    ("No matching distribution", PipSymptom::NotOffered),
];

#[derive(Clone, Copy)]
enum PipSymptom {
    NoPip,
    Full,
    Proxy,
    Network,
    NotOffered,
}

/// Returns the error for pip's output.
fn pip_failure(package: &Package, dir: &Path, status: ExitStatus, message: &str) -> InstallError {
    // From the words on, up to where Python's way to show an error closes its quotes.
    let tail = |words: &str| {
        Some(message.rsplit_once(words)?.1.split(['\n', '\'']).next().unwrap_or_default())
    };
    let found = SYMPTOMS
        .iter()
        .find_map(|(words, symptom)| Some((*symptom, format!("{words}{}", tail(words)?))));
    let elsewhere = wheel_hint(package);
    let Some((symptom, words)) = found else {
        let last = |is_it: &dyn Fn(&str) -> bool| message.lines().rev().find(|line| is_it(line));
        let line =
            last(&|line| line.contains("ERROR:")).or_else(|| last(&|line| !line.trim().is_empty()));
        let message = line
            .map_or_else(|| format!("it said nothing and left no wheel ({status})"), shorten_line);
        return InstallError::Pip { message, command: download_command(package) };
    };
    let message = shorten_line(&words);
    match symptom {
        PipSymptom::NoPip => InstallError::NoPip { elsewhere },
        PipSymptom::Full => {
            InstallError::disk_full(package, dir.parent().unwrap_or(dir).to_owned())
        }
        PipSymptom::Proxy => InstallError::Proxy { message, elsewhere },
        PipSymptom::Network => InstallError::Network { message, elsewhere },
        PipSymptom::NotOffered => {
            let glibc = package.platform.split('_').skip(1).take(2).collect::<Vec<_>>().join(".");
            InstallError::NotOffered { message, glibc, elsewhere }
        }
    }
}

/// Returns a line fit to be shown: short, without what pip puts before it, and without a password
/// in a URL.
fn shorten_line(line: &str) -> String {
    let line = line.trim().trim_start_matches("ERROR:").trim_start_matches("WARNING:").trim();
    let mut clean = String::new();
    let mut parts = line.split("://");
    clean.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let authority = part.split(['/', ' ', '\'', '"', ')']).next().unwrap_or_default();
        let user = authority.rfind('@').map_or(0, |at| at + 1);
        clean.push_str("://");
        clean.push_str(&part[user..]);
    }
    one_line(&clean, SHOWN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let line =
            "ERROR: Could not reach https://ann:s3cret@pypi.example.com/simple/ and http://b:c@d";
        assert_eq!(
            shorten_line(line),
            "Could not reach https://pypi.example.com/simple/ and http://d"
        );
        assert_eq!(shorten_line("mail ann@example.com"), "mail ann@example.com");
    }
}
