//! Media made byte by byte, one file for each container: no test needs ffmpeg to have a recording.

pub(crate) mod mkv;
pub(crate) mod mov;
pub(crate) mod mp3;
pub(crate) mod wav;
