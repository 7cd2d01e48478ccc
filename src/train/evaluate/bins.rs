//! Numbers of a column as few ranges, so that rows can be told apart by them.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::curve::equal_parts;

/// Most different numbers that are told one by one.
const MOST_NUMBERS: usize = 20;

/// Most ranges that more of them become.
const RANGES: usize = 10;

/// Values of a column of numbers, of which more than 20 different ones become at most 10 ranges of equally many rows, as equal as
/// ties allow, each named by its least and its greatest number: `12 to 40.5`. What is no number, and what is missing, stays.
pub fn binned<'a>(values: &[Option<&'a str>]) -> Vec<Option<Cow<'a, str>>> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let order = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    let mut sorted: Vec<(f64, &str)> =
        values.iter().flatten().filter_map(|text| Some((number(text)?, *text))).collect();
    sorted.sort_by(|a, b| order(&a.0, &b.0).then(a.1.cmp(b.1)));
    let ties: Vec<&[(f64, &str)]> = sorted.chunk_by(|a, b| a.0 == b.0).collect();
    let as_they_are = || values.iter().map(|value| value.map(Cow::Borrowed)).collect();
    if ties.len() <= MOST_NUMBERS {
        return as_they_are();
    }
    // The greatest number of each range, and its name.
    let range = |run: &[&[(f64, &'a str)]]| {
        let (least, greatest) = (run.first()?.first()?, run.last()?.last()?);
        let name = if least.0 == greatest.0 { least.1.to_string() } else { format!("{} to {}", least.1, greatest.1) };
        Some((greatest.0, name))
    };
    let ranges: Vec<(f64, String)> =
        equal_parts(&ties, RANGES, |tie| tie.len()).into_iter().filter_map(range).collect();
    let named = |text: &'a str| {
        let at = ranges.partition_point(|(greatest, _)| number(text).is_some_and(|number| *greatest < number));
        let range = ranges.get(at).filter(|_| number(text).is_some());
        range.map_or(Cow::Borrowed(text), |(_, name)| Cow::Owned(name.clone()))
    };
    values.iter().map(|value| value.map(named)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1 to 100, 7 twenty times more: 120 rows, 12 a range. 1 to 7 are 27 rows and so end the second range too, 8 to 16 end at
    /// row 36, and from there on 12 numbers are 12 rows.
    #[test]
    fn many_numbers_become_ranges_of_equally_many_rows_and_ties_stay_together() {
        let texts: Vec<String> = (1..=100).map(|n| n.to_string()).chain(vec!["7.0".to_string(); 20]).collect();
        let mut values: Vec<Option<&str>> = texts.iter().rev().map(|text| Some(text.as_str())).collect();
        values.extend([None, Some("NaN")]);
        let found = binned(&values);
        let of = |text: &str| {
            let at = values.iter().position(|value| *value == Some(text)).unwrap();
            found[at].clone().unwrap().into_owned()
        };
        let told = ["1", "7", "7.0", "8", "16", "17", "28", "29", "100"].map(of);
        let expected = ["1 to 7.0", "1 to 7.0", "1 to 7.0", "8 to 16", "8 to 16", "17 to 28", "17 to 28", "29 to 40"];
        assert_eq!(told[..8], expected);
        assert_eq!(told[8], "89 to 100");
        assert_eq!(found[values.len() - 2..], [None, Some("NaN".into())]);
    }

    #[test]
    fn few_numbers_are_told_as_they_are() {
        let texts: Vec<String> = (0..200).map(|n| (n % 20).to_string()).collect();
        let values: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let found = binned(&values);
        assert!(found.iter().zip(&values).all(|(a, b)| a.as_deref() == *b));
        assert!(binned(&[]).is_empty());
    }
}
