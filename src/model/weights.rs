//! The numbers of a Text-CNN, and their `model.safetensors`.
//!
//! Row-major f32. A [`Weights`] that came from a file fits its config, is finite, and has a padding row of zeros.

use super::config::Config;
use super::tensors::{self, Expected, Floats, refused};
use crate::error::{Error, Result};
use bytes::Bytes;

/// Filters of one window width.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Tokens that a window covers.
    pub width: usize,
    /// `[filters, embedding_dim, width]`, as PyTorch's `Conv1d` has it.
    pub weight: Vec<f32>,
    /// `[filters]`.
    pub bias: Vec<f32>,
}

/// All parameters of a Text-CNN. [`super::forward`] defines what they compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// `[vocab_size, embedding_dim]`; row 0 is padding and zero.
    ///
    /// Shared, as it is most of a model, with the engine that is compiled from it.
    pub embedding: Floats,
    /// One for each width of the config, in its order.
    pub convs: Vec<Conv>,
    /// `[classes, features]`.
    pub output: Vec<f32>,
    /// `[classes]`.
    pub output_bias: Vec<f32>,
    /// `[Σ widths × filters]` by width, offset and filter: the largest magnitude of `embedding · kernel` over all
    /// tokens; then, with a bag, the largest of each column of its table; so that an engine can scale its tables without making them all. Absent in files of older versions.
    pub ranges: Option<Vec<f32>>,
    /// The cheap way to rough logits, if the config has one.
    pub screen: Option<Screen>,
    /// The table of n-grams, if the config has one.
    pub bag: Option<Bag>,
}

/// The rows of n-grams whose mean is part of the features.
#[derive(Clone, Debug, PartialEq)]
pub struct Bag {
    /// `[buckets, dim]`; shared as the embedding is.
    pub table: Floats,
    /// Added to the mean, `[dim]`.
    pub bias: Vec<f32>,
}

/// A product of two small matrices that comes close to the output layer: `output · (projection · features) + bias`. The
/// classes that it puts first are scored again by the output layer, the others keep what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Screen {
    /// `[screen_dim, features]`.
    pub projection: Vec<f32>,
    /// `[classes, screen_dim]`.
    pub output: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl Weights {
    /// The file's bytes; the same weights give the same bytes. Fails if the weights do not fit the config.
    pub fn to_safetensors(&self, config: &Config) -> Result<Vec<u8>> {
        config.validate()?;
        let mut found: Vec<&[f32]> = vec![&self.embedding];
        for conv in &self.convs {
            found.extend([conv.weight.as_slice(), conv.bias.as_slice()]);
        }
        found.extend([self.output.as_slice(), self.output_bias.as_slice()]);
        if let Some(bag) = &self.bag {
            found.extend([&bag.table, bag.bias.as_slice()]);
        }
        if let Some(screen) = &self.screen {
            found.extend([screen.projection.as_slice(), screen.output.as_slice(), screen.bias.as_slice()]);
        }
        found.extend(self.ranges.as_deref());
        tensors::write(&expected(config, self.ranges.is_some()), &found)
    }

    /// Reads a file that must hold exactly the tensors of `config`: names, shapes, f32, finite, padding row zero.
    /// Everything is checked against the file's size before memory is taken.
    pub fn from_safetensors(bytes: &Bytes, config: &Config) -> Result<Weights> {
        config.validate()?;
        let file = tensors::open(bytes)?;
        let expected = expected(config, file.names().into_iter().any(|name| name == RANGES));
        Weights::assemble(tensors::read(bytes, &file, &expected)?, config)
    }

    /// From the tensors in the order of [`expected`].
    fn assemble(values: Vec<Floats>, config: &Config) -> Result<Weights> {
        let mut values = values.into_iter();
        let mut next = || values.next().ok_or_else(|| Error::Bug("a tensor is missing".to_string()));
        let embedding = next()?;
        if embedding.iter().take(config.embedding_dim).any(|&v| v != 0.0) {
            return Err(refused(format_args!("embedding.weight row 0, the padding, is not zero")));
        }
        let mut convs = Vec::with_capacity(config.widths.len());
        for &width in &config.widths {
            convs.push(Conv { width, weight: next()?.to_vec(), bias: next()?.to_vec() });
        }
        let (output, output_bias) = (next()?.to_vec(), next()?.to_vec());
        let bag = match config.bag {
            Some(_) => Some(Bag { table: next()?, bias: next()?.to_vec() }),
            None => None,
        };
        let screen = match config.screen_dim {
            Some(_) => Some(Screen { projection: next()?.to_vec(), output: next()?.to_vec(), bias: next()?.to_vec() }),
            None => None,
        };
        let ranges = next().ok().map(|values| values.to_vec());
        if ranges.iter().flatten().any(|&v| v < 0.0) {
            return Err(refused(format_args!("{RANGES} holds a number below 0")));
        }
        Ok(Weights { embedding, convs, output, output_bias, ranges, screen, bag })
    }
}

const RANGES: &str = "engine.ranges";

/// Names and shapes of the file's tensors.
fn expected(config: &Config, ranges: bool) -> Vec<Expected> {
    let mut all = vec![("embedding.weight".to_string(), vec![config.vocab_size, config.embedding_dim])];
    for (n, &width) in config.widths.iter().enumerate() {
        all.push((format!("convs.{n}.weight"), vec![config.filters, config.embedding_dim, width]));
        all.push((format!("convs.{n}.bias"), vec![config.filters]));
    }
    all.push(("fc.weight".to_string(), vec![config.classes, config.features()]));
    all.push(("fc.bias".to_string(), vec![config.classes]));
    if let Some(bag) = config.bag {
        all.push(("bag.weight".to_string(), vec![bag.grams.buckets, bag.dim]));
        all.push(("bag.bias".to_string(), vec![bag.dim]));
    }
    if let Some(dim) = config.screen_dim {
        all.push(("screen.projection".to_string(), vec![dim, config.features()]));
        all.push(("screen.weight".to_string(), vec![config.classes, dim]));
        all.push(("screen.bias".to_string(), vec![config.classes]));
    }
    if ranges {
        let slots = config.widths.iter().sum::<usize>() * config.filters;
        all.push((RANGES.to_string(), vec![slots + config.bag.map_or(0, |bag| bag.dim)]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let small = Config { embedding_dim: 3, filters: 2, widths: vec![1, 3], ..Config::default_text_cnn(5, 4) };
        let grams = crate::text::Grams { buckets: 7, shortest: 2, longest: 3, pairs: false, whole: false };
        Config { screen_dim: Some(2), bag: Some(crate::model::BagShape { dim: 3, grams }), ..small }
    }

    fn weights(config: &Config, ranges: bool) -> Weights {
        let mut n = 0.0;
        let mut values: Vec<Floats> = Vec::new();
        for (_, shape) in expected(config, ranges) {
            let count: usize = shape.iter().product();
            values.push(
                (0..count)
                    .map(|_| {
                        n += 0.25;
                        n
                    })
                    .collect(),
            );
        }
        values[0] = without_padding(&values[0], config);
        Weights::assemble(values, config).unwrap()
    }

    fn without_padding(embedding: &[f32], config: &Config) -> Floats {
        let rows = embedding.iter().enumerate();
        rows.map(|(n, &v)| if n < config.embedding_dim { 0.0 } else { v }).collect()
    }

    fn read(bytes: &[u8], config: &Config) -> Result<Weights> {
        Weights::from_safetensors(&Bytes::copy_from_slice(bytes), config)
    }

    fn message(bytes: &[u8], config: &Config) -> String {
        read(bytes, config).unwrap_err().to_string()
    }

    #[test]
    fn weights_survive_the_file() {
        for (config, ranges) in [(config(), false), (Config { screen_dim: None, ..config() }, true)] {
            let weights = weights(&config, ranges);
            assert_eq!(weights.ranges.is_some(), ranges);
            let bytes = weights.to_safetensors(&config).unwrap();
            assert_eq!(read(&bytes, &config).unwrap(), weights);
            assert_eq!(bytes, weights.to_safetensors(&config).unwrap());
        }
    }

    /// Numbers are read where they lie if they can be, and copied if not.
    #[test]
    fn weights_are_the_same_wherever_the_file_lies() {
        let config = config();
        let weights = weights(&config, true);
        let file = weights.to_safetensors(&config).unwrap();
        for before in 0..5 {
            let bytes = Bytes::from([&vec![7; before], &file[..]].concat()).slice(before..);
            assert_eq!(Weights::from_safetensors(&bytes, &config).unwrap(), weights, "{before} bytes before");
        }
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_by_name() {
        let config = config();
        let bytes = weights(&config, true).to_safetensors(&config).unwrap();
        assert!(message(&bytes, &Config { classes: 5, ..config.clone() }).contains("fc.weight has shape [4, 7]"));
        assert!(message(&bytes, &Config { screen_dim: None, ..config.clone() }).contains("screen."));
        assert!(message(&bytes, &Config { widths: vec![1], ..config.clone() }).contains("convs.1"));
        assert!(
            message(&bytes, &Config { widths: vec![1, 3, 4], ..config.clone() }).contains("convs.2.weight is miss")
        );
    }

    #[test]
    fn broken_bytes_are_refused() {
        let config = config();
        let bytes = weights(&config, true).to_safetensors(&config).unwrap();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], &config).is_err());
        }
        let mut infinite = bytes.clone();
        let end = infinite.len();
        infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(message(&infinite, &config).contains("inf"));
        let mut huge = bytes;
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&huge, &config).is_err());
    }

    #[test]
    fn ranges_below_zero_are_refused() {
        let config = config();
        let mut weights = weights(&config, true);
        weights.ranges.as_mut().unwrap()[1] = -1.0;
        assert!(message(&weights.to_safetensors(&config).unwrap(), &config).contains("engine.ranges"));
    }

    #[test]
    fn a_padding_row_with_numbers_is_refused() {
        let config = config();
        let mut weights = weights(&config, false);
        weights.embedding = std::iter::once(1.0).chain(weights.embedding.iter().copied().skip(1)).collect();
        assert!(message(&weights.to_safetensors(&config).unwrap(), &config).contains("padding"));
    }
}
