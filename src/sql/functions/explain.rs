//! `hs_explain(text [, model])` → list of struct(word, contribution, over_second, method): why a code.
//!
//! ```sql
//! SELECT unnest(hs_explain('cotton t-shirts'))
//! ```
//!
//! `{word: shirts, contribution: 4.10, over_second: 1.35, method: exact}`, and so on: what each word added to the first choice over
//! the mean of all codes, and over the second choice, as logits. The last element is what no word added, so that the list can be
//! added up. Null for a text without a word, and for a null.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::MODEL;
use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::model::Slot;
use crate::error::Result;
use crate::sql::Explainer;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_explain",
    syntax: "hs_explain(text [, model])",
    about: "Why a model gives a description its code: a list of structs of word, contribution (over the mean of all codes), \
            over_second (over the second choice) and method, with what no word added as its last element. Null without a word. \
            Costs milliseconds a text: for a few lines.",
    example: "SELECT unnest(hs_explain('cotton t-shirts'))",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<Slot> = Function {
    manual: &MANUAL,
    kind: || DataType::List(element()),
    refuses: nothing,
    work: |model, texts| explained(model.explainer()?, &texts[0]),
};

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("word", DataType::Utf8, true),
        Field::new("contribution", DataType::Float64, true),
        Field::new("over_second", DataType::Float64, true),
        Field::new("method", DataType::Utf8, true),
    ])
}

fn element() -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(fields()), true))
}

fn explained(explainer: &Explainer, texts: &ArrayRef) -> Result<ArrayRef> {
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    let (mut words, mut contribution, mut over, mut method) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for text in &strings(texts)? {
        let found = text.map_or(Ok(None), |text| explainer.explain(text))?;
        valid.push(found.is_some());
        lengths.push(found.as_ref().map_or(0, |e| e.words.len() + 1));
        if let Some(e) = found {
            contribution.extend(e.parts.words.iter().chain([&e.parts.bias]).copied());
            match &e.second {
                Some((_, _, parts)) => over.extend(parts.words.iter().chain([&parts.bias]).map(|x| Some(*x))),
                None => over.extend(std::iter::repeat_n(None, e.words.len() + 1)),
            }
            method.extend(std::iter::repeat_n(e.method.as_str(), e.words.len() + 1));
            words.extend(e.words.into_iter().chain([e.method.rest().to_string()]));
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(words)),
        Arc::new(Float64Array::from(contribution)),
        Arc::new(Float64Array::from(over)),
        Arc::new(StringArray::from(method)),
    ];
    let items = Arc::new(StructArray::new(fields(), columns, None));
    let list = ListArray::new(element(), OffsetBuffer::from_lengths(lengths), items, Some(NullBuffer::from(valid)));
    Ok(Arc::new(list))
}
