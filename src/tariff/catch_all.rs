//! Catch-all links, and the policy for them.
//!
//! A few new codes share goods with hundreds of old ones: waste of anything electrical, display modules of any apparatus,
//! parts of no one apparatus. Followed blindly, they make a thousand unchanged codes look split. Which links are such is
//! read from the table by stated rules ([`CatchAll`]); what is done with them, the user says ([`Policy`]).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::change::Changes;
use super::codes::Subheading;
use super::correlation::Correlation;
use crate::error::{Error, Result};

/// What is done with catch-all links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// They count as any other link.
    Follow,
    /// They do not count.
    Ignore,
    /// Those of a group count for a line whose text holds one of the group's words, or is not known.
    WhenTextSays,
}

impl Policy {
    /// All of them.
    pub const ALL: [Policy; 3] = [Policy::Follow, Policy::Ignore, Policy::WhenTextSays];

    /// As it is written in options and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Follow => "follow",
            Policy::Ignore => "ignore",
            Policy::WhenTextSays => "when_text_says",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Policy::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            Error::Usage(format!("{text:?} is no policy for catch-all links; give follow, ignore or when_text_says"))
        })
    }
}

/// New codes that catch goods of very many old ones, and the words that speak of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How its new codes begin: 2 to 6 digits each.
    pub codes: Vec<String>,
    /// Words, or several in a row, any of which speaks of the group; in lower case, with one space around each word.
    pub words: Vec<String>,
}

/// Which links are catch-all links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatchAll {
    /// A new code counts only when at least so many old codes lead to it in the table at hand.
    pub min_predecessors: usize,
    /// The groups; a link belongs to the first whose codes match.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
}

/// Most groups: every set of them is worked out once.
const MOST_GROUPS: usize = 6;

impl CatchAll {
    /// The groups that the program comes with, as a document that can be edited.
    pub const DOCUMENT: &str = include_str!("catch_all.toml");

    /// Reads a document such as [`CatchAll::DOCUMENT`].
    ///
    /// # Errors
    /// `Usage` for anything that the document cannot say.
    pub fn from_toml(text: &str) -> Result<CatchAll> {
        let mut read: CatchAll = toml::from_str(text).map_err(|e| Error::Usage(e.to_string()))?;
        if read.groups.len() > MOST_GROUPS {
            return Err(Error::Usage(format!("{} groups; give at most {MOST_GROUPS}", read.groups.len())));
        }
        for group in &mut read.groups {
            let digits = |code: &String| (2..=6).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
            if let Some(bad) = group.codes.iter().find(|code| !digits(code)) {
                return Err(Error::Usage(format!(
                    "group {}: {bad:?} is not the beginning of a code; give 2 to 6 digits as text",
                    group.name
                )));
            }
            if let Some(bad) = group.words.iter().find(|word| folded(word).trim().is_empty()) {
                return Err(Error::Usage(format!("group {}: {bad:?} holds no letter or digit", group.name)));
            }
            for word in &mut group.words {
                *word = folded(word);
            }
        }
        Ok(read)
    }

    /// The group of every new code that is a catch-all in this table, as an index into `groups`.
    pub fn codes(&self, correlation: &Correlation) -> BTreeMap<Subheading, usize> {
        let counted = predecessors(correlation).into_iter().filter(|(_, n)| *n >= self.min_predecessors);
        counted.filter_map(|(code, _)| Some((code, self.group(code)?))).collect()
    }

    /// New codes with as many predecessors that no group names, with their number: most first.
    pub fn unnamed(&self, correlation: &Correlation) -> Vec<(Subheading, usize)> {
        let counted = predecessors(correlation).into_iter();
        let mut left: Vec<_> =
            counted.filter(|(code, n)| *n >= self.min_predecessors && self.group(*code).is_none()).collect();
        left.sort_by_key(|(code, n)| (std::cmp::Reverse(*n), *code));
        left
    }

    fn group(&self, code: Subheading) -> Option<usize> {
        self.groups.iter().position(|g| g.codes.iter().any(|start| code.as_str().starts_with(start.as_str())))
    }

    /// The groups of which a text speaks: bit `i` for group `i`.
    fn said(&self, text: &str) -> usize {
        let text = folded(text);
        let speaks = |group: &Group| group.words.iter().any(|word| text.contains(word));
        self.groups.iter().enumerate().filter(|(_, g)| speaks(g)).map(|(i, _)| 1 << i).sum()
    }
}

impl Default for CatchAll {
    fn default() -> Self {
        // The document is part of the program: a broken one fails the tests, never a user.
        CatchAll::from_toml(CatchAll::DOCUMENT).unwrap_or(CatchAll { min_predecessors: 1, groups: Vec::new() })
    }
}

/// Lower case, words parted by single spaces, one at either end.
fn folded(text: &str) -> String {
    let mut out = String::from(" ");
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        out.extend(word.chars().flat_map(char::to_lowercase));
        out.push(' ');
    }
    out
}

fn predecessors(correlation: &Correlation) -> BTreeMap<Subheading, usize> {
    let mut counts = BTreeMap::new();
    for (_, to) in correlation.links() {
        *counts.entry(to).or_insert(0) += 1;
    }
    counts
}

/// What became of every code under each policy and each text.
#[derive(Clone, Debug)]
pub struct Advisor {
    catch_all: CatchAll,
    /// At index `s`: with the links of the groups whose bits are in `s`, without those of the others.
    by_said: Vec<Changes>,
    groups: Vec<(Subheading, usize)>,
}

impl Advisor {
    /// For a way from one edition to another, step by step; catch-all links are found in each step's own table.
    ///
    /// # Errors
    /// `Input` when the steps do not meet, or there are none.
    pub fn new(steps: &[Correlation], catch_all: CatchAll) -> Result<Advisor> {
        let caught: Vec<_> = steps.iter().map(|step| catch_all.codes(step)).collect();
        let mut by_said = Vec::new();
        for said in 0..1usize << catch_all.groups.len() {
            let mut way: Option<Correlation> = None;
            for (step, caught) in steps.iter().zip(&caught) {
                // A number that lives on is no catch-all for itself.
                let kept = step.without(|from, to| from != to && caught.get(&to).is_some_and(|g| said >> g & 1 == 0));
                way = Some(match way {
                    None => kept,
                    Some(before) => before.then(&kept)?,
                });
            }
            let way = way.ok_or_else(|| Error::Input("there is no correlation between the editions".into()))?;
            by_said.push(Changes::new(&way));
        }
        let groups = caught.into_iter().flatten().collect();
        Ok(Advisor { catch_all, by_said, groups })
    }

    /// What became of every code for a line of this text; a text that is not known may speak of anything.
    pub fn changes(&self, policy: Policy, text: Option<&str>) -> &Changes {
        let all = self.by_said.len() - 1;
        let said = match (policy, text) {
            (Policy::Ignore, _) => 0,
            (Policy::WhenTextSays, Some(text)) => self.catch_all.said(text),
            (Policy::Follow, _) | (Policy::WhenTextSays, None) => all,
        };
        // The index is a set of groups, and every set is there.
        &self.by_said[said.min(all)]
    }

    /// Old codes for which the text decides under [`Policy::WhenTextSays`], ascending.
    pub fn text_decides(&self) -> Vec<Subheading> {
        let (with, without) = (self.changes(Policy::Follow, None), self.changes(Policy::Ignore, None));
        with.old().map(|c| c.code).filter(|code| with.of(*code) != without.of(*code)).collect()
    }

    /// The catch-all codes that were found, with the names of their groups, ascending.
    pub fn caught(&self) -> impl Iterator<Item = (Subheading, &str)> {
        self.groups.iter().filter_map(|(code, at)| Some((*code, self.catch_all.groups.get(*at)?.name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{code, correlation};
    use super::super::change::{Action, Kind};
    use super::*;

    const DOCUMENT: &str = "min_predecessors = 3\n[[group]]\nname = \"waste\"\ncodes = [\"8549\"]\nwords = [\"waste\", \"end of life\"]\n\
                            [[group]]\nname = \"parts\"\ncodes = [\"852990\"]\nwords = [\"part\"]\n";

    fn small() -> Advisor {
        let pairs = [
            ("850110", "850110"),
            ("850120", "850120"),
            ("850130", "850130"),
            ("850110", "854991"),
            ("850120", "854991"),
            ("850130", "854991"),
            ("850130", "852990"),
            ("850140", "854991"), // nothing else is left of it
            ("850150", "854910"), // same heading, two predecessors alone: no catch-all
            ("850160", "854910"),
            ("854991", "854991"), // lives on in itself
        ];
        Advisor::new(&[correlation("2017", "2022", &pairs)], CatchAll::from_toml(DOCUMENT).unwrap()).unwrap()
    }

    #[test]
    fn a_link_is_a_catch_all_by_its_code_and_by_how_many_lead_there() {
        let advisor = small();
        assert_eq!(advisor.caught().collect::<Vec<_>>(), [(code("854991"), "waste")]);
        let ignore = advisor.changes(Policy::Ignore, None);
        assert_eq!(ignore.of(code("850110")).unwrap().kind, Kind::Unchanged);
        assert_eq!(
            ignore.of(code("850130")).unwrap().successors,
            [code("850130"), code("852990")],
            "one link is not many"
        );
        assert_eq!(ignore.of(code("850150")).unwrap().kind, Kind::Merged);
        assert_eq!(ignore.action(code("850140")), Action::Orphan);
        assert_eq!(ignore.of(code("854991")).unwrap().kind, Kind::Unchanged);
        assert_eq!(advisor.changes(Policy::Follow, Some("x")).of(code("850110")).unwrap().kind, Kind::Split);
    }

    #[test]
    fn a_text_brings_in_the_links_of_the_groups_that_it_speaks_of() {
        let advisor = small();
        let successors = |text| advisor.changes(Policy::WhenTextSays, text).successors(code("850110")).len();
        for (text, wanted) in [
            (Some("motor"), 1),
            (Some("MOTOR (WASTE)"), 2),
            (Some("motors, end-of-life"), 2),
            (Some("wasteful motor"), 1),
            (Some("motor parts"), 1),
            (Some("end of the life"), 1),
            (Some(""), 1),
            (None, 2),
        ] {
            assert_eq!(successors(text), wanted, "{text:?}");
        }
        let decided = ["850110", "850120", "850130", "850140", "854991"].map(code);
        assert_eq!(advisor.text_decides(), decided);
    }

    #[test]
    fn in_a_chain_a_pair_stays_when_some_way_goes_without_a_catch_all() {
        let first = correlation(
            "2012",
            "2017",
            &[("850110", "850111"), ("850110", "854991"), ("850120", "854991"), ("850130", "854991")],
        );
        let second = correlation("2017", "2022", &[("850111", "854991"), ("854991", "854991"), ("854991", "854992")]);
        let advisor = Advisor::new(&[first, second], CatchAll::from_toml(DOCUMENT).unwrap()).unwrap();
        assert_eq!(advisor.changes(Policy::Ignore, None).successors(code("850110")), [code("854991")]);
        assert_eq!(advisor.changes(Policy::Follow, None).successors(code("850110")).len(), 2);
        assert_eq!(advisor.changes(Policy::Ignore, None).action(code("850120")), Action::Orphan);
        assert!(Advisor::new(&[], CatchAll::default()).is_err());
    }

    #[test]
    fn the_document_of_the_program_is_read_and_a_wrong_one_is_refused() {
        let names: Vec<String> =
            CatchAll::from_toml(CatchAll::DOCUMENT).unwrap().groups.into_iter().map(|g| g.name).collect();
        assert_eq!(names, ["electrical_waste", "flat_panel_modules", "parts"]);
        for (from, to, says) in [
            ("\"8549\"", "\"85.49\"", "85.49"),
            ("\"8549\"", "8549", "string"),
            ("\"part\"", "\"--\"", "no letter"),
            ("min_", "max_", "max_predecessors"),
        ] {
            let e = CatchAll::from_toml(&DOCUMENT.replacen(from, to, 1)).unwrap_err();
            assert!(e.exit_code() == 2 && e.to_string().contains(says), "{e}");
        }
        assert_eq!("ignore".parse::<Policy>().unwrap(), Policy::Ignore);
        assert!("perhaps".parse::<Policy>().unwrap_err().to_string().contains("when_text_says"));
    }

    #[test]
    fn codes_with_as_many_predecessors_that_no_group_names_are_told() {
        let pairs = [("010110", "020110"), ("010120", "020110"), ("010130", "020110"), ("010130", "854910")];
        let unnamed = CatchAll::from_toml(DOCUMENT).unwrap().unnamed(&correlation("2017", "2022", &pairs));
        assert_eq!(unnamed, [(code("020110"), 3)]);
    }
}
