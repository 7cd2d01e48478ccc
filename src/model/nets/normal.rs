//! The normalisation of layers (Ba, Kiros and Hinton 2016, <https://arxiv.org/abs/1607.06450>, equation 4).

use super::arithmetic::{column_sums, dot, sum};
use super::for_rows;

/// Keeps the division finite, as PyTorch's does.
const EPSILON: f32 = 1e-5;

/// Mean and one over the standard deviation.
fn moments(row: &[f32]) -> (f32, f32) {
    let mean = sum(row) / row.len() as f32;
    let squares: Vec<f32> = row.iter().map(|x| (x - mean) * (x - mean)).collect();
    (mean, 1.0 / (sum(&squares) / row.len() as f32 + EPSILON).sqrt())
}

/// Every row with mean 0 and variance 1, times `gain`, plus `bias`.
pub fn forward(rows: &[f32], gain: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut out = rows.to_vec();
    for_rows(&mut out, gain.len(), |_, row| {
        let (mean, inverse) = moments(row);
        row.iter_mut().zip(gain.iter().zip(bias)).for_each(|(x, (g, b))| *x = (*x - mean) * inverse * g + b);
    });
    out
}

/// The gradients of rows, gain and bias from that of what [`forward`] made of them.
pub fn backward(rows: &[f32], gain: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
    let width = gain.len();
    let mut back = vec![0f32; rows.len()];
    for_rows(&mut back, width, |n, back| {
        let (row, gradient) = (&rows[n * width..(n + 1) * width], &gradient[n * width..(n + 1) * width]);
        let (mean, inverse) = moments(row);
        let normal: Vec<f32> = row.iter().map(|x| (x - mean) * inverse).collect();
        back.iter_mut().zip(gradient.iter().zip(gain)).for_each(|(back, (d, g))| *back = d * g);
        let even = sum(back) / width as f32;
        let along = dot(back, &normal) / width as f32;
        back.iter_mut().zip(&normal).for_each(|(back, n)| *back = (*back - even - n * along) * inverse);
    });
    let mut of_gain = rows.to_vec();
    for_rows(&mut of_gain, width, |n, row| {
        let (mean, inverse) = moments(row);
        let gradient = &gradient[n * width..(n + 1) * width];
        row.iter_mut().zip(gradient).for_each(|(x, d)| *x = (*x - mean) * inverse * d);
    });
    [back, column_sums(&of_gain, width), column_sums(gradient, width)]
}
