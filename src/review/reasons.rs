//! Two closed lists in words: why a line waits for a person, and why a person decided as they did.

use crate::error::{Error, Result};

/// Why a line waits, in words, for a reason of the table `predictions` or of the view `review_queue`.
pub fn in_words(reason: &str) -> &str {
    match reason {
        "below_threshold" => "the model is not sure enough of the code",
        "vague" => "the text names no goods",
        "empty" => "there is no text",
        "invalid_utf8" => "the text is not readable",
        "truncated" => "the text was cut, the model did not see all of it",
        "out_of_vocabulary" => "the model knows too few of the words",
        "audit_sample" => "the model is sure; a person looks, to measure how often that is wrong",
        "scope_changed" => "the code keeps its number and covers other goods in the new edition",
        "split" => "the earlier code has several successors",
        "orphaned" => "the earlier code has no successor",
        "no_text" => "the description is missing",
        "heading_sure" => "the first four digits are sure",
        "chapter_sure" => "the first two digits are sure",
        "renumbered" => "the earlier code has another number now",
        "decided_before" => "a person decided it in an earlier edition of the tariff",
        "comparison" => "two models give different codes",
        other => other,
    }
}

/// Reason codes that a person may give, each with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCodes(Vec<(String, String)>);

const BUILTIN: &str = "\
goods_named        the text names the goods
material           what it is made of decides
use                what it does, or is for, decides
part               it is a part or an accessory of something
set                a set or mixture: what gives it its character decides
state              how far it is worked, or how it is put up, decides
other_document     another document says what it is: invoice, data sheet, picture
ruling             a ruling, a note or an explanatory note says so
tariff_change      the code changed with the edition of the tariff
text_wrong         the text and the goods do not agree
text_vague         the text does not say what it is
several_goods      the line holds several goods
other              see the note
";

impl ReasonCodes {
    /// The program's own list.
    pub fn builtin() -> ReasonCodes {
        ReasonCodes::lines(BUILTIN)
    }

    /// A list of one's own: a code a line, its meaning behind a blank; empty lines and those that begin with # are left out.
    ///
    /// # Errors
    /// `Usage` when there is none, one is there twice, or one has other characters than letters, digits, `_` and `-`.
    pub fn parse(text: &str) -> Result<ReasonCodes> {
        let codes = ReasonCodes::lines(text);
        if codes.0.is_empty() {
            return Err(Error::Usage(
                "there is no reason code in it; write one a line, its meaning behind a blank".into(),
            ));
        }
        for (n, (code, _)) in codes.0.iter().enumerate() {
            if !code.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) || code.starts_with('-') {
                return Err(Error::Usage(format!("{code:?} is no reason code; use letters, digits, _ and -")));
            }
            if codes.0[..n].iter().any(|(other, _)| other.eq_ignore_ascii_case(code)) {
                return Err(Error::Usage(format!("the reason code {code} is there twice")));
            }
        }
        Ok(codes)
    }

    fn lines(text: &str) -> ReasonCodes {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pair = |line: &str| {
            let (code, about) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            (code.to_string(), about.trim().to_string())
        };
        ReasonCodes(lines.map(pair).collect())
    }

    /// The code as the list has it, whatever its case.
    pub fn find(&self, code: &str) -> Option<&str> {
        self.0.iter().map(|(known, _)| known.as_str()).find(|known| known.eq_ignore_ascii_case(code))
    }

    /// All of them with their meaning.
    pub fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// All of them in a line.
    pub fn listed(&self) -> String {
        self.0.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Reason;

    #[test]
    fn every_reason_of_the_closed_list_has_words() {
        for reason in Reason::ALL.iter().map(|r| r.as_str()).chain(["comparison", "decided_before"]) {
            assert_ne!(in_words(reason), reason);
        }
    }

    #[test]
    fn a_list_of_ones_own_is_read_and_checked() {
        let own = ReasonCodes::parse("# ours\nR-1  says so \n\nr2\n").unwrap();
        assert_eq!(own.all(), [("R-1".into(), "says so".into()), ("r2".into(), String::new())]);
        assert_eq!((own.find("r-1"), own.find("other")), (Some("R-1"), None));
        assert!(ReasonCodes::builtin().find("OTHER").is_some());
        for bad in ["", "# none", "a b\nA c", "=x y"] {
            assert_eq!(ReasonCodes::parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
