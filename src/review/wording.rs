//! The tariff for people: which codes an edition has, and what it says of them.
//!
//! Codes come from the lake's nomenclature, or else from those that are built in; wording comes from the lake alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::tariff::{Codes, Edition, Name, Nomenclature, Subheading, Tariff, Year};

/// See the module.
#[derive(Debug)]
pub(super) struct Wording {
    tariff: Tariff,
    language: Option<String>,
    /// What was said of a code before, by edition and code.
    said: BTreeMap<(String, String), Option<String>>,
    /// Editions of which the lake has no wording.
    pub without: BTreeSet<String>,
}

/// Below so many words a wording leans on that of its heading, such as "Other".
const FEW_WORDS: usize = 3;

impl Wording {
    /// In a language, or English where the lake has it, else in any.
    pub fn new(tariff: Tariff, language: Option<String>) -> Wording {
        Wording { tariff, language, said: BTreeMap::new(), without: BTreeSet::new() }
    }

    /// The codes of an edition, ascending; `None` when nobody knows them.
    pub fn codes(&self, edition: &str) -> Option<Vec<Subheading>> {
        let year: Year = edition.parse().ok()?;
        let stored = self.tariff.subheadings(year);
        if !stored.is_empty() {
            return Some(stored);
        }
        let builtin: Edition = edition.parse().ok()?;
        Some(Codes::builtin(builtin).iter().collect())
    }

    /// What an edition says of a code.
    pub fn of(&mut self, edition: &str, code: &str) -> Option<String> {
        let key = (edition.to_string(), code.to_string());
        if let Some(said) = self.said.get(&key) {
            return said.clone();
        }
        let there = edition.parse().ok().and_then(|year| self.tariff.nomenclature(&Name::hs(year)));
        if there.is_none() {
            self.without.insert(edition.to_string());
        }
        let said = there.and_then(|there| self.words(there, code));
        self.said.insert(key, said.clone());
        said
    }

    fn words(&self, there: &Nomenclature, code: &str) -> Option<String> {
        let own = self.in_language(there, code)?;
        if own.split_whitespace().count() >= FEW_WORDS {
            return Some(own.to_string());
        }
        match self.in_language(there, code.get(..4)?) {
            Some(heading) => Some(format!("{heading} › {own}")),
            None => Some(own.to_string()),
        }
    }

    fn in_language<'a>(&self, there: &'a Nomenclature, code: &str) -> Option<&'a str> {
        let wanted = self.language.as_deref().unwrap_or("en");
        let entries = there.of(code);
        let own = entries.iter().find(|entry| entry.language.eq_ignore_ascii_case(wanted));
        let said = own.or(entries.first()).map(|entry| entry.description.as_str());
        said.filter(|text| !text.is_empty()).or(Some(there.text(code)).filter(|text| !text.is_empty()))
    }
}
