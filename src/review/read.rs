//! Files that people filled in, read row by row, whatever program saved them: CSV, XLSX, Parquet, JSON of Label Studio.
//!
//! What a file is, its first bytes say, not its name. Columns are found by their names, in any order; others are passed over.
//! Refuses, naming the file and the next step: what is none of these, and a file that lacks a column that is needed.

mod csv;
mod label_studio;
mod parquet;
mod xlsx;

use std::path::Path;

use super::cell::Cell;
use crate::error::{Context, Error, Result};

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// The columns that are read of a file.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Their names.
    pub columns: &'a [&'a str],
    /// Those that must be there, of these.
    pub needed: &'a [&'a str],
}

/// A row: its number as the program shows it, the header being 1, and the cells of the wanted columns in their order.
pub type Row = (u64, Vec<Cell>);

/// Reads a file row by row.
///
/// # Errors
/// `Input` when it cannot be read as what it is, or lacks a column; what the disk says; what `each` gives.
pub fn rows(file: &Path, wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let named = || file.display().to_string();
    let size = std::fs::metadata(file).context(named)?.len();
    if size > MAX_BYTES {
        return Err(Error::Input(format!("{}: {size} bytes, at most {MAX_BYTES} are read; split it", named())));
    }
    let bytes = std::fs::read(file).context(named)?;
    let read = match form(&bytes) {
        Found::Xlsx => xlsx::read(&bytes, wanted, each),
        Found::Parquet => parquet::read(bytes.into(), wanted, each),
        Found::Json => label_studio::read(&bytes, wanted, each),
        Found::Csv => csv::read(&bytes, wanted, each),
        Found::Other(what) => Err(Error::Input(format!("it is {what}; save it as XLSX or CSV UTF-8"))),
    };
    read.context(named)
}

enum Found {
    Xlsx,
    Parquet,
    Json,
    Csv,
    Other(&'static str),
}

fn form(bytes: &[u8]) -> Found {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match bytes {
        [b'P', b'K', 3, 4, ..] if bytes.get(30..38) == Some(b"mimetype") => Found::Other("an OpenDocument file"),
        [b'P', b'K', 3, 4, ..] => Found::Xlsx,
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Found::Other("an old Excel file, or one with a password"),
        [b'P', b'A', b'R', b'1', ..] => Found::Parquet,
        _ => match text.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'[' | b'{') => Found::Json,
            _ => Found::Csv,
        },
    }
}

/// Where the wanted columns are in a header.
///
/// # Errors
/// `Input` when one is missing that is needed, or one is there twice.
fn places(header: &[String], wanted: Wanted<'_>) -> Result<Vec<Option<usize>>> {
    let at = |name: &str| {
        let mut found = header.iter().enumerate().filter(|(_, cell)| cell.trim().eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Error::Input(format!("the column {name} is there twice"))),
            (first, _) => Ok(first.map(|(at, _)| at)),
        }
    };
    let missing: Vec<&str> = wanted.needed.iter().filter(|name| matches!(at(name), Ok(None))).copied().collect();
    if !missing.is_empty() {
        return Err(Error::Input(format!(
            "there is no column {}; give a file that `harmonize review export` wrote, with its header",
            missing.join(", ")
        )));
    }
    wanted.columns.iter().map(|name| at(name)).collect()
}

/// Whether a header has every column that is needed.
fn is_header(header: &[String], wanted: Wanted<'_>) -> bool {
    wanted.needed.iter().all(|name| header.iter().any(|cell| cell.trim().eq_ignore_ascii_case(name)))
}
