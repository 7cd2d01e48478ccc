//! From logits to the calibrated answer: softmax, the five best, and the roll-up to heading and chapter.
//!
//! Every float is added in a written order: probabilities in 16 interleaved sums that are then added pairwise, so the
//! result does not depend on how wide the machine's vectors are.

use super::{Score, TOP};

const LANES: usize = 16;

/// `e^x` for `x <= 0`, by range reduction to `2^k · e^r` with `|r| <= ln 2 / 2` and the Cephes polynomial for `expf`
/// (Moshier, Cephes Mathematical Library, relative error below 2e-7). Only multiplications and additions, each
/// rounded by itself. Below -87 the answer is 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let clamped = x.max(-87.0);
    let k = (clamped * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = clamped - k * 0.693_359_4;
    let r = r + k * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    p = p * r * r + r + 1.0;
    // 2^k for k in -126..=0, by its exponent bits.
    let power = f32::from_bits((((k as i32) + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { p * power }
}

/// The answer for one line of logits (`[classes]`, uncalibrated). `codes` are sorted, so that a heading and a chapter
/// are neighbouring classes. Token counts are left at zero.
pub(super) fn answer(logits: &[f32], temperature: f32, codes: &[String]) -> Score {
    let (top, choices) = best(logits);
    let (first, largest) = top[0];
    let inverse = 1.0 / temperature;
    let scaled = |logit: f32| exp((logit - largest) * inverse);
    let mut lanes = [0f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane += scaled(logit);
        }
    }
    for (lane, &logit) in lanes.iter_mut().zip(rest) {
        *lane += scaled(logit);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    let total = lanes[0];
    let mut confident = [(0u32, 0f32); TOP];
    for (to, &(class, logit)) in confident.iter_mut().zip(&top).take(choices) {
        *to = (class, scaled(logit) / total);
    }
    let group = |digits: usize| {
        let code = &codes[first as usize][..digits];
        let from = codes.partition_point(|c| &c[..digits] < code);
        let to = codes.partition_point(|c| &c[..digits] <= code);
        let sum: f32 = logits[from..to].iter().map(|&l| scaled(l)).sum();
        // A sum in another order can pass the total by a rounding.
        (sum / total).min(1.0)
    };
    Score { top: confident, choices, heading: group(4), chapter: group(2), tokens: 0, unknown: 0, cut: false }
}

/// The largest logits with their classes, largest first; of equal ones the smaller class first.
fn best(logits: &[f32]) -> ([(u32, f32); TOP], usize) {
    let mut top = [(0u32, f32::NEG_INFINITY); TOP];
    let mut worst = f32::NEG_INFINITY;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > worst {
            let mut at = TOP - 1;
            while at > 0 && top[at - 1].1 < logit {
                top[at] = top[at - 1];
                at -= 1;
            }
            top[at] = (class as u32, logit);
            worst = top[TOP - 1].1;
        }
    }
    (top, logits.len().min(TOP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{:06}", 10_100 + i * 7)).collect()
    }

    #[test]
    fn exp_agrees_with_double_precision_to_a_few_units_in_the_last_place() {
        let mut x = 0.0f32;
        while x > -80.0 {
            let exact = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < 4e-7, "{x}");
            x -= 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1000.0), 0.0);
    }

    #[test]
    fn the_answer_agrees_with_a_softmax_in_double_precision() {
        let logits: Vec<f32> = (0..1003).map(|i| ((i * 37 % 211) as f32) / 17.0 - 5.0).collect();
        let codes = codes(logits.len());
        for temperature in [0.5f32, 1.0, 2.7] {
            let got = answer(&logits, temperature, &codes);
            let powers: Vec<f64> = logits.iter().map(|&l| (f64::from(l) / f64::from(temperature)).exp()).collect();
            let total: f64 = powers.iter().sum();
            for &(class, p) in &got.top {
                assert!((f64::from(p) - powers[class as usize] / total).abs() < 1e-6);
            }
            for (digits, p) in [(4, got.heading), (2, got.chapter)] {
                let code = &codes[got.top[0].0 as usize][..digits];
                let exact: f64 =
                    powers.iter().zip(&codes).filter(|(_, c)| &c[..digits] == code).map(|(p, _)| p).sum::<f64>()
                        / total;
                assert!((f64::from(p) - exact).abs() < 1e-5);
            }
            assert!(got.confidence() <= got.heading && got.heading <= got.chapter);
        }
    }

    #[test]
    fn equal_logits_are_ordered_by_class_and_few_classes_leave_places_empty() {
        let got = answer(&[1.0, 2.0, 2.0], 1.0, &codes(3));
        assert_eq!(got.choices, 3);
        assert_eq!([got.top[0].0, got.top[1].0, got.top[2].0], [1, 2, 0]);
        let all = answer(&[0.0; 7], 1.0, &codes(7));
        assert_eq!(all.top.map(|t| t.0), [0, 1, 2, 3, 4]);
    }
}
