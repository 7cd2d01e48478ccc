//! The optimiser rule that leaves out fields of answers that nobody reads: they are neither made nor carried through sorts and
//! joins.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::Scoring;
use super::node::{Call, Score};

/// See the module.
#[derive(Debug)]
pub(super) struct ScoreFields {
    pub scoring: Scoring,
}

/// What is read of a column of answers.
enum Read {
    Fields(BTreeSet<String>),
    All,
}

impl OptimizerRule for ScoreFields {
    fn name(&self) -> &str {
        "score_fields"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let read = read(&plan)?;
        let mut fewer: HashMap<String, ScalarUDF> = HashMap::new();
        plan.apply_with_subqueries(|node| {
            for call in Score::of(node).map(Score::calls).unwrap_or_default() {
                if let (Expr::ScalarFunction(function), Some(Read::Fields(fields))) = (&call.expr, read.get(&call.name))
                    && let Some(with) = (self.scoring.with_fields)(&function.func, fields)
                {
                    fewer.insert(call.name.clone(), with);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if fewer.is_empty() {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| with_fewer(node, &fewer))
    }
}

/// What the expressions of a plan read of the columns of its `Score`s.
fn read(plan: &LogicalPlan) -> Result<HashMap<String, Read>> {
    let mut read = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let Some(score) = Score::of(node) {
            for call in score.calls() {
                read.entry(call.name.clone()).or_insert_with(|| Read::Fields(BTreeSet::new()));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if read.is_empty() {
        return Ok(read);
    }
    plan.apply_with_subqueries(|node| {
        let carries = matches!(node, LogicalPlan::Projection(_));
        node.apply_expressions(|expr| match expr {
            Expr::Column(column) if carries && column.relation.is_none() => Ok(TreeNodeRecursion::Continue),
            _ => note(expr, &mut read),
        })
    })?;
    Ok(read)
}

fn note(expr: &Expr, read: &mut HashMap<String, Read>) -> Result<TreeNodeRecursion> {
    expr.apply(|e| {
        match e {
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" => {
                if let [Expr::Column(column), Expr::Literal(field, _), ..] = &args[..]
                    && let Some(of) = read.get_mut(&column.name)
                    && let Some(Some(field)) = field.try_as_str()
                {
                    if let Read::Fields(fields) = of {
                        fields.insert(field.to_string());
                    }
                    return Ok(TreeNodeRecursion::Jump);
                }
            }
            Expr::Column(column) => {
                if let Some(of) = read.get_mut(&column.name) {
                    *of = Read::All;
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(TreeNodeRecursion::Continue)
}

/// A node over inputs whose answers have fewer fields.
fn with_fewer(node: LogicalPlan, fewer: &HashMap<String, ScalarUDF>) -> Result<Transformed<LogicalPlan>> {
    if let Some(score) = Score::of(&node)
        && score.calls().iter().any(|call| fewer.contains_key(&call.name))
    {
        let calls = score.calls().iter().map(|call| match (&call.expr, fewer.get(&call.name)) {
            (Expr::ScalarFunction(function), Some(with)) => {
                let func = Arc::new(with.clone());
                let expr = Expr::ScalarFunction(ScalarFunction { func, args: function.args.clone() });
                Call { name: call.name.clone(), expr }
            }
            _ => call.clone(),
        });
        return Ok(Transformed::yes(Score::over(score.input().clone(), calls.collect())?));
    }
    match node.schema().fields().iter().any(|field| fewer.contains_key(field.name())) {
        true => Ok(Transformed::yes(node.recompute_schema()?)),
        false => Ok(Transformed::no(node)),
    }
}
