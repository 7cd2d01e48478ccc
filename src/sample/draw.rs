//! The random numbers of the sample: a counter-based generator, so that any row can be made alone.
//!
//! SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014; constants of
//! Vigna's public-domain `splitmix64.c`). A draw is a pure function of seed, row, stream and position; it uses
//! integers only, so it is the same on every platform. It is not fit for cryptography.

/// Increment of SplitMix64: the odd integer nearest to 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of SplitMix64.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What a sequence of draws is for. Streams of one row do not influence one another.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Which goods, and whether the line repeats an earlier one.
    Goods = 1,
    /// How the description is dressed.
    Text = 2,
    /// Countries, declared code, date, value, weight, packages.
    Trade = 3,
}

/// A sequence of random numbers that belongs to one row and one stream.
pub(super) struct Draw {
    state: u64,
}

impl Draw {
    /// The sequence of `row` in `stream` under `seed`.
    pub(super) fn new(seed: u64, row: u64, stream: Stream) -> Self {
        let key = mix(seed.wrapping_add((stream as u64).wrapping_mul(GAMMA)));
        Self { state: mix(key ^ row.wrapping_mul(GAMMA)) }
    }

    /// The next 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// An integer in `0..n`, or 0 when `n` is 0 (multiply and shift; the bias below 2^-32 does not matter here).
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// True in `share` of 10,000 cases.
    pub(super) fn chance(&mut self, share: u32) -> bool {
        self.below(10_000) < share
    }

    /// One item of a list that is not empty.
    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
}
