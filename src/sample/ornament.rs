//! The small words of shipping: units, packings, sizes, abbreviations, invented brands and part numbers.
//!
//! Everything appends to the end of a buffer and allocates nothing once the buffer has grown.

use super::draw::Draw;

const CARTONS: [&str; 12] =
    ["CTNS", "CARTONS", "PKGS", "PALLETS", "CTNS", "BOXES", "CTN", "PLTS", "BALES", "PKG", "ROLLS", "CASES"];
const SACKS: [&str; 10] = ["BAGS", "CTNS", "CARTONS", "DRUMS", "PALLETS", "SACKS", "PKGS", "CASES", "BAG", "PAILS"];
const CRATES: [&str; 8] = ["CTNS", "CRATES", "PALLETS", "PKGS", "CASES", "W/CASES", "PACKAGES", "CARTONS"];
const UNITS: [&str; 8] = ["PCS", "PIECES", "UNITS", "SETS", "PC", "EA", "DOZ", "NOS"];
const SYLLABLES: [&str; 32] = [
    "zan", "tor", "vel", "mira", "kop", "lex", "dru", "qua", "sol", "nem", "fi", "rox", "bel", "hya", "pra", "tuk",
    "ova", "gri", "sem", "lu", "xan", "wyn", "jor", "cap", "ulo", "ster", "ven", "ika", "mond", "tri", "ber", "zo",
];
const FOOD: [&str; 12] =
    ["500ML", "1L", "25KG", "50KG", "10KG", "400G", "1KG", "250G", "750ML", "24X330ML", "12X1KG", "5L"];
const BULK: [&str; 10] = ["25KG", "200L", "20L", "1000KG", "50KG", "5L", "1L", "180KG", "500ML", "4L"];
const CARE: [&str; 8] = ["500ML", "250ML", "100ML", "10X10", "30ML", "BOX OF 50", "24X100G", "12/PK"];
const CLOTH: [&str; 10] =
    ["S-XL", "M/L/XL", "120CM", "150CM", "200GSM", "58IN", "SIZE 38", "3 PCS/PACK", "XXL", "60X90"];
const METAL: [&str; 12] =
    ["12MM", "2.5MM", "6M", "1/2 IN", "3IN", "DN50", "M10", "1220X2440", "0.5MM", "40X40", "100MM", "GR 8.8"];
const DEVICE: [&str; 12] =
    ["12V", "220V", "24V", "1500W", "2HP", "60HZ", "10A", "5KW", "3PH", "220-240V", "USB", "50W"];
const VEHICLE: [&str; 8] = ["2012", "2016", "LH", "RH", "FRONT", "REAR", "4X4", "2019 MODEL"];
const OTHER: [&str; 8] = ["10CM", "20X30CM", "LARGE", "SMALL", "ASSTD COLOURS", "30CM", "BLACK", "WHITE"];

/// Full words, lower case, and what shippers make of them; by rising word, for a binary search.
const SHORT: [(&str, &str); 40] = [
    ("accessories", "ACCS"),
    ("aluminium", "ALUM"),
    ("aluminum", "ALUM"),
    ("assembly", "ASSY"),
    ("assorted", "ASSTD"),
    ("automatic", "AUTO"),
    ("bottles", "BTLS"),
    ("boxes", "BXS"),
    ("cartons", "CTNS"),
    ("chicken", "CHKN"),
    ("computer", "COMP"),
    ("cotton", "CTN"),
    ("diesel", "DSL"),
    ("electric", "ELEC"),
    ("engine", "ENG"),
    ("equipment", "EQPT"),
    ("fittings", "FTGS"),
    ("fresh", "FRSH"),
    ("front", "FRT"),
    ("frozen", "FRZN"),
    ("galvanised", "GALV"),
    ("industrial", "IND"),
    ("ladies", "LDS"),
    ("leather", "LTHR"),
    ("machine", "M/C"),
    ("machinery", "MCHY"),
    ("packing", "PKG"),
    ("parts", "PTS"),
    ("pieces", "PCS"),
    ("plastic", "PLAS"),
    ("polyester", "POLY"),
    ("portable", "PORT"),
    ("powder", "PWDR"),
    ("printed", "PRTD"),
    ("rubber", "RUB"),
    ("spare", "SPR"),
    ("stainless", "S/S"),
    ("synthetic", "SYN"),
    ("with", "W/"),
    ("wooden", "WDN"),
];

/// Appends the decimal digits of `n`, with leading zeros up to `width`.
pub(super) fn number(out: &mut String, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    let from = at.min(digits.len() - width.clamp(1, digits.len()));
    // Digits are ASCII, so the check never fails.
    out.push_str(std::str::from_utf8(&digits[from..]).unwrap_or_default());
}

/// Appends a count of inner units: `120 PCS`.
pub(super) fn pieces(out: &mut String, draw: &mut Draw) {
    count(out, 5_000, draw);
    out.push_str(draw.pick(&UNITS));
}

/// Appends a count of packages in which goods of `chapter` could come: `70CTNS` or `70 CTNS`.
pub(super) fn packages(out: &mut String, chapter: u8, draw: &mut Draw) {
    count(out, 1_500, draw);
    out.push_str(match chapter {
        1..=38 => draw.pick(&SACKS),
        84..=90 => draw.pick(&CRATES),
        _ => draw.pick(&CARTONS),
    });
}

/// Appends a gross weight: `1284 KGS`.
pub(super) fn gross(out: &mut String, draw: &mut Draw) {
    number(out, 20 + u64::from(draw.below(24_000)), 1);
    out.push_str(draw.pick(&["KGS", " KG", " KGS", "KG G.W."]));
}

/// Appends a number that points to a paper: an order, an invoice, a lot.
pub(super) fn reference(out: &mut String, draw: &mut Draw) {
    out.push_str(draw.pick(&["PO ", "INV ", "REF:", "LOT ", "ORDER NO ", "P/O#"]));
    number(out, u64::from(draw.below(9_000_000)) + 100_000, 1);
}

/// Appends an invented part number: `KX-4821B`.
pub(super) fn part(out: &mut String, draw: &mut Draw) {
    let letters = 1 + draw.below(3);
    for _ in 0..letters {
        out.push(char::from(b'A' + draw.below(26) as u8));
    }
    out.push_str(draw.pick(&["-", "", " ", "/"]));
    number(out, u64::from(draw.below(90_000)) + 100, 1);
    if draw.chance(4_000) {
        out.push(char::from(b'A' + draw.below(26) as u8));
    }
}

/// Appends an invented brand of two or three syllables.
pub(super) fn brand(out: &mut String, draw: &mut Draw) {
    for _ in 0..2 + draw.below(2) {
        out.push_str(draw.pick(&SYLLABLES));
    }
}

/// Appends a size that goods of `chapter` could have, sometimes in brackets.
pub(super) fn size(out: &mut String, chapter: u8, draw: &mut Draw) {
    let sizes: &[&str] = match chapter {
        1..=24 => &FOOD,
        30 | 33 => &CARE,
        25..=38 => &BULK,
        50..=65 => &CLOTH,
        68..=83 => &METAL,
        84 | 85 => &DEVICE,
        86..=89 => &VEHICLE,
        _ => &OTHER,
    };
    let size = draw.pick(sizes);
    if draw.chance(5_000) {
        out.push_str(size);
    } else {
        out.push('[');
        out.push_str(size);
        out.push(']');
    }
}

/// The abbreviation of a lower-case word, if shippers have one.
pub(super) fn short(word: &str) -> Option<&'static str> {
    SHORT.binary_search_by_key(&word, |&(full, _)| full).ok().map(|at| SHORT[at].1)
}

/// Small counts are frequent, and round ones too.
fn count(out: &mut String, most: u32, draw: &mut Draw) {
    let most = if draw.chance(4_000) { most / 10 } else { most };
    let n = 1 + draw.below(most);
    number(out, u64::from(if draw.chance(2_000) { n.div_ceil(10) * 10 } else { n }), 1);
    if draw.chance(6_000) {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_and_complete() {
        let written = |n, width| {
            let mut out = String::new();
            number(&mut out, n, width);
            out
        };
        assert_eq!(written(1_234, 10), "0000001234");
        assert_eq!(written(0, 1), "0");
        assert_eq!(written(u64::MAX, 10), "18446744073709551615");
    }

    #[test]
    fn abbreviations_are_found() {
        assert!(SHORT.is_sorted());
        assert_eq!(short("plastic"), Some("PLAS"));
        assert_eq!(short("zebra"), None);
    }
}
