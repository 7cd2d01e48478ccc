//! What decided texts are held against before anything is learned from them.

use std::collections::{HashMap, HashSet};

use super::Decisions;
use crate::error::{Error, Result};
use crate::tariff::Codes;
use crate::train::data::Labelled;
use crate::train::split::{Part, Split};

/// Texts that must not be learned, by their keys: where the split keeps near twins together, near twins of them neither.
pub(in crate::train) struct Guard {
    split: Split,
    /// The part of the lines that are kept from the fit.
    kept: HashMap<[u8; 16], Part>,
    frozen: HashSet<[u8; 16]>,
}

/// Why a text is not learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptOut {
    /// It is of the test part.
    Test,
    /// It is of another part that is kept from the fit.
    Kept,
    /// It is among the lines named as frozen.
    Frozen,
}

impl Guard {
    /// `rows` are all usable lines with the part that they are in.
    ///
    /// # Errors
    /// `Input` when the frozen lines cannot be read, or none of them has a text.
    pub(in crate::train) async fn new<'t>(
        split: Split,
        rows: impl Iterator<Item = (&'t str, Part)>,
        decisions: &Decisions,
        lines: &Labelled,
        codes: &Codes,
    ) -> Result<Guard> {
        let mut kept = HashMap::new();
        for (text, part) in rows.filter(|(_, part)| *part != Part::Train) {
            let of_key = kept.entry(split.grouping().key(text)).or_insert(part);
            // A text can be in two parts where somebody else dealt them out.
            if part == Part::Test {
                *of_key = part;
            }
        }
        let mut frozen = HashSet::new();
        if let Some(named) = &decisions.frozen {
            let inputs = if named.inputs.is_empty() { lines.inputs.clone() } else { named.inputs.clone() };
            let from = Labelled { inputs, where_sql: named.where_sql.clone(), ..lines.clone() };
            let texts = from.texts(codes).await.map_err(|e| e.context("--frozen"))?;
            if texts.is_empty() {
                return Err(Error::Input("--frozen: no line has a text; a guard of nothing is a mistake".into()));
            }
            frozen = texts.iter().map(|text| split.grouping().key(text)).collect();
        }
        Ok(Guard { split, kept, frozen })
    }

    /// Why a normalised text is not learned; `None` when it may be.
    ///
    /// The test part is that of the split, whether a labelled line has the text today or not: one that comes with later lines is
    /// still unseen.
    pub(super) fn keeps_out(&self, text: &str) -> Option<KeptOut> {
        let key = self.split.grouping().key(text);
        if self.frozen.contains(&key) {
            return Some(KeptOut::Frozen);
        }
        match self.kept.get(&key) {
            Some(Part::Test) => Some(KeptOut::Test),
            _ if self.split.part(text) == Part::Test => Some(KeptOut::Test),
            Some(_) => Some(KeptOut::Kept),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::split::{Grouping, Shares};

    fn guard(grouping: Grouping, kept: &[(&str, Part)], frozen: &[&str]) -> Guard {
        let split = Split::new(7, Shares { test: 0.2, ..Shares::default() }, grouping).unwrap();
        let kept = kept.iter().map(|(text, part)| (grouping.key(text), *part)).collect();
        let frozen = frozen.iter().map(|text| grouping.key(text)).collect();
        Guard { split, kept, frozen }
    }

    /// Of 10,000 texts that no line has, a fifth is dealt to the test part: five standard deviations are 200.
    #[test]
    fn what_the_split_would_deal_to_its_test_part_is_kept_out_before_any_line_has_it() {
        let guard = guard(Grouping::Text, &[], &[]);
        let texts: Vec<String> = (0..10_000).map(|n| format!("goods {n}")).collect();
        let kept_out = texts.iter().filter(|text| guard.keeps_out(text).is_some()).count();
        assert!(kept_out.abs_diff(2_000) < 200, "{kept_out}");
        assert!(texts.iter().all(|text| guard.keeps_out(text).is_none() || guard.split.part(text) == Part::Test));
    }

    #[test]
    fn near_twins_are_kept_out_where_the_split_keeps_them_together() {
        for (grouping, twin) in [(Grouping::Text, None), (Grouping::TextWithoutNumbers, Some(KeptOut::Frozen))] {
            // A text of the training part, so that the split itself lets it through.
            let name = (0..).map(|n| format!("seal {}", "x".repeat(n + 1)));
            let open = guard(grouping, &[], &[]);
            let of = |text: &str| open.keeps_out(text).is_none();
            let text = name.into_iter().find(|t| of(&format!("{t} 8 mm")) && of(&format!("{t} 9 mm"))).unwrap();
            let guard = guard(grouping, &[], &[&format!("{text} 8 mm")]);
            assert_eq!(guard.keeps_out(&format!("{text} 8 mm")), Some(KeptOut::Frozen));
            assert_eq!(guard.keeps_out(&format!("{text} 9 mm")), twin);
        }
    }
}
