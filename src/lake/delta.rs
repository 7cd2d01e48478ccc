//! Delta tables at a place: opened, created, written to, read by DataFusion.
//!
//! The log store is Delta's own default one over our object store; commits are create-if-absent PUTs, so no lock
//! service and no vendor SDK are needed. Data files become visible through [`Table::append`] alone.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use delta_kernel::expressions::Scalar;
use delta_kernel::table_properties::DataSkippingNumIndexedCols;
use deltalake::datafile::writer::{PartitionWriter, PartitionWriterConfig};
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, StructField, StructType, Transaction};
use deltalake::logstore::{LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use indexmap::IndexMap;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use url::Url;

use super::Place;
use super::commit::{Nonce, Outcome};
use crate::error::{Context, Error, Result};

/// A Delta table at one version.
#[derive(Clone, Debug)]
pub struct Table {
    place: Place,
    inner: DeltaTable,
}

/// A data file that has been written and is not yet visible.
#[derive(Clone, Debug)]
pub struct NewFile {
    add: Add,
    rows: u64,
}

impl NewFile {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Size in bytes.
    pub fn size_bytes(&self) -> u64 {
        u64::try_from(self.add.size).unwrap_or(0)
    }
}

/// Identity that a commit carries.
#[derive(Clone, Debug)]
pub struct RunTag {
    /// Equal fingerprints are the same run: the second one is a no-op.
    pub fingerprint: String,
    /// Tells this attempt's commit from an equal one of another process.
    pub nonce: Nonce,
}

/// How data files are written.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// Value of the partition column `run_date`, in days since 1970-01-01; `None` for an unpartitioned table.
    pub run_date: Option<i32>,
    /// Size at which a file is closed and the next begun, in bytes.
    pub target_file_bytes: u64,
    /// Columns whose minimum and maximum go into the log; others are left out to keep it small.
    pub stats_columns: Vec<String>,
}

impl Table {
    /// Opens the table at `place`; `None` when there is none.
    pub async fn open(place: &Place) -> Result<Option<Table>> {
        let mut inner = handle(place)?;
        match inner.load().await {
            Ok(()) => Ok(Some(Table { place: place.clone(), inner })),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(e) => {
                // The kernel reports an empty folder in several ways: ask the store itself.
                if place.objects("_delta_log").await?.is_empty() {
                    return Ok(None);
                }
                Err(e).context(|| format!("cannot open the table {}", place.url()))
            }
        }
    }

    /// Opens the table at `place`, creating it empty when there is none.
    ///
    /// # Errors
    /// `Input` when a table of another shape is there.
    pub async fn open_or_create(place: &Place, schema: &Schema, partition_by: &[&str], about: &str) -> Result<Table> {
        for _ in 0..3 {
            if let Some(table) = Table::open(place).await? {
                table.check_schema(schema)?;
                return Ok(table);
            }
            if place.is_local()
                && let Ok(folder) = place.url().to_file_path()
            {
                std::fs::create_dir_all(&folder).context(|| format!("cannot create {}", folder.display()))?;
            }
            let kernel = StructType::try_from_arrow_schema(schema)?;
            let created = CreateBuilder::new()
                .with_log_store(handle(place)?.log_store())
                .with_columns(kernel)
                .with_partition_columns(partition_by.iter().copied())
                .with_comment(about)
                .with_save_mode(SaveMode::ErrorIfExists)
                .await;
            match created {
                Ok(inner) => return Ok(Table { place: place.clone(), inner }),
                // Another process may have created it meanwhile: look again.
                Err(e) => {
                    let e = Error::from(e);
                    if matches!(e, Error::Credentials(_) | Error::Resources(_)) {
                        return Err(e).context(|| format!("cannot create the table {}", place.url()));
                    }
                    if Table::open(place).await?.is_none() {
                        return Err(e).context(|| format!("cannot create the table {}", place.url()));
                    }
                }
            }
        }
        Err(Error::RaceLost(format!("{}: the table comes and goes; run again", place.url())))
    }

    /// Where the table is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The version that is held.
    pub fn version(&self) -> u64 {
        self.inner.version().unwrap_or(0)
    }

    /// Columns of the table.
    pub fn schema(&self) -> Result<SchemaRef> {
        Ok(self.inner.snapshot()?.snapshot().arrow_schema())
    }

    /// A DataFusion table of the version that is held.
    pub async fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        Ok(self.inner.table_provider().await?)
    }

    /// Moves to the newest version.
    pub async fn refresh(&mut self) -> Result<()> {
        self.inner.update_state().await.context(|| format!("cannot read the log of {}", self.place.url()))
    }

    /// The nonce under which a run with this fingerprint was committed; `None` when none was.
    pub async fn committed(&self, fingerprint: &str) -> Result<Option<Nonce>> {
        let log_store = self.inner.log_store();
        let version = self.inner.snapshot()?.transaction_version(log_store.as_ref(), fingerprint).await?;
        Ok(version.map(Nonce))
    }

    /// What the commit of a fingerprint carried in its metadata under `key`.
    pub async fn commit_metadata(&self, fingerprint: &str, key: &str) -> Result<Option<serde_json::Value>> {
        let mut history = self.inner.history(None);
        while let Some(info) = history.try_next().await? {
            if info.info.get("fingerprint").and_then(|f| f.as_str()) == Some(fingerprint) {
                return Ok(info.info.get(key).cloned());
            }
        }
        Ok(None)
    }

    /// A writer of data files for this table; each task has its own.
    pub fn writer(&self, options: &SinkOptions) -> Result<TableWriter> {
        let mut partition: IndexMap<String, Scalar> = IndexMap::new();
        let mut file_schema = self.schema()?;
        if let Some(days) = options.run_date {
            partition.insert("run_date".into(), Scalar::Date(days));
            let kept: Vec<_> = file_schema.fields().iter().filter(|f| f.name() != "run_date").cloned().collect();
            file_schema = Arc::new(Schema::new(kept));
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(format!("harmonize {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(Some(1 << 20))
            .build();
        let config = PartitionWriterConfig::try_new(
            Arc::clone(&file_schema),
            partition,
            Some(properties),
            NonZeroU64::new(options.target_file_bytes),
            None,
            None,
            None,
        )?;
        let writer = PartitionWriter::try_with_config(
            self.inner.object_store(),
            config,
            DataSkippingNumIndexedCols::NumColumns(0),
            Some(options.stats_columns.clone()),
        )?;
        Ok(TableWriter { writer, schema: file_schema, rows: 0 })
    }

    /// Makes `files` visible in one atomic commit that carries `tag` and `metadata`.
    ///
    /// Every ending is a value: see [`Outcome`]. Data files are never deleted here.
    pub async fn append(
        &mut self,
        files: Vec<NewFile>,
        tag: &RunTag,
        mut metadata: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Outcome> {
        let partition_by = self.inner.snapshot()?.metadata().partition_columns().to_vec();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: (!partition_by.is_empty()).then_some(partition_by),
            predicate: None,
        };
        metadata.insert("fingerprint".into(), tag.fingerprint.clone().into());
        let properties = CommitProperties::default()
            .with_metadata(metadata)
            .with_max_retries(20)
            .with_application_transaction(Transaction::new(&tag.fingerprint, tag.nonce.0));
        let actions = files.into_iter().map(|f| Action::Add(f.add)).collect();
        let log_store = self.inner.log_store();
        let result = {
            let snapshot = self.inner.snapshot()?;
            CommitBuilder::from(properties).with_actions(actions).build(Some(snapshot), log_store, operation).await
        };
        // Whatever the answer was, the log itself says what happened.
        let error = result.err().map(Error::from);
        if let Err(e) = self.inner.update_state().await {
            return Ok(match error {
                None => Outcome::Committed { version: None },
                Some(first) => Outcome::Unknown(format!("{first}; and the log cannot be read: {e}")),
            });
        }
        let there = match self.committed(&tag.fingerprint).await {
            Ok(there) => there,
            Err(e) => {
                return Ok(match error {
                    None => Outcome::Committed { version: None },
                    Some(first) => Outcome::Unknown(format!("{first}; and the log cannot be read: {e}")),
                });
            }
        };
        Ok(Outcome::settle(there, tag.nonce, error, self.version()))
    }

    /// That the table has the columns `wanted`.
    ///
    /// # Errors
    /// `Input`, naming the first column that it lacks.
    pub fn check_schema(&self, wanted: &Schema) -> Result<()> {
        let there = self.schema()?;
        for field in wanted.fields() {
            let same = there.column_with_name(field.name()).is_some_and(|(_, f)| same_kind(f.data_type(), field.data_type()));
            if !same {
                return Err(Error::Input(format!(
                    "the table {} has no column \"{}\" of type {}; it was made by another program or version: \
                     choose another --lake",
                    self.place.url(),
                    field.name(),
                    field.data_type()
                )));
            }
        }
        Ok(())
    }
}

/// Equal but for how strings are laid out in memory and for nested nullability.
fn same_kind(a: &arrow::datatypes::DataType, b: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType as T;
    match (a, b) {
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::Utf8 | T::LargeUtf8 | T::Utf8View) => true,
        (T::List(x) | T::LargeList(x) | T::ListView(x), T::List(y)) => same_kind(x.data_type(), y.data_type()),
        (T::Struct(x), T::Struct(y)) => {
            x.len() == y.len()
                && x.iter().zip(y).all(|(x, y)| x.name() == y.name() && same_kind(x.data_type(), y.data_type()))
        }
        (a, b) => a == b,
    }
}

/// Writes batches of one partition to data files that nobody sees before they are committed.
pub struct TableWriter {
    writer: PartitionWriter,
    schema: SchemaRef,
    rows: u64,
}

impl TableWriter {
    /// Columns that a batch must have: the table's without its partition column.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds a batch.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).await.context(|| "cannot write a data file")
    }

    /// Finishes the files.
    ///
    /// # Errors
    /// `Bug` when the files hold another number of rows than were written.
    pub async fn close(self) -> Result<Vec<NewFile>> {
        let rows = self.rows;
        let adds = self.writer.close().await.context(|| "cannot finish a data file")?;
        let mut files = Vec::with_capacity(adds.len());
        for mut add in adds {
            add.data_change = true;
            let stats = add.get_stats().ok().flatten();
            let counted = stats.and_then(|s| u64::try_from(s.num_records).ok());
            let Some(counted) = counted else {
                return Err(Error::Bug(format!("data file {} does not say how many rows it holds", add.path)));
            };
            files.push(NewFile { add, rows: counted });
        }
        let counted: u64 = files.iter().map(NewFile::rows).sum();
        if counted != rows {
            return Err(Error::Bug(format!("{rows} rows were written, the data files hold {counted}")));
        }
        Ok(files)
    }

    /// Gives up; unfinished uploads are taken back.
    pub async fn abort(self) {
        // Nothing of it is visible; an upload that cannot be taken back is left to the store's own clean-up.
        let _ = self.writer.abort().await;
    }
}

/// Removes data files that were never committed. Only for a run that is known not to have committed.
pub async fn discard(table: &Table, files: &[NewFile]) {
    for file in files {
        // Best effort: an orphan is invisible and `vacuum` of any Delta tool removes it.
        let _ = table.place.delete(&file.add.path).await;
    }
}

/// Data files of the current version of the Delta table at `place`, relative to it.
pub(super) async fn live_files(place: &Place) -> Result<BTreeSet<String>> {
    let Some(table) = Table::open(place).await? else {
        return Ok(BTreeSet::new());
    };
    let adds: Vec<_> = table
        .inner
        .snapshot()?
        .snapshot()
        .file_views(table.inner.log_store().as_ref(), None)
        .try_collect()
        .await?;
    let mut names = BTreeSet::new();
    for add in adds {
        if add.deletion_vector_descriptor().is_some() {
            return Err(Error::Input(format!(
                "{} has deletion vectors, which this version does not read; rewrite the table without them \
                 (REORG TABLE … APPLY (PURGE))",
                place.url()
            )));
        }
        names.insert(add.path().to_string());
    }
    Ok(names)
}

/// A table handle over our own object store.
fn handle(place: &Place) -> Result<DeltaTable> {
    register_log_stores();
    let mut url = place.url().clone();
    url.set_path(&format!("{}/", url.path()));
    Ok(DeltaTableBuilder::from_url(url.clone())?.with_storage_backend(Arc::clone(place.store()), url).build()?)
}

/// Delta knows only `file://` by itself; S3 needs nothing more than the default log store over a store with
/// conditional PUT.
fn register_log_stores() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["s3://", "s3a://"] {
            if let Ok(url) = Url::parse(scheme) {
                logstore_factories().insert(url, Arc::new(PlainLogStore));
            }
        }
    });
}

#[derive(Debug)]
struct PlainLogStore;

impl LogStoreFactory for PlainLogStore {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

/// Arrow schema to Delta columns.
trait FromArrow: Sized {
    fn try_from_arrow_schema(schema: &Schema) -> Result<Vec<StructField>>;
}

impl FromArrow for StructType {
    fn try_from_arrow_schema(schema: &Schema) -> Result<Vec<StructField>> {
        use delta_kernel::engine::arrow_conversion::TryFromArrow;
        let kernel = StructType::try_from_arrow(schema).map_err(|e| Error::Bug(e.to_string()))?;
        Ok(kernel.fields().cloned().collect())
    }
}

