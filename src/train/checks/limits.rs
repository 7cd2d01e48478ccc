//! When labelled rows are refused, and what is said then.

use serde::{Deserialize, Serialize};

use super::Report;
use crate::error::{Error, Result};
use crate::train::table::{percent, ratio, thousands};

/// When labelled rows are refused; `[checks]` in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Fewest distinct subheadings.
    pub min_classes: usize,
    /// Fewest usable rows.
    pub min_usable_rows: usize,
    /// Most labels in no known edition, as a share of the labelled rows.
    pub max_unknown_ratio: f64,
    /// Most labels of other editions, as a share of the labelled rows.
    pub max_wrong_edition_ratio: f64,
    /// Most usable rows whose description carries several codes, as a share of the usable rows.
    pub max_conflict_ratio: f64,
    /// Most rows whose description names no goods, as a share of the rows with a description.
    pub max_vague_ratio: f64,
    /// Most descriptions kept from the fit that have a near twin among those learned, as a share of those kept.
    pub max_near_twin_ratio: f64,
    /// Whether codes with a lost zero get it back. When not, one of them is enough to refuse.
    pub repair_zeros: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            min_classes: 2,
            min_usable_rows: 200,
            max_unknown_ratio: 0.05,
            max_wrong_edition_ratio: 0.05,
            max_conflict_ratio: 1.0,
            max_vague_ratio: 1.0,
            max_near_twin_ratio: 1.0,
            repair_zeros: false,
        }
    }
}

impl Limits {
    /// Refuses ratios that are none, by name.
    pub fn validate(&self) -> Result<()> {
        let ratios = [
            ("max_unknown_ratio", self.max_unknown_ratio),
            ("max_wrong_edition_ratio", self.max_wrong_edition_ratio),
            ("max_conflict_ratio", self.max_conflict_ratio),
            ("max_vague_ratio", self.max_vague_ratio),
            ("max_near_twin_ratio", self.max_near_twin_ratio),
        ];
        match ratios.into_iter().find(|(_, ratio)| !(0.0..=1.0).contains(ratio)) {
            Some((name, ratio)) => Err(Error::Usage(format!("[checks] {name} is {ratio}, it must be 0 to 1"))),
            None => Ok(()),
        }
    }
}

impl Report {
    /// Why these rows are not trained on, and what to do next; `None` when they are good enough.
    pub fn refuse(&self, limits: &Limits) -> Option<String> {
        let unknown = ratio(self.unknown_code_rows, self.labelled_rows);
        let wrong = ratio(self.wrong_edition_rows, self.labelled_rows);
        if self.rows == 0 {
            return Some("the input has no rows; check the address of the input and its filter".to_string());
        }
        if self.labelled_rows == 0 {
            return Some("no row has a label; name the column of the codes with --label".to_string());
        }
        if self.lost_zero_rows > 0 && !limits.repair_zeros {
            let example = self.lost_zero_codes.first().map(|found| format!(", {} for example", found.code));
            return Some(format!(
                "{} labels have lost their leading zero{}; write the column as six-digit text, or run again with \
                 --repair-zeros to put the zeros back",
                thousands(self.lost_zero_rows),
                example.unwrap_or_default(),
            ));
        }
        if wrong > limits.max_wrong_edition_ratio {
            // Of equals the newest.
            let best = self.wrong_edition_known_rows.iter().max_by_key(|(_, rows)| **rows);
            let hint = best.map(|(edition, rows)| format!("; HS {edition} has {} of them", thousands(*rows)));
            return Some(format!(
                "{} of the labels ({} rows) belong to another edition than the one asked for, at most {} may{}; \
                 choose that edition, or map the labels with the correlation table first",
                percent(wrong),
                thousands(self.wrong_edition_rows),
                percent(limits.max_wrong_edition_ratio),
                hint.unwrap_or_default(),
            ));
        }
        if unknown > limits.max_unknown_ratio {
            let codes: Vec<&str> = self.unknown_codes.iter().take(3).map(|found| found.code.as_str()).collect();
            return Some(format!(
                "{} of the labels ({} rows) are in no edition, at most {} may be: {}; check the label column, and \
                 correct or leave out these rows",
                percent(unknown),
                thousands(self.unknown_code_rows),
                percent(limits.max_unknown_ratio),
                codes.join(", "),
            ));
        }
        if self.classes < limits.min_classes {
            return Some(format!(
                "the usable rows have {} subheading(s) and at least {} are needed; add rows of other goods",
                self.classes, limits.min_classes
            ));
        }
        if self.usable_rows < limits.min_usable_rows {
            return Some(format!(
                "{} rows are usable and at least {} are needed; add labelled rows",
                thousands(self.usable_rows),
                thousands(limits.min_usable_rows)
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn rows_that_are_good_enough_are_not_refused() {
        let mut rows = vec![(Some("laptop"), "847130"); 150];
        rows.extend(vec![(Some("bolt"), "731815"); 50]);
        assert_eq!(report(&rows).refuse(&Limits::default()), None);
        rows.pop();
        assert!(report(&rows).refuse(&Limits::default()).unwrap().contains("199 rows are usable and at least 200"));
    }

    #[test]
    fn a_lost_zero_refuses_the_run_unless_zeros_are_to_be_repaired() {
        let mut rows = vec![(Some("laptop"), "847130"); 300];
        rows.push((Some("horse"), "10121"));
        let refusal = report(&rows).refuse(&Limits::default()).unwrap();
        assert!(refusal.contains("010121") && refusal.contains("--repair-zeros"), "{refusal}");
        assert_eq!(report(&rows).refuse(&Limits { repair_zeros: true, ..Limits::default() }), None);
    }

    #[test]
    fn each_other_reason_to_refuse_names_the_next_step() {
        let with = |other: &'static str, share: usize| {
            let mut rows = vec![(Some("laptop"), "847130"); 300];
            rows.push((Some("bolt"), "731815"));
            rows.extend(vec![(Some("goods"), other); share]);
            report(&rows).refuse(&Limits::default())
        };
        assert_eq!(with("271011", 15), None);
        assert!(with("271011", 16).unwrap().contains("check the label column"));
        assert!(with("854810", 16).unwrap().contains("HS 2017 has 16 of them"));
        assert!(report(&[]).refuse(&Limits::default()).unwrap().contains("no rows"));
        assert!(report(&[(Some("x"), "")]).refuse(&Limits::default()).unwrap().contains("--label"));
        let one_class = vec![(Some("laptop"), "847130"); 300];
        assert!(report(&one_class).refuse(&Limits::default()).unwrap().contains("other goods"));
    }
}
