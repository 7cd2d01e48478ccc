//! Which test texts a model is right on, and whether two models differ by more than chance.
//!
//! Each distinct text counts once, by its first line: repeats are no further evidence.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::tariff::Subheading;
use crate::trial::{Pairs, mcnemar};

/// Texts that are kept of a model, at most: 256 KiB.
const MAX_TEXTS: usize = 1 << 20;

/// A bit for each distinct test text in the order of the lines: whether six digits are right. Where there are too many texts,
/// of every second, third, … one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Bits.
    texts: usize,
    /// Hexadecimal digits; the first text is the highest bit of the first one.
    bits: String,
}

impl Rights {
    /// From the first choice for each test line, or none.
    pub fn of(test: &[(&str, Subheading)], first: &[Option<Subheading>]) -> Rights {
        let mut seen = HashSet::new();
        let lines = test.iter().zip(first).filter(|((text, _), _)| seen.insert(*text));
        Rights::within(&lines.map(|((_, truth), first)| *first == Some(*truth)).collect::<Vec<_>>(), MAX_TEXTS)
    }

    fn within(right: &[bool], most: usize) -> Rights {
        let stride = right.len().div_ceil(most).max(1);
        let kept: Vec<bool> = right.iter().step_by(stride).copied().collect();
        let digit = |four: &[bool]| {
            let value = (0..4).fold(0, |value, at| value << 1 | u32::from(four.get(at).copied().unwrap_or(false)));
            std::char::from_digit(value, 16).unwrap_or('0')
        };
        Rights { texts: kept.len(), bits: kept.chunks(4).map(digit).collect() }
    }

    fn each(&self) -> impl Iterator<Item = bool> {
        let digits = self.bits.chars().map(|digit| digit.to_digit(16).unwrap_or(0));
        digits.flat_map(|digit| (0..4).map(move |at| digit >> (3 - at) & 1 == 1)).take(self.texts)
    }

    /// These texts as another model answers them; `None` when they cannot be the same ones.
    ///
    /// # Errors
    /// As [`mcnemar`].
    pub fn against(&self, first: &Rights) -> Result<Option<Paired>> {
        if self.texts != first.texts || self.bits.len() != first.bits.len() {
            return Ok(None);
        }
        let mut pairs = Pairs::default();
        first.each().zip(self.each()).for_each(|(first, this)| pairs.add(first, this));
        Ok(Some(Paired { lost: pairs.lost, gained: pairs.gained, p_value: mcnemar(&pairs)?.p_value }))
    }
}

/// A model beside the first one of a comparison, on the same distinct texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Texts that the first model alone has right.
    pub lost: u64,
    /// Texts that this one alone has right.
    pub gained: u64,
    /// Of McNemar's test that both are right equally often; two-sided.
    pub p_value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of 6 texts 1, 3 and 4 are right: 1011 00.. is b0. A repeat of the first text, now wrong, counts no more.
    #[test]
    fn each_text_has_a_bit_by_its_first_line() {
        let (yes, no): (Subheading, Subheading) = ("010121".parse().unwrap(), "010129".parse().unwrap());
        let test = ["a", "b", "a", "c", "d", "e", "f"].map(|text| (text, yes));
        let first = [Some(yes), None, Some(no), Some(yes), Some(yes), Some(no), None];
        let rights = Rights::of(&test, &first);
        assert_eq!(rights, Rights { texts: 6, bits: "b0".into() });
        assert_eq!(rights.each().collect::<Vec<_>>(), [true, false, true, true, false, false]);
        // Of every second one: 1, 3 and 5.
        let all: Vec<bool> = rights.each().collect();
        assert_eq!(Rights::within(&all, 4), Rights { texts: 3, bits: "c".into() });
        assert_eq!(Rights::within(&[], 4), Rights { texts: 0, bits: String::new() });
    }

    /// The p-values of 0 and 5, and of 3 and 9 discordant pairs are those of scipy's binomial distribution.
    #[test]
    fn a_model_is_tested_against_the_first_one_on_the_same_texts() {
        let rights = |bits: &str| Rights { texts: 4 * bits.len(), bits: bits.into() };
        for (first, this, lost, gained, p_value) in
            [("f00", "ff8", 0, 5, 0.0625), ("e000f", "1ff0f", 3, 9, 0.14599609375), ("f0", "f0", 0, 0, 1.0)]
        {
            let found = rights(this).against(&rights(first)).unwrap().unwrap();
            assert_eq!((found.lost, found.gained), (lost, gained));
            assert!((found.p_value - p_value).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(rights("f0").against(&rights("f")).unwrap(), None);
    }
}
