//! `predictions_as_of(timestamp)`: the table `predictions` as it was at a time.
//!
//! ```sql
//! SELECT count(*) FROM predictions_as_of('2026-03-01')
//! SELECT count(*) FROM predictions_as_of(now() - INTERVAL '1 day')
//! ```
//!
//! The time is a string (a date, meaning its end in UTC, or a time such as `2026-03-01T09:30:00Z`), a `DATE`, which means its end
//! too, or a `TIMESTAMP`, in UTC where it has no zone. A run counts from the time at which the store received its commit. The
//! columns are those of the table now; what an older one lacked is null. A time before the first version is an error.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::ident;

use super::literals;
use crate::contract::Contract;
use crate::lake::{Place, Table};
use crate::registry::AsOf;
use crate::sql::lake_tables::provider_of;
use crate::sql::snapshot::Now;

const SYNTAX: &str = "predictions_as_of(timestamp)";

/// See the module.
#[derive(Debug)]
pub(super) struct PredictionsAsOf(pub Now);

impl TableFunctionImpl for PredictionsAsOf {
    fn call_with_args(&self, args: TableFunctionArgs) -> DfResult<Arc<dyn TableProvider>> {
        let [value] = literals(SYNTAX, args.exprs())?;
        let at = time(&value)?;
        let snapshot = self.0.get();
        let name = Contract::Predictions.table();
        let now = snapshot.tables.provider(name);
        let now = now.ok_or_else(|| DataFusionError::Internal(format!("there is no table {name}")))?;
        Ok(Arc::new(Then { place: snapshot.lake.place.child(name), at, schema: now.schema() }))
    }
}

fn time(value: &ScalarValue) -> DfResult<DateTime<Utc>> {
    let refused = || {
        DataFusionError::Plan(format!(
            "{SYNTAX} takes a time such as '2026-03-01', '2026-03-01T09:30:00Z' or now() - INTERVAL '1 day', not {value}"
        ))
    };
    let text = match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            text.clone()
        }
        // As the text of a date, which means its end.
        ScalarValue::Date32(Some(_)) => value.cast_to(&DataType::Utf8)?.to_string(),
        ScalarValue::TimestampSecond(..)
        | ScalarValue::TimestampMillisecond(..)
        | ScalarValue::TimestampMicrosecond(..)
        | ScalarValue::TimestampNanosecond(..) => {
            let micros = value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
            let ScalarValue::TimestampMicrosecond(Some(micros), _) = micros else { return Err(refused()) };
            return DateTime::from_timestamp_micros(micros).ok_or_else(refused);
        }
        _ => return Err(refused()),
    };
    Ok(text.parse::<AsOf>()?.last())
}

/// The table at the version of a time, which is found when a query runs.
#[derive(Debug)]
struct Then {
    place: Place,
    at: DateTime<Utc>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Then {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let table = Table::as_of(&self.place, self.at).await?;
        let then = provider_of(Contract::Predictions, table.as_ref()).await?;
        // The columns of now, by name and type.
        let columns = self.schema.fields().iter().map(|field| match then.schema().column_with_name(field.name()) {
            Some((_, there)) if there.data_type() == field.data_type() => Ok(ident(field.name())),
            Some(_) => Ok(cast(ident(field.name()), field.data_type().clone()).alias(field.name())),
            None => Ok(Expr::Literal(ScalarValue::try_from(field.data_type())?, None).alias(field.name())),
        });
        let columns: Vec<Expr> = columns.collect::<DfResult<_>>()?;
        let mut plan = LogicalPlanBuilder::scan(SYNTAX, provider_as_source(then), None)?.project(columns)?;
        if let Some(filter) = filters.iter().cloned().reduce(Expr::and) {
            plan = plan.filter(filter)?;
        }
        if let Some(projection) = projection {
            plan = plan.project(projection.iter().map(|at| ident(self.schema.field(*at).name())))?;
        }
        state.create_physical_plan(&plan.limit(0, limit)?.build()?).await
    }
}
