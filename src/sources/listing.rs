//! Lists of what ended at a vendor, read page by page.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::engine::{SourceEngine, SourceFailure};
use crate::{clock, services::CallError, store::SourceState, text::format_count};

/// A walk lists what ended since so long before the walk before it: a vendor may show a recording hours after its
/// meeting ended, and its clock need not be ours.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// A watermark is written again after so long: it may lag, because what is listed twice is fetched once.
const WATERMARK_EVERY: Duration = Duration::from_secs(3600);

/// Pages of one list. At the smallest pages that is half a million recordings, so a list that is longer has no end.
const PAGES_MAX: usize = 10_000;

/// Recordings that a list may show at once: what is more than any page is no list of recordings.
const FOUND_MAX: usize = 10_000;

/// Bytes of an id that is remembered: vendors give UUIDs.
const ID_BYTES_MAX: usize = 200;

/// A source that was not asked for so long may have lost recordings: vendors keep them for 3 days at the least.
const LOSS_AFTER: Duration = Duration::from_secs(3 * 86_400);

impl SourceEngine {
    /// Returns the time before which ended meetings are ignored.
    fn earliest_end(&self, met: SourceState) -> Timestamp {
        self.parts.settings.since.unwrap_or(met.met)
    }

    /// Reads the list of what ended, page by page. The watermark moves only when it was read to its end: a walk that
    /// was interrupted begins anew where it began.
    pub(super) async fn list_recordings(&mut self, met: SourceState) -> Result<(), SourceFailure> {
        let began = clock::now();
        let floor = self.earliest_end(met);
        // A floor that was set further back is not hidden by what was listed from a later one.
        let walked = met.walked.filter(|(_, from)| *from <= floor).map(|(walked, _)| walked);
        let since = walked
            .and_then(|walked| walked.checked_sub(OVERLAP).ok())
            .map_or(floor, |since| since.max(floor));
        if let Some(away) =
            walked.map(|walked| clock::elapsed(walked, began)).filter(|away| *away > LOSS_AFTER)
        {
            let days = format_count(away.as_secs() / 86_400, "day");
            tracing::warn!(
                "source `{}` was not asked for {days}: what ended first may be gone there",
                self.name()
            );
        }
        let mut cursor: Option<String> = None;
        let mut new: usize = 0;
        for page in 0.. {
            let listed = self
                .parts
                .source
                .list_ended(since, cursor.as_deref())
                .await
                .map_err(list_failure)?;
            let is_name = |id: &str| !id.is_empty() && id.len() <= ID_BYTES_MAX;
            let ended = |found: &super::ListedRecording| found.ended >= floor && is_name(&found.id);
            let found = listed
                .found
                .into_iter()
                .take(FOUND_MAX)
                .filter(ended)
                .map(|found| (found.id, found.ended));
            new += self
                .parts
                .queue
                .sources()
                .add_found(self.name(), found.collect(), clock::now())
                .await?;
            if listed.next.is_none() {
                break;
            }
            if page >= PAGES_MAX || listed.next == cursor {
                return Err(endless_list());
            }
            cursor = listed.next;
        }
        if new > 0 {
            tracing::info!(
                "source `{}` has {}",
                self.name(),
                format_count(new as u64, "new recording")
            );
        }
        let is_old =
            |(walked, from)| from != floor || clock::elapsed(walked, began) >= WATERMARK_EVERY;
        if met.walked.is_none_or(is_old) {
            self.parts.queue.sources().record_walk(self.name(), began, floor).await?;
            self.transcripts.remove_old_transcripts(self.parts.history).await;
        }
        self.update_view(|view| view.listed = Some(began));
        Ok(())
    }

    /// Looks at a recording that somebody named and no list has shown: where the vendor has it, it is found.
    pub(super) async fn look_up_named(
        &mut self,
        id: &str,
        met: SourceState,
    ) -> Result<(), SourceFailure> {
        match self.parts.source.get_recording(id).await {
            Ok(recording) => {
                let ended = recording.ended.unwrap_or_else(clock::now);
                let is_over = recording.availability != super::Availability::NotYet
                    && ended >= self.earliest_end(met);
                if is_over && recording.id == id {
                    self.parts
                        .queue
                        .sources()
                        .add_found(self.name(), vec![(id.to_owned(), ended)], clock::now())
                        .await?;
                }
                Ok(())
            }
            Err(error @ (CallError::Unavailable { .. } | CallError::SignedOut { .. })) => {
                Err(error.into())
            }
            Err(CallError::Refused { .. } | CallError::Forbidden { .. } | CallError::File(_)) => {
                tracing::debug!(
                    "a webhook named a recording of source `{}` that the vendor does not list",
                    self.name()
                );
                Ok(())
            }
        }
    }
}

/// A list that the vendor refuses is the vendor's matter, not that of a recording.
fn list_failure(error: CallError) -> SourceFailure {
    SourceFailure::Vendor(match error {
        CallError::Refused { status, message } => CallError::service_alone(format!(
            "the vendor refuses its list ({status}): {message}; check `base_url` and `api`"
        )),
        other @ (CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Unavailable { .. }
        | CallError::File(_)) => other,
    })
}

fn endless_list() -> SourceFailure {
    let message = "the vendor's list has no end: it gives the same page again".to_owned();
    SourceFailure::Vendor(CallError::service_alone(message))
}
