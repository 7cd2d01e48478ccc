//! What a person entered in a row, read into valid form, before the lake is asked.
//!
//! An answer has a verdict of the list, a reviewer, and the cells that say which row it is. What it says of a code is not yet
//! judged: that takes the edition of the line.

use super::cell::Cell;
use super::columns::READ;
use super::identity::AppliesTo;
use super::reasons::ReasonCodes;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The code that was shown is right.
    Confirm,
    /// Another one is.
    Correct,
    /// None can be told.
    Unclassifiable,
}

impl Verdict {
    /// As it stands in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Confirm => "confirm",
            Verdict::Correct => "correct",
            Verdict::Unclassifiable => "unclassifiable",
        }
    }

    fn read(text: &str) -> Option<Verdict> {
        let all = [Verdict::Confirm, Verdict::Correct, Verdict::Unclassifiable];
        all.into_iter().find(|verdict| verdict.as_str().eq_ignore_ascii_case(text))
    }
}

/// A row of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which of the files, from 0.
    pub file: usize,
    /// Row of the sheet, the header being 1; task of Label Studio, from 1.
    pub row: u64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Where it stands.
    pub place: Place,
    pub verdict: Verdict,
    /// The code that was entered.
    pub decided_code: Cell,
    pub reason_code: Option<String>,
    pub note: Option<String>,
    pub reviewer: String,
    pub binding: bool,
    /// The text and the code that the person saw, to be compared with the lake's.
    pub text: Cell,
    pub code: Cell,
    /// Which row it is.
    pub applies_to: AppliesTo,
    pub source_file: String,
    pub source_row: i64,
    pub text_digest: Option<String>,
    pub run_id: String,
    pub row_digest: String,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entered {
    /// A decision.
    Answer(Box<Answer>),
    /// Nothing yet; whether something was entered that a decision would take along.
    Undecided { noted: bool },
    /// What cannot be taken, and why.
    Refused(String),
}

/// Reads the cells of the columns [`READ`] of a row. `reviewer` decides where the row says nobody.
pub fn entered(place: Place, cells: Vec<Cell>, reasons: &ReasonCodes, reviewer: Option<&str>) -> Entered {
    let Ok([decision, decided_code, reason_code, note, by, binding, rest @ ..]) = <[Cell; READ.len()]>::try_from(cells)
    else {
        return Entered::Refused("it lacks cells".into());
    };
    let Some(verdict) = decision.entered() else {
        if !decided_code.is_blank() {
            return Entered::Refused("it has a code and no decision; write confirm, correct or unclassifiable".into());
        }
        return Entered::Undecided { noted: [&reason_code, &note, &binding].iter().any(|cell| !cell.is_blank()) };
    };
    let Some(verdict) = Verdict::read(&verdict) else {
        return Entered::Refused(format!(
            "{:?} is no decision; write confirm, correct or unclassifiable",
            shortened(&verdict)
        ));
    };
    let own = Own { verdict, decided_code, reason_code, note, by, binding };
    match own.answer(place, rest, reasons, reviewer) {
        Ok(answer) => Entered::Answer(Box::new(answer)),
        Err(why) => Entered::Refused(why),
    }
}

/// What the person entered.
struct Own {
    verdict: Verdict,
    decided_code: Cell,
    reason_code: Cell,
    note: Cell,
    by: Cell,
    binding: Cell,
}

impl Own {
    fn answer(
        self,
        place: Place,
        row: [Cell; READ.len() - 6],
        reasons: &ReasonCodes,
        reviewer: Option<&str>,
    ) -> Result<Answer, String> {
        let reason_code = match self.reason_code.entered() {
            None => None,
            Some(code) => match reasons.find(&code) {
                Some(known) => Some(known.to_string()),
                None => {
                    let all = reasons.listed();
                    return Err(format!("{:?} is no reason code; there are: {all}", shortened(&code)));
                }
            },
        };
        let reviewer = self.by.entered().map(|by| by.into_owned()).or_else(|| reviewer.map(str::to_string));
        let reviewer =
            reviewer.ok_or("nobody is named as the reviewer; fill in the column, or give --reviewer NAME")?;
        let binding = truth(&self.binding).ok_or_else(|| {
            format!("{:?} does not say whether it is binding; write yes or no", shortened(&self.binding.shown()))
        })?;
        let [text, code, source_file, source_row, text_digest, run_id, applies_to, row_digest] = row;
        let must = |cell: &Cell, name: &str| {
            cell.entered().map(|text| text.into_owned()).ok_or_else(|| format!("its {name} is empty; {TAKE_AGAIN}"))
        };
        Ok(Answer {
            place,
            verdict: self.verdict,
            decided_code: self.decided_code,
            reason_code,
            note: Some(self.note.shown().into_owned()).filter(|_| !self.note.is_blank()),
            reviewer,
            binding,
            text,
            code,
            applies_to: AppliesTo::read(&must(&applies_to, "applies_to")?)
                .ok_or_else(|| format!("its applies_to is neither line nor text; {TAKE_AGAIN}"))?,
            // An address may hold blanks.
            source_file: Some(source_file.shown().into_owned())
                .filter(|file| !file.is_empty())
                .ok_or_else(|| format!("its source_file is empty; {TAKE_AGAIN}"))?,
            source_row: whole(&source_row).ok_or_else(|| format!("its source_row is no number; {TAKE_AGAIN}"))?,
            text_digest: text_digest.entered().map(|digest| digest.into_owned()),
            run_id: must(&run_id, "run_id")?,
            row_digest: must(&row_digest, "row_digest")?,
        })
    }
}

/// The next step for a row that cannot be told from others any more.
pub(super) const TAKE_AGAIN: &str = "take the row again from a new export";

fn truth(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Flag(flag) => Some(*flag),
        cell => match cell.entered().unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "no" | "n" | "false" | "0" => Some(false),
            "yes" | "y" | "true" | "1" | "x" => Some(true),
            _ => None,
        },
    }
}

/// A whole number of at most 15 digits, which every program keeps.
fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i64),
        Cell::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.split_once('.').filter(|(_, rest)| *rest == "0")?.0.parse().ok())
        }
        _ => None,
    }
}

/// At most so much of what was entered in a message.
fn shortened(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(changes: &[(&str, Cell)]) -> Vec<Cell> {
        let plain = |name: &str| match name {
            "decision" => "Confirm ",
            "reviewer" => "Ana",
            "source_file" => "file:///a b.parquet",
            "source_row" => "7",
            "applies_to" => "line",
            "run_id" | "row_digest" | "text_digest" => "x",
            _ => "",
        };
        let cell = |name: &&str| {
            let changed = changes.iter().find(|(changed, _)| changed == name).map(|(_, cell)| cell.clone());
            changed.unwrap_or_else(|| Cell::of_text(plain(name)))
        };
        READ.iter().map(cell).collect()
    }

    fn read(changes: &[(&str, Cell)]) -> Entered {
        entered(Place { file: 0, row: 2 }, cells(changes), &ReasonCodes::builtin(), None)
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn a_row_is_read_whatever_a_program_made_of_its_cells() {
        let changes =
            [("source_row", Cell::Number(7.0)), ("binding", Cell::Flag(true)), ("reason_code", text("MATERIAL"))];
        let Entered::Answer(answer) = read(&changes) else { panic!() };
        assert_eq!((answer.verdict, answer.source_row, answer.binding), (Verdict::Confirm, 7, true));
        assert_eq!((answer.reason_code.as_deref(), answer.note.as_deref()), (Some("material"), None));
        let Entered::Answer(answer) = read(&[("source_row", text("7.0")), ("note", Cell::Number(5.0))]) else {
            panic!()
        };
        assert_eq!((answer.source_row, answer.note.as_deref(), answer.binding), (7, Some("5"), false));
    }

    #[test]
    fn a_row_without_a_decision_waits_and_one_that_cannot_be_taken_says_why() {
        assert_eq!(read(&[("decision", text(" "))]), Entered::Undecided { noted: false });
        assert_eq!(read(&[("decision", Cell::Empty), ("note", text("?"))]), Entered::Undecided { noted: true });
        for (changes, said) in [
            (vec![("decision", Cell::Empty), ("decided_code", text("010121"))], "a code and no decision"),
            (vec![("decision", text("yes"))], "\"yes\" is no decision"),
            (vec![("reason_code", text("because"))], "no reason code; there are: goods_named"),
            (vec![("reviewer", Cell::Empty)], "--reviewer"),
            (vec![("binding", text("perhaps"))], "whether it is binding"),
            (vec![("source_row", text("seven"))], "source_row is no number"),
            (vec![("source_row", Cell::Number(7.5))], "source_row is no number"),
            (vec![("source_file", Cell::Empty)], "source_file is empty"),
            (vec![("row_digest", Cell::Empty)], "row_digest is empty"),
            (vec![("applies_to", text("all"))], "neither line nor text"),
        ] {
            let Entered::Refused(why) = read(&changes) else { panic!("{changes:?}") };
            assert!(why.contains(said), "{why}");
        }
    }
}
