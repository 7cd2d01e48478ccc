//! What codes mean, by the tariff that a lake holds.

use std::collections::BTreeMap;

use crate::tariff::{HS, Nomenclature, Tariff};

/// The nomenclatures of the Harmonized System by edition.
pub(super) struct Wordings(BTreeMap<String, Nomenclature>);

/// What a code means, level by level; `None` where the lake does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Wording {
    /// Of its first two digits.
    pub chapter: Option<String>,
    /// Of its first four.
    pub heading: Option<String>,
    /// Of all six.
    pub subheading: Option<String>,
}

impl Wordings {
    pub(super) fn new(tariff: &Tariff) -> Wordings {
        let hs = tariff.nomenclatures.iter().filter(|n| n.name.schedule == HS);
        Wordings(hs.map(|n| (n.name.edition.clone(), n.clone())).collect())
    }

    /// Whether the lake has the edition.
    pub(super) fn has(&self, edition: &str) -> bool {
        self.0.contains_key(edition)
    }

    /// What a code of an edition means.
    pub(super) fn of(&self, edition: Option<&str>, code: &str) -> Wording {
        let of = |digits: usize| {
            let nomenclature = self.0.get(edition?)?;
            let text = nomenclature.text(code.get(..digits)?);
            (!text.is_empty()).then(|| text.to_string())
        };
        Wording { chapter: of(2), heading: of(4), subheading: of(6) }
    }

    /// What each of some codes means, with the codes when they are several; `None` where the lake knows none of them.
    pub(super) fn of_all(&self, edition: Option<&str>, codes: &[&str]) -> Option<String> {
        let told = |code: &str| self.of(edition, code).subheading;
        match codes {
            [one] => told(one),
            several => {
                let texts: Vec<String> =
                    several.iter().filter_map(|code| Some(format!("{code}: {}", told(code)?))).collect();
                (!texts.is_empty()).then(|| texts.join("; "))
            }
        }
    }
}
