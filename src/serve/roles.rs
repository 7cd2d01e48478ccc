//! What a role may do, and how much of the machine it may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

/// What a user is. Each may do what those before it may; none may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads tables and views.
    Reader,
    /// Predicts too.
    Analyst,
    /// Has the largest limits, and no bound on patterns.
    Operator,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Reader, Role::Analyst, Role::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Analyst => "analyst",
            Role::Operator => "operator",
        }
    }

    /// Whether the functions that score a text are there.
    pub fn predicts(self) -> bool {
        self > Role::Reader
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Role> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| Error::Usage(format!("{text:?} is no role; the roles are reader, analyst and operator")))
    }
}

/// Bounds for each statement of a role, and for what its users do at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLimits {
    /// Longest time from the start of a statement to its last row.
    pub time: Duration,
    /// What the operators of one statement may hold, in bytes.
    pub memory_bytes: usize,
    /// What one statement may put aside on disk, in bytes.
    pub spill_bytes: u64,
    /// Rows of one answer.
    pub rows: u64,
    /// Statements of one user that run at once; more wait.
    pub statements: usize,
    /// Open connections of one user.
    pub connections: usize,
    /// Length of a statement, in bytes.
    pub statement_bytes: usize,
    /// Operators, brackets and set operations that lie within each other.
    pub depth: usize,
    /// Brackets that lie within each other, those of calls and subqueries among them.
    pub brackets: usize,
    /// Terms of one list.
    pub list_terms: usize,
    /// Length of a pattern, in bytes; a bounded one is written out in the statement.
    pub pattern_bytes: Option<usize>,
    /// Schemas whose tables may be named.
    pub schemas: Vec<String>,
}

impl RoleLimits {
    /// Those of a role where nothing else is said. `memory_bytes` is what all statements have together.
    pub fn of(role: Role, memory_bytes: usize) -> RoleLimits {
        let (seconds, share, rows, statements) = match role {
            Role::Reader => (30, 4, 1_000_000, 2),
            Role::Analyst => (300, 2, 10_000_000, 4),
            Role::Operator => (3_600, 1, u64::MAX, 8),
        };
        RoleLimits {
            time: Duration::from_secs(seconds),
            memory_bytes: memory_bytes / share,
            spill_bytes: 1 << 30,
            rows,
            statements,
            connections: 100,
            statement_bytes: 256 << 10,
            depth: 1_000,
            brackets: 16,
            list_terms: 10_000,
            pattern_bytes: Some(1_000).filter(|_| role < Role::Operator),
            schemas: ["public", "information_schema", "pg_catalog"].map(String::from).into(),
        }
    }
}

/// The limits of every role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles([RoleLimits; 3]);

impl Roles {
    /// Those where nothing else is said.
    pub fn new(memory_bytes: usize) -> Roles {
        Roles(Role::ALL.map(|role| RoleLimits::of(role, memory_bytes)))
    }

    /// Those of a file, in TOML, one section a role; what it does not say stays.
    ///
    /// # Errors
    /// `Usage` for what is no limit. `memory` reads a size such as `256MiB`.
    pub fn parse(text: &str, memory_bytes: usize, memory: fn(&str, &str) -> Result<usize>) -> Result<Roles> {
        let file: File = toml::from_str(text).map_err(|e| Error::Usage(e.to_string()))?;
        let mut roles = Roles::new(memory_bytes);
        for (role, said) in Role::ALL.into_iter().zip([file.reader, file.analyst, file.operator]) {
            said.apply(role, &mut roles.0[role as usize], memory_bytes, memory)?;
        }
        Ok(roles)
    }

    pub fn limits(&self, role: Role) -> &RoleLimits {
        &self.0[role as usize]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reader: Said,
    #[serde(default)]
    analyst: Said,
    #[serde(default)]
    operator: Said,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Said {
    seconds: Option<u64>,
    memory: Option<String>,
    spill: Option<String>,
    rows: Option<u64>,
    statements: Option<usize>,
    connections: Option<usize>,
    statement_bytes: Option<usize>,
    depth: Option<usize>,
    brackets: Option<usize>,
    list_terms: Option<usize>,
    pattern_bytes: Option<usize>,
    schemas: Option<Vec<String>>,
}

impl Said {
    fn apply(
        self,
        role: Role,
        limits: &mut RoleLimits,
        total: usize,
        size: fn(&str, &str) -> Result<usize>,
    ) -> Result<()> {
        let bad = |what: &str| Error::Usage(format!("[{role}] {what}"));
        fn set<T>(limit: &mut T, said: Option<T>) {
            if let Some(said) = said {
                *limit = said;
            }
        }
        set(&mut limits.time, self.seconds.map(Duration::from_secs));
        if let Some(memory) = self.memory {
            limits.memory_bytes = size(&memory, "memory")?;
        }
        if let Some(spill) = self.spill {
            limits.spill_bytes = size(&spill, "spill")? as u64;
        }
        set(&mut limits.rows, self.rows);
        set(&mut limits.statements, self.statements);
        set(&mut limits.connections, self.connections);
        set(&mut limits.statement_bytes, self.statement_bytes);
        set(&mut limits.depth, self.depth);
        set(&mut limits.brackets, self.brackets);
        set(&mut limits.list_terms, self.list_terms);
        if self.pattern_bytes.is_some() {
            limits.pattern_bytes = self.pattern_bytes;
        }
        set(&mut limits.schemas, self.schemas);
        if limits.memory_bytes > total {
            return Err(bad(&format!(
                "memory is more than all statements have together, {total} bytes: raise --memory"
            )));
        }
        if limits.time.is_zero() || limits.time > Duration::from_secs(7 * 86_400) {
            return Err(bad("seconds: give from 1 to 604800"));
        }
        // What is below is recursive at places, on stacks of a known size.
        if limits.depth > 2_000 {
            return Err(bad("depth: give at most 2000"));
        }
        // Parser and planner take twice as long for some things with each bracket around them.
        if limits.brackets > 24 {
            return Err(bad("brackets: give at most 24"));
        }
        if limits.statement_bytes > 8 << 20 {
            return Err(bad("statement-bytes: give at most 8388608"));
        }
        let named = [
            limits.statements,
            limits.connections,
            limits.statement_bytes,
            limits.depth,
            limits.brackets,
            limits.list_terms,
        ];
        if named.contains(&0) || limits.rows == 0 || limits.schemas.is_empty() {
            return Err(bad("a limit of 0 would refuse everything: remove the user instead"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str, _: &str) -> Result<usize> {
        text.strip_suffix("MiB")
            .and_then(|n| n.parse::<usize>().ok())
            .map(|n| n << 20)
            .ok_or(Error::Usage("size".into()))
    }

    #[test]
    fn a_file_changes_what_it_names_and_leaves_the_rest() {
        let text = "[reader]\nseconds = 5\nmemory = \"64MiB\"\nschemas = [\"public\"]\n[operator]\npattern-bytes = 9\n";
        let roles = Roles::parse(text, 1 << 30, size).unwrap();
        let reader = roles.limits(Role::Reader);
        assert_eq!((reader.time, reader.memory_bytes), (Duration::from_secs(5), 64 << 20));
        assert_eq!(reader.schemas, ["public"]);
        assert_eq!(reader.rows, RoleLimits::of(Role::Reader, 1 << 30).rows);
        assert_eq!(roles.limits(Role::Operator).pattern_bytes, Some(9));
        assert_eq!(roles.limits(Role::Analyst), &RoleLimits::of(Role::Analyst, 1 << 30));
        for bad in [
            "[writer]\n",
            "[reader]\nsecond = 1\n",
            "[reader]\nseconds = 0\n",
            "[reader]\nmemory = \"2048MiB\"\n",
            "[reader]\ndepth = 100000\n",
            "[reader]\nbrackets = 40\n",
            "[reader]\nbrackets = 0\n",
            "[reader]\nrows = 0\n",
        ] {
            assert_eq!(Roles::parse(bad, 1 << 30, size).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
