//! The lines of a batch of `coded_lines`, and what becomes of each.
//!
//! A text is normalised only where the outcome depends on it. Lines that had the same, and the same text where that counts,
//! are decided once: what is remembered of texts is bounded, and an answer is the same whether it was remembered or not.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use super::line::{Before, Outcome, Wording, outcome};
use super::report::Counter;
use super::rules::Rules;
use super::within::Choice;
use crate::error::{Error, Result};
use crate::tariff::{Action, Subheading};
use crate::text;

/// Texts that a task remembers.
const REMEMBERED: usize = 1 << 14;

/// The columns of a batch that decide.
struct Lines {
    file: StringViewArray,
    description: StringViewArray,
    text_digest: StringViewArray,
    hs6: StringViewArray,
    decision: StringViewArray,
    decided: StringViewArray,
    decision_id: StringViewArray,
    edition: StringViewArray,
    decided_edition: StringViewArray,
    value: Float64Array,
}

/// A column, by its name.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("coded_lines has no {name}")))
}

/// A column of texts; those that the reader gives as views are not copied.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringViewArray> {
    Ok(cast(column(batch, name)?, &DataType::Utf8View)?.as_string_view().clone())
}

/// A value where there is one.
pub(super) fn at(column: &StringViewArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

impl Lines {
    fn of(batch: &RecordBatch) -> Result<Lines> {
        let text = |name| texts(batch, name);
        Ok(Lines {
            file: text("source_file")?,
            description: text("description")?,
            text_digest: text("text_digest")?,
            hs6: text("hs6")?,
            decision: text("decision")?,
            decided: text("decided_hs6")?,
            decision_id: text("decision_id")?,
            edition: text("tariff_edition")?,
            decided_edition: text("decided_edition")?,
            value: cast(column(batch, "value")?, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
        })
    }

    /// What the line had in the edition `from`, on its way to `to`.
    fn before(&self, row: usize, from: &str, to: &str) -> Before {
        let code = |column: &StringViewArray| at(column, row).and_then(|code| code.parse::<Subheading>().ok());
        if self.decision_id.is_valid(row) {
            let decided = code(&self.decided);
            let carried = self.decision.value(row) == "carried" && decided.is_some() && decided == code(&self.hs6);
            // A decision that was carried over is one of the edition that it reached.
            let of = if carried { at(&self.edition, row) } else { at(&self.decided_edition, row) };
            match of.unwrap_or(from) {
                // What a person found to have no code has none.
                of if of == from => return decided.map_or(Before::None, Before::Decided),
                // It is there already, and counts whatever becomes of the model's answer.
                of if of == to => {}
                _ => return code(&self.hs6).map_or(Before::None, Before::Held),
            }
        }
        match (code(&self.hs6), self.decision.value(row)) {
            (Some(code), "accept" | "carried" | "mapped") => Before::Coded(code),
            (Some(code), _) => Before::Open(code),
            (None, _) => Before::None,
        }
    }
}

/// What a batch's lines become.
pub(super) struct Decided {
    pub before: Vec<Before>,
    pub outcomes: Vec<Arc<Outcome>>,
}

type ByText = HashMap<Box<str>, Arc<Outcome>, foldhash::fast::RandomState>;

/// Decides lines, and counts what passes.
pub(super) struct Decider {
    pub rules: Arc<Rules>,
    pub counter: Counter,
    /// Of what lines had, where no text counts; `None` where one does.
    by_code: HashMap<Before, Option<Arc<Outcome>>, foldhash::fast::RandomState>,
    /// Of what lines had and their texts, where they count.
    by_text: HashMap<Before, ByText, foldhash::fast::RandomState>,
    remembered: usize,
    normalised: String,
    key: String,
}

impl Decider {
    pub fn new(rules: Arc<Rules>) -> Decider {
        Decider {
            rules,
            counter: Counter::default(),
            by_code: HashMap::default(),
            by_text: HashMap::default(),
            remembered: 0,
            normalised: String::new(),
            key: String::new(),
        }
    }

    /// What becomes of every line of a batch.
    pub fn decide(&mut self, batch: &RecordBatch) -> Result<Decided> {
        let lines = Lines::of(batch)?;
        let rows = batch.num_rows();
        let (from, to) = (self.rules.from.to_string(), self.rules.to.to_string());
        let mut decided = Decided { before: Vec::with_capacity(rows), outcomes: Vec::with_capacity(rows) };
        for row in 0..rows {
            let before = lines.before(row, &from, &to);
            let outcome = match self.without_text(before)? {
                Some(outcome) => outcome,
                None => {
                    let (description, digest) = (at(&lines.description, row), at(&lines.text_digest, row));
                    let outcome = self.with_text(before, description, digest)?;
                    let asks = outcome.after.choice.is_some() || matches!(outcome.action, Action::Orphan);
                    if asks && description.is_none() && digest.is_some() {
                        self.counter.add_without_text();
                    }
                    outcome
                }
            };
            let value = lines.value.is_valid(row).then(|| lines.value.value(row));
            self.counter.add(lines.file.value(row), before, &outcome, value);
            decided.before.push(before);
            decided.outcomes.push(outcome);
        }
        Ok(decided)
    }

    /// The outcome for a line whose text does not count; `None` where it does.
    fn without_text(&mut self, before: Before) -> Result<Option<Arc<Outcome>>> {
        if let Some(known) = self.by_code.get(&before) {
            return Ok(known.clone());
        }
        let found = match self.rules.reads_text(before) {
            true => None,
            false => Some(Arc::new(outcome(before, None, &self.rules)?)),
        };
        self.by_code.insert(before, found.clone());
        Ok(found)
    }

    /// The outcome for a line with this description in the lake, whose text had this digest when the code was given.
    fn with_text(&mut self, before: Before, description: Option<&str>, digest: Option<&str>) -> Result<Arc<Outcome>> {
        self.key.clear();
        self.key.push_str(digest.unwrap_or_default());
        // A digest has a fixed length, so no two pairs make one key.
        description.into_iter().for_each(|description| {
            self.key.push(' ');
            self.key.push_str(description);
        });
        if let Some(known) = self.by_text.get(&before).and_then(|texts| texts.get(self.key.as_str())) {
            return Ok(Arc::clone(known));
        }
        let text = match description {
            Some(description) => {
                let cut = text::normalise(description, &mut self.normalised).truncated;
                let same = digest == Some(text::digest(&self.normalised).hex(&mut [0; 32]));
                Some(Wording { normalised: self.normalised.as_str(), whole: same && !cut })
            }
            None => None,
        };
        let text = text.filter(|text| !text.normalised.is_empty());
        let mut found = outcome(before, text, &self.rules)?;
        if let (true, Some(description)) = (found.after.asks_all, description) {
            suggest(&self.rules, description, &mut found)?;
        }
        let found = Arc::new(found);
        if self.remembered >= REMEMBERED {
            self.by_text.clear();
            self.remembered = 0;
        }
        self.remembered += 1;
        self.by_text.entry(before).or_default().insert(self.key.as_str().into(), Arc::clone(&found));
        Ok(found)
    }
}

/// A suggestion from the whole edition, for a person.
fn suggest(rules: &Rules, description: &str, found: &mut Outcome) -> Result<()> {
    let one: ArrayRef = Arc::new(StringArray::from(vec![description]));
    let predicted = rules.chooser.classifier().predict(&one)?;
    let choices = predicted.column_by_name("alternatives").map(|c| c.as_list::<i32>().value(0));
    let Some(choices) = choices.filter(|choices| !choices.is_empty()) else { return Ok(()) };
    let choices = choices.as_struct();
    let (codes, shares) = (choices.column(0).as_string::<i32>(), choices.column(1).as_primitive::<Float32Type>());
    let candidates: Vec<(Subheading, f32)> =
        codes.iter().zip(shares.values()).filter_map(|(code, share)| Some((code?.parse().ok()?, *share))).collect();
    found.after.code = candidates.first().map(|(code, _)| *code);
    found.after.choice = Some(Choice { candidates, tells: true });
    found.after.asked = true;
    Ok(())
}
