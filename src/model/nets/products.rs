//! Products of matrices, in one of two ways.

use super::arithmetic::product;
use crate::error::Result;
use candle_core::{Device, Tensor};

/// Which product is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// candle's, which is fast and rounds as the machine's vectors do: for training.
    Fast,
    /// The one of [`super::arithmetic`]: a row's numbers depend on the row and the weight alone, on every machine.
    Exact,
}

impl Products {
    /// `rows · weightᵀ`: `[n, k]` and `[m, k]` → `[n, m]`, `k` above 0.
    pub fn forward(self, rows: &[f32], weight: &[f32], k: usize) -> Result<Vec<f32>> {
        let (n, m) = (rows.len() / k, weight.len() / k);
        if self == Products::Exact || n == 0 {
            let mut out = vec![0f32; n * m];
            product(rows, weight, k, &mut out);
            return Ok(out);
        }
        numbers(&matrix(rows, k)?.matmul(&matrix(weight, k)?.t()?)?)
    }
}

/// From the gradient of such a product, `[n, m]`, those of the rows, `[n, k]`, and of the weight, `[m, k]`; `n` above 0.
pub fn backward(rows: &[f32], weight: &[f32], k: usize, gradient: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
    let gradient = matrix(gradient, weight.len() / k)?;
    let of_weight = gradient.t()?.matmul(&matrix(rows, k)?)?;
    Ok((numbers(&gradient.matmul(&matrix(weight, k)?)?)?, numbers(&of_weight)?))
}

/// `rows · weight`: `[n, m]` and `[m, k]` → `[n, k]`; `n` above 0.
pub fn through(rows: &[f32], weight: &Tensor) -> Result<Vec<f32>> {
    numbers(&matrix(rows, weight.dim(0)?)?.matmul(weight)?)
}

/// Numbers as rows of so many.
pub fn matrix(values: &[f32], columns: usize) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, (values.len() / columns.max(1), columns), &Device::Cpu)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
}
