//! The session over a lake that the shell, the server and `harmonize sql` share: the lake's tables and views, every function,
//! and the models that a query names.
//!
//! Always holds: a query sees one version of each of the lake's tables and one of each alias, those of the refresh before
//! its plan was made. Models are loaded while a query is planned, never while it runs, and kept by digest. The tariff is read
//! when a query first asks for it. Refuses: nothing that SQL can say; what a caller allows it checks on the plan
//! (`SQLOptions::verify_plan`).

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;

use super::Limits;
use super::functions::Model;
use crate::error::Result;
use crate::lake::Place;
use crate::registry::{ModelRef, Registry};

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct LakeOptions {
    /// Root of the lake's tables; one that is not there yet is empty.
    pub lake: Place,
    /// Where models are; without it no model can be named.
    pub registry: Option<Registry>,
    /// Model of a call that names none.
    pub model: Option<ModelRef>,
    /// Share of the machine.
    pub limits: Limits,
}

/// See the module. Cloning is cheap and gives the same session.
#[derive(Clone)]
pub struct LakeSession {
    context: SessionContext,
    shared: Arc<Shared>,
}

impl LakeSession {
    /// Opens the tables of the lake side by side, and begins to load the default model beside them.
    pub async fn open(options: LakeOptions) -> Result<LakeSession>;

    /// Another session over the same lake: the same tables, models, memory and tariff, with settings, views and prepared
    /// statements of its own. For one connection of a server.
    pub fn beside(&self) -> LakeSession;

    /// Number of the lake's tables that are there.
    pub fn tables(&self) -> usize;

    /// DataFusion's session. To plan a query take [`LakeSession::plan`]: functions of a model or the tariff in a plan that
    /// was made here do not answer.
    pub fn context(&self) -> &SessionContext;

    /// Sees newer versions of the lake's tables and moved aliases from the next plan on; whether any table changed. What is
    /// planned or running is not touched.
    pub async fn refresh(&self) -> Result<bool>;

    /// Plans one statement. May hold `$1`: bind with `LogicalPlan::with_param_values`, as often as needed.
    pub async fn plan(&self, sql: &str) -> Result<LogicalPlan>;

    /// Plans a statement that was parsed.
    pub async fn plan_statement(&self, statement: Statement) -> Result<LogicalPlan>;

    /// Runs a plan of [`LakeSession::plan`]; DDL and SET act on this session.
    pub async fn execute(&self, plan: LogicalPlan) -> Result<DataFrame>;

    /// The model of a reference, or the default one; loaded if it is not here.
    pub async fn model(&self, reference: Option<&ModelRef>) -> Result<Arc<Model>>;
}
