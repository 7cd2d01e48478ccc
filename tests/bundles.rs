use std::path::{Path, PathBuf};

use crate::support::lab::{folder, lab, run};
use crate::support::models::replace;
use crate::support::servers::python;

/// A copy of the lab's `hs@1`, and the folder of its files.
fn copy(to: &Path) -> (String, PathBuf) {
    let files = PathBuf::from(&lab().registry).join("hs/versions/1");
    let target = to.join("models/hs/versions/1");
    std::fs::create_dir_all(&target).unwrap();
    for entry in std::fs::read_dir(files).unwrap().flatten() {
        std::fs::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
    (to.join("models").to_str().unwrap().to_string(), target)
}

/// Spoils a copy; the program must refuse it with 21 and say these words.
fn refused(spoil: impl Fn(&Path), words: &[&str]) {
    let dir = folder();
    let (registry, bundle) = copy(dir.path());
    assert_eq!(run(&["predict", "--registry", &registry, "bolts"]).code, 0, "the copy itself is good");
    spoil(&bundle);
    let ended = run(&["predict", "--registry", &registry, "bolts"]);
    assert_eq!(ended.code, 21, "{}", ended.err);
    for word in words {
        assert!(ended.err.contains(word), "{word}: {}", ended.err);
    }
}

#[test]
fn a_flipped_bit_in_any_file_is_refused_by_the_name_of_the_file() {
    for name in [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "labels.json",
        "calibration.json",
        "policy.json",
        "metrics.json",
    ] {
        refused(
            |bundle| {
                let mut bytes = std::fs::read(bundle.join(name)).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(bundle.join(name), bytes).unwrap();
            },
            &[name, "digest"],
        );
    }
}

#[test]
fn a_file_that_is_cut_or_missing_is_refused() {
    refused(
        |bundle| {
            let bytes = std::fs::read(bundle.join("model.safetensors")).unwrap();
            std::fs::write(bundle.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
        },
        &["model.safetensors"],
    );
    refused(|bundle| std::fs::remove_file(bundle.join("labels.json")).unwrap(), &["labels.json"]);
}

#[test]
fn weights_with_an_oversized_header_or_a_nan_are_refused() {
    refused(
        |bundle| {
            let mut bytes = std::fs::read(bundle.join("model.safetensors")).unwrap();
            bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
            replace(bundle, "model.safetensors", &bytes);
        },
        &["model.safetensors"],
    );
    refused(
        |bundle| {
            let mut bytes = std::fs::read(bundle.join("model.safetensors")).unwrap();
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            replace(bundle, "model.safetensors", &bytes);
        },
        &["model.safetensors", "NaN"],
    );
}

#[test]
fn labels_of_another_edition_are_refused() {
    refused(
        |bundle| {
            let text = std::fs::read_to_string(bundle.join("labels.json")).unwrap();
            let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
            // 851712 is telephones in HS 2017 and gone in HS 2022.
            let codes = json["codes"].as_array_mut().unwrap();
            let place = codes.iter().position(|c| c.as_str().unwrap() > "851712").unwrap();
            codes[place] = "851712".into();
            replace(bundle, "labels.json", &serde_json::to_vec_pretty(&json).unwrap());
        },
        &["851712", "2022"],
    );
}

#[test]
fn a_manifest_with_another_path_is_refused() {
    refused(
        |bundle| {
            let text = std::fs::read_to_string(bundle.join("manifest.json")).unwrap();
            std::fs::write(bundle.join("manifest.json"), text.replace("labels.json", "../labels.json")).unwrap();
        },
        &["manifest.json"],
    );
}

#[test]
fn a_version_that_is_not_there_is_refused_with_those_that_are() {
    let ended = run(&["predict", "--registry", &lab().registry, "--model", "hs@9", "bolts"]);
    assert_eq!(ended.code, 21);
    assert!(ended.err.contains("hs@9") && ended.err.contains('1'), "{}", ended.err);
    let ended = run(&["predict", "--registry", &lab().registry, "--model", "HS 9!", "bolts"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
}

#[test]
fn other_programs_open_the_weights_and_the_tokenizer() {
    let folder = format!("{}/hs/versions/1", lab().registry);
    let shapes = python("read_bundle.py", &[&folder], &[]);
    assert!(shapes.to_string().contains("embedding.weight"), "{shapes}");
    let card = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    for part in ["# Model card: hs", "## Thresholds", "## How to make it again", "harmonize train"] {
        assert!(card.contains(part), "{part}");
    }
}
