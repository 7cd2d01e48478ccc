//! How a user names a model version: by number, by alias, by alias as of a time, or by the model's name alone.
//!
//! Always holds: a parsed reference has a name, a number or an alias of the allowed letters, and is printed as it may be
//! given again. Refuses: looking anything up.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::error::{Error, Result};

/// The alias that a bare name means first.
pub const CHAMPION: &str = "champion";
/// The word for the highest number; never an alias.
const LATEST: &str = "latest";
/// Longest name or alias, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A model version as the user names it.
///
/// | text | version |
/// | --- | --- |
/// | `hs@7` | number 7 |
/// | `hs@latest` | the highest number that is not retired |
/// | `hs@champion` | the one that the alias names now |
/// | `hs@champion#2026-03-01` | the one that it named at the end of that day, UTC |
/// | `hs@champion#2026-03-01T09:30:00Z` | the one that it named at that time |
/// | `hs` | the champion if there is one, else the latest |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    name: String,
    selector: Selector,
}

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The champion if there is one, else the latest.
    Default,
    /// The highest number that is not retired.
    Latest,
    /// This number.
    Version(u64),
    /// What the alias names now.
    Alias(String),
    /// What the alias named then.
    AliasAt(String, AsOf),
}

/// The last moment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    text: String,
    last: DateTime<Utc>,
}

impl AsOf {
    /// The last moment that counts, itself included.
    pub fn last(&self) -> DateTime<Utc> {
        self.last
    }
}

impl FromStr for AsOf {
    type Err = Error;

    /// A date, meaning its end in UTC, or an RFC 3339 time.
    fn from_str(text: &str) -> Result<AsOf> {
        let day_end = |day: NaiveDate| {
            let next = day.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?.and_utc();
            next.checked_sub_signed(TimeDelta::nanoseconds(1))
        };
        let last = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) if text.len() == 10 => day_end(day),
            _ => DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()),
        };
        let last = last.ok_or_else(|| {
            Error::Usage(format!("{text:?} is no time; write a date like 2026-03-01, or 2026-03-01T09:30:00Z"))
        })?;
        Ok(AsOf { text: text.to_owned(), last })
    }
}

impl ModelRef {
    /// What the bare name means.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is no name.
    pub fn bare(name: &str) -> Result<ModelRef> {
        check_name(name)?;
        Ok(ModelRef { name: name.to_owned(), selector: Selector::Default })
    }

    /// One version by its number.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is no name or the number is 0.
    pub fn numbered(name: &str, version: u64) -> Result<ModelRef> {
        format!("{name}@{version}").parse()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn selector(&self) -> &Selector {
        &self.selector
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelRef> {
        let Some((name, selector)) = text.split_once('@') else {
            return ModelRef::bare(text);
        };
        check_name(name)?;
        let selector = match selector.split_once('#') {
            Some((alias, when)) if is_alias(alias) => Selector::AliasAt(alias.to_owned(), when.parse()?),
            None if selector == LATEST => Selector::Latest,
            None if !selector.is_empty() && selector.bytes().all(|b| b.is_ascii_digit()) => Selector::Version(
                version_number(selector)
                    .ok_or_else(|| Error::Usage(format!("{text}: {selector} is no version number; write {name}@1")))?,
            ),
            None if is_alias(selector) => Selector::Alias(selector.to_owned()),
            _ => {
                return Err(Error::Usage(format!(
                    "{text:?} names no model version; write {name}@7, {name}@{CHAMPION}, {name}@{CHAMPION}#2026-03-01 \
                     or {name}@{LATEST}"
                )));
            }
        };
        Ok(ModelRef { name: name.to_owned(), selector })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = &self.name;
        match &self.selector {
            Selector::Default => f.write_str(name),
            Selector::Latest => write!(f, "{name}@{LATEST}"),
            Selector::Version(n) => write!(f, "{name}@{n}"),
            Selector::Alias(alias) => write!(f, "{name}@{alias}"),
            Selector::AliasAt(alias, at) => write!(f, "{name}@{alias}#{}", at.text),
        }
    }
}

/// A version number in its one spelling: "007" and "+7" are other folders than "7".
pub(super) fn version_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| *n > 0 && n.to_string() == text)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Refuses what cannot be a model's name.
pub(super) fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Usage(format!("{name:?} is no model name; use 1 to 64 of a-z, 0-9, '_' and '-', for example hs@7")))
}

/// A letter first, so that no alias looks like a number or a date.
pub(super) fn is_alias(alias: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&alias.len())
        && alias != LATEST
        && alias.starts_with(|c: char| c.is_ascii_lowercase())
        && alias.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Refuses what cannot be an alias.
pub(super) fn check_alias(alias: &str) -> Result<()> {
    if is_alias(alias) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{alias:?} is no alias; use a letter and then a-z, 0-9 and '-', at most 64 and not {LATEST}, for example {CHAMPION}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_parsed_once_and_printed_in_full() {
        for text in [
            "hs",
            "hs@latest",
            "hs@7",
            "hs@champion",
            "hs@challenger-2",
            "hs@champion#2026-03-01",
            "hs@champion#2026-03-01T09:30:00+01:00",
        ] {
            assert_eq!(text.parse::<ModelRef>().unwrap().to_string(), text);
        }
        let alias: ModelRef = "hs_2-x@blue".parse().unwrap();
        assert_eq!((alias.name(), alias.selector()), ("hs_2-x", &Selector::Alias("blue".into())));
    }

    #[test]
    fn what_names_no_version_is_a_usage_error() {
        let long = "a".repeat(65);
        for bad in [
            "",
            "@7",
            "HS@7",
            "hs@",
            "hs@0",
            "hs@07",
            "hs@99999999999999999999",
            "../hs",
            "hs@a/b",
            "hs@7@8",
            "hs@2026-01-31",
            "hs@Champion",
            "hs@-x",
            "hs@champion#",
            "hs@champion#2026-02-30",
            "hs@champion#2026-3-1",
            "hs@champion#yesterday",
            "hs@7#2026-03-01",
            "hs@latest#2026-03-01",
            "hs#2026-03-01",
            &long,
        ] {
            let error = bad.parse::<ModelRef>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{bad}: {error:?}");
        }
    }

    #[test]
    fn a_date_means_its_last_moment_in_utc_and_a_time_means_itself() {
        let at = |text: &str| text.parse::<AsOf>().unwrap().last().to_rfc3339();
        assert_eq!(at("2024-02-29"), "2024-02-29T23:59:59.999999999+00:00");
        assert_eq!(at("2026-03-01T01:00:00+02:00"), "2026-02-28T23:00:00+00:00");
    }
}
