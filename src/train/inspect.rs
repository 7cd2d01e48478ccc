//! The data checks as a whole: of the labels and of the descriptions, as a table, as JSON and as a page.

use serde::{Deserialize, Serialize};

use super::card::flattened;
use super::checks::{self, Limits, Report, Row};
use super::data::{Labelled, Line};
use super::decisions::{self, Decided, Decisions, Guard};
use super::near::NearDuplicates;
use super::page::Page;
use super::profile::{Described, Profile};
use super::schema::Schema;
use super::split::{Part, Split};
use super::table::thousands;
use crate::error::Result;
use crate::lake::Source;
use crate::tariff::{Codes, Edition};

/// What is in the labelled rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Edition that the labels are held to.
    pub edition: Edition,
    /// Why these rows are not trained on, and what to do next, reason by reason; empty when they are good enough.
    #[serde(default)]
    pub refused: Vec<String>,
    /// What they are refused by.
    #[serde(default)]
    pub limits: Limits,
    /// Of the files.
    #[serde(default)]
    pub schema: Schema,
    /// Of rows and labels.
    pub labels: Report,
    /// Of the descriptions.
    pub descriptions: Profile,
    /// Of their spelling; `None` in a record that is older.
    #[serde(default)]
    pub near_duplicates: Option<NearDuplicates>,
    /// What a training would learn from decisions of people; `None` where they were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<decisions::Report>,
}

/// What labelled lines are held to.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Edition of the codes.
    pub edition: Edition,
    /// How the rows would be split.
    pub split: Split,
    /// Texts that name no goods, normalised.
    pub vague: Vec<String>,
    /// When to refuse the rows.
    pub limits: Limits,
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct InspectOptions {
    /// The labelled lines.
    pub lines: Labelled,
    /// What they are held to.
    pub checks: CheckOptions,
    /// Decisions of people to look at beside them.
    pub decisions: Option<Decisions>,
}

/// Reads the rows and checks them.
///
/// # Errors
/// `Input` when they cannot be read.
pub async fn inspect(options: &InspectOptions) -> Result<DataReport> {
    let InspectOptions { lines: labelled, checks, decisions } = options;
    let codes = Codes::builtin(checks.edition);
    let (source, lines) = labelled.read(codes).await?;
    let mut report = DataReport::of(&source, &lines, &labelled.label, checks);
    if let Some(from) = decisions {
        report.decisions = Some(decided(&lines, from, labelled, checks).await?);
    }
    Ok(report)
}

/// What a training on these lines would learn from decisions.
async fn decided(
    lines: &[Line],
    from: &Decisions,
    labelled: &Labelled,
    checks: &CheckOptions,
) -> Result<decisions::Report> {
    let codes = Codes::builtin(checks.edition);
    let row = |line: &Line| Some((line.label.class(checks.limits.repair_zeros)?, checks.split.part(&line.text)));
    let rows: Vec<_> =
        described(lines).filter_map(|line| row(line).map(|(code, part)| (line.text.as_str(), code, part))).collect();
    let guard = Guard::new(checks.split, rows.iter().map(|(text, _, part)| (*text, *part)), from, labelled, codes);
    let mut decided = Decided::read(from, codes, &guard.await?, labelled.limits).await?;
    let train = rows.iter().filter(|(_, _, part)| *part == Part::Train);
    decided.report.corrected_rows = decided.differing(train.map(|(text, code, _)| (*text, *code)));
    Ok(decided.report)
}

/// Lines that have a description.
fn described(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| !line.text.is_empty())
}

impl DataReport {
    /// Of lines that were read from `source`, their codes from the column `label`.
    pub(super) fn of(source: &Source, lines: &[Line], label: &str, options: &CheckOptions) -> DataReport {
        let CheckOptions { edition, split, vague, limits } = options;
        let rows =
            lines.iter().map(|l| Row { text: Some(l.text.as_str()).filter(|text| !text.is_empty()), label: &l.label });
        let labels = checks::check(rows, limits.rare_below);
        let texts = described(lines).map(|l| Described { text: &l.text, usable: l.label.class(true).is_some() });
        let descriptions = Profile::of(texts, split, vague);
        let usable = described(lines).filter_map(|l| Some((l.text.as_str(), l.label.class(true)?)));
        let near_duplicates = Some(NearDuplicates::of(usable, split));
        let mut refused = labels.refused(limits);
        refused.extend(descriptions.refused(limits));
        let schema = Schema::of(source, label);
        DataReport {
            edition: *edition,
            refused,
            limits: *limits,
            schema,
            labels,
            descriptions,
            near_duplicates,
            decisions: None,
        }
    }

    /// As aligned lines of text.
    pub fn lines(&self) -> Vec<String> {
        let mut table = self.labels.table();
        table.append(self.descriptions.table());
        self.near_duplicates.iter().for_each(|near| table.append(near.table()));
        self.decisions.iter().for_each(|decisions| table.append(decisions.facts()));
        [self.schema.file_grid().lines(), self.schema.column_grid().lines(), table.lines()].join(&String::new())
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
        let mut spelled = self.descriptions.table();
        self.near_duplicates.iter().for_each(|near| spelled.append(near.table()));
        let mut page = Page::new(&format!("Data checks against HS {}", self.edition));
        page = match self.refused.is_empty() {
            true => page.lead("No limit refuses these rows."),
            false => page.lead("These rows are refused:").list(&self.refused),
        };
        page = page
            .section("Files and columns", "By the footers of the files, whatever a filter leaves of their rows.")
            .grid(&self.schema.file_grid())
            .grid(&self.schema.column_grid())
            .section("Rows and labels", "A row is usable when it has a description and a subheading of the edition.")
            .facts(self.labels.table().rows())
            .section("Subheadings by number of rows", "")
            .bars(&sizes)
            .section(
                "Descriptions",
                "After normalisation. A near twin differs from a learned description in numbers alone; a near duplicate is spelled \
                 nearly as one is.",
            )
            .facts(spelled.rows());
        if let Some(decisions) = &self.decisions {
            page = page.section("Decisions of people", &decisions.says()).facts(decisions.facts().rows());
        }
        page.section("Limits", "As in [checks] of a recipe.").pairs(&flattened(&serde_json::json!(self.limits))).html()
    }

    /// Why these rows are not trained on, and what to do next; `None` when they are good enough.
    pub fn refusal(&self) -> Option<String> {
        match &self.refused[..] {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("{} reasons refuse these rows:\n  {}", several.len(), several.join("\n  "))),
        }
    }
}
