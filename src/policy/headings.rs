//! Thresholds of single headings, for when no threshold proves the target for all of them together.
//!
//! Wrong labels among the surest predictions can keep any one threshold from being proved, although the labels of one
//! heading are sound. Then that heading has a threshold of its own and nothing else is accepted. Always holds: what is to be
//! proved is chosen on other texts than those that prove it, and the level is shared among all headings that are tried, so
//! the target holds for every heading that got a threshold, and so for all of them together, at the level.

use std::collections::{BTreeMap, BTreeSet};

use super::threshold::{Judged, by_precision, error_upper_bound, nine};
use crate::model::policy::{ACCEPT_NOTHING, Evidence, HeadingThreshold};

/// How the prediction for one distinct text came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coded<'a> {
    /// The six digits that were predicted.
    pub code: &'a str,
    /// How sure, and whether rightly.
    pub judged: Judged,
}

impl<'a> Coded<'a> {
    fn heading(&self) -> &'a str {
        self.code.get(..4).unwrap_or_default()
    }
}

/// Which thresholds are to be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// One for all texts.
    Overall,
    /// One for each heading by itself.
    Headings,
}

impl Plan {
    /// The plan that would cover more if `evidence` were like `pilot`; of equals one threshold. Of the texts of `evidence`
    /// only their predicted codes are looked at, not whether these are right.
    pub fn choose(pilot: &[Coded<'_>], evidence: &[Coded<'_>], target: f64, level: f64) -> Plan {
        let scale = evidence.len() as f64 / pilot.len().max(1) as f64;
        let overall = provable(pilot.iter().map(|text| text.judged), scale, target, level);
        let headings = candidates(evidence, target, level);
        let each = shared(level, headings.len());
        let of_heading = |heading: &&str| provable(members(pilot, heading), scale, target, each);
        if headings.iter().map(of_heading).sum::<u64>() > overall { Plan::Headings } else { Plan::Overall }
    }
}

/// The thresholds that are proved for single headings: those of the largest coverage whose error rate is at most
/// `1 − target`, with the one-sided confidence `level` for all of them at once (Holm, "A simple sequentially rejective
/// multiple test procedure", 1979).
pub fn by_heading(evidence: &[Coded<'_>], target: f64, level: f64) -> BTreeMap<String, HeadingThreshold> {
    let mut open = candidates(evidence, target, level);
    let mut proved = BTreeMap::new();
    loop {
        let (each, before) = (shared(level, open.len()), open.len());
        open.retain(|heading| {
            let texts: Vec<Judged> = members(evidence, heading).collect();
            let found = by_precision(&texts, target, each);
            if found.threshold >= ACCEPT_NOTHING {
                return true;
            }
            let e = found.evidence;
            let threshold = HeadingThreshold {
                threshold: found.threshold,
                texts: e.texts,
                accepted: e.accepted,
                errors: e.errors,
                error_upper_bound: e.error_upper_bound,
                level: nine(each),
            };
            proved.insert(heading.to_string(), threshold);
            false
        });
        if open.is_empty() || open.len() == before {
            return proved;
        }
    }
}

/// The evidence for all that `headings` accept together; `overall` is that for one threshold on the same texts, whose curve
/// it keeps.
pub fn together(headings: &BTreeMap<String, HeadingThreshold>, overall: Evidence, level: f64) -> Evidence {
    let sum = |count: fn(&HeadingThreshold) -> u64| headings.values().map(count).sum::<u64>();
    let (accepted, errors) = (sum(|heading| heading.accepted), sum(|heading| heading.errors));
    Evidence {
        accepted,
        errors,
        coverage_ratio: nine(accepted as f64 / overall.texts.max(1) as f64),
        precision: if accepted == 0 { 0.0 } else { nine(1.0 - errors as f64 / accepted as f64) },
        error_upper_bound: nine(error_upper_bound(errors, accepted, level)),
        method:
            "largest coverage within the precision target, heading by heading; one-sided Clopper-Pearson bounds over \
                 distinct texts, the level shared by Holm's procedure"
                .to_owned(),
        ..overall
    }
}

/// The level of each of so many bounds that all of them hold together at `level` (Bonferroni).
fn shared(level: f64, among: usize) -> f64 {
    1.0 - (1.0 - level) / among.max(1) as f64
}

/// Headings with so many texts that a threshold could be proved for one of them by itself.
fn candidates<'a>(evidence: &[Coded<'a>], target: f64, level: f64) -> BTreeSet<&'a str> {
    let needed = ((1.0 - level).ln() / target.ln()).ceil();
    let mut texts: BTreeMap<&str, u64> = BTreeMap::new();
    evidence.iter().for_each(|text| *texts.entry(text.heading()).or_default() += 1);
    texts.into_iter().filter(|(_, texts)| *texts as f64 >= needed).map(|(heading, _)| heading).collect()
}

fn members<'a>(texts: &'a [Coded<'_>], heading: &'a str) -> impl Iterator<Item = Judged> {
    texts.iter().filter(move |text| text.heading() == heading).map(|text| text.judged)
}

/// The most of these texts that could be accepted, by confidence, and the target proved, if there were `scale` times as many
/// of the same kind.
fn provable(texts: impl Iterator<Item = Judged>, scale: f64, target: f64, level: f64) -> u64 {
    let mut sorted: Vec<Judged> = texts.filter(|text| !text.confidence.is_nan()).collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut accepted, mut errors, mut most) = (0_u64, 0_u64, 0);
    for tied in sorted.chunk_by(|a, b| a.confidence == b.confidence) {
        accepted += tied.len() as u64;
        errors += tied.iter().filter(|text| !text.right).count() as u64;
        let scaled = |count: u64| (count as f64 * scale).round() as u64;
        // The bound lies above the rate that was seen, so most need no quantile.
        let may_fit = errors as f64 <= (1.0 - target) * accepted as f64;
        if may_fit && error_upper_bound(scaled(errors), scaled(accepted), level) <= 1.0 - target {
            most = accepted;
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `right` and `wrong` texts with one code at one confidence.
    fn at(code: &'static str, confidence: f32, right: usize, wrong: usize) -> Vec<Coded<'static>> {
        let text = |right| Coded { code, judged: Judged { confidence, right } };
        [vec![text(true); right], vec![text(false); wrong]].concat()
    }

    /// Of the surest texts 4 % carry a wrong label, all of them outside the heading 8711.
    fn noisy() -> Vec<Coded<'static>> {
        [
            at("871120", 0.95, 203, 0),
            at("731815", 0.97, 180, 20),
            at("847130", 0.97, 30, 3),
            at("010121", 0.3, 100, 300),
        ]
        .concat()
    }

    #[test]
    fn a_heading_with_sound_labels_is_accepted_where_no_single_threshold_is_proved() {
        let texts = noisy();
        let all: Vec<Judged> = texts.iter().map(|text| text.judged).collect();
        assert_eq!(by_precision(&all, 0.98, 0.95).threshold, ACCEPT_NOTHING);
        assert_eq!(Plan::choose(&texts, &texts, 0.98, 0.95), Plan::Headings);
        let headings = by_heading(&texts, 0.98, 0.95);
        assert_eq!(headings.keys().collect::<Vec<_>>(), ["8711"]);
        let heading = &headings["8711"];
        assert_eq!((heading.threshold, heading.texts, heading.accepted, heading.errors), (0.95, 203, 203, 0));
        // Three headings have 149 texts or more, so each is tried at 1 − 0.05 / 3, which takes 203 texts without an error:
        // ln(0.05 / 3) / ln 0.98 = 202.7.
        let one_less: Vec<_> = texts[1..].to_vec();
        assert!(by_heading(&one_less, 0.98, 0.95).is_empty());
    }

    #[test]
    fn one_threshold_is_kept_where_it_covers_more() {
        let texts = [at("871120", 0.95, 200, 0), at("731815", 0.97, 300, 1), at("010121", 0.3, 100, 300)].concat();
        assert_eq!(Plan::choose(&texts, &texts, 0.98, 0.95), Plan::Overall);
        assert_eq!(Plan::choose(&[], &texts, 0.98, 0.95), Plan::Overall, "without a pilot nothing is better");
        // A pilot of a tenth speaks for ten times as many.
        let tenth: Vec<_> = noisy().into_iter().step_by(10).collect();
        assert_eq!(Plan::choose(&tenth, &noisy(), 0.98, 0.95), Plan::Headings);
    }

    /// 149 error-free texts prove 98 % at the level 0.95 but, after Bonferroni, 183 are needed by each of two headings
    /// (ln 0.025 / ln 0.98 = 182.6); once one of two is proved, the other has the whole level again.
    #[test]
    fn the_level_is_shared_among_the_headings_that_are_left() {
        let proved = |a: usize, b: usize| {
            let texts = [at("871120", 0.9, a, 0), at("731815", 0.9, b, 0)].concat();
            by_heading(&texts, 0.98, 0.95).into_iter().map(|(heading, t)| (heading, t.level)).collect::<Vec<_>>()
        };
        assert_eq!(proved(182, 182), []);
        assert_eq!(proved(183, 182), [("7318".into(), 0.95), ("8711".into(), 0.975)]);
        assert_eq!(proved(183, 148), [("8711".into(), 0.95)], "148 are too few to be tried");
    }

    /// The pooled bound is that of 1 error in 350 texts (scipy 1.17.1,
    /// `stats.beta.ppf(0.95, 2, 349)`).
    #[test]
    fn headings_together_have_the_evidence_of_all_they_accept() {
        let heading = |accepted, errors| HeadingThreshold {
            threshold: 0.9,
            texts: accepted,
            accepted,
            errors,
            error_upper_bound: 0.02,
            level: 0.975,
        };
        let headings = BTreeMap::from([("8711".to_string(), heading(200, 0)), ("7318".to_string(), heading(150, 1))]);
        let overall = Evidence { rows: 1_200, texts: 1_000, ..Evidence::default() };
        let found = together(&headings, overall, 0.95);
        assert_eq!((found.rows, found.texts, found.accepted, found.errors), (1_200, 1_000, 350, 1));
        assert_eq!((found.coverage_ratio, found.precision), (0.35, nine(349.0 / 350.0)));
        assert!((found.error_upper_bound - 0.013_481_622_7).abs() < 1e-9, "{}", found.error_upper_bound);
    }
}
