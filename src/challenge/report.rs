//! A comparison in sentences and tables, as text and as Markdown.

use super::compare::Found;
use super::evidence::{ByChapter, Contender};
use super::tables::{self, short};
use crate::train::{Grid, percent, tenths, thousands};
use crate::trial::Pairs;

/// Chapters that the table for people has; all are in the other forms.
const WORST_CHAPTERS: usize = 10;

/// Nights that the table for people has, the last ones.
const LAST_NIGHTS: usize = 5;

/// Below this a test of a chapter says that something is proved.
const LEVEL: f64 = 0.05;

/// How the tables are to be read.
const LEVELS: &str = "Texts that both have right, that the champion alone has right (lost by a promotion), that the challenger alone \
                      has right (gained), and neither. The p-value is of McNemar's test, two-sided: exact below 25 discordant texts.";
const BESIDE: &str = "Coverage at a precision is with the best threshold in hindsight, on these very texts. Accepted is what a model's \
                      own policy accepts. The cost was measured in this run, one model after the other, on one thread, with nothing \
                      remembered.";

/// A part of the report: its title, what it says, its rows.
pub(super) type Part = (String, String, Grid);

impl Found {
    /// What was compared, in a line.
    pub fn title(&self) -> String {
        let c = &self.comparison;
        format!("{} against {}", named(&c.challenger), named(&c.champion))
    }

    /// On what, in a sentence.
    pub fn says(&self) -> String {
        let (c, left_out) = (&self.comparison, &self.left_out);
        let rows = match c.lines.kind.as_str() {
            "decisions" => "decisions",
            _ => "labelled rows",
        };
        let mut says = format!(
            "{} distinct texts of {} {rows} with a code of edition {}, from {}.",
            thousands(c.lines.texts as usize),
            thousands(c.lines.rows as usize),
            c.champion.edition,
            c.lines.source
        );
        let reasons = [
            (left_out.without_code, "without a code of the edition"),
            (left_out.without_text, "without a text"),
            (left_out.without_description, "without a stored description"),
            (left_out.of_another_text, "whose stored description is not the text that was decided on"),
        ];
        let reasons = reasons.iter().filter(|(rows, _)| *rows > 0);
        let reasons: Vec<String> = reasons.map(|(rows, why)| format!("{} {why}", thousands(*rows as usize))).collect();
        if !reasons.is_empty() {
            says += &format!(" Left out: {}.", reasons.join(", "));
        }
        if c.lines.kind == "decisions" && self.nights.is_none() {
            says += " In this lake the challenger never ran beside the champion, so there is no nightly test.";
        }
        says
    }

    /// What the chapters prove, in a sentence.
    pub(super) fn of_chapters(&self) -> String {
        let c = &self.comparison;
        let margin = format!("{:.1} points", 100.0 * c.chapter_margin);
        let of = |proved: &dyn Fn(&ByChapter) -> bool| {
            let names: Vec<&str> = c.chapters.iter().filter(|c| proved(c)).map(|c| c.chapter.as_str()).collect();
            names
        };
        let (worse, not_worse) = (of(&|c| c.worse_p <= LEVEL), of(&|c| c.not_worse_p <= LEVEL));
        let worse_names = if worse.is_empty() { String::new() } else { format!(" ({})", worse.join(", ")) };
        format!(
            "Of {} chapters {} proved to fall by more than {margin}{worse_names}, {} proved not to, and for {} the texts are too few to \
             tell (level {LEVEL}, Holm's correction over all chapters).",
            c.chapters.len(),
            are(worse.len()),
            are(not_worse.len()),
            c.chapters.len() - worse.len() - not_worse.len(),
        )
    }

    /// What the nights prove and what is missing, in a few sentences.
    pub(super) fn of_nights(&self) -> Option<String> {
        let nights = self.nights.as_ref()?;
        let n = &nights.nightly;
        let labelled = n.nights.last().map_or(0, |night| night.discordant);
        let proved = if n.proved { "is proved better" } else { "is not proved better" };
        let mut says = format!(
            "Side by side both answered {} texts, with different codes for {} ({}). Reviewers decided {labelled} of these for one of the \
             two, and called both wrong on {}, which is no evidence. The challenger {proved} at level {} (evidence of {} or more at any \
             night).",
            thousands(nights.texts as usize),
            thousands(nights.differing as usize),
            percent(nights.differing as f64 / nights.texts.max(1) as f64),
            nights.both_wrong,
            n.alpha,
            short(1.0 / n.alpha),
        );
        let effect = format!("an effect of {} points of all texts", short(100.0 * n.effect));
        says += &match (n.pairs_needed, n.pairs_missing) {
            (Some(needed), Some(missing)) => format!(
                " To find {effect} with a chance of {}, {} decided pairs are needed: {} more.",
                percent(self.power),
                thousands(needed as usize),
                thousands(missing as usize)
            ),
            _ => format!(" For {effect} the codes differ on too few texts, however many are decided."),
        };
        Some(says)
    }

    /// The parts of a report in their order; `short` is for people at a terminal.
    pub(super) fn parts(&self, short: bool) -> Vec<Part> {
        let c = &self.comparison;
        let mut parts = vec![
            ("Right at 6, 4 and 2 digits".to_string(), LEVELS.to_string(), tables::levels(&c.levels)),
            ("Side by side".to_string(), BESIDE.to_string(), tables::beside(c)),
        ];
        let most = if short { WORST_CHAPTERS } else { usize::MAX };
        let title = match c.chapters.len().saturating_sub(most) {
            0 => "By chapter, worst first".to_string(),
            more => format!("By chapter, worst first ({more} more in the other forms)"),
        };
        parts.push((title, self.of_chapters(), tables::chapters(c.chapters.iter().take(most))));
        if let (Some(nights), Some(says)) = (&c.nightly, self.of_nights()) {
            let skipped = if short { nights.nights.len().saturating_sub(LAST_NIGHTS) } else { 0 };
            parts.push(("Night by night".to_string(), says, tables::nights(&nights.nights[skipped..])));
        }
        for (title, examples) in [("Lost", &self.lost), ("Gained", &self.gained)] {
            if !examples.is_empty() {
                let says = match title {
                    "Lost" => "The champion alone is right.",
                    _ => "The challenger alone is right.",
                };
                let title = format!("{title}: {} of {} texts", examples.len(), self.of_level(title));
                parts.push((title, says.to_string(), tables::examples(examples)));
            }
        }
        parts
    }

    fn of_level(&self, which: &str) -> String {
        let pairs = self.comparison.levels.first().map_or_else(Pairs::default, |level| level.pairs);
        thousands(if which == "Lost" { pairs.lost } else { pairs.gained } as usize)
    }

    /// Aligned rows of text.
    pub fn lines(&self) -> Vec<String> {
        let churn = format!("Codes differ on {} of the texts.", tenths(self.comparison.churn_ratio));
        let mut out = vec![self.title(), self.says(), churn];
        for (title, says, grid) in self.parts(true) {
            out.extend([String::new(), title.clone()]);
            // What the columns mean stands in the other forms.
            if title.starts_with("By chapter") || title.starts_with("Night") {
                out.push(says);
            }
            out.extend(grid.lines().into_iter().map(|line| format!("  {line}")));
        }
        out
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let churn = tenths(self.comparison.churn_ratio);
        let mut out = format!("# {}\n\n{} Codes differ on {churn} of the texts.\n", self.title(), self.says());
        for (title, says, grid) in self.parts(false) {
            out += &format!("\n## {title}\n\n{says}\n\n{}", grid.markdown());
        }
        out
    }
}

fn named(contender: &Contender) -> String {
    format!("{}@{}", contender.name, contender.version)
}

fn are(count: usize) -> String {
    match count {
        0 => "none is".to_string(),
        1 => "1 is".to_string(),
        many => format!("{many} are"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::DateTime;

    use super::super::counted::{Told, chapters, churn_ratio, examples, levels};
    use super::super::evidence::{
        Accepted, Calibration, Comparison, Cost, Coverage, EVIDENCE_FORMAT_VERSION, Lines, Night, Nightly,
    };
    use super::super::lines::LeftOut;
    use super::super::nightly::Nights;
    use super::*;
    use crate::tariff::Subheading;

    /// Two chapters; of 73 one text is lost, of 84 one is gained.
    pub(in super::super) fn found() -> Found {
        let code = |text: &str| -> Subheading { text.parse().unwrap() };
        let told = |truth: &str, champion: Option<&str>, challenger: Option<&str>| Told {
            truth: code(truth),
            champion: champion.map(code),
            challenger: challenger.map(code),
        };
        let told = [
            told("731815", Some("731815"), Some("731815")),
            told("731815", Some("731815"), None),
            told("847130", Some("847141"), Some("847130")),
        ];
        let texts = ["bolt", "<b>nut</b>", "laptop"].map(|text| (text.to_string(), code("731815")));
        let (lost, gained) = examples(&told, &texts, 10);
        let contender = |version| Contender {
            name: "hs".into(),
            version,
            digest: format!("{version}").repeat(64),
            policy_digest: "a".repeat(64),
            edition: "2022".into(),
        };
        let accepted =
            Accepted { texts: 0, coverage_ratio: 0.0, precision: None, precision_low: 0.0, precision_high: 1.0 };
        let calibration = Calibration { hs6: 0.01, hs4: 0.02, hs2: 0.03 };
        let cost = Cost { cpu_secs_per_million: 12.5, memory_bytes: None, bundle_bytes: 3_000_000 };
        let night =
            |date: &str, discordant, gained, ln_evidence| Night { date: date.into(), discordant, gained, ln_evidence };
        let nightly = Nightly {
            alpha: 0.05,
            nights: vec![night("2026-03-02", 1, 1, 0.4), night("2026-03-05", 4, 3, -20.0)],
            proved: false,
            effect: 0.01,
            pairs_needed: Some(1_234),
            pairs_missing: Some(1_230),
        };
        let comparison = Comparison {
            format_version: EVIDENCE_FORMAT_VERSION,
            compared_at: DateTime::UNIX_EPOCH.to_rfc3339(),
            champion: contender(1),
            challenger: contender(2),
            lines: Lines { kind: "decisions".into(), source: "lake".into(), rows: 4, texts: 3, digest: "d".repeat(64) },
            levels: levels(&told).unwrap(),
            chapter_margin: 0.02,
            chapters: chapters(&told, 0.02).unwrap(),
            churn_ratio: churn_ratio(&told),
            coverage: vec![Coverage { precision: 0.95, champion_ratio: 0.5, challenger_ratio: 0.625 }],
            champion_accepted: accepted.clone(),
            challenger_accepted: accepted,
            champion_calibration: calibration.clone(),
            challenger_calibration: calibration,
            champion_cost: cost.clone(),
            challenger_cost: cost,
            nightly: Some(nightly.clone()),
            report_sha256: None,
        };
        Found {
            comparison,
            left_out: LeftOut { without_code: 2, ..LeftOut::default() },
            nights: Some(Nights { nightly, texts: 100, differing: 10, both_wrong: 1 }),
            power: 0.8,
            lost,
            gained,
        }
    }

    #[test]
    fn people_read_what_was_compared_and_what_is_missing() {
        let text = found().lines().join("\n");
        for said in [
            "hs@2 against hs@1",
            "3 distinct texts of 4 decisions with a code of edition 2022, from lake. Left out: 2 without a code of the edition.",
            "Codes differ on 66.7 % of the texts.",
            "coverage at 95 % precision",
            "for 2 the texts are too few",
            "1,234 decided pairs are needed: 1,230 more",
            "different codes for 10 (10.00 %)",
            "10^-8.7",
            "Lost: 1 of 1 texts",
            "<b>nut</b>",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(found().markdown().contains("| 73 | 2 |"), "{}", found().markdown());
    }
}
