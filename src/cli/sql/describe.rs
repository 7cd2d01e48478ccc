//! What there is: tables, columns, functions, named queries, for people.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::logical_expr::{Documentation, TableType};
use datafusion::prelude::SessionContext;

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::sql::{self, named};

/// Schema of the catalog's own tables, which nobody lists.
const CATALOG: &str = "information_schema";

/// A table or view that a statement can name.
pub(super) struct Named {
    /// As it is written in SQL.
    pub(super) name: String,
    pub(super) provider: Arc<dyn TableProvider>,
}

/// Every table and view of the session, those of the default schema by their bare names.
pub(super) async fn tables(context: &SessionContext) -> Result<Vec<Named>> {
    let options = context.state().config_options().catalog.clone();
    let Some(catalog) = context.catalog(&options.default_catalog) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut schemas = catalog.schema_names();
    schemas.sort();
    for schema_name in schemas.into_iter().filter(|name| name != CATALOG) {
        let Some(schema) = catalog.schema(&schema_name) else { continue };
        let mut names = schema.table_names();
        names.sort();
        for name in names {
            if let Some(provider) = schema.table(&name).await? {
                let written = TableReference::bare(name.as_str()).to_quoted_string();
                let name = match schema_name == options.default_schema {
                    true => written,
                    false => TableReference::partial(schema_name.as_str(), name.as_str()).to_quoted_string(),
                };
                found.push(Named { name, provider });
            }
        }
    }
    Ok(found)
}

/// `\d`: name, kind, and what the table is for.
pub(super) async fn list_tables(context: &SessionContext) -> Result<RecordBatch> {
    let rows = tables(context).await?.into_iter().map(|table| {
        let kind = match table.provider.table_type() {
            TableType::View => "view",
            TableType::Base | TableType::Temporary => "table",
        };
        let contract = Contract::ALL.iter().find(|c| c.table() == table.name).map(|c| c.about());
        let about = contract.or_else(|| sql::purpose_of(&table.name)).unwrap_or_default();
        [table.name, kind.into(), about.into()]
    });
    of_text(["name", "kind", "about"], rows.collect())
}

/// `\d NAME`: its columns, with what the contract says of them.
pub(super) async fn columns(context: &SessionContext, name: &str) -> Result<RecordBatch> {
    let reference = TableReference::parse_str(name);
    let provider = context
        .table_provider(reference.clone())
        .await
        .map_err(|_| Error::Usage(format!("there is no table or view {name}; \\d lists those that there are")))?;
    let contract = Contract::ALL.into_iter().find(|c| c.table() == reference.table());
    let schema = provider.schema();
    let rows = schema.fields().iter().map(|field| {
        let about = contract.and_then(|c| c.column_about(field.name())).unwrap_or("");
        let null = if field.is_nullable() { "yes" } else { "no" };
        [field.name().clone(), type_name(field.data_type()), null.into(), about.into()]
    });
    of_text(["column", "type", "null", "about"], rows.collect())
}

/// A function that a statement can call.
pub(super) struct Function {
    pub(super) name: String,
    kind: &'static str,
    /// How it is called, and what it gives; empty where nobody says.
    call: String,
    about: String,
}

/// All of them, those of the program first.
pub(super) fn functions(context: &SessionContext) -> Vec<Function> {
    let state = context.state();
    let mut found: Vec<Function> = Vec::new();
    let mut add = |name: &str, kind, documentation: Option<&Documentation>| {
        let text = |of: fn(&Documentation) -> &str| documentation.map_or("", of).trim().to_string();
        let (call, about) = (text(|d| &d.syntax_example), text(|d| &d.description));
        found.push(Function { name: name.into(), kind, call, about });
    };
    state.scalar_functions().iter().for_each(|(name, f)| add(name, "scalar", f.documentation()));
    state.aggregate_functions().iter().for_each(|(name, f)| add(name, "aggregate", f.documentation()));
    state.window_functions().iter().for_each(|(name, f)| add(name, "window", f.documentation()));
    for name in state.table_functions().keys() {
        let manual = sql::TABLE_FUNCTIONS.iter().find(|(call, _)| call.split('(').next() == Some(name));
        let (call, about) = manual.copied().unwrap_or_default();
        found.push(Function { name: name.clone(), kind: "table", call: call.into(), about: about.into() });
    }
    found.sort_by(|a, b| (!is_own(&a.name), &a.name).cmp(&(!is_own(&b.name), &b.name)));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

fn is_own(name: &str) -> bool {
    name.starts_with("hs_") || name.starts_with("text_") || matches!(name, "runs" | "models" | "predictions_as_of")
}

/// `\df [PART]`: without a part those of the program, else those whose name has it.
pub(super) fn list_functions(context: &SessionContext, part: Option<&str>) -> Result<RecordBatch> {
    let wanted = |name: &str| part.map_or_else(|| is_own(name), |part| name.contains(&part.to_lowercase()));
    let rows = functions(context).into_iter().filter(|f| wanted(&f.name)).map(|f| {
        let about = f.about.split_inclusive(". ").next().unwrap_or_default().trim().replace('\n', " ");
        [f.name, f.kind.into(), f.call, about]
    });
    of_text(["function", "kind", "call", "about"], rows.collect())
}

/// `\queries`: every named query, with its parameters.
pub(super) fn list_queries() -> Result<RecordBatch> {
    let rows = named::list().iter().map(|query| {
        let params = query.params().iter().map(|param| match param.default() {
            Some(_) => format!("[{}]", param.name()),
            None => param.name().to_string(),
        });
        [query.name().to_string(), params.collect::<Vec<_>>().join(" "), query.purpose().to_string()]
    });
    of_text(["query", "parameters", "purpose"], rows.collect())
}

/// `\queries NAME`: all that its header says.
pub(super) fn query(name: &str) -> Result<RecordBatch> {
    let query = named::find(name)?;
    let mut rows = vec![
        ["purpose".to_string(), query.purpose().to_string()],
        ["reads".into(), query.reads().join(", ")],
        ["yields".into(), query.yields().join(", ")],
    ];
    for param in query.params() {
        let default = param.default().map_or("has to be given".into(), |default| format!("default {default}"));
        let about = format!("{} ({}, {default})", param.about(), param.kind().as_str());
        rows.push([format!("${}", param.name()), about]);
    }
    of_text(["what", "is"], rows)
}

pub(super) fn of_text<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> Result<RecordBatch> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let columns = (0..N).map(|at| Arc::new(rows.iter().map(|row| Some(&row[at])).collect::<StringArray>()) as _);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())?)
}

/// A type as people write it.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}
