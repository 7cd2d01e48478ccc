//! A bundle compiled for speed: integer tables and kernels, and the calibrated answer for one normalised text.
//!
//! What always holds: the answer for a text depends on the text and the bundle alone, bit for bit, on every CPU, at
//! any batch size, order and number of threads. Sums are integers, or floats added in a written order; there is no
//! fused multiply-add and no library `exp`.
//!
//! A network of another architecture than the Text-CNN answers through `model::nets`, line by line in a written order of
//! floats, and from its logits on the same way.
//!
//! All classes are scored in bytes first, through a screen if the model has one; the likely ones are scored again in 16 bits.

mod bag;
mod compile;
mod kernel;
mod softmax;

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::model::forward::Line;
use crate::model::nets::Net;
use crate::model::{Beta, Bundle, Calibration, Network};
use crate::text::{EncodeScratch, Tokenizer};
use bag::BagScratch;
use softmax::Families;

pub use compile::{Tables, ranges};
pub use kernel::Kernel;

/// Choices that an answer carries, best first.
pub const TOP: usize = 5;

/// Texts whose logits are computed together, at most, so that a weight row is read once for all of them. A multiple of the
/// lines that the kernels keep in registers.
const BLOCK: usize = 48;

/// The same with a screen, whose weights are few: so few texts that their logits, too, stay near.
const SCREENED_BLOCK: usize = 12;

/// A bundle ready to score. Shared by all threads.
pub struct Engine {
    tokenizer: Tokenizer,
    body: Body,
    codes: Vec<String>,
    families: Families,
    temperature: f32,
    /// For 6, 4 and 2 digits.
    curves: [Beta; 3],
    kernel: Kernel,
}

/// What makes logits of a text.
enum Body {
    /// A Text-CNN as tables.
    Tables(Box<Tables>),
    /// Another network as it is.
    Net(Net),
}

/// The answer for one text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Class and calibrated probability of the best choices, best first; equal ones by class number.
    pub top: [(u32, f32); TOP],
    /// How many of `top` are filled: `TOP`, or the number of classes when that is smaller.
    pub choices: usize,
    /// Whether the class of texts that name no goods came first; then it is the first choice.
    pub vague: bool,
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

/// Token ids of several texts, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    ids: Vec<u32>,
    /// Where the ids of each text end.
    ends: Vec<usize>,
    counts: Vec<Counts>,
}

/// Where the time of one thread went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Text to token ids.
    pub tokenise: Duration,
    /// Token ids to features.
    pub look_up: Duration,
    /// The screen, or without one the output layer in bytes.
    pub output: Duration,
    /// Candidates, their exact logits, softmax and the five best.
    pub answer: Duration,
}

impl Tokens {
    fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
        self.counts.clear();
    }

    /// Becomes the part of `all` that these texts have.
    fn take(&mut self, all: &Tokens, texts: std::ops::Range<usize>) {
        self.clear();
        let from = if texts.start == 0 { 0 } else { all.ends[texts.start - 1] };
        let ends = &all.ends[texts.clone()];
        self.ids.extend_from_slice(&all.ids[from..ends.last().copied().unwrap_or(from)]);
        self.ends.extend(ends.iter().map(|end| end - from));
        self.counts.extend_from_slice(&all.counts[texts]);
    }
}

/// Working memory of one thread.
#[derive(Default)]
pub struct Scratch {
    /// Since the scratch was made.
    pub spent: Spent,
    encode: EncodeScratch,
    ids: Vec<u32>,
    /// Of a block.
    tokens: Tokens,
    maxima: Vec<[i16; kernel::LANES]>,
    bag: BagScratch,
    mean: Vec<i16>,
    /// Features of a block, and the same in bytes.
    features: Vec<i16>,
    bytes: Vec<u8>,
    factors: Vec<f32>,
    factor_bytes: Vec<u8>,
    logits: Vec<f32>,
    candidates: Vec<u32>,
    /// Logits of the candidates, before and after.
    rough: Vec<f32>,
    exact: Vec<f32>,
}

impl Engine {
    /// Compiles a bundle with the fastest kernel of this machine.
    pub fn compile(bundle: &Bundle) -> Result<Engine> {
        let codes = bundle.labels.codes.clone();
        Ok(Engine::of_network(&bundle.network, &bundle.tokenizer_json, codes)?.calibrated(&bundle.calibration))
    }

    /// Compiles a network that has no calibration yet.
    pub fn of_network(network: &Network, tokenizer_json: &[u8], codes: Vec<String>) -> Result<Engine> {
        match network {
            Network::TextCnn(cnn) => Engine::uncalibrated(&cnn.config, &cnn.weights, tokenizer_json, codes),
            Network::Other(net) => {
                Ok(Engine::new(Tokenizer::from_json(tokenizer_json)?, Body::Net(net.clone()), codes))
            }
        }
    }

    /// Compiles weights that have no calibration yet (temperature 1, no curves), for fitting it.
    pub fn uncalibrated(
        config: &crate::model::Config,
        weights: &crate::model::Weights,
        tokenizer_json: &[u8],
        codes: Vec<String>,
    ) -> Result<Engine> {
        let (tokenizer, tables) =
            rayon::join(|| Tokenizer::from_json(tokenizer_json), || Tables::compile(config, weights));
        Ok(Engine::new(tokenizer?, Body::Tables(Box::new(tables?)), codes))
    }

    fn new(tokenizer: Tokenizer, body: Body, codes: Vec<String>) -> Engine {
        Engine {
            tokenizer,
            body,
            families: Families::new(&codes),
            codes,
            temperature: 1.0,
            curves: [Beta::IDENTITY; 3],
            kernel: Kernel::best(),
        }
    }

    /// The same engine with this calibration.
    pub fn calibrated(self, c: &Calibration) -> Engine {
        self.with_temperature(c.temperature).with_curves([c.subheading, c.heading, c.chapter])
    }

    /// The same engine on another kernel, whose answers are the same.
    pub fn on(mut self, kernel: Kernel) -> Engine {
        self.kernel = kernel;
        self
    }

    /// The same engine with another temperature.
    pub fn with_temperature(mut self, temperature: f32) -> Engine {
        self.temperature = temperature;
        self
    }

    /// The same engine with other curves for the confidences of 6, 4 and 2 digits.
    pub fn with_curves(mut self, curves: [Beta; 3]) -> Engine {
        self.curves = curves;
        self
    }

    /// What makes tokens of a normalised text.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
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
        self.score_tokens(normalised, None, scratch, out)
    }

    /// Token ids of normalised texts, for an engine with the same tokenizer too.
    pub fn tokens(&self, normalised: &[&str], scratch: &mut Scratch) -> Result<Tokens> {
        self.tokenise(normalised, scratch)?;
        Ok(scratch.tokens.clone())
    }

    /// The same as [`Engine::score`] with the token ids of the texts, where they are known.
    pub fn score_tokens(
        &self,
        normalised: &[&str],
        tokens: Option<&Tokens>,
        scratch: &mut Scratch,
        out: &mut Vec<Score>,
    ) -> Result<()> {
        self.lines(normalised, tokens, scratch, |logits, candidates, counts| {
            let answer = softmax::answer(logits, candidates, self.temperature, &self.families, self.kernel);
            let answer = softmax::calibrated(answer, self.curves);
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
        self.lines(normalised, None, scratch, |logits, _, counts| each(&logits[..self.codes.len()], counts))
    }

    /// Features of normalised texts, `[texts, features]`, as the Text-CNN's, but for the rounding to 12 bits.
    ///
    /// # Errors
    /// `Bug` with another network.
    pub fn features(&self, normalised: &[&str], scratch: &mut Scratch) -> Result<Vec<f32>> {
        let Body::Tables(tables) = &self.body else {
            return Err(Error::Bug("only a Text-CNN has features for a screen".to_string()));
        };
        let features = tables.features();
        let mut out = Vec::with_capacity(normalised.len() * features);
        for block in normalised.chunks(block_of(tables)) {
            self.tokenise(block, scratch)?;
            self.look_up(tables, block, scratch);
            for line in scratch.features.chunks_exact(features).take(block.len()) {
                out.extend(line.iter().zip(tables.feature_unit()).map(|(&x, unit)| f32::from(x) * unit));
            }
        }
        Ok(out)
    }

    /// Gives `each` the logits of every text, padded with minus infinity, the classes that come first by the coarse
    /// ones and hold exact ones, with what these had at least, and the token counts.
    fn lines(
        &self,
        normalised: &[&str],
        tokens: Option<&Tokens>,
        scratch: &mut Scratch,
        mut each: impl FnMut(&[f32], (&mut Vec<u32>, f32), Counts),
    ) -> Result<()> {
        let tables = match &self.body {
            Body::Tables(tables) => tables,
            Body::Net(net) => return self.lines_of_net(net, normalised, tokens, scratch, each),
        };
        let (classes, features) = (tables.coarse().classes(), tables.features());
        for (at, block) in normalised.chunks(block_of(tables)).enumerate() {
            self.tokenised(block, (tokens, at * block_of(tables)), scratch)?;
            self.look_up(tables, block, scratch);
            self.coarse(tables, block.len(), scratch);
            let began = Instant::now();
            for (line, &counts) in scratch.tokens.counts.iter().enumerate() {
                let logits = &mut scratch.logits[line * classes..(line + 1) * classes];
                let least = softmax::candidates(logits, tables.candidates(), self.kernel, &mut scratch.candidates);
                let features = &scratch.features[line * features..(line + 1) * features];
                let memory = (&mut scratch.rough, &mut scratch.exact);
                tables.rescore(features, (&scratch.candidates, least), self.kernel, memory, logits);
                each(logits, (&mut scratch.candidates, least), counts);
            }
            scratch.spent.answer += began.elapsed();
        }
        Ok(())
    }

    /// The same through a network that is no Text-CNN.
    fn lines_of_net(
        &self,
        net: &Net,
        normalised: &[&str],
        tokens: Option<&Tokens>,
        scratch: &mut Scratch,
        mut each: impl FnMut(&[f32], (&mut Vec<u32>, f32), Counts),
    ) -> Result<()> {
        let (grams, max_words) = (net.shape().grams(), net.shape().max_tokens());
        for (at, block) in normalised.chunks(SCREENED_BLOCK).enumerate() {
            self.tokenised(block, (tokens, at * SCREENED_BLOCK), scratch)?;
            let began = Instant::now();
            let grams: Vec<Vec<u32>> =
                block.iter().map(|text| grams.map_or_else(Vec::new, |grams| grams.of_text(text, max_words))).collect();
            let Tokens { ids, ends, .. } = &scratch.tokens;
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let of_lines = starts.zip(ends).map(|(from, &to)| &ids[from..to]);
            let lines: Vec<Line<'_>> = of_lines.zip(&grams).map(|(tokens, grams)| Line { tokens, grams }).collect();
            let logits = net.logits(&lines)?;
            scratch.spent.look_up += began.elapsed();
            let began = Instant::now();
            for (logits, &counts) in logits.chunks_exact(self.codes.len()).zip(&scratch.tokens.counts) {
                let least = softmax::candidates(logits, softmax::CANDIDATES, self.kernel, &mut scratch.candidates);
                each(logits, (&mut scratch.candidates, least), counts);
            }
            scratch.spent.answer += began.elapsed();
        }
        Ok(())
    }

    /// Token ids of a block: from those of all texts, of which the block is the part that begins at a place, or made.
    fn tokenised(&self, block: &[&str], of_all: (Option<&Tokens>, usize), scratch: &mut Scratch) -> Result<()> {
        match of_all {
            (Some(tokens), first) => scratch.tokens.take(tokens, first..first + block.len()),
            (None, _) => self.tokenise(block, scratch)?,
        }
        Ok(())
    }

    fn tokenise(&self, block: &[&str], scratch: &mut Scratch) -> Result<()> {
        let began = Instant::now();
        scratch.tokens.clear();
        for text in block {
            let cut = self.tokenizer.encode(text, &mut scratch.encode, &mut scratch.ids)?;
            let unknown = scratch.ids.iter().filter(|&&id| id == crate::text::UNKNOWN_ID).count();
            scratch.tokens.counts.push(Counts { tokens: scratch.ids.len(), unknown, cut });
            scratch.tokens.ids.extend_from_slice(&scratch.ids);
            scratch.tokens.ends.push(scratch.tokens.ids.len());
        }
        scratch.spent.tokenise += began.elapsed();
        Ok(())
    }

    /// Features of a block, in 16 bits and in bytes.
    fn look_up(&self, tables: &Tables, block: &[&str], scratch: &mut Scratch) {
        let began = Instant::now();
        let features = tables.features();
        let padded = features.next_multiple_of(kernel::QUAD);
        scratch.features.resize(block_of(tables) * features, 0);
        scratch.bytes.resize(block_of(tables) * padded, 0);
        let rows = scratch.features.chunks_exact_mut(features).zip(scratch.bytes.chunks_exact_mut(padded));
        let mut from = 0;
        let Tokens { ids, ends, .. } = &scratch.tokens;
        for (line, (&to, (features, bytes))) in ends.iter().zip(rows).enumerate() {
            // The rows of the next line are on their way while this one is added up.
            let next = ends.get(line + 1).copied().unwrap_or(to);
            ids[to..next].iter().for_each(|&token| tables.prefetch(token, self.kernel));
            tables.features_of(&ids[from..to], self.kernel, &mut scratch.maxima, features);
            tables.bag_of(block[line], self.kernel, (&mut scratch.bag, &mut scratch.mean), features);
            self.kernel.to_bytes(features, bytes);
            from = to;
        }
        scratch.spent.look_up += began.elapsed();
    }

    /// Coarse logits of a block of so many texts.
    fn coarse(&self, tables: &Tables, texts: usize, scratch: &mut Scratch) {
        let began = Instant::now();
        let classes = tables.coarse().classes();
        scratch.logits.resize(block_of(tables) * classes, 0.0);
        let bytes = &scratch.bytes[..texts * tables.features().next_multiple_of(kernel::QUAD)];
        let logits = &mut scratch.logits[..texts * classes];
        let (factors, factor_bytes) = (&mut scratch.factors, &mut scratch.factor_bytes);
        tables.coarse_logits(bytes, texts, self.kernel, factors, factor_bytes, logits);
        scratch.spent.output += began.elapsed();
    }
}

/// Texts of a block.
fn block_of(tables: &Tables) -> usize {
    if tables.is_screened() { SCREENED_BLOCK } else { BLOCK }
}
