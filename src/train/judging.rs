//! Calibration and thresholds of a fitted network, from its answers on lines that were not learned.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;

use super::screen;
use crate::engine::{Engine, Score, Scratch};
use crate::error::Result;
use crate::model::{self, Beta, Calibration, Evidence, LevelThreshold, Network, Policy, calibration};
use crate::policy::{Coded, Judged, Plan, Threshold, by_heading, by_level, by_precision, by_review_budget, together};
use crate::tariff::Subheading;

/// Normalised texts with their codes.
type Labels<'a> = &'a [(&'a str, Subheading)];

/// Most rows that the temperature is fitted on: their logits are held at once.
const MAX_CALIBRATION_ROWS: usize = 10_000;

/// Bins of the calibration errors.
const ECE_BINS: usize = 15;

/// What the policy must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Share of accepted lines that must be right.
    pub target_precision: f64,
    /// Share of lines that people can look at; sets the threshold instead of the precision.
    pub review_budget: Option<f64>,
    /// Share of accepted texts that goes to people at random.
    pub audit_ratio: f64,
}

/// The fitted network as the engine runs it, before it has a calibration.
pub(super) struct Judging<'a> {
    pub(super) network: &'a Network,
    pub(super) tokenizer_json: &'a [u8],
    pub(super) labels: &'a [String],
}

impl Judging<'_> {
    fn engine(&self) -> Result<Engine> {
        Engine::of_network(self.network, self.tokenizer_json, self.labels.to_vec())
    }

    fn class(&self, code: Subheading) -> Option<u32> {
        self.labels.binary_search_by(|l| l.as_str().cmp(code.as_str())).ok().map(|c| c as u32)
    }

    /// Features of an even share of the texts.
    pub(super) fn features(&self, texts: &[&str]) -> Result<Vec<f32>> {
        let stride = texts.len().div_ceil(screen::MAX_ROWS).max(1);
        let texts: Vec<&str> = texts.iter().step_by(stride).copied().collect();
        let engine = self.engine()?;
        let parts = texts.par_chunks(256).map(|texts| engine.features(texts, &mut Scratch::default()));
        Ok(parts.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Temperature and curves.
    pub(super) fn calibrate(&self, lines: &[(&str, Subheading)]) -> Result<Calibration> {
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
        let score = |engine: &Engine| -> Result<Vec<Score>> {
            let mut scores = Vec::with_capacity(texts.len());
            engine.score(&texts, &mut Scratch::default(), &mut scores)?;
            Ok(scores)
        };
        let scores = score(&engine)?;
        let judged = |scores: &[Score], digits: usize, confidence: &dyn Fn(&Score) -> f32| -> (Vec<f32>, Vec<bool>) {
            let right = |s: &Score, code: Subheading| engine.code(s.top[0].0)[..digits] == code.as_str()[..digits];
            let of_goods = scores.iter().zip(&lines).filter(|(s, _)| !s.vague);
            of_goods.map(|(s, (_, code))| (confidence(s), right(s, *code))).unzip()
        };
        let curve = |digits: usize, confidence: &dyn Fn(&Score) -> f32| {
            let (confidence, right) = judged(&scores, digits, confidence);
            Beta::fit(&confidence, &right)
        };
        let [subheading, heading, chapter] =
            [curve(6, &|s| s.confidence()), curve(4, &|s| s.heading), curve(2, &|s| s.chapter)];
        let curved = self.engine()?.with_temperature(temperature).with_curves([subheading, heading, chapter]);
        let scores = score(&curved)?;
        let error = |digits: usize, confidence: &dyn Fn(&Score) -> f32| {
            let (confidence, right) = judged(&scores, digits, confidence);
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

    /// The policy, with thresholds from one judgement a distinct text: repeats are no further evidence. `pilot` are the lines
    /// that the calibration was fitted on; they choose which thresholds `lines` are to prove.
    pub(super) fn policy(
        &self,
        (pilot, lines): (Labels<'_>, Labels<'_>),
        calibration: &Calibration,
        wanted: Wanted,
    ) -> Result<Policy> {
        let engine = self.engine()?.calibrated(calibration);
        let (pilot, texts) = (Judgements::of(&engine, pilot)?, Judgements::of(&engine, lines)?);
        let (rows, target, bound) = (lines.len() as u64, wanted.target_precision, model::policy::BOUND);
        let first = texts.subheading();
        let mut threshold: Threshold = match wanted.review_budget {
            // The audit sample goes to people too.
            Some(budget) => by_review_budget(&first, (budget - wanted.audit_ratio).max(0.0)),
            None => by_precision(&first, target, bound),
        };
        let mut single_headings = BTreeMap::new();
        let plan = Plan::choose(&pilot.coded(), &texts.coded(), target, bound);
        if plan == Plan::Headings && wanted.review_budget.is_none() {
            single_headings = by_heading(&texts.coded(), target, bound);
            let evidence = together(&single_headings, threshold.evidence, bound);
            threshold = Threshold { threshold: model::policy::ACCEPT_NOTHING, evidence };
        }
        let own = |code: &str| single_headings.get(&code[..4]).map_or(threshold.threshold, |own| own.threshold);
        let sure: Vec<bool> = texts.coded().iter().map(|c| c.judged.confidence >= own(c.code)).collect();
        let levels = [texts.judged(4, |s| s.heading), texts.judged(2, |s| s.chapter)];
        let [heading, chapter] = by_level(&sure, &levels, target, bound)
            .map(|found| LevelThreshold { threshold: found.threshold, evidence: Evidence { rows, ..found.evidence } });
        let policy = Policy {
            threshold: threshold.threshold,
            target_precision: wanted.target_precision,
            review_budget: wanted.review_budget,
            audit_ratio: wanted.audit_ratio,
            evidence: Evidence { rows, ..threshold.evidence },
            heading,
            chapter,
            single_headings,
            ..Policy::default()
        };
        Ok(policy)
    }
}

/// What the engine says of distinct texts whose code is known.
struct Judgements<'a> {
    engine: &'a Engine,
    scores: Vec<Score>,
    codes: Vec<Subheading>,
}

impl<'a> Judgements<'a> {
    fn of(engine: &'a Engine, lines: &[(&str, Subheading)]) -> Result<Judgements<'a>> {
        let mut seen = HashSet::new();
        let (texts, codes): (Vec<&str>, Vec<Subheading>) =
            lines.iter().filter(|(text, _)| seen.insert(*text)).copied().unzip();
        let mut scores = Vec::with_capacity(texts.len());
        engine.score(&texts, &mut Scratch::default(), &mut scores)?;
        Ok(Judgements { engine, scores, codes })
    }

    fn judged(&self, digits: usize, confidence: impl Fn(&Score) -> f32) -> Vec<Judged> {
        let right = |s: &Score, code: &Subheading| self.engine.code(s.top[0].0)[..digits] == code.as_str()[..digits];
        // A text that names no goods is refused, however sure that is.
        let sure = |s: &Score| if s.vague { 0.0 } else { confidence(s) };
        let each = self.scores.iter().zip(&self.codes);
        each.map(|(s, code)| Judged { confidence: sure(s), right: !s.vague && right(s, code) }).collect()
    }

    fn subheading(&self) -> Vec<Judged> {
        self.judged(6, Score::confidence)
    }

    fn coded(&self) -> Vec<Coded<'_>> {
        let codes = self.scores.iter().map(|score| self.engine.code(score.top[0].0));
        codes.zip(self.subheading()).map(|(code, judged)| Coded { code, judged }).collect()
    }
}
