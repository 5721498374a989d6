//! Media made byte by byte, one file for each container: no test needs ffmpeg to have a recording.
