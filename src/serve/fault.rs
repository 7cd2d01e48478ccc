//! What a client is told when something is refused or fails: an SQLSTATE, one sentence, what to do next.
//!
//! A value of a row never enters a message, for it may be a description.

use std::fmt;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::error::Error;

/// Of a statement or a step of the protocol.
pub(super) type Answer<T> = Result<T, Fault>;

/// SQLSTATEs as PostgreSQL's appendix A names them.
pub(super) mod state {
    pub const PROTOCOL_VIOLATION: &str = "08P01";
    pub const NOT_SUPPORTED: &str = "0A000";
    pub const DATA_EXCEPTION: &str = "22000";
    pub const OUT_OF_RANGE: &str = "22003";
    pub const DIVISION_BY_ZERO: &str = "22012";
    pub const NOT_UTF8: &str = "22021";
    pub const INVALID_PARAMETER: &str = "22023";
    pub const INVALID_TEXT: &str = "22P02";
    pub const IN_FAILED_TRANSACTION: &str = "25P02";
    pub const NO_SUCH_STATEMENT: &str = "26000";
    pub const NO_ACCESS: &str = "28000";
    pub const WRONG_PASSWORD: &str = "28P01";
    pub const NO_SUCH_CURSOR: &str = "34000";
    pub const PLAN: &str = "42000";
    pub const NOT_ALLOWED: &str = "42501";
    pub const SYNTAX: &str = "42601";
    pub const AMBIGUOUS_COLUMN: &str = "42702";
    pub const NO_SUCH_COLUMN: &str = "42703";
    pub const NO_SUCH_OBJECT: &str = "42704";
    pub const GROUPING: &str = "42803";
    pub const TYPE_MISMATCH: &str = "42804";
    pub const NO_SUCH_FUNCTION: &str = "42883";
    pub const NO_SUCH_TABLE: &str = "42P01";
    pub const CURSOR_EXISTS: &str = "42P03";
    pub const STATEMENT_EXISTS: &str = "42P05";
    pub const DISK_FULL: &str = "53100";
    pub const OUT_OF_MEMORY: &str = "53200";
    pub const TOO_MANY: &str = "53300";
    pub const LIMIT_EXCEEDED: &str = "54000";
    pub const TOO_COMPLEX: &str = "54001";
    pub const CANCELED: &str = "57014";
    pub const SHUTDOWN: &str = "57P01";
    pub const IO: &str = "58030";
    pub const DEFECT: &str = "XX000";
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// One of [`state`].
    pub state: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// Character of the statement at which it was noticed, from one.
    pub position: Option<usize>,
    /// Whether the connection ends with it.
    pub fatal: bool,
}

impl Fault {
    pub fn new(state: &'static str, message: impl Into<String>) -> Fault {
        Fault { state, message: message.into(), hint: None, position: None, fatal: false }
    }

    /// One that ends the connection.
    pub fn fatal(state: &'static str, message: impl Into<String>) -> Fault {
        Fault { fatal: true, ..Fault::new(state, message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// A message of the client that is none of the protocol's; nothing after it can be trusted.
    pub fn malformed(what: &str) -> Fault {
        Fault::fatal(state::PROTOCOL_VIOLATION, format!("malformed message: {what}"))
    }

    pub fn canceled(why: &str) -> Fault {
        Fault::new(state::CANCELED, format!("canceling statement due to {why}"))
    }

    pub fn shutdown() -> Fault {
        Fault::fatal(state::SHUTDOWN, "terminating connection: the server is being stopped")
    }

    /// As the protocol sends it.
    pub fn info(&self) -> ErrorInfo {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut info = ErrorInfo::new(severity.into(), self.state.into(), self.message.clone());
        info.severity_nonlocalized = Some(severity.into());
        info.hint.clone_from(&self.hint);
        info.position = self.position.map(|position| position.to_string());
        info
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for DataFusionError {
    fn from(fault: Fault) -> Self {
        DataFusionError::External(Box::new(fault))
    }
}

impl From<DataFusionError> for Fault {
    fn from(e: DataFusionError) -> Self {
        of_query(&e)
    }
}

impl From<ParserError> for Fault {
    fn from(e: ParserError) -> Self {
        of_parser(&e)
    }
}

impl From<PgWireError> for Fault {
    /// Errors of encoding and decoding values.
    fn from(e: PgWireError) -> Self {
        match e {
            PgWireError::UserError(info) => {
                let state = match info.code.as_str() {
                    "22003" => state::OUT_OF_RANGE,
                    "22023" => state::INVALID_PARAMETER,
                    _ => state::DATA_EXCEPTION,
                };
                Fault::new(state, "a value cannot be sent or taken in this type: cast it, such as to text")
            }
            PgWireError::FailedToParseParameter(_) => {
                Fault::new(state::INVALID_TEXT, "a parameter is no value of its type")
            }
            PgWireError::InvalidRustTypeForParameter(name) => {
                Fault::new(state::NOT_SUPPORTED, format!("parameters of type {name} are not offered: send text"))
            }
            e => Fault::new(state::DEFECT, e.to_string()),
        }
    }
}

impl From<Error> for Fault {
    /// Errors of the room below, which has one kind for all that is wrong with a query.
    fn from(e: Error) -> Self {
        match e {
            Error::Usage(message) => of_usage(&message),
            Error::Input(message) => of_input(message),
            e => Fault::new(state_of(&e), e.to_string()),
        }
    }
}

fn of_usage(message: &str) -> Fault {
    const KINDS: [(&str, Option<&str>); 5] = [
        ("Error during planning: ", None),
        ("Schema error: ", None),
        ("This feature is not implemented: ", Some(state::NOT_SUPPORTED)),
        ("SQL error: ", Some(state::SYNTAX)),
        ("Resources exhausted: ", Some(state::OUT_OF_MEMORY)),
    ];
    for (kind, state) in KINDS {
        if let Some(rest) = message.strip_prefix(kind) {
            return Fault::new(state.unwrap_or_else(|| of_plan(rest)), rest);
        }
    }
    Fault::new(of_plan(message), message)
}

/// A fault of our own comes back from there as its words alone.
fn of_input(message: String) -> Fault {
    for own in [state::LIMIT_EXCEEDED, state::TOO_COMPLEX, state::NOT_ALLOWED] {
        if let Some(rest) = message.strip_prefix(own).and_then(|rest| rest.strip_prefix(": ")) {
            return Fault::new(own, rest);
        }
    }
    Fault::new(state::DATA_EXCEPTION, message)
}

fn state_of(e: &Error) -> &'static str {
    match e {
        Error::Usage(_) => state::PLAN,
        Error::Input(_) | Error::Registry(_) => state::DATA_EXCEPTION,
        Error::Resources(_) => state::OUT_OF_MEMORY,
        Error::Credentials(_) | Error::Storage(_) | Error::RaceLost(_) | Error::CommitUnknown(_) => state::IO,
        Error::Bug(_) | Error::Interrupted(_) => state::DEFECT,
    }
}

/// What a statement of the lake was refused for.
pub(super) fn not_allowed(e: &Error) -> Fault {
    Fault::new(state::NOT_ALLOWED, e.to_string())
}

fn of_query(e: &DataFusionError) -> Fault {
    use DataFusionError as D;
    match e {
        D::Context(_, inner) | D::Diagnostic(_, inner) => of_query(inner),
        D::Shared(inner) => of_query(inner),
        D::Collection(all) => {
            all.first().map_or_else(|| Fault::new(state::DEFECT, "an empty list of errors"), of_query)
        }
        D::External(inner) => of_boxed(inner.as_ref()),
        D::ArrowError(inner, _) => of_arrow(inner),
        D::SQL(inner, _) => of_parser(inner),
        D::SchemaError(inner, _) => of_schema(inner),
        D::NotImplemented(message) => Fault::new(state::NOT_SUPPORTED, message),
        D::ResourcesExhausted(message) if message.contains(DISK) => of_io(message),
        D::ResourcesExhausted(_) => {
            Fault::new(state::OUT_OF_MEMORY, "the statement needs more memory than its role has")
                .hint("Read fewer rows or columns at once, or ask for a larger limit.")
        }
        D::Plan(message) => Fault::new(of_plan(message), message),
        D::IoError(inner) => of_io(&inner.to_string()),
        D::ObjectStore(_) | D::ParquetError(_) => of_io(&e.strip_backtrace()),
        D::Execution(message) if message.contains("overflow") => Fault::new(state::OUT_OF_RANGE, brief(message)),
        D::Execution(message) => Fault::new(state::DATA_EXCEPTION, brief(message)),
        e => {
            tracing::warn!(error = %brief(&e.strip_backtrace()), "a statement met a defect");
            Fault::new(state::DEFECT, "a defect of the server; its log says more")
        }
    }
}

/// What the engine says, in several kinds of error, when a statement has put aside on disk what it may.
const DISK: &str = "used disk space";

fn of_io(message: &str) -> Fault {
    if message.contains(DISK) {
        return Fault::new(state::DISK_FULL, "the statement needs more room on disk than its role has")
            .hint("Read fewer rows or columns at once, or ask for a larger limit.");
    }
    tracing::warn!(error = message, "a statement met trouble of the store");
    Fault::new(state::IO, "a file could not be read or written; the log of the server says why")
}

/// Messages of functions quote values at times, after a colon or in quotes.
fn brief(message: &str) -> String {
    let end = message.find(['\'', '"', '`', ':']).unwrap_or(message.len());
    match message[..end].trim() {
        "" => "an expression fails on a value".into(),
        start => start.into(),
    }
}

fn of_boxed(e: &(dyn std::error::Error + Send + Sync + 'static)) -> Fault {
    if let Some(fault) = e.downcast_ref::<Fault>() {
        return fault.clone();
    }
    if let Some(own) = e.downcast_ref::<Error>() {
        return Fault::new(state_of(own), own.to_string());
    }
    if let Some(inner) = e.downcast_ref::<DataFusionError>() {
        return of_query(inner);
    }
    if let Some(inner) = e.downcast_ref::<ArrowError>() {
        return of_arrow(inner);
    }
    tracing::warn!(error = %e, "a statement met trouble");
    Fault::new(state::IO, "the lake could not be read; the log of the server says why")
}

fn of_arrow(e: &ArrowError) -> Fault {
    let (state, what) = match e {
        ArrowError::IoError(message, _) => return of_io(message),
        ArrowError::MemoryError(_) => (state::OUT_OF_MEMORY, "a batch of values is too large"),
        ArrowError::DivideByZero => (state::DIVISION_BY_ZERO, "division by zero; use nullif"),
        ArrowError::ArithmeticOverflow(_) => (state::OUT_OF_RANGE, "an arithmetic overflow"),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            (state::INVALID_TEXT, "a cast fails on a value; use try_cast")
        }
        ArrowError::ComputeError(_) => {
            (state::DATA_EXCEPTION, "an expression fails on a value; use try_cast or nullif")
        }
        ArrowError::ExternalError(inner) => return of_boxed(inner.as_ref()),
        ArrowError::OffsetOverflowError(_) => (state::LIMIT_EXCEEDED, "a value or a batch of values is too large"),
        _ => (state::DATA_EXCEPTION, "an expression fails on a value"),
    };
    Fault::new(state, what)
}

fn of_schema(e: &SchemaError) -> Fault {
    let state = match e {
        SchemaError::FieldNotFound { .. } => state::NO_SUCH_COLUMN,
        SchemaError::AmbiguousReference { .. } => state::AMBIGUOUS_COLUMN,
        _ => state::PLAN,
    };
    Fault::new(state, e.to_string())
}

/// DataFusion has one kind for all that is wrong with a query; its sentences tell them apart.
fn of_plan(message: &str) -> &'static str {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&[
        "invalid function",
        "no function matches",
        "table function",
        "failed to coerce arguments",
        "function call",
    ]) {
        state::NO_SUCH_FUNCTION
    } else if has(&["in the group by", "in group by"]) {
        state::GROUPING
    } else if has(&["ambiguous"]) {
        state::AMBIGUOUS_COLUMN
    } else if has(&["no field named"]) {
        state::NO_SUCH_COLUMN
    } else if has(&["table"]) && has(&["not found"]) || has(&["failed to resolve schema", "failed to resolve catalog"])
    {
        state::NO_SUCH_TABLE
    } else if has(&["cannot coerce", "cannot infer common", "type mismatch", "incompatible"]) {
        state::TYPE_MISMATCH
    } else if has(&["column"]) && has(&["not found"]) {
        state::NO_SUCH_COLUMN
    } else {
        state::PLAN
    }
}

fn of_parser(e: &ParserError) -> Fault {
    match e {
        ParserError::RecursionLimitExceeded => {
            Fault::new(state::TOO_COMPLEX, "the statement is nested too deeply").hint("Use WITH, or fewer brackets.")
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            Fault::new(state::SYNTAX, format!("syntax error: {}", without_place(message)))
        }
    }
}

/// Parsers put line and column at the end, where clients show the position themselves; and what was found there, which may be
/// a word of a description that lacks its quotes.
fn without_place(message: &str) -> &str {
    let end = message.find(" at Line:").unwrap_or(message.len());
    message[..end].split(", found:").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_gets_the_sqlstate_that_drivers_look_for() {
        let state = |e: DataFusionError| Fault::from(e).state;
        assert_eq!(state(DataFusionError::Plan("table 'lake.public.nothing' not found".into())), "42P01");
        assert_eq!(state(DataFusionError::Plan("Invalid function 'nofunction'.".into())), "42883");
        assert_eq!(state(DataFusionError::NotImplemented("x".into())), "0A000");
        assert_eq!(state(DataFusionError::ResourcesExhausted("Failed to allocate".into())), "53200");
        let zero = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert_eq!(state(zero.context("while computing")), "22012");
        // How the engine says that a sort may put no more aside, through the writer of its files.
        let full =
            std::io::Error::other("The used disk space during the spilling process has exceeded the allowable limit");
        let full = ArrowError::from(full);
        assert_eq!(state(DataFusionError::ArrowError(Box::new(full), None)), "53100");
        assert_eq!(state(Fault::canceled("statement timeout").into()), "57014");
        assert_eq!(Fault::from(ParserError::RecursionLimitExceeded).state, "54001");
        // The same, when the room below has turned it into one of ours.
        let state_of = |e: DataFusionError| Fault::from(Error::from(e)).state;
        assert_eq!(state_of(DataFusionError::Plan("table 'lake.public.nothing' not found".into())), "42P01");
        assert_eq!(state_of(DataFusionError::NotImplemented("x".into())), "0A000");
        let column = SchemaError::FieldNotFound {
            field: Box::new(datafusion::common::Column::new_unqualified("nothing")),
            valid_fields: vec![datafusion::common::Column::new(Some("table"), "found")],
        };
        assert_eq!(state_of(DataFusionError::SchemaError(Box::new(column), Box::new(None))), "42703");
        assert_eq!(state_of(Fault::new(state::LIMIT_EXCEEDED, "too large").into()), "54000");
    }

    #[test]
    fn values_stay_out_of_messages() {
        let cast = ArrowError::CastError("Cannot cast string 'red cotton shirts' to value of Int32 type".into());
        let told = Fault::from(DataFusionError::ArrowError(Box::new(cast), None));
        assert_eq!(told.state, "22P02");
        assert!(!told.message.contains("cotton"), "{told}");
        let told = Fault::from(ParserError::ParserError("Expected: end, found: cotton at Line: 1, Column: 8".into()));
        assert!(!told.message.contains("cotton"), "{told}");
        let told = Fault::from(DataFusionError::Execution("bad value: 'red cotton shirts'".into()));
        assert!(!told.message.contains("cotton"), "{told}");
    }
}
