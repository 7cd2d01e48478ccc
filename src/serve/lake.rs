//! The lake as the server sees it: one set of tables and models for all connections, looked at again between statements.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;

use super::bounds::{Casts, HeldLiterals, Steps, held_functions};
use super::catalog::Catalog;
use super::fault::Answer;
use crate::error::Result;
use crate::sql::{LakeOptions, LakeSession};

/// How long nobody looks again.
const REST: Duration = Duration::from_secs(1);
/// How long a statement waits for a look; it goes on with what was seen before.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Lake {
    session: LakeSession,
    catalog: Catalog,
    looked: Mutex<Instant>,
    /// Goes up with every look: a plan that was made before may be out of date.
    look: AtomicU64,
}

/// The default model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelNow {
    pub name: String,
    pub version: u64,
    pub digest: String,
}

impl Lake {
    /// Opens the lake and loads the default model, so that the first statement finds it.
    ///
    /// # Errors
    /// As [`LakeSession::open`] and [`LakeSession::model`].
    pub async fn open(options: LakeOptions) -> Result<Lake> {
        let needs_model = options.model.is_some();
        let session = LakeSession::open(options).await?;
        if needs_model {
            session.model(None).await?;
        }
        let catalog = Catalog::new()?;
        Ok(Lake { session, catalog, looked: Mutex::new(Instant::now()), look: AtomicU64::new(0) })
    }

    /// A session for one connection, which looks like PostgreSQL and whose functions are held to bounds.
    pub fn connect(&self, user: &str, number: i32) -> Answer<LakeSession> {
        let session = self.session.beside()?;
        let context = session.context();
        self.catalog.install(context, user, number)?;
        for function in held_functions(context.state().scalar_functions().values()) {
            context.register_udf(function);
        }
        let state = context.state();
        let mut planners = FunctionRegistry::expr_planners(&state);
        if let Some(literals) = HeldLiterals::of(state.scalar_functions()) {
            planners.insert(0, Arc::new(literals));
        }
        let held = SessionStateBuilder::new_from_existing(state)
            .with_expr_planners(planners)
            .with_optimizer_rule(Arc::new(Casts))
            .with_physical_optimizer_rule(Arc::new(Steps))
            .build();
        *context.state_ref().write() = held;
        Ok(session)
    }

    /// Looks whether tables or aliases have moved, at most once a second. The number of the look that counts for a plan made
    /// now, and whether looking failed.
    pub async fn look(&self) -> (u64, bool) {
        let due = {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            let due = looked.elapsed() >= REST;
            if due {
                *looked = Instant::now();
            }
            due
        };
        let mut failed = false;
        if due {
            match tokio::time::timeout(PATIENCE, self.session.refresh()).await {
                Ok(Ok(_)) => {
                    self.look.fetch_add(1, Ordering::Release);
                }
                Ok(Err(e)) => {
                    failed = true;
                    tracing::warn!(error = %e, "the lake cannot be looked at: statements read what was seen before");
                }
                Err(_) => {
                    failed = true;
                    tracing::warn!("looking at the lake takes long: statements read what was seen before");
                }
            }
        }
        (self.look.load(Ordering::Acquire), failed)
    }

    /// The default model, where there is one and it can be loaded.
    pub async fn model(&self) -> Option<ModelNow> {
        let model = self.session.model(None).await.ok()?;
        let identity = &model.classifier().identity;
        Some(ModelNow {
            name: identity.model_name.clone(),
            version: identity.model_version,
            digest: identity.model_digest.clone(),
        })
    }
}
