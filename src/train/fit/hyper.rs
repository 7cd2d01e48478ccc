//! Settings of a fit, their bounds, and the learning rate of each step.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most networks that are joined.
const MAX_MEMBERS: usize = 8;

/// Most rows that a class is repeated to.
const MAX_UPSAMPLED: usize = 10_000;

/// Settings of the training; [`Hyper::default`] holds what measured best.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Hyper {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Lines of one step.
    pub batch_rows: usize,
    /// Highest learning rate, of AdamW or of the AdaGrad of a linear model.
    pub learning_rate: f64,
    /// The embedding's learning rate as a multiple: a rare token is in few batches, and must move in those.
    pub embedding_rate_ratio: f64,
    /// Share of all steps in which the rate rises from 0.
    pub warmup_ratio: f64,
    /// The rate falls along a cosine to this share of the highest.
    pub final_rate_ratio: f64,
    /// Decoupled weight decay of kernels and output.
    pub weight_decay: f64,
    /// The same for the rows of the embedding that a batch touches.
    pub embedding_decay: f64,
    /// Share of the features that a step leaves out.
    pub dropout: f64,
    /// Share of a line's tokens that a step leaves out.
    pub token_dropout: f64,
    /// Share of the merged tokens that a step takes apart; needs the tokenizer's splits.
    pub split_ratio: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// Of the members, how many learn without smoothing: alone they are right less often, but they tell which of the
    /// sure answers are surest, which smoothing wipes out.
    pub plain_members: usize,
    /// How much the logits of a plain member count beside those of another.
    pub plain_weight: f64,
    /// Largest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of the parameters for each step; 0 is none.
    pub average_decay: f64,
    /// Rare classes count more, by (rows of the largest class / rows of the class) to this power, training part only.
    pub rarity_power: f64,
    /// Lines of a class with fewer are repeated in turns until it has so many, of the labelled lines that are learned alone:
    /// after the split. 0 for none.
    pub upsample_to: usize,
    /// Epochs without a better `stop_accuracy` after which training ends.
    pub patience: usize,
    /// Networks that are trained alike but for seed and smoothing and joined into one, whose logits are the weighted mean
    /// of theirs.
    pub members: usize,
    /// Start of all random numbers.
    pub seed: u64,
    /// Wall time after which the training of a member ends with what it has.
    pub max_secs: Option<u64>,
    /// How the bag is fitted, if the model has one.
    pub bag: BagHyper,
}

/// Settings of the training of the averaged n-grams.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct BagHyper {
    /// Whether it is trained as one with the first network, whose epochs and learning rate it then has.
    pub together: bool,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Highest learning rate of AdamW.
    pub learning_rate: f64,
    /// The table's learning rate as a multiple.
    pub row_rate_ratio: f64,
    /// Decoupled weight decay of the output layer.
    pub weight_decay: f64,
    /// Share of the features that a step leaves out.
    pub dropout: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// How much its logits count beside those of a network of windows, when it is trained apart.
    pub weight: f64,
    /// How many are trained alike but for seed and smoothing, and joined.
    pub members: usize,
    /// Of these, how many learn without smoothing.
    pub plain_members: usize,
    /// How much the logits of a plain one count beside those of another.
    pub plain_weight: f64,
}

impl Default for BagHyper {
    fn default() -> Self {
        BagHyper {
            together: true,
            epochs: 8,
            learning_rate: 2e-3,
            row_rate_ratio: 8.0,
            weight_decay: 0.01,
            dropout: 0.3,
            label_smoothing: 0.1,
            weight: 1.0,
            members: 3,
            plain_members: 1,
            plain_weight: 0.2,
        }
    }
}

impl Default for Hyper {
    fn default() -> Self {
        Hyper {
            epochs: 10,
            batch_rows: 64,
            learning_rate: 2e-3,
            embedding_rate_ratio: 2.0,
            warmup_ratio: 0.05,
            final_rate_ratio: 0.02,
            weight_decay: 0.02,
            embedding_decay: 0.0,
            dropout: 0.3,
            token_dropout: 0.1,
            split_ratio: 0.03,
            label_smoothing: 0.1,
            plain_members: 1,
            plain_weight: 0.5,
            clip_norm: Some(5.0),
            average_decay: 0.998,
            rarity_power: 0.0,
            upsample_to: 0,
            patience: 8,
            members: 2,
            seed: 17,
            max_secs: None,
            bag: BagHyper::default(),
        }
    }
}

impl Hyper {
    /// Refuses settings outside their range, by name.
    pub fn validate(&self) -> Result<()> {
        let shares = [
            ("warmup_ratio", self.warmup_ratio),
            ("final_rate_ratio", self.final_rate_ratio),
            ("dropout", self.dropout),
            ("token_dropout", self.token_dropout),
            ("split_ratio", self.split_ratio),
            ("label_smoothing", self.label_smoothing),
            ("average_decay", self.average_decay),
            ("bag.dropout", self.bag.dropout),
            ("bag.label_smoothing", self.bag.label_smoothing),
        ];
        if let Some((name, value)) = shares.into_iter().find(|(_, v)| !(0.0..1.0).contains(v)) {
            return Err(Error::Usage(format!("{name} is {value}, it must be at least 0 and below 1")));
        }
        let amounts = [
            ("learning_rate", self.learning_rate, f64::MIN_POSITIVE),
            ("embedding_rate_ratio", self.embedding_rate_ratio, 0.0),
            ("weight_decay", self.weight_decay, 0.0),
            ("embedding_decay", self.embedding_decay, 0.0),
            ("rarity_power", self.rarity_power, 0.0),
            ("plain_weight", self.plain_weight, f64::MIN_POSITIVE),
            ("clip_norm", self.clip_norm.unwrap_or(1.0), f64::MIN_POSITIVE),
            ("bag.learning_rate", self.bag.learning_rate, f64::MIN_POSITIVE),
            ("bag.row_rate_ratio", self.bag.row_rate_ratio, 0.0),
            ("bag.weight_decay", self.bag.weight_decay, 0.0),
            ("bag.weight", self.bag.weight, f64::MIN_POSITIVE),
            ("bag.plain_weight", self.bag.plain_weight, f64::MIN_POSITIVE),
        ];
        if let Some((name, value, least)) = amounts.into_iter().find(|(_, v, least)| !(v.is_finite() && v >= least)) {
            return Err(Error::Usage(format!("{name} is {value}, it must be a number of at least {least}")));
        }
        for (name, members) in [("members", self.members), ("bag.members", self.bag.members)] {
            if !(1..=MAX_MEMBERS).contains(&members) {
                return Err(Error::Usage(format!("{name} is {members}, it must be 1 to {MAX_MEMBERS}")));
            }
        }
        if self.upsample_to > MAX_UPSAMPLED {
            let rows = self.upsample_to;
            return Err(Error::Usage(format!("upsample_to is {rows}, it must be at most {MAX_UPSAMPLED}")));
        }
        match (self.epochs.min(self.bag.epochs), self.batch_rows, self.patience) {
            (0, _, _) | (_, 0, _) | (_, _, 0) => {
                Err(Error::Usage("epochs, batch_rows and patience must be at least 1".to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Learning rate at step `step` of `steps`, `highest` being the highest.
    pub(super) fn rate(&self, highest: f64, step: usize, steps: usize) -> f64 {
        let done = (step as f64 + 1.0) / steps as f64;
        if done < self.warmup_ratio {
            return highest * done / self.warmup_ratio;
        }
        let fall = (done - self.warmup_ratio) / (1.0 - self.warmup_ratio);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * fall.min(1.0)).cos());
        highest * (self.final_rate_ratio + (1.0 - self.final_rate_ratio) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_not_repeated_without_bound() {
        let of = |upsample_to| Hyper { upsample_to, ..Hyper::default() }.validate();
        assert!(of(0).is_ok() && of(10_000).is_ok());
        assert!(of(10_001).unwrap_err().to_string().contains("upsample_to is 10001"));
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let hyper = Hyper { learning_rate: 1.0, warmup_ratio: 0.1, final_rate_ratio: 0.25, ..Hyper::default() };
        let rates: Vec<f64> = (0..100).map(|step| hyper.rate(hyper.learning_rate, step, 100)).collect();
        assert!((rates[0] - 0.1).abs() < 1e-9 && (rates[9] - 1.0).abs() < 1e-9 && (rates[99] - 0.25).abs() < 1e-9);
        assert!(rates[9..].is_sorted_by(|a, b| a >= b));
    }
}
