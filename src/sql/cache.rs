//! Answers of texts that came before, in bounded memory.
//!
//! An answer depends on its text alone, so it does not matter what is remembered and what is scored again.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::engine::Score;
use crate::policy::{Decision, Reasons};
use crate::text::TextDigest;

/// Which text: the digest of the normalised text, and whether it was cut before.
pub(super) type Key = (TextDigest, bool);

/// The answer for a text, without the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    /// `None` when the decision is to give no code.
    pub score: Option<Score>,
    pub decision: Decision,
    pub reasons: Reasons,
}

/// Places for answers; some 30 MB. A text has one place, and takes it from the one before.
const PLACES: usize = 1 << 18;

/// Places behind one lock.
const PLACES_PER_LOCK: usize = 1 << 10;

type Places = Vec<Option<(Key, Remembered)>>;

/// See the module. Memory is taken when the first answer is put in.
#[derive(Default)]
pub(super) struct Cache {
    parts: OnceLock<Vec<Mutex<Places>>>,
}

impl Cache {
    /// One without a place, which remembers nothing.
    pub(super) fn none() -> Cache {
        Cache { parts: OnceLock::from(Vec::new()) }
    }

    /// The answer of a text, if it is remembered.
    pub(super) fn get(&self, key: &Key) -> Option<Remembered> {
        let part = self.parts.get()?.get(place(key) / PLACES_PER_LOCK)?;
        let part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.get(place(key) % PLACES_PER_LOCK)?.as_ref().filter(|(k, _)| k == key).map(|(_, answer)| *answer)
    }

    /// Remembers an answer.
    pub(super) fn put(&self, key: Key, answer: Remembered) {
        let parts = self.parts.get_or_init(|| (0..PLACES / PLACES_PER_LOCK).map(|_| Mutex::new(Vec::new())).collect());
        let Some(part) = parts.get(place(&key) / PLACES_PER_LOCK) else { return };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if part.is_empty() {
            part.resize(PLACES_PER_LOCK, None);
        }
        part[place(&key) % PLACES_PER_LOCK] = Some((key, answer));
    }
}

/// Where a text belongs: its digest is uniform already.
fn place(key: &Key) -> usize {
    let bytes = key.0.as_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::digest;

    fn answer(confidence: f32) -> Remembered {
        let score = Score {
            top: [(7, confidence); crate::engine::TOP],
            choices: 1,
            vague: false,
            heading: 1.0,
            chapter: 1.0,
            tokens: 1,
            unknown: 0,
            cut: false,
        };
        Remembered { score: Some(score), decision: Decision::Review, reasons: Reasons::default() }
    }

    #[test]
    fn a_cache_without_places_remembers_nothing() {
        let cache = Cache::none();
        let key = (digest("a"), false);
        cache.put(key, answer(0.5));
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn a_text_is_found_or_forgotten_but_never_mistaken() {
        let cache = Cache::default();
        assert!(cache.get(&(digest("0"), false)).is_none());
        let texts = 2 * PLACES / 100;
        for i in 0..texts {
            cache.put((digest(&i.to_string()), false), answer(i as f32));
        }
        let mut found = 0;
        for i in 0..texts {
            let key = digest(&i.to_string());
            assert!(cache.get(&(key, true)).is_none(), "a cut text is another one");
            if let Some(answer) = cache.get(&(key, false)) {
                assert_eq!(answer.score.unwrap().top[0].1, i as f32);
                found += 1;
            }
        }
        assert!(found > texts * 9 / 10 && found < texts, "{found} of {texts}");
    }
}
