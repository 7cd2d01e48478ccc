//! Bundles that somebody changed on purpose: each is refused with a reason, or means what its bytes say.
//! `HARMONIZE_FUZZ_ROUNDS` asks for more than the few rounds of a usual test run.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use harmonize::Error;
use harmonize::model::{Bundle, Digested, Draft, Manifest, ManifestFile};
use serde_json::{Value, json};

use crate::support::allocations::largest_block;
use crate::support::models::trained;
use crate::support::random::Random;

/// Beyond the size of its files, reading a bundle asks for no block larger than this.
const FIXED_BOUND_BYTES: usize = 32 << 20;

type Parts = HashMap<String, Vec<u8>>;

/// A bundle that is about to be changed.
struct Patient {
    manifest: Value,
    files: Parts,
}

/// How a change must end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// Refused, whatever was hit.
    Refuse,
    /// Refused, or whole and consistent.
    Hold,
}

impl Patient {
    fn json_file(&self, random: &mut Random) -> String {
        let mut names: Vec<&String> = self.files.keys().filter(|name| name.ends_with(".json")).collect();
        names.sort();
        names[random.below(names.len())].clone()
    }

    fn any_file(&self, random: &mut Random) -> String {
        let mut names: Vec<&String> = self.files.keys().collect();
        names.sort();
        names[random.below(names.len())].clone()
    }

    /// Makes the manifest fit a file again.
    fn describe(&mut self, name: &str) {
        let described = ManifestFile::describe(name, &self.files[name]);
        for file in self.manifest["files"].as_array_mut().unwrap() {
            if file["path"] == name {
                *file = serde_json::to_value(&described).unwrap();
            }
        }
    }

    /// The header of the weights as JSON, and where the data begin.
    fn header(&self) -> (Value, usize) {
        let bytes = &self.files["model.safetensors"];
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice(&bytes[8..end]).unwrap(), end)
    }

    fn set_header(&mut self, header: &[u8]) {
        let (_, end) = self.header();
        let bytes = self.files.get_mut("model.safetensors").unwrap();
        let data = bytes.split_off(end);
        *bytes = [&(header.len() as u64).to_le_bytes()[..], header, &data].concat();
        self.describe("model.safetensors");
    }

    /// Names of the tensors.
    fn tensors(header: &Value) -> Vec<String> {
        header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
    }
}

/// A change, by its name.
type Change = (&'static str, fn(&mut Patient, &mut Random) -> Must);

const CHANGES: [Change; 10] = [
    ("flipped, digest as it was", |patient, random| {
        let name = patient.any_file(random);
        let bytes = patient.files.get_mut(&name).unwrap();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        Must::Refuse
    }),
    ("flipped, digest made to fit", |patient, random| {
        let name = patient.any_file(random);
        for _ in 0..1 + random.below(3) {
            let bytes = patient.files.get_mut(&name).unwrap();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        patient.describe(&name);
        Must::Hold
    }),
    ("cut, digest as it was", |patient, random| {
        let name = patient.any_file(random);
        let bytes = patient.files.get_mut(&name).unwrap();
        bytes.truncate(random.below(bytes.len()));
        Must::Refuse
    }),
    ("cut, digest made to fit", |patient, random| {
        let name = patient.any_file(random);
        let bytes = patient.files.get_mut(&name).unwrap();
        let whole = bytes.clone();
        bytes.truncate(random.below(bytes.len()));
        // JSON that lost nothing but the line break at its end says the same.
        let same = name.ends_with(".json") && bytes.trim_ascii_end() == whole.trim_ascii_end();
        patient.describe(&name);
        // A shorter card is a card.
        if name == "README.md" || same { Must::Hold } else { Must::Refuse }
    }),
    ("oversized", |patient, random| {
        let name = patient.any_file(random);
        match random.below(3) {
            0 => {
                patient.files.get_mut(&name).unwrap().extend((0..1 + random.below(9)).map(|_| b'7'));
            }
            1 => {
                let sizes = [u64::MAX, 1 << 62, (1 << 30) + 1, random.next() | 1 << 40];
                let size = sizes[random.below(sizes.len())];
                for file in patient.manifest["files"].as_array_mut().unwrap() {
                    if file["path"] == name.as_str() {
                        file["size_bytes"] = size.into();
                    }
                }
            }
            _ => {
                let lengths = [u64::MAX, 1 << 62, 100_000_001, random.next() | 1 << 33];
                let length = lengths[random.below(lengths.len())];
                patient.files.get_mut("model.safetensors").unwrap()[..8].copy_from_slice(&length.to_le_bytes());
                patient.describe("model.safetensors");
            }
        }
        Must::Refuse
    }),
    ("overlapping tensors", |patient, random| {
        let (mut header, _) = patient.header();
        let names = Patient::tensors(&header);
        let (one, other) = (random.below(names.len()), random.below(names.len()));
        let offsets = header[&names[other]]["data_offsets"].clone();
        let (from, to) = (offsets[0].as_u64().unwrap(), offsets[1].as_u64().unwrap());
        let step = 4 * (1 + random.below(((to - from) / 4) as usize) as u64);
        // On another, or beside its own place.
        let (tensor, moved) = match random.below(3) {
            0 if one != other => (one, offsets),
            1 if from >= step => (other, json!([from - step, to - step])),
            _ => (other, json!([from + step, to + step])),
        };
        header[&names[tensor]]["data_offsets"] = moved;
        patient.set_header(header.to_string().as_bytes());
        Must::Refuse
    }),
    ("a number that is none", |patient, random| {
        let (_, end) = patient.header();
        let bytes = patient.files.get_mut("model.safetensors").unwrap();
        let count = (bytes.len() - end) / 4;
        let at = end + 4 * random.below(count);
        let quiet = f32::from_bits(0x7f80_0001 | (random.next() as u32 & 0x803f_ffff));
        let number = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, quiet][random.below(4)];
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        patient.describe("model.safetensors");
        Must::Refuse
    }),
    ("a path", |patient, random| {
        let files = patient.manifest["files"].as_array_mut().unwrap();
        let at = random.below(files.len());
        let name = files[at]["path"].as_str().unwrap().to_owned();
        let others = [
            format!("../{name}"),
            format!("./{name}"),
            format!("a/../{name}"),
            format!("/{name}"),
            format!("{name}/"),
            format!("..\\{name}"),
            format!("{name}\u{0}"),
            "..".to_owned(),
            name.to_uppercase(),
            String::new(),
        ];
        files[at]["path"] = others[random.below(others.len())].clone().into();
        Must::Refuse
    }),
    ("a key twice", |patient, random| {
        let twice = |text: &str, random: &mut Random| {
            let objects = objects(text);
            let at = objects[random.below(objects.len())];
            // The first key of that object once more, before it and spelt in another way.
            let rest = text[at + 1..].trim_start();
            let key: String =
                rest.strip_prefix('"').map(|r| r.chars().take_while(|c| *c != '"').collect()).unwrap_or_default();
            let spelt: String = match random.below(2) {
                0 => key.clone(),
                _ => key.chars().map(|c| format!("\\u{:04x}", c as u32)).collect(),
            };
            if key.is_empty() || key.contains('\\') || !key.is_ascii() {
                return format!("{{\"k\":1,\"k\":1,{}", text.trim_start().strip_prefix('{').unwrap_or("}"));
            }
            format!("{}\"{spelt}\":0,{}", &text[..=at], &text[at + 1..])
        };
        match random.below(4) {
            0 => {
                let (header, _) = patient.header();
                let header = twice(&header.to_string(), random);
                patient.set_header(header.as_bytes());
            }
            1 => {
                let whole = patient.manifest.to_string();
                patient.manifest = Value::String(twice(&whole, random));
            }
            _ => {
                let name = patient.json_file(random);
                let text = String::from_utf8(patient.files[&name].clone()).unwrap();
                patient.files.insert(name.clone(), twice(&text, random).into_bytes());
                patient.describe(&name);
            }
        }
        Must::Refuse
    }),
    ("another number", |patient, random| {
        let name = patient.json_file(random);
        let text = String::from_utf8(patient.files[&name].clone()).unwrap();
        let digits: Vec<usize> = text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = digits[random.below(digits.len())];
        let numbers = ["1e999", "-1", "1e308", "0", "null", "18446744073709551616", "0.1", "NaN", "4294967296"];
        let text = format!("{}{}{}", &text[..at], numbers[random.below(numbers.len())], &text[at + 1..]);
        patient.files.insert(name.clone(), text.into_bytes());
        patient.describe(&name);
        Must::Hold
    }),
];

/// Where objects begin.
fn objects(json: &str) -> Vec<usize> {
    let (mut found, mut in_text, mut escaped) = (Vec::new(), false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'{' if !in_text => found.push(at),
            _ => {}
        }
    }
    found
}

fn decode(manifest: &[u8], files: &Parts) -> Result<Bundle, Error> {
    let absent = || Error::Registry("it is missing".into());
    Bundle::decode(manifest, |file| files.get(&file.path).map(|bytes| Digested::of(bytes.clone())).ok_or_else(absent))
}

/// What a bundle says, part by part.
fn meaning(bundle: &Bundle) -> (Value, Vec<u8>) {
    let said = json!({
        "config": bundle.network.config().unwrap(),
        "labels": bundle.labels,
        "calibration": bundle.calibration,
        "policy": bundle.policy,
        "metrics": bundle.metrics,
        "card": bundle.card,
        "tokenizer": bundle.tokenizer_json,
        "edition": bundle.manifest.edition,
    });
    (rounded(&said), bundle.network.to_safetensors().unwrap())
}

/// Numbers to nine digits: reading JSON may round the last one of sixteen.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() => json!(format!("{:.8e}", n.as_f64().unwrap())),
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, x)| (key.clone(), rounded(x))).collect()),
        other => other.clone(),
    }
}

/// Written again and read again, it says the same.
fn holds(bundle: &Bundle) {
    let m = &bundle.manifest;
    let draft = Draft {
        name: m.name.clone(),
        created_at: m.created_at.clone(),
        created_by: m.created_by.clone(),
        program_version: m.program_version.clone(),
        seed: m.seed,
        data: m.data.clone(),
        network: bundle.network.clone(),
        tokenizer_json: bundle.tokenizer_json.clone(),
        labels: bundle.labels.clone(),
        calibration: bundle.calibration.clone(),
        policy: bundle.policy.clone(),
        metrics: bundle.metrics.clone(),
        card: bundle.card.clone(),
    };
    let (again, _) = Bundle::build(draft).unwrap();
    assert_eq!(meaning(&again), meaning(bundle));
}

/// The work itself, in a process of its own because it watches the memory of all of it.
#[test]
#[ignore = "started by the test below"]
fn mutator() {
    let folder = std::env::var("MUTATED_BUNDLE").unwrap();
    let rounds: usize = std::env::var("MUTATED_ROUNDS").unwrap().parse().unwrap();
    let read = |name: &str| std::fs::read(Path::new(&folder).join(name)).unwrap();
    let manifest: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
    let files: Parts = manifest.files.iter().map(|file| (file.path.clone(), read(&file.path))).collect();
    let size: usize = files.values().map(Vec::len).sum();
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    decode(manifest.to_string().as_bytes(), &files).unwrap();
    let mut random = Random(5);
    let (mut refused, mut held) = ([0; CHANGES.len()], [0; CHANGES.len()]);
    for round in 0..rounds {
        let kind = round % CHANGES.len();
        let (name, change) = CHANGES[kind];
        let mut patient = Patient { manifest: manifest.clone(), files: files.clone() };
        let must = change(&mut patient, &mut random);
        let bytes = match &patient.manifest {
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        };
        let (decoded, largest) = largest_block(|| decode(&bytes, &patient.files));
        assert!(largest <= size + FIXED_BOUND_BYTES, "{name}, round {round}: a block of {largest} bytes");
        match decoded {
            Ok(bundle) => {
                assert_eq!(must, Must::Hold, "{name}, round {round}: it was taken");
                holds(&bundle);
                held[kind] += 1;
            }
            Err(Error::Registry(why)) => {
                assert!(why.len() > 10, "{name}, round {round}: {why}");
                refused[kind] += 1;
            }
            Err(e) => panic!("{name}, round {round}: {e:?}"),
        }
    }
    for ((name, _), (refused, held)) in CHANGES.iter().zip(refused.iter().zip(held)) {
        println!("{name}: {refused} refused, {held} hold");
        assert!(*refused > 0, "{name}");
    }
}

#[test]
fn a_bundle_that_was_changed_is_refused_with_a_reason_or_means_what_it_says_within_bounded_memory() {
    let rounds = std::env::var("HARMONIZE_FUZZ_ROUNDS").unwrap_or_else(|_| "1500".into());
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mutated_bundles::mutator", "--ignored", "--nocapture"])
        .env("MUTATED_BUNDLE", trained())
        .env("MUTATED_ROUNDS", rounds)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{printed}{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(printed.matches(" refused, ").count(), CHANGES.len(), "{printed}");
    println!("{printed}");
}
