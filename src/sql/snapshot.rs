//! What queries see between two refreshes of a lake session.
//!
//! Always holds: a snapshot never changes, but for what is found on demand and then kept: the tariff, and the version that a
//! reference means. Two queries of one snapshot get one answer to either.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use datafusion::execution::runtime_env::RuntimeEnv;
use tokio::sync::OnceCell;

use super::functions::{Lookup, Model};
use super::lake_tables::LakeTables;
use super::{Limits, session_on};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::registry::Registry;
use crate::tariff::Tariff;

/// What stays the same over all snapshots of a session.
pub(super) struct Lake {
    pub place: Place,
    pub registry: Option<Registry>,
    pub limits: Limits,
    pub runtime: Arc<RuntimeEnv>,
}

/// See the module.
pub(super) struct Snapshot {
    pub lake: Arc<Lake>,
    pub tables: Arc<LakeTables>,
    tariff: Arc<OnceCell<Arc<Lookup>>>,
    /// Models by the reference that named them; `None` is the session's.
    resolved: Mutex<HashMap<Option<String>, Model>>,
}

impl Snapshot {
    pub(super) fn new(lake: Arc<Lake>, tables: Arc<LakeTables>) -> Snapshot {
        Snapshot { lake, tables, tariff: Arc::default(), resolved: Mutex::default() }
    }

    /// The snapshot after this one, with these tables; references are to be resolved anew.
    pub(super) fn next(&self, tables: Arc<LakeTables>) -> Snapshot {
        let same = [Contract::Nomenclature, Contract::Correlations]
            .iter()
            .all(|of| tables.version(*of) == self.tables.version(*of));
        let tariff = if same { Arc::clone(&self.tariff) } else { Arc::default() };
        Snapshot { lake: Arc::clone(&self.lake), tables, tariff, resolved: Mutex::default() }
    }

    /// The tariff, read when it is first asked for.
    ///
    /// # Errors
    /// Those of [`Tariff::load`].
    pub(super) async fn lookup(&self) -> Result<Arc<Lookup>> {
        let load = || async {
            let context = session_on(self.lake.limits, Arc::clone(&self.lake.runtime));
            for (name, provider) in self.tables.iter() {
                context.register_table(name, Arc::clone(provider))?;
            }
            Ok::<_, Error>(Arc::new(Lookup::new(Tariff::load(&context).await?)))
        };
        self.tariff.get_or_try_init(load).await.cloned()
    }

    /// The model that a reference means here, if it was resolved.
    pub(super) fn model(&self, reference: &Option<String>) -> Option<Model> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned()
    }

    /// Keeps what a reference means; of two that were found at the same time the first stays.
    pub(super) fn keep(&self, reference: Option<String>, model: Model) -> Model {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).entry(reference).or_insert(model).clone()
    }
}

/// The newest snapshot, which a refresh replaces, or one that stays.
#[derive(Clone)]
pub(super) enum Now {
    Newest(Arc<RwLock<Arc<Snapshot>>>),
    Fixed(Arc<Snapshot>),
}

impl Now {
    pub(super) fn get(&self) -> Arc<Snapshot> {
        match self {
            Now::Newest(newest) => Arc::clone(&newest.read().unwrap_or_else(PoisonError::into_inner)),
            Now::Fixed(snapshot) => Arc::clone(snapshot),
        }
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lake {}", self.get().lake.place.url())
    }
}
