//! The goods of the sample: codes, their weights and wordings, read from the lexicon that is built into the program.
//!
//! Classes are held by falling weight (ties by code), so that a limit on classes keeps the heaviest. The table is
//! parsed once. Lines of the wrong shape are left out; a test holds that there are none.

use std::cmp::Reverse;
use std::sync::LazyLock;

const LEXICON: &str = include_str!("../../samples/lexicon.tsv");
const VAGUE: &str = include_str!("../../samples/vague.tsv");

/// The one parsed copy.
pub(super) static GOODS: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::parse(LEXICON, VAGUE));

/// One subheading and how shippers write it.
pub(super) struct Class {
    /// Six digits.
    pub(super) code: &'static str,
    /// Chapter, 1 to 97.
    pub(super) chapter: u8,
    /// Share of the class, relative to the other classes.
    pub(super) weight: u32,
    /// Never empty.
    pub(super) wordings: Vec<&'static str>,
    /// Wordings in other languages; often empty.
    pub(super) foreign: Vec<&'static str>,
}

/// All classes and a table to draw them by weight.
pub(super) struct Lexicon {
    /// By falling weight, ties by code.
    pub(super) classes: Vec<Class>,
    /// Positions in `classes`, by rising code.
    pub(super) by_code: Vec<u16>,
    /// For each class, its place in `by_code`.
    pub(super) place: Vec<u16>,
    /// Wordings on which no code can be decided.
    pub(super) vague: Vec<&'static str>,
    /// Each class as often as its weight says: a uniform draw from it is a draw by weight.
    table: Vec<u16>,
}

impl Lexicon {
    fn parse(lexicon: &'static str, vague: &'static str) -> Self {
        let mut classes: Vec<Class> = lexicon.lines().skip(1).filter_map(Class::parse).collect();
        classes.sort_by_key(|class| (Reverse(class.weight), class.code));
        let mut by_code: Vec<u16> = (0..classes.len()).map(|i| i as u16).collect();
        by_code.sort_by_key(|&i| classes[usize::from(i)].code);
        let mut place = vec![0; classes.len()];
        for (at, &i) in by_code.iter().enumerate() {
            place[usize::from(i)] = at as u16;
        }
        let table = classes
            .iter()
            .enumerate()
            .flat_map(|(i, class)| std::iter::repeat_n(i as u16, class.weight as usize))
            .collect();
        Self { classes, by_code, place, vague: vague.lines().skip(1).collect(), table }
    }

    /// The part of the weight table that holds the `limit` heaviest classes (at least one).
    pub(super) fn table(&self, limit: Option<usize>) -> &[u16] {
        match limit {
            Some(n) => &self.table[..self.table.partition_point(|&i| usize::from(i) < n.max(1))],
            None => &self.table,
        }
    }
}

impl Class {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (code, weight, wordings) = (fields.next()?, fields.next()?, fields.next()?);
        let chapter = code.get(..2)?.parse().ok()?;
        let split = |list: &'static str| -> Vec<&'static str> { list.split('|').filter(|w| !w.is_empty()).collect() };
        let wordings = split(wordings);
        let foreign = split(fields.next().unwrap_or_default());
        (!wordings.is_empty()).then_some(Self { code, chapter, weight: weight.parse().ok()?, wordings, foreign })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_of_the_lexicon_is_read() {
        assert_eq!(GOODS.classes.len(), LEXICON.lines().count() - 1);
        assert!(GOODS.vague.len() >= 40);
    }

    #[test]
    fn codes_are_six_digits_and_unique_and_cover_the_nomenclature() {
        let codes: HashSet<_> = GOODS.classes.iter().map(|class| class.code).collect();
        assert_eq!(codes.len(), GOODS.classes.len());
        assert!(codes.iter().all(|code| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())));
        assert!(codes.len() >= 300);
        assert!(codes.iter().map(|code| &code[..2]).collect::<HashSet<_>>().len() >= 60);
    }

    #[test]
    fn wordings_are_unique_within_a_code_and_belong_to_one_code() {
        let mut seen = HashSet::new();
        for class in &GOODS.classes {
            assert!((4..=8).contains(&class.wordings.len()), "{}", class.code);
            assert!(class.foreign.len() <= 3, "{}", class.code);
            assert!(class.weight > 0, "{}", class.code);
            for wording in class.wordings.iter().chain(&class.foreign) {
                assert!(seen.insert(*wording), "{} {wording}", class.code);
                assert_eq!(wording.trim(), *wording, "{}", class.code);
            }
        }
    }

    #[test]
    fn a_limit_keeps_the_heaviest_classes() {
        let kept: HashSet<_> = GOODS.table(Some(3)).iter().collect();
        assert_eq!(kept, HashSet::from([&0, &1, &2]));
        assert!(GOODS.table(Some(0)).iter().all(|&i| i == 0));
        assert_eq!(GOODS.table(Some(usize::MAX)), GOODS.table(None));
    }
}
