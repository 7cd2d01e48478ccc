//! A pinned source as a DataFusion table: its columns, and the address of every row.
//!
//! `source_file` (dictionary) and `source_row` (position in the file, from 0) come out of the scan itself, so they
//! are right under pruning, filters and split files.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileGroupPartitioner, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::memory::InMemory;
use parquet::arrow::RowNumber;

use super::reader::PinnedReaders;
use super::source::Source;

/// Name of the column with the URL of a line's file.
pub const SOURCE_FILE: &str = "source_file";
/// Name of the column with a line's position in its file, from 0.
pub const SOURCE_ROW: &str = "source_row";

/// See the module.
#[derive(Debug)]
pub struct InputTable {
    source: Source,
    schema: TableSchema,
}

impl InputTable {
    /// A table over the files of `source`.
    pub fn new(source: Source) -> Self {
        // The input may have columns of these names itself (our own output read again): ours win.
        let own: Vec<FieldRef> = source
            .schema()
            .fields()
            .iter()
            .filter(|f| f.name() != SOURCE_FILE && f.name() != SOURCE_ROW)
            .cloned()
            .collect();
        let file_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let row = Field::new(SOURCE_ROW, DataType::Int64, false).with_extension_type(RowNumber);
        let schema = TableSchema::builder(Arc::new(arrow::datatypes::Schema::new(own)))
            .with_table_partition_cols(vec![Arc::new(Field::new(SOURCE_FILE, file_type, false))])
            .with_virtual_columns(vec![Arc::new(row) as FieldRef])
            .build();
        InputTable { source, schema }
    }
}

#[async_trait]
impl TableProvider for InputTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        // Each file carries its own reader; the registry only has to know some store by this name.
        let store_url = ObjectStoreUrl::parse("harmonize-input://")?;
        state.runtime_env().register_object_store(store_url.as_ref(), Arc::new(InMemory::new()));
        let mut files = Vec::with_capacity(self.source.files().len());
        for file in self.source.files() {
            let url: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
                Int32Array::from(vec![0]),
                Arc::new(StringArray::from(vec![file.url.as_str()])),
            ));
            files.push(
                PartitionedFile::new(file.reader.path.to_string(), file.size_bytes())
                    .with_partition_values(vec![ScalarValue::try_from_array(&url, 0)?])
                    .with_extension(file.reader.clone()),
            );
        }
        let partitions = state.config().target_partitions();
        let whole = vec![FileGroup::new(files)];
        let groups = FileGroupPartitioner::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(0)
            .repartition_file_groups(&whole)
            .unwrap_or(whole);
        let parquet = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(PinnedReaders));
        let config = FileScanConfigBuilder::new(store_url, Arc::new(parquet))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>)
    }
}

impl From<crate::Error> for DataFusionError {
    fn from(e: crate::Error) -> Self {
        DataFusionError::External(Box::new(e))
    }
}
