//! Findings in numbers, and the worst of them.

use serde::Serialize;

use super::row::{counts, number, numbers, text, texts};
use super::wording::Wording;
use super::{Findings, ONES};
use crate::error::{Error, Result};

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingReport {
    /// Where.
    pub lake: String,
    /// By kind and by what explains them.
    pub kinds: Vec<OfKind>,
    /// By kind and chapter.
    pub chapters: Vec<Chapter>,
    /// The worst, by value.
    pub worst: Vec<Told>,
}

/// The findings of a kind that one thing explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfKind {
    /// As the view has it.
    pub kind: String,
    /// As the view has it: model, edition, person and others; see docs/data-dictionary.md.
    pub explained_by: String,
    /// Findings.
    pub findings: u64,
    /// Their lines; one that two findings concern counts twice.
    pub lines: u64,
    /// Their value; `None` where no line has one.
    pub value: Option<f64>,
}

/// The findings of a kind in a chapter of their codes; one with codes of several chapters is in each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chapter {
    /// As the view has it.
    pub kind: String,
    /// Two digits.
    pub chapter: String,
    /// Findings.
    pub findings: u64,
    /// Their lines with a code of the chapter.
    pub lines: u64,
    /// The value of these.
    pub value: Option<f64>,
}

/// A finding, told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// From 1.
    pub rank: u64,
    /// As the view has it.
    pub kind: String,
    /// Its identity among those of its kind.
    pub finding: String,
    /// As the view has it.
    pub explained_by: String,
    /// Its lines.
    pub lines: u64,
    /// Their value.
    pub value: Option<f64>,
    /// The goods, in the words of one line; `None` where the lake does not keep them.
    pub description: Option<String>,
    /// The codes that its lines have now, or that were given last.
    pub codes: Vec<String>,
    /// What these mean, in their order.
    pub wordings: Vec<Wording>,
    /// What they are at odds with: the codes that were declared, or that there were before; those among `codes` for kinds whose
    /// lines are at odds with each other.
    pub other_codes: Vec<String>,
    /// Least confidence of the model.
    pub confidence: Option<f64>,
    /// Who gave the codes: model versions and persons.
    pub decided_by: Vec<String>,
    /// Who gave the others, where that is known.
    pub other_decided_by: Vec<String>,
    /// Runs.
    pub runs: Vec<String>,
    /// Address of one line.
    pub source_file: Option<String>,
    /// Its position, from 0.
    pub source_row: Option<i64>,
}

const CHAPTERS: &str = "
SELECT kind, substr(code, 1, 2) AS chapter, count(DISTINCT finding) AS findings,
       sum(CASE WHEN kind = 'same_text_across_runs' THEN finding_lines ELSE 1 END) AS lines,
       sum(CASE WHEN kind = 'same_text_across_runs' THEN finding_value ELSE value END) AS value
FROM found WHERE code IS NOT NULL GROUP BY kind, substr(code, 1, 2) ORDER BY kind, chapter";

/// Lists are joined by line breaks, which none of their texts has.
const DETAILS: &str = "
SELECT w.rank, w.kind, w.finding, w.explained_by, w.lines, w.value, min(f.description) AS description,
       array_to_string(array_sort(array_agg(DISTINCT f.code)), ' ') AS codes, max(f.edition) AS edition,
       array_to_string(array_sort(array_agg(DISTINCT f.other_codes)), ' ') AS other_codes, min(f.confidence) AS confidence,
       array_to_string(array_sort(array_agg(DISTINCT f.decided_by)), '\n') AS decided_by,
       array_to_string(array_sort(array_agg(DISTINCT f.other_decided_by)), '\n') AS other_decided_by,
       array_to_string(array_sort(array_agg(DISTINCT f.run_id)), '\n') AS runs,
       first_value(f.source_file ORDER BY f.source_file, f.source_row) AS source_file,
       first_value(f.source_row ORDER BY f.source_file, f.source_row) AS source_row
FROM found AS f JOIN worst AS w ON w.kind = f.kind AND w.finding = f.finding
GROUP BY w.rank, w.kind, w.finding, w.explained_by, w.lines, w.value
ORDER BY w.rank";

impl Findings {
    /// Counts, and the worst so many findings.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn report(&self, worst: u64) -> Result<FindingReport> {
        let by_kind = format!(
            "SELECT kind, explained_by, count(*) AS findings, sum(lines) AS lines, sum(value) AS value FROM ({ONES}) \
             GROUP BY kind, explained_by ORDER BY kind, explained_by"
        );
        let mut report = FindingReport {
            lake: self.lake.clone(),
            kinds: Vec::new(),
            chapters: Vec::new(),
            worst: self.worst(worst).await?,
        };
        for batch in self.rows(&by_kind).await? {
            let (kinds, by) = (texts(&batch, "kind")?, texts(&batch, "explained_by")?);
            let [findings, lines] = [counts(&batch, "findings")?, counts(&batch, "lines")?];
            let value = numbers(&batch, "value")?;
            report.kinds.extend((0..batch.num_rows()).map(|row| OfKind {
                kind: kinds.value(row).to_string(),
                explained_by: by.value(row).to_string(),
                findings: findings.value(row).unsigned_abs(),
                lines: lines.value(row).unsigned_abs(),
                value: number(&value, row),
            }));
        }
        for batch in self.rows(CHAPTERS).await? {
            let (kinds, chapters) = (texts(&batch, "kind")?, texts(&batch, "chapter")?);
            let [findings, lines] = [counts(&batch, "findings")?, counts(&batch, "lines")?];
            let value = numbers(&batch, "value")?;
            report.chapters.extend((0..batch.num_rows()).map(|row| Chapter {
                kind: kinds.value(row).to_string(),
                chapter: chapters.value(row).to_string(),
                findings: findings.value(row).unsigned_abs(),
                lines: lines.value(row).unsigned_abs(),
                value: number(&value, row),
            }));
        }
        Ok(report)
    }

    async fn worst(&self, limit: u64) -> Result<Vec<Told>> {
        self.rank(limit).await?;
        let mut told = Vec::new();
        for batch in self.rows(DETAILS).await? {
            let names =
                ["kind", "finding", "explained_by", "description", "codes", "edition", "other_codes", "decided_by"];
            let columns = names.map(|name| texts(&batch, name));
            let more = ["other_decided_by", "runs", "source_file"].map(|name| texts(&batch, name));
            let columns = columns.into_iter().chain(more).collect::<Result<Vec<_>>>()?;
            let [rank, lines, place] =
                [counts(&batch, "rank")?, counts(&batch, "lines")?, counts(&batch, "source_row")?];
            let [value, confidence] = [numbers(&batch, "value")?, numbers(&batch, "confidence")?];
            for row in 0..batch.num_rows() {
                let of = |column: usize| text(&columns[column], row).map(str::to_string);
                let needed = |column: usize| of(column).ok_or_else(|| Error::Bug("a finding without a name".into()));
                let list = |column: usize, between: char| -> Vec<String> {
                    let text = of(column).unwrap_or_default();
                    let mut all: Vec<String> =
                        text.split(between).filter(|t| !t.is_empty()).map(str::to_string).collect();
                    all.sort_unstable();
                    all.dedup();
                    all
                };
                let codes = list(4, ' ');
                let edition = of(5);
                told.push(Told {
                    rank: rank.value(row).unsigned_abs(),
                    kind: needed(0)?,
                    finding: needed(1)?,
                    explained_by: needed(2)?,
                    lines: lines.value(row).unsigned_abs(),
                    value: number(&value, row),
                    description: of(3),
                    wordings: codes.iter().map(|code| self.wordings.of(edition.as_deref(), code)).collect(),
                    codes,
                    other_codes: list(6, ' '),
                    confidence: number(&confidence, row),
                    decided_by: list(7, '\n'),
                    other_decided_by: list(8, '\n'),
                    runs: list(9, '\n'),
                    source_file: of(10),
                    source_row: number(&place, row),
                });
            }
        }
        Ok(told)
    }
}
