//! What kind of statement was written: a query, or one of the commands that concern the session alone. Everything else is
//! refused here by its first word, and once more by the guard and by its plan.

use datafusion::sql::sqlparser::ast::{
    CloseCursor, DeclareType, DiscardObject, Expr, FetchDirection, Ident, ObjectName, Reset, Set, Statement, Value,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Location;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::copy::{CopyForm, of_copy};
use super::dialect::Postgres;
use super::fault::{Answer, Fault, state};
use super::ways::translate;
use super::wording::{Wording, chars_before};

/// Longest statement, and most brackets within each other, that the library's own parser reads: it knows some questions of tools
/// by their wording, and takes twice as long for each call within a call.
const MOST_KNOWN_BYTES: usize = 8 << 10;
const MOST_KNOWN_BRACKETS: usize = 8;
const MOST_KNOWN_AGAIN: usize = 3;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Goes to the engine.
    Query(Box<Statement>),
    /// `COPY … TO STDOUT`.
    CopyOut {
        query: Box<Statement>,
        form: CopyForm,
    },
    Set {
        name: String,
        /// `None` means what it was at the start.
        value: Option<String>,
    },
    /// `SET TRANSACTION` and what else changes nothing here.
    SetNothing,
    /// A setting, or all.
    Show(Option<String>),
    /// A setting, or all.
    Reset(Option<String>),
    DiscardAll,
    /// `DISCARD` of what there is none of.
    DiscardNothing,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Release,
    RollbackTo,
    /// A prepared statement, or all.
    Deallocate(Option<String>),
    Declare {
        name: String,
        /// Whether it outlives its transaction.
        hold: bool,
        query: Box<Statement>,
    },
    Fetch {
        name: String,
        /// `None` means all.
        rows: Option<usize>,
    },
    /// A cursor, or all.
    CloseCursor(Option<String>),
}

impl Command {
    /// What the client is told when it is done; queries and what shows rows count them.
    pub fn tag(&self) -> &'static str {
        match self {
            Command::Query(_) => "SELECT",
            Command::CopyOut { .. } => "COPY",
            Command::Set { .. } | Command::SetNothing => "SET",
            Command::Show(_) => "SHOW",
            Command::Reset(_) => "RESET",
            Command::DiscardAll => "DISCARD ALL",
            Command::DiscardNothing => "DISCARD PLANS",
            Command::Begin => "BEGIN",
            Command::Commit => "COMMIT",
            Command::Rollback | Command::RollbackTo => "ROLLBACK",
            Command::Savepoint => "SAVEPOINT",
            Command::Release => "RELEASE",
            Command::Deallocate(None) => "DEALLOCATE ALL",
            Command::Deallocate(_) => "DEALLOCATE",
            Command::Declare { .. } => "DECLARE CURSOR",
            Command::Fetch { .. } => "FETCH",
            Command::CloseCursor(_) => "CLOSE CURSOR",
        }
    }

    /// Whether it is taken while a transaction has failed.
    pub fn ends_transaction(&self) -> bool {
        matches!(self, Command::Commit | Command::Rollback | Command::RollbackTo)
    }
}

/// Parses one statement that is within its bounds. Deep trees are possible: to be called where the stack is large.
pub(super) fn parse(parser: &PostgresCompatibilityParser, wording: &Wording) -> Answer<Command> {
    let nested = wording.nested;
    let flat = nested.brackets <= MOST_KNOWN_BRACKETS && nested.again <= MOST_KNOWN_AGAIN;
    let parsed = match flat && wording.sql.len() <= MOST_KNOWN_BYTES {
        true => parser.parse(&wording.sql),
        false => Parser::parse_sql(&Postgres, &wording.sql)
            .map(|parsed| parsed.into_iter().map(|statement| parser.rewrite(statement)).collect()),
    };
    let mut parsed = parsed.map_err(|e| syntax(e, wording))?;
    match (parsed.pop(), parsed.is_empty()) {
        (Some(mut statement), true) => {
            translate(&mut statement);
            of(statement)
        }
        _ => Err(Fault::new(state::SYNTAX, "syntax error: one statement was expected")),
    }
}

/// The parser that knows PostgreSQL's ways forgets where it is; a plain one tells.
fn syntax(e: ParserError, wording: &Wording) -> Fault {
    let mut fault = Fault::from(e);
    if fault.state != state::SYNTAX {
        return fault;
    }
    let again = Parser::new(&Postgres).try_with_sql(&wording.sql).and_then(|mut p| p.parse_statements());
    if let Err(ParserError::ParserError(message)) = again
        && let Some(place) = place(&message)
    {
        fault.position = Some(wording.before + chars_before(&wording.sql, place) + 1);
    }
    fault
}

fn place(message: &str) -> Option<Location> {
    let (_, at) = message.rsplit_once("at Line: ")?;
    let (line, column) = at.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

fn of(statement: Statement) -> Answer<Command> {
    use Statement as S;
    Ok(match statement {
        S::Query(_)
        | S::ShowTables { .. }
        | S::ShowColumns { .. }
        | S::ShowFunctions { .. }
        | S::ExplainTable { .. } => Command::Query(Box::new(statement)),
        S::Explain { statement: ref inner, .. } => match inner.as_ref() {
            S::Query(_) => Command::Query(Box::new(statement)),
            other => return Err(refused(other)),
        },
        S::Copy { .. } => {
            let (query, form) = of_copy(statement)?;
            Command::CopyOut { query: Box::new(query), form }
        }
        S::Set(set) => of_set(set)?,
        S::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
            match words.join(" ").as_str() {
                "all" => Command::Show(None),
                "transaction isolation level" => Command::Show(Some("transaction_isolation".into())),
                "session authorization" => {
                    return Err(not_offered("SHOW SESSION AUTHORIZATION").hint("SELECT current_user."));
                }
                _ => Command::Show(Some(words.join(if words[0] == "time" { " " } else { "." }))),
            }
        }
        S::Reset(reset) => match reset.reset {
            Reset::ALL => Command::Reset(None),
            Reset::ConfigurationParameter(name) => Command::Reset(Some(plain(&name))),
        },
        S::Discard { object_type: DiscardObject::ALL } => Command::DiscardAll,
        S::Discard { .. } => Command::DiscardNothing,
        S::StartTransaction { .. } => Command::Begin,
        S::Commit { .. } => Command::Commit,
        S::Rollback { savepoint: None, .. } => Command::Rollback,
        S::Rollback { .. } => Command::RollbackTo,
        S::Savepoint { .. } => Command::Savepoint,
        S::ReleaseSavepoint { .. } => Command::Release,
        S::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Command::Deallocate(Some(name_of(&name)).filter(|_| !all))
        }
        S::Declare { stmts } => of_declare(stmts)?,
        S::Fetch { name, direction, into: None, .. } => {
            Command::Fetch { name: name_of(&name), rows: rows_of(&direction)? }
        }
        S::Close { cursor: CloseCursor::All } => Command::CloseCursor(None),
        S::Close { cursor: CloseCursor::Specific { name } } => Command::CloseCursor(Some(name_of(&name))),
        other => return Err(refused(&other)),
    })
}

fn of_set(set: Set) -> Answer<Command> {
    let value_of = |values: &[Expr]| -> Answer<Option<String>> {
        let texts = values.iter().map(setting).collect::<Answer<Vec<String>>>()?;
        let reset = matches!(&texts[..], [one] if one.eq_ignore_ascii_case("default"));
        Ok(Some(texts.join(", ")).filter(|_| !reset))
    };
    Ok(match set {
        Set::SingleAssignment { hivevar: false, variable, values, .. } => {
            Command::Set { name: plain(&variable), value: value_of(&values)? }
        }
        Set::SetTimeZone { value, .. } => Command::Set { name: "TimeZone".into(), value: value_of(&[value])? },
        Set::SetNames { charset_name, .. } => {
            Command::Set { name: "client_encoding".into(), value: Some(charset_name.value) }
        }
        Set::SetNamesDefault {} => Command::Set { name: "client_encoding".into(), value: None },
        Set::SetTransaction { snapshot: None, .. } | Set::SetRole { role_name: None, .. } => Command::SetNothing,
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
            return Err(Fault::new(
                state::NOT_ALLOWED,
                "the role of a session is that of its user and cannot be changed",
            ));
        }
        _ => return Err(not_offered("this form of SET").hint("Write SET name = value.")),
    })
}

/// The text of a setting's value, as PostgreSQL takes it: a literal, a name, a number.
fn setting(value: &Expr) -> Answer<String> {
    let text = match value {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => Some(number.clone()),
            Value::Boolean(yes) => Some(if *yes { "on" } else { "off" }.to_owned()),
            Value::Null => None,
            other => other.clone().into_string(),
        },
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::UnaryOp { op, expr } => Some(format!("{op}{}", setting(expr)?)),
        _ => None,
    };
    text.ok_or_else(|| Fault::new(state::SYNTAX, "a setting takes a literal, a name or a number"))
}

fn of_declare(mut declared: Vec<datafusion::sql::sqlparser::ast::Declare>) -> Answer<Command> {
    let (Some(one), true) = (declared.pop(), declared.is_empty()) else {
        return Err(not_offered("DECLARE of several cursors"));
    };
    if one.declare_type != Some(DeclareType::Cursor) || one.scroll == Some(true) || one.binary == Some(true) {
        return Err(not_offered("a cursor that goes back or is binary"));
    }
    match (one.names.first(), one.for_query) {
        (Some(name), Some(query)) => {
            let hold = one.hold == Some(true);
            Ok(Command::Declare { name: name_of(name), hold, query: Box::new(Statement::Query(query)) })
        }
        _ => Err(Fault::new(state::SYNTAX, "syntax error: write DECLARE name CURSOR FOR query")),
    }
}

fn rows_of(direction: &FetchDirection) -> Answer<Option<usize>> {
    let number = |value: &Value| match value {
        Value::Number(text, _) => {
            text.parse().map_err(|_| Fault::new(state::SYNTAX, "FETCH takes a whole number of rows"))
        }
        _ => Err(Fault::new(state::SYNTAX, "FETCH takes a whole number of rows")),
    };
    Ok(match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Some(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => Some(number(&limit.value)?),
        FetchDirection::All | FetchDirection::ForwardAll => None,
        _ => return Err(not_offered("a cursor that goes back")),
    })
}

fn name_of(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}

fn plain(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident().map(|ident| ident.value.clone())).collect();
    parts.join(".").to_lowercase()
}

fn not_offered(what: &str) -> Fault {
    Fault::new(state::NOT_SUPPORTED, format!("{what} is not offered"))
}

/// Refuses what writes as something that nobody may, and the rest as something that is not there.
fn refused(statement: &Statement) -> Fault {
    use Statement as S;
    let word = first_word(statement);
    match statement {
        S::Prepare { .. } | S::Execute { .. } => {
            not_offered(&word).hint("Prepare statements with the means of your driver.")
        }
        S::LISTEN { .. } | S::UNLISTEN { .. } | S::NOTIFY { .. } | S::Call(_) | S::Use(_) | S::Lock(_) => {
            not_offered(&word)
        }
        _ => Fault::new(
            state::NOT_ALLOWED,
            format!("{word} is not allowed: this server answers queries and writes nothing"),
        )
        .hint("What is in the lake is written by the program's own commands."),
    }
}

/// The first words of a statement, without names and values.
fn first_word(statement: &Statement) -> String {
    // Only the start is formed, for the rest may be long.
    struct Start(String);
    impl std::fmt::Write for Start {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.push_str(text);
            if self.0.len() > 64 { Err(std::fmt::Error) } else { Ok(()) }
        }
    }
    let mut start = Start(String::new());
    let _ = std::fmt::Write::write_fmt(&mut start, format_args!("{statement}"));
    let words = start.0.split(|c: char| !c.is_ascii_alphabetic());
    words.take(1).collect::<Vec<_>>().join(" ").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::roles::{Role, RoleLimits};
    use crate::serve::wording::statements;

    fn parsed(sql: &str) -> Answer<Command> {
        let found = statements(sql, &RoleLimits::of(Role::Reader, 1 << 30))?;
        parse(&PostgresCompatibilityParser::new(), &found[0])
    }

    #[test]
    fn queries_and_commands_of_the_session_are_told_apart() {
        for (sql, tag) in [
            ("SELECT 1", "SELECT"),
            ("WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"),
            ("VALUES (1)", "SELECT"),
            ("EXPLAIN SELECT 1", "SELECT"),
            ("COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER)", "COPY"),
            ("COPY predictions (hs6) TO STDOUT WITH BINARY", "COPY"),
            ("SET extra_float_digits = 3", "SET"),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET"),
            ("SET TIME ZONE 'UTC'", "SET"),
            ("SHOW server_version", "SHOW"),
            ("SHOW ALL", "SHOW"),
            ("RESET ALL", "RESET"),
            ("DISCARD ALL", "DISCARD ALL"),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN"),
            ("START TRANSACTION READ ONLY", "BEGIN"),
            ("END", "COMMIT"),
            ("ABORT", "ROLLBACK"),
            ("SAVEPOINT a", "SAVEPOINT"),
            ("ROLLBACK TO SAVEPOINT a", "ROLLBACK"),
            ("RELEASE SAVEPOINT a", "RELEASE"),
            ("DEALLOCATE ALL", "DEALLOCATE ALL"),
            ("DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", "DECLARE CURSOR"),
            ("FETCH FORWARD 10 FROM c", "FETCH"),
            ("CLOSE c", "CLOSE CURSOR"),
        ] {
            assert_eq!(parsed(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}")).tag(), tag, "{sql}");
        }
        assert!(matches!(parsed("SET a TO DEFAULT"), Ok(Command::Set { value: None, .. })));
        assert!(matches!(parsed("SET search_path TO a, 'b'"), Ok(Command::Set { value: Some(v), .. }) if v == "a, b"));
        assert!(matches!(parsed("SHOW TIME ZONE"), Ok(Command::Show(Some(n))) if n == "time zone"));
        assert!(matches!(parsed("FETCH ALL FROM c"), Ok(Command::Fetch { rows: None, .. })));
    }

    #[test]
    fn whatever_writes_is_refused_by_its_first_word() {
        for sql in [
            "COPY predictions TO '/tmp/x'",
            "COPY (SELECT 1) TO '/tmp/x'",
            "COPY (SELECT 1) TO PROGRAM 'cat'",
            "COPY predictions FROM STDIN",
            "COPY predictions FROM PROGRAM 'cat'",
            "INSERT INTO predictions VALUES (1)",
            "UPDATE predictions SET hs6 = '1'",
            "DELETE FROM predictions",
            "TRUNCATE predictions",
            "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
            "CREATE TABLE t (a int)",
            "CREATE TABLE t AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "CREATE EXTERNAL TABLE t (a int) LOCATION 'x'",
            "DROP TABLE predictions",
            "ALTER TABLE predictions ADD COLUMN a int",
            "GRANT SELECT ON a TO b",
            "VACUUM",
            "EXPLAIN ANALYZE DELETE FROM predictions",
            "SET ROLE operator",
            "SET SESSION AUTHORIZATION root",
        ] {
            let fault = parsed(sql).expect_err(sql);
            assert!(matches!(fault.state, "42501" | "42601"), "{sql}: {fault}");
        }
        assert_eq!(parsed("COPY predictions TO '/tmp/x'").unwrap_err().state, "42501");
        assert_eq!(parsed("LISTEN a").unwrap_err().state, "0A000");
    }

    #[test]
    fn a_syntax_error_tells_where_it_is() {
        let fault = parsed("SELECT 1 + )").unwrap_err();
        assert_eq!((fault.state, fault.position), ("42601", Some(12)));
    }
}
