//! A small encoder with attention (Vaswani and others 2017, <https://arxiv.org/abs/1706.03762>, with normalisation before each
//! part: Xiong and others 2020, <https://arxiv.org/abs/2002.04745>), learned positions, and the mean and the largest of its
//! outputs over the line.

use super::batch::Batch;
use super::pool::Pool;
use super::shape::{Architecture, Parameter, Role, Start};
use super::tape::{From, Made, Tape};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Most layers.
const MAX_LAYERS: usize = 12;

/// Most tokens of a line: attention takes their square.
const MAX_TOKENS: usize = 1024;

/// Tensors of a layer.
const OF_LAYER: usize = 12;

/// Its dimensions.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Rows of the token embedding, reserved ids included.
    pub vocab_size: usize,
    /// Numbers for each token, in all layers.
    pub embedding_dim: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of attention, equal parts of `embedding_dim`.
    pub heads: usize,
    /// Numbers between the two products of a layer's second part.
    pub hidden_dim: usize,
    /// Tokens of a line that are looked at.
    pub max_tokens: usize,
    /// Classes.
    pub classes: usize,
}

impl Architecture for Transformer {
    fn dimensions(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("vocab_size", self.vocab_size),
            ("embedding_dim", self.embedding_dim),
            ("layers", self.layers),
            ("heads", self.heads),
            ("hidden_dim", self.hidden_dim),
        ]
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.layers > MAX_LAYERS {
            return Err(format!("layers is {}, it must be 1 to {MAX_LAYERS}", self.layers));
        }
        if self.max_tokens > MAX_TOKENS {
            return Err(format!("max_tokens is {}, for a transformer it must be 1 to {MAX_TOKENS}", self.max_tokens));
        }
        if !self.embedding_dim.is_multiple_of(self.heads) {
            return Err(format!("{} heads are no equal parts of embedding_dim {}", self.heads, self.embedding_dim));
        }
        Ok(())
    }

    fn features(&self) -> Option<usize> {
        Some(2 * self.embedding_dim)
    }

    fn body(&self) -> Vec<Parameter> {
        let (dim, hidden) = (self.embedding_dim, self.hidden_dim);
        let mut all = vec![
            Parameter::new("embedding.weight", &[self.vocab_size, dim], Role::Tokens, Start::Spread(0.3)),
            Parameter::new("positions.weight", &[self.max_tokens, dim], Role::Vector, Start::Spread(0.1)),
        ];
        for layer in 0..self.layers.min(MAX_LAYERS) {
            let name = |part: &str| format!("layers.{layer}.{part}");
            all.extend([
                Parameter::vector(name("norm1.weight"), dim, 1.0),
                Parameter::vector(name("norm1.bias"), dim, 0.0),
                Parameter::weight(name("self_attn.in_proj_weight"), 3 * dim, dim),
                Parameter::vector(name("self_attn.in_proj_bias"), 3 * dim, 0.0),
                Parameter::weight(name("self_attn.out_proj.weight"), dim, dim),
                Parameter::vector(name("self_attn.out_proj.bias"), dim, 0.0),
                Parameter::vector(name("norm2.weight"), dim, 1.0),
                Parameter::vector(name("norm2.bias"), dim, 0.0),
                Parameter::weight(name("linear1.weight"), hidden, dim),
                Parameter::vector(name("linear1.bias"), hidden, 0.0),
                Parameter::weight(name("linear2.weight"), dim, hidden),
                Parameter::vector(name("linear2.bias"), dim, 0.0),
            ]);
        }
        all.extend([Parameter::vector("norm.weight", dim, 1.0), Parameter::vector("norm.bias", dim, 0.0)]);
        all
    }

    fn forward(&self, tape: &mut Tape<'_>, batch: &Batch) -> Result<Made> {
        let (lines, dim) = (&batch.tokens, self.embedding_dim);
        let tokens = tape.gather(0, dim, lines.rows().to_vec());
        let positions = tape.gather(1, dim, lines.offsets());
        let mut tokens = tape.sum(tokens, positions);
        for layer in 0..self.layers {
            tokens = self.layer(tape, tokens, 2 + layer * OF_LAYER, batch)?;
        }
        let last = 2 + self.layers * OF_LAYER;
        let tokens = From::Made(tape.normalise(tokens, last, last + 1));
        let mean = tape.pool(tokens, dim, Pool::Mean, lines.numbered());
        let most = tape.pool(tokens, dim, Pool::Max, lines.numbered());
        Ok(tape.beside(mean, most))
    }
}

impl Transformer {
    /// One layer, whose tensors begin at `first`: attention, then two products with a rectifier between them, each added to what
    /// goes into it.
    fn layer(&self, tape: &mut Tape<'_>, tokens: Made, first: usize, batch: &Batch) -> Result<Made> {
        let normal = tape.normalise(tokens, first, first + 1);
        let together = tape.dense(normal, first + 2, first + 3)?;
        let seen = tape.attend(together, &batch.tokens, self.heads);
        let seen = tape.dense(seen, first + 4, first + 5)?;
        let tokens = tape.sum(tokens, seen);
        let normal = tape.normalise(tokens, first + 6, first + 7);
        let hidden = tape.dense(normal, first + 8, first + 9)?;
        let hidden = tape.rectify(hidden);
        let hidden = tape.dense(hidden, first + 10, first + 11)?;
        Ok(tape.sum(tokens, hidden))
    }
}
