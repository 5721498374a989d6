//! Recordings that are dropped onto a folder: streamed to disk, placed whole, and queued.

use std::{ffi::OsStr, io, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    extract::{
        Multipart, Path, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{Web, actions};
use crate::{
    config::Folder,
    control::{Arrival, ControlRequest, Refusal},
    text::{format_count, format_size, one_line, printable},
};

/// A browser that sends nothing for so long is cut off.
const STALL_MAX: Duration = Duration::from_secs(60);

/// How long the rest of an upload that was refused is taken in.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// Bytes of a field that is no file: a time.
const FIELD_BYTES_MAX: usize = 64;

/// Bytes of a file's name; file systems take 255.
const NAME_BYTES_MAX: usize = 200;

/// Receives recordings for a folder.
pub(super) async fn receive(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Response {
    let received = match receive_form(&web, &name, &mut form).await {
        Ok(received) => received,
        Err(refusal) => return actions::show_refusal(&refusal),
    };
    if received.is_empty() {
        let refusal = Refusal::new("no file was chosen");
        return actions::show_refusal(&refusal.hint("choose a recording, then press Add"));
    }
    let message = received.iter().map(Received::describe).collect::<Vec<_>>().join("; ");
    // Script that followed a redirection would have seen the message in the place of the person.
    if is_script(&headers) {
        let next = actions::next_page(&web, "/", &message);
        return axum::Json(serde_json::json!({ "next": next })).into_response();
    }
    actions::lead_on(&web, "/", &message)
}

/// A recording that was put into a folder.
pub(super) struct Received {
    /// The name under which it was sent.
    name: String,
    /// The answer to its intake.
    pub answer: Value,
}

impl Received {
    fn describe(&self) -> String {
        let message = self.answer.get("message").and_then(Value::as_str);
        format!("{}: {}", printable(&self.name), message.unwrap_or("queued"))
    }
}

/// Receives the recordings of a form for a folder.
///
/// # Errors
/// When there is no such folder, or a file is refused; then the rest of the form is taken in for a while.
pub(super) async fn receive_form(
    web: &Web,
    folder: &str,
    form: &mut Multipart,
) -> Result<Vec<Received>, Refusal> {
    let received = match web.service.find_folder(folder) {
        Ok(folder) => receive_files(web, &folder, form).await,
        Err(refusal) => Err(refusal),
    };
    if received.is_err() {
        // A client that is still sending would see a broken connection, and not the answer.
        drop(tokio::time::timeout(DRAIN_MAX, drain(form)).await);
    }
    received
}

fn is_script(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepts| accepts == "application/json")
}

/// Takes in what is left of a form that was refused.
async fn drain(form: &mut Multipart) {
    while let Ok(Some(mut field)) = form.next_field().await {
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

/// Returns the files of a form, each of which has become a job.
async fn receive_files(
    web: &Web,
    folder: &Folder,
    form: &mut Multipart,
) -> Result<Vec<Received>, Refusal> {
    let mut received = Vec::new();
    let mut modified = None;
    while let Some(mut field) = within_limit(form.next_field()).await? {
        match field.name() {
            Some("modified") => modified = read_time(&mut field).await?,
            Some("recording") => {
                let name = field.file_name().unwrap_or_default().to_owned();
                if name.is_empty() {
                    continue;
                }
                let path = receive_file(web, folder, &name, modified.take(), &mut field).await?;
                let request = ControlRequest::Take { folder: folder.name.clone(), path };
                received.push(Received { name, answer: web.service.answer(request).await? });
            }
            Some(_) | None => {}
        }
    }
    if received.len() > 1 {
        tracing::info!("{} were uploaded", format_count(received.len() as u64, "recording"));
    }
    Ok(received)
}

async fn receive_file(
    web: &Web,
    folder: &Folder,
    name: &str,
    modified: Option<Timestamp>,
    field: &mut Field<'_>,
) -> Result<PathBuf, Refusal> {
    let shown = one_line(name, 100);
    let name = check_name(name)
        .ok_or_else(|| Refusal::new(format!("`{shown}` is no name for a file in a folder")))?;
    let accepts = web.service.accepted_extensions(folder);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    if !extension.is_some_and(|extension| accepts.contains(&extension)) {
        return Err(Refusal::new(format!(
            "`{shown}` is no recording that folder `{}` takes",
            folder.name
        ))
        .hint(format!("it takes: {}", accepts.join(" "))));
    }
    let failed = |error: io::Error| {
        Refusal::new(format!("failed to write `{shown}` into folder `{}`: {error}", folder.name))
    };
    let place = folder.clone();
    let begun = tokio::task::spawn_blocking(move || Arrival::begin(&place)).await;
    let mut arrival = begun.map_err(io::Error::other).and_then(|begun| begun).map_err(failed)?;
    let copy = arrival.file().try_clone().map_err(failed)?;
    let mut copy = tokio::fs::File::from_std(copy);
    let mut bytes = 0_u64;
    while let Some(chunk) = within_limit(field.chunk()).await? {
        bytes += chunk.len() as u64;
        if bytes > folder.limits.max_size {
            let limit = format_size(folder.limits.max_size);
            return Err(Refusal::new(format!("`{shown}` is larger than `max_size` = {limit}")));
        }
        copy.write_all(&chunk).await.map_err(failed)?;
    }
    copy.flush().await.map_err(failed)?;
    if bytes == 0 {
        return Err(Refusal::new(format!("`{shown}` is empty")));
    }
    let place = folder.clone();
    let name = name.to_owned();
    let placed = tokio::task::spawn_blocking(move || {
        if let Some(modified) = modified {
            arrival.file().set_modified(modified.into())?;
        }
        arrival.place(&place, OsStr::new(&name))
    });
    placed.await.map_err(io::Error::other).and_then(|placed| placed).map_err(failed)
}

/// Returns the last part of a file's name, where it is one for a folder: no hidden or unfinished file.
fn check_name(name: &str) -> Option<&str> {
    let last = name.rsplit(['/', '\\']).next()?.trim();
    let is_good = !last.is_empty()
        && !last.starts_with('.')
        && last.len() <= NAME_BYTES_MAX
        && !last.chars().any(char::is_control);
    is_good.then_some(last)
}

/// Reads the time of a file: milliseconds since 1970, as browsers have it.
async fn read_time(field: &mut Field<'_>) -> Result<Option<Timestamp>, Refusal> {
    let mut text = Vec::new();
    while let Some(chunk) = within_limit(field.chunk()).await? {
        if text.len() + chunk.len() > FIELD_BYTES_MAX {
            return Err(Refusal::new("the form holds a field that is too long"));
        }
        text.extend_from_slice(&chunk);
    }
    let time = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<i64>().ok());
    Ok(time.and_then(|time| Timestamp::from_millisecond(time).ok()))
}

/// Waits for the next part of a form, but not for ever.
async fn within_limit<T>(
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(STALL_MAX, next).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(error)) => Err(Refusal::new(format!("the upload broke off: {error}"))),
        Err(_) => Err(Refusal::new("the upload stood still for too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_part_and_never_hidden() {
        assert_eq!(check_name("talk.wav"), Some("talk.wav"));
        assert_eq!(check_name("C:\\Users\\ann\\talk.wav"), Some("talk.wav"));
        assert_eq!(check_name("../../etc/talk.wav"), Some("talk.wav"));
        for name in ["", ".", "..", "a/..", "a/", ".minuted-1.tmp", "a\nb.wav", &"x".repeat(201)] {
            assert_eq!(check_name(name), None, "{name:?}");
        }
    }
}
