//! What is wrong with the tariff as a whole: editions that overlap or leave a gap, correlations that name codes or editions
//! that are not there or go round in a cycle, and what should be known besides.
//!
//! Each finding names the thing and says what to do. The same findings keep an import from being made.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use super::codes::{Codes, Subheading};
use super::correlation::{Correlation, list};
use super::edition::Edition;
use super::nomenclature::{HS, Nomenclature};
use super::stored::Tariff;
use super::year::Year;

/// Chapters that national schedules use for themselves.
const NATIONAL_CHAPTERS: [&str; 2] = ["98", "99"];

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A code twice.
    Duplicate,
    /// A code whose parent has no row, or that is no code.
    MissingParent,
    /// A code that its edition does not have.
    UnknownCode,
    /// A correlation of an edition that is not there.
    MissingEdition,
    /// A correlation that goes back in time.
    Cycle,
    /// Two editions of a schedule in force on the same day.
    Overlap,
    /// Days between two editions on which none is in force.
    Gap,
    /// An edition that is not in force yet.
    Future,
    /// Codes of an edition that its correlation does not mention.
    NoLink,
    /// Neighbouring editions without a correlation.
    MissingCorrelation,
    /// A nomenclature whose correlations of the same call never became visible.
    Unfinished,
}

impl Trouble {
    /// As it is written in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Trouble::Duplicate => "duplicate",
            Trouble::MissingParent => "missing_parent",
            Trouble::UnknownCode => "unknown_code",
            Trouble::MissingEdition => "missing_edition",
            Trouble::Cycle => "cycle",
            Trouble::Overlap => "overlap",
            Trouble::Gap => "gap",
            Trouble::Future => "future",
            Trouble::NoLink => "no_link",
            Trouble::MissingCorrelation => "missing_correlation",
            Trouble::Unfinished => "unfinished",
        }
    }

    /// Whether it has to be put right; the others are worth knowing.
    pub fn is_wrong(self) -> bool {
        !matches!(self, Trouble::Future | Trouble::NoLink | Trouble::MissingCorrelation)
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub trouble: Trouble,
    /// The nomenclature or correlation.
    pub about: String,
    /// What it is, and what to do.
    pub what: String,
}

impl Tariff {
    /// Everything that is wrong or worth knowing on the day `today`, in a stable order.
    pub fn findings(&self, today: NaiveDate) -> Vec<Finding> {
        let mut found = Findings(Vec::new());
        for nomenclature in &self.nomenclatures {
            self.codes_of(nomenclature, &mut found);
            let from = nomenclature.validity.from;
            if from > today {
                let what = format!("takes effect on {from}, after today ({today})");
                found.add(Trouble::Future, &nomenclature.name, what);
            }
        }
        let schedules: BTreeSet<&str> = self.nomenclatures.iter().map(|n| n.name.schedule.as_str()).collect();
        for schedule in schedules {
            self.days_of(schedule, &mut found);
        }
        self.links(&mut found);
        for import in &self.unfinished {
            let what = format!(
                "the import {} of {} ended before the correlations of the same call were visible, so it does not count; make \
                 the same import again",
                import.import_id, import.source
            );
            found.add(Trouble::Unfinished, &import.name, what);
        }
        found.0
    }

    fn codes_of(&self, nomenclature: &Nomenclature, found: &mut Findings) {
        let name = &nomenclature.name;
        let entries = &nomenclature.entries;
        let twice = entries.windows(2).filter(|w| (&w[0].code, &w[0].language) == (&w[1].code, &w[1].language));
        if let Some(first) = twice.clone().next() {
            let what = format!("{} codes come twice, such as {}; import it again", twice.count(), first[0].code);
            found.add(Trouble::Duplicate, name, what);
        }
        let damaged = entries.iter().filter(|e| {
            e.code.len() > name.digits()
                || !e.code.len().is_multiple_of(2)
                || !e.code.bytes().all(|b| b.is_ascii_digit())
        });
        let alone: Vec<&str> = damaged.chain(nomenclature.without_parent()).map(|e| e.code.as_str()).collect();
        if let Some(first) = alone.first() {
            let what =
                format!("{} codes have no parent or no right length, such as {first}; import it again", alone.len());
            found.add(Trouble::MissingParent, name, what);
        }
        if name.schedule == HS {
            return;
        }
        let Some((edition, known)) = self.international(nomenclature.validity.from) else { return };
        let national = |code: &Subheading| NATIONAL_CHAPTERS.contains(&code.chapter());
        let all = nomenclature.subheadings();
        let unknown: Vec<Subheading> =
            all.into_iter().filter(|c| !national(c) && known.binary_search(c).is_err()).collect();
        if !unknown.is_empty() {
            let what = format!(
                "{} subheadings are not in {edition}, which is in force on its first day: {}; correct --valid-from or the file",
                unknown.len(),
                list(&unknown)
            );
            found.add(Trouble::UnknownCode, name, what);
        }
    }

    /// The subheadings of the Harmonized System in force on a day: the lake's, else the numbers that are built in.
    fn international(&self, day: NaiveDate) -> Option<(String, Vec<Subheading>)> {
        if let Some(there) = self.in_force(day) {
            return Some((there.name.to_string(), there.subheadings()));
        }
        let known = self.edition_on(day)?;
        let edition = Edition::ALL.into_iter().find(|edition| Year::from(*edition) == known)?;
        Some((format!("HS {edition}"), Codes::builtin(edition).iter().collect()))
    }

    fn days_of(&self, schedule: &str, found: &mut Findings) {
        let all: Vec<&Nomenclature> = self.nomenclatures.iter().filter(|n| n.name.schedule == schedule).collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                if a.validity.from == b.validity.from || a.validity.to.is_some_and(|last| last >= b.validity.from) {
                    let until = a.validity.to.map_or("the next edition".to_string(), |d| d.to_string());
                    let what = format!(
                        "is in force from {} until {until}, and {} from {}: they overlap; import one again with --valid-to \
                         or --valid-from",
                        a.validity.from, b.name, b.validity.from
                    );
                    found.add(Trouble::Overlap, &a.name, what);
                }
            }
        }
        let mut covered: Option<NaiveDate> = None;
        for pair in all.windows(2) {
            let [a, b] = pair else { continue };
            covered = covered.max(a.validity.to);
            let first_open = a.validity.to.and(covered).and_then(|last| last.checked_add_days(Days::new(1)));
            if let Some(first_open) = first_open.filter(|first| *first < b.validity.from) {
                let last = b.validity.from.pred_opt().unwrap_or(first_open);
                let missing = self.missing_between(a, b);
                let what = format!(
                    "ends on {}, and {} begins on {}: none is in force from {first_open} to {last}; {missing}",
                    first_open.pred_opt().unwrap_or(first_open),
                    b.name,
                    b.validity.from
                );
                found.add(Trouble::Gap, &a.name, what);
            }
        }
    }

    fn missing_between(&self, a: &Nomenclature, b: &Nomenclature) -> String {
        let end = b.name.year();
        let mut missing = Vec::new();
        let mut at = a.name.year().and_then(Year::next);
        while let Some(year) = at.filter(|year| end.is_some_and(|end| *year < end)) {
            missing.push(format!("HS {year}"));
            at = year.next();
        }
        match missing[..] {
            [] => "import what is between, or correct the dates".into(),
            _ => format!("import {} too", missing.join(" and ")),
        }
    }

    fn links(&self, found: &mut Findings) {
        let years = self.years();
        for pairs in &self.correlations {
            let about = format!("HS {} → {}", pairs.from, pairs.to);
            if pairs.from >= pairs.to {
                let back = if self.leads(pairs.to, pairs.from) { " and closes a cycle" } else { "" };
                let what = format!("goes back in time{back}; the table must go from the older edition to the newer");
                found.add(Trouble::Cycle, &about, what);
            }
            let absent: Vec<String> = [pairs.from, pairs.to]
                .into_iter()
                .filter(|year| !years.contains(year))
                .map(|year| format!("HS {year}"))
                .collect();
            if !absent.is_empty() {
                let what =
                    format!("there is no nomenclature {}; import it first, or in the same call", absent.join(" and "));
                found.add(Trouble::MissingEdition, &about, what);
                continue;
            }
            let (old, new) = (self.subheadings(pairs.from), self.subheadings(pairs.to));
            for unknown in pairs.unknown_codes(&old, &new) {
                found.add(Trouble::UnknownCode, &about, format!("{unknown}; take the table of these editions"));
            }
            if let Ok(correlation) = Correlation::new(pairs, old, new) {
                let (ends, begins) = correlation.without_link();
                for (codes, year, lacks) in [(ends, pairs.from, "successor"), (begins, pairs.to, "predecessor")] {
                    if !codes.is_empty() {
                        let what = format!("{} of HS {year} without a {lacks}: {}", codes.len(), list(&codes));
                        found.add(Trouble::NoLink, &about, what);
                    }
                }
            }
        }
        for pair in years.windows(2) {
            if let [a, b] = pair
                && !self.has_correlation(*a, *b)
            {
                let what =
                    "neighbouring editions without a correlation; lines cannot be carried over until it is imported";
                found.add(Trouble::MissingCorrelation, &format!("HS {a} → {b}"), what.into());
            }
        }
    }

    /// Whether correlations lead from one edition to another, in whatever direction each goes.
    fn leads(&self, from: Year, to: Year) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            for pairs in self.correlations.iter().filter(|c| c.from == at) {
                if seen.insert(pairs.to) {
                    next.push(pairs.to);
                }
            }
        }
        seen.contains(&to)
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, trouble: Trouble, about: &impl ToString, what: String) {
        self.0.push(Finding { trouble, about: about.to_string(), what });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::correlation::{Link, Pairs};
    use super::super::nomenclature::{Entry, Name, Validity};
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A nomenclature of these subheadings with their headings and chapters; the dates are those that are known.
    pub fn nomenclature(
        schedule: &str,
        edition: &str,
        codes: &[&str],
        from: Option<&str>,
        to: Option<&str>,
    ) -> Nomenclature {
        let name = Name::new(schedule, edition).unwrap();
        let all: BTreeSet<&str> = codes.iter().flat_map(|c| (2..=c.len()).step_by(2).map(move |n| &c[..n])).collect();
        let entry = |code: &str| Entry {
            code: code.into(),
            language: "en".into(),
            description: format!("goods {code}"),
            section: None,
        };
        Nomenclature {
            validity: Validity::of(&name, from.map(date), to.map(date)).unwrap(),
            name,
            entries: all.into_iter().map(entry).collect(),
            source: "n.csv".into(),
            import_id: String::new(),
        }
    }

    pub fn pairs(from: &str, to: &str, links: &[(&str, &str)]) -> Pairs {
        let link = |(a, b): &(&str, &str)| Link {
            from: a.parse().unwrap(),
            to: b.parse().unwrap(),
            relationship: None,
            partial: None,
        };
        Pairs {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            links: links.iter().map(link).collect(),
            source: "c.csv".into(),
            import_id: String::new(),
        }
    }

    fn good() -> Tariff {
        let hs = |year| nomenclature("HS", year, &["010121", "010129"], None, None);
        let same = [("010121", "010121"), ("010129", "010129")];
        let correlations = [pairs("2012", "2017", &same), pairs("2017", "2022", &same)];
        Tariff::default().with(&[hs("2022"), hs("2012"), hs("2017")], &correlations)
    }

    fn troubles(tariff: &Tariff) -> Vec<(&'static str, String)> {
        let all = tariff.findings(date("2026-01-01")).into_iter();
        all.map(|f| (f.trouble.as_str(), format!("{}: {}", f.about, f.what))).collect()
    }

    #[test]
    fn a_whole_tariff_has_nothing_wrong() {
        assert_eq!(troubles(&good()), []);
        assert_eq!(good().way("2012".parse().unwrap(), "2022".parse().unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let hs = |year, from, to| nomenclature("HS", year, &["010121", "010129"], from, to);
        let same = [("010121", "010121"), ("010129", "010129")];
        let cases: Vec<(Tariff, &str, &str)> = vec![
            (
                Tariff::default().with(&[hs("2012", None, None), hs("2022", None, None)], &[]),
                "gap",
                "none is in force from 2017-01-01 to 2021-12-31; import HS 2017 too",
            ),
            (good().with(&[hs("2017", None, Some("2022-06-30"))], &[]), "overlap", "HS 2022 from 2022-01-01"),
            (good().with(&[hs("2017", Some("2012-01-01"), None)], &[]), "overlap", "they overlap"),
            (good().with(&[hs("2028", None, None)], &[]), "future", "takes effect on 2028-01-01"),
            (
                good().with(&[], &[pairs("2022", "2012", &same)]),
                "cycle",
                "HS 2022 → 2012: goes back in time and closes a cycle",
            ),
            (good().with(&[], &[pairs("2022", "2028", &same)]), "missing_edition", "no nomenclature HS 2028"),
            (
                good().with(&[], &[pairs("2017", "2022", &[("010130", "010121"), ("010121", "010190")])]),
                "unknown_code",
                "1 code not in HS 2017: 010130",
            ),
            (
                good().with(&[], &[pairs("2017", "2022", &same[..1])]),
                "no_link",
                "1 of HS 2017 without a successor: 010129",
            ),
            (
                Tariff::default().with(&[hs("2012", None, None), hs("2017", None, None)], &[]),
                "missing_correlation",
                "HS 2012 → 2017",
            ),
            (
                good().with(&[nomenclature("CN", "2025", &["01012910", "02010110"], Some("2025-01-01"), None)], &[]),
                "unknown_code",
                "not in HS 2022, which is in force on its first day: 020101",
            ),
        ];
        for (tariff, trouble, says) in cases {
            let found = troubles(&tariff);
            assert!(found.iter().any(|(t, what)| *t == trouble && what.contains(says)), "{trouble}: {found:?}");
        }
    }

    #[test]
    fn rows_that_no_import_writes_are_found() {
        let mut twice = good();
        let entry = twice.nomenclatures[0].entries[2].clone();
        twice.nomenclatures[0].entries.insert(2, entry);
        assert_eq!(troubles(&twice)[0].0, "duplicate");
        let mut alone = good();
        alone.nomenclatures[0].entries.remove(0);
        assert!(troubles(&alone)[0].1.contains("such as 0101"), "{:?}", troubles(&alone));
    }

    #[test]
    fn national_editions_follow_each_other_and_may_have_chapters_of_their_own() {
        let national = |edition, from| nomenclature("CN", edition, &["01012910", "99010110"], Some(from), None);
        let open = good().with(&[national("2024", "2024-01-01"), national("2025", "2025-01-01")], &[]);
        assert_eq!(troubles(&open), []);
        let first = open.nomenclature(&Name::new("CN", "2024").unwrap()).unwrap();
        assert_eq!(open.next_start(first), Some(date("2025-01-01")));
        assert_eq!(open.in_force(date("2021-12-31")).unwrap().name.to_string(), "HS 2017");
        assert_eq!(open.in_force(date("2011-12-31")), None);
    }

    #[test]
    fn a_way_takes_the_table_between_two_editions_before_a_chain_and_names_what_is_missing() {
        let year = |text: &str| text.parse::<Year>().unwrap();
        let direct = good().with(&[], &[pairs("2012", "2022", &[("010121", "010129")])]);
        let way = direct.way(year("2012"), year("2022")).unwrap();
        assert_eq!((way.len(), way[0].links().count()), (1, 1));
        let mut cut = good();
        cut.correlations.remove(1);
        let message = cut.way(year("2012"), year("2022")).unwrap_err().to_string();
        assert!(message.contains("missing: HS 2017 → HS 2022"), "{message}");
        assert!(cut.way(year("2012"), year("2028")).unwrap_err().to_string().contains("no nomenclature HS 2028"));
        assert_eq!(cut.way(year("2017"), year("2012")).unwrap_err().exit_code(), 2);
    }
}
