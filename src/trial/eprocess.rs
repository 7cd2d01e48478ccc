//! A test that may be looked at every night: evidence against "the challenger wins at most half of the discordant pairs".
//!
//! The evidence is the likelihood of the wins so far if the challenger wins a share `q` of the pairs, averaged over `q` from
//! one half to 1, over their likelihood at one half:
//!
//! `E = 2 · ∫ q^gained (1 - q)^lost dq / (1/2)^(gained + lost)`
//!
//! For each `q` above one half the ratio is a supermartingale while the hypothesis holds, and so is their mean. So the chance
//! that `E` is ever `1 / alpha` or more is at most `alpha`, however often one looks and whenever one stops (Ville 1939; mixtures
//! after Robbins, Annals of Mathematical Statistics 41, 1970; Ramdas and others, "Game-theoretic statistics and safe
//! anytime-valid inference", Statistical Science 38, 2023, sections 2 and 3).

use serde::Serialize;
use statrs::function::beta::ln_beta;

use super::paired::Pairs;

/// Evidence after some look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Look {
    /// Discordant pairs so far.
    pub discordant: u64,
    /// Of these, won by the challenger.
    pub gained: u64,
    /// Natural logarithm of `E`.
    pub ln_evidence: f64,
}

/// `ln E` of the discordant pairs; 0 without any.
///
/// The integral is an incomplete beta function at one half, of which only a continued fraction is not a power of two: with `f`
/// for the fraction of `fraction`, `E = f(lost + 1, gained + 1) / (2 (lost + 1))` where losses lead, and otherwise the whole
/// integral less the same of the other side. No term is lost to rounding or underflow, however many pairs there are.
pub fn ln_evidence(lost: u64, gained: u64) -> f64 {
    let (a, b) = (lost as f64 + 1.0, gained as f64 + 1.0);
    if lost >= gained {
        return fraction(a, b).ln() - (2.0 * a).ln();
    }
    let whole = (a + b - 1.0) * std::f64::consts::LN_2 + ln_beta(a, b);
    let below = fraction(b, a).ln() - (2.0 * b).ln();
    whole + (-(below - whole).exp()).ln_1p()
}

/// The continued fraction of the incomplete beta function `I_x(a, b) = x^a (1-x)^b f / (a B(a, b))` at `x = 1/2` for `a >= b` (DLMF
/// 8.17.22), by Lentz's method as Thompson and Barnett changed it (Journal of Computational Physics 64, 1986).
fn fraction(a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const MOST_TERMS: u32 = 1 << 20;
    let far = |x: f64| if x.abs() < TINY { TINY } else { x };
    let (mut f, mut c, mut d) = (1.0, 1.0, 0.0);
    for n in 1..MOST_TERMS {
        let m = f64::from(n / 2);
        let term = if n % 2 == 0 {
            0.5 * m * (b - m) / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -0.5 * (a + m) * (a + b + m) / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / far(1.0 + term * d);
        c = far(1.0 + term / c);
        f *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    1.0 / f
}

/// The evidence so far, look by look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EProcess {
    /// Every look, oldest first.
    pub looks: Vec<Look>,
}

impl EProcess {
    /// Looks at all pairs so far.
    pub fn look(&mut self, pairs: &Pairs) -> Look {
        let ln_evidence = ln_evidence(pairs.lost, pairs.gained);
        let look = Look { discordant: pairs.discordant(), gained: pairs.gained, ln_evidence };
        self.looks.push(look);
        look
    }

    /// Whether the challenger was proved better at level `alpha`, at any look.
    pub fn proved(&self, alpha: f64) -> bool {
        self.looks.iter().any(|look| look.ln_evidence >= -alpha.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected numbers by numerical integration (`scipy.integrate.quad`).
    #[test]
    fn the_evidence_agrees_with_its_integral() {
        for (lost, gained, expected) in [
            (0, 0, 0.0),
            (3, 9, 1.0050953718011169),
            (10, 30, 4.146746034776932),
            (30, 10, -3.081528786608605),
            (200, 300, 7.857506338852478),
            (5_000, 10, -8.515392371873986),
            (49_000, 51_000, 15.163601808671956),
        ] {
            let found = ln_evidence(lost, gained);
            assert!((found - expected).abs() < 1e-6, "{lost} {gained}: {found}");
        }
        assert!(ln_evidence(10, 5_000) > 1000.0);
        // Never less than what the losses alone leave: 1 / (2 (n + 1)) at the least.
        for lost in [1, 1_400, 1_000_000] {
            assert!(ln_evidence(lost, 0) > -(2.0 * (lost as f64 + 1.0)).ln() - 1e-9, "{lost}");
        }
    }

    /// Numbers that look random, between 0 and 1.
    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The share of so many simulated pairs of models for which the challenger is taken for the better one at any of 60 nightly
    /// looks, when it wins the share `wins` of 10 discordant pairs a night.
    fn taken(wins: f64, models: u64) -> f64 {
        let mut count = 0;
        for model in 0..models {
            let mut state = model.wrapping_mul(0x1234_5678_9abc_def1) ^ wins.to_bits();
            let (mut pairs, mut process) = (Pairs::default(), EProcess::default());
            for _night in 0..60 {
                (0..10).for_each(|_| {
                    let gained = uniform(&mut state) < wins;
                    pairs.add(!gained, gained);
                });
                process.look(&pairs);
            }
            count += u64::from(process.proved(0.05));
        }
        count as f64 / models as f64
    }

    /// Looking every night must not promote by chance, and 600 discordant pairs must find a challenger that wins 58 % of them.
    #[test]
    fn false_promotions_stay_below_the_level_and_real_ones_are_found() {
        // Three standard deviations of a share of 0.05 among 10,000 are 0.0065: the bound itself is what Ville's inequality says.
        assert!(taken(0.5, 10_000) <= 0.05);
        assert!(taken(0.45, 2_000) <= 0.01);
        assert!(taken(0.58, 2_000) >= 0.8);
    }
}
