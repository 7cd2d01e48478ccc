//! `models()`: the model versions of the registry, with their aliases and what became of them, as it is when the query runs.
//!
//! ```sql
//! SELECT model, version, aliases, state FROM models() ORDER BY model, version
//! ```
//!
//! `state` is registered, unrecorded, retired, damaged or missing; `signed_by` is the key that is said to have signed it. Columns
//! of a manifest that cannot be read are null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;
use futures::future::try_join_all;

use super::later::Later;
use super::literals;
use crate::error::{Error, Result};
use crate::model::Manifest;
use crate::registry::{Registry, Summary};
use crate::sql::snapshot::Now;

/// See the module.
#[derive(Debug)]
pub(super) struct Models(pub Now);

impl TableFunctionImpl for Models {
    fn call_with_args(&self, args: TableFunctionArgs) -> DfResult<Arc<dyn TableProvider>> {
        let [] = literals("models()", args.exprs())?;
        let registry = self.0.get().lake.registry.clone();
        Ok(Later::table("models", schema(), move || {
            let registry = registry.clone();
            Box::pin(async move { rows(&summaries(registry).await?) })
        }))
    }
}

async fn summaries(registry: Option<Registry>) -> Result<Vec<Summary>> {
    let registry = registry
        .ok_or_else(|| Error::Usage("models(): there is no registry to list; give --registry or --lake".into()))?;
    let names = registry.names().await?;
    let all = try_join_all(names.iter().map(|name| registry.summaries(name))).await?;
    Ok(all.into_iter().flatten().collect())
}

fn alias() -> FieldRef {
    Arc::new(Field::new("element", DataType::Utf8, true))
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("model", DataType::Utf8, false),
        Field::new("version", DataType::Int64, false),
        Field::new("aliases", DataType::List(alias()), false),
        Field::new("state", DataType::Utf8, false),
        text("edition"),
        text("architecture"),
        Field::new("created_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        text("created_by"),
        text("digest"),
        text("signed_by"),
    ]))
}

fn rows(all: &[Summary]) -> Result<RecordBatch> {
    let text = |pick: &dyn Fn(&Summary) -> Option<String>| -> ArrayRef {
        Arc::new(all.iter().map(pick).collect::<StringArray>())
    };
    let of_manifest = |pick: fn(&Manifest) -> &String| text(&|s: &Summary| s.manifest.as_ref().map(pick).cloned());
    let created = |s: &Summary| {
        let time = DateTime::parse_from_rfc3339(&s.manifest.as_ref()?.created_at).ok()?;
        Some(time.timestamp_micros())
    };
    let mut aliases = ListBuilder::new(StringBuilder::new()).with_field(alias());
    for summary in all {
        summary.aliases.iter().for_each(|alias| aliases.values().append_value(alias));
        aliases.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        text(&|s| Some(s.name.clone())),
        Arc::new(Int64Array::from_iter_values(all.iter().map(|s| i64::try_from(s.version).unwrap_or(i64::MAX)))),
        Arc::new(aliases.finish()),
        text(&|s| Some(s.state.as_str().to_string())),
        of_manifest(|m| &m.edition),
        of_manifest(|m| &m.architecture),
        Arc::new(all.iter().map(created).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        of_manifest(|m| &m.created_by),
        text(&|s| Some(s.digest.clone()).filter(|digest| !digest.is_empty())),
        text(&|s| s.key_id.clone()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
