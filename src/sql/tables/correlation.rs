//! `hs_correlation(from, to)`: the pairs of codes of two editions that share goods.
//!
//! ```sql
//! SELECT to_code FROM hs_correlation('2017', '2022') WHERE from_code = '852190'
//! ```
//!
//! The columns are those of the table `correlations`; the rows are those of the newest import, by code. Where the lake has no
//! table between the two editions but a chain of them, the rows are the pairs that the chain makes: then `relationship`,
//! `partial` and `import_id` are null, and `source` names the files of the chain.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;

use super::later::Later;
use super::{edition, literals};
use crate::error::Result;
use crate::sql::functions::Lookup;
use crate::sql::snapshot::Now;
use crate::tariff::{Link, Pairs, Year};

const SYNTAX: &str = "hs_correlation(from, to)";

/// See the module.
#[derive(Debug)]
pub(super) struct HsCorrelation(pub Now);

impl TableFunctionImpl for HsCorrelation {
    fn call_with_args(&self, args: TableFunctionArgs) -> DfResult<Arc<dyn TableProvider>> {
        let [from, to] = literals(SYNTAX, args.exprs())?;
        let [from, to] = [edition(SYNTAX, &from)?, edition(SYNTAX, &to)?];
        // What is no year is a mistake of the query, and not of its data.
        let _: (Year, Year) = (from.parse()?, to.parse()?);
        let snapshot = self.0.get();
        Ok(Later::table("hs_correlation", schema(), move || {
            let (snapshot, from, to) = (Arc::clone(&snapshot), from.clone(), to.clone());
            Box::pin(async move {
                let lookup = snapshot.lookup().await?;
                rows(&pairs(&lookup, &from, &to)?)
            })
        }))
    }
}

fn schema() -> SchemaRef {
    let text = |name: &str, null: bool| Field::new(name, DataType::Utf8, null);
    Arc::new(Schema::new(vec![
        text("from_edition", false),
        text("to_edition", false),
        text("from_code", false),
        text("to_code", false),
        text("relationship", true),
        Field::new("partial", DataType::Boolean, true),
        text("source", false),
        text("import_id", true),
    ]))
}

/// The pairs of a table of the lake, or of a chain of tables.
fn pairs(lookup: &Lookup, from: &str, to: &str) -> Result<Pairs> {
    let (from_year, to_year) = (from.parse()?, to.parse()?);
    // Whether there is a way, and both editions.
    let chain = lookup.tariff().way(from_year, to_year)?;
    let table = |from, to| lookup.tariff().correlation_between(from, to);
    if let Some(pairs) = table(from_year, to_year) {
        return Ok(pairs.clone());
    }
    let sources = chain.iter().filter_map(|step| Some(table(step.from(), step.to())?.source.as_str()));
    let link = |(from, to)| Link { from, to, relationship: None, partial: None };
    Ok(Pairs {
        from: from_year,
        to: to_year,
        links: lookup.correlation(from, to)?.links().map(link).collect(),
        source: sources.collect::<Vec<_>>().join(", "),
        import_id: String::new(),
    })
}

fn rows(of: &Pairs) -> Result<RecordBatch> {
    let links = &of.links;
    let constant = |value: Option<String>| -> ArrayRef {
        Arc::new(std::iter::repeat_n(value, links.len()).collect::<StringArray>())
    };
    let text =
        |pick: fn(&Link) -> Option<&str>| -> ArrayRef { Arc::new(links.iter().map(pick).collect::<StringArray>()) };
    let columns: Vec<ArrayRef> = vec![
        constant(Some(of.from.to_string())),
        constant(Some(of.to.to_string())),
        text(|link| Some(link.from.as_str())),
        text(|link| Some(link.to.as_str())),
        text(|link| link.relationship.as_deref()),
        Arc::new(links.iter().map(|link| link.partial).collect::<BooleanArray>()),
        constant(Some(of.source.clone())),
        constant(Some(of.import_id.clone()).filter(|id| !id.is_empty())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
