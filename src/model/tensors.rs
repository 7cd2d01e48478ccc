//! Named tensors of 32-bit floats as a safetensors file: exactly those that are expected, or a refusal by name.
//!
//! Everything is checked against the file's size before memory is taken.

use super::manifest::check_json;
use crate::error::{Error, Result};
use arrow::buffer::{Buffer, ScalarBuffer};
use bytes::Bytes;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Numbers that may be a view of the file that they came from; copies share them.
pub type Floats = ScalarBuffer<f32>;

/// Numbers that one thread checks at once.
const BLOCK: usize = 1 << 18;

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

/// Largest header that is read: models have some dozens of tensors, and reading a header takes several times its size.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The header of a file: bounded, without a key twice, its tensors side by side without a gap or an overlap.
pub(super) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    if let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER_BYTES {
            return Err(refused(format_args!("its header has {length} bytes, at most {MAX_HEADER_BYTES} are read")));
        }
        // The library keeps the last of two equal keys in silence.
        if let Some(header) = rest.get(..length as usize) {
            check_json("its header", header, MAX_HEADER_BYTES).map_err(|e| refused(format_args!("{e}")))?;
        }
    }
    SafeTensors::deserialize(bytes).map_err(|e| refused(format_args!("{e}")))
}

/// The numbers of a file that must hold exactly these tensors: names, shapes, f32, finite. In their order.
pub(super) fn read(bytes: &Bytes, file: &SafeTensors<'_>, expected: &[Expected]) -> Result<Vec<Floats>> {
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
    let numbers = |(name, shape, view): (&String, &Vec<usize>, TensorView)| -> Result<Floats> {
        let numbers = floats(bytes, view.data());
        check(name, &numbers, shape)?;
        Ok(numbers)
    };
    found.into_iter().map(numbers).collect()
}

/// Little-endian numbers that are a part of the file's bytes: a view of them where the machine can read them as they lie.
fn floats(file: &Bytes, part: &[u8]) -> Floats {
    if cfg!(target_endian = "little") && part.as_ptr().cast::<f32>().is_aligned() {
        return Buffer::from(file.slice_ref(part)).into();
    }
    let (numbers, _) = part.as_chunks::<4>();
    numbers.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<f32>>().into()
}

fn check(name: &str, values: &[f32], shape: &[usize]) -> Result<()> {
    let expected: usize = shape.iter().product();
    if values.len() != expected {
        return Err(refused(format_args!("{name} has {} numbers, its shape {shape:?} needs {expected}", values.len())));
    }
    // Without a branch in the inner loop it is as fast as the memory.
    let finite = |block: &[f32]| block.iter().fold(true, |all, v| all & v.is_finite());
    if values.par_chunks(BLOCK).all(finite) {
        return Ok(());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with this header and so many bytes of data.
    fn file(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    }

    fn refusal(header: &str, data: usize) -> String {
        open(&file(header, data)).unwrap_err().to_string()
    }

    const A: &str = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;

    #[test]
    fn a_header_with_a_key_twice_an_overlap_or_a_gap_is_refused() {
        let b = |from: u32, to: u32| format!(r#""b":{{"dtype":"F32","shape":[2],"data_offsets":[{from},{to}]}}"#);
        assert!(open(&file(&format!("{{{A},{}}}", b(8, 16)), 16)).is_ok());
        assert!(refusal(&format!("{{{A},{A}}}"), 8).contains("key \"a\" is given twice"));
        let twice = A.replace("\"shape\":[2]", "\"shape\":[2],\"shape\":[2]");
        assert!(refusal(&format!("{{{twice}}}"), 8).contains("key \"shape\" is given twice"));
        for (from, to, data) in [(4, 12, 12), (0, 8, 8), (12, 20, 20), (8, 16, 12), (8, 16, 20)] {
            assert!(open(&file(&format!("{{{A},{}}}", b(from, to)), data)).is_err(), "{from} {to} {data}");
        }
    }

    #[test]
    fn a_header_beyond_its_bound_is_refused_before_it_is_read() {
        let long = format!("{{{A}{}}}", " ".repeat(MAX_HEADER_BYTES as usize));
        assert!(refusal(&long, 8).contains("at most 1048576 are read"));
        assert!(open(&u64::MAX.to_le_bytes()).unwrap_err().to_string().contains("at most 1048576"));
    }
}
