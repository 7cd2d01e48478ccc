//! From a normalised description to token ids.
//!
//! `tokenizer.json` holds the whole pipeline, so that the Hugging Face library gives the same ids from the raw
//! description (up to [`super::MAX_CHARS`] characters). Here the words are cut by hand and only a word that was
//! not seen before goes through the library's model; tests hold both ways to the same ids.
//!
//! `words` cuts a text, `document` says what `tokenizer.json` may hold, `remembered` keeps what a thread has seen.

mod document;
mod remembered;
mod words;

use super::bpe;
use crate::error::{Error, Result};
use document::{MAX_JSON_BYTES, refused};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokenizers::Model;

pub use remembered::{EncodeScratch, word_key, word_place};
pub use words::{words, words_cut};

/// Id of the padding token; no text gives it.
pub const PAD_ID: u32 = 0;
/// Id of the token for characters that the vocabulary does not know.
pub const UNKNOWN_ID: u32 = 1;

/// Tells tokenizers of one process apart, so that a scratch never answers for another one.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// A learnt vocabulary with its pipeline. Immutable and shared between threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    max_tokens: usize,
    identity: u64,
}

impl Tokenizer {
    /// Learns a vocabulary of at most `vocab_size` pieces from normalised texts. The same texts in any order give
    /// the same bytes. Lines will be cut at `max_tokens` tokens.
    pub fn learn<'a>(texts: impl Iterator<Item = &'a str>, vocab_size: usize, max_tokens: usize) -> Result<Tokenizer> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for text in texts {
            for word in words(text) {
                match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(word.to_string(), 1)),
                }
            }
        }
        let learned = bpe::learn(&counts, vocab_size, &document::RESERVED);
        Tokenizer::from_document(document::write(learned, max_tokens))
    }

    /// Reads `tokenizer.json`. Refuses a pipeline other than the one that [`Tokenizer::encode`] implements.
    pub fn from_json(bytes: &[u8]) -> Result<Tokenizer> {
        if bytes.len() > MAX_JSON_BYTES {
            return Err(refused(format_args!("it has {} bytes, the limit is {MAX_JSON_BYTES}", bytes.len())));
        }
        Tokenizer::from_document(serde_json::from_slice(bytes).map_err(|e| refused(format_args!("{e}")))?)
    }

    fn from_document(document: Value) -> Result<Tokenizer> {
        let (vocab_size, max_tokens) = document::check(&document)?;
        // Written out again, so that the library reads what was checked and not, say, a second `model` key.
        let bytes = serde_json::to_vec(&document).map_err(|e| Error::Bug(format!("tokenizer document: {e}")))?;
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| refused(format_args!("{e}")))?;
        Ok(Tokenizer { inner, vocab_size, max_tokens, identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed) })
    }

    /// The bytes of `tokenizer.json`; the same tokenizer gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        match self.inner.to_string(false) {
            Ok(text) => Ok(text.into_bytes()),
            Err(e) => Err(Error::Bug(format!("tokenizer cannot be written: {e}"))),
        }
    }

    /// Number of ids, the reserved ones included.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Most tokens that a line gives.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// For every id the two ids that it was merged from, both smaller; none for characters and reserved ids.
    ///
    /// Training takes tokens apart along these (after BPE-dropout, Provilkov et al. 2020,
    /// <https://aclanthology.org/2020.acl-main.170>), so that a misspelt word still resembles the right one.
    pub fn splits(&self) -> Result<Vec<Option<(u32, u32)>>> {
        let broken = |e: &dyn std::fmt::Display| Error::Bug(format!("tokenizer cannot be read back: {e}"));
        let document: Value = serde_json::from_slice(&self.to_json()?).map_err(|e| broken(&e))?;
        let mut splits = vec![None; self.vocab_size];
        for merge in document["model"]["merges"].as_array().into_iter().flatten() {
            let (Some(left), Some(right)) = (merge[0].as_str(), merge[1].as_str()) else { continue };
            let merged = format!("{left}{}", right.strip_prefix(bpe::CONTINUING).unwrap_or(right));
            let ids = [left, right, &merged].map(|piece| self.inner.token_to_id(piece));
            let [Some(left), Some(right), Some(merged)] = ids else { continue };
            if left < merged && right < merged && splits[merged as usize].is_none() {
                splits[merged as usize] = Some((left, right));
            }
        }
        Ok(splits)
    }

    /// Writes the ids of a normalised text into `ids`, which is cleared first: no padding, at most
    /// [`Tokenizer::max_tokens`] of them, [`UNKNOWN_ID`] for a character outside the vocabulary. May be empty. Whether
    /// tokens were cut off.
    pub fn encode(&self, normalised: &str, scratch: &mut EncodeScratch, ids: &mut Vec<u32>) -> Result<bool> {
        ids.clear();
        scratch.serve(self.identity);
        // First all words, then all places: so the look-ups do not wait for each other. A word gives a token at least.
        let mut found = std::mem::take(&mut scratch.found);
        found.clear();
        let spans = words::spans(normalised).take(self.max_tokens + 1);
        found.extend(spans.map(|span| (remembered::key(words::at(normalised, span)), span)));
        for &(key, span) in &found {
            let word = words::at(normalised, span);
            if !scratch.recall(word, key, ids) {
                self.look_up(word, key, scratch, ids)?;
            }
            if ids.len() > self.max_tokens {
                break;
            }
        }
        scratch.found = found;
        let cut = ids.len() > self.max_tokens;
        ids.truncate(self.max_tokens);
        Ok(cut)
    }

    /// Appends the pieces of a word that is not remembered, and remembers them.
    fn look_up(&self, word: &str, key: u128, scratch: &mut EncodeScratch, ids: &mut Vec<u32>) -> Result<()> {
        let tokens = self.inner.get_model().tokenize(word);
        let tokens = tokens.map_err(|e| Error::Bug(format!("the subword model failed on a word: {e}")))?;
        // A word gives no more pieces than it has characters, so one text cannot push a scratch far over its bound.
        let known = ids.len();
        ids.extend(tokens.iter().take(self.max_tokens + 1).map(|token| token.id));
        scratch.remember(word, key, &ids[known..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalise;
    use serde_json::json;

    const TEXTS: [&str; 6] = [
        "70ctns men's cotton t-shirts 100% knitted",
        "used toyota corolla 2010 chassis jtdbt923771012345",
        "pneumatic tyres 205/55r16 new",
        "café crème brûlée 12x500g",
        "cotton shirts cotton trousers knitted caps",
        "tyres toyota café crème crème 2010 2010 used used",
    ];

    fn tokenizer() -> Tokenizer {
        Tokenizer::learn(TEXTS.into_iter(), 150, 24).unwrap()
    }

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        let mut ids = vec![99];
        tokenizer.encode(text, &mut EncodeScratch::new(), &mut ids).unwrap();
        ids
    }

    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *state >> 33
    }

    /// Text with every sort of character: ASCII, spaces, marks, ligatures, symbols, other scripts, unassigned.
    fn random_text(state: &mut u64) -> String {
        let ranges = [
            (0x00, 0x7f),
            (0x20, 0x7f),
            (0x30, 0x39),
            (0x61, 0x7a),
            (0x80, 0x24f),
            (0x2b0, 0x36f),
            (0x370, 0x5ff),
            (0x900, 0x9ff),
            (0x1100, 0x11ff),
            (0x1e00, 0x206f),
            (0x2100, 0x214f),
            (0x3000, 0x33ff),
            (0xac00, 0xd7a3),
            (0xf900, 0xfdff),
            (0xfe00, 0xffff),
            (0x105c0, 0x105f0),
            (0x11380, 0x113d0),
            (0x1d15e, 0x1d200),
            (0x1f100, 0x1f6ff),
            (0, 0x10ffff),
        ];
        let mut text = String::new();
        for _ in 0..next(state) % 60 {
            let (first, last) = ranges[next(state) as usize % ranges.len()];
            for _ in 0..=next(state) % 6 {
                text.extend(char::from_u32(first + next(state) as u32 % (last - first + 1)));
            }
        }
        text
    }

    /// The library alone, from the raw text and the file alone.
    fn by_the_library(library: &tokenizers::Tokenizer, raw: &str) -> Vec<u32> {
        library.encode(raw, false).unwrap().get_ids().to_vec()
    }

    #[test]
    fn learning_again_gives_the_same_bytes_and_the_file_the_same_ids() {
        let learnt = tokenizer();
        let json = learnt.to_json().unwrap();
        let mut reversed = TEXTS;
        reversed.reverse();
        assert_eq!(json, Tokenizer::learn(reversed.into_iter(), 150, 24).unwrap().to_json().unwrap());
        let read = Tokenizer::from_json(&json).unwrap();
        assert_eq!(json, read.to_json().unwrap());
        assert_eq!((read.vocab_size(), read.max_tokens()), (learnt.vocab_size(), 24));
        assert!(read.vocab_size() <= 150);
        for text in TEXTS {
            assert_eq!(ids(&read, text), ids(&learnt, text));
            assert!(ids(&read, text).iter().all(|&id| id != PAD_ID && (id as usize) < read.vocab_size()));
        }
    }

    #[test]
    fn splits_lead_back_to_the_characters() {
        let tokenizer = tokenizer();
        let splits = tokenizer.splits().unwrap();
        let piece = |id: u32| tokenizer.inner.id_to_token(id).unwrap();
        let mut split = 0;
        for (id, parts) in splits.iter().enumerate().skip(2) {
            let whole = piece(id as u32);
            match parts {
                Some((left, right)) => assert_eq!(format!("{}{}", piece(*left), &piece(*right)[2..]), whole),
                None => assert_eq!(whole.trim_start_matches('#').chars().count(), 1),
            }
            split += usize::from(parts.is_some());
        }
        assert!(split > 20 && splits[..2] == [None, None]);
    }

    #[test]
    fn unknown_characters_and_bounds() {
        let tokenizer = tokenizer();
        assert_eq!(ids(&tokenizer, "日本"), [UNKNOWN_ID, UNKNOWN_ID]);
        assert_eq!(ids(&tokenizer, ""), [0; 0]);
        assert_eq!(ids(&tokenizer, &"q".repeat(500)).len(), 24);
        // Nothing in a text can name a reserved token.
        assert!(!ids(&tokenizer, "[PAD] [pad]").contains(&PAD_ID));
    }

    #[test]
    fn one_scratch_serves_several_tokenizers() {
        let (small, large) = (Tokenizer::learn(TEXTS.into_iter(), 60, 24).unwrap(), tokenizer());
        let (mut scratch, mut found) = (EncodeScratch::new(), Vec::new());
        for _ in 0..3 {
            for tokenizer in [&small, &large] {
                tokenizer.encode(TEXTS[0], &mut scratch, &mut found).unwrap();
                assert_eq!(found, ids(tokenizer, TEXTS[0]));
            }
        }
    }

    #[test]
    fn the_library_gives_the_same_ids_from_raw_random_unicode() {
        let tokenizer = tokenizer();
        let library = tokenizers::Tokenizer::from_bytes(tokenizer.to_json().unwrap()).unwrap();
        let (mut state, mut normalised) = (42, String::new());
        let (mut scratch, mut found) = (EncodeScratch::new(), Vec::new());
        for round in 0..20_000 {
            let mut raw = random_text(&mut state);
            if round % 4 == 0 {
                raw.push_str(&TEXTS[round % TEXTS.len()].to_uppercase());
            }
            if normalise(&raw, &mut normalised).truncated {
                continue;
            }
            tokenizer.encode(&normalised, &mut scratch, &mut found).unwrap();
            assert_eq!(found, by_the_library(&library, &raw), "{raw:?}");
        }
    }

    #[test]
    fn every_character_is_normalised_and_cut_as_the_library_does() {
        use tokenizers::{NormalizedString, Normalizer, PreTokenizedString, PreTokenizer};
        let library = tokenizers::Tokenizer::from_bytes(tokenizer().to_json().unwrap()).unwrap();
        let mut out = String::new();
        for c in '\0'..=char::MAX {
            let raw = format!("a{c}\u{301}b {c}{c}");
            normalise(&raw, &mut out);
            let mut text = NormalizedString::from(raw.as_str());
            library.get_normalizer().unwrap().normalize(&mut text).unwrap();
            assert_eq!(text.get(), out, "{c:?}");
            let mut pieces = PreTokenizedString::from(out.as_str());
            library.get_pre_tokenizer().unwrap().pre_tokenize(&mut pieces).unwrap();
            let pieces = pieces.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
            assert!(pieces.into_iter().map(|(piece, ..)| piece).eq(words(&out)), "{c:?}");
        }
    }

    #[test]
    fn broken_files_are_refused_without_a_panic() {
        let json = tokenizer().to_json().unwrap();
        let document: Value = serde_json::from_slice(&json).unwrap();
        let refuse = |change: fn(&mut Value)| {
            let mut broken = document.clone();
            change(&mut broken);
            Tokenizer::from_json(&serde_json::to_vec(&broken).unwrap()).err().expect("refused").to_string()
        };
        assert!(refuse(|d| d["pre_tokenizer"] = Value::Null).contains("pre_tokenizer"));
        assert!(refuse(|d| d["normalizer"]["normalizers"][0] = json!({"type": "NFC"})).contains("normalizer"));
        assert!(refuse(|d| d["truncation"]["max_length"] = json!(0)).contains("max_length"));
        assert!(refuse(|d| d["model"]["dropout"] = json!(0.5)).contains("model"));
        assert!(refuse(|d| d["model"]["vocab"]["zzz"] = json!(5)).contains("ids"));
        assert!(refuse(|d| d["model"]["vocab"]["[PAD]"] = json!(1)).contains("ids"));
        assert!(refuse(|d| d["model"]["merges"][0] = json!(["a", "b"])).contains("merge 0"));
        assert!(refuse(|d| d["model"]["merges"][0] = json!("a b")).contains("merge 0"));
        assert!(refuse(|d| *d = json!([])).contains("max_length"));
        for cut in (0..json.len()).step_by(97) {
            assert!(Tokenizer::from_json(&json[..cut]).is_err());
        }
    }

    /// Runs where the shared data lies beside the checkout.
    #[test]
    fn the_library_gives_the_same_ids_on_real_lines() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/labelled_train.parquet");
        let Ok(file) = std::fs::File::open(path) else { return };
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let mut raw = Vec::new();
        for batch in reader.build().unwrap() {
            let column = arrow::compute::cast(&batch.unwrap()["description"], &arrow::datatypes::DataType::Utf8);
            let column = column.unwrap();
            let texts = arrow::array::AsArray::as_string::<i32>(&column).iter().flatten();
            raw.extend(texts.map(str::to_string));
        }
        let mut normalised = String::new();
        let texts: Vec<String> = raw
            .iter()
            .map(|raw| {
                normalise(raw, &mut normalised);
                normalised.clone()
            })
            .collect();
        let tokenizer = Tokenizer::learn(texts.iter().map(String::as_str).step_by(4), 4000, 48).unwrap();
        let library = tokenizers::Tokenizer::from_bytes(tokenizer.to_json().unwrap()).unwrap();
        let (mut scratch, mut found) = (EncodeScratch::new(), Vec::new());
        for (raw, text) in raw.iter().zip(&texts).step_by(3) {
            tokenizer.encode(text, &mut scratch, &mut found).unwrap();
            assert_eq!(found, by_the_library(&library, raw), "{raw:?}");
        }
    }
}
