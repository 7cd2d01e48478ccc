//! Rows that the description alone cannot decide: it carries several codes, and theirs is not the most frequent one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::TOP;
use crate::tariff::Subheading;
use crate::train::split::group_key;
use crate::train::table::{Table, ratio};

/// Usable rows whose code is not the most frequent one of their description; of equals, the lowest counts as that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Undecided {
    /// How many.
    pub rows: usize,
    /// Their share of the usable rows.
    pub ratio: f64,
    /// How many there would be if numbers were left out of the descriptions.
    pub rows_without_numbers: usize,
    /// The share of those.
    pub ratio_without_numbers: f64,
    /// Between which codes; most rows first and of equals the lowest codes first, at most ten.
    pub pairs: Vec<Pair>,
}

/// Two codes that the same descriptions carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The lower one first.
    pub codes: [Subheading; 2],
    /// Descriptions of which one is the most frequent code and the other one another.
    pub texts: usize,
    /// Rows of these that carry that other code.
    pub rows: usize,
}

/// Rows of each code of a description.
type Codes = Vec<(Subheading, usize)>;

impl Undecided {
    /// Of normalised descriptions with the rows of their codes.
    pub fn of(texts: &HashMap<&str, Codes>) -> Undecided {
        let mut pairs: BTreeMap<[Subheading; 2], (usize, usize)> = BTreeMap::new();
        let mut groups: HashMap<[u8; 16], Codes> = HashMap::new();
        for (text, codes) in texts.iter().filter(|(_, codes)| !codes.is_empty()) {
            for (most, other, rows) in beside_the_most_frequent(codes) {
                let pair = pairs.entry([most.min(other), most.max(other)]).or_default();
                *pair = (pair.0 + 1, pair.1 + rows);
            }
            let group = groups.entry(group_key(text)).or_default();
            for (code, rows) in codes {
                match group.iter_mut().find(|(c, _)| c == code) {
                    Some((_, sum)) => *sum += rows,
                    None => group.push((*code, *rows)),
                }
            }
        }
        let usable = texts.values().flatten().map(|(_, rows)| rows).sum();
        let rows = pairs.values().map(|(_, rows)| rows).sum();
        let rows_without_numbers = groups.values().flat_map(|codes| beside_the_most_frequent(codes)).map(|c| c.2).sum();
        let mut pairs: Vec<Pair> =
            pairs.into_iter().map(|(codes, (texts, rows))| Pair { codes, texts, rows }).collect();
        // Stable: of equals the lower codes stay first.
        pairs.sort_by_key(|pair| Reverse(pair.rows));
        pairs.truncate(TOP);
        Undecided {
            rows,
            ratio: ratio(rows, usable),
            rows_without_numbers,
            ratio_without_numbers: ratio(rows_without_numbers, usable),
            pairs,
        }
    }

    /// The shares, with the pairs by name.
    pub fn tell(&self, table: &mut Table, usable: (&str, usize)) {
        table.share("undecided by text alone", self.rows, usable);
        for Pair { codes: [lower, upper], texts, rows } in &self.pairs {
            table.fact(&format!("  {lower} or {upper}"), *rows, &format!("rows, in {texts} description(s)"));
        }
        table.share("undecided, numbers aside", self.rows_without_numbers, usable);
    }
}

/// The most frequent code, with each other one and the rows of that.
fn beside_the_most_frequent(codes: &[(Subheading, usize)]) -> impl Iterator<Item = (Subheading, Subheading, usize)> {
    let most = codes.iter().max_by_key(|(code, rows)| (*rows, Reverse(*code))).map(|(code, _)| *code);
    let others = codes.iter().filter(move |(code, _)| Some(*code) != most);
    others.filter_map(move |(code, rows)| Some((most?, *code, *rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve rows, counted by hand. "bolt": 3 and 2 rows, so 2 undecided. "nut": one each, the lower code wins, 1 undecided.
    /// "seal 8 mm" and "seal 9 mm": three and two rows of one code each, decided as they stand; without numbers, 2 more.
    #[test]
    fn rows_beside_the_most_frequent_code_are_counted_by_pair() {
        let code = |text: &str| -> Subheading { text.parse().unwrap() };
        let (bolt, nut, seal) = (code("731815"), code("731816"), code("401693"));
        let texts = HashMap::from([
            ("bolt", vec![(nut, 2), (bolt, 3)]),
            ("nut", vec![(nut, 1), (bolt, 1)]),
            ("seal 8 mm", vec![(seal, 3)]),
            ("seal 9 mm", vec![(nut, 2)]),
            ("petrol", vec![]),
        ]);
        let found = Undecided::of(&texts);
        assert_eq!((found.rows, found.ratio), (3, 3.0 / 12.0));
        assert_eq!((found.rows_without_numbers, found.ratio_without_numbers), (5, 5.0 / 12.0));
        assert_eq!(found.pairs, [Pair { codes: [bolt, nut], texts: 2, rows: 3 }]);
        assert_eq!(Undecided::of(&HashMap::new()), Undecided::default());
    }
}
