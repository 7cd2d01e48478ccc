//! An answer held against the lake: whether the row is what it says, which code it means, and whether the line is as it was when
//! it was shown.

use std::collections::BTreeMap;

use super::answer::{Answer, Place, TAKE_AGAIN, Verdict};
use super::cell::Cell;
use super::codes::{Reading, may_be, read};
use super::identity::{AppliesTo, Identity};
use super::lines::{Address, Lines, Shown};
use super::wording::Wording;
use crate::tariff::Subheading;
use crate::text::normalise;

/// An answer that holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub answer: Answer,
    pub address: Address,
    /// The verdict, with `confirm` for a correction that names the code that was shown.
    pub verdict: Verdict,
    pub hs6: Option<Subheading>,
    pub shown: Shown,
    /// What was done to the code that was entered.
    pub repaired: Option<String>,
}

impl Held {
    /// The line, or `None` when it is for every line of the text.
    pub fn line(&self) -> Option<&Address> {
        (self.answer.applies_to == AppliesTo::Line).then_some(&self.address)
    }

    /// What is decided: that is what two people differ in.
    pub fn says(&self) -> (Verdict, Option<&str>) {
        // To confirm a code and to correct another to it is to say the same.
        let verdict = if self.verdict == Verdict::Correct { Verdict::Confirm } else { self.verdict };
        (verdict, self.hs6.as_ref().map(Subheading::as_str))
    }
}

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// It is wrong.
    Refused(String),
    /// The line is not what was shown.
    Stale(String),
}

/// An answer that is not taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left {
    pub place: Place,
    /// What was decided and by whom, where that could be read.
    pub who: Option<(Verdict, String)>,
    pub trouble: Trouble,
}

/// See the module.
pub(super) struct Judge<'a> {
    pub lines: &'a Lines,
    pub wording: &'a Wording,
    pub codes: BTreeMap<String, Option<Vec<Subheading>>>,
    /// Whether a decision holds when another model has answered the line since.
    pub allow_stale: bool,
}

impl Judge<'_> {
    pub fn judge(&mut self, answer: Answer) -> Result<Held, Box<Left>> {
        let (place, who) = (answer.place, Some((answer.verdict, answer.reviewer.clone())));
        self.held(answer).map_err(|trouble| Box::new(Left { place, who, trouble }))
    }

    fn held(&mut self, answer: Answer) -> Result<Held, Trouble> {
        let address = (answer.source_file.clone(), answer.source_row);
        let shown = self.is_row(&answer, &address).map_err(Trouble::Refused)?.clone();
        let edition = shown.edition.clone();
        let codes = self.codes.entry(edition.clone()).or_insert_with(|| self.wording.codes(&edition));
        let (verdict, hs6, repaired) = decided(&answer, &shown, codes.as_deref()).map_err(Trouble::Refused)?;
        match self.stale(&answer, &address, &shown) {
            Some(why) => Err(Trouble::Stale(why)),
            None => Ok(Held { answer, address, verdict, hs6, shown, repaired }),
        }
    }

    /// The answer that was shown, if the row is what it says.
    fn is_row(&self, answer: &Answer, address: &Address) -> Result<&Shown, String> {
        let shown = self.lines.shown(address, &answer.run_id).map_err(|known| match known {
            true => format!("the lake has no answer of run {} for its line; {TAKE_AGAIN}", answer.run_id),
            false => {
                let (file, row) = address;
                format!("the lake has no line {row} of {file}: is it the lake of the export? If it is, {TAKE_AGAIN}")
            }
        })?;
        if answer.text_digest != shown.text_digest {
            return Err(format!("its text_digest is not that of its line; {TAKE_AGAIN}"));
        }
        let identity = Identity {
            applies_to: answer.applies_to,
            source_file: &address.0,
            source_row: address.1,
            text_digest: shown.text_digest.as_deref(),
            run_id: &shown.run_id,
            hs6: shown.hs6.as_deref(),
            confidence: shown.confidence,
            model_digest: &shown.model_digest,
            edition: &shown.edition,
        };
        if identity.digest() != answer.row_digest {
            return Err(format!("its row_digest does not hold: cells were changed or sorted apart; {TAKE_AGAIN}"));
        }
        if !same_text(&answer.text, shown.description.as_deref()) {
            return Err(format!(
                "its text is not that of its line: cells were changed or sorted apart; {TAKE_AGAIN}, or empty the cell \
                 text if you know that the decision belongs to the rest of the row"
            ));
        }
        let same_code = match &shown.hs6 {
            _ if answer.code.is_blank() => true,
            Some(code) => code.parse().is_ok_and(|code| may_be(&answer.code, code)),
            None => false,
        };
        if !same_code {
            return Err(format!("its code is not the one that was shown: cells were sorted apart; {TAKE_AGAIN}"));
        }
        Ok(shown)
    }

    /// What became of the line since; `None` when it is as it was shown.
    fn stale(&self, answer: &Answer, address: &Address, shown: &Shown) -> Option<String> {
        let now = self.lines.current(address)?;
        if now.text_digest != shown.text_digest {
            // The decision is for other lines too, which may have the text still.
            let why = "the text of the line has changed since the export";
            return (answer.applies_to == AppliesTo::Line).then(|| why.to_string());
        }
        let code = |shown: &Shown| shown.hs6.clone().unwrap_or_else(|| "no code".into());
        if now.edition != shown.edition {
            return Some(format!("the line is of HS {} now, it was shown in {}", now.edition, shown.edition));
        }
        if !self.allow_stale && (now.model_digest != shown.model_digest || now.hs6 != shown.hs6) {
            return Some(format!(
                "run {} has answered the line since: {}, it was shown with {}",
                now.run_id,
                code(now),
                code(shown)
            ));
        }
        None
    }
}

/// Verdict and code of an answer, and what was done to the code.
type Decided = (Verdict, Option<Subheading>, Option<String>);

fn decided(answer: &Answer, shown: &Shown, codes: Option<&[Subheading]>) -> Result<Decided, String> {
    let was = shown.hs6.as_ref().and_then(|code| code.parse::<Subheading>().ok());
    let entered = &answer.decided_code;
    match answer.verdict {
        Verdict::Confirm => {
            let Some(code) = was else {
                return Err("there is no code to confirm; write correct and the code, or unclassifiable".into());
            };
            if !entered.is_blank() && !may_be(entered, code) {
                let other = entered.shown().chars().take(40).collect::<String>();
                return Err(format!(
                    "it confirms {code} and has {other:?} as the code; write correct, or empty the code"
                ));
            }
            Ok((Verdict::Confirm, Some(code), None))
        }
        Verdict::Unclassifiable if !entered.is_blank() => {
            Err("it is unclassifiable and has a code; write correct, or empty the code".into())
        }
        Verdict::Unclassifiable => Ok((Verdict::Unclassifiable, None, None)),
        Verdict::Correct => {
            let edition = &shown.edition;
            let Some(codes) = codes else {
                return Err(format!(
                    "nobody knows the codes of HS {edition}; import them: harmonize tariff import {edition}=FILE"
                ));
            };
            let (code, repaired) = match read(entered, codes, edition) {
                Reading::Exact(code) => (code, None),
                Reading::Repaired(code, what) => {
                    let stood = entered.shown().chars().take(40).collect::<String>();
                    (code, Some(format!("{stood:?} is taken for {code}: {what}")))
                }
                Reading::Refused(why) => return Err(why),
            };
            let verdict = if was == Some(code) { Verdict::Confirm } else { Verdict::Correct };
            Ok((verdict, Some(code), repaired))
        }
    }
}

/// Whether a cell holds the text of a line, as far as the lake has it.
fn same_text(cell: &Cell, stored: Option<&str>) -> bool {
    let Some(stored) = stored.filter(|_| *cell != Cell::Empty) else { return true };
    let (mut wanted, mut found) = (String::new(), String::new());
    normalise(stored, &mut wanted);
    let mut same = |text: &str| {
        normalise(text, &mut found);
        found == wanted
    };
    let shown = cell.shown();
    same(&shown) || same(&super::inert::restored(&format!("'{shown}")))
}
