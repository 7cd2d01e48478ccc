//! What `tokenizer.json` holds: one pipeline and no other, so that the Hugging Face library does with a raw description what
//! this program does with a normalised one.

use serde_json::{Value, json};
use std::collections::HashMap;

use super::UNKNOWN_ID;
use super::words::{GAPS, LONG_NUMBER, SERIAL};
use crate::error::{Error, Result};
use crate::text::bpe::{self, Learned};

/// Pieces of the reserved ids, in their order.
pub(super) const RESERVED: [&str; 2] = ["[PAD]", "[UNK]"];
/// A larger `tokenizer.json` is refused before it is read.
pub(super) const MAX_JSON_BYTES: usize = 64 << 20;
/// More pieces than this are refused.
const MAX_VOCAB: usize = 1 << 20;
/// More tokens a line than this are refused.
const MAX_MAX_TOKENS: usize = 1024;

/// The document of a learnt vocabulary.
pub(super) fn write(learned: Learned, max_tokens: usize) -> Value {
    let pieces = learned.pieces.into_iter().enumerate();
    let vocab: serde_json::Map<String, Value> = pieces.map(|(id, piece)| (piece, json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": truncation(max_tokens),
        "padding": null,
        "added_tokens": [],
        "normalizer": normalizer(),
        "pre_tokenizer": pre_tokenizer(),
        "post_processor": null,
        "decoder": null,
        "model": model(Value::Object(vocab), json!(learned.merges)),
    })
}

/// What `normalise` does, without its bound, and the serial word.
fn normalizer() -> Value {
    json!({"type": "Sequence", "normalizers": [
        {"type": "NFKC"},
        {"type": "Lowercase"},
        {"type": "Replace", "pattern": {"Regex": r"[\s\p{Cc}]+"}, "content": " "},
        {"type": "Strip", "strip_left": true, "strip_right": true},
        {"type": "Replace", "pattern": {"Regex": format!("[0-9]{{{LONG_NUMBER},}}")}, "content": SERIAL},
    ]})
}

/// What `words` does.
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
pub(super) fn check(document: &Value) -> Result<(usize, usize)> {
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

pub(super) fn refused(why: std::fmt::Arguments<'_>) -> Error {
    Error::Registry(format!("tokenizer.json is refused: {why}"))
}
