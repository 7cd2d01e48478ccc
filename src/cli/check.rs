//! `harmonize check`: the settings in force, then each thing a job will need, tried out.

use std::time::Instant;

use clap::{ArgMatches, Args};

use super::classify::{ClassifyArgs, Job, resolve};
use super::settings::Settings;
use super::table::count;
use crate::contract::Contract;
use crate::error::Result;
use crate::jobs::{OnBadFile, check_filter};
use crate::lake::{Source, SourceOptions, Table, key_source};
use crate::registry::CHAMPION;

#[derive(Args)]
#[command(
    after_help = "Takes the flags of classify and does none of its work. Every line says ok or what is wrong and \
                        what to do; the exit code is that of the first thing that is wrong."
)]
pub struct CheckArgs {
    #[command(flatten)]
    job: ClassifyArgs,
}

pub async fn run(args: CheckArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.job.common.place.config.as_deref())?;
    settings.gates(CHAMPION)?;
    let resolved = resolve(&args.job, &mut settings);
    println!("settings in force");
    for s in &settings.in_force {
        println!("  {:<17} {:<40} {}", s.name, s.value, s.origin.as_str());
    }
    // Whatever object_store reads; the values of secrets are not shown.
    let mut aws: Vec<(String, String)> = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
    aws.sort();
    for (name, value) in &aws {
        let secret = ["KEY", "TOKEN", "SECRET"].iter().any(|word| name.contains(word));
        println!("  {name:<17} {:<40} environment", if secret { "(set)" } else { value });
    }
    let job = resolved?;
    println!("tests");
    let mut first = None;
    let mut note = |what: &str, outcome: Result<String>, began: Instant| {
        let secs = began.elapsed().as_secs_f64();
        match outcome {
            Ok(found) => println!("  ok   {what:<8} {found} ({secs:.2} s)"),
            Err(e) => {
                println!("  FAIL {what:<8} {e}");
                first.get_or_insert(e.exit_code());
            }
        }
    };
    let places = job.options.inputs.iter().map(String::as_str).chain([job.options.lake.url().as_str()]);
    if places.into_iter().any(|place| place.starts_with("s3")) {
        // Whether they are right, the tests after it show.
        note("keys", Ok(format!("from {}", key_source())), Instant::now());
    }
    let began = Instant::now();
    note("input", input(&job).await, began);
    let began = Instant::now();
    note("model", model(&job).await, began);
    let began = Instant::now();
    if let Some(challenger) = challenger(&job).await.transpose() {
        note("beside", challenger, began);
    }
    let began = Instant::now();
    note("table", table(&job).await, began);
    let began = Instant::now();
    let lake = &job.options.lake;
    let found = lake.try_writing().await.map(|()| format!("{} takes conditional PUT", lake.url()));
    note("commit", found, began);
    Ok(first.unwrap_or(0))
}

async fn input(job: &Job) -> Result<String> {
    let options = &job.options;
    let quarantine = options.on_bad_file == OnBadFile::Quarantine;
    let source = Source::pin(&options.inputs, SourceOptions { text: options.text.clone(), quarantine }).await?;
    if let Some(id) = &options.id {
        source.require(id, "--id")?;
    }
    if let Some(filter) = &options.where_sql {
        check_filter(&source, filter, options.limits).await?;
    }
    let mut found = format!(
        "{} file(s), {} rows, {:.1} MB, columns {}",
        source.files().len(),
        count(source.rows()),
        source.size_bytes() as f64 / 1e6,
        source.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ")
    );
    for bad in source.bad() {
        found += &format!("; would be set aside: {bad}");
    }
    Ok(found)
}

async fn model(job: &Job) -> Result<String> {
    let loaded = job.registry.load(&job.model).await?;
    let bundle = &loaded.bundle;
    let (policy, origin) = job.options.policy.apply(&bundle.policy)?;
    Ok(format!(
        "{}@{}, {} subheadings of edition {}, {} ({origin}), digest {}",
        loaded.name,
        loaded.version,
        count(bundle.labels.codes.len() as u64),
        bundle.labels.edition,
        if policy.single_headings.is_empty() {
            format!("threshold {}", policy.threshold)
        } else {
            let headings: Vec<&str> = policy.single_headings.keys().map(String::as_str).collect();
            format!("thresholds for headings {} alone", headings.join(", "))
        },
        &bundle.digest[..12]
    ))
}

/// The challenger, and whether it can stand beside the model.
async fn challenger(job: &Job) -> Result<Option<String>> {
    let Some(challenger) = job.challenger().await? else { return Ok(None) };
    let champion = job.registry.load(&job.model).await?;
    challenger.check(&champion)?;
    let loaded = &challenger.loaded;
    Ok(Some(format!(
        "{}@{}, rows {}, serves {} %, digest {}",
        loaded.name,
        loaded.version,
        challenger.rows,
        100.0 * challenger.split_ratio,
        &loaded.bundle.digest[..12]
    )))
}

async fn table(job: &Job) -> Result<String> {
    let contract = Contract::Predictions;
    let place = job.options.lake.child(contract.table());
    match Table::open(&place).await? {
        None => Ok(format!("{} does not exist yet and will be made", place.url())),
        Some(table) => {
            table.check_schema(contract.schema())?;
            Ok(format!("{} at version {}", place.url(), table.version()))
        }
    }
}
