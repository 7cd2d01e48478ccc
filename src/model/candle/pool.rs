//! Several rows of a table as one row for each line: their mean, their sum over the root of their number, or the largest of
//! each column.

use super::batch::Places;
use super::{for_rows, slice};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

/// How rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// `Σ rows / n`.
    Mean,
    /// `Σ rows / √n`: what the rows say is of one size, however many they are.
    Root,
    /// The largest number of each column. The gradient goes to the first row that has it.
    Max,
}

impl Pool {
    /// `[rows, dim]` → `[lines, dim]`; a line without rows is zero.
    pub fn over(self, table: &Tensor, places: Places) -> Result<Tensor> {
        table.apply_op1(Op { pool: self, places })
    }

    fn scale(self, rows: usize) -> f32 {
        match self {
            Pool::Mean => 1.0 / rows.max(1) as f32,
            Pool::Root => 1.0 / (rows.max(1) as f32).sqrt(),
            Pool::Max => 1.0,
        }
    }

    fn line(self, table: &[f32], rows: &[u32], out: &mut [f32]) {
        let row = |n: u32| &table[n as usize * out.len()..][..out.len()];
        let Some((&first, others)) = rows.split_first() else { return };
        let mut line = row(first).to_vec();
        for &n in others {
            match self {
                Pool::Max => {
                    line.iter_mut().zip(row(n)).for_each(|(best, &x)| *best = if x > *best { x } else { *best });
                }
                Pool::Mean | Pool::Root => line.iter_mut().zip(row(n)).for_each(|(sum, x)| *sum += x),
            }
        }
        let scale = self.scale(rows.len());
        out.iter_mut().zip(line).for_each(|(out, x)| *out = x * scale);
    }
}

struct Op {
    pool: Pool,
    places: Places,
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let table = slice(storage, layout)?;
        let (rows, dim) = layout.shape().dims2()?;
        if self.places.rows().iter().any(|&row| row as usize >= rows) {
            candle_core::bail!("pool: a row that the table does not have");
        }
        let mut out = vec![0f32; self.places.lines() * dim];
        let ranges: Vec<_> = self.places.ranges().collect();
        for_rows(&mut out, dim, |n, out| self.pool.line(table, &self.places.rows()[ranges[n].clone()], out));
        Ok((CpuStorage::F32(out), (self.places.lines(), dim).into()))
    }

    fn bwd(&self, table: &Tensor, pooled: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (rows, dim) = table.dims2()?;
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (gradient, mut out) = (numbers(gradient)?, vec![0f32; rows * dim]);
        let most = match self.pool {
            Pool::Max => Some((numbers(table)?, numbers(pooled)?)),
            Pool::Mean | Pool::Root => None,
        };
        // Lines in their order, so threads change nothing.
        for (n, range) in self.places.ranges().enumerate() {
            let of_line = &self.places.rows()[range];
            let gradient = &gradient[n * dim..(n + 1) * dim];
            match &most {
                None => {
                    let scale = self.pool.scale(of_line.len());
                    let scaled: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
                    for &row in of_line {
                        let out = &mut out[row as usize * dim..][..dim];
                        out.iter_mut().zip(&scaled).for_each(|(sum, g)| *sum += g);
                    }
                }
                Some((table, pooled)) => {
                    let pooled = &pooled[n * dim..(n + 1) * dim];
                    for (column, (&best, &g)) in pooled.iter().zip(gradient).enumerate() {
                        let at = |row: u32| row as usize * dim + column;
                        if let Some(&row) = of_line.iter().find(|&&row| table[at(row)] == best) {
                            out[at(row)] += g;
                        }
                    }
                }
            }
        }
        Ok(Some(Tensor::from_vec(out, (rows, dim), &Device::Cpu)?))
    }
}
