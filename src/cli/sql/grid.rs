//! Rows as a table for people, printed while they come.
//!
//! The first rows are kept to see how wide the columns are; the frame is the one that arrow prints. A later cell that is wider
//! stands out. Control characters never reach a terminal.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::Result;

/// Rows that decide the widths.
const LOOKED_AT: usize = 1_000;
/// Text that may wait meanwhile, in bytes.
const WAITING_BYTES: usize = 8 << 20;

/// Lines of a cell.
type Cell = Vec<String>;

/// See the module.
pub(super) struct Grid<W> {
    out: W,
    names: Vec<Cell>,
    /// Known once printing has begun.
    widths: Option<Vec<usize>>,
    waiting: Vec<Vec<Cell>>,
    waiting_bytes: usize,
    /// One line a field in place of one a row.
    expanded: bool,
    rows: u64,
}

impl<W: Write> Grid<W> {
    pub(super) fn new(out: W, schema: &SchemaRef, expanded: bool) -> Grid<W> {
        let names = schema.fields().iter().map(|field| cell(field.name())).collect();
        Grid { out, names, widths: None, waiting: Vec::new(), waiting_bytes: 0, expanded, rows: 0 }
    }

    /// Whether so many more rows would only be kept.
    pub(super) fn waits_for(&self, more: usize) -> bool {
        !self.expanded && self.widths.is_none() && self.waiting.len() + more < LOOKED_AT
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default().with_display_error(true);
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<Cell> = columns.iter().map(|column| cell(&column.value(row).to_string())).collect();
            self.rows += 1;
            match &self.widths {
                _ if self.expanded => self.record(&cells)?,
                Some(widths) => line(&mut self.out, &cells, widths)?,
                None => {
                    self.waiting_bytes += cells.iter().flatten().map(String::len).sum::<usize>();
                    self.waiting.push(cells);
                    if self.waiting.len() >= LOOKED_AT || self.waiting_bytes >= WAITING_BYTES {
                        self.begin()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Prints what waits and the end of the frame.
    pub(super) fn finish(mut self) -> Result<()> {
        if !self.expanded {
            if self.widths.is_none() {
                self.begin()?;
            }
            if let Some(widths) = &self.widths {
                rule(&mut self.out, widths)?;
            }
        }
        Ok(self.out.flush()?)
    }

    fn begin(&mut self) -> Result<()> {
        let mut widths: Vec<usize> = self.names.iter().map(width_of).collect();
        for cells in &self.waiting {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(width_of(cell));
            }
        }
        rule(&mut self.out, &widths)?;
        line(&mut self.out, &self.names, &widths)?;
        rule(&mut self.out, &widths)?;
        for cells in std::mem::take(&mut self.waiting) {
            line(&mut self.out, &cells, &widths)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn record(&mut self, cells: &[Cell]) -> Result<()> {
        writeln!(self.out, "-[ {} ]{}", self.rows, "-".repeat(20))?;
        let name_width = self.names.iter().map(width_of).max().unwrap_or(0);
        for (name, cell) in self.names.iter().zip(cells) {
            for (at, text) in cell.iter().enumerate() {
                let name = if at == 0 { name.concat() } else { String::new() };
                writeln!(self.out, "{name}{} | {text}", " ".repeat(name_width.saturating_sub(width(&name))))?;
            }
        }
        Ok(())
    }
}

fn rule(out: &mut impl Write, widths: &[usize]) -> Result<()> {
    for width in widths {
        write!(out, "+{}", "-".repeat(width + 2))?;
    }
    Ok(writeln!(out, "+")?)
}

fn line(out: &mut impl Write, cells: &[Cell], widths: &[usize]) -> Result<()> {
    for at in 0..cells.iter().map(Vec::len).max().unwrap_or(1) {
        for (cell, wanted) in cells.iter().zip(widths) {
            let text = cell.get(at).map_or("", String::as_str);
            write!(out, "| {text}{} ", " ".repeat(wanted.saturating_sub(width(text))))?;
        }
        writeln!(out, "|")?;
    }
    Ok(())
}

/// The lines of a text, of which no character can steer a terminal.
fn cell(text: &str) -> Cell {
    let shown = |line: &str| line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    text.split('\n').map(|line| shown(line.strip_suffix('\r').unwrap_or(line))).collect()
}

fn width_of(cell: &Cell) -> usize {
    cell.iter().map(|line| width(line)).max().unwrap_or(0)
}

/// Cells of a terminal that a text takes.
fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars()
        .map(|c| if unicode_normalization::char::is_combining_mark(c) { 0 } else { 1 + usize::from(is_wide(c)) })
        .sum()
}

/// Whether a character takes two cells: the blocks of East Asian scripts and of pictures (Unicode, annex 11).
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float32Array, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let text = rows.clone().map(|n| (n % 3 > 0).then(|| format!("棉衬衫 é{n}")));
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("n", Arc::new(rows.clone().collect::<Int64Array>()), false),
            ("what it is", Arc::new(text.collect::<StringArray>()), true),
            ("share", Arc::new(rows.clone().map(|n| n as f32 / 3.0).collect::<Float32Array>()), true),
            ("list", Arc::new(rows.map(|n| Some(vec![Some(n as i32), None])).collect::<ListArrayOf>().0), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    struct ListArrayOf(ListArray);

    impl FromIterator<Option<Vec<Option<i32>>>> for ListArrayOf {
        fn from_iter<T: IntoIterator<Item = Option<Vec<Option<i32>>>>>(iter: T) -> Self {
            ListArrayOf(ListArray::from_iter_primitive::<Int32Type, _, _>(iter))
        }
    }

    fn printed(batches: &[RecordBatch], expanded: bool) -> String {
        let mut out = Vec::new();
        let mut grid = Grid::new(&mut out, &batches[0].schema(), expanded);
        for batch in batches {
            grid.write(batch).unwrap();
        }
        grid.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_looks_as_arrow_prints_it() {
        for rows in [0, 1, 7, 999] {
            let batches = [batch(0..rows)];
            let by_arrow = arrow::util::pretty::pretty_format_batches(&batches).unwrap();
            assert_eq!(printed(&batches, false).trim_end(), by_arrow.to_string(), "{rows} rows");
        }
    }

    #[test]
    fn of_many_rows_the_first_decide_the_widths() {
        let out = printed(&[batch(0..600), batch(600..5_000)], false);
        assert_eq!(out.lines().count(), 5_000 + 4);
        assert!(out.contains("| 4999 |"));
    }

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a\x1b[2Jb\tc\r\nd\u{9b}"]));
        let out = printed(&[RecordBatch::try_from_iter([("t", text)]).unwrap()], false);
        assert_eq!(out.lines().nth(3).unwrap(), "| a\u{fffd}[2Jb\u{fffd}c |");
        assert_eq!(out.lines().nth(4).unwrap(), "| d\u{fffd}       |");
        assert!(printed(&[batch(0..2)], true).contains("what it is | 棉衬衫 é1\n"));
    }
}
