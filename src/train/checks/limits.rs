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
    /// Fewest distinct descriptions of usable rows.
    pub min_texts: usize,
    /// A subheading with fewer rows is too rare to learn.
    pub rare_below: usize,
    /// Most rows in such subheadings, as a share of the usable rows.
    pub max_rare_ratio: f64,
    /// Most rows without a label, as a share of all rows.
    pub max_missing_label_ratio: f64,
    /// Most rows without a description, as a share of all rows.
    pub max_empty_ratio: f64,
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
            min_texts: 50,
            rare_below: 5,
            max_rare_ratio: 1.0,
            max_missing_label_ratio: 1.0,
            max_empty_ratio: 1.0,
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
            ("max_rare_ratio", self.max_rare_ratio),
            ("max_missing_label_ratio", self.max_missing_label_ratio),
            ("max_empty_ratio", self.max_empty_ratio),
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

/// That a share of something passes its limit, and what to do next; `None` when it does not.
pub fn over(share: f64, limit: f64, what: &str, next: &str) -> Option<String> {
    (share > limit).then(|| format!("{} {what}, at most {} may; {next}", percent(share), percent(limit)))
}

impl Report {
    /// Why these rows are not trained on, and what to do next, reason by reason; none when they are good enough. Where nothing
    /// can be counted, that alone is the reason.
    pub fn refused(&self, limits: &Limits) -> Vec<String> {
        if self.rows == 0 {
            return vec!["the input has no rows; check the address of the input and its filter".to_string()];
        }
        if self.labelled_rows == 0 {
            return vec!["no row has a label; name the column of the codes with --label".to_string()];
        }
        let labels = [self.lost_zeros(limits), self.of_another_edition(limits), self.in_no_edition(limits)];
        labels.into_iter().chain(self.too_many(limits)).chain(self.too_few(limits)).flatten().collect()
    }

    fn lost_zeros(&self, limits: &Limits) -> Option<String> {
        if self.lost_zero_rows == 0 || limits.repair_zeros {
            return None;
        }
        let example = self.lost_zero_codes.first().map(|found| format!(", {} for example", found.code));
        Some(format!(
            "{} labels have lost their leading zero{}; write the column as six-digit text, or run again with \
             --repair-zeros to put the zeros back",
            thousands(self.lost_zero_rows),
            example.unwrap_or_default(),
        ))
    }

    fn of_another_edition(&self, limits: &Limits) -> Option<String> {
        // Of equals the newest.
        let best = self.wrong_edition_known_rows.iter().max_by_key(|(_, rows)| **rows);
        let hint = best.map(|(edition, rows)| format!(" (HS {edition} has {} of them)", thousands(*rows)));
        over(
            ratio(self.wrong_edition_rows, self.labelled_rows),
            limits.max_wrong_edition_ratio,
            &format!(
                "of the labels ({} rows) belong to another edition than the one asked for",
                thousands(self.wrong_edition_rows)
            ),
            &format!(
                "choose theirs{}, or map the labels with the correlation table first, which is sound only for codes that \
                 it gives one to one: leave out the rows of those that were split or merged",
                hint.unwrap_or_default()
            ),
        )
    }

    fn in_no_edition(&self, limits: &Limits) -> Option<String> {
        let codes: Vec<&str> = self.unknown_codes.iter().take(3).map(|found| found.code.as_str()).collect();
        over(
            ratio(self.unknown_code_rows, self.labelled_rows),
            limits.max_unknown_ratio,
            &format!(
                "of the labels ({} rows) are in no edition, {} for example",
                thousands(self.unknown_code_rows),
                codes.join(", ")
            ),
            "check the label column, and correct or leave out these rows",
        )
    }

    fn too_many(&self, limits: &Limits) -> [Option<String>; 4] {
        let of_rows = |rows: usize| ratio(rows, self.rows);
        let conflicts = ratio(self.conflict_rows, self.usable_rows);
        let rare = format!("of the usable rows are in subheadings with fewer than {} rows", self.rare.below);
        [
            over(
                of_rows(self.missing_label_rows),
                limits.max_missing_label_ratio,
                "of the rows have no label",
                "label them, or leave them out with --where",
            ),
            over(
                of_rows(self.empty_text_rows),
                limits.max_empty_ratio,
                "of the rows have no description",
                "name the column with --text, or leave these rows out with --where",
            ),
            over(
                conflicts,
                limits.max_conflict_ratio,
                "of the usable rows have a description with several codes",
                "correct the data, or raise the limit",
            ),
            over(self.rare.ratio, limits.max_rare_ratio, &rare, "add rows of these subheadings, or raise the limit"),
        ]
    }

    fn too_few(&self, limits: &Limits) -> [Option<String>; 3] {
        let least = |is: usize, limit: usize, what: &str, next: &str| {
            (is < limit)
                .then(|| format!("{} {what} and at least {} are needed; {next}", thousands(is), thousands(limit)))
        };
        [
            least(self.classes, limits.min_classes, "subheading(s) are in the usable rows", "add rows of other goods"),
            least(self.usable_rows, limits.min_usable_rows, "rows are usable", "add labelled rows"),
            least(
                self.usable_texts,
                limits.min_texts,
                "different description(s) are in the usable rows",
                "name the column of the descriptions with --text, or add rows with others",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    fn limits() -> Limits {
        Limits { min_texts: 2, ..Limits::default() }
    }

    /// The one reason.
    fn refusal(rows: &[(Option<&str>, &str)], limits: &Limits) -> String {
        let [reason] = <[String; 1]>::try_from(report(rows).refused(limits)).unwrap();
        reason
    }

    #[test]
    fn rows_that_are_good_enough_are_not_refused() {
        let mut rows = vec![(Some("laptop"), "847130"); 150];
        rows.extend(vec![(Some("bolt"), "731815"); 50]);
        assert_eq!(report(&rows).refused(&limits()), [""; 0]);
        rows.pop();
        assert!(refusal(&rows, &limits()).contains("199 rows are usable and at least 200"));
    }

    #[test]
    fn a_lost_zero_refuses_the_run_unless_zeros_are_to_be_repaired() {
        let mut rows = vec![(Some("laptop"), "847130"); 300];
        rows.push((Some("horse"), "10121"));
        let refusal = refusal(&rows, &limits());
        assert!(refusal.contains("010121") && refusal.contains("--repair-zeros"), "{refusal}");
        assert_eq!(report(&rows).refused(&Limits { repair_zeros: true, ..limits() }), [""; 0]);
    }

    #[test]
    fn each_other_reason_to_refuse_names_the_next_step() {
        let with = |other: &'static str, share: usize| {
            let mut rows = vec![(Some("laptop"), "847130"); 300];
            rows.push((Some("bolt"), "731815"));
            rows.extend(vec![(Some("goods"), other); share]);
            rows
        };
        assert_eq!(report(&with("271011", 15)).refused(&limits()), [""; 0]);
        assert!(refusal(&with("271011", 16), &limits()).contains("check the label column"));
        let older = refusal(&with("854810", 16), &limits());
        assert!(older.contains("HS 2017 has 16 of them") && older.contains("one to one"), "{older}");
        assert!(refusal(&[], &limits()).contains("no rows"));
        assert!(refusal(&[(Some("x"), "")], &limits()).contains("--label"));
        let one_class = vec![(Some("laptop"), "847130"); 300];
        assert!(refusal(&one_class, &Limits { min_texts: 1, ..limits() }).contains("other goods"));
        let texts = Limits { min_texts: 3, ..limits() };
        assert!(refusal(&with("", 0), &texts).contains("2 different description(s)"));
    }

    /// By hand, of 321 rows: 11 without a description, 9 without a label, and 1 of a subheading in 301 usable rows. A share
    /// that is just the limit does not pass it.
    #[test]
    fn every_reason_is_told_and_each_share_has_its_own_limit() {
        let mut rows = vec![(Some("laptop"), "847130"); 300];
        rows.extend(vec![(None, "847130"); 11]);
        rows.extend(vec![(Some("goods"), ""); 9]);
        rows.push((Some("bolt"), "731815"));
        let at = Limits {
            max_empty_ratio: 11.0 / 321.0,
            max_missing_label_ratio: 9.0 / 321.0,
            max_rare_ratio: 1.0 / 301.0,
            ..limits()
        };
        assert_eq!(report(&rows).refused(&at), [""; 0]);
        let below = Limits { max_empty_ratio: 0.034, max_missing_label_ratio: 0.028, max_rare_ratio: 0.003, ..at };
        let all = report(&rows).refused(&Limits { min_classes: 3, ..below });
        let expected = [
            "2.80 % of the rows have no label",
            "3.43 % of the rows have no description",
            "0.33 % of the usable rows are in subheadings with fewer than 3 rows",
            "2 subheading(s)",
        ];
        assert_eq!(all.len(), expected.len(), "{all:?}");
        assert!(all.iter().zip(expected).all(|(said, begins)| said.starts_with(begins)), "{all:?}");
    }
}
