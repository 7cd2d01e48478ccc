//! `harmonize reclassify`: the lines of a lake, from one edition of the tariff to a later one.

mod told;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use clap::{ArgMatches, Args};
use serde_json::json;

use super::bar::LineBar;
use super::settings::{PlaceArgs, Settings, TrustArgs, bytes, share, target_precision};
use super::table::{Format, text};
use crate::error::{Context, Error, Result};
use crate::jobs::{PolicyOverride, Reclassified, ReclassifyOptions, Restricted, Within, reclassify};
use crate::model::policy::BOUND;
use crate::policy::{Judged, by_precision};
use crate::registry::Loaded;
use crate::sql::{self, Classifier, Limits};
use crate::tariff::{Action, Advisor, CatchAll, Codes, Edition, Policy, Subheading, Tariff, Year};
use crate::train::{Labelled, vague_list};

#[derive(Args)]
#[command(
    after_help = "What became of a code decides: unchanged ones are carried, those with one successor mapped, the others chosen by the \
                  model among their successors, or sent to people. Decisions of people are never overwritten. The tariff comes from \
                  `harmonize tariff import`. Example:\n\n  \
                  harmonize reclassify --lake s3://lake --from 2017 --to 2022 --model hs@champion --catch-all when_text_says --dry-run"
)]
pub struct ReclassifyArgs {
    /// Edition to leave, such as 2017
    #[arg(long, value_name = "EDITION")]
    from: Year,
    /// Edition to reach, such as 2022
    #[arg(long, value_name = "EDITION")]
    to: Year,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version, best one of the newer edition; one of the older sends what has several successors to people [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// What is done with catch-all links: follow, ignore or when_text_says
    #[arg(long, value_name = "POLICY", default_value_t = Policy::WhenTextSays)]
    catch_all: Policy,
    /// Which links are catch-all links, as TOML; `harmonize tariff diff --print-groups` prints what is built in
    #[arg(long, value_name = "FILE")]
    catch_all_file: Option<PathBuf>,
    /// Least share among the successors from which the first is accepted [default: the threshold of the model's policy]
    #[arg(long, value_name = "SHARE", conflicts_with = "labelled")]
    threshold: Option<f32>,
    /// Labelled lines of the newer edition that the model has not seen, to find that threshold on
    #[arg(long, value_name = "URL", num_args = 1.., requires = "label")]
    labelled: Option<Vec<String>>,
    /// Their column with the codes
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Their column with the descriptions
    #[arg(long, value_name = "COLUMN", default_value = "description")]
    text: String,
    /// SQL condition on their columns
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// Precision that the threshold found on them is to keep
    #[arg(long, value_name = "SHARE", default_value_t = 0.98)]
    target_precision: f64,
    /// Share of the choices that would be accepted and are sent to people at random, in place of the policy's
    #[arg(long, value_name = "RATIO", env = "HARMONIZE_AUDIT_RATIO")]
    audit_ratio: Option<f64>,
    /// Reach an edition that is not in force yet
    #[arg(long)]
    allow_future: bool,
    /// Say what would become of the lines, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How the report is printed; json and csv carry every chapter and every code that needs people
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub async fn run(args: ReclassifyArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    share("--threshold", args.threshold.map(f64::from))?;
    target_precision(args.target_precision)?;
    let lake = settings.lake(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = settings.model(args.model.clone())?;
    let limits = settings.limits(&args.place)?;
    let catch_all = match &args.catch_all_file {
        Some(file) => {
            let named = || format!("--catch-all-file {}", file.display());
            CatchAll::from_toml(&std::fs::read_to_string(file).context(named)?).context(named)?
        }
        None => CatchAll::from_toml(CatchAll::DOCUMENT)?,
    };
    if args.from >= args.to {
        return Err(Error::Usage(format!("--from {} --to {}: give the older edition first", args.from, args.to)));
    }
    let changes = changes(&args, &mut settings)?;
    let loaded = registry.load(&model).await?;
    let (policy, _) = changes.apply(&loaded.bundle.policy)?;
    let within = match (&args.threshold, &args.labelled) {
        (Some(threshold), _) => Within { threshold: *threshold, rests_on: json!("--threshold") },
        (None, Some(inputs)) => {
            let labelled = Labelled {
                inputs: inputs.clone(),
                text: args.text.clone(),
                label: args.label.clone().unwrap_or_default(),
                where_sql: args.filter.clone(),
                limits,
            };
            found(&args, &labelled, &lake, &loaded, &catch_all, limits).await?
        }
        (None, None) => Within {
            threshold: policy.threshold,
            rests_on: json!("the model's policy, which was not proved among successors; --labelled finds one that is"),
        },
    };
    let options = ReclassifyOptions {
        lake,
        from: args.from,
        to: args.to,
        catch_all,
        policy: args.catch_all,
        within,
        changes,
        allow_future: args.allow_future,
        limits,
        target_file_bytes: bytes("32MiB", "target-file-size")? as u64,
        started_at: Utc::now(),
        dry_run: args.dry_run,
    };
    let bar = Arc::new(LineBar::new());
    let ended = reclassify(&options, &loaded, Arc::clone(&bar) as Arc<_>).await;
    bar.finish();
    let (run, report) = match ended? {
        Reclassified::NothingLeft => {
            let said = format!("already done: no line of edition {} is left in {}\n", args.from, options.lake.url());
            text(said.as_bytes())?;
            return Ok(0);
        }
        Reclassified::Done(run, report) => (Some(run.run_id), report),
        Reclassified::Rehearsed(report) => (None, report),
    };
    let model = format!("{}@{}", loaded.name, loaded.version);
    let page = match args.format {
        Format::Table => {
            let head = match run {
                Some(run) => format!("run {run}\n"),
                None => "nothing was written (--dry-run)\n".into(),
            };
            let threshold = format!("{:.3}, {}", options.within.threshold, rests_on(&options.within));
            format!("{head}  model         {model}\n  threshold     {threshold}\n{}", told::table(&report))
        }
        Format::Json => {
            let all = json!({"run_id": run, "report": report, "without_people_ratio": report.without_people_ratio(),
                "queue": report.queue.lines, "rate_only_skips": report.rate_only_skips(), "within": options.within});
            serde_json::to_string(&all).map_err(|e| Error::Bug(e.to_string()))? + "\n"
        }
        Format::Csv => told::csv(&report),
    };
    text(page.as_bytes())?;
    Ok(0)
}

/// What the job's settings change in the policy of the bundle: the rows carry the policy, and the nightly job with the same
/// settings has nothing to do after them. `--threshold` is not among them: here it is the one among successors.
fn changes(args: &ReclassifyArgs, settings: &mut Settings) -> Result<PolicyOverride> {
    let audit_ratio = settings.pick("audit-ratio", args.audit_ratio, None)?;
    share("--audit-ratio", audit_ratio)?;
    let vague: Option<String> = settings.pick("vague", None, None)?;
    let vague = vague.map(|file| Ok::<_, Error>((file.clone(), vague_list(&file)?))).transpose()?;
    Ok(PolicyOverride { threshold: settings.pick("threshold", None, None)?, audit_ratio, vague })
}

fn rests_on(within: &Within) -> String {
    match &within.rests_on {
        serde_json::Value::String(words) => words.clone(),
        evidence => format!(
            "largest coverage within the precision target: {} of {} lines accepted, {} wrong",
            evidence["accepted"], evidence["texts"], evidence["errors"]
        ),
    }
}

/// The threshold among successors on labelled lines of the newer edition: each distinct text whose code comes from an old code
/// with several successors is asked about as if it had that one.
async fn found(
    args: &ReclassifyArgs,
    labelled: &Labelled,
    lake: &crate::lake::Place,
    loaded: &Loaded,
    catch_all: &CatchAll,
    limits: Limits,
) -> Result<Within> {
    let edition: Edition = args.to.to_string().parse()?;
    let context = sql::session(limits)?;
    sql::register_lake(&context, lake).await?;
    let tariff = Tariff::load(&context).await?;
    let advisor = Advisor::new(&tariff.way(args.from, args.to)?, catch_all.clone())?;
    let classifier = Arc::new(Classifier::new(loaded, &loaded.bundle.policy)?);
    let nothing = Within { threshold: 0.0, rests_on: json!(null) };
    let chooser = Restricted::new(classifier, &args.from.to_string(), &args.to.to_string(), nothing)?;
    if !chooser.of_newer() {
        return Err(Error::Usage(format!("--labelled: a model of edition {} tells no successors apart", args.from)));
    }
    let (_, lines) = labelled.read(Codes::builtin(edition)).await?;
    let mut seen = std::collections::HashSet::new();
    let mut judged = Vec::new();
    let mut normalised = String::new();
    for line in &lines {
        let Some(truth) = line.label.class(false) else { continue };
        crate::text::normalise(&line.text, &mut normalised);
        if normalised.is_empty() || !seen.insert(normalised.clone()) {
            continue;
        }
        let changes = advisor.changes(args.catch_all, Some(&normalised));
        let old: Option<Subheading> =
            changes.predecessors(truth).iter().find(|old| changes.action(**old) == Action::Rescore).copied();
        let Some(old) = old else { continue };
        let choice = chooser.choose(&normalised, old, changes)?;
        if let Some((code, confidence)) = choice.candidates.first() {
            judged.push(Judged { confidence: *confidence, right: *code == truth });
        }
    }
    if judged.is_empty() {
        return Err(Error::Input(format!(
            "--labelled: none of the {} lines has a code of edition {} that comes from one with several successors",
            lines.len(),
            args.to
        )));
    }
    let found = by_precision(&judged, args.target_precision, BOUND);
    let rests_on = serde_json::to_value(&found.evidence).map_err(|e| Error::Bug(e.to_string()))?;
    Ok(Within { threshold: found.threshold, rests_on })
}
