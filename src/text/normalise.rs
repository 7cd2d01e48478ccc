//! The one form of a description that everything else sees, and its digest.
//!
//! Normalising is total: it never fails and never panics. Equal normalised texts are equal goods for the rest of
//! the program, so this module must not depend on locale, platform or settings.

use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Characters kept of a normalised description; what follows is cut and reported.
pub const MAX_CHARS: usize = 512;

/// What normalising had to do beyond rewriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// The description was longer than [`MAX_CHARS`] and only its beginning is kept.
    pub truncated: bool,
}

/// Writes the normalised description into `out`, which is cleared first.
///
/// NFKC (Unicode 9, see `is_newer`), lower case character by character, every run of white space and control
/// characters as one space, no space at either end, at most [`MAX_CHARS`] characters.
pub fn normalise(description: &str, out: &mut String) -> Normalised {
    out.clear();
    let mut writer = Writer { out, chars: 0, space: false };
    let complete =
        if description.is_ascii() { writer.ascii(description.as_bytes()) } else { writer.unicode(description) };
    Normalised { truncated: !complete }
}

struct Writer<'a> {
    out: &'a mut String,
    chars: usize,
    /// White space was read since the last character written.
    space: bool,
}

impl Writer<'_> {
    /// False: there is no room left for `c`.
    fn put(&mut self, c: char) -> bool {
        if c.is_whitespace() || c.is_control() {
            self.space = true;
            return true;
        }
        let space = self.space && self.chars > 0;
        if self.chars + usize::from(space) >= MAX_CHARS {
            return false;
        }
        if space {
            self.out.push(' ');
            self.chars += 1;
        }
        self.space = false;
        self.out.push(c);
        self.chars += 1;
        true
    }

    fn ascii(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|b| self.put(char::from(b.to_ascii_lowercase())))
    }

    fn unicode(&mut self, mut rest: &str) -> bool {
        loop {
            let (known, tail) = rest.split_at(rest.find(is_newer).unwrap_or(rest.len()));
            if !known.nfkc().flat_map(char::to_lowercase).all(|c| self.put(c)) {
                return false;
            }
            let mut tail = tail.chars();
            match tail.next() {
                Some(newer) if !newer.to_lowercase().all(|c| self.put(c)) => return false,
                Some(_) => rest = tail.as_str(),
                None => return true,
            }
        }
    }
}

/// Characters whose normalisation was defined after Unicode 9.
///
/// The Hugging Face library normalises by Unicode 9, where these are unassigned: they stay as they are and nothing
/// combines across them. Doing the same keeps `tokenizer.json` complete, and old digests valid when the tables of
/// `unicode-normalization` grow. Tests hold every code point to the Hugging Face library.
fn is_newer(c: char) -> bool {
    NEWER
        .binary_search_by(|&(first, last)| {
            if last < c {
                std::cmp::Ordering::Less
            } else if first > c {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// Ranges for `is_newer`, in order.
#[rustfmt::skip]
const NEWER: [(char, char); 88] = [
    ('\u{558}', '\u{558}'), ('\u{58B}', '\u{58C}'), ('\u{5C8}', '\u{5C9}'), ('\u{7FD}', '\u{7FD}'),
    ('\u{897}', '\u{89F}'), ('\u{8CA}', '\u{8D3}'), ('\u{9FE}', '\u{9FE}'), ('\u{C3C}', '\u{C3C}'),
    ('\u{D3B}', '\u{D3C}'), ('\u{EBA}', '\u{EBA}'), ('\u{1715}', '\u{1715}'), ('\u{1ABF}', '\u{1AF0}'),
    ('\u{1DF6}', '\u{1DFA}'), ('\u{209D}', '\u{209F}'), ('\u{32FF}', '\u{32FF}'), ('\u{A7F1}', '\u{A7F4}'),
    ('\u{A82C}', '\u{A82C}'), ('\u{AB69}', '\u{AB69}'), ('\u{105C9}', '\u{105C9}'), ('\u{105D2}', '\u{105D2}'),
    ('\u{105DA}', '\u{105DA}'), ('\u{105E4}', '\u{105E4}'), ('\u{10781}', '\u{10785}'), ('\u{10787}', '\u{107B0}'),
    ('\u{107B2}', '\u{107BF}'), ('\u{10D24}', '\u{10D27}'), ('\u{10D69}', '\u{10D6D}'), ('\u{10EAB}', '\u{10EAC}'),
    ('\u{10ECB}', '\u{10ECF}'), ('\u{10EF0}', '\u{10EFB}'), ('\u{10EFD}', '\u{10EFF}'), ('\u{10F46}', '\u{10F50}'),
    ('\u{10F82}', '\u{10F85}'), ('\u{11070}', '\u{11070}'), ('\u{1133B}', '\u{1133B}'), ('\u{11382}', '\u{11385}'),
    ('\u{1138B}', '\u{1138B}'), ('\u{1138E}', '\u{1138E}'), ('\u{11390}', '\u{11391}'), ('\u{113B8}', '\u{113B8}'),
    ('\u{113BB}', '\u{113BB}'), ('\u{113C2}', '\u{113C2}'), ('\u{113C5}', '\u{113C5}'), ('\u{113C7}', '\u{113C9}'),
    ('\u{113CE}', '\u{113D0}'), ('\u{1145E}', '\u{1145E}'), ('\u{11839}', '\u{1183A}'), ('\u{11930}', '\u{11930}'),
    ('\u{11935}', '\u{11935}'), ('\u{11938}', '\u{11938}'), ('\u{1193D}', '\u{1193E}'), ('\u{11943}', '\u{11943}'),
    ('\u{119E0}', '\u{119E0}'), ('\u{11A34}', '\u{11A34}'), ('\u{11A47}', '\u{11A47}'), ('\u{11A99}', '\u{11A99}'),
    ('\u{11D42}', '\u{11D42}'), ('\u{11D44}', '\u{11D45}'), ('\u{11D97}', '\u{11D97}'), ('\u{11F41}', '\u{11F42}'),
    ('\u{1611E}', '\u{16129}'), ('\u{1612F}', '\u{1612F}'), ('\u{16D63}', '\u{16D63}'), ('\u{16D67}', '\u{16D6A}'),
    ('\u{16FF0}', '\u{16FF1}'), ('\u{1B123}', '\u{1B126}'), ('\u{1CCD6}', '\u{1CCF9}'), ('\u{1D127}', '\u{1D128}'),
    ('\u{1D250}', '\u{1D252}'), ('\u{1D25B}', '\u{1D25C}'), ('\u{1D25F}', '\u{1D25F}'), ('\u{1D280}', '\u{1D281}'),
    ('\u{1D6A6}', '\u{1D6A6}'), ('\u{1DF95}', '\u{1DF95}'), ('\u{1DFCD}', '\u{1DFFF}'), ('\u{1E030}', '\u{1E06D}'),
    ('\u{1E08F}', '\u{1E08F}'), ('\u{1E130}', '\u{1E136}'), ('\u{1E2AE}', '\u{1E2AE}'), ('\u{1E2EC}', '\u{1E2EF}'),
    ('\u{1E4EC}', '\u{1E4EF}'), ('\u{1E5EE}', '\u{1E5EF}'), ('\u{1E6E3}', '\u{1E6E3}'), ('\u{1E6E6}', '\u{1E6E6}'),
    ('\u{1E6EE}', '\u{1E6EF}'), ('\u{1E6F5}', '\u{1E6F5}'), ('\u{1F16C}', '\u{1F16C}'), ('\u{1FBF0}', '\u{1FBF9}'),
];

/// First 128 bits of BLAKE3 of a normalised text. Equal digests are equal goods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextDigest([u8; 16]);

/// Digest of a text that [`normalise`] wrote.
pub fn digest(normalised: &str) -> TextDigest {
    let hash = blake3::hash(normalised.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    TextDigest(short)
}

impl TextDigest {
    /// The 16 bytes, in the order in which they are displayed.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its 32 lower-case hexadecimal digits, written into `to`.
    pub fn hex<'a>(&self, to: &'a mut [u8; 32]) -> &'a str {
        for (pair, byte) in to.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[
                b"0123456789abcdef"[usize::from(byte >> 4)],
                b"0123456789abcdef"[usize::from(byte & 15)],
            ]);
        }
        // Digits are UTF-8.
        std::str::from_utf8(to).unwrap_or_default()
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex(&mut [0; 32]))
    }
}

impl fmt::Debug for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(description: &str) -> String {
        let mut out = String::from("left over");
        normalise(description, &mut out);
        out
    }

    #[test]
    fn spelling_variants_become_one_text() {
        assert_eq!(normal("  70CTNS\r\n\tCotton\u{a0}\u{3000}SHIRTS \u{0}"), "70ctns cotton shirts");
        assert_eq!(normal("ＦＵＬＬ　ｗｉｄｔｈ ﬁlter 10㎏"), "full width filter 10kg");
        assert_eq!(normal("CAFE\u{301}"), "café");
        assert_eq!(normal("ΣΊΣΥΦΟΣ"), "σίσυφοσ");
        assert_eq!(normal(" \u{85}\n"), "");
    }

    #[test]
    fn ascii_and_unicode_paths_agree() {
        let text: String = (0..=127u8).map(char::from).collect();
        let mut out = String::new();
        let mut writer = Writer { out: &mut out, chars: 0, space: false };
        assert!(writer.unicode(&text));
        assert_eq!(normal(&text), out);
    }

    #[test]
    fn long_descriptions_are_cut_and_flagged() {
        let mut out = String::new();
        assert!(!normalise(&"é".repeat(MAX_CHARS), &mut out).truncated);
        assert!(!normalise(&format!("{}   \n", "a".repeat(MAX_CHARS)), &mut out).truncated);
        for long in ["é".repeat(MAX_CHARS + 1), "ab ".repeat(MAX_CHARS), format!("{} b", "a".repeat(MAX_CHARS - 1))] {
            assert!(normalise(&long, &mut out).truncated);
            assert!(out.chars().count() <= MAX_CHARS && !out.ends_with(' '));
        }
    }

    #[test]
    fn digest_is_the_head_of_blake3() {
        // From the official test vectors, input_len 0: https://github.com/BLAKE3-team/BLAKE3
        assert_eq!(digest("").to_string(), "af1349b9f5f9a1a6a0404dea36dcc949");
    }
}
