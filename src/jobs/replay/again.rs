//! The models of a past run under the policy that it had, ready to answer as they did.
//!
//! What always holds: model and policy have the digests of the run's record. Refuses: another version in their place.

use std::sync::Arc;

use super::super::challenger::{ChallengerRows, Served};
use super::super::options::PolicyOverride;
use super::super::reclassify::Past;
use super::super::record::RunRecord;
use super::compare::session;
use crate::engine::Kernel;
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::Policy;
use crate::registry::{Loaded, ModelRef, Registry};
use crate::sql::{Classifier, Limits, ROLES};

/// One of a run's models.
pub struct Model {
    /// `champion` or `challenger`.
    pub role: &'static str,
    pub loaded: Arc<Loaded>,
    /// The policy in force.
    pub policy: Policy,
    pub classifier: Arc<Classifier>,
}

/// See the module.
pub struct Again {
    pub run: RunRecord,
    /// That of the run, and the challenger if it had one.
    pub models: Vec<Model>,
    pub(super) beside: Option<Served>,
    /// What a reclassification read and rested on; `None` for other runs.
    pub past: Option<Past>,
}

impl Again {
    /// The model of the run.
    pub fn champion(&self) -> Result<&Model> {
        self.models.first().ok_or_else(|| Error::Bug("a run has no model".into()))
    }

    /// Loads what a run was made with, to be asked on a kernel, which is the fastest of the machine unless one is named.
    ///
    /// # Errors
    /// `Registry` when a version is gone or is another one, `Input` when the record does not hold together.
    pub async fn load(run: RunRecord, registry: &Registry, kernel: Option<Kernel>) -> Result<Again> {
        if !["classify", "backfill", "reclassify"].contains(&run.command.as_str()) {
            return Err(Error::Usage(format!(
                "run {} was made by {}; only runs of classify, backfill and reclassify can be replayed",
                run.run_id, run.command
            )));
        }
        let on = |classifier: Classifier| match kernel {
            Some(kernel) => classifier.on(kernel),
            None => classifier,
        };
        let loaded = load(registry, &run, &run.model_name, run.model_version, &run.model_digest).await?;
        let given: Policy = serde_json::from_str(&run.policy_json).map_err(|e| {
            Error::Input(format!("the policy in the record of run {}: {e}; the record was changed", run.run_id))
        })?;
        let policy = in_force(&loaded.bundle.policy, &given, &run.policy_digest);
        let policy = policy.filter(|policy| serde_json::to_string(policy).is_ok_and(|text| text == run.policy_json));
        let policy = policy.ok_or_else(|| {
            Error::Input(format!(
                "the policy in the record of run {} is not the one whose digest stands there, {}, nor that of {}@{} with \
                 other numbers: the record was changed, or written by a version of the program that is too old for this \
                 one ({})",
                run.run_id, run.policy_digest, run.model_name, run.model_version, run.program_version
            ))
        })?;
        let classifier = Arc::new(on(Classifier::new(&loaded, &policy)?));
        let mut models = vec![Model { role: ROLES[0], loaded, policy, classifier }];
        let beside = match &run.challenger.challenger_name {
            None => None,
            Some(name) => {
                let (model, served) = challenger(registry, &run, name, &given, &on).await?;
                models.push(model);
                Some(served)
            }
        };
        Ok(Again { run, models, beside, past: None })
    }

    /// Looks for what the run read of the lake itself, if it did.
    ///
    /// # Errors
    /// As those of opening the past.
    pub async fn look_back(mut self, lake: &Place, limits: Limits, batch_rows: Option<usize>) -> Result<Again> {
        if self.run.command == "reclassify" {
            let classifier = Arc::clone(&self.champion()?.classifier);
            self.past = Some(Past::open(session(limits, batch_rows)?, lake, &self.run, classifier).await?);
        }
        Ok(self)
    }
}

async fn challenger(
    registry: &Registry,
    run: &RunRecord,
    name: &str,
    given: &Policy,
    on: &impl Fn(Classifier) -> Classifier,
) -> Result<(Model, Served)> {
    let record = &run.challenger;
    let lacks =
        |what: &str| Error::Input(format!("the record of run {} names a challenger and no {what} of it", run.run_id));
    let version = record.challenger_version.ok_or_else(|| lacks("version"))?;
    let digest = record.challenger_digest.as_deref().ok_or_else(|| lacks("digest"))?;
    let policy_digest = record.challenger_policy_digest.as_deref().ok_or_else(|| lacks("policy"))?;
    let rows: ChallengerRows = record.challenger_rows.as_deref().ok_or_else(|| lacks("choice of rows"))?.parse()?;
    let split_ratio = record.split_ratio.ok_or_else(|| lacks("share"))?;
    let loaded = load(registry, run, name, version, digest).await?;
    let policy = in_force(&loaded.bundle.policy, given, policy_digest).ok_or_else(|| {
        Error::Input(format!(
            "the policy of the challenger of run {} (digest {policy_digest}) cannot be made again from that of \
             {name}@{version} and the record: the record was changed",
            run.run_id
        ))
    })?;
    let classifier = Arc::new(on(Classifier::new(&loaded, &policy)?.beside()));
    let served = Served::new(Arc::clone(&classifier), rows, split_ratio);
    Ok((Model { role: ROLES[1], loaded, policy, classifier }, served))
}

/// A version with the digest that the run says.
async fn load(registry: &Registry, run: &RunRecord, name: &str, version: u64, digest: &str) -> Result<Arc<Loaded>> {
    let used = || format!("run {} was made with {name}@{version}", run.run_id);
    let loaded = registry.load(&ModelRef::numbered(name, version)?).await.context(used)?;
    if loaded.bundle.digest != digest {
        return Err(Error::Registry(format!(
            "{} of digest {digest}; the one in {} has digest {}: name the registry that holds the other with --registry, or \
             restore it from a backup",
            used(),
            registry.place().url(),
            loaded.bundle.digest
        )));
    }
    Ok(Arc::new(loaded))
}

/// A bundle's policy with those of three numbers and lists that a flag may have changed as `given` has them, of all ways the
/// one with this digest. So each number is the bundle's own or the flag's, to the last bit, and none was read from a text in
/// between.
fn in_force(bundle: &Policy, given: &Policy, digest: &str) -> Option<Policy> {
    let ways = (0..8u8).filter_map(|way| {
        let changes = PolicyOverride {
            threshold: (way & 1 != 0).then_some(given.threshold),
            audit_ratio: (way & 2 != 0).then_some(given.audit_ratio),
            vague: (way & 4 != 0).then(|| (String::new(), given.vague.clone())),
        };
        changes.apply(bundle).ok().map(|(policy, _)| policy)
    });
    ways.chain([given.clone()]).find(|policy| policy.digest() == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_made_again_from_the_bundles_and_what_a_flag_changed() {
        let bundle = Policy { target_precision: 0.1 + 0.2, threshold: 0.7, ..Policy::default() };
        for (threshold, audit_ratio, vague) in [
            (None, None, None),
            (Some(0.25), None, None),
            (None, Some(0.017), None),
            (Some(0.7), Some(0.01), Some(("file".to_string(), vec!["cargo".to_string()]))),
        ] {
            let changes = PolicyOverride { threshold, audit_ratio, vague };
            let (policy, _) = changes.apply(&bundle).unwrap();
            let text = serde_json::to_string(&policy).unwrap();
            let given: Policy = serde_json::from_str(&text).unwrap();
            let found = in_force(&bundle, &given, &policy.digest()).unwrap();
            assert_eq!((found.digest(), serde_json::to_string(&found).unwrap()), (policy.digest(), text));
        }
        assert!(in_force(&bundle, &bundle, "another").is_none());
    }
}
