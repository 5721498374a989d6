//! What the process before this one died of, if it died while it was parsing a file.

use crate::{
    clock,
    last_words::{LastWords, Parsed},
    store::{CRASHES_MAX, Store, StoreError},
    text::printable_path,
};

/// Charges the files that were being parsed when minuted died. A mark goes only when its charge is durable.
pub(super) async fn charge_crash(queue: &Store, last_words: &LastWords) -> Result<(), StoreError> {
    let left = match last_words.left() {
        Ok(left) => left,
        Err(error) => {
            tracing::warn!("failed to read what minuted was parsing when it stopped: {error}");
            return Ok(());
        }
    };
    for parsed in left {
        let Parsed { folder, path, .. } = &parsed;
        let shown = format!("`{}` (folder `{folder}`)", printable_path(path));
        let times = queue.files().count_crash(&parsed, clock::now()).await?;
        if times < CRASHES_MAX {
            tracing::warn!(
                "minuted died while it looked into {shown}: {times} of {CRASHES_MAX} times"
            );
        } else {
            tracing::error!(
                "minuted died {times} times while it looked into {shown}: it is set aside"
            );
        }
    }
    if let Err(error) = last_words.clear() {
        tracing::warn!("failed to take back the marks of a crash: {error}");
    }
    Ok(())
}
