//! The test that may be looked at every night: reviewers' decisions on lines where the challenger ran beside the champion.
//!
//! Always holds: each distinct text is one pair, on the UTC date of its first decision; there is one look at the end of each
//! date with a pair. A text on which both are wrong is no evidence, and is counted.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use chrono::NaiveDate;
use datafusion::prelude::SessionContext;

use super::decisions::{Decided, texts};
use super::evidence::{Night, Nightly};
use crate::error::{Error, Result};
use crate::tariff::Subheading;
use crate::trial::{EProcess, Pairs, pairs_to_prove};

/// What is to be proved, and how surely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Chance that a challenger which is not better is ever taken for it.
    pub alpha: f64,
    /// Difference of the accuracies at six digits that is to be found, as a share of all lines.
    pub effect: f64,
    /// Chance that it is found.
    pub power: f64,
}

/// What was found, and what is no evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Nights {
    pub nightly: Nightly,
    /// Distinct texts that both models were asked about, side by side.
    pub texts: u64,
    /// Of these, texts with different codes.
    pub differing: u64,
    /// Of these, texts with a decision that calls both wrong.
    pub both_wrong: u64,
}

/// A text with different codes: its digest, the champion's code and the challenger's.
type Difference = (String, Option<Subheading>, Option<Subheading>);

/// Reads the lake of a session; `None` when the challenger never ran beside the champion there.
///
/// # Errors
/// Those of the queries.
pub async fn nights(
    context: &SessionContext,
    decided: &BTreeMap<String, Decided>,
    (champion, challenger): (&str, &str),
    wanted: Wanted,
) -> Result<Option<Nights>> {
    let both = format!(
        "SELECT count(DISTINCT c.text_digest) AS n FROM predictions AS c \
         JOIN predictions AS x ON x.run_id = c.run_id AND x.run_date = c.run_date AND x.source_file = c.source_file \
         AND x.source_row = c.source_row \
         WHERE c.role = 'champion' AND x.role = 'challenger' \
         AND c.model_digest = '{champion}' AND x.model_digest = '{challenger}'"
    );
    let batches = context.sql(&both).await?.collect().await?;
    let count = batches.first().filter(|batch| batch.num_rows() == 1);
    let count = count.and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>()).map(|column| column.value(0));
    let texts = count.ok_or_else(|| Error::Bug("a count has no number".into()))? as u64;
    if texts == 0 {
        return Ok(None);
    }
    let differences = differences(context, champion, challenger).await?;
    Ok(Some(look(&differences, texts, decided, wanted)?))
}

/// The texts on which both differed, each by the first line that has it.
async fn differences(context: &SessionContext, champion: &str, challenger: &str) -> Result<Vec<Difference>> {
    let query = format!(
        "SELECT text_digest, champion_hs6, challenger_hs6 FROM ( \
           SELECT text_digest, champion_hs6, challenger_hs6, \
                  row_number() OVER (PARTITION BY text_digest ORDER BY run_date, run_id, source_file, source_row) AS place \
           FROM challenger_differences \
           WHERE champion_digest = '{champion}' AND challenger_digest = '{challenger}' AND text_digest IS NOT NULL \
             AND champion_hs6 IS DISTINCT FROM challenger_hs6 \
         ) AS ranked WHERE place = 1 ORDER BY text_digest"
    );
    let mut found = Vec::new();
    for batch in context.sql(&query).await?.collect().await? {
        let (digests, first, second) = (texts(&batch, 0)?, texts(&batch, 1)?, texts(&batch, 2)?);
        for row in 0..batch.num_rows() {
            let code = |codes: &arrow::array::StringArray| {
                codes.is_valid(row).then(|| codes.value(row).parse::<Subheading>()).transpose()
            };
            found.push((digests.value(row).to_string(), code(&first)?, code(&second)?));
        }
    }
    Ok(found)
}

/// One look at the end of each date.
fn look(differences: &[Difference], texts: u64, decided: &BTreeMap<String, Decided>, wanted: Wanted) -> Result<Nights> {
    let (mut of_date, mut both_wrong): (BTreeMap<NaiveDate, Pairs>, u64) = Default::default();
    for (digest, champion, challenger) in differences {
        let Some(decided) = decided.get(digest) else { continue };
        match (*champion == Some(decided.code), *challenger == Some(decided.code)) {
            (false, false) => both_wrong += 1,
            (champion, challenger) => of_date.entry(decided.date).or_default().add(champion, challenger),
        }
    }
    let (mut process, mut pairs, mut nights) = (EProcess::default(), Pairs::default(), Vec::new());
    for (date, of_date) in of_date {
        pairs.lost += of_date.lost;
        pairs.gained += of_date.gained;
        let look = process.look(&pairs);
        let (discordant, gained) = (look.discordant, look.gained);
        nights.push(Night { date: date.to_string(), discordant, gained, ln_evidence: look.ln_evidence });
    }
    let differing = differences.len() as u64;
    // Wins and losses that make up the effect, among the lines on which codes differ.
    let wins = 0.5 + wanted.effect * texts as f64 / (2.0 * differing as f64);
    let pairs_needed = pairs_to_prove(wins, wanted.alpha, wanted.power)?;
    let nightly = Nightly {
        alpha: wanted.alpha,
        nights,
        proved: process.proved(wanted.alpha),
        effect: wanted.effect,
        pairs_needed,
        pairs_missing: pairs_needed.map(|needed| needed.saturating_sub(pairs.discordant())),
    };
    Ok(Nights { nightly, texts, differing, both_wrong })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::ln_evidence;

    const WANTED: Wanted = Wanted { alpha: 0.05, effect: 0.04, power: 0.8 };

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    /// Texts `0, 1, …`: the day of March on which each was decided, if it was, and what is right: the champion's code, the
    /// challenger's, or a third one.
    fn decided(texts: &[(Option<u32>, &str)]) -> (Vec<Difference>, BTreeMap<String, Decided>) {
        let (mut differences, mut decided) = (Vec::new(), BTreeMap::new());
        for (n, (day, right)) in texts.iter().enumerate() {
            differences.push((n.to_string(), Some(code("731815")), Some(code("731816"))));
            if let Some(day) = day {
                let date = NaiveDate::from_ymd_opt(2026, 3, *day).unwrap();
                let code = code(match *right {
                    "champion" => "731815",
                    "challenger" => "731816",
                    _ => "847130",
                });
                decided.insert(n.to_string(), Decided { code, date });
            }
        }
        (differences, decided)
    }

    /// By hand: the 2nd has one gained, the 5th one lost and two gained; one calls both wrong, one is open.
    #[test]
    fn each_date_with_a_pair_has_one_look_at_all_pairs_so_far() {
        let (differences, decided) = decided(&[
            (Some(5), "challenger"),
            (Some(2), "challenger"),
            (Some(5), "champion"),
            (Some(3), "neither"),
            (None, ""),
            (Some(5), "challenger"),
        ]);
        let found = look(&differences, 60, &decided, WANTED).unwrap();
        let nights: Vec<_> =
            found.nightly.nights.iter().map(|n| (n.date.as_str(), n.discordant, n.gained, n.ln_evidence)).collect();
        assert_eq!(nights, [("2026-03-02", 1, 1, ln_evidence(0, 1)), ("2026-03-05", 4, 3, ln_evidence(1, 3))]);
        assert_eq!((found.texts, found.differing, found.both_wrong), (60, 6, 1));
        // A tenth of the texts differ, so 4 points of all lines are 0.5 + 0.04 / (2 · 0.1) of the pairs.
        let needed = pairs_to_prove(0.7, 0.05, 0.8).unwrap().unwrap();
        assert_eq!(found.nightly.pairs_needed, Some(needed));
        assert_eq!(found.nightly.pairs_missing, Some(needed - 4));
        assert!(!found.nightly.proved);
    }

    #[test]
    fn a_challenger_that_wins_seven_in_a_row_is_proved_and_stays_it() {
        let mut texts = vec![(Some(1), "challenger"); 7];
        texts.extend([(Some(2), "champion"); 7]);
        let (differences, decided) = decided(&texts);
        let found = look(&differences, 100, &decided, WANTED).unwrap().nightly;
        assert!(found.proved && found.nights[1].ln_evidence < 0.0, "{found:?}");
    }

    #[test]
    fn an_effect_that_the_lines_cannot_hold_is_out_of_reach() {
        let (differences, decided) = decided(&[(Some(1), "challenger")]);
        let found = look(&differences, 1_000, &decided, WANTED).unwrap().nightly;
        assert_eq!((found.pairs_needed, found.pairs_missing), (None, None), "a thousandth of the lines differ");
        let found = look(&[], 1_000, &decided, WANTED).unwrap();
        assert_eq!((found.nightly.pairs_needed, found.nightly.nights.len(), found.differing), (None, 0, 0));
    }
}
