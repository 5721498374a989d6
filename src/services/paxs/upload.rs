//! Sending a recording to PAXS.

use std::{sync::Arc, time::Duration};

use super::{PaxsService, tokens::TokenPair, wire};
use crate::{
    clock,
    http::{Answer, Request, TransportError, UploadError},
    services::{CallError, Upload, answers, pacer::Priority},
};

/// The slowest line for which a token must outlast the upload, in bytes a second.
const SLOW_LINE: u64 = 1024 * 1024;

impl PaxsService {
    /// Sends a recording. After a refused token, even if the refusal shows only as a reset in the
    /// middle, it refreshes once and sends the file once more from its start.
    pub(super) async fn send_recording(
        &self,
        meeting: &str,
        upload: &Upload,
    ) -> Result<String, CallError> {
        let pair =
            self.session.usable_pair(Duration::from_secs(upload.stamp.size / SLOW_LINE)).await?;
        let answer = match self.send_once(meeting, upload, &pair).await {
            Ok(answer) if answer.status != 401 => {
                self.session.clear_doubt();
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
        let answer = answers::read_json(answer)?;
        if wire::is_of_another(&answer, meeting) {
            return Err(answers::unexpected_answer("an uploaded recording of another meeting"));
        }
        wire::recording_id(&answer)
            .ok_or_else(|| answers::unexpected_answer("an uploaded recording without an id"))
    }

    async fn send_again(
        &self,
        meeting: &str,
        upload: &Upload,
        refused: &Arc<TokenPair>,
    ) -> Result<Answer, CallError> {
        let pair = self.session.pair_after_refusal(refused).await?;
        let answer = self.send_once(meeting, upload, &pair).await?;
        self.session.check_fresh_token(answer)
    }

    async fn send_once(
        &self,
        meeting: &str,
        upload: &Upload,
        pair: &TokenPair,
    ) -> Result<Answer, UploadError> {
        let fields = [("session_id", meeting)];
        let body = upload.form_body(&upload.name, &fields)?;
        self.session.wait_for_slot(Priority::High).await;
        // The documents show the meeting in the query and require it as a form field: both are
        // sent.
        let request =
            Request::post(&["api", "recordings"]).query("session_id", meeting).bearer(&pair.access);
        self.session.http_client().upload(&request, body).await
    }

    /// Returns whether an upload broke off because of its token: a server that answers early and
    /// closes appears as a reset, and its answer is lost.
    async fn is_refused_midway(&self, pair: &TokenPair, error: &TransportError) -> bool {
        // The whole upload was sent with a token that was valid then: it may have succeeded.
        let may_stand = error.sent && clock::now() >= pair.expires;
        error.begun && !may_stand && self.session.is_refused(pair).await
    }
}
