//! Which lines of the input are new or changed since the lake last answered them in the way that is asked for now.
//!
//! Of every file the last run that read it counts. If that run had the same model, policy, edition, query and challenger, then
//! the file at the same size and ETag is passed over, and in a file that was rewritten only those lines are scored whose
//! text or id is another than at the same place before. Every other file is scored whole.
//!
//! What always holds: a line is passed over only when its answer stands in the lake, and is what scoring it would give.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::Result as PlanResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr,
    lit,
};
use datafusion::prelude::{SessionContext, coalesce, ident};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{BadFile, PinnedFile, Place, Source};
use crate::sql;
use crate::text;

/// What is left to do of a source.
pub struct Changed {
    /// Files with lines to score.
    pub source: Source,
    /// Files that are passed over, and their rows.
    pub skipped_files: u64,
    pub skipped_rows: u64,
    /// The run that was last at each file that is left, for the files that had one.
    pub base: BTreeMap<String, String>,
    /// What is known of the lines of rewritten files.
    pub known: Arc<Known>,
    /// Files that runs like this one set aside, with their sizes.
    bad: HashSet<(String, u64)>,
}

/// The last run at a file.
pub(super) struct Last {
    pub(super) run_id: String,
    /// Whether it answered as is asked for now.
    same: bool,
    pub(super) size_bytes: u64,
    pub(super) e_tag: Option<String>,
    pub(super) rows: u64,
    pub(super) model_name: String,
    pub(super) model_version: u64,
    pub(super) tariff_edition: String,
}

impl Last {
    /// Whether the file is still the one that was read. Without an ETag nothing says so.
    pub(super) fn read_as_it_is(&self, file: &PinnedFile) -> bool {
        self.size_bytes == file.size_bytes() && self.e_tag.is_some() && self.e_tag.as_deref() == file.e_tag()
    }
}

impl Changed {
    /// Everything, whatever the lake holds.
    pub fn everything(source: &Source) -> Changed {
        let known = Arc::new(Known::default());
        Changed {
            source: source.clone(),
            skipped_files: 0,
            skipped_rows: 0,
            base: BTreeMap::new(),
            known,
            bad: HashSet::new(),
        }
    }

    /// Compares a source with what runs like `same` (columns of `runs` and the values that they must have) left in the lake.
    /// What is remembered of lines takes at most `memory_bytes`; files beyond that are scored whole. With `full` all are.
    ///
    /// # Errors
    /// `Registry` for codes of an older edition than the lake has of the same lines; those of the store.
    pub async fn find(
        context: &SessionContext,
        lake: &Place,
        source: &Source,
        same: &[(&str, Expr)],
        memory_bytes: usize,
        full: bool,
    ) -> Result<Changed> {
        for contract in [Contract::Runs, Contract::Predictions] {
            sql::register_table(context, lake, contract).await?;
        }
        let Past { last, runs, bad } = last_runs(context, same).await?;
        of_older_edition(source, &last, same)?;
        if full {
            return Ok(Changed::everything(source));
        }
        let unchanged =
            |file: &PinnedFile| last.get(&file.url).is_some_and(|last| last.same && last.read_as_it_is(file));
        let skipped: Vec<&PinnedFile> = source.files().iter().filter(|file| unchanged(file)).collect();
        let (skipped_files, skipped_rows) = (skipped.len() as u64, skipped.iter().map(|file| file.rows).sum());
        let skipped: BTreeSet<&str> = skipped.iter().map(|file| file.url.as_str()).collect();
        let left = source.only(|file| !skipped.contains(file.url.as_str()));
        let of_files = left.files().iter().filter_map(|file| Some((file, last.get(&file.url)?)));
        let base = of_files.clone().map(|(file, last)| (file.url.clone(), last.run_id.clone())).collect();
        let mut bytes = 0;
        let rewritten = of_files.filter(|(_, last)| last.same).map(|(file, _)| file).filter(|file| {
            bytes += file.rows as usize * size_of::<Line>();
            bytes <= memory_bytes
        });
        let rewritten: BTreeMap<String, u64> = rewritten.map(|file| (file.url.clone(), file.rows)).collect();
        let known = Arc::new(Known::read(context, rewritten, &runs).await?);
        Ok(Changed { source: left, skipped_files, skipped_rows, base, known, bad })
    }

    /// Whether nothing is left: no file to score, and none set aside that a run like this one has not told of.
    pub fn is_nothing(&self, set_aside: &[BadFile]) -> bool {
        let told = |bad: &BadFile| self.bad.contains(&(bad.url.clone(), bad.size_bytes));
        self.skipped_files > 0 && self.source.files().is_empty() && set_aside.iter().all(told)
    }
}

/// Refuses a model whose codes are of an older edition than those that the lake has of the same lines: they would count again.
fn of_older_edition(source: &Source, last: &HashMap<String, Last>, same: &[(&str, Expr)]) -> Result<()> {
    let edition = same.iter().find(|(column, _)| *column == EDITION).map(|(_, value)| value);
    let Some(Expr::Literal(ScalarValue::Utf8(Some(edition)), _)) = edition else { return Ok(()) };
    let newer = |file: &&PinnedFile| {
        last.get(&file.url).is_some_and(|last| !last.same && last.tariff_edition.as_str() > edition.as_str())
    };
    let Some(first) = source.files().iter().find(newer) else { return Ok(()) };
    let (n, run) = (source.files().iter().filter(newer).count(), &last[&first.url]);
    Err(Error::Registry(format!(
        "{n} file(s), such as {}, have answers of edition {} (run {}), and the model gives codes of {edition}, which would \
         count in their place; take a model of edition {}, or fill in what you need of the older one with harmonize backfill",
        first.url, run.tariff_edition, run.run_id, run.tariff_edition
    )))
}

/// What the runs of a lake say.
pub(super) struct Past {
    /// The last run at every file.
    pub last: HashMap<String, Last>,
    /// The place of each run in their order, and whether it answered as is asked for now.
    runs: HashMap<String, (u32, bool)>,
    /// Files that such runs set aside, with their sizes.
    bad: HashSet<(String, u64)>,
}

/// Column of the edition in which a run gave its answers.
const EDITION: &str = "tariff_edition";

/// Reads the runs, of which those are the same that have these values in these columns.
pub(super) async fn last_runs(context: &SessionContext, same: &[(&str, Expr)]) -> Result<Past> {
    let equal = |(column, value): &(&str, Expr)| {
        let equal = binary_expr(ident(*column), Operator::IsNotDistinctFrom, value.clone());
        // What a model gave in its edition, and was then taken to a later one, is as it was asked for.
        let moved = ident("command").eq(lit("reclassify")).and(ident("from_edition").eq(value.clone()));
        if *column == EDITION { equal.or(moved) } else { equal }
    };
    // What these commands leave is an answer as it is asked for now, whichever of them gave it.
    let commands = ["classify", "reclassify", "backfill"].map(lit).to_vec();
    let same = same.iter().map(equal).fold(ident("command").in_list(commands, false), Expr::and);
    let table = context.table("runs").await?;
    // The order in which the view current_predictions lets runs count.
    let order = vec![ident("run_date").sort(true, true), ident("run_id").sort(true, true)];
    let columns = vec![
        cast_to(ident("run_id"), DataType::Utf8).alias("run_id"),
        same.alias("same"),
        ident("inputs"),
        ident("run_date"),
        cast_to(ident("model_name"), DataType::Utf8).alias("model_name"),
        ident("model_version"),
        ident("quarantined"),
        cast_to(ident(EDITION), DataType::Utf8).alias(EDITION),
    ];
    // Rows that stand beside what counts are no answer.
    let counts = binary_expr(ident("scope"), Operator::IsDistinctFrom, lit("beside"));
    let batches = table.filter(counts)?.select(columns)?.sort(order)?.collect().await?;
    let (mut last, mut runs, mut bad) = (HashMap::new(), HashMap::new(), HashSet::new());
    let of_bad = Contract::Runs.schema().field_with_name("quarantined").map(|f| f.data_type().clone())?;
    let kind = Contract::Runs.schema().field_with_name("inputs").map(|f| f.data_type().clone())?;
    for batch in batches {
        let ids = batch.column(0).as_string::<i32>();
        let same = batch.column(1).as_boolean();
        let inputs = cast(batch.column(2), &kind)?;
        let inputs = inputs.as_list::<i32>();
        let (names, versions) = (batch.column(4).as_string::<i32>(), batch.column(5).as_primitive::<Int64Type>());
        let editions = batch.column(7).as_string::<i32>();
        let set_aside = cast(batch.column(6), &of_bad)?;
        let set_aside = set_aside.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let (run_id, same) = (ids.value(row).to_owned(), same.is_valid(row) && same.value(row));
            let files = inputs.value(row);
            let files = files.as_struct();
            let column = |name: &str| {
                files.column_by_name(name).ok_or_else(|| Error::Bug(format!("the inputs of a run have no {name}")))
            };
            let (urls, sizes, e_tags) = (column("url")?, column("size_bytes")?, column("e_tag")?);
            let (urls, e_tags) = (urls.as_string::<i32>(), e_tags.as_string::<i32>());
            let (sizes, lengths) = (sizes.as_primitive::<Int64Type>(), column("rows")?);
            let lengths = lengths.as_primitive::<Int64Type>();
            for at in 0..files.len() {
                let e_tag = e_tags.is_valid(at).then(|| e_tags.value(at).to_owned());
                let size_bytes = u64::try_from(sizes.value(at)).unwrap_or(0);
                let (run_id, rows) = (run_id.clone(), u64::try_from(lengths.value(at)).unwrap_or(0));
                last.insert(
                    urls.value(at).to_owned(),
                    Last {
                        run_id,
                        same,
                        size_bytes,
                        e_tag,
                        rows,
                        model_name: names.value(row).to_owned(),
                        model_version: u64::try_from(versions.value(row)).unwrap_or(0),
                        tariff_edition: editions.value(row).to_owned(),
                    },
                );
            }
            let files = set_aside.value(row);
            let files = files.as_struct();
            for at in (0..files.len()).filter(|_| same) {
                let column = |name: &str| {
                    files.column_by_name(name).ok_or_else(|| Error::Bug(format!("a file set aside has no {name}")))
                };
                let size = column("size_bytes")?.as_primitive::<Int64Type>().value(at);
                bad.insert((column("url")?.as_string::<i32>().value(at).to_owned(), u64::try_from(size).unwrap_or(0)));
            }
            let place = runs.len() as u32 + 1;
            runs.insert(run_id, (place, same));
        }
    }
    Ok(Past { last, runs, bad })
}

fn cast_to(column: Expr, kind: DataType) -> Expr {
    datafusion::logical_expr::cast(column, kind)
}

/// A line of a file as the lake last answered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    /// Place of the run in their order, from 1; 0 for none.
    run: u32,
    /// Of text and id; 0 when the answer does not count.
    mark: u64,
}

/// What the lake knows of the lines of rewritten files.
#[derive(Default)]
pub struct Known {
    files: HashMap<String, (Vec<Line>, AtomicU64)>,
    hasher: foldhash::fast::FixedState,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "known lines of {} file(s)", self.files.len())
    }
}

impl Known {
    async fn read(
        context: &SessionContext,
        rewritten: BTreeMap<String, u64>,
        runs: &HashMap<String, (u32, bool)>,
    ) -> Result<Known> {
        let mut known = Known::default();
        if rewritten.is_empty() {
            return Ok(known);
        }
        let urls: Vec<Expr> = rewritten.keys().map(|url| lit(url.as_str())).collect();
        for (url, rows) in rewritten {
            known.files.insert(url, (vec![Line::default(); rows as usize], AtomicU64::new(0)));
        }
        let served = coalesce(vec![ident("served"), lit(true)]);
        let backfilled = ident("role").eq(lit("backfill")).and(served);
        let champion = coalesce(vec![ident("role"), lit("champion")]).eq(lit("champion")).or(backfilled);
        let text = |name: &str| cast_to(ident(name), DataType::Utf8).alias(name);
        let columns =
            vec![text("source_file"), ident("source_row"), text("text_digest"), text("line_id"), text("run_id")];
        let lines =
            context.table("predictions").await?.filter(ident("source_file").in_list(urls, false).and(champion))?;
        let mut stream = lines.select(columns)?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            known.take(&batch?, runs);
        }
        Ok(known)
    }

    /// Takes in answered lines, of which the last one at a place counts.
    fn take(&mut self, batch: &RecordBatch, runs: &HashMap<String, (u32, bool)>) {
        let column = |at: usize| batch.column(at).as_string::<i32>();
        let (files, digests, ids, run_ids) = (column(0), column(2), column(3), column(4));
        let rows = batch.column(1).as_primitive::<Int64Type>();
        let mut run: (&str, (u32, bool)) = ("", (0, false));
        let mut at_file: (&str, Option<&mut Vec<Line>>) = ("", None);
        for row in 0..batch.num_rows() {
            if run_ids.value(row) != run.0 {
                run = (run_ids.value(row), runs.get(run_ids.value(row)).copied().unwrap_or_default());
            }
            if files.value(row) != at_file.0 || at_file.1.is_none() {
                at_file = (files.value(row), self.files.get_mut(files.value(row)).map(|(lines, _)| lines));
            }
            let place = usize::try_from(rows.value(row)).unwrap_or(usize::MAX);
            // Rows beyond the end are of a longer file that was there before.
            let Some(line) = at_file.1.as_mut().and_then(|lines| lines.get_mut(place)) else { continue };
            let (order, same) = run.1;
            if order < line.run {
                continue;
            }
            let digest = digests.is_valid(row).then(|| number(digests.value(row))).flatten();
            let mark = match digest.filter(|_| same) {
                Some(digest) => mark(&self.hasher, digest, ids.is_valid(row).then(|| ids.value(row))),
                // A line without a text costs nothing to answer again.
                None => 0,
            };
            *line = Line { run: order, mark };
        }
    }

    /// Lines of a file that were found unchanged.
    pub fn unchanged(&self, file: &str) -> u64 {
        self.files.get(file).map_or(0, |(_, unchanged)| unchanged.load(Ordering::Relaxed))
    }

    /// The same of all files.
    pub fn unchanged_lines(&self) -> u64 {
        self.files.values().map(|(_, unchanged)| unchanged.load(Ordering::Relaxed)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Which rows of a batch of `source_file, source_row, raw text, line_id` are to be scored; counts the others.
    fn changed(&self, args: &[arrow::array::ArrayRef]) -> Result<BooleanArray> {
        let [files, rows, texts, ids] = args else { return Err(Error::Bug("line_changed takes four columns".into())) };
        let files = files
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(|| Error::Bug("source_file is not a dictionary".into()))?;
        let names = files.values().as_string::<i32>();
        let known: Vec<_> = names.iter().map(|name| self.files.get(name?)).collect();
        let (rows, texts, ids) =
            (rows.as_primitive::<Int64Type>(), texts.as_binary_view(), cast(ids, &DataType::Utf8)?);
        let ids = ids.as_string::<i32>();
        let mut scratch = String::new();
        let mut counts = vec![0u64; known.len()];
        let keys = files.keys();
        let changed = (0..rows.len())
            .map(|row| {
                let key = keys.value(row) as usize;
                let Some((lines, _)) = known[key] else { return true };
                let place = usize::try_from(rows.value(row)).unwrap_or(usize::MAX);
                let Some(line) = lines.get(place).filter(|line| line.mark != 0) else { return true };
                let text = texts.is_valid(row).then(|| std::str::from_utf8(texts.value(row)).ok()).flatten();
                let Some(text) = text else { return true };
                // A text that is cut says so in its reasons: how it went on is not in its digest.
                if text::normalise(text, &mut scratch).truncated || scratch.is_empty() {
                    return true;
                }
                let bytes = *text::digest(&scratch).as_bytes();
                let digest = u64::from_be_bytes([
                    bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
                ]);
                let same = line.mark == mark(&self.hasher, digest, ids.is_valid(row).then(|| ids.value(row)));
                counts[key] += u64::from(same);
                !same
            })
            .collect();
        for (count, known) in counts.into_iter().zip(known) {
            if let Some((_, unchanged)) = known {
                unchanged.fetch_add(count, Ordering::Relaxed);
            }
        }
        Ok(changed)
    }
}

/// The first 64 bits of a text's digest.
fn number(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex.get(..16)?, 16).ok()
}

/// What a line is known by, never 0.
fn mark(hasher: &foldhash::fast::FixedState, digest: u64, id: Option<&str>) -> u64 {
    let mut state = hasher.build_hasher();
    digest.hash(&mut state);
    id.hash(&mut state);
    state.finish() | 1
}

/// `line_changed(source_file, source_row, text, line_id)`: whether a line is to be scored. Volatile, so that it is asked once a
/// row: it counts those that are not.
pub fn line_changed(known: Arc<Known>) -> ScalarUDF {
    ScalarUDF::new_from_impl(LineChanged { known, signature: Signature::any(4, Volatility::Volatile) })
}

#[derive(Debug)]
struct LineChanged {
    known: Arc<Known>,
    signature: Signature,
}

impl PartialEq for LineChanged {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }
}

impl Eq for LineChanged {}

impl Hash for LineChanged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.known).hash(state);
    }
}

impl ScalarUDFImpl for LineChanged {
    fn name(&self) -> &str {
        "line_changed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<PlanResult<Vec<_>>>()?;
        let changed = self.known.changed(&arrays).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(ColumnarValue::Array(Arc::new(changed)))
    }
}
