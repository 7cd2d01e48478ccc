//! The year of an edition of the Harmonized System, also of one whose codes the program does not hold.
//!
//! Tables name editions by it. It says nothing of whether the edition exists.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;

use super::edition::Edition;
use crate::error::{Error, Result};

/// The year in which an edition took or takes effect, such as 2022. Older ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Year(u16);

/// Editions whose first day is known, each the first of January of its year; the last one is ahead of the numbers
/// that are built in.
const KNOWN: [u16; 4] = [2012, 2017, 2022, 2028];

impl Year {
    /// The first day of the edition, where the program knows it.
    pub fn starts(self) -> Option<NaiveDate> {
        KNOWN.contains(&self.0).then(|| NaiveDate::from_ymd_opt(i32::from(self.0), 1, 1)).flatten()
    }

    /// The last day before the next edition, where the program knows both.
    pub fn ends(self) -> Option<NaiveDate> {
        self.next()?.starts()?.pred_opt()
    }

    /// The next edition, where the program knows both.
    pub fn next(self) -> Option<Year> {
        let at = KNOWN.iter().position(|known| *known == self.0)?;
        KNOWN.get(at + 1).map(|year| Year(*year))
    }
}

impl From<Edition> for Year {
    fn from(edition: Edition) -> Year {
        match edition {
            Edition::Hs2012 => Year(2012),
            Edition::Hs2017 => Year(2017),
            Edition::Hs2022 => Year(2022),
        }
    }
}

/// The year alone: `2022`.
impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// Reads `2022`, `hs2022`, `HS2022` and `HS 2022`; years from 1988, the first edition, to 2100.
impl FromStr for Year {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.strip_prefix("hs").unwrap_or(&lower).trim_start();
        let year = (digits.len() == 4).then(|| digits.parse().ok()).flatten();
        year.filter(|year| (1988..=2100).contains(year))
            .map(Year)
            .ok_or_else(|| Error::Usage(format!("{text:?} is not the year of an HS edition; give one such as 2022")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year(text: &str) -> Year {
        text.parse().unwrap()
    }

    #[test]
    fn the_known_editions_follow_each_other_without_a_gap() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (edition, from, to) in [
            ("2012", "2012-01-01", "2016-12-31"),
            ("hs2017", "2017-01-01", "2021-12-31"),
            ("HS 2022", "2022-01-01", "2027-12-31"),
        ] {
            assert_eq!(year(edition).starts(), Some(date(from)));
            assert_eq!(year(edition).ends(), Some(date(to)));
            assert_eq!(year(edition).next().unwrap().starts().unwrap().pred_opt(), year(edition).ends());
        }
        assert_eq!((year("2028").starts(), year("2028").ends()), (Some(date("2028-01-01")), None));
        assert_eq!((year("2007").starts(), year("2007").next()), (None, None));
    }

    #[test]
    fn only_years_of_editions_are_read() {
        for edition in Edition::ALL {
            assert_eq!(Year::from(edition), year(edition.as_str()));
        }
        for text in ["", "22", "1987", "2101", "20222", "+202", "hs", "hs 20a2"] {
            assert_eq!(text.parse::<Year>().unwrap_err().exit_code(), 2, "{text}");
        }
        assert!(year("2012") < year("2017"));
    }
}
