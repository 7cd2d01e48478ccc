//! What is in the labelled rows, told before anything is learnt from them, and when to refuse them.
//!
//! The report counts and names codes; it never holds a description. Every row is counted once as usable or once for
//! each reason why it is not. A refusal is a value, not an error, so that the whole report can be shown beside it.

mod limits;
mod rare;
mod undecided;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use limits::Limits;
pub(super) use limits::over;
use rare::Rare;
use undecided::Undecided;

use super::labels::Label;
use super::table::{Table, percent, ratio, thousands};
use crate::tariff::{Edition, Subheading};

/// How many codes a list of examples holds.
const TOP: usize = 10;

/// Lower bounds of the histogram of class sizes, in rows.
const BUCKETS: [usize; 8] = [1, 2, 5, 10, 20, 50, 100, 1000];

/// One labelled line as the checks see it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The normalised description; `None` when it is null or cannot be read.
    pub text: Option<&'a str>,
    /// What its label turned out to be.
    pub label: &'a Label,
}

/// A code that was found, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The digits as found, or [`super::labels::NOT_A_NUMBER`].
    pub code: String,
    /// Rows that carry it.
    pub rows: usize,
    /// The editions that have it; empty when no known edition does.
    pub editions: Vec<Edition>,
}

/// The number of classes of some size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Fewest rows of a class in this bucket.
    pub from_rows: usize,
    /// Most rows of a class in this bucket; `None` when there is no bound.
    pub to_rows: Option<usize>,
    /// Classes of that size.
    pub classes: usize,
    /// Their rows together.
    pub rows: usize,
}

/// What is in the labelled rows. A row is *usable* when it has a text and a label that is, or with its zero back
/// would be, a subheading of the edition; all that is said of classes, repeats and conflicts is said of usable rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// All rows.
    pub rows: usize,
    /// Distinct descriptions among all rows, the empty one left out.
    pub texts: usize,
    /// Rows that have some label.
    pub labelled_rows: usize,
    /// Rows whose label is null or empty.
    pub missing_label_rows: usize,
    /// Rows whose label says that the description names no goods.
    pub vague_label_rows: usize,
    /// Rows whose label is in no known edition.
    pub unknown_code_rows: usize,
    /// The most frequent of those labels, at most ten.
    pub unknown_codes: Vec<Found>,
    /// Rows whose label belongs to other editions.
    pub wrong_edition_rows: usize,
    /// The most frequent of those codes, at most ten.
    pub wrong_edition_codes: Vec<Found>,
    /// Of those rows, how many each other edition would know. A code can be in several.
    pub wrong_edition_known_rows: BTreeMap<Edition, usize>,
    /// Rows whose label has lost its leading zero.
    pub lost_zero_rows: usize,
    /// The most frequent of those codes, with the zero back, at most ten.
    pub lost_zero_codes: Vec<Found>,
    /// Rows whose description is null, unreadable or empty.
    pub empty_text_rows: usize,
    /// Rows with a text and a subheading of the edition.
    pub usable_rows: usize,
    /// Distinct descriptions among usable rows.
    pub usable_texts: usize,
    /// Usable rows whose description and code both stood in an earlier row.
    pub duplicate_rows: usize,
    /// Descriptions that carry more than one code.
    pub conflicting_texts: usize,
    /// Usable rows with such a description.
    pub conflict_rows: usize,
    /// Share of usable rows that are right when each description gets its most frequent code: no model that sees
    /// the description alone can do better on these rows. 0 when no row is usable.
    pub best_possible_ratio: f64,
    /// The other usable rows.
    pub undecided: Undecided,
    /// Distinct subheadings.
    pub classes: usize,
    /// Subheadings with one row.
    pub classes_with_one_row: usize,
    /// Subheadings with too few rows to learn.
    pub rare: Rare,
    /// The subheading with most rows; of equals, the lowest.
    pub largest_class: Option<Subheading>,
    /// Its rows.
    pub largest_class_rows: usize,
    /// Its share of the usable rows.
    pub largest_class_ratio: f64,
    /// Classes by number of rows, smallest first.
    pub class_histogram: Vec<Bucket>,
    /// Distinct chapters.
    pub chapters: usize,
    /// Distinct headings.
    pub headings: usize,
}

/// Counts what is in the rows; a class is rare below so many rows. The report does not depend on the order of the rows.
pub fn check<'a>(rows: impl Iterator<Item = Row<'a>>, rare_below: usize) -> Report {
    let mut tally = Tally::default();
    for row in rows {
        tally.add(row);
    }
    tally.report(rare_below)
}

/// Codes that do not fit, with their rows and the editions that have them.
type Finds<'a> = HashMap<&'a str, (usize, &'a [Edition])>;

/// Counts while rows go by.
#[derive(Default)]
struct Tally<'a> {
    rows: usize,
    missing_label_rows: usize,
    vague_label_rows: usize,
    empty_text_rows: usize,
    unknown: Finds<'a>,
    wrong: Finds<'a>,
    lost: Finds<'a>,
    /// Rows of each code of each text; no codes when no row of the text is usable. Few texts have more than one.
    texts: HashMap<&'a str, Vec<(Subheading, usize)>>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, row: Row<'a>) {
        self.rows += 1;
        let mut code = None;
        match row.label {
            Label::Valid(valid) => code = Some(*valid),
            Label::LostZero { fixed } => {
                self.lost.entry(fixed.as_str()).or_default().0 += 1;
                code = Some(*fixed);
            }
            Label::WrongEdition { code, editions } => self.wrong.entry(code.as_str()).or_insert((0, editions)).0 += 1,
            Label::Unknown(digits) => self.unknown.entry(digits).or_default().0 += 1,
            Label::Missing => self.missing_label_rows += 1,
            Label::Vague => self.vague_label_rows += 1,
        }
        let Some(text) = row.text.filter(|text| !text.trim().is_empty()) else {
            self.empty_text_rows += 1;
            return;
        };
        let codes = self.texts.entry(text).or_default();
        if let Some(code) = code {
            match codes.iter_mut().find(|(c, _)| *c == code) {
                Some((_, rows)) => *rows += 1,
                None => codes.push((code, 1)),
            }
        }
    }

    fn report(self, rare_below: usize) -> Report {
        let mut classes: BTreeMap<Subheading, usize> = BTreeMap::new();
        let (mut usable_texts, mut usable_rows, mut pairs, mut best_rows) = (0, 0, 0, 0);
        let (mut conflicting_texts, mut conflict_rows) = (0, 0);
        for codes in self.texts.values() {
            let rows_of_text: usize = codes.iter().map(|(_, rows)| rows).sum();
            usable_texts += usize::from(!codes.is_empty());
            usable_rows += rows_of_text;
            pairs += codes.len();
            best_rows += codes.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
            if codes.len() > 1 {
                conflicting_texts += 1;
                conflict_rows += rows_of_text;
            }
            for (code, rows) in codes {
                *classes.entry(*code).or_default() += rows;
            }
        }
        let largest = classes.iter().max_by_key(|(code, rows)| (**rows, Reverse(**code)));
        let (largest_class, largest_class_rows) = largest.map_or((None, 0), |(code, rows)| (Some(*code), *rows));
        let mut wrong_edition_known_rows = BTreeMap::new();
        for (rows, editions) in self.wrong.values() {
            for edition in *editions {
                *wrong_edition_known_rows.entry(*edition).or_default() += rows;
            }
        }
        Report {
            rows: self.rows,
            texts: self.texts.len(),
            labelled_rows: self.rows - self.missing_label_rows,
            missing_label_rows: self.missing_label_rows,
            vague_label_rows: self.vague_label_rows,
            unknown_code_rows: found_rows(&self.unknown),
            unknown_codes: most_frequent(&self.unknown),
            wrong_edition_rows: found_rows(&self.wrong),
            wrong_edition_codes: most_frequent(&self.wrong),
            wrong_edition_known_rows,
            lost_zero_rows: found_rows(&self.lost),
            lost_zero_codes: most_frequent(&self.lost),
            empty_text_rows: self.empty_text_rows,
            usable_rows,
            usable_texts,
            duplicate_rows: usable_rows - pairs,
            conflicting_texts,
            conflict_rows,
            best_possible_ratio: ratio(best_rows, usable_rows),
            undecided: Undecided::of(&self.texts),
            classes: classes.len(),
            classes_with_one_row: classes.values().filter(|rows| **rows == 1).count(),
            rare: Rare::of(&classes, rare_below),
            largest_class,
            largest_class_rows,
            largest_class_ratio: ratio(largest_class_rows, usable_rows),
            class_histogram: histogram(&classes),
            chapters: distinct(&classes, Subheading::chapter),
            headings: distinct(&classes, Subheading::heading),
        }
    }
}

impl Report {
    /// The report, one fact a row; codes are named, descriptions never.
    pub(super) fn table(&self) -> Table {
        let (all, usable) = (("rows", self.rows), ("usable rows", self.usable_rows));
        let mut table = Table::default();
        table.fact("rows", self.rows, "");
        table.fact("distinct descriptions", self.texts, "");
        table.share("without a description", self.empty_text_rows, all);
        table.share("without a label", self.missing_label_rows, all);
        if self.vague_label_rows > 0 {
            table.share("label says vague", self.vague_label_rows, all);
        }
        table.share("label in no edition", self.unknown_code_rows, all);
        codes(&mut table, &self.unknown_codes);
        table.share("label of another edition", self.wrong_edition_rows, all);
        codes(&mut table, &self.wrong_edition_codes);
        table.share("label lost its zero", self.lost_zero_rows, all);
        codes(&mut table, &self.lost_zero_codes);
        table.share("usable rows", self.usable_rows, all);
        table.fact("usable descriptions", self.usable_texts, "distinct");
        table.share("repeated rows", self.duplicate_rows, usable);
        table.fact("conflicting descriptions", self.conflicting_texts, "with several codes");
        table.share("rows with them", self.conflict_rows, usable);
        let bound = percent(self.best_possible_ratio);
        table.row("best possible accuracy", &bound, "by the description alone");
        self.undecided.tell(&mut table, usable);
        table.fact("subheadings", self.classes, "");
        table.fact("headings", self.headings, "");
        table.fact("chapters", self.chapters, "");
        if let Some(code) = self.largest_class {
            let name = format!("largest, {code}");
            table.share(&name, self.largest_class_rows, usable);
        }
        table.fact("subheadings with one row", self.classes_with_one_row, "");
        self.rare.tell(&mut table, usable);
        for bucket in self.class_histogram.iter().filter(|bucket| bucket.classes > 0) {
            let name = match bucket.to_rows {
                Some(1) => "  of 1 row".to_string(),
                Some(to) => format!("  of {} to {to} rows", bucket.from_rows),
                None => format!("  of {} rows and more", bucket.from_rows),
            };
            table.fact(&name, bucket.classes, &format!("{} rows together", thousands(bucket.rows)));
        }
        table
    }
}

/// Codes by name, set in under the fact above them.
fn codes(table: &mut Table, found: &[Found]) {
    for Found { code, rows, editions } in found {
        let known: Vec<String> = editions.iter().map(|e| format!("HS {e}")).collect();
        let note = if known.is_empty() { String::new() } else { format!("in {}", known.join(", ")) };
        table.row(&format!("  {code}"), &thousands(*rows), &note);
    }
}

fn found_rows(finds: &Finds<'_>) -> usize {
    finds.values().map(|(rows, _)| rows).sum()
}

/// The ten most frequent codes, most frequent first and of equals the lowest first.
fn most_frequent(finds: &Finds<'_>) -> Vec<Found> {
    let mut all: Vec<(&str, usize, &[Edition])> =
        finds.iter().map(|(code, (rows, eds))| (*code, *rows, *eds)).collect();
    all.sort_unstable_by_key(|(code, rows, _)| (Reverse(*rows), *code));
    let found = |(code, rows, eds): &(&str, usize, &[Edition])| Found {
        code: code.to_string(),
        rows: *rows,
        editions: eds.to_vec(),
    };
    all.iter().take(TOP).map(found).collect()
}

fn histogram(classes: &BTreeMap<Subheading, usize>) -> Vec<Bucket> {
    let bucket = |at: usize| {
        let (from_rows, to_rows) = (BUCKETS[at], BUCKETS.get(at + 1).map(|next| next - 1));
        let inside = classes.values().filter(|rows| **rows >= from_rows && to_rows.is_none_or(|to| **rows <= to));
        Bucket { from_rows, to_rows, classes: inside.clone().count(), rows: inside.sum() }
    };
    (0..BUCKETS.len()).map(bucket).collect()
}

/// How many values `of` takes; codes ascend, so equal values stand together.
fn distinct(classes: &BTreeMap<Subheading, usize>, of: fn(&Subheading) -> &str) -> usize {
    let mut values: Vec<&str> = classes.keys().map(of).collect();
    values.dedup();
    values.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::Codes;

    const EDITION: Edition = Edition::Hs2022;

    pub(super) fn report(rows: &[(Option<&str>, &str)]) -> Report {
        let labels: Vec<Label> = rows.iter().map(|(_, raw)| Label::parse(Some(raw), Codes::builtin(EDITION))).collect();
        check(rows.iter().zip(&labels).map(|((text, _), label)| Row { text: *text, label }), 3)
    }

    /// Twelve rows of which nine are usable, counted by hand: laptop ×4 (three 847130, one 847141), bolt ×3
    /// (731815), horse ×2 (010121, one of them without its zero).
    fn mixed() -> Vec<(Option<&'static str>, &'static str)> {
        vec![
            (Some("laptop"), "847130"),
            (Some("laptop"), "8471.30.00"),
            (Some("laptop"), "847130"),
            (Some("laptop"), "847141"),
            (Some("bolt"), "731815"),
            (Some("bolt"), "731815"),
            (Some("bolt"), "731815"),
            (Some("horse"), "010121"),
            (Some("horse"), "10121"),
            (Some("petrol"), "271011"),
            (Some("battery waste"), "854810"),
            (Some("  "), ""),
        ]
    }

    /// Of the usable rows: 4 distinct (text, code) pairs in 9 rows, so 5 repeats; the best code of each text is
    /// right on 3 + 3 + 2 = 8 of 9.
    #[test]
    fn every_row_is_counted_by_what_it_is() {
        let report = report(&mixed());
        assert_eq!((report.rows, report.texts, report.labelled_rows), (12, 5, 11));
        assert_eq!((report.missing_label_rows, report.empty_text_rows), (1, 1));
        assert_eq!((report.unknown_code_rows, report.wrong_edition_rows, report.lost_zero_rows), (1, 1, 1));
        assert_eq!((report.usable_rows, report.usable_texts, report.duplicate_rows), (9, 3, 5));
        assert_eq!((report.conflicting_texts, report.conflict_rows), (1, 4));
        assert_eq!(report.best_possible_ratio, 8.0 / 9.0);
        assert_eq!((report.classes, report.classes_with_one_row), (4, 1));
        // Below three rows: 847141 with one, 010121 with two.
        assert_eq!((report.rare.below, report.rare.rows, report.rare.ratio), (3, 3, 3.0 / 9.0));
        let rare: Vec<_> = report.rare.classes.iter().map(|(code, rows)| (code.as_str(), *rows)).collect();
        assert_eq!(rare, [("010121", 2), ("847141", 1)]);
        assert_eq!((report.chapters, report.headings), (3, 3));
        let largest = report.largest_class.map(String::from);
        assert_eq!((largest.as_deref(), report.largest_class_rows), (Some("731815"), 3));
        let sizes: Vec<_> = report.class_histogram.iter().map(|b| (b.from_rows, b.classes, b.rows)).take(3).collect();
        assert_eq!(sizes, [(1, 1, 1), (2, 3, 8), (5, 0, 0)]);
    }

    #[test]
    fn the_codes_that_do_not_fit_are_named_with_the_editions_that_have_them() {
        let report = report(&mixed());
        assert_eq!(report.unknown_codes, [Found { code: "271011".into(), rows: 1, editions: vec![] }]);
        let older = vec![Edition::Hs2012, Edition::Hs2017];
        assert_eq!(report.wrong_edition_codes, [Found { code: "854810".into(), rows: 1, editions: older }]);
        assert_eq!(report.wrong_edition_known_rows, BTreeMap::from([(Edition::Hs2012, 1), (Edition::Hs2017, 1)]));
        assert_eq!(report.lost_zero_codes[0].code, "010121");
    }

    #[test]
    fn the_order_of_the_rows_changes_nothing() {
        let mut backwards = mixed();
        backwards.reverse();
        assert_eq!(report(&backwards), report(&mixed()));
    }

    #[test]
    fn the_report_is_aligned_and_names_no_description() {
        let lines = report(&mixed()).table().lines();
        let text = lines.join("\n");
        for description in ["laptop", "bolt", "horse", "petrol", "battery"] {
            assert!(!text.contains(description), "{text}");
        }
        assert!(text.contains("  854810                        1  in HS 2012, HS 2017"), "{text}");
        assert!(text.contains("best possible accuracy    88.89 %"), "{text}");
        assert!(text.contains("subheadings below 3 rows        2  33.33 % of usable rows"), "{text}");
        assert!(text.contains("  847130 or 847141              1  rows"), "{text}");
        assert!(lines.iter().all(|line| line.trim_end() == line));
    }
}
