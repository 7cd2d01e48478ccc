//! Data files of a Delta table: written whole, with page CRCs, seen by nobody before a commit names them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use deltalake::kernel::Add;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Place;
use super::checksum::with_page_crcs;
use crate::error::{Context, Error, Result};

/// A data file that has been written and is not yet visible.
#[derive(Clone, Debug)]
pub struct NewFile {
    pub(super) add: Add,
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

/// How data files are written.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// Value of the partition column `run_date`, in days since 1970-01-01; `None` for an unpartitioned table.
    pub run_date: Option<i32>,
    /// Size at which a file is closed and the next begun, in bytes. A file is held in memory until then.
    pub target_file_bytes: u64,
    /// Columns whose minimum and maximum go into the log; others are left out to keep it small.
    pub stats_columns: Vec<String>,
    /// Paths of columns with few distinct values, which get a dictionary; for the others, looking for one is lost time.
    pub repeating_columns: Vec<String>,
}

/// Writes batches of one partition to data files that nobody sees before they are committed.
pub struct TableWriter {
    place: Place,
    schema: SchemaRef,
    options: SinkOptions,
    properties: WriterProperties,
    current: Option<ArrowWriter<Vec<u8>>>,
    done: Vec<NewFile>,
    rows: u64,
}

impl TableWriter {
    pub(super) fn new(place: Place, schema: SchemaRef, options: SinkOptions) -> Result<TableWriter> {
        let mut properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(format!("harmonize {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // Page indexes would have to be moved when the checksums go in.
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(Some(1 << 18));
        for path in &options.repeating_columns {
            let path = ColumnPath::from(path.split('.').map(str::to_string).collect::<Vec<_>>());
            properties = properties.set_column_dictionary_enabled(path, true);
        }
        let properties = properties.build();
        Ok(TableWriter { place, schema, options, properties, current: None, done: Vec::new(), rows: 0 })
    }

    /// Columns that a batch must have: the table's without its partition column.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds a batch. Its columns may stand in another order, since a table of an older contract has its newer columns at its
    /// end; one that it lacks is null.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = &in_order(batch, &self.schema)?;
        let mut writer = match self.current.take() {
            Some(writer) => writer,
            None => ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), Some(self.properties.clone()))?,
        };
        writer.write(batch).context(|| "cannot encode a data file")?;
        self.rows += batch.num_rows() as u64;
        if (writer.bytes_written() + writer.in_progress_size()) as u64 >= self.options.target_file_bytes {
            self.finish(writer).await?;
        } else {
            self.current = Some(writer);
        }
        Ok(())
    }

    /// Finishes the files, which `into_files` then hands over.
    ///
    /// # Errors
    /// `Bug` when the files hold another number of rows than were written.
    pub async fn close(&mut self) -> Result<()> {
        if let Some(writer) = self.current.take() {
            self.finish(writer).await?;
        }
        let counted: u64 = self.done.iter().map(NewFile::rows).sum();
        if counted != self.rows {
            return Err(Error::Bug(format!("{} rows were written, the data files hold {counted}", self.rows)));
        }
        Ok(())
    }

    /// The files that were finished: to be committed, or, after an error, to be discarded.
    pub fn into_files(self) -> Vec<NewFile> {
        self.done
    }

    async fn finish(&mut self, writer: ArrowWriter<Vec<u8>>) -> Result<()> {
        // A file is held twice while it is finished: one at a time, so that memory does not depend on how often the
        // files of several tasks are full at once.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let (bytes, footer) = {
            let _alone = ONE_AT_A_TIME.lock().await;
            with_page_crcs(&Bytes::from(writer.into_inner()?))?
        };
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        let date = self.options.run_date.map(iso_date);
        let folder = date.as_ref().map(|d| format!("run_date={d}/")).unwrap_or_default();
        let path = format!("{folder}part-{}.zstd.parquet", Uuid::new_v4());
        let size = bytes.len() as i64;
        self.place.put(&path, bytes).await.context(|| "cannot write a data file")?;
        let add = Add {
            path,
            partition_values: date.map(|d| HashMap::from([("run_date".to_string(), Some(d))])).unwrap_or_default(),
            size,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(self.stats(&footer).to_string()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        };
        self.done.push(NewFile { add, rows });
        Ok(())
    }

    /// Delta's per-file statistics: rows, and the range of the chosen columns.
    fn stats(&self, footer: &ParquetMetaData) -> Value {
        let (mut low, mut high) = (Map::new(), Map::new());
        for name in &self.options.stats_columns {
            let Some((_, field)) = self.schema.column_with_name(name) else { continue };
            let chunks =
                footer.row_groups().iter().flat_map(|g| g.columns()).filter(|c| c.column_path().string() == *name);
            let mut range: Option<(Value, Value)> = None;
            for chunk in chunks {
                let Some((min, max)) = chunk.statistics().and_then(|s| bounds(s, field.data_type())) else { continue };
                range = Some(match range {
                    None => (min, max),
                    Some((a, b)) => (if less(&min, &a) { min } else { a }, if less(&b, &max) { max } else { b }),
                });
            }
            if let Some((min, max)) = range {
                low.insert(name.clone(), min);
                high.insert(name.clone(), max);
            }
        }
        json!({"numRecords": footer.file_metadata().num_rows(), "minValues": low, "maxValues": high})
    }
}

/// The columns of a schema, by their names.
fn in_order(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(&batch.schema()) == names(schema) {
        return Ok(batch.clone());
    }
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), batch.num_rows()),
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}

/// Exact bounds of a column chunk, for the types that the contracts ask statistics of.
fn bounds(statistics: &Statistics, kind: &DataType) -> Option<(Value, Value)> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Value::from);
    match (statistics, kind) {
        (Statistics::Int64(s), DataType::Int64) => Some((json!(s.min_opt()?), json!(s.max_opt()?))),
        (Statistics::ByteArray(s), DataType::Utf8 | DataType::Utf8View)
            if statistics.min_is_exact() && statistics.max_is_exact() =>
        {
            Some((text(s.min_opt()?.data())?, text(s.max_opt()?.data())?))
        }
        _ => None,
    }
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a < b,
        (a, b) => a.as_i64() < b.as_i64(),
    }
}

fn iso_date(days: i32) -> String {
    let epoch = NaiveDate::default();
    let date = match u64::try_from(days) {
        Ok(after) => epoch.checked_add_days(Days::new(after)),
        Err(_) => epoch.checked_sub_days(Days::new(u64::from(days.unsigned_abs()))),
    };
    date.unwrap_or(epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_wherever_they_stand() {
        use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
        use arrow::datatypes::{Field, Int64Type, Schema};
        let (n, text): (ArrayRef, ArrayRef) =
            (Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["a"])));
        let batch = RecordBatch::try_from_iter([("n", n), ("text", text)]).unwrap();
        let field = |name: &str, kind: &DataType| Field::new(name, kind.clone(), true);
        let of = |fields: Vec<Field>| in_order(&batch, &Arc::new(Schema::new(fields)));
        let turned =
            of(vec![field("text", &DataType::Utf8), field("new", &DataType::Int64), field("n", &DataType::Int64)]);
        let turned = turned.unwrap();
        assert_eq!(turned.column(0).as_string::<i32>().value(0), "a");
        assert_eq!((turned.column(1).null_count(), turned.column(2).as_primitive::<Int64Type>().value(0)), (1, 7));
        assert!(of(vec![Field::new("owed", DataType::Int64, false)]).is_err(), "what may not be null is owed");
    }

    #[test]
    fn dates_are_iso_days_from_1970() {
        assert_eq!(iso_date(0), "1970-01-01");
        assert_eq!(iso_date(20_779), "2026-11-22");
        assert_eq!(iso_date(-1), "1969-12-31");
    }
}
