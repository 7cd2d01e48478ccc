//! How many labelled discordant pairs the nightly test needs, which pays for its many looks with more pairs than one look takes.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::eprocess::ln_evidence;
use crate::error::{Error, Result};

/// No more pairs than these are asked for.
const MOST_PAIRS: u64 = 1 << 20;

/// Pairs from which on a normal distribution stands for the binomial one.
const EXACT_UP_TO: u64 = 5_000;

/// Labelled discordant pairs after which the evidence of [`ln_evidence`] is at least `1 / alpha` with probability `power` or
/// more, if the challenger wins a share `wins` of them, above one half. It is enough that the last look passes, so earlier looks
/// only add to the power; a few pairs fewer can be enough, since wins come in whole numbers. `None` when `wins` is no such share,
/// or more than a million pairs are needed.
///
/// # Errors
/// `Bug` when the distributions refuse their parameters, which these never are.
pub fn pairs_to_prove(wins: f64, alpha: f64, power: f64) -> Result<Option<u64>> {
    if !(wins > 0.5 && wins <= 1.0) {
        return Ok(None);
    }
    let enough = |pairs: u64| Ok::<bool, Error>(proves(pairs, wins, alpha)? >= power);
    let mut most = 1;
    while !enough(most)? {
        most *= 2;
        if most > MOST_PAIRS {
            return Ok(None);
        }
    }
    let mut too_few = most / 2;
    while most - too_few > 1 {
        let middle = too_few + (most - too_few) / 2;
        if enough(middle)? {
            most = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(Some(most))
}

/// Chance that the evidence is `1 / alpha` or more after so many pairs.
fn proves(pairs: u64, wins: f64, alpha: f64) -> Result<f64> {
    let Some(gained) = fewest_wins(pairs, alpha) else { return Ok(0.0) };
    let bug = |e: &dyn std::fmt::Display| Error::Bug(format!("pairs to prove: {e}"));
    if pairs <= EXACT_UP_TO {
        let fewer = Binomial::new(wins, pairs).map_err(|e| bug(&e))?;
        return Ok(if gained == 0 { 1.0 } else { fewer.sf(gained - 1) });
    }
    let (mean, error) = (pairs as f64 * wins, (pairs as f64 * wins * (1.0 - wins)).sqrt());
    if error == 0.0 {
        return Ok(if gained as f64 <= mean { 1.0 } else { 0.0 });
    }
    let normal = Normal::new(mean, error).map_err(|e| bug(&e))?;
    // Half a pair less: the binomial distribution has steps.
    Ok(normal.sf(gained as f64 - 0.5))
}

/// The fewest wins of so many pairs whose evidence is `1 / alpha`, if all of them are enough.
fn fewest_wins(pairs: u64, alpha: f64) -> Option<u64> {
    let passes = |gained: u64| ln_evidence(pairs - gained, gained) >= -alpha.ln();
    if !passes(pairs) {
        return None;
    }
    // The evidence grows with the wins.
    let (mut low, mut high) = (0, pairs);
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::pairs_needed;

    /// With nothing but wins `E = 2 · (2^n - 1/2) / (n + 1)`: 2 · 63.5 / 7 = 18.1 after six, 2 · 127.5 / 8 = 31.9 after seven.
    #[test]
    fn a_challenger_that_always_wins_is_proved_after_few_pairs() {
        assert_eq!(fewest_wins(6, 0.05), None);
        assert_eq!(fewest_wins(7, 0.05), Some(7));
        assert_eq!(pairs_to_prove(1.0, 0.05, 0.8).unwrap(), Some(7));
    }

    #[test]
    fn many_looks_take_more_pairs_than_one_and_small_effects_more_than_large() {
        for wins in [0.55, 0.6, 0.7] {
            let (once, nightly) = (pairs_needed(wins, 0.05, 0.8).unwrap(), pairs_to_prove(wins, 0.05, 0.8).unwrap());
            assert!(nightly > once && nightly < once.map(|n| 4 * n), "{wins}: {once:?} {nightly:?}");
        }
        let needed = [0.7, 0.6, 0.55, 0.52, 0.51].map(|wins| pairs_to_prove(wins, 0.05, 0.8).unwrap().unwrap());
        assert!(needed.is_sorted(), "{needed:?}");
        for none in [0.5, 0.3, 1.1, f64::NAN, f64::INFINITY, 0.5001] {
            assert_eq!(pairs_to_prove(none, 0.05, 0.8).unwrap(), None, "{none}");
        }
    }

    /// The power that is asked for is there, and not much more; the last look alone counts here.
    #[test]
    fn the_power_is_what_was_asked_for() {
        for (wins, power) in [(0.6, 0.8), (0.55, 0.9), (0.7, 0.5)] {
            let pairs = pairs_to_prove(wins, 0.05, power).unwrap().unwrap();
            let found = proves(pairs, wins, 0.05).unwrap();
            assert!(found >= power && found < power + 0.08, "{wins}: {found} with {pairs}");
        }
    }
}
