//! Rows of cells as a file for people: CSV, XLSX or Parquet, by one interface.
//!
//! Texts and codes are text in every form, never numbers; in CSV and XLSX no cell is a formula (see [`super::inert`]). A file
//! appears whole, under its name, when it is finished, and not at all when that fails. Refuses: a file that exists, unless
//! it is to be replaced.

mod output;
mod parquet;
mod xlsx;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use output::Output;
pub(super) use xlsx::{GOES_ON, LONG};

use super::inert::inert;
use crate::error::{Context, Error, Result};

/// Form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// UTF-8 with a byte order mark, commas, a header, CRLF.
    Csv,
    /// A sheet, and others that explain it.
    Xlsx,
    /// Strings, and doubles where a column holds numbers.
    Parquet,
}

impl Form {
    /// The form that a file's name asks for.
    pub fn of(file: &Path) -> Option<Form> {
        let extension = file.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
        [Form::Csv, Form::Xlsx, Form::Parquet].into_iter().find(|form| form.as_str() == extension)
    }

    /// Its name, which is the extension too.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Xlsx => "xlsx",
            Form::Parquet => "parquet",
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Any text.
    Text,
    /// Digits that are text, with their leading zeros.
    Code,
    /// Numbers, given as text.
    Number,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, in the header.
    pub name: String,
    /// What it is, on the sheet that explains.
    pub about: String,
    /// Its width in characters, in XLSX.
    pub width: u16,
    /// What it holds.
    pub holds: Holds,
    /// What may be entered, with its meaning: a list in XLSX. Empty when anything may.
    pub choices: Vec<(String, String)>,
}

impl Column {
    /// A column in which anything may be entered.
    pub fn new(name: &str, about: &str, width: u16, holds: Holds) -> Column {
        Column { name: name.into(), about: about.into(), width, holds, choices: Vec::new() }
    }
}

/// What a file looks like.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Name of the sheet in XLSX.
    pub title: String,
    /// Lines at the head of the sheet that explains.
    pub about: Vec<String>,
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// How many of the first columns stay in sight, beside the header.
    pub frozen: u16,
}

/// Where a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file on disk.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether it replaces one that is there.
        replace: bool,
    },
}

impl Target {
    /// `-` is standard output, anything else a file.
    pub fn new(out: &str, replace: bool) -> Target {
        match out {
            "-" => Target::Stdout,
            path => Target::File { path: path.into(), replace },
        }
    }
}

/// A file that is being written.
pub struct Sheet {
    body: Body,
    layout: Layout,
    rows: u64,
}

enum Body {
    Csv(Box<csv::Writer<Output>>),
    Xlsx(Box<xlsx::Book>, Output),
    Parquet(Box<parquet::Rows>),
}

impl Sheet {
    /// Begins a file.
    ///
    /// # Errors
    /// `Usage` when a file is there that is not to be replaced; what the disk says.
    pub fn create(target: &Target, form: Form, layout: Layout) -> Result<Sheet> {
        let mut output = Output::create(target)?;
        let body = match form {
            Form::Csv => {
                // Without the mark programs take it for the code page of the machine.
                output.write_all("\u{feff}".as_bytes())?;
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output);
                writer.write_record(layout.columns.iter().map(|column| column.name.as_str())).map_err(of_csv)?;
                Body::Csv(Box::new(writer))
            }
            Form::Xlsx => Body::Xlsx(Box::new(xlsx::Book::new(&layout)?), output),
            Form::Parquet => Body::Parquet(Box::new(parquet::Rows::new(&layout, output)?)),
        };
        Ok(Sheet { body, layout, rows: 0 })
    }

    /// Adds a row: one cell for each column, `None` for an empty one.
    ///
    /// # Errors
    /// `Usage` when a sheet of XLSX is full; what the disk says.
    pub fn row(&mut self, cells: &[Option<&str>]) -> Result<()> {
        if cells.len() != self.layout.columns.len() {
            return Err(Error::Bug(format!("{} cells for {} columns", cells.len(), self.layout.columns.len())));
        }
        self.rows += 1;
        match &mut self.body {
            Body::Csv(writer) => {
                for (column, cell) in self.layout.columns.iter().zip(cells) {
                    let text = cell.map_or("".into(), |text| plain(column.holds, text));
                    writer.write_field(text.as_bytes()).map_err(of_csv)?;
                }
                writer.write_record(None::<&[u8]>).map_err(of_csv)
            }
            Body::Xlsx(book, _) => book.row(&self.layout, cells),
            Body::Parquet(rows) => rows.row(cells),
        }
    }

    /// Makes the file appear; the number of its rows.
    ///
    /// # Errors
    /// What the disk says; nothing has appeared then.
    pub fn finish(self) -> Result<u64> {
        let output = match self.body {
            Body::Csv(writer) => writer
                .into_inner()
                .map_err(|e| Error::from(std::io::Error::from(e.error().kind())))
                .context(|| "cannot write the file")?,
            Body::Xlsx(book, mut output) => {
                output.write_all(&book.save(&self.layout)?)?;
                output
            }
            Body::Parquet(rows) => rows.finish()?,
        };
        output.finish()?;
        Ok(self.rows)
    }
}

/// The cell of a text. A code is as it is when it is digits, a number when it is one; anything else is inert.
fn plain(holds: Holds, text: &str) -> Cow<'_, str> {
    let is_plain = match holds {
        Holds::Text => false,
        Holds::Code => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
        Holds::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
    };
    if is_plain { text.into() } else { inert(text) }
}

fn of_csv(e: csv::Error) -> Error {
    match e.into_kind() {
        csv::ErrorKind::Io(e) => e.into(),
        other => Error::Bug(format!("CSV: {other:?}")),
    }
}
