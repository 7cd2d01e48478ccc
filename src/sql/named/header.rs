//! The header of a named query: what it says of the query, and the type and default of each parameter.

use chrono::NaiveDate;
use datafusion::scalar::ScalarValue;

use super::NamedQuery;
use crate::error::{Error, Result};

/// A parameter of a named query.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Option<Fallback>,
    pub(super) about: &'static str,
}

/// What a parameter is when nobody gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fallback {
    written: &'static str,
    pub(super) value: ScalarValue,
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

    /// What a value has to be, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "a text",
            Kind::Date => "a day such as 2026-03-31",
            Kind::Count => "a whole number from 0",
            Kind::Ratio => "a number from 0 to 1",
        }
    }

    /// A value of the type; none when the text is none.
    pub(super) fn value(self, text: &str) -> Option<ScalarValue> {
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

/// The query of a file.
pub(super) fn parse(name: &'static str, sql: &'static str) -> Result<NamedQuery> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- purpose: lines of a day\n-- reads:   predictions\n-- yields:  hs6, lines\n\
                        -- param: day date — the day\n-- param: limit count = 10 — rows\n\
                        -- param: above ratio = null — the least confidence\nSELECT 1";

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
}
