//! The view `current_predictions` without a sort: which rows of each run a later one answered is read from four narrow columns
//! into bitmaps, once for a version of the tables, and the rows that count are let through as they stand.
//!
//! What always holds: the rows are those of `queries/current_predictions.sql`, which is the view's definition and what other
//! engines run. A run answers a line once; of two answers that one run gave, both would pass.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TableProviderFilterPushDown, TableType, Volatility, lit,
};
use datafusion::physical_plan::{ExecutionPlan, collect, execute_stream_partitioned};
use datafusion::prelude::{coalesce, ident};
use futures::StreamExt;
use roaring::RoaringTreemap;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::contract::Contract;

/// What says where an answer stands, and when it was given.
const KEY: [&str; 4] = ["source_file", "source_row", "run_date", "run_id"];

/// See the module.
pub(super) struct Newest {
    predictions: Arc<dyn TableProvider>,
    shortened: Arc<dyn TableProvider>,
    schema: SchemaRef,
    sql: String,
    answered: OnceCell<Arc<Answered>>,
}

impl Newest {
    /// Over the table `predictions` and the view `shortened_files`, with the columns of `schema`.
    pub fn of(
        predictions: Arc<dyn TableProvider>,
        shortened: Arc<dyn TableProvider>,
        schema: SchemaRef,
        sql: &str,
    ) -> Arc<dyn TableProvider> {
        Arc::new(Newest { predictions, shortened, schema, sql: sql.into(), answered: OnceCell::new() })
    }

    fn served(&self) -> Result<LogicalPlanBuilder> {
        let name = Contract::Predictions.table();
        LogicalPlanBuilder::scan(name, provider_as_source(Arc::clone(&self.predictions)), None)?
            .filter(coalesce(vec![ident("served"), lit(true)]))
    }

    async fn answered(&self, state: &dyn Session) -> Result<Arc<Answered>> {
        let made = self.answered.get_or_try_init(|| async { self.read(state).await.map(Arc::new) }).await?;
        Ok(Arc::clone(made))
    }

    async fn read(&self, state: &dyn Session) -> Result<Answered> {
        let columns = KEY.map(ident).to_vec();
        let plan = state.create_physical_plan(&self.served()?.project(columns)?.build()?).await?;
        let mut tasks = JoinSet::new();
        for mut stream in execute_stream_partitioned(plan, state.task_ctx())? {
            tasks.spawn(async move {
                let mut runs = Runs::default();
                while let Some(batch) = stream.next().await {
                    take_in(&mut runs, &batch?)?;
                }
                Ok::<_, DataFusionError>(runs)
            });
        }
        let mut runs = Runs::default();
        while let Some(done) = tasks.join_next().await {
            for (file, theirs) in done.map_err(|e| DataFusionError::External(Box::new(e)))?? {
                let ours: &mut BTreeMap<_, _> = runs.entry(file).or_default();
                for (run, rows) in theirs {
                    *ours.entry(run).or_default() |= rows;
                }
            }
        }
        let mut answered = Answered::of(runs);
        let columns = vec![ident("url"), ident("row_count")];
        let shortened = provider_as_source(Arc::clone(&self.shortened));
        let plan = LogicalPlanBuilder::scan("shortened_files", shortened, None)?.project(columns)?.build()?;
        for batch in collect(state.create_physical_plan(&plan).await?, state.task_ctx()).await? {
            let urls = cast(batch.column(0), &DataType::Utf8)?;
            let rows = cast(batch.column(1), &DataType::Int64)?;
            for (url, rows) in urls.as_string::<i32>().iter().zip(rows.as_primitive::<Int64Type>()) {
                if let (Some(url), Some(rows)) = (url, rows) {
                    answered.files.entry(url.into()).or_default().end = Some(rows);
                }
            }
        }
        Ok(answered)
    }
}

impl fmt::Debug for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "current_predictions")
    }
}

#[async_trait]
impl TableProvider for Newest {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.sql)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Whether an answer counts does not depend on what else is asked of it.
        let passes = |filter: &&Expr| match filter.is_volatile() || has_subquery(filter) {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Exact,
        };
        Ok(filters.iter().map(passes).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let counts = ScalarUDF::new_from_impl(Counts {
            answered: self.answered(state).await?,
            signature: Signature::any(KEY.len(), Volatility::Immutable),
        });
        let mut lines = self.served()?;
        if let Some(asked) = conjunction(filters.to_vec()) {
            lines = lines.filter(asked)?;
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all).iter().map(|at| ident(self.schema.field(*at).name()));
        let lines = lines.filter(counts.call(KEY.map(ident).to_vec()))?.project(columns.collect::<Vec<_>>())?;
        state.create_physical_plan(&lines.limit(0, limit)?.build()?).await
    }
}

fn has_subquery(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    let is = |e: &Expr| {
        matches!(e, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
    };
    expr.exists(|e| Ok(is(e))).unwrap_or(true)
}

/// Day and id of a run: the order in which runs count.
type Run = (i32, String);

/// The rows that each run answered, by file.
type Runs = HashMap<String, BTreeMap<Run, RoaringTreemap>>;

/// What runs later than another answered.
#[derive(Default)]
struct Answered {
    /// Files that are not here have the answers of one run, and all of them count.
    files: HashMap<String, File>,
}

#[derive(Default)]
struct File {
    /// By run, the rows that a later one answered; the last run is not here.
    later: HashMap<Run, RoaringTreemap>,
    /// Rows from here on are gone from the file.
    end: Option<i64>,
}

impl Answered {
    fn of(runs: Runs) -> Answered {
        let mut files = HashMap::new();
        for (file, runs) in runs.into_iter().filter(|(_, runs)| runs.len() > 1) {
            let (mut later, mut all) = (HashMap::new(), RoaringTreemap::new());
            for (run, rows) in runs.into_iter().rev() {
                if !all.is_empty() {
                    later.insert(run, all.clone());
                }
                all |= rows;
                all.optimize();
            }
            files.insert(file, File { later, end: None });
        }
        Answered { files }
    }

    /// Which of these answers count.
    fn counting(&self, columns: &[ArrayRef]) -> Result<BooleanArray> {
        let mut counting = BooleanBufferBuilder::new(columns[0].len());
        stretches(columns, |file, day, run, rows| {
            let Some(file) = self.files.get(file) else { return counting.append_n(rows.len(), true) };
            let end = file.end.unwrap_or(i64::MAX);
            let Some(later) = file.later.get(&(day, run.to_string())) else {
                return rows.iter().for_each(|row| counting.append(*row < end));
            };
            let (low, high) =
                rows.iter().fold((u64::MAX, 0), |(low, high), row| (low.min(*row as u64), high.max(*row as u64)));
            match later.range_cardinality(low..=high) {
                n if n == (high - low).saturating_add(1) => counting.append_n(rows.len(), false),
                0 => rows.iter().for_each(|row| counting.append(*row < end)),
                _ => rows.iter().for_each(|row| counting.append(*row < end && !later.contains(*row as u64))),
            }
        })?;
        Ok(BooleanArray::new(counting.finish(), None))
    }
}

/// Adds the rows of a batch.
fn take_in(runs: &mut Runs, batch: &RecordBatch) -> Result<()> {
    stretches(batch.columns(), |file, day, run, rows| {
        if !runs.contains_key(file) {
            runs.insert(file.into(), BTreeMap::new());
        }
        let Some(of_file) = runs.get_mut(file) else { return };
        let answered = of_file.entry((day, run.into())).or_default();
        let mut rest = rows;
        while let Some((first, _)) = rest.split_first() {
            let next = rest.iter().zip(*first..).take_while(|(row, expected)| *row == expected).count();
            answered.insert_range(*first as u64..=(*first as u64 + next as u64 - 1));
            rest = &rest[next..];
        }
    })
}

/// Calls `each` with file, day, run and rows of every stretch of one file and run, in order.
fn stretches(columns: &[ArrayRef], mut each: impl FnMut(&str, i32, &str, &[i64])) -> Result<()> {
    let [files, rows, days, runs] = columns else { return internal_err!("{} columns", columns.len()) };
    let (files, runs) = (cast(files, &DataType::Utf8View)?, cast(runs, &DataType::Utf8View)?);
    let (files, runs) = (files.as_string_view(), runs.as_string_view());
    let rows = rows.as_primitive::<Int64Type>().values();
    let days = days.as_primitive::<Date32Type>().values();
    // Equal views are equal texts.
    let same = |a: usize, b: usize| {
        days[a] == days[b]
            && (runs.views()[a] == runs.views()[b] || runs.value(a) == runs.value(b))
            && (files.views()[a] == files.views()[b] || files.value(a) == files.value(b))
    };
    let mut from = 0;
    while from < rows.len() {
        let to = (from + 1..rows.len()).find(|to| !same(from, *to)).unwrap_or(rows.len());
        let Range { start, end } = from..to;
        each(files.value(start), days[start], runs.value(start), &rows[start..end]);
        from = to;
    }
    Ok(())
}

/// `counts(source_file, source_row, run_date, run_id)`: whether the answer is the newest of its line.
struct Counts {
    answered: Arc<Answered>,
    signature: Signature,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counts")
    }
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.answered, &other.answered)
    }
}

impl Eq for Counts {}

impl Hash for Counts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.answered).hash(state);
    }
}

impl ScalarUDFImpl for Counts {
    fn name(&self) -> &str {
        "counts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(self.answered.counting(&columns)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::small::Small;
    use super::super::{Limits, VIEWS, session};
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use arrow::json::ReaderBuilder;
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};
    use serde_json::{Value, json};

    /// A table of a contract in three parts with these rows; what they lack is null.
    fn table(contract: Contract, rows: &[Value]) -> Arc<dyn TableProvider> {
        let fields = contract.schema().fields().iter().map(|f| Field::clone(f).with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut parts = vec![Vec::new(); 3];
        for (at, some) in rows.chunks(rows.len().div_ceil(5).max(1)).enumerate() {
            let mut reader = ReaderBuilder::new(Arc::clone(&schema)).build_decoder().unwrap();
            reader.serialize(some).unwrap();
            parts[at % 3].extend(reader.flush().unwrap());
        }
        Arc::new(MemTable::try_new(schema, parts).unwrap())
    }

    /// Runs that each answer all, some stretches or scattered rows of some files, which may become shorter.
    fn random_lake(random: &mut SmallRng) -> (Vec<Value>, Vec<Value>) {
        let (mut predictions, mut runs) = (Vec::new(), Vec::new());
        let lengths: Vec<i64> = (0..4).map(|_| random.random_range(1..150)).collect();
        for run in 0..random.random_range(0..6) {
            let day = format!("2026-03-0{}", random.random_range(1..4));
            let run = format!("20260301T00000{run}Z-{}", "0123456789ab".repeat(random.random_range(0..2)));
            let mut inputs = Vec::new();
            for (file, length) in lengths.iter().enumerate() {
                if random.random_range(0..3) == 0 {
                    continue;
                }
                let length = if random.random_range(0..4) == 0 { length / 2 } else { *length };
                let url = format!("s3://bucket/a folder with a long name/file-{file}.parquet");
                inputs.push(json!({"url": url, "rows": length, "size_bytes": 1}));
                let (kind, beside) = (random.random_range(0..3), random.random_range(0..4) == 0);
                let from = random.random_range(0..length + 1);
                for row in 0..length {
                    let answered = match kind {
                        0 => true,
                        1 => row >= from,
                        _ => random.random_range(0..2) == 0,
                    };
                    if answered {
                        let served = [Value::Null, json!(true)][random.random_range(0..2)].clone();
                        let line = |role: &str, served: Value| {
                            json!({"source_file": url, "source_row": row, "run_id": run, "run_date": day, "served": served,
                                   "role": role, "hs6": format!("{:06}", random_code(row)), "decision": "accept"})
                        };
                        predictions.push(line("champion", served));
                        if beside {
                            predictions.push(line("challenger", json!(false)));
                        }
                    }
                }
            }
            runs.push(json!({"run_id": run, "run_date": day, "inputs": inputs}));
        }
        (predictions, runs)
    }

    fn random_code(row: i64) -> i64 {
        row * 7_919 % 1_000_000
    }

    fn lake(predictions: &[Value], runs: &[Value]) -> (SessionContext, SessionContext) {
        let limits = Limits { memory_bytes: 64 << 20, threads: 2 };
        let (plain, ours) = (session(limits).unwrap(), session(limits).unwrap());
        let predictions = table(Contract::Predictions, predictions);
        let sql = |name: &str| VIEWS.iter().find(|(of, _)| *of == name).unwrap().1;
        plain.register_table("predictions", Arc::clone(&predictions)).unwrap();
        plain.register_table("runs", table(Contract::Runs, runs)).unwrap();
        let plan = |name: &str| futures::executor::block_on(plain.state().create_logical_plan(sql(name))).unwrap();
        let shortened = Small::of(plan("shortened_files"));
        plain.register_table("shortened_files", Arc::clone(&shortened)).unwrap();
        let current = plan("current_predictions");
        let schema = Arc::new(current.schema().as_arrow().clone());
        let sorted = datafusion::catalog::view::ViewTable::new(current, None);
        plain.register_table("current_predictions", Arc::new(sorted)).unwrap();
        let newest = Newest::of(predictions, shortened, schema, sql("current_predictions"));
        ours.register_table("current_predictions", newest).unwrap();
        (plain, ours)
    }

    async fn ask(context: &SessionContext, query: &str) -> String {
        let lines = context.sql(query).await.unwrap();
        let schema = lines.schema().as_arrow().clone();
        let batches = lines.collect().await.unwrap();
        for batch in &batches {
            assert_eq!(batch.schema().fields(), schema.fields(), "{query}");
        }
        pretty_format_batches(&batches).unwrap().to_string()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_rows_are_those_of_the_views_own_sql() {
        let mut dropped = 0;
        for seed in 0..40 {
            let mut random = SmallRng::seed_from_u64(seed);
            let (predictions, runs) = random_lake(&mut random);
            let (plain, ours) = lake(&predictions, &runs);
            for query in [
                "SELECT * FROM current_predictions ORDER BY source_file, source_row",
                "SELECT count(*) FROM current_predictions",
                "SELECT run_id, count(*) FROM current_predictions WHERE source_row % 3 = 1 GROUP BY 1 ORDER BY 1",
                "SELECT hs6 FROM current_predictions WHERE source_file LIKE '%-1.parquet' AND run_date > '2026-03-01' ORDER BY source_row LIMIT 5",
                "SELECT count(*) FROM (SELECT 1 FROM current_predictions LIMIT 7)",
                "SELECT source_row FROM current_predictions WHERE source_row = (SELECT max(source_row) FROM current_predictions) ORDER BY source_file",
            ] {
                assert_eq!(ask(&ours, query).await, ask(&plain, query).await, "seed {seed}: {query}");
            }
            let left = ours.sql("SELECT * FROM current_predictions").await.unwrap().count().await.unwrap();
            dropped += usize::from(left < predictions.len());
        }
        assert!(dropped > 20, "{dropped} of 40 lakes have answers that do not count");
    }
}
