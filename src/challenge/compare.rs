//! Two versions asked about the same texts, and all that is told of it.

use chrono::{DateTime, SecondsFormat, Utc};

use super::cost::Compiled;
use super::counted::{Told, chapters, churn_ratio, examples, levels};
use super::decisions::Decisions;
use super::evidence::{Accepted, Calibration, Comparison, Contender, Coverage, EVIDENCE_FORMAT_VERSION, Example};
use super::lines::{Known, LeftOut, labelled};
use super::nightly::{Nights, Wanted, nights};
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::registry::Loaded;
use crate::sql::{Limits, register_lake, session};
use crate::tariff::{Edition, Subheading};
use crate::train::{Answers, Labelled, Metrics};

/// Precisions at which the coverage is told.
const PRECISIONS: [f64; 2] = [0.95, 0.98];

/// Where the texts come from.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Labelled lines.
    Labelled(Labelled),
    /// What reviewers decided in a lake.
    Decisions {
        /// The lake.
        lake: Place,
        /// Share of the machine.
        limits: Limits,
    },
}

/// What to compare on, and what to tell.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    pub asked: Asked,
    /// Largest drop that the tests of the chapters allow, as a share of a chapter's texts.
    pub chapter_margin: f64,
    /// Seconds for which each model is asked while the time is taken.
    pub cost_secs: f64,
    /// Most lines lost, and most lines gained, that are told; they hold descriptions.
    pub examples: usize,
    /// What the nightly test is to prove.
    pub wanted: Wanted,
    pub compared_at: DateTime<Utc>,
}

/// What was found: the evidence, and what does not belong into an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub comparison: Comparison,
    /// Rows that nobody was asked about.
    pub left_out: LeftOut,
    /// With the decisions of a lake in which both ran.
    pub(super) nights: Option<Nights>,
    pub(super) power: f64,
    pub lost: Vec<Example>,
    pub gained: Vec<Example>,
}

/// Asks both models and counts.
///
/// # Errors
/// `Usage` when the two are one model or their editions differ, `Input` when there is nothing to ask about, and those of reading
/// and asking.
pub async fn compare(options: &CompareOptions, champion: &Loaded, challenger: &Loaded) -> Result<Found> {
    let edition = comparable(champion, challenger)?;
    let (known, nights) = match &options.asked {
        Asked::Labelled(lines) => (labelled(lines, edition).await?, None),
        Asked::Decisions { lake, limits } => {
            let context = session(*limits)?;
            register_lake(&context, lake).await?;
            let decisions = Decisions::read(&context, edition).await?;
            let digests = (champion.bundle.digest.as_str(), challenger.bundle.digest.as_str());
            let nights = nights(&context, &decisions.of_text, digests, options.wanted).await?;
            (decisions.known(&context, lake).await?, nights)
        }
    };
    let Known { lines, texts, left_out } = known;
    let asked: Vec<(&str, Subheading)> = texts.iter().map(|(text, code)| (text.as_str(), *code)).collect();
    let only: Vec<&str> = asked.iter().map(|(text, _)| *text).collect();
    // Both are kept until the end: what the first gives back would be memory that the second need not ask for.
    let models = [Compiled::of(champion)?, Compiled::of(challenger)?];
    let answers = [Answers::of(&models[0].classifier, &asked)?, Answers::of(&models[1].classifier, &asked)?];
    let goods = [answers[0].goods(), answers[1].goods()];
    let metrics = [answers[0].metrics(&goods[0]), answers[1].metrics(&goods[1])];
    let first = |model: usize, at: usize| goods[model].rows[at].top.first().map(|(code, _)| *code);
    let told: Vec<Told> = (0..asked.len())
        .map(|at| Told { truth: asked[at].1, champion: first(0, at), challenger: first(1, at) })
        .collect();
    let (lost, gained) = examples(&told, &texts, options.examples);
    let coverage = |precision: f64| Coverage {
        precision,
        champion_ratio: metrics[0].coverage(precision),
        challenger_ratio: metrics[1].coverage(precision),
    };
    let comparison = Comparison {
        format_version: EVIDENCE_FORMAT_VERSION,
        compared_at: options.compared_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        champion: contender(champion, &models[0]),
        challenger: contender(challenger, &models[1]),
        lines,
        levels: levels(&told)?,
        chapter_margin: options.chapter_margin,
        chapters: chapters(&told, options.chapter_margin)?,
        churn_ratio: churn_ratio(&told),
        coverage: PRECISIONS.map(coverage).to_vec(),
        champion_accepted: accepted(&metrics[0]),
        challenger_accepted: accepted(&metrics[1]),
        champion_calibration: calibration(&metrics[0]),
        challenger_calibration: calibration(&metrics[1]),
        champion_cost: models[0].cost(champion, &only, options.cost_secs)?,
        challenger_cost: models[1].cost(challenger, &only, options.cost_secs)?,
        nightly: nights.as_ref().map(|nights| nights.nightly.clone()),
        report_sha256: None,
    };
    Ok(Found { comparison, left_out, nights, power: options.wanted.power, lost, gained })
}

/// The edition of both.
fn comparable(champion: &Loaded, challenger: &Loaded) -> Result<Edition> {
    let named = |loaded: &Loaded| format!("{}@{}", loaded.name, loaded.version);
    let (first, second) = (named(champion), named(challenger));
    if champion.bundle.digest == challenger.bundle.digest {
        return Err(Error::Usage(format!(
            "{first} and {second} are one model, digest {}; name another version: harmonize models list",
            champion.bundle.digest
        )));
    }
    let (ours, theirs) = (&champion.bundle.labels.edition, &challenger.bundle.labels.edition);
    if ours != theirs {
        return Err(Error::Usage(format!(
            "{first} gives codes of edition {ours} and {second} of edition {theirs}, which cannot be held against each other; \
             name a version of the same edition (harmonize models list), or train one with --edition {ours}"
        )));
    }
    ours.parse()
}

fn contender(loaded: &Loaded, compiled: &Compiled) -> Contender {
    Contender {
        name: loaded.name.clone(),
        version: loaded.version,
        digest: loaded.bundle.digest.clone(),
        policy_digest: compiled.classifier.identity.policy_digest.clone(),
        edition: loaded.bundle.labels.edition.clone(),
    }
}

fn accepted(metrics: &Metrics) -> Accepted {
    let accepted = &metrics.accepted;
    Accepted {
        texts: accepted.rows as u64,
        coverage_ratio: accepted.coverage_ratio,
        precision: accepted.precision,
        precision_low: accepted.precision_low,
        precision_high: accepted.precision_high,
    }
}

fn calibration(metrics: &Metrics) -> Calibration {
    let error = &metrics.calibration_error;
    Calibration { hs6: error.hs6, hs4: error.hs4, hs2: error.hs2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bundle;
    use crate::model::bundle::tests::draft;

    fn loaded(version: u64, edition: &str) -> Loaded {
        let mut draft = draft("hs");
        (draft.seed, draft.labels.edition) = (version, edition.to_string());
        Loaded { name: "hs".into(), version, bundle: Bundle::build(draft).unwrap().0 }
    }

    #[test]
    fn a_model_is_not_compared_with_itself_nor_with_one_of_another_edition() {
        assert_eq!(comparable(&loaded(1, "2022"), &loaded(2, "2022")).unwrap(), Edition::Hs2022);
        let same = comparable(&loaded(1, "2022"), &loaded(1, "2022")).unwrap_err();
        assert!(same.exit_code() == 2 && same.to_string().contains("hs@1 and hs@1 are one model"), "{same}");
        let other = comparable(&loaded(1, "2017"), &loaded(2, "2022")).unwrap_err().to_string();
        assert!(other.contains("hs@1 gives codes of edition 2017 and hs@2 of edition 2022"), "{other}");
    }
}
