//! The bundle: everything that one model version is, read as a whole or refused as a whole.
//!
//! Always holds: every part was compared with its digest in the manifest, the label set fits the outputs of
//! the network, every weight is finite, and edition and architecture are the same in every part. A bundle
//! that was just built is the one that a reader would decode, because it is decoded from its own files.
//! Refuses: mixing parts of two versions, and repairing a part.

use super::calibration::{CALIBRATION, Calibration};
use super::digested::Digested;
use super::manifest::{
    DataFile, FILES, FORMAT_VERSION, MANIFEST, Manifest, ManifestFile, check_json, parse_json, refused, sha256_hex,
    to_json,
};
use super::network::{Network, NetworkConfig};
use super::policy::{POLICY, Policy};
use crate::error::{Context, Error, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Names and bytes of a bundle's files.
pub type Files = Vec<(String, Vec<u8>)>;

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const LABELS: &str = "labels.json";
const METRICS: &str = "metrics.json";
const CARD: &str = "README.md";

/// The label of a text that names no goods; in no edition.
pub const VAGUE_CODE: &str = "000000";

/// `labels.json`: the codes that the classes stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Edition of the Harmonized System, for example `2022`.
    pub edition: String,
    /// Subheadings, six digits each, sorted and unique. The index is the class. The first may be [`VAGUE_CODE`].
    pub codes: Vec<String>,
}

impl Labels {
    fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(refused(LABELS, format!("{why}; train the model again")));
        if self.edition.len() != 4 || !self.edition.bytes().all(|b| b.is_ascii_digit()) {
            return refuse(format!("edition {:?} is not a year of four digits, like 2022", self.edition));
        }
        if let Some(code) = self.codes.iter().find(|c| c.len() != 6 || !c.bytes().all(|b| b.is_ascii_digit())) {
            return refuse(format!("{code:?} is not a subheading of six digits"));
        }
        if let Some(pair) = self.codes.windows(2).find(|pair| pair[0] >= pair[1]) {
            return refuse(format!("{} after {}: the codes must be sorted and unique", pair[1], pair[0]));
        }
        Ok(())
    }
}

/// One model version.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub manifest: Manifest,
    /// `config.json` and `model.safetensors`.
    pub network: Network,
    /// `tokenizer.json` as it is; JSON, not yet read as a tokenizer.
    pub tokenizer_json: Vec<u8>,
    pub labels: Labels,
    pub calibration: Calibration,
    pub policy: Policy,
    /// What was measured when the model was trained.
    pub metrics: serde_json::Value,
    /// The model card, Markdown.
    pub card: String,
    /// SHA-256 of the manifest's bytes, 64 hexadecimal digits: the model digest.
    pub digest: String,
}

/// The parts of a bundle that is to be built, and where they came from.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Name under which the model is to be registered.
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub created_by: String,
    pub program_version: String,
    pub seed: u64,
    pub data: Vec<DataFile>,
    pub network: Network,
    pub tokenizer_json: Vec<u8>,
    pub labels: Labels,
    pub calibration: Calibration,
    pub policy: Policy,
    pub metrics: serde_json::Value,
    pub card: String,
}

impl Bundle {
    /// Writes a draft as files, in upload order with the manifest last, and reads them back as a reader would.
    ///
    /// # Errors
    /// [`Error::Registry`] when a reader would refuse the bundle.
    pub fn build(draft: Draft) -> Result<(Bundle, Files)> {
        // A number that JSON cannot spell would come back as a puzzle about `null`: name it here.
        draft.calibration.validate()?;
        draft.policy.validate()?;
        let weights = draft
            .network
            .to_safetensors()
            .map_err(|e| advise(e, "train again, with a lower learning rate if a number is not finite"))?;
        let contents = [
            (WEIGHTS, weights),
            (CONFIG, to_json(CONFIG, &draft.network.config()?)?),
            (TOKENIZER, draft.tokenizer_json),
            (LABELS, to_json(LABELS, &draft.labels)?),
            (CALIBRATION, to_json(CALIBRATION, &draft.calibration)?),
            (POLICY, to_json(POLICY, &draft.policy)?),
            (METRICS, to_json(METRICS, &draft.metrics)?),
            (CARD, draft.card.into_bytes()),
        ];
        let manifest = Manifest {
            name: draft.name,
            format_version: FORMAT_VERSION,
            created_at: draft.created_at,
            created_by: draft.created_by,
            program_version: draft.program_version,
            edition: draft.labels.edition,
            architecture: draft.network.architecture().to_string(),
            seed: draft.seed,
            files: contents.iter().map(|(name, bytes)| ManifestFile::describe(name, bytes)).collect(),
            data: draft.data,
        };
        let manifest = to_json(MANIFEST, &manifest)?;
        let bundle = Bundle::decode(&manifest, |file| {
            let found = contents.iter().find(|(name, _)| *name == file.path);
            let found = found.map(|(_, bytes)| Digested::of(bytes.clone()));
            found.ok_or_else(|| Error::Bug(format!("{} was not built", file.path)))
        })?;
        let mut files: Files = contents.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        files.push((MANIFEST.to_owned(), manifest));
        Ok((bundle, files))
    }

    /// Reads a bundle. `file` gives the bytes of one file; it is called once a file, in the order of the
    /// manifest, after names and sizes were checked, and reads at most `size_bytes`.
    ///
    /// # Errors
    /// [`Error::Registry`] naming the file, what is wrong with it, and what to do; and the errors of `file`.
    pub fn decode(manifest_bytes: &[u8], mut file: impl FnMut(&ManifestFile) -> Result<Digested>) -> Result<Bundle> {
        let manifest = Manifest::parse(manifest_bytes)?;
        let mut parts = Parts(HashMap::new());
        for described in &manifest.files {
            let read = file(described).context(|| &described.path)?;
            described.verify(&read)?;
            parts.0.insert(described.path.clone(), read.into_bytes());
        }

        let config = read_config(&parts.take(CONFIG)?)?;
        let labels: Labels = parts.json(LABELS)?;
        labels.validate()?;
        let calibration: Calibration = parts.json(CALIBRATION)?;
        calibration.validate()?;
        let policy: Policy = parts.json(POLICY)?;
        policy.validate()?;
        let metrics = parts.json(METRICS)?;
        let tokenizer_json = parts.take(TOKENIZER)?.to_vec();
        check_json(TOKENIZER, &tokenizer_json, bound(TOKENIZER))?;
        let card = String::from_utf8(parts.take(CARD)?.into())
            .map_err(|e| refused(CARD, format!("{e}; register the model again with a card in UTF-8")))?;
        agree("edition", &manifest.edition, LABELS, &labels.edition)?;
        agree("architecture", manifest.architecture.as_str(), CONFIG, config.architecture())?;
        agree("number of classes", &config.classes(), LABELS, &labels.codes.len())?;
        let network = config.read(&parts.take(WEIGHTS)?);
        let network = network.map_err(|e| advise(e, "register the model again or use another version"))?;
        Ok(Bundle {
            digest: sha256_hex(manifest_bytes),
            manifest,
            network,
            tokenizer_json,
            labels,
            calibration,
            policy,
            metrics,
            card,
        })
    }

    /// Refuses a model that could answer with a code that its edition does not have. `is_code` says whether six
    /// digits are a subheading of the edition [`Labels::edition`].
    ///
    /// # Errors
    /// [`Error::Registry`] with the first such codes.
    pub fn check_labels(&self, is_code: impl Fn(&str) -> bool) -> Result<()> {
        let goods = self.labels.codes.iter().map(String::as_str).filter(|code| *code != VAGUE_CODE);
        let dead: Vec<&str> = goods.filter(|code| !is_code(code)).collect();
        if dead.is_empty() {
            return Ok(());
        }
        let first = dead.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        Err(refused(
            LABELS,
            format!(
                "{} of {} codes are not in edition {}: {first}{}; train with codes of that edition, or check the edition",
                dead.len(),
                self.labels.codes.len(),
                self.labels.edition,
                if dead.len() > 5 { ", …" } else { "" }
            ),
        ))
    }
}

/// Files that were read and verified, by name.
struct Parts(HashMap<String, Bytes>);

impl Parts {
    fn take(&mut self, name: &str) -> Result<Bytes> {
        // A parsed manifest names every file, so nothing is missing here.
        self.0.remove(name).ok_or_else(|| Error::Bug(format!("{name} was read twice or not at all")))
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        parse_json(name, &self.take(name)?, bound(name))
    }
}

/// The largest size that is read of a file; 0 for a name that is none.
fn bound(name: &str) -> u64 {
    FILES.iter().find(|(file, _)| *file == name).map_or(0, |(_, bytes)| *bytes)
}

fn agree<T: PartialEq + std::fmt::Display + ?Sized>(what: &str, said: &T, file: &str, is: &T) -> Result<()> {
    if said == is {
        return Ok(());
    }
    Err(refused(file, format!("{what} is {is}, the rest of the bundle says {said}; register the model again")))
}

/// A refusal with the next step put behind it.
fn advise(e: Error, step: &str) -> Error {
    match e {
        Error::Registry(why) => Error::Registry(format!("{why}; {step}")),
        e => e,
    }
}

/// Refuses keys that the configuration does not have: they could mean something to another program.
fn read_config(bytes: &[u8]) -> Result<NetworkConfig> {
    let given: serde_json::Value = parse_json(CONFIG, bytes, bound(CONFIG))?;
    NetworkConfig::parse(given).map_err(|why| refused(CONFIG, why))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Beta, Config, Conv, Weights};
    use std::cell::RefCell;

    pub(crate) fn draft(name: &str) -> Draft {
        let config = Config {
            architecture: "text-cnn".into(),
            vocab_size: 4,
            embedding_dim: 2,
            widths: vec![2],
            filters: 3,
            max_tokens: 8,
            classes: 2,
            screen_dim: None,
            bag: None,
        };
        let weights = Weights {
            embedding: vec![0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5].into(),
            convs: vec![Conv { width: 2, weight: vec![0.25; 12], bias: vec![0.0; 3] }],
            output: vec![1.0; 6],
            output_bias: vec![0.125; 2],
            ranges: None,
            screen: None,
            bag: None,
        };
        Draft {
            name: name.into(),
            created_at: "2026-01-02T03:04:05Z".into(),
            created_by: "test".into(),
            program_version: "0.1.0".into(),
            seed: 7,
            data: vec![],
            network: Network::text_cnn(config, weights),
            tokenizer_json: br#"{"version":"1.0","model":{"vocab":{"a":0,"b":1}}}"#.to_vec(),
            labels: Labels { edition: "2022".into(), codes: vec!["010121".into(), "020110".into()] },
            calibration: Calibration {
                temperature: 1.5,
                subheading: Beta::IDENTITY,
                heading: Beta::IDENTITY,
                chapter: Beta::IDENTITY,
                rows: 10,
                texts: 9,
                nll_before: 1.0,
                nll_after: 0.5,
                ece_subheading: 0.25,
                ece_heading: 0.125,
                ece_chapter: 0.0,
                ece_bins: 15,
            },
            policy: Policy { threshold: 0.875, ..Policy::default() },
            metrics: serde_json::json!({"accuracy": 0.5}),
            card: "# hs\n".into(),
        }
    }

    /// Decodes the built files after `change`; the manifest is made to fit them when `resign`.
    fn decode_changed(resign: bool, change: impl FnOnce(&mut HashMap<String, Vec<u8>>)) -> Result<Bundle> {
        let (bundle, files) = Bundle::build(draft("hs")).unwrap();
        let mut files: HashMap<_, _> = files.into_iter().collect();
        let mut manifest = files.remove(MANIFEST).unwrap();
        change(&mut files);
        if resign {
            let mut m = bundle.manifest;
            m.files = m.files.iter().map(|f| ManifestFile::describe(&f.path, &files[&f.path])).collect();
            manifest = to_json(MANIFEST, &m).unwrap();
        }
        let absent = || Error::Registry("it is missing; restore it".into());
        Bundle::decode(&manifest, |f| files.get(&f.path).map(|bytes| Digested::of(bytes.clone())).ok_or_else(absent))
    }

    fn refusal(resign: bool, change: impl FnOnce(&mut HashMap<String, Vec<u8>>)) -> String {
        match decode_changed(resign, change) {
            Err(Error::Registry(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn replaced(file: &str, from: &str, to: &str) -> String {
        refusal(true, |files| {
            let text = String::from_utf8(files[file].clone()).unwrap();
            assert!(text.contains(from), "{text}");
            files.insert(file.into(), text.replacen(from, to, 1).into_bytes());
        })
    }

    #[test]
    fn a_built_bundle_is_decoded_to_the_same_parts_and_digest() {
        let (built, files) = Bundle::build(draft("hs")).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..8], FILES.map(|(name, _)| name));
        assert_eq!(names[8], MANIFEST);
        let read = decode_changed(false, |_| {}).unwrap();
        assert_eq!((&read.digest, &read.manifest), (&built.digest, &built.manifest));
        assert_eq!(read.digest, sha256_hex(&files[8].1));
        assert_eq!((read.policy, read.labels, read.calibration), (built.policy, built.labels, built.calibration));
        let Network::TextCnn(cnn) = &read.network else { unreachable!() };
        assert_eq!(cnn.weights.output_bias, vec![0.125; 2]);
        assert_eq!(Bundle::build(draft("hs")).unwrap().1, files, "same draft, same bytes");
    }

    #[test]
    fn a_file_that_is_not_the_registered_one_is_refused() {
        let why = refusal(false, |f| f.get_mut("model.safetensors").unwrap()[60] ^= 1);
        assert!(why.starts_with("model.safetensors: digest is ") && why.contains("the manifest says"), "{why}");
        assert!(refusal(false, |f| f.get_mut("policy.json").unwrap().push(b' ')).contains("policy.json: size is"));
        assert!(refusal(false, |f| drop(f.remove("labels.json"))).contains("labels.json: it is missing"));
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_before_anything_is_read() {
        let (bundle, _) = Bundle::build(draft("hs")).unwrap();
        let mut manifest = bundle.manifest;
        manifest.files[7].size_bytes = (1 << 20) + 1;
        let read = RefCell::new(0);
        let error = Bundle::decode(&to_json(MANIFEST, &manifest).unwrap(), |_| {
            *read.borrow_mut() += 1;
            Ok(Digested::of(vec![]))
        });
        assert!(error.unwrap_err().to_string().contains("at most 1048576 are read"));
        assert_eq!(*read.borrow(), 0);
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut d = draft("hs");
            let Network::TextCnn(cnn) = &mut d.network else { unreachable!() };
            cnn.weights.convs[0].bias[1] = bad;
            let why = Bundle::build(d).unwrap_err().to_string();
            assert!(why.starts_with("model.safetensors ") && why.contains("; train again"), "{why}");
        }
    }

    #[test]
    fn a_weight_in_the_file_that_is_not_finite_is_refused_although_the_digest_fits() {
        let why = refusal(true, |files| {
            let bytes = files.get_mut("model.safetensors").unwrap();
            // Every tensor is F32 and the data comes last, so the last four bytes are one number.
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        });
        assert!(why.contains("NaN") && why.contains("use another version"), "{why}");
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let with = |codes: &[&str]| {
            let mut d = draft("hs");
            d.labels.codes = codes.iter().map(|c| (*c).into()).collect();
            Bundle::build(d).unwrap_err().to_string()
        };
        assert!(with(&["010121"]).contains("number of classes is 1, the rest of the bundle says 2"));
        assert!(with(&["020110", "010121"]).contains("sorted and unique"));
        assert!(with(&["010121", "010121"]).contains("sorted and unique"));
        assert!(with(&["010121", "02011"]).contains("\"02011\" is not a subheading"));
        assert!(with(&["010121", "02011a"]).contains("is not a subheading"));
        assert!(replaced("labels.json", "2022", "HS22").contains("not a year"));
        assert!(replaced("labels.json", "2022", "2017").contains("edition is 2017, the rest of the bundle says 2022"));
    }

    #[test]
    fn numbers_that_only_json_allows_are_refused() {
        let beyond_f32 = replaced("policy.json", "0.875", "1e300");
        // serde_json says the latter when it is built to read floats exactly.
        assert!(beyond_f32.contains("threshold is inf") || beyond_f32.contains("out of range"), "{beyond_f32}");
        assert!(replaced("policy.json", "0.875", "null").contains("policy.json: invalid type"));
        assert!(replaced("policy.json", "0.875", "NaN").contains("policy.json: expected"));
        assert!(replaced("calibration.json", "1.5", "1e999").contains("calibration.json: number out of range"));
        assert!(replaced("calibration.json", "1.5", "0").contains("temperature is 0"));
    }

    #[test]
    fn keys_given_twice_or_unknown_are_refused_in_every_file() {
        for file in ["config.json", "labels.json", "calibration.json", "policy.json", "metrics.json", "tokenizer.json"]
        {
            let twice = replaced(file, "{", "{\"k\": 1, \"k\": 2,");
            assert!(twice.contains("is given twice"), "{file}: {twice}");
        }
        for file in ["config.json", "labels.json", "calibration.json", "policy.json"] {
            let unknown = replaced(file, "{", "{\"k\": 1,");
            assert!(unknown.contains("unknown field"), "{file}: {unknown}");
        }
    }

    #[test]
    fn other_damage_is_refused_by_name() {
        assert!(refusal(true, |f| f.get_mut("README.md").unwrap().push(0xff)).contains("README.md: invalid utf-8"));
        assert!(replaced("config.json", "text-cnn", "mlp").contains("config.json"));
        assert!(
            refusal(true, |f| drop(f.insert("model.safetensors".into(), vec![7; 9]))).contains("model.safetensors")
        );
        let mut d = draft("hs");
        d.policy.audit_ratio = f64::NAN;
        assert!(Bundle::build(d).unwrap_err().to_string().contains("audit_ratio is NaN"));
    }

    #[test]
    fn codes_outside_the_edition_are_named() {
        let (bundle, _) = Bundle::build(draft("hs")).unwrap();
        bundle.check_labels(|_| true).unwrap();
        let why = bundle.check_labels(|code| code != "020110").unwrap_err().to_string();
        assert!(why.contains("1 of 2 codes are not in edition 2022: 020110;"), "{why}");
    }
}
