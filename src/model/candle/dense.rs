//! A layer's product and bias, and the normalisation of layers (Ba, Kiros and Hinton 2016,
//! <https://arxiv.org/abs/1607.06450>, equation 4), with their gradients.

use super::arithmetic::{column_sums, dot, product, sum};
use super::{for_rows, slice};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};

/// Keeps the division finite, as PyTorch's does.
const EPSILON: f32 = 1e-5;

/// Which product is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// candle's, which is fast, can be differentiated, and rounds as the machine's vectors do.
    Fast,
    /// The one of [`super::arithmetic`]: a row's numbers depend on the row and the weight alone, on every machine.
    Exact,
}

impl Products {
    /// What makes `rows · weightᵀ` of rows, `[n, k]`, with this weight, `[m, k]`.
    pub fn by(self, weight: &[f32], k: usize) -> Result<Box<dyn Fn(&[f32]) -> Result<Vec<f32>> + '_>> {
        let m = weight.len() / k;
        if self == Products::Exact {
            return Ok(Box::new(move |rows| {
                let mut out = vec![0f32; rows.len() / k * m];
                product(rows, weight, k, &mut out);
                Ok(out)
            }));
        }
        let weight = Tensor::from_slice(weight, (m, k), &Device::Cpu)?.t()?;
        Ok(Box::new(move |rows| {
            Tensor::from_slice(rows, (rows.len() / k, k), &Device::Cpu)?.matmul(&weight)?.flatten_all()?.to_vec1()
        }))
    }
}

/// `x · weightᵀ + bias`: `[n, k]`, `[m, k]` and `[m]` → `[n, m]`.
pub fn dense(x: &Tensor, weight: &Tensor, bias: &Tensor, products: Products) -> Result<Tensor> {
    let product = match products {
        Products::Fast => x.matmul(&weight.t()?)?,
        Products::Exact => x.apply_op2(weight, Exact)?,
    };
    product.apply_op2(bias, Bias)
}

/// Every row of `x`, `[n, k]`, with mean 0 and variance 1, times `gain`, `[k]`, plus `bias`, `[k]`.
pub fn normalise(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.apply_op3(gain, bias, Normalise)
}

struct Exact;

impl CustomOp2 for Exact {
    fn name(&self) -> &'static str {
        "exact product"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(s1, l1)?, slice(s2, l2)?);
        let ((n, k), (m, columns)) = (l1.shape().dims2()?, l2.shape().dims2()?);
        if k == 0 || columns != k {
            candle_core::bail!("exact product of [{n}, {k}] and [{m}, {columns}]");
        }
        let mut out = vec![0f32; n * m];
        product(x, weight, k, &mut out);
        Ok((CpuStorage::F32(out), (n, m).into()))
    }
}

struct Bias;

impl CustomOp2 for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (mut out, bias) = (slice(s1, l1)?.to_vec(), slice(s2, l2)?);
        for row in out.chunks_exact_mut(bias.len().max(1)) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sums = column_sums(&gradient.flatten_all()?.to_vec1::<f32>()?, bias.elem_count());
        Ok((Some(gradient.clone()), Some(Tensor::from_vec(sums, bias.shape(), &Device::Cpu)?)))
    }
}

struct Normalise;

/// Mean and one over the standard deviation.
fn moments(row: &[f32]) -> (f32, f32) {
    let mean = sum(row) / row.len() as f32;
    let squares: Vec<f32> = row.iter().map(|x| (x - mean) * (x - mean)).collect();
    (mean, 1.0 / (sum(&squares) / row.len() as f32 + EPSILON).sqrt())
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, gain, bias) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let mut out = x.to_vec();
        for_rows(&mut out, gain.len(), |_, row| {
            let (mean, inverse) = moments(row);
            row.iter_mut().zip(gain.iter().zip(bias)).for_each(|(x, (g, b))| *x = (*x - mean) * inverse * g + b);
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (rows, gain, gradient) = (numbers(x)?, numbers(gain)?, numbers(gradient)?);
        let width = gain.len();
        let mut back = vec![0f32; rows.len()];
        for_rows(&mut back, width, |n, back| {
            let (row, gradient) = (&rows[n * width..(n + 1) * width], &gradient[n * width..(n + 1) * width]);
            let (mean, inverse) = moments(row);
            let normal: Vec<f32> = row.iter().map(|x| (x - mean) * inverse).collect();
            back.iter_mut().zip(gradient.iter().zip(&gain)).for_each(|(back, (d, g))| *back = d * g);
            let even = sum(back) / width as f32;
            let along = dot(back, &normal) / width as f32;
            back.iter_mut().zip(&normal).for_each(|(back, n)| *back = (*back - even - n * along) * inverse);
        });
        let mut of_gain = rows;
        for_rows(&mut of_gain, width, |n, row| {
            let (mean, inverse) = moments(row);
            let gradient = &gradient[n * width..(n + 1) * width];
            row.iter_mut().zip(gradient).for_each(|(x, d)| *x = (*x - mean) * inverse * d);
        });
        let vector = |values: Vec<f32>| Tensor::from_vec(values, width, &Device::Cpu);
        let back = Tensor::from_vec(back, x.shape(), &Device::Cpu)?;
        Ok((Some(back), Some(vector(column_sums(&of_gain, width))?), Some(vector(column_sums(&gradient, width))?)))
    }
}
