//! `harmonize search`: a better recipe by Bayesian search.

use std::path::PathBuf;

use chrono::Utc;
use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{LabelledArgs, PlaceArgs, Settings};
use super::table::text;
use super::train::{Screen, command_line, recipe};
use crate::error::{Context, Error, Result};
use crate::tariff::Edition;
use crate::train::{
    CheckLimits, CheckpointPlace, Found, Objective, SearchOptions, SearchWatcher, Space, TrainOptions, Wanted, search,
};

#[derive(Args)]
#[command(
    after_help = "Each trial is a training, judged on the part of the split that ends the fit. The folder gets trials.jsonl, \
                        best.toml (a recipe for train) and search.html after every trial; the same command goes on where it was \
                        stopped. A space:\n\n  \
                        fit.learning_rate = { low = 5e-4, high = 5e-3, log = true }\n  \
                        model.filters = { low = 64, high = 256, int = true }\n  \
                        model.widths = { choices = [[1, 2, 3], [1, 2, 3, 4]] }"
)]
pub struct SearchArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Recipe that the parameters are put into, as TOML [default: the default recipe]
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// What may change, as TOML: keys of the recipe with { low, high, log, int } or { choices }
    #[arg(long, value_name = "FILE")]
    space: PathBuf,
    /// Trials, those of earlier starts included
    #[arg(long, value_name = "N", default_value_t = 30)]
    trials: usize,
    /// What is to be as large as possible: hs6, hs4, hs2, top-five, macro-f1, coverage-98 or coverage-95
    #[arg(long, value_name = "FIGURE", default_value_t = Objective::Hs6)]
    objective: Objective,
    /// Seed of the proposals; that of split and fit is the recipe's
    #[arg(long, value_name = "N", default_value_t = 17)]
    seed: u64,
    /// Edition of the codes: 2012, 2017 or 2022 [default: 2022]
    #[arg(long, value_name = "YEAR", env = "HARMONIZE_EDITION")]
    edition: Option<Edition>,
    /// Put back leading zeros that codes have lost
    #[arg(long)]
    repair_zeros: bool,
    /// Folder for the results, on this machine
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Form of the result on standard output
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// The best trials, for people
    Table,
    /// All trials, one JSON object a line
    Json,
}

pub async fn run(args: SearchArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let name = args.space.display().to_string();
    let space = std::fs::read_to_string(&args.space).context(|| &name)?;
    let space = Space::parse(&space).context(|| &name)?;
    let base = match &args.recipe {
        Some(file) => std::fs::read_to_string(file).context(|| file.display().to_string())?,
        None => String::new(),
    };
    let recipe = recipe(args.recipe.as_deref())?;
    let options = SearchOptions {
        train: TrainOptions {
            lines: settings.labelled(&args.lines, &args.place)?,
            edition: settings.need("edition", args.edition, Some(Edition::Hs2022))?,
            codes: None,
            names: None,
            name: "searched".into(),
            checks: CheckLimits { repair_zeros: args.repair_zeros || recipe.checks.repair_zeros, ..recipe.checks },
            recipe,
            decisions: None,
            wanted: Wanted { target_precision: 0.98, review_budget: None, audit_ratio: 0.01 },
            // A trial is short, and each is kept when it is done.
            checkpoints: CheckpointPlace::default(),
            created_at: Utc::now(),
            created_by: "search".into(),
            command: command_line(),
        },
        base: toml::from_str(&base).map_err(|e| Error::Usage(e.to_string()))?,
        space,
        objective: args.objective,
        trials: args.trials,
        seed: args.seed,
        out: args.out,
    };
    super::threads::bound(&settings);
    let mut watcher = Screen::new(true);
    let found = search(&options, &mut watcher).await;
    watcher.finish();
    let found = found?;
    let mut out = String::new();
    match args.format {
        Form::Table => {
            out += &(found.lines().join("\n") + "\n");
            if found.best().is_some() {
                out += &format!("best recipe: {}\n", options.out.join("best.toml").display());
            }
        }
        Form::Json => {
            for trial in &found.trials {
                out += &(serde_json::to_string(trial).map_err(|e| Error::Bug(e.to_string()))? + "\n");
            }
        }
    }
    text(out.as_bytes())?;
    match found.best() {
        Some(_) => Ok(0),
        None => Err(Error::Usage("every trial failed; see trials.jsonl for the reasons, and change the space".into())),
    }
}

impl SearchWatcher for Screen {
    fn trial(&mut self, found: &Found) {
        let Some(trial) = found.trials.last() else { return };
        let figure = match (trial.figure, &trial.failed) {
            (Some(figure), _) => format!("{:.2} %", 100.0 * figure),
            (None, why) => format!("failed, {}", why.as_deref().unwrap_or_default()),
        };
        let best = found.best().map_or_else(String::new, |best| {
            format!("; best {:.2} % in trial {}", 100.0 * best.figure.unwrap_or_default(), best.number)
        });
        self.say(&format!("trial {}: {figure} in {:.0} s{best}", trial.number, trial.secs));
    }
}
