//! From float weights to integer tables.
//!
//! A convolution over embeddings is linear in each token, so `table[token][width, offset] = embedding[token] ·
//! kernel[offset]` turns it into look-ups and additions. Tables are 16-bit with one scale a filter, chosen so that no
//! sum of them can overflow; the screen, or without one the output layer, is there in bytes for all classes
//! (`Coarse`), and the output layer in 16 bits for the likely ones, each with one scale a class, chosen so that no
//! product sum can leave 32 bits.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::bag::{Bag, BagScratch};
use super::kernel::{BYTE_WEIGHT_MAX, Coarse, Kernel, LANES, Lanes, rounded};
use super::softmax;
use crate::error::{Error, Result};
use crate::model::forward::LIKELY;
use crate::model::{Config, Floats, Weights};

/// Largest quantised feature: 12 bits.
pub(super) const FEATURE_MAX: i32 = 4095;

/// Right shift from a feature to its byte, which so ends at half of `FEATURE_MAX`: what a window adds up to at most
/// (`feature_scales`) is far from what any text reaches.
pub(super) const BYTE_SHIFT: u32 = 3;

/// Largest factor of the screen in bytes, where `FACTOR_ZERO` stands for 0.
const FACTOR_BYTE_MAX: f32 = 127.0;
const FACTOR_ZERO: u8 = 127;

/// Factors below this count as 0, so that the division by the largest stays finite.
const LEAST_FACTOR: f32 = 1e-30;

/// Filters of which a token's products are made together.
pub(super) const PANEL: usize = 64;

/// Rows of the output layer that are asked for before they are needed.
const ROWS_AHEAD: usize = 3;

/// Integer tables of one model. A token's row is made when the token first comes, so that a few lines do not wait for
/// thousands of rows.
pub struct Tables {
    filters: usize,
    widths: Vec<usize>,
    /// A row of each token, `[width][offset][filters]`, filters padded to a multiple of `LANES`.
    rows: Vec<OnceLock<Box<[Lanes]>>>,
    /// The row of padding and of tokens that the vocabulary lacks.
    blank: Box<[Lanes]>,
    products: Products,
    /// Of a row, `[width][offset][filters]`.
    slot_scale: Vec<f32>,
    /// Largest magnitude of an entry, `[width][offset][filters]`, so that sums cannot overflow whatever the file said.
    slot_limit: Vec<i16>,
    /// Added to the maximum before the rectifier, `[features]`, in units of the filter's scale.
    bias: Vec<i32>,
    /// Right shift from the filter's units to `0..=FEATURE_MAX`, `[features]`.
    shift: Vec<u32>,
    /// Value of a unit of each feature, `[features]`.
    feature_unit: Vec<f32>,
    /// The features behind those of the windows.
    bag: Option<Bag>,
    /// `[screen_dim][features]` in bytes, turned, when the classes are screened through fewer dimensions.
    projection: Option<Coarse>,
    /// Dimensions of the screen, made up to a power of two; 0 without one.
    screen_dim: usize,
    /// The screen's second half, or else the output layer, in bytes.
    coarse: Coarse,
    /// Output layer in 16 bits, `[classes][features]`.
    output: Fine,
    /// `[classes]`.
    output_bias: Vec<f32>,
}

/// What a token adds to each window position, before quantisation.
struct Products {
    dim: usize,
    filters: usize,
    /// `[vocab][dim]`.
    embedding: Floats,
    /// `[width][offset][filters / PANEL][dim][PANEL]`, filters padded with zeros.
    kernels: Vec<f32>,
    /// Dimensions in which a panel is not all zero: of joined networks, most are.
    spans: Vec<(usize, usize)>,
    kernel: Kernel,
}

impl Products {
    fn new(config: &Config, weights: &Weights) -> Products {
        let (dim, filters) = (config.embedding_dim, config.filters);
        let (mut kernels, mut spans) = (Vec::new(), Vec::new());
        for conv in &weights.convs {
            for offset in 0..conv.width {
                for first in (0..filters).step_by(PANEL) {
                    let at = kernels.len();
                    for d in 0..dim {
                        let weight =
                            |f: usize| if f < filters { conv.weight[(f * dim + d) * conv.width + offset] } else { 0.0 };
                        kernels.extend((first..first + PANEL).map(weight));
                    }
                    let zero = |row: &[f32]| row.iter().all(|&x| x == 0.0);
                    let rows = || kernels[at..].chunks_exact(PANEL);
                    let from = rows().position(|row| !zero(row)).unwrap_or(0);
                    spans.push((from, rows().rposition(|row| !zero(row)).map_or(from, |last| last + 1)));
                }
            }
        }
        let embedding = weights.embedding.clone();
        Products { dim, filters, embedding, kernels, spans, kernel: Kernel::best() }
    }

    /// `[width][offset][filters]` of a token; every sum is in a written order, so every machine makes the same.
    fn of(&self, token: usize) -> Vec<f32> {
        let panels = self.filters.div_ceil(PANEL);
        let mut out = vec![0f32; self.spans.len() / panels * self.filters];
        let embedding = &self.embedding[token * self.dim..(token + 1) * self.dim];
        let parts = out.chunks_exact_mut(self.filters).flat_map(|slot| slot.chunks_mut(PANEL));
        let panels = self.kernels.chunks_exact(self.dim * PANEL).zip(&self.spans);
        for (out, (panel, &(from, to))) in parts.zip(panels) {
            let sums = self.kernel.panel(&embedding[from..to], &panel[from * PANEL..to * PANEL]);
            out.copy_from_slice(&sums[..out.len()]);
        }
        out
    }
}

/// Largest magnitude of each entry of a token's row over all tokens: `ranges` of a bundle's weights.
pub fn ranges(config: &Config, weights: &Weights) -> Vec<f32> {
    let products = Products::new(config, weights);
    let row = config.widths.iter().sum::<usize>() * config.filters;
    let mut all: Vec<f32> = (0..config.vocab_size)
        .into_par_iter()
        .fold(
            || vec![0f32; row],
            |mut largest, token| {
                largest.iter_mut().zip(products.of(token)).for_each(|(l, x)| *l = l.max(x.abs()));
                largest
            },
        )
        .reduce(
            || vec![0f32; row],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = a.max(b));
                a
            },
        );
    if let Some(bag) = &weights.bag {
        let mut largest = vec![0f32; bag.bias.len()];
        for row in bag.table.chunks_exact(bag.bias.len()) {
            largest.iter_mut().zip(row).for_each(|(l, x)| *l = l.max(x.abs()));
        }
        all.extend(largest);
    }
    all
}

impl Tables {
    /// Compiles the tables; every float operation is in a written order, so every machine makes the same ones.
    pub fn compile(config: &Config, weights: &Weights) -> Result<Tables> {
        let (vocab, filters) = (config.vocab_size, config.filters);
        let features = config.features();
        if vocab == 0 || features == 0 || config.classes == 0 {
            return Err(Error::Registry("the model has no vocabulary, no filters or no classes".into()));
        }
        let largest = weights.ranges.clone().unwrap_or_else(|| ranges(config, weights));
        let (scale, bias, shift) = feature_scales(config, weights, &largest);
        let slot_scale: Vec<f32> = config
            .widths
            .iter()
            .enumerate()
            .flat_map(|(w, &width)| (0..width).flat_map(move |_| w * filters..(w + 1) * filters))
            .map(|feature| scale[feature])
            .collect();
        let slot_limit =
            largest.iter().zip(&slot_scale).map(|(&l, &s)| (l * s).round_ties_even().min(32767.0) as i16).collect();
        let feature_unit: Vec<f32> = scale.iter().zip(&shift).map(|(&s, &shift)| (1u32 << shift) as f32 / s).collect();
        // Weights of feature units, not of features.
        let folded = |matrix: &[f32], n: usize| -> Vec<f64> {
            let row = &matrix[n * features..(n + 1) * features];
            row.iter().zip(&feature_unit).map(|(&x, &unit)| f64::from(x) * f64::from(unit)).collect()
        };
        let bytes = |matrix, n| -> Vec<f64> {
            folded(matrix, n).into_iter().map(|x| x * f64::from(1u32 << BYTE_SHIFT)).collect()
        };
        let output_bias = &weights.output_bias;
        let (projection, screen_dim, coarse) = match &weights.screen {
            None => (None, 0, coarse_rows(features, output_bias, 0, |n| bytes(&weights.output, n))),
            Some(screen) => {
                let given = screen.projection.len() / features;
                let dim = given.next_power_of_two();
                // Turned, so that no few of the factors are much larger than the others and set the step of their bytes:
                // H · H = dim · 1 for the matrix of Hadamard, so `output · H / dim` undoes `H · projection`.
                let mut projection = vec![0f64; dim * features];
                for n in 0..given {
                    projection[n * features..(n + 1) * features].copy_from_slice(&bytes(&screen.projection, n));
                }
                hadamard(&mut projection, features);
                let row = |n: usize| {
                    let mut row = vec![0f64; dim];
                    let given = &screen.output[n * given..(n + 1) * given];
                    row.iter_mut().zip(given).for_each(|(to, &x)| *to = f64::from(x) / dim as f64);
                    hadamard(&mut row, 1);
                    row
                };
                let rows = |n: usize| projection[n * features..(n + 1) * features].to_vec();
                let turned = coarse_rows(features, &vec![0.0; dim], 0, rows);
                (Some(turned), dim, coarse_rows(dim, &screen.bias, FACTOR_ZERO, row))
            }
        };
        let output = Fine::new(config.classes, features, FEATURE_MAX, |n| folded(&weights.output, n));
        Ok(Tables {
            filters,
            widths: config.widths.clone(),
            rows: (0..vocab).map(|_| OnceLock::new()).collect(),
            blank: vec![[0; LANES]; config.widths.iter().sum::<usize>() * filters.div_ceil(LANES)].into(),
            products: Products::new(config, weights),
            slot_scale,
            slot_limit,
            bias,
            shift,
            bag: Bag::new(config, weights, &scale[config.conv_features()..]),
            feature_unit,
            projection,
            screen_dim,
            coarse,
            output,
            output_bias: output_bias.clone(),
        })
    }

    /// The row of a token; a token that the table does not have counts as padding.
    fn row(&self, token: u32) -> &[Lanes] {
        match self.rows.get(token as usize) {
            Some(row) if token != 0 => row.get_or_init(|| self.make_row(token as usize)),
            _ => &self.blank,
        }
    }

    fn make_row(&self, token: usize) -> Box<[Lanes]> {
        let exact = self.products.of(token);
        let mut row = self.blank.clone();
        let slots = row.chunks_exact_mut(self.filters.div_ceil(LANES)).zip(exact.chunks_exact(self.filters));
        for (slot, (out, exact)) in slots.enumerate() {
            let at = slot * self.filters;
            let limits = self.slot_scale[at..].iter().zip(&self.slot_limit[at..]);
            for ((out, &x), (&scale, &limit)) in out.as_flattened_mut().iter_mut().zip(exact).zip(limits) {
                *out = (rounded(x * scale) as i16).clamp(-limit, limit);
            }
        }
        row
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.feature_unit.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.output_bias.len()
    }

    /// What scores all classes in bytes.
    pub(super) fn coarse(&self) -> &Coarse {
        &self.coarse
    }

    /// Features (`[features]`, each `0..=FEATURE_MAX`) of a sequence of token ids.
    ///
    /// Windows begin at every token; what lies beyond the end adds nothing; a window of nothing (0) takes part in the
    /// maximum. So padding and neighbours cannot matter.
    pub(super) fn features_of(&self, ids: &[u32], kernel: Kernel, maxima: &mut Vec<Lanes>, out: &mut [i16]) {
        let beyond = self.widths.iter().max().map_or(0, |w| w - 1);
        let rows = ids.iter().map(|&id| self.row(id)).chain(std::iter::repeat_n(&*self.blank, beyond));
        let rows: Vec<&[Lanes]> = rows.collect();
        let blocks = self.filters.div_ceil(LANES);
        maxima.resize(blocks, [0; LANES]);
        let mut from = 0;
        for (w, &width) in self.widths.iter().enumerate() {
            kernel.window_maxima(&rows, ids.len(), from, width, maxima);
            let part = w * self.filters..(w + 1) * self.filters;
            let (bias, shift) = (&self.bias[part.clone()], &self.shift[part.clone()]);
            kernel.to_features(maxima.as_flattened(), bias, shift, &mut out[part]);
            from += width * blocks;
        }
    }

    /// The features behind those of the windows, from a normalised text.
    pub(super) fn bag_of(
        &self,
        normalised: &str,
        kernel: Kernel,
        (scratch, mean): (&mut BagScratch, &mut Vec<i16>),
        out: &mut [i16],
    ) {
        let Some(bag) = &self.bag else { return };
        let from = self.widths.len() * self.filters;
        let (bias, shift) = (&self.bias[from..], &self.shift[from..]);
        mean.resize(bias.len(), 0);
        bag.mean(normalised, kernel, scratch, mean);
        kernel.to_features(mean, bias, shift, &mut out[from..]);
    }

    /// Asks for the row of a token to be brought near, when it is made already.
    pub(super) fn prefetch(&self, token: u32, kernel: Kernel) {
        if let Some(row) = self.rows.get(token as usize).and_then(OnceLock::get) {
            kernel.prefetch(row);
        }
    }

    /// Coarse logits (`[lines, padded classes]`) of features in bytes (`[lines, padded features]`). `factors` and
    /// `bytes` are working memory.
    pub(super) fn coarse_logits(
        &self,
        features: &[u8],
        lines: usize,
        kernel: Kernel,
        factors: &mut Vec<f32>,
        bytes: &mut Vec<u8>,
        logits: &mut [f32],
    ) {
        let ones = [1f32; super::BLOCK];
        let Some(projection) = &self.projection else {
            return kernel.coarse(features, &ones[..lines], &self.coarse, logits);
        };
        let (width, length) = (projection.classes(), self.coarse.features());
        factors.resize(lines * width, 0.0);
        bytes.resize(lines * length, FACTOR_ZERO);
        kernel.coarse(features, &ones[..lines], projection, factors);
        let mut units = ones;
        for ((line, bytes), unit) in factors.chunks_exact(width).zip(bytes.chunks_exact_mut(length)).zip(&mut units) {
            // Each line is scaled by the largest of its factors. Beyond them are padding, whose weights are zero.
            let line = &line[..self.screen_dim];
            let largest = line.iter().fold(0f32, |m, x| if x.abs() > m { x.abs() } else { m });
            let scale = if largest >= LEAST_FACTOR { FACTOR_BYTE_MAX / largest } else { 0.0 };
            kernel.to_signed_bytes(line, scale, f32::from(FACTOR_ZERO), bytes);
            *unit = largest / FACTOR_BYTE_MAX;
        }
        kernel.coarse(bytes, &units[..lines], &self.coarse, logits);
    }

    /// Logits of these classes by 16-bit products, in their order.
    pub(super) fn exact(&self, features: &[i16], classes: &[u32], kernel: Kernel, logits: &mut Vec<f32>) {
        logits.clear();
        let row = |at: usize| classes.get(at).map_or(&[][..], |&class| self.output.row(class as usize));
        (0..ROWS_AHEAD).for_each(|at| kernel.prefetch(row(at)));
        for (at, &class) in classes.iter().enumerate() {
            kernel.prefetch(row(at + ROWS_AHEAD));
            let class = class as usize;
            let sum = kernel.dot(features, self.output.row(class));
            logits.push(sum as f32 * self.output.unit[class] + self.output_bias[class]);
        }
    }

    /// Puts the logits of 16-bit products in place of the coarse ones of these classes, which are at least `edge`; with a
    /// screen, as `forward::replace_likely` says. `old` and `new` are working memory.
    pub(super) fn rescore(
        &self,
        features: &[i16],
        (classes, edge): (&[u32], f32),
        kernel: Kernel,
        (old, new): (&mut Vec<f32>, &mut Vec<f32>),
        logits: &mut [f32],
    ) {
        self.exact(features, classes, kernel, new);
        let mut shift = 0.0;
        if self.projection.is_some() {
            old.clear();
            old.extend(classes.iter().map(|&class| logits[class as usize]));
            shift = softmax::shift(old, edge, new);
        }
        for (&class, logit) in classes.iter().zip(&*new) {
            logits[class as usize] = logit + shift;
        }
    }

    /// Whether the classes are screened.
    pub(super) fn is_screened(&self) -> bool {
        self.projection.is_some()
    }

    /// How many classes are to be scored again, at least.
    pub(super) fn candidates(&self) -> usize {
        if self.projection.is_some() { LIKELY } else { softmax::CANDIDATES }
    }

    /// Value of a unit of each feature.
    pub(super) fn feature_unit(&self) -> &[f32] {
        &self.feature_unit
    }
}

/// Scale, bias and shift of every feature.
///
/// The bound: a window adds at most one entry an offset, so its magnitude is at most the sum over the offsets of the
/// largest entry. With `scale = (32767 - width) / bound`, rounding (half a unit an entry) included, the sum stays in
/// 16 bits at every step.
fn feature_scales(config: &Config, weights: &Weights, largest: &[f32]) -> (Vec<f32>, Vec<i32>, Vec<u32>) {
    let filters = config.filters;
    let features = config.features();
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
    // A mean is at most the largest of a column, and a line of several n-grams is far below it: what passes the half is cut.
    let columns = weights.bag.iter().flat_map(|bag| &bag.bias).zip(&largest[slot..]);
    for ((&b, &bound), feature) in columns.zip(config.conv_features()..) {
        let s = if bound > 0.0 { 32766.0 / bound } else { 1.0 };
        let s = if b.abs() * s > 4_000_000.0 { 4_000_000.0 / b.abs() } else { s };
        scale[feature] = s;
        bias[feature] = (b * s).round_ties_even() as i32;
        let top = 32767 / 2 + bias[feature].max(0);
        shift[feature] = (0..31).find(|&sh| (top >> sh) < FEATURE_MAX).unwrap_or(31);
    }
    (scale, bias, shift)
}

/// The product of the matrix of Hadamard, whose entries are 1 and -1, and rows of `columns` numbers, as many as a power of
/// two, in place.
fn hadamard(rows: &mut [f64], columns: usize) {
    let mut half = columns;
    while half < rows.len() {
        for pair in rows.chunks_exact_mut(half * 2) {
            let (a, b) = pair.split_at_mut(half);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// As `rounded`, with 1.5 · 2^52.
#[inline(always)]
fn rounded_double(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (x + ROUND) - ROUND
}

/// Rows of weights in 16 bits.
struct Fine {
    length: usize,
    /// `[rows][length]`.
    weights: Vec<i16>,
    /// Value of one unit of a row's product sum, `[rows]`.
    unit: Vec<f32>,
}

impl Fine {
    /// Quantises `row(0), row(1), …` for inputs of at most `largest_input`.
    ///
    /// The bound: `|sum| <= largest_input · Σ|weight|`, and the scale of a row is chosen so that this is below 2³¹.
    fn new(rows: usize, length: usize, largest_input: i32, row: impl Fn(usize) -> Vec<f64> + Sync) -> Fine {
        let (mut weights, mut unit) = (vec![0i16; rows * length], vec![0f32; rows]);
        weights.par_chunks_mut(length).zip(unit.par_iter_mut()).enumerate().for_each(|(n, (out, unit))| {
            let row = row(n);
            let largest = row.iter().fold(0f64, |m, x| m.max(x.abs()));
            let total: f64 = row.iter().map(|x| x.abs()).sum();
            if largest == 0.0 {
                return;
            }
            // Half a unit of rounding an entry is kept in reserve.
            let room = f64::from(i32::MAX) / f64::from(largest_input) - length as f64;
            let scale = (32767.0 / largest).min(room / total);
            for (out, x) in out.iter_mut().zip(&row) {
                *out = rounded_double(x * scale) as i16;
            }
            *unit = (1.0 / scale) as f32;
        });
        Fine { length, weights, unit }
    }

    fn row(&self, n: usize) -> &[i16] {
        &self.weights[n * self.length..(n + 1) * self.length]
    }
}

/// The same rows in bytes; the bound stands at `kernel::coarse`.
fn coarse_rows(length: usize, bias: &[f32], zero: u8, row: impl Fn(usize) -> Vec<f64> + Sync) -> Coarse {
    let (mut weights, mut unit) = (vec![0i8; bias.len() * length], vec![0f32; bias.len()]);
    weights.par_chunks_mut(length).zip(unit.par_iter_mut()).enumerate().for_each(|(class, (out, unit))| {
        let row = row(class);
        let largest = row.iter().fold(0f64, |m, x| m.max(x.abs()));
        if largest > 0.0 {
            let scale = f64::from(BYTE_WEIGHT_MAX) / largest;
            for (out, x) in out.iter_mut().zip(&row) {
                *out = rounded_double(x * scale) as i8;
            }
            *unit = (1.0 / scale) as f32;
        }
    });
    Coarse::pack(&weights, length, &unit, bias, zero)
}
