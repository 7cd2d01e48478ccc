//! What makes a confidence honest: a temperature for the logits, then a curve for each level of the code, and the measures
//! that show it.
//!
//! Always holds: the same logits in the same order give the same calibration. It changes what a confidence says, not
//! which class wins.
//! Refuses: rows that were trained on. The caller brings held-out ones.

use super::manifest::refused;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// File name in a bundle.
pub const CALIBRATION: &str = "calibration.json";
/// Temperatures that are tried and allowed.
pub const TEMPERATURES: std::ops::RangeInclusive<f32> = 0.05..=20.0;

/// `calibration.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Divides the logits of the subheadings before the softmax.
    pub temperature: f32,
    /// From the share of the softmax to the confidence, for 6, 4 and 2 digits.
    #[serde(default)]
    pub subheading: Beta,
    #[serde(default)]
    pub heading: Beta,
    #[serde(default)]
    pub chapter: Beta,
    /// Lines that it was fitted on.
    pub rows: u64,
    /// Distinct texts among them.
    pub texts: u64,
    /// Mean negative log-likelihood of the right code, in nats, at temperature 1.
    pub nll_before: f64,
    /// The same at [`Calibration::temperature`].
    pub nll_after: f64,
    /// Expected calibration error of the 6, 4 and 2 digit confidences after scaling, 0 to 1.
    pub ece_subheading: f64,
    pub ece_heading: f64,
    pub ece_chapter: f64,
    /// Bins of equal mass behind the calibration errors.
    pub ece_bins: u64,
}

/// Beta calibration (Kull, Silva Filho and Flach 2017, "Beta calibration: a well-founded and easily implemented improvement on
/// logistic calibration", equation 4): `p` becomes `1 / (1 + e^-(a ln p - b ln(1 - p) + c))`. It rises with `p`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beta {
    /// At least 0.
    pub a: f32,
    /// At least 0.
    pub b: f32,
    pub c: f32,
}

impl Default for Beta {
    /// That of bundles that have none: it leaves every confidence as it is.
    fn default() -> Self {
        Beta::IDENTITY
    }
}

/// Confidences are taken to be at least this and at most 1 less this.
pub const LEAST: f32 = 1e-6;

/// Largest of `a`, `b` and `c`.
const BETA_MAX: f32 = 100.0;

impl Beta {
    /// Leaves every confidence as it is.
    pub const IDENTITY: Beta = Beta { a: 1.0, b: 1.0, c: 0.0 };

    /// The most likely curve for confidences of which it is known whether they were right, with a slight pull (variance 10)
    /// to the one that changes nothing, so that few rows or none that are wrong give one too. As in the paper, `a` or `b` below 0
    /// is fitted again without.
    pub fn fit(confidence: &[f32], right: &[bool]) -> Beta {
        // Not `clamp`, which keeps what is no number.
        let bound = |p: f32| f64::from(if p > LEAST { p.min(1.0 - LEAST) } else { LEAST });
        let rows: Vec<([f64; 3], f64)> = confidence
            .iter()
            .zip(right)
            .map(|(&p, &right)| ([bound(p).ln(), -(1.0 - bound(p)).ln(), 1.0], f64::from(u8::from(right))))
            .collect();
        let mut free = [true; 3];
        loop {
            let found = logistic(&rows, free);
            match (0..2).find(|&i| free[i] && found[i] < 0.0) {
                Some(below) => free[below] = false,
                None => {
                    let [a, b, c] = found.map(|x| (x as f32).clamp(-BETA_MAX, BETA_MAX));
                    return Beta { a, b, c };
                }
            }
        }
    }

    fn fits(self) -> bool {
        let fits = |x: f32, least: f32| x.is_finite() && (least..=BETA_MAX).contains(&x);
        fits(self.a, 0.0) && fits(self.b, 0.0) && fits(self.c, -BETA_MAX)
    }
}

/// Weights of a logistic regression by Newton's method, with a normal prior of variance 10 around (1, 1, 0); those that are
/// not free are 0.
fn logistic(rows: &[([f64; 3], f64)], free: [bool; 3]) -> [f64; 3] {
    const PRECISION: f64 = 0.1;
    let centre = [1.0, 1.0, 0.0];
    let mut w: [f64; 3] = std::array::from_fn(|i| if free[i] { centre[i] } else { 0.0 });
    let loss = |w: &[f64; 3]| {
        let of_rows = |(x, y): &([f64; 3], f64)| {
            let z: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
            // ln(1 + e^z) - y z, without overflow.
            z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z
        };
        let pull: f64 = (0..3).filter(|&i| free[i]).map(|i| PRECISION / 2.0 * (w[i] - centre[i]).powi(2)).sum();
        rows.iter().map(of_rows).sum::<f64>() + pull
    };
    let mut at = loss(&w);
    for _ in 0..100 {
        let (mut gradient, mut hessian) = ([0.0; 3], [[0.0; 3]; 3]);
        for (x, y) in rows {
            let z: f64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
            let q = 1.0 / (1.0 + (-z).exp());
            for i in 0..3 {
                gradient[i] += (q - y) * x[i];
                (0..3).for_each(|j| hessian[i][j] += q * (1.0 - q) * x[i] * x[j]);
            }
        }
        for i in 0..3 {
            gradient[i] += PRECISION * (w[i] - centre[i]);
            hessian[i][i] += PRECISION;
            if !free[i] {
                gradient[i] = 0.0;
                (0..3).for_each(|j| (hessian[i][j], hessian[j][i]) = (0.0, 0.0));
                hessian[i][i] = 1.0;
            }
        }
        let step = solve(hessian, gradient);
        // Halved until the loss falls.
        let mut share = 1.0;
        let next = loop {
            let next: [f64; 3] = std::array::from_fn(|i| w[i] - share * step[i]);
            if loss(&next) <= at || share < 1e-6 {
                break next;
            }
            share /= 2.0;
        };
        let (before, moved) = (at, w.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max));
        (w, at) = (next, loss(&next));
        if moved < 1e-10 || at >= before {
            break;
        }
    }
    w
}

/// `x` with `matrix · x = right`, by elimination; the matrix is positive definite.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> [f64; 3] {
    for i in 0..3 {
        for j in i + 1..3 {
            let factor = matrix[j][i] / matrix[i][i];
            (i..3).for_each(|k| matrix[j][k] -= factor * matrix[i][k]);
            right[j] -= factor * right[i];
        }
    }
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right
}

impl Calibration {
    /// Refuses numbers out of their range.
    ///
    /// # Errors
    /// [`Error::Registry`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let ratio = |x: f64| (0.0..=1.0).contains(&x);
        let nats = |x: f64| x.is_finite() && x >= 0.0;
        let checks = [
            ("temperature", f64::from(self.temperature), TEMPERATURES.contains(&self.temperature), "0.05 to 20"),
            ("nll_before", self.nll_before, nats(self.nll_before), "finite and not negative"),
            ("nll_after", self.nll_after, nats(self.nll_after), "finite and not negative"),
            ("ece_subheading", self.ece_subheading, ratio(self.ece_subheading), "0 to 1"),
            ("ece_heading", self.ece_heading, ratio(self.ece_heading), "0 to 1"),
            ("ece_chapter", self.ece_chapter, ratio(self.ece_chapter), "0 to 1"),
        ];
        for (field, value, fits, range) in checks {
            if !fits {
                return Err(refused(
                    CALIBRATION,
                    format!("{field} is {value}, it must be {range}; calibrate the model again"),
                ));
            }
        }
        for (field, curve) in [("subheading", self.subheading), ("heading", self.heading), ("chapter", self.chapter)] {
            if !curve.fits() {
                return Err(refused(
                    CALIBRATION,
                    format!(
                        "{field} is {curve:?}: a and b must be 0 to {BETA_MAX}, c within ±{BETA_MAX}; calibrate again"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The temperature that makes the right codes most likely: Guo et al. 2017, "On Calibration of Modern Neural
/// Networks", section 4.2, found by golden-section search in log T (the loss is convex in 1/T, hence has one
/// valley in log T).
///
/// `logits` is `[rows, classes]`; `truth` is `[rows]` class indices. Ends at the edge of [`TEMPERATURES`] when
/// the valley lies beyond it.
///
/// # Errors
/// [`Error::Input`] without rows, with a truth outside the classes, or with a logit that is not finite.
pub fn fit_temperature(logits: &[Vec<f32>], truth: &[u32]) -> Result<f32> {
    if logits.is_empty() {
        return Err(Error::Input(
            "there are no rows to calibrate on; give more labelled rows, so that some can be held out".to_owned(),
        ));
    }
    if logits.len() != truth.len() {
        return Err(Error::Input(format!(
            "calibration has {} rows of logits and {} codes; give one code a row",
            logits.len(),
            truth.len()
        )));
    }
    for (row, (z, y)) in logits.iter().zip(truth).enumerate() {
        if *y as usize >= z.len() {
            return Err(Error::Input(format!(
                "calibration row {row}: class {y} is outside the {} of the model; drop the row or train with its code",
                z.len()
            )));
        }
        if !z.iter().all(|v| v.is_finite()) {
            return Err(Error::Input(format!(
                "calibration row {row}: a logit is not finite; train again with a lower learning rate"
            )));
        }
    }

    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let loss = |ln_t: f64| nll(logits, truth, ln_t.exp());
    let (mut low, mut high) = (f64::from(*TEMPERATURES.start()).ln(), f64::from(*TEMPERATURES.end()).ln());
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (loss(left), loss(right));
    // One pass over the rows a step; the width shrinks from 6 to 1e-5 in 28 steps.
    while high - low > 1e-5 {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = loss(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = loss(right);
        }
    }
    let temperature = ((low + high) / 2.0).exp() as f32;
    Ok(temperature.clamp(*TEMPERATURES.start(), *TEMPERATURES.end()))
}

/// The temperature that makes the confidence of first choices honest, rows of classes the model does not have included.
///
/// [`fit_temperature`] cannot see a row whose right class is not among the labels, though such rows come in production
/// and are always wrong. So this minimises the binary negative log-likelihood of the event "the first choice is right"
/// (the proper score of the number that users read), by the same search.
///
/// `logits` is `[rows, classes]`; `truth` is `[rows]`, `None` for a class that the model does not have.
///
/// # Errors
/// As [`fit_temperature`].
pub fn fit_first_choice(logits: &[Vec<f32>], truth: &[Option<u32>]) -> Result<f32> {
    if logits.is_empty() || logits.len() != truth.len() {
        return Err(Error::Input("no rows to calibrate on; give more lines, or a larger [split] calibrate".into()));
    }
    if logits.iter().flatten().any(|x| !x.is_finite()) {
        return Err(Error::Input("a logit is not finite; train again with a lower learning rate".into()));
    }
    let first: Vec<usize> =
        logits.iter().map(|row| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })).collect();
    let loss = |log_t: f64| {
        let t = log_t.exp();
        let total: f64 = logits
            .iter()
            .zip(&first)
            .zip(truth)
            .map(|((row, &best), truth)| {
                let top = f64::from(row[best]);
                let sum: f64 = row.iter().map(|&x| ((f64::from(x) - top) / t).exp()).sum();
                let p = (1.0 / sum).clamp(1e-12, 1.0 - 1e-12);
                if *truth == Some(best as u32) { -p.ln() } else { -(1.0 - p).ln() }
            })
            .sum();
        total / logits.len() as f64
    };
    let (mut low, mut high) = (f64::from(*TEMPERATURES.start()).ln(), f64::from(*TEMPERATURES.end()).ln());
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    for _ in 0..40 {
        if loss_a <= loss_b {
            (high, b, loss_b) = (b, a, loss_a);
            a = high - golden * (high - low);
            loss_a = loss(a);
        } else {
            (low, a, loss_a) = (a, b, loss_b);
            b = low + golden * (high - low);
            loss_b = loss(b);
        }
    }
    let found = (((low + high) / 2.0).exp()) as f32;
    Ok(found.clamp(*TEMPERATURES.start(), *TEMPERATURES.end()))
}

/// Mean negative log-likelihood of the right classes, in nats, of the softmax of `logits / temperature`.
///
/// Shapes as in [`fit_temperature`], whose checks are taken as done; 0 without rows.
pub fn nll(logits: &[Vec<f32>], truth: &[u32], temperature: f64) -> f64 {
    let mut sum = 0.0;
    for (z, y) in logits.iter().zip(truth) {
        let Some(right) = z.get(*y as usize) else { continue };
        let top = f64::from(z.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let mass: f64 = z.iter().map(|v| (f64::from(*v) - top) / temperature).map(f64::exp).sum();
        sum += mass.ln() - (f64::from(*right) - top) / temperature;
    }
    sum / logits.len().max(1) as f64
}

/// Expected calibration error over bins of equal mass (Nguyen and O'Connor 2015, section 3.1): the mean distance
/// between confidence and accuracy of a bin, weighted by its rows. 0 to 1; 0 without rows.
///
/// Equal confidences share a bin, so the order of the rows does not change the result; a bin then may hold
/// more than its share. `confidence` and `right` are `[rows]`.
pub fn expected_calibration_error(confidence: &[f32], right: &[bool], bins: usize) -> f64 {
    let mut rows: Vec<(f32, bool)> = confidence.iter().copied().zip(right.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (total, bins) = (rows.len(), bins.max(1));
    let (mut start, mut distance) = (0, 0.0);
    for bin in 1..=bins {
        let mut end = total * bin / bins;
        while end > 0 && end < total && rows[end].0 == rows[end - 1].0 {
            end += 1;
        }
        if end <= start {
            continue;
        }
        let said: f64 = rows[start..end].iter().map(|r| f64::from(r.0)).sum();
        let hits = rows[start..end].iter().filter(|r| r.1).count() as f64;
        distance += (said - hits).abs();
        start = end;
    }
    distance / total.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_give_the_temperature_of_the_closed_form() {
        // Three of four rows are right at a logit gap of 4: the loss is least where sigmoid(4 / T) = 3/4, which is
        // T = 4 / ln 3 = 3.640957, and there it is the entropy of (3/4, 1/4) = 0.562335 nats.
        let logits = vec![vec![4.0, 0.0]; 4];
        let truth = [0, 0, 0, 1];
        let t = fit_temperature(&logits, &truth).unwrap();
        assert!((t - 3.640_957).abs() < 1e-3, "{t}");
        assert!((nll(&logits, &truth, f64::from(t)) - 0.562_335).abs() < 1e-6);
        assert_eq!(fit_temperature(&logits, &truth).unwrap().to_bits(), t.to_bits());
    }

    #[test]
    fn a_valley_beyond_the_range_ends_at_its_edge() {
        let t = fit_temperature(&[vec![1.0, 0.0]], &[0]).unwrap();
        assert!((0.05..0.0501).contains(&t), "{t}");
        let t = fit_temperature(&[vec![1.0, 0.0]], &[1]).unwrap();
        assert!((19.99..=20.0).contains(&t), "{t}");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        // Gap 2000 at T = 1: a wrong row costs exactly the gap.
        assert!((nll(&[vec![1000.0, -1000.0]], &[1], 1.0) - 2000.0).abs() < 1e-9);
    }

    #[test]
    fn rows_that_cannot_be_used_are_refused_with_the_next_step() {
        let refusal = |l: &[Vec<f32>], t: &[u32]| match fit_temperature(l, t) {
            Err(Error::Input(m)) => m,
            other => panic!("{other:?}"),
        };
        assert!(refusal(&[], &[]).contains("give more labelled rows"));
        assert!(refusal(&[vec![0.0]], &[]).contains("one code a row"));
        assert!(refusal(&[vec![0.0]], &[1]).contains("class 1 is outside the 1"));
        assert!(refusal(&[vec![f32::NAN]], &[0]).contains("not finite"));
    }

    #[test]
    fn calibration_error_of_hand_computed_bins() {
        // By hand, two bins of three: |1.2 - 1| = 0.2 and |2.4 - 3| = 0.6, so (0.2 + 0.6) / 6 = 0.1333.
        let confidence = [0.9, 0.3, 0.7, 0.4, 0.8, 0.5];
        let right = [true, false, true, true, true, false];
        assert!((expected_calibration_error(&confidence, &right, 2) - 0.8 / 6.0).abs() < 1e-6);
        // One bin: |3.6 - 4| / 6.
        assert!((expected_calibration_error(&confidence, &right, 1) - 0.4 / 6.0).abs() < 1e-6);
        // A bin a row: 0.3 + 0.6 + 0.5 + 0.3 + 0.2 + 0.1 = 2.0, over 6; more bins than rows change nothing.
        assert!((expected_calibration_error(&confidence, &right, 6) - 2.0 / 6.0).abs() < 1e-6);
        assert!((expected_calibration_error(&confidence, &right, 60) - 2.0 / 6.0).abs() < 1e-6);
    }

    #[test]
    fn equal_confidences_share_a_bin_in_any_order() {
        // All 0.5, half right: perfectly calibrated, however the rows lie.
        let sorted = [false, false, true, true];
        let mixed = [true, false, true, false];
        assert_eq!(expected_calibration_error(&[0.5; 4], &sorted, 2), 0.0);
        assert_eq!(expected_calibration_error(&[0.5; 4], &mixed, 2), 0.0);
        assert_eq!(expected_calibration_error(&[], &[], 10), 0.0);
    }

    #[test]
    fn a_curve_finds_back_the_one_that_made_the_answers() {
        // Of 40,000 confidences between 0 and 1 as many are right as the curve says.
        let truth = |p: f64| 1.0 / (1.0 + (-(1.7 * p.ln() - 0.6 * (1.0 - p).ln() + 0.4)).exp());
        let (mut confidence, mut right) = (Vec::new(), Vec::new());
        for step in 0..400 {
            let p = (f64::from(step) + 0.5) / 400.0;
            for n in 0..100 {
                confidence.push(p as f32);
                right.push((f64::from(n) + 0.5) / 100.0 < truth(p));
            }
        }
        let found = Beta::fit(&confidence, &right);
        assert!(
            (found.a - 1.7).abs() < 0.02 && (found.b - 0.6).abs() < 0.02 && (found.c - 0.4).abs() < 0.03,
            "{found:?}"
        );
    }

    #[test]
    fn a_curve_never_falls_and_is_there_for_any_rows() {
        let flat: Vec<f32> = (0..200).map(|n| n as f32 / 200.0).collect();
        for right in [vec![true; 200], vec![false; 200], (0..200).map(|n| n < 100).collect()] {
            let found = Beta::fit(&flat, &right);
            assert!(found.fits(), "{found:?}");
        }
        assert_eq!(Beta::fit(&[], &[]), Beta::IDENTITY);
        assert!(Beta::fit(&[1.0, 0.0, f32::NAN], &[true, false, true]).fits());
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let good = Calibration {
            temperature: 1.5,
            subheading: Beta::IDENTITY,
            heading: Beta::IDENTITY,
            chapter: Beta::IDENTITY,
            rows: 10,
            texts: 9,
            nll_before: 1.0,
            nll_after: 0.9,
            ece_subheading: 0.1,
            ece_heading: 0.1,
            ece_chapter: 0.1,
            ece_bins: 15,
        };
        good.validate().unwrap();
        for t in [f32::NAN, f32::INFINITY, 0.0, -1.0, 20.5] {
            let error = Calibration { temperature: t, ..good.clone() }.validate().unwrap_err();
            assert!(error.to_string().contains("temperature is"), "{error}");
        }
        assert!(Calibration { nll_after: f64::NAN, ..good.clone() }.validate().is_err());
        for curve in [Beta { a: -0.1, ..Beta::IDENTITY }, Beta { c: f32::NAN, ..Beta::IDENTITY }] {
            let error = Calibration { heading: curve, ..good.clone() }.validate().unwrap_err();
            assert!(error.to_string().contains("heading is"), "{error}");
        }
    }
}
