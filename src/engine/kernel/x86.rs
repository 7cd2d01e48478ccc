//! The output layer in bytes with the instructions of x86-64. The twin in plain Rust is `super::coarse`; the tests
//! there hold these to it.

use std::arch::x86_64::*;

use super::{CENTRE, Coarse, QUAD, TILE};

/// Lines whose sums stay in registers with 512-bit vectors: 6 lines × 4 vectors of classes, of 32 registers.
const LINES_512: usize = 6;

/// The same with 256-bit vectors: 4 lines × 2 vectors of classes, of 16 registers.
const LINES_256: usize = 4;

/// Asks for the memory of `row`.
pub(super) fn prefetch<T>(row: &[T]) {
    for at in (0..size_of_val(row)).step_by(64) {
        // SAFETY: every x86-64 has the instruction, and it only hints.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(row.as_ptr().cast::<i8>().wrapping_add(at)) };
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn at_least_avx512(values: &[f32], least: f32, out: &mut Vec<u32>) {
    let (whole, rest) = values.as_chunks::<64>();
    let least_of_all = _mm512_set1_ps(least);
    for (n, part) in whole.iter().enumerate() {
        let mut found = 0u64;
        for (v, part) in part.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: 16 floats.
            let part = unsafe { _mm512_loadu_ps(part.as_ptr()) };
            found |= u64::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(part, least_of_all)) << (v * 16);
        }
        while found != 0 {
            out.push(n as u32 * 64 + found.trailing_zeros());
            found &= found - 1;
        }
    }
    super::at_least(rest, least, whole.len() * 64, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn at_least_avx2(values: &[f32], least: f32, out: &mut Vec<u32>) {
    let (whole, rest) = values.as_chunks::<8>();
    let least_of_all = _mm256_set1_ps(least);
    for (n, part) in whole.iter().enumerate() {
        // SAFETY: 8 floats.
        let part = unsafe { _mm256_loadu_ps(part.as_ptr()) };
        let mut found = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(part, least_of_all));
        while found != 0 {
            out.push(n as u32 * 8 + found.trailing_zeros());
            found &= found - 1;
        }
    }
    super::at_least(rest, least, whole.len() * 8, out);
}

/// # Safety
/// `features` is `[lines, layer.features]` and `logits` `[lines, layer.classes]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn coarse_vnni(features: &[u8], units: &[f32], layer: &Coarse, logits: &mut [f32]) {
    for tile in 0..layer.classes / TILE {
        let mut lines = features.chunks_exact(layer.features * LINES_512);
        let mut out = logits.chunks_exact_mut(layer.classes * LINES_512);
        let mut of = units.chunks_exact(LINES_512);
        for ((lines, units), out) in (&mut lines).zip(&mut of).zip(&mut out) {
            // SAFETY: all hold six lines.
            unsafe { tile_vnni::<LINES_512>(lines, units, layer, tile, out) };
        }
        let (lines, units, out) = (lines.remainder(), of.remainder(), out.into_remainder());
        // SAFETY: all hold the number of lines that is said.
        unsafe {
            match units.len() {
                1 => tile_vnni::<1>(lines, units, layer, tile, out),
                2 => tile_vnni::<2>(lines, units, layer, tile, out),
                3 => tile_vnni::<3>(lines, units, layer, tile, out),
                4 => tile_vnni::<4>(lines, units, layer, tile, out),
                5 => tile_vnni::<5>(lines, units, layer, tile, out),
                _ => {}
            }
        }
    }
}

/// # Safety
/// `features` and `logits` hold `LINES` lines; `tile` is one of the layer's.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_vnni<const LINES: usize>(
    features: &[u8],
    units: &[f32],
    layer: &Coarse,
    tile: usize,
    logits: &mut [f32],
) {
    const VECTORS: usize = TILE / 16;
    let start = &layer.offset[tile * TILE..][..TILE];
    let mut offsets = [_mm512_setzero_si512(); VECTORS];
    for (v, offset) in offsets.iter_mut().enumerate() {
        // SAFETY: a tile has 64 offsets.
        *offset = unsafe { _mm512_loadu_si512(start.as_ptr().add(v * 16).cast()) };
    }
    let mut sums = [offsets; LINES];
    let weights = layer.weights[tile * layer.features * TILE..][..layer.features * TILE].as_ptr();
    let lines = features.as_ptr();
    for quad in 0..layer.features / QUAD {
        // SAFETY: a tile holds `features / QUAD` groups of four vectors; a line holds `features / QUAD` quads.
        unsafe {
            let at = weights.add(quad * TILE * QUAD);
            let w: [__m512i; VECTORS] = std::array::from_fn(|v| _mm512_loadu_si512(at.add(v * 64).cast()));
            for (line, sums) in sums.iter_mut().enumerate() {
                let x = lines.add(line * layer.features + quad * QUAD).cast::<i32>().read_unaligned();
                let x = _mm512_set1_epi32(x);
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = _mm512_dpbusd_epi32(*sum, x, w);
                }
            }
        }
    }
    for ((line, sums), &line_unit) in sums.iter().enumerate().zip(units) {
        for (v, &sum) in sums.iter().enumerate() {
            let class = tile * TILE + v * 16;
            let (unit, bias) = (&layer.unit[class..][..16], &layer.bias[class..][..16]);
            let out = &mut logits[line * layer.classes + class..][..16];
            // SAFETY: each of the three holds 16 floats.
            unsafe {
                let unit = _mm512_mul_ps(_mm512_loadu_ps(unit.as_ptr()), _mm512_set1_ps(line_unit));
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), unit);
                _mm512_storeu_ps(out.as_mut_ptr(), _mm512_add_ps(scaled, _mm512_loadu_ps(bias.as_ptr())));
            }
        }
    }
}

/// # Safety
/// As `coarse_vnni`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn coarse_avx2(features: &[u8], units: &[f32], layer: &Coarse, logits: &mut [f32]) {
    for part in 0..layer.classes / 16 {
        let mut lines = features.chunks_exact(layer.features * LINES_256);
        let mut out = logits.chunks_exact_mut(layer.classes * LINES_256);
        let mut of = units.chunks_exact(LINES_256);
        for ((lines, units), out) in (&mut lines).zip(&mut of).zip(&mut out) {
            // SAFETY: all hold four lines.
            unsafe { part_avx2::<LINES_256>(lines, units, layer, part, out) };
        }
        let (lines, units, out) = (lines.remainder(), of.remainder(), out.into_remainder());
        // SAFETY: all hold the number of lines that is said.
        unsafe {
            match units.len() {
                1 => part_avx2::<1>(lines, units, layer, part, out),
                2 => part_avx2::<2>(lines, units, layer, part, out),
                3 => part_avx2::<3>(lines, units, layer, part, out),
                _ => {}
            }
        }
    }
}

/// Sixteen classes.
///
/// # Safety
/// `features` and `logits` hold `LINES` lines; `part` is below `classes / 16`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn part_avx2<const LINES: usize>(
    features: &[u8],
    units: &[f32],
    layer: &Coarse,
    part: usize,
    logits: &mut [f32],
) {
    const PARTS: usize = TILE / 16;
    let start = &layer.centred[part * 16..][..16];
    let mut offsets = [_mm256_setzero_si256(); 2];
    for (v, offset) in offsets.iter_mut().enumerate() {
        // SAFETY: a part has 16 offsets.
        *offset = unsafe { _mm256_loadu_si256(start.as_ptr().add(v * 8).cast()) };
    }
    let mut sums = [offsets; LINES];
    let ones = _mm256_set1_epi16(1);
    let centre = _mm256_set1_epi8(CENTRE as i8);
    let tile = layer.weights[(part / PARTS) * layer.features * TILE..][..layer.features * TILE].as_ptr();
    let lines = features.as_ptr();
    for quad in 0..layer.features / QUAD {
        // SAFETY: a tile holds `features / QUAD` groups of `PARTS` times 64 bytes; a line holds that many quads.
        unsafe {
            let at = tile.add(quad * TILE * QUAD + (part % PARTS) * 64);
            let w: [__m256i; 2] = std::array::from_fn(|v| _mm256_loadu_si256(at.add(v * 32).cast()));
            let magnitude = w.map(|w| _mm256_abs_epi8(w));
            for (line, sums) in sums.iter_mut().enumerate() {
                let x = lines.add(line * layer.features + quad * QUAD).cast::<i32>().read_unaligned();
                // -127 to 127, so that it can take the sign of the weight.
                let x = _mm256_sub_epi8(_mm256_set1_epi32(x), centre);
                for ((sum, &w), &magnitude) in sums.iter_mut().zip(&w).zip(&magnitude) {
                    // Pairs of products stay below 2¹⁵ (see `BYTE_WEIGHT_MAX`), so nothing saturates.
                    let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    }
    for ((line, sums), &line_unit) in sums.iter().enumerate().zip(units) {
        for (v, &sum) in sums.iter().enumerate() {
            let class = part * 16 + v * 8;
            let (unit, bias) = (&layer.unit[class..][..8], &layer.bias[class..][..8]);
            let out = &mut logits[line * layer.classes + class..][..8];
            // SAFETY: each of the three holds 8 floats.
            unsafe {
                let unit = _mm256_mul_ps(_mm256_loadu_ps(unit.as_ptr()), _mm256_set1_ps(line_unit));
                let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), unit);
                _mm256_storeu_ps(out.as_mut_ptr(), _mm256_add_ps(scaled, _mm256_loadu_ps(bias.as_ptr())));
            }
        }
    }
}

/// # Safety
/// `a` and `b` are equally long.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn dot_vnni(a: &[i16], b: &[i16]) -> i32 {
    let mut total = _mm512_setzero_si512();
    let whole = a.len() / 32 * 32;
    for at in (0..whole).step_by(32) {
        // SAFETY: 32 entries from `at` on are inside both.
        unsafe {
            let x = _mm512_loadu_si512(a.as_ptr().add(at).cast());
            total = _mm512_dpwssd_epi32(total, x, _mm512_loadu_si512(b.as_ptr().add(at).cast()));
        }
    }
    _mm512_reduce_add_epi32(total).wrapping_add(super::dot(&a[whole..], &b[whole..]))
}

/// # Safety
/// As `dot_vnni`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn dot_avx2(a: &[i16], b: &[i16]) -> i32 {
    let mut total = _mm256_setzero_si256();
    let whole = a.len() / 16 * 16;
    for at in (0..whole).step_by(16) {
        // SAFETY: 16 entries from `at` on are inside both.
        unsafe {
            let x = _mm256_loadu_si256(a.as_ptr().add(at).cast());
            let w = _mm256_loadu_si256(b.as_ptr().add(at).cast());
            total = _mm256_add_epi32(total, _mm256_madd_epi16(x, w));
        }
    }
    let mut parts = [0i32; 8];
    // SAFETY: eight places.
    unsafe { _mm256_storeu_si256(parts.as_mut_ptr().cast(), total) };
    parts.into_iter().fold(super::dot(&a[whole..], &b[whole..]), i32::wrapping_add)
}
