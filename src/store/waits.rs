//! The reasons for which a job that is shown waits, from the holds.

use jiff::Timestamp;

use super::{Hold, JobView, Scope};
use crate::job::{HoldReason, JobState, Stage, WaitReason};

impl JobView {
    /// Sets the reason for which a job that could run waits, from the holds; returns the hold that
    /// keeps it back.
    pub fn apply<'h>(&mut self, holds: &'h [Hold], now: Timestamp) -> Option<&'h Hold> {
        let awaits = self.waits_for == Some(WaitReason::Analysis);
        if self.state != JobState::Ready && !awaits {
            return None;
        }
        let held = holds
            .iter()
            .filter(|hold| self.is_held_by(hold, awaits))
            .min_by_key(|hold| hold.reason.urgency());
        if awaits {
            return held;
        }
        let delivers = self.stage == Some(Stage::Deliver);
        let later = self.has_invalid_metadata || self.due.is_some_and(|due| due > now);
        let by_itself = if delivers {
            WaitReason::Retry
        } else if self.has_invalid_metadata {
            WaitReason::File
        } else {
            WaitReason::Service
        };
        let waits_for = held.map(waits_for).or_else(|| later.then_some(by_itself));
        if let Some(waits_for) = waits_for {
            self.state = JobState::Waiting;
            self.waits_for = Some(waits_for);
        }
        held
    }

    fn is_held_by(&self, hold: &Hold, awaits: bool) -> bool {
        let delivers = self.stage == Some(Stage::Deliver);
        match hold.scope {
            // What waits to be fetched is no job yet.
            Scope::Source => false,
            Scope::Disk => !awaits,
            Scope::Folder if hold.name != self.folder || awaits => false,
            Scope::Folder if delivers => hold.reason.blocks_deliveries(),
            Scope::Folder => hold.reason.blocks_stages(),
            Scope::Service => !delivers && self.service.as_deref() == Some(&hold.name),
        }
    }
}

/// The reason for which a job waits that a hold blocks.
fn waits_for(hold: &Hold) -> WaitReason {
    match hold.scope {
        Scope::Disk => WaitReason::Disk,
        Scope::Folder if hold.reason == HoldReason::Full => WaitReason::Disk,
        Scope::Folder => WaitReason::Folder,
        Scope::Service if hold.reason == HoldReason::SignedOut => WaitReason::SignIn,
        Scope::Service | Scope::Source => WaitReason::Service,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_holds_its_own_folder_and_that_of_the_queue_every_one() {
        let now = Timestamp::UNIX_EPOCH;
        let held = |name: &str, folder: &str| {
            let hold = Hold {
                scope: if name == Hold::QUEUE { Scope::Disk } else { Scope::Folder },
                name: name.to_owned(),
                reason: HoldReason::Full,
                detail: "no room".into(),
                since: now,
            };
            let job = serde_json::json!({
                "id": 1, "key": null, "folder": folder, "path": "talk.wav", "title": null, "service": "paxs",
                "state": "ready", "waits_for": null, "stage": "create", "attempts": 0, "due": null, "error": null,
                "partial": false, "meeting_id": null, "recording_id": null, "hash": null, "size": 1, "notes": [],
                "deliveries": [], "created": now, "updated": now
            });
            let mut job: JobView = serde_json::from_value(job).expect("a job");
            job.apply(&[hold], now).is_some()
        };
        assert!(held("sales", "sales") && held(Hold::QUEUE, "sales") && !held("calls", "sales"));
    }
}
