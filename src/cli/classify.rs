//! `harmonize classify`: the main job.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::{ArgMatches, Args};

use super::bar::LineBar;
use super::settings::{InputArgs, PlaceArgs, Settings, TrustArgs, bytes, share};
use super::table::{count, percent};
use crate::error::{Error, Result};
use crate::jobs::{
    Challenger, ChallengerRows, ClassifyOptions, Ending, OnBadFile, PolicyOverride, Purpose, RunRecord, StoreText,
    classify,
};
use crate::registry::{ModelRef, Registry};
use crate::train::{usage, vague_list};

/// What every command takes that scores lines into the lake.
#[derive(Args)]
pub struct JobArgs {
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Column whose value becomes line_id
    #[arg(long, value_name = "COLUMN", env = "HARMONIZE_ID")]
    pub id: Option<String>,
    /// Column with the code that a line was declared under; it travels along, for findings
    #[arg(long, value_name = "COLUMN", env = "HARMONIZE_DECLARED")]
    pub declared: Option<String>,
    /// Column with the value of a line; it travels along, for findings and the queue
    #[arg(long, value_name = "COLUMN", env = "HARMONIZE_VALUE")]
    pub value: Option<String>,
    /// Model version: hs@7, hs@champion, hs@champion#2026-03-01, or hs for the champion, else the newest [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Which rows keep their description: all, review or none [default: all]
    #[arg(long, value_name = "WHICH", env = "HARMONIZE_STORE_TEXT")]
    pub store_text: Option<StoreText>,
    /// What to do with an unreadable file: fail or quarantine [default: fail]
    #[arg(long, value_name = "WHAT", env = "HARMONIZE_ON_BAD_FILE")]
    pub on_bad_file: Option<OnBadFile>,
    /// File with texts that name no goods, one a line, in place of the bundle's list
    #[arg(long, value_name = "FILE", env = "HARMONIZE_VAGUE")]
    pub vague: Option<String>,
    /// Accept from this confidence on, in place of the bundle's threshold
    #[arg(long, value_name = "CONFIDENCE", env = "HARMONIZE_THRESHOLD")]
    pub threshold: Option<f32>,
    /// Share of accepted texts sent to people at random, in place of the bundle's
    #[arg(long, value_name = "RATIO", env = "HARMONIZE_AUDIT_RATIO")]
    pub audit_ratio: Option<f64>,
    /// Size at which a data file is closed [default: 32MiB]
    #[arg(long, value_name = "SIZE", env = "HARMONIZE_TARGET_FILE_SIZE")]
    pub target_file_size: Option<String>,
}

#[derive(Args)]
#[command(after_help = "One run is one commit: rows are visible all together or not at all, and the same run twice \
                        is a no-op (\"already done\", exit code 0). Example:\n\n  \
                        harmonize classify --input s3://lines/2026/ --id line_id --lake s3://lake --model hs@1")]
pub struct ClassifyArgs {
    #[command(flatten)]
    pub common: JobArgs,
    /// Model version to score beside it on the same lines, such as hs@challenger; its rows have the role challenger
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_CHALLENGER")]
    pub challenger: Option<String>,
    /// Which of the challenger's rows are written: differing (another code or decision) or all [default: differing]
    #[arg(long, value_name = "WHICH", env = "HARMONIZE_CHALLENGER_ROWS")]
    pub challenger_rows: Option<ChallengerRows>,
    /// Serve the challenger's answer for this share of the texts, such as 10%, drawn by a hash of the text [default: 0%]
    #[arg(long, value_name = "SHARE", env = "HARMONIZE_SPLIT")]
    pub split: Option<Share>,
    /// Score every line; without it, lines whose answer by the same model and policy stands in the lake are passed over
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "HARMONIZE_FULL")]
    pub full: Option<bool>,
    /// In place of --input: stay, and classify new and changed files at these places as they come
    #[arg(long, value_name = "URL", num_args = 1.., env = "HARMONIZE_WATCH", value_delimiter = ',', conflicts_with = "input")]
    pub watch: Option<Vec<String>>,
    /// How often --watch looks, such as 30s or 5m [default: 30s]
    #[arg(long, value_name = "PAUSE", env = "HARMONIZE_EVERY")]
    pub every: Option<Pause>,
}

/// What a job needs, resolved.
pub struct Job {
    pub options: ClassifyOptions,
    pub registry: Registry,
    pub model: ModelRef,
    challenger: Option<(ModelRef, ChallengerRows, f64)>,
}

impl Job {
    /// Reads the challenger, if there is one.
    pub async fn challenger(&self) -> Result<Option<Challenger>> {
        let Some((model, rows, split_ratio)) = &self.challenger else { return Ok(None) };
        let loaded = self.registry.load(model).await?;
        Ok(Some(Challenger { loaded, rows: *rows, split_ratio: *split_ratio }))
    }
}

/// Resolves the settings of a job.
pub fn resolve(args: &ClassifyArgs, settings: &mut Settings) -> Result<Job> {
    let inputs = match settings.list("watch", args.watch.clone())? {
        Some(watched) => watched,
        None => settings.need_list("input", args.common.input.input.clone())?,
    };
    let mut job = scoring(&args.common, inputs, settings)?;
    let challenger = settings.pick("challenger", args.challenger.clone(), None)?;
    let challenger_rows = settings.pick("challenger-rows", args.challenger_rows, None)?;
    let split = settings.pick("split", args.split, None)?;
    job.challenger = match challenger {
        Some(model) => Some((model.parse()?, challenger_rows.unwrap_or_default(), split.map_or(0.0, |share| share.0))),
        None if challenger_rows.is_some() || split.is_some() => {
            return Err(Error::Usage("--split and --challenger-rows are about a --challenger; name one".into()));
        }
        None => None,
    };
    job.options.full = settings.need("full", args.full, Some(false))?;
    Ok(job)
}

/// The part of it that other commands have too: one model, and lines from these places.
pub fn scoring(args: &JobArgs, inputs: Vec<String>, settings: &mut Settings) -> Result<Job> {
    let text = settings.need("text", args.input.text.clone(), Some("description".into()))?;
    let id = settings.pick("id", args.id.clone(), None)?;
    let where_sql = settings.pick("where", args.input.filter.clone(), None)?;
    let lake = settings.lake(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = settings.model(args.model.clone())?;
    let store_text = settings.need("store-text", args.store_text, Some(StoreText::All))?;
    let on_bad_file = settings.need("on-bad-file", args.on_bad_file, Some(OnBadFile::Fail))?;
    let threshold = settings.pick("threshold", args.threshold, None)?;
    let audit_ratio = settings.pick("audit-ratio", args.audit_ratio, None)?;
    share("--threshold", threshold.map(f64::from))?;
    share("--audit-ratio", audit_ratio)?;
    let vague = settings.pick("vague", args.vague.clone(), None)?;
    let vague = vague.map(|file: String| Ok::<_, Error>((file.clone(), vague_list(&file)?))).transpose()?;
    let file_size = settings.need("target-file-size", args.target_file_size.clone(), Some("32MiB".to_string()))?;
    let options = ClassifyOptions {
        inputs,
        text,
        id,
        declared: settings.pick("declared", args.declared.clone(), None)?,
        value: settings.pick("value", args.value.clone(), None)?,
        where_sql,
        lake,
        policy: PolicyOverride { threshold, audit_ratio, vague },
        store_text,
        on_bad_file,
        limits: settings.limits(&args.place)?,
        purpose: Purpose::Classify,
        full: false,
        target_file_bytes: bytes(&file_size, "target-file-size")? as u64,
        started_at: Utc::now(),
    };
    Ok(Job { options, registry, model, challenger: None })
}

pub async fn run(args: ClassifyArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.common.place.config.as_deref())?;
    super::memory::give_back_large_blocks();
    let mut job = resolve(&args, &mut settings)?;
    let Pause(pause) = settings.need("every", args.every, Some(Pause(Duration::from_secs(30))))?;
    if settings.list("watch", args.watch)?.is_none() {
        return once(&job, true).await.map(|()| 0);
    }
    let mut first = true;
    loop {
        job.options.started_at = Utc::now();
        match once(&job, std::mem::take(&mut first)).await {
            Ok(()) => {}
            // Another start at work, a store that is away, nothing there yet or a file that is only half there: what the next
            // look may find mended.
            Err(e @ (Error::RaceLost(_) | Error::Storage(_) | Error::Input(_))) => eprintln!("error: {e}"),
            Err(e) => return Err(e),
        }
        tokio::time::sleep(pause).await;
    }
}

/// One run with the model as it is named now. That there was nothing to do is told if it is to be.
async fn once(job: &Job, tell_all: bool) -> Result<()> {
    let loaded = job.registry.load(&job.model).await?;
    let challenger = job.challenger().await?;
    let bar = Arc::new(LineBar::new());
    let ending = classify(&job.options, &loaded, challenger.as_ref(), Arc::clone(&bar) as Arc<_>).await;
    bar.finish();
    match ending? {
        Ending::NothingNew { .. } | Ending::AlreadyDone(_) if !tell_all => {}
        Ending::NothingNew { files, rows } => println!(
            "already done: all {} file(s), {} rows, are as earlier runs with this model and policy read them; --full scores them \
             again",
            count(files),
            count(rows)
        ),
        Ending::Done(record, spent) => print!("{}{}{}", summary(&record), where_time_went(&spent), used()),
        Ending::AlreadyDone(record) => println!(
            "already done: run {} has these lines ({} of them), committed {}",
            record.run_id,
            count(record.lines_written),
            record.finished_at
        ),
    }
    Ok(())
}

/// A run in a few lines.
pub fn summary(run: &RunRecord) -> String {
    let share = |n| format!("{:>14}  {:>7}", count(n), percent(n, run.lines_written));
    let mut out = format!(
        "run {}\n  model     {}@{}, edition {}, policy {}\n  lines     {:>14}  in {} file(s)\n",
        run.run_id,
        run.model_name,
        run.model_version,
        run.tariff_edition,
        run.policy_origin,
        count(run.lines_written),
        run.inputs.len(),
    );
    out += &format!("  accept    {}\n", share(run.accept_lines));
    out += &format!("  review    {}\n", share(run.review_lines));
    out += &format!("  refuse    {}\n", share(run.refuse_lines));
    let beside = &run.challenger;
    if let (Some(name), Some(version)) = (&beside.challenger_name, beside.challenger_version) {
        let told = |n: Option<u64>| share(n.unwrap_or(0));
        out += &format!("  beside    {name}@{version}\n");
        out += &format!("  differ    {}  of which {} in the code\n", told(beside.differing_lines), {
            count(beside.differing_codes.unwrap_or(0))
        });
        out += &format!("  its rows  {}\n", told(beside.challenger_written));
        if beside.split_ratio.is_some_and(|ratio| ratio > 0.0) {
            out += &format!("  its serve {}\n", told(beside.challenger_served));
        }
    }
    if let Some(files @ 1..) = run.skipped_files {
        let rows = count(run.skipped_rows.unwrap_or(0));
        out += &format!("  passed    {rows:>14}  rows in {} file(s) as they were\n", count(files));
    }
    if run.unchanged_lines.unwrap_or(0) > 0 {
        out += &format!("  unchanged {:>14}  lines of rewritten files\n", count(run.unchanged_lines.unwrap_or(0)));
    }
    if !run.quarantined.is_empty() {
        out += &format!(
            "  set aside {:>14}  rows in {} unreadable file(s):\n",
            count(run.quarantined_rows),
            run.quarantined.len()
        );
        for file in &run.quarantined {
            out += &format!("    {}: {}\n", file.url, file.reason);
        }
    }
    out += &format!(
        "  wrote     {:>14}  bytes in {} file(s)\n  time      {:>12.1} s  to plan {:.1} s, {} lines/s\n",
        count(run.bytes_written),
        run.files_written,
        run.plan_secs + run.score_secs,
        run.plan_secs,
        count((run.lines_written as f64 / run.score_secs.max(1e-9)) as u64),
    );
    out
}

/// Time by stage, all threads together.
fn where_time_went(spent: &[(&str, Duration)]) -> String {
    let all: f64 = spent.iter().map(|(_, time)| time.as_secs_f64()).sum();
    let stages: Vec<String> = spent
        .iter()
        .map(|(name, time)| format!("{name} {:.0} %", 100.0 * time.as_secs_f64() / all.max(1e-9)))
        .collect();
    format!("  of {all:.1} s     {}\n", stages.join(", "))
}

/// What the process used so far, where the system says so.
fn used() -> String {
    let used = usage::cpu_secs().zip(usage::peak_memory_bytes());
    used.map_or_else(String::new, |(secs, bytes)| {
        format!("  used      {secs:>12.1} CPU-seconds, {} MB of memory at most\n", bytes >> 20)
    })
}

/// A share, written as `10%` or as `0.1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let number = match s.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
            None => s.parse(),
        };
        match number {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Share(share)),
            _ => Err(Error::Usage(format!("{s}: give a share such as 10% or 0.1"))),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", 100.0 * self.0)
    }
}

/// A time between two looks, written as `30s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause(Duration);

impl FromStr for Pause {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let split = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let unit = match &s[split..] {
            "s" | "" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        let secs = s[..split].parse::<u64>().ok().zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
        match secs {
            Some(secs @ 1..=86_400) => Ok(Pause(Duration::from_secs(secs))),
            _ => Err(Error::Usage(format!("{s}: give a time from 1s to 24h, such as 30s or 5m"))),
        }
    }
}

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl FromStr for StoreText {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "all" => Ok(StoreText::All),
            "review" => Ok(StoreText::Review),
            "none" => Ok(StoreText::None),
            other => Err(Error::Usage(format!("{other}: choose all, review or none"))),
        }
    }
}

impl std::fmt::Display for StoreText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnBadFile {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "fail" => Ok(OnBadFile::Fail),
            "quarantine" => Ok(OnBadFile::Quarantine),
            other => Err(Error::Usage(format!("{other}: choose fail or quarantine"))),
        }
    }
}

impl std::fmt::Display for OnBadFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OnBadFile::Fail => "fail",
            OnBadFile::Quarantine => "quarantine",
        })
    }
}
