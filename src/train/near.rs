//! How many descriptions that are kept from the fit are spelled nearly as a learned one. They tell how far the figures come from
//! goods whose wording is new. Both sides are sampled, so that the time does not grow with the lines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::baseline::Nearest;
use super::split::{Part, Split};
use super::table::{Table, percent, ratio, thousands};
use crate::tariff::Subheading;

/// Kept descriptions that are looked at, at most.
const KEPT: usize = 2_000;

/// Learned descriptions that they are compared with, at most; the index takes some kilobytes for each.
const LEARNED: usize = 100_000;

/// From which cosine on two descriptions are near duplicates.
const LEAST_COSINE: f32 = 0.9;

/// Counted over distinct descriptions of usable rows, evenly taken over all of them in their order as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicates {
    /// Descriptions kept from the fit that were looked at.
    pub kept_texts: usize,
    /// Learned descriptions that they were compared with. When these are not all, the share is at least what is told.
    pub learned_texts: usize,
    /// Of the kept ones, those whose nearest learned one has a cosine of at least `least_cosine` over weighted character n-grams.
    pub near_texts: usize,
    /// The share of these, 0 to 1.
    pub ratio: f64,
    /// 0 to 1.
    pub least_cosine: f32,
}

impl NearDuplicates {
    /// Of normalised descriptions of usable rows, with their codes.
    pub fn of<'a>(rows: impl Iterator<Item = (&'a str, Subheading)>, split: &Split) -> NearDuplicates {
        let (mut learned, mut kept) = (BTreeMap::new(), BTreeSet::new());
        for (text, code) in rows {
            if split.part(text) == Part::Train {
                learned.insert(text, code);
            } else {
                kept.insert(text);
            }
        }
        let learned = evenly(learned.into_iter(), LEARNED);
        let kept = evenly(kept.into_iter(), KEPT);
        let answers = Nearest::fit(&learned).answers(&kept);
        let near = |answer: &&Vec<(Subheading, f32)>| answer.first().is_some_and(|(_, cosine)| *cosine >= LEAST_COSINE);
        let near_texts = answers.iter().filter(near).count();
        NearDuplicates {
            kept_texts: kept.len(),
            learned_texts: learned.len(),
            near_texts,
            ratio: ratio(near_texts, kept.len()),
            least_cosine: LEAST_COSINE,
        }
    }

    /// One fact.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::default();
        let (kept, learned) = (thousands(self.kept_texts), thousands(self.learned_texts));
        let of = format!("{} of {kept} usable ones kept from the fit, beside {learned} learned", percent(self.ratio));
        table.row("near duplicates", &thousands(self.near_texts), &of);
        table
    }
}

/// At most so many, at equal distances.
fn evenly<T>(all: impl ExactSizeIterator<Item = T>, most: usize) -> Vec<T> {
    let stride = all.len().div_ceil(most).max(1);
    all.step_by(stride).collect()
}

#[cfg(test)]
mod tests {
    use super::super::split::{Grouping, Shares};
    use super::*;

    /// Two orders of the same two words have the same n-grams, so their cosine is 1 by definition; other words are made of other
    /// characters at random.
    #[test]
    fn those_with_the_words_of_a_learned_one_are_near() {
        let split = Split::new(3, Shares { test: 0.3, ..Shares::default() }, Grouping::Text).unwrap();
        let word = |seed: String| blake3::hash(seed.as_bytes()).to_hex()[..16].to_string();
        let pairs: Vec<[String; 2]> = (0..300)
            .map(|n| [word(format!("{n}")), word(format!("{n}+"))])
            .map(|[a, b]| [format!("{a} {b}"), format!("{b} {a}")])
            .collect();
        let code: Subheading = "847130".parse().unwrap();
        let all = || pairs.iter().flatten().map(|text| (text.as_str(), code));
        let learned = |text: &str| split.part(text) == Part::Train;
        let found = NearDuplicates::of(all(), &split);
        let twins = pairs.iter().filter(|[a, b]| learned(a) != learned(b)).count();
        let kept = all().filter(|(text, _)| !learned(text)).count();
        assert!(twins > 80 && kept > twins, "{twins} {kept}");
        assert_eq!((found.near_texts, found.kept_texts, found.learned_texts), (twins, kept, 600 - kept));
        assert_eq!(found.ratio, twins as f64 / kept as f64);
        let line = format!("near duplicates  {twins}  {} of {kept} usable", percent(found.ratio));
        assert!(found.table().lines()[0].starts_with(&line), "{:?}", found.table().lines());
        // Neither order nor repeats of the rows change anything.
        let mut again: Vec<_> = all().chain(all()).collect();
        again.reverse();
        assert_eq!(NearDuplicates::of(again.into_iter(), &split), found);
        assert_eq!(NearDuplicates::of(std::iter::empty(), &split).near_texts, 0);
    }

    #[test]
    fn what_is_taken_is_spread_over_all() {
        assert_eq!(evenly(0..10, 3), [0, 4, 8]);
        assert_eq!(evenly(0..3, 3), [0, 1, 2]);
        assert_eq!(evenly(0..0, 3), [0; 0]);
    }
}
