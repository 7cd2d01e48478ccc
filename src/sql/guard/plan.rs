//! What a plan would do, whatever the statement looked like.

use datafusion::catalog::MemTable;
use datafusion::catalog::stream::StreamTable;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::{ListingTable, ListingTableUrl};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::dml::{CopyTo, DmlStatement};
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement, TableScan};

use super::{Class, DEFAULT_SCHEMA, Guard, is_of_the_lake, options, refuse};
use crate::error::{Error, Result};
use crate::lake::Place;

impl Guard {
    /// Refuses a plan of which any part, in subqueries and under EXPLAIN too, does what the session may not. The plan is the one
    /// that SQL became, before it is optimised.
    ///
    /// # Errors
    /// `Usage`, saying what would allow it or what to do instead.
    pub fn check_plan(&self, plan: &LogicalPlan) -> Result<()> {
        let visited = plan.apply_with_subqueries(|node| match self.check_node(node) {
            Ok(()) => Ok(TreeNodeRecursion::Continue),
            Err(e) => Err(DataFusionError::External(Box::new(e))),
        });
        visited.map(|_| ()).map_err(Error::from)
    }

    fn check_node(&self, node: &LogicalPlan) -> Result<()> {
        match node {
            LogicalPlan::Dml(dml) => self.check_dml(dml),
            LogicalPlan::Ddl(ddl) => self.check_ddl(ddl),
            LogicalPlan::Copy(copy) => self.check_copy(copy),
            LogicalPlan::Statement(statement) => self.check_command(statement),
            LogicalPlan::TableScan(scan) if self.safe => self.check_scan(scan),
            _ => Ok(()),
        }
    }

    fn check_dml(&self, dml: &DmlStatement) -> Result<()> {
        self.needs(Class::Write, dml.op.name())?;
        if is_of_the_lake(&dml.table_name) {
            return not_of_the_lake(&dml.table_name);
        }
        let target = source_as_provider(&dml.target)?;
        if target.is::<MemTable>() {
            return Ok(());
        }
        match target.downcast_ref::<ListingTable>() {
            Some(files) => {
                self.needs_files("writing files")?;
                files.table_paths().iter().try_for_each(|path| self.check_target(path.as_str()))
            }
            None => refuse(format!(
                "{} cannot be written by SQL; rows can go to tables made by CREATE TABLE, and to external tables of Parquet, CSV \
                 or JSON",
                dml.table_name
            )),
        }
    }

    fn check_ddl(&self, ddl: &DdlStatement) -> Result<()> {
        let (class, name) = match ddl {
            DdlStatement::CreateExternalTable(create) => {
                self.needs_files("CREATE EXTERNAL TABLE")?;
                if create.unbounded {
                    return refuse("unbounded external tables are not offered".into());
                }
                (Class::SessionObjects, &create.name)
            }
            DdlStatement::CreateMemoryTable(create) => (Class::Write, &create.name),
            DdlStatement::CreateView(create) => (Class::SessionObjects, &create.name),
            DdlStatement::DropTable(drop) => (Class::SessionObjects, &drop.name),
            DdlStatement::DropView(drop) => (Class::SessionObjects, &drop.name),
            DdlStatement::CreateCatalogSchema(_) => return self.needs(Class::SessionObjects, ddl.name()),
            DdlStatement::DropCatalogSchema(drop) if drop.name.schema_name() == DEFAULT_SCHEMA => {
                return refuse(format!("the schema {DEFAULT_SCHEMA} holds the tables of the lake and stays"));
            }
            DdlStatement::DropCatalogSchema(_) => return self.needs(Class::SessionObjects, ddl.name()),
            other => return refuse(format!("{} is not offered", other.name())),
        };
        self.needs(class, ddl.name())?;
        let drops = matches!(ddl, DdlStatement::DropTable(_) | DdlStatement::DropView(_));
        match is_of_the_lake(name) {
            true if drops => refuse(format!("{name} is of the lake and stays")),
            true => refuse(format!("{name} is a table or view of the lake: choose another name")),
            false => Ok(()),
        }
    }

    fn check_copy(&self, copy: &CopyTo) -> Result<()> {
        self.needs(Class::Write, "COPY")?;
        self.needs_files("COPY")?;
        self.check_target(&copy.output_url)
    }

    fn check_command(&self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::SetVariable(set) => {
                self.needs(Class::SessionObjects, "SET")?;
                options::check_set(&set.variable, &set.value, self.threads)
            }
            Statement::ResetVariable(reset) => {
                self.needs(Class::SessionObjects, "RESET")?;
                options::check_reset(&reset.variable)
            }
            Statement::Prepare(_) | Statement::Execute(_) | Statement::Deallocate(_) => {
                self.needs(Class::SessionObjects, statement.name())
            }
            Statement::TransactionStart(_) | Statement::TransactionEnd(_) => {
                refuse("there are no transactions: each statement sees the tables as they are when it begins".into())
            }
        }
    }

    fn check_scan(&self, scan: &TableScan) -> Result<()> {
        let Ok(provider) = source_as_provider(&scan.source) else { return Ok(()) };
        match provider.is::<ListingTable>() || provider.is::<StreamTable>() {
            true => self.needs_files("a table of files"),
            false => Ok(()),
        }
    }

    /// Refuses to write below a protected place.
    fn check_target(&self, target: &str) -> Result<()> {
        let url = ListingTableUrl::parse(target)?;
        for place in &self.protected {
            if is_below(&url, place) {
                return refuse(format!(
                    "{target} is inside {}, which is written by the program's own commands alone; choose another place",
                    place.url()
                ));
            }
        }
        Ok(())
    }
}

fn not_of_the_lake(name: &TableReference) -> Result<()> {
    let instead = match name.table() {
        "predictions" | "runs" => "rows come from `harmonize classify`, and what was written stays",
        "decisions" => "decisions are appended by the program's own commands",
        "nomenclature" | "correlations" => "use `harmonize tariff import`",
        _ => "use the program's own commands",
    };
    refuse(format!("{name} is of the lake and is never written by SQL: {instead}"))
}

/// Whether a target lies in or below a place, however it is written.
fn is_below(target: &ListingTableUrl, place: &Place) -> bool {
    if place.is_local() != (target.scheme() == "file") {
        return false;
    }
    if !place.is_local() {
        let bucket = target.object_store();
        let bucket = bucket.as_str().split_once("://").map_or("", |(_, rest)| rest.trim_end_matches('/'));
        return place.url().host_str() == Some(bucket) && target.prefix().prefix_matches(place.prefix());
    }
    let there = |path: &object_store::path::Path| real(std::path::Path::new("/").join(path.as_ref()));
    there(target.prefix()).starts_with(there(place.prefix()))
}

/// A path with the links of what exists of it followed.
fn real(path: std::path::PathBuf) -> std::path::PathBuf {
    for known in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (known.canonicalize(), path.strip_prefix(known)) {
            return found.join(rest);
        }
    }
    path
}
