//! The wording of codes, as a nomenclature file has it. The program itself has numbers alone.

use std::collections::HashMap;

use super::codes::Codes;
use super::edition::Edition;
use super::file::read_rows;
use super::nomenclature::Nomenclature;
use crate::error::Result;

/// Texts of chapters, headings and subheadings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// Reads a nomenclature as [`Codes::from_nomenclature_csv`] does, and refuses what that refuses.
    pub fn from_nomenclature_csv(bytes: &[u8], edition: Edition, name_of_file: &str) -> Result<Names> {
        Codes::from_nomenclature_csv(bytes, edition, name_of_file)?;
        let rows = read_rows(bytes, 6, "", name_of_file)?;
        Ok(Names(rows.into_iter().map(|row| (row.code, row.description)).collect()))
    }

    /// Those of a nomenclature, each in its first language.
    pub fn of_nomenclature(of: &Nomenclature) -> Names {
        let mut names = HashMap::new();
        for entry in of.entries.iter().filter(|entry| !entry.description.is_empty()) {
            names.entry(entry.code.clone()).or_insert_with(|| entry.description.clone());
        }
        Names(names)
    }

    /// The text of a code of 2, 4 or 6 digits.
    pub fn of(&self, code: &str) -> Option<&str> {
        self.0.get(code).map(String::as_str).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_text_of_its_row_in_one_line() {
        let csv = "hs_code,level,parent,section,description\n01,2,,I,Animals; live\n0101,4,01,I,\"Horses, asses; live\"\n\
                   010121,6,0101,I,\"Horses; live,\npure-bred\"\n010129,6,0101,I,\n";
        let names = Names::from_nomenclature_csv(csv.as_bytes(), Edition::Hs2022, "n.csv").unwrap();
        assert_eq!(names.of("010121"), Some("Horses; live, pure-bred"));
        assert_eq!(names.of("0101"), Some("Horses, asses; live"));
        assert_eq!((names.of("010129"), names.of("020110")), (None, None));
        let refused = Names::from_nomenclature_csv(b"hs_code\n01\n", Edition::Hs2022, "n.csv").unwrap_err();
        assert!(refused.to_string().contains("n.csv"));
    }
}
