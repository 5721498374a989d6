//! Notifications by a program of the operator's: JSON on its standard input, a few variables, a time limit.
//!
//! The program is confined ([`crate::engine::hook_child`]): it reads its own directory, programs and libraries of the
//! system, writes nothing, and has no network unless the configuration says so.

use std::{os::unix::process::ExitStatusExt as _, process::Stdio};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use super::{message::Message, send::SendError};
use crate::{
    config::HookCommand,
    engine::{hook_child::NEVER_BEGAN, run::this_program},
    hint::Hinted,
    text::{one_line, printable_path},
};

/// Bytes of a program's messages that are kept. It may write more, which is read and forgotten.
const WORDS_MAX: u64 = 4096;

/// Characters of them that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// The variables that a program gets besides those of the notification.
const VARIABLES: [(&str, &str); 2] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8")];

/// Runs a program once.
pub(super) async fn run_command(
    command: &HookCommand,
    message: &Message,
) -> Result<String, SendError> {
    let shown = printable_path(&command.path);
    let failed = |error: String| SendError::Refused { error, pause: None };
    let mut child = start(command, message)
        .map_err(|error| failed(format!("failed to start `{shown}`: {error}")))?;
    let ran = tokio::time::timeout(command.timeout, converse(&mut child, message.to_json())).await;
    let Ok(ran) = ran else {
        end_group(&child);
        drop(child.kill().await);
        let limit = command.timeout;
        return Err(failed(format!("`{shown}` took longer than {limit:?}, and was ended")));
    };
    let (status, words) = ran.map_err(|error| failed(format!("`{shown}`: {error}")))?;
    let words = one_line(&String::from_utf8_lossy(&words), SHOWN_CHARS_MAX);
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(format!("`{shown}` exited with 0{said}")),
        (Some(code), _) if code == i32::from(NEVER_BEGAN) => {
            let cure = "check `path`: it must be a program, readable and executable for minuted";
            Err(Hinted::new(format!("`{shown}` could not be run{said}"), cure).into())
        }
        (Some(code), _) => Err(failed(format!("`{shown}` exited with {code}{said}"))),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Err(failed(format!("`{shown}` was ended by signal {signal}{said}")))
        }
    }
}

fn start(command: &HookCommand, message: &Message) -> std::io::Result<Child> {
    let mut process = Command::new(this_program());
    process.args(["engine-work", "--parent", &std::process::id().to_string()]);
    process.arg("--hook").arg(&command.path);
    if command.network {
        process.arg("--network");
    }
    process.env_clear().envs(VARIABLES).env("MINUTED_EVENT", message.event);
    process.env("MINUTED_MESSAGE", &message.id).current_dir("/");
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.process_group(0).kill_on_drop(true).spawn()
}

/// Hands a program its input and reads its messages until its end.
async fn converse(
    child: &mut Child,
    input: String,
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that reads nothing is as good as one that does.
            drop(stdin.write_all(input.as_bytes()).await);
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ((), mut words, more, status) =
        tokio::join!(write, first_words(stderr), first_words(stdout), child.wait());
    if words.is_empty() {
        words = more;
    }
    Ok((status?, words))
}

/// Reads to the end, so that a program never waits for a reader, and keeps the first bytes.
async fn first_words(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut words = Vec::new();
    let Some(mut output) = output else { return words };
    if (&mut output).take(WORDS_MAX).read_to_end(&mut words).await.is_ok() {
        drop(tokio::io::copy(&mut output, &mut tokio::io::sink()).await);
    }
    words
}

/// Ends a program together with those that it has started.
fn end_group(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = id.and_then(rustix::process::Pid::from_raw)
        && rustix::process::kill_process_group(group, rustix::process::Signal::KILL).is_err()
    {
        tracing::debug!("a program of a notifier has ended meanwhile");
    }
}
