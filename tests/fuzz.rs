//! Broken bytes for everything that reads files of a bundle, and odd texts for the tokenizer. `HARMONIZE_FUZZ_ROUNDS` asks for
//! more than the few rounds of a usual test run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use harmonize::engine::{Engine, Scratch};
use harmonize::model::{Bundle, Digested, Manifest, ManifestFile};
use harmonize::text::{EncodeScratch, Tokenizer, normalise};

use crate::support::lab::lab;
use crate::support::random::Random;

fn rounds(usual: usize) -> usize {
    std::env::var("HARMONIZE_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

/// What breaks bytes and writes odd texts.
trait Draw {
    fn mutate(&mut self, bytes: &mut Vec<u8>);
    fn text(&mut self) -> String;
}

impl Draw for Random {
    /// Flips, overwrites, cuts, repeats or doubles something.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => {
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'-', b'9', b'{', b']'][self.below(10)]
                }
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.next() as u8),
                4 => {
                    let part = bytes[at..(at + self.below(64)).min(bytes.len())].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, part);
                }
                5 => drop(bytes.drain(at..(at + self.below(64)).min(bytes.len()))),
                // A number of the header, or any other eight bytes.
                _ => {
                    let at = if self.below(2) == 0 { 0 } else { at };
                    let value = [0, u64::MAX, 1 << 62, 1 << 31, self.next()][self.below(5)].to_le_bytes();
                    bytes.iter_mut().skip(at).zip(value).for_each(|(byte, v)| *byte = v);
                }
            }
        }
    }

    /// Letters of many scripts, signs that combine, controls, and pieces of real lines.
    fn text(&mut self) -> String {
        let ranges = [(0x20, 0x7f), (0, 0x20), (0xa0, 0x250), (0x300, 0x370), (0x400, 0x600), (0x900, 0x980)];
        let more = [(0x2000, 0x2070), (0x3000, 0x30ff), (0xac00, 0xad00), (0xff00, 0xffef), (0x1f300, 0x1f6ff)];
        let words = ["70ctns", "STEEL", "bolts ", "205/55R16", "\u{130}", "ﬁ", "½", "00012345678", "e\u{301}", " "];
        let mut out = String::new();
        for _ in 0..self.below(40) {
            if self.below(3) == 0 {
                out.push_str(words[self.below(words.len())]);
            } else {
                let all: Vec<_> = ranges.iter().chain(&more).collect();
                let (from, to) = *all[self.below(all.len())];
                out.extend(char::from_u32((from + self.below(to - from)) as u32));
            }
        }
        out
    }
}

/// The folder of the trained bundle.
fn version() -> PathBuf {
    Path::new(&lab().registry).join("hs/versions/1")
}

/// The files of a bundle.
fn files(version: &Path) -> (Manifest, HashMap<String, Vec<u8>>) {
    let read = |name: &str| std::fs::read(version.join(name)).unwrap();
    let manifest: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
    let files = manifest.files.iter().map(|f| (f.path.clone(), read(&f.path))).collect();
    (manifest, files)
}

#[test]
fn a_broken_bundle_is_refused_or_works_and_never_panics() {
    breaks_without_panic(&version(), 1500);
}

/// A file is broken and the manifest made to fit it, so that the digest does not stop it before its reader does.
pub fn breaks_without_panic(version: &Path, usual: usize) {
    let (manifest, files) = files(version);
    let mut random = Random(1);
    let mut refused = 0;
    let all = rounds(usual);
    for _ in 0..all {
        let mut files = files.clone();
        let mut manifest = manifest.clone();
        let place = random.below(manifest.files.len());
        let path = manifest.files[place].path.clone();
        let bytes = files.get_mut(&path).unwrap();
        random.mutate(bytes);
        manifest.files[place] = ManifestFile::describe(&path, bytes);
        let mut manifest = serde_json::to_vec(&manifest).unwrap();
        if random.below(8) == 0 {
            random.mutate(&mut manifest);
        }
        let absent = || harmonize::Error::Registry("absent".into());
        let decoded = Bundle::decode(&manifest, |file| {
            files.get(&file.path).map(|bytes| Digested::of(bytes.clone())).ok_or_else(absent)
        });
        let worked = decoded.and_then(|bundle| {
            let mut scores = Vec::new();
            Engine::compile(&bundle)?.score(&["steel bolts", ""], &mut Scratch::default(), &mut scores)?;
            Ok(scores)
        });
        match worked {
            Ok(scores) => assert!(scores.iter().all(|s| (0.0..=1.0).contains(&s.confidence())), "{path}: {scores:?}"),
            Err(e) => {
                refused += 1;
                assert!(!e.to_string().is_empty());
            }
        }
    }
    assert!(refused > all / 4, "only {refused} of {all} were refused");
}

#[test]
fn any_text_gives_known_ids_within_the_bound_and_the_same_again() {
    let (_, files) = files(&version());
    let tokenizer = Tokenizer::from_json(&files["tokenizer.json"]).unwrap();
    let (mut random, mut kept) = (Random(2), EncodeScratch::default());
    for _ in 0..rounds(20_000) {
        let (raw, mut normalised) = (random.text(), String::new());
        normalise(&raw, &mut normalised);
        let (mut ids, mut again) = (Vec::new(), Vec::new());
        let cut = tokenizer.encode(&normalised, &mut kept, &mut ids).unwrap();
        let cut_again = tokenizer.encode(&normalised, &mut EncodeScratch::default(), &mut again).unwrap();
        assert_eq!((&ids, cut), (&again, cut_again), "{raw:?}");
        assert!(ids.len() <= tokenizer.max_tokens() && ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
    }
}
