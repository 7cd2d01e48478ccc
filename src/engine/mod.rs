//! A bundle compiled for speed: integer tables and kernels, and the calibrated answer for one normalised text.
//!
//! What always holds: the answer for a text depends on the text and the bundle alone, bit for bit, on every CPU, at
//! any batch size, order and number of threads. Sums are integers, or floats added in a written order; there is no
//! fused multiply-add and no library `exp`.

mod compile;
mod kernel;
mod softmax;

use crate::error::Result;
use crate::model::Bundle;
use crate::text::{EncodeScratch, Tokenizer};

pub use compile::Tables;
pub use kernel::Kernel;

/// Choices that an answer carries, best first.
pub const TOP: usize = 5;

/// Texts whose logits are computed together, so that a weight row is read once for all of them.
const BLOCK: usize = 16;

/// A bundle ready to score. Shared by all threads.
pub struct Engine {
    tokenizer: Tokenizer,
    tables: Tables,
    codes: Vec<String>,
    temperature: f32,
    kernel: Kernel,
}

/// The answer for one text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Class and calibrated probability of the best choices, best first; equal ones by class number.
    pub top: [(u32, f32); TOP],
    /// How many of `top` are filled: `TOP`, or the number of classes when that is smaller.
    pub choices: usize,
    /// Calibrated probability of the first choice's heading: the sum over its subheadings.
    pub heading: f32,
    /// Calibrated probability of the first choice's chapter.
    pub chapter: f32,
    /// Tokens of the text, after the bound.
    pub tokens: usize,
    /// Of these, tokens that the vocabulary does not know.
    pub unknown: usize,
    /// Whether the text has more tokens than the network looks at.
    pub cut: bool,
}

impl Score {
    /// Confidence of the first choice, 0 to 1.
    pub fn confidence(&self) -> f32 {
        self.top[0].1
    }

    /// First minus second, 0 to 1.
    pub fn margin(&self) -> f32 {
        if self.choices > 1 { self.top[0].1 - self.top[1].1 } else { self.top[0].1 }
    }
}

/// What the tokenizer found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Tokens, after the bound.
    pub tokens: usize,
    /// Of these, unknown ones.
    pub unknown: usize,
    /// Whether tokens were cut off.
    pub cut: bool,
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    encode: EncodeScratch,
    ids: Vec<u32>,
    features: Vec<i16>,
    sums: Vec<i32>,
    logits: Vec<f32>,
    counts: Vec<Counts>,
}

impl Engine {
    /// Compiles a bundle with the fastest kernel of this machine.
    pub fn compile(bundle: &Bundle) -> Result<Engine> {
        Engine::with_kernel(bundle, Kernel::best())
    }

    /// Compiles a bundle for one kernel; the answers are the same with every one.
    pub fn with_kernel(bundle: &Bundle, kernel: Kernel) -> Result<Engine> {
        Ok(Engine {
            tokenizer: Tokenizer::from_json(&bundle.tokenizer_json)?,
            tables: Tables::compile(&bundle.config, &bundle.weights)?,
            codes: bundle.labels.codes.clone(),
            temperature: bundle.calibration.temperature,
            kernel,
        })
    }

    /// Compiles weights that have no calibration yet (temperature 1), for fitting it.
    pub fn uncalibrated(
        config: &crate::model::Config,
        weights: &crate::model::Weights,
        tokenizer_json: &[u8],
        codes: Vec<String>,
    ) -> Result<Engine> {
        Ok(Engine {
            tokenizer: Tokenizer::from_json(tokenizer_json)?,
            tables: Tables::compile(config, weights)?,
            codes,
            temperature: 1.0,
            kernel: Kernel::best(),
        })
    }

    /// The same engine with another temperature.
    pub fn with_temperature(mut self, temperature: f32) -> Engine {
        self.temperature = temperature;
        self
    }

    /// Subheading of a class.
    pub fn code(&self, class: u32) -> &str {
        &self.codes[class as usize]
    }

    /// Subheadings of all classes, in class order.
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Scores normalised texts; one answer each, in their order.
    pub fn score(&self, normalised: &[&str], scratch: &mut Scratch, out: &mut Vec<Score>) -> Result<()> {
        self.logits(normalised, scratch, |logits, counts| {
            let answer = softmax::answer(logits, self.temperature, &self.codes);
            out.push(Score { tokens: counts.tokens, unknown: counts.unknown, cut: counts.cut, ..answer });
        })
    }

    /// Gives `each` the uncalibrated logits (`[classes]`) of every text, in their order, with its token counts.
    pub fn logits(
        &self,
        normalised: &[&str],
        scratch: &mut Scratch,
        mut each: impl FnMut(&[f32], Counts),
    ) -> Result<()> {
        let (features, classes) = (self.tables.features(), self.tables.classes());
        scratch.logits.resize(classes, 0.0);
        for block in normalised.chunks(BLOCK) {
            scratch.features.clear();
            scratch.features.resize(block.len() * features, 0);
            scratch.counts.clear();
            for (text, row) in block.iter().zip(scratch.features.chunks_exact_mut(features)) {
                let cut = self.tokenizer.encode(text, &mut scratch.encode, &mut scratch.ids)?;
                let unknown = scratch.ids.iter().filter(|&&id| id == crate::text::UNKNOWN_ID).count();
                scratch.counts.push(Counts { tokens: scratch.ids.len(), unknown, cut });
                self.tables.features_of(&scratch.ids, self.kernel, row);
            }
            scratch.sums.clear();
            scratch.sums.resize(block.len() * classes, 0);
            self.kernel.products(&scratch.features, self.tables.output(), features, &mut scratch.sums);
            for (sums, &counts) in scratch.sums.chunks_exact(classes).zip(&scratch.counts) {
                self.tables.logits_of(sums, &mut scratch.logits);
                each(&scratch.logits, counts);
            }
        }
        Ok(())
    }
}
