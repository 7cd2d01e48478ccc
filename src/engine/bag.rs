//! The mean over a line's n-grams in integers. The sum of a word's rows is remembered, so a line costs one addition a word.
//!
//! What is remembered changes no answer: sums of integers are the same in any order.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Kernel;
use crate::model::{Config, Floats, Weights};
use crate::text::{Grams, MAX_GRAMS, word_key, word_place};

/// Words that one thread remembers, at most: each has one place, and takes it from the one before.
const SLOTS: usize = 1 << 16;

/// Numbers that their sums have together, at most: 32 MiB.
const SUMS: usize = 1 << 23;

/// Tells bags of one process apart, so that working memory never answers for another one.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// The table of n-grams, scaled to 16 bits where it is read.
pub(super) struct Bag {
    grams: Grams,
    dim: usize,
    /// `[buckets][dim]`.
    table: Floats,
    /// From a number of the table to its integer, `[dim]`.
    scale: Vec<f32>,
    max_words: usize,
    /// Places for words.
    slots: usize,
    identity: u64,
}

/// Working memory of one thread.
#[derive(Default)]
pub(super) struct BagScratch {
    identity: u64,
    /// Key of the word at each place, 0 for none, and its n-grams.
    slots: Vec<(u128, u32)>,
    /// Sums of the words at each place, `[places][dim]`.
    sums: Vec<i32>,
    rows: Vec<u32>,
    /// Sums of a word that has no place, and of the line.
    one: Vec<i32>,
    line: Vec<i32>,
}

impl Bag {
    /// The bag of a model, if it has one; `scale` is that of its features.
    pub(super) fn new(config: &Config, weights: &Weights, scale: &[f32]) -> Option<Bag> {
        let (shape, bag) = (config.bag?, weights.bag.as_ref()?);
        Some(Bag {
            grams: shape.grams,
            dim: shape.dim,
            table: bag.table.clone(),
            scale: scale.to_vec(),
            max_words: config.max_tokens,
            slots: (SUMS / shape.dim).clamp(1, SLOTS),
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The mean of the rows of a normalised text's n-grams, in units of the scale, rounded.
    ///
    /// The bound: at most `MAX_GRAMS` = 2^14 rows of at most 2^15, so sums stay below 2^29.
    pub(super) fn mean(&self, normalised: &str, kernel: Kernel, scratch: &mut BagScratch, out: &mut [i16]) {
        if scratch.identity != self.identity {
            scratch.identity = self.identity;
            // Fresh memory is zero without being touched: a few lines do not wait for all of it.
            scratch.slots = vec![(0, 0); self.slots];
            scratch.sums = vec![0; self.slots * self.dim];
            scratch.one.resize(self.dim, 0);
            scratch.line.resize(self.dim, 0);
        }
        let BagScratch { slots, sums, rows, one, line, .. } = scratch;
        let (one, line) = (&mut one[..self.dim], &mut line[..self.dim]);
        line.fill(0);
        let (mut count, mut last) = (0, None);
        for word in self.grams.words(normalised).take(self.max_words) {
            let key = word_key(word);
            let place = key.map_or(0, |key| word_place(key) % self.slots);
            let (word_sums, word_count) = match key {
                Some(key) => {
                    let sums = &mut sums[place * self.dim..(place + 1) * self.dim];
                    if slots[place].0 != key {
                        slots[place] = (key, self.sum(word, kernel, rows, sums));
                    }
                    (&*sums, slots[place].1 as usize)
                }
                None => {
                    let count = self.sum(word, kernel, rows, one);
                    (&*one, count as usize)
                }
            };
            let pair = last.filter(|_| self.grams.pairs).map(|last| self.grams.of_pair(last, word));
            let word_count = word_count + usize::from(pair.is_some());
            if count + word_count > MAX_GRAMS {
                break;
            }
            count += word_count;
            kernel.add_to(word_sums, line);
            if let Some(pair) = pair {
                kernel.add_scaled(self.row(pair), &self.scale, line);
            }
            last = Some(word);
        }
        kernel.to_mean(line, 1.0 / count.max(1) as f32, out);
    }

    /// The sum of a word's rows, and how many they are; of a word with too many to count, that they are too many.
    fn sum(&self, word: &str, kernel: Kernel, rows: &mut Vec<u32>, sums: &mut [i32]) -> u32 {
        rows.clear();
        self.grams.of_word(word, rows);
        sums.fill(0);
        if rows.len() <= MAX_GRAMS {
            for &row in &*rows {
                kernel.add_scaled(self.row(row), &self.scale, sums);
            }
        }
        rows.len() as u32
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.table[row as usize * self.dim..][..self.dim]
    }
}
