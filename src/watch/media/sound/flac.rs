//! The sound of a FLAC file: everything behind its blocks of metadata.

use super::{Obscure, Opened, before_tags, params, wav::WavPieces, window::Window};
use crate::watch::media::flac::FlacBlocks;

/// Bytes of a piece: frames are not told apart, and none is like another, because each has its number in it.
const PIECE: u64 = 16 * 1024;

pub(super) fn open(
    mut window: Window<'_>,
    at: u64,
    len: u64,
) -> Result<Option<Opened<'_>>, Obscure> {
    let Some(blocks) = FlacBlocks::read(&mut window, at + 4, len)? else { return Ok(None) };
    let (Some(begin), Some(params)) = (blocks.sound, params::flac(&blocks.stream)) else {
        return Ok(None);
    };
    let end = before_tags(&mut window, len)?;
    Ok(Some(Opened::new(vec![params.done()], WavPieces { at: begin, end, piece: PIECE })))
}
