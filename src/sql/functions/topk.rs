//! `hs_topk(text, k [, model])` → list of struct(hs6, confidence): the best codes, best first.
//!
//! ```sql
//! SELECT hs_topk('cotton t-shirts', 2)
//! ```
//!
//! `[{hs6: 610910, confidence: 0.988}, {hs6: 620520, confidence: 0.0001}]`. `k` is 1 to 5, of which a model with fewer codes gives
//! fewer: the first `k` of the field `alternatives` of `hs_predict`. Null where `hs_code` is, and where `k` is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::MODEL;
use super::function::Function;
use super::manual::{Kind, Manual};
use super::model::Slot;
use crate::engine::TOP;
use crate::error::{Error, Result};
use crate::sql::classifier::alternative;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_topk",
    syntax: "hs_topk(text, k [, model])",
    about: "The k best codes that a model gives a description, best first: a list of structs of hs6 and confidence. k is 1 to 5. \
            Null where hs_code is null. Costs what hs_predict costs.",
    example: "SELECT hs_topk('cotton t-shirts', 2)",
    arguments: &[
        ("text", Kind::Text, "Description of goods."),
        ("k", Kind::Number, "How many codes, 1 to 5."),
        ("model", Kind::Model, MODEL),
    ],
    required: 2,
};

/// The function.
pub(super) static FUNCTION: Function<Slot> = Function {
    manual: &MANUAL,
    kind: || DataType::List(alternative()),
    refuses: |literals| {
        let k = literals.get(1).copied().flatten()?.cast_to(&DataType::Int64).ok()?;
        match k {
            ScalarValue::Int64(Some(k)) if !(1..=TOP as i64).contains(&k) => Some(out_of_range(k)),
            _ => None,
        }
    },
    work: |model, columns| {
        let all = model.classifier().predict_field(&columns[0], "alternatives")?;
        let k = cast(&columns[1], &DataType::Int64)?;
        Ok(Arc::new(first(all.as_list(), k.as_primitive())?))
    },
};

fn out_of_range(k: i64) -> String {
    format!("k is 1 to {TOP}, not {k}")
}

/// The first `k` elements of each list.
fn first(lists: &ListArray, k: &Int64Array) -> Result<ListArray> {
    let (mut lengths, mut taken, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for (row, k) in k.iter().enumerate() {
        if let Some(k) = k.filter(|k| !(1..=TOP as i64).contains(k)) {
            return Err(Error::Usage(format!("{}: {}", MANUAL.syntax, out_of_range(k))));
        }
        let k = k.filter(|_| lists.is_valid(row)).map(|k| k as usize);
        let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let length = k.unwrap_or(0).min(to - from);
        valid.push(k.is_some());
        lengths.push(length);
        taken.extend((from..from + length).map(|at| at as u64));
    }
    let items: ArrayRef = take(lists.values(), &UInt64Array::from(taken), None)?;
    Ok(ListArray::new(alternative(), OffsetBuffer::from_lengths(lengths), items, Some(NullBuffer::from(valid))))
}
