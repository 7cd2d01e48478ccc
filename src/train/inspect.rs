//! The data checks as a whole: of the labels and of the descriptions, as a table, as JSON and as a page.

use serde::{Deserialize, Serialize};

use super::checks::{self, Limits, Report, Row};
use super::data::{Labelled, Line};
use super::page::Page;
use super::profile::{Described, Profile};
use super::split::Split;
use super::table::{percent, ratio, thousands};
use crate::error::Result;
use crate::tariff::{Codes, Edition};

/// What is in the labelled rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Edition that the labels are held to.
    pub edition: Edition,
    /// Of rows and labels.
    pub labels: Report,
    /// Of the descriptions.
    pub descriptions: Profile,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// The labelled lines.
    pub lines: Labelled,
    /// Edition of the codes.
    pub edition: Edition,
    /// How the rows would be split.
    pub split: Split,
}

/// Reads the rows and checks them.
///
/// # Errors
/// `Input` when they cannot be read.
pub async fn inspect(options: &InspectOptions) -> Result<DataReport> {
    let (_, lines) = options.lines.read(Codes::builtin(options.edition)).await?;
    Ok(DataReport::of(&lines, options.edition, &options.split))
}

impl DataReport {
    /// Of lines that were read.
    pub(super) fn of(lines: &[Line], edition: Edition, split: &Split) -> DataReport {
        DataReport {
            edition,
            labels: checks::check(
                lines.iter().map(|l| Row { text: Some(l.text.as_str()).filter(|t| !t.is_empty()), label: &l.label }),
            ),
            descriptions: Profile::of(
                lines
                    .iter()
                    .filter(|l| !l.text.is_empty())
                    .map(|l| Described { text: &l.text, usable: l.label.class(true).is_some() }),
                split,
            ),
        }
    }

    /// As aligned lines of text.
    pub fn lines(&self) -> Vec<String> {
        let mut table = self.labels.table();
        table.append(self.descriptions.table());
        table.lines()
    }

    /// As a self-contained page.
    pub fn html(&self) -> String {
        let bucket = |b: &checks::Bucket| {
            let name = match b.to_rows {
                Some(1) => "1 row".to_string(),
                Some(to) => format!("{} to {to} rows", b.from_rows),
                None => format!("{} rows and more", b.from_rows),
            };
            (name, b.classes, thousands(b.classes))
        };
        let sizes: Vec<_> = self.labels.class_histogram.iter().map(bucket).collect();
        Page::new(&format!("Data checks against HS {}", self.edition))
            .section("Rows and labels", "A row is usable when it has a description and a subheading of the edition.")
            .facts(self.labels.table().rows())
            .section("Subheadings by number of rows", "")
            .bars(&sizes)
            .section(
                "Descriptions",
                "After normalisation. A near twin differs from a learned description in numbers alone.",
            )
            .facts(self.descriptions.table().rows())
            .html()
    }

    /// Why these rows are not trained on, and what to do next; `None` when they are good enough.
    pub fn refuse(&self, limits: &Limits) -> Option<String> {
        let conflicts = ratio(self.labels.conflict_rows, self.labels.usable_rows);
        let passed = [
            ("of the usable rows have a description with several codes", conflicts, limits.max_conflict_ratio),
            ("of the descriptions name no goods", self.descriptions.vague_ratio(), limits.max_vague_ratio),
            (
                "of the descriptions kept from the fit have a near twin",
                self.descriptions.near_twin_ratio(),
                limits.max_near_twin_ratio,
            ),
        ];
        let passed = passed.into_iter().find(|(_, is, limit)| is > limit);
        let passed = passed.map(|(what, is, limit)| {
            format!("{} {what}, at most {} may; correct the data, or raise the limit", percent(is), percent(limit))
        });
        self.labels.refuse(limits).or(passed)
    }
}
