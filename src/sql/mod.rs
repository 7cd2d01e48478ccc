//! DataFusion sessions: bounded memory, our functions, the lake's tables, and the views of `queries/`.
//!
//! Every session turns off the optimiser rule that is known to give wrong results (`docs/decisions/`).

mod cache;
mod classifier;
mod explain;
pub mod external;
pub mod functions;
mod giving_way;
mod guard;
mod lake_session;
mod lake_tables;
pub mod named;
mod names;
mod newest;
mod once;
mod pair;
mod small;
mod snapshot;
mod tables;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Place, Table};
use lake_tables::{LakeTables, opened, provider_of};

pub use classifier::{Classifier, Identity, VagueBy, prediction_fields};
pub use explain::{Explainer, Explanation};
pub use functions::{Model, base_name, hs_predict, hs_predict_lines, model_of, text_of};
pub use guard::{Class, Guard};
pub use lake_session::{LakeOptions, LakeSession};
pub use once::RULE as ONCE_RULE;
pub use pair::{Pair, ROLES, hs_predict_both};
pub use tables::MANUALS as TABLE_FUNCTIONS;

/// The views over the tables of a lake, in the order in which they build on each other.
pub const VIEWS: &[(&str, &str)] = &[
    ("shortened_files", include_str!("../../queries/shortened_files.sql")),
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

/// What a view is for, as its file says; `None` for what is no view of ours.
pub fn purpose_of(view: &str) -> Option<&'static str> {
    let (_, sql) = VIEWS.iter().find(|(name, _)| *name == view)?;
    sql.lines().find_map(|line| line.strip_prefix("-- purpose: "))
}

/// The catalog that holds the lake's tables, and so the database that a client of the server sees.
pub const CATALOG: &str = "lake";

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
    Ok(session_on(limits, runtime(limits)?))
}

/// Bounded memory, for one session or for several that share it.
fn runtime(limits: Limits) -> Result<Arc<RuntimeEnv>> {
    let five = std::num::NonZeroUsize::MIN.saturating_add(4);
    let pool = TrackConsumersPool::new(FairSpillPool::new(limits.memory_bytes), five);
    Ok(RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?)
}

fn session_on(limits: Limits, runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, "public")
        .with_target_partitions(limits.threads)
        .with_information_schema(true)
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_bool("datafusion.execution.parquet.reorder_filters", true);
    // Each sort of a query takes as much before it begins, and a query over views may have dozens.
    config.options_mut().execution.sort_spill_reservation_bytes =
        (limits.memory_bytes / 1_024).clamp(256 << 10, 10 << 20);
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    // A join that gives way can be cancelled.
    let state = state.with_physical_optimizer_rule(Arc::new(giving_way::GivingWay));
    SessionContext::new_with_state(once::once(state, functions::SCORING).build())
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
    let tables = LakeTables::open_at(lake, at).await?;
    for (name, provider) in tables.iter() {
        context.deregister_table(name)?;
        context.register_table(name, Arc::clone(provider))?;
    }
    Ok(tables.versions())
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
    let table = opened(lake, contract, version).await?;
    context.deregister_table(contract.table())?;
    context.register_table(contract.table(), provider_of(contract, table.as_ref()).await?)?;
    Ok(table.as_ref().map(Table::version))
}
