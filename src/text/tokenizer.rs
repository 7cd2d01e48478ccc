//! From a normalised description to token ids.
//!
//! `tokenizer.json` holds the whole pipeline, so that the Hugging Face library gives the same ids from the raw
//! description (up to [`super::MAX_CHARS`] characters). Here the words are cut by hand and only a word that was
//! not seen before goes through the library's model; tests hold both ways to the same ids.
//!
//! Words: a run of ASCII digits, or a run of anything that is neither digit nor gap. Gaps are white space,
//! punctuation and symbols, and give no token. A run of [`LONG_NUMBER`] digits or more is a serial or a part
//! number, and all of those are one word.

use super::bpe;
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use tokenizers::Model;

/// Id of the padding token; no text gives it.
pub const PAD_ID: u32 = 0;
/// Id of the token for characters that the vocabulary does not know.
pub const UNKNOWN_ID: u32 = 1;

/// Pieces of the reserved ids, in their order.
const RESERVED: [&str; 2] = ["[PAD]", "[UNK]"];
/// Digits from which a number is replaced by [`SERIAL`].
const LONG_NUMBER: usize = 5;
/// The word that stands for every long number.
const SERIAL: &str = "00000";
/// Gaps as inside a character class; [`is_gap`] says the same in Rust.
const GAPS: &str = r"\x00-/:-@\[-`{-\x{BF}\x{D7}\x{F7}\x{1680}\x{2000}-\x{2BFF}\x{3000}-\x{303F}\x{FEFF}";

/// A larger `tokenizer.json` is refused before it is read.
const MAX_JSON_BYTES: usize = 64 << 20;
/// More pieces than this are refused.
const MAX_VOCAB: usize = 1 << 20;
/// More tokens a line than this are refused.
const MAX_MAX_TOKENS: usize = 1024;
/// Long words, and words of many pieces, that one scratch remembers before it starts afresh.
const MAX_CACHED_WORDS: usize = 1 << 16;
/// Pieces that one scratch remembers before it starts afresh; long words have many.
const MAX_CACHED_PIECES: usize = 1 << 19;

/// Tells tokenizers of one process apart, so that a scratch never answers for another one.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// A learnt vocabulary with its pipeline. Immutable and shared between threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    max_tokens: usize,
    identity: u64,
}

/// Memory of one thread: words that were seen, with their pieces. Bounded.
#[derive(Default)]
pub struct EncodeScratch {
    identity: u64,
    /// Words of up to 15 bytes and of few pieces, which are most. A word has one place, and takes it from the one before.
    slots: Vec<Slot>,
    /// The others: start and length in `pieces`.
    rest: HashMap<Box<str>, (u32, u32), foldhash::fast::RandomState>,
    pieces: Vec<u32>,
    /// Key of each word of a text, and where it stands in it.
    words: Vec<(u128, u32, u32)>,
}

/// A word and its pieces, in half a cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Slot {
    /// See [`key`]; 0 is no word.
    key: u128,
    ids: [u32; SLOT_PIECES],
    /// How many of `ids` count.
    len: u32,
}

const SLOT_PIECES: usize = 3;

/// Places for words: 2 MB.
const SLOTS: usize = 1 << 16;

/// Bytes and length of a word of up to 15 bytes; another number for longer ones, which says no more than that.
#[inline]
fn key(word: &str) -> u128 {
    let mut bytes = [0u8; 16];
    match bytes.get_mut(..word.len().min(16)) {
        Some(to) if word.len() <= 15 => to.copy_from_slice(word.as_bytes()),
        _ => return LONG_WORD,
    }
    bytes[15] = word.len() as u8;
    u128::from_le_bytes(bytes)
}

const LONG_WORD: u128 = u128::MAX;

/// Where a word belongs (a multiplicative hash; Knuth, "The Art of Computer Programming", volume 3, section 6.4).
#[inline]
fn place(key: u128) -> usize {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd1b5_4a32_d192_ed03;
    let mixed = (key as u64).wrapping_mul(A) ^ ((key >> 64) as u64).wrapping_mul(B);
    ((mixed ^ (mixed >> 29)).wrapping_mul(A) >> 48) as usize % SLOTS
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
        let learned = bpe::learn(&counts, vocab_size, &RESERVED);
        let vocab: serde_json::Map<String, Value> =
            learned.pieces.into_iter().enumerate().map(|(id, piece)| (piece, json!(id))).collect();
        let document = json!({
            "version": "1.0",
            "truncation": truncation(max_tokens),
            "padding": null,
            "added_tokens": [],
            "normalizer": normalizer(),
            "pre_tokenizer": pre_tokenizer(),
            "post_processor": null,
            "decoder": null,
            "model": model(Value::Object(vocab), json!(learned.merges)),
        });
        Tokenizer::from_document(document)
    }

    /// Reads `tokenizer.json`. Refuses a pipeline other than the one that [`Tokenizer::encode`] implements.
    pub fn from_json(bytes: &[u8]) -> Result<Tokenizer> {
        if bytes.len() > MAX_JSON_BYTES {
            return Err(refused(format_args!("it has {} bytes, the limit is {MAX_JSON_BYTES}", bytes.len())));
        }
        Tokenizer::from_document(serde_json::from_slice(bytes).map_err(|e| refused(format_args!("{e}")))?)
    }

    fn from_document(document: Value) -> Result<Tokenizer> {
        let (vocab_size, max_tokens) = check(&document)?;
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
        if scratch.identity != self.identity || scratch.is_full() {
            scratch.reset(self.identity);
        }
        // First all words, then all places: so the look-ups do not wait for each other.
        let mut found = std::mem::take(&mut scratch.words);
        found.clear();
        // A word gives a token at least.
        for (from, to) in spans(normalised).take(self.max_tokens + 1) {
            found.push((key(word(normalised, from, to)), from as u32, to as u32));
        }
        for &(key, from, to) in &found {
            let slot = scratch.slots[place(key)];
            if slot.key == key {
                ids.extend_from_slice(&slot.ids[..slot.len as usize]);
            } else {
                self.look_up(word(normalised, from as usize, to as usize), key, scratch, ids)?;
            }
            if ids.len() > self.max_tokens {
                break;
            }
        }
        scratch.words = found;
        let cut = ids.len() > self.max_tokens;
        ids.truncate(self.max_tokens);
        Ok(cut)
    }

    /// Appends the pieces of a word that has no slot, and gives it one if it can.
    fn look_up(&self, word: &str, key: u128, scratch: &mut EncodeScratch, ids: &mut Vec<u32>) -> Result<()> {
        if let Some(&(start, len)) = scratch.rest.get(word) {
            ids.extend_from_slice(&scratch.pieces[start as usize..][..len as usize]);
            return Ok(());
        }
        let tokens = self.inner.get_model().tokenize(word);
        let tokens = tokens.map_err(|e| Error::Bug(format!("the subword model failed on a word: {e}")))?;
        // A word gives no more pieces than it has characters, so one text cannot push a scratch far over its bound.
        let kept = tokens.iter().take(self.max_tokens + 1).map(|token| token.id);
        if key != LONG_WORD && kept.len() <= SLOT_PIECES {
            let mut slot = Slot { key, ids: [0; SLOT_PIECES], len: kept.len() as u32 };
            slot.ids.iter_mut().zip(kept.clone()).for_each(|(to, id)| *to = id);
            scratch.slots[place(key)] = slot;
        } else {
            scratch.rest.insert(word.into(), (scratch.pieces.len() as u32, kept.len() as u32));
            scratch.pieces.extend(kept.clone());
        }
        ids.extend(kept);
        Ok(())
    }
}

impl EncodeScratch {
    /// An empty scratch; works with every tokenizer.
    pub fn new() -> Self {
        EncodeScratch::default()
    }

    fn is_full(&self) -> bool {
        self.rest.len() >= MAX_CACHED_WORDS || self.pieces.len() >= MAX_CACHED_PIECES
    }

    fn reset(&mut self, identity: u64) {
        self.identity = identity;
        self.slots.clear();
        self.slots.resize(SLOTS, Slot::default());
        self.rest.clear();
        self.pieces.clear();
    }
}

/// The words of a normalised text; see the head of this file.
fn words(text: &str) -> impl Iterator<Item = &str> {
    spans(text).map(|(from, to)| word(text, from, to))
}

/// The word at a place that [`spans`] gave.
#[inline]
fn word(text: &str, from: usize, to: usize) -> &str {
    let word = &text[from..to];
    if word.len() >= LONG_NUMBER && word.as_bytes()[0].is_ascii_digit() { SERIAL } else { word }
}

/// Where the words of a text begin and end.
fn spans(text: &str) -> Spans<'_> {
    Spans { text, at: 0 }
}

/// Iterator of [`spans`]. Texts are mostly ASCII, so bytes are looked at before characters.
struct Spans<'a> {
    text: &'a str,
    at: usize,
}

impl Spans<'_> {
    /// Goes on while characters are such; `ascii` and `other` tell for bytes below 128 and for characters above.
    #[inline]
    fn pass(&mut self, ascii: impl Fn(u8) -> bool, other: impl Fn(char) -> bool) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte < 128 {
                if !ascii(byte) {
                    return;
                }
                self.at += 1;
            } else {
                match self.text[self.at..].chars().next() {
                    Some(c) if other(c) => self.at += c.len_utf8(),
                    _ => return,
                }
            }
        }
    }
}

impl Iterator for Spans<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        self.pass(|b| !b.is_ascii_alphanumeric(), is_gap);
        let from = self.at;
        if self.text.as_bytes().get(from)?.is_ascii_digit() {
            self.pass(|b| b.is_ascii_digit(), |_| false);
        } else {
            // A normalised text has no upper case, but the library cuts raw ones the same way.
            self.pass(|b| b.is_ascii_alphabetic(), |c| !is_gap(c));
        }
        Some((from, self.at))
    }
}

/// White space, control characters, punctuation and symbols; the same set as [`GAPS`].
fn is_gap(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_alphanumeric();
    }
    matches!(c, '\u{80}'..='\u{BF}' | '\u{D7}' | '\u{F7}' | '\u{1680}' | '\u{2000}'..='\u{2BFF}')
        || matches!(c, '\u{3000}'..='\u{303F}' | '\u{FEFF}')
}

/// What [`super::normalise`] does, without its bound, and the serial word.
fn normalizer() -> Value {
    json!({"type": "Sequence", "normalizers": [
        {"type": "NFKC"},
        {"type": "Lowercase"},
        {"type": "Replace", "pattern": {"Regex": r"[\s\p{Cc}]+"}, "content": " "},
        {"type": "Strip", "strip_left": true, "strip_right": true},
        {"type": "Replace", "pattern": {"Regex": format!("[0-9]{{{LONG_NUMBER},}}")}, "content": SERIAL},
    ]})
}

/// What [`words`] does.
fn pre_tokenizer() -> Value {
    let pattern = format!("[0-9]+|[^0-9{GAPS}]+");
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": true})
}

fn truncation(max_tokens: usize) -> Value {
    json!({"direction": "Right", "max_length": max_tokens, "strategy": "LongestFirst", "stride": 0})
}

fn model(vocab: Value, merges: Value) -> Value {
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": RESERVED[UNKNOWN_ID as usize],
        "continuing_subword_prefix": bpe::CONTINUING,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": false,
        "vocab": vocab,
        "merges": merges,
    })
}

/// Vocabulary size and token limit of a document, if it is one of ours. The library panics on some broken merges,
/// so they are checked before it sees them.
fn check(document: &Value) -> Result<(usize, usize)> {
    let max_tokens = document["truncation"]["max_length"].as_u64().unwrap_or(0) as usize;
    if max_tokens == 0 || max_tokens > MAX_MAX_TOKENS {
        return Err(refused(format_args!("truncation.max_length must be 1 to {MAX_MAX_TOKENS}")));
    }
    let parts = [
        ("truncation", truncation(max_tokens)),
        ("padding", Value::Null),
        ("added_tokens", json!([])),
        ("normalizer", normalizer()),
        ("pre_tokenizer", pre_tokenizer()),
        ("post_processor", Value::Null),
        ("decoder", Value::Null),
    ];
    for (part, expected) in parts {
        if document[part] != expected {
            return Err(refused(format_args!("its {part} is not the one that this program writes")));
        }
    }
    let found = &document["model"];
    if *found != model(found["vocab"].clone(), found["merges"].clone()) {
        return Err(refused(format_args!("its model has settings that this program does not write")));
    }
    let vocab = check_vocab(&found["vocab"])?;
    check_merges(&found["merges"], &vocab)?;
    Ok((vocab.len(), max_tokens))
}

/// The pieces, when their ids are 0, 1, 2 … and the reserved ones are in their places.
fn check_vocab(vocab: &Value) -> Result<HashMap<&str, usize>> {
    let vocab = vocab.as_object().ok_or_else(|| refused(format_args!("model.vocab is not an object")))?;
    if vocab.len() <= RESERVED.len() || vocab.len() > MAX_VOCAB {
        return Err(refused(format_args!("it has {} pieces, {MAX_VOCAB} are allowed", vocab.len())));
    }
    let mut taken = vec![false; vocab.len()];
    let mut pieces = HashMap::with_capacity(vocab.len());
    for (piece, id) in vocab {
        let id = id.as_u64().map_or(usize::MAX, |id| id as usize);
        match taken.get_mut(id) {
            Some(slot) if !*slot => *slot = true,
            _ => {
                return Err(refused(format_args!("the ids of its pieces are not 0 to {}", vocab.len() - 1)));
            }
        }
        pieces.insert(piece.as_str(), id);
    }
    match RESERVED.iter().enumerate().find(|(id, piece)| pieces.get(*piece) != Some(id)) {
        Some((id, piece)) => Err(refused(format_args!("{piece} does not have id {id}"))),
        None => Ok(pieces),
    }
}

/// Every merge joins two known pieces, the second a continuing one, into a known piece.
fn check_merges(merges: &Value, vocab: &HashMap<&str, usize>) -> Result<()> {
    let merges = merges.as_array().ok_or_else(|| refused(format_args!("model.merges is not a list")))?;
    let mut joined = String::new();
    for (rank, merge) in merges.iter().enumerate() {
        let pair = merge.as_array().map(Vec::as_slice).unwrap_or_default();
        let known = match pair {
            [Value::String(left), Value::String(right)] => {
                joined.clear();
                joined.push_str(left);
                joined.push_str(right.strip_prefix(bpe::CONTINUING).unwrap_or_default());
                right.starts_with(bpe::CONTINUING)
                    && [left, right, &joined].iter().all(|piece| vocab.contains_key(piece.as_str()))
            }
            _ => false,
        };
        if !known {
            return Err(refused(format_args!("merge {rank} does not join two of its pieces into a third")));
        }
    }
    Ok(())
}

fn refused(why: std::fmt::Arguments<'_>) -> Error {
    Error::Registry(format!("tokenizer.json is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalise;

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

    fn cut(text: &str) -> Vec<&str> {
        words(text).collect()
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
    fn words_are_cut_at_gaps_and_between_digits_and_letters() {
        assert_eq!(cut("70ctns men's t-shirts"), ["70", "ctns", "men", "s", "t", "shirts"]);
        assert_eq!(cut("0.75kw 1998 no:jtd923771012345x"), ["0", "75", "kw", "1998", "no", "jtd", SERIAL, "x"]);
        assert_eq!(cut("1234 12345"), ["1234", SERIAL]);
        assert_eq!(cut("créme – 日本 ٣٤"), ["créme", "日本", "٣٤"]);
        assert_eq!(cut("... "), [""; 0]);
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
