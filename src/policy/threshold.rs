//! Thresholds from evidence: how sure a prediction must be to stand without a person.
//!
//! Always holds: what a threshold promises is an upper bound of the error rate, not the rate that was seen.
//! Refuses: lines as evidence. A hundred lines of one text are one observation, so the caller brings one
//! [`Judged`] a distinct text, from rows that served neither to train nor to calibrate.

use crate::model::policy::{ACCEPT_NOTHING, BOUND, Evidence, MAX_CURVE_POINTS};
use statrs::distribution::{Beta, ContinuousCDF};

/// How a prediction for one distinct text came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Calibrated, 0 to 1.
    pub confidence: f32,
    pub right: bool,
}

/// A threshold and why it is what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Accept at or above; [`ACCEPT_NOTHING`] when no threshold will do.
    pub threshold: f32,
    /// `rows` equals `texts`; who knows how many lines stand behind the texts puts that number in.
    pub evidence: Evidence,
}

/// Upper bound on the error rate behind `errors` wrong ones in `rows`, at the one-sided confidence `level`:
/// Clopper and Pearson 1934, the `level` quantile of Beta(errors + 1, rows - errors). 1 without rows.
///
/// The quantile is found by bisection of the cumulative distribution. statrs' own `Beta::inverse_cdf`
/// (0.18) was seen never to return for arguments of this kind.
pub fn error_upper_bound(errors: u64, rows: u64, level: f64) -> f64 {
    if errors >= rows {
        return 1.0;
    }
    let Ok(beta) = Beta::new(errors as f64 + 1.0, (rows - errors) as f64) else {
        return 1.0;
    };
    let (mut low, mut high) = (errors as f64 / rows as f64, 1.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if beta.cdf(middle) < level { low = middle } else { high = middle }
    }
}

/// The threshold that accepts most among those whose error rate is, at the one-sided confidence `level`, at most
/// `1 - target`; or one that accepts nothing, and the evidence then says how many error-free texts it would take.
///
/// Candidates are the distinct confidences, so equal ones are accepted together. The bound holds for each
/// candidate by itself: taking the best of many makes it a little too good, which is one reason why accepted
/// texts are sampled for audit in production.
pub fn by_precision(judged: &[Judged], target: f64, level: f64) -> Threshold {
    let allowed = 1.0 - target;
    let candidates = candidates(judged);
    let fits = |c: &&Candidate| {
        // The bound lies above the rate that was seen, so most candidates need no quantile.
        c.errors as f64 <= allowed * c.accepted as f64 && error_upper_bound(c.errors, c.accepted, level) <= allowed
    };
    let chosen = candidates.iter().rev().find(fits);
    let mut evidence = evidence(judged, &candidates, chosen, level, "largest coverage within the precision target");
    evidence.error_free_texts_needed = error_free_texts_needed(target, level);
    Threshold { threshold: chosen.map_or(ACCEPT_NOTHING, |c| c.confidence), evidence }
}

/// Thresholds of heading and chapter: [`by_precision`] on the texts that say so much and no more. A heading is told as sure
/// where the subheading is not (`sure`, of each text), a chapter where the heading is not either, so what the finer level
/// accepts is no evidence for the coarser one. `levels` are the same texts judged at four and at two digits.
pub fn by_level(sure: &[bool], levels: &[Vec<Judged>; 2], target: f64, level: f64) -> [Threshold; 2] {
    let mut sure = sure.to_vec();
    levels.each_ref().map(|judged| {
        let left: Vec<Judged> =
            judged.iter().zip(&sure).filter(|(_, sure)| !**sure).map(|(judged, _)| *judged).collect();
        let found = by_precision(&left, target, level);
        sure.iter_mut().zip(judged).for_each(|(sure, judged)| *sure |= judged.confidence >= found.threshold);
        found
    })
}

/// The highest threshold that sends at most `share_to_people` of the texts (0 to 1) to people as unsure. The
/// audit sample comes on top of it. The evidence is bounded at the level [`BOUND`].
///
/// Equal confidences move together, so fewer than the share may go to people.
pub fn by_review_budget(judged: &[Judged], share_to_people: f64) -> Threshold {
    let candidates = candidates(judged);
    // Subtracting the budget from all, rounded down with a little slack, keeps 0.3 of 10 texts at 3.
    let to_people = (share_to_people.clamp(0.0, 1.0) * judged.len() as f64 + 1e-9).floor() as u64;
    let at_least = judged.len() as u64 - to_people.min(judged.len() as u64);
    let chosen = if at_least == 0 { None } else { candidates.iter().find(|c| c.accepted >= at_least) };
    let evidence = evidence(judged, &candidates, chosen, BOUND, "highest threshold within the review budget");
    Threshold { threshold: chosen.map_or(ACCEPT_NOTHING, |c| c.confidence), evidence }
}

/// Accepted texts without an error from which an error rate of `1 - target` is bounded: the least n with
/// `target^n <= 1 - level`. `None` when no number will do.
fn error_free_texts_needed(target: f64, level: f64) -> Option<u64> {
    let texts = ((1.0 - level).ln() / target.ln()).ceil();
    (texts.is_finite() && texts >= 0.0 && texts < u64::MAX as f64).then_some(texts as u64)
}

/// What happens when everything at or above `confidence` is accepted.
struct Candidate {
    confidence: f32,
    accepted: u64,
    errors: u64,
}

/// One candidate a distinct confidence, from the surest down. What is not a number is never accepted.
fn candidates(judged: &[Judged]) -> Vec<Candidate> {
    let mut sorted: Vec<&Judged> = judged.iter().filter(|j| !j.confidence.is_nan()).collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut accepted, mut errors) = (0, 0);
    let mut candidates = Vec::new();
    for tied in sorted.chunk_by(|a, b| a.confidence == b.confidence) {
        accepted += tied.len() as u64;
        errors += tied.iter().filter(|j| !j.right).count() as u64;
        candidates.push(Candidate { confidence: tied[0].confidence, accepted, errors });
    }
    candidates
}

fn evidence(
    judged: &[Judged],
    candidates: &[Candidate],
    chosen: Option<&Candidate>,
    level: f64,
    aim: &str,
) -> Evidence {
    let texts = judged.len() as u64;
    let (accepted, errors) = chosen.map_or((0, 0), |c| (c.accepted, c.errors));
    Evidence {
        rows: texts,
        texts,
        accepted,
        errors,
        coverage_ratio: nine(accepted as f64 / texts.max(1) as f64),
        precision: if accepted == 0 { 0.0 } else { nine(1.0 - errors as f64 / accepted as f64) },
        error_upper_bound: nine(error_upper_bound(errors, accepted, level)),
        method: format!("{aim}; one-sided Clopper-Pearson bound over distinct texts"),
        error_free_texts_needed: None,
        risk_coverage: risk_coverage(candidates, texts).into_iter().map(|(c, r)| (nine(c), nine(r))).collect(),
    }
}

/// To nine decimals: so short a number survives printing and parsing bit for bit, and the policy keeps its digest.
pub(super) fn nine(x: f64) -> f64 {
    (x * 1e9).round() / 1e9
}

/// (coverage, risk) at the first candidates that reach 1/50, 2/50, … of the texts: Geifman and El-Yaniv 2017,
/// "Selective Classification for Deep Neural Networks", section 2.
fn risk_coverage(candidates: &[Candidate], texts: u64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut reached = 0;
    for c in candidates {
        // Parts of the coverage that are full: 0 to MAX_CURVE_POINTS.
        let full = c.accepted * MAX_CURVE_POINTS as u64 / texts.max(1);
        if full > reached {
            reached = full;
            points.push((c.accepted as f64 / texts as f64, c.errors as f64 / c.accepted as f64));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 wrong in 800 are 9.21 % at most (the tail of the binomial distribution, summed in Python), 60 in 200 are above 10 %.
    #[test]
    fn a_level_is_proved_on_what_the_finer_one_leaves() {
        let text = |n: usize, confidence, wrong: usize| Judged { confidence, right: n >= wrong };
        let heading: Vec<Judged> =
            (0..800).map(|n| if n < 200 { text(n, 0.95, 60) } else { text(n, 0.99, 0) }).collect();
        let chapter: Vec<Judged> = heading.iter().map(|judged| Judged { right: true, ..*judged }).collect();
        let levels = [heading.clone(), chapter];
        let none = by_level(&[false; 800], &levels, 0.9, 0.95);
        assert_eq!(none[0].threshold, 0.95);
        assert_eq!(none[1].evidence.texts, 0, "headings leave nothing for chapters");
        let sure: Vec<bool> = (0..800).map(|n| n >= 200).collect();
        let [heading, chapter] = by_level(&sure, &levels, 0.9, 0.95);
        assert_eq!((heading.threshold, heading.evidence.texts), (ACCEPT_NOTHING, 200));
        assert_eq!((chapter.threshold, chapter.evidence.texts), (0.95, 200));
    }

    /// `right` and `wrong` texts at one confidence.
    fn at(confidence: f32, right: usize, wrong: usize) -> Vec<Judged> {
        let text = |right| Judged { confidence, right };
        [vec![text(true); right], vec![text(false); wrong]].concat()
    }

    #[test]
    fn the_bound_equals_that_of_scipy() {
        // scipy 1.17.1: stats.beta.ppf(0.95, errors + 1, rows - errors).
        for (errors, rows, expected) in [
            (0, 149, 0.019904816220685077),
            (1, 236, 0.019942382397971036),
            (5, 523, 0.019995608036031717),
            (17, 2_500, 0.010182346562284223),
            (120, 100_000, 0.0013963010336155335),
            (5_000, 1_000_000, 0.0051175840516408605),
            (9, 10, 0.9948838031081763),
            (0, 1, 0.95),
        ] {
            let bound = error_upper_bound(errors, rows, 0.95);
            assert!((bound - expected).abs() < 1e-10 * (1.0 + 1.0 / expected), "{errors}/{rows}: {bound}");
        }
        assert_eq!(error_upper_bound(0, 0, 0.95), 1.0);
        assert_eq!(error_upper_bound(7, 7, 0.95), 1.0);
    }

    #[test]
    fn two_per_cent_needs_149_texts_with_no_error_236_with_one_523_with_five() {
        // Counts of the project's page on the Harmonized System, computed there from the binomial distribution.
        for (errors, needed) in [(0, 149), (1, 236), (5, 523)] {
            let least = (errors + 1..).find(|rows| error_upper_bound(errors, *rows, 0.95) <= 0.02);
            assert_eq!(least, Some(needed), "{errors} errors");
        }
        assert_eq!(error_free_texts_needed(0.98, 0.95), Some(149));
        assert_eq!(error_free_texts_needed(1.0, 0.95), None);
    }

    #[test]
    fn the_largest_coverage_within_the_target_wins() {
        // 149 error-free texts at 0.9 are enough; with those at 0.8 it is 1 error in 236, enough again, although
        // 1 in 200 at 0.85 was not; at 0.5 errors abound.
        let judged = [at(0.9, 149, 0), at(0.85, 50, 1), at(0.8, 36, 0), at(0.5, 50, 50)].concat();
        let found = by_precision(&judged, 0.98, 0.95);
        assert_eq!(found.threshold, 0.8);
        assert_eq!((found.evidence.accepted, found.evidence.errors, found.evidence.texts), (236, 1, 336));
        assert!((found.evidence.coverage_ratio - 236.0 / 336.0).abs() < 1e-9);
        assert!((found.evidence.precision - 235.0 / 236.0).abs() < 1e-9);
        assert!(found.evidence.error_upper_bound <= 0.02);

        let reversed: Vec<_> = judged.iter().rev().copied().collect();
        assert_eq!(by_precision(&reversed, 0.98, 0.95), found);
    }

    #[test]
    fn equal_confidences_are_accepted_together_or_not_at_all() {
        // 149 right ones alone would do; the wrong one at the same confidence cannot be left out.
        let found = by_precision(&at(0.9, 149, 1), 0.98, 0.95);
        assert_eq!((found.threshold, found.evidence.accepted), (ACCEPT_NOTHING, 0));
    }

    #[test]
    fn too_little_evidence_accepts_nothing_and_says_what_it_would_take() {
        for judged in [vec![], at(1.0, 148, 0), at(f32::NAN, 1000, 0)] {
            let found = by_precision(&judged, 0.98, 0.95);
            assert!(found.threshold > 1.0);
            assert_eq!(found.evidence.error_upper_bound, 1.0);
            assert_eq!(found.evidence.error_free_texts_needed, Some(149));
            let policy =
                crate::model::Policy { threshold: found.threshold, evidence: found.evidence, ..Default::default() };
            policy.validate().unwrap();
        }
    }

    #[test]
    fn a_review_budget_is_used_and_not_passed() {
        let judged: Vec<_> = (1..=10).map(|i| Judged { confidence: i as f32 / 10.0, right: i > 3 }).collect();
        let threshold = |share| by_review_budget(&judged, share).threshold;
        assert_eq!(threshold(0.3), 0.4);
        assert_eq!(threshold(0.39), 0.4);
        assert_eq!(threshold(0.0), 0.1);
        assert_eq!(threshold(0.9), 1.0);
        assert_eq!(threshold(1.0), ACCEPT_NOTHING);
        let tied = [at(0.9, 5, 0), at(0.4, 3, 2)].concat();
        assert_eq!(by_review_budget(&tied, 0.2).threshold, 0.4, "five at 0.4 move together");
        let evidence = by_review_budget(&tied, 0.5).evidence;
        assert_eq!((evidence.accepted, evidence.errors), (5, 0));
        assert_eq!(by_review_budget(&[], 0.5).threshold, ACCEPT_NOTHING);
    }

    #[test]
    fn the_curve_has_at_most_fifty_points_and_ends_at_full_coverage() {
        let judged: Vec<_> = (0..1000).map(|i| Judged { confidence: i as f32 / 1000.0, right: i >= 100 }).collect();
        let curve = by_precision(&judged, 0.98, 0.95).evidence.risk_coverage;
        assert_eq!(curve.len(), 50);
        assert_eq!((curve[0], curve[49]), ((0.02, 0.0), (1.0, 0.1)));
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(by_precision(&at(0.5, 1, 1), 0.9, 0.95).evidence.risk_coverage, [(1.0, 0.5)]);
    }
}
