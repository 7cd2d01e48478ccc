//! DataFusion sessions: bounded memory, our functions, the lake's tables, and the views of `queries/`.
//!
//! Every session turns off the optimiser rule that is known to give wrong results (`docs/decisions/`).

mod cache;
mod classifier;
mod explain;
mod pair;
mod predict;
mod small;
mod text_of;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, ident};
use datafusion::scalar::ScalarValue;

use crate::contract::Contract;
use crate::error::{Context, Error, Result};
use crate::lake::{Place, Table, missing};

pub use classifier::{Classifier, Identity, VagueBy, prediction_fields};
pub use explain::{Explainer, Explanation, hs_explain};
pub use pair::{Pair, ROLES, hs_predict_both};
pub use predict::hs_predict;
pub use text_of::text_of;

use small::Small;

/// The view that is worked out whole before it is joined with all predictions.
const SHORTENED: &str = "shortened_files";

/// The views over the tables of a lake, in the order in which they build on each other.
pub const VIEWS: &[(&str, &str)] = &[
    (SHORTENED, include_str!("../../queries/shortened_files.sql")),
    ("current_predictions", include_str!("../../queries/current_predictions.sql")),
    ("counted_when", include_str!("../../queries/counted_when.sql")),
    ("coded_lines", include_str!("../../queries/coded_lines.sql")),
    ("effective_codes", include_str!("../../queries/effective_codes.sql")),
    ("challenger_differences", include_str!("../../queries/challenger_differences.sql")),
    ("review_queue", include_str!("../../queries/review_queue.sql")),
    ("run_history", include_str!("../../queries/run_history.sql")),
    ("same_text_other_code", include_str!("../../queries/same_text_other_code.sql")),
    ("same_text_in_run", include_str!("../../queries/same_text_in_run.sql")),
    ("same_text_across_runs", include_str!("../../queries/same_text_across_runs.sql")),
    ("declared_lines", include_str!("../../queries/declared_lines.sql")),
    ("declared_otherwise", include_str!("../../queries/declared_otherwise.sql")),
    ("same_text_declared_otherwise", include_str!("../../queries/same_text_declared_otherwise.sql")),
    ("findings", include_str!("../../queries/findings.sql")),
    ("current_nomenclature", include_str!("../../queries/current_nomenclature.sql")),
    ("current_correlations", include_str!("../../queries/current_correlations.sql")),
    ("unfinished_imports", include_str!("../../queries/unfinished_imports.sql")),
];

/// Share of the machine that a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bound on what operators may hold, in bytes.
    pub memory_bytes: usize,
    /// Partitions that work at once.
    pub threads: usize,
}

/// A session with the given limits and nothing in it.
pub fn session(limits: Limits) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads)
        .with_information_schema(true)
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_bool("datafusion.execution.parquet.reorder_filters", true);
    config.options_mut().execution.sort_spill_reservation_bytes = limits.memory_bytes / 16;
    let five = std::num::NonZeroUsize::MIN.saturating_add(4);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(limits.memory_bytes), five)))
        .build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Rows for which an SQL condition over their columns holds.
///
/// # Errors
/// `Usage` with the columns that there are.
pub fn where_clause(lines: DataFrame, condition: &str) -> Result<DataFrame> {
    let there: Vec<String> =
        lines.schema().fields().iter().map(|f| f.name().clone()).filter(|name| !name.starts_with("__")).collect();
    let refused = |e: DataFusionError| {
        Error::Usage(format!("--where {condition}: {}; the columns are: {}", Error::from(e), there.join(", ")))
    };
    let parsed = lines.parse_sql_expr(condition).map_err(refused)?;
    lines.filter(parsed).map_err(refused)
}

/// Versions of a lake's tables by their names; none for a table that does not exist.
pub type Versions = BTreeMap<String, Option<u64>>;

/// Registers the tables and views of a lake; a table that does not exist yet is there and empty. Gives the number of
/// those that exist.
pub async fn register_lake(context: &SessionContext, lake: &Place) -> Result<usize> {
    Ok(register_lake_at(context, lake, None).await?.values().flatten().count())
}

/// Registers the tables and views of a lake as they were at these versions, or as they are; a table without a version is
/// empty. Gives the versions.
///
/// # Errors
/// As [`register_version`].
pub async fn register_lake_at(context: &SessionContext, lake: &Place, at: Option<&Versions>) -> Result<Versions> {
    let mut versions = Versions::new();
    // What is committed later is read first: correlations before the nomenclatures that they make count, runs before the
    // predictions that they are the record of.
    for contract in Contract::ALL.into_iter().rev() {
        let version = match at.map(|at| at.get(contract.table()).copied().flatten()) {
            None => register_version(context, lake, contract, None).await?,
            Some(Some(version)) => register_version(context, lake, contract, Some(version)).await?,
            Some(None) => {
                register_empty(context, contract)?;
                None
            }
        };
        versions.insert(contract.table().into(), version);
    }
    for &(name, sql) in VIEWS {
        let view = context.sql(sql).await.map_err(|e| Error::Bug(format!("queries/{name}.sql: {e}")))?;
        let view = if name == SHORTENED { Small::of(view) } else { view.into_view() };
        context.register_table(name, view).context(|| format!("queries/{name}.sql"))?;
    }
    Ok(versions)
}

fn register_empty(context: &SessionContext, contract: Contract) -> Result<()> {
    let empty = MemTable::try_new(Arc::clone(contract.schema()), vec![vec![]])?;
    context.deregister_table(contract.table())?;
    context.register_table(contract.table(), Arc::new(empty))?;
    Ok(())
}

/// Registers one table of a lake, empty when it does not exist yet; whether it does.
///
/// # Errors
/// `Input` when a table of another shape is there.
pub async fn register_table(context: &SessionContext, lake: &Place, contract: Contract) -> Result<bool> {
    Ok(register_version(context, lake, contract, None).await?.is_some())
}

/// Registers one table of a lake as it was at a version, or as it is; in place of what has its name. Gives the version that
/// it has; `None` for a table that does not exist yet, which is empty.
///
/// # Errors
/// As [`register_table`]; `Usage` for a version that there is not.
pub async fn register_version(
    context: &SessionContext,
    lake: &Place,
    contract: Contract,
    version: Option<u64>,
) -> Result<Option<u64>> {
    context.deregister_table(contract.table())?;
    let Some(mut table) = Table::open(&lake.child(contract.table())).await? else {
        let empty = MemTable::try_new(Arc::clone(contract.schema()), vec![vec![]])?;
        context.register_table(contract.table(), Arc::new(empty))?;
        return Ok(None);
    };
    if let Some(version) = version {
        table = table.at_version(version).await?;
    }
    table.check_schema(contract.schema())?;
    let provider = table.provider().await?;
    let there = table.schema()?;
    // What a table of an older contract lacks is null.
    let missing = missing(there.as_ref(), contract.schema());
    let provider = match missing.fields().is_empty() {
        true => provider,
        false => {
            let mut columns: Vec<Expr> = there.fields().iter().map(|f| ident(f.name())).collect();
            for field in missing.fields() {
                columns.push(lit(ScalarValue::try_from(field.data_type())?).alias(field.name()));
            }
            context.read_table(provider)?.select(columns)?.into_view()
        }
    };
    context.register_table(contract.table(), provider)?;
    Ok(Some(table.version()))
}
