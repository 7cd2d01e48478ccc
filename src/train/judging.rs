//! Calibration and thresholds of a fitted network, from its answers on lines that were not learned.

use std::collections::HashSet;

use rayon::prelude::*;

use super::screen;
use crate::engine::{Engine, Score, Scratch};
use crate::error::Result;
use crate::model::{self, Beta, Calibration, Evidence, LevelThreshold, Network, Policy, calibration};
use crate::policy::{Judged, Threshold, by_precision, by_review_budget};
use crate::tariff::Subheading;

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

    /// The policy, with the threshold from one judgement a distinct text: repeats are no further evidence.
    pub(super) fn policy(
        &self,
        lines: &[(&str, Subheading)],
        calibration: &Calibration,
        wanted: Wanted,
    ) -> Result<Policy> {
        let engine = self.engine()?.calibrated(calibration);
        let mut seen = HashSet::new();
        let distinct: Vec<(&str, Subheading)> = lines.iter().filter(|(t, _)| seen.insert(*t)).copied().collect();
        let texts: Vec<&str> = distinct.iter().map(|(t, _)| *t).collect();
        let mut scores = Vec::with_capacity(texts.len());
        engine.score(&texts, &mut Scratch::default(), &mut scores)?;
        let judged = |digits: usize, confidence: &dyn Fn(&Score) -> f32| -> Vec<Judged> {
            let right = |s: &Score, code: &Subheading| engine.code(s.top[0].0)[..digits] == code.as_str()[..digits];
            let each = scores.iter().zip(&distinct);
            // A text that names no goods is refused, however sure that is.
            let sure = |s: &Score| if s.vague { 0.0 } else { confidence(s) };
            each.map(|(s, (_, code))| Judged { confidence: sure(s), right: !s.vague && right(s, code) }).collect()
        };
        let rows = lines.len() as u64;
        let of_level = |judged: Vec<Judged>| {
            let found = by_precision(&judged, wanted.target_precision, model::policy::BOUND);
            LevelThreshold { threshold: found.threshold, evidence: Evidence { rows, ..found.evidence } }
        };
        let first = judged(6, &|s| s.confidence());
        let threshold: Threshold = match wanted.review_budget {
            // The audit sample goes to people too.
            Some(budget) => by_review_budget(&first, (budget - wanted.audit_ratio).max(0.0)),
            None => by_precision(&first, wanted.target_precision, model::policy::BOUND),
        };
        let policy = Policy {
            threshold: threshold.threshold,
            target_precision: wanted.target_precision,
            review_budget: wanted.review_budget,
            audit_ratio: wanted.audit_ratio,
            evidence: Evidence { rows, ..threshold.evidence },
            heading: of_level(judged(4, &|s| s.heading)),
            chapter: of_level(judged(2, &|s| s.chapter)),
            ..Policy::default()
        };
        Ok(policy)
    }
}
