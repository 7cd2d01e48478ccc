//! What is taken for what, and the mistakes that the model is surest of.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Scored;
use crate::tariff::{Names, Subheading};

/// A known code and the code that was given in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The known code.
    pub truth: Subheading,
    /// Its text, where a nomenclature was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth_text: Option<String>,
    /// The best code of the model.
    pub predicted: Subheading,
    /// Its text, where a nomenclature was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_text: Option<String>,
    /// First digits in which the two agree: 0, 2 or 4.
    pub agree_digits: usize,
    /// Rows that were so confused.
    pub rows: usize,
    /// All rows that carry the known code.
    pub truth_rows: usize,
    /// Of the confused ones, those that the policy accepted.
    pub accepted_rows: usize,
}

/// The most frequent confusions, at most `most`; of equals the lower codes first.
pub fn confusions(rows: &[Scored<'_>], most: usize, names: Option<&Names>) -> Vec<Confusion> {
    let mut pairs: BTreeMap<(Subheading, Subheading), (usize, usize)> = BTreeMap::new();
    let mut truths: BTreeMap<Subheading, usize> = BTreeMap::new();
    for row in rows {
        *truths.entry(row.truth).or_default() += 1;
        if let Some((predicted, _)) = row.top.first().filter(|(code, _)| *code != row.truth) {
            let (rows, accepted) = pairs.entry((row.truth, *predicted)).or_default();
            *rows += 1;
            *accepted += usize::from(row.accepted);
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(_, (rows, _))| Reverse(*rows));
    let text = |code: Subheading| names.and_then(|names| names.of(code.as_str())).map(str::to_string);
    let confusion = |((truth, predicted), (rows, accepted_rows))| Confusion {
        truth,
        truth_text: text(truth),
        predicted,
        predicted_text: text(predicted),
        agree_digits: agree_digits(truth, predicted),
        rows,
        truth_rows: truths.get(&truth).copied().unwrap_or(0),
        accepted_rows,
    };
    pairs.into_iter().take(most).map(confusion).collect()
}

/// In how many first digits two codes agree, by whole levels.
fn agree_digits(a: Subheading, b: Subheading) -> usize {
    [6, 4, 2].into_iter().find(|digits| a.as_str()[..*digits] == b.as_str()[..*digits]).unwrap_or(0)
}

/// A mistake, with its description: for eyes that may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The normalised description.
    pub text: String,
    /// The known code.
    pub truth: Subheading,
    /// The best code of the model.
    pub predicted: Subheading,
    /// Its confidence.
    pub confidence: f32,
    /// Whether the policy accepted it.
    pub accepted: bool,
}

/// The `most` wrong rows that the model is surest of, surest first, each description with each code once; `texts` has the
/// description of each row.
pub fn surest_mistakes(rows: &[Scored<'_>], texts: &[&str], most: usize) -> Vec<Example> {
    let wrong = rows.iter().zip(texts).filter_map(|(row, text)| {
        let (predicted, confidence) = *row.top.first().filter(|(code, _)| *code != row.truth)?;
        Some(Example { text: text.to_string(), truth: row.truth, predicted, confidence, accepted: row.accepted })
    });
    let mut wrong: Vec<Example> = wrong.collect();
    wrong.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then_with(|| (&a.text, a.truth).cmp(&(&b.text, b.truth)))
    });
    wrong.dedup_by(|a, b| (&a.text, a.truth) == (&b.text, b.truth));
    wrong.truncate(most);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn rows() -> (Vec<Scored<'static>>, Vec<&'static str>) {
        let row = |truth: &str, predicted: &str, confidence: f32, accepted| Scored {
            truth: code(truth),
            top: Vec::leak(vec![(code(predicted), confidence)]),
            confidence_heading: 1.0,
            confidence_chapter: 1.0,
            first_of_text: true,
            accepted,
            sure_of: None,
        };
        let rows = vec![
            row("731815", "731816", 0.5, false),
            row("731815", "731815", 0.99, true),
            row("847130", "847141", 0.75, false),
            row("731815", "731816", 0.875, true),
            row("010121", "730110", 0.25, false),
            row("731815", "731816", 0.875, true),
            row("731815", "738000", 0.125, false),
            Scored { top: &[], ..row("731815", "731815", 0.0, false) },
        ];
        (rows, vec!["nut", "bolt", "tablet", "hex nut", "horse", "hex nut", "rail", ""])
    }

    /// By hand: 731815 in six rows, taken for 731816 three times, of which two accepted; the others are single.
    #[test]
    fn the_most_frequent_pair_comes_first_with_what_it_shares() {
        let found = confusions(&rows().0, 3, None);
        let told: Vec<_> = found
            .iter()
            .map(|c| (c.truth.as_str(), c.predicted.as_str(), c.rows, c.truth_rows, c.accepted_rows, c.agree_digits))
            .collect();
        assert_eq!(
            told,
            [("731815", "731816", 3, 6, 2, 4), ("010121", "730110", 1, 1, 0, 0), ("731815", "738000", 1, 6, 0, 2)]
        );
    }

    #[test]
    fn the_surest_mistakes_are_told_once() {
        let (rows, texts) = rows();
        let found = surest_mistakes(&rows, &texts, 3);
        let told: Vec<_> = found.iter().map(|e| (e.text.as_str(), e.confidence, e.accepted)).collect();
        assert_eq!(told, [("hex nut", 0.875, true), ("tablet", 0.75, false), ("nut", 0.5, false)]);
        assert!(surest_mistakes(&rows, &texts, 0).is_empty());
    }
}
