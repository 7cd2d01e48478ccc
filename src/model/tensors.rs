//! Named tensors of 32-bit floats as a safetensors file: exactly those that are expected, or a refusal by name.
//!
//! Everything is checked against the file's size before memory is taken.

use crate::error::{Error, Result};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// A tensor's name and shape.
pub(super) type Expected = (String, Vec<usize>);

/// The bytes of a file with these tensors; the same numbers give the same bytes.
///
/// # Errors
/// `Registry` when a tensor's numbers do not fit its shape or are not finite.
pub(super) fn write(expected: &[Expected], found: &[&[f32]]) -> Result<Vec<u8>> {
    if found.len() != expected.len() {
        return Err(Error::Bug(format!("{} tensors where {} belong", found.len(), expected.len())));
    }
    let mut named = Vec::with_capacity(expected.len());
    for ((name, shape), values) in expected.iter().zip(found) {
        check(name, values, shape)?;
        named.push((name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()));
    }
    let mut views = Vec::with_capacity(named.len());
    for (name, shape, bytes) in &named {
        let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes);
        views.push((name, view.map_err(|e| Error::Bug(format!("{name}: {e}")))?));
    }
    safetensors::serialize(views, None).map_err(|e| Error::Bug(format!("weights cannot be written: {e}")))
}

/// The header of a file.
pub(super) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(bytes).map_err(|e| refused(format_args!("{e}")))
}

/// The numbers of a file that must hold exactly these tensors: names, shapes, f32, finite. In their order.
pub(super) fn read(file: &SafeTensors<'_>, expected: &[Expected]) -> Result<Vec<Vec<f32>>> {
    if let Some(extra) = file.names().into_iter().find(|name| !expected.iter().any(|(n, _)| n == name)) {
        return Err(refused(format_args!("{extra} is not a tensor of this model")));
    }
    let mut found = Vec::with_capacity(expected.len());
    for (name, shape) in expected {
        let view = file.tensor(name).map_err(|_| refused(format_args!("{name} is missing")))?;
        if view.dtype() != Dtype::F32 {
            return Err(refused(format_args!("{name} has type {:?}, not F32", view.dtype())));
        }
        if view.shape() != shape.as_slice() {
            return Err(refused(format_args!("{name} has shape {:?}, the config says {shape:?}", view.shape())));
        }
        found.push((name, shape, view));
    }
    let numbers = |(name, shape, view): (&String, &Vec<usize>, TensorView)| -> Result<Vec<f32>> {
        let (numbers, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = numbers.par_iter().map(|&b| f32::from_le_bytes(b)).collect();
        check(name, &numbers, shape)?;
        Ok(numbers)
    };
    // The first refusal in the order of the tensors is the one that is told.
    let values: Vec<Result<Vec<f32>>> = found.into_par_iter().map(numbers).collect();
    values.into_iter().collect()
}

fn check(name: &str, values: &[f32], shape: &[usize]) -> Result<()> {
    let expected: usize = shape.iter().product();
    if values.len() != expected {
        return Err(refused(format_args!("{name} has {} numbers, its shape {shape:?} needs {expected}", values.len())));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(refused(format_args!("{name} holds {} at place {at}", values[at]))),
        None => Ok(()),
    }
}

/// Why the file is not taken.
pub(super) fn refused(why: std::fmt::Arguments<'_>) -> Error {
    Error::Registry(format!("model.safetensors is refused: {why}"))
}
