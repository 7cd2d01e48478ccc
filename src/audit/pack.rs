//! A pack as files: `{"digest":…,"pack":…}` in JSON, and a page that states the digest. `docs/formats.md` says all of it.
//!
//! What always holds: a file is whole under its name or not there; the digest is SHA-256 of the canonical form of
//! `{"pack":…}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::PACK_FORMAT_VERSION;
use super::json::Json;
use crate::error::{Context, Error, Result};
use crate::train::Page;

const DIGEST: &str = "digest";
const PACK: &str = "pack";

/// What an auditor gets.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Name of its files, without what follows the dot.
    pub name: String,
    /// SHA-256 over everything in it.
    pub digest: String,
    /// The file for programs.
    pub json: String,
    /// The page for people.
    pub html: String,
}

impl Pack {
    /// Of these members; the page is made once the digest is known.
    pub(super) fn new(
        name: String,
        kind: &str,
        mut members: BTreeMap<String, Json>,
        page: impl FnOnce(&str) -> Page,
    ) -> Result<Pack> {
        members.insert("format_version".into(), Json::of(&PACK_FORMAT_VERSION)?);
        members.insert("kind".into(), Json::Text(kind.into()));
        let inside = with_name(Json::Object(members));
        let digest = digest_of(&inside);
        let mut file = BTreeMap::from([(DIGEST.to_string(), Json::Text(digest.clone()))]);
        file.extend(inside);
        let json = format!("{}\n", Json::Object(file).canonical());
        let html = page(&digest).html();
        Ok(Pack { name, digest, json, html })
    }

    /// Writes both files: into a folder under the pack's name, or, where the name ends in `.json` or `.html`, under that. What
    /// is there is replaced.
    ///
    /// # Errors
    /// Those of the disk, with the file.
    pub fn write(&self, to: &Path) -> Result<[PathBuf; 2]> {
        let named = to.extension().is_some_and(|e| e == "json" || e == "html");
        let stem = if named { to.with_extension("") } else { to.join(&self.name) };
        if let Some(folder) = stem.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).context(|| format!("cannot create {}", folder.display()))?;
        }
        // Names may hold dots of their own, so nothing is taken off here.
        let with = |end: &str| PathBuf::from(format!("{}.{end}", stem.display()));
        let files = [(with("html"), &self.html), (with("json"), &self.json)];
        for (file, text) in &files {
            let temporary = PathBuf::from(format!("{}.{}.part", file.display(), std::process::id()));
            let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file));
            if written.is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
            written.context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(files.map(|(file, _)| file))
    }
}

/// A pack that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `line` or `run`.
    pub kind: String,
    pub digest: String,
}

/// Computes the digest of a pack's JSON again.
///
/// # Errors
/// `Input` when it is no pack or its digest is another.
pub fn verify(name: &str, text: &str) -> Result<Verified> {
    let refuse = |why: String| Error::Input(format!("{name}: {why}; make it again with harmonize replay --pack"));
    let Ok(Json::Object(mut file)) = Json::parse(text).map_err(|why| refuse(format!("it is no JSON: {why}"))) else {
        return Err(refuse("it is no JSON object".into()));
    };
    let (stated, pack) = (file.remove(DIGEST), file.remove(PACK));
    let (Some(Json::Text(stated)), Some(Json::Object(members)), true) = (stated, pack, file.is_empty()) else {
        return Err(refuse(format!("a pack has the members {DIGEST} and {PACK} and no other")));
    };
    let kind = members.get("kind").cloned();
    let version = members.get("format_version").cloned();
    let digest = digest_of(&with_name(Json::Object(members)));
    if digest != stated {
        return Err(refuse(format!("it states digest {stated} and has digest {digest}: something in it was changed")));
    }
    match (kind, version) {
        (Some(Json::Text(kind)), Some(Json::Plain(version))) if version == PACK_FORMAT_VERSION.to_string() => {
            Ok(Verified { kind, digest })
        }
        _ => Err(refuse(format!("its format is not {PACK_FORMAT_VERSION}, which this program reads"))),
    }
}

fn with_name(pack: Json) -> BTreeMap<String, Json> {
    BTreeMap::from([(PACK.to_string(), pack)])
}

fn digest_of(inside: &BTreeMap<String, Json>) -> String {
    let canonical = Json::Object(inside.clone()).canonical();
    Sha256::digest(canonical).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> Pack {
        let members = BTreeMap::from([
            ("a".to_string(), Json::of(&0.1f32).unwrap()),
            ("digest".to_string(), Json::Text("of something else".into())),
        ]);
        Pack::new("x.y".into(), "line", members, |digest| Page::new("t").lead(digest)).unwrap()
    }

    #[test]
    fn a_pack_is_canonical_and_states_its_digest_in_both_files() {
        let pack = pack();
        let inside = "{\"pack\":{\"a\":0.1,\"digest\":\"of something else\",\"format_version\":1,\"kind\":\"line\"}}";
        let digest: String = Sha256::digest(inside).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(pack.json, format!("{{\"digest\":\"{digest}\",{}\n", &inside[1..]));
        assert!(pack.html.contains(&digest));
        assert_eq!(verify("f", &pack.json).unwrap(), Verified { kind: "line".into(), digest });
    }

    #[test]
    fn any_changed_character_is_found_and_another_layout_is_not_a_change() {
        let json = pack().json;
        for at in 0..json.trim_end().len() {
            let mut bytes = json.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let error = verify("f", std::str::from_utf8(&bytes).unwrap()).unwrap_err();
            assert_eq!(error.exit_code(), 20, "{at}");
        }
        let spaced = json.replace(",\"", " ,\n \"").replace("\":", "\" : ");
        assert_ne!(spaced, json);
        assert!(verify("f", &spaced).is_ok());
        assert!(verify("f", "[]").is_err() && verify("f", "{\"pack\":{}}").is_err());
    }

    #[test]
    fn files_are_named_by_the_pack_or_by_the_one_that_asks() {
        let dir = tempfile::tempdir().unwrap();
        let names = |files: [PathBuf; 2]| files.map(|file| file.strip_prefix(dir.path()).unwrap().to_owned());
        let into = names(pack().write(&dir.path().join("packs")).unwrap());
        assert_eq!(into, ["packs/x.y.html", "packs/x.y.json"].map(PathBuf::from));
        let named = names(pack().write(&dir.path().join("p.json")).unwrap());
        assert_eq!(named, ["p.html", "p.json"].map(PathBuf::from));
        assert_eq!(std::fs::read_dir(dir.path().join("packs")).unwrap().count(), 2, "nothing else is left");
    }
}
