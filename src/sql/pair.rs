//! A champion and a challenger about the same rows in one pass: texts are normalised once, and made into tokens once where
//! both have the same tokenizer.
//!
//! What always holds: each answers as it would alone. Refuses: comparing the answers.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result as PlanResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::classifier::{Batch, Classifier, prediction_fields};
use super::values::{by_value, is_text};
use crate::error::Result;

/// Names of the two predictions of a row, in order.
pub const ROLES: [&str; 2] = ["champion", "challenger"];

/// See the module.
#[derive(Clone)]
pub struct Pair {
    champion: Arc<Classifier>,
    challenger: Arc<Classifier>,
    shares_tokens: bool,
}

impl Pair {
    pub fn new(champion: Arc<Classifier>, challenger: Arc<Classifier>) -> Pair {
        let shares_tokens = champion.shares_tokens(&challenger);
        Pair { champion, challenger, shares_tokens }
    }

    /// Whether texts are made into tokens once for both.
    pub fn shares_tokens(&self) -> bool {
        self.shares_tokens
    }

    fn each(&self) -> [&Arc<Classifier>; 2] {
        [&self.champion, &self.challenger]
    }

    /// The prediction of each for every row of a string or bytes array of any encoding, as a struct of [`ROLES`].
    ///
    /// # Errors
    /// `Usage` when the array is neither.
    pub fn predict(&self, array: &ArrayRef) -> Result<StructArray> {
        let both = by_value(array, &|values| {
            let (batch, normalise) = Batch::of(values)?;
            let known = self.each().map(|classifier| classifier.known(&batch));
            // Both remember the same texts, but for those that another thread puts in just now.
            let same = known[0].iter().zip(&known[1]).all(|(a, b)| a.is_some() == b.is_some());
            let tokens = match self.shares_tokens && same {
                true => Some(self.champion.tokens(&batch, &known[0])?),
                false => None,
            };
            let (none, all) = (std::time::Duration::ZERO, prediction_fields());
            let champion = self.champion.columns(&batch, normalise, &known[0], tokens.as_ref(), &all)?;
            let challenger = self.challenger.columns(&batch, none, &known[1], tokens.as_ref(), &all)?;
            let columns: Vec<ArrayRef> = vec![Arc::new(champion), Arc::new(challenger)];
            Ok(Arc::new(StructArray::new(fields(), columns, None)))
        });
        Ok(both?.as_struct().clone())
    }
}

fn fields() -> Fields {
    ROLES.into_iter().map(|role| Field::new(role, DataType::Struct(prediction_fields()), true)).collect()
}

/// Both predictions as a scalar function `hs_predict_both(text)`.
pub fn hs_predict_both(pair: Pair) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsPredictBoth { pair, signature: Signature::any(1, Volatility::Immutable) })
}

struct HsPredictBoth {
    pair: Pair,
    signature: Signature,
}

impl HsPredictBoth {
    fn identity(&self) -> [(&str, &str); 2] {
        self.pair.each().map(|c| (c.identity.model_digest.as_str(), c.identity.policy_digest.as_str()))
    }
}

impl fmt::Debug for HsPredictBoth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [champion, challenger] = self.pair.each().map(|c| c.identity.model());
        write!(f, "hs_predict_both[{champion}, {challenger}]")
    }
}

impl PartialEq for HsPredictBoth {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for HsPredictBoth {}

impl Hash for HsPredictBoth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for HsPredictBoth {
    fn name(&self) -> &str {
        "hs_predict_both"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> PlanResult<DataType> {
        match args {
            [kind] if is_text(kind) => Ok(DataType::Struct(fields())),
            _ => Err(DataFusionError::Plan("hs_predict_both(text) takes one string column".into())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        match &args.args[..] {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(Arc::new(self.pair.predict(array)?))),
            [ColumnarValue::Scalar(value)] => {
                let one = self.pair.predict(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(one))))
            }
            _ => Err(DataFusionError::Internal("hs_predict_both takes one argument".into())),
        }
    }
}
