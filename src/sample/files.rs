//! Sample lines as Parquet files at a place.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{CHUNK_ROWS, Spec, chunk, chunks, schema};
use crate::error::{Error, Result};
use crate::lake::Place;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Lines.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Their size in bytes.
    pub size_bytes: u64,
}

/// Writes `part-00000.parquet` and so on, each of about `rows_per_file` lines; the same spec gives the same bytes.
///
/// `advance` is told of lines as they are written.
///
/// # Errors
/// `Usage` when Parquet files are there already: they would be read together with the new ones.
pub async fn write(
    spec: &Spec,
    place: &Place,
    rows_per_file: u64,
    threads: usize,
    advance: impl Fn(u64),
) -> Result<Written> {
    if let Some(there) = place.list("").await?.iter().find(|f| f.name.ends_with(".parquet")) {
        return Err(Error::Usage(format!(
            "{} already holds {}; choose an empty --output or remove it",
            place.url(),
            there.name
        )));
    }
    let per_file = rows_per_file.div_ceil(CHUNK_ROWS).max(1);
    let files = chunks(spec).div_ceil(per_file).max(1);
    let written: Vec<Written> = futures::stream::iter(0..files)
        .map(|file| {
            let spec = spec.clone();
            async move {
                let (bytes, rows) = tokio::task::spawn_blocking(move || encode(&spec, file * per_file, per_file))
                    .await
                    .map_err(|e| Error::Bug(e.to_string()))??;
                let size_bytes = bytes.len() as u64;
                place.put(&format!("part-{file:05}.parquet"), bytes).await?;
                Ok::<_, Error>(Written { rows, files: 1, size_bytes })
            }
        })
        .buffer_unordered(threads.max(1))
        .inspect_ok(|w| advance(w.rows))
        .try_collect()
        .await?;
    Ok(written.iter().fold(Written::default(), |sum, w| Written {
        rows: sum.rows + w.rows,
        files: sum.files + w.files,
        size_bytes: sum.size_bytes + w.size_bytes,
    }))
}

/// One file of the chunks from `first` on.
fn encode(spec: &Spec, first: u64, count: u64) -> Result<(Bytes, u64)> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("harmonize {}", env!("CARGO_PKG_VERSION")))
        .set_max_row_group_row_count(Some(CHUNK_ROWS as usize * 2))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema(spec)), Some(properties))?;
    let mut rows = 0;
    for index in first..(first + count).min(chunks(spec)) {
        let batch = chunk(spec, index)?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    Ok((writer.into_inner()?.into(), rows))
}
