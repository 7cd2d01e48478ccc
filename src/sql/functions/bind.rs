//! From the functions that a query names to functions that answer: what a plan wants, and the plan with it.
//!
//! Works on the plan and not on the text of a query, so that the calls in views count too. Always holds: names and types of
//! columns stay as they were. Refuses: loading.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::manual::{Manual, refused};
use super::model::{Model, Slot, of_model, slot_of};
use super::tariff::{Editions, is_of_tariff, of_tariff};
use super::{MANUALS, base_name};

/// What a plan needs before it can be bound.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sql) struct Wanted {
    /// References of models as they are written; `None` is the session's.
    pub models: BTreeSet<Option<String>>,
    /// The function that asks the session's model first.
    pub by: Option<&'static str>,
    /// Whether the tariff is asked.
    pub tariff: bool,
}

/// What the calls of a plan need, those in subqueries and views included.
///
/// # Errors
/// `Plan` for a model that is not named by a literal.
pub(in crate::sql) fn wanted(plan: &LogicalPlan) -> DfResult<Wanted> {
    let mut wanted = Wanted::default();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr {
                    wanted.tariff |= is_of_tariff(&call.func);
                    if let Some(slot) = slot_of(&call.func) {
                        let model = named(slot, call)?;
                        if model.is_none() {
                            wanted.by.get_or_insert(slot.base());
                        }
                        wanted.models.insert(model);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(wanted)
}

/// The model that a call names.
fn named(slot: &Slot, call: &ScalarFunction) -> DfResult<Option<String>> {
    match call.args.get(slot.place()) {
        None => Ok(None),
        Some(Expr::Literal(
            ScalarValue::Utf8(Some(model)) | ScalarValue::Utf8View(Some(model)) | ScalarValue::LargeUtf8(Some(model)),
            _,
        )) => Ok(Some(model.clone())),
        Some(other) => refused(format!(
            "{}: the model is named by a literal such as 'hs@7', so that it is loaded before the query runs; it is {other} here",
            slot.base()
        )),
    }
}

/// The plan with functions that answer: those of a model for the version of their reference, those of the tariff for
/// `editions`. Parameters among their arguments get a type.
///
/// # Errors
/// `Internal` when `models` lacks one of [`wanted`].
pub(in crate::sql) fn bound(
    plan: LogicalPlan,
    models: &HashMap<Option<String>, Model>,
    editions: &Editions,
) -> DfResult<LogicalPlan> {
    let of_tariff: Vec<Arc<_>> = of_tariff(editions).into_iter().map(Arc::new).collect();
    let bind = |expr: Expr| -> DfResult<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
        let Some(manual) = manual_of(&call) else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
        if let Some(slot) = slot_of(&call.func) {
            let model = models.get(&named(slot, &call)?).cloned();
            call.func = Arc::new(of_model(Slot::new(slot.base(), model))?);
        } else if is_of_tariff(&call.func)
            && let Some(bound) = of_tariff.iter().find(|bound| bound.name() == call.func.name())
        {
            call.func = Arc::clone(bound);
        }
        for (arg, (_, kind, _)) in call.args.iter_mut().zip(manual.arguments) {
            typed(arg, kind.of_parameter());
        }
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    };
    let plan = plan.transform_down_with_subqueries(|node| {
        // A window function's name shows its order as EXPLAIN does, with the version.
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(bind)?.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(plan.data)
}

fn manual_of(call: &ScalarFunction) -> Option<&'static Manual> {
    MANUALS.into_iter().find(|manual| manual.name == base_name(&call.func))
}

/// Gives a parameter that has no type yet this one.
fn typed(arg: &mut Expr, kind: DataType) {
    if let Expr::Placeholder(parameter) = arg
        && parameter.field.is_none()
    {
        parameter.field = Some(Arc::new(Field::new(&parameter.id, kind, true)));
    }
}
