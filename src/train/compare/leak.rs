//! What up-sampling before the split would have claimed.
//!
//! Rows of small classes are repeated until all classes are alike, and only then are rows dealt out at random: copies of one
//! row fall on both sides, and what is measured is memory. The figures stand in a comparison to be seen through, never to be
//! believed (Kaufman and others 2012, "Leakage in data mining: formulation, detection, and avoidance").

use crate::train::fit::Random;
use crate::train::split::Part;

/// A part for each of so many rows, at random, in the proportions of `shares`.
pub fn at_random(rows: usize, shares: &[(Part, usize)], seed: u64) -> Vec<Part> {
    let all: usize = shares.iter().map(|(_, rows)| rows).sum();
    let mut parts: Vec<Part> = Vec::with_capacity(rows);
    let mut end = 0;
    for (part, share) in shares {
        end += share;
        parts.resize((rows as u128 * end as u128 / all.max(1) as u128) as usize, *part);
    }
    parts.resize(rows, Part::Train);
    Random::new(seed, LEAK_STREAM).shuffle(&mut parts);
    parts
}

/// Numbers of its own beside those of the fit.
const LEAK_STREAM: u64 = 0x6c65_616b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_shares_and_any_row_may_be_in_any() {
        let shares = [(Part::Train, 80), (Part::Stop, 5), (Part::Test, 15)];
        let parts = at_random(2000, &shares, 3);
        let rows = |of: Part| parts.iter().filter(|part| **part == of).count();
        assert_eq!((parts.len(), rows(Part::Train), rows(Part::Stop), rows(Part::Test)), (2000, 1600, 100, 300));
        // Not in blocks: every tenth of the rows has some of the test part.
        assert!(parts.chunks(200).all(|tenth| tenth.contains(&Part::Test)));
        assert_eq!(parts, at_random(2000, &shares, 3));
        assert_ne!(parts, at_random(2000, &shares, 4));
    }
}
