//! `hs_nomenclature(edition)`: the codes of an edition of the Harmonized System, or of a national schedule, with their wording.
//!
//! ```sql
//! SELECT code, description FROM hs_nomenclature('2022') WHERE parent = '0101' ORDER BY code
//! ```
//!
//! The columns are those of the table `nomenclature` but `awaits`, which only an import needs; the rows are those of the newest import, by code and language.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Schema, SchemaRef};
use chrono::NaiveDate;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;

use super::later::Later;
use super::{edition, literals};
use crate::contract::Contract;
use crate::error::Result;
use crate::sql::functions::name_of;
use crate::sql::snapshot::Now;
use crate::tariff::{Entry, Nomenclature};

const SYNTAX: &str = "hs_nomenclature(edition)";

/// See the module.
#[derive(Debug)]
pub(super) struct HsNomenclature(pub Now);

impl TableFunctionImpl for HsNomenclature {
    fn call_with_args(&self, args: TableFunctionArgs) -> DfResult<Arc<dyn TableProvider>> {
        let [value] = literals(SYNTAX, args.exprs())?;
        let edition = edition(SYNTAX, &value)?;
        name_of(&edition)?;
        let snapshot = self.0.get();
        Ok(Later::table("hs_nomenclature", schema(), move || {
            let (snapshot, edition) = (Arc::clone(&snapshot), edition.clone());
            Box::pin(async move { rows(snapshot.lookup().await?.nomenclature(&edition)?) })
        }))
    }
}

/// That of the table, without what only an import needs.
fn schema() -> SchemaRef {
    let columns = Contract::Nomenclature.schema().fields().iter();
    Arc::new(Schema::new(columns.filter(|column| column.name() != "awaits").cloned().collect::<Vec<_>>()))
}

fn rows(of: &Nomenclature) -> Result<RecordBatch> {
    let entries = &of.entries;
    let constant = |value: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, entries.len())))
    };
    let text =
        |pick: fn(&Entry) -> Option<&str>| -> ArrayRef { Arc::new(entries.iter().map(pick).collect::<StringArray>()) };
    let date = |day: Option<NaiveDate>| -> ArrayRef {
        let day = day.map(Date32Type::from_naive_date);
        Arc::new(Date32Array::from_iter(std::iter::repeat_n(day, entries.len())))
    };
    let columns: Vec<ArrayRef> = vec![
        constant(&of.name.schedule),
        constant(&of.name.edition),
        text(|entry| Some(&entry.code)),
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| entry.code.len() as i64))),
        text(Entry::parent),
        text(|entry| Some(&entry.description)),
        text(|entry| Some(&entry.language)),
        text(|entry| entry.section.as_deref()),
        date(Some(of.validity.from)),
        date(of.validity.to),
        constant(&of.source),
        constant(&of.import_id),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
