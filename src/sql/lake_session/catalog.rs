//! The schema of a session: the lake's tables and views, which a refresh moves on, beside the session's own.
//!
//! Always holds: the lake's names are the lake's. Refuses: a table or view of the session under one of them, and dropping them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;

use crate::sql::snapshot::Now;

/// See the module.
#[derive(Debug)]
pub(super) struct LakeSchema {
    now: Now,
    own: Arc<MemorySchemaProvider>,
}

impl LakeSchema {
    pub(super) fn new(now: Now, own: Arc<MemorySchemaProvider>) -> LakeSchema {
        LakeSchema { now, own }
    }

    fn of_lake(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.now.get().tables.provider(name).cloned()
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.own.table_names();
        names.extend(self.now.get().tables.iter().map(|(name, _)| name.to_string()));
        names
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        match self.of_lake(name) {
            Some(table) => Ok(Some(table)),
            None => self.own.table(name).await,
        }
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> DfResult<Option<Arc<dyn TableProvider>>> {
        if self.of_lake(&name).is_some() {
            return Err(taken(&name));
        }
        self.own.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        if self.of_lake(name).is_some() {
            return Err(taken(name));
        }
        self.own.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.of_lake(name).is_some() || self.own.table_exist(name)
    }
}

fn taken(name: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{name} belongs to the lake and stays as it is; choose another name"))
}

/// The catalogs of a session with one schema replaced, for planning a query against tables that stay.
#[derive(Debug)]
pub(super) struct Pinned {
    pub all: Arc<dyn CatalogProviderList>,
    /// Names of the catalog and the schema.
    pub name: (String, String),
    pub schema: Arc<LakeSchema>,
}

impl CatalogProviderList for Pinned {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.all.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.all.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.all.catalog(name)?;
        match name == self.name.0 {
            true => {
                let (schema, pinned) = (self.name.1.clone(), Arc::clone(&self.schema));
                Some(Arc::new(PinnedCatalog { inner, schema, pinned }))
            }
            false => Some(inner),
        }
    }
}

#[derive(Debug)]
struct PinnedCatalog {
    inner: Arc<dyn CatalogProvider>,
    schema: String,
    pinned: Arc<LakeSchema>,
}

impl CatalogProvider for PinnedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name == self.schema {
            true => Some(Arc::clone(&self.pinned) as Arc<dyn SchemaProvider>),
            false => self.inner.schema(name),
        }
    }

    fn register_schema(
        &self,
        name: &str,
        schema: Arc<dyn SchemaProvider>,
    ) -> DfResult<Option<Arc<dyn SchemaProvider>>> {
        self.inner.register_schema(name, schema)
    }

    fn deregister_schema(&self, name: &str, cascade: bool) -> DfResult<Option<Arc<dyn SchemaProvider>>> {
        self.inner.deregister_schema(name, cascade)
    }
}
