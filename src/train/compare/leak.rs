//! What up-sampling before the split would have claimed.
//!
//! Rows of small classes are repeated until all classes are alike, and only then are rows dealt out at random: copies of one
//! row fall on both sides, and what is measured is memory. The figures stand in a comparison to be seen through, never to be
//! believed (Kaufman and others 2012, "Leakage in data mining: formulation, detection, and avoidance").

use std::collections::BTreeMap;

use crate::tariff::Subheading;
use crate::train::fit::Random;
use crate::train::split::Part;

/// Rows with each class repeated, in turns, until it has as many as the largest one, but at most `cap`; a class that has more
/// keeps them. Classes by code, their rows in the order of `lines`.
pub fn upsampled<'t>(lines: &[(&'t str, Subheading)], cap: usize) -> Vec<(&'t str, Subheading)> {
    let mut classes: BTreeMap<Subheading, Vec<&str>> = BTreeMap::new();
    lines.iter().for_each(|(text, code)| classes.entry(*code).or_default().push(text));
    let wanted = classes.values().map(Vec::len).max().unwrap_or(0).min(cap);
    let rows = |(code, texts): (&Subheading, &Vec<&'t str>)| {
        let rows = texts.len().max(wanted);
        texts.iter().copied().cycle().take(rows).map(|text| (text, *code)).collect::<Vec<_>>()
    };
    classes.iter().flat_map(rows).collect()
}

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
    fn small_classes_are_repeated_up_to_the_largest_or_the_cap() {
        let code = |text: &str| -> Subheading { text.parse().unwrap() };
        let lines =
            [("a", "610510"), ("b", "610510"), ("c", "010121"), ("d", "610510"), ("e", "847130"), ("f", "847130")]
                .map(|(text, label)| (text, code(label)));
        let texts = |cap: usize| upsampled(&lines, cap).iter().map(|(text, _)| *text).collect::<String>();
        assert_eq!(texts(100), "cccabdefe");
        assert_eq!(texts(2), "ccabdef");
        assert_eq!(upsampled(&[], 5), []);
    }

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
