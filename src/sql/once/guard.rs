//! For which rows an expression asks for a call.
//!
//! `CASE WHEN month = 11 THEN hs_code(d) END` asks for those of November, `code IS NULL OR hs_code(d) = code` for those with a
//! code. What is found is an expression with the same conditions, evaluated for the same rows and no others, whose value is
//! the call or null.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, Case};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

/// Levels of an expression that are looked into; below, a call is taken for needed.
const DEPTH: usize = 64;

/// For which rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    No,
    /// The call where it is needed, and null.
    Some(Expr),
    All,
}

/// For which rows some expressions ask for a call, whose null is given.
pub(super) fn need(exprs: &[Expr], call: &Expr, null: &ScalarValue) -> Result<Need> {
    let look = Look { call, null };
    let mut total = Need::No;
    for expr in exprs {
        total = together(total, look.at(expr, 0)?);
    }
    Ok(total)
}

/// What two expressions need of which both are evaluated.
fn together(a: Need, b: Need) -> Need {
    match (a, b) {
        (Need::No, other) | (other, Need::No) => other,
        (a, b) if a == b => a,
        _ => Need::All,
    }
}

/// Whether an expression may be evaluated once more to the same end.
fn is_steady(expr: &Expr) -> bool {
    let mut steady = true;
    let _ = expr.apply(|e| {
        let unsteady = matches!(e, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_));
        steady &= !unsteady && !e.is_volatile_node();
        Ok(if steady { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    steady
}

struct Look<'a> {
    call: &'a Expr,
    null: &'a ScalarValue,
}

impl Look<'_> {
    fn at(&self, expr: &Expr, depth: usize) -> Result<Need> {
        if expr == self.call {
            return Ok(Need::All);
        }
        if !self.is_in(expr)? {
            return Ok(Need::No);
        }
        if depth == DEPTH {
            return Ok(Need::All);
        }
        match expr {
            Expr::Case(case) => self.case(case, depth),
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                self.either(left, right, *op == Operator::And, depth)
            }
            Expr::AggregateFunction(aggregate) => self.aggregate(aggregate, depth),
            other => self.children(other, depth),
        }
    }

    fn is_in(&self, expr: &Expr) -> Result<bool> {
        expr.exists(|e| Ok(e == self.call))
    }

    fn children(&self, expr: &Expr, depth: usize) -> Result<Need> {
        let mut total = Need::No;
        expr.apply_children(|child| {
            total = together(std::mem::replace(&mut total, Need::No), self.at(child, depth + 1)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(total)
    }

    /// The call for the rows of one branch, and null.
    fn branch(&self, need: Need) -> Expr {
        match need {
            Need::No => Expr::Literal(self.null.clone(), None),
            Need::Some(expr) => expr,
            Need::All => self.call.clone(),
        }
    }

    fn case(&self, case: &Case, depth: usize) -> Result<Need> {
        let conditions = case.expr.iter().chain(case.when_then_expr.iter().map(|(when, _)| when));
        for condition in conditions {
            if !is_steady(condition) || self.is_in(condition)? {
                return Ok(Need::All);
            }
        }
        let mut branches = Vec::new();
        for (when, then) in &case.when_then_expr {
            branches.push((when.clone(), Box::new(self.branch(self.at(then, depth + 1)?))));
        }
        let otherwise = case.else_expr.as_ref().map(|e| self.at(e, depth + 1)).transpose()?;
        let otherwise = otherwise.filter(|need| *need != Need::No).map(|need| Box::new(self.branch(need)));
        let is_call = |e: &Expr| e == self.call;
        if branches.iter().all(|(_, then)| is_call(then)) && otherwise.as_deref().is_some_and(is_call) {
            return Ok(Need::All);
        }
        Ok(Need::Some(Expr::Case(Case::new(case.expr.clone(), branches, otherwise))))
    }

    /// `AND` and `OR`: the side without the call may settle the value.
    fn either(&self, left: &Expr, right: &Expr, and: bool, depth: usize) -> Result<Need> {
        let (there, other) = match (self.is_in(left)?, self.is_in(right)?) {
            (true, false) => (left, right),
            (false, true) => (right, left),
            _ => return Ok(Need::All),
        };
        let need = self.at(there, depth + 1)?;
        if !is_steady(other) {
            return Ok(need);
        }
        let settled = if and { Expr::Not(Box::new(other.clone())) } else { other.clone() };
        let null = Box::new(Expr::Literal(self.null.clone(), None));
        let branches = vec![(Box::new(settled), null)];
        Ok(Need::Some(Expr::Case(Case::new(None, branches, Some(Box::new(self.branch(need)))))))
    }

    /// `count(call) FILTER (WHERE …)`.
    fn aggregate(&self, aggregate: &AggregateFunction, depth: usize) -> Result<Need> {
        let mut need = Need::No;
        for arg in &aggregate.params.args {
            need = together(need, self.at(arg, depth + 1)?);
        }
        for sort in &aggregate.params.order_by {
            need = together(need, self.at(&sort.expr, depth + 1)?);
        }
        let Some(filter) = aggregate.params.filter.as_deref() else { return Ok(need) };
        if self.is_in(filter)? {
            return Ok(Need::All);
        }
        if !is_steady(filter) {
            return Ok(need);
        }
        let branches = vec![(Box::new(filter.clone()), Box::new(self.branch(need)))];
        Ok(Need::Some(Expr::Case(Case::new(None, branches, None))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit, when};

    fn of(expr: Expr) -> Need {
        need(&[expr], &col("call"), &ScalarValue::Utf8(None)).unwrap()
    }

    #[test]
    fn a_call_outside_of_conditions_is_needed_for_all_rows() {
        assert_eq!(of(col("call").eq(lit("8471"))), Need::All);
        assert_eq!(of(col("other")), Need::No);
    }

    #[test]
    fn a_branch_asks_for_its_rows_alone() {
        let case = when(col("m").eq(lit(11)), col("call")).when(col("n"), lit("x")).end().unwrap();
        let asked = when(col("m").eq(lit(11)), col("call")).when(col("n"), lit(ScalarValue::Utf8(None))).end().unwrap();
        assert_eq!(of(case), Need::Some(asked));
    }

    #[test]
    fn a_call_in_a_condition_or_in_every_branch_is_needed_for_all_rows() {
        assert_eq!(of(when(col("call").eq(lit("1")), col("call")).end().unwrap()), Need::All);
        assert_eq!(of(when(col("a"), col("call")).otherwise(col("call")).unwrap()), Need::All);
    }

    #[test]
    fn and_and_or_ask_where_the_other_side_leaves_it_open() {
        let null = || lit(ScalarValue::Utf8(None));
        let or = when(col("a"), null()).otherwise(col("call")).unwrap();
        assert_eq!(of(col("a").or(col("call").is_null())), Need::Some(or));
        let and = when(Expr::Not(Box::new(col("a"))), null()).otherwise(col("call")).unwrap();
        assert_eq!(of(col("call").is_null().and(col("a"))), Need::Some(and));
    }

    #[test]
    fn two_uses_with_unlike_conditions_ask_for_all_rows() {
        let one = when(col("a"), col("call")).end().unwrap();
        let two = when(col("b"), col("call")).end().unwrap();
        let null = ScalarValue::Utf8(None);
        assert_eq!(need(&[one.clone(), two], &col("call"), &null).unwrap(), Need::All);
        assert_eq!(need(&[one.clone(), one.clone()], &col("call"), &null).unwrap(), Need::Some(one));
    }
}
