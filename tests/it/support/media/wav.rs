//! WAV: chunks with the sizes that a test wants.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the name of a chunk is written as it stands in the file"
)]

/// Returns a chunk that says it has `stated` bytes, whatever it has.
pub(crate) fn chunk(name: &[u8; 4], stated: u32, content: &[u8]) -> Vec<u8> {
    let padding = vec![0; content.len() % 2];
    [&name[..], &stated.to_le_bytes(), content, &padding].concat()
}

/// Returns a chunk that says how many bytes it has.
pub(crate) fn whole_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    chunk(name, size(content), content)
}

/// Returns the chunk `fmt ` of PCM of 16 bits.
pub(crate) fn pcm_format(rate: u32, channels: u16) -> Vec<u8> {
    let mut format = [1_u16.to_le_bytes(), channels.to_le_bytes()].concat();
    format.extend(rate.to_le_bytes());
    format.extend((rate * u32::from(channels) * 2).to_le_bytes());
    format.extend([(channels * 2).to_le_bytes(), 16_u16.to_le_bytes()].concat());
    whole_chunk(b"fmt ", &format)
}

/// Returns a file of these chunks that says it has `stated` bytes.
pub(crate) fn riff(mark: &[u8; 4], stated: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    [&mark[..], &stated.to_le_bytes(), b"WAVE", &chunks.concat()].concat()
}

/// Returns a file of these chunks that says how many bytes it has.
pub(crate) fn whole_riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff(b"RIFF", size(&chunks.concat()) + 4, chunks)
}

/// Returns samples as the bytes of PCM of 16 bits.
pub(crate) fn pcm(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn size(content: &[u8]) -> u32 {
    u32::try_from(content.len()).expect("a short recording")
}
