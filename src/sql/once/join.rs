//! Joins over two rewritten inputs.
//!
//! A key with a call has it scored below the join. A condition with a call that is no key is one of the rows that an inner join
//! with keys has found; without keys, or where the condition decides what becomes of a row, its calls are scored below. The
//! side of an outer join that may be missing is scored below too: above it a text may be null because there was no row.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, JoinType, Result, TableReference};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use super::calls::Hoist;
use super::scope::{Scope, renamed_in, resolve};

/// The sides of a join and its conditions, over columns of their plans.
struct Sides {
    left: Scope,
    right: Scope,
    keys: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
}

impl Hoist<'_> {
    pub fn join(&mut self, node: &Join, left: Scope, right: Scope) -> Result<Scope> {
        let mut sides = self.sides(node, left, right)?;
        let mut above = Vec::new();
        match node.join_type {
            JoinType::Inner => above = self.inner_conditions(&mut sides)?,
            _ => {
                for condition in std::mem::take(&mut sides.conditions) {
                    let condition = self.on_both(&mut sides, condition)?;
                    sides.conditions.push(condition);
                }
            }
        }
        let (left_keys, right_keys) = std::mem::take(&mut sides.keys).into_iter().unzip();
        let left_keys = self.score(&mut sides.left, left_keys)?;
        let right_keys = self.score(&mut sides.right, right_keys)?;
        sides.keys = left_keys.into_iter().zip(right_keys).collect();
        if node.join_type == JoinType::LeftMark {
            self.qualify(&mut sides)?;
        }
        let scope = self.joined(node, sides)?;
        self.filtered(scope, above)
    }

    /// The sides under names that differ, and what the join was written with over them.
    fn sides(&mut self, node: &Join, mut left: Scope, mut right: Scope) -> Result<Sides> {
        use JoinType::{Full, Left, Right};
        let (left_type, right_type) = (matches!(node.join_type, Right | Full), matches!(node.join_type, Left | Full));
        if left_type {
            self.close(&mut left)?;
        }
        if right_type {
            self.close(&mut right)?;
        }
        let rename_left = right.is_plain() && !left.is_plain();
        let (renamed, other) = if rename_left { (&mut left, &right) } else { (&mut right, &left) };
        let names: HashMap<Column, Column> =
            renamed.collisions(other).into_iter().map(|c| (c, Column::new_unqualified(self.name()))).collect();
        if !names.is_empty() {
            renamed.rename(&names)?;
        }
        let mut keys = Vec::new();
        for (l, r) in &node.on {
            keys.push((self.resolve(&left, l.clone())?, self.resolve(&right, r.clone())?));
        }
        let mut conditions = Vec::new();
        if let Some(filter) = &node.filter {
            let both = resolve(filter.clone(), |column| either(&left, &right, column))?;
            conditions = split_conjunction_owned(self.same(both)?);
        }
        Ok(Sides { left, right, keys, conditions })
    }

    /// Computes what was left open.
    fn close(&mut self, scope: &mut Scope) -> Result<()> {
        let columns = std::mem::take(&mut scope.columns);
        scope.columns = self.computed(scope, columns, false)?;
        Ok(())
    }

    /// Conditions of an inner join: those that stay are left in place, those for the rows it finds are given back.
    fn inner_conditions(&mut self, sides: &mut Sides) -> Result<Vec<Expr>> {
        let (mut stay, mut above) = (Vec::new(), Vec::new());
        let has_keys = sides.keys.iter().any(|(l, r)| !self.has_call(l) && !self.has_call(r));
        for condition in std::mem::take(&mut sides.conditions) {
            if !self.has_call(&condition) {
                stay.push(condition);
            } else if has_keys || self.asks_both(sides, &condition)? {
                above.push(condition);
            } else if sides.left.has_columns_of(&condition) {
                let left = std::mem::replace(&mut sides.left, self.leaf(LogicalPlan::default()));
                sides.left = self.filtered(left, vec![condition])?;
            } else if sides.right.has_columns_of(&condition) {
                let right = std::mem::replace(&mut sides.right, self.leaf(LogicalPlan::default()));
                sides.right = self.filtered(right, vec![condition])?;
            } else {
                stay.push(self.on_both(sides, condition)?);
            }
        }
        sides.conditions = stay;
        Ok(above)
    }

    /// Whether a call of a condition is about both sides at once.
    fn asks_both(&self, sides: &Sides, condition: &Expr) -> Result<bool> {
        condition.exists(|e| Ok(self.is_call(e) && !sides.left.has_columns_of(e) && !sides.right.has_columns_of(e)))
    }

    /// A condition whose calls about one side are scored there; others stay in it.
    fn on_both(&mut self, sides: &mut Sides, condition: Expr) -> Result<Expr> {
        let left = self.score(&mut sides.left, vec![condition])?;
        let right = self.score(&mut sides.right, left)?;
        conjunction(right).map_or_else(|| datafusion::common::internal_err!("one condition in, one out"), Ok)
    }

    fn joined(&mut self, node: &Join, sides: Sides) -> Result<Scope> {
        let Sides { mut left, mut right, keys, conditions } = sides;
        let join = Join::try_new(
            Arc::new(std::mem::take(&mut left.plan)),
            Arc::new(std::mem::take(&mut right.plan)),
            keys,
            conjunction(conditions),
            node.join_type,
            node.join_constraint,
            node.null_equality,
            node.null_aware,
        )?;
        let mark = join.schema.columns().pop();
        let plan = LogicalPlan::Join(join);
        let mut scope = match node.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            JoinType::RightSemi | JoinType::RightAnti => right,
            JoinType::LeftMark => {
                if let Some(mark) = mark {
                    left.define_new(mark.clone(), &mut self.origins);
                    left.columns.push(Expr::Column(mark));
                }
                left
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full | JoinType::RightMark => {
                if matches!(node.join_type, JoinType::Right | JoinType::Full) {
                    left.forget(&mut self.origins);
                }
                if matches!(node.join_type, JoinType::Left | JoinType::Full) {
                    right.forget(&mut self.origins);
                }
                left.columns.append(&mut right.columns);
                left.learn(right);
                left
            }
        };
        scope.written = Arc::clone(&node.schema);
        Ok(scope.with_plan(plan))
    }

    /// Gives all columns of the right side one qualifier: the mark has that of the first, whichever is left when those that
    /// nobody reads are gone.
    fn qualify(&self, sides: &mut Sides) -> Result<()> {
        let columns = sides.right.plan.schema().columns();
        if columns.iter().all(|c| c.relation.is_some() && c.relation == columns[0].relation) {
            return Ok(());
        }
        let qualifier = TableReference::bare(self.name());
        let new = |c: Column| (c, Column::new(Some(qualifier.clone()), self.name()));
        let names: HashMap<Column, Column> = columns.into_iter().map(new).collect();
        sides.right.rename(&names)?;
        for condition in &mut sides.conditions {
            *condition = renamed_in(std::mem::take(condition), &names)?;
        }
        for (_, key) in &mut sides.keys {
            *key = renamed_in(std::mem::take(key), &names)?;
        }
        Ok(())
    }
}

/// What stands for a column of one of two scopes.
fn either<'a>(left: &'a Scope, right: &'a Scope, column: &Column) -> Option<&'a Expr> {
    let exactly = left.find_exactly(column).or_else(|| right.find_exactly(column));
    exactly.or_else(|| left.find(column)).or_else(|| right.find(column))
}
