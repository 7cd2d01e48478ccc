//! `runs()`: every run that became visible, newest first, with its coverage and speed: the view `run_history`.
//!
//! ```sql
//! SELECT run_id, command, lines_written, coverage_ratio FROM runs()
//! ```

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;

use super::literals;
use crate::sql::snapshot::Now;

/// See the module.
#[derive(Debug)]
pub(super) struct Runs(pub Now);

impl TableFunctionImpl for Runs {
    fn call_with_args(&self, args: TableFunctionArgs) -> DfResult<Arc<dyn TableProvider>> {
        let [] = literals("runs()", args.exprs())?;
        let view = self.0.get().tables.provider("run_history").cloned();
        view.ok_or_else(|| DataFusionError::Internal("there is no view run_history".into()))
    }
}
