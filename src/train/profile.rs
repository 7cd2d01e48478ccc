//! What the descriptions are like: length, script and language, vagueness, and how many of those kept from the fit have a near
//! twin among those that are learned. Near twins are counted over usable rows alone, since no other row is learned or measured.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use unicode_script::{Script, UnicodeScript};

use super::checks::{Limits, over};
use super::split::{Part, Split, group_key};
use super::table::{Table, percent, ratio};
use crate::model::Policy;
use crate::policy::{Facts, Judge, Reason, TextState};

/// Languages told by name; the others are counted together.
const LANGUAGES: usize = 8;

/// Words from which on a guess of the language is worth telling.
const LANGUAGE_WORDS: usize = 5;

/// The distribution of a number over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// One row in twenty has at most this.
    pub p5: usize,
    /// Half of the rows have at most this.
    pub p50: usize,
    /// All but one row in twenty have at most this.
    pub p95: usize,
    /// No row has more.
    pub most: usize,
}

/// A share of the rows by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Of a script or a language.
    pub name: String,
    /// Rows.
    pub rows: usize,
}

/// A row that has a description.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The normalised description.
    pub text: &'a str,
    /// Whether its label is one to learn: that of a text that names no goods, or what is, or with its zero back would be, a
    /// subheading of the edition.
    pub usable: bool,
}

/// What is counted here; of rows that have a description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Rows with a description.
    pub rows: usize,
    /// Characters of a normalised description.
    pub characters: Quantiles,
    /// Its words.
    pub words: Quantiles,
    /// By the script of most of its letters, most frequent first; `none` has no letters.
    pub scripts: Vec<Named>,
    /// By language (ISO 639-3) as far as five words tell it, most frequent first; `too short` has fewer, or no letters.
    pub languages: Vec<Named>,
    /// Rows whose description names no goods, by the list.
    pub vague_rows: usize,
    /// Distinct descriptions of usable rows that the split keeps from the fit.
    pub kept_texts: usize,
    /// Of these, those that differ in numbers alone from one that is learned.
    pub near_twin_texts: usize,
}

impl Profile {
    /// Counts the rows that have a description; `vague` lists texts that name no goods, normalised.
    pub fn of<'a>(rows: impl Iterator<Item = Described<'a>>, split: &Split, vague: &[String]) -> Profile {
        let judge = Judge::new(&Policy { vague: vague.to_vec(), ..Policy::default() }, "");
        let vague = |normalised: &str| {
            let facts = Facts {
                code: "",
                confidence: 0.0,
                confidence_heading: 0.0,
                confidence_chapter: 0.0,
                normalised,
                text_digest: [0; 16],
                tokens: 1,
                unknown_tokens: 0,
                truncated: false,
                vague: false,
                state: TextState::Text,
            };
            judge.decide(&facts).1.has(Reason::Vague)
        };
        let (mut characters, mut words, mut vague_rows) = (Vec::new(), Vec::new(), 0);
        let (mut scripts, mut languages) = (BTreeMap::new(), BTreeMap::new());
        let (mut learned, mut kept) = (HashSet::new(), HashSet::new());
        for Described { text, usable } in rows {
            characters.push(text.chars().count());
            words.push(crate::text::words(text).count());
            vague_rows += usize::from(vague(text));
            *scripts.entry(script(text).unwrap_or("none").to_string()).or_insert(0) += 1;
            *languages.entry(language(text).to_string()).or_insert(0) += 1;
            match split.part(text) {
                _ if !usable => {}
                Part::Train => {
                    learned.insert(group_key(text));
                }
                _ => {
                    kept.insert(text);
                }
            }
        }
        Profile {
            rows: characters.len(),
            characters: quantiles(characters),
            words: quantiles(words),
            scripts: by_rows(scripts),
            languages: by_rows(languages),
            vague_rows,
            kept_texts: kept.len(),
            near_twin_texts: kept.iter().filter(|text| learned.contains(&group_key(text))).count(),
        }
    }

    /// Share of the rows that are vague, 0 to 1.
    pub fn vague_ratio(&self) -> f64 {
        ratio(self.vague_rows, self.rows)
    }

    /// Share of the descriptions kept from the fit that have a near twin among those learned, 0 to 1.
    pub fn near_twin_ratio(&self) -> f64 {
        ratio(self.near_twin_texts, self.kept_texts)
    }

    /// Why these descriptions are not trained on, and what to do next, reason by reason.
    pub(super) fn refused(&self, limits: &Limits) -> Vec<String> {
        let next = "correct the data, or raise the limit";
        let (vague, twins) =
            ("of the descriptions name no goods", "of the descriptions kept from the fit have a near twin");
        let vague = over(self.vague_ratio(), limits.max_vague_ratio, vague, next);
        vague.into_iter().chain(over(self.near_twin_ratio(), limits.max_near_twin_ratio, twins, next)).collect()
    }

    /// One fact a row.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::default();
        let of = ("rows with a description", self.rows);
        for (name, q) in [("characters", self.characters), ("words", self.words)] {
            let spread = format!("5 % have at most {}, 95 % at most {}, the longest {}", q.p5, q.p95, q.most);
            table.fact(&format!("{name}, median"), q.p50, &spread);
        }
        table.share("vague", self.vague_rows, of);
        for (name, shares) in [("script", &self.scripts), ("language", &self.languages)] {
            shares.iter().for_each(|share| table.share(&format!("{name} {}", share.name), share.rows, of));
        }
        let twins = format!("{} of {} usable ones kept from the fit", percent(self.near_twin_ratio()), self.kept_texts);
        table.fact("near twins across the split", self.near_twin_texts, &twins);
        table
    }
}

/// The language (ISO 639-3) of a normalised text of five words and more with letters in it; `too short` for others.
pub fn language(text: &str) -> &'static str {
    let told = crate::text::words(text).nth(LANGUAGE_WORDS - 1).is_some() && script(text).is_some();
    if told { whichlang::detect_language(text).three_letter_code() } else { "too short" }
}

/// The script of most letters; of equals, that of the first.
fn script(text: &str) -> Option<&'static str> {
    let mut counts: Vec<(Script, usize)> = Vec::new();
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        let script = c.script();
        match counts.iter_mut().find(|(s, _)| *s == script) {
            Some((_, count)) => *count += 1,
            None => counts.push((script, 1)),
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map(|(script, _)| script.full_name())
}

fn quantiles(mut values: Vec<usize>) -> Quantiles {
    values.sort_unstable();
    let at = |share: f64| values.get(((values.len() as f64 * share).ceil() as usize).max(1) - 1).copied().unwrap_or(0);
    Quantiles { p5: at(0.05), p50: at(0.5), p95: at(0.95), most: at(1.0) }
}

/// The most frequent ones by name, the others together.
fn by_rows(counts: BTreeMap<String, usize>) -> Vec<Named> {
    let mut all: Vec<Named> = counts.into_iter().map(|(name, rows)| Named { name, rows }).collect();
    all.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.name.cmp(&b.name)));
    if all.len() > LANGUAGES {
        let rows = all.split_off(LANGUAGES).iter().map(|named| named.rows).sum();
        all.push(Named { name: "other".to_string(), rows });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::split::{Grouping, Shares};
    use super::*;

    #[test]
    fn what_is_counted_is_there() {
        let split = Split::new(3, Shares { test: 0.3, ..Shares::default() }, Grouping::Text).unwrap();
        let mut texts: Vec<String> = (0..400).map(|n| format!("steel bolts {n} mm zinc plated")).collect();
        texts
            .extend(["spare parts", "12 ctns spare parts", "стальные болты оцинкованные", "12345"].map(str::to_string));
        texts.push("this is a long description of goods that are made of steel and of wood".to_string());
        let described = |usable| texts.iter().map(move |text| Described { text, usable });
        let list = Policy::default().vague;
        let found = Profile::of(described(true), &split, &list);
        assert_eq!((found.rows, found.vague_rows, found.words.p50, found.words.most), (405, 2, 6, 15));
        let rows = |named: &[Named], name: &str| named.iter().find(|n| n.name == name).map_or(0, |n| n.rows);
        assert_eq!((rows(&found.scripts, "Cyrillic"), rows(&found.scripts, "none")), (1, 1));
        assert_eq!(rows(&found.scripts, "Latin"), 403);
        assert_eq!(found.scripts.iter().map(|s| s.rows).sum::<usize>(), 405);
        assert_eq!(found.languages.iter().map(|s| s.rows).sum::<usize>(), 405);
        // All bolts but their size are alike: those kept from the fit have a twin.
        assert!(found.near_twin_texts > 80 && found.near_twin_texts + 5 >= found.kept_texts, "{found:?}");
        let lines = found.table().lines();
        assert!(lines.iter().any(|line| line.starts_with("near twins across the split")), "{lines:?}");
        assert_eq!(Profile::of(std::iter::empty(), &split, &list).characters, Quantiles::default());
        let own = Profile::of(described(true), &split, &["стальные болты оцинкованные".to_string()]);
        assert_eq!(own.vague_rows, 1, "another list counts alone");
        // Rows without a usable label are neither learned nor measured.
        let unusable = Profile::of(described(false), &split, &list);
        assert_eq!((unusable.rows, unusable.kept_texts, unusable.near_twin_texts), (405, 0, 0));
        let kept = texts.iter().find(|text| text.starts_with("steel") && split.part(text) != Part::Train).unwrap();
        let lonely = Profile::of(texts.iter().map(|text| Described { text, usable: text == kept }), &split, &list);
        assert_eq!((lonely.kept_texts, lonely.near_twin_texts), (1, 0), "what is not learned is no twin");
    }
}
