//! From a description to token ids and n-grams: normalise, digest, tokenise.
//!
//! Everything here is a pure function of the text and of the tokenizer's file. The same text gives the same
//! digest and the same ids on every machine; nothing here pads, scores, or reads files.

mod bpe;
mod grams;
mod normalise;
mod tokenizer;

pub use grams::{Grams, MAX_GRAMS};
pub use normalise::{MAX_CHARS, Normalised, TextDigest, digest, normalise};
pub use tokenizer::{EncodeScratch, PAD_ID, Tokenizer, UNKNOWN_ID, word_key, word_place, words, words_cut};
