//! What a Text-CNN computes, written plainly: the reference that the fast engine and the training are held to.
//!
//! For tokens `t_0 .. t_{n-1}` and a filter `f` of width `w`,
//! `pre_f = max(0, max_p Σ_j kernel[f, :, j] · embedding[t_{p+j}])` over window starts `p = 0 .. n-1`, where offsets
//! past the end contribute nothing and the 0 stands for a window that lies wholly on padding;
//! `feature_f = relu(pre_f + bias_f)`; `logits = output · features + output_bias` (Kim 2014, equations 1 to 4, with the
//! bias after the maximum, which is the same, and a linear activation before it). A line's logits depend on nothing but
//! its tokens.
//!
//! A bag adds the features `relu(mean of the rows of the line's n-grams + bias)` (after Joulin et al. 2017).

use super::config::Config;
use super::weights::Weights;

/// What the network sees of a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// Ids of its tokens.
    pub tokens: &'a [u32],
    /// Rows of its n-grams: `Grams::of_text`; empty without a bag.
    pub grams: &'a [u32],
}

/// Features of one line, `[features] f32`, in the order of the widths. Tokens beyond the vocabulary contribute
/// nothing.
pub fn features(config: &Config, weights: &Weights, line: Line<'_>) -> Vec<f32> {
    let Line { tokens, grams } = line;
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
    if let Some(bag) = &weights.bag {
        let dim = bag.bias.len();
        let row = |gram: u32| bag.table.chunks_exact(dim).nth(gram as usize).unwrap_or_default();
        let mut sums = vec![0f64; dim];
        grams.iter().for_each(|&gram| sums.iter_mut().zip(row(gram)).for_each(|(sum, &x)| *sum += f64::from(x)));
        let mean = sums.iter().map(|sum| (sum / grams.len().max(1) as f64) as f32);
        features.extend(mean.zip(&bag.bias).map(|(mean, bias)| (mean + bias).max(0.0)));
    }
    features
}

/// Logits of one line, `[classes] f32`.
pub fn forward(config: &Config, weights: &Weights, line: Line<'_>) -> Vec<f32> {
    let hidden = features(config, weights, line);
    let rows = weights.output.chunks_exact(hidden.len());
    rows.zip(&weights.output_bias).map(|(row, bias)| dot(row, &hidden) + bias).collect()
}

/// Logits of one line as they are served, `[classes] f32`: those of [`forward`], or, when there is a screen, those of the
/// screen with the likely ones replaced by [`replace_likely`].
pub fn served(config: &Config, weights: &Weights, line: Line<'_>) -> Vec<f32> {
    let exact = forward(config, weights, line);
    let Some(screen) = &weights.screen else { return exact };
    let hidden = features(config, weights, line);
    let factors: Vec<f32> = screen.projection.chunks_exact(hidden.len()).map(|row| dot(row, &hidden)).collect();
    let rows = screen.output.chunks_exact(factors.len());
    let mut logits: Vec<f32> = rows.zip(&screen.bias).map(|(row, bias)| dot(row, &factors) + bias).collect();
    replace_likely(&mut logits, &exact);
    logits
}

/// Groups of classes by number, modulo: those of a heading are in different ones.
pub const GROUPS: usize = 64;

/// Classes that a screened model scores exactly, at least: as many groups as this hold one.
pub const LIKELY: usize = 40;

/// Puts exact logits in the place of a screen's where these are likely: at least the edge, the smallest of the [`LIKELY`]
/// largest maxima of the [`GROUPS`]. A screen knows logits only up to a number that a line's have in common, so the exact
/// ones are moved together until they agree with those they replace in the mean, each counted by how far the screen's lies
/// above the edge: a class at the edge has no say, so that a hair's breadth there moves nothing. The screen says how
/// likely it is that the answer is among these classes, the output layer says which of them it is.
pub fn replace_likely(logits: &mut [f32], exact: &[f32]) {
    let mut largest = [f32::NEG_INFINITY; GROUPS];
    for (class, &logit) in logits.iter().enumerate() {
        largest[class % GROUPS] = largest[class % GROUPS].max(logit);
    }
    largest.sort_by(|a, b| b.total_cmp(a));
    let edge = largest[LIKELY - 1];
    let likely: Vec<usize> = (0..logits.len()).filter(|&class| logits[class] >= edge).collect();
    // With fewer classes than that there is no edge, and all count the same.
    let weight = |class: usize| if edge.is_finite() { f64::from(logits[class]) - f64::from(edge) } else { 1.0 };
    let total: f64 = likely.iter().map(|&class| weight(class)).sum();
    let moved = |class: &usize| weight(*class) * (f64::from(logits[*class]) - f64::from(exact[*class]));
    let sum: f64 = likely.iter().map(moved).sum();
    // All at the edge: nothing says by how much, and the first is as good as any.
    let shift =
        if total > 0.0 { sum / total } else { likely.first().map_or(0.0, |&c| f64::from(logits[c] - exact[c])) };
    for class in likely {
        logits[class] = (f64::from(exact[class]) + shift) as f32;
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::super::weights::{Bag, Conv};
    use super::*;

    fn line(tokens: &[u32]) -> Line<'_> {
        Line { tokens, grams: &[] }
    }

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
            embedding: vec![0.0, 1.0, 2.0, -3.0].into(),
            convs: vec![
                Conv { width: 1, weight: vec![1.0], bias: vec![-1.0] },
                Conv { width: 2, weight: vec![1.0, -2.0], bias: vec![0.5] },
            ],
            output: vec![1.0, 10.0, 2.0, 0.0],
            output_bias: vec![0.25, 0.0],
            ranges: None,
            screen: None,
            bag: None,
        };
        (config, weights)
    }

    #[test]
    fn a_line_worked_out_by_hand() {
        let (config, weights) = model();
        // Width 1: max(0, 2, -3) - 1 = 1. Width 2: 2 - 2 * -3 = 8, then -3 alone; 8 + 0.5.
        assert_eq!(features(&config, &weights, line(&[2, 3])), [1.0, 8.5]);
        assert_eq!(forward(&config, &weights, line(&[2, 3])), [86.25, 2.0]);
        // No token: only the biases, after relu.
        assert_eq!(features(&config, &weights, line(&[])), [0.0, 0.5]);
        // Negative sums lose against the window on padding.
        assert_eq!(features(&config, &weights, line(&[3])), [0.0, 0.5]);
    }

    #[test]
    fn a_bag_adds_the_mean_of_its_rows() {
        let (config, mut weights) = model();
        weights.bag = Some(Bag { table: vec![1.0, -4.0, 2.0, 0.0, 6.0, -2.0].into(), bias: vec![0.5, 1.0] });
        let of = |grams| features(&config, &weights, Line { tokens: &[2, 3], grams });
        assert_eq!(of(&[0, 2, 2, 1]), [1.0, 8.5, (1.0 + 6.0 + 6.0 + 2.0) / 4.0 + 0.5, 0.0]);
        // No n-gram: only the bias.
        assert_eq!(of(&[]), [1.0, 8.5, 0.5, 1.0]);
    }

    #[test]
    fn padding_and_tokens_beyond_the_limit_change_nothing() {
        let (config, weights) = model();
        assert_eq!(features(&config, &weights, line(&[2, 3, 0])), features(&config, &weights, line(&[2, 3])));
        assert_eq!(features(&config, &weights, line(&[2, 3, 0, 2, 2])), features(&config, &weights, line(&[2, 3])));
    }

    #[test]
    fn a_screen_says_how_likely_the_likely_ones_are_and_the_output_layer_which_it_is() {
        // 84 classes: the 42 even ones are likely, in 32 groups, and 8 of the odd ones at the edge are.
        let mut logits: Vec<f32> = (0..84).map(|class| if class % 2 == 0 { 3.0 } else { -1.0 }).collect();
        (1..17).step_by(2).for_each(|class| logits[class] = 1.0);
        let exact: Vec<f32> = (0..84).map(|class| 40.0 + class as f32 / 10.0).collect();
        let rough = logits.clone();
        replace_likely(&mut logits, &exact);
        // The even ones keep their mean: 40 + 4.1 became 3.
        for class in 0..84 {
            let expected = if rough[class] >= 1.0 { exact[class] - 41.1 } else { rough[class] };
            assert!((logits[class] - expected).abs() < 1e-4, "{class}");
        }
    }

    #[test]
    fn few_classes_or_equal_ones_are_moved_all_the_same() {
        for (count, rough) in [(3, [1.0f32, 2.0, 6.0].to_vec()), (70, vec![2.0; 70])] {
            let mut logits = rough.clone();
            let exact: Vec<f32> = (0..count).map(|class| class as f32 + 50.0).collect();
            replace_likely(&mut logits, &exact);
            assert!(logits.windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 1e-4), "{logits:?}");
            assert!((logits[1] - 3.0).abs() < 1e-4, "{logits:?}");
        }
    }

    #[test]
    fn a_screen_that_is_the_output_layer_changes_nothing() {
        let (mut config, mut weights) = model();
        config.screen_dim = Some(2);
        let eye = vec![1.0, 0.0, 0.0, 1.0];
        weights.screen = Some(super::super::weights::Screen {
            projection: eye,
            output: weights.output.clone(),
            bias: weights.output_bias.clone(),
        });
        for tokens in [&[2u32, 3][..], &[], &[3]] {
            for (a, b) in served(&config, &weights, line(tokens)).iter().zip(forward(&config, &weights, line(tokens))) {
                assert!((a - b).abs() < 1e-4);
            }
        }
    }
}
