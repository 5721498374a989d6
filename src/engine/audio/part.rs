//! Parts of a recording: a file that several were joined to has more than one.

use symphonia::core::io::MediaSource;

use super::{tracks::TrackEdit, view::FileView};

/// A part of a recording that is opened on its own: all of it, unless files were joined.
pub(crate) struct RecordingPart {
    pub(crate) source: PartSource,
    /// The edit lists of tracks, by the number that the container gives them.
    pub(crate) edits: Vec<(u64, Vec<TrackEdit>)>,
    /// True when the times of packets are those of the recording.
    pub(crate) has_times: bool,
    /// The end of the part.
    pub(crate) end: PartEnd,
    /// True when the places of the channels are a guess.
    pub(crate) is_without_places: bool,
    /// True when bytes behind its end are sound that was not decoded.
    pub(crate) is_all_sound: bool,
    /// The length that its header gives, in seconds.
    pub(crate) stated: Option<f64>,
}

/// The end of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PartEnd {
    /// The end that its header gives.
    #[default]
    Stated,
    /// The end of the bytes.
    OfBytes,
    /// Behind the end of the file, which was cut off: any error at its end comes from that.
    Missing,
}

/// The source of the bytes.
pub(crate) enum PartSource {
    /// A file with a container.
    Container(FileView),
    /// Frames without a container.
    Frames(FileView),
    /// The output of another decoder.
    Stream(Box<dyn MediaSource>),
}

impl RecordingPart {
    /// Returns a part of a recording of which nothing particular is known.
    pub(crate) fn new(source: PartSource) -> Self {
        let edits = Vec::new();
        Self {
            source,
            edits,
            has_times: false,
            end: PartEnd::Stated,
            is_without_places: false,
            is_all_sound: false,
            stated: None,
        }
    }
}
