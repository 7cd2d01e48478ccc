//! `harmonize backfill`: gaps of the past, found and filled in.

use std::sync::Arc;

use chrono::NaiveDate;
use clap::{ArgMatches, Args};

use super::bar::LineBar;
use super::classify::{ClassifyArgs, resolve};
use super::settings::Settings;
use super::table::{Format, count, text};
use crate::error::{Error, Result};
use crate::jobs::{Ending, Plan, Wanted, fill, plan_backfill, retired};
use crate::registry::{CHAMPION, ModelRef, Registry, Selector};

#[derive(Args)]
#[command(
    after_help = "Partitions are the folders of the input. Each is one run, oldest first; what is done stays done, so a second start goes \
                  on behind it. Rows have the role backfill and count from then on; with --again they stand beside answers that count. \
                  Example:\n\n  \
                  harmonize backfill --input s3://lines/ --id line_id --lake s3://lake --from 2026-01-01 --to 2026-03-31 \\\n    \
                  --model hs@champion#2026-03-31 --plan"
)]
pub struct BackfillArgs {
    #[command(flatten)]
    job: ClassifyArgs,
    /// First day, by the names of the folders (date=2026-03-01, 2026-03-01, 2026/03/01)
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Last day
    #[arg(long, value_name = "DATE")]
    to: Option<NaiveDate>,
    /// Only partitions whose name holds this text
    #[arg(long, value_name = "TEXT")]
    partition: Option<String>,
    /// Versions whose answers are to be replaced, beside those that are retired, such as hs@3
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    withdrawn: Vec<ModelRef>,
    /// Ask for files again whose answers count; the new rows stand beside them and do not count
    #[arg(long)]
    again: bool,
    /// Use for each partition the version that the alias of --model named on its day
    #[arg(long)]
    model_of_the_day: bool,
    /// Edition that the codes must be of
    #[arg(long, value_name = "EDITION")]
    edition: Option<String>,
    /// Pass at most so many lines a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_lines_per_sec: Option<u64>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    /// How the plan is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: BackfillArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.job.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    let job = resolve(&args.job, &mut settings)?;
    if job.has_challenger() {
        return Err(Error::Usage("backfill asks one model; leave out --challenger".into()));
    }
    let mut withdrawn = retired(&job.registry.history(job.model.name()).await?);
    for model in &args.withdrawn {
        let Selector::Version(version) = model.selector() else {
            return Err(Error::Usage(format!("--withdrawn {model}: name the version by its number, like hs@3")));
        };
        withdrawn.push((model.name().to_owned(), *version));
    }
    let wanted =
        Wanted { from: args.from, to: args.to, partition: args.partition.clone(), withdrawn, again: args.again };
    let plan = plan_backfill(&job.options, &wanted).await?;
    let limit = args.max_lines_per_sec.map(|n| n as f64);
    text(told(&plan, limit, args.format)?.as_bytes())?;
    if args.plan || plan.partitions.is_empty() {
        return Ok(0);
    }
    for (done, partition) in plan.partitions.iter().enumerate() {
        let model = match (args.model_of_the_day, partition.date) {
            (false, _) => job.model.clone(),
            (true, Some(day)) => of_the_day(&job.model, day)?,
            (true, None) => {
                return Err(Error::Input(format!("--model-of-the-day: {} says no day", partition.name)));
            }
        };
        let loaded = load(&job.registry, &model, args.edition.as_deref()).await?;
        let bar = Arc::new(LineBar::new());
        let ended = fill(&job.options, partition, &loaded, limit, Arc::clone(&bar) as Arc<_>).await;
        bar.finish();
        let said = match ended? {
            Ending::Done(run, _) => format!("run {}, {} lines", run.run_id, count(run.lines_written)),
            Ending::AlreadyDone(run) => format!("already done by run {}", run.run_id),
            Ending::NothingNew { .. } => "already done".into(),
        };
        eprintln!(
            "{} of {}: {} by {}@{}: {said}",
            done + 1,
            plan.partitions.len(),
            partition.name,
            loaded.name,
            loaded.version
        );
    }
    Ok(0)
}

/// The alias as of a day.
fn of_the_day(model: &ModelRef, day: NaiveDate) -> Result<ModelRef> {
    let alias = match model.selector() {
        Selector::Default => CHAMPION,
        Selector::Alias(alias) => alias.as_str(),
        _ => {
            return Err(Error::Usage(format!(
                "--model-of-the-day: name an alias with --model, like {}@{CHAMPION}",
                model.name()
            )));
        }
    };
    format!("{}@{alias}#{day}", model.name()).parse()
}

async fn load(registry: &Registry, model: &ModelRef, edition: Option<&str>) -> Result<crate::registry::Loaded> {
    let loaded = registry.load(model).await?;
    let of = &loaded.bundle.labels.edition;
    match edition.filter(|wanted| wanted != of) {
        Some(wanted) => {
            Err(Error::Registry(format!("{model} gives codes of edition {of}, not {wanted}; name another --model")))
        }
        None => Ok(loaded),
    }
}

fn told(plan: &Plan, limit: Option<f64>, format: Format) -> Result<String> {
    if format == Format::Json {
        return Ok(serde_json::to_string(plan).map_err(|e| Error::Bug(e.to_string()))? + "\n");
    }
    let mut out = String::new();
    if format == Format::Csv {
        out += "partition,date,files,rows,size_bytes,why,counts\n";
    }
    for p in &plan.partitions {
        let why: Vec<String> = p.why.iter().map(|(why, n)| format!("{n} {why}")).collect();
        let date = p.date.map_or_else(String::new, |day| day.to_string());
        match format {
            Format::Csv => {
                out += &format!(
                    "{},{date},{},{},{},{},{}\n",
                    p.name,
                    p.files.len(),
                    p.rows,
                    p.size_bytes,
                    why.join(" "),
                    p.counts
                );
            }
            _ => {
                let beside = if p.counts { "" } else { ", beside what counts" };
                out += &format!(
                    "{}\n  {:>8} file(s)  {:>14} rows  {:>10.1} MB  {}{beside}\n",
                    p.name,
                    p.files.len(),
                    count(p.rows),
                    p.size_bytes as f64 / 1e6,
                    why.join(", ")
                );
            }
        }
    }
    if format == Format::Table {
        let secs = plan.secs(limit);
        let time = secs
            .map_or("unknown time: no run to go by".into(), |secs| format!("about {} s", count(secs.ceil() as u64)));
        out += &format!(
            "{} partition(s), {} rows, {time}; {} file(s) with {} rows need nothing\n",
            plan.partitions.len(),
            count(plan.rows()),
            count(plan.answered_files),
            count(plan.answered_rows)
        );
    }
    Ok(out)
}
