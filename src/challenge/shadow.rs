//! The shadow period: how long a challenger has run beside the present champion, by the runs of a lake.
//!
//! Always holds: only runs count that are visible, whose model was the present champion and that scored this challenger
//! too. Refuses: runs beside another champion.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::prelude::{col, lit};

use super::verdict::Shadow;
use crate::contract::Contract;
use crate::error::Result;
use crate::lake::{Place, Table};
use crate::sql::{Limits, session};

/// The column that a run with a challenger has; tables of older programs lack it.
const CHALLENGER: &str = "challenger_digest";
/// `runs` has a row a run.
const LIMITS: Limits = Limits { memory_bytes: 256 << 20, threads: 1 };

/// Counts the runs of the version with digest `champion` in which the one with digest `challenger` was scored too.
///
/// # Errors
/// Those of the store.
pub async fn shadow(lake: &Place, champion: &str, challenger: &str) -> Result<Shadow> {
    let Some(table) = Table::open(&lake.child(Contract::Runs.table())).await? else {
        return Ok(Shadow::default());
    };
    if table.schema()?.column_with_name(CHALLENGER).is_none() {
        return Ok(Shadow::default());
    }
    let context = session(LIMITS)?;
    let beside = context
        .read_table(table.provider().await?)?
        .filter(col(CHALLENGER).eq(lit(challenger)).and(col("model_digest").eq(lit(champion))))?;
    let totals = vec![count(lit(1i64)).alias("runs"), sum(col("challenger_lines")).alias("lines")];
    let mut shadow = Shadow::default();
    for batch in beside.aggregate(Vec::new(), totals)?.collect().await? {
        let total = |column: usize| {
            let counted = batch.column(column).as_primitive::<Int64Type>().iter().flatten();
            counted.map(|n| u64::try_from(n).unwrap_or(0)).sum::<u64>()
        };
        shadow.runs += total(0);
        shadow.lines += total(1);
    }
    Ok(shadow)
}
