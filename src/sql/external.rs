//! Tables of a session that are not of the lake: files and Delta tables anywhere, for reading.
//!
//! A store is registered when a statement first names it, with the settings that every other URL of the program has. A folder
//! that is a Delta table is read as one: its files alone would show rows that are long deleted.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::UrlTableFactory;
use datafusion::common::TableReference;
use datafusion::datasource::dynamic_file::DynamicListTableFactory;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{CreateExternalTable, DdlStatement, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{self, ObjectName, ObjectNamePart, visit_relations};

use crate::error::{Error, Result};
use crate::lake::{Place, Table};

/// Tables for the files and URLs that a statement names where a table may stand, as in `FROM 's3://bucket/lines.parquet'`. They
/// are in the session while what is given back lives; plans that were made keep their tables.
///
/// # Errors
/// Those of the store; a name behind which there is nothing is left to the planner.
pub async fn named_files(context: &SessionContext, statement: &Statement) -> Result<NamedFiles> {
    let mut named = NamedFiles { context: context.clone(), names: Vec::new() };
    for name in quoted_names(statement) {
        // A mistyped name of a table must not find a folder that happens to be called so.
        let reference = TableReference::bare(name.as_str());
        if !name.contains(['/', '.']) || context.table_exist(reference.clone())? {
            continue;
        }
        reach(&context.runtime_env(), &name)?;
        let table = match delta_at(&name).await? {
            Some(table) => Some(table.provider().await?),
            None => {
                let files = DynamicListTableFactory::default();
                files.session_store().with_state(context.state_weak_ref());
                files.try_new(&name).await?
            }
        };
        if let Some(table) = table {
            context.register_table(reference, table)?;
            named.names.push(name);
        }
    }
    Ok(named)
}

/// See [`named_files`].
pub struct NamedFiles {
    context: SessionContext,
    names: Vec<String>,
}

impl Drop for NamedFiles {
    fn drop(&mut self) {
        for name in self.names.drain(..) {
            // It was put there a moment ago.
            let _ = self.context.deregister_table(TableReference::bare(name));
        }
    }
}

/// Names of tables of one part that are in quotes.
fn quoted_names(statement: &Statement) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |name: &ObjectName| {
        if let [ObjectNamePart::Identifier(one)] = &name.0[..]
            && one.quote_style.is_some()
        {
            names.insert(one.value.clone());
        }
        ControlFlow::<()>::Continue(())
    };
    let _ = match statement {
        Statement::Statement(inner) => {
            if let ast::Statement::ExplainTable { table_name, .. } = inner.as_ref() {
                let _ = note(table_name);
            }
            visit_relations(inner, note)
        }
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Relation(name) => note(name),
            CopyToSource::Query(query) => visit_relations(query, note),
        },
        Statement::Explain(explain) => return quoted_names(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::Reset(_) => ControlFlow::Continue(()),
    };
    names
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
    if location.contains(['*', '?', '[']) {
        return Ok(None);
    }
    let place = Place::open(location)?;
    match place.is_local() && place.url().to_file_path().is_ok_and(|path| path.is_file()) {
        true => Ok(None),
        false => Table::open(&place).await,
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
