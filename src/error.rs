//! One error type, grouped by who must act, and the exit codes that are part of the command-line contract.
//!
//! Every message names the thing and the next step. Descriptions and secrets never enter a message.
//! Expected outcomes (already done, lost a race that can be retried by itself) are values, not errors.

use std::fmt;

/// Shorthand used by the whole library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by who must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command was called wrongly: the caller changes the arguments.
    #[error("{0}")]
    Usage(String),
    /// The input or a schema does not fit: the owner of the data acts.
    #[error("{0}")]
    Input(String),
    /// A model version or the registry was refused: the owner of the model acts.
    #[error("{0}")]
    Registry(String),
    /// Keys are missing, wrong or not allowed to do this: the operator acts.
    #[error("{0}")]
    Credentials(String),
    /// Another writer won: run again.
    #[error("{0}")]
    RaceLost(String),
    /// Storage gave an error that may pass: run again.
    #[error("{0}")]
    Storage(String),
    /// It is not known whether a commit happened: nothing was deleted.
    #[error("{0}")]
    CommitUnknown(String),
    /// Memory or disk ran out.
    #[error("{0}")]
    Resources(String),
    /// A defect of this program.
    #[error("{0}")]
    Bug(String),
    /// Ended by a signal, whose number this is.
    #[error("interrupted by signal {0}; a run is visible whole or not at all: run the same command again")]
    Interrupted(u8),
}

impl Error {
    /// Process exit code; see `docs/operations.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Input(_) => 20,
            Error::Registry(_) => 21,
            Error::Credentials(_) => 22,
            Error::RaceLost(_) => 30,
            Error::Storage(_) => 31,
            Error::CommitUnknown(_) => 32,
            Error::Resources(_) => 40,
            Error::Bug(_) => 70,
            Error::Interrupted(signal) => 128 + signal,
        }
    }

    /// The same error with what was being done put before it.
    pub fn context(self, doing: impl fmt::Display) -> Self {
        let put = |m: String| format!("{doing}: {m}");
        match self {
            Error::Usage(m) => Error::Usage(put(m)),
            Error::Input(m) => Error::Input(put(m)),
            Error::Registry(m) => Error::Registry(put(m)),
            Error::Credentials(m) => Error::Credentials(put(m)),
            Error::RaceLost(m) => Error::RaceLost(put(m)),
            Error::Storage(m) => Error::Storage(put(m)),
            Error::CommitUnknown(m) => Error::CommitUnknown(put(m)),
            Error::Resources(m) => Error::Resources(put(m)),
            Error::Bug(m) => Error::Bug(put(m)),
            Error::Interrupted(s) => Error::Interrupted(s),
        }
    }
}

/// Puts what was being done before an error.
pub trait Context<T> {
    /// See [`Error::context`]; `doing` is only called on an error.
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|e| e.into().context(doing()))
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        match e.kind() {
            K::NotFound => Error::Input(e.to_string()),
            K::PermissionDenied | K::ReadOnlyFilesystem => Error::Credentials(e.to_string()),
            K::OutOfMemory | K::StorageFull | K::QuotaExceeded => Error::Resources(e.to_string()),
            _ => Error::Storage(e.to_string()),
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(e: object_store::Error) -> Self {
        use object_store::Error as S;
        match &e {
            S::NotFound { .. } => Error::Input(e.to_string()),
            S::PermissionDenied { .. } | S::Unauthenticated { .. } => Error::Credentials(e.to_string()),
            S::Precondition { path, .. } => {
                Error::Input(format!("{path} was replaced while it was being read; run again to read the new one"))
            }
            S::InvalidPath { .. } | S::NotSupported { .. } | S::NotImplemented { .. } => Error::Usage(e.to_string()),
            _ => no_keys(&e).or_else(|| io_cause(&e)).unwrap_or_else(|| Error::Storage(e.to_string())),
        }
    }
}

/// Without keys `object_store` asks the machine's metadata service, whose address then stands in the error.
fn no_keys(e: &object_store::Error) -> Option<Error> {
    e.to_string().contains("169.254.169.254").then(|| {
        Error::Credentials(
            "no keys for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a role; `harmonize check` shows \
             what is set"
                .into(),
        )
    })
}

/// The first `std::io::Error` with a meaning of its own in the chain of causes, with the whole message.
fn io_cause(e: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut cause = Some(e);
    while let Some(c) = cause {
        if let Some(io) = c.downcast_ref::<std::io::Error>() {
            let mapped: Error = std::io::Error::new(io.kind(), e.to_string()).into();
            return (!matches!(mapped, Error::Storage(_) | Error::Input(_))).then_some(mapped);
        }
        cause = c.source();
    }
    None
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(e: parquet::errors::ParquetError) -> Self {
        if let parquet::errors::ParquetError::External(inner) = &e
            && let Some(arrow) = inner.downcast_ref::<arrow::error::ArrowError>()
            && fails_on_a_value(arrow)
        {
            return on_a_value();
        }
        if let parquet::errors::ParquetError::External(inner) = &e
            && let Some(os) = inner.downcast_ref::<object_store::Error>()
        {
            return object_store_kind(os, e.to_string());
        }
        Error::Input(e.to_string())
    }
}

/// Class of an object-store error that is only borrowed.
fn object_store_kind(e: &object_store::Error, message: String) -> Error {
    use object_store::Error as S;
    match e {
        S::PermissionDenied { .. } | S::Unauthenticated { .. } => Error::Credentials(message),
        S::NotFound { .. } | S::Precondition { .. } => Error::Input(message),
        _ => no_keys(e).or_else(|| io_cause(e)).unwrap_or(Error::Storage(message)),
    }
}

/// Whether an expression met a value that it cannot take. (A filter that is evaluated while a file is read comes as
/// `ComputeError`.)
fn fails_on_a_value(e: &arrow::error::ArrowError) -> bool {
    use arrow::error::ArrowError as A;
    matches!(e, A::CastError(_) | A::ParseError(_) | A::ComputeError(_) | A::DivideByZero | A::ArithmeticOverflow(_))
}

fn on_a_value() -> Error {
    Error::Usage(
        "an expression of the query or filter fails on a value: a cast, a division by zero or an overflow; use \
         try_cast or nullif"
            .into(),
    )
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Self {
        match e {
            arrow::error::ArrowError::ExternalError(inner) => from_boxed(inner),
            // The message of arrow holds the value, which may be a description.
            e if fails_on_a_value(&e) => on_a_value(),
            e => Error::Input(e.to_string()),
        }
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(e: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError as D;
        match e {
            D::External(inner) => from_boxed(inner),
            D::ObjectStore(inner) => (*inner).into(),
            D::ParquetError(inner) => (*inner).into(),
            D::ArrowError(inner, _) => (*inner).into(),
            D::IoError(inner) => inner.into(),
            D::Context(doing, inner) => Error::from(*inner).context(doing),
            D::ResourcesExhausted(m) => Error::Resources(format!("{m}; raise --memory or lower --threads")),
            D::SQL(..) | D::Plan(_) | D::SchemaError(..) | D::NotImplemented(_) => Error::Usage(e.strip_backtrace()),
            D::Diagnostic(_, inner) => Error::from(*inner),
            D::Collection(all) => {
                all.into_iter().next().map_or_else(|| Error::Bug("an empty list of errors".into()), Error::from)
            }
            D::Shared(inner) => shared(&inner),
            e => Error::Bug(e.strip_backtrace()),
        }
    }
}

/// A DataFusion error that several streams share cannot be taken apart, so it is classed by reference.
fn shared(e: &datafusion::error::DataFusionError) -> Error {
    use datafusion::error::DataFusionError as D;
    let message = e.strip_backtrace();
    match e {
        D::ObjectStore(inner) => object_store_kind(inner, message),
        D::ArrowError(inner, _) if fails_on_a_value(inner) => on_a_value(),
        D::ParquetError(_) | D::ArrowError(..) if message.contains("evaluating filter predicate") => on_a_value(),
        D::ParquetError(_) | D::ArrowError(..) => Error::Input(message),
        D::Context(_, inner) | D::Diagnostic(_, inner) => shared(inner),
        D::Shared(inner) => shared(inner),
        D::ResourcesExhausted(_) => Error::Resources(message),
        _ => Error::Bug(message),
    }
}

fn from_boxed(inner: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let inner = match inner.downcast::<Error>() {
        Ok(e) => return *e,
        Err(e) => e,
    };
    let inner = match inner.downcast::<object_store::Error>() {
        Ok(e) => return (*e).into(),
        Err(e) => e,
    };
    match inner.downcast::<datafusion::error::DataFusionError>() {
        Ok(e) => (*e).into(),
        Err(e) => Error::Input(e.to_string()),
    }
}

impl From<deltalake::DeltaTableError> for Error {
    fn from(e: deltalake::DeltaTableError) -> Self {
        use deltalake::DeltaTableError as T;
        match e {
            T::ObjectStore { source } => source.into(),
            T::Arrow { source } => source.into(),
            T::Parquet { source } => source.into(),
            T::NotATable(m) => Error::Input(m),
            e => io_cause(&e).unwrap_or_else(|| Error::Storage(e.to_string())),
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        Error::Bug(format!("tensor operation failed: {e}"))
    }
}
