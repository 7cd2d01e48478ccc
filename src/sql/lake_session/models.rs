//! Models that were loaded, by digest, so that a query or a refresh loads none twice.
//!
//! Always holds: what is kept is what the registry says the reference means now. Of two that want the same model at once one
//! loads it. Refuses: keeping more than a few; a query holds its own as long as it runs.

use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::registry::{ModelRef, Registry, Target};
use crate::sql::functions::Model;

/// Models that are kept when no query holds them.
const KEPT: usize = 4;

/// A version of a name, with its digest.
type Key = (String, u64, String);

/// See the module.
#[derive(Default)]
pub(super) struct Models {
    /// The one that was used last comes last.
    kept: Mutex<Vec<(Key, Model)>>,
    loading: tokio::sync::Mutex<()>,
}

impl Models {
    /// The model that a reference means now.
    ///
    /// # Errors
    /// Those of [`Registry::load`].
    pub(super) async fn get(&self, registry: &Registry, reference: &ModelRef) -> Result<Model> {
        let key = of(reference, registry.resolve(reference).await?);
        if let Some(model) = self.kept(&key) {
            return Ok(model);
        }
        let _alone = self.loading.lock().await;
        if let Some(model) = self.kept(&key) {
            return Ok(model);
        }
        let loaded = registry.load(reference).await?;
        let target = Target { version: loaded.version, digest: loaded.bundle.digest.clone() };
        let compiled = tokio::task::spawn_blocking(move || Model::new(loaded)).await;
        let model = compiled.map_err(|e| Error::Bug(format!("compiling {reference}: {e}")))??;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((of(reference, target), model.clone()));
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Ok(model)
    }

    fn kept(&self, key: &Key) -> Option<Model> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, _)| of == key)?;
        let used = kept.remove(at);
        let model = used.1.clone();
        kept.push(used);
        Some(model)
    }
}

fn of(reference: &ModelRef, target: Target) -> Key {
    (reference.name().to_string(), target.version, target.digest)
}
