//! `replay`: a past run once more, from its pinned input with its pinned model and policy, and every row compared with the one
//! in the lake.
//!
//! What always holds: nothing is written; two rows are equal when every column of the contract is, floats by their bits.
//! Refuses: taking another file, model or policy for the one that the record names.

mod again;
mod canonical;
mod compare;
mod inputs;
mod pick;
mod reader;
mod remake;
mod report;
mod value;

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::prelude::col;

use super::plan::RAW_TEXT;
use super::stage::Progress;
use crate::contract::Contract;
use crate::engine::Kernel;
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::registry::Registry;
use crate::sql::{Limits, ROLES};

pub use again::{Again, Model};
pub use inputs::{Found, InputState};
pub use pick::place_of;
pub use reader::Reader;
pub(super) use reader::object_of;
pub use report::{ColumnDifference, Difference, DifferenceKind, FileReplay, Replay, RowCounts};
pub use value::{short, value_of};

use canonical::{compared, in_form};
use compare::{Lost, ROW_BYTES, Sides};
use pick::{Part, Pick, addresses};
use reader::each_batch;
use remake::Remake;

/// Which lines are scored again.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    All,
    /// A share of them, 0 to 1, by the hash of their addresses.
    Share(f64),
    /// So many of them, those that come first by that hash.
    Lines(u64),
    /// One.
    Line {
        file: String,
        row: i64,
    },
}

/// Most lines of a sample by number.
const MAX_SAMPLE: u64 = 10_000_000;

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sample::All => f.write_str("all lines"),
            Sample::Share(share) => write!(f, "{}% of the lines", (1e8 * share).round() / 1e6),
            Sample::Lines(lines) => write!(f, "{lines} lines"),
            Sample::Line { file, row } => write!(f, "row {row} of {file}"),
        }
    }
}

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Root of the program's own tables.
    pub lake: Place,
    /// A run's id, a beginning of it that is its own, or `latest`.
    pub run: String,
    pub sample: Sample,
    pub limits: Limits,
    /// Instruction set to score with; the fastest of the machine unless one is named.
    pub kernel: Option<Kernel>,
    /// Rows that are scored at once, unless it is the program's own number.
    pub batch_rows: Option<usize>,
    /// Differences that are told, the first by file and row; all are counted.
    pub told: usize,
}

/// A run that was replayed.
pub struct Replayed {
    pub report: Replay,
    pub reader: Reader,
    pub again: Again,
}

/// A line that was asked for again.
pub struct Asked {
    /// The description as the input holds it now, with U+FFFD where it is not UTF-8; `None` for a null.
    pub description: Option<String>,
    /// Whether it is UTF-8.
    pub valid: bool,
    /// Its rows by their columns, the champion's first.
    pub rows: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Scores a run again and compares.
///
/// # Errors
/// `Input` when there is no such run or its record does not hold together, `Registry` when a model is gone or another one, and
/// those of the store. Rows that are not the same are no error.
pub async fn replay(options: &ReplayOptions, registry: &Registry, progress: Arc<dyn Progress>) -> Result<Replayed> {
    let reader = Reader::open(&options.lake, options.limits).await?;
    let run = reader.find(&options.run).await?;
    let again = Again::load(run, registry, options.kernel).await?;
    let again = again.look_back(&options.lake, options.limits, options.batch_rows).await?;
    let files = again.run.inputs.iter().filter(|file| match &options.sample {
        Sample::Line { file: wanted, .. } => file.url == *wanted,
        _ => true,
    });
    let files: Vec<_> = files.cloned().collect();
    let found = match &again.past {
        Some(_) => inputs::not_read(&files),
        None => inputs::look(&files).await?,
    };
    let lost = found.iter().filter(|found| matches!(found.state, InputState::Gone | InputState::Changed));
    let files = lost.map(|found| found.file.url.clone()).collect();
    let all = again.past.as_ref().is_some_and(|past| !past.is_ready());
    let lost = Arc::new(Lost { files, all });
    let source = inputs::pin(&found, &again.run.text_column).await?;
    let pick = pick(options, &reader, &again, &lost).await?;
    let rows = reader.count(&again.run).await? as f64 * pick.share();
    progress.expect((again.run.lines_read as f64 * pick.share()) as u64);
    // Half of the memory for what is kept of rows.
    let passes = (rows * ROW_BYTES as f64 / (options.limits.memory_bytes as f64 / 2.0)).ceil();
    let remake =
        Remake { again: &again, source: source.as_ref(), limits: options.limits, batch_rows: options.batch_rows };
    let sides = Sides { reader: &reader, remake, lost, progress: &progress, told: options.told };
    let compared = sides.compare(&pick.split(passes.max(1.0) as u64)).await?;
    if let Some(source) = &source {
        source.recheck().await?;
    }
    let report = report(&again, &options.sample, found, compared);
    Ok(Replayed { report, reader, again })
}

fn report(again: &Again, sample: &Sample, found: Vec<Found>, mut compared: compare::Compared) -> Replay {
    let counted = |found: Found| {
        let counts = compared.files.remove(&found.file.url).unwrap_or_default();
        FileReplay { found, counts }
    };
    let files: Vec<FileReplay> = found.into_iter().map(counted).collect();
    let mut rows = RowCounts::default();
    files.iter().map(|file| &file.counts).chain(compared.files.values()).for_each(|counts| rows.add(counts));
    let strange: BTreeMap<String, u64> =
        compared.files.iter().map(|(file, counts)| (file.clone(), counts.unequal() + counts.equal)).collect();
    let mut report = Replay {
        run_id: again.run.run_id.clone(),
        models: again.models.iter().map(|model| model.classifier.identity.model()).collect(),
        program_then: again.run.program_version.clone(),
        program_now: env!("CARGO_PKG_VERSION").into(),
        sample: (*sample != Sample::All).then(|| sample.to_string()),
        files,
        tables: again.past.as_ref().map(|past| past.tables.clone()).unwrap_or_default(),
        strange_files: strange,
        rows,
        unchanged_then: again.run.unchanged_lines.unwrap_or(0),
        differences: compared.differences,
        why: Vec::new(),
    };
    report.why = report.reasons();
    report
}

/// The places of a sample.
async fn pick(options: &ReplayOptions, reader: &Reader, again: &Again, lost: &Arc<Lost>) -> Result<Pick> {
    let all = Pick::all(&again.run.run_id);
    let to = match &options.sample {
        Sample::All => return Ok(all),
        Sample::Line { file, row } => return Ok(Pick { part: Part::Line { file: file.clone(), row: *row }, ..all }),
        Sample::Share(share) if *share >= 1.0 => return Ok(all),
        Sample::Share(share) => (share * 2f64.powi(64)) as u64,
        Sample::Lines(lines) if *lines > MAX_SAMPLE => {
            return Err(Error::Usage(format!(
                "a sample of {lines} lines is too large; give at most {MAX_SAMPLE}, or a share"
            )));
        }
        Sample::Lines(lines) => {
            let first = first_places(reader, again, *lines as usize, lost).await?;
            if first.len() < *lines as usize {
                return Ok(all);
            }
            first.into_iter().max().unwrap_or(u64::MAX)
        }
    };
    Ok(Pick { part: Part::Places { from: 0, to }, ..all })
}

/// The lowest places of lines in the lake whose file is there, at most `wanted`.
async fn first_places(reader: &Reader, again: &Again, wanted: usize, lost: &Arc<Lost>) -> Result<Vec<u64>> {
    let rows = reader.rows_of(&again.run).await?;
    let rows = rows.select(vec![col("source_file"), col("source_row"), col("role")])?;
    let (run_id, lost) = (again.run.run_id.clone(), Arc::clone(lost));
    let keep = move |heap: &mut BinaryHeap<u64>, place: u64| {
        heap.push(place);
        if heap.len() > wanted {
            heap.pop();
        }
    };
    let step = move |heap: &mut BinaryHeap<u64>, batch: RecordBatch| {
        let (files, source_rows) = addresses(batch.column(0), batch.column(1))?;
        let roles = arrow::compute::cast(batch.column(2), &arrow::datatypes::DataType::Utf8)?;
        let roles = roles.as_string::<i32>();
        for (row, (file, at)) in files.iter().zip(source_rows).enumerate() {
            let champion = roles.is_null(row) || roles.value(row) == ROLES[0];
            let file = file.unwrap_or_default();
            if champion && !lost.has(file) {
                keep(heap, place_of(&run_id, file, at));
            }
        }
        Ok(())
    };
    let heaps = each_batch(rows, || Ok(BinaryHeap::new()), step).await?;
    let mut all: Vec<u64> = heaps.into_iter().flatten().collect();
    all.sort_unstable();
    all.truncate(wanted);
    Ok(all)
}

impl Replayed {
    /// The rows of so many lines, those that come first by the hash of their addresses, in the order of files and rows.
    ///
    /// # Errors
    /// Those of reading the lake.
    pub async fn sample(&self, lines: usize) -> Result<Vec<serde_json::Map<String, serde_json::Value>>> {
        let first = first_places(&self.reader, &self.again, lines, &Arc::default()).await?;
        let Some(to) = first.last() else { return Ok(Vec::new()) };
        let pick = Pick { part: Part::Places { from: 0, to: *to }, ..Pick::all(&self.again.run.run_id) };
        let rows = pick.filter(self.reader.rows_of(&self.again.run).await?)?;
        let order = ["source_file", "source_row", "role"].map(|name| col(name).sort(true, true));
        self.reader.objects(rows.sort(order.to_vec())?, Some(Contract::Predictions)).await
    }

    /// Asks for one line again; `None` when what the run read of it is gone or changed, or the run's filter does not let it
    /// through.
    ///
    /// # Errors
    /// Those of reading it.
    pub async fn ask(&self, file: &str, row: i64, limits: Limits) -> Result<Option<Asked>> {
        let found: Vec<Found> =
            self.report.files.iter().map(|known| known.found.clone()).filter(|found| found.file.url == file).collect();
        let run = &self.again.run;
        let source = inputs::pin(&found, &run.text_column).await?;
        let remake = Remake { again: &self.again, source: source.as_ref(), limits, batch_rows: None };
        let pick = Pick { run_id: run.run_id.clone(), part: Part::Line { file: file.into(), row } };
        let Some(lines) = remake.lines(&pick).await? else { return Ok(None) };
        let answered = lines.collect().await?.into_iter().find(|batch| batch.num_rows() > 0);
        let Some(batch) = answered else { return Ok(None) };
        let schema = compared();
        let mut rows = Vec::new();
        for made in remake.maker(Arc::clone(&schema))?.make(&batch)? {
            rows.push(object_of(&in_form(&made, &schema)?, 0)?);
        }
        let (description, valid) = match batch.column_by_name(RAW_TEXT) {
            Some(text) => {
                let bytes = text.is_valid(0).then(|| text.as_binary_view().value(0).to_vec());
                let valid = bytes.as_ref().is_none_or(|bytes| std::str::from_utf8(bytes).is_ok());
                (bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()), valid)
            }
            // A line of the lake, whose text the row has.
            None => (None, true),
        };
        Ok(Some(Asked { description, valid, rows }))
    }
}
