//! `harmonize check`: the settings in force, then each thing a job will need, tried out.

use std::time::Instant;

use bytes::Bytes;
use clap::{ArgMatches, Args};

use super::classify::{ClassifyArgs, Job, resolve};
use super::settings::Settings;
use super::table::count;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::jobs::{OnBadFile, check_filter};
use crate::lake::{Nonce, Place, Source, SourceOptions, Table};

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
    let mut settings = Settings::new(matches, args.job.place.config.as_deref())?;
    let resolved = resolve(&args.job, &mut settings);
    println!("settings in force");
    for s in &settings.in_force {
        println!("  {:<17} {:<40} {}", s.name, s.value, s.origin.as_str());
    }
    for name in ["AWS_ENDPOINT", "AWS_REGION", "AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        if let Ok(value) = std::env::var(name) {
            let shown = if name.contains("KEY") { "(set)".to_string() } else { value };
            println!("  {name:<17} {shown:<40} environment");
        }
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
    let began = Instant::now();
    note("input", input(&job).await, began);
    let began = Instant::now();
    note("model", model(&job).await, began);
    let began = Instant::now();
    note("table", table(&job).await, began);
    let began = Instant::now();
    note("commit", conditional_put(&job.options.lake).await, began);
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
        "{}@{}, {} subheadings of edition {}, threshold {} ({origin}), digest {}",
        loaded.name,
        loaded.version,
        count(bundle.labels.codes.len() as u64),
        bundle.labels.edition,
        policy.threshold,
        &bundle.digest[..12]
    ))
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

/// Creates a marker twice: the store must refuse the second. The marker, and folders made for it, are removed.
async fn conditional_put(lake: &Place) -> Result<String> {
    let made = missing_folders(lake);
    let name = format!("_harmonize_check_{}", Nonce::new().0);
    let tried: Result<String> = async {
        if !lake.create(&name, Bytes::from_static(b"first")).await? {
            return Err(Error::Storage(format!("{}/{name} was there already", lake.url())));
        }
        if lake.create(&name, Bytes::from_static(b"second")).await? {
            return Err(Error::Storage(format!(
                "{} let a second writer overwrite the first: it does not honour If-None-Match, so commits would be \
                 lost; use another store",
                lake.url()
            )));
        }
        Ok(format!("{} takes conditional PUT", lake.url()))
    }
    .await;
    let removed = lake.delete(&name).await;
    for folder in made {
        // Only if it is still empty.
        let _ = std::fs::remove_dir(folder);
    }
    let answer = tried?;
    removed?;
    Ok(answer)
}

/// Folders that a first write below `lake` would make, innermost first.
fn missing_folders(lake: &Place) -> Vec<std::path::PathBuf> {
    match lake.url().to_file_path() {
        Ok(path) if lake.is_local() => {
            path.ancestors().take_while(|p| !p.exists()).map(std::path::Path::to_path_buf).collect()
        }
        _ => Vec::new(),
    }
}
