//! Which words made a logit: of a Text-CNN an exact sum, of another network what it loses without each of them.
//!
//! A Text-CNN's feature is the largest window sum plus a bias, and a logit is a weighted sum of features. So each logit is a sum of what
//! the words of the winning windows contributed, of what each word's n-grams contributed to the mean, and of biases. No
//! approximation is made: the parts add up to the logit of [`forward`](super::forward::forward).

use super::config::Config;
use super::left_out::LeftOut;
use super::network::Network;
use super::weights::Weights;
use crate::error::Result;

/// A word as the network sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Itself.
    pub text: String,
    /// Ids of its tokens.
    pub tokens: Vec<u32>,
    /// Rows of its n-grams; empty without a bag.
    pub grams: Vec<u32>,
    /// Row of its pair with the word before, of which each of the two made half; not for the first word.
    pub pair: Option<u32>,
}

/// A logit taken apart; the numbers are in its unit (natural logarithm).
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What each word added.
    pub words: Vec<f64>,
    /// What no word added: biases of features and of the class, or what words left out one by one do not account for.
    pub bias: f64,
}

impl Parts {
    /// The logit.
    pub fn logit(&self) -> f64 {
        self.words.iter().sum::<f64>() + self.bias
    }

    /// These parts less those of another class: why the one and not the other.
    pub fn minus(&self, other: &Parts) -> Parts {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a - b).collect();
        Parts { words, bias: self.bias - other.bias }
    }
}

/// How contributions were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Parts of the logit, which add up to it.
    Exact,
    /// What the logit loses when the word is left out.
    LeaveOneOut,
}

impl Method {
    /// `exact` or `leave-one-out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Exact => "exact",
            Method::LeaveOneOut => "leave-one-out",
        }
    }

    /// The name of [`Parts::bias`] beside the words, which none of them can have: `(bias)`, or `(together)` where it is what words
    /// left out one by one do not account for.
    pub fn rest(self) -> &'static str {
        match self {
            Method::Exact => "(bias)",
            Method::LeaveOneOut => "(together)",
        }
    }
}

/// What the words of a line added to each logit.
pub enum Why<'a> {
    /// Of a Text-CNN.
    Traced(Traced, &'a Weights),
    /// Of another network.
    LeftOut(LeftOut),
}

impl<'a> Why<'a> {
    /// Of a line by its words.
    pub fn of(network: &'a Network, words: &[Word]) -> Result<Why<'a>> {
        Ok(match network {
            Network::TextCnn(cnn) => Why::Traced(trace(&cnn.config, &cnn.weights, words), &cnn.weights),
            Network::Other(net) => Why::LeftOut(LeftOut::of(net, words)?),
        })
    }

    /// How it was found.
    pub fn method(&self) -> Method {
        match self {
            Why::Traced(..) => Method::Exact,
            Why::LeftOut(_) => Method::LeaveOneOut,
        }
    }

    /// The logit of a class, word by word.
    pub fn parts(&self, class: usize) -> Parts {
        match self {
            Why::Traced(traced, weights) => traced.parts(weights, class),
            Why::LeftOut(left_out) => left_out.parts(class),
        }
    }

    /// The mean of the logits of all classes, word by word: what speaks for no code more than for another.
    pub fn mean(&self) -> Parts {
        match self {
            Why::Traced(traced, weights) => traced.mean(weights),
            Why::LeftOut(left_out) => left_out.mean(),
        }
    }
}

/// The features of a line, each with the words that made it.
pub struct Traced {
    /// Words of the line.
    words: usize,
    /// Those that are not 0.
    features: Vec<Feature>,
}

/// A feature that is not 0.
struct Feature {
    number: usize,
    /// What words, by their places, added to it.
    made: Vec<(usize, f64)>,
    bias: f64,
}

/// Traces the features of a line back to its words; of these, only as much as the network looks at.
pub fn trace(config: &Config, weights: &Weights, words: &[Word]) -> Traced {
    let dim = config.embedding_dim;
    let tokens: Vec<(usize, u32)> = words
        .iter()
        .enumerate()
        .flat_map(|(n, word)| word.tokens.iter().map(move |&t| (n, t)))
        .take(config.max_tokens)
        .collect();
    let row = |token: u32| weights.embedding.chunks_exact(dim).nth(token as usize).unwrap_or_default();
    let mut features = Vec::new();
    let mut number = 0;
    for conv in &weights.convs {
        for (kernel, &bias) in conv.weight.chunks_exact(dim * conv.width).zip(&conv.bias) {
            let product = |offset: usize, token: u32| -> f64 {
                let each = row(token).iter().enumerate();
                each.map(|(d, x)| f64::from(kernel[d * conv.width + offset]) * f64::from(*x)).sum()
            };
            let (mut best, mut made) = (0.0, Vec::new());
            for start in 0..tokens.len() {
                let window = &tokens[start..tokens.len().min(start + conv.width)];
                let parts: Vec<(usize, f64)> =
                    window.iter().enumerate().map(|(offset, &(word, token))| (word, product(offset, token))).collect();
                let sum: f64 = parts.iter().map(|part| part.1).sum();
                if sum > best {
                    (best, made) = (sum, parts);
                }
            }
            if best + f64::from(bias) > 0.0 {
                features.push(Feature { number, made, bias: bias.into() });
            }
            number += 1;
        }
    }
    if let Some(bag) = &weights.bag {
        let dim = bag.bias.len();
        let count = words.iter().map(|word| word.grams.len() + usize::from(word.pair.is_some())).sum::<usize>().max(1);
        let count = count as f64;
        let row = |gram: u32| bag.table.chunks_exact(dim).nth(gram as usize).unwrap_or_default();
        let mut sums: Vec<Vec<f64>> = vec![vec![0f64; dim]; words.len()];
        let add = |sums: &mut Vec<f64>, gram: u32, part: f64| {
            sums.iter_mut().zip(row(gram)).for_each(|(sum, x)| *sum += part * f64::from(*x));
        };
        for (n, word) in words.iter().enumerate() {
            word.grams.iter().for_each(|&gram| add(&mut sums[n], gram, 1.0));
            if let (Some(pair), Some(before)) = (word.pair, n.checked_sub(1)) {
                [before, n].into_iter().for_each(|n| add(&mut sums[n], pair, 0.5));
            }
        }
        for (d, &bias) in bag.bias.iter().enumerate() {
            let made: Vec<(usize, f64)> = sums.iter().enumerate().map(|(n, sums)| (n, sums[d] / count)).collect();
            if made.iter().map(|part| part.1).sum::<f64>() + f64::from(bias) > 0.0 {
                features.push(Feature { number: number + d, made, bias: bias.into() });
            }
        }
    }
    Traced { words: words.len(), features }
}

impl Traced {
    /// The logit of a class, word by word.
    pub fn parts(&self, weights: &Weights, class: usize) -> Parts {
        let features = weights.output.len() / weights.output_bias.len().max(1);
        let output = &weights.output[class * features..(class + 1) * features];
        self.weighed(weights.output_bias[class].into(), |number| output[number].into())
    }

    /// The mean of the logits of all classes, word by word: what speaks for no code more than for another.
    pub fn mean(&self, weights: &Weights) -> Parts {
        let classes = weights.output_bias.len().max(1);
        let features = weights.output.len() / classes;
        let mean = |values: &mut dyn Iterator<Item = &f32>| values.map(|x| f64::from(*x)).sum::<f64>() / classes as f64;
        self.weighed(mean(&mut weights.output_bias.iter()), |number| {
            mean(&mut weights.output.iter().skip(number).step_by(features))
        })
    }

    fn weighed(&self, bias: f64, weight: impl Fn(usize) -> f64) -> Parts {
        let mut parts = Parts { words: vec![0.0; self.words], bias };
        for Feature { number, made, bias } in &self.features {
            let weight = weight(*number);
            made.iter().for_each(|(word, x)| parts.words[*word] += x * weight);
            parts.bias += bias * weight;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::BagShape;
    use super::super::forward::{Line, forward};
    use super::super::weights::{Bag, Conv};
    use super::*;
    use crate::text::Grams;

    /// Numbers that look random, between -1 and 1.
    fn draw(count: usize, state: &mut u64) -> Vec<f32> {
        let next = |_| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(next).collect()
    }

    fn model(bag: bool) -> (Config, Weights) {
        let mut state = 7;
        let grams = Grams { buckets: 40, shortest: 2, longest: 3, pairs: true, whole: false };
        let bag = bag.then_some(BagShape { dim: 5, grams });
        let config = Config {
            embedding_dim: 6,
            filters: 9,
            widths: vec![1, 2, 4],
            max_tokens: 7,
            bag,
            ..Config::default_text_cnn(30, 8)
        };
        let convs = config.widths.iter().map(|&width| Conv {
            width,
            weight: draw(config.filters * 6 * width, &mut state),
            bias: draw(config.filters, &mut state),
        });
        let convs = convs.collect();
        let mut embedding = draw(30 * 6, &mut state);
        embedding[..6].fill(0.0);
        let bag = bag.map(|_| Bag { table: draw(40 * 5, &mut state).into(), bias: draw(5, &mut state) });
        let output = draw(config.features() * 8, &mut state);
        let output_bias = draw(8, &mut state);
        (config, Weights { embedding: embedding.into(), convs, output, output_bias, ranges: None, screen: None, bag })
    }

    #[test]
    fn the_parts_add_up_to_the_logit() {
        let lines: [&[&[u32]]; 5] =
            [&[&[3], &[4, 5], &[6]], &[&[29; 9], &[1]], &[], &[&[], &[2]], &[&[1, 2], &[1, 2], &[1, 2]]];
        for bag in [false, true] {
            let (config, weights) = model(bag);
            for line in lines {
                let word = |tokens: &&[u32]| Word {
                    text: String::new(),
                    tokens: tokens.to_vec(),
                    grams: if bag { tokens.iter().flat_map(|&t| [t, 39 - t, t / 2]).collect() } else { vec![] },
                    pair: None,
                };
                let mut words: Vec<Word> = line.iter().map(word).collect();
                words.iter_mut().enumerate().skip(1).for_each(|(n, w)| w.pair = bag.then_some(3 * n as u32 + 1));
                let tokens: Vec<u32> = words.iter().flat_map(|w| w.tokens.clone()).collect();
                let grams: Vec<u32> = words.iter().flat_map(|w| w.grams.iter().copied().chain(w.pair)).collect();
                let logits = forward(&config, &weights, Line { tokens: &tokens, grams: &grams });
                let traced = trace(&config, &weights, &words);
                let mean = f64::from(logits.iter().sum::<f32>()) / logits.len() as f64;
                assert!((traced.mean(&weights).logit() - mean).abs() < 1e-4);
                for (class, logit) in logits.iter().enumerate() {
                    let parts = traced.parts(&weights, class);
                    assert!((parts.logit() - f64::from(*logit)).abs() < 1e-4, "{parts:?} {logit}");
                    let against = parts.minus(&traced.parts(&weights, 0));
                    assert!((against.logit() - f64::from(logit - logits[0])).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn a_word_that_decides_stands_out() {
        let (config, mut weights) = model(false);
        // Token 3 alone lights the first filter of width 1, and class 2 wants it: 5 · 2 · 3.
        weights.embedding = (0..180).map(|n| if n == 18 { 2.0 } else { 0.0 }).collect();
        weights.convs.iter_mut().for_each(|conv| conv.weight.fill(0.0));
        weights.convs[0].weight[0] = 5.0;
        weights.output[2 * 27] = 3.0;
        let words: Vec<Word> = [4, 3, 5].map(|t| Word { tokens: vec![t], ..Word::default() }).into();
        let parts = trace(&config, &weights, &words).parts(&weights, 2);
        assert_eq!(parts.words, [0.0, 30.0, 0.0]);
    }
}
