//! What clients of PostgreSQL write and the engine reads otherwise: put into its words before a statement is planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, SetExpr, Statement, Value, VisitMut, VisitorMut,
};

use super::vectors::TYPE_NAMES;

/// Columns of `pg_type` that name a function; PostgreSQL compares them with 0 for none, where the tables here say `-`.
const OF_FUNCTIONS: [&str; 8] =
    ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze", "typsubscript"];

/// Puts a statement into the engine's words.
pub(super) fn translate(statement: &mut Statement) {
    let ControlFlow::<()>::Continue(()) = statement.visit(&mut Translate) else { return };
}

struct Translate;

impl VisitorMut for Translate {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // (hs_predict(t)).hs6 and p.alternatives[1].hs6; p.alternatives is a column of the table p.
            Expr::CompoundFieldAccess { root, access_chain } => {
                let is_name = |access: &AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
                let of_name = match **root {
                    Expr::Identifier(_) => access_chain.iter().take_while(|access| is_name(access)).count(),
                    _ => 0,
                };
                for access in access_chain.iter_mut().skip(of_name) {
                    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                        *access = AccessExpr::Dot(text(name_of(field)));
                    }
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } if is_of_function(left) => {
                if is_zero(right) {
                    **right = text("-".into());
                } else if let Some(function) = function_named(right) {
                    **right = text(function);
                }
            }
            Expr::Cast { expr: list, data_type, .. } if data_type.to_string().eq_ignore_ascii_case("regtype[]") => {
                *expr = call(TYPE_NAMES, std::mem::replace(&mut **list, text(String::new())));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A call of a function with one argument.
fn call(name: &str, argument: Expr) -> Expr {
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))];
    let args = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn text(text: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(text).with_empty_span())
}

fn name_of(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}

fn is_of_function(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    name.is_some_and(|name| OF_FUNCTIONS.contains(&name_of(name).as_str()))
}

fn is_zero(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0"))
}

/// The function of `'pg_catalog.array_in'::regproc`, which the parser has made a query for its number.
fn function_named(expr: &Expr) -> Option<String> {
    let Expr::Subquery(query) = expr else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) = &select.selection else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Identifier(name), Expr::Value(value)) if name.value == "proname" => match &value.value {
            Value::SingleQuotedString(function) => function.rsplit('.').next().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    #[test]
    fn fields_of_records_and_functions_without_a_number_are_read_as_they_are_meant() {
        for (sql, said) in [
            ("SELECT (hs_predict(t)).HS6 FROM l", "SELECT (hs_predict(t)).'hs6' FROM l"),
            (
                "SELECT p.list[1].HS6, public.p.list[n.i], list[1].hs6 FROM p, n",
                "SELECT p.list[1].'hs6', public.p.list[n.i], list[1].'hs6' FROM p, n",
            ),
            ("SELECT 1 FROM pg_type WHERE typreceive <> 0", "SELECT 1 FROM pg_type WHERE typreceive <> '-'"),
            (
                "SELECT 1 FROM pg_type t WHERE t.typinput = (SELECT oid FROM pg_proc WHERE proname = 'pg_catalog.array_in')",
                "SELECT 1 FROM pg_type t WHERE t.typinput = 'array_in'",
            ),
            ("SELECT proargtypes::regtype[] FROM pg_proc", "SELECT type_names(proargtypes) FROM pg_proc"),
            ("SELECT 1 FROM pg_type t WHERE t.oid <> 0", "SELECT 1 FROM pg_type t WHERE t.oid <> 0"),
        ] {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
            translate(&mut parsed[0]);
            assert_eq!(parsed[0].to_string(), said);
        }
    }
}
