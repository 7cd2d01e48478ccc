//! Which expressions are calls that can be made once, and making them: a `Score` under whatever needs them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::alias::AliasGenerator;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, when};
use datafusion::scalar::ScalarValue;

use super::Scoring;
use super::guard::{Need, need};
use super::node::{Call, Score};
use super::scope::{Origins, Scope, Scored};

/// Prefix of the names of columns that are not columns as written.
pub(super) const HIDDEN: &str = "__score";

/// Rounds of calls that need the answers of others: calls within calls, and calls in branches that calls choose.
const ROUNDS: usize = 16;

/// Conditions under which a call is made for some rows; with more it is made for all.
const PARTS: usize = 4;

/// The rewriting of one plan.
pub(super) struct Hoist<'a> {
    pub scoring: Scoring,
    pub aliases: &'a AliasGenerator,
    pub origins: Origins,
    /// Whether anything was scored.
    pub scored: bool,
}

impl Hoist<'_> {
    pub fn leaf(&mut self, plan: LogicalPlan) -> Scope {
        Scope::leaf(plan, &mut self.origins)
    }

    /// A name that occurs nowhere else.
    pub fn name(&self) -> String {
        self.aliases.next(HIDDEN)
    }

    /// Whether an expression is a call over columns that can be made apart from where it stands.
    pub fn is_call(&self, expr: &Expr) -> bool {
        let Expr::ScalarFunction(call) = expr else { return false };
        if !(self.scoring.is)(&call.func) {
            return false;
        }
        let (mut columns, mut apart) = (false, true);
        let _ = expr.apply(|e| {
            columns |= matches!(e, Expr::Column(_));
            let bound = matches!(
                e,
                Expr::OuterReferenceColumn(..)
                    | Expr::LambdaVariable(_)
                    | Expr::AggregateFunction(_)
                    | Expr::WindowFunction(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
                    | Expr::Placeholder(_)
            );
            apart &= !bound && !e.is_volatile_node();
            Ok(TreeNodeRecursion::Continue)
        });
        columns && apart
    }

    /// Whether there is a call in an expression.
    pub fn has_call(&self, expr: &Expr) -> bool {
        expr.exists(|e| Ok(self.is_call(e))).unwrap_or(false)
    }

    /// Whether there is a call in an expression of which a scope has not all answers.
    pub fn has_open_call(&self, expr: &Expr, scope: &Scope) -> Result<bool> {
        expr.exists(|e| {
            Ok(self.is_call(e) && {
                let origin = scope.origin(e)?;
                !scope.scored.iter().any(|s| s.call == origin && s.partly.is_none())
            })
        })
    }

    /// An expression over columns as they were written, over those of the plan, and with one function where several say the
    /// same.
    pub fn resolve(&self, scope: &Scope, expr: Expr) -> Result<Expr> {
        self.same(scope.resolve(expr)?)
    }

    /// See [`Scoring::same`].
    pub fn same(&self, expr: Expr) -> Result<Expr> {
        let rewrite = |e: Expr| match &e {
            Expr::ScalarFunction(call) if (self.scoring.is)(&call.func) => match (self.scoring.same)(call) {
                Some(other) => Ok(Transformed::yes(other)),
                None => Ok(Transformed::no(e)),
            },
            _ => Ok(Transformed::no(e)),
        };
        expr.transform_up(rewrite).data()
    }

    /// Distinct calls of expressions whose columns a scope has, outer ones first.
    fn calls(&self, scope: &Scope, exprs: &[Expr]) -> Result<Vec<Expr>> {
        let mut calls = Vec::new();
        for expr in exprs {
            expr.apply(|e| {
                if self.is_call(e) && scope.has_columns_of(e) && !calls.contains(e) {
                    calls.push(e.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(calls)
    }

    /// The expressions, over columns of the scope's plan, with answers in the place of calls. What the plan has not it gets,
    /// for the rows for which they ask.
    pub fn score(&mut self, scope: &mut Scope, mut exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        for _ in 0..ROUNDS {
            let calls = self.calls(scope, &exprs)?;
            if calls.is_empty() {
                break;
            }
            let answers = self.round(scope, &exprs, &calls)?;
            if answers.is_empty() {
                break;
            }
            for expr in &mut exprs {
                *expr = put(std::mem::take(expr), &answers)?;
            }
        }
        Ok(exprs)
    }

    /// Makes those of the calls that wait for no other, and says by which columns they are answered.
    fn round(&mut self, scope: &mut Scope, exprs: &[Expr], calls: &[Expr]) -> Result<HashMap<Expr, Expr>> {
        let (mut answers, mut made) = (HashMap::new(), Vec::<Call>::new());
        for call in calls {
            let origin = scope.origin(call)?;
            let there = scope.scored.iter().find(|scored| scored.call == origin).cloned();
            if let Some(Scored { column, partly: None, .. }) = there {
                answers.insert(call.clone(), Expr::Column(column));
                continue;
            }
            let Some(parts) = self.parts(scope, exprs, call)? else { continue };
            let others = |e: &Expr| e != call && calls.contains(e);
            let waits = parts.iter().any(|part| part.exists(|e| Ok(others(e))).unwrap_or(true));
            let is_new = |scored: &Scored| made.iter().any(|m| m.column() == scored.column);
            if waits || there.as_ref().is_some_and(is_new) {
                continue;
            }
            let known = there.as_ref().and_then(|scored| scored.partly.clone()).unwrap_or_default();
            let partly = match parts[..] == [call.clone()] {
                true => None,
                false => Some(with_origins(scope, known.clone(), &parts)?),
            };
            if let (Some(scored), Some(partly)) = (&there, &partly)
                && partly.len() == known.len()
            {
                answers.insert(call.clone(), Expr::Column(scored.column.clone()));
                continue;
            }
            let last = self.layered(scope, there.map(|scored| scored.column), parts)?;
            scope.scored.retain(|scored| scored.call != origin);
            scope.scored.push(Scored { call: origin, column: last.column(), partly });
            answers.insert(call.clone(), Expr::Column(last.column()));
            made.push(last);
        }
        if !made.is_empty() {
            self.add(scope, made)?;
        }
        Ok(answers)
    }

    /// A column of answers, each part of which is for the rows that have none before it; the plan has all but the last.
    fn layered(&mut self, scope: &mut Scope, mut before: Option<Column>, mut parts: Vec<Expr>) -> Result<Call> {
        let Some(last) = parts.pop() else { return datafusion::common::internal_err!("a call has a part") };
        for part in parts {
            let column = Call { name: self.name(), expr: after(before, part)? };
            before = Some(column.column());
            self.add(scope, vec![column])?;
        }
        Ok(Call { name: self.name(), expr: after(before, last)? })
    }

    /// The call, or what makes it for the rows for which expressions ask; `None` for one that stays where it is.
    fn parts(&self, scope: &Scope, exprs: &[Expr], call: &Expr) -> Result<Option<Vec<Expr>>> {
        let null = ScalarValue::try_from(&call.get_type(scope.plan.schema())?)?;
        Ok(match need(exprs, call, &null)? {
            Need::Some(parts) if parts.len() <= PARTS && parts.iter().all(|part| scope.has_columns_of(part)) => {
                Some(parts)
            }
            // What may fail is not tried for rows that do not ask.
            Need::Some(_) if may_fail(call) => None,
            Need::No | Need::Some(_) | Need::All => Some(vec![call.clone()]),
        })
    }

    fn add(&mut self, scope: &mut Scope, made: Vec<Call>) -> Result<()> {
        self.scored = true;
        for call in &made {
            match self.is_call(&call.expr) {
                true => scope.define(call.column(), &call.expr, &mut self.origins)?,
                false => scope.define_new(call.column(), &mut self.origins),
            }
        }
        scope.plan = Score::over(std::mem::take(&mut scope.plan), made)?;
        Ok(())
    }

    /// A `Score` that was made before, over a scope.
    pub fn scored_before(&mut self, score: &Score, mut scope: Scope) -> Result<Scope> {
        let mut calls = Vec::new();
        for call in score.calls() {
            calls.push(Call { name: call.name.clone(), expr: scope.resolve(call.expr.clone())? });
        }
        scope.written = Arc::clone(datafusion::logical_expr::UserDefinedLogicalNodeCore::schema(score));
        for call in &calls {
            scope.columns.push(Expr::Column(call.column()));
            if self.is_call(&call.expr) {
                let origin = scope.origin(&call.expr)?;
                scope.scored.push(Scored { call: origin, column: call.column(), partly: None });
            }
        }
        let scored = self.scored;
        self.add(&mut scope, calls)?;
        self.scored = scored;
        Ok(scope)
    }
}

/// An expression for the rows that have no answer yet.
fn after(before: Option<Column>, expr: Expr) -> Result<Expr> {
    let Some(column) = before.map(Expr::Column) else { return Ok(expr) };
    when(column.clone().is_not_null(), column).otherwise(expr)
}

/// What a column of answers was made by, with more parts.
fn with_origins(scope: &Scope, mut known: Vec<Expr>, parts: &[Expr]) -> Result<Vec<Expr>> {
    for part in parts {
        let part = scope.origin(part)?;
        if !known.contains(&part) {
            known.push(part);
        }
    }
    Ok(known)
}

/// Whether a call may fail for a value: its text is computed, or another argument differs by row.
fn may_fail(call: &Expr) -> bool {
    let Expr::ScalarFunction(function) = call else { return true };
    let mut args = function.args.iter();
    !matches!(args.next(), Some(Expr::Column(_))) || !args.all(|arg| matches!(arg, Expr::Literal(..)))
}

/// An expression with others in the place of some of its parts.
pub(super) fn put(expr: Expr, answers: &HashMap<Expr, Expr>) -> Result<Expr> {
    let replace = |e: Expr| match answers.get(&e) {
        Some(answer) => Ok(Transformed::new(answer.clone(), true, TreeNodeRecursion::Jump)),
        None => Ok(Transformed::no(e)),
    };
    expr.transform_down(replace).data()
}
