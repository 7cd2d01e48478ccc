//! The contracts of the program's own tables: `schemas/*.json` as Arrow schemas.
//!
//! A contract is data: column names, types, nullability and meaning. The data dictionary is written from it.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;

use crate::error::{Error, Result};

/// One of the program's own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contract {
    /// One row for every line and run.
    Predictions,
    /// What people decided.
    Decisions,
    /// One row for every visible run.
    Runs,
    /// Codes of editions and national schedules.
    Nomenclature,
    /// Pairs of codes of two editions that share goods.
    Correlations,
    /// Texts that people were asked to decide because two models differ.
    LabelRequests,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    table: String,
    version: u32,
    about: String,
    partition_by: Vec<String>,
    stats: Vec<String>,
    #[serde(default)]
    repeats: Vec<String>,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
    about: String,
}

struct Loaded {
    document: Document,
    schema: SchemaRef,
}

impl Contract {
    /// All of them.
    pub const ALL: [Contract; 6] = [
        Contract::Predictions,
        Contract::Decisions,
        Contract::Runs,
        Contract::Nomenclature,
        Contract::Correlations,
        Contract::LabelRequests,
    ];

    fn text(self) -> &'static str {
        match self {
            Contract::Predictions => include_str!("../../schemas/predictions.json"),
            Contract::Decisions => include_str!("../../schemas/decisions.json"),
            Contract::Runs => include_str!("../../schemas/runs.json"),
            Contract::Nomenclature => include_str!("../../schemas/nomenclature.json"),
            Contract::Correlations => include_str!("../../schemas/correlations.json"),
            Contract::LabelRequests => include_str!("../../schemas/label_requests.json"),
        }
    }

    fn loaded(self) -> &'static Loaded {
        static ALL: LazyLock<Vec<Loaded>> = LazyLock::new(|| {
            // The documents are part of the program: a broken one fails the tests, never a user.
            Contract::ALL.iter().map(|c| load(c.text()).unwrap_or_else(|e| unreachable!("{e}"))).collect()
        });
        &ALL[self as usize]
    }

    /// Name of the table and of its folder in the lake.
    pub fn table(self) -> &'static str {
        &self.loaded().document.table
    }

    /// Version of the contract; part of every fingerprint.
    pub fn version(self) -> u32 {
        self.loaded().document.version
    }

    /// What the table is for.
    pub fn about(self) -> &'static str {
        &self.loaded().document.about
    }

    /// Its columns.
    pub fn schema(self) -> &'static SchemaRef {
        &self.loaded().schema
    }

    /// What a column means; `None` when there is none of this name.
    pub fn column_about(self, name: &str) -> Option<&'static str> {
        self.loaded().document.columns.iter().find(|column| column.name == name).map(|column| column.about.as_str())
    }

    /// Its partition columns.
    pub fn partition_by(self) -> Vec<&'static str> {
        self.loaded().document.partition_by.iter().map(String::as_str).collect()
    }

    /// Columns whose minimum and maximum go into the log.
    pub fn stats(self) -> &'static [String] {
        &self.loaded().document.stats
    }

    /// Paths in Parquet of the columns that hold few distinct values.
    pub fn repeats(self) -> &'static [String] {
        &self.loaded().document.repeats
    }

    /// A Markdown section for the data dictionary.
    pub fn dictionary(self) -> String {
        let document = &self.loaded().document;
        let mut out = format!("## `{}` (contract {})\n\n{}\n\n", document.table, document.version, document.about);
        if !document.partition_by.is_empty() {
            out += &format!("Partitioned by `{}`.\n\n", document.partition_by.join("`, `"));
        }
        out += "| column | type | null | meaning |\n| --- | --- | --- | --- |\n";
        for c in &document.columns {
            let null = if c.nullable { "yes" } else { "no" };
            out += &format!("| `{}` | {} | {null} | {} |\n", c.name, c.kind, c.about);
        }
        out
    }
}

fn load(text: &str) -> Result<Loaded> {
    let document: Document = serde_json::from_str(text).map_err(|e| Error::Bug(format!("a contract: {e}")))?;
    let fields = document
        .columns
        .iter()
        .map(|c| Ok(Field::new(&c.name, kind(&c.kind)?, c.nullable)))
        .collect::<Result<Vec<_>>>()?;
    let whole = document.partition_by.iter().chain(&document.stats).map(String::as_str);
    let first = document.repeats.iter().filter_map(|path| path.split('.').next());
    for named in whole.chain(first) {
        if !document.columns.iter().any(|c| c.name == named) {
            return Err(Error::Bug(format!("contract {}: no column {named}", document.table)));
        }
    }
    Ok(Loaded { document, schema: Arc::new(Schema::new(fields)) })
}

/// Arrow type of a type name such as `string` or `list<struct<url:string,rows:int64>>`.
fn kind(name: &str) -> Result<DataType> {
    let inner = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    Ok(match name {
        "string" => DataType::Utf8,
        "int64" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            if let Some(item) = inner("list<") {
                DataType::List(Arc::new(Field::new("element", kind(item)?, true)))
            } else if let Some(fields) = inner("struct<") {
                let fields = fields.split(',').map(|f| {
                    let (name, item) = f.split_once(':').ok_or_else(|| Error::Bug(format!("type {f}: no colon")))?;
                    Ok(Field::new(name, kind(item)?, true))
                });
                DataType::Struct(fields.collect::<Result<Fields>>()?)
            } else {
                return Err(Error::Bug(format!("unknown type {name} in a contract")));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_loads_and_explains_every_column() {
        for contract in Contract::ALL {
            let document = &contract.loaded().document;
            assert!(!contract.schema().fields().is_empty());
            assert!(document.columns.iter().all(|c| c.about.len() > 3), "{}", contract.table());
            // A file without a bound would be passed over by readers that take it for one.
            for name in contract.stats() {
                let field = contract.schema().field_with_name(name).unwrap();
                let written = matches!(field.data_type(), DataType::Int64 | DataType::Utf8);
                assert!(written && !field.is_nullable(), "{}: {name}", contract.table());
            }
            assert!(contract.dictionary().contains(&format!("`{}`", contract.table())));
        }
    }

    #[test]
    fn predictions_has_every_column_of_the_design() {
        let schema = Contract::Predictions.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let wanted = "line_id source_file source_row description text_digest hs6 confidence confidence_heading \
                      confidence_chapter margin alternatives decision reasons previous_hs6 model_name model_version \
                      model_digest tariff_edition policy_digest run_id declared_code value role served run_date";
        assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
        assert_eq!(Contract::Predictions.partition_by(), ["run_date"]);
    }

    #[test]
    fn nested_type_names_are_read() {
        let DataType::List(item) = kind("list<struct<url:string,rows:int64>>").unwrap() else { panic!() };
        let DataType::Struct(fields) = item.data_type() else { panic!() };
        assert_eq!(fields[1].data_type(), &DataType::Int64);
        assert!(kind("decimal").is_err());
    }
}
