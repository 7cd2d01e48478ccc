//! `harmonize train`: labelled lines in, a model version in the registry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use clap::{ArgMatches, Args};
use indicatif::ProgressBar;

use super::bar::training_bar;
use super::decisions::DecisionArgs;
use super::evaluate::figures;
use super::settings::{LabelledArgs, PlaceArgs, Settings, share, target_precision};
use crate::error::{Context, Error, Result};
use crate::model::HeadingThreshold;
use crate::tariff::{Codes, Edition, Names};
use crate::train::{
    CheckLimits, CheckpointPlace, DataReport, DecisionReport, FitProgress, Recipe, TrainOptions, Trained, Wanted,
    Watcher, train,
};

#[derive(Args)]
#[command(after_help = "The data are checked and reported on before anything is fitted; texts that are equal after \
                        normalisation never fall on both sides of the split. With --decisions, what people decided in the \
                        lake is learned beside them, and texts that are measured on never are. Example:\n\n  \
                        harmonize train --input labelled/ --label hs6 --edition 2022 --registry models --name hs")]
pub struct TrainArgs {
    #[command(flatten)]
    lines: LabelledArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    decisions: DecisionArgs,
    /// Edition of the codes: 2012, 2017 or 2022 [default: 2022]
    #[arg(long, value_name = "YEAR", env = "HARMONIZE_EDITION")]
    edition: Option<Edition>,
    /// Nomenclature as CSV (hs_code,level,parent,section,description) in place of the built-in list of codes; the card names
    /// confused codes by its texts
    #[arg(long, value_name = "FILE")]
    nomenclature: Option<PathBuf>,
    /// Name of the model in the registry
    #[arg(long, default_value = "hs")]
    name: String,
    /// Shape of the network, settings of the fit and shares of the split, as TOML
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Seed of the split, the initial weights and the order of the lines
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Share of the accepted lines that must be right
    #[arg(long, value_name = "RATIO", default_value_t = 0.98, conflicts_with = "review_budget")]
    target_precision: f64,
    /// Lines of a run that people can look at, audit sample included; sets the threshold instead of the precision
    #[arg(long, value_name = "LINES", requires = "review_volume")]
    review_budget: Option<u64>,
    /// Lines of such a run
    #[arg(long, value_name = "LINES", requires = "review_budget")]
    review_volume: Option<u64>,
    /// Share of accepted texts that is sent to people at random
    #[arg(long, value_name = "RATIO", default_value_t = 0.01)]
    audit_ratio: f64,
    /// Share of distinct texts kept for measuring; 0 when a test set is kept elsewhere
    #[arg(long, value_name = "RATIO")]
    test_share: Option<f64>,
    /// Put back leading zeros that codes have lost
    #[arg(long)]
    repair_zeros: bool,
    /// Folder for what an interrupted training has reached, from where the same command goes on; "none" for none
    /// [default: harmonize/training in the user's cache]
    #[arg(long, value_name = "DIR", env = "HARMONIZE_CHECKPOINTS")]
    checkpoints: Option<PathBuf>,
    /// Least time between two checkpoints; one is made after an epoch
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    checkpoint_secs: u64,
    /// Who trains it, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub async fn run(args: TrainArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let registry = settings.registry(&args.place)?;
    let edition = settings.need("edition", args.edition, Some(Edition::Hs2022))?;
    let mut recipe = recipe(args.recipe.as_deref())?;
    if let Some(seed) = args.seed {
        recipe.fit.seed = seed;
    }
    if let Some(test) = args.test_share {
        recipe.split.test = test;
    }
    let (codes, names) = match &args.nomenclature {
        None => (None, None),
        Some(path) => {
            let (bytes, name) =
                (std::fs::read(path).context(|| path.display().to_string())?, path.display().to_string());
            let codes = Codes::from_nomenclature_csv(&bytes, edition, &name)?;
            (Some(codes), Some(Names::from_nomenclature_csv(&bytes, edition, &name)?))
        }
    };
    target_precision(args.target_precision)?;
    share("--audit-ratio", Some(args.audit_ratio))?;
    share("--test-share", args.test_share)?;
    let review_budget = review_ratio(args.review_budget, args.review_volume)?;
    let options = TrainOptions {
        lines: settings.labelled(&args.lines, &args.place)?,
        edition,
        codes,
        names,
        name: args.name,
        checks: CheckLimits { repair_zeros: args.repair_zeros || recipe.checks.repair_zeros, ..recipe.checks },
        recipe,
        decisions: args.decisions.source(&mut settings, &args.place)?,
        wanted: Wanted { target_precision: args.target_precision, review_budget, audit_ratio: args.audit_ratio },
        checkpoints: checkpoints(args.checkpoints, args.checkpoint_secs),
        created_at: Utc::now(),
        created_by: args.by.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown".into()),
        command: command_line(),
    };
    super::threads::bound(&settings);
    let mut watcher = Screen::new(true);
    let trained = train(&options, &registry, &mut watcher).await;
    watcher.finish();
    let trained = trained?;
    print!("{}", summary(&trained));
    Ok(if trained.policy.accepts_nothing() { 10 } else { 0 })
}

/// The recipe of a file; without one the default.
pub fn recipe(file: Option<&Path>) -> Result<Recipe> {
    let Some(path) = file else { return Ok(Recipe::default()) };
    let text = std::fs::read_to_string(path).context(|| path.display().to_string())?;
    Recipe::from_toml(&text).context(|| path.display().to_string())
}

/// Where checkpoints go: where the flag says, or the user's cache.
fn checkpoints(folder: Option<PathBuf>, secs: u64) -> CheckpointPlace {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_else(std::env::temp_dir);
        cache.join("harmonize/training")
    };
    let root = Some(folder.unwrap_or_else(cache)).filter(|folder| folder.as_os_str() != "none");
    CheckpointPlace { root, every: Duration::from_secs(secs) }
}

/// Share of the lines that the budget lets through to people.
fn review_ratio(lines: Option<u64>, of: Option<u64>) -> Result<Option<f64>> {
    let (Some(lines), Some(of)) = (lines, of) else { return Ok(None) };
    if lines > of || of == 0 {
        return Err(Error::Usage(format!("--review-budget {lines} of --review-volume {of}: give at most the volume")));
    }
    Ok(Some(lines as f64 / of as f64))
}

/// This process's command line, quoted where a shell needs it.
pub fn command_line() -> String {
    let quote = |arg: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
        if !arg.is_empty() && arg.chars().all(plain) { arg } else { format!("'{}'", arg.replace('\'', r"'\''")) }
    };
    std::iter::once("harmonize".to_string()).chain(std::env::args().skip(1).map(quote)).collect::<Vec<_>>().join(" ")
}

/// A new version in a few lines.
pub fn summary(t: &Trained) -> String {
    let e = &t.policy.evidence;
    let mut out = format!(
        "{}@{} registered, digest {}\non {}: {} rows\n{}",
        t.name,
        t.version,
        t.digest,
        t.measured_on,
        t.metrics.rows,
        figures(&t.metrics),
    );
    if t.policy.accepts_nothing() {
        let needed = e.error_free_texts_needed.map_or(String::new(), |n| format!("; without an error it takes {n}"));
        out += &format!(
            "  nothing is accepted: {} held-out texts do not prove {:.1} % right for any threshold{needed}.\n  Raise \
             [split] threshold in the recipe, give more lines, or lower --target-precision.\n",
            e.texts,
            100.0 * t.policy.target_precision,
        );
    } else {
        let own = |(heading, own): (&String, &HeadingThreshold)| format!("{heading} {:.4}", own.threshold);
        let headings: Vec<String> = t.policy.single_headings.iter().map(own).collect();
        let name = match headings.is_empty() {
            true => format!("threshold {:.4}", t.policy.threshold),
            false => format!("no one threshold is proved; of headings alone {}", headings.join(", ")),
        };
        out += &format!(
            "  {name}: {} of {} texts accepted, {} wrong, error at most {:.2} % (one-sided {:.0} %)\n",
            e.accepted,
            e.texts,
            e.errors,
            100.0 * e.error_upper_bound,
            100.0 * t.policy.bound,
        );
    }
    out
}

/// Shows a training: the checks, then a bar with the time left.
pub struct Screen {
    bar: ProgressBar,
    checks: bool,
    last: String,
}

impl Screen {
    /// `checks` says whether the report on the data is printed.
    pub fn new(checks: bool) -> Screen {
        Screen { bar: training_bar(), checks, last: String::new() }
    }

    /// Says something above the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Screen {
    fn checked(&mut self, report: &DataReport) {
        if self.checks {
            eprintln!("checks of the labelled lines:");
            for line in report.lines() {
                eprintln!("  {line}");
            }
        }
    }

    fn decided(&mut self, report: &DecisionReport) {
        self.bar.suspend(|| report.lines().iter().for_each(|line| eprintln!("  {line}")));
    }

    fn fitting(&mut self, progress: &FitProgress) {
        match progress {
            FitProgress::Step { epoch, step, steps, loss } => {
                self.bar.set_length(*steps as u64);
                self.bar.set_position(*step as u64);
                if step % 20 == 0 {
                    self.bar.set_message(format!("epoch {epoch}, loss {loss:.3}{}", self.last));
                }
            }
            FitProgress::Resumed { name, epochs } => {
                self.bar.suspend(|| eprintln!("{name}: going on after epoch {epochs}, from a checkpoint"));
            }
            FitProgress::Epoch(epoch) => {
                self.last = format!(", {:.1} % right on the stop part", 100.0 * epoch.stop_accuracy);
                tracing::info!(
                    epoch = epoch.number,
                    loss = epoch.train_loss,
                    stop_accuracy = epoch.stop_accuracy,
                    elapsed_secs = epoch.elapsed_secs,
                    examples_per_sec = epoch.examples_per_sec,
                    "epoch"
                );
            }
        }
    }

    fn step(&mut self, name: &str) {
        tracing::info!(step = name, "training");
        self.bar.set_message(name.to_string());
    }
}
