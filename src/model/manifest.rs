//! `manifest.json`: the list of a bundle's files with their sizes and digests, and where the model came from.
//!
//! Always holds: a parsed manifest names each file of a bundle exactly once, every size is within its
//! bound, and every digest has the form of a SHA-256. The bounds are known before a byte of a file is read.
//! Refuses: paths, unknown keys, keys given twice, and any JSON of a bundle that is larger than its bound.

use super::digested::Digested;
use crate::error::{Error, Result};
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

/// Name of the manifest itself. It is written last: a version exists exactly when its manifest does.
pub const MANIFEST: &str = "manifest.json";
/// Largest manifest that is read.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The layout of a bundle that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The files of a bundle beside its manifest, in upload order, with the largest size that is read of each.
pub const FILES: [(&str, u64); 8] = [
    ("model.safetensors", 1 << 30),
    ("config.json", 64 << 10),
    ("tokenizer.json", 64 << 20),
    ("labels.json", 1 << 20),
    ("calibration.json", 64 << 10),
    ("policy.json", 1 << 20),
    ("metrics.json", 16 << 20),
    ("README.md", 1 << 20),
];

/// `manifest.json`. Its SHA-256 is the model digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name under which the model is registered, for example `hs`.
    pub name: String,
    /// Layout of the bundle, [`FORMAT_VERSION`].
    pub format_version: u32,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Who or what trained the model.
    pub created_by: String,
    /// Version of the program that wrote the bundle.
    pub program_version: String,
    /// Edition of the label set, for example `2022`.
    pub edition: String,
    /// Equal to the configuration's.
    pub architecture: String,
    /// Seed of the training run.
    pub seed: u64,
    /// The files of the bundle, in upload order.
    pub files: Vec<ManifestFile>,
    /// The files that the model was trained from.
    pub data: Vec<DataFile>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// A name of [`FILES`]; never a path.
    pub path: String,
    pub size_bytes: u64,
    /// Lower-case hexadecimal, 64 digits.
    pub sha256: String,
}

impl ManifestFile {
    /// Describes `bytes`.
    pub fn describe(path: &str, bytes: &[u8]) -> ManifestFile {
        ManifestFile { path: path.to_owned(), size_bytes: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }

    /// Refuses bytes that are not the ones that the manifest describes.
    pub fn verify(&self, read: &Digested) -> Result<()> {
        let (is, said) = (read.bytes().len() as u64, self.size_bytes);
        if is != said {
            return Err(self.changed("size", format!("{is} bytes"), format!("{said} bytes")));
        }
        if read.sha256() != self.sha256 {
            return Err(self.changed("digest", read.sha256().to_owned(), self.sha256.clone()));
        }
        Ok(())
    }

    fn changed(&self, what: &str, is: String, said: String) -> Error {
        refused(
            &self.path,
            format!("{what} is {is}, the manifest says {said}; restore the file from a backup or use another version"),
        )
    }
}

/// One file of the training data, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    pub url: String,
    pub size_bytes: u64,
    /// As the store gave it; `None` where the store has none.
    pub e_tag: Option<String>,
    pub rows: u64,
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`Error::Registry`] for anything that a manifest of this format cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = parse_json(MANIFEST, bytes, MAX_MANIFEST_BYTES)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(refused(MANIFEST, why));
        if self.format_version != FORMAT_VERSION {
            return refuse(format!(
                "format version is {}, this program reads {FORMAT_VERSION}; use the program that wrote it (version {:?})",
                self.format_version, self.program_version
            ));
        }
        if chrono::DateTime::parse_from_rfc3339(&self.created_at).is_err() {
            return refuse(format!(
                "created_at {:?} is not an RFC 3339 time; register the model again",
                self.created_at
            ));
        }
        let mut named = HashSet::new();
        for file in &self.files {
            let Some((_, bound)) = FILES.iter().find(|(name, _)| *name == file.path) else {
                return refuse(format!("{:?} is no file of a bundle; register the model again", file.path));
            };
            if !named.insert(file.path.as_str()) {
                return refuse(format!("{} is named twice; register the model again", file.path));
            }
            if file.size_bytes > *bound {
                return refuse(format!(
                    "{} is said to have {} bytes, at most {bound} are read; train a smaller model",
                    file.path, file.size_bytes
                ));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return refuse(format!("{} has no SHA-256 digest; register the model again", file.path));
            }
        }
        match FILES.iter().find(|(name, _)| !named.contains(name)) {
            Some((missing, _)) => refuse(format!("{missing} is not named; register the model again")),
            None => Ok(()),
        }
    }
}

/// The error for a bundle's file that is refused; `why` ends in the next step.
pub(crate) fn refused(file: &str, why: impl fmt::Display) -> Error {
    Error::Registry(format!("{file}: {why}"))
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The one spelling in which a bundle's JSON is written and digested: indented by two, ending in a newline.
pub(crate) fn to_json(file: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|e| Error::Bug(format!("{file} cannot be written: {e}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Parses JSON of at most `max_bytes` in which no object has a key twice.
pub(crate) fn parse_json<T: DeserializeOwned>(file: &str, bytes: &[u8], max_bytes: u64) -> Result<T> {
    check_json(file, bytes, max_bytes)?;
    serde_json::from_slice(bytes).map_err(|e| unreadable(file, &e))
}

/// Bytes of a file's bound for each value that it may hold. `[0,0,…` has one in two, each of which takes some seventy bytes
/// of memory when it is kept.
const BYTES_A_VALUE: u64 = 16;

/// Refuses what is too large, is not JSON, nests deeper than serde_json's 128 levels, has a key twice, or is all values.
pub(crate) fn check_json(file: &str, bytes: &[u8], max_bytes: u64) -> Result<()> {
    if bytes.len() as u64 > max_bytes {
        return Err(refused(
            file,
            format!("{} bytes, at most {max_bytes} are read; register the model again", bytes.len()),
        ));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let walk = Strict { left: &Cell::new(max_bytes / BYTES_A_VALUE + 1) };
    walk.deserialize(&mut parser).and_then(|()| parser.end()).map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &str, e: &serde_json::Error) -> Error {
    refused(file, format!("{e}; register the model again or use another version"))
}

/// Walks a JSON value and keeps nothing of it. serde_json would keep the last of two equal keys in silence,
/// and two programs that keep different ones would read two different models out of one digest.
#[derive(Clone, Copy)]
struct Strict<'a> {
    /// Values that may still come.
    left: &'a Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(serde::de::Error::custom("there are too many values for a file of its kind")),
        }
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(serde::de::Error::custom(format!("key {key:?} is given twice")));
            }
            keys.insert(key);
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            name: "hs".into(),
            format_version: 1,
            created_at: "2026-01-02T03:04:05Z".into(),
            created_by: "test".into(),
            program_version: "0.1.0".into(),
            edition: "2022".into(),
            architecture: "text-cnn".into(),
            seed: 7,
            files: FILES.iter().map(|(name, _)| ManifestFile::describe(name, b"x")).collect(),
            data: vec![DataFile { url: "s3://b/train.parquet".into(), size_bytes: 9, e_tag: None, rows: 3 }],
        }
    }

    fn refusal(change: impl FnOnce(&mut Manifest)) -> String {
        let mut m = manifest();
        change(&mut m);
        let error = Manifest::parse(&to_json(MANIFEST, &m).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Registry(_)), "{error:?}");
        error.to_string()
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was_written() {
        assert_eq!(Manifest::parse(&to_json(MANIFEST, &manifest()).unwrap()).unwrap(), manifest());
    }

    #[test]
    fn only_the_plain_names_of_a_bundle_are_allowed() {
        for path in
            ["../model.safetensors", "/etc/passwd", "model.safetensors/", "manifest.json", "MODEL.safetensors", ""]
        {
            assert!(refusal(|m| m.files[0].path = path.into()).contains("is no file of a bundle"), "{path}");
        }
        assert!(refusal(|m| m.files[1].path = "model.safetensors".into()).contains("is named twice"));
        assert!(refusal(|m| drop(m.files.pop())).contains("README.md is not named"));
    }

    #[test]
    fn sizes_digests_times_and_formats_are_checked_before_any_file_is_read() {
        assert!(refusal(|m| m.files[0].size_bytes = (1 << 30) + 1).contains("at most 1073741824"));
        assert!(refusal(|m| m.files[5].size_bytes = u64::MAX).contains("policy.json is said to have"));
        assert!(refusal(|m| m.files[0].sha256 = "ABCD".into()).contains("no SHA-256"));
        assert!(refusal(|m| m.format_version = 2).contains("format version is 2"));
        assert!(refusal(|m| m.created_at = "yesterday".into()).contains("RFC 3339"));
    }

    #[test]
    fn keys_given_twice_unknown_keys_and_trailing_bytes_are_refused() {
        let text = String::from_utf8(to_json(MANIFEST, &manifest()).unwrap()).unwrap();
        let parse = |t: String| Manifest::parse(t.as_bytes()).unwrap_err().to_string();
        assert!(parse(text.replacen('{', "{\"name\": \"other\",", 1)).contains("\"name\" is given twice"));
        assert!(parse(text.replacen('{', "{\"n\\u0061me\": \"other\",", 1)).contains("\"name\" is given twice"));
        assert!(parse(text.replacen('{', "{\"extra\": 1,", 1)).contains("unknown field `extra`"));
        assert!(parse(format!("{text}{{}}")).contains("trailing characters"));
        assert!(parse("[".repeat(100_000)).contains("recursion limit"));
        assert!(parse(" ".repeat(MAX_MANIFEST_BYTES as usize + 1)).contains("at most 4194304"));
    }

    #[test]
    fn keys_given_twice_deep_inside_are_refused() {
        assert!(check_json("metrics.json", br#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#, 1000).is_err());
        assert!(check_json("metrics.json", br#"{"a":[{"b":{"c":1,"d":2.5}},{"b":null}]}"#, 1000).is_ok());
    }

    #[test]
    fn a_file_that_is_all_values_is_refused_before_it_takes_memory() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count));
        let refusal = check_json("metrics.json", zeros(70_000).as_bytes(), 1 << 20).unwrap_err().to_string();
        assert!(refusal.contains("too many values"), "{refusal}");
        assert!(check_json("metrics.json", zeros(60_000).as_bytes(), 1 << 20).is_ok());
    }

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-4 example "abc".
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
