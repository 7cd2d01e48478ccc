//! Bounds that a statement is held to beside those on memory that operators account for: how much a single step may build,
//! how often a query may be copied into itself, how wide a type may become.
//!
//! A statement runs in steps of a batch of rows, and no step can be stopped in the middle; so each is kept small.

mod copies;
mod growth;
mod size;
mod steps;
mod tree;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, LogicalPlan, Operator};
use datafusion::scalar::ScalarValue;

use arrow::datatypes::{DataType, Fields};

use super::fault::{Answer, Fault, state};
use super::roles::RoleLimits;

pub(super) use copies::Casts;
pub(super) use growth::{HeldLiterals, held, held_functions};
pub(super) use steps::Steps;
pub(super) use tree::check_tree;

/// Columns of a row, those inside of structs counted.
const MOST_FIELDS: usize = 4_000;

/// Holds a plan to its bounds: checks what it would do, and puts functions that check what they build in the place of those
/// that do not. Done with a plan as SQL made it, and again when its parameters have values.
pub(super) fn hold(plan: LogicalPlan, limits: &RoleLimits) -> Answer<LogicalPlan> {
    plan.apply_with_subqueries(|node| {
        check_width(node)?;
        node.apply_expressions(|expr| {
            copies::check_copies(expr)?;
            expr.apply(|expr| {
                if let Some(most) = limits.pattern_bytes {
                    check_pattern(expr, most)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let hold = |expr: Expr| -> Result<Transformed<Expr>, DataFusionError> {
        Ok(match expr {
            Expr::ScalarFunction(call) => match held(&call.func) {
                Some(held) => Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: held, ..call })),
                None => Transformed::no(Expr::ScalarFunction(call)),
            },
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                Transformed::yes(growth::joined(*left, *right))
            }
            other => Transformed::no(other),
        })
    };
    let held = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(hold)?.update_data(|expr| name.restore(expr)))
        })?;
        // The type of a join of texts can be another, up to the top.
        node.map_data(LogicalPlan::recompute_schema)
    });
    Ok(held?.data)
}

fn check_width(node: &LogicalPlan) -> Result<(), DataFusionError> {
    match fits(node.schema().fields(), &mut { MOST_FIELDS }) {
        true => Ok(()),
        false => Err(too_wide()),
    }
}

fn too_wide() -> DataFusionError {
    Fault::new(state::TOO_COMPLEX, format!("a row has more than {MOST_FIELDS} fields, those in structs counted")).into()
}

/// Counts no further than there is room, for a struct of structs can have more fields than could ever be counted.
fn fits(fields: &Fields, left: &mut usize) -> bool {
    fields.iter().all(|field| fits_type(field.data_type(), left))
}

fn fits_type(data_type: &DataType, left: &mut usize) -> bool {
    match left.checked_sub(1) {
        Some(less) => *left = less,
        None => return false,
    }
    match data_type {
        DataType::Struct(fields) => fits(fields, left),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => fits_type(field.data_type(), left),
        _ => true,
    }
}

/// A pattern is compiled before it is matched, which for a long one takes long and for one of each row is done for each row.
fn check_pattern(expr: &Expr, most: usize) -> Result<(), DataFusionError> {
    use Operator as O;
    let pattern = match expr {
        Expr::ScalarFunction(call) if call.func.name().starts_with("regexp_") => call.args.get(1),
        Expr::BinaryExpr(BinaryExpr {
            op: O::RegexMatch | O::RegexIMatch | O::RegexNotMatch | O::RegexNotIMatch,
            right,
            ..
        }) => Some(right.as_ref()),
        Expr::SimilarTo(Like { pattern, .. }) => Some(pattern.as_ref()),
        _ => None,
    };
    let Some(pattern) = pattern else { return Ok(()) };
    match written(pattern) {
        Written::Text(bytes) if bytes > most => {
            Err(Fault::new(state::LIMIT_EXCEEDED, format!("a pattern has {bytes} bytes, at most {most} are allowed"))
                .into())
        }
        Written::Text(_) => Ok(()),
        Written::Computed => Err(Fault::new(state::NOT_ALLOWED, "a pattern has to be written out in the statement")
            .hint("Use LIKE, starts_with or strpos to compare with a column.")
            .into()),
    }
}

enum Written {
    Text(usize),
    Computed,
}

fn written(expr: &Expr) -> Written {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text), _) => {
            Written::Text(text.as_ref().map_or(0, String::len))
        }
        Expr::Literal(..) | Expr::Placeholder(_) => Written::Text(0),
        Expr::Cast(cast) => written(&cast.expr),
        Expr::Alias(alias) => written(&alias.expr),
        _ => Written::Computed,
    }
}
