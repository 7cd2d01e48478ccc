//! Tables of a session that are not of the lake: files and Delta tables anywhere, for reading.
//!
//! A store is registered when a statement first names it, with the settings that every other URL of the program has. A folder
//! that is a Delta table is read as one: its files alone would show rows that are long deleted.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory};
use datafusion::common::Result as DfResult;
use datafusion::datasource::dynamic_file::DynamicListTableFactory;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{CreateExternalTable, DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};
use crate::lake::{Place, Table};

/// Lets statements name files and URLs where a table may stand: `FROM 's3://bucket/lines.parquet'`.
pub fn name_files(context: &SessionContext) {
    let factory = Arc::new(Files { listing: DynamicListTableFactory::default(), runtime: context.runtime_env() });
    factory.listing.session_store().with_state(context.state_weak_ref());
    let inner = Arc::clone(context.state().catalog_list());
    context.register_catalog_list(Arc::new(DynamicFileCatalog::new(inner, factory)));
}

/// Makes reachable what a plan reads or writes beyond the lake; creates the table where the plan is for a Delta table, which
/// DataFusion has no factory for. Whether that was all.
pub async fn prepare(context: &SessionContext, plan: &LogicalPlan) -> Result<bool> {
    match plan {
        LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => {
            for location in &create.locations {
                reach(&context.runtime_env(), location)?;
            }
            if matches!(create.file_type.as_str(), "DELTA" | "DELTATABLE") {
                create_delta(context, create).await?;
                return Ok(true);
            }
            for location in &create.locations {
                if delta_at(location).await?.is_some() {
                    return Err(Error::Usage(format!(
                        "{location} is a Delta table, whose files may hold deleted rows: write STORED AS DELTA"
                    )));
                }
            }
            Ok(false)
        }
        LogicalPlan::Copy(copy) => reach(&context.runtime_env(), &copy.output_url).map(|()| false),
        LogicalPlan::Explain(explain) => Box::pin(prepare(context, &explain.plan)).await.map(|_| false),
        LogicalPlan::Analyze(analyze) => Box::pin(prepare(context, &analyze.input)).await.map(|_| false),
        _ => Ok(false),
    }
}

/// Registers the store of a URL, if it is not.
fn reach(runtime: &RuntimeEnv, location: &str) -> Result<()> {
    let url = ListingTableUrl::parse(location)?;
    let store = url.object_store();
    if url.scheme() != "file" && runtime.object_store(&store).is_err() {
        let bucket = Place::open(store.as_str())?;
        runtime.register_object_store(store.as_ref(), Arc::clone(bucket.store()));
    }
    Ok(())
}

/// The Delta table at a location; `None` when there is none.
async fn delta_at(location: &str) -> Result<Option<Table>> {
    match location.contains(['*', '?', '[']) {
        true => Ok(None),
        false => Table::open(&Place::open(location)?).await,
    }
}

async fn create_delta(context: &SessionContext, create: &CreateExternalTable) -> Result<()> {
    let refused =
        |what: &str| Err(Error::Usage(format!("CREATE EXTERNAL TABLE {} STORED AS DELTA: {what}", create.name)));
    let [location] = &create.locations[..] else { return refused("give one location") };
    if !create.schema.fields().is_empty() || !create.table_partition_cols.is_empty() || !create.options.is_empty() {
        return refused("columns, partitions and options are those of the table: leave them out");
    }
    let there = context.table_exist(create.name.clone())?;
    if there && create.if_not_exists {
        return Ok(());
    }
    if there && !create.or_replace {
        return refused("a table of this name is there; write CREATE OR REPLACE EXTERNAL TABLE");
    }
    let Some(table) = delta_at(location).await? else {
        return Err(Error::Input(format!("{location} holds no Delta table")));
    };
    if there {
        context.deregister_table(create.name.clone())?;
    }
    context.register_table(create.name.clone(), table.provider().await?)?;
    Ok(())
}

/// Tables for names that are paths or URLs.
#[derive(Debug)]
struct Files {
    listing: DynamicListTableFactory,
    runtime: Arc<RuntimeEnv>,
}

#[async_trait]
impl UrlTableFactory for Files {
    async fn try_new(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        // A mistyped name of a table must not find a folder that happens to be called so.
        if !name.contains(['/', '.']) {
            return Ok(None);
        }
        reach(&self.runtime, name)?;
        match delta_at(name).await? {
            Some(table) => Ok(Some(table.provider().await?)),
            None => self.listing.try_new(name).await,
        }
    }
}
