//! The rows of a nomenclature file, checked one by one and against each other.
//!
//! CSV with a header, in any order of rows and columns. Codes are text and are never repaired: what is damaged is refused
//! with its line. `999999`, which is not part of the Harmonized System, is left out.

use std::collections::HashMap;

use csv::StringRecord;

use crate::error::{Error, Result};

/// Columns that a nomenclature file must have; others may stand beside them.
const COLUMNS: [&str; 5] = ["hs_code", "level", "parent", "section", "description"];

/// "Not specified according to kind": a code of trade statistics that is not part of the Harmonized System.
pub(super) const NOT_SPECIFIED: &str = "999999";

/// One code in one language.
pub(super) struct Row {
    pub code: String,
    pub language: String,
    pub section: String,
    /// In one line.
    pub description: String,
}

/// Reads and checks all rows; `language` is that of rows that state none, `longest` the digits of the longest code.
///
/// # Errors
/// `Input` with the file, the line (counted from 1, the header included) and the next step: a missing column, a code of
/// another length than 2, 4, 6 … digits, a level that is not that length, a parent that is not the start of the code or has
/// no row, a code twice in one language.
pub(super) fn read_rows(bytes: &[u8], longest: usize, language: &str, source: &str) -> Result<Vec<Row>> {
    let refuse = |line: u64, what: String| Error::Input(format!("{source}, line {line}: {what}"));
    let mut reader = csv::Reader::from_reader(without_mark(bytes));
    let header = reader.headers().map_err(|e| refuse(1, unreadable(&e)))?;
    let places = places(header).map_err(|what| refuse(1, what))?;
    let language_at = header.iter().position(|h| h.trim() == "language");

    let mut line_of: HashMap<(String, String), u64> = HashMap::new();
    let mut parents: Vec<(u64, String)> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| refuse(e.position().map_or(0, csv::Position::line), unreadable(&e)))?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().trim();
        let [code, level, parent, section, description] = places.map(field);
        if code == NOT_SPECIFIED {
            continue;
        }
        check_row(code, level, parent, longest).map_err(|what| refuse(line, what))?;
        let stated = language_at.map(field).filter(|stated| !stated.is_empty()).unwrap_or(language);
        if let Some(first) = line_of.insert((code.into(), stated.into()), line) {
            return Err(refuse(line, format!("code {code} was already on line {first}; keep one of them")));
        }
        if !parent.is_empty() {
            parents.push((line, parent.to_string()));
        }
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.push(Row { code: code.into(), language: stated.into(), section: section.into(), description });
    }
    let codes: std::collections::HashSet<&str> = rows.iter().map(|row| row.code.as_str()).collect();
    match parents.iter().find(|(_, parent)| !codes.contains(parent.as_str())) {
        Some((line, parent)) => {
            Err(refuse(*line, format!("parent {parent} has no row of its own; add it or take the whole file")))
        }
        None => Ok(rows),
    }
}

/// A file without the mark that some programs put before UTF-8.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Where [`COLUMNS`] stand in the header.
fn places(header: &StringRecord) -> Result<[usize; 5], String> {
    let place = |name: &str| header.iter().position(|h| h.trim() == name);
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|name| place(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(COLUMNS.map(|name| place(name).unwrap_or_default()));
    }
    Err(format!("column {} is missing; the header must be {}", missing.join(", "), COLUMNS.join(",")))
}

/// What one row says by itself; whether its parent has a row is only known at the end.
fn check_row(code: &str, level: &str, parent: &str, longest: usize) -> Result<(), String> {
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("code {code:?} is not digits alone; write it without dots, spaces and letters"));
    }
    if code.len() > longest {
        let allowed = if longest == 6 { "2, 4 and 6" } else { "2, 4, 6, 8 and 10" };
        return Err(format!("code {code} has {} digits; keep rows of {allowed} digits only", code.len()));
    }
    if !code.len().is_multiple_of(2) {
        return Err(format!("code {code} has lost its leading zero; export the column hs_code as text, not number"));
    }
    if level != code.len().to_string() {
        return Err(format!("level {level:?} of code {code} must be {}, the number of its digits", code.len()));
    }
    let above = &code[..code.len() - 2];
    if parent != above {
        return Err(format!("parent {parent:?} of code {code} must be {above:?}; export the column parent as text"));
    }
    Ok(())
}

/// Why a line of CSV cannot be read, and the next step.
pub(super) fn unreadable(e: &csv::Error) -> String {
    match e.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8; save the file as CSV UTF-8".to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields where the header has {expected_len}; quote fields that hold commas")
        }
        _ => format!("{e}; save the file as CSV with commas and double quotes"),
    }
}
