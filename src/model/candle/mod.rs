//! The other architectures, one behind another's place: linear, averaged, recurrent and attending networks, as candle's tensors.
//!
//! Each file holds one architecture: its dimensions, its tensors by name and shape, and its way from a batch of lines to their
//! features. Training and serving share that way; what differs is the product of matrices ([`Products`]). An output layer
//! makes logits of the features: those of a line depend on its tokens, its n-grams and the weights alone, bit for bit, on
//! every machine, whatever is computed beside it.

mod arithmetic;
mod attention;
mod averaged;
mod batch;
mod dense;
mod gru;
mod linear;
mod net;
mod pool;
mod recurrence;
mod shape;
mod transformer;

pub use averaged::Averaged;
pub use gru::Gru;
pub use linear::Linear;
pub use net::Net;
pub use shape::Shape;
pub use transformer::Transformer;

pub(crate) use arithmetic::{add_scaled, column_sums, exp};
pub(crate) use batch::{Batch, Places};
pub(crate) use dense::Products;
pub(crate) use shape::{Parameter, Role, Start};

use crate::error::{Error, Result};
use candle_core::{CpuStorage, Layout, Storage, Tensor};
use rayon::prelude::*;

/// Numbers from which on work is spread over threads; below, handing it over costs more than it saves.
const PARALLEL: usize = 1 << 14;

/// The numbers of a contiguous f32 tensor.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a contiguous f32 tensor is needed"),
    }
}

/// Runs `read` on the numbers of a contiguous tensor.
pub(crate) fn with_slice<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(read(slice(storage, layout)?)),
        _ => Err(Error::Bug("a tensor is not in main memory".to_string())),
    }
}

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
