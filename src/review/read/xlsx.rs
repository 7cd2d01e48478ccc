//! Workbooks as spreadsheet programs save them: texts, numbers, days, and texts in parts on a sheet of their own.

use std::collections::HashMap;
use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx, XlsxError};
use chrono::NaiveDate;

use super::{Row, Wanted, is_header, places};
use crate::error::{Error, Result};
use crate::review::cell::Cell;
use crate::review::inert::restored;
use crate::review::sheet::{GOES_ON, LONG};

type Book<'a> = Xlsx<Cursor<&'a [u8]>>;

pub(super) fn read(bytes: &[u8], wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let mut book: Book = Xlsx::new(Cursor::new(bytes)).map_err(broken)?;
    let names = book.sheet_names();
    let parts = if names.iter().any(|name| name == LONG) { parts(&mut book)? } else { HashMap::new() };
    let mut first = None;
    for name in &names {
        let header = header(&mut book, name)?;
        if is_header(&header, wanted) {
            let places = places(&header, wanted)?;
            return sheet(&mut book, name, &places, &parts, each);
        }
        first.get_or_insert(header);
    }
    // Says what the first sheet lacks.
    places(&first.unwrap_or_default(), wanted).map(|_| ())
}

/// The cells of the first row.
fn header(book: &mut Book<'_>, name: &str) -> Result<Vec<String>> {
    let mut cells = match book.worksheet_cells_reader(name) {
        Ok(cells) => cells,
        // A chart, or a sheet without cells.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(Vec::new()),
        Err(e) => return Err(broken(e)),
    };
    let mut header = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (row, column) = cell.get_position();
        if row > 0 {
            break;
        }
        if header.len() <= column as usize {
            header.resize(column as usize + 1, String::new());
        }
        if let Some(place) = header.get_mut(column as usize) {
            *place = value(cell.get_value(), &HashMap::new()).shown().into_owned();
        }
    }
    Ok(header)
}

fn sheet(
    book: &mut Book<'_>,
    name: &str,
    places: &[Option<usize>],
    parts: &HashMap<String, String>,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    // From a column of the sheet to that of the row.
    let mut of_column: HashMap<u32, usize> = HashMap::new();
    for (n, place) in places.iter().enumerate() {
        of_column.extend(place.map(|place| (place as u32, n)));
    }
    let mut cells = book.worksheet_cells_reader(name).map_err(broken)?;
    let (mut at, mut row) = (0, vec![Cell::Empty; places.len()]);
    let mut give = |at: u32, row: &mut Vec<Cell>| -> Result<()> {
        let done = std::mem::replace(row, vec![Cell::Empty; places.len()]);
        if at == 0 || done.iter().all(|cell| *cell == Cell::Empty) {
            return Ok(());
        }
        each((u64::from(at) + 1, done))
    };
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (of_row, column) = cell.get_position();
        if of_row != at {
            give(at, &mut row)?;
            at = of_row;
        }
        if let Some(n) = of_column.get(&column) {
            row[*n] = value(cell.get_value(), parts);
        }
    }
    give(at, &mut row)
}

/// Texts that no cell can hold, from their second part on, by their number.
fn parts(book: &mut Book<'_>) -> Result<HashMap<String, String>> {
    let mut cells = book.worksheet_cells_reader(LONG).map_err(broken)?;
    let (mut parts, mut number): (HashMap<String, String>, _) = (HashMap::new(), String::new());
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let text = value(cell.get_value(), &HashMap::new());
        match cell.get_position() {
            (0, _) => {}
            (_, 0) => number = text.shown().into_owned(),
            (_, 1) => parts.entry(number.clone()).or_default().push_str(&text.shown()),
            _ => {}
        }
    }
    Ok(parts)
}

fn value(cell: &DataRef<'_>, parts: &HashMap<String, String>) -> Cell {
    match cell {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(number) => Cell::Number(*number as f64),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::Bool(flag) => Cell::Flag(*flag),
        DataRef::String(text) => whole(text, parts),
        DataRef::SharedString(text) => whole(text, parts),
        DataRef::DateTime(day) => of_day(day),
        // As a text it is read as a day where a day can stand.
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::Text(text.clone()),
        DataRef::Error(error) => Cell::Text(error.to_string()),
    }
}

/// The text of a cell, with its parts where it goes on elsewhere.
fn whole(text: &str, parts: &HashMap<String, String>) -> Cell {
    if let Some((first, number)) = text.rsplit_once(GOES_ON)
        && text.starts_with('\'')
        // A backslash that is written twice is one of the text.
        && first.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0
        && let Some(rest) = parts.get(number)
    {
        return Cell::Text(restored(first).into_owned() + rest);
    }
    Cell::of_text(text)
}

fn of_day(day: &ExcelDateTime) -> Cell {
    let (year, month, of_month, ..) = day.to_ymd_hms_milli();
    match NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(of_month)) {
        Some(date) => Cell::Day(date, day.as_f64()),
        None => Cell::Number(day.as_f64()),
    }
}

fn broken(e: XlsxError) -> Error {
    Error::Input(format!("it cannot be read as XLSX: {e}; open it and save it again"))
}
