//! The models of a run for a pack: what they are, and what had happened to them when the run began.

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::jobs::{Again, Model};
use crate::model::Manifest;
use crate::model::manifest::ManifestFile;
use crate::registry::{AsOf, Event, Registry};

/// Name of the model card in a bundle.
const CARD: &str = "README.md";

/// An event of the registry, and the digest of its file.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    pub file_sha256: Option<String>,
    pub event: Event,
}

/// What the registry says of a version.
#[derive(Debug, Serialize)]
pub(super) struct Chain {
    /// The moment up to which events are told: when the run began.
    pub until: String,
    /// Whether the chain of all events of the model holds together.
    pub whole: bool,
    /// Why it does not.
    pub why: Option<String>,
    /// Events of the model up to then, those of other versions included.
    pub events_until: u64,
    /// Aliases that named the version then.
    pub aliases: Vec<String>,
    /// Events that concern the version.
    pub events: Vec<Recorded>,
}

/// One model of a run.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    pub role: &'static str,
    pub name: String,
    pub version: u64,
    pub digest: String,
    /// Digest of the model card, of the bytes that were read.
    pub card_sha256: String,
    pub manifest: Manifest,
    pub policy_digest: String,
    pub registry: Chain,
}

/// What is known of the models of a run.
pub(super) async fn facts(again: &Again, registry: &Registry) -> Result<Vec<Facts>> {
    let mut all = Vec::new();
    for Model { role, loaded, classifier, .. } in &again.models {
        let bundle = &loaded.bundle;
        all.push(Facts {
            role,
            name: loaded.name.clone(),
            version: loaded.version,
            digest: bundle.digest.clone(),
            card_sha256: ManifestFile::describe(CARD, bundle.card.as_bytes()).sha256,
            manifest: bundle.manifest.clone(),
            policy_digest: classifier.identity.policy_digest.clone(),
            registry: chain(registry, &loaded.name, loaded.version, &again.run.started_at).await?,
        });
    }
    Ok(all)
}

async fn chain(registry: &Registry, name: &str, version: u64, until: &str) -> Result<Chain> {
    let told = |whole, why| Chain {
        until: until.to_string(),
        whole,
        why,
        events_until: 0,
        aliases: Vec::new(),
        events: Vec::new(),
    };
    let history = match registry.history(name).await {
        Ok(history) => history,
        // A chain that is damaged is a finding, and what it says is no evidence.
        Err(Error::Registry(why)) => return Ok(told(false, Some(why))),
        Err(e) => return Err(e),
    };
    let moment: AsOf = until.parse()?;
    let mut chain = told(true, None);
    for event in history.events() {
        if event.time()? > moment.last() {
            break;
        }
        chain.events_until += 1;
        if event.version == version || event.replaced_version == Some(version) {
            let file_sha256 = history.file_digest(event.number).map(str::to_string);
            chain.events.push(Recorded { file_sha256, event: event.clone() });
        }
    }
    let state = history.state_at(&moment)?;
    chain.aliases =
        state.aliases().filter(|(_, held)| held.version == version).map(|(alias, _)| alias.into()).collect();
    Ok(chain)
}

/// Wording of a code and of what it belongs to; `null` where there is none.
pub(super) fn wording(names: Option<&crate::tariff::Names>, code: &str) -> Value {
    let of = |digits: usize| code.get(..digits).and_then(|code| names?.of(code));
    json!({"chapter": of(2), "heading": of(4), "subheading": of(6)})
}
