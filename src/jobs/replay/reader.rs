//! What the lake says of runs: their records, and the rows that they wrote. Nothing is written.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate};
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::{col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::super::record::RunRecord;
use super::super::write::DAYS_TO_1970;
use super::canonical::in_form;
use super::value::value_of;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::sql::{self, Limits, register_lake};

/// A lake as it is now.
#[derive(Clone)]
pub struct Reader {
    context: SessionContext,
    lake: String,
}

/// The word for the run that began last.
const LATEST: &str = "latest";
/// Runs that an error names.
const NAMED: usize = 5;

impl Reader {
    /// Opens the tables of a lake.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(lake: &Place, limits: Limits) -> Result<Reader> {
        let context = sql::session(limits)?;
        register_lake(&context, lake).await?;
        Ok(Reader { context, lake: lake.url().to_string() })
    }

    /// The session with the tables.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The record of a run, by its id, by the beginning of its id, or the run that began last for `latest`.
    ///
    /// # Errors
    /// `Input` when there is no such run, `Usage` when several begin like that.
    pub async fn find(&self, wanted: &str) -> Result<RunRecord> {
        let ids = self.context.table("runs").await?.select(vec![col("run_id"), col("started_at")])?;
        let mut known: Vec<(i64, String)> = Vec::new();
        for batch in ids.collect().await? {
            let ids = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
            let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let began = arrow::compute::cast(batch.column(1), &micros)?;
            let began = began.as_primitive::<TimestampMicrosecondType>();
            known.extend(
                ids.as_string::<i32>().iter().zip(began.values()).map(|(id, at)| (*at, id.unwrap_or("").into())),
            );
        }
        known.sort();
        known.dedup();
        let id = choose(&known, wanted).map_err(|e| e.context(&self.lake))?;
        let rows = self.context.table("runs").await?.filter(col("run_id").eq(lit(id)))?;
        let rows = self.objects(rows, Some(Contract::Runs)).await?;
        let record =
            rows.into_iter().next().ok_or_else(|| Error::Input(format!("{}: run {id} went away", self.lake)))?;
        serde_json::from_value(Value::Object(record)).map_err(|e| {
            Error::Input(format!("{}: the record of run {id} in the table runs cannot be read: {e}", self.lake))
        })
    }

    /// The rows that a run wrote into `predictions`.
    pub async fn rows_of(&self, run: &RunRecord) -> Result<DataFrame> {
        let day = NaiveDate::parse_from_str(&run.run_date, "%Y-%m-%d")
            .map_err(|e| Error::Input(format!("run {}: run_date {:?}: {e}", run.run_id, run.run_date)))?;
        let day = ScalarValue::Date32(Some(day.num_days_from_ce() - DAYS_TO_1970));
        let written = self.context.table("predictions").await?;
        Ok(written.filter(col("run_date").eq(lit(day)).and(col("run_id").eq(lit(&run.run_id))))?)
    }

    /// How many there are.
    pub(super) async fn count(&self, run: &RunRecord) -> Result<u64> {
        let counted = self.rows_of(run).await?.aggregate(vec![], vec![count(lit(1i64)).alias("n")])?.collect().await?;
        let n = counted.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0)).sum::<i64>();
        Ok(n.unsigned_abs())
    }

    /// Rows as JSON objects, in the form of a contract if one is named.
    pub async fn objects(&self, rows: DataFrame, contract: Option<Contract>) -> Result<Vec<Map<String, Value>>> {
        let mut objects = Vec::new();
        for batch in rows.collect().await? {
            let batch = match contract {
                Some(contract) => in_form(&batch, contract.schema())?,
                None => batch,
            };
            for row in 0..batch.num_rows() {
                objects.push(object_of(&batch, row)?);
            }
        }
        Ok(objects)
    }
}

/// A row by its columns.
pub(in super::super) fn object_of(batch: &RecordBatch, row: usize) -> Result<Map<String, Value>> {
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column): (_, &ArrayRef)| Ok((field.name().clone(), value_of(column, row)?)));
    columns.collect::<Result<Map<String, Value>>>()
}

/// The id that is meant; `known` is in the order of time.
fn choose<'a>(known: &'a [(i64, String)], wanted: &str) -> Result<&'a str> {
    let Some((_, last)) = known.last() else {
        return Err(Error::Input("there is no run in this lake; name another with --lake".into()));
    };
    if wanted == LATEST {
        return Ok(last);
    }
    let like: Vec<&str> = known.iter().map(|(_, id)| id.as_str()).filter(|id| id.starts_with(wanted)).collect();
    match like[..] {
        _ if like.contains(&wanted) => Ok(like.into_iter().find(|id| *id == wanted).unwrap_or(last)),
        [one] => Ok(one),
        [] => Err(Error::Input(format!(
            "there is no run {wanted:?}; the last one is {last}; all: harmonize sql \"SELECT run_id FROM run_history\""
        ))),
        _ => {
            let shown = like.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if like.len() > NAMED { ", …" } else { "" };
            Err(Error::Usage(format!("{} runs begin with {wanted:?}: {shown}{more}; write more of it", like.len())))
        }
    }
}

/// Runs a frame, one task a partition, each with a state of its own; the states.
pub(super) async fn each_batch<S: Send + 'static>(
    frame: DataFrame,
    state: impl Fn() -> Result<S>,
    step: impl Fn(&mut S, RecordBatch) -> Result<()> + Send + Sync + 'static,
) -> Result<Vec<S>> {
    let step = Arc::new(step);
    let mut tasks = JoinSet::new();
    for mut stream in frame.execute_stream_partitioned().await? {
        let (mut state, step) = (state()?, Arc::clone(&step));
        tasks.spawn(async move {
            while let Some(batch) = stream.next().await {
                step(&mut state, batch?)?;
            }
            Ok::<S, Error>(state)
        });
    }
    let mut states = Vec::new();
    while let Some(task) = tasks.join_next().await {
        states.push(task.map_err(|e| Error::Bug(format!("a task gave up: {e}")))??);
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_its_id_by_a_beginning_that_is_its_own_and_as_the_latest() {
        let known: Vec<(i64, String)> = [(1, "20260101-aa"), (2, "20260101-ab"), (3, "20260102-aa"), (4, "2026")]
            .map(|(at, id)| (at, id.to_string()))
            .to_vec();
        let of = |wanted: &str| choose(&known, wanted).map(str::to_string);
        assert_eq!(of("20260101-ab").unwrap(), "20260101-ab");
        assert_eq!(of("20260102").unwrap(), "20260102-aa");
        assert_eq!(of("2026").unwrap(), "2026", "the whole id before the beginning of others");
        assert_eq!(of("latest").unwrap(), "2026");
        assert_eq!(of("20260101").unwrap_err().exit_code(), 2);
        assert_eq!(of("x").unwrap_err().exit_code(), 20);
        assert_eq!(choose(&[], "latest").unwrap_err().exit_code(), 20);
    }
}
