//! Floating point in a written order: dot products in eight interleaved sums, and exponentials of additions and
//! multiplications alone. So a number depends on what goes into it, and not on the machine's vectors, the threads, or what
//! is computed beside it. There is no fused multiply-add and no library function.

/// Sums that run side by side.
const LANES: usize = 8;

/// Rows of a weight that meet a row together.
const BLOCK: usize = 4;

/// `Σ a · b`, of two rows of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dots(a, [b])[0]
}

/// The dot products of one row with several of its length, each as [`dot`] has it.
#[inline(always)]
fn dots<const N: usize>(row: &[f32], others: [&[f32]; N]) -> [f32; N] {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let others = others.map(|other| other[..row.len()].as_chunks::<LANES>());
    let mut sums = [[0f32; LANES]; N];
    for (n, chunk) in chunks.iter().enumerate() {
        for (sums, (other, _)) in sums.iter_mut().zip(&others) {
            let other = &other[n];
            for lane in 0..LANES {
                sums[lane] += chunk[lane] * other[lane];
            }
        }
    }
    for (sums, (_, other)) in sums.iter_mut().zip(&others) {
        sums.iter_mut().zip(rest.iter().zip(*other)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.map(together)
}

/// `Σ values`.
pub fn sum(values: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for chunk in values.chunks(LANES) {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    together(sums)
}

fn together(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// `rows · weightᵀ` into `out`: `[n, k]`, `[m, k]` and `[n, m]`, `k` above 0. A row's numbers depend on that row and the
/// weight alone.
pub fn product(rows: &[f32], weight: &[f32], k: usize, out: &mut [f32]) {
    let m = weight.len() / k;
    for (n, block) in weight.chunks(BLOCK * k).enumerate() {
        let at = n * BLOCK;
        for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(m)) {
            if block.len() == BLOCK * k {
                let others = std::array::from_fn::<_, BLOCK, _>(|i| &block[i * k..(i + 1) * k]);
                out[at..at + BLOCK].copy_from_slice(&dots(row, others));
            } else {
                out[at..].iter_mut().zip(block.chunks_exact(k)).for_each(|(out, other)| *out = dot(row, other));
            }
        }
    }
}

/// `sums += factor · row`.
pub fn add_scaled(sums: &mut [f32], factor: f32, row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
}

/// Sum of the rows of `[rows, columns]`.
pub fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0f32; columns];
    for row in values.chunks_exact(columns.max(1)) {
        add_scaled(&mut sums, 1.0, row);
    }
    sums
}

/// `e^x` for `x ≤ 0`, relative error below 2e-7, 0 below -87: written so that the compiler makes vectors of it.
/// Cody and Waite's reduction with the Taylor polynomial of degree 7 on ±ln(2)/2.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    let rounded = x.max(-87.0) * std::f32::consts::LOG2_E + MAGIC;
    let n = rounded - MAGIC;
    let r = (x.max(-87.0) - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    // The low bits of `rounded` hold n; shifted into the exponent they multiply by 2^n.
    let y = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    if x < -87.0 { 0.0 } else { y }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let small = exp(-x.abs());
    if x < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) }
}

/// The hyperbolic tangent, absolute error below 3e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let small = exp(-2.0 * x.abs());
    let size = (1.0 - small) / (1.0 + small);
    if x < 0.0 { -size } else { size }
}

/// Puts `e^(x - largest) / Σ` in the place of every number.
pub fn softmax(values: &mut [f32]) {
    let largest = values.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    values.iter_mut().for_each(|x| *x = exp(*x - largest));
    let total = sum(values);
    values.iter_mut().for_each(|x| *x /= total);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential_function() {
        for n in 0..200_000 {
            let x = -(n as f32) / 2000.0;
            let exact = if x < -87.0 { 0.0 } else { f64::from(x).exp() };
            let error = (f64::from(exp(x)) - exact).abs();
            assert!(error <= exact * 2e-7, "{x}: {} instead of {exact}", exp(x));
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn sigmoid_and_tanh_agree_with_double_precision() {
        for n in -100_000..100_000 {
            let x = n as f32 / 3000.0;
            let exact = f64::from(x);
            assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-exact).exp())).abs() < 2e-7, "{x}");
            assert!((f64::from(tanh(x)) - exact.tanh()).abs() < 3e-7, "{x}");
        }
        assert_eq!([sigmoid(-1e30), sigmoid(1e30), tanh(-1e30), tanh(0.0), tanh(1e30)], [0.0, 1.0, -1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_product_is_that_of_its_rows_one_by_one() {
        for (n, m, k) in [(1, 1, 1), (3, 4, 8), (2, 7, 9), (5, 13, 31)] {
            let number = |i: usize| ((i * 7919 % 1009) as f32 - 500.0) / 64.0;
            let rows: Vec<f32> = (0..n * k).map(number).collect();
            let weight: Vec<f32> = (0..m * k).map(|i| number(i + 17)).collect();
            let mut out = vec![f32::NAN; n * m];
            product(&rows, &weight, k, &mut out);
            for (i, row) in rows.chunks_exact(k).enumerate() {
                for (j, other) in weight.chunks_exact(k).enumerate() {
                    let exact: f64 = row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!((f64::from(out[i * m + j]) - exact).abs() < 1e-3, "{n} {m} {k}");
                    assert_eq!(out[i * m + j].to_bits(), dot(row, other).to_bits());
                }
            }
        }
    }

    #[test]
    fn shares_of_a_softmax_are_those_of_double_precision() {
        let mut values = [0.5f32, -3.0, 2.25, 2.25, 0.0, -90.0, 1.0, 0.125, 0.75];
        let powers = values.map(|x| f64::from(x).exp());
        softmax(&mut values);
        for (got, power) in values.iter().zip(powers) {
            assert!((f64::from(*got) - power / powers.iter().sum::<f64>()).abs() < 1e-6);
        }
        softmax(&mut []);
    }
}
