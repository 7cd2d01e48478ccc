//! CSV as spreadsheet programs save it: UTF-8 with or without a mark, UTF-16, with commas, semicolons or tabs.

use super::{Row, Wanted, is_header, places};
use crate::error::{Error, Result};
use crate::review::cell::Cell;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(super) fn read(bytes: &[u8], wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let text = decoded(bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // Some programs say the delimiter in a line of its own.
    let text = match text.get(..4) {
        Some(sep) if sep.eq_ignore_ascii_case("sep=") => text.split_once('\n').map_or("", |(_, rest)| rest),
        _ => text,
    };
    let header = |delimiter: u8| -> Vec<String> {
        let first = reader(text, delimiter).records().next();
        first.and_then(|record| record.ok()).map(|r| r.iter().map(str::to_string).collect()).unwrap_or_default()
    };
    let delimiter = DELIMITERS.into_iter().find(|d| is_header(&header(*d), wanted)).unwrap_or(b',');
    let places = places(&header(delimiter), wanted)?;
    for (record, row) in reader(text, delimiter).records().zip(1u64..).skip(1) {
        let record = record.map_err(|e| Error::Input(format!("row {row}: {e}")))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let cell = |at: &Option<usize>| at.and_then(|at| record.get(at)).map_or(Cell::Empty, Cell::of_text);
        each((row, places.iter().map(cell).collect()))?;
    }
    Ok(())
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes())
}

fn decoded(bytes: &[u8]) -> Result<String> {
    let little = match bytes {
        [0xff, 0xfe, ..] => Some(true),
        [0xfe, 0xff, ..] => Some(false),
        // A header in Latin letters without a mark.
        [first, 0, _, 0, ..] if *first != 0 => Some(true),
        [0, first, 0, _, ..] if *first != 0 => Some(false),
        _ => None,
    };
    let bad = || Error::Input("it is neither UTF-8 nor UTF-16; save it as \"CSV UTF-8\", or as XLSX".into());
    let Some(little) = little else {
        return String::from_utf8(bytes.to_vec()).map_err(|_| bad());
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad());
    }
    let units = pairs.iter().map(|pair| if little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) });
    char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| bad())
}
