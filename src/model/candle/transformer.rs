//! A small encoder with attention (Vaswani and others 2017, <https://arxiv.org/abs/1706.03762>, with normalisation before each
//! part: Xiong and others 2020, <https://arxiv.org/abs/2002.04745>), learned positions, and the mean and the largest of its
//! outputs over the line.

use super::attention::attention;
use super::batch::Batch;
use super::dense::{Products, dense, normalise};
use super::pool::Pool;
use super::shape::{Architecture, Parameter, Role, Start};
use candle_core::{Result, Tensor, bail};
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

    fn forward(&self, body: &[Tensor], batch: &Batch, products: Products) -> Result<Tensor> {
        let [embedding, positions, layers @ .., gain, bias] = body else {
            bail!("transformer: {} tensors", body.len())
        };
        let lines = &batch.tokens;
        if lines.rows().is_empty() {
            return Tensor::zeros((lines.lines(), 2 * self.embedding_dim), embedding.dtype(), embedding.device());
        }
        let select = |table: &Tensor, rows: &[u32]| {
            table.index_select(&Tensor::from_slice(rows, rows.len(), table.device())?, 0)
        };
        let mut tokens = (select(embedding, lines.rows())? + select(positions, &lines.offsets())?)?;
        for layer in layers.chunks(OF_LAYER) {
            tokens = self.layer(&tokens, layer, batch, products)?;
        }
        let tokens = normalise(&tokens, gain, bias)?;
        let numbered = lines.numbered();
        let pooled = [Pool::Mean.over(&tokens, numbered.clone())?, Pool::Max.over(&tokens, numbered)?];
        Tensor::cat(&pooled, 1)?.contiguous()
    }
}

impl Transformer {
    /// One layer: attention, then two products with a rectifier between them, each added to what goes into it.
    fn layer(&self, tokens: &Tensor, tensors: &[Tensor], batch: &Batch, products: Products) -> Result<Tensor> {
        let [gain1, bias1, in_weight, in_bias, out_weight, out_bias, gain2, bias2, weight1, of1, weight2, of2] =
            tensors
        else {
            bail!("transformer: {} tensors in a layer", tensors.len())
        };
        let together = dense(&normalise(tokens, gain1, bias1)?, in_weight, in_bias, products)?;
        let seen = attention(&together, &batch.tokens, self.heads)?;
        let tokens = (tokens + dense(&seen, out_weight, out_bias, products)?)?;
        let hidden = dense(&normalise(&tokens, gain2, bias2)?, weight1, of1, products)?.relu()?;
        &tokens + dense(&hidden, weight2, of2, products)?
    }
}
