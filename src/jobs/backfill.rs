//! `backfill`: what is missing in the lake's past, or was answered by a version that was withdrawn, found and filled in.
//!
//! Files are grouped by partition, which is the folder that they are in, and partitions are done oldest first, each as one run of
//! its own: what is done stays done, and a second start goes on behind it. What was there stays; the new rows have the role
//! `backfill` and count from then on. Rows that are made again although an answer counts stand beside it and do not count.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use chrono::{NaiveDate, Utc};
use datafusion::logical_expr::{cast, lit};
use datafusion::prelude::{SessionContext, ident};
use serde::Serialize;

use super::changed::{Last, last_runs};
use super::classify::classify;
use super::options::{ClassifyOptions, OnBadFile, Purpose};
use super::settle::Ending;
use super::stage::{Progress, Stage};
use crate::error::{Error, Result};
use crate::lake::{PinnedFile, Source, SourceOptions};
use crate::registry::Loaded;
use crate::sql;

/// Why a file is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No run has read it.
    Missing,
    /// It was rewritten since a run read it.
    Changed,
    /// The version that answered it was withdrawn.
    Withdrawn,
    /// Its answer counts, and it is asked for again all the same.
    Again,
}

impl Why {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Missing => "missing",
            Why::Changed => "changed",
            Why::Withdrawn => "withdrawn",
            Why::Again => "again",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which files are looked at, and which of them are to be done.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// First and last day of the partitions, both included.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// Text that the partition's name has to hold.
    pub partition: Option<String>,
    /// Versions that were withdrawn, as `(name, version)`.
    pub withdrawn: Vec<(String, u64)>,
    /// Whether files whose answer counts are done too.
    pub again: bool,
}

/// One partition of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Partition {
    /// The folder, as a URL.
    pub name: String,
    /// Its day, where its name says one.
    pub date: Option<NaiveDate>,
    pub files: Vec<String>,
    pub rows: u64,
    pub size_bytes: u64,
    /// Files by why they are to be done.
    pub why: BTreeMap<Why, u64>,
    /// Whether its rows will count: none of its files has an answer that does.
    pub counts: bool,
}

/// What is to be done, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub partitions: Vec<Partition>,
    /// Files that need nothing, and their rows.
    pub answered_files: u64,
    pub answered_rows: u64,
    /// Lines a second of the newest run that scored at least a thousand; `None` without one.
    pub lines_per_sec: Option<f64>,
}

impl Plan {
    /// Rows of all partitions.
    pub fn rows(&self) -> u64 {
        self.partitions.iter().map(|p| p.rows).sum()
    }

    /// Seconds that it takes at the speed of the last run, or at a lower limit.
    pub fn secs(&self, max_lines_per_sec: Option<f64>) -> Option<f64> {
        let speed = match (self.lines_per_sec, max_lines_per_sec) {
            (Some(seen), Some(most)) => Some(seen.min(most)),
            (seen, most) => seen.or(most),
        };
        speed.filter(|speed| *speed > 0.0).map(|speed| self.rows() as f64 / speed)
    }
}

/// Looks for what is to be done.
///
/// # Errors
/// `Input` when there is nothing to read, or a range of days is asked for and a partition's name says no day.
pub async fn plan(options: &ClassifyOptions, wanted: &Wanted) -> Result<Plan> {
    let quarantine = options.on_bad_file == OnBadFile::Quarantine;
    let source = Source::pin(&options.inputs, SourceOptions { text: options.text.clone(), quarantine }).await?;
    let context = sql::session(options.limits)?;
    sql::register_lake(&context, &options.lake).await?;
    let last = last_runs(&context, &[]).await?.last;
    let (mut partitions, mut answered) = (BTreeMap::<(Option<NaiveDate>, String), Partition>::new(), (0, 0));
    for file in source.files() {
        let name = file.url.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let date = day_in(&name);
        if wanted.partition.as_ref().is_some_and(|text| !name.contains(text)) {
            continue;
        }
        if wanted.from.is_some() || wanted.to.is_some() {
            let Some(day) = date else {
                return Err(Error::Input(format!(
                    "{name}: the folder's name says no day, as date=2026-03-01, 2026-03-01 or 2026/03/01 do; leave out --from and --to, \
                     or pick with --partition"
                )));
            };
            if wanted.from.is_some_and(|from| day < from) || wanted.to.is_some_and(|to| day > to) {
                continue;
            }
        }
        let Some(why) = why(file, last.get(&file.url), wanted) else {
            answered.0 += 1;
            answered.1 += file.rows;
            continue;
        };
        let partition = partitions.entry((date, name.clone())).or_insert_with(|| Partition {
            name,
            date,
            files: Vec::new(),
            rows: 0,
            size_bytes: 0,
            why: BTreeMap::new(),
            counts: true,
        });
        partition.files.push(file.url.clone());
        partition.rows += file.rows;
        partition.size_bytes += file.size_bytes();
        *partition.why.entry(why).or_default() += 1;
        partition.counts &= why != Why::Again;
    }
    Ok(Plan {
        partitions: partitions.into_values().collect(),
        answered_files: answered.0,
        answered_rows: answered.1,
        lines_per_sec: speed(&context).await?,
    })
}

fn why(file: &PinnedFile, last: Option<&Last>, wanted: &Wanted) -> Option<Why> {
    let Some(last) = last else { return Some(Why::Missing) };
    if !last.read_as_it_is(file) {
        return Some(Why::Changed);
    }
    if wanted.withdrawn.iter().any(|(name, version)| *name == last.model_name && *version == last.model_version) {
        return Some(Why::Withdrawn);
    }
    wanted.again.then_some(Why::Again)
}

/// The day that a folder's name says: `2026-03-01` anywhere in it, or the folders `2026/03/01` or `year=2026/month=03/day=01`.
fn day_in(name: &str) -> Option<NaiveDate> {
    let is_day = |at: usize| name.get(at..at + 10).and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
    // The last one is the innermost.
    if let Some(day) = (0..name.len().saturating_sub(9)).rev().find_map(is_day) {
        return Some(day);
    }
    let parts: Vec<&str> = name.split('/').map(|part| part.rsplit_once('=').map_or(part, |(_, value)| value)).collect();
    parts.windows(3).rev().find_map(|three| {
        let digits =
            three.iter().zip([4, 2, 2]).all(|(part, n)| part.len() == n && part.bytes().all(|b| b.is_ascii_digit()));
        if !digits {
            return None;
        }
        NaiveDate::from_ymd_opt(three[0].parse().ok()?, three[1].parse().ok()?, three[2].parse().ok()?)
    })
}

/// Lines a second of the newest `classify` that tells: a reclassification scores few of its lines, and a backfill may be held back.
async fn speed(context: &SessionContext) -> Result<Option<f64>> {
    let speed = cast(ident("lines_written"), DataType::Float64) / ident("score_secs");
    let last = context
        .table("runs")
        .await?
        .filter(
            ident("command")
                .eq(lit("classify"))
                .and(ident("lines_written").gt_eq(lit(1000i64)))
                .and(ident("score_secs").gt(lit(0.0))),
        )?
        .select(vec![speed.alias("speed"), ident("run_id")])?
        .sort(vec![ident("run_id").sort(false, false)])?
        .limit(0, Some(1))?
        .collect()
        .await?;
    let batch = last.iter().find(|batch| batch.num_rows() > 0);
    Ok(batch
        .map(|batch| batch.column(0).as_primitive::<arrow::datatypes::Float64Type>())
        .filter(|c| c.is_valid(0))
        .map(|c| c.value(0)))
}

/// Does one partition.
///
/// # Errors
/// Those of `classify`.
pub async fn fill(
    options: &ClassifyOptions,
    partition: &Partition,
    loaded: &Loaded,
    max_lines_per_sec: Option<f64>,
    progress: Arc<dyn Progress>,
) -> Result<Ending> {
    let of_partition = ClassifyOptions {
        inputs: partition.files.clone(),
        full: true,
        purpose: Purpose::Backfill { counts: partition.counts },
        started_at: Utc::now(),
        ..options.clone()
    };
    let progress: Arc<dyn Progress> = match max_lines_per_sec {
        Some(most) => Arc::new(Slow { inner: progress, most, began: Instant::now(), lines: AtomicU64::new(0) }),
        None => progress,
    };
    classify(&of_partition, loaded, None, progress).await
}

/// Holds the writing tasks back so that they pass so many lines a second at most.
struct Slow {
    inner: Arc<dyn Progress>,
    most: f64,
    began: Instant,
    lines: AtomicU64,
}

impl Progress for Slow {
    fn stage(&self, stage: Stage) {
        self.inner.stage(stage);
    }

    fn expect(&self, lines: u64) {
        self.inner.expect(lines);
    }

    fn advance(&self, lines: u64) {
        self.inner.advance(lines);
        let passed = self.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        let due = Duration::from_secs_f64(passed as f64 / self.most);
        let wait = due.saturating_sub(self.began.elapsed());
        if !wait.is_zero() {
            tokio::task::block_in_place(|| std::thread::sleep(wait));
        }
    }
}

/// The versions of a model that were withdrawn, by its events.
pub fn retired(history: &crate::registry::History) -> Vec<(String, u64)> {
    let state = history.state();
    let retired = state.versions().iter().filter(|(_, known)| known.retired.is_some());
    retired.map(|(version, _)| (history.name().to_owned(), *version)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_a_partition_is_read_from_its_folders() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (name, expected) in [
            ("s3://lines/date=2026-03-01", Some(day("2026-03-01"))),
            ("s3://lines/2026-02-28/part", Some(day("2026-02-28"))),
            ("file:///in/2026/03/01", Some(day("2026-03-01"))),
            ("file:///in/year=2026/month=03/day=09/x", Some(day("2026-03-09"))),
            ("s3://2020-01-01/date=2026-03-01", Some(day("2026-03-01"))),
            ("s3://lines/2026-02-30", None),
            ("s3://lines/2026/13/01", None),
            ("s3://lines/märz", None),
            ("", None),
        ] {
            assert_eq!(day_in(name), expected, "{name}");
        }
    }
}
