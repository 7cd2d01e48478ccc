//! The card as one self-contained page with drawings.

use super::{Card, flattened};
use crate::error::Result;
use crate::train::figures;
use crate::train::page::Page;

impl Card<'_> {
    /// The same inputs give the same bytes.
    ///
    /// # Errors
    /// `Bug` when a drawing fails.
    pub fn html(&self) -> Result<String> {
        let record = self.record;
        let measured = &record.figures;
        let mut page = Page::new(&format!("Model card: {}", self.title())).lead(&self.what_it_is());
        page = page.tiles(&figures::tiles(measured));
        page =
            page.section("Figures", &self.measured()).figures(&figures::drawings(measured, self.target_precision())?);
        page = page.facts(figures::facts(measured).rows());
        if !record.slices.is_empty() {
            page = figures::slices_page(page.section("Where it is weak", figures::SLICES), &record.slices);
        }
        if !record.confusions.is_empty() {
            let found = figures::confusions(&record.confusions);
            page = page.section("Most frequent confusions", figures::CONFUSIONS).grid(&found);
        }
        page = page.section("Data", &format!("Labels are of edition HS {}.", self.edition)).grid(&self.files());
        if let Some(checks) = &record.checks {
            page = page.details("What the checks found, before anything was learnt", |page| {
                page.facts(checks.labels.table().rows()).facts(checks.descriptions.table().rows())
            });
        }
        if let Some(further) = self.further() {
            page = page
                .section("Further examples", "Learned with their weight; nothing was measured on them.")
                .grid(&further);
        }
        if let Some(decisions) = &record.decisions {
            page = page.section("Decisions of people", &decisions.says()).facts(decisions.facts().rows());
        }
        if let Some(split) = &record.split {
            page = page.section("Split", &split.says()).grid(&split.grid());
        }
        page = page.section("Thresholds", &figures::accepted(measured)).grid(&self.thresholds());
        page = page.details("How they were set", |page| page.pairs(&flattened(&self.policy_settings())));
        page = page.section("Limits", "").list(&self.limits());
        if !record.command.is_empty() {
            page = page.section("How to make it again", "").verbatim(&record.command);
            if let Some(recipe) = self.recipe() {
                page = page.details("The recipe", |page| page.lead(&self.again()).verbatim(&recipe));
            }
        }
        page = page
            .details("Architecture", |page| page.pairs(&flattened(&self.architecture)))
            .details("Settings of the fit", |page| page.pairs(&flattened(self.settings())))
            .details("Calibration", |page| page.pairs(&flattened(&self.calibration)));
        if !self.digest.is_empty() {
            page =
                page.section("Identity", "SHA-256 of the manifest, which names every file of the bundle with its own.");
            page = page.verbatim(self.digest);
        }
        Ok(page.html())
    }
}
