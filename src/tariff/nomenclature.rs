//! A nomenclature: the codes of one edition of the Harmonized System, or of one national schedule, with their wording,
//! their place in the tree and the days on which they are in force.
//!
//! Codes are text of 2, 4 or 6 digits, in a national schedule also 8 or 10; every code but a chapter has its parent
//! two digits above it. `999999` is left out: it is a code of statistics. Nothing is repaired: a damaged file is refused.

use std::fmt;

use chrono::NaiveDate;

use super::codes::Subheading;
use super::file::{Row, read_rows};
use super::year::Year;
use crate::error::{Error, Result};

/// The schedule that is the international one.
pub const HS: &str = "HS";

/// Which nomenclature: a schedule and its edition, such as `HS 2022` or `CN 2025`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// [`HS`], or the name of a national schedule.
    pub schedule: String,
    /// Year of an HS edition, or what a national schedule calls its edition.
    pub edition: String,
}

impl Name {
    /// An edition of the Harmonized System.
    pub fn hs(year: Year) -> Name {
        Name { schedule: HS.into(), edition: year.to_string() }
    }

    /// A schedule and its edition.
    ///
    /// # Errors
    /// `Usage` for an HS edition that is no year, and for names with other characters than letters, digits, `-`, `_`
    /// and `.`, of which there may be 20.
    pub fn new(schedule: &str, edition: &str) -> Result<Name> {
        if schedule.eq_ignore_ascii_case(HS) {
            return Ok(Name::hs(edition.parse()?));
        }
        for text in [schedule, edition] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if text.is_empty() || text.len() > 20 || !text.chars().all(plain) {
                return Err(Error::Usage(format!(
                    "{text:?} cannot name a schedule or an edition; take up to 20 letters, digits, -, _ and ."
                )));
            }
        }
        Ok(Name { schedule: schedule.into(), edition: edition.into() })
    }

    /// The year, for an edition of the Harmonized System.
    pub fn year(&self) -> Option<Year> {
        if self.schedule == HS { self.edition.parse().ok() } else { None }
    }

    /// Most digits of a code.
    pub fn digits(&self) -> usize {
        if self.schedule == HS { 6 } else { 10 }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.schedule, self.edition))
    }
}

/// One code in one language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Digits with leading zeros.
    pub code: String,
    /// Language of the wording, such as `en`.
    pub language: String,
    /// Wording in one line; may be empty.
    pub description: String,
    /// Section, where the file has one.
    pub section: Option<String>,
}

impl Entry {
    /// The code two digits shorter; `None` for a chapter.
    pub fn parent(&self) -> Option<&str> {
        self.code.get(..self.code.len().saturating_sub(2)).filter(|parent| !parent.is_empty())
    }
}

/// The days on which an edition is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First day.
    pub from: NaiveDate,
    /// Last day; `None` until the next edition of the schedule begins.
    pub to: Option<NaiveDate>,
}

impl Validity {
    /// What is stated, or, where it is not, what the program knows of the edition.
    ///
    /// # Errors
    /// `Usage` when the first day is neither stated nor known, and when the last one comes before it.
    pub fn of(name: &Name, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Validity> {
        let year = name.year();
        let from = from.or_else(|| year.and_then(Year::starts)).ok_or_else(|| {
            Error::Usage(format!("the first day of {name} is not known; give it as --valid-from YYYY-MM-DD"))
        })?;
        match to.or_else(|| year.and_then(Year::ends)) {
            Some(to) if to < from => {
                Err(Error::Usage(format!("{name} would end on {to}, before it begins on {from}; correct the dates")))
            }
            to => Ok(Validity { from, to }),
        }
    }

    /// Whether `day` is one of them; `next` is the first day of the next edition.
    pub fn holds(&self, day: NaiveDate, next: Option<NaiveDate>) -> bool {
        self.from <= day && self.to.or_else(|| next?.pred_opt()).is_none_or(|last| day <= last)
    }
}

/// All codes of a schedule's edition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nomenclature {
    /// Which one.
    pub name: Name,
    /// When it is in force.
    pub validity: Validity,
    /// Its codes by number and language.
    pub entries: Vec<Entry>,
    /// Name of the file.
    pub source: String,
    /// Under which it was imported; empty before that.
    pub import_id: String,
}

impl Nomenclature {
    /// Reads CSV with the columns `hs_code, level, parent, section, description`, and `language` where it is stated row
    /// by row; one row for each code of every level, in any order.
    ///
    /// Refuses, naming the file, the line and the next step, what [`super::Codes::from_nomenclature_csv`] refuses, with 8
    /// and 10 digits allowed in a national schedule.
    pub fn from_csv(
        bytes: &[u8],
        name: Name,
        validity: Validity,
        language: &str,
        source: &str,
    ) -> Result<Nomenclature> {
        let rows = read_rows(bytes, name.digits(), language, source)?;
        let entry = |row: Row| Entry {
            code: row.code,
            language: row.language,
            description: row.description,
            section: Some(row.section).filter(|section| !section.is_empty()),
        };
        let mut entries: Vec<Entry> = rows.into_iter().map(entry).collect();
        entries.sort();
        let read = Nomenclature { name, validity, entries, source: source.into(), import_id: String::new() };
        if read.subheadings().is_empty() {
            return Err(Error::Input(format!(
                "{source} has no subheading (level 6); give the whole nomenclature of {}",
                read.name
            )));
        }
        Ok(read)
    }

    /// Codes of six digits, ascending, each once.
    pub fn subheadings(&self) -> Vec<Subheading> {
        let mut codes: Vec<Subheading> = self.entries.iter().filter_map(|e| e.code.parse().ok()).collect();
        codes.dedup();
        codes
    }

    /// Number of codes of a level, whatever their languages.
    pub fn count(&self, digits: usize) -> usize {
        self.entries.chunk_by(|a, b| a.code == b.code).filter(|same| same[0].code.len() == digits).count()
    }

    /// The wordings of a code, by language.
    pub fn of(&self, code: &str) -> &[Entry] {
        let from = self.entries.partition_point(|e| e.code.as_str() < code);
        let to = self.entries.partition_point(|e| e.code.as_str() <= code);
        &self.entries[from..to]
    }

    /// The wording of a code in its first language; empty when it has none.
    pub fn text(&self, code: &str) -> &str {
        self.of(code).iter().map(|e| e.description.as_str()).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The codes one level below, ascending, each once.
    pub fn children(&self, code: &str) -> Vec<&str> {
        let from = self.entries.partition_point(|e| e.code.as_str() < code);
        let below = self.entries[from..].iter().map(|e| e.code.as_str()).take_while(|c| c.starts_with(code));
        let mut children: Vec<&str> = below.filter(|c| c.len() == code.len() + 2).collect();
        children.dedup();
        children
    }

    /// Entries whose parent has no row.
    pub fn without_parent(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.parent().is_some_and(|parent| self.of(parent).is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIONAL: &str = "hs_code,level,parent,section,description\n\
        01,2,,I,Beasts\n0101,4,01,I,Horses and the like\n010121,6,0101,I,For breeding\n010129,6,0101,I,Others\n\
        01012910,8,010129,I,\"For slaughter,\nalive\"\n0101291010,10,01012910,I,Young\n01012990,8,010129,I,\n";

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn read(csv: &str, name: &Name) -> Result<Nomenclature> {
        let validity = Validity { from: date("2025-01-01"), to: None };
        Nomenclature::from_csv(csv.as_bytes(), name.clone(), validity, "en", "n.csv")
    }

    #[test]
    fn a_national_schedule_has_levels_of_8_and_10_digits_and_a_tree() {
        let national = read(NATIONAL, &Name::new("CN", "2025").unwrap()).unwrap();
        assert_eq!([2, 4, 6, 8, 10].map(|digits| national.count(digits)), [1, 1, 2, 2, 1]);
        assert_eq!(national.children("010129"), ["01012910", "01012990"]);
        assert_eq!(national.children("0101"), ["010121", "010129"]);
        assert_eq!(national.text("01012910"), "For slaughter, alive");
        assert_eq!((national.text("01012990"), national.text("02")), ("", ""));
        assert_eq!(national.of("0101291010")[0].parent(), Some("01012910"));
        let message = read(NATIONAL, &Name::new("hs", "2022").unwrap()).unwrap_err().to_string();
        assert!(message.contains("line 6") && message.contains("8 digits"), "{message}");
    }

    #[test]
    fn languages_stand_side_by_side_and_a_code_twice_in_one_is_refused() {
        let csv = "hs_code,level,parent,section,description,language\n01,2,,I,Beasts,en\n01,2,,I,Tiere,de\n\
                   0101,4,01,I,Horses,en\n010121,6,0101,I,Breeding,en\n";
        let name = Name::hs("2022".parse().unwrap());
        let both = read(csv, &name).unwrap();
        assert_eq!(both.count(2), 1);
        assert_eq!(both.of("01").iter().map(|e| e.language.as_str()).collect::<Vec<_>>(), ["de", "en"]);
        let message = read(&csv.replace("Tiere,de", "Tiere,en"), &name).unwrap_err().to_string();
        assert!(message.starts_with("n.csv, line 3: ") && message.contains("line 2"), "{message}");
    }

    #[test]
    fn the_days_of_an_edition_are_stated_or_known() {
        let hs = |year: &str| Name::hs(year.parse().unwrap());
        let known = Validity::of(&hs("2017"), None, None).unwrap();
        assert_eq!((known.from, known.to), (date("2017-01-01"), Some(date("2021-12-31"))));
        assert!(known.holds(date("2021-12-31"), None) && !known.holds(date("2022-01-01"), None));
        let national = Name::new("CN", "2025").unwrap();
        assert!(Validity::of(&national, None, None).unwrap_err().to_string().contains("--valid-from"));
        let open = Validity::of(&national, Some(date("2025-01-01")), None).unwrap();
        assert_eq!(open.to, None);
        assert!(open.holds(date("2030-01-01"), None) && !open.holds(date("2026-01-01"), Some(date("2026-01-01"))));
        let e = Validity::of(&hs("2012"), Some(date("2018-01-01")), None).unwrap_err();
        assert_eq!(e.exit_code(), 2);
        assert!(e.to_string().contains("before it begins"), "{e}");
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(Name::new("HS", "hs2017").unwrap().to_string(), "HS 2017");
        for (schedule, edition) in [("HS", "17"), ("", "2025"), ("C N", "2025"), ("CN", ""), ("CN", "20/25")] {
            assert_eq!(Name::new(schedule, edition).unwrap_err().exit_code(), 2, "{schedule} {edition}");
        }
    }
}
