//! From files to rows of a lake: everything is read and checked together before anything is written.
//!
//! Rows are appended, never changed. What is imported again under the same name takes the place of what was there, because
//! its import id is greater; the same content again is a no-op. Two tables cannot have one commit, so one of them decides:
//! nomenclatures that come with correlations await them, and count from the moment on in which these are visible. So a call
//! is visible whole or not at all.

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use super::check::{Finding, Trouble};
use super::correlation::Pairs;
use super::file::without_mark;
use super::nomenclature::Nomenclature;
use super::rows::{
    DIGEST_DIGITS, correlation_rows, digest_of_nomenclature, digest_of_pairs, name_of, nomenclature_rows, print_of,
};
use super::stored::Tariff;
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Place, Staged, hold_at};

/// What a file holds, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Codes with their wording.
    Nomenclature,
    /// Pairs of codes of two editions.
    Correlation,
}

impl FileKind {
    /// Looks at the first line.
    ///
    /// # Errors
    /// `Input` when it is the header of neither.
    pub fn of(bytes: &[u8], source: &str) -> Result<FileKind> {
        let mut reader = csv::Reader::from_reader(without_mark(bytes));
        let header = reader.headers().map_err(|e| Error::Input(format!("{source}, line 1: {e}")))?;
        if Pairs::has_header(header) {
            Ok(FileKind::Correlation)
        } else if header.iter().any(|h| matches!(h.trim(), "hs_code" | "level" | "parent")) {
            Ok(FileKind::Nomenclature)
        } else {
            Err(Error::Input(format!(
                "{source}: the header is neither that of a nomenclature (hs_code,level,parent,section,description) nor \
                 that of a correlation (hs2022,hs2017,relationship); see docs/tariff.md"
            )))
        }
    }
}

/// How an import is made.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// The clock, which is read once.
    pub now: DateTime<Utc>,
    /// Take editions that are not in force yet.
    pub allow_future: bool,
    /// Take editions that leave days without one.
    pub allow_gap: bool,
}

/// What became of one nomenclature or correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// Rows of it.
    pub rows: usize,
    /// Under which it counts; an equal import that another process makes at the same time may have another time in it.
    pub import_id: String,
    /// Whether the lake had it already.
    pub already: bool,
}

/// What an import did, and what should be known of its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the names.
    pub imported: Vec<Imported>,
    /// Findings that were not there before.
    pub findings: Vec<Finding>,
}

/// Imports what was read, when the tariff as a whole stays right.
///
/// `there` is what the lake holds.
///
/// # Errors
/// `Usage` when two files have the same name; `Input` with everything that would be wrong, and then nothing is written;
/// whatever the store says. A call that dies between the two commits leaves rows that do not count, and the same call again
/// makes them count.
pub async fn import(
    lake: &Place,
    there: &Tariff,
    mut nomenclatures: Vec<Nomenclature>,
    mut correlations: Vec<Pairs>,
    options: ImportOptions,
) -> Result<Report> {
    nomenclatures.sort_by(|a, b| a.name.cmp(&b.name));
    correlations.sort_by_key(|c| (c.from, c.to));
    refuse_twice(&nomenclatures.iter().map(|n| (n.name.to_string(), &n.source)).collect::<Vec<_>>())?;
    refuse_twice(&correlations.iter().map(|c| (name_of(c), &c.source)).collect::<Vec<_>>())?;

    let today = options.now.date_naive();
    let before = there.findings(today);
    let mut findings = there.with(&nomenclatures, &correlations).findings(today);
    findings.retain(|found| !before.contains(found));
    refuse_wrong(&findings, options)?;

    let mut report = Report { imported: Vec::new(), findings };
    let mut new_nomenclatures = Vec::new();
    for mut new in nomenclatures {
        let old = there.nomenclature(&new.name).map(|n| n.import_id.as_str());
        let part = dated(new.name.to_string(), &digest_of_nomenclature(&new)?, old, options)?;
        if !part.already {
            new.import_id.clone_from(&part.import_id);
        }
        report.imported.push(Imported { rows: new.entries.len(), ..part });
        new_nomenclatures.push(new);
    }
    let mut new_correlations = Vec::new();
    for mut new in correlations {
        let old = there.correlation_between(new.from, new.to).map(|c| c.import_id.as_str());
        let part = dated(name_of(&new), &digest_of_pairs(&new)?, old, options)?;
        if !part.already {
            new.import_id.clone_from(&part.import_id);
        }
        report.imported.push(Imported { rows: new.links.len(), ..part });
        new_correlations.push(new);
    }
    // What the lake has already kept no import id.
    new_nomenclatures.retain(|n| !n.import_id.is_empty());
    new_correlations.retain(|c| !c.import_id.is_empty());

    // What the correlations are known by is of the content of the call: the same call again completes what one before began,
    // and no other does.
    let completes = print_of(there, &new_nomenclatures, &new_correlations, None);
    let awaits = (!new_correlations.is_empty()).then(|| completes.clone());
    let awaits = awaits.as_deref();
    let nomenclatures = nomenclature_rows(&new_nomenclatures, awaits)?;
    let correlations = correlation_rows(&new_correlations, &completes)?;
    let parts = [
        (Contract::Nomenclature, nomenclatures, print_of(there, &new_nomenclatures, &[], awaits)),
        (Contract::Correlations, correlations, completes),
    ];
    make_visible(lake, parts).await?;
    Ok(report)
}

/// Writes everything before the first commit, so that what can fail fails while nothing is visible; then commits in order.
async fn make_visible(lake: &Place, parts: [(Contract, Option<RecordBatch>, String); 2]) -> Result<()> {
    let mut staged = Vec::new();
    for (contract, rows, fingerprint) in parts {
        let Some(rows) = rows else { continue };
        match Staged::write(lake, contract, std::slice::from_ref(&rows), &fingerprint).await {
            Ok(one) => staged.push(one),
            Err(e) => {
                for one in &staged {
                    one.discard().await;
                }
                return Err(e);
            }
        }
    }
    hold_at("written").await;
    let mut staged = staged.into_iter().peekable();
    while let Some(one) = staged.next() {
        if let Err(e) = one.commit().await {
            for rest in staged {
                rest.discard().await;
            }
            return Err(e);
        }
        if staged.peek().is_some() {
            hold_at("between").await;
        }
    }
    Ok(())
}

/// The part's import id: the one under which the lake has the same content already, or a new one.
fn dated(name: String, digest: &str, old: Option<&str>, options: ImportOptions) -> Result<Imported> {
    let short = &digest[..DIGEST_DIGITS];
    if let Some(old) = old.filter(|old| old.ends_with(short)) {
        return Ok(Imported { name, rows: 0, import_id: old.into(), already: true });
    }
    let import_id = format!("{}-{short}", options.now.format("%Y%m%dT%H%M%S%.6fZ"));
    match old.filter(|old| *old >= import_id.as_str()) {
        Some(old) => Err(Error::Input(format!(
            "{name}: its import {old} is dated later than now, and would go on counting; set the clock right"
        ))),
        None => Ok(Imported { name, rows: 0, import_id, already: false }),
    }
}

fn refuse_twice(named: &[(String, &String)]) -> Result<()> {
    match named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some([(name, first), (_, second)]) => {
            Err(Error::Usage(format!("{first} and {second} are both {name}; give one of them")))
        }
        _ => Ok(()),
    }
}

fn refuse_wrong(findings: &[Finding], options: ImportOptions) -> Result<()> {
    let refused = |found: &&Finding| match found.trouble {
        Trouble::Future => !options.allow_future,
        Trouble::Gap => !options.allow_gap,
        trouble => trouble.is_wrong(),
    };
    let told = |found: &Finding| {
        let flag = match found.trouble {
            Trouble::Future => ", or say --allow-future",
            Trouble::Gap => ", or say --allow-gap",
            _ => "",
        };
        format!("\n  {}: {}: {}{flag}", found.trouble.as_str(), found.about, found.what)
    };
    let wrong: Vec<String> = findings.iter().filter(refused).map(told).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::Input(format!("nothing was imported:{}", wrong.concat())))
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::{nomenclature, pairs};
    use super::*;

    fn options(now: &str) -> ImportOptions {
        ImportOptions { now: now.parse().unwrap(), allow_future: false, allow_gap: false }
    }

    fn hs(year: &str, codes: &[&str]) -> Nomenclature {
        nomenclature("HS", year, codes, None, None)
    }

    #[test]
    fn the_kind_of_a_file_is_in_its_header() {
        let kind = |text: &str| FileKind::of(text.as_bytes(), "f.csv");
        assert_eq!(kind("hs_code,level,parent,section,description\n").unwrap(), FileKind::Nomenclature);
        assert_eq!(kind("\u{feff}hs2022,hs2017,relationship\n").unwrap(), FileKind::Correlation);
        assert_eq!(kind("from_code,to_code,relationship\n").unwrap(), FileKind::Correlation);
        assert!(kind("a,b\n1,2\n").unwrap_err().to_string().contains("f.csv"));
    }

    #[tokio::test]
    async fn what_would_be_wrong_is_refused_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Place::open(dir.path().to_str().unwrap()).unwrap();
        let there = Tariff::default();
        let now = options("2026-01-01T00:00:00Z");
        let good = hs("2017", &["010121"]);
        let cases = vec![
            (vec![good.clone(), hs("2028", &["010121"])], vec![], 20, "--allow-future"),
            (
                vec![hs("2012", &["010121"]), hs("2022", &["010121"])],
                vec![],
                20,
                "import HS 2017 too, or say --allow-gap",
            ),
            (vec![good.clone()], vec![pairs("2017", "2022", &[("010121", "010121")])], 20, "no nomenclature HS 2022"),
            (vec![good.clone(), good.clone()], vec![], 2, "n.csv and n.csv are both HS 2017"),
        ];
        for (nomenclatures, correlations, code, says) in cases {
            let e = import(&lake, &there, nomenclatures, correlations, now).await.unwrap_err();
            assert!(e.exit_code() == code && e.to_string().contains(says), "{e}");
            assert!(lake.list("").await.unwrap().is_empty());
        }
        let behind = there.with(&[Nomenclature { import_id: "20270101T000000.000000Z-x".into(), ..good }], &[]);
        let e = import(&lake, &behind, vec![hs("2017", &["010129"])], vec![], now).await.unwrap_err();
        assert!(e.to_string().contains("set the clock right"), "{e}");
        let allowed = ImportOptions { allow_future: true, ..now };
        let report = import(&lake, &there, vec![hs("2028", &["010121"])], vec![], allowed).await.unwrap();
        assert_eq!(report.findings[0].trouble, Trouble::Future);
        assert!(!report.imported[0].already && report.imported[0].rows == 3);
    }
}
