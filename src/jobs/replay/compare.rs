//! The rows of a run in the lake against the same rows made again, in memory that is bounded by the number of lines that one
//! pass takes.
//!
//! A pass keeps 32 bytes of every row in the lake: what its address is, and what stands in it. Rows that are made again take
//! theirs out; what is left was not made again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::config::ConfigNonZeroUsize;
use datafusion::prelude::{DataFrame, SessionContext};

use super::super::stage::Progress;
use super::super::write::Maker;
use super::canonical::{Digests, compared, in_form, same};
use super::pick::{Pick, addresses, key_of};
use super::reader::{Reader, each_batch};
use super::remake::Remake;
use super::report::{ColumnDifference, Difference, DifferenceKind, RowCounts};
use super::value::value_of;
use crate::error::{Error, Result};
use crate::sql::{self, Limits, ROLES};

/// Bytes that a row of the lake takes while a pass goes on, at most: two numbers of 16, and the room that a map keeps.
pub(super) const ROW_BYTES: u64 = 80;

type Rows = HashMap<u128, u128, foldhash::fast::RandomState>;
/// Where a row is: file, row, role.
type Address = (String, i64, String);

/// Rows that are told, the first by their address, each with what was made again if it was.
struct Noted {
    most: usize,
    rows: BTreeMap<(Address, DifferenceKind), Option<RecordBatch>>,
}

impl Noted {
    fn note(&mut self, address: Address, kind: DifferenceKind, now: impl FnOnce() -> Option<RecordBatch>) {
        let key = (address, kind);
        if self.rows.len() >= self.most && self.rows.last_key_value().is_none_or(|(last, _)| *last <= key) {
            return;
        }
        self.rows.insert(key, now());
        if self.rows.len() > self.most {
            self.rows.pop_last();
        }
    }

    fn merge(&mut self, other: Noted) {
        for ((address, kind), now) in other.rows {
            self.note(address, kind, || now);
        }
    }
}

/// What one task counted.
struct Counted {
    files: BTreeMap<String, RowCounts>,
    noted: Noted,
}

impl Counted {
    /// Nothing yet; so many differences will be told.
    fn new(told: usize) -> Counted {
        Counted { files: BTreeMap::new(), noted: Noted { most: told, rows: BTreeMap::new() } }
    }

    fn of(&mut self, file: &str) -> &mut RowCounts {
        if !self.files.contains_key(file) {
            self.files.insert(file.to_string(), RowCounts::default());
        }
        self.files.entry(file.to_string()).or_default()
    }

    fn merge(&mut self, other: Counted) {
        for (file, counts) in other.files {
            self.files.entry(file).or_default().add(&counts);
        }
        self.noted.merge(other.noted);
    }
}

/// What a run read and that is gone or changed.
#[derive(Default)]
pub(super) struct Lost {
    pub files: HashSet<String>,
    /// Whether nothing of it can be read, whatever the file.
    pub all: bool,
}

impl Lost {
    pub fn has(&self, file: &str) -> bool {
        self.all || self.files.contains(file)
    }
}

/// Both sides, and what stands in the way of comparing them.
pub(super) struct Sides<'a> {
    pub reader: &'a Reader,
    pub remake: Remake<'a>,
    /// What the run read and is gone or changed: the rows of it are left out.
    pub lost: Arc<Lost>,
    pub progress: &'a Arc<dyn Progress>,
    /// Differences that are told; all are counted.
    pub told: usize,
}

/// What came of all passes.
pub(super) struct Compared {
    pub files: BTreeMap<String, RowCounts>,
    pub differences: Vec<Difference>,
}

impl Sides<'_> {
    /// Compares the rows of these parts of a run.
    pub async fn compare(&self, parts: &[Pick]) -> Result<Compared> {
        let mut all = Counted::new(self.told);
        let mut then = BTreeMap::new();
        for part in parts {
            self.pass(part, &mut all, &mut then).await?;
            // What is no more among the first is not needed either.
            then.retain(|address: &Address, _| all.noted.rows.keys().any(|(noted, _)| noted == address));
        }
        let told = |((address, kind), now): ((Address, DifferenceKind), Option<RecordBatch>)| {
            let columns = match (&now, then.get(&address)) {
                (Some(now), Some(then)) if kind == DifferenceKind::Differing => columns(then, now)?,
                _ => Vec::new(),
            };
            let (source_file, source_row, role) = address;
            Ok(Difference { kind, source_file, source_row, role, columns })
        };
        let differences = all.noted.rows.into_iter().map(told).collect::<Result<Vec<_>>>()?;
        Ok(Compared { files: all.files, differences })
    }

    async fn pass(&self, part: &Pick, all: &mut Counted, then: &mut BTreeMap<Address, RecordBatch>) -> Result<()> {
        let rows = self.written(part, all).await?;
        let rows = match self.remake.lines(part).await? {
            Some(lines) => self.made_again(lines, rows, all).await?,
            None => rows,
        };
        let wanted: BTreeSet<Address> = all
            .noted
            .rows
            .iter()
            .filter(|((address, kind), _)| *kind == DifferenceKind::Differing && !then.contains_key(address))
            .map(|((address, _), _)| address.clone())
            .collect();
        if rows.is_empty() && wanted.is_empty() {
            return Ok(());
        }
        self.look_closer(part, rows, wanted, all, then).await
    }

    /// The lake's rows of a part.
    async fn written(&self, part: &Pick, all: &mut Counted) -> Result<Rows> {
        let rows = Arc::new(Mutex::new(Rows::default()));
        let (schema, run_id) = (compared(), self.remake.again.run.run_id.clone());
        let frame = part.filter(self.reader.rows_of(&self.remake.again.run).await?)?;
        let told = self.told;
        let state = || Ok((Digests::new(&schema)?, Counted::new(told)));
        let (into, lost, form) = (Arc::clone(&rows), Arc::clone(&self.lost), Arc::clone(&schema));
        let states = each_batch(frame, state, move |(digests, counted): &mut (Digests, Counted), batch| {
            let batch = in_form(&batch, &form)?;
            let digests = digests.of(&batch)?;
            let (files, source_rows, roles) = places(&batch)?;
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            for (row, digest) in digests.into_iter().enumerate() {
                let (file, at, role) = (text(&files, row), source_rows[row], text(&roles, row));
                if lost.has(file) {
                    counted.of(file).left_out += 1;
                } else if into.insert(key_of(&run_id, file, at, role), digest).is_some() {
                    counted.of(file).twice += 1;
                    counted.noted.note((file.to_string(), at, role.to_string()), DifferenceKind::Twice, || None);
                }
            }
            Ok(())
        });
        for (_, counted) in states.await? {
            all.merge(counted);
        }
        take(rows)
    }

    /// The same rows made again; gives those of the lake that were not.
    async fn made_again(&self, lines: DataFrame, rows: Rows, all: &mut Counted) -> Result<Rows> {
        let run = &self.remake.again.run;
        let passed_over = run.unchanged_lines.unwrap_or(0) > 0;
        let schema = compared();
        let told = self.told;
        let state = || Ok((self.remake.maker(Arc::clone(&schema))?, Digests::new(&schema)?, Counted::new(told)));
        let rows = Arc::new(Mutex::new(rows));
        let (there, run_id, progress) = (Arc::clone(&rows), run.run_id.clone(), Arc::clone(self.progress));
        let step = move |(maker, digests, counted): &mut (Box<dyn Maker>, Digests, Counted), batch: RecordBatch| {
            for made in maker.make(&batch)? {
                let digests = digests.of(&made)?;
                let (files, source_rows, roles) = places(&made)?;
                let mut there = there.lock().unwrap_or_else(PoisonError::into_inner);
                for (row, digest) in digests.into_iter().enumerate() {
                    let (file, at, role) = (text(&files, row), source_rows[row], text(&roles, row));
                    let kind = match there.remove(&key_of(&run_id, file, at, role)) {
                        Some(then) if then == digest => {
                            counted.of(file).equal += 1;
                            continue;
                        }
                        Some(_) => DifferenceKind::Differing,
                        // A line whose answer stood in the lake before the run.
                        None if passed_over => {
                            counted.of(file).unchanged += u64::from(role != ROLES[1]);
                            continue;
                        }
                        None => DifferenceKind::NotInLake,
                    };
                    match kind {
                        DifferenceKind::Differing => counted.of(file).differing += 1,
                        _ => counted.of(file).not_in_lake += 1,
                    }
                    counted.noted.note((file.to_string(), at, role.to_string()), kind, || Some(made.slice(row, 1)));
                }
            }
            progress.advance(batch.num_rows() as u64);
            Ok(())
        };
        for (_, _, counted) in each_batch(lines, state, step).await? {
            all.merge(counted);
        }
        take(rows)
    }

    /// Reads the lake once more, for the rows that were not made again and for those that are told.
    async fn look_closer(
        &self,
        part: &Pick,
        left: Rows,
        wanted: BTreeSet<Address>,
        all: &mut Counted,
        then: &mut BTreeMap<Address, RecordBatch>,
    ) -> Result<()> {
        let (schema, run_id) = (compared(), self.remake.again.run.run_id.clone());
        let frame = part.filter(self.reader.rows_of(&self.remake.again.run).await?)?;
        let form: SchemaRef = Arc::clone(&schema);
        let told = self.told;
        type Closer = (Counted, Vec<(Address, RecordBatch)>);
        let lost = Arc::clone(&self.lost);
        let states = each_batch(
            frame,
            || Ok((Counted::new(told), Vec::new())),
            move |(counted, then): &mut Closer, batch| {
                let batch = in_form(&batch, &form)?;
                let (files, source_rows, roles) = places(&batch)?;
                for (row, at) in source_rows.into_iter().enumerate() {
                    let (file, role) = (text(&files, row), text(&roles, row));
                    if lost.has(file) {
                        continue;
                    }
                    let address = (file.to_string(), at, role.to_string());
                    if wanted.contains(&address) {
                        then.push((address, batch.slice(row, 1)));
                    } else if left.contains_key(&key_of(&run_id, file, at, role)) {
                        counted.of(file).not_reproduced += 1;
                        counted.noted.note(address, DifferenceKind::NotReproduced, || None);
                    }
                }
                Ok(())
            },
        );
        for (counted, found) in states.await? {
            all.merge(counted);
            then.extend(found);
        }
        Ok(())
    }
}

/// A session of its own, whose batches may have another size.
pub(super) fn session(limits: Limits, batch_rows: Option<usize>) -> Result<SessionContext> {
    let context = sql::session(limits)?;
    if let Some(rows) = batch_rows {
        context.state_ref().write().config_mut().options_mut().execution.batch_size =
            ConfigNonZeroUsize::try_new(rows)?;
    }
    Ok(context)
}

/// Where the rows of a batch are.
fn places(batch: &RecordBatch) -> Result<(ArrayRef, Vec<i64>, ArrayRef)> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("a row of predictions has no {name}")))
    };
    let (_, rows) = addresses(column("source_file")?, column("source_row")?)?;
    Ok((Arc::clone(column("source_file")?), rows, Arc::clone(column("role")?)))
}

fn text(column: &ArrayRef, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.as_string::<i32>().value(row) }
}

fn take(rows: Arc<Mutex<Rows>>) -> Result<Rows> {
    let rows = Arc::into_inner(rows).ok_or_else(|| Error::Bug("a task of the comparison is still at work".into()))?;
    Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The columns in which two rows are not the same.
pub(super) fn columns(then: &RecordBatch, now: &RecordBatch) -> Result<Vec<ColumnDifference>> {
    let mut differing = Vec::new();
    for (field, (one, other)) in then.schema().fields().iter().zip(then.columns().iter().zip(now.columns())) {
        if !same(one, other)? {
            let (then, now) = (value_of(one, 0)?, value_of(other, 0)?);
            differing.push(ColumnDifference { column: field.name().clone(), then, now });
        }
    }
    Ok(differing)
}
