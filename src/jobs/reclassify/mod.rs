//! `reclassify`: the lines of a lake, from one edition of the tariff to a later one.
//!
//! What became of a code decides what its line needs: nothing, the one successor, a choice among several by the model
//! restricted to them, or, where there is no successor, a person. What a person decided is never overwritten.
//!
//! What always holds: every line of the older edition gets one row, and no row has a code that the newer edition lacks. One
//! commit makes them visible. Refuses: lines of other editions, which stay as they are.

mod line;
mod report;
mod rows;
mod within;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;
use datafusion::prelude::{SessionContext, ident};
use serde_json::json;

use super::changed::last_runs;
use super::lease::Lease;
use super::record::{ChallengerRecord, InputFile, RunRecord};
use super::settle::{Ending, already_done, digest_of, settle};
use super::stage::{Progress, Stage, reached};
use super::write::{DAYS_TO_1970, Failed, target_file_bytes, write};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{NewFile, Nonce, Place, RunTag, SinkOptions, Table, discard};
use crate::registry::Loaded;
use crate::sql::{self, Classifier, Limits};
use crate::tariff::{Advisor, CatchAll, Policy, Tariff, Year};

pub use line::Before;
pub use report::{Chapter, Costly, ReclassifyReport};
pub use within::{Restricted, Within};

/// What to reclassify, with what.
#[derive(Clone, Debug)]
pub struct ReclassifyOptions {
    /// Root of the program's own tables.
    pub lake: Place,
    /// Edition to leave.
    pub from: Year,
    /// Edition to reach.
    pub to: Year,
    /// Which links are catch-all links, and what is done with them.
    pub catch_all: CatchAll,
    pub policy: Policy,
    /// Threshold inside a successor set.
    pub within: Within,
    /// Share of the machine.
    pub limits: Limits,
    /// Size at which a data file is closed, in bytes.
    pub target_file_bytes: u64,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum Reclassified {
    /// The rows are visible.
    Done(Box<RunRecord>, ReclassifyReport),
    /// What the rows would be; nothing was written.
    Rehearsed(ReclassifyReport),
    /// No line of the older edition is left.
    NothingLeft,
}

/// Everything that a line's outcome follows from, besides the line.
pub(super) struct Rules {
    pub advisor: Advisor,
    pub policy: Policy,
    pub chooser: Restricted,
    pub to: String,
}

/// Reclassifies every line of the older edition and makes the rows visible in one commit.
///
/// # Errors
/// `Input` when the lake lacks the editions or the way between them; `Registry` when the model has neither edition; and those of
/// the store. Nothing is visible then, except with `CommitUnknown`, where it may be.
pub async fn reclassify(
    options: &ReclassifyOptions,
    loaded: &Loaded,
    progress: Arc<dyn Progress>,
) -> Result<Reclassified> {
    let began = Instant::now();
    let context = sql::session(options.limits)?;
    sql::register_lake(&context, &options.lake).await?;
    let tariff = Tariff::load(&context).await?;
    let steps = tariff.way(options.from, options.to)?;
    let links: Vec<String> = steps.iter().map(|step| format!("{} → {}", step.from(), step.to())).collect();
    let links_digest = digest_of(&json!(
        steps.iter().map(|step| step.links().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>()).collect::<Vec<_>>()
    ));
    let advisor = Advisor::new(&steps, options.catch_all.clone())?;
    let classifier = Arc::new(Classifier::new(loaded, &loaded.bundle.policy)?);
    let (from, to) = (options.from.to_string(), options.to.to_string());
    let chooser = Restricted::new(classifier, &from, &to, options.within.clone())?;
    let rules = Arc::new(Rules { advisor, policy: options.policy, chooser, to });
    let basis = json!({
        "links": links,
        "links_sha256": links_digest,
        "catch_all": options.policy.as_str(),
        "within": options.within,
    });
    let lease = match options.dry_run {
        true => None,
        false => Some(Lease::take(&options.lake, "reclassify", options.started_at).await?),
    };
    let run = Run { options, loaded, rules, basis, plan_secs: began.elapsed().as_secs_f64() };
    let ended = run.attempt(&context, &progress).await;
    if let Some(lease) = lease {
        lease.give_back().await;
    }
    ended
}

struct Run<'a> {
    options: &'a ReclassifyOptions,
    loaded: &'a Loaded,
    rules: Arc<Rules>,
    basis: serde_json::Value,
    plan_secs: f64,
}

/// Lines of an edition.
const LINES: &str = "coded_lines";

impl Run<'_> {
    async fn attempt(&self, context: &SessionContext, progress: &Arc<dyn Progress>) -> Result<Reclassified> {
        let began = Instant::now();
        let place = self.options.lake.child(Contract::Predictions.table());
        let Some(mut table) = Table::open(&place).await? else { return Ok(Reclassified::NothingLeft) };
        let fingerprint = self.fingerprint(&table).await?;
        if let Some(nonce) = table.committed(&fingerprint).await? {
            return self.before(&table, &fingerprint, nonce).await;
        }
        let lines =
            context.table(LINES).await?.filter(ident("tariff_edition").eq(lit(self.options.from.to_string())))?;
        let owed = self.owed(context).await?;
        if owed == 0 {
            return Ok(Reclassified::NothingLeft);
        }
        progress.expect(owed);
        reached(Stage::Planned, progress.as_ref()).await;
        let run_id = format!("{}-{}", self.options.started_at.format("%Y%m%dT%H%M%S%6fZ"), &fingerprint[..12]);
        let plan = lines.create_physical_plan().await?;
        if self.options.dry_run {
            let report = rows::rehearse(context, plan, Arc::clone(&self.rules), progress).await?;
            return self.proved(owed, &report, None).map(|()| Reclassified::Rehearsed(report));
        }
        table = Table::open_or_create(&place, Contract::Predictions.schema(), &["run_date"], "").await?;
        reached(Stage::Scoring, progress.as_ref()).await;
        let sink = SinkOptions {
            run_date: Some(self.options.started_at.num_days_from_ce() - DAYS_TO_1970),
            target_file_bytes: target_file_bytes(self.options.target_file_bytes, self.options.limits),
            stats_columns: Contract::Predictions.stats().to_vec(),
            repeating_columns: Contract::Predictions.repeats().to_vec(),
        };
        let make = |schema: &_| rows::Rows::new(Arc::clone(schema), Arc::clone(&self.rules), run_id.clone());
        let (files, report) = match write(context, plan, &table, &sink, progress, make).await {
            Ok(written) => {
                let mut report = ReclassifyReport::default();
                written.makers.into_iter().for_each(|rows| report.merge(rows.report));
                (written.files, report)
            }
            Err(Failed { error, files }) => {
                discard(&table, &files).await;
                return Err(error);
            }
        };
        reached(Stage::Written, progress.as_ref()).await;
        if let Err(e) = self.proved(owed, &report, Some(&files)) {
            discard(&table, &files).await;
            return Err(e);
        }
        reached(Stage::Proved, progress.as_ref()).await;
        let record = self.record(context, run_id, &fingerprint, &report, &files, began.elapsed()).await?;
        let tag = RunTag { fingerprint, nonce: Nonce::new() };
        match settle(&mut table, files, &tag, &record, &self.options.lake, progress).await? {
            Ending::Done(record, _) => Ok(Reclassified::Done(record, report)),
            Ending::AlreadyDone(_) | Ending::NothingNew { .. } => Ok(Reclassified::NothingLeft),
        }
    }

    /// The run was committed, and died before its record.
    async fn before(&self, table: &Table, fingerprint: &str, nonce: Nonce) -> Result<Reclassified> {
        already_done(table, fingerprint, nonce, &self.options.lake).await?;
        Ok(Reclassified::NothingLeft)
    }

    /// Lines of the older edition, counted by a query of their own.
    async fn owed(&self, context: &SessionContext) -> Result<u64> {
        let lines = context
            .table("current_predictions")
            .await?
            .filter(ident("tariff_edition").eq(lit(self.options.from.to_string())))?
            .aggregate(vec![], vec![count(lit(1i64)).alias("n")])?
            .collect()
            .await?;
        let n = lines.first().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
        Ok(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    /// That every line of the older edition became a row, once.
    fn proved(&self, owed: u64, report: &ReclassifyReport, files: Option<&[NewFile]>) -> Result<()> {
        let made = report.lines;
        if made != owed {
            return Err(Error::Bug(format!("{owed} lines are of edition {}, {made} came through", self.options.from)));
        }
        let written: Option<u64> = files.map(|files| files.iter().map(NewFile::rows).sum());
        match written.filter(|written| *written != made) {
            Some(written) => Err(Error::Bug(format!("{made} lines were read, {written} rows were written"))),
            None => Ok(()),
        }
    }

    /// SHA-256 over everything that the rows depend on.
    async fn fingerprint(&self, table: &Table) -> Result<String> {
        let decisions = Table::open(&self.options.lake.child(Contract::Decisions.table())).await?;
        let identity = &self.rules.chooser.classifier().identity;
        Ok(digest_of(&json!({
            "command": "reclassify",
            "contract": Contract::Predictions.version(),
            "predictions": table.version(),
            "decisions": decisions.map(|table| table.version()),
            "from": self.options.from.to_string(),
            "to": self.options.to.to_string(),
            "model": [identity.model_name, identity.model_version, identity.model_digest],
            "policy": identity.policy_digest,
            "basis": self.basis,
        })))
    }

    async fn record(
        &self,
        context: &SessionContext,
        run_id: String,
        fingerprint: &str,
        report: &ReclassifyReport,
        files: &[NewFile],
        spent: Duration,
    ) -> Result<RunRecord> {
        let identity = &self.rules.chooser.classifier().identity;
        let started = self.options.started_at;
        let last = last_runs(context, &[]).await?.last;
        let inputs = report.files.keys().filter_map(|url| {
            let last = last.get(url)?;
            Some(InputFile {
                url: url.clone(),
                size_bytes: last.size_bytes,
                e_tag: last.e_tag.clone(),
                rows: last.rows,
            })
        });
        let query = self.query_before(context).await?;
        let of = |decision: &str| report.decisions.get(decision).copied().unwrap_or(0);
        Ok(RunRecord {
            run_id,
            fingerprint: fingerprint.into(),
            command: "reclassify".into(),
            started_at: started.to_rfc3339_opts(SecondsFormat::Micros, true),
            finished_at: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            run_date: started.format("%Y-%m-%d").to_string(),
            inputs: inputs.collect(),
            quarantined: Vec::new(),
            where_sql: query.get("where_sql").cloned().flatten(),
            text_column: query.get("text_column").cloned().flatten().unwrap_or_default(),
            id_column: query.get("id_column").cloned().flatten(),
            declared_column: query.get("declared_column").cloned().flatten(),
            value_column: query.get("value_column").cloned().flatten(),
            store_text: query.get("store_text").cloned().flatten().unwrap_or_default(),
            model_name: identity.model_name.clone(),
            model_version: identity.model_version,
            model_digest: identity.model_digest.clone(),
            tariff_edition: self.rules.to.clone(),
            policy_digest: identity.policy_digest.clone(),
            policy_json: serde_json::to_string(&self.loaded.bundle.policy).unwrap_or_default(),
            policy_origin: "bundle".into(),
            lines_read: report.lines,
            lines_written: files.iter().map(NewFile::rows).sum(),
            accept_lines: of("accept"),
            review_lines: of("review"),
            refuse_lines: of("refuse"),
            quarantined_rows: 0,
            files_written: files.len() as u64,
            bytes_written: files.iter().map(NewFile::size_bytes).sum(),
            plan_secs: self.plan_secs,
            score_secs: spent.as_secs_f64(),
            threads: self.options.limits.threads as u64,
            program_version: env!("CARGO_PKG_VERSION").into(),
            scope: Some("changed".into()),
            skipped_files: None,
            skipped_rows: None,
            unchanged_lines: None,
            from_edition: Some(self.options.from.to_string()),
            carried_lines: Some(of("carried")),
            mapped_lines: Some(of("mapped")),
            held_lines: Some(of("held")),
            reclassify_json: Some(self.basis.to_string()),
            challenger: ChallengerRecord::default(),
        })
    }

    /// How the last run that read the lines read them: a job that reads them the same way has nothing to do after this one.
    async fn query_before(&self, context: &SessionContext) -> Result<BTreeMap<&'static str, Option<String>>> {
        const COLUMNS: [&str; 6] =
            ["where_sql", "text_column", "id_column", "store_text", "declared_column", "value_column"];
        let text =
            |name: &str| datafusion::logical_expr::cast(ident(name), arrow::datatypes::DataType::Utf8).alias(name);
        let last = context
            .table("runs")
            .await?
            .select(COLUMNS.map(text).into_iter().chain([ident("run_id")]).collect::<Vec<_>>())?
            .sort(vec![ident("run_id").sort(false, false)])?
            .limit(0, Some(1))?
            .collect()
            .await?;
        let Some(batch) = last.iter().find(|batch| batch.num_rows() > 0) else { return Ok(BTreeMap::new()) };
        let value = |at: usize| {
            let column = batch.column(at).as_string::<i32>();
            arrow::array::Array::is_valid(column, 0).then(|| column.value(0).to_owned())
        };
        Ok(COLUMNS.into_iter().enumerate().map(|(at, name)| (name, value(at))).collect())
    }
}
