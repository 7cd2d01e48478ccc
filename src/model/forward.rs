//! What a Text-CNN computes, written plainly: the reference that the fast engine and the training are held to.
//!
//! For tokens `t_0 .. t_{n-1}` and a filter `f` of width `w`,
//! `pre_f = max(0, max_p Σ_j kernel[f, :, j] · embedding[t_{p+j}])` over window starts `p = 0 .. n-1`, where offsets
//! past the end contribute nothing and the 0 stands for a window that lies wholly on padding;
//! `feature_f = relu(pre_f + bias_f)`; `logits = output · features + output_bias`, or
//! `output · (projection · features) + output_bias` when factorised (Kim 2014, equations 1 to 4, with the bias
//! after the maximum, which is the same, and a linear activation before it). A line's logits depend on nothing but
//! its tokens.

use super::config::Config;
use super::weights::Weights;

/// Features of one line, `[features] f32`, in the order of the widths. Tokens beyond the vocabulary contribute
/// nothing.
pub fn features(config: &Config, weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let tokens = &tokens[..tokens.len().min(config.max_tokens)];
    let dim = config.embedding_dim;
    let row = |token: u32| weights.embedding.chunks_exact(dim).nth(token as usize).unwrap_or_default();
    let mut features = Vec::with_capacity(config.features());
    for conv in &weights.convs {
        for (kernel, bias) in conv.weight.chunks_exact(dim * conv.width).zip(&conv.bias) {
            let mut best = 0.0f32;
            for start in 0..tokens.len() {
                let window = &tokens[start..tokens.len().min(start + conv.width)];
                let mut sum = 0.0;
                for (offset, &token) in window.iter().enumerate() {
                    for (d, value) in row(token).iter().enumerate() {
                        sum += kernel[d * conv.width + offset] * value;
                    }
                }
                best = best.max(sum);
            }
            features.push((best + bias).max(0.0));
        }
    }
    features
}

/// Logits of one line, `[classes] f32`.
pub fn forward(config: &Config, weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let mut hidden = features(config, weights, tokens);
    if let Some(projection) = &weights.projection {
        hidden = projection.chunks_exact(hidden.len()).map(|row| dot(row, &hidden)).collect();
    }
    let rows = weights.output.chunks_exact(hidden.len());
    rows.zip(&weights.output_bias).map(|(row, bias)| dot(row, &hidden) + bias).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::super::weights::Conv;
    use super::*;

    /// Two tokens of dimension 1 with values 2 and -3; one filter of width 1, one of width 2.
    fn model() -> (Config, Weights) {
        let config = Config {
            embedding_dim: 1,
            filters: 1,
            widths: vec![1, 2],
            max_tokens: 3,
            ..Config::default_text_cnn(4, 2)
        };
        let weights = Weights {
            embedding: vec![0.0, 1.0, 2.0, -3.0],
            convs: vec![
                Conv { width: 1, weight: vec![1.0], bias: vec![-1.0] },
                Conv { width: 2, weight: vec![1.0, -2.0], bias: vec![0.5] },
            ],
            projection: None,
            output: vec![1.0, 10.0, 2.0, 0.0],
            output_bias: vec![0.25, 0.0],
            ranges: None,
        };
        (config, weights)
    }

    #[test]
    fn a_line_worked_out_by_hand() {
        let (config, weights) = model();
        // Width 1: max(0, 2, -3) - 1 = 1. Width 2: 2 - 2 * -3 = 8, then -3 alone; 8 + 0.5.
        assert_eq!(features(&config, &weights, &[2, 3]), [1.0, 8.5]);
        assert_eq!(forward(&config, &weights, &[2, 3]), [86.25, 2.0]);
        // No token: only the biases, after relu.
        assert_eq!(features(&config, &weights, &[]), [0.0, 0.5]);
        // Negative sums lose against the window on padding.
        assert_eq!(features(&config, &weights, &[3]), [0.0, 0.5]);
    }

    #[test]
    fn padding_and_tokens_beyond_the_limit_change_nothing() {
        let (config, weights) = model();
        assert_eq!(features(&config, &weights, &[2, 3, 0]), features(&config, &weights, &[2, 3]));
        assert_eq!(features(&config, &weights, &[2, 3, 0, 2, 2]), features(&config, &weights, &[2, 3]));
    }

    #[test]
    fn a_factorised_output_is_two_products() {
        let (mut config, mut weights) = model();
        config.factor_dim = Some(1);
        weights.projection = Some(vec![2.0, 1.0]);
        weights.output = vec![1.0, -1.0];
        // 2 * 1 + 8.5 = 10.5
        assert_eq!(forward(&config, &weights, &[2, 3]), [10.75, -10.5]);
    }
}
