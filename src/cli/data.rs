//! `harmonize data`: what is in labelled lines, before anything is learned from them.

use std::path::PathBuf;

use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{LabelledArgs, PlaceArgs, Settings};
use super::table::text;
use super::train::recipe;
use crate::error::{Context, Error, Result};
use crate::tariff::Edition;
use crate::train::{CheckLimits, InspectOptions, inspect};

#[derive(Args)]
#[command(
    after_help = "The same checks come before every training. Ends with 20 when a limit is passed; the report is printed \
                        all the same, and the reason goes to standard error. Example:\n\n  \
                        harmonize data --input labelled/ --label hs6 --edition 2022 --format html > checks.html"
)]
pub struct DataArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Edition of the codes: 2012, 2017 or 2022 [default: 2022]
    #[arg(long, value_name = "YEAR", env = "HARMONIZE_EDITION")]
    edition: Option<Edition>,
    /// Recipe whose [split] and [checks] count
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Put back leading zeros that codes have lost
    #[arg(long)]
    repair_zeros: bool,
    /// Most labels that are in no edition, as a share of the labelled rows
    #[arg(long, value_name = "RATIO")]
    max_unknown: Option<f64>,
    /// Most labels of other editions, as a share of the labelled rows
    #[arg(long, value_name = "RATIO")]
    max_wrong_edition: Option<f64>,
    /// Most rows whose description carries several codes, as a share of the usable rows
    #[arg(long, value_name = "RATIO")]
    max_conflict: Option<f64>,
    /// Most rows whose description names no goods, as a share of the rows with one
    #[arg(long, value_name = "RATIO")]
    max_vague: Option<f64>,
    /// Most descriptions kept from the fit that differ from a learned one in numbers alone, as a share of those kept
    #[arg(long, value_name = "RATIO")]
    max_near_twin: Option<f64>,
    /// Fewest distinct subheadings
    #[arg(long, value_name = "N")]
    min_classes: Option<usize>,
    /// Fewest usable rows
    #[arg(long, value_name = "ROWS")]
    min_rows: Option<usize>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One self-contained page
    Html,
}

pub async fn run(args: DataArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let recipe = recipe(args.recipe.as_deref())?;
    let asked = [
        ("--max-unknown", args.max_unknown),
        ("--max-wrong-edition", args.max_wrong_edition),
        ("--max-conflict", args.max_conflict),
        ("--max-vague", args.max_vague),
        ("--max-near-twin", args.max_near_twin),
    ];
    asked.into_iter().try_for_each(|(flag, ratio)| super::settings::share(flag, ratio))?;
    let of_recipe = recipe.checks;
    let limits = CheckLimits {
        min_classes: args.min_classes.unwrap_or(of_recipe.min_classes),
        min_usable_rows: args.min_rows.unwrap_or(of_recipe.min_usable_rows),
        max_unknown_ratio: args.max_unknown.unwrap_or(of_recipe.max_unknown_ratio),
        max_wrong_edition_ratio: args.max_wrong_edition.unwrap_or(of_recipe.max_wrong_edition_ratio),
        max_conflict_ratio: args.max_conflict.unwrap_or(of_recipe.max_conflict_ratio),
        max_vague_ratio: args.max_vague.unwrap_or(of_recipe.max_vague_ratio),
        max_near_twin_ratio: args.max_near_twin.unwrap_or(of_recipe.max_near_twin_ratio),
        repair_zeros: args.repair_zeros || of_recipe.repair_zeros,
    };
    limits.validate()?;
    let options = InspectOptions {
        lines: settings.labelled(&args.lines, &args.place)?,
        edition: settings.need("edition", args.edition, Some(Edition::Hs2022))?,
        split: recipe.split()?,
    };
    let report = inspect(&options).await.context(|| "checks")?;
    let page = match args.format {
        Form::Table => report.lines().join("\n") + "\n",
        Form::Json => serde_json::to_string_pretty(&report).map_err(|e| Error::Bug(e.to_string()))? + "\n",
        Form::Html => report.html(),
    };
    text(page.as_bytes())?;
    report.refuse(&limits).map_or(Ok(0), |reason| Err(Error::Input(reason)))
}
