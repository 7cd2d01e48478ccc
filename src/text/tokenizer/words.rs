//! Cutting a normalised text into words: a run of ASCII digits, or a run of anything that is neither digit nor gap. Gaps are
//! white space, punctuation and symbols, and give no token. A run of [`LONG_NUMBER`] digits or more is a serial or a part
//! number, and all of those are one word.

/// Digits from which a number is replaced by [`SERIAL`].
pub(super) const LONG_NUMBER: usize = 5;
/// The word that stands for every long number.
pub(super) const SERIAL: &str = "00000";
/// Gaps as inside a character class; [`is_gap`] says the same in Rust.
pub(super) const GAPS: &str = r"\x00-/:-@\[-`{-\x{BF}\x{D7}\x{F7}\x{1680}\x{2000}-\x{2BFF}\x{3000}-\x{303F}\x{FEFF}";

/// The words of a normalised text; see the head of the file.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    words_cut(text, false)
}

/// The words of a normalised text, or, as `whole` ones, what stands between gaps: a part number is one word, with its digits.
pub fn words_cut(text: &str, whole: bool) -> impl Iterator<Item = &str> {
    let mut spans = spans(text);
    std::iter::from_fn(move || match whole {
        true => spans.whole().map(|(from, to)| &text[from..to]),
        false => spans.next().map(|span| at(text, span)),
    })
}

/// The word at a place that [`spans`] gave.
#[inline]
pub(super) fn at(text: &str, (from, to): (usize, usize)) -> &str {
    let word = &text[from..to];
    if word.len() >= LONG_NUMBER && word.as_bytes()[0].is_ascii_digit() { SERIAL } else { word }
}

/// Where the words of a text begin and end.
pub(super) fn spans(text: &str) -> Spans<'_> {
    Spans { text, at: 0 }
}

/// Iterator of [`spans`]. Texts are mostly ASCII, so bytes are looked at before characters.
pub(super) struct Spans<'a> {
    text: &'a str,
    at: usize,
}

impl Spans<'_> {
    /// Goes on while characters are such; `ascii` and `other` tell for bytes below 128 and for characters above.
    #[inline]
    fn pass(&mut self, ascii: impl Fn(u8) -> bool, other: impl Fn(char) -> bool) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte < 128 {
                if !ascii(byte) {
                    return;
                }
                self.at += 1;
            } else {
                match self.text[self.at..].chars().next() {
                    Some(c) if other(c) => self.at += c.len_utf8(),
                    _ => return,
                }
            }
        }
    }
}

impl Spans<'_> {
    /// The next run of what is no gap.
    fn whole(&mut self) -> Option<(usize, usize)> {
        self.pass(|b| !b.is_ascii_alphanumeric(), is_gap);
        let from = self.at;
        self.pass(|b| b.is_ascii_alphanumeric(), |c| !is_gap(c));
        (from < self.at).then_some((from, self.at))
    }
}

impl Iterator for Spans<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        self.pass(|b| !b.is_ascii_alphanumeric(), is_gap);
        let from = self.at;
        if self.text.as_bytes().get(from)?.is_ascii_digit() {
            self.pass(|b| b.is_ascii_digit(), |_| false);
        } else {
            // A normalised text has no upper case, but the library cuts raw ones the same way.
            self.pass(|b| b.is_ascii_alphabetic(), |c| !is_gap(c));
        }
        Some((from, self.at))
    }
}

/// White space, control characters, punctuation and symbols; the same set as [`GAPS`].
fn is_gap(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_alphanumeric();
    }
    matches!(c, '\u{80}'..='\u{BF}' | '\u{D7}' | '\u{F7}' | '\u{1680}' | '\u{2000}'..='\u{2BFF}')
        || matches!(c, '\u{3000}'..='\u{303F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn words_are_cut_at_gaps_and_between_digits_and_letters() {
        assert_eq!(cut("70ctns men's t-shirts"), ["70", "ctns", "men", "s", "t", "shirts"]);
        assert_eq!(cut("0.75kw 1998 no:jtd923771012345x"), ["0", "75", "kw", "1998", "no", "jtd", SERIAL, "x"]);
        assert_eq!(cut("1234 12345"), ["1234", SERIAL]);
        assert_eq!(cut("créme – 日本 ٣٤"), ["créme", "日本", "٣٤"]);
        assert_eq!(cut("... "), [""; 0]);
    }

    #[test]
    fn whole_words_end_at_gaps_alone() {
        let cut = |text| words_cut(text, true).collect::<Vec<_>>();
        assert_eq!(cut("0.75kw no:jtd923771012345x m8x30"), ["0", "75kw", "no", "jtd923771012345x", "m8x30"]);
        assert_eq!(cut(" créme4 – 日本12, 12345 "), ["créme4", "日本12", "12345"]);
        assert_eq!(cut("... "), [""; 0]);
    }
}
