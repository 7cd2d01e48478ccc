//! The inner loops, for several instruction sets and chosen at run time.
//!
//! Integer sums cannot overflow (see `compile`) and floats are added in one written order, so every version gives the
//! same bytes; the tests hold each to the plain one. Most loops are plain Rust that the compiler vectorises for each
//! set; the output layer, where the time goes, has intrinsics.

// The path is said so that `tests/kernels_alone.rs` finds it too.
#[cfg(target_arch = "x86_64")]
#[path = "kernel/x86.rs"]
mod x86;

use super::compile::{BYTE_SHIFT, FEATURE_MAX, PANEL};
use super::softmax;
use crate::model::forward::GROUPS;

/// An instruction set to score with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// What every machine has.
    Plain,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors with products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

/// A method that runs one plain function, compiled for each instruction set.
macro_rules! compiled_for_each {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)? = $plain:path) => {
        $(#[$doc])*
        pub(super) fn $name(self, $($arg: $kind),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $kind),*) $(-> $out)? {
                $plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
            fn avx512($($arg: $kind),*) $(-> $out)? {
                $plain($($arg),*)
            }
            match self {
                Kernel::Plain => $plain($($arg),*),
                // SAFETY: this kernel exists only where `available` found the instructions.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512Vnni => unsafe { avx512($($arg),*) },
            }
        }
    };
}

impl Kernel {
    /// The fastest of this machine.
    pub fn best() -> Kernel {
        Kernel::available().pop().unwrap_or(Kernel::Plain)
    }

    /// Those of this machine, slowest first.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                kernels.push(Kernel::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    kernels.push(Kernel::Avx512Vnni);
                }
            }
        }
        kernels
    }

    compiled_for_each! {
        /// `best[i] = max(0, max over p < windows of Σ over o < width of rows[p + o][from + o · best.len() + i])`.
        window_maxima(rows: &[&[Lanes]], windows: usize, from: usize, width: usize, best: &mut [Lanes]) = window_maxima
    }

    compiled_for_each! {
        /// `out[i] = max(0, best[i] + bias[i]) / 2^shift[i]`, rounded, at most `FEATURE_MAX`.
        to_features(best: &[i16], bias: &[i32], shift: &[u32], out: &mut [i16]) = to_features
    }

    compiled_for_each! {
        /// `bytes[i] = features[i] / 2^BYTE_SHIFT`, rounded, at most `BYTE_FEATURE_MAX`.
        to_bytes(features: &[i16], bytes: &mut [u8]) = to_bytes
    }

    compiled_for_each! {
        /// `bytes[i] = values[i] · scale + zero`, rounded.
        to_signed_bytes(values: &[f32], scale: f32, zero: f32, bytes: &mut [u8]) = to_signed_bytes
    }

    /// `Σ a[i] · b[i]`.
    pub(super) fn dot(self, a: &[i16], b: &[i16]) -> i32 {
        assert!(a.len() == b.len());
        match self {
            Kernel::Plain => dot(a, b),
            // SAFETY: this kernel exists only where `available` found the instructions; the lengths are checked.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { x86::dot_avx2(a, b) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { x86::dot_vnni(a, b) },
        }
    }

    compiled_for_each! {
        /// `Σ over d of x[d] · rows[d]`, in this order, each product and each sum rounded by itself.
        panel(x: &[f32], rows: &[f32]) -> [f32; PANEL] = panel
    }

    compiled_for_each! {
        /// `sums[i] += values[i] · scale[i]`, rounded; within 16 bits.
        add_scaled(values: &[f32], scale: &[f32], sums: &mut [i32]) = add_scaled
    }

    compiled_for_each! {
        /// `sums[i] += of[i]`.
        add_to(of: &[i32], sums: &mut [i32]) = add_to
    }

    compiled_for_each! {
        /// `out[i] = sums[i] · inverse`, rounded.
        to_mean(sums: &[i32], inverse: f32, out: &mut [i16]) = to_mean
    }

    /// Asks the processor to bring this memory near; changes nothing.
    pub(super) fn prefetch<T>(self, row: &[T]) {
        #[cfg(target_arch = "x86_64")]
        if self != Kernel::Plain {
            x86::prefetch(row);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = row;
    }

    compiled_for_each! {
        /// See `softmax::lanes`.
        lanes(logits: &[f32]) -> [f32; GROUPS] = softmax::lanes
    }

    /// Appends the places of the values that are at least `least`, in their order.
    pub(super) fn at_least(self, values: &[f32], least: f32, out: &mut Vec<u32>) {
        match self {
            Kernel::Plain => at_least(values, least, 0, out),
            // SAFETY: this kernel exists only where `available` found the instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { x86::at_least_avx2(values, least, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { x86::at_least_avx512(values, least, out) },
        }
    }

    compiled_for_each! {
        /// See `softmax::mass`.
        mass(logits: &[f32], largest: f32, inverse: f32) -> f32 = softmax::mass
    }

    /// Logits (`[lines, padded classes]`) of byte features (`[lines, padded features]`) in units of `units` (`[lines]`).
    pub(super) fn coarse(self, features: &[u8], units: &[f32], layer: &Coarse, logits: &mut [f32]) {
        let lines = units.len();
        assert!(features.len() == lines * layer.features && logits.len() == lines * layer.classes);
        match self {
            Kernel::Plain => coarse(features, units, layer, logits),
            // SAFETY: this kernel exists only where `available` found the instructions; the lengths are checked.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { x86::coarse_avx2(features, units, layer, logits) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { x86::coarse_vnni(features, units, layer, logits) },
        }
    }
}

/// Classes that are computed together.
pub(super) const TILE: usize = 64;

/// Features whose products are added in one instruction.
pub(super) const QUAD: usize = 4;

/// Largest magnitude of a byte weight, and largest byte of a feature. Where an instruction adds pairs of products in 16
/// bits, features are taken less `CENTRE`: a pair is at most 2 · 127 · 127 = 32,258, so that nothing saturates.
pub(super) const BYTE_WEIGHT_MAX: i32 = 127;
pub(super) const BYTE_FEATURE_MAX: u8 = 254;
const CENTRE: u8 = 127;

/// A layer in bytes: quick, and precise enough to tell which classes need a closer look.
pub(super) struct Coarse {
    /// Padded with zeros to a multiple of `QUAD`.
    features: usize,
    /// Padded to a multiple of `TILE`.
    classes: usize,
    /// `[classes / TILE][features / QUAD][TILE][QUAD]`, each within `±BYTE_WEIGHT_MAX`.
    weights: Vec<i8>,
    /// Logit of one unit of the product sum, `[classes]`.
    unit: Vec<f32>,
    /// `[classes]`; minus infinity where a class is padding.
    bias: Vec<f32>,
    /// Where the sum starts, because the byte that stands for 0 is not 0, `[classes]`.
    offset: Vec<i32>,
    /// The same for features less `CENTRE`.
    centred: Vec<i32>,
}

impl Coarse {
    /// Packs `[classes][features]` weights, with the unit and bias of each class, for features whose byte `zero` is 0.
    pub(super) fn pack(weights: &[i8], features: usize, unit: &[f32], bias: &[f32], zero: u8) -> Coarse {
        let classes = unit.len();
        let (padded_features, padded_classes) = (features.next_multiple_of(QUAD), classes.next_multiple_of(TILE));
        let mut packed = vec![0i8; padded_features * padded_classes];
        for (class, row) in weights.chunks_exact(features).enumerate() {
            let tile = (class / TILE) * padded_features * TILE + (class % TILE) * QUAD;
            for (feature, &weight) in row.iter().enumerate() {
                packed[tile + (feature / QUAD) * TILE * QUAD + feature % QUAD] = weight;
            }
        }
        let padding = padded_classes - classes;
        let starts = |zero: i32| -> Vec<i32> {
            let start = |row: &[i8]| -zero * row.iter().map(|&w| i32::from(w)).sum::<i32>();
            weights.chunks_exact(features).map(start).chain(std::iter::repeat_n(0, padding)).collect()
        };
        Coarse {
            offset: starts(zero.into()),
            centred: starts(i32::from(zero) - i32::from(CENTRE)),
            features: padded_features,
            classes: padded_classes,
            weights: packed,
            unit: unit.iter().copied().chain(std::iter::repeat_n(0.0, padding)).collect(),
            bias: bias.iter().copied().chain(std::iter::repeat_n(f32::NEG_INFINITY, padding)).collect(),
        }
    }

    /// Features of a row, padding included.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// Logits of a row, padding included.
    pub(super) fn classes(&self) -> usize {
        self.classes
    }
}

/// The plain twin of the kernels in `x86`.
///
/// The bound: `|sum| <= 127 · 254 · features`, however it is begun: 2.11e9 for 65,536 features, below 2³¹.
fn coarse(features: &[u8], units: &[f32], layer: &Coarse, logits: &mut [f32]) {
    let lines = features.chunks_exact(layer.features).zip(logits.chunks_exact_mut(layer.classes));
    for ((line, out), &line_unit) in lines.zip(units) {
        for (tile, weights) in layer.weights.chunks_exact(layer.features * TILE).enumerate() {
            let mut sums = [0i32; TILE];
            sums.copy_from_slice(&layer.offset[tile * TILE..][..TILE]);
            for (quad, weights) in line.chunks_exact(QUAD).zip(weights.chunks_exact(TILE * QUAD)) {
                for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(QUAD)) {
                    for (&x, &w) in quad.iter().zip(weights) {
                        *sum += i32::from(x) * i32::from(w);
                    }
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let class = tile * TILE + i;
                out[class] = sum as f32 * (layer.unit[class] * line_unit) + layer.bias[class];
            }
        }
    }
}

/// The plain twin of those in `x86`; the first value is at place `first`.
fn at_least(values: &[f32], least: f32, first: usize, out: &mut Vec<u32>) {
    out.extend((first as u32..).zip(values).filter(|(_, value)| **value >= least).map(|(at, _)| at));
}

#[inline(always)]
fn panel(x: &[f32], rows: &[f32]) -> [f32; PANEL] {
    let mut sums = [0f32; PANEL];
    for (&x, row) in x.iter().zip(rows.as_chunks::<PANEL>().0) {
        for (sum, &k) in sums.iter_mut().zip(row) {
            *sum += x * k;
        }
    }
    sums
}

/// Filters whose maxima stay in registers.
pub(super) const LANES: usize = 32;

/// As many entries of a token's row.
pub(super) type Lanes = [i16; LANES];

#[inline(always)]
fn window_maxima(rows: &[&[Lanes]], windows: usize, from: usize, width: usize, best: &mut [Lanes]) {
    match width {
        1 => windows_of::<1>(rows, windows, from, best),
        2 => windows_of::<2>(rows, windows, from, best),
        3 => windows_of::<3>(rows, windows, from, best),
        4 => windows_of::<4>(rows, windows, from, best),
        5 => windows_of::<5>(rows, windows, from, best),
        _ => {
            let blocks = best.len();
            for (n, best) in best.iter_mut().enumerate() {
                *best = [0; LANES];
                for window in rows.windows(width).take(windows) {
                    let parts = window.iter().enumerate().map(|(o, row)| &row[from + o * blocks + n]);
                    let sum = parts.fold([0; LANES], add);
                    *best = larger(*best, sum);
                }
            }
        }
    }
}

#[inline(always)]
fn windows_of<const WIDTH: usize>(rows: &[&[Lanes]], windows: usize, from: usize, best: &mut [Lanes]) {
    let blocks = best.len();
    for (n, best) in best.iter_mut().enumerate() {
        let mut largest = [0; LANES];
        for window in rows.array_windows::<WIDTH>().take(windows) {
            let mut sum = window[0][from + n];
            for o in 1..WIDTH {
                sum = add(sum, &window[o][from + o * blocks + n]);
            }
            largest = larger(largest, sum);
        }
        *best = largest;
    }
}

#[inline(always)]
fn add(mut a: Lanes, b: &Lanes) -> Lanes {
    for (a, b) in a.iter_mut().zip(b) {
        *a = a.wrapping_add(*b);
    }
    a
}

#[inline(always)]
fn larger(mut a: Lanes, b: Lanes) -> Lanes {
    for (a, b) in a.iter_mut().zip(b) {
        *a = (*a).max(b);
    }
    a
}

#[inline(always)]
fn to_features(best: &[i16], bias: &[i32], shift: &[u32], out: &mut [i16]) {
    for (((out, &best), &bias), &shift) in out.iter_mut().zip(best).zip(bias).zip(shift) {
        let sum = (i32::from(best) + bias).max(0);
        // Half a unit is added so that the shift rounds.
        let half = (1i32 << shift) >> 1;
        *out = ((sum + half) >> shift).min(FEATURE_MAX) as i16;
    }
}

#[inline(always)]
fn to_bytes(features: &[i16], bytes: &mut [u8]) {
    for (byte, &x) in bytes.iter_mut().zip(features) {
        *byte = ((x + (1 << (BYTE_SHIFT - 1))) >> BYTE_SHIFT).min(i16::from(BYTE_FEATURE_MAX)) as u8;
    }
}

#[inline(always)]
fn to_signed_bytes(values: &[f32], scale: f32, zero: f32, bytes: &mut [u8]) {
    for (&x, byte) in values.iter().zip(bytes) {
        *byte = (rounded(x * scale) + zero) as u8;
    }
}

#[inline(always)]
fn add_scaled(values: &[f32], scale: &[f32], sums: &mut [i32]) {
    for ((sum, &x), &scale) in sums.iter_mut().zip(values).zip(scale) {
        let x = rounded(x * scale);
        let x = if x < 32767.0 { x } else { 32767.0 };
        *sum += (if x > -32767.0 { x } else { -32767.0 }) as i32;
    }
}

#[inline(always)]
fn add_to(of: &[i32], sums: &mut [i32]) {
    sums.iter_mut().zip(of).for_each(|(sum, x)| *sum += x);
}

#[inline(always)]
fn to_mean(sums: &[i32], inverse: f32, out: &mut [i16]) {
    out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = rounded(sum as f32 * inverse) as i16);
}

/// The nearest integer of `|x| < 2^22`, ties to even, without a call: adding 1.5 · 2^23 leaves no room for a fraction.
#[inline(always)]
pub(super) fn rounded(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    (x + ROUND) - ROUND
}

/// The plain twin of those in `x86`.
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0i32, |sum, (&x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn every_kernel_of_this_machine_gives_the_sums_that_wide_arithmetic_gives() {
        let mut state = 1;
        for (length, lines, classes) in [(1, 1, 1), (7, 3, 5), (64, 4, 65), (512, 17, 130), (130, 48, 64)] {
            let weights: Vec<i8> = (0..length * classes)
                .map(|_| match random(&mut state) % 9 {
                    0 => BYTE_WEIGHT_MAX as i8,
                    1 => -BYTE_WEIGHT_MAX as i8,
                    x => (x as i8 * 13) % 127,
                })
                .collect();
            let unit: Vec<f32> = (0..classes).map(|i| 0.001 * (i + 1) as f32).collect();
            let bias: Vec<f32> = (0..classes).map(|i| 0.3 - i as f32).collect();
            // Bytes stand for -127 to 127, or for themselves.
            let zero = if length % 2 == 0 { 127 } else { 0 };
            let layer = Coarse::pack(&weights, length, &unit, &bias, zero);
            let units: Vec<f32> = (0..lines).map(|i| 1.0 + i as f32 / 7.0).collect();
            let mut features = vec![0u8; lines * layer.features()];
            for row in features.chunks_exact_mut(layer.features()) {
                // Padding is not zero here: its weights are.
                row.iter_mut().for_each(|x| {
                    let r = random(&mut state);
                    *x = match r % 9 {
                        0 | 1 => BYTE_FEATURE_MAX,
                        2 => 0,
                        _ => ((r >> 8) as u8).min(BYTE_FEATURE_MAX),
                    };
                });
            }
            for kernel in Kernel::available() {
                let mut logits = vec![7.0; lines * layer.classes()];
                kernel.coarse(&features, &units, &layer, &mut logits);
                for (line, row) in logits.chunks_exact(layer.classes()).enumerate() {
                    for (class, &logit) in row.iter().enumerate() {
                        let wide: i64 = (0..length)
                            .filter(|_| class < classes)
                            .map(|f| {
                                let x = features[line * layer.features() + f];
                                (i64::from(x) - i64::from(zero)) * i64::from(weights[class * length + f])
                            })
                            .sum();
                        let expected = if class < classes {
                            wide as f32 * (unit[class] * units[line]) + bias[class]
                        } else {
                            f32::NEG_INFINITY
                        };
                        assert_eq!(logit.to_bits(), expected.to_bits(), "{kernel:?} {length} {line} {class}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_kernel_gives_the_same_dot_product_and_panel() {
        let mut state = 3;
        for length in [1, 15, 64, 513, 1000] {
            let a: Vec<i16> = (0..length).map(|_| (random(&mut state) % 4096) as i16).collect();
            let b: Vec<i16> = (0..length).map(|_| (random(&mut state) % 2001) as i16 - 1000).collect();
            let wide: i64 = a.iter().zip(&b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
            let x: Vec<f32> = a.iter().take(40).map(|&a| f32::from(a) / 3.0).collect();
            let rows: Vec<f32> = (0..x.len() * PANEL).map(|i| f32::from(b[i % length]) / 7.0).collect();
            let plain = Kernel::Plain.panel(&x, &rows);
            for kernel in Kernel::available() {
                assert_eq!(i64::from(kernel.dot(&a, &b)), wide, "{kernel:?} {length}");
                let sums = kernel.panel(&x, &rows);
                assert!(sums.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits()), "{kernel:?} {length}");
            }
        }
    }

    #[test]
    fn every_kernel_makes_the_same_bytes() {
        let mut state = 8;
        let features: Vec<i16> = (0..333).map(|_| (random(&mut state) % 4096) as i16).collect();
        let values: Vec<f32> = (0..333).map(|_| (random(&mut state) % 127) as f32 - 63.0).collect();
        for kernel in Kernel::available() {
            let (mut bytes, mut signed) = (vec![7; 333], vec![7; 333]);
            kernel.to_bytes(&features, &mut bytes);
            kernel.to_signed_bytes(&values, 2.0, 127.0, &mut signed);
            for i in 0..333 {
                let exact = (f64::from(features[i]) / 8.0 + 0.5).floor().min(254.0);
                assert_eq!(
                    (f64::from(bytes[i]), f64::from(signed[i]) - 127.0),
                    (exact, 2.0 * f64::from(values[i])),
                    "{kernel:?}"
                );
            }
        }
    }

    #[test]
    fn every_kernel_takes_the_same_means_of_scaled_rows() {
        let mut state = 12;
        let rows: Vec<Vec<f32>> =
            (0..9).map(|_| (0..77).map(|_| (random(&mut state) % 2001) as f32 / 100.0 - 10.0).collect()).collect();
        let scale: Vec<f32> = (0..77).map(|i| 3300.0 - 7.0 * i as f32).collect();
        for kernel in Kernel::available() {
            let (mut word, mut line, mut mean) = (vec![0i32; 77], vec![5i32; 77], vec![0i16; 77]);
            rows.iter().for_each(|row| kernel.add_scaled(row, &scale, &mut word));
            kernel.add_to(&word, &mut line);
            kernel.to_mean(&line, 1.0 / 9.0, &mut mean);
            for i in 0..77 {
                let wide = |row: &Vec<f32>| f64::from(row[i] * scale[i]).round_ties_even().clamp(-32767.0, 32767.0);
                let sum: f64 = 5.0 + rows.iter().map(wide).sum::<f64>();
                assert_eq!(f64::from(line[i]), sum, "{kernel:?} {i}");
                let exact = f64::from(sum as f32 * (1.0 / 9.0)).round_ties_even();
                assert_eq!(f64::from(mean[i]), exact, "{kernel:?} {i}");
            }
        }
    }

    #[test]
    fn every_kernel_finds_the_same_places() {
        let mut state = 6;
        for length in [0, 1, 15, 16, 17, 64, 500] {
            let values: Vec<f32> = (0..length).map(|_| (random(&mut state) % 7) as f32).collect();
            let expected: Vec<u32> = (0..length as u32).filter(|&i| values[i as usize] >= 5.0).collect();
            for kernel in Kernel::available() {
                let mut found = Vec::new();
                kernel.at_least(&values, 5.0, &mut found);
                assert_eq!(found, expected, "{kernel:?} {length}");
            }
        }
    }

    #[test]
    fn every_kernel_takes_the_same_maximum_over_windows_of_any_width() {
        let mut state = 2;
        for width in 1..=9 {
            for (blocks, tokens) in [(1, 1), (2, 3), (3, 0), (4, 9)] {
                let from = 2;
                let row = |state: &mut u64| -> Vec<Lanes> {
                    (0..from + width * blocks)
                        .map(|_| std::array::from_fn(|_| (random(state) % 4001) as i16 - 2000))
                        .collect()
                };
                let rows: Vec<Vec<Lanes>> = (0..tokens + width - 1).map(|_| row(&mut state)).collect();
                let rows: Vec<&[Lanes]> = rows.iter().map(Vec::as_slice).collect();
                let wide = |n: usize, i: usize| -> i32 {
                    let part = |p: usize, o: usize| i32::from(rows[p + o][from + o * blocks + n][i]);
                    (0..tokens).map(|p| (0..width).map(|o| part(p, o)).sum()).fold(0, i32::max)
                };
                for kernel in Kernel::available() {
                    let mut best = vec![[7; LANES]; blocks];
                    kernel.window_maxima(&rows, tokens, from, width, &mut best);
                    for (n, best) in best.iter().enumerate() {
                        assert!((0..LANES).all(|i| i32::from(best[i]) == wide(n, i)), "{kernel:?} {width} {blocks}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_kernel_rounds_features_alike() {
        let mut state = 4;
        let best: Vec<i16> = (0..333).map(|_| (random(&mut state) % 32768) as i16).collect();
        let bias: Vec<i32> = (0..333).map(|_| (random(&mut state) % 8_000_001) as i32 - 4_000_000).collect();
        let shift: Vec<u32> = (0..333).map(|_| (random(&mut state) % 12) as u32).collect();
        for kernel in Kernel::available() {
            let mut out = vec![7; 333];
            kernel.to_features(&best, &bias, &shift, &mut out);
            for (i, &got) in out.iter().enumerate() {
                let exact = f64::from(i32::from(best[i]) + bias[i]).max(0.0) / f64::from(1u32 << shift[i]);
                let exact = (exact + 0.5).floor().min(f64::from(FEATURE_MAX));
                assert_eq!(f64::from(got), exact, "{kernel:?} {i}");
            }
        }
    }
}
