//! Calls of functions by another of their names, `array_cat` for `array_concat`, within other calls.
//!
//! The planner names the column of such a call by everything that stands in it, twice: the call and its name. Within each other, each
//! doubles the length of the one before. Only the outermost name is seen by anybody, so the others become the function's own.

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, ObjectName, Query, VisitMut, VisitorMut};

/// Gives calls within calls their function's own name.
pub(super) fn own_names(statement: &mut Statement, state: &SessionState) {
    let within: &mut ast::Statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explain) => return own_names(&mut explain.statement, state),
        _ => return,
    };
    let mut names = Names { state, calls: vec![0] };
    let ControlFlow::<()>::Continue(()) = within.visit(&mut names) else { return };
}

struct Names<'a> {
    state: &'a SessionState,
    /// Calls that are open in each query that is open.
    calls: Vec<usize>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.calls.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.calls.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (Expr::Function(call), Some(calls)) = (expr, self.calls.last_mut()) else {
            return ControlFlow::Continue(());
        };
        *calls += 1;
        let named = match &call.name.0[..] {
            [one] => one.as_ident().filter(|_| *calls > 1).map(|name| match name.quote_style {
                None => name.value.to_lowercase(),
                Some(_) => name.value.clone(),
            }),
            _ => None,
        };
        if let Some(named) = named
            && let Some(function) = self.state.scalar_functions().get(&named)
            && function.name() != named
        {
            call.name = ObjectName::from(vec![Ident::with_quote('"', function.name())]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let (Expr::Function(_), Some(calls)) = (expr, self.calls.last_mut()) {
            *calls -= 1;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::SessionContext;

    #[test]
    fn calls_within_calls_get_their_own_names_and_the_outermost_keeps_its() {
        let state = SessionContext::new().state();
        let dialect = state.config_options().sql_parser.dialect;
        for (sql, said) in [
            (
                "SELECT array_cat(array_cat(a, b), list_append(c, 1))",
                "SELECT array_cat(\"array_concat\"(a, b), \"array_append\"(c, 1))",
            ),
            ("SELECT array_cat(a, b), array_cat(c, d)", "SELECT array_cat(a, b), array_cat(c, d)"),
            ("SELECT length((SELECT array_cat(a, b)))", "SELECT length((SELECT array_cat(a, b)))"),
            ("SELECT upper(no_such(Array_Cat(a)))", "SELECT upper(no_such(\"array_concat\"(a)))"),
            ("EXPLAIN SELECT length(char_length(a))", "EXPLAIN SELECT length(\"character_length\"(a))"),
        ] {
            let mut statement = state.sql_to_statement(sql, &dialect).unwrap();
            own_names(&mut statement, &state);
            assert_eq!(statement.to_string(), said);
        }
    }

    /// Planned in no time; before, its names alone would have had a billion letters.
    #[tokio::test]
    async fn forty_of_them_are_planned() {
        let context = SessionContext::new();
        let state = context.state();
        let sql = format!("SELECT {}[1]{}", "array_cat(".repeat(40), ", [1])".repeat(40));
        let mut statement = state.sql_to_statement(&sql, &state.config_options().sql_parser.dialect).unwrap();
        own_names(&mut statement, &state);
        let plan = state.statement_to_plan(statement).await.unwrap();
        assert!(plan.schema().field(0).name().len() < 10_000);
    }
}
