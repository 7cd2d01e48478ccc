//! An expression before it is optimised: how large it becomes where the engine writes parts of it more than once.
//!
//! Before the optimiser: `coalesce(a, b)` becomes `CASE WHEN a IS NOT NULL THEN a ELSE b END`, `a BETWEEN b AND c` becomes `a >= b AND a <= c`, and a list
//! of a few terms a chain of OR. After it, when the steps of a chain of queries have become one: the type of what is cast is worked
//! out twice. Within each other, each doubles what the one before has doubled.

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::serve::fault::{Fault, state};

/// Parts that an expression may have when everything is written out.
const MOST_PARTS: u64 = 100_000;
/// Casts that lie within each other.
const MOST_CASTS: usize = 12;
/// Longest list that is written out as a chain of OR.
const SHORT_LIST: usize = 3;

/// Refuses an expression that would become too large.
pub(super) fn check_copies(expr: &Expr) -> Result<()> {
    expr.visit(&mut Weigh::default()).map(drop)
}

/// Parts of the arguments of each expression that is open, outermost first.
#[derive(Default)]
struct Weigh(Vec<Vec<u64>>);

impl TreeNodeVisitor<'_> for Weigh {
    type Node = Expr;

    fn f_down(&mut self, _: &Expr) -> Result<TreeNodeRecursion> {
        self.0.push(Vec::new());
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, expr: &Expr) -> Result<TreeNodeRecursion> {
        let within = self.0.pop().unwrap_or_default();
        let times = |place: usize| match expr {
            Expr::ScalarFunction(call)
                if matches!(call.func.name(), "coalesce" | "nvl" | "nvl2") && place + 1 < within.len() =>
            {
                2
            }
            Expr::Between(_) if place == 0 => 2,
            Expr::InList(list) if place == 0 && list.list.len() <= SHORT_LIST => list.list.len().max(1) as u64,
            _ => 1,
        };
        let parts = within.iter().enumerate().map(|(place, parts)| parts.saturating_mul(times(place)));
        let parts = parts.fold(1u64, u64::saturating_add);
        if parts > MOST_PARTS {
            let what =
                format!("an expression has more than {MOST_PARTS} parts when coalesce, BETWEEN and IN are written out");
            return Err(too_complex(what));
        }
        if let Some(around) = self.0.last_mut() {
            around.push(parts);
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

/// Refuses an optimised plan of which the types would take too long to work out. The last rule of the optimiser.
#[derive(Debug)]
pub(in crate::serve) struct Casts;

impl OptimizerRule for Casts {
    fn name(&self) -> &str {
        "casts_within_casts"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        casts(&plan)?;
        Ok(Transformed::no(plan))
    }
}

/// For each column of a plan, the casts that lie within each other in what it comes from, as far as the engine makes one
/// expression of it.
fn casts(plan: &LogicalPlan) -> Result<Vec<usize>> {
    let inputs = plan.inputs();
    let from: Vec<usize> = inputs.iter().map(|input| casts(input)).collect::<Result<Vec<_>>>()?.concat();
    let fields: Vec<_> = inputs.iter().flat_map(|input| input.schema().iter()).collect();
    let of_column = |column: &Column| {
        let found = fields.iter().position(|(relation, field)| {
            field.name() == &column.name && (column.relation.is_none() || column.relation.as_ref() == *relation)
        });
        found.and_then(|at| from.get(at)).copied().unwrap_or(0)
    };
    let mut own = Vec::new();
    plan.apply_expressions(|expr| {
        let mut deep = Deep { open: vec![0], of_column: &of_column };
        expr.visit(&mut deep)?;
        own.push(deep.open[0]);
        if deep.open[0] > MOST_CASTS {
            return Err(too_complex(format!("more than {MOST_CASTS} casts lie within each other")));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let columns = plan.schema().fields().len();
    Ok(match plan {
        LogicalPlan::Projection(_) => own,
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Union(_) => vec![0; columns],
        // Of a join that gives the rows of one side alone, the first are those of the left.
        _ => from.into_iter().chain(std::iter::repeat(0)).take(columns).collect(),
    })
}

/// The most casts within each other below each expression that is open, outermost first.
struct Deep<'a> {
    open: Vec<usize>,
    of_column: &'a dyn Fn(&Column) -> usize,
}

impl TreeNodeVisitor<'_> for Deep<'_> {
    type Node = Expr;

    fn f_down(&mut self, _: &Expr) -> Result<TreeNodeRecursion> {
        self.open.push(0);
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, expr: &Expr) -> Result<TreeNodeRecursion> {
        let within = self.open.pop().unwrap_or(0);
        let deep = match expr {
            Expr::Cast(_) | Expr::TryCast(_) => within + 1,
            Expr::Column(column) => (self.of_column)(column),
            _ => within,
        };
        if let Some(around) = self.open.last_mut() {
            *around = deep.max(*around);
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

fn too_complex(what: String) -> DataFusionError {
    Fault::new(state::TOO_COMPLEX, what).hint("Ask in several statements, or sort or group in between.").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::functions::expr_fn::{coalesce, upper};
    use datafusion::logical_expr::{col, lit};
    use datafusion::prelude::SessionContext;

    fn nested(depth: usize, around: impl Fn(Expr) -> Expr) -> Expr {
        (0..depth).fold(col("a"), |expr, _| around(expr))
    }

    /// Steps of a chain of queries, each of which casts what the one before gives.
    #[tokio::test]
    async fn casts_are_followed_through_the_steps_of_a_query() {
        let context = SessionContext::new();
        let chain = |steps: usize, step: &str| {
            let steps: String = (0..steps).map(|n| format!(", t{} AS (SELECT {step} AS x FROM t{n})", n + 1)).collect();
            format!(
                "WITH t0 AS (SELECT arrow_cast(value, 'Utf8') AS x FROM generate_series(1, 9)){steps} SELECT x FROM t"
            )
        };
        for (steps, step, deepest) in [
            (10, "(x = 'a')::text", Some(11)),
            (40, "(x = 'a')::text", None),
            (40, "upper(x)", Some(1)),
            (40, "max(x)::text", Some(1)),
        ] {
            let sql = format!("{}{steps}", chain(steps, step));
            let plan = context.state().create_logical_plan(&sql).await.unwrap();
            let found = casts(&plan).map(|found| found[0]).ok();
            assert_eq!(found.is_some(), deepest.is_some(), "{steps} times {step}: {found:?}");
            assert!(found <= deepest, "{steps} times {step}: {found:?}");
        }
    }

    #[test]
    fn what_doubles_itself_is_bounded_and_what_does_not_is_free() {
        let first = |depth| nested(depth, |expr| coalesce(vec![expr, lit("x")]));
        assert!(check_copies(&first(10)).is_ok());
        assert!(check_copies(&first(24)).unwrap_err().to_string().contains("parts"));
        assert!(check_copies(&nested(400, |expr| coalesce(vec![lit("x"), expr]))).is_ok());
        assert!(check_copies(&nested(400, upper)).is_ok());
        let between = |depth| nested(depth, |expr| expr.between(lit(false), lit(true)));
        assert!(check_copies(&between(10)).is_ok());
        assert!(check_copies(&between(24)).is_err());
        let among = |terms: usize| nested(24, |expr| expr.in_list(vec![lit(true); terms], false));
        assert!(check_copies(&among(1)).is_ok());
        assert!(check_copies(&among(2)).is_err());
        assert!(check_copies(&among(4)).is_ok());
    }
}
