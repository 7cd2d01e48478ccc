//! The named queries of `queries/named/`: what their headers say, and how values are bound to their parameters.
//!
//! Always holds: a name is one of [`list`], a value has the type that the header gives its parameter, and it is bound, never
//! pasted into the text. A query reads; one that would write is refused when it is planned.
//!
//! A header is comment lines at the top of the file:
//!
//! ```sql
//! -- purpose: what it answers, in one sentence
//! -- reads:   tables and views, by name
//! -- yields:  the columns, in order
//! -- param: since date = null — what it is; without "= default" it has to be given
//! ```
//!
//! In the text a parameter stands as `CAST($since AS DATE)`, so that its type is known before it has a value.

use std::sync::LazyLock;

use chrono::NaiveDate;
use datafusion::common::ParamValues;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::scalar::ScalarValue;

use crate::error::{Context, Error, Result};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../queries/named/", $name, ".sql")))),*]
    };
}

/// Name and text of every file of `queries/named/`, in the order of the names.
const FILES: &[(&str, &str)] = files![
    "accepted_below",
    "answers_of_model",
    "audit_sample",
    "backfill_gaps",
    "binding_rulings",
    "challenger_by_chapter",
    "challenger_by_value",
    "codes_not_in_edition",
    "confidence_calibration",
    "consistency_findings",
    "corrections_by_heading",
    "cost_by_run",
    "counted_on_day",
    "coverage_by_chapter",
    "decisions_by_reviewer",
    "declared_by_value",
    "drift_by_chapter",
    "duplicate_texts",
    "files_without_answers",
    "line_history",
    "lines_by_edition",
    "lines_by_reason",
    "model_versions",
    "moved_with_tariff",
    "oldest_waiting",
    "queue_age",
    "reasons_by_frequency",
    "reviewer_agreement",
    "reviewers_against_model",
    "run_inputs",
    "tariff_changes_waiting",
    "texts_most_decided",
    "texts_waiting",
    "threshold_effect",
    "trend_by_day",
    "value_at_risk",
    "who_decided",
];

/// A query that has a name, and what its header says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedQuery {
    name: &'static str,
    purpose: &'static str,
    reads: Vec<&'static str>,
    yields: Vec<&'static str>,
    params: Vec<Param>,
    sql: &'static str,
}

/// A parameter of a named query.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    name: &'static str,
    kind: Kind,
    default: Option<Fallback>,
    about: &'static str,
}

/// What a parameter is when nobody gives it.
#[derive(Clone, Debug, PartialEq)]
struct Fallback {
    written: &'static str,
    value: ScalarValue,
}

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A day, as 2026-03-31.
    Date,
    /// A whole number from 0.
    Count,
    /// A number from 0 to 1.
    Ratio,
}

/// All of them, by name.
pub fn list() -> &'static [NamedQuery] {
    static ALL: LazyLock<Vec<NamedQuery>> = LazyLock::new(|| {
        // The files are part of the program: a broken header fails the tests, never a user.
        FILES.iter().map(|(name, sql)| parse(name, sql).unwrap_or_else(|e| unreachable!("{e}"))).collect()
    });
    &ALL
}

/// The query of this name.
///
/// # Errors
/// `Usage` with the names that are like it.
pub fn find(name: &str) -> Result<&'static NamedQuery> {
    list().iter().find(|query| query.name == name).ok_or_else(|| {
        let near = near(name, list().iter().map(NamedQuery::name));
        let hint = match &near[..] {
            [] => format!("they are: {}", list().iter().map(NamedQuery::name).collect::<Vec<_>>().join(", ")),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        Error::Usage(format!("no query is named {name}; {hint}"))
    })
}

impl NamedQuery {
    /// Its name, which is that of its file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it answers, in one sentence.
    pub fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// The tables and views that it reads.
    pub fn reads(&self) -> &[&'static str] {
        &self.reads
    }

    /// Its columns, in order.
    pub fn yields(&self) -> &[&'static str] {
        &self.yields
    }

    /// Its parameters, in the order of the header.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Its text, header included, with `$name` where a parameter stands.
    pub fn sql(&self) -> &'static str {
        self.sql
    }

    /// A value for every parameter: the given ones (name, text), and defaults for the rest.
    ///
    /// # Errors
    /// `Usage` when one is missing, unknown, given twice, or not of its type.
    pub fn values(&self, given: &[(String, String)]) -> Result<ParamValues> {
        for (at, (name, _)) in given.iter().enumerate() {
            if !self.params.iter().any(|param| param.name == name) {
                return Err(self.unknown(name));
            }
            if given[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::Usage(format!("{}: {name} is given twice", self.name)));
            }
        }
        let mut values = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let value = match (given.iter().find(|(name, _)| name == param.name), &param.default) {
                (Some((_, text)), _) => param.kind.value(text).ok_or_else(|| {
                    let leave = if param.default.is_some() { ", or leave it out" } else { "" };
                    let wanted = param.kind.wanted();
                    Error::Usage(format!("{}: {} = {text:?} is not {wanted}; give one{leave}", self.name, param.name))
                })?,
                (None, Some(default)) => default.value.clone(),
                (None, None) => {
                    let Param { name, about, .. } = param;
                    return Err(Error::Usage(format!("{} needs {name}: {about}", self.name)));
                }
            };
            values.push((param.name, value));
        }
        Ok(values.into())
    }

    /// The query in a session that has the lake's tables and views, with these values for its parameters.
    ///
    /// # Errors
    /// As [`values`](Self::values); `Usage` when the session lacks a table.
    pub async fn frame(&self, context: &SessionContext, given: &[(String, String)]) -> Result<DataFrame> {
        let values = self.values(given)?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = context.sql_with_options(self.sql, read_only).await.context(|| self.name)?;
        frame.with_param_values(values).context(|| self.name)
    }

    fn unknown(&self, name: &str) -> Error {
        let names = || self.params.iter().map(Param::name);
        let hint = match &near(name, names())[..] {
            _ if self.params.is_empty() => "it has none".into(),
            [] => format!("they are: {}", names().collect::<Vec<_>>().join(", ")),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        Error::Usage(format!("{} has no parameter {name}; {hint}", self.name))
    }
}

impl Param {
    /// Its name, without the `$`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The default as the header has it; none when a value has to be given.
    pub fn default(&self) -> Option<&'static str> {
        self.default.as_ref().map(|default| default.written)
    }

    /// What it is.
    pub fn about(&self) -> &'static str {
        self.about
    }
}

impl Kind {
    /// The name in headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Date => "date",
            Kind::Count => "count",
            Kind::Ratio => "ratio",
        }
    }

    /// The type that the text of a query casts it to.
    pub fn sql_type(self) -> &'static str {
        match self {
            Kind::Text => "VARCHAR",
            Kind::Date => "DATE",
            Kind::Count => "BIGINT",
            Kind::Ratio => "DOUBLE",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Date => "a day such as 2026-03-31",
            Kind::Count => "a whole number from 0",
            Kind::Ratio => "a number from 0 to 1",
        }
    }

    fn value(self, text: &str) -> Option<ScalarValue> {
        let trimmed = text.trim();
        match self {
            Kind::Text => Some(ScalarValue::from(text)),
            Kind::Date => {
                let day = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok()?;
                let days = (day - NaiveDate::default()).num_days();
                Some(ScalarValue::Date32(Some(i32::try_from(days).ok()?)))
            }
            Kind::Count => trimmed.parse().ok().filter(|n: &i64| *n >= 0).map(ScalarValue::from),
            Kind::Ratio => trimmed.parse().ok().filter(|n: &f64| (0.0..=1.0).contains(n)).map(ScalarValue::from),
        }
    }

    fn null(self) -> ScalarValue {
        match self {
            Kind::Text => ScalarValue::Utf8(None),
            Kind::Date => ScalarValue::Date32(None),
            Kind::Count => ScalarValue::Int64(None),
            Kind::Ratio => ScalarValue::Float64(None),
        }
    }
}

fn parse(name: &'static str, sql: &'static str) -> Result<NamedQuery> {
    let broken = |what: String| Error::Bug(format!("queries/named/{name}.sql: {what}"));
    let header = |key: &'static str| {
        let prefix = format!("-- {key}:");
        sql.lines().filter_map(move |line| line.strip_prefix(prefix.as_str()).map(str::trim))
    };
    let one = |key: &'static str| {
        let mut lines = header(key);
        match (lines.next(), lines.next()) {
            (Some(line), None) if !line.is_empty() => Ok(line),
            _ => Err(broken(format!("one line with {key} is needed"))),
        }
    };
    let names = |key: &'static str| Ok::<_, Error>(one(key)?.split(',').map(str::trim).collect());
    let params = header("param")
        .map(|line| param(line).ok_or_else(|| broken(format!("a parameter is name type [= default] — what: {line}"))))
        .collect::<Result<Vec<_>>>()?;
    Ok(NamedQuery { name, purpose: one("purpose")?, reads: names("reads")?, yields: names("yields")?, params, sql })
}

/// `name type [= default] — what it is`.
fn param(line: &'static str) -> Option<Param> {
    let (declared, about) = line.split_once(" — ")?;
    let (declared, written) = match declared.split_once(" = ") {
        Some((declared, written)) => (declared, Some(written.trim())),
        None => (declared, None),
    };
    let (name, kind) = declared.trim().split_once(' ')?;
    let kind = [Kind::Text, Kind::Date, Kind::Count, Kind::Ratio].into_iter().find(|k| k.as_str() == kind.trim())?;
    let default = match written {
        None => None,
        Some("null") => Some(Fallback { written: "null", value: kind.null() }),
        Some(written) => Some(Fallback { written, value: kind.value(written)? }),
    };
    Some(Param { name, kind, default, about: about.trim() })
}

/// Names that somebody may have meant: few edits away, or with the given one inside.
fn near<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    let allowed = (given.chars().count() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let inside = given.len() >= 3 && (name.contains(&given) || given.contains(name));
            let edits = edits(&given, name);
            (inside || edits <= allowed).then_some((edits, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The least number of characters to insert, delete or replace that makes one of the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- purpose: lines of a day\n-- reads:   predictions\n-- yields:  hs6, lines\n\
                        -- param: day date — the day\n-- param: limit count = 10 — rows\n\
                        -- param: above ratio = null — the least confidence\nSELECT 1";

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        parse("of_day", TEXT).unwrap().values(&given(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn a_header_says_what_a_query_is_for_and_takes() {
        let query = parse("of_day", TEXT).unwrap();
        assert_eq!((query.purpose(), query.yields()), ("lines of a day", &["hs6", "lines"][..]));
        let params: Vec<_> = query.params().iter().map(|p| (p.name(), p.kind(), p.default(), p.about())).collect();
        assert_eq!(
            params,
            [
                ("day", Kind::Date, None, "the day"),
                ("limit", Kind::Count, Some("10"), "rows"),
                ("above", Kind::Ratio, Some("null"), "the least confidence"),
            ]
        );
    }

    #[test]
    fn values_are_typed_and_what_is_not_given_is_the_default() {
        let query = parse("of_day", TEXT).unwrap();
        let ParamValues::Map(values) = query.values(&given(&[("day", "2026-03-31")])).unwrap() else { panic!() };
        // 31 March 2026 is day 20,543 since 1 January 1970: 56 years with 14 leap days, and 89 days.
        assert_eq!(values["day"].value, ScalarValue::Date32(Some(56 * 365 + 14 + 89)));
        assert_eq!(values["limit"].value, ScalarValue::Int64(Some(10)));
        assert_eq!(values["above"].value, ScalarValue::Float64(None));
    }

    #[test]
    fn what_is_missing_unknown_twice_or_of_another_type_is_told() {
        assert_eq!(refused(&[]), "of_day needs day: the day");
        assert_eq!(refused(&[("dya", "x")]), "of_day has no parameter dya; did you mean day?");
        assert_eq!(refused(&[("colour", "x")]), "of_day has no parameter colour; they are: day, limit, above");
        assert_eq!(refused(&[("day", "2026-01-01"), ("day", "2026-01-02")]), "of_day: day is given twice");
        for day in ["31.03.2026", "2026-02-30", "", "null", "2026-03-31'; DROP TABLE runs"] {
            assert!(refused(&[("day", day)]).ends_with("is not a day such as 2026-03-31; give one"), "{day}");
        }
        for (name, value) in [("limit", "-1"), ("limit", "1.5"), ("above", "1.01"), ("above", "NaN")] {
            assert!(refused(&[("day", "2026-01-01"), (name, value)]).contains("or leave it out"), "{name} {value}");
        }
    }

    #[test]
    fn a_broken_header_is_refused() {
        for (from, to) in [
            ("-- reads:", "-- read:"),
            ("limit count = 10", "limit count = ten"),
            ("day date", "day datum"),
            (" — rows", ""),
        ] {
            let text: &'static str = TEXT.replace(from, to).leak();
            assert!(matches!(parse("of_day", text), Err(Error::Bug(_))), "{from} → {to}");
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_gets_a_suggestion() {
        let names = ["queue_age", "run_inputs", "cost_by_run"];
        assert_eq!(near("queue-age", names.into_iter()), ["queue_age"]);
        assert_eq!(near("cost_by_rnu", names.into_iter()), ["cost_by_run"]);
        assert_eq!(near("inputs", names.into_iter()), ["run_inputs"]);
        assert!(near("nomenclature", names.into_iter()).is_empty());
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("flaw", "lawn")), (3, 3, 2));
    }
}
