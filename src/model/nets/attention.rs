//! Scaled dot-product attention with several heads (Vaswani and others 2017, <https://arxiv.org/abs/1706.03762>, equation 1),
//! each line looking at its own tokens alone.

use super::arithmetic::{add_scaled, dot, softmax};
use super::batch::Places;
use super::for_parts;

/// One head of one line.
#[derive(Clone, Copy)]
struct Head<'a> {
    /// Queries, keys and values of the line, `[tokens, 3 dim]`.
    line: &'a [f32],
    dim: usize,
    /// Where the head's numbers begin, and how many they are.
    first: usize,
    size: usize,
}

impl Head<'_> {
    fn part(&self, token: usize, which: usize) -> &[f32] {
        &self.line[token * 3 * self.dim + which * self.dim + self.first..][..self.size]
    }

    fn tokens(&self) -> usize {
        self.line.len() / (3 * self.dim)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// How much a token looks at each other.
    fn shares(&self, token: usize) -> Vec<f32> {
        let query = self.part(token, 0);
        let mut shares: Vec<f32> =
            (0..self.tokens()).map(|other| dot(query, self.part(other, 1)) * self.scale()).collect();
        softmax(&mut shares);
        shares
    }

    fn forward(&self, out: &mut [f32]) {
        for (token, out) in out.chunks_exact_mut(self.dim).enumerate() {
            let out = &mut out[self.first..][..self.size];
            for (other, share) in self.shares(token).into_iter().enumerate() {
                add_scaled(out, share, self.part(other, 2));
            }
        }
    }

    /// Adds to `out`, `[tokens, 3 dim]`, the gradients of queries, keys and values.
    fn backward(&self, gradient: &[f32], out: &mut [f32]) {
        let place = |token: usize, which: usize| {
            let at = token * 3 * self.dim + which * self.dim + self.first;
            at..at + self.size
        };
        for (token, gradient) in gradient.chunks_exact(self.dim).enumerate() {
            let gradient = &gradient[self.first..][..self.size];
            let shares = self.shares(token);
            let of_shares: Vec<f32> = (0..shares.len()).map(|other| dot(gradient, self.part(other, 2))).collect();
            let even = dot(&shares, &of_shares);
            for (other, (share, of_share)) in shares.iter().zip(&of_shares).enumerate() {
                add_scaled(&mut out[place(other, 2)], *share, gradient);
                let of_score = share * (of_share - even) * self.scale();
                add_scaled(&mut out[place(token, 0)], of_score, self.part(other, 1));
                add_scaled(&mut out[place(other, 1)], of_score, self.part(token, 0));
            }
        }
    }
}

fn heads_of(line: &[f32], dim: usize, heads: usize) -> impl Iterator<Item = Head<'_>> {
    let size = dim / heads;
    (0..heads).map(move |head| Head { line, dim, first: head * size, size })
}

/// `[tokens, 3 dim]`, queries, keys and values side by side → `[tokens, dim]`. Heads are equal parts of `dim`.
pub fn forward(together: &[f32], dim: usize, lines: &Places, heads: usize) -> Vec<f32> {
    let mut out = vec![0f32; together.len() / 3];
    let ranges: Vec<_> = lines.ranges().collect();
    for_parts(&mut out, ranges.iter().map(|range| range.len() * dim), |n, out| {
        let line = &together[ranges[n].start * 3 * dim..ranges[n].end * 3 * dim];
        heads_of(line, dim, heads).for_each(|head| head.forward(out));
    });
    out
}

/// The gradient of queries, keys and values from that of what [`forward`] made of them.
pub fn backward(together: &[f32], dim: usize, lines: &Places, heads: usize, gradient: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; together.len()];
    let ranges: Vec<_> = lines.ranges().collect();
    for_parts(&mut out, ranges.iter().map(|range| range.len() * 3 * dim), |n, out| {
        let line = &together[ranges[n].start * 3 * dim..ranges[n].end * 3 * dim];
        let gradient = &gradient[ranges[n].start * dim..ranges[n].end * dim];
        heads_of(line, dim, heads).for_each(|head| head.backward(gradient, out));
    });
    out
}
