//! What is fitted, and how: the TOML file of `--recipe`.

use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::checks::Limits as CheckLimits;
use super::decisions::DecisionRecipe;
use super::extra::Extra;
use super::fit::Hyper;
use super::screen;
use super::split::{Grouping, Shares, Split};
use super::vague::VagueRecipe;
use crate::error::{Error, Result};
use crate::model::{BagShape, Config};
use crate::text::Grams;

/// What is fitted, and how; a TOML file with the tables `[model]`, `[fit]`, `[split]`, `[vague]`, `[decisions]`,
/// `[checks]` and any number of `[[extra]]`.
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
    /// How much decisions of people count, where they are learned.
    pub decisions: DecisionRecipe,
    /// When to refuse the data.
    pub checks: CheckLimits,
}

/// Shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRecipe {
    /// What computes the logits. Not every architecture has all of the other keys.
    pub architecture: Architecture,
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
    /// Numbers of the mean over n-grams; in a Text-CNN these stand beside the windows' features, and 0 is for none.
    pub bag_dim: usize,
    /// Rows of the table of n-grams.
    pub bag_buckets: usize,
    /// Whether each two neighbouring words have a row in it too.
    pub bag_pairs: bool,
    /// Whether letters and digits that touch are one word of it.
    pub bag_whole: bool,
    /// Dimensions of the screen that picks the classes to be scored exactly; 0 for none. There is none either when there
    /// are not more than four times as many classes.
    pub screen_dim: usize,
    /// Numbers of a layer: of averaged n-grams and tokens, of each direction of a recurrent network, between the two products
    /// of a layer of an encoder.
    pub hidden_dim: usize,
    /// Layers of an encoder.
    pub layers: usize,
    /// Its heads of attention.
    pub heads: usize,
}

impl Default for ModelRecipe {
    fn default() -> Self {
        let c = Config::default_text_cnn(DEFAULT_VOCAB, 2);
        ModelRecipe {
            architecture: Architecture::default(),
            vocab_size: DEFAULT_VOCAB,
            embedding_dim: c.embedding_dim,
            widths: c.widths,
            filters: c.filters,
            max_tokens: c.max_tokens,
            bag_dim: 256,
            bag_buckets: 1 << 17,
            bag_pairs: true,
            bag_whole: true,
            screen_dim: screen::DEFAULT_DIM,
            hidden_dim: 256,
            layers: 2,
            heads: 4,
        }
    }
}

impl ModelRecipe {
    /// The n-grams.
    pub(super) fn grams(&self) -> Grams {
        let (buckets, pairs, whole) = (self.bag_buckets, self.bag_pairs, self.bag_whole);
        Grams { buckets, shortest: 2, longest: 5, pairs, whole }
    }

    /// The averaged n-grams of a Text-CNN, if there are any.
    pub(super) fn bag(&self) -> Option<BagShape> {
        (self.bag_dim > 0).then_some(BagShape { dim: self.bag_dim, grams: self.grams() })
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
    /// A recipe as TOML; what is not in it has the default of its architecture.
    ///
    /// # Errors
    /// `Usage` with the place of a mistake, or a key that does nothing for the architecture.
    pub fn from_toml(text: &str) -> Result<Recipe> {
        let wrong = |e: toml::de::Error| Error::Usage(e.to_string());
        // Mistakes are told with their lines.
        let architecture = toml::from_str::<Recipe>(text).map_err(wrong)?.model.architecture;
        let given: toml::Table = text.parse().map_err(wrong)?;
        for table in ["model", "fit"] {
            let keys = given.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            architecture.check_keys(table, keys)?;
        }
        let defaults = toml::Table::try_from(architecture.defaults());
        let mut all = defaults.map_err(|e| Error::Bug(format!("the default recipe cannot be written: {e}")))?;
        put_over(&mut all, given);
        all.try_into().map_err(wrong)
    }

    /// What was in force, as JSON: without the keys that do nothing for the architecture.
    ///
    /// # Errors
    /// `Bug`.
    pub fn in_force(&self) -> Result<serde_json::Value> {
        let json = serde_json::to_value(self);
        let mut json = json.map_err(|e| Error::Bug(format!("the recipe cannot be written: {e}")))?;
        self.model.architecture.only_own(&mut json);
        Ok(json)
    }

    /// What was in force, as the text of a recipe file: [`Recipe::from_toml`] makes the same recipe of it.
    ///
    /// # Errors
    /// `Bug` when TOML has no way to say it, as for a seed of 2^63 or more.
    pub fn to_toml(&self) -> Result<String> {
        let failed = |e: &dyn std::fmt::Display| Error::Bug(format!("the recipe cannot be written: {e}"));
        // By way of its text, in which a number of single precision has no more digits than it needs.
        let text = toml::to_string(self).map_err(|e| failed(&e))?;
        let mut table: toml::Table = text.parse().map_err(|e| failed(&e))?;
        for name in ["model", "fit"] {
            if let Some(toml::Value::Table(keys)) = table.get_mut(name) {
                keys.retain(|key, _| self.model.architecture.has(name, key));
            }
        }
        toml::to_string(&table).map_err(|e| failed(&e))
    }

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// `Usage`, with the setting.
    pub fn validate(&self) -> Result<()> {
        self.fit.validate()?;
        self.extra.iter().try_for_each(Extra::validate)?;
        self.vague.validate()?;
        self.decisions.validate()?;
        let architecture = self.model.architecture;
        if architecture != Architecture::TextCnn && self.fit.members > 1 {
            let name = architecture.name();
            return Err(Error::Usage(format!("[fit] members is {}: {name} models are not joined", self.fit.members)));
        }
        self.split()?;
        Architecture::shape(&self.model, self.model.vocab_size, 2).map(|_| ())
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

/// Puts what is given in the place of what is there, table by table.
fn put_over(all: &mut toml::Table, given: toml::Table) {
    for (key, value) in given {
        match (all.get_mut(&key), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(given)) => put_over(there, given),
            (_, value) => drop(all.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_the_default_of_the_architecture() {
        assert_eq!(Recipe::from_toml("").unwrap(), Recipe::default());
        let said = "[model]\narchitecture = 'gru'\nembedding_dim = 32\n[fit]\nseed = 5\n[split]\ntest = 0.25\n";
        let recipe = Recipe::from_toml(said).unwrap();
        let mut expected = Architecture::Gru.defaults();
        (expected.model.embedding_dim, expected.fit.seed, expected.split.test) = (32, 5, 0.25);
        assert_eq!(recipe, expected);
        assert_eq!((recipe.fit.members, recipe.model.hidden_dim), (1, 192));
        recipe.validate().unwrap();
        let json = recipe.in_force().unwrap();
        assert_eq!(json["model"]["hidden_dim"], 192);
        assert!(json["model"].get("filters").is_none() && json["fit"].get("members").is_none(), "{json}");
    }

    #[test]
    fn every_architecture_has_a_default_that_is_sound() {
        use Architecture::{Averaged, Gru, Linear, TextCnn, Transformer};
        for architecture in [TextCnn, Linear, Averaged, Gru, Transformer] {
            let recipe = Recipe::from_toml(&format!("[model]\narchitecture = '{}'\n", architecture.name())).unwrap();
            assert_eq!(recipe, architecture.defaults());
            recipe.validate().unwrap();
            Architecture::shape(&recipe.model, 16_000, 5_612).unwrap();
        }
    }

    #[test]
    fn what_was_in_force_is_a_recipe_file_that_says_the_same() {
        let extra = "[[extra]]\ninput = ['a.csv', 's3://b/c']\ntext = ['t']\nlabel = 'hs6'\n\
                     where = \"a = 'it''s' AND b > \\\"c\\\"\"\nweight = 0.3\n";
        let said = [
            String::new(),
            format!(
                "[model]\nwidths = [2, 5]\nscreen_dim = 0\n[fit]\nseed = 9\nmax_secs = 30\nlearning_rate = 0.0017\n{extra}"
            ),
            format!(
                "[fit.bag]\nweight = 2.5\n[split]\nwithout_numbers = true\n[vague]\nlist = 'v.txt'\n{extra}{extra}"
            ),
            "[checks]\nmax_conflict_ratio = 0.25\nrepair_zeros = true\n".to_string(),
            "[decisions]\nweight = 2.5\nbinding_weight = 5.0\n".to_string(),
            "[model]\narchitecture = 'linear'\n".to_string(),
            "[model]\narchitecture = 'averaged'\nhidden_dim = 96\n".to_string(),
            "[model]\narchitecture = 'gru'\n[fit]\nepochs = 3\n".to_string(),
            "[model]\narchitecture = 'transformer'\nheads = 2\n[split]\ntest = 0.0\n".to_string(),
        ];
        for said in said {
            let recipe = Recipe::from_toml(&said).unwrap();
            let told = recipe.to_toml().unwrap();
            assert_eq!(Recipe::from_toml(&told).unwrap(), recipe, "{told}");
            assert!(!said.contains("0.3") || told.contains("weight = 0.3\n"), "{told}");
            // As the record of a bundle has it, too.
            let recorded: Recipe = serde_json::from_value(recipe.in_force().unwrap()).unwrap();
            assert_eq!(Recipe::from_toml(&recorded.to_toml().unwrap()).unwrap(), recipe);
        }
    }

    #[test]
    fn what_does_nothing_or_is_not_there_is_refused_by_name() {
        for (said, why) in [
            ("[model]\narchitecture = 'mlp'", "mlp"),
            ("[model]\narchitecture = 'gru'\nfilters = 3", "[model] filters does nothing for a gru model"),
            ("[model]\nlayers = 3", "[model] layers does nothing for a text-cnn model"),
            ("[model]\narchitecture = 'linear'\n[fit.bag]\nepochs = 3", "[fit] bag does nothing"),
            ("[model]\narchitecture = 'linear'\n[fit]\ndropout = 0.1", "[fit] dropout does nothing"),
            ("[fit]\nepoks = 3", "epoks"),
        ] {
            let refused = Recipe::from_toml(said).unwrap_err();
            assert!(refused.to_string().contains(why) && refused.exit_code() == 2, "{said}: {refused}");
        }
    }
}
