//! Rows as a workbook: the sheet with a header that stays in sight, a sheet that explains it, and, where a cell cannot hold a
//! text, a sheet with its parts.
//!
//! A workbook is held in memory until it is saved.

use rust_xlsxwriter::{
    DataValidation, DocProperties, ExcelDateTime, Format, FormatAlign, Formula, Workbook, Worksheet, XlsxError,
};

use super::{Column, Holds, Layout};
use crate::error::{Error, Result};
use crate::review::inert::{inert, pieces};

/// Rows below the header that a sheet can have.
const MAX_ROWS: u32 = 1_048_575;
/// UTF-16 units that a cell can hold.
const MAX_UNITS: usize = 32_767;
/// The sheet that explains.
const HOW_TO: &str = "how to";
/// The sheet with the parts of texts that no cell can hold, and its columns: which text, and its parts in their order.
pub const LONG: &str = "long texts";
/// Behind this, at the end of a cell, is the number of a text of that sheet.
pub const GOES_ON: &str = "\\+";

pub(super) struct Book {
    sheet: Worksheet,
    rows: u32,
    long: Vec<(String, String)>,
    texts: u32,
}

impl Book {
    pub(super) fn new(layout: &Layout) -> Result<Book> {
        let mut sheet = Worksheet::new();
        sheet.set_name(&layout.title).map_err(of_xlsx)?;
        sheet.set_freeze_panes(1, layout.frozen).map_err(of_xlsx)?;
        let head = Format::new().set_bold().set_background_color(0xDDE6F0).set_align(FormatAlign::Top);
        let text = Format::new().set_num_format("@");
        for (column, n) in layout.columns.iter().zip(0u16..) {
            sheet.set_column_width(n, f64::from(column.width)).map_err(of_xlsx)?;
            if column.holds != Holds::Number {
                // What people enter stays as they enter it.
                sheet.set_column_format(n, &text).map_err(of_xlsx)?;
            }
            sheet.write_string_with_format(0, n, &column.name, &head).map_err(of_xlsx)?;
        }
        Ok(Book { sheet, rows: 0, long: Vec::new(), texts: 0 })
    }

    pub(super) fn row(&mut self, layout: &Layout, cells: &[Option<&str>]) -> Result<()> {
        if self.rows == MAX_ROWS {
            return Err(Error::Usage(format!(
                "an XLSX sheet holds {MAX_ROWS} rows; take fewer with --limit or --where, or write CSV or Parquet"
            )));
        }
        self.rows += 1;
        for ((column, cell), n) in layout.columns.iter().zip(cells).zip(0u16..) {
            let Some(cell) = cell else { continue };
            let number = cell.parse::<f64>().ok().filter(|x| column.holds == Holds::Number && x.is_finite());
            match number {
                Some(number) => self.sheet.write_number(self.rows, n, number).map_err(of_xlsx)?,
                None => {
                    let text = super::plain(column.holds, cell);
                    let whole = text.encode_utf16().count() <= MAX_UNITS;
                    let text = if whole { text.into_owned() } else { self.parts(cell) };
                    self.sheet.write_string(self.rows, n, text).map_err(of_xlsx)?
                }
            };
        }
        Ok(())
    }

    /// Puts a text into the sheet of long ones; what stands in its cell.
    fn parts(&mut self, text: &str) -> String {
        self.texts += 1;
        let number = self.texts.to_string();
        let ends = format!("{GOES_ON}{number}");
        let mut pieces = pieces(text, MAX_UNITS - ends.len()).into_iter();
        let first = pieces.next().unwrap_or_default();
        self.long.extend(pieces.map(|piece| (number.clone(), piece)));
        first + &ends
    }

    pub(super) fn save(mut self, layout: &Layout) -> Result<Vec<u8>> {
        let (how_to, lists) = explained(layout)?;
        let last = layout.columns.len().saturating_sub(1) as u16;
        self.sheet.autofilter(0, 0, self.rows, last).map_err(of_xlsx)?;
        for (column, list) in lists {
            let list = DataValidation::new().allow_list_formula(Formula::new(list));
            let below = self.rows.max(1);
            self.sheet.add_data_validation(1, column, below, column, &list).map_err(of_xlsx)?;
        }
        let mut book = Workbook::new();
        // The same rows are the same bytes, whenever they are written.
        let never = ExcelDateTime::from_ymd(2000, 1, 1).map_err(of_xlsx)?;
        book.set_properties(&DocProperties::new().set_creation_datetime(&never));
        book.push_worksheet(self.sheet);
        book.push_worksheet(how_to);
        if !self.long.is_empty() {
            let mut sheet = Worksheet::new();
            sheet.set_name(LONG).map_err(of_xlsx)?;
            sheet.write_string(0, 0, "text").map_err(of_xlsx)?;
            sheet.write_string(0, 1, "part").map_err(of_xlsx)?;
            for ((number, part), row) in self.long.iter().zip(1u32..) {
                sheet.write_string(row, 0, number).map_err(of_xlsx)?;
                sheet.write_string(row, 1, part).map_err(of_xlsx)?;
            }
            book.push_worksheet(sheet);
        }
        book.save_to_buffer().map_err(of_xlsx)
    }
}

/// The sheet that explains, and the list of each column that has choices.
fn explained(layout: &Layout) -> Result<(Worksheet, Vec<(u16, String)>)> {
    let mut sheet = Worksheet::new();
    sheet.set_name(HOW_TO).map_err(of_xlsx)?;
    sheet.set_column_width(0, 24.0).map_err(of_xlsx)?;
    sheet.set_column_width(1, 110.0).map_err(of_xlsx)?;
    let bold = Format::new().set_bold();
    let mut row = 0;
    for line in &layout.about {
        sheet.write_string(row, 0, line).map_err(of_xlsx)?;
        row += 1;
    }
    let pair = |sheet: &mut Worksheet, row: u32, name: &str, about: &str| -> Result<()> {
        sheet.write_string(row, 0, inert(name)).map_err(of_xlsx)?;
        sheet.write_string(row, 1, inert(about)).map_err(of_xlsx)?;
        Ok(())
    };
    row += 1;
    sheet.write_string_with_format(row, 0, "column", &bold).map_err(of_xlsx)?;
    for column in &layout.columns {
        row += 1;
        pair(&mut sheet, row, &column.name, &column.about)?;
    }
    let mut lists = Vec::new();
    let with_choices = |(column, _): &(&Column, u16)| !column.choices.is_empty();
    for (column, n) in layout.columns.iter().zip(0u16..).filter(with_choices) {
        row += 2;
        sheet.write_string_with_format(row, 0, &column.name, &bold).map_err(of_xlsx)?;
        let first = row + 1;
        for (value, about) in &column.choices {
            row += 1;
            pair(&mut sheet, row, value, about)?;
        }
        // Rows are counted from 1 in a formula.
        lists.push((n, format!("='{HOW_TO}'!$A${}:$A${}", first + 1, row + 1)));
    }
    Ok((sheet, lists))
}

fn of_xlsx(e: XlsxError) -> Error {
    match e {
        XlsxError::IoError(e) => e.into(),
        other => Error::Bug(format!("XLSX: {other}")),
    }
}
