//! The tables of a card, in any form.

use serde_json::{Value, json};

use super::{Card, told};
use crate::model::{DataFile, Evidence};
use crate::train::record::SplitRecord;
use crate::train::split::Part;
use crate::train::table::{Cell, Grid, percent};

impl Card<'_> {
    /// The files that it learnt from.
    pub(super) fn files(&self) -> Grid {
        let mut grid = Grid::new(["file", "rows", "digest"]);
        let row = |file: &DataFile| {
            // A query may hold keys.
            let address = file.url.split('?').next().unwrap_or_default();
            let digest = file.e_tag.as_deref().unwrap_or("–");
            vec![Cell::Words(address.to_string()), Cell::count(file.rows as usize), Cell::Words(digest.to_string())]
        };
        grid.rows = self.files.iter().map(row).collect();
        grid
    }

    /// Where the further examples came from, if there were any.
    pub(super) fn further(&self) -> Option<Grid> {
        let mut grid = Grid::new(["source", "rows", "used", "subheadings", "weight"]);
        let (words, number) = (|text: &str| Cell::Words(text.to_string()), |text: &str| Cell::Number(text.to_string()));
        for (count, source) in self.record.extra.iter().enumerate().map(|(n, c)| (c, &self.record.recipe["extra"][n])) {
            // A query may hold keys.
            let input: Vec<&str> = count.input.iter().filter_map(|input| input.split('?').next()).collect();
            let (rows, used, classes) = (count.rows, count.used_rows, count.classes);
            let counts = [rows, used, classes].map(Cell::count);
            grid.rows.push(
                [vec![words(&input.join(", "))], counts.to_vec(), vec![number(&told(&source["weight"]))]].concat(),
            );
        }
        if self.record.made_vague > 0 {
            let counts = [Cell::count(self.record.made_vague), Cell::count(self.record.made_vague)];
            let name = words("made from the list of texts that name no goods");
            grid.rows.push([vec![name], counts.to_vec(), vec![number("–"), number("1.0")]].concat());
        }
        (!grid.rows.is_empty()).then_some(grid)
    }

    /// Each threshold with its evidence.
    pub(super) fn thresholds(&self) -> Grid {
        let mut grid = Grid::new([
            "sure of",
            "from confidence",
            "evidence, texts",
            "at or above",
            "wrong",
            "share",
            "error at most",
        ]);
        let policy = self.policy;
        let row = |(name, threshold, e): (&str, f32, &Evidence)| {
            let confidence = if threshold > 1.0 { "never".to_string() } else { format!("{threshold:.4}") };
            let [texts, accepted, errors] = [e.texts, e.accepted, e.errors].map(|count| Cell::count(count as usize));
            let [share, bound] = [e.coverage_ratio, e.error_upper_bound].map(|ratio| Cell::Number(percent(ratio)));
            vec![Cell::Words(name.to_string()), Cell::Number(confidence), texts, accepted, errors, share, bound]
        };
        let levels = [
            ("the subheading: accepted", policy.threshold, &policy.evidence),
            ("the heading", policy.heading.threshold, &policy.heading.evidence),
            ("the chapter", policy.chapter.threshold, &policy.chapter.evidence),
        ];
        grid.rows = levels.into_iter().map(row).collect();
        grid
    }

    /// How the thresholds were set.
    pub(super) fn policy_settings(&self) -> Value {
        let policy = self.policy;
        let mut told = json!({
            "target_precision": policy.target_precision,
            "bound": policy.bound,
            "review_budget": policy.review_budget,
            "audit_ratio": policy.audit_ratio,
            "method": policy.evidence.method,
            "heading_method": policy.heading.evidence.method,
            "chapter_method": policy.chapter.evidence.method,
        });
        if !policy.single_headings.is_empty() {
            told["single_headings"] = json!(policy.single_headings);
        }
        told
    }
}

impl SplitRecord {
    /// Its parts.
    pub(super) fn grid(&self) -> Grid {
        let mut grid = Grid::new(["part", "rows", "share of keys", "used for"]);
        let row = |(part, rows): &(Part, usize)| {
            let (name, share, used_for) = match part {
                Part::Train => ("train", self.shares.train(), "fits the weights"),
                Part::Stop => ("stop", self.shares.stop, "ends the fit and chooses settings"),
                Part::Calibrate => ("calibrate", self.shares.calibrate, "fits the calibration"),
                Part::Threshold => ("threshold", self.shares.threshold, "sets the threshold"),
                Part::Test => ("test", self.shares.test, "measures the finished model"),
            };
            let words = |text: &str| Cell::Words(text.to_string());
            vec![words(name), Cell::count(*rows), Cell::Number(percent(share)), words(used_for)]
        };
        grid.rows = self.rows.iter().map(row).collect();
        grid
    }
}
