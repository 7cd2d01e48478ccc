//! Evidence that is read back: whether it is a comparison of this layout, and whether its figures follow from its counts.
//!
//! Always holds: what passes has three levels of which each counts every text, chapters that together are the texts at six
//! digits, shares between 0 and 1, and the intervals, p-values and nightly evidence that `trial` computes from its counts.
//! Refuses: judging whether the figures are good enough; that is `verdict`.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::evidence::{Accepted, Comparison, Contender, EVIDENCE_FORMAT_VERSION, Nightly};
use crate::trial::{Pairs, drop_beyond, holm, interval, ln_evidence};

/// Level of the intervals of a comparison.
const LEVEL: f64 = 0.95;
/// Largest distance between a figure and what the counts give: a decimal that was written and read again.
const CLOSE: f64 = 1e-6;

impl Comparison {
    /// The comparison in a JSON value.
    ///
    /// # Errors
    /// Why it is none, or which of its figures do not fit together.
    pub fn read(json: &Value) -> Result<Comparison, String> {
        let version = json.get("format_version").and_then(Value::as_u64);
        if version != Some(u64::from(EVIDENCE_FORMAT_VERSION)) {
            let found = version.map_or("none".to_owned(), |found| found.to_string());
            return Err(format!("it is no comparison of format version {EVIDENCE_FORMAT_VERSION}, but of {found}"));
        }
        let comparison: Comparison =
            serde_json::from_value(json.clone()).map_err(|e| format!("it is no comparison: {e}"))?;
        comparison.check()?;
        Ok(comparison)
    }

    /// When it was made.
    ///
    /// # Errors
    /// For a text that is no time.
    pub fn time(&self) -> Result<DateTime<Utc>, String> {
        let time = DateTime::parse_from_rfc3339(&self.compared_at).map(|t| t.to_utc());
        time.map_err(|e| format!("compared_at {:?}: {e}", self.compared_at))
    }

    fn check(&self) -> Result<(), String> {
        self.time()?;
        for (who, model) in [("champion", &self.champion), ("challenger", &self.challenger)] {
            contender(who, model)?;
        }
        if !["labels", "decisions"].contains(&self.lines.kind.as_str()) {
            return Err(format!("lines.kind {:?} is neither labels nor decisions", self.lines.kind));
        }
        self.check_levels()?;
        self.check_chapters()?;
        share("churn_ratio", self.churn_ratio)?;
        for coverage in &self.coverage {
            share("coverage precision", coverage.precision)?;
            share("coverage champion_ratio", coverage.champion_ratio)?;
            share("coverage challenger_ratio", coverage.challenger_ratio)?;
        }
        accepted("champion_accepted", &self.champion_accepted, self.lines.texts)?;
        accepted("challenger_accepted", &self.challenger_accepted, self.lines.texts)?;
        for error in [&self.champion_calibration, &self.challenger_calibration] {
            [error.hs6, error.hs4, error.hs2].into_iter().try_for_each(|error| share("calibration", error))?;
        }
        for cost in [&self.champion_cost, &self.challenger_cost] {
            if !(cost.cpu_secs_per_million.is_finite() && cost.cpu_secs_per_million >= 0.0) {
                return Err(format!("cpu_secs_per_million {} is no time", cost.cpu_secs_per_million));
            }
        }
        self.nightly.as_ref().map_or(Ok(()), nightly)
    }

    fn check_levels(&self) -> Result<(), String> {
        let mut digits: Vec<u64> = self.levels.iter().map(|level| level.digits).collect();
        digits.sort_unstable();
        if digits != [2, 4, 6] {
            return Err(format!("its levels are {digits:?} and not 2, 4 and 6 digits"));
        }
        for level in &self.levels {
            let named = |what: &str| format!("{what} at {} digits", level.digits);
            let Pairs { both_right, lost, gained, .. } = level.pairs;
            counted(&named("pairs"), lines(&level.pairs), self.lines.texts)?;
            let texts = self.lines.texts.max(1) as f64;
            close(&named("champion_accuracy"), level.champion_accuracy, (both_right + lost) as f64 / texts)?;
            close(&named("challenger_accuracy"), level.challenger_accuracy, (both_right + gained) as f64 / texts)?;
            close(&named("difference"), level.difference, level.pairs.difference())?;
            let expected = interval(&level.pairs, LEVEL).map_err(|e| e.to_string())?;
            close(&named("interval"), level.interval.low, expected.low)?;
            close(&named("interval"), level.interval.high, expected.high)?;
        }
        Ok(())
    }

    fn check_chapters(&self) -> Result<(), String> {
        share("chapter_margin", self.chapter_margin)?;
        let mut names: Vec<&str> = self.chapters.iter().map(|c| c.chapter.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("chapter {} is there twice", twice[0]));
        }
        // A chapter that was left out could be the one that falls.
        let all = self.levels.iter().find(|level| level.digits == 6).map(|level| level.pairs).unwrap_or_default();
        let sum = |pick: fn(&Pairs) -> u64| {
            self.chapters.iter().fold(0u64, |sum, chapter| sum.saturating_add(pick(&chapter.pairs)))
        };
        counted("both_right of the chapters", sum(|p| p.both_right), all.both_right)?;
        counted("lost of the chapters", sum(|p| p.lost), all.lost)?;
        counted("gained of the chapters", sum(|p| p.gained), all.gained)?;
        counted("both_wrong of the chapters", sum(|p| p.both_wrong), all.both_wrong)?;
        let falls = self.chapters.iter().map(|chapter| drop_beyond(&chapter.pairs, self.chapter_margin));
        let falls = falls.collect::<crate::error::Result<Vec<_>>>().map_err(|e| e.to_string())?;
        let worse = holm(&falls.iter().map(|fall| fall.worse_p).collect::<Vec<_>>());
        for (chapter, worse) in self.chapters.iter().zip(worse) {
            let named = |what: &str| format!("{what} of chapter {}", chapter.chapter);
            close(&named("difference"), chapter.difference, chapter.pairs.difference())?;
            close(&named("worse_p"), chapter.worse_p, worse)?;
        }
        Ok(())
    }
}

fn contender(who: &str, model: &Contender) -> Result<(), String> {
    let digest = &model.digest;
    if digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(format!("the {who}'s digest {digest:?} is not a SHA-256 digest"))
}

/// All of them, from counts that anyone may have written.
fn lines(pairs: &Pairs) -> u64 {
    let Pairs { both_right, lost, gained, both_wrong } = *pairs;
    both_right.saturating_add(lost).saturating_add(gained).saturating_add(both_wrong)
}

fn accepted(what: &str, accepted: &Accepted, texts: u64) -> Result<(), String> {
    if accepted.texts > texts {
        return Err(format!("{what}: {} texts of {texts}", accepted.texts));
    }
    close(&format!("coverage_ratio of {what}"), accepted.coverage_ratio, accepted.texts as f64 / texts.max(1) as f64)?;
    share("precision_low", accepted.precision_low)?;
    share("precision_high", accepted.precision_high)?;
    match accepted.precision {
        None if accepted.texts > 0 => Err(format!("{what} has texts and no precision")),
        Some(_) if accepted.texts == 0 => Err(format!("{what} has a precision and no texts")),
        Some(precision) if !(accepted.precision_low - CLOSE..=accepted.precision_high + CLOSE).contains(&precision) => {
            Err(format!("{what}: the precision {precision} is not in its interval"))
        }
        _ => Ok(()),
    }
}

fn nightly(nightly: &Nightly) -> Result<(), String> {
    if !(nightly.alpha > 0.0 && nightly.alpha < 1.0) {
        return Err(format!("alpha of the nightly test is {}", nightly.alpha));
    }
    for night in &nightly.nights {
        let Some(lost) = night.discordant.checked_sub(night.gained) else {
            return Err(format!("night {}: {} of {} pairs won", night.date, night.gained, night.discordant));
        };
        let expected = ln_evidence(lost, night.gained);
        if (night.ln_evidence - expected).abs() > CLOSE * expected.abs().max(1.0) {
            return Err(format!("night {}: the evidence is {expected}, not {}", night.date, night.ln_evidence));
        }
    }
    let proved = nightly.nights.iter().any(|night| night.ln_evidence >= -nightly.alpha.ln());
    if proved == nightly.proved {
        Ok(())
    } else {
        Err(format!("the nights prove {proved}, it says {}", nightly.proved))
    }
}

fn share(what: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(format!("{what} {value} is no share from 0 to 1")) }
}

fn counted(what: &str, found: u64, expected: u64) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found}, which should be {expected}")) }
}

fn close(what: &str, found: f64, expected: f64) -> Result<(), String> {
    if (found - expected).abs() <= CLOSE {
        return Ok(());
    }
    Err(format!("{what}: {found}, which by its counts is {expected}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::challenge::{ByChapter, ByLevel, Calibration, Cost, Coverage, Lines, Night};
    use crate::trial::mcnemar;

    /// 1,000 texts in two chapters: the challenger is better in the first and equal in the second.
    pub(in crate::challenge) fn comparison() -> Comparison {
        from_chapters(&[
            ("61", Pairs { both_right: 400, lost: 10, gained: 40, both_wrong: 50 }),
            ("87", Pairs { both_right: 400, lost: 20, gained: 20, both_wrong: 60 }),
        ])
    }

    /// A comparison whose figures follow from these counts.
    pub(in crate::challenge) fn from_chapters(chapters: &[(&str, Pairs)]) -> Comparison {
        let margin = 0.05;
        let mut all = Pairs::default();
        for (_, pairs) in chapters {
            all.both_right += pairs.both_right;
            all.lost += pairs.lost;
            all.gained += pairs.gained;
            all.both_wrong += pairs.both_wrong;
        }
        let texts = all.lines();
        let level = |digits| ByLevel {
            digits,
            champion_accuracy: (all.both_right + all.lost) as f64 / texts as f64,
            challenger_accuracy: (all.both_right + all.gained) as f64 / texts as f64,
            pairs: all,
            difference: all.difference(),
            interval: interval(&all, 0.95).unwrap(),
            mcnemar: mcnemar(&all).unwrap(),
        };
        let falls: Vec<_> = chapters.iter().map(|(_, pairs)| drop_beyond(pairs, margin).unwrap()).collect();
        let not_worse = holm(&falls.iter().map(|f| f.not_worse_p).collect::<Vec<_>>());
        let worse = holm(&falls.iter().map(|f| f.worse_p).collect::<Vec<_>>());
        let by_chapter = chapters.iter().enumerate().map(|(at, (chapter, pairs))| ByChapter {
            chapter: (*chapter).to_owned(),
            pairs: *pairs,
            difference: pairs.difference(),
            interval: interval(pairs, 0.95).unwrap(),
            churn_ratio: 0.1,
            not_worse_p: not_worse[at],
            worse_p: worse[at],
        });
        let contender = |version: u64, digest: &str| Contender {
            name: "hs".into(),
            version,
            digest: digest.repeat(32),
            policy_digest: "ee".repeat(32),
            edition: "2022".into(),
        };
        let accepted = |share: u64, precision: f64| Accepted {
            texts: texts * share / 100,
            coverage_ratio: (texts * share / 100) as f64 / texts as f64,
            precision: Some(precision),
            precision_low: precision - 0.01,
            precision_high: precision + 0.01,
        };
        let calibration = || Calibration { hs6: 0.02, hs4: 0.015, hs2: 0.01 };
        let cost = |secs| Cost { cpu_secs_per_million: secs, memory_bytes: Some(64 << 20), bundle_bytes: 20 << 20 };
        Comparison {
            format_version: EVIDENCE_FORMAT_VERSION,
            compared_at: "2026-03-01T10:00:00Z".into(),
            champion: contender(1, "aa"),
            challenger: contender(2, "bb"),
            lines: Lines {
                kind: "labels".into(),
                source: "lines".into(),
                rows: texts + 5,
                texts,
                digest: "cd".repeat(32),
            },
            levels: vec![level(6), level(4), level(2)],
            chapter_margin: margin,
            chapters: by_chapter.collect(),
            churn_ratio: 0.1,
            coverage: vec![Coverage { precision: 0.95, champion_ratio: 0.5, challenger_ratio: 0.55 }],
            champion_accepted: accepted(50, 0.97),
            challenger_accepted: accepted(60, 0.98),
            champion_calibration: calibration(),
            challenger_calibration: calibration(),
            champion_cost: cost(100.0),
            challenger_cost: cost(120.0),
            nightly: Some(nights(&[(3, 2), (20, 18)])),
            report_sha256: Some("ff".repeat(32)),
        }
    }

    /// Discordant pairs so far and those that the challenger won, night by night.
    pub(in crate::challenge) fn nights(pairs: &[(u64, u64)]) -> Nightly {
        let night = |&(discordant, gained): &(u64, u64)| {
            let ln_evidence = ln_evidence(discordant - gained, gained);
            Night { date: "2026-02-28".into(), discordant, gained, ln_evidence }
        };
        let nights: Vec<Night> = pairs.iter().map(night).collect();
        let proved = nights.iter().any(|night| night.ln_evidence >= 20f64.ln());
        Nightly { alpha: 0.05, nights, proved, effect: 0.6, pairs_needed: Some(153), pairs_missing: Some(133) }
    }

    fn refusal(change: impl FnOnce(&mut Comparison)) -> String {
        let mut changed = comparison();
        change(&mut changed);
        Comparison::read(&serde_json::to_value(changed).unwrap()).unwrap_err()
    }

    #[test]
    fn a_comparison_is_read_back_as_it_was_written() {
        let written = comparison();
        let json = serde_json::to_string_pretty(&written).unwrap();
        let read = Comparison::read(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(
            (&read.champion, &read.challenger, &read.lines),
            (&written.champion, &written.challenger, &written.lines)
        );
        assert_eq!(read.levels[0].pairs, written.levels[0].pairs);
        assert_eq!(read.time().unwrap().timestamp(), 1_772_359_200);
    }

    #[test]
    fn evidence_of_another_layout_is_no_comparison() {
        assert!(refusal(|c| c.format_version = 2).contains("format version 1, but of 2"));
        assert!(Comparison::read(&serde_json::json!({"p": 0.01})).unwrap_err().contains("but of none"));
        let mut json = serde_json::to_value(comparison()).unwrap();
        json["colour"] = 1.into();
        assert!(Comparison::read(&json).unwrap_err().contains("unknown field `colour`"));
    }

    #[test]
    fn figures_that_do_not_follow_from_the_counts_are_refused() {
        assert!(refusal(|c| c.levels[0].interval.low = 0.5).contains("interval at 6 digits"));
        assert!(refusal(|c| c.levels[1].difference = 0.5).contains("difference at 4 digits"));
        assert!(refusal(|c| c.levels[2].challenger_accuracy = 1.0).contains("challenger_accuracy at 2 digits"));
        assert!(refusal(|c| c.levels[0].pairs.lost = 0).contains("pairs at 6 digits"));
        assert!(refusal(|c| c.levels.truncate(2)).contains("not 2, 4 and 6 digits"));
        assert!(refusal(|c| c.lines.texts = 7).contains("should be 7"));
        assert!(refusal(|c| c.chapters.truncate(1)).contains("of the chapters"));
        assert!(refusal(|c| c.chapters[1].chapter = "61".into()).contains("chapter 61 is there twice"));
        assert!(refusal(|c| c.chapters[0].worse_p = 0.5).contains("worse_p of chapter 61"));
        // The same counts, said to be tested for another margin.
        let mut falls = from_chapters(&[("87", Pairs { both_right: 400, lost: 80, gained: 5, both_wrong: 60 })]);
        assert!(Comparison::read(&serde_json::to_value(&falls).unwrap()).is_ok());
        falls.chapter_margin = 0.2;
        let why = Comparison::read(&serde_json::to_value(&falls).unwrap()).unwrap_err();
        assert!(why.contains("worse_p of chapter 87"), "{why}");
        assert!(refusal(|c| c.challenger_accepted.coverage_ratio = 0.9).contains("coverage_ratio of challenger"));
        assert!(refusal(|c| c.challenger_accepted.precision = Some(0.5)).contains("not in its interval"));
        assert!(refusal(|c| c.challenger_accepted.precision = None).contains("no precision"));
        assert!(refusal(|c| c.churn_ratio = 1.5).contains("churn_ratio 1.5"));
        assert!(refusal(|c| c.challenger_calibration.hs4 = -0.1).contains("calibration -0.1"));
        assert!(refusal(|c| c.challenger_cost.cpu_secs_per_million = -1.0).contains("no time"));
        let nightly = |change: fn(&mut Nightly)| refusal(|c| change(c.nightly.as_mut().unwrap()));
        assert!(nightly(|n| n.nights[1].ln_evidence = 9.0).contains("the evidence is"));
        assert!(nightly(|n| n.proved = !n.proved).contains("the nights prove"));
        assert!(nightly(|n| n.nights[0].gained = 9).contains("9 of 3 pairs won"));
        assert!(refusal(|c| c.compared_at = "yesterday".into()).contains("compared_at"));
        assert!(refusal(|c| c.challenger.digest = "AB".repeat(32)).contains("not a SHA-256"));
        assert!(refusal(|c| c.lines.kind = "guesses".into()).contains("neither labels nor decisions"));
    }
}
