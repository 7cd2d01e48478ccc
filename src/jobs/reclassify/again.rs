//! A past reclassification, ready to be made again: the lake's tables at the versions that its record names, and its rules.
//!
//! What always holds: the rows follow from what the run read, and from the links and codes whose digests it kept. Refuses:
//! another version of predictions, decisions or runs in place of one that is gone. Of the tariff another version will do that
//! says the same.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, SessionContext, ident};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::record::RunRecord;
use super::super::replay::{InputState, object_of};
use super::decide::Decider;
use super::line::{Before, Outcome};
use super::rules::{Basis, Rules};
use super::{Rows, lines_of};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Place, Table};
use crate::sql::{Classifier, Versions, register_lake_at};
use crate::tariff::{Names, Tariff, Year};

/// Tables of the tariff.
const TARIFF: [Contract; 2] = [Contract::Nomenclature, Contract::Correlations];

/// A table that the run read, and what became of that version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastTable {
    pub table: String,
    /// `None` when the table did not exist.
    pub version: Option<u64>,
    pub state: InputState,
    /// What is not as it was, or stands in its place.
    pub why: Option<String>,
}

/// See the module.
pub struct Past {
    pub tables: Vec<PastTable>,
    /// `None` when something that the run read is gone or another.
    ready: Option<Ready>,
}

struct Ready {
    context: SessionContext,
    rules: Arc<Rules>,
    basis: Basis,
    names: [Names; 2],
}

/// What became of one line, and of what.
pub struct Became {
    pub from: Year,
    pub to: Year,
    /// The line as it stood before the run: a row of `coded_lines`.
    pub line: Map<String, Value>,
    pub before: Before,
    pub outcome: Arc<Outcome>,
    pub basis: Basis,
    /// Wording of the older and of the newer edition.
    pub names: [Names; 2],
}

impl Past {
    /// Looks for what a run read, in a session of its own.
    ///
    /// # Errors
    /// `Input` when the record does not say what the run rested on; those of the store. That something is gone is none.
    pub(in super::super) async fn open(
        context: SessionContext,
        lake: &Place,
        run: &RunRecord,
        classifier: Arc<Classifier>,
    ) -> Result<Past> {
        let basis = basis_of(run)?;
        let year = |edition: Option<&str>| edition.map(str::parse::<Year>).transpose();
        let ends = year(run.from_edition.as_deref())?.zip(year(Some(&run.tariff_edition))?);
        let (from, to) =
            ends.ok_or_else(|| Error::Input(format!("the record of run {} has no editions", run.run_id)))?;
        let (mut tables, mut at) = (Vec::new(), Versions::new());
        for (name, version) in &basis.tables {
            let found = look(lake, name, *version).await?;
            let of_tariff = TARIFF.iter().any(|contract| contract.table() == name);
            let read = match found.state {
                InputState::There => *version,
                _ if of_tariff => Table::open(&lake.child(name)).await?.map(|table| table.version()),
                _ => None,
            };
            at.insert(name.clone(), read);
            tables.push(found);
        }
        let of_tariff = |of: &PastTable| TARIFF.iter().any(|contract| contract.table() == of.table);
        if tables.iter().any(|table| table.state != InputState::There && !of_tariff(table)) {
            return Ok(Past { tables, ready: None });
        }
        register_lake_at(&context, lake, Some(&at)).await?;
        let tariff = Tariff::load(&context).await?;
        let steps = match tariff.way(from, to) {
            Ok(steps) if basis.follows(&steps) => steps,
            other => {
                let why = other
                    .err()
                    .map_or_else(|| "its links or codes are others than the run followed".into(), |e| e.to_string());
                for table in tables.iter_mut().filter(|table| of_tariff(table)) {
                    table.why = Some(table.why.take().map_or_else(|| why.clone(), |gone| format!("{gone}; {why}")));
                    table.state = InputState::Changed;
                }
                return Ok(Past { tables, ready: None });
            }
        };
        for table in tables.iter_mut().filter(|table| table.state != InputState::There) {
            table.state = InputState::There;
            table.why = table.why.take().map(|gone| format!("{gone}; the present version says the same"));
        }
        let policy = basis.catch_all.parse()?;
        let rules = Rules::new(&steps, basis.catch_all_groups.clone(), policy, classifier, basis.within.clone())?;
        let names = [Names::of_nomenclature(tariff.edition(from)?), Names::of_nomenclature(tariff.edition(to)?)];
        Ok(Past { tables, ready: Some(Ready { context, rules: Arc::new(rules), basis, names }) })
    }

    /// Whether the rows can be made again.
    pub fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// The lines as the run read them; `None` when they cannot be read so.
    pub(in super::super) async fn lines(&self) -> Result<Option<DataFrame>> {
        match &self.ready {
            Some(ready) => lines_of(&ready.context, ready.rules.from, ready.rules.to).await.map(Some),
            None => Ok(None),
        }
    }

    /// What makes the rows of the run of them.
    pub(in super::super) fn rows(&self, schema: SchemaRef, run_id: &str) -> Option<Rows> {
        let ready = self.ready.as_ref()?;
        Some(Rows::new(schema, Arc::clone(&ready.rules), run_id.into()))
    }

    /// The line at an address as the run read it.
    pub(in super::super) async fn line(&self, file: &str, row: i64) -> Result<Option<DataFrame>> {
        let Some(lines) = self.lines().await? else { return Ok(None) };
        let here = ident("source_file").eq(lit(file)).and(ident("source_row").eq(lit(row)));
        Ok(Some(lines.filter(here)?))
    }

    /// What became of a line; `None` when that cannot be said, or the run did not have it.
    ///
    /// # Errors
    /// Those of the lake and of the engine.
    pub async fn became(&self, file: &str, row: i64) -> Result<Option<Became>> {
        let (Some(ready), Some(line)) = (&self.ready, self.line(file, row).await?) else { return Ok(None) };
        let Some(batch) = line.collect().await?.into_iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
        let decided = Decider::new(Arc::clone(&ready.rules)).decide(&batch)?;
        let (Some(before), Some(outcome)) = (decided.before.first(), decided.outcomes.first()) else { return Ok(None) };
        Ok(Some(Became {
            from: ready.rules.from,
            to: ready.rules.to,
            line: object_of(&batch, 0)?,
            before: *before,
            outcome: Arc::clone(outcome),
            basis: ready.basis.clone(),
            names: ready.names.clone(),
        }))
    }
}

/// What the record of a run keeps.
fn basis_of(run: &RunRecord) -> Result<Basis> {
    let kept = run.reclassify_json.as_deref().unwrap_or("null");
    serde_json::from_str(kept).map_err(|e| {
        Error::Input(format!(
            "the record of run {} does not say which versions of the lake's tables it read ({e}): it was changed, or written \
             by a version of the program that did not keep them ({}); such a run cannot be made again",
            run.run_id, run.program_version
        ))
    })
}

/// Looks for a version of a table.
async fn look(lake: &Place, name: &str, version: Option<u64>) -> Result<PastTable> {
    let told = |state, why| PastTable { table: name.into(), version, state, why };
    let gone = |why: String| told(InputState::Gone, Some(why));
    let Some(version) = version else { return Ok(told(InputState::There, None)) };
    let place = lake.child(name);
    let Some(table) = Table::open(&place).await? else { return Ok(gone("the table is not there any more".into())) };
    let table = match table.at_version(version).await {
        Ok(table) => table,
        Err(e @ Error::Usage(_)) => return Ok(gone(format!("{e}; the table was made anew"))),
        Err(e) => {
            let log: Vec<String> = place.list("_delta_log").await?.into_iter().map(|object| object.name).collect();
            let there = |version: u64| log.contains(&format!("_delta_log/{version:020}.json"));
            // A log that is whole says that it is the store that fails.
            if there(0) && there(version) {
                return Err(e);
            }
            return Ok(gone(format!("the log of version {version} was cleaned up")));
        }
    };
    let lost = table.lost_files().await?;
    Ok(match lost.first() {
        None => told(InputState::There, None),
        Some(first) => gone(format!(
            "{} of the data files of version {version} are gone, such as {first}: another tool rewrote the table and \
             cleaned up",
            lost.len()
        )),
    })
}
