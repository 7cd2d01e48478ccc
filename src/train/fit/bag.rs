//! The averaged n-grams while they are trained: rows of a table, their mean, a rectifier and an output layer of their own. After
//! Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", with a rectifier, so that the engine has features of
//! one sort.

use super::network::{dropout_mask, tensor, with_slice};
use super::random::Random;
use super::{BagHyper, Example, Learner, Numbers};
use crate::error::{Error, Result};
use crate::train::ops::{Target, column_sums, softmax_loss};
use crate::train::optimiser::{Dense, Rows, Step, clip, next_four, squares};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::collections::HashMap;

/// Standard deviation of the table at the start: the mean of dozens of rows is still of order 0.1.
const SPREAD: f32 = 0.4;

/// Decay of the second moment of the table's rows.
const MEMORY: f32 = 0.999;

/// All parameters and their optimiser's state.
pub(super) struct BagNetwork<'a> {
    dim: usize,
    classes: usize,
    hyper: &'a BagHyper,
    clip_norm: Option<f64>,
    train: &'a [Example],
    /// Of the training examples, with mean 1.
    weights: &'a [f32],
    table: Rows,
    /// Bias, output, output bias.
    dense: Vec<Dense>,
}

/// Parameters at one moment.
pub(super) struct BagWeights {
    /// `[buckets, dim]`.
    pub(super) table: Vec<f32>,
    /// `[dim]`.
    pub(super) bias: Vec<f32>,
    /// `[dim, classes]`.
    pub(super) output: Vec<f32>,
    /// `[classes]`.
    pub(super) output_bias: Vec<f32>,
}

impl BagWeights {
    /// From what a snapshot holds: table, bias, output, output bias.
    pub(super) fn of(values: Numbers) -> Result<BagWeights> {
        match <[Vec<f32>; 4]>::try_from(values) {
            Ok([table, bias, output, output_bias]) => Ok(BagWeights { table, bias, output, output_bias }),
            Err(_) => Err(Error::Bug("a parameter of the n-grams is missing".to_string())),
        }
    }
}

/// The distinct rows of a batch, and for every line the places of its n-grams among them.
struct Distinct {
    ids: Vec<u32>,
    lines: Vec<Vec<u32>>,
}

fn distinct<'e>(lines: impl Iterator<Item = &'e [u32]>) -> Distinct {
    let (mut ids, mut places) = (Vec::new(), HashMap::new());
    let lines = lines
        .map(|line| {
            let place = |&id: &u32| {
                *places.entry(id).or_insert_with(|| {
                    ids.push(id);
                    (ids.len() - 1) as u32
                })
            };
            line.iter().map(place).collect()
        })
        .collect();
    Distinct { ids, lines }
}

/// The lines that hold each of the distinct rows, in their order, as often as they hold it.
fn holders(lines: &[Vec<u32>], rows: usize) -> Vec<Vec<u32>> {
    let mut holders = vec![Vec::new(); rows];
    for (n, line) in lines.iter().enumerate() {
        line.iter().for_each(|&place| holders[place as usize].push(n as u32));
    }
    holders
}

/// `relu(mean of the rows + bias)` of every line, `[lines, dim]`.
fn features(lines: &[Vec<u32>], rows: &[f32], bias: &[f32]) -> Vec<f32> {
    let dim = bias.len();
    let mut out = vec![0f32; lines.len() * dim];
    out.par_chunks_mut(dim).zip(lines).for_each(|(out, line)| {
        for &place in line {
            let row = &rows[place as usize * dim..][..dim];
            out.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        let share = 1.0 / line.len().max(1) as f32;
        out.iter_mut().zip(bias).for_each(|(x, bias)| *x = (*x * share + bias).max(0.0));
    });
    out
}

pub(super) struct Gradients {
    loss: f64,
    ids: Vec<u32>,
    /// `[ids, dim]`.
    rows: Vec<f32>,
    /// In the order of [`BagNetwork::dense`].
    dense: Vec<Tensor>,
}

impl<'a> BagNetwork<'a> {
    pub(super) fn new(
        (buckets, dim, classes): (usize, usize, usize),
        (hyper, clip_norm): (&'a BagHyper, Option<f64>),
        (train, weights): (&'a [Example], &'a [f32]),
        random: &mut Random,
    ) -> Result<Self> {
        let table = (0..buckets * dim).map(|_| random.normal() * SPREAD).collect();
        let spread = 1.0 / (dim as f32).sqrt();
        let output: Vec<f32> = (0..dim * classes).map(|_| random.normal() * spread).collect();
        let zeros = |len: usize| Tensor::zeros(len, DType::F32, &Device::Cpu);
        let dense = vec![
            Dense::new(&zeros(dim)?, false)?,
            Dense::new(&tensor(output, dim)?, true)?,
            Dense::new(&zeros(classes)?, false)?,
        ];
        Ok(BagNetwork {
            dim,
            classes,
            hyper,
            clip_norm,
            train,
            weights,
            table: Rows::new(table, dim).remembering(MEMORY),
            dense,
        })
    }

    /// Loss and gradients of one batch.
    fn gradients(&self, lines: &[&[u32]], targets: &[Target], keep: &[f32]) -> Result<Gradients> {
        let ahead = self.ahead(lines, keep)?;
        let mut logits = ahead.logits()?;
        let smoothing = self.hyper.label_smoothing as f32;
        let loss = with_slice(self.output_bias(), |bias| softmax_loss(&mut logits, bias, targets, smoothing))??;
        self.back(ahead, keep, logits, loss)
    }

    /// Bias of the output layer.
    pub(super) fn output_bias(&self) -> &Tensor {
        &self.dense[2].var
    }

    /// The way to the logits of a batch, without the output bias; `keep` is the dropout mask.
    pub(super) fn ahead(&self, lines: &[&[u32]], keep: &[f32]) -> Result<Ahead> {
        let distinct = distinct(lines.iter().copied());
        let rows = self.table.gather(&distinct.ids)?;
        let dense: Vec<Tensor> = self.dense.iter().map(|dense| dense.var.as_detached_tensor()).collect();
        let hidden = with_slice(&dense[0], |bias| features(&distinct.lines, &rows, bias))?;
        let dropped: Vec<f32> = hidden.iter().zip(keep).map(|(x, keep)| x * keep).collect();
        let dropped = tensor(dropped, lines.len())?;
        let logits = dropped.matmul(&dense[1])?;
        Ok(Ahead { distinct, numbers: rows.len(), dense, hidden, dropped, logits })
    }

    /// The way back from the gradient of the logits, `[lines, classes]`.
    pub(super) fn back(&self, ahead: Ahead, keep: &[f32], logits: Vec<f32>, loss: f64) -> Result<Gradients> {
        let Ahead { distinct: Distinct { ids, lines }, numbers, dense, hidden, dropped, .. } = ahead;
        let output_bias = Tensor::from_vec(column_sums(&logits, self.classes), self.classes, &Device::Cpu)?;
        let logits = tensor(logits, lines.len())?;
        let output = dropped.t()?.matmul(&logits)?;
        let mut back = logits.matmul(&dense[1].t()?)?.flatten_all()?.to_vec1::<f32>()?;
        for ((gradient, keep), hidden) in back.iter_mut().zip(keep).zip(&hidden) {
            *gradient = if *hidden > 0.0 { *gradient * keep } else { 0.0 };
        }
        let bias = Tensor::from_vec(column_sums(&back, self.dim), self.dim, &Device::Cpu)?;
        let mut of_rows = vec![0f32; numbers];
        let shares: Vec<f32> = lines.iter().map(|line| 1.0 / line.len().max(1) as f32).collect();
        // A line's gradient goes to each of its n-grams; a row takes lines in their order, so threads change nothing.
        of_rows.par_chunks_mut(self.dim).zip(holders(&lines, ids.len())).for_each(|(row, lines)| {
            for line in lines {
                let gradient = &back[line as usize * self.dim..][..self.dim];
                row.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g * shares[line as usize]);
            }
        });
        Ok(Gradients { loss, ids, rows: of_rows, dense: vec![bias, output, output_bias] })
    }

    /// Moves every parameter by its gradient.
    pub(super) fn apply(&mut self, found: &Gradients, rate: f64, scale: f32) -> Result<()> {
        let step = Step { rate: rate as f32, decay: self.hyper.weight_decay as f32, scale };
        for (dense, gradient) in self.dense.iter_mut().zip(&found.dense) {
            dense.step(gradient, step)?;
        }
        let rate = (rate * self.hyper.row_rate_ratio) as f32;
        self.table.step(&found.ids, &found.rows, Step { rate, decay: 0.0, scale })
    }

    /// N-grams, targets and dropout mask of a batch.
    pub(super) fn shown(&self, batch: &[usize], random: &mut Random) -> (Vec<&'a [u32]>, Vec<Target>, Vec<f32>) {
        let lines: Vec<&[u32]> = batch.iter().map(|&n| self.train[n].grams.as_slice()).collect();
        let target = |&n: &usize| Target { class: self.train[n].class, weight: self.weights[n] };
        let targets = batch.iter().map(target).collect();
        let keep = dropout_mask(lines.len() * self.dim, self.hyper.dropout as f32, random);
        (lines, targets, keep)
    }
}

/// A batch on its way to the logits, with what the way back needs.
pub(super) struct Ahead {
    distinct: Distinct,
    /// Of the distinct rows.
    numbers: usize,
    dense: Vec<Tensor>,
    /// Features, before and after dropout.
    hidden: Vec<f32>,
    dropped: Tensor,
    logits: Tensor,
}

impl Ahead {
    /// `[lines, classes]`, without the output bias.
    pub(super) fn logits(&self) -> Result<Vec<f32>> {
        Ok(self.logits.flatten_all()?.to_vec1::<f32>()?)
    }
}

impl Gradients {
    /// The sum of their squares.
    pub(super) fn squares(&self) -> Result<f64> {
        let mut sum = squares(&self.rows);
        for gradient in &self.dense {
            sum += with_slice(gradient, squares)?;
        }
        Ok(sum)
    }
}

impl Learner for BagNetwork<'_> {
    fn step(&mut self, batch: &[usize], rate: f64, random: &mut Random) -> Result<f64> {
        let (lines, targets, keep) = self.shown(batch, random);
        let found = self.gradients(&lines, &targets, &keep)?;
        let scale = clip(found.squares()?, self.clip_norm);
        self.apply(&found, rate, scale)?;
        Ok(found.loss)
    }

    fn snapshot(&self) -> Result<Numbers> {
        let mut lists = vec![self.table.values.clone()];
        for dense in &self.dense {
            lists.push(dense.var.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(lists)
    }

    fn logits(&self, weights: &Numbers, lines: &[Example]) -> Result<Vec<f32>> {
        let [table, bias, output, output_bias] = &weights[..] else {
            return Err(Error::Bug("a parameter of the n-grams is missing".to_string()));
        };
        let Distinct { ids, lines } = distinct(lines.iter().map(|line| line.grams.as_slice()));
        let rows: Vec<f32> = ids.iter().flat_map(|&id| &table[id as usize * self.dim..][..self.dim]).copied().collect();
        let hidden = tensor(features(&lines, &rows, bias), lines.len())?;
        let output = Tensor::from_slice(output, (self.dim, self.classes), &Device::Cpu)?;
        let output_bias = Tensor::from_slice(output_bias, self.classes, &Device::Cpu)?;
        Ok(hidden.matmul(&output)?.broadcast_add(&output_bias)?.flatten_all()?.to_vec1::<f32>()?)
    }

    fn state(&self) -> Result<Numbers> {
        let mut lists: Numbers = self.table.state().into();
        for dense in &self.dense {
            lists.extend(dense.state()?);
        }
        Ok(lists)
    }

    fn restore(&mut self, state: Numbers) -> Result<()> {
        let mut lists = state.into_iter();
        self.table.restore(next_four(&mut lists)?)?;
        self.dense.iter_mut().try_for_each(|dense| dense.restore(next_four(&mut lists)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYPER: BagHyper = BagHyper {
        members: 1,
        plain_members: 0,
        plain_weight: 0.5,
        together: false,
        epochs: 1,
        learning_rate: 0.01,
        row_rate_ratio: 1.0,
        weight_decay: 0.0,
        dropout: 0.2,
        label_smoothing: 0.1,
        weight: 1.0,
    };

    /// The loss in f64, from the formulas alone.
    fn loss(table: &[f64], dense: &[Vec<f64>], lines: &[&[u32]], targets: &[Target], keep: &[f32]) -> f64 {
        let (dim, classes) = (dense[0].len(), dense[2].len());
        let (mut total, mut weights) = (0.0, 0.0);
        for ((line, target), keep) in lines.iter().zip(targets).zip(keep.chunks_exact(dim)) {
            let mean =
                |d: usize| line.iter().map(|&id| table[id as usize * dim + d]).sum::<f64>() / line.len().max(1) as f64;
            let hidden: Vec<f64> = (0..dim).map(|d| (mean(d) + dense[0][d]).max(0.0) * f64::from(keep[d])).collect();
            let logit = |c: usize| (0..dim).map(|d| hidden[d] * dense[1][d * classes + c]).sum::<f64>() + dense[2][c];
            let logits: Vec<f64> = (0..classes).map(logit).collect();
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            let e = HYPER.label_smoothing;
            for (c, z) in logits.iter().enumerate() {
                let right = if c as u32 == target.class { 1.0 - e } else { 0.0 };
                total -= f64::from(target.weight) * (right + e / classes as f64) * (z.exp() / sum).ln();
            }
            weights += f64::from(target.weight);
        }
        total / weights
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (buckets, dim, classes) = (9, 5, 4);
        let mut random = Random::new(3, 0);
        let network = BagNetwork::new((buckets, dim, classes), (&HYPER, None), (&[], &[]), &mut random).unwrap();
        let lines: [&[u32]; 4] = [&[0, 3, 3, 8], &[1], &[5, 4], &[7, 0, 2]];
        let targets: Vec<Target> = [1.0, 0.5, 2.0, 1.0]
            .into_iter()
            .enumerate()
            .map(|(n, weight)| Target { class: n as u32, weight })
            .collect();
        let keep = dropout_mask(lines.len() * dim, 0.2, &mut random);
        let found = network.gradients(&lines, &targets, &keep).unwrap();
        let mut table: Vec<f64> = network.table.values.iter().map(|&x| x.into()).collect();
        let mut dense: Vec<Vec<f64>> = network
            .dense
            .iter()
            .map(|d| d.var.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect())
            .collect();
        assert!((found.loss - loss(&table, &dense, &lines, &targets, &keep)).abs() < 1e-5);
        let near =
            |found: f32, up: f64, down: f64| assert!((f64::from(found) - (up - down) / 2e-5).abs() < 2e-4, "{found}");
        for at in 0..table.len() {
            let (id, d) = (at / dim, at % dim);
            let place = found.ids.iter().position(|&i| i as usize == id);
            let before = table[at];
            table[at] = before + 1e-5;
            let up = loss(&table, &dense, &lines, &targets, &keep);
            table[at] = before - 1e-5;
            let down = loss(&table, &dense, &lines, &targets, &keep);
            table[at] = before;
            near(place.map_or(0.0, |place| found.rows[place * dim + d]), up, down);
        }
        for n in 0..dense.len() {
            let gradient = found.dense[n].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for at in 0..dense[n].len() {
                let before = dense[n][at];
                dense[n][at] = before + 1e-5;
                let up = loss(&table, &dense, &lines, &targets, &keep);
                dense[n][at] = before - 1e-5;
                let down = loss(&table, &dense, &lines, &targets, &keep);
                dense[n][at] = before;
                near(gradient[at], up, down);
            }
        }
    }
}
