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
use statrs::function::beta::{checked_beta_reg, ln_beta};

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
pub fn ln_evidence(lost: u64, gained: u64) -> f64 {
    let (lost, gained) = (lost as f64, gained as f64);
    // The incomplete integral is the upper part of a Beta(gained + 1, lost + 1) distribution: by symmetry a lower part of the
    // mirrored one, so that small values keep their digits.
    let upper = checked_beta_reg(lost + 1.0, gained + 1.0, 0.5).unwrap_or(0.0);
    let upper = if upper > 0.0 { upper.ln() } else { f64::from(f32::MIN) };
    (lost + gained + 1.0) * std::f64::consts::LN_2 + ln_beta(gained + 1.0, lost + 1.0) + upper
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
        ] {
            let found = ln_evidence(lost, gained);
            assert!((found - expected).abs() < 1e-6, "{lost} {gained}: {found}");
        }
        assert!(ln_evidence(5_000, 10) < -1000.0 && ln_evidence(10, 5_000) > 1000.0);
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
