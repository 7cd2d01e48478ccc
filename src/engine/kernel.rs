//! The two inner loops, compiled for several instruction sets and chosen at run time.
//!
//! Both work on integers whose sums cannot overflow (see `compile`), so every version gives the same bytes; the tests
//! hold each to the plain one.

/// An instruction set to score with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// What every machine has.
    Plain,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
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
                {
                    kernels.push(Kernel::Avx512);
                }
            }
        }
        kernels
    }

    /// `best[i] = max(best[i], Σ parts[..][i])`; all slices are of one length.
    pub(super) fn window_max(self, parts: &[&[i16]], best: &mut [i16]) {
        match self {
            Kernel::Plain => window_max(parts, best),
            // SAFETY: this kernel exists only where `available` found the instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { window_max_avx2(parts, best) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { window_max_avx512(parts, best) },
        }
    }

    /// `sums[line][class] = features[line] · weights[class]` for rows of `length` entries.
    pub(super) fn products(self, features: &[i16], weights: &[i16], length: usize, sums: &mut [i32]) {
        match self {
            Kernel::Plain => products(features, weights, length, sums),
            // SAFETY: this kernel exists only where `available` found the instructions.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { products_avx2(features, weights, length, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { products_avx512(features, weights, length, sums) },
        }
    }
}

#[inline(always)]
fn window_max(parts: &[&[i16]], best: &mut [i16]) {
    match parts {
        [] => {}
        [a] => {
            for (best, &a) in best.iter_mut().zip(*a) {
                *best = (*best).max(a);
            }
        }
        [a, b] => {
            for ((best, &a), &b) in best.iter_mut().zip(*a).zip(*b) {
                *best = (*best).max(a.wrapping_add(b));
            }
        }
        [a, b, c] => {
            for (((best, &a), &b), &c) in best.iter_mut().zip(*a).zip(*b).zip(*c) {
                *best = (*best).max(a.wrapping_add(b).wrapping_add(c));
            }
        }
        [a, b, c, d] => {
            for ((((best, &a), &b), &c), &d) in best.iter_mut().zip(*a).zip(*b).zip(*c).zip(*d) {
                *best = (*best).max(a.wrapping_add(b).wrapping_add(c).wrapping_add(d));
            }
        }
        more => {
            for (i, best) in best.iter_mut().enumerate() {
                let sum = more.iter().fold(0i16, |sum, part| sum.wrapping_add(part[i]));
                *best = (*best).max(sum);
            }
        }
    }
}

/// Lines that share one reading of a weight row.
const LINES: usize = 4;

#[inline(always)]
fn products(features: &[i16], weights: &[i16], length: usize, sums: &mut [i32]) {
    let classes = weights.len() / length;
    for (class, weight) in weights.chunks_exact(length).enumerate() {
        let mut line = 0;
        let mut groups = features.chunks_exact(length * LINES);
        for group in &mut groups {
            let (a, rest) = group.split_at(length);
            let (b, rest) = rest.split_at(length);
            let (c, d) = rest.split_at(length);
            let (mut s0, mut s1, mut s2, mut s3) = (0i32, 0i32, 0i32, 0i32);
            for i in 0..length {
                let w = i32::from(weight[i]);
                s0 = s0.wrapping_add(i32::from(a[i]) * w);
                s1 = s1.wrapping_add(i32::from(b[i]) * w);
                s2 = s2.wrapping_add(i32::from(c[i]) * w);
                s3 = s3.wrapping_add(i32::from(d[i]) * w);
            }
            for (i, s) in [s0, s1, s2, s3].into_iter().enumerate() {
                sums[(line + i) * classes + class] = s;
            }
            line += LINES;
        }
        for one in groups.remainder().chunks_exact(length) {
            let mut sum = 0i32;
            for (&x, &w) in one.iter().zip(weight) {
                sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
            sums[line * classes + class] = sum;
            line += 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn window_max_avx2(parts: &[&[i16]], best: &mut [i16]) {
    window_max(parts, best);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn window_max_avx512(parts: &[&[i16]], best: &mut [i16]) {
    window_max(parts, best);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn products_avx2(features: &[i16], weights: &[i16], length: usize, sums: &mut [i32]) {
    products(features, weights, length, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn products_avx512(features: &[i16], weights: &[i16], length: usize, sums: &mut [i32]) {
    products(features, weights, length, sums);
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
        for (length, lines, classes) in [(1, 1, 1), (7, 3, 5), (64, 4, 9), (512, 17, 33)] {
            let features: Vec<i16> = (0..length * lines).map(|_| (random(&mut state) % 4096) as i16).collect();
            let weights: Vec<i16> =
                (0..length * classes).map(|_| ((random(&mut state) % 2001) as i16) - 1000).collect();
            let wide: Vec<i64> = features
                .chunks(length)
                .flat_map(|x| {
                    weights
                        .chunks(length)
                        .map(move |w| x.iter().zip(w).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum())
                })
                .collect();
            for kernel in Kernel::available() {
                let mut sums = vec![0; lines * classes];
                kernel.products(&features, &weights, length, &mut sums);
                assert!(sums.iter().zip(&wide).all(|(&a, &b)| i64::from(a) == b), "{kernel:?} {length}");
            }
        }
    }

    #[test]
    fn every_kernel_takes_the_same_maximum_over_windows_of_any_width() {
        let mut state = 2;
        for width in 0..=super::super::compile::MAX_WIDTH {
            for length in [1, 31, 128] {
                let rows: Vec<Vec<i16>> = (0..width)
                    .map(|_| (0..length).map(|_| (random(&mut state) % 8001) as i16 - 4000).collect())
                    .collect();
                let parts: Vec<&[i16]> = rows.iter().map(Vec::as_slice).collect();
                let start: Vec<i16> = (0..length).map(|_| (random(&mut state) % 4000) as i16).collect();
                let wide: Vec<i32> = (0..length)
                    .map(|i| {
                        let sum: i32 = rows.iter().map(|r| i32::from(r[i])).sum();
                        if width == 0 { i32::from(start[i]) } else { sum.max(i32::from(start[i])) }
                    })
                    .collect();
                for kernel in Kernel::available() {
                    let mut best = start.clone();
                    kernel.window_max(&parts, &mut best);
                    assert!(best.iter().zip(&wide).all(|(&a, &b)| i32::from(a) == b), "{kernel:?} {width}");
                }
            }
        }
    }
}
