//! The optimiser rule: goes through a plan from its leaves up and rewrites the nodes that ask models.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::common::{JoinType, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::calls::Hoist;
use super::node::Score;
use super::scope::{Origins, Scope};
use super::{RULE, Scoring};

/// See the module.
#[derive(Debug)]
pub(super) struct ScoreOnce {
    pub scoring: Scoring,
}

impl OptimizerRule for ScoreOnce {
    fn name(&self) -> &str {
        RULE
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let aliases = config.alias_generator();
        let mut hoist = Hoist { scoring: self.scoring, aliases, origins: Origins::default(), scored: false };
        if !hoist.has_work(&plan)? {
            return Ok(Transformed::no(plan));
        }
        // What nobody reads is not scored.
        let pruned = OptimizeProjections::new().rewrite(plan.clone(), config)?.data;
        match hoist.rewrite(&pruned) {
            Ok(rewritten) if hoist.scored => Ok(Transformed::yes(rewritten)),
            Ok(_) => Ok(Transformed::no(plan)),
            // The answer is the same, each call made where it is written.
            Err(e) => {
                tracing::warn!(error = %e, "a query is scored call by call");
                Ok(Transformed::no(plan))
            }
        }
    }
}

impl Hoist<'_> {
    /// Whether there is a call in a plan that is not in a `Score`; counts new names on from those that are taken.
    fn has_work(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut work = false;
        plan.apply_with_subqueries(|node| {
            if let Some(score) = Score::of(node) {
                for call in score.calls() {
                    let number = call.name.rsplit('_').next().and_then(|n| n.parse().ok());
                    self.aliases.update_min_id(number.unwrap_or(0));
                }
                return Ok(TreeNodeRecursion::Continue);
            }
            node.apply_expressions(|expr| {
                work |= self.has_call(expr);
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(work)
    }

    /// A plan with the same columns whose calls are made once.
    fn rewrite(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let mut walk = Walk { hoist: self, scopes: Vec::new() };
        plan.visit(&mut walk)?;
        match walk.scopes.pop() {
            Some(scope) => self.restore(scope),
            None => datafusion::common::internal_err!("a plan has a root"),
        }
    }

    fn node(&mut self, node: &LogicalPlan, mut inputs: Vec<Scope>) -> Result<Scope> {
        let node = self.subqueries(node)?;
        if has_correlated(&node)? {
            return self.opaque(node, inputs);
        }
        if let LogicalPlan::Join(join) = &node
            && join.join_type != JoinType::RightMark
        {
            let (Some(right), Some(left)) = (inputs.pop(), inputs.pop()) else { return Err(inputs_missing()) };
            return self.join(join, left, right);
        }
        if let (Some(score), 1) = (Score::of(&node), inputs.len()) {
            return self.scored_before(score, inputs.remove(0));
        }
        let mut input = || inputs.pop().ok_or_else(inputs_missing);
        match &node {
            LogicalPlan::Projection(projection) => self.projection(projection, input()?),
            LogicalPlan::Filter(filter) => self.filter(filter, input()?),
            LogicalPlan::Sort(sort) => self.sort(sort, input()?),
            LogicalPlan::Limit(limit) => self.limit(limit, input()?),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias, input()?),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, input()?),
            LogicalPlan::Window(window) => self.window(window, input()?),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, input()?),
            _ => self.opaque(node, inputs),
        }
    }

    /// A node of which nothing is known: over its inputs as they were written.
    fn opaque(&mut self, node: LogicalPlan, inputs: Vec<Scope>) -> Result<Scope> {
        let mut plans = Vec::new();
        for input in inputs {
            plans.push(self.restore(input)?);
        }
        let mut plans = plans.into_iter();
        let node = node.map_children(|child| Ok(Transformed::yes(plans.next().unwrap_or(child))))?.data;
        Ok(self.leaf(node))
    }

    /// A node whose subqueries are rewritten, but for those that read the node's own rows.
    fn subqueries(&mut self, node: &LogicalPlan) -> Result<LogicalPlan> {
        let rewritten = node.clone().map_uncorrelated_subqueries(|plan| match plan {
            LogicalPlan::Subquery(subquery) => {
                let plan = Arc::new(self.rewrite(&subquery.subquery)?);
                Ok(Transformed::yes(LogicalPlan::Subquery(Subquery { subquery: plan, ..subquery })))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.data)
    }
}

/// Scopes of what was passed, inputs before what reads them. DataFusion's own walk has a guard for deep plans.
struct Walk<'a, 'b> {
    hoist: &'a mut Hoist<'b>,
    scopes: Vec<Scope>,
}

impl<'n> TreeNodeVisitor<'n> for Walk<'_, '_> {
    type Node = LogicalPlan;

    fn f_up(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        let first = self.scopes.len().checked_sub(node.inputs().len()).ok_or_else(inputs_missing)?;
        let inputs = self.scopes.split_off(first);
        let scope = self.hoist.node(node, inputs)?;
        self.scopes.push(scope);
        Ok(TreeNodeRecursion::Continue)
    }
}

fn inputs_missing() -> DataFusionError {
    DataFusionError::Internal("a node has its inputs".into())
}

/// Whether a node has a subquery that reads the node's own rows, which the optimiser has not made a join.
fn has_correlated(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_subqueries(|plan| {
        found |= matches!(plan, LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty());
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
