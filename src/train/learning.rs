//! From labelled texts to a fitted network of the shape that is wanted.

use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::{Value, json};

use super::fit::{self, Checkpoints, Epoch, Example};
use super::judging::Judging;
use super::pipeline::{TrainOptions, Watcher};
use super::recipe::Recipe;
use super::screen;
use crate::engine;
use crate::error::{Error, Result};
use crate::model::{Network, NetworkConfig};
use crate::tariff::Subheading;
use crate::text::{EncodeScratch, Tokenizer};

/// What there is to learn from.
pub(super) struct Learning<'a> {
    /// Texts that are learned, in any order.
    pub(super) texts: Vec<&'a str>,
    /// Subheadings of all classes.
    pub(super) labels: &'a [String],
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) train: Vec<Example>,
    pub(super) stop: Vec<Example>,
}

/// A fitted network.
pub(super) struct Learnt {
    pub(super) network: Network,
    /// How the fit went.
    pub(super) history: Value,
    /// Epochs that ran, of all members.
    pub(super) epochs: usize,
    /// What can be removed once the network is safe.
    pub(super) checkpoints: Checkpoints,
}

/// Token ids, n-grams and class of each line whose class is known. Repeats stay: how often a text comes is part of the evidence.
pub(super) fn examples<'t>(
    lines: impl Iterator<Item = (&'t str, Subheading, f32)>,
    tokenizer: &Tokenizer,
    shape: &NetworkConfig,
    labels: &[String],
) -> Result<Vec<Example>> {
    let mut scratch = EncodeScratch::default();
    let (grams, max_tokens) = (shape.grams(), shape.max_tokens());
    let mut out = Vec::new();
    for (text, code, weight) in lines {
        let Ok(class) = labels.binary_search_by(|l| l.as_str().cmp(code.as_str())) else { continue };
        let mut tokens = Vec::new();
        tokenizer.encode(text, &mut scratch, &mut tokens)?;
        let grams = grams.map_or_else(Vec::new, |grams| grams.of_text(text, max_tokens));
        out.push(Example { tokens, grams, class: class as u32, weight });
    }
    Ok(out)
}

impl Learning<'_> {
    /// Fits a network.
    ///
    /// # Errors
    /// `Input` when there is nothing to learn from; `Usage` when the numbers run away.
    pub(super) fn fit(
        &self,
        shape: NetworkConfig,
        options: &TrainOptions,
        watcher: &mut dyn Watcher,
    ) -> Result<Learnt> {
        let (recipe, place, lines) = (&options.recipe, &options.checkpoints, (&self.train[..], &self.stop[..]));
        watcher.step("fit");
        let splits = self.tokenizer.splits()?;
        let began = Instant::now();
        // Wall time, to a tenth; of a fit that was taken up from a checkpoint, since then.
        let secs = || (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let history = |best: usize, epochs: &[Epoch]| json!({ "best_epoch": best, "epochs": epochs, "secs": secs() });
        let mut tell = |progress| {
            watcher.fitting(&progress);
            ControlFlow::Continue(())
        };
        match shape {
            NetworkConfig::TextCnn(config) => {
                let found = fit::fit_members(&config, &recipe.fit, &splits, lines, place, &mut tell)?;
                let (config, mut fitted) = found;
                let (epochs, history) = (fitted.history.len(), history(fitted.best_epoch, &fitted.history));
                fitted.weights.ranges = Some(engine::ranges(&config, &fitted.weights));
                let network = self.screened(Network::text_cnn(config, fitted.weights), recipe, watcher)?;
                Ok(Learnt { network, history, epochs, checkpoints: fitted.checkpoints })
            }
            NetworkConfig::Other(shape) => {
                let fitted = fit::fit_net(&shape, &recipe.fit, &splits, lines, place, &mut tell)?;
                let (epochs, history) = (fitted.history.len(), history(fitted.best_epoch, &fitted.history));
                let network = Network::Other(fitted.weights);
                Ok(Learnt { network, history, epochs, checkpoints: fitted.checkpoints })
            }
        }
    }

    /// A Text-CNN with the screen that the recipe asks for.
    fn screened(&self, mut network: Network, recipe: &Recipe, watcher: &mut dyn Watcher) -> Result<Network> {
        let (dim, seed) = (recipe.model.screen_dim, recipe.fit.seed);
        // With fewer classes the output layer itself is as quick.
        if dim == 0 || self.labels.len() <= 4 * dim {
            return Ok(network);
        }
        watcher.step("screen");
        let tokenizer_json = self.tokenizer.to_json()?;
        let judge = Judging { network: &network, tokenizer_json: &tokenizer_json, labels: self.labels };
        let features = judge.features(&self.texts)?;
        let Network::TextCnn(cnn) = &mut network else {
            return Err(Error::Bug("only a Text-CNN has a screen".to_string()));
        };
        cnn.weights.screen = Some(screen::fit(&features, &cnn.weights, dim, seed)?);
        cnn.config.screen_dim = Some(dim);
        Ok(network)
    }
}
