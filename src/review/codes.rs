//! A code as a person entered it, or as a spreadsheet program left it: without its leading zero, with dots, as a number, rounded,
//! or as a date.
//!
//! A code is repaired only when exactly one code of the edition can have become the cell. Everything else is refused, with what
//! it may have been. Refuses: more than six digits, of which none is dropped.

use std::borrow::Cow;

use super::cell::Cell;
use super::days::{days, origins_of_day};
use crate::tariff::{Subheading, editions_of};

/// How a code was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// As it stands there.
    Exact(Subheading),
    /// As the one code that the cell can come from, and what had happened to it.
    Repaired(Subheading, &'static str),
    /// Not; why.
    Refused(String),
}

/// Reads a code of an edition whose codes are `codes`, ascending.
pub fn read(cell: &Cell, codes: &[Subheading], edition: &str) -> Reading {
    let shown = shown(cell);
    let origins = match Origins::of(cell) {
        Ok(origins) => origins,
        Err(EMPTY) => return Reading::Refused(EMPTY.into()),
        Err(why) => return Reading::Refused(format!("{shown} {why}")),
    };
    let found = origins.among(codes);
    match (&found[..], origins.exact) {
        ([code], Some(_)) => Reading::Exact(*code),
        ([code], None) => Reading::Repaired(*code, origins.what),
        ([], Some(code)) => Reading::Refused(elsewhere(code, edition)),
        ([], None) => Reading::Refused(format!("{shown} can come from no code of HS {edition}; write its six digits")),
        (several, _) => {
            let some: Vec<&str> = several.iter().take(5).map(Subheading::as_str).collect();
            let more = if several.len() > 5 { ", …" } else { "" };
            Reading::Refused(format!("{shown} can come from {}{more}; {}", some.join(", "), origins.what))
        }
    }
}

/// Whether a cell can come from a code.
pub fn may_be(cell: &Cell, code: Subheading) -> bool {
    Origins::of(cell).is_ok_and(|origins| !origins.among(&[code]).is_empty())
}

fn elsewhere(code: Subheading, edition: &str) -> String {
    let others: Vec<String> = editions_of(code.as_str()).iter().map(ToString::to_string).collect();
    match others.is_empty() {
        true => format!("{code} is no code of HS {edition}"),
        false => format!("{code} is no code of HS {edition}; it is one of {}", others.join(" and ")),
    }
}

/// At most so much of a cell in a message.
fn shown(cell: &Cell) -> String {
    let text = cell.shown();
    let short: String = text.trim().chars().take(40).collect();
    format!("{short:?}")
}

/// What a cell may have been.
#[derive(Clone, Debug, Default, PartialEq)]
struct Origins {
    /// Six digits that stand there.
    exact: Option<Subheading>,
    /// Six digits that it may come from, in an edition or not.
    some: Vec<String>,
    /// Numbers that it may be rounded from.
    range: Option<(f64, f64)>,
    /// What had happened.
    what: &'static str,
}

const ZERO: &str = "its leading zero was lost";
const SEPARATED: &str = "it had dots or blanks";
const NUMBER: &str = "it was turned into a number";
const ROUNDED: &str = "it was rounded";
const DATE: &str = "it was turned into a date";

/// Why a cell is no code.
type Why = &'static str;

const EMPTY: Why = "decided_code is empty; write the right code";
const NO_CODE: Why = "is no code; write its six digits";
const TOO_LONG: Why = "has more than six digits; write the six of the subheading";
const TOO_SHORT: Why = "has fewer than six digits; write all six";

impl Origins {
    fn of(cell: &Cell) -> Result<Origins, Why> {
        match cell {
            Cell::Empty => Err(EMPTY),
            Cell::Flag(_) => Err(NO_CODE),
            Cell::Number(number) => Ok(Origins { what: NUMBER, some: of_number(*number)?, ..Origins::default() }),
            Cell::Day(day, serial) => {
                let mut some = of_number(*serial).unwrap_or_default();
                some.extend(origins_of_day(*day));
                Ok(Origins { what: DATE, some, ..Origins::default() })
            }
            Cell::Text(text) => Origins::of_text(text),
        }
    }

    fn of_text(text: &str) -> Result<Origins, Why> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '\u{feff}');
        let some = |some: Vec<String>, what| Ok(Origins { some, what, ..Origins::default() });
        if text.is_empty() {
            return Err(EMPTY);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.len() {
                6 => Ok(Origins { exact: text.parse().ok(), ..Origins::default() }),
                5 => some(vec![format!("0{text}")], ZERO),
                3 | 4 => some(of_number(text.parse().unwrap_or(0.0)).map_err(|_| TOO_SHORT)?, NUMBER),
                7.. => Err(TOO_LONG),
                _ => Err(TOO_SHORT),
            };
        }
        if let Some((number, half)) = scientific(text) {
            let origins = Origins { some: of_number(number).unwrap_or_default(), what: NUMBER, ..Origins::default() };
            return Ok(match half > 0.5 {
                true => Origins { range: Some((number - half, number + half)), what: ROUNDED, ..origins },
                false => origins,
            });
        }
        if let Some((digits, what)) = grouped(text)? {
            return some(vec![digits], what);
        }
        let days = days(text);
        if days.is_empty() {
            return Err(NO_CODE);
        }
        let mut origins = Vec::new();
        for (day, serial) in days {
            origins.extend(of_number(serial).unwrap_or_default());
            origins.extend(origins_of_day(day));
        }
        some(origins, DATE)
    }

    /// Those of them that are there, ascending, each once.
    fn among(&self, codes: &[Subheading]) -> Vec<Subheading> {
        let there = |code: &Subheading| codes.binary_search(code).is_ok();
        let mut found: Vec<Subheading> = self.exact.into_iter().filter(there).collect();
        found.extend(self.some.iter().filter_map(|digits| digits.parse().ok()).filter(there));
        if let Some((low, high)) = self.range {
            let within =
                |code: &&Subheading| code.as_str().parse::<f64>().is_ok_and(|number| (low..=high).contains(&number));
            found.extend(codes.iter().filter(within));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Codes that a number may come from: its six digits, or `0101.21` that was taken for a fraction.
fn of_number(number: f64) -> Result<Vec<String>, Why> {
    let whole = |x: f64| (x.round() - x).abs() < 1e-6 && (10_000.0..1_000_000.0).contains(&x.round());
    let mut some = Vec::new();
    for x in [number, number * 100.0] {
        if whole(x) {
            some.push(format!("{:06}", x.round() as u32));
        }
    }
    if some.is_empty() { Err(if number >= 1e6 { TOO_LONG } else { NO_CODE }) } else { Ok(some) }
}

/// A number such as `6.1E+05`, and half of the unit in its last place.
fn scientific(text: &str) -> Option<(f64, f64)> {
    let text: Cow<str> = if text.contains(',') { text.replacen(',', ".", 1).into() } else { text.into() };
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len());
    let number: f64 = text.parse().ok().filter(|_| plain(mantissa))?;
    Some((number, 0.5 * 10f64.powi(exponent - places as i32)))
}

/// Digits in groups, as codes and numbers are written: `8471.30`, `84.71.30`, `610,910`, `610910.0`.
fn grouped(text: &str) -> Result<Option<(String, &'static str)>, Why> {
    let groups: Vec<&str> = text.split(['.', ',', ' ', '\u{a0}', '\u{202f}', '-', '\'']).collect();
    if groups.len() < 2 || groups.iter().any(|group| group.is_empty() || !group.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(None);
    }
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let all = groups.concat();
    let zeros = |group: &str| group.bytes().all(|b| b == b'0');
    Ok(Some(match &lengths[..] {
        [6, _] if zeros(groups[1]) => (groups[0].to_string(), NUMBER),
        [5, _] if zeros(groups[1]) => (format!("0{}", groups[0]), NUMBER),
        [4, 2] | [2, 2, 2] | [3, 3] => (all, SEPARATED),
        [3, 2] | [1, 2, 2] | [2, 3] => (format!("0{all}"), ZERO),
        [4, 1] => (format!("{all}0"), NUMBER),
        [3, 1] => (format!("0{all}0"), NUMBER),
        // A day begins so too.
        [4, 2, 2] if !text.contains('.') => return Ok(None),
        [4, 2, ..] | [4, 4, ..] | [2, 2, 2, ..] => return Err(TOO_LONG),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::{Codes, Edition};
    use chrono::NaiveDate;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    fn day(ymd: (i32, u32, u32), serial: f64) -> Cell {
        Cell::Day(NaiveDate::from_ymd_opt(ymd.0, ymd.1, ymd.2).unwrap(), serial)
    }

    fn codes() -> Vec<Subheading> {
        Codes::builtin(Edition::Hs2022).iter().collect()
    }

    /// The days and serial numbers are those of a spreadsheet program: 2001-01-21 is 36912, 2021-01-01 is 44197, and the 11th
    /// of August 3572 is 610910.
    #[test]
    fn what_a_program_made_of_a_code_is_taken_back_when_it_can_come_from_one_code_alone() {
        let codes = codes();
        for (cell, code, what) in [
            (text("10121"), "010121", ZERO),
            (Cell::Number(10121.0), "010121", NUMBER),
            (Cell::Number(610910.0), "610910", NUMBER),
            (text("610910.0"), "610910", NUMBER),
            (text("610910,00"), "610910", NUMBER),
            (text("10121.0"), "010121", NUMBER),
            (text("0101.21"), "010121", SEPARATED),
            (text("8471.30"), "847130", SEPARATED),
            (text("84.71.30"), "847130", SEPARATED),
            (text("8471 30"), "847130", SEPARATED),
            (Cell::Number(8471.3), "847130", NUMBER),
            (text("8471.3"), "847130", NUMBER),
            (Cell::Number(101.21), "010121", NUMBER),
            (text("101.21"), "010121", ZERO),
            (text("610,910"), "610910", SEPARATED),
            (text("610.910"), "610910", SEPARATED),
            (text("10,121"), "010121", ZERO),
            (text("6.1091E+05"), "610910", ROUNDED),
            (text("6,1091e5"), "610910", ROUNDED),
            (text("5.0100E+04"), "050100", NUMBER),
            (text("501"), "050100", NUMBER),
            (Cell::Number(501.0), "050100", NUMBER),
            (day((3572, 8, 11), 610910.0), "610910", DATE),
            (text("3572-08-11"), "610910", DATE),
            (text("11.08.3572"), "610910", DATE),
            (text("8/11/3572"), "610910", DATE),
            (text("11-Aug-3572"), "610910", DATE),
            (day((2021, 1, 1), 44197.0), "010121", DATE),
            (text("2021-01-01 00:00:00"), "010121", DATE),
            (text("01.01.2021"), "010121", DATE),
            // 2008.11, ground-nuts, is a month for some programs; no other order of its parts is a code.
            (day((2008, 11, 1), 39753.0), "200811", DATE),
            (text("Nov-08"), "200811", DATE),
        ] {
            assert_eq!(read(&cell, &codes, "2022"), Reading::Repaired(code.parse().unwrap(), what), "{cell:?}");
            assert!(may_be(&cell, code.parse().unwrap()) && !may_be(&cell, "999999".parse().unwrap()));
        }
        for exact in ["010121", " 610910 ", "'010121", "610910\u{a0}"] {
            let code = exact.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            assert_eq!(read(&text(exact), &codes, "2022"), Reading::Exact(code), "{exact}");
        }
    }

    #[test]
    fn what_can_come_from_several_codes_or_from_none_is_refused_and_says_why() {
        let codes = codes();
        for (cell, said) in [
            (text("6.11E+05"), "can come from 610510, 610520, 610590, 610610, 610620, …"),
            (text("847100"), "847100 is no code of HS 2022"),
            // Electrical waste, which went to heading 8549.
            (text("854810"), "is no code of HS 2022; it is one of 2012 and 2017"),
            (text("8471"), "can come from no code"),
            (text("99"), "fewer than six"),
            (text("84713000"), "more than six"),
            (text("8471.30.00"), "more than six"),
            (Cell::Number(84713000.0), "more than six"),
            (text("bolts"), "is no code"),
            (text("=1"), "is no code"),
            (text("-610910"), "is no code"),
            (Cell::Number(-5.0), "is no code"),
            (Cell::Number(f64::NAN), "is no code"),
            (Cell::Flag(true), "is no code"),
            (Cell::Empty, "is empty"),
            (text("2010-04-03"), "can come from no code"),
            // 02.06.30 and 06.02.30: offal of swine, and trees.
            (text("06.02.1930"), "can come from 020630, 060230"),
        ] {
            let Reading::Refused(why) = read(&cell, &codes, "2022") else { panic!("{cell:?}") };
            assert!(why.contains(said), "{cell:?}: {why}");
        }
    }
}
