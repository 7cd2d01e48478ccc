//! The linear classifier while it is trained: a row of the table for each n-gram, which moves when a batch holds it.
//!
//! Its table has a number for every n-gram and class, so nothing of that size is made beside it: a row's gradient is added up
//! where the row is, from the gradients of the logits. The rate falls with what the row has seen: AdaGrad (Duchi, Hazan and
//! Singer 2011, <https://www.jmlr.org/papers/v12/duchi11a.html>, figure 1) with one sum a row, so that the classes of a row keep
//! their proportions.

use super::random::Random;
use super::{Example, Hyper, Learner, Numbers};
use crate::error::{Error, Result};
use crate::model::forward::Line;
use crate::model::nets::{Linear, Shape, add_scaled, logits};
use crate::train::ops::{Target, column_sums, softmax_loss};
use crate::train::optimiser::squares;
use rayon::prelude::*;

/// Lines that one task of an evaluation scores.
const EVALUATED_TOGETHER: usize = 16;

/// Keeps the division finite.
const EPSILON: f64 = 1e-12;

/// The table and what it learns from.
pub(super) struct LinearNetwork<'a> {
    shape: &'a Linear,
    hyper: &'a Hyper,
    train: &'a [Example],
    /// Of the training examples, with mean 1.
    weights: &'a [f32],
    /// `[buckets, classes]`.
    table: Vec<f32>,
    /// Sum of the squares of all gradients of each row.
    seen: Vec<f32>,
    /// `[classes]`, and its own sum.
    bias: Vec<f32>,
    bias_seen: f32,
}

/// How much of a line's gradient each row gets: row, line, share; by row, then line.
type Shares = Vec<(u32, u32, f32)>;

fn shares(lines: &[Vec<u32>]) -> Shares {
    let scaled = |(n, line): (usize, &Vec<u32>)| {
        let scale = 1.0 / (line.len().max(1) as f32).sqrt();
        line.iter().map(move |&row| (row, n as u32, scale)).collect::<Vec<_>>()
    };
    let mut all: Shares = lines.iter().enumerate().flat_map(scaled).collect();
    all.sort_unstable_by_key(|&(row, line, _)| (row, line));
    all
}

impl<'a> LinearNetwork<'a> {
    pub(super) fn new(shape: &'a Linear, hyper: &'a Hyper, (train, weights): (&'a [Example], &'a [f32])) -> Self {
        let (buckets, classes) = (shape.grams.buckets, shape.classes);
        let (table, seen) = (vec![0.0; buckets * classes], vec![0.0; buckets]);
        LinearNetwork { shape, hyper, train, weights, table, seen, bias: vec![0.0; classes], bias_seen: 0.0 }
    }

    /// N-grams of an example as this epoch shows it: some are left out, but never all.
    fn shown(&self, number: usize, random: &mut Random) -> Vec<u32> {
        let (all, drop) = (&self.train[number].grams, self.hyper.token_dropout as f32);
        let kept: Vec<u32> = all.iter().copied().filter(|_| random.uniform() >= drop).collect();
        if kept.is_empty() { all.clone() } else { kept }
    }

    /// The loss, and its gradient for the logits, `[lines, classes]`.
    fn gradients(&self, shares: &Shares, targets: &[Target]) -> Result<(f64, Vec<f32>)> {
        let classes = self.shape.classes;
        let mut by_line = vec![Vec::new(); targets.len()];
        shares.iter().for_each(|&(row, line, share)| by_line[line as usize].push((row, share)));
        let mut logits = vec![0f32; targets.len() * classes];
        logits.par_chunks_mut(classes).zip(by_line).for_each(|(logits, rows)| {
            for (row, share) in rows {
                add_scaled(logits, share, &self.table[row as usize * classes..][..classes]);
            }
        });
        let loss = softmax_loss(&mut logits, &self.bias, targets, self.hyper.label_smoothing as f32)?;
        Ok((loss, logits))
    }

    /// Moves the bias and the rows that have a share.
    fn update(&mut self, shares: &Shares, logits: &[f32], rate: f64) {
        let classes = self.shape.classes;
        descend(&mut self.bias, &mut self.bias_seen, &column_sums(logits, classes), rate);
        // Each touched row with its sum, cut out of table and sums.
        let (mut table, mut seen, mut passed) = (&mut self.table[..], &mut self.seen[..], 0);
        let mut touched = Vec::new();
        for of_row in shares.chunk_by(|a, b| a.0 == b.0) {
            let row = of_row[0].0 as usize;
            let (_, rest) = std::mem::take(&mut table).split_at_mut((row - passed) * classes);
            let (values, rest) = rest.split_at_mut(classes);
            let (_, sums) = std::mem::take(&mut seen).split_at_mut(row - passed);
            let (sum, sums) = sums.split_at_mut(1);
            (table, seen, passed) = (rest, sums, row + 1);
            touched.push((of_row, values, sum));
        }
        touched.into_par_iter().for_each_init(
            || vec![0f32; classes],
            |gradient, (of_row, values, sum)| {
                row_gradient(of_row, logits, gradient);
                descend(values, &mut sum[0], gradient, rate);
            },
        );
    }
}

/// The gradient of a row from those of the logits of the lines that hold it.
fn row_gradient(of_row: &[(u32, u32, f32)], logits: &[f32], gradient: &mut [f32]) {
    gradient.fill(0.0);
    for &(_, line, share) in of_row {
        add_scaled(gradient, share, &logits[line as usize * gradient.len()..][..gradient.len()]);
    }
}

/// One step against the gradient, the shorter the more was seen.
fn descend(values: &mut [f32], seen: &mut f32, gradient: &[f32], rate: f64) {
    let sum = f64::from(*seen) + squares(gradient);
    *seen = sum as f32;
    add_scaled(values, (-rate / (sum.sqrt() + EPSILON)) as f32, gradient);
}

impl Learner for LinearNetwork<'_> {
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64> {
        let lines: Vec<Vec<u32>> = batch.iter().map(|&n| self.shown(n, random)).collect();
        let target = |&n: &usize| Target { class: self.train[n].class, weight: self.weights[n] };
        let targets: Vec<Target> = batch.iter().map(target).collect();
        let shares = shares(&lines);
        let (loss, logits) = self.gradients(&shares, &targets)?;
        self.update(&shares, &logits, rate);
        Ok(loss)
    }

    fn snapshot(&self) -> Result<Numbers> {
        Ok(vec![self.table.clone(), self.bias.clone()])
    }

    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>> {
        let shape = Shape::Linear(self.shape.clone());
        let parts = lines.par_chunks(EVALUATED_TOGETHER).map(|lines| {
            let lines: Vec<Line<'_>> = lines.iter().map(|line| Line { tokens: &[], grams: &line.grams }).collect();
            logits(&shape, weights, &lines)
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.concat())
    }

    fn state(&self) -> Result<Numbers> {
        Ok(vec![self.table.clone(), self.seen.clone(), self.bias.clone(), vec![self.bias_seen]])
    }

    fn restore(&mut self, state: Numbers) -> Result<()> {
        let lengths = [self.table.len(), self.seen.len(), self.bias.len(), 1];
        let four = <[Vec<f32>; 4]>::try_from(state).ok();
        let four = four.filter(|four| four.iter().map(Vec::len).eq(lengths));
        let Some([table, seen, bias, bias_seen]) = four else {
            return Err(Error::Bug("a checkpoint is of another shape".to_string()));
        };
        (self.table, self.seen, self.bias, self.bias_seen) = (table, seen, bias, bias_seen[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Grams;

    const CLASSES: usize = 4;

    fn shape() -> Linear {
        let grams = Grams { buckets: 9, shortest: 2, longest: 3, pairs: false, whole: false };
        Linear { grams, max_tokens: 9, classes: CLASSES }
    }

    /// The loss in f64, from the formulas alone.
    fn loss(table: &[f64], bias: &[f64], lines: &[Vec<u32>], targets: &[Target], e: f64) -> f64 {
        let (mut total, mut weights) = (0.0, 0.0);
        for (line, target) in lines.iter().zip(targets) {
            let root = (line.len().max(1) as f64).sqrt();
            let row = |class: usize| line.iter().map(|&id| table[id as usize * CLASSES + class]).sum::<f64>() / root;
            let logits: Vec<f64> = (0..CLASSES).map(|class| row(class) + bias[class]).collect();
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            for (class, z) in logits.iter().enumerate() {
                let right = if class as u32 == target.class { 1.0 - e } else { 0.0 };
                total -= f64::from(target.weight) * (right + e / CLASSES as f64) * (z.exp() / sum).ln();
            }
            weights += f64::from(target.weight);
        }
        total / weights
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (shape, hyper) = (shape(), Hyper { label_smoothing: 0.1, ..Hyper::default() });
        let mut network = LinearNetwork::new(&shape, &hyper, (&[], &[]));
        let mut random = Random::new(3, 0);
        network.table.iter_mut().chain(&mut network.bias).for_each(|x| *x = random.normal());
        let lines = vec![vec![0, 3, 3, 8], vec![1], vec![5, 4], vec![7, 0, 2], vec![]];
        let weights = [1.0, 0.5, 2.0, 1.0, 0.25];
        let target = |(n, weight)| Target { class: n as u32 % 4, weight };
        let targets: Vec<Target> = weights.into_iter().enumerate().map(target).collect();
        let shares = shares(&lines);
        let (found, logits) = network.gradients(&shares, &targets).unwrap();
        let mut all: Vec<f64> = network.table.iter().chain(&network.bias).map(|&x| x.into()).collect();
        let at_table = network.table.len();
        let plain = |all: &[f64]| loss(&all[..at_table], &all[at_table..], &lines, &targets, f64::from(0.1f32));
        assert!((found - plain(&all)).abs() < 1e-5);
        let mut gradient = vec![0f32; all.len()];
        for of_row in shares.chunk_by(|a, b| a.0 == b.0) {
            row_gradient(of_row, &logits, &mut gradient[of_row[0].0 as usize * CLASSES..][..CLASSES]);
        }
        gradient[at_table..].copy_from_slice(&column_sums(&logits, CLASSES));
        for (at, found) in gradient.into_iter().enumerate() {
            let before = all[at];
            let mut at_distance = |h: f64| {
                all[at] = before + h;
                let loss = plain(&all);
                all[at] = before;
                loss
            };
            let expected = (at_distance(1e-5) - at_distance(-1e-5)) / 2e-5;
            assert!((f64::from(found) - expected).abs() < 1e-5, "{at}: {found}, expected {expected}");
        }
    }

    #[test]
    fn a_step_is_as_long_as_the_rate_and_shorter_for_a_row_that_has_seen_more() {
        let (mut values, mut seen) = (vec![1.0f32, 1.0], 0.0);
        descend(&mut values, &mut seen, &[3.0, 4.0], 0.5);
        // 0.5 · (3, 4) / 5, then 0.5 · (12, 0) / 13.
        assert!((values[0] - 0.7).abs() < 1e-6 && (values[1] - 0.6).abs() < 1e-6 && seen == 25.0);
        descend(&mut values, &mut seen, &[12.0, 0.0], 0.5);
        assert!((f64::from(values[0]) - (0.7 - 6.0 / 13.0)).abs() < 1e-6 && (values[1] - 0.6).abs() < 1e-6);
        descend(&mut values, &mut 0.0, &[0.0, 0.0], 0.5);
        assert!(values.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn rows_that_no_line_holds_stay() {
        let (shape, hyper) = (shape(), Hyper::default());
        let mut network = LinearNetwork::new(&shape, &hyper, (&[], &[]));
        let shares = shares(&[vec![8, 2, 2]]);
        let (_, logits) = network.gradients(&shares, &[Target { class: 1, weight: 1.0 }]).unwrap();
        network.update(&shares, &logits, 0.5);
        for (row, values) in network.table.chunks_exact(CLASSES).enumerate() {
            assert_eq!(values.iter().any(|&x| x != 0.0), [2, 8].contains(&row), "{row}");
        }
    }
}
