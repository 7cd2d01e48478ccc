//! Why a code: the words of a text with what each added to the first choice over the mean of all codes, and over the second.
//!
//! The numbers are those of the network's logits, before the screen and the calibration: exact parts of a Text-CNN's, or what
//! another network's lose without the word (`model::explain`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::classifier::{Classifier, VagueBy};
use crate::engine::Scratch;
use crate::error::Result;
use crate::model::VAGUE_CODE;
use crate::model::explain::{Method, Parts, Why, Word};
use crate::registry::Loaded;
use crate::text::{self, EncodeScratch};

/// A model with all that it takes to explain it.
pub struct Explainer {
    loaded: Arc<Loaded>,
    classifier: Arc<Classifier>,
}

/// Why a text got its code.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The text as it was normalised.
    pub normalised: String,
    /// Words as the network sees them: the numbers of a long number are one word that stands for all such.
    pub words: Vec<String>,
    /// How the contributions were found.
    pub method: Method,
    /// Code and confidence of the first choice.
    pub first: (String, f32),
    /// Its logit less the mean of all classes' logits, word by word.
    pub parts: Parts,
    /// Code and confidence of the second choice, and the first's logit less the second's; `None` with a single class.
    pub second: Option<(String, f32, Parts)>,
    /// What takes the text for one that names no goods; `None` when nothing does.
    pub vague_by: Option<VagueBy>,
}

impl Explainer {
    /// For a model version and its classifier.
    pub fn new(loaded: Arc<Loaded>, classifier: Arc<Classifier>) -> Explainer {
        Explainer { loaded, classifier }
    }

    /// Explains a description; `None` when there is no word in it.
    pub fn explain(&self, description: &str) -> Result<Option<Explanation>> {
        let mut normalised = String::new();
        text::normalise(description, &mut normalised);
        let (words, seen) = self.words(&normalised)?;
        if words.is_empty() {
            return Ok(None);
        }
        let (bundle, engine) = (&self.loaded.bundle, self.classifier.engine());
        let mut scores = Vec::new();
        engine.score(&[normalised.as_str()], &mut Scratch::default(), &mut scores)?;
        let why = Why::of(&bundle.network, &seen)?;
        let choice = |n: usize| {
            let (class, confidence) = scores[0].top[n];
            (engine.code(class).to_string(), confidence, why.parts(class as usize))
        };
        let (code, confidence, of_first) = choice(0);
        let second = (scores[0].choices > 1).then(|| choice(1));
        let second = second.map(|(code, confidence, of_second)| (code, confidence, of_first.minus(&of_second)));
        let parts = of_first.minus(&why.mean());
        let (method, first) = (why.method(), (code, confidence));
        let vague_by = self.classifier.vague_by(&normalised, scores[0].vague);
        Ok(Some(Explanation { normalised, words, method, first, parts, second, vague_by }))
    }

    /// Words and what the network sees of them.
    fn words(&self, normalised: &str) -> Result<(Vec<String>, Vec<Word>)> {
        let (network, tokenizer) = (&self.loaded.bundle.network, self.classifier.engine().tokenizer());
        let (mut scratch, mut names, mut seen) = (EncodeScratch::new(), Vec::new(), Vec::new());
        // Words of the n-grams may be several of the tokenizer's.
        let whole = network.grams().is_some_and(|grams| grams.whole);
        for word in text::words_cut(normalised, whole).take(network.max_tokens()) {
            let mut one = Word { text: word.to_string(), ..Word::default() };
            tokenizer.encode(word, &mut scratch, &mut one.tokens)?;
            if let Some(grams) = network.grams() {
                grams.of_word(word, &mut one.grams);
                one.pair = names.last().filter(|_| grams.pairs).map(|last: &String| grams.of_pair(last, word));
            }
            names.push(word.to_string());
            seen.push(one);
        }
        Ok((names, seen))
    }
}

impl Explanation {
    /// As one JSON object; the code of a text that names no goods is null.
    pub fn json(&self) -> Value {
        let code = |class: &str| (class != VAGUE_CODE).then(|| class.to_string());
        let words = self.words.iter().enumerate().map(|(n, word)| {
            let over = self.second.as_ref().map(|(_, _, parts)| parts.words[n]);
            json!({"word": word, "contribution": self.parts.words[n], "over_second": over})
        });
        json!({
            "text": self.normalised,
            "method": self.method.as_str(),
            "hs6": code(&self.first.0),
            "vague": self.first.0 == VAGUE_CODE,
            "vague_by": self.vague_by.as_ref().map(ToString::to_string),
            "confidence": short(self.first.1),
            "logit_over_mean": self.parts.logit(),
            "bias_over_mean": self.parts.bias,
            "second": self.second.as_ref().map(|(class, confidence, parts)| json!({
                "hs6": code(class),
                "confidence": short(*confidence),
                "logit_difference": parts.logit(),
                "bias_difference": parts.bias,
            })),
            "words": words.collect::<Vec<_>>(),
        })
    }
}

/// The number with no more digits than it has.
fn short(x: f32) -> f64 {
    x.to_string().parse().unwrap_or_else(|_| x.into())
}
