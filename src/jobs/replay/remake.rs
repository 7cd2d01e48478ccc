//! The rows of a past run, made again from what it read: lines of its files through its models, or lines of the lake's tables as
//! they were through the rules of its reclassification.

use arrow::datatypes::SchemaRef;
use datafusion::prelude::DataFrame;

use super::super::options::Purpose;
use super::super::plan::{Along, lines_of, scored};
use super::super::record::RunRecord;
use super::super::rows::RowMaker;
use super::super::write::Maker;
use super::again::Again;
use super::compare::session;
use super::pick::{Part, Pick};
use crate::error::{Error, Result};
use crate::lake::Source;
use crate::sql::Limits;

/// See the module.
pub(super) struct Remake<'a> {
    pub again: &'a Again,
    /// The files that are there, of a run that read files.
    pub source: Option<&'a Source>,
    pub limits: Limits,
    /// Rows of a batch, unless it is DataFusion's own number.
    pub batch_rows: Option<usize>,
}

impl Remake<'_> {
    /// Lines of a part, as [`Remake::maker`] takes them; `None` when there is nothing to make them of.
    pub async fn lines(&self, part: &Pick) -> Result<Option<DataFrame>> {
        if let Some(past) = &self.again.past {
            return match &part.part {
                // As conditions on the columns, so that only what may hold the line is read.
                Part::Line { file, row } => past.line(file, *row).await,
                Part::Places { .. } => past.lines().await?.map(|lines| part.filter(lines)).transpose(),
            };
        }
        let Some(source) = self.source else { return Ok(None) };
        let run = &self.again.run;
        let context = session(self.limits, self.batch_rows)?;
        let lines = part.filter(lines_of(&context, source, run.where_sql.as_deref()).await?)?;
        let champion = &self.again.champion()?.classifier;
        let beside = self.again.beside.as_ref();
        scored(lines, along(run, source), champion, beside.map(|beside| &beside.classifier)).map(Some)
    }

    /// Makes rows of them.
    pub fn maker(&self, schema: SchemaRef) -> Result<Box<dyn Maker>> {
        let run = &self.again.run;
        if let Some(past) = &self.again.past {
            let rows =
                past.rows(schema, &run.run_id).ok_or_else(|| Error::Bug("there is nothing to make rows of".into()))?;
            return Ok(Box::new(rows));
        }
        let identity = self.again.champion()?.classifier.identity.clone();
        let (store_text, beside) = (run.store_text.parse()?, self.again.beside.clone());
        Ok(Box::new(RowMaker::new(schema, identity, run.run_id.clone(), store_text, purpose_of(run), beside)))
    }
}

/// The columns that travelled along. One that only files had which are gone is null, as it was in those that are there.
fn along<'a>(run: &'a RunRecord, source: &Source) -> Along<'a> {
    let there = |column: &'a Option<String>| {
        column.as_deref().filter(|column| source.schema().column_with_name(column).is_some())
    };
    Along { id: there(&run.id_column), declared: there(&run.declared_column), value: there(&run.value_column) }
}

/// What the run was for.
fn purpose_of(run: &RunRecord) -> Purpose {
    match run.command.as_str() {
        "backfill" => Purpose::Backfill { counts: run.scope.as_deref() != Some("beside") },
        _ => Purpose::Classify,
    }
}
