//! Seeded numbers for training: the same seed gives the same numbers on every machine.

/// SplitMix64 (Steele, Lea and Flood 2014, <https://doi.org/10.1145/2660193.2660195>, figure 17).
pub(in crate::train) struct Random(u64);

impl Random {
    /// Numbers of their own for every pair of seed and stream.
    pub(in crate::train) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Random(seed);
        let start = random.next() ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Random(start)
    }

    pub(in crate::train) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1, without 1.
    pub(in crate::train) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// 0 to `bound`, without `bound`, which is not 0.
    pub(in crate::train) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Mean 0 and standard deviation 1, nearly normal: the sum of twelve uniform numbers less 6, which needs no
    /// function that differs between platforms.
    pub(in crate::train) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub(in crate::train) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // First outputs for seed 1234567, from https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
        let mut random = Random(1234567);
        assert_eq!(random.next(), 6457827717110365317);
        assert_eq!(random.next(), 3203168211198807973);
    }

    #[test]
    fn numbers_stay_in_their_range_and_shuffling_keeps_everything() {
        let mut random = Random::new(7, 1);
        let mut items: Vec<usize> = (0..100).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        let normal: Vec<f32> = (0..10_000).map(|_| random.normal()).collect();
        let variance = normal.iter().map(|x| x * x).sum::<f32>() / 10_000.0;
        assert!((variance - 1.0).abs() < 0.05);
        assert!((0..1000).all(|_| random.below(3) < 3 && random.uniform() < 1.0));
    }
}
