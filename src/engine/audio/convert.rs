//! A recording in another form, for a service that does not take its own: one ffmpeg decodes it,
//! another one writes what came out.
//!
//! Two, because only the first sees hostile bytes, and that one can write no file at all. The
//! second reads nothing but the sound that the first has decoded, and writes into one open file.
//! The same recording gives the same bytes.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::Instant,
};

use super::{
    AudioError,
    decode::TRACKS_MAX,
    error::NO_MEMORY_LEFT,
    ffmpeg::{
        Ffmpeg, FfmpegStreams, StartFfmpeg, decoding_arguments, limited_command, reached_limit,
        says_no_sound,
    },
    kind_of,
    sniff::FileKind,
    tracks::sound_tracks,
};
use crate::{
    engine::{memory_kills::MemoryKills, run::last_words},
    media_types::Headerless,
    text,
};

/// The form of a converted recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// AAC in MP4.
    M4a,
    /// FLAC.
    Flac,
}

impl Form {
    /// All forms, the better first: a day of talk as FLAC is a gigabyte.
    pub(crate) const ALL: [Self; 2] = [Self::M4a, Self::Flac];

    /// Returns the extension of such a file.
    #[must_use]
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::M4a => "m4a",
            Self::Flac => "flac",
        }
    }

    /// Returns ffmpeg's arguments for it. 64 kbit/s are more than speech of 16 kHz needs.
    fn encoder_arguments(self) -> [&'static str; 6] {
        match self {
            Self::M4a => ["-c:a", "aac", "-b:a", "64k", "-f", "ipod"],
            Self::Flac => ["-c:a", "flac", "-compression_level", "5", "-f", "flac"],
        }
    }
}

/// Bytes that may be written: forty hours of FLAC, a hundred of AAC.
const BYTES_MAX: u64 = 4 << 30;

/// Interval at which the growth of the file is checked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Time without growth after which a conversion is ended: the slowest machine decodes an hour in
/// that.
const STANDS_STILL: Duration = Duration::from_mins(10);

/// An error of a conversion, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvertError {
    /// The recording's own fault.
    #[error("cannot be converted: {reason}")]
    Undecodable {
        /// The reason.
        reason: String,
    },
    /// There is no sound in the recording.
    #[error("there is no sound in it")]
    NoSound,
    /// The machine or the service had no memory left: not the recording's fault.
    #[error("{NO_MEMORY_LEFT}")]
    NoMemory,
    /// ffmpeg died of it or stood still: the recording's own fault, perhaps.
    #[error("could not be converted: {how}")]
    Died {
        /// The way in which it ended.
        how: String,
    },
    /// The ffmpeg of this machine does not work, or cannot do this.
    #[error("ffmpeg does not work: {reason}")]
    Ffmpeg {
        /// The reason.
        reason: String,
    },
    /// There is no room for the converted recording, or it cannot be written.
    #[error("cannot write the converted recording: {reason}")]
    Disk {
        /// The reason.
        reason: String,
    },
    /// The recording cannot be read.
    #[error("cannot read the recording: {0}")]
    Source(#[source] io::Error),
}

/// Converts `source`, an open recording of any kind, into the open file `into`. `headerless` is
/// what its name says where its bytes have no mark. Dropping the future ends the work.
///
/// Not to be polled on a thread that ends before it: the kernel ends ffmpeg with the *thread* that
/// started it.
///
/// # Errors
/// [`ConvertError`]; the bytes written by then are of no use.
pub(crate) async fn convert(
    source: File,
    headerless: Option<Headerless>,
    program: &Path,
    into: &File,
    form: Form,
) -> Result<(), ConvertError> {
    let ffmpeg = Ffmpeg { command: limited_command(program, 0) };
    let (source, kind, streams) = tokio::task::spawn_blocking(move || {
        let mut source = source;
        let kind = kind_of(&mut source, headerless)?;
        let streams = streams_of(&source, kind, &ffmpeg)?;
        Ok((source, kind, streams))
    })
    .await
    .map_err(|error| ConvertError::Source(io::Error::other(error)))?
    .map_err(|error| match error {
        AudioError::Undecodable { reason } => ConvertError::Undecodable { reason },
        AudioError::NoSound => ConvertError::NoSound,
        AudioError::NeedsFfmpeg { what } => {
            ConvertError::Ffmpeg { reason: format!("it is needed for {what}") }
        }
        AudioError::Ffmpeg { reason } => ConvertError::Ffmpeg { reason },
        AudioError::NoMemory => ConvertError::NoMemory,
        AudioError::Io(error) => ConvertError::Source(error),
    })?;
    let started = |error: io::Error| ConvertError::Ffmpeg { reason: error.to_string() };
    let kills = MemoryKills::begin();
    let (mut decoder, mut encoder) =
        start_pair(source, program, into, &decoding_arguments(kind, streams), form)
            .map_err(started)?;
    let (Some(decoder_words), Some(encoder_words)) = (decoder.stderr.take(), encoder.stderr.take())
    else {
        return Err(started(io::ErrorKind::BrokenPipe.into()));
    };
    let ends = async {
        let (decoded, encoded, first, second) = tokio::join!(
            decoder.wait(),
            encoder.wait(),
            last_words(decoder_words),
            last_words(encoder_words)
        );
        let ends = [decoded.map_err(started)?, encoded.map_err(started)?];
        if ends.iter().any(|status| kills.explain(*status)) {
            return Err(ConvertError::NoMemory);
        }
        Ok((FfmpegExit::from_status(ends[0], &first), FfmpegExit::from_status(ends[1], &second)))
    };
    let (decoder, encoder) = tokio::select! {
        ends = ends => ends?,
        () = standing_still(into) => {
            let how = format!("ffmpeg stood still for {}", text::format_duration(STANDS_STILL));
            return Err(ConvertError::Died { how });
        }
    };
    judge_exits(&decoder, &encoder)
}

/// Returns which sound tracks are converted: all of them, mixed, for a service takes one.
fn streams_of(source: &File, kind: FileKind, ffmpeg: &Ffmpeg) -> Result<FfmpegStreams, AudioError> {
    let known = sound_tracks(source)?;
    let count = match known {
        Some(count) => count,
        // A program that cannot even list them will say why when it is to convert them.
        None => (ffmpeg as &dyn StartFfmpeg)
            .count_sound_streams(source, kind)
            .ok()
            .flatten()
            .unwrap_or(1),
    };
    if known == Some(0) {
        return Err(AudioError::NoSound);
    }
    let mut rewound = source;
    io::Seek::rewind(&mut rewound)?;
    Ok(if count > 1 { FfmpegStreams::Mixed(count.min(TRACKS_MAX)) } else { FfmpegStreams::First })
}

/// Starts the ffmpeg that decodes, and the one that encodes.
fn start_pair(
    source: File,
    program: &Path,
    into: &File,
    decoding: &[String],
    form: Form,
) -> io::Result<(Child, Child)> {
    fn start_limited<S: AsRef<OsStr>>(
        program: &Path,
        bytes_max: u64,
        arguments: &[S],
        input: Stdio,
        output: Stdio,
    ) -> io::Result<Child> {
        let limited = limited_command(program, bytes_max);
        let mut command = Command::new(&limited[0]);
        command.args(&limited[1..]).args(arguments).env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn()
    }
    let mut decoder = start_limited(program, 0, decoding, source.into(), Stdio::piped())?;
    let sound: Stdio = decoder.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.try_into()?;
    let encoder = start_limited(
        program,
        BYTES_MAX,
        &encoding_arguments(form),
        sound,
        into.try_clone()?.into(),
    )?;
    Ok((decoder, encoder))
}

/// Returns the arguments of the ffmpeg that encodes. MP4 needs a file that can be sought in: the
/// open one, by its name below `/proc`, which every ffmpeg knows how to open. Nothing of the time
/// or the version goes into it.
fn encoding_arguments(form: Form) -> Vec<&'static str> {
    let mut arguments = vec!["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1"];
    arguments.extend(["-protocol_whitelist", "pipe", "-f", "wav", "-i", "pipe:0"]);
    arguments.extend(["-map", "0:a:0", "-map_metadata", "-1", "-threads", "1"]);
    arguments.extend(["-fflags", "+bitexact", "-flags:a", "+bitexact"]);
    arguments.extend(form.encoder_arguments());
    arguments.extend(["-y", "file:/proc/self/fd/1"]);
    arguments
}

/// Returns when a file has not grown for [`STANDS_STILL`].
async fn standing_still(file: &File) {
    let length = || file.metadata().map_or(0, |metadata| metadata.len());
    let mut before = length();
    let mut since = Instant::now();
    while since.elapsed() < STANDS_STILL {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = length();
        if now != before {
            before = now;
            since = Instant::now();
        }
    }
}

/// The end of one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FfmpegExit {
    status: Option<i32>,
    signal: Option<i32>,
    words: String,
    /// The limit of its own that it came to, in words.
    limit: Option<String>,
}

impl FfmpegExit {
    fn from_status(status: ExitStatus, words: &str) -> Self {
        let limit = reached_limit(status, words);
        Self {
            status: status.code(),
            signal: status.signal(),
            words: text::one_line(words, 300),
            limit,
        }
    }

    fn is_well(&self) -> bool {
        self.status == Some(0)
    }

    /// Returns whether the reader of its output was gone.
    fn is_unheard(&self) -> bool {
        /// `SIGPIPE`
        const PIPE: i32 = 13;
        self.signal == Some(PIPE) || self.words.contains("Broken pipe")
    }

    /// Returns whether the recording is not the cause: the program could not begin, or knows no
    /// such form.
    fn never_began(&self) -> bool {
        let words =
            ["Unknown encoder", "Unrecognized option", "error while loading shared libraries"];
        matches!(self.status, Some(126 | 127)) || words.iter().any(|word| self.words.contains(word))
    }

    fn error_message(&self) -> String {
        match (self.words.as_str(), self.signal, self.status) {
            ("", Some(signal), _) => format!("ffmpeg ended by signal {signal}"),
            ("", None, status) => format!("ffmpeg ended with {}", status.unwrap_or_default()),
            (words, ..) => words.to_owned(),
        }
    }
}

/// Returns the result of both ends. The reader stops when the writer does, and the other way round:
/// the one that did not merely lose the other is to blame.
fn judge_exits(decoder: &FfmpegExit, encoder: &FfmpegExit) -> Result<(), ConvertError> {
    if decoder.is_well() && encoder.is_well() {
        return Ok(());
    }
    if let Some(end) = [decoder, encoder].into_iter().find(|end| end.never_began()) {
        return Err(ConvertError::Ffmpeg { reason: end.error_message() });
    }
    if says_no_sound(&decoder.words) {
        return Err(ConvertError::NoSound);
    }
    let full =
        ["No space left", "Disk quota exceeded", "Input/output error", "Read-only file system"];
    if full.iter().any(|words| encoder.words.contains(words)) {
        return Err(ConvertError::Disk { reason: encoder.error_message() });
    }
    if encoder.words.contains("File too large") || encoder.signal == Some(25) {
        let reason = format!("it would be longer than {BYTES_MAX} bytes");
        return Err(ConvertError::Undecodable { reason });
    }
    if let Some(how) = [decoder, encoder].into_iter().find_map(|end| end.limit.clone()) {
        return Err(ConvertError::Died { how });
    }
    let to_blame = if decoder.is_well() || decoder.is_unheard() { encoder } else { decoder };
    Err(match to_blame.signal {
        Some(_) => ConvertError::Died { how: to_blame.error_message() },
        None if std::ptr::eq(to_blame, encoder) => {
            ConvertError::Died { how: to_blame.error_message() }
        }
        None => ConvertError::Undecodable { reason: to_blame.error_message() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(status: Option<i32>, signal: Option<i32>, words: &str) -> FfmpegExit {
        FfmpegExit { status, signal, words: words.to_owned(), limit: None }
    }

    #[test]
    fn the_one_that_did_not_merely_lose_the_other_is_to_blame() {
        let well = end(Some(0), None, "");
        let judge = |decoder: &FfmpegExit, encoder: &FfmpegExit| {
            judge_exits(decoder, encoder).map_err(|error| error.to_string())
        };
        assert_eq!(judge(&well, &well), Ok(()));
        let damaged = end(Some(1), None, "Invalid data found when processing input");
        let deaf = end(Some(1), None, "pipe:0: Invalid data found when processing input");
        assert_eq!(
            judge(&damaged, &deaf),
            Err("cannot be converted: Invalid data found when processing input".to_owned())
        );
        let full = end(Some(1), None, "av_interleaved_write_frame(): No space left on device");
        for unheard in
            [end(None, Some(13), ""), end(Some(1), None, "Error writing trailer: Broken pipe")]
        {
            assert!(matches!(judge_exits(&unheard, &full), Err(ConvertError::Disk { .. })));
        }
        assert!(matches!(
            judge_exits(&end(None, Some(9), ""), &well),
            Err(ConvertError::Died { .. })
        ));
        assert!(matches!(
            judge_exits(&well, &end(Some(1), None, "x")),
            Err(ConvertError::Died { .. })
        ));
        assert!(matches!(
            judge_exits(&end(Some(127), None, ""), &deaf),
            Err(ConvertError::Ffmpeg { .. })
        ));
        let old = end(Some(1), None, "Unknown encoder 'aac'");
        assert!(matches!(
            judge_exits(&end(None, Some(13), ""), &old),
            Err(ConvertError::Ffmpeg { .. })
        ));
        assert!(matches!(
            judge_exits(&well, &end(None, Some(25), "")),
            Err(ConvertError::Undecodable { .. })
        ));
    }

    #[test]
    fn the_one_that_writes_hears_one_pipe_and_puts_nothing_of_today_into_its_file() {
        insta::assert_snapshot!(encoding_arguments(Form::M4a).join(" "), @"-hide_banner -nostdin -loglevel error -threads 1 -protocol_whitelist pipe -f wav -i pipe:0 -map 0:a:0 -map_metadata -1 -threads 1 -fflags +bitexact -flags:a +bitexact -c:a aac -b:a 64k -f ipod -y file:/proc/self/fd/1");
    }
}
