//! Two models on the same lines: who was right where, and whether the difference is more than chance.
//!
//! Only lines on which one model is right and the other wrong (discordant pairs) say anything; the others cancel out.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF, Normal};

use crate::error::{Error, Result};

/// Discordant pairs from which on the chi-squared distribution stands for the exact one.
const EXACT_BELOW: u64 = 25;

/// Lines by who was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairs {
    /// Both models.
    pub both_right: u64,
    /// The champion alone: lost by a promotion.
    pub lost: u64,
    /// The challenger alone: gained by a promotion.
    pub gained: u64,
    /// Neither.
    pub both_wrong: u64,
}

impl Pairs {
    /// Counts one line.
    pub fn add(&mut self, champion_right: bool, challenger_right: bool) {
        *match (champion_right, challenger_right) {
            (true, true) => &mut self.both_right,
            (true, false) => &mut self.lost,
            (false, true) => &mut self.gained,
            (false, false) => &mut self.both_wrong,
        } += 1;
    }

    /// All lines.
    pub fn lines(&self) -> u64 {
        self.both_right + self.lost + self.gained + self.both_wrong
    }

    /// Lines on which one model alone is right.
    pub fn discordant(&self) -> u64 {
        self.lost + self.gained
    }

    /// Accuracy of the challenger less that of the champion, -1 to 1; 0 without lines.
    pub fn difference(&self) -> f64 {
        (self.gained as f64 - self.lost as f64) / self.lines().max(1) as f64
    }
}

/// A test of the hypothesis that both models are right equally often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Two-sided.
    pub p_value: f64,
    /// Whether it is from the binomial distribution itself.
    pub exact: bool,
}

/// McNemar's test (Psychometrika 12, 1947): exact below 25 discordant pairs, by the binomial distribution; otherwise with
/// Edwards' correction, `(|gained - lost| - 1)² / (gained + lost)` as chi-squared with one degree of freedom.
///
/// # Errors
/// `Bug` when the distributions refuse their parameters, which these never are.
pub fn mcnemar(pairs: &Pairs) -> Result<McNemar> {
    let (lost, gained) = (pairs.lost, pairs.gained);
    let n = lost + gained;
    let bug = |e: &dyn std::fmt::Display| Error::Bug(format!("McNemar's test: {e}"));
    if n < EXACT_BELOW {
        let tail = Binomial::new(0.5, n).map_err(|e| bug(&e))?.cdf(lost.min(gained));
        return Ok(McNemar { p_value: (2.0 * tail).min(1.0), exact: true });
    }
    let distance = (lost.abs_diff(gained) as f64 - 1.0).max(0.0);
    let chi = ChiSquared::new(1.0).map_err(|e| bug(&e))?;
    Ok(McNemar { p_value: chi.sf(distance * distance / n as f64), exact: false })
}

/// An interval for a difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Difference of the accuracies with its standard error after half a line was added to each of the four cells (Agresti and
/// Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine 24, 2005).
fn adjusted(pairs: &Pairs) -> (f64, f64) {
    let n = pairs.lines() as f64 + 2.0;
    let (lost, gained) = (pairs.lost as f64 + 0.5, pairs.gained as f64 + 0.5);
    let difference = (gained - lost) / n;
    let variance = ((gained + lost) / n - difference * difference) / n;
    (difference, variance.max(0.0).sqrt())
}

fn normal() -> Result<Normal> {
    Normal::new(0.0, 1.0).map_err(|e| Error::Bug(format!("normal distribution: {e}")))
}

/// The interval of Agresti and Min (2005) that holds the true difference with a probability of about `level`.
///
/// # Errors
/// As [`mcnemar`].
pub fn interval(pairs: &Pairs, level: f64) -> Result<Interval> {
    let (difference, error) = adjusted(pairs);
    let z = normal()?.inverse_cdf(0.5 + level / 2.0);
    Ok(Interval { low: (difference - z * error).max(-1.0), high: (difference + z * error).min(1.0) })
}

/// One-sided p-values about a largest drop that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fall {
    /// Of the hypothesis that accuracy falls by `margin` or more: small says that it is proved not to.
    pub not_worse_p: f64,
    /// Of the hypothesis that it falls by `margin` at most: small says that it is proved to fall by more.
    pub worse_p: f64,
}

/// Both tests with the difference and standard error of Agresti and Min; `margin` is at least 0, as a share of the lines.
///
/// # Errors
/// As [`mcnemar`].
pub fn drop_beyond(pairs: &Pairs, margin: f64) -> Result<Fall> {
    let (difference, error) = adjusted(pairs);
    let z = (difference + margin) / error;
    let normal = normal()?;
    Ok(Fall { not_worse_p: normal.sf(z), worse_p: normal.cdf(z) })
}

/// p-values for several hypotheses so that the chance of any false rejection stays at the level (Holm, Scandinavian Journal of
/// Statistics 6, 1979), in their order.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (mut adjusted, mut least) = (vec![0.0; p_values.len()], 0.0f64);
    for (rank, &at) in order.iter().enumerate() {
        least = least.max(((p_values.len() - rank) as f64 * p_values[at]).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

/// Labelled discordant pairs that a one-sided test at level `alpha` needs to see, with probability `power`, that the challenger
/// wins a share `wins` of them, above one half (the normal approximation of Connor, Biometrics 43, 1987, given the
/// discordant pairs). `None` when `wins` is no such share.
///
/// # Errors
/// As [`mcnemar`].
pub fn pairs_needed(wins: f64, alpha: f64, power: f64) -> Result<Option<u64>> {
    if !(wins > 0.5 && wins <= 1.0) {
        return Ok(None);
    }
    let normal = normal()?;
    let (za, zb) = (normal.inverse_cdf(1.0 - alpha), normal.inverse_cdf(power));
    let root = (0.5 * za + (wins * (1.0 - wins)).sqrt() * zb) / (wins - 0.5);
    Ok(Some((root * root).ceil() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1e-3)
    }

    /// Expected numbers from scipy 1.16: `binom.cdf` and `chi2.sf`.
    #[test]
    fn mcnemars_test_agrees_with_scipy() {
        for (lost, gained, p_value, exact) in [
            (3, 9, 0.14599609375, true),
            (0, 5, 0.0625, true),
            (10, 14, 0.5412561893463135, true),
            (12, 12, 1.0, true),
            (0, 0, 1.0, true),
            (40, 60, 0.05743311963200335, false),
            (13, 12, 1.0, false),
            (100, 150, 0.0019415397850404208, false),
        ] {
            let found = mcnemar(&Pairs { lost, gained, both_right: 7, both_wrong: 1 }).unwrap();
            assert!(close(found.p_value, p_value) && found.exact == exact, "{lost} {gained}: {found:?}");
        }
    }

    /// Expected numbers by numpy and `scipy.stats.norm`.
    #[test]
    fn intervals_and_drops_agree_with_numpy() {
        let few = Pairs { both_right: 60, lost: 3, gained: 9, both_wrong: 28 };
        let many = Pairs { both_right: 900, lost: 40, gained: 60, both_wrong: 1000 };
        for (pairs, low, high, not_worse) in [
            (few, -0.00951139030530121, 0.12715844912883062, 0.011885961790506295),
            (many, 0.00016088824479018084, 0.019819131735229797, 1.1148581781532012e-09),
        ] {
            let found = interval(&pairs, 0.95).unwrap();
            assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}");
            let drop = drop_beyond(&pairs, 0.02).unwrap();
            assert!((drop.not_worse_p - not_worse).abs() < 1e-9, "{drop:?}");
            assert!((drop.not_worse_p + drop.worse_p - 1.0).abs() < 1e-9);
        }
        assert!(close(few.difference(), 0.06));
        assert_eq!(Pairs::default().difference(), 0.0);
    }

    /// By hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, never falling.
    #[test]
    fn holm_raises_each_value_by_its_rank_and_keeps_the_order() {
        let found = holm(&[0.04, 0.01, 0.03, 0.02]);
        for (a, b) in found.iter().zip([0.06, 0.04, 0.06, 0.06]) {
            assert!(close(*a, b), "{found:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    /// The same formula with `scipy.stats.norm.ppf`.
    #[test]
    fn the_pairs_that_are_needed_agree_with_scipy() {
        assert_eq!(pairs_needed(0.6, 0.05, 0.8).unwrap(), Some(153));
        assert_eq!(pairs_needed(0.7, 0.05, 0.8).unwrap(), Some(37));
        assert_eq!(pairs_needed(0.5, 0.05, 0.8).unwrap(), None);
    }

    #[test]
    fn every_line_is_in_one_cell() {
        let mut pairs = Pairs::default();
        for n in 0..10 {
            pairs.add(n % 2 == 0, n % 3 == 0);
        }
        assert_eq!(pairs, Pairs { both_right: 2, lost: 3, gained: 2, both_wrong: 3 });
        assert_eq!((pairs.lines(), pairs.discordant()), (10, 5));
    }
}
