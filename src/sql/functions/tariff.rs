//! The tariff as functions ask it, read once, and its place in a function.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ScalarUDF;

use super::function::{Called, Function, Held};
use super::parent::is_code;
use super::{describe, is_valid, successors};
use crate::error::{Error, Result};
use crate::tariff::{Changes, Codes, Correlation, Edition, Name, Nomenclature, Tariff, Year};

/// The tariff of a lake at one version of its tables.
#[derive(Default)]
pub struct Lookup {
    tariff: Tariff,
    ways: Mutex<HashMap<(Year, Year), Arc<Changes>>>,
}

/// Numbers of an edition.
pub(super) enum Numbers<'a> {
    OfLake(&'a Nomenclature),
    BuiltIn(&'static Codes),
}

impl Numbers<'_> {
    pub(super) fn have(&self, code: &str) -> bool {
        match self {
            Numbers::OfLake(nomenclature) => is_code(code) && !nomenclature.of(code).is_empty(),
            Numbers::BuiltIn(codes) => codes.covers(code),
        }
    }
}

impl Lookup {
    pub fn new(tariff: Tariff) -> Lookup {
        Lookup { tariff, ways: Mutex::default() }
    }

    pub(in crate::sql) fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// The nomenclature of an edition as SQL names it: `2022`, `HS 2022`, `CN 2025`.
    ///
    /// # Errors
    /// `Usage` when it is no name, `Input` with the next step when the lake has no such nomenclature.
    pub(in crate::sql) fn nomenclature(&self, edition: &str) -> Result<&Nomenclature> {
        let name = name_of(edition)?;
        if let Some(year) = name.year() {
            return self.tariff.edition(year);
        }
        self.tariff.nomenclature(&name).ok_or_else(|| {
            let there: Vec<String> = self.tariff.nomenclatures.iter().map(|n| n.name.to_string()).collect();
            let there = if there.is_empty() { "none".to_string() } else { there.join(", ") };
            Error::Input(format!(
                "the lake has no nomenclature {name}, only: {there}; import it: harmonize tariff import FILE --schedule {} \
                 --edition {}",
                name.schedule, name.edition
            ))
        })
    }

    /// The edition of the Harmonized System in force on a day.
    ///
    /// # Errors
    /// `Input` when the lake has none.
    pub(super) fn in_force(&self, day: NaiveDate) -> Result<&Nomenclature> {
        self.tariff.in_force(day).ok_or_else(|| {
            Error::Input(format!(
                "the lake has no edition of the HS that is in force on {day}; import one, harmonize tariff import \
                 2022=FILE, or name an edition, such as hs_describe(code, '2022')"
            ))
        })
    }

    /// Numbers of an edition, those of the lake before those that are built in.
    ///
    /// # Errors
    /// As [`Lookup::nomenclature`].
    pub(super) fn numbers(&self, edition: &str) -> Result<Numbers<'_>> {
        let here = self.nomenclature(edition);
        match (here, edition.parse::<Edition>()) {
            (Ok(nomenclature), _) => Ok(Numbers::OfLake(nomenclature)),
            (Err(_), Ok(edition)) => Ok(Numbers::BuiltIn(Codes::builtin(edition))),
            (Err(e), Err(_)) => Err(e),
        }
    }

    /// The relation between two editions: a table, or a chain of tables.
    ///
    /// # Errors
    /// `Usage` for what is no year and for a way back in time, `Input` when tables are missing.
    pub(in crate::sql) fn correlation(&self, from: &str, to: &str) -> Result<Correlation> {
        let mut way = self.tariff.way(from.parse()?, to.parse()?)?.into_iter();
        let first = way.next().ok_or_else(|| Error::Bug("a way without a step".into()))?;
        way.try_fold(first, |so_far, next| so_far.then(&next))
    }

    /// What became of each code between two editions.
    ///
    /// # Errors
    /// As [`Lookup::correlation`].
    pub(super) fn changes(&self, from: &str, to: &str) -> Result<Arc<Changes>> {
        let years: (Year, Year) = (from.parse()?, to.parse()?);
        if let Some(known) = self.ways.lock().unwrap_or_else(PoisonError::into_inner).get(&years) {
            return Ok(Arc::clone(known));
        }
        let changes = Arc::new(Changes::new(&self.correlation(from, to)?));
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).insert(years, Arc::clone(&changes));
        Ok(changes)
    }
}

/// A schedule and its edition: a year, or two names with a space between.
///
/// # Errors
/// `Usage` for anything else.
pub(in crate::sql) fn name_of(edition: &str) -> Result<Name> {
    if let Ok(year) = edition.parse::<Year>() {
        return Ok(Name::hs(year));
    }
    match edition.trim().split_once(' ') {
        Some((schedule, edition)) => Name::new(schedule, edition.trim()),
        None => Err(Error::Usage(format!(
            "{edition:?} names no edition; give a year such as '2022', or a schedule and its edition such as 'CN 2025'"
        ))),
    }
}

/// Where a function of the tariff holds it, with the day of the query.
#[derive(Clone, Default)]
pub struct Editions {
    lookup: Option<Arc<Lookup>>,
    today: NaiveDate,
}

impl Editions {
    /// Bound: what functions answer from, and the day that counts for what is in force.
    pub fn new(lookup: Arc<Lookup>, today: NaiveDate) -> Editions {
        Editions { lookup: Some(lookup), today }
    }

    fn key(&self) -> (Option<*const Lookup>, NaiveDate) {
        (self.lookup.as_ref().map(Arc::as_ptr), self.today)
    }
}

impl Held for Editions {
    type Given<'a> = (&'a Lookup, NaiveDate);

    fn given(&self, name: &'static str) -> DfResult<(&Lookup, NaiveDate)> {
        let tariff = self.lookup.as_deref().ok_or_else(|| {
            DataFusionError::Plan(format!("{name} was not bound to a tariff; plan the query with LakeSession::plan"))
        })?;
        Ok((tariff, self.today))
    }
}

impl fmt::Debug for Editions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tariff on {}", self.today)
    }
}

impl PartialEq for Editions {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Editions {}

impl Hash for Editions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The functions of the tariff.
static ALL: [&Function<Editions>; 3] = [&describe::FUNCTION, &is_valid::FUNCTION, &successors::FUNCTION];

/// The functions of the tariff, which answer from these editions.
pub(super) fn of_tariff(editions: &Editions) -> [ScalarUDF; 3] {
    ALL.map(|function| function.with(editions.clone()))
}

/// Whether a function is one of the tariff.
pub(super) fn is_of_tariff(function: &ScalarUDF) -> bool {
    function.inner().is::<Called<Editions>>()
}

/// What the last names stood for, so that a column of few names is not looked up row by row.
pub(super) struct Memo<T>(HashMap<String, T>);

impl<T> Memo<T> {
    pub(super) fn new() -> Memo<T> {
        Memo(HashMap::new())
    }

    pub(super) fn get(&mut self, name: &str, look_up: impl FnOnce(&str) -> Result<T>) -> Result<&T> {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_string(), look_up(name)?);
        }
        self.0.get(name).ok_or_else(|| Error::Bug("a name that was put in is gone".into()))
    }
}
