//! The SQL functions, one a file, with its syntax, an example and its output.
//!
//! Functions come in three kinds. Plain ones (`hs_parent`, `text_digest`, …) are ready as they are. Those of a model
//! (`hs_predict`, …) and of the tariff (`hs_describe`, …) are registered *unbound*: they have names, types and documentation,
//! and `LakeSession::plan` puts functions bound to exactly one model version, or to one reading of the tariff, in their
//! place. Always holds: a bound function answers for that version alone, whatever becomes of an alias; two that are bound
//! alike are equal; the name of a bound one, as `EXPLAIN` shows it, has the version in brackets, and its columns are named as
//! if it had not. Refuses: loading anything; an unbound function never answers.

mod code;
mod confidence;
mod describe;
mod explain;
mod is_valid;
mod level;
mod model;
mod parent;
mod predict;
mod successors;
mod text_digest;
mod text_normalise;
mod text_of;
mod topk;
mod within;

use datafusion::logical_expr::ScalarUDF;

pub use model::{Model, model_of};
pub use predict::{hs_predict, hs_predict_lines};
pub use text_of::text_of;

/// Functions that are a field of one `hs_predict` about the same text and model: name and field.
///
/// `hs_code(t)` is `hs_predict(t)['hs6']`, and `hs_confidence(t)` is `hs_predict(t)['confidence']`, for every text, null
/// too.
pub const FIELDS_OF_PREDICT: [(&str, &str); 2] = [("hs_code", "hs6"), ("hs_confidence", "confidence")];

/// `hs_topk(t, k)` is the first `k` of this field of `hs_predict(t)`; `k` is 1 to 5, and the field has 5 where the model has.
pub const TOPK_OF_PREDICT: (&str, &str) = ("hs_topk", "alternatives");

/// `hs_predict` bound to the model version to which another function is bound; `None` for one that is not bound to any.
///
/// A rule that reads fields of one call in place of several takes it from here, so that both ask the same version.
pub fn predict_of(function: &ScalarUDF) -> Option<ScalarUDF> {
    model_of(function).map(hs_predict)
}
