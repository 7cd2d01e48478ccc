//! `hs_code(text [, model])` → string: the field `hs6` of `hs_predict`.
//!
//! ```sql
//! SELECT hs_code('cotton t-shirts')
//! ```
//!
//! `610910`. Null where the decision is to give no code, and for a null.

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
    name: "hs_code",
    syntax: "hs_code(text [, model])",
    about: "The subheading that a model gives a description, six digits; null where it gives none, and for a null. Costs what hs_predict costs.",
    example: "SELECT hs_code('cotton t-shirts')",
    arguments: &[("text", Kind::Text, "Description of goods."), ("model", Kind::Model, MODEL)],
    required: 1,
};

pub(super) fn of(slot: Slot) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsCode { slot, signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsCode {
    pub(super) slot: Slot,
    signature: Signature,
}

impl ScalarUDFImpl for HsCode {
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
        Ok(DataType::Utf8)
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        self.slot.simplified(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let classifier = self.slot.model()?.classifier();
        answer(&args.args[..1], args.number_rows, &|texts| classifier.predict_field(&texts[0], "hs6"))
    }
}
