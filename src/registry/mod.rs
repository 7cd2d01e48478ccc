//! The registry: model versions by name and number, and what became of them, in a folder or a bucket, without a server.
//!
//! `<name>/versions/<n>/` holds a bundle, `<name>/events/<n>.json` the chain of what happened, `<name>/reports/` what events
//! rest on. Nothing of it is ever changed; what an alias names is the fold over the events. `docs/formats.md` says all of it.

mod digested;
pub mod event;
mod exchange;
pub mod history;
mod listing;
mod load;
pub mod promotion;
pub mod reference;
pub mod signature;
pub mod state;
pub mod verify;
mod version;

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::{Bundle, Files};
use event::digest_of;
use reference::check_name;

pub use event::{Act, Event, Evidence, Kind};
pub use exchange::{Imported, name_in};
pub use history::History;
pub use listing::{Difference, Summary, VersionState, differences};
pub use promotion::{Deed, Target};
pub use reference::{AsOf, CHAMPION, ModelRef, Selector};
pub use signature::{PublicKey, PublicKeys, Signature, SigningKey};
pub use state::{Held, Known, State};
pub use verify::{Finding, Verified, Weight};

/// Largest report that is kept.
pub const MAX_REPORT_BYTES: u64 = 64 << 20;

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
    trusted: Option<Arc<PublicKeys>>,
}

impl Registry {
    pub fn new(place: Place) -> Registry {
        Registry { place, trusted: None }
    }

    /// The same registry, of which only versions are loaded that one of these keys signed.
    pub fn trusting(self, keys: PublicKeys) -> Registry {
        Registry { trusted: Some(Arc::new(keys)), ..self }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The versions of a model, in ascending order; empty when there is no such model.
    ///
    /// # Errors
    /// [`Error::Usage`] when `name` is no name, and those of the store.
    pub async fn versions(&self, name: &str) -> Result<Vec<u64>> {
        check_name(name)?;
        Ok(self.numbers(name).await?.complete)
    }

    /// What happened to a model's versions.
    ///
    /// # Errors
    /// [`Error::Usage`] when `name` is no name, [`Error::Registry`] when the chain is damaged, and those of the store.
    pub async fn history(&self, name: &str) -> Result<History> {
        History::read(&self.place, name).await
    }

    /// That a version of this name could be registered here; leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bad name, [`Error::Registry`] when its history is damaged, and those of the store.
    pub async fn try_writing(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.history(name).await.context(|| "the registry")?;
        self.place.try_writing().await.context(|| "the registry")
    }

    /// Registers the files of [`Bundle::build`] as the next version, records it, and gives its number.
    ///
    /// The nonce of the act tells this registrar from all others. One that was interrupted and runs again takes a new
    /// number.
    ///
    /// # Errors
    /// [`Error::Registry`] when a reader would refuse the bundle, [`Error::Usage`] for a bad name, [`Error::RaceLost`] when
    /// too many others register at the same moment, and those of the store.
    pub async fn register(&self, name: &str, files: Files, act: &Act) -> Result<u64> {
        check_name(name)?;
        let (version, digest) = self.put_version(name, files, act.nonce()).await?;
        let recorded = async { self.history(name).await?.register(&Target { version, digest }, act).await };
        let step = || format!("{name}@{version} is in the registry, but the event of it may be missing");
        recorded.await.context(step).map(|_| version)
    }

    /// Keeps a report as `reports/<sha256>.html` of the model; its digest.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bad name or a report that is too large, [`Error::Registry`] when another file has its name,
    /// and those of the store.
    pub async fn keep_report(&self, name: &str, html: Vec<u8>) -> Result<String> {
        check_name(name)?;
        if html.len() as u64 > MAX_REPORT_BYTES {
            return Err(Error::Usage(format!(
                "the report has {} bytes, at most {MAX_REPORT_BYTES} are kept",
                html.len()
            )));
        }
        let digest = digest_of(&html);
        let file = report(name, &digest);
        if self.place.create(&file, Bytes::from(html)).await? {
            return Ok(digest);
        }
        Err(Error::Registry(format!("{}/{file} is not the report of that digest; remove it", self.place.url())))
    }

    /// Signs a version that is whole, once.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version, it is damaged, or it has a signature; and those of the store.
    pub async fn sign(&self, name: &str, version: u64, key: &SigningKey) -> Result<Signature> {
        let named = || format!("{name}@{version}");
        let model = ModelRef::numbered(name, version)?;
        let Some(manifest) = self.manifest(name, version).await.context(named)? else {
            return Err(self.absent(&model).await);
        };
        let folder = self.folder(name, version);
        version::read(&folder, name, &manifest).await.context(named)?;
        signature::write(&folder, &manifest, key).await.context(named)
    }
}

/// Path of a report below the registry.
fn report(name: &str, digest: &str) -> String {
    format!("{name}/reports/{digest}.html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bundle::tests::draft;
    use crate::registry::version::CLAIM;

    fn files(name: &str) -> Files {
        Bundle::build(draft(name)).unwrap().1
    }

    fn act(nonce: &str) -> Act {
        Act::with_nonce("anna", "2026-03-01T10:00:00Z".parse().unwrap(), "a test", nonce).unwrap()
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

    #[tokio::test]
    async fn a_registered_version_is_loaded_by_number_and_as_the_latest() {
        let (_dir, registry) = registry();
        assert!(registry.versions("hs").await.unwrap().is_empty());
        assert_eq!(registry.register("hs", files("hs"), &act("registrar-1")).await.unwrap(), 1);
        assert_eq!(registry.register("hs", files("hs"), &act("registrar-1")).await.unwrap(), 2);
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
            registry.register("hs", files("hs"), &act("registrar")).await.unwrap();
        }
        assert!(refusal(&registry, "hs@9").await.contains("hs@9 is not in file:///"));
        assert!(refusal(&registry, "hs@9").await.contains("versions there are: 1, 2, 3"));
        let alias = refusal(&registry, "hs@champion").await;
        assert!(alias.contains("keeps no alias") && alias.contains("1, 2, 3"), "{alias}");
    }

    #[tokio::test]
    async fn a_number_without_a_manifest_was_abandoned_and_is_skipped() {
        let (dir, registry) = registry();
        registry.register("hs", files("hs"), &act("registrar")).await.unwrap();
        let abandoned = dir.path().join("hs/versions/2");
        std::fs::create_dir_all(&abandoned).unwrap();
        std::fs::write(abandoned.join(CLAIM), "{}").unwrap();
        std::fs::write(abandoned.join("model.safetensors"), "half").unwrap();
        std::fs::create_dir_all(dir.path().join("hs/versions/007")).unwrap();
        std::fs::write(dir.path().join("hs/versions/007/manifest.json"), "{}").unwrap();
        assert_eq!(registry.versions("hs").await.unwrap(), [1]);
        assert!(refusal(&registry, "hs@2").await.contains("hs@2 is not in"));
        assert_eq!(registry.register("hs", files("hs"), &act("registrar")).await.unwrap(), 3);
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
                tokio::spawn(async move { (registry.register("hs", files, &act("same-nonce")).await.unwrap(), i) })
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
        registry.register("hs", files("hs"), &act("registrar")).await.unwrap();
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
        let why = refusal(&registry, "hs@1").await;
        assert!(why.starts_with("hs@1: manifest.json: missing field"), "{why}");
    }

    #[tokio::test]
    async fn a_version_under_another_models_name_is_refused() {
        let (dir, registry) = registry();
        registry.register("hs", files("hs"), &act("registrar")).await.unwrap();
        std::fs::rename(dir.path().join("hs"), dir.path().join("other")).unwrap();
        assert!(refusal(&registry, "other@1").await.contains("built as \"hs\" and not as other"));
        let error = registry.register("third", files("hs"), &act("registrar")).await.unwrap_err();
        assert!(error.to_string().contains("not as third"), "{error}");
    }

    #[tokio::test]
    async fn what_a_reader_would_refuse_takes_no_number() {
        let (_dir, registry) = registry();
        let mut broken = files("hs");
        broken[3].1.push(b' ');
        let error = registry.register("hs", broken, &act("registrar")).await.unwrap_err();
        assert!(error.to_string().starts_with("hs cannot be registered: labels.json: size is"), "{error}");
        assert!(registry.register("hs", files("hs")[..8].to_vec(), &act("registrar")).await.is_err());
        assert!(matches!(Act::with_nonce("anna", chrono::Utc::now(), "a test", "a b"), Err(Error::Usage(_))));
        assert!(registry.place.list("hs").await.unwrap().is_empty());
    }
}
