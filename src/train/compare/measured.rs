//! One model at a time: trained, asked about the test lines, and timed.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};

use super::row::{Cost, Kind, Row};
use crate::error::{Error, Result};
use crate::model::{Bundle, VAGUE_CODE};
use crate::registry::Loaded;
use crate::sql::Classifier;
use crate::tariff::Subheading;
use crate::text::{EncodeScratch, Tokenizer};
use crate::train::architecture::Architecture;
use crate::train::baseline::{Answer, Curves, Majority, Nearest, Scratch};
use crate::train::evaluate::{Metrics, evaluate};
use crate::train::fit::Random;
use crate::train::further::Further;
use crate::train::pipeline::{Parts, Prepared, TrainOptions, Watcher, fit_bundle};
use crate::train::table::{nine, ratio};
use crate::train::upsample::upsampled;
use crate::train::usage;

/// Lines that are scored at once while the time is taken.
const BATCH_ROWS: usize = 1024;

/// Numbers of its own beside those of the fit.
const TIMING_STREAM: u64 = 0x74_69_6d_65;

/// Lines with a subheading, as the baselines need them.
pub struct Sides<'a> {
    pub train: Vec<(&'a str, Subheading)>,
    /// These lines, or with copies of them.
    pub learned: Vec<(&'a str, Subheading)>,
    pub calibrate: Vec<(&'a str, Subheading)>,
    pub test: Vec<(&'a str, Subheading)>,
}

impl<'a> Sides<'a> {
    /// Of parts, without the lines that are labelled as naming no goods.
    pub fn of(parts: &Parts<'a>) -> Sides<'a> {
        let train = goods(&parts.train);
        let learned = train.clone();
        Sides { train, learned, calibrate: goods(&parts.calibrate), test: goods(&parts.test) }
    }

    /// With every class repeated to so many rows, in what is learned alone.
    pub fn upsampled(mut self, rows: usize) -> Sides<'a> {
        self.learned = upsampled(&self.train, rows);
        self
    }

    /// With at most so many test lines, evenly over all of them.
    pub fn limited(mut self, rows: usize) -> Sides<'a> {
        let stride = self.test.len().div_ceil(rows).max(1);
        self.test = self.test.into_iter().step_by(stride).collect();
        self
    }

    /// Subheadings that can be learned.
    pub fn classes(&self) -> usize {
        let mut codes: Vec<Subheading> = self.train.iter().map(|l| l.1).collect();
        codes.sort_unstable();
        codes.dedup();
        codes.len()
    }
}

/// Lines whose label does not say that they name no goods.
pub fn goods<'a>(lines: &[(&'a str, Subheading)]) -> Vec<(&'a str, Subheading)> {
    lines.iter().filter(|(_, code)| code.as_str() != VAGUE_CODE).copied().collect()
}

/// Always the most frequent class of each level.
pub fn majority(sides: &Sides<'_>) -> Row {
    let began = Instant::now();
    let majority = Majority::fit(&sides.learned);
    let train_secs = began.elapsed().as_secs_f64();
    let answers = vec![majority.answer(); sides.test.len()];
    let right = |digits: usize, first: usize| {
        ratio(sides.test.iter().filter(|(_, code)| majority.right(digits, first, *code)).count(), sides.test.len())
    };
    let mut metrics = figures(&answers, sides);
    // Each level has its own most frequent class, which is always said with the same confidence.
    let answer = majority.answer();
    (metrics.accuracy.hs4, metrics.accuracy.hs2) = (right(4, 1), right(2, 1));
    (metrics.accuracy.hs4_top_five, metrics.accuracy.hs2_top_five) = (right(4, 5), right(2, 5));
    metrics.calibration_error.hs4 = (right(4, 1) - f64::from(answer.heading)).abs();
    metrics.calibration_error.hs2 = (right(2, 1) - f64::from(answer.chapter)).abs();
    let cost = Cost { train_secs, size_bytes: majority.size_bytes(), ..Cost::default() };
    baseline_row(Kind::Majority, &metrics, &answers, sides, cost)
}

/// The code of the nearest training line, its cosine calibrated on the part that is kept for that.
pub fn nearest(sides: &Sides<'_>, score_secs: f64) -> Result<Row> {
    usage::forget_peak();
    let (began, cpu) = (Instant::now(), usage::cpu_secs());
    let nearest = Nearest::fit(&sides.learned);
    let held_out: Vec<&str> = sides.calibrate.iter().map(|(text, _)| *text).collect();
    let curves = Curves::fit(&nearest.answers(&held_out), &sides.calibrate);
    let (train_secs, train_cpu_secs) = (began.elapsed().as_secs_f64(), since(cpu));
    let texts: Vec<&str> = sides.test.iter().map(|(text, _)| *text).collect();
    let answers: Vec<Answer> = nearest.answers(&texts).into_iter().map(|top| curves.calibrated(top)).collect();
    let mut scratch = Scratch::default();
    let per_million = cpu_secs_per_million(&texts, score_secs, |texts| {
        for text in texts {
            std::hint::black_box(nearest.answer(text, &mut scratch));
        }
        Ok(())
    })?;
    let cost = Cost {
        train_secs,
        train_cpu_secs,
        size_bytes: nearest.size_bytes(),
        score_cpu_secs_per_million: per_million,
        peak_memory_bytes: usage::peak_memory_bytes(),
    };
    Ok(baseline_row(Kind::Nearest, &figures(&answers, sides), &answers, sides, cost))
}

/// A recipe, trained as `train` does but for the registry.
pub fn recipe(
    prepared: &Prepared,
    further: &Further,
    options: &TrainOptions,
    score_secs: f64,
    watcher: &mut dyn Watcher,
) -> Result<Row> {
    usage::forget_peak();
    let (began, cpu) = (Instant::now(), usage::cpu_secs());
    let fitted = fit_bundle(prepared, further, options, watcher)?;
    let (train_secs, train_cpu_secs) = (began.elapsed().as_secs_f64(), since(cpu));
    watcher.step("time of scoring");
    let (bundle, _) = Bundle::build(fitted.draft)?;
    let size_bytes = bundle.manifest.files.iter().map(|file| file.size_bytes).sum();
    let policy = bundle.policy.clone();
    let tokenizer = Tokenizer::from_json(&bundle.tokenizer_json)?;
    let loaded = Loaded { name: options.name.clone(), version: 0, bundle };
    let classifier = Classifier::new(&loaded, &policy)?.forgetting();
    let parts = prepared.parts()?;
    let (train, test) = (goods(&parts.train), goods(&parts.test));
    let texts: Vec<&str> = test.iter().map(|(text, _)| *text).collect();
    let first = first_choices(&classifier, &texts)?;
    let per_million = cpu_secs_per_million(&texts, score_secs, |texts| {
        classifier.predict(&array(texts)).map(|predictions| drop(std::hint::black_box(predictions)))
    })?;
    let cost = Cost {
        train_secs,
        train_cpu_secs,
        size_bytes,
        score_cpu_secs_per_million: per_million,
        peak_memory_bytes: usage::peak_memory_bytes(),
    };
    let row = Row::new(Kind::Recipe, &fitted.metrics, (&train, &test), &first, cost);
    let tokens_per_line = match options.recipe.model.architecture {
        Architecture::Linear => None,
        _ => Some(tokens_per_line(&tokenizer, &texts)?),
    };
    Ok(Row { recipe: Some(options.recipe.clone()), tokens_per_line, ..row })
}

fn baseline_row(kind: Kind, metrics: &Metrics, answers: &[Answer], sides: &Sides<'_>, cost: Cost) -> Row {
    let first: Vec<Option<Subheading>> = answers.iter().map(|answer| Some(answer.top.first()?.0)).collect();
    Row::new(kind, metrics, (&sides.train, &sides.test), &first, cost)
}

/// The figures of a baseline's answers to the test lines.
fn figures(answers: &[Answer], sides: &Sides<'_>) -> Metrics {
    let mut seen = std::collections::HashSet::new();
    let lines = answers.iter().zip(&sides.test);
    evaluate(&lines.map(|(answer, (text, code))| answer.scored(*code, seen.insert(*text))).collect::<Vec<_>>())
}

/// The first choice for each text, none where there is no code.
fn first_choices(classifier: &Classifier, texts: &[&str]) -> Result<Vec<Option<Subheading>>> {
    let predictions = classifier.predict(&array(texts))?;
    let codes = predictions.column_by_name("hs6").ok_or_else(|| Error::Bug("hs_predict gives no hs6".into()))?;
    let codes = codes.as_string::<i32>();
    (0..codes.len()).map(|row| codes.is_valid(row).then(|| codes.value(row).parse()).transpose()).collect()
}

/// Mean number of tokens that are looked at.
fn tokens_per_line(tokenizer: &Tokenizer, texts: &[&str]) -> Result<f64> {
    let (mut scratch, mut ids, mut tokens) = (EncodeScratch::default(), Vec::new(), 0);
    for text in texts {
        tokenizer.encode(text, &mut scratch, &mut ids)?;
        tokens += ids.len();
    }
    Ok(nine(ratio(tokens, texts.len())))
}

fn array(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

fn since(cpu: Option<f64>) -> Option<f64> {
    Some(usage::cpu_secs()? - cpu?)
}

/// CPU-seconds for a million lines on this thread: batches of the texts in random order, in turns, until `least` seconds are used.
pub(crate) fn cpu_secs_per_million(
    texts: &[&str],
    least: f64,
    mut score: impl FnMut(&[&str]) -> Result<()>,
) -> Result<Option<f64>> {
    let mut texts = texts.to_vec();
    // Files are often sorted, and not all of them may get their turn.
    Random::new(0, TIMING_STREAM).shuffle(&mut texts);
    let Some(before) = usage::cpu_secs() else { return Ok(None) };
    let mut rows = 0;
    for batch in texts.chunks(BATCH_ROWS).cycle() {
        score(batch)?;
        rows += batch.len();
        let used = since(Some(before)).unwrap_or(f64::INFINITY);
        if used >= least {
            return Ok(Some(1e6 * used / rows as f64));
        }
    }
    Ok(None)
}
