//! Examples of texts that name no goods, made from the list of such texts: as shippers wrap them in counts, packing and
//! references. The class that learns them refuses what is like them and not on the list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::fit::Random;
use crate::error::{Context, Error, Result};
use crate::model::Policy;
use crate::text;

/// How texts that name no goods are learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VagueRecipe {
    /// Made examples as a share of the lines that are learned; 0 makes none.
    pub share: f64,
    /// A file with one text a line (`#` begins a comment) in place of the built-in list; also the list of the policy.
    pub list: Option<String>,
}

impl Default for VagueRecipe {
    fn default() -> Self {
        VagueRecipe { share: 0.01, list: None }
    }
}

impl VagueRecipe {
    /// Refuses a share that is none.
    pub fn validate(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.share) {
            true => Ok(()),
            false => Err(Error::Usage(format!("[vague] share is {}, it must be at least 0 and below 1", self.share))),
        }
    }

    /// The texts, normalised.
    ///
    /// # Errors
    /// When the file cannot be read, or has no text in it.
    pub fn texts(&self) -> Result<Vec<String>> {
        match &self.list {
            None => Ok(Policy::default().vague),
            Some(file) => list(file),
        }
    }
}

/// The texts of a list file, normalised and sorted.
///
/// # Errors
/// When it cannot be read, or has no text in it.
pub fn list(file: &str) -> Result<Vec<String>> {
    let lines = std::fs::read_to_string(file).context(|| file)?;
    let mut texts = BTreeSet::new();
    for line in lines.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut normalised = String::new();
        text::normalise(line, &mut normalised);
        if !normalised.is_empty() {
            texts.insert(normalised);
        }
    }
    if texts.is_empty() {
        return Err(Error::Input(format!("{file}: there is no text in it; write one a line")));
    }
    Ok(texts.into_iter().collect())
}

/// Around a text (`{v}`), another one (`{w}`), numbers (`{n}`, `{m}`) and a reference (`{r}`).
const WRAPS: [&str; 24] = [
    "{v}",
    "{n} ctns {v}",
    "{n} cartons of {v}",
    "{v} {n} pcs",
    "{n} pkgs stc {v}",
    "1x40ft container stc {n} packages {v}",
    "{v} - {r}",
    "{r} {v}",
    "{v} ref {r}",
    "{v} as per invoice no {n}",
    "{v} inv {r}",
    "shipment of {v}",
    "1 lot of {v}",
    "{n} pallets {v} gross weight {m} kg",
    "{v} and {w}",
    "{v} & {w}",
    "{v}, {w}",
    "{v} / {w}",
    "used {v}",
    "new {v}",
    "{v} for personal use",
    "{v} no commercial value",
    "various {v}",
    "{n} x {m} {v}",
];

/// At most so many different texts, normalised; the same list and seed give the same ones.
pub fn examples(list: &[String], count: usize, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed, u64::MAX);
    let (mut made, mut seen) = (Vec::new(), BTreeSet::new());
    // Each text by itself first; then as often as it takes, unless nothing new comes.
    for n in 0..20 * count {
        let pick = |random: &mut Random| list[random.below(list.len())].as_str();
        let (text, wrap) = match list.get(n) {
            Some(text) => (text.as_str(), WRAPS[0]),
            None => (pick(&mut random), WRAPS[random.below(WRAPS.len())]),
        };
        let letter = |random: &mut Random| char::from(b'a' + random.below(26) as u8);
        let reference = format!("{}{}{}", letter(&mut random), letter(&mut random), 100 + random.below(90_000));
        let wrapped = wrap
            .replace("{v}", text)
            .replace("{w}", pick(&mut random))
            .replace("{n}", &(1 + random.below(600)).to_string())
            .replace("{m}", &(1 + random.below(9_000)).to_string())
            .replace("{r}", &reference);
        let mut normalised = String::new();
        text::normalise(&wrapped, &mut normalised);
        if made.len() < count && seen.insert(normalised.clone()) {
            made.push(normalised);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_different_examples_as_asked_for_and_the_same_every_time() {
        let list = Policy::default().vague;
        let made = examples(&list, 300, 5);
        assert_eq!((made.len(), made.iter().collect::<BTreeSet<_>>().len()), (300, 300));
        assert_eq!(made, examples(&list, 300, 5));
        assert_ne!(made, examples(&list, 300, 6));
        assert!(list.iter().all(|text| made.contains(text)));
        assert!(made.iter().all(|text| list.iter().any(|vague| text.contains(vague.as_str())) && !text.contains('{')));
        assert_eq!(examples(&list, 0, 5), Vec::<String>::new());
    }

    #[test]
    fn a_list_is_read_without_comments_and_an_empty_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vague.txt");
        std::fs::write(&file, "\u{feff}# what couriers write\n\nSpare   Parts\ngift\nGIFT\n").unwrap();
        let recipe = VagueRecipe { list: Some(file.display().to_string()), ..VagueRecipe::default() };
        assert_eq!(recipe.texts().unwrap(), ["gift", "spare parts"]);
        std::fs::write(&file, "# nothing\n").unwrap();
        assert_eq!(recipe.texts().unwrap_err().exit_code(), 20);
        assert!(VagueRecipe { share: 1.0, list: None }.validate().is_err());
    }
}
