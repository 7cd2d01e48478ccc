//! The wording of codes, as a nomenclature file has it. The program itself has numbers alone.

use std::collections::HashMap;

use super::codes::Codes;
use super::edition::Edition;
use crate::error::Result;

/// Texts of chapters, headings and subheadings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// Reads a nomenclature as [`Codes::from_nomenclature_csv`] does, and refuses what that refuses.
    pub fn from_nomenclature_csv(bytes: &[u8], edition: Edition, name_of_file: &str) -> Result<Names> {
        Codes::from_nomenclature_csv(bytes, edition, name_of_file)?;
        let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let place = |header: &csv::StringRecord, name: &str| header.iter().position(|column| column.trim() == name);
        let header = reader.headers().cloned().unwrap_or_default();
        let (Some(code), Some(text)) = (place(&header, "hs_code"), place(&header, "description")) else {
            return Ok(Names::default());
        };
        let field = |record: &csv::StringRecord, at| record.get(at).unwrap_or_default().trim().to_string();
        // Every record was read once before.
        let records = reader.records().flatten();
        Ok(Names(records.map(|record| (field(&record, code), one_line(&field(&record, text)))).collect()))
    }

    /// The text of a code of 2, 4 or 6 digits.
    pub fn of(&self, code: &str) -> Option<&str> {
        self.0.get(code).map(String::as_str).filter(|text| !text.is_empty())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
