//! `harmonize demo`: the whole way in one command, in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use chrono::Utc;
use clap::Args;

use super::bar::LineBar;
use super::table::{count, percent};
use super::train::Screen;
use crate::error::{Error, Result};
use crate::jobs::{ClassifyOptions, Ending, OnBadFile, PolicyOverride, Progress, Purpose, StoreText, classify};
use crate::lake::Place;
use crate::registry::Registry;
use crate::sample::{self, Spec};
use crate::sql::{Limits, register_lake, session};
use crate::tariff::Edition;
use crate::train::{CheckLimits, CheckpointPlace, Labelled, Recipe, TrainOptions, Trained, Wanted, train};

#[derive(Args)]
pub struct DemoArgs {
    /// Folder to make and fill
    #[arg(long, value_name = "DIR", default_value = "harmonize-demo")]
    folder: PathBuf,
    /// Lines to classify
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    rows: u64,
    /// Labelled lines to train on
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    train_rows: u64,
}

pub async fn run(args: DemoArgs) -> Result<u8> {
    if args.folder.exists() && std::fs::read_dir(&args.folder)?.next().is_some() {
        return Err(Error::Usage(format!(
            "{} is there already and not empty; remove it, or choose another --folder",
            args.folder.display()
        )));
    }
    let began = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits { memory_bytes: 1 << 30, threads: cores };
    let root = Place::open(&args.folder.to_string_lossy())?;
    let (labelled, lines, lake) = (root.child("labelled"), root.child("lines"), root.child("lake"));

    println!(
        "1/4  Writing synthetic shipment lines: {} labelled, {} to classify",
        count(args.train_rows),
        count(args.rows)
    );
    let spec = Spec { rows: args.train_rows, seed: 1, labelled: true, ..Spec::default() };
    sample::write(&spec, &labelled, 1 << 20, cores, |_| {}).await?;
    let spec = Spec { rows: args.rows, seed: 2, ..Spec::default() };
    sample::write(&spec, &lines, 1 << 20, cores, |_| {}).await?;

    println!("2/4  Training a Text-CNN on the labelled ones");
    let registry = Registry::new(lake.child("models"));
    let options = training(&labelled, limits)?;
    let mut screen = Screen::new(false);
    let trained = train(&options, &registry, &mut screen).await;
    screen.finish();
    let trained = trained?;

    println!("3/4  Classifying the {} lines into {}", count(args.rows), lake.url());
    let loaded = registry.load(&"hs@1".parse()?).await?;
    let job = ClassifyOptions {
        inputs: vec![lines.url().to_string()],
        text: "description".into(),
        id: Some("line_id".into()),
        where_sql: None,
        lake: lake.clone(),
        policy: PolicyOverride::default(),
        store_text: StoreText::All,
        on_bad_file: OnBadFile::Fail,
        limits,
        full: true,
        purpose: Purpose::Classify,
        declared: None,
        value: None,
        target_file_bytes: 64 << 20,
        started_at: Utc::now(),
    };
    let bar = Arc::new(LineBar::new());
    let ending = classify(&job, &loaded, None, Arc::clone(&bar) as Arc<dyn Progress>).await;
    bar.finish();
    let (Ending::Done(run, _) | Ending::AlreadyDone(run)) = ending? else {
        return Err(Error::Bug("a full run left nothing to do".into()));
    };

    println!("4/4  Reading the lake back\n");
    let accept = percent(run.accept_lines, run.lines_written);
    println!(
        "{} lines at {} lines/s on {cores} core(s)",
        count(run.lines_written),
        count((run.lines_written as f64 / run.score_secs.max(1e-9)) as u64)
    );
    println!("  accepted      {:>9}  {accept:>7}   no person needed", count(run.accept_lines));
    let share = |n| format!("{:>9}  {:>7}", count(n), percent(n, run.lines_written));
    println!("  for review    {}   with their five best codes", share(run.review_lines));
    println!("  refused       {}   nothing to go by: empty, vague, unreadable", share(run.refuse_lines));
    print!("{}", measured(&trained));
    print!("{}", queue(&lake, limits).await?);
    print!("{}", next(&args, began.elapsed().as_secs_f64()));
    Ok(0)
}

fn training(labelled: &Place, limits: Limits) -> Result<TrainOptions> {
    // Small and quick: a demonstration of the way, not of the best model.
    let recipe: Recipe = toml::from_str(include_str!("demo_recipe.toml")).map_err(|e| Error::Bug(e.to_string()))?;
    Ok(TrainOptions {
        lines: Labelled {
            inputs: vec![labelled.url().to_string()],
            text: "description".into(),
            label: "hs6".into(),
            where_sql: None,
            limits,
        },
        edition: Edition::Hs2022,
        codes: None,
        names: None,
        name: "hs".into(),
        recipe,
        checks: CheckLimits::default(),
        decisions: None,
        wanted: Wanted { target_precision: 0.98, review_budget: None, audit_ratio: 0.01 },
        checkpoints: CheckpointPlace::default(),
        created_at: Utc::now(),
        created_by: "harmonize demo".into(),
        command: "harmonize demo".into(),
    })
}

fn measured(t: &Trained) -> String {
    let m = &t.metrics;
    let precision = m.accepted.precision.map_or_else(|| "-".into(), |p| format!("{:.1} %", 100.0 * p));
    format!(
        "\nOn {} labelled lines that it did not train on:\n  right at six digits {:.1} %, four {:.1} %, two {:.1} %, among \
         five {:.1} %\n  accepted {:.1} % of them, of which {precision} are right (wanted: {:.0} %)\n",
        count(m.rows as u64),
        100.0 * m.accuracy.hs6,
        100.0 * m.accuracy.hs4,
        100.0 * m.accuracy.hs2,
        100.0 * m.accuracy.hs6_top_five,
        100.0 * m.accepted.coverage_ratio,
        100.0 * t.policy.target_precision,
    )
}

/// A few lines of the review queue with their candidates.
async fn queue(lake: &Place, limits: Limits) -> Result<String> {
    let context = session(limits)?;
    register_lake(&context, lake).await?;
    let sql = "SELECT description, alternatives, reasons FROM review_queue WHERE hs6 IS NOT NULL AND confidence < 0.7 \
               AND length(description) < 60 LIMIT 4";
    let batches = context.sql(sql).await?.collect().await?;
    let mut out = String::from("\nWaiting in the review queue, for example:\n");
    for batch in &batches {
        for row in 0..batch.num_rows() {
            out += &one_of_the_queue(batch, row)?;
        }
    }
    Ok(out)
}

fn one_of_the_queue(batch: &RecordBatch, row: usize) -> Result<String> {
    let text = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)?;
    let text = text.as_string::<i32>().value(row).split_whitespace().collect::<Vec<_>>().join(" ");
    let items = batch.column(1).as_list::<i32>().value(row);
    let items = items.as_struct();
    let codes = arrow::compute::cast(items.column(0), &arrow::datatypes::DataType::Utf8)?;
    let confidences = items.column(1).as_primitive::<Float32Type>();
    let candidates: Vec<String> = (0..items.len().min(3))
        .map(|i| format!("{} {:.0} %", codes.as_string::<i32>().value(i), 100.0 * confidences.value(i)))
        .collect();
    Ok(format!("  {text:<60} {}\n", candidates.join(" · ")))
}

fn next(args: &DemoArgs, secs: f64) -> String {
    let dir = args.folder.display();
    format!(
        "\nDone in {secs:.0} s. Try next:\n  \
         harmonize predict --registry {dir}/lake/models \"70CTNS X 120 PCS PLASTIC WATER BOTTLES[500ML]\"\n  \
         harmonize sql --lake {dir}/lake \"SELECT decision, count(*) AS lines FROM predictions GROUP BY 1\"\n  \
         harmonize classify --input {dir}/lines --id line_id --lake {dir}/lake    # the same run again: already done\n  \
         harmonize check --input {dir}/lines --id line_id --lake {dir}/lake\n\
         The lake holds plain Delta tables: open {dir}/lake/predictions with DuckDB, Spark or Polars.\n"
    )
}
