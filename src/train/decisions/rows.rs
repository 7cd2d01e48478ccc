//! The rows of the table `decisions`, and what those of one text say together.
//!
//! Always holds: of the decisions on a line, and of those on all lines of a text, one counts: the binding one before the newest, as in
//! the view `effective_codes`. A text has a code only when all that count agree; of binding and other ones the binding.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;

use super::editions::{Counterpart, Editions};
use super::report::{LeftOut, Report};
use crate::error::Result;
use crate::model::VAGUE_CODE;
use crate::policy::Reason;
use crate::tariff::Subheading;

/// All decisions; `counts` where none of a later edition, binding or newer stands at the same place.
const DECISIONS: &str = "
SELECT text_digest, verdict, hs6, shown_hs6, tariff_edition, reason_code, binding,
       row_number() OVER (PARTITION BY source_file, source_row, text_digest
                          ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id) = 1 AS counts
FROM decisions";

/// What a decision says of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// Its class: a subheading, or [`VAGUE_CODE`].
    Class(Subheading),
    /// The reviewer could not tell.
    Unclassifiable,
}

/// A decision that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    pub(super) binding: bool,
    /// Its code is of another edition.
    pub(super) mapped: bool,
}

/// The class of a text, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) code: Subheading,
    pub(super) binding: bool,
    /// Decisions that say so.
    pub(super) decisions: usize,
    /// Of these, with a code of another edition.
    pub(super) mapped: usize,
}

/// What is decided of each text, by its digest; what says nothing of one is counted in the report.
pub(super) async fn read(
    context: &SessionContext,
    editions: &mut Editions<'_>,
    report: &mut Report,
) -> Result<BTreeMap<String, Vec<Claimed>>> {
    let mut claims: BTreeMap<String, Vec<Claimed>> = BTreeMap::new();
    for batch in context.sql(DECISIONS).await?.collect().await? {
        let columns: Vec<StringArray> = (0..6).map(|at| texts(&batch, at)).collect::<Result<_>>()?;
        let (binding, counts) = (batch.column(6).as_boolean(), batch.column(7).as_boolean());
        for at in 0..batch.num_rows() {
            report.decisions += 1;
            if !counts.value(at) {
                report.left_out.superseded += 1;
                continue;
            }
            let of = |column: usize| columns[column].is_valid(at).then(|| columns[column].value(at));
            let Some(digest) = of(0) else {
                report.left_out.without_text += 1;
                continue;
            };
            let row = Row { verdict: of(1), hs6: of(2), shown: of(3), edition: of(4), reason: of(5) };
            match row.claim(editions) {
                Ok((claim, mapped)) => {
                    let binding = binding.is_valid(at) && binding.value(at);
                    claims.entry(digest.to_string()).or_default().push(Claimed { claim, binding, mapped });
                }
                Err(Silent::WithoutCode) => report.left_out.without_code += 1,
                Err(Silent::NotOneToOne) => report.left_out.not_one_to_one += 1,
                Err(Silent::WithoutCorrelation) => report.left_out.without_correlation += 1,
            }
        }
    }
    Ok(claims)
}

/// The columns of a row that say what was decided.
struct Row<'a> {
    verdict: Option<&'a str>,
    hs6: Option<&'a str>,
    shown: Option<&'a str>,
    edition: Option<&'a str>,
    reason: Option<&'a str>,
}

/// Why a decision says nothing of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silent {
    WithoutCode,
    NotOneToOne,
    WithoutCorrelation,
}

impl Row<'_> {
    /// What it says, and whether its code was mapped from another edition.
    fn claim(&self, editions: &mut Editions<'_>) -> std::result::Result<(Claim, bool), Silent> {
        let code = match self.verdict {
            // "I cannot tell" teaches nothing, and many such texts do name goods. One that names none is a class.
            Some("unclassifiable") if self.reason == Some(Reason::Vague.as_str()) => {
                let vague = VAGUE_CODE.parse().map_err(|_| Silent::WithoutCode)?;
                return Ok((Claim::Class(vague), false));
            }
            Some("unclassifiable") => return Ok((Claim::Unclassifiable, false)),
            Some("correct") => self.hs6,
            Some("confirm") => match (self.hs6, self.shown) {
                (Some(decided), Some(shown)) if decided != shown => None,
                (decided, shown) => shown.or(decided),
            },
            _ => None,
        };
        let (Some(code), Some(edition)) = (code, self.edition) else { return Err(Silent::WithoutCode) };
        match editions.counterpart(edition, code) {
            Counterpart::Same(code) => Ok((Claim::Class(code), false)),
            Counterpart::OneToOne(code) => Ok((Claim::Class(code), true)),
            Counterpart::NoCode => Err(Silent::WithoutCode),
            Counterpart::Ambiguous => Err(Silent::NotOneToOne),
            Counterpart::NoWay => Err(Silent::WithoutCorrelation),
        }
    }
}

/// What the decisions on one text come to; `None` where there is nothing to learn from. Those without a say are counted.
pub(super) fn agree(claims: &[Claimed], left_out: &mut LeftOut) -> Option<Agreed> {
    let binding = claims.iter().any(|claimed| claimed.binding);
    let said: BTreeSet<Claim> =
        claims.iter().filter(|claimed| claimed.binding == binding).map(|claimed| claimed.claim).collect();
    // Beside a binding ruling, another opinion on the same text has no say.
    let (of_say, overruled): (Vec<&Claimed>, Vec<&Claimed>) =
        claims.iter().partition(|claimed| claimed.binding == binding || said.contains(&claimed.claim));
    left_out.superseded += overruled.len();
    let (Some(first), 1) = (said.first(), said.len()) else {
        left_out.conflicting += of_say.len();
        return None;
    };
    match first {
        Claim::Unclassifiable => {
            left_out.unclassifiable += of_say.len();
            None
        }
        Claim::Class(code) => {
            let mapped = of_say.iter().filter(|claimed| claimed.mapped).count();
            Some(Agreed { code: *code, binding, decisions: of_say.len(), mapped })
        }
    }
}

/// A column as text.
pub(super) fn texts(batch: &RecordBatch, at: usize) -> Result<StringArray> {
    Ok(cast(batch.column(at), &DataType::Utf8)?.as_string::<i32>().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tariff::{Codes, Edition, Tariff};

    fn class(code: &str, binding: bool) -> Claimed {
        Claimed { claim: Claim::Class(code.parse().unwrap()), binding, mapped: false }
    }

    fn unclassifiable() -> Claimed {
        Claimed { claim: Claim::Unclassifiable, binding: false, mapped: false }
    }

    /// By hand from the rules at the head of the file: the code, whether it is binding, and how many decisions say so; then those that
    /// are superseded, conflicting and unclassifiable.
    #[test]
    fn a_text_has_a_code_only_when_all_that_count_agree_and_the_binding_have_the_say() {
        type Case<'a> = (&'a [Claimed], Option<(&'a str, bool, usize)>, [usize; 3]);
        let cases: [Case; 9] = [
            (&[class("731815", false)], Some(("731815", false, 1)), [0, 0, 0]),
            (&[class("731815", false), class("731815", false)], Some(("731815", false, 2)), [0, 0, 0]),
            (&[class("731815", false), class("731816", false)], None, [0, 2, 0]),
            (&[class("731815", true), class("731816", false)], Some(("731815", true, 1)), [1, 0, 0]),
            (&[class("731815", true), class("731815", false)], Some(("731815", true, 2)), [0, 0, 0]),
            (&[class("731815", true), class("731816", true), class("731815", false)], None, [0, 3, 0]),
            (&[unclassifiable(), unclassifiable()], None, [0, 0, 2]),
            (&[unclassifiable(), class("731815", false)], None, [0, 2, 0]),
            (&[unclassifiable(), class("000000", true)], Some(("000000", true, 1)), [1, 0, 0]),
        ];
        for (claims, expected, counts) in cases {
            // In any order.
            let reversed: Vec<Claimed> = claims.iter().rev().copied().collect();
            for claims in [claims, &reversed] {
                let mut left_out = LeftOut::default();
                let found = agree(claims, &mut left_out).map(|one| (one.code, one.binding, one.decisions));
                let expected = expected.map(|(code, binding, n)| (code.parse().unwrap(), binding, n));
                assert_eq!(found, expected, "{claims:?}");
                let LeftOut { superseded, conflicting, unclassifiable, .. } = left_out;
                assert_eq!([superseded, conflicting, unclassifiable], counts, "{claims:?}");
            }
        }
    }

    #[test]
    fn a_verdict_says_a_code_of_its_edition_or_nothing() {
        let tariff = Tariff::default();
        let mut editions = Editions::new(&tariff, Codes::builtin(Edition::Hs2022));
        let mut said = |verdict, hs6, shown, edition, reason| {
            let row = Row { verdict: Some(verdict), hs6, shown, edition: Some(edition), reason };
            row.claim(&mut editions).map(|(claim, _)| match claim {
                Claim::Class(code) => code.to_string(),
                Claim::Unclassifiable => "?".to_string(),
            })
        };
        let ok = |code: &str| Ok(code.to_string());
        assert_eq!(said("correct", Some("731815"), Some("731816"), "2022", None), ok("731815"));
        assert_eq!(said("confirm", None, Some("731816"), "2022", None), ok("731816"), "the shown code");
        assert_eq!(said("confirm", Some("731816"), None, "2022", None), ok("731816"));
        assert_eq!(said("confirm", Some("731815"), Some("731816"), "2022", None), Err(Silent::WithoutCode));
        assert_eq!(said("unclassifiable", None, Some("731816"), "2022", None), ok("?"));
        assert_eq!(said("unclassifiable", None, None, "2022", Some("vague")), ok("000000"));
        assert_eq!(said("correct", Some("731815"), None, "2017", None), Err(Silent::WithoutCorrelation));
        for (verdict, code) in [("correct", None), ("correct", Some("999998")), ("perhaps", Some("731815"))] {
            assert_eq!(said(verdict, code, None, "2022", None), Err(Silent::WithoutCode), "{verdict} {code:?}");
        }
    }
}
