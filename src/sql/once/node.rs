//! `Score`: the plan's node that asks models about rows. Its output is its input's columns and one more for each call.
//!
//! What always holds: rows are neither dropped, added nor put in another order, so filters on the input's columns and limits
//! pass below it. Its own columns have names that occur once in a plan. Refuses: nothing; it evaluates what it is given.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

/// One column of answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Name of the column, without a qualifier.
    pub name: String,
    /// The call over columns of the input, or an expression that makes it for some rows and is null for the rest.
    pub expr: Expr,
}

impl Call {
    /// The column of the answers.
    pub fn column(&self) -> Column {
        Column::new_unqualified(&self.name)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Score {
    input: Arc<LogicalPlan>,
    calls: Vec<Call>,
    schema: DFSchemaRef,
}

impl Score {
    /// Puts a node over `input`.
    pub fn over(input: LogicalPlan, calls: Vec<Call>) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Score::new(input, calls)?) }))
    }

    fn new(input: LogicalPlan, calls: Vec<Call>) -> Result<Score> {
        let there = input.schema();
        let mut fields: Vec<_> = there.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        for call in &calls {
            let (_, field) = call.expr.to_field(there)?;
            fields.push((None, Arc::new(field.as_ref().clone().with_name(&call.name))));
        }
        let mut dependencies = there.functional_dependencies().clone();
        dependencies.extend_target_indices(fields.len());
        let schema = DFSchema::new_with_metadata(fields, there.metadata().clone())?;
        let schema = Arc::new(schema.with_functional_dependencies(dependencies)?);
        Ok(Score { input: Arc::new(input), calls, schema })
    }

    /// The node, if a plan is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Score> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }

    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The plan below.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }
}

/// Functions of an expression under the names by which they tell which model they ask: those whose own name does not.
pub(super) fn models<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for expr in exprs {
        let _ = expr.apply(|e| {
            if let Expr::ScalarFunction(call) = e {
                let told = format!("{:?}", call.func.inner());
                // A function that says nothing of itself prints its fields.
                if told.starts_with(call.func.name()) && told != call.func.name() && !told.contains('{') {
                    names.insert(told);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    names.into_iter().collect()
}

/// ` by NAME, NAME`, or nothing.
pub(super) fn by(models: &[String]) -> String {
    if models.is_empty() { String::new() } else { format!(" by {}", models.join(", ")) }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let calls = |s: &Score| s.calls.iter().map(|c| c.expr.clone()).collect::<Vec<_>>();
        let order = self.input.partial_cmp(&other.input)?.then(calls(self).partial_cmp(&calls(other))?);
        Some(order).filter(|order| *order != Ordering::Equal || self == other)
    }
}

impl UserDefinedLogicalNodeCore for Score {
    fn name(&self) -> &str {
        "Score"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.calls.iter().map(|call| call.expr.clone()).collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.calls.iter().map(|call| call.name.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let calls: Vec<String> = self.calls.iter().map(|call| format!("{} AS {}", call.expr, call.name)).collect();
        write!(f, "Score: {}{}", calls.join(", "), by(&models(self.calls.iter().map(|call| &call.expr))))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let [input]: [LogicalPlan; 1] =
            inputs.try_into().map_err(|_| DataFusionError::Internal("Score has one input".into()))?;
        // A rule that changes an expression keeps its name with an alias; the name is ours.
        let renamed = self.calls.iter().zip(exprs);
        let calls = renamed.map(|(call, expr)| Call { name: call.name.clone(), expr: expr.unalias() }).collect();
        Score::new(input, calls)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|column| *column < inputs).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}
