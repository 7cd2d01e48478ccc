//! The lines that both models are asked about: each distinct normalised text once, with its known code.

use std::collections::HashSet;

use serde::Serialize;

use super::evidence::Lines;
use crate::error::{Error, Result};
use crate::model::manifest::sha256_hex;
use crate::tariff::{Codes, Edition, Subheading};
use crate::text;
use crate::train::Labelled;

/// Rows that nobody is asked about, by why; no row is in two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Their label or decision is no code of the edition.
    pub without_code: u64,
    /// They have no text.
    pub without_text: u64,
    /// Decisions on texts whose description no prediction of the lake has stored.
    pub without_description: u64,
    /// Decisions whose description, as it is stored, is another text than the one decided on: it was cut.
    pub of_another_text: u64,
}

/// Texts with their codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What they are, for the evidence.
    pub lines: Lines,
    /// Normalised, each once.
    pub texts: Vec<(String, Subheading)>,
    /// What is not among them.
    pub left_out: LeftOut,
}

impl Known {
    /// Of rows in their order: the first row of a text counts.
    pub fn of(kind: &str, source: String, rows: Vec<(String, Subheading)>, left_out: LeftOut) -> Known {
        let (count, mut seen, mut texts) = (rows.len() as u64, HashSet::new(), Vec::new());
        for (text, code) in rows {
            if seen.insert(text.clone()) {
                texts.push((text, code));
            }
        }
        let mut pairs: Vec<String> =
            texts.iter().map(|(text, code)| format!("{} {code}\n", text::digest(text))).collect();
        pairs.sort_unstable();
        let digest = sha256_hex(pairs.concat().as_bytes());
        let lines = Lines { kind: kind.to_string(), source, rows: count, texts: texts.len() as u64, digest };
        Known { lines, texts, left_out }
    }
}

/// Labelled lines, in the order of files and rows.
///
/// # Errors
/// `Input` when no line has a code of the edition and a text, and those of reading.
pub async fn labelled(options: &Labelled, edition: Edition) -> Result<Known> {
    let (_, lines) = options.read(Codes::builtin(edition)).await?;
    let all = lines.len();
    let (mut left_out, mut rows) = (LeftOut::default(), Vec::new());
    for line in lines {
        match line.label.code(false) {
            None => left_out.without_code += 1,
            Some(_) if line.text.is_empty() => left_out.without_text += 1,
            Some(code) => rows.push((line.text, code)),
        }
    }
    if rows.is_empty() {
        return Err(Error::Input(format!(
            "none of the {all} lines has a text and a code of edition {edition} in --label {}; `harmonize data` tells \
             what is in them",
            options.label
        )));
    }
    let filter = options.where_sql.as_ref().map_or_else(String::new, |filter| format!(" where {filter}"));
    Ok(Known::of("labels", format!("{}{filter}", options.inputs.join(", ")), rows, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is of lines "text digest, space, code" in their order.
    #[test]
    fn each_text_counts_once_by_its_first_row_and_the_order_does_not_change_the_digest() {
        let code = |text: &str| -> Subheading { text.parse().unwrap() };
        let rows = |order: &[usize]| {
            let all = [("bolt", "731815"), ("nut", "731816"), ("bolt", "731816")];
            let rows = order.iter().map(|at| (all[*at].0.to_string(), code(all[*at].1)));
            Known::of("labels", "x".into(), rows.collect(), LeftOut::default())
        };
        let known = rows(&[0, 1, 2]);
        assert_eq!((known.lines.rows, known.lines.texts), (3, 2));
        assert_eq!(known.texts, [("bolt".to_string(), code("731815")), ("nut".to_string(), code("731816"))]);
        assert_eq!(known.lines.digest, rows(&[1, 0]).lines.digest);
        assert_ne!(known.lines.digest, rows(&[1, 2]).lines.digest, "another code");
        let mut lines = [format!("{} 731815\n", text::digest("bolt")), format!("{} 731816\n", text::digest("nut"))];
        lines.sort();
        assert_eq!(known.lines.digest, sha256_hex(lines.concat().as_bytes()));
    }
}
