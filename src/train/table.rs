//! Facts as aligned rows of text, and how numbers and shares are written.

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

/// Share of `part` in `whole`; 0 of nothing.
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `0.0714` as `7.14 %`.
pub fn percent(ratio: f64) -> String {
    format!("{:.2} %", 100.0 * ratio)
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
    fn numbers_are_written_in_threes() {
        for (number, written) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (59_024, "59,024"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), written);
        }
    }
}
