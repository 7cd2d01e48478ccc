//! `hs_confidence(text [, model])` → float: the field `confidence` of `hs_predict`.
//!
//! ```sql
//! SELECT hs_confidence('cotton t-shirts')
//! ```
//!
//! `0.988`. Calibrated: of many answers with 0.9, nine in ten are right. Null where `hs_code` is.

use arrow::datatypes::DataType;

use super::MODEL;
use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::model::Slot;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_confidence",
    syntax: "hs_confidence(text [, model])",
    about: "How likely the subheading that a model gives a description is right, 0 to 1, calibrated; null where it gives none, and for a null. Costs what hs_predict costs.",
    example: "SELECT hs_confidence('cotton t-shirts')",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<Slot> = Function {
    manual: &MANUAL,
    kind: || DataType::Float32,
    refuses: nothing,
    work: |model, texts| model.classifier().predict_field(&texts[0], "confidence"),
};
