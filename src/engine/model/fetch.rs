//! pip: the person's own, asked for the one package.
//!
//! It works in the temporary directory of the installation, its own temporary files included, so that one sweep takes all
//! that an end in the middle leaves. That directory is also where it is started: `python3 -m pip` would otherwise run a
//! `pip.py` that lies in whatever directory a person happens to be in.

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
    error::{download, elsewhere},
};
use crate::text::one_line;

/// How often the growing file is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// How much of what pip says is kept, its end, in bytes: its story of one failure is a tenth of it.
const SAID_MAX: usize = 16 << 10;

/// How deep below the temporary directory pip's files lie at most.
const DEPTH: u32 = 4;

/// Where pip puts the wheel.
const WHEEL: &str = "wheel";

/// The end of pip's story that is shown, in characters.
const SHOWN_MAX: usize = 300;

/// The seconds that pip waits for the network to move, and how often it tries again.
const PATIENCE: [&str; 4] = ["--timeout", "30", "--retries", "2"];

/// What a program that minuted starts has no use for.
const OURS: [&str; 6] =
    ["CREDENTIALS_DIRECTORY", "MINUTED_CONFIG", "MINUTED_CLOCK", "MINUTED_DIE", "NOTIFY_SOCKET", "WATCHDOG_USEC"];

/// Fetches the wheel into `dir`. When the future is dropped, pip is killed.
pub(super) async fn wheel(
    package: &Package,
    dir: &Path,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<PathBuf, InstallError> {
    tell(Step::Fetching);
    let mut child = start(package, dir)?;
    let stderr = child.stderr.take().expect("it is piped");
    let ended = {
        let ended = end(&mut child, stderr);
        tokio::pin!(ended);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                ended = &mut ended => break ended,
                _ = ticks.tick() => tell(Step::Fetched { bytes: size_below(dir, DEPTH).min(package.wheel_size) }),
            }
        }
    };
    let (status, said) =
        ended.map_err(|source| InstallError::Io { what: "wait for", path: "python3".into(), source })?;
    let brought = if status.success() { brought(&dir.join(WHEEL)) } else { None };
    brought.ok_or_else(|| failure(package, dir, status, &said))
}

fn start(package: &Package, dir: &Path) -> Result<Child, InstallError> {
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
            InstallError::NoPython { elsewhere: elsewhere(package) }
        } else {
            InstallError::Io { what: "start", path: "python3".into(), source }
        }
    })
}

/// Waits for the end, and keeps the end of what is said.
async fn end(child: &mut Child, mut stderr: ChildStderr) -> std::io::Result<(ExitStatus, String)> {
    let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stderr.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        said.extend_from_slice(&chunk[..read]);
        said.drain(..said.len().saturating_sub(SAID_MAX));
    }
    Ok((child.wait().await?, String::from_utf8_lossy(&said).into_owned()))
}

/// Returns the one wheel that was brought.
fn brought(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "whl"))
}

/// Returns the bytes of all files below.
fn size_below(dir: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth > 0 => size_below(&entry.path(), depth - 1),
        Ok(found) if found.is_file() => found.len(),
        Ok(_) | Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Words of pip and of what is below it, the most telling first. Without a network it also says that there is no such
/// package, so that comes last.
const SYMPTOMS: [(&str, Symptom); 18] = [
    ("No module named pip", Symptom::NoPip),
    ("No space left on device", Symptom::Full),
    ("Disk quota exceeded", Symptom::Full),
    ("Tunnel connection failed", Symptom::Proxy),
    ("Cannot connect to proxy", Symptom::Proxy),
    ("ProxyError", Symptom::Proxy),
    ("Failed to establish a new connection", Symptom::Network),
    ("Failed to resolve", Symptom::Network),
    ("Name or service not known", Symptom::Network),
    ("Temporary failure in name resolution", Symptom::Network),
    ("timed out", Symptom::Network),
    ("Connection reset", Symptom::Network),
    ("Connection aborted", Symptom::Network),
    ("SSLError", Symptom::Network),
    ("CERTIFICATE_VERIFY_FAILED", Symptom::Network),
    ("Max retries exceeded", Symptom::Network),
    ("Could not find a version", Symptom::NotOffered),
    ("No matching distribution", Symptom::NotOffered),
];

#[derive(Clone, Copy)]
enum Symptom {
    NoPip,
    Full,
    Proxy,
    Network,
    NotOffered,
}

/// Tells from pip's words what a person can do.
fn failure(package: &Package, dir: &Path, status: ExitStatus, said: &str) -> InstallError {
    // From the words on, up to where Python's way to show an error closes its quotes.
    let tail = |words: &str| Some(said.rsplit_once(words)?.1.split(['\n', '\'']).next().unwrap_or_default());
    let found = SYMPTOMS.iter().find_map(|(words, symptom)| Some((*symptom, format!("{words}{}", tail(words)?))));
    let elsewhere = elsewhere(package);
    let Some((symptom, words)) = found else {
        let last = |is_it: &dyn Fn(&str) -> bool| said.lines().rev().find(|line| is_it(line));
        let line = last(&|line| line.contains("ERROR:")).or_else(|| last(&|line| !line.trim().is_empty()));
        let said = line.map_or_else(|| format!("it said nothing and left no wheel ({status})"), shown);
        return InstallError::Pip { said, command: download(package) };
    };
    let said = shown(&words);
    match symptom {
        Symptom::NoPip => InstallError::NoPip { elsewhere },
        Symptom::Full => InstallError::full(package, dir.parent().unwrap_or(dir).to_owned()),
        Symptom::Proxy => InstallError::Proxy { said, elsewhere },
        Symptom::Network => InstallError::Network { said, elsewhere },
        Symptom::NotOffered => {
            let glibc = package.platform.split('_').skip(1).take(2).collect::<Vec<_>>().join(".");
            InstallError::NotOffered { said, glibc, elsewhere }
        }
    }
}

/// Returns a line fit to be shown: short, without what pip puts before it, and without a password in a URL.
fn shown(line: &str) -> String {
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
        let line = "ERROR: Could not reach https://ann:s3cret@pypi.example.com/simple/ and http://b:c@d";
        assert_eq!(shown(line), "Could not reach https://pypi.example.com/simple/ and http://d");
        assert_eq!(shown("mail ann@example.com"), "mail ann@example.com");
    }
}
