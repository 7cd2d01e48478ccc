//! `versions/<n>/`: the folder of a bundle, written once and read whole.
//!
//! `claim.json` is created if absent and takes the number, so two registrars never mix their files; the files follow;
//! `manifest.json` is created last. Always holds: a version exists exactly when its manifest does, and nothing of it changes
//! afterwards. A number that was taken and has no manifest was abandoned and is never used again. Refuses: replacing or
//! deleting a version, and a bundle that cannot be read.

use std::collections::HashMap;

use bytes::Bytes;

use super::Registry;
use super::digested::digested;
use super::reference::version_number;
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::manifest::{FILES, MANIFEST, MAX_MANIFEST_BYTES};
use crate::model::{Bundle, Digested, Files, Manifest};
use crate::tariff::{Codes, Edition};

/// Takes a number.
pub(super) const CLAIM: &str = "claim.json";
/// Numbers that one registrar tries; only as many are lost as there are others at the same moment.
const MAX_CLAIMS: u64 = 1_000;

impl Registry {
    /// Writes the files of [`Bundle::build`] as the next version; gives its number and digest.
    pub(super) async fn put_version(&self, name: &str, files: Files, nonce: &str) -> Result<(u64, String)> {
        let (bundle, manifest, files) = whole(name, files)?;
        // With the digest in it, equal claims are by the same registrar for the same bytes.
        let claim = format!("{{\n  \"nonce\": \"{nonce}\",\n  \"model_digest\": \"{}\"\n}}\n", bundle.digest);
        let (version, folder) = self.claim(name, &claim).await?;
        for (file, bytes) in files {
            folder.put(&file, Bytes::from(bytes)).await?;
        }
        match folder.create(MANIFEST, Bytes::from(manifest)).await? {
            true => Ok((version, bundle.digest)),
            false => Err(Error::RaceLost(format!(
                "{name}@{version} was completed by another although its number was taken here; run again"
            ))),
        }
    }

    /// The folder of a version.
    pub(super) fn folder(&self, name: &str, version: u64) -> Place {
        self.place.child(&format!("{name}/versions/{version}"))
    }

    /// The manifest's bytes; `None` when there is no such version.
    pub(super) async fn manifest(&self, name: &str, version: u64) -> Result<Option<Bytes>> {
        self.folder(name, version).get_bounded(MANIFEST, MAX_MANIFEST_BYTES).await.map_err(as_refusal)
    }

    /// Takes the first number above all that were ever taken.
    async fn claim(&self, name: &str, claim: &str) -> Result<(u64, Place)> {
        let first = self.numbers(name).await?.highest_taken + 1;
        for version in first..first.saturating_add(MAX_CLAIMS) {
            let folder = self.folder(name, version);
            if folder.create(CLAIM, Bytes::copy_from_slice(claim.as_bytes())).await? {
                return Ok((version, folder));
            }
        }
        Err(Error::RaceLost(format!("{name}: others took {MAX_CLAIMS} version numbers meanwhile; run again")))
    }

    pub(super) async fn numbers(&self, name: &str) -> Result<Numbers> {
        let mut numbers = Numbers::default();
        let below = format!("{name}/versions/");
        for listed in self.place.list(&format!("{name}/versions")).await? {
            let Some((number, file)) = listed.name.strip_prefix(&below).and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            let Some(number) = version_number(number) else { continue };
            numbers.highest_taken = numbers.highest_taken.max(number);
            if file == MANIFEST {
                numbers.complete.push(number);
            }
        }
        numbers.complete.sort_unstable();
        Ok(numbers)
    }
}

/// What lies below `<name>/versions`.
#[derive(Default)]
pub(super) struct Numbers {
    /// With a manifest, in ascending order.
    pub complete: Vec<u64>,
    /// With anything at all; 0 when nothing is there.
    pub highest_taken: u64,
}

/// Reads the rest of a version and checks all of it.
pub(super) async fn read(folder: &Place, name: &str, manifest_bytes: &[u8]) -> Result<Bundle> {
    // The manifest bounds every size before a byte of a file is asked for.
    let manifest = Manifest::parse(manifest_bytes)?;
    check_registered_as(name, &manifest)?;
    let mut files = HashMap::new();
    for file in &manifest.files {
        if let Some(read) = digested(folder, &file.path, file.size_bytes).await.map_err(as_refusal)? {
            files.insert(file.path.clone(), read);
        }
    }
    let bundle = Bundle::decode(manifest_bytes, |file| match files.remove(&file.path) {
        Some(read) => Ok(read),
        None => Err(Error::Registry("it is missing; restore it from a backup or use another version".to_owned())),
    })?;
    // A model must never answer with a code that its edition does not have.
    let edition: Edition = bundle.labels.edition.parse().map_err(as_refusal)?;
    bundle.check_labels(|code| Codes::builtin(edition).contains(code))?;
    Ok(bundle)
}

/// A registry's file that is too large is the model owner's business, not that of the owner of the input.
pub(super) fn as_refusal(e: Error) -> Error {
    match e {
        Error::Input(why) => Error::Registry(format!("{why}; restore it from a backup or use another version")),
        e => e,
    }
}

/// Reads the files as a reader would, and takes the manifest out of them.
fn whole(name: &str, mut files: Files) -> Result<(Bundle, Vec<u8>, Files)> {
    let manifest = match files.pop() {
        Some((file, bytes)) if file == MANIFEST && files.len() == FILES.len() => bytes,
        _ => {
            return Err(Error::Bug(format!("{name}: a bundle is {} files and then {MANIFEST}", FILES.len())));
        }
    };
    let bundle = Bundle::decode(&manifest, |described| {
        let found = files.iter().find(|(file, _)| *file == described.path);
        let found = found.map(|(_, bytes)| Digested::of(bytes.clone()));
        found.ok_or_else(|| Error::Registry("it is missing; build it again".to_owned()))
    })
    .context(|| format!("{name} cannot be registered"))?;
    check_registered_as(name, &bundle.manifest)?;
    Ok((bundle, manifest, files))
}

fn check_registered_as(name: &str, manifest: &Manifest) -> Result<()> {
    if manifest.name == name {
        return Ok(());
    }
    Err(Error::Registry(format!(
        "{MANIFEST}: the model was built as {:?} and not as {name}; register it under its own name",
        manifest.name
    )))
}
