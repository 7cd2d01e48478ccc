//! The two operations of the network that candle lacks or gets wrong, fused, with their gradients.
//!
//! They work on the numbers of contiguous tensors; the products between them are candle's. Their gradients are
//! written out, and so is the chain of the network, because candle's `backward` adds every gradient to a tensor of
//! zeros, which for matrices of this size takes longer than the product itself.
//!
//! [`WindowMax`] stands for convolution and maximum over time: candle 0.11's own `conv1d` gives wrong gradients for
//! batches larger than 1. Because a convolution over embeddings is linear in every token, the product of the
//! batch's distinct tokens with all kernels is one matrix product, and what is left for a window are additions.
//! No line is padded, so neither batch nor neighbours can reach a line's numbers.
//!
//! Sums that cross lines are taken in a fixed order: the same numbers at any number of threads.

use crate::error::{Error, Result};
pub(super) use crate::model::nets::{column_sums, exp};
use candle_core::{CpuStorage, Layout};
use rayon::prelude::*;

/// In the place of a window start: the maximum was the window on padding.
const NO_WINDOW: u16 = u16::MAX;

/// Longest line in tokens that [`WindowMax`] can address.
pub const MAX_LINE_TOKENS: usize = NO_WINDOW as usize;

/// Token rows of a batch of lines, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    rows: Vec<u32>,
    ends: Vec<usize>,
}

impl Lines {
    /// Appends a line by the rows of its tokens; at most [`MAX_LINE_TOKENS`] of them are kept.
    pub fn push(&mut self, rows: impl Iterator<Item = u32>) {
        self.rows.extend(rows.take(MAX_LINE_TOKENS));
        self.ends.push(self.rows.len());
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn line(&self, index: usize) -> &[u32] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.rows[start..self.ends[index]]
    }
}

/// `relu(max(0, max_p Σ_j products[row(p + j), j, f]) + bias[f])` for every line, width and filter.
///
/// Products are `[distinct tokens, Σ widths × filters] f32`, whose columns run over widths, offsets in the window
/// and filters; bias is `[widths × filters] f32`. The gradient goes only through the first window that reached the
/// maximum.
pub struct WindowMax<'a> {
    lines: Lines,
    widths: &'a [usize],
    filters: usize,
}

/// What [`WindowMax::forward`] found.
pub struct Maxima {
    /// `[lines, widths × filters]`.
    pub features: Vec<f32>,
    /// Window start of every feature, for the way back.
    starts: Vec<u16>,
}

impl<'a> WindowMax<'a> {
    /// The operation for one batch.
    pub fn new(lines: Lines, widths: &'a [usize], filters: usize) -> Self {
        WindowMax { lines, widths, filters }
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Features of all lines.
    pub fn forward(&self, products: &[f32], bias: &[f32]) -> Result<Maxima> {
        let distinct = self.lines.rows.iter().max().map_or(0, |&row| row as usize + 1);
        if products.len() < distinct * self.columns() || bias.len() != self.features() {
            return Err(Error::Bug(format!("{} products for {distinct} distinct tokens", products.len())));
        }
        let size = self.features();
        let mut features = vec![0f32; self.lines.len() * size];
        let mut starts = vec![NO_WINDOW; features.len()];
        features.par_chunks_mut(size).zip(starts.par_chunks_mut(size)).enumerate().for_each(|(n, (line, starts))| {
            self.line(self.lines.line(n), products, bias, line, starts);
        });
        Ok(Maxima { features, starts })
    }

    /// Gradients of products and bias from those of the features, `[lines, widths × filters]`, which are set to 0
    /// where relu was closed. `products` is the length of what [`WindowMax::forward`] was given.
    pub fn backward(&self, found: &Maxima, gradients: &mut [f32], products: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        if gradients.len() != found.features.len() {
            return Err(Error::Bug(format!("{} gradients for {} features", gradients.len(), found.features.len())));
        }
        let size = self.features();
        let mut bias_gradient = vec![0f32; size];
        let mut product_gradient = vec![0f32; products];
        for (n, (line, features)) in gradients.chunks_exact_mut(size).zip(found.features.chunks_exact(size)).enumerate()
        {
            for ((gradient, feature), sum) in line.iter_mut().zip(features).zip(&mut bias_gradient) {
                *gradient = if *feature > 0.0 { *gradient } else { 0.0 };
                *sum += *gradient;
            }
            self.spread(self.lines.line(n), &found.starts[n * size..][..size], line, &mut product_gradient);
        }
        Ok((product_gradient, bias_gradient))
    }

    fn features(&self) -> usize {
        self.widths.len() * self.filters
    }

    fn columns(&self) -> usize {
        self.widths.iter().sum::<usize>() * self.filters
    }

    /// Features and window starts of one line.
    fn line(&self, tokens: &[u32], products: &[f32], bias: &[f32], features: &mut [f32], starts: &mut [u16]) {
        let columns = self.columns();
        let mut sums = vec![0f32; self.filters];
        let mut first_column = 0;
        let outputs = features.chunks_exact_mut(self.filters).zip(starts.chunks_exact_mut(self.filters));
        for ((&width, bias), (best, starts)) in self.widths.iter().zip(bias.chunks_exact(self.filters)).zip(outputs) {
            best.fill(0.0);
            starts.fill(NO_WINDOW);
            for start in 0..tokens.len() {
                for (offset, &row) in tokens[start..].iter().take(width).enumerate() {
                    let at = row as usize * columns + first_column + offset * self.filters;
                    let addends = &products[at..at + self.filters];
                    if offset == 0 {
                        sums.copy_from_slice(addends);
                    } else {
                        sums.iter_mut().zip(addends).for_each(|(sum, addend)| *sum += addend);
                    }
                }
                for ((sum, best), at) in sums.iter().zip(best.iter_mut()).zip(starts.iter_mut()) {
                    let higher = sum > best;
                    *best = if higher { *sum } else { *best };
                    *at = if higher { start as u16 } else { *at };
                }
            }
            best.iter_mut().zip(bias).for_each(|(best, bias)| *best = (*best + bias).max(0.0));
            first_column += width * self.filters;
        }
    }

    /// Spreads the gradients of one line's features over the products of its tokens.
    fn spread(&self, tokens: &[u32], starts: &[u16], gradients: &[f32], products: &mut [f32]) {
        let columns = self.columns();
        let mut first_column = 0;
        let per_width = starts.chunks_exact(self.filters).zip(gradients.chunks_exact(self.filters));
        for (&width, (starts, gradients)) in self.widths.iter().zip(per_width) {
            for (filter, (&start, &gradient)) in starts.iter().zip(gradients).enumerate() {
                if start == NO_WINDOW || gradient == 0.0 {
                    continue;
                }
                for (offset, &row) in tokens[start as usize..].iter().take(width).enumerate() {
                    products[row as usize * columns + first_column + offset * self.filters + filter] += gradient;
                }
            }
            first_column += width * self.filters;
        }
    }
}

/// What an example should be answered with, and how much it counts.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The right class.
    pub class: u32,
    /// Weight in the mean.
    pub weight: f32,
}

/// Weighted mean cross-entropy of `softmax(logits + bias)` with smoothed targets (Szegedy et al. 2016,
/// <https://arxiv.org/abs/1512.00567>, section 7): `q = (1 - ε) onehot(class) + ε / classes`.
///
/// Gives the loss; `logits`, `[lines, classes]`, become its gradient.
pub fn softmax_loss(logits: &mut [f32], bias: &[f32], targets: &[Target], smoothing: f32) -> Result<f64> {
    let known = targets.iter().all(|target| (target.class as usize) < bias.len());
    if logits.len() != targets.len() * bias.len() || !known {
        return Err(Error::Bug(format!("{} logits for {} targets", logits.len(), targets.len())));
    }
    let total: f64 = targets.iter().map(|target| f64::from(target.weight)).sum();
    let lines = logits.par_chunks_mut(bias.len()).zip(targets);
    let losses = lines.map(|(line, target)| {
        let share = (f64::from(target.weight) / total) as f32;
        line_loss(target.class as usize, share, smoothing, bias, line)
    });
    // Collected first, so that the sum has one order.
    Ok(losses.collect::<Vec<f64>>().into_iter().sum())
}

/// Loss of one line; its logits become their gradient, both times `share`.
fn line_loss(class: usize, share: f32, smoothing: f32, bias: &[f32], logits: &mut [f32]) -> f64 {
    let mut highest = f32::NEG_INFINITY;
    for (logit, bias) in logits.iter_mut().zip(bias) {
        *logit += bias;
        highest = highest.max(*logit);
    }
    let even = smoothing / logits.len() as f32;
    let right = f64::from(logits[class] - highest);
    let (mut sum, mut all) = (0f64, 0f64);
    for logit in logits.chunks_mut(64) {
        let (mut part, mut part_all) = (0f32, 0f32);
        for logit in logit {
            let below = *logit - highest;
            part_all += below;
            *logit = exp(below);
            part += *logit;
        }
        sum += f64::from(part);
        all += f64::from(part_all);
    }
    let scale = share / sum as f32;
    let offset = even * share;
    logits.iter_mut().for_each(|p| *p = *p * scale - offset);
    logits[class] -= (1.0 - smoothing) * share;
    let expected = f64::from(1.0 - smoothing) * right + f64::from(even) * all;
    f64::from(share) * (sum.ln() - expected)
}

/// The numbers of a contiguous f32 tensor.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a contiguous f32 tensor is needed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_even_logits_is_the_logarithm_of_the_classes() {
        let targets = [Target { class: 1, weight: 1.0 }, Target { class: 3, weight: 3.0 }];
        let mut logits = [0f32; 8];
        let loss = softmax_loss(&mut logits, &[0.0; 4], &targets, 0.0).unwrap();
        assert!((loss - 4f64.ln()).abs() < 1e-6);
        // softmax - onehot, times the line's share of the weight.
        assert_eq!(logits, [0.0625, -0.1875, 0.0625, 0.0625, 0.1875, 0.1875, 0.1875, -0.5625]);
        assert_eq!(column_sums(&logits, 4), [0.25, 0.0, 0.25, -0.5]);
    }

    #[test]
    fn operations_refuse_what_does_not_fit() {
        let mut lines = Lines::default();
        lines.push([0, 5].into_iter());
        assert!(WindowMax::new(lines, &[1], 3).forward(&[0.0; 6], &[0.0; 3]).is_err());
        assert!(softmax_loss(&mut [0.0; 6], &[0.0; 3], &[Target { class: 3, weight: 1.0 }; 2], 0.0).is_err());
    }
}
