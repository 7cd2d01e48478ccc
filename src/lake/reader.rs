//! Reads pinned Parquet files: every request says which ETag it expects and checks what it got.
//!
//! The footer is the one read at pinning time. The text column is presented as raw bytes, because the Parquet reader
//! refuses a whole page for one invalid UTF-8 value where one line with a reason is wanted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::error::{Error, Result};

/// Requests of one file that are under way at once.
const CONCURRENT_RANGES: usize = 8;

/// A Parquet file at one size and ETag.
#[derive(Clone, Debug)]
pub struct PinnedReader {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) size_bytes: u64,
    pub(super) e_tag: Option<String>,
    pub(super) metadata: Option<Arc<ParquetMetaData>>,
}

impl PinnedReader {
    async fn read(&self, range: Range<u64>) -> ParquetResult<Bytes> {
        let external = |e: object_store::Error| ParquetError::External(Box::new(e));
        let options = GetOptions {
            if_match: self.e_tag.clone(),
            range: Some(GetRange::Bounded(range.clone())),
            ..Default::default()
        };
        let found = self.store.get_opts(&self.path, options).await.map_err(external)?;
        if found.meta.size != self.size_bytes {
            return Err(external(object_store::Error::Precondition {
                path: self.path.to_string(),
                source: format!("{} bytes now, {} when it was pinned", found.meta.size, self.size_bytes).into(),
            }));
        }
        let got = found.range.clone();
        let bytes = found.bytes().await.map_err(external)?;
        if got != range || bytes.len() as u64 != range.end - range.start {
            return Err(external(object_store::Error::Generic {
                store: "input",
                source: format!("{}: asked for bytes {range:?}, got {} of {got:?}", self.path, bytes.len()).into(),
            }));
        }
        Ok(bytes)
    }

    /// Reads and parses the footer.
    pub(super) async fn footer(&mut self) -> ParquetResult<ParquetMetaData> {
        let size = self.size_bytes;
        ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_prefetch_hint(Some(64 * 1024))
            .load_and_finish(&mut *self, size)
            .await
    }
}

impl AsyncFileReader for PinnedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.read(range).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let this = self.clone();
        async move {
            futures::stream::iter(ranges).map(|range| this.read(range)).buffered(CONCURRENT_RANGES).try_collect().await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            match &self.metadata {
                Some(metadata) => Ok(Arc::clone(metadata)),
                None => self.footer().await.map(Arc::new),
            }
        }
        .boxed()
    }
}

/// Gives DataFusion's Parquet scan the pinned reader that travels with each file.
#[derive(Debug)]
pub struct PinnedReaders;

impl ParquetFileReaderFactory for PinnedReaders {
    fn create_reader(
        &self,
        _partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        let reader = file
            .extension::<PinnedReader>()
            .ok_or_else(|| DataFusionError::Internal(format!("{} was not pinned", file.path())))?;
        Ok(Box::new(reader.clone()))
    }
}

/// The same file metadata with column `text` presented as bytes and without the writer's own Arrow schema.
///
/// # Errors
/// When there is no such column, or it does not hold strings; the message lists the columns.
pub fn with_raw_text(metadata: ParquetMetaData, text: &str) -> Result<ParquetMetaData> {
    let file = metadata.file_metadata();
    let root = file.schema_descr().root_schema();
    let columns = || root.get_fields().iter().map(|f| f.name().to_string()).collect::<Vec<_>>().join(", ");
    if !root.get_fields().iter().any(|f| f.name() == text) {
        return Err(Error::Input(format!("no column \"{text}\"; there are: {}; choose one with --text", columns())));
    }
    let parquet = |e: ParquetError| Error::Input(e.to_string());
    let mut fields = Vec::with_capacity(root.get_fields().len());
    for field in root.get_fields() {
        if field.name() != text {
            fields.push(Arc::clone(field));
            continue;
        }
        let text_like = field.is_primitive()
            && field.get_physical_type() == PhysicalType::BYTE_ARRAY
            && !matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Decimal { .. }));
        if !text_like {
            return Err(Error::Input(format!(
                "column \"{text}\" does not hold text; there are: {}; choose another with --text",
                columns()
            )));
        }
        let raw = Type::primitive_type_builder(text, PhysicalType::BYTE_ARRAY)
            .with_repetition(field.get_basic_info().repetition())
            .build()
            .map_err(parquet)?;
        fields.push(Arc::new(raw));
    }
    let schema = Type::group_type_builder(root.name()).with_fields(fields).build().map_err(parquet)?;
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_string),
        None,
        Arc::new(SchemaDescriptor::new(Arc::new(schema))),
        file.column_orders().cloned(),
    );
    Ok(ParquetMetaData::new(file, metadata.row_groups().to_vec()))
}
