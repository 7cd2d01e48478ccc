//! Further examples beside the labelled lines: tariff texts, rulings, catalogues, past decisions.
//!
//! They are for training alone, each with the weight of its source, and teach subheadings that no line has. One whose text is
//! among the lines kept from the fit is left out, so that nothing is measured on what was learned.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use serde::{Deserialize, Serialize};

use super::data::{Columns, Line, lines_of};
use super::labels::Label;
use super::split::Grouping;
use crate::error::{Context, Error, Result};
use crate::lake::{InputTable, Place, SOURCE_FILE, SOURCE_ROW, Source, SourceOptions};
use crate::model::DataFile;
use crate::sql::Limits;
use crate::tariff::{Codes, Subheading};

/// Largest CSV file that is read.
const MAX_CSV_BYTES: u64 = 1 << 28;

/// A source of further examples; `[[extra]]` in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Parquet files, folders of them, or one CSV file with a line of names.
    pub input: Vec<String>,
    /// Columns whose texts are joined by spaces.
    pub text: Vec<String>,
    /// Column of the codes.
    pub label: String,
    /// SQL condition on the columns.
    #[serde(rename = "where", default)]
    pub where_sql: Option<String>,
    /// How much an example counts beside a labelled line, above 0.
    pub weight: f32,
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// As the recipe names it.
    pub input: Vec<String>,
    /// Rows that its condition lets through.
    pub rows: usize,
    /// Rows with a text and a subheading of the edition whose text is not kept from the fit.
    pub used_rows: usize,
    /// Subheadings of these.
    pub classes: usize,
}

/// An example with its weight.
pub type Weighted = (String, Subheading, f32);

impl Extra {
    /// Refuses what cannot be read before anything is.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::Usage(format!("[[extra]] of the recipe: {why}")));
        if self.input.is_empty() || self.text.is_empty() {
            return refuse("give `input` and `text`, each a list with something in it");
        }
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return refuse(&format!("weight is {}, it must be above 0", self.weight));
        }
        Ok(())
    }

    /// The examples, in the order of files and rows, of those whose key is not in `kept`: neither the text of a line kept
    /// from the fit nor, where the split keeps near twins together, a near twin of one.
    pub async fn read(
        &self,
        codes: &Codes,
        (kept, grouping): (&HashSet<[u8; 16]>, Grouping),
        repair_zeros: bool,
        limits: Limits,
    ) -> Result<(Vec<Weighted>, Count, Vec<DataFile>)> {
        let (table, files) = self.table().await?;
        let there = table.schema();
        if let Some(missing) = self.text.iter().chain([&self.label]).find(|c| there.column_with_name(c).is_none()) {
            let names: Vec<&str> = there
                .fields()
                .iter()
                .map(|f| f.name().as_str())
                .filter(|n| ![SOURCE_FILE, SOURCE_ROW].contains(n))
                .collect();
            let (input, names) = (self.input.join(", "), names.join(", "));
            return Err(Error::Input(format!(
                "{input}: no column \"{missing}\"; there are: {names}; correct [[extra]]"
            )));
        }
        let texts: Vec<&str> = self.text.iter().map(String::as_str).collect();
        let wanted = Columns { texts: &texts, label: Some(&self.label), further: &[] };
        let lines = lines_of(table, wanted, self.where_sql.as_deref(), codes, limits).await?;
        let lost = lines.iter().filter(|line| matches!(line.label, Label::LostZero { .. })).count();
        if lost > 0 && !repair_zeros {
            return Err(Error::Input(format!(
                "{}: {lost} codes have lost their leading zero; write the column as six-digit text, or run again with \
                 --repair-zeros to put the zeros back",
                self.input.join(", ")
            )));
        }
        let usable = |line: &Line| {
            let fits = !line.text.is_empty() && !kept.contains(&grouping.key(&line.text));
            Some((line.text.clone(), line.label.class(repair_zeros).filter(|_| fits)?, self.weight))
        };
        let examples: Vec<Weighted> = lines.iter().filter_map(usable).collect();
        let count = Count {
            input: self.input.clone(),
            rows: lines.len(),
            used_rows: examples.len(),
            classes: examples.iter().map(|e| e.1).collect::<HashSet<_>>().len(),
        };
        if examples.is_empty() {
            return Err(Error::Input(format!(
                "{}: none of {} rows has a text and a code of the edition in \"{}\"; correct or remove this [[extra]]",
                self.input.join(", "),
                lines.len(),
                self.label
            )));
        }
        Ok((examples, count, files))
    }

    async fn table(&self) -> Result<(Arc<dyn TableProvider>, Vec<DataFile>)> {
        match &self.input[..] {
            [one] if one.to_ascii_lowercase().ends_with(".csv") => csv(one).await,
            inputs => {
                let options = SourceOptions { text: self.text[0].clone(), quarantine: false };
                let source = Source::pin(inputs, options).await?;
                let files = super::pipeline::data_files(&source);
                Ok((Arc::new(InputTable::new(source)), files))
            }
        }
    }
}

/// A CSV file with a line of names as a table whose columns are all text, so that codes keep their zeros.
async fn csv(location: &str) -> Result<(Arc<dyn TableProvider>, Vec<DataFile>)> {
    let place = Place::open(location)?;
    let refuse = |why: String| Error::Input(format!("{location}: {why}"));
    let bytes = place.get_bounded("", MAX_CSV_BYTES).await?.ok_or_else(|| refuse("there is no such file".into()))?;
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
    let names: Vec<String> = reader.headers().map_err(|e| refuse(e.to_string()))?.iter().map(str::to_string).collect();
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    for record in reader.records() {
        let record = record.map_err(|e| refuse(e.to_string()))?;
        for (column, value) in columns.iter_mut().zip(&record) {
            column.push((!value.is_empty()).then(|| value.to_string()));
        }
    }
    let rows = columns.first().map_or(0, Vec::len);
    let mut fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    fields.push(Field::new(SOURCE_FILE, DataType::Utf8, false));
    fields.push(Field::new(SOURCE_ROW, DataType::Int64, false));
    let mut arrays: Vec<ArrayRef> =
        columns.into_iter().map(|values| Arc::new(StringArray::from(values)) as ArrayRef).collect();
    arrays.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(location, rows))));
    arrays.push(Arc::new(Int64Array::from_iter_values(0..rows as i64)));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).context(|| location)?;
    let table = MemTable::try_new(schema, vec![vec![batch]])?;
    let meta = place.head(place.prefix()).await?;
    let file = DataFile {
        url: place.url().to_string(),
        size_bytes: bytes.len() as u64,
        e_tag: meta.and_then(|m| m.e_tag),
        rows: rows as u64,
    };
    Ok((Arc::new(table), vec![file]))
}
