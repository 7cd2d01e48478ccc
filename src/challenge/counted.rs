//! Both models' first choices on the same texts, counted: who was right where, and who changed what.

use std::collections::BTreeMap;

use super::evidence::{ByChapter, ByLevel, Example};
use crate::error::Result;
use crate::tariff::Subheading;
use crate::trial::{Pairs, drop_beyond, holm, interval, mcnemar};

/// Level of the intervals.
const LEVEL: f64 = 0.95;

/// One text: its known code, and the code that each model gives it, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub truth: Subheading,
    pub champion: Option<Subheading>,
    pub challenger: Option<Subheading>,
}

impl Told {
    /// Whether champion and challenger are right in the first `digits` digits.
    fn right(&self, digits: usize) -> (bool, bool) {
        let right = |code: Option<Subheading>| {
            code.is_some_and(|code| code.as_str()[..digits] == self.truth.as_str()[..digits])
        };
        (right(self.champion), right(self.challenger))
    }

    fn changed(&self) -> bool {
        self.champion != self.challenger
    }
}

fn pairs<'a>(told: impl Iterator<Item = &'a Told>, digits: usize) -> Pairs {
    let mut pairs = Pairs::default();
    told.for_each(|told| {
        let (champion, challenger) = told.right(digits);
        pairs.add(champion, challenger);
    });
    pairs
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Share of the texts that get another code.
pub fn churn_ratio(told: &[Told]) -> f64 {
    share(told.iter().filter(|told| told.changed()).count(), told.len())
}

/// At 6, 4 and 2 digits.
///
/// # Errors
/// As [`mcnemar`].
pub fn levels(told: &[Told]) -> Result<Vec<ByLevel>> {
    let level = |digits: usize| {
        let pairs = pairs(told.iter(), digits);
        Ok(ByLevel {
            digits: digits as u64,
            champion_accuracy: share((pairs.both_right + pairs.lost) as usize, told.len()),
            challenger_accuracy: share((pairs.both_right + pairs.gained) as usize, told.len()),
            pairs,
            difference: pairs.difference(),
            interval: interval(&pairs, LEVEL)?,
            mcnemar: mcnemar(&pairs)?,
        })
    };
    [6, 4, 2].into_iter().map(level).collect()
}

/// By chapter of the known code at six digits, with Holm's correction over all of them; worst first, by the upper end of the
/// interval, so that few texts do not lead by chance.
///
/// # Errors
/// As [`mcnemar`].
pub fn chapters(told: &[Told], margin: f64) -> Result<Vec<ByChapter>> {
    let mut of: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    told.iter().for_each(|told| of.entry(told.truth.chapter()).or_default().push(told));
    let mut found = Vec::with_capacity(of.len());
    for (chapter, told) in of {
        let pairs = pairs(told.iter().copied(), 6);
        let fall = drop_beyond(&pairs, margin)?;
        found.push(ByChapter {
            chapter: chapter.to_string(),
            pairs,
            difference: pairs.difference(),
            interval: interval(&pairs, LEVEL)?,
            churn_ratio: share(told.iter().filter(|told| told.changed()).count(), told.len()),
            not_worse_p: fall.not_worse_p,
            worse_p: fall.worse_p,
        });
    }
    let corrected = |p: fn(&ByChapter) -> f64| holm(&found.iter().map(p).collect::<Vec<_>>());
    let (not_worse, worse) = (corrected(|c| c.not_worse_p), corrected(|c| c.worse_p));
    for (chapter, (not_worse, worse)) in found.iter_mut().zip(not_worse.into_iter().zip(worse)) {
        (chapter.not_worse_p, chapter.worse_p) = (not_worse, worse);
    }
    // Of equals the lower number: the sort is stable.
    found.sort_by(|a, b| a.interval.high.total_cmp(&b.interval.high));
    Ok(found)
}

/// Texts that one model alone has right at six digits: those lost, then those gained; of each at most `most`, evenly over all
/// of them in the order of the texts, since files are often sorted.
pub fn examples(told: &[Told], texts: &[(String, Subheading)], most: usize) -> (Vec<Example>, Vec<Example>) {
    let with = |champion_right: bool| {
        let all: Vec<usize> =
            (0..told.len()).filter(|at| told[*at].right(6) == (champion_right, !champion_right)).collect();
        let count = all.len().min(most);
        let example = |n: usize| {
            let at = all[n * all.len() / count];
            let (told, code) = (&told[at], |code: Option<Subheading>| code.map(|code| code.to_string()));
            Example {
                text: texts[at].0.clone(),
                truth: told.truth.to_string(),
                champion_hs6: code(told.champion),
                challenger_hs6: code(told.challenger),
            }
        };
        (0..count).map(example).collect::<Vec<_>>()
    };
    (with(true), with(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn told(truth: &str, champion: Option<&str>, challenger: Option<&str>) -> Told {
        Told { truth: code(truth), champion: champion.map(code), challenger: challenger.map(code) }
    }

    /// By hand. Six digits: both · lost · gained · neither · lost · both. Four: the second and the fifth challenger stay in the
    /// heading or chapter. Codes differ in the second, third and fifth.
    fn by_hand() -> Vec<Told> {
        vec![
            told("731815", Some("731815"), Some("731815")),
            told("731815", Some("731815"), Some("731816")),
            told("731815", Some("847130"), Some("731815")),
            told("847130", Some("847141"), Some("847141")),
            told("847130", Some("847130"), None),
            told("010121", Some("010121"), Some("010121")),
        ]
    }

    #[test]
    fn each_level_has_its_paired_table() {
        let levels = levels(&by_hand()).unwrap();
        let of = |n: usize| (levels[n].digits, levels[n].pairs);
        let pairs = |both_right, lost, gained, both_wrong| Pairs { both_right, lost, gained, both_wrong };
        assert_eq!(of(0), (6, pairs(2, 2, 1, 1)));
        assert_eq!(of(1), (4, pairs(4, 1, 1, 0)));
        assert_eq!(of(2), (2, pairs(4, 1, 1, 0)));
        assert_eq!((levels[0].champion_accuracy, levels[0].challenger_accuracy), (4.0 / 6.0, 3.0 / 6.0));
        assert!((levels[0].difference + 1.0 / 6.0).abs() < 1e-12);
        assert!(levels[0].mcnemar.exact && levels[0].mcnemar.p_value == 1.0);
        assert_eq!(churn_ratio(&by_hand()), 0.5);
        assert_eq!((churn_ratio(&[]), super::levels(&[]).unwrap()[0].champion_accuracy), (0.0, 0.0));
    }

    /// Holm over three chapters: the smallest p-value times three.
    #[test]
    fn chapters_are_corrected_over_all_of_them_and_the_worst_comes_first() {
        let found = chapters(&by_hand(), 0.02).unwrap();
        let names: Vec<&str> = found.iter().map(|c| c.chapter.as_str()).collect();
        assert!(found.is_sorted_by(|a, b| a.interval.high <= b.interval.high), "{names:?}");
        let of = |name: &str| found.iter().find(|c| c.chapter == name).unwrap();
        assert_eq!(of("73").pairs, Pairs { both_right: 1, lost: 1, gained: 1, both_wrong: 0 });
        assert_eq!((of("84").churn_ratio, of("01").churn_ratio), (0.5, 0.0));
        let raw = |name: &str| drop_beyond(&of(name).pairs, 0.02).unwrap();
        let by_name = ["01", "73", "84"];
        let expected = holm(&by_name.map(|name| raw(name).worse_p));
        for (name, expected) in by_name.into_iter().zip(expected) {
            assert_eq!(of(name).worse_p, expected);
        }
        let least = by_name.map(|name| raw(name).worse_p).into_iter().fold(1.0, f64::min);
        assert_eq!(of("84").worse_p, (3.0 * least).min(1.0));
        assert!(chapters(&[], 0.02).unwrap().is_empty());
    }

    #[test]
    fn examples_are_spread_over_the_texts_that_one_model_alone_has_right() {
        let all: Vec<Told> = (0..2).flat_map(|_| by_hand()).collect();
        let texts: Vec<(String, Subheading)> = all.iter().enumerate().map(|(n, t)| (n.to_string(), t.truth)).collect();
        let of = |most| {
            let (lost, gained) = examples(&all, &texts, most);
            let names = |all: &[Example]| all.iter().map(|e| e.text.clone()).collect::<Vec<_>>().join(" ");
            (names(&lost), names(&gained))
        };
        assert_eq!(of(10), ("1 4 7 10".to_string(), "2 8".to_string()));
        assert_eq!(of(2), ("1 7".to_string(), "2 8".to_string()));
        assert_eq!(of(0), (String::new(), String::new()));
        let (lost, _) = examples(&all, &texts, 2);
        assert_eq!(
            (lost[0].champion_hs6.as_deref(), lost[0].challenger_hs6.as_deref()),
            (Some("731815"), Some("731816"))
        );
    }
}
