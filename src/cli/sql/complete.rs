//! What Tab offers, and when Enter sends: an entry is sent when its last statement has its `;`, and a command at once.

use std::collections::BTreeSet;

use datafusion::prelude::SessionContext;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::describe;
use super::form::Form;
use super::meta::COMMANDS;
use super::script::Splitter;
use crate::error::Result;
use crate::sql::named;

const KEYWORDS: &[&str] = &[
    "ALL",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS",
    "CSV",
    "DELTA",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "EXTERNAL",
    "FALSE",
    "FIRST",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "JSON",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARQUET",
    "PARTITION",
    "PARTITIONED",
    "PREPARE",
    "SELECT",
    "SET",
    "SHOW",
    "STORED",
    "TABLE",
    "THEN",
    "UNION",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words after which a table stands.
const BEFORE_TABLES: [&str; 7] = ["FROM", "JOIN", "INTO", "TABLE", "VIEW", "DESCRIBE", "UPDATE"];

/// Names that Tab may offer.
pub(super) struct Vocabulary {
    /// Tables and views with their columns.
    tables: Vec<(String, Vec<String>)>,
    functions: Vec<String>,
}

impl Vocabulary {
    pub(super) async fn of(context: &SessionContext) -> Result<Vocabulary> {
        let tables = describe::tables(context).await?.into_iter().map(|table| {
            let columns = table.provider.schema().fields().iter().map(|field| field.name().clone()).collect();
            (table.name, columns)
        });
        let functions = describe::functions(context).into_iter().map(|function| function.name);
        Ok(Vocabulary { tables: tables.collect(), functions: functions.collect() })
    }

    fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Names for the last word of a text, and where that word begins; `after` is the rest of the statement.
    fn offer(&self, before: &str, after: &str) -> (usize, Vec<String>) {
        let start = before.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).map_or(0, |at| at + 1);
        let start = (start..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(before.len());
        let (head, word) = before.split_at(start);
        let words_of = |text: &'_ str| {
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<String>>()
        };
        let mut said = words_of(head);
        let last = said.last().map(|word| word.to_uppercase()).unwrap_or_default();
        said.extend(words_of(after));
        if let Some((qualifier, part)) = word.rsplit_once('.') {
            return (start + qualifier.len() + 1, starting(part, self.columns_of(qualifier, &said)));
        }
        if BEFORE_TABLES.contains(&last.as_str()) {
            return (start, starting(word, self.table_names()));
        }
        let mut words: BTreeSet<String> = starting(word, keywords(word)).into_iter().collect();
        words.extend(starting(word, self.functions.clone()));
        words.extend(starting(word, self.table_names()));
        let mentioned = |name: &String| said.contains(name);
        // Most write what they select before they write where from.
        let any = !self.tables.iter().any(|(name, _)| mentioned(name));
        for (_, columns) in self.tables.iter().filter(|(name, _)| any || mentioned(name)) {
            words.extend(starting(word, columns.clone()));
        }
        (start, words.into_iter().collect())
    }

    /// Columns of a table by its name or by what a statement calls it; of all, while nothing is called so.
    fn columns_of(&self, qualifier: &str, said: &[String]) -> Vec<String> {
        let called = |at: usize| match said.get(at + 1).map(|word| word.to_uppercase()) {
            Some(word) if word == "AS" => said.get(at + 2).map(String::as_str),
            Some(_) => said.get(at + 1).map(String::as_str),
            None => None,
        };
        let is_meant = |name: &str| {
            name == qualifier || said.iter().enumerate().any(|(at, word)| word == name && called(at) == Some(qualifier))
        };
        match self.tables.iter().find(|(name, _)| is_meant(name)) {
            Some((_, columns)) => columns.clone(),
            None => {
                let all: BTreeSet<&String> = self.tables.iter().flat_map(|(_, columns)| columns).collect();
                all.into_iter().cloned().collect()
            }
        }
    }

    /// Names for the last word of a command, and where that word begins. `None` where a file is meant.
    fn offer_in_command(&self, before: &str) -> Option<(usize, Vec<String>)> {
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let (head, word) = before.split_at(start);
        let said: Vec<&str> = head.split_whitespace().collect();
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
        let words = match &said[..] {
            [] => COMMANDS.iter().map(|(name, ..)| (*name).to_string()).collect(),
            ["\\d"] => self.table_names(),
            ["\\df"] => self.functions.clone(),
            ["\\format"] => Form::names().iter().map(|name| (*name).to_string()).collect(),
            ["\\timing" | "\\x"] => texts(&["on", "off"]),
            ["\\queries" | "\\run"] => named::list().iter().map(|query| query.name().to_string()).collect(),
            ["\\run", name, ..] => {
                let query = named::find(name).ok();
                query.iter().flat_map(|query| query.params()).map(|param| format!("{}=", param.name())).collect()
            }
            ["\\o" | "\\i"] => return None,
            _ => Vec::new(),
        };
        Some((start, starting(word, words)))
    }
}

/// Keywords, in small letters for somebody who writes so.
fn keywords(word: &str) -> Vec<String> {
    let small = word.chars().next().is_some_and(char::is_lowercase);
    KEYWORDS.iter().map(|word| if small { word.to_lowercase() } else { (*word).to_string() }).collect()
}

fn starting(part: &str, words: Vec<String>) -> Vec<String> {
    let part = part.to_lowercase();
    words.into_iter().filter(|word| word.to_lowercase().starts_with(&part)).collect()
}

/// What the editor asks.
pub(super) struct Assistant {
    vocabulary: Vocabulary,
    files: FilenameCompleter,
}

impl Assistant {
    pub(super) fn new(vocabulary: Vocabulary) -> Assistant {
        Assistant { vocabulary, files: FilenameCompleter::new() }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..pos];
        let found = if before.trim_start().starts_with('\\') {
            match self.vocabulary.offer_in_command(before) {
                Some(found) => found,
                None => return self.files.complete(line, pos, context),
            }
        } else {
            let mut splitter = Splitter::new();
            before.split_inclusive('\n').for_each(|line| drop(splitter.feed(line)));
            match splitter.is_in_words() {
                true => (pos, Vec::new()),
                false => self.vocabulary.offer(before, &line[pos..]),
            }
        };
        let pairs = found.1.into_iter().map(|word| Pair { display: word.clone(), replacement: word });
        Ok((found.0, pairs.collect()))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let mut splitter = Splitter::new();
        context.input().split_inclusive('\n').for_each(|line| drop(splitter.feed(line)));
        Ok(if splitter.is_open() { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let columns = |names: &str| names.split(' ').map(str::to_string).collect();
        Vocabulary {
            tables: vec![
                ("predictions".into(), columns("hs6 confidence run_id")),
                ("runs".into(), columns("run_id started_at")),
            ],
            functions: columns("hs_code hs_predict round"),
        }
    }

    #[test]
    fn tab_offers_what_can_stand_there() {
        let around = |before: &str, after: &str| {
            let (at, words) = vocabulary().offer(before, after);
            (before[at..].to_string(), words.join(" "))
        };
        let offered = |before: &str| around(before, "");
        assert_eq!(offered("SELECT * FROM pre"), ("pre".into(), "predictions".into()));
        assert_eq!(offered("SELECT * FROM "), (String::new(), "predictions runs".into()));
        assert_eq!(offered("SELECT hs_"), ("hs_".into(), "hs_code hs_predict".into()));
        assert_eq!(
            offered("SELECT p.r FROM predictions AS p WHERE p."),
            (String::new(), "hs6 confidence run_id".into())
        );
        assert_eq!(offered("SELECT 1 FROM runs r WHERE r.st"), ("st".into(), "started_at".into()));
        assert_eq!(offered("SELECT 1 FROM runs WHERE star"), ("star".into(), "started_at".into()));
        // While it is not said from where, it may be any of them; what follows the cursor says it too.
        assert_eq!(offered("SELECT star"), ("star".into(), "started_at".into()));
        assert_eq!(offered("SELECT p.star"), ("star".into(), "started_at".into()));
        assert_eq!(around("SELECT star", " FROM predictions"), ("star".into(), String::new()));
        assert_eq!(around("SELECT p.run", ", 1 FROM predictions AS p"), ("run".into(), "run_id".into()));
        assert_eq!(around("SELECT p.star", ", 1 FROM predictions AS p"), ("star".into(), String::new()));
        assert_eq!(offered("sel"), ("sel".into(), "select".into()));
        assert_eq!(offered("SELECT 'é"), (String::from("é"), String::new()));
    }

    #[test]
    fn tab_in_a_command_offers_its_arguments() {
        let offered = |before: &str| vocabulary().offer_in_command(before).map(|(_, words)| words.join(" "));
        assert_eq!(offered("\\ti").as_deref(), Some("\\timing"));
        assert_eq!(offered("\\d ru").as_deref(), Some("runs"));
        assert_eq!(offered("\\format n").as_deref(), Some("ndjson"));
        assert_eq!(offered("\\o /t"), None);
        assert!(offered("\\run cov").unwrap().contains("coverage_by_chapter"));
    }
}
