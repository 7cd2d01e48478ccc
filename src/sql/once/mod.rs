//! Each line is scored once, however the query is written.
//!
//! DataFusion evaluates a function once for each mention: `hs_predict(d).hs6` in `SELECT`, in `WHERE` and in `ORDER BY` asks the
//! model three times, also through views and common table expressions. Here an optimiser rule takes the calls out of the
//! expressions and puts a node of the plan (`Score`) below the first node that needs an answer; every other mention reads its
//! columns. Why so and what else was tried is told in `docs/decisions/0015-scored-once.md`.
//!
//! What always holds: a query's answer, its columns and their names are those that it has without the rule. A relation's row
//! goes to a model at most once for each model and text column, after the conditions that ask no model. Refuses: nothing; a plan that
//! the rule cannot rewrite is left as it is.

mod calls;
mod exec;
mod fields;
mod guard;
mod join;
mod node;
mod nodes;
mod rule;
mod scope;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ScalarUDF};
use datafusion::optimizer::Optimizer;

/// Name of the rule, by which a session drops it.
pub const RULE: &str = "score_once";

/// Which functions ask a model.
#[derive(Clone, Copy)]
pub struct Scoring {
    /// Whether a function does, and gives the same answer to the same text whenever it is asked.
    pub is: fn(&ScalarUDF) -> bool,
    /// What a call says in terms of another function that does, for calls that are part of its answer.
    pub same: fn(&ScalarFunction) -> Option<Expr>,
    /// A function with some fields of its answer, for one whose answer has more.
    pub with_fields: fn(&ScalarUDF, &BTreeSet<String>) -> Option<ScalarUDF>,
}

impl fmt::Debug for Scoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scoring")
    }
}

/// A session whose queries score each line once.
pub fn once(builder: SessionStateBuilder, scoring: Scoring) -> SessionStateBuilder {
    let mut rules = Optimizer::new().rules;
    // Subqueries are joins by then; conditions and limits are where they were written, and are moved around a `Score` after it.
    let place = rules.iter().position(|rule| rule.name() == "push_down_limit").unwrap_or(rules.len());
    rules.insert(place, Arc::new(rule::ScoreOnce { scoring }));
    rules.push(Arc::new(fields::ScoreFields { scoring }));
    builder.with_optimizer_rules(rules).with_query_planner(Arc::new(exec::Planner))
}
