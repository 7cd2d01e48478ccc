//! What a row of a file is about: which line, with which text, and which answer was shown.
//!
//! The digest over all of it stands in the row, so that a row whose cells were changed, or sorted apart, is noticed.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What a decision is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppliesTo {
    /// One line.
    Line,
    /// Every line of the text.
    Text,
}

impl AppliesTo {
    /// As it stands in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            AppliesTo::Line => "line",
            AppliesTo::Text => "text",
        }
    }

    /// What stands in a file.
    pub fn read(text: &str) -> Option<AppliesTo> {
        [AppliesTo::Line, AppliesTo::Text].into_iter().find(|one| one.as_str() == text)
    }
}

/// A line, and what was shown of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity<'a> {
    /// What the decision is for.
    pub applies_to: AppliesTo,
    /// File of the line; of one line of the text, when it is for the text.
    pub source_file: &'a str,
    /// Its position in the file.
    pub source_row: i64,
    /// Digest of its normalised text.
    pub text_digest: Option<&'a str>,
    /// Run whose answer was shown.
    pub run_id: &'a str,
    /// Code that was shown.
    pub hs6: Option<&'a str>,
    /// Its confidence.
    pub confidence: Option<f32>,
    /// Model that gave it.
    pub model_digest: &'a str,
    /// Edition of the code.
    pub edition: &'a str,
}

impl Identity<'_> {
    /// 128 bits of SHA-256 over all of it, as 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        let row = self.source_row.to_string();
        // The bits: no form of a number stands between them.
        let confidence = self.confidence.map(|c| format!("{:08x}", c.to_bits()));
        digest(
            "review row 1",
            &[
                Some(self.applies_to.as_str()),
                Some(self.source_file),
                Some(&row),
                self.text_digest,
                Some(self.run_id),
                self.hs6,
                confidence.as_deref(),
                Some(self.model_digest),
                Some(self.edition),
            ],
        )
    }
}

/// 128 bits of SHA-256 over a name and fields, each with its length, as 32 hexadecimal digits.
pub(super) fn digest(name: &str, fields: &[Option<&str>]) -> String {
    let mut hash = Sha256::new_with_prefix(name);
    for field in fields {
        // No field can take the place of two.
        match field {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
    }
    hash.finalize()[..16].iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_changes_the_digest_and_none_stands_for_another() {
        let one = Identity {
            applies_to: AppliesTo::Line,
            source_file: "f",
            source_row: 1,
            text_digest: Some("t"),
            run_id: "r",
            hs6: Some("010121"),
            confidence: Some(0.5),
            model_digest: "m",
            edition: "2022",
        };
        let others = [
            Identity { applies_to: AppliesTo::Text, ..one },
            Identity { source_file: "g", ..one },
            Identity { source_row: 2, ..one },
            Identity { text_digest: None, ..one },
            Identity { text_digest: Some("tr"), run_id: "", ..one },
            Identity { run_id: "s", ..one },
            Identity { hs6: None, ..one },
            Identity { confidence: Some(0.5000001), ..one },
            Identity { model_digest: "n", ..one },
            Identity { edition: "2017", ..one },
        ];
        let mut digests: Vec<String> = others.iter().chain([&one]).map(Identity::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 11);
        assert!(digests.iter().all(|d| d.len() == 32));
        // printf 'n\000\001\003\0\0\0\0\0\0\0abc' | sha256sum
        assert_eq!(digest("n", &[None, Some("abc")]), "c0acb79a0b1a5dedd7d36c10605ee2a9");
    }
}
