//! What the rule that makes each call once has to know of the functions that ask a model.

use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_nested::extract::array_slice;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ScalarUDF, lit};

use super::{FIELDS_OF_PREDICT, TOPK_OF_PREDICT, base_name, model_of, predict, predict_of};
use crate::engine::TOP;
use crate::sql::once::Scoring;

/// Those that are bound to a model, and `hs_predict_both`.
pub(in crate::sql) const SCORING: Scoring = Scoring { is, same, with_fields };

fn is(function: &ScalarUDF) -> bool {
    model_of(function).is_some() || function.name() == "hs_predict_both"
}

fn same(call: &ScalarFunction) -> Option<Expr> {
    let name = base_name(&call.func);
    let predict = || Some(predict_of(&call.func)?.call(vec![call.args.first()?.clone()]));
    if let Some((_, field)) = FIELDS_OF_PREDICT.into_iter().find(|(function, _)| *function == name) {
        return Some(get_field(predict()?, field));
    }
    let (topk, field) = TOPK_OF_PREDICT;
    match call.args.get(1) {
        Some(Expr::Literal(ScalarValue::Int64(Some(k)), _)) if name == topk && (1..=TOP as i64).contains(k) => {
            Some(array_slice(get_field(predict()?, field), lit(1_i64), lit(*k), None))
        }
        _ => None,
    }
}

fn with_fields(function: &ScalarUDF, read: &BTreeSet<String>) -> Option<ScalarUDF> {
    predict::with_fields(function, read)
}
