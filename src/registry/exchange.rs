//! A version as a folder that others open: the layout of Hugging Face (`model.safetensors`, `tokenizer.json`,
//! `config.json`, and a `README.md` that begins with YAML), and back.
//!
//! Always holds: a folder that was written here and read again gives the same digest; the YAML is the only byte that is not
//! the bundle's. Refuses: writing into a folder that holds something.

use bytes::Bytes;

use super::digested::digested;
use super::event::Act;
use super::promotion::Target;
use super::version::as_refusal;
use super::{Loaded, ModelRef, Registry, Selector, signature};
use crate::error::{Context, Error, Result};
use crate::lake::Place;
use crate::model::manifest::{MANIFEST, MAX_MANIFEST_BYTES, ManifestFile};
use crate::model::{Digested, Files, Manifest};

const CARD: &str = "README.md";
/// Largest front matter of a card.
const MAX_FRONT_BYTES: u64 = 64 << 10;
const FENCE: &str = "---\n";

/// What came of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is this version now.
    New(u64),
    /// A version with its digest was there.
    There(u64),
}

impl Registry {
    /// Writes a version into an empty folder; the manifest comes last.
    ///
    /// # Errors
    /// As for [`Registry::load`], [`Error::Usage`] when the folder holds something, and those of the store.
    pub async fn export(&self, model: &ModelRef, folder: &Place) -> Result<Loaded> {
        let loaded = self.load(model).await?;
        if !folder.list("").await?.is_empty() {
            return Err(Error::Usage(format!("{} is not empty; name another folder, or empty it", folder.url())));
        }
        let from = self.folder(&loaded.name, loaded.version);
        for file in &loaded.bundle.manifest.files {
            let read = digested(&from, &file.path, file.size_bytes).await.map_err(as_refusal)?;
            let read = read.ok_or_else(|| Error::Registry(format!("{}: it went away meanwhile", file.path)))?;
            file.verify(&read)?;
            let bytes = match file.path.as_str() {
                CARD => Bytes::from([front_matter(&loaded).as_bytes(), read.bytes()].concat()),
                _ => read.into_bytes(),
            };
            folder.put(&file.path, bytes).await?;
        }
        for (file, bound) in [(signature::SIGNATURE, signature::MAX_SIGNATURE_BYTES), (MANIFEST, MAX_MANIFEST_BYTES)] {
            if let Some(bytes) = from.get_bounded(file, bound).await? {
                folder.put(file, bytes).await?;
            }
        }
        Ok(loaded)
    }

    /// Registers the folder of a bundle, as [`Registry::export`] or a registry wrote it, under the name it was built for.
    ///
    /// # Errors
    /// As for [`Registry::register`], and [`Error::Registry`] when the folder holds no bundle.
    pub async fn import(&self, name: &str, folder: &Place, act: &Act) -> Result<Imported> {
        let (manifest, files) = read_folder(folder).await.context(|| folder.url().to_string())?;
        let signature = signature::read(folder).await.context(|| folder.url().to_string())?;
        if let Some(trusted) = &self.trusted {
            trusted.verify(&manifest, signature.as_ref()).context(|| folder.url().to_string())?;
        }
        let digest = super::event::digest_of(&manifest);
        let imported = match self.history(name).await?.state().version_of(&digest) {
            Some(version) => Imported::There(version),
            None => Imported::New(self.register(name, files, act).await?),
        };
        if let Some(signature) = signature {
            // One that is there stays.
            let (Imported::New(version) | Imported::There(version)) = imported;
            self.folder(name, version).create(signature::SIGNATURE, Bytes::from(signature.to_bytes()?)).await?;
        }
        Ok(imported)
    }

    /// Records a version that is there and that no event registered.
    ///
    /// # Errors
    /// As for [`Registry::load`] and [`super::History::register`]; [`Error::Usage`] when the version is not named by its
    /// number.
    pub async fn record(&self, model: &ModelRef, act: &Act) -> Result<super::Deed> {
        let Selector::Version(version) = *model.selector() else {
            return Err(Error::Usage(format!("{model}: name the version by its number, like {}@3", model.name())));
        };
        let digest = self.load(model).await?.bundle.digest;
        self.history(model.name()).await?.register(&Target { version, digest }, act).await
    }
}

/// The name that the bundle of a folder was built for.
///
/// # Errors
/// [`Error::Registry`] when the folder holds no bundle, and those of the store.
pub async fn name_in(folder: &Place) -> Result<String> {
    let manifest = manifest_in(folder).await.context(|| folder.url().to_string())?;
    Ok(Manifest::parse(&manifest).context(|| folder.url().to_string())?.name)
}

async fn manifest_in(folder: &Place) -> Result<Bytes> {
    let manifest = folder.get_bounded(MANIFEST, MAX_MANIFEST_BYTES).await.map_err(as_refusal)?;
    manifest.ok_or_else(|| {
        Error::Registry(format!(
            "there is no {MANIFEST}; name the folder of a bundle, as harmonize models export writes it"
        ))
    })
}

/// The manifest's bytes, and all files with the manifest last.
async fn read_folder(folder: &Place) -> Result<(Bytes, Files)> {
    let manifest = manifest_in(folder).await?;
    let mut files = Files::new();
    for file in &Manifest::parse(&manifest)?.files {
        let more = if file.path == CARD { MAX_FRONT_BYTES } else { 0 };
        let bytes = folder.get_bounded(&file.path, file.size_bytes + more).await.map_err(as_refusal)?;
        let bytes = bytes.ok_or_else(|| Error::Registry(format!("{}: it is missing", file.path)))?;
        files.push((file.path.clone(), if file.path == CARD { card(file, &bytes) } else { bytes.into() }));
    }
    files.push((MANIFEST.to_owned(), manifest.to_vec()));
    Ok((manifest, files))
}

/// The card without the YAML before it, where that makes it the card of the bundle.
fn card(described: &ManifestFile, bytes: &[u8]) -> Vec<u8> {
    let bare = bytes.strip_prefix(FENCE.as_bytes()).and_then(|rest| {
        let end = rest.windows(FENCE.len() + 1).position(|window| window == b"\n---\n")?;
        Some(&rest[end + FENCE.len() + 1..])
    });
    bare.filter(|bare| described.verify(&Digested::of(bare.to_vec())).is_ok()).unwrap_or(bytes).to_vec()
}

/// What Hugging Face reads of a card: YAML, of which every text is quoted.
fn front_matter(loaded: &Loaded) -> String {
    let bundle = &loaded.bundle;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut yaml = format!(
        "{FENCE}library_name: harmonize\npipeline_tag: text-classification\ntags:\n- harmonized-system\n- {}\n",
        quoted(&format!("hs-{}", bundle.labels.edition))
    );
    yaml += &format!("model_name: {}\n", quoted(&loaded.name));
    yaml += &format!("harmonize_version: {}\n", loaded.version);
    yaml += &format!("harmonize_digest: {}\n", quoted(&bundle.digest));
    yaml += &format!("harmonize_created_at: {}\n", quoted(&bundle.manifest.created_at));
    let measured: Vec<&str> = [("accuracy", "/accuracy/hs6"), ("f1", "/macro_f1")]
        .into_iter()
        .filter(|(_, path)| bundle.metrics.pointer(path).is_some())
        .map(|(name, _)| name)
        .collect();
    if !measured.is_empty() {
        yaml += &format!("metrics:\n- {}\n", measured.join("\n- "));
    }
    yaml + FENCE
}
