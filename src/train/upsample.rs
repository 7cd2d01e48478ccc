//! Copies of the lines of small classes, so that every class has so many rows.
//!
//! It has no say in where copies may go: honest after the split, on lines that are learned; before it, copies of test lines are
//! learned.

use std::collections::BTreeMap;

use crate::tariff::Subheading;

/// Rows with each class repeated in turns until it has `rows`; a class that has more keeps them. Classes by code, their rows in
/// the order of `lines`.
pub fn upsampled<'t>(lines: &[(&'t str, Subheading)], rows: usize) -> Vec<(&'t str, Subheading)> {
    let mut classes: BTreeMap<Subheading, Vec<&str>> = BTreeMap::new();
    lines.iter().for_each(|(text, code)| classes.entry(*code).or_default().push(text));
    let repeated = |(code, texts): (&Subheading, &Vec<&'t str>)| {
        let rows = texts.len().max(rows);
        texts.iter().copied().cycle().take(rows).map(|text| (text, *code)).collect::<Vec<_>>()
    };
    classes.iter().flat_map(repeated).collect()
}

/// Rows of the largest class, but at most `cap`.
pub fn largest(lines: &[(&str, Subheading)], cap: usize) -> usize {
    let mut rows: BTreeMap<Subheading, usize> = BTreeMap::new();
    lines.iter().for_each(|(_, code)| *rows.entry(*code).or_default() += 1);
    rows.into_values().max().unwrap_or(0).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_classes_are_repeated_in_turns_and_large_ones_stay() {
        let code = |text: &str| -> Subheading { text.parse().unwrap() };
        let lines =
            [("a", "610510"), ("b", "610510"), ("c", "010121"), ("d", "610510"), ("e", "847130"), ("f", "847130")]
                .map(|(text, label)| (text, code(label)));
        let texts = |rows: usize| upsampled(&lines, rows).iter().map(|(text, _)| *text).collect::<String>();
        assert_eq!(texts(3), "cccabdefe");
        assert_eq!(texts(2), "ccabdef");
        assert_eq!(texts(5), "cccccabdabefefe");
        assert_eq!(upsampled(&[], 5), []);
        assert_eq!((largest(&lines, 100), largest(&lines, 2), largest(&[], 2)), (3, 2, 0));
    }
}
