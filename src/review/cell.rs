//! A cell as some program saved it: a text, or what the program made of one.

use std::borrow::Cow;

use chrono::NaiveDate;

use super::inert::restored;

/// What stands in a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// A text, restored where it was written inert.
    Text(String),
    /// A number.
    Number(f64),
    /// A day, and the number of days since 1899-12-30 by which a spreadsheet program holds it.
    Day(NaiveDate, f64),
    /// A truth.
    Flag(bool),
}

impl Cell {
    /// A cell of a form that holds texts alone.
    pub fn of_text(text: &str) -> Cell {
        if text.is_empty() { Cell::Empty } else { Cell::Text(restored(text).into_owned()) }
    }

    /// Whether a person would call it empty.
    pub fn is_blank(&self) -> bool {
        match self {
            Cell::Empty => true,
            Cell::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// What a person sees; a whole number without a point.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Cell::Empty => "".into(),
            Cell::Text(text) => text.as_str().into(),
            Cell::Number(number) => number.to_string().into(),
            Cell::Day(day, _) => day.to_string().into(),
            Cell::Flag(true) => "yes".into(),
            Cell::Flag(false) => "no".into(),
        }
    }

    /// The same without blanks around it; `None` when nothing is left.
    pub fn entered(&self) -> Option<Cow<'_, str>> {
        match self.shown() {
            Cow::Borrowed(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
            Cow::Owned(text) => Some(Cow::Owned(text)),
        }
    }
}
