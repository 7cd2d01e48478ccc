//! What is fitted, and how: the TOML file of `--recipe`.

use serde::{Deserialize, Serialize};

use super::checks::Limits as CheckLimits;
use super::extra::Extra;
use super::fit::Hyper;
use super::screen;
use super::split::{Grouping, Shares, Split};
use super::vague::VagueRecipe;
use crate::error::{Error, Result};
use crate::model::{BagShape, Config};
use crate::text::Grams;

/// What is fitted, and how; a TOML file with the tables `[model]`, `[fit]`, `[split]`, `[vague]`, `[checks]`
/// and any number of `[[extra]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Shape of the network.
    pub model: ModelRecipe,
    /// Settings of the fit.
    pub fit: Hyper,
    /// Shares of the distinct texts that are kept from the fit.
    pub split: SplitRecipe,
    /// Further examples, for training alone.
    pub extra: Vec<Extra>,
    /// How texts that name no goods are learned.
    pub vague: VagueRecipe,
    /// When to refuse the data.
    pub checks: CheckLimits,
}

/// Shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRecipe {
    /// Most pieces of the vocabulary.
    pub vocab_size: usize,
    /// Length of an embedding.
    pub embedding_dim: usize,
    /// Window widths in tokens.
    pub widths: Vec<usize>,
    /// Filters of each width.
    pub filters: usize,
    /// Tokens of a text that are looked at.
    pub max_tokens: usize,
    /// Numbers of the mean over n-grams that stand beside the windows' features; 0 for none.
    pub bag_dim: usize,
    /// Rows of the table of n-grams.
    pub bag_buckets: usize,
    /// Whether each two neighbouring words have a row in it too.
    pub bag_pairs: bool,
    /// Dimensions of the screen that picks the classes to be scored exactly; 0 for none. There is none either when there
    /// are not more than four times as many classes.
    pub screen_dim: usize,
}

impl Default for ModelRecipe {
    fn default() -> Self {
        let c = Config::default_text_cnn(DEFAULT_VOCAB, 2);
        ModelRecipe {
            vocab_size: DEFAULT_VOCAB,
            embedding_dim: c.embedding_dim,
            widths: c.widths,
            filters: c.filters,
            max_tokens: c.max_tokens,
            bag_dim: 256,
            bag_buckets: 1 << 17,
            bag_pairs: true,
            screen_dim: screen::DEFAULT_DIM,
        }
    }
}

impl ModelRecipe {
    /// The network's shape for so many pieces and classes, without its screen.
    ///
    /// # Errors
    /// `Usage` when it is refused.
    pub(super) fn config(&self, vocab_size: usize, classes: usize) -> Result<Config> {
        let grams = Grams { buckets: self.bag_buckets, shortest: 2, longest: 5, pairs: self.bag_pairs };
        let config = Config {
            embedding_dim: self.embedding_dim,
            widths: self.widths.clone(),
            filters: self.filters,
            max_tokens: self.max_tokens,
            bag: (self.bag_dim > 0).then_some(BagShape { dim: self.bag_dim, grams }),
            ..Config::default_text_cnn(vocab_size, classes)
        };
        let screened = Config { screen_dim: (self.screen_dim > 0).then_some(self.screen_dim), ..config.clone() };
        screened.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(config)
    }
}

const DEFAULT_VOCAB: usize = 16_000;

/// Shares of the distinct texts that are kept from the fit, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitRecipe {
    /// Decide when to stop.
    pub stop: f64,
    /// Fit the temperature.
    pub calibrate: f64,
    /// Set the threshold.
    pub threshold: f64,
    /// Measure the finished model.
    pub test: f64,
    /// Keep texts that differ in numbers alone on one side.
    pub without_numbers: bool,
}

impl Default for SplitRecipe {
    fn default() -> Self {
        let s = Shares::default();
        SplitRecipe { stop: s.stop, calibrate: s.calibrate, threshold: s.threshold, test: 0.05, without_numbers: false }
    }
}

impl Recipe {
    /// Refuses settings outside their range, as far as they can be told without lines.
    ///
    /// # Errors
    /// `Usage`, by name.
    pub fn validate(&self) -> Result<()> {
        self.fit.validate()?;
        self.extra.iter().try_for_each(Extra::validate)?;
        self.vague.validate()?;
        self.split()?;
        self.model.config(self.model.vocab_size, 2).map(|_| ())
    }

    /// The split that it asks for.
    ///
    /// # Errors
    /// `Usage` when its shares are not such.
    pub fn split(&self) -> Result<Split> {
        let s = &self.split;
        let shares = Shares { stop: s.stop, calibrate: s.calibrate, threshold: s.threshold, test: s.test };
        Split::new(self.fit.seed, shares, if s.without_numbers { Grouping::TextWithoutNumbers } else { Grouping::Text })
    }
}
