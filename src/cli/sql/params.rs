//! Values for the placeholders of a statement: bound to the plan, never pasted into the text.
//!
//! A value has the type that the plan gives its placeholder; where it gives none, a value is text, but a whole number in LIMIT
//! and OFFSET.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Limit, LogicalPlan, Statement};
use datafusion::scalar::ScalarValue;

use crate::error::{Error, Result};

/// Values by name.
#[derive(Debug, Default)]
pub(super) struct Params {
    values: Vec<(String, String)>,
    used: RefCell<BTreeSet<String>>,
}

impl Params {
    /// From `NAME=VALUE` each; the name is that after the `$`.
    pub(super) fn parse(given: &[String]) -> Result<Params> {
        let mut params = Params::default();
        for text in given {
            let (name, value) = pair(text).map_err(|e| e.context("--param"))?;
            if params.values.iter().any(|(known, _)| *known == name) {
                return Err(Error::Usage(format!("--param {name} is given twice")));
            }
            params.values.push((name, value));
        }
        Ok(params)
    }

    /// Gives a value, in place of an earlier one.
    pub(super) fn set(&mut self, name: String, value: String) {
        self.values.retain(|(known, _)| *known != name);
        self.values.push((name, value));
    }

    /// Names and values.
    pub(super) fn all(&self) -> &[(String, String)] {
        &self.values
    }

    /// Names that no statement asked for.
    pub(super) fn unused(&self) -> Vec<&str> {
        let used = self.used.borrow();
        self.values.iter().map(|(name, _)| name.as_str()).filter(|name| !used.contains(*name)).collect()
    }

    /// The plan with a value in place of every placeholder. One that is to be prepared keeps its own.
    ///
    /// # Errors
    /// `Usage` for a placeholder without a value, and for a value that is none of its type.
    pub(super) fn bind(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if matches!(plan, LogicalPlan::Statement(Statement::Prepare(_))) {
            return Ok(plan);
        }
        let mut types: HashMap<String, Option<DataType>> = plan.get_parameter_types()?;
        if types.is_empty() {
            return Ok(plan);
        }
        for counted in counted(&plan)? {
            types.entry(counted).and_modify(|kind| *kind = kind.take().or(Some(DataType::Int64)));
        }
        let mut bound: Vec<(String, ScalarValue)> = Vec::with_capacity(types.len());
        for (placeholder, kind) in types {
            let name = placeholder.trim_start_matches('$');
            let Some((_, value)) = self.values.iter().find(|(known, _)| known == name) else {
                return Err(Error::Usage(format!("${name} has no value: give --param {name}=VALUE")));
            };
            self.used.borrow_mut().insert(name.to_string());
            bound.push((name.to_string(), typed(name, value, kind)?));
        }
        Ok(plan.with_param_values(bound)?)
    }
}

/// `NAME=VALUE` → both.
pub(super) fn pair(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            Ok((name.to_string(), value.to_string()))
        }
        _ => Err(Error::Usage("write NAME=VALUE, where NAME is that after the $".into())),
    }
}

fn typed(name: &str, value: &str, kind: Option<DataType>) -> Result<ScalarValue> {
    let kind = kind.filter(|kind| *kind != DataType::Null).unwrap_or(DataType::Utf8);
    // The message must not hold the value, which may be a description.
    ScalarValue::try_from_string(value.to_string(), &kind)
        .map_err(|_| Error::Usage(format!("--param {name}: the value is no {kind}, which ${name} is here")))
}

/// Placeholders that say how many rows.
fn counted(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut names = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(Limit { skip, fetch, .. }) = node {
            for count in skip.iter().chain(fetch) {
                count.apply(|expr| {
                    if let Expr::Placeholder(placeholder) = expr {
                        names.push(placeholder.id.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::SessionContext;

    fn params(given: &[&str]) -> Params {
        Params::parse(&given.iter().map(|g| (*g).to_string()).collect::<Vec<_>>()).unwrap()
    }

    async fn answer(sql: &str, given: &[&str]) -> Result<String> {
        let context = SessionContext::new();
        context.sql("CREATE TABLE t AS VALUES (DATE '2026-03-31', 7, 'x'), (DATE '2026-04-01', 8, 'y')").await?;
        let plan = context.state().create_logical_plan(sql).await?;
        let frame = context.execute_logical_plan(params(given).bind(plan)?).await?;
        Ok(arrow::util::pretty::pretty_format_batches(&frame.collect().await?)?.to_string())
    }

    #[tokio::test]
    async fn a_value_is_of_the_type_that_the_plan_asks_for() {
        let by_day = answer("SELECT column3 FROM t WHERE column1 > $day AND column2 < $n", &["day=2026-03-31", "n=9"]);
        assert!(by_day.await.unwrap().contains("| y "));
        let limited = answer("SELECT column3 FROM t ORDER BY 1 LIMIT $1 OFFSET $2", &["1=1", "2=1"]).await.unwrap();
        assert!(limited.contains("| y ") && !limited.contains("| x "), "{limited}");
        assert!(answer("SELECT $what AS a", &["what=1 OR 1=1"]).await.unwrap().contains("| 1 OR 1=1 |"));
    }

    #[tokio::test]
    async fn what_is_missing_or_of_another_type_is_told_without_the_value() {
        let wrong = answer("SELECT 1 FROM t WHERE column1 = $day", &["day=secret"]).await.unwrap_err();
        assert!(wrong.to_string().contains("day") && !wrong.to_string().contains("secret"), "{wrong}");
        let missing = answer("SELECT $a", &[]).await.unwrap_err();
        assert!(missing.to_string().contains("--param a="), "{missing}");
        assert!(Params::parse(&["a".into()]).is_err() && Params::parse(&["a;b=1".into()]).is_err());
        assert!(Params::parse(&["a=1".into(), "a=2".into()]).is_err());
        assert_eq!(params(&["a=1"]).unused(), ["a"]);
    }
}
