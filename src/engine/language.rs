//! The language of a recording: it is detected on the first speech, before the first word is recognised.
//!
//! The whole recording is then heard in that language: a single piece is too short to tell. The language is kept with
//! the pieces, so that another run goes on with it.

use super::{
    RATE,
    audio::{Audio, AudioError},
    speech::{SpeechListener, listen_to_planes},
};

/// Samples of speech on which a language is detected: 30 s, as much as whisper hears at once.
const SPEECH_MAX: usize = 30 * RATE as usize;

/// Samples of sound in which speech is looked for, an hour: nobody waits for the end of a silent day.
const SEARCHED_MAX: u64 = 3600 * RATE as u64;

/// Returns the first speech of a recording that was just opened, without the silence in between; may be empty.
pub(super) fn first_speech(audio: &mut Audio) -> Result<Vec<f32>, AudioError> {
    let mut listeners: Vec<SpeechListener> = Vec::new();
    let mut speech = Vec::new();
    while speech.len() < SPEECH_MAX && audio.given() < SEARCHED_MAX {
        let planes = audio.listen()?;
        match &planes {
            Some(planes) => listen_to_planes(&mut listeners, planes),
            None => listeners.iter_mut().for_each(SpeechListener::finish_piece),
        }
        for piece in listeners.iter_mut().flat_map(SpeechListener::take_pieces) {
            speech.extend_from_slice(&piece.sound);
        }
        if planes.is_none() {
            break;
        }
    }
    speech.truncate(SPEECH_MAX);
    Ok(speech)
}
