//! Which codes of two editions share goods: a relation, many to many, as a correlation table states it.
//!
//! A correlation is a guide to what may have become of a code. A *conversion* table, which forces one answer for each
//! code, is not one and is refused. A [`Correlation`] names only codes that its editions have, each pair once.

use std::collections::{BTreeMap, BTreeSet};

use super::codes::Subheading;
use super::file::{NOT_SPECIFIED, unreadable, without_mark};
use super::year::Year;
use crate::error::{Error, Result};

/// What a table may say of a pair, from the newer code to the older.
const RELATIONSHIPS: [&str; 4] = ["1:1", "1:n", "n:1", "n:n"];

/// Codes that a message names before it counts the rest.
const NAMED: usize = 5;

/// A pair of codes that share goods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Code of the older edition.
    pub from: Subheading,
    /// Code of the newer edition.
    pub to: Subheading,
    /// As the table has it; nothing is computed from it.
    pub relationship: Option<String>,
    /// Whether only a part of the older code is meant, where the table says so at all.
    pub partial: Option<bool>,
}

/// A correlation table as it was read, before it is held against the codes of its editions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// Older edition.
    pub from: Year,
    /// Newer edition.
    pub to: Year,
    /// Ascending.
    pub links: Vec<Link>,
    /// Name of the file.
    pub source: String,
    /// Under which it was imported; empty before that.
    pub import_id: String,
}

impl Pairs {
    /// Whether a header is that of a table between two editions: two columns that are years, or `from_code` and `to_code`.
    pub fn has_header(header: &csv::StringRecord) -> bool {
        let (years, named) = code_columns(header);
        years.len() == 2 || named.is_some()
    }

    /// Reads CSV with one column for each edition, named by its year (`hs2022,hs2017`), in any order, or named `from_code`
    /// and `to_code` with the years given; `relationship`, and `partial` with `ex` where only a part is meant.
    ///
    /// Pairs with `999999` are left out.
    ///
    /// # Errors
    /// `Usage` when the years given contradict the columns, are missing, or go back in time; `Input`, with the line, for
    /// columns that are not there (a conversion table has no `relationship`), codes that are not six digits, an unknown
    /// relationship and a pair that comes twice.
    pub fn from_csv(bytes: &[u8], from: Option<Year>, to: Option<Year>, source: &str) -> Result<Pairs> {
        let refuse = |line: u64, what: String| Error::Input(format!("{source}, line {line}: {what}"));
        let mut reader = csv::Reader::from_reader(without_mark(bytes));
        let header = reader.headers().map_err(|e| refuse(1, unreadable(&e)))?;
        let place = |column: &str| header.iter().position(|h| h.trim() == column);
        let ((from, from_at), (to, to_at)) = editions(header, from, to).map_err(|e| e.context(source))?;
        let Some(relationship_at) = place("relationship") else {
            return Err(refuse(
                1,
                "there is no column relationship: a conversion table forces one answer for each code and is not \
                 imported; give the correlation table"
                    .into(),
            ));
        };
        let partial_at = place("partial");

        let mut line_of: BTreeMap<(Subheading, Subheading), u64> = BTreeMap::new();
        let mut links = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| refuse(e.position().map_or(0, csv::Position::line), unreadable(&e)))?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |at: usize| record.get(at).unwrap_or_default().trim();
            if [from_at, to_at].into_iter().any(|at| field(at) == NOT_SPECIFIED) {
                continue;
            }
            let code = |at: usize| field(at).parse::<Subheading>().map_err(|_| refuse(line, no_code(field(at))));
            let (old, new) = (code(from_at)?, code(to_at)?);
            let relationship = Some(field(relationship_at)).filter(|r| !r.is_empty());
            if let Some(other) = relationship.filter(|r| !RELATIONSHIPS.contains(r)) {
                let known = RELATIONSHIPS.join(", ");
                return Err(refuse(line, format!("relationship {other:?} is none of {known}; correct it")));
            }
            let partial = match partial_at.map(field) {
                None => None,
                Some("") => Some(false),
                Some("ex") => Some(true),
                Some(other) => {
                    return Err(refuse(line, format!("partial {other:?} is neither empty nor ex; correct it")));
                }
            };
            if let Some(first) = line_of.insert((old, new), line) {
                return Err(refuse(
                    line,
                    format!("the pair {old}, {new} was already on line {first}; keep one of them"),
                ));
            }
            links.push(Link { from: old, to: new, relationship: relationship.map(str::to_string), partial });
        }
        if links.is_empty() {
            return Err(Error::Input(format!("{source} has no pairs; give the whole correlation table")));
        }
        links.sort();
        Ok(Pairs { from, to, links, source: source.into(), import_id: String::new() })
    }

    /// Codes that are not in their editions, in words: empty when all are. `old` and `new` are ascending.
    pub fn unknown_codes(&self, old: &[Subheading], new: &[Subheading]) -> Vec<String> {
        let missing = |codes: BTreeSet<Subheading>, known: &[Subheading], edition: Year| {
            let unknown: Vec<Subheading> = codes.into_iter().filter(|c| known.binary_search(c).is_err()).collect();
            (!unknown.is_empty()).then(|| format!("{} not in HS {edition}: {}", plural(unknown.len()), list(&unknown)))
        };
        let from = missing(self.links.iter().map(|l| l.from).collect(), old, self.from);
        from.into_iter().chain(missing(self.links.iter().map(|l| l.to).collect(), new, self.to)).collect()
    }
}

/// A relation between the codes of two editions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    from: Year,
    to: Year,
    old: Vec<Subheading>,
    new: Vec<Subheading>,
    links: BTreeSet<(Subheading, Subheading)>,
}

impl Correlation {
    /// Holds a table against the codes of its editions.
    ///
    /// # Errors
    /// `Input` when it names codes that they do not have.
    pub fn new(pairs: &Pairs, mut old: Vec<Subheading>, mut new: Vec<Subheading>) -> Result<Correlation> {
        for codes in [&mut old, &mut new] {
            codes.sort_unstable();
            codes.dedup();
        }
        let unknown = pairs.unknown_codes(&old, &new);
        if !unknown.is_empty() {
            return Err(Error::Input(format!(
                "{} has {}; take the table of these editions",
                pairs.source,
                unknown.join(" and ")
            )));
        }
        let links = pairs.links.iter().map(|l| (l.from, l.to)).collect();
        Ok(Correlation { from: pairs.from, to: pairs.to, old, new, links })
    }

    /// Goods of an old code that are in a middle code, and goods of that one that are in a new code, may be the same goods:
    /// the relation from the older edition to the newest.
    ///
    /// # Errors
    /// `Input` when `next` begins at another edition.
    pub fn then(&self, next: &Correlation) -> Result<Correlation> {
        if self.to != next.from {
            return Err(Error::Input(format!(
                "HS {} → {} cannot be followed by HS {} → {}; give tables that meet",
                self.from, self.to, next.from, next.to
            )));
        }
        let mut successors: BTreeMap<Subheading, Vec<Subheading>> = BTreeMap::new();
        for (from, to) in &next.links {
            successors.entry(*from).or_default().push(*to);
        }
        let links = self
            .links
            .iter()
            .flat_map(|(from, middle)| successors.get(middle).into_iter().flatten().map(move |to| (*from, *to)));
        Ok(Correlation {
            from: self.from,
            to: next.to,
            old: self.old.clone(),
            new: next.new.clone(),
            links: links.collect(),
        })
    }

    /// The same relation without the links that `dropped` names.
    pub fn without(&self, dropped: impl Fn(Subheading, Subheading) -> bool) -> Correlation {
        let links = self.links.iter().filter(|(from, to)| !dropped(*from, *to)).copied().collect();
        Correlation { links, ..self.clone() }
    }

    /// Older edition.
    pub fn from(&self) -> Year {
        self.from
    }

    /// Newer edition.
    pub fn to(&self) -> Year {
        self.to
    }

    /// Codes of the older edition, ascending.
    pub fn old(&self) -> &[Subheading] {
        &self.old
    }

    /// Codes of the newer edition, ascending.
    pub fn new_codes(&self) -> &[Subheading] {
        &self.new
    }

    /// The pairs, ascending.
    pub fn links(&self) -> impl Iterator<Item = (Subheading, Subheading)> + '_ {
        self.links.iter().copied()
    }

    /// Codes of either edition that no link names: what they hold has no successor, or no predecessor.
    pub fn without_link(&self) -> (Vec<Subheading>, Vec<Subheading>) {
        let from: BTreeSet<Subheading> = self.links.iter().map(|(from, _)| *from).collect();
        let to: BTreeSet<Subheading> = self.links.iter().map(|(_, to)| *to).collect();
        let left = |all: &[Subheading], linked: &BTreeSet<Subheading>| {
            all.iter().filter(|code| !linked.contains(code)).copied().collect()
        };
        (left(&self.old, &from), left(&self.new, &to))
    }
}

/// Codes in words: the first few, and how many more.
pub(super) fn list(codes: &[Subheading]) -> String {
    let named: Vec<&str> = codes.iter().take(NAMED).map(Subheading::as_str).collect();
    let more = if codes.len() > NAMED { format!(" and {} more", codes.len() - NAMED) } else { String::new() };
    format!("{}{more}", named.join(", "))
}

fn plural(codes: usize) -> String {
    if codes == 1 { "1 code".into() } else { format!("{codes} codes") }
}

fn no_code(text: &str) -> String {
    let short = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    if short {
        return format!("code {text} has lost its leading zero; export the columns as text, not number");
    }
    format!("code {text:?} is not six digits; a correlation is between subheadings, written without dots")
}

/// An edition and the place of its column.
type Side = (Year, usize);

/// Columns whose name is a year, and those named `from_code` and `to_code`.
fn code_columns(header: &csv::StringRecord) -> (Vec<Side>, Option<(usize, usize)>) {
    let place = |column: &str| header.iter().position(|h| h.trim() == column);
    let years = header.iter().enumerate().filter_map(|(at, h)| Some((h.parse().ok()?, at))).collect();
    (years, place("from_code").zip(place("to_code")))
}

/// Each edition with its column, the older one first.
fn editions(header: &csv::StringRecord, from: Option<Year>, to: Option<Year>) -> Result<(Side, Side)> {
    let (mut years, named) = code_columns(header);
    years.sort_unstable();
    let found = match (&years[..], named) {
        ([old, new], _) => (*old, *new),
        (_, Some((from_at, to_at))) => {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(Error::Usage("the columns name no editions; give --from YEAR and --to YEAR".into()));
            };
            ((from, from_at), (to, to_at))
        }
        _ => {
            return Err(Error::Input(
                "two columns of codes are missing; name them by their years, such as hs2022,hs2017, or from_code,to_code"
                    .into(),
            ));
        }
    };
    let ((old, _), (new, _)) = found;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(Error::Usage(format!(
            "--from {from} --to {to} goes back in time, and with the way forward would be a cycle; the older edition is --from"
        )));
    }
    if old >= new {
        return Err(Error::Usage(format!("HS {old} → HS {new} does not go forward; name two columns by two years")));
    }
    if from.is_some_and(|from| from != old) || to.is_some_and(|to| to != new) {
        return Err(Error::Usage(format!(
            "the columns are those of HS {old} and HS {new}; leave out --from and --to, or give the table that they name"
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "hs2022,hs2017,relationship,partial\n010121,010121,1:1,\n010131,010130,n:1,ex\n\
                         010131,010140,n:1,\n999999,999999,1:1,\n";

    fn read(csv: &str) -> Result<Pairs> {
        Pairs::from_csv(csv.as_bytes(), None, None, "c.csv")
    }

    fn codes(list: &[&str]) -> Vec<Subheading> {
        list.iter().map(|c| c.parse().unwrap()).collect()
    }

    #[test]
    fn columns_are_known_by_their_years_and_the_older_one_comes_first() {
        let pairs = read(TABLE).unwrap();
        assert_eq!((pairs.from.to_string(), pairs.to.to_string()), ("2017".into(), "2022".into()));
        let ends: Vec<_> = pairs.links.iter().map(|l| (l.from.as_str(), l.to.as_str(), l.partial)).collect();
        let (all, part) = (Some(false), Some(true));
        assert_eq!(ends, [("010121", "010121", all), ("010130", "010131", part), ("010140", "010131", all)]);
        let turned = "HS 2017,relationship,HS2022\n010121,1:1,010121\n";
        assert_eq!(read(turned).unwrap().links[0].partial, None);
        let named = "from_code,to_code,relationship\n010121,010122,\n";
        let (from, to) = ("2017".parse().unwrap(), "2022".parse().unwrap());
        assert_eq!(
            Pairs::from_csv(named.as_bytes(), Some(from), Some(to), "c").unwrap().links[0].to.as_str(),
            "010122"
        );
    }

    #[test]
    fn a_damaged_table_is_refused_with_its_line_and_the_next_step() {
        for (from, to, says) in [
            ("010131,010130", "10131,010130", "line 3: code 10131 has lost its leading zero"),
            ("010131,010130", "0101.31,010130", "line 3: code \"0101.31\" is not six digits"),
            ("010131,010140", "010131,010130", "line 4: the pair 010130, 010131 was already on line 3"),
            ("1:1", "1:2", "line 2: relationship \"1:2\" is none of"),
            (",ex", ",part", "line 3: partial \"part\" is neither"),
            ("relationship", "kind", "line 1: there is no column relationship: a conversion table"),
            ("hs2022", "hs", "two columns of codes are missing"),
            ("hs2017", "hs2022", "does not go forward"),
            ("010131,010130,n:1,ex", "010131,010130", "line 3: has 2 fields"),
        ] {
            let message = read(&TABLE.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(message.starts_with("c.csv") && message.contains(says), "{message}");
        }
        assert!(read("hs2022,hs2017,relationship\n").unwrap_err().to_string().contains("no pairs"));
    }

    #[test]
    fn years_that_contradict_the_columns_or_go_back_are_refused() {
        let year = |text: &str| Some(text.parse::<Year>().unwrap());
        for (from, to, says) in [
            (year("2022"), year("2017"), "cycle"),
            (year("2017"), year("2017"), "back in time"),
            (year("2012"), None, "leave out --from"),
            (None, year("2028"), "leave out --from"),
        ] {
            let e = Pairs::from_csv(TABLE.as_bytes(), from, to, "c.csv").unwrap_err();
            assert!(e.exit_code() == 2 && e.to_string().contains(says), "{e}");
        }
        let named = b"from_code,to_code,relationship\n010121,010122,\n";
        assert!(Pairs::from_csv(named, None, None, "c").unwrap_err().to_string().contains("--from YEAR"));
    }

    #[test]
    fn codes_that_an_edition_lacks_are_named_and_codes_without_a_link_are_found() {
        let pairs = read(TABLE).unwrap();
        let (old, new) = (codes(&["010121", "010130", "010140", "010190"]), codes(&["010121", "010131", "010195"]));
        let correlation = Correlation::new(&pairs, old.clone(), new.clone()).unwrap();
        assert_eq!(correlation.without_link(), (codes(&["010190"]), codes(&["010195"])));
        let message = Correlation::new(&pairs, old[..2].to_vec(), new[..1].to_vec()).unwrap_err().to_string();
        assert!(message.contains("1 code not in HS 2017: 010140 and 1 code not in HS 2022: 010131"), "{message}");
        let many = codes(&["010101", "010102", "010103", "010104", "010105", "010106", "010107"]);
        assert_eq!(list(&many), "010101, 010102, 010103, 010104, 010105 and 2 more");
    }
}
