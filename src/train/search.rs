//! Bayesian search for a better recipe.
//!
//! Every trial is a training like any other, judged by one figure on the part of the split that also ends the fit: never by lines that
//! set a threshold or measure the finished model. The same space, recipe, lines and seed give the same trials.

mod plot;
mod report;
mod space;
mod tpe;
mod trials;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use toml::{Table, Value};

use super::answers::measure;
use super::evaluate::Metrics;
use super::fit::Random;
use super::further::Further;
use super::pipeline::{Prepared, TrainOptions, Watcher, fit_bundle};
use super::recipe::Recipe;
use super::table::nine;
use super::usage;
use crate::error::{Context, Error, Result};
use crate::model::Bundle;
use crate::registry::Loaded;
use crate::sql::Classifier;
pub use space::Space;
pub use trials::Trial;
use trials::{Measured, Plan, Trials};

/// Of `trials.jsonl`.
const FORMAT: u32 = 2;

/// What to search.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Lines, edition, checks; its recipe is `base`.
    pub train: TrainOptions,
    /// The recipe that parameters are put into, as its author wrote it.
    pub base: Table,
    /// What may change.
    pub space: Space,
    /// What is to be as large as possible.
    pub objective: Objective,
    /// Trials, those before a restart included.
    pub trials: usize,
    /// Where the random numbers begin.
    pub seed: u64,
    /// A folder on this machine.
    pub out: PathBuf,
}

/// The figure that a search makes as large as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Right at six digits.
    Hs6,
    /// Right at four.
    Hs4,
    /// Right at two.
    Hs2,
    /// The right code among the best five.
    TopFive,
    /// Macro F1.
    MacroF1,
    /// Coverage at 98 % precision.
    Coverage98,
    /// Coverage at 95 %.
    Coverage95,
}

impl Objective {
    /// All of them with their names.
    pub const ALL: [(&str, Objective); 7] = [
        ("hs6", Objective::Hs6),
        ("hs4", Objective::Hs4),
        ("hs2", Objective::Hs2),
        ("top-five", Objective::TopFive),
        ("macro-f1", Objective::MacroF1),
        ("coverage-98", Objective::Coverage98),
        ("coverage-95", Objective::Coverage95),
    ];

    /// As in `ALL`.
    pub fn name(self) -> &'static str {
        Objective::ALL.iter().find(|(_, o)| *o == self).map_or("", |(name, _)| name)
    }

    fn of(self, m: &Metrics) -> f64 {
        match self {
            Objective::Hs6 => m.accuracy.hs6,
            Objective::Hs4 => m.accuracy.hs4,
            Objective::Hs2 => m.accuracy.hs2,
            Objective::TopFive => m.accuracy.hs6_top_five,
            Objective::MacroF1 => m.macro_f1,
            Objective::Coverage98 => m.coverage(0.98),
            Objective::Coverage95 => m.coverage(0.95),
        }
    }
}

impl FromStr for Objective {
    type Err = Error;

    fn from_str(text: &str) -> Result<Objective> {
        let names = || Objective::ALL.map(|(name, _)| name).join(", ");
        let found = Objective::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, o)| *o).ok_or_else(|| Error::Usage(format!("{text}: choose one of {}", names())))
    }
}

impl std::fmt::Display for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What was made as large as possible.
    pub objective: Objective,
    /// All trials, in their order.
    pub trials: Vec<Trial>,
    /// The space has nothing more to try.
    pub exhausted: bool,
}

/// Hears of a search's progress.
pub trait SearchWatcher: Watcher {
    /// A trial ended, the last one of `found`.
    fn trial(&mut self, found: &Found);
}

/// Searches, and writes `trials.jsonl`, `best.toml` and `search.html` into the folder, all after every trial.
///
/// # Errors
/// As `train`; `Usage` before any training when an extreme of the space is refused. A trial whose settings are refused, or whose
/// weights are no numbers, only failed; anything else ends the search, which can be started again.
pub async fn search(options: &SearchOptions, watcher: &mut dyn SearchWatcher) -> Result<Found> {
    options.validate()?;
    let folder = || options.out.display().to_string();
    std::fs::create_dir_all(&options.out).context(folder)?;
    let prepared = Prepared::read(&options.train, watcher).await?;
    let further = prepared.further(&options.train, watcher).await?;
    let plan = options.plan(&prepared.parts()?.digest(), &further.digest())?;
    let mut trials = Trials::open(&options.out.join("trials.jsonl"), &plan)?;
    let mut found = Found { objective: options.objective, trials: trials.done().to_vec(), exhausted: false };
    while found.trials.len() < options.trials {
        let Some(mut trial) = options.proposed(&found.trials)? else {
            found.exhausted = true;
            break;
        };
        watcher.step(&format!("trial {} of {}", trial.number, options.trials));
        let (began, cpu) = (Instant::now(), usage::cpu_secs());
        let train = TrainOptions { recipe: options.recipe(&trial)?, ..options.train.clone() };
        trial.fit_seed = train.recipe.fit.seed;
        // What texts that name no goods are made from may be searched, too.
        let further = prepared.further(&train, watcher).await?;
        match figures_of(&prepared, &further, &train, watcher) {
            Ok((metrics, epochs)) => {
                trial.figure = Some(nine(options.objective.of(&metrics)));
                trial.measured = Some(Measured::new(&metrics, epochs));
            }
            Err(e @ (Error::Usage(_) | Error::Registry(_))) => trial.failed = Some(e.to_string()),
            Err(e) => return Err(e.context(format!("trial {}", trial.number))),
        }
        trial.secs = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        trial.cpu_secs = usage::cpu_secs().zip(cpu).map(|(after, before)| nine(after - before));
        found.trials.push(trials.add(&trial)?.clone());
        found.save(options)?;
        watcher.trial(&found);
    }
    found.save(options)?;
    Ok(found)
}

/// The figures of a recipe on the stop part, and the epochs that its fit took.
fn figures_of(
    prepared: &Prepared,
    further: &Further,
    train: &TrainOptions,
    watcher: &mut dyn Watcher,
) -> Result<(Metrics, usize)> {
    train.recipe.validate()?;
    let fitted = fit_bundle(prepared, further, train, watcher)?;
    let (bundle, _) = Bundle::build(fitted.draft)?;
    let policy = bundle.policy.clone();
    let classifier = Classifier::new(&Loaded { name: train.name.clone(), version: 0, bundle }, &policy)?;
    Ok((measure(&classifier, &prepared.parts()?.stop)?, fitted.epochs))
}

impl SearchOptions {
    fn validate(&self) -> Result<()> {
        self.train.validate()?;
        if self.trials == 0 {
            return Err(Error::Usage("--trials 0: give at least 1".into()));
        }
        for (name, table) in self.space.extremes(&self.base)? {
            parsed(&table).and_then(|recipe| recipe.validate()).context(|| name)?;
        }
        Ok(())
    }

    fn plan(&self, lines: &str, further: &str) -> Result<Plan> {
        let recipe = serde_json::to_string(&self.train.recipe).map_err(|e| Error::Bug(e.to_string()))?;
        Ok(Plan {
            format: FORMAT,
            objective: self.objective.name().to_string(),
            seed: self.seed,
            space: digest(&self.space.to_string()),
            recipe: digest(&recipe),
            lines: digest(&format!("{} {lines} {further}", self.train.edition)),
        })
    }

    /// The next trial; `None` when nothing is found that was not tried.
    fn proposed(&self, trials: &[Trial]) -> Result<Option<Trial>> {
        let values = |trial: &Trial| trial.parameters.values().cloned().collect::<Vec<Value>>();
        let tried: Vec<Vec<Value>> = trials.iter().map(values).collect();
        let told = tried.iter().zip(trials).map(|(values, trial)| {
            let outside = || Error::Input(format!("trial {} of trials.jsonl is outside the space", trial.number));
            // Larger figures are better, smaller losses are.
            Ok((self.space.coordinates(values).ok_or_else(outside)?, trial.figure.map_or(f64::INFINITY, |f| -f)))
        });
        let told = told.collect::<Result<Vec<_>>>()?;
        let number = trials.len() + 1;
        let seed = Random::new(self.seed, number as u64).next();
        let known = |coordinates: &[f64]| tried.contains(&self.space.values(coordinates));
        let Some(coordinates) = tpe::propose(&self.space.axes(), &told, seed, known)? else { return Ok(None) };
        let keys = self.space.parameters().iter().map(|p| p.key.clone());
        let parameters = keys.zip(self.space.values(&coordinates)).collect();
        let (figure, measured, failed) = (None, None, None);
        let fit_seed = self.train.recipe.fit.seed;
        Ok(Some(Trial { number, seed, fit_seed, parameters, figure, measured, failed, secs: 0.0, cpu_secs: None }))
    }

    /// The recipe of a trial, in the form of a file.
    fn table(&self, trial: &Trial) -> Result<Table> {
        self.space.apply(&self.base, &trial.parameters.values().cloned().collect::<Vec<_>>())
    }

    /// The recipe that is fitted: the screen, which takes minutes and changes next to nothing, comes with the final training.
    fn recipe(&self, trial: &Trial) -> Result<Recipe> {
        let mut recipe = parsed(&self.table(trial)?)?;
        if !trial.parameters.contains_key("model.screen_dim") {
            recipe.model.screen_dim = 0;
        }
        Ok(recipe)
    }
}

impl Found {
    /// The trial with the largest figure, of equals the earliest.
    pub fn best(&self) -> Option<&Trial> {
        let better = |a: &&Trial, b: &&Trial| a.figure.partial_cmp(&b.figure).is_some_and(|o| o.is_ge());
        self.trials.iter().filter(|t| t.figure.is_some()).reduce(|a, b| if better(&a, &b) { a } else { b })
    }

    /// Writes the best recipe and the page.
    fn save(&self, options: &SearchOptions) -> Result<()> {
        let write = |file: &str, text: String| {
            let path = options.out.join(file);
            let new = options.out.join(format!("{file}.new"));
            std::fs::write(&new, text)
                .and_then(|()| std::fs::rename(&new, &path))
                .context(|| path.display().to_string())
        };
        if let (Some(best), Some(figure)) = (self.best(), self.best().and_then(|best| best.figure)) {
            let table = toml::to_string_pretty(&options.table(best)?).map_err(|e| Error::Bug(e.to_string()))?;
            let says = format!(
                "# Trial {} of {}: {} is {figure} on the part of the split that ends the fit.\n",
                best.number,
                self.trials.len(),
                self.objective
            );
            write("best.toml", says + &table)?;
        }
        write("search.html", self.html(options)?)
    }
}

fn parsed(table: &Table) -> Result<Recipe> {
    Recipe::from_toml(&toml::to_string(table).map_err(|e| Error::Bug(format!("a recipe cannot be written: {e}")))?)
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_string()
}
