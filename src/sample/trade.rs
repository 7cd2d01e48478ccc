//! The fields beside the description: countries, declared code, date, value, weight and packages.
//!
//! Everything is integer arithmetic until one exact division at the end, so the bits are the same everywhere.

use super::draw::{Draw, mix};
use super::lexicon::Lexicon;

/// Countries of origin; the more often a country is listed, the more goods come from it.
const ORIGINS: [&str; 48] = [
    "CN", "CN", "CN", "CN", "CN", "CN", "CN", "CN", "CN", "CN", "IN", "IN", "IN", "IN", "TR", "TR", "TR", "AE", "AE",
    "AE", "DE", "DE", "US", "US", "US", "GB", "GB", "NL", "IT", "FR", "ES", "BE", "JP", "JP", "KR", "VN", "TH", "MY",
    "ID", "BR", "MX", "ZA", "EG", "MA", "PK", "BD", "PL", "TW",
];

/// Countries of destination, in the same manner.
const DESTINATIONS: [&str; 24] = [
    "US", "US", "US", "DE", "DE", "GB", "GB", "FR", "NL", "ES", "IT", "CA", "MX", "BR", "GH", "GH", "KE", "NG", "ZA",
    "AE", "SA", "AU", "PL", "CL",
];

/// The last four digits of a national code.
const SUFFIXES: [&str; 8] = ["0000", "0010", "0090", "1000", "1090", "2000", "9000", "9090"];

/// 2025-07-01 as days since 1970-01-01.
pub(super) const FIRST_DAY: i32 = 20_270;
/// Days from 2025-07-01 to 2025-12-31, both included.
pub(super) const DAYS: u32 = 184;

/// Three times the powers of 1.7, rounded: on this scale a bell-shaped draw becomes a log-normal-like amount.
const SCALE: [u64; 30] = [
    3, 5, 9, 15, 25, 43, 72, 123, 209, 356, 605, 1_028, 1_748, 2_971, 5_051, 8_587, 14_598, 24_817, 42_189, 71_722,
    121_927, 207_276, 352_369, 599_027, 1_018_346, 1_731_188, 2_943_020, 5_003_134, 8_505_328, 14_459_057,
];

/// The trade fields of one row.
pub(super) struct Trade {
    pub(super) origin: &'static str,
    pub(super) destination: &'static str,
    /// Six digits and a national suffix, or nothing when no code was declared.
    pub(super) declared: Option<(&'static str, &'static str)>,
    /// Days since 1970-01-01.
    pub(super) shipped_on: i32,
    /// US dollars, whole cents.
    pub(super) value: f64,
    /// Kilograms, whole grams.
    pub(super) weight_kg: f64,
    /// Number of packages, at least 1.
    pub(super) packages: i32,
}

/// Draws the trade fields of a row that carries goods of `class`.
pub(super) fn draw(lexicon: &Lexicon, class: u16, draw: &mut Draw) -> Trade {
    // Four lines in ten come from the usual country of their goods.
    let home = ORIGINS[(mix(u64::from(class) + 1) % ORIGINS.len() as u64) as usize];
    let origin = if draw.chance(4_000) { home } else { draw.pick(&ORIGINS) };
    Trade {
        origin,
        destination: draw.pick(&DESTINATIONS),
        declared: declared(lexicon, class, draw),
        shipped_on: FIRST_DAY + draw.below(DAYS) as i32,
        value: amount(draw) as f64 / 100.0,
        weight_kg: amount(draw) as f64 / 1_000.0,
        packages: packages(draw),
    }
}

fn declared(lexicon: &Lexicon, class: u16, draw: &mut Draw) -> Option<(&'static str, &'static str)> {
    let suffix = draw.pick(&SUFFIXES);
    let kind = draw.below(10_000);
    let place = usize::from(lexicon.place[usize::from(class)]);
    let count = lexicon.by_code.len();
    let place = match kind {
        0..200 => return None,
        // A wrong code is near the true one or anywhere; the steps are never a whole turn, so it is never the true one.
        200..450 => (place + 1 + draw.below(3) as usize) % count,
        450..700 => (place + 1 + draw.below(count as u32 - 1) as usize) % count,
        _ => place,
    };
    Some((lexicon.classes[usize::from(lexicon.by_code[place])].code, suffix))
}

/// An amount with a bell-shaped logarithm, median between 50,000 and 86,000 (cents or grams).
fn amount(draw: &mut Draw) -> u64 {
    let bits = draw.bits();
    // Sum of four numbers in 0..8: 0 to 28, bell-shaped around 14.
    let step = (0..4).map(|i| (bits >> (i * 3)) & 7).sum::<u64>() as usize;
    let part = (bits >> 32) & 0xFFFF;
    let (low, high) = (SCALE[step], SCALE[step + 1]);
    10 * (low + (((high - low) * part) >> 16)) + (bits >> 52) % 10
}

fn packages(draw: &mut Draw) -> i32 {
    let most = draw.pick(&[1, 4, 10, 20, 40, 100, 250, 600, 1_500]);
    1 + draw.below(most) as i32
}
