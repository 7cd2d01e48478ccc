//! The whole of `train`, step by step.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::card::{CardInputs, DataFile as CardFile, card};
use super::checks::Limits as CheckLimits;
use super::data::{Line, measure, read};
use super::evaluate::Metrics;
use super::extra::{Extra, Weighted};
use super::fit::{self, Example, Hyper, Progress};
use super::inspect::DataReport;
use super::screen;
use super::split::{Grouping, Part, Shares, Split};
use crate::engine::{self, Engine, Scratch};
use crate::error::{Error, Result};
use crate::lake::{Nonce, Source};
use crate::model::{
    self, BagShape, Beta, Bundle, Calibration, Config, DataFile, Draft, Evidence, Labels, LevelThreshold, Policy,
    Weights, calibration,
};
use crate::policy::{Judged, Threshold, by_precision, by_review_budget};
use crate::registry::{Loaded, Registry};
use crate::sql::{Classifier, Limits};
use crate::tariff::{Codes, Edition, Subheading};
use crate::text::{EncodeScratch, Grams, Tokenizer};

/// Most rows that the temperature is fitted on: their logits are held at once.
const MAX_CALIBRATION_ROWS: usize = 10_000;

/// What is fitted, and how; a TOML file with the tables `[model]`, `[fit]`, `[split]`, `[checks]`
/// and any number of `[[extra]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Shape of the network.
    pub model: ModelRecipe,
    /// Settings of the fit.
    pub fit: Hyper,
    /// Shares of the distinct texts that are kept from the fit.
    pub split: SplitRecipe,
    /// Further examples, for training alone.
    pub extra: Vec<Extra>,
    /// When to refuse the data.
    pub checks: CheckLimits,
}

/// Shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRecipe {
    /// Most pieces of the vocabulary.
    pub vocab_size: usize,
    /// Length of an embedding.
    pub embedding_dim: usize,
    /// Window widths in tokens.
    pub widths: Vec<usize>,
    /// Filters of each width.
    pub filters: usize,
    /// Tokens of a text that are looked at.
    pub max_tokens: usize,
    /// Numbers of the mean over n-grams that stand beside the windows' features; 0 for none.
    pub bag_dim: usize,
    /// Rows of the table of n-grams.
    pub bag_buckets: usize,
    /// Dimensions of the screen that picks the classes to be scored exactly; 0 for none. There is none either when there
    /// are not more than four times as many classes.
    pub screen_dim: usize,
}

impl Default for ModelRecipe {
    fn default() -> Self {
        let c = Config::default_text_cnn(DEFAULT_VOCAB, 2);
        ModelRecipe {
            vocab_size: DEFAULT_VOCAB,
            embedding_dim: c.embedding_dim,
            widths: c.widths,
            filters: c.filters,
            max_tokens: c.max_tokens,
            bag_dim: 256,
            bag_buckets: 1 << 16,
            screen_dim: screen::DEFAULT_DIM,
        }
    }
}

impl ModelRecipe {
    fn bag(&self) -> Option<BagShape> {
        let grams = Grams { buckets: self.bag_buckets, shortest: 2, longest: 5 };
        (self.bag_dim > 0).then_some(BagShape { dim: self.bag_dim, grams })
    }
}

const DEFAULT_VOCAB: usize = 16_000;

/// Shares of the distinct texts that are kept from the fit, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitRecipe {
    /// Decide when to stop.
    pub stop: f64,
    /// Fit the temperature.
    pub calibrate: f64,
    /// Set the threshold.
    pub threshold: f64,
    /// Measure the finished model.
    pub test: f64,
    /// Keep texts that differ in numbers alone on one side.
    pub without_numbers: bool,
}

impl Default for SplitRecipe {
    fn default() -> Self {
        let s = Shares::default();
        SplitRecipe { stop: s.stop, calibrate: s.calibrate, threshold: s.threshold, test: 0.05, without_numbers: false }
    }
}

/// What to train on, and what the policy must keep.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Files and folders to read.
    pub inputs: Vec<String>,
    /// Description column.
    pub text: String,
    /// Column with the codes.
    pub label: String,
    /// SQL filter over the input's columns.
    pub where_sql: Option<String>,
    /// Edition of the codes.
    pub edition: Edition,
    /// The codes of the edition, when another list than the built-in one counts.
    pub codes: Option<Codes>,
    /// Name in the registry.
    pub name: String,
    /// Shape and settings.
    pub recipe: Recipe,
    /// When to refuse the data.
    pub checks: CheckLimits,
    /// Share of accepted lines that must be right.
    pub target_precision: f64,
    /// Share of lines that people can look at; sets the threshold instead of the precision.
    pub review_budget: Option<f64>,
    /// Share of accepted texts that goes to people at random.
    pub audit_ratio: f64,
    /// Share of the machine.
    pub limits: Limits,
    /// When the training began; goes into the manifest.
    pub created_at: DateTime<Utc>,
    /// Who trained it.
    pub created_by: String,
    /// How to train it again.
    pub command: String,
}

/// Watches a training.
pub trait Watcher {
    /// The data were checked; nothing has been fitted yet.
    fn checked(&mut self, report: &DataReport);
    /// A step of the fit.
    fn fitting(&mut self, progress: &Progress);
    /// Another step begins.
    fn step(&mut self, name: &str);
}

/// A model version, new in the registry.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// SHA-256 of the manifest.
    pub digest: String,
    /// What the figures were measured on.
    pub measured_on: String,
    /// The figures.
    pub metrics: Metrics,
    /// The policy of the bundle.
    pub policy: Policy,
}

/// Trains a model version and registers it.
///
/// # Errors
/// `Input` when the checks refuse the data or nothing is left to learn from; `Registry` when it cannot be registered.
pub async fn train(options: &TrainOptions, registry: &Registry, watcher: &mut dyn Watcher) -> Result<Trained> {
    // What is wrong with the call or the registry is said before the work, not after it.
    options.recipe.fit.validate()?;
    options.checks.validate()?;
    options.recipe.extra.iter().try_for_each(Extra::validate)?;
    split_of(&options.recipe)?;
    registry.try_writing(&options.name).await?;
    let builtin;
    let codes = match &options.codes {
        Some(codes) => {
            // Loading checks the labels of every version against the edition.
            let known = Codes::builtin(options.edition);
            if let Some(odd) = codes.iter().find(|code| !known.contains(code.as_str())) {
                return Err(Error::Input(format!(
                    "--nomenclature has {}, which is no subheading of edition {}; give the nomenclature of that edition",
                    odd.as_str(),
                    options.edition
                )));
            }
            codes
        }
        None => {
            builtin = Codes::builtin(options.edition);
            builtin
        }
    };
    let (source, lines) =
        read(&options.inputs, &options.text, &options.label, options.where_sql.as_deref(), codes, options.limits)
            .await?;
    let split = split_of(&options.recipe)?;
    let report = DataReport::of(&lines, options.edition, &split);
    watcher.checked(&report);
    if let Some(reason) = report.refuse(&options.checks) {
        return Err(Error::Input(reason));
    }
    let parts = Parts::new(&lines, &split, options.checks.repair_zeros)?;
    let mut data = data_files(&source);
    let (mut extra, mut extra_counts) = (Vec::new(), Vec::new());
    if !options.recipe.extra.is_empty() {
        watcher.step("further examples");
        let kept = parts.kept(split.grouping());
        for source in &options.recipe.extra {
            let (examples, count, files) =
                source.read(codes, (&kept, split.grouping()), options.checks.repair_zeros, options.limits).await?;
            extra.extend(examples);
            extra_counts.push(count);
            data.extend(files);
        }
    }
    watcher.step("vocabulary");
    let max_tokens = options.recipe.model.max_tokens;
    let texts = parts.train.iter().map(|(text, _)| *text).chain(extra.iter().map(|(text, _, _)| text.as_str()));
    let tokenizer = Tokenizer::learn(texts, options.recipe.model.vocab_size, max_tokens)?;
    let labels = labels(&parts.train, &extra);
    let config = Config {
        embedding_dim: options.recipe.model.embedding_dim,
        widths: options.recipe.model.widths.clone(),
        filters: options.recipe.model.filters,
        max_tokens,
        bag: options.recipe.model.bag(),
        ..Config::default_text_cnn(tokenizer.vocab_size(), labels.len())
    };
    config.validate().map_err(|e| Error::Usage(e.to_string()))?;
    let weighed = parts.train.iter().map(|(text, code)| (*text, *code, 1.0));
    let further = extra.iter().map(|(text, code, weight)| (text.as_str(), *code, *weight));
    let train_rows = examples(weighed.chain(further), &tokenizer, &config, &labels)?;
    let stop_rows = examples(parts.stop.iter().map(|(text, code)| (*text, *code, 1.0)), &tokenizer, &config, &labels)?;
    watcher.step("fit");
    let splits = tokenizer.splits()?;
    let (mut config, mut fitted) =
        fit::fit_members(&config, &options.recipe.fit, &splits, &train_rows, &stop_rows, &mut |progress| {
            watcher.fitting(&progress);
            std::ops::ControlFlow::Continue(())
        })?;
    fitted.weights.ranges = Some(engine::ranges(&config, &fitted.weights));
    let tokenizer_json = tokenizer.to_json()?;
    // With fewer classes the output layer itself is as quick.
    let (dim, seed) = (options.recipe.model.screen_dim, options.recipe.fit.seed);
    if dim > 0 && labels.len() > 4 * dim {
        watcher.step("screen");
        let judge =
            Judging { config: &config, weights: &fitted.weights, tokenizer_json: &tokenizer_json, labels: &labels };
        let texts = parts.train.iter().map(|(text, _)| *text).chain(extra.iter().map(|(text, _, _)| text.as_str()));
        let features = judge.features(&texts.collect::<Vec<_>>())?;
        fitted.weights.screen = Some(screen::fit(&features, &fitted.weights, dim, seed)?);
        config.screen_dim = Some(dim);
    }
    watcher.step("calibration");
    let judge = Judging { config: &config, weights: &fitted.weights, tokenizer_json: &tokenizer_json, labels: &labels };
    let calibration = judge.calibrate(&parts.calibrate)?;
    let policy = judge.policy(&parts.threshold, &calibration, options)?;
    watcher.step("figures");
    let history = json!({ "best_epoch": fitted.best_epoch, "epochs": fitted.history });
    let mut draft = Draft {
        name: options.name.clone(),
        created_at: options.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        created_by: options.created_by.clone(),
        program_version: env!("CARGO_PKG_VERSION").into(),
        seed: options.recipe.fit.seed,
        data,
        config: config.clone(),
        tokenizer_json,
        weights: fitted.weights,
        labels: Labels { edition: options.edition.to_string(), codes: labels },
        calibration,
        policy,
        metrics: json!({}),
        card: String::new(),
    };
    let (measured_on, rows) = if parts.test.is_empty() {
        let words = "the rows that set the threshold, which flatters the precision of the accepted part";
        (words.to_string(), &parts.threshold)
    } else {
        ("rows that were used for nothing else".to_string(), &parts.test)
    };
    // The figures are those of the finished bundle, as it will serve.
    let (bundle, _) = Bundle::build(draft.clone())?;
    let loaded = Loaded { name: options.name.clone(), version: 0, bundle };
    let classifier = Classifier::new(&loaded, &draft.policy)?;
    let metrics = measure(&classifier, rows)?;
    draft.metrics = json!({
        "measured_on": measured_on,
        "figures": metrics,
        "fit": history,
        "checks": report,
        "extra": extra_counts,
        "recipe": options.recipe,
    });
    draft.card = card(&CardInputs {
        name: &options.name,
        version: "",
        program_version: &draft.program_version,
        created_at: &draft.created_at,
        owner: &options.created_by,
        edition: options.edition,
        files: &card_files(&source),
        checks: &report.labels,
        split: &split,
        part_rows: &parts.rows(),
        architecture: &json!(config),
        hyper_parameters: &json!(options.recipe.fit),
        measured_on: &measured_on,
        metrics: &metrics,
        calibration: &json!(draft.calibration),
        threshold: &threshold_table(&draft.policy),
        command: &options.command,
    });
    watcher.step("register");
    let policy = draft.policy.clone();
    let (bundle, files) = Bundle::build(draft)?;
    let version = registry.register(&options.name, files, &Nonce::new().0.to_string()).await?;
    Ok(Trained { name: options.name.clone(), version, digest: bundle.digest, measured_on, metrics, policy })
}

/// The split that a recipe asks for.
///
/// # Errors
/// `Usage` when its shares are not such.
pub fn split_of(recipe: &Recipe) -> Result<Split> {
    let s = &recipe.split;
    let shares = Shares { stop: s.stop, calibrate: s.calibrate, threshold: s.threshold, test: s.test };
    Split::new(recipe.fit.seed, shares, if s.without_numbers { Grouping::TextWithoutNumbers } else { Grouping::Text })
}

/// Usable lines by part.
struct Parts<'a> {
    train: Vec<(&'a str, Subheading)>,
    stop: Vec<(&'a str, Subheading)>,
    calibrate: Vec<(&'a str, Subheading)>,
    threshold: Vec<(&'a str, Subheading)>,
    test: Vec<(&'a str, Subheading)>,
}

impl<'a> Parts<'a> {
    fn new(lines: &'a [Line], split: &Split, repair_zeros: bool) -> Result<Parts<'a>> {
        let mut parts = Parts { train: vec![], stop: vec![], calibrate: vec![], threshold: vec![], test: vec![] };
        for line in lines.iter().filter(|l| !l.text.is_empty()) {
            let Some(code) = line.label.code(repair_zeros) else { continue };
            let part = match split.part(&line.text) {
                Part::Train => &mut parts.train,
                Part::Stop => &mut parts.stop,
                Part::Calibrate => &mut parts.calibrate,
                Part::Threshold => &mut parts.threshold,
                Part::Test => &mut parts.test,
            };
            part.push((line.text.as_str(), code));
        }
        for (name, part) in [("stop", &parts.stop), ("calibrate", &parts.calibrate), ("threshold", &parts.threshold)] {
            if part.is_empty() {
                return Err(Error::Input(format!(
                    "no line fell into the part \"{name}\" of the split; give more lines, or raise [split] {name} in \
                     the recipe"
                )));
            }
        }
        Ok(parts)
    }

    /// Keys of the texts that are kept from the fit.
    fn kept(&self, grouping: Grouping) -> HashSet<[u8; 16]> {
        let parts = [&self.stop, &self.calibrate, &self.threshold, &self.test];
        parts.into_iter().flatten().map(|(text, _)| grouping.key(text)).collect()
    }

    fn rows(&self) -> Vec<(Part, usize)> {
        let parts = [&self.train, &self.stop, &self.calibrate, &self.threshold, &self.test];
        Part::ALL.into_iter().zip(parts).map(|(part, rows)| (part, rows.len())).collect()
    }
}

/// Subheadings that there is something to learn about, sorted.
fn labels(train: &[(&str, Subheading)], extra: &[Weighted]) -> Vec<String> {
    let codes: BTreeSet<Subheading> = train.iter().map(|l| l.1).chain(extra.iter().map(|e| e.1)).collect();
    codes.into_iter().map(|c| c.as_str().to_string()).collect()
}

/// Token ids, n-grams and class of each line whose class is known. Repeats stay: how often a text comes is part of the evidence.
fn examples<'t>(
    lines: impl Iterator<Item = (&'t str, Subheading, f32)>,
    tokenizer: &Tokenizer,
    config: &Config,
    labels: &[String],
) -> Result<Vec<Example>> {
    let mut scratch = EncodeScratch::default();
    let mut out = Vec::new();
    for (text, code, weight) in lines {
        let Ok(class) = labels.binary_search_by(|l| l.as_str().cmp(code.as_str())) else { continue };
        let mut tokens = Vec::new();
        tokenizer.encode(text, &mut scratch, &mut tokens)?;
        let grams = config.bag.map_or_else(Vec::new, |bag| bag.grams.of_text(text, config.max_tokens));
        out.push(Example { tokens, grams, class: class as u32, weight });
    }
    Ok(out)
}

/// The fitted network as the engine runs it, before it has a calibration.
struct Judging<'a> {
    config: &'a Config,
    weights: &'a Weights,
    tokenizer_json: &'a [u8],
    labels: &'a [String],
}

impl Judging<'_> {
    fn engine(&self) -> Result<Engine> {
        Engine::uncalibrated(self.config, self.weights, self.tokenizer_json, self.labels.to_vec())
    }

    fn class(&self, code: Subheading) -> Option<u32> {
        self.labels.binary_search_by(|l| l.as_str().cmp(code.as_str())).ok().map(|c| c as u32)
    }

    /// Features of an even share of the texts.
    fn features(&self, texts: &[&str]) -> Result<Vec<f32>> {
        let stride = texts.len().div_ceil(screen::MAX_ROWS).max(1);
        let texts: Vec<&str> = texts.iter().step_by(stride).copied().collect();
        let engine = self.engine()?;
        let parts = texts.par_chunks(256).map(|texts| engine.features(texts, &mut Scratch::default()));
        Ok(parts.collect::<Result<Vec<_>>>()?.concat())
    }

    fn calibrate(&self, lines: &[(&str, Subheading)]) -> Result<Calibration> {
        // Evenly over all of them: files are often sorted.
        let stride = lines.len().div_ceil(MAX_CALIBRATION_ROWS).max(1);
        let lines: Vec<(&str, Subheading)> = lines.iter().step_by(stride).copied().collect();
        let engine = self.engine()?;
        let logits: Vec<Vec<f32>> = lines
            .par_chunks(64)
            .map(|chunk| {
                let texts: Vec<&str> = chunk.iter().map(|(t, _)| *t).collect();
                let mut out = Vec::with_capacity(chunk.len());
                engine.logits(&texts, &mut Scratch::default(), |l, _| out.push(l.to_vec()))?;
                Ok(out)
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        let truth: Vec<Option<u32>> = lines.iter().map(|(_, code)| self.class(*code)).collect();
        let temperature = calibration::fit_first_choice(&logits, &truth)?;
        let engine = engine.with_temperature(temperature);
        let texts: Vec<&str> = lines.iter().map(|(t, _)| *t).collect();
        let score = |engine: &Engine| -> Result<Vec<crate::engine::Score>> {
            let mut scores = Vec::with_capacity(texts.len());
            engine.score(&texts, &mut Scratch::default(), &mut scores)?;
            Ok(scores)
        };
        let scores = score(&engine)?;
        let curve = |digits: usize, confidence: &dyn Fn(&crate::engine::Score) -> f32| {
            let right =
                scores.iter().zip(&lines).map(|(s, l)| engine.code(s.top[0].0)[..digits] == l.1.as_str()[..digits]);
            Beta::fit(&scores.iter().map(confidence).collect::<Vec<_>>(), &right.collect::<Vec<_>>())
        };
        let [subheading, heading, chapter] =
            [curve(6, &|s| s.confidence()), curve(4, &|s| s.heading), curve(2, &|s| s.chapter)];
        let engine = engine.with_curves([subheading, heading, chapter]);
        let scores = score(&engine)?;
        let error = |digits: usize, confidence: &dyn Fn(&crate::engine::Score) -> f32| {
            let right: Vec<bool> = scores
                .iter()
                .zip(&lines)
                .map(|(s, (_, code))| engine.code(s.top[0].0)[..digits] == code.as_str()[..digits])
                .collect();
            let confidence: Vec<f32> = scores.iter().map(confidence).collect();
            calibration::expected_calibration_error(&confidence, &right, ECE_BINS)
        };
        let (seen, known): (Vec<Vec<f32>>, Vec<u32>) =
            logits.iter().zip(&truth).filter_map(|(l, t)| Some((l.clone(), (*t)?))).unzip();
        Ok(Calibration {
            temperature,
            subheading,
            heading,
            chapter,
            rows: lines.len() as u64,
            texts: texts.iter().collect::<HashSet<_>>().len() as u64,
            nll_before: calibration::nll(&seen, &known, 1.0),
            nll_after: calibration::nll(&seen, &known, f64::from(temperature)),
            ece_subheading: error(6, &|s| s.confidence()),
            ece_heading: error(4, &|s| s.heading),
            ece_chapter: error(2, &|s| s.chapter),
            ece_bins: ECE_BINS as u64,
        })
    }

    /// The policy, with the threshold from one judgement a distinct text: repeats are no further evidence.
    fn policy(
        &self,
        lines: &[(&str, Subheading)],
        calibration: &Calibration,
        options: &TrainOptions,
    ) -> Result<Policy> {
        let engine = self.engine()?.calibrated(calibration);
        let mut seen = HashSet::new();
        let distinct: Vec<(&str, Subheading)> = lines.iter().filter(|(t, _)| seen.insert(*t)).copied().collect();
        let texts: Vec<&str> = distinct.iter().map(|(t, _)| *t).collect();
        let mut scores = Vec::with_capacity(texts.len());
        engine.score(&texts, &mut Scratch::default(), &mut scores)?;
        let judged = |digits: usize, confidence: &dyn Fn(&crate::engine::Score) -> f32| -> Vec<Judged> {
            let right = |s: &crate::engine::Score, code: &Subheading| {
                engine.code(s.top[0].0)[..digits] == code.as_str()[..digits]
            };
            let each = scores.iter().zip(&distinct);
            each.map(|(s, (_, code))| Judged { confidence: confidence(s), right: right(s, code) }).collect()
        };
        let rows = lines.len() as u64;
        let of_level = |judged: Vec<Judged>| {
            let found = by_precision(&judged, options.target_precision, model::policy::BOUND);
            LevelThreshold { threshold: found.threshold, evidence: Evidence { rows, ..found.evidence } }
        };
        let first = judged(6, &|s| s.confidence());
        let threshold: Threshold = match options.review_budget {
            // The audit sample goes to people too.
            Some(budget) => by_review_budget(&first, (budget - options.audit_ratio).max(0.0)),
            None => by_precision(&first, options.target_precision, model::policy::BOUND),
        };
        let policy = Policy {
            threshold: threshold.threshold,
            target_precision: options.target_precision,
            review_budget: options.review_budget,
            audit_ratio: options.audit_ratio,
            evidence: Evidence { rows, ..threshold.evidence },
            heading: of_level(judged(4, &|s| s.heading)),
            chapter: of_level(judged(2, &|s| s.chapter)),
            ..Policy::default()
        };
        policy.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(policy)
    }
}

const ECE_BINS: usize = 15;

pub(super) fn data_files(source: &Source) -> Vec<DataFile> {
    source
        .files()
        .iter()
        .map(|f| DataFile {
            url: f.url.clone(),
            size_bytes: f.size_bytes(),
            e_tag: f.e_tag().map(str::to_string),
            rows: f.rows,
        })
        .collect()
}

fn card_files(source: &Source) -> Vec<CardFile> {
    source
        .files()
        .iter()
        .map(|f| CardFile { address: f.url.clone(), rows: f.rows as usize, digest: f.e_tag().map(str::to_string) })
        .collect()
}

fn threshold_table(policy: &Policy) -> serde_json::Value {
    let e = &policy.evidence;
    json!({
        "threshold": policy.threshold,
        "target_precision": policy.target_precision,
        "bound": policy.bound,
        "review_budget": policy.review_budget,
        "audit_ratio": policy.audit_ratio,
        "evidence_texts": e.texts,
        "accepted_texts": e.accepted,
        "errors_among_them": e.errors,
        "coverage_ratio": e.coverage_ratio,
        "error_upper_bound": e.error_upper_bound,
        "method": e.method,
    })
}
