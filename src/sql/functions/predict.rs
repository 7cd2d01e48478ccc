//! `hs_predict(text)` → struct: the classifier as a scalar function.
//!
//! ```sql
//! SELECT hs_predict(description) FROM lines
//! ```
//!
//! The argument may be a string or bytes of any Arrow encoding; a dictionary is scored once a value. The struct has
//! `hs6`, `confidence`, `confidence_heading`, `confidence_chapter`, `margin`, `alternatives`, `decision`, `reasons`,
//! `text_digest` and `model`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::classifier::{Classifier, is_text, prediction_fields};

/// The function for one model version under one policy.
pub fn hs_predict(classifier: Arc<Classifier>) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsPredict { classifier, signature: Signature::any(1, Volatility::Immutable) })
}

struct HsPredict {
    classifier: Arc<Classifier>,
    signature: Signature,
}

impl HsPredict {
    fn identity(&self) -> (&str, &str) {
        (&self.classifier.identity.model_digest, &self.classifier.identity.policy_digest)
    }
}

impl fmt::Debug for HsPredict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hs_predict[{}]", self.classifier.identity.model())
    }
}

impl PartialEq for HsPredict {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for HsPredict {}

impl Hash for HsPredict {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for HsPredict {
    fn name(&self) -> &str {
        "hs_predict"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [kind] if is_text(kind) => Ok(DataType::Struct(prediction_fields())),
            _ => Err(DataFusionError::Plan("hs_predict(text) takes one string column; cast another type first".into())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[..] {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(Arc::new(self.classifier.predict(array)?))),
            [ColumnarValue::Scalar(value)] => {
                let one = self.classifier.predict(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(one))))
            }
            _ => Err(DataFusionError::Internal("hs_predict takes one argument".into())),
        }
    }
}
