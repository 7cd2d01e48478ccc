//! The editions of the Harmonized System that the program knows. An edition is never guessed: it is stated by
//! whoever names codes, and a code without an edition is not used.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// One edition of the Harmonized System, named after the year in which it took effect. Older ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Edition {
    /// In force from 1 January 2012.
    #[serde(rename = "2012")]
    Hs2012,
    /// In force from 1 January 2017.
    #[serde(rename = "2017")]
    Hs2017,
    /// In force from 1 January 2022.
    #[serde(rename = "2022")]
    Hs2022,
}

impl Edition {
    /// Every edition, oldest first.
    pub const ALL: [Edition; 3] = [Edition::Hs2012, Edition::Hs2017, Edition::Hs2022];

    /// The year as it is written in tables and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Edition::Hs2012 => "2012",
            Edition::Hs2017 => "2017",
            Edition::Hs2022 => "2022",
        }
    }
}

/// The year alone: `2022`.
impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads `2022`, `hs2022`, `HS2022` and `HS 2022`.
impl FromStr for Edition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.trim().to_ascii_lowercase();
        let year = lower.strip_prefix("hs").unwrap_or(&lower).trim_start();
        Edition::ALL
            .into_iter()
            .find(|e| e.as_str() == year)
            .ok_or_else(|| Error::Usage(format!("{text:?} is not an HS edition; give 2012, 2017 or 2022")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_reads_what_it_writes_and_the_common_spellings() {
        for edition in Edition::ALL {
            assert_eq!(edition.to_string().parse::<Edition>().unwrap(), edition);
        }
        for text in ["2017", "hs2017", "HS2017", " HS 2017 "] {
            assert_eq!(text.parse::<Edition>().unwrap(), Edition::Hs2017, "{text}");
        }
    }

    #[test]
    fn an_unknown_edition_is_refused_with_the_known_ones() {
        for text in ["", "hs", "2028", "22", "hshs2017"] {
            let message = text.parse::<Edition>().unwrap_err().to_string();
            assert!(message.contains("2012, 2017 or 2022"), "{message}");
        }
    }

    #[test]
    fn an_edition_is_its_year_in_json() {
        assert_eq!(serde_json::to_string(&Edition::Hs2022).unwrap(), "\"2022\"");
        assert_eq!(serde_json::from_str::<Edition>("\"2012\"").unwrap(), Edition::Hs2012);
    }

    #[test]
    fn editions_are_ordered_by_age() {
        assert!(Edition::Hs2012 < Edition::Hs2017 && Edition::Hs2017 < Edition::Hs2022);
    }
}
