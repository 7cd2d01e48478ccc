//! PostgreSQL's dialect without one of its ways to name an argument, `f(a || b VALUE 1)`, which no function here knows: to look
//! for it the library's parser reads every argument twice, and so a call within twenty calls a million times.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// See the module.
#[derive(Debug)]
pub(super) struct Postgres;

/// Methods that answer as PostgreSQL's do.
macro_rules! as_postgresql {
    ($($name:ident($($argument:ident: $of:ty)?) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $argument: $of)?) -> $answer {
            PostgreSqlDialect {}.$name($($argument)?)
        })*
    };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    as_postgresql! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        get_next_precedence(parser: &Parser) -> Option<Result<u8, ParserError>>;
        prec_value(prec: Precedence) -> u8;
        supports_unicode_string_literal() -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn parsed(dialect: &dyn Dialect, sql: &str) -> String {
        format!("{:?}", Parser::parse_sql(dialect, sql))
    }

    /// Statements in which the ways of the dialect show, each method of which has to be passed on.
    #[test]
    fn everything_else_is_read_as_by_the_library() {
        for sql in [
            r#"SELECT "a b", U&'\0061', E'\n', 1_000, x::int[], $1, a #>> b, a ->> 'b', !!5, 5!, 1 << 2, @@ 3 FROM t /* a /* b */ c */"#,
            "SELECT count(*) FILTER (WHERE a), f(a := 2), extract('year' FROM d), extract(microseconds FROM d) FROM t",
            "SELECT a NOTNULL, b ISNULL, a ~ 'b', a !~* 'b', interval '1' day, interval '1 day', trim(a, 'b') FROM t GROUP BY (a), ROLLUP (b)",
            "SELECT FROM t",
            "SELECT t.* AS a FROM t",
            "SELECT a OPERATOR(pg_catalog.~) b, point '(1,2)', a <-> b, xmlelement(name a) FROM t",
            "SELECT /*+ hint */ a COLLATE \"C\" FROM t WHERE a = ANY(ARRAY[1, 2]) AND b IN (1) ORDER BY 1 NULLS FIRST",
            "SET NAMES 'utf8'",
            "LISTEN a",
            "LOAD 'a'",
            "COMMENT ON TABLE a IS 'b'",
            "EXPLAIN (ANALYZE, VERBOSE) SELECT 1",
            "CREATE INDEX a ON b (c) WITH (fillfactor = 70)",
            "ALTER TABLE a ALTER COLUMN b TYPE int USING c",
            "INSERT INTO a AS b VALUES (1)",
            "CREATE TABLE a (LIKE b)",
        ] {
            assert_eq!(parsed(&Postgres, sql), parsed(&PostgreSqlDialect {}, sql), "{sql}");
        }
    }

    #[test]
    fn calls_within_calls_take_no_longer_than_their_text() {
        for (open, close) in [
            ("f(", ")"),
            ("f(1, ", ")"),
            ("f(", ", 1)"),
            ("ROW(", ")"),
            ("struct(", ")"),
            ("coalesce(CASE WHEN a THEN ", " END)"),
        ] {
            for depth in [10, 20, 40] {
                let sql = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
                let began = Instant::now();
                let _ = Parser::parse_sql(&Postgres, &sql);
                assert!(began.elapsed() < Duration::from_secs(5), "{sql}");
            }
        }
    }
}
