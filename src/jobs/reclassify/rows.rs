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
use super::decide::{Decided, Decider, at, column, texts};
use super::line::{After, Before};
use super::report::{Counter, ReclassifyReport};
use super::rules::Rules;
use crate::engine::TOP;
use crate::error::{Error, Result};
use crate::policy::Reason;
use crate::tariff::Subheading;

/// Makes rows.
pub(in super::super) struct Rows {
    schema: SchemaRef,
    run_id: String,
    decider: Decider,
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
        let mut decider = Decider::new(Arc::clone(&rules));
        let progress = Arc::clone(progress);
        tasks.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                decider.decide(&batch)?;
                progress.advance(batch.num_rows() as u64);
            }
            Ok::<_, Error>(decider.counter)
        });
    }
    let mut counter = Counter::default();
    while let Some(done) = tasks.join_next().await {
        counter.merge(done.map_err(|e| Error::Bug(format!("a task gave up: {e}")))??);
    }
    Ok(counter.into_report(rules.policy))
}

impl Maker for Rows {
    fn make(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let decided = self.decider.decide(batch)?;
        Ok(vec![self.rows(batch, &decided)?])
    }
}

impl Rows {
    pub(super) fn new(schema: SchemaRef, rules: Arc<Rules>, run_id: String) -> Rows {
        Rows { schema, run_id, decider: Decider::new(rules) }
    }

    /// What was counted.
    pub(super) fn into_counter(self) -> Counter {
        self.decider.counter
    }

    fn rows(&self, batch: &RecordBatch, decided: &Decided) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let rules = &self.decider.rules;
        let identity = &rules.chooser.classifier().identity;
        let afters = || decided.outcomes.iter().map(|outcome| &outcome.after);
        let asked: Vec<bool> = afters().map(|after| after.asked).collect();
        let chosen: Vec<bool> = afters().map(|after| after.choice.is_some()).collect();
        let constant =
            |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows))) };
        // What the model said now, or what was said before.
        let said = |name: &str, now: &str| -> Result<ArrayRef> {
            if !asked.contains(&true) {
                return Ok(Arc::clone(column(batch, name)?));
            }
            let before = texts(batch, name)?;
            let values = (0..rows).map(|row| if asked[row] { Some(now) } else { at(&before, row) });
            Ok(Arc::new(values.collect::<StringArray>()))
        };
        let float = |name: &str, now: fn(&After) -> Option<f32>| -> Result<ArrayRef> {
            let before = cast(column(batch, name)?, &DataType::Float32)?;
            if !chosen.contains(&true) {
                return Ok(before);
            }
            let before = before.as_primitive::<Float32Type>();
            let values = afters().enumerate().map(|(row, after)| match chosen[row] {
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
            .map(|field| {
                let made: ArrayRef = match field.name().as_str() {
                    "hs6" => codes(rows, afters().map(|after| after.code)),
                    "previous_hs6" => codes(rows, decided.before.iter().map(|before| before.code())),
                    "confidence" => float("confidence", |after| share_of(after, 6))?,
                    "confidence_heading" => float("confidence_heading", |after| share_of(after, 4))?,
                    "confidence_chapter" => float("confidence_chapter", |after| share_of(after, 2))?,
                    "margin" => float("margin", |after| {
                        let candidates = told(after)?;
                        Some(candidates.first()?.1 - candidates.get(1).map_or(0.0, |(_, share)| *share))
                    })?,
                    "alternatives" => self.alternatives(batch, decided)?,
                    "decision" => {
                        Arc::new(StringArray::from_iter_values(afters().map(|after| after.decision.as_str())))
                    }
                    "reasons" => reasons(batch, decided)?,
                    "model_name" => said("model_name", &identity.model_name)?,
                    "model_version" => {
                        let before = cast(column(batch, "model_version")?, &DataType::Int64)?;
                        let before = before.as_primitive::<Int64Type>();
                        let now = i64::try_from(identity.model_version).unwrap_or(i64::MAX);
                        let values = (0..rows).map(|row| if asked[row] { now } else { before.value(row) });
                        Arc::new(values.collect::<Int64Array>())
                    }
                    "model_digest" => said("model_digest", &identity.model_digest)?,
                    "policy_digest" => said("policy_digest", &identity.policy_digest)?,
                    "tariff_edition" => constant(&rules.to.to_string()),
                    "run_id" => constant(&self.run_id),
                    "role" => constant("champion"),
                    "served" => Arc::new(BooleanArray::from(vec![true; rows])),
                    name => Arc::clone(column(batch, name)?),
                };
                Ok(if made.data_type() == field.data_type() { made } else { cast(&made, field.data_type())? })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The candidates of a choice; else those before, as far as each lives on or has one successor, or is of the newer edition. Of a
    /// line that waits all successors of each: between them nobody has chosen, and they have no confidence.
    fn alternatives(&self, batch: &RecordBatch, decided: &Decided) -> Result<ArrayRef> {
        let fields = Fields::from(vec![
            Field::new("hs6", DataType::Utf8, true),
            Field::new("confidence", DataType::Float32, true),
        ]);
        let kind = DataType::List(Arc::new(Field::new("element", DataType::Struct(fields.clone()), true)));
        let before = cast(column(batch, "alternatives")?, &kind)?;
        let before: &ListArray = before.as_list();
        let items = before.values().as_struct();
        let (codes, shares) = (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float32Type>());
        let field = Field::new("element", DataType::Struct(fields.clone()), true);
        let mut out = ListBuilder::new(StructBuilder::from_fields(fields, batch.num_rows() * 5)).with_field(field);
        // As for a text that says nothing of catch-all links; what became of its own code is the line's outcome.
        let changes = self.decider.rules.changes(Some(""));
        let (editions, to) = (texts(batch, "tariff_edition")?, self.decider.rules.to.to_string());
        let mut known: HashMap<Subheading, &[Subheading], foldhash::fast::RandomState> = HashMap::default();
        for (row, outcome) in decided.outcomes.iter().enumerate() {
            if let Some(choice) = &outcome.after.choice {
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
            let (before, of_newer) = (decided.before[row], at(&editions, row) == Some(to.as_str()));
            let waits = matches!(before, Before::Open(_) | Before::Held(_));
            let mut seen: Vec<Subheading> = Vec::with_capacity(TOP);
            for item in offsets[row] as usize..offsets[row + 1] as usize {
                let Ok(old) = codes.value(item).parse::<Subheading>() else { continue };
                let own = before.code() == Some(old);
                let successors: &[Subheading] = match (of_newer, own) {
                    (true, _) => std::slice::from_ref(&old),
                    (false, true) => &outcome.successors,
                    (false, false) => known.entry(old).or_insert_with(|| changes.successors(old)),
                };
                let one = successors.len() == 1;
                // The one that the line has comes first.
                let first = outcome.after.code.filter(|_| own);
                let rest = successors.iter().copied().filter(|new| Some(*new) != first && (one || waits));
                for new in first.into_iter().chain(rest) {
                    // Two that are merged are one, with the share of the likelier.
                    if seen.len() < TOP && !seen.contains(&new) {
                        seen.push(new);
                        let share = (one || !waits).then_some(&shares).filter(|shares| shares.is_valid(item));
                        push(&mut out, new.as_str(), share.map(|shares| shares.value(item)))?;
                    }
                }
            }
            out.append(true);
        }
        Ok(Arc::new(out.finish()))
    }
}

/// Codes as a column.
fn codes(rows: usize, codes: impl Iterator<Item = Option<Subheading>>) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows, rows * 6);
    codes.for_each(|code| column.append_option(code.as_ref().map(Subheading::as_str)));
    Arc::new(column.finish())
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
    let before = cast(column(batch, "reasons")?, &kind)?;
    let before: &ListArray = before.as_list();
    let names = before.values().as_string::<i32>();
    let by_name: BTreeMap<&str, Reason> = Reason::ALL.into_iter().map(|reason| (reason.as_str(), reason)).collect();
    let field = Field::new("element", DataType::Utf8, true);
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(field);
    for (row, outcome) in decided.outcomes.iter().enumerate() {
        let after = &outcome.after;
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
