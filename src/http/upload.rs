//! Uploads of a file, in constant memory and under a watchdog.

use std::{fs::File, sync::Arc};

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::sync::oneshot;

use super::{
    Answer, Client, Request, TransportError,
    body::{self, ExpectedFile, MultipartFrame, UploadBody},
    flow::{BodyFault, UploadFlow, UploadStall},
};
use crate::{beneath::Stamp, progress::Progress};

/// A file to send as the part `file` of a multipart body.
#[derive(Debug)]
pub(crate) struct FileBody<'a> {
    /// The open file; it is read from its start.
    pub file: File,
    /// The identity of the file when its content was known.
    pub stamp: Stamp,
    /// The name of its content, `b3-<32 hex>`, where that is known. The bytes are hashed as they
    /// are sent: the file may have been changed and its time put back.
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
    /// The file is not the one that was to be sent; nothing whole was sent.
    #[error("the file changed")]
    Changed,
    /// The file cannot be read; nothing whole was sent.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
}

impl Client {
    /// Sends `request` with a file for its body, and reads the answer. There is no limit in all,
    /// only one on standing still and one on the answer. Dropping the future abandons the upload.
    ///
    /// # Errors
    /// When the file is not what it was, or no whole answer came. [`TransportError::sent`] is false
    /// when the service cannot have had the whole file.
    pub(crate) async fn upload(
        &self,
        request: &Request<'_>,
        upload: FileBody<'_>,
    ) -> Result<Answer, UploadError> {
        let FileBody { file, stamp, content, name, mime, fields, progress } = upload;
        let prepared = self.prepare_call(request)?;
        let boundary = random_boundary()?;
        let checked =
            tokio::task::spawn_blocking(move || body::check_unchanged(&file, stamp).map(|()| file));
        let checked = tokio::time::timeout(self.limits.stall, checked).await;
        let checked =
            checked.map_err(|_| self.stall_error(UploadStall::File(self.limits.stall)))?;
        let file =
            checked.map_err(|_| UploadError::Unreadable("looking at it ended early".into()))??;
        let frame = MultipartFrame::new(&boundary, fields, name, mime);
        let prepared = prepared
            .header(CONTENT_TYPE, frame.content_type.clone())
            .header(CONTENT_LENGTH, frame.total_bytes(stamp.size).to_string());
        let flow = Arc::new(UploadFlow::new(progress, stamp.size));
        let (waiting, abandoned) = oneshot::channel();
        let content = content.map(str::to_owned);
        let stream = UploadBody::start_reading(
            ExpectedFile { file, stamp, content },
            frame,
            Arc::clone(&flow),
            abandoned,
        );
        let sending =
            self.send_and_read(prepared.body(reqwest::Body::wrap_stream(stream)), request, &flow);
        let result = tokio::select! {
            result = sending => result,
            stall = flow.wait_for_stall(self.limits) => Err(self.stall_error(stall)),
        };
        drop(waiting);
        result
    }

    async fn send_and_read(
        &self,
        prepared: reqwest::RequestBuilder,
        request: &Request<'_>,
        flow: &UploadFlow,
    ) -> Result<Answer, UploadError> {
        let upload_error = |error: TransportError| match flow.recorded_fault() {
            Some(fault) => UploadError::from(fault),
            None => TransportError { sent: flow.is_complete(), ..error }.into(),
        };
        let response =
            prepared.send().await.map_err(|error| upload_error(self.transport_error(error)))?;
        let early = !flow.is_complete();
        let limit = self.time_limit(request);
        let Ok(answer) =
            tokio::time::timeout(limit, self.read_answer(response, request.bytes_max)).await
        else {
            let message = format!("the answer of `{}` did not end within {limit:?}", self.origin());
            return Err(upload_error(TransportError { message, begun: true, sent: true }));
        };
        let answer = answer.map_err(upload_error)?;
        if early && answer.is_success() {
            let message = format!(
                "`{}` answered {} before it had the whole recording",
                self.origin(),
                answer.status
            );
            return Err(TransportError { message, begun: true, sent: false }.into());
        }
        Ok(answer)
    }

    fn stall_error(&self, stall: UploadStall) -> UploadError {
        let origin = self.origin();
        let (message, sent) = match stall {
            UploadStall::Socket(limit) => {
                (format!("`{origin}` took no byte of the upload for {limit:?}"), false)
            }
            UploadStall::Answer(limit) => {
                (format!("no answer from `{origin}` within {limit:?} after the last byte"), true)
            }
            UploadStall::File(limit) => {
                return UploadError::Unreadable(format!("reading it stalled for {limit:?}"));
            }
        };
        TransportError { message, begun: true, sent }.into()
    }
}

impl From<BodyFault> for UploadError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Changed => Self::Changed,
            BodyFault::Unreadable(reason) => Self::Unreadable(reason),
            BodyFault::Abandoned => TransportError {
                message: BodyFault::Abandoned.to_string(),
                begun: true,
                sent: false,
            }
            .into(),
        }
    }
}

/// Returns a boundary of 128 random bits: no file holds it but by the will of someone who cannot
/// know it.
fn random_boundary() -> Result<String, TransportError> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).map_err(|error| TransportError {
        message: format!("the system has no random numbers: {error}"),
        begun: false,
        sent: false,
    })?;
    Ok(format!("minuted-{:032x}", u128::from_ne_bytes(bits)))
}
