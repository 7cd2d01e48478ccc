//! The tariff as a lake holds it: the newest import of every schedule's edition and of every correlation.
//!
//! Read through the views `current_nomenclature` and `current_correlations`, so there is one rule for what is newest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use chrono::NaiveDate;
use datafusion::prelude::SessionContext;

use super::codes::Subheading;
use super::correlation::{Correlation, Link, Pairs};
use super::edition::Edition;
use super::nomenclature::{self, HS, Name, Nomenclature, Validity};
use super::year::Year;
use crate::error::{Context, Error, Result};

/// Everything that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariff {
    /// By schedule and first day.
    pub nomenclatures: Vec<Nomenclature>,
    /// By older and newer edition.
    pub correlations: Vec<Pairs>,
    /// Imports that do not count, by schedule and edition.
    pub unfinished: Vec<Unfinished>,
}

/// A nomenclature whose call ended before its correlations were visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    pub name: Name,
    pub source: String,
    pub import_id: String,
}

const NOMENCLATURE: &str = "SELECT schedule, edition, code, language, description, section, valid_from, valid_to, source, \
                            import_id FROM current_nomenclature ORDER BY schedule, edition, code, language";

const CORRELATIONS: &str = "SELECT from_edition, to_edition, from_code, to_code, relationship, partial, source, import_id \
                            FROM current_correlations ORDER BY from_edition, to_edition, from_code, to_code";

const UNFINISHED: &str =
    "SELECT schedule, edition, source, import_id FROM unfinished_imports ORDER BY schedule, edition, import_id";

impl Tariff {
    /// Reads what the lake that is registered in `context` holds; empty when it holds no tariff.
    ///
    /// # Errors
    /// `Input` when a row holds what no import writes.
    pub async fn load(context: &SessionContext) -> Result<Tariff> {
        let mut tariff = Tariff::default();
        for batch in context.sql(NOMENCLATURE).await?.collect().await? {
            tariff.add_nomenclature(&Texts::of(&batch)?).context(|| "the table nomenclature")?;
        }
        for batch in context.sql(CORRELATIONS).await?.collect().await? {
            tariff.add_correlations(&Texts::of(&batch)?).context(|| "the table correlations")?;
        }
        for batch in context.sql(UNFINISHED).await?.collect().await? {
            let rows = Texts::of(&batch)?;
            for row in 0..rows.len {
                let [schedule, edition, source, import_id] = [0, 1, 2, 3].map(|column| rows.text(column, row));
                let name = Name::new(schedule, edition).map_err(as_input).context(|| "the table nomenclature")?;
                tariff.unfinished.push(Unfinished { name, source: source.into(), import_id: import_id.into() });
            }
        }
        tariff.sort();
        Ok(tariff)
    }

    fn add_nomenclature(&mut self, rows: &Texts) -> Result<()> {
        for row in 0..rows.len {
            let [schedule, edition] = [0, 1].map(|column| rows.text(column, row));
            let entry = nomenclature::Entry {
                code: rows.text(2, row).into(),
                language: rows.text(3, row).into(),
                description: rows.text(4, row).into(),
                section: rows.get(5, row).map(str::to_string),
            };
            match self.nomenclatures.last_mut().filter(|n| n.name.schedule == schedule && n.name.edition == edition) {
                Some(same) => same.entries.push(entry),
                None => self.nomenclatures.push(Nomenclature {
                    name: Name::new(schedule, edition).map_err(as_input)?,
                    validity: Validity { from: date(rows.text(6, row))?, to: rows.get(7, row).map(date).transpose()? },
                    entries: vec![entry],
                    source: rows.text(8, row).into(),
                    import_id: rows.text(9, row).into(),
                }),
            }
        }
        Ok(())
    }

    fn add_correlations(&mut self, rows: &Texts) -> Result<()> {
        for row in 0..rows.len {
            let year = |column| rows.text(column, row).parse::<Year>().map_err(as_input);
            let (from, to) = (year(0)?, year(1)?);
            let link = Link {
                from: rows.text(2, row).parse()?,
                to: rows.text(3, row).parse()?,
                relationship: rows.get(4, row).map(str::to_string),
                partial: rows.get(5, row).map(|partial| partial == "true"),
            };
            match self.correlations.last_mut().filter(|c| (c.from, c.to) == (from, to)) {
                Some(same) => same.links.push(link),
                None => self.correlations.push(Pairs {
                    from,
                    to,
                    links: vec![link],
                    source: rows.text(6, row).into(),
                    import_id: rows.text(7, row).into(),
                }),
            }
        }
        Ok(())
    }

    /// As it would be with these imports in place of older ones of the same name.
    pub fn with(&self, nomenclatures: &[Nomenclature], correlations: &[Pairs]) -> Tariff {
        let mut after = self.clone();
        after.nomenclatures.retain(|n| nomenclatures.iter().all(|new| new.name != n.name));
        after.nomenclatures.extend_from_slice(nomenclatures);
        after.correlations.retain(|c| correlations.iter().all(|new| (new.from, new.to) != (c.from, c.to)));
        after.correlations.extend_from_slice(correlations);
        after.sort();
        after
    }

    fn sort(&mut self) {
        self.nomenclatures.sort_by(|a, b| {
            (&a.name.schedule, a.validity.from, &a.name.edition).cmp(&(
                &b.name.schedule,
                b.validity.from,
                &b.name.edition,
            ))
        });
        self.correlations.sort_by_key(|c| (c.from, c.to));
    }

    /// A nomenclature by its name.
    pub fn nomenclature(&self, name: &Name) -> Option<&Nomenclature> {
        self.nomenclatures.iter().find(|n| n.name == *name)
    }

    /// The nomenclature of an edition of the Harmonized System.
    ///
    /// # Errors
    /// `Input` with the next step when it is not there.
    pub fn edition(&self, year: Year) -> Result<&Nomenclature> {
        self.nomenclature(&Name::hs(year)).ok_or_else(|| {
            Error::Input(format!(
                "the lake has no nomenclature HS {year}; import it: harmonize tariff import {year}=FILE"
            ))
        })
    }

    /// The correlation between two editions, held against their codes.
    fn correlation(&self, pairs: &Pairs) -> Result<Correlation> {
        Correlation::new(pairs, self.edition(pairs.from)?.subheadings(), self.edition(pairs.to)?.subheadings())
    }

    /// The correlations that lead from one edition to another, in order: the fewest that there are, so that a table
    /// between the two comes before a chain.
    ///
    /// # Errors
    /// `Usage` when the way goes back in time; `Input`, naming what is missing, when there is none.
    pub fn way(&self, from: Year, to: Year) -> Result<Vec<Correlation>> {
        if from >= to {
            return Err(Error::Usage(format!("HS {from} → HS {to} does not go forward; name the older edition first")));
        }
        self.edition(from)?;
        self.edition(to)?;
        let mut reached: BTreeMap<Year, &Pairs> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            for pairs in self.correlations.iter().filter(|c| c.from == at && c.to > at && c.to <= to) {
                if let Entry::Vacant(place) = reached.entry(pairs.to) {
                    place.insert(pairs);
                    next.push_back(pairs.to);
                }
            }
        }
        let mut way = Vec::new();
        let mut at = to;
        while at != from {
            let Some(pairs) = reached.get(&at) else {
                return Err(Error::Input(format!(
                    "no correlations lead from HS {from} to HS {to}; missing: {}",
                    self.missing_steps(from, to).join(", ")
                )));
            };
            way.push(self.correlation(pairs)?);
            at = pairs.from;
        }
        way.reverse();
        Ok(way)
    }

    /// Correlations between neighbouring editions that the lake lacks, in words.
    fn missing_steps(&self, from: Year, to: Year) -> Vec<String> {
        let years: Vec<Year> = self.years().into_iter().filter(|y| (from..=to).contains(y)).collect();
        let steps = years.windows(2).filter_map(|pair| match pair {
            [a, b] if !self.has_correlation(*a, *b) => Some(format!("HS {a} → HS {b}")),
            _ => None,
        });
        steps.collect()
    }

    /// Editions of the Harmonized System, oldest first.
    pub fn years(&self) -> Vec<Year> {
        let mut years: Vec<Year> = self.nomenclatures.iter().filter_map(|n| n.name.year()).collect();
        years.sort_unstable();
        years
    }

    /// Whether there is a table between two editions.
    pub fn has_correlation(&self, from: Year, to: Year) -> bool {
        self.correlation_between(from, to).is_some()
    }

    /// The table between two editions.
    pub fn correlation_between(&self, from: Year, to: Year) -> Option<&Pairs> {
        self.correlations.iter().find(|c| (c.from, c.to) == (from, to))
    }

    /// The first day of the edition that follows in the same schedule.
    pub fn next_start(&self, of: &Nomenclature) -> Option<NaiveDate> {
        let same = self.nomenclatures.iter().filter(|n| n.name.schedule == of.name.schedule);
        same.map(|n| n.validity.from).filter(|from| *from > of.validity.from).min()
    }

    /// The edition of the Harmonized System that is in force on a day.
    pub fn in_force(&self, day: NaiveDate) -> Option<&Nomenclature> {
        let mut hs = self.nomenclatures.iter().filter(|n| n.name.schedule == HS);
        hs.rfind(|n| n.validity.holds(day, self.next_start(n)))
    }

    /// The edition that is in force on a day: the lake's, else the one that the program knows.
    pub fn edition_on(&self, day: NaiveDate) -> Option<Year> {
        let holds = |year: &Year| year.starts().is_some_and(|s| s <= day) && year.ends().is_none_or(|e| day <= e);
        let there = self.in_force(day).and_then(|nomenclature| nomenclature.name.year());
        there.or_else(|| Edition::ALL.into_iter().map(Year::from).find(holds))
    }

    /// Subheadings of an edition, ascending; none when it is not there.
    pub fn subheadings(&self, year: Year) -> Vec<Subheading> {
        self.nomenclature(&Name::hs(year)).map(Nomenclature::subheadings).unwrap_or_default()
    }
}

fn date(text: &str) -> Result<NaiveDate> {
    text.parse().map_err(|_| Error::Input(format!("{text:?} is not a date")))
}

/// What no import writes is the fault of the table, not of the call.
fn as_input(e: Error) -> Error {
    match e {
        Error::Usage(what) => Error::Input(what),
        e => e,
    }
}

/// The columns of a batch as text.
struct Texts {
    columns: Vec<StringArray>,
    len: usize,
}

impl Texts {
    fn of(batch: &RecordBatch) -> Result<Texts> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            columns.push(arrow::compute::cast(column, &DataType::Utf8)?.as_string::<i32>().clone());
        }
        Ok(Texts { columns, len: batch.num_rows() })
    }

    fn get(&self, column: usize, row: usize) -> Option<&str> {
        let column = self.columns.get(column)?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, column: usize, row: usize) -> &str {
        self.get(column, row).unwrap_or_default()
    }
}
