//! The whole of `train`, step by step.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::answers::Answers;
use super::architecture::Architecture;
use super::card::Card;
use super::checks::Limits as CheckLimits;
use super::data::{Labelled, Line};
use super::decisions::{self, Decisions};
use super::evaluate::{ClassRows, Metrics, confusions};
use super::evaluation::card_slices;
use super::extra::Weighted;
use super::fit::{CheckpointPlace, Checkpoints, Progress};
use super::further::Further;
use super::inspect::{CheckOptions, DataReport};
use super::judging::{Judging, Wanted};
use super::learning::{Learning, Learnt, examples};
use super::recipe::Recipe;
use super::record::{Record, SplitRecord};
use super::split::{Grouping, Part, Split};
use super::upsample::upsampled;
use crate::error::{Error, Result};
use crate::lake::Source;
use crate::model::{Bundle, DataFile, Draft, Labels, Policy, VAGUE_CODE};
use crate::registry::{Act, Loaded, Registry};
use crate::sql::Classifier;
use crate::tariff::{Codes, Edition, Names, Subheading};
use crate::text::Tokenizer;

/// What to train on, and what the policy must keep.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The labelled lines.
    pub lines: Labelled,
    /// Edition of the codes.
    pub edition: Edition,
    /// The codes of the edition, when another list than the built-in one counts.
    pub codes: Option<Codes>,
    /// Texts of the codes, for the card.
    pub names: Option<Names>,
    /// Name in the registry.
    pub name: String,
    /// Shape and settings.
    pub recipe: Recipe,
    /// When to refuse the data.
    pub checks: CheckLimits,
    /// Decisions of people to learn from, too.
    pub decisions: Option<Decisions>,
    /// What the policy must keep.
    pub wanted: Wanted,
    /// Where checkpoints of the fit are kept.
    pub checkpoints: CheckpointPlace,
    /// When the training began; goes into the manifest.
    pub created_at: DateTime<Utc>,
    /// Who trained it.
    pub created_by: String,
    /// How to train it again.
    pub command: String,
}

impl TrainOptions {
    /// Refuses settings outside their range, before any work.
    pub fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        self.checks.validate()?;
        let Some(codes) = &self.codes else { return Ok(()) };
        // Loading checks the labels of every version against the edition.
        let known = Codes::builtin(self.edition);
        match codes.iter().find(|code| !known.contains(code.as_str())) {
            Some(odd) => Err(Error::Input(format!(
                "--nomenclature has {}, which is no subheading of edition {}; give the nomenclature of that edition",
                odd.as_str(),
                self.edition
            ))),
            None => Ok(()),
        }
    }

    /// What the lines are held to.
    ///
    /// # Errors
    /// When the list of texts that name no goods cannot be read.
    fn held_to(&self) -> Result<CheckOptions> {
        let (split, vague) = (self.recipe.split()?, self.recipe.vague.texts()?);
        Ok(CheckOptions { edition: self.edition, split, vague, limits: self.checks })
    }

    pub(super) fn codes(&self) -> &Codes {
        self.codes.as_ref().unwrap_or_else(|| Codes::builtin(self.edition))
    }
}

/// Watches a training.
pub trait Watcher {
    /// The data were checked; nothing has been fitted yet.
    fn checked(&mut self, report: &DataReport);
    /// Decisions of people were read, where they were asked for.
    fn decided(&mut self, report: &decisions::Report) {
        let _ = report;
    }
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
    options.validate()?;
    let mut act = Act::new(&options.created_by, options.created_at, "trained")?;
    registry.try_writing(&options.name).await?;
    let prepared = Prepared::read(options, watcher).await?;
    let further = prepared.further(options, watcher).await?;
    let fitted = fit_bundle(&prepared, &further, options, watcher)?;
    watcher.step("register");
    let (name, policy) = (options.name.clone(), fitted.draft.policy.clone());
    let (bundle, files) = Bundle::build(fitted.draft)?;
    // Training may have taken hours: the event has a time of its own.
    act.at = chrono::Utc::now();
    let version = registry.register(&name, files, &act).await?;
    fitted.checkpoints.remove();
    let (measured_on, metrics) = (fitted.measured_on, fitted.metrics);
    Ok(Trained { name, version, digest: bundle.digest, measured_on, metrics, policy })
}

/// Labelled lines, checked and split.
pub struct Prepared {
    /// What the checks found.
    pub report: DataReport,
    /// How the lines are split.
    pub split: Split,
    files: Vec<DataFile>,
    lines: Vec<Line>,
    /// The part of each line, where the split does not say it.
    dealt: Option<Vec<Part>>,
    pub(super) repair_zeros: bool,
}

impl Prepared {
    /// Reads the lines and checks them.
    ///
    /// # Errors
    /// `Input` when they cannot be read or the checks refuse them.
    pub async fn read(options: &TrainOptions, watcher: &mut dyn Watcher) -> Result<Prepared> {
        let checks = options.held_to()?;
        let (source, lines) = options.lines.read(options.codes()).await?;
        let report = DataReport::of(&source, &lines, &options.lines.label, &checks);
        watcher.checked(&report);
        if let Some(reasons) = report.refusal() {
            return Err(Error::Input(reasons));
        }
        let split = checks.split;
        let (files, repair_zeros) = (data_files(&source), options.checks.repair_zeros);
        Ok(Prepared { report, split, files, lines, dealt: None, repair_zeros })
    }

    /// The same, to be measured on `test` and not on the split's own test part, which is learned from. Lines that the split
    /// would keep together with one of `test` are left out.
    ///
    /// # Errors
    /// `Input` when the lines of `test` cannot be read.
    pub async fn measured_on(self, test: &Labelled, options: &TrainOptions) -> Result<Prepared> {
        let (_, test) = test.read(options.codes()).await?;
        let grouping = self.split.grouping();
        let keys: HashSet<[u8; 16]> = test.iter().map(|line| grouping.key(&line.text)).collect();
        let others = self.lines.iter().filter(|line| !keys.contains(&grouping.key(&line.text))).cloned();
        let mut dealt: Vec<(Line, Part)> = others
            .map(|line| match self.split.part(&line.text) {
                Part::Test => (line, Part::Train),
                part => (line, part),
            })
            .collect();
        dealt.extend(test.into_iter().map(|line| (line, Part::Test)));
        Ok(self.dealt(dealt))
    }

    /// The same with other lines, each in a part that need not be the split's.
    pub(super) fn dealt(&self, lines: impl IntoIterator<Item = (Line, Part)>) -> Prepared {
        let (lines, dealt): (Vec<Line>, Vec<Part>) = lines.into_iter().unzip();
        let (report, files) = (self.report.clone(), self.files.clone());
        Prepared { report, split: self.split, files, lines, dealt: Some(dealt), repair_zeros: self.repair_zeros }
    }

    /// Usable lines by part.
    ///
    /// # Errors
    /// `Input` when a part that is needed has none.
    pub fn parts(&self) -> Result<Parts<'_>> {
        let part = |row: usize| match &self.dealt {
            Some(dealt) => dealt[row],
            None => self.split.part(&self.lines[row].text),
        };
        Parts::new(&self.lines, part, self.repair_zeros)
    }
}

/// A model that was fitted and measured; in no registry yet.
pub struct FittedBundle {
    /// All that a bundle is built from.
    pub draft: Draft,
    /// What the figures were measured on, in words.
    pub measured_on: String,
    /// The figures.
    pub metrics: Metrics,
    /// Epochs that ran, of all members.
    pub epochs: usize,
    /// What can be removed once the model is safe.
    pub checkpoints: Checkpoints,
}

/// Fits a model, calibrates it, sets its thresholds and measures it.
///
/// # Errors
/// `Input` when nothing is left to learn from; `Usage` when the recipe's shape is refused.
pub fn fit_bundle(
    prepared: &Prepared,
    further: &Further,
    options: &TrainOptions,
    watcher: &mut dyn Watcher,
) -> Result<FittedBundle> {
    let mut parts = prepared.parts()?;
    parts.train = further.corrected(&parts.train);
    let extra = &further.examples;
    watcher.step("vocabulary");
    let max_tokens = options.recipe.model.max_tokens;
    let texts = parts.train.iter().map(|(text, _)| *text).chain(extra.iter().map(|(text, _, _)| text.as_str()));
    let tokenizer = Tokenizer::learn(texts.clone(), options.recipe.model.vocab_size, max_tokens)?;
    let labels = labels(&parts.train, extra);
    let shape = Architecture::shape(&options.recipe.model, tokenizer.vocab_size(), labels.len())?;
    let learned = match options.recipe.fit.upsample_to {
        0 => parts.train.clone(),
        rows => upsampled(&parts.train, rows),
    };
    let weighed = learned.iter().map(|(text, code)| (*text, *code, 1.0));
    let more = extra.iter().map(|(text, code, weight)| (text.as_str(), *code, *weight));
    let train = examples(weighed.chain(more), &tokenizer, &shape, &labels)?;
    let stop = parts.stop.iter().map(|(text, code)| (*text, *code, 1.0));
    let stop = examples(stop, &tokenizer, &shape, &labels)?;
    let learning = Learning { texts: texts.collect(), labels: &labels, tokenizer: &tokenizer, train, stop };
    let Learnt { network, history, epochs, checkpoints } = learning.fit(shape, options, watcher)?;
    let tokenizer_json = tokenizer.to_json()?;
    watcher.step("calibration");
    let judge = Judging { network: &network, tokenizer_json: &tokenizer_json, labels: &labels };
    let calibration = judge.calibrate(&parts.calibrate)?;
    let policy = Policy {
        vague: further.vague.clone(),
        ..judge.policy((&parts.calibrate, &parts.threshold), &calibration, options.wanted)?
    };
    policy.validate().map_err(|e| Error::Usage(e.to_string()))?;
    watcher.step("figures");
    let draft = Draft {
        name: options.name.clone(),
        created_at: options.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        created_by: options.created_by.clone(),
        program_version: env!("CARGO_PKG_VERSION").into(),
        seed: options.recipe.fit.seed,
        data: prepared.files.iter().chain(&further.files).cloned().collect(),
        network,
        tokenizer_json,
        labels: Labels { edition: options.edition.to_string(), codes: labels },
        calibration,
        policy,
        metrics: json!({}),
        card: String::new(),
    };
    let (draft, measured_on, metrics) = measured(draft, prepared, &parts, further, &history, options)?;
    Ok(FittedBundle { draft, measured_on, metrics, epochs, checkpoints })
}

/// Most confusions that the card tells.
const CARD_CONFUSIONS: usize = 10;

/// The draft with its figures and its card.
fn measured(
    mut draft: Draft,
    prepared: &Prepared,
    parts: &Parts<'_>,
    further: &Further,
    history: &serde_json::Value,
    options: &TrainOptions,
) -> Result<(Draft, String, Metrics)> {
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
    let answers = Answers::of(&classifier, rows)?;
    let goods = answers.goods();
    let metrics = answers.metrics(&goods);
    let class_rows = parts.class_rows();
    let record = Record {
        measured_on: measured_on.clone(),
        figures: metrics.clone(),
        slices: card_slices(&goods, rows, &class_rows),
        confusions: confusions(&goods.rows, CARD_CONFUSIONS, options.names.as_ref()),
        class_rows,
        split: Some(SplitRecord::new(&prepared.split, parts.rows())),
        fit: history.clone(),
        checks: Some(prepared.report.clone()),
        extra: further.counts.clone(),
        decisions: further.decided.as_ref().map(|decided| decided.report.clone()),
        made_vague: further.made_vague,
        recipe: options.recipe.in_force()?,
        command: options.command.clone(),
    };
    draft.metrics = json!(record);
    draft.card = Card::of_draft(&draft, &record)?.markdown();
    Ok((draft, measured_on, metrics))
}

/// Usable lines by part.
pub struct Parts<'a> {
    /// Fits the weights.
    pub train: Vec<(&'a str, Subheading)>,
    /// Decides when to stop.
    pub stop: Vec<(&'a str, Subheading)>,
    /// Fits the calibration.
    pub calibrate: Vec<(&'a str, Subheading)>,
    /// Sets the thresholds.
    pub threshold: Vec<(&'a str, Subheading)>,
    /// Measures the finished model.
    pub test: Vec<(&'a str, Subheading)>,
}

impl<'a> Parts<'a> {
    fn new(lines: &'a [Line], part_of: impl Fn(usize) -> Part, repair_zeros: bool) -> Result<Parts<'a>> {
        let mut parts = Parts { train: vec![], stop: vec![], calibrate: vec![], threshold: vec![], test: vec![] };
        for (row, line) in lines.iter().enumerate().filter(|(_, line)| !line.text.is_empty()) {
            let Some(code) = line.label.class(repair_zeros) else { continue };
            let part = match part_of(row) {
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
                let texts: HashSet<&str> = lines.iter().map(|line| line.text.as_str()).collect();
                return Err(Error::Input(format!(
                    "of {} different descriptions none fell into the part \"{name}\" of the split; give more of them, or \
                     raise [split] {name} in the recipe",
                    texts.iter().filter(|text| !text.is_empty()).count()
                )));
            }
        }
        Ok(parts)
    }

    /// Keys of the texts that are kept from the fit.
    pub(super) fn kept(&self, grouping: Grouping) -> HashSet<[u8; 16]> {
        let parts = [&self.stop, &self.calibrate, &self.threshold, &self.test];
        parts.into_iter().flatten().map(|(text, _)| grouping.key(text)).collect()
    }

    /// Rows of each class in the training part.
    fn class_rows(&self) -> ClassRows {
        let mut rows = ClassRows::new();
        let goods = self.train.iter().filter(|(_, code)| code.as_str() != VAGUE_CODE);
        goods.for_each(|(_, code)| *rows.entry(*code).or_default() += 1);
        rows
    }

    /// Each part with its lines, in the order of use.
    pub(super) fn each(&self) -> impl Iterator<Item = (Part, &[(&'a str, Subheading)])> {
        let parts = [&self.train, &self.stop, &self.calibrate, &self.threshold, &self.test];
        Part::ALL.into_iter().zip(parts.map(Vec::as_slice))
    }

    /// BLAKE3 of all lines, part by part.
    pub(super) fn digest(&self) -> String {
        let mut digest = blake3::Hasher::new();
        for (part, lines) in self.each() {
            digest.update(format!("{} {}\n", part.name(), lines.len()).as_bytes());
            for (text, code) in lines {
                digest.update(format!("{code} {text}\n").as_bytes());
            }
        }
        digest.finalize().to_hex().to_string()
    }

    /// How many lines each part has.
    pub(super) fn rows(&self) -> Vec<(Part, usize)> {
        self.each().map(|(part, rows)| (part, rows.len())).collect()
    }
}

/// Subheadings that there is something to learn about, sorted.
fn labels(train: &[(&str, Subheading)], extra: &[Weighted]) -> Vec<String> {
    let codes: BTreeSet<Subheading> = train.iter().map(|l| l.1).chain(extra.iter().map(|e| e.1)).collect();
    codes.into_iter().map(|c| c.as_str().to_string()).collect()
}

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
