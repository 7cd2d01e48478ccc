//! `harmonize backfill`: gaps of the past, found and filled in.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{NaiveDate, Utc};
use clap::{ArgMatches, Args};

use super::bar::LineBar;
use super::classify::{Job, JobArgs, scoring};
use super::settings::Settings;
use super::table::{Format, count, text};
use crate::error::{Error, Result};
use crate::jobs::{Ending, Partition, Plan, Wanted, fill, plan_backfill, retired};
use crate::registry::{CHAMPION, Loaded, ModelRef, Selector};
use crate::sql;
use crate::tariff::{Tariff, Year};

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
    job: JobArgs,
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
    /// Edition that the codes must be of: 2017, or the one in force on a day (2021-06-30), or on each partition's (of-the-day)
    #[arg(long, value_name = "EDITION|DATE|of-the-day")]
    edition: Option<EditionArg>,
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

/// Which edition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EditionArg {
    Of(Year),
    On(NaiveDate),
    OfTheDay,
}

impl FromStr for EditionArg {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        if s == "of-the-day" {
            return Ok(EditionArg::OfTheDay);
        }
        let refuse =
            |_| Error::Usage(format!("{s}: give an edition such as 2017, a day such as 2021-06-30, or of-the-day"));
        s.parse().map(EditionArg::On).or_else(|_| s.parse().map(EditionArg::Of)).map_err(refuse)
    }
}

pub async fn run(args: BackfillArgs, matches: &ArgMatches) -> Result<u8> {
    in_order(args.from, args.to, Utc::now().date_naive())?;
    let mut settings = Settings::new(matches, args.job.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    // A job that watches is filled in from where it watches.
    let inputs = match settings.list("input", args.job.input.input.clone())? {
        Some(inputs) => inputs,
        None => match settings.list("watch", None)? {
            Some(watched) => watched,
            None => settings.need_list("input", None)?,
        },
    };
    let job = scoring(&args.job, inputs, &mut settings)?;
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
    let models = models(&args, &job, &plan).await?;
    let limit = args.max_lines_per_sec.map(|n| n as f64);
    text(told(&plan, &models, limit, args.format)?.as_bytes())?;
    if args.plan {
        return Ok(0);
    }
    for (done, (partition, loaded)) in plan.partitions.iter().zip(&models).enumerate() {
        let bar = Arc::new(LineBar::new());
        let ended = fill(&job.options, partition, loaded, limit, Arc::clone(&bar) as Arc<_>).await;
        bar.finish();
        let said = match ended? {
            Ending::Done(run, _) => format!("run {}, {} lines", run.run_id, count(run.lines_written)),
            Ending::AlreadyDone(run) => format!("already done by run {}", run.run_id),
            Ending::NothingNew { .. } => "already done".into(),
        };
        let of = plan.partitions.len();
        eprintln!("{} of {of}: {} by {}: {said}", done + 1, partition.name, named(loaded));
    }
    Ok(0)
}

/// That a range of days has days that were.
fn in_order(from: Option<NaiveDate>, to: Option<NaiveDate>, today: NaiveDate) -> Result<()> {
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Error::Usage(format!("--from {from} is after --to {to}: give the first day before the last")));
    }
    match from.filter(|from| *from > today) {
        Some(from) => Err(Error::Usage(format!("--from {from} is after today, {today}: there is nothing to fill in"))),
        None => Ok(()),
    }
}

fn named(loaded: &Loaded) -> String {
    format!("{}@{}", loaded.name, loaded.version)
}

/// The version that each partition is to be asked, before any is: what cannot be done is told while nothing is.
async fn models(args: &BackfillArgs, job: &Job, plan: &Plan) -> Result<Vec<Arc<Loaded>>> {
    let tariff = match args.edition {
        Some(EditionArg::On(_) | EditionArg::OfTheDay) => {
            let context = sql::session(job.options.limits)?;
            sql::register_lake(&context, &job.options.lake).await?;
            Tariff::load(&context).await?
        }
        _ => Tariff::default(),
    };
    let mut known: BTreeMap<String, Arc<Loaded>> = BTreeMap::new();
    let mut models = Vec::with_capacity(plan.partitions.len());
    for partition in &plan.partitions {
        let model = match args.model_of_the_day {
            false => job.model.clone(),
            true => of_the_day(&job.model, day_of(partition, "--model-of-the-day")?)?,
        };
        let loaded = match known.get(&model.to_string()) {
            Some(loaded) => Arc::clone(loaded),
            None => Arc::new(job.registry.load(&model).await?),
        };
        known.insert(model.to_string(), Arc::clone(&loaded));
        let wanted = match args.edition {
            None => None,
            Some(EditionArg::Of(year)) => Some(year),
            Some(EditionArg::On(day)) => Some(edition_on(&tariff, day)?),
            Some(EditionArg::OfTheDay) => Some(edition_on(&tariff, day_of(partition, "--edition of-the-day")?)?),
        };
        let of = &loaded.bundle.labels.edition;
        if let Some(wanted) = wanted.filter(|wanted| wanted.to_string() != *of) {
            return Err(Error::Registry(format!(
                "{}: {model} gives codes of edition {of}, not {wanted}; name another --model, or --model-of-the-day",
                partition.name
            )));
        }
        models.push(loaded);
    }
    Ok(models)
}

fn day_of(partition: &Partition, flag: &str) -> Result<NaiveDate> {
    partition.date.ok_or_else(|| Error::Input(format!("{flag}: {} says no day", partition.name)))
}

fn edition_on(tariff: &Tariff, day: NaiveDate) -> Result<Year> {
    tariff.edition_on(day).ok_or_else(|| {
        Error::Input(format!(
            "no edition is known to be in force on {day}; import it: harmonize tariff import YEAR=FILE"
        ))
    })
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

fn told(plan: &Plan, models: &[Arc<Loaded>], limit: Option<f64>, format: Format) -> Result<String> {
    if format == Format::Json {
        return json(plan, models, limit);
    }
    let mut out = String::new();
    if format == Format::Csv {
        out += "partition,date,files,rows,size_bytes,why,counts,model,edition\n";
    }
    for (p, loaded) in plan.partitions.iter().zip(models) {
        let (model, edition) = (named(loaded), &loaded.bundle.labels.edition);
        let why: Vec<String> = p.why.iter().map(|(why, n)| format!("{n} {why}")).collect();
        let date = p.date.map_or_else(String::new, |day| day.to_string());
        match format {
            Format::Csv => {
                out += &format!(
                    "{},{date},{},{},{},{},{},{model},{edition}\n",
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
                    "{}\n  {:>8} file(s)  {:>14} rows  {:>10.1} MB  {}{beside}, by {model} of edition {edition}\n",
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

fn json(plan: &Plan, models: &[Arc<Loaded>], limit: Option<f64>) -> Result<String> {
    let bug = |e: serde_json::Error| Error::Bug(e.to_string());
    let mut all = serde_json::to_value(plan).map_err(bug)?;
    for (at, loaded) in models.iter().enumerate() {
        all["partitions"][at]["model"] = named(loaded).into();
        all["partitions"][at]["edition"] = loaded.bundle.labels.edition.clone().into();
    }
    all["secs"] = plan.secs(limit).into();
    Ok(serde_json::to_string(&all).map_err(bug)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_is_named_by_its_year_or_by_a_day() {
        let read = |text: &str| text.parse::<EditionArg>();
        assert_eq!(read("2017").unwrap(), EditionArg::Of("2017".parse().unwrap()));
        assert_eq!(read("2021-06-30").unwrap(), EditionArg::On(NaiveDate::from_ymd_opt(2021, 6, 30).unwrap()));
        assert_eq!(read("of-the-day").unwrap(), EditionArg::OfTheDay);
        for odd in ["17", "2021-02-30", "today", ""] {
            assert_eq!(read(odd).unwrap_err().exit_code(), 2, "{odd}");
        }
    }
}
