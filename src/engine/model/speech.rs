//! A moment of speech, to test an installed engine.

/// Speech: one sentence, 2.6 s, FLAC, 16 kHz, one channel.
///
/// From the `LibriVox` reading of "Sense and Sensibility" (Jane Austen), chapter 1, which is in the
/// public domain, by way of Debian's `pocketsphinx-testdata`
/// (`sense_and_sensibility_01_austen_64kb-0880.wav`, 0.24–2.84 s, 6 dB less loud).
pub(crate) const SPEECH: &[u8] = include_bytes!("speech.flac");

/// The words of [`SPEECH`], in lower case.
pub(crate) const WORDS: &str = "he was not an ill disposed young man";
