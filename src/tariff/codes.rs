//! Subheadings, and the set of them that an edition knows.
//!
//! A [`Subheading`] is always six ASCII digits; a [`Codes`] is always sorted and without repeats, and holds neither
//! `999999` (a statistical "not specified") nor anything shorter. The numbers of the known editions are built in;
//! their wording is not. Codes are never repaired here: a file with damaged codes is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::edition::Edition;
use super::file::read_rows;
use crate::error::{Error, Result};

/// A six-digit code of the Harmonized System, with its leading zeros. It need not exist in any edition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subheading([u8; 6]);

impl Subheading {
    /// All six digits.
    pub fn as_str(&self) -> &str {
        self.prefix(6)
    }

    /// The first four digits.
    pub fn heading(&self) -> &str {
        self.prefix(4)
    }

    /// The first two digits.
    pub fn chapter(&self) -> &str {
        self.prefix(2)
    }

    fn prefix(&self, digits: usize) -> &str {
        // Only ASCII digits are ever put in, so this is always UTF-8 and never the default.
        std::str::from_utf8(&self.0[..digits]).unwrap_or_default()
    }
}

/// Exactly six ASCII digits; nothing is trimmed or filled up.
impl FromStr for Subheading {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match <[u8; 6]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Subheading(digits)),
            _ => Err(Error::Input(format!("{text:?} is not an HS subheading; it takes six digits as text"))),
        }
    }
}

impl TryFrom<String> for Subheading {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Subheading> for String {
    fn from(code: Subheading) -> String {
        code.as_str().to_string()
    }
}

impl fmt::Display for Subheading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Subheading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The subheadings of one edition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    edition: Edition,
    codes: Vec<Subheading>,
}

impl Codes {
    /// The numbers of an edition as built into the program (source: UN Comtrade classification tables).
    pub fn builtin(edition: Edition) -> &'static Codes {
        static HS2012: OnceLock<Codes> = OnceLock::new();
        static HS2017: OnceLock<Codes> = OnceLock::new();
        static HS2022: OnceLock<Codes> = OnceLock::new();
        let (cell, text) = match edition {
            Edition::Hs2012 => (&HS2012, include_str!("codes_2012.txt")),
            Edition::Hs2017 => (&HS2017, include_str!("codes_2017.txt")),
            Edition::Hs2022 => (&HS2022, include_str!("codes_2022.txt")),
        };
        cell.get_or_init(|| Codes::new(edition, read_compact(text)))
    }

    /// Reads a nomenclature in CSV with the columns `hs_code, level, parent, section, description`, one row for
    /// each chapter, heading and subheading, in any order.
    ///
    /// Refuses, naming `name_of_file`, the line (counted from 1, the header included) and the next step: a missing
    /// column, codes that are not 2, 4 or 6 digits, a level that is not the length of the code, a parent that is
    /// not the start of the code or has no row, a code twice, and a file without subheadings. `999999` is skipped.
    pub fn from_nomenclature_csv(bytes: &[u8], edition: Edition, name_of_file: &str) -> Result<Codes> {
        let rows = read_rows(bytes, 6, "", name_of_file)?;
        let codes: Vec<Subheading> = rows.iter().filter_map(|row| row.code.parse().ok()).collect();
        if codes.is_empty() {
            return Err(Error::Input(format!(
                "{name_of_file} has no subheading (level 6); give the whole nomenclature of HS {edition}"
            )));
        }
        Ok(Codes::new(edition, codes))
    }

    fn new(edition: Edition, mut codes: Vec<Subheading>) -> Codes {
        codes.sort_unstable();
        Codes { edition, codes }
    }

    /// The edition that the codes belong to.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// Whether `code` is a subheading of this edition; false for anything but six digits.
    pub fn contains(&self, code: &str) -> bool {
        self.get(code).is_some()
    }

    /// The subheading whose six digits are `code`, when this edition has it.
    pub fn get(&self, code: &str) -> Option<Subheading> {
        let at = self.codes.binary_search_by(|c| c.as_str().cmp(code)).ok()?;
        self.codes.get(at).copied()
    }

    /// Whether `code` is a chapter, heading or subheading of this edition; false for anything but two, four or six digits.
    pub fn covers(&self, code: &str) -> bool {
        let from = self.codes.partition_point(|c| c.as_str() < code);
        matches!(code.len(), 2 | 4 | 6) && self.codes.get(from).is_some_and(|c| c.as_str().starts_with(code))
    }

    /// All subheadings, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Subheading> + '_ {
        self.codes.iter().copied()
    }

    /// Number of subheadings.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Never true for a set that was built in or read.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The four-digit headings that have subheadings, ascending, each once.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.codes.chunk_by(|a, b| a.heading() == b.heading()).map(|group| group[0].heading())
    }

    /// The two-digit chapters that have subheadings, ascending, each once.
    pub fn chapters(&self) -> impl Iterator<Item = &str> {
        self.codes.chunk_by(|a, b| a.chapter() == b.chapter()).map(|group| group[0].chapter())
    }
}

/// The built-in editions that have the subheading `code`, oldest first.
pub fn editions_of(code: &str) -> Vec<Edition> {
    Edition::ALL.into_iter().filter(|e| Codes::builtin(*e).contains(code)).collect()
}

/// Reads lines of a heading and the last two digits of its subheadings: `0101 21 29 30 90`.
fn read_compact(text: &'static str) -> Vec<Subheading> {
    let subheadings_of = |line: &'static str| {
        let (heading, rest) = line.split_once(' ').unwrap_or((line, ""));
        rest.split(' ').filter_map(move |last| format!("{heading}{last}").parse().ok())
    };
    text.lines().flat_map(subheadings_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "hs_code,level,parent,section,description\n\
        01,2,,I,Animals; live\n\
        0101,4,01,I,\"Horses, asses, mules and hinnies; live\"\n\
        010121,6,0101,I,\"Horses; live,\npure-bred breeding animals\"\n\
        010129,6,0101,I,Horses; other\n\
        999999,6,9999,TOTAL,Commodities not specified according to kind\n";

    fn refusal(csv: &str) -> String {
        Codes::from_nomenclature_csv(csv.as_bytes(), Edition::Hs2022, "n.csv").unwrap_err().to_string()
    }

    /// Counts as published by the World Customs Organization for each edition: 5,205, 5,387 and 5,612 subheadings
    /// in 1,224, 1,222 and 1,228 headings of 96 chapters.
    #[test]
    fn the_builtin_editions_have_the_published_number_of_codes() {
        for (edition, subheadings, headings) in
            [(Edition::Hs2012, 5205, 1224), (Edition::Hs2017, 5387, 1222), (Edition::Hs2022, 5612, 1228)]
        {
            let codes = Codes::builtin(edition);
            assert_eq!((codes.len(), codes.headings().count(), codes.chapters().count()), (subheadings, headings, 96));
            assert!(codes.iter().is_sorted_by(|a, b| a < b));
            assert!(!codes.contains("999999") && !codes.chapters().any(|c| c == "77"));
        }
    }

    #[test]
    fn the_builtin_numbers_are_those_of_the_shared_nomenclature() {
        for edition in Edition::ALL {
            let name = format!("nomenclature_hs{edition}.csv");
            let path = format!("{}/../shared/data/{name}", env!("CARGO_MANIFEST_DIR"));
            let Ok(bytes) = std::fs::read(path) else { continue };
            assert_eq!(&Codes::from_nomenclature_csv(&bytes, edition, &name).unwrap(), Codes::builtin(edition));
        }
    }

    /// 2711.00 was split in HS 2012 already; 8549 came with HS 2022; 0101.21 is in all three.
    #[test]
    fn the_editions_of_a_code_are_those_that_have_it() {
        assert_eq!(editions_of("010121"), Edition::ALL);
        assert_eq!(editions_of("854911"), [Edition::Hs2022]);
        assert_eq!(editions_of("271011"), []);
        for not_a_code in ["", "0101", "01012", "0101211", "01012x", "999999"] {
            assert_eq!(editions_of(not_a_code), [], "{not_a_code}");
        }
    }

    #[test]
    fn chapters_and_headings_are_covered_as_far_as_they_have_subheadings() {
        let codes = Codes::builtin(Edition::Hs2017);
        for (code, covered) in [
            ("01", true),
            ("0101", true),
            ("010121", true),
            ("77", false),
            ("8549", false),
            ("0", false),
            ("01012", false),
        ] {
            assert_eq!(codes.covers(code), covered, "{code}");
        }
        assert!(!codes.covers("") && !codes.covers("99") && !codes.covers("0101210"));
    }

    #[test]
    fn a_subheading_is_exactly_six_ascii_digits() {
        let code: Subheading = "010121".parse().unwrap();
        assert_eq!((code.as_str(), code.heading(), code.chapter()), ("010121", "0101", "01"));
        for text in ["", "10121", "0101210", "01012a", " 010121", "０１０１２１"] {
            assert!(text.parse::<Subheading>().is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&code).unwrap(), "\"010121\"");
        assert_eq!(serde_json::from_str::<Subheading>("\"010121\"").unwrap(), code);
        assert!(serde_json::from_str::<Subheading>("\"10121\"").is_err());
    }

    #[test]
    fn a_nomenclature_is_read_without_the_statistical_code() {
        let codes = Codes::from_nomenclature_csv(SMALL.as_bytes(), Edition::Hs2017, "n.csv").unwrap();
        assert_eq!(codes.iter().map(String::from).collect::<Vec<_>>(), ["010121", "010129"]);
        assert_eq!(codes.edition(), Edition::Hs2017);
        let with_mark = format!("\u{feff}{SMALL}");
        assert_eq!(Codes::from_nomenclature_csv(with_mark.as_bytes(), Edition::Hs2017, "n.csv").unwrap(), codes);
    }

    #[test]
    fn a_damaged_row_is_refused_with_its_line_and_the_next_step() {
        for (from, to, line, says) in [
            ("010129,6,0101", "10129,6,0101", "line 6", "export the column hs_code as text"),
            ("010129,6,0101", "010129,4,0101", "line 6", "must be 6"),
            ("010129,6,0101", "010129,6,101", "line 6", "must be \"0101\""),
            ("010129,6,0101", "0101.29,6,0101", "line 6", "without dots"),
            ("010129,6,0101", "01012900,8,010129", "line 6", "8 digits"),
            ("010129,6,0101", "010121,6,0101", "line 6", "already on line 4"),
            ("010129,6,0101", "010229,6,0102", "line 6", "parent 0102 has no row"),
            ("0101,4,01,I", "0101,4,01", "line 3", "4 fields where the header has 5"),
            ("level", "digits", "line 1", "column level is missing"),
        ] {
            let message = refusal(&SMALL.replacen(from, to, 1));
            assert!(message.starts_with(&format!("n.csv, {line}: ")) && message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_file_without_subheadings_or_not_in_utf8_is_refused() {
        assert!(refusal("hs_code,level,parent,section,description\n01,2,,I,x\n").contains("no subheading"));
        assert!(refusal("").contains("missing"));
        let latin1 = [b"hs_code,level,parent,section,description\n01,2,,I,caf\xe9\n".as_slice()].concat();
        let message = Codes::from_nomenclature_csv(&latin1, Edition::Hs2022, "n.csv").unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("UTF-8"), "{message}");
    }
}
