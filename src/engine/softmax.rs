//! From logits to the calibrated answer: softmax, the five best, and the roll-up to heading and chapter.
//!
//! Every float is added in a written order: probabilities in 32 interleaved sums that are then added pairwise, so the
//! result does not depend on how wide the machine's vectors are.

use super::{Kernel, Score, TOP};
use crate::model::VAGUE_CODE;
use crate::model::calibration::{Beta, LEAST};
use crate::model::forward::GROUPS;

const LANES: usize = 32;

/// `e^x` as `2^k · 2^f` with `|f| <= 1/2`; the polynomial for `2^f` is 1 at 0 and has the least largest relative error
/// (fitted by Lawson's algorithm, 2e-7 in `f32`). Only multiplications and additions, each rounded by itself. For `x`
/// below -87 it stays at `2^-126`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let t = x * std::f32::consts::LOG2_E;
    let t = if t > -126.0 { t } else { -126.0 };
    let rounded = t + ROUND;
    let f = t - (rounded - ROUND);
    let mut p = 1.326_472_7e-3;
    p = p * f + 9.671_513e-3;
    p = p * f + 5.550_733_7e-2;
    p = p * f + 2.402_224_2e-1;
    p = p * f + std::f32::consts::LN_2;
    p = p * f + 1.0;
    f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// `ln(x)` for finite `x > 0`: mantissa between √½ and √2, then `2 · artanh((m - 1) / (m + 1))` as its series to the ninth
/// power, relative error below 1e-6. Only multiplications, additions and a division, each rounded by itself.
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // The exponent of x / √½.
    let exponent = (bits.wrapping_sub(0x3f35_04f3) as i32) >> 23;
    let m = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23));
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = ((1.0 / 9.0 * square + 1.0 / 7.0) * square + 0.2) * square + 1.0 / 3.0;
    exponent as f32 * std::f32::consts::LN_2 + 2.0 * (s + s * square * series)
}

/// What a curve makes of a share of the softmax: see `model::Beta`.
fn curve(curve: Beta, share: f32) -> f32 {
    if curve == Beta::IDENTITY {
        return share;
    }
    // Not `clamp`, which keeps what is no number.
    let p = if share > LEAST { share } else { LEAST };
    let p = if p < 1.0 - LEAST { p } else { 1.0 - LEAST };
    let z = curve.a * ln(p) - curve.b * ln(1.0 - p) + curve.c;
    if z > 0.0 { 1.0 / (1.0 + exp(-z)) } else { exp(z) / (1.0 + exp(z)) }
}

/// The answer with the confidences that its shares stand for. The order of the choices stays: the others share what the first
/// leaves, or fall with it. A heading is at least as likely as its subheading, a chapter as its heading.
pub(super) fn calibrated(mut answer: Score, [subheading, heading, chapter]: [Beta; 3]) -> Score {
    let share = answer.top[0].1;
    let first = curve(subheading, share);
    let fall = if share > 0.0 { first / share } else { 1.0 };
    let room = if share < 1.0 { (1.0 - first) / (1.0 - share) } else { 1.0 };
    let others = if fall < room { fall } else { room };
    answer.top[0].1 = first;
    for i in 1..answer.choices {
        let (before, p) = (answer.top[i - 1].1, answer.top[i].1 * others);
        answer.top[i].1 = if p < before { p } else { before };
    }
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    answer.heading = larger(curve(heading, answer.heading), first);
    answer.chapter = larger(curve(chapter, answer.chapter), answer.heading);
    answer
}

/// Turns the logits of a few classes into their shares among themselves. Added up in their order.
pub(super) fn among(logits: &mut [f32], temperature: f32) {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    let inverse = 1.0 / temperature;
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = exp((*logit - largest) * inverse);
        sum += *logit;
    }
    logits.iter_mut().for_each(|share| *share /= sum);
}

/// By how much exact logits are moved where they replace a screen's, which are at least `edge`: see
/// `forward::replace_likely`.
pub(super) fn shift(screen: &[f32], edge: f32, exact: &[f32]) -> f32 {
    let (mut total, mut sum) = (0f32, 0f32);
    for (&old, &new) in screen.iter().zip(exact) {
        let weight = if edge > f32::MIN { old - edge } else { 1.0 };
        total += weight;
        sum += weight * (old - new);
    }
    if total > 0.0 { sum / total } else { screen.first().map_or(0.0, |old| old - exact[0]) }
}

/// Classes that are looked at closely without a screen, at least: as many groups as this hold one. The output layer in
/// bytes puts the right ones first more surely than a screen does.
pub(super) const CANDIDATES: usize = 16;

/// The largest logit of each group; class `i` is in group `i % GROUPS`.
#[inline(always)]
pub(super) fn lanes(logits: &[f32]) -> [f32; GROUPS] {
    let mut groups = [f32::NEG_INFINITY; GROUPS];
    let (whole, rest) = logits.as_chunks::<GROUPS>();
    for row in whole {
        for (group, &logit) in groups.iter_mut().zip(row) {
            *group = if logit > *group { logit } else { *group };
        }
    }
    for (group, &logit) in groups.iter_mut().zip(rest) {
        *group = if logit > *group { logit } else { *group };
    }
    groups
}

/// Classes whose logits are among the largest, in their order: at least `wanted` of them (up to `GROUPS`) if there are as
/// many, and all whose logit is at least the smallest of the largest `wanted` group maxima, which is given back. Decided by
/// the logits alone.
pub(super) fn candidates(logits: &[f32], wanted: usize, kernel: Kernel, out: &mut Vec<u32>) -> f32 {
    let mut groups = kernel.lanes(logits);
    let (_, least, _) = groups.select_nth_unstable_by(wanted - 1, |a, b| b.total_cmp(a));
    // With fewer classes than that, the padding is no candidate.
    let least = least.max(f32::MIN);
    out.clear();
    kernel.at_least(logits, least, out);
    if out.is_empty() {
        // Logits that are no numbers, of weights that are absurd: an answer all the same, and the same everywhere.
        out.push(0);
    }
    least
}

/// `Σ e^((logit - largest) · inverse)`.
#[inline(always)]
pub(super) fn mass(logits: &[f32], largest: f32, inverse: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane += exp((logit - largest) * inverse);
        }
    }
    for (lane, &logit) in lanes.iter_mut().zip(rest) {
        *lane += exp((logit - largest) * inverse);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// For every class the classes of its heading and of its chapter; `codes` are sorted, so that these are neighbours.
pub(super) struct Families {
    /// Whether the first class stands for texts that name no goods.
    has_vague: bool,
    heading: Vec<(u32, u32)>,
    chapter: Vec<(u32, u32)>,
}

impl Families {
    pub(super) fn new(codes: &[String]) -> Families {
        let of = |digits: usize| {
            let alike = codes.chunk_by(|a, b| a[..digits] == b[..digits]);
            let mut from = 0;
            alike
                .flat_map(|family| {
                    let range = (from as u32, (from + family.len()) as u32);
                    from += family.len();
                    std::iter::repeat_n(range, family.len())
                })
                .collect()
        };
        let has_vague = codes.first().is_some_and(|code| code == VAGUE_CODE);
        Families { has_vague, heading: of(4), chapter: of(2) }
    }
}

/// The answer for one line of logits (`[classes]` or more, uncalibrated; minus infinity where there is no class), of which
/// the classes that are no candidates have less than `least`. Token counts are left at zero.
pub(super) fn answer(
    logits: &[f32],
    (candidates, least): (&mut Vec<u32>, f32),
    temperature: f32,
    families: &Families,
    kernel: Kernel,
) -> Score {
    // The class of texts that name no goods is no choice: it comes before all of them, or does not count.
    let (mut top, mut choices) = best(logits, candidates, families.has_vague);
    let vague = families.has_vague && (choices == 0 || logits[0] >= top[0].1);
    if vague {
        (top, choices) = best(logits, candidates, false);
    }
    let last = top[choices - 1].1;
    if last < least && choices == TOP {
        // Scored again, a candidate came out below what others may have.
        candidates.clear();
        kernel.at_least(logits, last, candidates);
        top = best(logits, candidates, families.has_vague && !vague).0;
    }
    let (first, largest) = top[0];
    let inverse = 1.0 / temperature;
    let scaled = |logit: f32| exp((logit - largest) * inverse);
    let total = kernel.mass(logits, largest, inverse);
    let mut confident = [(0u32, 0f32); TOP];
    for (to, &(class, logit)) in confident.iter_mut().zip(&top).take(choices) {
        *to = (class, scaled(logit) / total);
    }
    let family = |(from, to): (u32, u32)| {
        // A sum in another order can pass the total by a rounding.
        (kernel.mass(&logits[from as usize..to as usize], largest, inverse) / total).min(1.0)
    };
    Score {
        top: confident,
        choices,
        vague,
        heading: family(families.heading[first as usize]),
        chapter: family(families.chapter[first as usize]),
        tokens: 0,
        unknown: 0,
        cut: false,
    }
}

/// The largest of the candidates' logits with their classes, largest first; of equal ones the smaller class first. The first
/// class may be left out.
fn best(logits: &[f32], candidates: &[u32], without_first: bool) -> ([(u32, f32); TOP], usize) {
    let mut top = [(u32::MAX, f32::NEG_INFINITY); TOP];
    let mut count = 0;
    for &class in candidates.iter().filter(|&&class| class > 0 || !without_first) {
        count += 1;
        let logit = logits[class as usize];
        let before = |(c, l): (u32, f32)| l > logit || (l == logit && c < class);
        if !before(top[TOP - 1]) {
            let mut at = TOP - 1;
            while at > 0 && !before(top[at - 1]) {
                top[at] = top[at - 1];
                at -= 1;
            }
            top[at] = (class, logit);
        }
    }
    (top, count.min(TOP))
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
            // The product with log2 e is rounded, so the error grows with its size.
            let allowed = 4e-7 + f64::from(x.abs()) * 2e-7;
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < allowed, "{x}");
            x -= 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1000.0) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn ln_agrees_with_double_precision() {
        for n in 1..200_000 {
            let x = n as f32 * 0.037;
            assert!((f64::from(ln(x)) - f64::from(x).ln()).abs() < 1e-6 * f64::from(x).ln().abs().max(1.0), "{x}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn a_curve_agrees_with_its_formula_and_keeps_the_order_of_choices_and_levels() {
        let answer = |shares: [f32; TOP], heading: f32, chapter: f32| Score {
            top: std::array::from_fn(|i| (i as u32, shares[i])),
            choices: TOP,
            vague: false,
            heading,
            chapter,
            tokens: 0,
            unknown: 0,
            cut: false,
        };
        for (a, b, c) in [(1.0, 1.0, 0.0), (2.5, 0.3, 0.7), (0.0, 1.2, -1.5), (0.4, 0.0, 3.0), (40.0, 40.0, -20.0)] {
            let beta = Beta { a, b, c };
            let mut before = 0.0;
            for step in 0..=1000 {
                let p = step as f32 / 1000.0;
                let got = curve(beta, p);
                let bound = f64::from(p.clamp(LEAST, 1.0 - LEAST));
                let z = f64::from(a) * bound.ln() - f64::from(b) * (1.0 - bound).ln() + f64::from(c);
                let expected = 1.0 / (1.0 + (-z).exp());
                assert!((f64::from(got) - expected).abs() < 2e-4, "{beta:?} {p}: {got} {expected}");
                assert!((0.0..=1.0).contains(&got) && got >= before - 1e-5);
                before = got;
            }
            for shares in
                [[0.5, 0.5, 0.0, 0.0, 0.0], [0.9, 0.04, 0.03, 0.02, 0.01], [1.0, 0.0, 0.0, 0.0, 0.0], [0.2; TOP]]
            {
                let got =
                    calibrated(answer(shares, 0.95, 0.97), [beta, Beta::IDENTITY, Beta { c: -9.0, ..Beta::IDENTITY }]);
                assert!(got.top.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{beta:?} {got:?}");
                assert!(got.top.iter().map(|t| t.1).sum::<f32>() < 1.00001, "{beta:?} {got:?}");
                assert!(got.confidence() <= got.heading && got.heading <= got.chapter, "{got:?}");
            }
        }
    }

    fn answer(logits: &[f32], temperature: f32, codes: &[String]) -> Score {
        let of = |kernel| {
            let mut candidates = Vec::new();
            let least = super::candidates(logits, CANDIDATES, kernel, &mut candidates);
            super::answer(logits, (&mut candidates, least), temperature, &Families::new(codes), kernel)
        };
        let all: Vec<Score> = Kernel::available().into_iter().map(of).collect();
        assert!(all.iter().all(|a| *a == all[0]));
        all[0]
    }

    #[test]
    fn the_largest_logits_are_among_the_candidates() {
        for classes in [1, 5, 16, 17, 200, 2789] {
            let logits: Vec<f32> = (0..classes).map(|i| ((i * 7919 % 1009) as f32) / 17.0).collect();
            let mut found = Vec::new();
            candidates(&logits, CANDIDATES, Kernel::best(), &mut found);
            assert!(found.len() >= classes.min(CANDIDATES) && found.len() <= classes, "{classes} {}", found.len());
            let least = found.iter().map(|&c| logits[c as usize]).fold(f32::INFINITY, f32::min);
            let left_out = (0..classes as u32).filter(|c| !found.contains(c));
            assert!(left_out.into_iter().all(|c| logits[c as usize] < least));
        }
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
    fn a_class_that_was_no_candidate_can_be_among_the_five() {
        let mut logits: Vec<f32> = (0..300).map(|i| -(i as f32)).collect();
        for kernel in Kernel::available() {
            let mut candidates = Vec::new();
            let least = super::candidates(&logits, CANDIDATES, kernel, &mut candidates);
            assert_eq!((candidates.len(), least), (CANDIDATES, -15.0));
            // All but three turn out worse than the next ones.
            logits[3..16].fill(-100.0);
            let got = super::answer(&logits, (&mut candidates, least), 1.0, &Families::new(&codes(300)), kernel);
            assert_eq!(got.top.map(|t| t.0), [0, 1, 2, 16, 17], "{kernel:?}");
            logits = (0..300).map(|i| -(i as f32)).collect();
        }
    }

    #[test]
    fn the_class_of_no_goods_is_no_choice_unless_it_comes_first() {
        let with_vague: Vec<String> = [VAGUE_CODE.to_string()].into_iter().chain(codes(6)).collect();
        let second = answer(&[2.0, 0.0, 3.0, 1.0, 0.5, 0.25, 0.1], 1.0, &with_vague);
        assert_eq!((second.vague, second.choices, second.top.map(|t| t.0)), (false, 5, [2, 3, 4, 5, 6]));
        // e^3 of the sum of all seven powers: the text may still name no goods.
        let total: f64 = [2.0f64, 0.0, 3.0, 1.0, 0.5, 0.25, 0.1].iter().map(|l| l.exp()).sum();
        assert!((f64::from(second.confidence()) - 3f64.exp() / total).abs() < 1e-6);
        assert!(answer(&[4.0, 0.0, 3.0, 1.0], 1.0, &with_vague[..4]).vague);
        assert!(!answer(&[4.0, 0.0, 3.0, 1.0], 1.0, &codes(4)).vague);
    }

    #[test]
    fn logits_that_are_no_numbers_give_an_answer_all_the_same() {
        for odd in [f32::NAN, f32::NEG_INFINITY] {
            let got = answer(&[odd; 70], 1.0, &codes(70));
            assert!(got.top[0].0 == 0 && got.choices == 1 && got.confidence() <= 1.0);
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
