//! Delta tables at a place: opened, created, written to, read by DataFusion.
//!
//! The log store is Delta's own default one over our object store; commits are create-if-absent PUTs, so no lock
//! service and no vendor SDK are needed. Data files become visible through [`Table::append`] alone.

use std::sync::{Arc, Once};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, StructField, StructType, Transaction};
use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};
use url::Url;

use super::Place;
use super::commit::{Nonce, Outcome};
use super::writer::{NewFile, SinkOptions, TableWriter};
use crate::contract::Contract;
use crate::error::{Context, Error, Result};

/// A Delta table at one version.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) place: Place,
    pub(super) inner: DeltaTable,
}

/// Identity that a commit carries.
#[derive(Clone, Debug)]
pub struct RunTag {
    /// Equal fingerprints are the same run: the second one is a no-op.
    pub fingerprint: String,
    /// Tells this attempt's commit from an equal one of another process.
    pub nonce: Nonce,
}

impl Table {
    /// Opens the table at `place`; `None` when there is none.
    pub async fn open(place: &Place) -> Result<Option<Table>> {
        // Asked of the store itself: the kernel reports an empty folder in several ways.
        if place.objects("_delta_log").await?.is_empty() {
            return Ok(None);
        }
        let mut inner = handle(place)?;
        inner.load().await.context(|| format!("cannot open the table {}", place.url()))?;
        Ok(Some(Table { place: place.clone(), inner }))
    }

    /// The table as it was at an earlier version.
    ///
    /// # Errors
    /// `Usage` for a version that is still to come.
    pub async fn at_version(mut self, version: u64) -> Result<Table> {
        let newest = self.version();
        if version > newest {
            return Err(Error::Usage(format!("{} has no version {version}; its newest is {newest}", self.place.url())));
        }
        let name = self.place.url().clone();
        self.inner.load_version(version).await.context(|| format!("cannot open version {version} of {name}"))?;
        Ok(self)
    }

    /// Opens the table at `place`, creating it empty when there is none.
    ///
    /// # Errors
    /// `Input` when a table of another shape is there.
    pub async fn open_or_create(place: &Place, contract: Contract) -> Result<Table> {
        let schema = contract.schema();
        for _ in 0..3 {
            if let Some(table) = Table::open(place).await? {
                let Some(table) = table.widened(schema).await? else { continue };
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
                .with_partition_columns(contract.partition_by())
                .with_comment(contract.about())
                // Readers that take a bound that is not there for one that nothing passes have to know which columns have any.
                .with_configuration_property(TableProperty::DataSkippingStatsColumns, Some(contract.stats().join(",")))
                // The record of a run lives in its commit: no tool may clean the log.
                .with_configuration_property(TableProperty::EnableExpiredLogCleanup, Some("false"))
                .with_save_mode(SaveMode::ErrorIfExists)
                // A creation that lost version 0 must not become version 1: it would replace the table's identity.
                .with_commit_properties(CommitProperties::default().with_max_retries(0))
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

    /// The table with the columns that an older contract did not have: those that may be null are added, in a commit of its
    /// own. `None` when another writer was first.
    async fn widened(self, wanted: &Schema) -> Result<Option<Table>> {
        let missing = missing(self.schema()?.as_ref(), wanted);
        if missing.fields().is_empty() {
            return Ok(Some(self));
        }
        let added: Vec<StructField> = StructType::try_from_arrow_schema(&missing)?;
        let properties = CommitProperties::default().with_max_retries(0).with_cleanup_expired_logs(Some(false));
        match self.inner.clone().add_columns().with_fields(added).with_commit_properties(properties).await {
            Ok(inner) => {
                tracing::info!(table = %self.place.url(), columns = missing.fields().len(), "columns were added");
                Ok(Some(Table { place: self.place, inner }))
            }
            Err(e) if lost_version(&e) => Ok(None),
            Err(e) => Err(e).context(|| format!("cannot add columns to {}", self.place.url())),
        }
    }

    /// A table that was loaded.
    pub(super) fn at(place: &Place, inner: DeltaTable) -> Table {
        Table { place: place.clone(), inner }
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

    /// A writer of data files for this table; each task has its own.
    pub fn writer(&self, options: &SinkOptions) -> Result<TableWriter> {
        let all = self.schema()?;
        let kept: Vec<_> =
            all.fields().iter().filter(|f| f.name() != "run_date" || options.run_date.is_none()).cloned().collect();
        TableWriter::new(self.place.clone(), Arc::new(Schema::new(kept)), options.clone())
    }

    /// Makes `files` visible in one atomic commit that carries `tag` and `metadata`.
    ///
    /// Every ending is a value: see [`Outcome`]. Data files are never deleted here.
    pub async fn append(
        &mut self,
        files: Vec<NewFile>,
        tag: &RunTag,
        metadata: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Outcome> {
        self.append_if(None, files, tag, metadata).await
    }

    /// The same as the version right after `version` and no other: [`Outcome::Lost`] when the table has gone on since.
    pub async fn append_after(&mut self, version: u64, files: Vec<NewFile>, tag: &RunTag) -> Result<Outcome> {
        self.append_if(Some(version), files, tag, serde_json::Map::new()).await
    }

    async fn append_if(
        &mut self,
        after: Option<u64>,
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
        // Each try is for the version right after one whose log was read and does not hold the fingerprint, and Delta's
        // own retries are off: they would step over an equal run that was committed meanwhile.
        let properties = CommitProperties::default()
            .with_metadata(metadata)
            .with_max_retries(0)
            // The record of a run lives in its commit: the log is kept.
            .with_cleanup_expired_logs(Some(false))
            .with_application_transaction(Transaction::new(&tag.fingerprint, tag.nonce.0));
        let actions: Vec<Action> = files.into_iter().map(|f| Action::Add(f.add)).collect();
        let mut sent = None;
        // One round more than there are tries: the last one only reads what became of the try before it.
        for attempt in 0..=COMMIT_ATTEMPTS {
            if let Err(e) = self.refresh().await {
                return match sent {
                    None => Err(e),
                    Some(first) => Ok(Outcome::Unknown(format!("{first}; and the log cannot be read: {e}"))),
                };
            }
            let there = match (self.committed(&tag.fingerprint).await, &sent) {
                (Ok(there), _) => there,
                (Err(e), None) => return Err(e),
                (Err(e), Some(first)) => {
                    return Ok(Outcome::Unknown(format!("{first}; and the log cannot be read: {e}")));
                }
            };
            if there.is_some() {
                return Ok(Outcome::settle(there, tag.nonce, None, self.version()));
            }
            if attempt == COMMIT_ATTEMPTS {
                break;
            }
            if let Some(error) = sent.take() {
                return Ok(Outcome::settle(None, tag.nonce, Some(error), self.version()));
            }
            if after.is_some_and(|version| version != self.version()) {
                return Ok(Outcome::Lost(format!("{} has gone on meanwhile", self.place.url())));
            }
            let snapshot = self.inner.snapshot()?;
            let commit = CommitBuilder::from(properties.clone()).with_actions(actions.clone()).build(
                Some(snapshot),
                self.inner.log_store(),
                operation.clone(),
            );
            match commit.await {
                Ok(done) => return Ok(Outcome::Committed { version: Some(done.version()) }),
                // Somebody else took the version: read what they wrote and try the next one.
                Err(e) if lost_version(&e) => {
                    tokio::time::sleep(Duration::from_millis(5 + 7 * attempt)).await;
                }
                // What became of it shows in the log.
                Err(e) => sent = Some(Error::from(e)),
            }
        }
        if let Some(error) = sent {
            return Ok(Outcome::settle(None, tag.nonce, Some(error), self.version()));
        }
        Ok(Outcome::Lost(format!("{COMMIT_ATTEMPTS} times another writer was first")))
    }

    /// That the table has the columns `wanted`, but for those that can be added.
    ///
    /// # Errors
    /// `Input`, naming the first column that it lacks.
    pub fn check_schema(&self, wanted: &Schema) -> Result<()> {
        let there = self.schema()?;
        let addable = missing(&there, wanted);
        for field in wanted.fields().iter().filter(|f| addable.column_with_name(f.name()).is_none()) {
            let same =
                there.column_with_name(field.name()).is_some_and(|(_, f)| same_kind(f.data_type(), field.data_type()));
            if !same {
                return Err(Error::Input(format!(
                    "the table {} has no column \"{}\" of type {}; it was made by another program, or by a version whose tables \
                     this one ({}) does not widen: go on with that version, or classify into a new --lake and keep this one for replays",
                    self.place.url(),
                    field.name(),
                    field.data_type(),
                    env!("CARGO_PKG_VERSION")
                )));
            }
        }
        Ok(())
    }
}

/// Tries to commit before a run gives up against other writers.
const COMMIT_ATTEMPTS: u64 = 50;

/// Whether a commit failed for certain, because another writer took its version.
fn lost_version(e: &DeltaTableError) -> bool {
    match e {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::VersionAlreadyExists(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
        ),
        _ => false,
    }
}

/// Columns of a contract that a table of an older one lacks and that may be null.
pub fn missing(there: &Schema, wanted: &Schema) -> Schema {
    let lacks = |name: &str| there.column_with_name(name).is_none();
    let fields = wanted.fields().iter().filter(|f| f.is_nullable() && lacks(f.name()));
    Schema::new(fields.cloned().collect::<Vec<_>>())
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

/// Removes data files that were never committed. Only for a run that is known not to have committed.
pub async fn discard(table: &Table, files: &[NewFile]) {
    for file in files {
        // Best effort: an orphan is invisible and `vacuum` of any Delta tool removes it.
        let _ = table.place.delete(&file.add.path).await;
    }
}

/// A table handle over our own object store.
pub(super) fn handle(place: &Place) -> Result<DeltaTable> {
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
        use deltalake::kernel::engine::arrow_conversion::TryFromArrow;
        let kernel = StructType::try_from_arrow(schema).map_err(|e| Error::Bug(e.to_string()))?;
        Ok(kernel.fields().cloned().collect())
    }
}
