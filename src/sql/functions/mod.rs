//! The SQL functions, one a file, with its syntax, an example and its output.
//!
//! Functions come in three kinds. Plain ones (`hs_parent`, `text_digest`, …) are ready as they are. Those of a model
//! (`hs_predict`, …) and of the tariff (`hs_describe`, …) are registered *unbound*: they have names, types and documentation,
//! and `LakeSession::plan` puts functions bound to exactly one model version, or to one reading of the tariff, in their
//! place. Always holds: a bound function answers for that version alone, whatever becomes of an alias; two that are bound
//! alike are equal; the name of a bound one, as `EXPLAIN` shows it, has the version in brackets, and its columns are named as
//! if it had not. Refuses: loading anything; an unbound function never answers.

mod bind;
mod code;
mod confidence;
mod describe;
mod explain;
mod function;
mod is_valid;
mod level;
mod manual;
mod model;
mod parent;
mod predict;
mod scoring;
mod successors;
mod tariff;
mod text_digest;
mod text_normalise;
mod text_of;
mod topk;
mod within;

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarUDF;

use function::Function;
use manual::Manual;

pub(super) use bind::{bound, wanted};
pub use model::{Model, model_of};
pub use predict::{hs_predict, hs_predict_lines};
pub(super) use scoring::SCORING;
pub(super) use tariff::name_of;
pub use tariff::{Editions, Lookup};
pub use text_of::text_of;

/// Functions that are a field of one `hs_predict` about the same text and model: name and field.
///
/// `hs_code(t)` is `hs_predict(t)['hs6']`, and `hs_confidence(t)` is `hs_predict(t)['confidence']`, for every text, null
/// too.
pub const FIELDS_OF_PREDICT: [(&str, &str); 2] = [("hs_code", "hs6"), ("hs_confidence", "confidence")];

/// `hs_topk(t, k)` is the first `k` of this field of `hs_predict(t)`; `k` is 1 to 5, and the field has 5 where the model has.
pub const TOPK_OF_PREDICT: (&str, &str) = ("hs_topk", "alternatives");

/// What an argument that names a model means.
const MODEL: &str = "Model version as a literal: 'hs@7', 'hs@champion', 'hs@champion#2026-03-01', or 'hs' for the champion, else \
                     the newest. Without it the session's model.";

const MANUALS: [&Manual; 14] = [
    &predict::MANUAL,
    &code::MANUAL,
    &confidence::MANUAL,
    &topk::MANUAL,
    &within::MANUAL,
    &explain::MANUAL,
    &describe::MANUAL,
    &parent::MANUAL,
    &level::MANUAL,
    &is_valid::MANUAL,
    &successors::MANUAL,
    &text_normalise::MANUAL,
    &text_digest::MANUAL,
    &text_of::MANUAL,
];

/// Functions that need neither a model nor the tariff.
static PLAIN: [&Function<()>; 5] =
    [&parent::FUNCTION, &level::FUNCTION, &text_normalise::FUNCTION, &text_digest::FUNCTION, &text_of::FUNCTION];

/// `hs_predict` bound to the model version to which another function is bound; `None` for one that is not bound to any.
///
/// A rule that reads fields of one call in place of several takes it from here, so that both ask the same version.
fn predict_of(function: &ScalarUDF) -> Option<ScalarUDF> {
    model_of(function).map(|model| hs_predict(Arc::clone(model.classifier())))
}

/// The name of a function as it stands in a query: without the version to which it is bound.
pub fn base_name(function: &ScalarUDF) -> &str {
    model::slot_of(function).map_or_else(|| function.name(), |slot| slot.base())
}

/// Every function as it is registered in a session.
pub(super) fn all() -> DfResult<Vec<ScalarUDF>> {
    let mut all = model::unbound()?;
    all.extend(tariff::of_tariff(&Editions::default()));
    all.extend(PLAIN.map(|function| function.with(())));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_registered_once_and_has_a_manual() {
        let mut names: Vec<String> = all().unwrap().iter().map(|f| f.name().to_string()).collect();
        let mut manuals: Vec<String> = MANUALS.iter().map(|manual| manual.name.to_string()).collect();
        names.sort_unstable();
        manuals.sort_unstable();
        assert_eq!(names, manuals);
        for (name, field) in FIELDS_OF_PREDICT.into_iter().chain([TOPK_OF_PREDICT]) {
            assert!(names.iter().any(|n| n == name), "{name}");
            assert!(crate::sql::prediction_fields().find(field).is_some(), "{field}");
        }
    }
}
