//! Texts as cells that no spreadsheet program computes, converts or spoils, and back again, exactly.
//!
//! A harmless text is its own cell. Any other is written with `'` before it and, behind that, `\\` for a backslash, `\n`, `\r`
//! and `\t`, and `\u{HEX}` for what a format cannot carry. A cell that begins with `'` is always read that way, so a text that
//! begins with one is written so too: whatever the text, [`restored`] of [`inert`] is the text. Refuses nothing.

use std::borrow::Cow;
use std::fmt::Write;

/// What an escaped cell begins with.
const MARK: char = '\'';

/// With these a spreadsheet program takes a cell for a formula; the wide forms are what some take for the same.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Words that stand in numbers, dates and times.
const IN_VALUES: [&str; 27] = [
    "e",
    "am",
    "pm",
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The text as a cell of CSV or XLSX.
pub fn inert(text: &str) -> Cow<'_, str> {
    if is_inert(text) { Cow::Borrowed(text) } else { Cow::Owned(escaped(text)) }
}

/// The text as a string of JSON, in which some stores cannot hold U+0000.
pub fn inert_in_json(text: &str) -> Cow<'_, str> {
    let plain = !text.starts_with(MARK) && !text.contains('\0');
    if plain { Cow::Borrowed(text) } else { Cow::Owned(escaped(text)) }
}

/// The text of a cell.
pub fn restored(cell: &str) -> Cow<'_, str> {
    let Some(body) = cell.strip_prefix(MARK) else { return Cow::Borrowed(cell) };
    if !body.contains('\\') {
        return Cow::Borrowed(body);
    }
    let (mut out, mut rest) = (String::with_capacity(body.len()), body);
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, left) = named(after).unwrap_or(('\\', after));
        out.push(c);
        rest = left;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The text in pieces whose cells have at most `units` UTF-16 units each, all of them escaped; one piece at least.
pub(super) fn pieces(text: &str, units: usize) -> Vec<String> {
    // The mark, and the longest form of a character, `\u{10ffff}`.
    const LONGEST: usize = 10;
    let (mut pieces, mut from, mut held) = (Vec::new(), 0, 1);
    for (at, c) in text.char_indices() {
        let plain = !is_named(c) && !c.is_whitespace() && !matches!(c, '\\' | '_');
        let cost = if plain { c.len_utf16() } else { LONGEST };
        if held + cost > units && at > from {
            pieces.push(escaped(&text[from..at]));
            (from, held) = (at, 1);
        }
        held += cost;
    }
    pieces.push(escaped(&text[from..]));
    pieces
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.push(MARK);
    for (at, c) in text.char_indices() {
        let ends_blank = c.is_whitespace() && at + c.len_utf8() == text.len();
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_named(c) || ends_blank || (c == '_' && is_of_xlsx(text, at)) => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The character that is named behind a backslash, and what follows.
fn named(after: &str) -> Option<(char, &str)> {
    let mut chars = after.chars();
    match chars.next()? {
        '\\' => Some(('\\', chars.as_str())),
        'n' => Some(('\n', chars.as_str())),
        'r' => Some(('\r', chars.as_str())),
        't' => Some(('\t', chars.as_str())),
        'u' => {
            let (hex, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
            Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest))
        }
        _ => None,
    }
}

fn is_inert(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return false };
    let visible = text.chars().find(|c| !c.is_whitespace() && !is_named(*c) && !is_invisible(*c));
    !(first == MARK
        || first.is_whitespace()
        || last.is_whitespace()
        || visible.is_some_and(|c| FORMULA.contains(&c))
        || text.contains(is_named)
        || text.match_indices('_').any(|(at, _)| is_of_xlsx(text, at))
        // A writer of XLSX takes this for formatted text.
        || (text.starts_with("<r>") && text.ends_with("</r>"))
        || is_value(text))
}

/// Characters that a format cannot carry, or that programs drop or change.
fn is_named(c: char) -> bool {
    let n = u32::from(c);
    c.is_control()
        || n & 0xfffe == 0xfffe
        || (0xfdd0..=0xfdef).contains(&n)
        || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Marks of direction and of width zero, before which a formula is still one for some programs.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// Whether the `_` at a place begins a code of XLSX, or ends what one of its readers (openpyxl 3.1) takes out wherever it stands.
fn is_of_xlsx(text: &str, at: usize) -> bool {
    is_code_of_xlsx(&text.as_bytes()[at..]) || text[..at].ends_with("x005F")
}

/// `_x000D_`: with four hexadecimal digits it stands for another character in XLSX.
fn is_code_of_xlsx(bytes: &[u8]) -> bool {
    matches!(bytes, [b'_', b'x' | b'X', digits @ ..] if digits.len() > 4
        && digits[..4].iter().all(u8::is_ascii_hexdigit) && digits[4] == b'_')
}

/// Whether a program would take the text for a number, a date, a time, a truth or an error when it opens a CSV file.
fn is_value(text: &str) -> bool {
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return true;
    }
    if text.starts_with('#') && (text.ends_with(['!', '?']) || text.eq_ignore_ascii_case("#N/A")) {
        return true;
    }
    let mut words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.all(|word| IN_VALUES.iter().any(|known| known.eq_ignore_ascii_case(word)))
        && text.chars().any(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in [
            "STEEL BOLTS M8",
            "70 X 120 PCS",
            "a = b",
            "café 😀",
            "\u{202b}שלום\u{202c}",
            "back\\slash",
            "1d",
            "_x00_",
            "#10 SCREW",
        ] {
            assert_eq!(inert(text), text);
            assert_eq!(restored(text), text);
        }
    }

    /// Both columns were written by hand, from the rule in docs/review.md.
    #[test]
    fn cells_are_those_of_the_rule() {
        for (text, cell) in [
            ("", "'"),
            ("=1+1", "'=1+1"),
            ("-5", "'-5"),
            ("+SUM(A1)", "'+SUM(A1)"),
            ("@x", "'@x"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{200b}=1", "'\u{200b}=1"),
            ("'quoted", "''quoted"),
            ("  two", "'  two"),
            ("two ", "'two\\u{20}"),
            ("a\tb\r\nc\\", "'a\\tb\\r\\nc\\\\"),
            ("nul\0", "'nul\\u{0}"),
            ("\u{fffe}x", "'\\u{fffe}x"),
            ("_x000D_", "'\\u{5f}x000D_"),
            ("_x0041_x0042_", "'\\u{5f}x0041\\u{5f}x0042_"),
            ("_x005F_x00", "'\\u{5f}x005F\\u{5f}x00"),
            ("ax005F_b", "'ax005F\\u{5f}b"),
            ("<r>b</r>", "'<r>b</r>"),
            ("00123", "'00123"),
            ("1E5", "'1E5"),
            ("1-Mar", "'1-Mar"),
            ("12:30 pm", "'12:30 pm"),
            ("True", "'True"),
            ("#REF!", "'#REF!"),
            ("１２", "'１２"),
        ] {
            assert_eq!(inert(text), cell);
            assert_eq!(restored(cell), text);
        }
    }

    #[test]
    fn what_a_person_writes_after_the_mark_is_never_refused() {
        for (cell, text) in [("'a\\qb", "a\\qb"), ("'\\u{110000}", "\\u{110000}"), ("'\\", "\\"), ("'\\u{41", "\\u{41")]
        {
            assert_eq!(restored(cell), text);
        }
    }

    #[test]
    fn pieces_are_short_and_give_the_text() {
        let text = "é\\😀_x000D_\0 ".repeat(50);
        for units in [11, 64, 1000] {
            let pieces = pieces(&text, units);
            assert!(pieces.iter().all(|piece| piece.encode_utf16().count() <= units));
            assert_eq!(pieces.iter().map(|piece| restored(piece)).collect::<String>(), text);
        }
        assert_eq!(pieces("", 11), ["'"]);
    }
}
