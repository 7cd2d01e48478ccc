//! A network of one of the other architectures with its numbers: read from a file or refused, and what it says of a line.

use super::arithmetic::product;
use super::batch::Batch;
use super::products::Products;
use super::shape::Shape;
use super::tape::Tape;
use crate::error::{Error, Result};
use crate::model::forward::Line;
use crate::model::tensors::{self, Expected};
use bytes::Bytes;
use std::sync::Arc;

/// A network that can answer. Its numbers fit its shape and are finite; copies share them.
#[derive(Clone, Debug)]
pub struct Net {
    shape: Shape,
    /// Those of `Shape::parameters`, in their order.
    values: Arc<Vec<Vec<f32>>>,
}

impl Net {
    /// From the numbers of all tensors, in the order of `Shape::parameters`.
    ///
    /// # Errors
    /// `Registry` when the shape is refused; `Bug` when the numbers are not those of the shape.
    pub(crate) fn new(shape: Shape, values: Vec<Vec<f32>>) -> Result<Net> {
        shape.validate()?;
        let sizes = shape.parameters().into_iter().map(|parameter| parameter.shape.iter().product::<usize>());
        if !sizes.eq(values.iter().map(Vec::len)) {
            return Err(Error::Bug(format!("{} tensors do not fit a {} network", values.len(), shape.name())));
        }
        Ok(Net { values: Arc::new(values), shape })
    }

    /// Its dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    fn expected(shape: &Shape) -> Vec<Expected> {
        shape.parameters().into_iter().map(|parameter| (parameter.name, parameter.shape)).collect()
    }

    /// The file's bytes; the same network gives the same bytes.
    ///
    /// # Errors
    /// `Registry` when a number is not finite.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let found: Vec<&[f32]> = self.values.iter().map(Vec::as_slice).collect();
        tensors::write(&Net::expected(&self.shape), &found)
    }

    /// Reads a file that must hold exactly the tensors of `shape`: names, shapes, f32, finite. Everything is checked against
    /// the file's size before memory is taken.
    ///
    /// # Errors
    /// `Registry` with the tensor that is wrong.
    pub fn from_safetensors(bytes: &Bytes, shape: &Shape) -> Result<Net> {
        shape.validate()?;
        let values = tensors::read(bytes, &tensors::open(bytes)?, &Net::expected(shape))?;
        Net::new(shape.clone(), values.into_iter().map(|values| values.to_vec()).collect())
    }

    /// Logits of some lines, `[lines, classes]`. Each line goes through the network by itself.
    ///
    /// # Errors
    /// `Bug`: a network that was read fits every line.
    pub fn logits(&self, lines: &[Line<'_>]) -> Result<Vec<f32>> {
        logits(&self.shape, &self.values, lines)
    }
}

/// [`Net::logits`] of a network of this shape with these numbers, which fit it.
pub(crate) fn logits(shape: &Shape, values: &[Vec<f32>], lines: &[Line<'_>]) -> Result<Vec<f32>> {
    let parameters: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let Some((bias, body)) = parameters.split_last() else { return Err(Error::Bug("no output layer".to_string())) };
    let (vocab_size, max_tokens) = (shape.vocab_size(), shape.max_tokens());
    let buckets = shape.grams().map_or(0, |grams| grams.buckets);
    let mut features = Vec::new();
    for &line in lines {
        let batch = Batch::of_line(line, max_tokens, vocab_size, buckets);
        let mut tape = Tape::new(body, Products::Exact);
        let last = shape.forward(&mut tape, &batch)?;
        features.extend_from_slice(tape.rows(last));
    }
    let mut logits = match (shape.features(), body.last()) {
        (Some(width), Some(weight)) => {
            let mut logits = vec![0f32; lines.len() * bias.len()];
            product(&features, weight, width, &mut logits);
            logits
        }
        _ => features,
    };
    for logits in logits.chunks_exact_mut(bias.len()) {
        logits.iter_mut().zip(*bias).for_each(|(logit, bias)| *logit += bias);
    }
    Ok(logits)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::shape::tests::shapes;
    use super::*;

    /// A network of numbers by a rule that other programs know: `((7919 i + 10007 t) mod 1009) / 1009 - 0.5` for number `i` of
    /// tensor `t`.
    pub(crate) fn by_rule(shape: &Shape) -> Net {
        let of = |t: usize, count: usize| -> Vec<f32> {
            (0..count).map(|i| (((i * 7919 + t * 10007) % 1009) as f64 / 1009.0 - 0.5) as f32).collect()
        };
        let sizes = shape.parameters().into_iter().map(|parameter| parameter.shape.iter().product());
        let values = sizes.enumerate().map(|(t, size)| of(t, size)).collect();
        Net::new(shape.clone(), values).unwrap()
    }

    const LINES: [Line<'_>; 2] =
        [Line { tokens: &[3, 7, 2, 19, 5, 8, 11], grams: &[0, 39, 12, 12, 7] }, Line { tokens: &[4], grams: &[5] }];

    /// In double precision by PyTorch 2.15: `nn.GRU`, `nn.TransformerEncoderLayer(norm_first=True, activation="relu")`,
    /// `nn.LayerNorm`, sums and means.
    const EXPECTED: [[[f64; 5]; 2]; 4] = [
        [[0.60899, 0.56550, 0.07480, 0.03131, -0.45939], [0.12686, -0.17641, 0.52032, 0.21705, -0.08622]],
        [[0.44915, 0.20868, -0.03180, -0.27227, 0.48725], [0.25228, -0.03164, -0.31557, -0.59949, 0.38628]],
        [[-0.56866, -0.72356, 0.21884, 0.16249, 0.05944], [-0.42642, -0.65221, 0.20239, 0.07798, 0.07877]],
        [[0.64213, 0.64488, -0.49950, -0.83143, -0.83516], [0.73906, 0.61963, -0.54442, -0.84894, -0.87312]],
    ];

    #[test]
    fn every_architecture_answers_as_pytorch_does() {
        for (shape, expected) in shapes().iter().zip(EXPECTED) {
            let logits = by_rule(shape).logits(&LINES).unwrap();
            for (got, expected) in logits.iter().zip(expected.iter().flatten()) {
                assert!((f64::from(*got) - expected).abs() < 1e-5, "{shape:?}: {logits:?}");
            }
        }
    }

    #[test]
    fn a_line_has_the_same_bytes_alone_among_others_and_at_any_number_of_threads() {
        // Large enough that work would be spread over threads.
        let large = Shape::Gru(super::super::Gru {
            vocab_size: 90,
            embedding_dim: 64,
            hidden_dim: 400,
            max_tokens: 60,
            classes: 701,
        });
        let tokens: Vec<u32> = (1..90).collect();
        for shape in shapes().iter().chain([&large]) {
            let net = by_rule(shape);
            let lines: Vec<Line<'_>> =
                (0..9).map(|n| Line { tokens: &tokens[n..(n * n).max(n)], grams: &tokens[..n] }).collect();
            let together = net.logits(&lines).unwrap();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                for (line, together) in lines.iter().zip(together.chunks_exact(shape.classes())) {
                    let alone = pool.install(|| net.logits(&[*line])).unwrap();
                    assert!(alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {line:?}");
                }
            }
        }
    }

    #[test]
    fn lines_without_tokens_and_with_unknown_ids_are_answered() {
        for shape in shapes() {
            let net = by_rule(&shape);
            let none = net.logits(&[Line::default()]).unwrap();
            let odd = net.logits(&[Line { tokens: &[20, u32::MAX], grams: &[40, u32::MAX] }]).unwrap();
            assert_eq!(none, odd, "{shape:?}");
            assert!(net.logits(&[]).unwrap().is_empty());
        }
    }

    #[test]
    fn a_network_survives_its_file() {
        for shape in shapes() {
            let net = by_rule(&shape);
            let bytes = net.to_safetensors().unwrap();
            let read = Net::from_safetensors(&Bytes::from(bytes.clone()), &shape).unwrap();
            assert_eq!(read.to_safetensors().unwrap(), bytes);
            assert_eq!(read.logits(&LINES).unwrap(), net.logits(&LINES).unwrap());
        }
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_by_name() {
        for shape in shapes() {
            let bytes = by_rule(&shape).to_safetensors().unwrap();
            let refused = |bytes: &[u8], shape: &Shape| {
                Net::from_safetensors(&Bytes::copy_from_slice(bytes), shape).unwrap_err().to_string()
            };
            for cut in (0..bytes.len()).step_by(7) {
                assert!(refused(&bytes[..cut], &shape).contains("model.safetensors is refused"));
            }
            let mut infinite = bytes.clone();
            let end = infinite.len();
            infinite[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            assert!(refused(&infinite, &shape).contains("NaN"));
            for other in shapes().iter().filter(|other| **other != shape) {
                assert!(!refused(&bytes, other).is_empty());
            }
            let mut json = serde_json::to_value(&shape).unwrap();
            json["classes"] = 6.into();
            let why = refused(&bytes, &serde_json::from_value(json).unwrap());
            assert!(why.contains("has shape"), "{why}");
        }
    }
}
