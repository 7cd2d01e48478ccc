//! A comparison as one self-contained page.

use super::compare::Found;
use super::evidence::{Contender, Nightly};
use super::tables::p_value;
use crate::error::Result;
use crate::train::{Figure, Page, Range, differences, evidence, signed, tenths, thousands};

/// Chapters that are drawn, the worst ones.
const DRAWN_CHAPTERS: usize = 25;

impl Found {
    /// The page, the same bytes for the same findings.
    ///
    /// # Errors
    /// `Bug` when it cannot be drawn.
    pub fn html(&self) -> Result<String> {
        let c = &self.comparison;
        let mut drawings = vec![self.drawn_chapters()?];
        if let Some(nightly) = &c.nightly {
            drawings.push(drawn_nights(nightly)?);
        }
        let mut page = Page::new(&self.title()).lead(&self.says()).tiles(&self.tiles()).figures(&drawings);
        for (title, says, grid) in self.parts(false) {
            page = page.section(&title, &says).grid(&grid);
        }
        Ok(page.section("What was compared", "").pairs(&self.facts()).html())
    }

    fn tiles(&self) -> Vec<(String, &'static str)> {
        let c = &self.comparison;
        let mut tiles = vec![(thousands(c.lines.texts as usize), "distinct texts")];
        if let Some(six) = c.levels.first() {
            tiles.extend([
                (tenths(six.champion_accuracy), "champion right at six digits"),
                (tenths(six.challenger_accuracy), "challenger right at six digits"),
                (format!("{} points", signed(100.0 * six.difference)), "difference"),
                (p_value(six.mcnemar.p_value), "p-value of the difference"),
            ]);
        }
        tiles.push((tenths(c.churn_ratio), "get another code"));
        tiles
    }

    fn drawn_chapters(&self) -> Result<Figure> {
        let c = &self.comparison;
        let range = |c: &super::ByChapter| Range {
            name: c.chapter.clone(),
            at: c.difference,
            low: c.interval.low,
            high: c.interval.high,
        };
        let ranges: Vec<Range> = c.chapters.iter().take(DRAWN_CHAPTERS).map(range).collect();
        let title = match c.chapters.len() {
            all if all > ranges.len() => format!("Difference by chapter: the worst {} of {all}", ranges.len()),
            _ => "Difference by chapter".to_string(),
        };
        Ok(Figure {
            svg: differences("Difference by chapter", &ranges, -c.chapter_margin)?,
            title,
            marks: vec![
                ("●", "challenger less champion at six digits, in points, with its 95 % interval".to_string()),
                ("│", "the largest drop that is allowed".to_string()),
            ],
            says: "Worst first by the upper end of the interval. The intervals are of each chapter by itself.".into(),
        })
    }

    /// What the figures belong to.
    fn facts(&self) -> Vec<[String; 2]> {
        let c = &self.comparison;
        let mut facts = Vec::new();
        let mut contender = |role: &str, of: &Contender| {
            facts.push([role.to_string(), format!("{}@{}", of.name, of.version)]);
            facts.push([format!("{role}'s digest"), of.digest.clone()]);
            facts.push([format!("{role}'s policy"), of.policy_digest.clone()]);
        };
        contender("champion", &c.champion);
        contender("challenger", &c.challenger);
        facts.push(["edition".into(), c.champion.edition.clone()]);
        facts.push(["lines".into(), c.lines.source.clone()]);
        facts.push(["digest of texts and codes".into(), c.lines.digest.clone()]);
        facts.push(["compared at".into(), c.compared_at.clone()]);
        facts
    }
}

fn drawn_nights(nightly: &Nightly) -> Result<Figure> {
    let ten = std::f64::consts::LN_10;
    let dates: Vec<String> = nightly.nights.iter().map(|night| night.date.clone()).collect();
    let powers: Vec<f64> = nightly.nights.iter().map(|night| night.ln_evidence / ten).collect();
    Ok(Figure {
        title: "Evidence night by night".into(),
        svg: evidence("Evidence night by night", &dates, &powers, -nightly.alpha.ln() / ten)?,
        marks: vec![
            ("●", "evidence that the challenger wins more than half of the pairs".to_string()),
            ("─", format!("1 / {}, from which on it is proved", nightly.alpha)),
        ],
        says: "It may be looked at every night, and one may stop at any of them (Ville 1939; Robbins 1970).".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::found;

    #[test]
    fn the_page_has_its_drawings_and_tables_and_nothing_breaks_out_of_it() {
        let found = found();
        let html = found.html().unwrap();
        assert_eq!(html.matches("<svg").count(), 2);
        for said in ["hs@2 against hs@1", "Difference by chapter", "Evidence night by night", "&lt;b&gt;nut&lt;/b&gt;"]
        {
            assert!(html.contains(said), "{said}");
        }
        assert!(!html.contains("<b>nut") && !html.contains("http") && !html.contains("<script"));
        assert_eq!(html, found.html().unwrap());
    }

    #[test]
    fn without_decisions_there_are_no_nights() {
        let mut found = found();
        (found.nights, found.comparison.nightly) = (None, None);
        let html = found.html().unwrap();
        assert!(html.matches("<svg").count() == 1 && !html.contains("Night by night"), "{html}");
        let text = found.lines().join("\n");
        assert!(!text.contains("decided pairs") && text.contains("never ran beside the champion"), "{text}");
    }
}
