//! The character n-grams of the words of a text, as rows of a table: what a misspelt or unseen word shares with known ones.
//!
//! After Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", section 3.2: a word stands between `<` and
//! `>`; the word as a whole and its n-grams are hashed into so many rows, which several of them may share.

use serde::{Deserialize, Serialize};

use super::tokenizer::words_cut;

/// N-grams of a text that count, at most; more are cut off.
pub const MAX_GRAMS: usize = 1 << 14;

/// Which n-grams there are, and how many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grams {
    /// Rows of the table.
    pub buckets: usize,
    /// Characters of the shortest n-grams, `<` and `>` counted.
    pub shortest: usize,
    /// Characters of the longest.
    pub longest: usize,
    /// Whether each two neighbouring words have a row too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pairs: bool,
    /// Whether letters and digits that touch are one word, with all its digits; otherwise words are those of the tokenizer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// FNV-1a of 32 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

fn fnv(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME))
}

impl Grams {
    /// The words of a normalised text whose n-grams count.
    pub fn words<'t>(&self, normalised: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
        words_cut(normalised, self.whole)
    }

    /// Appends the rows of a word: of the word itself, then of its n-grams from the left, shorter ones first.
    pub fn of_word(&self, word: &str, rows: &mut Vec<u32>) {
        let row = |hash: u32| hash % self.buckets as u32;
        // No n-gram holds the byte 0, so the word is none of its own n-grams.
        rows.push(row(fnv(fnv(FNV_OFFSET, &[0]), word.as_bytes())));
        let mut characters = std::iter::once("<").chain(characters(word)).chain([">"]);
        while let Some(first) = characters.next() {
            let mut hash = fnv(FNV_OFFSET, first.as_bytes());
            let more = characters.clone();
            for (length, next) in (2..=self.longest).zip(more) {
                hash = fnv(hash, next.as_bytes());
                if length >= self.shortest {
                    rows.push(row(hash));
                }
            }
        }
    }

    /// The row of a word with the one before it.
    pub fn of_pair(&self, before: &str, word: &str) -> u32 {
        // Nor does any hold two of them.
        let hash = fnv(fnv(fnv(FNV_OFFSET, &[0]), before.as_bytes()), &[0]);
        fnv(hash, word.as_bytes()) % self.buckets as u32
    }

    /// Rows of the first `max_words` words of a normalised text, each followed by that of the pair which it ends, [`MAX_GRAMS`] at
    /// most; of words, all or none.
    pub fn of_text(&self, normalised: &str, max_words: usize) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut last = None;
        for word in self.words(normalised).take(max_words) {
            let before = rows.len();
            self.of_word(word, &mut rows);
            rows.extend(last.filter(|_| self.pairs).map(|last| self.of_pair(last, word)));
            last = Some(word);
            if rows.len() > MAX_GRAMS {
                rows.truncate(before);
                break;
            }
        }
        rows
    }
}

fn characters(word: &str) -> impl Iterator<Item = &str> + Clone {
    word.char_indices().map(|(at, c)| &word[at..at + c.len_utf8()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Grams = Grams { buckets: 1 << 20, shortest: 2, longest: 3, pairs: false, whole: false };

    fn rows(text: &str) -> Vec<u32> {
        SHAPE.of_text(text, 100)
    }

    fn of(gram: &str) -> u32 {
        fnv(FNV_OFFSET, gram.as_bytes()) % SHAPE.buckets as u32
    }

    #[test]
    fn hashes_are_those_of_the_published_vectors() {
        // draft-eastlake-fnv, appendix: FNV-1a 32 of "", "a" and "foobar".
        assert_eq!(
            [fnv(FNV_OFFSET, b""), fnv(FNV_OFFSET, b"a"), fnv(FNV_OFFSET, b"foobar")],
            [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]
        );
    }

    #[test]
    fn a_word_gives_itself_and_its_n_grams() {
        let found = rows("tin");
        assert_eq!(found[1..], ["<t", "<ti", "ti", "tin", "in", "in>", "n>"].map(of));
        assert!(!found[1..].contains(&found[0]));
        assert_eq!(rows("é")[1..], ["<é", "<é>", "é>"].map(of));
        assert_eq!(rows(""), [0; 0]);
    }

    #[test]
    fn neighbouring_words_have_a_row_that_knows_their_order() {
        let pairs = Grams { pairs: true, ..SHAPE };
        let found = pairs.of_text("tin box of", 100);
        let (tin, box_, of) = (rows("tin"), rows("box"), rows("of"));
        let pair = |a, b| vec![pairs.of_pair(a, b)];
        assert_eq!(found, [tin, box_, pair("tin", "box"), of, pair("box", "of")].concat());
        assert_ne!(pairs.of_pair("tin", "box"), pairs.of_pair("box", "tin"));
        assert_eq!(pairs.of_pair("tin", "box"), fnv(FNV_OFFSET, b"\0tin\0box") % SHAPE.buckets as u32);
    }

    #[test]
    fn whole_words_keep_letters_and_digits_together() {
        let whole = Grams { whole: true, ..SHAPE };
        let mut expected = Vec::new();
        whole.of_word("m8x123456", &mut expected);
        assert_eq!(whole.of_text("m8x123456", 100), expected);
        assert_ne!(SHAPE.of_text("m8x123456", 100), expected);
        let json = r#"{"buckets":7,"shortest":2,"longest":3}"#;
        assert!(!serde_json::from_str::<Grams>(json).unwrap().whole);
        assert_eq!(serde_json::to_string(&Grams { buckets: 7, ..SHAPE }).unwrap(), json);
    }

    #[test]
    fn words_follow_each_other_and_only_so_many_count() {
        assert_eq!(rows("tin, box"), [rows("tin"), rows("box")].concat());
        assert_eq!(SHAPE.of_text("tin, box", 1), rows("tin"));
        assert!(!rows(&"abcdefgh ".repeat(5000)).is_empty());
        assert!(SHAPE.of_text(&"abcdefgh ".repeat(5000), 5000).len() <= MAX_GRAMS);
        assert_eq!(SHAPE.of_text(&"x".repeat(MAX_GRAMS), 1), [0; 0]);
    }
}
