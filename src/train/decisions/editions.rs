//! Codes of decisions in the edition of the model.
//!
//! Always holds: a code of another edition has a counterpart only where the correlations of the lake give one code for one code,
//! in both directions; see "what became of a code" in `docs/tariff.md`.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::tariff::{Changes, Codes, Correlation, Kind, Subheading, Tariff, Year};

/// What a code is in the edition of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counterpart {
    /// It is of that edition.
    Same(Subheading),
    /// One code for one code.
    OneToOne(Subheading),
    /// Its edition has no such code.
    NoCode,
    /// There are several, or none.
    Ambiguous,
    /// The lake does not tell.
    NoWay,
}

/// Counterparts of the codes of an edition: `None` for a code without one.
type Counterparts = BTreeMap<Subheading, Option<Subheading>>;

/// The editions that decisions are of.
pub(super) struct Editions<'a> {
    tariff: &'a Tariff,
    codes: &'a Codes,
    /// By edition as it is written; `None` where no correlations lead to the model's.
    others: BTreeMap<String, Option<Counterparts>>,
}

impl<'a> Editions<'a> {
    /// `codes` are those of the model's edition.
    pub(super) fn new(tariff: &'a Tariff, codes: &'a Codes) -> Editions<'a> {
        Editions { tariff, codes, others: BTreeMap::new() }
    }

    /// The counterpart of a code.
    pub(super) fn counterpart(&mut self, edition: &str, code: &str) -> Counterpart {
        let of_model = self.codes.edition();
        if edition == of_model.as_str() {
            return self.codes.get(code).map_or(Counterpart::NoCode, Counterpart::Same);
        }
        let (tariff, to) = (self.tariff, Year::from(of_model));
        let others = self.others.entry(edition.to_string());
        let Some(of_edition) = others.or_insert_with(|| counterparts(tariff, edition, to)) else {
            return Counterpart::NoWay;
        };
        match code.parse().ok().and_then(|code: Subheading| of_edition.get(&code)) {
            None => Counterpart::NoCode,
            Some(None) => Counterpart::Ambiguous,
            // A list of codes that is given may be shorter than the edition.
            Some(Some(one)) => self.codes.get(one.as_str()).map_or(Counterpart::NoCode, Counterpart::OneToOne),
        }
    }
}

/// Of every code of an edition; `None` when it is no edition, or the lake has no correlations that lead there.
fn counterparts(tariff: &Tariff, edition: &str, to: Year) -> Option<Counterparts> {
    let from: Year = edition.parse().ok()?;
    let (older, newer) = (from.min(to), from.max(to));
    let changes = Changes::new(&whole_way(tariff, older, newer).ok()??);
    let one_to_one = |kind| matches!(kind, Kind::Unchanged | Kind::Renumbered);
    let pairs: Vec<(Subheading, Subheading)> = changes
        .old()
        .filter(|change| one_to_one(change.kind))
        .filter_map(|change| Some((change.code, *change.successors.first()?)))
        .collect();
    let mut found: Counterparts = if from < to {
        changes.old().map(|change| (change.code, None)).collect()
    } else {
        changes.new_codes().map(|(code, _)| (code, None)).collect()
    };
    for (old, new) in pairs {
        let (code, counterpart) = if from < to { (old, new) } else { (new, old) };
        found.insert(code, Some(counterpart));
    }
    Some(found)
}

/// The relation from one edition to a later one.
fn whole_way(tariff: &Tariff, from: Year, to: Year) -> Result<Option<Correlation>> {
    let mut whole: Option<Correlation> = None;
    for step in tariff.way(from, to)? {
        whole = Some(match whole {
            None => step,
            Some(before) => before.then(&step)?,
        });
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::{Edition, Link, Name, Nomenclature, Pairs, Validity};

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    /// A lake's tariff with these pairs from 2017 to 2022, and the codes that they name.
    fn tariff(pairs: &[(&str, &str)]) -> Tariff {
        let nomenclature = |year: &str, codes: Vec<&str>| {
            let mut csv = "hs_code,level,parent,section,description\n".to_string();
            let mut above: Vec<&str> =
                codes.iter().flat_map(|code| [&code[..2], &code[..4]]).chain(codes.iter().copied()).collect();
            above.sort_unstable();
            above.dedup();
            for code in above {
                csv += &format!("{code},{},{},I,goods\n", code.len(), &code[..code.len() - 2]);
            }
            let name = Name::new("HS", year).unwrap();
            let validity = Validity::of(&name, None, None).unwrap();
            Nomenclature::from_csv(csv.as_bytes(), name, validity, "en", "n.csv").unwrap()
        };
        let links =
            pairs.iter().map(|(from, to)| Link { from: code(from), to: code(to), relationship: None, partial: None });
        Tariff {
            nomenclatures: vec![
                nomenclature("2017", pairs.iter().map(|pair| pair.0).collect()),
                nomenclature("2022", pairs.iter().map(|pair| pair.1).collect()),
            ],
            correlations: vec![Pairs {
                from: "2017".parse().unwrap(),
                to: "2022".parse().unwrap(),
                links: links.collect(),
                source: "c.csv".into(),
                import_id: String::new(),
            }],
            unfinished: Vec::new(),
        }
    }

    /// 8528.72 is unchanged and 8517.12 has two successors in the table of the WCO; 8548.10 went to 8549 and has no number there.
    #[test]
    fn a_code_of_another_edition_counts_only_where_it_is_one_to_one_both_ways() {
        let tariff = tariff(&[
            ("852872", "852872"),
            ("010110", "010121"),
            ("851712", "851713"),
            ("851712", "851714"),
            ("010120", "010130"),
            ("010190", "010130"),
        ]);
        let mut editions = Editions::new(&tariff, Codes::builtin(Edition::Hs2022));
        assert_eq!(editions.counterpart("2022", "851713"), Counterpart::Same(code("851713")));
        assert_eq!(editions.counterpart("2022", "851712"), Counterpart::NoCode, "it ended with 2017");
        assert_eq!(editions.counterpart("2017", "852872"), Counterpart::OneToOne(code("852872")));
        assert_eq!(editions.counterpart("2017", "010110"), Counterpart::OneToOne(code("010121")), "renumbered");
        assert_eq!(editions.counterpart("2017", "851712"), Counterpart::Ambiguous, "split");
        assert_eq!(editions.counterpart("2017", "010120"), Counterpart::Ambiguous, "merged");
        assert_eq!(editions.counterpart("2017", "999998"), Counterpart::NoCode);
        assert_eq!(editions.counterpart("2012", "852872"), Counterpart::NoWay);
        assert_eq!(editions.counterpart("next year", "852872"), Counterpart::NoWay);
        let mut back = Editions::new(&tariff, Codes::builtin(Edition::Hs2017));
        assert_eq!(back.counterpart("2022", "852872"), Counterpart::OneToOne(code("852872")));
        assert_eq!(back.counterpart("2022", "851713"), Counterpart::Ambiguous, "one of two parts");
        assert_eq!(back.counterpart("2022", "010130"), Counterpart::Ambiguous, "two became one");
    }
}
