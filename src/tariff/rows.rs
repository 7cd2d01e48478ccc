//! What was read, as rows of a lake's tables and as digests of their content.
//!
//! What always holds: a digest says what the rows say, whatever the file's name and the time of the import.

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::correlation::{Link, Pairs};
use super::nomenclature::{Entry, Nomenclature};
use super::stored::Tariff;
use crate::contract::Contract;
use crate::error::{Error, Result};

/// Digits of the content's digest in an import id.
pub(super) const DIGEST_DIGITS: usize = 16;

/// Layout of the rows that a digest is over; another one would make every import of before a new one.
const DIGEST_LAYOUT: u32 = 1;

#[derive(Serialize)]
struct NomenclatureRow<'a> {
    schedule: &'a str,
    edition: &'a str,
    code: &'a str,
    level: usize,
    parent: Option<&'a str>,
    description: &'a str,
    language: &'a str,
    section: Option<&'a str>,
    valid_from: String,
    valid_to: Option<String>,
    source: &'a str,
    import_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    awaits: Option<&'a str>,
}

#[derive(Serialize)]
struct CorrelationRow<'a> {
    from_edition: String,
    to_edition: String,
    from_code: &'a str,
    to_code: &'a str,
    relationship: Option<&'a str>,
    partial: Option<bool>,
    source: &'a str,
    import_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completes: Option<&'a str>,
}

fn nomenclature_row<'a>(of: &'a Nomenclature, entry: &'a Entry, awaits: Option<&'a str>) -> NomenclatureRow<'a> {
    NomenclatureRow {
        schedule: &of.name.schedule,
        edition: &of.name.edition,
        code: &entry.code,
        level: entry.code.len(),
        parent: entry.parent(),
        description: &entry.description,
        language: &entry.language,
        section: entry.section.as_deref(),
        valid_from: of.validity.from.to_string(),
        valid_to: of.validity.to.map(|day| day.to_string()),
        source: &of.source,
        import_id: &of.import_id,
        awaits,
    }
}

fn correlation_row<'a>(of: &'a Pairs, link: &'a Link, completes: Option<&'a str>) -> CorrelationRow<'a> {
    CorrelationRow {
        from_edition: of.from.to_string(),
        to_edition: of.to.to_string(),
        from_code: link.from.as_str(),
        to_code: link.to.as_str(),
        relationship: link.relationship.as_deref(),
        partial: link.partial,
        source: &of.source,
        import_id: &of.import_id,
        completes,
    }
}

/// Rows of nomenclatures, which count once the correlations that they await are visible; `None` without any.
pub(super) fn nomenclature_rows(all: &[Nomenclature], awaits: Option<&str>) -> Result<Option<RecordBatch>> {
    let of = |n| move |entry| nomenclature_row(n, entry, awaits);
    let rows: Vec<_> = all.iter().flat_map(|n| n.entries.iter().map(of(n))).collect();
    batch(Contract::Nomenclature, &rows)
}

/// Rows of correlations, and what they are known by to those that await them; `None` without any.
pub(super) fn correlation_rows(all: &[Pairs], completes: &str) -> Result<Option<RecordBatch>> {
    let of = |c| move |link| correlation_row(c, link, Some(completes));
    let rows: Vec<_> = all.iter().flat_map(|c: &Pairs| c.links.iter().map(of(c))).collect();
    batch(Contract::Correlations, &rows)
}

fn batch<T: Serialize>(contract: Contract, rows: &[T]) -> Result<Option<RecordBatch>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let builder = ReaderBuilder::new(contract.schema().clone()).with_strict_mode(true).with_batch_size(rows.len());
    let mut decoder = builder.build_decoder()?;
    decoder.serialize(rows)?;
    decoder
        .flush()
        .map_err(Error::from)?
        .filter(|batch| batch.num_rows() == rows.len())
        .map(Some)
        .ok_or_else(|| Error::Bug("rows of the tariff went missing".into()))
}

/// SHA-256 of a nomenclature.
pub(super) fn digest_of_nomenclature(of: &Nomenclature) -> Result<String> {
    let plain = Nomenclature { source: String::new(), import_id: String::new(), ..of.clone() };
    let rows: Vec<_> = plain.entries.iter().map(|entry| nomenclature_row(&plain, entry, None)).collect();
    digest(&rows)
}

/// SHA-256 of a correlation.
pub(super) fn digest_of_pairs(of: &Pairs) -> Result<String> {
    let plain = Pairs { source: String::new(), import_id: String::new(), ..of.clone() };
    let rows: Vec<_> = plain.links.iter().map(|link| correlation_row(&plain, link, None)).collect();
    digest(&rows)
}

fn digest<T: Serialize>(rows: &[T]) -> Result<String> {
    let all = serde_json::to_string(&(DIGEST_LAYOUT, rows)).map_err(|e| Error::Bug(e.to_string()))?;
    Ok(hex(all.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The fingerprint of a commit: the contents, the imports that they take the place of, and what they await. So of two equal
/// calls at the same time one is a no-op, while a return to an older content is an import of its own.
pub(super) fn print_of(
    there: &Tariff,
    nomenclatures: &[Nomenclature],
    correlations: &[Pairs],
    awaits: Option<&str>,
) -> String {
    let content = |id: &str| id[id.len().saturating_sub(DIGEST_DIGITS)..].to_string();
    let mut all: Vec<(String, String, String)> = Vec::new();
    for new in nomenclatures {
        let old = there.nomenclature(&new.name).map(|n| n.import_id.clone()).unwrap_or_default();
        all.push((new.name.to_string(), content(&new.import_id), old));
    }
    for new in correlations {
        let same = there.correlation_between(new.from, new.to);
        all.push((name_of(new), content(&new.import_id), same.map(|c| c.import_id.clone()).unwrap_or_default()));
    }
    match awaits {
        None => hex(format!("{all:?}").as_bytes()),
        Some(awaits) => hex(format!("{all:?} {awaits}").as_bytes()),
    }
}

/// `HS 2017 → 2022`
pub fn name_of(pairs: &Pairs) -> String {
    format!("HS {} → {}", pairs.from, pairs.to)
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::{nomenclature, pairs};
    use super::*;

    fn hs(year: &str, codes: &[&str]) -> Nomenclature {
        nomenclature("HS", year, codes, None, None)
    }

    #[test]
    fn rows_are_those_of_the_contracts() {
        for awaits in [None, Some("0123")] {
            let rows = nomenclature_rows(&[hs("2022", &["010121"])], awaits).unwrap().unwrap();
            assert_eq!((rows.num_rows(), rows.schema()), (3, Contract::Nomenclature.schema().clone()));
        }
        let rows = correlation_rows(&[pairs("2017", "2022", &[("010121", "010121")])], "0123").unwrap().unwrap();
        assert_eq!((rows.num_rows(), rows.schema()), (1, Contract::Correlations.schema().clone()));
        assert!(nomenclature_rows(&[], None).unwrap().is_none());
    }

    #[test]
    fn content_and_what_it_replaces_make_the_fingerprint_and_the_time_does_not() {
        let dated = |id: &str| Nomenclature { import_id: id.into(), ..hs("2022", &["010121"]) };
        let print = |there: &Tariff, id: &str| print_of(there, &[dated(id)], &[], None);
        let empty = Tariff::default();
        let (early, late) = ("20260101T000000.000000Z-0123456789abcdef", "20260102T000000.000000Z-0123456789abcdef");
        assert_eq!(print(&empty, early), print(&empty, late));
        assert_ne!(print(&empty, early), print_of(&empty, &[dated(early)], &[], Some("x")), "alone it awaits nothing");
        let after = empty.with(&[dated("20260101T000000.000000Z-fedcba9876543210")], &[]);
        assert_ne!(print(&empty, early), print(&after, early));
        let mut renamed = hs("2022", &["010121"]);
        renamed.source = "other.csv".into();
        assert_eq!(
            digest_of_nomenclature(&renamed).unwrap(),
            digest_of_nomenclature(&hs("2022", &["010121"])).unwrap()
        );
        assert_ne!(
            digest_of_nomenclature(&hs("2022", &["010129"])).unwrap(),
            digest_of_nomenclature(&renamed).unwrap()
        );
    }
}
