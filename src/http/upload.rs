//! Sending a file, in constant memory and under a watchdog.

use std::{fs::File, sync::Arc};

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::sync::oneshot;

use super::{
    Answer, Client, Request, TransportError,
    body::{self, Body, Frame, Meant},
    flow::{Fault, Flow, Stall},
};
use crate::{beneath::Stamp, progress::Progress};

/// A file to send as the part `file` of a multipart body.
#[derive(Debug)]
pub struct FileBody<'a> {
    /// The open file; it is read from its start.
    pub file: File,
    /// What it was when its content was known.
    pub stamp: Stamp,
    /// The name of its content, `b3-<32 hex>`, where that is known. What is sent is hashed on its way: somebody may have changed
    /// the file and put its time back.
    pub content: Option<&'a str>,
    /// The name to send; quotes and control characters become `_`.
    pub name: &'a str,
    /// The MIME type of the part.
    pub mime: &'a str,
    /// The form fields before it.
    pub fields: &'a [(&'a str, &'a str)],
    /// Counts the bytes that the socket takes.
    pub progress: Arc<Progress>,
}

/// An upload that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The way to the service, or the service.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The file is not the one that was meant; nothing whole was sent.
    #[error("the file changed")]
    Changed,
    /// The file cannot be read; nothing whole was sent.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
}

impl Client {
    /// Sends `request` with a file for its body, and reads the answer. There is no limit in all, only one on standing
    /// still and one on the answer. Dropping the future abandons the upload.
    ///
    /// # Errors
    /// When the file is not what it was, or no whole answer came. [`TransportError::sent`] is false when the service
    /// cannot have had the whole file.
    pub async fn upload(&self, request: &Request<'_>, upload: FileBody<'_>) -> Result<Answer, UploadError> {
        let FileBody { file, stamp, content, name, mime, fields, progress } = upload;
        let prepared = self.prepare(request)?;
        let boundary = boundary()?;
        let checked = tokio::task::spawn_blocking(move || body::check(&file, stamp).map(|()| file));
        let checked = tokio::time::timeout(self.limits.stall, checked).await;
        let checked = checked.map_err(|_| self.stood_still(Stall::File(self.limits.stall)))?;
        let file = checked.map_err(|_| UploadError::Unreadable("looking at it ended early".into()))??;
        let frame = Frame::new(&boundary, fields, name, mime);
        let prepared = prepared
            .header(CONTENT_TYPE, frame.content_type.clone())
            .header(CONTENT_LENGTH, frame.length(stamp.size).to_string());
        let flow = Arc::new(Flow::new(progress, stamp.size));
        let (waiting, abandoned) = oneshot::channel();
        let content = content.map(str::to_owned);
        let stream = Body::start(Meant { file, stamp, content }, frame, Arc::clone(&flow), abandoned);
        let sending = self.exchange(prepared.body(reqwest::Body::wrap_stream(stream)), request, &flow);
        let result = tokio::select! {
            result = sending => result,
            stall = flow.stalled(self.limits) => Err(self.stood_still(stall)),
        };
        drop(waiting);
        result
    }

    async fn exchange(
        &self,
        prepared: reqwest::RequestBuilder,
        request: &Request<'_>,
        flow: &Flow,
    ) -> Result<Answer, UploadError> {
        let told = |error: TransportError| match flow.fault() {
            Some(fault) => UploadError::from(fault),
            None => TransportError { sent: flow.is_complete(), ..error }.into(),
        };
        let response = prepared.send().await.map_err(|error| told(self.lost(error)))?;
        let early = !flow.is_complete();
        let limit = self.limit(request);
        let Ok(answer) = tokio::time::timeout(limit, self.read(response, request.bytes_max)).await else {
            let message = format!("the answer of `{}` did not end within {limit:?}", self.origin());
            return Err(told(TransportError { message, begun: true, sent: true }));
        };
        let answer = answer.map_err(told)?;
        if early && answer.is_success() {
            let message = format!("`{}` answered {} before it had the whole recording", self.origin(), answer.status);
            return Err(TransportError { message, begun: true, sent: false }.into());
        }
        Ok(answer)
    }

    fn stood_still(&self, stall: Stall) -> UploadError {
        let origin = self.origin();
        let (message, sent) = match stall {
            Stall::Socket(limit) => (format!("`{origin}` took no byte of the upload for {limit:?}"), false),
            Stall::Answer(limit) => (format!("no answer from `{origin}` within {limit:?} after the last byte"), true),
            Stall::File(limit) => return UploadError::Unreadable(format!("reading it stood still for {limit:?}")),
        };
        TransportError { message, begun: true, sent }.into()
    }
}

impl From<Fault> for UploadError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Changed => Self::Changed,
            Fault::Unreadable(reason) => Self::Unreadable(reason),
            Fault::Abandoned => {
                TransportError { message: Fault::Abandoned.to_string(), begun: true, sent: false }.into()
            }
        }
    }
}

/// Returns a boundary of 128 random bits: no file holds it but by the will of someone who cannot know it.
fn boundary() -> Result<String, TransportError> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).map_err(|error| TransportError {
        message: format!("the system has no random numbers: {error}"),
        begun: false,
        sent: false,
    })?;
    Ok(format!("minuted-{:032x}", u128::from_ne_bytes(bits)))
}
