//! The recording of a job, to listen to: whole, or the part that a player asks for.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    sync::Arc,
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;

use super::{Web, actions, pages};
use crate::store::JobId;

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// Sends the recording, or a part of it.
pub(super) async fn send(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Response {
    let missing = || {
        let what = "the recording is not where it was: moved, deleted, or on a disk that is away";
        pages::show_problem(StatusCode::NOT_FOUND, what, None)
    };
    let (file, media_type) = match web.service.open_recording(JobId(id)).await {
        Ok(Some((file, media_type))) => (file, media_type),
        Ok(None) => return missing(),
        Err(refusal) => return actions::show_refusal(&refusal),
    };
    let Ok(size) = file.metadata().map(|metadata| metadata.len()) else { return missing() };
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (code, range) = match asked.map(|range| parse_range(range, size)) {
        None | Some(AskedRange::Whole) => (StatusCode::OK, 0..size),
        Some(AskedRange::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(AskedRange::Beyond) => {
            let whole = format!("bytes */{size}");
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)])
                .into_response();
        }
    };
    let length = (range.end - range.start).to_string();
    let place = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let mut response = (code, send_part(file, range)).into_response();
    let answer = response.headers_mut();
    let mut insert = |name, value: &str| {
        if let Ok(value) = value.parse() {
            answer.insert(name, value);
        }
    };
    insert(header::CONTENT_TYPE, media_type);
    insert(header::CONTENT_LENGTH, &length);
    insert(header::ACCEPT_RANGES, "bytes");
    if code == StatusCode::PARTIAL_CONTENT {
        insert(header::CONTENT_RANGE, &place);
    }
    response
}

/// What a player asks for.
#[derive(Debug, PartialEq, Eq)]
enum AskedRange {
    /// The whole file: several parts at once, or a text that is no range, are not served.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes behind the end.
    Beyond,
}

/// Reads a range of RFC 9110, 14.1.2: `bytes=0-499`, `bytes=500-`, `bytes=-500`.
fn parse_range(text: &str, size: u64) -> AskedRange {
    let Some((first, last)) =
        text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return AskedRange::Whole;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    match (number(first), number(last), first.is_empty(), last.is_empty()) {
        (Some(first), Some(last), ..) if first <= last && first < size => {
            AskedRange::Part(first..last.saturating_add(1).min(size))
        }
        (Some(first), None, _, true) if first < size => AskedRange::Part(first..size),
        (None, Some(last), true, _) if last > 0 && size > 0 => {
            AskedRange::Part(size.saturating_sub(last)..size)
        }
        (Some(first), ..) if first >= size => AskedRange::Beyond,
        (None, Some(_), true, _) => AskedRange::Beyond,
        _ => AskedRange::Whole,
    }
}

/// Returns a part of a file, read as it is taken.
pub(super) fn send_part(file: File, range: Range<u64>) -> Body {
    let parts = stream::unfold(Some((file, range)), async |left| {
        let (file, range) = left.filter(|(_, range)| !range.is_empty())?;
        let read = tokio::task::spawn_blocking(move || read_chunk(file, range)).await;
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok((bytes, file, range)) => Some((Ok::<Bytes, io::Error>(bytes), Some((file, range)))),
            // The answer breaks off: the browser sees that it is not whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(parts)
}

/// Reads the next bytes of a range; returns what is left of it.
fn read_chunk(mut file: File, range: Range<u64>) -> io::Result<(Bytes, File, Range<u64>)> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    let end = range.end.min(range.start + CHUNK_BYTES);
    (&file).take(end - range.start).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let left = range.start + bytes.len() as u64..range.end;
    Ok((bytes.into(), file, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_gets_the_part_that_it_asks_for() {
        let parts = [
            ("bytes=0-", 0..100),
            ("bytes=0-0", 0..1),
            ("bytes=10-19", 10..20),
            ("bytes=90-999", 90..100),
            ("bytes=-10", 90..100),
            ("bytes=-999", 0..100),
        ];
        for (text, range) in parts {
            assert_eq!(parse_range(text, 100), AskedRange::Part(range), "{text}");
        }
        for text in
            ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b"]
        {
            assert_eq!(parse_range(text, 100), AskedRange::Whole, "{text}");
        }
        for text in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(parse_range(text, 100), AskedRange::Beyond, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), AskedRange::Beyond);
    }
}
