//! The card as Markdown, which travels in the bundle.

use serde_json::Value;

use super::{Card, flattened};
use crate::train::evaluate::{By, Metrics};
use crate::train::evaluation::facts_markdown;
use crate::train::figures;
use crate::train::table::{Cell, escaped_cell, markdown_table, percent, thousands};

/// Chapters told here, worst first; the metrics file has all of them.
const CHAPTERS: usize = 15;

impl Card<'_> {
    /// The same inputs give the same bytes.
    pub fn markdown(&self) -> String {
        let record = self.record;
        let mut sections = vec![format!("# Model card: {}", self.title()), self.what_it_is(), self.data_section()];
        sections.extend(self.further().map(|further| format!("## Further examples\n\n{}", further.markdown())));
        sections.extend(record.decisions.as_ref().map(|decisions| {
            format!("## Decisions of people\n\n{}\n\n{}", decisions.says(), facts_markdown(&decisions.facts()))
        }));
        sections.extend(record.split.as_ref().map(|s| format!("## Split\n\n{}\n\n{}", s.says(), s.grid().markdown())));
        sections.push(format!("## Architecture\n\n{}", value_table(&self.architecture)));
        sections.push(format!("## Settings of the fit\n\n{}", value_table(self.settings())));
        let facts = facts_markdown(&figures::facts(&record.figures));
        let accepted = figures::accepted(&record.figures);
        sections.push(format!("## Figures\n\n{}\n\n{facts}\n{accepted}", self.measured()));
        sections.push(worst_chapters(&record.figures));
        for slices in record.slices.iter().filter(|slices| By::of(slices) != By::Chapter) {
            let title = figures::slices_title(slices);
            sections.push(format!("## {title}\n\n{}", figures::slices(slices).markdown()));
        }
        if !record.confusions.is_empty() {
            let found = figures::confusions(&record.confusions).markdown();
            sections.push(format!("## Most frequent confusions\n\n{}\n\n{found}", figures::CONFUSIONS));
        }
        sections.push(format!("## Calibration\n\n{}", value_table(&self.calibration)));
        let settings = value_table(&self.policy_settings());
        sections.push(format!("## Thresholds\n\n{}\n{settings}", self.thresholds().markdown()));
        let limits: Vec<String> = self.limits().iter().map(|says| format!("- {says}")).collect();
        sections.push(format!("## Limits\n\n{}", limits.join("\n")));
        if !record.command.is_empty() {
            sections.push(format!("## How to make it again\n\n```sh\n{}\n```", record.command));
            let recipe = |toml| format!("{}\n\n```toml\n{toml}```", self.again());
            sections.extend(self.recipe().map(recipe));
        }
        let sections: Vec<&str> = sections.iter().map(|section| section.trim_end()).collect();
        sections.join("\n\n") + "\n"
    }

    fn data_section(&self) -> String {
        let mut files = self.files();
        for row in &mut files.rows {
            if let Some(Cell::Words(address)) = row.first_mut() {
                *address = format!("`{address}`");
            }
        }
        let checks = self.record.checks.as_ref().map_or_else(String::new, |checks| {
            let found = checks.labels.table().lines().join("\n");
            format!(" What the checks found, before anything was learnt:\n\n```text\n{found}\n```")
        });
        format!("## Data\n\n{}\nLabels are of edition HS {}.{checks}", files.markdown(), self.edition)
    }
}

fn worst_chapters(metrics: &Metrics) -> String {
    let rows = metrics.chapters.iter().take(CHAPTERS).map(|c| {
        let precision = c.precision.map_or_else(|| "–".to_string(), percent);
        vec![c.chapter.clone(), thousands(c.rows), percent(c.accuracy), percent(c.coverage_ratio), precision]
    });
    let header = ["chapter", "rows", "right at six digits", "accepted", "right of accepted"];
    format!("## Chapters, worst first\n\n{}", markdown_table(&header, rows))
}

/// A value of another room as a table of dotted names.
fn value_table(value: &Value) -> String {
    let rows = flattened(value).into_iter().map(|row| row.iter().map(|text| escaped_cell(text)).collect());
    markdown_table(&["name", "value"], rows)
}
