//! What labelled lines are read from: files with their rows, columns with their types.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::table::{Cell, Grid, thousands};
use crate::lake::Source;

/// How many files are told by name.
const TOP: usize = 10;

/// By the footers of the files, whatever a filter leaves of their rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schema {
    /// By address.
    pub files: Vec<File>,
    /// In the order of the first file that has them.
    pub columns: Vec<Column>,
    /// Name of the column with the descriptions.
    pub text: String,
    /// Name of the column with the codes.
    pub label: String,
}

/// A file that is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Without a query, which may hold keys.
    pub url: String,
    /// By its footer.
    pub rows: u64,
}

/// A column of the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// `text`, `bytes`, or as Arrow names it. The descriptions are `text`, which they are read as.
    pub data_type: String,
    /// Rows where it is null; `None` where the footers do not say.
    pub nulls: Option<u64>,
}

impl Schema {
    /// Of files whose codes are in the column `label`.
    pub fn of(source: &Source, label: &str) -> Schema {
        let file = |url: &str, rows| File { url: url.split('?').next().unwrap_or_default().to_string(), rows };
        let columns = source.schema().fields().iter().map(|field| Column {
            name: field.name().clone(),
            data_type: match field.data_type() {
                _ if field.name() == source.text() => "text".to_string(),
                DataType::Utf8View => "text".to_string(),
                DataType::BinaryView => "bytes".to_string(),
                other => other.to_string(),
            },
            nulls: source.nulls(field.name()),
        });
        Schema {
            files: source.files().iter().map(|f| file(&f.url, f.rows)).collect(),
            columns: columns.collect(),
            text: source.text().to_string(),
            label: label.to_string(),
        }
    }

    /// Each file with its rows, the first ones by name.
    pub(super) fn file_grid(&self) -> Grid {
        let mut grid = Grid::new(["file", "rows"]);
        let row = |name: &str, rows: u64| vec![Cell::Words(name.to_string()), Cell::Number(thousands(rows as usize))];
        grid.rows.extend(self.files.iter().take(TOP).map(|file| row(&file.url, file.rows)));
        if let Some(more) = self.files.get(TOP..).filter(|more| !more.is_empty()) {
            let name = format!("{} more", thousands(more.len()));
            grid.rows.push(row(&name, more.iter().map(|file| file.rows).sum()));
        }
        grid
    }

    /// Each column with its type, its nulls, and what it is read for.
    pub(super) fn column_grid(&self) -> Grid {
        let mut grid = Grid::new(["column", "type", "nulls", "read as"]);
        let row = |column: &Column| {
            let nulls = column.nulls.map_or_else(|| "–".to_string(), |nulls| thousands(nulls as usize));
            let roles = [(&self.text, "description"), (&self.label, "label")];
            let roles = roles.iter().filter(|(name, _)| **name == column.name).map(|(_, role)| *role);
            let roles = roles.collect::<Vec<_>>().join(", ");
            let words = |text: &str| Cell::Words(text.to_string());
            vec![words(&column.name), words(&column.data_type), Cell::Number(nulls), words(&roles)]
        };
        grid.rows.extend(self.columns.iter().map(row));
        grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_told_together_and_columns_by_what_they_are_read_as() {
        let files = (1..=12).map(|n| File { url: format!("file:///{n}.parquet"), rows: 1_000 * n }).collect();
        let column =
            |name: &str, data_type: &str, nulls| Column { name: name.into(), data_type: data_type.into(), nulls };
        let columns =
            vec![column("goods", "text", Some(0)), column("hs6", "Int64", Some(1_200)), column("v", "List", None)];
        let schema = Schema { files, columns, text: "goods".into(), label: "hs6".into() };
        let files = schema.file_grid().lines();
        // The last two have 11,000 and 12,000 rows.
        assert_eq!((files.len(), files[11].as_str()), (12, "2 more              23,000"));
        let expected = [
            "column  type   nulls  read as",
            "goods   text       0  description",
            "hs6     Int64  1,200  label",
            "v       List       –",
        ];
        assert_eq!(schema.column_grid().lines(), expected);
    }
}
