//! `config.json` of the other architectures: every dimension of their weights, and the bounds that these must keep.

use super::batch::Batch;
use super::tape::{Made, Tape};
use super::{Averaged, Gru, Linear, Transformer};
use crate::error::{Error, Result};
use crate::model::config::{MAX_DIMENSION, MAX_FEATURES, grams_fit};
use crate::text::Grams;
use serde::{Deserialize, Serialize};

/// Most numbers of a network: as 32-bit floats they fit the largest file of weights that is read, with its header.
const MAX_NUMBERS: usize = (1 << 28) - (1 << 16);

/// Which architecture, and every dimension of its weights.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum Shape {
    /// A sum over n-grams.
    Linear(Linear),
    /// Means of n-grams and tokens, and a layer.
    Averaged(Averaged),
    /// A recurrent network in both directions.
    Gru(Gru),
    /// An encoder with attention.
    Transformer(Transformer),
}

/// What a tensor is looked up by, or used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A row for each token.
    Tokens,
    /// A row for each bucket of n-grams.
    Grams,
    /// A factor; weight decay applies.
    Weight,
    /// A bias or gain.
    Vector,
}

/// What the numbers of a tensor are before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// Normally distributed around 0 with this standard deviation.
    Spread(f32),
    /// All this number.
    Value(f32),
}

/// One tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// Name in the file, as PyTorch's modules have it.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// How it begins.
    pub start: Start,
}

impl Parameter {
    pub(super) fn new(name: impl Into<String>, shape: &[usize], role: Role, start: Start) -> Parameter {
        Parameter { name: name.into(), shape: shape.to_vec(), role, start }
    }

    /// `[rows, columns]`, beginning so that the sums of a row are about as large as what goes into them.
    pub(super) fn weight(name: impl Into<String>, rows: usize, columns: usize) -> Parameter {
        let spread = 1.0 / (columns.max(1) as f32).sqrt();
        Parameter::new(name, &[rows, columns], Role::Weight, Start::Spread(spread))
    }

    pub(super) fn vector(name: impl Into<String>, size: usize, value: f32) -> Parameter {
        Parameter::new(name, &[size], Role::Vector, Start::Value(value))
    }
}

/// What an architecture says of itself.
pub(super) trait Architecture {
    /// Its dimensions by the names of the config.
    fn dimensions(&self) -> Vec<(&'static str, usize)>;

    /// What else it refuses, in words.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    /// Numbers that describe a line; `None` if they are the logits but for a bias.
    fn features(&self) -> Option<usize>;

    /// Its tensors before the output layer.
    fn body(&self) -> Vec<Parameter>;

    /// From lines to their features, `[lines, features]`. The tape's parameters are those of [`Architecture::body`] in their
    /// order.
    fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made>;
}

impl Shape {
    /// Names of the architectures.
    pub const NAMES: [&str; 4] = ["linear", "averaged", "gru", "transformer"];

    /// Name of the architecture.
    pub fn name(&self) -> &'static str {
        match self {
            Shape::Linear(_) => Self::NAMES[0],
            Shape::Averaged(_) => Self::NAMES[1],
            Shape::Gru(_) => Self::NAMES[2],
            Shape::Transformer(_) => Self::NAMES[3],
        }
    }

    fn architecture(&self) -> &dyn Architecture {
        match self {
            Shape::Linear(shape) => shape,
            Shape::Averaged(shape) => shape,
            Shape::Gru(shape) => shape,
            Shape::Transformer(shape) => shape,
        }
    }

    /// Classes, that is, rows of the output layer.
    pub fn classes(&self) -> usize {
        match self {
            Shape::Linear(Linear { classes, .. })
            | Shape::Averaged(Averaged { classes, .. })
            | Shape::Gru(Gru { classes, .. })
            | Shape::Transformer(Transformer { classes, .. }) => *classes,
        }
    }

    /// Tokens of a line that are looked at, and words of which the n-grams are.
    pub fn max_tokens(&self) -> usize {
        match self {
            Shape::Linear(Linear { max_tokens, .. })
            | Shape::Averaged(Averaged { max_tokens, .. })
            | Shape::Gru(Gru { max_tokens, .. })
            | Shape::Transformer(Transformer { max_tokens, .. }) => *max_tokens,
        }
    }

    /// The n-grams that it sees, if any.
    pub fn grams(&self) -> Option<Grams> {
        match self {
            Shape::Linear(Linear { grams, .. }) | Shape::Averaged(Averaged { grams, .. }) => Some(*grams),
            Shape::Gru(_) | Shape::Transformer(_) => None,
        }
    }

    /// Rows of the token embedding; 0 if it sees no tokens.
    pub fn vocab_size(&self) -> usize {
        match self {
            Shape::Linear(_) => 0,
            Shape::Averaged(Averaged { vocab_size, .. })
            | Shape::Gru(Gru { vocab_size, .. })
            | Shape::Transformer(Transformer { vocab_size, .. }) => *vocab_size,
        }
    }

    /// Numbers that describe a line before the output layer; `None` if there is no such layer.
    pub(crate) fn features(&self) -> Option<usize> {
        self.architecture().features()
    }

    /// Refuses a shape that is empty or absurd. Sizes computed from a valid one do not overflow.
    ///
    /// # Errors
    /// `Registry`, with the dimension.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::Registry(format!("the model's config is refused: {why}")));
        let mut dimensions = self.architecture().dimensions();
        dimensions.extend([("max_tokens", self.max_tokens()), ("classes", self.classes())]);
        if let Some((name, value)) = dimensions.into_iter().find(|&(_, v)| v == 0 || v > MAX_DIMENSION) {
            return refuse(format!("{name} is {value}, it must be 1 to {MAX_DIMENSION}"));
        }
        if let Some(features) = self.features().filter(|&features| features > MAX_FEATURES) {
            return refuse(format!("it has {features} features, at most {MAX_FEATURES} are taken"));
        }
        if let Err(why) = self.grams().map_or(Ok(()), |grams| grams_fit(&grams)).and(self.architecture().check()) {
            return refuse(why);
        }
        let numbers = self.parameters().iter().try_fold(0usize, |sum, parameter| {
            let size = parameter.shape.iter().try_fold(1usize, |size, &n| size.checked_mul(n));
            size.and_then(|size| sum.checked_add(size))
        });
        match numbers {
            Some(numbers) if numbers <= MAX_NUMBERS => Ok(()),
            _ => refuse(format!("it has more than {MAX_NUMBERS} parameters; fewer bag_buckets or dimensions fit")),
        }
    }

    /// All tensors: those of the body, then the output layer's weight, `[classes, features]`, unless the features are logits,
    /// and its bias.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let mut all = self.architecture().body();
        if let Some(features) = self.features() {
            all.push(Parameter::weight("fc.weight", self.classes(), features));
        }
        all.push(Parameter::vector("fc.bias", self.classes(), 0.0));
        all
    }

    /// From lines to their features, `[lines, features]`. The tape's parameters are the tensors before the output layer. Places of
    /// the batch are rows of their tables, which may hold a part of all rows.
    pub(crate) fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made> {
        self.architecture().forward(tape, batch)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const GRAMS: Grams = Grams { buckets: 40, shortest: 2, longest: 3, pairs: true, whole: false };

    /// A small one of each.
    pub(crate) fn shapes() -> [Shape; 4] {
        let (vocab_size, max_tokens, classes) = (20, 6, 5);
        [
            Shape::Linear(Linear { grams: GRAMS, max_tokens, classes }),
            Shape::Averaged(Averaged {
                vocab_size,
                embedding_dim: 3,
                grams: GRAMS,
                bag_dim: 4,
                hidden_dim: 7,
                max_tokens,
                classes,
            }),
            Shape::Gru(Gru { vocab_size, embedding_dim: 5, hidden_dim: 3, max_tokens, classes }),
            Shape::Transformer(Transformer {
                vocab_size,
                embedding_dim: 6,
                layers: 2,
                heads: 2,
                hidden_dim: 9,
                max_tokens,
                classes,
            }),
        ]
    }

    #[test]
    fn a_config_survives_json_and_names_its_architecture() {
        for (shape, name) in shapes().into_iter().zip(Shape::NAMES) {
            shape.validate().unwrap();
            let text = serde_json::to_string(&shape).unwrap();
            assert!(text.starts_with(&format!("{{\"architecture\":\"{name}\"")), "{text}");
            assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), shape);
            assert!(serde_json::from_str::<Shape>(&text.replace("\"classes\"", "\"k\": 1, \"classes\"")).is_err());
            assert!(serde_json::from_str::<Shape>(&text.replace("\"classes\"", "\"klasses\"")).is_err());
        }
    }

    #[test]
    fn absurd_shapes_are_refused() {
        let [linear, averaged, gru, transformer] = shapes();
        let with = |shape: &Shape, key: &str, value: usize| -> Result<()> {
            let mut json = serde_json::to_value(shape).unwrap();
            *json.pointer_mut(&format!("/{key}")).unwrap() = value.into();
            serde_json::from_value::<Shape>(json).unwrap().validate()
        };
        for (shape, key, value) in [
            (&linear, "classes", 0),
            (&linear, "grams/shortest", 1),
            (&linear, "grams/longest", 9),
            (&linear, "grams/buckets", 1 << 30),
            (&averaged, "hidden_dim", 1 << 20),
            (&averaged, "bag_dim", 0),
            (&gru, "hidden_dim", usize::MAX),
            (&gru, "vocab_size", 0),
            (&transformer, "heads", 4),
            (&transformer, "layers", 0),
            (&transformer, "layers", 100),
            (&transformer, "max_tokens", 1 << 20),
        ] {
            let why = with(shape, key, value).unwrap_err().to_string();
            assert!(why.contains("config is refused"), "{key}: {why}");
        }
        let mut large = linear.clone();
        let Shape::Linear(shape) = &mut large else { unreachable!() };
        (shape.grams.buckets, shape.classes) = (1 << 17, 5000);
        assert!(large.validate().unwrap_err().to_string().contains("fewer bag_buckets"));
    }
}
