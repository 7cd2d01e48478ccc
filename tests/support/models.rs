//! Registries with several versions, made from the lab's one, and bundles that were changed.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::lab::{lab, ok_with};

/// The folder of the lab's `hs@1`.
pub fn trained() -> PathBuf {
    PathBuf::from(&lab().registry).join("hs/versions/1")
}

/// Copies the files of a folder.
pub fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Writes a file of the bundle and puts its true size and digest into the manifest.
pub fn replace(bundle: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(bundle.join(name), bytes).unwrap();
    let manifest = bundle.join("manifest.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    for file in json["files"].as_array_mut().unwrap() {
        if file["path"] == name {
            file["size_bytes"] = bytes.len().into();
            file["sha256"] = sha256(bytes).into();
        }
    }
    std::fs::write(manifest, serde_json::to_vec_pretty(&json).unwrap()).unwrap();
}

/// A bundle like the lab's with another card, and so with another digest.
pub fn variant(to: &Path, mark: &str) -> String {
    copy_files(&trained(), to);
    let card = std::fs::read_to_string(to.join("README.md")).unwrap();
    replace(to, "README.md", format!("{card}\n{mark}\n").as_bytes());
    to.to_str().unwrap().to_string()
}

/// Lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A registry of so many versions of `hs`, each with its event, on disk or on a server; bundles are made below `dir`.
pub struct Models {
    pub url: String,
    pub env: Vec<(String, String)>,
}

impl Models {
    pub fn new(dir: &Path, url: &str, versions: usize, env: &[(String, String)]) -> Models {
        let models = Models { url: url.to_string(), env: env.to_vec() };
        for n in 1..=versions {
            let folder = variant(&dir.join(format!("bundle-{n}")), &format!("variant {n}"));
            assert!(models.ok(&["import", &folder, "--name", "hs"]).contains(&format!("hs@{n}")));
        }
        models
    }

    /// On disk, below `dir`.
    pub fn on_disk(dir: &Path, versions: usize) -> Models {
        Models::new(dir, dir.join("models").to_str().unwrap(), versions, &[])
    }

    /// `harmonize models …`, as arguments.
    pub fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["models"], args, &["--registry", &self.url]].concat()
    }

    /// `harmonize models …`, which must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        ok_with(&self.args(args), &self.env)
    }

    pub fn run(&self, args: &[&str]) -> super::lab::Ended {
        super::lab::run_with(&self.args(args), &self.env)
    }

    /// Promotes by number.
    pub fn promote(&self, version: u64) -> String {
        self.ok(&["promote", &format!("hs@{version}"), "--why", "a test"])
    }

    /// Promotes by numbers, in their order.
    pub fn promote_all(&self, versions: &[u64]) {
        for version in versions {
            self.promote(*version);
        }
    }

    /// The version that answers to a reference.
    pub fn answers(&self, model: &str) -> String {
        let args = ["predict", "--registry", &self.url, "--model", model, "--format", "json", "steel bolts"];
        let row: Value = serde_json::from_str(&ok_with(&args, &self.env)).unwrap();
        row["model"].as_str().unwrap().to_string()
    }

    /// The events as they are kept.
    pub fn events(&self) -> Vec<Value> {
        let out = self.ok(&["history", "hs", "--format", "json"]);
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A folder of a registry on disk.
    pub fn folder(&self, path: &str) -> PathBuf {
        Path::new(&self.url).join("hs").join(path)
    }
}
