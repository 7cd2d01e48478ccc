//! The texts that were decided on, by their digests.
//!
//! Always holds: a text that is given has the digest that it was asked for by. It comes from a description that a prediction of the
//! lake has stored, or else from the line's place in its file, wherever that still holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::cast;
use datafusion::prelude::{SessionContext, ident};
use futures::StreamExt;

use super::rows::texts;
use crate::error::{Error, Result};
use crate::lake::{InputTable, Place, SOURCE_ROW, Source, SourceOptions};
use crate::sql::text_of;
use crate::text;

/// Descriptions that the lake has stored of the texts that were decided on.
const STORED: &str = "
SELECT text_digest, description FROM predictions
WHERE description IS NOT NULL AND text_digest IN (SELECT text_digest FROM decisions)";

/// One line of every text that was decided on, in each file that had it.
const LINES: &str = "
SELECT p.source_file, r.text_column, p.text_digest, min(p.source_row) AS source_row
FROM predictions AS p
JOIN runs AS r ON r.run_id = p.run_id
WHERE p.text_digest IN (SELECT text_digest FROM decisions)
GROUP BY p.source_file, r.text_column, p.text_digest";

/// Texts that are looked for.
struct Wanted<'a> {
    digests: BTreeSet<&'a str>,
    found: HashMap<String, String>,
    normalised: String,
}

impl Wanted<'_> {
    fn lacks(&self, digest: &str) -> bool {
        self.digests.contains(digest) && !self.found.contains_key(digest)
    }

    /// Takes the text of a description, if it is the one with this digest: a stored one may be cut, a line rewritten.
    fn offer(&mut self, digest: &str, description: &str) {
        if !self.lacks(digest) {
            return;
        }
        text::normalise(description, &mut self.normalised);
        if !self.normalised.is_empty() && text::digest(&self.normalised).to_string() == digest {
            self.found.insert(digest.to_string(), self.normalised.clone());
        }
    }
}

/// The normalised texts of some digests, as far as they can still be read.
///
/// # Errors
/// Those of the store; a file that is gone or cannot be read is none.
pub(super) async fn find<'d>(
    context: &SessionContext,
    digests: impl Iterator<Item = &'d String>,
) -> Result<HashMap<String, String>> {
    let digests: BTreeSet<&str> = digests.map(String::as_str).collect();
    let mut wanted = Wanted { digests, found: HashMap::new(), normalised: String::new() };
    let mut stored = context.sql(STORED).await?.execute_stream().await?;
    while let Some(batch) = stream_next(&mut stored).await? {
        let (digests, descriptions) = (texts(&batch, 0)?, texts(&batch, 1)?);
        for row in 0..batch.num_rows() {
            wanted.offer(digests.value(row), descriptions.value(row));
        }
    }
    if wanted.found.len() < wanted.digests.len() {
        for ((file, column), lines) in lines_of(context, &wanted).await? {
            read(&file, &column, &lines, &mut wanted).await?;
        }
    }
    Ok(wanted.found)
}

/// Rows of a file, each with the digest of the text that it had.
type Lines = BTreeMap<i64, String>;

/// Where texts that are not stored may stand: by file and text column.
async fn lines_of(context: &SessionContext, wanted: &Wanted<'_>) -> Result<BTreeMap<(String, String), Lines>> {
    let mut files: BTreeMap<(String, String), Lines> = BTreeMap::new();
    let mut lines = context.sql(LINES).await?.execute_stream().await?;
    while let Some(batch) = stream_next(&mut lines).await? {
        let [file, column, digest] = [0, 1, 2].map(|at| texts(&batch, at));
        let (file, column, digest) = (file?, column?, digest?);
        let place = batch.column(3).as_primitive::<Int64Type>();
        for row in (0..batch.num_rows()).filter(|row| wanted.lacks(digest.value(*row))) {
            let of_file = files.entry((file.value(row).to_string(), column.value(row).to_string())).or_default();
            of_file.insert(place.value(row), digest.value(row).to_string());
        }
    }
    Ok(files)
}

/// Looks at these rows of a file for texts that are still missing.
async fn read(file: &str, column: &str, lines: &Lines, wanted: &mut Wanted<'_>) -> Result<()> {
    if lines.values().all(|digest| !wanted.lacks(digest)) {
        return Ok(());
    }
    let place = Place::open(file)?;
    if place.head(place.prefix()).await?.is_none() {
        return Ok(());
    }
    let options = SourceOptions { text: column.to_string(), quarantine: true };
    let source = match Source::pin(&[file.to_string()], options).await {
        Ok(source) => source,
        Err(Error::Input(why)) => {
            tracing::info!(file, why, "a file that was decided on cannot be read any more");
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let context = SessionContext::new();
    let rows = context.read_table(Arc::new(InputTable::new(source)))?;
    let description = cast(text_of().call(vec![ident(column)]), DataType::Utf8);
    let mut rows = rows.select(vec![ident(SOURCE_ROW), description.alias("description")])?.execute_stream().await?;
    while let Some(batch) = stream_next(&mut rows).await? {
        let (places, descriptions) = (batch.column(0).as_primitive::<Int64Type>(), texts(&batch, 1)?);
        for row in (0..batch.num_rows()).filter(|row| descriptions.is_valid(*row)) {
            if let Some(digest) = lines.get(&places.value(row)) {
                wanted.offer(digest, descriptions.value(row));
            }
        }
    }
    Ok(())
}

/// The next batch of a stream.
async fn stream_next(
    stream: &mut datafusion::execution::SendableRecordBatchStream,
) -> Result<Option<arrow::array::RecordBatch>> {
    Ok(stream.next().await.transpose()?)
}
