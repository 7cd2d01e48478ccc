//! The registry: model versions by name and number, in a folder or a bucket, without a server.
//!
//! `<name>/versions/<n>/claim.json` is created if absent and takes the number, so two registrars never mix their
//! files; the files follow; `manifest.json` is created last. Always holds: a version exists exactly when its
//! manifest does, and nothing of it changes afterwards. A number that was taken and has no manifest was
//! abandoned and is never used again. Refuses: replacing or deleting a version, and a bundle that cannot be read.

use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::manifest::{FILES, MANIFEST, MAX_MANIFEST_BYTES};
use crate::model::{Bundle, Files, Manifest};
use crate::tariff::{Codes, Edition};
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

const CLAIM: &str = "claim.json";
/// Numbers that one registrar tries; only as many are lost as there are others at the same moment.
const MAX_CLAIMS: u64 = 1_000;

/// A model as the user names it: `hs@7`, `hs@latest`, `hs` (the latest), `hs@champion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    name: String,
    selector: Selector,
}

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The highest number.
    Latest,
    Version(u64),
    /// A name or a date that the registry would have to look up.
    Alias(String),
}

impl ModelRef {
    /// The latest version of the model `name`.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is no name.
    pub fn latest(name: &str) -> Result<ModelRef> {
        check_name(name)?;
        Ok(ModelRef { name: name.to_owned(), selector: Selector::Latest })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn selector(&self) -> &Selector {
        &self.selector
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelRef> {
        let Some((name, selector)) = text.split_once('@') else {
            return ModelRef::latest(text);
        };
        check_name(name)?;
        let selector = match selector {
            "latest" => Selector::Latest,
            number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Selector::Version(
                version_number(number)
                    .ok_or_else(|| Error::Usage(format!("{text}: {number} is no version number; write {name}@1")))?,
            ),
            alias if is_name(alias) => Selector::Alias(alias.to_owned()),
            _ => {
                return Err(Error::Usage(format!("{text:?} names no model version; write {name}@7 or {name}@latest")));
            }
        };
        Ok(ModelRef { name: name.to_owned(), selector })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.selector {
            Selector::Latest => write!(f, "{}@latest", self.name),
            Selector::Version(n) => write!(f, "{}@{n}", self.name),
            Selector::Alias(alias) => write!(f, "{}@{alias}", self.name),
        }
    }
}

/// A version that was read and found whole.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub name: String,
    pub version: u64,
    pub bundle: Bundle,
}

/// The model versions below one place.
#[derive(Debug, Clone)]
pub struct Registry {
    place: Place,
}

impl Registry {
    pub fn new(place: Place) -> Registry {
        Registry { place }
    }

    /// The versions of a model, in ascending order; empty when there is no such model.
    ///
    /// # Errors
    /// [`Error::Usage`] when `name` is no name, and those of the store.
    pub async fn versions(&self, name: &str) -> Result<Vec<u64>> {
        check_name(name)?;
        Ok(self.numbers(name).await?.complete)
    }

    /// Reads a version and checks all of it.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version or it is not whole, and those of the store.
    pub async fn load(&self, model: &ModelRef) -> Result<Loaded> {
        let version = match &model.selector {
            Selector::Version(version) => *version,
            Selector::Latest => match self.numbers(&model.name).await?.complete.last() {
                Some(version) => *version,
                None => return Err(self.absent(model).await),
            },
            Selector::Alias(alias) => {
                return Err(Error::Registry(format!(
                    "this registry keeps no aliases or dates, so {alias:?} names no version; {}",
                    self.known(model).await?
                )));
            }
        };
        let folder = self.place.child(&format!("{}/versions/{version}", model.name));
        let Some(manifest) = folder.get_bounded(MANIFEST, MAX_MANIFEST_BYTES).await.map_err(as_refusal)? else {
            return Err(self.absent(model).await);
        };
        let named = || format!("{}@{version}", model.name);
        let bundle = read(&folder, &model.name, &manifest).await.context(named)?;
        // A model must never answer with a code that its edition does not have.
        let edition: Edition = bundle.labels.edition.parse().map_err(as_refusal).context(named)?;
        bundle.check_labels(|code| Codes::builtin(edition).contains(code)).context(named)?;
        Ok(Loaded { name: model.name.clone(), version, bundle })
    }

    /// That a version of this name could be registered here; leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bad name, and those of the store.
    pub async fn try_writing(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.place.try_writing().await.context(|| "the registry")
    }

    /// Registers the files of [`Bundle::build`] as the next version and gives its number.
    ///
    /// `nonce` tells this registrar from all others: 8 to 128 letters, digits, `-` or `_`. A registrar that was
    /// interrupted and runs again takes a new number.
    ///
    /// # Errors
    /// [`Error::Registry`] when a reader would refuse the bundle, [`Error::Usage`] for a bad name or nonce,
    /// [`Error::RaceLost`] when too many others register at the same moment, and those of the store.
    pub async fn register(&self, name: &str, files: Files, nonce: &str) -> Result<u64> {
        check_name(name)?;
        if !(8..=128).contains(&nonce.len()) || !nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            return Err(Error::Usage(format!("nonce {nonce:?} must be 8 to 128 letters, digits, '-' or '_'")));
        }
        let (bundle, manifest, files) = whole(name, files)?;
        // With the digest in it, equal claims are by the same registrar for the same bytes.
        let claim = format!("{{\n  \"nonce\": \"{nonce}\",\n  \"model_digest\": \"{}\"\n}}\n", bundle.digest);
        let (version, folder) = self.claim(name, &claim).await?;
        for (file, bytes) in files {
            folder.put(&file, Bytes::from(bytes)).await?;
        }
        match folder.create(MANIFEST, Bytes::from(manifest)).await? {
            true => Ok(version),
            false => Err(Error::RaceLost(format!(
                "{name}@{version} was completed by another although its number was taken here; run again"
            ))),
        }
    }

    /// Takes the first number above all that were ever taken.
    async fn claim(&self, name: &str, claim: &str) -> Result<(u64, Place)> {
        let first = self.numbers(name).await?.highest_taken + 1;
        for version in first..first.saturating_add(MAX_CLAIMS) {
            let folder = self.place.child(&format!("{name}/versions/{version}"));
            if folder.create(CLAIM, Bytes::copy_from_slice(claim.as_bytes())).await? {
                return Ok((version, folder));
            }
        }
        Err(Error::RaceLost(format!("{name}: others took {MAX_CLAIMS} version numbers meanwhile; run again")))
    }

    async fn numbers(&self, name: &str) -> Result<Numbers> {
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

    async fn absent(&self, model: &ModelRef) -> Error {
        match self.known(model).await {
            Ok(known) => Error::Registry(format!(
                "{known}; to make one: harmonize train --registry {} --name {}",
                self.place.url(),
                model.name
            )),
            Err(e) => e,
        }
    }

    /// A sentence on the versions that there are.
    async fn known(&self, model: &ModelRef) -> Result<String> {
        const SHOWN: usize = 20;
        let name = &model.name;
        let all = self.numbers(name).await?.complete;
        if all.is_empty() {
            return Ok(format!("there is no version of {name} in {}", self.place.url()));
        }
        let shown: Vec<String> = all.iter().skip(all.len().saturating_sub(SHOWN)).map(u64::to_string).collect();
        let more = if all.len() > SHOWN { "…, " } else { "" };
        let shown = shown.join(", ");
        Ok(format!("{model} is not in {}; use one of the versions there are: {more}{shown}", self.place.url()))
    }
}

/// What lies below `<name>/versions`.
#[derive(Default)]
struct Numbers {
    /// With a manifest, in ascending order.
    complete: Vec<u64>,
    /// With anything at all; 0 when nothing is there.
    highest_taken: u64,
}

async fn read(folder: &Place, name: &str, manifest_bytes: &[u8]) -> Result<Bundle> {
    // The manifest bounds every size before a byte of a file is asked for.
    let manifest = Manifest::parse(manifest_bytes)?;
    check_registered_as(name, &manifest)?;
    let mut files = HashMap::new();
    for file in &manifest.files {
        let bytes = folder.get_bounded(&file.path, file.size_bytes).await.map_err(as_refusal)?;
        if let Some(bytes) = bytes {
            files.insert(file.path.clone(), bytes);
        }
    }
    Bundle::decode(manifest_bytes, |file| match files.remove(&file.path) {
        Some(bytes) => Ok(bytes.into()),
        None => Err(Error::Registry("it is missing; restore it from a backup or use another version".to_owned())),
    })
}

/// A registry's file that is too large is the model owner's business, not that of the owner of the input.
fn as_refusal(e: Error) -> Error {
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
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| Error::Registry("it is missing; build it again".to_owned()))
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

fn version_number(text: &str) -> Option<u64> {
    // One spelling a number: "007" and "+7" are other folders than "7".
    text.parse().ok().filter(|n: &u64| *n > 0 && n.to_string() == text)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Usage(format!("{name:?} is no model name; use 1 to 64 of a-z, 0-9, '_' and '-', for example hs@7")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bundle::tests::draft;

    fn files(name: &str) -> Files {
        Bundle::build(draft(name)).unwrap().1
    }

    fn registry() -> (tempfile::TempDir, Registry) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path().to_str().unwrap()).unwrap();
        (dir, Registry::new(place))
    }

    async fn refusal(registry: &Registry, model: &str) -> String {
        match registry.load(&model.parse().unwrap()).await {
            Err(Error::Registry(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn references_are_parsed_once_and_printed_in_full() {
        for (text, printed) in [("hs", "hs@latest"), ("hs@latest", "hs@latest"), ("hs@7", "hs@7")] {
            assert_eq!(text.parse::<ModelRef>().unwrap().to_string(), printed);
        }
        let alias: ModelRef = "hs_2-x@2026-01-31".parse().unwrap();
        assert_eq!((alias.name(), alias.selector()), ("hs_2-x", &Selector::Alias("2026-01-31".into())));
        let long = "a".repeat(65);
        for bad in
            ["", "@7", "HS@7", "hs@", "hs@0", "hs@07", "hs@99999999999999999999", "../hs", "hs@a/b", "hs@7@8", &long]
        {
            let error = bad.parse::<ModelRef>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{bad}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_registered_version_is_loaded_by_number_and_as_the_latest() {
        let (_dir, registry) = registry();
        assert!(registry.versions("hs").await.unwrap().is_empty());
        assert_eq!(registry.register("hs", files("hs"), "registrar-1").await.unwrap(), 1);
        assert_eq!(registry.register("hs", files("hs"), "registrar-1").await.unwrap(), 2);
        let loaded = registry.load(&"hs".parse().unwrap()).await.unwrap();
        assert_eq!((loaded.name.as_str(), loaded.version), ("hs", 2));
        assert_eq!(loaded.bundle.digest, Bundle::build(draft("hs")).unwrap().0.digest);
        assert_eq!(registry.load(&"hs@1".parse().unwrap()).await.unwrap().version, 1);
        assert_eq!(registry.versions("hs").await.unwrap(), [1, 2]);
        assert!(registry.versions("h").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_not_there_is_answered_with_what_is() {
        let (_dir, registry) = registry();
        let none = refusal(&registry, "hs").await;
        assert!(
            none.contains("there is no version of hs") && none.contains("harmonize train --registry file:///"),
            "{none}"
        );
        for _ in 0..3 {
            registry.register("hs", files("hs"), "registrar").await.unwrap();
        }
        assert!(refusal(&registry, "hs@9").await.contains("hs@9 is not in file:///"));
        assert!(refusal(&registry, "hs@9").await.contains("versions there are: 1, 2, 3"));
        let alias = refusal(&registry, "hs@champion").await;
        assert!(alias.contains("keeps no aliases") && alias.contains("1, 2, 3"), "{alias}");
    }

    #[tokio::test]
    async fn a_number_without_a_manifest_was_abandoned_and_is_skipped() {
        let (dir, registry) = registry();
        registry.register("hs", files("hs"), "registrar").await.unwrap();
        let abandoned = dir.path().join("hs/versions/2");
        std::fs::create_dir_all(&abandoned).unwrap();
        std::fs::write(abandoned.join(CLAIM), "{}").unwrap();
        std::fs::write(abandoned.join("model.safetensors"), "half").unwrap();
        std::fs::create_dir_all(dir.path().join("hs/versions/007")).unwrap();
        std::fs::write(dir.path().join("hs/versions/007/manifest.json"), "{}").unwrap();
        assert_eq!(registry.versions("hs").await.unwrap(), [1]);
        assert!(refusal(&registry, "hs@2").await.contains("hs@2 is not in"));
        assert_eq!(registry.register("hs", files("hs"), "registrar").await.unwrap(), 3);
        assert_eq!(registry.versions("hs").await.unwrap(), [1, 3]);
        assert_eq!(std::fs::read(abandoned.join("model.safetensors")).unwrap(), b"half");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_registrars_get_eight_whole_versions() {
        let (_dir, registry) = registry();
        let racers: Vec<_> = (0..8u64)
            .map(|i| {
                let registry = registry.clone();
                let mut own = draft("hs");
                own.seed = i;
                let files = Bundle::build(own).unwrap().1;
                // One nonce for all: the digests in the claims still tell them apart.
                tokio::spawn(async move { (registry.register("hs", files, "same-nonce").await.unwrap(), i) })
            })
            .collect();
        let mut got = Vec::new();
        for racer in racers {
            got.push(racer.await.unwrap());
        }
        got.sort_unstable();
        assert!(got.iter().map(|(version, _)| *version).eq(1..=8), "{got:?}");
        for (version, seed) in got {
            let loaded = registry.load(&format!("hs@{version}").parse().unwrap()).await.unwrap();
            assert_eq!(loaded.bundle.manifest.seed, seed);
        }
    }

    #[tokio::test]
    async fn a_damaged_version_is_refused_with_its_name_and_file() {
        let (dir, registry) = registry();
        registry.register("hs", files("hs"), "registrar").await.unwrap();
        let weights = dir.path().join("hs/versions/1/model.safetensors");
        let good = std::fs::read(&weights).unwrap();

        let mut flipped = good.clone();
        flipped[70] ^= 1;
        std::fs::write(&weights, flipped).unwrap();
        let why = refusal(&registry, "hs@1").await;
        assert!(why.starts_with("hs@1: model.safetensors: digest is "), "{why}");

        std::fs::write(&weights, [good.clone(), vec![0]].concat()).unwrap();
        let why = refusal(&registry, "hs@1").await;
        assert!(why.contains("model.safetensors") && why.contains("bytes is more than"), "{why}");

        std::fs::remove_file(&weights).unwrap();
        assert!(refusal(&registry, "hs@1").await.starts_with("hs@1: model.safetensors: it is missing; "));

        std::fs::write(dir.path().join("hs/versions/1/manifest.json"), "{}").unwrap();
        assert!(refusal(&registry, "hs@1").await.starts_with("hs@1: manifest.json: missing field"));
    }

    #[tokio::test]
    async fn a_version_under_another_models_name_is_refused() {
        let (dir, registry) = registry();
        registry.register("hs", files("hs"), "registrar").await.unwrap();
        std::fs::rename(dir.path().join("hs"), dir.path().join("other")).unwrap();
        assert!(refusal(&registry, "other@1").await.contains("built as \"hs\" and not as other"));
        let error = registry.register("third", files("hs"), "registrar").await.unwrap_err();
        assert!(error.to_string().contains("not as third"), "{error}");
    }

    #[tokio::test]
    async fn what_a_reader_would_refuse_takes_no_number() {
        let (_dir, registry) = registry();
        let mut broken = files("hs");
        broken[3].1.push(b' ');
        let error = registry.register("hs", broken, "registrar").await.unwrap_err();
        assert!(error.to_string().starts_with("hs cannot be registered: labels.json: size is"), "{error}");
        assert!(registry.register("hs", files("hs")[..8].to_vec(), "registrar").await.is_err());
        assert!(matches!(registry.register("hs", files("hs"), "a b").await, Err(Error::Usage(_))));
        assert!(registry.place.list("hs").await.unwrap().is_empty());
    }
}
