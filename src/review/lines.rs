//! What the lake knows of the lines that people decided on: the answers that they were shown, those of today, and decisions that
//! are there. Each table is read once, however many lines there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::answer::Answer;
use super::queue::{column, get, needed};
use crate::error::Result;

/// An answer of a run for a line.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Shown {
    pub run_id: String,
    pub text_digest: Option<String>,
    pub hs6: Option<String>,
    pub confidence: Option<f32>,
    pub model_digest: String,
    pub edition: String,
    pub description: Option<String>,
}

/// A decision of the lake.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Standing {
    pub id: String,
    /// The line; `None` when it is for every line of the text.
    pub line: Option<Address>,
    pub verdict: String,
    pub hs6: Option<String>,
    pub edition: String,
    pub binding: bool,
    pub reviewer: String,
    /// Microseconds since 1970.
    pub decided_at: i64,
}

impl Standing {
    /// Which of several counts: the binding one, then the newest.
    fn rank(&self) -> (Reverse<bool>, Reverse<i64>, &str) {
        (Reverse(self.binding), Reverse(self.decided_at), &self.id)
    }
}

/// Decisions on a text and on its lines, or on a line without a text; of each the one that counts first.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Decided {
    pub of_text: Vec<Standing>,
    pub of_lines: BTreeMap<Address, Vec<Standing>>,
}

impl Decided {
    /// Those on a line, or on the text itself.
    pub fn on(&self, line: Option<&Address>) -> &[Standing] {
        match line {
            None => &self.of_text,
            Some(line) => self.of_lines.get(line).map_or(&[], Vec::as_slice),
        }
    }

    fn add(&mut self, standing: Standing) {
        match &standing.line {
            None => self.of_text.push(standing),
            Some(line) => self.of_lines.entry(line.clone()).or_default().push(standing),
        }
    }

    fn sort(&mut self) {
        let each = self.of_lines.values_mut().chain([&mut self.of_text]);
        each.for_each(|standing| standing.sort_by(|a, b| a.rank().cmp(&b.rank())));
    }
}

/// A line: its file and its position there.
pub type Address = (String, i64);

#[derive(Default)]
struct Line {
    /// By run.
    shown: HashMap<String, Shown>,
    /// Date and run of the newest answer, and that answer without its text.
    current: Option<((i32, String), Shown)>,
}

/// See the module.
#[derive(Default)]
pub struct Lines {
    lines: HashMap<Address, Line>,
    /// By the digest of the text; of lines without a text under none.
    decided: HashMap<Option<String>, Decided>,
    nothing: Decided,
}

const ANSWERS: &str = "
SELECT a.n, p.run_id, p.run_date, p.text_digest, p.hs6, p.confidence, p.model_digest, p.tariff_edition, p.description
FROM asked AS a
JOIN predictions AS p ON p.source_file = a.source_file AND p.source_row = a.source_row
WHERE coalesce(p.served, true)";

const STANDING: &str = "
SELECT d.decision_id, d.source_file, d.source_row, d.text_digest, d.verdict, d.hs6, d.tariff_edition, d.binding, d.reviewer,
       d.decided_at
FROM decisions AS d WHERE d.text_digest IN (SELECT text_digest FROM asked_texts)
UNION ALL
SELECT d.decision_id, d.source_file, d.source_row, d.text_digest, d.verdict, d.hs6, d.tariff_edition, d.binding, d.reviewer,
       d.decided_at
FROM decisions AS d
WHERE d.text_digest IS NULL AND EXISTS (SELECT 1 FROM asked AS a WHERE a.source_file = d.source_file AND a.source_row = d.source_row)";

impl Lines {
    /// Reads what the lake that is registered in `context` knows.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn read(context: &SessionContext, answers: &[Answer]) -> Result<Lines> {
        let mut number: HashMap<(&str, i64), usize> = HashMap::new();
        let (mut asked, mut runs): (Vec<(&str, i64)>, Vec<HashSet<&str>>) = (Vec::new(), Vec::new());
        for answer in answers {
            let address = (answer.source_file.as_str(), answer.source_row);
            let n = *number.entry(address).or_insert_with(|| {
                asked.push(address);
                runs.push(HashSet::new());
                asked.len() - 1
            });
            runs[n].insert(&answer.run_id);
        }
        register(context, &asked, answers)?;
        let mut lines = Lines::default();
        let mut stream = context.sql(ANSWERS).await?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            lines.answers(&batch?, &asked, &runs)?;
        }
        let mut stream = context.sql(STANDING).await?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            lines.standing_ones(&batch?)?;
        }
        lines.decided.values_mut().for_each(Decided::sort);
        Ok(lines)
    }

    fn answers(&mut self, batch: &RecordBatch, asked: &[(&str, i64)], runs: &[HashSet<&str>]) -> Result<()> {
        let texts = |name: &str| text_column(batch, name);
        let (run_id, text_digest, hs6) = (texts("run_id")?, texts("text_digest")?, texts("hs6")?);
        let (model, edition, description) = (texts("model_digest")?, texts("tariff_edition")?, texts("description")?);
        let numbers = column(batch, "n")?.as_primitive::<Int64Type>();
        let dates = cast(column(batch, "run_date")?, &DataType::Date32)?;
        let dates = dates.as_primitive::<Date32Type>();
        let confidence = cast(column(batch, "confidence")?, &DataType::Float32)?;
        let confidence = confidence.as_primitive::<Float32Type>();
        for n in 0..batch.num_rows() {
            let at = numbers.value(n) as usize;
            let (file, row) = asked[at];
            let of_run = needed(&run_id, n)?;
            let line = self.lines.entry((file.to_string(), row)).or_default();
            let was_shown = runs[at].contains(of_run.as_str());
            let place = (dates.value(n), of_run.clone());
            let is_newest = line.current.as_ref().is_none_or(|(newest, _)| place > *newest);
            if !was_shown && !is_newest {
                continue;
            }
            let shown = Shown {
                run_id: of_run,
                text_digest: get(&text_digest, n),
                hs6: get(&hs6, n),
                confidence: confidence.is_valid(n).then(|| confidence.value(n)),
                model_digest: needed(&model, n)?,
                edition: needed(&edition, n)?,
                description: None,
            };
            if is_newest {
                line.current = Some((place, shown.clone()));
            }
            if was_shown {
                line.shown.insert(shown.run_id.clone(), Shown { description: get(&description, n), ..shown });
            }
        }
        Ok(())
    }

    fn standing_ones(&mut self, batch: &RecordBatch) -> Result<()> {
        let texts = |name: &str| text_column(batch, name);
        let (id, file, digest) = (texts("decision_id")?, texts("source_file")?, texts("text_digest")?);
        let (verdict, hs6, edition) = (texts("verdict")?, texts("hs6")?, texts("tariff_edition")?);
        let reviewer = texts("reviewer")?;
        let rows = column(batch, "source_row")?.as_primitive::<Int64Type>();
        let binding: &BooleanArray = column(batch, "binding")?.as_boolean();
        let at = cast(column(batch, "decided_at")?, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
        let at = at.as_primitive::<TimestampMicrosecondType>();
        for n in 0..batch.num_rows() {
            let standing = Standing {
                id: get(&id, n).unwrap_or_default(),
                line: get(&file, n).map(|file| (file, rows.value(n))),
                verdict: get(&verdict, n).unwrap_or_default(),
                hs6: get(&hs6, n),
                edition: get(&edition, n).unwrap_or_default(),
                binding: binding.is_valid(n) && binding.value(n),
                reviewer: get(&reviewer, n).unwrap_or_default(),
                decided_at: at.value(n),
            };
            self.decided.entry(get(&digest, n)).or_default().add(standing);
        }
        Ok(())
    }

    /// The answer that a run gave a line; `None` when the lake has none, with whether it knows the line.
    pub fn shown(&self, address: &Address, run_id: &str) -> std::result::Result<&Shown, bool> {
        let line = self.lines.get(address).ok_or(false)?;
        line.shown.get(run_id).ok_or(true)
    }

    /// The answer of today.
    pub fn current(&self, address: &Address) -> Option<&Shown> {
        self.lines.get(address)?.current.as_ref().map(|(_, shown)| shown)
    }

    /// What was decided on a text and its lines, or on lines without a text.
    pub fn decided(&self, text_digest: Option<&str>) -> &Decided {
        self.decided.get(&text_digest.map(str::to_string)).unwrap_or(&self.nothing)
    }
}

/// The lines and texts that are asked about, as tables.
fn register(context: &SessionContext, asked: &[(&str, i64)], answers: &[Answer]) -> Result<()> {
    let lines: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..asked.len() as i64))),
        ("source_file", Arc::new(StringArray::from_iter_values(asked.iter().map(|(file, _)| file)))),
        ("source_row", Arc::new(Int64Array::from_iter_values(asked.iter().map(|(_, row)| *row)))),
    ];
    let digests: BTreeMap<&str, ()> =
        answers.iter().filter_map(|answer| answer.text_digest.as_deref()).map(|digest| (digest, ())).collect();
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(digests.keys()));
    for (name, columns) in [("asked", lines), ("asked_texts", vec![("text_digest", texts)])] {
        let batch = RecordBatch::try_from_iter(columns)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        context.register_table(name, Arc::new(table))?;
    }
    Ok(())
}

fn text_column(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?.as_string().clone())
}
