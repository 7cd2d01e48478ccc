//! `harmonize data`: what is in labelled lines, before anything is learned from them.

use std::path::PathBuf;

use clap::{ArgMatches, Args, ValueEnum};

use super::decisions::DecisionArgs;
use super::settings::{LabelledArgs, PlaceArgs, Settings};
use super::table::text;
use super::train::recipe;
use crate::error::{Context, Error, Result};
use crate::tariff::Edition;
use crate::train::{CheckLimits, CheckOptions, InspectOptions, inspect};

#[derive(Args)]
#[command(
    after_help = "The same checks come before every training. Ends with 20 when a limit is passed; the report is printed \
                        all the same, and every reason goes to standard error. Example:\n\n  \
                        harmonize data --input labelled/ --label hs6 --edition 2022 --format html > checks.html"
)]
pub struct DataArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    decisions: DecisionArgs,
    /// Edition of the codes: 2012, 2017 or 2022 [default: 2022]
    #[arg(long, value_name = "YEAR", env = "HARMONIZE_EDITION")]
    edition: Option<Edition>,
    /// Recipe whose [split], [vague] and [checks] count
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Put back leading zeros that codes have lost
    #[arg(long)]
    repair_zeros: bool,
    /// Most rows without a label, as a share of all rows
    #[arg(long, value_name = "RATIO")]
    max_missing_label: Option<f64>,
    /// Most rows without a description, as a share of all rows
    #[arg(long, value_name = "RATIO")]
    max_empty: Option<f64>,
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
    /// Most rows in subheadings that are too rare to learn, as a share of the usable rows
    #[arg(long, value_name = "RATIO")]
    max_rare: Option<f64>,
    /// A subheading with fewer rows is too rare to learn [default: 5]
    #[arg(long, value_name = "ROWS")]
    rare_below: Option<usize>,
    /// Fewest distinct subheadings
    #[arg(long, value_name = "N")]
    min_classes: Option<usize>,
    /// Fewest usable rows
    #[arg(long, value_name = "ROWS")]
    min_rows: Option<usize>,
    /// Fewest distinct descriptions of usable rows [default: 50]
    #[arg(long, value_name = "N")]
    min_texts: Option<usize>,
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
    let limits = args.limits(recipe.checks)?;
    let options = InspectOptions {
        lines: settings.labelled(&args.lines, &args.place)?,
        checks: CheckOptions {
            edition: settings.need("edition", args.edition, Some(Edition::Hs2022))?,
            split: recipe.split()?,
            vague: recipe.vague.texts()?,
            limits,
        },
        decisions: args.decisions.source(&mut settings, &args.place)?,
    };
    super::threads::bound(&settings);
    let report = inspect(&options).await.context(|| "checks")?;
    let page = match args.format {
        Form::Table => report.lines().join("\n") + "\n",
        Form::Json => serde_json::to_string_pretty(&report).map_err(|e| Error::Bug(e.to_string()))? + "\n",
        Form::Html => report.html(),
    };
    text(page.as_bytes())?;
    report.refusal().map_or(Ok(0), |reasons| Err(Error::Input(reasons)))
}

impl DataArgs {
    /// The limits that were asked for over those of the recipe.
    fn limits(&self, of_recipe: CheckLimits) -> Result<CheckLimits> {
        let asked = [
            ("--max-missing-label", self.max_missing_label),
            ("--max-empty", self.max_empty),
            ("--max-unknown", self.max_unknown),
            ("--max-wrong-edition", self.max_wrong_edition),
            ("--max-conflict", self.max_conflict),
            ("--max-vague", self.max_vague),
            ("--max-near-twin", self.max_near_twin),
            ("--max-rare", self.max_rare),
        ];
        asked.into_iter().try_for_each(|(flag, ratio)| super::settings::share(flag, ratio))?;
        let limits = CheckLimits {
            min_classes: self.min_classes.unwrap_or(of_recipe.min_classes),
            min_usable_rows: self.min_rows.unwrap_or(of_recipe.min_usable_rows),
            min_texts: self.min_texts.unwrap_or(of_recipe.min_texts),
            rare_below: self.rare_below.unwrap_or(of_recipe.rare_below),
            max_rare_ratio: self.max_rare.unwrap_or(of_recipe.max_rare_ratio),
            max_missing_label_ratio: self.max_missing_label.unwrap_or(of_recipe.max_missing_label_ratio),
            max_empty_ratio: self.max_empty.unwrap_or(of_recipe.max_empty_ratio),
            max_unknown_ratio: self.max_unknown.unwrap_or(of_recipe.max_unknown_ratio),
            max_wrong_edition_ratio: self.max_wrong_edition.unwrap_or(of_recipe.max_wrong_edition_ratio),
            max_conflict_ratio: self.max_conflict.unwrap_or(of_recipe.max_conflict_ratio),
            max_vague_ratio: self.max_vague.unwrap_or(of_recipe.max_vague_ratio),
            max_near_twin_ratio: self.max_near_twin.unwrap_or(of_recipe.max_near_twin_ratio),
            repair_zeros: self.repair_zeros || of_recipe.repair_zeros,
        };
        limits.validate()?;
        Ok(limits)
    }
}
