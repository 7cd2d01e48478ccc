//! The words that one thread has seen, with their pieces, in bounded memory. What is remembered changes no answer.

use std::collections::HashMap;

/// Long words, and words of many pieces, that one scratch remembers before it starts afresh.
const MAX_WORDS: usize = 1 << 16;
/// Pieces that one scratch remembers before it starts afresh; long words have many.
const MAX_PIECES: usize = 1 << 19;

/// Memory of one thread: words that were seen, with their pieces. Bounded.
#[derive(Default)]
pub struct EncodeScratch {
    identity: u64,
    /// Words of up to 15 bytes and of few pieces, which are most. A word has one place, and takes it from the one before.
    slots: Vec<Slot>,
    /// The others: start and length in `pieces`.
    rest: HashMap<Box<str>, (u32, u32), foldhash::fast::RandomState>,
    pieces: Vec<u32>,
    /// Key of each word of a text, and where it stands in it; empty between texts.
    pub(super) found: Vec<(u128, (usize, usize))>,
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
pub(super) fn key(word: &str) -> u128 {
    let mut bytes = [0u8; 16];
    match bytes.get_mut(..word.len().min(16)) {
        Some(to) if word.len() <= 15 => to.copy_from_slice(word.as_bytes()),
        _ => return LONG_WORD,
    }
    bytes[15] = word.len() as u8;
    u128::from_le_bytes(bytes)
}

const LONG_WORD: u128 = u128::MAX;

/// A number that only this word has, above 0; `None` for one of more than 15 bytes.
pub fn word_key(word: &str) -> Option<u128> {
    let key = key(word);
    (key != LONG_WORD).then_some(key)
}

/// Where a word of this key belongs, below 2^16 (a multiplicative hash; Knuth, "The Art of Computer Programming", volume 3, section 6.4).
#[inline]
pub fn word_place(key: u128) -> usize {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd1b5_4a32_d192_ed03;
    let mixed = (key as u64).wrapping_mul(A) ^ ((key >> 64) as u64).wrapping_mul(B);
    ((mixed ^ (mixed >> 29)).wrapping_mul(A) >> 48) as usize
}

impl EncodeScratch {
    /// An empty scratch; works with every tokenizer.
    pub fn new() -> Self {
        EncodeScratch::default()
    }

    /// Makes ready for a tokenizer: forgets what another one said, and starts afresh when it is full.
    pub(super) fn serve(&mut self, identity: u64) {
        let full = self.rest.len() >= MAX_WORDS || self.pieces.len() >= MAX_PIECES;
        if self.identity != identity || full {
            self.identity = identity;
            self.slots.clear();
            self.slots.resize(SLOTS, Slot::default());
            self.rest.clear();
            self.pieces.clear();
        }
    }

    /// Appends the pieces of a word, if it is remembered; `key` is its [`key`].
    #[inline]
    pub(super) fn recall(&self, word: &str, key: u128, ids: &mut Vec<u32>) -> bool {
        let slot = &self.slots[word_place(key) % SLOTS];
        if slot.key == key {
            ids.extend_from_slice(&slot.ids[..slot.len as usize]);
            return true;
        }
        match self.rest.get(word) {
            Some(&(start, len)) => ids.extend_from_slice(&self.pieces[start as usize..][..len as usize]),
            None => return false,
        }
        true
    }

    /// Keeps the pieces of a word.
    pub(super) fn remember(&mut self, word: &str, key: u128, pieces: &[u32]) {
        let mut slot = Slot { key, ids: [0; SLOT_PIECES], len: pieces.len() as u32 };
        match slot.ids.get_mut(..pieces.len()) {
            Some(ids) if key != LONG_WORD => {
                ids.copy_from_slice(pieces);
                self.slots[word_place(key) % SLOTS] = slot;
            }
            _ => {
                self.rest.insert(word.into(), (self.pieces.len() as u32, pieces.len() as u32));
                self.pieces.extend_from_slice(pieces);
            }
        }
    }
}
