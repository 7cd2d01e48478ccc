//! A recurrent network: embeddings, a gated recurrent unit in both directions, and the largest of each unit's states over the
//! line.

use super::batch::Batch;
use super::pool::Pool;
use super::recurrence::steps;
use super::shape::{Architecture, Parameter, Role, Start};
use super::tape::{From, Made, Tape};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Tensors of each direction.
const OF_DIRECTION: usize = 4;

/// Its dimensions.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Rows of the token embedding, reserved ids included.
    pub vocab_size: usize,
    /// Numbers for each token.
    pub embedding_dim: usize,
    /// Units of each direction.
    pub hidden_dim: usize,
    /// Tokens of a line that are looked at.
    pub max_tokens: usize,
    /// Classes.
    pub classes: usize,
}

impl Architecture for Gru {
    fn dimensions(&self) -> Vec<(&'static str, usize)> {
        vec![("vocab_size", self.vocab_size), ("embedding_dim", self.embedding_dim), ("hidden_dim", self.hidden_dim)]
    }

    fn features(&self) -> Option<usize> {
        Some(2 * self.hidden_dim)
    }

    fn body(&self) -> Vec<Parameter> {
        let gates = 3 * self.hidden_dim;
        let rows = &[self.vocab_size, self.embedding_dim];
        let mut all = vec![Parameter::new("embedding.weight", rows, Role::Tokens, Start::Spread(0.3))];
        for direction in ["", "_reverse"] {
            all.extend([
                Parameter::weight(format!("gru.weight_ih_l0{direction}"), gates, self.embedding_dim),
                Parameter::weight(format!("gru.weight_hh_l0{direction}"), gates, self.hidden_dim),
                Parameter::vector(format!("gru.bias_ih_l0{direction}"), gates, 0.0),
                Parameter::vector(format!("gru.bias_hh_l0{direction}"), gates, 0.0),
            ]);
        }
        all
    }

    fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made> {
        let lines = &batch.tokens;
        let tokens = tape.gather(0, self.embedding_dim, lines.rows().to_vec());
        let mut largest = |first: usize, backwards: bool| -> Result<Made> {
            let inputs = tape.dense(tokens, first, first + 2)?;
            let states = tape.recur(inputs, (first + 1, first + 3), steps(lines, backwards))?;
            Ok(tape.pool(From::Made(states), self.hidden_dim, Pool::Max, lines.numbered()))
        };
        let (onwards, backwards) = (largest(1, false)?, largest(1 + OF_DIRECTION, true)?);
        Ok(tape.beside(onwards, backwards))
    }
}
