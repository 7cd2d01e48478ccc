//! A recurrent network: embeddings, a gated recurrent unit in both directions, and the largest of each unit's states over the
//! line.

use super::batch::Batch;
use super::dense::{Products, dense};
use super::pool::Pool;
use super::recurrence::recurrence;
use super::shape::{Architecture, Parameter, Role, Start};
use candle_core::{Result, Tensor, bail};
use serde::{Deserialize, Serialize};

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

    fn forward(&self, body: &[Tensor], batch: &Batch, products: Products) -> Result<Tensor> {
        let Some((embedding, directions)) = body.split_first() else { bail!("gru: no tensors") };
        let lines = &batch.tokens;
        if lines.rows().is_empty() {
            // candle refuses products without rows.
            return Tensor::zeros((lines.lines(), 2 * self.hidden_dim), embedding.dtype(), embedding.device());
        }
        let rows = Tensor::from_slice(lines.rows(), lines.rows().len(), embedding.device())?;
        let tokens = embedding.index_select(&rows, 0)?;
        let numbered = lines.numbered();
        let mut largest = Vec::with_capacity(2);
        for (n, tensors) in directions.chunks(4).enumerate() {
            let [of_input, of_state, input_bias, state_bias] = tensors else { bail!("gru: {} tensors", body.len()) };
            let inputs = dense(&tokens, of_input, input_bias, products)?;
            let states = recurrence(&inputs, (of_state, state_bias), lines, n == 1, products)?;
            largest.push(Pool::Max.over(&states, numbered.clone())?);
        }
        Tensor::cat(&largest, 1)?.contiguous()
    }
}
