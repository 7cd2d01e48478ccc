//! The other architectures: linear, averaged, recurrent and attending networks.
//!
//! Each file holds one architecture: its dimensions, its tensors by name and shape, and its way from a batch of lines to their
//! features, as steps on a `Tape`. Training and serving share that way; what differs is the product of matrices
//! (`Products`). An output layer makes logits of the features: those of a line depend on its tokens, its n-grams and the
//! weights alone, bit for bit, on every machine, whatever is computed beside it.

mod arithmetic;
mod attention;
mod averaged;
mod batch;
mod gru;
mod linear;
mod net;
mod normal;
mod pool;
mod products;
mod recurrence;
mod shape;
mod tape;
mod transformer;

pub use averaged::Averaged;
pub use gru::Gru;
pub use linear::Linear;
pub use net::Net;
pub use shape::Shape;
pub use transformer::Transformer;

pub(crate) use arithmetic::{add_scaled, column_sums, exp};
pub(crate) use batch::{Batch, Places};
pub(crate) use net::logits;
pub(crate) use products::Products;
pub(crate) use shape::{Parameter, Role, Start};
pub(crate) use tape::Tape;

use rayon::prelude::*;

/// Numbers from which on work is spread over threads; below, handing it over costs more than it saves.
const PARALLEL: usize = 1 << 14;

/// `work` on every row of so many numbers, with its place.
fn for_rows(values: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let width = width.max(1);
    if values.len() < PARALLEL {
        values.chunks_mut(width).enumerate().for_each(|(n, row)| work(n, row));
    } else {
        values.par_chunks_mut(width).enumerate().for_each(|(n, row)| work(n, row));
    }
}

/// `work` on parts of these lengths, one after the other, with their places.
fn for_parts(values: &mut [f32], lengths: impl Iterator<Item = usize>, work: impl Fn(usize, &mut [f32]) + Sync) {
    let all = values.len();
    let mut rest = values;
    let mut parts = Vec::new();
    for length in lengths {
        let (part, behind) = std::mem::take(&mut rest).split_at_mut(length);
        parts.push(part);
        rest = behind;
    }
    if all < PARALLEL {
        parts.into_iter().enumerate().for_each(|(n, part)| work(n, part));
    } else {
        parts.into_par_iter().enumerate().for_each(|(n, part)| work(n, part));
    }
}
