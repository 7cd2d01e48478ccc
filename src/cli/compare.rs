//! `harmonize compare`: recipes side by side, beside what any model must beat.

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{LabelledArgs, PlaceArgs, Settings, target_precision};
use super::table::text;
use super::train::{Screen, command_line, recipe};
use crate::error::Result;
use crate::lake::Place;
use crate::tariff::Edition;
use crate::train::{
    CheckLimits, CheckpointPlace, CompareOptions, CompareWatcher, ComparedKind, ComparedRow, Leak, TrainOptions,
    Upsampled, Wanted, compare,
};

#[derive(Args)]
#[command(
    after_help = "All recipes learn the same lines and are measured on the same ones: split, its seed and checks are those of \
                        the first recipe. With --out, what was done is kept, and the same command takes it from there. Example:\n\n  \
                        harmonize compare --input labelled/ --label hs6 --recipe small.toml --recipe large.toml --out compared"
)]
pub struct CompareArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Recipes as TOML [default: the default recipe]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    recipe: Vec<PathBuf>,
    /// Edition of the codes: 2012, 2017 or 2022 [default: 2022]
    #[arg(long, value_name = "YEAR", env = "HARMONIZE_EDITION")]
    edition: Option<Edition>,
    /// Lines to measure on, as a condition on the input's columns; in place of the split's test part
    #[arg(long, value_name = "SQL")]
    test_where: Option<String>,
    /// Put back leading zeros that codes have lost
    #[arg(long)]
    repair_zeros: bool,
    /// Share of the accepted lines that must be right
    #[arg(long, value_name = "RATIO", default_value_t = 0.98)]
    target_precision: f64,
    /// Whether to show what up-sampling before the split would have claimed, and what it does after the split
    #[arg(long, value_enum, default_value_t = Shown::On)]
    show_leak: Shown,
    /// Show it of the first recipe, too: two more trainings, on more lines
    #[arg(long)]
    leak_model: bool,
    /// Rows that a class is repeated to there, at most
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    leak_cap: usize,
    /// CPU-seconds that scoring is measured for, at least
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    score_secs: f64,
    /// Folder for the results: a path or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    out: Option<String>,
    /// Form of the table on standard output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Shown {
    On,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One line a model
    Csv,
    /// For a document
    Markdown,
    /// One self-contained page
    Html,
}

pub async fn run(args: CompareArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let mut recipes = Vec::new();
    for file in &args.recipe {
        recipes.push((name(file, &args.recipe), recipe(Some(file))?));
    }
    if recipes.is_empty() {
        recipes.push(("default recipe".to_string(), recipe(None)?));
    }
    target_precision(args.target_precision)?;
    let first = recipes[0].1.clone();
    let leak = match (args.show_leak, args.leak_model) {
        (_, true) => Leak::FirstRecipe,
        (Shown::On, false) => Leak::Baselines,
        (Shown::Off, false) => Leak::Hidden,
    };
    let options = CompareOptions {
        train: TrainOptions {
            lines: settings.labelled(&args.lines, &args.place)?,
            edition: settings.need("edition", args.edition, Some(Edition::Hs2022))?,
            codes: None,
            names: None,
            name: "compared".into(),
            checks: CheckLimits { repair_zeros: args.repair_zeros || first.checks.repair_zeros, ..first.checks },
            recipe: first,
            decisions: None,
            wanted: Wanted { target_precision: args.target_precision, review_budget: None, audit_ratio: 0.01 },
            // Each model is kept when it is done; a training that goes on after a stop would tell too short a time.
            checkpoints: CheckpointPlace::default(),
            created_at: Utc::now(),
            created_by: "compare".into(),
            command: command_line(),
        },
        recipes,
        test_where: args.test_where,
        leak,
        leak_cap: args.leak_cap,
        score_secs: args.score_secs,
        out: args.out.as_deref().map(Place::open).transpose()?,
    };
    super::threads::bound(&settings);
    let mut watcher = Screen::new(true);
    let compared = compare(&options, &mut watcher).await;
    watcher.finish();
    let compared = compared?;
    let table = match args.format {
        Form::Table => compared.lines().join("\n") + "\n",
        Form::Json => compared.json()?,
        Form::Csv => compared.csv()?,
        Form::Markdown => compared.markdown(),
        Form::Html => compared.html(),
    };
    text(table.as_bytes())?;
    Ok(0)
}

/// What a recipe is called: its file's name, or where others have that too, its path.
fn name(file: &Path, all: &[PathBuf]) -> String {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let alone = all.iter().filter(|other| stem(other) == stem(file)).count() == 1;
    if alone { stem(file) } else { file.display().to_string() }
}

impl CompareWatcher for Screen {
    fn row(&mut self, row: &ComparedRow, again: bool) {
        let copies = match row.upsampled {
            Upsampled::No => "",
            Upsampled::AfterSplit => " (up-sampled after the split)",
            Upsampled::BeforeSplit => " (LEAKY: up-sampled before the split)",
        };
        let when = match (again, row.kind) {
            (true, _) => ", done before".to_string(),
            (false, ComparedKind::Recipe) => format!(", trained in {:.0} s", row.train_secs),
            (false, _) => String::new(),
        };
        self.say(&format!("{}{copies}: {:.1} % right at six digits{when}", row.name, 100.0 * row.hs6));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_called_by_its_file_and_by_its_path_where_that_is_not_enough() {
        let files = ["a/x.toml", "b/x.toml", "b/y.toml"].map(PathBuf::from);
        let names: Vec<String> = files.iter().map(|file| name(file, &files)).collect();
        assert_eq!(names, ["a/x.toml", "b/x.toml", "y"]);
    }
}
