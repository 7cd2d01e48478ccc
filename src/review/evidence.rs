//! Words that speak for a code, by the model version that gave it.
//!
//! A version that is not in the registry, or is another than the row says, explains nothing; which ones, and why, is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::queue::Waiting;
use crate::error::Result;
use crate::registry::{ModelRef, Registry};
use crate::sql::{Classifier, Explainer, Explanation};

/// Words that are shown.
const WORDS: usize = 5;

/// Versions by name, number and digest.
type Version = (String, i64, String);

/// See the module.
pub(super) struct Evidence {
    registry: Registry,
    /// One version for all rows, instead of those that made them.
    fixed: Option<Explainer>,
    versions: BTreeMap<Version, std::result::Result<Explainer, String>>,
}

impl Evidence {
    /// By the versions that made the rows, or by one for all.
    ///
    /// # Errors
    /// `Registry` when that one cannot be loaded.
    pub async fn new(registry: Registry, model: Option<&ModelRef>) -> Result<Evidence> {
        let fixed = match model {
            Some(model) => Some(explainer(&registry, model).await?.0),
            None => None,
        };
        Ok(Evidence { registry, fixed, versions: BTreeMap::new() })
    }

    /// The words of each row, `None` where nothing can be said.
    ///
    /// # Errors
    /// What an explanation gives.
    pub async fn of(&mut self, rows: &[Waiting]) -> Result<Vec<Option<String>>> {
        if self.fixed.is_none() {
            for row in rows {
                self.load(row).await;
            }
        }
        let this = &*self;
        // Every row by itself: a text is explained in a fraction of a second.
        rows.par_iter().map(|row| this.words(row)).collect()
    }

    /// Versions that explain nothing, each with the reason.
    pub fn missing(&self) -> Vec<String> {
        let why = |((name, version, _), found): (&Version, &std::result::Result<_, String>)| {
            found.as_ref().err().map(|why| format!("{name}@{version}: {why}"))
        };
        self.versions.iter().filter_map(why).collect()
    }

    async fn load(&mut self, row: &Waiting) {
        let version = (row.model_name.clone(), row.model_version, row.model_digest.clone());
        if self.versions.contains_key(&version) {
            return;
        }
        let number = u64::try_from(row.model_version).unwrap_or(0);
        let found = match ModelRef::numbered(&row.model_name, number) {
            Ok(model) => explainer(&self.registry, &model).await,
            Err(e) => Err(e),
        };
        let found = match found {
            Ok((explainer, digest)) if digest == row.model_digest => Ok(explainer),
            Ok(_) => Err("the registry has another model under that number".into()),
            Err(e) => Err(e.to_string()),
        };
        self.versions.insert(version, found);
    }

    fn words(&self, row: &Waiting) -> Result<Option<String>> {
        let Some(text) = &row.description else { return Ok(None) };
        let of_row = || {
            let version = (row.model_name.clone(), row.model_version, row.model_digest.clone());
            self.versions.get(&version).and_then(|found| found.as_ref().ok())
        };
        let Some(explainer) = self.fixed.as_ref().or_else(of_row) else { return Ok(None) };
        Ok(explainer.explain(text)?.and_then(|found| told(&found, row.hs6.as_deref())))
    }
}

async fn explainer(registry: &Registry, model: &ModelRef) -> Result<(Explainer, String)> {
    let loaded = Arc::new(registry.load(model).await?);
    let digest = loaded.bundle.digest.clone();
    let classifier = Arc::new(Classifier::new(&loaded, &loaded.bundle.policy)?);
    Ok((Explainer::new(loaded, classifier), digest))
}

/// `bottles +2.1, plastic +1.4`; before it the code that they speak for, where that is not the one that is shown.
fn told(found: &Explanation, shown: Option<&str>) -> Option<String> {
    let mut words: Vec<(&str, f64)> =
        found.words.iter().map(String::as_str).zip(found.parts.words.iter().copied()).collect();
    words.retain(|(_, part)| *part > 0.0);
    words.sort_by(|a, b| b.1.total_cmp(&a.1));
    let told: Vec<String> = words.iter().take(WORDS).map(|(word, part)| format!("{word} {part:+.1}")).collect();
    if told.is_empty() {
        return None;
    }
    let code = &found.first.0;
    match shown {
        Some(shown) if shown != code => Some(format!("for {code}: {}", told.join(", "))),
        _ => Some(told.join(", ")),
    }
}
