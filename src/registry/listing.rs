//! What there is, for people: the versions of a model with what became of them, and two versions side by side.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::digest_of;
use super::reference::is_name;
use super::state::State;
use super::{Loaded, Registry, signature};
use crate::error::{Error, Result};
use crate::model::Manifest;

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// An event registered it.
    Registered,
    /// It is there and no event speaks of its registration: an older program made it, or one that was interrupted.
    Unrecorded,
    Retired,
    /// Its manifest cannot be read, or is not the one of the events.
    Damaged,
    /// Events speak of it and it is not there.
    Missing,
}

impl VersionState {
    pub fn as_str(self) -> &'static str {
        match self {
            VersionState::Registered => "registered",
            VersionState::Unrecorded => "unrecorded",
            VersionState::Retired => "retired",
            VersionState::Damaged => "damaged",
            VersionState::Missing => "missing",
        }
    }
}

/// A version in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    pub name: String,
    pub version: u64,
    pub state: VersionState,
    /// The aliases that name it now.
    pub aliases: Vec<String>,
    /// SHA-256 of its manifest, as it is there, or else as the events say.
    pub digest: String,
    /// `None` when it cannot be read.
    pub manifest: Option<Manifest>,
    /// Id of the key that is said to have signed it; nothing is verified.
    pub key_id: Option<String>,
}

impl Registry {
    /// The models that there are, sorted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for listed in self.place.list("").await? {
            let mut parts = listed.name.split('/');
            if let (Some(name), Some("versions" | "events")) = (parts.next(), parts.next())
                && is_name(name)
                && names.last().is_none_or(|last| last != name)
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The versions of a model in ascending order, with what became of them. Manifests are read, other files are not.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bad name, [`Error::Registry`] when the chain of events is damaged, and those of the store.
    pub async fn summaries(&self, name: &str) -> Result<Vec<Summary>> {
        let history = self.history(name).await?;
        let state = history.state();
        let mut numbers = self.versions(name).await?;
        numbers.extend(state.versions().keys().filter(|n| !numbers.contains(n)).copied().collect::<Vec<_>>());
        numbers.sort_unstable();
        let mut all = Vec::new();
        for version in numbers {
            all.push(self.summary(name, version, state).await?);
        }
        Ok(all)
    }

    async fn summary(&self, name: &str, version: u64, state: &State) -> Result<Summary> {
        let known = state.versions().get(&version);
        let (there, bytes) = match self.manifest(name, version).await {
            Ok(bytes) => (bytes.is_some(), bytes),
            Err(Error::Registry(_)) => (true, None),
            Err(e) => return Err(e),
        };
        let digest = bytes.as_ref().map(|bytes| digest_of(bytes));
        let manifest = bytes.and_then(|bytes| Manifest::parse(&bytes).ok());
        let other = known.is_some_and(|known| digest.as_ref().is_some_and(|digest| *digest != known.digest));
        let key_id = match signature::read(&self.folder(name, version)).await {
            Ok(signature) => signature.map(|signature| signature.key_id),
            Err(Error::Registry(_)) => Some("unreadable".into()),
            Err(e) => return Err(e),
        };
        Ok(Summary {
            name: name.to_owned(),
            version,
            state: match known {
                _ if !there => VersionState::Missing,
                _ if other || manifest.is_none() => VersionState::Damaged,
                Some(known) if known.retired.is_some() => VersionState::Retired,
                Some(known) if known.registered.is_some() => VersionState::Registered,
                _ => VersionState::Unrecorded,
            },
            aliases: state.aliases().filter(|(_, held)| held.version == version).map(|(a, _)| a.into()).collect(),
            digest: digest.or_else(|| known.map(|known| known.digest.clone())).unwrap_or_default(),
            manifest,
            key_id,
        })
    }
}

/// A field of which two versions say different things.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Part of the bundle: `manifest`, `config`, `labels`, `calibration`, `policy` or `figures`.
    pub part: &'static str,
    /// Dotted path in the part.
    pub field: String,
    /// `None` where the version has no such field.
    pub left: Option<Value>,
    pub right: Option<Value>,
}

/// What two versions say differently, part by part and field by field. Lists are compared as a whole.
///
/// # Errors
/// [`Error::Bug`] when a part of a bundle that was read cannot be written.
pub fn differences(left: &Loaded, right: &Loaded) -> Result<Vec<Difference>> {
    let mut all = Vec::new();
    for ((part, left), (_, right)) in parts(left)?.into_iter().zip(parts(right)?) {
        let (mut of_left, mut of_right) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &left, &mut of_left);
        flatten("", &right, &mut of_right);
        let mut fields: Vec<&String> = of_left.keys().chain(of_right.keys()).collect();
        fields.sort_unstable();
        fields.dedup();
        for field in fields {
            let (left, right) = (of_left.get(field), of_right.get(field));
            if left != right {
                all.push(Difference { part, field: field.clone(), left: left.cloned(), right: right.cloned() });
            }
        }
    }
    all.extend(of_labels(left, right));
    Ok(all)
}

fn parts(loaded: &Loaded) -> Result<[(&'static str, Value); 5]> {
    let bundle = &loaded.bundle;
    let value = |json: serde_json::Result<Value>| json.map_err(|e| Error::Bug(format!("a part of a bundle: {e}")));
    Ok([
        ("manifest", value(serde_json::to_value(&bundle.manifest))?),
        ("config", bundle.network.config()?),
        ("calibration", value(serde_json::to_value(&bundle.calibration))?),
        ("policy", value(serde_json::to_value(&bundle.policy))?),
        ("figures", bundle.metrics.clone()),
    ])
}

/// How the label sets differ: their sizes, and the codes that only one of them has.
fn of_labels(left: &Loaded, right: &Loaded) -> Vec<Difference> {
    let (left, right) = (&left.bundle.labels.codes, &right.bundle.labels.codes);
    let only = |these: &[String], others: &[String]| {
        let codes: Vec<&String> = these.iter().filter(|code| others.binary_search(code).is_err()).collect();
        Value::from(codes.into_iter().map(String::as_str).collect::<Vec<_>>())
    };
    if left == right {
        return Vec::new();
    }
    let row = |field: &str, left: Value, right: Value| Difference {
        part: "labels",
        field: field.to_owned(),
        left: Some(left),
        right: Some(right),
    };
    vec![row("number", left.len().into(), right.len().into()), row("only here", only(left, right), only(right, left))]
}

fn flatten(name: &str, value: &Value, fields: &mut BTreeMap<String, Value>) {
    let under = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| flatten(&under(key), value, fields)),
        // The files of a manifest are known by their names.
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item.get("path").is_some()) => {
            for item in items {
                let path = item.get("path").and_then(Value::as_str).unwrap_or_default();
                flatten(&under(path), item, fields);
            }
        }
        value => drop(fields.insert(name.to_owned(), value.clone())),
    }
}
