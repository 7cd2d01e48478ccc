//! Gates and evidence in, one row for each gate out: limit, what was found, whether it is kept, and if not, why.
//!
//! Always holds: evidence that is no sound comparison, or that is about other versions than the two in question, has a red
//! row whatever the gates are; no clock and no storage. Refuses: promoting; whoever calls does that, or not.

use std::fmt::Display;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::evidence::{ByLevel, Comparison};
use super::gates::{Gates, Required};

/// From which p-value on a fall is not proved, and the weakest nightly test that proves.
const ALPHA: f64 = 0.05;
/// How far clocks of machines may differ.
const CLOCKS_DIFFER: Duration = Duration::hours(1);

/// What a challenger did beside the champion, by the runs of a lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// Runs of the present champion in which it was scored too.
    pub runs: u64,
    /// Lines that it answered in these.
    pub lines: u64,
}

/// What a promotion is judged on.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The alias that is to be moved.
    pub alias: &'a str,
    /// SHA-256 of the manifest of the version that it names now, if it names one.
    pub champion: Option<&'a str>,
    /// SHA-256 of the manifest of the version that it is to name.
    pub challenger: &'a str,
    /// The evidence, or why it is none.
    pub comparison: Result<&'a Comparison, &'a str>,
    /// SHA-256 of the report's page that was given.
    pub report: Option<&'a str>,
    pub shadow: Shadow,
    /// Who approved.
    pub approved_by: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    pub gate: &'static str,
    pub limit: String,
    pub found: String,
    pub passed: bool,
    /// Of a gate that is not passed: why, and what to do.
    pub explanation: Option<String>,
}

/// What was found about one gate.
struct Finding {
    found: String,
    passed: bool,
    why: String,
}

fn finding(found: impl Display, passed: bool, why: impl Into<String>) -> Finding {
    Finding { found: found.to_string(), passed, why: why.into() }
}

/// Judges all gates that are in force, in the order of the documentation.
pub fn judge(gates: &Gates, facts: &Facts) -> Vec<Judged> {
    let mut bench = Bench { rows: Vec::new(), comparison: facts.comparison.ok() };
    bench.evidence_itself(gates, facts);
    bench.figures(gates);
    bench.ask("min_texts", gates.min_texts, |c, least| {
        let texts = c.lines.texts;
        finding(texts, texts >= least, "too few distinct texts were compared; add labelled lines")
    });
    let age = gates.max_evidence_age_days;
    bench.ask("max_evidence_age_days", age, |c, most| evidence_age(c, most, facts.now));
    for required in &gates.require {
        bench.required(*required);
    }
    let beside = "run `harmonize classify --challenger` with the present champion as --model until there are enough";
    let shadow = facts.shadow;
    bench.row("min_shadow_runs", gates.min_shadow_runs, |least| finding(shadow.runs, shadow.runs >= least, beside));
    bench.row("min_shadow_lines", gates.min_shadow_lines, |least| finding(shadow.lines, shadow.lines >= least, beside));
    bench.row("human_approval", gates.human_approval.then_some("a name"), |_| {
        let why = "a person has to approve: run again with --approved-by NAME";
        finding(facts.approved_by.unwrap_or("none"), facts.approved_by.is_some(), why)
    });
    bench.rows
}

struct Bench<'a> {
    rows: Vec<Judged>,
    comparison: Option<&'a Comparison>,
}

impl Bench<'_> {
    /// One gate, if it has a limit.
    fn row<L: Display + Copy>(&mut self, gate: &'static str, limit: Option<L>, judge: impl FnOnce(L) -> Finding) {
        let Some(limit) = limit else { return };
        let Finding { found, passed, why } = judge(limit);
        let explanation = (!passed).then_some(why);
        self.rows.push(Judged { gate, limit: limit.to_string(), found, passed, explanation });
    }

    /// One gate about the comparison.
    fn ask<L: Display + Copy>(
        &mut self,
        gate: &'static str,
        limit: Option<L>,
        judge: impl FnOnce(&Comparison, L) -> Finding,
    ) {
        let comparison = self.comparison;
        self.row(gate, limit, |limit| match comparison {
            Some(comparison) => judge(comparison, limit),
            None => finding("-", false, "there is no comparison to judge by"),
        });
    }

    /// That it is a comparison of the two versions in question, and that the report is the one that it came with.
    fn evidence_itself(&mut self, gates: &Gates, facts: &Facts) {
        self.row("evidence", Some("a comparison"), |_| match facts.comparison {
            Ok(c) => finding(format!("over {} texts of {}", c.lines.texts, c.lines.kind), true, ""),
            Err(why) => {
                let next = "compare again: harmonize models compare --evidence FILE --report FILE";
                finding("none", false, format!("{why}; {next}"))
            }
        });
        let again = "compare the two versions again";
        self.ask("challenger", Some(short(facts.challenger)), |c, _| {
            let about = &c.challenger;
            let why = format!(
                "the evidence is about {}@{} with another digest, not about the version to be promoted; {again}",
                about.name, about.version
            );
            finding(short(&about.digest), about.digest == facts.challenger, why)
        });
        match facts.champion {
            Some(champion) => self.ask("champion", Some(short(champion)), |c, _| {
                let about = &c.champion;
                let why = format!(
                    "the evidence is against {}@{}, which {} does not name now; {again}",
                    about.name, about.version, facts.alias
                );
                finding(short(&about.digest), about.digest == champion, why)
            }),
            None => self.row("champion", Some("a version"), |_| {
                let why = format!(
                    "{} names no version yet, so there is nothing to compare with: the first one is a person's decision; \
                     promote it without a --config (and HARMONIZE_CONFIG) that has [gates]",
                    facts.alias
                );
                finding("none", false, why)
            }),
        }
        let named = self.comparison.and_then(|c| c.report_sha256.as_deref());
        let wanted = gates.require.contains(&Required::Report);
        if named.is_some() || wanted || facts.report.is_some() {
            self.row("report", Some(named.map_or("a report", short)), |_| {
                let why = match (named, facts.report) {
                    (None, _) => "the evidence names no report; compare again with --report",
                    (Some(_), None) => "give the page that the comparison wrote with --report",
                    (Some(_), Some(_)) => {
                        "the page is not the one that the comparison wrote; give that one, or compare again"
                    }
                };
                let passed = named.is_some() && named == facts.report;
                finding(facts.report.map_or("none", short), passed, why)
            });
        }
    }

    fn figures(&mut self, gates: &Gates) {
        self.ask("min_coverage", gates.min_coverage, |c, least| {
            let found = c.challenger_accepted.coverage_ratio;
            finding(number(found), found >= least, "the challenger's policy accepts too few texts")
        });
        self.ask("min_precision", gates.min_precision, |c, least| {
            let accepted = &c.challenger_accepted;
            let Some(precision) = accepted.precision else {
                return finding("-", false, "the challenger's policy accepts nothing");
            };
            let found = format!("{}, at least {}", number(precision), number(accepted.precision_low));
            let why = if precision < least {
                "too many of the accepted texts are wrong"
            } else {
                "it is not proved: the lower end of the 95 % interval is below the limit; more labelled lines narrow it"
            };
            finding(found, accepted.precision_low >= least, why)
        });
        for (gate, limit, digits) in [
            ("max_drop_hs6", gates.max_drop_hs6, 6),
            ("max_drop_hs4", gates.max_drop_hs4, 4),
            ("max_drop_hs2", gates.max_drop_hs2, 2),
        ] {
            self.ask(gate, limit, |c, most| match c.levels.iter().find(|level| level.digits == digits) {
                Some(level) => drop_at(level, most),
                None => finding("-", false, "the comparison has no such level"),
            });
        }
        self.ask("max_chapter_drop", gates.max_chapter_drop, chapters);
        self.ask("max_calibration_error", gates.max_calibration_error, |c, most| {
            let error = &c.challenger_calibration;
            let worst = error.hs6.max(error.hs4).max(error.hs2);
            finding(number(worst), worst <= most, "the challenger's confidences are not its precision")
        });
        self.ask("max_churn", gates.max_churn, |c, most| {
            let why = "more texts than that change their code; look at the report";
            finding(number(c.churn_ratio), c.churn_ratio <= most, why)
        });
        self.ask("max_slowdown", gates.max_slowdown, |c, most| {
            let (before, after) = (c.champion_cost.cpu_secs_per_million, c.challenger_cost.cpu_secs_per_million);
            if before <= 0.0 || after <= 0.0 {
                return finding("-", false, "the CPU time of a model was not measured; compare again");
            }
            finding(number(after / before), after / before <= most, "an answer costs more CPU time than that")
        });
        self.ask("max_memory_bytes", gates.max_memory_bytes, |c, most| match c.challenger_cost.memory_bytes {
            Some(bytes) => finding(bytes, bytes <= most, "the compiled model takes more memory than that"),
            None => finding("-", false, "the system did not say how much memory it takes; compare on another one"),
        });
    }

    fn required(&mut self, required: Required) {
        let kind = |c: &Comparison, wanted: &str| {
            let why = format!("the comparison has to be over {wanted}");
            finding(&c.lines.kind, c.lines.kind == wanted, why)
        };
        match required {
            Required::Labels => self.ask("require_labels", Some("labels"), kind),
            Required::Decisions => self.ask("require_decisions", Some("decisions"), kind),
            Required::Nightly => self.ask("require_nightly", Some("proved"), |c, _| nightly(c)),
            // A row of its own is there already.
            Required::Report => {}
        }
    }
}

fn evidence_age(comparison: &Comparison, most: u64, now: DateTime<Utc>) -> Finding {
    let Ok(at) = comparison.time() else {
        return finding("-", false, "the comparison has no time");
    };
    let age = now.signed_duration_since(at);
    if age < -CLOCKS_DIFFER {
        return finding("-", false, "the comparison is from the future; set the clocks");
    }
    let days = age.num_seconds().max(0) as f64 / 86_400.0;
    finding(format!("{days:.1}"), days <= most as f64, "the comparison is too old; compare again")
}

fn drop_at(level: &ByLevel, most: f64) -> Finding {
    let (low, high) = (level.interval.low, level.interval.high);
    let found = format!("{} ({} to {})", signed(level.difference), signed(low), signed(high));
    let why = if high < -most {
        "it is proved that accuracy falls by more"
    } else {
        "it is not proved that accuracy falls by less: the 95 % interval of the difference reaches below; more labelled lines \
         narrow it"
    };
    finding(found, low > -most, why)
}

fn chapters(comparison: &Comparison, most: f64) -> Finding {
    // The p-values are about the margin that they were computed for.
    if (comparison.chapter_margin - most).abs() > 1e-9 {
        let margin = number(comparison.chapter_margin);
        let why = format!(
            "its chapters were tested for a drop of {margin}; compare again with --chapter-margin {}",
            number(most)
        );
        return finding(format!("tested for {margin}"), false, why);
    }
    let worse: Vec<String> = comparison
        .chapters
        .iter()
        .filter(|chapter| chapter.worse_p < ALPHA)
        .map(|chapter| format!("{} ({})", chapter.chapter, signed(chapter.difference)))
        .collect();
    let why = format!("proved to fall by more, after Holm's correction: chapter {}", worse.join(", "));
    let all = comparison.chapters.len();
    finding(format!("{} of {all} chapters worse", worse.len()), worse.is_empty() && all > 0, why)
}

fn nightly(comparison: &Comparison) -> Finding {
    let Some(nightly) = &comparison.nightly else {
        return finding("none", false, "the comparison has no nightly test; compare with --decisions");
    };
    if nightly.alpha > ALPHA {
        let why = format!("its level has to be {ALPHA} at most; compare again");
        return finding(format!("level {}", number(nightly.alpha)), false, why);
    }
    let pairs = nightly.nights.last().map_or(0, |night| night.discordant);
    let missing = match nightly.pairs_missing {
        Some(missing) => format!("about {missing} more decided discordant texts are needed"),
        None => "it may never be".to_owned(),
    };
    let why = format!(
        "not proved better by {pairs} decided discordant texts: {missing}; see harmonize models request-labels"
    );
    finding(if nightly.proved { "proved" } else { "open" }, nightly.proved, why)
}

/// The beginning of a digest.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// At most six decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn signed(value: f64) -> String {
    format!("{value:+.4}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::sound::tests::{comparison, from_chapters, nights};
    use crate::trial::Pairs;

    fn now() -> DateTime<Utc> {
        "2026-03-04T10:00:00Z".parse().unwrap()
    }

    /// Gates and facts under which all is green.
    struct Case {
        gates: Gates,
        comparison: Comparison,
        report: Option<String>,
        champion: Option<String>,
        shadow: Shadow,
        approved_by: Option<&'static str>,
    }

    impl Case {
        fn new(gates: Gates) -> Case {
            Case {
                gates,
                comparison: comparison(),
                report: Some("ff".repeat(32)),
                champion: Some("aa".repeat(32)),
                shadow: Shadow { runs: 3, lines: 1_000 },
                approved_by: None,
            }
        }

        fn rows(&self) -> Vec<Judged> {
            let facts = Facts {
                alias: "champion",
                champion: self.champion.as_deref(),
                challenger: &"bb".repeat(32),
                comparison: Ok(&self.comparison),
                report: self.report.as_deref(),
                shadow: self.shadow,
                approved_by: self.approved_by,
                now: now(),
            };
            judge(&self.gates, &facts)
        }

        /// The rows that are red.
        fn red(&self) -> Vec<Judged> {
            self.rows().into_iter().filter(|row| !row.passed).collect()
        }

        fn green(&self) {
            assert_eq!(self.red(), []);
        }

        /// The one row that is red, and its words.
        fn only(&self, gate: &str, words: &str) {
            let red = self.red();
            let gates: Vec<&str> = red.iter().map(|row| row.gate).collect();
            assert_eq!(gates, [gate]);
            let why = red[0].explanation.as_deref().unwrap();
            assert!(why.contains(words), "{gate}: {why}");
        }
    }

    /// Passed with the first limit, not passed with the second.
    fn both(gate: &str, passes: Gates, fails: Gates, words: &str) {
        let green = Case::new(passes);
        green.green();
        assert!(green.rows().iter().any(|row| row.gate == gate && row.explanation.is_none()), "{gate}");
        Case::new(fails).only(gate, words);
    }

    #[test]
    fn each_limit_on_a_figure_passes_what_keeps_it_and_stops_what_does_not() {
        let none = Gates::default;
        let coverage = |v| Gates { min_coverage: Some(v), ..none() };
        both("min_coverage", coverage(0.6), coverage(0.601), "accepts too few");
        let precision = |v| Gates { min_precision: Some(v), ..none() };
        both("min_precision", precision(0.97), precision(0.975), "not proved");
        both("min_precision", precision(0.97), precision(0.99), "too many of the accepted");
        let error = |v| Gates { max_calibration_error: Some(v), ..none() };
        both("max_calibration_error", error(0.02), error(0.019), "confidences");
        let churn = |v| Gates { max_churn: Some(v), ..none() };
        both("max_churn", churn(0.1), churn(0.09), "change their code");
        let slow = |v| Gates { max_slowdown: Some(v), ..none() };
        both("max_slowdown", slow(1.2), slow(1.19), "CPU time");
        let memory = |v| Gates { max_memory_bytes: Some(v), ..none() };
        both("max_memory_bytes", memory(64 << 20), memory((64 << 20) - 1), "memory");
        let texts = |v| Gates { min_texts: Some(v), ..none() };
        both("min_texts", texts(1_000), texts(1_001), "too few");
        let age = |v| Gates { max_evidence_age_days: Some(v), ..none() };
        both("max_evidence_age_days", age(3), age(2), "too old");
        let runs = |v| Gates { min_shadow_runs: Some(v), ..none() };
        both("min_shadow_runs", runs(3), runs(4), "classify --challenger");
        let lines = |v| Gates { min_shadow_lines: Some(v), ..none() };
        both("min_shadow_lines", lines(1_000), lines(1_001), "classify --challenger");
    }

    /// 1,000 texts at 30 lost and 60 gained: the lower end of the interval is above 0. The other way round it is -0.049.
    #[test]
    fn a_drop_at_each_level_has_to_be_proved_smaller() {
        let drop = |digits, v| {
            let mut gates = Gates::default();
            *match digits {
                6 => &mut gates.max_drop_hs6,
                4 => &mut gates.max_drop_hs4,
                _ => &mut gates.max_drop_hs2,
            } = Some(v);
            gates
        };
        let worse = from_chapters(&[("61", Pairs { both_right: 800, lost: 60, gained: 30, both_wrong: 110 })]);
        for (digits, gate) in [(6, "max_drop_hs6"), (4, "max_drop_hs4"), (2, "max_drop_hs2")] {
            Case::new(drop(digits, 0.0)).green();
            let case = |limit| Case { comparison: worse.clone(), ..Case::new(drop(digits, limit)) };
            case(0.05).green();
            case(0.04).only(gate, "not proved that accuracy falls by less");
            case(0.01).only(gate, "proved that accuracy falls by more");
        }
    }

    #[test]
    fn a_chapter_that_is_proved_to_fall_stops_the_promotion() {
        let gates = || Gates { max_chapter_drop: Some(0.05), ..Gates::default() };
        Case::new(gates()).green();
        let falls = from_chapters(&[
            ("61", Pairs { both_right: 400, lost: 10, gained: 100, both_wrong: 50 }),
            ("87", Pairs { both_right: 400, lost: 80, gained: 5, both_wrong: 60 }),
        ]);
        Case { comparison: falls, ..Case::new(gates()) }.only("max_chapter_drop", "chapter 87 (-0.1376)");
        // A few lines prove nothing.
        let few = from_chapters(&[
            ("61", Pairs { both_right: 400, lost: 10, gained: 100, both_wrong: 50 }),
            ("87", Pairs { both_right: 2, lost: 1, gained: 0, both_wrong: 1 }),
        ]);
        Case { comparison: few, ..Case::new(gates()) }.green();
        let other = Gates { max_chapter_drop: Some(0.02), ..Gates::default() };
        Case::new(other).only("max_chapter_drop", "tested for a drop of 0.05");
        let nothing = from_chapters(&[]);
        assert!(Case { comparison: nothing, ..Case::new(gates()) }.red().iter().any(|r| r.gate == "max_chapter_drop"));
    }

    #[test]
    fn evidence_about_other_versions_or_with_another_report_is_red_whatever_the_gates_are() {
        let gates = || Gates { min_texts: Some(1), ..Gates::default() };
        let mut case = Case::new(gates());
        case.green();
        case.comparison.challenger.digest = "12".repeat(32);
        case.only("challenger", "not about the version to be promoted");
        let mut case = Case::new(gates());
        case.comparison.champion.digest = "12".repeat(32);
        case.only("champion", "does not name now");
        Case { champion: None, ..Case::new(gates()) }.only("champion", "a person's decision");
        Case { report: None, ..Case::new(gates()) }.only("report", "give the page");
        Case { report: Some("00".repeat(32)), ..Case::new(gates()) }.only("report", "not the one");
        let mut case = Case::new(gates());
        case.comparison.report_sha256 = None;
        case.only("report", "names no report");
        case.report = None;
        case.green();
    }

    #[test]
    fn required_evidence_has_to_be_there() {
        let require = |required: Required| Gates { require: vec![required], ..Gates::default() };
        Case::new(require(Required::Labels)).green();
        Case::new(require(Required::Decisions)).only("require_decisions", "over decisions");
        let mut decided = Case::new(require(Required::Decisions));
        decided.comparison.lines.kind = "decisions".into();
        decided.green();
        decided.gates = require(Required::Labels);
        decided.only("require_labels", "over labels");
        Case::new(require(Required::Report)).green();
        let mut bare = Case { report: None, ..Case::new(require(Required::Report)) };
        bare.comparison.report_sha256 = None;
        bare.only("report", "names no report");
        let mut case = Case::new(require(Required::Nightly));
        case.green();
        case.comparison.nightly = Some(nights(&[(3, 2)]));
        case.only("require_nightly", "about 133 more");
        case.comparison.nightly = None;
        case.only("require_nightly", "--decisions");
        let mut weak = nights(&[(20, 18)]);
        weak.alpha = 0.5;
        case.comparison.nightly = Some(weak);
        case.only("require_nightly", "0.05 at most");
    }

    #[test]
    fn a_person_approves_by_name() {
        let gates = Gates { human_approval: true, ..Gates::default() };
        let mut case = Case::new(gates);
        case.only("human_approval", "--approved-by");
        case.approved_by = Some("Ana");
        case.green();
        let row = case.rows().pop().unwrap();
        assert_eq!((row.gate, row.found.as_str()), ("human_approval", "Ana"));
    }

    #[test]
    fn what_was_not_measured_is_red() {
        let mut case =
            Case::new(Gates { max_slowdown: Some(2.0), max_memory_bytes: Some(1 << 40), ..Gates::default() });
        case.comparison.champion_cost.cpu_secs_per_million = 0.0;
        case.comparison.challenger_cost.memory_bytes = None;
        let red: Vec<&str> = case.red().iter().map(|row| row.gate).collect();
        assert_eq!(red, ["max_slowdown", "max_memory_bytes"]);
        let mut case = Case::new(Gates { min_precision: Some(0.1), ..Gates::default() });
        case.comparison.challenger_accepted.precision = None;
        case.only("min_precision", "accepts nothing");
        let mut case = Case::new(Gates { max_evidence_age_days: Some(3), ..Gates::default() });
        case.comparison.compared_at = "2026-03-04T10:59:00Z".into();
        case.green();
        case.comparison.compared_at = "2026-03-04T11:01:00Z".into();
        case.only("max_evidence_age_days", "future");
    }

    #[test]
    fn without_a_comparison_every_gate_about_it_is_red() {
        let gates = Gates { min_texts: Some(1), min_shadow_runs: Some(1), ..Gates::default() };
        let (champion, challenger) = ("aa".repeat(32), "bb".repeat(32));
        let facts = Facts {
            alias: "champion",
            champion: Some(&champion),
            challenger: &challenger,
            comparison: Err("it is a shopping list"),
            report: None,
            shadow: Shadow { runs: 1, lines: 1 },
            approved_by: None,
            now: now(),
        };
        let rows = judge(&gates, &facts);
        let shown: Vec<(&str, bool)> = rows.iter().map(|row| (row.gate, row.passed)).collect();
        let expected = [
            ("evidence", false),
            ("challenger", false),
            ("champion", false),
            ("min_texts", false),
            ("min_shadow_runs", true),
        ];
        assert_eq!(shown, expected);
        assert!(rows[0].explanation.as_deref().unwrap().starts_with("it is a shopping list; compare again"));
    }
}
