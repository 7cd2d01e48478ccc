//! Findings as a file for an auditor: a row for every line that a finding concerns, with all that there is to know of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};
use futures::StreamExt;

use super::row::{moment, moments, text, texts};
use super::{FindingKind, Findings};
use crate::error::Result;
use crate::review::sheet::{Column, Form, Holds, Layout, Sheet, Target};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Findings.
    pub findings: u64,
    /// Rows.
    pub rows: u64,
    /// Editions whose codes have no wording, because the lake does not hold them.
    pub without_wording: BTreeSet<String>,
}

/// The columns of the file, in their order.
const COLUMNS: [(&str, u16, Holds, &str); 34] = [
    (
        "rank",
        6,
        Holds::Number,
        "Place of the finding among all in this file, by value, from 1. Its lines have the same.",
    ),
    ("kind", 24, Holds::Text, "What the finding says; see above."),
    (
        "explained_by",
        14,
        Holds::Text,
        "What explains it: edition, model, person, previous_code, declaration, or unexplained.",
    ),
    ("finding_value", 14, Holds::Number, "Value of all lines of the finding, in the input's unit."),
    ("finding_lines", 8, Holds::Number, "Lines of the finding."),
    ("description", 60, Holds::Text, "The goods as the lake keeps them; empty where it does not (--store-text)."),
    (
        "code",
        12,
        Holds::Code,
        "The code that the line has, a person's before the model's; of what changed, the later code.",
    ),
    ("code_text", 50, Holds::Text, "What it means, by the tariff of the lake."),
    ("heading_text", 30, Holds::Text, "What its first four digits mean."),
    ("chapter_text", 30, Holds::Text, "What its first two digits mean."),
    ("edition", 8, Holds::Code, "Edition of the code."),
    (
        "other_codes",
        16,
        Holds::Code,
        "What it is at odds with: the declared code, the codes of equal goods, or the earlier code.",
    ),
    ("other_texts", 50, Holds::Text, "What these mean."),
    ("other_edition", 8, Holds::Code, "Their edition, where it is known."),
    ("declared_code", 14, Holds::Text, "The code that the line was declared under, as the input has it."),
    ("confidence", 10, Holds::Number, "The model's, 0 to 1, that all six digits are right."),
    ("confidence_heading", 10, Holds::Number, "The same of the first four digits."),
    ("confidence_chapter", 10, Holds::Number, "The same of the first two."),
    (
        "value",
        12,
        Holds::Number,
        "Value of the line, in the input's unit; of what changed, of all lines of the text now.",
    ),
    ("decision", 10, Holds::Text, "What was decided of the prediction; see docs/data-dictionary.md."),
    ("decided_by", 18, Holds::Text, "Who gave the code: a model version or a person."),
    ("decided_at", 20, Holds::Text, "When a person decided, UTC; empty for a model, see run_started_at."),
    ("model_digest", 20, Holds::Text, "SHA-256 of the manifest of the model version."),
    ("run_id", 24, Holds::Text, "Run that wrote the prediction."),
    ("run_started_at", 20, Holds::Text, "When it began, UTC."),
    ("other_decided_by", 18, Holds::Text, "Who gave the earlier code."),
    ("other_decided_at", 20, Holds::Text, "When a person gave it, UTC."),
    ("other_run_id", 24, Holds::Text, "Run that gave it."),
    ("other_run_started_at", 20, Holds::Text, "When that began, UTC."),
    ("line_id", 16, Holds::Text, "Id of the line, as the input has it."),
    ("source_file", 40, Holds::Text, "File of the line."),
    ("source_row", 10, Holds::Number, "Position of the line in its file, from 0."),
    ("text_digest", 20, Holds::Text, "Digest of the normalised text: equal goods, equal digest."),
    ("finding", 40, Holds::Text, "Identity of the finding among those of its kind."),
];

/// Every row, the worst finding first.
const ALL: &str = "SELECT * FROM found ORDER BY finding_value DESC NULLS LAST, finding_lines DESC, kind, finding, source_file, \
                   source_row";

/// The rows of the worst.
const OF_WORST: &str = "SELECT f.* FROM found AS f JOIN worst AS w ON w.kind = f.kind AND w.finding = f.finding \
                        ORDER BY w.rank, f.source_file, f.source_row";

impl Findings {
    /// Writes the rows of all findings, or of the worst so many.
    ///
    /// # Errors
    /// `Usage` when the file is there already, or a sheet is too small, and those of disk and store.
    pub async fn export(&self, target: &Target, form: Form, limit: Option<u64>) -> Result<Exported> {
        let query = match limit {
            None => ALL,
            Some(limit) => {
                self.rank(limit).await?;
                OF_WORST
            }
        };
        let mut sheet = Sheet::create(target, form, self.layout())?;
        let mut writer = Writer { findings: self, runs: self.runs().await?, last: None, exported: Exported::default() };
        let mut rows = self.context.sql(query).await?.execute_stream().await?;
        while let Some(batch) = rows.next().await {
            writer.write(&batch?, &mut sheet)?;
        }
        writer.exported.rows = sheet.finish()?;
        Ok(writer.exported)
    }

    fn layout(&self) -> Layout {
        let mut about = vec![format!("Findings of consistency in the lake {}, the worst by value first.", self.lake)];
        about.extend(FindingKind::ALL.map(|kind| format!("{kind}: {}.", kind.about())));
        let column = |(name, width, holds, says): (&str, u16, Holds, &str)| Column::new(name, says, width, holds);
        Layout { title: "findings".into(), about, columns: COLUMNS.map(column).to_vec(), frozen: 2 }
    }

    /// When each run began.
    async fn runs(&self) -> Result<HashMap<String, String>> {
        let mut runs = HashMap::new();
        for batch in self.rows("SELECT run_id, started_at FROM runs").await? {
            let (ids, began) = (texts(&batch, "run_id")?, moments(&batch, "started_at")?);
            let of = |row| Some((text(&ids, row)?.to_string(), moment(&began, row)?));
            runs.extend((0..batch.num_rows()).filter_map(of));
        }
        Ok(runs)
    }
}

/// Makes rows of the file.
struct Writer<'f> {
    findings: &'f Findings,
    runs: HashMap<String, String>,
    /// Kind and identity of the finding of the last row.
    last: Option<(String, String)>,
    exported: Exported,
}

/// The columns of a batch.
struct Batch {
    texts: BTreeMap<String, StringArray>,
    moments: BTreeMap<String, TimestampMicrosecondArray>,
}

impl Batch {
    fn of(batch: &RecordBatch) -> Result<Batch> {
        let (mut all, mut times) = (BTreeMap::new(), BTreeMap::new());
        for field in batch.schema().fields() {
            all.insert(field.name().clone(), texts(batch, field.name())?);
        }
        for name in ["decided_at", "other_decided_at"] {
            times.insert(name.to_string(), moments(batch, name)?);
        }
        Ok(Batch { texts: all, moments: times })
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        text(self.texts.get(name)?, row)
    }

    fn codes(&self, name: &str, row: usize) -> Vec<&str> {
        self.text(name, row).unwrap_or_default().split_whitespace().collect()
    }
}

impl Writer<'_> {
    fn write(&mut self, batch: &RecordBatch, sheet: &mut Sheet) -> Result<()> {
        let rows = batch.num_rows();
        let batch = Batch::of(batch)?;
        for row in 0..rows {
            let finding = [batch.text("kind", row), batch.text("finding", row)].map(Option::unwrap_or_default);
            if self.last.as_ref().is_none_or(|(kind, of_kind)| [kind.as_str(), of_kind.as_str()] != finding) {
                self.exported.findings += 1;
                self.last = Some((finding[0].to_string(), finding[1].to_string()));
            }
            let edition = batch.text("edition", row);
            if let Some(edition) = edition.filter(|edition| !self.findings.wordings.has(edition)) {
                self.exported.without_wording.insert(edition.to_string());
            }
            let cells = COLUMNS.map(|(name, ..)| self.cell(name, &batch, row));
            sheet.row(&cells.each_ref().map(Option::as_deref))?;
        }
        Ok(())
    }

    fn cell(&self, name: &str, batch: &Batch, row: usize) -> Option<String> {
        let wordings = &self.findings.wordings;
        let edition = batch.text("edition", row);
        let code = || Some(wordings.of(edition, batch.codes("code", row).first()?));
        let began = |run: &str, date: &str| {
            let run = batch.text(run, row)?;
            let of_date = || Some(format!("{}T00:00:00Z", batch.text(date, row)?));
            self.runs.get(run).cloned().or_else(of_date)
        };
        match name {
            "rank" => Some(self.exported.findings.to_string()),
            // Numbers side by side would be one number, or none, to a spreadsheet program.
            "code" | "other_codes" => Some(batch.codes(name, row).join(" and ")).filter(|codes| !codes.is_empty()),
            "code_text" => wordings.of_all(edition, &batch.codes("code", row)),
            "heading_text" => code()?.heading,
            "chapter_text" => code()?.chapter,
            "other_texts" => {
                wordings.of_all(batch.text("other_edition", row).or(edition), &batch.codes("other_codes", row))
            }
            "decided_at" | "other_decided_at" => moment(batch.moments.get(name)?, row),
            "run_started_at" => began("run_id", "run_date"),
            "other_run_started_at" => began("other_run_id", "other_run_date"),
            name => batch.text(name, row).map(str::to_string),
        }
    }
}
