//! Operations on the whole of minuted: a check of everything, and a copy of the queue.

use std::{process::Stdio, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, process::Command};

use super::{
    handlers::ApiAnswer,
    problem::{ApiQuery, Problem},
};
use crate::web::{Web, recording};

/// Time limit of a check. Each service, mail server and disk has a limit of its own, of half a minute at most.
const CHECK_MAX: Duration = Duration::from_secs(300);

/// Bytes of findings that are read: a folder has about a dozen of some hundred bytes.
const FINDINGS_BYTES_MAX: u64 = 8 << 20;

/// The media type of a copy of the queue.
pub(super) const SQLITE: &str = "application/vnd.sqlite3";

/// The query of a check.
#[derive(Deserialize)]
pub(super) struct CheckQuery {
    mail: Option<String>,
}

/// Runs `minuted check` in a process of its own, which asks this daemon as a person's command would. One at a time.
pub(super) async fn check(
    State(web): State<Arc<Web>>,
    ApiQuery(query): ApiQuery<CheckQuery>,
) -> ApiAnswer {
    let _turn = web.checks.lock().await;
    let failed = |what: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what);
    let program = std::env::current_exe()
        .map_err(|error| failed(format!("the program of this daemon is not found: {error}")))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&web.service.settings().file).args(["check", "--json"]);
    // One word, so that an address that begins with a hyphen is no option.
    command.args(query.mail.map(|address| format!("--mail={address}")));
    match tokio::time::timeout(CHECK_MAX, run_command(command)).await {
        Ok(Ok(findings)) => Ok(Json(findings)),
        Ok(Err(error)) => Err(failed(format!("`minuted check` failed: {error}"))
            .hint("run it on the machine, where it says why")),
        Err(_) => Err(failed(format!("`minuted check` took more than {} s", CHECK_MAX.as_secs()))
            .hint("run it on the machine, where each finding is shown as it comes")),
    }
}

/// Runs a command and reads the JSON that it prints; it ends with this future.
async fn run_command(mut command: Command) -> std::io::Result<Value> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(FINDINGS_BYTES_MAX).read_to_end(&mut printed).await?;
    }
    let status = child.wait().await?;
    serde_json::from_slice(&printed)
        .map_err(|error| std::io::Error::other(format!("it ended with {status}: {error}")))
}

/// Sends a consistent copy of the queue.
pub(super) async fn back_up(State(web): State<Arc<Web>>) -> Result<Response, Problem> {
    let (file, bytes) = web.service.copy_queue().await?;
    let headers = [
        (header::CONTENT_TYPE, SQLITE.to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"minuted-queue.db\"".to_owned()),
    ];
    Ok((headers, recording::send_part(file, 0..bytes)).into_response())
}
