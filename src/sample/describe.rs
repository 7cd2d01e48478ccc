//! The description of one line: a wording, dressed and damaged the way declared descriptions are.
//!
//! Text that is not vague, blank or plain carries a count, a weight, a reference or a part number, so that lines
//! which are not meant to repeat seldom do. Works in one buffer that the caller reuses.

use super::draw::Draw;
use super::lexicon::{Class, Lexicon};
use super::ornament::{brand, gross, packages, part, pieces, reference, short, size};

/// What stands in the description field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A wording of the class; the line can be labelled.
    Wording,
    /// Words on which no code can be decided.
    Vague,
    /// Nothing but spaces, or nothing at all.
    Blank,
    /// No value.
    Null,
}

/// Shares of 10,000 lines.
const NULL: u32 = 40;
const BLANK: u32 = 40;
const VAGUE: u32 = 300;
/// Asked for more often than the 4 % that come out: not every class has wordings in other languages.
const FOREIGN: u32 = 640;

/// Writes the description of goods of `class` into `out`, which is emptied first.
pub(super) fn describe(out: &mut String, lexicon: &Lexicon, class: &Class, draw: &mut Draw) -> Kind {
    out.clear();
    let kind = draw.below(10_000);
    if kind < NULL {
        return Kind::Null;
    }
    if kind < NULL + BLANK {
        out.push_str(draw.pick(&["", " ", "   ", "\n"]));
        return Kind::Blank;
    }
    let vague = kind < NULL + BLANK + VAGUE;
    let foreign = kind < NULL + BLANK + VAGUE + FOREIGN && !class.foreign.is_empty();
    let words = if vague {
        draw.pick(&lexicon.vague)
    } else if foreign {
        draw.pick(&class.foreign)
    } else {
        draw.pick(&class.wordings)
    };
    let cut = match draw.below(100) {
        0..6 => 35,
        6..8 => 50,
        _ => usize::MAX,
    };
    dress(out, words, class, vague, cut < usize::MAX, draw);
    damage(out, draw);
    if out.len() > cut {
        out.truncate(out.floor_char_boundary(cut));
    }
    if vague { Kind::Vague } else { Kind::Wording }
}

/// Puts counts, sizes, brands and numbers around the wording. In a line that will be cut they come first.
fn dress(out: &mut String, words: &str, class: &Class, vague: bool, cut: bool, draw: &mut Draw) {
    if draw.chance(300) {
        out.push_str(draw.pick(&["1X40FT STC ", "1X20FT CNTR STC ", "STC ", "LCL "]));
    }
    let layout = if cut { draw.below(3) } else { draw.below(12) };
    match layout {
        0 => {
            packages(out, class.chapter, draw);
            out.push_str(draw.pick(&[" X ", " ", " - "]));
            pieces(out, draw);
            out.push(' ');
        }
        1 => {
            part(out, draw);
            out.push(' ');
        }
        2 | 3 => {
            packages(out, class.chapter, draw);
            out.push_str(draw.pick(&[" ", " OF ", " STC "]));
            gross(out, draw);
            out.push(' ');
        }
        4 if !vague => {
            brand(out, draw);
            out.push(' ');
        }
        _ => {}
    }
    wording(out, words, draw);
    if !vague && draw.chance(2_200) {
        out.push(' ');
        size(out, class.chapter, draw);
    }
    match layout {
        0..4 => {}
        4 | 5 => {
            out.push_str(draw.pick(&[" ", " MODEL ", " P/N ", " MOD:", " ART.NO "]));
            part(out, draw);
        }
        6 | 7 => {
            out.push_str(draw.pick(&[" ", ", ", " / ", " - "]));
            packages(out, class.chapter, draw);
            out.push_str(draw.pick(&[" X ", " ", "/"]));
            pieces(out, draw);
        }
        8 | 9 => {
            out.push_str(draw.pick(&[" ", ", ", " ; "]));
            packages(out, class.chapter, draw);
            out.push(' ');
            gross(out, draw);
        }
        10 => {
            out.push_str(draw.pick(&[" ", " AS PER ", " - "]));
            reference(out, draw);
        }
        // One line in a thousand is the bare wording; such lines meet one another by nature.
        _ if draw.chance(120) => {}
        _ => {
            out.push_str(draw.pick(&[" QTY ", " ", " X "]));
            pieces(out, draw);
            out.push(' ');
            brand(out, draw);
        }
    }
}

/// Appends the wording, in one line of five with abbreviations.
fn wording(out: &mut String, words: &str, draw: &mut Draw) {
    if !draw.chance(2_000) {
        out.push_str(words);
        return;
    }
    for (i, word) in words.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(short(word).unwrap_or(word));
    }
}

/// Typing errors, line breaks, stray signs, and the case of the letters.
fn damage(out: &mut String, draw: &mut Draw) {
    if draw.chance(800) {
        typo(out, draw);
    }
    if draw.chance(1_050)
        && let Some(at) = space(out, draw)
    {
        out.replace_range(at..=at, draw.pick(&["\n", "\n", "\n", "\r\n"]));
    }
    if draw.chance(700)
        && let Some(at) = space(out, draw)
    {
        out.insert(at, ' ');
    }
    if draw.chance(700) {
        out.push_str(draw.pick(&[" ", ".", "..", ",", " -", " ***", "/", ";"]));
    }
    match draw.below(10) {
        0 => {}
        1 => {
            if let Some(first) = out.get_mut(..1) {
                first.make_ascii_uppercase();
            }
        }
        _ => out.make_ascii_uppercase(),
    }
}

/// Swaps, drops or doubles one letter that has a letter beside it.
fn typo(out: &mut String, draw: &mut Draw) {
    let at = draw.below(out.len() as u32) as usize;
    let bytes = out.as_bytes();
    let letter = |i: usize| bytes.get(i).copied().filter(u8::is_ascii_alphabetic).map(char::from);
    let (Some(here), Some(_)) = (letter(at), letter(at + 1)) else {
        return;
    };
    // Both letters are ASCII, so `at` and `at + 1` are character boundaries.
    match draw.below(3) {
        0 => {
            out.remove(at);
            out.insert(at + 1, here);
        }
        1 => {
            out.remove(at);
        }
        _ => out.insert(at, here),
    }
}

/// The first space at or after a random place.
fn space(out: &str, draw: &mut Draw) -> Option<usize> {
    let from = draw.below(out.len() as u32) as usize;
    out.bytes().skip(from).position(|b| b == b' ').map(|at| from + at)
}
