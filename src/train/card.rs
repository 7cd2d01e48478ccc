//! The model card: one page of Markdown that travels in the bundle and tells a stranger what the model is, what it
//! learnt from, how good it is, where it ends and how to make it again (after Mitchell et al., "Model cards for model
//! reporting", 2019).
//!
//! The card states only what it is given; it reads no clock, no file and no environment, and prints no description.

use serde_json::Value;

use super::checks::Report;
use super::evaluate::Metrics;
use super::split::{Grouping, Part, Split};
use super::table::{percent, thousands};
use crate::tariff::Edition;

/// Chapters told on the card, worst first; the metrics file has all of them.
const CHAPTERS: usize = 15;

/// A file that the model was trained on.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Its address; a query, which may hold keys, is left out of the card.
    pub address: String,
    /// Its rows.
    pub rows: usize,
    /// Its digest or ETag, when known.
    pub digest: Option<String>,
}

/// Everything that the card tells.
#[derive(Clone, Copy, Debug)]
pub struct CardInputs<'a> {
    /// Name of the model, as in `hs@7`.
    pub name: &'a str,
    /// Version of the model, as in `hs@7`; empty before it has one.
    pub version: &'a str,
    /// Version of the program that trained it.
    pub program_version: &'a str,
    /// When training started, UTC, as text.
    pub created_at: &'a str,
    /// Who answers for the model; empty when nobody was named.
    pub owner: &'a str,
    /// Edition of its labels.
    pub edition: Edition,
    /// What it was trained on.
    pub files: &'a [DataFile],
    /// What the checks found in them.
    pub checks: &'a Report,
    /// How the rows were split.
    pub split: &'a Split,
    /// Rows of each part.
    pub part_rows: &'a [(Part, usize)],
    /// Architecture, as its configuration is written.
    pub architecture: &'a Value,
    /// Settings of the fit.
    pub hyper_parameters: &'a Value,
    /// What the figures were measured on, in words.
    pub measured_on: &'a str,
    /// The figures.
    pub metrics: &'a Metrics,
    /// How confidence is calibrated.
    pub calibration: &'a Value,
    /// The acceptance threshold and the evidence for it.
    pub threshold: &'a Value,
    /// The command line that trains the model again.
    pub command: &'a str,
}

/// Writes the card. The same inputs give the same bytes.
pub fn card(inputs: &CardInputs<'_>) -> String {
    let mut page = String::new();
    let title = if inputs.version.is_empty() {
        format!("# Model card: {}", inputs.name)
    } else {
        format!("# Model card: {}@{}", inputs.name, inputs.version)
    };
    let sections = [
        title,
        what_it_is(inputs),
        data(inputs),
        split(inputs),
        format!("## Architecture\n\n{}", value_table(inputs.architecture)),
        format!("## Settings of the fit\n\n{}", value_table(inputs.hyper_parameters)),
        figures(inputs),
        worst_chapters(inputs.metrics),
        format!("## Calibration\n\n{}", value_table(inputs.calibration)),
        format!("## Threshold\n\n{}", value_table(inputs.threshold)),
        limits(inputs),
        format!("## How to make it again\n\n```sh\n{}\n```", inputs.command),
    ];
    for section in sections {
        page.push_str(section.trim_end());
        page.push_str("\n\n");
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn what_it_is(inputs: &CardInputs<'_>) -> String {
    let owner = if inputs.owner.is_empty() { "nobody was named" } else { inputs.owner };
    format!(
        "A classifier of goods descriptions into six-digit subheadings of the Harmonized System, edition HS {}. The \
         labelled rows carry {} subheadings in {} headings and {} chapters; it can answer only with those that fell \
         into the training part. Trained on {} with harmonize {}. Who answers for it: {owner}.",
        inputs.edition,
        thousands(inputs.checks.classes),
        thousands(inputs.checks.headings),
        inputs.checks.chapters,
        inputs.created_at,
        inputs.program_version,
    )
}

fn data(inputs: &CardInputs<'_>) -> String {
    let files = inputs.files.iter().map(|file| {
        let address = file.address.split('?').next().unwrap_or_default();
        vec![format!("`{}`", cell(address)), thousands(file.rows), cell(file.digest.as_deref().unwrap_or("–"))]
    });
    format!(
        "## Data\n\n{}\nLabels are of edition HS {}. What the checks found, before anything was learnt:\n\n```text\n{}\n```",
        table(["file", "rows", "digest"], files),
        inputs.edition,
        inputs.checks.table().lines().join("\n"),
    )
}

fn split(inputs: &CardInputs<'_>) -> String {
    let key = match inputs.split.grouping() {
        Grouping::Text => "the normalised description, so that equal descriptions share a part",
        Grouping::TextWithoutNumbers => {
            "the normalised description without its numbers, so that descriptions that differ only in numbers share a part"
        }
    };
    let parts = inputs.part_rows.iter().map(|(part, rows)| {
        let (name, share, used_for) = match part {
            Part::Train => ("train", inputs.split.shares().train(), "fits the weights"),
            Part::Stop => ("stop", inputs.split.shares().stop, "ends the fit and chooses settings"),
            Part::Calibrate => ("calibrate", inputs.split.shares().calibrate, "fits the calibration"),
            Part::Threshold => ("threshold", inputs.split.shares().threshold, "sets the threshold"),
            Part::Test => ("test", inputs.split.shares().test, "measures the finished model"),
        };
        vec![name.to_string(), thousands(*rows), percent(share), used_for.to_string()]
    });
    format!(
        "## Split\n\nBy a hash of {key}, with seed {}. No row is in two parts.\n\n{}",
        inputs.split.seed(),
        table(["part", "rows", "share of keys", "used for"], parts),
    )
}

fn figures(inputs: &CardInputs<'_>) -> String {
    let metrics = inputs.metrics;
    let mut rows = vec![
        ("right at six digits".to_string(), percent(metrics.accuracy.hs6)),
        ("right at four digits".to_string(), percent(metrics.accuracy.hs4)),
        ("right at two digits".to_string(), percent(metrics.accuracy.hs2)),
        ("right code among the best five".to_string(), percent(metrics.accuracy.hs6_top_five)),
        ("right at six digits, each description once".to_string(), percent(metrics.accuracy.hs6_of_texts)),
        ("macro F1".to_string(), format!("{:.4}", metrics.macro_f1)),
        ("area under the risk–coverage curve".to_string(), format!("{:.4}", metrics.aurc)),
        ("calibration error at six digits".to_string(), percent(metrics.calibration_error.hs6)),
        ("calibration error at four digits".to_string(), percent(metrics.calibration_error.hs4)),
        ("calibration error at two digits".to_string(), percent(metrics.calibration_error.hs2)),
    ];
    for at in &metrics.coverage_at {
        let name = format!("coverage at {} precision, threshold set on these rows", percent(at.precision));
        rows.push((name, percent(at.coverage_ratio)));
    }
    let accepted = &metrics.accepted;
    let evidence = match accepted.precision {
        None => "The threshold accepted no row.".to_string(),
        Some(precision) => format!(
            "The threshold accepted {} rows ({}) without a person; {} of them are right ({}; 95 % interval {} to {}, \
             Clopper–Pearson).",
            thousands(accepted.rows),
            percent(accepted.coverage_ratio),
            thousands(accepted.right_rows),
            percent(precision),
            percent(accepted.precision_low),
            percent(accepted.precision_high),
        ),
    };
    format!(
        "## Figures\n\nMeasured on {}: {} rows, {} distinct descriptions, {} rows without a prediction.\n\n{}\n{evidence}",
        inputs.measured_on,
        thousands(metrics.rows),
        thousands(metrics.texts),
        thousands(metrics.unscored_rows),
        table(["figure", "value"], rows.into_iter().map(|(name, value)| vec![name, value])),
    )
}

fn worst_chapters(metrics: &Metrics) -> String {
    let rows = metrics.chapters.iter().take(CHAPTERS).map(|c| {
        let precision = c.precision.map_or_else(|| "–".to_string(), percent);
        vec![c.chapter.clone(), thousands(c.rows), percent(c.accuracy), percent(c.coverage_ratio), precision]
    });
    format!(
        "## Chapters, worst first\n\n{}",
        table(["chapter", "rows", "right at six digits", "accepted", "right of accepted"], rows)
    )
}

fn limits(inputs: &CardInputs<'_>) -> String {
    format!(
        "## Limits\n\n\
         - The labels are what was declared; nobody checked them. Text alone can be right on at most {} of the \
         labelled rows, because equal descriptions carry different codes. A figure above measures agreement with such \
         labels, not with the law.\n\
         - Six digits only. National digits, duty and origin are not its business.\n\
         - A line below the threshold needs a person, and so does a sample of the accepted ones. The model proposes; \
         the declarant decides and answers.\n\
         - {} of the subheadings have fewer than five labelled rows: expect little of them.\n\
         - It knows edition HS {} alone. A code that also exists in another edition may mean other goods there, and \
         no check of numbers can see that.\n\
         - Figures hold for goods and wording like those of the files above. Watch drift, and measure again before \
         using it elsewhere.",
        percent(inputs.checks.best_possible_ratio),
        thousands(inputs.checks.classes_below_5),
        inputs.edition,
    )
}

/// A value of another room as a table of dotted names.
fn value_table(value: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    table(["name", "value"], rows.into_iter())
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let full = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&full, value, rows);
            }
        }
        Value::Null => rows.push(vec![cell(name), "–".to_string()]),
        Value::String(text) => rows.push(vec![cell(name), cell(text)]),
        other => rows.push(vec![cell(name), cell(&other.to_string())]),
    }
}

/// A Markdown table that ends with a line break.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut written = line(&header.map(String::from)) + &line(&header.map(|_| "---".to_string()));
    for row in rows {
        written.push_str(&line(&row));
    }
    written
}

/// Text that cannot break out of its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::Codes;
    use crate::train::checks::{Row, check};
    use crate::train::evaluate::{Scored, evaluate};
    use crate::train::labels::Label;
    use crate::train::split::Shares;
    use serde_json::json;

    fn page() -> String {
        let label = Label::parse(Some("847130"), Codes::builtin(Edition::Hs2022));
        let checks = check(std::iter::repeat_n(Row { text: Some("secret laptop"), label: &label }, 1_200));
        let truth = label.code(false).unwrap();
        let scored = Scored {
            truth,
            top: &[(truth, 0.875)],
            confidence_heading: 0.875,
            confidence_chapter: 1.0,
            first_of_text: true,
            accepted: true,
        };
        card(&CardInputs {
            name: "hs",
            version: "7",
            program_version: "0.1.0",
            created_at: "2026-01-02T03:04:05Z",
            owner: "Customs data team",
            edition: Edition::Hs2022,
            files: &[DataFile { address: "s3://b/a|b.parquet?key=hidden".into(), rows: 1_200, digest: None }],
            checks: &checks,
            split: &Split::new(42, Shares::default(), Grouping::Text).unwrap(),
            part_rows: &[(Part::Train, 1_044), (Part::Stop, 156)],
            architecture: &json!({"filters": 256, "widths": [3, 4, 5], "pool": {"kind": "max"}}),
            hyper_parameters: &json!({"epochs": 6, "warmup": null}),
            measured_on: "the test part",
            metrics: &evaluate(&[scored]),
            calibration: &json!({"temperature": 1.25}),
            threshold: &json!({"confidence": 0.9, "note": "line one\nline | two"}),
            command: "harmonize train --input a.parquet --seed 42",
        })
    }

    #[test]
    fn the_card_has_every_section_in_its_order() {
        let page = page();
        let sections: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
        let expected = [
            "# Model card: hs@7",
            "## Data",
            "## Split",
            "## Architecture",
            "## Settings of the fit",
            "## Figures",
            "## Chapters, worst first",
            "## Calibration",
            "## Threshold",
            "## Limits",
            "## How to make it again",
        ];
        assert_eq!(sections, expected);
        assert!(page.ends_with("```\n") && !page.contains("\n\n\n"));
    }

    /// The interval of 1 of 1 is 0.025 to 1, in closed form.
    #[test]
    fn the_card_states_what_it_is_given() {
        let page = page();
        for stated in [
            "Who answers for it: Customs data team.",
            "| pool.kind | max |",
            "| widths | [3,4,5] |",
            "| warmup | – |",
            "| train | 1,044 | 89.00 % | fits the weights |",
            "with seed 42",
            "1 of them are right (100.00 %; 95 % interval 2.50 % to 100.00 %",
            "| 84 | 1 | 100.00 % | 100.00 % | 100.00 % |",
            "harmonize train --input a.parquet --seed 42",
        ] {
            assert!(page.contains(stated), "{stated}\n{page}");
        }
    }

    #[test]
    fn the_card_holds_no_description_no_key_and_no_broken_table() {
        let page = page();
        assert!(!page.contains("secret") && !page.contains("hidden"), "{page}");
        assert!(page.contains("`s3://b/a\\|b.parquet`") && page.contains("| note | line one line \\| two |"), "{page}");
    }
}
