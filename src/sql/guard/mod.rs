//! What a statement may do: decided by its class, and once more by the plan that became of it.
//!
//! A statement passes if both halves pass. What is not known to be harmless is refused. The tables of the lake are written by
//! the program's own commands alone, whatever the class; nothing is written below a protected place. A guard never changes:
//! there is no statement that gives a session more than it began with.

mod options;
mod plan;
mod statement;

use datafusion::common::TableReference;

use super::VIEWS;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::Place;

/// What statements a session may run. Each class may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Queries, and questions about tables.
    ReadOnly,
    /// What lives and ends with the session: views, external tables for reading, prepared statements, harmless settings.
    SessionObjects,
    /// `COPY … TO`, tables of the session and rows in them.
    Write,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Guard {
    class: Class,
    safe: bool,
    schemas: Option<Vec<String>>,
    protected: Vec<Place>,
    threads: usize,
}

impl Guard {
    /// Statements of a class, with files, in every schema.
    pub fn new(class: Class) -> Guard {
        Guard { class, safe: false, schemas: None, protected: Vec::new(), threads: usize::MAX }
    }

    /// No files and no URLs: nothing beyond what the session was opened with.
    pub fn safe(mut self, safe: bool) -> Guard {
        self.safe = safe;
        self
    }

    /// Only these schemas may be named. A bare name means the session's default schema, which should be one of them; those of
    /// the catalog (`information_schema`, `pg_catalog`) count as any other.
    pub fn only_schemas(mut self, schemas: Vec<String>) -> Guard {
        self.schemas = Some(schemas);
        self
    }

    /// Nothing is written below these places: the lake and the registry.
    pub fn protecting(mut self, places: Vec<Place>) -> Guard {
        self.protected = places;
        self
    }

    /// `target_partitions` can be set to at most this.
    pub fn threads_at_most(mut self, threads: usize) -> Guard {
        self.threads = threads;
        self
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Whether files and URLs are out of reach.
    pub fn is_safe(&self) -> bool {
        self.safe
    }

    /// Refuses what the class does not have.
    fn needs(&self, class: Class, what: &str) -> Result<()> {
        match class {
            _ if class <= self.class => Ok(()),
            Class::Write => {
                refuse(format!("{what} writes, and this session is read-only: allow it with --allow-write"))
            }
            _ => refuse(format!("{what} is not allowed here: this session answers queries only")),
        }
    }

    /// Refuses files and URLs in a safe session.
    fn needs_files(&self, what: &str) -> Result<()> {
        match self.safe {
            false => Ok(()),
            true => refuse(format!("{what} is not allowed: --safe keeps files and URLs beyond the lake out of reach")),
        }
    }
}

/// The schema that bare names mean.
const DEFAULT_SCHEMA: &str = "public";

/// Whether a name is that of a table or view of the lake.
fn is_of_the_lake(name: &TableReference) -> bool {
    let of_the_lake = |table: &str| {
        Contract::ALL.iter().any(|contract| contract.table() == table) || VIEWS.iter().any(|(view, _)| *view == table)
    };
    name.schema().is_none_or(|schema| schema == DEFAULT_SCHEMA) && of_the_lake(name.table())
}

fn refuse<T>(why: String) -> Result<T> {
    Err(Error::Usage(why))
}
