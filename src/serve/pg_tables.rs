//! Tables of the catalog that are others than the library's: `pg_settings`, where drivers look for settings of their session, and
//! `pg_constraint` and `pg_index`, of which there is nothing in a lake, with lists where drivers ask for elements of lists.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider};
use datafusion::datasource::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::settings::Settings;

const SETTINGS: &str = "pg_settings";
const EMPTY: [&str; 2] = ["pg_constraint", "pg_index"];
/// Columns of these that are lists of numbers of columns, and text in the library.
const LISTS: [&str; 4] = ["conkey", "confkey", "indkey", "indoption"];
const SCHEMA: &str = "pg_catalog";

/// The catalog of the library with these tables in place of its own.
#[derive(Debug)]
struct OwnTables {
    inner: Arc<dyn SchemaProvider>,
    settings: Arc<MemTable>,
}

#[async_trait]
impl SchemaProvider for OwnTables {
    fn owner_name(&self) -> Option<&str> {
        self.inner.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let name = name.to_lowercase();
        if name == SETTINGS {
            return Ok(Some(Arc::clone(&self.settings) as _));
        }
        let theirs = self.inner.table(&name).await?;
        Ok(match EMPTY.contains(&name.as_str()) {
            true => theirs.map(|theirs| Arc::new(EmptyTable::new(with_lists(&theirs.schema()))) as _),
            false => theirs,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

fn with_lists(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match LISTS.contains(&field.name().as_str()) {
        true => Field::new_list(field.name(), Field::new_list_field(DataType::Int16, true), true).into(),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Shows the settings as they are now.
pub(super) fn show(context: &SessionContext, settings: &Settings) -> Result<(), DataFusionError> {
    let database = context.state().config_options().catalog.default_catalog.clone();
    let catalog = context.catalog(&database);
    let catalog = catalog.ok_or_else(|| DataFusionError::Internal(format!("there is no catalog {database}")))?;
    let there = catalog.schema(SCHEMA);
    let there = there.ok_or_else(|| DataFusionError::Internal(format!("there is no schema {SCHEMA}")))?;
    let inner = there.downcast_ref::<OwnTables>().map(|own| Arc::clone(&own.inner)).unwrap_or(there);
    let own = OwnTables { inner, settings: Arc::new(table(settings)?) };
    catalog.register_schema(SCHEMA, Arc::new(own)).map(drop)
}

/// In the columns that PostgreSQL has; nothing is known of most.
fn table(settings: &Settings) -> Result<MemTable, DataFusionError> {
    let (names, values): (Vec<&str>, Vec<&str>) = settings.all().unzip();
    let rows = names.len();
    let values: ArrayRef = Arc::new(StringArray::from(values));
    let text = |name: &str| (name.to_owned(), new_null_array(&DataType::Utf8, rows));
    let mut columns: Vec<(String, ArrayRef)> =
        vec![("name".into(), Arc::new(StringArray::from(names))), ("setting".into(), Arc::clone(&values))];
    columns.extend(["unit", "category", "short_desc", "extra_desc", "context", "vartype", "source"].map(text));
    columns.extend(["min_val", "max_val", "enumvals", "boot_val"].map(text));
    columns.extend([("reset_val".to_owned(), values), text("sourcefile")]);
    columns.push(("sourceline".into(), new_null_array(&DataType::Int32, rows)));
    columns.push(("pending_restart".into(), Arc::new(BooleanArray::from(vec![false; rows]))));
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())?;
    MemTable::try_new(schema, vec![vec![batch]])
}
