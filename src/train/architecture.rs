//! The architectures that a recipe can ask for: which keys each has, their defaults, and the shape that they give.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fit::Hyper;
use super::recipe::{ModelRecipe, Recipe};
use crate::error::{Error, Result};
use crate::model::nets::{Averaged, Gru, Linear, Shape, Transformer};
use crate::model::{Config, NetworkConfig};

/// What computes the logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Windows over tokens, and averaged n-grams: served by the fast engine.
    #[default]
    TextCnn,
    /// A sum over n-grams.
    Linear,
    /// Means of n-grams and tokens, and a layer.
    Averaged,
    /// A recurrent network in both directions.
    Gru,
    /// An encoder with attention.
    Transformer,
}

/// Keys of `[model]` that not every architecture has, with those that have them.
const MODEL_KEYS: [(&str, &[Architecture]); 11] = {
    use Architecture::{Averaged, Gru, Linear, TextCnn, Transformer};
    [
        ("embedding_dim", &[TextCnn, Averaged, Gru, Transformer]),
        ("widths", &[TextCnn]),
        ("filters", &[TextCnn]),
        ("bag_dim", &[TextCnn, Averaged]),
        ("bag_buckets", &[TextCnn, Linear, Averaged]),
        ("bag_pairs", &[TextCnn, Linear, Averaged]),
        ("bag_whole", &[TextCnn, Linear, Averaged]),
        ("screen_dim", &[TextCnn]),
        ("hidden_dim", &[Averaged, Gru, Transformer]),
        ("layers", &[Transformer]),
        ("heads", &[Transformer]),
    ]
};

/// The same for `[fit]`.
const FIT_KEYS: [(&str, &[Architecture]); 11] = {
    use Architecture::{Averaged, Gru, TextCnn, Transformer};
    [
        ("members", &[TextCnn]),
        ("plain_members", &[TextCnn]),
        ("plain_weight", &[TextCnn]),
        ("bag", &[TextCnn]),
        ("dropout", &[TextCnn, Averaged, Gru, Transformer]),
        ("split_ratio", &[TextCnn, Averaged, Gru, Transformer]),
        ("embedding_rate_ratio", &[TextCnn, Averaged, Gru, Transformer]),
        ("weight_decay", &[TextCnn, Averaged, Gru, Transformer]),
        ("embedding_decay", &[TextCnn, Averaged, Gru, Transformer]),
        ("clip_norm", &[TextCnn, Averaged, Gru, Transformer]),
        ("average_decay", &[TextCnn, Averaged, Gru, Transformer]),
    ]
};

impl Architecture {
    /// As the recipe has it.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::TextCnn => "text-cnn",
            Architecture::Linear => "linear",
            Architecture::Averaged => "averaged",
            Architecture::Gru => "gru",
            Architecture::Transformer => "transformer",
        }
    }

    /// What a recipe says of it where it says nothing else.
    pub fn defaults(self) -> Recipe {
        let (model, fit) = (ModelRecipe { architecture: self, ..ModelRecipe::default() }, Hyper::default());
        // One network is trained, and nothing is joined.
        let alone = Hyper { members: 1, plain_members: 0, ..fit.clone() };
        let (model, fit) = match self {
            Architecture::TextCnn => (model, fit),
            Architecture::Linear => {
                let fit = Hyper { epochs: 6, batch_rows: 128, learning_rate: 4.0, label_smoothing: 0.0, ..alone };
                (ModelRecipe { bag_buckets: 1 << 15, ..model }, fit)
            }
            Architecture::Averaged => {
                let fit = Hyper {
                    epochs: 10,
                    embedding_rate_ratio: 8.0,
                    dropout: 0.3,
                    average_decay: 0.0,
                    weight_decay: 0.01,
                    ..alone
                };
                (ModelRecipe { hidden_dim: 384, ..model }, fit)
            }
            Architecture::Gru => (ModelRecipe { hidden_dim: 192, ..model }, Hyper { epochs: 12, ..alone }),
            Architecture::Transformer => {
                let fit = Hyper { epochs: 14, learning_rate: 1e-3, embedding_rate_ratio: 4.0, ..alone };
                (ModelRecipe { hidden_dim: 256, layers: 2, heads: 4, ..model }, fit)
            }
        };
        Recipe { model, fit, ..Recipe::default() }
    }

    /// Whether a key of a table of the recipe does something.
    pub(super) fn has(self, table: &str, key: &str) -> bool {
        let keys: &[(&str, &[Architecture])] = match table {
            "model" => &MODEL_KEYS,
            "fit" => &FIT_KEYS,
            _ => &[],
        };
        keys.iter().find(|(name, _)| *name == key).is_none_or(|(_, all)| all.contains(&self))
    }

    /// Refuses a key that this architecture does not have: it would do nothing.
    ///
    /// # Errors
    /// `Usage` with the key.
    pub(super) fn check_keys(self, table: &str, keys: impl Iterator<Item = impl AsRef<str>>) -> Result<()> {
        for key in keys {
            if !self.has(table, key.as_ref()) {
                let key = key.as_ref();
                return Err(Error::Usage(format!("[{table}] {key} does nothing for a {} model", self.name())));
            }
        }
        Ok(())
    }

    /// Takes away what this architecture does not have from a recipe as JSON.
    pub(super) fn only_own(self, recipe: &mut Value) {
        for table in ["model", "fit"] {
            if let Some(table_of) = recipe.get_mut(table).and_then(Value::as_object_mut) {
                table_of.retain(|key, _| self.has(table, key));
            }
        }
    }

    /// The shape that a recipe gives with this vocabulary and so many classes.
    ///
    /// # Errors
    /// `Usage` when it is refused.
    pub(super) fn shape(recipe: &ModelRecipe, vocab_size: usize, classes: usize) -> Result<NetworkConfig> {
        let (grams, max_tokens) = (recipe.grams(), recipe.max_tokens);
        let (embedding_dim, hidden_dim) = (recipe.embedding_dim, recipe.hidden_dim);
        let shape = match recipe.architecture {
            Architecture::TextCnn => {
                let default = Config::default_text_cnn(vocab_size, classes);
                let (widths, filters, bag) = (recipe.widths.clone(), recipe.filters, recipe.bag());
                NetworkConfig::TextCnn(Config { embedding_dim, widths, filters, max_tokens, bag, ..default })
            }
            Architecture::Linear => NetworkConfig::Other(Shape::Linear(Linear { grams, max_tokens, classes })),
            Architecture::Averaged => NetworkConfig::Other(Shape::Averaged(Averaged {
                vocab_size,
                embedding_dim,
                grams,
                bag_dim: recipe.bag_dim,
                hidden_dim,
                max_tokens,
                classes,
            })),
            Architecture::Gru => {
                NetworkConfig::Other(Shape::Gru(Gru { vocab_size, embedding_dim, hidden_dim, max_tokens, classes }))
            }
            Architecture::Transformer => NetworkConfig::Other(Shape::Transformer(Transformer {
                vocab_size,
                embedding_dim,
                layers: recipe.layers,
                heads: recipe.heads,
                hidden_dim,
                max_tokens,
                classes,
            })),
        };
        shape.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::fit::{CheckpointPlace, Example, Random, fit_net};
    use std::ops::ControlFlow;

    /// One class has most of the lines, and every row of the small table is in hundreds of them, as with hashed n-grams: what three
    /// rows say of a class of six lines is learned all the same.
    #[test]
    fn a_linear_model_learns_classes_of_few_lines_among_many_of_another() {
        const CLASSES: usize = 60;
        let mut random = Random::new(5, 0);
        let own: Vec<Vec<u32>> = (0..CLASSES).map(|_| (0..3).map(|_| random.below(128) as u32).collect()).collect();
        let mut lines = |of_first: usize, of_others: usize| -> Vec<Example> {
            let of = |class| if class == 0 { of_first } else { of_others };
            let classes = (0..CLASSES).flat_map(|class| vec![class; of(class)]);
            let line = |class: usize| {
                let noise = (0..9).map(|_| random.below(128) as u32);
                let grams = own[class].iter().copied().chain(noise).collect();
                Example { tokens: vec![], grams, class: class as u32, weight: 1.0 }
            };
            classes.map(line).collect()
        };
        let (train, stop) = (lines(2000, 6), lines(0, 4));
        let Recipe { mut model, fit, .. } = Architecture::Linear.defaults();
        model.bag_buckets = 128;
        let NetworkConfig::Other(shape) = Architecture::shape(&model, 2, CLASSES).unwrap() else {
            panic!("no network")
        };
        let (lines, place) = ((&train[..], &stop[..]), CheckpointPlace::default());
        let fitted = fit_net(&shape, &fit, &[], lines, &place, &mut |_| ControlFlow::Continue(())).unwrap();
        let right = fitted.history[fitted.best_epoch - 1].stop_accuracy;
        assert!(right > 0.3, "{right} of lines of small classes: {:?}", fitted.history);
    }
}
