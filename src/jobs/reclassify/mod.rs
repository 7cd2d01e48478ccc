//! `reclassify`: the lines of a lake, from one edition of the tariff to a later one.
//!
//! What became of a code decides what its line needs: nothing, the one successor, a choice among several by the model
//! restricted to them, or, where there is no successor, a person. What a person decided is never overwritten.
//!
//! What always holds: every line of the older edition gets one row, and no row has a code that the newer edition lacks. One
//! commit makes them visible. The tables are read at one version each, which the run's record names. Refuses: lines of other
//! editions, which stay as they are, and an edition that is not in force yet.

mod again;
mod decide;
mod line;
mod record;
mod report;
mod rows;
mod rules;
mod within;
mod worth;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Datelike, Utc};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;
use datafusion::prelude::{DataFrame, SessionContext, ident};
use serde_json::json;

use super::lease::Lease;
use super::options::PolicyOverride;
use super::record::RunRecord;
use super::settle::{Ending, already_done, digest_of, record_again, settle};
use super::stage::{Progress, Stage, reached};
use super::write::{DAYS_TO_1970, Failed, target_file_bytes, write};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{NewFile, Nonce, Place, RunTag, SinkOptions, Table, discard};
use crate::model;
use crate::registry::Loaded;
use crate::sql::{self, Classifier, Limits};
use crate::tariff::{CatchAll, Policy, Tariff, Year};

pub use again::{Became, Past, PastTable};
pub use line::{After, Before, Outcome};
pub use report::{Chapter, Costly, ReclassifyReport};
pub use rules::Basis;
pub use within::{Choice, Restricted, Within};
pub use worth::{Amount, Tally};

pub(super) use rows::Rows;
use rules::Rules;

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
    /// Changes to the policy of the model's bundle, which the rows carry and whose audit share counts.
    pub changes: PolicyOverride,
    /// Whether the edition to reach may be one that is not in force yet.
    pub allow_future: bool,
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
    if options.dry_run {
        return attempt(options, loaded, &progress).await;
    }
    let lease = Lease::take(&options.lake, "reclassify", options.started_at).await?;
    let ended = attempt(options, loaded, &progress).await;
    lease.give_back().await;
    ended
}

async fn attempt(options: &ReclassifyOptions, loaded: &Loaded, progress: &Arc<dyn Progress>) -> Result<Reclassified> {
    let began = Instant::now();
    let context = sql::session(options.limits)?;
    let mut tables = sql::register_lake_at(&context, &options.lake, None).await?;
    // Nothing here follows from it.
    tables.remove(Contract::LabelRequests.table());
    let tariff = Tariff::load(&context).await?;
    let steps = tariff.way(options.from, options.to)?;
    if !options.dry_run && !options.allow_future {
        rules::in_force(&tariff, options.to, options.started_at.date_naive())?;
    }
    let (policy, policy_origin) = options.changes.apply(&loaded.bundle.policy)?;
    let classifier = Arc::new(Classifier::new(loaded, &policy)?);
    let within = options.within.clone();
    let basis = Basis::new(&steps, &options.catch_all, options.policy, within.clone(), tables);
    let rules = Rules::new(&steps, options.catch_all.clone(), options.policy, classifier, within)?;
    let plan_secs = began.elapsed().as_secs_f64();
    let run = Run { options, policy, policy_origin, rules: Arc::new(rules), basis, plan_secs };
    run.attempt(&context, progress).await
}

struct Run<'a> {
    options: &'a ReclassifyOptions,
    policy: model::Policy,
    policy_origin: String,
    rules: Arc<Rules>,
    basis: Basis,
    plan_secs: f64,
}

/// Lines of an edition.
const LINES: &str = "coded_lines";

/// The lines of an edition with what people decided about them, and lines of a later one whose decision is of that edition and
/// was not taken over: a model has answered them meanwhile.
async fn lines_of(context: &SessionContext, from: Year, to: Year) -> Result<DataFrame> {
    let (from, to) = (lit(from.to_string()), lit(to.to_string()));
    let taken = ident("decision").in_list(vec![lit("carried"), lit("held")], false);
    let left = ident("tariff_edition").eq(to).and(ident("decided_edition").eq(from.clone())).and(taken.is_not_true());
    Ok(context.table(LINES).await?.filter(ident("tariff_edition").eq(from).or(left))?)
}

impl Run<'_> {
    async fn attempt(&self, context: &SessionContext, progress: &Arc<dyn Progress>) -> Result<Reclassified> {
        let began = Instant::now();
        let place = self.options.lake.child(Contract::Predictions.table());
        let Some(table) = Table::open(&place).await? else { return Ok(Reclassified::NothingLeft) };
        if !self.options.dry_run {
            record_again(&table, "reclassify", &self.options.lake).await?;
        }
        let fingerprint = self.fingerprint()?;
        if let Some(nonce) = table.committed(&fingerprint).await? {
            already_done(&table, &fingerprint, nonce, &self.options.lake).await?;
            return Ok(Reclassified::NothingLeft);
        }
        let owed = self.owed(context).await?;
        if owed == 0 {
            return Ok(Reclassified::NothingLeft);
        }
        progress.expect(owed);
        reached(Stage::Planned, progress.as_ref()).await;
        let plan = lines_of(context, self.options.from, self.options.to).await?.create_physical_plan().await?;
        if self.options.dry_run {
            let report = rows::rehearse(context, plan, Arc::clone(&self.rules), progress).await?;
            return self.proved(owed, &report, None).map(|()| Reclassified::Rehearsed(report));
        }
        let mut table = Table::open_or_create(&place, Contract::Predictions).await?;
        reached(Stage::Scoring, progress.as_ref()).await;
        let sink = SinkOptions {
            run_date: Some(self.options.started_at.num_days_from_ce() - DAYS_TO_1970),
            target_file_bytes: target_file_bytes(self.options.target_file_bytes, self.options.limits),
            stats_columns: Contract::Predictions.stats().to_vec(),
            repeating_columns: Contract::Predictions.repeats().to_vec(),
        };
        let run_id = format!("{}-{}", self.options.started_at.format("%Y%m%dT%H%M%S%6fZ"), &fingerprint[..12]);
        let make = |schema: &_| Rows::new(Arc::clone(schema), Arc::clone(&self.rules), run_id.clone());
        let (files, report) = match write(context, plan, &table, &sink, progress, make).await {
            Ok(written) => {
                let mut counter = report::Counter::default();
                written.makers.into_iter().for_each(|rows| counter.merge(rows.into_counter()));
                (written.files, counter.into_report(self.rules.policy))
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

    /// The lines that there are to do, counted by a query of their own.
    async fn owed(&self, context: &SessionContext) -> Result<u64> {
        let lines = lines_of(context, self.options.from, self.options.to)
            .await?
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
    fn fingerprint(&self) -> Result<String> {
        let identity = &self.rules.chooser.classifier().identity;
        Ok(digest_of(&json!({
            "command": "reclassify",
            "contract": Contract::Predictions.version(),
            "from": self.options.from.to_string(),
            "to": self.options.to.to_string(),
            "model": [identity.model_name, identity.model_version, identity.model_digest],
            "policy": identity.policy_digest,
            "basis": self.basis.json()?,
        })))
    }
}
