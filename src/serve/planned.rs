//! From a parsed query to a plan that is known to be allowed, bounded and bound to its models.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{self, Statement, Visit, Visitor};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal as PgPortal;
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::messages::extendedquery::Bind;

use super::bounds::{check_tree, hold};
use super::fault::{Answer, Fault, not_allowed, state};
use super::roles::{Role, RoleLimits};
use crate::sql::functions::model_of;
use crate::sql::{Class, Guard, LakeSession};

/// Functions that score texts. Names that begin as they do and are not among the others are taken for such.
const PREFIX: &str = "hs_";
const NOT_PREDICTING: [&str; 7] =
    ["hs_describe", "hs_parent", "hs_level", "hs_is_valid", "hs_successors", "hs_nomenclature", "hs_correlation"];
/// Most parameters that a statement may have; the protocol counts them in 16 bits.
const MOST_PARAMETERS: usize = 65_535;

/// A query that may be run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub plan: LogicalPlan,
    /// The look at the lake before it.
    pub look: u64,
    /// Types of its parameters, as the client is told.
    pub parameters: Vec<Type>,
    /// Those that stand where a number of rows is meant.
    counts: HashSet<usize>,
    /// Of the rows that it gives.
    pub schema: SchemaRef,
    /// The models that answer, with their digests.
    pub models: Vec<String>,
}

/// Who asks, and what they may.
#[derive(Clone)]
pub(super) struct Asker {
    pub session: LakeSession,
    pub guard: Arc<Guard>,
    pub role: Role,
    pub limits: Arc<RoleLimits>,
}

impl Asker {
    pub fn new(session: LakeSession, role: Role, limits: Arc<RoleLimits>) -> Asker {
        let guard = Guard::new(Class::ReadOnly).safe(true).only_schemas(limits.schemas.clone());
        Asker { session, guard: Arc::new(guard), role, limits }
    }

    /// Plans a query. `types` are what the client says of its parameters.
    pub async fn plan(&self, statement: Statement, types: &[Option<Type>], look: u64) -> Answer<Planned> {
        check_tree(&statement)?;
        self.check_functions(&statement)?;
        let statement = DfStatement::Statement(Box::new(statement));
        self.guard.check_statement(&statement).map_err(|e| not_allowed(&e))?;
        let plan = self.session.plan_statement(statement).await?;
        self.guard.check_plan(&plan).map_err(|e| not_allowed(&e))?;
        let models = self.models(&plan)?;
        let plan = hold(plan, &self.limits)?;
        let (parameters, counts) = parameters(&plan, types)?;
        let schema = schema(&plan, &parameters)?;
        Ok(Planned { plan, look, parameters, counts, schema, models })
    }

    /// Refuses predictions to who may not, before a model is loaded for them.
    fn check_functions(&self, statement: &Statement) -> Answer<()> {
        struct Names;
        impl Visitor for Names {
            type Break = String;
            fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<String> {
                let ast::Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
                let name = call.name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_lowercase());
                match name {
                    Some(name) if name.starts_with(PREFIX) && !NOT_PREDICTING.contains(&name.as_str()) => {
                        ControlFlow::Break(name)
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        match statement.visit(&mut Names) {
            ControlFlow::Break(name) if !self.role.predicts() => Err(no_predictions(&name, self.role)),
            _ => Ok(()),
        }
    }

    /// The models of a plan; none for who may not ask one.
    fn models(&self, plan: &LogicalPlan) -> Answer<Vec<String>> {
        let mut found = BTreeMap::new();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::ScalarFunction(call) = expr
                        && let Some(model) = model_of(&call.func)
                    {
                        let identity = &model.classifier().identity;
                        found.insert(identity.model(), identity.model_digest.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        match found.first_key_value() {
            Some(_) if !self.role.predicts() => Err(no_predictions("a prediction", self.role)),
            _ => Ok(found.into_iter().map(|(model, digest)| format!("{model} {digest}")).collect()),
        }
    }
}

fn no_predictions(what: &str, role: Role) -> Fault {
    Fault::new(state::NOT_ALLOWED, format!("{what} is not allowed to the role {role}"))
        .hint("Predictions that were made are in the table predictions; to make new ones takes the role analyst.")
}

/// The types of `$1`, `$2`, … as far as the client says or the query shows; text where neither does. And those that count rows.
fn parameters(plan: &LogicalPlan, types: &[Option<Type>]) -> Answer<(Vec<Type>, HashSet<usize>)> {
    let mut found: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    let mut counts = HashSet::new();
    let mut note = |expr: &Expr, shown: Option<DataType>| {
        if let Expr::Placeholder(parameter) = expr {
            let known = found.entry(number_of(&parameter.id)?).or_default();
            if known.is_none() {
                *known = shown.or_else(|| parameter.field.as_ref().map(|field| field.data_type().clone()));
            }
        }
        Ok::<_, datafusion::error::DataFusionError>(())
    };
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in limit.skip.iter().chain(&limit.fetch) {
                note(count, Some(DataType::Int64))?;
                if let Expr::Placeholder(parameter) = count.as_ref() {
                    counts.extend(number_of(&parameter.id).ok());
                }
            }
        }
        let inputs = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                // x = ANY($1)
                if let Expr::ScalarFunction(call) = expr
                    && call.func.name() == "array_has"
                    && let [list @ Expr::Placeholder(_), one] = &call.args[..]
                    && let Ok(of) = one.get_type(&inputs)
                {
                    note(list, Some(DataType::new_list(of, true)))?;
                }
                // $1::date: drivers leave the type of such a parameter open and write it as PostgreSQL reads it, a zone behind it.
                if let Expr::Cast(cast) = expr
                    && let DataType::Date32 | DataType::Timestamp(..) = cast.field.data_type()
                {
                    note(&cast.expr, Some(cast.field.data_type().clone()))?;
                }
                note(expr, None)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let most = found.last_key_value().map_or(0, |(number, _)| number + 1).max(types.len());
    let told = |number: usize| match types.get(number).cloned().flatten().filter(|told| *told != Type::UNKNOWN) {
        Some(Type::BPCHAR | Type::NAME) => Ok(Type::TEXT),
        Some(told) => Ok(told),
        None => match found.get(&number).cloned().flatten() {
            None | Some(DataType::Null) => Ok(Type::TEXT),
            Some(shown) => into_pg_type(&shown).map_err(Fault::from),
        },
    };
    Ok(((0..most).map(told).collect::<Answer<_>>()?, counts))
}

/// From zero.
fn number_of(id: &str) -> Answer<usize> {
    let number = id.strip_prefix('$').and_then(|id| id.parse::<usize>().ok());
    let number = number.filter(|number| (1..=MOST_PARAMETERS).contains(number));
    number.map(|number| number - 1).ok_or_else(|| Fault::new(state::SYNTAX, "parameters are called $1, $2, and so on"))
}

/// The rows of a plan when its parameters have the types that they will have.
fn schema(plan: &LogicalPlan, parameters: &[Type]) -> Answer<SchemaRef> {
    if parameters.is_empty() {
        return Ok(Arc::clone(plan.schema().inner()));
    }
    let nulls = Bind::new(None, None, Vec::new(), vec![None; parameters.len()], Vec::new());
    let typed = plan.clone().replace_params_with_values(&values(&nulls, parameters, &HashSet::new())?)?;
    Ok(Arc::clone(typed.schema().inner()))
}

/// The values of a bound statement, each of the type that was told.
fn values(bind: &Bind, parameters: &[Type], counts: &HashSet<usize>) -> Answer<ParamValues> {
    let told: Vec<Option<Type>> = parameters.iter().cloned().map(Some).collect();
    let stored = Arc::new(StoredStatement::new(String::new(), (), told));
    let portal = PgPortal::try_new(bind, stored)?;
    let read = deserialize_parameters(&portal, &[])?;
    let ParamValues::List(read) = read else { return Err(Fault::new(state::DEFECT, "parameters by name")) };
    let mut values = Vec::with_capacity(read.len());
    for (number, value) in read.into_iter().enumerate() {
        values.push(match value.value {
            value if counts.contains(&number) => value.cast_to(&DataType::Int64)?,
            // A null number without digits is no type that there is.
            ScalarValue::Decimal128(None, _, _) => ScalarValue::Decimal128(None, 38, 10),
            value => value,
        });
    }
    Ok(ParamValues::from(values))
}

impl Planned {
    /// The plan of a statement that came as text alone.
    pub fn without_parameters(self) -> Answer<(LogicalPlan, Vec<String>)> {
        match self.parameters.is_empty() {
            true => Ok((self.plan, self.models)),
            false => Err(Fault::new("42P02", "there are parameters, and nothing gives them values")),
        }
    }

    /// The plan with the values of a bound statement in it.
    pub fn bind(&self, bind: &Bind, limits: &RoleLimits) -> Answer<LogicalPlan> {
        if bind.parameters.len() != self.parameters.len() {
            return Err(Fault::new(
                state::PROTOCOL_VIOLATION,
                format!(
                    "{} parameters were sent, the statement takes {}",
                    bind.parameters.len(),
                    self.parameters.len()
                ),
            ));
        }
        if self.parameters.is_empty() {
            return Ok(self.plan.clone());
        }
        let values = values(bind, &self.parameters, &self.counts)?;
        // A pattern may be among them.
        hold(self.plan.clone().replace_params_with_values(&values)?, limits)
    }
}
