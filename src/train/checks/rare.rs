//! Subheadings with too few rows to learn.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TOP;
use crate::tariff::Subheading;
use crate::train::table::{Table, percent, ratio, thousands};

/// All of them, over usable rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rare {
    /// A subheading with fewer rows is one; 0 when none were looked for.
    pub below: usize,
    /// Their rows together.
    pub rows: usize,
    /// The share of these in the usable rows.
    pub ratio: f64,
    /// Each with its rows.
    pub classes: BTreeMap<Subheading, usize>,
}

impl Rare {
    /// Of all subheadings with their rows.
    pub fn of(all: &BTreeMap<Subheading, usize>, below: usize) -> Rare {
        let few = all.iter().filter(|(_, rows)| **rows < below);
        let classes: BTreeMap<Subheading, usize> = few.map(|(code, rows)| (*code, *rows)).collect();
        let rows = classes.values().sum();
        Rare { below, rows, ratio: ratio(rows, all.values().sum()), classes }
    }

    /// How many there are and the rarest by name, of equals the lowest first.
    pub fn tell(&self, table: &mut Table, (of, usable): (&str, usize)) {
        let note = format!("{} of {of}", percent(ratio(self.rows, usable)));
        table.fact(&format!("subheadings below {} rows", self.below), self.classes.len(), &note);
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(_, rows)| **rows);
        for (code, rows) in classes.iter().take(TOP) {
            table.fact(&format!("  {code}"), **rows, if **rows == 1 { "row" } else { "rows" });
        }
        if classes.len() > TOP {
            table.row("  and", &thousands(classes.len() - TOP), "more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_kept_and_the_rarest_are_told() {
        let all = (0..14).map(|n| (format!("{}", 847_101 + n).parse().unwrap(), 14 - n)).collect();
        // Of 1 to 14 rows, 105 together; the last twelve have fewer than 13, together 78.
        let rare = Rare::of(&all, 13);
        assert_eq!((rare.classes.len(), rare.rows, rare.ratio), (12, 78, 78.0 / 105.0));
        let mut table = Table::default();
        rare.tell(&mut table, ("usable rows", 105));
        let lines = table.lines();
        let expected = [
            "subheadings below 13 rows  12  74.29 % of usable rows",
            "  847114                    1  row",
            "  847113                    2  rows",
        ];
        assert_eq!((&lines[..3], lines.len()), (&expected.map(String::from)[..], 12));
        assert_eq!(lines[11], "  and                       2  more");
    }
}
