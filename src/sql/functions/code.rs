//! `hs_code(text [, model])` → string: the field `hs6` of `hs_predict`.
//!
//! ```sql
//! SELECT hs_code('cotton t-shirts')
//! ```
//!
//! `610910`. Null where the decision is to give no code, and for a null.

use arrow::datatypes::DataType;

use super::MODEL;
use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::model::Slot;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_code",
    syntax: "hs_code(text [, model])",
    about: "The subheading that a model gives a description, six digits; null where it gives none, and for a null. Costs what hs_predict costs.",
    example: "SELECT hs_code('cotton t-shirts')",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<Slot> = Function {
    manual: &MANUAL,
    kind: || DataType::Utf8,
    refuses: nothing,
    work: |model, texts| model.classifier().predict_field(&texts[0], "hs6"),
};
