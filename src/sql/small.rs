//! A view of few rows that is worked out whole when it is scanned, so that the planner knows how few they are: beside a large
//! table it is held in memory and the large one passes by, which costs nothing where the view is empty.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::{ExecutionPlan, collect};

/// See the module.
pub(super) struct Small {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl Small {
    /// The rows of a plan.
    pub fn of(plan: LogicalPlan) -> Arc<dyn TableProvider> {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Arc::new(Small { plan, schema })
    }
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a small view of {} columns", self.schema.fields().len())
    }
}

#[async_trait]
impl TableProvider for Small {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = state.create_physical_plan(&self.plan).await?;
        let rows = collect(plan, state.task_ctx()).await?;
        let named = |batch: RecordBatch| RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec());
        let rows = rows.into_iter().map(named).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(MemorySourceConfig::try_new_exec(&[rows], Arc::clone(&self.schema), projection.cloned())?)
    }
}
