//! The split of labelled rows into parts, by a hash of the description alone.
//!
//! The part of a row depends on its key, the seed and the shares, never on its position, its label or its neighbours:
//! equal descriptions always fall into the same part, rows added later move no other row, and a split needs no
//! list to be repeated. Splitting comes before any weighting or up-sampling, which would leak otherwise.
//!
//! **Which key.** The default is the exact normalised text ([`Grouping::Text`]): new lines will resemble old ones
//! just as much as held-out lines resemble training lines, so this measures the work that is to be done.
//! [`Grouping::TextWithoutNumbers`] also keeps together what differs in numbers alone ("gasket 12 mm", "gasket 8 mm")
//! and so measures goods whose wording is new; it is the stricter of the two, for when sizes, counts or serial
//! numbers make up most of the variety.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a row is used for. No row is used for two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fits the weights.
    Train,
    /// Decides when to stop fitting and which settings are best.
    Stop,
    /// Fits the calibration.
    Calibrate,
    /// Sets the acceptance threshold.
    Threshold,
    /// Measures the finished model, and nothing else.
    Test,
}

impl Part {
    /// Every part, in the order of use.
    pub const ALL: [Part; 5] = [Part::Train, Part::Stop, Part::Calibrate, Part::Threshold, Part::Test];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Stop => "stop",
            Part::Calibrate => "calibrate",
            Part::Threshold => "threshold",
            Part::Test => "test",
        }
    }
}

/// Share of the distinct keys that goes to each part, 0 to 1; the rest is for training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// For [`Part::Stop`].
    pub stop: f64,
    /// For [`Part::Calibrate`].
    pub calibrate: f64,
    /// For [`Part::Threshold`].
    pub threshold: f64,
    /// For [`Part::Test`]; 0 when a test set is kept elsewhere.
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Shares { stop: 0.01, calibrate: 0.03, threshold: 0.03, test: 0.0 }
    }
}

impl Shares {
    /// What is left for training; not positive when the shares are refused by [`Split::new`].
    pub fn train(&self) -> f64 {
        1.0 - (self.test + self.threshold + self.calibrate + self.stop)
    }
}

/// What makes two descriptions inseparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Equal normalised text.
    #[default]
    Text,
    /// Equal normalised text but for numbers; see `group_key`.
    TextWithoutNumbers,
}

impl Grouping {
    /// The key of a normalised description.
    pub fn key(self, normalised: &str) -> [u8; 16] {
        match self {
            Grouping::Text => text_key(normalised),
            Grouping::TextWithoutNumbers => group_key(normalised),
        }
    }
}

/// A split that can be repeated: everything that decides where a description goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Split {
    seed: u64,
    shares: Shares,
    grouping: Grouping,
}

impl Split {
    /// Refuses shares that are negative, not finite, or leave nothing for training.
    pub fn new(seed: u64, shares: Shares, grouping: Grouping) -> Result<Split> {
        let each = [shares.stop, shares.calibrate, shares.threshold, shares.test];
        if !each.iter().all(|share| share.is_finite() && *share >= 0.0) || shares.train() <= 0.0 {
            return Err(Error::Usage(format!(
                "shares stop {}, calibrate {}, threshold {}, test {} must each be 0 or more and sum to less than 1",
                shares.stop, shares.calibrate, shares.threshold, shares.test
            )));
        }
        Ok(Split { seed, shares, grouping })
    }

    /// The part of a normalised description.
    pub fn part(&self, normalised: &str) -> Part {
        part_of(&self.grouping.key(normalised), self.seed, &self.shares)
    }

    /// The seed; another one deals the same descriptions out anew.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The shares, which are sound.
    pub fn shares(&self) -> Shares {
        self.shares
    }

    /// What makes two descriptions inseparable.
    pub fn grouping(&self) -> Grouping {
        self.grouping
    }
}

/// The part of a key, which is the BLAKE3-128 digest of the normalised text or of its group.
///
/// The first 53 bits of `BLAKE3("harmonize split 1" ‖ seed in little-endian ‖ digest)` make a number in `[0, 1)`
/// that is compared with the shares laid end to end: test, threshold, calibrate, stop, and training last.
/// Growing one share therefore moves no row between the parts before it and the rest.
pub fn part_of(digest: &[u8; 16], seed: u64, shares: &Shares) -> Part {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"harmonize split 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(digest);
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    let place = (u64::from_be_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64;

    let mut end = 0.0;
    for (part, share) in [
        (Part::Test, shares.test),
        (Part::Threshold, shares.threshold),
        (Part::Calibrate, shares.calibrate),
        (Part::Stop, shares.stop),
    ] {
        end += share;
        if place < end {
            return part;
        }
    }
    Part::Train
}

/// BLAKE3-128 of a normalised text.
pub fn text_key(normalised: &str) -> [u8; 16] {
    let mut key = [0; 16];
    blake3::Hasher::new().update(normalised.as_bytes()).finalize_xof().fill(&mut key);
    key
}

/// BLAKE3-128 of a normalised text without its numbers and with runs of spaces folded: descriptions that differ
/// only in numbers have the same key. A text of numbers alone keeps its own key, or all of them would be one group.
pub fn group_key(normalised: &str) -> [u8; 16] {
    let bare = without_numbers(normalised);
    if bare.chars().any(char::is_alphabetic) { text_key(&bare) } else { text_key(normalised) }
}

/// Leaves out every run of digits, with the single signs inside it (`1,200`, `12.5`, `10-20`, `1/2`), and folds
/// spaces.
fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut after_digit = false;
    while let Some(c) = chars.next() {
        let joins = after_digit && ".,/-:".contains(c) && chars.peek().is_some_and(|next| next.is_numeric());
        after_digit = c.is_numeric();
        if !after_digit && !joins {
            kept.push(c);
        }
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Shares = Shares { stop: 0.1, calibrate: 0.2, threshold: 0.3, test: 0.15 };

    fn counts(split: &Split, rows: u32) -> [u32; 5] {
        let mut counts = [0; 5];
        for row in 0..rows {
            counts[split.part(&format!("goods {row}")) as usize] += 1;
        }
        counts
    }

    /// Expected counts are share × 20,000; the bound is five standard deviations of a binomial count (at most 71 × 5).
    #[test]
    fn each_part_gets_its_share_of_the_texts() {
        let counts = counts(&Split::new(7, EVEN, Grouping::Text).unwrap(), 20_000);
        for (part, (count, expected)) in
            Part::ALL.iter().zip(counts.into_iter().zip([5_000, 2_000, 4_000, 6_000, 3_000]))
        {
            assert!(count.abs_diff(expected) < 355, "{part:?}: {count} of {expected}");
        }
    }

    #[test]
    fn equal_texts_fall_into_the_same_part_and_another_seed_deals_anew() {
        let (a, b) = (Split::new(1, EVEN, Grouping::Text).unwrap(), Split::new(2, EVEN, Grouping::Text).unwrap());
        let texts: Vec<String> = (0..1_000).map(|i| format!("goods {i}")).collect();
        let parts = |split: &Split| texts.iter().map(|t| split.part(t)).collect::<Vec<_>>();
        assert_eq!(parts(&a), parts(&a));
        assert_ne!(parts(&a), parts(&b));
    }

    /// The shares lie end to end from test to stop, so what stop gains comes from training alone.
    #[test]
    fn a_greater_stop_share_takes_rows_from_training_alone() {
        let wider = Shares { stop: 0.2, ..EVEN };
        for row in 0..2_000_u32 {
            let key = text_key(&row.to_string());
            let (before, after) = (part_of(&key, 1, &EVEN), part_of(&key, 1, &wider));
            assert!(before == after || (before, after) == (Part::Train, Part::Stop));
        }
    }

    #[test]
    fn without_shares_every_row_trains() {
        let none = Shares { stop: 0.0, calibrate: 0.0, threshold: 0.0, test: 0.0 };
        assert_eq!(counts(&Split::new(3, none, Grouping::Text).unwrap(), 500), [500, 0, 0, 0, 0]);
    }

    #[test]
    fn shares_that_leave_nothing_for_training_are_refused() {
        for bad in [
            Shares { test: 1.0, ..Shares::default() },
            Shares { stop: -0.1, ..EVEN },
            Shares { calibrate: f64::NAN, ..EVEN },
            Shares { stop: 0.25, calibrate: 0.25, threshold: 0.25, test: 0.25 },
        ] {
            assert!(Split::new(0, bad, Grouping::Text).unwrap_err().to_string().contains("less than 1"));
        }
        assert!((Shares::default().train() - 0.93).abs() < 1e-12);
    }

    /// First 16 bytes of the BLAKE3 of the empty input, from the test vectors of the BLAKE3 team.
    #[test]
    fn a_text_key_is_the_start_of_its_blake3_digest() {
        let expected = [0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49];
        assert_eq!(text_key(""), expected);
    }

    #[test]
    fn texts_that_differ_in_numbers_alone_share_a_group() {
        for (a, b) in [
            ("gasket 12 mm", "gasket 8 mm"),
            ("seal 0619455", "seal"),
            ("bolt m8x30", "bolt m12x125"),
            ("rice 1,200.50 kg", "rice 7 kg"),
            ("water 200 ml", "water  1/2 ml"),
        ] {
            assert_eq!(group_key(a), group_key(b), "{a} / {b}");
            assert_ne!(Grouping::Text.key(a), Grouping::Text.key(b));
        }
        for (a, b) in
            [("gasket 12 mm", "gasket 12 cm"), ("wine, red", "wine red"), ("123", "124"), ("12 / 7", "12 / 8")]
        {
            assert_ne!(group_key(a), group_key(b), "{a} / {b}");
        }
    }
}
