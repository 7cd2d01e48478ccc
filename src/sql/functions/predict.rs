//! `hs_predict(text [, model])` → struct: what a model says of a description.
//!
//! ```sql
//! SELECT p['hs6'], p['decision'] FROM (SELECT hs_predict('cotton t-shirts') AS p)
//! ```
//!
//! `610910`, `accept`. The struct has the columns of the table `predictions`: `hs6`, `confidence`, `confidence_heading` and
//! `confidence_chapter` (6, 4 and 2 digits), `margin`, `alternatives`, `decision`, `reasons`, `text_digest` and `model`, the
//! version such as `hs@7`. Of a text without a code (the decision is `refuse`) the code and the numbers are null. A text that is
//! null has null in every field; a run of `classify` gives such a line the decision `refuse` and the reason `no_text`, because
//! each line of a run has a row that says what became of it ([`hs_predict_lines`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StructArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Fields};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::MODEL;
use super::function::Held;
use super::manual::{Kind, Manual, documentation};
use super::model::Slot;
use crate::error::Result;
use crate::sql::values::answer;
use crate::sql::{Classifier, prediction_fields};

pub(super) const MANUAL: Manual = Manual {
    name: "hs_predict",
    syntax: "hs_predict(text [, model])",
    about: "What a model says of a description: a struct of hs6, confidence, confidence_heading, confidence_chapter, margin, \
            alternatives, decision, reasons, text_digest and model. Every field is null for a text that is null. Costs 10 to 40 \
            microseconds of a core for each distinct text, far more than any other part of a query: filter on other columns.",
    example: "SELECT p['hs6'], p['decision'] FROM (SELECT hs_predict('cotton t-shirts') AS p)",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

/// The function for one model version under one policy.
pub fn hs_predict(classifier: Arc<Classifier>) -> ScalarUDF {
    of(Slot::new(MANUAL.name, Some(classifier.into())))
}

/// The same for lines of a run: one without a text has the decision and the reason that it has in the lake.
pub fn hs_predict_lines(classifier: Arc<Classifier>) -> ScalarUDF {
    let slot = Slot::new(MANUAL.name, Some(classifier.into()));
    ScalarUDF::new_from_impl(HsPredict {
        slot,
        signature: MANUAL.signature(),
        of_lines: true,
        fields: prediction_fields(),
    })
}

pub(super) fn of(slot: Slot) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsPredict {
        slot,
        signature: MANUAL.signature(),
        of_lines: false,
        fields: prediction_fields(),
    })
}

/// The function with those of its fields that are read, in their order; `None` for another function, and when it has no others.
pub(super) fn with_fields(function: &ScalarUDF, read: &BTreeSet<String>) -> Option<ScalarUDF> {
    let all = function.inner().downcast_ref::<HsPredict>()?;
    let fields: Fields = all.fields.iter().filter(|field| read.contains(field.name())).cloned().collect();
    let fewer = fields.len() < all.fields.len() && fields.len() == read.len() && !fields.is_empty();
    fewer.then(|| {
        ScalarUDF::new_from_impl(HsPredict {
            slot: all.slot.clone(),
            signature: all.signature.clone(),
            of_lines: all.of_lines,
            fields,
        })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsPredict {
    pub(super) slot: Slot,
    signature: Signature,
    /// Whether a null is a line like others.
    of_lines: bool,
    /// What of a prediction is given: all, but where a plan reads fewer.
    fields: Fields,
}

impl ScalarUDFImpl for HsPredict {
    fn name(&self) -> &str {
        self.slot.name(MANUAL.name)
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        Ok(MANUAL.column(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Struct(self.fields.clone()))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        self.slot.simplified(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let classifier = self.slot.given(MANUAL.name)?.classifier();
        answer(&args.args[..1], args.number_rows, &|texts| {
            let all = classifier.predict_fields(&texts[0], &self.fields)?;
            Ok(Arc::new(if self.of_lines { all } else { null_where(&all, &texts[0])? }))
        })
    }
}

/// The same with null in every field where there is no text. Nulls are on the fields, not on the struct: `unnest` of a struct
/// does not look at its own.
fn null_where(all: &StructArray, texts: &ArrayRef) -> Result<StructArray> {
    let Some(nulls) = texts.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(all.clone()) };
    let without = BooleanArray::new(!nulls.inner(), None);
    let columns = all.columns().iter().map(|column| nullif(column, &without)).collect::<Result<_, _>>()?;
    Ok(StructArray::new(all.fields().clone(), columns, None))
}
