//! Sending a recording to PAXS.

use std::{sync::Arc, time::Duration};

use super::{Paxs, tokens::Pair, wire};
use crate::{
    clock,
    http::{Answer, Request, TransportError, UploadError},
    services::{CallError, Upload, answers, pacer::Priority},
};

/// The slowest line that is reckoned with when a token must outlast an upload, in bytes a second.
const SLOW_LINE: u64 = 1024 * 1024;

impl Paxs {
    /// Sends a recording. A token that is refused, even if that shows only as a reset in the middle, is refreshed once
    /// and the file is sent once more from its start.
    pub(super) async fn send(&self, meeting: &str, upload: &Upload) -> Result<String, CallError> {
        let pair = self.session.token(Duration::from_secs(upload.stamp.size / SLOW_LINE)).await?;
        let answer = match self.send_once(meeting, upload, &pair).await {
            Ok(answer) if answer.status != 401 => {
                self.session.trust();
                answer
            }
            Ok(_) => self.send_again(meeting, upload, &pair).await?,
            Err(UploadError::Transport(error)) => {
                if !self.is_refused_midway(&pair, &error).await {
                    return Err(error.into());
                }
                self.send_again(meeting, upload, &pair).await?
            }
            Err(error) => return Err(error.into()),
        };
        let answer = answers::json(answer)?;
        if wire::is_of_another(&answer, meeting) {
            return Err(answers::unexpected("an uploaded recording of another meeting"));
        }
        wire::recording_id(&answer).ok_or_else(|| answers::unexpected("an uploaded recording without an id"))
    }

    async fn send_again(&self, meeting: &str, upload: &Upload, refused: &Arc<Pair>) -> Result<Answer, CallError> {
        let pair = self.session.renewed(refused).await?;
        let answer = self.send_once(meeting, upload, &pair).await?;
        self.session.believed(answer)
    }

    async fn send_once(&self, meeting: &str, upload: &Upload, pair: &Pair) -> Result<Answer, UploadError> {
        let fields = [("session_id", meeting)];
        let body = upload.form_body(&upload.name, &fields)?;
        self.session.paced(Priority::High).await;
        // The documents show the meeting in the query and say that it must be a form field: both.
        let request = Request::post(&["api", "recordings"]).query("session_id", meeting).bearer(&pair.access);
        self.session.http().upload(&request, body).await
    }

    /// Returns whether an upload that broke off did so because of its token: a server that answers early and closes
    /// shows as a reset, its answer lost.
    async fn is_refused_midway(&self, pair: &Pair, error: &TransportError) -> bool {
        // Everything was sent under a token that was good then: the upload may stand.
        let may_stand = error.sent && clock::now() >= pair.expires;
        error.begun && !may_stand && self.session.is_refused(pair).await
    }
}
