//! The interval of a share that was seen.

use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

use crate::train::table::ratio;

/// Level of the intervals that are told.
const LEVEL: f64 = 0.95;

/// A share of rows with its 95 % interval; see [`clopper_pearson`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share, 0 to 1; 0 of no rows.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Share {
    /// `part` of `rows`.
    pub fn of(part: usize, rows: usize) -> Share {
        let (low, high) = clopper_pearson(part, rows, LEVEL);
        Share { ratio: ratio(part, rows), low, high }
    }
}

/// The ends of a 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower one.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

impl Share {
    /// The interval by itself.
    pub fn interval(&self) -> Interval {
        Interval { low: self.low, high: self.high }
    }
}

/// The two-sided interval of Clopper and Pearson (Biometrika 26, 1934) for a share of which `right` of `rows` were
/// seen: it holds the true share with a probability of at least `level`, however few the rows. `(0, 1)` of no rows.
pub fn clopper_pearson(right: usize, rows: usize, level: f64) -> (f64, f64) {
    let right = right.min(rows);
    let (k, n, tail) = (right as f64, rows as f64, (1.0 - level) / 2.0);
    let low = if right == 0 { 0.0 } else { beta_quantile(k, n - k + 1.0, tail) };
    let high = if right == rows { 1.0 } else { beta_quantile(k + 1.0, n - k, 1.0 - tail) };
    (low, high)
}

/// The `x` at which the cumulative Beta(`a`, `b`) distribution reaches `p`, by halving `[0, 1]` sixty times.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        // Both parameters are at least 1 and `middle` is inside (0, 1), so there is no error to handle.
        if checked_beta_reg(a, b, middle).unwrap_or(1.0) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected bounds from binomial tails summed in exact fractions (Python, `fractions` and `math.comb`).
    #[test]
    fn the_interval_of_a_share_is_exact() {
        for (right, rows, low, high) in [
            (8, 10, 0.4439045376923332, 0.9747892736731387),
            (10, 10, 0.6915028921812336, 1.0),
            (0, 10, 0.0, 0.30849710781873796),
            (95, 100, 0.8871650888945339, 0.983568120817921),
            (149, 150, 0.9634168322594121, 0.9998312288568627),
            (0, 0, 0.0, 1.0),
        ] {
            let (l, h) = clopper_pearson(right, rows, 0.95);
            assert!((l - low).abs() < 1e-9 && (h - high).abs() < 1e-9, "{right} of {rows}: {l} {h}");
        }
    }
}
