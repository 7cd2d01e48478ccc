//! Days as spreadsheet programs show them, and the codes that can become a day when they are entered.

use chrono::{Datelike, NaiveDate};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The days that a text may mean, each with its number in a spreadsheet program: several when the order of day and month is
/// not said.
pub(super) fn days(text: &str) -> Vec<(NaiveDate, f64)> {
    // Behind a blank or a T is the time.
    let date = match text.split_once(['T', ' ']) {
        Some((date, time)) if time.contains(':') => date,
        _ => text,
    };
    let parts: Vec<&str> = date.split(['-', '/', '.', ' ']).filter(|part| !part.is_empty()).collect();
    let number = |n: usize| parts.get(n).and_then(|part| part.parse::<u32>().ok());
    let digits = |n: usize| parts.get(n).map_or(0, |part| part.len());
    let mut found = Vec::new();
    let mut add = |year: i32, month: u32, day: u32| found.extend(NaiveDate::from_ymd_opt(year, month, day));
    match (parts.len(), number(0), number(1), number(2)) {
        (3, Some(year), Some(month), Some(day)) if digits(0) == 4 => add(year as i32, month, day),
        (3, Some(first), Some(second), Some(year)) => {
            if let Some(year) = full(year, digits(2)) {
                add(year, second, first);
                add(year, first, second);
            }
        }
        (3, Some(day), None, Some(year)) => {
            if let Some((year, month)) = full(year, digits(2)).zip(month(parts[1])) {
                add(year, month, day);
            }
        }
        (2, None, Some(year), None) => {
            if let Some((year, month)) = full(year, digits(1)).zip(month(parts[0])) {
                add(year, month, 1);
            }
        }
        _ => {}
    }
    found.dedup();
    found.into_iter().map(|day| (day, serial(day))).collect()
}

/// Six digits of which a program may have made this day: day, month and year of two digits each in the orders in which people
/// write them, or year and month.
pub(super) fn origins_of_day(day: NaiveDate) -> Vec<String> {
    let (y, m, d) = (day.year(), day.month(), day.day());
    if !(1900..2100).contains(&y) {
        return Vec::new();
    }
    let short = y % 100;
    let mut origins =
        vec![format!("{d:02}{m:02}{short:02}"), format!("{m:02}{d:02}{short:02}"), format!("{short:02}{m:02}{d:02}")];
    if d == 1 {
        origins.push(format!("{y:04}{m:02}"));
    }
    origins
}

/// Days since 1899-12-30.
fn serial(day: NaiveDate) -> f64 {
    // 1899-12-30 is day 693,594 of the calendar that chrono counts.
    f64::from(day.num_days_from_ce() - 693_594)
}

/// A year of four digits, or one of two as programs read it: until 29 of this century.
fn full(year: u32, digits: usize) -> Option<i32> {
    match digits {
        4 => i32::try_from(year).ok(),
        2 => i32::try_from(if year < 30 { 2000 + year } else { 1900 + year }).ok(),
        _ => None,
    }
}

fn month(name: &str) -> Option<u32> {
    let short = name.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == short)?;
    u32::try_from(at + 1).ok()
}
