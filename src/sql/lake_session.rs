//! The session over a lake that the shell, the server and `harmonize sql` share: the lake's tables and views, every function,
//! and the models that a query names.
//!
//! Always holds: a query sees one version of each of the lake's tables and one of each alias, those of the refresh before
//! its plan was made. Models are loaded while a query is planned, never while it runs, and kept by digest. The tariff is read
//! when a query first asks for it. Refuses: nothing that SQL can say; what a caller allows it checks on the plan
//! (`SQLOptions::verify_plan`).

mod catalog;
mod models;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use chrono::{NaiveDate, Utc};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;

use super::functions::{self, Editions, Model};
use super::lake_tables::LakeTables;
use super::names::own_names;
use super::snapshot::{Lake, Now, Snapshot};
use super::{Limits, runtime, session_on, tables};
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::registry::{ModelRef, Registry};
use catalog::{LakeSchema, Pinned};
use models::Models;

/// Models that one query may name.
const MOST_MODELS: usize = 8;

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
    /// Catalog and schema in which the lake's tables are.
    name: (String, String),
    /// Tables and views that were made in this session.
    own: Arc<MemorySchemaProvider>,
    shared: Arc<Shared>,
}

/// What sessions over one lake have together.
struct Shared {
    lake: Arc<Lake>,
    default: Option<ModelRef>,
    models: Arc<Models>,
    newest: Arc<RwLock<Arc<Snapshot>>>,
    /// When the last refresh began.
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

impl LakeSession {
    /// Opens the tables of the lake side by side, and begins to load the default model beside them. A default model that
    /// cannot be loaded is an error of the first query that asks it.
    ///
    /// # Errors
    /// `Input` when a table of another shape is there, and those of the store.
    pub async fn open(options: LakeOptions) -> Result<LakeSession> {
        let LakeOptions { lake: place, registry, model: default, limits } = options;
        let models = Arc::new(Models::default());
        if let (Some(registry), Some(model)) = (registry.clone(), default.clone()) {
            let models = Arc::clone(&models);
            tokio::spawn(async move { models.get(&registry, &model).await.map(drop) });
        }
        let lake = Arc::new(Lake { place, registry, limits, runtime: runtime(limits)? });
        let tables = Arc::new(LakeTables::open(&lake.place).await?);
        let newest = Arc::new(RwLock::new(Arc::new(Snapshot::new(Arc::clone(&lake), tables))));
        LakeSession::over(Arc::new(Shared { lake, default, models, newest, refreshed: tokio::sync::Mutex::default() }))
    }

    /// Another session over the same lake: the same tables, models, memory and tariff, with settings, views and prepared
    /// statements of its own. For one connection of a server.
    ///
    /// # Errors
    /// `Bug` alone.
    pub fn beside(&self) -> Result<LakeSession> {
        LakeSession::over(Arc::clone(&self.shared))
    }

    fn over(shared: Arc<Shared>) -> Result<LakeSession> {
        let context = session_on(shared.lake.limits, Arc::clone(&shared.lake.runtime));
        for function in functions::all()? {
            context.register_udf(function);
        }
        let now = Now::Newest(Arc::clone(&shared.newest));
        for (name, function) in tables::all(&now) {
            context.register_udtf(name, function);
        }
        let own = Arc::new(MemorySchemaProvider::new());
        let options = context.state().config_options().catalog.clone();
        let name = (options.default_catalog, options.default_schema);
        let catalog = context.catalog(&name.0).ok_or_else(|| Error::Bug(format!("there is no catalog {}", name.0)))?;
        catalog.register_schema(&name.1, Arc::new(LakeSchema::new(now, Arc::clone(&own))))?;
        Ok(LakeSession { context, name, own, shared })
    }

    /// Number of the lake's tables that are there.
    pub fn tables(&self) -> usize {
        self.newest().tables.count()
    }

    /// DataFusion's session, with the newest tables. To plan a query take [`LakeSession::plan`]: functions of a model or the
    /// tariff in a plan that was made here do not answer.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Sees newer versions of the lake's tables and moved aliases from the next plan on; whether a table changed. What is
    /// planned or running is not touched. Costs a look at the end of each table's log; of callers at the same time one looks.
    ///
    /// # Errors
    /// As [`LakeSession::open`]; then everything stays as it was.
    pub async fn refresh(&self) -> Result<bool> {
        let (asked, before) = (Instant::now(), self.newest());
        let mut refreshed = self.shared.refreshed.lock().await;
        if refreshed.is_none_or(|began| began < asked) {
            let began = Instant::now();
            let held = self.newest();
            let tables = match held.tables.renewed(&self.shared.lake.place).await? {
                Some(newer) => Arc::new(newer),
                None => Arc::clone(&held.tables),
            };
            let next = Arc::new(held.next(tables));
            *self.shared.newest.write().unwrap_or_else(PoisonError::into_inner) = next;
            *refreshed = Some(began);
        }
        Ok(!Arc::ptr_eq(&before.tables, &self.newest().tables))
    }

    /// Plans one statement. It may hold `$1`: bind with `LogicalPlan::with_param_values`, as often as needed.
    ///
    /// # Errors
    /// `Usage` for a query that is none, `Registry` for a model that cannot be loaded, and those of the store.
    pub async fn plan(&self, sql: &str) -> Result<LogicalPlan> {
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(sql, &dialect)?;
        self.plan_statement(statement).await
    }

    /// Plans a statement that was parsed.
    ///
    /// # Errors
    /// As [`LakeSession::plan`].
    pub async fn plan_statement(&self, mut statement: Statement) -> Result<LogicalPlan> {
        let snapshot = self.newest();
        let pinned = self.pinned(&snapshot);
        own_names(&mut statement, &pinned);
        let plan = pinned.statement_to_plan(statement).await?;
        let wanted = functions::wanted(&plan)?;
        if wanted.models.len() > MOST_MODELS {
            return Err(Error::Usage(format!("a query names at most {MOST_MODELS} models; ask in several queries")));
        }
        let mut models = HashMap::new();
        for reference in wanted.models {
            let model = self.resolve(&snapshot, reference.clone(), wanted.by.unwrap_or("the query")).await?;
            models.insert(reference, model);
        }
        let editions = match wanted.tariff {
            true => Editions::new(snapshot.lookup().await?, today()),
            false => Editions::default(),
        };
        Ok(functions::bound(plan, &models, &editions)?)
    }

    /// Runs a plan of [`LakeSession::plan`]; DDL and SET act on this session.
    ///
    /// # Errors
    /// Those of DataFusion.
    pub async fn execute(&self, plan: LogicalPlan) -> Result<DataFrame> {
        Ok(self.context.execute_logical_plan(plan).await?)
    }

    /// The model of a reference, or the session's own; loaded if it is not here.
    ///
    /// # Errors
    /// As [`LakeSession::plan`].
    pub async fn model(&self, reference: Option<&ModelRef>) -> Result<Model> {
        self.resolve(&self.newest(), reference.map(ToString::to_string), "this").await
    }

    fn newest(&self) -> Arc<Snapshot> {
        Now::Newest(Arc::clone(&self.shared.newest)).get()
    }

    /// The session's state with the lake as it is in a snapshot.
    fn pinned(&self, snapshot: &Arc<Snapshot>) -> SessionState {
        let mut state = self.context.state();
        state.mark_start_execution();
        let now = Now::Fixed(Arc::clone(snapshot));
        for (name, function) in tables::all(&now) {
            state.register_udtf(name, function);
        }
        let schema = Arc::new(LakeSchema::new(now, Arc::clone(&self.own)));
        let all = Arc::clone(state.catalog_list());
        state.register_catalog_list(Arc::new(Pinned { all, name: self.name.clone(), schema }));
        state
    }

    async fn resolve(&self, snapshot: &Snapshot, reference: Option<String>, by: &str) -> Result<Model> {
        if let Some(model) = snapshot.model(&reference) {
            return Ok(model);
        }
        let model = match (&reference, &self.shared.default) {
            (Some(reference), _) => reference.parse()?,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(Error::Usage(format!(
                    "{by} needs a model: give --model, such as --model hs@1, or name one in the call, such as \
                     hs_code(text, 'hs@1')"
                )));
            }
        };
        let Some(registry) = &self.shared.lake.registry else {
            return Err(Error::Usage(format!("{model}: there is no registry to take it from; give --registry")));
        };
        let loaded = self.shared.models.get(registry, &model).await?;
        Ok(snapshot.keep(reference, loaded))
    }
}

/// The day that counts for what is in force. A query is asked at the edge of the program, so the clock is read here.
fn today() -> NaiveDate {
    Utc::now().date_naive()
}
