//! Several rows of a table as one row for each line: their mean, their sum over the root of their number, or the largest of
//! each column.

use super::batch::Places;
use super::for_rows;

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
    pub fn forward(self, table: &[f32], dim: usize, places: &Places) -> Vec<f32> {
        let mut out = vec![0f32; places.lines() * dim];
        let ranges: Vec<_> = places.ranges().collect();
        for_rows(&mut out, dim, |n, out| self.line(table, &places.rows()[ranges[n].clone()], out));
        out
    }

    fn scale(self, rows: usize) -> f32 {
        match self {
            Pool::Mean => 1.0 / rows.max(1) as f32,
            Pool::Root => 1.0 / (rows.max(1) as f32).sqrt(),
            Pool::Max => 1.0,
        }
    }

    fn line(self, table: &[f32], rows: &[u32], out: &mut [f32]) {
        let dim = out.len();
        let row = |n: u32| &table[n as usize * dim..][..dim];
        let Some((&first, others)) = rows.split_first() else { return };
        out.copy_from_slice(row(first));
        for &n in others {
            let pairs = out.iter_mut().zip(row(n));
            match self {
                Pool::Max => pairs.for_each(|(best, &x)| *best = if x > *best { x } else { *best }),
                Pool::Mean | Pool::Root => pairs.for_each(|(sum, x)| *sum += x),
            }
        }
        let scale = self.scale(rows.len());
        out.iter_mut().for_each(|x| *x *= scale);
    }

    /// The gradient of the table from that of what [`Pool::forward`] made of it.
    pub fn backward(self, table: &[f32], pooled: &[f32], dim: usize, places: &Places, gradient: &[f32]) -> Vec<f32> {
        let mut out = vec![0f32; table.len()];
        // Lines in their order, so threads change nothing.
        let lines = pooled.chunks_exact(dim).zip(gradient.chunks_exact(dim));
        for (range, (pooled, gradient)) in places.ranges().zip(lines) {
            let of_line = &places.rows()[range];
            if self == Pool::Max {
                for (column, (&best, &g)) in pooled.iter().zip(gradient).enumerate() {
                    let at = |row: u32| row as usize * dim + column;
                    if let Some(&row) = of_line.iter().find(|&&row| table[at(row)] == best) {
                        out[at(row)] += g;
                    }
                }
                continue;
            }
            let scale = self.scale(of_line.len());
            let scaled: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
            for &row in of_line {
                out[row as usize * dim..][..dim].iter_mut().zip(&scaled).for_each(|(sum, g)| *sum += g);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_one_as_worked_out_by_hand() {
        let table = [1.0, -2.0, 4.0, 0.0, 7.0, -1.0];
        let mut places = Places::default();
        for line in [&[0u32, 1, 1, 2][..], &[], &[1]] {
            places.push(line.iter().copied());
        }
        assert_eq!(Pool::Mean.forward(&table, 2, &places), [4.0, -0.75, 0.0, 0.0, 4.0, 0.0]);
        assert_eq!(Pool::Root.forward(&table, 2, &places), [8.0, -1.5, 0.0, 0.0, 4.0, 0.0]);
        let most = Pool::Max.forward(&table, 2, &places);
        assert_eq!(most, [7.0, 0.0, 0.0, 0.0, 4.0, 0.0]);
        let gradient = [8.0, 16.0, 9.0, 9.0, 1.0, 2.0];
        assert_eq!(Pool::Mean.backward(&table, &most, 2, &places, &gradient), [2.0, 4.0, 5.0, 10.0, 2.0, 4.0]);
        assert_eq!(Pool::Root.backward(&table, &most, 2, &places, &gradient), [4.0, 8.0, 9.0, 18.0, 4.0, 8.0]);
        assert_eq!(Pool::Max.backward(&table, &most, 2, &places, &gradient), [0.0, 0.0, 1.0, 18.0, 8.0, 0.0]);
    }
}
