//! From a raw label to a subheading of the edition that is trained for.
//!
//! A label is never bent until it fits. One that is known, but in another edition, or that has visibly lost its
//! leading zero, comes back as just that: the data's owner decides, and [`super::checks`] refuses the run until
//! then. What does not look like a code is never kept, since it may be a description.

use crate::model::VAGUE_CODE;
use crate::tariff::{Codes, Edition, Subheading, editions_of};

/// Stands for labels that are not numbers, whose text must not reach a log.
pub const NOT_A_NUMBER: &str = "(not a number)";

/// What writers of tables put where there is no value.
const NULLS: [&str; 4] = ["null", "none", "nan", "<na>"];

/// What a raw label turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// A subheading of the edition.
    Valid(Subheading),
    /// A subheading of the edition once a zero is put in front: the label went through a number column. It is used
    /// only in a run that was started with `--repair-zeros`.
    LostZero {
        /// The code with its zero.
        fixed: Subheading,
    },
    /// A subheading, but not of this edition.
    WrongEdition {
        /// The code, which the edition does not have.
        code: Subheading,
        /// The built-in editions that have it, oldest first.
        editions: Vec<Edition>,
    },
    /// In no known edition: the digits as found (at most 16), or `NOT_A_NUMBER`.
    Unknown(String),
    /// [`VAGUE_CODE`]: the text names no goods.
    Vague,
    /// Null or empty.
    Missing,
}

impl Label {
    /// Reads a raw label of 6 to 10 digits, of which the first six count; dots and spaces are left out, and so is
    /// the `.0` of a whole number kept as a decimal. A number column is read through its decimal text.
    ///
    /// National codes have an even number of digits nearly everywhere, so 5, 7 or 9 digits are tried with a zero in
    /// front as well as without. When only one of the two is a subheading of `codes` it is taken, as lost zero or
    /// as valid. When both are (`7102 10 0` is diamonds, `0710 21 00` is peas) only the data's owner can tell: it
    /// counts as lost zero, which is never used unasked, and written with six digits it reads one way alone.
    pub fn parse(raw: Option<&str>, codes: &Codes) -> Label {
        let digits = match digits(raw.unwrap_or_default()) {
            Ok(digits) if digits.is_empty() => return Label::Missing,
            Ok(digits) => digits,
            Err(missing_or_unknown) => return missing_or_unknown,
        };
        if digits == VAGUE_CODE {
            return Label::Vague;
        }
        let plain = if (6..=10).contains(&digits.len()) { digits[..6].parse::<Subheading>().ok() } else { None };
        let zero = if [5, 7, 9].contains(&digits.len()) && !digits.starts_with('0') {
            format!("0{}", &digits[..5]).parse::<Subheading>().ok()
        } else {
            None
        };
        let known = |code: Option<Subheading>| code.filter(|c| codes.contains(c.as_str()));
        match (known(plain), known(zero)) {
            (_, Some(fixed)) => return Label::LostZero { fixed },
            (Some(code), None) => return Label::Valid(code),
            (None, None) => {}
        }
        for code in [plain, zero].into_iter().flatten() {
            let editions = editions_of(code.as_str());
            if !editions.is_empty() {
                return Label::WrongEdition { code, editions };
            }
        }
        Label::Unknown(digits)
    }

    /// What the line's class is called: its subheading, or [`VAGUE_CODE`].
    pub fn class(&self, repair_zeros: bool) -> Option<Subheading> {
        match self {
            Label::Vague => VAGUE_CODE.parse().ok(),
            label => label.code(repair_zeros),
        }
    }

    /// The subheading to train on, when there is one; a code with a lost zero only if zeros are to be repaired.
    pub fn code(&self, repair_zeros: bool) -> Option<Subheading> {
        match self {
            Label::Valid(code) => Some(*code),
            Label::LostZero { fixed } if repair_zeros => Some(*fixed),
            _ => None,
        }
    }
}

/// The digits of a raw label, or what it is when it is not made of digits, dots and spaces.
fn digits(raw: &str) -> Result<String, Label> {
    let raw = raw.trim();
    if NULLS.iter().any(|null| raw.eq_ignore_ascii_case(null)) {
        return Err(Label::Missing);
    }
    // A tariff never writes five or more digits before a final ".0"; a number column does.
    let whole = raw.strip_suffix(".0").filter(|w| w.len() >= 5 && w.bytes().all(|b| b.is_ascii_digit()));
    let mut digits: String = whole.unwrap_or(raw).chars().filter(|c| *c != '.' && !c.is_whitespace()).collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) || (digits.is_empty() && !raw.is_empty()) {
        return Err(Label::Unknown(NOT_A_NUMBER.to_string()));
    }
    digits.truncate(16);
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Label {
        Label::parse(Some(raw), Codes::builtin(Edition::Hs2022))
    }

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn unknown(text: &str) -> Label {
        Label::Unknown(text.to_string())
    }

    #[test]
    fn six_to_ten_digits_give_their_first_six_however_they_are_dotted() {
        for raw in ["847130", "8471.30", "8471.30.00", "8471 30 00 00", " 84713000 ", "8471\u{a0}3000", "847130.0"] {
            assert_eq!(read(raw), Label::Valid(code("847130")), "{raw}");
        }
        for raw in ["010121", "0101.21", "0101210000", "010121000"] {
            assert_eq!(read(raw), Label::Valid(code("010121")), "{raw}");
        }
    }

    #[test]
    fn a_lost_leading_zero_is_seen_and_used_only_on_request() {
        for raw in ["10121", "1012100", "101210000", "10121.0", "101.21"] {
            let label = read(raw);
            assert_eq!(label, Label::LostZero { fixed: code("010121") }, "{raw}");
            assert_eq!(label.code(false), None);
            assert_eq!(label.code(true), Some(code("010121")));
        }
    }

    /// Japan writes nine digits, so an odd number of them alone proves nothing.
    #[test]
    fn an_odd_number_of_digits_that_is_a_code_as_it_stands_has_lost_nothing() {
        assert_eq!(read("847130000"), Label::Valid(code("847130")));
        assert_eq!(read("010121100"), Label::Valid(code("010121")));
    }

    /// 7102.10 (diamonds, unsorted) and 0710.21 (peas, frozen) both exist in HS 2022.
    #[test]
    fn a_label_that_reads_both_ways_is_not_used_unasked() {
        assert_eq!(read("7102100"), Label::LostZero { fixed: code("071021") });
        assert_eq!(read("7102100").code(false), None);
        assert_eq!(read("710210"), Label::Valid(code("710210")));
    }

    /// 8528.72 is in all editions; 8549.11 came with HS 2022; 8548.10 ended with HS 2017 (both from the WCO tables).
    #[test]
    fn a_code_of_another_edition_comes_with_the_editions_that_have_it() {
        let in_2017 = |raw| Label::parse(Some(raw), Codes::builtin(Edition::Hs2017));
        assert_eq!(in_2017("852872"), Label::Valid(code("852872")));
        let newer = Label::WrongEdition { code: code("854911"), editions: vec![Edition::Hs2022] };
        assert_eq!(in_2017("8549110000"), newer);
        let older = Label::WrongEdition { code: code("854810"), editions: vec![Edition::Hs2012, Edition::Hs2017] };
        assert_eq!(read("8548.10"), older);
    }

    #[test]
    fn what_is_in_no_edition_is_unknown_and_keeps_only_its_digits() {
        for raw in ["271011", "999999", "8471", "84713", "12345678901", "0000000"] {
            assert_eq!(read(raw), unknown(raw), "{raw}");
        }
        assert_eq!((read("000000"), read("0000.00")), (Label::Vague, Label::Vague));
        assert_eq!(read("1234567890123456789"), unknown("1234567890123456"));
        for raw in ["secret toaster", "8471-30", "8471.3O", "-847130", ".", "８４７１３０"] {
            assert_eq!(read(raw), unknown(NOT_A_NUMBER), "{raw}");
        }
    }

    #[test]
    fn nothing_is_missing_however_it_is_written() {
        assert_eq!(Label::parse(None, Codes::builtin(Edition::Hs2022)), Label::Missing);
        for raw in ["", "  ", "null", "NaN", "None", "<NA>"] {
            assert_eq!(read(raw), Label::Missing, "{raw:?}");
        }
    }
}
