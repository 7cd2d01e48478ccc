//! `hs_within(text, codes [, model])` → struct: the choice among the codes of a chapter or heading, or of a list.
//!
//! ```sql
//! SELECT hs_within('cotton t-shirts', '61'), hs_within(description, hs_successors(hs6, '2017', '2022')) FROM lines
//! ```
//!
//! `{hs6: 610910, confidence: 0.99996, margin: 0.99992, alternatives: […], candidates: 4, model: hs@7}`. `codes` is one code of 2, 4
//! or 6 digits, or a list of such, and stands for all subheadings of the model under it. The shares of these among themselves
//! add up to 1: they say how likely each is *if* one of them is right, and are not calibrated as `hs_predict`'s are. A text that
//! names no goods gets an answer all the same, because the caller knows more than the text. Every field is null where the text is
//! null, empty or not UTF-8, where `codes` is null, and where the model has no subheading under them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float32Builder, Int64Array, ListArray, StringArray, StringBuilder,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::ScalarValue;

use super::MODEL;
use super::function::Function;
use super::manual::{Kind, Manual};
use super::model::Slot;
use super::parent::is_code;
use crate::engine::TOP;
use crate::error::Result;
use crate::model::VAGUE_CODE;
use crate::sql::Classifier;
use crate::sql::classifier::{alternative, alternative_fields};
use crate::sql::values::strings;
use crate::text::{TextDigest, digest, normalise};

pub(super) const MANUAL: Manual = Manual {
    name: "hs_within",
    syntax: "hs_within(text, codes [, model])",
    about: "The choice of a model among the subheadings of a chapter or heading, or of a list of codes: a struct of hs6, \
            confidence (its share among them, not calibrated), margin, alternatives, candidates and model. Every field is null \
            without a text or a candidate. Costs what hs_predict costs for each distinct text and list.",
    example: "SELECT hs_within('cotton t-shirts', '61')['hs6']",
    arguments: &[
        ("text", Kind::Text, "Description of goods."),
        ("codes", Kind::Codes, "A code of 2, 4 or 6 digits, or a list of such codes."),
        ("model", Kind::Model, MODEL),
    ],
    required: 2,
};

/// The function.
pub(super) static FUNCTION: Function<Slot> = Function {
    manual: &MANUAL,
    kind: || DataType::Struct(fields()),
    refuses: |literals| match literals.get(1).copied().flatten()? {
        ScalarValue::Utf8(Some(code)) if !is_within(code) => {
            Some(format!("{code:?} is no chapter, heading or subheading; give 2, 4 or 6 digits"))
        }
        _ => None,
    },
    work: |model, columns| {
        let mut choices = Choices::new(model.classifier());
        for (text, codes) in strings(&columns[0])?.iter().zip(lists(&columns[1])?) {
            choices.choose(text, codes)?;
        }
        Ok(Arc::new(choices.finish()))
    },
};

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("hs6", DataType::Utf8, true),
        Field::new("confidence", DataType::Float32, true),
        Field::new("margin", DataType::Float32, true),
        Field::new("alternatives", DataType::List(alternative()), true),
        Field::new("candidates", DataType::Int64, true),
        Field::new("model", DataType::Utf8, true),
    ])
}

fn is_within(code: &str) -> bool {
    is_code(code) && code.len() <= 6
}

/// The codes of each row.
fn lists(column: &ArrayRef) -> Result<Vec<Option<Vec<String>>>> {
    let list = match column.data_type() {
        DataType::List(_) => Arc::clone(column),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cast(column, &DataType::List(Arc::clone(item)))?
        }
        _ => return Ok(strings(column)?.iter().map(|code| code.map(|code| vec![code.to_string()])).collect()),
    };
    let list = list.as_list::<i32>();
    let items = strings(list.values())?;
    let codes = |row: usize| {
        let [from, to] = [0, 1].map(|next| list.value_offsets()[row + next] as usize);
        (from..to).filter(|at| items.is_valid(*at)).map(|at| items.value(at).to_string()).collect()
    };
    Ok((0..list.len()).map(|row| list.is_valid(row).then(|| codes(row))).collect())
}

/// Candidates of a text, best first, with their shares.
type Shares = Arc<Vec<(u32, f32)>>;

/// `None` where there is nothing to choose.
type Choice = Option<Shares>;

/// Choices row by row; equal ones are made once.
struct Choices<'a> {
    classifier: &'a Classifier,
    classes: HashMap<Vec<String>, Arc<Vec<u32>>>,
    made: HashMap<(TextDigest, Vec<u32>), Shares>,
    normalised: String,
    rows: Vec<Choice>,
}

impl<'a> Choices<'a> {
    fn new(classifier: &'a Classifier) -> Choices<'a> {
        let (classes, made, normalised, rows) = Default::default();
        Choices { classifier, classes, made, normalised, rows }
    }

    fn choose(&mut self, text: Option<&str>, codes: Option<Vec<String>>) -> Result<()> {
        let choice = match text.zip(codes) {
            Some((text, codes)) => self.choice(text, codes)?,
            None => None,
        };
        self.rows.push(choice);
        Ok(())
    }

    fn choice(&mut self, text: &str, codes: Vec<String>) -> Result<Choice> {
        normalise(text, &mut self.normalised);
        let classes = Arc::clone(self.classes.entry(codes).or_insert_with_key(|codes| {
            // The class of texts that name no goods is under no chapter.
            let under = |code: &str| {
                code != VAGUE_CODE && codes.iter().any(|prefix| is_within(prefix) && code.starts_with(prefix.as_str()))
            };
            let all = self.classifier.codes().iter().enumerate();
            Arc::new(all.filter(|(_, code)| under(code)).map(|(class, _)| class as u32).collect())
        }));
        if self.normalised.is_empty() || classes.is_empty() {
            return Ok(None);
        }
        let key = (digest(&self.normalised), classes.to_vec());
        if let Some(made) = self.made.get(&key) {
            return Ok(Some(Arc::clone(made)));
        }
        let shares = self.classifier.within(&self.normalised, &classes)?;
        let mut choice: Vec<(u32, f32)> = classes.iter().copied().zip(shares).collect();
        // Classes are in the order of their codes: of equal ones the smaller code first.
        choice.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let choice = Arc::new(choice);
        self.made.insert(key, Arc::clone(&choice));
        Ok(Some(choice))
    }

    fn finish(self) -> StructArray {
        let code = |class: u32| self.classifier.codes()[class as usize].as_str();
        let share =
            |choice: &Choice, at: usize| choice.as_ref().map(|choice| choice.get(at).map_or(0.0, |(_, share)| *share));
        let (mut items, mut shares, mut lengths) = (StringBuilder::new(), Float32Builder::new(), Vec::new());
        for choice in &self.rows {
            let best = choice.iter().flat_map(|choice| choice.iter().take(TOP));
            lengths.push(best.clone().count());
            for (class, share) in best {
                items.append_value(code(*class));
                shares.append_value(*share);
            }
        }
        let items =
            StructArray::new(alternative_fields(), vec![Arc::new(items.finish()), Arc::new(shares.finish())], None);
        let valid: NullBuffer = self.rows.iter().map(Option::is_some).collect::<Vec<bool>>().into();
        let offsets = OffsetBuffer::from_lengths(lengths);
        let model = self.classifier.identity.model();
        let confidence: Float32Array = self.rows.iter().map(|choice| share(choice, 0)).collect();
        let second: Float32Array = self.rows.iter().map(|choice| share(choice, 1)).collect();
        let margin: Float32Array = confidence.iter().zip(&second).map(|(a, b)| Some(a? - b?)).collect();
        let hs6: StringArray =
            self.rows.iter().map(|choice| choice.as_ref()?.first().map(|(class, _)| code(*class))).collect();
        let candidates: Int64Array =
            self.rows.iter().map(|choice| choice.as_ref().map(|all| all.len() as i64)).collect();
        let models: StringArray = self.rows.iter().map(|choice| choice.as_ref().map(|_| model.as_str())).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(hs6),
            Arc::new(confidence),
            Arc::new(margin),
            Arc::new(ListArray::new(alternative(), offsets, Arc::new(items), Some(valid))),
            Arc::new(candidates),
            Arc::new(models),
        ];
        StructArray::new(fields(), columns, None)
    }
}
