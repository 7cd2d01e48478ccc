//! A query before it is planned: how often its parts would be copied.
//!
//! The engine copies a WITH query to every place that names it, and multiplies out GROUPING SETS; a short text can so mean a
//! plan without end.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Ident, ObjectName, Query, Select, Statement, Visit, Visitor};

use crate::serve::fault::{Answer, Fault, state};

/// Tables that a query reads when every WITH query stands where it is named.
const MOST_RELATIONS: u64 = 500;
/// Groupings that a GROUP BY stands for.
const MOST_GROUPINGS: u64 = 1_024;

/// Refuses a query of which too many copies of parts would be made. Trees are as deep as their bounds allow.
pub(in crate::serve) fn check_tree(statement: &Statement) -> Answer<()> {
    match statement.visit(&mut Weigh::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(fault) => Err(fault),
    }
}

#[derive(Default)]
struct Weigh {
    /// Relations of each query that is open, outermost first.
    open: Vec<u64>,
    /// Name of each WITH query that has not been read yet, by where its tree is.
    named: HashMap<*const Query, String>,
    weights: HashMap<String, u64>,
}

impl Visitor for Weigh {
    type Break = Fault;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Fault> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(std::ptr::from_ref(table.query.as_ref()), normal(&table.alias.name));
        }
        self.open.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Fault> {
        let weight = self.open.pop().unwrap_or(0).max(1);
        match self.named.remove(&std::ptr::from_ref(query)) {
            Some(name) => {
                self.weights.insert(name, weight);
            }
            None => return self.add(weight),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Fault> {
        let name = match &relation.0[..] {
            [one] => one.as_ident().map(normal),
            _ => None,
        };
        let weight = name.and_then(|name| self.weights.get(&name).copied()).unwrap_or(1);
        self.add(weight)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Fault> {
        let GroupByExpr::Expressions(items, _) = &select.group_by else { return ControlFlow::Continue(()) };
        let groupings = items.iter().fold(1u64, |product, item| product.saturating_mul(groupings(item)));
        match groupings > MOST_GROUPINGS {
            true => refuse(format!("GROUP BY stands for more than {MOST_GROUPINGS} groupings")),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Weigh {
    fn add(&mut self, weight: u64) -> ControlFlow<Fault> {
        let Some(open) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        *open = open.saturating_add(weight);
        match *open > MOST_RELATIONS {
            true => refuse(format!(
                "the query reads more than {MOST_RELATIONS} tables, WITH queries counted as often as named"
            )),
            false => ControlFlow::Continue(()),
        }
    }
}

fn groupings(item: &Expr) -> u64 {
    match item {
        Expr::Cube(sets) => 1u64.checked_shl(u32::try_from(sets.len()).unwrap_or(u32::MAX)).unwrap_or(u64::MAX),
        Expr::Rollup(sets) => sets.len() as u64 + 1,
        Expr::GroupingSets(sets) => sets.len() as u64,
        _ => 1,
    }
}

fn normal(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}

fn refuse(what: String) -> ControlFlow<Fault> {
    ControlFlow::Break(Fault::new(state::TOO_COMPLEX, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn state_of(sql: &str) -> Result<(), &'static str> {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        check_tree(&parsed[0]).map_err(|fault| fault.state)
    }

    #[test]
    fn queries_that_double_themselves_and_groupings_without_end_are_refused() {
        let doubling = |levels: usize| {
            let mut with = "WITH t0 AS (SELECT 1 AS x)".to_owned();
            for level in 1..=levels {
                with.push_str(&format!(", t{level} AS (SELECT a.x FROM t{0} a, t{0} b)", level - 1));
            }
            format!("{with} SELECT count(*) FROM t{levels}")
        };
        assert_eq!(state_of(&doubling(6)), Ok(()));
        assert_eq!(state_of(&doubling(40)), Err("54001"));
        assert_eq!(state_of("SELECT a, b, count(*) FROM t GROUP BY CUBE (a, b)"), Ok(()));
        let cube = |n: usize| format!("SELECT 1 FROM t GROUP BY CUBE ({})", vec!["a"; n].join(", "));
        assert_eq!(state_of(&cube(16)), Err("54001"));
        assert_eq!(state_of(&format!("{}, CUBE (a, b, c, d, e, f)", cube(6))), Err("54001"));
        assert_eq!(state_of("SELECT * FROM a, b, (SELECT * FROM c) d WHERE x IN (SELECT y FROM e)"), Ok(()));
        let chain: Vec<String> = (1..200).map(|i| format!("t{i} AS (SELECT x FROM t{})", i - 1)).collect();
        assert_eq!(state_of(&format!("WITH t0 AS (SELECT 1 x), {} SELECT * FROM t199", chain.join(", "))), Ok(()));
    }
}
