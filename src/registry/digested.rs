//! A file of a bundle with its digest.

use std::os::unix::fs::FileExt;

use object_store::GetResultPayload;

use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::Digested;

/// Reads a file of at most `max_bytes`; `None` when there is none. One on disk is digested while it is read.
pub(super) async fn digested(folder: &Place, rel: &str, max_bytes: u64) -> Result<Option<Digested>> {
    let Some(found) = folder.find_bounded(rel, max_bytes).await? else { return Ok(None) };
    let name = || format!("{}/{rel}", folder.url());
    let range = found.range.clone();
    let GetResultPayload::File(file, _) = found.payload else {
        return Ok(Some(Digested::of(found.bytes().await.context(name)?)));
    };
    let len = usize::try_from(range.end - range.start).map_err(|e| Error::Input(format!("{}: {e}", name())))?;
    let read = move || {
        let mut at = range.start;
        Digested::read(len, |piece| {
            let from = at;
            at += piece.len() as u64;
            file.read_exact_at(piece, from)
        })
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|e| Error::Bug(format!("{}: {e}", name())))?;
    Ok(Some(read.context(name)?))
}
