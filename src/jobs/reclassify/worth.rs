//! Lines and what they are worth: sums that are exact, and the same in whatever order lines are added.
//!
//! A value counts in ten-thousandths of the input's own unit, to which it is rounded, half to even, from the exact number that
//! its double is; the sum is one of whole numbers. A line without a value is counted as such and never taken for 0, and so is
//! one whose value is no number, infinite, or 2⁶³ and more.

use std::fmt;

use serde::{Serialize, Serializer};

/// Ten-thousandths of a unit.
const UNITS: u128 = 10_000;
const DIGITS: usize = 4;

/// What cannot be added up: 2⁶³.
const LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// A sum of money, or of whatever the input's values are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i128);

impl Amount {
    /// One value; `None` for one that cannot be added up.
    fn of(value: f64) -> Option<Amount> {
        // A value that is no number is not below either.
        if value.abs() >= LIMIT || value.is_nan() {
            return None;
        }
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
        // The value is mantissa × 2^power; with the units it has at most 67 bits before that.
        let (mantissa, power) = match exponent {
            0 => (fraction, -1074),
            exponent => (fraction | (1 << 52), exponent as i32 - 1075),
        };
        let units = u128::from(mantissa) * UNITS;
        let units = match u32::try_from(power) {
            Ok(up) => units << up,
            Err(_) => halved(units, power.unsigned_abs()),
        };
        let units = i128::try_from(units).ok()?;
        Some(Amount(if value.is_sign_negative() { -units } else { units }))
    }
}

/// `units / 2^times`, rounded half to even.
fn halved(units: u128, times: u32) -> u128 {
    if times > 100 {
        return 0;
    }
    let (whole, rest, half) = (units >> times, units & ((1 << times) - 1), 1u128 << (times - 1));
    whole + u128::from(rest > half || (rest == half && whole & 1 == 1))
}

/// In decimals, with no more digits than it has: `1234.5`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.unsigned_abs() / UNITS, self.0.unsigned_abs() % UNITS);
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimals = format!("{rest:0DIGITS$}");
        match decimals.trim_end_matches('0') {
            "" => f.pad(&format!("{sign}{whole}")),
            decimals => f.pad(&format!("{sign}{whole}.{decimals}")),
        }
    }
}

/// As text, so that no reader takes digits off.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Lines and their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub lines: u64,
    /// Sum of the values that there are.
    pub value: Amount,
    /// Lines that are not in the sum, because they have no value that can be added up.
    pub without_value: u64,
}

impl Tally {
    pub(super) fn add(&mut self, value: Option<f64>) {
        self.lines += 1;
        match value.and_then(Amount::of) {
            Some(amount) => self.value.0 += amount.0,
            None => self.without_value += 1,
        }
    }

    pub(super) fn merge(&mut self, other: &Tally) {
        self.lines += other.lines;
        self.value.0 += other.value.0;
        self.without_value += other.without_value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `decimal.Decimal(x).quantize(decimal.Decimal("0.0001"), decimal.ROUND_HALF_EVEN)` in Python, which takes a double for the
    /// exact number that it is.
    #[test]
    fn a_value_counts_in_ten_thousandths_rounded_half_to_even() {
        for (value, wanted) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1234.5, "1234.5"),
            (-17.25, "-17.25"),
            (0.00005, "0.0001"),
            (0.00015, "0.0001"),
            (0.000_030_517_578_125, "0"),
            (2.000_244_140_625, "2.0002"),
            (123_456_789_012.34, "123456789012.34"),
            (1e15 + 0.125, "1000000000000000.125"),
            (9.2e18, "9200000000000000000"),
            (5e-324, "0"),
            (-1e-5, "0"),
        ] {
            assert_eq!(Amount::of(value).unwrap().to_string(), wanted, "{value}");
        }
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, LIMIT, -LIMIT, 1e300] {
            assert_eq!(Amount::of(odd), None, "{odd}");
        }
    }

    /// Added as doubles, these would give another sum in every other order.
    #[test]
    fn a_sum_is_exact_in_any_order_and_lines_without_a_value_stand_beside_it() {
        let values = [Some(0.1), Some(1e17), None, Some(0.2), Some(-1e17), Some(f64::NAN), Some(0.3)];
        let sum = |order: &[usize]| {
            let mut tally = Tally::default();
            order.iter().for_each(|at| tally.add(values[*at]));
            tally
        };
        let first = sum(&[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((first.lines, first.value.to_string().as_str(), first.without_value), (7, "0.6", 2));
        let (mut halves, rest) = (sum(&[6, 4, 1]), sum(&[5, 0, 3, 2]));
        halves.merge(&rest);
        assert_eq!(halves, first);
        assert_eq!(serde_json::to_string(&first).unwrap(), r#"{"lines":7,"value":"0.6","without_value":2}"#);
    }
}
