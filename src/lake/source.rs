//! The input of a run: Parquet files, found once and pinned by size and ETag.
//!
//! Pinning reads every footer, so the schema, the number of rows and unreadable files are known before any work.
//! A pinned source never changes what it reads: a file that was replaced meanwhile is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::Place;
use super::reader::{PinnedReader, with_raw_text};
use crate::error::{Context, Error, Result};

/// Footers read at once.
const CONCURRENT_FOOTERS: usize = 16;

/// What to look for.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Name of the description column; it is read as raw bytes.
    pub text: String,
    /// Whether an unreadable file is set aside (`quarantine`) or ends the run.
    pub quarantine: bool,
}

/// One input file at one size and ETag.
#[derive(Clone, Debug)]
pub struct PinnedFile {
    /// Where it is.
    pub url: String,
    /// Rows by its footer.
    pub rows: u64,
    pub(super) reader: PinnedReader,
}

impl PinnedFile {
    /// Size in bytes when it was pinned.
    pub fn size_bytes(&self) -> u64 {
        self.reader.size_bytes
    }

    /// ETag when it was pinned, where the store gives one.
    pub fn e_tag(&self) -> Option<&str> {
        self.reader.e_tag.as_deref()
    }

    /// Nulls of a column by the statistics of the footer, which need not have them. What is not in the file is null in all
    /// its rows.
    fn nulls(&self, column: &str) -> Option<u64> {
        let metadata = self.metadata();
        let there = metadata.file_metadata().schema_descr().root_schema().get_fields();
        if !there.iter().any(|field| field.name() == column) {
            return Some(self.rows);
        }
        let of_group = |group: &RowGroupMetaData| {
            let chunk = group.columns().iter().find(|chunk| chunk.column_path().parts() == [column])?;
            let required = chunk.column_descr().max_def_level() == 0;
            if required { Some(0) } else { chunk.statistics()?.null_count_opt() }
        };
        metadata.row_groups().iter().map(of_group).sum()
    }

    fn metadata(&self) -> &ParquetMetaData {
        // Invariant: `pin_file` is the only constructor and sets it.
        match &self.reader.metadata {
            Some(metadata) => metadata,
            None => unreachable!("a pinned file has its footer"),
        }
    }
}

/// A file that could not be read, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct BadFile {
    /// Where it is.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Rows by its footer, when that could be read.
    pub rows: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for BadFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.rows.map_or_else(|| "unknown".to_string(), |r| r.to_string());
        write!(f, "{} ({} bytes, rows: {rows}): {}", self.url, self.size_bytes, self.reason)
    }
}

/// Files to read, with their common schema.
#[derive(Clone, Debug)]
pub struct Source {
    options: SourceOptions,
    files: Vec<PinnedFile>,
    bad: Vec<BadFile>,
    schema: SchemaRef,
}

impl Source {
    /// Finds, reads the footers of, and pins the Parquet files at `locations`.
    ///
    /// A location is one file or a folder, which is searched recursively for `*.parquet`; names that begin with
    /// `_` or `.` are markers of other programs and are passed over. In a folder that is a Delta table only the
    /// files of its current version count.
    ///
    /// # Errors
    /// `Input` when there is nothing to read, when a file lacks the text column or disagrees with the others in a
    /// column's type, and, unless in quarantine mode, when a file cannot be read.
    pub async fn pin(locations: &[String], options: SourceOptions) -> Result<Source> {
        let mut found: Vec<(Place, ObjectMeta)> = Vec::new();
        let mut seen = BTreeSet::new();
        for location in locations {
            let place = Place::open(location)?;
            for meta in discover(&place).await.context(|| format!("cannot list {location}"))? {
                if seen.insert(place.url_of(&meta.location)) {
                    found.push((place.clone(), meta));
                }
            }
        }
        if found.is_empty() {
            return Err(Error::Input(format!(
                "no Parquet files at {}; --input takes files or folders that hold *.parquet",
                locations.join(", ")
            )));
        }
        let pinned: Vec<Result<PinnedFile, BadFile>> = futures::stream::iter(found)
            .map(|(place, meta)| pin_file(place, meta, &options.text))
            .buffered(CONCURRENT_FOOTERS)
            .try_collect()
            .await?;
        let (mut files, mut bad) = (Vec::new(), Vec::new());
        for file in pinned {
            match file {
                Ok(file) => files.push(file),
                Err(file) => bad.push(file),
            }
        }
        if (!options.quarantine || files.is_empty()) && !bad.is_empty() {
            return Err(refuse(&bad));
        }
        files.sort_by(|a, b| a.url.cmp(&b.url));
        let schema = common_schema(&files)?;
        Ok(Source { options, files, bad, schema })
    }

    /// The same source with only those of its files that are wanted.
    pub fn only(&self, wanted: impl Fn(&PinnedFile) -> bool) -> Source {
        Source { files: self.files.iter().filter(|file| wanted(file)).cloned().collect(), ..self.clone() }
    }

    /// Files that will be read, by URL.
    pub fn files(&self) -> &[PinnedFile] {
        &self.files
    }

    /// Files set aside.
    pub fn bad(&self) -> &[BadFile] {
        &self.bad
    }

    /// Columns of the files; the text column as `BinaryView`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Nulls of a column in all files; `None` when the statistics of one of them do not say, or the column is nested.
    pub fn nulls(&self, column: &str) -> Option<u64> {
        self.files.iter().map(|file| file.nulls(column)).sum()
    }

    /// Name of the description column.
    pub fn text(&self) -> &str {
        &self.options.text
    }

    /// Rows by the footers of the files that will be read.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }

    /// Bytes of the files that will be read.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(PinnedFile::size_bytes).sum()
    }

    /// That `column` exists.
    ///
    /// # Errors
    /// `Input`, with the columns there are and the flag that chooses.
    pub fn require(&self, column: &str, flag: &str) -> Result<()> {
        if self.schema.column_with_name(column).is_some() {
            return Ok(());
        }
        let there: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        Err(Error::Input(format!("no column \"{column}\"; there are: {}; choose one with {flag}", there.join(", "))))
    }

    /// That every file is still the one that was pinned.
    ///
    /// # Errors
    /// `Input`, naming the first that is not.
    pub async fn recheck(&self) -> Result<()> {
        futures::stream::iter(&self.files)
            .map(|file| async move {
                let now = match object_store::ObjectStoreExt::head(&file.reader.store, &file.reader.path).await {
                    Ok(now) => now,
                    Err(object_store::Error::NotFound { .. }) => {
                        return Err(Error::Input(format!(
                            "{} was removed during the run; nothing was made visible; run again",
                            file.url
                        )));
                    }
                    Err(e) => return Err(e).context(|| &file.url),
                };
                if now.size != file.size_bytes() || now.e_tag != file.reader.e_tag {
                    return Err(Error::Input(format!(
                        "{} was replaced during the run; nothing was made visible; run again to read the new one",
                        file.url
                    )));
                }
                Ok(())
            })
            .buffer_unordered(CONCURRENT_FOOTERS)
            .try_collect()
            .await
    }

    /// Decodes `columns` of every file and sets aside those that fail: the slow way, taken once a scan has failed.
    ///
    /// # Errors
    /// Unless in quarantine mode, `Input` naming every bad file. Trouble of the store itself is passed on.
    pub async fn examine(mut self, columns: &[String]) -> Result<Source> {
        let mut good = Vec::new();
        for file in std::mem::take(&mut self.files) {
            let reader = file.reader.clone();
            let columns = columns.to_vec();
            // In a task of its own: a corrupt page may make the decoder panic.
            let reason = match tokio::spawn(async move { decode(reader, &columns).await }).await {
                Ok(Ok(rows)) if rows == file.rows => None,
                Ok(Ok(rows)) => Some(format!("the footer promises {} rows, {rows} can be read", file.rows)),
                Ok(Err(Error::Input(reason))) => Some(reason),
                Ok(Err(e)) => return Err(e).context(|| &file.url),
                Err(_) => Some("the Parquet decoder gave up on it".to_string()),
            };
            match reason {
                None => good.push(file),
                Some(reason) => self.bad.push(BadFile {
                    url: file.url.clone(),
                    size_bytes: file.size_bytes(),
                    rows: Some(file.rows),
                    reason,
                }),
            }
        }
        self.files = good;
        if !self.options.quarantine && !self.bad.is_empty() {
            return Err(refuse(&self.bad));
        }
        Ok(self)
    }
}

fn refuse(bad: &[BadFile]) -> Error {
    let list: Vec<String> = bad.iter().map(|b| format!("\n  {b}")).collect();
    Error::Input(format!(
        "{} file(s) cannot be read:{}\nnothing was made visible; replace them, or set them aside with \
         --on-bad-file quarantine",
        bad.len(),
        list.concat()
    ))
}

/// Files at a place that a run would read.
async fn discover(place: &Place) -> Result<Vec<ObjectMeta>> {
    // On disk a folder answers neither as an object nor with an error that says what it is, so ask it by kind.
    let may_be_file = !place.is_local() || !place.url().to_file_path().is_ok_and(|p| p.is_dir());
    let may_be_file = may_be_file && !place.prefix().as_ref().is_empty();
    if may_be_file && let Some(meta) = place.head(place.prefix()).await? {
        return Ok(vec![meta]);
    }
    let root = place.prefix().as_ref().len();
    let objects = place.objects("").await?;
    let relative = |meta: &ObjectMeta| meta.location.as_ref()[root..].trim_start_matches('/').to_string();
    let is_delta = objects.iter().any(|o| relative(o).starts_with("_delta_log/"));
    let live = if is_delta { Some(super::log::live_files(place).await?) } else { None };
    if let Some(live) = &live {
        let there: BTreeSet<String> = objects.iter().map(relative).collect();
        if let Some(lost) = live.iter().find(|name| !there.contains(*name)) {
            return Err(Error::Input(format!(
                "{} is a Delta table whose current version names {lost}, which is not there; repair the table first",
                place.url()
            )));
        }
    }
    Ok(objects
        .into_iter()
        .filter(|meta| {
            let name = relative(meta);
            let marker = name.split('/').any(|part| part.starts_with(['_', '.']));
            match &live {
                Some(live) => live.contains(&name),
                None => !marker && name.to_ascii_lowercase().ends_with(".parquet"),
            }
        })
        .collect())
}

async fn pin_file(place: Place, meta: ObjectMeta, text: &str) -> Result<Result<PinnedFile, BadFile>> {
    let url = place.url_of(&meta.location);
    let bad = |reason: String| BadFile { url: url.clone(), size_bytes: meta.size, rows: None, reason };
    if meta.size == 0 {
        return Ok(Err(bad("it is empty (0 bytes)".into())));
    }
    let mut reader = PinnedReader {
        store: Arc::clone(place.store()),
        path: meta.location.clone(),
        size_bytes: meta.size,
        e_tag: meta.e_tag.clone(),
        metadata: None,
    };
    let metadata = match reader.footer().await.map_err(Error::from) {
        Ok(metadata) => metadata,
        Err(Error::Input(reason)) => return Ok(Err(bad(reason))),
        Err(e) => return Err(e).context(|| url),
    };
    let metadata = with_raw_text(metadata, text).context(|| &url)?;
    let rows = u64::try_from(metadata.file_metadata().num_rows());
    let Ok(rows) = rows else {
        return Ok(Err(bad("its footer gives a negative number of rows".into())));
    };
    reader.metadata = Some(Arc::new(metadata));
    Ok(Ok(PinnedFile { url, rows, reader }))
}

/// The columns that the files have between them; a column that a file lacks reads as null.
fn common_schema(files: &[PinnedFile]) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut from: Vec<&str> = Vec::new();
    for file in files {
        let meta = file.metadata().file_metadata();
        let schema = parquet_to_arrow_schema(meta.schema_descr(), None).context(|| &file.url)?;
        for field in schema.fields() {
            let field = Field::new(field.name(), view(field.data_type()), true);
            match fields.iter().position(|f| f.name() == field.name()) {
                None => {
                    fields.push(Arc::new(field));
                    from.push(&file.url);
                }
                Some(i) if fields[i].data_type() == field.data_type() => {}
                Some(i) => {
                    return Err(Error::Input(format!(
                        "column \"{}\" is {} in {} and {} in {}; rewrite one, or read them in two runs",
                        field.name(),
                        fields[i].data_type(),
                        from[i],
                        field.data_type(),
                        file.url
                    )));
                }
            }
        }
    }
    Ok(Arc::new(Schema::new(Fields::from(fields))))
}

/// Strings and bytes as views, which the Parquet reader makes without copying.
fn view(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// Reads every value of `columns`, checking page CRCs where the file has them; rows read.
async fn decode(reader: PinnedReader, columns: &[String]) -> Result<u64> {
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
    let mut stream = builder.with_projection(mask).build()?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}
