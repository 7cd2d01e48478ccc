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
    /// Those for which one of these is not null; each is the call or null.
    Some(Vec<Expr>),
    All,
}

impl Need {
    /// The same under a condition, which makes another expression of each.
    fn under(self, call: &Expr, condition: impl Fn(Expr) -> Expr) -> Need {
        match self {
            Need::No => Need::No,
            Need::Some(parts) => Need::Some(parts.into_iter().map(condition).collect()),
            Need::All => Need::Some(vec![condition(call.clone())]),
        }
    }
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
        (Need::Some(mut parts), Need::Some(others)) => {
            for part in others {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            Need::Some(parts)
        }
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

    fn null(&self) -> Box<Expr> {
        Box::new(Expr::Literal(self.null.clone(), None))
    }

    fn case(&self, case: &Case, depth: usize) -> Result<Need> {
        if let Some(base) = &case.expr
            && (!is_steady(base) || self.is_in(base)?)
        {
            return Ok(Need::All);
        }
        let mut branches = Vec::new();
        for (when, then) in &case.when_then_expr {
            // All rows that come as far as to a condition with the call ask for it.
            if !is_steady(when) || self.is_in(when)? {
                return Ok(self.layers(case, &branches, Need::All));
            }
            branches.push((when, self.at(then, depth + 1)?));
        }
        let otherwise = case.else_expr.as_ref().map_or(Ok(Need::No), |e| self.at(e, depth + 1))?;
        Ok(self.layers(case, &branches, otherwise))
    }

    /// What the branches of a `CASE` need: as many expressions as the branch has that needs most.
    fn layers(&self, case: &Case, branches: &[(&Box<Expr>, Need)], otherwise: Need) -> Need {
        let needs = || branches.iter().map(|(_, need)| need).chain([&otherwise]);
        if needs().all(|need| *need == Need::All) {
            return Need::All;
        }
        let layers = needs().map(|need| if let Need::Some(parts) = need { parts.len() } else { 1 }).max().unwrap_or(1);
        let part = |need: &Need, layer: usize| match need {
            Need::Some(parts) => parts.get(layer).cloned(),
            Need::All if layer == 0 => Some(self.call.clone()),
            Need::All | Need::No => None,
        };
        let parts = (0..layers).map(|layer| {
            let branch = |(when, need): &(&Box<Expr>, Need)| {
                ((*when).clone(), part(need, layer).map_or_else(|| self.null(), Box::new))
            };
            let branches = branches.iter().map(branch).collect();
            Expr::Case(Case::new(case.expr.clone(), branches, part(&otherwise, layer).map(Box::new)))
        });
        Need::Some(parts.collect())
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
        Ok(need.under(self.call, |part| {
            Expr::Case(Case::new(None, vec![(Box::new(settled.clone()), self.null())], Some(Box::new(part))))
        }))
    }

    /// `count(call) FILTER (WHERE …)`.
    fn aggregate(&self, aggregate: &AggregateFunction, depth: usize) -> Result<Need> {
        let mut need = Need::No;
        let sorted = aggregate.params.order_by.iter().map(|sort| &sort.expr);
        for expr in aggregate.params.args.iter().chain(sorted) {
            need = together(need, self.at(expr, depth + 1)?);
        }
        let Some(filter) = aggregate.params.filter.as_deref() else { return Ok(need) };
        if self.is_in(filter)? {
            return Ok(Need::All);
        }
        if !is_steady(filter) {
            return Ok(need);
        }
        Ok(need.under(self.call, |part| {
            Expr::Case(Case::new(None, vec![(Box::new(filter.clone()), Box::new(part))], None))
        }))
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

    fn null() -> Expr {
        lit(ScalarValue::Utf8(None))
    }

    #[test]
    fn a_branch_asks_for_its_rows_alone() {
        let case = when(col("m").eq(lit(11)), col("call")).when(col("n"), lit("x")).end().unwrap();
        let asked = when(col("m").eq(lit(11)), col("call")).when(col("n"), null()).end().unwrap();
        assert_eq!(of(case), Need::Some(vec![asked]));
    }

    #[test]
    fn a_call_in_the_first_condition_or_in_every_branch_is_needed_for_all_rows() {
        assert_eq!(of(when(col("call").eq(lit("1")), col("call")).end().unwrap()), Need::All);
        assert_eq!(of(when(col("a"), col("call")).otherwise(col("call")).unwrap()), Need::All);
    }

    #[test]
    fn a_call_in_a_later_condition_is_needed_for_the_rows_that_come_to_it() {
        let case =
            when(col("a"), lit("x")).when(col("call").is_null(), lit("y")).when(col("b"), lit("z")).end().unwrap();
        let asked = when(col("a"), null()).otherwise(col("call")).unwrap();
        assert_eq!(of(case), Need::Some(vec![asked]));
    }

    #[test]
    fn and_and_or_ask_where_the_other_side_leaves_it_open() {
        let or = when(col("a"), null()).otherwise(col("call")).unwrap();
        assert_eq!(of(col("a").or(col("call").is_null())), Need::Some(vec![or]));
        let and = when(Expr::Not(Box::new(col("a"))), null()).otherwise(col("call")).unwrap();
        assert_eq!(of(col("call").is_null().and(col("a"))), Need::Some(vec![and]));
    }

    #[test]
    fn uses_with_unlike_conditions_ask_for_the_rows_of_each() {
        let one = when(col("a"), col("call")).end().unwrap();
        let two = when(col("b"), col("call")).end().unwrap();
        let of = |exprs: &[Expr]| need(exprs, &col("call"), &ScalarValue::Utf8(None)).unwrap();
        assert_eq!(of(&[one.clone(), two.clone(), one.clone()]), Need::Some(vec![one.clone(), two]));
        assert_eq!(of(&[one, col("call")]), Need::All);
    }

    #[test]
    fn a_branch_with_two_conditions_asks_in_two_layers() {
        let inner = |c: &str| when(col(c), col("call")).end().unwrap();
        let both =
            Expr::BinaryExpr(BinaryExpr::new(Box::new(inner("a")), Operator::StringConcat, Box::new(inner("b"))));
        let case = when(col("m"), both).otherwise(col("call")).unwrap();
        let first = when(col("m"), inner("a")).otherwise(col("call")).unwrap();
        let second = when(col("m"), inner("b")).end().unwrap();
        assert_eq!(of(case), Need::Some(vec![first, second]));
    }
}
