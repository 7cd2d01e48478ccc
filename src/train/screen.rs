//! Fitting the screen: two small matrices whose softmax comes as close as can be to that of the output layer, so that the
//! engine scores all classes roughly through a few dimensions, and only the likely ones exactly.
//!
//! It starts from the directions in which the logits of the training lines vary most (found by subspace iteration, Golub
//! and Van Loan, "Matrix Computations", section 8.2) and then follows the divergence of Kullback and Leibler between the
//! two distributions, which cares for what is probable rather than for what varies. The same input gives the same bytes at
//! any number of threads.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::fit::Random;
use super::ops::{column_sums, exp};
use super::optimiser::{Dense, Step};
use crate::error::{Error, Result};
use crate::model::{Screen, Weights};

/// Dimensions of a screen if nothing else is said.
pub const DEFAULT_DIM: usize = 64;

/// Lines that a fit looks at, at most: their features are held at once.
pub const MAX_ROWS: usize = 1 << 15;

/// Lines that the start is computed from.
const START_ROWS: usize = 4096;
/// Rounds of subspace iteration.
const START_ROUNDS: usize = 6;
/// Lines of one step.
const BATCH_ROWS: usize = 256;
/// Passes over the lines.
const EPOCHS: usize = 10;
/// Learning rate at the start, as a share of the spread of the numbers it moves.
const RATE: f32 = 0.03;
/// Share of the features that a step leaves out, so that the screen also knows lines unlike those of the training.
const DROPOUT: f32 = 0.1;

/// The screen of `dim` dimensions for an output layer and the features of some lines, `[lines, features]`.
///
/// # Errors
/// `Bug` when the sizes do not fit.
pub fn fit(features: &[f32], weights: &Weights, dim: usize, seed: u64) -> Result<Screen> {
    let classes = weights.output_bias.len();
    let width = weights.output.len() / classes.max(1);
    if width == 0 || features.is_empty() || !features.len().is_multiple_of(width) {
        return Err(Error::Bug(format!("{} features for rows of {width}", features.len())));
    }
    // A softmax does not see what is added to all logits alike: without it there is less to learn.
    let (output, bias) = centred(&weights.output, &weights.output_bias);
    let output = Tensor::from_vec(output, (classes, width), &Device::Cpu)?.t()?.contiguous()?;
    let mut random = Random::new(seed, 1 << 40);
    let lines = features.len() / width;
    let (projection, back) = start(features, &output, dim, &mut random)?;
    let rates = [RATE * spread(&projection)?, RATE * spread(&back)?, RATE];
    let mut dense = [
        Dense::new(&projection, false)?,
        Dense::new(&back, false)?,
        Dense::new(&Tensor::from_slice(&bias, classes, &Device::Cpu)?, false)?,
    ];
    let mut order: Vec<usize> = (0..lines).collect();
    let steps = EPOCHS * lines.div_ceil(BATCH_ROWS);
    let mut step = 0;
    for _ in 0..EPOCHS {
        random.shuffle(&mut order);
        for batch in order.chunks(BATCH_ROWS) {
            let mut x = Vec::with_capacity(batch.len() * width);
            batch.iter().for_each(|&n| x.extend_from_slice(&features[n * width..(n + 1) * width]));
            x.iter_mut().for_each(|x| *x = if random.uniform() < DROPOUT { 0.0 } else { *x });
            let x = Tensor::from_vec(x, (batch.len(), width), &Device::Cpu)?;
            let gradients = gradients(&x, &output, &bias, &dense)?;
            let fall = 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / steps as f32).cos());
            for ((dense, gradient), rate) in dense.iter_mut().zip(&gradients).zip(rates) {
                dense.step(gradient, Step { rate: rate * fall, decay: 0.0, scale: 1.0 })?;
            }
            step += 1;
        }
    }
    let [projection, back, bias] = dense.map(|dense| dense.var.as_detached_tensor());
    let screen = Screen {
        projection: projection.t()?.contiguous()?.flatten_all()?.to_vec1()?,
        output: back.t()?.contiguous()?.flatten_all()?.to_vec1()?,
        bias: bias.to_vec1()?,
    };
    match screen.projection.iter().chain(&screen.output).chain(&screen.bias).all(|x| x.is_finite()) {
        true => Ok(screen),
        false => Err(Error::Usage("fitting the screen diverged; set screen_dim = 0 in the recipe".to_string())),
    }
}

/// Output rows and bias, less their mean over the classes.
fn centred(output: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (classes, width) = (bias.len(), output.len() / bias.len());
    let mean: Vec<f32> = column_sums(output, width).into_iter().map(|sum| sum / classes as f32).collect();
    let of_bias = bias.iter().sum::<f32>() / classes as f32;
    let output = output.chunks_exact(width).flat_map(|row| row.iter().zip(&mean).map(|(x, m)| x - m)).collect();
    (output, bias.iter().map(|b| b - of_bias).collect())
}

/// `[features, dim]` and `[dim, classes]` that keep most of the variance of the logits of some lines.
fn start(features: &[f32], output: &Tensor, dim: usize, random: &mut Random) -> Result<(Tensor, Tensor)> {
    let (width, classes) = output.dims2()?;
    // Evenly over all of them: files are often sorted.
    let stride = (features.len() / width).div_ceil(START_ROWS);
    let rows: Vec<f32> = features.chunks_exact(width).step_by(stride).flatten().copied().collect();
    let logits = Tensor::from_slice(&rows, (rows.len() / width, width), &Device::Cpu)?.matmul(output)?;
    let across = logits.t()?.contiguous()?;
    // Row by row `[dim, classes]`, so that a direction is a slice.
    let mut directions: Vec<f32> = (0..dim * classes).map(|_| random.normal()).collect();
    orthonormal(&mut directions, classes, random);
    for _ in 0..START_ROUNDS {
        let v = Tensor::from_slice(&directions, (dim, classes), &Device::Cpu)?.t()?.contiguous()?;
        let next = across.matmul(&logits.matmul(&v)?)?.t()?.contiguous()?;
        directions = next.flatten_all()?.to_vec1()?;
        orthonormal(&mut directions, classes, random);
    }
    let back = Tensor::from_vec(directions, (dim, classes), &Device::Cpu)?;
    let projection = output.matmul(&back.t()?.contiguous()?)?;
    Ok((projection, back))
}

/// Gram and Schmidt over rows, twice each, for the digits; a row that depends on those before it becomes a random one.
fn orthonormal(rows: &mut [f32], width: usize, random: &mut Random) {
    for n in 0..rows.len() / width {
        let (done, rest) = rows.split_at_mut(n * width);
        let row = &mut rest[..width];
        for attempt in 0..4 {
            for before in done.chunks_exact(width).chain(done.chunks_exact(width)) {
                let along: f64 = before.iter().zip(&*row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                row.iter_mut().zip(before).for_each(|(x, b)| *x -= along as f32 * b);
            }
            let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if norm > 1e-6 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
                break;
            }
            // With more dimensions than classes there is nothing left.
            row.fill_with(|| if attempt < 2 { random.normal() } else { 0.0 });
        }
    }
}

/// Standard deviation about 0; 1 for zeros.
fn spread(values: &Tensor) -> Result<f32> {
    let values = values.flatten_all()?.to_vec1::<f32>()?;
    let squares: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
    Ok(if squares > 0.0 { (squares / values.len() as f64).sqrt() as f32 } else { 1.0 })
}

/// Gradients of the mean divergence of a batch by projection, second matrix and bias.
fn gradients(x: &Tensor, output: &Tensor, bias: &[f32], dense: &[Dense; 3]) -> Result<[Tensor; 3]> {
    let [projection, back, own_bias] = dense;
    let (lines, classes) = (x.dim(0)?, bias.len());
    let exact = x.matmul(output)?.flatten_all()?.to_vec1::<f32>()?;
    let factors = x.matmul(projection.var.as_tensor())?;
    let mut rough = factors.matmul(back.var.as_tensor())?.flatten_all()?.to_vec1::<f32>()?;
    let own_bias = own_bias.var.to_vec1::<f32>()?;
    rough.par_chunks_mut(classes).zip(exact.par_chunks(classes)).for_each_init(
        || vec![0f32; classes],
        |target, (rough, exact)| {
            target.copy_from_slice(exact);
            softmax(target, bias);
            softmax(rough, &own_bias);
            rough.iter_mut().zip(&*target).for_each(|(p, q)| *p = (*p - q) / lines as f32);
        },
    );
    let of_bias = Tensor::from_vec(column_sums(&rough, classes), classes, &Device::Cpu)?;
    let rough = Tensor::from_vec(rough, (lines, classes), &Device::Cpu)?;
    let of_back = factors.t()?.matmul(&rough)?;
    let of_factors = rough.matmul(&back.var.as_tensor().t()?)?;
    Ok([x.t()?.matmul(&of_factors)?, of_back, of_bias])
}

/// `softmax(logits + bias)` in place.
fn softmax(logits: &mut [f32], bias: &[f32]) {
    let mut highest = f32::NEG_INFINITY;
    for (logit, bias) in logits.iter_mut().zip(bias) {
        *logit += bias;
        highest = highest.max(*logit);
    }
    let mut sum = 0f64;
    for part in logits.chunks_mut(64) {
        let mut of_part = 0f32;
        for logit in part {
            *logit = exp(*logit - highest);
            of_part += *logit;
        }
        sum += f64::from(of_part);
    }
    let scale = (1.0 / sum) as f32;
    logits.iter_mut().for_each(|p| *p *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Conv;

    /// Features of 600 lines, and an output layer of 90 classes that is of rank 6 but for a common part and a little noise.
    fn layer() -> (Vec<f32>, Weights) {
        let mut random = Random::new(4, 0);
        let (lines, width, classes, rank) = (600, 40, 90, 6);
        let features: Vec<f32> = (0..lines * width).map(|_| random.uniform()).collect();
        let a: Vec<f32> = (0..classes * rank).map(|_| random.normal() * 2.0).collect();
        let b: Vec<f32> = (0..rank * width).map(|_| random.normal()).collect();
        let common: Vec<f32> = (0..width).map(|_| random.normal() * 5.0).collect();
        let output = (0..classes * width).map(|at| {
            let (class, feature) = (at / width, at % width);
            let low: f32 = (0..rank).map(|r| a[class * rank + r] * b[r * width + feature]).sum();
            low + common[feature] + random.normal() * 0.05
        });
        let output = output.collect();
        let conv = Conv { width: 1, weight: vec![0.0; width], bias: vec![0.0; width] };
        let output_bias = (0..classes).map(|_| random.normal()).collect();
        let weights = Weights {
            embedding: vec![].into(),
            convs: vec![conv],
            output,
            output_bias,
            ranges: None,
            screen: None,
            bag: None,
        };
        (features, weights)
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_layer_of_low_rank_is_found_again() {
        let (features, weights) = layer();
        let screen = fit(&features, &weights, 8, 3).unwrap();
        let (mut worst, mut same) = (0f32, 0);
        for x in features.chunks_exact(40) {
            let mut exact: Vec<f32> = weights.output.chunks_exact(40).map(|row| dot(row, x)).collect();
            let factors: Vec<f32> = screen.projection.chunks_exact(40).map(|row| dot(row, x)).collect();
            let mut rough: Vec<f32> = screen.output.chunks_exact(8).map(|row| dot(row, &factors)).collect();
            softmax(&mut exact, &weights.output_bias);
            softmax(&mut rough, &screen.bias);
            let first = |p: &[f32]| (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
            same += usize::from(first(&exact) == first(&rough));
            exact.iter().zip(&rough).for_each(|(p, q)| worst = worst.max((p - q).abs()));
        }
        assert!(same > 540 && worst < 0.35, "{same} of 600 alike, probabilities off by {worst} at most");
    }

    #[test]
    fn the_same_lines_give_the_same_bytes_at_any_number_of_threads() {
        let (features, weights) = layer();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&features, &weights, 8, 3).unwrap())
        };
        let first = of(1);
        assert!(of(2) == first && of(3) == first);
    }

    #[test]
    fn more_dimensions_than_classes_are_no_trouble() {
        let (features, weights) = layer();
        let few = Weights { output: weights.output[..80].to_vec(), output_bias: vec![0.0; 2], ..weights.clone() };
        let screen = fit(&features[..40 * 3], &few, 8, 3).unwrap();
        assert_eq!((screen.projection.len(), screen.output.len(), screen.bias.len()), (8 * 40, 16, 2));
        assert!(fit(&features[..39], &weights, 8, 3).is_err());
    }
}
