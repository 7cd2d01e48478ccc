//! Sessions over the tables of `tests/queries/scored_once.sql`, with the rule that scores each line once and without it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::util::display::FormatOptions;
use arrow::util::pretty::{pretty_format_batches, pretty_format_batches_with_options};
use datafusion::datasource::MemTable;
use datafusion::prelude::DataFrame;
use harmonize::lake::Place;
use harmonize::registry::Registry;
use harmonize::sample::{self, Spec};
use harmonize::sql::{Classifier, LakeOptions, LakeSession, Limits, ONCE_RULE};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::models::Models;

/// Rows of `lines`.
pub const LINES: usize = 1_200;
/// Rows of `small`.
const SMALL: usize = 210;

/// What the tables of `queries/scored_once.sql` are made of; their head says what they hold.
pub struct Tables {
    /// `hs@1` and `hs@2`, which give the same answers.
    registry: Registry,
    _models: tempfile::TempDir,
    pub texts: StringArray,
    /// Folder with `lines`, `month=1` to `month=4`.
    lines: tempfile::TempDir,
    pub codes: StringArray,
}

pub fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let models = tempfile::tempdir().unwrap();
        let registry = Registry::new(Place::open(&Models::on_disk(models.path(), 2).url).unwrap());
        // The caller may be in a runtime.
        let load = || runtime().block_on(registry.load(&"hs@1".parse().unwrap())).unwrap();
        let loaded = std::thread::scope(|scope| scope.spawn(load).join().unwrap());
        let spec = Spec { rows: LINES as u64, seed: 31, ..Spec::default() };
        let texts = sample::chunk(&spec, 0).unwrap()["description"].as_string::<i32>().clone();
        let lines = tempfile::tempdir().unwrap();
        for month in 1..=4 {
            write_month(&lines.path().join(format!("month={month}")), &texts, month);
        }
        let answers = Classifier::new(&loaded, &loaded.bundle.policy).unwrap();
        let answers = answers.predict(&(Arc::new(texts.clone()) as ArrayRef)).unwrap();
        let hs6 = answers.column_by_name("hs6").unwrap().as_string::<i32>().iter().flatten();
        let mut codes: Vec<&str> = hs6.collect();
        codes.sort();
        codes.dedup();
        let codes = codes.into_iter().step_by(3).map(Some).collect();
        Tables { registry, _models: models, texts, lines, codes }
    })
}

fn write_month(folder: &Path, texts: &StringArray, month: usize) {
    let ids: Vec<usize> = (0..LINES).filter(|id| id % 4 + 1 == month).collect();
    let mut tags = ListBuilder::new(StringBuilder::new());
    for id in &ids {
        (0..id % 3).for_each(|tag| tags.values().append_value(format!("tag {tag}")));
        tags.append(true);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ids.iter().map(|&id| id as i64).collect::<Int64Array>())),
        ("d", Arc::new(ids.iter().map(|&id| texts.iter().nth(id).unwrap()).collect::<StringArray>())),
        ("x", Arc::new(ids.iter().map(|&id| (id % 10) as i64).collect::<Int64Array>())),
        ("value", Arc::new(ids.iter().map(|&id| id as f64 * 1.5).collect::<Float64Array>())),
        ("declared", Arc::new(ids.iter().map(|&id| (id % 3 != 1).then_some("850110")).collect::<StringArray>())),
        ("tags", Arc::new(tags.finish())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let file = std::fs::File::create(folder.join("lines.parquet")).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(50)).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Sessions over the tables, with the counters of their models.
pub struct Bench {
    pub session: LakeSession,
    /// `hs@1`, which is asked when no model is named.
    pub predict: Arc<Classifier>,
    /// `hs@2`.
    other: Arc<Classifier>,
    dir: tempfile::TempDir,
}

/// What a case's last statement gave.
pub struct Got {
    pub batches: Vec<RecordBatch>,
    /// Its columns: names, types and whether they may be null as planned, names and types as produced.
    pub schema: String,
    pub scored: u64,
    pub other: u64,
    /// Texts that went through the network of `hs@1`, those of a choice within codes among them.
    pub texts: u64,
}

impl Bench {
    /// One whose models nobody else asks.
    pub async fn new() -> Bench {
        let tables = tables();
        let dir = tempfile::tempdir().unwrap();
        let options = LakeOptions {
            lake: Place::open(dir.path().join("lake").to_str().unwrap()).unwrap(),
            registry: Some(tables.registry.clone()),
            model: Some("hs@1".parse().unwrap()),
            limits: Limits { memory_bytes: 1 << 30, threads: 2 },
        };
        Bench::over(LakeSession::open(options).await.unwrap()).await
    }

    /// Another one that asks the same models.
    pub async fn beside(&self) -> Bench {
        Bench::over(self.session.beside().unwrap()).await
    }

    /// Without the rule.
    pub async fn call_by_call(&self) -> Bench {
        let bench = self.beside().await;
        assert!(bench.session.context().remove_optimizer_rule(ONCE_RULE));
        bench
    }

    async fn over(session: LakeSession) -> Bench {
        let tables = tables();
        let predict = Arc::clone(session.model(None).await.unwrap().classifier());
        let other = session.model(Some(&"hs@2".parse().unwrap())).await.unwrap();
        let other = Arc::clone(other.classifier());
        let bench = Bench { session, predict, other, dir: tempfile::tempdir().unwrap() };
        let lines = tables.lines.path().display();
        bench
            .run(&format!("CREATE EXTERNAL TABLE lines STORED AS PARQUET PARTITIONED BY (month) LOCATION '{lines}/'"))
            .await;
        bench.memory("small", small());
        let line_id = (0..60).map(|i| i * 20).collect::<Int64Array>();
        bench.memory("flagged", one("line_id", line_id));
        bench.memory("codes", one("code", tables.codes.clone()));
        // A partition column is a text.
        bench.run("CREATE VIEW days AS SELECT column1 AS month, column2 AS name FROM (VALUES ('1', 'Jan'), ('2', 'Feb'), ('3', 'Mar'), ('4', 'Apr'))").await;
        bench
    }

    fn memory(&self, name: &str, batch: RecordBatch) {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        self.session.context().register_table(name, Arc::new(table)).unwrap();
    }

    async fn frame(&self, sql: &str) -> harmonize::Result<DataFrame> {
        let plan = self.session.plan(sql).await?;
        self.session.execute(plan).await
    }

    pub async fn run(&self, sql: &str) -> Vec<RecordBatch> {
        let frame = self.frame(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        frame.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    pub async fn got(&self, statements: &str) -> Result<Got, String> {
        let (rows, others, texts) = (self.predict.rows(), self.other.rows(), self.predict.texts());
        let statements = statements.replace("{dir}", self.dir.path().to_str().unwrap());
        let mut last = (Vec::new(), String::new());
        for statement in statements.split(';').map(str::trim).filter(|s| !s.is_empty()) {
            let frame = self.frame(statement).await.map_err(|e| e.to_string())?;
            let planned = format!("{:?}", described(frame.schema().as_arrow()));
            let batches = frame.collect().await.map_err(|e| e.to_string())?;
            last = (batches, planned);
        }
        let (batches, planned) = last;
        // DataFusion's own rules may lose that a computed column is never null.
        let produced =
            batches.first().map(|b| described(&b.schema()).into_iter().map(|(n, t, _)| (n, t)).collect::<Vec<_>>());
        let schema = format!("{planned}\n{produced:?}");
        let (scored, other) = (self.predict.rows() - rows, self.other.rows() - others);
        Ok(Got { batches, schema, scored, other, texts: self.predict.texts() - texts })
    }

    /// A plan as `EXPLAIN` shows it.
    pub async fn explained(&self, sql: &str) -> String {
        pretty_format_batches(&self.run(sql).await).unwrap().to_string()
    }
}

fn described(schema: &Schema) -> Vec<(String, DataType, bool)> {
    schema.fields().iter().map(|f: &Arc<Field>| (f.name().clone(), f.data_type().clone(), f.is_nullable())).collect()
}

fn one(name: &str, column: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter(vec![(name, Arc::new(column) as ArrayRef)]).unwrap()
}

fn small() -> RecordBatch {
    let kinds = ["steel bolts", "wooden chair", "cotton shirt", "pump", "plastic box", "laptop", "parts"];
    let keys = (0..SMALL).map(|id| (id % 7) as i32).collect::<Int32Array>();
    let kinds = Arc::new(kinds.into_iter().map(Some).collect::<StringArray>());
    let kind = DictionaryArray::<Int32Type>::try_new(keys, kinds).unwrap();
    let id = (0..SMALL as i64).collect::<Int64Array>();
    RecordBatch::try_from_iter(vec![("id", Arc::new(id) as ArrayRef), ("kind", Arc::new(kind))]).unwrap()
}

/// Rows as text, one a line, in order or sorted.
pub fn rows(batches: &[RecordBatch], ordered: bool) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let table = pretty_format_batches_with_options(batches, &options).unwrap().to_string();
    let mut rows: Vec<String> = table.lines().filter(|l| l.starts_with('|')).skip(1).map(unpadded).collect();
    if !ordered {
        rows.sort();
    }
    rows
}

/// A row whose columns are as wide as their values.
fn unpadded(row: &str) -> String {
    row.split('|').map(str::trim).collect::<Vec<_>>().join("|")
}
