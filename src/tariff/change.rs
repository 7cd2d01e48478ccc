//! What became of every code between two editions, and what that asks of a line that carries it.
//!
//! Everything is computed from the pairs of a [`Correlation`]; a number alone says nothing. Every old code has exactly one
//! of the kinds unchanged, renumbered, merged, split and deleted. That a number lives on with other goods is a second
//! fact beside the kind, which a check that "the code still exists" misses.

use std::collections::BTreeMap;

use super::codes::Subheading;
use super::correlation::Correlation;
use super::year::Year;

/// A fact about a code of one of two editions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One successor, whose only predecessor it is, with the same number.
    Unchanged,
    /// One successor, whose only predecessor it is, with another number.
    Renumbered,
    /// One successor, which has other predecessors too.
    Merged,
    /// Several successors.
    Split,
    /// No successor.
    Deleted,
    /// A new code without a predecessor.
    New,
    /// The new edition has the number, and the code is not unchanged. Beside the kind.
    ScopeChanged,
    /// The new edition does not have the number. Beside the kind.
    NumberGone,
    /// A number that only the new edition has.
    NumberNew,
}

impl Kind {
    /// Those of which every old code has exactly one.
    pub const OF_OLD: [Kind; 5] = [Kind::Unchanged, Kind::Renumbered, Kind::Merged, Kind::Split, Kind::Deleted];

    /// All, in the order in which they are counted.
    pub const ALL: [Kind; 9] = [
        Kind::Unchanged,
        Kind::Renumbered,
        Kind::Merged,
        Kind::Split,
        Kind::Deleted,
        Kind::New,
        Kind::ScopeChanged,
        Kind::NumberGone,
        Kind::NumberNew,
    ];

    /// As it is written in rows and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unchanged => "unchanged",
            Kind::Renumbered => "renumbered",
            Kind::Merged => "merged",
            Kind::Split => "split",
            Kind::Deleted => "deleted",
            Kind::New => "new",
            Kind::ScopeChanged => "scope_changed",
            Kind::NumberGone => "number_gone",
            Kind::NumberNew => "number_new",
        }
    }

    /// The definition in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Unchanged => "one to one, same number",
            Kind::Renumbered => "one to one, another number",
            Kind::Merged => "one successor, which has other predecessors too",
            Kind::Split => "several successors",
            Kind::Deleted => "no successor",
            Kind::New => "new code without a predecessor",
            Kind::ScopeChanged => "number lives on, not one to one; counted above too",
            Kind::NumberGone => "number that the new edition lacks; counted above too",
            Kind::NumberNew => "number that the old edition lacks",
        }
    }
}

/// What a line with an old code needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Nothing: the code is unchanged.
    Carry,
    /// The one successor takes its place, whether it is renumbered or merged.
    Map,
    /// One of several successors has to be chosen.
    Rescore,
    /// There is no successor, or the old edition has no such code: all new codes are possible.
    Orphan,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 4] = [Action::Carry, Action::Map, Action::Rescore, Action::Orphan];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Carry => "carry",
            Action::Map => "map",
            Action::Rescore => "rescore",
            Action::Orphan => "orphan",
        }
    }
}

/// What became of one old code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The old code.
    pub code: Subheading,
    /// One of [`Kind::OF_OLD`].
    pub kind: Kind,
    /// Whether the new edition has the number, with other goods.
    pub scope_changed: bool,
    /// New codes that share goods with it, ascending.
    pub successors: &'a [Subheading],
}

impl Change<'_> {
    /// What a line with the code needs.
    pub fn action(&self) -> Action {
        match (self.kind, self.successors) {
            (Kind::Unchanged, _) => Action::Carry,
            (_, []) => Action::Orphan,
            (_, [_]) => Action::Map,
            _ => Action::Rescore,
        }
    }
}

/// What became of every code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    from: Year,
    to: Year,
    successors: BTreeMap<Subheading, Vec<Subheading>>,
    predecessors: BTreeMap<Subheading, Vec<Subheading>>,
}

impl Changes {
    /// From the pairs of a correlation.
    pub fn new(correlation: &Correlation) -> Changes {
        let empty = |codes: &[Subheading]| codes.iter().map(|code| (*code, Vec::new())).collect();
        let mut successors: BTreeMap<Subheading, Vec<Subheading>> = empty(correlation.old());
        let mut predecessors: BTreeMap<Subheading, Vec<Subheading>> = empty(correlation.new_codes());
        // Ascending, so each list is.
        for (from, to) in correlation.links() {
            successors.entry(from).or_default().push(to);
            predecessors.entry(to).or_default().push(from);
        }
        Changes { from: correlation.from(), to: correlation.to(), successors, predecessors }
    }

    /// Older edition.
    pub fn from(&self) -> Year {
        self.from
    }

    /// Newer edition.
    pub fn to(&self) -> Year {
        self.to
    }

    /// New codes that share goods with an old one, ascending; empty too when the old edition has no such code.
    pub fn successors(&self, code: Subheading) -> &[Subheading] {
        self.successors.get(&code).map(Vec::as_slice).unwrap_or_default()
    }

    /// Old codes that share goods with a new one, ascending.
    pub fn predecessors(&self, code: Subheading) -> &[Subheading] {
        self.predecessors.get(&code).map(Vec::as_slice).unwrap_or_default()
    }

    /// What became of a code; `None` when the old edition does not have it.
    pub fn of(&self, code: Subheading) -> Option<Change<'_>> {
        let successors = self.successors.get(&code)?.as_slice();
        let kind = match successors {
            [] => Kind::Deleted,
            [one] if self.predecessors(*one).len() > 1 => Kind::Merged,
            [one] if *one == code => Kind::Unchanged,
            [_] => Kind::Renumbered,
            _ => Kind::Split,
        };
        let scope_changed = kind != Kind::Unchanged && self.predecessors.contains_key(&code);
        Some(Change { code, kind, scope_changed, successors })
    }

    /// What a line with the code needs.
    pub fn action(&self, code: Subheading) -> Action {
        self.of(code).map_or(Action::Orphan, |change| change.action())
    }

    /// What became of every old code, ascending.
    pub fn old(&self) -> impl Iterator<Item = Change<'_>> {
        self.successors.keys().filter_map(|code| self.of(*code))
    }

    /// Every new code with its predecessors, ascending.
    pub fn new_codes(&self) -> impl Iterator<Item = (Subheading, &[Subheading])> {
        self.predecessors.iter().map(|(code, from)| (*code, from.as_slice()))
    }

    /// Whether the fact holds for an old code. Facts about new codes do not.
    pub fn is(&self, change: &Change<'_>, kind: Kind) -> bool {
        match kind {
            Kind::ScopeChanged => change.scope_changed,
            Kind::NumberGone => !self.predecessors.contains_key(&change.code),
            kind => change.kind == kind,
        }
    }

    /// Whether the fact holds for a new code. Facts about old codes do not.
    pub fn is_of_new(&self, code: Subheading, kind: Kind) -> bool {
        match kind {
            Kind::New => self.predecessors(code).is_empty(),
            Kind::NumberNew => !self.successors.contains_key(&code),
            _ => false,
        }
    }

    /// Number of codes for which a fact holds.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::New | Kind::NumberNew => self.predecessors.keys().filter(|c| self.is_of_new(**c, kind)).count(),
            kind => self.old().filter(|change| self.is(change, kind)).count(),
        }
    }

    /// Candidates of the codes that are split, ascending by number.
    pub fn candidates(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.successors.values().map(Vec::len).filter(|size| *size > 1).collect();
        sizes.sort_unstable();
        sizes
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::correlation::{Link, Pairs};
    use super::*;

    pub fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    /// A correlation of a few pairs; codes without one are named with `-` in place of the other.
    pub fn correlation(from: &str, to: &str, pairs: &[(&str, &str)]) -> Correlation {
        let side = |pick: fn(&(&str, &str)) -> String| -> Vec<Subheading> {
            pairs.iter().map(pick).filter(|c| c != "-").map(|c| code(&c)).collect()
        };
        let links = pairs.iter().filter(|(a, b)| *a != "-" && *b != "-");
        let links =
            links.map(|(a, b)| Link { from: code(a), to: code(b), relationship: None, partial: None }).collect();
        let pairs_of = Pairs {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            links,
            source: "pairs".into(),
            import_id: String::new(),
        };
        Correlation::new(&pairs_of, side(|(a, _)| a.to_string()), side(|(_, b)| b.to_string())).unwrap()
    }

    const PAIRS: [(&str, &str); 15] = [
        ("010110", "010110"), // unchanged
        ("010120", "010121"), // renumbered
        ("010130", "010131"), // merged, both numbers gone
        ("010140", "010131"),
        ("010150", "010150"), // merged into a number that lives on
        ("010160", "010150"),
        ("010170", "010170"), // split, one part under the old number
        ("010170", "010171"),
        ("010180", "010181"), // split, number gone
        ("010180", "010182"),
        ("010190", "-"),      // deleted
        ("-", "020110"),      // new
        ("030110", "030120"), // the number goes to other goods
        ("030130", "030110"),
        ("030130", "030120"),
    ];

    #[test]
    fn every_kind_is_told_from_the_pairs() {
        let changes = Changes::new(&correlation("2017", "2022", &PAIRS));
        for (old, kind, scope, action) in [
            ("010110", Kind::Unchanged, false, Action::Carry),
            ("010120", Kind::Renumbered, false, Action::Map),
            ("010130", Kind::Merged, false, Action::Map),
            ("010150", Kind::Merged, true, Action::Map),
            ("010160", Kind::Merged, false, Action::Map),
            ("010170", Kind::Split, true, Action::Rescore),
            ("010180", Kind::Split, false, Action::Rescore),
            ("010190", Kind::Deleted, false, Action::Orphan),
            ("030110", Kind::Merged, true, Action::Map),
            ("030130", Kind::Split, false, Action::Rescore),
        ] {
            let change = changes.of(code(old)).unwrap();
            assert_eq!((change.kind, change.scope_changed, change.action()), (kind, scope, action), "{old}");
        }
        assert_eq!(changes.successors(code("010170")), [code("010170"), code("010171")]);
        assert_eq!(changes.predecessors(code("010150")), [code("010150"), code("010160")]);
        assert_eq!((changes.of(code("999998")), changes.action(code("999998"))), (None, Action::Orphan));
    }

    #[test]
    fn the_kinds_of_old_codes_add_up_and_other_facts_are_counted_beside_them() {
        let changes = Changes::new(&correlation("2017", "2022", &PAIRS));
        let counts = Kind::ALL.map(|kind| (kind.as_str(), changes.count(kind)));
        assert_eq!(
            counts,
            [
                ("unchanged", 1),
                ("renumbered", 1),
                ("merged", 5),
                ("split", 3),
                ("deleted", 1),
                ("new", 1),
                ("scope_changed", 3),
                ("number_gone", 7),
                ("number_new", 7),
            ]
        );
        assert_eq!(Kind::OF_OLD.map(|kind| changes.count(kind)).iter().sum::<usize>(), changes.old().count());
        assert_eq!(changes.candidates(), [2, 2, 2]);
        assert_eq!(changes.new_codes().filter(|(c, _)| changes.is_of_new(*c, Kind::New)).count(), 1);
    }

    /// 2012 → 2017 splits, 2017 → 2022 merges a part: the chain is the relation of both, not a guess at one answer.
    #[test]
    fn a_chain_of_editions_is_the_composition_of_their_relations() {
        let first = correlation("2012", "2017", &[("010110", "010111"), ("010110", "010112"), ("010120", "010120")]);
        let second = correlation(
            "2017",
            "2022",
            &[("010111", "010111"), ("010112", "010130"), ("010120", "010130"), ("-", "010140")],
        );
        let both = first.then(&second).unwrap();
        let pairs: Vec<(String, String)> = both.links().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let wanted = [("010110", "010111"), ("010110", "010130"), ("010120", "010130")];
        assert_eq!(pairs, wanted.map(|(a, b)| (a.to_string(), b.to_string())));
        let changes = Changes::new(&both);
        assert_eq!(changes.of(code("010120")).unwrap().kind, Kind::Merged);
        assert_eq!((changes.count(Kind::New), both.without_link().1), (1, vec![code("010140")]));
        assert_eq!((changes.from().to_string(), changes.to().to_string()), ("2012".into(), "2022".into()));
        let message = second.then(&first).unwrap_err().to_string();
        assert!(message.contains("2017 → 2022") && message.contains("tables that meet"), "{message}");
    }
}
