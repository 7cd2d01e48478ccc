//! `classify`: shipment lines in, one prediction for each in the lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use chrono::{Datelike, SecondsFormat, Utc};
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{cast, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext, ident};
use datafusion::scalar::ScalarValue;
use serde_json::json;

use super::challenger::{Challenger, Served};
use super::changed::{Changed, line_changed};
use super::lease::Lease;
use super::options::{ClassifyOptions, OnBadFile, Purpose};
use super::plan::{RAW_TEXT, filtered, scored};
use super::record::{InputFile, QuarantinedFile, RunRecord};
use super::rows::{Counts, RowMaker};
use super::settle::{Ending, already_done, digest_of, settle};
use super::stage::{Progress, Stage, reached};
use super::write::{DAYS_TO_1970, Failed, TaskTimes, target_file_bytes, write};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{NewFile, Nonce, Place, RunTag, SinkOptions, Source, SourceOptions, Table, discard};
use crate::model::Policy;
use crate::policy::Decision;
use crate::registry::Loaded;
use crate::sql::{self, Classifier, Limits};

/// Classifies every line of the input and makes the predictions visible in one commit, with those of a challenger beside
/// them if there is one.
///
/// # Errors
/// By who must act; whatever it is, nothing of the run is visible, except with `CommitUnknown`, where it may be.
pub async fn classify(
    options: &ClassifyOptions,
    loaded: &Loaded,
    challenger: Option<&Challenger>,
    progress: Arc<dyn Progress>,
) -> Result<Ending> {
    let began = Instant::now();
    let (policy, policy_origin) = options.policy.apply(&loaded.bundle.policy)?;
    let source_options =
        SourceOptions { text: options.text.clone(), quarantine: options.on_bad_file == OnBadFile::Quarantine };
    let mut source = Source::pin(&options.inputs, source_options).await?;
    if let Some(id) = &options.id {
        source.require(id, "--id")?;
    }
    for (column, flag) in [(&options.declared, "--declared"), (&options.value, "--value")] {
        column.as_ref().map_or(Ok(()), |column| source.require(column, flag))?;
    }
    let classifier = Arc::new(Classifier::new(loaded, &policy)?);
    let beside = challenger.map(|challenger| challenger.beside(loaded, &options.policy)).transpose()?;
    let contract = Contract::Predictions;
    let place = options.lake.child(contract.table());
    let lease = Lease::take(&options.lake, &job_name(options), options.started_at).await?;
    let ended = async {
        loop {
            let changed = changed(options, &source, &classifier, beside.as_ref()).await?;
            if changed.is_nothing(source.bad()) {
                return Ok(Ending::NothingNew { files: changed.skipped_files, rows: changed.skipped_rows });
            }
            let run = Run {
                options,
                fingerprint: fingerprint(options, &changed, &classifier, beside.as_ref()),
                changed: &changed,
                classifier: Arc::clone(&classifier),
                beside: beside.as_ref(),
                policy: &policy,
                policy_origin: &policy_origin,
                plan_secs: began.elapsed().as_secs_f64(),
            };
            reached(Stage::Planned, progress.as_ref()).await;
            if let Some(table) = Table::open(&place).await?
                && let Some(nonce) = table.committed(&run.fingerprint).await?
            {
                return already_done(&table, &run.fingerprint, nonce, &options.lake).await;
            }
            match run.attempt(&place, &progress).await {
                Ok(ending) => return Ok(ending),
                // The scan failed on content, or a decoder gave up on a corrupt page: find out which files, set them aside
                // or name them, and begin anew.
                Err(error @ (Error::Input(_) | Error::Bug(_))) => {
                    source.recheck().await?;
                    let known = source.bad().len();
                    let columns = run.columns(&source);
                    source = source.examine(&columns).await?;
                    if source.bad().len() == known {
                        return Err(error);
                    }
                    for bad in &source.bad()[known..] {
                        tracing::warn!(file = bad.url, reason = bad.reason, "set aside");
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }
    .await;
    lease.give_back().await;
    ended
}

/// What two starts of one job have in common.
fn job_name(options: &ClassifyOptions) -> String {
    digest_of(&json!(["classify", options.inputs, options.text, options.where_sql]))[..16].to_owned()
}

/// What is left to do, as the lake stands.
async fn changed(
    options: &ClassifyOptions,
    source: &Source,
    classifier: &Classifier,
    beside: Option<&Served>,
) -> Result<Changed> {
    // What is filled in is told what counts.
    if options.purpose != Purpose::Classify {
        return Ok(Changed::everything(source));
    }
    let identity = &classifier.identity;
    let text = |value: &str| lit(value);
    let mut same = vec![
        ("model_name", text(&identity.model_name)),
        ("model_digest", text(&identity.model_digest)),
        ("policy_digest", text(&identity.policy_digest)),
        ("tariff_edition", text(&identity.tariff_edition)),
        ("where_sql", lit(ScalarValue::Utf8(options.where_sql.clone()))),
        ("text_column", text(&options.text)),
        ("id_column", lit(ScalarValue::Utf8(options.id.clone()))),
        ("store_text", text(options.store_text.as_str())),
        ("declared_column", lit(ScalarValue::Utf8(options.declared.clone()))),
        ("value_column", lit(ScalarValue::Utf8(options.value.clone()))),
    ];
    same.extend(Served::columns(beside));
    let context = sql::session(options.limits)?;
    warn_of_newer_edition(&context, options, &identity.tariff_edition).await?;
    let memory_bytes = options.limits.memory_bytes / 4;
    Changed::find(&context, &options.lake, source, &same, memory_bytes, options.full).await
}

/// Says so when the lake has a later edition in force than the one whose codes the model gives.
async fn warn_of_newer_edition(context: &SessionContext, options: &ClassifyOptions, edition: &str) -> Result<()> {
    sql::register_table(context, &options.lake, Contract::Nomenclature).await?;
    let today = ScalarValue::Date32(Some(options.started_at.num_days_from_ce() - DAYS_TO_1970));
    let newer = context.table(Contract::Nomenclature.table()).await?.filter(
        ident("schedule")
            .eq(lit("HS"))
            .and(ident("valid_from").lt_eq(lit(today)))
            .and(ident("edition").gt(lit(edition))),
    )?;
    let newest = newer.aggregate(vec![], vec![max(cast(ident("edition"), DataType::Utf8)).alias("edition")])?;
    for batch in newest.collect().await? {
        if let Some(newer) = batch.column(0).as_string::<i32>().iter().flatten().next() {
            tracing::warn!(
                "edition {newer} is in force, and the model gives codes of {edition}: take a model of {newer}, or harmonize \
                 reclassify --from {edition} --to {newer} behind this job"
            );
        }
    }
    Ok(())
}

/// Plans a filter over the columns of the input, without reading a line.
///
/// # Errors
/// `Usage` with the columns that there are.
pub async fn check_filter(source: &Source, filter: &str, limits: Limits) -> Result<()> {
    filtered(source, Some(filter), limits).await?.1.create_physical_plan().await?;
    Ok(())
}

/// One attempt at a run.
struct Run<'a> {
    options: &'a ClassifyOptions,
    fingerprint: String,
    changed: &'a Changed,
    classifier: Arc<Classifier>,
    beside: Option<&'a Served>,
    policy: &'a Policy,
    policy_origin: &'a str,
    plan_secs: f64,
}

impl Run<'_> {
    fn id(&self) -> String {
        format!("{}-{}", self.options.started_at.format("%Y%m%dT%H%M%S%6fZ"), &self.fingerprint[..12])
    }

    /// Columns that are read for their values.
    fn columns(&self, source: &Source) -> Vec<String> {
        if self.options.where_sql.is_some() {
            return source.schema().fields().iter().map(|f| f.name().clone()).collect();
        }
        let mut columns = vec![self.options.text.clone()];
        columns.extend(self.options.id.clone());
        columns.extend(self.options.declared.clone());
        columns.extend(self.options.value.clone());
        columns
    }

    async fn attempt(&self, place: &Place, progress: &Arc<dyn Progress>) -> Result<Ending> {
        let source = &self.changed.source;
        let contract = Contract::Predictions;
        let scoring = Instant::now();
        let mut table = Table::open_or_create(place, contract).await?;
        let filter = self.options.where_sql.as_deref();
        let (context, lines) = filtered(source, filter, self.options.limits).await?;
        let expected = self.expected(source, &lines).await?;
        progress.expect(expected.values().sum());
        let beside = self.beside.map(|beside| &beside.classifier);
        let along = self.options.along();
        let mut lines = lines;
        if !self.changed.known.is_empty() {
            let of_line = vec![ident("source_file"), ident("source_row"), ident(RAW_TEXT), along.id()];
            lines = lines.filter(line_changed(Arc::clone(&self.changed.known)).call(of_line))?;
        }
        let scored = scored(lines, along, &self.classifier, beside)?;
        let plan = scored.create_physical_plan().await?;
        reached(Stage::Scoring, progress.as_ref()).await;
        let rows_of = |classifier: &Classifier| classifier.rows();
        let scored_before = (self.classifier.rows(), self.beside.map_or(0, |b| rows_of(&b.classifier)));
        let written = self.write(&context, plan, &table, progress).await;
        let (files, counts, spent) = match written {
            Ok(done) => done,
            Err(Failed { error, files }) => {
                discard(&table, &files).await;
                return Err(error);
            }
        };
        reached(Stage::Written, progress.as_ref()).await;
        let scored =
            (self.classifier.rows() - scored_before.0, self.beside.map(|b| rows_of(&b.classifier) - scored_before.1));
        let unchanged = |file: &str| self.changed.known.unchanged(file);
        if let Err(e) = prove(&expected, unchanged, &counts, &files, scored) {
            discard(&table, &files).await;
            return Err(e);
        }
        if let Err(e) = source.recheck().await {
            discard(&table, &files).await;
            return Err(e);
        }
        reached(Stage::Proved, progress.as_ref()).await;
        let record = self.record(source, &counts, &files, scoring.elapsed().as_secs_f64());
        let tag = RunTag { fingerprint: self.fingerprint.clone(), nonce: Nonce::new() };
        let ended = settle(&mut table, files, &tag, &record, &self.options.lake, progress).await?;
        let Ending::Done(record, _) = ended else { return Ok(ended) };
        let mut stages = vec![("read", spent.read)];
        let spent_beside = self.beside.map(|b| b.classifier.spent());
        let beside = |at: usize| spent_beside.as_ref().map_or(Duration::ZERO, |spent| spent[at].1);
        stages.extend(
            self.classifier.spent().into_iter().enumerate().map(|(at, (name, time))| (name, time + beside(at))),
        );
        let scored: Duration = stages[1..].iter().map(|(_, time)| *time).sum();
        stages[0].1 = spent.read.saturating_sub(scored);
        stages.push(("encode and write", spent.write));
        Ok(Ending::Done(record, stages))
    }

    /// Lines that each file owes: by its footer, or, under a filter, counted on their own.
    async fn expected(&self, source: &Source, lines: &DataFrame) -> Result<BTreeMap<String, u64>> {
        if self.options.where_sql.is_none() {
            return Ok(source.files().iter().map(|f| (f.url.clone(), f.rows)).collect());
        }
        let count = datafusion::functions_aggregate::count::count(lit(1i64)).alias("n");
        let file = cast(ident("source_file"), DataType::Utf8).alias("file");
        let batches = lines.clone().aggregate(vec![file], vec![count])?.collect().await?;
        let mut expected: BTreeMap<String, u64> = source.files().iter().map(|f| (f.url.clone(), 0)).collect();
        for batch in batches {
            let (files, counts) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            for (file, n) in files.iter().zip(counts.values()) {
                expected.insert(file.unwrap_or_default().to_string(), u64::try_from(*n).unwrap_or(0));
            }
        }
        Ok(expected)
    }

    /// Runs the plan, one task a partition, each with its own data files.
    async fn write(
        &self,
        context: &SessionContext,
        plan: Arc<dyn ExecutionPlan>,
        table: &Table,
        progress: &Arc<dyn Progress>,
    ) -> Result<(Vec<NewFile>, Counts, TaskTimes), Failed> {
        let sink = SinkOptions {
            run_date: Some(self.options.started_at.num_days_from_ce() - DAYS_TO_1970),
            target_file_bytes: target_file_bytes(self.options.target_file_bytes, self.options.limits),
            stats_columns: Contract::Predictions.stats().to_vec(),
            repeating_columns: Contract::Predictions.repeats().to_vec(),
        };
        let make = |schema: &SchemaRef| {
            let identity = self.classifier.identity.clone();
            let (store_text, purpose) = (self.options.store_text, self.options.purpose);
            RowMaker::new(Arc::clone(schema), identity, self.id(), store_text, purpose, self.beside.cloned())
        };
        let written = write(context, plan, table, &sink, progress, make).await?;
        let mut counts = Counts::default();
        written.makers.into_iter().for_each(|rows| counts.merge(rows.counts));
        Ok((written.files, counts, written.spent))
    }

    fn record(&self, source: &Source, counts: &Counts, files: &[NewFile], score_secs: f64) -> RunRecord {
        let identity = &self.classifier.identity;
        let started = self.options.started_at;
        let quarantined: Vec<QuarantinedFile> = source
            .bad()
            .iter()
            .map(|b| QuarantinedFile {
                url: b.url.clone(),
                size_bytes: b.size_bytes,
                rows: b.rows,
                reason: b.reason.clone(),
            })
            .collect();
        RunRecord {
            run_id: self.id(),
            fingerprint: self.fingerprint.clone(),
            command: self.options.purpose.command().into(),
            started_at: started.to_rfc3339_opts(SecondsFormat::Micros, true),
            finished_at: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            run_date: started.format("%Y-%m-%d").to_string(),
            inputs: inputs(source),
            quarantined_rows: quarantined.iter().filter_map(|q| q.rows).sum(),
            quarantined,
            where_sql: self.options.where_sql.clone(),
            text_column: self.options.text.clone(),
            id_column: self.options.id.clone(),
            declared_column: self.options.declared.clone(),
            value_column: self.options.value.clone(),
            store_text: self.options.store_text.as_str().into(),
            model_name: identity.model_name.clone(),
            model_version: identity.model_version,
            model_digest: identity.model_digest.clone(),
            tariff_edition: identity.tariff_edition.clone(),
            policy_digest: identity.policy_digest.clone(),
            policy_json: serde_json::to_string(self.policy).unwrap_or_default(),
            policy_origin: self.policy_origin.to_string(),
            lines_read: counts.lines + self.changed.known.unchanged_lines(),
            lines_written: files.iter().map(NewFile::rows).sum::<u64>() - counts.beside.written,
            accept_lines: counts.decided(Decision::Accept.as_str()),
            review_lines: counts.decided(Decision::Review.as_str()),
            refuse_lines: counts.decided(Decision::Refuse.as_str()),
            files_written: files.len() as u64,
            bytes_written: files.iter().map(NewFile::size_bytes).sum(),
            plan_secs: self.plan_secs,
            score_secs,
            threads: self.options.limits.threads as u64,
            program_version: env!("CARGO_PKG_VERSION").into(),
            from_edition: None,
            carried_lines: None,
            mapped_lines: None,
            held_lines: None,
            reclassify_json: None,
            scope: Some(match (self.options.purpose.role().1, self.options.full) {
                (false, _) => "beside".into(),
                (true, true) => "full".into(),
                (true, false) => "changed".into(),
            }),
            skipped_files: Some(self.changed.skipped_files),
            skipped_rows: Some(self.changed.skipped_rows),
            unchanged_lines: Some(self.changed.known.unchanged_lines()),
            challenger: self.beside.map(|beside| beside.record(&counts.beside)).unwrap_or_default(),
        }
    }
}

/// That every line of every file was read, answered and written, once.
fn prove(
    expected: &BTreeMap<String, u64>,
    unchanged: impl Fn(&str) -> u64,
    counts: &Counts,
    files: &[NewFile],
    (scored, scored_beside): (u64, Option<u64>),
) -> Result<()> {
    let written: u64 = files.iter().map(NewFile::rows).sum();
    if written != counts.lines + counts.beside.written {
        return Err(Error::Bug(format!(
            "{} lines were read, {written} rows were written, of which {} are the challenger's",
            counts.lines, counts.beside.written
        )));
    }
    if scored != counts.lines || scored_beside.is_some_and(|beside| beside != counts.lines) {
        return Err(Error::Bug(format!(
            "{} lines were read, {scored} were scored, {scored_beside:?} by the challenger",
            counts.lines
        )));
    }
    if counts.served != counts.lines {
        return Err(Error::Bug(format!("{} lines were read, {} have a served answer", counts.lines, counts.served)));
    }
    for (file, &owed) in expected {
        let got = counts.files.get(file).copied().unwrap_or(0) + unchanged(file);
        if got != owed {
            return Err(Error::Input(format!("{file} owes {owed} lines, {got} came through")));
        }
    }
    let unknown = counts.files.keys().find(|file| !expected.contains_key(*file));
    if let Some(file) = unknown {
        return Err(Error::Bug(format!("lines came from {file}, which is not an input")));
    }
    tracing::debug!(rows = written, scored, "proved");
    Ok(())
}

fn inputs(source: &Source) -> Vec<InputFile> {
    source
        .files()
        .iter()
        .map(|f| InputFile {
            url: f.url.clone(),
            size_bytes: f.size_bytes(),
            e_tag: f.e_tag().map(str::to_string),
            rows: f.rows,
        })
        .collect()
}

/// SHA-256 over everything that the predictions depend on. The clock, threads and memory are not in it.
fn fingerprint(
    options: &ClassifyOptions,
    changed: &Changed,
    classifier: &Classifier,
    beside: Option<&Served>,
) -> String {
    let source = &changed.source;
    let files: Vec<_> = source
        .files()
        .iter()
        .map(|f| json!([f.url, f.size_bytes(), f.e_tag()]))
        .chain(source.bad().iter().map(|b| json!([b.url, b.size_bytes, "quarantined"])))
        .collect();
    let identity = &classifier.identity;
    let all = json!({
        "command": options.purpose.command(),
        "counts": options.purpose.role().1,
        "contract": Contract::Predictions.version(),
        "files": files,
        "model": [identity.model_name, identity.model_version, identity.model_digest],
        "policy": identity.policy_digest,
        "edition": identity.tariff_edition,
        "query": [options.text, options.id, options.where_sql, options.store_text.as_str()],
        "along": [options.declared, options.value],
        "challenger": beside.map(Served::fingerprint),
        // What is left to do follows from what was done before: a file that comes back as it once was is done again.
        "base": (!options.full).then_some(&changed.base),
    });
    digest_of(&all)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::super::plan::RAW_TEXT;
    use super::*;

    /// Only the columns that are needed are decoded, and row groups that the filter rules out are not.
    #[tokio::test]
    async fn a_filter_prunes_and_unneeded_columns_stay_unread() {
        let dir = tempfile::tempdir().unwrap();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3000));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..3000).map(|i| format!("bolts {i}"))));
        let wide: ArrayRef = Arc::new(StringArray::from_iter_values((0..3000).map(|i| "x".repeat(i % 50))));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("description", texts), ("unneeded", wide)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
        let file = std::fs::File::create(dir.path().join("a.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let input = dir.path().to_str().unwrap().to_string();
        let options = SourceOptions { text: "description".into(), quarantine: false };
        let source = Source::pin(&[input], options).await.unwrap();
        let limits = Limits { memory_bytes: 1 << 28, threads: 1 };
        let (context, lines) = filtered(&source, Some("n < 100"), limits).await.unwrap();
        let plan = lines.select(vec![ident(RAW_TEXT)]).unwrap().create_physical_plan().await.unwrap();
        let rows: usize = datafusion::physical_plan::collect(Arc::clone(&plan), context.task_ctx())
            .await
            .unwrap()
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        assert_eq!(rows, 100);
        let shown = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan.as_ref());
        let shown = shown.indent(true).to_string();
        assert!(!shown.contains("unneeded"), "{shown}");
        let pruned = shown.split("row_groups_pruned_statistics=").nth(1).unwrap_or("");
        assert!(pruned.starts_with("3 total → 1 matched") || pruned.starts_with('2'), "{shown}");
    }
}
