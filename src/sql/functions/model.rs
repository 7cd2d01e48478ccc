//! A model version as functions use it, and its place in a function.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::ExprSimplifyResult;
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::function::{Called, Function, Held};
use super::{code, confidence, explain, predict, topk, within};
use crate::error::{Error, Result};
use crate::registry::Loaded;
use crate::sql::{Classifier, Explainer};

/// A model version: what scores texts, and what explains the scores. Cloning is cheap.
#[derive(Clone)]
pub struct Model {
    classifier: Arc<Classifier>,
    explainer: Option<Arc<Explainer>>,
}

impl Model {
    /// A version under its own policy, compiled. Takes the better part of a second of CPU for a large one.
    ///
    /// # Errors
    /// Those of [`Classifier::new`].
    pub fn new(loaded: Loaded) -> Result<Model> {
        let loaded = Arc::new(loaded);
        let classifier = Arc::new(Classifier::new(&loaded, &loaded.bundle.policy)?);
        let explainer = Some(Arc::new(Explainer::new(loaded, Arc::clone(&classifier))));
        Ok(Model { classifier, explainer })
    }

    pub fn classifier(&self) -> &Arc<Classifier> {
        &self.classifier
    }

    /// # Errors
    /// `Bug` for one that was made of a classifier alone.
    pub(super) fn explainer(&self) -> Result<&Arc<Explainer>> {
        let nothing = || Error::Bug(format!("{} was made without what explains it", self.classifier.identity.model()));
        self.explainer.as_ref().ok_or_else(nothing)
    }

    fn key(&self) -> (&str, u64, &str, &str) {
        let identity = &self.classifier.identity;
        (&identity.model_name, identity.model_version, &identity.model_digest, &identity.policy_digest)
    }
}

/// Scores, and cannot explain.
impl From<Arc<Classifier>> for Model {
    fn from(classifier: Arc<Classifier>) -> Model {
        Model { classifier, explainer: None }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.classifier.identity.model())
    }
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Model {}

impl Hash for Model {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Where a function of a model holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// As columns are named, such as `hs_code`.
    base: &'static str,
    /// As `EXPLAIN` shows it, such as `hs_code[hs@7]`.
    name: String,
    model: Option<Model>,
}

impl Slot {
    pub(super) fn new(base: &'static str, model: Option<Model>) -> Slot {
        let name = match &model {
            Some(model) => format!("{base}[{model:?}]"),
            None => base.to_string(),
        };
        Slot { base, name, model }
    }

    pub(super) fn base(&self) -> &'static str {
        self.base
    }

    /// Place of the argument that names the model.
    pub(super) fn place(&self) -> usize {
        of_base(self.base).map_or(1, |function| function.manual.columns())
    }
}

impl Held for Slot {
    type Given<'a> = &'a Model;

    fn given(&self, name: &'static str) -> DfResult<&Model> {
        self.model.as_ref().ok_or_else(|| {
            DataFusionError::Plan(format!("{name} was not bound to a model; plan the query with LakeSession::plan"))
        })
    }

    fn name<'a>(&'a self, _: &'static str) -> &'a str {
        &self.name
    }

    /// A bound call without the argument that named the model, so that equal calls are equal however the model was named.
    fn simplified(&self, mut args: Vec<Expr>) -> DfResult<ExprSimplifyResult> {
        if self.model.is_none() || args.len() <= self.place() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        args.truncate(self.place());
        let func = Arc::new(of_model(self.clone())?);
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

/// The functions of a model beside `hs_predict`, whose answer can be a part of itself.
static ALL: [&Function<Slot>; 5] =
    [&code::FUNCTION, &confidence::FUNCTION, &topk::FUNCTION, &within::FUNCTION, &explain::FUNCTION];

fn of_base(base: &str) -> Option<&'static Function<Slot>> {
    ALL.into_iter().find(|function| function.manual.name == base)
}

/// The functions of a model, unbound.
pub(super) fn unbound() -> DfResult<Vec<ScalarUDF>> {
    let names = ALL.into_iter().map(|function| function.manual.name);
    [predict::MANUAL.name].into_iter().chain(names).map(|name| of_model(Slot::new(name, None))).collect()
}

/// The function of a slot.
pub(super) fn of_model(slot: Slot) -> DfResult<ScalarUDF> {
    if slot.base == predict::MANUAL.name {
        return Ok(predict::of(slot));
    }
    let nothing = || DataFusionError::Internal(format!("{} is no function of a model", slot.base));
    Ok(of_base(slot.base).ok_or_else(nothing)?.with(slot))
}

/// Where a function holds its model; `None` for one that is not of a model.
pub(super) fn slot_of(function: &ScalarUDF) -> Option<&Slot> {
    let inner = function.inner();
    let predict = inner.downcast_ref::<predict::HsPredict>().map(|predict| &predict.slot);
    predict.or_else(|| inner.downcast_ref::<Called<Slot>>().map(|called| &called.held))
}

/// The model to which a function is bound; `None` for any other function.
pub fn model_of(function: &ScalarUDF) -> Option<&Model> {
    slot_of(function)?.model.as_ref()
}
