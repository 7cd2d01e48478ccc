//! From float weights to integer tables.
//!
//! A convolution over embeddings is linear in each token, so `table[token][width, offset] = embedding[token] ·
//! kernel[offset]` turns it into look-ups and additions. Tables are 16-bit with one scale a filter, chosen so that no
//! sum of them can overflow; the output layer is there twice, in bytes for all classes (`Coarse`) and in 16 bits
//! for those that come close, each with one scale a class, chosen so that no product sum can leave 32 bits.

use rayon::prelude::*;

use super::kernel::{BYTE_WEIGHT_MAX, Coarse, Kernel};
use crate::error::{Error, Result};
use crate::model::{Config, Weights};

/// Largest quantised feature: 12 bits.
pub(super) const FEATURE_MAX: i32 = 4095;

/// Right shift from a feature to its byte, which so ends at half of `FEATURE_MAX`: what a window adds up to at most
/// (`feature_scales`) is far from what any text reaches.
const BYTE_SHIFT: u32 = 3;

/// Integer tables of one model.
pub struct Tables {
    vocab: usize,
    filters: usize,
    widths: Vec<usize>,
    /// Entries of one token: the sum of the widths times `filters`.
    row: usize,
    /// `[vocab][width][offset][filters]`.
    conv: Vec<i16>,
    /// Added to the maximum before the rectifier, `[features]`, in units of the filter's scale.
    bias: Vec<i32>,
    /// Right shift from the filter's units to `0..=FEATURE_MAX`, `[features]`.
    shift: Vec<u32>,
    coarse: Coarse,
    /// `[classes][features]`.
    output: Vec<i16>,
    /// Logit of one unit of the product sum, `[classes]`.
    unit: Vec<f32>,
    /// `[classes]`.
    output_bias: Vec<f32>,
}

impl Tables {
    /// Compiles the tables; every float operation is in a written order, so every machine makes the same ones.
    pub fn compile(config: &Config, weights: &Weights) -> Result<Tables> {
        let (vocab, dim, filters) = (config.vocab_size, config.embedding_dim, config.filters);
        let row: usize = config.widths.iter().sum::<usize>() * filters;
        let features = config.widths.len() * filters;
        if vocab == 0 || features == 0 || config.classes == 0 {
            return Err(Error::Registry("the model has no vocabulary, no filters or no classes".into()));
        }
        // Kernels as [width, offset][dim][filters], so that the inner loop runs over filters.
        let mut kernels: Vec<f32> = Vec::with_capacity(row * dim);
        for conv in &weights.convs {
            for offset in 0..conv.width {
                for d in 0..dim {
                    kernels.extend((0..filters).map(|f| conv.weight[(f * dim + d) * conv.width + offset]));
                }
            }
        }
        // Where a kernel row is not zero: of joined networks, most is.
        let spans: Vec<(usize, usize)> = kernels
            .chunks_exact(filters)
            .map(|k| {
                let from = k.iter().position(|&x| x != 0.0).unwrap_or(filters);
                (from, k.iter().rposition(|&x| x != 0.0).map_or(from, |last| last + 1))
            })
            .collect();
        let vectors = Kernel::best();
        let mut exact = vec![0f32; vocab * row];
        exact.par_chunks_mut(row).enumerate().for_each(|(token, out)| {
            let embedding = &weights.embedding[token * dim..(token + 1) * dim];
            let rows = kernels.chunks_exact(dim * filters).zip(spans.chunks_exact(dim));
            for (slot, (kernel, spans)) in out.chunks_exact_mut(filters).zip(rows) {
                for ((&e, k), &(from, to)) in embedding.iter().zip(kernel.chunks_exact(filters)).zip(spans) {
                    vectors.add_scaled(e, &k[from..to], &mut slot[from..to]);
                }
            }
        });
        let largest = largest_by_slot(&exact, row);
        let (scale, bias, shift) = feature_scales(config, weights, &largest);
        let slot_scale: Vec<f32> = config
            .widths
            .iter()
            .enumerate()
            .flat_map(|(w, &width)| (0..width).flat_map(move |_| w * filters..(w + 1) * filters))
            .map(|feature| scale[feature])
            .collect();
        let mut conv = vec![0i16; exact.len()];
        conv.par_chunks_mut(row).zip(exact.par_chunks(row)).for_each(|(out, exact)| {
            for ((out, &x), &s) in out.iter_mut().zip(exact).zip(&slot_scale) {
                // Within ±32767 by the choice of the scale; `as` saturates in any case.
                *out = (x * s).round_ties_even() as i16;
            }
        });
        drop(exact);
        let feature_unit: Vec<f32> = scale.iter().zip(&shift).map(|(&s, &shift)| (1u32 << shift) as f32 / s).collect();
        let (output, unit, bytes, byte_unit) = output_layer(config, weights, &feature_unit);
        let coarse = Coarse::pack(&bytes, features, &byte_unit, &weights.output_bias);
        Ok(Tables {
            vocab,
            filters,
            widths: config.widths.clone(),
            row,
            conv,
            bias,
            shift,
            coarse,
            output,
            unit,
            output_bias: weights.output_bias.clone(),
        })
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.widths.len() * self.filters
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.output_bias.len()
    }

    /// The output layer in bytes.
    pub(super) fn coarse(&self) -> &Coarse {
        &self.coarse
    }

    /// Features (`[features]`, each `0..=FEATURE_MAX`) of a sequence of token ids.
    ///
    /// Windows begin at every token; what lies beyond the end adds nothing; a window of nothing (0) takes part in the
    /// maximum. So padding and neighbours cannot matter.
    pub(super) fn features_of(&self, ids: &[u32], kernel: Kernel, out: &mut [i16]) {
        let mut slot = 0;
        for (w, &width) in self.widths.iter().enumerate() {
            let best = &mut out[w * self.filters..(w + 1) * self.filters];
            best.fill(0);
            for first in 0..ids.len() {
                let mut parts: [&[i16]; MAX_WIDTH] = [&[]; MAX_WIDTH];
                let mut used = 0;
                for offset in 0..width.min(ids.len() - first) {
                    // A token that the table does not have counts as padding.
                    let token = ids[first + offset] as usize;
                    if token != 0 && token < self.vocab {
                        let at = token * self.row + slot + offset * self.filters;
                        parts[used] = &self.conv[at..at + self.filters];
                        used += 1;
                    }
                }
                kernel.window_max(&parts[..used], best);
            }
            let from = w * self.filters;
            for (i, best) in best.iter_mut().enumerate() {
                let sum = (i32::from(*best) + self.bias[from + i]).max(0);
                // Half a unit is added so that the shift rounds.
                let shift = self.shift[from + i];
                let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
                *best = ((sum + half) >> shift).min(FEATURE_MAX) as i16;
            }
            slot += width * self.filters;
        }
    }

    /// Bytes of features, for the coarse layer; `out` may be longer.
    pub(super) fn bytes_of(features: &[i16], out: &mut [u8]) {
        for (out, &x) in out.iter_mut().zip(features) {
            *out = ((x + (1 << (BYTE_SHIFT - 1))) >> BYTE_SHIFT).min(255) as u8;
        }
    }

    /// Puts the logits of 16-bit products in place of the coarse ones of these classes.
    pub(super) fn rescore(&self, features: &[i16], classes: &[u32], kernel: Kernel, logits: &mut [f32]) {
        for &class in classes {
            let class = class as usize;
            let sum = kernel.dot(features, &self.output[class * features.len()..(class + 1) * features.len()]);
            logits[class] = sum as f32 * self.unit[class] + self.output_bias[class];
        }
    }
}

/// Widest window that the kernels take.
pub(super) const MAX_WIDTH: usize = 16;

/// Largest magnitude in each slot of a token's row over all tokens.
fn largest_by_slot(exact: &[f32], row: usize) -> Vec<f32> {
    let mut largest = vec![0f32; row];
    for token in exact.chunks_exact(row) {
        for (largest, &x) in largest.iter_mut().zip(token) {
            *largest = largest.max(x.abs());
        }
    }
    largest
}

/// Scale, bias and shift of every feature.
///
/// The bound: a window adds at most one entry an offset, so its magnitude is at most the sum over the offsets of the
/// largest entry. With `scale = (32767 - width) / bound`, rounding (half a unit an entry) included, the sum stays in
/// 16 bits at every step.
fn feature_scales(config: &Config, weights: &Weights, largest: &[f32]) -> (Vec<f32>, Vec<i32>, Vec<u32>) {
    let filters = config.filters;
    let features = config.widths.len() * filters;
    let (mut scale, mut bias, mut shift) = (vec![1f32; features], vec![0i32; features], vec![0u32; features]);
    let mut slot = 0;
    for (w, &width) in config.widths.iter().enumerate() {
        for f in 0..filters {
            let bound: f32 = (0..width).map(|offset| largest[slot + offset * filters + f]).sum();
            let b = weights.convs[w].bias[f];
            let s = if bound > 0.0 { (32767 - width as i32) as f32 / bound } else { 1.0 };
            // A bias far beyond the sums would need more than its 24 bits: coarsen the scale until it fits.
            let s = if b.abs() * s > 4_000_000.0 { 4_000_000.0 / b.abs() } else { s };
            let i = w * filters + f;
            scale[i] = s;
            bias[i] = (b * s).round_ties_even() as i32;
            let top = 32767 + bias[i].max(0);
            shift[i] = (0..31).find(|&sh| (top >> sh) < FEATURE_MAX).unwrap_or(31);
        }
        slot += width * filters;
    }
    (scale, bias, shift)
}

/// Output layer in 16 bits and in bytes, each with the logit of one unit of its product sums.
///
/// The bound: `|sum| <= FEATURE_MAX · Σ|weight|`, and the scale of a class is chosen so that this is below 2³¹. That of
/// the bytes stands at `kernel::coarse`.
fn output_layer(config: &Config, weights: &Weights, feature_unit: &[f32]) -> (Vec<i16>, Vec<f32>, Vec<i8>, Vec<f32>) {
    let features = feature_unit.len();
    let (mut output, mut bytes) = (vec![0i16; config.classes * features], vec![0i8; config.classes * features]);
    let (mut unit, mut byte_unit) = (vec![0f32; config.classes], vec![0f32; config.classes]);
    let rows = output.par_chunks_mut(features).zip(unit.par_iter_mut());
    let byte_rows = bytes.par_chunks_mut(features).zip(byte_unit.par_iter_mut());
    rows.zip(byte_rows).enumerate().for_each(|(class, ((out, unit), (bytes, byte_unit)))| {
        let row: Vec<f64> = match &weights.projection {
            None => weights.output[class * features..(class + 1) * features].iter().map(|&x| f64::from(x)).collect(),
            Some(projection) => {
                let inner = projection.len() / features;
                let mut row = vec![0f64; features];
                for (i, &o) in weights.output[class * inner..(class + 1) * inner].iter().enumerate() {
                    for (sum, &p) in row.iter_mut().zip(&projection[i * features..(i + 1) * features]) {
                        *sum += f64::from(o) * f64::from(p);
                    }
                }
                row
            }
        };
        let folded: Vec<f64> = row.iter().zip(feature_unit).map(|(&x, &u)| x * f64::from(u)).collect();
        let largest = folded.iter().fold(0f64, |m, x| m.max(x.abs()));
        let total: f64 = folded.iter().map(|x| x.abs()).sum();
        if largest == 0.0 {
            return;
        }
        // Half a unit of rounding a feature is kept in reserve.
        let room = f64::from(i32::MAX) / f64::from(FEATURE_MAX) - features as f64;
        let scale = (32767.0 / largest).min(room / total);
        let byte_scale = f64::from(BYTE_WEIGHT_MAX) / largest;
        for ((out, byte), x) in out.iter_mut().zip(bytes).zip(&folded) {
            *out = (x * scale).round_ties_even() as i16;
            *byte = (x * byte_scale).round_ties_even() as i8;
        }
        *unit = (1.0 / scale) as f32;
        *byte_unit = (f64::from(1u32 << BYTE_SHIFT) / byte_scale) as f32;
    });
    (output, unit, bytes, byte_unit)
}
