//! Where to look next: the tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl, "Algorithms for
//! hyper-parameter optimization", NIPS 2011, section 4), one parameter at a time, as the crate `tpe` has it.
//!
//! A proposal depends on the space, the trials before it and the seed alone: a search that goes on after a restart proposes
//! what it would have proposed without.

use std::convert::Infallible;

use rand::TryRng;
use tpe::{TpeOptimizer, histogram_estimator, parzen_estimator};

use super::space::Axis;
use crate::error::{Error, Result};
use crate::train::fit::Random;

/// Trials at random before the first that is learned from others.
pub const RANDOM_TRIALS: usize = 10;

/// Proposals that are thrown away when they were tried before, at most; so many again at random.
const PATIENCE: usize = 32;

/// A trial that ended: its coordinates and its loss, the smaller the better; infinite when it failed.
pub type Told = (Vec<f64>, f64);

/// Coordinates for the next trial. `known` says whether coordinates stand for values that were tried; `None` when
/// nothing else is found.
///
/// # Errors
/// `Bug` when a coordinate of `told` is outside its axis.
pub fn propose(axes: &[Axis], told: &[Told], seed: u64, known: impl Fn(&[f64]) -> bool) -> Result<Option<Vec<f64>>> {
    let mut random = Draws(Random::new(seed, 0));
    let mut samplers = Vec::new();
    if told.len() >= RANDOM_TRIALS {
        for (place, axis) in axes.iter().enumerate() {
            let mut sampler = match *axis {
                Axis::Line(low, high) => TpeOptimizer::new(parzen_estimator(), tpe::range(low, high).map_err(defect)?),
                Axis::Places(n) => TpeOptimizer::new(histogram_estimator(), tpe::categorical_range(n).map_err(defect)?),
            };
            for (coordinates, loss) in told {
                sampler.tell(inside(axis, coordinates[place]), *loss).map_err(defect)?;
            }
            samplers.push(sampler);
        }
    }
    for _ in 0..if samplers.is_empty() { 0 } else { PATIENCE } {
        let proposed = samplers.iter_mut().map(|s| s.ask(&mut random).map_err(defect)).collect::<Result<Vec<f64>>>()?;
        if !known(&proposed) {
            return Ok(Some(proposed));
        }
    }
    for _ in 0..PATIENCE {
        let proposed: Vec<f64> = axes.iter().map(|axis| random.anywhere(axis)).collect();
        if !known(&proposed) {
            return Ok(Some(proposed));
        }
    }
    Ok(None)
}

/// The highest value of a line lies on its open end.
fn inside(axis: &Axis, coordinate: f64) -> f64 {
    match *axis {
        Axis::Line(low, high) => coordinate.clamp(low, high.next_down()),
        Axis::Places(_) => coordinate,
    }
}

fn defect(e: impl std::fmt::Display) -> Error {
    Error::Bug(format!("the sampler of the search: {e}"))
}

/// Our seeded numbers, as the crate takes them.
struct Draws(Random);

impl Draws {
    /// Any coordinate, all equally likely.
    fn anywhere(&mut self, axis: &Axis) -> f64 {
        match *axis {
            Axis::Line(low, high) => low + (high - low) * ((self.0.next() >> 11) as f64 / (1u64 << 53) as f64),
            Axis::Places(n) => self.0.below(n) as f64,
        }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        Ok((self.0.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        Ok(self.0.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Branin and Hoo 1972, with the usual constants: least 0.397887 in three places.
    fn branin(x: &[f64]) -> f64 {
        use std::f64::consts::PI;
        let (a, b) = (x[0], x[1]);
        let parabola = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
        parabola * parabola + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0
    }

    /// A bowl in five dimensions, of which one is a choice of four that has no order.
    fn bowl(x: &[f64]) -> f64 {
        let centre = [0.3, -0.7, 0.55, 0.1];
        let round: f64 = x.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum();
        round + [0.4, 0.0, 0.7, 0.2][x[4] as usize]
    }

    const PLANE: [Axis; 2] = [Axis::Line(-5.0, 10.0), Axis::Line(0.0, 15.0)];
    const BOWL: [Axis; 5] =
        [Axis::Line(-1.0, 1.0), Axis::Line(-1.0, 1.0), Axis::Line(-1.0, 1.0), Axis::Line(-1.0, 1.0), Axis::Places(4)];

    /// Least loss of a search; without learning each trial is as the first one of a seed of its own.
    fn least(axes: &[Axis], loss: impl Fn(&[f64]) -> f64, seed: u64, trials: u64, learns: bool) -> f64 {
        let mut told: Vec<Told> = Vec::new();
        let mut least = f64::INFINITY;
        for trial in 0..trials {
            let of = if learns { &told[..] } else { &[] };
            let x = propose(axes, of, seed * 1000 + trial, |_| false).unwrap().unwrap();
            least = least.min(loss(&x));
            told.push((x.clone(), loss(&x)));
        }
        least
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        f64::midpoint(values[values.len() / 2], values[(values.len() - 1) / 2])
    }

    #[test]
    fn sixty_trials_that_learn_come_nearer_than_sixty_at_random() {
        let over_seeds = |axes: &[Axis], loss: fn(&[f64]) -> f64, learns| {
            median((1..=20).map(|seed| least(axes, loss, seed, 60, learns)).collect())
        };
        for (name, axes, loss, best) in
            [("branin", &PLANE[..], branin as fn(&[f64]) -> f64, 0.397887), ("bowl", &BOWL[..], bowl, 0.0)]
        {
            let (learned, random) = (over_seeds(axes, loss, true) - best, over_seeds(axes, loss, false) - best);
            assert!(learned >= -1e-6 && learned < 0.5 * random, "{name}: {learned} against {random}");
        }
    }

    #[test]
    fn a_proposal_depends_on_the_trials_before_and_the_seed_alone() {
        let told: Vec<Told> =
            (0..20).map(|n| (vec![-5.0 + 0.7 * f64::from(n), f64::from(n % 7)], f64::from(n % 5))).collect();
        let ask = |told: &[Told], seed| propose(&PLANE, told, seed, |_| false).unwrap().unwrap();
        assert_eq!(ask(&told, 3), ask(&told, 3));
        assert_ne!(ask(&told, 3), ask(&told, 4));
        assert_ne!(ask(&told, 3), ask(&told[..11], 3));
        assert_eq!(ask(&[], 3), ask(&told[..9], 3), "the first ones are at random");
    }

    #[test]
    fn proposals_stay_inside_and_failed_trials_are_kept_away_from() {
        // The left half fails; values on both ends of the line are told.
        let mut told: Vec<Told> = vec![(vec![0.0], f64::INFINITY), (vec![1.0], 0.5)];
        for _ in 0..60 {
            let x = propose(&[Axis::Line(0.0, 1.0)], &told, 7, |_| false).unwrap().unwrap();
            assert!((0.0..1.0).contains(&x[0]), "{x:?}");
            let loss = if x[0] < 0.5 { f64::INFINITY } else { 1.0 - x[0] };
            told.push((x, loss));
        }
        let late = told[32..].iter().filter(|t| t.0[0] >= 0.5).count();
        assert!(late >= 25, "{late} of 30");
    }

    #[test]
    fn what_was_tried_is_not_proposed_again_until_nothing_is_left() {
        let axes = [Axis::Places(3), Axis::Places(4)];
        let mut told: Vec<Told> = Vec::new();
        while let Some(x) = propose(&axes, &told, 5, |x| told.iter().any(|t| t.0 == x)).unwrap() {
            let loss = x[0] + x[1];
            told.push((x, loss));
        }
        assert_eq!(told.len(), 12);
    }
}
