//! From the lines of `coded_lines` to rows of `predictions` in the newer edition, counting as they pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float32Builder, Int64Array, ListArray, ListBuilder,
    RecordBatch, StringArray, StringBuilder, StructBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Int64Type, SchemaRef};
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::super::stage::Progress;
use super::super::write::Maker;
use super::line::{After, Before, after};
use super::report::ReclassifyReport;
use super::{Rules, within::Choice};
use crate::contract::Contract;
use crate::engine::TOP;
use crate::error::{Error, Result};
use crate::policy::Reason;
use crate::tariff::{Action, Changes, Subheading};
use crate::text;

/// Makes rows.
pub(super) struct Rows {
    schema: SchemaRef,
    rules: Arc<Rules>,
    run_id: String,
    pub report: ReclassifyReport,
}

/// Counts what the rows would be, and writes nothing.
pub(super) async fn rehearse(
    context: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    rules: Arc<Rules>,
    progress: &Arc<dyn Progress>,
) -> Result<ReclassifyReport> {
    let streams = execute_stream_partitioned(plan, context.task_ctx())?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut stream in streams {
        let mut rows = Rows::new(Arc::clone(Contract::Predictions.schema()), Arc::clone(&rules), String::new());
        let progress = Arc::clone(progress);
        tasks.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                rows.decide(&batch)?;
                progress.advance(batch.num_rows() as u64);
            }
            Ok::<_, Error>(rows.report)
        });
    }
    let mut report = ReclassifyReport::default();
    while let Some(done) = tasks.join_next().await {
        report.merge(done.map_err(|e| Error::Bug(format!("a task gave up: {e}")))??);
    }
    Ok(report)
}

/// The columns of a batch that decide.
struct Lines {
    file: StringArray,
    description: StringArray,
    text_digest: StringArray,
    hs6: StringArray,
    decision: StringArray,
    decided: StringArray,
    decision_id: StringArray,
}

fn text_column(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("coded_lines has no {name}")))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn at(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

impl Lines {
    fn of(batch: &RecordBatch) -> Result<Lines> {
        let text = |name| text_column(batch, name);
        Ok(Lines {
            file: text("source_file")?,
            description: text("description")?,
            text_digest: text("text_digest")?,
            hs6: text("hs6")?,
            decision: text("decision")?,
            decided: text("decided_hs6")?,
            decision_id: text("decision_id")?,
        })
    }

    fn before(&self, row: usize) -> Before {
        let code = |column: &StringArray| at(column, row).and_then(|code| code.parse::<Subheading>().ok());
        if self.decision_id.is_valid(row) {
            // What a person found to have no code has none.
            return code(&self.decided).map_or(Before::None, Before::Decided);
        }
        match (code(&self.hs6), self.decision.value(row)) {
            (Some(code), "accept" | "carried" | "mapped") => Before::Coded(code),
            (Some(code), _) => Before::Open(code),
            (None, _) => Before::None,
        }
    }
}

/// What a batch's lines become.
struct Decided {
    before: Vec<Before>,
    after: Vec<After>,
}

impl Maker for Rows {
    fn make(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let decided = self.decide(batch)?;
        Ok(vec![self.rows(batch, &decided)?])
    }
}

impl Rows {
    pub(super) fn new(schema: SchemaRef, rules: Arc<Rules>, run_id: String) -> Rows {
        Rows { schema, rules, run_id, report: ReclassifyReport::default() }
    }

    fn decide(&mut self, batch: &RecordBatch) -> Result<Decided> {
        let lines = Lines::of(batch)?;
        let (mut befores, mut afters) = (Vec::new(), Vec::new());
        let mut scratch = String::new();
        // Equal goods with equal codes are asked about once.
        let mut chosen: HashMap<(String, Before), After> = HashMap::new();
        for row in 0..batch.num_rows() {
            let before = lines.before(row);
            let description = at(&lines.description, row);
            let text = description.map(|description| {
                text::normalise(description, &mut scratch);
                scratch.as_str()
            });
            let text = text.filter(|text| !text.is_empty());
            let changes = self.rules.advisor.changes(self.rules.policy, text);
            let change = before.code().and_then(|code| changes.of(code));
            let asked = before.code().is_some()
                && matches!(change.map_or(Action::Orphan, |c| c.action()), Action::Rescore | Action::Orphan);
            let key = asked.then(|| (text.unwrap_or_default().to_owned(), before));
            let found = match key.as_ref().and_then(|key| chosen.get(key)) {
                Some(found) => found.clone(),
                None => {
                    let mut found = after(before, text, changes, &self.rules.chooser)?;
                    if let (true, Some(description)) = (found.asks_all, description) {
                        self.ask_all(description, &mut found)?;
                    }
                    if let Some(key) = key {
                        chosen.insert(key, found.clone());
                    }
                    found
                }
            };
            if asked {
                self.report.asked_within += u64::from(found.asked && !found.asks_all);
                self.report.asked_whole += u64::from(found.asks_all);
                self.report.without_text += u64::from(text.is_none() && lines.text_digest.is_valid(row));
            }
            self.report.add(before, &found, change.map(|c| c.kind), change.map_or(0, |c| c.successors.len()));
            match self.report.files.get_mut(lines.file.value(row)) {
                Some(n) => *n += 1,
                None => {
                    self.report.files.insert(lines.file.value(row).to_owned(), 1);
                }
            }
            befores.push(before);
            afters.push(found);
        }
        Ok(Decided { before: befores, after: afters })
    }

    /// A suggestion from the whole edition, for a person.
    fn ask_all(&self, description: &str, found: &mut After) -> Result<()> {
        let one: ArrayRef = Arc::new(StringArray::from(vec![description]));
        let predicted = self.rules.chooser.classifier().predict(&one)?;
        let choices = predicted.column_by_name("alternatives").map(|c| c.as_list::<i32>().value(0));
        let Some(choices) = choices.filter(|choices| !choices.is_empty()) else { return Ok(()) };
        let choices = choices.as_struct();
        let (codes, shares) = (choices.column(0).as_string::<i32>(), choices.column(1).as_primitive::<Float32Type>());
        let candidates: Vec<(Subheading, f32)> =
            codes.iter().zip(shares.values()).filter_map(|(code, share)| Some((code?.parse().ok()?, *share))).collect();
        found.code = candidates.first().map(|(code, _)| *code);
        found.choice = Some(Choice { candidates, tells: true });
        found.asked = true;
        Ok(())
    }

    fn rows(&self, batch: &RecordBatch, decided: &Decided) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let identity = &self.rules.chooser.classifier().identity;
        let asked: Vec<bool> = decided.after.iter().map(|after| after.asked).collect();
        let chosen: Vec<bool> = decided.after.iter().map(|after| after.choice.is_some()).collect();
        let constant =
            |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows))) };
        // What the model said now, or what was said before.
        let said = |name: &str, now: &str| -> Result<ArrayRef> {
            let before = text_column(batch, name)?;
            let values = (0..rows).map(|row| if asked[row] { Some(now) } else { at(&before, row) });
            Ok(Arc::new(values.collect::<StringArray>()))
        };
        let float = |name: &str, now: fn(&After) -> Option<f32>| -> Result<ArrayRef> {
            let column = batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("coded_lines has no {name}")))?;
            let before = cast(column, &DataType::Float32)?;
            let before = before.as_primitive::<Float32Type>();
            let values = decided.after.iter().enumerate().map(|(row, after)| match chosen[row] {
                true => now(after),
                // A code that another one took the place of has no confidence of its own.
                false => before.is_valid(row).then(|| before.value(row)),
            });
            Ok(Arc::new(values.collect::<Float32Array>()))
        };
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|column| {
                let made: ArrayRef = match column.name().as_str() {
                    "hs6" => {
                        let codes = decided.after.iter().map(|after| after.code.map(|code| code.to_string()));
                        Arc::new(codes.collect::<StringArray>())
                    }
                    "previous_hs6" => {
                        let codes = decided.before.iter().map(|before| before.code().map(|code| code.to_string()));
                        Arc::new(codes.collect::<StringArray>())
                    }
                    "confidence" => float("confidence", |after| share_of(after, 6))?,
                    "confidence_heading" => float("confidence_heading", |after| share_of(after, 4))?,
                    "confidence_chapter" => float("confidence_chapter", |after| share_of(after, 2))?,
                    "margin" => float("margin", |after| {
                        let candidates = told(after)?;
                        Some(candidates.first()?.1 - candidates.get(1).map_or(0.0, |(_, share)| *share))
                    })?,
                    "alternatives" => self.alternatives(batch, decided)?,
                    "decision" => {
                        Arc::new(StringArray::from_iter_values(decided.after.iter().map(|after| after.decision)))
                    }
                    "reasons" => reasons(batch, decided)?,
                    "model_name" => said("model_name", &identity.model_name)?,
                    "model_version" => {
                        let before = cast(
                            batch
                                .column_by_name("model_version")
                                .ok_or_else(|| Error::Bug("no model_version".into()))?,
                            &DataType::Int64,
                        )?;
                        let before = before.as_primitive::<Int64Type>();
                        let now = i64::try_from(identity.model_version).unwrap_or(i64::MAX);
                        let values = (0..rows).map(|row| if asked[row] { now } else { before.value(row) });
                        Arc::new(values.collect::<Int64Array>())
                    }
                    "model_digest" => said("model_digest", &identity.model_digest)?,
                    "policy_digest" => said("policy_digest", &identity.policy_digest)?,
                    "tariff_edition" => constant(&self.rules.to),
                    "run_id" => constant(&self.run_id),
                    "role" => constant("champion"),
                    "served" => Arc::new(BooleanArray::from(vec![true; rows])),
                    name => {
                        let same = batch.column_by_name(name);
                        Arc::clone(same.ok_or_else(|| Error::Bug(format!("coded_lines has no {name}")))?)
                    }
                };
                Ok(if made.data_type() == column.data_type() { made } else { cast(&made, column.data_type())? })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The candidates of a choice; else those before, as far as each lives on or has one successor.
    fn alternatives(&self, batch: &RecordBatch, decided: &Decided) -> Result<ArrayRef> {
        let fields = Fields::from(vec![
            Field::new("hs6", DataType::Utf8, true),
            Field::new("confidence", DataType::Float32, true),
        ]);
        let kind = DataType::List(Arc::new(Field::new("element", DataType::Struct(fields.clone()), true)));
        let column =
            batch.column_by_name("alternatives").ok_or_else(|| Error::Bug("coded_lines has no alternatives".into()))?;
        let before = cast(column, &kind)?;
        let before: &ListArray = before.as_list();
        let items = before.values().as_struct();
        let (codes, shares) = (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float32Type>());
        let field = Field::new("element", DataType::Struct(fields.clone()), true);
        let mut out = ListBuilder::new(StructBuilder::from_fields(fields, batch.num_rows() * 5)).with_field(field);
        let changes = self.rules.advisor.changes(self.rules.policy, None);
        let mut known: HashMap<Subheading, Option<Subheading>> = HashMap::new();
        for (row, after) in decided.after.iter().enumerate() {
            if let Some(choice) = &after.choice {
                for (code, share) in choice.candidates.iter().take(TOP) {
                    push(&mut out, code.as_str(), choice.tells.then_some(*share))?;
                }
                out.append(true);
                continue;
            }
            if before.is_null(row) {
                out.append(false);
                continue;
            }
            let offsets = before.value_offsets();
            let mut seen: Vec<Subheading> = Vec::with_capacity(TOP);
            for item in offsets[row] as usize..offsets[row + 1] as usize {
                let Ok(old) = codes.value(item).parse::<Subheading>() else { continue };
                let new = *known.entry(old).or_insert_with(|| lives_on(changes, old));
                // Two that are merged are one, with the share of the likelier.
                if let Some(new) = new.filter(|new| !seen.contains(new)) {
                    seen.push(new);
                    push(&mut out, new.as_str(), shares.is_valid(item).then(|| shares.value(item)))?;
                }
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()))
    }
}

/// What a code is called in the newer edition, where that is one.
fn lives_on(changes: &Changes, old: Subheading) -> Option<Subheading> {
    match changes.successors(old) {
        [one] => Some(*one),
        _ => None,
    }
}

fn push(out: &mut ListBuilder<StructBuilder>, code: &str, share: Option<f32>) -> Result<()> {
    let item = out.values();
    let bug = || Error::Bug("an alternative has two fields".into());
    item.field_builder::<StringBuilder>(0).ok_or_else(bug)?.append_value(code);
    item.field_builder::<Float32Builder>(1).ok_or_else(bug)?.append_option(share);
    item.append(true);
    Ok(())
}

/// The candidates of a choice that says how likely each is.
fn told(after: &After) -> Option<&[(Subheading, f32)]> {
    after.choice.as_ref().filter(|choice| choice.tells).map(|choice| choice.candidates.as_slice())
}

/// Share of the candidates that begin as the first one does.
fn share_of(after: &After, digits: usize) -> Option<f32> {
    let candidates = told(after)?;
    let first = &candidates.first()?.0.as_str()[..digits];
    Some(candidates.iter().filter(|(code, _)| code.as_str().starts_with(first)).map(|(_, share)| share).sum())
}

/// Reasons of the closed list in its order: what was said before, where the line stays open, and what is new.
fn reasons(batch: &RecordBatch, decided: &Decided) -> Result<ArrayRef> {
    let kind = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    let column = batch.column_by_name("reasons").ok_or_else(|| Error::Bug("coded_lines has no reasons".into()))?;
    let before = cast(column, &kind)?;
    let before: &ListArray = before.as_list();
    let names = before.values().as_string::<i32>();
    let by_name: BTreeMap<&str, Reason> = Reason::ALL.into_iter().map(|reason| (reason.as_str(), reason)).collect();
    let field = Field::new("element", DataType::Utf8, true);
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(field);
    for (row, after) in decided.after.iter().enumerate() {
        let mut all = after.reasons;
        if after.keeps_reasons && before.is_valid(row) {
            let offsets = before.value_offsets();
            for item in offsets[row] as usize..offsets[row + 1] as usize {
                if let Some(reason) = by_name.get(names.value(item)) {
                    all = all.with(*reason);
                }
            }
        }
        all.iter().for_each(|reason| out.values().append_value(reason.as_str()));
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}
