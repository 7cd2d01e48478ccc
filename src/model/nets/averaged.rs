//! Averaged embeddings: the mean over a line's n-grams beside the mean over its tokens, then a layer with a rectifier. After
//! Joulin and others 2017, "Bag of Tricks for Efficient Text Classification", and Iyyer and others 2015, "Deep Unordered
//! Composition Rivals Syntactic Methods for Text Classification".

use super::batch::Batch;
use super::pool::Pool;
use super::shape::{Architecture, Parameter, Role, Start};
use super::tape::{From, Made, Tape};
use crate::error::Result;
use crate::text::Grams;
use serde::{Deserialize, Serialize};

/// Its dimensions.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Averaged {
    /// Rows of the token embedding, reserved ids included.
    pub vocab_size: usize,
    /// Numbers for each token.
    pub embedding_dim: usize,
    /// The n-grams, and the rows of their table.
    pub grams: Grams,
    /// Numbers for each n-gram.
    pub bag_dim: usize,
    /// Numbers of the layer.
    pub hidden_dim: usize,
    /// Tokens and words of a line that are looked at.
    pub max_tokens: usize,
    /// Classes.
    pub classes: usize,
}

impl Architecture for Averaged {
    fn dimensions(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("vocab_size", self.vocab_size),
            ("embedding_dim", self.embedding_dim),
            ("grams.buckets", self.grams.buckets),
            ("bag_dim", self.bag_dim),
            ("hidden_dim", self.hidden_dim),
        ]
    }

    fn features(&self) -> Option<usize> {
        Some(self.hidden_dim)
    }

    fn body(&self) -> Vec<Parameter> {
        // The mean of dozens of rows is still of order 0.1.
        let rows = Start::Spread(0.4);
        vec![
            Parameter::new("bag.weight", &[self.grams.buckets, self.bag_dim], Role::Grams, rows),
            Parameter::new("embedding.weight", &[self.vocab_size, self.embedding_dim], Role::Tokens, rows),
            Parameter::weight("hidden.weight", self.hidden_dim, self.bag_dim + self.embedding_dim),
            Parameter::vector("hidden.bias", self.hidden_dim, 0.0),
        ]
    }

    fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made> {
        let grams = tape.pool(From::Parameter(0), self.bag_dim, Pool::Mean, batch.grams.clone());
        let tokens = tape.pool(From::Parameter(1), self.embedding_dim, Pool::Mean, batch.tokens.clone());
        let means = tape.beside(grams, tokens);
        let layer = tape.dense(means, 2, 3)?;
        Ok(tape.rectify(layer))
    }
}
