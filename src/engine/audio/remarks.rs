//! Remarks on a recording for the reader of its transcript: damage, and sound that is missing.

use std::time::Duration;

use super::{Audio, gaps::samples_from_seconds};
use crate::{engine::RATE, text};

impl Audio {
    /// Returns remarks on the recording for the reader of the transcript; complete at the end.
    pub fn remarks(&self) -> Vec<String> {
        let damage = &self.decoder.damage;
        let rough =
            |samples: u64| text::format_duration(Duration::from_secs(samples / u64::from(RATE)));
        let at = rough(self.handed_on);
        let mut remarks = Vec::new();
        if damage.packets > 0 {
            remarks.push(format!(
                "{} could not be decoded and left out",
                text::format_count(damage.packets, "damaged packet")
            ));
        }
        let stated = self.decoder.stated_seconds().and_then(samples_from_seconds);
        let short = stated
            .filter(|length| self.handed_on < length - length / 20 && *length > u64::from(RATE));
        if let Some(why) = &damage.cut {
            remarks.push(format!("the recording breaks off after {at}: {}", text::printable(why)));
        } else if let Some(length) = short {
            remarks.push(format!("the recording breaks off after {at} of {}", rough(length)));
        } else if self.facts.breaks_off {
            remarks.push(format!("the recording breaks off after {at}: it ends too early"));
        }
        if damage.unread > 0 {
            let megabytes = (damage.unread >> 20).max(1);
            remarks.push(format!(
                "about {megabytes} MiB at the end of the file are not sound that can be read, and were left out"
            ));
        }
        remarks.extend(self.track_remarks());
        remarks
    }

    fn track_remarks(&self) -> Vec<String> {
        let damage = &self.decoder.damage;
        let mut remarks = Vec::new();
        if let Some(count) = self.facts.first_of {
            remarks.push(format!(
                "the recording has {count} sound tracks, and only the first could be heard"
            ));
        } else if self.ffmpeg.is_none() && !damage.deaf.is_empty() {
            let tracks: Vec<String> = damage.deaf.iter().map(usize::to_string).collect();
            let count = self.decoder.track_count() + tracks.len();
            remarks.push(format!(
                "sound track {} of {count} could not be decoded and was not heard",
                tracks.join(" and ")
            ));
        } else if self.ffmpeg.is_none() && self.facts.tracks.len() > self.decoder.track_count() {
            let all = self.facts.tracks.len();
            let decoded = self.decoder.track_count();
            remarks.push(format!(
                "the recording has {all} sound tracks, and only {decoded} of them could be heard"
            ));
        }
        if damage.is_oddly_edited {
            remarks
                .push("the recording was cut in a way that is not understood: what was cut out may be here".to_owned());
        }
        remarks
    }
}
