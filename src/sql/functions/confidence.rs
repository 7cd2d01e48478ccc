//! `hs_confidence(text [, model])` → float: the field `confidence` of `hs_predict`.
//!
//! ```sql
//! SELECT hs_confidence('cotton t-shirts')
//! ```
//!
//! `0.988`. Calibrated: of many answers with 0.9, nine in ten are right. Null where `hs_code` is.

use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::MODEL;
use super::manual::{Kind, Manual, documentation};
use super::model::Slot;
use crate::sql::values::answer;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_confidence",
    syntax: "hs_confidence(text [, model])",
    about: "How likely the subheading that a model gives a description is right, 0 to 1, calibrated; null where it gives none, and for a null. Costs what hs_predict costs.",
    example: "SELECT hs_confidence('cotton t-shirts')",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

pub(super) fn of(slot: Slot) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsConfidence { slot, signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsConfidence {
    pub(super) slot: Slot,
    signature: Signature,
}

impl ScalarUDFImpl for HsConfidence {
    fn name(&self) -> &str {
        self.slot.name()
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        Ok(self.slot.schema_name(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Float32)
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        self.slot.simplified(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let classifier = self.slot.model()?.classifier();
        answer(&args.args[..1], args.number_rows, &|texts| classifier.predict_field(&texts[0], "confidence"))
    }
}
