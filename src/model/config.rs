//! The shape of a Text-CNN (Kim 2014, <https://aclanthology.org/D14-1181>) and the bounds it must keep.

use crate::error::{Error, Result};
use crate::text::Grams;
use serde::{Deserialize, Serialize};

/// Name of this architecture.
pub(super) const ARCHITECTURE: &str = "text-cnn";
/// Largest value of any single dimension; keeps every product of two of them far below 2^63.
pub(super) const MAX_DIMENSION: usize = 1 << 21;
/// Most parameters of one model: 4 GiB as f32.
const MAX_PARAMETERS: usize = 1 << 30;
/// Widest window, in tokens.
const MAX_WIDTH: usize = 16;
/// Most numbers of a bag's row: a thread remembers the sums of thousands of words.
const MAX_BAG_DIM: usize = 4096;
/// Longest n-gram, in characters.
const MAX_GRAM: usize = 8;

/// `config.json` of a model: every dimension of its weights.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Config {
    /// `text-cnn`.
    pub architecture: String,
    /// Rows of the embedding, reserved ids included.
    pub vocab_size: usize,
    /// Numbers for each token.
    pub embedding_dim: usize,
    /// Window widths in tokens, each with its own filters.
    pub widths: Vec<usize>,
    /// Filters of each width.
    pub filters: usize,
    /// Tokens of a line that are looked at; the rest is cut.
    pub max_tokens: usize,
    /// Classes, that is, rows of the output layer.
    pub classes: usize,
    /// Dimensions of the screen that picks the classes to be scored exactly, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen_dim: Option<usize>,
    /// The mean over the n-grams of a line's words, if it is among the features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bag: Option<BagShape>,
}

/// A table of n-grams whose mean is part of a line's features.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct BagShape {
    /// Numbers of each row, and of the mean.
    pub dim: usize,
    /// The n-grams and their rows.
    pub grams: Grams,
}

/// Most features: more could overflow the engine's sums.
pub const MAX_FEATURES: usize = 65_536;

/// Most dimensions of a screen.
const MAX_SCREEN_DIM: usize = 4096;

impl Config {
    /// The shape that measured best on the customs lines: accuracy against training time on two cores.
    pub fn default_text_cnn(vocab_size: usize, classes: usize) -> Config {
        Config {
            architecture: ARCHITECTURE.to_string(),
            vocab_size,
            embedding_dim: 128,
            widths: vec![1, 2, 3, 4],
            filters: 160,
            max_tokens: 48,
            classes,
            screen_dim: None,
            bag: None,
        }
    }

    /// Numbers that describe a line before the output layer: one for each filter of each width, then those of the bag.
    pub fn features(&self) -> usize {
        self.conv_features() + self.bag.map_or(0, |bag| bag.dim)
    }

    /// Those of the windows alone.
    pub fn conv_features(&self) -> usize {
        self.widths.len() * self.filters
    }

    /// Refuses a shape that is empty, absurd, or of another architecture. Sizes computed from a valid one do not
    /// overflow.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::Registry(format!("the model's config is refused: {why}")));
        if self.architecture != ARCHITECTURE {
            return refuse(format!("architecture {:?} is not {ARCHITECTURE:?}", self.architecture));
        }
        let dimensions = [
            ("vocab_size", self.vocab_size),
            ("embedding_dim", self.embedding_dim),
            ("filters", self.filters),
            ("max_tokens", self.max_tokens),
            ("classes", self.classes),
            ("screen_dim", self.screen_dim.unwrap_or(1)),
            ("bag.dim", self.bag.map_or(1, |bag| bag.dim)),
            ("bag.grams.buckets", self.bag.map_or(1, |bag| bag.grams.buckets)),
            ("number of widths", self.widths.len()),
        ];
        if let Some((name, value)) = dimensions.into_iter().find(|&(_, v)| v == 0 || v > MAX_DIMENSION) {
            return refuse(format!("{name} is {value}, it must be 1 to {MAX_DIMENSION}"));
        }
        if self.features() > MAX_FEATURES {
            return refuse(format!("it has {} features, at most {MAX_FEATURES} are taken", self.features()));
        }
        if self.bag.is_some_and(|bag| bag.dim > MAX_BAG_DIM) {
            return refuse(format!("bag.dim must be 1 to {MAX_BAG_DIM}"));
        }
        if self.screen_dim.is_some_and(|dim| dim > MAX_SCREEN_DIM) {
            return refuse(format!("screen_dim must be 1 to {MAX_SCREEN_DIM}"));
        }
        if let Some(Err(why)) = self.bag.map(|bag| grams_fit(&bag.grams)) {
            return refuse(why);
        }
        if self.widths.iter().any(|&w| w == 0 || w > MAX_WIDTH) || !self.widths.is_sorted_by(|a, b| a < b) {
            return refuse(format!("widths {:?} must rise and lie between 1 and {MAX_WIDTH}", self.widths));
        }
        if self.vocab_size < 2 {
            return refuse("vocab_size leaves no room for the padding and the unknown token".to_string());
        }
        match self.parameters() {
            Some(n) if n <= MAX_PARAMETERS => Ok(()),
            _ => refuse(format!("it has more than {MAX_PARAMETERS} parameters")),
        }
    }

    /// Number of weights; none if it cannot be counted.
    fn parameters(&self) -> Option<usize> {
        let embedding = self.vocab_size.checked_mul(self.embedding_dim)?;
        let width: usize = self.widths.iter().sum();
        // The engine pads filters.
        let filters = self.filters.checked_next_multiple_of(64)?;
        let convs = width.checked_mul(filters)?.checked_mul(self.embedding_dim)?;
        let output = self.classes.checked_mul(self.features() + 1)?;
        let screen = self.screen_dim.unwrap_or(0).checked_mul(self.features().checked_add(self.classes)?)?;
        let bag = self.bag.map_or(Some(0), |bag| bag.grams.buckets.checked_mul(bag.dim))?;
        embedding
            .checked_add(convs)?
            .checked_add(bag)?
            .checked_add(screen)?
            .checked_add(output)?
            .checked_add(self.features())
    }
}

/// Refuses n-grams that are too short or too long, in words.
pub(super) fn grams_fit(grams: &Grams) -> std::result::Result<(), String> {
    let Grams { shortest, longest, .. } = *grams;
    if 2 <= shortest && shortest <= longest && longest <= MAX_GRAM {
        return Ok(());
    }
    Err(format!("n-grams of {shortest} to {longest} characters: they must be of 2 to {MAX_GRAM}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_shapes_are_refused() {
        let good = Config::default_text_cnn(100, 10);
        assert!(good.validate().is_ok());
        let broken: [fn(&mut Config); 9] = [
            |c| c.filters = 20_000,
            |c| c.screen_dim = Some(5000),
            |c| c.architecture = "transformer".to_string(),
            |c| c.classes = 0,
            |c| c.vocab_size = usize::MAX,
            |c| c.widths = vec![],
            |c| c.widths = vec![2, 1],
            |c| c.screen_dim = Some(0),
            |c| (c.vocab_size, c.embedding_dim) = (MAX_DIMENSION, MAX_DIMENSION),
        ];
        for change in broken {
            let mut config = good.clone();
            change(&mut config);
            assert!(config.validate().is_err(), "{config:?}");
        }
    }

    #[test]
    fn config_survives_json() {
        let config = Config { screen_dim: Some(8), ..Config::default_text_cnn(100, 10) };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }
}
