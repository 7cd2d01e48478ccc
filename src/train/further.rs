//! Examples beside the labelled lines: made from texts that name no goods, from the sources of the recipe, and from decisions of
//! people.
//!
//! Always holds: they are for training alone, and no text that is kept from the fit is among them.

use super::decisions::{Decided, Guard};
use super::extra::{Count, Weighted};
use super::pipeline::{Prepared, TrainOptions, Watcher};
use super::recipe::Recipe;
use super::vague;
use crate::error::Result;
use crate::model::{DataFile, VAGUE_CODE};
use crate::tariff::Subheading;

/// Examples beside the labelled lines.
#[derive(Clone, Debug, Default)]
pub struct Further {
    pub(super) examples: Vec<Weighted>,
    /// Texts that name no goods.
    pub(super) vague: Vec<String>,
    /// Examples that were made from these.
    pub(super) made_vague: usize,
    pub(super) counts: Vec<Count>,
    pub(super) files: Vec<DataFile>,
    /// What people decided, which is among the examples.
    pub(super) decided: Option<Decided>,
}

impl Further {
    /// Adds what people decided. Examples with another code for a decided text take the decided one.
    fn decide(&mut self, mut decided: Decided, train: &[(&str, Subheading)], recipe: &Recipe) {
        let examples = self.examples.iter().map(|(text, code, _)| (text.as_str(), *code));
        decided.report.corrected_rows = decided.differing(train.iter().copied().chain(examples));
        for (text, code, _) in &mut self.examples {
            *code = decided.code(text).unwrap_or(*code);
        }
        self.examples.extend(decided.examples(&recipe.decisions));
        self.decided = Some(decided);
    }

    /// Labelled rows with the codes that people decided, where they did.
    pub(super) fn corrected<'t>(&self, rows: &[(&'t str, Subheading)]) -> Vec<(&'t str, Subheading)> {
        let decided = |text: &str| self.decided.as_ref().and_then(|decided| decided.code(text));
        rows.iter().map(|(text, code)| (*text, decided(text).unwrap_or(*code))).collect()
    }

    /// BLAKE3 of the examples.
    pub(super) fn digest(&self) -> String {
        let mut digest = blake3::Hasher::new();
        for (text, code, weight) in &self.examples {
            digest.update(format!("{code} {weight} {text}\n").as_bytes());
        }
        digest.finalize().to_hex().to_string()
    }
}

impl Prepared {
    /// The further examples that the recipe asks for.
    pub async fn further(&self, options: &TrainOptions, watcher: &mut dyn Watcher) -> Result<Further> {
        let vague = options.recipe.vague.texts()?;
        let mut further = Further { vague, ..Further::default() };
        watcher.step("further examples");
        let grouping = self.split.grouping();
        let parts = self.parts()?;
        let kept = parts.kept(grouping);
        let made = (options.recipe.vague.share * parts.train.len() as f64) as usize;
        let class: Subheading = VAGUE_CODE.parse()?;
        let made = vague::examples(&further.vague, made, options.recipe.fit.seed).into_iter();
        let made = made.filter(|text| !kept.contains(&grouping.key(text)));
        further.examples.extend(made.map(|text| (text, class, 1.0)));
        further.made_vague = further.examples.len();
        for source in &options.recipe.extra {
            let (examples, count, files) =
                source.read(options.codes(), (&kept, grouping), self.repair_zeros, options.lines.limits).await?;
            further.examples.extend(examples);
            further.counts.push(count);
            further.files.extend(files);
        }
        if let Some(from) = &options.decisions {
            watcher.step("decisions");
            let rows = parts.each().flat_map(|(part, rows)| rows.iter().map(move |(text, _)| (*text, part)));
            let guard = Guard::new(self.split, rows, from, &options.lines, options.codes()).await?;
            let decided = Decided::read(from, options.codes(), &guard, options.lines.limits).await?;
            further.decide(decided, &parts.train, &options.recipe);
            further.decided.iter().for_each(|decided| watcher.decided(&decided.report));
        }
        Ok(further)
    }
}
