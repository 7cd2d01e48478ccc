//! The plan's nodes with one input, each over a rewritten one.
//!
//! A node that needs the value of a call gets a `Score` right below; one that only carries it on leaves it to the nodes above.
//! So rows that a filter, a limit or a join drops are not scored.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, ExpressionPlacement, Filter, Limit, LogicalPlan, Projection, Sort, SubqueryAlias, Unnest, Window,
};

use super::calls::{Hoist, put};
use super::scope::{Names, Scope, Scored, is_small};

impl Hoist<'_> {
    /// The plan with its columns as they were written.
    pub fn restore(&mut self, mut scope: Scope) -> Result<LogicalPlan> {
        if scope.is_plain() {
            return Ok(scope.plan);
        }
        let columns = std::mem::take(&mut scope.columns);
        let columns = self.score(&mut scope, columns)?;
        let columns = scope.as_written(columns);
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(scope.plan))?))
    }

    pub fn projection(&mut self, node: &Projection, mut scope: Scope) -> Result<Scope> {
        let mut exprs = Vec::new();
        for expr in &node.expr {
            exprs.push(self.same(expr.clone())?);
        }
        if scope.is_plain() && !exprs.iter().any(|e| self.has_call(e)) {
            return self.plain_projection(node, scope);
        }
        let (mut columns, mut now, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for expr in exprs {
            let expr = scope.resolve(expr.unalias_nested().data)?;
            if !self.stays_open(&expr) {
                places.push(columns.len());
                now.push(expr.clone());
            }
            columns.push(expr);
        }
        for (place, column) in places.into_iter().zip(self.computed(&mut scope, now, false)?) {
            columns[place] = column;
        }
        scope.columns = columns;
        scope.written = Arc::clone(&node.schema);
        Ok(scope)
    }

    fn plain_projection(&mut self, node: &Projection, scope: Scope) -> Result<Scope> {
        let plan =
            Projection::try_new_with_schema(node.expr.clone(), Arc::new(scope.plan.clone()), Arc::clone(&node.schema))?;
        let mut above = self.leaf(LogicalPlan::Projection(plan));
        for (column, expr) in above.plan.schema().columns().into_iter().zip(&node.expr) {
            let expr = scope.resolve(expr.clone().unalias_nested().data)?;
            above.know(column, scope.origin(&expr)?);
        }
        Ok(above)
    }

    /// Whether an expression is computed where it is needed and not where it was written.
    fn stays_open(&self, expr: &Expr) -> bool {
        let cheap = !matches!(expr.placement(), ExpressionPlacement::KeepInPlace);
        cheap || (self.has_call(expr) && is_small(expr) && !expr.is_volatile() && !has_subquery(expr))
    }

    /// Columns of the plan with the values of expressions; each has one of its own when asked for.
    pub fn computed(&mut self, scope: &mut Scope, exprs: Vec<Expr>, own: bool) -> Result<Vec<Expr>> {
        let (mut columns, mut new) = (Vec::new(), Vec::<(Column, Expr)>::new());
        for expr in self.score(scope, exprs)? {
            let same = new.iter().find(|(_, other)| !own && *other == expr && !expr.is_volatile());
            columns.push(match (&expr, same) {
                (Expr::Column(_), _) if !own => expr,
                (_, Some((column, _))) => Expr::Column(column.clone()),
                _ => {
                    let column = Column::new_unqualified(self.name());
                    new.push((column.clone(), expr));
                    Expr::Column(column)
                }
            });
        }
        if new.is_empty() {
            return Ok(columns);
        }
        let mut all: Vec<Expr> = scope.plan.schema().columns().into_iter().map(Expr::Column).collect();
        for (column, expr) in new {
            scope.define(column.clone(), &expr, &mut self.origins)?;
            all.push(expr.alias(column.name));
        }
        let input = Arc::new(std::mem::take(&mut scope.plan));
        scope.plan = LogicalPlan::Projection(Projection::try_new(all, input)?);
        Ok(columns)
    }

    pub fn filter(&mut self, node: &Filter, scope: Scope) -> Result<Scope> {
        let predicate = self.resolve(&scope, node.predicate.clone())?;
        self.filtered(scope, split_conjunction_owned(predicate))
    }

    /// Conditions over columns of the plan: those without calls first, and each call for the rows that are left.
    pub fn filtered(&mut self, mut scope: Scope, conditions: Vec<Expr>) -> Result<Scope> {
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for condition in conditions {
            let open = self.has_open_call(&condition, &scope)?;
            if open { later.push(condition) } else { now.extend(self.score(&mut scope, vec![condition])?) }
        }
        for condition in later {
            if self.has_open_call(&condition, &scope)? {
                filter(&mut scope, std::mem::take(&mut now))?;
            }
            now.extend(self.score(&mut scope, vec![condition])?);
        }
        filter(&mut scope, now)?;
        Ok(scope)
    }

    pub fn sort(&mut self, node: &Sort, mut scope: Scope) -> Result<Scope> {
        let mut keys = Vec::new();
        for sort in &node.expr {
            keys.push(self.resolve(&scope, sort.expr.clone())?);
        }
        // A key that reads an answer is a column of its own: DataFusion 55 takes an order by an expression for another one when a
        // join below has a part of it as its key.
        let read = keys.iter().zip(&node.expr).map(|(key, sort)| self.has_call(key) || *key != sort.expr);
        let read: Vec<bool> = read.collect();
        let reading = keys.iter().zip(&read).filter(|(_, read)| **read).map(|(key, _)| key.clone()).collect();
        let mut columns = self.computed(&mut scope, reading, false)?.into_iter();
        let keys = keys.into_iter().zip(read);
        let keys = keys.map(|(key, read)| if read { columns.next().unwrap_or(key) } else { key });
        let expr = node.expr.iter().zip(keys).map(|(sort, key)| sort.with_expr(key)).collect();
        let input = Arc::new(std::mem::take(&mut scope.plan));
        Ok(scope.with_plan(LogicalPlan::Sort(Sort { expr, input, fetch: node.fetch })))
    }

    pub fn limit(&mut self, node: &Limit, mut scope: Scope) -> Result<Scope> {
        let input = Arc::new(std::mem::take(&mut scope.plan));
        Ok(scope.with_plan(LogicalPlan::Limit(Limit { skip: node.skip.clone(), fetch: node.fetch.clone(), input })))
    }

    pub fn alias(&mut self, node: &SubqueryAlias, mut scope: Scope) -> Result<Scope> {
        if !scope.is_plain() {
            // Names are given again where the plan is restored.
            scope.written = Arc::clone(&node.schema);
            return Ok(scope);
        }
        let below = scope.plan.schema().columns();
        let plan = SubqueryAlias::try_new(Arc::new(scope.plan.clone()), node.alias.clone())?;
        let mut above = self.leaf(LogicalPlan::SubqueryAlias(plan));
        for (column, below) in above.plan.schema().columns().into_iter().zip(below) {
            let origin = scope.origin(&Expr::Column(below))?;
            above.know(column, origin);
        }
        Ok(above)
    }

    pub fn aggregate(&mut self, node: &Aggregate, mut scope: Scope) -> Result<Scope> {
        let mut groups = Vec::new();
        for group in &node.group_expr {
            groups.push(match group {
                Expr::GroupingSet(_) => self.grouping_set(&mut scope, group.clone())?,
                _ => self.resolve(&scope, group.clone())?,
            });
        }
        let keys = groups.len();
        for aggregate in &node.aggr_expr {
            groups.push(self.resolve(&scope, aggregate.clone())?);
        }
        let mut groups = self.apart(&mut scope, groups, Names::default())?;
        let aggregates = groups.split_off(keys);
        let one_set = !groups.iter().any(|group| matches!(group, Expr::GroupingSet(_)));
        let mut known = Vec::new();
        for group in groups.iter().filter(|_| one_set) {
            known.push(scope.origin(&group.clone().unalias())?);
        }
        let plan = Aggregate::try_new(Arc::new(scope.plan), groups, aggregates)?;
        let mut above = self.leaf(LogicalPlan::Aggregate(plan));
        for (column, origin) in above.plan.schema().columns().into_iter().zip(known) {
            if self.is_call(&origin) {
                above.scored.push(Scored { call: origin.clone(), column: column.clone(), partly: None });
            }
            above.know(column, origin);
        }
        above.written = Arc::clone(&node.schema);
        Ok(above)
    }

    /// A grouping set over columns: its names make those of the groups, so what it groups by is computed before.
    fn grouping_set(&mut self, scope: &mut Scope, set: Expr) -> Result<Expr> {
        let Expr::GroupingSet(sets) = &set else { return Ok(set) };
        let written: Vec<Expr> = sets.distinct_expr().into_iter().cloned().collect();
        let mut exprs = Vec::new();
        for expr in &written {
            exprs.push(self.resolve(scope, expr.clone())?);
        }
        if exprs == written && !exprs.iter().any(|e| self.has_call(e)) {
            return Ok(set);
        }
        let columns: HashMap<Expr, Expr> = written.into_iter().zip(self.computed(scope, exprs, true)?).collect();
        put(set, &columns)
    }

    /// Scored expressions, of which equal ones have different names.
    fn apart(&mut self, scope: &mut Scope, exprs: Vec<Expr>, mut names: Names) -> Result<Vec<Expr>> {
        let exprs = self.score(scope, exprs)?.into_iter().map(|expr| {
            let is_new = names.is_new(expr.schema_name().to_string());
            if is_new { expr } else { expr.alias(self.name()) }
        });
        Ok(exprs.collect())
    }

    pub fn window(&mut self, node: &Window, mut scope: Scope) -> Result<Scope> {
        let mut exprs = Vec::new();
        for expr in &node.window_expr {
            exprs.push(self.resolve(&scope, expr.clone())?);
        }
        let exprs = self.score(&mut scope, exprs)?;
        let mut names = Names::default();
        scope.plan.schema().columns().into_iter().for_each(|c| _ = names.is_new(c.name));
        let exprs = self.apart(&mut scope, exprs, names)?;
        let input = Arc::new(std::mem::take(&mut scope.plan));
        scope.plan = LogicalPlan::Window(Window::try_new(exprs, input)?);
        for column in scope.plan.schema().columns().into_iter().rev().take(node.window_expr.len()).rev() {
            scope.define_new(column.clone(), &mut self.origins);
            scope.columns.push(Expr::Column(column));
        }
        scope.written = Arc::clone(&node.schema);
        Ok(scope)
    }

    /// Rows become several here, so what was left open is scored below.
    pub fn unnest(&mut self, node: &Unnest, mut scope: Scope) -> Result<Scope> {
        let columns = std::mem::take(&mut scope.columns);
        let columns = self.score(&mut scope, columns)?;
        let (mut below, mut here) = (Vec::new(), Vec::new());
        for (expr, (qualifier, field)) in columns.into_iter().zip(scope.written.iter()) {
            let column = Column::new(qualifier.cloned(), field.name());
            let unnested = node.exec_columns.contains(&column);
            match expr {
                Expr::Column(own) if !here.contains(&own) && (!unnested || own == column) => {
                    here.push(own.clone());
                    below.push(Expr::Column(own));
                }
                expr if unnested => below.push(expr.alias_qualified(qualifier.cloned(), field.name())),
                expr => below.push(expr.alias(self.name())),
            }
        }
        let outputs = node.schema.fields().len();
        below.extend(scope.plan.schema().columns().into_iter().filter(|c| !here.contains(c)).map(Expr::Column));
        let input = Projection::try_new(below, Arc::new(std::mem::take(&mut scope.plan)))?;
        let plan =
            Unnest::try_new(Arc::new(LogicalPlan::Projection(input)), node.exec_columns.clone(), node.options.clone())?;
        self.above_unnest(node, LogicalPlan::Unnest(plan), outputs, scope)
    }

    fn above_unnest(&mut self, node: &Unnest, plan: LogicalPlan, outputs: usize, below: Scope) -> Result<Scope> {
        let mut above = self.leaf(plan);
        above.columns.truncate(outputs);
        above.written = Arc::clone(&node.schema);
        for column in above.plan.schema().columns() {
            let same = Expr::Column(column.clone());
            // A column that was unnested has the name of what it was.
            if !node.exec_columns.contains(&column) && below.has_columns_of(&same) {
                let origin = below.origin(&same)?;
                above.know(column, origin);
            }
        }
        let carried = |s: &Scored| above.plan.schema().has_column(&s.column);
        let scored = below.scored.iter().filter(|s| carried(s)).cloned().collect();
        above.scored = scored;
        Ok(above)
    }
}

fn filter(scope: &mut Scope, conditions: Vec<Expr>) -> Result<()> {
    if let Some(predicate) = conjunction(conditions) {
        let input = Arc::new(std::mem::take(&mut scope.plan));
        scope.plan = LogicalPlan::Filter(Filter::try_new(predicate, input)?);
    }
    Ok(())
}

fn has_subquery(expr: &Expr) -> bool {
    let subquery = |e: &Expr| {
        matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))
    };
    expr.exists(|e| Ok(subquery(e))).unwrap_or(true)
}
