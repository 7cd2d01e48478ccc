//! AdamW (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>, algorithm 2), in one pass over memory.
//!
//! [`Dense`] updates a whole tensor; [`Rows`] owns a table of which a batch touches a few rows, and updates only
//! those, each with its own step count. Every number is updated on its own, so threads cannot change a result.

use super::ops::slice;
use crate::error::{Error, Result};
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var, bail};
use rayon::prelude::*;
use std::sync::Mutex;

/// Decay of the first moment.
const BETA1: f32 = 0.9;
/// Decay of the second moment.
const BETA2: f32 = 0.98;
/// Keeps the division finite.
const EPSILON: f32 = 1e-8;
/// Numbers that one task updates.
const CHUNK: usize = 1 << 14;

/// Rows of a table that one task updates.
const BLOCK: usize = 1 << 9;

/// What all parameters of one step share.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Learning rate of this step.
    pub rate: f32,
    /// Decoupled weight decay, before the learning rate.
    pub decay: f32,
    /// Factor on every gradient, from clipping.
    pub scale: f32,
}

/// Factor that brings gradients of the norm `sqrt(squares)` down to `limit`; 1 if there is no limit.
pub fn clip(squares: f64, limit: Option<f64>) -> f32 {
    match limit {
        Some(limit) if squares > limit * limit => (limit / squares.sqrt()) as f32,
        _ => 1.0,
    }
}

/// Sum of squares, the same at any number of threads.
pub fn squares(values: &[f32]) -> f64 {
    let parts = values.par_chunks(CHUNK).map(|part| {
        let blocks = part.chunks(64).map(|block| f64::from(block.iter().map(|v| v * v).sum::<f32>()));
        blocks.sum::<f64>()
    });
    parts.collect::<Vec<f64>>().into_iter().sum()
}

/// First and second moments of some numbers.
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Moments {
    fn zeros(len: usize) -> Self {
        Moments { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// First and second moments of some numbers, as they are updated.
type Both<'a> = (&'a mut [f32], &'a mut [f32]);

/// The update of algorithm 2, lines 6 to 12, for step number `t ≥ 1`.
fn update(values: &mut [f32], gradients: &[f32], (first, second): Both<'_>, beta2: f32, t: u32, step: Step) {
    let t = t.min(i32::MAX as u32) as i32;
    let rate = step.rate / (1.0 - BETA1.powi(t));
    let correction = 1.0 / (1.0 - beta2.powi(t)).sqrt();
    let keep = 1.0 - step.rate * step.decay;
    let moments = first.iter_mut().zip(second);
    for ((value, gradient), (m, v)) in values.iter_mut().zip(gradients).zip(moments) {
        let gradient = gradient * step.scale;
        *m = BETA1 * *m + (1.0 - BETA1) * gradient;
        *v = beta2 * *v + (1.0 - beta2) * gradient * gradient;
        *value = *value * keep - rate * *m / (v.sqrt() * correction + EPSILON);
    }
}

fn other_shape() -> Error {
    Error::Bug("a checkpoint is of another shape".to_string())
}

/// The next four lists of a state.
pub fn next_four(lists: &mut impl Iterator<Item = Vec<f32>>) -> Result<[Vec<f32>; 4]> {
    let four: Vec<Vec<f32>> = lists.take(4).collect();
    four.try_into().map_err(|_| other_shape())
}

/// A tensor that every step updates.
pub struct Dense {
    /// The tensor itself.
    pub var: Var,
    /// Whether weight decay applies; not to biases.
    decays: bool,
    moments: Mutex<Moments>,
    steps: u32,
}

impl Dense {
    /// Starts with the values of `tensor`.
    pub fn new(tensor: &Tensor, decays: bool) -> Result<Self> {
        let moments = Mutex::new(Moments::zeros(tensor.elem_count()));
        Ok(Dense { var: Var::from_tensor(tensor)?, decays, moments, steps: 0 })
    }

    /// Values, moments and step count, to be taken up by `restore`.
    pub fn state(&self) -> Result<[Vec<f32>; 4]> {
        let Ok(moments) = self.moments.lock() else { return Err(Error::Bug("a step was broken off".to_string())) };
        let values = self.var.flatten_all()?.to_vec1::<f32>()?;
        Ok([values, moments.first.clone(), moments.second.clone(), vec![f32::from_bits(self.steps)]])
    }

    /// Takes up what `state` gave.
    pub fn restore(&mut self, [values, first, second, steps]: [Vec<f32>; 4]) -> Result<()> {
        let count = self.var.elem_count();
        let ([steps], true) = (&steps[..], [&values, &first, &second].iter().all(|list| list.len() == count)) else {
            return Err(other_shape());
        };
        self.var.set(&Tensor::from_vec(values, self.var.shape(), self.var.device())?)?;
        (self.moments, self.steps) = (Mutex::new(Moments { first, second }), steps.to_bits());
        Ok(())
    }

    /// One step with the gradient of [`Dense::var`].
    pub fn step(&mut self, gradient: &Tensor, step: Step) -> Result<()> {
        self.steps = self.steps.saturating_add(1);
        let decay = if self.decays { step.decay } else { 0.0 };
        let op = DenseStep { moments: &self.moments, t: self.steps, step: Step { decay, ..step } };
        Ok(self.var.inplace_op2(&gradient.contiguous()?, &op)?)
    }
}

struct DenseStep<'a> {
    moments: &'a Mutex<Moments>,
    t: u32,
    step: Step,
}

impl InplaceOp2 for DenseStep<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> candle_core::Result<()> {
        let gradients = slice(s2, l2)?;
        let (CpuStorage::F32(values), Some((start, end))) = (s1, l1.contiguous_offsets()) else {
            bail!("adamw: a contiguous f32 tensor is needed");
        };
        let Ok(mut moments) = self.moments.lock() else { bail!("adamw: an earlier step was broken off") };
        if gradients.len() != end - start || gradients.len() != moments.first.len() {
            bail!("adamw: {} gradients for {} values", gradients.len(), end - start);
        }
        let Moments { first, second } = &mut *moments;
        values[start..end]
            .par_chunks_mut(CHUNK)
            .zip(gradients.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
            .for_each(|((values, gradients), (m, v))| update(values, gradients, (m, v), BETA2, self.t, self.step));
        Ok(())
    }
}

/// A table of which a step touches a few rows.
pub struct Rows {
    /// `[rows, dim] f32`.
    pub values: Vec<f32>,
    dim: usize,
    moments: Moments,
    /// Decay of the second moment.
    beta2: f32,
    /// Steps that touched each row.
    steps: Vec<u32>,
}

impl Rows {
    /// Starts with `values` of rows of `dim` numbers.
    pub fn new(values: Vec<f32>, dim: usize) -> Self {
        let (moments, steps) = (Moments::zeros(values.len()), vec![0; values.len() / dim.max(1)]);
        Rows { values, dim, moments, beta2: BETA2, steps }
    }

    /// The same with another decay of the second moment. A long memory keeps rows still whose lines are learned: what is left of
    /// their gradients is small beside those of the beginning.
    pub fn remembering(self, beta2: f32) -> Self {
        Rows { beta2, ..self }
    }

    /// Values, moments and step counts, to be taken up by `restore`.
    pub fn state(&self) -> [Vec<f32>; 4] {
        let steps = self.steps.iter().map(|&steps| f32::from_bits(steps)).collect();
        [self.values.clone(), self.moments.first.clone(), self.moments.second.clone(), steps]
    }

    /// Takes up what `state` gave.
    pub fn restore(&mut self, [values, first, second, steps]: [Vec<f32>; 4]) -> Result<()> {
        let count = self.values.len();
        if steps.len() != self.steps.len() || [&values, &first, &second].iter().any(|list| list.len() != count) {
            return Err(other_shape());
        }
        (self.values, self.moments) = (values, Moments { first, second });
        self.steps = steps.into_iter().map(f32::to_bits).collect();
        Ok(())
    }

    /// The rows with these ids, `[ids, dim] f32`.
    pub fn gather(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(ids.len() * self.dim);
        for &id in ids {
            let row = self.values.get(id as usize * self.dim..(id as usize + 1) * self.dim);
            rows.extend_from_slice(row.ok_or_else(|| Error::Bug(format!("row {id} is not in the table")))?);
        }
        Ok(rows)
    }

    /// One step of the rows `ids`, each named once, with their gradients `[ids, dim]`.
    pub fn step(&mut self, ids: &[u32], gradients: &[f32], step: Step) -> Result<()> {
        if gradients.len() != ids.len() * self.dim || ids.iter().any(|&id| id as usize >= self.steps.len()) {
            return Err(Error::Bug(format!("{} gradients for {} rows", gradients.len(), ids.len())));
        }
        let (dim, beta2) = (self.dim, self.beta2);
        // Each task has rows of its own.
        let mut places = vec![Vec::new(); self.steps.len().div_ceil(BLOCK)];
        ids.iter().enumerate().for_each(|(place, &id)| places[id as usize / BLOCK].push((place, id as usize % BLOCK)));
        let Moments { first, second } = &mut self.moments;
        let moments = first.par_chunks_mut(BLOCK * dim).zip(second.par_chunks_mut(BLOCK * dim));
        let rows = self.values.par_chunks_mut(BLOCK * dim).zip(self.steps.par_chunks_mut(BLOCK));
        rows.zip(moments).zip(places).for_each(|(((values, steps), (first, second)), places)| {
            for (place, row) in places {
                let range = row * dim..(row + 1) * dim;
                steps[row] = steps[row].saturating_add(1);
                let gradients = &gradients[place * dim..(place + 1) * dim];
                let moments = (&mut first[range.clone()], &mut second[range.clone()]);
                update(&mut values[range], gradients, moments, beta2, steps[row], step);
            }
        });
        Ok(())
    }
}

/// Exponential moving average of some numbers (Polyak averaging).
pub struct Average(pub Vec<f32>);

impl Average {
    /// Moves towards `values` by `1 - decay`.
    pub fn follow(&mut self, values: &[f32], decay: f32) {
        let pairs = self.0.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK));
        pairs.for_each(|(average, values)| {
            average.iter_mut().zip(values).for_each(|(a, v)| *a = decay * *a + (1.0 - decay) * v);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const STEP: Step = Step { rate: 0.1, decay: 0.5, scale: 1.0 };

    /// Algorithm 2 in f64, one number.
    fn expected(mut x: f64, gradients: &[f64], step: Step) -> f64 {
        let (mut m, mut v) = (0.0, 0.0);
        let (b1, b2, rate, decay) = (0.9f64, 0.98f64, f64::from(step.rate), f64::from(step.decay));
        for (t, g) in gradients.iter().enumerate() {
            let t = t as i32 + 1;
            m = b1 * m + (1.0 - b1) * g;
            v = b2 * v + (1.0 - b2) * g * g;
            let (m_hat, v_hat) = (m / (1.0 - b1.powi(t)), v / (1.0 - b2.powi(t)));
            x -= rate * (m_hat / (v_hat.sqrt() + 1e-8) + decay * x);
        }
        x
    }

    #[test]
    fn dense_steps_follow_the_algorithm() {
        let mut dense = Dense::new(&Tensor::new(&[1f32, -2.0], &Device::Cpu).unwrap(), true).unwrap();
        for gradient in [[0.5f32, -1.0], [0.25, 2.0], [-4.0, 0.0]] {
            dense.step(&Tensor::new(&gradient, &Device::Cpu).unwrap(), STEP).unwrap();
        }
        let values = dense.var.to_vec1::<f32>().unwrap();
        assert!((f64::from(values[0]) - expected(1.0, &[0.5, 0.25, -4.0], STEP)).abs() < 1e-6);
        assert!((f64::from(values[1]) - expected(-2.0, &[-1.0, 2.0, 0.0], STEP)).abs() < 1e-6);
    }

    #[test]
    fn rows_that_are_not_named_stay_and_do_not_age() {
        let mut rows = Rows::new(vec![1.0, -2.0, 3.0], 1);
        rows.step(&[0, 2], &[0.5, 1.0], STEP).unwrap();
        rows.step(&[2], &[-1.0], STEP).unwrap();
        rows.step(&[0], &[0.25], STEP).unwrap();
        let expected = [expected(1.0, &[0.5, 0.25], STEP), -2.0, expected(3.0, &[1.0, -1.0], STEP)];
        for (found, expected) in rows.values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6);
        }
        assert!(rows.step(&[3], &[1.0], STEP).is_err());
    }

    #[test]
    fn clipping_limits_the_norm() {
        assert_eq!(squares(&[3.0, 4.0]), 25.0);
        assert_eq!(clip(25.0, Some(1.0)), 0.2);
        assert_eq!(clip(25.0, Some(6.0)), 1.0);
        assert_eq!(clip(25.0, None), 1.0);
    }
}
