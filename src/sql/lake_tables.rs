//! The tables and views of a lake, each at one version.
//!
//! Always holds: a table that does not exist yet is there and empty; one of an older contract has the columns that it lacks, as
//! nulls. Refuses: a table of another shape.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::prelude::{SessionContext, ident};
use datafusion::scalar::ScalarValue;
use futures::future::try_join_all;

use super::newest::Newest;
use super::small::Small;
use super::{VIEWS, Versions};
use crate::contract::Contract;
use crate::error::{Context, Error, Result};
use crate::lake::{Place, Table, missing};

/// What is committed later is read first: correlations before the nomenclatures that they make count, runs and decisions before the
/// predictions that they are about. Those of one wave are opened side by side.
const WAVES: [&[Contract]; 2] = [
    &[Contract::Correlations, Contract::Runs, Contract::Decisions, Contract::LabelRequests],
    &[Contract::Nomenclature, Contract::Predictions],
];

/// The view that is worked out whole before it is joined with all predictions.
const SHORTENED: &str = "shortened_files";

/// The view that needs no sort.
const CURRENT: &str = "current_predictions";

/// See the module.
pub(super) struct LakeTables {
    /// `None` where there is no table yet.
    opened: Vec<(Contract, Option<Table>)>,
    providers: BTreeMap<&'static str, Arc<dyn TableProvider>>,
}

impl LakeTables {
    /// Opens all tables as they are.
    ///
    /// # Errors
    /// `Input` when a table of another shape is there.
    pub(super) async fn open(lake: &Place) -> Result<LakeTables> {
        LakeTables::open_at(lake, None).await
    }

    /// Opens all tables as they were at these versions, or as they are; one without a version is empty.
    ///
    /// # Errors
    /// As [`LakeTables::open`]; `Usage` for a version that there is not.
    pub(super) async fn open_at(lake: &Place, at: Option<&Versions>) -> Result<LakeTables> {
        let mut all = Vec::new();
        for wave in WAVES {
            let tables = wave.iter().map(|contract| async move {
                let table = match at.map(|at| at.get(contract.table()).copied().flatten()) {
                    Some(None) => None,
                    version => opened(lake, *contract, version.flatten()).await?,
                };
                Ok::<_, Error>((*contract, table))
            });
            all.extend(try_join_all(tables).await?);
        }
        LakeTables::of(all).await
    }

    /// The tables at their newest versions; `None` when these are the versions that are held.
    ///
    /// # Errors
    /// As [`LakeTables::open`].
    pub(super) async fn renewed(&self, lake: &Place) -> Result<Option<LakeTables>> {
        let mut opened = Vec::new();
        for wave in WAVES {
            let held = self.opened.iter().filter(|(contract, _)| wave.contains(contract));
            let tables = held.map(|(contract, table)| async move {
                let table = match table.clone() {
                    Some(mut table) => {
                        table.refresh().await?;
                        Some(table)
                    }
                    None => Table::open(&lake.child(contract.table())).await?,
                };
                Ok::<_, Error>((*contract, table))
            });
            opened.extend(try_join_all(tables).await?);
        }
        let version = |(_, table): &(Contract, Option<Table>)| table.as_ref().map(Table::version);
        if opened.iter().map(version).eq(self.opened.iter().map(version)) {
            return Ok(None);
        }
        LakeTables::of(opened).await.map(Some)
    }

    async fn of(opened: Vec<(Contract, Option<Table>)>) -> Result<LakeTables> {
        let context = SessionContext::new();
        let mut providers = BTreeMap::new();
        for (contract, table) in &opened {
            let provider = provider_of(*contract, table.as_ref()).await?;
            context.register_table(contract.table(), Arc::clone(&provider))?;
            providers.insert(contract.table(), provider);
        }
        for &(name, sql) in VIEWS {
            let bug = |e: Error| Error::Bug(format!("queries/{name}.sql: {e}"));
            let plan = context.state().create_logical_plan(sql).await.map_err(|e| bug(e.into()))?;
            let view: Arc<dyn TableProvider> = match name {
                SHORTENED => Small::of(plan),
                CURRENT => {
                    let of = |name: &str| providers.get(name).cloned().ok_or_else(|| Error::Bug(format!("no {name}")));
                    let schema = Arc::new(plan.schema().as_arrow().clone());
                    Newest::of(of(Contract::Predictions.table())?, of(SHORTENED)?, schema, sql)
                }
                _ => Arc::new(ViewTable::new(plan, Some(sql.to_string()))),
            };
            context.register_table(name, Arc::clone(&view)).context(|| format!("queries/{name}.sql"))?;
            providers.insert(name, view);
        }
        Ok(LakeTables { opened, providers })
    }

    /// Number of tables that exist.
    pub(super) fn count(&self) -> usize {
        self.opened.iter().filter(|(_, table)| table.is_some()).count()
    }

    /// Versions of all tables.
    pub(super) fn versions(&self) -> Versions {
        let version =
            |(of, table): &(Contract, Option<Table>)| (of.table().to_string(), table.as_ref().map(Table::version));
        self.opened.iter().map(version).collect()
    }

    /// Version of a table; `None` when it does not exist.
    pub(super) fn version(&self, contract: Contract) -> Option<u64> {
        let (_, table) = self.opened.iter().find(|(of, _)| *of == contract)?;
        table.as_ref().map(Table::version)
    }

    /// A table or view by its name.
    pub(super) fn provider(&self, name: &str) -> Option<&Arc<dyn TableProvider>> {
        self.providers.get(name)
    }

    /// Names of all tables and views with what they are, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Arc<dyn TableProvider>)> {
        self.providers.iter().map(|(name, provider)| (*name, provider))
    }
}

/// One table of a lake, as it is or at a version; `None` when it does not exist yet.
///
/// # Errors
/// `Usage` for a version that there is not.
pub(super) async fn opened(lake: &Place, contract: Contract, version: Option<u64>) -> Result<Option<Table>> {
    let Some(table) = Table::open(&lake.child(contract.table())).await? else { return Ok(None) };
    match version {
        Some(version) => Ok(Some(table.at_version(version).await?)),
        None => Ok(Some(table)),
    }
}

/// A table of the lake for DataFusion; empty where there is none.
///
/// # Errors
/// `Input` when it has another shape.
pub(super) async fn provider_of(contract: Contract, table: Option<&Table>) -> Result<Arc<dyn TableProvider>> {
    let Some(table) = table else {
        return Ok(Arc::new(MemTable::try_new(Arc::clone(contract.schema()), vec![vec![]])?));
    };
    table.check_schema(contract.schema())?;
    let provider = table.provider().await?;
    let there = table.schema()?;
    // What a table of an older contract lacks is null.
    let missing = missing(there.as_ref(), contract.schema());
    if missing.fields().is_empty() {
        return Ok(provider);
    }
    let mut columns: Vec<Expr> = there.fields().iter().map(|f| ident(f.name())).collect();
    for field in missing.fields() {
        columns.push(lit(ScalarValue::try_from(field.data_type())?).alias(field.name()));
    }
    let plan = LogicalPlanBuilder::scan(contract.table(), provider_as_source(provider), None)?.project(columns)?;
    Ok(Arc::new(ViewTable::new(plan.build()?, None)))
}
