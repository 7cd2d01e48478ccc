//! Facts and figures as aligned rows of text and as Markdown, and how numbers and shares are written.

use super::evaluate::Share;

/// Rows of text in three columns: name, right-aligned value, note.
#[derive(Default)]
pub struct Table(Vec<[String; 3]>);

impl Table {
    /// A number, with a note when it is not 0.
    pub fn fact(&mut self, name: &str, value: usize, note: &str) {
        // A share of nothing tells nothing.
        self.row(name, &thousands(value), if value == 0 { "" } else { note });
    }

    /// A number and its share of another.
    pub fn share(&mut self, name: &str, part: usize, (of, whole): (&str, usize)) {
        self.fact(name, part, &format!("{} of {of}", percent(ratio(part, whole))));
    }

    /// A row as it is.
    pub fn row(&mut self, name: &str, value: &str, note: &str) {
        self.0.push([name.to_string(), value.to_string(), note.to_string()]);
    }

    /// The rows of another table behind these.
    pub fn append(&mut self, other: Table) {
        self.0.extend(other.0);
    }

    /// Name, value, note.
    pub fn rows(&self) -> impl Iterator<Item = &[String; 3]> {
        self.0.iter()
    }

    /// Aligned.
    pub fn lines(&self) -> Vec<String> {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (names, values) = (width(0), width(1));
        let line = |[name, value, note]: &[String; 3]| format!("{name:names$}  {value:>values$}  {note}");
        self.0.iter().map(|row| line(row).trim_end().to_string()).collect()
    }
}

/// Rows of cells under a header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// Name of each column.
    pub header: Vec<String>,
    /// As many cells each.
    pub rows: Vec<Vec<Cell>>,
}

/// What stands in one place of a grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words, aligned to the left.
    Words(String),
    /// A number, aligned to the right.
    Number(String),
    /// A number and the range that it is known to lie in.
    Ranged(String, String),
    /// A share with its interval; `None` when there is nothing that it could be of.
    Share(Option<Share>),
}

impl Cell {
    /// A whole number.
    pub fn count(number: usize) -> Cell {
        Cell::Number(thousands(number))
    }

    /// As text in one line.
    pub fn text(&self) -> String {
        match self {
            Cell::Words(text) | Cell::Number(text) => text.clone(),
            Cell::Ranged(number, range) => format!("{number} ({range})"),
            Cell::Share(None) => "–".to_string(),
            Cell::Share(Some(share)) => format!("{} ({})", tenths(share.ratio), interval(share)),
        }
    }
}

impl Grid {
    /// Without rows.
    pub fn new<const N: usize>(header: [&str; N]) -> Grid {
        Grid { header: header.map(str::to_string).to_vec(), rows: Vec::new() }
    }

    /// Aligned, the header first.
    pub fn lines(&self) -> Vec<String> {
        let header = self.header.clone();
        let rows: Vec<Vec<String>> =
            std::iter::once(header).chain(self.rows.iter().map(|row| row.iter().map(Cell::text).collect())).collect();
        let column = |at: usize| rows.iter().filter_map(move |row| row.get(at));
        let widths: Vec<usize> =
            (0..self.header.len()).map(|at| column(at).map(|text| text.chars().count()).max().unwrap_or(0)).collect();
        let words = |at: usize| self.rows.first().is_some_and(|row| matches!(row.get(at), Some(Cell::Words(_))));
        let line = |row: &Vec<String>| {
            let padded = row.iter().zip(&widths).enumerate().map(|(at, (text, width))| {
                if words(at) { format!("{text:width$}") } else { format!("{text:>width$}") }
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        rows.iter().map(line).collect()
    }

    /// As a Markdown table that ends with a line break.
    pub fn markdown(&self) -> String {
        let rows = self.rows.iter().map(|row| row.iter().map(|cell| escaped_cell(&cell.text())).collect());
        markdown_table(&self.header.iter().map(String::as_str).collect::<Vec<_>>(), rows)
    }
}

/// A Markdown table that ends with a line break; the cells must not break out of it, see [`escaped_cell`].
pub fn markdown_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<String> = header.iter().map(|name| name.to_string()).collect();
    let mut written = line(&names) + &line(&vec!["---".to_string(); header.len()]);
    for row in rows {
        written.push_str(&line(&row));
    }
    written
}

/// Text that cannot break out of its Markdown cell.
pub fn escaped_cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Share of `part` in `whole`; 0 of nothing.
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// To nine decimals: so short a number survives printing and parsing bit for bit, and what was kept is what was made.
pub fn nine(x: f64) -> f64 {
    (x * 1e9).round() / 1e9
}

/// `0.0714` as `7.14 %`.
pub fn percent(ratio: f64) -> String {
    format!("{:.2} %", 100.0 * ratio)
}

/// `0.0714` as `7.1 %`.
pub fn tenths(ratio: f64) -> String {
    format!("{:.1} %", 100.0 * ratio)
}

/// The ends of a share's interval in per cent: `6.2 to 8.1`.
pub fn interval(share: &Share) -> String {
    format!("{:.1} to {:.1}", 100.0 * share.low, 100.0 * share.high)
}

/// `59024` as `59,024`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_aligned_and_cannot_be_broken_out_of() {
        let share = Share { ratio: 0.5, low: 0.0126, high: 0.9874 };
        let rows = vec![
            vec![Cell::Words("a|b".into()), Cell::count(1_200), Cell::Share(Some(share))],
            vec![Cell::Words("sea".into()), Cell::count(7), Cell::Share(None)],
        ];
        let grid = Grid { rows, ..Grid::new(["value", "rows", "right"]) };
        let expected = [
            "value   rows                 right",
            "a|b    1,200  50.0 % (1.3 to 98.7)",
            "sea        7                     –",
        ];
        assert_eq!(grid.lines(), expected);
        let page = grid.markdown();
        assert!(page.starts_with("| value | rows | right |\n| --- | --- | --- |\n| a\\|b | 1,200 | 50.0 %"), "{page}");
    }

    #[test]
    fn numbers_are_written_in_threes() {
        for (number, written) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (59_024, "59,024"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), written);
        }
    }
}
