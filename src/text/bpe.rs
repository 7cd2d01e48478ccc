//! Learning a byte-pair vocabulary (Sennrich et al. 2016, <https://aclanthology.org/P16-1162>, algorithm 1).
//!
//! The trainer of the Hugging Face library walks hash maps in an order that changes from run to run; this one
//! breaks every tie by piece id, so the same words give the same pieces. It learns only; encoding is elsewhere.

use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// Put before every piece that does not begin a word.
pub(super) const CONTINUING: &str = "##";

/// A character seen fewer times is left to the unknown token.
const MIN_CHAR_COUNT: u64 = 3;
/// A pair seen fewer times is not worth a piece.
const MIN_PAIR_COUNT: u64 = 2;
/// Longer words are serials or garbage, and teach nothing.
const MAX_WORD_CHARS: usize = 48;

type Pair = (u32, u32);

/// What [`learn`] found: pieces by id, and merges by rank.
pub(super) struct Learned {
    pub pieces: Vec<String>,
    pub merges: Vec<(String, String)>,
}

struct Word {
    symbols: Vec<u32>,
    count: u64,
}

/// Learns at most `vocab_size` pieces from words and their counts; `reserved` pieces come first, and the last of
/// them stands for unknown characters.
pub(super) fn learn(words: &BTreeMap<String, u64>, vocab_size: usize, reserved: &[&str]) -> Learned {
    let unknown = reserved.len().saturating_sub(1) as u32;
    let mut pieces: Vec<String> = reserved.iter().map(|piece| piece.to_string()).collect();
    let mut ids = alphabet(words, vocab_size, &mut pieces);
    let mut words: Vec<Word> = words
        .iter()
        .filter(|(word, _)| word.chars().count() <= MAX_WORD_CHARS)
        .map(|(word, &count)| Word { symbols: symbols(word, &ids, unknown), count })
        .collect();

    let mut pairs = Pairs::new(unknown);
    for (index, word) in words.iter().enumerate() {
        pairs.add(word, index as u32);
    }
    pairs.publish();

    let mut merges = Vec::new();
    while pieces.len() < vocab_size {
        let Some(pair) = pairs.pop_best() else { break };
        let (left, right) = (&pieces[pair.0 as usize], &pieces[pair.1 as usize]);
        let merged = format!("{left}{}", right.strip_prefix(CONTINUING).unwrap_or(right));
        merges.push((left.clone(), right.clone()));
        let id = *ids.entry(merged).or_insert_with_key(|merged| {
            pieces.push(merged.clone());
            (pieces.len() - 1) as u32
        });
        for index in pairs.take_places(pair) {
            let word = &mut words[index as usize];
            pairs.remove(word);
            merge(&mut word.symbols, pair, id);
            pairs.add(word, index);
        }
        pairs.publish();
    }
    Learned { pieces, merges }
}

/// Adds the characters that are frequent enough, each as word-initial and as continuing piece where it occurs.
fn alphabet(words: &BTreeMap<String, u64>, vocab_size: usize, pieces: &mut Vec<String>) -> HashMap<String, u32> {
    let mut seen: BTreeMap<(bool, char), u64> = BTreeMap::new();
    for (word, count) in words {
        for (place, c) in word.chars().enumerate() {
            *seen.entry((place > 0, c)).or_default() += count;
        }
    }
    let mut frequent: Vec<_> = seen.into_iter().filter(|&(_, count)| count >= MIN_CHAR_COUNT).collect();
    frequent.sort_by_key(|&(piece, count)| (std::cmp::Reverse(count), piece));
    frequent.truncate(vocab_size.saturating_sub(pieces.len()));
    frequent.sort_by_key(|&(piece, _)| piece);
    let mut ids = HashMap::new();
    for ((continuing, c), _) in frequent {
        let piece = if continuing { format!("{CONTINUING}{c}") } else { c.to_string() };
        ids.insert(piece.clone(), pieces.len() as u32);
        pieces.push(piece);
    }
    ids
}

fn symbols(word: &str, ids: &HashMap<String, u32>, unknown: u32) -> Vec<u32> {
    let piece = |(place, c): (usize, char)| {
        if place == 0 { c.to_string() } else { format!("{CONTINUING}{c}") }
    };
    word.chars().enumerate().map(|place| ids.get(&piece(place)).copied().unwrap_or(unknown)).collect()
}

/// Replaces every occurrence of `pair`, from the left.
fn merge(symbols: &mut Vec<u32>, pair: Pair, id: u32) {
    let (mut read, mut write) = (0, 0);
    while read < symbols.len() {
        let hit = read + 1 < symbols.len() && (symbols[read], symbols[read + 1]) == pair;
        symbols[write] = if hit { id } else { symbols[read] };
        read += if hit { 2 } else { 1 };
        write += 1;
    }
    symbols.truncate(write);
}

/// Counts of adjacent pairs, where they occur, and a queue of the most frequent ones.
struct Pairs {
    unknown: u32,
    counts: HashMap<Pair, u64>,
    /// Words that held the pair when it was counted; may name a word twice, or one that lost the pair since.
    places: HashMap<Pair, Vec<u32>>,
    /// (count, smallest ids first); an entry whose count is no longer true is skipped when it comes up.
    queue: BinaryHeap<(u64, std::cmp::Reverse<Pair>)>,
    changed: Vec<Pair>,
}

impl Pairs {
    fn new(unknown: u32) -> Self {
        Pairs { unknown, counts: HashMap::new(), places: HashMap::new(), queue: BinaryHeap::new(), changed: Vec::new() }
    }

    fn of<'a>(&self, word: &'a Word) -> impl Iterator<Item = Pair> + use<'a> {
        let unknown = self.unknown;
        word.symbols.windows(2).map(|w| (w[0], w[1])).filter(move |pair| pair.0 != unknown && pair.1 != unknown)
    }

    fn add(&mut self, word: &Word, index: u32) {
        for pair in self.of(word) {
            *self.counts.entry(pair).or_default() += word.count;
            self.places.entry(pair).or_default().push(index);
            self.changed.push(pair);
        }
    }

    fn remove(&mut self, word: &Word) {
        for pair in self.of(word) {
            if let Some(count) = self.counts.get_mut(&pair) {
                *count -= word.count;
            }
            self.changed.push(pair);
        }
    }

    /// Queues every pair whose count changed since the last call.
    fn publish(&mut self) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for pair in self.changed.drain(..) {
            let count = self.counts.get(&pair).copied().unwrap_or(0);
            if count >= MIN_PAIR_COUNT {
                self.queue.push((count, std::cmp::Reverse(pair)));
            }
        }
    }

    fn pop_best(&mut self) -> Option<Pair> {
        while let Some((count, std::cmp::Reverse(pair))) = self.queue.pop() {
            if self.counts.get(&pair) == Some(&count) {
                return Some(pair);
            }
        }
        None
    }

    fn take_places(&mut self, pair: Pair) -> Vec<u32> {
        let mut places = self.places.remove(&pair).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_paper() {
        // Figure 1 of Sennrich et al., with word starts marked in place of word ends: counts worked out by hand.
        let words = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)];
        let words: BTreeMap<String, u64> = words.into_iter().map(|(w, n)| (w.to_string(), n)).collect();
        let learned = learn(&words, 1000, &["[PAD]", "[UNK]"]);
        let first: Vec<_> = learned.merges.iter().take(2).map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(first, [("##e", "##s"), ("##es", "##t")]);
        assert_eq!(learned.pieces[..2], ["[PAD]", "[UNK]"]);
        assert!(learned.pieces.contains(&"newest".to_string()));
    }

    #[test]
    fn a_rare_character_gets_no_piece() {
        let words = BTreeMap::from([("aaaé".to_string(), 1), ("aaaa".to_string(), 9)]);
        let learned = learn(&words, 1000, &["[PAD]", "[UNK]"]);
        assert!(!learned.pieces.iter().any(|piece| piece.contains('é')));
    }
}
