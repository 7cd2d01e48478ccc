//! Which words made a logit, where there is no exact answer: what the line loses when one of them is left out (Li, Monroe and
//! Jurafsky 2016, "Understanding Neural Networks through Representation Erasure", <https://arxiv.org/abs/1612.08220>).
//!
//! The numbers do not add up to the logit: words that say the same take each other's place, and words that mean something
//! together are counted in each of them. What is missing stands as the part that no word added.

use super::explain::{Parts, Word};
use super::forward::Line;
use super::nets::Net;
use crate::error::Result;

/// Logits of a line, and of the same line without each of its words.
pub struct LeftOut {
    /// `[classes]`.
    whole: Vec<f32>,
    /// `[words][classes]`.
    without: Vec<Vec<f32>>,
}

impl LeftOut {
    /// Asks the network once for the line and once for each word. Where a word was, its neighbours become a pair.
    pub fn of(net: &Net, words: &[Word]) -> Result<LeftOut> {
        let pairs = net.shape().grams().filter(|grams| grams.pairs);
        let logits = |left_out: Option<usize>| {
            let (mut tokens, mut grams, mut last) = (Vec::new(), Vec::new(), None);
            for (_, word) in words.iter().enumerate().filter(|(n, _)| Some(*n) != left_out) {
                tokens.extend_from_slice(&word.tokens);
                grams.extend_from_slice(&word.grams);
                if let (Some(pairs), Some(last)) = (pairs, last) {
                    grams.push(pairs.of_pair(last, &word.text));
                }
                last = Some(word.text.as_str());
            }
            net.logits(&[Line { tokens: &tokens, grams: &grams }])
        };
        Ok(LeftOut { whole: logits(None)?, without: (0..words.len()).map(|n| logits(Some(n))).collect::<Result<_>>()? })
    }

    /// The logit of a class, word by word.
    pub fn parts(&self, class: usize) -> Parts {
        self.taken_apart(|logits| logits[class].into())
    }

    /// The mean of the logits of all classes, word by word.
    pub fn mean(&self) -> Parts {
        self.taken_apart(|logits| logits.iter().map(|x| f64::from(*x)).sum::<f64>() / logits.len().max(1) as f64)
    }

    fn taken_apart(&self, number: impl Fn(&[f32]) -> f64) -> Parts {
        let whole = number(&self.whole);
        let words: Vec<f64> = self.without.iter().map(|without| whole - number(without)).collect();
        Parts { bias: whole - words.iter().sum::<f64>(), words }
    }
}

#[cfg(test)]
mod tests {
    use super::super::nets::{Linear, Net, Shape};
    use super::*;
    use crate::text::Grams;

    #[test]
    fn a_word_has_what_the_line_loses_without_it() {
        let grams = Grams { buckets: 4, shortest: 2, longest: 3, pairs: false, whole: false };
        let shape = Shape::Linear(Linear { grams, max_tokens: 9, classes: 2 });
        // Rows of the n-grams 0 to 3, then the biases.
        let table = vec![1.0, 0.0, 2.0, 1.0, 3.0, -1.0, 4.0, 2.0];
        let net = Net::new(shape, vec![table, vec![0.5, 0.25]]).unwrap();
        let word = |grams: &[u32]| Word { grams: grams.to_vec(), ..Word::default() };
        let found = LeftOut::of(&net, &[word(&[0, 1, 2]), word(&[3])]).unwrap();
        // Class 0: (1 + 2 + 3 + 4) / √4 + 0.5 = 5.5; without the first 4 / √1 + 0.5 = 4.5; without the second 6 / √3 + 0.5.
        let parts = found.parts(0);
        assert!((parts.words[0] - 1.0).abs() < 1e-6 && (parts.words[1] - (5.0 - 6.0 / 3f64.sqrt())).abs() < 1e-6);
        assert!((parts.logit() - 5.5).abs() < 1e-6);
        // Class 1: (0 + 1 - 1 + 2) / 2 + 0.25 = 1.25.
        assert!((found.mean().logit() - (5.5 + 1.25) / 2.0).abs() < 1e-6);
    }
}
